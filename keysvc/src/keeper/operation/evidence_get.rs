//! `evidence.get`: the self-contained evidence of an act that took a quorum. That it was read is recorded first.

use super::{Means, Operation};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        ledger::{Change, Facts, LedgerFault, NotRecorded, Record, Recorded, Recording},
        site::Enrolled,
    },
};
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    control::{self, Control},
    cose::Signed,
    evidence::{EvidenceFile, ProvenLeaf},
    founding::PrincipalKind,
    leaf::{ActByQuorumLeaf, ChangedLeaf, EvidenceReadLeaf, LeafKind},
    list::List,
    name::Name,
    proposal::{Proposal, ProposalId},
    receipt::{LEAF_PAYLOAD_LEN_MAX, LeafEvidence, Receipt},
    refusal::{Conflict, Refusal, Thing},
    reply::{EvidenceReply, RESULT_LEN_MAX},
    request::ReadEvidence,
    schema::Schema,
};

impl Record for ReadEvidence {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        let (reader, proposal) = (permit.caller().id.clone(), permit.action().id);
        Ok(Change::ReadEvidence(EvidenceReadLeaf { schema: Schema, reader, proposal }))
    }
}

/// The act of a proposal, where this caller may see its evidence: officers and auditors any, others their own
/// organisation's.
fn act(id: &ProposalId, caller: &Enrolled, means: &Means<'_>) -> Result<Recording, NotDone> {
    let record = means.reader.proposal(id).map_err(Fault::from)?;
    let record = record.ok_or(Refusal::NotFound { what: Thing::Proposal })?;
    let act = record.act.ok_or(Refusal::StateConflict { reason: Conflict::ProposalOpen })?;
    let evidence = act.evidence_of_quorum().ok_or(Fault::Invariant("an act by quorum has no evidence"))?;
    let proposal = Proposal::decode(evidence.proposal.as_bytes());
    let proposal = proposal.map_err(|_| Fault::Invariant("a recorded proposal does not read"))?;
    let all = matches!(caller.kind, PrincipalKind::Officer | PrincipalKind::Auditor);
    let requester = means.site.by_name(&proposal.request.requester);
    let own = requester.is_some_and(|requester| requester.store.is_some() && requester.store == caller.store);
    // As if it did not exist, so that nobody learns of others' acts.
    if all || own { Ok(act) } else { Err(Refusal::NotFound { what: Thing::Proposal }.into()) }
}

impl Operation for ReadEvidence {
    type Done = Blob<RESULT_LEN_MAX>;
    type Reply = EvidenceReply;
    const SHOWS_LEAF: bool = false;

    fn ready(permit: &Permit<Self>, means: &Means<'_>, _: u64) -> Result<(), NotDone> {
        act(&permit.action().id, permit.caller(), means).map(drop)
    }

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<Self::Done, NotDone> {
        let permit = recorded.permit();
        let act = act(&permit.action().id, permit.caller(), means)?;
        let checkpoint =
            recorded.commit().note().await.ok_or(Fault::Invariant("a commit's head was not signed"))?;
        let size = checkpoint.checkpoint().head.size;
        let earlier = roster_before(means, &act)?;
        let mut leaves = Vec::new();
        for index in [0].into_iter().chain(earlier).chain([act.index]) {
            leaves.push(proven(means, index, size).map_err(Fault::from)?);
        }
        let full = |_| Refusal::StateConflict { reason: Conflict::Full };
        let file = EvidenceFile { schema: Schema, checkpoint, leaves: List::try_from(leaves).map_err(full)? };
        let full = |_| Refusal::StateConflict { reason: Conflict::Full };
        Ok(Blob::try_from(cbor::encode(&file)).map_err(full)?)
    }

    fn reply(evidence: Self::Done, receipt: Receipt) -> Result<EvidenceReply, Fault> {
        Ok(EvidenceReply { schema: Schema, evidence, receipt })
    }
}

/// The leaves before an act that say who could vote, how many it took, under which policies, and with which key the
/// requester signed. Those of
/// other machines prove nothing about it, and a site has many.
fn roster_before(means: &Means<'_>, act: &Recording) -> Result<Vec<u64>, Fault> {
    let evidence = act.evidence_of_quorum().ok_or(Fault::Invariant("an act by quorum has no evidence"))?;
    let proposal = Proposal::decode(evidence.proposal.as_bytes());
    let proposal = proposal.map_err(|_| Fault::Invariant("a recorded proposal does not read"))?;
    let control = means.site.control()?;
    let mut wanted = Vec::new();
    for index in means.reader.roster_leaves()?.into_iter().filter(|leaf| (1..act.index).contains(leaf)) {
        if counts(&leaf(means, index)?, &control, &proposal.request.requester) {
            wanted.push(index);
        }
    }
    Ok(wanted)
}

/// Whether a change of the roster is about an officer, a threshold, the policies, or this requester; what waited for its delay always
/// is. One that does not read is taken along, so that its proof fails loudly.
fn counts(leaf: &LeafEvidence, control: &Control, requester: &Name) -> bool {
    changed(leaf).is_none_or(|change| {
        let of_requester = match &change {
            control::Change::Enrol { principal } => principal.id == *requester,
            control::Change::Rotate { request } => request.id == *requester,
            control::Change::Disable { id } | control::Change::Enable { id } => id == requester,
            _ => false,
        };
        let of_all = matches!(change, control::Change::Threshold { .. } | control::Change::Policies { .. });
        of_requester || of_all || change.is_of_officer(control)
    })
}

/// The change that a leaf of the roster makes; nothing where it says that another one is in force.
fn changed(leaf: &LeafEvidence) -> Option<control::Change> {
    let entry = leaf.check().ok()?;
    let payload = leaf.payload.as_ref()?.as_bytes();
    let act: ChangedLeaf = match entry.kind {
        LeafKind::ActByQuorum => {
            let act: ActByQuorumLeaf = cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).ok()?;
            cbor::decode(act.act.as_bytes(), LEAF_PAYLOAD_LEN_MAX).ok()?
        }
        _ => cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).ok()?,
    };
    let signed = Signed::parse(act.statement.0.as_bytes()).ok()?;
    control::Change::of(act.operation, signed.recorded_payload()).ok()?
}

fn leaf(means: &Means<'_>, index: u64) -> Result<LeafEvidence, LedgerFault> {
    let leaf = means.reader.leaves(index..index.saturating_add(1), usize::MAX)?.into_iter().next();
    leaf.ok_or(LedgerFault::Broken { leaf: index })
}

fn proven(means: &Means<'_>, index: u64, size: u64) -> Result<ProvenLeaf, LedgerFault> {
    Ok(ProvenLeaf { leaf: leaf(means, index)?, inclusion: means.reader.inclusion(index, size)? })
}
