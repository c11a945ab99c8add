//! The reasons that some refusals carry: which rule is broken, what is missing, what stands in the way.
//!
//! Apart from the refusals, because each is a closed list of its own. Which refusal carries which stands there.

use crate::{card::CardState, job::JobState, key::KeyState};
use core::fmt;
use serde::{Deserialize, Serialize};

/// What stands in the way of a request whose subject is in another state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Conflict {
    /// The key is in a state that does not allow it.
    KeyState {
        /// The state it is in.
        state: KeyState,
    },
    /// The proposal was executed, rejected, cancelled or has failed.
    ProposalEnded,
    /// The quorum is not met yet.
    ProposalOpen,
    /// The name was used before.
    NameTaken,
    /// The key (TLS, statement or wrapping) is enrolled already, under this or another name.
    KeyTaken,
    /// Fewer officers would be left than the service needs.
    TooFewOfficers,
    /// The change is on its way already, and waits for its delay.
    Waiting,
    /// The principal is disabled.
    Disabled,
    /// What the proposal was made on has changed since.
    Precondition,
    /// The service's clock is disputed: two officers must confirm it first.
    ClockDisputed,
    /// There are as many as there may be.
    Full,
    /// The newest version is another one than the request was made on.
    Version {
        /// The newest version there is; 0 where there is none.
        newest: u32,
    },
    /// The job is in a state that does not allow it.
    JobState {
        /// The state it is in.
        state: JobState,
    },
    /// All cards of the job have their keys.
    JobComplete,
    /// The card is in a state that does not allow it.
    CardState {
        /// The state it is in.
        state: CardState,
    },
    /// The card has keys in another generation than the request was made on.
    Generation {
        /// The newest generation of its keys; 0 where it has none.
        newest: u32,
    },
    /// The job is for another station.
    OtherStation,
    /// The two operators' session is over.
    SessionOver,
    /// The counts do not balance, or nobody counted.
    Unbalanced,
    /// The card belongs to another job.
    OtherJob,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyState { state } => return write!(f, "the key is {state}"),
            Self::ProposalEnded => "the proposal has ended",
            Self::ProposalOpen => "the proposal still waits for people",
            Self::NameTaken => "the name was used before",
            Self::KeyTaken => "one of the keys is enrolled already",
            Self::TooFewOfficers => "too few officers would be left",
            Self::Waiting => "it is on its way already and waits for its delay",
            Self::Disabled => "the principal is disabled",
            Self::Precondition => "what the proposal was made on has changed since",
            Self::ClockDisputed => "the clock is disputed; two officers must confirm it first",
            Self::Full => "there are as many as there may be",
            Self::Version { newest } => return write!(f, "the newest version is {newest}"),
            Self::JobState { state } => return write!(f, "the job is {state}"),
            Self::JobComplete => "all cards of the job have their keys",
            Self::CardState { state } => return write!(f, "the card is {state}"),
            Self::Generation { newest } => {
                return write!(f, "the newest generation of the card's keys is {newest}");
            }
            Self::OtherStation => "the job is for another station",
            Self::SessionOver => "the session of the two operators is over",
            Self::Unbalanced => "the counts do not balance",
            Self::OtherJob => "the card belongs to another job",
        })
    }
}

/// Why an approval does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Uncounted {
    /// Not a COSE_Sign1 of an approval.
    Form,
    /// The signature does not verify, or is not in low-S form.
    Signature,
    /// The signer is not an enrolled officer.
    NotAnOfficer,
    /// The officer is disabled.
    Disabled,
    /// It is over another proposal's bytes.
    OtherProposal,
    /// It says something else than was asked.
    OtherVerdict,
    /// It was signed by somebody else than the caller.
    OtherCaller,
    /// The proposal was made under other policies than are in force.
    OtherPolicy,
    /// The proposal was made under another roster of officers than is in force.
    OtherRoster,
    /// The quorum is not met.
    TooFew,
    /// The proposal was made for another log.
    OtherLog,
    /// The need is below the floor of the operation.
    BelowFloor,
    /// Nobody approved who does not hold a component of the key as well.
    CustodiansAlone,
    /// The signer does not have the capability that this takes.
    NotInRole,
    /// It is over another act.
    OtherAct,
    /// It was signed too long ago, or in the future.
    Stale,
    /// It was used before.
    UsedBefore,
}

impl fmt::Display for Uncounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "not an approval in the profile's form",
            Self::Signature => "its signature does not verify",
            Self::NotAnOfficer => "its signer is not an enrolled officer",
            Self::Disabled => "the officer is disabled",
            Self::OtherProposal => "it is over another proposal",
            Self::OtherVerdict => "it says something else than was asked",
            Self::OtherCaller => "it was signed by somebody else than the caller",
            Self::OtherPolicy => "the policies have changed since the proposal was made",
            Self::OtherRoster => "the officers have changed since the proposal was made",
            Self::TooFew => "the quorum is not met",
            Self::OtherLog => "the proposal was made for another log",
            Self::BelowFloor => "the need is below the floor of the operation",
            Self::CustodiansAlone => "nobody approved but the custodians of the components",
            Self::NotInRole => "its signer does not have the capability that this takes",
            Self::OtherAct => "it is over another act",
            Self::Stale => "it was signed too long ago, or in the future",
            Self::UsedBefore => "it was used before",
        })
    }
}

