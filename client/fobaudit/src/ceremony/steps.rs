//! The steps of a transcript against the log: each did what the plan says, by whom it says, and the log holds it.
//!
//! What a step states of the log must be so, whatever happened. Where the log is not as planned, a step that says that it
//! deviated makes a note of it; any other step makes it wrong.

use super::{
    facts::{self, Subject},
    problem::{Names, StepProblem},
    replay::{Asked, CLOCK_MAX_MS, DRIFT_MAX_MS, Given, Place, Replay, key_of},
    words,
};
use keysvc_protocol::{
    bytes::{Digest, Idem},
    ceremony::{Activity, Outcome, Plan, Step, StepRecord, Transcript, idem_of_step},
    hash::sha256,
};
use std::collections::BTreeMap;

/// What was found of one step.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// What is wrong.
    pub(crate) problems: Vec<StepProblem>,
    /// What the log has otherwise than planned, where the step says that it deviated.
    pub(crate) notes: Vec<StepProblem>,
    /// Where the step itself stands in the log.
    pub(crate) leaf: Option<u64>,
    /// What became of what it asked for, in words.
    pub(crate) act: Option<String>,
    /// By how much the ceremony machine's clock and the log differ, where it is too much: milliseconds.
    pub(crate) drift_ms: Option<u64>,
    /// Which facts were compared with the log, in their order.
    pub(crate) compared: Vec<bool>,
}

/// A step of the plan with its record, and what the log holds of it.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    number: u16,
    step: &'a Step,
    record: &'a StepRecord,
    // Where the step itself stands, and the last leaf that it brought about.
    first: Option<Place>,
    last: Option<u64>,
}

/// The steps of a ceremony.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    plan: &'a Plan,
    // The digest of its bytes.
    digest: Digest,
    found: &'a Replay,
    seen: Vec<Seen<'a>>,
    // The leaf behind which everything lies, and the one before which it does.
    begin: u64,
    end: u64,
}

impl<'a> Steps<'a> {
    /// The steps that have both a place in the plan and a record.
    pub(super) fn new(plan: &'a Plan, transcript: &'a Transcript, found: &'a Replay) -> Self {
        let end = found.anchor.as_ref().map_or(u64::MAX, |anchor| anchor.at.leaf);
        let pairs = (1_u16..).zip(plan.steps.iter().zip(transcript.steps.iter()));
        let seen =
            pairs.map(|(number, (step, record))| Seen { number, step, record, first: None, last: None });
        let digest = sha256(&[transcript.plan.as_bytes()]);
        let mut steps = Self { plan, digest, found, seen: seen.collect(), begin: 0, end };
        let places: Vec<_> = steps.seen.iter().map(|seen| steps.place(seen)).collect();
        for (seen, (first, last)) in steps.seen.iter_mut().zip(places) {
            (seen.first, seen.last) = (first, last);
        }
        // Where the machine's clock is ahead, the first step in the log tells better.
        let firsts = steps.seen.iter().filter_map(|seen| seen.first).map(|at| at.leaf.saturating_sub(1));
        steps.begin = firsts.min().map_or(found.before, |first| first.min(found.before));
        steps
    }

    /// Judges each step by itself and among the others.
    pub(super) fn judge(&self) -> Vec<Judged> {
        let mut proposals = BTreeMap::new();
        let mut newest: Option<(u16, u64)> = None;
        let mut judged = Vec::with_capacity(self.seen.len());
        for seen in &self.seen {
            let mut found = Judged { leaf: seen.first.map(|at| at.leaf), ..Judged::default() };
            if seen.record.outcome == Outcome::Failed {
                found.compared = vec![false; seen.record.facts.len()];
                found.leaf = self.despite_failure(seen).map(|at| at.leaf);
                found.notes.extend(found.leaf.map(|leaf| StepProblem::FailedInLog { leaf }));
            } else {
                self.judge_step(seen, &mut found);
                judge_order(seen, &mut newest, &mut found);
                if let (Some(id), true) = (seen.record.proposal, asks(seen.step))
                    && let Some(before) = proposals.insert(id, seen.number)
                {
                    found.problems.push(StepProblem::SameProposal(before));
                }
            }
            judged.push(found);
        }
        judged
    }

