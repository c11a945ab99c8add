//! What takes people, followed leaf by leaf: every signature verified, every quorum counted, by the state machine that the
//! service itself asks before it writes.
//!
//! A payload that is withheld ends what can be followed, in part or altogether; from there on the findings are those that
//! hold nevertheless, and the rest is said to be unknown.

use super::{
    act::{Acts, Told},
    decode,
    enrolments::{Enrolled, Enrolments},
};
use crate::{
    finding::{PeopleProblem, Problem},
    founding_check::Founded,
    walk::Leaf,
};
use keysvc_protocol::{
    bytes::Blob,
    control::{At, Control, KeyStanding, Profiles},
    founding::PrincipalKind,
    freeze::Touched,
    key::{CheckValue, KeyRecord},
    leaf::{
        ActByQuorumLeaf, ChangedLeaf, KeyIntentLeaf, KeyOutcomeLeaf, LeafEntry, LeafKind, ProposalClosedLeaf,
        ProposalVotedLeaf, RetentionClass, TookEffectLeaf,
    },
    list::{List, WrongCount},
    name::Name,
    proposal::ProposalEnd,
    quorum::Verdict,
    receipt::LEAF_PAYLOAD_LEN_MAX,
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};

/// Most leaves about what takes people that are kept for a later run: 262,144 of the usual 2 KiB are 512 MiB.
pub(crate) const KEPT_MAX: usize = 1 << 18;

/// A leaf as a later run needs it; without its payload where that is withheld.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedLeaf {
    index: u64,
    time_ms: u64,
    kind: LeafKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Blob<LEAF_PAYLOAD_LEN_MAX>>,
}

/// What a later run needs: the leaves, which it follows again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SavedPeople(List<SavedLeaf, KEPT_MAX>);

/// How far the state is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All of it.
    Whole,
    /// From this leaf on not the proposals, votes and freezes; acts are judged by their own evidence.
    Part(u64),
    /// From this leaf on nothing.
    Lost(u64),
}

/// How much of what takes people there was. Counts stop at the largest number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Acts that took people and hold.
    pub(crate) acts: u64,
    /// Their approvals, each verified.
    pub(crate) approvals: u64,
    /// What one caller did alone, as the rules allow.
    pub(crate) alone: u64,
    /// Proposals made.
    pub(crate) proposals: u64,
    /// Of them, rejected.
    pub(crate) rejected: u64,
    /// Of them, withdrawn, also while they waited for their delay.
    pub(crate) cancelled: u64,
    /// Of them, expired.
    pub(crate) expired: u64,
    /// Of them, met and then refused.
    pub(crate) failed: u64,
    /// Leaves that could not be followed.
    pub(crate) unfollowed: u64,
}

/// The state at a leaf.
#[derive(Debug)]
pub(crate) struct People {
    control: Control,
    enrolments: Enrolments,
    sight: Sight,
    totals: Totals,
    kept: Option<Vec<SavedLeaf>>,
    acts: Option<Acts>,
}

impl People {
    /// The state that the founding makes.
    pub(crate) fn found(founded: &Founded) -> Self {
        let control = founded.control.clone();
        let enrolments = Enrolments::found(&founded.founding, control.roster());
        Self { control, enrolments, sight: Sight::Whole, totals: Totals::default(), kept: None, acts: None }
    }

    /// Keeps the leaves for a later run.
    pub(super) fn keeping(mut self) -> Self {
        self.kept.get_or_insert_default();
        self
    }

    /// Puts the acts into words.
    pub(super) fn telling(mut self) -> Self {
        self.acts.get_or_insert_default();
        self
    }

    /// What a later run needs.
    pub(super) fn save(&self) -> Result<SavedPeople, WrongCount> {
        Ok(SavedPeople(self.kept.clone().unwrap_or_default().try_into()?))
    }

    /// The state as an earlier run left it, which found nothing wrong.
    pub(super) fn restore(founded: &Founded, saved: SavedPeople) -> Self {
        let mut people = Self::found(founded).keeping();
        for leaf in saved.0.into_vec() {
            let payload = leaf.payload.as_ref().map(Blob::as_bytes);
            // Its findings were told when it was read first.
            let _: Result<bool, Problem> = people.follow(leaf.index, leaf.time_ms, leaf.kind, payload);
            people.kept.get_or_insert_default().push(leaf);
        }
        people
    }

    /// The state.
    pub(crate) const fn control(&self) -> &Control {
        &self.control
    }

    /// How far it is known.
    pub(crate) const fn sight(&self) -> Sight {
        self.sight
    }

    /// The counts.
    pub(crate) const fn totals(&self) -> Totals {
        self.totals
    }

    /// The acts in words, given away.
    pub(crate) fn take_acts(&mut self) -> Option<Acts> {
        self.acts.take()
    }

