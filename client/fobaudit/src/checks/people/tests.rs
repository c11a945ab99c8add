//! Logs with one thing wrong about what takes people, and what the verification says of each.

use crate::{
    checks::Outcome,
    finding::{Finding, JobProblem, PeopleProblem, Problem},
    sample::{
        ALICE, BOB, Export, FIRST, SPARE_KEY, Sample, TERMINAL_KEY, TestKey, enrolment, later_key, two,
    },
    verify::Verification,
};
use keysvc_protocol::{
    bytes::{Blob, Digest, Idem, ProposalId},
    cose::CoseError,
    founding::PrincipalKind,
    freeze::{Scope, ScopeKind},
    key::{KeyKind, KeyState},
    leaf::{ActByQuorumLeaf, HeartbeatLeaf, KeyIntentLeaf, LeafKind, ProposalClosedLeaf, ProposalVotedLeaf},
    name::Name,
    proposal::{Proposal, ProposalEnd},
    quorum::{Need, Verdict},
    refusal::{Conflict, Invalid, Refusal, Uncounted},
    request::{
        CancelProposal, DestroyKey, DisablePrincipal, EnrolPrincipal, Enrolment, LiftFreeze, Operation,
        RetireKey, RotatePrincipal, SetQuorum, SuspendKey,
    },
    schema::Schema,
};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(super) fn terminal() -> Scope {
    Scope::Terminal { name: name("terminal-1") }
}

fn controls(export: &Export) -> Verification {
    export.controls()
}

fn found(sample: &Sample) -> Vec<Finding> {
    sample.export().controls().findings.kept().to_vec()
}

fn at(index: u64, problem: impl Into<Problem>) -> Vec<Finding> {
    vec![Finding { leaf: Some(index), problem: problem.into() }]
}

fn refused(index: u64, what: &'static str, why: Refusal) -> Vec<Finding> {
    at(index, PeopleProblem::Refused { what, why })
}

fn uncounted(index: u64, what: &'static str, reason: Uncounted) -> Vec<Finding> {
    refused(index, what, Refusal::ApprovalInvalid { reason })
}

fn idem(sample: &Sample) -> Idem {
    Idem::new(u128::from(sample.next_time()).to_be_bytes())
}

pub(super) fn lift_request(sample: &Sample) -> LiftFreeze {
    LiftFreeze { schema: Schema, idem: idem(sample), scope: terminal(), reason: "found".parse().unwrap() }
}

/// A log with terminal-1 frozen and a proposal of alice to lift it: the sample, the request's signed form, the bytes.
pub(super) fn lifting() -> (Sample, keysvc_protocol::proposal::Proposed, Vec<u8>) {
    let mut sample = Sample::good();
    sample.freeze(terminal());
    let request = sample.proposed(("alice", ALICE), Operation::FreezeLift, &lift_request(&sample));
    let bytes = sample.propose(&sample.drafted(request.clone(), None));
    (sample, request, bytes)
}

/// Appends the act that lifts, with these approvals, and gives its leaf.
pub(super) fn lift_with(
    sample: &mut Sample,
    request: &keysvc_protocol::proposal::Proposed,
    bytes: &[u8],
    approvals: &[Vec<u8>],
) -> u64 {
    let evidence = Sample::evidence(bytes, approvals);
    let leaf = sample.act_leaf(evidence, LeafKind::FreezeChanged, &Sample::changed(request));
    sample.push(LeafKind::SealedActByQuorum, &leaf)
}

pub(super) fn enrol(sample: &mut Sample, id: &str, kind: PrincipalKind, seed: u8) -> u64 {
    let request = EnrolPrincipal { schema: Schema, idem: idem(sample), principal: enrolment(id, kind, seed) };
    sample.agreed(Operation::PrincipalEnrol, &request)
}

fn alone<T: serde::Serialize>(sample: &mut Sample, operation: Operation, request: &T) -> u64 {
    let request = sample.proposed(("alice", ALICE), operation, request);
    sample.push(LeafKind::SiteChanged, &Sample::changed(&request))
}

