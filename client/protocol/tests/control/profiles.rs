//! Card profiles and policies that people put into force.

use crate::{
    asks::{compromise, log, retire, why},
    people::{Log, idem, name},
};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    founding::{CardFamily, Function, GoldenVector, Profile, Slot},
    freeze::Scope,
    list::List,
    quorum::Verdict,
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    request::{
        Operation, POLICY_SET_LEN_MAX, PolicyDifference, PolicyFile, PolicyProof, ProposePolicy, PutProfile,
        RecordCeremony,
    },
    schema::Schema,
};

const TWO: [&str; 2] = ["officer-1", "officer-2"];
const THREE: [&str; 3] = ["officer-1", "officer-2", "officer-3"];

/// The founding's profile, as its next version.
fn next(log: &Log) -> Profile {
    let mut profile = log.control.profiles().newest(&name("stored")).unwrap().profile.clone();
    profile.version += 1;
    profile
}

fn put(profile: &Profile) -> PutProfile {
    PutProfile { schema: Schema, idem: idem(1), profile: profile.clone(), reason: why() }
}

fn refused(change: impl Fn(&mut Profile)) -> Refusal {
    let mut log = log();
    let mut profile = next(&log);
    change(&mut profile);
    log.propose("officer-1", Operation::ProfilePut, &put(&profile)).unwrap_err()
}

#[test]
fn the_next_version_of_a_profile_is_in_use_from_its_act_and_earlier_ones_stay() {
    let mut log = log();
    let mut profile = next(&log);
    profile.value.as_mut().unwrap().ceiling = 40_000;
    let leaf = log.agree("officer-1", Operation::ProfilePut, &put(&profile), &TWO).unwrap();
    let newest = log.control.profiles().newest(&name("stored")).unwrap();
    assert_eq!((&newest.profile, newest.leaf), (&profile, leaf));
    assert_eq!(log.control.profiles().get(&name("stored"), 1).unwrap().leaf, 0);
    assert_eq!(log.replayed().digest(), log.control.digest());
}

#[test]
fn a_new_profile_begins_at_version_one_and_can_be_frozen() {
    let mut log = log();
    let scope = Scope::Profile { name: name("members") };
    let unknown = log.alone("officer-1", Operation::FreezeSet, &crate::asks::freeze(scope.clone()));
    assert_eq!(unknown, Err(Refusal::NotFound { what: Thing::Profile }));
    let mut profile = next(&log);
    profile.name = name("members");
    let version = log.propose("officer-1", Operation::ProfilePut, &put(&profile)).unwrap_err();
    assert_eq!(version, Refusal::StateConflict { reason: Conflict::Version { newest: 0 } });
    profile.version = 1;
    profile.family = CardFamily::MifareClassic;
    profile.functions = vec![Function::Membership];
    profile.value = None;
    log.agree("officer-1", Operation::ProfilePut, &put(&profile), &TWO).unwrap();
    log.alone("officer-1", Operation::FreezeSet, &crate::asks::freeze(scope)).unwrap();
}

#[test]
fn a_profile_takes_two_people() {
    let mut log = log();
    let request = put(&next(&log));
    let too_few = Refusal::ApprovalInvalid { reason: Uncounted::TooFew };
    assert_eq!(log.alone("officer-1", Operation::ProfilePut, &request), Err(too_few.clone()));
    assert_eq!(log.agree("officer-1", Operation::ProfilePut, &request, &["officer-2"]), Err(too_few));
    assert_eq!(log.propose("office-1", Operation::ProfilePut, &request), Err(Refusal::Forbidden));
}

#[test]
fn a_profile_that_was_overtaken_by_another_is_refused_at_its_act() {
    let mut log = log();
    let request = put(&next(&log));
    let slow = log.propose("officer-1", Operation::ProfilePut, &request).unwrap();
    log.agree("officer-2", Operation::ProfilePut, &request, &TWO).unwrap();
    for officer in TWO {
        log.vote(officer, &slow, Verdict::Approve).unwrap();
    }
    let overtaken = Refusal::StateConflict { reason: Conflict::Version { newest: 2 } };
    assert_eq!(log.act(&slow), Err(overtaken));
}

#[test]
fn families_that_identify_only_never_hold_value_and_no_family_more_than_its_ceiling() {
    let profile = Refusal::Invalid { reason: Invalid::Profile };
    for family in [CardFamily::MifareClassic, CardFamily::UltralightC, CardFamily::Ntag21x] {
        assert_eq!(refused(|profile| profile.family = family), profile, "{family}");
    }
    assert_eq!(refused(|profile| profile.family = CardFamily::UltralightAes), profile, "50.00 at most");
    let mut log = log();
    let mut light = next(&log);
    light.family = CardFamily::DesfireLight;
    log.propose("officer-1", Operation::ProfilePut, &put(&light)).unwrap();
}

