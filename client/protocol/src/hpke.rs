//! Hybrid public key encryption (RFC 9180), base mode, one message for each key: what is sealed here opens only for who
//! holds the recipient's private key, under the same info and associated data.
//!
//! One suite alone: DHKEM(P-256, HKDF-SHA256) 0x0010, HKDF-SHA256 0x0001, AES-128-GCM 0x0001. Apart because both ends
//! use it and neither may differ: the sender's side is whole, the recipient's leaves the agreement to whoever holds
//! the private key, a token. It knows no keys of its own and nothing of what is sealed.
//!
//! Secrets are wiped here; what ring keeps in its own values while it computes is not ours to wipe.

use alloc::vec::Vec;
use ring::{
    aead::{self, AES_128_GCM, Aad, LessSafeKey, UnboundKey},
    agreement::{self, ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey},
    hmac,
    rand::SystemRandom,
};
use zeroize::Zeroizing;

/// Length of an encapsulated key, in bytes: an uncompressed point of P-256.
pub const ENCAPSULATED_LEN: usize = 65;
/// Length of the authentication tag, in bytes.
pub const TAG_LEN: usize = 16;
/// Longest plaintext, in bytes: what is sealed is one key's part of 16, and room for a little more.
pub const PLAINTEXT_LEN_MAX: usize = 1_024;

/// Begins every labelled input (RFC 9180 section 4).
const VERSION: &[u8] = b"HPKE-v1";
/// The KEM's suite identifier (RFC 9180 section 4.1).
const KEM_SUITE: &[u8] = b"KEM\x00\x10";
/// The whole suite's identifier (RFC 9180 section 5.1): KEM, KDF and AEAD.
const SUITE: &[u8] = b"HPKE\x00\x10\x00\x01\x00\x01";
/// The mode without a shared key or a sender's key (RFC 9180 section 5).
const MODE_BASE: u8 = 0;
/// What an uncompressed point begins with (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Why nothing was sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HpkeError {
    /// The recipient's public key is no point of the curve.
    #[error("the key to seal to is no P-256 public key")]
    Recipient,
    /// There is more to seal than may be.
    #[error("too long to be sealed: at most {PLAINTEXT_LEN_MAX} bytes are")]
    TooLong,
    /// The system gave no random bytes for the sender's key.
    #[error("the system gives no random bytes")]
    Random,
    /// The bytes are too short, too long, or do not begin with an uncompressed point.
    #[error("not a sealed message of this kind")]
    Form,
    /// Sealed to another key or for another purpose, or altered since.
    #[error("it does not open: sealed to another key or for another purpose, or altered")]
    Sealed,
}

/// Why a sealed message was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError<E> {
    /// The message itself.
    #[error("{0}")]
    Message(#[from] HpkeError),
    /// The holder of the private key did not agree on a secret with the sender's key.
    #[error("{0}")]
    Agreement(E),
}

/// Seals `plaintext` to the recipient's public key, an uncompressed point, with a fresh key of the sender's. Gives the
/// encapsulated key, then the ciphertext with its tag.
///
/// # Errors
/// [`HpkeError::Recipient`], [`HpkeError::TooLong`] or [`HpkeError::Random`].
pub fn seal(
    recipient_public: &[u8; ENCAPSULATED_LEN],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, HpkeError> {
    if plaintext.len() > PLAINTEXT_LEN_MAX {
        return Err(HpkeError::TooLong);
    }
    let sender =
        EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).map_err(|_| HpkeError::Random)?;
    let public = sender.compute_public_key().map_err(|_| HpkeError::Random)?;
    let encapsulated = public.as_ref().try_into().map_err(|_| HpkeError::Random)?;
    let recipient = UnparsedPublicKey::new(&ECDH_P256, recipient_public);
    // Ring looks whether the recipient's point lies on the curve.
    let shared = agreement::agree_ephemeral(sender, &recipient, |dh| {
        shared_secret(dh, encapsulated, recipient_public)
    })
    .map_err(|_| HpkeError::Recipient)?;
    Message::under(&shared, info).seal(encapsulated, aad, plaintext)
}

