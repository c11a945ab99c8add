//! A fob: its updates signed ahead, sent one at a time, and their records.

use super::Till;
use crate::{line::Line, persona::envelope, tally::Tally, while_doing};
use keysvc_protocol::{
    card::CardUid,
    cbor::{self, REPLY_LEN_MAX},
    checkpoint::SignedCheckpoint,
    cose::Signed,
    receipt::Receipt,
    reply::ValueUpdateReply,
    request::{Operation, UpdateValue, ValueOperation},
    schema::Schema,
    value::ValueUpdate,
};
use keysvc_tests::ground::Failed;
use std::{collections::VecDeque, time::Instant};

/// The purse of the development site's programme, and its currency (the euro).
const PURSE: u8 = 1;
const CURRENCY: u16 = 978;
/// What is loaded and debited, in cents.
const AMOUNT: u64 = 500;
/// One reply of so many is verified with all its signatures and proofs.
const VERIFIED: u64 = 64;

/// A fob with the updates signed for it.
pub(super) struct Fob {
    card: CardUid,
    /// The sequence number of the next update to be signed.
    seq: u64,
    ready: VecDeque<(u64, Vec<u8>)>,
    seen: Option<SignedCheckpoint>,
    record: Option<Vec<u8>>,
}

impl Fob {
    /// The fob of this number, with nothing signed for it.
    ///
    /// # Errors
    /// [`Failed`] when the number makes no card.
    pub(super) fn new(number: usize) -> Result<Self, Failed> {
        let mut uid = [0x04, b'L', b'O', 0, 0, 0, 0];
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        uid.iter_mut().skip(3).zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
        let card = CardUid::try_from(uid.as_slice()).map_err(while_doing("a card"))?;
        Ok(Self { card, seq: 1, ready: VecDeque::new(), seen: None, record: None })
    }

    /// The record of its newest update that was sent alone.
    pub(super) fn newest_record(&self) -> Option<&[u8]> {
        self.record.as_deref()
    }

    /// Has at least so many requests signed.
    ///
    /// # Errors
    /// [`Failed`] when the key does not sign.
    pub(super) fn sign_ahead(&mut self, wanted: usize, till: &Till) -> Result<(), Failed> {
        while self.ready.len() < wanted {
            self.sign_next(till)?;
        }
        Ok(())
    }

    /// Signs the request after the last one that was signed.
    fn sign_next(&mut self, till: &Till) -> Result<(), Failed> {
        let loads = !self.seq.is_multiple_of(2);
        let (operation, balance_before) =
            if loads { (ValueOperation::Load, 0) } else { (ValueOperation::Debit, AMOUNT) };
        let request = UpdateValue {
            schema: Schema,
            programme: till.programme.clone(),
            card: self.card,
            purse: PURSE,
            operation,
            expected_seq: self.seq,
            amount: AMOUNT,
            currency: CURRENCY,
            balance_before,
            txn: till.persona.idem()?,
        };
        self.ready.push_back((self.seq, till.persona.statement(Operation::ValueUpdate, &request)?));
        self.seq = self.seq.saturating_add(1);
        Ok(())
    }

    /// The next request, signed now where none is left.
    ///
    /// # Errors
    /// [`Failed`] when the key does not sign.
    pub(super) fn next(&mut self, till: &Till, tally: &mut Tally) -> Result<(u64, Vec<u8>), Failed> {
        if self.ready.is_empty() {
            self.sign_next(till)?;
            tally.late_signed = tally.late_signed.saturating_add(1);
        }
        self.ready.pop_front().ok_or_else(|| Failed("a signed request is gone".to_owned()))
    }

    /// Sends one update after the other.
    ///
    /// # Errors
    /// [`Failed`] when one is refused or not proved.
    pub(super) async fn work(
        mut self,
        mut line: Line,
        till: Till,
        end: Option<Instant>,
    ) -> Result<(Self, Line, Tally), Failed> {
        let mut tally = Tally::default();
        while end.is_some_and(|end| Instant::now() < end) {
            let (seq, statement) = self.next(&till, &mut tally)?;
            let body = envelope(statement, self.seen.take())?;
            let asked_len = body.len();
            let began = Instant::now();
            let told = line.call(Operation::ValueUpdate, body).await?;
            tally.count(1, began);
            tally.weigh(asked_len, told.len());
            let reply: ValueUpdateReply =
                cbor::decode(&told, REPLY_LEN_MAX).map_err(while_doing("a reply to value.update"))?;
            tally.sizes.insert(reply.receipt.checkpoint.checkpoint().head.size);
            let record = reply.record.into_bytes();
            if tally.operations % VERIFIED == 1 {
                self.verify(seq, (&record, &reply.receipt), &till)?;
                tally.verified = tally.verified.saturating_add(1);
            }
            self.record = Some(record);
            self.seen = Some(reply.receipt.checkpoint);
        }
        Ok((self, line, tally))
    }

    /// Verifies a record and its receipt.
    ///
    /// # Errors
    /// [`Failed`] when they are not what was asked for.
    pub(super) fn verify(
        &self,
        seq: u64,
        (record, receipt): (&[u8], &Receipt),
        till: &Till,
    ) -> Result<(), Failed> {
        let founded = till.persona.founded();
        let kid = Signed::parse(record).map_err(while_doing("a record"))?.key_identifier();
        let key = founded.value_key(&till.programme, kid);
        let key = key.ok_or_else(|| Failed("a record by another key than the programme's".to_owned()))?;
        let update = ValueUpdate::verify(record, founded.genesis(), &key).map_err(while_doing("a record"))?;
        till.persona.verify(&receipt.checkpoint)?;
        receipt.check_inclusion().map_err(while_doing("a receipt"))?;
        if update.card == self.card && update.seq == seq {
            Ok(())
        } else {
            Err(Failed("a record of another update than was asked for".to_owned()))
        }
    }
}
