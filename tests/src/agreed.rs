//! Requests that take people, over the raw wire: asked, voted on, withdrawn, and what became of them.
//!
//! Each call is one request on one connection and judges nothing of the reply but its form; tests judge.

mod governed;
mod requests;

pub use governed::{next_version, profile, propose_files, propose_policy, put, record_ceremony};
pub use requests::{
    activate, compromise, create, destroy, disable, enable, freeze, idem, lift, name, reason, retire, suspend,
};

use crate::{
    ended::ended,
    ground::{Ground, text},
    raw::{Answer, Caller, Leaf, Line, envelope, sign},
    second_verifier::assert_agreed,
};
use keysvc_protocol::{
    bytes::{Blob, ProposalId},
    cbor::{self, REPLY_LEN_MAX},
    cose::Kind,
    founding::PrincipalKind,
    hash::sha256,
    key::KeyState,
    leaf::{ActByQuorumLeaf, LeafKind},
    list::List,
    proposal::{APPROVAL_LEN_MAX, Proposal, ProposalState},
    quorum::{Approval, Verdict},
    receipt::LEAF_PAYLOAD_LEN_MAX,
    refusal::Refusal,
    reply::{ChangedReply, KeyListReply, PendingReply, ResultReply, VoteReply},
    request::{
        ApproveProposal, CancelProposal, EnrolPrincipal, Enrolment, ListKeys, Operation, ReadResult,
        RejectProposal,
    },
    schema::Schema,
};
use serde::{Serialize, de::DeserializeOwned};
use softhsm_setup::Newcomer;
use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Longer than anything here takes: delays of the development site are of 3 and 4 s.
const LONG: Duration = Duration::from_secs(40);

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent<R> {
    /// It was done.
    Done(R),
    /// It waits for people.
    Pending(Box<PendingReply>),
}

/// Reads an answer that may be 202.
///
/// # Errors
/// The [`Refusal`].
///
/// # Panics
/// When it is none of the three.
pub fn read<R: Serialize + DeserializeOwned>(answer: &Answer) -> Result<Sent<R>, Refusal> {
    match answer.status {
        202 => Ok(Sent::Pending(Box::new(cbor::decode(&answer.body, REPLY_LEN_MAX).unwrap()))),
        _ => answer.read().map(Sent::Done),
    }
}

/// Sends a request as this caller signs it.
///
/// # Errors
/// The [`Refusal`].
pub fn send<R: Serialize + DeserializeOwned>(
    caller: &mut Caller,
    operation: Operation,
    request: &impl Serialize,
) -> Result<Sent<R>, Refusal> {
    let message = caller.message(operation, cbor::encode(request));
    read(&caller.line.post(operation.name(), &envelope(message)))
}

/// Sends a request that is to wait for people.
///
/// # Errors
/// The [`Refusal`].
///
/// # Panics
/// When it is done at once.
pub fn propose(
    caller: &mut Caller,
    operation: Operation,
    request: &impl Serialize,
) -> Result<Pending, Refusal> {
    match send::<ChangedReply>(caller, operation, request)? {
        Sent::Pending(reply) => Ok(Pending::new(*reply)),
        Sent::Done(_) => panic!("{operation} was done at once"),
    }
}

/// Sends a change that one caller may make alone.
///
/// # Errors
/// The [`Refusal`].
///
/// # Panics
/// When it waits for people.
pub fn alone(
    caller: &mut Caller,
    operation: Operation,
    request: &impl Serialize,
) -> Result<ChangedReply, Refusal> {
    match send(caller, operation, request)? {
        Sent::Done(reply) => Ok(reply),
        Sent::Pending(pending) => panic!("{operation} waits for people: {pending:?}"),
    }
}

/// A proposal as its 202 told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The reply.
    pub reply: PendingReply,
    /// The proposal, read.
    pub proposal: Proposal,
}

impl Pending {
    /// Reads the proposal in a 202.
    ///
    /// # Panics
    /// When it is none, or its leaf is not in the log.
    #[must_use]
    pub fn new(reply: PendingReply) -> Self {
        let proposal = Proposal::decode(reply.proposal.as_bytes()).unwrap();
        reply.receipt.check_inclusion().unwrap();
        Self { reply, proposal }
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> ProposalId {
        self.proposal.id
    }

    /// The signed verdict of whoever holds this card.
    ///
    /// # Panics
    /// When the card does not sign.
    #[must_use]
    pub fn verdict(&self, by: &Caller, verdict: Verdict) -> Blob<APPROVAL_LEN_MAX> {
        let approval = Approval {
            schema: Schema,
            proposal: sha256(&[self.reply.proposal.as_bytes()]),
            verdict,
            signed_at_ms: self.proposal.created_ms,
            nonce: idem(),
        };
        let signer = by.signer.as_ref().unwrap();
        let message = sign(signer.as_ref(), Kind::Approval, by.genesis.as_bytes(), cbor::encode(&approval));
        Blob::try_from(message).unwrap()
    }

    /// An officer's approval, sent.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn approve(&self, by: &mut Caller) -> Result<VoteReply, Refusal> {
        let approval = self.verdict(by, Verdict::Approve);
        by.ask(Operation::ProposalApprove, &ApproveProposal { schema: Schema, id: self.id(), approval })
    }

