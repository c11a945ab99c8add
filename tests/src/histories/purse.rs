//! A purse as the documents promise it, one step after the other: what each request must be answered.
//!
//! Written from the rules and not from the service's code, which it judges.

use keysvc_protocol::{
    bytes::Idem,
    refusal::Refusal,
    request::{UpdateValue, ValueOperation},
    value::ValueUpdate,
};
use stateright::semantics::SequentialSpec;
use std::{collections::BTreeMap, fmt};

/// The limits of the development site's purses, in minor units.
const CEILING: u64 = 1_000_000;
const LOAD_MAX: u64 = 600_000;
const DEBIT_MAX: u64 = 20_000;

/// What is asked of a purse.
#[derive(Clone, PartialEq, Eq)]
pub struct Ask(pub UpdateValue);

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UpdateValue { operation, expected_seq, amount, balance_before, txn, .. } = &self.0;
        write!(f, "{operation:?} {amount} as {expected_seq} on {balance_before} (txn {txn})")
    }
}

/// A signed update, as far as a purse knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    seq: u64,
    operation: ValueOperation,
    amount: u64,
    before: u64,
    after: u64,
    txn: Idem,
}

impl From<&ValueUpdate> for Done {
    fn from(update: &ValueUpdate) -> Self {
        Self {
            seq: update.seq,
            operation: update.operation,
            amount: update.amount,
            before: update.balance_before,
            after: update.balance_after,
            txn: update.txn,
        }
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The update, signed.
    Done(Done),
    /// It was refused.
    Refused(Refusal),
}

/// One purse between two steps. All its requests come from one terminal.
#[derive(Debug, Clone, Default)]
pub struct Purse {
    seq: u64,
    balance: u64,
    answered: BTreeMap<Idem, (UpdateValue, Done)>,
}

impl SequentialSpec for Purse {
    type Op = Ask;
    type Ret = Told;

    fn invoke(&mut self, Ask(ask): &Ask) -> Told {
        match self.step(ask) {
            Ok(done) => Told::Done(done),
            Err(refusal) => Told::Refused(refusal),
        }
    }
}

impl Purse {
    fn step(&mut self, ask: &UpdateValue) -> Result<Done, Refusal> {
        if let Some((first, done)) = self.answered.get(&ask.txn) {
            return if first == ask { Ok(done.clone()) } else { Err(Refusal::IdemConflict) };
        }
        if ask.expected_seq != self.seq + 1 {
            return Err(Refusal::CounterConflict { expected_seq: self.seq + 1 });
        }
        if ask.balance_before != self.balance {
            return Err(Refusal::BalanceMismatch { balance: self.balance });
        }
        let limit = |limit| Refusal::LimitExceeded { limit };
        let after = match ask.operation {
            ValueOperation::Load if ask.amount > LOAD_MAX => return Err(limit(LOAD_MAX)),
            ValueOperation::Load if self.balance + ask.amount > CEILING => return Err(limit(CEILING)),
            ValueOperation::Load => self.balance + ask.amount,
            ValueOperation::Debit if ask.amount > DEBIT_MAX => return Err(limit(DEBIT_MAX)),
            ValueOperation::Debit => {
                self.balance.checked_sub(ask.amount).ok_or_else(|| limit(self.balance))?
            }
        };
        let (operation, amount, before, txn) = (ask.operation, ask.amount, self.balance, ask.txn);
        let done = Done { seq: ask.expected_seq, operation, amount, before, after, txn };
        (self.seq, self.balance) = (ask.expected_seq, after);
        self.answered.insert(ask.txn, (ask.clone(), done.clone()));
        Ok(done)
    }
}
