//! The client's clock, and a moment in words.

/// Milliseconds since 1970-01-01 UTC.
#[cfg(any(feature = "station", feature = "terminal", feature = "officer"))]
pub(crate) fn now_ms() -> u64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// A moment for people: 2026-11-22T03:00:00Z.
pub(crate) fn utc(ms: u64) -> String {
    let seconds = ms.checked_div(1_000).unwrap_or_default();
    let part =
        |of: u64, by: u64| (of.checked_div(by).unwrap_or_default(), of.checked_rem(by).unwrap_or_default());
    let (days, second) = part(seconds, 86_400);
    let ((hour, rest), (year, month, day)) = (part(second, 3_600), date(days));
    let (minute, second) = part(rest, 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // A cycle of 400 years has 146,097 days.
    let mut year = 1970_u64.saturating_add(days.checked_div(146_097).unwrap_or_default().saturating_mul(400));
    days = days.checked_rem(146_097).unwrap_or_default();
    while let Some(rest) = days.checked_sub(if is_leap(year) { 366 } else { 365 }) {
        (days, year) = (rest, year.saturating_add(1));
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1_u64;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        let Some(rest) = days.checked_sub(length) else { break };
        (days, month) = (rest, month.saturating_add(1));
    }
    (year, month, days.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_as_the_calendar_has_them() {
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_000_000, "2026-11-18T11:06:40Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (16_725_225_600, "2500-01-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds * 1_000 + 7), shown);
        }
    }
}
