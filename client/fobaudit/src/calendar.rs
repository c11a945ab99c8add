//! Days in UTC, and the bins that a chart has room for: days, weeks, months, years.
//!
//! Apart from the charts, because the tables beside them have the same rows. It knows no figures.

use jiff::{
    Span, Timestamp,
    civil::{Date, date},
    tz::TimeZone,
};

/// Most bins of a chart: 60 bars on 620 units of width leave ten for each, the least that prints well on A4.
pub(crate) const BINS_MAX: usize = 60;

/// Widths, narrowest first. The last one has 9 bins from 1970 to the calendar's end in 9999.
const WIDTHS: [Width; 9] = [
    Width::Day,
    Width::Week,
    Width::Months(1),
    Width::Months(3),
    Width::Months(12),
    Width::Months(60),
    Width::Months(120),
    Width::Months(1200),
    Width::Months(12_000),
];

/// The day in UTC of a time in milliseconds since 1970-01-01; nothing past the calendar's end.
pub(crate) fn day_of(ms: u64) -> Option<Date> {
    Some(moment(ms)?.to_zoned(TimeZone::UTC).date())
}

/// A time for people: date and seconds in UTC; the milliseconds themselves where the calendar ends.
pub(crate) fn utc(ms: u64) -> String {
    let time = moment(ms).map(|time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    time.unwrap_or_else(|| format!("{ms} ms after 1970-01-01"))
}

/// A time for people who copy it, RFC 3339 in UTC, with milliseconds as fobctl shows them; the milliseconds themselves where the calendar ends.
pub(crate) fn rfc3339(ms: u64) -> String {
    moment(ms).map_or_else(|| format!("{ms} ms after 1970-01-01"), |time| format!("{time:.3}"))
}

fn moment(ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()
}

/// How long a bin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// A day.
    Day,
    /// A week, Monday to Sunday.
    Week,
    /// So many months, from a multiple of them.
    Months(i32),
}

impl Width {
    /// Its name, as in "per day".
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Months(1) => "month",
            Self::Months(3) => "quarter",
            Self::Months(12) => "year",
            Self::Months(60) => "five years",
            Self::Months(120) => "decade",
            Self::Months(1200) => "century",
            Self::Months(_) => "millennium",
        }
    }

    fn begin_of(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => {
                let past = i64::from(day.weekday().to_monday_zero_offset());
                day.saturating_sub(Span::new().days(past))
            }
            Self::Months(count) => {
                let months = i32::from(day.year()).saturating_mul(12).saturating_add(i32::from(day.month()));
                let months = months.saturating_sub(1);
                month(months.saturating_sub(months.checked_rem(count).unwrap_or_default()))
            }
        }
    }

    /// Where the bin after the one that begins at `day` begins; nothing past the calendar's end.
    fn next(self, day: Date) -> Option<Date> {
        let step = match self {
            Self::Day => Span::new().days(1),
            Self::Week => Span::new().days(7),
            Self::Months(count) => Span::new().months(count),
        };
        day.checked_add(step).ok()
    }

    /// A bin's short name under a chart.
    fn label(self, day: Date) -> String {
        let form = match self {
            Self::Day | Self::Week => "%-d %b",
            Self::Months(count) if count < 12 => "%b %Y",
            Self::Months(_) => "%Y",
        };
        day.strftime(form).to_string()
    }
}

/// The first day of the month with this number, counted from January of year 0.
fn month(number: i32) -> Date {
    let (year, month) = (number.div_euclid(12), number.rem_euclid(12).saturating_add(1));
    match (i16::try_from(year), i8::try_from(month)) {
        (Ok(year), Ok(month)) => Date::new(year, month, 1).unwrap_or(Date::MIN),
        _ => Date::MIN,
    }
}

/// The bins from one day to another, both among them, at most [`BINS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bins {
    width: Width,
    begins: Vec<Date>,
}

impl Bins {
    /// The narrowest bins that are not too many.
    pub(crate) fn over(first: Date, last: Date) -> Self {
        let fitting = WIDTHS.into_iter().find_map(|width| Self::of_width(width, first, last));
        fitting.unwrap_or_else(|| Self { width: Width::Day, begins: vec![first] })
    }

