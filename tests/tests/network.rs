//! Encodings that are not the one of what they say, and those that broke others' decoders (tests/src/hostile/corpus.rs): each
//! refused by the decoder, and by the running service, which then goes on.

use keysvc_protocol::{
    cbor::{DecodeError, REQUEST_LEN_MAX, decode},
    refusal::{Invalid, Refusal},
    reply::StatusReply,
    request::{
        AddJobItems, ApproveProposal, CreateJob, CreateKey, DeriveCardKeys, DestroyKey, DisablePrincipal,
        EnrolPrincipal, Envelope, GiveResults, ListPrincipals, OpenJob, Operation, ReadEntries, ReadProof,
        ReadStatus, SetFreeze, SetQuorum, UpdateValue, UpdateValues,
    },
    schema::Schema,
};
use keysvc_tests::{
    ground::Ground,
    hostile::{
        corpus::{appendix_a, bombs, wrong},
        requests::{Good, good},
    },
    raw::{Caller, envelope},
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;

/// Holds the decoder of one kind of message to everything that can be made of a good one.
fn refuses<T: Serialize + DeserializeOwned>(what: &str, good: &[u8]) -> usize {
    assert!(decode::<T>(good, REQUEST_LEN_MAX).is_ok(), "{what}");
    let all = wrong(good);
    for wrong in &all {
        assert!(decode::<T>(&wrong.bytes, REQUEST_LEN_MAX).is_err(), "{what}: {}", wrong.name);
    }
    for bomb in bombs() {
        assert!(decode::<T>(&bomb.bytes, REQUEST_LEN_MAX).is_err(), "{what}: {}", bomb.name);
    }
    for value in appendix_a() {
        assert!(decode::<T>(&value, REQUEST_LEN_MAX).is_err(), "{what}: {value:02x?}");
    }
    let long = vec![0x81; REQUEST_LEN_MAX + 1];
    assert!(matches!(decode::<T>(&long, REQUEST_LEN_MAX), Err(DecodeError::TooLong { .. })));
    all.len()
}

#[test]
fn the_decoder_refuses_every_encoding_but_the_one_of_requests_of_every_shape() {
    let (mut tried, mut shapes) = (0, BTreeSet::new());
    for Good { operation, payload } in good() {
        let what = operation.name();
        tried += match operation {
            Operation::Status => refuses::<ReadStatus>(what, &payload),
            Operation::LogEntries => refuses::<ReadEntries>(what, &payload),
            Operation::LogProof => refuses::<ReadProof>(what, &payload),
            Operation::PrincipalList => refuses::<ListPrincipals>(what, &payload),
            Operation::PrincipalEnrol => refuses::<EnrolPrincipal>(what, &payload),
            Operation::PrincipalDisable => refuses::<DisablePrincipal>(what, &payload),
            Operation::KeyCreate => refuses::<CreateKey>(what, &payload),
            Operation::KeyDestroy => refuses::<DestroyKey>(what, &payload),
            Operation::JobCreate => refuses::<CreateJob>(what, &payload),
            Operation::JobItems => refuses::<AddJobItems>(what, &payload),
            Operation::JobOpen => refuses::<OpenJob>(what, &payload),
            Operation::CardDerive => refuses::<DeriveCardKeys>(what, &payload),
            Operation::CardResult => refuses::<GiveResults>(what, &payload),
            Operation::ValueUpdate => refuses::<UpdateValue>(what, &payload),
            Operation::ValueBatch => refuses::<UpdateValues>(what, &payload),
            Operation::FreezeSet => refuses::<SetFreeze>(what, &payload),
            Operation::QuorumSet => refuses::<SetQuorum>(what, &payload),
            Operation::ProposalApprove => refuses::<ApproveProposal>(what, &payload),
            _ => 0,
        };
        tried += refuses::<Envelope>(what, &envelope(payload));
        shapes.insert(what);
    }
    assert!(tried > 10_000 && shapes.len() == Operation::ALL.len(), "{tried} encodings of {}", shapes.len());
}

#[test]
fn the_running_service_refuses_each_by_name_and_answers_whoever_asks_well_after_it() {
    let ground = Ground::new();
    let mut caller = Caller::new(ground.site(), "terminal-1");
    let encoding = Refusal::Invalid { reason: Invalid::Encoding };
    let status = good().into_iter().find(|good| good.operation == Operation::Status).unwrap().payload;
    let whole = envelope(status.clone());
    let mut bodies: Vec<(String, Vec<u8>)> = Vec::new();
    bodies.extend(wrong(&whole).into_iter().map(|wrong| (wrong.name, wrong.bytes)));
    bodies.extend(wrong(&status).into_iter().map(|wrong| (wrong.name, envelope(wrong.bytes))));
    bodies.extend(bombs().into_iter().map(|bomb| (bomb.name, bomb.bytes)));
    bodies.extend(bombs().into_iter().map(|bomb| (bomb.name, envelope(bomb.bytes))));
    bodies
        .extend(appendix_a().into_iter().map(|value| ("an example of RFC 8949".to_owned(), envelope(value))));
    assert!(bodies.len() > 200, "{}", bodies.len());
    for (name, body) in bodies {
        assert_eq!(caller.line.post(Operation::Status.name(), &body).refusal(), encoding, "{name}");
    }
    caller.ask::<StatusReply>(Operation::Status, &ReadStatus { schema: Schema }).unwrap();
    ground.assert_no_signal();
}
