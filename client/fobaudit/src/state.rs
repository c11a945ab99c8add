//! The state file of `fobaudit verify --state`: where a verification stood, so that the next one reads only what is
//! new.
//!
//! It is written only after a run that verified everything, and holds what later leaves depend on: the tree's partial
//! tiles, keys and open intents, exchanges, jobs and cards, the last update of each purse, the
//! leaves about what takes people, and all counts. The auditor must keep it
//! where nobody else can write: **whoever writes it decides what is skipped.** Its SHA-256 tells damage, not forgery;
//! who doubts it removes it, and the next run verifies the whole log again. So does who takes up a newer version of
//! this program and wants its checks over old leaves too.
//!
//! Two lines of text, then packed CBOR: `keysvc-fobaudit-state <format>`, `sha256 <hex of the rest>`.

mod file;

use crate::{checks::SavedChecks, fault::Fault, founding_check::Founded, walk::Standing};
use keysvc_protocol::{
    bytes::Digest,
    cbor::{self, DecodeError},
    export::Tiling,
    list::{List, WrongCount},
    merkle::TreeHead,
    schema::Schema,
    trust::{Trust, TrustDomain},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The number of this form of the file.
pub(crate) const FORMAT: u32 = 3;
/// Longest state file, in bytes: 16 million purses of 50 bytes, as many derivations of 30 and as many cards of 110, 3.2 GB,
/// 1 GiB for leaves about what takes people and cards by master key, and 256 MiB for jobs and the rest.
const STATE_LEN_MAX: usize = (1 << 24) * 190 + (1 << 30) + (256 << 20);

/// Why a state file cannot be gone on from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StateError {
    /// It does not begin as one.
    #[error("it is no state file of this program")]
    NotState,
    /// Its form is an earlier one, which did not follow jobs and cards.
    #[error("an older version of this program wrote it (format {format}, this one knows {FORMAT})")]
    Older {
        /// The number of its form.
        format: u32,
    },
    /// Its form is a later one.
    #[error("a newer version of this program wrote it (format {format}, this one knows {FORMAT})")]
    Newer {
        /// The number of its form.
        format: u32,
    },
    /// Its SHA-256 is not that of its content, or the content contradicts itself.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// It is of another log.
    #[error("it is of another log: {0} with another genesis or policy than the trust file's")]
    OtherLog(TrustDomain),
    /// Others may write it.
    #[error("others than its owner may write it (mode {mode:03o}), so it proves nothing")]
    TooOpen {
        /// Its mode.
        mode: u32,
    },
    /// There is more to keep than a state file holds.
    #[error("there is more to keep than a state file holds: {0}")]
    TooMuch(WrongCount),
}

impl StateError {
    /// What to do next.
    pub(crate) const fn next(&self) -> &'static str {
        match self {
            Self::NotState => "name another file with --state: one that is not there yet is made",
            Self::Newer { .. } => "verify with the newer version, or name another file with --state",
            Self::Older { .. } | Self::Damaged(_) => {
                "move the file away and run the same command again: it verifies the whole log"
            }
            Self::OtherLog(_) => "name the state file of this log with --state, or one that is not there yet",
            Self::TooOpen { .. } => {
                "remove it unless you know who wrote it; `chmod 600` on it keeps others out from now on"
            }
            Self::TooMuch(_) => "verify without --state",
        }
    }
}

/// Where a verification stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    schema: Schema,
    trust_domain: TrustDomain,
    genesis: Digest,
    policy: Digest,
    head: TreeHead,
    rows: List<List<Digest, 255>, 8>,
    time_ms: u64,
    checks: SavedChecks,
}

impl State {
    /// The state after a walk that found nothing wrong.
    ///
    /// # Errors
    /// [`StateError::TooMuch`] when the file would be too long.
    pub(crate) fn new(
        founded: &Founded,
        standing: &Standing,
        checks: SavedChecks,
    ) -> Result<Self, StateError> {
        let rows = standing.tiling.rows().iter().map(|row| List::try_from(row.clone()));
        let rows = rows.collect::<Result<Vec<_>, _>>().and_then(List::try_from);
        Ok(Self {
            schema: Schema,
            trust_domain: founded.founding.trust_domain.clone(),
            genesis: founded.genesis,
            policy: founded.founding.policy,
            head: standing.tiling.head(),
            rows: rows.map_err(StateError::TooMuch)?,
            time_ms: standing.time_ms,
            checks,
        })
    }

