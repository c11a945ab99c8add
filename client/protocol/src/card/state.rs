//! The states of a card, and every step between them.
//!
//! A card that the registry has not met is blank. Frozen is never stored: it lies over the state beneath while a freeze of
//! the card stands ([`CardState::shown`]).

use core::fmt;
use serde::{Deserialize, Serialize};

/// Where a card stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CardState {
    /// It has no keys of ours.
    Blank,
    /// A station has its keys and has not said what became of it.
    InProduction,
    /// It is made, and not sold.
    Ready,
    /// It is with its holder.
    Active,
    /// An officer or office has stopped it.
    Frozen,
    /// It serves no more.
    Retired,
    /// It waits to be destroyed: rejects and what was taken back.
    AwaitingDestruction,
    /// It is destroyed.
    Destroyed,
}

/// What happens to a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CardEvent {
    /// Its keys are released to a station.
    Produce,
    /// Its keys are released again in another generation, which takes two people.
    Reproduce,
    /// The station made it, and it holds its keys.
    Pass,
    /// The station could not make it.
    Reject,
    /// It was made as a sample or for a test, and is never sold.
    Sample,
    /// It is sold, or given to its holder.
    Activate,
    /// It is taken out of service.
    Retire,
    /// It is put aside to be destroyed.
    Discard,
    /// It is destroyed.
    Destroy,
}

/// A step that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a card that is {state} cannot do this")]
pub struct ForbiddenStep {
    /// The state it is in.
    pub state: CardState,
}

impl CardState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Blank,
        Self::InProduction,
        Self::Ready,
        Self::Active,
        Self::Frozen,
        Self::Retired,
        Self::AwaitingDestruction,
        Self::Destroyed,
    ];

    /// The state after an event.
    ///
    /// # Errors
    /// [`ForbiddenStep`] when the event cannot happen in this state.
    pub const fn after(self, event: CardEvent) -> Result<Self, ForbiddenStep> {
        use CardEvent as Event;
        Ok(match (self, event) {
            (Self::Blank, Event::Produce) | (Self::InProduction | Self::Ready, Event::Reproduce) => {
                Self::InProduction
            }
            (Self::InProduction, Event::Pass) => Self::Ready,
            (Self::Ready, Event::Activate) => Self::Active,
            (Self::InProduction, Event::Sample) | (Self::Ready | Self::Active, Event::Retire) => {
                Self::Retired
            }
            (Self::InProduction, Event::Reject) | (Self::Ready | Self::Retired, Event::Discard) => {
                Self::AwaitingDestruction
            }
            (Self::AwaitingDestruction, Event::Destroy) => Self::Destroyed,
            (state, _) => return Err(ForbiddenStep { state }),
        })
    }

    /// How it is shown while a freeze of the card stands, or does not. Only what could be used is shown as frozen.
    #[must_use]
    pub const fn shown(self, frozen: bool) -> Self {
        match self {
            Self::Blank | Self::InProduction | Self::Ready | Self::Active if frozen => Self::Frozen,
            state => state,
        }
    }

    /// Whether value may be loaded on it or taken from it: nobody stopped it, and it is made and not taken back.
    #[must_use]
    pub const fn bears_value(self) -> bool {
        matches!(self, Self::Ready | Self::Active)
    }

    /// Its name, as the policies and people see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::InProduction => "in-production",
            Self::Ready => "ready",
            Self::Active => "active",
            Self::Frozen => "frozen",
            Self::Retired => "retired",
            Self::AwaitingDestruction => "awaiting-destruction",
            Self::Destroyed => "destroyed",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for CardState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InProduction => "in production",
            Self::AwaitingDestruction => "awaiting destruction",
            state => state.name(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_a_card_is_the_one_in_the_table() {
        use CardEvent::{Activate, Destroy, Discard, Pass, Produce, Reject, Reproduce, Retire, Sample};
        use CardState::{Active, AwaitingDestruction, Blank, Destroyed, InProduction, Ready, Retired};
        let events = [Produce, Reproduce, Pass, Reject, Sample, Activate, Retire, Discard, Destroy];
        let allowed = [
            (Blank, Produce, InProduction),
            (InProduction, Reproduce, InProduction),
            (Ready, Reproduce, InProduction),
            (InProduction, Pass, Ready),
            (InProduction, Reject, AwaitingDestruction),
            (InProduction, Sample, Retired),
            (Ready, Activate, Active),
            (Ready, Retire, Retired),
            (Active, Retire, Retired),
            (Ready, Discard, AwaitingDestruction),
            (Retired, Discard, AwaitingDestruction),
            (AwaitingDestruction, Destroy, Destroyed),
        ];
        for state in CardState::ALL {
            for event in events {
                let row = allowed.iter().find(|(from, by, _)| (*from, *by) == (state, event));
                let expected = row.map(|(_, _, to)| *to).ok_or(ForbiddenStep { state });
                assert_eq!(state.after(event), expected, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn nothing_leads_out_of_frozen_and_a_destroyed_card_is_never_shown_as_frozen() {
        assert_eq!(CardState::Ready.shown(true), CardState::Frozen);
        assert_eq!(CardState::Ready.shown(false), CardState::Ready);
        assert_eq!(CardState::Destroyed.shown(true), CardState::Destroyed);
        for state in CardState::ALL {
            assert_eq!(CardState::from_name(state.name()), Some(state));
        }
    }
}
