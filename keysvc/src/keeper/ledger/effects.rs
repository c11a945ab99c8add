//! What a leaf about people and keys does to the store's tables, once [`Control`] has taken it.
//!
//! One for all: the writer asks it before a leaf is written, a start and a verification when they replay the log. What
//! a leaf may do is decided in [`Control`] alone; no row is written here without it.

use super::{fault::LedgerFault, sqlite::Rows};
use keysvc_protocol::{
    cbor,
    control::{At, Change, Control},
    key::KeyState,
    leaf::{
        ActByQuorumLeaf, ChangedLeaf, LeafKind, ProposalClosedLeaf, ProposalMadeLeaf, ProposalVotedLeaf,
        TookEffectLeaf,
    },
    name::Name,
    proposal::{Proposal, ProposalEnd, ProposalId, ProposalState},
    quorum::Verdict,
    receipt::LEAF_PAYLOAD_LEN_MAX,
    refusal::{Conflict, Invalid, Refusal},
    request::Operation,
};
use serde::{Serialize, de::DeserializeOwned};

/// One row's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// A leaf without which the state cannot be made again.
    Listed {
        /// The leaf.
        leaf: u64,
        /// Whether it changes by what people's agreement is judged: who is enrolled, a threshold, the policies.
        roster: bool,
    },
    /// A proposal was made.
    Made {
        /// The proposal.
        id: ProposalId,
        /// Its leaf.
        leaf: u64,
    },
    /// An officer voted.
    Voted {
        /// The proposal.
        id: ProposalId,
        /// The vote's leaf.
        leaf: u64,
        /// Who.
        officer: Name,
    },
    /// A proposal stands elsewhere.
    Stands {
        /// The proposal.
        id: ProposalId,
        /// Where.
        state: ProposalState,
        /// The act's leaf, once there is one.
        act: Option<u64>,
        /// The leaf that ended it without its act.
        closed: Option<u64>,
    },
    /// A key is in another state.
    Key {
        /// Its name.
        name: Name,
        /// Its version.
        version: u32,
        /// The state.
        state: KeyState,
        /// The leaf that put it there.
        leaf: u64,
    },
}

impl Effect {
    /// Writes it, apart from keys' records, which each reader of the log holds in its own way.
    pub(super) fn write(&self, rows: Rows<'_>) -> Result<(), LedgerFault> {
        match self {
            Self::Listed { leaf, roster } => rows.list_control(*leaf, *roster),
            Self::Made { id, leaf } => rows.put_proposal(id, *leaf),
            Self::Voted { id, leaf, officer } => rows.put_vote(*leaf, id, officer),
            Self::Stands { id, state, act, closed } => rows.move_proposal(id, state, *act, *closed),
            Self::Key { name, version, state, leaf } => rows.move_key(name, *version, *state, *leaf),
        }
    }
}

/// Has [`Control`] take a leaf, and says what it does to the tables.
///
/// # Errors
/// The [`Refusal`] of [`Control::apply`]; nothing is changed then.
pub(super) fn take(
    control: &mut Control,
    at: At,
    kind: LeafKind,
    payload: &[u8],
) -> Result<Vec<Effect>, Refusal> {
    match kind {
        LeafKind::ProposalMade => made(control, at, payload),
        LeafKind::ProposalVoted => voted(control, at, payload),
        LeafKind::ProposalClosed => closed(control, at, payload),
        LeafKind::SiteChanged | LeafKind::FreezeChanged => {
            let leaf: ChangedLeaf = read(payload)?;
            let mut effects = moving_keys(control, at, kind, payload)?;
            effects.push(Effect::Listed { leaf: at.index, roster: is_of_roster(leaf.operation) });
            Ok(effects)
        }
        LeafKind::ActByQuorum | LeafKind::SealedActByQuorum => acted(control, at, kind, payload),
        LeafKind::TookEffect => took_effect(control, at, payload),
        LeafKind::KeyDestroyed => {
            // A job's storage key goes from active to destroyed here; others are destroyed by their intent.
            let mut effects = moving_keys(control, at, kind, payload)?;
            effects.push(Effect::Listed { leaf: at.index, roster: false });
            Ok(effects)
        }
        kind if Control::concerns(kind) => {
            control.apply(at, kind, payload)?;
            Ok(vec![Effect::Listed { leaf: at.index, roster: false }])
        }
        _ => Ok(Vec::new()),
    }
}

fn made(control: &mut Control, at: At, payload: &[u8]) -> Result<Vec<Effect>, Refusal> {
    let leaf: ProposalMadeLeaf = read(payload)?;
    let id = proposal_of(leaf.proposal.as_bytes())?.id;
    control.apply(at, LeafKind::ProposalMade, payload)?;
    Ok(vec![Effect::Made { id, leaf: at.index }])
}

