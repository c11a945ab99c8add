//! The rows of the file of card keys, kept in memory that is wiped until the whole file is written.

use crate::shown::hex_digits;
use keysvc_client::station::CardKey;
use std::fmt;
use zeroize::Zeroizing;

const HEADER: &str = "uid,slot,key-version,key,check\n";
/// Longest row: 20 digits, 3, 10, 32, 10, four commas and a line feed.
const ROW_LEN_MAX: usize = 80;

/// Rows of card keys, as CSV (RFC 4180 with line feeds).
pub(super) struct KeyRows(Zeroizing<String>);

impl KeyRows {
    /// Room for this many keys: a buffer that grew would leave copies behind.
    pub(super) fn for_keys(count: usize) -> Self {
        let room = count.saturating_mul(ROW_LEN_MAX).saturating_add(HEADER.len());
        let mut rows = String::with_capacity(room);
        rows.push_str(HEADER);
        Self(Zeroizing::new(rows))
    }

    /// Adds a key.
    pub(super) fn push(&mut self, key: &CardKey) {
        self.row(
            &format!("{},{},{}", key.card, key.slot, key.key_version),
            key.value.expose(),
            &key.check.to_string(),
        );
    }

    fn row(&mut self, before: &str, key: &[u8; 16], check: &str) {
        self.0.push_str(before);
        self.0.push(',');
        // Digit by digit into the wiped buffer: formatting would go through others.
        for byte in key {
            self.0.extend(hex_digits(*byte));
        }
        self.0.push(',');
        self.0.push_str(check);
        self.0.push('\n');
    }

    /// The file's bytes, with the keys in clear.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for KeyRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRows(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: &str = "04782e21801d80010203,255,4294967295";
    const KEY: [u8; 16] = [0, 0x1f, 0xa0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff];

    #[test]
    fn a_row_is_uid_slot_key_version_key_and_check() {
        let mut rows = KeyRows::for_keys(1);
        rows.row("04782e21801d80,0,1", &KEY, "0102030405");
        let expected = "uid,slot,key-version,key,check\n\
            04782e21801d80,0,1,001fa0030405060708090a0b0c0d0eff,0102030405\n";
        assert_eq!(str::from_utf8(rows.expose()).unwrap(), expected);
    }

    #[test]
    fn the_buffer_never_grows() {
        let mut rows = KeyRows::for_keys(100);
        let start = rows.0.as_ptr();
        (0..100).for_each(|_| rows.row(LONGEST, &KEY, "0102030405"));
        assert_eq!(rows.0.as_ptr(), start);
        assert_eq!(rows.expose().len(), HEADER.len() + 100 * ROW_LEN_MAX);
    }

    #[test]
    fn rows_do_not_print() {
        assert_eq!(format!("{:?}", KeyRows::for_keys(1)), "KeyRows(..)");
    }
}
