//! Proposals: made, voted on, executed, ended.

use crate::{
    asks::{activate, destroy, enrol, freeze, key, lift, log, retire, suspend},
    people::{DAY_MS, HOUR_MS, Log, Person, load, name, need},
};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor,
    control::{At, Draft, bytes_of},
    founding::PrincipalKind,
    freeze::Scope,
    leaf::{ActByQuorumLeaf, ChangedLeaf, LeafKind, ProposalMadeLeaf},
    list::List,
    proposal::{LIFE_MAX_MS, OPEN_EACH_MAX, OPEN_MAX, OPEN_OFFICERS_MIN, Proposal, ProposalEnd, Proposed},
    quorum::{Need, Verdict},
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    request::Operation,
    schema::Schema,
    value::ValueUpdate,
};
use serde::Serialize;

const TWO: [&str; 2] = ["officer-1", "officer-2"];

fn conflict<T>(reason: Conflict) -> Result<T, Refusal> {
    Err(Refusal::StateConflict { reason })
}

fn uncounted<T>(reason: Uncounted) -> Result<T, Refusal> {
    Err(Refusal::ApprovalInvalid { reason })
}

/// A log with a proposal to take a key out of use.
fn open() -> (Log, keysvc_protocol::bytes::ProposalId) {
    let mut log = log();
    let id = log.propose("officer-1", Operation::KeyRetire, &retire("value-1", 1)).unwrap();
    (log, id)
}

#[test]
fn two_officers_carry_a_proposal_and_it_serves_once() {
    let (mut log, id) = open();
    assert_eq!(log.act(&id), uncounted(Uncounted::TooFew));
    // The requester's own request is no approval.
    log.vote("officer-2", &id, Verdict::Approve).unwrap();
    assert_eq!(log.act(&id), uncounted(Uncounted::TooFew));
    assert!(!log.control.counted(&id).unwrap().1);
    log.vote("officer-1", &id, Verdict::Approve).unwrap();
    let (quorum, met) = log.control.counted(&id).unwrap();
    assert_eq!((quorum.persons(), met), (2, true));
    let evidence = log.control.open_proposal(&id).unwrap().evidence();
    log.act(&id).unwrap();
    let (kind, leaf) = log.act_of(evidence);
    assert_eq!(log.put(kind, &leaf), conflict(Conflict::ProposalEnded));
    assert!(log.control.proposals().was_used(&id));
    assert_eq!(log.vote("officer-3", &id, Verdict::Approve), conflict(Conflict::ProposalEnded));
    assert_eq!(log.cancel("officer-1", &id), conflict(Conflict::ProposalEnded));
    assert_eq!(log.replayed(), log.control);
}

#[test]
fn the_same_officer_twice_is_told_and_changes_nothing() {
    let (mut log, id) = open();
    log.vote("officer-2", &id, Verdict::Approve).unwrap();
    assert_eq!(log.vote("officer-2", &id, Verdict::Approve), Err(Refusal::SamePerson));
    let evidence = log.control.open_proposal(&id).unwrap().evidence();
    let one = evidence.approvals[0].clone();
    let twice = keysvc_protocol::proposal::Evidence {
        approvals: List::try_from(vec![one.clone(), one]).unwrap(),
        ..evidence
    };
    let (kind, leaf) = log.act_of(twice);
    assert_eq!(log.put(kind, &leaf), Err(Refusal::SamePerson));
}

#[test]
fn votes_of_machines_of_strangers_and_over_other_bytes_do_not_count() {
    let (mut log, id) = open();
    for machine in ["terminal-1", "office-1", "platform-1"] {
        assert_eq!(log.vote(machine, &id, Verdict::Approve), uncounted(Uncounted::NotAnOfficer));
    }
    let bytes = log.bytes(&id);
    let other =
        log.site.approval(log.site.person("officer-2"), &[&bytes[..], &[0]].concat(), Verdict::Approve);
    assert_eq!(log.put_vote(&id, Verdict::Approve, other), uncounted(Uncounted::OtherProposal));
    let rejected = log.site.approval(log.site.person("officer-2"), &bytes, Verdict::Reject);
    assert_eq!(log.put_vote(&id, Verdict::Approve, rejected), uncounted(Uncounted::OtherVerdict));
    let unknown = keysvc_protocol::bytes::ProposalId::new([0xee; 16]);
    let approval = log.site.approval(log.site.person("officer-2"), &bytes, Verdict::Approve);
    let unknown = log.put_vote(&unknown, Verdict::Approve, approval);
    assert_eq!(unknown, Err(Refusal::NotFound { what: Thing::Proposal }));
}

