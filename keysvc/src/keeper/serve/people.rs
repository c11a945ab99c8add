//! The way of what takes people: proposed, voted on, and, once enough have agreed, sent through the gate afresh.
//!
//! It knows no operation: the request in a proposal is carried out by the same code as one that comes directly. Who counts
//! is [`keysvc_protocol::quorum`]'s; the ledger decides in its transaction.

mod dispatch;

use super::{Ended, Keeper, now_ms};
use crate::{
    error::Fault,
    keeper::{
        gate::{NotAdmitted, Unapproved},
        ledger::{Change, LedgerFault, Outcome, Recording, Retry, Settled},
        operation::Operation,
        site::Enrolled,
    },
};
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    checkpoint::SignedCheckpoint,
    control::Open,
    cose::Signed,
    hash::sha256,
    leaf::{LeafKind, ProposalClosedLeaf, ProposalMadeLeaf},
    merkle::TreeHead,
    proposal::{Evidence, LIFE_MAX_MS, Proposal, ProposalEnd, ProposalId, ProposalState, Proposed},
    quorum::Verdict,
    receipt::Receipt,
    refusal::{Conflict, Refusal, Thing},
    reply::{PendingReply, ResultReply, VoteReply},
    request::{ApproveProposal, CancelProposal, Envelope, Operation as Op, ReadResult, RejectProposal},
    schema::Schema,
};
use std::sync::Arc;

/// Life of a proposal about value: 24 hours, for a customer does not wait longer.
const VALUE_LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// A request that people agreed to, by their evidence.
#[derive(Debug)]
enum Agreed {
    /// To be done now.
    Now(Evidence),
    /// Done, and to be answered again.
    OnRecord(Evidence),
}

impl Keeper {
    /// Makes a proposal of a request, or finds the one it was made into; once that is executed, the request is performed
    /// again.
    pub(super) async fn propose<A: Operation>(
        &self,
        unapproved: Unapproved,
        seen: TreeHead,
    ) -> Result<Vec<u8>, Ended> {
        proposed_action::<A>(&unapproved)?.holds(&self.means())?;
        let (recording, settled) = self.proposed(unapproved).await?;
        if recording.kind != LeafKind::ProposalMade {
            let evidence = recording.evidence_of_quorum();
            // Recorded when the policies asked for nobody: it is performed again only as the policies are now.
            let evidence = evidence.ok_or(Ended::Refused(Refusal::Forbidden))?;
            return self.perform_agreed::<A>(Agreed::OnRecord(evidence), seen).await;
        }
        let leaf: ProposalMadeLeaf = read(&recording.payload)?;
        let proposal = Proposal::decode(leaf.proposal.as_bytes());
        let id = proposal.map_err(|_| Fault::Invariant("a recorded proposal does not read"))?.id;
        if recording.retried {
            self.execute_if_ready(&id).await?;
        }
        let state = self.state_of(&id)?;
        if let ProposalState::Failed { refusal } = &state {
            // Its leaf was written when it failed.
            return Err(Ended::RefusedOnRecord(refusal.clone()));
        }
        let receipt = self.receipt_of(&recording, &settled, seen).await?;
        let reply = PendingReply { schema: Schema, proposal: leaf.proposal, state, receipt };
        Err(Ended::Pending(cbor::encode(&reply)))
    }

    /// The proposal of one item of a batch: the evidence it was executed with, or what its outcome says.
    pub(in super::super) async fn propose_item(
        &self,
        unapproved: Unapproved,
    ) -> Result<Result<Evidence, Refusal>, Ended> {
        let (recording, _) = match self.proposed(unapproved).await {
            Ok(proposed) => proposed,
            Err(Ended::RefusedOnRecord(refusal)) => return Ok(Err(refusal)),
            Err(ended) => return Err(ended),
        };
        if recording.kind != LeafKind::ProposalMade {
            // Without evidence: recorded when the policies asked for nobody, and signed again only as they are now.
            return Ok(recording.evidence_of_quorum().ok_or(Refusal::Forbidden));
        }
        let leaf: ProposalMadeLeaf = read(&recording.payload)?;
        let proposal = Proposal::decode(leaf.proposal.as_bytes());
        let proposal = proposal.map_err(|_| Fault::Invariant("a recorded proposal does not read"))?;
        Ok(Err(match self.state_of(&proposal.id)? {
            ProposalState::Failed { refusal } => refusal,
            ProposalState::Expired => Refusal::Expired,
            ProposalState::Rejected { .. } | ProposalState::Cancelled { .. } => {
                Refusal::StateConflict { reason: Conflict::ProposalEnded }
            }
            ProposalState::Open | ProposalState::Executed { .. } | ProposalState::Waiting { .. } => {
                Refusal::ApprovalRequired {
                    proposal: proposal.id,
                    persons: proposal.need.persons,
                    departments: proposal.need.departments,
                }
            }
        }))
    }

