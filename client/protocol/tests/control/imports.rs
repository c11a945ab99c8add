//! Keys that come in as components: who may hold one, who may give it, and what the log must say before the key is made.

use crate::{
    asks::{log, why},
    people::{DAY_MS, Log, idem, name, record},
};
use keysvc_protocol::{
    bytes::{Digest, ObjectIdentifier, ProposalId, ShortCheck},
    control::{IMPORT_LIFE_MS, Order},
    key::{CheckValue, KeyKind, KeyState},
    leaf::{KeyIntentLeaf, KeyOutcomeLeaf, LeafKind},
    list::List,
    quorum::Verdict,
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    request::{ComponentOrder, GiveComponent, ImportKey, Operation},
    schema::Schema,
};

const THREE: [&str; 3] = ["officer-1", "officer-2", "officer-3"];

fn check(byte: u8) -> ShortCheck {
    ShortCheck::new([byte; 5])
}

fn import(components: &[(&str, u8)]) -> ImportKey {
    let order =
        |(custodian, byte): &(&str, u8)| ComponentOrder { custodian: name(custodian), check: check(*byte) };
    ImportKey {
        schema: Schema,
        idem: idem(1),
        name: name("master-2"),
        kind: KeyKind::CardMaster,
        check: check(9),
        components: List::try_from(components.iter().map(order).collect::<Vec<_>>()).unwrap(),
        reason: why(),
    }
}

fn usual() -> ImportKey {
    import(&[("officer-4", 1), ("officer-5", 2)])
}

fn order(log: &mut Log, request: &ImportKey, by: &[&str]) -> Result<ProposalId, Refusal> {
    let id = log.propose("officer-1", Operation::KeyImport, request)?;
    for officer in by {
        log.vote(officer, &id, Verdict::Approve)?;
    }
    log.act(&id).map(|_| id)
}

fn give(log: &mut Log, by: &str, proposal: ProposalId, number: u8, byte: u8) -> Result<u64, Refusal> {
    let request = GiveComponent {
        schema: Schema,
        idem: idem(2),
        proposal,
        number,
        check: check(byte),
        import_key: Digest::new([3; 32]),
        sealed: Digest::new([4; 32]),
    };
    log.alone(by, Operation::ComponentGive, &request)
}

fn intend(log: &mut Log) -> Result<u64, Refusal> {
    let intent = KeyIntentLeaf {
        schema: Schema,
        id: ObjectIdentifier::new([0x50; 16]),
        kind: KeyKind::CardMaster,
        name: name("master-2"),
        version: 1,
    };
    log.put(LeafKind::KeyIntent, &intent)
}

fn outcome(log: &mut Log, intent: u64, byte: u8) -> Result<u64, Refusal> {
    let mut key = record(0x50, "master-2", 1, KeyKind::CardMaster, KeyState::PreActivation);
    key.check = CheckValue::Cmac { value: check(byte) };
    log.put(LeafKind::KeyOutcome, &KeyOutcomeLeaf { schema: Schema, intent, key })
}

#[test]
fn a_key_comes_in_once_every_component_was_given_by_its_own_custodian() {
    let mut log = log();
    let id = order(&mut log, &usual(), &THREE).unwrap();
    let conflict = Err(Refusal::StateConflict { reason: Conflict::Precondition });
    assert_eq!(intend(&mut log), conflict, "no component was given");
    give(&mut log, "officer-4", id, 1, 1).unwrap();
    assert_eq!(intend(&mut log), conflict, "one component is missing");
    give(&mut log, "officer-5", id, 2, 2).unwrap();
    let intent = intend(&mut log).unwrap();
    assert_eq!(outcome(&mut log, intent, 8), conflict, "another key than was ordered");
    outcome(&mut log, intent, 9).unwrap();
    let again = Err(Refusal::StateConflict { reason: Conflict::ProposalEnded });
    assert_eq!(give(&mut log, "officer-4", id, 1, 1), again);
    assert_eq!(log.replayed().digest(), log.control.digest());
    let key = log.control.keys().get(&name("master-2"), 1).unwrap();
    assert_eq!((key.kind, key.state), (KeyKind::CardMaster, KeyState::PreActivation));
}

#[test]
fn only_the_custodian_of_a_component_gives_it_and_only_with_its_check_value() {
    let mut log = log();
    let id = order(&mut log, &usual(), &THREE).unwrap();
    let invalid = Err(Refusal::Invalid { reason: Invalid::Component });
    assert_eq!(give(&mut log, "officer-5", id, 1, 1), Err(Refusal::Forbidden), "another's");
    assert_eq!(give(&mut log, "officer-1", id, 1, 1), Err(Refusal::Forbidden), "no custodian");
    assert_eq!(give(&mut log, "terminal-1", id, 1, 1), Err(Refusal::Forbidden), "no person");
    assert_eq!(give(&mut log, "officer-4", id, 3, 1), Err(Refusal::Forbidden), "no such number");
    assert_eq!(give(&mut log, "officer-4", id, 0, 1), Err(Refusal::Forbidden), "no such number");
    assert_eq!(give(&mut log, "officer-4", id, 1, 2), invalid, "swapped");
    let unknown = ProposalId::new([0xee; 16]);
    let not_found = Err(Refusal::NotFound { what: Thing::Proposal });
    assert_eq!(give(&mut log, "officer-4", unknown, 1, 1), not_found);
    // After a restart of the service a component is given again.
    give(&mut log, "officer-4", id, 1, 1).unwrap();
    let again = give(&mut log, "officer-4", id, 1, 1).unwrap();
    let (_, _, import) = log.control.import(&id).unwrap();
    assert_eq!(import.given.get(&1), Some(&again));
    assert!(!import.is_complete());
}

