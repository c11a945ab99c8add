//! Where the time comes from: the wall's clock, which can be set, and the boot's, which cannot.
//!
//! What the two say together is the protocol's ([`keysvc_protocol::control::Clock`]).

use keysvc_protocol::{
    bytes::{Boot, from_hex},
    control::Moment,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::time::{ClockId, clock_gettime};
use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Where the kernel tells the boot's identifier.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Clock {
    /// The wall time that `now_ms` gives, milliseconds since 1970-01-01 UTC, with one boot that began then.
    pub fn new(now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self::with(move || {
            let now_ms = now_ms();
            Moment { wall_ms: now_ms, boot: Boot::new([0; 16]), up_ms: now_ms }
        })
    }

    /// The moments that `moment` gives.
    pub fn with(moment: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(moment))
    }

    /// The system's clocks.
    #[must_use]
    pub fn system() -> Self {
        let boot = this_boot();
        Self::with(move || {
            // A clock before 1970 reads as 0: leaf times do not go back whatever it says.
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Moment { wall_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), boot, up_ms: up_ms() }
        })
    }

    /// The moment now.
    #[must_use]
    pub fn moment(&self) -> Moment {
        (self.0)()
    }

    /// The wall time now, milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.moment().wall_ms
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The kernel's identifier of this boot. Where it gives none, one of our own: each start of the program then counts as
/// a boot, so that less time is witnessed, never more.
fn this_boot() -> Boot {
    let text = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    let told = from_hex(&text.trim().replace('-', "")).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    Boot::new(told.unwrap_or_else(|| {
        let mut drawn = [0; 16];
        // Without random bytes no leaf is written either.
        let _ = SystemRandom::new().fill(&mut drawn);
        drawn
    }))
}

/// Time since the boot, suspended time included, in milliseconds.
fn up_ms() -> u64 {
    let up = clock_gettime(ClockId::Boottime);
    let (seconds, rest_ms) = (u64::try_from(up.tv_sec), u64::try_from(up.tv_nsec / 1_000_000));
    seconds.unwrap_or(0).saturating_mul(1000).saturating_add(rest_ms.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_clock_is_past_2026_and_its_boot_is_one() {
        let (clock, again) = (Clock::system(), Clock::system());
        let (first, second) = (clock.moment(), again.moment());
        assert!(first.wall_ms > 1_767_225_600_000);
        assert_eq!(first.boot, second.boot);
        assert!(second.up_ms >= first.up_ms && first.up_ms > 0);
    }
}
