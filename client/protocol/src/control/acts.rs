//! Acts: what a caller alone, or a quorum, does to the state.

use super::{At, Authority, Change, Control, Member, Waiting, freezes::Freeze};
use crate::{
    founding::PrincipalKind,
    freeze::Scope,
    key::KeyEvent,
    leaf::{ActByQuorumLeaf, ChangedLeaf, LeafKind, ProposalMadeLeaf},
    name::Name,
    proposal::{Evidence, Proposal},
    quorum::{self, Quorum},
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    request::Operation,
    schema::Schema,
};
use alloc::sync::Arc;

impl Control {
    /// The change that a leaf's signed request asks for, once who asked may have it carried out.
    pub(super) fn judged(
        &self,
        leaf: &ChangedLeaf,
        kind: LeafKind,
        authority: Authority,
    ) -> Result<Change, Refusal> {
        let (member, payload) = self.signed(&leaf.principal, leaf.operation, &leaf.statement)?;
        let encoding = Refusal::Invalid { reason: Invalid::Encoding };
        let change = Change::of(leaf.operation, payload)?.ok_or_else(|| encoding.clone())?;
        let freezes = matches!(change, Change::Freeze { .. } | Change::Lift { .. });
        if freezes != (kind == LeafKind::FreezeChanged) {
            return Err(encoding);
        }
        let alone =
            quorum::one_is_enough(leaf.operation) && self.least_need(leaf.operation, Some(&change)).is_none();
        if authority == Authority::Alone && !alone {
            return Err(Refusal::ApprovalInvalid { reason: Uncounted::TooFew });
        }
        self.may(&change, member)?;
        Ok(change)
    }

    /// Whether this member may ask for this change at all, and whether it would do anything as things stand.
    pub(super) fn may(&self, change: &Change, by: &Member) -> Result<(), Refusal> {
        self.may_ask(change, by)?;
        match change {
            Change::Enrol { principal } => {
                self.roster.may_enrol(principal)?;
                self.is_not_waiting(change)
            }
            Change::Rotate { request } => {
                self.roster.rotated(request)?;
                self.is_not_waiting(change)
            }
            Change::Disable { id } => self.roster.may_disable(id),
            Change::Enable { id } => {
                let member = self.roster.member(id);
                member.map(drop).ok_or(Refusal::NotFound { what: Thing::Principal })?;
                self.is_not_waiting(change)
            }
            Change::Create { name, kind } => self.keys.may_order(name, *kind).map(drop),
            Change::Key { name, version, event } => {
                self.keys.after(name, *version, *event)?;
                self.is_not_waiting(change)
            }
            Change::Freeze { scope, .. } => {
                self.knows(scope)?;
                self.freezes.may_set(scope, by.is_officer())
            }
            Change::Lift { scope } => self.freezes.may_lift(scope),
            Change::Threshold { operation, need } => self.roster.may_set(*operation, need),
            Change::Import { request } => super::imports::may_order(request, &self.roster, &self.keys),
            Change::Component { request } => self.may_give(request, &by.enrolment.id),
            Change::Profile { profile } => self.profiles.may_put(profile, &self.keys, &self.founding),
            Change::Policies { request } => super::policies::may_propose(request),
            Change::Ceremony { .. } | Change::Clock { .. } => Ok(()),
        }
    }

