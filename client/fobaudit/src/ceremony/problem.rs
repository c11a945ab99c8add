//! What can be wrong with a ceremony's file, each with the step where it is one step's.

use crate::finding::Finding;
use keysvc_protocol::{
    bytes::{Digest, KeyIdentifier},
    cbor::DecodeError,
    ceremony::{CeremonyError, PlanError, Role},
    cose::CoseError,
    founding::PrincipalKind,
    name::Name,
    trust::TrustDomain,
};
use std::fmt;

/// What people sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paper {
    /// The plan, before it is run.
    Plan,
    /// The transcript, at its end.
    Transcript,
}

impl fmt::Display for Paper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plan => "plan",
            Self::Transcript => "transcript",
        })
    }
}

/// People, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names(pub(crate) Vec<Name>);

impl<'a> FromIterator<&'a Name> for Names {
    fn from_iter<T: IntoIterator<Item = &'a Name>>(names: T) -> Self {
        let mut names: Vec<_> = names.into_iter().cloned().collect();
        names.sort_unstable();
        names.dedup();
        Self(names)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nobody");
        }
        let names: Vec<_> = self.0.iter().map(Name::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

/// What is wrong with the file, the people under it, or its anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// The file is not one, or its chain of records is broken.
    #[error("{0}")]
    Form(#[from] CeremonyError),
    /// It was a rehearsal.
    #[error("it is the transcript of a rehearsal: a rehearsal proves nothing")]
    Rehearsal,
    /// The plan in it is none.
    #[error("the plan in the transcript does not read: {0}")]
    PlanForm(String),
    /// The plan in it does not agree with itself.
    #[error("the plan in the transcript: {0}")]
    PlanUnsound(PlanError),
    /// The transcript or its plan is for another service.
    #[error("the {paper} is for the service {found}, not for the trust file's")]
    OtherDomain {
        /// Which of the two.
        paper: Paper,
        /// What it names.
        found: TrustDomain,
    },
    /// The transcript or its plan is for another log.
    #[error("the {paper} is for the log with the genesis digest {found}, not for the trust file's")]
    OtherLog {
        /// Which of the two.
        paper: Paper,
        /// What it names.
        found: Digest,
    },
    /// The exported log is not verified.
    #[error("the exported log is not verified: {0}")]
    Log(Box<Finding>),
    /// The exported log withholds what the ceremony stands on.
    #[error("payloads are withheld from leaf {0} on, so that the ceremony cannot be compared with the log")]
    Withheld(u64),
    /// Steps of the plan that have no record, or records of no step.
    #[error("the transcript has records of {found} steps, the plan has {planned}")]
    Steps {
        /// Steps of the plan.
        planned: usize,
        /// Records.
        found: usize,
    },
    /// The transcript is not in the log.
    #[error("the log does not hold this transcript: no ceremony.record names its digest")]
    NotAnchored,
    /// The log holds another transcript of the same plan.
    #[error(
        "the log does not hold this transcript: leaf {leaf} records another one of this plan, {transcript}"
    )]
    AnchoredOther {
        /// The leaf.
        leaf: u64,
        /// The transcript it records.
        transcript: Digest,
    },
    /// The log holds another transcript of the same plan as well.
    #[error("the log holds another transcript of this plan as well: leaf {leaf} records {transcript}")]
    AnotherTranscript {
        /// The leaf.
        leaf: u64,
        /// The transcript it records.
        transcript: Digest,
    },
    /// The anchor names another plan.
    #[error("leaf {leaf} records the transcript with another plan, {found}")]
    AnchorPlan {
        /// The leaf.
        leaf: u64,
        /// The plan it names.
        found: Digest,
    },
    /// The anchor names other people.
    #[error("leaf {leaf} says that {found} took part, the plan names {planned}")]
    AnchorPeople {
        /// The leaf.
        leaf: u64,
        /// Whom it names.
        found: Names,
        /// Whom the plan names.
        planned: Names,
    },
    /// Somebody of the plan was not enrolled, not enabled, or has no key to sign with.
    #[error("{0} of the plan was not enrolled with a key to sign with")]
    NotEnrolled(Name),
    /// An officer of the plan was enrolled as something else.
    #[error("{0} is an officer of the plan and was enrolled as {1}")]
    NoOfficer(Name, PrincipalKind),
    /// Somebody of the plan was disabled.
    #[error("{0} of the plan was disabled")]
    Disabled(Name),
    /// Two people with one key.
    #[error("{0} and {1} are enrolled with one key")]
    SameKey(Name, Name),
    /// Somebody did not sign.
    #[error("{person} did not sign the {paper}")]
    Missing {
        /// What.
        paper: Paper,
        /// Who.
        person: Name,
    },
    /// Somebody signed twice.
    #[error("{person} signed the {paper} twice")]
    Twice {
        /// What.
        paper: Paper,
        /// Who.
        person: Name,
    },
    /// A signature by a key of nobody in the plan.
    #[error("a signature under the {paper} is by a key of nobody in the plan: {kid}")]
    Stranger {
        /// What.
        paper: Paper,
        /// The key.
        kid: KeyIdentifier,
    },
    /// Something among the signatures that is none.
    #[error("a signature under the {paper} is none: {why}")]
    NotSigned {
        /// What.
        paper: Paper,
        /// Why not.
        why: CoseError,
    },
    /// A signature that does not hold.
    #[error("the signature of {person} under the {paper}: {why}")]
    Signature {
        /// What.
        paper: Paper,
        /// Whose.
        person: Name,
        /// Why not.
        why: CoseError,
    },
    /// What somebody signed is no agreement.
    #[error("what {person} signed under the {paper} does not decode: {why}")]
    AgreementForm {
        /// What.
        paper: Paper,
        /// Who.
        person: Name,
        /// Why not.
        why: DecodeError,
    },
    /// Somebody signed another plan or transcript.
    #[error("{person} signed another {paper}, {found}")]
    Other {
        /// What.
        paper: Paper,
        /// Who.
        person: Name,
        /// Its digest.
        found: Digest,
    },
    /// Somebody signed in another name or role than the plan gives them.
    #[error("{person} signed the {paper} as {name} ({role})")]
    OtherRole {
        /// What.
        paper: Paper,
        /// Who.
        person: Name,
        /// The name in the agreement.
        name: Name,
        /// The role in the agreement.
        role: Role,
    },
    /// What is wrong with a step.
    #[error("step {number}: {what}")]
    Step {
        /// Its number.
        number: u16,
        /// What is wrong.
        what: StepProblem,
    },
}

