//! `fobaudit value --log`, and what every judgement of a record has in common: one signed value record, the key that signed it, and its leaf in the log.
//!
//! The record proves nothing alone: its key must be in the log that the genesis digest proves, and its payload must
//! be a leaf of the tree that the verified checkpoint commits to.

mod refused;

pub(crate) use refused::Refused;

use crate::{
    checks::{self, People, Site},
    evidence::{Shown, attach},
    fault::Fault,
    finding::Findings,
    founding_check::Founded,
    key_check::public_half,
    log_folder::{LogFolder, read_file},
    walk::{Leaf, Opened, Visitor, Walk},
};
use keysvc_protocol::{
    bytes::{Digest, KeyIdentifier, from_hex},
    cose::{CoseError, Kind, Signed},
    key::{KeyKind, KeyRecord},
    leaf::{KeyOutcomeLeaf, LeafKind, ValueUpdatedLeaf},
    merkle::TreeHead,
    name::Name,
    trust::Trust,
    value::{ValueError, ValueUpdate},
};
use std::{collections::BTreeSet, path::Path};

/// Longest record file, in bytes: a record of 1 KiB in hexadecimal, in lines.
const RECORD_LEN_MAX: u64 = 4096;

/// A record that holds, and what it says.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The update.
    pub(crate) update: ValueUpdate,
    /// The key that signed it.
    pub(crate) key: Name,
    /// Its version.
    pub(crate) key_version: u32,
    /// What vouches for it.
    pub(crate) evidence: Evidence,
    /// Whether it took people, and who they were.
    pub(crate) people: ByPeople,
    /// Whether the log was founded for development, or the key's value is known.
    pub(crate) test: bool,
}

/// Whether a record took people.
#[derive(Debug)]
pub(crate) enum ByPeople {
    /// It took none.
    None,
    /// It took some, and their evidence, of this digest, was not given.
    Named(Digest),
    /// It took these.
    Shown(Box<Shown>),
}

impl ByPeople {
    /// What a record itself says.
    pub(crate) const fn of(update: &ValueUpdate) -> Self {
        match update.evidence {
            Some(digest) => Self::Named(digest),
            None => Self::None,
        }
    }
}

/// What vouches for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The log holds it.
    Log {
        /// The leaf that holds it.
        leaf: u64,
        /// The checkpoint whose tree holds the leaf.
        checkpoint: TreeHead,
    },
    /// The log holds it, by the proof in its evidence file.
    File {
        /// The leaf that holds it.
        leaf: u64,
        /// The checkpoint whose tree holds the leaf.
        checkpoint: TreeHead,
    },
    /// A trust bundle names its key and its programme.
    Bundle {
        /// When the bundle was made, milliseconds since 1970-01-01 UTC.
        made_at_ms: u64,
        /// Until when it holds, same clock.
        not_after_ms: u64,
    },
}

/// Reads a record: its bytes, or the same in hexadecimal with white space anywhere.
///
/// # Errors
/// [`Fault`] when it cannot be read.
pub(crate) fn read_record(path: &Path) -> Result<Vec<u8>, Fault> {
    let bytes = read_file(path, RECORD_LEN_MAX)?;
    // A record begins with the byte d2, which no text in ASCII does.
    let text: Option<String> = bytes.iter().map(|byte| byte.is_ascii().then(|| char::from(*byte))).collect();
    let digits = text.map(|text| text.split_ascii_whitespace().collect::<String>());
    Ok(digits.as_deref().and_then(from_hex).unwrap_or(bytes))
}

