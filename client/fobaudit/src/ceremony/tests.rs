//! A good ceremony, and forged ones with one thing wrong each.

use super::{
    problem::{Names, Paper, Problem, StepProblem},
    *,
};
use crate::sample::{ALICE, BOB, Ceremony, DORA, Sample, TestKey};
use keysvc_protocol::{
    cbor,
    ceremony::{CeremonyError, Fact, Role, Text},
    cose::CoseError,
    founding::PrincipalKind,
    key::KeyKind,
    request::{CreateKey, EnrolPrincipal, Operation, ProposePolicy, PutProfile},
    schema::Schema,
};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn names(all: &[&str]) -> Names {
    Names(all.iter().map(|text| name(text)).collect())
}

fn at(number: u16, what: StepProblem) -> Problem {
    Problem::Step { number, what }
}

/// What is found of a ceremony that was bent before its transcript was made.
fn found(bend: impl FnOnce(&mut Ceremony)) -> Vec<Problem> {
    let mut ceremony = Ceremony::held();
    bend(&mut ceremony);
    let file = ceremony.ended();
    ceremony.verify(&file).problems
}

/// What is found where the signatures or the anchor are made otherwise.
fn ended(end: impl FnOnce(&mut Ceremony, &[u8]) -> Vec<Vec<u8>>) -> Vec<Problem> {
    let mut ceremony = Ceremony::held();
    let transcript = cbor::encode(&ceremony.transcript());
    let agreements = end(&mut ceremony, &transcript);
    ceremony.verify(&Ceremony::file(&transcript, &agreements)).problems
}

#[test]
fn a_ceremony_that_went_as_planned_is_verified_with_every_fact_that_the_log_knows() {
    let mut ceremony = Ceremony::held();
    let file = ceremony.ended();
    let held = ceremony.verify(&file);
    assert_eq!(held.problems, []);
    assert_eq!((held.count(Outcome::Done), held.steps.len()), (11, 11));
    assert!(held.steps.iter().all(|step| step.notes.is_empty() && step.drift_ms.is_none()));
    let leaf = u64::try_from(ceremony.sample.leaves.len()).unwrap() - 1;
    assert_eq!(held.anchored.map(|(leaf, _, by)| (leaf, by)), Some((leaf, name("bob"))));
    assert_eq!(held.departments[&name("dora")], name("bureau"));
    let compared: Vec<_> = held.steps.iter().map(|step| step.compared.as_slice()).collect();
    assert_eq!(compared[0], [true, true]);
    assert_eq!(compared[5], [true; 6]);
    assert_eq!(compared[9], [true, true, true, false]);
    let leaves: Vec<_> = held.steps.iter().map(|step| step.leaf).collect();
    assert_eq!(leaves[..6], [None, Some(6), Some(7), Some(8), Some(10), Some(11)]);
}

#[test]
fn a_rehearsal_proves_nothing() {
    assert_eq!(found(|ceremony| ceremony.rehearsal = true), [Problem::Rehearsal]);
}

#[test]
fn a_file_of_another_log_or_service_is_told_before_anything_is_compared() {
    let other = Digest::new([9; 32]);
    let expected = Problem::OtherLog { paper: Paper::Transcript, found: other };
    assert_eq!(found(|ceremony| ceremony.genesis = other), [expected]);
    let plan = |ceremony: &mut Ceremony| {
        ceremony.plan = ceremony.plan.replace("demo.keysvc.test", "other.keysvc.test");
    };
    let found_domain = "other.keysvc.test".parse().unwrap();
    assert_eq!(found(plan), [Problem::OtherDomain { paper: Paper::Plan, found: found_domain }]);
    // Another log of the same people.
    let mut ceremony = Ceremony::held();
    let file = ceremony.ended();
    let mut leaf = crate::sample::founding_leaf();
    let mut signatures = leaf.signatures.into_vec();
    signatures.reverse();
    leaf.signatures = signatures.try_into().unwrap();
    let genesis = ceremony.genesis;
    let held = Ceremony::verify_by(&Sample::founded_by(&leaf).export(), &file);
    let other = |paper| Problem::OtherLog { paper, found: genesis };
    assert_eq!(held.problems, [other(Paper::Transcript), other(Paper::Plan)]);
    assert!(held.verification.is_none());
}

#[test]
fn a_step_that_is_dropped_swapped_or_altered_breaks_the_chain() {
    let mut transcript = Ceremony::held().transcript();
    let read = |steps: Vec<keysvc_protocol::ceremony::StepRecord>| {
        let mut transcript = Ceremony::held().transcript();
        transcript.steps = steps.try_into().unwrap();
        let bytes = Ceremony::file(&cbor::encode(&transcript), &[]);
        let ceremony = Ceremony::held();
        ceremony.verify(&bytes).problems
    };
    let steps = std::mem::take(&mut transcript.steps).into_vec();
    let mut dropped = steps.clone();
    dropped.remove(4);
    assert_eq!(read(dropped), [Problem::Form(CeremonyError::Chain { number: 5 })]);
    let mut swapped = steps.clone();
    swapped.swap(2, 3);
    assert_eq!(read(swapped), [Problem::Form(CeremonyError::Chain { number: 3 })]);
    let mut altered = steps;
    altered[0].initials = Text::lossy("XX");
    assert_eq!(read(altered), [Problem::Form(CeremonyError::Chain { number: 2 })]);
}

