//! Bad policies, each planted with one hole, each refused with the request that goes through it.
//!
//! They need cvc5 (Debian's package of that name) and fail without it: a proof that was not made is none.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use keysvc_policies::PolicySet;
use keysvc_prover::{LOAD_MAX_DEFAULT, Proof, Prover};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/planted")
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The files of one planted hole: a file, or all of a folder.
fn files(name: &str) -> Vec<(String, String)> {
    let one = folder().join(format!("{name}.cedar"));
    let paths = if one.exists() { vec![one] } else { listed(&folder().join(name)) };
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn prove(name: &str) -> Proof {
    let files = files(name);
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let set = PolicySet::from_files(&files).map_err(|error| format!("{name}: {error}")).unwrap();
    Prover::new(None).prove(&set, LOAD_MAX_DEFAULT).map_err(|error| format!("{name}: {error}")).unwrap()
}

/// What a failed theorem is to say: the act, the people behind it and the words.
type Expected<'a> = (&'a str, Option<i64>, &'a str);

/// Proves the planted policies, and compares every theorem that fails.
fn refused(name: &str, expected: &[Expected<'_>]) {
    let proof = prove(name);
    let found: Vec<_> = proof.failed().map(|(_, request)| request).collect();
    assert_eq!(found.len(), expected.len(), "{}", proof.report());
    assert!(!proof.holds());
    for (request, (action, persons, words)) in found.iter().zip(expected) {
        assert_eq!((request.action(), request.persons()), (*action, *persons));
        let said = request.to_string();
        assert!(is_said(words, &said), "{words}\n{said}");
        assert!(proof.report().contains(&said), "{}", proof.report());
    }
}

/// Whether it is said so; `[..]` stands for what each version of the solver may choose.
fn is_said(expected: &str, said: &str) -> bool {
    match expected.split_once("[..]") {
        None => said == expected,
        Some((before, after)) => said.strip_prefix(before).is_some_and(|rest| rest.ends_with(after)),
    }
}

/// Every planted file or folder has its test here, and every test its file or folder.
macro_rules! planted {
    ($($test:ident: $name:literal => [$($expected:expr),+ $(,)?];)+) => {
        const NAMES: &[&str] = &[$($name),+];
        $(
            #[test]
            fn $test() {
                refused($name, &[$($expected),+]);
            }
        )+
    };
}

planted! {
    everything_permitted_breaks_every_theorem: "everything" => [
        (
            "principal.enrol",
            Some(0),
            "an officer could enrol an officer with nobody's approval; it is permitted by \
                \"everything\" (everything.cedar, line 3)",
        ),
        (
            "principal.rotate",
            Some(0),
            "an officer could get new keys of their own with nobody's approval; it is permitted by \
                \"everything\" (everything.cedar, line 3)",
        ),
        (
            "principal.enable",
            Some(0),
            "an officer could enable an officer again with nobody's approval; it is permitted by \
                \"everything\" (everything.cedar, line 3)",
        ),
        (
            "key.create",
            Some(0),
            "an officer could create a card-master key with nobody's approval; it is permitted by \
                \"everything\" (everything.cedar, line 3)",
        ),
        (
            "key.activate",
            Some(0),
            "an officer could activate a card-master key with nobody's approval; it is permitted by \
                \"everything\" (everything.cedar, line 3)",
        ),
        (
            "key.retire",
            Some(0),
            "an officer could retire a card-master key with nobody's approval; it is permitted by \
                \"everything\" (everything.cedar, line 3)",
        ),
        (
            "key.destroy",
            Some(0),
            "an officer could destroy a card-master key with nobody's approval; it is permitted by \
                \"everything\" (everything.cedar, line 3)",
        ),
        (
            "key.import",
            Some(0),
            "an officer could import a card-master key with nobody's approval; it is permitted by \
                \"everything\" (everything.cedar, line 3)",
        ),
        (
            "policy.propose",
            Some(0),
            "an officer could change the policies with nobody's approval; it is permitted by \
                \"everything\" (everything.cedar, line 3)",
        ),
        (
            "profile.put",
            Some(0),
            "an officer could put a card profile with nobody's approval; it is permitted by \
                \"everything\" (everything.cedar, line 3)",
        ),
        (
            "freeze.lift",
            Some(0),
            "an officer could lift a freeze (scope \"all\") with nobody's approval; it is permitted \
                by \"everything\" (everything.cedar, line 3)",
        ),
        (
            "quorum.set",
            Some(0),
            "an officer could change the thresholds with nobody's approval; it is permitted by \
                \"everything\" (everything.cedar, line 3)",
        ),
        (
            "clock.confirm",
            Some(0),
            "an officer could confirm the clock with nobody's approval; it is permitted by \
                \"everything\" (everything.cedar, line 3)",
        ),
        (
            "value.update",
            Some(0),
            "a terminal could load 100001 minor units of currency 978 in a programme of their own \
                organisation with nobody's approval; it is permitted by \"everything\" \
                (everything.cedar, line 3)",
        ),
        (
            "proposal.approve",
            None,
            "an operator could approve a proposal; it is permitted by \"everything\" \
                (everything.cedar, line 3)",
        ),
        (
            "proposal.reject",
            None,
            "an operator could reject a proposal; it is permitted by \"everything\" \
                (everything.cedar, line 3)",
        ),
        (
            "job.seal",
            Some(0),
            "an operator could seal a job they created; it is permitted by \"everything\" (everything.cedar, line 3)",
        ),
        (
            "job.open",
            Some(0),
            "a station could open a job with an operator who created it; it is permitted by \"everything\" (everything.cedar, line 3)",
        ),
        (
            "job.resume",
            Some(0),
            "a station could resume a job with an operator who created it; it is permitted by \"everything\" (everything.cedar, line 3)",
        ),
        (
            "job.count",
            Some(0),
            "a station could count a job with a reviewer who operated it; it is permitted by \"everything\" (everything.cedar, line 3)",
        ),
        (
            "job.incident",
            Some(0),
            "a station could report an incident of a job with a reviewer who operated it; it is permitted by \"everything\" (everything.cedar, line 3)",
        ),
        (
            "job.close",
            Some(0),
            "a station could close a job with a witness who created it; it is permitted by \"everything\" (everything.cedar, line 3)",
        ),
        (
            "job.record",
            None,
            "an operator could get the record of a job they operated; it is permitted by \"everything\" (everything.cedar, line 3)",
        ),
        (
            "job.suspend",
            Some(0),
            "an operator could suspend a job they never operated; it is permitted by \"everything\" (everything.cedar, line 3)",
        ),
        (
            "card.derive",
            Some(0),
            "a station could derive generation 2 of a card's keys with nobody's approval; it is permitted by \"everything\" (everything.cedar, line 3)",
        ),
    ];
    one_person_does_not_do_for_two: "one-person" => [
        (
            "principal.enrol",
            Some(1),
            "an officer could enrol an officer with the approval of 1 person; it is permitted by \
                \"officers with an approval\" (one-person.cedar, line 3)",
        ),
        (
            "principal.enable",
            Some(1),
            "an officer could enable an officer again with the approval of 1 person; it is permitted \
                by \"officers with an approval\" (one-person.cedar, line 3)",
        ),
        (
            "key.create",
            Some(1),
            "an officer could create a card-master key with the approval of 1 person; it is permitted \
                by \"officers with an approval\" (one-person.cedar, line 3)",
        ),
        (
            "key.activate",
            Some(1),
            "an officer could activate a card-master key with the approval of 1 person; it is \
                permitted by \"officers with an approval\" (one-person.cedar, line 3)",
        ),
        (
            "key.retire",
            Some(1),
            "an officer could retire a card-master key with the approval of 1 person; it is permitted \
                by \"officers with an approval\" (one-person.cedar, line 3)",
        ),
        (
            "key.destroy",
            Some(1),
            "an officer could destroy a card-master key with the approval of 1 person; it is \
                permitted by \"officers with an approval\" (one-person.cedar, line 3)",
        ),
        (
            "key.import",
            Some(1),
            "an officer could import a card-master key with the approval of 1 person; it is permitted \
                by \"officers with an approval\" (one-person.cedar, line 3)",
        ),
        (
            "policy.propose",
            Some(1),
            "an officer could change the policies with the approval of 1 person; it is permitted by \
                \"officers with an approval\" (one-person.cedar, line 3)",
        ),
        (
            "profile.put",
            Some(1),
            "an officer could put a card profile with the approval of 1 person; it is permitted by \
                \"officers with an approval\" (one-person.cedar, line 3)",
        ),
        (
            "freeze.lift",
            Some(1),
            "an officer could lift a freeze (scope \"all\") with the approval of 1 person; it is \
                permitted by \"officers with an approval\" (one-person.cedar, line 3)",
        ),
        (
            "quorum.set",
            Some(1),
            "an officer could change the thresholds with the approval of 1 person; it is permitted by \
                \"officers with an approval\" (one-person.cedar, line 3)",
        ),
        (
            "clock.confirm",
            Some(1),
            "an officer could confirm the clock with the approval of 1 person; it is permitted by \
                \"officers with an approval\" (one-person.cedar, line 3)",
        ),
    ];
    a_sole_officer_still_needs_a_second_person: "sole-officer" => [
        (
            "freeze.lift",
            Some(0),
            "an officer could lift a freeze (scope \"all\") with nobody's approval, where there is 1 \
                officer; it is permitted by \"officers lift freezes\" (sole-officer.cedar, line 3)",
        ),
    ];
    retiring_a_key_is_not_stopping_it: "wrong-list" => [
        (
            "key.retire",
            Some(0),
            "an officer could retire a card-master key with nobody's approval; it is permitted by \
                \"one officer stops something at once\" (wrong-list.cedar, line 3)",
        ),
    ];
    nobody_is_exempt_by_name: "named-principal" => [
        (
            "quorum.set",
            Some(0),
            "the officer \"anna\" could change the thresholds with nobody's approval; it is permitted \
                by \"two people, or anna\" (named-principal.cedar, line 3)",
        ),
        (
            "clock.confirm",
            Some(0),
            "the officer \"anna\" could confirm the clock with nobody's approval; it is permitted by \
                \"two people, or anna\" (named-principal.cedar, line 3)",
        ),
    ];
    no_capability_takes_the_place_of_a_second_person: "capability" => [
        (
            "principal.enrol",
            Some(0),
            "an officer with the capability \"recovery\" could enrol an officer with nobody's \
                approval; it is permitted by \"two people, or recovery\" (capability.cedar, line 3)",
        ),
        (
            "principal.enable",
            Some(0),
            "an officer with the capability \"recovery\" could enable an officer again with nobody's \
                approval; it is permitted by \"two people, or recovery\" (capability.cedar, line 3)",
        ),
    ];
    a_forbid_that_says_unless_the_wrong_way_round_is_found: "inverted-unless" => [
        (
            "key.create",
            Some(0),
            "an officer could create a card-master key with nobody's approval; it is permitted by \
                \"officers make keys\" (inverted-unless.cedar, line 3)",
        ),
        (
            "key.activate",
            Some(0),
            "an officer could activate a card-master key with nobody's approval; it is permitted by \
                \"officers make keys\" (inverted-unless.cedar, line 3)",
        ),
    ];
    the_freeze_of_a_card_alone_is_not_lifted_by_one: "lift-card-freeze" => [
        (
            "freeze.lift",
            Some(0),
            "an officer could lift a freeze (scope \"card\") with nobody's approval; it is permitted \
                by \"cards are lifted at once\" (lift-card-freeze.cedar, line 3)",
        ),
    ];
    no_kind_of_key_is_destroyed_by_one: "destroy-value-signing" => [
        (
            "key.destroy",
            Some(0),
            "an officer could destroy a value-signing key with nobody's approval; it is permitted by \
                \"value keys are destroyed at once\" (destroy-value-signing.cedar, line 3)",
        ),
    ];
    no_organisation_loads_without_limit: "organisation-load" => [
        (
            "value.update",
            Some(0),
            "a terminal of organisation \"acme\" could load 100001 minor units of currency 978 in a \
                programme of their own organisation with nobody's approval; it is permitted by \"acme \
                loads\" (organisation-load.cedar, line 3)",
        ),
    ];
    a_limit_with_a_zero_too_many_is_found: "limit-tenfold" => [
        (
            "value.update",
            Some(0),
            "a terminal could load 100001 minor units of currency 978 in a programme of their own \
                organisation with nobody's approval; it is permitted by \"terminals load\" (limit-tenfold.cedar, line 3)",
        ),
    ];
    a_limit_that_is_compared_the_wrong_way_round_is_found: "limit-wrong-sign" => [
        (
            "value.update",
            Some(0),
            "a terminal could load 100001 minor units of currency 978 in a programme of their own \
                organisation with nobody's approval; it is permitted by \"terminals load\" (limit-wrong-sign.cedar, line 3)",
        ),
    ];
    departments_are_no_people_even_where_the_keeper_counts_them_right: "departments-instead" => [
        (
            "profile.put",
            Some(1),
            "an officer could put a card profile with the approval of 1 person, counted as from 2 \
                departments; it is permitted by \"two departments\" (departments-instead.cedar, line 3); \
                the keeper puts no such request, but the policies must not rest on that",
        ),
    ];
    one_department_is_no_quorum: "one-department" => [
        (
            "profile.put",
            Some(1),
            "an officer could put a card profile with the approval of 1 person; it is permitted by \
                \"a department\" (one-department.cedar, line 3)",
        ),
    ];
    a_department_that_agrees_may_be_one_person: "named-department" => [
        (
            "policy.propose",
            Some(1),
            "an officer could change the policies with the approval of 1 person of department \
                \"finance\"; it is permitted by \"finance agrees\" (named-department.cedar, line 3)",
        ),
    ];
    an_officer_does_not_get_new_keys_alone: "own-keys" => [
        (
            "principal.rotate",
            Some(0),
            "an officer could get new keys of their own with nobody's approval; it is permitted by \
                \"new keys of their own\" (own-keys.cedar, line 3)",
        ),
    ];
    operators_do_not_vote: "operators-approve" => [
        (
            "proposal.approve",
            None,
            "an operator could approve a proposal; it is permitted by \"officers and operators vote\" \
                (operators-approve.cedar, line 3)",
        ),
        (
            "proposal.reject",
            None,
            "an operator could reject a proposal; it is permitted by \"officers and operators vote\" \
                (operators-approve.cedar, line 3)",
        ),
    ];
    an_act_that_the_forbid_forgot_is_found: "import-forgotten" => [
        (
            "key.import",
            Some(0),
            "an officer could import a card-master key with nobody's approval; it is permitted by \
                \"officers make keys\" (import-forgotten.cedar, line 3)",
        ),
    ];
    a_forbid_that_fails_on_large_amounts_is_found: "failing-forbid" => [
        (
            "value.update",
            Some(0),
            "a terminal could load [..] minor units of currency 978 in a programme of \
                their own organisation with nobody's approval; it is permitted by \"terminals load\" \
                (failing-forbid.cedar, line 3); \"large loads take two people\" (failing-forbid.cedar, \
                line 10) fails on it, and what fails forbids nothing",
        ),
    ];
    a_pattern_of_names_exempts_nobody: "pattern" => [
        (
            "freeze.lift",
            Some(0),
            "an officer of organisation \"[..]-emergency\" could lift a freeze (scope \"all\") with \
                nobody's approval; it is permitted by \"two people, or an emergency\" (pattern.cedar, \
                line 3)",
        ),
    ];
    no_currency_is_without_a_limit: "currency" => [
        (
            "value.update",
            Some(0),
            "a terminal could load 100001 minor units of currency 392 in a programme of their own \
                organisation with nobody's approval; it is permitted by \"terminals load\" \
                (currency.cedar, line 3)",
        ),
    ];
    machines_do_not_enrol_alone: "stations-enrol" => [
        (
            "principal.enrol",
            Some(0),
            "a station could enrol an officer with nobody's approval; it is permitted by \"stations \
                enrol terminals\" (stations-enrol.cedar, line 3)",
        ),
    ];
    two_files_that_open_a_hole_together_are_found: "two-files" => [
        (
            "key.activate",
            Some(0),
            "an officer could activate a card-master key with nobody's approval; it is permitted by \
                \"officers look after keys\" (a-permits.cedar, line 3)",
        ),
    ];
    a_role_is_no_second_person: "creator-seals" => [
        (
            "job.seal",
            Some(0),
            "an operator with the capability \"data-operator\" could seal a job they created; it is permitted by \"data operators seal\" (creator-seals.cedar, line 3)",
        ),
    ];
    officers_who_agree_do_not_make_one_person_two: "officers-overrule" => [
        (
            "job.seal",
            Some(2),
            "an operator with the capability \"data-operator\" could seal a job they created with the \
                approval of 2 people; it is permitted by \"data operators seal\" (officers-overrule.cedar, line 3)",
        ),
    ];
    nobody_is_exempt_by_name_from_a_separation: "creator-exempt" => [
        (
            "job.seal",
            Some(0),
            "the operator \"dora\" with the capability \"data-operator\" could seal a job they created; it is permitted by \"data operators seal\" (creator-exempt.cedar, line 3)",
        ),
    ];
    who_sealed_a_job_is_not_forgotten_among_its_operators: "sealer-operates" => [
        (
            "job.open",
            Some(0),
            "a station could open a job with an operator who sealed it; it is permitted by \"stations work\" (sealer-operates.cedar, line 3)",
        ),
        (
            "job.resume",
            Some(0),
            "a station could resume a job with an operator who sealed it; it is permitted by \"stations work\" (sealer-operates.cedar, line 3)",
        ),
    ];
    those_who_go_on_are_asked_as_those_who_began: "resume-forgotten" => [
        (
            "job.resume",
            Some(0),
            "a station could resume a job with an operator who created it; it is permitted by \"stations work\" (resume-forgotten.cedar, line 3)",
        ),
    ];
    who_reviewed_a_job_does_not_operate_it_afterwards: "reviewer-operates" => [
        (
            "job.resume",
            Some(0),
            "a station could resume a job with an operator who reviewed it before; it is permitted by \
                \"stations resume\" (reviewer-operates.cedar, line 3)",
        ),
    ];
    either_of_two_pasts_is_enough_to_be_refused: "all-instead-of-any" => [
        (
            "job.open",
            Some(0),
            "a station could open a job with an operator who created it; it is permitted by \"stations open\" (all-instead-of-any.cedar, line 3)",
        ),
    ];
    who_signs_a_count_as_its_operator_does_not_review_it: "operator-reviews" => [
        (
            "job.count",
            Some(0),
            "a station could count a job with a reviewer who signs as its operator; it is permitted by \"stations count\" (operator-reviews.cedar, line 3)",
        ),
    ];
    incidents_are_reviewed_by_others_as_counts_are: "incident-forgotten" => [
        (
            "job.incident",
            Some(0),
            "a station could report an incident of a job with a reviewer who operated it; it is permitted by \"stations count and report\" (incident-forgotten.cedar, line 3)",
        ),
    ];
    who_reviewed_before_is_no_reviewer_for_ever: "earlier-reviewer" => [
        (
            "job.count",
            Some(0),
            "a station could count a job with a reviewer who operated it and reviewed it before; it is permitted by \"stations count\" (earlier-reviewer.cedar, line 3)",
        ),
    ];
    who_sealed_a_job_does_not_witness_its_purge: "sealer-witnesses" => [
        (
            "job.close",
            Some(0),
            "a station could close a job with a witness who sealed it; it is permitted by \"stations close\" (sealer-witnesses.cedar, line 3)",
        ),
    ];
    who_operated_a_job_does_not_witness_its_purge: "operator-witnesses" => [
        (
            "job.close",
            Some(0),
            "a station could close a job with a witness who operated it; it is permitted by \"stations close\" (operator-witnesses.cedar, line 3)",
        ),
    ];
    no_customer_is_without_a_third_person: "customer-witnesses" => [
        (
            "job.close",
            Some(0),
            "a station could close a job for customer \"acme\" with a witness who created it; it is permitted by \"stations close\" (customer-witnesses.cedar, line 3)",
        ),
    ];
    who_counted_blind_stays_blind: "operator-reads-record" => [
        (
            "job.record",
            None,
            "an operator with the capability \"reviewer\" could get the record of a job they operated; it is permitted by \"reviewers get records\" (operator-reads-record.cedar, line 3)",
        ),
    ];
    nobody_suspends_the_work_of_others: "anybody-suspends" => [
        (
            "job.suspend",
            Some(0),
            "an operator with the capability \"station-operator\" could suspend a job they never operated; it is permitted by \"station operators suspend\" (anybody-suspends.cedar, line 3)",
        ),
    ];
    the_second_generation_is_another_one: "generation-off-by-one" => [
        (
            "card.derive",
            Some(0),
            "a station could derive generation 2 of a card's keys with nobody's approval; it is permitted by \"stations derive\" (generation-off-by-one.cedar, line 3)",
        ),
    ];
    a_development_instance_makes_no_card_twice_alone: "generation-development" => [
        (
            "card.derive",
            Some(0),
            "a station could derive generation 2 of a card's keys with nobody's approval, on a development instance; it is permitted by \"stations derive\" (generation-development.cedar, line 3)",
        ),
    ];
}

#[test]
fn every_planted_policy_is_tried_and_says_first_what_is_wrong_with_it() {
    let names: BTreeSet<_> =
        listed(&folder()).iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, NAMES.iter().map(|name| (*name).to_owned()).collect());
    assert!(names.len() >= 40);
    for (file, text) in names.iter().flat_map(|name| files(name)) {
        let first = text.lines().next().unwrap();
        assert!(first.starts_with("// Wrong: ") && first.contains("The counterexample "), "{file}: {first}");
    }
}
