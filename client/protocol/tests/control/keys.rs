//! Keys' states: the whole table, and the same through the leaves that move them.

use crate::{
    asks::{activate, compromise, create, destroy, log, retire, suspend},
    people::{DAY_MS, Log, name, record},
};
use keysvc_protocol::{
    bytes::ObjectIdentifier,
    control::Order,
    key::{KeyEvent, KeyKind, KeyState},
    leaf::{KeyDestroyedLeaf, KeyIntentLeaf, KeyOutcomeLeaf, LeafKind},
    refusal::{Conflict, Invalid, Refusal, Uncounted},
    request::Operation,
    schema::Schema,
};

use KeyState::{Active, Compromised, Deactivated, Destroyed, PreActivation, Suspended};

const EVENTS: [KeyEvent; 5] =
    [KeyEvent::Activate, KeyEvent::Suspend, KeyEvent::Deactivate, KeyEvent::Compromise, KeyEvent::Destroy];

/// SP 800-57 part 1 section 7, whole: for each state what follows activation, suspension, deactivation, compromise and
/// destruction.
const TABLE: [(KeyState, [Option<KeyState>; 5]); 6] = [
    (PreActivation, [Some(Active), None, None, Some(Compromised), Some(Destroyed)]),
    (Active, [None, Some(Suspended), Some(Deactivated), Some(Compromised), None]),
    (Suspended, [Some(Active), None, Some(Deactivated), Some(Compromised), None]),
    (Deactivated, [None, None, None, Some(Compromised), Some(Destroyed)]),
    (Compromised, [None, None, None, None, Some(Destroyed)]),
    (Destroyed, [None, None, None, None, None]),
];

#[test]
fn every_step_from_every_state_is_the_tables() {
    println!("{:<16}{}", "", EVENTS.map(|event| format!("{event:<16?}")).concat());
    for (state, row) in TABLE {
        let after = EVENTS.map(|event| state.after(event).ok());
        let cells = after.map(|to| format!("{:<16}", to.map_or("-".to_owned(), |to| format!("{to:?}"))));
        println!("{:<16}{}", format!("{state:?}"), cells.concat());
        assert_eq!(after, row, "{state:?}");
    }
}

fn make(log: &mut Log, key: &str, kind: KeyKind) -> u32 {
    let order = log.agree("officer-1", Operation::KeyCreate, &create(key, kind), &["officer-1", "officer-2"]);
    let Order { version, .. } = log.control.keys().order(order.unwrap()).unwrap().clone();
    let id = ObjectIdentifier::new([0x50; 16]);
    let intent = KeyIntentLeaf { schema: Schema, id, kind, name: name(key), version };
    let intent = log.put(LeafKind::KeyIntent, &intent).unwrap();
    let key = record(0x50, key, version, kind, PreActivation);
    log.put(LeafKind::KeyOutcome, &KeyOutcomeLeaf { schema: Schema, intent, key }).unwrap();
    version
}

fn state(log: &Log, key: &str, version: u32) -> KeyState {
    log.control.keys().get(&name(key), version).unwrap().state
}

/// Two days at a time with heartbeats between, as a service that runs.
fn wait_days(log: &mut Log, days: u64) {
    for _ in 0..days {
        log.pass(DAY_MS);
        log.heartbeat().unwrap();
    }
}

fn step(log: &mut Log, event: KeyEvent) -> Result<u64, Refusal> {
    let (key, version, two) = ("value-1", 2, ["officer-1", "officer-2"]);
    match event {
        KeyEvent::Activate => log.agree("officer-1", Operation::KeyActivate, &activate(key, version), &two),
        KeyEvent::Suspend => log.alone("officer-1", Operation::KeySuspend, &suspend(key, version)),
        KeyEvent::Deactivate => log.agree("officer-1", Operation::KeyRetire, &retire(key, version), &two),
        KeyEvent::Compromise => log.alone("officer-1", Operation::KeyCompromise, &compromise(key, version)),
        KeyEvent::Destroy => {
            let three = ["officer-1", "officer-2", "officer-3"];
            let act = log.agree("officer-1", Operation::KeyDestroy, &destroy(key, version), &three)?;
            wait_days(log, 7);
            log.took_effect(act)
        }
    }
}

