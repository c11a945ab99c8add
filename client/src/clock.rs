//! The client's clock, a moment in words, and a moment out of the words of others.

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

/// A moment of the Gregorian calendar in UTC, milliseconds since 1970-01-01: year; month, day, hour, minute and second.
/// Nothing for what is no moment, or before 1970.
pub(crate) fn moment(year: u64, [month, day, hour, minute, second]: [u64; 5]) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    let good = lengths.get(before).is_some_and(|length| (1..=*length).contains(&day))
        && hour < 24
        && minute < 60
        && second < 60
        && (1970..=9999).contains(&year);
    if !good {
        return None;
    }
    let past = year.checked_sub(1)?;
    // Days of the years before since the year 1, without those before 1970.
    let years =
        past.checked_mul(365)?.checked_add(past / 4)?.checked_sub(past / 100)?.checked_add(past / 400)?;
    let months: u64 = lengths.iter().take(before).sum();
    let days = years.checked_sub(719_162)?.checked_add(months)?.checked_add(day)?.checked_sub(1)?;
    let seconds = days.checked_mul(86_400)?.checked_add(hour.checked_mul(3_600)?)?;
    seconds.checked_add(minute.checked_mul(60)?)?.checked_add(second)?.checked_mul(1_000)
}

/// A moment as HTTP writes it (RFC 9110 section 5.6.7, the fixed form): `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn of_http(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.strip_suffix(" GMT")?.split_once(", ")?;
    let words: [&str; 4] = rest.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let [day, month, year, time] = words;
    let month = MONTHS.iter().position(|name| *name == month)?.checked_add(1)?;
    let time: Option<Vec<u64>> = time.split(':').map(|part| part.parse().ok()).collect();
    let [hour, minute, second] = time?.try_into().ok()?;
    let month = u64::try_from(month).ok()?;
    moment(year.parse().ok()?, [month, day.parse().ok()?, hour, minute, second])
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
            let number = |from: usize, to: usize| shown[from..to].parse::<u64>().unwrap();
            let parts = [number(5, 7), number(8, 10), number(11, 13), number(14, 16), number(17, 19)];
            assert_eq!(moment(number(0, 4), parts), Some(seconds * 1_000), "{shown}");
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for parts in [[2, 30, 0, 0, 0], [13, 1, 0, 0, 0], [0, 1, 0, 0, 0], [1, 1, 24, 0, 0], [1, 1, 0, 60, 0]]
        {
            assert_eq!(moment(2026, parts), None, "{parts:?}");
        }
        assert_eq!(moment(1969, [12, 31, 0, 0, 0]), None);
    }

    #[test]
    fn a_moment_of_an_http_header_is_read() {
        assert_eq!(of_http("Wed, 18 Nov 2026 11:06:40 GMT"), Some(1_795_000_000_000));
        for bad in
            ["", "Wed, 18 Nov 2026 11:06:40", "Wednesday, 18-Nov-26 11:06:40 GMT", "Wed Nov 18 11:06:40 2026"]
        {
            assert_eq!(of_http(bad), None, "{bad}");
        }
    }
}
