//! A station's own folder of a job, in its state folder: the journal of its cards, the operators' agreements by which its
//! session is asked for again, and the purge receipt until the service has it.
//!
//! Agreements are put down before they are sent, so that a session that was begun is never lost; they are no secret, and
//! serve this session alone. What is to be erased is put down before it is erased, so that a receipt says all of it whenever
//! a program ends.

mod erasure;

use crate::{ceremony::durable, fault::Fault, shown::hex};
use erasure::Erasure;
use keysvc_client::{
    ClientConfig, ClientError,
    agreement::{self, SignedAgreement},
    personalization::Journal,
    protocol::{
        bytes::from_hex,
        job::{AGREEMENT_LEN_MAX, PurgeReceipt},
        name::Name,
    },
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Agreements of a session that was begun.
const SESSION: &str = "session";
/// Agreements of a session that is being begun.
const BEGINNING: &str = "session.next";
/// What a program left that ended while it put down such agreements.
const HALF_WRITTEN: &str = "session.next.new";
/// What is being erased, until the receipt for it is there.
const ERASING: &str = "erasing";
/// The purge receipt.
const RECEIPT: &str = "receipt";
/// Longest file of two agreements: each in hexadecimal on a line.
const SESSION_LEN_MAX: usize = 2 * (2 * AGREEMENT_LEN_MAX + 1);
/// Longest receipt, in bytes: a name, a text of 200 bytes, three numbers.
const RECEIPT_LEN_MAX: usize = 512;

/// The folder.
#[derive(Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    job: Name,
}

impl Place {
    /// The folder of a job in the state folder; made where it is missing.
    ///
    /// # Errors
    /// [`Fault::File`] naming it.
    pub(crate) fn of(config: &ClientConfig, job: &Name) -> Result<Self, Fault> {
        Self::in_state(&config.state, job)
    }

    /// The same in this state folder.
    ///
    /// # Errors
    /// [`Fault::File`] naming it.
    pub(crate) fn in_state(state: &Path, job: &Name) -> Result<Self, Fault> {
        let folder = state.join("jobs").join(job.as_str());
        durable::folder(&folder)?;
        Ok(Self { folder, job: job.clone() })
    }

