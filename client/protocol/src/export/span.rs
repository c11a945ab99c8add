//! Which items lie in which file, and what the file is called.
//!
//! Leaves and the hashes of a tree level are rows of items; each file has 256 neighbours of one row.

use alloc::{format, string::String};

/// Items in a full file (C2SP tlog-tiles).
pub const SPAN_LEN: u64 = 256;

/// The neighbours that lie in one file: 256 of them, or fewer at the end of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    number: u64,
    // INVARIANT: 1 to 256.
    width: u16,
}

impl Span {
    /// Span `number` of a row of `len` items; nothing when the row ends before it.
    #[must_use]
    pub fn of(number: u64, len: u64) -> Option<Self> {
        let rest = len.checked_sub(number.checked_mul(SPAN_LEN)?)?.min(SPAN_LEN);
        let width = u16::try_from(rest).ok().filter(|width| *width > 0)?;
        Some(Self { number, width })
    }

    /// The span that item `index` lies in, in a row of `len` items; nothing when the row ends before it.
    #[must_use]
    pub fn holding(index: u64, len: u64) -> Option<Self> {
        if index < len { Self::of(index >> SPAN_LEN.trailing_zeros(), len) } else { None }
    }

    /// Its number, from 0: N in C2SP's paths.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }

    /// How many items it has, 1 to 256: W in C2SP's paths.
    #[must_use]
    pub fn width(self) -> usize {
        usize::from(self.width)
    }

    /// Whether it has all 256.
    #[must_use]
    pub fn is_full(self) -> bool {
        u64::from(self.width) == SPAN_LEN
    }

    /// Index of its first item.
    #[must_use]
    pub const fn first(self) -> u64 {
        self.number.saturating_mul(SPAN_LEN)
    }

    /// Index after its last item.
    #[must_use]
    pub fn end(self) -> u64 {
        self.first().saturating_add(u64::from(self.width))
    }

    /// The path of the hash tile of these hashes of tree level `8 * level`.
    #[must_use]
    pub fn tile_path(self, level: u8) -> String {
        format!("tile/{level}/{}", self.name())
    }

    /// The path of the entry bundle of these leaves.
    #[must_use]
    pub fn entries_path(self) -> String {
        format!("tile/entries/{}", self.name())
    }

    /// The path of the payload file of these leaves.
    #[must_use]
    pub fn payload_path(self) -> String {
        format!("payload/{}", self.name())
    }

    fn name(self) -> String {
        let mut name = format!("{:03}", self.number % 1000);
        let mut rest = self.number / 1000;
        while rest > 0 {
            name = format!("x{:03}/{name}", rest % 1000);
            rest /= 1000;
        }
        if self.is_full() { name } else { format!("{name}.p/{}", self.width) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path that `tlog_tiles` has for the same tile, without the height that C2SP leaves out.
    fn oracle(span: Span, level: u8, is_data: bool) -> String {
        let width = u32::try_from(span.width()).unwrap();
        let path = tlog_tiles::Tile::new(8, level, span.number(), width, is_data).path();
        path.replacen("tile/8/", "tile/", 1).replacen("/data/", "/entries/", 1)
    }

    #[test]
    fn paths_are_those_of_an_independent_implementation() {
        for number in [0, 1, 67, 999, 1000, 1_234_067, 999_999, 1_000_000, u64::MAX >> 8] {
            for width in [1, 5, 255, 256] {
                let span = Span::of(number, (number * 256).saturating_add(width)).unwrap();
                assert_eq!(u64::try_from(span.width()).unwrap().max(1), width.min(span.end() - span.first()));
                assert_eq!(span.entries_path(), oracle(span, 0, true));
                for level in [0, 1, 7] {
                    assert_eq!(span.tile_path(level), oracle(span, level, false));
                }
            }
        }
        assert_eq!(Span::of(1_234_067, u64::MAX).unwrap().tile_path(3), "tile/3/x001/x234/067");
        assert_eq!(Span::of(0, 5).unwrap().payload_path(), "payload/000.p/5");
    }

    #[test]
    fn a_row_is_cut_into_full_spans_and_one_partial_one() {
        let spans =
            |len| (0..4).map(|number| Span::of(number, len).map(Span::width)).collect::<alloc::vec::Vec<_>>();
        assert_eq!(spans(0), [None; 4]);
        assert_eq!(spans(256), [Some(256), None, None, None]);
        assert_eq!(spans(600), [Some(256), Some(256), Some(88), None]);
        assert_eq!(Span::of(u64::MAX, u64::MAX), None);
    }

    #[test]
    fn an_item_lies_in_the_span_that_holds_it() {
        assert_eq!(Span::holding(255, 600), Span::of(0, 600));
        assert_eq!(Span::holding(256, 600), Span::of(1, 600));
        assert_eq!(Span::holding(600, 600), None);
        let span = Span::holding(599, 600).unwrap();
        assert_eq!((span.first(), span.end(), span.is_full()), (512, 600, false));
    }
}
