//! Logs with imports, profiles and policies that changed, and what the verification says of each.

use crate::{
    finding::{Finding, JobProblem, PeopleProblem, Problem, ValueProblem},
    report,
    sample::{ALICE, BOB, COMPONENTS, FIRST, IMPORTED, Sample, start, uid},
};
use keysvc_protocol::{
    bundle::{BundleProgramme, TrustBundle},
    bytes::{Blob, Digest},
    checkpoint::SignedCheckpoint,
    founding::Profile,
    job::Counts,
    key::{CheckValue, KeyKind, KeyRecord},
    leaf::{BundleMadeLeaf, CardKeysDerivedLeaf, LeafKind},
    list::List,
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    request::{Operation, ValueOperation},
    schema::Schema,
    value::ValueUpdate,
};
use serde_json::json;

fn found(sample: &Sample) -> Vec<Finding> {
    sample.export().controls().findings.kept().to_vec()
}

fn at(index: u64, problem: impl Into<Problem>) -> Vec<Finding> {
    vec![Finding { leaf: Some(index), problem: problem.into() }]
}

/// Puts the next version of the profile into use, bent so.
fn put(sample: &mut Sample, bend: impl FnOnce(&mut Profile)) -> u64 {
    let mut profile = sample.next_profile();
    bend(&mut profile);
    sample.put_profile(profile)
}

fn load(amount: u64) -> impl FnOnce(&mut ValueUpdate) {
    move |update| {
        update.amount = amount;
        update.balance_after = update.balance_before + amount;
    }
}

