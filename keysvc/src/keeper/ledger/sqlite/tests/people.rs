//! What takes people, in the store: proposals, votes, acts, freezes, delays, and a start that believes no row.

use super::super::ground::{
    Ask, CARD, NOW_MS, Store, folder, moment,
    people::{DESTROY_DELAY_MS, ROSTER_DELAY_MS, Request, by_quorum, id},
    request, seals, touches, update, update_in,
};
use crate::keeper::ledger::{
    change::{Change, Outcome, Retry, Touches},
    fault::LedgerFault,
    sqlite::database,
};
use keysvc_protocol::{
    bytes::{Boot, Idem},
    cbor,
    control::Moment,
    freeze::{Scope, ScopeKind},
    key::KeyState,
    leaf::{LeafKind, ProposalClosedLeaf, RefusedLeaf},
    proposal::{ProposalEnd, ProposalState},
    quorum::Verdict,
    refusal::{Conflict, Refusal, Thing, Uncounted},
    request::{Operation, UpdateValue, ValueOperation::Load},
    schema::Schema,
};
use rusqlite::Connection;
use tempfile::TempDir;

const AT: fn(u64) -> Moment = moment;

/// A load by terminal 1 that goes by its signed request, as the service would make it.
fn signed_load(store: &Store, number: u8, seq: u64) -> (Request, Change) {
    let value = UpdateValue {
        txn: Idem::new([number; 16]),
        ..request(&Ask(Load, 100, seq, (seq - 1) * 100), CARD.parse().unwrap())
    };
    let asked = store.asked("terminal-1", Operation::ValueUpdate, number, &value);
    let mut change = update(0, &Ask(Load, 1, 1, 0));
    if let Change::UpdateValue { retry, request, statement, .. } = &mut change {
        (*retry, *request) = (asked.retry.clone(), value);
        *statement = asked.proposed.statement.clone();
    }
    (asked, change)
}

fn frozen(scope: ScopeKind) -> Refusal {
    Refusal::Frozen { scope }
}

fn state(store: &Store, number: u8) -> ProposalState {
    store.reader.proposal(&id(number)).unwrap().unwrap().state
}

fn key_state(store: &Store, name: &str) -> KeyState {
    store.reader.keys().unwrap().into_iter().find(|key| key.name.as_str() == name).unwrap().state
}

fn reopened(store: Store, folder: &TempDir) -> Store {
    let before = store.reader.control().unwrap();
    drop(store);
    let store = Store::open(folder, seals());
    store.restored.clone().unwrap();
    let after = store.reader.control().unwrap();
    assert_eq!(before.digest(), after.digest());
    assert_eq!((before.clock(), before.freezes()), (after.clock(), after.freezes()));
    assert_eq!(before.proposals().open().collect::<Vec<_>>(), after.proposals().open().collect::<Vec<_>>());
    assert!(before.waiting().eq(after.waiting()));
    store
}

#[test]
fn an_act_by_quorum_holds_its_evidence_and_takes_the_place_of_its_proposal_for_repetitions() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let retire = store.key_event("anna", Operation::KeyRetire, 1, ("value", 1));
    let made = store.made(&retire.propose(1), AT(NOW_MS));
    let again = store.made(&retire.propose(2), AT(NOW_MS));
    assert!(again.retried && again.index == made.index && made.kind == LeafKind::ProposalMade);
    for officer in ["boris", "clara"] {
        let vote = store.vote(officer, 1, Verdict::Approve);
        store.made(&vote, AT(NOW_MS));
    }
    let mut store = reopened(store, &folder);
    let evidence = store.evidence(1);
    let act = store.made(&retire.by_quorum(&evidence), AT(NOW_MS));
    assert_eq!(act.kind, LeafKind::ActByQuorum);
    assert_eq!(act.act().unwrap().0, LeafKind::SiteChanged);
    assert_eq!(act.evidence_of_quorum(), Some(evidence.clone()));
    assert_eq!(key_state(&store, "value"), KeyState::Deactivated);
    assert_eq!(state(&store, 1), ProposalState::Executed { leaf: act.index });
    let mut store = reopened(store, &folder);
    for repeated in [retire.by_quorum(&evidence), retire.propose(3), retire.alter()] {
        let leaf = store.made(&repeated, AT(NOW_MS));
        assert!(leaf.retried && leaf.index == act.index, "{repeated:?}");
    }
    let on_record = store.reader.proposal(&id(1)).unwrap().unwrap();
    assert_eq!(on_record.act.map(|act| act.index), Some(act.index));
    assert_eq!((on_record.approvals.len(), on_record.made.index), (2, made.index));
    assert_eq!(store.reader.proposals(None, false, 9).unwrap(), []);
    assert_eq!(store.reader.proposals(None, true, 9).unwrap().len(), 1);
}

