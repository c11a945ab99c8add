//! Cards after they were made: sold, retired, taken back.

use crate::{
    kit::{COUNTERS, JOB, STATION, conflict, made, make, opened},
    people::{
        Floor,
        floor::{Told, card, counts, result},
        name,
    },
};
use keysvc_protocol::{
    bytes::Blob,
    card::{CardState, HolderRef},
    job::{JobState, Outcome},
    leaf::{CardsChangedLeaf, LeafKind},
    refusal::{Conflict, Invalid, Refusal, Thing},
    request::{MoveCards, Operation},
    schema::Schema,
};

fn asked(floor: &mut Floor, cards: &[u8], to: CardState) -> MoveCards {
    MoveCards {
        schema: Schema,
        idem: floor.idem(),
        cards: cards.iter().map(|number| card(*number)).collect::<Vec<_>>().try_into().ok().unwrap(),
        to,
        location: None,
        holder: None,
    }
}

fn moved(floor: &mut Floor, by: &str, cards: &[u8], to: CardState) -> Told {
    let request = asked(floor, cards, to);
    floor.transition(by, &request)
}

fn holder() -> HolderRef {
    HolderRef(Blob::try_from(b"crm:7".to_vec()).unwrap())
}

fn state(floor: &Floor, number: u8) -> CardState {
    floor.book.cards[&card(number)].state
}

#[test]
fn a_terminal_sells_and_an_office_takes_back() {
    let mut floor = opened(4);
    made(&mut floor, &[1, 2, 3], 4);
    moved(&mut floor, "terminal-1", &[1, 2], CardState::Active).unwrap();
    assert_eq!((state(&floor, 1), state(&floor, 2)), (CardState::Active, CardState::Active));
    assert_eq!(floor.book.cards[&card(1)].location, name("acme"));
    for to in [CardState::Retired, CardState::AwaitingDestruction] {
        let refused = moved(&mut floor, "terminal-1", &[1], to);
        assert_eq!(refused, Err(Refusal::Invalid { reason: Invalid::Items }));
    }
    moved(&mut floor, "office-1", &[1], CardState::Retired).unwrap();
    moved(&mut floor, "office-1", &[1, 3], CardState::AwaitingDestruction).unwrap();
    assert_eq!(
        (state(&floor, 1), state(&floor, 3)),
        (CardState::AwaitingDestruction, CardState::AwaitingDestruction)
    );
    assert_eq!(floor.replayed(), floor.book);
}

#[test]
fn what_nobody_may_ask_for_is_refused() {
    let mut floor = opened(2);
    made(&mut floor, &[1], 2);
    for other in [STATION, "operator-1", "officer-1", "platform-1"] {
        assert_eq!(moved(&mut floor, other, &[1], CardState::Active), Err(Refusal::Forbidden), "{other}");
    }
    let invalid = Err(Refusal::Invalid { reason: Invalid::Items });
    for to in
        [CardState::Blank, CardState::InProduction, CardState::Ready, CardState::Frozen, CardState::Destroyed]
    {
        assert_eq!(moved(&mut floor, "office-1", &[1], to), invalid, "{to}");
    }
    assert_eq!(moved(&mut floor, "office-1", &[], CardState::Active), invalid);
    assert_eq!(moved(&mut floor, "office-1", &[1, 1], CardState::Active), invalid);
}

