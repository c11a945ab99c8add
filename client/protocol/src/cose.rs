//! COSE_Sign1 (RFC 9052 section 4.2) in the one form keysvc signs and accepts.
//!
//! Tag 18; protected header {1: -7 (ES256), 4: kid of 8 bytes, 16: typ}; unprotected header empty; payload in
//! place; signature r then s, low-S. Written by hand because the signature covers exact bytes. What is signed is the
//! received payload, never a re-encoding of it, and [`Signed::open`] gives the payload only after verifying. The one
//! exception is [`Signed::recorded_payload`], for what the service's own log holds.

use crate::{
    bytes::{Digest, KeyIdentifier},
    cbor::{head, read_head},
    hash::sha256,
    public_key::{BadSignature, PublicKey},
    request::Operation,
};
use alloc::vec::Vec;

/// What a message is: its `typ` header (RFC 9596) and its domain in the `external_aad`, so that a signature for one
/// kind never serves another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An officer's agreement to a founding file; bound to the trust domain, for there is no genesis yet.
    Founding,
    /// A request that changes something, by the caller's statement key; the domain names the operation.
    Request(Operation),
    /// A value update by a value signing key.
    ValueUpdate,
    /// The opening of an exchange with a station, by the service statement key.
    ExchangeOpening,
    /// A delivery of wrapped card keys to a station, by the service statement key.
    Delivery,
    /// A trust bundle, by the service statement key.
    TrustBundle,
    /// An officer's verdict on a proposal, by the approval key.
    Approval,
    /// A value update that took a quorum, by a value signing key; its payload names the evidence.
    ApprovedValueUpdate,
    /// The one-time key of a key import for one custodian, by the service statement key.
    ImportOffer,
    /// A person's agreement to the plan of a ceremony; bound to the trust domain, for a founding has no genesis yet.
    Plan,
    /// A person's agreement to the transcript of a ceremony; bound to the genesis digest.
    Transcript,
    /// A person's agreement to an act on a personalization job, by the statement key.
    JobAgreement,
    /// A job's audit record, by the service statement key.
    JobRecord,
}

impl Kind {
    /// The `typ` header's text.
    #[must_use]
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Founding => "keysvc/fo1",
            Self::Request(_) => "keysvc/rq1",
            Self::ValueUpdate => "keysvc/vu1",
            Self::ExchangeOpening => "keysvc/xo1",
            Self::Delivery => "keysvc/de1",
            Self::TrustBundle => "keysvc/tb2",
            Self::Approval => "keysvc/ap1",
            Self::ApprovedValueUpdate => "keysvc/vu2",
            Self::ImportOffer => "keysvc/io1",
            Self::Plan => "keysvc/pl1",
            Self::Transcript => "keysvc/ct1",
            Self::JobAgreement => "keysvc/ja1",
            Self::JobRecord => "keysvc/jr1",
        }
    }

    /// The ASCII domain at the head of the `external_aad`; for a request the operation's name comes before ":v1".
    const fn domain(self) -> (&'static str, &'static str) {
        match self {
            Self::Founding => ("keysvc:founding:v1", ""),
            Self::Request(operation) => ("keysvc:request:v1:", operation.name()),
            Self::ValueUpdate => ("keysvc:value-update:v1", ""),
            Self::ExchangeOpening => ("keysvc:exchange-opening:v1", ""),
            Self::Delivery => ("keysvc:delivery:v1", ""),
            Self::TrustBundle => ("keysvc:trust-bundle:v2", ""),
            Self::Approval => ("keysvc:approval:v1", ""),
            Self::ApprovedValueUpdate => ("keysvc:value-update:v2", ""),
            Self::ImportOffer => ("keysvc:import-offer:v1", ""),
            Self::Plan => ("keysvc:plan:v1", ""),
            Self::Transcript => ("keysvc:transcript:v1", ""),
            Self::JobAgreement => ("keysvc:job-agreement:v1", ""),
            Self::JobRecord => ("keysvc:job-record:v1", ""),
        }
    }

    /// The `external_aad`: the ASCII domain, one zero byte, and the scope: the genesis digest (32 bytes), or for a
    /// founding the trust domain's text.
    #[must_use]
    pub fn external_aad(self, scope: &[u8]) -> Vec<u8> {
        let (domain, operation) = self.domain();
        [domain.as_bytes(), operation.as_bytes(), &[0], scope].concat()
    }
}

/// Why bytes are not a COSE_Sign1 of the expected kind by the expected key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// Not in the one form accepted here (tag, headers, lengths).
    #[error("not a COSE_Sign1 in the profile's form")]
    Malformed,
    /// A good form, but of another kind of message.
    #[error("a message of another kind")]
    WrongKind,
    /// Signed with another key than expected.
    #[error("signed with another key")]
    WrongKey,
    /// The signature does not verify, or is not in low-S form.
    #[error("the signature does not verify")]
    BadSignature,
}

