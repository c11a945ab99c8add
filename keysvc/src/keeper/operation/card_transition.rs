//! `card.transition`: cards are in another state once it is recorded. Which state they may leave for which is the
//! protocol's ([`keysvc_protocol::card`]).

use super::{Means, Operation, signed, touches};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{
    leaf::CardsChangedLeaf,
    receipt::Receipt,
    reply::CardsMovedReply,
    request::{MoveCards, Operation as Op},
    schema::Schema,
};

impl Record for MoveCards {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        let asked = permit.action();
        let (statement, retry) = signed(permit, asked.idem)?;
        let principal = permit.caller().id.clone();
        let leaf = CardsChangedLeaf { schema: Schema, principal, operation: Op::CardTransition, statement };
        Ok(Change::MoveCards { retry, leaf, cards: asked.cards.to_vec(), touches: touches(permit.caller()) })
    }
}

impl Operation for MoveCards {
    type Done = ();
    type Reply = CardsMovedReply;
    const SHOWS_LEAF: bool = false;

    async fn perform(_: &Recorded<Self>, _: &Means<'_>) -> Result<(), NotDone> {
        Ok(())
    }

    fn reply((): (), receipt: Receipt) -> Result<CardsMovedReply, Fault> {
        Ok(CardsMovedReply { schema: Schema, receipt })
    }
}