    /// The same where it may be missing, for what is done to it only if it is there.
    pub(crate) fn if_any(config: &ClientConfig, job: &Name) -> Option<Self> {
        let folder = config.state.join("jobs").join(job.as_str());
        folder.is_dir().then(|| Self { folder, job: job.clone() })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The journal; no other process has it meanwhile.
    ///
    /// # Errors
    /// [`Fault`] naming the file.
    pub(crate) fn journal(&self) -> Result<Journal, Fault> {
        Journal::open(&self.folder, &self.job).map_err(|error| Fault::client("open the journal", error))
    }

    /// Puts down the agreements of a session that is about to be begun.
    ///
    /// # Errors
    /// [`Fault::File`].
    pub(crate) fn beginning(&self, agreements: &[SignedAgreement; 2]) -> Result<(), Fault> {
        let mut lines: Vec<_> = agreements.iter().map(|one| hex(one.as_bytes())).collect();
        lines.push(String::new());
        durable::put(&self.file(BEGINNING), lines.join("\n").as_bytes())
    }

    /// The session that was being begun is there.
    ///
    /// # Errors
    /// [`Fault::File`].
    pub(crate) fn begun(&self) -> Result<(), Fault> {
        let (from, to) = (self.file(BEGINNING), self.file(SESSION));
        fs::rename(&from, &to).map_err(|source| Fault::File { doing: "rename", path: from, source })
    }

    /// The session that was being begun is not: the service refused it.
    ///
    /// # Errors
    /// [`Fault::File`].
    pub(crate) fn not_begun(&self) -> Result<(), Fault> {
        removed(&self.file(BEGINNING))?;
        // A folder with something in it stays, and an empty one harms nobody.
        let _: std::io::Result<()> = fs::remove_dir(&self.folder);
        Ok(())
    }

    /// The agreements of the session that was being begun when a program ended, if there are any.
    ///
    /// # Errors
    /// [`Fault`] of the file.
    pub(crate) fn half_begun(&self) -> Result<Option<[SignedAgreement; 2]>, Fault> {
        agreements(&self.file(BEGINNING))
    }

    /// The agreements of the session that was begun last.
    ///
    /// # Errors
    /// [`Fault`] of the file; [`Fault::Usage`] where none was begun here.
    pub(crate) fn session(&self) -> Result<[SignedAgreement; 2], Fault> {
        agreements(&self.file(SESSION))?.ok_or_else(|| {
            let job = &self.job;
            let next = format!(
                "two operators open it here: `fobctl job open {job} --operator CONTEXT --operator CONTEXT`"
            );
            Fault::usage(format!("no session of job {job} was begun with this state folder"), next)
        })
    }

    /// Erases all that the station has of the job, and keeps the receipt for that. Goes on where a program ended within
    /// it, and counts what an earlier receipt says that the service never had.
    ///
    /// # Errors
    /// [`Fault`] naming what cannot be erased; it may be called again then.
    pub(crate) fn erase(&self, station: &Name) -> Result<PurgeReceipt, Fault> {
        let mut erasure = self.erasure()?;
        erasure.add(self.left());
        // Before the first file goes: from now on nothing that was erased is forgotten, and no earlier receipt is true.
        self.put_down(&erasure)?;
        erasure::overwrite_torn(&self.journal_file())?;
        let others = [SESSION, BEGINNING, HALF_WRITTEN].map(|name| self.file(name));
        let erased = self.journal()?.erase(station, &others.each_ref().map(PathBuf::as_path));
        let receipt = erased.map_err(|error| Fault::client("erase the station's files", error))?;
        // The journal's own count holds the journal that was made to erase it, and not what went before.
        let receipt = PurgeReceipt { files: erasure.files(), ..receipt };
        durable::put(&self.receipt_file(), &agreement::receipt_to_bytes(&receipt))?;
        self.forget(ERASING)?;
        Ok(receipt)
    }

    /// From now on the kept receipt is none: the next erasure gives a new one, which counts its files too. Does nothing
    /// where there is no receipt.
    ///
    /// # Errors
    /// [`Fault`] of the files.
    pub(crate) fn outdate(&self) -> Result<(), Fault> {
        if self.kept()?.is_none() {
            return Ok(());
        }
        self.put_down(&self.erasure()?)
    }

    /// The receipt of an erasure that the service does not have yet, as long as it is true: there is nothing of the job
    /// here, and no erasure that did not end.
    ///
    /// # Errors
    /// [`Fault`] for a file that is none.
    pub(crate) fn receipt(&self) -> Result<Option<PurgeReceipt>, Fault> {
        if !self.left().is_empty() || self.file(ERASING).exists() {
            return Ok(None);
        }
        self.kept()
    }

    /// Whether there is anything: of the job, or of its erasure.
    pub(crate) fn is_empty(&self) -> bool {
        self.left().is_empty() && ![ERASING, RECEIPT].iter().any(|name| self.file(name).exists())
    }

    fn kept(&self) -> Result<Option<PurgeReceipt>, Fault> {
        let bytes = durable::read(&self.receipt_file(), RECEIPT_LEN_MAX)?;
        bytes.map(|bytes| receipt(&self.receipt_file(), &bytes)).transpose()
    }

    /// The erasure that did not end, or a new one.
    fn erasure(&self) -> Result<Erasure, Fault> {
        let path = self.file(ERASING);
        match durable::read(&path, erasure::LEN_MAX)? {
            Some(bytes) => Erasure::from_bytes(&path, &bytes),
            None => Ok(Erasure::after(self.kept()?.as_ref())),
        }
    }

    /// Puts an erasure down, and then removes the receipt that it makes untrue.
    fn put_down(&self, erasure: &Erasure) -> Result<(), Fault> {
        durable::put(&self.file(ERASING), &erasure.to_bytes())?;
        self.forget(RECEIPT)
    }

    /// What there is of the job, by the names of the files.
    fn left(&self) -> Vec<String> {
        let journal = self.journal_file();
        let journal = journal.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let names = [SESSION, BEGINNING, HALF_WRITTEN, journal];
        names.into_iter().filter(|name| self.file(name).exists()).map(str::to_owned).collect()
    }

    fn journal_file(&self) -> PathBuf {
        self.file(&format!("{}.journal", self.job))
    }

    /// Removes a file, for good also where the power fails then.
    fn forget(&self, name: &str) -> Result<(), Fault> {
        removed(&self.file(name))?;
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|source| Fault::File { doing: "write out", path: self.folder.clone(), source })
    }