impl From<BadSignature> for CoseError {
    fn from(_: BadSignature) -> Self {
        Self::BadSignature
    }
}

/// A COSE_Sign1 as received: split into its parts, nothing verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    protected: &'a [u8],
    typ: &'a [u8],
    kid: KeyIdentifier,
    payload: &'a [u8],
    signature: &'a [u8; 64],
}

/// `[1: -7, 4: bytes(8)` of a map of three, before the kid.
const PROTECTED_HEAD: [u8; 5] = [0xa3, 0x01, 0x26, 0x04, 0x48];

impl<'a> Signed<'a> {
    /// Splits a message. Verifies nothing: the payload of what a caller sends comes out of [`Signed::open`] alone.
    ///
    /// # Errors
    /// [`CoseError::Malformed`] for any other form.
    pub fn parse(message: &'a [u8]) -> Result<Self, CoseError> {
        Self::split(message).ok_or(CoseError::Malformed)
    }

    fn split(message: &'a [u8]) -> Option<Self> {
        // Tag 18, array of four.
        let rest = message.strip_prefix(&[0xd2, 0x84])?;
        let (protected, rest) = byte_string(rest)?;
        // The unprotected map is empty.
        let rest = rest.strip_prefix(&[0xa0])?;
        let (payload, rest) = byte_string(rest)?;
        let (signature, rest) = byte_string(rest)?;
        if !rest.is_empty() {
            return None;
        }
        let header = protected.strip_prefix(&PROTECTED_HEAD)?;
        let (kid, header) = header.split_at_checked(KeyIdentifier::LEN)?;
        // Key 16 (typ), then text.
        let header = header.strip_prefix(&[0x10])?;
        let (3, len, typ) = read_head(header)? else { return None };
        if u64::try_from(typ.len()).ok()? != len {
            return None;
        }
        let (kid, signature) = (KeyIdentifier::try_from(kid).ok()?, signature.try_into().ok()?);
        Some(Self { protected, typ, kid, payload, signature })
    }

    /// The identifier of the key it claims to be signed with; a claim until [`Signed::open`].
    #[must_use]
    pub const fn key_identifier(&self) -> KeyIdentifier {
        self.kid
    }

    /// The payload of a message that was verified before it was recorded. For what the own log holds and nothing else: its
    /// signer may have other keys by now.
    #[must_use]
    pub const fn recorded_payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Verifies and gives the payload. `scope` is the genesis digest, or for a founding the trust domain's text.
    ///
    /// # Errors
    /// [`CoseError`] naming the first check that failed.
    pub fn open(&self, kind: Kind, scope: &[u8], key: &PublicKey) -> Result<&'a [u8], CoseError> {
        if self.typ != kind.typ().as_bytes() {
            return Err(CoseError::WrongKind);
        }
        if self.kid != key.identifier() {
            return Err(CoseError::WrongKey);
        }
        let structure = signature_structure(self.protected, &kind.external_aad(scope), self.payload);
        key.verify(&[&structure], self.signature)?;
        Ok(self.payload)
    }
}

fn byte_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (2, len, rest) = read_head(bytes)? else { return None };
    rest.split_at_checked(usize::try_from(len).ok()?)
}

/// `Sig_structure` (RFC 9052 section 4.4): `["Signature1", protected, external_aad, payload]`. For published vectors too,
/// which are of no [`Kind`].
#[must_use]
pub fn signature_structure(protected: &[u8], external_aad: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len().saturating_add(128));
    out.push(0x84);
    head(&mut out, 3, 10);
    out.extend_from_slice(b"Signature1");
    for part in [protected, external_aad, payload] {
        put_byte_string(&mut out, part);
    }
    out
}

