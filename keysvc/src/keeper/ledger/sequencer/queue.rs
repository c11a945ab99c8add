//! The bounded queue and the one thread that empties it, in group commits.
//!
//! Apart from the sequencer because everything that happens at one time is in here, and nothing of stores, readers or
//! data keys: the tests compile this file a second time to have its orders tried. A commit that fails ends the thread.

use super::{
    approach::Approach,
    commit::{Commit, Committed},
    queued::{Job, Reply, Settled},
    sync::{
        ArcSwap, ArcSwapOption, Instant, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
        oneshot,
        thread::{Builder, JoinHandle},
    },
};
use crate::{
    keeper::{
        ledger::{
            backend::{Applied, Backend},
            change::{Change, Outcome},
            clock::Clock,
            fault::LedgerFault,
        },
        limits::KeeperLimits,
    },
    metrics::Commits,
};
use keysvc_protocol::merkle::TreeHead;
use std::{
    sync::{Arc, PoisonError, mpsc::TrySendError},
    time::Duration,
};

/// The limits of the queue and of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Changes waiting at most; one more is refused at once.
    pub queue_len: usize,
    /// Changes in one commit at most.
    pub batch_max: usize,
    /// How long to wait for the calls that are on their way, at most.
    pub gather: Duration,
}

impl From<&KeeperLimits> for Options {
    fn from(limits: &KeeperLimits) -> Self {
        Self {
            queue_len: limits.ledger_queue_len,
            batch_max: limits.commit_batch_max,
            gather: Duration::from_micros(limits.commit_gather_us),
        }
    }
}

/// What the thread writes to.
pub(super) struct Store {
    /// The log.
    pub(super) backend: Box<dyn Backend>,
    /// Shows readers a batch that is durable.
    pub(super) show: Box<dyn Fn(&Applied) + Send>,
    /// The log as it is now.
    pub(super) head: TreeHead,
    /// What the time is.
    pub(super) clock: Clock,
}

/// The queue with its thread.
pub(super) struct Queue {
    // Empty once the ledger is closed.
    way_in: ArcSwapOption<SyncSender<Job>>,
    latest: Arc<ArcSwap<Commit>>,
    unknown: Arc<AtomicU64>,
    commits: Commits,
    approach: Approach,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Queue {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`LedgerFault::NoThread`].
    pub(super) fn start(store: Store, options: Options) -> Result<Self, LedgerFault> {
        let Store { backend, show, head, clock } = store;
        let latest = Arc::new(ArcSwap::from_pointee(Commit::unled(head)));
        let unknown = Arc::new(AtomicU64::new(0));
        let (way_in, jobs) = sync_channel(options.queue_len);
        let (commits, approach) = (Commits::default(), Approach::default());
        let writer = Writer {
            backend,
            show,
            clock,
            approach: approach.clone(),
            commits: commits.clone(),
            jobs,
            options,
            latest: Arc::clone(&latest),
            unknown: Arc::clone(&unknown),
        };
        let thread = Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| LedgerFault::NoThread(Arc::new(error)))?;
        let (way_in, thread) = (ArcSwapOption::from_pointee(way_in), Mutex::new(Some(thread)));
        Ok(Self { way_in, latest, unknown, commits, approach, thread })
    }

    /// Has a change applied; answers when it is durable.
    ///
    /// # Errors
    /// [`LedgerFault::Full`] at once when the queue is full; a fault of this change alone; or one that ends the keeper.
    pub(super) async fn submit(&self, change: Change) -> Result<Settled, LedgerFault> {
        let (reply, settled) = oneshot::channel();
        self.enqueue(Job::One(change, reply))?;
        settled.await.unwrap_or(Err(LedgerFault::Stopped))
    }

    /// Has changes applied in their order in one commit, and answers for each when that is durable. They take one place
    /// in the queue.
    ///
    /// # Errors
    /// As [`Queue::submit`], for all of them when they were not taken, else for each.
    pub(super) async fn submit_all(
        &self,
        changes: Vec<Change>,
    ) -> Result<Vec<Result<Settled, LedgerFault>>, LedgerFault> {
        let (mut jobs, mut waiting) = (Vec::with_capacity(changes.len()), Vec::with_capacity(changes.len()));
        for change in changes {
            let (reply, settled) = oneshot::channel();
            jobs.push((change, reply));
            waiting.push(settled);
        }
        self.enqueue(Job::Many(jobs))?;
        let mut all = Vec::with_capacity(waiting.len());
        for settled in waiting {
            all.push(settled.await.unwrap_or(Err(LedgerFault::Stopped)));
        }
        Ok(all)
    }

    /// The same call, known to the thread from now to the end of its first poll as one that may soon bring a change.
    pub(super) fn expect<F: Future>(&self, call: F) -> impl Future<Output = F::Output> + use<F> {
        self.approach.of(call)
    }

    pub(super) fn enqueue(&self, job: Job) -> Result<(), LedgerFault> {
        let way_in = self.way_in.load();
        let way_in = way_in.as_ref().ok_or(LedgerFault::Stopped)?;
        way_in.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => LedgerFault::Full,
            TrySendError::Disconnected(_) => LedgerFault::Stopped,
        })?;
        self.commits.queued();
        Ok(())
    }

    /// The figures of the queue and the commits.
    pub(super) fn commits(&self) -> &Commits {
        &self.commits
    }

    /// Counts a refusal of a caller that is not enrolled.
    pub(super) fn count_unknown(&self) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }

    /// Refusals of callers that are not enrolled which no change has taken yet.
    #[cfg(test)]
    pub(super) fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Has counted refusals written whose minute is over; something when leaves were written.
    ///
    /// # Errors
    /// As [`Queue::submit`]. After [`LedgerFault::Full`] and [`LedgerFault::NoRoom`] nothing is lost.
    pub(super) async fn flush_counts(&self) -> Result<Option<Settled>, LedgerFault> {
        let unknown = self.unknown.swap(0, Ordering::Relaxed);
        let settled = self.submit(Change::CountRefusals { unknown, all: false }).await;
        if matches!(settled, Err(LedgerFault::Full | LedgerFault::NoRoom(_))) {
            self.unknown.fetch_add(unknown, Ordering::Relaxed);
        }
        Ok(Some(settled?).filter(|settled| settled.lead.is_some()))
    }

    /// The newest commit.
    pub(super) fn latest(&self) -> Commit {
        self.latest.load().as_ref().clone()
    }

    /// Ends the thread after what is queued now, with all refusals counted written. Blocks until it has ended.
    pub(super) fn close(&self) {
        // The thread ends when the queue has no sender and is empty.
        self.way_in.store(None);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _panicked = thread.join();
        }
    }
}