    /// Where the receipt is kept.
    pub(crate) fn receipt_file(&self) -> PathBuf {
        self.file(RECEIPT)
    }

    /// Removes the folder of a job that is closed.
    ///
    /// # Errors
    /// [`Fault::File`].
    pub(crate) fn clear(&self) -> Result<(), Fault> {
        for name in [RECEIPT, ERASING, "receipt.new", "erasing.new"] {
            removed(&self.file(name))?;
        }
        let path = self.folder.clone();
        fs::remove_dir(&self.folder).map_err(|source| Fault::File { doing: "remove", path, source })
    }
}

/// A purge receipt as it is handed to its witness.
///
/// # Errors
/// [`Fault`] for a file that is none.
pub(crate) fn read_receipt(path: &Path) -> Result<PurgeReceipt, Fault> {
    receipt(path, &crate::file::read(path, RECEIPT_LEN_MAX)?)
}

fn receipt(path: &Path, bytes: &[u8]) -> Result<PurgeReceipt, Fault> {
    agreement::receipt_from_bytes(bytes).map_err(|error| {
        let next = "name the receipt that `fobctl job close` wrote at the station";
        Fault::usage(format!("{}: {error}", path.display()), next)
    })
}

fn removed(path: &Path) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| Fault::File { doing: "remove", path: path.to_owned(), source }),
    }
}

