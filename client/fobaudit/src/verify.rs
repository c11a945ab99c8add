//! `fobaudit verify`: a whole exported log, from the trust file to every statement in it.
//!
//! Gathers what was checked and what was found; how it is shown is [`crate::report`]'s. With the state of an earlier
//! run it reads only what is new, once the log is proved to continue what that run verified.

mod held;

pub(crate) use held::{Controls, JobsProved};

use crate::{
    checks::{Checks, Count, Wanted},
    fault::Fault,
    finding::{Findings, Problem},
    log_folder::{LogFolder, read_note},
    state::State,
    walk::{Leaf, Opened, Standing, Tiles, TilesError, Visitor, Walk, Walked},
};
use keysvc_protocol::{checkpoint::SignedCheckpoint, merkle::TreeHead, trust::Trust};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Leaves between two steps of the progress shown: a few milliseconds.
const STEP: u64 = 256;

/// What is to be verified.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task<'a> {
    /// The exported log.
    pub(crate) folder: LogFolder<'a>,
    /// What is trusted.
    pub(crate) trust: &'a Trust,
    /// Files with older checkpoints that the log must continue.
    pub(crate) previous: &'a [PathBuf],
    /// The state of an earlier run, to go on from; it need not be there yet.
    pub(crate) state: Option<&'a Path>,
    /// Whether the acts that took people are wanted in words.
    pub(crate) acts: bool,
    /// A job's audit record, which is compared with the job as the log makes it.
    pub(crate) record: Option<&'a Comparison>,
}

impl<'a> Task<'a> {
    /// The verification of a folder, and nothing beside it.
    pub(crate) const fn of(folder: LogFolder<'a>, trust: &'a Trust) -> Self {
        Self { folder, trust, previous: &[], state: None, acts: false, record: None }
    }
}

/// A job's audit record whose own signatures hold.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    /// Its file.
    pub(crate) file: String,
    /// What its checkpoint commits to.
    pub(crate) head: TreeHead,
    /// The job to look at.
    pub(crate) wanted: Wanted,
}