/// Verifies a record against the log in `folder`. `last_seq` is the last sequence number that the card has seen.
///
/// The signature comes first, then replay, then the log: what is forged is told as such, whatever the log holds.
///
/// # Errors
/// [`Fault`] when a file cannot be read; why a record does not count is the inner [`Refused`].
pub(crate) fn run(
    record: &[u8],
    folder: LogFolder<'_>,
    trust: &Trust,
    last_seq: Option<u64>,
) -> Result<Result<Accepted, Refused>, Fault> {
    let mut findings = Findings::default();
    let Some(opened) = Opened::open(folder, trust, &mut findings)? else {
        return Ok(proved(&findings).and(Err(Refused::Empty)));
    };
    let signed = match Signed::parse(record) {
        Ok(signed) => signed,
        Err(error) => return Ok(Err(Refused::Form(error))),
    };
    let key = match find_key(folder, &opened, signed.key_identifier())? {
        Ok(key) => key,
        Err(refused) => return Ok(Err(refused)),
    };
    let (payload, update) = match read_update(&signed, &opened.founded, &key, last_seq) {
        Ok(read) => read,
        Err(refused) => return Ok(Err(refused)),
    };
    let people = People::found(&opened.founded);
    let mut search = Search { founded: &opened.founded, people, payload, found: None, withheld: 0 };
    let walked = Walk::new(BTreeSet::from([opened.head.size])).along(folder, &mut search, &mut findings)?;
    opened.compare(&walked, &mut findings);
    let (found, withheld) = (search.found, search.withheld);
    Ok(proved(&findings).and_then(|()| {
        let leaf = match (found, withheld) {
            (Some(leaf), _) => leaf,
            (None, 0) => return Err(Refused::NotInLog { leaves: walked.head.size }),
            (None, withheld) => return Err(Refused::MayBeWithheld { withheld }),
        };
        Ok(Accepted::new(&opened, &key, update, leaf))
    }))
}

impl Accepted {
    fn new(opened: &Opened, key: &KeyRecord, update: ValueUpdate, leaf: u64) -> Self {
        let test = opened.founded.founding.development || key.test_key;
        let evidence = Evidence::Log { leaf, checkpoint: opened.head };
        let people = ByPeople::of(&update);
        Self { update, key: key.name.clone(), key_version: key.version, evidence, people, test }
    }
}

/// Verifies a record by its evidence file alone: leaf 0 in it names the key, and the act's leaf holds the record.
///
/// # Errors
/// [`Refused`] naming the first check that failed.
pub(crate) fn by_evidence(record: &[u8], shown: Shown, last_seq: Option<u64>) -> Result<Accepted, Refused> {
    let signed = Signed::parse(record).map_err(Refused::Form)?;
    let kid = signed.key_identifier();
    let key = of_identifier(&shown.founded.keys, kid).ok_or(Refused::UnknownKey(kid))?;
    let (_, update) = read_update(&signed, &shown.founded, &key, last_seq)?;
    let accepted = Accepted {
        key: key.name.clone(),
        key_version: key.version,
        evidence: Evidence::File { leaf: shown.proved.at.index, checkpoint: shown.checkpoint },
        people: ByPeople::of(&update),
        test: shown.founded.founding.development || key.test_key,
        update,
    };
    attach(accepted, shown)
}

fn proved(findings: &Findings) -> Result<(), Refused> {
    findings.first().map_or(Ok(()), |finding| Err(Refused::Log(Box::new(finding.clone()))))
}

/// The value signing key of this identifier: in leaf 0, or else in a later outcome of the verified log.
fn find_key(
    folder: LogFolder<'_>,
    opened: &Opened,
    kid: KeyIdentifier,
) -> Result<Result<KeyRecord, Refused>, Fault> {
    if let Some(key) = of_identifier(&opened.founded.keys, kid) {
        return Ok(Ok(key));
    }
    let (mut later, mut findings) = (LaterKeys(Vec::new()), Findings::default());
    let walked = Walk::new(BTreeSet::from([opened.head.size])).along(folder, &mut later, &mut findings)?;
    opened.compare(&walked, &mut findings);
    let key = of_identifier(&later.0, kid).ok_or(Refused::UnknownKey(kid));
    Ok(key.and_then(|key| proved(&findings).map(|()| key)))
}

fn of_identifier(keys: &[KeyRecord], kid: KeyIdentifier) -> Option<KeyRecord> {
    let mut keys = keys.iter().filter(|key| key.kind == KeyKind::ValueSigning);
    keys.find(|key| public_half(key).is_some_and(|public| public.identifier() == kid)).cloned()
}

/// The payload and what it says, once the signature holds.
fn read_update<'a>(
    signed: &Signed<'a>,
    founded: &Founded,
    key: &KeyRecord,
    last_seq: Option<u64>,
) -> Result<(&'a [u8], ValueUpdate), Refused> {
    let public = public_half(key).ok_or(Refused::UnknownKey(signed.key_identifier()))?;
    let open = |kind| signed.open(kind, founded.genesis.as_bytes(), &public).map(|payload| (kind, payload));
    let opened = match open(Kind::ValueUpdate) {
        Err(CoseError::WrongKind) => open(Kind::ApprovedValueUpdate),
        opened => opened,
    };
    let (kind, payload) = opened.map_err(|error| match error {
        CoseError::BadSignature => Refused::BadSignature,
        error => Refused::Form(error),
    })?;
    let update = ValueUpdate::from_payload(payload).map_err(Refused::Contents)?;
    if update.kind() != kind {
        return Err(Refused::Contents(ValueError::Evidence));
    }
    let programme = founded.programme(&update.programme).map(|(_, programme)| programme);
    if programme.is_none_or(|programme| programme.value_key != key.name) {
        return Err(Refused::OtherKey { key: key.name.clone(), programme: update.programme });
    }
    match last_seq {
        Some(last) if update.seq <= last => Err(Refused::Replayed { seq: update.seq, last }),
        _ => Ok((payload, update)),
    }
}

