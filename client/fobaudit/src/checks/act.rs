//! The acts that took people, in words: what was done, who agreed, what it took, what became of it.
//!
//! Gathered for `fobaudit controls` while the log is followed; whether they hold is [`super::people`]'s to say.

use super::decode;
use crate::walk::Leaf;
use keysvc_protocol::{
    bytes::Digest,
    control::{Change, Control},
    cose::{Kind, Signed},
    founding::{CardFamily, Profile},
    leaf::{
        ActByQuorumLeaf, ChangedLeaf, LeafEntry, LeafKind, ProposalClosedLeaf, Statement, TookEffectLeaf,
    },
    name::Name,
    proposal::Proposal,
    quorum::{self, Need},
    request::Operation,
    sentence,
};
use std::collections::BTreeMap;

/// Most acts that are kept in words; one takes half a KiB, all of them 50 MB.
pub(crate) const ACTS_MAX: usize = 100_000;

/// Who agreed, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agreement {
    /// The people whose approvals count, each with the department.
    pub(crate) people: Vec<(Name, Name)>,
    /// What would be enough.
    pub(crate) need: Need,
}

impl Agreement {
    /// The people who agreed to an act, as the roster stood; nobody where an approval does not count.
    pub(crate) fn of(control: &Control, act: &ActByQuorumLeaf, proposal: &Proposal) -> Self {
        let bytes = act.evidence.proposal.as_bytes();
        let counted = quorum::count(bytes, act.evidence.approvals(), control.genesis(), control.roster());
        let department = |name: &Name| {
            let member = control.roster().member(name)?;
            Some((name.clone(), member.enrolment.group.clone()))
        };
        let people = counted.map(|quorum| quorum.people().filter_map(department).collect());
        Self { people: people.unwrap_or_default(), need: proposal.need.clone() }
    }
}

/// What became of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done at once.
    Done,
    /// It waits for its delay.
    Waits {
        /// Not before this time, milliseconds since 1970-01-01 UTC.
        due_ms: u64,
    },
    /// It waited, and is in force.
    InForce {
        /// From this leaf on.
        leaf: u64,
    },
    /// It waited, and was withdrawn.
    Cancelled {
        /// At this leaf.
        leaf: u64,
    },
    /// Whether it holds cannot be told: what it stands on is withheld.
    Unknown,
    /// It must not be in the log.
    NotGood,
}

/// An act that took people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Act {
    /// Its leaf.
    pub(crate) leaf: u64,
    /// When, milliseconds since 1970-01-01 UTC.
    pub(crate) time_ms: u64,
    /// What was asked.
    pub(crate) operation: Operation,
    /// The same as a sentence; nothing where the request cannot be read.
    pub(crate) sentence: Option<String>,
    /// Who asked.
    pub(crate) requester: Name,
    /// Who agreed.
    pub(crate) agreement: Agreement,
    /// What it governs, where it does.
    pub(crate) governed: Option<Governed>,
    /// What became of it.
    pub(crate) outcome: Outcome,
}

/// What an act puts into force of the rules that the service itself follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Governed {
    /// Other policies.
    Policies(Digest),
    /// A version of a card profile.
    Profile {
        /// Its name.
        name: Name,
        /// Its version.
        version: u32,
        /// The family of card it is for.
        family: CardFamily,
    },
    /// A key that comes in as components; which version the order says.
    Import(Name),
}

impl Governed {
    fn of(change: Change) -> Option<Self> {
        match change {
            Change::Policies { request } => Some(Self::Policies(request.policy)),
            Change::Profile { profile: Profile { name, version, family, .. } } => {
                Some(Self::Profile { name, version, family })
            }
            Change::Import { request } => Some(Self::Import(request.name)),
            _ => None,
        }
    }
}

impl Act {
    /// The act of a leaf, as the state stood before it; nothing where it names no proposal.
    fn of(control: &Control, entry: &LeafEntry, act: &ActByQuorumLeaf) -> Option<Self> {
        let proposal = Proposal::decode(act.evidence.proposal.as_bytes()).ok()?;
        let request = &proposal.request;
        let change = change_of(control, &request.requester, request.operation, &request.statement);
        Some(Self {
            governed: change.and_then(Governed::of),
            leaf: entry.index,
            time_ms: entry.time_ms,
            operation: request.operation,
            sentence: said(control, &request.requester, request.operation, &request.statement),
            requester: request.requester.clone(),
            agreement: Agreement::of(control, act, &proposal),
            outcome: Outcome::Unknown,
        })
    }
}

/// What one caller did alone, as the rules allow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alone {
    /// Its leaf.
    pub(crate) leaf: u64,
    /// When, milliseconds since 1970-01-01 UTC.
    pub(crate) time_ms: u64,
    /// What was asked.
    pub(crate) operation: Operation,
    /// The same as a sentence; nothing where the request cannot be read.
    pub(crate) sentence: Option<String>,
    /// Who asked.
    pub(crate) by: Name,
}