    fn of_width(width: Width, first: Date, last: Date) -> Option<Self> {
        let mut begins = vec![width.begin_of(first)];
        while let Some(next) = begins.last().and_then(|begin| width.next(*begin)) {
            if next > last {
                break;
            }
            if begins.len() == BINS_MAX {
                return None;
            }
            begins.push(next);
        }
        Some(Self { width, begins })
    }

    /// How long each is.
    pub(crate) const fn width(&self) -> Width {
        self.width
    }

    /// How many there are; at least one.
    pub(crate) fn count(&self) -> usize {
        self.begins.len()
    }

    /// The place of the bin that holds a day.
    pub(crate) fn place(&self, day: Date) -> Option<usize> {
        self.begins.partition_point(|begin| *begin <= day).checked_sub(1)
    }

    /// The bins' short names, for a chart.
    pub(crate) fn labels(&self) -> Vec<String> {
        self.begins.iter().map(|begin| self.width.label(*begin)).collect()
    }

    /// The bins' first days, for a table.
    pub(crate) fn days(&self) -> Vec<String> {
        self.begins.iter().map(ToString::to_string).collect()
    }
}

impl Default for Bins {
    fn default() -> Self {
        Self { width: Width::Day, begins: vec![date(1970, 1, 1)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_on_its_day_in_utc() {
        assert_eq!(day_of(1_795_000_000_000), Some(date(2026, 11, 18)));
        assert_eq!(day_of(86_399_999), Some(date(1970, 1, 1)));
        assert_eq!(day_of(86_400_000), Some(date(1970, 1, 2)));
        assert_eq!(day_of(u64::MAX), None);
    }

    #[test]
    fn times_are_told_to_the_second_as_far_as_the_calendar_goes() {
        assert_eq!(utc(1_795_000_000_500), "2026-11-18 11:06:40 UTC");
        assert_eq!(rfc3339(1_795_000_000_500), "2026-11-18T11:06:40.500Z");
        assert_eq!(utc(u64::MAX), "18446744073709551615 ms after 1970-01-01");
        assert_eq!(rfc3339(u64::MAX), utc(u64::MAX));
    }

    #[test]
    fn sixty_days_are_binned_by_day_and_one_more_by_week_from_monday() {
        let bins = Bins::over(date(2026, 1, 1), date(2026, 3, 1));
        assert_eq!((bins.width(), bins.count()), (Width::Day, 60));
        let bins = Bins::over(date(2026, 1, 1), date(2026, 3, 2));
        assert_eq!((bins.width(), bins.count()), (Width::Week, 10));
        assert_eq!(bins.days()[0], "2025-12-29");
        assert_eq!(bins.place(date(2026, 1, 4)), Some(0));
        assert_eq!(bins.place(date(2026, 1, 5)), Some(1));
        assert_eq!(bins.place(date(2026, 3, 2)), Some(9));
    }

    #[test]
    fn years_are_binned_by_month_quarter_or_year() {
        let bins = |years: i16| Bins::over(date(2026, 2, 3), date(2026 + years, 1, 31));
        assert_eq!((bins(3).width(), bins(3).count()), (Width::Months(1), 36));
        assert_eq!(bins(3).labels()[..2], ["Feb 2026", "Mar 2026"]);
        assert_eq!((bins(10).width(), bins(10).days()[0].as_str()), (Width::Months(3), "2026-01-01"));
        assert_eq!((bins(40).width(), bins(40).labels()[1].as_str()), (Width::Months(12), "2027"));
    }

    #[test]
    fn no_span_has_more_bars_than_the_chart_has_room_for() {
        for last in [date(2026, 11, 18), date(2030, 1, 1), date(2100, 1, 1), date(3000, 1, 1), Date::MAX] {
            let bins = Bins::over(date(1970, 1, 1), last);
            assert!(bins.count() <= BINS_MAX, "{last}");
            assert!(bins.place(last).unwrap() < bins.count(), "{last}");
        }
    }
}
