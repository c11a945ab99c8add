//! Proves the connection's rules against a far end with real TLS.

use super::{
    Connections,
    stand_in::{Authority, StandIn, Step, Trusts},
};
use crate::{
    config::{ClientConfig, ConfigError},
    deadline::Limit,
    error::ClientError,
};
use bytes::Bytes;
use keysvc_protocol::{refusal::Refusal, request::Operation};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
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

async fn ask(connections: &Connections, config: &ClientConfig) -> Result<Bytes, ClientError> {
    let deadline = Limit::Each(config.deadline()).begin()?;
    let answered = connections.call(Operation::Status, Bytes::from_static(b"question"), deadline).await?;
    let crate::connect::Answered::Reply(reply) = answered else { panic!("{answered:?}") };
    Ok(reply)
}

async fn call_with(config: &ClientConfig) -> Result<Bytes, ClientError> {
    ask(&Connections::new(config)?, config).await
}

async fn call(ground: &StandIn) -> Result<Bytes, ClientError> {
    call_with(&ground.config()).await
}

/// An endpoint where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn reply() -> Step {
    Step::Reply(b"answer".to_vec())
}

#[tokio::test]
async fn one_connection_serves_many_calls() {
    let (answers, asked) = script(vec![reply(), reply(), reply()]);
    let ground = StandIn::start(answers).await;
    let connections = Connections::new(&ground.config()).unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&connections, &ground.config()).await.unwrap().as_ref(), b"answer");
        assert_eq!(connections.pool.idle(), 1);
    }
    assert_eq!(ground.accepted(), 1);
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
    let asked = Arc::new(AtomicBool::new(false));
    let was_asked = asked.clone();
    let answers = move |_, _| {
        was_asked.store(true, Ordering::Release);
        reply()
    };
    let ground = StandIn::start_with(&Trusts { service: &site, clients: &other, ours: &site }, answers).await;
    let connections = Connections::new(&ground.config()).unwrap();
    connections.pool.suspect(0, true);
    let error = ask(&connections, &ground.config()).await.unwrap_err();
    assert!(matches!(error, ClientError::Authentication { .. }), "{error:?}");
    assert!(!asked.load(Ordering::Acquire), "nothing was sent");
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
    let error = call_with(&config).await.unwrap_err();
    assert!(matches!(error, ClientError::Authentication { .. }), "{error:?}");
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let (answers, _) = script(Vec::new());
    let ground = StandIn::start(answers).await;
    let mut config = ground.config();
    config.deadline_ms = 100;
    let connections = Connections::new(&config).unwrap();
    let error = ask(&connections, &config).await.unwrap_err();
    let ClientError::Timeout { after_ms: 100, reached } = error else { panic!("{error:?}") };
    assert_eq!(reached, format!("{}: it did not answer", config.endpoints[0]));
    assert_eq!(connections.pool.idle(), 0, "a half-read connection is never used again");
}

#[tokio::test]
async fn nobody_there_is_unreachable_by_name() {
    let (answers, _) = script(Vec::new());
    let ground = StandIn::start(answers).await;
    let (endpoint, mut config) = (nobody(), ground.config());
    (config.endpoints, config.deadline_ms) = (vec![endpoint.clone()], 200);
    let error = call_with(&config).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { endpoint: named, .. } if named == endpoint));
}

#[tokio::test]
async fn a_request_that_was_sent_and_never_answered_may_have_been_carried_out() {
    let (answers, _) = script((0..1_000).map(|_| Step::HangUp).collect());
    let ground = StandIn::start(answers).await;
    let mut config = ground.config();
    config.deadline_ms = 500;
    let error = call_with(&config).await.unwrap_err();
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
    let error = Connections::new(&ground.config()).unwrap_err();
    assert!(matches!(error, ClientError::Config(ConfigError::TooOpen { path, mode: 0o640 }) if path == key));
}

#[tokio::test]
async fn calls_are_under_way_at_once_on_no_more_connections_than_configured() {
    let ground = StandIn::start_slow(Duration::from_millis(300), |_, _| reply()).await;
    let mut config = ground.config();
    config.connections = 3;
    let connections = Connections::new(&config).unwrap();
    let began = Instant::now();
    let calls = [(); 3].map(|()| ask(&connections, &config));
    let [one, two, three] = calls;
    let (one, two, three) = tokio::join!(one, two, three);
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert!(began.elapsed() < Duration::from_millis(850), "one after the other: {:?}", began.elapsed());
    let calls: Vec<_> = (0..7).map(|_| ask(&connections, &config)).collect();
    for answer in together(calls).await {
        assert!(answer.is_ok());
    }
    assert_eq!(ground.accepted(), 3);
}

/// Runs futures side by side in one task.
async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut done = true;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => done = false,
                }
            }
        }
        if done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    futures.into_iter().map(|(_, output)| output.unwrap()).collect()
}

