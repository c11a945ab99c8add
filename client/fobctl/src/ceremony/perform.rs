//! One step of a plan, done: an activity becomes calls of the client, and what they showed becomes facts.
//!
//! What a step was to come to and what it came to are compared here; a difference is told and never passed over. Who
//! puts their initials to it is [`super::walk`]'s.

mod approve;
mod ask;
mod component;
mod found;
mod look;
mod policy;

use crate::{
    ceremony::{answers::Answerer, people::People, plan_file::PlanFile, rehearsal::StandIns},
    fault::Fault,
};
use keysvc_client::protocol::{
    bytes::ProposalId,
    ceremony::{Activity, Fact, Outcome, Step, StepRecord},
    key::KeyRecord,
    list::List,
};
use std::fmt::Display;

pub(crate) use component::StandIn;

/// The fact that names a proposal's bytes: what was approved is what was asked for.
const PROPOSAL_DIGEST: &str = "proposal-digest";
/// Most facts of a step's record; what is beyond is counted in the last one.
const FACTS_MAX: usize = 112;

/// What a step is done with.
pub(crate) struct Stage<'a> {
    /// The plan.
    pub(crate) file: &'a PlanFile,
    /// The people.
    pub(crate) people: &'a mut People,
    /// Who answers questions.
    pub(crate) answerer: &'a Answerer,
    /// The records of the steps before.
    pub(crate) before: &'a [StepRecord],
    /// What stands in for secrets in a rehearsal.
    pub(crate) stand_ins: Option<&'a StandIns>,
    /// The step's number, from 1.
    pub(crate) number: u16,
    /// The step.
    pub(crate) step: &'a Step,
    /// The proposal that was made, voted on, or given to, as soon as its request is on its way: a step that fails after
    /// that keeps it, so that an auditor finds what became of it.
    pub(crate) sent: Option<ProposalId>,
}

/// What a step came to.
#[derive(Debug, Default)]
pub(crate) struct Performed {
    facts: Vec<Fact>,
    /// The proposal that it made or approved.
    pub(crate) proposal: Option<ProposalId>,
    /// The leaf of the act that it brought about.
    pub(crate) leaf: Option<u64>,
    /// What is not as the plan expects.
    pub(crate) mismatch: Option<String>,
}

impl Performed {
    /// Adds a fact; what cannot stand in a transcript is replaced.
    pub(crate) fn fact(&mut self, name: &str, value: &dyn Display) {
        self.facts.push(Fact::new(name, &value.to_string()));
    }

    /// The facts as they are recorded. Where there are more than a record holds, the last one says how many are left out.
    ///
    /// # Errors
    /// [`Fault::Usage`] where they do not fit all the same.
    pub(crate) fn recorded(&self) -> Result<List<Fact, FACTS_MAX>, Fault> {
        let mut facts: Vec<_> = self.facts.iter().take(FACTS_MAX).cloned().collect();
        let left = self.facts.len().saturating_sub(FACTS_MAX);
        if left > 0 {
            facts.pop();
            let more = left.saturating_add(1);
            facts.push(Fact::new(Fact::LEFT_OUT, &more.to_string()));
        }
        List::try_from(facts).map_err(|_| {
            Fault::usage(
                "the step has more facts than a record holds",
                "keep the folder, and tell the makers",
            )
        })
    }

    /// What a step came to that failed: nothing but the proposal that its request is known to concern.
    pub(crate) fn failed(sent: Option<ProposalId>) -> Self {
        Self { proposal: sent, ..Self::default() }
    }

    /// What an interrupted step had come to, out of its record.
    pub(crate) fn of_record(record: &StepRecord) -> Self {
        Self {
            facts: record.facts.to_vec(),
            proposal: record.proposal,
            leaf: record.leaf,
            mismatch: record.deviation.as_ref().map(ToString::to_string),
        }
    }

    /// The facts.
    pub(crate) fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// Notes something that is not as the plan expects.
    pub(crate) fn differs(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.mismatch = Some(match self.mismatch.take() {
            Some(before) => format!("{before}; {what}"),
            None => what,
        });
    }

    /// A key as it was read: everything that its record says.
    pub(crate) fn key(&mut self, key: &KeyRecord) {
        self.key_with(key, Fact::CHECK_VALUE);
    }

