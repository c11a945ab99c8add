//! Who is enrolled, and how many of them it takes.

use crate::{
    asks::{activate, disable, enable, enrol, lift, log, log_of, rotate, threshold},
    people::{DAY_MS, Log, name, need},
};
use keysvc_protocol::{
    bytes::Digest,
    founding::PrincipalKind,
    freeze::Scope,
    quorum::{Need, Verdict},
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    request::{Operation, RotatePrincipal},
};

const TWO: [&str; 2] = ["officer-1", "officer-2"];
const THREE: [&str; 3] = ["officer-1", "officer-2", "officer-3"];

fn conflict<T>(reason: Conflict) -> Result<T, Refusal> {
    Err(Refusal::StateConflict { reason })
}

fn after_a_day(log: &mut Log, act: u64) -> Result<u64, Refusal> {
    log.pass(DAY_MS);
    log.took_effect(act)
}

#[test]
fn a_machine_is_enrolled_by_two_at_once_and_an_officer_by_three_after_a_day() {
    let mut log = log();
    let machine = enrol(50, "terminal-2", PrincipalKind::Terminal, "acme");
    log.agree("officer-1", Operation::PrincipalEnrol, &machine, &TWO).unwrap();
    assert!(log.control.roster().enabled(&name("terminal-2")).is_ok());
    let officer = enrol(51, "officer-6", PrincipalKind::Officer, "department-1");
    let too_few = Err(Refusal::ApprovalInvalid { reason: Uncounted::TooFew });
    assert_eq!(log.agree("officer-1", Operation::PrincipalEnrol, &officer, &TWO), too_few);
    let act = log.agree("officer-1", Operation::PrincipalEnrol, &officer, &THREE).unwrap();
    assert_eq!(
        log.control.roster().enabled(&name("officer-6")).map(drop),
        Err(Refusal::NotFound { what: Thing::Principal })
    );
    assert_eq!(
        log.propose("officer-2", Operation::PrincipalEnrol, &officer).map(drop),
        conflict(Conflict::Waiting)
    );
    log.pass(DAY_MS - 1);
    assert_eq!(log.took_effect(act), conflict(Conflict::Waiting));
    log.pass(1);
    log.took_effect(act).unwrap();
    assert_eq!(log.control.roster().voters().len(), 6);
    assert_eq!(
        log.propose("officer-2", Operation::PrincipalEnrol, &officer).map(drop),
        conflict(Conflict::NameTaken)
    );
}

#[test]
fn a_key_is_pinned_once_in_a_log_and_under_one_name() {
    let mut log = log();
    let mut propose = |request| log.propose("officer-1", Operation::PrincipalEnrol, &request).map(drop);
    let mut same_pin = enrol(50, "terminal-2", PrincipalKind::Terminal, "acme");
    same_pin.principal.tls_key = Digest::new([1; 32]);
    assert_eq!(propose(same_pin), conflict(Conflict::KeyTaken));
    let mut officers_key = enrol(1, "terminal-2", PrincipalKind::Terminal, "acme");
    officers_key.principal.tls_key = Digest::new([50; 32]);
    assert_eq!(propose(officers_key), conflict(Conflict::KeyTaken));
    let mut one_for_both = enrol(50, "terminal-2", PrincipalKind::Terminal, "acme");
    one_for_both.principal.tls_key = crate::asks::key(50).public.digest();
    assert_eq!(propose(one_for_both), conflict(Conflict::KeyTaken));
    let mut without = enrol(50, "terminal-2", PrincipalKind::Terminal, "acme");
    without.principal.statement_key = None;
    assert_eq!(propose(without), Err(Refusal::Invalid { reason: Invalid::Keys }));
    let without_wrapping = enrol(50, "station-1", PrincipalKind::Station, "acme");
    assert_eq!(propose(without_wrapping), Err(Refusal::Invalid { reason: Invalid::Keys }));
}

#[test]
fn a_principal_rotates_its_own_keys_and_nobody_elses() {
    let mut log = log();
    let own = rotate(60, "terminal-1");
    assert_eq!(log.propose("officer-1", Operation::PrincipalRotate, &own).map(drop), Err(Refusal::Forbidden));
    log.agree("terminal-1", Operation::PrincipalRotate, &own, &TWO).unwrap();
    // The request by the old key is nobody's any more.
    let again = log.propose("terminal-1", Operation::PrincipalRotate, &rotate(61, "terminal-1"));
    assert_eq!(again.map(drop), Err(Refusal::Invalid { reason: Invalid::Signature }));
    // The old key does not come back under another name.
    let mut old = enrol(100, "terminal-2", PrincipalKind::Terminal, "acme");
    old.principal.tls_key = Digest::new([70; 32]);
    assert_eq!(
        log.propose("officer-1", Operation::PrincipalEnrol, &old).map(drop),
        conflict(Conflict::KeyTaken)
    );
    let nothing = RotatePrincipal { statement_key: None, ..rotate(60, "officer-1") };
    let nothing = log.propose("officer-1", Operation::PrincipalRotate, &nothing);
    assert_eq!(nothing.map(drop), Err(Refusal::Invalid { reason: Invalid::Keys }));
    // The statement key's pin as the TLS key's too: one key, one use.
    let both =
        RotatePrincipal { tls_key: Some(crate::asks::key(62).public.digest()), ..rotate(62, "office-1") };
    assert_eq!(
        log.propose("office-1", Operation::PrincipalRotate, &both).map(drop),
        conflict(Conflict::KeyTaken)
    );
    let own_statement = RotatePrincipal {
        tls_key: Some(crate::asks::key(101).public.digest()),
        statement_key: None,
        ..rotate(62, "office-1")
    };
    let own_statement = log.propose("office-1", Operation::PrincipalRotate, &own_statement);
    assert_eq!(own_statement.map(drop), conflict(Conflict::KeyTaken));
}

