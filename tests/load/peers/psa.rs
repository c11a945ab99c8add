//! Parsec's wire protocol 1.0, as far as four requests need it: make a key, tell its public half, sign a digest, and
//! say the service's version.
//!
//! A header of fixed fields, least byte first, then a protobuf message, then who asks. Pure: no socket is here.

/// Opcodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// `psa_generate_key`.
    GenerateKey,
    /// `psa_sign_hash`.
    SignHash,
    /// `psa_export_public_key`.
    ExportPublicKey,
    /// `list_providers`.
    ListProviders,
}

impl Opcode {
    const fn number(self) -> u32 {
        match self {
            Self::GenerateKey => 0x0002,
            Self::SignHash => 0x0004,
            Self::ExportPublicKey => 0x0007,
            Self::ListProviders => 0x0008,
        }
    }

    /// The provider that performs it.
    const fn provider(self) -> u8 {
        match self {
            Self::ListProviders => CORE,
            Self::GenerateKey | Self::SignHash | Self::ExportPublicKey => PKCS11,
        }
    }
}

/// Bytes of a header, before which nothing of a body is read.
pub const HEADER_LEN: usize = 36;
/// First field of every header.
const MAGIC: u32 = 0x5EC0_A710;
/// What is counted as the header's length: without the magic number and this field.
const COUNTED_LEN: u16 = 30;
/// The provider that is the service itself.
const CORE: u8 = 0;
/// The provider that works with PKCS#11.
const PKCS11: u8 = 2;
/// Says that the unix user of the connection asks.
const PEER_CREDENTIALS: u8 = 3;

/// A request by this unix user.
pub fn request(opcode: Opcode, body: &[u8], user: u32) -> Vec<u8> {
    let who = user.to_le_bytes();
    let body_len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER_LEN.saturating_add(body.len()).saturating_add(who.len()));
    bytes.extend(MAGIC.to_le_bytes());
    bytes.extend(COUNTED_LEN.to_le_bytes());
    // Version 1.0, no flags.
    bytes.extend([1, 0, 0, 0]);
    bytes.push(opcode.provider());
    // No session.
    bytes.extend([0; 8]);
    // Protobuf is sent and wanted.
    bytes.extend([0, 0]);
    bytes.push(PEER_CREDENTIALS);
    bytes.extend(body_len.to_le_bytes());
    // The length of `who`, which is four bytes.
    bytes.extend([4, 0]);
    bytes.extend(opcode.number().to_le_bytes());
    // No status in a request; reserved.
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes.extend(who);
    bytes
}

/// What the header of a reply says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replied {
    /// 0 of success, else why not.
    pub status: u16,
    /// Bytes of the body that follows.
    pub body_len: u32,
}

impl Replied {
    /// Reads a header; nothing where it is none.
    pub fn read(header: &[u8; HEADER_LEN]) -> Option<Self> {
        let (magic, rest) = header.split_first_chunk()?;
        let body_len = header.get(22..)?.first_chunk()?;
        let status = header.get(32..)?.first_chunk()?;
        let known = u32::from_le_bytes(*magic) == MAGIC && rest.starts_with(&COUNTED_LEN.to_le_bytes());
        known.then_some(Self { status: u16::from_le_bytes(*status), body_len: u32::from_le_bytes(*body_len) })
    }
}

/// The body that makes a key pair over P-256 that signs and verifies digests by ECDSA with SHA-256.
pub fn generate_key(name: &str) -> Vec<u8> {
    // KeyType: EccKeyPair (11) of curve family SecpR1 (2).
    let kind = field(11, &number(1, 2));
    // UsageFlags: sign_hash (8), verify_hash (9).
    let usage = [number(8, 1), number(9, 1)].concat();
    // Algorithm: AsymmetricSignature (6).
    let policy = [field(1, &usage), field(2, &field(6, &ecdsa()))].concat();
    let attributes = [field(1, &kind), number(2, 256), field(3, &policy)].concat();
    [field(1, name.as_bytes()), field(2, &attributes)].concat()
}

/// The body that asks for a key's public half.
pub fn export_public_key(name: &str) -> Vec<u8> {
    field(1, name.as_bytes())
}

/// The body that has a digest signed.
pub fn sign_hash(name: &str, digest: &[u8]) -> Vec<u8> {
    [field(1, name.as_bytes()), field(2, &ecdsa()), field(3, digest)].concat()
}

/// The bytes in a reply that has one field and no other, as those about keys have; nothing of any other reply.
pub fn only_field(body: &[u8]) -> Option<&[u8]> {
    match Fields(body).collect::<Option<Vec<_>>>()?.as_slice() {
        [(1, Value::Bytes(bytes))] => Some(bytes),
        _ => None,
    }
}