#[test]
fn a_log_of_every_kind_of_act_verifies_and_is_told_act_by_act() {
    let sample = Sample::governed();
    let verification = controls(&sample.export());
    assert_eq!(verification.findings.kept(), []);
    let proved = verification.proved.unwrap();
    let acts = proved.controls.acts.unwrap();
    let told: Vec<_> = acts.kept().iter().map(|act| (act.operation, act.outcome)).collect();
    let in_force = |leaf| Outcome::InForce { leaf };
    let (first, last) = (told.first().unwrap(), told.last().unwrap());
    assert_eq!(*first, (Operation::KeyCreate, Outcome::Done));
    assert_eq!(*last, (Operation::KeyDestroy, in_force(sample.leaves.len() as u64 - 1)));
    assert!(acts.kept().iter().all(|act| act.sentence.is_some() && act.agreement.people.len() == 2));
    assert_eq!(proved.controls.totals.acts, told.len() as u64);
    assert_eq!(proved.controls.totals.approvals, 2 * told.len() as u64);
    assert_eq!(acts.alone().len(), 3);
    assert!(proved.kinds.iter().all(|(_, count)| count.not_checked == 0));
}

#[test]
fn a_change_by_one_alone_that_takes_people_is_found() {
    let mut sample = Sample::good();
    sample.freeze(terminal());
    let request = sample.proposed(("alice", ALICE), Operation::FreezeLift, &lift_request(&sample));
    sample.push(LeafKind::FreezeChanged, &Sample::changed(&request));
    assert_eq!(found(&sample), at(7, PeopleProblem::Alone(Operation::FreezeLift)));
    let mut sample = Sample::good();
    let principal = enrolment("terminal-3", PrincipalKind::Terminal, 40);
    let request = EnrolPrincipal { schema: Schema, idem: idem(&sample), principal };
    alone(&mut sample, Operation::PrincipalEnrol, &request);
    assert_eq!(found(&sample), at(6, PeopleProblem::Alone(Operation::PrincipalEnrol)));
}

#[test]
fn an_act_of_too_few_people_is_found() {
    let (mut sample, request, bytes) = lifting();
    let alice = sample.approve(&bytes, ALICE);
    lift_with(&mut sample, &request, &bytes, &[alice]);
    assert_eq!(found(&sample), uncounted(9, "the act", Uncounted::TooFew));
}

#[test]
fn one_person_with_two_approvals_is_found() {
    let (mut sample, request, bytes) = lifting();
    let alice = sample.approve(&bytes, ALICE);
    lift_with(&mut sample, &request, &bytes, &[alice.clone(), alice]);
    assert_eq!(found(&sample), refused(9, "the act", Refusal::SamePerson));
}

#[test]
fn an_approval_in_the_other_form_of_its_signature_is_found() {
    let (mut sample, request, bytes) = lifting();
    let (alice, bob) = (sample.approve(&bytes, ALICE), sample.approve(&bytes, BOB));
    lift_with(&mut sample, &request, &bytes, &[alice, malleated(&bob)]);
    assert_eq!(found(&sample), uncounted(10, "the act", Uncounted::Signature));
}

/// The same signature with the other s that verifies.
pub(super) fn malleated(approval: &[u8]) -> Vec<u8> {
    let (head, signature) = approval.split_at(approval.len() - 64);
    let signature = p256::ecdsa::Signature::from_slice(signature).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    [head, &other.to_bytes()].concat()
}

#[test]
fn an_approval_by_a_machine_or_over_another_proposal_is_found() {
    let (mut sample, request, bytes) = lifting();
    let alice = sample.approve(&bytes, ALICE);
    let machine = sample.approval(&bytes, Verdict::Approve, TERMINAL_KEY);
    lift_with(&mut sample, &request, &bytes, &[alice.clone(), machine]);
    assert_eq!(found(&sample), uncounted(9, "the act", Uncounted::NotAnOfficer));
    let (mut sample, request, bytes) = lifting();
    let alice = sample.approve(&bytes, ALICE);
    let other = sample.approval(b"another", Verdict::Approve, BOB);
    lift_with(&mut sample, &request, &bytes, &[alice.clone(), other]);
    assert_eq!(found(&sample), uncounted(9, "the act", Uncounted::OtherProposal));
    let (mut sample, request, bytes) = lifting();
    let alice = sample.approve(&bytes, ALICE);
    let rejected = sample.approval(&bytes, Verdict::Reject, BOB);
    lift_with(&mut sample, &request, &bytes, &[alice, rejected]);
    assert_eq!(found(&sample), uncounted(9, "the act", Uncounted::OtherVerdict));
}

