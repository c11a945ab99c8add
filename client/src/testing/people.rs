//! Proposals, approvals and the far end's answers about them, for this crate's tests: real keys, real proofs.

use super::{Key, Log, service::Service};
use crate::{connect::stand_in::Step, error::ClientError, signer::StatementSigner};
use keysvc_protocol::{
    bytes::{Blob, Boot, Digest, Idem, ProposalId},
    cbor,
    control::Moment,
    cose::Kind,
    leaf::{ActByQuorumLeaf, ChangedLeaf, LeafKind, ProposalMadeLeaf, ProposalVotedLeaf, Statement},
    list::List,
    merkle::inclusion_proof,
    name::Name,
    proposal::{APPROVAL_LEN_MAX, Evidence, Proposal, ProposalState, Proposed},
    public_key::PublicKey,
    quorum::{Approval, Need, Verdict},
    receipt::Receipt,
    reply::{OfficerView, PendingReply},
    request::{Envelope, Operation},
    schema::Schema,
};
use std::{fmt, sync::Arc};

/// The approval key of officer `ann` of treasury.
pub(crate) const ANN: u8 = 11;
/// The approval key of officer `bob` of security.
pub(crate) const BOB: u8 = 12;

/// Where an act was done.
pub(crate) const MOMENT: Moment = Moment { wall_ms: 5, boot: Boot::new([1; 16]), up_ms: 5 };

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.public().identifier())
    }
}

impl StatementSigner for Key {
    fn public_key(&self) -> PublicKey {
        self.public()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], ClientError> {
        Ok(Key::sign(self, message))
    }
}

pub(crate) fn signer(key: u8) -> Arc<dyn StatementSigner> {
    Arc::new(Key::new(key))
}

fn genesis() -> Digest {
    Log::new(0, 0).trust().genesis
}

/// The officers of the founding.
pub(crate) fn officers() -> Vec<OfficerView> {
    let officer = |name: &str, department: &str, key: u8| OfficerView {
        name: name.parse().unwrap(),
        department: department.parse().unwrap(),
        approval_key: Blob::try_from(Key::new(key).public().spki().to_vec()).unwrap(),
        enabled: true,
    };
    vec![officer("ann", "treasury", ANN), officer("bob", "security", BOB)]
}

/// A signed request.
pub(crate) fn statement(operation: Operation, key: u8, payload: Vec<u8>) -> Statement {
    let signed = Key::new(key).cose(Kind::Request(operation), genesis().as_bytes(), payload);
    Statement(Blob::try_from(signed).unwrap())
}

/// A proposal that takes two people of two departments.
pub(crate) fn proposal(operation: Operation, requester: &str, statement: Statement) -> Proposal {
    Proposal {
        schema: Schema,
        genesis: genesis(),
        id: ProposalId::new([7; 16]),
        request: Proposed { operation, requester: requester.parse().unwrap(), statement },
        policy: Digest::new([2; 32]),
        roster: Digest::new([3; 32]),
        need: Need { departments: 2, ..Need::of(2) },
        preconditions: List::default(),
        created_ms: 1,
        expires_ms: 1_000,
    }
}

/// An officer's signed verdict over these bytes.
pub(crate) fn approval(key: u8, proposal: &[u8], verdict: Verdict) -> Blob<APPROVAL_LEN_MAX> {
    let approval = Approval {
        schema: Schema,
        proposal: Proposal::digest_of(proposal),
        verdict,
        signed_at_ms: 4,
        nonce: Idem::new([4; 16]),
    };
    let signed = Key::new(key).cose(Kind::Approval, genesis().as_bytes(), cbor::encode(&approval));
    Blob::try_from(signed).unwrap()
}

impl Service {
    /// The receipt of any leaf.
    pub(crate) fn receipt_of(&self, index: u64, envelope: &Envelope) -> Receipt {
        let size = self.log.0.len() as u64;
        Receipt {
            leaf_index: index,
            leaf: self.log.0.get(usize::try_from(index).unwrap()).cloned(),
            inclusion: Some(inclusion_proof(&self.log, index, size).unwrap()),
            ..self.receipt(envelope)
        }
    }

    /// Answers a request with the proposal it becomes.
    pub(crate) fn propose(&mut self, operation: Operation, requester: &str, envelope: &Envelope) -> Step {
        let proposal = proposal(operation, requester, Statement(envelope.request.clone()));
        self.pend(&proposal, ProposalState::Open, envelope)
    }

    /// Status 202 with this proposal, recorded.
    pub(crate) fn pend(&mut self, proposal: &Proposal, state: ProposalState, envelope: &Envelope) -> Step {
        let bytes = Blob::try_from(cbor::encode(proposal)).unwrap();
        let leaf = ProposalMadeLeaf { schema: Schema, proposal: bytes.clone() };
        self.log.append(LeafKind::ProposalMade, cbor::encode(&leaf));
        let receipt = self.receipt(envelope);
        let reply = PendingReply { schema: Schema, proposal: bytes, state, receipt };
        Step::Raw(202, cbor::encode(&reply))
    }

    /// Records a vote, and gives its leaf's index.
    pub(crate) fn vote(&mut self, verdict: Verdict, approval: Blob<APPROVAL_LEN_MAX>) -> u64 {
        let leaf =
            ProposalVotedLeaf { schema: Schema, proposal: ProposalId::new([7; 16]), verdict, approval };
        self.log.append(LeafKind::ProposalVoted, cbor::encode(&leaf));
        self.log.0.len() as u64 - 1
    }

    /// Records a change to the site that its caller makes alone.
    pub(crate) fn change(
        &mut self,
        kind: LeafKind,
        principal: &str,
        operation: Operation,
        statement: Statement,
    ) {
        let leaf = changed(principal, operation, statement);
        self.log.append(kind, cbor::encode(&leaf));
    }

    /// Records an act by quorum.
    pub(crate) fn act(&mut self, outer: LeafKind, kind: LeafKind, act: Vec<u8>, evidence: Evidence) {
        let act = Blob::try_from(act).unwrap();
        let leaf = ActByQuorumLeaf { schema: Schema, evidence, moment: MOMENT, kind, act };
        self.log.append(outer, cbor::encode(&leaf));
    }
}

pub(crate) fn changed(principal: &str, operation: Operation, statement: Statement) -> ChangedLeaf {
    let principal: Name = principal.parse().unwrap();
    ChangedLeaf { schema: Schema, principal, operation, statement }
}

/// The evidence of a proposal that ann and bob approved.
pub(crate) fn evidence(proposal: &Proposal) -> Evidence {
    let bytes = cbor::encode(proposal);
    let approvals = [ANN, BOB].map(|key| approval(key, &bytes, Verdict::Approve));
    Evidence {
        schema: Schema,
        proposal: Blob::try_from(bytes).unwrap(),
        approvals: approvals.to_vec().try_into().unwrap(),
    }
}
