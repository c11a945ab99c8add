//! `key.create`: the order to make a key is recorded; then the key is made in the token, between an intent and an outcome.

use super::{Means, Operation, alter::alteration};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{
    key::KeyRecord, receipt::Receipt, reply::KeyCreatedReply, request::CreateKey, schema::Schema,
};

impl Record for CreateKey {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        alteration(permit, permit.action().idem)
    }
}

impl Operation for CreateKey {
    type Done = KeyRecord;
    type Reply = KeyCreatedReply;
    const SHOWS_LEAF: bool = true;
    const ALTERS: bool = true;

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<KeyRecord, NotDone> {
        let control = means.site.control()?;
        let order = control.keys().order(recorded.recording().index);
        let order = order.ok_or(Fault::Invariant("a recorded order to make a key is not known"))?;
        if order.made {
            // A repetition: the key is there, and its record as it now stands.
            let keys = means.reader.keys().map_err(Fault::from)?;
            let made = keys.into_iter().find(|key| key.name == order.name && key.version == order.version);
            return Ok(made.ok_or(Fault::Invariant("a key that was made is not on record"))?);
        }
        let (record, settled) = means.storage.create_key(means.sequencer, order, means.now_ms).await?;
        for settled in settled {
            if let Some(lead) = settled.lead {
                means.notary.take(lead)?;
            }
        }
        Ok(record)
    }

    fn reply(key: KeyRecord, receipt: Receipt) -> Result<KeyCreatedReply, Fault> {
        Ok(KeyCreatedReply { schema: Schema, key, receipt })
    }
}