fn put_byte_string(out: &mut Vec<u8>, bytes: &[u8]) {
    head(out, 2, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

/// A message about to be signed: what the signer needs and how the signature becomes a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    protected: Vec<u8>,
    external_aad: Vec<u8>,
    payload: Vec<u8>,
    digest: Digest,
}

impl Unsigned {
    /// Prepares `payload` to be signed as `kind` with the key of this identifier in `scope` (see
    /// [`Kind::external_aad`]).
    #[must_use]
    pub fn new(kind: Kind, scope: &[u8], key: KeyIdentifier, payload: Vec<u8>) -> Self {
        let mut protected = Vec::with_capacity(32);
        protected.extend_from_slice(&PROTECTED_HEAD);
        protected.extend_from_slice(key.as_bytes());
        protected.push(0x10);
        head(&mut protected, 3, u64::try_from(kind.typ().len()).unwrap_or(u64::MAX));
        protected.extend_from_slice(kind.typ().as_bytes());
        let external_aad = kind.external_aad(scope);
        let digest = sha256(&[&signature_structure(&protected, &external_aad, &payload)]);
        Self { protected, external_aad, payload, digest }
    }

    /// SHA-256 of the `Sig_structure`: the 32 bytes that go to ECDSA.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The `Sig_structure` itself (RFC 9052 section 4.4), for signers that hash on their own.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        signature_structure(&self.protected, &self.external_aad, &self.payload)
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The message with its signature (r then s, 64 bytes, low-S).
    #[must_use]
    pub fn with_signature(&self, signature: &[u8; 64]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload.len().saturating_add(128));
        out.extend_from_slice(&[0xd2, 0x84]);
        put_byte_string(&mut out, &self.protected);
        out.push(0xa0);
        put_byte_string(&mut out, &self.payload);
        put_byte_string(&mut out, signature);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coset::CborSerializable as _;
    use coset::TaggedCborSerializable as _;
    use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _};

    const SCOPE: [u8; 32] = [3; 32];

    fn key() -> (SigningKey, PublicKey) {
        let key = SigningKey::from_slice(&[9; 32]).unwrap();
        let mut spki = alloc::vec![
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00
        ];
        spki.extend_from_slice(key.verifying_key().to_encoded_point(false).as_bytes());
        (key, PublicKey::from_spki(&spki).unwrap())
    }

    fn signed(kind: Kind, payload: &[u8]) -> Vec<u8> {
        let (key, public) = key();
        let unsigned = Unsigned::new(kind, &SCOPE, public.identifier(), payload.to_vec());
        let signature: Signature = key.sign_prehash(unsigned.digest().as_bytes()).unwrap();
        let signature = signature.normalize_s().unwrap_or(signature);
        unsigned.with_signature(&signature.to_bytes().into())
    }

    #[test]
    fn a_signed_message_opens_under_its_kind_scope_and_key_only() {
        let (_, public) = key();
        let message = signed(Kind::ValueUpdate, b"payload");
        let parsed = Signed::parse(&message).unwrap();
        assert_eq!(parsed.open(Kind::ValueUpdate, &SCOPE, &public), Ok(&b"payload"[..]));
        assert_eq!(parsed.open(Kind::Delivery, &SCOPE, &public), Err(CoseError::WrongKind));
        assert_eq!(parsed.open(Kind::ValueUpdate, &[4; 32], &public), Err(CoseError::BadSignature));
    }

    #[test]
    fn a_request_signed_for_one_operation_does_not_open_for_another() {
        let (_, public) = key();
        let message = signed(Kind::Request(Operation::JobOpen), b"payload");
        let parsed = Signed::parse(&message).unwrap();
        assert!(parsed.open(Kind::Request(Operation::JobOpen), &SCOPE, &public).is_ok());
        let other = parsed.open(Kind::Request(Operation::CardDerive), &SCOPE, &public);
        assert_eq!(other, Err(CoseError::BadSignature));
    }

    #[test]
    fn any_altered_byte_is_refused() {
        let (_, public) = key();
        let message = signed(Kind::ValueUpdate, b"payload");
        for position in 0..message.len() {
            let mut altered = message.clone();
            altered[position] ^= 1;
            let opened = Signed::parse(&altered)
                .and_then(|parsed| parsed.open(Kind::ValueUpdate, &SCOPE, &public).map(<[u8]>::to_vec));
            assert!(opened.is_err(), "byte {position}");
        }
    }

    #[test]
    fn an_independent_library_reads_and_verifies_it() {
        let (_, public) = key();
        let message = signed(Kind::Delivery, b"payload");
        let theirs = coset::CoseSign1::from_tagged_slice(&message).unwrap();
        assert_eq!(theirs.payload.as_deref(), Some(&b"payload"[..]));
        assert_eq!(theirs.protected.header.key_id, public.identifier().as_bytes());
        assert!(theirs.unprotected.clone().to_vec().unwrap() == [0xa0]);
        let aad = Kind::Delivery.external_aad(&SCOPE);
        let verdict = theirs.verify_signature(&aad, |signature, data| {
            public.verify(&[data], signature.try_into().map_err(|_| BadSignature)?)
        });
        assert_eq!(verdict, Ok(()));
    }

    #[test]
    fn a_message_without_tag_or_with_headers_elsewhere_is_refused() {
        let message = signed(Kind::ValueUpdate, b"payload");
        assert_eq!(Signed::parse(&message[1..]), Err(CoseError::Malformed));
        let mut trailing = message.clone();
        trailing.push(0);
        assert_eq!(Signed::parse(&trailing), Err(CoseError::Malformed));
        let mut unprotected = message;
        let position = unprotected.iter().position(|byte| *byte == 0xa0).unwrap();
        unprotected.splice(position..=position, [0xa1, 0x01, 0x26]);
        assert_eq!(Signed::parse(&unprotected), Err(CoseError::Malformed));
    }
}