/// The service's version in its list of providers: it is the one without a number, which is 0 and so not written.
pub fn version(body: &[u8]) -> Option<String> {
    let version = |(field, value): (u8, Value<'_>)| {
        let Value::Bytes(provider) = value else { return None };
        let told = Fields(provider).collect::<Option<Vec<_>>>().filter(|_| field == 1)?;
        let number = |wanted: u8| {
            let found = told.iter().find(|(field, _)| *field == wanted);
            found.map_or(0, |(_, value)| if let Value::Number(number) = value { *number } else { 0 })
        };
        (number(7) == 0).then(|| format!("{}.{}.{}", number(4), number(5), number(6)))
    };
    Fields(body).flatten().find_map(version)
}

/// The fields of a message, each with its number; nothing where the message is cut or another kind of field is in it.
struct Fields<'a>(&'a [u8]);

/// What a field holds.
enum Value<'a> {
    Number(usize),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<(u8, Value<'a>)> {
        let (key, rest) = self.0.split_first().filter(|(key, _)| **key < 0x80)?;
        self.0 = rest;
        let number = self.varint()?;
        let value = match key & 7 {
            VARINT => Value::Number(number),
            LENGTH_DELIMITED => {
                let (bytes, rest) = self.0.split_at_checked(number)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn varint(&mut self) -> Option<usize> {
        let mut number = 0_usize;
        // Five groups of seven bits: no length and no version is greater.
        for shift in [0, 7, 14, 21, 28] {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u8, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.0 = &[];
        }
        Some(read)
    }
}

/// ECDSA (4) with the hash (1) that is specified (2) as SHA-256 (7).
fn ecdsa() -> Vec<u8> {
    field(4, &field(1, &number(2, 7)))
}

/// Protobuf's kind of a field that is a number, and of one that says its length.
const VARINT: u8 = 0;
const LENGTH_DELIMITED: u8 = 2;

/// The first byte of a field; fields up to 15 have no other.
const fn key(field: u8, kind: u8) -> u8 {
    field << 3 | kind
}

fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[key(tag, LENGTH_DELIMITED)], varint(bytes.len()).as_slice(), bytes].concat()
}

fn number(tag: u8, number: usize) -> Vec<u8> {
    [&[key(tag, VARINT)], varint(number).as_slice()].concat()
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_fields_where_the_protocol_has_them() {
        let bytes = request(Opcode::SignHash, &[0xaa; 300], 1000);
        assert_eq!(bytes[..8], [0x10, 0xa7, 0xc0, 0x5e, 30, 0, 1, 0]);
        assert_eq!((bytes[10], bytes[21]), (PKCS11, PEER_CREDENTIALS));
        assert_eq!((&bytes[22..26], &bytes[26..28]), (&[44, 1, 0, 0][..], &[4, 0][..]));
        assert_eq!(bytes[28..36], [4, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((bytes.len(), &bytes[336..]), (340, &[232, 3, 0, 0][..]));
    }

    #[test]
    fn a_replys_status_and_length_are_read() {
        let mut header: [u8; HEADER_LEN] = request(Opcode::SignHash, &[0; 66], 0)[..36].try_into().unwrap();
        header[32..34].copy_from_slice(&1140_u16.to_le_bytes());
        assert_eq!(Replied::read(&header), Some(Replied { status: 1140, body_len: 66 }));
        header[0] ^= 1;
        assert_eq!(Replied::read(&header), None);
    }

    #[test]
    fn a_digest_is_asked_for_as_protobuf_has_it() {
        let body = sign_hash("k", &[7; 2]);
        assert_eq!(body, [0x0a, 1, b'k', 0x12, 6, 0x22, 4, 0x0a, 2, 0x10, 7, 0x1a, 2, 7, 7]);
    }

    #[test]
    fn the_only_field_of_a_reply_is_read_whole_or_not_at_all() {
        assert_eq!(only_field(&[0x0a, 2, 5, 6]), Some(&[5, 6][..]));
        let long = field(1, &[9; 300]);
        assert_eq!(only_field(&long), Some(&[9; 300][..]));
        let two = [field(1, &[5]), field(1, &[6])].concat();
        for wrong in
            [&[][..], &[0x0a], &[0x0a, 3, 5, 6], &[0x0a, 1, 5, 6], &[0x12, 1, 5], &[0x0a, 0x80], &two]
        {
            assert_eq!(only_field(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_version_is_the_services_and_no_other_providers() {
        let provider = |id: usize, minor: usize| {
            let name = field(1, b"id");
            field(1, &[name, number(4, 1), number(5, minor), number(7, id)].concat())
        };
        // As protobuf writes it: a number that is 0 is left out.
        let service = field(1, &[field(3, b"it"), number(4, 1), number(5, 5)].concat());
        assert_eq!(version(&[provider(2, 9), service].concat()).as_deref(), Some("1.5.0"));
        assert_eq!(version(&provider(2, 9)), None);
    }
}
