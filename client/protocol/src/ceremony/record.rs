//! The transcript of a ceremony, and the signatures under it.

use super::plan::{PEOPLE_MAX, PLAN_LEN_MAX, Role, STEPS_MAX};
use crate::{
    bytes::{Blob, Digest, ProposalId},
    cbor::{self, DecodeError},
    hash::sha256,
    list::List,
    name::{Name, Reason},
    schema::Schema,
    trust::TrustDomain,
};
use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// Longest signed agreement, in bytes.
pub const AGREEMENT_LEN_MAX: usize = 320;
/// Longest encoded transcript, in bytes: the plan, and 64 steps of 6 KiB.
pub const TRANSCRIPT_LEN_MAX: usize = 512 * 1024;
/// Longest text of a fact, in bytes.
const TEXT_LEN_MAX: usize = 512;

/// Text of a transcript: 1 to 512 bytes of printable ASCII.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Text(String);

/// Text that does not belong into a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a text in a transcript is 1 to 512 printable ASCII characters")]
pub struct NotAText;

impl Text {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as it can stand in a transcript: cut, and with `?` for what cannot be printed.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let plain = |letter: char| if matches!(letter, ' '..='~') { letter } else { '?' };
        let mut kept: String = text.chars().take(TEXT_LEN_MAX).map(plain).collect();
        if kept.is_empty() {
            kept.push('-');
        }
        Self(kept)
    }
}

impl FromStr for Text {
    type Err = NotAText;
    fn from_str(text: &str) -> Result<Self, NotAText> {
        let good = (1..=TEXT_LEN_MAX).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'));
        if good { Ok(Self(text.to_string())) } else { Err(NotAText) }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What a person signs before a plan is run ([`crate::cose::Kind::Plan`], bound to the trust domain).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanAgreement {
    /// Field 0.
    pub schema: Schema,
    /// SHA-256 of the plan's bytes.
    pub plan: Digest,
    /// The person.
    pub person: Name,
    /// The person's role in it.
    pub role: Role,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// As planned.
    Done,
    /// Done, and not as planned: the deviation says how.
    Deviated,
    /// Not done: the deviation says why.
    Failed,
}

/// Something a step showed. An auditor compares the facts named by the constants below, and those named by a PKCS#11
/// attribute (`CKA_..`), with the log; every other fact stands by the people's word alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// What: `check-value`, `state`, `digest`, `CKA_SENSITIVE`.
    pub name: Text,
    /// Its value.
    pub value: Text,
}

impl Fact {
    /// The check value of the step's key, in hexadecimal; in `component-give` the one of the component.
    pub const CHECK_VALUE: &'static str = "check-value";
    /// In `component-give`, the check value of the whole key, once its last component made it.
    pub const KEY_CHECK_VALUE: &'static str = "key-check-value";
    /// The name of the step's key.
    pub const KEY: &'static str = "key";
    /// The version of the step's key.
    pub const VERSION: &'static str = "version";
    /// The state of the step's key, as [`crate::key::KeyState`] writes it.
    pub const STATE: &'static str = "state";
    /// What the step's key is for.
    pub const KIND: &'static str = "kind";
    /// The method of the check value of the step's key.
    pub const CHECK_METHOD: &'static str = "check-method";
    /// `CKA_ID` of the step's key.
    pub const IDENTIFIER: &'static str = "identifier";
    /// When the step's key was made: milliseconds since 1970-01-01 UTC.
    pub const MADE_AT: &'static str = "made-at-ms";
    /// Whether the value of the step's key is known: `true` or `false`.
    pub const TEST_KEY: &'static str = "test-key";
    /// The proposal that the step made, approved, or gave a component for.
    pub const PROPOSAL: &'static str = "proposal";
    /// SHA-256 of that proposal's bytes.
    pub const PROPOSAL_DIGEST: &'static str = "proposal-digest";
    /// The leaf of that proposal.
    pub const PROPOSAL_LEAF: &'static str = "proposal-leaf";
    /// The operation that it asks for.
    pub const OPERATION: &'static str = "operation";
    /// The same as a sentence.
    pub const SENTENCE: &'static str = "sentence";
    /// In `approve`, the leaf of the person's vote.
    pub const VOTE_LEAF: &'static str = "vote-leaf";
    /// The leaf of the act; in `component-give` the leaf that says it was given.
    pub const LEAF: &'static str = "leaf";
    /// In `component-give`, the component's number from 1.
    pub const NUMBER: &'static str = "number";
    /// SHA-256 of the file that the step read: the plan's.
    pub const DIGEST: &'static str = "digest";
    /// The trust domain.
    pub const TRUST_DOMAIN: &'static str = "trust-domain";
    /// The genesis digest.
    pub const GENESIS: &'static str = "genesis";
    /// In `status` the digest of the policies in force; in `policy-propose` that of the proposed ones.
    pub const POLICY: &'static str = "policy";
    /// In `profile-put`, the profile as `NAME version N`.
    pub const PROFILE: &'static str = "profile";
    /// In `principal-enrol`, the name of who is enrolled.
    pub const PRINCIPAL: &'static str = "principal";
    /// How many facts did not fit into the step's record, where some did not.
    pub const LEFT_OUT: &'static str = "facts-left-out";