/// The shortest way to a state.
fn way(to: KeyState) -> &'static [KeyEvent] {
    match to {
        PreActivation => &[],
        Active => &[KeyEvent::Activate],
        Suspended => &[KeyEvent::Activate, KeyEvent::Suspend],
        Deactivated => &[KeyEvent::Activate, KeyEvent::Deactivate],
        Compromised => &[KeyEvent::Compromise],
        Destroyed => &[KeyEvent::Destroy],
    }
}

#[test]
fn the_same_table_holds_through_leaves_and_what_is_no_step_names_the_state() {
    for (from, row) in TABLE {
        for (event, to) in EVENTS.into_iter().zip(row) {
            let mut log = log();
            assert_eq!(make(&mut log, "value-1", KeyKind::ValueSigning), 2);
            for event in way(from) {
                step(&mut log, *event).unwrap();
            }
            assert_eq!(state(&log, "value-1", 2), from);
            let stepped = step(&mut log, event);
            match to {
                Some(to) => assert_eq!((stepped.is_ok(), state(&log, "value-1", 2)), (true, to)),
                None => assert_eq!(
                    stepped,
                    Err(Refusal::StateConflict { reason: Conflict::KeyState { state: from } })
                ),
            }
            assert_eq!(log.replayed(), log.control);
        }
    }
}

#[test]
fn stopping_a_key_takes_one_officer_and_everything_else_more() {
    let mut log = log();
    make(&mut log, "value-1", KeyKind::ValueSigning);
    let too_few = Err(Refusal::ApprovalInvalid { reason: Uncounted::TooFew });
    assert_eq!(log.alone("officer-1", Operation::KeyActivate, &activate("value-1", 2)), too_few);
    assert_eq!(log.alone("officer-1", Operation::KeyRetire, &retire("value-1", 1)), too_few);
    assert_eq!(log.alone("officer-1", Operation::KeyDestroy, &destroy("value-1", 2)), too_few);
    assert_eq!(
        log.alone("officer-1", Operation::KeyCreate, &create("value-1", KeyKind::ValueSigning)),
        too_few
    );
    let two = ["officer-1", "officer-2"];
    let destroyed = log.agree("officer-1", Operation::KeyDestroy, &destroy("value-1", 2), &two);
    assert_eq!(destroyed, too_few);
    for machine in ["terminal-1", "office-1", "platform-1"] {
        let suspended = log.alone(machine, Operation::KeySuspend, &suspend("value-1", 1));
        assert_eq!(suspended, Err(Refusal::Forbidden));
        let proposed = log.propose(machine, Operation::KeyActivate, &activate("value-1", 2));
        assert_eq!(proposed, Err(Refusal::Forbidden));
    }
    log.alone("officer-5", Operation::KeySuspend, &suspend("value-1", 1)).unwrap();
    assert_eq!(log.control.keys().newest_active(&name("value-1")), None);
}

#[test]
fn the_newest_active_version_is_the_one_that_signs() {
    let mut log = log();
    make(&mut log, "value-1", KeyKind::ValueSigning);
    let newest = |log: &Log| log.control.keys().newest_active(&name("value-1"));
    assert_eq!(newest(&log), Some(1));
    step(&mut log, KeyEvent::Activate).unwrap();
    assert_eq!(newest(&log), Some(2));
    step(&mut log, KeyEvent::Suspend).unwrap();
    assert_eq!(newest(&log), Some(1));
}

#[test]
fn the_services_own_keys_are_moved_by_nobody() {
    let mut log = log();
    for key in ["statement", "checkpoint"] {
        let suspended = log.alone("officer-1", Operation::KeySuspend, &suspend(key, 1));
        assert_eq!(suspended, Err(Refusal::Invalid { reason: Invalid::Items }));
    }
    for (key, kind) in [
        ("statement", KeyKind::ValueSigning),
        ("storage.x", KeyKind::CardMaster),
        ("value-1", KeyKind::CardMaster),
    ] {
        let made = log.propose("officer-1", Operation::KeyCreate, &create(key, kind));
        assert_eq!(made, Err(Refusal::StateConflict { reason: Conflict::NameTaken }), "{key}");
    }
    let made = log.propose("officer-1", Operation::KeyCreate, &create("new", KeyKind::Storage));
    assert_eq!(made, Err(Refusal::Invalid { reason: Invalid::Items }));
}

