//! Requests that are signed in advance and come several times and in any order, as from a till whose queue was lost and found
//! again: each is done once, when its turn has come.

use crate::trial::Found;
use fastrand::Rng;
use keysvc_protocol::{
    cbor,
    cose::Signed,
    refusal::Refusal,
    reply::ValueUpdateReply,
    request::{Operation, UpdateValue, ValueOperation},
    value::ValueUpdate,
};
use keysvc_tests::{
    ground::Ground,
    raw::{Caller, Line, envelope},
    tills::next_update,
};
use std::collections::BTreeMap;

/// Requests of one card.
const OF_CARD: u64 = 12;
/// Connections that the requests come on, any on any.
const CONNECTIONS: usize = 4;
/// So often a request may come before its turn: each round brings at least one further.
const ROUNDS: u64 = OF_CARD + 1;

/// One signed request, and what was answered to it.
struct Sent {
    message: Vec<u8>,
    update: Option<ValueUpdate>,
    refused: u64,
}

/// Sends `count` requests in any order, each several times; gives the records.
pub(super) fn run(ground: &Ground, count: u64, chances: &mut Rng, found: &mut Found) -> Vec<Vec<u8>> {
    let terminal = Caller::new(ground.site(), "terminal-1");
    let mut lines: Vec<Line> = (0..CONNECTIONS).map(|_| Line::open(ground.site(), "terminal-1")).collect();
    let (mut records, mut early) = (Vec::new(), 0);
    for card in 0..count / OF_CARD {
        let mut all = signed(&terminal, &format!("0411223344{card:08x}dd"));
        for _ in 0..ROUNDS {
            let mut order: Vec<u64> = all.keys().copied().filter(|_| chances.u8(..4) > 0).collect();
            // Those that wait, and some that were done.
            chances.shuffle(&mut order);
            for seq in order {
                let line = &mut lines[chances.usize(..CONNECTIONS)];
                let Some(sent) = all.get_mut(&seq) else { continue };
                if let Err(why) = send(line, sent, &mut records) {
                    found.count(Err(format!("number {seq}: {why}")));
                }
            }
        }
        // In their order, for what chance left over.
        for (seq, sent) in &mut all {
            let sent_last = send(&mut lines[0], sent, &mut records);
            early += sent.refused;
            found.count(match (&sent_last, &sent.update) {
                (Ok(()), Some(update)) if update.seq == *seq => Ok(()),
                other => Err(format!("number {seq}: {other:?}")),
            });
        }
    }
    found.figure(
        "in any order and several times",
        format!("{} answers, {early} refused as counter_conflict before their turn", records.len()),
    );
    records
}

/// All requests of a card: each one's balance follows from those before it.
fn signed(terminal: &Caller, card: &str) -> BTreeMap<u64, Sent> {
    let mut balance = 0;
    let request = |seq: u64| {
        let operation = if seq % 2 == 1 { ValueOperation::Load } else { ValueOperation::Debit };
        let update =
            UpdateValue { expected_seq: seq, operation, balance_before: balance, ..next_update(card, None) };
        balance = if seq % 2 == 1 { balance + update.amount } else { balance - update.amount };
        let message = terminal.message(Operation::ValueUpdate, cbor::encode(&update));
        (seq, Sent { message, update: None, refused: 0 })
    };
    (1..=OF_CARD).map(request).collect()
}

/// Sends a request once more. What was answered to it once is answered always.
fn send(line: &mut Line, sent: &mut Sent, records: &mut Vec<Vec<u8>>) -> Result<(), String> {
    let answer = line.post(Operation::ValueUpdate.name(), &envelope(sent.message.clone()));
    match answer.read::<ValueUpdateReply>() {
        Ok(reply) => {
            let record = reply.record.into_bytes();
            let update =
                ValueUpdate::from_payload(Signed::parse(&record).unwrap().recorded_payload()).unwrap();
            records.push(record);
            match &sent.update {
                Some(before) if *before != update => Err("its repetition is another update".to_owned()),
                _ => {
                    sent.update = Some(update);
                    Ok(())
                }
            }
        }
        Err(Refusal::CounterConflict { .. }) if sent.update.is_none() => {
            sent.refused += 1;
            Ok(())
        }
        Err(refusal) => Err(format!("refused: {refusal}")),
    }
}