#[test]
fn steps_that_are_dropped_at_the_end_or_linked_anew_are_told() {
    let end = |ceremony: &mut Ceremony| drop(ceremony.steps.pop());
    assert_eq!(found(end), [Problem::Steps { planned: 11, found: 10 }]);
    // The two approvals in the other order, numbered and linked as if it had been so.
    let swapped = found(|ceremony| {
        ceremony.steps.swap(2, 3);
        let times = |step: &keysvc_protocol::ceremony::StepRecord| (step.started_ms, step.ended_ms);
        let (one, other) = (times(&ceremony.steps[2]), times(&ceremony.steps[3]));
        let [first, second] = &mut ceremony.steps[2..4] else { unreachable!() };
        (first.number, first.started_ms, first.ended_ms) = (3, other.0, other.1);
        (second.number, second.started_ms, second.ended_ms) = (4, one.0, one.1);
    });
    let person = |planned, found| StepProblem::OtherPerson { planned: name(planned), found: name(found) };
    let order = StepProblem::OutOfOrder { leaf: 7, before: 3, at: 8 };
    assert_eq!(swapped, [at(3, person("alice", "bob")), at(4, person("bob", "alice")), at(4, order)]);
}

#[test]
fn a_fact_that_the_log_does_not_say_is_found() {
    let fact = |step: usize, place: usize, value: &'static str| {
        move |ceremony: &mut Ceremony| {
            let mut facts = ceremony.steps[step - 1].facts.to_vec();
            facts[place].value = Text::lossy(value);
            ceremony.steps[step - 1].facts = facts.try_into().unwrap();
        }
    };
    let said = |number, name: &str, stated: &str, found: &str| {
        let (name, stated, found) = (name.to_owned(), stated.to_owned(), found.to_owned());
        [at(number, StepProblem::Fact { name, stated, found })]
    };
    assert_eq!(found(fact(10, 0, "0102030405")), said(10, "check-value", "0102030405", "7777777777"));
    assert_eq!(found(fact(10, 1, "suspended")), said(10, "state", "suspended", "active"));
    // What it was before the step that activated it.
    assert_eq!(found(fact(10, 1, "pre-activation")), said(10, "state", "pre-activation", "active"));
    assert_eq!(found(fact(10, 2, "false")), said(10, "CKA_SENSITIVE", "false", "true"));
    assert_eq!(found(fact(5, 1, "0102030405")), said(5, "check-value", "0102030405", "a1a1a1a1a1"));
    assert_eq!(found(fact(6, 5, "true")), said(6, "CKA_LOCAL", "true", "false"));
    assert_eq!(found(fact(1, 1, "00")), said(1, "policy", "00", &Digest::new([91; 32]).to_string()));
    assert_eq!(found(fact(10, 3, "4712")), [], "the log knows no envelope");
}

#[test]
fn what_held_long_before_the_ceremony_is_no_fact_of_it() {
    let mut ceremony = Ceremony::planned();
    ceremony.sample.put_policies(92);
    ceremony.sample.later_ms = 600_000;
    ceremony.go();
    let file = ceremony.ended();
    let [stated, found] = [91, 92].map(|policy| Digest::new([policy; 32]).to_string());
    let what = StepProblem::Fact { name: "policy".to_owned(), stated, found };
    assert_eq!(ceremony.verify(&file).problems, [at(1, what)]);
}

