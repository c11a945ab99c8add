//! `fobaudit ceremony`: a ceremony's file, verified from the exported log and the trust file alone.
//!
//! The log is verified first, as `fobaudit controls` does; then the file: that the plan's people signed the plan and the
//! transcript with the keys they were enrolled with, that each step is in the log as planned, and that the log holds the
//! transcript's digest. What happened in the room no file proves; the signatures say that the people there saw it so.

mod facts;
mod problem;
mod replay;
mod signed;
mod steps;
#[cfg(test)]
mod tests;
mod wanted;
mod words;

pub(crate) use problem::{Names, Problem, StepProblem};
pub(crate) use steps::Judged;

use crate::{
    fault::Fault,
    finding::Findings,
    log_folder::{LogFolder, read_file},
    verify::{self, Alone, Task, Verification},
    walk::Opened,
};
use keysvc_protocol::{
    bytes::Digest,
    ceremony::{CeremonyFile, Outcome, Plan, Transcript},
    hash::sha256,
    name::Name,
    trust::Trust,
};
use problem::Paper;
use replay::{Anchor, Replay};
use signed::Signable;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use steps::Steps;
use wanted::Wanted;

/// What is to be verified.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The ceremony's file.
    pub(crate) bytes: &'a [u8],
    /// The exported log.
    pub(crate) folder: LogFolder<'a>,
    /// What is trusted.
    pub(crate) trust: &'a Trust,
    /// Files with older checkpoints that the log must continue.
    pub(crate) previous: &'a [PathBuf],
}

/// A ceremony, and what was found of it.
#[derive(Debug)]
pub(crate) struct Held {
    /// The transcript; nothing where the file is none.
    pub(crate) transcript: Option<Transcript>,
    /// Its digest.
    pub(crate) digest: Option<Digest>,
    /// The plan in it; nothing where it is none.
    pub(crate) plan: Option<Plan>,
    /// Each step, as far as it was compared with the log.
    pub(crate) steps: Vec<Judged>,
    /// The department of each person of the plan who was enrolled.
    pub(crate) departments: BTreeMap<Name, Name>,
    /// The leaf that anchors it: index, time and who recorded it.
    pub(crate) anchored: Option<(u64, u64, Name)>,
    /// What is wrong.
    pub(crate) problems: Vec<Problem>,
    /// The log; nothing where it was not read, because the file alone proves nothing.
    pub(crate) verification: Option<Verification>,
}

/// Reads a ceremony's file.
///
/// # Errors
/// [`Fault`] when it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    read_file(path, u64::try_from(CeremonyFile::LEN_MAX).unwrap_or(u64::MAX))
}

/// Verifies a ceremony. `progress` is told how many leaves of how many are read.
///
/// # Errors
/// [`Fault`] when a file of the log cannot be read. What is wrong is in the problems.
pub(crate) fn run(asked: &Asked<'_>, progress: &mut dyn FnMut(u64, u64)) -> Result<Held, Fault> {
    let mut held = Held::empty();
    let (file, transcript) = match CeremonyFile::read(asked.bytes) {
        Ok(read) => read,
        Err(error) => {
            held.problems.push(error.into());
            return Ok(held);
        }
    };
    let digest = sha256(&[file.transcript.as_bytes()]);
    held.digest = Some(digest);
    match plan_of(&transcript) {
        Ok(plan) => held.plan = Some(plan),
        Err(problem) => held.problems.push(problem),
    }
    held.check_scope(&transcript, asked.trust);
    held.transcript = Some(transcript);
    // What is no proof of this log's is not compared with it.
    if !held.problems.is_empty() {
        return Ok(held);
    }
    held.compare(asked, (&file, digest), progress)?;
    Ok(held)
}

/// The plan in a transcript, once it agrees with itself.
fn plan_of(transcript: &Transcript) -> Result<Plan, Problem> {
    let text = str::from_utf8(transcript.plan.as_bytes());
    let text = text.map_err(|error| Problem::PlanForm(error.to_string()))?;
    let plan: Plan = toml::from_str(text).map_err(|error| Problem::PlanForm(error.message().to_owned()))?;
    plan.check().map_err(Problem::PlanUnsound)?;
    Ok(plan)
}

impl Held {
    const fn empty() -> Self {
        Self {
            transcript: None,
            digest: None,
            plan: None,
            steps: Vec::new(),
            departments: BTreeMap::new(),
            anchored: None,
            problems: Vec::new(),
            verification: None,
        }
    }

