//! The trust file: all a client must be given to check everything else.
//!
//! Two lines of text, each ended by a line feed, in this order and spelling, without comments:
//!
//! ```text
//! trust-domain demo.keysvc.test
//! genesis 64 lower-case hexadecimal digits
//! ```
//!
//! The genesis digest is the hash of leaf 0, the founding; since a tree of one leaf has that leaf's hash as its
//! root, it is also the first tree head. This file reads the text; it opens no files.

use crate::{bytes::Digest, merkle::TreeHead};
use alloc::{
    format,
    string::{String, ToString},
};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, de};

/// Longest trust domain, in bytes (SPIFFE-ID section 2.1).
pub const TRUST_DOMAIN_LEN_MAX: usize = 255;

/// Text that is not a trust domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a trust domain is 1 to {TRUST_DOMAIN_LEN_MAX} of a-z, 0-9, '-', '_' and '.', with no empty part between dots"
)]
pub struct NotATrustDomain;

/// A trust domain's name (SPIFFE-ID section 2.1): 1 to 255 bytes of `a-z 0-9 - _`, in parts between dots.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = NotATrustDomain;
    fn from_str(text: &str) -> Result<Self, NotATrustDomain> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let good = text.len() <= TRUST_DOMAIN_LEN_MAX
            && text.split('.').all(|part| !part.is_empty() && part.bytes().all(plain));
        if good { Ok(Self(text.to_string())) } else { Err(NotATrustDomain) }
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for TrustDomain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

struct TrustDomainVisitor;

impl de::Visitor<'_> for TrustDomainVisitor {
    type Value = TrustDomain;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NotATrustDomain}")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<TrustDomain, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for TrustDomain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TrustDomainVisitor)
    }
}

/// Why text is not a trust file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not two lines, or the last one does not end.
    #[error("a trust file has exactly two lines, each ended by a line feed")]
    NotTwoLines,
    /// The first line does not name the trust domain.
    #[error("the first line of a trust file is 'trust-domain', one space and the trust domain")]
    NoTrustDomain,
    /// The first line names something that is not a trust domain.
    #[error("the first line of a trust file: {0}")]
    BadTrustDomain(NotATrustDomain),
    /// The second line does not hold the genesis digest.
    #[error("the second line of a trust file is 'genesis', one space and 64 lower-case hexadecimal digits")]
    NoGenesis,
}

/// What a client trusts from the start: whose log it is, and its first leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The trust domain.
    pub domain: TrustDomain,
    /// The hash of leaf 0 ([`crate::merkle::leaf_hash`] of the founding), 32 bytes.
    pub genesis: Digest,
}

impl Trust {
    /// Reads a trust file's text.
    ///
    /// # Errors
    /// [`TrustError`] naming the line that is not as it must be.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        let lines = text.strip_suffix('\n').ok_or(TrustError::NotTwoLines)?;
        let (first, second) = lines.split_once('\n').ok_or(TrustError::NotTwoLines)?;
        if second.contains('\n') {
            return Err(TrustError::NotTwoLines);
        }
        let domain = first.strip_prefix("trust-domain ").ok_or(TrustError::NoTrustDomain)?;
        let domain = domain.parse().map_err(TrustError::BadTrustDomain)?;
        let hex = second.strip_prefix("genesis ").ok_or(TrustError::NoGenesis)?;
        // One spelling: lower case, as it is written.
        let genesis = hex.parse::<Digest>().ok().filter(|digest| digest.to_string() == hex);
        Ok(Self { domain, genesis: genesis.ok_or(TrustError::NoGenesis)? })
    }

    /// The trust file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("trust-domain {}\ngenesis {}\n", self.domain, self.genesis)
    }

    /// The first tree head: size 1, with leaf 0's hash as its root.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        TreeHead { size: 1, root: self.genesis }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cbor,
        merkle::{Frontier, leaf_hash},
    };

    const GOLDEN: &str = "trust-domain demo.keysvc.test\n\
        genesis 6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d\n";

    fn trust() -> Trust {
        Trust { domain: "demo.keysvc.test".parse().unwrap(), genesis: leaf_hash(b"") }
    }

    #[test]
    fn the_golden_trust_file_is_read_and_written() {
        assert_eq!(Trust::parse(GOLDEN), Ok(trust()));
        assert_eq!(trust().to_text(), GOLDEN);
    }

    #[test]
    fn the_first_tree_head_is_the_tree_of_leaf_0() {
        let mut frontier = Frontier::new();
        frontier.append(leaf_hash(b""));
        assert_eq!(trust().head(), frontier.head());
    }

    #[test]
    fn a_trust_file_of_more_or_fewer_lines_is_refused() {
        let commented = format!("# comment\n{GOLDEN}");
        let blank = format!("{GOLDEN}\n");
        for text in ["", "\n", &GOLDEN[..GOLDEN.len() - 1], "trust-domain demo\n", &commented, &blank] {
            assert_eq!(Trust::parse(text), Err(TrustError::NotTwoLines), "{text}");
        }
    }

    #[test]
    fn each_line_has_one_spelling() {
        let hex = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        for first in ["", "trust-domain", "Trust-domain demo", " trust-domain demo", "domain demo"] {
            let text = format!("{first}\ngenesis {hex}\n");
            assert_eq!(Trust::parse(&text), Err(TrustError::NoTrustDomain), "{first}");
        }
        for first in ["trust-domain ", "trust-domain  demo", "trust-domain demo\r", "trust-domain Demo"] {
            let text = format!("{first}\ngenesis {hex}\n");
            assert_eq!(Trust::parse(&text), Err(TrustError::BadTrustDomain(NotATrustDomain)), "{first}");
        }
        let (upper, short) = (hex.to_uppercase(), &hex[1..]);
        for second in ["", "genesis", hex, &format!("genesis {upper}"), &format!("genesis {short}")] {
            let text = format!("trust-domain demo\n{second}\n");
            assert_eq!(Trust::parse(&text), Err(TrustError::NoGenesis), "{second}");
        }
        assert_eq!(
            Trust::parse(&GOLDEN.replace('\n', "\r\n")),
            Err(TrustError::BadTrustDomain(NotATrustDomain))
        );
    }

    #[test]
    fn trust_domains_are_lower_case_labels() {
        let longest = "a".repeat(TRUST_DOMAIN_LEN_MAX);
        for good in ["a", "demo.keysvc.test", "0-_", longest.as_str()] {
            assert!(good.parse::<TrustDomain>().is_ok(), "{good}");
        }
        let long = "a".repeat(TRUST_DOMAIN_LEN_MAX + 1);
        for bad in ["", ".", "a.", ".a", "a..b", "A", "a b", "a/b", "a+b", "é", long.as_str()] {
            assert_eq!(bad.parse::<TrustDomain>(), Err(NotATrustDomain), "{bad}");
        }
    }

    #[test]
    fn a_trust_domain_travels_as_text() {
        let domain: TrustDomain = "demo".parse().unwrap();
        assert_eq!(cbor::encode(&domain), b"\x64demo");
        assert_eq!(cbor::decode(b"\x64demo", 10), Ok(domain));
        assert!(cbor::decode::<TrustDomain>(b"\x64Demo", 10).is_err());
    }
}
