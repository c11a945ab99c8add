//! The trust bundle: made and recorded once, given to everyone enrolled, and proved by the trust file alone.

use keysvc_protocol::{
    bundle::{BundleError, BundleFile, TrustBundle},
    bytes::Digest,
    cbor,
    hash::sha256,
    leaf::{BundleMadeLeaf, LeafKind},
    reply::{BundleReply, CheckpointReply, ValueUpdateReply},
    request::{Operation, ReadBundle, ReadCheckpoint, ValueOperation::Load},
    schema::Schema,
    trust::Trust,
};
use keysvc_tests::{
    ground::Ground,
    raw::{self, Caller},
};
use std::fs;

const DAY_MS: u64 = 86_400_000;

fn get(ground: &Ground, persona: &str, have: Option<Digest>) -> BundleReply {
    let mut caller = Caller::new(ground.site(), persona);
    caller.ask(Operation::BundleGet, &ReadBundle { schema: Schema, have }).unwrap()
}

/// What a terminal keeps: the bundle with leaf 0.
fn file(ground: &Ground) -> BundleFile {
    let mut caller = Caller::new(ground.site(), "terminal-1");
    let genesis = ReadCheckpoint { schema: Schema, genesis: true };
    let reply: CheckpointReply = caller.ask(Operation::LogCheckpoint, &genesis).unwrap();
    let bundle = get(ground, "terminal-1", None).bundle.unwrap();
    BundleFile { schema: Schema, founding: reply.genesis.unwrap(), bundle }
}

fn trust(ground: &Ground) -> Trust {
    Trust::parse(&fs::read_to_string(ground.site().trust()).unwrap()).unwrap()
}

fn made(ground: &Ground) -> Vec<BundleMadeLeaf> {
    raw::of_kind(&raw::leaves(ground), LeafKind::BundleMade)
}

#[test]
fn the_bundle_is_proved_by_the_trust_file_and_says_keys_programmes_and_limits() {
    let ground = Ground::new();
    let file = BundleFile::read(&cbor::encode(&file(&ground))).unwrap();
    let bundle = file.verify(&trust(&ground)).unwrap();
    assert!(bundle.development);
    assert_eq!(bundle.not_after_ms - bundle.made_at_ms, 7 * DAY_MS);
    let [key] = &bundle.value_keys[..] else { panic!("{:?}", bundle.value_keys) };
    assert_eq!(key.name.as_str(), "value-1");
    let [programme] = &bundle.programmes[..] else { panic!("{:?}", bundle.programmes) };
    let limits = (programme.ceiling, programme.load_max, programme.debit_max);
    assert_eq!(
        (programme.name.as_str(), programme.currency, limits),
        ("coffee", 978, (1_000_000, 600_000, 20_000))
    );
    let other = Trust { genesis: Digest::new([1; 32]), ..trust(&ground) };
    assert!(file.verify(&other).is_err());
}

#[test]
fn a_record_is_verified_by_the_bundle_with_the_service_gone_and_not_past_its_end() {
    let mut ground = Ground::new();
    let bundle = file(&ground).verify(&trust(&ground)).unwrap();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let update = raw::update(Load, 1, 2_000, 0);
    let reply: ValueUpdateReply = terminal.ask(Operation::ValueUpdate, &update).unwrap();
    ground.stop();
    let verified = bundle.check_record(reply.record.as_bytes(), bundle.not_after_ms).unwrap();
    assert_eq!((verified.txn, verified.balance_after), (update.txn, 2_000));
    let late = bundle.check_record(reply.record.as_bytes(), bundle.not_after_ms + 1);
    assert_eq!(late, Err(BundleError::Expired { not_after_ms: bundle.not_after_ms }));
    let mut altered = reply.record.as_bytes().to_vec();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    assert!(matches!(bundle.check_record(&altered, bundle.made_at_ms), Err(BundleError::Value(_))));
}

#[test]
fn a_bundle_is_made_once_and_not_for_a_request_nor_a_restart() {
    let mut ground = Ground::new();
    let first = get(&ground, "terminal-1", None);
    let message = first.bundle.clone().unwrap();
    let leaf: BundleMadeLeaf =
        cbor::decode(first.receipt.leaf.as_ref().unwrap().payload.as_ref().unwrap().as_bytes(), 1 << 17)
            .unwrap();
    let digest = sha256(&[leaf.bundle.as_bytes()]);
    first.receipt.check_inclusion().unwrap();
    for persona in ["terminal-2", "office-1", "auditor-1", "platform-1"] {
        assert_eq!(get(&ground, persona, None).bundle, Some(message.clone()), "{persona}");
    }
    // Not sent again to whoever holds it.
    assert_eq!(get(&ground, "terminal-1", Some(digest)).bundle, None);
    assert_eq!(get(&ground, "terminal-1", Some(Digest::new([0; 32]))).bundle, Some(message.clone()));
    ground.stop();
    ground.start().unwrap();
    let after = get(&ground, "terminal-1", Some(digest));
    assert_eq!(
        (after.bundle, after.receipt.leaf_index),
        (None, first.receipt.leaf_index),
        "the same payload"
    );
    let again = get(&ground, "terminal-1", None).bundle.unwrap();
    assert_ne!(again, message, "a fresh signature");
    assert_eq!(made(&ground).len(), 1);
    let genesis = raw::genesis(ground.site());
    assert!(TrustBundle::from_payload(leaf.bundle.as_bytes(), &genesis).is_ok());
}

#[test]
fn a_bundle_is_made_anew_when_what_it_says_changes() {
    let mut ground = Ground::founded();
    let path = ground.site().service_config();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n[keeper.limits]\nbundle-life-ms = 180000\n")).unwrap();
    ground.start().unwrap();
    let first = get(&ground, "terminal-1", None).receipt.leaf_index;
    ground.stop();
    // A longer life is a change of what the bundle says.
    fs::write(&path, format!("{text}\n[keeper.limits]\nbundle-life-ms = 360000\n")).unwrap();
    ground.start().unwrap();
    let second = get(&ground, "terminal-1", None).receipt.leaf_index;
    assert!(second > first);
    let bundles: Vec<_> = made(&ground)
        .iter()
        .map(|leaf| TrustBundle::from_payload(leaf.bundle.as_bytes(), &raw::genesis(ground.site())).unwrap())
        .collect();
    let lives: Vec<_> = bundles.iter().map(|bundle| bundle.not_after_ms - bundle.made_at_ms).collect();
    assert_eq!(lives, [180_000, 360_000]);
}
