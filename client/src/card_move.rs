//! Cards that are sold, taken back or put aside: what terminals and offices change in the registry.

use crate::{
    act::Hand,
    error::ClientError,
    pending::Outcome,
    statement::{Statement, fresh_idem},
};
use keysvc_protocol::{
    card::{CardState, CardUid, HolderRef},
    list::WrongCount,
    name::Name,
    reply::CardsMovedReply,
    request::{MoveCards, Operation},
    schema::Schema,
};

/// Cards that are to be in another state, all of them or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardsMove {
    /// The cards, none twice, at most 1,000.
    pub cards: Vec<CardUid>,
    /// The state: active for what is sold; retired or awaiting destruction for what is taken back, by offices alone.
    pub to: CardState,
    /// Where they are from now on; our own organisation where left out.
    pub location: Option<Name>,
    /// The holder of a card that is given out, opaque and of one card alone.
    pub holder: Option<HolderRef>,
}

impl Hand {
    pub(crate) async fn move_cards(&self, cards: CardsMove) -> Result<Outcome<()>, ClientError> {
        let limit = |error: WrongCount| ClientError::Request { what: error.to_string() };
        let CardsMove { cards, to, location, holder } = cards;
        let (idem, cards) = (fresh_idem()?, cards.try_into().map_err(limit)?);
        let request = MoveCards { schema: Schema, idem, cards, to, location, holder };
        let statement = Statement { operation: Operation::CardTransition, idem, request: &request };
        let outcome: Outcome<CardsMovedReply> = statement.send(&self.reader, &self.signer).await?;
        outcome.and_then(|_| Ok(()))
    }
}
