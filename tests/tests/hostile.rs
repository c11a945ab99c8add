//! What an attacker would send: to the service, and from a captured front to its clients.

#[path = "hostile/middle.rs"]
mod middle;

use keysvc_client::{ClientError, Station, Terminal, station::Delivered, terminal::SignedUpdate};
use keysvc_protocol::{
    bytes::Blob,
    card::CardUid,
    cbor,
    cose::Kind,
    refusal::{Invalid, Refusal},
    reply::{CardDeriveReply, CheckpointReply, JobOpenReply, StatusReply, ValueUpdateReply},
    request::{
        Operation, ReadCheckpoint, ReadStatus, UpdateValue,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
};
use keysvc_tests::{
    ground::Ground,
    jobs::{Floor, head},
    raw::{self, Answer, Caller, Line},
};
use rustls::AlertDescription;
use softhsm_setup::{
    Site, TRUST_DOMAIN,
    pki::{Authority, CertificateRequest},
};
use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::TcpStream,
};

fn size(ground: &Ground) -> u64 {
    let mut auditor = Caller::new(ground.site(), "auditor-1");
    let request = ReadCheckpoint { schema: Schema, genesis: false };
    let reply: CheckpointReply = auditor.ask(Operation::LogCheckpoint, &request).unwrap();
    reply.checkpoint.checkpoint().head.size
}

/// The alert that ended a connection, at the handshake or at the first read.
fn alert(line: io::Result<Line>) -> AlertDescription {
    let error = line.and_then(|mut line| line.answer()).unwrap_err();
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => panic!("{error:?}"),
    }
}

#[test]
fn nobody_gets_in_with_tls_1_2_or_without_a_certificate_of_the_sites_authority() {
    let ground = Ground::new();
    let before = size(&ground);
    // A ClientHello of version 3.3 without supported_versions, one suite (c02b), P-256 and ecdsa_secp256r1_sha256.
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 16, 0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3]);
    let len = u8::try_from(hello.len()).unwrap();
    let record = [&[22, 3, 1, 0, len + 4, 1, 0, 0, len], hello.as_slice()].concat();
    let mut socket = TcpStream::connect(("127.0.0.1", ground.site().port())).unwrap();
    socket.write_all(&record).unwrap();
    let mut told = Vec::new();
    socket.read_to_end(&mut told).unwrap();
    assert_eq!(told, [21, 3, 3, 0, 2, 2, 70], "a fatal alert, protocol_version");
    assert_eq!(alert(Line::with(ground.site(), None)), AlertDescription::CertificateRequired);
    // An authority of the same name, and a certificate of it with terminal-1's name.
    let domain = TRUST_DOMAIN.parse().unwrap();
    let foreign = ground.site().home("foreign");
    fs::create_dir(foreign.folder()).unwrap();
    let request = CertificateRequest::client(&domain, "terminal", "terminal-1");
    Authority::create(&domain).unwrap().issue(&request).unwrap().write(foreign.folder()).unwrap();
    assert_eq!(alert(Line::with(ground.site(), Some(&foreign))), AlertDescription::DecryptError);
    // What a client's program sees of it.
    let mut config = ground.config("terminal-1");
    (config.certificate, config.key) = (foreign.tls_certificate(), foreign.tls_key());
    let error = ground.block_on(Terminal::connect(&config)).unwrap_err();
    assert!(matches!(error, ClientError::Authentication { .. }), "{error:?}");
    assert_eq!(error.exit_code(), 3);
    assert_eq!(size(&ground), before, "none of them reached the log");
}

#[test]
fn a_good_certificate_with_an_enrolled_name_but_another_key_is_nobodys() {
    let ground = Ground::new();
    let domain = TRUST_DOMAIN.parse().unwrap();
    let namesake = ground.site().home("namesake");
    fs::create_dir(namesake.folder()).unwrap();
    let request = CertificateRequest::client(&domain, "officer", "officer-1");
    ground.site().authority().issue(&request).unwrap().write(namesake.folder()).unwrap();
    let mut line = Line::with(ground.site(), Some(&namesake)).unwrap();
    let status = cbor::encode(&ReadStatus { schema: Schema });
    let answer = line.put::<StatusReply>(Operation::Status, status);
    assert_eq!(answer, Err(Refusal::Unauthenticated));
}