#[test]
fn an_act_that_is_not_what_was_agreed_is_found() {
    let (mut sample, _, bytes) = lifting();
    let approvals = [ALICE, BOB].map(|seed| sample.approve(&bytes, seed));
    let other = LiftFreeze { scope: Scope::All, ..lift_request(&sample) };
    let other = sample.proposed(("alice", ALICE), Operation::FreezeLift, &other);
    lift_with(&mut sample, &other, &bytes, &approvals);
    assert_eq!(found(&sample), uncounted(10, "the act", Uncounted::OtherProposal));
}

#[test]
fn an_act_without_its_proposal_or_twice_is_found() {
    let (mut sample, request, _) = lifting();
    let unmade = Proposal { id: ProposalId::new([9; 16]), ..sample.drafted(request.clone(), None) };
    let bytes = keysvc_protocol::cbor::encode(&unmade);
    let approvals = [ALICE, BOB].map(|seed| sample.approval(&bytes, Verdict::Approve, seed));
    lift_with(&mut sample, &request, &bytes, &approvals);
    let not_found = Refusal::NotFound { what: keysvc_protocol::refusal::Thing::Proposal };
    assert_eq!(found(&sample), refused(8, "the act", not_found));
    let (mut sample, request, bytes) = lifting();
    let approvals = [ALICE, BOB].map(|seed| sample.approve(&bytes, seed));
    lift_with(&mut sample, &request, &bytes, &approvals);
    sample.freeze(terminal());
    lift_with(&mut sample, &request, &bytes, &approvals);
    let ended = Refusal::StateConflict { reason: Conflict::ProposalEnded };
    assert_eq!(found(&sample), refused(12, "the act", ended));
}

#[test]
fn an_act_after_its_proposal_expired_is_found() {
    let (mut sample, request, bytes) = lifting();
    let approvals = [ALICE, BOB].map(|seed| sample.approve(&bytes, seed));
    let leaf = sample.act_leaf(
        Sample::evidence(&bytes, &approvals),
        LeafKind::FreezeChanged,
        &Sample::changed(&request),
    );
    sample.push_at(sample.next_time() + 73 * 3_600_000, LeafKind::SealedActByQuorum, &leaf);
    assert_eq!(found(&sample), refused(10, "the act", Refusal::Expired));
}

#[test]
fn an_act_under_other_officers_or_policies_than_the_proposal_names_is_found() {
    let (mut sample, request, _) = lifting();
    let other = Proposal { policy: Digest::new([7; 32]), ..sample.drafted(request.clone(), None) };
    let bytes = sample.propose(&other);
    let expected = uncounted(8, "the proposal", Uncounted::OtherPolicy);
    assert_eq!(found(&sample), expected);
    let approvals = [ALICE, BOB].map(|seed| sample.approval(&bytes, Verdict::Approve, seed));
    lift_with(&mut sample, &request, &bytes, &approvals);
    assert_eq!(found(&sample).len(), 2);
    let (mut sample, request, _) = lifting();
    let other = Proposal { roster: Digest::new([7; 32]), ..sample.drafted(request, None) };
    sample.propose(&other);
    assert_eq!(found(&sample), uncounted(8, "the proposal", Uncounted::OtherRoster));
}

#[test]
fn a_proposal_below_the_floor_is_found() {
    let (mut sample, request, _) = lifting();
    let low = Proposal { need: Need { persons: 1, ..two() }, ..sample.drafted(request, None) };
    sample.propose(&low);
    assert_eq!(found(&sample), uncounted(8, "the proposal", Uncounted::BelowFloor));
}

#[test]
fn a_vote_that_is_not_the_officers_own_is_found() {
    let (mut sample, _, bytes) = lifting();
    let approval = sample.approval(&bytes, Verdict::Approve, SPARE_KEY);
    let leaf = ProposalVotedLeaf {
        schema: Schema,
        proposal: Proposal::decode(&bytes).unwrap().id,
        verdict: Verdict::Approve,
        approval: Blob::try_from(approval).unwrap(),
    };
    sample.push(LeafKind::ProposalVoted, &leaf);
    assert_eq!(found(&sample), uncounted(8, "the vote", Uncounted::NotAnOfficer));
}

#[test]
fn a_key_that_nobody_ordered_is_found() {
    let mut sample = Sample::good();
    let key = later_key("later", 70);
    let intent =
        KeyIntentLeaf { schema: Schema, id: key.id, kind: key.kind, name: key.name, version: key.version };
    sample.push(LeafKind::KeyIntent, &intent);
    assert_eq!(found(&sample), at(6, PeopleProblem::NoOrder));
}