#[test]
fn an_act_with_too_few_people_or_another_proposals_evidence_is_refused_on_record() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let retire = store.key_event("anna", Operation::KeyRetire, 1, ("value", 1));
    let alone = store.approved(&retire, 1, &["boris"], AT(NOW_MS));
    let refusal = store.not_made(&retire.by_quorum(&alone), AT(NOW_MS));
    assert_eq!(refusal, Refusal::ApprovalInvalid { reason: Uncounted::TooFew });
    let last = store.reader.head().size - 1;
    let leaf: RefusedLeaf = cbor::decode(&store.reader.leaf(last).unwrap().payload, 1 << 17).unwrap();
    assert_eq!((leaf.principal.as_str(), leaf.operation), ("anna", Operation::KeyRetire));
    let other = store.key_event("anna", Operation::KeyRetire, 2, ("b", 1));
    let evidence = store.approved(&other, 2, &["boris", "clara"], AT(NOW_MS));
    let refusal = store.not_made(&retire.by_quorum(&evidence), AT(NOW_MS));
    assert_eq!(refusal, Refusal::ApprovalInvalid { reason: Uncounted::OtherProposal });
    let never = store.key_event("anna", Operation::KeyRetire, 9, ("b", 1));
    let refusal = store.not_made(&never.by_quorum(&evidence), AT(NOW_MS));
    assert_eq!(refusal, Refusal::NotFound { what: Thing::Proposal });
    let alone = store.not_made(&never.alter(), AT(NOW_MS));
    assert_eq!(alone, Refusal::ApprovalInvalid { reason: Uncounted::TooFew });
    // Asked without its evidence, a request that takes people is not done.
    let open = store.not_made(&retire.alter(), AT(NOW_MS));
    assert_eq!(open, Refusal::StateConflict { reason: Conflict::ProposalOpen });
    assert_eq!(key_state(&store, "value"), KeyState::Active);
    reopened(store, &folder);
}

#[test]
fn one_request_under_the_key_of_another_operation_with_the_same_bytes_is_a_conflict() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let suspend = store.key_event("anna", Operation::KeySuspend, 1, ("value", 1));
    store.made(&suspend.alter(), AT(NOW_MS));
    let activate = store.key_event("anna", Operation::KeyActivate, 1, ("value", 1));
    assert_eq!(activate.retry, suspend.retry);
    assert_eq!(store.not_made(&activate.propose(1), AT(NOW_MS)), Refusal::IdemConflict);
}

#[test]
fn a_vote_counts_for_its_signer_alone_and_once() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let retire = store.key_event("anna", Operation::KeyRetire, 1, ("value", 1));
    store.made(&retire.propose(1), AT(NOW_MS));
    let borrowed = store.vote_of("clara", "boris", 1, Verdict::Approve);
    let other = Refusal::ApprovalInvalid { reason: Uncounted::OtherCaller };
    assert_eq!(store.not_made(&borrowed, AT(NOW_MS)), other);
    let vote = store.vote("boris", 1, Verdict::Approve);
    let first = store.made(&vote, AT(NOW_MS));
    let fresh = store.vote("boris", 1, Verdict::Approve);
    for again in [&vote, &fresh] {
        let leaf = store.made(again, AT(NOW_MS));
        assert!(leaf.retried && leaf.index == first.index);
    }
    let reject = store.vote("boris", 1, Verdict::Reject);
    let rejected = store.made(&reject, AT(NOW_MS));
    assert_eq!(state(&store, 1), ProposalState::Rejected { by: "boris".parse().unwrap() });
    let late = store.vote("clara", 1, Verdict::Approve);
    let ended = Refusal::StateConflict { reason: Conflict::ProposalEnded };
    assert_eq!(store.not_made(&late, AT(NOW_MS)), ended);
    let mut store = reopened(store, &folder);
    assert_eq!(store.not_made(&late, AT(NOW_MS)), ended);
    let again = store.made(&reject, AT(NOW_MS));
    assert!(again.retried && again.index == rejected.index);
    assert!(store.made(&retire.propose(2), AT(NOW_MS)).retried);
    let other = store.key_event("anna", Operation::KeyRetire, 2, ("value", 1));
    assert_eq!(store.not_made(&other.propose(1), AT(NOW_MS)), ended, "an identifier serves once");
}