    /// The idempotency key of a step's request.
    fn idem(&self, number: u16) -> Idem {
        idem_of_step(&self.digest, number)
    }

    /// What a step asked for: the proposal that it names, or else the one that its request became.
    fn asked_by(&self, seen: &Seen<'_>) -> Option<&'a Asked> {
        let own = Some(self.idem(seen.number));
        self.asked(seen.record).or_else(|| self.found.asked.values().find(|asked| asked.idem == own))
    }

    /// Where the log has what a step asked, approved or gave that is recorded as failed.
    fn despite_failure(&self, seen: &Seen<'_>) -> Option<Place> {
        match &seen.step.activity {
            Some(Activity::Approve { of_step }) => {
                vote(self.asked_by(self.of_number(*of_step)?)?, seen.record)
            }
            Some(Activity::ComponentGive { of_step }) => {
                let import = self.asked_by(self.of_number(*of_step)?)?.id;
                let (own, by) = (self.idem(seen.number), &seen.record.person);
                let of_it = |given: &&Given| {
                    given.request.idem == own || given.by == *by && given.request.proposal == import
                };
                self.found.given.values().find(of_it).map(|given| given.at)
            }
            Some(activity) if activity.asks() => self.asked_by(seen).map(|asked| asked.at),
            _ => None,
        }
    }

    /// Where a step itself stands in the log, and the last leaf it brought about.
    fn place(&self, seen: &Seen<'_>) -> (Option<Place>, Option<u64>) {
        let asked = self.asked(seen.record).filter(|_| self.is_of_its_asking(seen));
        let first = match &seen.step.activity {
            Some(Activity::Approve { .. }) => asked.and_then(|asked| vote(asked, seen.record)),
            Some(Activity::ComponentGive { of_step }) => {
                let asking = self.of_number(*of_step).and_then(|asking| asking.record.proposal);
                let given = self.given(seen).filter(|given| asking == Some(given.request.proposal));
                given.map(|given| given.at)
            }
            Some(activity) if activity.asks() => asked.map(|asked| asked.at),
            _ => None,
        };
        let first_leaf = first.map(|at| at.leaf);
        // The last of those who approve brings the act about.
        let acts = asked.filter(|asked| asked.votes.last().map(|(_, at)| at.leaf) == first_leaf);
        let act = acts.and_then(|asked| asked.act.as_ref()).map(|act| act.at.leaf);
        (first, act.filter(|_| first.is_some()).or(first_leaf))
    }

    /// Whether an approval names the proposal of the step that it approves; others have none to name.
    fn is_of_its_asking(&self, seen: &Seen<'_>) -> bool {
        let Some(Activity::Approve { of_step }) = seen.step.activity else { return true };
        self.of_number(of_step).is_some_and(|asking| asking.record.proposal == seen.record.proposal)
    }

    fn asked(&self, record: &StepRecord) -> Option<&'a Asked> {
        self.found.asked.get(&record.proposal?)
    }

    /// The component at the leaf that a step names; the person's own of that import where it names none.
    fn given(&self, seen: &Seen<'_>) -> Option<&'a Given> {
        let Some(Activity::ComponentGive { of_step }) = seen.step.activity else { return None };
        let asking = self.of_number(of_step).and_then(|asking| asking.record.proposal);
        let own = |given: &&Given| given.by == seen.record.person && Some(given.request.proposal) == asking;
        match seen.record.leaf {
            Some(leaf) => self.found.given.get(&leaf),
            None => self.found.given.values().rfind(own),
        }
    }

    fn of_number(&self, number: u16) -> Option<&Seen<'a>> {
        self.seen.get(usize::from(number).checked_sub(1)?)
    }

    /// The part of the log in which a step that leaves nothing in it lies.
    fn around(&self, seen: &Seen<'_>) -> (u64, u64) {
        let before = self.seen.iter().filter(|other| other.number < seen.number);
        let after = self.seen.iter().filter(|other| other.number > seen.number);
        let from = before.filter_map(|other| other.last).max().unwrap_or(self.begin);
        let to = after.filter_map(|other| other.first).map(|at| at.leaf).min().unwrap_or(self.end);
        (from, to)
    }

