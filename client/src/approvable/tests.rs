//! Proves what can be signed and what cannot, and how votes are counted.

use super::*;
use crate::testing::{
    Key, Log, TERMINAL,
    people::{ANN, BOB, approval, officers, proposal, statement},
};
use keysvc_protocol::{
    bytes::{Blob, Digest, Idem, ShortCheck},
    cbor,
    founding::Profile,
    key::KeyKind,
    list::List,
    name::Reason,
    request::{
        ActivateKey, ComponentOrder, ImportKey, PolicyDifference, PolicyFile, PolicyProof, ProposePolicy,
        PutProfile, ReadStatus,
    },
    schema::Schema,
};

fn founded() -> Founded {
    let log = Log::new(0, 0);
    Founded::check(&log.trust(), &log.0[0]).unwrap()
}

fn activate() -> Vec<u8> {
    cbor::encode(&ActivateKey {
        schema: Schema,
        idem: Idem::new([5; 16]),
        name: "coffee-value".parse().unwrap(),
        version: 2,
        reason: "the yearly change".parse::<Reason>().unwrap(),
    })
}

fn of(operation: Operation, requester: &str, key: u8, payload: Vec<u8>) -> Proposal {
    proposal(operation, requester, statement(operation, key, payload))
}

fn good() -> Proposal {
    of(Operation::KeyActivate, "ann", ANN, activate())
}

fn read(proposal: &Proposal) -> Result<Approvable, NotApprovable> {
    Approvable::read(&cbor::encode(proposal), &founded(), None)
}

#[test]
fn a_proposal_that_reads_whole_says_its_act_in_words() {
    let approvable = read(&good()).unwrap();
    assert_eq!(approvable.as_bytes(), cbor::encode(&good()));
    assert_eq!(approvable.digest(), Proposal::digest_of(&cbor::encode(&good())));
    assert_eq!(approvable.vouched(), Vouched::Founding);
    let sentence = approvable.sentence();
    assert!(sentence.contains("coffee-value") && sentence.contains("the yearly change"), "{sentence}");
}

#[test]
fn a_proposal_with_a_field_that_this_program_does_not_know_is_nothing_to_sign() {
    let bytes = cbor::encode(&good());
    assert_eq!(bytes[0], 0xaa, "a map of ten");
    let mut more = bytes.clone();
    more[0] = 0xab;
    more.extend_from_slice(&[0x0a, 0x00]);
    for bytes in [more, [bytes.as_slice(), &[0]].concat(), Vec::new(), vec![0; 16]] {
        let result = Approvable::read(&bytes, &founded(), None);
        assert!(matches!(result, Err(NotApprovable::Form(_))), "{result:?}");
    }
}

#[test]
fn a_request_that_cannot_be_said_in_words_is_nothing_to_sign() {
    let mut unknown = activate();
    assert_eq!(unknown[0], 0xa5, "a map of five");
    unknown[0] = 0xa6;
    unknown.extend_from_slice(&[0x05, 0x00]);
    let status = cbor::encode(&ReadStatus { schema: Schema });
    for (operation, payload) in
        [(Operation::KeyActivate, unknown), (Operation::Status, status), (Operation::FreezeSet, activate())]
    {
        let result = read(&of(operation, "ann", ANN, payload));
        let unspeakable =
            matches!(&result, Err(NotApprovable::Unspeakable { operation: of, .. }) if *of == operation);
        assert!(unspeakable, "{result:?}");
    }
}

#[test]
fn a_request_with_any_byte_changed_is_nothing_to_sign() {
    let good = good();
    let message = good.request.statement.0.as_bytes().to_vec();
    for place in 0..message.len() {
        let mut message = message.clone();
        message[place] ^= 1;
        let mut changed = good.clone();
        changed.request.statement.0 = message.try_into().unwrap();
        let result = read(&changed);
        assert!(result.is_err(), "byte {place}");
    }
}

#[test]
fn a_request_signed_for_another_operation_or_by_somebody_else_is_nothing_to_sign() {
    let mut other = good();
    other.request.operation = Operation::KeyRetire;
    assert!(matches!(read(&other), Err(NotApprovable::Requester { .. })));
    let bob = of(Operation::KeyActivate, "bob", ANN, activate());
    // The founding has another key for bob, and nobody told a later one.
    assert_eq!(read(&bob), Err(NotApprovable::UnknownRequester { requester: "bob".parse().unwrap() }));
}

#[test]
fn a_requester_that_the_founding_does_not_know_is_vouched_for_by_whoever_tells_the_key() {
    let later = of(Operation::KeyActivate, "carol", 77, activate());
    let bytes = cbor::encode(&later);
    let unknown = Approvable::read(&bytes, &founded(), None);
    assert!(matches!(unknown, Err(NotApprovable::UnknownRequester { .. })), "{unknown:?}");
    let told = Approvable::read(&bytes, &founded(), Some(&Key::new(77).public())).unwrap();
    assert_eq!(told.vouched(), Vouched::Service);
    let wrong = Approvable::read(&bytes, &founded(), Some(&Key::new(78).public()));
    assert!(matches!(wrong, Err(NotApprovable::Requester { .. })), "{wrong:?}");
}

