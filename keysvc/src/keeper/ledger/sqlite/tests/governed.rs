//! What a site is governed by, in the store: card profiles and policies that people change while value goes on.

use super::super::ground::{
    Ask, NOW_MS, Store, folder, moment,
    people::{Request, idem},
    seals, update,
};
use crate::keeper::ledger::{
    change::{Change, Outcome},
    reader::Reader,
    seal::{Seal, SealClass},
};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    founding::{Profile, ValueRules},
    hash::sha256,
    quorum::Verdict,
    refusal::{Conflict, Forbids, Refusal, Uncounted},
    request::{
        Operation, PolicyDifference, PolicyFile, PolicyProof, ProposePolicy, PutProfile, RecordCeremony,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
};

fn value(profile: &mut Profile) -> &mut ValueRules {
    profile.value.as_mut().unwrap()
}

/// The next version of the ground's profile, changed.
fn put(store: &Store, number: u8, change: impl FnOnce(&mut Profile)) -> Request {
    let control = store.reader.control().unwrap();
    let mut profile = control.profiles().newest(&"tag".parse().unwrap()).unwrap().profile.clone();
    profile.version += 1;
    change(&mut profile);
    let request =
        PutProfile { schema: Schema, idem: idem(number), profile, reason: "because".parse().unwrap() };
    store.asked("anna", Operation::ProfilePut, number, &request)
}

fn in_use(store: &mut Store, put: &Request, proposal: u8) {
    let evidence = store.approved(put, proposal, &["anna", "boris"], moment(NOW_MS));
    store.made(&put.by_quorum(&evidence), moment(NOW_MS));
}

#[test]
fn an_update_that_passed_the_gate_is_decided_by_the_profile_in_use_when_it_is_recorded() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let load = |number: u64, amount, seq, before| update(number, &Ask(Load, amount, seq, before));
    store.recorded(&load(1, 4_000, 1, 0));
    let lower = put(&store, 9, |profile| value(profile).load_max = 50);
    in_use(&mut store, &lower, 1);
    assert_eq!(store.refused(&load(2, 51, 2, 4_000)), Refusal::LimitExceeded { limit: 50 });
    store.recorded(&load(3, 50, 2, 4_000));
    let without = put(&store, 10, |profile| value(profile).purses = vec![2]);
    in_use(&mut store, &without, 2);
    let purse = Refusal::ProfileForbids { reason: Forbids::Purse };
    assert_eq!(store.refused(&load(4, 50, 3, 4_050)), purse);
    let control = store.reader.control().unwrap();
    assert_eq!(control.profiles().iter().map(|in_use| in_use.profile.version).collect::<Vec<_>>(), [1, 2, 3]);
    drop(store);
    Store::open(&folder, seals()).restored.unwrap();
}

#[test]
fn a_purse_that_is_not_reloadable_is_loaded_once_also_within_a_batch_and_its_load_is_answered_again() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let once = put(&store, 9, |profile| value(profile).reloadable = false);
    in_use(&mut store, &once, 1);
    let (first, second) = (update(1, &Ask(Load, 500, 1, 0)), update(2, &Ask(Load, 500, 2, 500)));
    let refused = Refusal::ProfileForbids { reason: Forbids::NotReloadable };
    let outcomes = store.apply(&[first.clone(), second.clone()], NOW_MS).outcomes;
    assert!(matches!(&outcomes[0], Ok(Outcome::Recorded(leaf)) if !leaf.retried), "{outcomes:?}");
    assert_eq!(outcomes[1].clone().unwrap(), Outcome::Refused(refused.clone()));
    assert!(store.recorded(&first).retried);
    store.recorded(&update(3, &Ask(Debit, 500, 2, 500)));
    assert_eq!(store.refused(&update(4, &Ask(Load, 500, 3, 0))), refused);
    assert!(store.recorded(&first).retried);
}

#[test]
fn a_profile_that_does_not_follow_the_newest_version_is_not_even_proposed() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let again = put(&store, 9, |profile| profile.version = 1);
    let newest = Refusal::StateConflict { reason: Conflict::Version { newest: 1 } };
    assert_eq!(store.not_made(&again.propose(1), moment(NOW_MS)), newest);
}

fn policies(store: &Store, number: u8, policy: Digest) -> Request {
    let text = Blob::try_from(b"permit(principal, action, resource);".to_vec()).unwrap();
    let lines = vec![].try_into().unwrap();
    let request = ProposePolicy {
        schema: Schema,
        idem: idem(number),
        policy,
        files: vec![PolicyFile { name: "site.cedar".parse().unwrap(), text }].try_into().unwrap(),
        difference: PolicyDifference { cases: 1, changed: 0, report: policy, lines },
        proof: PolicyProof {
            solver: "cvc5 1.0".parse().unwrap(),
            theorems: 1,
            environments: 1,
            load_max: 1,
            report: policy,
        },
        reason: "because".parse().unwrap(),
        replay: None,
    };
    store.asked("anna", Operation::PolicyPropose, number, &request)
}

#[test]
fn other_policies_are_in_force_with_their_leaf_end_older_proposals_and_are_found_again_at_a_start() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let retire = store.key_event("anna", Operation::KeyRetire, 1, ("value", 1));
    store.made(&retire.propose(1), moment(NOW_MS));
    let policy = sha256(&[b"other policies"]);
    let propose = policies(&store, 2, policy);
    let evidence = store.approved(&propose, 2, &["anna", "boris", "clara"], moment(NOW_MS));
    let act = store.made(&propose.by_quorum(&evidence), moment(NOW_MS));
    let control = store.reader.control().unwrap();
    assert_eq!((*control.policy(), control.policies().leaf()), (policy, act.index));
    assert_eq!(control.policies().files().unwrap()[0].name.as_str(), "site.cedar");
    // Evidence of later acts needs its leaf.
    assert_eq!(store.reader.roster_leaves().unwrap(), [act.index]);
    let vote = store.vote("boris", 1, Verdict::Approve);
    let other = Refusal::ApprovalInvalid { reason: Uncounted::OtherPolicy };
    assert_eq!(store.not_made(&vote, moment(NOW_MS)), other);
    // Whoever looks beside the writer finds the same.
    let beside = Reader::open(folder.path()).unwrap();
    store.recorded(&Change::Heartbeat);
    assert_eq!(
        beside.replayed(&[Seal::new(1, SealClass::Operational, &[1; 32])]).unwrap().digest(),
        control.digest()
    );
    drop(store);
    let store = Store::open(&folder, seals());
    store.restored.clone().unwrap();
    assert_eq!(store.reader.control().unwrap().policies(), control.policies());
}

#[test]
fn a_ceremonys_transcript_is_anchored_by_one_officer_and_changes_nothing() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let digest = sha256(&[b"transcript"]);
    let request = RecordCeremony {
        schema: Schema,
        idem: idem(1),
        title: "a key came in".parse().unwrap(),
        plan: digest,
        transcript: digest,
        people: vec!["anna".parse().unwrap()].try_into().unwrap(),
    };
    let before = store.reader.control().unwrap().digest();
    let record = store.asked("anna", Operation::CeremonyRecord, 1, &request);
    store.made(&record.alter(), moment(NOW_MS));
    assert_eq!(store.reader.control().unwrap().digest(), before);
    let terminal = store.asked("terminal-1", Operation::CeremonyRecord, 2, &request);
    assert_eq!(store.not_made(&terminal.alter(), moment(NOW_MS)), Refusal::Forbidden);
}