/// What a verification checked and found.
#[derive(Debug)]
pub(crate) struct Verification {
    /// What was trusted from the start.
    pub(crate) trust: Trust,
    /// What leaf 0 and the checkpoint say; nothing when leaf 0 proves nothing.
    pub(crate) proved: Option<Proved>,
    /// What is wrong.
    pub(crate) findings: Findings,
    /// Where it stood at its end, for the next run; nothing unless that was asked for and everything is verified.
    pub(crate) state: Option<State>,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// What could be checked because leaf 0 was proved.
#[derive(Debug)]
pub(crate) struct Proved {
    /// The log's origin.
    pub(crate) origin: String,
    /// What the checkpoint commits to.
    pub(crate) checkpoint: TreeHead,
    /// Officers, all of whom signed the founding.
    pub(crate) officers: usize,
    /// Whether the log was founded for development.
    pub(crate) development: bool,
    /// Names of keys whose value is known.
    pub(crate) test_keys: Vec<String>,
    /// Leaves found.
    pub(crate) leaves: u64,
    /// Of these, leaves that an earlier run verified and this one did not read.
    pub(crate) before: u64,
    /// Leaves by kind.
    pub(crate) kinds: Vec<(&'static str, Count)>,
    /// Statements of stations, terminals and people on the floor whose signatures were verified.
    pub(crate) statements: u64,
    /// Purses followed.
    pub(crate) purses: usize,
    /// Steps of purses not checked because updates are withheld.
    pub(crate) unlinked: u64,
    /// Intents to make a key without an outcome.
    pub(crate) open_intents: Vec<(u64, String)>,
    /// Time of the last leaf, milliseconds since 1970-01-01 UTC.
    pub(crate) last_ms: u64,
    /// Jobs and cards.
    pub(crate) jobs: JobsProved,
    /// What takes people: counts, what stands at the end, and the acts where they were asked for.
    pub(crate) controls: Controls,
    /// Older checkpoints: file, number of leaves, and whether the log continues it.
    pub(crate) previous: Vec<(String, u64, bool)>,
}

/// An older checkpoint whose signature holds.
struct Previous {
    file: String,
    head: TreeHead,
}

/// Verifies the log in `folder`, which must continue the checkpoints in the files `previous`.
///
/// # Errors
/// [`Fault`] when a file cannot be read. What is wrong with the log is in the findings.
#[cfg(test)]
pub(crate) fn run(folder: LogFolder<'_>, trust: &Trust, previous: &[PathBuf]) -> Result<Verification, Fault> {
    run_beside(&Task { previous, ..Task::of(folder, trust) }, &mut Alone, &mut |_, _| {})
}

/// Verifies a log. `beside` visits every leaf that is read, after the checks; `progress` is told how many leaves of
/// how many are done.
///
/// # Errors
/// [`Fault`] when a file cannot be read, or the state is not one to go on from. What is wrong with the log is in the
/// findings.
pub(crate) fn run_beside(
    task: &Task<'_>,
    beside: &mut dyn Visitor,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verification, Fault> {
    let started = Instant::now();
    let mut findings = Findings::default();
    // First, because a state that cannot be used is known at once.
    let earlier = match task.state {
        Some(path) => State::load(path, task.trust)?,
        None => None,
    };
    let opened = Opened::open(task.folder, task.trust, &mut findings)?;
    let (proved, state) = match &opened {
        Some(opened) => {
            let begun = begin(task, opened, earlier, &mut findings)?;
            let both = Both { beside, progress, of: opened.head.size };
            let (proved, state) = check_all(task, opened, begun, both, &mut findings)?;
            (Some(proved), state)
        }
        None => (None, None),
    };
    Ok(Verification { trust: task.trust.clone(), proved, findings, state, elapsed: started.elapsed() })
}

/// No visitor beside the checks.
#[derive(Debug)]
pub(crate) struct Alone;

impl Visitor for Alone {
    fn visit(&mut self, _: &Leaf<'_>, _: &mut Findings) {}
}

/// What goes along with the checks.
struct Both<'a> {
    beside: &'a mut dyn Visitor,
    progress: &'a mut dyn FnMut(u64, u64),
    of: u64,
}

/// The checks and what goes along with them, as one visitor.
struct Along<'a, 'f> {
    checks: Checks<'f>,
    both: Both<'a>,
}

impl Visitor for Along<'_, '_> {
    fn visit(&mut self, leaf: &Leaf<'_>, findings: &mut Findings) {
        let entry = leaf.entry;
        self.checks.visit(leaf, findings);
        self.both.beside.visit(leaf, findings);
        if entry.index.is_multiple_of(STEP) {
            (self.both.progress)(entry.index, self.both.of);
        }
    }
}

/// Where a verification begins.
struct Begun<'f> {
    standing: Standing,
    checks: Checks<'f>,
    // Whether the log is worth a walk: not when it does not continue what was verified.
    walk: bool,
}

/// Begins at leaf 0, or where the earlier run stood once the log is proved to continue it.
fn begin<'f>(
    task: &Task<'_>,
    opened: &'f Opened,
    earlier: Option<State>,
    findings: &mut Findings,
) -> Result<Begun<'f>, Fault> {
    let (founded, origin) = (&opened.founded, &opened.origin);
    let Some((earlier, path)) = earlier.zip(task.state) else {
        let wanted = task.record.map(|record| record.wanted.clone());
        let mut checks = Checks::new(founded, origin).wanting(wanted);
        if task.state.is_some() {
            checks = checks.keeping();
        }
        if task.acts {
            checks = checks.telling();
        }
        return Ok(Begun { standing: Standing::default(), checks, walk: true });
    };
    let fault = |why| Fault::State { path: path.to_path_buf(), why };
    earlier.check(founded).map_err(fault)?;
    let standing = earlier.standing().map_err(fault)?;
    let walk = match continues(task.folder, earlier.head(), opened.head)? {
        None => true,
        Some(problem) => {
            findings.log(problem);
            false
        }
    };
    Ok(Begun { standing, checks: Checks::restore(founded, origin, earlier.into_checks()), walk })
}