#[test]
fn what_waits_and_takes_effect_too_early_is_found() {
    let mut sample = Sample::good();
    let enrolled = enrol(&mut sample, "carol", PrincipalKind::Officer, 40);
    let verification = controls(&sample.export());
    assert_eq!(verification.findings.kept(), []);
    let acts = verification.proved.unwrap().controls.acts.unwrap();
    assert!(matches!(acts.kept()[0].outcome, Outcome::Waits { .. }));
    let mut early = sample.clone();
    early.take_effect(enrolled, early.next_time() + 23 * 3_600_000);
    assert_eq!(found(&early), at(enrolled + 1, PeopleProblem::TooEarly));
    let mut good = sample.clone();
    good.take_effect(enrolled, good.next_time() + 25 * 3_600_000);
    assert_eq!(found(&good), []);
    good.take_effect(enrolled, good.next_time() + 26 * 3_600_000);
    assert_eq!(found(&good), at(enrolled + 2, PeopleProblem::NothingWaits(enrolled)));
}

#[test]
fn what_was_cancelled_while_it_waited_does_not_take_effect() {
    let mut sample = Sample::good();
    let enrolled = enrol(&mut sample, "carol", PrincipalKind::Officer, 40);
    let act: ActByQuorumLeaf = sample.payload(enrolled);
    let id = Proposal::decode(act.evidence.proposal.as_bytes()).unwrap().id;
    let request = CancelProposal { schema: Schema, idem: idem(&sample), id, reason: "no".parse().unwrap() };
    let statement = sample.statement(BOB, Operation::ProposalCancel, &request);
    let end = ProposalEnd::Cancelled { by: name("bob"), statement };
    let closed =
        sample.push(LeafKind::ProposalClosed, &ProposalClosedLeaf { schema: Schema, proposal: id, end });
    let verification = controls(&sample.export());
    assert_eq!(verification.findings.kept(), []);
    let proved = verification.proved.unwrap();
    assert_eq!(proved.controls.totals.cancelled, 1);
    assert_eq!(proved.controls.acts.unwrap().kept()[0].outcome, Outcome::Cancelled { leaf: closed });
    sample.take_effect(enrolled, sample.next_time() + 25 * 3_600_000);
    assert_eq!(found(&sample), at(closed + 1, PeopleProblem::NothingWaits(enrolled)));
}

#[test]
fn a_heartbeat_of_another_state_is_found() {
    let mut sample = Sample::good();
    sample.heartbeat();
    assert_eq!(found(&sample), []);
    let leaf = HeartbeatLeaf { schema: Schema, moment: sample.moment(), control: Digest::new([1; 32]) };
    sample.push(LeafKind::Heartbeat, &leaf);
    assert_eq!(found(&sample), at(7, PeopleProblem::OtherState));
}

#[test]
fn statements_are_verified_with_the_keys_and_people_of_their_leaf() {
    let mut sample = Sample::good();
    enrol(&mut sample, "terminal-3", PrincipalKind::Terminal, 40);
    let leaf = sample.update_leaf(40, |update| update.terminal = name("terminal-3"));
    sample.last_update = leaf.update.as_bytes().to_vec();
    sample.push(LeafKind::ValueUpdated, &leaf);
    assert_eq!(found(&sample), []);
    // Another key from the rotation on, and only from then on.
    let spki = |seed| Some(Blob::try_from(TestKey::new(seed).public().spki().to_vec()).unwrap());
    let request = RotatePrincipal {
        schema: Schema,
        idem: idem(&sample),
        id: name("terminal-3"),
        tls_key: None,
        statement_key: spki(41),
        wrapping_key: None,
    };
    let request = sample.proposed(("terminal-3", 40), Operation::PrincipalRotate, &request);
    let bytes = sample.propose(&sample.drafted(request.clone(), None));
    let approvals = [ALICE, BOB].map(|seed| sample.approve(&bytes, seed));
    let evidence = Sample::evidence(&bytes, &approvals);
    let act = sample.act_leaf(evidence, LeafKind::SiteChanged, &Sample::changed(&request));
    sample.push(LeafKind::ActByQuorum, &act);
    let by_old_key = sample.update_leaf(40, |update| update.terminal = name("terminal-3"));
    let mut old = sample.clone();
    let index = old.push(LeafKind::ValueUpdated, &by_old_key);
    let why = CoseError::WrongKey;
    let operation = Operation::ValueUpdate;
    assert_eq!(found(&old), at(index, Problem::Statement { operation, name: name("terminal-3"), why }));
    let by_new_key = sample.update_leaf(41, |update| update.terminal = name("terminal-3"));
    sample.push(LeafKind::ValueUpdated, &by_new_key);
    assert_eq!(found(&sample), []);
}