/// What a leaf says in words.
#[derive(Debug)]
pub(super) enum Told {
    /// An act.
    Act(Box<Act>),
    /// What one caller did alone.
    Alone(Box<Alone>),
    /// What waits under this leaf was withdrawn.
    Cancelled(u64),
    /// What waits under this leaf is in force.
    TookEffect(u64),
}

impl Told {
    /// What a leaf says, as the state stands before it.
    pub(super) fn of(control: &Control, leaf: &Leaf<'_>) -> Option<Self> {
        match leaf.entry.kind {
            LeafKind::ActByQuorum | LeafKind::SealedActByQuorum => {
                Some(Self::Act(Box::new(Act::of(control, leaf.entry, leaf.act?)?)))
            }
            LeafKind::SiteChanged | LeafKind::FreezeChanged => {
                let changed: ChangedLeaf = decode(leaf.payload?).ok()?;
                Some(Self::Alone(Box::new(Alone {
                    leaf: leaf.entry.index,
                    time_ms: leaf.entry.time_ms,
                    operation: changed.operation,
                    sentence: said(control, &changed.principal, changed.operation, &changed.statement),
                    by: changed.principal,
                })))
            }
            LeafKind::ProposalClosed => {
                let closed: ProposalClosedLeaf = decode(leaf.payload?).ok()?;
                control.waiting_for(&closed.proposal).map(|(act, _)| Self::Cancelled(act))
            }
            LeafKind::TookEffect => {
                decode::<TookEffectLeaf>(leaf.payload?).ok().map(|took| Self::TookEffect(took.act))
            }
            _ => None,
        }
    }
}

/// The acts so far, and what one caller did alone.
#[derive(Debug, Default)]
pub(crate) struct Acts {
    kept: Vec<Act>,
    places: BTreeMap<u64, usize>,
    alone: Vec<Alone>,
    more: u64,
}

impl Acts {
    /// Adds what a leaf said, once it was followed; `held` says whether it holds, nothing where that is unknown.
    pub(super) fn add(&mut self, told: Told, index: u64, held: Option<bool>, after: &Control) {
        match (told, held) {
            (Told::Act(mut act), held) => {
                let waits = after.waiting().find(|(leaf, _)| *leaf == index);
                act.outcome = match (held, waits) {
                    (None, _) => Outcome::NotGood,
                    (Some(false), _) => Outcome::Unknown,
                    (Some(true), Some((_, waiting))) => Outcome::Waits { due_ms: waiting.due_ms },
                    (Some(true), None) => Outcome::Done,
                };
                self.push(*act);
            }
            (Told::Alone(alone), Some(true)) if self.alone.len() < ACTS_MAX => self.alone.push(*alone),
            (Told::Cancelled(act), Some(true)) => self.became(act, Outcome::Cancelled { leaf: index }),
            (Told::TookEffect(act), Some(true)) => self.became(act, Outcome::InForce { leaf: index }),
            _ => {}
        }
    }

    fn push(&mut self, act: Act) {
        if self.kept.len() >= ACTS_MAX {
            self.more = self.more.saturating_add(1);
            return;
        }
        self.places.insert(act.leaf, self.kept.len());
        self.kept.push(act);
    }

    fn became(&mut self, leaf: u64, outcome: Outcome) {
        let act = self.places.get(&leaf).and_then(|place| self.kept.get_mut(*place));
        if let Some(act) = act {
            act.outcome = outcome;
        }
    }

    /// The acts, at most [`ACTS_MAX`].
    pub(crate) fn kept(&self) -> &[Act] {
        &self.kept
    }

    /// What one caller did alone, at most [`ACTS_MAX`].
    pub(crate) fn alone(&self) -> &[Alone] {
        &self.alone
    }

    /// How many acts are not kept.
    pub(crate) const fn more(&self) -> u64 {
        self.more
    }
}

/// The sentence of a signed request, once its signature holds.
pub(crate) fn said(
    control: &Control,
    by: &Name,
    operation: Operation,
    statement: &Statement,
) -> Option<String> {
    sentence::sentence(operation, request_of(control, by, operation, statement)?).ok()
}

/// What a signed request would change, once its signature holds.
pub(crate) fn change_of(
    control: &Control,
    by: &Name,
    operation: Operation,
    statement: &Statement,
) -> Option<Change> {
    Change::of(operation, request_of(control, by, operation, statement)?).ok().flatten()
}

/// The payload of a signed request, once its signature holds.
pub(crate) fn request_of<'a>(
    control: &Control,
    by: &Name,
    operation: Operation,
    statement: &'a Statement,
) -> Option<&'a [u8]> {
    let key = control.roster().member(by)?.statement_key()?;
    let signed = Signed::parse(statement.0.as_bytes()).ok()?;
    signed.open(Kind::Request(operation), control.genesis().as_bytes(), &key).ok()
}
