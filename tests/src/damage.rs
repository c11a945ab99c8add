//! Damage to a file, drawn by chance: what failing disks and careless hands do to one.
//!
//! Pure over bytes. Which file, and what has to come of it, is the caller's.

use fastrand::Rng;
use std::fmt;

/// The longest run of bytes that one damage touches, but for whole pages and what is cut off.
const RUN_MAX: usize = 512;
/// The size of a database's page.
const PAGE: usize = 4096;

/// One damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// Bits are turned: the places of their bytes, and which of the eight.
    Flipped(Vec<(usize, u8)>),
    /// Other bytes lie there.
    Overwritten {
        /// From here.
        at: usize,
        /// The new bytes.
        bytes: Vec<u8>,
    },
    /// A page, or what there is of it, is zeros.
    Zeroed {
        /// The page's number.
        page: usize,
    },
    /// The end is missing.
    Cut {
        /// So many bytes are left.
        to: usize,
    },
    /// Two pages lie in each other's place.
    Swapped {
        /// The page's number.
        one: usize,
        /// The other's.
        other: usize,
    },
}

impl Damage {
    /// A damage to a file of so many bytes. Pages are swapped where there are two.
    ///
    /// # Panics
    /// When the file is empty: nothing can be damaged in it.
    #[must_use]
    pub fn draw(chances: &mut Rng, len: usize) -> Self {
        let (run, pages) = (chances.usize(1..=RUN_MAX.min(len)), len / PAGE);
        match chances.u8(0..10) {
            0..=3 => {
                // Within one run, so that one trial touches one place.
                let at = chances.usize(0..=len - run);
                let count = if chances.bool() { 1 } else { chances.usize(2..=16) };
                Self::Flipped(
                    (0..count).map(|_| (at + chances.usize(0..run), 1 << chances.u8(0..8))).collect(),
                )
            }
            4..=6 => {
                let bytes = (0..run).map(|_| chances.u8(..)).collect();
                Self::Overwritten { at: chances.usize(0..=len - run), bytes }
            }
            7 => Self::Zeroed { page: chances.usize(0..len.div_ceil(PAGE)) },
            8 if pages > 1 => {
                let one = chances.usize(0..pages);
                Self::Swapped { one, other: (one + chances.usize(1..pages)) % pages }
            }
            _ => Self::Cut { to: len - run },
        }
    }

    /// What is left of the bytes.
    ///
    /// # Panics
    /// When it was drawn for more bytes.
    #[must_use]
    pub fn of(&self, bytes: &[u8]) -> Vec<u8> {
        let mut spoilt = bytes.to_vec();
        match self {
            Self::Flipped(bits) => bits.iter().for_each(|(at, bit)| spoilt[*at] ^= bit),
            Self::Overwritten { at, bytes } => spoilt[*at..at + bytes.len()].copy_from_slice(bytes),
            Self::Zeroed { page } => {
                spoilt.iter_mut().skip(page * PAGE).take(PAGE).for_each(|byte| *byte = 0)
            }
            Self::Cut { to } => spoilt.truncate(*to),
            Self::Swapped { one, other } => {
                let (first, second) = (one * PAGE, other * PAGE);
                spoilt[first..first + PAGE].copy_from_slice(&bytes[second..second + PAGE]);
                spoilt[second..second + PAGE].copy_from_slice(&bytes[first..first + PAGE]);
            }
        }
        spoilt
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flipped(bits) => {
                write!(f, "{} bits flipped from byte {}", bits.len(), bits.first().map_or(0, |bit| bit.0))
            }
            Self::Overwritten { at, bytes } => write!(f, "{} bytes overwritten from byte {at}", bytes.len()),
            Self::Zeroed { page } => write!(f, "page {page} zeroed"),
            Self::Cut { to } => write!(f, "cut to {to} bytes"),
            Self::Swapped { one, other } => write!(f, "pages {one} and {other} swapped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_drawn_can_be_done_and_the_same_chances_draw_the_same() {
        let draw = |seed| {
            let mut chances = Rng::with_seed(seed);
            let len = chances.usize(1..20_000);
            (len, Damage::draw(&mut chances, len))
        };
        let mut kinds = [0; 5];
        for seed in 0..2_000 {
            let (len, damage) = draw(seed);
            assert_eq!(draw(seed), (len, damage.clone()));
            let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8 + 1).collect();
            let spoilt = damage.of(&bytes);
            let kind = match damage {
                Damage::Flipped(_) => 0,
                Damage::Overwritten { .. } => 1,
                Damage::Zeroed { .. } => 2,
                Damage::Cut { .. } => 3,
                Damage::Swapped { .. } => 4,
            };
            kinds[kind] += 1;
            assert!(spoilt.len() == len || kind == 3);
        }
        assert!(kinds.iter().all(|count| *count > 50), "{kinds:?}");
    }

    #[test]
    fn swapped_pages_are_swapped_and_nothing_else_is() {
        let bytes: Vec<u8> = (0..3 * PAGE).map(|at| (at / PAGE) as u8).collect();
        let spoilt = Damage::Swapped { one: 0, other: 2 }.of(&bytes);
        assert_eq!([spoilt[0], spoilt[PAGE], spoilt[2 * PAGE]], [2, 1, 0]);
    }
}
