//! What one officer alone tries, with her card, her connection, a machine's key, a key of nobody's, and whatever others ever
//! signed: each with what it must be answered.
//!
//! It sends nothing.

use keysvc_client::signer::FileSigner;
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    cose::Kind,
    freeze::Scope,
    key::KeyKind,
    proposal::ProposalState,
    quorum::{Need, Verdict},
    refusal::{
        Invalid, Refusal,
        Uncounted::{Form, NotAnOfficer, OtherProposal, OtherVerdict, Signature},
    },
    reply::{ChangedReply, PendingReply, ResultReply, VoteReply},
    request::{ActivateKey, DestroyKey, LiftFreeze, Operation, ReadResult, SetQuorum},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{Pending, Sent, activate, create, destroy, idem, name, propose, read},
    forge::{
        approval_of, approve, edited, fresh_key, high_s, in_the_name_of, reject, said, signed_as, turned,
    },
    raw::{Answer, Caller, key, sign},
};
use softhsm_setup::Site;

/// The key that is not in use yet.
pub const SPARE: &str = "spare";

/// What she has beside her card, round after round.
#[derive(Debug)]
pub struct Forger {
    machine: FileSigner,
    nobody: FileSigner,
    /// Officer-2's wish for something else.
    other: Pending,
    /// Officer-3's approval of that.
    theirs: Vec<u8>,
    // Asked again each round: each stays one proposal.
    activate: ActivateKey,
    destroy: DestroyKey,
}

impl Forger {
    /// A terminal's key, one that nobody enrolled, and an approval by officer-3 of what officer-2 asked for.
    pub fn new(site: &Site, two: &mut Caller, three: &Caller) -> Self {
        let other = propose(two, Operation::KeyCreate, &create("other", KeyKind::ValueSigning)).unwrap();
        Self {
            machine: key(site, "terminal-1"),
            nobody: fresh_key(site.folder(), "nobody.key"),
            theirs: other.verdict(three, Verdict::Approve).into_bytes(),
            other,
            activate: activate(SPARE, 1),
            destroy: destroy(SPARE, 1),
        }
    }
}

/// What one round is about.
#[derive(Debug)]
pub struct Scene {
    /// What is frozen.
    pub scope: Scope,
    /// Officer-1's wish to lift it.
    pub lift: LiftFreeze,
    /// The proposal that it became.
    pub asked: Pending,
}

