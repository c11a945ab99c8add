//! A log in memory for the queue to write to: it keeps what it was told, and may fail or have no room once, as a disk may.
//!
//! It decides as little as can be: changes are numbers, every fifth of which is refused. Being written to after a failed
//! commit, or after the end, is a panic.

use super::{
    commit::Commit,
    sync::{Mutex, block_on, point},
};
use crate::keeper::ledger::{
    backend::{Applied, Backend},
    change::{Change, Outcome, Recording},
    fault::{LedgerFault, StoreError},
    sqlite::ground::note,
};
use keysvc_protocol::{
    bytes::Salt,
    control::Moment,
    leaf::LeafKind,
    merkle::{Frontier, leaf_hash},
    refusal::Refusal,
};
use shuttle::sync::Condvar;
use std::sync::{Arc, Mutex as Plain};

/// What became of all that was written.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The number of each leaf.
    pub(super) leaves: Vec<u64>,
    /// The numbers of each batch that was committed, refused ones among them.
    pub(super) batches: Vec<Vec<u64>>,
    /// The batch whose commit failed.
    pub(super) failed: Option<Vec<u64>>,
    /// The batch for which there was no room.
    pub(super) undone: Option<Vec<u64>>,
    /// Refusals of the unknown that were given to be counted.
    pub(super) unknown: u64,
    /// Whether the last counts were written.
    pub(super) closed: bool,
}

/// Holds commits up until it is opened.
pub(super) struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(super) fn new(open: bool) -> Arc<Self> {
        Arc::new(Self { open: Mutex::new(open), opened: Condvar::new() })
    }

    pub(super) fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut open = self.open.lock().unwrap();
        while !*open {
            open = self.opened.wait(open).unwrap();
        }
    }
}

/// What happens to one commit, counted from 0.
#[derive(Clone, Copy)]
pub(super) enum Trouble {
    /// Nothing.
    None,
    /// It fails.
    Fails(usize),
    /// There is no room for it, and later there is.
    NoRoom(usize),
}

/// The log.
pub(super) struct Memory {
    frontier: Frontier,
    kept: Arc<Plain<Kept>>,
    gate: Arc<Gate>,
    trouble: Trouble,
}

impl Memory {
    pub(super) fn new(trouble: Trouble, gate: &Arc<Gate>) -> (Self, Arc<Plain<Kept>>) {
        let kept = Arc::<Plain<Kept>>::default();
        let gate = Arc::clone(gate);
        (Self { frontier: Frontier::new(), kept: Arc::clone(&kept), gate, trouble }, kept)
    }
}

/// A change that is a number.
pub(super) fn change(number: u64) -> Change {
    Change::TookEffect { act: number }
}

/// Whether the log has no leaf for it.
pub(super) const fn is_refused(number: u64) -> bool {
    number.is_multiple_of(5)
}

impl Backend for Memory {
    fn apply(&mut self, batch: &[Change], _now: Moment) -> Result<Applied, LedgerFault> {
        // A commit takes a while.
        self.gate.pass();
        point();
        let mut kept = self.kept.lock().unwrap();
        assert!(kept.failed.is_none(), "written to after a commit failed");
        assert!(!kept.closed, "written to after the last counts");
        let numbers = batch.iter().filter_map(|change| match change {
            Change::TookEffect { act } => Some(*act),
            _ => None,
        });
        let numbers: Vec<u64> = numbers.collect();
        let error = StoreError::new(std::io::Error::other("told to fail"));
        match self.trouble {
            Trouble::Fails(at) if at == kept.batches.len() => {
                kept.failed = Some(numbers);
                return Err(LedgerFault::Commit(error));
            }
            Trouble::NoRoom(at) if at == kept.batches.len() && !numbers.is_empty() => {
                self.trouble = Trouble::None;
                kept.undone = Some(numbers);
                return Err(LedgerFault::NoRoom(error));
            }
            _ => {}
        }
        let (mut outcomes, mut completed) = (Vec::new(), Vec::new());
        for change in batch {
            outcomes.push(Ok(match change {
                Change::CountRefusals { unknown, all } => {
                    kept.unknown += unknown;
                    kept.closed |= all;
                    Outcome::Counted
                }
                Change::TookEffect { act } if is_refused(*act) => Outcome::Refused(Refusal::Forbidden),
                Change::TookEffect { act } => {
                    completed.push(self.frontier.append(leaf_hash(&act.to_be_bytes())));
                    kept.leaves.push(*act);
                    Outcome::Recorded(leaf(kept.leaves.len() as u64 - 1))
                }
                other => panic!("not a number: {other:?}"),
            }));
        }
        kept.batches.push(numbers);
        Ok(Applied { outcomes, head: self.frontier.head(), completed, halted: None })
    }
}

fn leaf(index: u64) -> Recording {
    let (entry, payload, salt) = (Vec::new(), Vec::new(), Salt::new([0; 16]));
    Recording { index, time_ms: 0, kind: LeafKind::TookEffect, entry, salt, payload, retried: false }
}

/// Waits until the head that an answer names is signed, as whoever builds a receipt does. Where no leader ever gives up
/// (`surely`), nobody is told that one did: the keeper would end. Where some do, another takes over.
pub(super) fn signed(commit: &Commit, surely: bool) {
    loop {
        if let Some(note) = block_on(commit.note()) {
            assert_eq!(note.checkpoint().head, commit.head(), "the signed head is this commit's");
            return;
        }
        assert!(!surely, "told that the leader gave up, which none did");
        if let Some(lead) = commit.take_over() {
            lead.publish(note(commit.head()));
        }
    }
}
