//! How times, digests and words from outside are shown to people.

use comfy_table::{CellAlignment, Column, Table, presets::NOTHING};
use jiff::Timestamp;
use std::fmt::Display;

/// Digits of a public key's digest that people compare: 64 bits.
const KEY_DIGITS: usize = 16;
/// Digits of a file's digest that officers read to each other: 128 bits, because who drafts the file could look for
/// two drafts with one shorter digest.
const FILE_DIGITS: usize = 32;

/// A time, RFC 3339 in UTC to the millisecond; the milliseconds themselves where the calendar ends.
pub(crate) fn utc(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{ms} ms after 1970-01-01"), |time| format!("{time:.3}"))
}

/// The head of a public key's digest, in groups of four digits.
pub(crate) fn key_digest(digest: &impl Display) -> String {
    groups(&digest.to_string(), KEY_DIGITS)
}

/// The head of a file's digest, in groups of four digits.
pub(crate) fn file_digest(digest: &impl Display) -> String {
    groups(&digest.to_string(), FILE_DIGITS)
}

/// A whole digest for people who read it to each other: groups of four digits, eight groups a line.
pub(crate) fn whole_digest(digest: &impl Display) -> Vec<String> {
    let groups = groups(&digest.to_string(), usize::MAX);
    let groups: Vec<_> = groups.split(' ').collect();
    groups.chunks(8).map(|line| line.join(" ")).collect()
}

fn groups(hex: &str, digits: usize) -> String {
    let mut text = String::with_capacity(hex.len().saturating_mul(2));
    for (place, digit) in hex.chars().take(digits).enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Bytes as hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| hex_digits(*byte)).collect()
}

/// A byte's two digits.
pub(crate) fn hex_digits(byte: u8) -> impl Iterator<Item = char> {
    [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(u32::from(digit), 16))
}

/// Words from outside, with control characters other than line feeds made visible: they could rewrite the screen.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Rows of names and what they say, the names aligned.
pub(crate) fn rows<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    for (name, text) in rows {
        table.add_row([name.to_owned(), plain(&text)]);
    }
    table.column_iter_mut().for_each(flush_left);
    table.trim_fmt()
}

/// A text in lines of at most so many characters, broken between words.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count().saturating_add(word.chars().count()) < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// A table with a header. Columns whose name is in `right` are aligned to the right.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    right: &[&str],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.map(str::to_uppercase));
    for row in rows {
        table.add_row(row.map(|text| plain(&text)));
    }
    for (column, name) in table.column_iter_mut().zip(header) {
        flush_left(column);
        if right.contains(&name) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Two spaces after each column and none before the first.
fn flush_left(column: &mut Column) {
    column.set_padding((0, 2));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_utc_as_far_as_the_calendar_goes() {
        assert_eq!(utc(1_795_000_000_500), "2026-11-18T11:06:40.500Z");
        assert_eq!(utc(u64::MAX), "18446744073709551615 ms after 1970-01-01");
    }

    #[test]
    fn digests_are_read_out_in_groups_of_four() {
        let digest = "0123456789abcdef".repeat(4);
        assert_eq!(key_digest(&digest), "0123 4567 89ab cdef");
        assert_eq!(file_digest(&digest), "0123 4567 89ab cdef 0123 4567 89ab cdef");
    }

    #[test]
    fn a_whole_digest_is_two_lines_of_eight_groups() {
        let lines = whole_digest(&"0123456789abcdef".repeat(4));
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], "0123 4567 89ab cdef 0123 4567 89ab cdef");
    }

    #[test]
    fn a_text_is_broken_between_words_and_loses_none() {
        let text = "one two three four";
        assert_eq!(wrapped(text, 9), "one two\nthree\nfour");
        assert_eq!(wrapped(text, 9).replace('\n', " "), text);
        assert_eq!(wrapped("unbreakable", 4), "unbreakable");
    }

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(hex(&[0x00, 0x0f, 0xa1]), "000fa1");
    }

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(plain("a\x1b[2Jb\r\nc\u{9b}"), "a\\u{1b}[2Jb\\r\nc\\u{9b}");
    }

    #[test]
    fn numbers_are_aligned_to_the_right() {
        let rows = [["a".to_owned(), "1".to_owned()], ["b".to_owned(), "100".to_owned()]];
        let text = table(["name", "n"], &["n"], rows);
        let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().last().unwrap().len()).collect();
        assert_eq!(lines, [1, 1, 3]);
        let ends: Vec<_> = text.lines().map(|line| line.trim_end().len()).collect();
        assert_eq!(ends[0], ends[1]);
        assert_eq!(ends[1], ends[2]);
    }
}