#[test]
fn all_cards_are_moved_or_none() {
    let mut floor = opened(4);
    make(&mut floor, &[2]);
    floor.derive(STATION, JOB, &[3]).unwrap();
    // Nothing is sold before it was counted where it was made.
    let open = Err(conflict(Conflict::JobState { state: JobState::Open }));
    assert_eq!(moved(&mut floor, "terminal-1", &[2], CardState::Active), open);
    floor.give(STATION, JOB, vec![result(3, Outcome::Sample, 1)]).unwrap();
    make(&mut floor, &[1]);
    floor.count(STATION, JOB, &COUNTERS, counts([2, 0, 1, 1, 0])).unwrap();
    floor.close(STATION, JOB, &["monitor-1"]).unwrap();
    let sample = Err(conflict(Conflict::CardState { state: CardState::Retired }));
    assert_eq!(moved(&mut floor, "terminal-1", &[1, 3], CardState::Active), sample);
    let unknown = Err(Refusal::NotFound { what: Thing::Card });
    assert_eq!(moved(&mut floor, "terminal-1", &[1, 9], CardState::Active), unknown);
    assert_eq!(state(&floor, 1), CardState::Ready);
    moved(&mut floor, "terminal-1", &[1], CardState::Active).unwrap();
    // Said again it is as it is.
    moved(&mut floor, "terminal-1", &[1], CardState::Active).unwrap();
    moved(&mut floor, "office-1", &[1], CardState::Retired).unwrap();
    let retired = Err(conflict(Conflict::CardState { state: CardState::Retired }));
    assert_eq!(moved(&mut floor, "office-1", &[1], CardState::Active), retired);
}

#[test]
fn a_card_of_another_organisation_is_not_touched() {
    let mut floor = opened(2);
    made(&mut floor, &[1, 2], 2);
    moved(&mut floor, "terminal-1", &[1], CardState::Active).unwrap();
    for to in [CardState::Active, CardState::Retired] {
        assert_eq!(moved(&mut floor, "office-2", &[1], to), Err(Refusal::Forbidden), "{to}");
    }
    // Nor put where another has its own, or back where everybody could take it.
    for other in ["tea", STATION, "office-2", "vault"] {
        let mut request = asked(&mut floor, &[2], CardState::Active);
        request.location = Some(name(other));
        assert_eq!(floor.transition("office-1", &request), Err(Refusal::Forbidden), "{other}");
    }
    let mut request = asked(&mut floor, &[2], CardState::Active);
    request.location = Some(name("acme.shelf-2"));
    floor.transition("office-1", &request).unwrap();
    assert_eq!(moved(&mut floor, "office-2", &[2], CardState::Retired), Err(Refusal::Forbidden));
    moved(&mut floor, "office-1", &[2], CardState::Retired).unwrap();
}

#[test]
fn a_holder_is_one_cards_and_lies_in_its_leaf() {
    let mut floor = opened(3);
    made(&mut floor, &[1, 2], 3);
    let invalid = Err(Refusal::Invalid { reason: Invalid::Items });
    let several = MoveCards { holder: Some(holder()), ..asked(&mut floor, &[1, 2], CardState::Active) };
    assert_eq!(floor.transition("office-1", &several), invalid);
    let retired = MoveCards { holder: Some(holder()), ..asked(&mut floor, &[1], CardState::Retired) };
    assert_eq!(floor.transition("office-1", &retired), invalid);
    let given = MoveCards { holder: Some(holder()), ..asked(&mut floor, &[1], CardState::Active) };
    floor.transition("office-1", &given).unwrap();
    let leaf = floor.book.cards[&card(1)].holder.unwrap();
    assert_eq!(floor.leaves[usize::try_from(leaf).unwrap() - 1].0.kind, LeafKind::CardsChanged);
    // Another holder by the way would be on record and nowhere else.
    let again = MoveCards { holder: Some(holder()), ..asked(&mut floor, &[1], CardState::Active) };
    let active = Err(conflict(Conflict::CardState { state: CardState::Active }));
    assert_eq!(floor.transition("office-1", &again), active);
    moved(&mut floor, "office-1", &[1], CardState::Retired).unwrap();
    assert_eq!(floor.book.cards[&card(1)].holder, Some(leaf));
}

#[test]
fn a_leaf_of_cards_has_an_operation_of_its_kind() {
    let mut floor = opened(2);
    made(&mut floor, &[1], 2);
    let request = asked(&mut floor, &[1], CardState::Active);
    let person = floor.site.person("terminal-1");
    let leaf = CardsChangedLeaf {
        schema: Schema,
        principal: name("terminal-1"),
        operation: Operation::CardDerive,
        statement: floor.site.statement(person, Operation::CardDerive, &request),
    };
    let encoding = Err(Refusal::Invalid { reason: Invalid::Encoding });
    assert_eq!(floor.put(LeafKind::CardsChanged, &leaf), encoding);
}