    /// The same in a step whose check value is another thing's.
    fn key_with(&mut self, key: &KeyRecord, check_value: &str) {
        self.fact(Fact::KEY, &key.name);
        self.fact(Fact::VERSION, &key.version);
        self.fact("kind", &key.kind.name());
        self.fact(Fact::STATE, &key.state);
        self.fact("check-method", &key.check.method());
        self.fact(check_value, &key.check);
        self.fact("identifier", &key.id);
        self.fact("made-at-ms", &key.made_at_ms);
        self.fact("test-key", &key.test_key);
        for attribute in key.attributes.iter() {
            self.fact(&attribute.name, &attribute.value);
        }
    }

    /// Compares a check value with the plan's.
    pub(crate) fn compare_check(&mut self, key: &KeyRecord, expected: &str) {
        let found = key.check.to_string();
        if !found.eq_ignore_ascii_case(expected) {
            self.differs(format!("key {} has the check value {found}, not {expected}", key.name));
        }
    }
}

/// Does what a step says.
///
/// # Errors
/// [`Fault`] when it could not be done: then nothing is recorded of it yet.
pub(crate) async fn perform(stage: &mut Stage<'_>) -> Result<Performed, Fault> {
    let step = stage.step;
    let Some(activity) = &step.activity else { return Ok(Performed::default()) };
    match activity {
        Activity::Status => look::status(stage).await,
        Activity::KeyShow { .. } => look::key(stage, activity).await,
        Activity::FoundingSign { file, sha256 } => found::sign(stage, file, sha256),
        Activity::Found { config } => found::found(stage, config),
        Activity::Approve { of_step } => approve::approve(stage, *of_step).await,
        Activity::ComponentGive { of_step } => component::give(stage, *of_step).await,
        Activity::KeyCreate { .. }
        | Activity::KeyActivate { .. }
        | Activity::KeyRetire { .. }
        | Activity::KeyImport { .. }
        | Activity::PrincipalEnrol { .. }
        | Activity::PolicyPropose { .. }
        | Activity::ProfilePut { .. } => ask::ask(stage, activity).await,
    }
}

impl Stage<'_> {
    /// The record of an earlier step, and the step.
    ///
    /// # Errors
    /// [`Fault`] where there is none, which a checked plan excludes.
    pub(crate) fn earlier(&self, number: u16) -> Result<(&StepRecord, &Step), Fault> {
        let record = self.before.iter().find(|record| record.number == number);
        let step = self.file.plan.step(number);
        record.zip(step).ok_or_else(|| {
            Fault::usage(format!("step {number} is not done yet"), "correct the plan's order of steps")
        })
    }

    /// The proposal that an earlier step made.
    ///
    /// # Errors
    /// [`Fault`] where it made none.
    pub(crate) fn proposal_of(&self, number: u16) -> Result<ProposalId, Fault> {
        let (record, _) = self.earlier(number)?;
        let what = match (record.outcome, record.proposal) {
            // Its record may name a proposal; what that says nobody has shown to anyone.
            (Outcome::Failed, _) => format!("step {number} is recorded as failed"),
            (_, Some(id)) => return Ok(id),
            (_, None) => format!("step {number} made no proposal"),
        };
        Err(Fault::usage(what, "record this step as failed, and hold another ceremony for what is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_key_is_recorded_with_every_attribute() {
        let mut performed = Performed::default();
        performed.key(&sample::key());
        let has = |name: &str, value: &str| {
            performed.facts().iter().any(|fact| fact.name.as_str() == name && fact.value.as_str() == value)
        };
        assert!(has("check-value", "0102030405") && has("CKA_DERIVE", "true") && has("state", "active"));
    }

    #[test]
    fn another_check_value_is_a_difference_in_words() {
        let mut performed = Performed::default();
        performed.compare_check(&sample::key(), "0102030405");
        assert_eq!(performed.mismatch, None);
        performed.compare_check(&sample::key(), "ffffffffff");
        performed.differs("and late");
        let words = performed.mismatch.unwrap();
        assert!(words.contains("has the check value 0102030405, not ffffffffff; and late"), "{words}");
    }

    #[test]
    fn facts_beyond_the_limit_are_counted_and_not_silently_dropped() {
        let mut performed = Performed::default();
        for number in 0..120 {
            performed.fact("n", &number);
        }
        let recorded = performed.recorded().unwrap();
        assert_eq!(recorded.len(), FACTS_MAX);
        assert_eq!(recorded.last().unwrap().name.as_str(), "facts-left-out");
        assert_eq!(recorded.last().unwrap().value.as_str(), "9");
    }
}
