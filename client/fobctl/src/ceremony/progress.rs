//! What of a ceremony is done: a file that is written after each step, so that an interrupted ceremony goes on.
//!
//! It holds the steps' records as they will stand in the transcript. It proves nothing: the transcript's signatures and the
//! log do.

use crate::{
    ceremony::{durable, plan_file::PlanFile, words},
    fault::Fault,
    moment::now_ms,
};
use keysvc_client::protocol::{
    bytes::{Blob, Digest},
    cbor,
    ceremony::{AGREEMENT_LEN_MAX, PEOPLE_MAX, STEPS_MAX, StepRecord, TRANSCRIPT_LEN_MAX, Text, Transcript},
    hash::sha256,
    list::List,
    schema::Schema,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The file's name in the ceremony's folder.
const FILE: &str = "progress.cbor";

/// A ceremony under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// Field 0.
    schema: Schema,
    /// The plan's digest.
    plan: Digest,
    /// Whether it is a rehearsal.
    rehearsal: bool,
    /// When it began: milliseconds since 1970-01-01 UTC.
    started_ms: u64,
    /// How often it was taken up again.
    interruptions: u16,
    /// The people's agreements to the plan, as they were when it began.
    agreements: List<Blob<AGREEMENT_LEN_MAX>, PEOPLE_MAX>,
    /// The steps that are done.
    steps: List<StepRecord, STEPS_MAX>,
    /// The next step, where it is done and nobody has put initials to it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    performed: Option<StepRecord>,
}

/// A ceremony under way and where it is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    folder: PathBuf,
    progress: Progress,
}

