//! Bytes that are not the one encoding of a request, each under a good signature: refused before anyone looks at what
//! they might mean, with nothing in the log but the refusal.

use super::{counted, good, invalid, told};
use keysvc_protocol::{
    bytes::Idem,
    cbor,
    cose::Kind,
    hash::sha256,
    leaf::{LeafEntry, LeafKind},
    refusal::{Invalid, Refusal},
    reply::{StatusReply, ValueUpdateReply},
    request::{Operation, UpdateValue, ValueOperation::Load},
};
use keysvc_tests::{
    ground::Ground,
    raw::{self, Caller, sign},
};

/// One field of a message, encoded.
#[derive(Debug, Clone)]
struct Field {
    key: Vec<u8>,
    value: Vec<u8>,
}

fn field(key: u8, value: &[u8]) -> Field {
    Field { key: vec![key], value: value.to_vec() }
}

const PROGRAMME: usize = 1;
const CARD: usize = 2;
const PURSE: usize = 3;
const OPERATION: usize = 4;
const SEQ: usize = 5;
const AMOUNT: usize = 6;
const CURRENCY: usize = 7;
const TXN: usize = 9;

fn head(major: u8, argument: usize) -> Vec<u8> {
    match argument {
        0..=23 => vec![major << 5 | u8::try_from(argument).unwrap()],
        24..=255 => vec![major << 5 | 24, u8::try_from(argument).unwrap()],
        _ => [vec![major << 5 | 25], u16::try_from(argument).unwrap().to_be_bytes().to_vec()].concat(),
    }
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len()), bytes.to_vec()].concat()
}

fn text(text: &[u8]) -> Vec<u8> {
    [head(3, text.len()), text.to_vec()].concat()
}

fn update() -> UpdateValue {
    UpdateValue { txn: Idem::new([5; 16]), ..raw::update(Load, 1, 2_000, 0) }
}

/// The fields of a good value update in their order.
fn fields() -> Vec<Field> {
    let update = update();
    let values = [
        vec![1],
        text(b"coffee"),
        bytes(update.card.as_bytes()),
        vec![1],
        vec![0],
        vec![1],
        vec![0x19, 0x07, 0xd0],
        vec![0x19, 0x03, 0xd2],
        vec![0],
        bytes(update.txn.as_bytes()),
    ];
    (0..).zip(values).map(|(key, value)| field(key, &value)).collect()
}

fn map(fields: &[Field]) -> Vec<u8> {
    let body = fields.iter().flat_map(|field| [field.key.clone(), field.value.clone()].concat());
    head(5, fields.len()).into_iter().chain(body).collect()
}

fn with(change: impl FnOnce(&mut Vec<Field>)) -> Vec<u8> {
    let mut fields = fields();
    change(&mut fields);
    map(&fields)
}

fn value(place: usize, value: &[u8]) -> Vec<u8> {
    with(|fields| fields[place].value = value.to_vec())
}

