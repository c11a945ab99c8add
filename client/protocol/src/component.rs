//! What a custodian of a key's component receives: the one-time key to seal it to.
//!
//! Signed by the service statement key, so that nobody else's key is put in its place. Which components make a key, and
//! what a sealed one is bound to, is [`crate::sealing`]'s.

use crate::{
    bytes::{Blob, Digest, ProposalId},
    cbor::{self, DecodeError},
    cose::{CoseError, Kind, Signed},
    name::Name,
    public_key::PublicKey,
    schema::Schema,
};
use serde::{Deserialize, Serialize};

/// Longest signed offer, in bytes: two names of 64, 128 for the public key, 96 for the other fields, 160 for the COSE
/// frame around them.
pub const OFFER_MESSAGE_LEN_MAX: usize = 512;

/// The one-time key for one custodian's component of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentKeyOffer {
    /// Field 0.
    pub schema: Schema,
    /// The proposal that the import was.
    pub proposal: ProposalId,
    /// The custodian it is for.
    pub custodian: Name,
    /// The number of their component, from 1.
    pub number: u8,
    /// The key's name.
    pub name: Name,
    /// The version that the components will make.
    pub version: u32,
    /// How many components there are.
    pub components: u8,
    /// The one-time key, DER `SubjectPublicKeyInfo`.
    pub public: Blob<128>,
    /// When the import ends: milliseconds since 1970-01-01 UTC.
    pub expires_ms: u64,
}

/// Why bytes are no offer of the service's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// Not signed by the service statement key as this kind in this scope.
    #[error("not the service's offer: {0}")]
    Signature(#[from] CoseError),
    /// The signed payload is not of this kind.
    #[error("not the service's offer: {0}")]
    Encoding(#[from] DecodeError),
}

impl ComponentKeyOffer {
    /// Verifies and reads an offer signed by the service statement key.
    ///
    /// # Errors
    /// [`OfferError`] naming the first check that failed.
    pub fn verify(message: &[u8], genesis: &Digest, key: &PublicKey) -> Result<Self, OfferError> {
        let payload = Signed::parse(message)?.open(Kind::ImportOffer, genesis.as_bytes(), key)?;
        Ok(cbor::decode(payload, OFFER_MESSAGE_LEN_MAX)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bytes::KeyIdentifier, cose::Unsigned};
    use alloc::vec::Vec;
    use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};

    /// An offer with everything as long as it may be.
    fn longest() -> ComponentKeyOffer {
        let name: Name = "x".repeat(crate::name::NAME_LEN_MAX).parse().unwrap();
        ComponentKeyOffer {
            schema: Schema,
            proposal: ProposalId::new([0xff; 16]),
            custodian: name.clone(),
            number: u8::MAX,
            name,
            version: u32::MAX,
            components: u8::MAX,
            public: Blob::try_from(Vec::from([0xff; 128])).unwrap(),
            expires_ms: u64::MAX,
        }
    }

    fn key() -> (SigningKey, PublicKey) {
        let key = SigningKey::from_slice(&[9; 32]).unwrap();
        let head = crate::bytes::from_hex("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
        let point = key.verifying_key().to_encoded_point(false);
        (key, PublicKey::from_spki(&[head.as_slice(), point.as_bytes()].concat()).unwrap())
    }

    fn signed(kind: Kind, genesis: &Digest) -> Vec<u8> {
        let (key, public) = key();
        let unsigned = Unsigned::new(kind, genesis.as_bytes(), public.identifier(), cbor::encode(&longest()));
        let signature: Signature = key.sign(&unsigned.to_be_signed());
        let signature = signature.normalize_s().unwrap_or(signature);
        unsigned.with_signature(&signature.to_bytes().into())
    }

    #[test]
    fn the_longest_offer_fits_and_is_read_as_it_was_signed() {
        let genesis = Digest::new([1; 32]);
        let message = signed(Kind::ImportOffer, &genesis);
        assert!(message.len() <= OFFER_MESSAGE_LEN_MAX, "{}", message.len());
        assert_eq!(ComponentKeyOffer::verify(&message, &genesis, &key().1), Ok(longest()));
    }

    #[test]
    fn an_offer_of_another_site_kind_or_signer_is_none() {
        let genesis = Digest::new([1; 32]);
        let (_, public) = key();
        let message = signed(Kind::ImportOffer, &genesis);
        let is_none = |message: &[u8], genesis: &Digest| {
            matches!(ComponentKeyOffer::verify(message, genesis, &public), Err(OfferError::Signature(_)))
        };
        assert!(is_none(&message, &Digest::new([2; 32])));
        assert!(is_none(&signed(Kind::ExchangeOpening, &genesis), &genesis));
        let by_nobody =
            Unsigned::new(Kind::ImportOffer, genesis.as_bytes(), KeyIdentifier::new([0; 8]), Vec::new());
        assert!(is_none(&by_nobody.with_signature(&[1; 64]), &genesis));
    }
}
