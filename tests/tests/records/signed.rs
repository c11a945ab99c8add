//! What is well signed and yet wrong: messages by a key of the test's own, which both verifiers are told to use.
//!
//! The service signs none of these, so its alterations cannot show that what stands under a good signature is read.

use super::altered::Altered;
use keysvc_protocol::{
    bundle::TrustBundle,
    bytes::{Digest, Exchange, Idem, KeyIdentifier, PreviousUpdate, ShortCheck, WrappedCardKey},
    cbor,
    cose::Kind,
    delivery::{DeliveredKey, Delivery},
    job::{ItemData, JobItem},
    request::ValueOperation,
    schema::Schema,
    value::ValueUpdate,
};
use keysvc_tests::raw;
use std::mem;

/// How both verifiers take what is under a good signature: nothing where it is good.
pub struct Case {
    /// Its kind as the second verifier names it.
    pub kind: &'static str,
    /// The message: with no refusal it is good.
    pub message: Altered,
}

/// Signs as any kind in a scope.
pub type Sign<'a> = &'a dyn Fn(Kind, &[u8], Vec<u8>) -> Vec<u8>;

fn update() -> ValueUpdate {
    ValueUpdate {
        schema: Schema,
        operation: ValueOperation::Load,
        seq: 1,
        amount: 2_000,
        balance_before: 0,
        balance_after: 2_000,
        previous: PreviousUpdate::new([0; 16]),
        programme: "coffee".parse().unwrap(),
        card: "04782e21801d80".parse().unwrap(),
        purse: 1,
        currency: 978,
        txn: Idem::new([5; 16]),
        terminal: "terminal-1".parse().unwrap(),
        issued_at_ms: 1_795_000_000_000,
        expires_at_ms: 1_795_086_400_000,
        flags: 1,
        evidence: None,
    }
}

/// Value updates.
pub fn updates(genesis: &Digest, sign: Sign<'_>) -> Vec<Case> {
    let scope = genesis.as_bytes();
    let case = |name, kind, payload: Vec<u8>, refused| Case {
        kind: "update",
        message: Altered::new(name, sign(kind, scope, payload), refused),
    };
    let said =
        |name, update: ValueUpdate, refused| case(name, Kind::ValueUpdate, cbor::encode(&update), refused);
    let large = || ValueUpdate { evidence: Some(Digest::new([7; 32])), ..update() };
    let later = || ValueUpdate { seq: 2, previous: PreviousUpdate::new([1; 16]), ..update() };
    let mut cases = vec![
        said("good", update(), ""),
        said("later", later(), ""),
        case("with evidence", Kind::ApprovedValueUpdate, cbor::encode(&large()), ""),
        said("evidence under the other kind", large(), "a field is not a map of the known fields"),
        case("no evidence", Kind::ApprovedValueUpdate, cbor::encode(&update()), "a field is not whole"),
        said(
            "no amount",
            ValueUpdate { amount: 0, balance_after: 0, ..update() },
            "a field is not an unsigned integer of 64 bits from 1",
        ),
        said(
            "a balance that does not add up",
            ValueUpdate { balance_after: 2_001, ..update() },
            "the amount and the balances",
        ),
        said(
            "more spent than there was",
            ValueUpdate { operation: ValueOperation::Debit, balance_after: u64::MAX - 1_999, ..later() },
            "the amount and the balances",
        ),
        said(
            "sequence number 0",
            ValueUpdate { seq: 0, ..update() },
            "a field is not an unsigned integer of 64 bits from 1",
        ),
        said(
            "a first with a past",
            ValueUpdate { previous: PreviousUpdate::new([1; 16]), ..update() },
            "sequence number and previous",
        ),
        said("a later without a past", ValueUpdate { seq: 2, ..update() }, "sequence number and previous"),
        said(
            "a first with a balance",
            ValueUpdate { balance_before: 5, balance_after: 2_005, ..update() },
            "sequence number and previous",
        ),
        said("an unknown flag", ValueUpdate { flags: 2, ..update() }, "a field is not one of [0, 1]"),
    ];
    let good = cbor::encode(&update());
    assert_eq!(good[..6], [0xb0, 0x00, 0x01, 0x01, 0x66, b'c']);
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut payload = good.clone();
        edit(&mut payload);
        payload
    };
    const ENCODING: &str = "not in core deterministic encoding";
    let encodings = [
        ("another schema", edited(&|bytes| bytes[2] = 2), "a field is not one of [1]"),
        ("true for a schema", edited(&|bytes| bytes[2] = 0xf5), "a field is not one of [1]"),
        ("a name in capitals", edited(&|bytes| bytes[5] = b'C'), "a field is not a name"),
        ("a name as bytes", edited(&|bytes| bytes[4] = 0x46), "a field is not a name"),
        (
            "a card of 5 bytes",
            edited(&|bytes| drop(bytes.splice(12..15, [0x45]))),
            "a field is not a byte string of [4, 7, 10]",
        ),
        (
            "purse 256",
            edited(&|bytes| drop(bytes.splice(21..22, [0x19, 1, 0]))),
            "a field is not an unsigned integer of 8 bits",
        ),
        ("an operation of number 2", edited(&|bytes| bytes[23] = 2), "a field is not one of [0, 1]"),
        ("a wider integer than it needs", edited(&|bytes| drop(bytes.splice(25..26, [0x18, 1]))), ENCODING),
        ("fields in another order", edited(&|bytes| bytes[20..24].rotate_left(2)), ENCODING),
        (
            "a field twice",
            edited(&|bytes| {
                bytes[0] = 0xb1;
                bytes.extend([0x0f, 1]);
            }),
            ENCODING,
        ),
        (
            "a field more",
            edited(&|bytes| {
                bytes[0] = 0xb1;
                bytes.extend([0x11, 1]);
            }),
            "a field is not a map of the known fields",
        ),
        (
            "evidence of nothing",
            edited(&|bytes| {
                bytes[0] = 0xb1;
                bytes.extend([0x10, 0xf6]);
            }),
            "a field is not a map of the known fields",
        ),
        (
            "a field less",
            edited(&|bytes| {
                bytes[0] = 0xaf;
                bytes.truncate(bytes.len() - 2);
            }),
            "a field is not whole",
        ),
        ("a byte behind its fields", edited(&|bytes| bytes.push(0)), ENCODING),
        ("an array for the map", edited(&|bytes| bytes[0] = 0x90), ENCODING),
    ];
    cases.extend(encodings.map(|(name, payload, refused)| case(name, Kind::ValueUpdate, payload, refused)));
    let elsewhere = sign(Kind::ValueUpdate, &[9; 32], good.clone());
    let message = Altered::new("signed for another service", elsewhere, "the signature does not verify");
    cases.push(Case { kind: "update", message });
    cases.push(case("signed as another kind", Kind::Delivery, good, "a message of kind"));
    cases
}

