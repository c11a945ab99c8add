//! The link seen from a client: the keeper goes and comes back, is slow, or answers too much.

use crate::kit::{Ground, Keeper, request};
use keysvc_protocol::{cbor::REPLY_LEN_MAX, refusal::Refusal, request::Operation};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_keeper_the_answer_is_at_once_and_with_it_again_on_the_same_connection() {
    let ground = Ground::new().await;
    let keeper = Keeper::start(&ground);
    let mut client = ground.served_terminal().await;
    drop(keeper);
    let begun = Instant::now();
    let mut response = client.call("status", b"").await;
    while response.status == 200 {
        // The end of the keeper's runtime takes a moment.
        response = client.call("status", b"").await;
    }
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    assert_eq!((response.status, response.refusal()), (503, Refusal::TokenUnavailable));
    let _keeper = Keeper::start(&ground);
    let begun = Instant::now();
    client.wait_until_served().await;
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(ground.counters.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_in_flight_when_the_keeper_goes_is_answered_at_once() {
    let ground = Ground::new().await;
    let mut keeper = Keeper::start(&ground);
    let mut client = ground.served_terminal().await;
    client.send(&request("log.proof", b"")).await;
    keeper.next_call(Operation::LogProof).await;
    let begun = Instant::now();
    drop(keeper);
    let response = client.response().await;
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    assert_eq!((response.status, response.refusal()), (503, Refusal::TokenUnavailable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_never_answered_delays_no_other() {
    let ground = Ground::new().await;
    let mut keeper = Keeper::start(&ground);
    let mut client = ground.served_terminal().await;
    let mut waiting = ground.terminal().await;
    waiting.send(&request("log.proof", b"")).await;
    keeper.next_call(Operation::LogProof).await;
    for _ in 0..100 {
        assert_eq!(client.call("value.update", b"x").await.body, b"x");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_the_longest_reply_pass_and_a_longer_one_is_a_fault_of_ours() {
    let ground = Ground::new().await;
    let _keeper = Keeper::start(&ground);
    let mut client = ground.served_terminal().await;
    let response = client.call("key.get", b"").await;
    assert_eq!((response.status, response.refusal()), (403, Refusal::Forbidden));
    let response = client.call("log.entries", b"").await;
    assert_eq!((response.status, response.body.len()), (200, REPLY_LEN_MAX));
    let response = client.call("key.list", b"").await;
    assert_eq!((response.status, response.refusal()), (500, Refusal::Internal));
    assert_eq!(client.call("status", b"").await.status, 200);
}