    /// Whether a name is enrolled.
    pub(super) fn knows(&self, name: &Name) -> bool {
        self.enrolments.get(name).is_some()
    }

    /// Who is enrolled under a name, enabled or not.
    pub(super) fn enrolled(&self, name: &Name) -> Option<&Enrolled> {
        self.enrolments.get(name)
    }

    /// Who is enrolled under a name as `kind`, enabled or not.
    pub(super) fn principal(&self, name: &Name, kind: PrincipalKind) -> Option<&Enrolled> {
        self.enrolments.get(name).filter(|enrolled| enrolled.kind == kind)
    }

    /// Whether nothing is known any more.
    pub(super) const fn is_lost(&self) -> bool {
        matches!(self.sight, Sight::Lost(_))
    }

    /// A version of a key, where the state is known.
    pub(super) fn key(&self, name: &Name, version: u32) -> Option<&KeyStanding> {
        self.control.keys().get(name, version)
    }

    /// The card profiles in use.
    pub(super) fn profiles(&self) -> &Profiles {
        self.control.profiles()
    }

    /// Whether a key came from where people ordered it to come from, as the token's `CKA_LOCAL` tells: an imported one from
    /// its components, any other one out of the token. The service records it of every key it makes.
    pub(super) fn came_as_ordered(&self, key: &KeyRecord) -> Result<(), PeopleProblem> {
        let mut orders = self.control.keys().orders();
        let order = orders.find(|(_, order)| order.name == key.name && order.version == key.version);
        let Some((leaf, order)) = order else { return Ok(()) };
        let local = key.attributes.iter().find(|attribute| attribute.name == "CKA_LOCAL");
        match (order.import.is_some(), local.map(|local| local.value.as_str())) {
            (true, Some("true")) => Err(PeopleProblem::ImportedLocal { leaf }),
            (false, Some("false")) => Err(PeopleProblem::MadeElsewhere { leaf }),
            (true, Some("false")) | (false, Some("true")) => Ok(()),
            _ => Err(PeopleProblem::NoOrigin { leaf }),
        }
    }

    /// What is wrong with a leaf that makes a key from components, more exactly than the state's refusal says.
    fn import_problem(&self, kind: LeafKind, payload: &[u8]) -> Option<PeopleProblem> {
        let (name, version, made) = match kind {
            LeafKind::KeyIntent => {
                let KeyIntentLeaf { name, version, .. } = decode(payload).ok()?;
                (name, version, None)
            }
            LeafKind::KeyOutcome => {
                let KeyOutcomeLeaf { key, .. } = decode(payload).ok()?;
                (key.name, key.version, Some(key.check))
            }
            _ => return None,
        };
        let mut orders = self.control.keys().orders().filter(|(_, order)| !order.made);
        let (leaf, order) = orders.find(|(_, order)| order.name == name && order.version == version)?;
        let import = order.import.as_ref()?;
        match made {
            None if !import.is_complete() => {
                let numbers = (1_u8..).zip(import.components.iter()).map(|(number, _)| number);
                let missing = numbers.filter(|number| !import.given.contains_key(number)).collect();
                Some(PeopleProblem::ComponentsMissing { leaf, missing })
            }
            Some(found) if found != (CheckValue::Cmac { value: import.check }) => {
                Some(PeopleProblem::ImportedOther { leaf, ordered: import.check, found })
            }
            _ => None,
        }
    }

    /// Whether a value key may sign.
    pub(super) fn may_sign(&self, key: &Name) -> Result<(), PeopleProblem> {
        let active = self.is_lost() || self.control.keys().newest_active(key).is_some();
        if active { Ok(()) } else { Err(PeopleProblem::NoActiveKey(key.clone())) }
    }

    /// Whether what is touched was stopped.
    pub(super) fn is_free(&self, touched: &Touched<'_>) -> Result<(), PeopleProblem> {
        let stopped = match self.sight {
            Sight::Whole => self.control.freezes().stops(touched),
            Sight::Part(_) | Sight::Lost(_) => None,
        };
        stopped.map_or(Ok(()), |scope| Err(PeopleProblem::Frozen(scope)))
    }

    /// Takes the next leaf, if it is one about what takes people.
    pub(crate) fn take(&mut self, leaf: &Leaf<'_>) -> Result<(), Problem> {
        let LeafEntry { index, time_ms, kind, .. } = *leaf.entry;
        if !Control::concerns(kind) {
            return Ok(());
        }
        if let Some(kept) = &mut self.kept {
            let payload = leaf.payload.and_then(|payload| Blob::try_from(payload.to_vec()).ok());
            kept.push(SavedLeaf { index, time_ms, kind, payload });
        }
        let told = if self.acts.is_some() { Told::of(&self.control, leaf) } else { None };
        let followed = self.follow(index, time_ms, kind, leaf.payload);
        if let (Some(acts), Some(told)) = (&mut self.acts, told) {
            let held = followed.as_ref().ok().copied();
            acts.add(told, index, held, &self.control);
        }
        followed.map(|_| ())
    }