#[test]
fn one_reject_ends_a_proposal_even_by_who_has_approved_it() {
    let (mut log, id) = open();
    log.approve(&["officer-1", "officer-2"], &id);
    let evidence = log.control.open_proposal(&id).unwrap().evidence();
    log.vote("officer-2", &id, Verdict::Reject).unwrap();
    let (kind, leaf) = log.act_of(evidence);
    assert_eq!(log.put(kind, &leaf), conflict(Conflict::ProposalEnded));
}

#[test]
fn the_requester_or_any_officer_cancels_and_nobody_else() {
    let mut log = log();
    let id = log.propose("terminal-1", Operation::ValueUpdate, &load(100)).unwrap();
    assert_eq!(log.cancel("office-1", &id), Err(Refusal::Forbidden));
    let mine = log.propose("terminal-1", Operation::ValueUpdate, &load(200)).unwrap();
    log.approve(&TWO, &mine);
    log.cancel("terminal-1", &mine).unwrap();
    assert_eq!(log.act(&mine), conflict(Conflict::ProposalEnded));
    // A cancellation of one proposal is none of another.
    let statement = log.leaves.last().unwrap().payload.clone();
    let mut leaf: keysvc_protocol::leaf::ProposalClosedLeaf = cbor::decode(&statement, 4_096).unwrap();
    leaf.proposal = id;
    assert_eq!(log.put(LeafKind::ProposalClosed, &leaf), Err(Refusal::Invalid { reason: Invalid::Items }));
    log.cancel("officer-5", &id).unwrap();
}

#[test]
fn what_waits_is_cancelled_by_any_one_officer_until_it_takes_effect() {
    let mut log = log();
    log.agree("officer-1", Operation::KeyRetire, &retire("value-1", 1), &TWO).unwrap();
    let three = ["officer-1", "officer-2", "officer-3"];
    let id = log.propose("officer-1", Operation::KeyDestroy, &destroy("value-1", 1)).unwrap();
    log.approve(&three, &id);
    let act = log.act(&id).unwrap();
    assert_eq!(log.control.waiting_for(&id).unwrap().0, act);
    assert_eq!(log.end(&id, ProposalEnd::Expired), conflict(Conflict::ProposalEnded));
    log.cancel("officer-4", &id).unwrap();
    log.pass(8 * DAY_MS);
    assert_eq!(log.took_effect(act), conflict(Conflict::Precondition));
    assert_eq!(log.cancel("officer-4", &id), conflict(Conflict::ProposalEnded));
    assert_eq!(log.replayed(), log.control);
}

#[test]
fn what_cannot_take_effect_any_more_is_ended_as_failed() {
    let mut log = log();
    let three = ["officer-1", "officer-2", "officer-3"];
    let id =
        log.propose("officer-4", Operation::PrincipalRotate, &crate::asks::rotate(70, "officer-4")).unwrap();
    log.approve(&three, &id);
    let act = log.act(&id).unwrap();
    log.alone("officer-1", Operation::PrincipalDisable, &crate::asks::disable("officer-4")).unwrap();
    log.pass(DAY_MS);
    let refusal = log.took_effect(act).unwrap_err();
    assert_eq!(refusal, Refusal::StateConflict { reason: Conflict::Disabled });
    log.end(&id, ProposalEnd::Failed { refusal }).unwrap();
    assert_eq!(log.control.waiting().count(), 0);
}