    /// Reads a state file of the log that is trusted; nothing where there is none yet.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be read, is damaged, or is of another log or form.
    pub(crate) fn load(path: &Path, trust: &Trust) -> Result<Option<Self>, Fault> {
        let Some(bytes) = file::read(path, STATE_LEN_MAX)? else { return Ok(None) };
        let state = Self::decode(&bytes, trust);
        state.map(Some).map_err(|why| Fault::State { path: path.to_path_buf(), why })
    }

    fn decode(bytes: &[u8], trust: &Trust) -> Result<Self, StateError> {
        let state: Self =
            cbor::decode(file::content(bytes)?, STATE_LEN_MAX).map_err(|error| match error {
                DecodeError::TooLong { .. } => StateError::Damaged("it is too long"),
                DecodeError::Malformed | DecodeError::NotCanonical => {
                    StateError::Damaged("it does not decode")
                }
            })?;
        if state.trust_domain != trust.domain || state.genesis != trust.genesis {
            return Err(StateError::OtherLog(state.trust_domain));
        }
        if state.standing()?.tiling.head() != state.head {
            return Err(StateError::Damaged("its tree is not the one of its head"));
        }
        Ok(state)
    }

    /// Writes the file whole: beside, synced, renamed, its folder synced; for its owner alone.
    ///
    /// # Errors
    /// [`Fault::Unwritable`] when it cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Fault> {
        file::write(path, &cbor::encode(self))
    }

    /// What was verified: size and root.
    pub(crate) const fn head(&self) -> TreeHead {
        self.head
    }

    /// Whether it was made under this founding and its policy.
    ///
    /// # Errors
    /// [`StateError::OtherLog`] when it was not.
    pub(crate) fn check(&self, founded: &Founded) -> Result<(), StateError> {
        if self.genesis == founded.genesis && self.policy == founded.founding.policy {
            Ok(())
        } else {
            Err(StateError::OtherLog(self.trust_domain.clone()))
        }
    }

    /// Where the walk stood.
    ///
    /// # Errors
    /// [`StateError::Damaged`] when its tree is none.
    pub(crate) fn standing(&self) -> Result<Standing, StateError> {
        let rows = self.rows.iter().map(|row| row.to_vec()).collect();
        let tiling = Tiling::resume(self.head.size, rows)
            .map_err(|_| StateError::Damaged("its tree is not the one of its head"))?;
        Ok(Standing { tiling, time_ms: self.time_ms })
    }

    /// What the checks knew.
    pub(crate) fn into_checks(self) -> SavedChecks {
        self.checks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        finding::{Finding, KeyProblem, Problem, StationProblem, ValueProblem},
        sample::{Export, Sample, later_key, start},
        verify::Verification,
    };
    use keysvc_protocol::{
        key::{KeyRecord, KeyState},
        leaf::{KeyIntentLeaf, KeyOutcomeLeaf, LeafKind},
        request::Operation,
    };
    use std::{fs, path::PathBuf};
    use tempfile::TempDir;

    /// A folder for a state file, and the file's path.
    fn place() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        (folder, path)
    }

    fn found(verification: &Verification) -> Vec<Finding> {
        verification.findings.kept().to_vec()
    }

    /// What is found in `later` once `earlier` was verified and its state kept.
    fn found_later(earlier: &Sample, later: &Sample) -> Vec<Finding> {
        let (_folder, path) = place();
        assert_eq!(found(&earlier.export().verify_from(&path).unwrap()), []);
        found(&later.export().verify_from(&path).unwrap())
    }

    fn refused(export: &Export, path: &Path) -> StateError {
        match export.verify_from(path).unwrap_err() {
            fault @ Fault::State { .. } => {
                assert_eq!(fault.exit_code(), 2);
                let Fault::State { why, .. } = fault else { unreachable!() };
                why
            }
            other => panic!("{other:?}"),
        }
    }

    fn log_of(leaves: usize) -> Sample {
        let mut sample = Sample::good();
        while sample.leaves.len() < leaves {
            sample.push(LeafKind::Start, &start(91));
        }
        sample
    }

    #[test]
    fn a_run_with_state_reads_only_what_is_new_and_ends_where_a_whole_run_ends() {
        for (first, second) in [(6, 6), (6, 7), (255, 256), (256, 300), (300, 600), (512, 513), (100, 66_000)]
        {
            let (_folder, path) = place();
            let (earlier, mut later) = (log_of(first), log_of(second));
            let verified = earlier.export().verify_from(&path).unwrap().proved.unwrap();
            assert_eq!((verified.before, verified.read()), (0, first as u64));
            later.update(|_| {});
            let export = later.export();
            // What was verified before and is in no file with new leaves is not even opened.
            for number in 1..first / 256 {
                fs::remove_file(export.path(&format!("tile/entries/{number:03}"))).unwrap();
                fs::remove_file(export.path(&format!("payload/{number:03}"))).unwrap();
            }
            let resumed = export.verify_from(&path).unwrap();
            assert_eq!(found(&resumed), [], "{first} {second}");
            let proved = resumed.proved.unwrap();
            assert_eq!((proved.before, proved.leaves), (first as u64, second as u64 + 1));
            let whole_path = path.with_extension("whole");
            let whole = later.export().verify_from(&whole_path).unwrap().proved.unwrap();
            assert_eq!(
                (proved.kinds, proved.statements, proved.purses),
                (whole.kinds, whole.statements, whole.purses)
            );
            assert_eq!(fs::read(&path).unwrap(), fs::read(&whole_path).unwrap(), "{first} {second}");
        }
    }

    #[test]
    fn what_earlier_leaves_say_still_holds_for_later_ones() {
        let at = |index, problem: Problem| vec![Finding { leaf: Some(index), problem }];
        let earlier = Sample::good();
        let mut jumps = earlier.clone();
        jumps.update(|update| update.seq = 5);
        let expected = ValueProblem::Sequence { expected: 3, found: 5 };
        assert_eq!(found_later(&earlier, &jumps), at(6, expected.into()));
        let mut richer = earlier.clone();
        richer.update(|update| {
            update.balance_before += 1;
            update.balance_after += 1;
        });
        let expected = ValueProblem::Balance { expected: 4000, found: 4001 };
        assert_eq!(found_later(&earlier, &richer), at(6, expected.into()));
        let working = Sample::working();
        let mut replayed = working.clone();
        let leaf = replayed.derived(1, 1);
        replayed.push(LeafKind::CardKeysDerived, &leaf);
        assert_eq!(found_later(&working, &replayed), at(8, StationProblem::StatementTwice.into()));
        let mut good = working.clone();
        let leaf = good.derived(1, 2);
        good.push(LeafKind::CardKeysDerived, &leaf);
        assert_eq!(found_later(&working, &good), []);
        // Of a card, a job and its list every later leaf depends on what earlier ones say.
        let produced = Sample::produced();
        let mut again = produced.clone();
        again.derive("nfc-3", 4, &[crate::sample::uid(20)]);
        let found = found_later(&produced, &again);
        assert_eq!(
            found.first().map(ToString::to_string).as_deref(),
            Some("leaf 34: job nfc-3: keys were released again for a card that was ready")
        );
        let mut back = earlier.clone();
        back.push_at(1, LeafKind::Start, &start(91));
        assert_eq!(found_later(&earlier, &back), at(6, Problem::TimeWentBack));
    }

    #[test]
    fn an_open_intent_is_kept_until_its_outcome_comes() {
        let key = KeyRecord { state: KeyState::PreActivation, ..later_key("later", 70) };
        let intent = KeyIntentLeaf {
            schema: Schema,
            id: key.id,
            kind: key.kind,
            name: key.name.clone(),
            version: key.version,
        };
        let mut earlier = Sample::good();
        let order = earlier.order("later", key.kind);
        earlier.agreed(Operation::KeyCreate, &order);
        earlier.push(LeafKind::KeyIntent, &intent);
        let mut later = earlier.clone();
        later.push(LeafKind::KeyOutcome, &KeyOutcomeLeaf { schema: Schema, intent: 10, key });
        assert_eq!(found_later(&earlier, &later), []);
        let mut twice = later.clone();
        twice.push(LeafKind::KeyIntent, &intent);
        let problem = KeyProblem::IdTwice(intent.id).into();
        assert_eq!(found_later(&later, &twice), [Finding { leaf: Some(12), problem }]);
    }

    #[test]
    fn a_log_that_does_not_continue_what_was_verified_is_not_walked_and_the_state_is_kept() {
        let (_folder, path) = place();
        log_of(300).export().verify_from(&path).unwrap();
        let kept = fs::read(&path).unwrap();
        let mut forked = Sample::good();
        forked.update(|_| {});
        let mut longer = forked.clone();
        while longer.leaves.len() < 700 {
            longer.push(LeafKind::Start, &start(91));
        }
        let mut same = longer.clone();
        same.leaves.truncate(300);
        let cases = [
            (longer, Problem::StateForked { size: 300 }),
            (same, Problem::StateForked { size: 300 }),
            (forked, Problem::StateAhead { size: 300, found: 7 }),
        ];
        for (log, problem) in cases {
            let verification = log.export().verify_from(&path).unwrap();
            assert_eq!(found(&verification), [Finding { leaf: None, problem }]);
            assert_eq!(verification.proved.unwrap().read(), 0);
            assert_eq!(fs::read(&path).unwrap(), kept);
        }
    }

    #[test]
    fn an_entry_altered_since_it_was_verified_is_named_when_its_bundle_is_read_again() {
        let (_folder, path) = place();
        log_of(300).export().verify_from(&path).unwrap();
        let export = log_of(310).export();
        // The time of leaf 256: behind its length, the map's head, its schema and its index.
        export.alter("tile/entries/001.p/54", |bytes| bytes[12] ^= 1);
        let file = "tile/entries/001.p/54".to_owned();
        let problem = Problem::EntryChanged { file };
        assert_eq!(found(&export.verify_from(&path).unwrap()), [Finding { leaf: Some(256), problem }]);
    }

    #[test]
    fn a_tile_altered_since_it_was_verified_is_named_and_is_not_taken_for_a_fork() {
        let (_folder, path) = place();
        log_of(300).export().verify_from(&path).unwrap();
        let export = log_of(310).export();
        export.alter("tile/1/000.p/1", |bytes| bytes[0] ^= 1);
        let problem = Problem::OtherTile { file: "tile/1/000.p/1".to_owned(), index: 0 };
        assert_eq!(found(&export.verify_from(&path).unwrap()), [Finding { leaf: None, problem }]);
    }

    #[test]
    fn an_older_checkpoint_than_the_state_is_proved_from_the_tiles() {
        let (_folder, path) = place();
        log_of(300).export().verify_from(&path).unwrap();
        let export = log_of(700).export();
        let mut fork = Sample::founded();
        fork.push(LeafKind::Start, &start(91));
        let older = [1, 200, 256, 299, 300, 500, 700].map(|size| {
            let mut older = log_of(700);
            older.leaves.truncate(size);
            export.write(&format!("older-{size}"), &older.note())
        });
        let verification = export.verify_from_after(&path, &older).unwrap();
        assert_eq!(found(&verification), []);
        assert!(verification.proved.unwrap().previous.iter().all(|(_, _, continued)| *continued));
        let forked = export.write("fork", &fork.note());
        let file = forked.display().to_string();
        let findings = found(&export.verify_from_after(&path, &[forked]).unwrap());
        let problem = Problem::PreviousForked { file, size: 3 };
        assert_eq!(findings, [Finding { leaf: None, problem }]);
    }

    #[test]
    fn a_log_that_is_not_verified_leaves_no_state() {
        let (_folder, path) = place();
        let mut sample = Sample::good();
        sample.update(|update| update.seq = 9);
        assert!(sample.export().verify_from(&path).unwrap().state.is_none());
        assert!(!path.exists());
    }

    #[test]
    fn a_damaged_foreign_or_newer_state_is_refused() {
        let (_folder, path) = place();
        let export = Sample::good().export();
        export.verify_from(&path).unwrap();
        let good = fs::read(&path).unwrap();
        for position in 0..good.len() {
            let mut damaged = good.clone();
            damaged[position] ^= 1;
            fs::write(&path, damaged).unwrap();
            let why = refused(&export, &path);
            assert!(
                matches!(
                    why,
                    StateError::Damaged(_)
                        | StateError::NotState
                        | StateError::Newer { .. }
                        | StateError::Older { .. }
                ),
                "{position}: {why:?}"
            );
        }
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(matches!(refused(&export, &path), StateError::Damaged(_)));
        let newer = String::from_utf8_lossy(&good).replacen("state 3", "state 4", 1);
        fs::write(&path, newer).unwrap();
        assert_eq!(refused(&export, &path), StateError::Newer { format: 4 });
        fs::write(&path, good).unwrap();
        let mut foreign = crate::sample::founding_leaf();
        let mut signatures = foreign.signatures.into_vec();
        signatures.reverse();
        foreign.signatures = signatures.try_into().unwrap();
        let other = Sample::founded_by(&foreign).export();
        assert!(matches!(refused(&other, &path), StateError::OtherLog(_)));
    }
}
