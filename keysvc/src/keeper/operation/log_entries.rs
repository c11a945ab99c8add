//! `log.entries`: a privileged read. That it happened is recorded before the payloads are given out.

use super::{Means, Operation};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{
    cbor::REPLY_LEN_MAX,
    leaf::EntriesReadLeaf,
    list::List,
    receipt::{LeafEvidence, Receipt},
    refusal::{Refusal, Thing},
    reply::EntriesReply,
    request::ReadEntries,
    schema::Schema,
};

/// Bytes kept free in a reply for the receipt and the heads around the leaves.
const REPLY_REST: usize = 16 * 1024;

impl Record for ReadEntries {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        let range = permit.action();
        let reader = permit.caller().id.clone();
        Ok(Change::ReadEntries(EntriesReadLeaf { schema: Schema, reader, from: range.from, to: range.to }))
    }
}

impl Operation for ReadEntries {
    type Done = Vec<LeafEvidence>;
    type Reply = EntriesReply;
    const SHOWS_LEAF: bool = false;

    fn ready(permit: &Permit<Self>, means: &Means<'_>, _: u64) -> Result<(), NotDone> {
        if permit.action().to > means.reader.head().size {
            return Err(Refusal::NotFound { what: Thing::Leaf }.into());
        }
        Ok(())
    }

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<Vec<LeafEvidence>, NotDone> {
        let range = recorded.permit().action();
        let room = REPLY_LEN_MAX.saturating_sub(REPLY_REST);
        Ok(means.reader.leaves(range.from..range.to, room).map_err(Fault::from)?)
    }

    fn reply(leaves: Vec<LeafEvidence>, receipt: Receipt) -> Result<EntriesReply, Fault> {
        let entries =
            List::try_from(leaves).map_err(|_| Fault::Invariant("more leaves than a reply holds"))?;
        Ok(EntriesReply { schema: Schema, entries, receipt })
    }
}