#[test]
fn a_frozen_purse_is_neither_updated_nor_answered_again() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let load = update(1, &Ask(Load, 500, 1, 0));
    store.recorded(&load);
    let programme = || Scope::Programme { name: "coffee".parse().unwrap() };
    let freeze = store.freeze("anna", 1, programme());
    let set = store.made(&freeze.alter(), AT(NOW_MS));
    assert_eq!(set.kind, LeafKind::FreezeChanged);
    assert_eq!(store.not_made(&load, AT(NOW_MS)), frozen(ScopeKind::Programme));
    let mut store = reopened(store, &folder);
    assert_eq!(store.not_made(&update(2, &Ask(Load, 1, 2, 500)), AT(NOW_MS)), frozen(ScopeKind::Programme));
    let lift = store.lift("anna", 2, programme());
    let evidence = store.approved(&lift, 1, &["anna", "boris"], AT(NOW_MS));
    let act = store.made(&lift.by_quorum(&evidence), AT(NOW_MS));
    assert_eq!(act.kind, LeafKind::SealedActByQuorum);
    assert!(store.made(&load, AT(NOW_MS)).retried);
    let mut store = reopened(store, &folder);
    store.made(&update(2, &Ask(Load, 1, 2, 500)), AT(NOW_MS));
}

#[test]
fn a_value_update_by_quorum_is_signed_with_its_evidence_and_the_purse_goes_on_from_it() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let (asked, change) = signed_load(&store, 1, 1);
    let evidence = store.approved(&asked, 1, &["anna", "boris"], AT(NOW_MS));
    let act = store.made(&by_quorum(change.clone(), &evidence), AT(NOW_MS));
    let (kind, payload) = act.act().unwrap();
    assert_eq!((act.kind, kind), (LeafKind::SealedActByQuorum, LeafKind::ValueUpdated));
    let inner = crate::keeper::ledger::Recording { payload, ..act.clone() };
    let signed = update_in(&inner);
    assert_eq!(signed.evidence, Some(evidence.digest()));
    let purse = store.reader.purse(&"coffee".parse().unwrap(), &CARD.parse().unwrap(), 1).unwrap().unwrap();
    assert_eq!((purse.seq, purse.balance, purse.leaf), (1, 100, act.index));
    assert!(store.made(&change, AT(NOW_MS)).retried);
    // The next one follows, and a freeze stops the repetition of the first.
    let mut store = reopened(store, &folder);
    let (_, next) = signed_load(&store, 2, 2);
    let next = store.made(&next, AT(NOW_MS));
    assert_eq!(update_in(&next).previous, purse.link);
    let all = store.freeze("anna", 3, Scope::All);
    store.made(&all.alter(), AT(NOW_MS));
    assert_eq!(store.not_made(&by_quorum(change, &evidence), AT(NOW_MS)), frozen(ScopeKind::All));
}

#[test]
fn a_disabled_caller_changes_nothing_and_a_key_that_is_suspended_signs_nothing() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let load = update(1, &Ask(Load, 500, 1, 0));
    let suspend = store.key_event("anna", Operation::KeySuspend, 1, ("value", 1));
    store.made(&suspend.alter(), AT(NOW_MS));
    let suspended = Conflict::KeyState { state: KeyState::Suspended };
    assert_eq!(store.not_made(&load, AT(NOW_MS)), Refusal::StateConflict { reason: suspended });
    assert_eq!(key_state(&store, "value"), KeyState::Suspended);
    let disable = store.disable("anna", 2, "terminal-1");
    let leaf = store.made(&disable.alter(), AT(NOW_MS));
    assert_eq!(store.not_made(&load, AT(NOW_MS)), Refusal::StateConflict { reason: Conflict::Disabled });
    assert_eq!(store.reader.roster_leaves().unwrap(), [leaf.index]);
    reopened(store, &folder);
}