#[test]
fn what_two_parsers_might_read_differently_is_refused_and_nothing_after_it_is_read() {
    let ground = Ground::new();
    let before = size(&ground);
    let body = raw::envelope(cbor::encode(&ReadStatus { schema: Schema }));
    let good = raw::http("status", &body);
    let text = String::from_utf8(raw::http("status", &[])).unwrap();
    let len = format!("content-length: {}\r\n", body.len());
    let head = text.replace("content-length: 0\r\n", &len);
    let heads = [
        head.replace("content-type", "transfer-encoding: chunked\r\ncontent-type"),
        text.replace("content-length: 0", "transfer-encoding: chunked"),
        head.replace("\r\n", "\n"),
        head.replace("localhost\r\n", "localhost\n"),
        head.replace("host: localhost\r\n", ""),
        head.replace("host: localhost\r\n", "host: localhost\r\nhost: localhost\r\n"),
        head.replace("host: localhost", "host:"),
        head.replace(&len, &len.repeat(2)),
        head.replace("content-length: ", "content-length: +"),
        head.replace("content-length: ", "content-length: 0x"),
        head.replace("content-type: ", "content-type : "),
        head.replace("content-type: ", "x: 1\r\n folded: "),
        head.replace(" HTTP/1.1", "  HTTP/1.1"),
        head.replace("HTTP/1.1", "HTTP/1.0"),
        head.replace("/v1/status", "http://localhost/v1/status"),
        head.replace("localhost", "local\0host"),
        head.replace("localhost", "local\rhost"),
    ];
    for head in heads {
        let mut line = Line::open(ground.site(), "terminal-1");
        // A whole request, and a good one behind it that must not be answered.
        line.send(&[head.as_bytes(), &body, &good].concat()).unwrap();
        assert_eq!(line.answer().unwrap().refusal(), Refusal::Invalid { reason: Invalid::Http }, "{head:?}");
        let end = line.answer().unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof, "{head:?}");
    }
    let mut line = Line::open(ground.site(), "terminal-1");
    let long = head.replace("localhost", &"a".repeat(70_000));
    line.send(long.as_bytes()).unwrap();
    let answer = line.answer().unwrap();
    assert_eq!((answer.status, answer.refusal()), (431, Refusal::Invalid { reason: Invalid::TooLong }));
    assert_eq!(size(&ground), before, "none of them reached the log");
    let mut line = Line::open(ground.site(), "terminal-1");
    line.send(&[good.as_slice(), &good].concat()).unwrap();
    assert_eq!([line.answer().unwrap().status, line.answer().unwrap().status], [200, 200]);
}

