//! A flood of bad requests: the log grows by tens of leaves, the counts are exact, and good clients are served.

use keysvc_protocol::{
    leaf::{LeafKind, RefusalsCountedLeaf, RefusedLeaf},
    refusal::{Invalid, Refusal},
    reply::ValueUpdateReply,
    request::{Operation, ValueOperation::Load},
};
use keysvc_tests::{
    ground::Ground,
    raw::{self, Caller},
};
use softhsm_setup::Site;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Bad requests of a caller that is enrolled.
const BAD: u64 = 10_000;
/// On so many connections.
const LINES: u64 = 4;
/// Bad requests of a caller that is not enrolled.
const STRANGE: u64 = 1_000;
/// Far more than a good request takes beside a flood, and far less than waiting for its end would.
const GOOD_MAX: Duration = Duration::from_secs(5);

/// One connection of the flood: what is not even an envelope, what no policy allows, what is signed by nobody.
fn flood(site: &Site, requests: u64) {
    let mut caller = Caller::new(site, "terminal-2");
    let not_signed = raw::envelope(vec![0xf6]);
    let wrong = |reason| Refusal::Invalid { reason };
    for number in 0..requests {
        let (operation, body, expected) = match number % 3 {
            0 => (Operation::ValueUpdate, vec![0xff], wrong(Invalid::Encoding)),
            1 => (Operation::ValueUpdate, not_signed.clone(), wrong(Invalid::NotSigned)),
            _ => (Operation::CardDerive, not_signed.clone(), wrong(Invalid::NotSigned)),
        };
        assert_eq!(caller.line.post(operation.name(), &body).refusal(), expected, "{number}");
    }
}

fn strangers_flood(site: &Site) {
    let mut caller = Caller::new(site, "stranger");
    for _ in 0..STRANGE {
        let answer = caller.line.post(Operation::Status.name(), &raw::envelope(vec![0xf6]));
        assert_eq!(answer.refusal(), Refusal::Unauthenticated);
    }
}

/// A good terminal with its one card.
struct Good {
    terminal: Caller,
    seq: u64,
}

impl Good {
    /// Loads a cent as long as `goes_on` says so; how long each took, ascending.
    fn work(&mut self, mut goes_on: impl FnMut() -> bool) -> Vec<Duration> {
        let mut took = Vec::new();
        while goes_on() {
            let began = Instant::now();
            let request = raw::update(Load, self.seq + 1, 1, self.seq);
            let answer = self.terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &request);
            answer.unwrap_or_else(|refusal| panic!("update {} was refused: {refusal:?}", self.seq + 1));
            took.push(began.elapsed());
            self.seq += 1;
            // A customer a till; the flood is to have the rest of the machine.
            thread::park_timeout(Duration::from_millis(5));
        }
        took.sort_unstable();
        took
    }
}

/// The median and the slowest in a hundred, for whoever reads along (`--no-capture`).
fn tell(when: &str, took: &[Duration]) {
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    eprintln!("{when}: {} updates, p50 {:?}, p99 {:?}", took.len(), at(50), at(99));
}

#[test]
fn a_flood_of_bad_requests_adds_tens_of_leaves_exact_counts_and_no_wait_for_good_clients() {
    let mut ground = Ground::new();
    let before = raw::leaves(&ground).len();
    let (site, over) = (ground.site(), AtomicBool::new(false));
    let mut good = Good { terminal: Caller::new(site, "terminal-1"), seq: 0 };
    let mut calm = 0..200;
    let calm = good.work(|| calm.next().is_some());
    let flooded = thread::scope(|scope| {
        let good = scope.spawn(|| good.work(|| !over.load(Ordering::Acquire)));
        let mut floods: Vec<_> = (0..LINES).map(|_| scope.spawn(|| flood(site, BAD / LINES))).collect();
        floods.push(scope.spawn(|| strangers_flood(site)));
        let flooded = floods.into_iter().all(|flood| flood.join().is_ok());
        over.store(true, Ordering::Release);
        let good = good.join();
        assert!(flooded);
        good.unwrap()
    });
    tell("before the flood", &calm);
    tell("beside the flood", &flooded);
    // An orderly stop writes the counts of the running minute.
    ground.stop();
    ground.start().unwrap();

    let leaves = raw::leaves(&ground);
    let mine = |entry: &LeafKind| matches!(entry, LeafKind::Refused | LeafKind::RefusalsCounted);
    let added = leaves.iter().skip(before).filter(|(entry, _)| mine(&entry.kind)).count();
    let named = |principal: &str| Some(principal.parse().unwrap());
    let single: Vec<RefusedLeaf> = raw::of_kind(&leaves, LeafKind::Refused);
    let single: Vec<_> =
        single.iter().filter(|leaf| named("terminal-2").as_ref() == Some(&leaf.principal)).collect();
    let counted: Vec<RefusalsCountedLeaf> = raw::of_kind(&leaves, LeafKind::RefusalsCounted);
    let sum = |principal: Option<_>| -> u64 {
        counted.iter().filter(|leaf| leaf.principal == principal).map(|leaf| leaf.count).sum()
    };
    assert_eq!(single.len() as u64 + sum(named("terminal-2")), BAD);
    assert_eq!(sum(None), STRANGE);
    assert!(single.len() >= 10 && added < 60, "{} single leaves, {added} in all", single.len());
    // Three kinds by turns, and each leaf says which it was.
    for reason in [Invalid::Encoding, Invalid::NotSigned] {
        assert!(single.iter().any(|leaf| leaf.refusal == Refusal::Invalid { reason }), "{reason:?}");
    }
    let slowest = flooded.last().copied().unwrap_or_default();
    assert!(
        flooded.len() > 20 && slowest < GOOD_MAX,
        "{} good updates, the slowest {slowest:?}",
        flooded.len()
    );
    let recorded = leaves.iter().filter(|(entry, _)| entry.kind == LeafKind::ValueUpdated).count();
    assert_eq!(recorded, calm.len() + flooded.len());
}