#[test]
fn what_a_step_states_of_its_proposal_and_key_is_compared_with_the_log() {
    let mut ceremony = Ceremony::held();
    let log = ceremony.sample.export().controls().proved.unwrap().controls.acts.unwrap();
    let sentence = log.kept()[0].sentence.clone().unwrap();
    let proposal = ceremony.steps[1].proposal.unwrap().to_string();
    let key = ceremony.sample.imported();
    let (id, made) = (key.id.to_string(), "1795000012000".to_owned());
    let facts = |facts: &[(&str, &str)]| {
        let facts = facts.iter().map(|(name, value)| Fact::new(name, value));
        keysvc_protocol::list::List::try_from(facts.collect::<Vec<_>>()).unwrap()
    };
    ceremony.steps[1].facts = facts(&[
        ("proposal", &proposal),
        ("proposal-leaf", "6"),
        ("operation", "key.import"),
        ("sentence", &sentence),
    ]);
    ceremony.steps[3].facts = facts(&[("vote-leaf", "8"), ("leaf", "9"), ("sentence", &sentence)]);
    ceremony.steps[9].facts = facts(&[
        ("key", "fob-master"),
        ("version", "2"),
        ("kind", "card-master"),
        ("check-method", "cmac"),
        ("identifier", &id),
        ("made-at-ms", &made),
        ("test-key", "false"),
    ]);
    let good = ceremony.clone();
    let file = ceremony.ended();
    let held = ceremony.verify(&file);
    assert_eq!(held.problems, []);
    let all = [1, 3, 9].map(|place: usize| held.steps[place].compared.iter().all(|compared| *compared));
    assert_eq!(all, [true; 3]);
    for (step, places) in [(1, 4), (3, 3), (9, 7)] {
        for place in 0..places {
            let mut ceremony = good.clone();
            let mut facts = ceremony.steps[step].facts.to_vec();
            facts[place].value = Text::lossy("otherwise");
            ceremony.steps[step].facts = facts.try_into().unwrap();
            let file = ceremony.ended();
            let problems = ceremony.verify(&file).problems;
            let number = u16::try_from(step + 1).unwrap();
            assert!(
                matches!(problems.as_slice(), [Problem::Step { number: found, what: StepProblem::Fact { .. } }] if *found == number),
                "{number} {place}: {problems:?}"
            );
        }
    }
}

#[test]
fn everybody_of_the_plan_signs_and_nobody_else() {
    let missing = |paper, person| Problem::Missing { paper, person: name(person) };
    let without = ended(|ceremony, transcript| {
        ceremony.anchor(transcript);
        ceremony.agreements(transcript)[..3].to_vec()
    });
    assert_eq!(without, [missing(Paper::Transcript, "wilma")]);
    assert_eq!(found(|ceremony| drop(ceremony.plan_agreements.remove(2))), [missing(Paper::Plan, "dora")]);
    let twice = ended(|ceremony, transcript| {
        ceremony.anchor(transcript);
        let mut agreements = ceremony.agreements(transcript);
        agreements.push(agreements[1].clone());
        agreements
    });
    assert_eq!(twice, [Problem::Twice { paper: Paper::Transcript, person: name("bob") }]);
    let stranger = ended(|ceremony, transcript| {
        ceremony.anchor(transcript);
        let mut agreements = ceremony.agreements(transcript);
        agreements.push(ceremony.agreement(transcript, ("mallory", Role::Witness), 77));
        agreements
    });
    let kid = TestKey::new(77).public().identifier();
    assert_eq!(stranger, [Problem::Stranger { paper: Paper::Transcript, kid }]);
}

#[test]
fn a_signature_by_another_key_is_found() {
    let with = |seed: u8, role: (&'static str, Role)| {
        ended(move |ceremony, transcript| {
            ceremony.anchor(transcript);
            let mut agreements = ceremony.agreements(transcript);
            agreements[3] = ceremony.agreement(transcript, role, seed);
            agreements
        })
    };
    let paper = Paper::Transcript;
    let kid = TestKey::new(77).public().identifier();
    let missing = Problem::Missing { paper, person: name("wilma") };
    assert_eq!(with(77, ("wilma", Role::Witness)), [Problem::Stranger { paper, kid }, missing.clone()]);
    // Dora's own key for wilma: one key is one person.
    let role = Problem::OtherRole { paper, person: name("dora"), name: name("wilma"), role: Role::Witness };
    assert_eq!(with(DORA, ("wilma", Role::Witness)), [role, missing]);
    let broken = ended(|ceremony, transcript| {
        ceremony.anchor(transcript);
        let mut agreements = ceremony.agreements(transcript);
        let last = agreements[0].len() - 40;
        agreements[0][last] ^= 1;
        agreements
    });
    let why = CoseError::BadSignature;
    assert_eq!(broken, [Problem::Signature { paper, person: name("alice"), why }]);
    // An agreement to the plan under the transcript.
    let of_plan = ended(|ceremony, transcript| {
        ceremony.anchor(transcript);
        let mut agreements = ceremony.agreements(transcript);
        agreements[0] = ceremony.plan_agreements[0].clone();
        agreements
    });
    let why = CoseError::WrongKind;
    assert_eq!(of_plan, [Problem::Signature { paper, person: name("alice"), why }]);
}

#[test]
fn a_plan_other_than_the_signed_one_is_found() {
    let mut before = Digest::new([0; 32]);
    let problems = found(|ceremony| {
        *ceremony = Ceremony::planned();
        before = sha256(&[ceremony.plan.as_bytes()]);
        ceremony.plan = ceremony.plan.replace("Room 4", "Room 5");
        ceremony.go();
    });
    let other = |person| Problem::Other { paper: Paper::Plan, person: name(person), found: before };
    assert_eq!(problems, ["alice", "bob", "dora", "wilma"].map(other));
    let unsound = found(|ceremony| ceremony.plan = ceremony.plan.replace("of-step = 7", "of-step = 9"));
    assert!(matches!(unsound.as_slice(), [Problem::PlanUnsound(_)]), "{unsound:?}");
    let form = found(|ceremony| ceremony.plan.push_str("colour = 1\n"));
    assert!(matches!(form.as_slice(), [Problem::PlanForm(_)]), "{form:?}");
}

