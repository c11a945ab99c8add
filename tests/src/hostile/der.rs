//! Certificates taken apart and put together again (X.690 DER), for what no library that makes certificates would make.
//!
//! It knows tags and lengths, and where a certificate's parts stand; it judges nothing.

/// One element: its tag, its content, and what follows it.
fn split(bytes: &[u8]) -> (u8, &[u8], &[u8]) {
    let (tag, first, rest) = (bytes[0], bytes[1], &bytes[2..]);
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        _ => {
            let (len, rest) = rest.split_at(usize::from(first & 0x7f));
            (len.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
        }
    };
    (tag, &rest[..len], &rest[len..])
}

/// An element of this tag and content.
#[must_use]
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let mut bytes = vec![tag];
    if let Ok(short @ 0..=0x7f) = u8::try_from(len) {
        bytes.push(short);
    } else {
        let len: Vec<u8> = len.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        bytes.push(0x80 | u8::try_from(len.len()).unwrap_or(0x7f));
        bytes.extend(len);
    }
    bytes.extend_from_slice(content);
    bytes
}

/// The elements within a constructed one, whole.
fn parts(constructed: &[u8]) -> Vec<Vec<u8>> {
    let (_, mut content, _) = split(constructed);
    let mut parts = Vec::new();
    while !content.is_empty() {
        let (_, _, rest) = split(content);
        parts.push(content[..content.len() - rest.len()].to_vec());
        content = rest;
    }
    parts
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

/// A version 3 certificate in its parts.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Version, serial number, algorithm, issuer, validity, subject, key and extensions, in this order.
    pub fields: Vec<Vec<u8>>,
    /// The algorithm that stands beside the signature.
    pub algorithm: Vec<u8>,
    /// The signature's bits.
    pub signature: Vec<u8>,
}

/// Where the serial number stands among the fields.
pub const SERIAL: usize = 1;
/// Where the inner algorithm stands among the fields.
pub const ALGORITHM: usize = 2;

impl Certificate {
    /// Takes one apart.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn read(der: &[u8]) -> Self {
        let [body, algorithm, signature]: [Vec<u8>; 3] = parts(der).try_into().unwrap();
        let (_, bits, _) = split(&signature);
        Self { fields: parts(&body), algorithm, signature: bits[1..].to_vec() }
    }

    /// What is signed.
    #[must_use]
    pub fn signed(&self) -> Vec<u8> {
        sequence(&self.fields)
    }

    /// The whole.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        let bits = element(0x03, &[&[0], self.signature.as_slice()].concat());
        sequence(&[self.signed(), self.algorithm.clone(), bits])
    }

    /// Puts other bytes of the same length for these, wherever they stand in the fields.
    ///
    /// # Panics
    /// When they do not stand there.
    pub fn replace(&mut self, from: &[u8], to: &[u8]) {
        assert_eq!(from.len(), to.len());
        let mut found = false;
        for field in &mut self.fields {
            while let Some(place) = field.windows(from.len()).position(|part| part == from) {
                field[place..place + to.len()].copy_from_slice(to);
                found = true;
            }
        }
        assert!(found, "the bytes to be replaced are not there");
    }
}
