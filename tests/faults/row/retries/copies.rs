//! One request a thousand times at once, on as many connections as one terminal may have; and two requests under one
//! transaction number.

use super::different;
use crate::trial::Found;
use keysvc_protocol::{
    cose::Signed,
    refusal::Refusal,
    reply::ValueUpdateReply,
    request::{Operation, UpdateValue},
    value::ValueUpdate,
};
use keysvc_tests::{
    ground::Ground,
    raw::{Answer, Caller, Line, envelope, http},
    tills::next_update,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Barrier},
    thread,
};

/// Connections at once: a few fewer than one certificate may have.
const CONNECTIONS: usize = 50;

/// Sends these requests over the terminal's connections, all at once: each connection has its share on the wire before it
/// reads the first answer. Gives the answers.
fn at_once(ground: &Ground, requests: &[Vec<u8>]) -> Vec<Answer> {
    let share = requests.len().div_ceil(CONNECTIONS);
    let shares: Vec<&[Vec<u8>]> = requests.chunks(share.max(1)).collect();
    let begin = Arc::new(Barrier::new(shares.len()));
    thread::scope(|scope| {
        let lines: Vec<_> = shares
            .into_iter()
            .map(|share| {
                let begin = Arc::clone(&begin);
                scope.spawn(move || {
                    let mut line = Line::open(ground.site(), "terminal-1");
                    begin.wait();
                    let bytes: Vec<u8> = share.iter().flatten().copied().collect();
                    line.send(&bytes).unwrap();
                    share.iter().map(|_| line.answer().unwrap()).collect::<Vec<_>>()
                })
            })
            .collect();
        lines.into_iter().flat_map(|line| line.join().unwrap()).collect()
    })
}

fn request(terminal: &Caller, update: &UpdateValue) -> Vec<u8> {
    let message = terminal.message(Operation::ValueUpdate, keysvc_protocol::cbor::encode(update));
    http(Operation::ValueUpdate.name(), &envelope(message))
}

/// The record of an answer, and what it says. Whether its signature is good is judged at the end, of all of them.
fn record(answer: &Answer) -> Result<(Vec<u8>, ValueUpdate), Refusal> {
    let reply: ValueUpdateReply = answer.read()?;
    let record = reply.record.into_bytes();
    let update = ValueUpdate::from_payload(Signed::parse(&record).unwrap().recorded_payload()).unwrap();
    Ok((record, update))
}

/// The same request, so often.
pub(super) fn same(ground: &Ground, number: u64, count: u64, found: &mut Found) -> Vec<Vec<u8>> {
    let terminal = Caller::new(ground.site(), "terminal-1");
    let update = next_update(&format!("0411223344{number:08x}aa"), None);
    let copies = vec![request(&terminal, &update); usize::try_from(count).unwrap()];
    let (mut records, mut updates) = (Vec::new(), Vec::new());
    for answer in at_once(ground, &copies) {
        let read = record(&answer);
        found.count(read.as_ref().map(drop).map_err(|refusal| format!("a copy was refused: {refusal}")));
        let Ok((record, update)) = read else { continue };
        records.push(record);
        updates.push(update);
    }
    let other = different(&updates);
    found.check(other == 0, || format!("{other} of {} answers say another thing", updates.len()));
    let signatures: BTreeSet<_> = records.iter().collect();
    if number == 0 {
        let figure =
            format!("{} answers with one payload under {} signatures", records.len(), signatures.len());
        found.figure("the same request at once", figure);
    }
    records
}

/// Two requests under one transaction number, each half as often and mixed: one of them is done, and every copy of the
/// other is refused by name.
pub(super) fn two_contents(ground: &Ground, number: u64, count: u64, found: &mut Found) -> Vec<Vec<u8>> {
    let terminal = Caller::new(ground.site(), "terminal-1");
    let one = next_update(&format!("0411223344{number:08x}bb"), None);
    let other = UpdateValue { amount: one.amount + 1, ..one.clone() };
    let both = [request(&terminal, &one), request(&terminal, &other)];
    let mixed: Vec<_> = both.iter().cycle().take(usize::try_from(count).unwrap()).cloned().collect();
    let (mut records, mut updates, mut refused) = (Vec::new(), Vec::new(), 0_u64);
    for answer in at_once(ground, &mixed) {
        match record(&answer) {
            Ok((record, update)) => {
                found.count(Ok(()));
                records.push(record);
                updates.push(update);
            }
            Err(Refusal::IdemConflict) => {
                found.count(Ok(()));
                refused += 1;
            }
            Err(refusal) => found.count(Err(format!("refused, but not for its number: {refusal}"))),
        }
    }
    let wrong = different(&updates);
    found.check(wrong == 0, || format!("{wrong} answers under one number say another thing"));
    found.check(refused == count / 2 && updates.len() as u64 == count - count / 2, || {
        format!("{} answered and {refused} refused, of {count}", updates.len())
    });
    if number == 0 {
        let figure = format!("{} answered alike, {refused} refused as idem_conflict", updates.len());
        found.figure("two contents under one number at once", figure);
    }
    records
}
