//! What is signed, and with what: COSE_Sign1, signed notes, keys and signatures, and the value update with its two
//! readers. Bytes made here verify nowhere: what is tried is how they are read before and after.

use super::wire::{any_of, strict};
use keysvc_protocol::{
    bundle::TrustBundle,
    bytes::{Digest, from_hex},
    cbor,
    ceremony::{PlanAgreement, TranscriptAgreement},
    checkpoint::{Checkpoint, Origin, SignedCheckpoint},
    component::ComponentKeyOffer,
    cose::{Kind, Signed},
    delivery::{Delivery, ExchangeOpening},
    founding::FoundingAgreement,
    job::{JobAgreement, JobRecord},
    key::KeyRecord,
    leaf::FoundingSignature,
    public_key::PublicKey,
    quorum::Approval,
    receipt::Receipt,
    request::Operation,
    sentence,
    value::{ValueError, ValueUpdate},
};

/// The trust domain of every golden message.
pub(super) const DOMAIN: &str = "golden.keysvc.test";

/// The genesis digest of every golden message.
pub(super) const GENESIS: Digest = Digest::new([0xa0; 32]);

/// The key that signed every golden message: its secret is 32 bytes of 09.
pub(super) fn golden_key() -> PublicKey {
    let spki = concat!(
        "3059301306072a8648ce3d020106082a8648ce3d03010703420004",
        "7135fa4fd93a09dce98bbf681b4bfcf50e7c0d6354e62afb0bff2a3429617865",
        "ed4c1f02ddb9023ee56a557e515d6a9dc66c11f220960de594334df588776724",
    );
    PublicKey::from_spki(&from_hex(spki).expect("hexadecimal")).expect("a point on the curve")
}

/// A signed message: split, put together again, tried under every kind, and its payload read as all that are signed.
pub(super) fn signed(bytes: &[u8]) -> bool {
    let Ok(parsed) = Signed::parse(bytes) else { return signed_payload(bytes) };
    let payload = parsed.recorded_payload();
    assert!(reassembled(bytes, &parsed), "a COSE_Sign1 is read from another form than the one");
    let (key, genesis) = (golden_key(), GENESIS);
    let founding = [Kind::Founding, Kind::Plan].map(|kind| (kind, DOMAIN.as_bytes()));
    let others = [
        // All requests have one typ: what tells them apart is signed and not in the message.
        Kind::Request(Operation::CardDerive),
        Kind::ValueUpdate,
        Kind::ExchangeOpening,
        Kind::Delivery,
        Kind::TrustBundle,
        Kind::Approval,
        Kind::ApprovedValueUpdate,
        Kind::ImportOffer,
        Kind::Transcript,
        Kind::JobAgreement,
        Kind::JobRecord,
    ];
    let others = others.map(|kind| (kind, genesis.as_bytes().as_slice()));
    let opened =
        founding.iter().chain(&others).filter(|(kind, scope)| parsed.open(*kind, scope, &key).is_ok());
    assert!(opened.count() <= 1, "one message is of two kinds");
    let _ = signed_payload(payload);
    true
}

