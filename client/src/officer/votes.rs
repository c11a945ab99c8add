//! Proposals as an officer sees them, and votes on them.

use super::{Approvable, NotApprovable, Officer, Voted, Votes};
use crate::{
    act::Changed,
    clock::now_ms,
    error::ClientError,
    leaf_shown::Shown,
    pending::Outcome,
    reader::{Outgoing, blocking},
    statement::fresh_idem,
};
use keysvc_protocol::{
    bytes::{Blob, ProposalId},
    cbor,
    cose::{Kind, Unsigned},
    leaf::{LeafKind, ProposalVotedLeaf},
    name::{Name, Reason},
    proposal::{Proposal, ProposalState},
    public_key::PublicKey,
    quorum::{self, Approval, Verdict, Voter},
    reply::{OfficerView, VoteReply},
    request::{ApproveProposal, Operation, RejectProposal},
    schema::Schema,
};

/// A proposal with its votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnRecord {
    /// The proposal, ready to be signed.
    pub approvable: Approvable,
    /// Where it stands.
    pub state: ProposalState,
    /// Its leaf.
    pub leaf: u64,
    /// Who has approved, counted here.
    pub votes: Votes,
    /// The officers on the roster, as the service tells them.
    pub officers: Vec<OfficerView>,
}

impl Officer {
    /// One proposal, read whole, with its votes counted.
    ///
    /// # Errors
    /// [`ClientError`] of the call, and [`ClientError::NotApprovable`] when nobody should sign it.
    pub async fn proposal(&self, id: ProposalId) -> Result<OnRecord, ClientError> {
        let reply = self.reader.proposal(id).await?;
        let officers = reply.officers.into_vec();
        let bytes = reply.proposal.as_bytes();
        let proposal = Proposal::decode(bytes).map_err(NotApprovable::Form)?;
        let founded = self.reader.founded();
        let approvable = match Approvable::read(bytes, founded, told(&officers, &proposal).as_ref()) {
            // Who came or got another key after the founding is told by the service.
            Err(NotApprovable::UnknownRequester { requester }) => {
                let key = self.enrolled_key(&requester).await?;
                Approvable::read(bytes, founded, key.as_ref())?
            }
            read => read?,
        };
        let approvals = reply.approvals.iter().map(Blob::as_bytes);
        let votes = Votes::count(bytes, &proposal.need, approvals, &officers, founded.genesis());
        Ok(OnRecord { approvable, state: reply.state, leaf: reply.leaf, votes, officers })
    }

    async fn enrolled_key(&self, name: &Name) -> Result<Option<PublicKey>, ClientError> {
        // Our own key is known without asking, and machines may not list the principals.
        if let Some(hand) = self.hand.as_ref().filter(|hand| hand.name == *name) {
            return Ok(Some(hand.signer.public_key()));
        }
        let all = self.principals().await?.principals;
        let key = all.into_iter().find(|one| one.enrolment.id == *name);
        let key = key.and_then(|one| one.enrolment.statement_key);
        Ok(key.and_then(|key| PublicKey::from_spki(key.as_bytes()).ok()))
    }

    /// Approves a proposal: signs its exact bytes with the card. The approval that completes the quorum executes the act,
    /// and the state says so.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn approve(&self, approvable: &Approvable) -> Result<Voted, ClientError> {
        let approval = self.signed(approvable, Verdict::Approve).await?;
        let request = ApproveProposal { schema: Schema, id: approvable.id(), approval };
        self.vote(Operation::ProposalApprove, cbor::encode(&request), (approvable, Verdict::Approve)).await
    }

    /// Rejects a proposal, which ends it.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn reject(&self, approvable: &Approvable) -> Result<Voted, ClientError> {
        let approval = self.signed(approvable, Verdict::Reject).await?;
        let request = RejectProposal { schema: Schema, id: approvable.id(), approval };
        self.vote(Operation::ProposalReject, cbor::encode(&request), (approvable, Verdict::Reject)).await
    }

    /// Withdraws a proposal, or its act while it waits for its delay.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn cancel(&self, id: ProposalId, reason: &Reason) -> Result<Voted, ClientError> {
        self.hand()?.cancel(id, reason).await
    }

    /// What became of an act of our own.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Request`] when it is another's.
    pub async fn result(&self, id: ProposalId) -> Result<Outcome<Changed>, ClientError> {
        self.hand()?.result(id).await
    }

    async fn signed<const MAX: usize>(
        &self,
        approvable: &Approvable,
        verdict: Verdict,
    ) -> Result<Blob<MAX>, ClientError> {
        let hand = self.hand()?;
        let approval = Approval {
            schema: Schema,
            proposal: approvable.digest(),
            verdict,
            signed_at_ms: now_ms(),
            nonce: fresh_idem()?,
        };
        let scope = self.reader.founded().genesis().as_bytes();
        let key = hand.signer.public_key().identifier();
        let unsigned = Unsigned::new(Kind::Approval, scope, key, cbor::encode(&approval));
        let signer = hand.signer.clone();
        let message = blocking(move || {
            let signature = signer.sign(&unsigned.to_be_signed())?;
            Ok(unsigned.with_signature(&signature))
        })
        .await?;
        Blob::try_from(message).map_err(|error| ClientError::Request { what: error.to_string() })
    }

    /// Sends a vote, and checks that the log holds one of ours with this verdict. It may be an earlier one: a vote that
    /// is said again is the first one.
    async fn vote(
        &self,
        operation: Operation,
        request: Vec<u8>,
        (approvable, verdict): (&Approvable, Verdict),
    ) -> Result<Voted, ClientError> {
        let hand = self.hand()?;
        let about = format!("{operation} {}", approvable.id());
        let reply: VoteReply = self.reader.ask(Outgoing::new(operation, request, about)).await?;
        let leaf: ProposalVotedLeaf = Shown::of(&reply.receipt)?.payload(LeafKind::ProposalVoted)?;
        let name = hand.name.clone();
        let ours = [Voter { department: name.clone(), name, key: hand.signer.public_key(), enabled: true }];
        let approval = leaf.approval.as_bytes();
        let genesis = self.reader.founded().genesis();
        let voted = quorum::vote(approvable.as_bytes(), approval, verdict, genesis, ours.as_slice());
        if leaf.proposal != approvable.id() || voted.is_err() {
            return Err(ClientError::untrusted("the leaf records another vote than ours"));
        }
        Ok(Voted { state: reply.state, persons: reply.persons, leaf_index: reply.receipt.leaf_index })
    }
}

/// The requester's approval key, where the service counts the requester among the officers.
fn told(officers: &[OfficerView], proposal: &Proposal) -> Option<PublicKey> {
    let officer = officers.iter().find(|officer| officer.name == proposal.request.requester)?;
    PublicKey::from_spki(officer.approval_key.as_bytes()).ok()
}