/// Opens what was sealed to `recipient_public`. `dh` agrees on the secret with the sender's point: the x coordinate, as
/// its private key's holder computes it. That side must refuse a point that is not on the curve.
///
/// # Errors
/// [`OpenError::Agreement`] is `dh`'s own; [`HpkeError::Form`] and [`HpkeError::Sealed`] are the message's.
pub fn open<E>(
    sealed: &[u8],
    recipient_public: &[u8; ENCAPSULATED_LEN],
    info: &[u8],
    aad: &[u8],
    dh: impl FnOnce(&[u8; ENCAPSULATED_LEN]) -> Result<Zeroizing<[u8; 32]>, E>,
) -> Result<Zeroizing<Vec<u8>>, OpenError<E>> {
    let (encapsulated, ciphertext) = sealed.split_first_chunk().ok_or(HpkeError::Form)?;
    let text_len = ciphertext.len().checked_sub(TAG_LEN).ok_or(HpkeError::Form)?;
    if encapsulated.first() != Some(&UNCOMPRESSED) || text_len > PLAINTEXT_LEN_MAX {
        return Err(HpkeError::Form.into());
    }
    let agreed = dh(encapsulated).map_err(OpenError::Agreement)?;
    let shared = shared_secret(&*agreed, encapsulated, recipient_public);
    Ok(Message::under(&shared, info).open(aad, ciphertext)?)
}

/// `ExtractAndExpand` (RFC 9180 section 4.1).
fn shared_secret(
    dh: &[u8],
    encapsulated: &[u8; ENCAPSULATED_LEN],
    recipient: &[u8; ENCAPSULATED_LEN],
) -> Zeroizing<[u8; 32]> {
    let extracted = labelled_extract(KEM_SUITE, &[], b"eae_prk", dh);
    labelled_expand(KEM_SUITE, &extracted, b"shared_secret", &[encapsulated, recipient])
}

/// The key and the nonce of the one message that a context seals.
struct Message {
    key: Zeroizing<[u8; 16]>,
    nonce: Zeroizing<[u8; aead::NONCE_LEN]>,
}

impl Message {
    /// `KeySchedule` (RFC 9180 section 5.1) without a shared key. The first message's nonce is the base nonce.
    fn under(shared: &[u8; 32], info: &[u8]) -> Self {
        let no_psk = labelled_extract(SUITE, &[], b"psk_id_hash", &[]);
        let info = labelled_extract(SUITE, &[], b"info_hash", info);
        let context: [&[u8]; 3] = [&[MODE_BASE], &*no_psk, &*info];
        let secret = labelled_extract(SUITE, shared, b"secret", &[]);
        Self {
            key: labelled_expand(SUITE, &secret, b"key", &context),
            nonce: labelled_expand(SUITE, &secret, b"base_nonce", &context),
        }
    }