#[test]
fn an_act_for_another_key_is_found() {
    let problems = found(|ceremony| {
        *ceremony = Ceremony::planned();
        ceremony.step("wilma", &[], |_| (None, None));
        let idem = ceremony.idem();
        let request =
            CreateKey { schema: Schema, idem, name: name("other-master"), kind: KeyKind::CardMaster };
        ceremony.agreed(("alice", ALICE), Operation::KeyCreate, &request, &[ALICE, BOB]);
        finish(ceremony);
    });
    let planned = "import the next version of key fob-master (7777777777) from components of alice \
                   (a1a1a1a1a1), dora (d0d0d0d0d0)";
    let what = "make the next version of key other-master (card-master)";
    let other = StepProblem::AsksOther { planned: planned.to_owned(), found: what.to_owned() };
    assert_eq!(problems, [at(2, other)]);
}

/// Records the rest of the plan as failed.
fn finish(ceremony: &mut Ceremony) {
    for number in ceremony.steps.len() + 1..=11 {
        let by = ["", "", "", "", "alice", "dora", "bob", "alice", "bob", "wilma", "wilma"][number - 1];
        ceremony.step(by, &[], |_| (None, None));
        ceremony.deviates(number, Outcome::Failed, "given up");
    }
}

#[test]
fn an_approval_that_is_missing_or_of_another_proposal_is_found() {
    // Bob's record says that he approved, and the log does not.
    let problems = found(|ceremony| {
        *ceremony = Ceremony::planned();
        ceremony.step("wilma", &[], |_| (None, None));
        ceremony.import(&[ALICE]);
        // One approval is no act, so the log has a vote and no more of it.
        let act = ceremony.sample.leaves.pop();
        assert!(act.is_some());
        ceremony.sample.later_ms = 1000;
        ceremony.steps[2].leaf = None;
        let proposal = ceremony.steps[1].proposal;
        ceremony.step("bob", &[], |_| (proposal, None));
        finish(ceremony);
    });
    assert_eq!(problems, [at(2, StepProblem::NoAct), at(4, StepProblem::NotApproved(name("bob")))]);
    let other = found(|ceremony| ceremony.steps[8].proposal = ceremony.steps[1].proposal);
    assert_eq!(other, [at(9, StepProblem::OtherProposal(7))]);
    let same = found(|ceremony| ceremony.steps[6].proposal = ceremony.steps[1].proposal);
    assert!(same.contains(&at(7, StepProblem::SameProposal(2))), "{same:?}");
    let none = found(|ceremony| ceremony.steps[6].proposal = None);
    assert!(none.contains(&at(7, StepProblem::NoProposal)), "{none:?}");
    let unknown = keysvc_protocol::bytes::ProposalId::new([99; 16]);
    let stray = found(|ceremony| {
        ceremony.steps[6..9].iter_mut().for_each(|step| step.proposal = Some(unknown));
    });
    assert!(stray.contains(&at(7, StepProblem::UnknownProposal(unknown.to_string()))), "{stray:?}");
}

#[test]
fn an_approver_whom_the_plan_does_not_name_is_found_unless_a_step_says_so() {
    let alone = |plan: &str| {
        let step =
            "[[steps]]\nsay = \"Approve its use.\"\nby = \"bob\"\ndo = { act = \"approve\", of-step = 7 }";
        plan.replace(step, "[[steps]]\nsay = \"Look on.\"\nby = \"bob\"")
    };
    let bend = |stated: bool| {
        move |ceremony: &mut Ceremony| {
            *ceremony = Ceremony::planned_as(|plan| alone(&plan));
            ceremony.go();
            ceremony.steps[8].proposal = None;
            ceremony.steps[8].leaf = None;
            if stated {
                ceremony.deviates(7, Outcome::Deviated, "bob approved it too");
            }
        }
    };
    let problem = StepProblem::OtherApprovers { planned: names(&["alice"]), found: names(&["alice", "bob"]) };
    assert_eq!(found(bend(false)), [at(7, problem.clone())]);
    let mut ceremony = Ceremony::held();
    bend(true)(&mut ceremony);
    let file = ceremony.ended();
    let held = ceremony.verify(&file);
    assert_eq!((held.problems.as_slice(), held.steps[6].notes.as_slice()), (&[][..], &[problem][..]));
    assert_eq!(held.count(Outcome::Deviated), 1);
}

