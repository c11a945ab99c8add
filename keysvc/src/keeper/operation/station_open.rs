//! `station.open`: record an exchange, then make its transport key and wrap it to the station.

use super::{Means, Operation, signed, touches};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{
    bytes::{Blob, Exchange},
    receipt::Receipt,
    reply::StationOpenReply,
    request::OpenStation,
    schema::Schema,
};

impl Record for OpenStation {
    fn change(permit: &Permit<Self>, facts: &Facts<'_>) -> Result<Change, NotRecorded> {
        let (statement, retry) = signed(permit, permit.action().idem)?;
        Ok(Change::OpenStation {
            retry,
            station: permit.caller().id.clone(),
            exchange: Exchange::new(facts.random),
            life_ms: facts.limits.exchange_life_ms,
            statement,
            touches: touches(permit.caller()),
        })
    }
}

impl Operation for OpenStation {
    type Done = Vec<u8>;
    type Reply = StationOpenReply;
    const SHOWS_LEAF: bool = false;

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<Vec<u8>, NotDone> {
        Ok(means.keyring.open_exchange(recorded)?)
    }

    fn reply(opening: Vec<u8>, receipt: Receipt) -> Result<StationOpenReply, Fault> {
        let opening = Blob::try_from(opening).map_err(|_| Fault::Invariant("an opening is too long"))?;
        Ok(StationOpenReply { schema: Schema, opening, receipt })
    }
}