#[test]
fn a_request_of_one_who_is_disabled_is_found() {
    let mut sample = Sample::good();
    let reason = "stolen".parse().unwrap();
    let request = DisablePrincipal { schema: Schema, idem: idem(&sample), id: name("terminal-1"), reason };
    alone(&mut sample, Operation::PrincipalDisable, &request);
    assert_eq!(found(&sample), []);
    sample.update(|_| {});
    assert_eq!(found(&sample), at(7, PeopleProblem::Disabled(name("terminal-1"))));
}

#[test]
fn what_is_done_while_it_is_frozen_is_found_and_not_after_the_freeze_is_lifted() {
    let card = crate::sample::CARD.parse().unwrap();
    let scopes = [
        (terminal(), ScopeKind::Terminal),
        (Scope::Card { card, programme: None }, ScopeKind::Card),
        (Scope::Card { card, programme: Some(name("coffee")) }, ScopeKind::Card),
        (Scope::Programme { name: name("coffee") }, ScopeKind::Programme),
        (Scope::Store { name: name("cafe") }, ScopeKind::Store),
        (Scope::Profile { name: name("fob") }, ScopeKind::Profile),
        (Scope::Key { name: name("coffee-value") }, ScopeKind::Key),
        (Scope::All, ScopeKind::All),
    ];
    for (scope, kind) in scopes {
        let mut sample = Sample::good();
        sample.freeze(scope.clone());
        let mut frozen = sample.clone();
        frozen.update(|_| {});
        assert_eq!(found(&frozen), at(7, PeopleProblem::Frozen(kind)), "{scope}");
        sample.lift(scope);
        sample.update(|_| {});
        assert_eq!(found(&sample), []);
    }
    let mut sample = Sample::good();
    sample.freeze(Scope::Station { name: name("station-1") });
    sample.open_job(FIRST, 2);
    assert_eq!(found(&sample), at(7, PeopleProblem::Frozen(ScopeKind::Station)));
    let scopes = [
        (Scope::Key { name: name("fob-master") }, ScopeKind::Key),
        (Scope::Job { name: name(FIRST) }, ScopeKind::Job),
    ];
    for (scope, kind) in scopes {
        let mut sample = Sample::working();
        sample.freeze(scope);
        // What became of the cards in hand is told, also where all is frozen.
        sample.all_good(FIRST, &[crate::sample::uid(2)]);
        assert_eq!(found(&sample), []);
        let leaf = sample.derived(1, 2);
        sample.push(LeafKind::CardKeysDerived, &leaf);
        assert_eq!(found(&sample), at(10, PeopleProblem::Frozen(kind)));
    }
}

#[test]
fn a_key_that_is_suspended_derives_and_signs_nothing() {
    let mut sample = Sample::working();
    for key in ["fob-master", "coffee-value"] {
        let reason = "looked into".parse().unwrap();
        let request = SuspendKey { schema: Schema, idem: idem(&sample), name: name(key), version: 1, reason };
        alone(&mut sample, Operation::KeySuspend, &request);
    }
    let leaf = sample.derived(1, 2);
    sample.push(LeafKind::CardKeysDerived, &leaf);
    let (key, state) = (name("fob-master"), KeyState::Suspended);
    assert_eq!(found(&sample), at(10, PeopleProblem::KeyState { key, version: 1, state }));
    let mut sample = Sample::good();
    let reason = "looked into".parse().unwrap();
    let request =
        SuspendKey { schema: Schema, idem: idem(&sample), name: name("coffee-value"), version: 1, reason };
    alone(&mut sample, Operation::KeySuspend, &request);
    sample.update(|_| {});
    assert_eq!(found(&sample), at(7, PeopleProblem::NoActiveKey(name("coffee-value"))));
}