fn agreements(path: &Path) -> Result<Option<[SignedAgreement; 2]>, Fault> {
    let Some(bytes) = durable::read(path, SESSION_LEN_MAX)? else { return Ok(None) };
    let damaged = || {
        let reason = "damaged: it does not hold two agreements; two operators open the job again".to_owned();
        Fault::client("read the session", ClientError::State { path: path.to_owned(), reason })
    };
    let text = str::from_utf8(&bytes).map_err(|_| damaged())?;
    let read = text.lines().map(|line| {
        let bytes = from_hex(line).ok_or_else(damaged)?;
        SignedAgreement::from_bytes(bytes).map_err(|_| damaged())
    });
    let read: Vec<SignedAgreement> = read.collect::<Result<_, _>>()?;
    read.try_into().map(Some).map_err(|_| damaged())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ceremony::agreement::tests::{ANN, BOB, signer},
        job::floor,
    };
    use keysvc_client::protocol::{bytes::Digest, job::JobAct, trust::Trust};

    fn place(folder: &Path) -> Place {
        Place { folder: folder.to_owned(), job: "nfc-1".parse().unwrap() }
    }

    fn both() -> [SignedAgreement; 2] {
        let trust = Trust { domain: "demo.test".parse().unwrap(), genesis: Digest::new([7; 32]) };
        let act = JobAct::Open { station: "station-1".parse().unwrap() };
        [(ANN, "operator-1"), (BOB, "operator-2")].map(|(key, person)| {
            let said = floor::said(&"nfc-1".parse().unwrap(), &act, &person.parse().unwrap()).unwrap();
            floor::sign(&signer(key), &trust, &said).unwrap()
        })
    }

    #[test]
    fn a_session_is_known_from_before_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (place, both) = (place(folder.path()), both());
        assert!(place.session().unwrap_err().next().contains("fobctl job open nfc-1"));
        place.beginning(&both).unwrap();
        assert_eq!(place.half_begun().unwrap(), Some(both.clone()));
        place.begun().unwrap();
        assert_eq!((place.half_begun().unwrap(), place.session().unwrap()), (None, both.clone()));
        place.beginning(&both).unwrap();
        place.not_begun().unwrap();
        assert_eq!(place.session().unwrap(), both);
    }

    #[test]
    fn what_is_erased_leaves_a_receipt_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        drop(place.journal().unwrap());
        place.beginning(&both()).unwrap();
        place.begun().unwrap();
        let receipt = place.erase(&"station-1".parse().unwrap()).unwrap();
        assert_eq!(receipt.files, 2);
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
        assert_eq!(left, [RECEIPT]);
        assert_eq!(place.receipt().unwrap(), Some(receipt.clone()));
        assert_eq!(read_receipt(&place.receipt_file()).unwrap(), receipt);
        place.clear().unwrap();
        assert!(!folder.path().exists());
    }

    fn worked(folder: &Path) -> Place {
        let place = place(folder);
        drop(place.journal().unwrap());
        place.beginning(&both()).unwrap();
        place.begun().unwrap();
        place
    }

    fn station() -> Name {
        "station-1".parse().unwrap()
    }

    #[test]
    fn a_receipt_beside_a_new_session_is_none_and_the_next_one_counts_both_erasures() {
        let folder = tempfile::tempdir().unwrap();
        let place = worked(folder.path());
        let first = place.erase(&station()).unwrap();
        worked(folder.path());
        assert_eq!(place.receipt().unwrap(), None, "no monitor signs that nothing is left");
        let second = place.erase(&station()).unwrap();
        assert_eq!((first.files, second.files), (2, 4));
        assert!(second.erased_ms >= first.erased_ms);
        assert_eq!(place.receipt().unwrap(), Some(second));
        place.clear().unwrap();
    }

    #[test]
    fn a_receipt_is_none_after_another_count_and_what_it_said_is_said_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = worked(folder.path());
        place.outdate().unwrap();
        assert!(!place.file(ERASING).exists(), "there was no receipt, and nothing is begun");
        place.erase(&station()).unwrap();
        place.outdate().unwrap();
        assert!(place.receipt().unwrap().is_none() && !place.receipt_file().exists());
        place.outdate().unwrap();
        assert_eq!(place.erase(&station()).unwrap().files, 2);
        place.clear().unwrap();
        assert!(!folder.path().exists());
    }

    #[test]
    fn an_erasure_that_was_broken_off_anywhere_is_finished_and_forgets_no_file() {
        // Where it broke off: nothing erased, the session gone, the journal overwritten in part, gone, and all but the end.
        for step in 0..5 {
            let folder = tempfile::tempdir().unwrap();
            let place = worked(folder.path());
            let mut begun = place.erasure().unwrap();
            begun.add(place.left());
            place.put_down(&begun).unwrap();
            if step > 0 {
                fs::remove_file(place.file(SESSION)).unwrap();
            }
            if step == 2 {
                let half = [[0; 64].as_slice(), b"asked 04782e21801d01\n"].concat();
                fs::write(place.journal_file(), half).unwrap();
            }
            if step > 2 {
                fs::remove_file(place.journal_file()).unwrap();
            }
            if step > 3 {
                let method = "by hand".parse().unwrap();
                let told = PurgeReceipt { station: station(), erased_ms: 1, files: 2, method };
                fs::write(place.receipt_file(), agreement::receipt_to_bytes(&told)).unwrap();
            }
            assert_eq!(place.receipt().unwrap(), None, "{step}");
            let receipt = place.erase(&station()).unwrap();
            assert_eq!(receipt.files, 2, "{step}");
            assert_eq!(place.receipt().unwrap(), Some(receipt), "{step}");
            place.clear().unwrap();
        }
    }

    #[test]
    fn a_damaged_session_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        fs::write(place.file(SESSION), "00\n").unwrap();
        assert!(place.session().unwrap_err().to_string().contains("does not hold two agreements"));
    }
}