    /// Steps that ended so.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        let steps = self.transcript.iter().flat_map(|transcript| transcript.steps.iter());
        steps.filter(|step| step.outcome == outcome).count()
    }

    /// Whether transcript and plan are of the trust file's log, and no rehearsal.
    fn check_scope(&mut self, transcript: &Transcript, trust: &Trust) {
        if transcript.rehearsal {
            self.problems.push(Problem::Rehearsal);
        }
        let plan = self.plan.as_ref().map(|plan| (&plan.trust_domain, plan.genesis));
        let papers = [
            Some((Paper::Transcript, (&transcript.trust_domain, Some(transcript.genesis)))),
            plan.map(|plan| (Paper::Plan, plan)),
        ];
        for (paper, (domain, genesis)) in papers.into_iter().flatten() {
            if *domain != trust.domain {
                self.problems.push(Problem::OtherDomain { paper, found: domain.clone() });
            }
            if let Some(found) = genesis.filter(|genesis| *genesis != trust.genesis) {
                self.problems.push(Problem::OtherLog { paper, found });
            }
        }
    }

    fn compare(
        &mut self,
        asked: &Asked<'_>,
        (file, digest): (&CeremonyFile, Digest),
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Fault> {
        let (Some(transcript), Some(plan)) = (&self.transcript, &self.plan) else { return Ok(()) };
        let Asked { folder, trust, previous, .. } = *asked;
        let task = Task { previous, ..Task::of(folder, trust) };
        // Its findings come again with the whole log.
        let opened = Opened::open(folder, trust, &mut Findings::default())?;
        let Some(opened) = opened else {
            let verification = verify::run_beside(&task, &mut Alone, progress)?;
            self.problems.extend(log_problem(&verification));
            self.verification = Some(verification);
            return Ok(());
        };
        let mut found = Replay::new(&opened.founded, Wanted::of(transcript, digest));
        let verification = verify::run_beside(&task, &mut found, progress)?;
        let mut problems: Vec<_> = log_problem(&verification).into_iter().collect();
        self.verification = Some(verification);
        self.anchored =
            found.anchor.as_ref().map(|anchor| (anchor.at.leaf, anchor.at.time_ms, anchor.by.clone()));
        if problems.is_empty() {
            self.departments = plan
                .people
                .iter()
                .filter_map(|person| {
                    let member = found.roster().member(&person.name)?;
                    Some((person.name.clone(), member.enrolment.group.clone()))
                })
                .collect();
            problems.extend(found.withheld().map(Problem::Withheld));
            if problems.is_empty() {
                check_anchor(plan, transcript, &found, &mut problems);
            }
            check_people(plan, (transcript, file), digest, &found, &mut problems);
        }
        if problems.iter().all(|problem| !matches!(problem, Problem::Log(_) | Problem::Withheld(_))) {
            if transcript.steps.len() != plan.steps.len() {
                let (planned, found) = (plan.steps.len(), transcript.steps.len());
                problems.push(Problem::Steps { planned, found });
            }
            self.steps = Steps::new(plan, transcript, &found).judge();
        }
        for (number, judged) in (1_u16..).zip(&self.steps) {
            let wrong = judged.problems.iter().cloned();
            problems.extend(wrong.map(|what| Problem::Step { number, what }));
        }
        self.problems = problems;
        Ok(())
    }
}

fn log_problem(verification: &Verification) -> Option<Problem> {
    verification.findings.first().map(|finding| Problem::Log(Box::new(finding.clone())))
}

/// Whether the log holds the transcript, with its plan and exactly its people.
fn check_anchor(plan: &Plan, transcript: &Transcript, found: &Replay, problems: &mut Vec<Problem>) {
    let Some(Anchor { at, request, .. }) = &found.anchor else {
        return problems.push(match found.other_anchors.last() {
            Some((leaf, transcript)) => Problem::AnchoredOther { leaf: *leaf, transcript: *transcript },
            None => Problem::NotAnchored,
        });
    };
    // Two accounts of one ceremony: which of them is true the log cannot say.
    let others = found.other_anchors.iter();
    problems.extend(
        others.map(|(leaf, transcript)| Problem::AnotherTranscript { leaf: *leaf, transcript: *transcript }),
    );
    let leaf = at.leaf;
    if request.plan != sha256(&[transcript.plan.as_bytes()]) {
        problems.push(Problem::AnchorPlan { leaf, found: request.plan });
    }
    let said: Names = request.people.iter().collect();
    let planned: Names = plan.people.iter().map(|person| &person.name).collect();
    if said != planned || request.people.len() != plan.people.len() {
        problems.push(Problem::AnchorPeople { leaf, found: said, planned });
    }
}

/// Whether exactly the people of the plan signed both papers.
fn check_people(
    plan: &Plan,
    (transcript, file): (&Transcript, &CeremonyFile),
    digest: Digest,
    found: &Replay,
    problems: &mut Vec<Problem>,
) {
    let signers = signed::signers(plan, found.roster(), problems);
    let of_plan = Signable {
        paper: Paper::Plan,
        digest: sha256(&[transcript.plan.as_bytes()]),
        scope: transcript.trust_domain.as_str().as_bytes(),
    };
    signed::check(of_plan, &signers, &transcript.agreements, problems);
    let of_transcript = Signable { paper: Paper::Transcript, digest, scope: transcript.genesis.as_bytes() };
    signed::check(of_transcript, &signers, &file.agreements, problems);
}
