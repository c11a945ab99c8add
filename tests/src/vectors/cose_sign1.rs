//! COSE_Sign1 with ES256: the form, the bytes that are signed, and the signature, with either library's arithmetic.
//!
//! The product accepts one form and low-S signatures. The published messages have other headers, or a high s: they are put
//! to the code that reads a message and to the one that verifies a signature, and one of them refuses. That such a
//! message's signature is good all the same is looked at too, so that it is refused for its form and for nothing else.

use super::{
    bench::Bench,
    file::{Case, Hex},
    verdict::{Ran, Verdict},
};
use keysvc_protocol::{
    bytes::{Digest, from_hex},
    cose::{CoseError, Kind, Signed, signature_structure},
    public_key::{PublicKey, low_s},
};
use serde::Deserialize;

/// DER before the point of a P-256 `SubjectPublicKeyInfo` (RFC 5480), and the first byte of an uncompressed point.
const SPKI_HEAD: &str = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Vector {
    #[serde(rename = "rfc6979_p256_sha256")]
    Rfc6979(Plain),
    CoseSign1(Message),
    CoseSign1Malleated(Malleated),
    CoseWgSign1(Published),
}

/// A public key as its coordinates.
#[derive(Deserialize)]
struct Point {
    pub_x: Hex,
    pub_y: Hex,
}

/// A signature over a message that is in no frame.
#[derive(Deserialize)]
struct Plain {
    #[serde(flatten)]
    point: Point,
    msg: Hex,
    sig: Hex,
}

/// A message in the product's form.
#[derive(Deserialize)]
struct Message {
    name: String,
    #[serde(flatten)]
    point: Point,
    protected: Hex,
    payload: Hex,
    external_aad: Hex,
    sig_structure: Hex,
    sig: Hex,
    message: Hex,
    length: usize,
}

/// Another's message with the other of the two signatures.
#[derive(Deserialize)]
struct Malleated {
    message: Hex,
    low_s: bool,
}

/// A message of the COSE working group's examples.
#[derive(Deserialize)]
struct Published {
    name: String,
    #[serde(flatten)]
    point: Point,
    fail: bool,
    message: Hex,
    tbs: Hex,
}

/// Runs a case.
#[must_use]
pub fn run(_: &Bench, case: &Case<'_>) -> Ran {
    let vector: Vector = match case.read() {
        Ok(vector) => vector,
        Err(verdict) => return Ran::unread(verdict),
    };
    let (what, verdict) = match &vector {
        Vector::Rfc6979(plain) => ("RFC 6979".to_owned(), plain.tried()),
        Vector::CoseSign1(message) => (message.name.clone(), message.tried()),
        Vector::CoseSign1Malleated(malleated) => ("s -> n-s".to_owned(), malleated.tried(case)),
        Vector::CoseWgSign1(published) => (published.name.clone(), published.tried()),
    };
    Ran { what, verdict: verdict.unwrap_or_else(|verdict| verdict) }
}

fn differs(why: impl Into<String>) -> Verdict {
    Verdict::Mismatch(why.into())
}

impl Point {
    fn key(&self) -> Result<PublicKey, Verdict> {
        let head = from_hex(SPKI_HEAD).unwrap_or_default();
        let spki = [head.as_slice(), &self.pub_x.0, &self.pub_y.0].concat();
        PublicKey::from_spki(&spki).map_err(|error| differs(error.to_string()))
    }
}

/// A signature with the key that made it and what it signs.
struct Signature<'a> {
    key: PublicKey,
    signed: &'a [u8],
    bytes: &'a [u8; 64],
}

impl Signature<'_> {
    /// Whether it is a good one, low or high: both libraries must say the same.
    fn holds(&self) -> Result<bool, Verdict> {
        let ring = self.key.verify_by_ring(&[self.signed], self.bytes).is_ok();
        let p256 = self.key.verify_by_p256(&[self.signed], self.bytes).is_ok();
        if ring == p256 { Ok(ring) } else { Err(differs(format!("ring says {ring}, p256 says {p256}"))) }
    }

    /// What the product's verifier says of a good signature: that it holds, or the words with which a high s is refused.
    fn verified(&self) -> Result<Result<(), String>, Verdict> {
        if !self.holds()? {
            return Err(differs("the signature does not verify, with neither library"));
        }
        match (self.key.verify(&[self.signed], self.bytes), low_s(self.bytes)) {
            (Ok(()), true) => Ok(Ok(())),
            (Err(words), false) => Ok(Err(format!("{words}: s is high, and both libraries alone take it"))),
            (Ok(()), false) => Err(differs("the product takes a high s")),
            (Err(words), true) => Err(differs(format!("the product refuses a low s: {words}"))),
        }
    }
}

