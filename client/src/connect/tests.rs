//! Proves the connection's rules against a far end with real TLS.

use super::{
    Connection,
    stand_in::{Authority, StandIn, Step, Trusts},
};
use crate::{config::ConfigError, error::ClientError};
use bytes::Bytes;
use keysvc_protocol::{refusal::Refusal, request::Operation};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
};

/// Answers by a list of steps, and keeps what was asked.
fn script(
    steps: Vec<Step>,
) -> (impl FnMut(Operation, Bytes) -> Step + Send + 'static, Arc<Mutex<Vec<Bytes>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (mut steps, kept) = (steps.into_iter(), asked.clone());
    let answers = move |_: Operation, body: Bytes| {
        kept.lock().unwrap().push(body);
        steps.next().unwrap_or(Step::Silence)
    };
    (answers, asked)
}

async fn call(ground: &StandIn) -> Result<Bytes, ClientError> {
    let mut connection = Connection::new(&ground.config())?;
    connection.call(Operation::Status, Bytes::from_static(b"question")).await
}

fn reply() -> Step {
    Step::Reply(b"answer".to_vec())
}

#[tokio::test]
async fn one_connection_serves_many_calls() {
    let (answers, asked) = script(vec![reply(), reply(), reply()]);
    let ground = StandIn::start(answers).await;
    let mut connection = Connection::new(&ground.config()).unwrap();
    for _ in 0..3 {
        let answer = connection.call(Operation::Status, Bytes::from_static(b"question")).await.unwrap();
        assert_eq!(answer.as_ref(), b"answer");
        assert!(connection.sender.is_some());
    }
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn retryable_refusals_and_broken_connections_are_retried_with_the_same_bytes() {
    let refusals = [Refusal::Busy, Refusal::TokenUnavailable, Refusal::StoreUnavailable, Refusal::Internal];
    let mut steps: Vec<_> = refusals.into_iter().map(Step::Refuse).collect();
    steps.extend([Step::HangUp, Step::HangUp, reply()]);
    let (answers, asked) = script(steps);
    let ground = StandIn::start(answers).await;
    assert_eq!(call(&ground).await.unwrap().as_ref(), b"answer");
    assert_eq!(*asked.lock().unwrap(), vec![Bytes::from_static(b"question"); 7]);
}

#[tokio::test]
async fn a_final_refusal_is_not_retried() {
    let (answers, asked) = script(vec![Step::Refuse(Refusal::CounterConflict { expected_seq: 3 })]);
    let ground = StandIn::start(answers).await;
    let error = call(&ground).await.unwrap_err();
    assert_eq!(error.refusal(), Some(&Refusal::CounterConflict { expected_seq: 3 }));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_certificate_the_service_does_not_accept_is_an_authentication_error_every_time() {
    let (site, other) = (Authority::new(), Authority::new());
    for _ in 0..20 {
        let (answers, asked) = script(vec![reply()]);
        let trusts = Trusts { service: &site, clients: &other, ours: &site };
        let ground = StandIn::start_with(&trusts, answers).await;
        let error = call(&ground).await.unwrap_err();
        assert!(matches!(error, ClientError::Authentication { .. }), "{error:?}");
        assert!(error.to_string().contains("did not accept our certificate"), "{error}");
        assert_eq!(asked.lock().unwrap().len(), 0);
    }
}

#[tokio::test]
async fn after_a_connection_closed_without_a_word_a_refusal_is_heard_before_anything_is_sent() {
    let (site, other) = (Authority::new(), Authority::new());
    let (answers, _) = script(vec![reply()]);
    let ground = StandIn::start_with(&Trusts { service: &site, clients: &other, ours: &site }, answers).await;
    let mut connection = Connection::new(&ground.config()).unwrap();
    connection.suspicious = true;
    let error = connection.call(Operation::Status, Bytes::new()).await.unwrap_err();
    assert!(matches!(error, ClientError::Authentication { .. }), "{error:?}");
    assert!(!connection.asked);
}

#[tokio::test]
async fn a_service_of_another_authority_is_an_authentication_error() {
    let (site, other) = (Authority::new(), Authority::new());
    let (answers, _) = script(vec![reply()]);
    let trusts = Trusts { service: &other, clients: &site, ours: &site };
    let ground = StandIn::start_with(&trusts, answers).await;
    let error = call(&ground).await.unwrap_err();
    assert!(matches!(error, ClientError::Authentication { .. }), "{error:?}");
    assert!(error.to_string().contains("the service's certificate is not acceptable"), "{error}");
}

#[tokio::test]
async fn a_service_of_another_name_is_an_authentication_error() {
    let (answers, _) = script(vec![reply()]);
    let ground = StandIn::start(answers).await;
    let mut config = ground.config();
    config.server_name = "keysvc.test".into();
    let mut connection = Connection::new(&config).unwrap();
    let error = connection.call(Operation::Status, Bytes::new()).await.unwrap_err();
    assert!(matches!(error, ClientError::Authentication { .. }), "{error:?}");
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let (answers, _) = script(Vec::new());
    let ground = StandIn::start(answers).await;
    let mut config = ground.config();
    config.deadline_ms = 100;
    let mut connection = Connection::new(&config).unwrap();
    let error = connection.call(Operation::Status, Bytes::new()).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { after_ms: 100 }), "{error:?}");
    assert!(connection.sender.is_none(), "a half-read connection is never used again");
}

#[tokio::test]
async fn nobody_there_is_unreachable_by_name() {
    let (answers, _) = script(Vec::new());
    let ground = StandIn::start(answers).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut config = ground.config();
    (config.endpoint, config.deadline_ms) = (endpoint.clone(), 200);
    let mut connection = Connection::new(&config).unwrap();
    let error = connection.call(Operation::Status, Bytes::new()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { endpoint: named, .. } if named == endpoint));
}

#[tokio::test]
async fn a_request_that_was_sent_and_never_answered_may_have_been_carried_out() {
    let (answers, _) = script((0..1_000).map(|_| Step::HangUp).collect());
    let ground = StandIn::start(answers).await;
    let mut config = ground.config();
    config.deadline_ms = 500;
    let mut connection = Connection::new(&config).unwrap();
    let error = connection.call(Operation::Status, Bytes::new()).await.unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("a change may have been carried out"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_neither_reply_nor_refusal_is_malformed() {
    let (answers, asked) = script(vec![Step::Raw(502, b"bad gateway".to_vec()), reply()]);
    let ground = StandIn::start(answers).await;
    assert!(matches!(call(&ground).await, Err(ClientError::Malformed { .. })));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_reply_over_its_limit_is_malformed() {
    let long = vec![0; keysvc_protocol::cbor::REPLY_LEN_MAX + 1];
    let (answers, _) = script(vec![Step::Reply(long)]);
    let ground = StandIn::start(answers).await;
    assert!(matches!(call(&ground).await, Err(ClientError::Malformed { .. })));
}

#[tokio::test]
async fn a_key_file_open_to_others_is_refused() {
    let (answers, _) = script(Vec::new());
    let ground = StandIn::start(answers).await;
    let key = ground.config().key;
    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    let error = Connection::new(&ground.config()).unwrap_err();
    assert!(matches!(error, ClientError::Config(ConfigError::TooOpen { path, mode: 0o640 }) if path == key));
}
