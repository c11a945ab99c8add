//! The walk: the plan's steps one after the other, each shown, done, initialled and made durable before the next.
//!
//! What a step does is [`super::perform`]'s; who answers is [`super::answers`]'s.

use crate::{
    ceremony::{
        answers::{AfterFailure, Answerer},
        people::People,
        perform::{self, Performed, Stage},
        plan_file::PlanFile,
        progress::Kept,
        rehearsal::Rehearsal,
        words,
    },
    fault::Fault,
    moment::now_ms,
    output::{LOUD, tell},
    proposal_view::WIDTH,
    shown::{plain, rows, wrapped},
};
use keysvc_client::protocol::{
    ceremony::{Fact, Outcome, Step, StepRecord, Text},
    name::{REASON_LEN_MAX, Reason},
    schema::Schema,
};

/// How the names of attributes begin.
const ATTRIBUTE: &str = "CKA_";

/// A ceremony that is walked through.
pub(crate) struct Ceremony<'a> {
    /// The plan.
    pub(crate) file: &'a PlanFile,
    /// The people.
    pub(crate) people: People,
    /// Who answers.
    pub(crate) answerer: Answerer,
    /// What is done, and where it is kept.
    pub(crate) kept: Kept,
    /// The scratch site of a rehearsal.
    pub(crate) rehearsal: Option<Rehearsal>,
}

/// A step's end as people put it down.
struct Ended {
    performed: Performed,
    outcome: Outcome,
    deviation: Option<Reason>,
}

impl Ceremony<'_> {
    /// Walks from the first step that is not recorded to the last.
    ///
    /// # Errors
    /// [`Fault`] where it stops; it goes on from there when it is started again.
    pub(crate) async fn walk(&mut self) -> Result<(), Fault> {
        let total = self.file.plan.steps.len();
        if self.kept.interruptions() > 0 {
            let (next, times) = (self.kept.next(), self.kept.interruptions());
            tell(&format_args!(
                "{LOUD}taken up again at step {next} of {total}; interruptions so far: {times}{LOUD:#}"
            ));
        }
        let file = self.file;
        for (number, step) in (1_u16..).zip(&file.plan.steps) {
            if number < self.kept.next() {
                continue;
            }
            self.step(number, step, total).await?;
            if self.answerer.stops_after(number) {
                return Err(Fault::Interrupted { step: number });
            }
        }
        Ok(())
    }

    async fn step(&mut self, number: u16, step: &Step, total: usize) -> Result<(), Fault> {
        tell(&format_args!("\n{LOUD}Step {number} of {total}{LOUD:#}  {}: {}", step.by, step.say));
        if step.activity.is_some() {
            tell(&format_args!("  the program {}", words::activity(step)));
        }
        for line in words::expected(step) {
            tell(&format_args!("  expected: {line}"));
        }
        let record = match self.kept.performed().cloned() {
            Some(record) => {
                tell(&"it was done before the interruption; only its initials are missing");
                record
            }
            None => self.done(number, step).await?,
        };
        let ended = Ended {
            performed: Performed::of_record(&record),
            outcome: record.outcome,
            deviation: record.deviation.clone(),
        };
        show(&ended.performed);
        let (outcome, deviation) = self.noted((number, step), &ended)?;
        let initials = self.answerer.initials(number, &step.by)?;
        let ended_ms = now_ms().max(record.started_ms);
        self.kept.push(StepRecord { initials, outcome, deviation, ended_ms, ..record })?;
        tell(&format_args!("step {number}: {}", words::outcome(outcome)));
        Ok(())
    }

    /// Does the step and keeps what it came to: its record, without initials yet.
    async fn done(&mut self, number: u16, step: &Step) -> Result<StepRecord, Fault> {
        self.answerer.go_on(&step.by)?;
        if let Some(rehearsal) = &mut self.rehearsal {
            rehearsal.before(step, &mut self.people).await?;
        }
        let started_ms = now_ms().max(self.kept.not_before_ms());
        let Ended { performed, outcome, deviation } = self.performed(number, step).await?;
        let record = StepRecord {
            schema: Schema,
            number,
            previous: self.kept.head(),
            person: step.by.clone(),
            started_ms,
            ended_ms: now_ms().max(started_ms),
            outcome,
            initials: Text::lossy("-"),
            facts: performed.recorded()?,
            deviation,
            proposal: performed.proposal,
            leaf: performed.leaf,
        };
        self.kept.keep(record.clone())?;
        Ok(record)
    }

    /// Does the step, again where the person says so; one that is given up is a failed one with its reason.
    async fn performed(&mut self, number: u16, step: &Step) -> Result<Ended, Fault> {
        // What was sent stays with the step, whatever became of it.
        let mut sent = None;
        loop {
            let before = self.kept.steps().to_vec();
            let mut stage = Stage {
                file: self.file,
                people: &mut self.people,
                answerer: &self.answerer,
                before: &before,
                stand_ins: self.rehearsal.as_ref().map(Rehearsal::stand_ins),
                number,
                step,
                sent,
            };
            let done = perform::perform(&mut stage).await;
            sent = stage.sent;
            let fault = match done {
                Ok(performed) => {
                    let deviation = performed.mismatch.as_ref().map(|differs| reason(differs, &step.say));
                    let outcome = if deviation.is_some() { Outcome::Deviated } else { Outcome::Done };
                    return Ok(Ended { performed, outcome, deviation });
                }
                Err(fault) => fault,
            };
            match self.answerer.after_failure(number, &plain(&fault.to_string()))? {
                AfterFailure::Stop => return Err(fault),
                AfterFailure::Retry => {}
                AfterFailure::Record => {
                    let deviation = Some(reason(&fault.to_string(), &step.say));
                    let performed = Performed::failed(sent);
                    return Ok(Ended { performed, outcome: Outcome::Failed, deviation });
                }
            }
        }
    }

    /// How the step ended, with what the people saw.
    fn noted(&self, (number, step): (u16, &Step), ended: &Ended) -> Result<(Outcome, Option<Reason>), Fault> {
        let Some(seen) = self.answerer.deviation(number)? else {
            return Ok((ended.outcome, ended.deviation.clone()));
        };
        let all = match &ended.deviation {
            Some(before) => format!("{before}; {seen}"),
            None => seen.to_string(),
        };
        let outcome = if ended.outcome == Outcome::Done { Outcome::Deviated } else { ended.outcome };
        Ok((outcome, Some(reason(&all, &step.say))))
    }
}