    /// An officer's rejection, sent.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn reject(&self, by: &mut Caller) -> Result<VoteReply, Refusal> {
        let approval = self.verdict(by, Verdict::Reject);
        by.ask(Operation::ProposalReject, &RejectProposal { schema: Schema, id: self.id(), approval })
    }

    /// A withdrawal, sent.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn cancel(&self, by: &mut Caller) -> Result<VoteReply, Refusal> {
        let cancel = CancelProposal { schema: Schema, idem: idem(), id: self.id(), reason: reason() };
        by.ask(Operation::ProposalCancel, &cancel)
    }

    /// What became of it, asked for by whoever made the request.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn result(&self, by: &mut Caller) -> Result<ResultReply, Refusal> {
        by.ask(Operation::ProposalResult, &ReadResult { schema: Schema, id: self.id() })
    }

    /// The approvals of these officers; what the last one was told.
    ///
    /// # Errors
    /// The first [`Refusal`].
    ///
    /// # Panics
    /// Without officers.
    pub fn approved_by(&self, officers: &mut [&mut Caller]) -> Result<VoteReply, Refusal> {
        let mut replies = officers.iter_mut().map(|officer| self.approve(officer));
        let first = replies.next().unwrap()?;
        replies.try_fold(first, |_, reply| reply)
    }
}

/// Proposes by the first of these officers and has all of them approve; what the last one was told.
///
/// # Errors
/// The first [`Refusal`].
///
/// # Panics
/// Without officers, or when it is done at once.
pub fn agree(
    officers: &mut [&mut Caller],
    operation: Operation,
    request: &impl Serialize,
) -> Result<(Pending, ProposalState), Refusal> {
    let pending = propose(officers[0], operation, request)?;
    let state = pending.approved_by(officers)?.state;
    Ok((pending, state))
}

/// The same, which must be executed at once.
///
/// # Panics
/// When it is refused or waits.
pub fn done(officers: &mut [&mut Caller], operation: Operation, request: &impl Serialize) -> Pending {
    let (pending, state) = agree(officers, operation, request).unwrap();
    assert!(matches!(state, ProposalState::Executed { .. }), "{operation}: {state:?}");
    pending
}

/// The state of a version of a key, as an officer reads it.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn key_state(reader: &mut Caller, key: &str, version: u32) -> Option<KeyState> {
    let keys: KeyListReply = reader.ask(Operation::KeyList, &ListKeys { schema: Schema }).unwrap();
    let found = keys.keys.iter().find(|one| one.name.as_str() == key && one.version == version);
    found.map(|key| key.state)
}

/// The acts that took a quorum, with their leaves' places.
///
/// # Panics
/// When one does not read.
#[must_use]
pub fn acts(leaves: &[Leaf]) -> Vec<(u64, ActByQuorumLeaf)> {
    let by_quorum = [LeafKind::ActByQuorum, LeafKind::SealedActByQuorum];
    let acts = leaves.iter().filter(|(entry, _)| by_quorum.contains(&entry.kind));
    acts.map(|(entry, payload)| (entry.index, cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).unwrap())).collect()
}

impl Ground {
    /// The log and all that took people in it must verify offline, by both verifiers alike, and the store be what the log
    /// says; then it serves again.
    ///
    /// # Panics
    /// When it is not so.
    pub fn assert_clean(&mut self) {
        let folder = self.site().folder().join("clean");
        let _ = std::fs::remove_dir_all(&folder);
        self.block_on(async {
            self.auditor().await.unwrap().export(&folder, |_, _| {}).await.unwrap();
        });
        for check in ["verify", "controls"] {
            let mut fobaudit = Command::new(&self.programs().fobaudit);
            fobaudit.arg(check).arg(&folder).arg("--trust").arg(self.site().trust());
            let verified = ended(fobaudit);
            assert!(verified.status.success(), "{}", text(&verified));
        }
        assert_agreed(&self.programs().fobaudit, &folder, &self.site().trust());
        self.stop();
        let verified = ended(self.keysvc(&["verify-store"]));
        assert!(verified.status.success(), "{}", text(&verified));
        self.start().unwrap();
    }

    /// Makes someone who joins, and the request that enrols them.
    ///
    /// # Panics
    /// When they cannot be made.
    #[must_use]
    pub fn newcomer(&self, id: &str, kind: PrincipalKind, group: &str) -> EnrolPrincipal {
        let newcomer = Newcomer { name: name(id), kind, group: name(group), capabilities: Vec::new() };
        let made = self.site().add_persona(&self.programs().softhsm_setup, &newcomer).unwrap();
        let statement_key = made.statement_key.map(|key| Blob::try_from(key.p256().spki().to_vec()).unwrap());
        let wrapping_key = made.wrapping_key.map(|key| Blob::try_from(key.as_der().to_vec()).unwrap());
        let principal = Enrolment {
            schema: Schema,
            id: newcomer.name,
            kind,
            group: newcomer.group,
            capabilities: List::default(),
            tls_key: made.tls_key,
            statement_key,
            wrapping_key,
        };
        EnrolPrincipal { schema: Schema, idem: idem(), principal }
    }

    /// Connects a caller anew, as after a new start of the front.
    ///
    /// # Panics
    /// When it does not connect.
    pub fn reconnect(&self, caller: &mut Caller, persona: &str) {
        caller.line = Line::open(self.site(), persona);
    }
}

/// Waits until it is so.
///
/// # Panics
/// When it takes too long.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < LONG, "still not so after {LONG:?}: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
