//! `value.batch`: many terminals' updates passed on by one caller, in one commit.
//!
//! Each item is a `value.update` of its own: admitted as the terminal that signed it, recorded, signed and proved like
//! one sent alone, so that repeating it alone finds the same leaf. One that is refused leaves the others whole.

use super::{
    gate::{NotAdmitted, Permit},
    ledger::{NotRecorded, Recorded},
    operation::{self, Operation as _},
    serve::{Ended, Keeper},
    site::Enrolled,
};
use crate::error::{Fault, NotDone};
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    hash::sha256,
    leaf::RefusedLeaf,
    list::List,
    refusal::Refusal,
    reply::{UpdateOutcome, ValueBatchReply},
    request::{Envelope, Operation, UpdateValue, UpdateValues},
    schema::Schema,
};
use std::{sync::Arc, time::Instant};

/// Where an item stands before the commit.
enum Item {
    /// Among the permits.
    Permitted,
    /// Refused by the gate.
    Refused(Refusal),
    /// It takes people first; its proposal is made, and on record.
    Proposed(Refusal),
}

impl Keeper {
    /// A batch of value updates.
    ///
    /// # Errors
    /// [`Ended`] for the batch as a whole; what becomes of each item is in the reply.
    pub async fn batch(&self, envelope: &Envelope, caller: Arc<Enrolled>) -> Result<Vec<u8>, Ended> {
        let seen = self.seen(envelope.seen.as_ref(), &caller).await?;
        let permit = self.admit_read::<UpdateValues>(envelope.request.as_bytes(), Arc::clone(&caller))?;
        let (mut items, mut permits, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        for update in permit.action().updates.iter() {
            let item = match self.admit_item(update.as_bytes(), &caller).await? {
                Ok(permit) => {
                    permits.push(permit);
                    Item::Permitted
                }
                Err(Item::Refused(refusal)) => {
                    refusals.push(refused(&caller, update.as_bytes(), &refusal));
                    Item::Refused(refusal)
                }
                Err(item) => item,
            };
            items.push(item);
        }
        let recorded = self.ledger.record_all(permits, refusals, self.draw()?).await.map_err(Fault::from)?;
        // Before anything is signed, so that the head's signature is made at the same time.
        self.notarise(recorded.lead)?;
        let mut recorded = recorded.each.into_iter();
        let mut done = Vec::with_capacity(items.len());
        let mut began = Instant::now();
        for item in items {
            let outcome = match item {
                Item::Refused(refusal) | Item::Proposed(refusal) => Err(refusal),
                Item::Permitted => self.perform_item(recorded.next()).await?,
            };
            done.push(outcome);
            if began.elapsed().as_millis() >= u128::from(self.limits.slice_ms) {
                // Others wait for this worker; a batch is nobody's emergency.
                tokio::task::yield_now().await;
                began = Instant::now();
            }
        }
        Ok(cbor::encode(&self.batch_reply(done, seen.size).await?))
    }

    /// The permit of an item; of one that people agreed to and that is on record, to be signed again.
    async fn admit_item(
        &self,
        statement: &[u8],
        caller: &Enrolled,
    ) -> Result<Result<Permit<UpdateValue>, Item>, Ended> {
        let signer = match self.gate.signer(statement, caller) {
            Ok(signer) => signer,
            Err(refusal) => return Ok(Err(Item::Refused(refusal))),
        };
        let admitted = match self.gate.admit::<UpdateValue>(statement, signer) {
            Err(NotAdmitted::Unapproved(unapproved)) => match self.propose_item(*unapproved).await? {
                Ok(evidence) => self.gate.admit_recorded(evidence),
                Err(refusal) => return Ok(Err(Item::Proposed(refusal))),
            },
            admitted => admitted,
        };
        match admitted {
            Ok(permit) => Ok(Ok(permit)),
            Err(NotAdmitted::Refused(refusal)) => Ok(Err(Item::Refused(refusal))),
            Err(NotAdmitted::Unapproved(_)) => {
                Err(Fault::Invariant("an act on record asked for people again").into())
            }
            Err(NotAdmitted::Fault(fault)) => Err(fault.into()),
        }
    }

    /// Signs a recorded item; a refusal inside the transaction has its leaf.
    async fn perform_item(
        &self,
        recorded: Option<Result<Recorded<UpdateValue>, NotRecorded>>,
    ) -> Result<Result<Signed, Refusal>, Ended> {
        match recorded {
            Some(Ok(recorded)) => {
                let record = match UpdateValue::perform(&recorded, &self.means()).await {
                    Ok(record) => record,
                    Err(NotDone::Refused(refusal)) => return Ok(Err(refusal)),
                    Err(NotDone::Fault(fault)) => return Err(fault.into()),
                };
                Ok(Ok(Signed { record, recorded }))
            }
            Some(Err(NotRecorded::RefusedOnRecord(refusal, _) | NotRecorded::Refused(refusal))) => {
                Ok(Err(refusal))
            }
            Some(Err(NotRecorded::Fault(fault))) => Err(Fault::from(fault).into()),
            None => Err(Fault::Invariant("an item of a batch was not settled").into()),
        }
    }

    /// One checkpoint for all: the newest of the items' commits, or the newest there is.
    async fn batch_reply(
        &self,
        done: Vec<Result<Signed, Refusal>>,
        seen: u64,
    ) -> Result<ValueBatchReply, Fault> {
        let mut checkpoint = None;
        if let Some(signed) = done.iter().flatten().next() {
            let note = signed.recorded.commit().note().await;
            checkpoint = Some(note.ok_or(Fault::Invariant("a commit's head was not signed"))?);
        }
        let checkpoint = checkpoint.filter(|note| note.checkpoint().head.size >= seen);
        let checkpoint = checkpoint.map_or_else(|| self.newest(), Ok)?;
        let (reader, size) = (self.ledger.reader(), checkpoint.checkpoint().head.size);
        let outcomes = done.into_iter().map(|outcome| {
            Ok(match outcome {
                Err(refusal) => UpdateOutcome::Refused { refusal },
                Ok(Signed { record, recorded }) => UpdateOutcome::Signed {
                    record: Blob::try_from(record)
                        .map_err(|_| Fault::Invariant("a value record is too long"))?,
                    leaf: operation::evidence(&recorded)?,
                    inclusion: reader.inclusion(recorded.recording().index, size)?,
                },
            })
        });
        let outcomes = List::try_from(outcomes.collect::<Result<Vec<_>, Fault>>()?);
        Ok(ValueBatchReply {
            schema: Schema,
            consistency: reader.consistency(seen, size)?,
            checkpoint,
            outcomes: outcomes.map_err(|_| Fault::Invariant("a batch has too many outcomes"))?,
        })
    }
}

/// An item that is recorded and signed.
struct Signed {
    record: Vec<u8>,
    recorded: Recorded<UpdateValue>,
}

/// The leaf of an item that the gate refused: whoever passed it on asked, for nobody's signature is proved.
fn refused(caller: &Enrolled, statement: &[u8], refusal: &Refusal) -> RefusedLeaf {
    RefusedLeaf {
        schema: Schema,
        principal: caller.id.clone(),
        operation: Operation::ValueUpdate,
        refusal: refusal.clone(),
        request: sha256(&[statement]),
    }
}