/// The signature at the end of a message.
fn last(message: &[u8]) -> Result<&[u8; 64], Verdict> {
    message
        .last_chunk()
        .ok_or_else(|| Verdict::PassedOver("the message is shorter than a signature".to_owned()))
}

fn sixty_four(sig: &Hex) -> Result<&[u8; 64], Verdict> {
    sig.0.as_slice().try_into().map_err(|_| differs(format!("a signature of {} bytes", sig.0.len())))
}

impl Plain {
    fn tried(&self) -> Result<Verdict, Verdict> {
        let signature =
            Signature { key: self.point.key()?, signed: &self.msg.0, bytes: sixty_four(&self.sig)? };
        Ok(match signature.verified()? {
            Ok(()) => Verdict::Ok("the signature verifies".to_owned()),
            Err(words) => Verdict::Refused(words),
        })
    }
}

impl Message {
    fn tried(&self) -> Result<Verdict, Verdict> {
        let structure = signature_structure(&self.protected.0, &self.external_aad.0, &self.payload.0);
        let equal = [
            (structure == self.sig_structure.0, "the product's Sig_structure is another"),
            (self.message.0.len() == self.length, "the message has another length"),
            (last(&self.message.0)? == sixty_four(&self.sig)?, "the message ends with another signature"),
        ];
        if let Some((_, why)) = equal.into_iter().find(|(equal, _)| !equal) {
            return Err(differs(why));
        }
        let read = Signed::parse(&self.message.0).map_err(|error| differs(error.to_string()))?;
        // INVARIANT of the form: the head of the map and its first two entries, then the kid.
        let stated = self.protected.0.get(5..13).unwrap_or_default();
        if read.recorded_payload() != self.payload.0 || read.key_identifier().as_bytes() != stated {
            return Err(differs("the product reads another payload or key identifier"));
        }
        let signature =
            Signature { key: self.point.key()?, signed: &structure, bytes: sixty_four(&self.sig)? };
        signature.verified()?.map_err(differs)?;
        // The vector's typ and domain are its own, so it is no value update of the product's.
        let opened = read.open(Kind::ValueUpdate, Digest::new([0; 32]).as_bytes(), &signature.key);
        match opened {
            Err(CoseError::WrongKind) => Ok(Verdict::Ok(
                "form, Sig_structure and signature; opened as a value update: refused".to_owned(),
            )),
            other => Err(differs(format!("opened as a value update: {other:?}"))),
        }
    }
}

impl Malleated {
    /// Its key and what it signs stand in the case of which it is the other form.
    fn tried(&self, case: &Case<'_>) -> Result<Verdict, Verdict> {
        let body = |message: &[u8]| message.split_last_chunk::<64>().map(|(body, _)| body.to_vec());
        let originals = case.all.iter().filter_map(|vector| match Vector::deserialize(vector) {
            Ok(Vector::CoseSign1(original)) => Some(original),
            _ => None,
        });
        let mut originals = originals.filter(|original| body(&original.message.0) == body(&self.message.0));
        let Some(original) = originals.next() else {
            return Err(Verdict::PassedOver(
                "the message of which it is the other form is not in the file".to_owned(),
            ));
        };
        Signed::parse(&self.message.0).map_err(|error| differs(error.to_string()))?;
        let bytes = last(&self.message.0)?;
        if low_s(bytes) != self.low_s {
            return Err(differs(format!("the vector says that low_s is {}", self.low_s)));
        }
        let signature = Signature { key: original.point.key()?, signed: &original.sig_structure.0, bytes };
        match signature.verified()? {
            Err(words) => Ok(Verdict::Refused(words)),
            Ok(()) => Err(differs("the product takes it")),
        }
    }
}

impl Published {
    fn tried(&self) -> Result<Verdict, Verdict> {
        let words = match Signed::parse(&self.message.0) {
            Err(words) => words,
            Ok(_) if self.fail => return Err(differs("the product takes its form")),
            Ok(_) => return Err(differs("the product takes its form, which is not the profile's")),
        };
        if self.fail {
            return Ok(Verdict::Refused(words.to_string()));
        }
        // What it signs is in the file, because the product reads nothing of such a message.
        let bytes = last(&self.message.0)?;
        let signature = Signature { key: self.point.key()?, signed: &self.tbs.0, bytes };
        if signature.holds()? {
            Ok(Verdict::Refused(format!("{words}; its signature alone is good")))
        } else {
            Err(differs("its signature does not verify, with neither library"))
        }
    }
}
