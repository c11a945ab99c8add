//! What becomes of a half that ended: when it is started again, whether at all, and whether that is worth a line.
//!
//! Pure, and apart from the processes, because these few rules decide how long an outage lasts, how often a PIN is
//! tried and how fast a log grows.

use crate::error::Exit;
use std::time::Duration;

/// The wait after the second end in a row.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest wait after a fault of our own.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The longest wait for a token that is away. Service is back within 2 s of its return: this, and a start, which takes
/// 0.2 s, and the 0.2 s until the front has connected again. A start that finds no token takes 10 ms.
const TOKEN_WAIT_MAX: Duration = Duration::from_millis(500);
/// The longest wait while another token is in place: such a start may log in, so it is not pressed.
const OTHER_TOKEN_WAIT_MAX: Duration = Duration::from_secs(1);
/// The longest wait after a fault of the store: a disk that was full has room again, and service is back within 5 s of it,
/// as a keeper's that was not ended meanwhile. A start that finds no room compares everything first, some 0.2 s of work.
const STORE_WAIT_MAX: Duration = Duration::from_secs(2);
/// A half that ran this long was healthy: its end counts as a first one again.
const HEALTHY: Duration = Duration::from_secs(30);
/// How often an outage that goes on is said again.
const REMIND: Duration = Duration::from_mins(1);

/// How one run of a half ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// Its exit code; none where a signal ended it.
    pub(super) code: Option<i32>,
    /// Whether somebody ended it from outside: SIGKILL, or an orderly end that nobody here asked for.
    pub(super) by_hand: bool,
    /// Whether it had said that it serves.
    pub(super) served: bool,
    /// How long it ran.
    pub(super) lived: Duration,
}

impl End {
    fn is(&self, exit: Exit) -> bool {
        self.code == Some(exit as i32)
    }
}

/// What comes after an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The whole service ends: an operator must mend something.
    GiveUp,
    /// A start after this long.
    Start(Duration),
    /// A start once the PIN, or the configuration, is another one. Never before: a token may lock.
    PinChanged,
}

/// The ends in a row of one half.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    next: Duration,
    last: Option<End>,
    quiet_for: Duration,
}

impl Restarts {
    /// What comes after this end.
    pub(super) fn after(&mut self, end: End) -> Next {
        let said = self.is_said(end);
        self.last = Some(end);
        if end.is(Exit::Refusing) {
            return Next::GiveUp;
        }
        if end.is(Exit::Pin) {
            // Somebody is at work when it is tried again, and hears everything.
            *self = Self::default();
            return Next::PinChanged;
        }
        let most = if end.is(Exit::Token) {
            TOKEN_WAIT_MAX
        } else if end.is(Exit::OtherToken) {
            OTHER_TOKEN_WAIT_MAX
        } else if end.is(Exit::Store) {
            STORE_WAIT_MAX
        } else if end.served && end.by_hand {
            WAIT_MIN
        } else {
            WAIT_MAX
        };
        let wait = if end.lived >= HEALTHY { Duration::ZERO } else { self.next.min(most) };
        self.next = wait.saturating_mul(2).clamp(WAIT_MIN, WAIT_MAX);
        let passed = end.lived.saturating_add(wait);
        self.quiet_for = if said { self.quiet_for.saturating_add(passed) } else { Duration::ZERO };
        Next::Start(wait)
    }

    /// Whether what is to be said of this end was said of the one before it, less than a minute ago.
    pub(super) fn is_said(&self, end: End) -> bool {
        let same = |last: End| !last.served && !end.served && last.code.is_some() && last.code == end.code;
        self.last.is_some_and(same) && self.quiet_for < REMIND
    }

    /// The exit code that the next run need not explain if it ends with it: as the last one did, which never served.
    pub(super) fn said(&self) -> Option<i32> {
        self.last.filter(|last| !last.served && self.quiet_for < REMIND).and_then(|last| last.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: End = End { code: None, by_hand: true, served: true, lived: Duration::ZERO };

    fn ended(exit: Exit) -> End {
        End { code: Some(exit as i32), by_hand: false, served: false, lived: Duration::ZERO }
    }

    /// The waits after so many ends of this kind.
    fn waits(end: End, count: usize) -> Vec<u128> {
        let mut restarts = Restarts::default();
        let wait = |_| match restarts.after(end) {
            Next::Start(wait) => wait.as_millis(),
            other => panic!("{other:?}"),
        };
        (0..count).map(wait).collect()
    }

    #[test]
    fn the_first_restart_is_at_once_and_later_ones_wait_up_to_five_seconds() {
        let expected = [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000];
        assert_eq!(waits(ended(Exit::Invariant), 9), expected);
        assert_eq!(waits(End { served: true, ..ended(Exit::Invariant) }, 9), expected);
        assert_eq!(waits(End { served: false, ..KILLED }, 9), expected);
    }

    #[test]
    fn a_token_that_is_away_is_looked_for_twice_a_second_and_another_one_every_second() {
        assert_eq!(waits(ended(Exit::Token), 6), [0, 100, 200, 400, 500, 500]);
        assert_eq!(waits(ended(Exit::OtherToken), 7), [0, 100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn a_store_that_failed_is_tried_again_every_two_seconds() {
        assert_eq!(waits(ended(Exit::Store), 7), [0, 100, 200, 400, 800, 1_600, 2_000]);
    }

    #[test]
    fn a_half_that_served_and_was_killed_is_started_again_within_a_tenth_of_a_second() {
        assert_eq!(waits(KILLED, 5), [0, 100, 100, 100, 100]);
    }

    #[test]
    fn a_half_that_was_healthy_is_started_again_at_once() {
        let mut restarts = Restarts::default();
        restarts.after(ended(Exit::Store));
        restarts.after(ended(Exit::Store));
        let lived = |seconds| End { lived: Duration::from_secs(seconds), ..ended(Exit::Store) };
        assert_eq!(restarts.after(lived(30)), Next::Start(Duration::ZERO));
        assert_eq!(restarts.after(lived(29)), Next::Start(WAIT_MIN));
    }

    #[test]
    fn a_refused_pin_waits_for_another_and_a_refusal_ends_the_service() {
        let mut restarts = Restarts::default();
        assert_eq!(restarts.after(ended(Exit::Pin)), Next::PinChanged);
        assert_eq!(restarts.said(), None, "a second refusal is told in full");
        assert_eq!(restarts.after(ended(Exit::Refusing)), Next::GiveUp);
    }

    #[test]
    fn an_outage_that_goes_on_is_said_at_its_begin_and_once_a_minute() {
        let mut restarts = Restarts::default();
        let served = End { served: true, ..ended(Exit::Token) };
        assert!(!restarts.is_said(served));
        restarts.after(served);
        assert_eq!(restarts.said(), None);
        let mut loud = 0;
        // Two a second for two minutes.
        for _ in 0..240 {
            loud += usize::from(!restarts.is_said(ended(Exit::Token)));
            restarts.after(ended(Exit::Token));
        }
        assert_eq!(loud, 2);
        assert!(!restarts.is_said(ended(Exit::Store)), "another reason is said at once");
        assert_eq!(restarts.said(), Some(10));
    }
}