/// Not the typed message: unknown, double, missing, of another type or out of range.
fn not_the_message() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("an unknown field", with(|fields| fields.push(field(10, &[0])))),
        ("an unknown field that holds nothing", with(|fields| fields.push(field(10, &[0xf6])))),
        ("a field twice", with(|fields| fields.insert(AMOUNT, field(6, &[1])))),
        ("a field twice with one value", with(|fields| fields.insert(AMOUNT, fields[AMOUNT].clone()))),
        ("a field missing", with(|fields| drop(fields.remove(AMOUNT)))),
        ("no field", map(&[])),
        ("nothing", vec![]),
        ("another schema number", value(0, &[2])),
        ("a null", value(AMOUNT, &[0xf6])),
        ("a float", value(AMOUNT, &[0xfb, 0x40, 0x9f, 0x40, 0, 0, 0, 0, 0])),
        ("a text for a number", value(AMOUNT, &text(b"2000"))),
        ("a negative number", value(AMOUNT, &[0x20])),
        ("a bignum", value(AMOUNT, &[0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("a purse past 255", value(PURSE, &[0x19, 1, 0])),
        ("a currency past 65535", value(CURRENCY, &[0x1a, 0, 1, 0, 0])),
        ("an operation there is not", value(OPERATION, &[2])),
        ("an operation by name", value(OPERATION, &text(b"load"))),
        ("a name in capitals", value(PROGRAMME, &text(b"Coffee"))),
        ("an empty name", value(PROGRAMME, &text(b""))),
        ("a name of 65", value(PROGRAMME, &text(&[b'a'; 65]))),
        ("a name that is not UTF-8", value(PROGRAMME, &text(&[0xff, 0xfe]))),
        ("a name in bytes", value(PROGRAMME, &bytes(b"coffee"))),
        ("a UID of 0 bytes", value(CARD, &bytes(&[]))),
        ("a UID of 3 bytes", value(CARD, &bytes(&[4; 3]))),
        ("a UID of 5 bytes", value(CARD, &bytes(&[4; 5]))),
        ("a UID of 8 bytes", value(CARD, &bytes(&[4; 8]))),
        ("a UID of 11 bytes", value(CARD, &bytes(&[4; 11]))),
        ("a number of 15 bytes", value(TXN, &bytes(&[5; 15]))),
        ("a number of 17 bytes", value(TXN, &bytes(&[5; 17]))),
        ("bytes as an array of integers", value(CARD, &[0x87, 4, 2, 3, 4, 5, 6, 7])),
    ]
}

/// The same message in another encoding than the one.
fn not_the_encoding() -> Vec<(&'static str, Vec<u8>)> {
    let good = with(|_| {});
    let fields = fields();
    let values: Vec<u8> = fields.iter().flat_map(|field| field.value.clone()).collect();
    let body = &good[1..];
    vec![
        ("a number in two bytes", value(SEQ, &[0x18, 1])),
        ("a number in three bytes", value(SEQ, &[0x19, 0, 1])),
        ("a number in nine bytes", value(SEQ, &[0x1b, 0, 0, 0, 0, 0, 0, 0, 1])),
        ("a length in two bytes", value(PROGRAMME, &[&[0x78, 6], b"coffee".as_slice()].concat())),
        ("a map's length in two bytes", [&[0xb8, 10], body].concat()),
        ("a key in two bytes", with(|fields| fields[SEQ].key = vec![0x18, 5])),
        ("fields out of order", with(|fields| fields.swap(SEQ, AMOUNT))),
        ("keys as text", with(|fields| fields[AMOUNT].key = text(b"amount"))),
        ("an array for a map", [vec![0x8a], values].concat()),
        ("a map without a length", [&[0xbf], body, &[0xff]].concat()),
        ("bytes without a length", value(TXN, &[&[0x5f, 0x50], [5; 16].as_slice(), &[0xff]].concat())),
        (
            "a text without a length",
            value(PROGRAMME, &[&[0x7f, 0x66], b"coffee".as_slice(), &[0xff]].concat()),
        ),
        ("a tag before a number", value(SEQ, &[0xc1, 1])),
        ("a tag before the whole", [&[0xd9, 0xd9, 0xf7], good.as_slice()].concat()),
        ("a byte after it", [good.as_slice(), &[0]].concat()),
        ("the message twice", [good.as_slice(), &good].concat()),
        ("the message but for its last byte", good[..good.len() - 1].to_vec()),
    ]
}

/// What costs a careless decoder its stack or its memory.
fn not_cheap() -> Vec<(&'static str, Vec<u8>)> {
    let most = [0xff; 8];
    let claim = |major: u8| [&[major << 5 | 27], most.as_slice()].concat();
    vec![
        ("200 nested arrays", vec![0x81; 200]),
        ("60,000 nested arrays", vec![0x81; 60_000]),
        ("60,000 nested tags", vec![0xc1; 60_000]),
        ("60,000 nested maps", [0xa1, 0x00].repeat(30_000)),
        ("nested arrays for a number", value(AMOUNT, &vec![0x81; 50_000])),
        ("a map of 2^64 - 1", claim(5)),
        ("an array of 2^64 - 1", claim(4)),
        ("bytes of 2^63 - 1", value(CARD, &[&[0x5b, 0x7f], &most[1..], &[4; 7]].concat())),
        ("a text of 2^64 - 1", value(PROGRAMME, &claim(3))),
        ("bytes of 4 GiB", value(CARD, &[0x5a, 0xff, 0xff, 0xff, 0xff, 4, 4, 4, 4, 4, 4, 4])),
    ]
}

/// Sends the cases and looks at what came of them. Ten have a leaf, and the rest is counted at the stop.
fn all_refused(ground: &mut Ground, persona: &str, operation: Operation, cases: &[(&str, Vec<u8>)]) {
    let before = raw::leaves(ground).len();
    let mut caller = Caller::new(ground.site(), persona);
    let socket = caller.line.socket();
    let mut expected = Vec::new();
    for (name, body) in cases {
        let answer = caller.line.post(operation.name(), body);
        assert_eq!((answer.status, answer.refusal()), (400, invalid(Invalid::Encoding)), "{name}");
        let request = cbor::decode::<keysvc_protocol::request::Envelope>(body, cbor::REQUEST_LEN_MAX);
        let digest =
            request.map_or_else(|_| sha256(&[body]), |envelope| sha256(&[envelope.request.as_bytes()]));
        expected.push((operation, invalid(Invalid::Encoding), digest));
    }
    assert_eq!(caller.line.socket(), socket, "the connection lived through all of them");
    expected.truncate(10);
    assert_eq!(told(ground, persona), expected);
    ground.stop();
    ground.start().unwrap();
    let past: u64 = (cases.len() - expected.len()).try_into().unwrap();
    let counted: Vec<_> = counted(ground).into_iter().map(|leaf| (leaf.count, leaf.principal)).collect();
    assert_eq!(counted, [(past, Some(persona.parse().unwrap()))]);
    // What else the log has got is starts with their heartbeats, and the auditor's own reads.
    let news = raw::leaves(ground).split_off(before);
    let known = [
        LeafKind::Refused,
        LeafKind::RefusalsCounted,
        LeafKind::Start,
        LeafKind::Heartbeat,
        LeafKind::EntriesRead,
    ];
    assert!(news.iter().all(|(LeafEntry { kind, .. }, _)| known.contains(kind)));
}

fn first_update_goes_through(ground: &Ground) {
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &update()).unwrap();
}