#[test]
fn a_leaf_that_is_not_the_acts_or_no_component_is_found() {
    let found_at = |leaf| StepProblem::OtherLeaf { stated: leaf, found: 9 };
    assert_eq!(found(|ceremony| ceremony.steps[3].leaf = Some(8)), [at(4, found_at(8))]);
    let given = found(|ceremony| ceremony.steps[4].leaf = Some(9));
    assert!(given.contains(&at(5, StepProblem::NotGiven(9))), "{given:?}");
    assert_eq!(found(|ceremony| ceremony.steps[4].leaf = None), [at(5, StepProblem::NoLeaf)]);
    // As a step writes it that was interrupted behind its request.
    let resumed = found(|ceremony| {
        ceremony.steps[4].leaf = None;
        ceremony.deviates(5, Outcome::Deviated, "it had been given before this step ran");
    });
    assert_eq!(resumed, []);
    // Dora's component for alice's.
    let other = found(|ceremony| ceremony.steps[4].leaf = ceremony.steps[5].leaf);
    let person = StepProblem::OtherPerson { planned: name("alice"), found: name("dora") };
    assert!(other.contains(&at(5, person)), "{other:?}");
}

#[test]
fn a_key_that_is_not_as_the_plan_expects_is_found() {
    let expects = |from: &'static str, to: &'static str| {
        found(move |ceremony| {
            *ceremony = Ceremony::planned_as(|plan| plan.replace(from, to));
            ceremony.go();
        })
    };
    let expected = |name, planned: &str, found: &str| {
        [at(10, StepProblem::Expected { name, planned: planned.to_owned(), found: found.to_owned() })]
    };
    assert_eq!(
        expects("state = \"active\"", "state = \"suspended\""),
        expected("state", "suspended", "active")
    );
    let planned = expects("check-value = \"7777777777\", state", "check-value = \"0102030405\", state");
    assert_eq!(planned, expected("check-value", "0102030405", "7777777777"));
}

#[test]
fn a_transcript_that_the_log_does_not_hold_is_found() {
    let agreements = |ceremony: &mut Ceremony, transcript: &[u8]| ceremony.agreements(transcript);
    assert_eq!(ended(agreements), [Problem::NotAnchored]);
    let other = ended(|ceremony, transcript| {
        ceremony.anchor(b"another transcript");
        ceremony.agreements(transcript)
    });
    let [Problem::AnchoredOther { transcript, .. }] = other.as_slice() else { panic!("{other:?}") };
    assert_eq!(*transcript, sha256(&[b"another transcript"]));
    let plan = ended(|ceremony, transcript| {
        let people = ["alice", "bob", "dora", "wilma"];
        ceremony.sample.record_ceremony(Digest::new([3; 32]), sha256(&[transcript]), &people);
        ceremony.agreements(transcript)
    });
    assert!(matches!(plan.as_slice(), [Problem::AnchorPlan { .. }]), "{plan:?}");
    let people = ended(|ceremony, transcript| {
        let digest = sha256(&[ceremony.plan.as_bytes()]);
        ceremony.sample.record_ceremony(digest, sha256(&[transcript]), &["alice", "bob", "dora"]);
        ceremony.agreements(transcript)
    });
    let [Problem::AnchorPeople { found, .. }] = people.as_slice() else { panic!("{people:?}") };
    assert_eq!(*found, names(&["alice", "bob", "dora"]));
}

/// A ceremony that founds the service, by this plan's founding file digest.
fn founding(sha256: &Digest, by: &str) -> Vec<Problem> {
    let mut ceremony = Ceremony::planned();
    let (head, _) = ceremony.plan.split_once("[[steps]]").unwrap();
    let head = head
        .replace(&format!("genesis = \"{}\"\n", ceremony.genesis), "")
        .replace("custodian", if by == "dora" { "officer" } else { "custodian" });
    let sign = format!(
        "[[steps]]\nsay = \"Sign.\"\nby = \"{by}\"\n\
         do = {{ act = \"founding-sign\", file = \"founding.toml\", sha256 = \"{sha256}\" }}\n"
    );
    let found =
        "[[steps]]\nsay = \"Found.\"\nby = \"bob\"\ndo = { act = \"found\", config = \"keysvc.toml\" }\n";
    let show = "[[steps]]\nsay = \"Look.\"\nby = \"wilma\"\n\
                do = { act = \"key-show\", name = \"fob-master\", version = 1, state = \"active\" }\n";
    ceremony.plan = format!("{head}{sign}{found}{show}");
    ceremony.sign_plan();
    let (digest, genesis) = (sha256.to_string(), ceremony.genesis.to_string());
    ceremony.step(by, &[("digest", &digest)], |_| (None, None));
    ceremony.step("bob", &[("genesis", &genesis)], |_| (None, Some(0)));
    ceremony.step("wilma", &[("check-value", "3c3c3c3c3c")], |_| (None, None));
    let file = ceremony.ended();
    ceremony.verify(&file).problems
}

#[test]
fn a_ceremony_that_founds_a_service_is_of_the_founding_file_in_leaf_0() {
    let file = sha256(&[crate::sample::founding_leaf().founding.as_bytes()]);
    assert_eq!(founding(&file, "alice"), []);
    let other = Digest::new([5; 32]);
    assert_eq!(founding(&other, "alice"), [at(1, StepProblem::OtherFounding(file))]);
    // Somebody whom the plan calls an officer, and who founded nothing.
    let nobody = founding(&file, "dora");
    assert!(nobody.contains(&at(1, StepProblem::NoFounder(name("dora")))), "{nobody:?}");
}

