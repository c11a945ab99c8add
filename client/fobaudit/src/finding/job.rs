//! What can be wrong with leaves about jobs and cards, in words.

use keysvc_protocol::{
    name::Name,
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    request::Operation,
};
use std::fmt;

/// What is wrong with a leaf about a job or about cards.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JobProblem {
    /// The rules do not allow it.
    #[error("{}{}", of(.job.as_ref()), Broken(*.operation, .why))]
    Refused {
        /// What was asked; nothing for what the service does alone.
        operation: Option<Operation>,
        /// The job, where the request names one.
        job: Option<Name>,
        /// Why it does not hold.
        why: Refusal,
    },
    /// A job is purged, and the key under which its data lay still stands.
    #[error("job {0} is purged, and the storage key of its data was not destroyed before")]
    KeyStands(Name),
    /// A job is purged with a storage key that the log does not know.
    #[error("job {0} is purged with the storage key of its data, and the log knows none")]
    NoKey(Name),
    /// The key under which a job's data lay is destroyed by a leaf that did not end the job.
    #[error(
        "the storage key of job {job} was destroyed for leaf {intent}, which did not close or withdraw it"
    )]
    OtherIntent {
        /// The job.
        job: Name,
        /// The leaf named.
        intent: u64,
    },
    /// The audit record of a job that there is not.
    #[error("the audit record of job {0}, which there is not")]
    RecordOfNone(Name),
}

fn of(job: Option<&Name>) -> String {
    job.map_or_else(String::new, |job| format!("job {job}: "))
}

/// A refusal of the state machine, said of what stands in the log.
struct Broken<'a>(Option<Operation>, &'a Refusal);

impl fmt::Display for Broken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(operation, why) = self;
        match (operation, why) {
            (_, Refusal::ApprovalInvalid { reason }) => f.write_str(agreement(*operation, *reason)),
            (Some(operation), Refusal::SamePerson) => f.write_str(same_person(*operation)),
            (Some(Operation::CardDerive), why) => derived(why, f),
            (Some(operation), why) => other(*operation, why, f),
            (None, why) => write!(f, "its purge does not hold: {why}"),
        }
    }
}

/// What is wrong with a person's agreement.
const fn agreement(operation: Option<Operation>, reason: Uncounted) -> &'static str {
    match (operation, reason) {
        (Some(Operation::CardDerive), Uncounted::TooFew) => {
            "keys of another generation were released without two people"
        }
        (_, Uncounted::TooFew) => "a person's agreement is missing",
        (_, Uncounted::UsedBefore) => "a person's agreement was used before",
        (Some(Operation::JobClose), Uncounted::Stale) => {
            "the purge was witnessed before its last count, long ago, or in the future"
        }
        (Some(Operation::JobOpen | Operation::JobResume), Uncounted::Stale) => {
            "a person's agreement was older than a quarter of an hour or than its last session, or of the future"
        }
        (_, Uncounted::Stale) => "a person's agreement was older than a quarter of an hour, or of the future",
        (_, Uncounted::OtherAct) => "a person's agreement is to another act or another job",
        (_, Uncounted::NotInRole) => "somebody agreed who may not",
        (_, Uncounted::Disabled) => "somebody agreed who was disabled",
        (_, Uncounted::Signature) => "the signature of a person's agreement does not verify",
        _ => "a person's agreement is none",
    }
}

const fn same_person(operation: Operation) -> &'static str {
    match operation {
        Operation::JobSeal => "whoever put it together sealed it as well",
        Operation::JobOpen | Operation::JobResume => {
            "it was opened by one person twice, or by somebody who put it together or reviewed it"
        }
        Operation::JobCount | Operation::JobIncident => "whoever operated it reviewed it as well",
        Operation::JobClose => "the purge was witnessed by somebody who put the job together or operated it",
        _ => "one person did what takes different people",
    }
}