    fn judge_step(&self, seen: &Seen<'a>, judged: &mut Judged) {
        let Seen { step, record, .. } = seen;
        if record.person != step.by {
            let (planned, found) = (step.by.clone(), record.person.clone());
            let known = self.plan.person(&found).is_some();
            judged.against_plan(known && deviated(record), StepProblem::OtherPerson { planned, found });
        }
        let mut asking = self.asked(record);
        match &step.activity {
            Some(Activity::Approve { of_step }) => self.judge_approval(seen, *of_step, judged),
            Some(Activity::ComponentGive { of_step }) => {
                self.judge_given(seen, *of_step, judged);
                asking = self.of_number(*of_step).and_then(|asking| self.asked(asking.record));
            }
            Some(Activity::KeyShow { name, version, check_value, state }) => {
                let key = (name.clone(), *version);
                let known = facts::Expected { check_value: check_value.as_deref(), state: state.as_deref() };
                known.judge(self.found, &key, self.around(seen), (judged, deviated(record)));
            }
            Some(Activity::FoundingSign { sha256, .. }) => {
                if let Some(found) = self.found.founding.filter(|found| found != sha256) {
                    judged.against_plan(deviated(record), StepProblem::OtherFounding(found));
                }
                if !self.found.founders.contains(&record.person) {
                    judged.problems.push(StepProblem::NoFounder(record.person.clone()));
                }
            }
            Some(activity) if activity.asks() => self.judge_asking(seen, judged),
            _ => {}
        }
        let of = match &step.activity {
            Some(Activity::Approve { of_step } | Activity::ComponentGive { of_step }) => {
                self.plan.step(*of_step).unwrap_or(step)
            }
            _ => step,
        };
        let subject = Subject {
            activity: step.activity.as_ref(),
            asking: of.activity.as_ref(),
            key: key_of(of, asking),
            asked: asking,
            given: self.given(seen),
            first: seen.first,
            around: self.around_facts(seen),
        };
        facts::judge(self.found, &subject, &record.facts, judged);
    }

    /// Facts of a step that stands in the log were read after it, and before the next step.
    fn around_facts(&self, seen: &Seen<'_>) -> (u64, u64) {
        let (from, to) = self.around(seen);
        (seen.last.unwrap_or(from).max(from), to)
    }

    fn judge_asking(&self, seen: &Seen<'_>, judged: &mut Judged) {
        let Seen { number, step, record, .. } = seen;
        let Some(id) = record.proposal else { return judged.problems.push(StepProblem::NoProposal) };
        let Some(asked) = self.asked(record) else {
            return judged.problems.push(StepProblem::UnknownProposal(id.to_string()));
        };
        judged.act = words::told(asked);
        if asked.requester != step.by {
            let (planned, found) = (step.by.clone(), asked.requester.clone());
            judged.against_plan(deviated(record), StepProblem::OtherRequester { planned, found });
        }
        if let Some(activity) = &step.activity
            && let (Some(planned), found) = (words::planned(activity), words::asked(asked, activity))
            && planned != found
        {
            judged.against_plan(deviated(record), StepProblem::AsksOther { planned, found });
        }
        if asked.idem != Some(self.idem(*number)) {
            let leaf = asked.at.leaf;
            judged.against_plan(deviated(record), StepProblem::OtherCeremony { leaf });
        }
        self.judge_act(*number, record, asked, judged);
    }

    /// Whether the act is there, by exactly those who were to approve it.
    fn judge_act(&self, number: u16, record: &StepRecord, asked: &Asked, judged: &mut Judged) {
        let approving = self.seen.iter().filter(
            |seen| matches!(seen.step.activity, Some(Activity::Approve { of_step }) if of_step == number),
        );
        let planned: Names = approving.clone().map(|seen| &seen.step.by).collect();
        let stated = deviated(record) || approving.clone().any(|seen| seen.record.outcome != Outcome::Done);
        match &asked.act {
            None if planned.0.is_empty() => {}
            None => judged.against_plan(stated, StepProblem::NoAct),
            Some(act) => {
                let found: Names = act.people.iter().collect();
                if !planned.0.is_empty() && found != planned {
                    judged.against_plan(stated, StepProblem::OtherApprovers { planned, found });
                }
            }
        }
        judged.names_act(record, asked);
    }

