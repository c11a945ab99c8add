//! Times, places and the stop.

use crate::kit::{Ground, Keeper, LONG, TERMINAL, request};
use keysvc::front::FrontLimits;
use keysvc_protocol::{
    refusal::{Invalid, Refusal},
    request::Operation,
};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

fn quick() -> FrontLimits {
    FrontLimits { header_ms: 100, body_ms: 100, answer_ms: 100, idle_ms: 100, ..FrontLimits::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_stops_within_a_head_is_closed_in_time() {
    let ground = Ground::with_limits(quick()).await;
    let whole = request("status", b"");
    for upto in [0, 1, 20, whole.len() - 1] {
        let mut client = ground.terminal().await;
        client.send(&whole[..upto]).await;
        assert!(client.try_response().await.is_err(), "{upto}");
    }
    assert_eq!(ground.counters.requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_stops_within_a_body_is_refused_and_closed_in_time() {
    let ground = Ground::with_limits(quick()).await;
    let whole = request("status", b"body");
    for missing in [1, 4] {
        let mut client = ground.terminal().await;
        client.send(&whole[..whole.len() - missing]).await;
        let response = client.response().await;
        let refusal = Refusal::Invalid { reason: Invalid::Http };
        assert_eq!((response.status, response.refusal()), (400, refusal), "{missing}");
        assert!(client.try_response().await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_idle_after_an_answer_is_closed_in_time() {
    let ground = Ground::with_limits(quick()).await;
    let mut client = ground.terminal().await;
    assert_eq!(client.call("nothing", b"").await.status, 404);
    assert!(client.try_response().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_past_its_life_ends_after_the_answer_in_progress() {
    let limits = FrontLimits { connection_life_ms: 200, answer_ms: 400, ..FrontLimits::default() };
    let ground = Ground::with_limits(limits).await;
    let mut keeper = Keeper::start(&ground);
    let mut client = ground.served_terminal().await;
    client.send(&request("log.proof", b"")).await;
    keeper.next_call(Operation::LogProof).await;
    let response = client.response().await;
    assert_eq!(response.status, 503, "the keeper does not answer this one");
    assert!(response.head.contains("connection: close"), "{}", response.head);
    assert!(client.is_closed().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_has_asked_nothing_ends_with_its_life_and_at_the_stop() {
    let limits = FrontLimits { connection_life_ms: 200, ..FrontLimits::default() };
    let ground = Ground::with_limits(limits).await;
    assert!(ground.terminal().await.is_closed().await);
    let ground = Ground::with_limits(FrontLimits::default()).await;
    let mut client = ground.terminal().await;
    ground.stop().await;
    assert!(client.is_closed().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_sockets_take_handshake_places_only_and_only_for_their_time() {
    let limits = FrontLimits { handshakes_max: 4, handshake_ms: 300, ..FrontLimits::default() };
    let ground = Ground::with_limits(limits).await;
    let mut connected = ground.terminal().await;
    // Answered, so that its own handshake's place is free again.
    assert_eq!(connected.call("nothing", b"").await.status, 404);
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(ground.address).await.unwrap());
    }
    assert_eq!(connected.call("nothing", b"").await.status, 404, "who is in is not touched");
    for socket in &mut silent {
        let read = timeout(LONG, socket.read(&mut [0; 1])).await.unwrap();
        assert!(matches!(read, Ok(0) | Err(_)), "dropped, at once or after its time");
    }
    assert_eq!(ground.counters.handshakes_refused(), 4);
    assert_eq!(ground.terminal().await.call("nothing", b"").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_connections_of_one_certificate_are_served_and_the_next_is_dropped() {
    let ground = Ground::new().await;
    let _keeper = Keeper::start(&ground);
    ground.served_terminal().await;
    let identity = ground.authority.client(&[TERMINAL]);
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(ground.connect(&identity).await);
    }
    for client in &mut clients {
        client.send(&request("value.update", b"x")).await;
    }
    for client in &mut clients {
        assert_eq!(client.response().await.body, b"x");
    }
    let mut next = ground.connect(&identity).await;
    assert!(next.try_response().await.is_err());
    assert_eq!(ground.counters.connections_refused(), 1);
    let other = ground.authority.client(&[TERMINAL]);
    assert_eq!(ground.connect(&other).await.call("status", b"y").await.body, b"y");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn officers_are_let_in_when_clients_have_taken_every_place() {
    let ground = Ground::with_limits(FrontLimits { clients_max: 1, ..FrontLimits::default() }).await;
    let mut first = ground.terminal().await;
    assert_eq!(first.call("nothing", b"").await.status, 404);
    let mut second = ground.terminal().await;
    assert!(second.try_response().await.is_err());
    let officer = ground.authority.client(&["spiffe://demo.test/officer/ada"]);
    assert_eq!(ground.connect(&officer).await.call("nothing", b"").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_answers_what_is_in_flight_and_closes_the_rest() {
    let ground = Ground::with_limits(FrontLimits { answer_ms: 200, ..FrontLimits::default() }).await;
    let mut keeper = Keeper::start(&ground);
    let mut idle = ground.served_terminal().await;
    let mut busy = ground.terminal().await;
    busy.send(&request("log.proof", b"")).await;
    keeper.next_call(Operation::LogProof).await;
    ground.stop().await;
    assert_eq!(busy.response().await.status, 503);
    assert!(busy.is_closed().await);
    assert!(idle.is_closed().await);
}