#[test]
fn a_proposal_lives_three_days_at_most_and_expires_to_the_millisecond() {
    let mut log = log();
    let mut draft = log.draft("officer-1", Operation::KeyRetire, &retire("value-1", 1));
    draft.life_ms = u64::MAX;
    let proposal = log.control.draft(draft, log.now_ms).unwrap();
    assert_eq!(proposal.expires_ms - proposal.created_ms, LIFE_MAX_MS);
    let longer = Proposal { expires_ms: proposal.expires_ms + 1, ..proposal.clone() };
    assert_eq!(log.put_proposal(&longer).map(drop), Err(Refusal::Invalid { reason: Invalid::Time }));
    let id = log.put_proposal(&proposal).unwrap();
    log.approve(&TWO, &id);
    log.pass(LIFE_MAX_MS);
    assert_eq!(log.end(&id, ProposalEnd::Expired), Err(Refusal::Invalid { reason: Invalid::Time }));
    let at = log.clone();
    log.act(&id).unwrap();
    log = at;
    log.pass(1);
    assert_eq!(log.act(&id), Err(Refusal::Expired));
    assert_eq!(log.vote("officer-3", &id, Verdict::Approve), Err(Refusal::Expired));
    log.end(&id, ProposalEnd::Expired).unwrap();
    assert_eq!(log.act(&id), conflict(Conflict::ProposalEnded));
}

#[test]
fn a_proposal_that_says_something_else_than_stands_is_refused() {
    let mut log = log();
    log.heartbeat().unwrap();
    let draft = log.draft("officer-1", Operation::KeyDestroy, &destroy("value-1", 1));
    log.agree("officer-1", Operation::KeyRetire, &retire("value-1", 1), &TWO).unwrap();
    let good = log.control.draft(draft, log.now_ms).unwrap();
    let with = |change: &dyn Fn(&mut Proposal)| {
        let mut other = good.clone();
        change(&mut other);
        other
    };
    let time = Err(Refusal::Invalid { reason: Invalid::Time });
    for (other, refusal) in [
        (with(&|one| one.genesis = Digest::new([0; 32])), uncounted(Uncounted::OtherLog)),
        (with(&|one| one.policy = Digest::new([0; 32])), uncounted(Uncounted::OtherPolicy)),
        (with(&|one| one.roster = Digest::new([0; 32])), uncounted(Uncounted::OtherRoster)),
        (with(&|one| one.need = need(2)), uncounted(Uncounted::BelowFloor)),
        (with(&|one| one.need = Need { departments: 4, ..need(3) }), uncounted(Uncounted::BelowFloor)),
        (with(&|one| one.preconditions = List::default()), conflict(Conflict::Precondition)),
        (with(&|one| one.created_ms += 1), time.clone()),
        (with(&|one| one.expires_ms = one.created_ms - 1), time.clone()),
        (
            with(&|one| one.request.operation = Operation::KeyRetire),
            Err(Refusal::Invalid { reason: Invalid::Signature }),
        ),
        (
            with(&|one| one.request.requester = name("officer-2")),
            Err(Refusal::Invalid { reason: Invalid::Signature }),
        ),
        (
            with(&|one| one.request.requester = name("nobody")),
            Err(Refusal::NotFound { what: Thing::Principal }),
        ),
    ] {
        assert_eq!(log.put_proposal(&other).map(drop), refusal);
    }
    log.put_proposal(&good).unwrap();
    assert_eq!(log.put_proposal(&good).map(drop), conflict(Conflict::ProposalEnded));
}

#[test]
fn what_a_proposal_was_made_on_must_still_be_so() {
    let (mut log, id) = open();
    log.approve(&TWO, &id);
    log.alone("officer-3", Operation::KeySuspend, &suspend("value-1", 1)).unwrap();
    assert_eq!(log.act(&id), conflict(Conflict::Precondition));
    // As it was again, it may.
    log.agree("officer-1", Operation::KeyActivate, &activate("value-1", 1), &TWO).unwrap();
    log.act(&id).unwrap();
}

