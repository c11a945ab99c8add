//! When something ends, as a person plans by it: the local time, how long that is, and UTC.
//!
//! Apart from [`crate::shown`] because it reads the machine's time zone. Nothing is decided by it.

use crate::shown::utc;
use jiff::{Timestamp, tz::TimeZone};
use std::{
    env,
    fs::File,
    io::Read as _,
    path::{Component, Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Largest file of a time zone, in bytes: the largest there is has 4 KiB.
const ZONE_LEN_MAX: u64 = 64 * 1024;

/// Now: milliseconds since 1970-01-01 UTC.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// A moment to come or gone: `2026-11-25 08:03 CET, in 71 h 58 min (2026-11-25T07:03:00.000Z)`.
pub(crate) fn planned(ms: u64) -> String {
    let local =
        zone().and_then(|zone| local(ms, zone)).map_or_else(String::new, |local| format!("{local}, "));
    format!("{local}{} ({})", distance(now_ms(), ms), utc(ms))
}

fn local(ms: u64, zone: TimeZone) -> Option<String> {
    let time = Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
    Some(time.to_zoned(zone).strftime("%Y-%m-%d %H:%M %Z").to_string())
}

/// The machine's time zone, or the one that `TZ` names; nothing where neither reads.
fn zone() -> Option<TimeZone> {
    let named = env::var("TZ").ok().filter(|name| !name.is_empty()).and_then(|name| file_of(&name));
    let path = named.unwrap_or_else(|| PathBuf::from("/etc/localtime"));
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(ZONE_LEN_MAX).read_to_end(&mut bytes).ok()?;
    TimeZone::tzif("local", &bytes).ok()
}

/// The zone's file; nothing for a name that leads elsewhere.
fn file_of(name: &str) -> Option<PathBuf> {
    let name = Path::new(name.strip_prefix(':').unwrap_or(name));
    let inside = name.components().all(|part| matches!(part, Component::Normal(_)));
    inside.then(|| Path::new("/usr/share/zoneinfo").join(name))
}

/// How far a moment is away, in the two largest units.
fn distance(now_ms: u64, ms: u64) -> String {
    let away = in_words(now_ms.abs_diff(ms) / 1000);
    if ms >= now_ms { format!("in {away}") } else { format!("{away} ago") }
}

/// So many seconds in the two largest units.
pub(crate) fn in_words(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min"),
        _ => format!("{hours} h {} min", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_it_is_stands_in_hours_and_minutes() {
        let hour = 3_600_000;
        assert_eq!(distance(0, 71 * hour + 58 * 60_000), "in 71 h 58 min");
        assert_eq!(distance(0, 59_999), "in 59 s");
        assert_eq!(distance(0, 60_000), "in 1 min");
        assert_eq!(distance(3 * hour, 0), "3 h 0 min ago");
    }

    #[test]
    fn the_local_time_is_the_zones() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(local(1_795_000_000_000, zone).unwrap(), "2026-11-18 12:06 +01");
        assert!(planned(1_795_000_000_000).ends_with("(2026-11-18T11:06:40.000Z)"));
    }

    #[test]
    fn a_zone_is_read_from_the_systems_folder_alone() {
        assert_eq!(file_of("Europe/Zurich").unwrap(), Path::new("/usr/share/zoneinfo/Europe/Zurich"));
        assert_eq!(file_of("../../etc/passwd"), None);
        assert_eq!(file_of("/etc/passwd"), None);
    }
}
