//! Checkpoints: the log's size and root as a signed note (C2SP tlog-checkpoint over C2SP signed-note).
//!
//! A note is kept as the bytes received, so that what is verified and passed on is what was signed. Signatures are
//! ECDSA P-256 over SHA-256 (signature type 0x02). Whether one checkpoint follows from another is
//! [`crate::merkle`]'s affair, and which key may sign for which origin is the caller's.

mod der;

use crate::{
    bytes::{Blob, Digest},
    hash::sha256,
    merkle::TreeHead,
    public_key::PublicKey,
    trust::TrustDomain,
};
use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use base64ct::{Base64, Encoding as _};
use core::{fmt, str, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// Longest origin, in bytes: a trust domain of 255, "/keysvc/" of 8 and an epoch of 10 digits.
pub const ORIGIN_LEN_MAX: usize = 273;
/// Longest note, in bytes: the longest text takes 340, our longest signature line 383, and others may sign too.
pub const NOTE_LEN_MAX: usize = 2048;
/// Most signature lines in a note.
pub const SIGNATURES_MAX: usize = 16;

/// Text that is not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin is 1 to {ORIGIN_LEN_MAX} visible ascii characters without '+'")]
pub struct NotAnOrigin;

/// What log this is: the first line of its checkpoints and the key name of their signatures. 1 to 273 bytes of
/// visible ASCII without '+'.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

impl Origin {
    /// The origin of a trust domain's log: `<domain>/keysvc/<epoch>`. A restore after a disaster begins an epoch.
    #[must_use]
    pub fn of(domain: &TrustDomain, epoch: u32) -> Self {
        Self(format!("{domain}/keysvc/{epoch}"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;
    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+');
        let good = visible && (1..=ORIGIN_LEN_MAX).contains(&text.len());
        if good { Ok(Self(text.to_string())) } else { Err(NotAnOrigin) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What a log commits to: which log it is, its size and its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// Its size and root.
    pub head: TreeHead,
}

impl Checkpoint {
    /// The note text: origin, size in decimal, root in base64, each ended by a line feed.
    #[must_use]
    pub fn text(&self) -> String {
        let root = Base64::encode_string(self.head.root.as_bytes());
        format!("{}\n{}\n{root}\n", self.origin, self.head.size)
    }

    /// SHA-256 of the note text: the 32 bytes that go to ECDSA.
    #[must_use]
    pub fn digest_to_sign(&self) -> Digest {
        sha256(&[self.text().as_bytes()])
    }
}

/// Why bytes are not a checkpoint, or not one by the expected log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Longer than [`NOTE_LEN_MAX`], or with more than [`SIGNATURES_MAX`] signature lines.
    #[error("a checkpoint longer than {NOTE_LEN_MAX} bytes or {SIGNATURES_MAX} signatures")]
    TooLong,
    /// Not UTF-8, or with a control character other than a line feed.
    #[error("a checkpoint with bytes that are not plain text")]
    NotText,
    /// No blank line followed by signature lines.
    #[error("a checkpoint without a blank line and signatures")]
    NoSignatures,
    /// The text is not origin, size and root in their one spelling.
    #[error("a checkpoint whose text is not origin, size and root")]
    BadText,
    /// The text has extension lines, of which none is known.
    #[error("a checkpoint with unknown lines after the root")]
    Extended,
    /// A signature line is not a dash, a key name and base64.
    #[error("a checkpoint with a malformed signature line")]
    BadSignatureLine,
    /// A good note, but of another log.
    #[error("a checkpoint of another log")]
    WrongOrigin,
    /// No signature is by the expected key.
    #[error("a checkpoint not signed with the expected key")]
    NotSigned,
    /// A signature by the expected key does not verify, or is not in strict DER and low-S form.
    #[error("the signature of a checkpoint does not verify")]
    BadSignature,
}

/// A checkpoint with its signatures, as received. Nothing is verified before [`SignedCheckpoint::verify`].
#[derive(Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    note: String,
    checkpoint: Checkpoint,
    signatures: Vec<SignatureLine>,
}

impl SignedCheckpoint {
    /// Reads a signed note strictly: what it says has one spelling.
    ///
    /// # Errors
    /// [`CheckpointError`] naming the first thing that is not as it must be.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        if bytes.len() > NOTE_LEN_MAX {
            return Err(CheckpointError::TooLong);
        }
        let note = str::from_utf8(bytes).map_err(|_| CheckpointError::NotText)?;
        if note.chars().any(|char| char.is_control() && char != '\n') {
            return Err(CheckpointError::NotText);
        }
        // The last blank line: signature lines have none, the text might.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(CheckpointError::NoSignatures)?;
        let lines = lines.strip_suffix('\n').ok_or(CheckpointError::NoSignatures)?;
        if lines.split('\n').count() > SIGNATURES_MAX {
            return Err(CheckpointError::TooLong);
        }
        let checkpoint = read_text(text)?;
        let signatures = lines
            .split('\n')
            .map(|line| SignatureLine::parse(line).ok_or(CheckpointError::BadSignatureLine))
            .collect::<Result<_, _>>()?;
        Ok(Self { note: note.to_string(), checkpoint, signatures })
    }

    /// Puts a checkpoint and its signature together: r then s (64 bytes, low-S) over
    /// [`Checkpoint::digest_to_sign`], and the DER `SubjectPublicKeyInfo` of the key that made it.
    #[must_use]
    pub fn assemble(checkpoint: &Checkpoint, signature_rs: &[u8; 64], spki: &[u8]) -> Self {
        let line = SignatureLine {
            name: checkpoint.origin.to_string(),
            key: key_head(&sha256(&[spki])),
            signature: der::to_der(signature_rs),
        };
        let note = format!("{}\n{}\n", checkpoint.text(), line.text());
        Self { note, checkpoint: checkpoint.clone(), signatures: vec![line] }
    }

    /// Verifies that the log `origin` signed this with `key`. Lines by other keys are ignored; every line by this
    /// one must verify, and there must be one.
    ///
    /// # Errors
    /// [`CheckpointError`] for another origin, no signature by the key, or one that does not verify.
    pub fn verify(&self, origin: &Origin, key: &PublicKey) -> Result<(), CheckpointError> {
        if self.checkpoint.origin != *origin {
            return Err(CheckpointError::WrongOrigin);
        }
        let head = key_head(&key.digest());
        let text = self.text();
        let mut ours = self
            .signatures
            .iter()
            .filter(|line| line.key == head && line.name == origin.as_str())
            .map(|line| {
                let signature = der::from_der(&line.signature).ok_or(CheckpointError::BadSignature)?;
                key.verify(&text, &signature).map_err(|_| CheckpointError::BadSignature)
            })
            .peekable();
        if ours.peek().is_none() {
            return Err(CheckpointError::NotSigned);
        }
        ours.collect()
    }

    /// The signed bytes as received: the text before the blank line, and its line feed.
    fn text(&self) -> [&[u8]; 2] {
        // INVARIANT: a note has a blank line, for it was parsed or assembled with one.
        let text = self.note.rsplit_once("\n\n").map_or(self.note.as_str(), |(text, _)| text);
        [text.as_bytes(), b"\n"]
    }

    /// What the note says; a claim until [`SignedCheckpoint::verify`].
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note as received or assembled, at most 2 KiB of UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.note.as_bytes()
    }
}

