//! What is stopped.

use crate::{
    asks::{freeze, lift, log},
    people::name,
};
use keysvc_protocol::{
    card::CardUid,
    cbor,
    freeze::{FREEZES_MAX, FREEZES_OF_OTHERS_MAX, Scope, ScopeKind, Touched},
    name::Name,
    quorum::Verdict,
    refusal::{Conflict, Refusal, Thing, Uncounted},
    request::Operation,
};

fn uid(text: &str) -> CardUid {
    text.parse().unwrap()
}

fn scopes() -> [Scope; 10] {
    let card = uid("04782e21801d80");
    [
        Scope::Card { card, programme: None },
        Scope::Card { card, programme: Some(name("coffee")) },
        Scope::Terminal { name: name("terminal-1") },
        Scope::Station { name: name("station-1") },
        Scope::Programme { name: name("coffee") },
        Scope::Store { name: name("acme") },
        Scope::Profile { name: name("stored") },
        Scope::Key { name: name("value-1") },
        Scope::Job { name: name("nfc-1") },
        Scope::All,
    ]
}

#[test]
fn each_scope_stops_what_it_names_and_nothing_else() {
    let (cards, keys) = ([uid("04782e21801d80")], [name("value-1")]);
    let (programme, terminal, station): (Name, Name, Name) =
        (name("coffee"), name("terminal-1"), name("station-1"));
    let (store, profile, job) = (name("acme"), name("stored"), name("nfc-1"));
    let touched = Touched {
        cards: &cards,
        programme: Some(&programme),
        terminal: Some(&terminal),
        station: Some(&station),
        store: Some(&store),
        profile: Some(&profile),
        keys: &keys,
        job: Some(&job),
    };
    for scope in scopes() {
        assert!(touched.is_stopped_by(&scope), "{scope}");
        assert_eq!(Touched::default().is_stopped_by(&scope), scope == Scope::All, "{scope}");
        let shown = scope.to_string();
        assert!(shown.starts_with(scope.kind().name()), "{shown}");
    }
    let other = name("other");
    let others = Touched {
        cards: &[uid("04782e21801d81")],
        programme: Some(&other),
        terminal: Some(&other),
        station: Some(&other),
        store: Some(&other),
        profile: Some(&other),
        keys: std::slice::from_ref(&other),
        job: Some(&other),
    };
    for scope in scopes() {
        assert_eq!(others.is_stopped_by(&scope), scope == Scope::All, "{scope}");
    }
    // A card that is stopped in one programme goes on in another.
    let elsewhere = Touched { programme: Some(&other), ..touched };
    assert!(!elsewhere.is_stopped_by(&scopes()[1]));
}

#[test]
fn the_index_over_cards_and_the_list_say_the_same() {
    let mut log = log();
    let cards = [uid("04782e21801d80"), uid("04782e21801d81")];
    let (coffee, other) = (name("coffee"), name("other"));
    let mut touches = Vec::new();
    for programme in [None, Some(&coffee), Some(&other)] {
        for card in [&[][..], &cards[..1], &cards[1..], &cards[..]] {
            touches.push(Touched { cards: card, programme, ..Touched::default() });
        }
    }
    for scope in scopes().into_iter().filter(|scope| scope.kind() != ScopeKind::Station) {
        log.alone("officer-1", Operation::FreezeSet, &freeze(scope)).unwrap();
        for touched in &touches {
            let listed = log.control.freezes().iter().any(|(scope, _)| touched.is_stopped_by(scope));
            assert_eq!(log.control.freezes().stops(touched).is_some(), listed, "{touched:?}");
        }
    }
}

#[test]
fn one_officer_freezes_and_two_lift() {
    let mut log = log();
    let set = log.alone("officer-1", Operation::FreezeSet, &freeze(Scope::All)).unwrap();
    let again = log.alone("officer-2", Operation::FreezeSet, &freeze(Scope::All)).unwrap();
    assert!(again > set);
    let in_force = log.control.freezes().get(&Scope::All).unwrap().clone();
    assert_eq!((in_force.leaf, in_force.by.as_str()), (set, "officer-1"));
    let too_few = Err(Refusal::ApprovalInvalid { reason: Uncounted::TooFew });
    assert_eq!(log.alone("officer-1", Operation::FreezeLift, &lift(Scope::All)), too_few);
    let id = log.propose("officer-1", Operation::FreezeLift, &lift(Scope::All)).unwrap();
    log.vote("officer-1", &id, Verdict::Approve).unwrap();
    assert_eq!(log.act(&id), too_few);
    log.vote("officer-2", &id, Verdict::Approve).unwrap();
    log.act(&id).unwrap();
    assert!(log.control.freezes().get(&Scope::All).is_none());
    let nothing = log.propose("officer-1", Operation::FreezeLift, &lift(Scope::All));
    assert_eq!(nothing.map(drop), Err(Refusal::NotFound { what: Thing::Freeze }));
}

