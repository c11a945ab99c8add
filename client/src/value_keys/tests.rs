//! Proves that a value key made after the founding is believed by the bundle alone, and asked for once.

use crate::{
    ClientError, Terminal,
    connect::stand_in::{StandIn, Step},
    terminal::bundles::tests::bundle,
    testing::{
        Key, Log,
        service::{Shared, serve},
    },
    update::tests::{request, update},
};
use keysvc_protocol::{
    bundle::{BundleKey, TrustBundle},
    bytes::Blob,
    cbor::{self, REPLY_LEN_MAX},
    cose::Kind,
    key::KeyState,
    reply::ValueUpdateReply,
    request::Operation,
};

/// The second version of the programme's value key.
const SECOND: u8 = 33;

fn second(name: &str) -> BundleKey {
    let public = Key::new(SECOND).public();
    BundleKey {
        name: name.parse().unwrap(),
        version: 2,
        kid: public.identifier(),
        public: Blob::try_from(public.spki().to_vec()).unwrap(),
        state: KeyState::Active,
        not_before_ms: 0,
        not_after_ms: None,
    }
}

/// A far end that signs with the second version, and has this bundle.
async fn ground(keys: Vec<BundleKey>) -> (StandIn, Shared) {
    let (ground, service) = serve(Log::new(4, 0), |service, operation, envelope| {
        if operation != Operation::ValueUpdate {
            return None;
        }
        let Step::Reply(bytes) = service.answer(operation, envelope) else { return None };
        let reply: ValueUpdateReply = cbor::decode(&bytes, REPLY_LEN_MAX).unwrap();
        let genesis = service.log.trust().genesis;
        let record = Key::new(SECOND).cose(Kind::ValueUpdate, genesis.as_bytes(), cbor::encode(&update()));
        let record = Blob::try_from(record).unwrap();
        Some(Step::Reply(cbor::encode(&ValueUpdateReply { record, ..reply })))
    })
    .await;
    let value_keys = keys.try_into().unwrap();
    service.lock().unwrap().bundle = Some(TrustBundle { value_keys, ..bundle(1_000) });
    (ground, service)
}

#[tokio::test]
async fn a_record_by_a_later_version_is_released_once_the_bundle_names_the_key_and_the_bundle_is_asked_for_once()
 {
    let (ground, service) = ground(vec![second("coffee-value")]).await;
    let terminal = Terminal::connect(&ground.config()).await.unwrap();
    assert_eq!(terminal.update(&request()).await.unwrap().update, update());
    let asked = service.lock().unwrap().bodies.len();
    assert_eq!(terminal.update(&request()).await.unwrap().update, update());
    assert_eq!(service.lock().unwrap().bodies.len(), asked + 1);
}

#[tokio::test]
async fn a_record_by_a_key_that_no_bundle_names_for_the_programme_is_not_released() {
    for keys in [Vec::new(), vec![second("tea-value")]] {
        let (ground, _) = ground(keys).await;
        let terminal = Terminal::connect(&ground.config()).await.unwrap();
        let error = terminal.update(&request()).await.unwrap_err();
        let ClientError::Untrusted { what, .. } = error else { panic!("{error:?}") };
        assert_eq!(what, "the record is not signed by the programme's key");
    }
}