/// What was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Thing {
    /// An operation of this name.
    Operation,
    /// A key of this name and version.
    Key,
    /// A programme of this name.
    Programme,
    /// A card profile of this name and version.
    Profile,
    /// A slot of this number in the profile.
    Slot,
    /// A leaf of this index in the log.
    Leaf,
    /// A tree of this size in the log.
    Tree,
    /// A proposal of this identifier.
    Proposal,
    /// A person or machine of this name.
    Principal,
    /// A freeze of this scope.
    Freeze,
    /// A personalization job of this name.
    Job,
    /// A card of this identifier.
    Card,
    /// This card among those of the job.
    Item,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operation => "operation",
            Self::Key => "key",
            Self::Programme => "programme",
            Self::Profile => "card profile",
            Self::Slot => "slot in this profile",
            Self::Leaf => "leaf",
            Self::Tree => "tree size",
            Self::Proposal => "proposal",
            Self::Principal => "principal",
            Self::Freeze => "freeze",
            Self::Job => "job",
            Self::Card => "card",
            Self::Item => "card in this job",
        })
    }
}

/// Which rule of form a request breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Invalid {
    /// The body is not HTTP as the service takes it: method, content type, length.
    Http,
    /// Longer than the limit.
    TooLong,
    /// Not the typed message in core deterministic encoding.
    Encoding,
    /// The request is not a COSE_Sign1 in the profile's form.
    NotSigned,
    /// The statement's signature does not verify with the caller's enrolled statement key.
    Signature,
    /// The checkpoint shown is not one this service signed.
    Seen,
    /// An amount of zero.
    ZeroAmount,
    /// A list without items, or with the same item twice.
    Items,
    /// A range that ends before it begins, or is longer than one call gives.
    Range,
    /// An enrolment whose keys are not those its kind has, or are none.
    Keys,
    /// A need of fewer than two people, or of more than there are.
    Need,
    /// A time that is not the service's.
    Time,
    /// Somebody who cannot hold a component: neither an officer nor an operator, or without a statement key.
    Custodian,
    /// A component that is not the one ordered: another length, all zero, another check value, or not sealed to the key
    /// in use.
    Component,
    /// Two components that are the same.
    ComponentEqual,
    /// Components that do not make the key that was ordered.
    Combined,
    /// A card profile that does not agree with itself, or with what it is for.
    Profile,
    /// A golden vector that the token computes otherwise.
    GoldenVector,
    /// A policy set that does not load, or has another digest than stated.
    Policy,
    /// A policy set under which nobody could ever change the policies again.
    LocksOut,
    /// A job whose head does not agree with itself or with the site.
    Job,
    /// Another manifest than the one that was built up.
    Manifest,
    /// Another check value than the token computes for what the card was given.
    ReadBack,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "not a POST of application/cbor with a content length",
            Self::TooLong => "too long",
            Self::Encoding => "not the typed message in core deterministic encoding",
            Self::NotSigned => "not a COSE_Sign1 in the profile's form",
            Self::Signature => "the statement does not verify with the enrolled statement key",
            Self::Seen => "the checkpoint shown is not one this service signed",
            Self::ZeroAmount => "an amount of zero",
            Self::Items => "an empty list, or one item twice",
            Self::Range => "not a range, or more than one call gives",
            Self::Keys => "the keys are not those this kind of principal has",
            Self::Need => "a need of fewer than two people, or of more than there are",
            Self::Time => "a time that is not the service's",
            Self::Custodian => "not somebody who can hold a component",
            Self::Component => "not the component that was ordered",
            Self::ComponentEqual => "two components are the same",
            Self::Combined => "the components do not make the key that was ordered",
            Self::Profile => "the card profile does not agree with itself or with what it is for",
            Self::GoldenVector => "the token computes another value than a golden vector states",
            Self::Policy => "the policies do not load, or have another digest than stated",
            Self::LocksOut => "under these policies nobody could change the policies again",
            Self::Job => "the job's head does not agree with itself or with the site",
            Self::Manifest => "not the manifest that was built up",
            Self::ReadBack => "the card does not hold the keys it was given",
        })
    }
}

/// Which rule of a profile or programme a request breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Forbids {
    /// A 4-byte UID: such identifiers are reused among cards, so no key is diversified by them.
    ShortUid,
    /// The diversification input would have another length than 16 to 31 bytes (AN10922 equals CMAC only there).
    InputLength {
        /// Its length, in bytes.
        found: u64,
    },
    /// Another currency than the programme's.
    Currency {
        /// The programme's currency, ISO 4217 numeric.
        expected: u16,
    },
    /// A purse the profile does not have.
    Purse,
    /// A function the profile does not enable.
    Function,
    /// A second load of a purse that is not reloadable.
    NotReloadable,
}

impl fmt::Display for Forbids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortUid => f.write_str("4-byte identifiers are not unique, no key is diversified by them"),
            Self::InputLength { found } => {
                write!(f, "the diversification input would have {found} bytes, not 16 to 31")
            }
            Self::Currency { expected } => write!(f, "the programme's currency is {expected:03}"),
            Self::Purse => f.write_str("the profile has no such purse"),
            Self::Function => f.write_str("the profile does not enable stored value"),
            Self::NotReloadable => f.write_str("the purse was loaded once and is not reloadable"),
        }
    }
}
