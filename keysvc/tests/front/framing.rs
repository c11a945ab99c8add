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

/// What must come back for a request and the end of the connection with it.
type Case = (&'static str, Vec<u8>, (u16, Refusal));

const BAD: (u16, Refusal) = (400, HTTP);
const LONG_HEAD: (u16, Refusal) = (431, TOO_LONG);
const LONG_BODY: (u16, Refusal) = (413, TOO_LONG);
/// A request that would be carried out if it were found behind another.
const SMUGGLED: &str = "POST /v1/status HTTP/1.1\r\nhost: a\r\ncontent-type: application/cbor\r\n\r\n";

fn bad(name: &'static str, headers: &str, body: &str) -> Case {
    (name, with_headers(headers, body), BAD)
}

fn raw(name: &'static str, bytes: &str) -> Case {
    (name, bytes.as_bytes().to_vec(), BAD)
}

/// Lengths and chunks: where one message ends and the next begins must be said once and plainly.
fn lengths() -> Vec<Case> {
    let chunks = |value: &str| format!("host: a\r\ntransfer-encoding: {value}\r\n");
    let smuggled = format!("0\r\n\r\n{SMUGGLED}");
    let both = "host: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n";
    let turned = "host: a\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n";
    let length = |value: &str| format!("host: a\r\ncontent-length: {value}\r\n");
    vec![
        bad("length and chunks", both, &smuggled),
        bad("chunks and length", turned, &smuggled),
        bad("length and chunks in upper case", &both.to_uppercase(), &smuggled),
        bad("chunks", &chunks("chunked"), "1\r\na\r\n0\r\n\r\n"),
        bad("chunks with an extension", &chunks("chunked"), "1;x=y\r\na\r\n0\r\n\r\n"),
        bad("chunks of a length that is none", &chunks("chunked"), "zz\r\na\r\n0\r\n\r\n"),
        bad("chunks of a length of 2^64", &chunks("chunked"), "10000000000000000\r\na\r\n"),
        bad("chunks of a negative length", &chunks("chunked"), "-1\r\na\r\n"),
        bad("chunks with trailers", &chunks("chunked"), "0\r\ncontent-length: 4\r\n\r\n"),
        bad("chunks between bare line feeds", &chunks("chunked"), "1\na\n0\n\n"),
        bad("chunks in another writing", &chunks("Chunked"), "0\r\n\r\n"),
        bad("chunks with a vertical tab before them", &chunks("\u{b}chunked"), "0\r\n\r\n"),
        bad("chunks behind another coding", &chunks("gzip, chunked"), "0\r\n\r\n"),
        bad("chunks before another coding", &chunks("chunked, gzip"), "0\r\n\r\n"),
        bad("chunks twice", &chunks("chunked\r\ntransfer-encoding: chunked"), "0\r\n\r\n"),
        bad("a coding that is none", &chunks("identity"), ""),
        bad("an unknown coding", &chunks("xchunked"), ""),
        bad("an empty coding", &chunks(""), ""),
        bad("a coding in a name with a space", "host: a\r\ntransfer-encoding : chunked\r\n", "0\r\n\r\n"),
        bad("two lengths", &length("1\r\ncontent-length: 1"), "a"),
        bad("two lengths that differ", &length("1\r\ncontent-length: 2"), "ab"),
        bad("two lengths in one", &length("1, 1"), "a"),
        bad("a signed length", &length("+1"), "a"),
        bad("a negative length", &length("-1"), "a"),
        bad("a length in sixteens", &length("0x1"), "a"),
        bad("a length with a fraction", &length("1.0"), "a"),
        bad("a length in two parts", &length("1 1"), "a"),
        bad("an empty length", &length(""), "a"),
        bad("a length of 2^64", &length("18446744073709551616"), "a"),
        bad("a length in other digits", &length("\u{661}"), "a"),
        ("a length over the limit", with_headers(&length("65537"), ""), LONG_BODY),
        ("a length far over the limit", with_headers(&length("999999999999"), ""), LONG_BODY),
    ]
}

/// Lines and headers.
fn lines() -> Vec<Case> {
    let many = "x: y\r\n".repeat(40);
    vec![
        bad("no host", "content-length: 1\r\n", "a"),
        bad("two hosts", "host: a\r\nhost: b\r\n", ""),
        bad("the same host twice", "host: a\r\nhost: a\r\n", ""),
        bad("an empty host", "host: \r\n", ""),
        bad("a folded header", "host: a\r\n b\r\n", ""),
        bad("a header folded by a tab", "host: a\r\nx: y\r\n\tz\r\n", ""),
        bad("a folded first header", " x: y\r\nhost: a\r\n", ""),
        bad("a space before the colon", "host: a\r\ncontent-length : 1\r\n", "a"),
        bad("a header without a colon", "host: a\r\nx\r\n", ""),
        bad("a header without a name", "host: a\r\n: y\r\n", ""),
        bad("a name with a bracket", "host: a\r\nx(: y\r\n", ""),
        bad("a name that is not ASCII", "host: a\r\n\u{e9}: y\r\n", ""),
        bad("a zero byte in a value", "host: a\r\nx: \0\r\n", ""),
        bad("a bell in a value", "host: a\r\nx: \u{7}\r\n", ""),
        bad("one bare line feed", "host: a\nx: y\r\n", ""),
        bad("a bare carriage return", "host: a\rx: y\r\n", ""),
        bad("two carriage returns", "host: a\r\r\nx: y\r\n", ""),
        raw("bare line feeds", "POST /v1/status HTTP/1.1\nhost: a\ncontent-length: 0\n\n"),
        raw("a head that ends in a bare line feed", "POST /v1/status HTTP/1.1\r\nhost: a\r\n\n"),
        (
            "a head of 70 kilobytes",
            with_headers(&format!("host: a\r\nx: {}\r\n", "y".repeat(70_000)), ""),
            LONG_HEAD,
        ),
        (
            "a name of 9 kilobytes",
            with_headers(&format!("host: a\r\n{}: y\r\n", "x".repeat(9_000)), ""),
            LONG_HEAD,
        ),
        (
            "a path of 9 kilobytes",
            format!("POST /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(9_000)).into_bytes(),
            LONG_HEAD,
        ),
        ("forty headers", with_headers(&format!("host: a\r\n{many}"), ""), LONG_HEAD),
    ]
}

/// First lines, other protocols, and what would make a connection another thing.
fn first_lines() -> Vec<Case> {
    let whole = |line: &str| format!("{line}\r\nhost: a\r\n\r\n");
    vec![
        raw("HTTP/1.0", &whole("POST /v1/status HTTP/1.0")),
        raw("HTTP/0.9", "GET /v1/status\r\n\r\n"),
        raw("HTTP/1.2", &whole("POST /v1/status HTTP/1.2")),
        raw("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        raw("a version in lower case", &whole("POST /v1/status http/1.1")),
        raw("no version", &whole("POST /v1/status")),
        raw("another host's form", &whole("POST http://a/v1/status HTTP/1.1")),
        raw("a proxy's form", &whole("CONNECT a:443 HTTP/1.1")),
        raw("the form for all", &whole("OPTIONS * HTTP/1.1")),
        raw("a path without a slash", &whole("POST v1/status HTTP/1.1")),
        raw("two spaces", &whole("POST  /v1/status HTTP/1.1")),
        raw("a tab for a space", &whole("POST\t/v1/status\tHTTP/1.1")),
        raw("a space behind the version", &whole("POST /v1/status HTTP/1.1 ")),
        raw("a space before the method", &whole(" POST /v1/status HTTP/1.1")),
        raw("a method with a bracket", &whole("P(ST /v1/status HTTP/1.1")),
        raw("a path that is not ASCII", &whole("POST /v1/st\u{e4}tus HTTP/1.1")),
        raw("a zero byte in the path", &whole("POST /v1/st\0tus HTTP/1.1")),
        raw("an empty line first", &format!("\r\n{SMUGGLED}")),
        raw("a bare line feed first", &format!("\n{SMUGGLED}")),
        raw("a TLS record within", "\u{16}\u{3}\u{1}\0\u{5}hello\r\n\r\n"),
        raw("another protocol", "SSH-2.0-x\r\n\r\n"),
        raw("a proxy's word before", &format!("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n{SMUGGLED}")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_parsers_could_read_in_two_ways_is_refused_and_the_connection_closed() {
    let ground = Ground::new().await;
    let mut keeper = Keeper::start(&ground);
    ground.served_terminal().await;
    // The terminal's own questions are not to be taken for smuggled ones.
    while keeper.calls.try_recv().is_ok() {}
    let cases = [lengths(), lines(), first_lines()].concat();
    let count = u64::try_from(cases.len()).unwrap();
    assert!(count >= 70, "{count} cases");
    let before = ground.counters.refusals();
    for (name, bytes, expected) in cases {
        assert_eq!(refused_and_closed(&ground, &bytes).await, expected, "{name}");
    }
    assert_eq!(ground.counters.refusals() - before, count);
    // And what was behind them reached nobody.
    assert!(keeper.calls.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_asks_for_another_thing_beside_is_answered_as_if_it_had_not() {
    let ground = Ground::new().await;
    let _keeper = Keeper::start(&ground);
    ground.served_terminal().await;
    let cases = [
        ("an upgrade", "connection: upgrade\r\nupgrade: h2c\r\n"),
        ("a web socket", "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"),
        ("a coding that would be taken", "te: gzip, trailers\r\n"),
        ("a coded answer", "accept-encoding: gzip, br\r\n"),
        ("trailers announced", "trailer: x\r\n"),
        ("another length by another name", "content_length: 99\r\n"),
        ("a forwarded caller", "forwarded: for=1.2.3.4\r\nx-forwarded-for: 1.2.3.4\r\n"),
        ("another path", "x-original-url: /v1/key.list\r\nx-rewrite-url: /v1/key.list\r\n"),
        ("another method", "x-http-method-override: GET\r\n"),
    ];
    for (name, headers) in cases {
        let mut client = ground.terminal().await;
        let response =
            client.exchange(&with_headers(&format!("host: a\r\ncontent-length: 1\r\n{headers}"), "a")).await;
        assert_eq!((response.status, response.body.as_slice()), (200, &b"a"[..]), "{name}");
        assert!(!response.head.contains("content-encoding"), "{name}");
    }
    // Whoever waits for a word before the body gets it, or the answer at once: never two messages of one.
    let mut client = ground.terminal().await;
    client.send(&with_headers("host: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n", "a")).await;
    assert!(client.until(b"HTTP/1.1 200 OK").await.len() <= b"HTTP/1.1 100 Continue\r\n\r\n".len());
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