    /// Follows a leaf, and says whether it could be.
    fn follow(
        &mut self,
        index: u64,
        time_ms: u64,
        kind: LeafKind,
        payload: Option<&[u8]>,
    ) -> Result<bool, Problem> {
        let Some(payload) = payload else {
            self.not_seen(index, kind);
            return Ok(false);
        };
        let result = if self.can_follow(kind, payload) {
            Some(self.control.apply(At { index, time_ms }, kind, payload))
        } else {
            None
        };
        match result {
            Some(Ok(())) => {
                if matches!(kind, LeafKind::SiteChanged | LeafKind::ActByQuorum | LeafKind::TookEffect) {
                    self.enrolments.follow(self.control.roster());
                }
                self.count(kind, payload);
                Ok(true)
            }
            Some(Err(why)) if !self.may_be_unknown(&why) => {
                if let Some(problem) = self.import_problem(kind, payload) {
                    return Err(problem.into());
                }
                let operation = decode::<ChangedLeaf>(payload).ok().map(|changed| changed.operation);
                let named = decode::<TookEffectLeaf>(payload).map_or(0, |took| took.act);
                Err(PeopleProblem::of(kind, operation, named, why).into())
            }
            Some(Err(_)) | None => {
                self.totals.unfollowed = self.totals.unfollowed.saturating_add(1);
                Ok(false)
            }
        }
    }

    /// Whether the state can take a leaf. Where a proposal or vote is withheld, all of them are left to the evidence in
    /// their acts, but for the end of what waits.
    fn can_follow(&self, kind: LeafKind, payload: &[u8]) -> bool {
        match (self.sight, kind) {
            (Sight::Lost(_), _) | (Sight::Part(_), LeafKind::ProposalMade | LeafKind::ProposalVoted) => false,
            (Sight::Part(_), LeafKind::ProposalClosed) => {
                let closed = decode::<ProposalClosedLeaf>(payload);
                closed.is_ok_and(|closed| self.control.waiting_for(&closed.proposal).is_some())
            }
            (Sight::Whole | Sight::Part(_), _) => true,
        }
    }

    /// Whether a refusal may come from what is withheld: what was proposed, voted or frozen is unknown then, who the
    /// officers are is not.
    const fn may_be_unknown(&self, why: &Refusal) -> bool {
        let unknown = matches!(why, Refusal::NotFound { .. } | Refusal::StateConflict { .. });
        matches!(self.sight, Sight::Part(_)) && unknown
    }

    fn not_seen(&mut self, index: u64, kind: LeafKind) {
        self.totals.unfollowed = self.totals.unfollowed.saturating_add(1);
        let permanent = matches!(kind.class(), RetentionClass::Permanent) && kind != LeafKind::Heartbeat;
        self.sight = match self.sight {
            Sight::Lost(from) => Sight::Lost(from),
            _ if permanent => Sight::Lost(index),
            Sight::Part(from) => Sight::Part(from),
            Sight::Whole => {
                self.control = self.control.clone().from_evidence_alone();
                Sight::Part(index)
            }
        };
    }

    fn count(&mut self, kind: LeafKind, payload: &[u8]) {
        let totals = &mut self.totals;
        let counter = match kind {
            LeafKind::ActByQuorum | LeafKind::SealedActByQuorum => {
                let act = decode::<ActByQuorumLeaf>(payload);
                let approvals =
                    act.map_or(0, |act| u64::try_from(act.evidence.approvals.len()).unwrap_or(u64::MAX));
                totals.approvals = totals.approvals.saturating_add(approvals);
                &mut totals.acts
            }
            LeafKind::SiteChanged | LeafKind::FreezeChanged => &mut totals.alone,
            LeafKind::ProposalMade => &mut totals.proposals,
            LeafKind::ProposalVoted => match decode::<ProposalVotedLeaf>(payload) {
                Ok(ProposalVotedLeaf { verdict: Verdict::Reject, .. }) => &mut totals.rejected,
                _ => return,
            },
            LeafKind::ProposalClosed => {
                match decode::<ProposalClosedLeaf>(payload).map(|closed| closed.end) {
                    Ok(ProposalEnd::Cancelled { .. }) => &mut totals.cancelled,
                    Ok(ProposalEnd::Expired) => &mut totals.expired,
                    Ok(ProposalEnd::Failed { .. }) => &mut totals.failed,
                    Err(_) => return,
                }
            }
            _ => return,
        };
        *counter = counter.saturating_add(1);
    }
}

#[cfg(test)]
mod governed;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod tests;