impl fmt::Debug for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedCheckpoint({:?})", self.note)
    }
}

impl Serialize for SignedCheckpoint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }
}

impl<'de> Deserialize<'de> for SignedCheckpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let note = Blob::<NOTE_LEN_MAX>::deserialize(deserializer)?;
        Self::parse(note.as_bytes()).map_err(D::Error::custom)
    }
}

/// Reads the note text without its last line feed. What is read here, [`Checkpoint::text`] writes back byte for
/// byte.
fn read_text(text: &str) -> Result<Checkpoint, CheckpointError> {
    let mut lines = text.split('\n');
    let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
        return Err(CheckpointError::BadText);
    };
    if lines.next().is_some() {
        return Err(CheckpointError::Extended);
    }
    let origin = origin.parse().map_err(|_| CheckpointError::BadText)?;
    let size = read_size(size).ok_or(CheckpointError::BadText)?;
    let root = read_base64(root).and_then(|root| Digest::try_from(root.as_slice()).ok());
    Ok(Checkpoint { origin, head: TreeHead { size, root: root.ok_or(CheckpointError::BadText)? } })
}

/// A decimal number without sign or leading zeros.
fn read_size(text: &str) -> Option<u64> {
    text.parse().ok().filter(|size: &u64| size.to_string() == text)
}