#[test]
fn a_profile_that_does_not_agree_with_itself_is_refused() {
    let profile = Refusal::Invalid { reason: Invalid::Profile };
    assert_eq!(refused(|profile| profile.functions.clear()), profile);
    assert_eq!(refused(|profile| profile.functions = vec![Function::Membership]), profile);
    assert_eq!(refused(|profile| profile.functions.push(Function::StoredValue)), profile);
    assert_eq!(refused(|profile| profile.value = None), profile);
    assert_eq!(refused(|profile| profile.value.as_mut().unwrap().currency = 840), profile);
    assert_eq!(refused(|profile| profile.value.as_mut().unwrap().one_time = true), profile);
    assert_eq!(refused(|profile| profile.system_identifier = "41".into()), profile);
    assert_eq!(refused(|profile| profile.slots[0].key_version = 0), profile);
    let second = |profile: &mut Profile, application: &str| {
        let application = application.to_owned();
        profile.slots.push(Slot { slot: 1, application, ..profile.slots[0].clone() });
    };
    let own = next(&log()).slots[0].application.clone();
    assert_eq!(refused(|profile| second(profile, &own)), profile, "two slots with one key");
    assert_eq!(refused(|profile| profile.slots[0].key = name("value-1")), profile);
    let vector = |slot, card: &str, check_value: &str| GoldenVector {
        slot,
        card: card.to_owned(),
        check_value: check_value.to_owned(),
    };
    for bad in [
        vector(1, "04782e21801d80", "5b298c80bf"),
        vector(0, "04782e21", "5b298c80bf"),
        vector(0, "04782e21801d80", "5b298c80"),
    ] {
        assert_eq!(refused(|profile| profile.vectors = vec![bad.clone()]), profile, "{bad:?}");
    }
}

#[test]
fn slots_are_of_keys_that_exist_and_are_not_given_up() {
    let unknown = Refusal::NotFound { what: Thing::Key };
    assert_eq!(refused(|profile| profile.slots[0].key = name("nothing")), unknown);
    assert_eq!(refused(|profile| profile.slots[0].key_version = 2), unknown);
    let mut log = log();
    log.agree("officer-1", Operation::KeyRetire, &retire("master-1", 1), &TWO).unwrap();
    let request = put(&next(&log));
    log.propose("officer-1", Operation::ProfilePut, &request).unwrap();
    log.alone("officer-1", Operation::KeyCompromise, &compromise("master-1", 1)).unwrap();
    let refused = log.propose("officer-1", Operation::ProfilePut, &request).unwrap_err();
    assert!(matches!(refused, Refusal::StateConflict { reason: Conflict::KeyState { .. } }), "{refused}");
}

fn file(file: &str, text: &str) -> PolicyFile {
    PolicyFile { name: name(file), text: Blob::try_from(text.as_bytes().to_vec()).unwrap() }
}

fn policies(files: Vec<PolicyFile>) -> ProposePolicy {
    let report = Digest::new([5; 32]);
    ProposePolicy {
        schema: Schema,
        idem: idem(1),
        policy: Digest::new([8; 32]),
        files: List::try_from(files).unwrap(),
        difference: PolicyDifference { cases: 1, changed: 0, report, lines: List::default() },
        proof: PolicyProof {
            solver: "cvc5".parse().unwrap(),
            theorems: 1,
            environments: 1,
            load_max: 100_000,
            report,
        },
        reason: why(),
        replay: None,
    }
}

#[test]
fn other_policies_are_in_force_from_their_act_and_end_what_was_proposed_before() {
    let mut log = log();
    let before = log.propose("officer-1", Operation::KeyRetire, &retire("value-1", 1)).unwrap();
    assert_eq!(log.control.policies().files(), None);
    let files = vec![file("a.cedar", "// a"), file("b.cedar", "// b")];
    let leaf = log.agree("officer-1", Operation::PolicyPropose, &policies(files.clone()), &THREE).unwrap();
    assert_eq!(log.control.policy(), &Digest::new([8; 32]));
    assert_eq!(log.control.policies().files(), Some(files.as_slice()));
    assert_eq!(log.control.policies().leaf(), leaf);
    let late = log.vote("officer-2", &before, Verdict::Approve).unwrap_err();
    assert_eq!(late, Refusal::ApprovalInvalid { reason: Uncounted::OtherPolicy });
    assert_eq!(log.replayed().digest(), log.control.digest());
    log.agree("officer-1", Operation::KeyRetire, &retire("value-1", 1), &TWO).unwrap();
}

#[test]
fn policies_take_three_people() {
    let mut log = log();
    let request = policies(vec![file("a.cedar", "")]);
    let too_few = Refusal::ApprovalInvalid { reason: Uncounted::TooFew };
    assert_eq!(log.agree("officer-1", Operation::PolicyPropose, &request, &TWO), Err(too_few.clone()));
    assert_eq!(log.alone("officer-1", Operation::PolicyPropose, &request), Err(too_few));
    assert_eq!(log.propose("office-1", Operation::PolicyPropose, &request), Err(Refusal::Forbidden));
}

#[test]
fn a_policy_set_that_is_none_is_refused() {
    let long = "x".repeat(POLICY_SET_LEN_MAX / 2 + 1);
    for files in [
        vec![],
        vec![file("a.cedar", ""), file("a.cedar", "")],
        vec![file("b.cedar", ""), file("a.cedar", "")],
        vec![file("a.txt", "")],
        vec![PolicyFile { name: name("a.cedar"), text: Blob::try_from(vec![0xff]).unwrap() }],
        vec![file("a.cedar", &long), file("b.cedar", &long)],
    ] {
        let refused = log().propose("officer-1", Operation::PolicyPropose, &policies(files)).unwrap_err();
        assert_eq!(refused, Refusal::Invalid { reason: Invalid::Policy });
    }
}

#[test]
fn a_ceremony_is_recorded_by_one_officer_and_changes_nothing() {
    let mut log = log();
    let record = RecordCeremony {
        schema: Schema,
        idem: idem(1),
        title: why(),
        plan: Digest::new([1; 32]),
        transcript: Digest::new([2; 32]),
        people: List::try_from(vec![name("officer-1"), name("officer-2")]).unwrap(),
    };
    let before = log.control.digest();
    log.alone("officer-1", Operation::CeremonyRecord, &record).unwrap();
    assert_eq!(log.control.digest(), before);
    assert_eq!(log.alone("office-1", Operation::CeremonyRecord, &record), Err(Refusal::Forbidden));
}
