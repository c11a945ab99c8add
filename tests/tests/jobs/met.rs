//! Cards as the registry has met them: looked up by role, put into use and out of it, and what value does with them.

use super::{CARD, Officers, assert_refused, is, shop, uid};
use keysvc_protocol::{
    bytes::Blob,
    card::{CardState, HolderRef, ShownCard},
    freeze::Scope,
    job::{Counts, JobState},
    refusal::{Conflict, Invalid, Refusal, Thing},
    reply::{CardReply, CardsMovedReply, ValueUpdateReply},
    request::{CheckCard, MoveCards, Operation, UpdateValue, ValueOperation::Load},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{idem, name},
    cards::holder,
    raw::{self, Caller},
};

fn check(caller: &mut Caller, card: &str) -> CardReply {
    let request = CheckCard { schema: Schema, card: card.parse().unwrap() };
    caller.ask(Operation::CardCheck, &request).unwrap()
}

fn moving(cards: &[String], to: CardState) -> MoveCards {
    let cards: Vec<_> = cards.iter().map(|card| card.parse().unwrap()).collect();
    let cards = cards.try_into().unwrap();
    MoveCards { schema: Schema, idem: idem(), cards, to, location: None, holder: None }
}

fn put(caller: &mut Caller, request: &MoveCards) -> Result<(), Refusal> {
    caller.ask::<CardsMovedReply>(Operation::CardTransition, request).map(drop)
}

const fn stands(state: CardState) -> Refusal {
    Refusal::StateConflict { reason: Conflict::CardState { state } }
}

fn load(terminal: &mut Caller, card: &str) -> Result<(), Refusal> {
    let request = UpdateValue { card: card.parse().unwrap(), ..raw::update(Load, 1, 100, 0) };
    terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &request).map(drop)
}

#[test]
fn value_goes_onto_cards_that_are_finished_or_unknown_and_onto_no_card_in_production_rejected_or_retired() {
    let (mut ground, mut bench) = shop();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let mut office = Caller::new(ground.site(), "office-1");
    let shift = bench.open(("generated", 1));
    let delivery = bench.derive(&shift, &[&uid(1)]).unwrap();
    assert_eq!(load(&mut terminal, &uid(1)), Err(stands(CardState::InProduction)));
    bench.good(&shift, &delivery).unwrap();
    load(&mut terminal, &uid(1)).unwrap();
    // Cards from before there was a registry have value as ever.
    load(&mut terminal, &uid(50)).unwrap();
    let second = bench.derive(&shift, &[&uid(2)]).unwrap();
    let cause = "bent".parse().unwrap();
    let reject = keysvc_tests::jobs::results(&second, &keysvc_protocol::job::Outcome::Reject { cause });
    keysvc_tests::jobs::give(&mut bench.station, &shift.job, reject).unwrap();
    assert_eq!(load(&mut terminal, &uid(2)), Err(stands(CardState::AwaitingDestruction)));
    let counts = Counts { good: 1, rejected: 1, returned: 998, ..Counts::default() };
    bench.floor.finish(&mut bench.station, shift.job.as_str(), counts, "station-1");
    put(&mut office, &moving(&[uid(1)], CardState::Retired)).unwrap();
    let more = UpdateValue { card: uid(1).parse().unwrap(), ..raw::update(Load, 2, 100, 100) };
    let refused = terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &more);
    assert_eq!(refused.unwrap_err(), stands(CardState::Retired));
    let value = Operation::ValueUpdate;
    let refused = [
        (value, stands(CardState::InProduction)),
        (value, stands(CardState::AwaitingDestruction)),
        (value, stands(CardState::Retired)),
    ];
    assert_refused(&ground, "terminal-1", &refused);
    ground.assert_clean();
}