    /// A fact; what cannot be printed in its value is replaced.
    #[must_use]
    pub fn new(name: &str, value: &str) -> Self {
        Self { name: Text::lossy(name), value: Text::lossy(value) }
    }
}

/// What was done in one step. `proposal` stands in a step that asks and in each that approves it; `leaf` is the act's, in
/// the step that brought it about, and in `component-give` the leaf that says it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRecord {
    /// Field 0.
    pub schema: Schema,
    /// The step's number in the plan, from 1.
    pub number: u16,
    /// SHA-256 of the encoded record before; of the plan's bytes for the first.
    pub previous: Digest,
    /// Who did it.
    pub person: Name,
    /// When it began, by the ceremony machine's clock: milliseconds since 1970-01-01 UTC.
    pub started_ms: u64,
    /// When it ended, same clock.
    pub ended_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// The person's initials.
    pub initials: Text,
    /// What it showed.
    pub facts: List<Fact, 112>,
    /// What was not as planned, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<Reason>,
    /// The proposal that it made or approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<ProposalId>,
    /// The leaf of the act that it brought about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
}

/// The transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// Field 0.
    pub schema: Schema,
    /// The trust domain of the service.
    pub trust_domain: TrustDomain,
    /// The genesis digest of its log.
    pub genesis: Digest,
    /// Whether it was a rehearsal against a scratch token.
    pub rehearsal: bool,
    /// The plan's exact bytes.
    pub plan: Blob<PLAN_LEN_MAX>,
    /// The signed agreements to the plan ([`PlanAgreement`]), one for each person.
    pub agreements: List<Blob<AGREEMENT_LEN_MAX>, PEOPLE_MAX>,
    /// The program that ran it, with its version.
    pub program: Text,
    /// When it began, by the ceremony machine's clock: milliseconds since 1970-01-01 UTC.
    pub started_ms: u64,
    /// When it ended, same clock.
    pub ended_ms: u64,
    /// How often it was interrupted and taken up again.
    pub interruptions: u16,
    /// The steps, in the plan's order.
    pub steps: List<StepRecord, STEPS_MAX>,
}

/// What everyone who took part signs at the end ([`crate::cose::Kind::Transcript`], bound to the genesis digest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranscriptAgreement {
    /// Field 0.
    pub schema: Schema,
    /// SHA-256 of the transcript's bytes.
    pub transcript: Digest,
    /// The person.
    pub person: Name,
    /// The person's role in it.
    pub role: Role,
}

/// The file that is kept: the transcript and the signatures under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CeremonyFile {
    /// Field 0.
    pub schema: Schema,
    /// The transcript's exact bytes.
    pub transcript: Blob<TRANSCRIPT_LEN_MAX>,
    /// The signed agreements to it ([`TranscriptAgreement`]), one for each person.
    pub agreements: List<Blob<AGREEMENT_LEN_MAX>, PEOPLE_MAX>,
}

/// Why a ceremony's file is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CeremonyError {
    /// Not the typed file.
    #[error("not a ceremony's file: {0}")]
    Encoding(#[from] DecodeError),
    /// A step is missing, twice, or out of order, or names another record before it.
    #[error("the record of step {number} does not follow the one before")]
    Chain {
        /// The step's number.
        number: u16,
    },
    /// A step ended before it began, or before the one before it.
    #[error("the times of step {number} run backwards")]
    Time {
        /// The step's number.
        number: u16,
    },
    /// A step that is not as planned does not say how, or one that is does.
    #[error("the outcome of step {number} and its deviation do not agree")]
    Deviation {
        /// The step's number.
        number: u16,
    },
}

impl CeremonyFile {
    /// Longest file, in bytes.
    pub const LEN_MAX: usize = TRANSCRIPT_LEN_MAX + PEOPLE_MAX * (AGREEMENT_LEN_MAX + 4) + 64;

    /// Reads a file's bytes and the transcript in it; verifies no signature.
    ///
    /// # Errors
    /// [`CeremonyError`] for the first thing wrong.
    pub fn read(bytes: &[u8]) -> Result<(Self, Transcript), CeremonyError> {
        let file: Self = cbor::decode(bytes, Self::LEN_MAX)?;
        let transcript = Transcript::read(file.transcript.as_bytes())?;
        Ok((file, transcript))
    }
}

impl Transcript {
    /// Reads a transcript's bytes and checks its chain of steps.
    ///
    /// # Errors
    /// [`CeremonyError`] for the first thing wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, CeremonyError> {
        let transcript: Self = cbor::decode(bytes, TRANSCRIPT_LEN_MAX)?;
        transcript.check()?;
        Ok(transcript)
    }

    /// The digest that the next record names.
    #[must_use]
    pub fn head(&self) -> Digest {
        match self.steps.last() {
            Some(last) => sha256(&[&cbor::encode(last)]),
            None => sha256(&[self.plan.as_bytes()]),
        }
    }

    fn check(&self) -> Result<(), CeremonyError> {
        let mut previous = sha256(&[self.plan.as_bytes()]);
        let mut time_ms = self.started_ms;
        for (number, step) in (1_u16..).zip(self.steps.iter()) {
            if step.number != number || step.previous != previous {
                return Err(CeremonyError::Chain { number });
            }
            if step.started_ms < time_ms || step.ended_ms < step.started_ms {
                return Err(CeremonyError::Time { number });
            }
            if (step.outcome == Outcome::Done) == step.deviation.is_some() {
                return Err(CeremonyError::Deviation { number });
            }
            time_ms = step.ended_ms;
            previous = sha256(&[&cbor::encode(step)]);
        }
        if self.ended_ms < time_ms {
            return Err(CeremonyError::Time { number: u16::try_from(self.steps.len()).unwrap_or(u16::MAX) });
        }
        Ok(())
    }

    /// The people whose agreement to the plan this holds, as the bytes they signed.
    #[must_use]
    pub fn agreement(plan: &[u8], person: &Name, role: Role) -> Vec<u8> {
        let plan = sha256(&[plan]);
        cbor::encode(&PlanAgreement { schema: Schema, plan, person: person.clone(), role })
    }
}