/// Gathers the value signing keys made after the founding.
struct LaterKeys(Vec<KeyRecord>);

impl Visitor for LaterKeys {
    fn visit(&mut self, leaf: &Leaf<'_>, findings: &mut Findings) {
        let entry = leaf.entry;
        if entry.kind != LeafKind::KeyOutcome {
            return;
        }
        match leaf.payload.map(checks::decode::<KeyOutcomeLeaf>) {
            Some(Ok(outcome)) => self.0.push(outcome.key),
            Some(Err(problem)) => findings.leaf(entry.index, problem),
            None => {}
        }
    }
}

/// Looks for the leaf that holds a payload, and checks that leaf as `fobaudit verify` does.
struct Search<'a> {
    founded: &'a Founded,
    people: People,
    payload: &'a [u8],
    found: Option<u64>,
    withheld: u64,
}

impl Visitor for Search<'_> {
    fn visit(&mut self, leaf: &Leaf<'_>, findings: &mut Findings) {
        if self.found.is_some() {
            return;
        }
        let entry = leaf.entry;
        // What is wrong with other leaves is `fobaudit verify`'s to say.
        let followed = self.people.take(leaf);
        let (kind, payload) = leaf.done();
        if leaf.is_hidden_act() || (kind == LeafKind::ValueUpdated && payload.is_none()) {
            self.withheld = self.withheld.saturating_add(1);
        }
        let Some(payload) = payload.filter(|_| kind == LeafKind::ValueUpdated) else { return };
        let update: ValueUpdatedLeaf = match checks::decode(payload) {
            Ok(update) => update,
            Err(problem) => return findings.leaf(entry.index, problem),
        };
        if update.update.as_bytes() == self.payload {
            self.found = Some(entry.index);
            let site = Site { founded: self.founded, people: &self.people };
            if let Err(problem) = followed.and_then(|()| checks::check_update(&site, entry, &update)) {
                findings.leaf(entry.index, problem);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        finding::{Finding, Problem},
        sample::{SPARE_KEY, Sample, TestKey, VALUE_KEY, later_key},
    };
    use keysvc_protocol::schema::Schema;

    #[test]
    fn a_record_in_the_log_is_accepted_with_what_it_says() {
        let sample = Sample::good();
        let accepted = sample.export().value(&sample.signed_record(VALUE_KEY), Some(1)).unwrap();
        assert_eq!(ValueUpdate::from_payload(&sample.last_update), Ok(accepted.update));
        let Evidence::Log { leaf, checkpoint } = accepted.evidence else { panic!("not by the log") };
        assert_eq!((leaf, checkpoint.size, accepted.test), (5, 6, true));
    }

    #[test]
    fn any_altered_byte_is_refused() {
        let sample = Sample::good();
        let export = sample.export();
        let record = sample.signed_record(VALUE_KEY);
        for position in 0..record.len() {
            let mut altered = record.clone();
            altered[position] ^= 1;
            assert!(export.value(&altered, None).is_err(), "byte {position}");
        }
    }

    #[test]
    fn an_altered_amount_is_told_as_a_bad_signature() {
        let sample = Sample::good();
        let mut record = sample.signed_record(VALUE_KEY);
        let place = record.windows(3).position(|bytes| bytes == [0x19, 0x07, 0xd0]).unwrap();
        record[place + 2] ^= 1;
        assert_eq!(sample.export().value(&record, None).unwrap_err(), Refused::BadSignature);
    }

    #[test]
    fn a_forged_signature_is_refused() {
        let sample = Sample::good();
        let mut record = sample.signed_record(VALUE_KEY);
        // Another key's signature under the value key's identifier.
        let forged = sample.signed_record(77);
        let len = record.len();
        record[len - 64..].copy_from_slice(&forged[forged.len() - 64..]);
        assert_eq!(sample.export().value(&record, None).unwrap_err(), Refused::BadSignature);
    }

    #[test]
    fn a_key_that_is_not_in_the_log_is_refused() {
        let sample = Sample::good();
        let kid = TestKey::new(77).public().identifier();
        let refused = sample.export().value(&sample.signed_record(77), None).unwrap_err();
        assert_eq!(refused, Refused::UnknownKey(kid));
    }

    #[test]
    fn a_value_key_of_another_programme_is_refused() {
        let sample = Sample::good();
        let refused = sample.export().value(&sample.signed_record(SPARE_KEY), None).unwrap_err();
        let (key, programme) = ("spare-value".parse().unwrap(), "coffee".parse().unwrap());
        assert_eq!(refused, Refused::OtherKey { key, programme });
    }

    #[test]
    fn a_later_version_of_the_value_key_is_found_in_the_log() {
        let mut sample = Sample::good();
        let mut key = later_key("coffee-value", 70);
        key.version = 2;
        let intent = sample.push(
            LeafKind::KeyIntent,
            &keysvc_protocol::leaf::KeyIntentLeaf {
                schema: Schema,
                id: key.id,
                kind: key.kind,
                name: key.name.clone(),
                version: 2,
            },
        );
        sample.push(LeafKind::KeyOutcome, &KeyOutcomeLeaf { schema: Schema, intent, key });
        sample.update(|_| {});
        let accepted = sample.export().value(&sample.signed_record(70), None).unwrap();
        assert_eq!(accepted.key_version, 2);
        assert!(matches!(accepted.evidence, Evidence::Log { leaf: 8, .. }));
    }

    #[test]
    fn a_replayed_record_is_refused() {
        let sample = Sample::good();
        let (export, record) = (sample.export(), sample.signed_record(VALUE_KEY));
        assert!(export.value(&record, Some(1)).is_ok());
        for last in [2, 3] {
            assert_eq!(export.value(&record, Some(last)).unwrap_err(), Refused::Replayed { seq: 2, last });
        }
    }

    #[test]
    fn a_record_that_is_not_in_the_log_is_refused() {
        let mut sample = Sample::good();
        let export = sample.export();
        sample.update(|_| {});
        let refused = export.value(&sample.signed_record(VALUE_KEY), None).unwrap_err();
        assert_eq!(refused, Refused::NotInLog { leaves: 6 });
    }

    #[test]
    fn a_record_whose_leaf_is_withheld_is_told_apart_from_one_not_in_the_log() {
        let mut sample = Sample::good();
        sample.leaves[5].payload = None;
        let refused = sample.export().value(&sample.signed_record(VALUE_KEY), None).unwrap_err();
        assert_eq!(refused, Refused::MayBeWithheld { withheld: 1 });
    }

    #[test]
    fn a_record_in_a_log_that_is_not_under_its_checkpoint_is_refused() {
        let sample = Sample::good();
        let mut shorter = sample.clone();
        shorter.leaves.truncate(5);
        let export = sample.export_under(&shorter.note());
        let problem = Problem::MissingFile { file: "tile/entries/000.p/5".to_owned() };
        let refused = export.value(&sample.signed_record(VALUE_KEY), None).unwrap_err();
        assert_eq!(refused, Refused::Log(Box::new(Finding { leaf: None, problem })));
    }

    #[test]
    fn a_record_of_another_kind_is_refused() {
        let sample = Sample::good();
        let scope = sample.genesis();
        let record =
            TestKey::new(VALUE_KEY).sign(Kind::Delivery, scope.as_bytes(), sample.last_update.clone());
        let refused = sample.export().value(&record, None).unwrap_err();
        assert_eq!(refused, Refused::Form(CoseError::WrongKind));
        assert_eq!(sample.export().value(b"no", None).unwrap_err(), Refused::Form(CoseError::Malformed));
    }

    #[test]
    fn a_record_in_hexadecimal_is_read_as_its_bytes() {
        let sample = Sample::good();
        let (export, record) = (sample.export(), sample.signed_record(VALUE_KEY));
        let hex = record.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let (head, tail) = hex.split_at(40);
        let path = export.write("record.hex", format!("{head}\n{tail}\n").as_bytes());
        assert_eq!(read_record(&path).unwrap(), record);
        assert_eq!(read_record(&export.write("record", &record)).unwrap(), record);
    }
}
