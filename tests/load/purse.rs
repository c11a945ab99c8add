//! Purses with numbers: the card of each, and its update at each sequence number.
//!
//! Apart because whoever fills a store and whoever then updates what was filled must mean the same purses. It signs
//! nothing and asks nobody.

use crate::while_doing;
use keysvc_protocol::{
    bytes::Idem,
    card::CardUid,
    name::Name,
    request::{UpdateValue, ValueOperation},
    schema::Schema,
};
use keysvc_tests::ground::Failed;

/// The programme of the development site.
pub const PROGRAMME: &str = "coffee";
/// Its purse and its currency (the euro).
const PURSE: u8 = 1;
const CURRENCY: u16 = 978;
/// What is loaded and debited in turn, in cents.
const AMOUNT: u64 = 500;
/// What the numbers of purses are multiplied with where each update goes to another one: a prime, so that all of them
/// have their turn, and large, so that no two neighbours follow each other.
const STRIDE: u64 = 2_147_483_647;

/// So many purses, and what was done to them before: `updates` in turn, from the first purse to the last and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purses {
    /// How many.
    pub purses: u64,
    /// Updates of all of them together.
    pub updates: u64,
}

impl Purses {
    /// The purse and the sequence number of the update of this place in the turns, from 0: fillers take them in order.
    pub fn in_turn(self, place: u64) -> (u64, u64) {
        let purses = self.purses.max(1);
        (place % purses, (place / purses).saturating_add(1))
    }

    /// The purse and the sequence number of the visit of this number, from 0, once all that was filled is there: each goes
    /// to another purse, in no order, until all were visited.
    pub fn visited(self, visit: u64) -> (u64, u64) {
        let purses = self.purses.max(1);
        // Both are below 2^31 or a hundred million: no overflow.
        let number = (visit % purses).saturating_mul(STRIDE % purses) % purses;
        let (rounds, rest) = (self.updates / purses, self.updates % purses);
        let before = rounds.saturating_add(u64::from(number < rest));
        (number, before.saturating_add(visit / purses).saturating_add(1))
    }
}

/// The card of the purse of this number.
///
/// # Errors
/// Never: seven bytes are a card's identifier.
pub fn card(number: u64) -> Result<CardUid, Failed> {
    let mut uid = [0x04, b'F', 0, 0, 0, 0, 0];
    uid.iter_mut().skip(2).zip(number.to_be_bytes().into_iter().skip(3)).for_each(|(to, from)| *to = from);
    CardUid::try_from(uid.as_slice()).map_err(while_doing("a card"))
}

/// The update of this sequence number: a load of what the debit before took, or that debit.
pub fn update(programme: &Name, card: CardUid, seq: u64, txn: Idem) -> UpdateValue {
    let (operation, balance_before) =
        if seq.is_multiple_of(2) { (ValueOperation::Debit, AMOUNT) } else { (ValueOperation::Load, 0) };
    UpdateValue {
        schema: Schema,
        programme: programme.clone(),
        card,
        purse: PURSE,
        operation,
        expected_seq: seq,
        amount: AMOUNT,
        currency: CURRENCY,
        balance_before,
        txn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn visits_go_on_where_the_filling_left_each_purse_and_pass_over_none() {
        for (purses, updates) in [(1, 0), (7, 0), (10, 25), (1_000, 1_000), (4_096, 10_000)] {
            let all = Purses { purses, updates };
            let mut last = HashMap::new();
            let filled = (0..updates).map(|place| all.in_turn(place));
            let visited = (0..purses * 3).map(|visit| all.visited(visit));
            for (number, seq) in filled.chain(visited) {
                assert!(number < purses);
                assert_eq!(last.insert(number, seq).unwrap_or(0) + 1, seq, "{all:?} purse {number}");
            }
            assert_eq!(u64::try_from(last.len()).unwrap(), purses);
        }
    }

    #[test]
    fn two_purses_have_two_cards() {
        assert_ne!(card(1).unwrap(), card(256).unwrap());
    }
}
