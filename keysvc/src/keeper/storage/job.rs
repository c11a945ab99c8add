//! The storage key of a job: made before the job's first item is recorded, destroyed when the job is purged. With it goes
//! whatever lies under it.
//!
//! Apart from other keys' life because nobody orders it and nobody schedules its end: the job's own life, which people
//! agree to, is both. Whether a job may have data, and whether it is over, is not decided here. All of it can be asked
//! again: after a crash, what is done is found done.

use super::Storage;
use crate::{
    error::Fault,
    keeper::{
        ledger::{Change, DataKeys, LedgerFault, Outcome, Reader, Sequencer, Settled},
        manifest,
    },
};
use keysvc_protocol::{
    control::{KeyStanding, STORAGE_OF_JOB},
    key::{KeyRecord, KeyState},
    leaf::KeyDestroyedLeaf,
    name::Name,
    schema::Schema,
};
use keysvc_token::ObjectId;

/// A job's storage key has one version: a job is never used again.
const VERSION: u32 = 1;

/// The name of the storage key of a job, such as `storage.job.nfc-1`.
///
/// # Errors
/// [`Fault::Invariant`] when the job's name is too long: 12 bytes are before it, and a name has 64 at most.
pub fn name_of_job(job: &Name) -> Result<Name, Fault> {
    let name = format!("{STORAGE_OF_JOB}{job}").parse();
    name.map_err(|_| Fault::Invariant("a job's name leaves no room for its storage key's"))
}

impl Storage<'_> {
    /// Has a job's leaves and items sealed under its own data key from now on; makes what is not there yet, storage key and
    /// data key. Gives the commits whose heads are to be signed.
    ///
    /// # Errors
    /// [`Fault`] of store or token; it is then to be asked again.
    pub async fn open_job(
        &self,
        sequencer: &Sequencer,
        job: &Name,
        now_ms: u64,
    ) -> Result<Vec<Settled>, Fault> {
        if sequencer.has_job(job) {
            return Ok(Vec::new());
        }
        let (record, settled) = self.make_job(sequencer, job, now_ms).await?;
        sequencer.install_seal(self.seal_of(&record)?);
        Ok(settled)
    }

    /// Makes the storage key of a job: intent, key, outcome. Gives its record and the commits, whose heads are to be
    /// signed; a key that is there already is found.
    ///
    /// # Errors
    /// [`Fault`] of store or token, [`LedgerFault::NoJobSeal`] when it was destroyed before; an intent without outcome stays
    /// in the log and its object is never used.
    pub async fn make_job(
        &self,
        sequencer: &Sequencer,
        job: &Name,
        now_ms: u64,
    ) -> Result<(KeyRecord, Vec<Settled>), Fault> {
        let name = name_of_job(job)?;
        if standing(sequencer, &name)?.is_some() {
            return Ok((self.on_record_for(job, &name)?, Vec::new()));
        }
        match self.make_own(sequencer, name.clone(), now_ms).await? {
            (Some(record), settled) => {
                tracing::info!(key = %name, "a job's storage key was made");
                Ok((record, settled))
            }
            // Another was quicker.
            (None, settled) => Ok((self.on_record_for(job, &name)?, settled)),
        }
    }

    fn on_record_for(&self, job: &Name, name: &Name) -> Result<KeyRecord, Fault> {
        let records = Reader::open(self.store)?.keys()?;
        let found = records.into_iter().find(|key| key.name == *name && key.state == KeyState::Active);
        // Of a purged job it never comes back. The job may have been purged a moment ago.
        Ok(found.ok_or_else(|| LedgerFault::NoJobSeal { job: job.clone() })?)
    }

    /// Erases what lies under the storage key of a job, and destroys that. `intent` is the leaf that closed the job. Gives
    /// the commits whose heads are to be signed; none where the job never had such a key or all was done before.
    ///
    /// In this order, so that the next start can tell a job's storage key that is gone for good from one that is missing:
    /// under the former lies no data key. The outcome is recorded once neither store nor token hold anything.
    ///
    /// # Errors
    /// [`Fault`] of store or token; it is then to be asked again.
    pub async fn destroy_job(
        &self,
        sequencer: &Sequencer,
        job: &Name,
        intent: u64,
    ) -> Result<Vec<Settled>, Fault> {
        let name = name_of_job(job)?;
        let key = standing(sequencer, &name)?;
        let Some(key) = key.filter(|key| key.state != KeyState::Destroyed) else {
            sequencer.forget_job(job);
            self.destroy_unfinished((&name, VERSION))?;
            return Ok(Vec::new());
        };
        let data_keys = DataKeys::open(self.store)?;
        data_keys.erase(&key.id)?;
        // After its row, so that whoever reads meanwhile finds a leaf either whole or erased.
        sequencer.forget_job(job);
        let id = ObjectId(*key.id.as_bytes());
        self.token.destroy(manifest::token_kind(key.kind), id)?;
        self.destroy_unfinished((&name, VERSION))?;
        self.must_be_gone((&name, VERSION), id)?;
        // Again, for one that came between would keep the next start from unwrapping it; from now on none can be made.
        data_keys.erase(&key.id)?;
        sequencer.forget_job(job);
        let leaf =
            KeyDestroyedLeaf { schema: Schema, intent, name: name.clone(), version: VERSION, id: key.id };
        let settled = sequencer.submit(Change::KeyDestroyed(leaf)).await?;
        if !matches!(settled.outcome, Outcome::Recorded(_)) {
            let stands = standing(sequencer, &name)?;
            // Another may have been quicker.
            return match stands.filter(|key| key.state == KeyState::Destroyed) {
                Some(_) => Ok(vec![settled]),
                None => Err(Fault::Invariant("the outcome of a job's erasure was refused")),
            };
        }
        tracing::warn!(key = %name, %id, "a job's storage key is destroyed, and with it the job's data");
        Ok(vec![settled])
    }

    /// Empties the store's write-ahead log, in which lies what was deleted until it is written over. For who has deleted
    /// what is to be gone now.
    ///
    /// # Errors
    /// [`Fault`] of the store; while somebody reads it, it is to be asked again.
    pub fn empty_log(&self) -> Result<(), Fault> {
        Ok(DataKeys::open(self.store)?.empty_log()?)
    }
}

/// Where the storage key of this name stands.
fn standing(sequencer: &Sequencer, name: &Name) -> Result<Option<KeyStanding>, Fault> {
    let control = sequencer.control().ok_or(LedgerFault::NoControl)?;
    Ok(control.keys().get(name, VERSION).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_storage_key_is_named_after_it_up_to_52_bytes() {
        let job = |len| "j".repeat(len).parse::<Name>().unwrap();
        assert_eq!(name_of_job(&job(3)).unwrap().as_str(), "storage.job.jjj");
        assert!(name_of_job(&job(52)).is_ok());
        assert!(matches!(name_of_job(&job(53)), Err(Fault::Invariant(_))));
    }
}
