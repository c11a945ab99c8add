//! What many clients see of one purse or one proposal at one time is one history, one step after the other; and the tester
//! that says so refuses histories that are none.

use keysvc_protocol::{
    refusal::Refusal,
    request::{
        UpdateValue,
        ValueOperation::{self, Debit, Load},
    },
    schema::Schema,
    value::ValueUpdate,
};
use keysvc_tests::{
    acks::Recorded,
    cards,
    ground::{Ground, OFFICERS},
    histories::{
        Seen,
        crowd::{Plan, crowd, txn},
        explained,
        proposal::{End, Proposal, Said, Step},
        purse::{Ask, Done, Purse, Told},
        vote::vote,
    },
    raw::leaves,
};
use std::time::Duration;

fn ask(operation: ValueOperation, amount: u64, (seq, before): (u64, u64), number: u8) -> UpdateValue {
    UpdateValue {
        schema: Schema,
        programme: "coffee".parse().unwrap(),
        card: "04782e21801d80".parse().unwrap(),
        purse: 1,
        operation,
        expected_seq: seq,
        amount,
        currency: 978,
        balance_before: before,
        txn: txn(number),
    }
}

/// As it is signed where it stands on `before`.
fn done(ask: &UpdateValue, after: u64) -> Told {
    Told::Done(Done::from(&ValueUpdate {
        schema: Schema,
        programme: ask.programme.clone(),
        card: ask.card,
        purse: ask.purse,
        operation: ask.operation,
        seq: ask.expected_seq,
        amount: ask.amount,
        currency: ask.currency,
        balance_before: ask.balance_before,
        balance_after: after,
        previous: keysvc_protocol::bytes::PreviousUpdate::new([0; 16]),
        txn: ask.txn,
        terminal: "terminal-1".parse().unwrap(),
        issued_at_ms: 0,
        expires_at_ms: 0,
        flags: 0,
        evidence: None,
    }))
}

fn seen(asked: u64, ask: &UpdateValue, told: Option<(u64, Told)>) -> Seen<Ask, Told> {
    Seen { asked, op: Ask(ask.clone()), told }
}

fn conflict(expected_seq: u64) -> Told {
    Told::Refused(Refusal::CounterConflict { expected_seq })
}

#[test]
fn a_history_whose_operations_overlap_is_explained_by_the_order_that_fits() {
    let (load, debit) = (ask(Load, 500, (1, 0), 1), ask(Debit, 200, (2, 500), 2));
    // The debit was asked first, and both were answered late.
    let history =
        [seen(1, &debit, Some((4, done(&debit, 300)))), seen(2, &load, Some((3, done(&load, 500))))];
    assert_eq!(explained(Purse::default(), &history), Ok(()));
    // The load was never answered, and a later conflict shows that it was done.
    let history = [
        seen(1, &load, None),
        seen(2, &load, Some((3, done(&load, 500)))),
        seen(4, &ask(Load, 1, (1, 0), 3), Some((5, conflict(2)))),
    ];
    assert_eq!(explained(Purse::default(), &history), Ok(()));
}

#[test]
fn a_lost_update_is_refused() {
    let (first, second) = (ask(Load, 500, (1, 0), 1), ask(Load, 300, (1, 0), 2));
    // Both are told that they were the first: one of them is lost.
    let history =
        [seen(1, &first, Some((3, done(&first, 500)))), seen(2, &second, Some((4, done(&second, 300))))];
    assert!(explained(Purse::default(), &history).is_err());
    // An acknowledged update that is gone afterwards.
    let history =
        [seen(1, &first, Some((2, done(&first, 500)))), seen(3, &second, Some((4, done(&second, 300))))];
    assert!(explained(Purse::default(), &history).is_err());
}

#[test]
fn a_stale_read_is_refused() {
    let load = ask(Load, 500, (1, 0), 1);
    let read = ask(Load, 1, (9, 0), 2);
    let history = [seen(1, &load, Some((2, done(&load, 500)))), seen(3, &read, Some((4, conflict(1))))];
    let told = explained(Purse::default(), &history).unwrap_err();
    assert!(told.contains("CounterConflict"), "it shows the history: {told}");
    // While the load was under way, the same answer is good.
    let history = [seen(1, &load, Some((4, done(&load, 500)))), seen(2, &read, Some((3, conflict(1))))];
    assert_eq!(explained(Purse::default(), &history), Ok(()));
}

#[test]
fn one_transaction_done_twice_is_refused() {
    let load = ask(Load, 500, (1, 0), 1);
    let again = ask(Load, 500, (2, 500), 1);
    let history =
        [seen(1, &load, Some((2, done(&load, 500)))), seen(3, &again, Some((4, done(&again, 1_000))))];
    assert!(explained(Purse::default(), &history).is_err());
}

#[test]
fn a_proposal_with_two_ends_or_too_few_people_is_refused() {
    let step = |asked, op: Step, told, said| Seen { asked, op, told: Some((told, said)) };
    let executing = || Seen { asked: 0, op: Step::Execute, told: None };
    let stands = |end| Said::Stands(Some(end));
    let agreed = [
        executing(),
        step(1, Step::Approve("ann"), 3, Said::Counted),
        step(2, Step::Approve("ben"), 4, Said::Counted),
        step(5, Step::Look, 6, stands(End::Executed)),
    ];
    assert_eq!(explained(Proposal::default(), &agreed), Ok(()));
    let mut also_withdrawn = agreed.to_vec();
    also_withdrawn.push(step(7, Step::Cancel, 8, Said::Counted));
    assert!(explained(Proposal::default(), &also_withdrawn).is_err());
    let alone = [executing(), agreed[1].clone(), agreed[3].clone()];
    assert!(explained(Proposal::default(), &alone).is_err());
    let twice =
        [executing(), agreed[1].clone(), step(2, Step::Approve("ann"), 4, Said::Counted), agreed[3].clone()];
    assert!(explained(Proposal::default(), &twice).is_err());
}

#[test]
fn what_many_clients_see_of_each_purse_and_of_each_proposal_is_one_history() {
    let mut ground = Ground::founded();
    ground.set("front.limits", "per-certificate-max = 128");
    ground.start().unwrap();
    let mut officers = OFFICERS.map(|one| cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), one));
    let mut chances = fastrand::Rng::new();
    let (length, kill) = (Duration::from_secs(5), Some(Duration::from_secs(3)));
    let plan = Plan { clients: 32, purses: 40, length, kill, run: 0, seed: chances.u64(..) };
    println!("chances from {}", plan.seed);
    let seen = crowd(&ground, plan);
    assert!(seen.histories.iter().map(Vec::len).sum::<usize>() > 200, "the crowd was at work");
    for history in &seen.histories {
        explained(Purse::default(), history).unwrap();
    }
    assert_eq!(seen.contradictions, Vec::<String>::new());
    for number in 0..3 {
        let votes = vote(&ground, &mut officers, number, &mut chances).unwrap();
        explained(Proposal::default(), &votes).unwrap();
    }
    let recorded = Recorded::of(&leaves(&ground));
    assert!(recorded.lost(&seen.payloads).is_empty() && recorded.double().is_empty());
}
