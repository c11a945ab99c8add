//! The commit queue in many orders: each change is answered once and truly, nothing follows a failed commit, closing loses
//! nothing, a full queue refuses at once, and nobody waits for ever.
//!
//! A deadlock is a panic of the scheduler's, so that each test below also says that there is none.

use super::{
    explore,
    memory::{Gate, Kept, Memory, Trouble, change, is_refused, signed},
    queue::{Options, Queue, Store},
    queued::{Job, Settled},
    sync::{block_on, chance, oneshot, thread},
};
use crate::keeper::ledger::{change::Outcome, clock::Clock, fault::LedgerFault, sqlite::ground::note};
use keysvc_protocol::merkle::Frontier;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Long enough that only a wake-up ends a wait, and short enough that it may end at any moment.
const GATHERS: [Duration; 2] = [Duration::from_hours(1), Duration::from_millis(1)];
const CLIENTS: u64 = 3;

/// What one change was told.
struct Told {
    number: u64,
    answer: Result<Settled, LedgerFault>,
    led: bool,
}

fn started(options: Options, trouble: Trouble, gate: &Arc<Gate>) -> (Arc<Queue>, Arc<Mutex<Kept>>) {
    let (memory, kept) = Memory::new(trouble, gate);
    let head = Frontier::new().head();
    let store = Store { backend: Box::new(memory), show: Box::new(|_| {}), head, clock: Clock::new(|| 0) };
    let queue = Queue::start(store, options).unwrap();
    // As a start does.
    queue.latest().take_over().unwrap().publish(note(head));
    (Arc::new(queue), kept)
}

/// Hears an answer as requests do: the newest commit is at least this one, and its head gets signed, whoever leads it.
fn heard(queue: &Queue, number: u64, mut answer: Result<Settled, LedgerFault>, patient: bool) -> Told {
    let mut led = false;
    if let Ok(settled) = &mut answer {
        let head = settled.commit.head();
        assert!(queue.latest().head().size >= head.size, "told before it was shown");
        if let Some(lead) = settled.lead.take() {
            led = true;
            assert_eq!(lead.head(), head, "the lead is this commit's");
            // Some give up: their caller is gone before it is signed.
            if patient || chance(3) > 0 {
                lead.publish(note(head));
            }
        }
        signed(&settled.commit, patient);
    }
    Told { number, answer, led }
}

/// One change that is expected, then two at once; and one refusal to be counted.
fn client(queue: &Queue, number: u64, patient: bool) -> Vec<Told> {
    let one = number * 10 + 1;
    let answer = block_on(queue.expect(queue.submit(change(one))));
    let mut told = vec![heard(queue, one, answer, patient)];
    queue.count_unknown();
    // The second is refused by the log.
    let both = [number * 10 + 4, number * 10 + 5];
    match block_on(queue.submit_all(both.map(change).to_vec())) {
        Ok(answers) => {
            assert_eq!(answers.len(), both.len());
            let answers = both.into_iter().zip(answers);
            told.extend(answers.map(|(number, answer)| heard(queue, number, answer, patient)));
        }
        Err(fault) => told.extend(both.map(|number| Told { number, answer: Err(fault.clone()), led: false })),
    }
    told
}

/// One who does not wait for the answer; whether the change was taken.
fn impatient(queue: &Queue, number: u64) -> bool {
    let (reply, _) = oneshot::channel();
    queue.enqueue(Job::One(change(number), reply)).is_ok()
}

const UNHEARD: u64 = 99;

fn judge(kept: &Kept, told: &[Told], taken: bool) {
    let committed: BTreeSet<u64> = kept.batches.iter().flatten().copied().collect();
    assert_eq!(
        committed.len(),
        kept.batches.iter().map(Vec::len).sum::<usize>(),
        "nothing is committed twice"
    );
    let failed = kept.failed.as_deref().unwrap_or_default();
    let undone = kept.undone.as_deref().unwrap_or_default();
    for Told { number, answer, .. } in told {
        let (number, in_log) = (*number, committed.contains(number));
        match answer {
            Ok(settled) => match &settled.outcome {
                Outcome::Recorded(leaf) => {
                    let place = usize::try_from(leaf.index).unwrap();
                    assert_eq!(kept.leaves[place], number, "its own leaf");
                    assert!(leaf.index < settled.commit.head().size, "its commit holds it");
                }
                other => assert!(is_refused(number) && in_log, "{other:?}"),
            },
            Err(
                LedgerFault::Commit(_) | LedgerFault::NoRoom(_) | LedgerFault::Full | LedgerFault::Stopped,
            ) => {}
            Err(fault) => panic!("{number}: {fault}"),
        }
        let told = |batch: &[u64], is_so: bool| {
            assert_eq!(batch.contains(&number), is_so, "{number}: its batch is told");
        };
        told(failed, matches!(answer, Err(LedgerFault::Commit(_))));
        told(undone, matches!(answer, Err(LedgerFault::NoRoom(_))));
        assert_eq!(in_log, answer.is_ok(), "who is in the log is told so, and nobody else");
    }
    if taken {
        let somewhere = committed.contains(&UNHEARD) || undone.contains(&UNHEARD) || kept.failed.is_some();
        assert!(somewhere, "what was taken is carried out, though nobody waits");
    }
    // What came as one stands next to each other in one commit; what one client sends later comes later.
    for client in 1..=CLIENTS {
        let [first, second, third] = [1, 4, 5].map(|place| client * 10 + place);
        let batch_of = |number| kept.batches.iter().position(|batch| batch.contains(&number));
        if let Some(batch) = batch_of(second) {
            let place = kept.batches[batch].iter().position(|number| *number == second).unwrap();
            assert_eq!(kept.batches[batch].get(place + 1), Some(&third));
            assert!(batch_of(first).is_none_or(|first| first < batch), "in the order they were sent");
        }
    }
    let led: Vec<u64> = told.iter().filter(|told| told.led).filter_map(head_of).collect();
    let heads: BTreeSet<u64> = led.iter().copied().collect();
    assert_eq!(heads.len(), led.len(), "one leads a commit");
}

