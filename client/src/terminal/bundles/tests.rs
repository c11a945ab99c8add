//! Proves the keeping of a bundle over a test log.

use super::*;
use crate::{
    Terminal,
    connect::stand_in::{StandIn, Step},
    testing::{
        CHECKPOINT, Key, Log, STATEMENT, VALUE,
        service::{Shared, serve},
    },
    update::tests::{request, update},
};
use keysvc_protocol::{
    bundle::{BundleError, BundleKey, BundleProgramme, TrustBundle},
    bytes::Blob,
    cbor::REPLY_LEN_MAX,
    key::KeyState,
    list::List,
    request::Operation,
    value::ValueUpdate,
};
use std::{fs, time::Duration};

/// A bundle over the test log that holds from `made` for ten seconds.
pub(crate) fn bundle(made_at_ms: u64) -> TrustBundle {
    let (log, value) = (Log::new(4, 0), Key::new(VALUE).public());
    let name = |name: &str| name.parse().unwrap();
    let key = BundleKey {
        name: name("coffee-value"),
        version: 1,
        kid: value.identifier(),
        public: Blob::try_from(value.spki().to_vec()).unwrap(),
        state: KeyState::Active,
        not_before_ms: 0,
        not_after_ms: None,
    };
    let programme = BundleProgramme {
        name: name("coffee"),
        organisation: name("demo"),
        currency: 978,
        value_key: name("coffee-value"),
        profile: name("fob"),
        purses: vec![1].try_into().unwrap(),
        ceiling: 10_000,
        load_max: 5_000,
        debit_max: 5_000,
    };
    TrustBundle {
        schema: Schema,
        trust_domain: log.trust().domain,
        genesis: log.trust().genesis,
        development: true,
        made_at_ms,
        not_after_ms: made_at_ms + 10_000,
        log_key: Blob::try_from(Key::new(CHECKPOINT).public().spki().to_vec()).unwrap(),
        checkpoint: log.checkpoint(5),
        value_keys: vec![key].try_into().unwrap(),
        programmes: vec![programme].try_into().unwrap(),
        denied: List::default(),
    }
}

/// A record of the update that the tests ask for.
fn record(update: &ValueUpdate) -> Vec<u8> {
    let genesis = Log::new(0, 0).trust().genesis;
    Key::new(VALUE).cose(Kind::ValueUpdate, genesis.as_bytes(), cbor::encode(update))
}

async fn ground(made_at_ms: u64) -> (StandIn, Shared) {
    let (ground, service) = serve(Log::new(4, 0), |_, _, _| None).await;
    service.lock().unwrap().bundle = Some(bundle(made_at_ms));
    (ground, service)
}

#[tokio::test]
async fn a_kept_bundle_verifies_offline_until_it_ends_and_says_when_it_did() {
    let (ground, _) = ground(1_000).await;
    let terminal = Terminal::connect(&ground.config()).await.unwrap();
    let before = terminal.verify_offline(&record(&update()), 2_000).unwrap_err();
    assert!(before.to_string().contains("have the terminal fetch one"), "{before}");
    let fetched = terminal.bundle().await.unwrap();
    assert_eq!(terminal.verify_offline(&record(&update()), 2_000).unwrap(), update());
    drop(terminal);

    // Another start, without network and without any key.
    let mut config = ground.config();
    (config.endpoints, config.key, config.statement) =
        (vec!["nowhere:1".into()], "/nonexistent".into(), None);
    let offline = Offline::open(&config).unwrap();
    assert_eq!(offline, fetched);
    assert_eq!(offline.verify(&record(&update()), 11_000).unwrap(), update());
    let expired = offline.verify(&record(&update()), 11_001).unwrap_err();
    assert!(matches!(expired, ClientError::Bundle(BundleError::Expired { not_after_ms: 11_000 })));
    assert!(expired.to_string().ends_with("it held until 1970-01-01T00:00:11Z"), "{expired}");
    let mut wrong = record(&update());
    *wrong.last_mut().unwrap() ^= 1;
    assert!(matches!(offline.verify(&wrong, 2_000), Err(ClientError::Bundle(BundleError::Value(_)))));
}

#[tokio::test]
async fn a_bundle_that_is_held_is_not_sent_again() {
    let (ground, service) = ground(1_000).await;
    let terminal = Terminal::connect(&ground.config()).await.unwrap();
    let first = terminal.bundle().await.unwrap();
    assert_eq!(terminal.bundle().await.unwrap(), first);
    assert_eq!(service.lock().unwrap().log.0.len(), 6, "one leaf for one bundle");
    service.lock().unwrap().bundle = Some(bundle(5_000));
    assert_eq!(terminal.bundle().await.unwrap().bundle().made_at_ms, 5_000);
}