#[test]
fn a_card_is_sold_and_taken_back_step_by_step_all_cards_of_a_request_or_none() {
    let (mut ground, mut bench) = shop();
    let (shift, cards) = (bench.open(("known", 1)), [uid(1), uid(2)]);
    let delivery = bench.derive(&shift, &[&cards[0], &cards[1]]).unwrap();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let mut other = Caller::new(ground.site(), "terminal-2");
    let mut office = Caller::new(ground.site(), "office-1");
    let sold = |cards: &[String]| moving(cards, CardState::Active);
    let counted_first = is(JobState::Open);
    bench.good(&shift, &delivery).unwrap();
    assert_eq!(put(&mut terminal, &sold(&cards)), Err(counted_first.clone()), "it is not counted yet");
    bench.finish(&shift, 2);
    // Not to another organisation.
    let away = MoveCards { location: Some(name("bakery")), ..sold(&cards) };
    assert_eq!(put(&mut terminal, &away), Err(Refusal::Forbidden));
    let missing = Refusal::NotFound { what: Thing::Card };
    assert_eq!(put(&mut terminal, &sold(&[uid(1), uid(77)])), Err(missing.clone()));
    assert_eq!(check(&mut office, &uid(1)).state, CardState::Ready, "all or none");
    let twice = Refusal::Invalid { reason: Invalid::Items };
    assert_eq!(put(&mut terminal, &sold(&[uid(1), uid(1)])), Err(twice.clone()));
    put(&mut terminal, &sold(&cards)).unwrap();
    put(&mut terminal, &sold(&cards)).unwrap();
    // It is the roastery's card now.
    assert_eq!(put(&mut other, &sold(&cards)), Err(Refusal::Forbidden));
    // A terminal only sells.
    assert_eq!(put(&mut terminal, &moving(&cards, CardState::Retired)), Err(Refusal::Forbidden));
    let discard = moving(&cards[..1], CardState::AwaitingDestruction);
    assert_eq!(put(&mut office, &discard), Err(stands(CardState::Active)));
    put(&mut office, &moving(&cards[..1], CardState::Retired)).unwrap();
    put(&mut office, &discard).unwrap();
    assert_eq!(check(&mut office, &uid(1)).state, CardState::AwaitingDestruction);
    assert_eq!(check(&mut office, &uid(2)).state, CardState::Active);
    let mut station = holder(CARD, ground.site(), "station-2");
    assert_eq!(put(&mut station, &sold(&cards)), Err(Refusal::Forbidden));
    let moves = Operation::CardTransition;
    let told = [counted_first, Refusal::Forbidden, missing, twice, Refusal::Forbidden];
    assert_refused(&ground, "terminal-1", &told.map(|refusal| (moves, refusal)));
    assert_refused(&ground, "terminal-2", &[(moves, Refusal::Forbidden)]);
    ground.assert_clean();
}

#[test]
fn a_card_is_shown_whole_to_those_who_have_it_by_its_ends_to_operators_and_with_its_holder_to_few() {
    let (ground, mut bench) = shop();
    let card = "04782e21801d80";
    let mut auditor = Caller::new(ground.site(), "auditor-1");
    let blank = check(&mut auditor, card);
    assert_eq!((blank.state, blank.generation, blank.job), (CardState::Blank, 0, None));
    bench.make(("known", 1), &[card]).unwrap();
    let mut office = Caller::new(ground.site(), "office-1");
    let whose = HolderRef(Blob::try_from(b"member 12".to_vec()).unwrap());
    let given = MoveCards { holder: Some(whose.clone()), ..moving(&[card.to_owned()], CardState::Active) };
    put(&mut office, &given).unwrap();

    let whole = ShownCard::Whole { card: card.parse().unwrap() };
    let masked = ShownCard::masked(&card.parse().unwrap());
    assert_eq!(masked.to_string(), "0478..1d80");
    // Who sees the card whole, its job, its holder.
    for (persona, shown, job, holder) in [
        ("terminal-1", &whole, false, false),
        ("office-1", &whole, false, true),
        ("officer-1", &whole, true, false),
        ("auditor-1", &whole, true, true),
        ("operator-1", &masked, true, false),
        ("reviewer-1", &masked, true, false),
        ("data-1", &masked, true, false),
        ("monitor-1", &masked, true, false),
        ("station-1", &whole, true, false),
        ("station-2", &whole, false, false),
    ] {
        let seen = check(&mut Caller::new(ground.site(), persona), card);
        let told = (&seen.card, seen.job.is_some(), seen.holder.as_ref() == Some(&whose));
        assert_eq!(told, (shown, job, holder), "{persona}");
        assert_eq!((seen.state, seen.generation), (CardState::Active, 1), "{persona}");
        assert_eq!(seen.location.unwrap().as_str(), "roastery", "{persona}");
        assert_eq!(seen.profile.unwrap().as_str(), "known", "{persona}");
    }
    let request = CheckCard { schema: Schema, card: card.parse().unwrap() };
    let platform = Caller::new(ground.site(), "platform-1").ask::<CardReply>(Operation::CardCheck, &request);
    assert_eq!(platform.unwrap_err(), Refusal::Forbidden);
    // A freeze lies over whatever it is.
    let scope = Scope::Card { card: card.parse().unwrap(), programme: None };
    let mut officers = Officers::of(&ground);
    officers.freeze(&scope);
    assert_eq!(check(&mut auditor, card).state, CardState::Frozen);
    officers.lift(&scope);
    assert_eq!(check(&mut auditor, card).state, CardState::Active);
}