#[test]
fn a_retired_master_key_derives_for_the_cards_issued_under_it_alone() {
    let retire = |sample: &mut Sample| {
        let reason = "worn out".parse().unwrap();
        let request =
            RetireKey { schema: Schema, idem: idem(sample), name: name("fob-master"), version: 1, reason };
        sample.agreed(Operation::KeyRetire, &request);
    };
    let mut sample = Sample::working();
    retire(&mut sample);
    // Keys that a station lost are released to it again.
    let again = sample.derived_of(FIRST, (1, 2), 1, &[crate::sample::uid(2)]);
    sample.push(LeafKind::CardKeysDerived, &again);
    assert_eq!(found(&sample), []);
    let mut sample = Sample::good();
    sample.open_job(FIRST, 1);
    retire(&mut sample);
    let first = sample.derived(1, 1);
    let index = sample.push(LeafKind::CardKeysDerived, &first);
    assert_eq!(found(&sample), at(index, PeopleProblem::NotIssued { key: name("fob-master"), version: 1 }));
}

#[test]
fn a_new_version_of_a_key_that_people_made_is_in_use_from_its_activation_on() {
    let mut sample = Sample::good();
    sample.new_value_key("coffee-value", 2, 42);
    sample.update(|_| {});
    assert_eq!(found(&sample), []);
    let record = sample.signed_record(42);
    assert_eq!(sample.export().value(&record, None).unwrap().key_version, 2);
}

#[test]
fn a_large_load_holds_with_its_evidence_and_is_the_next_of_its_purse() {
    let mut sample = Sample::good();
    sample.large_load();
    sample.update(|_| {});
    assert_eq!(found(&sample), []);
    // The same update with the evidence of nobody.
    let mut alone = Sample::good();
    let leaf = alone.update_leaf(TERMINAL_KEY, |update| update.evidence = Some(Digest::new([1; 32])));
    alone.push(LeafKind::ValueUpdated, &leaf);
    assert_eq!(found(&alone), at(6, PeopleProblem::EvidenceNotShown));
}

#[test]
fn a_large_load_without_its_own_evidence_or_departments_is_found() {
    let mut sample = Sample::good();
    let (bytes, approvals, request) = sample.load_agreed(&[ALICE, BOB]);
    let evidence = Sample::evidence(&bytes, &approvals);
    let done = sample.load_done(&request, &Sample::evidence(&bytes, &approvals[..1]));
    let act = sample.act_leaf(evidence, LeafKind::ValueUpdated, &done);
    sample.push(LeafKind::SealedActByQuorum, &act);
    assert_eq!(found(&sample), uncounted(9, "the act", Uncounted::OtherProposal));
    let mut sample = Sample::good();
    let (bytes, approvals, request) = sample.load_agreed(&[ALICE]);
    let evidence = Sample::evidence(&bytes, &approvals);
    let done = sample.load_done(&request, &evidence);
    let act = sample.act_leaf(evidence, LeafKind::ValueUpdated, &done);
    sample.push(LeafKind::SealedActByQuorum, &act);
    assert_eq!(found(&sample), uncounted(8, "the act", Uncounted::TooFew));
}

#[test]
fn an_update_inside_an_act_is_checked_as_a_plain_one_is() {
    let mut sample = Sample::good();
    let (bytes, approvals, request) = sample.load_agreed(&[ALICE, BOB]);
    sample.freeze(Scope::Programme { name: name("coffee") });
    let evidence = Sample::evidence(&bytes, &approvals);
    let done = sample.load_done(&request, &evidence);
    let act = sample.act_leaf(evidence, LeafKind::ValueUpdated, &done);
    sample.push(LeafKind::SealedActByQuorum, &act);
    assert_eq!(found(&sample), at(10, PeopleProblem::Frozen(ScopeKind::Programme)));
    let mut sample = Sample::good();
    sample.large_load();
    sample.update(|update| update.seq = 5);
    let expected = crate::finding::ValueProblem::Sequence { expected: 4, found: 5 };
    assert_eq!(found(&sample), at(10, expected));
}

#[test]
fn a_clock_that_was_moved_stops_what_waits() {
    let mut sample = Sample::good();
    sample.heartbeat();
    let enrolled = enrol(&mut sample, "carol", PrincipalKind::Officer, 40);
    // A day of wall time, and an hour of the machine's.
    let time_ms = sample.next_time() + 25 * 3_600_000;
    let leaf = keysvc_protocol::leaf::TookEffectLeaf {
        schema: Schema,
        act: enrolled,
        moment: keysvc_protocol::control::Moment { wall_ms: time_ms, ..sample.moment() },
    };
    sample.push_at(time_ms, LeafKind::TookEffect, &leaf);
    let disputed = Refusal::StateConflict { reason: Conflict::ClockDisputed };
    assert_eq!(found(&sample), refused(enrolled + 1, "what took effect", disputed));
}