/// Why the log does not continue what was verified before. Nothing when it does, and when the folder's own tiles are
/// not the checkpoint's: then the walk tells, for it begins with the hashes that were verified.
fn continues(folder: LogFolder<'_>, before: TreeHead, head: TreeHead) -> Result<Option<Problem>, Fault> {
    if head.size < before.size {
        return Ok(Some(Problem::StateAhead { size: before.size, found: head.size }));
    }
    let tiles = Tiles::new(folder, head);
    match tiles.prove(before) {
        Err(TilesError::Fault(fault)) => Err(fault),
        Err(_) if head.size == before.size || tiles.hold() => {
            Ok(Some(Problem::StateForked { size: before.size }))
        }
        Ok(()) | Err(_) => Ok(None),
    }
}

fn check_all(
    task: &Task<'_>,
    opened: &Opened,
    begun: Begun<'_>,
    both: Both<'_>,
    findings: &mut Findings,
) -> Result<(Proved, Option<State>), Fault> {
    let before = begun.standing.tiling.size();
    let mut previous = read_previous(opened, task.previous, findings)?;
    // A record's checkpoint is an older one, which the log must continue.
    previous.extend(task.record.map(|record| Previous { file: record.file.clone(), head: record.head }));
    // Roots of trees that were verified before are not computed again: they are proved from the tiles. A log that
    // does not continue what was verified is not walked.
    let mut wanted = BTreeSet::new();
    if begun.walk {
        wanted.extend(previous.iter().map(|previous| previous.head.size));
        wanted.retain(|size| (before..=opened.head.size).contains(size));
        wanted.insert(opened.head.size);
    }
    let mut along = Along { checks: begun.checks, both };
    let walked = Walk::from(begun.standing, wanted).along(task.folder, &mut along, findings)?;
    (along.both.progress)(walked.head.size, opened.head.size);
    if begun.walk {
        opened.compare(&walked, findings);
    }
    let mut compared = Vec::with_capacity(previous.len());
    for previous in previous {
        compared.push(compare_previous(task.folder, opened, previous, &walked, findings)?);
    }
    let state = match task.state.filter(|_| findings.total() == 0) {
        Some(path) => {
            let state = along.checks.save().map_err(crate::state::StateError::TooMuch);
            let state = state.and_then(|checks| State::new(&opened.founded, &walked.standing, checks));
            Some(state.map_err(|why| Fault::State { path: path.to_path_buf(), why })?)
        }
        None => None,
    };
    Ok((Proved::new(opened, &mut along.checks, &walked, (before, compared)), state))
}

impl Proved {
    /// Leaves that this run read and checked.
    pub(crate) const fn read(&self) -> u64 {
        self.leaves.saturating_sub(self.before)
    }

    fn new(
        opened: &Opened,
        checks: &mut Checks<'_>,
        walked: &Walked,
        (before, previous): (u64, Vec<(String, u64, bool)>),
    ) -> Self {
        let founding = &opened.founded.founding;
        let test_keys = opened.founded.keys.iter().filter(|key| key.test_key);
        Self {
            origin: opened.origin.to_string(),
            checkpoint: opened.head,
            officers: founding.officers.len(),
            development: founding.development,
            test_keys: test_keys.map(|key| key.name.to_string()).collect(),
            leaves: walked.head.size,
            before,
            kinds: checks.counts().collect(),
            statements: checks.statements(),
            purses: checks.purses(),
            unlinked: checks.unlinked(),
            open_intents: checks.open_intents(),
            last_ms: walked.standing.time_ms,
            jobs: JobsProved::new(checks),
            controls: Controls::new(checks),
            previous,
        }
    }
}

/// Reads the older checkpoints and verifies their signatures; those that do not hold are findings.
fn read_previous(
    opened: &Opened,
    files: &[PathBuf],
    findings: &mut Findings,
) -> Result<Vec<Previous>, Fault> {
    let mut previous = Vec::with_capacity(files.len());
    for path in files {
        let file = path.display().to_string();
        let note = read_note(path)?;
        let verified = SignedCheckpoint::parse(&note).and_then(|checkpoint| {
            checkpoint.verify(&opened.origin, &opened.founded.checkpoint_key)?;
            Ok(checkpoint.checkpoint().head)
        });
        match verified {
            Ok(head) => previous.push(Previous { file, head }),
            Err(why) => findings.log(Problem::Previous { file, why }),
        }
    }
    Ok(previous)
}

