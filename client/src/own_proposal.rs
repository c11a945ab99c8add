//! Proposals that our own requests became: checked to hold exactly what we signed, and followed to their results.
//!
//! The proposal in a 202 must hold our request, and the log must hold the proposal.

use crate::{
    act::{Changed, Hand},
    error::ClientError,
    leaf_shown::Shown,
    pending::{Outcome, Pending},
    trust_store::Founded,
};
use keysvc_protocol::{
    bytes::{Digest, ProposalId},
    cbor::{self, REQUEST_LEN_MAX},
    cose::{Kind, Signed},
    leaf::{LeafKind, ProposalMadeLeaf},
    proposal::{Proposal, ProposalState},
    public_key::PublicKey,
    reply::{ChangedReply, KeyCreatedReply, PendingReply, ProfilePutReply},
    request::{CreateKey, Operation, PutProfile},
};
use serde::{Serialize, de::DeserializeOwned};

/// Whose request it is that must be in a proposal.
pub(crate) struct Mine<'a> {
    /// What was asked.
    pub(crate) operation: Operation,
    /// The request's payload.
    pub(crate) payload: &'a [u8],
    /// The key that signed it.
    pub(crate) key: PublicKey,
}

impl Mine<'_> {
    /// Checks a 202 whose checkpoint and receipt were judged before: the proposal holds this request, and the receipt's
    /// leaf holds the proposal.
    pub(crate) fn check(&self, founded: &Founded, reply: PendingReply) -> Result<Pending, ClientError> {
        let bytes = reply.proposal.into_bytes();
        let proposal = Proposal::decode(&bytes)
            .map_err(|error| ClientError::untrusted(format!("its proposal: {error}")))?;
        let payload = own_payload(&proposal, founded.genesis(), &self.key)?;
        if proposal.request.operation != self.operation || payload != self.payload {
            return Err(ClientError::untrusted("its proposal is of another request than ours"));
        }
        let leaf: ProposalMadeLeaf = Shown::of(&reply.receipt)?.payload(LeafKind::ProposalMade)?;
        if leaf.proposal.as_bytes() != bytes {
            return Err(ClientError::untrusted("the leaf records another proposal than was sent"));
        }
        Ok(pending(proposal, bytes, reply.state))
    }
}

/// The payload of the request in a proposal, which must be for this log and signed by this key.
fn own_payload<'a>(
    proposal: &'a Proposal,
    genesis: &Digest,
    key: &PublicKey,
) -> Result<&'a [u8], ClientError> {
    if proposal.genesis != *genesis {
        return Err(ClientError::untrusted("its proposal is of another log"));
    }
    let kind = Kind::Request(proposal.request.operation);
    Signed::parse(proposal.request.statement.0.as_bytes())
        .and_then(|signed| signed.open(kind, genesis.as_bytes(), key))
        .map_err(|error| ClientError::untrusted(format!("the request in its proposal is not ours: {error}")))
}

fn pending(proposal: Proposal, bytes: Vec<u8>, state: ProposalState) -> Pending {
    Pending {
        id: proposal.id,
        operation: proposal.request.operation,
        need: proposal.need,
        proposal: bytes,
        state,
        expires_ms: proposal.expires_ms,
    }
}

impl Hand {
    /// A proposal of ours, with the request in it as we signed it.
    pub(crate) async fn own(&self, id: ProposalId) -> Result<OwnProposal, ClientError> {
        let reply = self.reader.proposal(id).await?;
        let bytes = reply.proposal.into_bytes();
        let proposal = Proposal::decode(&bytes)
            .map_err(|error| ClientError::untrusted(format!("the proposal: {error}")))?;
        if proposal.request.requester != self.name {
            let what = format!("proposal {id} is of {}, not of {}", proposal.request.requester, self.name);
            return Err(ClientError::Request { what });
        }
        let genesis = self.reader.founded().genesis();
        let payload = own_payload(&proposal, genesis, &self.signer.public_key())?.to_vec();
        Ok(OwnProposal { proposal, bytes, payload })
    }

    /// What became of an act of ours.
    pub(crate) async fn result(&self, id: ProposalId) -> Result<Outcome<Changed>, ClientError> {
        let own = self.own(id).await?;
        let operation = own.operation();
        if operation == Operation::KeyCreate {
            let request: CreateKey = own.request()?;
            let (state, reply) = self.reader.result::<KeyCreatedReply>(id).await?;
            return own.outcome(state, reply).and_then(|reply| self.created(reply, &request));
        }
        if operation == Operation::ProfilePut {
            let request: PutProfile = own.request()?;
            let (state, reply) = self.reader.result::<ProfilePutReply>(id).await?;
            return own.outcome(state, reply).and_then(|reply| self.profile_put(reply, &request));
        }
        if !changes_the_site(operation) {
            let what = format!("proposal {id} is a {operation}; its result is for who can use it");
            return Err(ClientError::Request { what });
        }
        let payload = own.payload.clone();
        let (state, reply) = self.reader.result::<ChangedReply>(id).await?;
        own.outcome(state, reply).and_then(|reply| self.changed(reply.receipt, operation, &payload))
    }
}

const fn changes_the_site(operation: Operation) -> bool {
    !matches!(operation, Operation::ValueUpdate | Operation::CardDerive | Operation::CardTransition)
        && !matches!(operation, Operation::JobOpen | Operation::JobResume)
}

/// A proposal that we asked for.
pub(crate) struct OwnProposal {
    proposal: Proposal,
    bytes: Vec<u8>,
    /// The request's payload.
    pub(crate) payload: Vec<u8>,
}

impl OwnProposal {
    /// What was asked.
    pub(crate) const fn operation(&self) -> Operation {
        self.proposal.request.operation
    }

    /// The request that it holds.
    fn request<T: Serialize + DeserializeOwned>(&self) -> Result<T, ClientError> {
        cbor::decode(&self.payload, REQUEST_LEN_MAX)
            .map_err(|error| ClientError::untrusted(format!("the request in the proposal: {error}")))
    }

    /// What became of it.
    pub(crate) fn outcome<R>(self, state: ProposalState, reply: Option<R>) -> Outcome<R> {
        match reply {
            Some(reply) => Outcome::Done(reply),
            None => Outcome::Pending(pending(self.proposal, self.bytes, state)),
        }
    }
}

#[cfg(all(feature = "terminal", feature = "hub", feature = "officer"))]
#[cfg(test)]
mod tests;