#[test]
fn an_act_is_what_was_asked_byte_for_byte() {
    let (mut log, id) = open();
    log.approve(&TWO, &id);
    let (kind, good) = log.act_of(log.control.open_proposal(&id).unwrap().evidence());
    let other = log.changed("officer-1", Operation::KeyRetire, &retire("master-1", 1));
    let by_other = log.changed("officer-2", Operation::KeyRetire, &retire("value-1", 1));
    let freezes = log.changed("officer-1", Operation::FreezeSet, &freeze(Scope::All));
    let act = |leaf: &ChangedLeaf| Blob::try_from(cbor::encode(leaf)).unwrap();
    for other in [other, by_other] {
        let leaf = ActByQuorumLeaf { act: act(&other), ..good.clone() };
        assert_eq!(log.put(kind, &leaf), uncounted(Uncounted::OtherProposal));
    }
    let encoding = Err(Refusal::Invalid { reason: Invalid::Encoding });
    let leaf = ActByQuorumLeaf { act: act(&freezes), ..good.clone() };
    assert_eq!(log.put(kind, &leaf), encoding);
    let leaf = ActByQuorumLeaf { kind: LeafKind::FreezeChanged, ..good.clone() };
    assert_eq!(log.put(kind, &leaf), encoding);
    assert_eq!(log.put(LeafKind::SealedActByQuorum, &good), encoding);
    for kind in [LeafKind::Founding, LeafKind::KeyIntent, LeafKind::ActByQuorum, LeafKind::TookEffect] {
        let leaf = ActByQuorumLeaf { kind, ..good.clone() };
        assert_eq!(log.put(kind.by_quorum(), &leaf), encoding);
    }
    log.put(kind, &good).unwrap();
}

#[test]
fn a_value_update_by_quorum_is_the_one_asked_for_and_names_its_evidence() {
    let mut log = log();
    let id = log.propose("terminal-1", Operation::ValueUpdate, &load(100)).unwrap();
    log.approve(&TWO, &id);
    let open = log.control.open_proposal(&id).unwrap().clone();
    let digest = open.evidence().digest();
    let request = open.proposal.request.clone();
    let (kind, good) = log.act_of(open.evidence());
    assert_eq!((kind, good.kind), (LeafKind::SealedActByQuorum, LeafKind::ValueUpdated));
    let with = |change: &dyn Fn(&mut ValueUpdate)| {
        let mut leaf = log.updated(&request, Some(digest));
        let mut update = ValueUpdate::from_payload(leaf.update.as_bytes()).unwrap();
        change(&mut update);
        leaf.update = Blob::try_from(cbor::encode(&update)).unwrap();
        ActByQuorumLeaf { act: Blob::try_from(cbor::encode(&leaf)).unwrap(), ..good.clone() }
    };
    let others = [
        with(&|update| update.evidence = None),
        with(&|update| update.evidence = Some(Digest::new([1; 32]))),
        with(&|update| (update.amount, update.balance_after) = (200, 200)),
        with(&|update| update.card = "04782e21801d81".parse().unwrap()),
        with(&|update| update.programme = name("tea")),
        with(&|update| update.purse = 2),
        with(&|update| update.currency = 840),
        with(&|update| update.txn = crate::people::idem(8)),
        with(&|update| update.terminal = name("terminal-2")),
    ];
    for other in others {
        assert_eq!(log.put(kind, &other), uncounted(Uncounted::OtherProposal));
    }
    log.put(kind, &good).unwrap();
    assert_eq!(log.put(kind, &good), conflict(Conflict::ProposalEnded));
}

#[test]
fn only_what_changes_something_is_proposed() {
    let mut log = log();
    for operation in [Operation::ProposalCancel, Operation::ValueBatch, Operation::LogEntries] {
        let draft = log.draft("officer-1", operation, &load(1));
        let refused = log.control.draft(draft, log.now_ms).map(drop);
        assert_eq!(refused, Err(Refusal::Invalid { reason: Invalid::NotSigned }), "{operation}");
    }
    let wrong = log.propose("officer-1", Operation::KeyRetire, &load(1));
    assert_eq!(wrong.map(drop), Err(Refusal::Invalid { reason: Invalid::Encoding }));
}