/// What a plan says of terminal-3, of the profile fob version 2, and of the policies 92.
const GOVERNED: [&str; 3] = [
    "name = \"terminal-3\", kind = \"terminal\"",
    "family = \"desfire-ev3\", name = \"fob\", version = 2",
    "policy = \"5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c\"",
];

/// A ceremony that enrols terminal-3, and puts the profile fob version 2 and the policies 92 into force, by a plan that says
/// this of them.
fn governing(says: [&str; 3]) -> (Ceremony, Held) {
    let mut ceremony = Ceremony::planned();
    let (front, _) = ceremony.plan.split_once("[[steps]]").unwrap();
    let file = Digest::new([4; 32]);
    let asks = [
        format!("act = \"principal-enrol\", file = \"e.toml\", sha256 = \"{file}\", {}", says[0]),
        format!("act = \"profile-put\", file = \"p.toml\", sha256 = \"{file}\", {}", says[1]),
        format!("act = \"policy-propose\", folder = \"p\", {}", says[2]),
    ];
    let steps = (0..3).zip(asks).map(|(place, ask)| {
        let approve = |by| {
            let of_step = place * 3 + 1;
            format!("[[steps]]\nsay = \"Approve.\"\nby = \"{by}\"\ndo = {{ act = \"approve\", of-step = {of_step} }}\n")
        };
        format!(
            "[[steps]]\nsay = \"Ask.\"\nby = \"alice\"\ndo = {{ {ask} }}\n{}{}",
            approve("alice"),
            approve("bob")
        )
    });
    ceremony.plan = format!("{front}{}", steps.collect::<String>());
    ceremony.sign_plan();
    let (by, approving) = (("alice", ALICE), [ALICE, BOB]);
    let principal = crate::sample::enrolment("terminal-3", PrincipalKind::Terminal, 40);
    let request = EnrolPrincipal { schema: Schema, idem: ceremony.idem(), principal };
    ceremony.agreed(by, Operation::PrincipalEnrol, &request, &approving);
    let request = ceremony.sample.put_request(ceremony.sample.next_profile());
    let request = PutProfile { idem: ceremony.idem(), ..request };
    ceremony.agreed(by, Operation::ProfilePut, &request, &approving);
    let request = ProposePolicy { idem: ceremony.idem(), ..ceremony.sample.policies(92) };
    ceremony.agreed(by, Operation::PolicyPropose, &request, &approving);
    let digest = file.to_string();
    let stated = [
        [("principal", "terminal-3"), ("digest", &digest)],
        [("profile", "fob version 2"), ("digest", &digest)],
    ];
    for (place, facts) in [0, 3].into_iter().zip(stated) {
        let facts = facts.map(|(name, value)| Fact::new(name, value)).to_vec();
        ceremony.steps[place].facts = facts.try_into().unwrap();
    }
    let file = ceremony.ended();
    let held = ceremony.verify(&file);
    (ceremony, held)
}

#[test]
fn enrolments_profiles_and_policies_are_compared_with_the_plan_and_told() {
    let (mut ceremony, held) = governing(GOVERNED);
    assert_eq!(held.problems, []);
    let told = [0, 3, 6].map(|place: usize| held.steps[place].act.clone().unwrap());
    assert_eq!(
        told,
        [
            "act at leaf 9, agreed: alice, bob; it enrols terminal-3, terminal of cafe",
            "act at leaf 13, agreed: alice, bob; it is version 2 of card profile fob",
            "act at leaf 17, agreed: alice, bob"
        ]
    );
    assert_eq!(held.steps[0].compared, [true, false], "the log knows no file");
    let mut facts = ceremony.steps[0].facts.to_vec();
    facts[1].value = Text::lossy("00");
    ceremony.steps[0].facts = facts.try_into().unwrap();
    let file = ceremony.ended();
    let (name, stated) = ("digest".to_owned(), "00".to_owned());
    let planned = Digest::new([4; 32]).to_string();
    let problems = ceremony.verify(&file).problems;
    assert!(problems.contains(&at(1, StepProblem::NotPlanned { name, stated, planned })), "{problems:?}");
}

