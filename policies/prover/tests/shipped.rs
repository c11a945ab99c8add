//! What the shipped policies are proved to be, and what the proof says of itself.
//!
//! They need cvc5 (Debian's package of that name) and fail without it: a proof that was not made is none.

use keysvc_policies::{PolicySet, SITE_POLICIES_MAX};
use keysvc_prover::{LOAD_MAX_DEFAULT, Outcome, Proof, Prover, ProverError};

fn prove(set: &PolicySet, load_max: u64) -> Proof {
    Prover::new(None).prove(set, load_max).unwrap()
}

/// The shipped policies with one more file.
fn shipped_with(text: &str) -> PolicySet {
    let shipped = PolicySet::shipped().unwrap();
    let files: Vec<_> = shipped.files().chain([("zz.cedar", text)]).collect();
    PolicySet::from_files(&files).unwrap()
}

/// The one counterexample of a single bad policy.
fn broken(text: &str) -> (String, bool) {
    let proof = prove(&PolicySet::from_files(&[("zz.cedar", text)]).unwrap(), LOAD_MAX_DEFAULT);
    let found: Vec<_> = proof.failed().collect();
    assert_eq!(found.len(), 1, "{}", proof.report());
    (found[0].1.words().to_owned(), found[0].1.is_plausible())
}

#[test]
fn the_shipped_policies_alone_take_two_people_and_officers() {
    let set = PolicySet::shipped().unwrap();
    let proof = prove(&set, LOAD_MAX_DEFAULT);
    assert!(proof.holds(), "{}", proof.report());
    assert_eq!((proof.theorems.len(), proof.environments()), (25, 25));
    assert!(proof.theorems.iter().all(|theorem| theorem.outcome == Outcome::Holds));
    assert_eq!((proof.policies, proof.load_max), (set.digest(), LOAD_MAX_DEFAULT));
    assert!(proof.solver.starts_with("cvc5 "), "{}", proof.solver);
    // Officers can stop everything at once, and nothing is impossible.
    assert!(proof.notices.is_empty(), "{}", proof.report());
    assert!(proof.report().ends_with("\n25 theorems over 25 request environments: all hold\n"));
}

#[test]
fn a_load_is_large_from_the_limit_that_is_stated() {
    let set = PolicySet::shipped().unwrap();
    assert!(prove(&set, LOAD_MAX_DEFAULT * 10).holds());
    let proof = prove(&set, LOAD_MAX_DEFAULT - 1);
    let found: Vec<_> = proof.failed().map(|(theorem, request)| (&theorem.name, request.words())).collect();
    assert_eq!(found.len(), 1, "{}", proof.report());
    assert_eq!(found[0].0, "two people: large load");
    assert!(found[0].1.contains("could load 100000 minor units"), "{}", found[0].1);
    let refused = Prover::new(None).prove(&set, u64::MAX);
    assert!(matches!(refused, Err(ProverError::LoadMax)), "{refused:?}");
}

#[test]
fn as_many_policies_as_a_site_may_have_are_proved_and_the_bad_one_among_them_is_found() {
    let text = |persons: fn(usize) -> usize| -> String {
        let policy = |number| {
            format!(
                "permit (principal, action == Action::\"freeze.lift\", resource)\n\
                 when {{ principal.organisation == \"o{number}\" && context.persons >= {} }};\n",
                persons(number)
            )
        };
        (0..SITE_POLICIES_MAX).map(policy).collect()
    };
    let good = PolicySet::from_files(&[("a.cedar", &text(|_| 2))]).unwrap();
    assert!(prove(&good, LOAD_MAX_DEFAULT).holds());
    let bad = text(|number| if number == 200 { 1 } else { 2 });
    let (words, _) = broken(&bad);
    assert!(words.starts_with("an officer of organisation \"o200\" could lift a freeze"), "{words}");
}

#[test]
fn the_same_policies_give_the_same_report_and_others_another() {
    let shipped = PolicySet::shipped().unwrap();
    let broken = shipped_with(
        "permit (principal, action in [Action::\"freeze.lift\", Action::\"key.create\"], resource)\n\
         when { principal.capabilities.containsAny([\"a\", \"b\"]) && context.departments.contains(\"x\") };",
    );
    let mut digests = Vec::new();
    for set in [&shipped, &broken] {
        let (first, second) = (prove(set, LOAD_MAX_DEFAULT), prove(set, LOAD_MAX_DEFAULT));
        assert_eq!(first.report(), second.report());
        assert_eq!(first.digest(), second.digest());
        digests.push(first.digest());
    }
    digests.push(prove(&shipped, LOAD_MAX_DEFAULT + 1).digest());
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 3);
}

#[test]
fn a_site_that_makes_stopping_slow_or_an_act_impossible_is_told_so() {
    let proof = prove(
        &shipped_with(
            "forbid (principal, action == Action::\"freeze.set\", resource) unless { context.persons >= 2 };\n\
             forbid (principal, action == Action::\"key.destroy\", resource);",
        ),
        LOAD_MAX_DEFAULT,
    );
    assert!(proof.holds(), "{}", proof.report());
    assert_eq!(
        proof.notices,
        ["no officer can set a freeze alone", "nobody can destroy a key, however many people agree"]
    );
    assert!(proof.report().contains("\nnotice: no officer can set a freeze alone\n"));
}