/// One more open proposal by a principal, without the kit's comparison before and after: that would be a thousand copies
/// of a thousand proposals.
fn one_more(
    log: &mut Log,
    by: &Person,
    operation: Operation,
    payload: &impl Serialize,
) -> Result<(), Refusal> {
    let draft = log.draft("officer-1", operation, payload);
    let statement = log.site.statement(by, operation, payload);
    let request = Proposed { operation, requester: by.name.clone(), statement };
    let proposal = log.control.draft(Draft { request, ..draft }, log.now_ms)?;
    let leaf = ProposalMadeLeaf { schema: Schema, proposal: bytes_of(&proposal)? };
    log.control.apply(At { index: 1, time_ms: log.now_ms }, LeafKind::ProposalMade, &cbor::encode(&leaf))
}

#[test]
fn machines_leave_room_for_the_proposals_of_officers_and_each_requester_for_others() {
    let mut log = log();
    let machines = (OPEN_MAX - OPEN_OFFICERS_MIN) / OPEN_EACH_MAX;
    for number in 0..machines {
        let (seed, id) = (120 + u8::try_from(number).unwrap(), format!("terminal-{}", number + 10));
        let machine = enrol(seed, &id, PrincipalKind::Terminal, "acme");
        log.agree("officer-1", Operation::PrincipalEnrol, &machine, &TWO).unwrap();
        let machine = Person { name: name(&id), key: key(seed) };
        for _ in 0..OPEN_EACH_MAX {
            one_more(&mut log, &machine, Operation::ValueUpdate, &load(1)).unwrap();
        }
        let more = one_more(&mut log, &machine, Operation::ValueUpdate, &load(1));
        assert_eq!(more, conflict(Conflict::Full));
    }
    let (terminal, officer) = (log.person("terminal-1"), log.person("officer-1"));
    let full = one_more(&mut log, &terminal, Operation::ValueUpdate, &load(1));
    assert_eq!(full, conflict(Conflict::Full));
    for _ in 0..OPEN_EACH_MAX {
        one_more(&mut log, &officer, Operation::KeyRetire, &retire("value-1", 1)).unwrap();
    }
    let more = one_more(&mut log, &officer, Operation::KeyRetire, &retire("value-1", 1));
    assert_eq!(more, conflict(Conflict::Full));
    let other = log.person("officer-2");
    one_more(&mut log, &other, Operation::KeyRetire, &retire("value-1", 1)).unwrap();
}

#[test]
fn a_reader_with_the_acts_alone_comes_to_the_same_roster_and_keys() {
    let mut log = log();
    log.pass(HOUR_MS);
    let machine = enrol(50, "terminal-2", PrincipalKind::Terminal, "acme");
    log.agree("officer-1", Operation::PrincipalEnrol, &machine, &TWO).unwrap();
    log.agree("officer-1", Operation::KeyRetire, &retire("value-1", 1), &TWO).unwrap();
    log.alone("officer-1", Operation::FreezeSet, &freeze(Scope::All)).unwrap();
    log.agree("officer-1", Operation::FreezeLift, &lift(Scope::All), &TWO).unwrap();
    let mut reader = log.site.control().from_evidence_alone();
    let known = |kind| !matches!(kind, LeafKind::ProposalMade | LeafKind::ProposalVoted);
    for leaf in log.leaves.iter().filter(|leaf| known(leaf.kind)) {
        reader.apply(leaf.at, leaf.kind, &leaf.payload).unwrap();
    }
    assert_eq!(reader.digest(), log.control.digest());
    // The same act again is refused there too.
    let act = log.leaves.iter().find(|leaf| leaf.kind == LeafKind::ActByQuorum).unwrap();
    assert_eq!(reader.apply(act.at, act.kind, &act.payload), conflict(Conflict::ProposalEnded));
}
