//! What can be wrong with a leaf about a value update: its content, its statement, and its place in its purse.

use keysvc_protocol::{name::Name, value::ValueError};

/// What is wrong with a leaf about a value update.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValueProblem {
    /// The update is not one, or contradicts itself.
    #[error("{0}")]
    Update(#[from] ValueError),
    /// A programme that the founding does not have.
    #[error("there is no programme {0}")]
    NoProgramme(Name),
    /// The terminal belongs to another organisation than the programme.
    #[error("{terminal} is of {of}, the programme of {programme_of}")]
    OtherOrganisation {
        /// The terminal.
        terminal: Name,
        /// Its organisation.
        of: Name,
        /// The programme's organisation.
        programme_of: Name,
    },
    /// The update differs from what the terminal signed.
    #[error("the update differs from the terminal's statement in: {0}")]
    NotAsAsked(&'static str),
    /// Another currency than the programme's.
    #[error("currency {found:03}, the programme's is {expected:03}")]
    Currency {
        /// The programme's, ISO 4217 numeric.
        expected: u16,
        /// The update's.
        found: u16,
    },
    /// A purse that the profile does not have.
    #[error("the profile has no purse {0}")]
    NoPurse(u8),
    /// The profile does not enable stored value.
    #[error("the profile does not enable stored value")]
    NoFunction,
    /// A second load of a purse that is loaded once.
    #[error("the purse was loaded before, and the profile does not let it be reloaded")]
    NotReloadable,
    /// The amount or balance is past a limit of the profile.
    #[error("{what} is {found} minor units, past the profile's limit of {limit}")]
    PastLimit {
        /// What is past it.
        what: &'static str,
        /// How much it is, in minor units.
        found: u64,
        /// The limit, in minor units.
        limit: u64,
    },
    /// A card that takes no session, and an update that does not say so.
    #[error("the update does not say that the card took no part in it")]
    NoSessionFlag,
    /// The update was issued at another time than its leaf.
    #[error("the update's time is not its leaf's")]
    OtherTime,
    /// The update expires before it is issued.
    #[error("the update expires before it is issued")]
    BornExpired,
    /// The sequence number is not the purse's next.
    #[error("sequence number {found} where the purse's next is {expected}")]
    Sequence {
        /// The purse's next.
        expected: u64,
        /// The update's.
        found: u64,
    },
    /// The balance before is not what the purse held.
    #[error("the balance before is {found} minor units, the purse held {expected}")]
    Balance {
        /// What the purse held, in minor units.
        expected: u64,
        /// What the update says.
        found: u64,
    },
    /// The link to the purse's previous update is another's.
    #[error("the link to the purse's previous update is not its digest")]
    Link,
}
