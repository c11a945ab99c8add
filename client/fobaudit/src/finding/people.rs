//! What can be wrong with leaves about what takes people: acts, votes, changes, and plain leaves that stand although they
//! were stopped.

use keysvc_protocol::{
    bytes::ShortCheck,
    freeze::ScopeKind,
    key::{CheckValue, KeyState},
    leaf::LeafKind,
    name::Name,
    refusal::{Conflict, Refusal, Uncounted},
    request::Operation,
};

/// What is wrong with a leaf about what takes people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PeopleProblem {
    /// One caller alone did what takes people.
    #[error("{0} alone: it takes people, and the leaf shows none")]
    Alone(Operation),
    /// A key is about to be made that no quorum ordered.
    #[error("a key that no people ordered")]
    NoOrder,
    /// A key is about to be made from components that were not all given.
    #[error("the key that people ordered at leaf {leaf} comes in as components, and {} not given before", listed(.missing))]
    ComponentsMissing {
        /// The order's leaf.
        leaf: u64,
        /// The numbers of the components that are missing.
        missing: Vec<u8>,
    },
    /// The key that came in is not the one that was ordered.
    #[error("the key that came in has the check value {found}, people ordered {ordered} at leaf {leaf}")]
    ImportedOther {
        /// The order's leaf.
        leaf: u64,
        /// The check value that people agreed to.
        ordered: ShortCheck,
        /// The check value that the token computed.
        found: CheckValue,
    },
    /// A key that should have come in as components, and was made in the token.
    #[error(
        "the key that people ordered from components at leaf {leaf} was made in the token: CKA_LOCAL is true"
    )]
    ImportedLocal {
        /// The order's leaf.
        leaf: u64,
    },
    /// A key that the token should have made, and that came from elsewhere.
    #[error("the key that people had the token make at leaf {leaf} came from elsewhere: CKA_LOCAL is false")]
    MadeElsewhere {
        /// The order's leaf.
        leaf: u64,
    },
    /// The record of a key that people ordered does not say where it came from.
    #[error(
        "the record of the key that people ordered at leaf {leaf} does not say where the key came from: it has no CKA_LOCAL of \
         true or false"
    )]
    NoOrigin {
        /// The order's leaf.
        leaf: u64,
    },
    /// Something took effect before its delay was over.
    #[error("it took effect before its delay was over")]
    TooEarly,
    /// Something took effect, and nothing waits under that leaf.
    #[error("it names leaf {0}, under which nothing waits")]
    NothingWaits(u64),
    /// A heartbeat names another state than the leaves make.
    #[error("the service's state was not the one that the leaves make")]
    OtherState,
    /// The state does not allow it.
    #[error("{what} does not hold: {why}")]
    Refused {
        /// What it is.
        what: &'static str,
        /// Why it does not hold.
        why: Refusal,
    },
    /// What it touches was frozen.
    #[error("it was done although an officer had stopped the {}", match .0 {
        ScopeKind::All => "whole service",
        kind => kind.name(),
    })]
    Frozen(ScopeKind),
    /// Who asked was disabled.
    #[error("{0} was disabled")]
    Disabled(Name),
    /// The key was in a state that does not do this.
    #[error("the key {key} version {version} was {state}")]
    KeyState {
        /// Its name.
        key: Name,
        /// Its version.
        version: u32,
        /// Its state.
        state: KeyState,
    },
    /// A retired master key for cards that were not issued under it.
    #[error("the key {key} version {version} was deactivated, and a card was not issued under it before")]
    NotIssued {
        /// Its name.
        key: Name,
        /// Its version.
        version: u32,
    },
    /// No version of the value key was active.
    #[error("no version of the value key {0} was active")]
    NoActiveKey(Name),
    /// An update that names the evidence of people and shows none.
    #[error("the update names the evidence of people, and the leaf shows none")]
    EvidenceNotShown,
}

impl PeopleProblem {
    /// What a refusal of the state says of a leaf of this kind; `names` is the leaf or operation that it names.
    pub(crate) fn of(kind: LeafKind, operation: Option<Operation>, named: u64, why: Refusal) -> Self {
        match (kind, operation, why) {
            (
                LeafKind::SiteChanged | LeafKind::FreezeChanged,
                Some(operation),
                Refusal::ApprovalInvalid { reason: Uncounted::TooFew },
            ) => Self::Alone(operation),
            (LeafKind::KeyIntent, _, Refusal::StateConflict { .. }) => Self::NoOrder,
            (LeafKind::Heartbeat, _, Refusal::StateConflict { .. }) => Self::OtherState,
            (LeafKind::TookEffect, _, Refusal::StateConflict { reason: Conflict::Waiting }) => Self::TooEarly,
            (LeafKind::TookEffect, _, Refusal::StateConflict { reason: Conflict::Precondition }) => {
                Self::NothingWaits(named)
            }
            (kind, _, why) => Self::Refused { what: subject(kind), why },
        }
    }
}

/// Components by their numbers, and the verb: `component 2 was`, `components 1 and 3 were`.
fn listed(numbers: &[u8]) -> String {
    let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    match numbers.as_slice() {
        [one] => format!("component {one} was"),
        [most @ .., last] => format!("components {} and {last} were", most.join(", ")),
        [] => String::from("none was"),
    }
}

const fn subject(kind: LeafKind) -> &'static str {
    match kind {
        LeafKind::KeyIntent => "the intent to make a key",
        LeafKind::KeyOutcome => "the making of a key",
        LeafKind::ProposalMade => "the proposal",
        LeafKind::ProposalVoted => "the vote",
        LeafKind::ProposalClosed => "the end of the proposal",
        LeafKind::SiteChanged => "the change",
        LeafKind::FreezeChanged => "the freeze",
        LeafKind::ActByQuorum | LeafKind::SealedActByQuorum => "the act",
        LeafKind::Heartbeat => "the heartbeat",
        LeafKind::TookEffect => "what took effect",
        LeafKind::KeyDestroyed => "the destruction of a key",
        _ => "the leaf",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_state_refuses_is_said_of_the_leaf_it_refuses() {
        let why = Refusal::ApprovalInvalid { reason: Uncounted::TooFew };
        let said = |kind, why: &Refusal| {
            PeopleProblem::of(kind, Some(Operation::FreezeLift), 7, why.clone()).to_string()
        };
        assert_eq!(
            said(LeafKind::FreezeChanged, &why),
            "freeze.lift alone: it takes people, and the leaf shows none"
        );
        assert_eq!(
            said(LeafKind::ActByQuorum, &why),
            "the act does not hold: the approval does not count: the quorum is not met"
        );
        let waiting = Refusal::StateConflict { reason: Conflict::Waiting };
        assert_eq!(said(LeafKind::TookEffect, &waiting), "it took effect before its delay was over");
        let nothing = Refusal::StateConflict { reason: Conflict::Precondition };
        assert_eq!(said(LeafKind::TookEffect, &nothing), "it names leaf 7, under which nothing waits");
        assert_eq!(
            PeopleProblem::Frozen(ScopeKind::All).to_string(),
            "it was done although an officer had stopped the whole service"
        );
    }
}