#[test]
fn what_waits_takes_effect_when_both_clocks_have_run_and_not_before() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    store.made(&Change::Heartbeat, AT(NOW_MS));
    let threshold = store.threshold("anna", 1, Operation::KeyRetire, 3);
    let evidence = store.approved(&threshold, 1, &["anna", "boris", "clara"], AT(NOW_MS));
    let act = store.made(&threshold.by_quorum(&evidence), AT(NOW_MS));
    let due_ms = NOW_MS + ROSTER_DELAY_MS;
    assert_eq!(state(&store, 1), ProposalState::Waiting { leaf: act.index, due_ms });
    assert_eq!(store.reader.proposals(None, false, 9).unwrap().len(), 1);
    assert!(store.reader.roster_leaves().unwrap().is_empty());
    let effect = Change::TookEffect { act: act.index };
    let waits = Refusal::StateConflict { reason: Conflict::Waiting };
    let size = store.reader.head().size;
    assert_eq!(store.not_made(&effect, AT(due_ms - 1)), waits);
    // The wall clock was set on by less than counts as disputed: the boot has not run.
    let set_on = Moment { up_ms: NOW_MS + 1, ..AT(due_ms) };
    assert_eq!(store.not_made(&effect, set_on), waits);
    // Another boot: nothing of it was witnessed before.
    let rebooted = Moment { boot: Boot::new([9; 16]), ..AT(due_ms + 1) };
    assert_eq!(store.not_made(&effect, rebooted), waits);
    assert_eq!(store.reader.head().size, size, "nobody asked, so nothing is recorded");
    let mut store = reopened(store, &folder);
    let took = store.made(&effect, AT(due_ms));
    assert_eq!(state(&store, 1), ProposalState::Executed { leaf: act.index });
    assert_eq!(store.reader.roster_leaves().unwrap(), [act.index, took.index]);
    let control = store.reader.control().unwrap();
    assert_eq!(control.least_need(Operation::KeyRetire, None).map(|need| need.persons), Some(3));
    reopened(store, &folder);
}

#[test]
fn while_the_ledger_is_halted_nothing_that_waits_takes_effect_and_nobody_votes() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let threshold = store.threshold("anna", 1, Operation::KeyRetire, 3);
    let evidence = store.approved(&threshold, 1, &["anna", "boris", "clara"], AT(NOW_MS));
    let act = store.made(&threshold.by_quorum(&evidence), AT(NOW_MS));
    let retire = store.key_event("anna", Operation::KeyRetire, 2, ("value", 1));
    store.made(&retire.propose(2), AT(NOW_MS));
    store.recorded(&super::rollback());
    let due = AT(NOW_MS + ROSTER_DELAY_MS);
    let vote = store.vote("boris", 2, Verdict::Approve);
    for change in [Change::TookEffect { act: act.index }, vote, retire.alter(), store.cancel("anna", 3, 1)] {
        assert_eq!(store.not_made(&change, due), Refusal::HistoryRolledBack, "{change:?}");
    }
    store.made(&Change::Heartbeat, due);
    reopened(store, &folder);
}

#[test]
fn a_destruction_is_cancelled_while_it_waits_and_another_comes_to_its_end() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let retire = store.key_event("anna", Operation::KeyRetire, 1, ("b", 1));
    let evidence = store.approved(&retire, 1, &["anna", "boris"], AT(NOW_MS));
    store.made(&retire.by_quorum(&evidence), AT(NOW_MS));
    let destroy = store.key_event("anna", Operation::KeyDestroy, 2, ("b", 1));
    let evidence = store.approved(&destroy, 2, &["anna", "boris", "clara"], AT(NOW_MS));
    let act = store.made(&destroy.by_quorum(&evidence), AT(NOW_MS));
    let cancel = store.cancel("clara", 3, 2);
    let closed = store.made(&cancel, AT(NOW_MS));
    assert_eq!(state(&store, 2), ProposalState::Cancelled { by: "clara".parse().unwrap() });
    let mut store = reopened(store, &folder);
    for again in [cancel, store.cancel("anna", 4, 2)] {
        let leaf = store.made(&again, AT(NOW_MS));
        assert!(leaf.retried && leaf.index == closed.index);
    }
    let effect = store.not_made(&Change::TookEffect { act: act.index }, AT(NOW_MS + DESTROY_DELAY_MS));
    assert_eq!(effect, Refusal::StateConflict { reason: Conflict::Precondition });
    let destroy = store.key_event("anna", Operation::KeyDestroy, 5, ("b", 1));
    let evidence = store.approved(&destroy, 3, &["anna", "boris", "clara"], AT(NOW_MS + DESTROY_DELAY_MS));
    let act = store.made(&destroy.by_quorum(&evidence), AT(NOW_MS + DESTROY_DELAY_MS));
    let took = store.made(&Change::TookEffect { act: act.index }, AT(NOW_MS + 2 * DESTROY_DELAY_MS));
    assert_eq!(key_state(&store, "b"), KeyState::Destroyed);
    let control = store.reader.control().unwrap();
    let (name, version, key) = control.keys().destroying().next().unwrap();
    let gone = keysvc_protocol::leaf::KeyDestroyedLeaf {
        schema: Schema,
        intent: took.index,
        name: name.clone(),
        version,
        id: key.id,
    };
    let mut store = reopened(store, &folder);
    store.made(&Change::KeyDestroyed(gone.clone()), AT(NOW_MS));
    assert_eq!(store.reader.control().unwrap().keys().destroying().count(), 0);
    assert!(matches!(store.at(&Change::KeyDestroyed(gone), AT(NOW_MS)), Outcome::Refused(_)));
    reopened(store, &folder);
}

