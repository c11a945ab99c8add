//! The one order of all changes: a bounded queue, one thread, group commits.
//!
//! A lone request is committed at once. Only while other calls are on their way does the thread wait a moment for them,
//! once and without being woken for each. What a change means is the backend's affair; here it is only put in order and,
//! once durable, answered. A commit that fails ends the thread: nothing is ever tried again. Only after a batch that met
//! a disk without room, and was undone, does it go on with the next.
//!
//! What happens at one time is in the files below, over the primitives that `sync` names. The tests compile those files
//! once more with other primitives, and have many thousand orders tried (decision 0046).

mod approach;
mod commit;
#[cfg(test)]
#[expect(
    dead_code,
    unreachable_pub,
    clippy::duplicate_mod,
    reason = "the same files once more, of which the tests need a part"
)]
mod explored;
mod queue;
mod queued;
mod sync;

pub use commit::{Commit, Committed};
pub use queue::Options;
pub use queued::Settled;

use self::queue::{Queue, Store};
use super::{
    SharedControl,
    backend::{Applied, Backend},
    change::Change,
    clock::Clock,
    fault::LedgerFault,
    reader::{Reader, Shared},
    seal::{Seal, Seals},
    sqlite::{Opened, Sqlite},
};
use crate::metrics::Commits;
use keysvc_protocol::{control::Control, name::Name};
use std::{fmt, path::Path, sync::Arc};

/// The way into the ledger; clones share one thread.
#[derive(Clone)]
pub struct Sequencer(Arc<Hub>);

struct Hub {
    queue: Queue,
    seals: Seals,
    shared: Arc<Shared>,
}

impl fmt::Debug for Sequencer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequencer").field("head", &self.latest().head()).finish_non_exhaustive()
    }
}

impl Sequencer {
    /// Opens the store in the folder `store`, which must exist, and starts the ledger's thread, on the system's
    /// clock. Data keys are given later ([`Sequencer::install_seal`]).
    ///
    /// # Errors
    /// [`LedgerFault`] saying what to do: in use, another program's, damaged.
    pub fn start(store: &Path, options: Options) -> Result<(Self, Reader), LedgerFault> {
        Self::start_with(store, options, Seals::default(), Clock::system())
    }

    /// As [`Sequencer::start`], with data keys and clock from outside.
    ///
    /// # Errors
    /// As [`Sequencer::start`].
    pub fn start_with(
        store: &Path,
        options: Options,
        seals: Seals,
        clock: Clock,
    ) -> Result<(Self, Reader), LedgerFault> {
        let (sqlite, opened) = Sqlite::open(store, seals.clone(), clock.now_ms())?;
        Self::over(Box::new(sqlite), opened, seals, (options, clock))
    }

    pub(super) fn over(
        backend: Box<dyn Backend>,
        opened: Opened,
        seals: Seals,
        (options, clock): (Options, Clock),
    ) -> Result<(Self, Reader), LedgerFault> {
        let head = opened.head;
        let shared = Arc::new(Shared::new(opened, seals.clone()));
        let shown = Arc::clone(&shared);
        let show = Box::new(move |applied: &Applied| shown.publish(applied));
        let queue = Queue::start(Store { backend, show, head, clock }, options)?;
        let reader = Reader::over(Arc::clone(&shared));
        Ok((Self(Arc::new(Hub { queue, seals, shared })), reader))
    }

    /// Has a change applied; answers when it is durable.
    ///
    /// A change that was taken is carried out even when the caller stops waiting.
    ///
    /// # Errors
    /// [`LedgerFault::Full`] at once when the queue is full; a fault of this change alone; or one that ends the
    /// keeper ([`LedgerFault::ends_the_keeper`]), such as [`LedgerFault::Commit`].
    pub async fn submit(&self, change: Change) -> Result<Settled, LedgerFault> {
        self.0.queue.submit(change).await
    }

    /// Has changes applied in their order in one commit, and answers for each when that is durable. They take one place
    /// in the queue.
    ///
    /// # Errors
    /// As [`Sequencer::submit`], for all of them when they were not taken, else for each.
    pub async fn submit_all(
        &self,
        changes: Vec<Change>,
    ) -> Result<Vec<Result<Settled, LedgerFault>>, LedgerFault> {
        self.0.queue.submit_all(changes).await
    }

