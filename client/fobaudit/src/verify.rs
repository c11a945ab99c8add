//! `fobaudit verify`: a whole exported log, from the trust file to every statement in it.
//!
//! Gathers what was checked and what was found; how it is shown is [`crate::report`]'s.

use crate::{
    checks::{Checks, Count},
    fault::Fault,
    finding::{Findings, Problem},
    log_folder::{LogFolder, read_note},
    walk::{Opened, Walk, Walked},
};
use keysvc_protocol::{checkpoint::SignedCheckpoint, merkle::TreeHead, trust::Trust};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// What a verification checked and found.
#[derive(Debug)]
pub(crate) struct Verification {
    /// What was trusted from the start.
    pub(crate) trust: Trust,
    /// What leaf 0 and the checkpoint say; nothing when leaf 0 proves nothing.
    pub(crate) proved: Option<Proved>,
    /// What is wrong.
    pub(crate) findings: Findings,
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
    /// Leaves by kind.
    pub(crate) kinds: Vec<(&'static str, Count)>,
    /// Statements of stations and terminals whose signatures were verified.
    pub(crate) statements: u64,
    /// Purses followed.
    pub(crate) purses: usize,
    /// Steps of purses not checked because updates are withheld.
    pub(crate) unlinked: u64,
    /// Intents to make a key without an outcome.
    pub(crate) open_intents: Vec<(u64, String)>,
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
pub(crate) fn run(folder: LogFolder<'_>, trust: &Trust, previous: &[PathBuf]) -> Result<Verification, Fault> {
    let begun = Instant::now();
    let mut findings = Findings::default();
    let opened = Opened::open(folder, trust, &mut findings)?;
    let proved = match &opened {
        Some(opened) => Some(check_all(folder, opened, previous, &mut findings)?),
        None => None,
    };
    Ok(Verification { trust: trust.clone(), proved, findings, elapsed: begun.elapsed() })
}

fn check_all(
    folder: LogFolder<'_>,
    opened: &Opened,
    previous: &[PathBuf],
    findings: &mut Findings,
) -> Result<Proved, Fault> {
    let previous = read_previous(opened, previous, findings)?;
    let sizes = previous.iter().map(|previous| previous.head.size).chain([opened.head.size]).collect();
    let mut checks = Checks::new(&opened.founded, &opened.origin);
    let walked = Walk::new(sizes).along(folder, &mut checks, findings)?;
    opened.compare(&walked, findings);
    let previous =
        previous.into_iter().map(|previous| compare_previous(previous, &walked, findings)).collect();
    let founding = &opened.founded.founding;
    let test_keys = opened.founded.keys.iter().filter(|key| key.test_key);
    Ok(Proved {
        origin: opened.origin.to_string(),
        checkpoint: opened.head,
        officers: founding.officers.len(),
        development: founding.development,
        test_keys: test_keys.map(|key| key.name.to_string()).collect(),
        leaves: walked.head.size,
        kinds: checks.counts().collect(),
        statements: checks.statements(),
        purses: checks.purses(),
        unlinked: checks.unlinked(),
        open_intents: checks.open_intents(),
        previous,
    })
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

fn compare_previous(previous: Previous, walked: &Walked, findings: &mut Findings) -> (String, u64, bool) {
    let Previous { file, head: TreeHead { size, root } } = previous;
    let problem = match walked.root_at(size) {
        Some(found) if found == root => None,
        Some(_) => Some(Problem::PreviousForked { file: file.clone(), size }),
        None => Some(Problem::PreviousAhead { file: file.clone(), size }),
    };
    let continued = problem.is_none();
    if let Some(problem) = problem {
        findings.log(problem);
    }
    (file, size, continued)
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
        export::file_name,
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
        let mut sample = Sample::founded();
        for _ in 0..600 {
            sample.push(LeafKind::Start, &start(91));
        }
        let verification = sample.verify();
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

    #[test]
    fn a_dropped_leaf_is_found_by_its_place_and_the_size() {
        let sample = Sample::good();
        let mut dropped = sample.clone();
        dropped.leaves.remove(1);
        let verification = dropped.export_under(&sample.note()).verify();
        let expected = [
            of_leaf(1, Problem::OutOfOrder { expected: 1, found: 2 }),
            of_log(Problem::CutShort { checkpoint: 6, found: 5 }),
        ];
        assert_eq!(found(&verification), expected);
    }

    #[test]
    fn a_dropped_leaf_under_a_checkpoint_of_its_own_is_found() {
        let mut sample = Sample::good();
        sample.leaves.remove(1);
        assert_eq!(found(&sample.verify()), [of_leaf(1, Problem::OutOfOrder { expected: 1, found: 2 })]);
    }

    #[test]
    fn a_dropped_file_is_found() {
        let mut sample = Sample::founded();
        for _ in 0..600 {
            sample.push(LeafKind::Start, &start(91));
        }
        let export = sample.export();
        fs::remove_file(export.path("leaves").join(file_name(256))).unwrap();
        let expected = [
            of_log(Problem::MissingLeaves { from: 256, last: 511 }),
            of_log(Problem::CutShort { checkpoint: 602, found: 346 }),
        ];
        assert_eq!(found(&export.verify()), expected);
    }

    #[test]
    fn a_truncated_log_is_found() {
        let sample = Sample::good();
        let mut truncated = sample.clone();
        truncated.leaves.truncate(4);
        let verification = truncated.export_under(&sample.note()).verify();
        assert_eq!(found(&verification), [of_log(Problem::CutShort { checkpoint: 6, found: 4 })]);
    }

    #[test]
    fn leaves_past_the_checkpoint_are_found() {
        let sample = Sample::good();
        let mut longer = sample.clone();
        longer.push(LeafKind::Start, &start(91));
        let verification = longer.export_under(&sample.note()).verify();
        assert_eq!(found(&verification), [of_log(Problem::Uncommitted { checkpoint: 6, found: 7 })]);
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