#[test]
fn an_officers_new_key_counts_after_a_day_and_the_old_one_not_any_more() {
    let mut log = log();
    let act = log.agree("officer-3", Operation::PrincipalRotate, &rotate(63, "officer-3"), &THREE).unwrap();
    after_a_day(&mut log, act).unwrap();
    let id = log.propose("officer-1", Operation::KeyRetire, &crate::asks::retire("value-1", 1)).unwrap();
    let not = Err(Refusal::ApprovalInvalid { reason: Uncounted::NotAnOfficer });
    assert_eq!(log.vote("officer-3", &id, Verdict::Approve), not);
    let bytes = log.bytes(&id);
    let new = crate::people::Person { name: name("officer-3"), key: crate::asks::key(63) };
    let approval = log.site.approval(&new, &bytes, Verdict::Approve);
    log.put_vote(&id, Verdict::Approve, approval).unwrap();
}

#[test]
fn one_officer_alone_disables_one_other_and_two_people_the_next() {
    let mut log = log();
    let too_few = Err(Refusal::ApprovalInvalid { reason: Uncounted::TooFew });
    log.alone("officer-1", Operation::PrincipalDisable, &disable("officer-5")).unwrap();
    // Else one of them could lock all but one other out, and refuse to let them in again.
    assert_eq!(log.alone("officer-1", Operation::PrincipalDisable, &disable("officer-4")), too_few);
    assert_eq!(log.alone("officer-2", Operation::PrincipalDisable, &disable("officer-1")), too_few);
    log.alone("officer-1", Operation::PrincipalDisable, &disable("terminal-1")).unwrap();
    log.agree("officer-2", Operation::PrincipalDisable, &disable("officer-1"), &["officer-2", "officer-3"])
        .unwrap();
    assert!(log.control.roster().enabled(&name("officer-1")).is_err());
    assert_eq!(log.replayed(), log.control);
}

#[test]
fn one_officer_disables_anyone_but_the_last_two_officers() {
    let mut log = log_of(3);
    log.alone("officer-1", Operation::PrincipalDisable, &disable("terminal-1")).unwrap();
    assert_eq!(
        log.propose("terminal-1", Operation::ValueUpdate, &crate::people::load(1)).map(drop),
        conflict(Conflict::Disabled)
    );
    log.alone("officer-1", Operation::PrincipalDisable, &disable("officer-3")).unwrap();
    assert_eq!(
        log.propose("officer-1", Operation::PrincipalDisable, &disable("officer-2")).map(drop),
        conflict(Conflict::TooFewOfficers)
    );
    assert_eq!(
        log.alone("officer-3", Operation::PrincipalDisable, &disable("officer-1")),
        conflict(Conflict::Disabled)
    );
    // Two bring the third back, after a day.
    let act = log.agree("officer-1", Operation::PrincipalEnable, &enable("officer-3"), &TWO).unwrap();
    after_a_day(&mut log, act).unwrap();
    assert!(log.control.roster().enabled(&name("officer-3")).is_ok());
    assert_eq!(log.replayed(), log.control);
}

#[test]
fn disabling_a_machine_kills_what_it_asked_for_and_disabling_an_officer_every_proposal() {
    let mut log = log();
    let load = log.propose("terminal-1", Operation::ValueUpdate, &crate::people::load(1)).unwrap();
    let retire = log.propose("officer-1", Operation::KeyRetire, &crate::asks::retire("value-1", 1)).unwrap();
    log.approve(&TWO, &load);
    log.approve(&TWO, &retire);
    log.alone("officer-1", Operation::PrincipalDisable, &disable("terminal-1")).unwrap();
    assert_eq!(log.act(&load), conflict(Conflict::Disabled));
    log.alone("officer-1", Operation::PrincipalDisable, &disable("officer-5")).unwrap();
    let other = Err(Refusal::ApprovalInvalid { reason: Uncounted::OtherRoster });
    assert_eq!(log.act(&retire), other);
    assert_eq!(log.vote("officer-3", &retire, Verdict::Approve), other);
    log.cancel("officer-2", &retire).unwrap();
}