/// Standard base64 with padding (RFC 4648 section 4), in its one spelling.
fn read_base64(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).ok().filter(|bytes| Base64::encode_string(bytes) == text)
}

/// The key's identifier in a note: the first 4 bytes of SHA-256 over its `SubjectPublicKeyInfo`.
fn key_head(digest: &Digest) -> [u8; 4] {
    let [a, b, c, d, ..] = *digest.as_bytes();
    [a, b, c, d]
}

/// A signature line: "— <key name> <base64 of the key's 4 bytes and the signature>".
#[derive(Clone, PartialEq, Eq)]
struct SignatureLine {
    name: String,
    key: [u8; 4],
    signature: Vec<u8>,
}

impl SignatureLine {
    fn parse(line: &str) -> Option<Self> {
        let (name, blob) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        if name.is_empty() || name.contains(|char: char| char.is_whitespace() || char == '+') {
            return None;
        }
        let blob = read_base64(blob)?;
        let (key, signature) = blob.split_first_chunk()?;
        if signature.is_empty() {
            return None;
        }
        Some(Self { name: name.to_string(), key: *key, signature: signature.to_vec() })
    }

    fn text(&self) -> String {
        let blob = [self.key.as_slice(), &self.signature].concat();
        format!("\u{2014} {} {}", self.name, Base64::encode_string(&blob))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bytes::from_hex, cbor};
    use proptest::prelude::*;

    // Key, note and both signatures were made with OpenSSL, not with this crate.
    const SPKI: &str = "3059301306072a8648ce3d020106082a8648ce3d03010703420004248cbe738179861ab5936869ad80e0df80266b43\
        dbce21d580ce34b4cedf3647c7d6f90eacc931b8a1dd220eadaba22d7d1e91d2c474fc4544bc5ef4a5c2c9a3";
    const TEXT: &str = "demo.keysvc.test/keysvc/1\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n";
    const LINE: &str = "— demo.keysvc.test/keysvc/1 tIJ9UDBEAiAORRLYvGQJLJThq22c0PSztdmKIG5h1apG8Y5SIBnfOwIgZQULoY9bDsCN\
        EeeJiVKzrW1i3KPMEV8BKndse5OYFpM=\n";
    const LINE_HIGH_S: &str = "— demo.keysvc.test/keysvc/1 tIJ9UDBFAiAdv9se/rhIxRV4eWQelhBNsSXJZc7/aUN/ZCBUJLiwAwIhAIS3Qa\
        GIS12Gq4qG5E0sAWmTf+761x4NdzqFhU/iR/nd\n";
    const R_S: &str = "0e4512d8bc64092c94e1ab6d9cd0f4b3b5d98a206e61d5aa46f18e522019df3b\
        65050ba18f5b0ec08d11e7898952b3ad6d62dca3cc115f012a776c7b93981693";
    const STRANGER: &str = "— witness.example/w1 AAECAwQFBgc=\n";

    fn key() -> PublicKey {
        PublicKey::from_spki(&from_hex(SPKI).unwrap()).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        let root = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328".parse().unwrap();
        Checkpoint {
            origin: Origin::of(&"demo.keysvc.test".parse().unwrap(), 1),
            head: TreeHead { size: 8, root },
        }
    }

    fn note(lines: &[&str]) -> String {
        format!("{TEXT}\n{}", lines.concat())
    }

    fn parse(note: &str) -> Result<SignedCheckpoint, CheckpointError> {
        SignedCheckpoint::parse(note.as_bytes())
    }

    fn verdict(lines: &[&str]) -> Result<(), CheckpointError> {
        parse(&note(lines)).unwrap().verify(&checkpoint().origin, &key())
    }

    #[test]
    fn the_golden_note_is_read_and_verifies() {
        let signed = parse(&note(&[LINE])).unwrap();
        assert_eq!(*signed.checkpoint(), checkpoint());
        assert_eq!(signed.verify(&checkpoint().origin, &key()), Ok(()));
    }