/// The thread's own.
struct Writer {
    backend: Box<dyn Backend>,
    show: Box<dyn Fn(&Applied) + Send>,
    clock: Clock,
    approach: Approach,
    commits: Commits,
    jobs: Receiver<Job>,
    options: Options,
    latest: Arc<ArcSwap<Commit>>,
    unknown: Arc<AtomicU64>,
}

impl Writer {
    fn run(mut self) {
        while let Ok(job) = self.jobs.recv() {
            let batch = self.gather(job);
            if self.settle(batch).is_err() {
                // What is still queued is answered by the queue's end.
                return;
            }
        }
        let unknown = self.unknown.swap(0, Ordering::Relaxed);
        let last = [Change::CountRefusals { unknown, all: true }];
        match self.backend.apply(&last, self.clock.moment()) {
            Ok(applied) => drop(self.publish(&applied)),
            Err(fault) => tracing::warn!(%fault, "the last counts of refusals are lost"),
        }
    }

    /// The changes of the next commit.
    fn gather(&self, job: Job) -> Vec<(Change, Reply)> {
        let mut batch = Vec::new();
        job.add_to(&mut batch);
        self.approach.wait(self.options.gather);
        let mut jobs = 1_usize;
        while batch.len() < self.options.batch_max
            && let Ok(job) = self.jobs.try_recv()
        {
            job.add_to(&mut batch);
            jobs = jobs.saturating_add(1);
        }
        self.commits.taken(jobs);
        batch
    }

    fn settle(&mut self, batch: Vec<(Change, Reply)>) -> Result<(), LedgerFault> {
        let (changes, replies): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let begun = Instant::now();
        let mut applied = match self.backend.apply(&changes, self.clock.moment()) {
            Ok(applied) => applied,
            Err(fault) => {
                for reply in replies {
                    // A submitter that stopped waiting needs no answer.
                    let _gone = reply.send(Err(fault.clone()));
                }
                // A batch for which the disk has no room was undone: the next one may find room.
                return if fault.ends_the_keeper() { Err(fault) } else { Ok(()) };
            }
        };
        self.commits.committed(changes.len(), begun.elapsed());
        let mut lead = self.publish(&applied);
        let commit = lead.as_ref().map_or_else(|| self.latest.load().as_ref().clone(), Committed::commit);
        let mut answers: Vec<_> = applied.outcomes.drain(..).zip(replies).collect();
        // The lead goes to one that waits for a signed head, if there is one.
        answers.sort_by_key(|(outcome, _)| !is_new(outcome));
        for (outcome, reply) in answers {
            let settled =
                outcome.map(|outcome| Settled { outcome, commit: commit.clone(), lead: lead.take() });
            if let Err(Ok(unheard)) = reply.send(settled) {
                lead = unheard.lead;
            }
        }
        Ok(())
    }

    /// Shows what is durable to readers and later submitters; gives the right to have the new head signed.
    fn publish(&self, applied: &Applied) -> Option<Committed> {
        if applied.completed.is_empty() {
            return None;
        }
        (self.show)(applied);
        let lead = Committed::new(applied.head);
        self.latest.store(Arc::new(lead.commit()));
        Some(lead)
    }
}

fn is_new(outcome: &Result<Outcome, LedgerFault>) -> bool {
    matches!(outcome, Ok(Outcome::Recorded(leaf)) if !leaf.retried)
}
