//! `key.import`: the order to make a key of components is recorded, and thereby done. The key is made with the last
//! component, by `component.give`.

use super::{Means, Operation, alter::alteration};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        imports,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{receipt::Receipt, reply::ChangedReply, request::ImportKey, schema::Schema};
use keysvc_token::TokenError;

impl Record for ImportKey {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        alteration(permit, permit.action().idem)
    }
}

impl Operation for ImportKey {
    type Done = ();
    type Reply = ChangedReply;
    const SHOWS_LEAF: bool = true;

    fn holds(&self, means: &Means<'_>) -> Result<(), NotDone> {
        // People are not to meet for a key that this token could never take.
        match imports::lacking(means.storage.token)?.first() {
            Some(mechanism) => Err(Fault::from(TokenError::NotOffered { mechanism }).into()),
            None => Ok(()),
        }
    }

    async fn perform(_: &Recorded<Self>, _: &Means<'_>) -> Result<(), NotDone> {
        Ok(())
    }

    fn reply((): (), receipt: Receipt) -> Result<ChangedReply, Fault> {
        Ok(ChangedReply { schema: Schema, receipt })
    }
}