    #[test]
    fn the_golden_note_is_assembled_byte_for_byte() {
        assert_eq!(checkpoint().text(), TEXT);
        let digest = "e92318cc220bc7a63dcb3e515e421158780a3eeec01c180e13016db2817b6afe";
        assert_eq!(checkpoint().digest_to_sign().to_string(), digest);
        let signature = from_hex(R_S).unwrap().try_into().unwrap();
        let signed = SignedCheckpoint::assemble(&checkpoint(), &signature, key().spki());
        assert_eq!(str::from_utf8(signed.as_bytes()), Ok(note(&[LINE]).as_str()));
        assert_eq!(SignedCheckpoint::parse(signed.as_bytes()), Ok(signed));
    }

    #[test]
    fn lines_by_other_keys_are_ignored_wherever_they_stand() {
        assert_eq!(verdict(&[STRANGER, LINE, STRANGER]), Ok(()));
        // Our name with another key, and our key's bytes with another name.
        assert_eq!(verdict(&["— demo.keysvc.test/keysvc/1 AAECAwQFBgc=\n", LINE]), Ok(()));
        assert_eq!(verdict(&["— other tIJ9UAE=\n", LINE]), Ok(()));
    }

    #[test]
    fn a_note_without_our_signature_is_not_signed() {
        assert_eq!(verdict(&[STRANGER]), Err(CheckpointError::NotSigned));
        let other = PublicKey::from_spki(&other_spki()).unwrap();
        let signed = parse(&note(&[LINE])).unwrap();
        assert_eq!(signed.verify(&checkpoint().origin, &other), Err(CheckpointError::NotSigned));
    }

    fn other_spki() -> Vec<u8> {
        let point =
            p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap().verifying_key().to_encoded_point(false);
        [&key().spki()[..26], point.as_bytes()].concat()
    }

    #[test]
    fn a_line_by_our_key_that_fails_spoils_the_note_even_beside_a_good_one() {
        let bad = "— demo.keysvc.test/keysvc/1 tIJ9UAE=\n";
        assert_eq!(verdict(&[bad]), Err(CheckpointError::BadSignature));
        assert_eq!(verdict(&[LINE, bad]), Err(CheckpointError::BadSignature));
    }

    #[test]
    fn the_high_s_signature_is_refused() {
        assert_eq!(verdict(&[LINE_HIGH_S]), Err(CheckpointError::BadSignature));
    }

    #[test]
    fn a_signature_does_not_serve_another_size_or_origin() {
        let grown = parse(&note(&[LINE]).replacen("\n8\n", "\n9\n", 1)).unwrap();
        assert_eq!(grown.verify(&checkpoint().origin, &key()), Err(CheckpointError::BadSignature));
        let epoch = Origin::of(&"demo.keysvc.test".parse().unwrap(), 2);
        let signed = parse(&note(&[LINE])).unwrap();
        assert_eq!(signed.verify(&epoch, &key()), Err(CheckpointError::WrongOrigin));
    }

    #[test]
    fn each_fault_of_the_text_is_refused() {
        let good = note(&[LINE]);
        let bad_text = [
            ("\n8\n", "\n08\n"),
            ("\n8\n", "\n+8\n"),
            ("\n8\n", "\n\n"),
            ("\n8\n", "\n-8\n"),
            ("\n8\n", "\n18446744073709551616\n"),
            // Not canonical base64, not padded, not 32 bytes.
            ("Qyg=\n", "Qyh=\n"),
            ("Qyg=\n", "Qyg\n"),
            ("Qyg=\n", "\n"),
            ("demo.keysvc.test/keysvc/1\n8", "\n8"),
            ("demo.keysvc.test/keysvc/1\n8", "demo keysvc\n8"),
            ("demo.keysvc.test/keysvc/1\n8", "demo+keysvc\n8"),
        ];
        for (from, to) in bad_text {
            assert_eq!(parse(&good.replacen(from, to, 1)), Err(CheckpointError::BadText), "{to:?}");
        }
        assert_eq!(parse(&good.replacen("Qyg=\n", "Qyg=\nmore\n", 1)), Err(CheckpointError::Extended));
        assert_eq!(parse(&good.replacen("\n8\n", "\n8\r\n", 1)), Err(CheckpointError::NotText));
        assert_eq!(parse(&good.replacen("demo", "de\u{7f}mo", 1)), Err(CheckpointError::NotText));
        assert_eq!(SignedCheckpoint::parse(&[0xff, b'\n']), Err(CheckpointError::NotText));
    }