#[tokio::test]
async fn a_bundle_older_than_the_one_kept_is_not_taken() {
    let (ground, service) = ground(5_000).await;
    let terminal = Terminal::connect(&ground.config()).await.unwrap();
    terminal.bundle().await.unwrap();
    service.lock().unwrap().bundle = Some(bundle(1_000));
    let error = terminal.bundle().await.unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { .. }), "{error:?}");
    assert_eq!(Offline::open(&ground.config()).unwrap().bundle().made_at_ms, 5_000);
}

#[tokio::test]
async fn a_bundle_that_its_leaf_does_not_record_or_another_key_signed_is_not_taken() {
    for forged in [false, true] {
        let (ground, service) = serve(Log::new(4, 0), move |service, operation, envelope| {
            if operation != Operation::BundleGet {
                return None;
            }
            let Step::Reply(bytes) = service.answer(operation, envelope) else { return None };
            let mut reply: BundleReply = cbor::decode(&bytes, REPLY_LEN_MAX).unwrap();
            let key = Key::new(if forged { VALUE } else { STATEMENT });
            let genesis = service.log.trust().genesis;
            let other = if forged { bundle(1_000) } else { bundle(2_000) };
            let message = key.cose(Kind::TrustBundle, genesis.as_bytes(), cbor::encode(&other));
            reply.bundle = Some(Blob::try_from(message).unwrap());
            Some(Step::Reply(cbor::encode(&reply)))
        })
        .await;
        service.lock().unwrap().bundle = Some(bundle(1_000));
        let terminal = Terminal::connect(&ground.config()).await.unwrap();
        let error = terminal.bundle().await.unwrap_err();
        match (forged, error) {
            (false, ClientError::Untrusted { what, .. }) => {
                assert_eq!(what, "the trust bundle's leaf: it records another bundle");
            }
            (true, ClientError::Bundle(BundleError::Signature(_))) => {}
            (_, other) => panic!("{other:?}"),
        }
        assert!(Offline::open(&ground.config()).is_err());
    }
}

#[tokio::test]
async fn an_update_has_the_bundle_renewed_beside_it_once_half_of_its_life_is_over() {
    let (ground, service) = ground(now_ms() - 4_000).await;
    let terminal = Terminal::connect(&ground.config()).await.unwrap();
    terminal.bundle().await.unwrap();
    assert!(!terminal.kit.bundles.wants_renewal(), "not half of its life is over");
    service.lock().unwrap().bundle = Some(bundle(now_ms() - 6_000));
    drop(fs::remove_file(ground.config().state.join("bundle")));
    let terminal = Terminal::connect(&ground.config()).await.unwrap();
    terminal.update(&request()).await.unwrap();
    assert_eq!(terminal.kit.bundles.kept(), None, "nobody asked for one");
    let old = terminal.bundle().await.unwrap();
    let next = bundle(now_ms());
    service.lock().unwrap().bundle = Some(next.clone());
    let asked = keysvc_protocol::request::UpdateValue {
        txn: keysvc_protocol::bytes::Idem::new([6; 16]),
        ..request()
    };
    terminal.update(&asked).await.unwrap();
    let began = std::time::Instant::now();
    while terminal.kit.bundles.kept().unwrap().bundle() == old.bundle() {
        assert!(began.elapsed() < Duration::from_secs(20), "it is not renewed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(*terminal.kit.bundles.kept().unwrap().bundle(), next);
}

#[tokio::test]
async fn a_kept_bundle_torn_at_any_length_is_told_and_another_is_fetched() {
    let (ground, _) = ground(1_000).await;
    let terminal = Terminal::connect(&ground.config()).await.unwrap();
    let whole = terminal.bundle().await.unwrap().to_file();
    let path = ground.config().state.join("bundle");
    assert_eq!(fs::read(&path).unwrap(), whole);
    for length in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..length]).unwrap();
        let error = Offline::open(&ground.config()).unwrap_err();
        assert!(matches!(&error, ClientError::State { path: named, .. } if *named == path), "{error:?}");
        assert!(error.to_string().contains("remove it"), "{error}");
    }
    fs::remove_file(&path).unwrap();
    let terminal = Terminal::connect(&ground.config()).await.unwrap();
    terminal.bundle().await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), whole);
}