#[test]
fn a_threshold_raises_what_an_operation_takes_and_never_goes_below_its_floor() {
    let mut log = log();
    let set = |operation, need| threshold(operation, need);
    let invalid = Err(Refusal::Invalid { reason: Invalid::Need });
    for (operation, need) in [
        (Operation::QuorumSet, need(2)),
        (Operation::KeyActivate, Need { persons: 1, ..need(2) }),
        (Operation::KeyActivate, need(6)),
        (Operation::KeyActivate, Need { departments: 4, persons: 5, ..need(2) }),
        (Operation::KeySuspend, need(2)),
        (Operation::ValueUpdate, need(2)),
    ] {
        assert_eq!(log.propose("officer-1", Operation::QuorumSet, &set(operation, need)).map(drop), invalid);
    }
    let four = set(Operation::FreezeLift, need(4));
    let act = log.agree("officer-1", Operation::QuorumSet, &four, &THREE).unwrap();
    assert!(log.control.roster().thresholds().is_empty());
    let before = log.control.roster().digest();
    after_a_day(&mut log, act).unwrap();
    assert_ne!(log.control.roster().digest(), before);
    log.alone("officer-1", Operation::FreezeSet, &crate::asks::freeze(Scope::All)).unwrap();
    let too_few = Err(Refusal::ApprovalInvalid { reason: Uncounted::TooFew });
    assert_eq!(log.agree("officer-1", Operation::FreezeLift, &lift(Scope::All), &THREE), too_few);
    let all = ["officer-1", "officer-2", "officer-3", "officer-4"];
    log.agree("officer-2", Operation::FreezeLift, &lift(Scope::All), &all).unwrap();
    // The floor's own need lifts what was set.
    let act =
        log.agree("officer-1", Operation::QuorumSet, &set(Operation::FreezeLift, need(2)), &THREE).unwrap();
    after_a_day(&mut log, act).unwrap();
    assert!(log.control.roster().thresholds().is_empty());
    assert_eq!(log.replayed(), log.control);
}

#[test]
fn no_officer_alone_can_make_it_impossible_to_enable_the_others() {
    let mut log = log();
    let act = log
        .agree("officer-1", Operation::QuorumSet, &threshold(Operation::PrincipalEnable, need(4)), &THREE)
        .unwrap();
    after_a_day(&mut log, act).unwrap();
    log.alone("officer-1", Operation::PrincipalDisable, &disable("officer-5")).unwrap();
    assert_eq!(
        log.propose("officer-1", Operation::PrincipalDisable, &disable("officer-4")).map(drop),
        conflict(Conflict::TooFewOfficers)
    );
    let four = ["officer-1", "officer-2", "officer-3", "officer-4"];
    let act = log.agree("officer-1", Operation::PrincipalEnable, &enable("officer-5"), &four).unwrap();
    after_a_day(&mut log, act).unwrap();
    // Nor is a threshold set that the enabled ones could not meet.
    log.alone("officer-1", Operation::PrincipalDisable, &disable("officer-5")).unwrap();
    let five = threshold(Operation::PrincipalEnable, need(5));
    let five = log.propose("officer-1", Operation::QuorumSet, &five);
    assert_eq!(five.map(drop), Err(Refusal::Invalid { reason: Invalid::Need }));
}

#[test]
fn what_an_officer_or_a_machine_may_not_be() {
    let mut log = log();
    let mut capable = enrol(50, "officer-6", PrincipalKind::Officer, "department-1");
    capable.principal.capabilities = vec![name("anything")].try_into().unwrap();
    let capable = log.propose("officer-1", Operation::PrincipalEnrol, &capable);
    assert_eq!(capable.map(drop), Err(Refusal::Invalid { reason: Invalid::Keys }));
    for machine in ["terminal-1", "office-1", "platform-1"] {
        let request = enrol(50, "terminal-2", PrincipalKind::Terminal, "acme");
        assert_eq!(
            log.propose(machine, Operation::PrincipalEnrol, &request).map(drop),
            Err(Refusal::Forbidden)
        );
        let disabled = log.alone(machine, Operation::PrincipalDisable, &disable("officer-1"));
        assert_eq!(disabled, Err(Refusal::Forbidden));
    }
    let unknown = log.alone("officer-1", Operation::PrincipalDisable, &disable("nobody"));
    assert_eq!(unknown, Err(Refusal::NotFound { what: Thing::Principal }));
    let alone = log.alone("officer-1", Operation::PrincipalEnable, &enable("officer-2"));
    assert_eq!(alone, Err(Refusal::ApprovalInvalid { reason: Uncounted::TooFew }));
    let unsaid = log.alone("officer-1", Operation::KeyActivate, &activate("value-1", 1));
    assert_eq!(unsaid, Err(Refusal::ApprovalInvalid { reason: Uncounted::TooFew }));
}