impl Kept {
    /// Begins a ceremony in a folder, or takes up the one that was interrupted there.
    ///
    /// # Errors
    /// [`Fault::Usage`] where the folder holds a ceremony of another plan; [`Fault`] of the file.
    pub(crate) fn open(
        folder: &Path,
        file: &PlanFile,
        agreements: Vec<Vec<u8>>,
        rehearsal: bool,
    ) -> Result<Self, Fault> {
        durable::folder(folder)?;
        let path = folder.join(FILE);
        let progress = match durable::read(&path, TRANSCRIPT_LEN_MAX)? {
            Some(bytes) => taken_up(&bytes, file, rehearsal, &path)?,
            None => Progress {
                schema: Schema,
                plan: file.digest,
                rehearsal,
                started_ms: now_ms(),
                interruptions: 0,
                agreements: blobs(agreements)?,
                steps: List::default(),
                performed: None,
            },
        };
        let kept = Self { folder: folder.to_owned(), progress };
        kept.write()?;
        Ok(kept)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The records of the steps that are done.
    pub(crate) fn steps(&self) -> &[StepRecord] {
        &self.progress.steps
    }

    /// How often it was taken up again.
    pub(crate) const fn interruptions(&self) -> u16 {
        self.progress.interruptions
    }

    /// The number of the next step, from 1.
    pub(crate) fn next(&self) -> u16 {
        u16::try_from(self.progress.steps.len()).unwrap_or(u16::MAX).saturating_add(1)
    }

    /// The digest that the next record names.
    pub(crate) fn head(&self) -> Digest {
        self.progress.steps.last().map_or(self.progress.plan, |last| sha256(&[&cbor::encode(last)]))
    }

    /// The time before which the next step did not begin: this machine's clock may have been set back meanwhile.
    pub(crate) fn not_before_ms(&self) -> u64 {
        self.progress.steps.last().map_or(self.progress.started_ms, |last| last.ended_ms)
    }

    /// The next step's record, where it was done before an interruption and lacks its initials.
    pub(crate) fn performed(&self) -> Option<&StepRecord> {
        self.progress.performed.as_ref()
    }

    /// Keeps what the next step came to, before anybody is asked about it.
    ///
    /// # Errors
    /// [`Fault`] of the file.
    pub(crate) fn keep(&mut self, record: StepRecord) -> Result<(), Fault> {
        self.progress.performed = Some(record);
        self.write()
    }

    /// Adds a record and makes it durable.
    ///
    /// # Errors
    /// [`Fault`] of the file.
    pub(crate) fn push(&mut self, record: StepRecord) -> Result<(), Fault> {
        let mut steps = self.progress.steps.to_vec();
        steps.push(record);
        self.progress.steps = List::try_from(steps)
            .map_err(|_| Fault::usage("there are more steps than a plan has", "begin with a new folder"))?;
        self.progress.performed = None;
        self.write()
    }

    /// The transcript of what is done.
    pub(crate) fn transcript(&self, file: &PlanFile, genesis: Digest, ended_ms: u64) -> Option<Transcript> {
        let progress = &self.progress;
        Some(Transcript {
            schema: Schema,
            trust_domain: file.plan.trust_domain.clone(),
            genesis,
            rehearsal: progress.rehearsal,
            plan: Blob::try_from(file.bytes.clone()).ok()?,
            agreements: progress.agreements.clone(),
            program: Text::lossy(concat!("fobctl ", env!("CARGO_PKG_VERSION"))),
            started_ms: progress.started_ms,
            ended_ms: ended_ms.max(self.not_before_ms()),
            interruptions: progress.interruptions,
            steps: progress.steps.clone(),
        })
    }

    fn write(&self) -> Result<(), Fault> {
        durable::put(&self.folder.join(FILE), &cbor::encode(&self.progress))
    }
}

fn taken_up(bytes: &[u8], file: &PlanFile, rehearsal: bool, path: &Path) -> Result<Progress, Fault> {
    let other = "name another folder with --out, or finish that ceremony with its own plan";
    let progress: Progress = cbor::decode(bytes, TRANSCRIPT_LEN_MAX).map_err(|error| {
        Fault::usage(format!("{} is not the progress of a ceremony: {error}", path.display()), other)
    })?;
    if progress.plan != file.digest {
        let what = format!(
            "the folder holds the ceremony of another plan: {}, and this plan is {}",
            words::head(&progress.plan),
            words::head(&file.digest)
        );
        return Err(Fault::usage(what, other));
    }
    if progress.rehearsal != rehearsal {
        return Err(Fault::usage("the folder holds a rehearsal, or this is one", other));
    }
    Ok(Progress { interruptions: progress.interruptions.saturating_add(1), ..progress })
}

fn blobs(agreements: Vec<Vec<u8>>) -> Result<List<Blob<AGREEMENT_LEN_MAX>, PEOPLE_MAX>, Fault> {
    let blobs = agreements.into_iter().map(Blob::try_from).collect::<Result<Vec<_>, _>>();
    let list = blobs.ok().and_then(|blobs| List::try_from(blobs).ok());
    list.ok_or_else(|| Fault::usage("an agreement to the plan is too long", "have it signed again"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::plan_file::tests::plan;
    use keysvc_client::protocol::ceremony::{Outcome, Transcript};

    fn record(kept: &Kept) -> StepRecord {
        StepRecord {
            schema: Schema,
            number: kept.next(),
            previous: kept.head(),
            person: "carol".parse().unwrap(),
            started_ms: kept.not_before_ms(),
            ended_ms: kept.not_before_ms() + 5,
            outcome: Outcome::Done,
            initials: "C".parse().unwrap(),
            facts: List::default(),
            deviation: None,
            proposal: None,
            leaf: None,
        }
    }

    #[test]
    fn an_interrupted_ceremony_goes_on_after_its_last_recorded_step_and_counts_it() {
        let scratch = tempfile::tempdir().unwrap();
        let agreements = vec![vec![1, 2, 3]];
        let mut kept = Kept::open(scratch.path(), &plan(), agreements.clone(), false).unwrap();
        assert_eq!((kept.next(), kept.interruptions()), (1, 0));
        kept.push(record(&kept)).unwrap();
        kept.push(record(&kept)).unwrap();
        let head = kept.head();
        drop(kept);
        let again = Kept::open(scratch.path(), &plan(), Vec::new(), false).unwrap();
        assert_eq!((again.next(), again.interruptions()), (3, 1));
        assert_eq!(again.head(), head);
        let transcript = again.transcript(&plan(), Digest::new([1; 32]), 0).unwrap();
        assert_eq!(transcript.agreements.len(), 1, "the agreements of the beginning stay");
        // The chain holds as the auditor reads it.
        assert_eq!(Transcript::read(&cbor::encode(&transcript)), Ok(transcript));
    }

    #[test]
    fn what_a_step_came_to_is_kept_until_its_initials_are_there() {
        let scratch = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(scratch.path(), &plan(), Vec::new(), false).unwrap();
        let done = StepRecord { leaf: Some(7), ..record(&kept) };
        kept.keep(done.clone()).unwrap();
        drop(kept);
        let mut again = Kept::open(scratch.path(), &plan(), Vec::new(), false).unwrap();
        assert_eq!((again.next(), again.performed()), (1, Some(&done)));
        again.push(done).unwrap();
        assert_eq!((again.next(), again.performed()), (2, None));
    }

    #[test]
    fn another_plan_or_a_rehearsal_is_not_mixed_in() {
        let scratch = tempfile::tempdir().unwrap();
        drop(Kept::open(scratch.path(), &plan(), Vec::new(), false).unwrap());
        let mut other = plan();
        other.digest = Digest::new([9; 32]);
        let fault = Kept::open(scratch.path(), &other, Vec::new(), false).unwrap_err();
        assert!(
            fault.to_string().contains("another plan") && fault.to_string().contains("0909 0909"),
            "{fault}"
        );
        assert!(Kept::open(scratch.path(), &plan(), Vec::new(), true).is_err());
    }

    #[test]
    fn a_file_that_is_no_progress_is_refused_and_not_written_over() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join(FILE), b"nonsense").unwrap();
        assert!(Kept::open(scratch.path(), &plan(), Vec::new(), false).is_err());
        assert_eq!(std::fs::read(scratch.path().join(FILE)).unwrap(), b"nonsense");
    }
}
