//! The purses of the prepared store as they truly stand, and what the service says of them.
//!
//! Asks without the client library, which would refuse what has to be looked at here: whatever is signed is seen, whether
//! a client would take it or not.

use keysvc_protocol::request::ValueOperation::{Debit, Load};
use keysvc_protocol::{
    cbor::{self, REPLY_LEN_MAX},
    cose::Signed,
    refusal::{Refusal, RefusalReply},
    reply::ValueUpdateReply,
    request::{Operation, UpdateValue},
    value::ValueUpdate,
};
use keysvc_tests::raw::{Caller, envelope, http, update};
use std::fmt;

/// What was loaded first and debited after it.
const LOADED: u64 = 2_000;
const DEBITED: u64 = 50;

/// A purse with its last request and what was signed for it.
#[derive(Debug, Clone)]
pub(super) struct Purse {
    asked: UpdateValue,
    signed: ValueUpdate,
}

/// What came of looking at one purse.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Everything as it should be.
    Right,
    /// Nothing was signed, and the service says that it cannot, or is gone.
    NotServed(String),
    /// What must never be.
    Wrong(String),
}

/// What the service answers to one request.
enum Answer {
    Signed(ValueUpdate),
    Refused(Refusal),
    Gone(String),
}

impl Purse {
    /// Makes a purse on this card with so many updates, at least one.
    pub(super) fn made(terminal: &mut Caller, card: &str, updates: u64) -> Result<Self, String> {
        let mut last: Option<Self> = None;
        for _ in 0..updates {
            let asked = next(card, last.as_ref().map(|last| &last.signed));
            match ask(terminal, &asked) {
                Answer::Signed(signed) => last = Some(Self { asked, signed }),
                other => return Err(format!("{card}: {other}")),
            }
        }
        last.ok_or_else(|| "a purse without updates".to_owned())
    }

    /// Repeats the last request, then asks for the next update: both must come out as if nothing had been damaged. Where
    /// the service says that the purse stands elsewhere, it is asked for what would follow from there, as a terminal
    /// that believes it would.
    pub(super) fn look(&self, terminal: &mut Caller) -> Seen {
        match ask(terminal, &self.asked) {
            Answer::Signed(signed) if signed == self.signed => {}
            Answer::Signed(signed) => {
                return Seen::Wrong(format!(
                    "a repetition of {} was signed as {}",
                    said(&self.signed),
                    said(&signed)
                ));
            }
            Answer::Refused(refusal) => match self.believing(terminal, &self.asked, &refusal) {
                Seen::Right => {}
                other => return other,
            },
            Answer::Gone(why) => return Seen::NotServed(why),
        }
        let asked = next(&self.signed.card.to_string(), Some(&self.signed));
        match ask(terminal, &asked) {
            Answer::Signed(signed) => self.follows(&signed),
            Answer::Refused(refusal) => self.believing(terminal, &asked, &refusal),
            Answer::Gone(why) => Seen::NotServed(why),
        }
    }

    fn follows(&self, signed: &ValueUpdate) -> Seen {
        let last = &self.signed;
        let wanted = (last.seq + 1, last.balance_after, ValueUpdate::link(&cbor::encode(last)));
        if (signed.seq, signed.balance_before, signed.previous) == wanted
            && signed.balance_after == last.balance_after - DEBITED
        {
            Seen::Right
        } else {
            Seen::Wrong(format!("after {} was signed {}", said(last), said(signed)))
        }
    }

    /// What is signed for whoever goes by a refusal's numbers.
    fn believing(&self, terminal: &mut Caller, asked: &UpdateValue, refusal: &Refusal) -> Seen {
        let believed = match refusal {
            Refusal::CounterConflict { expected_seq } => {
                let operation = if *expected_seq == 1 { Load } else { Debit };
                let before = if *expected_seq == 1 { 0 } else { asked.balance_before };
                update(operation, *expected_seq, DEBITED, before)
            }
            Refusal::BalanceMismatch { balance } => update(Debit, asked.expected_seq, DEBITED, *balance),
            other => return Seen::NotServed(other.to_string()),
        };
        let believed = UpdateValue { card: asked.card, ..believed };
        match ask(terminal, &believed) {
            Answer::Signed(signed) => {
                Seen::Wrong(format!("after {} was signed {}", said(&self.signed), said(&signed)))
            }
            Answer::Refused(other) => Seen::NotServed(format!("{refusal}, then {other}")),
            Answer::Gone(why) => Seen::NotServed(why),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(update) => write!(f, "signed {}", said(update)),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::Gone(why) => f.write_str(why),
        }
    }
}

fn said(update: &ValueUpdate) -> String {
    format!(
        "card {}, number {}, balance {} to {}",
        update.card, update.seq, update.balance_before, update.balance_after
    )
}

fn next(card: &str, last: Option<&ValueUpdate>) -> UpdateValue {
    let update = match last {
        None => update(Load, 1, LOADED, 0),
        Some(last) => update(Debit, last.seq + 1, DEBITED, last.balance_after),
    };
    // The card is the caller's own text, which was a card before.
    card.parse().map(|card| UpdateValue { card, ..update.clone() }).unwrap_or(update)
}

fn ask(terminal: &mut Caller, asked: &UpdateValue) -> Answer {
    let message = terminal.message(Operation::ValueUpdate, cbor::encode(asked));
    let sent = terminal.line.send(&http(Operation::ValueUpdate.name(), &envelope(message)));
    let answer = match sent.and_then(|()| terminal.line.answer()) {
        Ok(answer) => answer,
        Err(error) => return Answer::Gone(format!("the connection: {error}")),
    };
    if answer.status != 200 {
        return match cbor::decode::<RefusalReply>(&answer.body, REPLY_LEN_MAX) {
            Ok(reply) => Answer::Refused(reply.refusal),
            Err(_) => Answer::Gone(format!("HTTP {}", answer.status)),
        };
    }
    let reply: Result<ValueUpdateReply, _> = cbor::decode(&answer.body, REPLY_LEN_MAX);
    let record = reply.map(|reply| reply.record).map_err(|error| error.to_string());
    let read = record.and_then(|record| {
        let signed = Signed::parse(record.as_bytes()).map_err(|error| error.to_string())?;
        ValueUpdate::from_payload(signed.recorded_payload()).map_err(|error| error.to_string())
    });
    read.map_or_else(Answer::Gone, Answer::Signed)
}