#[test]
fn a_freeze_that_was_lifted_and_set_again_is_another() {
    let mut log = log();
    let two = ["officer-1", "officer-2"];
    log.alone("officer-1", Operation::FreezeSet, &freeze(Scope::All)).unwrap();
    let first = log.propose("officer-1", Operation::FreezeLift, &lift(Scope::All)).unwrap();
    log.approve(&two, &first);
    log.agree("officer-2", Operation::FreezeLift, &lift(Scope::All), &two).unwrap();
    log.alone("officer-3", Operation::FreezeSet, &freeze(Scope::All)).unwrap();
    assert_eq!(log.act(&first), Err(Refusal::StateConflict { reason: Conflict::Precondition }));
}

#[test]
fn an_office_stops_its_own_terminals_and_cards_and_nothing_else() {
    let mut log = log();
    for scope in scopes() {
        let own = matches!(scope, Scope::Terminal { .. } | Scope::Card { programme: Some(_), .. });
        let set = log.alone("office-1", Operation::FreezeSet, &freeze(scope.clone())).map(drop);
        assert_eq!(set, if own { Ok(()) } else { Err(Refusal::Forbidden) }, "{scope}");
        let by_terminal = log.alone("terminal-1", Operation::FreezeSet, &freeze(scope.clone())).map(drop);
        assert_eq!(by_terminal, Err(Refusal::Forbidden), "{scope}");
    }
    let lifted = log.propose("office-1", Operation::FreezeLift, &lift(scopes()[2].clone()));
    assert_eq!(lifted.map(drop), Err(Refusal::Forbidden));
}

#[test]
fn a_freeze_of_what_is_not_there_is_told() {
    let mut log = log();
    for (scope, what) in [
        (Scope::Terminal { name: name("office-1") }, Thing::Principal),
        (Scope::Station { name: name("station-1") }, Thing::Principal),
        (Scope::Programme { name: name("tea") }, Thing::Programme),
        (Scope::Store { name: name("department-1") }, Thing::Principal),
        (Scope::Profile { name: name("other") }, Thing::Profile),
        (Scope::Key { name: name("other") }, Thing::Key),
    ] {
        let set = log.alone("officer-1", Operation::FreezeSet, &freeze(scope));
        assert_eq!(set, Err(Refusal::NotFound { what }));
    }
}

#[test]
fn offices_leave_room_for_what_officers_stop() {
    let mut log = log();
    let of = |number: usize| {
        let card = uid(&format!("04{number:012x}"));
        freeze(Scope::Card { card, programme: Some(name("coffee")) })
    };
    for number in 0..FREEZES_OF_OTHERS_MAX {
        let leaf = log.changed("office-1", Operation::FreezeSet, &of(number));
        // Without the kit's comparison before and after: a thousand copies of a thousand freezes.
        let at = keysvc_protocol::control::At { index: 1, time_ms: log.now_ms };
        log.control.apply(at, keysvc_protocol::leaf::LeafKind::FreezeChanged, &cbor::encode(&leaf)).unwrap();
    }
    let full = Err(Refusal::StateConflict { reason: Conflict::Full });
    assert_eq!(log.alone("office-1", Operation::FreezeSet, &of(FREEZES_OF_OTHERS_MAX)), full);
    log.alone("officer-1", Operation::FreezeSet, &freeze(Scope::All)).unwrap();
    for number in FREEZES_OF_OTHERS_MAX + 1..FREEZES_MAX {
        log.alone("officer-1", Operation::FreezeSet, &of(number)).unwrap();
    }
    assert_eq!(log.alone("officer-1", Operation::FreezeSet, &of(FREEZES_MAX)), full);
    log.alone("officer-1", Operation::FreezeSet, &freeze(Scope::All)).unwrap();
}