#[test]
fn the_fields_these_cases_are_made_of_are_the_good_update() {
    assert_eq!(with(|_| {}), cbor::encode(&update()));
}

#[test]
fn a_signed_payload_that_is_not_the_one_encoding_of_an_update_is_refused_and_does_nothing() {
    let mut ground = Ground::new();
    let (key, genesis) = (raw::key(ground.site(), "terminal-1"), raw::genesis(ground.site()));
    let signed = |payload: Vec<u8>| {
        let kind = Kind::Request(Operation::ValueUpdate);
        raw::envelope(sign(&key, kind, genesis.as_bytes(), payload))
    };
    let payloads = [not_the_message(), not_the_encoding(), not_cheap()].concat();
    let cases: Vec<_> = payloads.into_iter().map(|(name, payload)| (name, signed(payload))).collect();
    all_refused(&mut ground, "terminal-1", Operation::ValueUpdate, &cases);
    first_update_goes_through(&ground);
}

#[test]
fn lists_longer_than_their_limit_are_refused_while_they_are_read() {
    let ground = Ground::new();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let whole = |values: Vec<Vec<u8>>| {
        let values = [vec![1], bytes(&[5; 16])].into_iter().chain(values);
        map(&(0..).zip(values).map(|(key, value)| field(key, &value)).collect::<Vec<_>>())
    };
    let list = |items: Vec<Vec<u8>>| [head(4, items.len()), items.concat()].concat();
    let derive = |cards: usize| {
        let card =
            |number: usize| bytes(&[&[4; 5], &u16::try_from(number).unwrap().to_be_bytes()[..]].concat());
        whole(vec![bytes(&[6; 16]), text(b"job-1"), vec![1], list((0..cards).map(card).collect())])
    };
    let open = |people: usize| whole(vec![text(b"job-1"), list(vec![bytes(&[0]); people])]);
    // Read, and only then forbidden to a terminal.
    let longest = [(Operation::CardDerive, derive(1_000)), (Operation::JobOpen, open(2))];
    for (operation, payload) in longest {
        let refused = terminal.ask_bytes::<StatusReply>(operation, payload);
        assert_eq!(refused, Err(Refusal::Forbidden), "{operation}");
    }
    let longer = [
        (Operation::CardDerive, derive(1_001)),
        (Operation::CardDerive, derive(5_000)),
        (Operation::JobOpen, open(3)),
    ];
    for (operation, payload) in longer {
        let len = payload.len();
        let refused = terminal.ask_bytes::<StatusReply>(operation, payload);
        assert_eq!(refused, Err(invalid(Invalid::Encoding)), "{operation} of {len} bytes");
    }
}

#[test]
fn a_body_that_is_no_envelope_is_refused_and_does_nothing() {
    let mut ground = Ground::new();
    let status = good(Operation::Status);
    let request = bytes(&status);
    let body = |fields: &[&[u8]]| fields.concat();
    let good = body(&[&[0xa2, 0, 1, 1], &request]);
    assert_eq!(good, raw::envelope(status.clone()));
    let cases = vec![
        ("nothing", vec![]),
        ("text", b"status".to_vec()),
        ("the request alone", status.clone()),
        ("no request", vec![0xa1, 0, 1]),
        ("a request as a map", body(&[&[0xa2, 0, 1, 1], &status])),
        ("a request as an array of integers", body(&[&[0xa2, 0, 1, 1, 0x83], &status])),
        ("another schema", body(&[&[0xa2, 0, 2, 1], &request])),
        ("a null for what was seen", body(&[&[0xa3, 0, 1, 1], &request, &[2, 0xf6]])),
        ("what was seen is no note", body(&[&[0xa3, 0, 1, 1], &request, &[2, 0x41, 7]])),
        ("what was seen is text", body(&[&[0xa3, 0, 1, 1], &request, &[2, 0x61, 0x61]])),
        ("an unknown field", body(&[&[0xa3, 0, 1, 1], &request, &[3, 0]])),
        ("the request twice", body(&[&[0xa3, 0, 1, 1], &request, &[1], &request])),
        ("fields out of order", body(&[&[0xa2, 1], &request, &[0, 1]])),
        ("an array for a map", body(&[&[0x82, 1], &request])),
        ("no length", body(&[&[0xbf, 0, 1, 1], &request, &[0xff]])),
        ("a byte after it", body(&[&good, &[0]])),
        ("a status request with a field", raw::envelope(vec![0xa2, 0, 1, 1, 0])),
        ("a status request without its schema", raw::envelope(vec![0xa0])),
        ("nested arrays", vec![0x81; 60_000]),
        ("a request of 2^64 - 1", body(&[&[0xa2, 0, 1, 1, 0x5b], &[0xff; 8]])),
    ];
    all_refused(&mut ground, "platform-1", Operation::Status, &cases);
    let mut platform = Caller::new(ground.site(), "platform-1");
    platform.ask_bytes::<StatusReply>(Operation::Status, status).unwrap();
}
