//! Reads a message field by field, for the few that a terminal without an operating system must read.
//!
//! Apart because the typed decoder of [`super::decode`] is built anew for every type that it meets: a value update alone
//! takes 30 KB of code through it, and through this two. It reads the one encoding and refuses every other at once, so
//! that nothing is encoded again to compare. It knows no message; who reads one by it holds both decoders together in
//! a test.

use super::{DecodeError, read_head};

/// Major types of CBOR items (RFC 8949 section 3.1).
const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const MAP: u8 = 5;

/// What is left to read of a message in core deterministic encoding.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins with a message of at most `max` bytes.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`].
    pub const fn new(message: &'a [u8], max: usize) -> Result<Self, DecodeError> {
        if message.len() > max { Err(DecodeError::TooLong { max }) } else { Ok(Self { rest: message }) }
    }

    /// The head of a map: how many fields follow.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for anything else.
    pub fn map(&mut self) -> Result<u64, DecodeError> {
        self.head(MAP)
    }

    /// The number of the next field, which must be this one. Its value comes next.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for anything else.
    pub fn field(&mut self, number: u8) -> Result<&mut Self, DecodeError> {
        if self.head(UNSIGNED)? == u64::from(number) { Ok(self) } else { Err(DecodeError::Malformed) }
    }

    /// An unsigned integer that fits its type.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for anything else.
    pub fn unsigned<T: TryFrom<u64>>(&mut self) -> Result<T, DecodeError> {
        T::try_from(self.head(UNSIGNED)?).map_err(|_| DecodeError::Malformed)
    }

    /// A byte string that is good for its type.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for anything else.
    pub fn bytes<T: TryFrom<&'a [u8]>>(&mut self) -> Result<T, DecodeError> {
        T::try_from(self.string(BYTES)?).map_err(|_| DecodeError::Malformed)
    }

    /// A text that is good for its type.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for anything else.
    pub fn text<T: core::str::FromStr>(&mut self) -> Result<T, DecodeError> {
        let text = str::from_utf8(self.string(TEXT)?).map_err(|_| DecodeError::Malformed)?;
        text.parse().map_err(|_| DecodeError::Malformed)
    }

    /// Ends, where nothing is left.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when something is.
    pub const fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Malformed) }
    }

    fn string(&mut self, major: u8) -> Result<&'a [u8], DecodeError> {
        let len = self.head(major)?;
        let cut = usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len));
        let (string, rest) = cut.ok_or(DecodeError::Malformed)?;
        self.rest = rest;
        Ok(string)
    }

    // Never inlined: a dozen copies of it would be the larger part of a reader.
    #[inline(never)]
    fn head(&mut self, major: u8) -> Result<u64, DecodeError> {
        match read_head(self.rest) {
            Some((found, argument, rest)) if found == major => {
                self.rest = rest;
                Ok(argument)
            }
            _ => Err(DecodeError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bytes::ShortCheck, name::Name};

    #[test]
    fn a_message_is_read_field_by_field_to_its_end() {
        let message = [0xa3, 0x00, 0x18, 0x18, 0x01, 0x61, b'a', 0x02, 0x45, 1, 2, 3, 4, 5];
        let mut reader = Reader::new(&message, 14).unwrap();
        assert_eq!(reader.map(), Ok(3));
        assert_eq!(reader.field(0).unwrap().unsigned::<u8>(), Ok(24));
        assert!(reader.end().is_err());
        assert_eq!(reader.field(1).unwrap().text::<Name>().unwrap().as_str(), "a");
        assert_eq!(reader.field(2).unwrap().bytes(), Ok(ShortCheck::new([1, 2, 3, 4, 5])));
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn what_is_of_another_kind_width_or_size_is_refused() {
        let read = |bytes: &'static [u8]| Reader::new(bytes, 8).unwrap();
        assert_eq!(Reader::new(&[0; 9], 8).err(), Some(DecodeError::TooLong { max: 8 }));
        assert!(read(&[0xbf, 0xff]).map().is_err(), "an indefinite map");
        assert!(read(&[0x01]).field(2).is_err(), "another field");
        assert!(read(&[0x18, 0x17]).unsigned::<u8>().is_err(), "not the shortest form");
        assert!(read(&[0x19, 0x01, 0x00]).unsigned::<u8>().is_err(), "256 in 8 bits");
        assert!(read(&[0x20]).unsigned::<u8>().is_err(), "negative");
        assert!(read(&[0x45, 1, 2, 3, 4]).bytes::<ShortCheck>().is_err(), "cut short");
        assert!(read(&[0x44, 1, 2, 3, 4]).bytes::<ShortCheck>().is_err(), "another length");
        assert!(read(&[0x61, 0xff]).text::<Name>().is_err(), "not UTF-8");
        assert!(read(&[0x61, b'A']).text::<Name>().is_err(), "not a name");
        assert!(read(&[0x41, b'a']).text::<Name>().is_err(), "bytes for text");
    }
}
