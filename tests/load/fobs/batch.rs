//! A basket: as many fobs as a batch has places, whose updates a hub sends together.

use super::{Till, fob::Fob};
use crate::{line::Line, order::BATCH, persona::envelope, tally::Tally, while_doing};
use keysvc_protocol::{
    bytes::Blob,
    cbor::{self, REPLY_LEN_MAX},
    checkpoint::SignedCheckpoint,
    leaf::LeafEntry,
    merkle::Proof,
    receipt::Receipt,
    reply::{UpdateOutcome, ValueBatchReply},
    request::{Operation, UpdateValues},
    schema::Schema,
};
use keysvc_tests::ground::Failed;
use std::time::Instant;

/// In one batch of so many one update is verified with all its signatures and proofs: as many updates as of those that
/// are sent alone.
const VERIFIED: usize = 2;

/// The fobs of one connection.
pub(super) struct Basket {
    fobs: Vec<Fob>,
    seen: Option<SignedCheckpoint>,
}

impl Basket {
    /// Of these fobs.
    pub(super) const fn new(fobs: Vec<Fob>) -> Self {
        Self { fobs, seen: None }
    }

    /// The fobs.
    pub(super) fn into_fobs(self) -> Vec<Fob> {
        self.fobs
    }

    /// Sends one batch after the other, each with the next update of every fob.
    ///
    /// # Errors
    /// [`Failed`] when one update of them is refused or not proved.
    pub(super) async fn work(
        mut self,
        mut line: Line,
        till: Till,
        end: Option<Instant>,
    ) -> Result<(Self, Line, Tally), Failed> {
        let mut tally = Tally::default();
        while end.is_some_and(|end| Instant::now() < end) {
            let (mut seqs, mut updates) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
            for fob in &mut self.fobs {
                let (seq, statement) = fob.next(&till, &mut tally)?;
                seqs.push(seq);
                updates.push(Blob::try_from(statement).map_err(while_doing("an update of a batch"))?);
            }
            let updates = updates.try_into().map_err(while_doing("a batch"))?;
            let request = cbor::encode(&UpdateValues { schema: Schema, updates });
            let body = envelope(request, self.seen.take())?;
            let asked_len = body.len();
            let began = Instant::now();
            let told = line.call(Operation::ValueBatch, body).await?;
            tally.count(u64::try_from(seqs.len()).unwrap_or(u64::MAX), began);
            tally.weigh(asked_len, told.len());
            let reply: ValueBatchReply =
                cbor::decode(&told, REPLY_LEN_MAX).map_err(while_doing("a reply to value.batch"))?;
            tally.sizes.insert(reply.checkpoint.checkpoint().head.size);
            self.check(&seqs, &reply)?;
            if tally.latencies_ns.len() % VERIFIED == 1 {
                self.verify(&seqs, &reply, &till)?;
                tally.verified = tally.verified.saturating_add(1);
            }
            self.seen = Some(reply.checkpoint);
        }
        Ok((self, line, tally))
    }

    /// Every update was made.
    fn check(&self, seqs: &[u64], reply: &ValueBatchReply) -> Result<(), Failed> {
        let refused = reply.outcomes.iter().find_map(|outcome| match outcome {
            UpdateOutcome::Signed { .. } => None,
            UpdateOutcome::Refused { refusal } => Some(refusal),
        });
        match refused {
            Some(refusal) => Err(Failed(format!("an update of a batch was refused: {refusal}"))),
            None if reply.outcomes.len() == seqs.len() => Ok(()),
            None => Err(Failed("a batch was answered for another number of updates".to_owned())),
        }
    }

    /// Verifies the first update.
    fn verify(&self, seqs: &[u64], reply: &ValueBatchReply, till: &Till) -> Result<(), Failed> {
        let first = (self.fobs.first(), seqs.first(), reply.outcomes.iter().next());
        let (Some(fob), Some(seq), Some(UpdateOutcome::Signed { record, leaf, inclusion })) = first else {
            return Err(Failed("an empty batch was answered".to_owned()));
        };
        let entry = LeafEntry::decode(leaf.entry.as_bytes()).map_err(while_doing("a leaf"))?;
        let receipt = Receipt {
            schema: Schema,
            leaf_index: entry.index,
            checkpoint: reply.checkpoint.clone(),
            consistency: Proof::default(),
            leaf: Some(leaf.clone()),
            inclusion: Some(inclusion.clone()),
        };
        fob.verify(*seq, (record.as_bytes(), &receipt), till)
    }
}