#[test]
fn a_threshold_that_was_set_holds_once_it_is_in_force() {
    let mut sample = Sample::good();
    let need = Need { departments: 2, ..two() };
    let request = SetQuorum { schema: Schema, idem: idem(&sample), operation: Operation::FreezeLift, need };
    let act = sample.agreed(Operation::QuorumSet, &request);
    sample.take_effect(act, sample.next_time() + 25 * 3_600_000);
    assert_eq!(found(&sample), []);
    let later_ms = 26 * 3_600_000;
    sample.later_ms = later_ms;
    sample.freeze(terminal());
    let request = sample.proposed(("alice", ALICE), Operation::FreezeLift, &lift_request(&sample));
    let below = Proposal { need: two(), ..sample.drafted(request, None) };
    let index = sample.leaves.len() as u64;
    sample.propose(&below);
    assert_eq!(found(&sample), uncounted(index, "the proposal", Uncounted::BelowFloor));
}

#[test]
fn a_payload_that_is_withheld_is_said_and_what_follows_is_judged_by_its_evidence() {
    let mut sample = Sample::good();
    let frozen = sample.freeze(terminal());
    sample.lift(terminal());
    sample.update(|_| {});
    enrol(&mut sample, "terminal-3", PrincipalKind::Terminal, 40);
    let mut part = sample.clone();
    part.withhold(frozen);
    let verification = controls(&part.export());
    assert_eq!(verification.findings.kept(), []);
    let controls = verification.proved.unwrap().controls;
    let said = controls.not_followed().unwrap();
    assert!(said.contains(&format!("cannot be followed from leaf {frozen} on")), "{said}");
    let outcomes: Vec<_> = controls.acts.unwrap().kept().iter().map(|act| act.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unknown, Outcome::Done]);
    // What the officers signed is still counted.
    let mut forged = part.clone();
    let request = forged.proposed(
        ("alice", ALICE),
        Operation::PrincipalEnrol,
        &EnrolPrincipal {
            schema: Schema,
            idem: idem(&forged),
            principal: enrolment("terminal-4", PrincipalKind::Terminal, 43),
        },
    );
    let bytes = forged.propose(&forged.drafted(request.clone(), None));
    let one = forged.approve(&bytes, ALICE);
    let evidence = Sample::evidence(&bytes, &[one]);
    let act = forged.act_leaf(evidence, LeafKind::SiteChanged, &Sample::changed(&request));
    let index = forged.push(LeafKind::ActByQuorum, &act);
    assert_eq!(found(&forged), uncounted(index, "the act", Uncounted::TooFew));
    // Without a leaf about the roster nothing is judged any more, and nobody is accused.
    let enrolled = sample.leaves.len() as u64 - 1;
    let leaf = sample.update_leaf(40, |update| update.terminal = name("terminal-3"));
    sample.push(LeafKind::ValueUpdated, &leaf);
    sample.withhold(enrolled);
    let verification = self::controls(&sample.export());
    assert_eq!(verification.findings.kept(), []);
    let proved = verification.proved.unwrap();
    let said = proved.controls.not_followed().unwrap();
    assert!(said.starts_with("who and what the service knows cannot be followed"), "{said}");
    assert!(proved.kinds.iter().any(|(kind, count)| *kind == "value updated" && count.not_checked == 1));
}

#[test]
fn a_run_with_state_follows_what_takes_people_where_the_earlier_one_stood() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut sample = Sample::good();
    sample.freeze(terminal());
    enrol(&mut sample, "terminal-3", PrincipalKind::Terminal, 40);
    assert_eq!(sample.export().verify_from(&path).unwrap().findings.kept(), []);
    let mut frozen = sample.clone();
    frozen.update(|_| {});
    let resumed = frozen.export().verify_from(&path).unwrap();
    assert_eq!(resumed.findings.kept(), at(11, PeopleProblem::Frozen(ScopeKind::Terminal)));
    let leaf = sample.update_leaf(40, |update| update.terminal = name("terminal-3"));
    sample.last_update = leaf.update.as_bytes().to_vec();
    sample.push(LeafKind::ValueUpdated, &leaf);
    sample.lift(terminal());
    sample.update(|_| {});
    assert_eq!(sample.export().verify_from(&path).unwrap().findings.kept(), []);
}