#[test]
fn an_enrolment_profile_or_set_that_is_not_as_the_plan_says_in_words_is_found() {
    // By hand and by name: the digest of a file that nobody kept proves nothing.
    let other = |place: usize, from: &str, to: &str| {
        let mut says = GOVERNED;
        let said = says[place].replace(from, to);
        assert_ne!(said, says[place]);
        says[place] = &said;
        let problems = governing(says).1.problems;
        let [Problem::Step { number, what: StepProblem::AsksOther { planned, found } }] = problems.as_slice()
        else {
            panic!("{problems:?}")
        };
        assert_eq!(usize::from(*number), place * 3 + 1);
        (planned.clone(), found.clone())
    };
    let words = |planned: &str, found: &str| (planned.to_owned(), found.to_owned());
    let enrol = "enrol terminal-3 as terminal";
    assert_eq!(other(0, "terminal-3", "terminal-9"), words("enrol terminal-9 as terminal", enrol));
    assert_eq!(other(0, "\"terminal\"", "\"officer\""), words("enrol terminal-3 as officer", enrol));
    let profile = |version: u32, name: &str, family: &str| {
        format!("put version {version} of card profile {name} for {family} cards into use")
    };
    let put = profile(2, "fob", "desfire-ev3");
    assert_eq!(other(1, "ev3", "ev2"), (profile(2, "fob", "desfire-ev2"), put.clone()));
    assert_eq!(other(1, "version = 2", "version = 3"), (profile(3, "fob", "desfire-ev3"), put.clone()));
    assert_eq!(other(1, "\"fob\"", "\"bof\""), (profile(2, "bof", "desfire-ev3"), put));
    let set = |digest: u8| format!("put the policies {} into force", Digest::new([digest; 32]));
    assert_eq!(other(2, &"5c".repeat(32), &"5d".repeat(32)), (set(93), set(92)));
}

#[test]
fn a_statement_key_a_profiles_digest_and_an_amount_that_the_plan_states_are_compared_too() {
    let key = crate::sample::enrolment("terminal-3", PrincipalKind::Terminal, 40).statement_key.unwrap();
    let key = sha256(&[key.as_bytes()]);
    let sample = Sample::good();
    let digest = sha256(&[&cbor::encode(&sample.next_profile())]);
    let says = |key: &Digest, digest: &Digest, large: u64| {
        let more = [
            format!(", statement-key = \"{key}\""),
            format!(", digest = \"{digest}\""),
            format!(", large-above = {large}"),
        ];
        let says: Vec<_> = GOVERNED.iter().zip(more).map(|(says, more)| format!("{says}{more}")).collect();
        governing([&says[0], &says[1], &says[2]]).1.problems
    };
    assert_eq!(says(&key, &digest, 5000), []);
    let other = Digest::new([9; 32]);
    let steps = |problems: Vec<Problem>| -> Vec<_> {
        assert!(
            problems
                .iter()
                .all(|one| matches!(one, Problem::Step { what: StepProblem::AsksOther { .. }, .. }))
        );
        problems.iter().filter_map(Problem::step).collect()
    };
    assert_eq!(steps(says(&other, &digest, 5000)), [1]);
    assert_eq!(steps(says(&key, &other, 5000)), [4]);
    assert_eq!(steps(says(&key, &digest, 10_000)), [7]);
}

#[test]
fn an_act_of_another_ceremony_or_by_hand_is_not_this_steps() {
    // The same requests, as another plan's steps made them.
    let other = |ceremony: &mut Ceremony| {
        ceremony.plan = ceremony.plan.replace("Room 4", "Room 5");
        ceremony.sign_plan();
    };
    let leaves = [(2, 6), (5, 10), (6, 11), (7, 14)];
    let expected = leaves.map(|(number, leaf)| at(number, StepProblem::OtherCeremony { leaf }));
    assert_eq!(found(other), expected);
    let mut ceremony = Ceremony::held();
    other(&mut ceremony);
    for (number, _) in leaves {
        ceremony.deviates(usize::from(number), Outcome::Deviated, "made on the own machine");
    }
    let file = ceremony.ended();
    let held = ceremony.verify(&file);
    assert_eq!(held.problems, []);
    for (number, leaf) in leaves {
        assert_eq!(held.steps[usize::from(number) - 1].notes, [StepProblem::OtherCeremony { leaf }]);
    }
}

#[test]
fn a_step_that_is_recorded_as_failed_and_is_in_the_log_all_the_same_is_told() {
    let failing = |keeps: bool| {
        let mut ceremony = Ceremony::held();
        for number in 2..=9 {
            ceremony.deviates(number, Outcome::Failed, "no answer came");
            if !keeps {
                ceremony.steps[number - 1].proposal = None;
            }
            ceremony.steps[number - 1].leaf = None;
            ceremony.steps[number - 1].facts = keysvc_protocol::list::List::default();
        }
        let file = ceremony.ended();
        ceremony.verify(&file)
    };
    // By the step's own idempotency key, where the machine never learnt its proposal.
    for held in [failing(true), failing(false)] {
        assert_eq!(held.problems, []);
        for (number, leaf) in [(2, 6), (3, 7), (4, 8), (5, 10), (6, 11), (7, 14), (8, 15), (9, 16)] {
            let judged: &Judged = &held.steps[number - 1];
            assert_eq!(judged.notes, [StepProblem::FailedInLog { leaf }], "{number}");
            assert_eq!(judged.leaf, Some(leaf));
        }
    }
}