#[test]
fn a_key_is_made_only_as_ordered_and_once() {
    let mut log = log();
    let wrong = Err(Refusal::StateConflict { reason: Conflict::Precondition });
    let intent = |key: &str, kind, version| KeyIntentLeaf {
        schema: Schema,
        id: ObjectIdentifier::new([0x60; 16]),
        kind,
        name: name(key),
        version,
    };
    let unordered = intent("value-1", KeyKind::ValueSigning, 2);
    assert_eq!(log.put(LeafKind::KeyIntent, &unordered), wrong);
    // A storage key under another name than theirs would stand in the way of a key that people order.
    assert_eq!(log.put(LeafKind::KeyIntent, &intent("value-1", KeyKind::Storage, 2)), wrong);
    let two = ["officer-1", "officer-2"];
    log.agree("officer-1", Operation::KeyCreate, &create("value-1", KeyKind::ValueSigning), &two).unwrap();
    assert_eq!(log.put(LeafKind::KeyIntent, &intent("value-1", KeyKind::ValueSigning, 3)), wrong);
    let intended = log.put(LeafKind::KeyIntent, &unordered).unwrap();
    let key = record(0x60, "value-1", 2, KeyKind::ValueSigning, PreActivation);
    let outcome = |key| KeyOutcomeLeaf { schema: Schema, intent: intended, key };
    for other in [
        record(0x61, "value-1", 2, KeyKind::ValueSigning, PreActivation),
        record(0x60, "value-1", 2, KeyKind::ValueSigning, Active),
        record(0x60, "value-1", 3, KeyKind::ValueSigning, PreActivation),
        record(0x60, "value-1", 2, KeyKind::CardMaster, PreActivation),
    ] {
        assert_eq!(log.put(LeafKind::KeyOutcome, &outcome(other)), wrong);
    }
    log.put(LeafKind::KeyOutcome, &outcome(key.clone())).unwrap();
    assert_eq!(log.put(LeafKind::KeyOutcome, &outcome(key)), wrong);
    assert_eq!(log.put(LeafKind::KeyIntent, &unordered), wrong);
    assert!(log.control.keys().orders().all(|(_, order)| order.made));
    let month = intent("storage.operational.2026-12", KeyKind::Storage, 1);
    let intended = log.put(LeafKind::KeyIntent, &month).unwrap();
    let key = record(0x60, "storage.operational.2026-12", 1, KeyKind::Storage, Active);
    log.put(LeafKind::KeyOutcome, &KeyOutcomeLeaf { schema: Schema, intent: intended, key }).unwrap();
}

#[test]
fn a_destruction_waits_is_told_once_and_ends_with_its_outcome() {
    let mut log = log();
    make(&mut log, "value-1", KeyKind::ValueSigning);
    let three = ["officer-1", "officer-2", "officer-3"];
    let act = log.agree("officer-1", Operation::KeyDestroy, &destroy("value-1", 2), &three).unwrap();
    let waiting = Err(Refusal::StateConflict { reason: Conflict::Waiting });
    assert_eq!(log.took_effect(act), waiting);
    assert_eq!(state(&log, "value-1", 2), PreActivation);
    let again = log.propose("officer-1", Operation::KeyActivate, &activate("value-1", 2));
    assert_eq!(again.map(drop), waiting.map(|_: u64| ()));
    wait_days(&mut log, 7);
    let intent = log.took_effect(act).unwrap();
    assert_eq!(state(&log, "value-1", 2), Destroyed);
    assert_eq!(log.control.keys().destroying().count(), 1);
    let ended = Err(Refusal::StateConflict { reason: Conflict::Precondition });
    assert_eq!(log.took_effect(act), ended);
    let outcome = |id, intent| KeyDestroyedLeaf {
        schema: Schema,
        intent,
        name: name("value-1"),
        version: 2,
        id: ObjectIdentifier::new([id; 16]),
    };
    assert_eq!(log.put(LeafKind::KeyDestroyed, &outcome(0x51, intent)), ended);
    assert_eq!(log.put(LeafKind::KeyDestroyed, &outcome(0x50, act)), ended);
    log.put(LeafKind::KeyDestroyed, &outcome(0x50, intent)).unwrap();
    assert_eq!(log.put(LeafKind::KeyDestroyed, &outcome(0x50, intent)), ended);
    assert_eq!(log.control.keys().destroying().count(), 0);
}