    fn seal(
        &self,
        encapsulated: &[u8; ENCAPSULATED_LEN],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, HpkeError> {
        let whole = ENCAPSULATED_LEN.saturating_add(plaintext.len()).saturating_add(TAG_LEN);
        // Of its last size from the start, so that no piece of the plaintext is left where it grew; wiped if it fails.
        let mut sealed = Zeroizing::new(Vec::with_capacity(whole));
        sealed.extend_from_slice(encapsulated);
        sealed.extend_from_slice(plaintext);
        let text = sealed.get_mut(ENCAPSULATED_LEN..).ok_or(HpkeError::Form)?;
        let tag = self
            .cipher()?
            .seal_in_place_separate_tag(self.nonce(), Aad::from(aad), text)
            .map_err(|_| HpkeError::TooLong)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(core::mem::take(&mut sealed))
    }

    fn open(&self, aad: &[u8], ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
        let mut text = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .cipher()?
            .open_in_place(self.nonce(), Aad::from(aad), &mut text)
            .map_err(|_| HpkeError::Sealed)?
            .len();
        text.truncate(length);
        Ok(text)
    }

    fn cipher(&self) -> Result<LessSafeKey, HpkeError> {
        // Its length is AES-128's, so ring takes it.
        UnboundKey::new(&AES_128_GCM, &*self.key).map(LessSafeKey::new).map_err(|_| HpkeError::Sealed)
    }

    /// Used once: every message has a sender's key of its own, and so a key and a nonce of its own.
    fn nonce(&self) -> aead::Nonce {
        aead::Nonce::assume_unique_for_key(*self.nonce)
    }
}

/// `LabeledExtract` (RFC 9180 section 4): HKDF's first step (RFC 5869 section 2.2), one HMAC.
fn labelled_extract(suite: &[u8], salt: &[u8], label: &[u8], secret: &[u8]) -> Zeroizing<[u8; 32]> {
    hmac_sha256(salt, &[VERSION, suite, label, secret])
}

/// `LabeledExpand` (RFC 9180 section 4): HKDF's second step (RFC 5869 section 2.3), one HMAC as well, because nothing
/// here is longer than its output.
fn labelled_expand<const LEN: usize>(
    suite: &[u8],
    key: &[u8; 32],
    label: &[u8],
    info: &[&[u8]],
) -> Zeroizing<[u8; LEN]> {
    const { assert!(LEN <= 32) };
    let [.., high, low] = LEN.to_be_bytes();
    let length = [high, low];
    let mut parts: Vec<&[u8]> = Vec::from([length.as_slice(), VERSION, suite, label]);
    parts.extend_from_slice(info);
    // HKDF numbers its blocks from 1, behind their input.
    parts.push(&[1]);
    let block = hmac_sha256(key, &parts);
    let mut out = Zeroizing::new([0; LEN]);
    out.iter_mut().zip(block.iter()).for_each(|(to, from)| *to = *from);
    out
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut out = Zeroizing::new([0; 32]);
    out.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bytes::from_hex;
    use core::convert::Infallible;
    use p256::{
        ProjectivePoint,
        ecdsa::{SigningKey, VerifyingKey},
        elliptic_curve::point::AffineCoordinates as _,
    };
    use std::string::ToString as _;

    /// RFC 9180 appendix A.3.1: base mode of this suite, the message with sequence number 0.
    mod a31 {
        pub(super) const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";
        pub(super) const SENDER_PRIVATE: &str =
            "4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb";
        pub(super) const ENCAPSULATED: &str = "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325a\
                                               c98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4";
        pub(super) const RECIPIENT_PRIVATE: &str =
            "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2";
        pub(super) const RECIPIENT: &str = "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a82\
                                            6a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0";
        pub(super) const SHARED_SECRET: &str =
            "c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8";
        pub(super) const KEY: &str = "868c066ef58aae6dc589b6cfdd18f97e";
        pub(super) const NONCE: &str = "4e0bc5018beba4bf004cca59";
        pub(super) const AAD: &str = "436f756e742d30";
        pub(super) const PLAINTEXT: &str = "4265617574792069732074727574682c20747275746820626561757479";
        pub(super) const CIPHERTEXT: &str = "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f\
                                             9076ac232e3ab2523f39513434";
    }

    fn bytes(text: &str) -> Vec<u8> {
        from_hex(text).unwrap()
    }

    fn fixed<const N: usize>(text: &str) -> [u8; N] {
        bytes(text).try_into().unwrap()
    }

    /// A recipient whose private key lies in this process: another library's arithmetic than ring's.
    pub(crate) struct Recipient(SigningKey);

    impl Recipient {
        pub(crate) fn new(byte: u8) -> Self {
            Self(SigningKey::from_slice(&[byte; 32]).unwrap())
        }

        fn published(private: &str) -> Self {
            Self(SigningKey::from_slice(&bytes(private)).unwrap())
        }

        pub(crate) fn public(&self) -> [u8; 65] {
            self.0.verifying_key().to_encoded_point(false).as_bytes().try_into().unwrap()
        }

        pub(crate) fn agree(&self, point: &[u8; 65]) -> Result<Zeroizing<[u8; 32]>, &'static str> {
            let point = VerifyingKey::from_sec1_bytes(point).map_err(|_| "not on the curve")?;
            let shared = ProjectivePoint::from(*point.as_affine()) * **self.0.as_nonzero_scalar();
            Ok(Zeroizing::new(shared.to_affine().x().into()))
        }

        fn open(
            &self,
            sealed: &[u8],
            info: &[u8],
            aad: &[u8],
        ) -> Result<Zeroizing<Vec<u8>>, OpenError<&'static str>> {
            open(sealed, &self.public(), info, aad, |point| self.agree(point))
        }
    }

    #[test]
    fn a_published_message_opens_with_the_published_secrets() {
        let recipient = Recipient::published(a31::RECIPIENT_PRIVATE);
        assert_eq!(recipient.public().as_slice(), bytes(a31::RECIPIENT));
        let encapsulated = fixed(a31::ENCAPSULATED);
        let agreed = recipient.agree(&encapsulated).unwrap();
        let shared = shared_secret(&*agreed, &encapsulated, &recipient.public());
        assert_eq!(shared.as_slice(), bytes(a31::SHARED_SECRET));
        let message = Message::under(&shared, &bytes(a31::INFO));
        assert_eq!(message.key.as_slice(), bytes(a31::KEY));
        assert_eq!(message.nonce.as_slice(), bytes(a31::NONCE));
        let sealed = bytes(&[a31::ENCAPSULATED, a31::CIPHERTEXT].concat());
        let opened = recipient.open(&sealed, &bytes(a31::INFO), &bytes(a31::AAD)).unwrap();
        assert_eq!(*opened, bytes(a31::PLAINTEXT));
    }

    #[test]
    fn the_published_message_is_what_its_sender_seals() {
        let sender = Recipient::published(a31::SENDER_PRIVATE);
        let (encapsulated, recipient) = (fixed(a31::ENCAPSULATED), fixed(a31::RECIPIENT));
        assert_eq!(sender.public(), encapsulated);
        let shared = shared_secret(&*sender.agree(&recipient).unwrap(), &encapsulated, &recipient);
        let message = Message::under(&shared, &bytes(a31::INFO));
        let sealed = message.seal(&encapsulated, &bytes(a31::AAD), &bytes(a31::PLAINTEXT)).unwrap();
        assert_eq!(sealed, bytes(&[a31::ENCAPSULATED, a31::CIPHERTEXT].concat()));
    }

    #[test]
    fn what_is_sealed_opens_for_its_recipient_whatever_its_length() {
        let recipient = Recipient::new(9);
        for length in [0, 1, 15, 16, 17, PLAINTEXT_LEN_MAX] {
            let text: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let sealed = seal(&recipient.public(), b"info", b"aad", &text).unwrap();
            assert_eq!(sealed.len(), ENCAPSULATED_LEN + length + TAG_LEN);
            assert_eq!(*recipient.open(&sealed, b"info", b"aad").unwrap(), text);
        }
    }

    #[test]
    fn each_message_has_a_senders_key_of_its_own() {
        let recipient = Recipient::new(9).public();
        let [one, two] = [(); 2].map(|()| seal(&recipient, b"", b"", b"the same").unwrap());
        assert_ne!(one[..ENCAPSULATED_LEN], two[..ENCAPSULATED_LEN]);
        assert_ne!(one[ENCAPSULATED_LEN..], two[ENCAPSULATED_LEN..]);
    }

    #[test]
    fn another_purpose_another_place_and_another_recipient_do_not_open() {
        let recipient = Recipient::new(9);
        let sealed = seal(&recipient.public(), b"info", b"aad", b"text").unwrap();
        let refused = Err(OpenError::Message(HpkeError::Sealed));
        for (info, aad) in [("inf", "aad"), ("info2", "aad"), ("info", "aae"), ("info", ""), ("aad", "info")]
        {
            assert_eq!(recipient.open(&sealed, info.as_bytes(), aad.as_bytes()), refused, "{info} {aad}");
        }
        assert_eq!(Recipient::new(8).open(&sealed, b"info", b"aad"), refused);
        // The right private key under another name: the recipient's point is part of the secret.
        let other = Recipient::new(8).public();
        let opened = open(&sealed, &other, b"info", b"aad", |point| recipient.agree(point));
        assert_eq!(opened, refused);
    }

    #[test]
    fn a_message_with_any_bit_flipped_does_not_open() {
        let recipient = Recipient::new(9);
        let sealed = seal(&recipient.public(), b"info", b"aad", &[7; 16]).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let error = recipient.open(&altered, b"info", b"aad").unwrap_err();
            let expected = match bit / 8 {
                0 => OpenError::Message(HpkeError::Form),
                // Half of all x have no y, and no other y fits an x but its negative.
                1..ENCAPSULATED_LEN => OpenError::Agreement("not on the curve"),
                _ => OpenError::Message(HpkeError::Sealed),
            };
            assert_eq!(error, expected, "bit {bit}");
        }
    }

    #[test]
    fn a_message_cut_short_or_made_longer_does_not_open() {
        let recipient = Recipient::new(9);
        let sealed = seal(&recipient.public(), b"info", b"aad", &[7; 16]).unwrap();
        for length in 0..sealed.len() {
            let error = recipient.open(&sealed[..length], b"info", b"aad").unwrap_err();
            let short = length < ENCAPSULATED_LEN + TAG_LEN;
            let expected = if short { HpkeError::Form } else { HpkeError::Sealed };
            assert_eq!(error, OpenError::Message(expected), "{length}");
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        assert_eq!(recipient.open(&longer, b"info", b"aad"), Err(OpenError::Message(HpkeError::Sealed)));
        let too_long = [sealed.as_slice(), &[0; PLAINTEXT_LEN_MAX]].concat();
        assert_eq!(recipient.open(&too_long, b"info", b"aad"), Err(OpenError::Message(HpkeError::Form)));
    }

    proptest::proptest! {
        #[test]
        fn bytes_from_anywhere_do_not_open(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let recipient = Recipient::new(9);
            proptest::prop_assert!(recipient.open(&bytes, b"info", b"aad").is_err());
            // Behind a point that is one, so that the agreement comes out and the ciphertext is looked at.
            let point = Recipient::new(8).public();
            bytes.splice(0..0, point);
            let refused = recipient.open(&bytes, b"info", b"aad").unwrap_err();
            let short = bytes.len() < ENCAPSULATED_LEN + TAG_LEN;
            let expected = if short { HpkeError::Form } else { HpkeError::Sealed };
            proptest::prop_assert_eq!(refused, OpenError::Message(expected));
        }
    }

    #[test]
    fn nothing_is_sealed_to_what_is_no_point_nor_more_than_may_be() {
        let mut off_the_curve = Recipient::new(9).public();
        off_the_curve[64] ^= 1;
        let mut compressed = Recipient::new(9).public();
        compressed[0] = 2;
        for point in [off_the_curve, compressed, [0; 65]] {
            assert_eq!(seal(&point, b"", b"", b"text"), Err(HpkeError::Recipient));
        }
        let long = [0; PLAINTEXT_LEN_MAX + 1];
        assert_eq!(seal(&Recipient::new(9).public(), b"", b"", &long), Err(HpkeError::TooLong));
        assert_eq!(HpkeError::TooLong.to_string(), "too long to be sealed: at most 1024 bytes are");
    }

    #[test]
    fn what_the_keys_holder_says_comes_through() {
        let sealed = seal(&Recipient::new(9).public(), b"", b"", b"text").unwrap();
        let away = open(&sealed, &Recipient::new(9).public(), b"", b"", |_| Err("the token is away"));
        assert_eq!(away, Err(OpenError::Agreement("the token is away")));
        let nothing = open::<Infallible>(&[4; 80], &[4; 65], b"", b"", |_| Ok(Zeroizing::new([0; 32])));
        assert_eq!(nothing, Err(OpenError::Message(HpkeError::Form)), "no room for a tag");
    }
}
