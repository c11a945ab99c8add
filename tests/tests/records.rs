//! What the service gives to terminals and stations, verified by a second verifier of another hand in another language:
//! value updates, bundles, openings, deliveries and checkpoints, as they are and altered.
//!
//! Both verifiers judge every message, and must agree; of what is good they must read the same fields. The log is
//! `second_verifier.rs`'s.

#[path = "records/altered.rs"]
mod altered;
#[path = "records/signed.rs"]
mod signed;
#[path = "records/told.rs"]
mod told;

use altered::Altered;
use keysvc_protocol::{
    bundle::{BundleFile, TrustBundle},
    cbor,
    checkpoint::{Origin, SignedCheckpoint},
    delivery::{Delivery, ExchangeOpening},
    freeze::Scope,
    public_key::PublicKey,
    reply::{
        BundleReply, CardDeriveReply, CheckpointReply, JobOpenReply, UpdateOutcome, ValueBatchReply,
        ValueUpdateReply,
    },
    request::{
        Operation, ReadBundle, ReadCheckpoint, UpdateValue, UpdateValues,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
    trust::Trust,
    value::ValueUpdate,
};
use keysvc_tests::{
    agreed::{Sent, alone, freeze, name, propose, send},
    cards,
    ground::{Ground, OFFICERS},
    jobs::{self, Bench},
    raw::{self, Caller},
    second_verifier::verify_records,
};
use serde_json::Value;
use std::{collections::BTreeMap, fs};

/// A message, how the second verifier must take it, and how this crate does.
struct Case {
    kind: &'static str,
    altered: Altered,
    /// With a key of the test's own.
    by: Option<PublicKey>,
}

/// What everything is verified with.
struct Known {
    trust: Trust,
    file: BundleFile,
    bundle: TrustBundle,
    statement_key: PublicKey,
    log_key: PublicKey,
}

impl Known {
    /// Of a terminal that asks now.
    fn read(ground: &Ground) -> Self {
        let trust = Trust::parse(&fs::read_to_string(ground.site().trust()).unwrap()).unwrap();
        let mut terminal = Caller::new(ground.site(), "terminal-1");
        let genesis = ReadCheckpoint { schema: Schema, genesis: true };
        let reply: CheckpointReply = terminal.ask(Operation::LogCheckpoint, &genesis).unwrap();
        let get = ReadBundle { schema: Schema, have: None };
        let bundle: BundleReply = terminal.ask(Operation::BundleGet, &get).unwrap();
        let file =
            BundleFile { schema: Schema, founding: reply.genesis.unwrap(), bundle: bundle.bundle.unwrap() };
        let bundle = file.verify(&trust).unwrap();
        let statement_key = cards::statement_key(&mut Caller::new(ground.site(), "platform-1"));
        Self { trust, log_key: bundle.log_key().unwrap(), file, bundle, statement_key }
    }

    /// What this crate says of a message: its fields, where it is good.
    fn verdict(&self, case: &Case) -> Result<Value, String> {
        let (bytes, genesis) = (case.altered.bytes.as_slice(), &self.trust.genesis);
        let statement_key = case.by.as_ref().unwrap_or(&self.statement_key);
        match (case.kind, &case.by) {
            ("update", Some(key)) => {
                ValueUpdate::verify(bytes, genesis, key).map(|said| told::update(&said)).map_err(words)
            }
            ("update", None) => {
                let now_ms = self.bundle.made_at_ms;
                self.bundle.check_record(bytes, now_ms).map(|said| told::update(&said)).map_err(words)
            }
            ("bundle", _) => TrustBundle::verify(bytes, genesis, statement_key)
                .map(|said| told::bundle(&said))
                .map_err(words),
            ("bundle-file", _) => BundleFile::read(bytes)
                .and_then(|file| file.verify(&self.trust))
                .map(|said| told::bundle(&said))
                .map_err(words),
            ("delivery", _) => Delivery::verify(bytes, genesis, statement_key)
                .map(|said| told::delivery(&said))
                .map_err(words),
            ("opening", _) => ExchangeOpening::verify(bytes, genesis, statement_key)
                .map(|said| told::opening(&said))
                .map_err(words),
            ("checkpoint", _) => SignedCheckpoint::parse(bytes)
                .and_then(|said| {
                    said.verify(&Origin::of(&self.trust.domain, 1), &self.log_key).map(|()| said)
                })
                .map(|said| told::checkpoint(&said))
                .map_err(words),
            (other, _) => panic!("no kind of message: {other}"),
        }
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Has both verifiers judge the cases.
fn assert_agreed(known: &Known, ground: &Ground, cases: &[Case]) {
    let folder = tempfile::tempdir().unwrap();
    let mut names = BTreeMap::new();
    for case in cases {
        let name = format!("{}.{}", case.kind, case.altered.name.replace(' ', "-"));
        fs::write(folder.path().join(&name), &case.altered.bytes).unwrap();
        if let Some(key) = &case.by {
            fs::write(folder.path().join(format!("{name}.key")), key.spki()).unwrap();
        }
        assert!(names.insert(name.clone(), case).is_none(), "two of one name: {name}");
    }
    fs::write(folder.path().join("bundle-file"), cbor::encode(&known.file)).unwrap();
    let mut verdicts = verify_records(&ground.site().trust(), folder.path());
    assert_eq!(verdicts.remove("bundle-file"), Some(Ok(told::bundle(&known.bundle))));
    assert_eq!(verdicts.len(), names.len(), "{verdicts:?}");
    for (name, theirs) in verdicts {
        let (case, ours) = (names[&name], known.verdict(names[&name]));
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => assert_eq!((ours, case.altered.refused), (theirs, ""), "{name}"),
            (Err(_), Err(theirs)) => {
                let expected = !case.altered.refused.is_empty() && theirs.starts_with(case.altered.refused);
                assert!(expected, "{name}: {theirs}, not {}", case.altered.refused);
            }
            _ => panic!("{name}: one verifier takes it: {ours:?} {theirs:?}"),
        }
    }
}

/// A message as it is, and altered in every part.
fn with_altered(kind: &'static str, name: &'static str, good: &[u8], stranger: &'static str) -> Vec<Case> {
    let mut all = altered::message(good, stranger);
    all.push(Altered::new(name, good.to_vec(), ""));
    all.into_iter().map(|altered| Case { kind, altered, by: None }).collect()
}

fn good(kind: &'static str, name: &'static str, bytes: Vec<u8>) -> Case {
    Case { kind, altered: Altered::new(name, bytes, ""), by: None }
}

fn change(terminal: &mut Caller, request: &UpdateValue) -> ValueUpdateReply {
    match send(terminal, Operation::ValueUpdate, request).unwrap() {
        Sent::Done(reply) => reply,
        Sent::Pending(pending) => panic!("it waits for people: {:?}", pending.state),
    }
}

/// Of every way to an update one: alone, with people, in a store's batch.
fn updates(ground: &Ground) -> Vec<Case> {
    let holder = |persona: &str| cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), persona);
    let (mut ann, mut ben) = (holder(OFFICERS[0]), holder(OFFICERS[1]));
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let load = change(&mut terminal, &raw::update(Load, 1, 2_000, 0));
    let request = raw::update(Load, 2, 500_000, 2_000);
    propose(&mut terminal, Operation::ValueUpdate, &request)
        .unwrap()
        .approved_by(&mut [&mut ann, &mut ben])
        .unwrap();
    let large = change(&mut terminal, &request);
    let debit = change(&mut terminal, &raw::update(Debit, 3, 350, 502_000));
    let item = UpdateValue { card: "04a1b2c3d4e5f6".parse().unwrap(), ..raw::update(Load, 1, 500, 0) };
    let item = terminal.message(Operation::ValueUpdate, cbor::encode(&item));
    let updates = vec![item.try_into().unwrap()].try_into().unwrap();
    let batch: ValueBatchReply = Caller::new(ground.site(), "office-1")
        .ask(Operation::ValueBatch, &UpdateValues { schema: Schema, updates })
        .unwrap();
    let [UpdateOutcome::Signed { record, .. }] = &batch.outcomes[..] else { panic!("{:?}", batch.outcomes) };
    let mut cases =
        with_altered("update", "load", load.record.as_bytes(), "the record's key is not in the bundle");
    cases.push(good("update", "large", large.record.as_bytes().to_vec()));
    cases.push(good("update", "debit", debit.record.as_bytes().to_vec()));
    let other = record.as_bytes().to_vec();
    let frozen = Altered::new("of a frozen card", other, "the record is about what is frozen");
    cases.push(Case { kind: "update", altered: frozen, by: None });
    let mut checkpoints: Vec<_> = [("of a load", load), ("of a debit", debit)]
        .map(|(name, reply)| good("checkpoint", name, reply.receipt.checkpoint.as_bytes().to_vec()))
        .into();
    cases.append(&mut checkpoints);
    cases
}