#[test]
fn a_captured_statement_is_worth_nothing_on_anothers_connection_or_for_anything_else() {
    let ground = Ground::new();
    let mut owner = Caller::new(ground.site(), "terminal-1");
    let genesis = raw::genesis(ground.site());
    let request = raw::update(Load, 1, 2_000, 0);
    let captured = owner.message(Operation::ValueUpdate, cbor::encode(&request));
    let signature = Refusal::Invalid { reason: Invalid::Signature };
    // By another terminal, and by those who have no statement key at all.
    for (thief, refused) in [
        ("terminal-2", signature.clone()),
        ("officer-1", signature.clone()),
        ("auditor-1", Refusal::Forbidden),
        ("platform-1", Refusal::Forbidden),
        ("stranger", Refusal::Unauthenticated),
    ] {
        let mut thief_line = Line::open(ground.site(), thief);
        let answer = thief_line.put::<ValueUpdateReply>(Operation::ValueUpdate, captured.clone());
        assert_eq!(answer, Err(refused), "{thief}");
    }
    // By the owner's own connection, for another operation, and as made for another log.
    for operation in [Operation::CardDerive, Operation::JobOpen] {
        let answer = owner.line.put::<ValueUpdateReply>(operation, captured.clone());
        assert_eq!(answer, Err(signature.clone()), "{operation}");
    }
    let key = raw::key(ground.site(), "terminal-1");
    let mut other_genesis = *genesis.as_bytes();
    other_genesis[31] ^= 1;
    let kind = Kind::Request(Operation::ValueUpdate);
    let elsewhere = raw::sign(&key, kind, &other_genesis, cbor::encode(&request));
    assert_eq!(owner.line.put::<ValueUpdateReply>(Operation::ValueUpdate, elsewhere), Err(signature));
    // And sent again and again by who may, it is one update.
    let replies: Vec<ValueUpdateReply> =
        (0..3).map(|_| owner.line.put(Operation::ValueUpdate, captured.clone()).unwrap()).collect();
    assert!(replies.iter().all(|reply| reply.receipt.leaf_index == replies[0].receipt.leaf_index));
    owner.ask::<ValueUpdateReply>(Operation::ValueUpdate, &raw::update(Debit, 2, 2_000, 2_000)).unwrap();
}

/// What a terminal makes of one load when the front alters the reply to it.
fn altered(
    ground: &Ground,
    request: &UpdateValue,
    mut alter: impl FnMut(ValueUpdateReply) -> ValueUpdateReply + Send + 'static,
) -> Result<SignedUpdate, ClientError> {
    let config = middle::between(ground.site(), "terminal-1", move |operation, answer| {
        if operation != "value.update" || answer.status != 200 {
            return answer;
        }
        let reply = alter(answer.read().unwrap());
        Answer { status: 200, body: cbor::encode(&reply) }
    });
    ground.block_on(async { Terminal::connect(&config).await.unwrap().update(request).await })
}