    async fn proposed(&self, unapproved: Unapproved) -> Result<(Recording, Settled), Ended> {
        let Unapproved { operation, caller, statement, payload_digest, idem, need } = unapproved;
        let life_ms = if operation == Op::ValueUpdate { VALUE_LIFE_MS } else { LIFE_MAX_MS };
        let change = Change::Propose {
            retry: Retry { principal: caller.id.clone(), idem, payload_digest },
            request: Proposed { operation, requester: caller.id.clone(), statement },
            need,
            id: ProposalId::new(self.draw()?),
            life_ms,
        };
        self.settle(change).await
    }

    /// Has the ledger record a change that no permit stands for; its head is signed.
    async fn settle(&self, change: Change) -> Result<(Recording, Settled), Ended> {
        let mut settled = self.ledger.sequencer().submit(change).await.map_err(Fault::from)?;
        self.notarise(settled.lead.take())?;
        match settled.outcome.clone() {
            Outcome::Recorded(recording) => Ok((recording, settled)),
            Outcome::Refused(refusal) => Err(Ended::RefusedOnRecord(refusal)),
            Outcome::Counted => Err(Fault::from(LedgerFault::Stopped).into()),
        }
    }

    /// An officer's approval. The one that completes the quorum executes the request.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn approve(&self, envelope: &Envelope, caller: Arc<Enrolled>) -> Result<Vec<u8>, Ended> {
        let seen = self.seen(envelope.seen.as_ref(), &caller).await?;
        let request = envelope.request.as_bytes();
        let permit = self.admit_read::<ApproveProposal>(request, caller)?;
        let ApproveProposal { id, approval, .. } = permit.action().clone();
        let change = Change::Vote {
            caller: permit.caller().id.clone(),
            proposal: id,
            verdict: Verdict::Approve,
            approval,
            request: sha256(&[request]),
        };
        let (recording, settled) = self.settle(change).await?;
        let persons = self.site.control()?.counted(&id).map_or(0, |(quorum, _)| quorum.persons());
        self.execute_if_ready(&id).await?;
        self.voted(&id, persons, (&recording, &settled), seen).await
    }

    /// An officer's rejection: the end of a proposal.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn reject(&self, envelope: &Envelope, caller: Arc<Enrolled>) -> Result<Vec<u8>, Ended> {
        let seen = self.seen(envelope.seen.as_ref(), &caller).await?;
        let request = envelope.request.as_bytes();
        let permit = self.admit_read::<RejectProposal>(request, caller)?;
        let RejectProposal { id, approval, .. } = permit.action().clone();
        let change = Change::Vote {
            caller: permit.caller().id.clone(),
            proposal: id,
            verdict: Verdict::Reject,
            approval,
            request: sha256(&[request]),
        };
        let (recording, settled) = self.settle(change).await?;
        self.voted(&id, 0, (&recording, &settled), seen).await
    }

    /// A proposal withdrawn, or its act while it waits.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn cancel(&self, envelope: &Envelope, caller: Arc<Enrolled>) -> Result<Vec<u8>, Ended> {
        let seen = self.seen(envelope.seen.as_ref(), &caller).await?;
        let permit = self.admit_read::<CancelProposal>(envelope.request.as_bytes(), caller)?;
        let id = permit.action().id;
        let statement = permit.statement().cloned().ok_or(Ended::Refused(Refusal::Forbidden))?;
        let retry = Retry {
            principal: permit.caller().id.clone(),
            idem: permit.action().idem,
            payload_digest: permit.payload_digest(),
        };
        let (recording, settled) = self.settle(Change::Cancel { retry, proposal: id, statement }).await?;
        self.voted(&id, 0, (&recording, &settled), seen).await
    }

    async fn voted(
        &self,
        id: &ProposalId,
        persons: u8,
        (recording, settled): (&Recording, &Settled),
        seen: TreeHead,
    ) -> Result<Vec<u8>, Ended> {
        let state = self.state_of(id)?;
        let receipt = self.receipt_of(recording, settled, seen).await?;
        Ok(cbor::encode(&VoteReply { schema: Schema, state, persons, receipt }))
    }

    /// The reply to a request that took a quorum, for whoever made the request.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn result(&self, envelope: &Envelope, caller: Arc<Enrolled>) -> Result<Vec<u8>, Ended> {
        let seen = self.seen(envelope.seen.as_ref(), &caller).await?;
        let permit = self.admit_read::<ReadResult>(envelope.request.as_bytes(), caller)?;
        let id = permit.action().id;
        let not_found = || Ended::Refused(Refusal::NotFound { what: Thing::Proposal });
        let record = self.ledger.reader().proposal(&id).map_err(Fault::from)?.ok_or_else(not_found)?;
        let made: ProposalMadeLeaf = read(&record.made.payload)?;
        let proposal = Proposal::decode(made.proposal.as_bytes());
        let proposal = proposal.map_err(|_| Fault::Invariant("a recorded proposal does not read"))?;
        if proposal.request.requester != permit.caller().id {
            // As if it did not exist: what others asked is not told.
            return Err(not_found());
        }
        self.execute_if_ready(&id).await?;
        let state = self.state_of(&id)?;
        let act = self.ledger.reader().proposal(&id).map_err(Fault::from)?.and_then(|record| record.act);
        let reply = match act.as_ref().and_then(Recording::evidence_of_quorum) {
            Some(evidence) => {
                let agreed = Agreed::OnRecord(evidence);
                let reply = self.performed(proposal.request.operation, agreed, seen).await?;
                Some(
                    Blob::try_from(reply)
                        .map_err(|_| Fault::Invariant("a reply is too long for a result"))?,
                )
            }
            None => None,
        };
        Ok(cbor::encode(&ResultReply { schema: Schema, state, reply }))
    }

    /// Executes a proposal whose quorum is met. What cannot pass by itself ends the proposal; a repetition finds what is
    /// executed already.
    ///
    /// # Errors
    /// [`Fault`] of store or token.
    pub async fn execute_if_ready(&self, id: &ProposalId) -> Result<(), Fault> {
        let _one_at_a_time = self.executing.lock().await;
        let control = self.site.control()?;
        let Some(open) = control.proposals().get(id) else { return Ok(()) };
        // An approval that no longer counts, as of an officer disabled since, is told when the next one comes.
        if !control.counted(id).is_ok_and(|(_, met)| met) || now_ms() > open.proposal.expires_ms {
            return Ok(());
        }
        let (operation, evidence) = (open.proposal.request.operation, open.evidence());
        let requester = open.proposal.request.requester.clone();
        match self.performed(operation, Agreed::Now(evidence), self.site.trust().head()).await {
            Ok(_) => {
                tracing::info!(proposal = %id, %operation, "a proposal was executed");
                Ok(())
            }
            Err(Ended::Fault(fault)) => Err(fault),
            Err(Ended::Pending(_)) => Err(Fault::Invariant("an approved request asked for people again")),
            Err(Ended::Refused(refusal)) => {
                let request = sha256(&[open.proposal.request.statement.0.as_bytes()]);
                self.record_refused(&requester, operation, &refusal, request).await?;
                self.fail(id, refusal).await
            }
            Err(Ended::RefusedOnRecord(refusal)) => self.fail(id, refusal).await,
        }
    }

    /// Executes every proposal whose quorum is met: after a crash between the last approval and the act.
    ///
    /// # Errors
    /// [`Fault`] of store or token.
    pub async fn execute_ready(&self) -> Result<(), Fault> {
        let control = self.site.control()?;
        // By number first: most have too few, and verifying approvals costs a tenth of a millisecond each.
        let enough = |open: &&Open| open.approvals.len() >= usize::from(open.proposal.need.persons);
        let met = |id: &ProposalId| control.counted(id).is_ok_and(|(_, met)| met);
        let open = control.proposals().open().filter(enough).map(|open| open.proposal.id);
        let ready: Vec<_> = open.filter(met).collect();
        for id in ready {
            self.execute_if_ready(&id).await?;
        }
        Ok(())
    }

    /// Ends a proposal whose act was refused, unless the refusal passes by itself.
    async fn fail(&self, id: &ProposalId, refusal: Refusal) -> Result<(), Fault> {
        let passes = refusal.retryable()
            || refusal == Refusal::StateConflict { reason: Conflict::ClockDisputed }
            || refusal == Refusal::HistoryRolledBack;
        // Refused after it was recorded: the act stands, and is performed when it is asked for again.
        let executed = self.site.control()?.proposals().get(id).is_none();
        if passes || executed {
            return Ok(());
        }
        tracing::warn!(proposal = %id, %refusal, "an approved proposal was refused and has ended");
        let leaf = ProposalClosedLeaf { schema: Schema, proposal: *id, end: ProposalEnd::Failed { refusal } };
        let settled = self.ledger.sequencer().submit(Change::CloseProposal(leaf)).await?;
        self.notarise(settled.lead)
    }

    fn state_of(&self, id: &ProposalId) -> Result<ProposalState, Ended> {
        let record = self.ledger.reader().proposal(id).map_err(Fault::from)?;
        record.map(|record| record.state).ok_or(Ended::Refused(Refusal::NotFound { what: Thing::Proposal }))
    }

    /// The receipt of a leaf that the caller may know the place of, without the leaf.
    async fn receipt_of(
        &self,
        recording: &Recording,
        settled: &Settled,
        seen: TreeHead,
    ) -> Result<Receipt, Fault> {
        let note = settled.commit.note().await.ok_or(Fault::Invariant("a commit's head was not signed"))?;
        let checkpoint = if note.checkpoint().head.size < seen.size { self.newest()? } else { note };
        self.receipt_in(recording, checkpoint, seen)
    }

    fn receipt_in(
        &self,
        recording: &Recording,
        checkpoint: SignedCheckpoint,
        seen: TreeHead,
    ) -> Result<Receipt, Fault> {
        let size = checkpoint.checkpoint().head.size;
        let reader = self.ledger.reader();
        Ok(Receipt {
            schema: Schema,
            leaf_index: recording.index,
            consistency: reader.consistency(seen.size, size)?,
            checkpoint,
            leaf: Some(
                recording
                    .evidence()
                    .map_err(|_| Fault::Invariant("a leaf is longer than evidence may be"))?,
            ),
            inclusion: Some(reader.inclusion(recording.index, size)?),
        })
    }
}