fn show(performed: &Performed) {
    // The sentence was shown before it was signed; attributes are many, and stand together.
    let attribute = |fact: &&Fact| fact.name.as_str().contains(ATTRIBUTE);
    let plain_facts =
        performed.facts().iter().filter(|fact| !attribute(fact) && fact.name.as_str() != "sentence");
    let text = rows(plain_facts.map(|fact| (fact.name.as_str(), fact.value.to_string())));
    if !text.is_empty() {
        tell(&text);
    }
    let attributes: Vec<_> = performed
        .facts()
        .iter()
        .filter(attribute)
        .map(|fact| format!("{}={}", fact.name.as_str().replace(' ', "."), fact.value))
        .collect();
    if !attributes.is_empty() {
        tell(&format_args!("attributes, as read back:\n{}", wrapped(&attributes.join(" "), WIDTH)));
    }
    if let Some(differs) = &performed.mismatch {
        tell(&format_args!("{LOUD}not as planned: {}{LOUD:#}", plain(differs)));
    }
}

/// Words as they can stand in a record: printable, and cut. Where nothing of them is left, the `other` words.
fn reason(text: &str, other: &Reason) -> Reason {
    let plain = |letter: char| if matches!(letter, ' '..='~') { letter } else { ' ' };
    let kept: String = text.chars().take(REASON_LEN_MAX).map(plain).collect();
    kept.parse().unwrap_or_else(|_| other.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_words_become_a_deviation_that_can_be_recorded() {
        let other: Reason = "said otherwise".parse().unwrap();
        assert_eq!(reason("not as\nplanned", &other).as_str(), "not as planned");
        assert_eq!(reason("\u{e9}", &other), other);
        assert_eq!(reason(&"x".repeat(500), &other).as_str().len(), 200);
    }
}
