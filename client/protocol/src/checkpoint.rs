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