#[test]
fn names_that_need_care_in_formulas_come_back_as_they_were_written() {
    let (words, plausible) = broken(
        r#"permit (principal == Principal::"zoë \"z\" \\ ü", action == Action::"clock.confirm", resource);"#,
    );
    assert!(words.starts_with(r#"the officer "zoë \"z\" \\ ü" could confirm the clock"#), "{words}");
    assert!(plausible);
}

#[test]
fn the_kind_of_key_and_the_family_of_cards_are_said_where_they_matter() {
    for (action, condition, expected) in [
        ("key.create", "context.key_kind == \"storage\"", "create a key of kind \"storage\""),
        ("key.create", "context.key_kind == \"value-signing\"", "create a value-signing key"),
        ("profile.put", "!context.stored_value", "put a card profile of cards that hold no value"),
        (
            "profile.put",
            "context.family == \"plus-ev2\"",
            "put a card profile of cards of family \"plus-ev2\"",
        ),
    ] {
        let text =
            format!("permit (principal, action == Action::\"{action}\", resource) when {{ {condition} }};");
        let (words, _) = broken(&text);
        assert_eq!(words, format!("an officer could {expected} with nobody's approval"));
    }
}

#[test]
fn the_cards_that_are_made_again_are_said_where_they_matter() {
    for (condition, expected) in [
        ("context.generation == 7", "generation 7 of a card's keys"),
        ("context.cards >= 20 && context.cards <= 20", "generation 2 of the keys of 20 cards"),
        ("context.slots == 3", "generation 2 of a card's keys with 3 slots each"),
        ("resource == Profile::\"fob\"", "generation 2 of a card's keys under profile \"fob\""),
    ] {
        let text = format!(
            "permit (principal, action == Action::\"card.derive\", resource) when {{ {condition} }};"
        );
        let expected = format!("a station could derive {expected} with nobody's approval");
        assert_eq!(broken(&text), (expected, true), "{condition}");
    }
}

#[test]
fn what_the_keeper_would_never_ask_is_found_and_said_to_be_that() {
    for (condition, expected) in [
        (
            "principal.kind == \"root\"",
            "a \"root\", which is no kind, could confirm the clock with nobody's approval",
        ),
        (
            "context.departments.containsAll([\"finance\", \"sales\"])",
            "an officer could confirm the clock with the approval of 1 person of departments \"finance\" and \"sales\"",
        ),
        ("context.persons < 0", "an officer could confirm the clock with the approval of -"),
    ] {
        let text = format!(
            "permit (principal, action == Action::\"clock.confirm\", resource) when {{ {condition} }};"
        );
        let (words, plausible) = broken(&text);
        assert!(words.starts_with(expected), "{words}");
        assert!(!plausible, "{words}");
    }
}

#[test]
fn people_of_a_job_whose_very_names_matter_are_said_and_what_never_signs_is_said_to_be_that() {
    let station = "principal.kind == \"station\"";
    for (action, condition, expected, plausible) in [
        (
            "job.open",
            "context.operators.contains(\"anna\") && resource.profile == \"fob\"",
            "a station could open a job under profile \"fob\" with an operator who created it, \
             with operator \"anna\"",
            true,
        ),
        (
            "job.close",
            "context.sealed_by == \"dan\" && context.witness == \"dan\" && resource == Job::\"week-47\"",
            "a station could close the job \"week-47\" with a witness who sealed it, sealed by \"dan\", \
             with witness \"dan\"",
            true,
        ),
        (
            "job.count",
            "context.persons >= 2 && context.reviewed_by.contains(\"rita\")",
            "a station could count a job with a reviewer who operated it, reviewed by \"rita\" \
             with the approval of 2 people",
            true,
        ),
        (
            "job.incident",
            "context.operators.isEmpty()",
            "a station could report an incident of a job with a reviewer who operated it",
            false,
        ),
    ] {
        let text = format!(
            "permit (principal, action == Action::\"{action}\", resource) when {{ {station} && {condition} }};"
        );
        assert_eq!(broken(&text), (expected.to_owned(), plausible), "{condition}");
    }
}

#[test]
fn only_what_matters_is_said() {
    for (condition, expected) in [
        (
            "principal.department == \"it\" && principal.organisation == \"acme\" && context.persons == 1",
            "an officer of organisation \"acme\" and of department \"it\" could enrol an officer \
             with the approval of 1 person",
        ),
        (
            "context.subject_kind == \"terminal\" && context.subject_organisation == \"globex\"",
            "an officer could enrol a terminal of organisation \"globex\" with nobody's approval",
        ),
        (
            "principal.capabilities.containsAll([\"a\", \"b\"]) && context.departments == [\"finance\"]",
            "an officer with the capabilities \"a\" and \"b\" could enrol an officer \
             with the approval of 1 person of department \"finance\"",
        ),
    ] {
        let text = format!(
            "permit (principal, action == Action::\"principal.enrol\", resource) when {{ {condition} }};"
        );
        assert_eq!(broken(&text), (expected.to_owned(), true));
    }
}