#[test]
fn a_proposal_of_another_log_or_one_that_nobody_could_meet_is_nothing_to_sign() {
    let other = Proposal { genesis: Digest::new([1; 32]), ..good() };
    assert_eq!(read(&other), Err(NotApprovable::OtherLog));
    for need in [Need { persons: 1, ..Need::of(2) }, Need { departments: 3, ..Need::of(2) }] {
        assert_eq!(read(&Proposal { need, ..good() }), Err(NotApprovable::Need));
    }
}

fn count(need: &Need, approvals: &[(u8, Verdict)], officers: &[OfficerView]) -> Votes {
    let bytes = cbor::encode(&good());
    let approvals: Vec<_> = approvals.iter().map(|(key, verdict)| approval(*key, &bytes, *verdict)).collect();
    let approvals = approvals.iter().map(Blob::as_bytes);
    Votes::count(&bytes, need, approvals, officers, founded().genesis())
}

fn two() -> Need {
    Need { departments: 2, ..Need::of(2) }
}

#[test]
fn people_are_counted_once_and_what_is_missing_is_named() {
    let yes = Verdict::Approve;
    let none = count(&two(), &[], &officers()).missing.unwrap();
    assert_eq!((none.persons, none.departments, none.present.len()), (2, 2, 0));
    let ann = count(&two(), &[(ANN, yes), (ANN, yes)], &officers());
    assert_eq!(ann.approved, [("ann".parse().unwrap(), "treasury".parse().unwrap())]);
    let missing = ann.missing.unwrap();
    assert_eq!((missing.persons, missing.departments), (1, 1));
    assert_eq!(missing.present, ["treasury".parse().unwrap()]);
    let both = count(&two(), &[(ANN, yes), (BOB, yes)], &officers());
    assert_eq!((both.approved.len(), both.missing, both.uncounted.len()), (2, None, 0));
}

#[test]
fn a_named_department_is_missing_until_one_of_its_people_agrees() {
    let named = vec!["security".parse().unwrap()].try_into().unwrap();
    let need = Need { named, ..Need::of(2) };
    let missing = count(&need, &[(ANN, Verdict::Approve)], &officers()).missing.unwrap();
    assert_eq!((missing.persons, missing.named), (1, vec!["security".parse().unwrap()]));
}

#[test]
fn a_rejection_a_machines_vote_and_a_disabled_officers_do_not_count_and_the_others_do() {
    let mut officers = officers();
    officers[1].enabled = false;
    let votes = [
        (ANN, Verdict::Approve),
        (ANN, Verdict::Reject),
        (TERMINAL, Verdict::Approve),
        (BOB, Verdict::Approve),
    ];
    let counted = count(&two(), &votes, &officers);
    assert_eq!(counted.approved.len(), 1);
    assert_eq!(counted.uncounted, [Uncounted::OtherVerdict, Uncounted::NotAnOfficer, Uncounted::Disabled]);
    assert!(counted.missing.is_some());
}

#[test]
fn imports_profiles_and_policies_are_said_and_their_documents_are_kept() {
    let (idem, reason): (_, Reason) = (Idem::new([5; 16]), "as planned".parse().unwrap());
    let component = |custodian: &str, check: u8| ComponentOrder {
        custodian: custodian.parse().unwrap(),
        check: ShortCheck::new([check; 5]),
    };
    let import = ImportKey {
        schema: Schema,
        idem,
        name: "master".parse().unwrap(),
        kind: KeyKind::CardMaster,
        check: ShortCheck::new([9; 5]),
        components: vec![component("ann", 1), component("bob", 2)].try_into().unwrap(),
        reason: reason.clone(),
    };
    let profile = Profile { version: 2, ..founded().founding().profiles[0].clone() };
    let put = PutProfile { schema: Schema, idem, profile, reason: reason.clone() };
    let digest = Digest::new([7; 32]);
    let file = PolicyFile {
        name: "site.cedar".parse().unwrap(),
        text: Blob::try_from(b"permit (principal, action, resource);".to_vec()).unwrap(),
    };
    let propose = ProposePolicy {
        schema: Schema,
        idem,
        policy: digest,
        files: vec![file].try_into().unwrap(),
        difference: PolicyDifference { cases: 40, changed: 0, report: digest, lines: List::default() },
        proof: PolicyProof {
            solver: "cvc5".parse().unwrap(),
            theorems: 6,
            environments: 88,
            load_max: 10_000,
            report: digest,
        },
        reason,
        replay: None,
    };
    for (operation, payload, word) in [
        (Operation::KeyImport, cbor::encode(&import), "0909090909"),
        (Operation::ProfilePut, cbor::encode(&put), "version 2 of card profile fob"),
        (Operation::PolicyPropose, cbor::encode(&propose), "site.cedar"),
    ] {
        let approvable = read(&of(operation, "ann", ANN, payload.clone())).unwrap();
        assert!(approvable.sentence().contains(word), "{}", approvable.sentence());
        assert_eq!(approvable.payload(), payload);
    }
}
