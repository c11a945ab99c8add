//! The input of a card key's derivation, as NXP AN10922 lays it out for AES-128.
//! Pure: the CMAC over it is the token's work.

use std::fmt;

use zeroize::Zeroizing;

/// The shortest input, in bytes: below it AN10922 is not a plain CMAC, so no token could check it.
const SHORTEST: usize = 16;
/// The longest input, in bytes: with the constant in front it fills two AES blocks.
const LONGEST: usize = 31;
/// AN10922's constant for AES-128.
const AES128_CONSTANT: u8 = 0x01;

/// The diversification input M of AN10922: 16 to 31 bytes, such as UID, application, key number and system
/// identifier.
#[derive(Clone, PartialEq, Eq)]
pub struct DiversificationInput(Vec<u8>);

impl DiversificationInput {
    /// The bytes of M, without AN10922's constant.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Lays out D = constant || M, padded to two AES blocks (AN10922 section 2.2).
    pub(crate) fn blocks(&self) -> Blocks {
        let padding = [0x80].into_iter().chain(std::iter::repeat(0));
        let mut bytes = [AES128_CONSTANT].into_iter().chain(self.0.iter().copied()).chain(padding);
        let mut blocks =
            Blocks { first: [0; 16], last: Zeroizing::new([0; 16]), padded: self.0.len() != LONGEST };
        for (slot, byte) in blocks.first.iter_mut().chain(blocks.last.iter_mut()).zip(&mut bytes) {
            *slot = byte;
        }
        blocks
    }
}

impl TryFrom<&[u8]> for DiversificationInput {
    type Error = InputLength;

    fn try_from(bytes: &[u8]) -> Result<Self, InputLength> {
        if (SHORTEST..=LONGEST).contains(&bytes.len()) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(InputLength { found: bytes.len() })
        }
    }
}

/// Prints the length alone: the bytes name a card.
impl fmt::Debug for DiversificationInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiversificationInput({} bytes)", self.0.len())
    }
}

/// The two AES blocks over which AN10922 takes its CMAC.
pub(crate) struct Blocks {
    pub(crate) first: [u8; 16],
    /// Before the subkey is added; wiped, because the subkey is added in place.
    pub(crate) last: Zeroizing<[u8; 16]>,
    /// Whether the last block was padded: then CMAC adds subkey K2, else K1 (NIST SP 800-38B section 6.2).
    pub(crate) padded: bool,
}

/// A diversification input has a length that AN10922 cannot take as a plain CMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a diversification input of {found} bytes is refused: 16 to 31 are allowed")]
pub struct InputLength {
    /// The length given, in bytes.
    pub found: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_to_thirty_one_bytes_are_taken_and_no_other_length() {
        for length in 0..=64 {
            let taken = DiversificationInput::try_from(vec![7; length].as_slice());
            if (16..=31).contains(&length) {
                assert_eq!(taken.unwrap().as_bytes(), vec![7; length]);
            } else {
                assert_eq!(taken, Err(InputLength { found: length }));
            }
        }
    }

    #[test]
    fn the_shortest_input_is_padded_after_the_constant() {
        let blocks = DiversificationInput::try_from([7; 16].as_slice()).unwrap().blocks();
        assert_eq!(blocks.first, [1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
        assert_eq!(*blocks.last, [7, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(blocks.padded);
    }

    #[test]
    fn the_longest_input_fills_two_blocks_without_padding() {
        let blocks = DiversificationInput::try_from([7; 31].as_slice()).unwrap().blocks();
        assert_eq!(*blocks.last, [7; 16]);
        assert!(!blocks.padded);
    }

    #[test]
    fn an_input_does_not_print_its_bytes() {
        let input = DiversificationInput::try_from([7; 20].as_slice()).unwrap();
        assert_eq!(format!("{input:?}"), "DiversificationInput(20 bytes)");
    }
}
