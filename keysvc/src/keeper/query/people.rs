//! Reads about proposals, principals, freezes and what hangs on a key.
//!
//! Officers and auditors see all of it; a requester sees its own proposals, an office the freezes it set.

use super::{Query, View};
use crate::{
    error::{Fault, NotDone},
    keeper::{gate::Permit, ledger::ProposalOnRecord, site::Enrolled},
};
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    control::Member,
    founding::PrincipalKind,
    leaf::ProposalMadeLeaf,
    list::List,
    proposal::Proposal,
    quorum::Voter,
    refusal::{Refusal, Thing},
    reply::{
        FreezeListReply, FreezeView, KeyImpactReply, ListedProposal, OfficerView, PROPOSALS_MAX,
        PrincipalListReply, PrincipalView, ProposalListReply, ProposalReply,
    },
    request::{ListFreezes, ListPrincipals, ListProposals, ReadImpact, ReadProposal},
    schema::Schema,
};
use std::collections::BTreeSet;

/// Entries of one reply of `principal.list` and `freeze.list`.
const PAGE: usize = 256;
/// Proposals looked at for one reply of `proposal.list` to a requester, who sees its own among them.
const LOOKED_AT: usize = 1_024;

/// Whether this caller sees what others asked.
fn sees_all(caller: &Enrolled) -> bool {
    matches!(caller.kind, PrincipalKind::Officer | PrincipalKind::Auditor)
}

fn too_long<E>(_: E) -> Fault {
    Fault::Invariant("a list is longer than its reply")
}

fn proposal_of(record: &ProposalOnRecord) -> Result<(ProposalMadeLeaf, Proposal), Fault> {
    let damaged = || Fault::Invariant("a recorded proposal does not read");
    let leaf: ProposalMadeLeaf =
        cbor::decode(&record.made.payload, record.made.payload.len()).map_err(|_| damaged())?;
    let proposal = Proposal::decode(leaf.proposal.as_bytes()).map_err(|_| damaged())?;
    Ok((leaf, proposal))
}

impl Query for ListProposals {
    type Reply = ProposalListReply;

    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<ProposalListReply, NotDone> {
        let (asked, caller) = (permit.action(), permit.caller());
        let most = if sees_all(caller) { PROPOSALS_MAX } else { LOOKED_AT };
        let records = view.reader.proposals(asked.before, asked.ended, most).map_err(Fault::from)?;
        let mut proposals = Vec::new();
        for record in &records {
            let (_, proposal) = proposal_of(record)?;
            if (sees_all(caller) || proposal.request.requester == caller.id)
                && proposals.len() < PROPOSALS_MAX
            {
                proposals.push(listed(record, proposal));
            }
        }
        Ok(ProposalListReply { schema: Schema, proposals: List::try_from(proposals).map_err(too_long)? })
    }
}

fn listed(record: &ProposalOnRecord, proposal: Proposal) -> ListedProposal {
    ListedProposal {
        id: proposal.id,
        operation: proposal.request.operation,
        requester: proposal.request.requester,
        need: proposal.need,
        persons: u8::try_from(record.approvals.len()).unwrap_or(u8::MAX),
        state: record.state.clone(),
        created_ms: proposal.created_ms,
        expires_ms: proposal.expires_ms,
        leaf: record.made.index,
    }
}

impl Query for ReadProposal {
    type Reply = ProposalReply;

    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<ProposalReply, NotDone> {
        let not_found = || Refusal::NotFound { what: Thing::Proposal };
        let record = view.reader.proposal(&permit.action().id).map_err(Fault::from)?.ok_or_else(not_found)?;
        let (leaf, proposal) = proposal_of(&record)?;
        if !sees_all(permit.caller()) && proposal.request.requester != permit.caller().id {
            // As if it did not exist: what others asked is not told.
            return Err(not_found().into());
        }
        let officers = view.control.roster().voters().iter().map(officer);
        Ok(ProposalReply {
            schema: Schema,
            proposal: leaf.proposal,
            state: record.state,
            leaf: record.made.index,
            approvals: List::try_from(record.approvals).map_err(too_long)?,
            officers: List::try_from(officers.collect::<Result<Vec<_>, Fault>>()?).map_err(too_long)?,
        })
    }
}

