//! One proposal and everybody at it at one time: approvals, a rejection, a withdrawal, and those who ask where it stands.
//!
//! Each proposal lifts a freeze of a card of its own, which takes two. What an officer signs is signed before anybody
//! sends, because a card signs one at a time.

use super::{
    Moments, Seen,
    proposal::{Said, Step},
};
use crate::{
    agreed::{Pending, freeze, idem, lift, propose, reason, send},
    ground::Ground,
    raw::{Answer, Caller, Line, envelope, http},
};
use keysvc_protocol::{
    cbor,
    freeze::Scope,
    quorum::Verdict,
    refusal::{Conflict, Refusal},
    reply::{ChangedReply, ResultReply, VoteReply},
    request::{ApproveProposal, CancelProposal, Operation, ReadResult, RejectProposal},
    schema::Schema,
};
use std::{
    sync::{Barrier, Mutex},
    thread,
    time::{Duration, Instant},
};

/// Longer than any restart takes.
const LONG: Duration = Duration::from_mins(1);

/// A request that is ready to be sent.
struct Ready {
    officer: &'static str,
    step: Step,
    operation: Operation,
    body: Vec<u8>,
}

/// Has one proposal voted on by the site's three officers, whose cards are given, with chances from `chances`; what they
/// saw, and where it stood at the end.
///
/// # Errors
/// An answer that no such step can have.
///
/// # Panics
/// When an officer cannot connect, or the service stays away.
pub fn vote(
    ground: &Ground,
    officers: &mut [Caller; 3],
    number: u16,
    chances: &mut fastrand::Rng,
) -> Result<Vec<Seen<Step, Said>>, String> {
    let pending = asked(ground, officers, number);
    let ready = ready(&pending, officers, chances);
    let (moments, seen, wrong) = (Moments::default(), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    // What the service does by itself, after the approval that completes the quorum: at any time from now on, or never.
    seen.lock().unwrap().push(Seen { asked: moments.next(), op: Step::Execute, told: None });
    let together = Barrier::new(ready.len());
    thread::scope(|scope| {
        for one in ready {
            let (moments, seen, wrong, together) = (&moments, &seen, &wrong, &together);
            scope.spawn(move || {
                let mut line = Line::open(ground.site(), one.officer);
                together.wait();
                match sent(&mut line, moments, one) {
                    Ok(all) => seen.lock().unwrap().extend(all),
                    Err(what) => wrong.lock().unwrap().push(what),
                }
            });
        }
    });
    let mut seen = seen.into_inner().unwrap();
    // After everything: where it stands is where it ended.
    let from = moments.next();
    let result: ResultReply = insisted(ground, &mut officers[0], "officer-1", |one| pending.result(one));
    seen.push(Seen {
        asked: from,
        op: Step::Look,
        told: Some((moments.next(), Said::stands(&result.state)?)),
    });
    let wrong = wrong.into_inner().unwrap();
    if wrong.is_empty() { Ok(seen) } else { Err(wrong.join("; ")) }
}

/// A card of its own is frozen, and lifting that is proposed.
fn asked(ground: &Ground, officers: &mut [Caller; 3], number: u16) -> Pending {
    let card = format!("04c1{number:04x}5a5a5a").parse().unwrap();
    let scope = Scope::Card { card, programme: None };
    let (set, lift) = (freeze(&scope), lift(&scope));
    let [one, ..] = officers;
    insisted(ground, one, "officer-1", |one| send::<ChangedReply>(one, Operation::FreezeSet, &set));
    insisted(ground, one, "officer-1", |one| propose(one, Operation::FreezeLift, &lift))
}

/// Asks again while the service is away.
fn insisted<R>(
    ground: &Ground,
    caller: &mut Caller,
    persona: &str,
    mut ask: impl FnMut(&mut Caller) -> Result<R, Refusal>,
) -> R {
    let began = Instant::now();
    loop {
        match ask(caller) {
            Ok(reply) => return reply,
            Err(refusal) => assert!(refusal.retryable() && began.elapsed() < LONG, "{persona}: {refusal}"),
        }
        thread::park_timeout(Duration::from_millis(20));
        ground.reconnect(caller, persona);
    }
}

/// Two or three approvals and, by chance, a rejection, a withdrawal and somebody who asks.
fn ready(pending: &Pending, officers: &[Caller; 3], chances: &mut fastrand::Rng) -> Vec<Ready> {
    let (schema, id) = (Schema, pending.id());
    let [one, two, three] = officers;
    let approve = |officer: &'static str, by: &Caller| {
        let approval = pending.verdict(by, Verdict::Approve);
        let (operation, step) = (Operation::ProposalApprove, Step::Approve(officer));
        let message = by.message(operation, cbor::encode(&ApproveProposal { schema, id, approval }));
        Ready { officer, step, operation, body: envelope(message) }
    };
    let look = |officer: &'static str, by: &Caller| {
        let operation = Operation::ProposalResult;
        let message = by.message(operation, cbor::encode(&ReadResult { schema, id }));
        Ready { officer, step: Step::Look, operation, body: envelope(message) }
    };
    let mut ready = vec![approve("officer-1", one), approve("officer-2", two)];
    if chances.bool() {
        let approval = pending.verdict(three, Verdict::Reject);
        let (operation, officer) = (Operation::ProposalReject, "officer-3");
        let message = three.message(operation, cbor::encode(&RejectProposal { schema, id, approval }));
        ready.push(Ready { officer, step: Step::Reject(officer), operation, body: envelope(message) });
    } else {
        ready.push(approve("officer-3", three));
    }
    if chances.bool() {
        let operation = Operation::ProposalCancel;
        let cancel = CancelProposal { schema, idem: idem(), id, reason: reason() };
        let body = envelope(one.message(operation, cbor::encode(&cancel)));
        ready.push(Ready { officer: "officer-1", step: Step::Cancel, operation, body });
    }
    if chances.bool() {
        ready.push(look("officer-1", one));
    }
    chances.shuffle(&mut ready);
    ready
}

/// Sends one and notes what was seen. The state in a vote's reply was read after the vote, by itself: it is noted as a look
/// of its own, somewhere in the same time.
fn sent(line: &mut Line, moments: &Moments, ready: Ready) -> Result<Vec<Seen<Step, Said>>, String> {
    let Ready { step: op, operation, body, .. } = ready;
    let asked = moments.next();
    let answer = line.send(&http(operation.name(), &body)).and_then(|()| line.answer());
    let told = moments.next();
    let Ok(answer) = answer else { return Ok(vec![Seen { asked, op, told: None }]) };
    let looked = |said| Seen { asked, op: Step::Look, told: Some((told, said)) };
    if op == Step::Look {
        return match answer.read::<ResultReply>() {
            Ok(reply) => Ok(vec![looked(Said::stands(&reply.state)?)]),
            Err(refusal) if refusal.retryable() => Ok(Vec::new()),
            Err(refusal) => Err(format!("{op:?}: {refusal}")),
        };
    }
    match voted(&answer) {
        Ok(reply) => {
            let counted = Seen { asked, op, told: Some((told, Said::Counted)) };
            Ok(vec![counted, looked(Said::stands(&reply.state)?)])
        }
        Err(Refusal::StateConflict { reason: Conflict::ProposalEnded }) => {
            Ok(vec![Seen { asked, op, told: Some((told, Said::HasEnded)) }])
        }
        Err(refusal) if refusal.retryable() => Ok(vec![Seen { asked, op, told: None }]),
        Err(refusal) => Err(format!("{op:?}: {refusal}")),
    }
}

fn voted(answer: &Answer) -> Result<VoteReply, Refusal> {
    answer.read()
}