/// What a station gets when it opens a job, and of its cards.
fn deliveries(ground: &Ground) -> Vec<Case> {
    let mut bench = Bench::new(env!("CARGO_BIN_EXE_card"), ground, "station-1");
    let shift = bench.open(("generated", 1));
    let opened: JobOpenReply = bench.station.ask(Operation::JobOpen, &shift.request).unwrap();
    let request = jobs::derive(&shift, &["04782e21801d80", "04a1b2c3d4e5f6", "0102030405060708090a"]);
    let derived: CardDeriveReply = bench.station.ask(Operation::CardDerive, &request).unwrap();
    let stranger = "signed with another key";
    let mut cases = with_altered("opening", "of a job", opened.opening.as_bytes(), stranger);
    cases.extend(with_altered("delivery", "of three cards", derived.delivery.as_bytes(), stranger));
    cases
}

/// The bundle and its file, altered.
fn bundles(known: &Known) -> Vec<Case> {
    let mut cases = with_altered("bundle", "now", known.file.bundle.as_bytes(), "signed with another key");
    let file = |name, edit: &dyn Fn(&mut BundleFile), refused| {
        let mut altered = known.file.clone();
        edit(&mut altered);
        Case { kind: "bundle-file", altered: Altered::new(name, cbor::encode(&altered), refused), by: None }
    };
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    };
    let entry = |file: &mut BundleFile| {
        file.founding.entry = flipped(file.founding.entry.as_bytes()).try_into().unwrap()
    };
    let payload = |file: &mut BundleFile| {
        let altered = flipped(file.founding.payload.as_ref().unwrap().as_bytes());
        file.founding.payload = Some(altered.try_into().unwrap());
    };
    let bundle = |file: &mut BundleFile| file.bundle = flipped(file.bundle.as_bytes()).try_into().unwrap();
    cases.push(file("another leaf 0", &entry, "leaf 0 is not the one of the trust file"));
    cases.push(file("another founding", &payload, "the payload is not this leaf's"));
    cases.push(file("another signature", &bundle, "the signature does not verify"));
    let checkpoint = &known.bundle.checkpoint;
    let stranger = [checkpoint.as_bytes(), "\u{2014} witness.example/w1 AAECAwQFBgc=\n".as_bytes()].concat();
    cases.push(good("checkpoint", "with a stranger's line", stranger));
    cases.push(good("checkpoint", "of the bundle", checkpoint.as_bytes().to_vec()));
    let altered = altered::checkpoint(checkpoint, known.log_key.spki());
    cases.extend(altered.into_iter().map(|altered| Case { kind: "checkpoint", altered, by: None }));
    cases
}