#[test]
fn components_are_of_two_or_three_different_people_and_differ() {
    let refused = |components: &[(&str, u8)]| {
        let mut log = log();
        log.propose("officer-1", Operation::KeyImport, &import(components)).unwrap_err()
    };
    assert_eq!(refused(&[("officer-4", 1)]), Refusal::Invalid { reason: Invalid::Items });
    assert_eq!(refused(&[]), Refusal::Invalid { reason: Invalid::Items });
    assert_eq!(refused(&[("officer-4", 1), ("officer-4", 2)]), Refusal::SamePerson);
    let equal = Refusal::Invalid { reason: Invalid::ComponentEqual };
    assert_eq!(refused(&[("officer-4", 1), ("officer-5", 1)]), equal);
    let custodian = Refusal::Invalid { reason: Invalid::Custodian };
    assert_eq!(refused(&[("officer-4", 1), ("terminal-1", 2)]), custodian);
    let unknown = Refusal::NotFound { what: Thing::Principal };
    assert_eq!(refused(&[("officer-4", 1), ("nobody", 2)]), unknown);
}

#[test]
fn only_a_card_master_comes_in_and_no_name_of_another_kind() {
    let mut log = log();
    let mut signing = usual();
    signing.kind = KeyKind::ValueSigning;
    let items = Refusal::Invalid { reason: Invalid::Items };
    assert_eq!(log.propose("officer-1", Operation::KeyImport, &signing).unwrap_err(), items);
    let mut taken = usual();
    taken.name = name("value-1");
    let taken = log.propose("officer-1", Operation::KeyImport, &taken).unwrap_err();
    assert_eq!(taken, Refusal::StateConflict { reason: Conflict::NameTaken });
}

#[test]
fn those_who_agree_are_not_all_custodians() {
    let mut log = log();
    let request = import(&[("officer-1", 1), ("officer-2", 2), ("officer-3", 3)]);
    let refused = order(&mut log, &request, &THREE).unwrap_err();
    assert_eq!(refused, Refusal::ApprovalInvalid { reason: Uncounted::CustodiansAlone });
    order(&mut log, &request, &["officer-1", "officer-2", "officer-4"]).unwrap();
}

#[test]
fn an_import_that_its_custodians_approved_waits_for_somebody_else() {
    let mut log = log();
    let request = import(&[("officer-1", 1), ("officer-2", 2), ("officer-3", 3)]);
    let id = log.propose("officer-1", Operation::KeyImport, &request).unwrap();
    log.approve(&THREE, &id);
    let (quorum, met) = log.control.counted(&id).unwrap();
    assert_eq!((quorum.persons(), met), (3, false));
    log.approve(&["officer-4"], &id);
    assert!(log.control.counted(&id).unwrap().1);
    log.act(&id).unwrap();
}

#[test]
fn an_import_is_not_asked_where_every_officer_would_hold_a_component() {
    let mut log = crate::asks::log_of(3);
    let request = import(&[("officer-1", 1), ("officer-2", 2), ("officer-3", 3)]);
    let refused = log.propose("officer-1", Operation::KeyImport, &request).unwrap_err();
    assert_eq!(refused, Refusal::ApprovalInvalid { reason: Uncounted::CustodiansAlone });
}

#[test]
fn an_import_takes_three_people() {
    let mut log = log();
    let refused = order(&mut log, &usual(), &["officer-1", "officer-2"]).unwrap_err();
    assert_eq!(refused, Refusal::ApprovalInvalid { reason: Uncounted::TooFew });
    let alone = log.alone("officer-1", Operation::KeyImport, &usual()).unwrap_err();
    assert_eq!(alone, Refusal::ApprovalInvalid { reason: Uncounted::TooFew });
}

#[test]
fn custodians_have_a_day_and_what_came_too_late_uses_the_version_up() {
    let mut log = log();
    let id = order(&mut log, &usual(), &THREE).unwrap();
    give(&mut log, "officer-4", id, 1, 1).unwrap();
    assert_eq!(IMPORT_LIFE_MS, DAY_MS);
    log.pass(DAY_MS + 1);
    assert_eq!(give(&mut log, "officer-5", id, 2, 2), Err(Refusal::Expired));
    let second = log.agree("officer-1", Operation::KeyImport, &usual(), &THREE).unwrap();
    let Order { version, .. } = log.control.keys().order(second).unwrap();
    assert_eq!(*version, 2);
}