/// Whether the message is the two bytes of tag and array, the protected header, an empty map, the payload and 64 bytes.
fn reassembled(bytes: &[u8], parsed: &Signed<'_>) -> bool {
    let string = |content: &[u8]| {
        let len = u64::try_from(content.len()).expect("a length");
        let mut out = Vec::new();
        // The product's head is what is judged here: spelled out, it has four widths.
        match len {
            0..24 => out.push(0x40 | len.to_be_bytes()[7]),
            24..256 => out.extend_from_slice(&[0x58, len.to_be_bytes()[7]]),
            256..65_536 => {
                out.push(0x59);
                out.extend_from_slice(&len.to_be_bytes()[6..]);
            }
            _ => {
                out.push(0x5a);
                out.extend_from_slice(&len.to_be_bytes()[4..]);
            }
        }
        out.extend_from_slice(content);
        out
    };
    let Some((front, signature)) = bytes.split_last_chunk::<66>() else { return false };
    let payload = string(parsed.recorded_payload());
    let Some(front) = front.strip_suffix(payload.as_slice()).and_then(|front| front.strip_suffix(&[0xa0]))
    else {
        return false;
    };
    let kid = parsed.key_identifier();
    let mut header = vec![0xa3, 0x01, 0x26, 0x04, 0x48];
    header.extend_from_slice(kid.as_bytes());
    header.push(0x10);
    let Some(protected) = front.strip_prefix(&[0xd2, 0x84]) else { return false };
    let at = if protected.len() < 25 { 1 } else { 2 };
    let Some(content) = protected.get(at..) else { return false };
    signature.starts_with(&[0x58, 0x40]) && protected == string(content) && content.starts_with(&header)
}

fn signed_payload(bytes: &[u8]) -> bool {
    if let Some(said) = strict::<JobAgreement>(bytes) {
        let text = sentence::agreement(&said);
        assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'), "{text:?}");
    }
    any_of!(
        bytes; JobAgreement, FoundingAgreement, FoundingSignature, ValueUpdate, ExchangeOpening, Delivery,
        TrustBundle, Approval, ComponentKeyOffer, PlanAgreement, TranscriptAgreement, JobRecord, KeyRecord, Receipt,
    )
}

/// A value update: the reader made by hand and the typed one read the same from the same bytes, and nothing from the
/// same others.
pub(super) fn value_update(bytes: &[u8]) -> bool {
    let by_type = cbor::decode::<ValueUpdate>(bytes, bytes.len()).ok();
    match ValueUpdate::from_payload(bytes) {
        Ok(update) => {
            assert_eq!(Some(&update), by_type.as_ref(), "the two readers read otherwise");
            strict::<ValueUpdate>(bytes);
            true
        }
        Err(ValueError::Encoding(_)) => {
            assert_eq!(by_type, None, "the reader made by hand refuses what the other takes");
            false
        }
        Err(why) => {
            assert!(by_type.is_some(), "the reader made by hand takes what the other refuses: {why}");
            false
        }
    }
}

/// A signature (64 bytes), a key (91 bytes) and a message: both libraries say the same.
pub(super) fn public_key(bytes: &[u8]) -> bool {
    let Some((signature, rest)) = bytes.split_first_chunk::<64>() else { return false };
    let Some((spki, message)) = rest.split_at_checked(91) else { return false };
    let Ok(key) = PublicKey::from_spki(spki) else { return false };
    assert_eq!(key.spki().as_slice(), spki);
    let by_ring = key.verify_by_ring(&[message], signature);
    assert_eq!(by_ring, key.verify_by_p256(&[message], signature), "ring and p256 disagree");
    if key.verify(&[message], signature).is_ok() {
        assert!(by_ring.is_ok(), "accepted, and by neither library");
    }
    true
}

/// A signed note: kept as received, spelled in one way, and of the log it names.
pub(super) fn checkpoint(bytes: &[u8]) -> bool {
    let Ok(note) = SignedCheckpoint::parse(bytes) else { return false };
    assert_eq!(note.as_bytes(), bytes, "a note is kept otherwise than received");
    let Checkpoint { origin, .. } = note.checkpoint();
    let text = note.checkpoint().text();
    assert!(bytes.starts_with(text.as_bytes()), "a checkpoint has two spellings");
    assert_eq!(bytes.get(text.len()), Some(&b'\n'), "no blank line behind the text");
    assert_eq!(strict::<SignedCheckpoint>(&cbor::encode(&note)).as_ref(), Some(&note));
    let (key, other) = (golden_key(), Origin::of(&"other.test".parse().expect("a domain"), 1));
    let _ = note.verify(origin, &key);
    assert!(*origin == other || note.verify(&other, &key).is_err(), "a note of another log verifies");
    true
}