/// What is wrong with the release of card keys.
fn derived(why: &Refusal, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match why {
        Refusal::StateConflict { reason: Conflict::JobState { state } } => {
            write!(f, "keys were released while it was {state}")
        }
        Refusal::StateConflict { reason: Conflict::SessionOver } => {
            f.write_str("keys were released after the session of its two operators was over")
        }
        Refusal::StateConflict { reason: Conflict::CardState { state } } => {
            write!(f, "keys were released again for a card that was {state}")
        }
        Refusal::StateConflict { reason: Conflict::Generation { newest } } => {
            write!(f, "keys were released again for a card whose newest generation is {newest}")
        }
        Refusal::StateConflict { reason: Conflict::JobComplete } => {
            f.write_str("keys were released for more cards than were issued")
        }
        Refusal::StateConflict { reason: Conflict::OtherJob } => {
            f.write_str("keys were released for a card of another job that is not closed")
        }
        Refusal::LimitExceeded { .. } => {
            f.write_str("keys were released for fewer cards than were asked for and left")
        }
        Refusal::ExchangeUnknown => f.write_str("keys were released under another session than its newest"),
        Refusal::ResultPending => {
            f.write_str("keys were released while as many cards as may be were without result")
        }
        Refusal::NotFound { what: Thing::Item } => {
            f.write_str("keys were released for a card that is not on its list")
        }
        Refusal::Invalid { reason: Invalid::Encoding } => {
            f.write_str("the root is not over the keys that the station asked for")
        }
        why => write!(f, "the release of keys does not hold: {why}"),
    }
}

fn other(operation: Operation, why: &Refusal, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (operation, why) {
        (Operation::JobOpen | Operation::JobResume, Refusal::PurgePending) => {
            f.write_str("it was opened at a station from which the job before was not purged")
        }
        (Operation::JobOpen | Operation::JobResume, Refusal::Invalid { reason: Invalid::Time }) => {
            f.write_str("the session of its two operators is longer than two hours, or none")
        }
        (Operation::JobClose, Refusal::StateConflict { reason: Conflict::Unbalanced }) => {
            f.write_str("it was closed although its counts do not balance, or nobody counted")
        }
        (Operation::CardResult, Refusal::NotFound { what: Thing::Card }) => {
            f.write_str("a result of a card for which no keys were released")
        }
        (Operation::CardResult, Refusal::StateConflict { reason: Conflict::OtherJob }) => {
            f.write_str("a result of a card that is another job's")
        }
        (
            Operation::CardResult | Operation::CardTransition,
            Refusal::StateConflict { reason: Conflict::CardState { state } },
        ) => {
            write!(f, "{operation} of a card that was {state}")
        }
        (Operation::CardTransition, Refusal::StateConflict { reason: Conflict::JobState { state } }) => {
            write!(f, "{operation} of a card whose job was {state}")
        }
        (Operation::JobWithdraw, Refusal::Forbidden) => {
            f.write_str("it was withdrawn by somebody who neither made nor sealed it")
        }
        (Operation::JobSeal, Refusal::Invalid { reason: Invalid::Manifest }) => {
            f.write_str("its seal is over another head or list of cards")
        }
        (operation, why) => write!(f, "{operation} does not hold: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::{card::CardState, job::JobState};

    fn said(operation: Operation, why: Refusal) -> String {
        let job = Some("nfc-1".parse().unwrap());
        JobProblem::Refused { operation: Some(operation), job, why }.to_string()
    }

    #[test]
    fn each_broken_rule_is_said_of_its_job_in_plain_words() {
        let conflict = |reason| Refusal::StateConflict { reason };
        assert_eq!(
            said(Operation::JobSeal, Refusal::SamePerson),
            "job nfc-1: whoever put it together sealed it as well"
        );
        assert_eq!(
            said(Operation::CardDerive, conflict(Conflict::JobState { state: JobState::Suspended })),
            "job nfc-1: keys were released while it was suspended"
        );
        assert_eq!(
            said(Operation::CardTransition, conflict(Conflict::CardState { state: CardState::Retired })),
            "job nfc-1: card.transition of a card that was retired"
        );
        assert_eq!(
            said(Operation::JobCount, Refusal::ApprovalInvalid { reason: Uncounted::UsedBefore }),
            "job nfc-1: a person's agreement was used before"
        );
        assert_eq!(
            said(Operation::JobCreate, conflict(Conflict::NameTaken)),
            "job nfc-1: job.create does not hold: not in this state: the name was used before"
        );
    }
}