fn voted(control: &mut Control, at: At, payload: &[u8]) -> Result<Vec<Effect>, Refusal> {
    let leaf: ProposalVotedLeaf = read(payload)?;
    let id = leaf.proposal;
    let (officer, _) = control.judged_vote(at.time_ms, &id, leaf.verdict, leaf.approval.as_bytes())?;
    control.apply(at, LeafKind::ProposalVoted, payload)?;
    let mut effects = vec![Effect::Voted { id, leaf: at.index, officer: officer.clone() }];
    if leaf.verdict == Verdict::Reject {
        let state = ProposalState::Rejected { by: officer };
        effects.push(Effect::Stands { id, state, act: None, closed: Some(at.index) });
    }
    Ok(effects)
}

fn closed(control: &mut Control, at: At, payload: &[u8]) -> Result<Vec<Effect>, Refusal> {
    let leaf: ProposalClosedLeaf = read(payload)?;
    let id = leaf.proposal;
    let act = control.waiting_for(&id).map(|(act, _)| act);
    control.apply(at, LeafKind::ProposalClosed, payload)?;
    let state = match leaf.end {
        ProposalEnd::Cancelled { by, .. } => ProposalState::Cancelled { by },
        ProposalEnd::Expired => ProposalState::Expired,
        ProposalEnd::Failed { refusal } => ProposalState::Failed { refusal },
    };
    let mut effects = vec![Effect::Stands { id, state, act, closed: Some(at.index) }];
    if act.is_some() {
        // It ends what waits, which is part of what stands.
        effects.push(Effect::Listed { leaf: at.index, roster: false });
    }
    Ok(effects)
}

fn acted(control: &mut Control, at: At, kind: LeafKind, payload: &[u8]) -> Result<Vec<Effect>, Refusal> {
    let leaf: ActByQuorumLeaf = read(payload)?;
    let proposal = proposal_of(leaf.evidence.proposal.as_bytes())?;
    let (id, made) = (proposal.id, control.open_proposal(&proposal.id)?.leaf);
    let mut effects = moving_keys(control, at, kind, payload)?;
    let state = match control.waiting_for(&id) {
        Some((_, waiting)) => ProposalState::Waiting { leaf: at.index, due_ms: waiting.due_ms },
        None => ProposalState::Executed { leaf: at.index },
    };
    let done = matches!(state, ProposalState::Executed { .. });
    let roster = done && leaf.kind == LeafKind::SiteChanged && is_of_roster(proposal.request.operation);
    effects.push(Effect::Stands { id, state, act: Some(at.index), closed: None });
    // Value and cards move nothing of this state, so that a start does not grow with them. What an act says of the clock
    // is never a dispute, for then it is refused; and boot time between two heartbeats adds up without it.
    if matches!(leaf.kind, LeafKind::SiteChanged | LeafKind::FreezeChanged) {
        effects.push(Effect::Listed { leaf: at.index, roster });
        // The act is judged by its proposal, so this leaf is wanted as well.
        effects.push(Effect::Listed { leaf: made, roster: false });
    }
    Ok(effects)
}

fn took_effect(control: &mut Control, at: At, payload: &[u8]) -> Result<Vec<Effect>, Refusal> {
    let leaf: TookEffectLeaf = read(payload)?;
    let waiting = control.waiting().find(|(act, _)| *act == leaf.act).map(|(_, waiting)| waiting);
    let waiting = waiting.ok_or(Refusal::StateConflict { reason: Conflict::Precondition })?;
    let (id, roster) = (waiting.proposal, !matches!(waiting.change, Change::Key { .. }));
    let mut effects = moving_keys(control, at, LeafKind::TookEffect, payload)?;
    let state = ProposalState::Executed { leaf: leaf.act };
    effects.push(Effect::Stands { id, state, act: Some(leaf.act), closed: None });
    effects.push(Effect::Listed { leaf: at.index, roster });
    effects.push(Effect::Listed { leaf: leaf.act, roster });
    Ok(effects)
}

/// Applies a leaf and tells the keys it put into another state.
fn moving_keys(
    control: &mut Control,
    at: At,
    kind: LeafKind,
    payload: &[u8],
) -> Result<Vec<Effect>, Refusal> {
    let states = |control: &Control| -> Vec<(Name, u32, KeyState)> {
        control.keys().iter().map(|(name, version, key)| (name.clone(), version, key.state)).collect()
    };
    let before = states(control);
    control.apply(at, kind, payload)?;
    let moved = states(control).into_iter().filter(|key| !before.contains(key));
    Ok(moved.map(|(name, version, state)| Effect::Key { name, version, state, leaf: at.index }).collect())
}

/// Whether an operation changes who is enrolled, how many it takes, or the policies.
const fn is_of_roster(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::PrincipalEnrol
            | Operation::PrincipalRotate
            | Operation::PrincipalDisable
            | Operation::PrincipalEnable
            | Operation::QuorumSet
            | Operation::PolicyPropose
    )
}

fn proposal_of(bytes: &[u8]) -> Result<Proposal, Refusal> {
    Proposal::decode(bytes).map_err(|_| Refusal::Invalid { reason: Invalid::Encoding })
}

fn read<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, Refusal> {
    cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).map_err(|_| Refusal::Invalid { reason: Invalid::Encoding })
}