fn officer(voter: &Voter) -> Result<OfficerView, Fault> {
    Ok(OfficerView {
        name: voter.name.clone(),
        department: voter.department.clone(),
        approval_key: Blob::try_from(voter.key.spki().to_vec()).map_err(too_long)?,
        enabled: voter.enabled,
    })
}

impl Query for ListPrincipals {
    type Reply = PrincipalListReply;

    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<PrincipalListReply, NotDone> {
        let (after, roster) = (permit.action().after.as_ref(), view.control.roster());
        let members = roster.members().filter(|(name, _)| after.is_none_or(|after| *name > after));
        let principals: Vec<_> = members.take(PAGE).map(|(_, member)| principal(member)).collect();
        Ok(PrincipalListReply {
            schema: Schema,
            principals: List::try_from(principals).map_err(too_long)?,
            roster: roster.digest(),
            thresholds: List::try_from(roster.thresholds().to_vec()).map_err(too_long)?,
        })
    }
}

fn principal(member: &Member) -> PrincipalView {
    PrincipalView { enrolment: member.enrolment.clone(), enabled: member.enabled, leaf: member.leaf }
}

impl Query for ListFreezes {
    type Reply = FreezeListReply;

    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<FreezeListReply, NotDone> {
        let (after, caller) = (permit.action().after, permit.caller());
        let office = caller.kind == PrincipalKind::Office;
        let mut freezes: Vec<_> = view
            .control
            .freezes()
            .iter()
            .filter(|(_, freeze)| after.is_none_or(|after| freeze.leaf > after))
            .filter(|(_, freeze)| !office || freeze.by == caller.id)
            .map(|(scope, freeze)| FreezeView {
                scope: scope.clone(),
                by: freeze.by.clone(),
                reason: freeze.reason.clone(),
                since_ms: freeze.since_ms,
                leaf: freeze.leaf,
            })
            .collect();
        freezes.sort_by_key(|freeze| freeze.leaf);
        freezes.truncate(PAGE);
        Ok(FreezeListReply { schema: Schema, freezes: List::try_from(freezes).map_err(too_long)? })
    }
}

impl Query for ReadImpact {
    type Reply = KeyImpactReply;

    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<KeyImpactReply, NotDone> {
        let asked = permit.action();
        let keys = view.reader.keys().map_err(Fault::from)?;
        let key = keys.into_iter().find(|key| key.name == asked.name && key.version == asked.version);
        let key = key.ok_or(Refusal::NotFound { what: Thing::Key })?;
        let founding = view.site.founding();
        let in_use = view.control.profiles().iter().map(|in_use| &in_use.profile);
        let slotted = in_use.filter(|profile| {
            let under = |slot: &keysvc_protocol::founding::Slot| {
                slot.key == asked.name && u32::from(slot.key_version) == asked.version
            };
            profile.slots.iter().any(under)
        });
        let profiles: BTreeSet<_> = slotted.map(|profile| profile.name.clone()).collect();
        let signing = || founding.programmes.iter().filter(|programme| programme.value_key == asked.name);
        let stores: BTreeSet<_> = signing().map(|programme| &programme.organisation).collect();
        let members = view.control.roster().members().map(|(_, member)| &member.enrolment);
        let terminals =
            members.filter(|one| one.kind == PrincipalKind::Terminal && stores.contains(&one.group)).count();
        Ok(KeyImpactReply {
            schema: Schema,
            cards: view.reader.cards_under(&asked.name, asked.version).map_err(Fault::from)?,
            key,
            profiles: List::try_from(profiles.into_iter().collect::<Vec<_>>()).map_err(too_long)?,
            programmes: List::try_from(signing().map(|one| one.name.clone()).collect::<Vec<_>>())
                .map_err(too_long)?,
            terminals: u64::try_from(terminals).unwrap_or(u64::MAX),
        })
    }
}