#[test]
fn the_service_ends_what_has_expired_and_what_failed_and_nothing_else() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let retire = store.key_event("anna", Operation::KeyRetire, 1, ("value", 1));
    store.made(&retire.propose(1), AT(NOW_MS));
    let close =
        |number, end| Change::CloseProposal(ProposalClosedLeaf { schema: Schema, proposal: id(number), end });
    let size = store.reader.head().size;
    assert!(matches!(store.at(&close(1, ProposalEnd::Expired), AT(NOW_MS)), Outcome::Refused(_)));
    assert!(matches!(store.at(&close(2, ProposalEnd::Expired), AT(NOW_MS)), Outcome::Refused(_)));
    assert_eq!(store.reader.head().size, size);
    store.made(&close(1, ProposalEnd::Expired), AT(NOW_MS + 3_600_001));
    assert_eq!(state(&store, 1), ProposalState::Expired);
    let ended = store.not_made(&retire.alter(), AT(NOW_MS));
    assert_eq!(ended, Refusal::StateConflict { reason: Conflict::ProposalEnded });
    let second = store.key_event("anna", Operation::KeyRetire, 2, ("b", 1));
    store.made(&second.propose(2), AT(NOW_MS));
    store.made(&close(2, ProposalEnd::Failed { refusal: Refusal::Forbidden }), AT(NOW_MS));
    assert_eq!(state(&store, 2), ProposalState::Failed { refusal: Refusal::Forbidden });
    reopened(store, &folder);
}

#[test]
fn a_start_finds_what_stood_although_what_earlier_heartbeats_saw_open_has_ended() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let retire = store.key_event("anna", Operation::KeyRetire, 1, ("value", 1));
    store.approved(&retire, 1, &["boris"], AT(NOW_MS));
    store.made(&Change::Heartbeat, AT(NOW_MS));
    let reject = store.vote("anna", 1, Verdict::Reject);
    store.made(&reject, AT(NOW_MS));
    let again = store.key_event("anna", Operation::KeyRetire, 2, ("value", 1));
    store.approved(&again, 2, &["clara"], AT(NOW_MS));
    store.made(&Change::Heartbeat, AT(NOW_MS));
    let stood = store.reader.control().unwrap();
    let reopened = reopened(store, &folder);
    assert_eq!(reopened.reader.control().unwrap().digest(), stood.digest());
    assert_eq!(reopened.reader.control().unwrap().proposals().open().count(), 1);
}

/// A store with a freeze, a heartbeat and an open proposal with one vote after it.
fn lived_in() -> TempDir {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let freeze = store.freeze("anna", 1, Scope::All);
    store.made(&freeze.alter(), AT(NOW_MS));
    store.made(&Change::Heartbeat, AT(NOW_MS));
    let retire = store.key_event("anna", Operation::KeyRetire, 2, ("value", 1));
    store.approved(&retire, 1, &["boris"], AT(NOW_MS));
    let disable = store.disable("anna", 3, "terminal-2");
    store.made(&disable.alter(), AT(NOW_MS));
    reopened(store, &folder);
    folder
}