/// What came back, as far as it matters here.
#[derive(Debug)]
pub enum Answered {
    /// It waits for people.
    Waits(Box<PendingReply>),
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

impl Answered {
    /// Reads the answer to a request for a change.
    pub fn of(answer: &Answer) -> Self {
        match read::<ChangedReply>(answer) {
            Ok(Sent::Pending(pending)) => Self::Waits(pending),
            Ok(Sent::Done(_)) => Self::Done,
            Err(_) => Self::Refused,
        }
    }
}

/// What an attack must be answered.
#[derive(Debug)]
enum Must {
    /// Exactly this refusal.
    Refuse(Refusal),
    /// That it waits for people.
    Wait,
    /// That one person has approved, and that it is open.
    CountOne,
    /// That it is open, without a reply.
    TellNothing,
}

/// One attack.
#[derive(Debug)]
pub struct Attack {
    name: &'static str,
    /// What is called.
    pub operation: Operation,
    /// The request inside its envelope.
    pub message: Vec<u8>,
    must: Must,
}

impl Attack {
    /// Whether it was answered as it must be.
    ///
    /// # Errors
    /// How it was answered.
    pub fn judge(&self, answer: &Answer) -> Result<(), String> {
        let so = match &self.must {
            Must::Refuse(refusal) => answer.status >= 400 && answer.refusal() == *refusal,
            Must::Wait => match Answered::of(answer) {
                Answered::Waits(pending) => pending.state == ProposalState::Open,
                Answered::Done | Answered::Refused => false,
            },
            Must::CountOne => answer
                .read::<VoteReply>()
                .is_ok_and(|voted| (voted.persons, voted.state) == (1, ProposalState::Open)),
            Must::TellNothing => answer
                .read::<ResultReply>()
                .is_ok_and(|result| (result.reply, result.state) == (None, ProposalState::Open)),
        };
        if so {
            return Ok(());
        }
        let said = if answer.status >= 400 { answer.refusal().to_string() } else { "taken".to_owned() };
        Err(format!("{}: answered {} ({said}), and must {:?}", self.name, answer.status, self.must))
    }
}

/// Everything that officer-1 tries in one round, in this order.
pub fn attacks(scene: &Scene, forger: &Forger, [one, two, three]: [&Caller; 3]) -> Vec<Attack> {
    let mut all = votes(scene, forger, [one, two, three]);
    all.extend(wishes(scene, forger, one));
    all
}

fn uncounted(reason: keysvc_protocol::refusal::Uncounted) -> Must {
    Must::Refuse(Refusal::ApprovalInvalid { reason })
}

/// Votes that are none, and her own again and again.
fn votes(scene: &Scene, forger: &Forger, [one, two, three]: [&Caller; 3]) -> Vec<Attack> {
    let (asked, genesis) = (&scene.asked, one.genesis);
    let bytes = asked.reply.proposal.as_bytes();
    let payload = cbor::encode(&said(bytes, Verdict::Approve));
    let by = |key: &FileSigner| sign(key, Kind::Approval, genesis.as_bytes(), payload.clone());
    let own = approval_of(one, bytes);
    let no = signed_as(one, Kind::Approval, genesis.as_bytes(), cbor::encode(&said(bytes, Verdict::Reject)));
    let edited = |edit: fn(&mut keysvc_protocol::proposal::Proposal)| approval_of(one, &edited(asked, edit));
    let statement = asked.proposal.request.statement.0.as_bytes().to_vec();
    let cases = [
        ("a machine's key approves", by(&forger.machine), uncounted(NotAnOfficer)),
        ("a key that nobody enrolled approves", by(&forger.nobody), uncounted(NotAnOfficer)),
        (
            "she signs under officer-2's identifier",
            in_the_name_of(two, one, payload.clone()),
            uncounted(Signature),
        ),
        (
            "she signs under officer-3's identifier",
            in_the_name_of(three, one, payload.clone()),
            uncounted(Signature),
        ),
        ("officer-3's approval of something else", forger.theirs.clone(), uncounted(OtherProposal)),
        (
            "her approval of something else",
            approval_of(one, forger.other.reply.proposal.as_bytes()),
            uncounted(OtherProposal),
        ),
        (
            "her approval for another log",
            signed_as(one, Kind::Approval, &[7; 32], payload.clone()),
            uncounted(Signature),
        ),
        ("her request stands for an approval", statement, uncounted(Form)),
        ("her rejection is sent as an approval", no, uncounted(OtherVerdict)),
        (
            "her approval after the need was lowered",
            edited(|one| one.need = Need { persons: 1, ..Need::of(2) }),
            uncounted(OtherProposal),
        ),
        (
            "her approval under other policies",
            edited(|one| one.policy = Digest::new([7; 32])),
            uncounted(OtherProposal),
        ),
        ("her approval of a longer life", edited(|one| one.expires_ms += 1), uncounted(OtherProposal)),
        ("an approval that was altered", turned(&own, 64 + 2 + 1), uncounted(Signature)),
        ("her own approval", own.clone(), Must::CountOne),
        ("her own approval again", own.clone(), Must::CountOne),
        ("another approval of hers", approval_of(one, bytes), Must::CountOne),
        ("her approval's other signature", high_s(&own), uncounted(Signature)),
    ];
    let operation = Operation::ProposalApprove;
    let mut all: Vec<Attack> = cases
        .into_iter()
        .map(|(name, approval, must)| Attack {
            name,
            operation,
            message: approve(asked.id(), approval),
            must,
        })
        .collect();
    all.push(Attack {
        name: "her approval is sent as a rejection",
        operation: Operation::ProposalReject,
        message: reject(asked.id(), own),
        must: uncounted(OtherVerdict),
    });
    all
}

/// Requests that take more people than her.
fn wishes(scene: &Scene, forger: &Forger, one: &Caller) -> Vec<Attack> {
    let look = cbor::encode(&ReadResult { schema: Schema, id: scene.asked.id() });
    let need = |operation, need| cbor::encode(&SetQuorum { schema: Schema, idem: idem(), operation, need });
    let low = || Must::Refuse(Refusal::Invalid { reason: Invalid::Need });
    let twisted = LiftFreeze { scope: Scope::Terminal { name: name("terminal-1") }, ..scene.lift.clone() };
    let single = Need { persons: 1, ..Need::of(2) };
    let cases = [
        ("she asks for its end", Operation::ProposalResult, look, Must::TellNothing),
        ("she asks once more", Operation::FreezeLift, cbor::encode(&scene.lift), Must::Wait),
        (
            "another wish under the same number",
            Operation::FreezeLift,
            cbor::encode(&twisted),
            Must::Refuse(Refusal::IdemConflict),
        ),
        ("a threshold of one person", Operation::QuorumSet, need(Operation::FreezeLift, single), low()),
        (
            "a threshold below the floor",
            Operation::QuorumSet,
            need(Operation::KeyDestroy, Need::of(2)),
            low(),
        ),
        ("she puts a key into use", Operation::KeyActivate, cbor::encode(&forger.activate), Must::Wait),
        ("she destroys a key", Operation::KeyDestroy, cbor::encode(&forger.destroy), Must::Wait),
    ];
    cases
        .into_iter()
        .map(|(name, operation, payload, must)| Attack {
            name,
            operation,
            message: one.message(operation, payload),
            must,
        })
        .collect()
}