    /// The same call, known to the ledger from now to the end of its first poll as one that may soon bring a change: a
    /// commit waits a moment for it.
    pub fn expect<F: Future>(&self, call: F) -> impl Future<Output = F::Output> + use<F> {
        self.0.queue.expect(call)
    }

    /// The figures of the queue and the commits.
    #[must_use]
    pub fn commits(&self) -> &Commits {
        self.0.queue.commits()
    }

    /// Counts a refusal of a caller that is not enrolled; costs no place in the queue.
    pub fn count_unknown(&self) {
        self.0.queue.count_unknown();
    }

    /// Has counted refusals written whose minute is over; to be called each minute.
    ///
    /// Answers something when leaves were written: the head may have to be signed, as after any change.
    ///
    /// # Errors
    /// As [`Sequencer::submit`]. After [`LedgerFault::Full`] and [`LedgerFault::NoRoom`] nothing is lost: call again.
    pub async fn flush_counts(&self) -> Result<Option<Settled>, LedgerFault> {
        self.0.queue.flush_counts().await
    }

    /// Makes `seal` the data key that seals what is of its class from the next leaf on; those before still open.
    #[expect(clippy::needless_pass_by_value, reason = "a key is given away: the giver's copy is wiped")]
    pub fn install_seal(&self, seal: Seal) {
        self.0.seals.install(&seal);
    }

    /// Whether the data key of a job is there, so that its items can be recorded.
    #[must_use]
    pub fn has_job(&self, job: &Name) -> bool {
        self.0.seals.has_job(job)
    }

    /// Drops the data key of a job: nothing of it is sealed or opened from now on.
    pub fn forget_job(&self, job: &Name) {
        self.0.seals.forget_job(job);
    }

    /// Makes the state of what takes people again from the log: at a start, once the data keys are installed. Blocks
    /// while it reads. Changes that need it are a fault before.
    ///
    /// # Errors
    /// [`LedgerFault::Broken`] or [`LedgerFault::BrokenTable`] when the store is not what its tree says.
    pub fn restore_control(&self) -> Result<(), LedgerFault> {
        self.0.shared.restore_control()
    }

    /// Everything that takes people, as the last commit left it; nothing before it was restored from the log.
    #[must_use]
    pub fn control(&self) -> Option<Arc<Control>> {
        self.0.shared.control().load_full()
    }

    /// The same as it changes, for whoever looks at it with each request.
    #[must_use]
    pub fn shared_control(&self) -> SharedControl {
        Arc::clone(self.0.shared.control())
    }

    /// The newest commit. After a start nobody leads it: [`Commit::take_over`] gives the right to have it signed.
    #[must_use]
    pub fn latest(&self) -> Commit {
        self.0.queue.latest()
    }