#[test]
fn a_second_verifier_takes_what_the_service_signed_and_refuses_every_alteration_by_its_name() {
    let ground = Ground::new();
    let mut cases = updates(&ground);
    cases.extend(deliveries(&ground));
    let mut officer = cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), OFFICERS[0]);
    let card = Scope::Card { card: "04a1b2c3d4e5f6".parse().unwrap(), programme: Some(name("coffee")) };
    for scope in [Scope::Terminal { name: name("terminal-2") }, card] {
        alone(&mut officer, Operation::FreezeSet, &freeze(&scope)).unwrap();
    }
    let known = Known::read(&ground);
    assert_eq!(known.bundle.denied.len(), 2);
    cases.extend(bundles(&known));
    assert_agreed(&known, &ground, &cases);
}

#[test]
fn a_second_verifier_reads_what_stands_under_a_good_signature_as_strictly() {
    let ground = Ground::new();
    let known = Known::read(&ground);
    let signer = raw::key(ground.site(), "terminal-1");
    let key = keysvc_client::signer::StatementSigner::public_key(&signer);
    let sign = signed::with(&signer);
    let mut cases = signed::updates(&known.trust.genesis, &sign);
    cases.extend(signed::deliveries(&known.trust.genesis, &sign));
    cases.extend(signed::bundles(&known.bundle, &sign));
    let cases: Vec<_> = cases
        .into_iter()
        .map(|case| Case { kind: case.kind, altered: case.message, by: Some(key) })
        .collect();
    assert_agreed(&known, &ground, &cases);
}
