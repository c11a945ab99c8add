//! `value.update`: fix the sequence number and the balances, record them, then sign exactly what was recorded.

use super::{Means, Operation, signed, touches};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded, Terms, Touches},
    },
};
use keysvc_protocol::{
    bytes::Blob,
    receipt::Receipt,
    refusal::{Refusal, Thing},
    reply::ValueUpdateReply,
    request::UpdateValue,
    schema::Schema,
    value::FLAG_NO_CARD_SESSION,
};

impl Record for UpdateValue {
    fn change(permit: &Permit<Self>, facts: &Facts<'_>) -> Result<Change, NotRecorded> {
        let request = permit.action();
        let (statement, retry) = signed(permit, request.txn)?;
        let programme = facts.site.programme(&request.programme);
        let programme =
            programme.ok_or(NotRecorded::Refused(Refusal::NotFound { what: Thing::Programme }))?;
        Ok(Change::UpdateValue {
            retry,
            request: request.clone(),
            terms: Terms { valid_ms: facts.limits.value_valid_ms, flags: FLAG_NO_CARD_SESSION },
            terminal: permit.caller().id.clone(),
            statement,
            touches: Touches {
                programme: Some(programme.name.clone()),
                profile: Some(programme.profile.clone()),
                keys: vec![programme.value_key.clone()],
                ..touches(permit.caller())
            },
            value_key: programme.value_key.clone(),
        })
    }
}

impl Operation for UpdateValue {
    type Done = Vec<u8>;
    type Reply = ValueUpdateReply;
    const SHOWS_LEAF: bool = true;

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<Vec<u8>, NotDone> {
        means.keyring.sign_value(recorded)
    }

    fn reply(record: Vec<u8>, receipt: Receipt) -> Result<ValueUpdateReply, Fault> {
        let record = Blob::try_from(record).map_err(|_| Fault::Invariant("a value record is too long"))?;
        Ok(ValueUpdateReply { schema: Schema, record, receipt })
    }
}