fn head_of(told: &Told) -> Option<u64> {
    told.answer.as_ref().ok().map(|settled| settled.commit.head().size)
}

/// All clients, one who does not wait, and a close that comes at any moment.
fn history() {
    let options = Options { queue_len: 1 + chance(3), batch_max: 1 + chance(3), gather: GATHERS[chance(2)] };
    let trouble = match chance(4) {
        0 => Trouble::Fails(chance(3)),
        1 => Trouble::NoRoom(chance(3)),
        _ => Trouble::None,
    };
    let (queue, kept) = started(options, trouble, &Gate::new(true));
    // In half of the histories everybody waits for what comes.
    let patient = chance(2) == 0;
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|number| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || client(&queue, number, patient))
        })
        .collect();
    let impatience = {
        let queue = Arc::clone(&queue);
        thread::spawn(move || !patient && impatient(&queue, UNHEARD))
    };
    // In some histories while they are at it, in others afterwards.
    if chance(2) == 0 {
        queue.close();
    }
    let told: Vec<Told> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    let taken = impatience.join().unwrap();
    queue.close();
    let kept = kept.lock().unwrap();
    judge(&kept, &told, taken);
    assert_eq!(kept.closed, kept.failed.is_none(), "the last counts are written, unless a commit failed");
    if kept.failed.is_none() {
        // What was counted before the close is in the log, what came after is still there.
        assert_eq!(kept.unknown + queue.unknown(), CLIENTS);
    }
    drop(kept);
    assert!(matches!(block_on(queue.submit(change(1))), Err(LedgerFault::Stopped)), "closed is closed");
}

#[test]
fn each_change_is_answered_once_and_truly_whatever_comes_in_between() {
    explore(1, history);
}

/// While a commit is held up, the queue takes as many as it has places for, and refuses the others without waiting.
fn crowd() {
    const CALLERS: usize = 5;
    let queue_len = 1 + chance(2);
    let options = Options { queue_len, batch_max: 2, gather: GATHERS[1] };
    let gate = Gate::new(false);
    let (queue, kept) = started(options, Trouble::None, &gate);
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let (reply, settled) = oneshot::channel();
                queue.enqueue(Job::One(change(number as u64 * 10 + 1), reply)).map(|()| settled)
            })
        })
        .collect();
    // Nobody waits here for the commit that is held up, or these would never end.
    let answers: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    gate.open();
    queue.close();
    let kept = kept.lock().unwrap();
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    // At most one batch was out of the queue.
    assert!(taken >= queue_len.min(CALLERS) && taken <= queue_len + options.batch_max, "{taken} were taken");
    assert_eq!(kept.leaves.len(), taken, "and those alone, all of them");
    for answer in answers {
        match answer {
            Ok(settled) => assert!(block_on(settled).unwrap().is_ok()),
            Err(fault) => assert!(matches!(fault, LedgerFault::Full), "{fault}"),
        }
    }
}

#[test]
fn a_full_queue_refuses_at_once_and_an_accepted_change_is_never_lost() {
    explore(2, crowd);
}

/// Whoever is expected wakes the thread, whether it brings a change, waits for something else or goes away.
fn expectation() {
    let options = Options { queue_len: 8, batch_max: 8, gather: GATHERS[0] };
    let (queue, kept) = started(options, Trouble::None, &Gate::new(true));
    let way = chance(3);
    let other = {
        let queue = Arc::clone(&queue);
        let call = queue.expect({
            let queue = Arc::clone(&queue);
            async move {
                if way == 0 {
                    queue.submit(change(21)).await.unwrap();
                }
            }
        });
        thread::spawn(move || if way < 2 { block_on(call) } else { drop(call) })
    };
    assert!(block_on(queue.submit(change(11))).is_ok());
    other.join().unwrap();
    queue.close();
    let expected: &[u64] = if way == 0 { &[11, 21] } else { &[11] };
    let mut leaves = kept.lock().unwrap().leaves.clone();
    leaves.sort_unstable();
    assert_eq!(leaves, expected);
}

#[test]
fn the_thread_is_woken_by_whoever_it_waits_for_and_never_by_the_clock_alone() {
    explore(2, expectation);
}
