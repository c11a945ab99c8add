//! Freezes: what is stopped, by whom, since when.
//!
//! A freeze stops new acts and repetitions alike, from the next request on. Who may set one is the policies', that
//! lifting takes two is [`crate::quorum`]'s.

use crate::{card::CardUid, name::Name};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Most freezes in force at a time: 1,024 of 90 bytes are 92 KiB, so all of them fit into a trust bundle.
pub const FREEZES_MAX: usize = 1_024;

/// Most freezes in force when somebody other than an officer sets one: the rest is kept for officers, so that no office
/// can keep them from stopping everything.
pub const FREEZES_OF_OTHERS_MAX: usize = 960;

/// What is stopped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Scope {
    /// One card: its value, and the making of its keys. In one programme, or everywhere.
    Card {
        /// The card.
        card: CardUid,
        /// The programme in which its value is stopped; left out for everything about the card.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        programme: Option<Name>,
    },
    /// All that a terminal asks to change.
    Terminal {
        /// The terminal.
        name: Name,
    },
    /// All that a station asks to change.
    Station {
        /// The station.
        name: Name,
    },
    /// The value of one programme.
    Programme {
        /// The programme.
        name: Name,
    },
    /// All that terminals and offices of one organisation ask to change.
    Store {
        /// The organisation.
        name: Name,
    },
    /// The making of cards of one profile, and the value on them.
    Profile {
        /// The profile.
        name: Name,
    },
    /// Everything done with a key, in all its versions.
    Key {
        /// The key.
        name: Name,
    },
    /// Value and cards altogether. What officers do goes on.
    All,
    /// One personalization job.
    Job {
        /// The job.
        name: Name,
    },
}

/// The kinds of [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ScopeKind {
    /// [`Scope::Card`].
    Card,
    /// [`Scope::Terminal`].
    Terminal,
    /// [`Scope::Station`].
    Station,
    /// [`Scope::Programme`].
    Programme,
    /// [`Scope::Store`].
    Store,
    /// [`Scope::Profile`].
    Profile,
    /// [`Scope::Key`].
    Key,
    /// [`Scope::All`].
    All,
    /// [`Scope::Job`].
    Job,
}

impl ScopeKind {
    /// Its name, as policies and people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Terminal => "terminal",
            Self::Station => "station",
            Self::Programme => "programme",
            Self::Store => "store",
            Self::Profile => "profile",
            Self::Key => "key",
            Self::All => "all",
            Self::Job => "job",
        }
    }
}

impl Scope {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ScopeKind {
        match self {
            Self::Card { .. } => ScopeKind::Card,
            Self::Terminal { .. } => ScopeKind::Terminal,
            Self::Station { .. } => ScopeKind::Station,
            Self::Programme { .. } => ScopeKind::Programme,
            Self::Store { .. } => ScopeKind::Store,
            Self::Profile { .. } => ScopeKind::Profile,
            Self::Key { .. } => ScopeKind::Key,
            Self::All => ScopeKind::All,
            Self::Job { .. } => ScopeKind::Job,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Card { card, programme: None } => write!(f, "card {card}"),
            Self::Card { card, programme: Some(programme) } => {
                write!(f, "card {card} in programme {programme}")
            }
            Self::Terminal { name }
            | Self::Station { name }
            | Self::Programme { name }
            | Self::Store { name }
            | Self::Profile { name }
            | Self::Key { name }
            | Self::Job { name } => write!(f, "{} {name}", self.kind().name()),
            Self::All => f.write_str("all"),
        }
    }
}

/// What an act touches: all that could be frozen about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched<'a> {
    /// The cards.
    pub cards: &'a [CardUid],
    /// The programme, where value is touched.
    pub programme: Option<&'a Name>,
    /// The terminal that asks.
    pub terminal: Option<&'a Name>,
    /// The station that asks.
    pub station: Option<&'a Name>,
    /// The organisation of the terminal or office that asks.
    pub store: Option<&'a Name>,
    /// The card profile.
    pub profile: Option<&'a Name>,
    /// The keys that would act.
    pub keys: &'a [Name],
    /// The job.
    pub job: Option<&'a Name>,
}

impl Touched<'_> {
    /// Whether a freeze of `scope` stops this.
    #[must_use]
    pub fn is_stopped_by(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Card { card, programme } => {
                self.cards.contains(card)
                    && programme.as_ref().is_none_or(|programme| self.programme == Some(programme))
            }
            Scope::Terminal { name } => self.terminal == Some(name),
            Scope::Station { name } => self.station == Some(name),
            Scope::Programme { name } => self.programme == Some(name),
            Scope::Store { name } => self.store == Some(name),
            Scope::Profile { name } => self.profile == Some(name),
            Scope::Key { name } => self.keys.contains(name),
            Scope::Job { name } => self.job == Some(name),
            Scope::All => true,
        }
    }
}
