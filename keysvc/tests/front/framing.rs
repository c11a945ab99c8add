//! What is not plainly one request is refused before the HTTP library can read it in two ways.

use crate::kit::{Ground, Keeper, request};
use keysvc_protocol::refusal::{Invalid, Refusal, Thing};

const HTTP: Refusal = Refusal::Invalid { reason: Invalid::Http };
const TOO_LONG: Refusal = Refusal::Invalid { reason: Invalid::TooLong };

/// Sends the bytes on a connection of their own; the refusal must come and then the end.
async fn refused_and_closed(ground: &Ground, bytes: &[u8]) -> (u16, Refusal) {
    let mut client = ground.terminal().await;
    client.send(bytes).await;
    let response = client.response().await;
    assert!(response.head.contains("connection: close"), "{}", response.head);
    assert!(client.is_closed().await);
    (response.status, response.refusal())
}

fn with_headers(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /v1/status HTTP/1.1\r\n{headers}content-type: application/cbor\r\n\r\n{body}").into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_parsers_could_read_in_two_ways_is_refused_and_the_connection_closed() {
    let ground = Ground::new().await;
    let _keeper = Keeper::start(&ground);
    ground.served_terminal().await;
    let both = "host: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n";
    let smuggled = "0\r\n\r\nPOST /v1/status HTTP/1.1\r\nhost: a\r\n\r\n";
    let cases = [
        ("length and chunks", with_headers(both, smuggled)),
        ("chunks", with_headers("host: a\r\ntransfer-encoding: chunked\r\n", "1\r\na\r\n0\r\n\r\n")),
        ("two lengths", with_headers("host: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n", "a")),
        (
            "two lengths that differ",
            with_headers("host: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n", "ab"),
        ),
        ("a signed length", with_headers("host: a\r\ncontent-length: +1\r\n", "a")),
        ("no host", with_headers("content-length: 1\r\n", "a")),
        ("two hosts", with_headers("host: a\r\nhost: a\r\ncontent-length: 1\r\n", "a")),
        ("a folded header", with_headers("host: a\r\n b\r\ncontent-length: 1\r\n", "a")),
        ("a space before the colon", with_headers("host: a\r\ncontent-length : 1\r\n", "a")),
        ("bare line feeds", b"POST /v1/status HTTP/1.1\nhost: a\ncontent-length: 0\n\n".to_vec()),
        ("one bare line feed", with_headers("host: a\nx: y\r\n", "")),
        ("a bare carriage return", with_headers("host: a\rx: y\r\n", "")),
        ("HTTP/1.0", b"POST /v1/status HTTP/1.0\r\nhost: a\r\n\r\n".to_vec()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("another host's form", b"POST http://a/v1/status HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()),
        ("an empty line first", [b"\r\n", &request("status", b"")[..]].concat()),
    ];
    let count = u64::try_from(cases.len()).unwrap();
    let before = ground.counters.refusals();
    for (name, bytes) in cases {
        assert_eq!(refused_and_closed(&ground, &bytes).await, (400, HTTP), "{name}");
    }
    assert_eq!(ground.counters.refusals() - before, count);
}

#[tokio::test]
async fn a_head_of_70_kilobytes_is_refused_with_its_own_status() {
    let ground = Ground::new().await;
    let long = with_headers(&format!("host: a\r\nx: {}\r\n", "y".repeat(70_000)), "");
    assert_eq!(refused_and_closed(&ground, &long).await, (431, TOO_LONG));
    let many = with_headers(&format!("host: a\r\n{}", "x: y\r\n".repeat(40)), "");
    assert_eq!(refused_and_closed(&ground, &many).await, (431, TOO_LONG));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_64_kibibytes_passes_and_one_more_byte_does_not() {
    let ground = Ground::new().await;
    let _keeper = Keeper::start(&ground);
    let mut client = ground.served_terminal().await;
    let body = vec![7; 64 * 1024];
    let response = client.call("status", &body).await;
    assert_eq!((response.status, response.body.len()), (200, body.len()));
    let over = request("status", &vec![7; 64 * 1024 + 1]);
    assert_eq!(refused_and_closed(&ground, &over).await, (413, TOO_LONG));
    let announced = with_headers("host: a\r\ncontent-length: 999999999999\r\n", "");
    assert_eq!(refused_and_closed(&ground, &announced).await, (413, TOO_LONG));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_methods_types_and_paths_are_refused_on_a_connection_that_stays() {
    let ground = Ground::new().await;
    let _keeper = Keeper::start(&ground);
    let mut client = ground.served_terminal().await;
    let typed = |kind: &str| format!("POST /v1/status HTTP/1.1\r\nhost: a\r\n{kind}\r\n").into_bytes();
    let cbor = "content-type: application/cbor\r\n";
    for bytes in [
        b"GET /v1/status HTTP/1.1\r\nhost: a\r\ncontent-type: application/cbor\r\n\r\n".to_vec(),
        b"PUT /v1/status HTTP/1.1\r\nhost: a\r\ncontent-type: application/cbor\r\n\r\n".to_vec(),
        typed(""),
        typed("content-type: application/json\r\n"),
        typed(&cbor.repeat(2)),
        request("status?x=y", b""),
        b"POST /v2/status HTTP/1.1\r\nhost: a\r\ncontent-type: application/cbor\r\n\r\n".to_vec(),
    ] {
        let response = client.exchange(&bytes).await;
        assert_eq!((response.status, response.refusal()), (400, HTTP), "{bytes:?}");
    }
    for operation in ["nothing", "", "Status", "status/", "value.update.x"] {
        let response = client.call(operation, b"").await;
        let not_found = Refusal::NotFound { what: Thing::Operation };
        assert_eq!((response.status, response.refusal()), (404, not_found), "{operation}");
    }
    assert_eq!(client.call("status", b"still").await.body, b"still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_sent_together_are_answered_in_order_and_a_bad_one_only_in_its_turn() {
    let ground = Ground::new().await;
    let _keeper = Keeper::start(&ground);
    let mut client = ground.served_terminal().await;
    let mut bytes = [request("status", b"one"), request("value.update", b"two")].concat();
    bytes.extend_from_slice(&with_headers("host: a\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"));
    bytes.extend_from_slice(&request("status", b"three"));
    client.send(&bytes).await;
    assert_eq!(client.response().await.body, b"one");
    assert_eq!(client.response().await.body, b"two");
    let refused = client.response().await;
    assert_eq!((refused.status, refused.refusal()), (400, HTTP));
    assert!(client.is_closed().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_single_bytes_is_the_same_request() {
    let ground = Ground::new().await;
    let _keeper = Keeper::start(&ground);
    let mut client = ground.served_terminal().await;
    for byte in request("value.update", b"drip") {
        client.send(&[byte]).await;
    }
    assert_eq!(client.response().await.body, b"drip");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_has_a_number_of_its_own() {
    let ground = Ground::new().await;
    let mut client = ground.terminal().await;
    let first = client.call("nothing", b"").await.body;
    let second = client.call("nothing", b"").await.body;
    assert_ne!(first, second);
}
