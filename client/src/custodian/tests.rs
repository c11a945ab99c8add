//! Proves a custodian's calls over a test log: which offers are believed, what goes out sealed, and what is believed of
//! the answers.

use super::*;
use crate::{
    connect::stand_in::{StandIn, Step},
    testing::{
        Key, Log, STATEMENT, TERMINAL,
        service::{self, Shared, serve},
    },
};
use keysvc_protocol::{
    bytes::Blob,
    cose::Kind,
    leaf::{LeafKind, Statement as Signed},
    request::Envelope,
    sealing::SEALED_LEN,
};
use std::sync::{Arc as Shares, Mutex};

const PROPOSAL: ProposalId = ProposalId::new([7; 16]);
/// The one-time key of the far end.
const ONE_TIME: u8 = 21;

fn offer() -> ComponentKeyOffer {
    ComponentKeyOffer {
        schema: Schema,
        proposal: PROPOSAL,
        custodian: "terminal-1".parse().unwrap(),
        number: 2,
        name: "master".parse().unwrap(),
        version: 2,
        components: 2,
        public: Blob::try_from(Key::new(ONE_TIME).public().spki().to_vec()).unwrap(),
        expires_ms: 5,
    }
}

type Asked = Shares<Mutex<Vec<(GiveComponent, Vec<u8>)>>>;

/// A far end with this offer, signed by this key; with what it was given.
async fn desk(offer: ComponentKeyOffer, key: u8) -> (StandIn, Shared, Asked) {
    let asked: Asked = Asked::default();
    let given = asked.clone();
    let (ground, shared) = serve(Log::new(4, 0), move |service, operation, envelope| {
        let genesis = service.log.trust().genesis;
        Some(match operation {
            Operation::ComponentKey => {
                let offer = Key::new(key).cose(Kind::ImportOffer, genesis.as_bytes(), cbor::encode(&offer));
                Step::Reply(cbor::encode(&ComponentKeyReply {
                    schema: Schema,
                    offer: Blob::try_from(offer).unwrap(),
                    held: vec![1].try_into().unwrap(),
                }))
            }
            Operation::ComponentGive => {
                given.lock().unwrap().push(given_in(envelope, &genesis));
                let statement = Signed(envelope.request.clone());
                service.change(LeafKind::SiteChanged, "terminal-1", operation, statement);
                Step::Reply(cbor::encode(&ComponentGivenReply {
                    schema: Schema,
                    missing: vec![1].try_into().unwrap(),
                    receipt: service.receipt(envelope),
                    key: None,
                }))
            }
            _ => return None,
        })
    })
    .await;
    (ground, shared, asked)
}

fn given_in(envelope: &Envelope, genesis: &keysvc_protocol::bytes::Digest) -> (GiveComponent, Vec<u8>) {
    let key = Key::new(TERMINAL).public();
    let request = service::payload(Operation::ComponentGive, envelope, genesis, &key);
    (request, envelope.beside.clone().map(Blob::into_bytes).unwrap_or_default())
}

fn component() -> Component {
    Component::from_hex("0011 2233 4455 6677 8899 aabb ccdd eeff").unwrap()
}

fn untrusted(result: Result<Offered, ClientError>) -> String {
    match result {
        Err(ClientError::Untrusted { what, evidence: None }) => what,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_component_goes_out_sealed_beside_the_request_that_names_it_and_its_leaf_is_proved() {
    let (ground, _service, asked) = desk(offer(), STATEMENT).await;
    let custodian = Custodian::connect(&ground.config()).await.unwrap();
    let offered = custodian.component_key(PROPOSAL).await.unwrap();
    assert_eq!((offered.offer.clone(), offered.held.as_slice()), (offer(), &[1][..]));
    let sealed = custodian.seal(&offered.offer, &component()).unwrap();
    let given = custodian.give(&sealed).await.unwrap();
    assert_eq!((given.missing.as_slice(), given.changed.leaf_index), (&[1][..], 5));

    let (request, beside) = asked.lock().unwrap().pop().unwrap();
    assert_eq!(beside.len(), SEALED_LEN);
    assert_eq!(request.sealed, sha256(&[&beside]));
    assert_eq!(request.import_key, Key::new(ONE_TIME).public().digest());
    assert_eq!((request.number, request.check), (2, component().check_value()));
    assert!(!beside.windows(4).any(|bytes| bytes == [0x00, 0x11, 0x22, 0x33]), "it goes out in clear");
}

#[tokio::test]
async fn a_sealed_component_that_is_given_again_is_the_same_act() {
    let (ground, _service, asked) = desk(offer(), STATEMENT).await;
    let custodian = Custodian::connect(&ground.config()).await.unwrap();
    let sealed = custodian.seal(&offer(), &component()).unwrap();
    custodian.give(&sealed).await.unwrap();
    custodian.give(&sealed).await.unwrap();
    let asked = asked.lock().unwrap();
    assert_eq!(asked[0], asked[1]);
    let other = custodian.seal(&offer(), &component()).unwrap();
    assert_ne!(sealed, other, "each sealing has a key of its own");
}

#[tokio::test]
async fn a_one_time_key_that_the_service_does_not_vouch_for_is_not_used() {
    let (ground, ..) = desk(offer(), TERMINAL).await;
    let custodian = Custodian::connect(&ground.config()).await.unwrap();
    let what = untrusted(custodian.component_key(PROPOSAL).await);
    assert!(what.starts_with("not the service's offer"), "{what}");
}

#[tokio::test]
async fn a_one_time_key_for_another_import_person_or_number_is_not_used() {
    let other = ProposalId::new([8; 16]);
    for wrong in [
        ComponentKeyOffer { proposal: other, ..offer() },
        ComponentKeyOffer { custodian: "eve".parse().unwrap(), ..offer() },
        ComponentKeyOffer { number: 3, ..offer() },
        ComponentKeyOffer { number: 0, ..offer() },
    ] {
        let (ground, ..) = desk(wrong, STATEMENT).await;
        let custodian = Custodian::connect(&ground.config()).await.unwrap();
        let what = untrusted(custodian.component_key(PROPOSAL).await);
        assert!(what.starts_with("its one-time key is for"), "{what}");
    }
}