/// The request that is to be proposed, whose signature the gate has verified.
fn proposed_action<A: Operation>(unapproved: &Unapproved) -> Result<A, Fault> {
    let damaged = Fault::Invariant("a request that the gate let through does not read");
    let Ok(signed) = Signed::parse(unapproved.statement.0.as_bytes()) else { return Err(damaged) };
    cbor::decode(signed.recorded_payload(), cbor::REQUEST_LEN_MAX).map_err(|_| damaged)
}

fn read<T: serde::Serialize + serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, Fault> {
    cbor::decode(payload, payload.len()).map_err(|_| Fault::Invariant("a leaf is not of its kind"))
}

impl Keeper {
    /// Admits, records and performs an approved request as the operation it is.
    async fn perform_agreed<A: Operation>(&self, agreed: Agreed, seen: TreeHead) -> Result<Vec<u8>, Ended> {
        let admitted = match agreed {
            Agreed::Now(evidence) => self.gate.admit_approved::<A>(evidence),
            Agreed::OnRecord(evidence) => self.gate.admit_recorded::<A>(evidence),
        };
        match admitted {
            Ok(permit) => self.carry_out(permit, seen, None).await,
            Err(NotAdmitted::Refused(refusal)) => Err(Ended::Refused(refusal)),
            Err(NotAdmitted::Unapproved(_)) => {
                Err(Fault::Invariant("an approved request asked for people again").into())
            }
            Err(NotAdmitted::Fault(fault)) => Err(fault.into()),
        }
    }
}
