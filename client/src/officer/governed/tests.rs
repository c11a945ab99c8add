//! Proves what is asked for about imports and card profiles, and what is believed of the answers.

use super::*;
use crate::{
    connect::stand_in::{StandIn, Step},
    testing::{
        Log,
        people::{ANN, signer},
        service::serve,
    },
};
use keysvc_protocol::{
    cbor,
    founding::Founding,
    leaf::{LeafKind, Statement},
    request::Operation,
};

/// A far end that puts a card profile at once and tells these check values.
async fn putting(vectors: Vec<GoldenVector>) -> (StandIn, Officer) {
    let (ground, _) = serve(Log::new(4, 0), move |service, operation, envelope| {
        if operation != Operation::ProfilePut {
            return None;
        }
        service.change(LeafKind::SiteChanged, "ann", operation, Statement(envelope.request.clone()));
        Some(Step::Reply(cbor::encode(&ProfilePutReply {
            schema: Schema,
            vectors: vectors.clone().try_into().unwrap(),
            receipt: service.receipt(envelope),
        })))
    })
    .await;
    let officer = officer(&ground).await;
    (ground, officer)
}

async fn officer(ground: &StandIn) -> Officer {
    let officer = Officer::connect(&ground.config()).await.unwrap();
    officer.with_signer(signer(ANN)).unwrap()
}

fn reason() -> Reason {
    "why".parse().unwrap()
}

fn profile(vectors: &[GoldenVector]) -> Profile {
    let founding: Founding = toml::from_str(&crate::testing::founding()).unwrap();
    Profile { version: 2, vectors: vectors.to_vec(), ..founding.profiles[0].clone() }
}

fn vector(check_value: &str) -> GoldenVector {
    GoldenVector { slot: 0, card: "04782e21801d80".into(), check_value: check_value.into() }
}

#[tokio::test]
async fn a_profile_that_is_put_comes_back_with_the_check_values_of_the_token() {
    let more = GoldenVector { card: "04782e21801d81".into(), ..vector("0a0b0c0d0e") };
    let (_ground, officer) = putting(vec![more.clone(), vector("0102030405")]).await;
    let put = officer.put_profile(profile(&[vector("0102030405")]), reason()).await.unwrap();
    assert_eq!(put.done().unwrap().vectors, [more, vector("0102030405")]);
}

#[tokio::test]
async fn check_values_that_are_not_the_golden_vectors_are_not_believed() {
    let (_ground, officer) = putting(vec![vector("0102030406")]).await;
    let put = officer.put_profile(profile(&[vector("0102030405")]), reason()).await;
    assert!(matches!(put, Err(ClientError::Untrusted { .. })), "{put:?}");
}

#[tokio::test]
async fn a_profile_that_contradicts_itself_is_not_sent() {
    let (_ground, officer) = putting(Vec::new()).await;
    let put = officer.put_profile(Profile { version: 0, ..profile(&[]) }, reason()).await;
    assert!(matches!(put, Err(ClientError::Request { .. })), "{put:?}");
}

#[tokio::test]
async fn an_import_takes_people_and_names_check_values_alone() {
    let (ground, service) = serve(Log::new(4, 0), |service, operation, envelope| {
        (operation == Operation::KeyImport).then(|| service.propose(operation, "ann", envelope))
    })
    .await;
    let officer = officer(&ground).await;
    let component = |custodian: &str, check: u8| ComponentOrder {
        custodian: custodian.parse().unwrap(),
        check: ShortCheck::new([check; 5]),
    };
    let import = KeyImport {
        name: "master".parse().unwrap(),
        check: ShortCheck::new([9; 5]),
        components: vec![component("ann", 1), component("bob", 2)],
    };
    let outcome = officer.import_key(import.clone(), reason()).await.unwrap();
    let Outcome::Pending(pending) = outcome else { panic!("done alone") };
    assert_eq!(pending.operation, Operation::KeyImport);
    assert!(service.lock().unwrap().bodies.iter().all(|body| body.len() < 1_024), "no room for more");
    let four = KeyImport { components: vec![component("ann", 1); 4], ..import };
    assert!(matches!(officer.import_key(four, reason()).await, Err(ClientError::Request { .. })));
}
