//! What an officer can sign: a proposal that was read whole, and says in words what it does.
//!
//! No blind signing: an [`Approvable`] is made of the exact bytes that are then signed, and only of such whose request is
//! known, whose every field is understood, and whose requester's signature holds. Votes are counted here again, by
//! [`keysvc_protocol::quorum`], instead of believing the service's number.

use crate::trust_store::Founded;
use keysvc_protocol::{
    bytes::{Digest, ProposalId},
    cbor::DecodeError,
    cose::{CoseError, Kind, Signed},
    name::Name,
    proposal::Proposal,
    public_key::PublicKey,
    quorum::{self, Need, Quorum, Verdict, Voter},
    refusal::{Refusal, Uncounted},
    reply::OfficerView,
    request::Operation,
    sentence::sentence,
};
use std::collections::BTreeSet;

/// Why a proposal is nothing to be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApprovable {
    /// The bytes are not a proposal as this program knows it.
    #[error("these bytes are no proposal that this program knows: {0}")]
    Form(#[from] DecodeError),
    /// It was made for another log.
    #[error("the proposal is of another log")]
    OtherLog,
    /// Nobody tells the requester's key.
    #[error("the key of {requester}, who asks, is not known")]
    UnknownRequester {
        /// Who is said to ask.
        requester: Name,
    },
    /// The request in it is not signed by its requester.
    #[error("the request in the proposal is not signed by {requester}: {error}")]
    Requester {
        /// Who is said to ask.
        requester: Name,
        /// What is wrong with the signature.
        error: CoseError,
    },
    /// The request in it cannot be said in words: unknown, or with a field that this program does not know.
    #[error(
        "the request in the proposal, a {operation}, is none that this program can say in words: {refusal}"
    )]
    Unspeakable {
        /// What is asked.
        operation: Operation,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// The need is one that nobody can meet, or fewer than two people.
    #[error("the proposal asks for no sound number of people")]
    Need,
}

/// Who says that the requester's key is the requester's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouched {
    /// The founding file, proved by the trust file.
    Founding,
    /// The service: the requester was enrolled, or got another key, after the founding.
    Service,
}

/// A proposal that was read whole and can be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvable {
    bytes: Vec<u8>,
    proposal: Proposal,
    payload: Vec<u8>,
    sentence: String,
    vouched: Vouched,
}

impl Approvable {
    /// Reads a proposal's exact bytes. `told` is the requester's key as the service tells it, for requesters that the
    /// founding does not know.
    ///
    /// # Errors
    /// [`NotApprovable`] naming the first check that failed.
    pub fn read(bytes: &[u8], founded: &Founded, told: Option<&PublicKey>) -> Result<Self, NotApprovable> {
        // Decoding encodes again and compares, so nothing is in the bytes that is not in the proposal.
        let proposal = Proposal::decode(bytes)?;
        if proposal.genesis != *founded.genesis() {
            return Err(NotApprovable::OtherLog);
        }
        if !proposal.need.is_sound() {
            return Err(NotApprovable::Need);
        }
        let request = &proposal.request;
        let requester = || request.requester.clone();
        let refused = |error| NotApprovable::Requester { requester: requester(), error };
        let signed = Signed::parse(request.statement.0.as_bytes()).map_err(refused)?;
        let claimed = signed.key_identifier();
        let founding = founded.statement_key_of(&request.requester).filter(|key| key.identifier() == claimed);
        let (key, vouched) = match (founding, told) {
            (Some(key), _) => (key, Vouched::Founding),
            (None, Some(key)) => (*key, Vouched::Service),
            (None, None) => return Err(NotApprovable::UnknownRequester { requester: requester() }),
        };
        let kind = Kind::Request(request.operation);
        let payload = signed.open(kind, founded.genesis().as_bytes(), &key).map_err(refused)?;
        let sentence = sentence(request.operation, payload)
            .map_err(|refusal| NotApprovable::Unspeakable { operation: request.operation, refusal })?;
        let payload = payload.to_vec();
        Ok(Self { bytes: bytes.to_vec(), payload, sentence, vouched, proposal })
    }

    /// Its exact bytes: what is signed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What they say.
    #[must_use]
    pub const fn proposal(&self) -> &Proposal {
        &self.proposal
    }

    /// The request in it, as its requester signed it: what the sentence is made of.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Its identifier.
    #[must_use]
    pub const fn id(&self) -> ProposalId {
        self.proposal.id
    }

    /// The digest of its bytes: what an approval names, and what officers read to each other.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Proposal::digest_of(&self.bytes)
    }

    /// The act in words; every field of the request is in it.
    #[must_use]
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// Who says that the requester's key is the requester's.
    #[must_use]
    pub const fn vouched(&self) -> Vouched {
        self.vouched
    }
}

/// The people who approved a proposal, counted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Votes {
    /// Who counts, with departments, in the order of their approvals.
    pub approved: Vec<(Name, Name)>,
    /// Why others do not count.
    pub uncounted: Vec<Uncounted>,
    /// What is still needed; nothing where it is enough.
    pub missing: Option<Missing>,
}

/// What is still needed before a proposal is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// At least so many more people.
    pub persons: u8,
    /// At least so many departments that are not among those who approved.
    pub departments: u8,
    /// Departments that must be among them.
    pub named: Vec<Name>,
    /// The departments of those who approved.
    pub present: Vec<Name>,
}

impl Votes {
    /// Verifies the approvals of a proposal's bytes one by one, and counts the people behind the good ones.
    #[must_use]
    pub fn count<'a>(
        proposal: &[u8],
        need: &Need,
        approvals: impl IntoIterator<Item = &'a [u8]>,
        officers: &[OfficerView],
        genesis: &Digest,
    ) -> Self {
        let voters: Vec<Voter> = officers.iter().filter_map(voter).collect();
        let (mut good, mut uncounted) = (Vec::new(), Vec::new());
        for approval in approvals {
            match quorum::vote(proposal, approval, Verdict::Approve, genesis, voters.as_slice()) {
                Ok(_) => good.push(approval),
                Err(reason) => uncounted.push(reason),
            }
        }
        // Each of them was good a moment ago.
        let counted = quorum::count(proposal, good, genesis, voters.as_slice()).unwrap_or_default();
        let department = |name: &Name| voters.iter().find(|voter| voter.name == *name);
        let approved = counted
            .people()
            .filter_map(|name| department(name).map(|voter| (voter.name.clone(), voter.department.clone())));
        Self { approved: approved.collect(), uncounted, missing: Missing::of(&counted, need) }
    }
}

impl Missing {
    fn of(quorum: &Quorum, need: &Need) -> Option<Self> {
        if quorum.meets(need) {
            return None;
        }
        let present: BTreeSet<Name> = quorum.departments().into_iter().collect();
        let named: Vec<Name> = need.named.iter().filter(|name| !present.contains(*name)).cloned().collect();
        let distinct = u8::try_from(present.len()).unwrap_or(u8::MAX);
        let departments = need.departments.saturating_sub(distinct);
        let least = u8::try_from(named.len()).unwrap_or(u8::MAX).max(departments);
        Some(Self {
            // Of each wanted department comes at least one person.
            persons: need.persons.max(2).saturating_sub(quorum.persons()).max(least),
            departments,
            named,
            present: present.into_iter().collect(),
        })
    }
}

fn voter(officer: &OfficerView) -> Option<Voter> {
    Some(Voter {
        name: officer.name.clone(),
        department: officer.department.clone(),
        key: PublicKey::from_spki(officer.approval_key.as_bytes()).ok()?,
        enabled: officer.enabled,
    })
}

#[cfg(test)]
mod tests;