impl Problem {
    /// The step it is about, where it is about one.
    pub(crate) const fn step(&self) -> Option<u16> {
        match self {
            Self::Step { number, .. }
            | Self::Form(
                CeremonyError::Chain { number }
                | CeremonyError::Time { number }
                | CeremonyError::Deviation { number },
            ) => Some(*number),
            _ => None,
        }
    }
}

/// What is wrong with a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StepProblem {
    /// Somebody else did it.
    #[error("{found} did it, the plan says {planned}")]
    OtherPerson {
        /// Whom the plan says.
        planned: Name,
        /// Who did it.
        found: Name,
    },
    /// It names no proposal.
    #[error("it names no proposal")]
    NoProposal,
    /// The log has no such proposal.
    #[error("the log has no proposal {0} before the transcript was recorded")]
    UnknownProposal(String),
    /// Two steps ask with one proposal.
    #[error("it names the proposal of step {0}")]
    SameProposal(u16),
    /// It approved another proposal than the step that asked made.
    #[error("it names another proposal than step {0}, which it approves")]
    OtherProposal(u16),
    /// Somebody else asked.
    #[error("{found} asked for it in the log, the plan says {planned}")]
    OtherRequester {
        /// Whom the plan says.
        planned: Name,
        /// Who asked.
        found: Name,
    },
    /// The request in the log was not made by this step of this plan.
    #[error("leaf {leaf} holds a request of its own, not the one of this step of this plan")]
    OtherCeremony {
        /// Where the request stands.
        leaf: u64,
    },
    /// It is recorded as failed, and its act or vote is there.
    #[error("recorded as failed, and the log has it at leaf {leaf}")]
    FailedInLog {
        /// Where it stands.
        leaf: u64,
    },
    /// The clock of the ceremony was not the log's.
    #[error("its time and the log's at leaf {leaf} are {hours} hours apart")]
    Clock {
        /// Where it stands.
        leaf: u64,
        /// By how much, in whole hours.
        hours: u64,
    },
    /// The log has another request.
    #[error("the log says: {found}; the plan says: {planned}")]
    AsksOther {
        /// What the plan asks for.
        planned: String,
        /// What the log holds.
        found: String,
    },
    /// There is no act.
    #[error("the log has no act of it")]
    NoAct,
    /// The act is by others than the plan says.
    #[error("in the log {found} approved it, the plan says {planned}")]
    OtherApprovers {
        /// Whom the plan says.
        planned: Names,
        /// Whose approvals the act holds.
        found: Names,
    },
    /// Somebody did not approve.
    #[error("the log has no approval of it by {0}")]
    NotApproved(Name),
    /// It names another leaf than the act's.
    #[error("it names leaf {stated}, its act stands at leaf {found}")]
    OtherLeaf {
        /// The leaf it names.
        stated: u64,
        /// The act's leaf.
        found: u64,
    },
    /// It names no leaf.
    #[error("it names no leaf")]
    NoLeaf,
    /// There is no component at the leaf.
    #[error("leaf {0} is not a component that was given")]
    NotGiven(u64),
    /// It comes before an earlier step in the log.
    #[error("it stands at leaf {leaf} in the log, before step {before} at leaf {at}")]
    OutOfOrder {
        /// Its leaf.
        leaf: u64,
        /// The earlier step.
        before: u16,
        /// That step's leaf.
        at: u64,
    },
    /// The key is not in the log.
    #[error("the log has no key {0} version {1}")]
    NoKey(Name, u32),
    /// The log says something else than a fact.
    #[error("it states {name} = {stated}, the log says {found}")]
    Fact {
        /// The fact.
        name: String,
        /// What the transcript states.
        stated: String,
        /// What the log says.
        found: String,
    },
    /// The plan expects something that the log does not say.
    #[error("the plan expects {name} = {planned}, the log says {found}")]
    Expected {
        /// What.
        name: &'static str,
        /// What the plan expects.
        planned: String,
        /// What the log says.
        found: String,
    },
    /// Somebody who is said to have signed the founding file did not.
    #[error("{0} did not sign the founding file of this log")]
    NoFounder(Name),
    /// The step states another file than the plan.
    #[error("it states {name} = {stated}, the plan says {planned}")]
    NotPlanned {
        /// The fact.
        name: String,
        /// What the transcript states.
        stated: String,
        /// What the plan says.
        planned: String,
    },
    /// The founding file is another.
    #[error("the log was founded with another founding file, {0}")]
    OtherFounding(Digest),
}
