//! A log that people fill, leaf by leaf, through the state of dual control.
//!
//! It makes leaves as the keeper would and keeps them for a replay; it has no tree and no store.

use super::{BEGIN_MS, DAY_MS, Person, Site, idem};
use keysvc_protocol::{
    bytes::{Blob, Boot, Digest, PreviousUpdate, ProposalId},
    cbor,
    control::{At, Control, Draft, Moment, bytes_of},
    cose::{Kind, Signed},
    leaf::{
        ActByQuorumLeaf, ChangedLeaf, HeartbeatLeaf, LeafKind, ProposalClosedLeaf, ProposalMadeLeaf,
        ProposalVotedLeaf, TookEffectLeaf, ValueUpdatedLeaf,
    },
    proposal::{APPROVAL_LEN_MAX, Evidence, Proposal, ProposalEnd, Proposed},
    quorum::Verdict,
    refusal::Refusal,
    request::{CancelProposal, Operation, UpdateValue},
    schema::Schema,
    value::{FLAG_NO_CARD_SESSION, ValueUpdate},
};
use serde::Serialize;
use std::sync::Arc;

/// A leaf in such a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where it stands.
    pub at: At,
    /// Its kind.
    pub kind: LeafKind,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// A log that is filled through [`Control`], as the keeper's ledger does.
#[derive(Debug, Clone)]
pub struct Log {
    /// The site.
    pub site: Arc<Site>,
    /// The state.
    pub control: Control,
    /// The leaves after the founding.
    pub leaves: Vec<Kept>,
    /// Now, by the wall clock.
    pub now_ms: u64,
    /// Now, by the boot's clock.
    pub up_ms: u64,
    /// The boot.
    pub boot: u8,
    ids: u16,
}

impl Log {
    /// A log of a founding alone.
    pub fn new(site: &Arc<Site>) -> Self {
        let control = site.control();
        Self { site: site.clone(), control, leaves: Vec::new(), now_ms: BEGIN_MS, up_ms: 0, boot: 1, ids: 0 }
    }

    /// The moment.
    pub fn moment(&self) -> Moment {
        Moment { wall_ms: self.now_ms, boot: Boot::new([self.boot; 16]), up_ms: self.up_ms }
    }

