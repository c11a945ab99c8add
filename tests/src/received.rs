//! Every signed value update that clients ever received, the answers to repetitions among them: on disk before the client
//! sends anything more, and held against each other, the trust bundle and the log.
//!
//! Apart from [`crate::acks`], which keeps one payload for each request: here it is the signatures that count, for two
//! of them over different updates of one purse at one number would be money made. It signs nothing.

use crate::{ground::Ground, raw::Caller};
use keysvc_protocol::{
    bundle::{BundleFile, TrustBundle},
    bytes::from_hex,
    cbor,
    reply::{BundleReply, CheckpointReply},
    request::{Operation, ReadBundle, ReadCheckpoint},
    schema::Schema,
    trust::Trust,
    value::ValueUpdate,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write as _,
    path::Path,
};

/// The file of one client.
#[derive(Debug)]
pub struct Received {
    file: File,
}

impl Received {
    /// Makes the client's file in `folder`.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn create(folder: &Path, client: &str) -> Self {
        Self { file: File::create_new(folder.join(client)).unwrap() }
    }

    /// Writes one record down, as it was received, and syncs it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&mut self, record: &[u8]) {
        let mut line: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
        line.push('\n');
        self.file.write_all(line.as_bytes()).unwrap();
        self.file.sync_data().unwrap();
    }

    /// Every record in `folder`.
    ///
    /// # Panics
    /// When a file cannot be read.
    #[must_use]
    pub fn read(folder: &Path) -> Vec<Vec<u8>> {
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let text: String = files.map(|file| fs::read_to_string(file).unwrap()).collect();
        text.lines().map(|line| from_hex(line).unwrap()).collect()
    }
}

/// What records say, once each of them verifies.
#[derive(Debug, Default)]
pub struct Said {
    /// The different payloads of each place: card, purse, number.
    places: BTreeMap<(String, u8, u64), BTreeSet<Vec<u8>>>,
    /// Records that do not verify, and why.
    pub unsound: Vec<String>,
}

impl Said {
    /// Verifies each record with the bundle alone.
    #[must_use]
    pub fn by(records: &[Vec<u8>], bundle: &TrustBundle) -> Self {
        let mut said = Self::default();
        for record in records {
            match bundle.check_record(record, bundle.made_at_ms) {
                Ok(update) => said.add(&update),
                Err(error) => said.unsound.push(error.to_string()),
            }
        }
        said
    }

    fn add(&mut self, update: &ValueUpdate) {
        let place = (update.card.to_string(), update.purse, update.seq);
        self.places.entry(place).or_default().insert(cbor::encode(update));
    }

    /// Each payload once.
    #[must_use]
    pub fn payloads(&self) -> Vec<Vec<u8>> {
        self.places.values().flatten().cloned().collect()
    }

    /// Purses that have more than one signed update at one number.
    #[must_use]
    pub fn double(&self) -> Vec<String> {
        let double = self.places.iter().filter(|(_, payloads)| payloads.len() > 1);
        double.map(|((card, purse, seq), _)| format!("card {card}, purse {purse}, number {seq}")).collect()
    }
}

/// The trust bundle in force, verified with the site's trust file.
///
/// # Panics
/// When there is none, or it does not verify.
#[must_use]
pub fn trust_bundle(ground: &Ground) -> TrustBundle {
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let genesis = ReadCheckpoint { schema: Schema, genesis: true };
    let genesis: CheckpointReply = terminal.ask(Operation::LogCheckpoint, &genesis).unwrap();
    let bundle: BundleReply =
        terminal.ask(Operation::BundleGet, &ReadBundle { schema: Schema, have: None }).unwrap();
    let file =
        BundleFile { schema: Schema, founding: genesis.genesis.unwrap(), bundle: bundle.bundle.unwrap() };
    let trust = fs::read_to_string(ground.site().trust()).unwrap();
    file.verify(&Trust::parse(&trust).unwrap()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::{
        bytes::{Idem, PreviousUpdate},
        request::ValueOperation,
    };

    fn update(seq: u64, amount: u64) -> ValueUpdate {
        ValueUpdate {
            schema: Schema,
            programme: "coffee".parse().unwrap(),
            card: "04782e21801d80".parse().unwrap(),
            purse: 1,
            operation: ValueOperation::Load,
            seq,
            amount,
            currency: 978,
            balance_before: 0,
            balance_after: amount,
            previous: PreviousUpdate::new([0; 16]),
            txn: Idem::new([1; 16]),
            terminal: "terminal-1".parse().unwrap(),
            issued_at_ms: 1,
            expires_at_ms: 2,
            flags: 0,
            evidence: None,
        }
    }

    #[test]
    fn one_update_signed_often_is_one_and_another_at_its_number_is_told() {
        let mut said = Said::default();
        for one in [update(1, 500), update(1, 500), update(2, 500)] {
            said.add(&one);
        }
        assert_eq!((said.payloads().len(), said.double().len()), (2, 0));
        said.add(&update(2, 501));
        assert_eq!(said.double(), ["card 04782e21801d80, purse 1, number 2"]);
    }
}