#[test]
fn an_act_that_wraps_another_kind_or_class_is_found() {
    let (mut sample, request, bytes) = lifting();
    let approvals = [ALICE, BOB].map(|seed| sample.approve(&bytes, seed));
    let act = sample.act_leaf(
        Sample::evidence(&bytes, &approvals),
        LeafKind::FreezeChanged,
        &Sample::changed(&request),
    );
    let index = sample.push(LeafKind::ActByQuorum, &act);
    assert_eq!(found(&sample), refused(index, "the act", Refusal::Invalid { reason: Invalid::Encoding }));
}

#[test]
fn a_station_that_people_enrolled_needs_a_job_of_its_own() {
    let mut sample = Sample::working();
    let principal = Enrolment {
        group: name("bureau"),
        wrapping_key: Some(Blob::try_from(vec![7; 422]).unwrap()),
        ..enrolment("station-2", PrincipalKind::Station, 44)
    };
    let request = EnrolPrincipal { schema: Schema, idem: idem(&sample), principal };
    sample.agreed(Operation::PrincipalEnrol, &request);
    let mut leaf = sample.derived(1, 2);
    leaf.station = name("station-2");
    let request = keysvc_protocol::request::DeriveCardKeys {
        schema: Schema,
        idem: Idem::new([2; 16]),
        exchange: keysvc_protocol::bytes::Exchange::new([1; 16]),
        job: name(FIRST),
        generation: 1,
        cards: vec![crate::sample::uid(2)].try_into().unwrap(),
    };
    leaf.statement = sample.statement(44, Operation::CardDerive, &request);
    (leaf.cards, leaf.count) = (1, 2);
    let index = sample.push(LeafKind::CardKeysDerived, &leaf);
    let why = Refusal::StateConflict { reason: Conflict::OtherStation };
    let (operation, job) = (Some(Operation::CardDerive), Some(name(FIRST)));
    assert_eq!(found(&sample), at(index, JobProblem::Refused { operation, job, why }));
}

#[test]
fn many_acts_in_a_long_log_are_verified() {
    // FOBAUDIT_LEAVES=100000 FOBAUDIT_ACTS=1000 with --release --no-capture measures; the time is not asserted.
    let number = |name: &str, usual: usize| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let (leaves, acts) = (number("FOBAUDIT_LEAVES", 600), number("FOBAUDIT_ACTS", 20));
    let mut sample = Sample::founded();
    let each = leaves / acts;
    for _ in 0..acts {
        let begun = sample.leaves.len();
        sample.freeze(terminal());
        sample.lift(terminal());
        while sample.leaves.len() < begun + each {
            let card = u64::try_from(sample.leaves.len()).unwrap().to_be_bytes();
            sample.last_update.clear();
            sample.update(|update| {
                update.card = keysvc_protocol::card::CardUid::try_from(&card[1..]).unwrap();
            });
        }
    }
    let verification = controls(&sample.export());
    assert_eq!(verification.findings.kept(), []);
    let proved = verification.proved.unwrap();
    assert_eq!(proved.controls.totals.acts, acts as u64);
    println!("{} leaves, {acts} acts: {:?}", proved.leaves, verification.elapsed);
}

#[test]
fn a_destroyed_key_is_gone_and_its_destruction_waited_a_week() {
    let mut sample = Sample::good();
    let order = sample.order("spare-value", KeyKind::ValueSigning);
    sample.agreed(Operation::KeyCreate, &order);
    sample.make("spare-value", 2, 45);
    let reason = "never needed".parse().unwrap();
    let key = name("spare-value");
    let request = DestroyKey { schema: Schema, idem: idem(&sample), name: key.clone(), version: 2, reason };
    let act = sample.agreed(Operation::KeyDestroy, &request);
    let mut early = sample.clone();
    early.take_effect(act, early.next_time() + 6 * 86_400_000);
    assert_eq!(found(&early), at(act + 1, PeopleProblem::TooEarly));
    sample.take_effect(act, sample.next_time() + 8 * 86_400_000);
    let verification = controls(&sample.export());
    assert_eq!(verification.findings.kept(), []);
    let control = verification.proved.unwrap().controls.control;
    assert_eq!(control.keys().get(&key, 2).unwrap().state, KeyState::Destroyed);
}