    /// Ends the thread after what is queued now, with all refusals counted written. Blocks until the store is
    /// closed; every later change is answered [`LedgerFault::Stopped`].
    pub fn close(&self) {
        self.0.queue.close();
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            change::Outcome,
            sqlite::ground::{
                Ask, NOW_MS, OnOrder, Order, first_load, folder, founding, note, seals, start, update,
            },
        },
        queued::Job,
        sync::oneshot,
        *,
    };
    use keysvc_protocol::{
        merkle::{Inclusion, leaf_hash, verify_inclusion},
        refusal::Refusal,
        request::ValueOperation::Load,
    };
    use std::{
        sync::mpsc::{Receiver, Sender, channel},
        time::Duration,
    };
    use tokio::task::JoinSet;

    fn options(queue_len: usize) -> Options {
        Options { queue_len, batch_max: 256, gather: Duration::from_micros(200) }
    }

    fn clock() -> Clock {
        Clock::new(|| NOW_MS)
    }

    async fn founded(folder: &tempfile::TempDir) -> (Sequencer, Reader) {
        let (sequencer, reader) =
            Sequencer::start_with(folder.path(), options(1_024), seals(), clock()).unwrap();
        let settled = sequencer.submit(Change::Founding { leaf: founding() }).await.unwrap();
        settled.lead.unwrap().publish(note(settled.commit.head()));
        (sequencer, reader)
    }

    /// A ledger that does nothing without an order, on a store that is founded.
    async fn on_order(
        folder: &tempfile::TempDir,
        queue_len: usize,
    ) -> (Sequencer, Receiver<usize>, Sender<Order>) {
        founded(folder).await.0.close();
        let (sqlite, opened) = Sqlite::open(folder.path(), seals(), NOW_MS).unwrap();
        let ((called, calls), (give, orders)) = (channel(), channel());
        let backend = Box::new(OnOrder { sqlite, called, orders });
        let (sequencer, _) =
            Sequencer::over(backend, opened, seals(), (options(queue_len), clock())).unwrap();
        sequencer.restore_control().unwrap();
        (sequencer, calls, give)
    }

    fn submitted(
        sequencer: &Sequencer,
        change: Change,
    ) -> tokio::task::JoinHandle<Result<Settled, LedgerFault>> {
        let sequencer = sequencer.clone();
        tokio::spawn(async move { sequencer.submit(change).await })
    }

    /// Has taken its place in the queue when this returns.
    fn enqueued(sequencer: &Sequencer, change: Change) -> oneshot::Receiver<Result<Settled, LedgerFault>> {
        let (reply, settled) = oneshot::channel();
        sequencer.0.queue.enqueue(Job::One(change, reply)).unwrap();
        settled
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_submitters_at_once_are_all_in_the_log_with_one_leader_a_commit() {
        let folder = folder();
        let (sequencer, reader) = founded(&folder).await;
        let mut all = JoinSet::new();
        for card in 0..300 {
            let sequencer = sequencer.clone();
            all.spawn(async move {
                let mut settled = sequencer.submit(first_load(card)).await.unwrap();
                let lead = settled.lead.take();
                let leads = lead.is_some();
                if let Some(lead) = lead {
                    lead.publish(note(settled.commit.head()));
                }
                (settled, leads)
            });
        }
        let (mut leads, mut indices, mut heads) = (0, Vec::new(), Vec::new());
        while let Some(settled) = all.join_next().await {
            let (settled, is_leader) = settled.unwrap();
            leads += usize::from(is_leader);
            let Outcome::Recorded(leaf) = settled.outcome else { panic!("not recorded") };
            let head = settled.commit.head();
            let proof = reader.inclusion(leaf.index, head.size).unwrap();
            let claim = Inclusion { index: leaf.index, size: head.size, leaf_hash: leaf_hash(&leaf.entry) };
            assert_eq!(verify_inclusion(&claim, &proof, &head.root), Ok(()));
            assert_eq!(settled.commit.note().await, Some(note(head)));
            indices.push(leaf.index);
            heads.push(head.size);
        }
        indices.sort_unstable();
        assert_eq!(indices, (1..=300).collect::<Vec<_>>());
        heads.sort_unstable();
        heads.dedup();
        assert_eq!(leads, heads.len());
        assert_eq!(reader.head(), sequencer.latest().head());
    }

    #[tokio::test]
    async fn a_retry_alone_makes_no_commit_and_gets_the_newest_one() {
        let folder = folder();
        let (sequencer, _) = founded(&folder).await;
        let load = update(1, &Ask(Load, 5, 1, 0));
        let first = sequencer.submit(load.clone()).await.unwrap();
        let second = sequencer.submit(load).await.unwrap();
        assert!(second.lead.is_none());
        assert_eq!((second.commit.head(), second.index()), (first.commit.head(), Some(1)));
        first.lead.unwrap().publish(note(first.commit.head()));
        assert_eq!(second.commit.note().await, Some(note(first.commit.head())));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_lead_goes_to_one_that_waits_for_a_signed_head() {
        let folder = folder();
        let (sequencer, calls, orders) = on_order(&folder, 8).await;
        let first = submitted(&sequencer, start());
        calls.recv().unwrap();
        // Both wait in the queue while the first batch is held.
        let refused = enqueued(&sequencer, update(1, &Ask(Load, 0, 1, 0)));
        let recorded = enqueued(&sequencer, first_load(1));
        orders.send(Order::Obey).unwrap();
        orders.send(Order::Obey).unwrap();
        assert!(first.await.unwrap().unwrap().lead.is_some());
        assert_eq!(calls.recv().unwrap(), 2);
        let refused = refused.await.unwrap().unwrap();
        assert!(matches!(refused.outcome, Outcome::Refused(Refusal::Invalid { .. })));
        assert!(refused.lead.is_none());
        assert!(recorded.await.unwrap().unwrap().lead.is_some());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_failed_commit_is_told_to_its_whole_batch_and_ends_the_ledger() {
        let folder = folder();
        let (sequencer, calls, orders) = on_order(&folder, 8).await;
        let head = sequencer.latest().head();
        let first = submitted(&sequencer, start());
        calls.recv().unwrap();
        let waiting: Vec<_> = (0..3).map(|card| enqueued(&sequencer, first_load(card))).collect();
        orders.send(Order::Obey).unwrap();
        orders.send(Order::Fail).unwrap();
        let after = first.await.unwrap().unwrap().commit.head();
        assert_eq!(after.size, head.size + 1);
        for settled in waiting {
            let fault = settled.await.unwrap().unwrap_err();
            assert!(matches!(fault, LedgerFault::Commit(_)) && fault.ends_the_keeper());
        }
        assert!(matches!(sequencer.submit(start()).await, Err(LedgerFault::Stopped)));
        assert_eq!(sequencer.latest().head(), after);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_queued_behind_a_failed_commit_is_answered_too() {
        let folder = folder();
        let (sequencer, calls, orders) = on_order(&folder, 8).await;
        let first = submitted(&sequencer, start());
        calls.recv().unwrap();
        let behind = enqueued(&sequencer, start());
        orders.send(Order::Fail).unwrap();
        assert!(matches!(first.await.unwrap(), Err(LedgerFault::Commit(_))));
        assert!(behind.await.is_err(), "the queue's end answers");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_queue_answers_at_once() {
        let folder = folder();
        let (sequencer, calls, orders) = on_order(&folder, 1).await;
        let held = submitted(&sequencer, start());
        calls.recv().unwrap();
        let queued = enqueued(&sequencer, start());
        let fault = sequencer.submit(start()).await.unwrap_err();
        assert!(matches!(fault, LedgerFault::Full) && !fault.ends_the_keeper());
        // Counts are not lost by it.
        sequencer.count_unknown();
        assert!(matches!(sequencer.flush_counts().await, Err(LedgerFault::Full)));
        assert_eq!(sequencer.0.queue.unknown(), 1);
        drop(orders);
        assert_eq!(held.await.unwrap().unwrap().index(), Some(1));
        assert_eq!(queued.await.unwrap().unwrap().index(), Some(2));
    }

    #[tokio::test]
    async fn a_lead_nobody_waits_for_goes_to_the_next_or_is_free() {
        let folder = folder();
        let (sequencer, _) = founded(&folder).await;
        drop(enqueued(&sequencer, start()));
        let retried = sequencer.submit(update(1, &Ask(Load, 0, 1, 0))).await.unwrap();
        // Either both were one batch and the second leads, or the first's head is nobody's.
        assert!(retried.lead.is_some() || sequencer.latest().take_over().is_some());
    }

    #[tokio::test]
    async fn closing_writes_the_counts_gives_the_store_back_and_ends_all_submitting() {
        let folder = folder();
        let (sequencer, reader) = founded(&folder).await;
        sequencer.count_unknown();
        sequencer.count_unknown();
        assert!(sequencer.flush_counts().await.unwrap().is_none(), "the minute is not over");
        sequencer.close();
        assert!(matches!(sequencer.submit(start()).await, Err(LedgerFault::Stopped)));
        assert_eq!(reader.head().size, 2);
        let (again, reader) = Sequencer::start(folder.path(), options(8)).unwrap();
        assert_eq!(reader.head().size, 2);
        assert_eq!(again.latest().take_over().map(|lead| lead.head()), Some(reader.head()));
    }
}