#[test]
fn another_transcript_of_the_same_plan_is_found_wherever_the_log_has_it() {
    let another = |before: bool| {
        ended(move |ceremony, transcript| {
            let mut records = [transcript, b"another transcript".as_slice()];
            if before {
                records.reverse();
            }
            for record in records {
                ceremony.anchor(record);
            }
            ceremony.agreements(transcript)
        })
    };
    let transcript = sha256(&[b"another transcript"]);
    for before in [false, true] {
        let problems = another(before);
        let [Problem::AnotherTranscript { leaf, transcript: found }] = problems.as_slice() else {
            panic!("{problems:?}")
        };
        assert_eq!((*leaf, *found), (if before { 18 } else { 19 }, transcript));
    }
    // The same transcript twice is one.
    let twice = ended(|ceremony, transcript| {
        ceremony.anchor(transcript);
        ceremony.anchor(transcript);
        ceremony.agreements(transcript)
    });
    assert_eq!(twice, []);
}

#[test]
fn an_officer_of_the_plan_was_enrolled_as_one_and_a_witness_may_be_anyone() {
    let problems = founding(&sha256(&[crate::sample::founding_leaf().founding.as_bytes()]), "dora");
    let kind = PrincipalKind::Operator;
    assert!(problems.contains(&Problem::NoOfficer(name("dora"), kind)), "{problems:?}");
    let mut ceremony = Ceremony::held();
    let file = ceremony.ended();
    let witness = ceremony.verify(&file);
    assert_eq!(witness.problems, [], "wilma looks on and is no officer");
}

const HOUR_MS: u64 = 3_600_000;

#[test]
fn clocks_that_are_more_than_a_day_apart_are_a_problem_unless_the_step_says_so() {
    let shifted = |by_ms: u64, stated: bool| {
        let mut ceremony = Ceremony::held();
        for step in &mut ceremony.steps {
            step.started_ms += by_ms;
            step.ended_ms += by_ms;
        }
        if stated {
            (2..=9)
                .for_each(|number| ceremony.deviates(number, Outcome::Deviated, "the clock was set wrong"));
        }
        let file = ceremony.ended();
        ceremony.verify(&file)
    };
    let held = shifted(23 * HOUR_MS, false);
    assert_eq!(held.problems, []);
    assert_eq!(held.steps[1].drift_ms, Some(23 * HOUR_MS));
    let held = shifted(25 * HOUR_MS, false);
    assert_eq!(held.problems.len(), 8);
    assert_eq!(held.problems[0], at(2, StepProblem::Clock { leaf: 6, hours: 25 }));
    let held = shifted(25 * HOUR_MS, true);
    assert_eq!(held.problems, []);
    assert_eq!(held.steps[1].notes, [StepProblem::Clock { leaf: 6, hours: 25 }]);
}

#[test]
fn somebody_who_was_disabled_before_the_end_is_no_witness() {
    let problems = found(|ceremony| {
        let reason = "left".parse().unwrap();
        let idem = keysvc_protocol::bytes::Idem::new([72; 16]);
        let request =
            keysvc_protocol::request::DisablePrincipal { schema: Schema, idem, id: name("wilma"), reason };
        let request = ceremony.sample.proposed(("bob", BOB), Operation::PrincipalDisable, &request);
        ceremony.sample.push(keysvc_protocol::leaf::LeafKind::SiteChanged, &Sample::changed(&request));
    });
    let kid = TestKey::new(10).public().identifier();
    let stranger = |paper| Problem::Stranger { paper, kid };
    let expected = [Problem::Disabled(name("wilma")), stranger(Paper::Plan), stranger(Paper::Transcript)];
    assert_eq!(problems, expected);
}

#[test]
fn a_log_that_is_not_verified_or_withholds_its_leaves_proves_no_ceremony() {
    let mut ceremony = Ceremony::held();
    let file = ceremony.ended();
    ceremony.sample.update(|update| update.seq = 9);
    let problems = ceremony.verify(&file).problems;
    assert!(matches!(problems.first(), Some(Problem::Log(_))), "{problems:?}");
    let mut ceremony = Ceremony::held();
    let file = ceremony.ended();
    ceremony.sample.withhold(6);
    assert!(ceremony.verify(&file).problems.contains(&Problem::Withheld(6)));
}

#[test]
fn clocks_that_are_far_apart_are_a_warning_and_failed_steps_are_counted() {
    let mut ceremony = Ceremony::held();
    for step in &mut ceremony.steps {
        step.started_ms += 400_000;
        step.ended_ms += 400_000;
    }
    ceremony.deviates(11, Outcome::Failed, "the safe's key was not found");
    let file = ceremony.ended();
    let held = ceremony.verify(&file);
    assert_eq!(held.problems, []);
    assert_eq!(held.steps[1].drift_ms, Some(400_000));
    assert_eq!((held.count(Outcome::Done), held.count(Outcome::Failed)), (10, 1));
}