#[test]
fn a_start_believes_no_row_that_the_log_does_not_bear_out() {
    for (sql, told) in [
        ("DELETE FROM control WHERE leaf = 1", "leaf 2 "),
        ("DELETE FROM control WHERE leaf = 2", "leaf 2 "),
        ("DELETE FROM control WHERE leaf = 5", "leaf 5 "),
        ("DELETE FROM control", "leaf 1 "),
        ("INSERT INTO control VALUES (3, 0)", "leaf 3 "),
        ("INSERT INTO control VALUES (99, 0)", "leaf 99 "),
        ("UPDATE vote SET officer = 'clara'", "table vote "),
        ("INSERT INTO vote SELECT 9, proposal, 'clara' FROM vote", "table vote "),
        ("DELETE FROM vote", "table vote "),
        ("DELETE FROM proposal", "table proposal "),
        ("UPDATE proposal SET made = 1", "table proposal "),
        ("UPDATE leaf SET entry = (SELECT entry FROM leaf WHERE idx = 2) WHERE idx = 1", "leaf 1 "),
        ("UPDATE leaf SET salt = zeroblob(16) WHERE idx = 4", "leaf 4 "),
    ] {
        let folder = lived_in();
        let connection = Connection::open(database(folder.path())).unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        let store = Store::open(&folder, seals());
        let fault = store.restored.clone().map_err(|fault| fault.to_string()).unwrap_err();
        assert!(fault.contains(told), "{sql}: {fault}");
        assert!(store.reader.control().is_none());
    }
}

#[test]
fn a_proposal_that_ended_is_not_opened_again_by_its_row() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let retire = store.key_event("anna", Operation::KeyRetire, 1, ("value", 1));
    store.approved(&retire, 1, &["boris", "clara"], AT(NOW_MS));
    let reject = store.vote("anna", 1, Verdict::Reject);
    store.made(&reject, AT(NOW_MS));
    store.made(&Change::Heartbeat, AT(NOW_MS));
    drop(store);
    let connection = Connection::open(database(folder.path())).unwrap();
    let open = cbor::encode(&ProposalState::Open);
    connection.execute("UPDATE proposal SET state = ?1, ended = 0, closed = NULL", [open]).unwrap();
    connection.execute_batch("DELETE FROM vote WHERE officer = 'anna'").unwrap();
    drop(connection);
    let fault = Store::open(&folder, seals()).restored.unwrap_err();
    assert!(matches!(fault, LedgerFault::OtherControl { .. }), "{fault}");
}

#[test]
fn the_writer_makes_a_heartbeat_where_nobody_does_so_that_a_start_has_few_leaves_to_look_through() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    store.sqlite.state.beat_every = 10;
    for _ in 0..4 {
        store.apply(&[super::start(), super::start(), super::start(), super::start()], NOW_MS);
    }
    let beats: Vec<_> = (0..store.reader.head().size)
        .filter(|leaf| store.reader.leaf(*leaf).unwrap().kind == LeafKind::Heartbeat)
        .collect();
    assert_eq!(beats, [13]);
    let store = reopened(store, &folder);
    assert_eq!(store.sqlite.state.beat, 13);
}

#[test]
fn before_it_is_restored_nothing_that_takes_people_or_touches_value_is_written() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    store.sqlite.state.control.store(None);
    let size = store.reader.head().size;
    for change in [update(1, &Ask(Load, 500, 1, 0)), Change::Heartbeat, Change::TookEffect { act: 1 }] {
        assert!(matches!(store.one(&change, NOW_MS), Err(LedgerFault::NoControl)));
    }
    assert_eq!(store.reader.head().size, size);
}

#[test]
fn without_a_data_key_a_proposal_leaves_no_trace_in_the_state() {
    let folder = folder();
    let mut store = Store::open(&folder, crate::keeper::ledger::seal::Seals::default());
    store.recorded(&Change::Founding { leaf: super::founding() });
    let retire = store.key_event("anna", Operation::KeyRetire, 1, ("value", 1));
    let outcome = store.one(&retire.propose(1), NOW_MS);
    assert!(matches!(outcome, Err(LedgerFault::NoSeal)), "{outcome:?}");
    assert_eq!(store.reader.control().unwrap().proposals().open().count(), 0);
}

#[test]
fn a_start_reads_a_retry_of_a_request_by_its_own_key_and_card() {
    // The touches of a change are no part of what makes it the same request.
    let folder = folder();
    let mut store = Store::founded(&folder);
    let mut load = update(1, &Ask(Load, 500, 1, 0));
    store.recorded(&load);
    if let Change::UpdateValue { touches: other, retry: Retry { .. }, .. } = &mut load {
        *other = Touches { store: Some("store-1".parse().unwrap()), ..touches() };
    }
    assert!(store.recorded(&load).retried);
    let store_frozen = store.freeze("anna", 1, Scope::Store { name: "store-1".parse().unwrap() });
    store.made(&store_frozen.alter(), AT(NOW_MS));
    assert_eq!(store.not_made(&load, AT(NOW_MS)), frozen(ScopeKind::Store));
}