fn delivery() -> Delivery {
    let key = |slot| DeliveredKey {
        card: "04782e21801d80".parse().unwrap(),
        slot,
        key_version: 1,
        wrapped: WrappedCardKey::new([0xd0; 24]),
        check: ShortCheck::new([slot; 5]),
    };
    let data = ItemData(vec![1, 2, 3].try_into().unwrap());
    let item = JobItem { card: "04782e21801d80".parse().unwrap(), data };
    Delivery {
        schema: Schema,
        station: "station-1".parse().unwrap(),
        exchange: Exchange::new([8; 16]),
        idem: Idem::new([7; 16]),
        job: "order-1".parse().unwrap(),
        generation: 1,
        profile: "known".parse().unwrap(),
        profile_version: 1,
        keys: vec![key(0), key(1)].try_into().unwrap(),
        items: vec![item].try_into().unwrap(),
    }
}

/// Deliveries, with the data of a listed job.
pub fn deliveries(genesis: &Digest, sign: Sign<'_>) -> Vec<Case> {
    let good = cbor::encode(&delivery());
    let key = good.windows(2).position(|two| two == [0x58, 0x18]).unwrap();
    let shorter = [&good[..key], &[0x57], &good[key + 3..]].concat();
    let more = [&[0xab], &good[1..], &[0x0a, 0x01]].concat();
    let items = cbor::encode(&delivery().items).len() + 1;
    let no_items = [&[0xa9], &good[1..good.len() - items]].concat();
    let cases = [
        ("good", Kind::Delivery, good.clone(), ""),
        ("a wrapped key of 23 bytes", Kind::Delivery, shorter, "a field is not a byte string of [24]"),
        ("a field more", Kind::Delivery, more, "a field is not a map of the known fields"),
        ("a field less", Kind::Delivery, no_items, "a field is not whole"),
        ("signed as an opening", Kind::ExchangeOpening, good, "a message of kind"),
    ];
    let scope = genesis.as_bytes();
    cases
        .map(|(name, kind, payload, refused)| Case {
            kind: "delivery",
            message: Altered::new(name, sign(kind, scope, payload), refused),
        })
        .into()
}

/// The service's own bundle, altered and signed again.
pub fn bundles(bundle: &TrustBundle, sign: Sign<'_>) -> Vec<Case> {
    let case = |name, edit: &dyn Fn(&mut TrustBundle), refused| {
        let mut altered = bundle.clone();
        edit(&mut altered);
        let message = sign(Kind::TrustBundle, bundle.genesis.as_bytes(), cbor::encode(&altered));
        Case { kind: "bundle", message: Altered::new(name, message, refused) }
    };
    let other_identifier = |altered: &mut TrustBundle| {
        let mut keys = mem::take(&mut altered.value_keys).into_vec();
        keys[0].kid = KeyIdentifier::new([1; 8]);
        altered.value_keys = keys.try_into().unwrap();
    };
    vec![
        case("good", &|_| (), ""),
        case(
            "another genesis",
            &|altered| altered.genesis = Digest::new([1; 32]),
            "the bundle is of another log",
        ),
        case(
            "another trust domain",
            &|altered| altered.trust_domain = "other.test".parse().unwrap(),
            "the bundle is of another log",
        ),
        case(
            "a key under another identifier",
            &other_identifier,
            "a key in the bundle has another identifier",
        ),
        case(
            "another checkpoint key",
            &|altered| altered.log_key = altered.value_keys[0].public.clone(),
            "the checkpoint is not signed with this key",
        ),
    ]
}

/// A signer of the test's own: a persona's statement key, which the service does not sign with.
pub fn with(
    signer: &dyn keysvc_client::signer::StatementSigner,
) -> impl Fn(Kind, &[u8], Vec<u8>) -> Vec<u8> + '_ {
    move |kind, scope, payload| raw::sign(signer, kind, scope, payload)
}