    fn judge_approval(&self, seen: &Seen<'_>, of_step: u16, judged: &mut Judged) {
        let record = seen.record;
        let asking = self.of_number(of_step).map(|asking| asking.record);
        let Some(id) = record.proposal else { return judged.problems.push(StepProblem::NoProposal) };
        if asking.and_then(|asking| asking.proposal) != Some(id) {
            return judged.problems.push(StepProblem::OtherProposal(of_step));
        }
        let Some(asked) = self.asked(record) else {
            return judged.problems.push(StepProblem::UnknownProposal(id.to_string()));
        };
        if vote(asked, record).is_none() {
            judged.problems.push(StepProblem::NotApproved(record.person.clone()));
        }
        judged.names_act(record, asked);
    }

    fn judge_given(&self, seen: &Seen<'_>, of_step: u16, judged: &mut Judged) {
        let record = seen.record;
        if record.leaf.is_none() {
            judged.against_plan(deviated(record), StepProblem::NoLeaf);
        }
        let Some(given) = self.given(seen) else {
            return judged.problems.extend(record.leaf.map(StepProblem::NotGiven));
        };
        if given.by != record.person {
            let (planned, found) = (record.person.clone(), given.by.clone());
            judged.problems.push(StepProblem::OtherPerson { planned, found });
        }
        let asking = self.of_number(of_step).and_then(|asking| asking.record.proposal);
        if given.request.idem != self.idem(seen.number) {
            let leaf = given.at.leaf;
            judged.against_plan(deviated(record), StepProblem::OtherCeremony { leaf });
        }
        if asking != Some(given.request.proposal) || record.proposal.is_some_and(|id| asking != Some(id)) {
            judged.problems.push(StepProblem::OtherProposal(of_step));
        }
    }
}

impl Judged {
    /// Takes down what is not as planned: a note where the step says so, else a problem.
    pub(super) fn against_plan(&mut self, stated: bool, problem: StepProblem) {
        if stated {
            self.notes.push(problem);
        } else {
            self.problems.push(problem);
        }
    }

    /// A leaf that a step names must be its act's.
    fn names_act(&mut self, record: &StepRecord, asked: &Asked) {
        let Some(stated) = record.leaf else { return };
        match &asked.act {
            Some(act) if act.at.leaf == stated => {}
            Some(act) => self.problems.push(StepProblem::OtherLeaf { stated, found: act.at.leaf }),
            None => self.problems.push(StepProblem::NoAct),
        }
    }
}

/// Whether the log has the steps in their order, and at the times that the transcript says.
fn judge_order(seen: &Seen<'_>, newest: &mut Option<(u16, u64)>, judged: &mut Judged) {
    let Some(Place { leaf, time_ms }) = seen.first else { return };
    match *newest {
        Some((before, at)) if leaf < at => {
            let problem = StepProblem::OutOfOrder { leaf, before, at };
            judged.against_plan(deviated(seen.record), problem);
        }
        _ => *newest = Some((seen.number, leaf)),
    }
    let StepRecord { started_ms, ended_ms, .. } = seen.record;
    let early_ms = started_ms.saturating_sub(time_ms);
    let late_ms = time_ms.saturating_sub(*ended_ms);
    let drift_ms = early_ms.max(late_ms);
    if drift_ms > CLOCK_MAX_MS {
        let hours = drift_ms / (60 * 60 * 1000);
        judged.against_plan(deviated(seen.record), StepProblem::Clock { leaf, hours });
    } else if drift_ms > DRIFT_MAX_MS {
        judged.drift_ms = Some(drift_ms);
    }
}

fn vote(asked: &Asked, record: &StepRecord) -> Option<Place> {
    asked.votes.iter().find(|(person, _)| *person == record.person).map(|(_, at)| *at)
}

fn asks(step: &Step) -> bool {
    step.activity.as_ref().is_some_and(Activity::asks)
}

fn deviated(record: &StepRecord) -> bool {
    record.outcome == Outcome::Deviated
}
