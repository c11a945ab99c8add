//! The health listener seen by a monitor: what it tells when all is well, when the keeper is away, silent or of another
//! build, and while the TLS port is flooded.

use crate::kit::{Ground, Keeper, LONG, state};
use keysvc::{
    front::FrontLimits,
    link::{Answer, KeeperState, Look},
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

async fn ground() -> Ground {
    let limits = FrontLimits { handshake_ms: 10_000, ..FrontLimits::default() };
    Ground::with(limits, |settings, _| settings.health = Some(([127, 0, 0, 1], 0).into())).await.unwrap()
}

/// Status, head and body of an answer to these bytes.
async fn exchange(address: SocketAddr, request: &str) -> (u16, String, String) {
    let exchanged = async {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        text
    };
    let text = timeout(LONG, exchanged).await.expect("an answer in time");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

async fn get(ground: &Ground, path: &str) -> (u16, String, String) {
    exchange(ground.health.unwrap(), &format!("GET {path} HTTP/1.1\r\nhost: monitor\r\n\r\n")).await
}

/// Asks until the service is ready.
async fn until_ready(ground: &Ground) {
    let ready = async { while get(ground, "/ready").await.0 != 200 {} };
    timeout(LONG, ready).await.expect("ready in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_in_order_is_alive_and_ready_and_tells_its_state_and_figures() {
    let ground = ground().await;
    let _keeper = Keeper::start(&ground);
    until_ready(&ground).await;
    ground.served_terminal().await.call("key.get", b"").await;
    assert_eq!(get(&ground, "/alive").await.2, "alive\n");
    assert_eq!(get(&ground, "/ready").await.2, "ready\n");
    let (status, head, body) = get(&ground, "/state").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/json"), "{head}");
    for words in
        ["\"ready\":true", "\"reasons\":[]", "\"leaves\":3", "\"certificate_not_after\":\"4096-01-01"]
    {
        assert!(body.contains(words), "no {words} in {body}");
    }
    let (status, head, body) = get(&ground, "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    for line in [
        "keysvc_front_keeper_up 1.0",
        "keysvc_front_ready 1.0",
        "keysvc_front_connections_total 1",
        "keysvc_front_keeper_connections_total 1",
        "keysvc_front_request_duration_seconds_count{operation=\"key.get\",outcome=\"refused\"} 1",
        "keysvc_keeper_halted 0",
    ] {
        assert!(body.lines().any(|one| one == line), "no {line} in\n{body}");
    }
    assert!(body.ends_with("# EOF\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_keeper_is_away_that_is_told_within_a_tenth_of_a_second() {
    let ground = ground().await;
    let keeper = Keeper::start(&ground);
    until_ready(&ground).await;
    drop(keeper);
    let begun = Instant::now();
    let (mut status, _, mut body) = get(&ground, "/ready").await;
    while status == 200 {
        // The end of the keeper's runtime takes a moment.
        (status, _, body) = get(&ground, "/ready").await;
    }
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(
        (status, body.as_str()),
        (503, "not ready\nthe keeper is not there: its log says why it ended\n")
    );
    let begun = Instant::now();
    assert_eq!(get(&ground, "/ready").await.0, 503);
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    assert_eq!(get(&ground, "/alive").await.0, 200);
    assert!(get(&ground, "/state").await.2.contains("\"keeper\":null"));
    assert!(get(&ground, "/metrics").await.2.contains("keysvc_front_keeper_up 0.0\n"));
    let _keeper = Keeper::start(&ground);
    until_ready(&ground).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halted_keeper_is_not_ready_and_says_why() {
    let ground = ground().await;
    let look = |_| {
        let halted = KeeperState { halted: true, token_silent_ms: 9_000, ..state() };
        Answer::reply(halted.encode())
    };
    let _keeper = Keeper::start_with(&ground, look);
    let told = async {
        loop {
            let (status, _, body) = get(&ground, "/ready").await;
            if body.contains("history was rolled back") {
                return (status, body);
            }
        }
    };
    let (status, body) = timeout(LONG, told).await.expect("told in time");
    assert_eq!(status, 503);
    assert!(body.contains("the token has not answered for 9 s"), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_that_hangs_or_is_of_another_build_does_not_make_a_monitor_wait() {
    let ground = ground().await;
    let look = |look| {
        if look == Look::State {
            std::thread::sleep(Duration::from_millis(400));
        }
        Answer::reply("another build's")
    };
    let _keeper = Keeper::start_with(&ground, look);
    ground.served_terminal().await;
    let begun = Instant::now();
    let (status, _, body) = get(&ground, "/ready").await;
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
    assert_eq!(status, 503);
    assert!(body.contains("does not answer") || body.contains("is not there"), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_handshakes_does_not_keep_a_monitor_waiting() {
    let ground = ground().await;
    let _keeper = Keeper::start(&ground);
    until_ready(&ground).await;
    let mut flood = Vec::new();
    for _ in 0..500 {
        // They say nothing: each holds a handshake's place for as long as it may.
        flood.push(TcpStream::connect(ground.address).await.unwrap());
    }
    let begun = Instant::now();
    for path in ["/alive", "/ready", "/state", "/metrics"] {
        assert_eq!(get(&ground, path).await.0, 200, "{path}");
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    drop(flood);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_methods_other_pages_long_heads_and_silence_get_nothing() {
    let ground = ground().await;
    let address = ground.health.unwrap();
    let (status, head, _) =
        exchange(address, "POST /ready HTTP/1.1\r\nhost: m\r\ncontent-length: 1\r\n\r\nx").await;
    assert_eq!(status, 405);
    assert!(head.contains("allow: get, head"), "{head}");
    let (status, _, body) = get(&ground, "/v1/status").await;
    assert_eq!((status, body.as_str()), (404, "there is /alive, /ready, /state and /metrics\n"));
    let long = format!("GET /{} HTTP/1.1\r\nhost: m\r\n\r\n", "x".repeat(20_000));
    assert!(matches!(exchange(address, &long).await.0, 400..=499));
    let mut silent = TcpStream::connect(address).await.unwrap();
    let begun = Instant::now();
    let ended = timeout(LONG, silent.read(&mut [0; 1])).await.expect("an end");
    assert!(matches!(ended, Ok(0) | Err(_)));
    assert!(begun.elapsed() < Duration::from_secs(5));
}