    /// Lets time pass, by both clocks.
    pub fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.up_ms += ms;
    }

    /// Writes a leaf if the state takes it; a leaf that is refused must have changed nothing.
    pub fn put(&mut self, kind: LeafKind, payload: &impl Serialize) -> Result<u64, Refusal> {
        self.put_bytes(kind, cbor::encode(payload))
    }

    /// The same with the payload's bytes.
    pub fn put_bytes(&mut self, kind: LeafKind, payload: Vec<u8>) -> Result<u64, Refusal> {
        let last_ms = self.leaves.last().map_or(BEGIN_MS, |leaf| leaf.at.time_ms);
        let index = u64::try_from(self.leaves.len()).unwrap() + 1;
        let at = At { index, time_ms: self.now_ms.max(last_ms) };
        let before = self.control.clone();
        if let Err(refusal) = self.control.apply(at, kind, &payload) {
            assert_eq!(self.control, before, "a leaf that was refused ({refusal}) changed the state");
            return Err(refusal);
        }
        self.leaves.push(Kept { at, kind, payload });
        Ok(index)
    }

    /// The state as a replay of the whole log makes it.
    pub fn replayed(&self) -> Control {
        let mut control = self.site.control();
        for leaf in &self.leaves {
            control.apply(leaf.at, leaf.kind, &leaf.payload).unwrap();
        }
        control
    }

    /// The person of this name.
    pub fn person(&self, name: &str) -> Person {
        self.site.person(name).clone()
    }

    /// A change of one caller alone.
    pub fn alone(
        &mut self,
        by: &str,
        operation: Operation,
        payload: &impl Serialize,
    ) -> Result<u64, Refusal> {
        let leaf = self.changed(by, operation, payload);
        self.put(kind_of(operation), &leaf)
    }

    /// The leaf of a change.
    pub fn changed(&self, by: &str, operation: Operation, payload: &impl Serialize) -> ChangedLeaf {
        let person = self.site.person(by);
        let statement = self.site.statement(person, operation, payload);
        ChangedLeaf { schema: Schema, principal: person.name.clone(), operation, statement }
    }

    /// A draft with a fresh identifier.
    pub fn draft(&mut self, by: &str, operation: Operation, payload: &impl Serialize) -> Draft {
        let person = self.site.person(by);
        let statement = self.site.statement(person, operation, payload);
        let request = Proposed { operation, requester: person.name.clone(), statement };
        self.ids += 1;
        let [high, low] = self.ids.to_be_bytes();
        let mut id = [low; 16];
        id[0] = high;
        Draft { id: ProposalId::new(id), request, need: None, life_ms: 3 * DAY_MS }
    }

    /// Makes a proposal.
    pub fn propose(
        &mut self,
        by: &str,
        operation: Operation,
        payload: &impl Serialize,
    ) -> Result<ProposalId, Refusal> {
        let draft = self.draft(by, operation, payload);
        let proposal = self.control.draft(draft, self.now_ms)?;
        self.put_proposal(&proposal)
    }

    /// Writes a proposal as it is.
    pub fn put_proposal(&mut self, proposal: &Proposal) -> Result<ProposalId, Refusal> {
        let leaf = ProposalMadeLeaf { schema: Schema, proposal: bytes_of(proposal)? };
        self.put(LeafKind::ProposalMade, &leaf).map(|_| proposal.id)
    }

    /// The bytes of an open proposal.
    pub fn bytes(&self, id: &ProposalId) -> Vec<u8> {
        self.control.proposals().get(id).unwrap().bytes.as_bytes().to_vec()
    }

    /// An officer's vote.
    pub fn vote(&mut self, by: &str, id: &ProposalId, verdict: Verdict) -> Result<u64, Refusal> {
        let bytes = self.control.open_proposal(id)?.bytes.clone();
        let approval = self.site.approval(self.site.person(by), bytes.as_bytes(), verdict);
        self.put_vote(id, verdict, approval)
    }

    /// A vote as it is.
    pub fn put_vote(
        &mut self,
        id: &ProposalId,
        verdict: Verdict,
        approval: Blob<APPROVAL_LEN_MAX>,
    ) -> Result<u64, Refusal> {
        let leaf = ProposalVotedLeaf { schema: Schema, proposal: *id, verdict, approval };
        self.put(LeafKind::ProposalVoted, &leaf)
    }

    /// Votes of several officers.
    pub fn approve(&mut self, by: &[&str], id: &ProposalId) {
        for officer in by {
            self.vote(officer, id, Verdict::Approve).unwrap();
        }
    }

    /// The act of an open proposal, with the approvals it has.
    pub fn act(&mut self, id: &ProposalId) -> Result<u64, Refusal> {
        let evidence = self.control.open_proposal(id)?.evidence();
        let (kind, leaf) = self.act_of(evidence);
        self.put(kind, &leaf)
    }

    /// The leaf of an act with this evidence.
    pub fn act_of(&self, evidence: Evidence) -> (LeafKind, ActByQuorumLeaf) {
        let request = Proposal::decode(evidence.proposal.as_bytes()).unwrap().request;
        let (kind, act) = if request.operation == Operation::ValueUpdate {
            (LeafKind::ValueUpdated, cbor::encode(&self.updated(&request, Some(evidence.digest()))))
        } else {
            let Proposed { operation, requester: principal, statement } = request;
            let leaf = ChangedLeaf { schema: Schema, principal, operation, statement };
            (kind_of(operation), cbor::encode(&leaf))
        };
        let act = Blob::try_from(act).unwrap();
        let leaf = ActByQuorumLeaf { schema: Schema, evidence, moment: self.moment(), kind, act };
        (kind.by_quorum(), leaf)
    }

    /// The leaf of the value update that a request asks for, as the first of its purse.
    pub fn updated(&self, request: &Proposed, evidence: Option<Digest>) -> ValueUpdatedLeaf {
        let signed = Signed::parse(request.statement.0.as_bytes()).unwrap();
        let key = self.site.person(request.requester.as_str()).key.public;
        let payload = signed.open(Kind::Request(request.operation), self.site.genesis().as_bytes(), &key);
        let asked: UpdateValue = cbor::decode(payload.unwrap(), 1024).unwrap();
        let update = ValueUpdate {
            schema: Schema,
            programme: asked.programme,
            card: asked.card,
            purse: asked.purse,
            operation: asked.operation,
            seq: asked.expected_seq,
            amount: asked.amount,
            currency: asked.currency,
            balance_before: asked.balance_before,
            balance_after: asked.balance_before + asked.amount,
            previous: PreviousUpdate::new([0; 16]),
            txn: asked.txn,
            terminal: request.requester.clone(),
            issued_at_ms: self.now_ms,
            expires_at_ms: self.now_ms + DAY_MS,
            flags: FLAG_NO_CARD_SESSION,
            evidence,
        };
        let update = Blob::try_from(cbor::encode(&update)).unwrap();
        ValueUpdatedLeaf { schema: Schema, update, statement: request.statement.clone() }
    }

    /// Proposes, has it approved, and acts.
    pub fn agree(
        &mut self,
        by: &str,
        operation: Operation,
        payload: &impl Serialize,
        approvers: &[&str],
    ) -> Result<u64, Refusal> {
        let id = self.propose(by, operation, payload)?;
        for officer in approvers {
            self.vote(officer, &id, Verdict::Approve)?;
        }
        self.act(&id)
    }

    /// Withdraws a proposal.
    pub fn cancel(&mut self, by: &str, id: &ProposalId) -> Result<u64, Refusal> {
        let payload = CancelProposal {
            schema: Schema,
            idem: idem(1),
            id: *id,
            reason: "not any more".parse().unwrap(),
        };
        let person = self.site.person(by);
        let statement = self.site.statement(person, Operation::ProposalCancel, &payload);
        self.end(id, ProposalEnd::Cancelled { by: person.name.clone(), statement })
    }

    /// Ends a proposal.
    pub fn end(&mut self, id: &ProposalId, end: ProposalEnd) -> Result<u64, Refusal> {
        self.put(LeafKind::ProposalClosed, &ProposalClosedLeaf { schema: Schema, proposal: *id, end })
    }

    /// The service runs.
    pub fn heartbeat(&mut self) -> Result<u64, Refusal> {
        let leaf = HeartbeatLeaf { schema: Schema, moment: self.moment(), control: self.control.digest() };
        self.put(LeafKind::Heartbeat, &leaf)
    }

    /// What waited is in force.
    pub fn took_effect(&mut self, act: u64) -> Result<u64, Refusal> {
        let leaf = TookEffectLeaf { schema: Schema, act, moment: self.moment() };
        self.put(LeafKind::TookEffect, &leaf)
    }
}

/// The kind of leaf of a change.
fn kind_of(operation: Operation) -> LeafKind {
    match operation {
        Operation::FreezeSet | Operation::FreezeLift => LeafKind::FreezeChanged,
        _ => LeafKind::SiteChanged,
    }
}
