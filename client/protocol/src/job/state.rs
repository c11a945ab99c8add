//! The states of a job, and every step between them.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JobState {
    /// It is put together.
    Draft,
    /// It is fixed: nothing about it changes any more.
    Sealed,
    /// Two operators have opened it at its station.
    Open,
    /// One of them has stopped it.
    Suspended,
    /// What was counted balances.
    Counted,
    /// The station has erased its data, or the job was withdrawn; ours are still there.
    Closed,
    /// Its data are gone.
    Purged,
}

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JobEvent {
    /// Cards and data are added.
    AddItems,
    /// A second data operator fixes it.
    Seal,
    /// It is given up before anything was made.
    Withdraw,
    /// Two operators begin a session.
    Open,
    /// One operator stops it.
    Suspend,
    /// Two operators let it go on.
    Resume,
    /// Keys are released, or results given.
    Work,
    /// What was counted balances.
    Balance,
    /// What was counted does not.
    Mismatch,
    /// The station's purge receipt.
    Close,
    /// The service's own erasure.
    Purge,
}

/// A step that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state} cannot do this")]
pub struct ForbiddenJobStep {
    /// The state it is in.
    pub state: JobState,
}

impl JobState {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Draft, Self::Sealed, Self::Open, Self::Suspended, Self::Counted, Self::Closed, Self::Purged];

    /// The state after an event.
    ///
    /// # Errors
    /// [`ForbiddenJobStep`] when the event cannot happen in this state.
    pub const fn after(self, event: JobEvent) -> Result<Self, ForbiddenJobStep> {
        use JobEvent as Event;
        Ok(match (self, event) {
            (Self::Draft, Event::AddItems) => Self::Draft,
            (Self::Draft, Event::Seal) => Self::Sealed,
            (Self::Draft | Self::Sealed, Event::Withdraw) | (Self::Counted, Event::Close) => Self::Closed,
            // Opening what is open begins the next session: two hours end in the middle of many jobs.
            (Self::Sealed | Self::Open, Event::Open)
            | (Self::Suspended, Event::Resume)
            | (Self::Open, Event::Work)
            | (Self::Open | Self::Counted, Event::Mismatch) => Self::Open,
            (Self::Open, Event::Suspend) => Self::Suspended,
            (Self::Open | Self::Counted, Event::Balance) => Self::Counted,
            (Self::Closed, Event::Purge) => Self::Purged,
            (state, _) => return Err(ForbiddenJobStep { state }),
        })
    }

    /// Whether a station holds the job's data.
    #[must_use]
    pub const fn is_at_station(self) -> bool {
        matches!(self, Self::Open | Self::Suspended | Self::Counted | Self::Closed)
    }

    /// Its name, as people see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Sealed => "sealed",
            Self::Open => "open",
            Self::Suspended => "suspended",
            Self::Counted => "counted",
            Self::Closed => "closed",
            Self::Purged => "purged",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_a_job_is_the_one_in_the_table() {
        use JobEvent::{
            AddItems, Balance, Close, Mismatch, Open as Opens, Purge, Resume, Seal, Suspend, Withdraw, Work,
        };
        use JobState::{Closed, Counted, Draft, Open, Purged, Sealed, Suspended};
        let events =
            [AddItems, Seal, Withdraw, Opens, Suspend, Resume, Work, Balance, Mismatch, Close, Purge];
        let allowed = [
            (Draft, AddItems, Draft),
            (Draft, Seal, Sealed),
            (Draft, Withdraw, Closed),
            (Sealed, Withdraw, Closed),
            (Sealed, Opens, Open),
            (Open, Opens, Open),
            (Open, Suspend, Suspended),
            (Suspended, Resume, Open),
            (Open, Work, Open),
            (Open, Balance, Counted),
            (Open, Mismatch, Open),
            (Counted, Balance, Counted),
            (Counted, Mismatch, Open),
            (Counted, Close, Closed),
            (Closed, Purge, Purged),
        ];
        for state in JobState::ALL {
            for event in events {
                let row = allowed.iter().find(|(from, by, _)| (*from, *by) == (state, event));
                let expected = row.map(|(_, _, to)| *to).ok_or(ForbiddenJobStep { state });
                assert_eq!(state.after(event), expected, "{state:?} {event:?}");
            }
        }
    }
}