fn untrusted(result: Result<SignedUpdate, ClientError>) -> String {
    match result {
        Err(ClientError::Untrusted { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

fn flipped<const MAX: usize>(bytes: &Blob<MAX>, place: usize) -> Blob<MAX> {
    let mut bytes = bytes.as_bytes().to_vec();
    bytes[place] ^= 1;
    bytes.try_into().unwrap()
}

#[test]
fn a_terminal_releases_nothing_that_a_captured_front_altered() {
    let ground = Ground::new();
    let request = raw::update(Load, 1, 2_000, 0);
    // The true answer passes through the same place unchanged.
    let good = altered(&ground, &request, |reply| reply).unwrap();
    let signature = altered(&ground, &request, |mut reply| {
        reply.record = flipped(&reply.record, reply.record.as_bytes().len() - 1);
        reply
    });
    assert!(matches!(signature, Err(ClientError::NotSigned(_))), "{signature:?}");
    let amount = altered(&ground, &request, |mut reply| {
        reply.record = flipped(&reply.record, reply.record.as_bytes().len() / 2);
        reply
    });
    assert!(matches!(amount, Err(ClientError::NotSigned(_))), "{amount:?}");
    let bare = altered(&ground, &request, |mut reply| {
        (reply.receipt.leaf, reply.receipt.inclusion) = (None, None);
        reply
    });
    assert_eq!(untrusted(bare), "the receipt carries no inclusion proof");
    let elsewhere = altered(&ground, &request, |mut reply| {
        reply.receipt.leaf_index -= 1;
        reply
    });
    assert_eq!(untrusted(elsewhere), "the receipt names another leaf");
    let leaf = altered(&ground, &request, |mut reply| {
        let leaf = reply.receipt.leaf.as_mut().unwrap();
        leaf.payload = leaf.payload.as_ref().map(|payload| flipped(payload, 20));
        reply
    });
    assert_eq!(untrusted(leaf), "the receipt's leaf: the payload is not this leaf's");
    // Another update's genuine record with the true receipt, and the whole genuine answer to another request: its
    // checkpoint does not follow from the one the terminal has seen.
    let (first, second) = (request.clone(), raw::update(Debit, 2, 350, 2_000));
    let mut owner = Caller::new(ground.site(), "terminal-1");
    let genuine: ValueUpdateReply = owner.ask(Operation::ValueUpdate, &first).unwrap();
    let record = genuine.record.clone();
    let other = altered(&ground, &second, move |reply| ValueUpdateReply { record: record.clone(), ..reply });
    assert_eq!(untrusted(other), "the update is not the one asked for");
    let stale = altered(&ground, &second, move |_| genuine.clone());
    assert_eq!(untrusted(stale), "the newer tree is smaller than the older");
    // Nothing was lost by it: what the service did is there when it is asked again.
    let (again, paid) = ground.block_on(async {
        let terminal = ground.terminal("terminal-1").await.unwrap();
        (terminal.update(&first).await.unwrap(), terminal.update(&second).await.unwrap())
    });
    assert_eq!((again.update, again.leaf_index), (good.update, good.leaf_index));
    assert_eq!((paid.update.seq, paid.update.balance_after), (2, 1_650));
}

/// What a station makes of two derivations in one session when the front alters the replies.
fn derived(
    site: &Site,
    persona: &str,
    alter: impl FnMut(&str, Answer) -> Answer + Send + 'static,
) -> Result<Delivered, ClientError> {
    let card: CardUid = "04782e21801d80".parse().unwrap();
    let config = middle::between(site, persona, alter);
    let agreements = Floor::without_monitor(site).beginning("job-1", persona);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let station = Station::connect(&config).await.unwrap();
        let shift = station.begin(agreements).await?;
        station.derive(&shift, &[card], 1).await?;
        station.derive(&shift, &[card], 1).await
    })
}

fn takes_no_altered_keys(site: &Site, persona: &str) {
    Floor::without_monitor(site).prepare("job-1", &head("known", 1, 8));
    derived(site, persona, |_, answer| answer).unwrap();
    let opening = derived(site, persona, |operation, answer| match operation {
        "job.open" => {
            let mut reply: JobOpenReply = answer.read().unwrap();
            reply.opening = flipped(&reply.opening, reply.opening.as_bytes().len() - 1);
            Answer { status: 200, body: cbor::encode(&reply) }
        }
        _ => answer,
    });
    assert!(matches!(opening, Err(ClientError::Delivery(_))), "{opening:?}");
    // A wrapped key changed under the service's signature, and a delivery without one.
    for unsigned in [false, true] {
        let delivery = derived(site, persona, move |operation, answer| match operation {
            "card.derive" => {
                let mut reply: CardDeriveReply = answer.read().unwrap();
                let whole = reply.delivery.as_bytes().to_vec();
                let place = whole.len() - 90;
                reply.delivery = if unsigned {
                    whole[..whole.len() - 66].to_vec().try_into().unwrap()
                } else {
                    flipped(&reply.delivery, place)
                };
                Answer { status: 200, body: cbor::encode(&reply) }
            }
            _ => answer,
        });
        assert!(matches!(delivery, Err(ClientError::Delivery(_))), "{delivery:?}");
    }
    // The delivery of the first call for the second, as the service signed it.
    let mut first = None;
    let replayed = derived(site, persona, move |operation, answer| match operation {
        "card.derive" => {
            let reply: CardDeriveReply = answer.read().unwrap();
            let delivery = first.get_or_insert(reply.delivery.clone()).clone();
            Answer { status: 200, body: cbor::encode(&CardDeriveReply { delivery, ..reply }) }
        }
        _ => answer,
    });
    let Err(ClientError::Untrusted { what, .. }) = replayed else { panic!("{replayed:?}") };
    assert_eq!(what, "the delivery answers another request");
}

#[test]
fn a_station_takes_no_key_that_a_captured_front_altered_or_replayed() {
    let test = "a_station_takes_no_key_that_a_captured_front_altered_or_replayed";
    raw::with_tokens(test, &["station-1"], Ground::new, takes_no_altered_keys);
}
