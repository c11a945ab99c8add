//! Amounts, times, digests and lists as officers read them in a sentence.
//!
//! Nothing is rounded, shortened or left out: what is signed must be told apart from everything else that could be.

use crate::{hash::sha256, name::Reason};
use alloc::{format, string::String, vec::Vec};
use core::fmt;

/// ISO 4217 numeric codes of currencies without decimals, ascending.
const WHOLE: [u16; 16] = [108, 152, 174, 262, 324, 352, 392, 410, 548, 600, 646, 704, 800, 950, 952, 953];
/// Those with three decimals, ascending.
const MILLS: [u16; 7] = [48, 368, 400, 414, 434, 512, 788];
/// Those with two decimals, ascending.
#[rustfmt::skip]
const CENTS: [u16; 132] = [
    8, 12, 32, 36, 44, 50, 51, 52, 60, 64, 68, 72, 84, 90, 96, 104, 116, 124, 132, 136, 144, 156, 170,
    188, 192, 203, 208, 214, 222, 230, 232, 238, 242, 270, 292, 320, 328, 332, 340, 344, 348, 356, 360,
    364, 376, 388, 398, 404, 408, 417, 418, 422, 426, 430, 446, 454, 458, 462, 480, 484, 496, 498, 504,
    516, 524, 532, 533, 554, 558, 566, 578, 586, 590, 598, 604, 608, 634, 643, 654, 682, 690, 702, 706,
    710, 728, 748, 752, 756, 760, 764, 776, 780, 784, 807, 818, 826, 834, 840, 858, 860, 882, 886, 901,
    924, 925, 926, 928, 929, 930, 933, 934, 936, 938, 941, 943, 944, 946, 949, 951, 967, 968, 969, 971,
    972, 973, 976, 977, 978, 980, 981, 985, 986,
];

/// The decimals of a currency; nothing where it is not listed, for a guessed point is a wrong amount.
fn decimals(currency: u16) -> Option<usize> {
    let lists: [(&[u16], usize); 3] = [(&WHOLE, 0), (&MILLS, 3), (&CENTS, 2)];
    lists.into_iter().find(|(list, _)| list.binary_search(&currency).is_ok()).map(|(_, decimals)| decimals)
}

/// An amount with the currency's point and in minor units.
pub(super) struct Amount {
    /// Minor units.
    pub(super) minor: u64,
    /// ISO 4217 numeric code.
    pub(super) currency: u16,
}

impl Amount {
    /// The number with the currency's point and thousands apart; in minor units where the currency is not listed.
    pub(super) fn number(&self) -> String {
        let Some(decimals) = decimals(self.currency) else { return format!("{} minor units", self.minor) };
        let digits = format!("{:0>width$}", self.minor, width = decimals.saturating_add(1));
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(decimals));
        let whole = thousands(whole);
        if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let currency = self.currency;
        match decimals(currency) {
            Some(_) => write!(f, "{} (currency {currency:03}, {} minor units)", self.number(), self.minor),
            None => write!(f, "{} (currency {currency:03})", self.number()),
        }
    }
}

fn thousands(digits: &str) -> String {
    let head = digits.len().checked_rem(3).unwrap_or_default();
    let (head, rest) = digits.split_at(head);
    let groups = rest.as_bytes().chunks(3).map(|group| str::from_utf8(group).unwrap_or_default());
    let parts: Vec<_> = Some(head).filter(|head| !head.is_empty()).into_iter().chain(groups).collect();
    parts.join(",")
}

/// Bytes in hexadecimal, in groups of four digits, for two people to read to each other.
#[must_use]
pub fn grouped(bytes: &[u8]) -> String {
    let groups = bytes.chunks(2).map(|pair| match pair {
        [high, low] => format!("{high:02x}{low:02x}"),
        rest => rest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat(),
    });
    groups.collect::<Vec<_>>().join(" ")
}