    /// Who may ask, by kind: the least that holds whatever policies say.
    pub(super) fn may_ask(&self, change: &Change, by: &Member) -> Result<(), Refusal> {
        let own_store =
            |name: &Name| by.enrolment.kind == PrincipalKind::Office && by.enrolment.group == *name;
        let allowed = match change {
            Change::Rotate { request } => request.id == by.enrolment.id,
            Change::Component { .. } => {
                matches!(by.enrolment.kind, PrincipalKind::Officer | PrincipalKind::Operator)
            }
            Change::Freeze { scope: Scope::Terminal { name }, .. } if !by.is_officer() => {
                let terminal = self.roster.member(name);
                terminal.is_some_and(|terminal| own_store(&terminal.enrolment.group))
            }
            Change::Freeze { scope: Scope::Card { programme: Some(programme), .. }, .. }
                if !by.is_officer() =>
            {
                let programmes = &self.founding.programmes;
                let programme = programmes.iter().find(|one| one.name == *programme);
                programme.is_some_and(|programme| own_store(&programme.organisation))
            }
            _ => by.is_officer(),
        };
        if allowed { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    /// Whether what a scope names exists, so that a misspelt freeze is told instead of stopping nothing.
    fn knows(&self, scope: &Scope) -> Result<(), Refusal> {
        let member =
            |name: &Name, kind| self.roster.member(name).is_some_and(|member| member.enrolment.kind == kind);
        let founding = &self.founding;
        let (known, what) = match scope {
            // Jobs are not known here; a misspelt one is told by whoever keeps them.
            Scope::All | Scope::Card { programme: None, .. } | Scope::Job { .. } => (true, Thing::Freeze),
            Scope::Card { programme: Some(name), .. } | Scope::Programme { name } => {
                (founding.programmes.iter().any(|programme| programme.name == *name), Thing::Programme)
            }
            Scope::Terminal { name } => (member(name, PrincipalKind::Terminal), Thing::Principal),
            Scope::Station { name } => (member(name, PrincipalKind::Station), Thing::Principal),
            Scope::Store { name } => {
                let mut members = self.roster.members();
                let own = |member: &Member| !member.is_officer() && member.enrolment.group == *name;
                (members.any(|(_, member)| own(member)), Thing::Principal)
            }
            Scope::Profile { name } => (self.profiles.newest(name).is_some(), Thing::Profile),
            Scope::Key { name } => (self.keys.iter().any(|(key, _, _)| key == name), Thing::Key),
        };
        if known { Ok(()) } else { Err(Refusal::NotFound { what }) }
    }

    /// One change of a thing at a time: a second one would not find what it was made on.
    fn is_not_waiting(&self, change: &Change) -> Result<(), Refusal> {
        let same = |other: &Change| match (change, other) {
            (Change::Enrol { principal: one }, Change::Enrol { principal: other }) => one.id == other.id,
            (Change::Rotate { request: one }, Change::Rotate { request: other }) => one.id == other.id,
            (Change::Enable { id: one }, Change::Enable { id: other }) => one == other,
            (Change::Key { name, version, .. }, Change::Key { name: other, version: other_version, .. }) => {
                name == other && version == other_version
            }
            _ => false,
        };
        let stopping = matches!(change, Change::Key { event: KeyEvent::Suspend | KeyEvent::Compromise, .. });
        if !stopping && self.waiting.values().any(|waiting| same(&waiting.change)) {
            return Err(Refusal::StateConflict { reason: Conflict::Waiting });
        }
        Ok(())
    }

    /// Carries out a change that was judged.
    pub(super) fn carry_out(&mut self, at: At, change: Change, by: &Name) -> Result<(), Refusal> {
        self.in_force(at, change, by)
    }

    /// Puts a change in force. Nothing is changed when it is refused.
    pub(super) fn in_force(&mut self, at: At, change: Change, by: &Name) -> Result<(), Refusal> {
        match change {
            Change::Enrol { principal } => Arc::make_mut(&mut self.roster).enrol(principal, at.index),
            Change::Rotate { request } => Arc::make_mut(&mut self.roster).rotate(&request, at.index),
            Change::Disable { id } => {
                self.roster.may_disable(&id)?;
                Arc::make_mut(&mut self.roster).set_enabled(&id, false, at.index)
            }
            Change::Enable { id } => Arc::make_mut(&mut self.roster).set_enabled(&id, true, at.index),
            Change::Create { name, kind } => self.keys.order_key(at.index, (name, kind), None),
            Change::Key { name, version, event: KeyEvent::Destroy } => {
                self.keys.destroy(&name, version, at.index)
            }
            Change::Key { name, version, event } => self.keys.step(&name, version, event),
            Change::Freeze { scope, reason } => {
                let by_officer = self.roster.member(by).is_some_and(Member::is_officer);
                self.freezes.may_set(&scope, by_officer)?;
                let freeze = Freeze { by: by.clone(), reason, since_ms: at.time_ms, leaf: at.index };
                self.freezes.set(scope, freeze);
                Ok(())
            }
            Change::Lift { scope } => {
                self.freezes.may_lift(&scope)?;
                self.freezes.lift(&scope);
                Ok(())
            }
            Change::Threshold { operation, need } => {
                self.roster.may_set(operation, &need)?;
                Arc::make_mut(&mut self.roster).set_threshold(operation, need);
                Ok(())
            }
            Change::Component { request } => self.give(at, &request),
            Change::Profile { profile } => {
                self.profiles.may_put(&profile, &self.keys, &self.founding)?;
                Arc::make_mut(&mut self.profiles).put(profile, at.index);
                Ok(())
            }
            Change::Policies { request } => {
                self.policies = super::Policies::proposed(&request, at.index)?;
                Ok(())
            }
            // An import is ordered by its act alone, which names the proposal.
            Change::Import { .. } => Err(Refusal::Invalid { reason: Invalid::Encoding }),
            // What the clock's confirmation confirms is the moment of its act; a transcript is only kept.
            Change::Ceremony { .. } | Change::Clock { .. } => Ok(()),
        }
    }

    /// Takes an act that took a quorum: everything about its proposal is judged afresh.
    pub(super) fn act(&mut self, at: At, kind: LeafKind, leaf: &ActByQuorumLeaf) -> Result<(), Refusal> {
        let proposal = Proposal::decode(leaf.evidence.proposal.as_bytes())
            .map_err(|_| Refusal::Invalid { reason: Invalid::Encoding })?;
        self.is_at_hand(&proposal, &leaf.evidence)?;
        if !(proposal.created_ms..=proposal.expires_ms).contains(&at.time_ms) {
            return Err(Refusal::Expired);
        }
        self.stands(&proposal)?;
        let clock = self.clock.after(&leaf.moment);
        let confirms = proposal.request.operation == Operation::ClockConfirm;
        if clock.is_disputed() && !confirms && !self.evidence_alone {
            return Err(Refusal::StateConflict { reason: Conflict::ClockDisputed });
        }
        let quorum = self.met(&proposal, &leaf.evidence)?;
        if !proposal.preconditions.iter().all(|precondition| precondition.holds(self)) {
            return Err(Refusal::StateConflict { reason: Conflict::Precondition });
        }
        if leaf.kind.by_quorum() != kind {
            return Err(Refusal::Invalid { reason: Invalid::Encoding });
        }
        self.acted(at, leaf, (&proposal, &quorum))?;
        self.clock = if confirms { self.clock.confirmed(&leaf.moment) } else { clock };
        self.proposals.end(&proposal.id);
        Ok(())
    }

    /// The proposal must be the open one, byte for byte; or, where evidence stands alone, a good one.
    fn is_at_hand(&self, proposal: &Proposal, evidence: &Evidence) -> Result<(), Refusal> {
        if self.evidence_alone {
            let at = At { index: 0, time_ms: proposal.created_ms };
            let made = ProposalMadeLeaf { schema: Schema, proposal: evidence.proposal.clone() };
            return self.judged_proposal(at, &made).map(drop);
        }
        let open = self.open_proposal(&proposal.id)?;
        if open.bytes != evidence.proposal {
            return Err(Refusal::ApprovalInvalid { reason: Uncounted::OtherProposal });
        }
        Ok(())
    }

    /// Counts the people, and compares with the need the proposal states, which covers the least there is.
    pub(super) fn met(&self, proposal: &Proposal, evidence: &Evidence) -> Result<Quorum, Refusal> {
        let uncounted = |reason| Refusal::ApprovalInvalid { reason };
        let bytes = evidence.proposal.as_bytes();
        let quorum =
            quorum::count(bytes, evidence.approvals(), &self.genesis, &*self.roster).map_err(uncounted)?;
        if usize::from(quorum.persons()) != evidence.approvals.len() {
            return Err(Refusal::SamePerson);
        }
        if quorum.meets(&proposal.need) { Ok(quorum) } else { Err(uncounted(Uncounted::TooFew)) }
    }

    /// The act itself: it must be what the proposal's request asks.
    fn acted(
        &mut self,
        at: At,
        leaf: &ActByQuorumLeaf,
        (proposal, quorum): (&Proposal, &Quorum),
    ) -> Result<(), Refusal> {
        let request = &proposal.request;
        match leaf.kind {
            LeafKind::SiteChanged | LeafKind::FreezeChanged => {
                let act = super::asked::changed(leaf, request)?;
                let change = self.judged(&act, leaf.kind, Authority::Quorum)?;
                if let Change::Clock { time_ms } = &change
                    && time_ms.abs_diff(leaf.moment.wall_ms) > crate::proposal::LIFE_MAX_MS
                {
                    return Err(Refusal::Invalid { reason: Invalid::Time });
                }
                if change.waits(self) {
                    self.put_off(at, change, proposal, leaf);
                    return Ok(());
                }
                if let Change::Import { request } = change {
                    super::imports::not_custodians_alone(&request, quorum)?;
                    let import = super::Import::ordered(&request, proposal.id, at);
                    return self.keys.order_key(at.index, (request.name, request.kind), Some(import));
                }
                self.carry_out(at, change, &act.principal)
            }
            kind => self.is_the_request(kind, leaf, request),
        }
    }

    fn put_off(&mut self, at: At, change: Change, proposal: &Proposal, leaf: &ActByQuorumLeaf) {
        let delays = &self.founding.delays;
        let destroys = matches!(change, Change::Key { event: KeyEvent::Destroy, .. });
        let seconds = if destroys { delays.destroy_s } else { delays.roster_s };
        let delay_ms = seconds.saturating_mul(1000);
        let run_ms = self.clock.after(&leaf.moment).run_ms();
        let waiting = Waiting {
            proposal: proposal.id,
            requester: proposal.request.requester.clone(),
            change,
            due_ms: at.time_ms.saturating_add(delay_ms),
            due_run_ms: run_ms.saturating_add(delay_ms),
        };
        self.waiting.insert(at.index, waiting);
    }
}