fn compare_previous(
    folder: LogFolder<'_>,
    opened: &Opened,
    previous: Previous,
    walked: &Walked,
    findings: &mut Findings,
) -> Result<(String, u64, bool), Fault> {
    let Previous { file, head } = previous;
    let size = head.size;
    let forked = || Problem::PreviousForked { file: file.clone(), size };
    let problem = if size > opened.head.size {
        Some(Problem::PreviousAhead { file: file.clone(), size })
    } else if let Some(found) = walked.root_at(size) {
        (found != head.root).then(forked)
    } else {
        match Tiles::new(folder, opened.head).prove(head) {
            Ok(()) => None,
            Err(TilesError::Fault(fault)) => return Err(fault),
            Err(TilesError::Problem(problem)) => Some(problem),
            Err(TilesError::NotProved) => Some(forked()),
        }
    };
    let continued = problem.is_none();
    if let Some(problem) = problem {
        findings.log(problem);
    }
    Ok((file, size, continued))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        finding::Finding,
        founding_check::FoundingProblem,
        sample::{Sample, founding_leaf, start},
    };
    use keysvc_protocol::{
        bytes::Blob,
        cbor,
        checkpoint::CheckpointError,
        cose::CoseError,
        export::FileError,
        founding::AgreementError,
        leaf::{LeafEntry, LeafError, LeafKind},
    };
    use std::fs;

    fn found(verification: &Verification) -> Vec<Finding> {
        verification.findings.kept().to_vec()
    }

    fn of_leaf(index: u64, problem: impl Into<Problem>) -> Finding {
        Finding { leaf: Some(index), problem: problem.into() }
    }

    fn of_log(problem: impl Into<Problem>) -> Finding {
        Finding { leaf: None, problem: problem.into() }
    }

    #[test]
    fn a_good_log_verifies_with_every_leaf_and_statement_checked() {
        let verification = Sample::good().verify();
        assert_eq!(found(&verification), []);
        let proved = verification.proved.unwrap();
        assert_eq!((proved.leaves, proved.statements, proved.purses, proved.officers), (6, 4, 1, 2));
        assert!(proved.kinds.iter().all(|(_, count)| count.not_checked == 0));
        assert_eq!(proved.kinds.iter().map(|(_, count)| count.checked).sum::<u64>(), 6);
    }

    #[test]
    fn a_log_of_many_files_verifies() {
        let verification = long().verify();
        assert_eq!(found(&verification), []);
        assert_eq!(verification.proved.unwrap().leaves, 602);
    }

    #[test]
    fn an_altered_payload_is_found() {
        let mut sample = Sample::good();
        let mut payload = sample.leaves[1].payload.clone().unwrap().into_bytes();
        *payload.last_mut().unwrap() ^= 1;
        sample.leaves[1].payload = Some(Blob::try_from(payload).unwrap());
        assert_eq!(found(&sample.verify()), [of_leaf(1, LeafError::OtherPayload)]);
    }

    #[test]
    fn a_payload_whose_salt_was_taken_away_is_found() {
        let mut sample = Sample::good();
        sample.leaves[1].salt = None;
        assert_eq!(found(&sample.verify()), [of_leaf(1, Problem::NoSalt)]);
    }

    #[test]
    fn an_altered_entry_is_found_by_the_root() {
        let sample = Sample::good();
        let mut altered = sample.clone();
        let entry = LeafEntry::decode(sample.leaves[1].entry.as_bytes()).unwrap();
        let entry = LeafEntry { time_ms: entry.time_ms + 1, ..entry };
        altered.leaves[1].entry = Blob::try_from(cbor::encode(&entry)).unwrap();
        let verification = altered.export_under(&sample.note()).verify();
        assert_eq!(found(&verification), [of_log(Problem::RootDiffers)]);
    }

    #[test]
    fn a_leaf_that_is_no_entry_is_found() {
        let mut sample = Sample::good();
        sample.leaves[1].entry = Blob::try_from(vec![0]).unwrap();
        let problem = LeafError::Encoding(cbor::DecodeError::Malformed);
        assert_eq!(found(&sample.verify()), [of_leaf(1, problem)]);
    }

    fn file(name: &str) -> String {
        name.to_owned()
    }

    /// A good log of 602 leaves.
    fn long() -> Sample {
        let mut sample = Sample::founded();
        for _ in 0..600 {
            sample.push(LeafKind::Start, &start(91));
        }
        sample
    }

    #[test]
    fn an_entry_altered_in_its_file_is_named_by_its_leaf() {
        let export = long().export();
        // The last byte of a bundle is in the payload digest of its last entry.
        export.alter("tile/entries/001", |bytes| *bytes.last_mut().unwrap() ^= 1);
        let expected = [
            of_leaf(511, LeafError::OtherPayload),
            of_leaf(511, Problem::OtherEntry { tile: file("tile/0/001") }),
            of_log(Problem::RootDiffers),
        ];
        assert_eq!(found(&export.verify()), expected);
    }

    #[test]
    fn an_altered_tile_of_any_level_is_named_by_its_file() {
        for (name, byte, index) in
            [("tile/0/001", 3 * 32, 259), ("tile/0/002.p/90", 0, 512), ("tile/1/000.p/2", 63, 1)]
        {
            let export = long().export();
            export.alter(name, |bytes| bytes[byte] ^= 1);
            let expected = of_log(Problem::OtherTile { file: file(name), index });
            assert_eq!(found(&export.verify()), [expected]);
        }
    }

    #[test]
    fn a_truncated_or_missing_file_is_named() {
        let bad = |name: &str, why| Problem::BadFile { file: file(name), why };
        let cut = Problem::CutShort { checkpoint: 602, found: 256 };
        let (tile, entries, payload) = ("tile/0/001", "tile/entries/001", "payload/001");
        let cases: [(&str, Vec<Problem>, Vec<Problem>); 3] = [
            (tile, vec![bad(tile, FileError::CutShort)], vec![]),
            (entries, vec![bad(entries, FileError::CutShort)], vec![cut]),
            (payload, vec![bad(payload, FileError::Encoding(cbor::DecodeError::Malformed))], vec![]),
        ];
        for (name, first, rest) in cases {
            let export = long().export();
            export.alter(name, |bytes| bytes.truncate(bytes.len() - 1));
            let expected: Vec<_> = first.iter().chain(&rest).cloned().map(of_log).collect();
            assert_eq!(found(&export.verify()), expected, "{name}");
            fs::remove_file(export.path(name)).unwrap();
            let missing = Problem::MissingFile { file: file(name) };
            let expected: Vec<_> = [missing].iter().chain(&rest).cloned().map(of_log).collect();
            assert_eq!(found(&export.verify()), expected, "{name}");
        }
    }

    #[test]
    fn leaves_whose_payload_file_is_missing_are_counted_as_not_checked() {
        let export = long().export();
        fs::remove_file(export.path("payload/001")).unwrap();
        let proved = export.verify().proved.unwrap();
        let starts = proved.kinds.iter().find(|(name, _)| *name == "start").unwrap().1;
        assert_eq!(starts, Count { leaves: 601, checked: 345, not_checked: 256 });
    }

    #[test]
    fn files_that_the_checkpoint_does_not_need_are_no_part_of_the_log() {
        let (sample, export) = (Sample::good(), Sample::good().export());
        let mut longer = sample;
        longer.update(|update| update.seq = 9);
        // What an export leaves behind that is broken off before its checkpoint.
        for name in ["tile/0/000.p", "tile/entries/000.p", "payload/000.p"] {
            fs::copy(longer.export().path(name).join("7"), export.path(name).join("7")).unwrap();
        }
        assert_eq!(found(&export.verify()), []);
    }

    #[test]
    fn a_dropped_leaf_under_a_checkpoint_of_its_own_is_found() {
        let mut sample = Sample::good();
        sample.leaves.remove(1);
        assert_eq!(found(&sample.verify()), [of_leaf(1, Problem::OutOfOrder { expected: 1, found: 2 })]);
    }

    #[test]
    fn a_log_with_fewer_leaves_than_its_checkpoint_is_found() {
        let sample = Sample::good();
        let mut truncated = sample.clone();
        truncated.leaves.truncate(4);
        let verification = truncated.export_under(&sample.note()).verify();
        let missing = Problem::MissingFile { file: file("tile/entries/000.p/6") };
        assert_eq!(found(&verification), [of_log(missing)]);
    }

    #[test]
    fn reordered_leaves_are_found() {
        let sample = Sample::good();
        let mut reordered = sample.clone();
        reordered.leaves.swap(4, 5);
        let findings = found(&reordered.export_under(&sample.note()).verify());
        assert_eq!(findings.first(), Some(&of_leaf(4, Problem::OutOfOrder { expected: 4, found: 5 })));
        assert_eq!(findings.last(), Some(&of_log(Problem::RootDiffers)));
        assert!(findings.contains(&of_leaf(4, Problem::TimeWentBack)));
    }

    #[test]
    fn a_checkpoint_signed_with_another_key_is_found() {
        let sample = Sample::good();
        let verification = sample.export_under(&sample.note_by(77)).verify();
        assert_eq!(found(&verification), [of_log(CheckpointError::NotSigned)]);
    }

    #[test]
    fn a_forged_checkpoint_signature_is_found() {
        let sample = Sample::good();
        let mut shorter = sample.clone();
        shorter.leaves.pop();
        // The text of one checkpoint with the signature line of another.
        let [text, line] = [sample.note(), shorter.note()].map(|note| String::from_utf8(note).unwrap());
        let text = text.split_once("\n\n").unwrap().0;
        let line = line.split_once("\n\n").unwrap().1;
        let verification = sample.export_under(format!("{text}\n\n{line}").as_bytes()).verify();
        assert_eq!(found(&verification), [of_log(CheckpointError::BadSignature)]);
    }

    #[test]
    fn a_missing_officers_signature_is_found() {
        let mut leaf = founding_leaf();
        let mut signatures = leaf.signatures.into_vec();
        signatures.pop();
        leaf.signatures = signatures.try_into().unwrap();
        let problem = FoundingProblem::MissingSignature("bob".parse().unwrap());
        assert_eq!(found(&Sample::founded_by(&leaf).verify()), [of_leaf(0, problem)]);
    }

    #[test]
    fn one_officers_signature_does_not_count_for_two() {
        let mut leaf = founding_leaf();
        let mut signatures = leaf.signatures.clone().into_vec();
        signatures[1].signed = signatures[0].signed.clone();
        leaf.signatures = signatures.clone().try_into().unwrap();
        let why = AgreementError::Signature(CoseError::WrongKey);
        let problem = FoundingProblem::Signature { officer: "bob".parse().unwrap(), why };
        assert_eq!(found(&Sample::founded_by(&leaf).verify()), [of_leaf(0, problem)]);
        signatures[1] = signatures[0].clone();
        leaf.signatures = signatures.try_into().unwrap();
        let problem = FoundingProblem::StraySignature("alice".parse().unwrap());
        assert_eq!(found(&Sample::founded_by(&leaf).verify()), [of_leaf(0, problem)]);
    }

    #[test]
    fn a_founding_file_altered_after_it_was_signed_is_found() {
        let mut leaf = founding_leaf();
        let text = String::from_utf8(leaf.founding.into_bytes()).unwrap();
        leaf.founding =
            Blob::try_from(text.replace("ceiling = 15000", "ceiling = 95000").into_bytes()).unwrap();
        let problem =
            FoundingProblem::Signature { officer: "alice".parse().unwrap(), why: AgreementError::OtherFile };
        assert_eq!(found(&Sample::founded_by(&leaf).verify()), [of_leaf(0, problem)]);
    }

    #[test]
    fn another_log_than_the_trust_files_is_found() {
        let mut export = Sample::good().export();
        export.trust.genesis = keysvc_protocol::bytes::Digest::new([3; 32]);
        assert_eq!(found(&export.verify()), [of_leaf(0, FoundingProblem::NotGenesis)]);
    }

    #[test]
    fn the_manifest_must_hold_the_keys_that_the_file_asks_for_and_no_others() {
        let mut leaf = founding_leaf();
        let keys = leaf.keys.clone().into_vec();
        let problem_with = |leaf: &mut keysvc_protocol::leaf::FoundingLeaf, keys: Vec<_>| {
            leaf.keys = keys.try_into().unwrap();
            found(&Sample::founded_by(leaf).verify()).first().cloned()
        };
        let name = |name: &str| name.parse().unwrap();
        let missing = keys.iter().filter(|key| key.name != name("spare-value")).cloned().collect();
        let expected = of_leaf(0, FoundingProblem::NoKey(name("spare-value")));
        assert_eq!(problem_with(&mut leaf, missing), Some(expected));
        let mut extra = keys.clone();
        extra.push(crate::sample::later_key("extra", 99));
        let expected = of_leaf(0, FoundingProblem::UnfoundedKey(name("extra")));
        assert_eq!(problem_with(&mut leaf, extra), Some(expected));
        let mut known = keys.clone();
        known[0].test_key = true;
        let expected = of_leaf(0, FoundingProblem::TestKey(name("fob-master")));
        assert_eq!(problem_with(&mut leaf, known), Some(expected));
        let mut other = keys;
        other[1].public = other[2].public.clone();
        let expected = of_leaf(0, FoundingProblem::CheckValue(name("coffee-value")));
        assert_eq!(problem_with(&mut leaf, other), Some(expected));
    }

    #[test]
    fn an_older_checkpoint_of_the_same_history_is_continued() {
        let sample = Sample::good();
        let mut older = sample.clone();
        older.leaves.truncate(3);
        let export = sample.export();
        let files = [export.write("older", &older.note()), export.write("same", &sample.note())];
        let verification = export.verify_after(&files);
        assert_eq!(found(&verification), []);
        let previous = verification.proved.unwrap().previous;
        assert_eq!(
            previous.iter().map(|(_, size, good)| (*size, *good)).collect::<Vec<_>>(),
            [(3, true), (6, true)]
        );
    }

    #[test]
    fn an_older_checkpoint_of_a_forked_history_is_found() {
        let sample = Sample::good();
        let mut fork = Sample::founded();
        fork.push(LeafKind::Start, &start(91));
        let export = sample.export();
        let path = export.write("fork", &fork.note());
        let file = path.display().to_string();
        let verification = export.verify_after(&[path]);
        assert_eq!(found(&verification), [of_log(Problem::PreviousForked { file, size: 3 })]);
    }

    #[test]
    fn an_older_checkpoint_ahead_of_the_log_is_found() {
        let sample = Sample::good();
        let mut ahead = sample.clone();
        ahead.push(LeafKind::Start, &start(91));
        let export = sample.export();
        let path = export.write("ahead", &ahead.note());
        let file = path.display().to_string();
        let verification = export.verify_after(&[path]);
        assert_eq!(found(&verification), [of_log(Problem::PreviousAhead { file, size: 7 })]);
    }

    #[test]
    fn an_older_checkpoint_by_a_stranger_is_found() {
        let sample = Sample::good();
        let export = sample.export();
        let path = export.write("forged", &sample.note_by(77));
        let file = path.display().to_string();
        let why = CheckpointError::NotSigned;
        assert_eq!(found(&export.verify_after(&[path])), [of_log(Problem::Previous { file, why })]);
    }

    #[test]
    fn withheld_payloads_are_counted_as_not_checked_and_do_not_break_a_purse() {
        let mut sample = Sample::good();
        sample.update(|_| {});
        sample.leaves[5].payload = None;
        sample.leaves[5].salt = None;
        let verification = sample.verify();
        assert_eq!(found(&verification), []);
        let proved = verification.proved.unwrap();
        let value = proved.kinds.iter().find(|(name, _)| *name == "value updated").unwrap().1;
        assert_eq!(value, Count { leaves: 3, checked: 2, not_checked: 1 });
        assert_eq!(proved.unlinked, 1);
    }
}