/// The SHA-256 of a key's `SubjectPublicKeyInfo`, grouped.
pub(super) fn fingerprint(spki: &[u8]) -> String {
    grouped(sha256(&[spki]).as_bytes())
}

/// Names or numbers one after the other.
pub(super) fn list<T: fmt::Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(|item| format!("{item}")).collect();
    items.join(", ")
}

/// "1 card", "2 cards".
pub(super) fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// A reason in quotation marks that nothing inside it can end.
pub(super) fn quoted(reason: &Reason) -> String {
    let mut quoted = String::from("\"");
    for character in reason.as_str().chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// A time in milliseconds since 1970-01-01 UTC, as a date; the milliseconds alone past the year 9999.
pub(super) fn utc(ms: u64) -> String {
    const DAY_MS: u64 = 86_400_000;
    const LAST_DAY: u64 = 2_932_896;
    let day = ms.checked_div(DAY_MS).unwrap_or_default();
    if day > LAST_DAY {
        return format!("{ms} ms after 1970-01-01");
    }
    let (year, month, date) = civil(day);
    let part = |unit_ms: u64, of: u64| {
        ms.checked_div(unit_ms).unwrap_or_default().checked_rem(of).unwrap_or_default()
    };
    let (hour, minute, second) = (part(3_600_000, 24), part(60_000, 60), part(1000, 60));
    format!("{year:04}-{month:02}-{date:02} {hour:02}:{minute:02}:{second:02}.{:03} UTC", part(1, 1000))
}

/// Year, month and day of the month of a day counted from 1970-01-01.
fn civil(day: u64) -> (u64, u64, u64) {
    let (mut year, mut left) = (1970_u64, day);
    loop {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1_u64..).zip(lengths) {
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return (year, month, left.saturating_add(1)),
            }
        }
        year = year.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn amounts_have_the_currencys_point_and_the_exact_minor_units() {
        let text = |minor, currency| Amount { minor, currency }.to_string();
        assert_eq!(text(500_000, 978), "5,000.00 (currency 978, 500000 minor units)");
        assert_eq!(text(5, 36), "0.05 (currency 036, 5 minor units)");
        assert_eq!(text(1_234_567, 392), "1,234,567 (currency 392, 1234567 minor units)");
        assert_eq!(text(1234, 414), "1.234 (currency 414, 1234 minor units)");
        assert_eq!(text(0, 978), "0.00 (currency 978, 0 minor units)");
        assert_eq!(text(2000, 7), "2000 minor units (currency 007)");
        assert_eq!(Amount { minor: u64::MAX, currency: 840 }.number(), "184,467,440,737,095,516.15");
    }

    #[test]
    fn no_currency_is_listed_twice() {
        let lists = [WHOLE.as_slice(), &MILLS, &CENTS];
        assert!(lists.iter().all(|list| list.is_sorted_by(|a, b| a < b)));
        let all: Vec<_> = lists.concat();
        let distinct: alloc::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn times_are_dates_to_the_millisecond_as_far_as_the_calendar_goes() {
        assert_eq!(utc(1_795_000_000_500), "2026-11-18 11:06:40.500 UTC");
        assert_eq!(utc(0), "1970-01-01 00:00:00.000 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00.000 UTC");
        assert_eq!(utc(253_402_300_799_999), "9999-12-31 23:59:59.999 UTC");
        assert_eq!(utc(253_402_300_800_000), "253402300800000 ms after 1970-01-01");
    }

    #[test]
    fn bytes_are_grouped_by_four_digits() {
        assert_eq!(grouped(&[0x1a, 0x2b, 0x3c]), "1a2b 3c");
        assert_eq!(grouped(&[]), "");
    }

    #[test]
    fn a_reason_cannot_end_its_own_quotation() {
        let reason = r#"lost". Load 1 \"#.parse().unwrap();
        assert_eq!(quoted(&reason), r#""lost\". Load 1 \\""#);
    }
}