#[tokio::test]
async fn a_call_that_finds_every_connection_busy_ends_at_its_deadline_unsent() {
    let (answers, asked) = script(Vec::new());
    let ground = StandIn::start(answers).await;
    let mut config = ground.config();
    // Long enough for the first call's handshake on a busy machine.
    (config.connections, config.deadline_ms) = (1, 2_000);
    let connections = Connections::new(&config).unwrap();
    // Ends before the first gives its place back, which it does at its own deadline.
    let hurried = ClientConfig { deadline_ms: 1_000, ..config.clone() };
    let (first, second) = tokio::join!(ask(&connections, &config), ask(&connections, &hurried));
    assert!(matches!(first, Err(ClientError::Timeout { .. })), "{first:?}");
    let second = second.unwrap_err();
    assert!(matches!(&second, ClientError::Unreachable { endpoint, .. } if *endpoint == config.endpoints[0]));
    assert!(second.to_string().contains("every connection was busy"), "{second}");
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_idle_connection_that_the_service_closed_is_replaced_before_anything_is_sent() {
    let (answers, asked) = script(vec![reply(), reply()]);
    let ground = StandIn::start(answers).await;
    let connections = Connections::new(&ground.config()).unwrap();
    ask(&connections, &ground.config()).await.unwrap();
    ground.close_all();
    // Blocked as a whole: where a runtime runs only during calls, nobody sees the closing until the next one.
    std::thread::sleep(Duration::from_millis(150));
    let mut config = ground.config();
    // Too short for a pause after a failure to matter, and long enough for a handshake.
    config.deadline_ms = 5_000;
    ask(&connections, &config).await.unwrap();
    assert_eq!((asked.lock().unwrap().len(), ground.accepted()), (2, 2));
}

/// Two far ends of one authority, and a configuration with both.
async fn two(
    first: Vec<Step>,
    second: Vec<Step>,
) -> ([StandIn; 2], [Arc<Mutex<Vec<Bytes>>>; 2], ClientConfig) {
    let site = Authority::new();
    let trusts = Trusts { service: &site, clients: &site, ours: &site };
    let ((one, asked_one), (two, asked_two)) = (script(first), script(second));
    let grounds = [StandIn::start_with(&trusts, one).await, StandIn::start_with(&trusts, two).await];
    let mut config = grounds[0].config();
    config.endpoints.extend(grounds[1].config().endpoints);
    (grounds, [asked_one, asked_two], config)
}

#[tokio::test]
async fn a_call_fails_over_to_the_next_endpoint_and_later_calls_begin_there() {
    for failure in [
        Step::HangUp,
        Step::Refuse(Refusal::TokenUnavailable),
        Step::Refuse(Refusal::StoreUnavailable),
        Step::Refuse(Refusal::Busy),
    ] {
        let (_grounds, asked, config) = two(vec![failure], vec![reply(), reply()]).await;
        let connections = Connections::new(&config).unwrap();
        for _ in 0..2 {
            assert_eq!(ask(&connections, &config).await.unwrap().as_ref(), b"answer");
        }
        assert_eq!(asked.map(|asked| asked.lock().unwrap().len()), [1, 2]);
    }
}

#[tokio::test]
async fn a_final_refusal_is_not_taken_to_another_endpoint() {
    let (_grounds, asked, config) = two(vec![Step::Refuse(Refusal::Forbidden)], vec![reply()]).await;
    let error = call_with(&config).await.unwrap_err();
    assert_eq!(error.refusal(), Some(&Refusal::Forbidden));
    assert_eq!(asked.map(|asked| asked.lock().unwrap().len()), [1, 0]);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_costs_no_pause() {
    let (_grounds, asked, mut config) = two(Vec::new(), vec![reply()]).await;
    config.endpoints[0] = nobody();
    assert_eq!(call_with(&config).await.unwrap().as_ref(), b"answer");
    assert_eq!(asked.map(|asked| asked.lock().unwrap().len()), [0, 1]);
}

#[tokio::test]
async fn an_endpoint_that_falls_silent_has_half_of_the_time() {
    let (_grounds, asked, mut config) = two(vec![Step::Silence], vec![reply()]).await;
    config.deadline_ms = 2_000;
    let began = Instant::now();
    assert_eq!(call_with(&config).await.unwrap().as_ref(), b"answer");
    assert!(began.elapsed() < Duration::from_millis(1_900), "{:?}", began.elapsed());
    let asked = asked.map(|asked| asked.lock().unwrap().clone());
    assert_eq!(asked[0], asked[1], "the same bytes at both");
}

#[tokio::test]
async fn when_no_endpoint_answers_each_is_named_with_its_fault() {
    let (_grounds, _, mut config) = two(Vec::new(), Vec::new()).await;
    config.endpoints = vec![nobody(), nobody()];
    config.deadline_ms = 300;
    let text = call_with(&config).await.unwrap_err().to_string();
    for endpoint in &config.endpoints {
        assert!(text.contains(&format!("{endpoint}: ")), "{text}");
    }
}
