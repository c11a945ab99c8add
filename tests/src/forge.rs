//! Tools of a forger: messages taken apart and put together wrongly, signatures moved, bent and doubled.
//!
//! Apart because the attacks of the suite and those of the driver of faults forge alike. It knows encodings, not what they
//! mean.

use crate::{
    agreed::{Pending, idem},
    raw::{Caller, sign},
};
use keysvc_client::signer::FileSigner;
use keysvc_protocol::{
    bytes::{Blob, ProposalId},
    cbor,
    cose::{Kind, Unsigned},
    hash::sha256,
    proposal::{APPROVAL_LEN_MAX, Proposal},
    quorum::{Approval, Verdict},
    request::{ApproveProposal, RejectProposal},
    schema::Schema,
};
use std::{fs, os::unix::fs::OpenOptionsExt as _, path::Path};

/// The order n of P-256 (SEC 2 section 2.4.2), big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// What an approval over these bytes says.
#[must_use]
pub fn said(proposal: &[u8], verdict: Verdict) -> Approval {
    Approval {
        schema: Schema,
        proposal: sha256(&[proposal]),
        verdict,
        signed_at_ms: 1_795_000_000_000,
        nonce: idem(),
    }
}

/// An officer's approval over any bytes.
///
/// # Panics
/// When the caller has no key.
#[must_use]
pub fn approval_of(by: &Caller, proposal: &[u8]) -> Vec<u8> {
    signed_as(by, Kind::Approval, by.genesis.as_bytes(), cbor::encode(&said(proposal, Verdict::Approve)))
}

/// A payload signed by this caller's key as any kind in any scope.
///
/// # Panics
/// When the caller has no key.
#[must_use]
pub fn signed_as(by: &Caller, kind: Kind, scope: &[u8], payload: Vec<u8>) -> Vec<u8> {
    sign(by.signer.as_ref().unwrap().as_ref(), kind, scope, payload)
}

/// The request that brings an approval.
///
/// # Panics
/// When the approval is too long.
#[must_use]
pub fn approve(id: ProposalId, approval: Vec<u8>) -> Vec<u8> {
    cbor::encode(&ApproveProposal { schema: Schema, id, approval: blob(approval) })
}

/// The request that brings a rejection.
///
/// # Panics
/// When the approval is too long.
#[must_use]
pub fn reject(id: ProposalId, approval: Vec<u8>) -> Vec<u8> {
    cbor::encode(&RejectProposal { schema: Schema, id, approval: blob(approval) })
}

fn blob(approval: Vec<u8>) -> Blob<APPROVAL_LEN_MAX> {
    Blob::try_from(approval).unwrap()
}

/// The bytes of a proposal with something else in it.
///
/// # Panics
/// When the edit changes nothing.
#[must_use]
pub fn edited(pending: &Pending, edit: impl FnOnce(&mut Proposal)) -> Vec<u8> {
    let mut proposal = pending.proposal.clone();
    edit(&mut proposal);
    let bytes = cbor::encode(&proposal);
    assert_ne!(bytes, pending.reply.proposal.as_bytes(), "the edit changes something");
    bytes
}

/// The other signature of two that verify as plain ECDSA: s above half the order.
///
/// # Panics
/// When the message has no signature.
#[must_use]
pub fn high_s(message: &[u8]) -> Vec<u8> {
    let (whole, s) = message.split_at(message.len() - 32);
    let mut high = [0; 32];
    let mut borrow = 0_i16;
    for place in (0..32).rev() {
        let mut digit = i16::from(ORDER[place]) - i16::from(s[place]) - borrow;
        borrow = i16::from(digit < 0);
        digit += 256 * borrow;
        high[place] = u8::try_from(digit).unwrap();
    }
    [whole, &high].concat()
}

/// The message with one byte turned, counted from its end.
///
/// # Panics
/// When the message is shorter.
#[must_use]
pub fn turned(message: &[u8], from_end: usize) -> Vec<u8> {
    let mut turned = message.to_vec();
    let place = turned.len() - from_end;
    turned[place] ^= 1;
    turned
}

/// The message with the one place that reads `from` reading `to`.
///
/// # Panics
/// When there is no such place, or more than one.
#[must_use]
pub fn replaced(message: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<_> =
        message.windows(from.len()).enumerate().filter(|(_, at)| *at == from).map(|(at, _)| at).collect();
    let [place] = places[..] else { panic!("it stands in {} places", places.len()) };
    [&message[..place], to, &message[place + from.len()..]].concat()
}

/// A message signed by one key in another's name.
///
/// # Panics
/// When one of the two has no key.
#[must_use]
pub fn in_the_name_of(other: &Caller, by: &Caller, payload: Vec<u8>) -> Vec<u8> {
    let kid = other.signer.as_ref().unwrap().public_key().identifier();
    let unsigned = Unsigned::new(Kind::Approval, by.genesis.as_bytes(), kid, payload);
    unsigned.with_signature(&by.signer.as_ref().unwrap().sign(&unsigned.to_be_signed()).unwrap())
}

/// A fresh key in a file that only its owner may touch.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn fresh_key(folder: &Path, name: &str) -> FileSigner {
    let path = folder.join(name);
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    std::io::Write::write_all(&mut file, pem.as_bytes()).unwrap();
    FileSigner::read(&path).unwrap()
}

/// The fields of an encoded message, key and value as bytes.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Takes a message apart at its outermost map.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn fields(message: &[u8]) -> Fields {
    let (major, count, mut rest) = head(message);
    assert_eq!(major, 5, "a map");
    let fields = (0..count).map(|_| {
        let (key, value) = rest.split_at(item_len(rest));
        let (value, after) = value.split_at(item_len(value));
        rest = after;
        (key.to_vec(), value.to_vec())
    });
    let fields = fields.collect();
    assert!(rest.is_empty());
    fields
}

/// Puts a message together with its fields changed.
///
/// # Panics
/// When it is none, or has too many fields afterwards.
#[must_use]
pub fn with(message: &[u8], change: impl FnOnce(&mut Fields)) -> Vec<u8> {
    let mut fields = fields(message);
    change(&mut fields);
    let count = u8::try_from(fields.len()).unwrap();
    assert!(count < 24);
    let body = fields.into_iter().flat_map(|(key, value)| [key, value].concat());
    [0xa0 | count].into_iter().chain(body).collect()
}

/// Major type and argument of an item, and what comes after its head.
fn head(bytes: &[u8]) -> (u8, u64, &[u8]) {
    let (first, rest) = bytes.split_first().unwrap();
    let len = match first & 0x1f {
        short @ 0..=23 => return (first >> 5, u64::from(short), rest),
        long @ 24..=27 => 1_usize << (long - 24),
        _ => panic!("an item without a length"),
    };
    let argument = rest[..len].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    (first >> 5, argument, &rest[len..])
}

fn item_len(bytes: &[u8]) -> usize {
    let (major, argument, rest) = head(bytes);
    let before = bytes.len() - rest.len();
    let argument_len = usize::try_from(argument).unwrap_or(usize::MAX);
    match major {
        2 | 3 => before + argument_len,
        4 | 5 => {
            let items = if major == 5 { 2 * argument_len } else { argument_len };
            (0..items).fold(before, |at, _| at + item_len(&bytes[at..]))
        }
        _ => before,
    }
}