#[test]
fn a_log_with_an_import_a_profile_and_other_policies_is_verified_and_told() {
    let sample = Sample::ruled();
    let verification = sample.export().controls();
    assert_eq!(verification.findings.kept(), []);
    let text = report::controls_text(&verification);
    for said in [
        "key fob-master version 2 with check value 7777777777 from component 1 of alice at leaf 14 and component 2 of \
         dora at leaf 13, made; asked by alice, agreed: alice (finance), bob (operations)",
        "from leaf 24, 2026-11-18 11:07:04 UTC: version 2 of card profile fob in use, for desfire-ev3 cards; asked by \
         alice",
        "in force; asked by alice, agreed: alice (finance), bob (operations)",
        "fob version 1, desfire-ev3, the founding's",
        "fob version 2, desfire-ev3, since leaf 24",
        ", since leaf 36",
        "Record that the ceremony of plan",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let report = report::controls_json(&verification);
    let changes = report["log"]["changes"].as_array().unwrap();
    let what: Vec<_> = changes.iter().map(|change| (&change["what"], &change["leaf"])).collect();
    assert_eq!(
        what,
        [(&json!("import"), &json!(12)), (&json!("profile"), &json!(24)), (&json!("policies"), &json!(36))]
    );
    assert_eq!(changes[0]["components"][1], json!({ "number": 2, "custodian": "dora", "leaf": 13 }));
    assert_eq!(report["log"]["standing"]["policy_leaf"], 36);
}

#[test]
fn each_update_is_checked_by_the_rules_in_force_at_its_leaf() {
    let mut sample = Sample::good();
    sample.update(load(9500));
    let mut late = sample.clone();
    let act = put(&mut sample, |profile| profile.value.as_mut().unwrap().load_max = 900);
    assert_eq!(found(&sample), [], "what was done before stands by the rules of then");
    sample.update(load(901));
    let problem = ValueProblem::PastLimit { what: "the load", found: 901, limit: 900 };
    assert_eq!(found(&sample), at(act + 1, problem));
    let act = put(&mut late, |profile| profile.value.as_mut().unwrap().purses = vec![2]);
    late.update(load(100));
    assert_eq!(found(&late), at(act + 1, ValueProblem::NoPurse(1)));
}

#[test]
fn a_second_load_of_a_purse_that_is_not_reloadable_is_found() {
    let mut sample = Sample::good();
    let act = put(&mut sample, |profile| profile.value.as_mut().unwrap().reloadable = false);
    sample.update(|update| {
        update.operation = ValueOperation::Debit;
        update.balance_after = update.balance_before - update.amount;
    });
    assert_eq!(found(&sample), []);
    let mut again = sample.clone();
    again.update(|_| {});
    assert_eq!(found(&again), at(act + 2, ValueProblem::NotReloadable));
    // Another card's purse is loaded once.
    sample.last_update.clear();
    sample.update(|update| update.card = "04000000000009".parse().unwrap());
    assert_eq!(found(&sample), []);
}

#[test]
fn a_job_names_a_version_of_the_profile_that_is_in_use_and_keeps_it() {
    let mut sample = Sample::working();
    let import = sample.order_import();
    sample.give(import, 1);
    sample.give(import, 2);
    let key = sample.imported();
    sample.comes_in(&key);
    sample.activate_imported();
    let mut early = sample.clone();
    let index = early.create_job("nfc-2", Sample::head(2));
    let refused = |operation, why| JobProblem::Refused {
        operation: Some(operation),
        job: Some("nfc-2".parse().unwrap()),
        why,
    };
    let none = Refusal::NotFound { what: Thing::Profile };
    assert_eq!(found(&early), at(index, refused(Operation::JobCreate, none)));
    put(&mut sample, |profile| profile.slots.iter_mut().for_each(|slot| slot.key_version = 2));
    // The job before goes on by the version it was sealed with.
    let old = sample.derived(1, 3);
    sample.push(LeafKind::CardKeysDerived, &old);
    assert_eq!(found(&sample), []);
    let cards = [crate::sample::CARD.parse().unwrap(), uid(2), uid(1003), uid(2003)];
    sample.all_good(FIRST, &cards);
    let counts = Counts { good: 4, returned: 6, ..Counts::default() };
    sample.count_job(FIRST, counts);
    sample.end_job(FIRST);
    sample.create_job("nfc-2", Sample::head(2));
    sample.seal_job("data-2", "nfc-2");
    sample.open_job("nfc-2", 2);
    sample.derive("nfc-2", 2, &[uid(3), uid(4)]);
    assert_eq!(found(&sample), []);
    let mixed = sample.derived_of("nfc-2", (2, 4), 1, &[uid(5), uid(6)]);
    let mixed = CardKeysDerivedLeaf { root: old.root, ..mixed };
    let index = sample.push(LeafKind::CardKeysDerived, &mixed);
    let root = Refusal::Invalid { reason: Invalid::Encoding };
    let problem = refused(Operation::CardDerive, root);
    assert_eq!(found(&sample), at(index, problem), "the root is over keys of the old version");
}

#[test]
fn a_key_is_not_made_before_every_component_was_given() {
    let mut sample = Sample::good();
    let import = sample.order_import();
    let key = sample.imported();
    let mut none = sample.clone();
    let index = none.intend(&key);
    let missing = |missing| PeopleProblem::ComponentsMissing { leaf: 9, missing };
    assert_eq!(found(&none), at(index, missing(vec![1, 2])));
    sample.give(import, 2);
    let index = sample.intend(&key);
    let findings = found(&sample);
    assert_eq!(findings, at(index, missing(vec![1])));
    assert_eq!(
        findings[0].to_string(),
        "leaf 11: the key that people ordered at leaf 9 comes in as components, and component 1 was not given before"
    );
}

#[test]
fn an_imported_key_has_the_check_value_that_people_ordered_and_comes_from_outside() {
    let given = || {
        let mut sample = Sample::good();
        let import = sample.order_import();
        sample.give(import, 1);
        sample.give(import, 2);
        sample
    };
    let mut sample = given();
    let good = sample.imported();
    let other = CheckValue::Cmac { value: COMPONENTS[0] };
    let index = sample.comes_in(&KeyRecord { check: other, ..good.clone() });
    let problem = PeopleProblem::ImportedOther { leaf: 9, ordered: IMPORTED, found: other };
    let findings = found(&sample);
    assert_eq!(findings, at(index, problem));
    assert_eq!(
        findings[0].to_string(),
        "leaf 13: the key that came in has the check value a1a1a1a1a1, people ordered 7777777777 at leaf 9"
    );
    let mut sample = given();
    let mut read = good.attributes.to_vec();
    read[0].value = "true".to_owned();
    let index = sample.comes_in(&KeyRecord { attributes: read.try_into().unwrap(), ..good.clone() });
    assert_eq!(found(&sample), at(index, PeopleProblem::ImportedLocal { leaf: 9 }));
    // A record that does not say it is no better than one that says the wrong.
    let mut none = good.clone();
    none.attributes = List::default();
    let mut odd = good.clone();
    let mut read = good.attributes.to_vec();
    read[0].value = "unknown".to_owned();
    odd.attributes = read.try_into().unwrap();
    for silent in [&none, &odd] {
        let mut sample = given();
        let index = sample.comes_in(silent);
        assert_eq!(found(&sample), at(index, PeopleProblem::NoOrigin { leaf: 9 }));
        let mut sample = Sample::good();
        let order = sample.order("fob-master", KeyKind::CardMaster);
        sample.agreed(Operation::KeyCreate, &order);
        let index = sample.comes_in(silent);
        assert_eq!(found(&sample), at(index, PeopleProblem::NoOrigin { leaf: 9 }));
    }
    // The other way round: a key that the token was to make.
    let mut sample = Sample::good();
    let order = sample.order("fob-master", KeyKind::CardMaster);
    sample.agreed(Operation::KeyCreate, &order);
    let index = sample.comes_in(&good);
    assert_eq!(found(&sample), at(index, PeopleProblem::MadeElsewhere { leaf: 9 }));
}

#[test]
fn a_component_that_is_given_after_its_key_was_made_is_found() {
    let mut sample = Sample::good();
    let import = sample.order_import();
    sample.give(import, 1);
    sample.give(import, 2);
    let key = sample.imported();
    sample.comes_in(&key);
    assert_eq!(found(&sample), []);
    let index = sample.give(import, 2);
    let why = Refusal::StateConflict { reason: Conflict::ProposalEnded };
    assert_eq!(found(&sample), at(index, PeopleProblem::Refused { what: "the change", why }));
}

#[test]
fn an_import_is_not_agreed_to_by_its_custodians_alone() {
    let why = Refusal::ApprovalInvalid { reason: Uncounted::CustodiansAlone };
    let (sample, _, index) = Sample::custodians_alone();
    assert_eq!(found(&sample), at(index, PeopleProblem::Refused { what: "the act", why: why.clone() }));
    let mut sample = Sample::good();
    let index = sample.propose_custodians_alone();
    assert_eq!(found(&sample), at(index, PeopleProblem::Refused { what: "the proposal", why }));
}

#[test]
fn a_start_and_a_proposal_name_the_policies_in_force_at_their_leaf() {
    let mut sample = Sample::good();
    sample.put_policies(92);
    sample.push(LeafKind::Start, &start(92));
    assert_eq!(found(&sample), []);
    let mut back = sample.clone();
    let index = back.push(LeafKind::Start, &start(91));
    assert_eq!(found(&back), at(index, Problem::OtherPolicy));
    let request = sample.proposed(("alice", ALICE), Operation::PolicyPropose, &sample.policies(93));
    let proposal = sample.drafted(request, None);
    let policy = Digest::new([91; 32]);
    let index = u64::try_from(sample.leaves.len()).unwrap();
    sample.propose(&keysvc_protocol::proposal::Proposal { policy, ..proposal });
    let why = Refusal::ApprovalInvalid { reason: Uncounted::OtherPolicy };
    assert_eq!(found(&sample), at(index, PeopleProblem::Refused { what: "the proposal", why }));
}

#[test]
fn policies_profiles_and_imports_by_one_alone_are_found() {
    let alone =
        |sample: &Sample, operation, request: &dyn Fn(&Sample) -> keysvc_protocol::proposal::Proposed| {
            let mut sample = sample.clone();
            let request = request(&sample);
            let index = sample.push(LeafKind::SiteChanged, &Sample::changed(&request));
            assert_eq!(found(&sample), at(index, PeopleProblem::Alone(operation)));
        };
    let sample = Sample::good();
    alone(&sample, Operation::KeyImport, &|sample| {
        sample.proposed(("alice", ALICE), Operation::KeyImport, &sample.import())
    });
    alone(&sample, Operation::PolicyPropose, &|sample| {
        sample.proposed(("bob", BOB), Operation::PolicyPropose, &sample.policies(92))
    });
    alone(&sample, Operation::ProfilePut, &|sample| {
        let request = sample.put_request(sample.next_profile());
        sample.proposed(("bob", BOB), Operation::ProfilePut, &request)
    });
}

#[test]
fn where_a_change_is_withheld_nobody_is_accused_of_breaking_the_rules_before_it() {
    let mut sample = Sample::good();
    let act = put(&mut sample, |profile| profile.value.as_mut().unwrap().load_max = 12_000);
    sample.update(load(11_000));
    let policies = sample.put_policies(92);
    sample.push(LeafKind::Start, &start(92));
    assert_eq!(found(&sample), []);
    sample.withhold(act);
    sample.withhold(policies);
    let verification = sample.export().controls();
    assert_eq!(verification.findings.kept(), []);
    let kinds = verification.proved.unwrap().kinds;
    let unchecked = |kind: &str| kinds.iter().any(|(name, count)| *name == kind && count.not_checked == 1);
    assert!(unchecked("value updated") && unchecked("start"), "{kinds:?}");
}

#[test]
fn a_trust_bundle_says_the_limits_of_the_profile_in_use() {
    let bundle = |sample: &Sample, load_max| {
        let founded = crate::sample::founding_leaf();
        let log_key = founded.keys.iter().find(|key| key.kind == KeyKind::Checkpoint).unwrap();
        let log_key = log_key.public.as_ref().unwrap().as_bytes().to_vec();
        let programme = BundleProgramme {
            name: "coffee".parse().unwrap(),
            organisation: "cafe".parse().unwrap(),
            currency: 978,
            value_key: "coffee-value".parse().unwrap(),
            profile: "fob".parse().unwrap(),
            purses: List::try_from(vec![1]).unwrap(),
            ceiling: 15_000,
            load_max,
            debit_max: 5000,
        };
        let bundle = TrustBundle {
            schema: Schema,
            trust_domain: "demo.keysvc.test".parse().unwrap(),
            genesis: sample.genesis(),
            development: true,
            made_at_ms: sample.next_time(),
            not_after_ms: sample.next_time() + 1000,
            log_key: Blob::try_from(log_key).unwrap(),
            checkpoint: SignedCheckpoint::parse(&sample.note()).unwrap(),
            value_keys: List::default(),
            programmes: List::try_from(vec![programme]).unwrap(),
            denied: List::default(),
        };
        BundleMadeLeaf {
            schema: Schema,
            bundle: Blob::try_from(keysvc_protocol::cbor::encode(&bundle)).unwrap(),
        }
    };
    let mut sample = Sample::good();
    let leaf = bundle(&sample, 10_000);
    sample.push(LeafKind::BundleMade, &leaf);
    put(&mut sample, |profile| profile.value.as_mut().unwrap().load_max = 900);
    assert_eq!(found(&sample), []);
    let leaf = bundle(&sample, 10_000);
    let index = sample.push(LeafKind::BundleMade, &leaf);
    assert_eq!(found(&sample), at(index, Problem::BundleRules("coffee".parse().unwrap())));
}