    #[test]
    fn each_fault_of_the_signature_lines_is_refused() {
        for lines in ["", "\n", LINE.trim_end()] {
            assert_eq!(parse(&note(&[lines])), Err(CheckpointError::NoSignatures), "{lines:?}");
        }
        assert_eq!(parse(&format!("{TEXT}{LINE}")), Err(CheckpointError::NoSignatures));
        let bad = [
            "- name AAECAwQ=\n",
            "— name\n",
            "—  AAECAwQ=\n",
            "— na+me AAECAwQ=\n",
            "— na\u{a0}me AAECAwQ=\n",
            "— name AAECAwR=\n",
            "— name AAECAwQ\n",
            "— name AAECAw==\n",
            "— name AAECAwQ= \n",
        ];
        for line in bad {
            assert_eq!(parse(&note(&[LINE, line])), Err(CheckpointError::BadSignatureLine), "{line:?}");
        }
    }

    #[test]
    fn sixteen_signatures_are_read_and_more_are_refused() {
        assert!(parse(&note(&[STRANGER; 16])).is_ok());
        assert_eq!(parse(&note(&[STRANGER; 17])), Err(CheckpointError::TooLong));
        assert_eq!(parse(&note(&[LINE; 16])), Err(CheckpointError::TooLong));
    }

    #[test]
    fn the_longest_origin_fits_a_note() {
        let origin = Origin::of(&"a".repeat(255).parse().unwrap(), u32::MAX);
        assert_eq!(origin.as_str().len(), ORIGIN_LEN_MAX);
        assert_eq!(origin.as_str().parse(), Ok(origin.clone()));
        assert_eq!(format!("{origin}a").parse::<Origin>(), Err(NotAnOrigin));
        let longest = Checkpoint { origin, head: TreeHead { size: u64::MAX, root: checkpoint().head.root } };
        let signed = SignedCheckpoint::assemble(&longest, &[0xff; 64], key().spki());
        assert_eq!((longest.text().len(), signed.as_bytes().len()), (340, 340 + 1 + 383));
        assert_eq!(SignedCheckpoint::parse(signed.as_bytes()), Ok(signed));
    }

    #[test]
    fn a_note_travels_as_a_byte_string_read_strictly() {
        let signed = parse(&note(&[LINE])).unwrap();
        let bytes = cbor::encode(&signed);
        assert_eq!(bytes.strip_prefix(&[0x58, 0xcd]), Some(signed.as_bytes()));
        assert_eq!(cbor::decode(&bytes, 500), Ok(signed));
        assert!(cbor::decode::<SignedCheckpoint>(b"\x43abc", 500).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_parsed_is_kept_and_written_back_byte_for_byte(
            size in prop_oneof!["[0-9]{1,20}", "[ -~]{0,4}"],
            origin in "[a-z/+ ]{0,8}",
            names in proptest::collection::vec("[a-z+ ]{0,4}", 0..18),
            blob in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let blob = Base64::encode_string(&blob);
            let lines = names.iter().map(|name| format!("— {name} {blob}\n")).collect::<Vec<_>>().concat();
            let note = format!("{origin}\n{size}\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n{lines}");
            if let Ok(signed) = parse(&note) {
                prop_assert_eq!(signed.as_bytes(), note.as_bytes());
                let text = signed.checkpoint().text();
                prop_assert_eq!(text.as_bytes(), signed.text().concat());
                prop_assert_eq!(signed.verify(&signed.checkpoint().origin, &key()), Err(CheckpointError::NotSigned));
            }
        }

        #[test]
        fn bytes_of_any_kind_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2100)) {
            if let Ok(signed) = SignedCheckpoint::parse(&bytes) {
                prop_assert_eq!(signed.as_bytes(), bytes);
            }
        }

        #[test]
        fn a_golden_note_with_any_byte_changed_or_lost_never_verifies(
            position in any::<prop::sample::Index>(), other in any::<u8>(), lose in any::<bool>(),
        ) {
            let mut bytes = note(&[LINE]).into_bytes();
            let position = position.index(bytes.len());
            prop_assume!(lose || bytes[position] != other);
            if lose { bytes.remove(position); } else { bytes[position] = other; }
            let verdict = SignedCheckpoint::parse(&bytes).and_then(|s| s.verify(&checkpoint().origin, &key()));
            prop_assert!(verdict.is_err());
        }
    }
}
