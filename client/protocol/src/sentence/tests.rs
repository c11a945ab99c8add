use super::*;
use crate::{
    bytes::{Blob, Digest, Exchange, ProposalId},
    key::KeyKind,
    list::List,
    request::{DeriveCardKeys, ReadStatus},
    schema::Schema,
};
use std::{collections::BTreeSet, vec};

const IDEM: Idem = Idem::new([1; 16]);
const NUMBER: &str = "Request number 0101 0101 0101 0101 0101 0101 0101 0101.";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn reason() -> Reason {
    "card lost".parse().unwrap()
}

fn said<T: Serialize>(operation: Operation, request: &T) -> String {
    sentence(operation, &cbor::encode(request)).unwrap()
}

fn update() -> UpdateValue {
    UpdateValue {
        schema: Schema,
        programme: name("coffee"),
        card: "04782e21801d80".parse().unwrap(),
        purse: 1,
        operation: ValueOperation::Load,
        expected_seq: 3,
        amount: 500_000,
        currency: 978,
        balance_before: 2000,
        txn: IDEM,
    }
}

fn enrolment() -> Enrolment {
    Enrolment {
        schema: Schema,
        id: name("ann"),
        kind: PrincipalKind::Officer,
        group: name("audit"),
        capabilities: List::default(),
        tls_key: Digest::new([0x1a; 32]),
        statement_key: Some(Blob::try_from(vec![2; 91]).unwrap()),
        wrapping_key: None,
    }
}

#[test]
fn a_load_says_amount_card_purse_programme_number_and_balance() {
    assert_eq!(
        said(Operation::ValueUpdate, &update()),
        "Load 5,000.00 (currency 978, 500000 minor units) on card 04782e21801d80, purse 1, of programme coffee; \
         sequence number 3, balance before 20.00. Transaction number 0101 0101 0101 0101 0101 0101 0101 0101."
    );
    let debit = UpdateValue { operation: ValueOperation::Debit, ..update() };
    assert!(said(Operation::ValueUpdate, &debit).starts_with("Debit 5,000.00 "));
}

#[test]
fn no_two_requests_that_differ_in_one_field_have_one_sentence() {
    let variants = [
        update(),
        UpdateValue { programme: name("tea"), ..update() },
        UpdateValue { card: "04782e21801d81".parse().unwrap(), ..update() },
        UpdateValue { purse: 2, ..update() },
        UpdateValue { operation: ValueOperation::Debit, ..update() },
        UpdateValue { expected_seq: 4, ..update() },
        UpdateValue { amount: 500_001, ..update() },
        UpdateValue { currency: 840, ..update() },
        UpdateValue { balance_before: 2001, ..update() },
        UpdateValue { txn: Idem::new([2; 16]), ..update() },
    ];
    let sentences: BTreeSet<_> =
        variants.iter().map(|request| said(Operation::ValueUpdate, request)).collect();
    assert_eq!(sentences.len(), variants.len());
    let principals = [
        enrolment(),
        Enrolment { id: name("bob"), ..enrolment() },
        Enrolment { kind: PrincipalKind::Auditor, ..enrolment() },
        Enrolment { group: name("fraud"), ..enrolment() },
        Enrolment { capabilities: List::try_from(vec![name("batch")]).unwrap(), ..enrolment() },
        Enrolment { tls_key: Digest::new([3; 32]), ..enrolment() },
        Enrolment { statement_key: Some(Blob::try_from(vec![4; 91]).unwrap()), ..enrolment() },
        Enrolment { wrapping_key: Some(Blob::try_from(vec![5; 422]).unwrap()), ..enrolment() },
    ];
    let enrolled = |principal: &Enrolment| {
        let request = EnrolPrincipal { schema: Schema, idem: IDEM, principal: principal.clone() };
        said(Operation::PrincipalEnrol, &request)
    };
    let sentences: BTreeSet<_> = principals.iter().map(enrolled).collect();
    assert_eq!(sentences.len(), principals.len());
}

#[test]
fn an_enrolment_says_its_keys_in_groups_of_four() {
    let request = EnrolPrincipal { schema: Schema, idem: IDEM, principal: enrolment() };
    let said = said(Operation::PrincipalEnrol, &request);
    assert!(said.starts_with("Enrol officer ann of department audit; TLS key 1a1a 1a1a "), "{said}");
    assert!(said.contains(&format!(", approval key {}. {NUMBER}", fingerprint(&[2; 91]))), "{said}");
}

#[test]
fn other_keys_of_a_principal_are_said_each() {
    let request = RotatePrincipal {
        schema: Schema,
        idem: IDEM,
        id: name("till-7"),
        tls_key: Some(Digest::new([7; 32])),
        statement_key: None,
        wrapping_key: Some(Blob::try_from(vec![5; 422]).unwrap()),
    };
    let said = said(Operation::PrincipalRotate, &request);
    let wrapping = fingerprint(&[5; 422]);
    assert!(said.starts_with("Give till-7 other keys: TLS key 0707 0707 "), "{said}");
    assert!(said.ends_with(&format!(", wrapping key {wrapping}; the others stay. {NUMBER}")), "{said}");
}

#[test]
fn what_becomes_of_principals_and_keys_is_said_with_the_reason() {
    let key = name("demo-generated");
    let create = CreateKey { schema: Schema, idem: IDEM, name: key.clone(), kind: KeyKind::CardMaster };
    assert_eq!(
        said(Operation::KeyCreate, &create),
        format!("Make the next version of key demo-generated (card-master). {NUMBER}")
    );
    let destroy = DestroyKey { schema: Schema, idem: IDEM, name: key.clone(), version: 2, reason: reason() };
    assert_eq!(
        said(Operation::KeyDestroy, &destroy),
        format!(
            "Destroy for good version 2 of key demo-generated in the token, once its delay is over. {NUMBER} \
             Reason given: \"card lost\"."
        )
    );
    let activate = ActivateKey { schema: Schema, idem: IDEM, name: key, version: 1, reason: reason() };
    assert!(
        said(Operation::KeyActivate, &activate).starts_with("Put into use version 1 of key demo-generated. ")
    );
    let disable = DisablePrincipal { schema: Schema, idem: IDEM, id: name("ann"), reason: reason() };
    assert!(said(Operation::PrincipalDisable, &disable).starts_with("Disable ann: "));
    // Requests of one shape, told apart by the operation.
    assert!(said(Operation::PrincipalEnable, &disable).starts_with("Enable ann again. "));
}

#[test]
fn freezes_say_what_is_stopped() {
    let stop = |scope| {
        said(Operation::FreezeSet, &SetFreeze { schema: Schema, idem: IDEM, scope, reason: reason() })
    };
    let card = "04782e21801d80".parse().unwrap();
    let heads = [
        (Scope::Card { card, programme: None }, "Stop card 04782e21801d80 in every programme. "),
        (
            Scope::Card { card, programme: Some(name("coffee")) },
            "Stop card 04782e21801d80 in programme coffee. ",
        ),
        (Scope::Terminal { name: name("till-7") }, "Stop terminal till-7. "),
        (Scope::Store { name: name("acme") }, "Stop the terminals and offices of organisation acme. "),
        (Scope::All, "Stop all value and all cards. "),
    ];
    for (scope, head) in heads {
        let said = stop(scope);
        assert!(said.starts_with(head), "{said}");
    }
    let lift = LiftFreeze { schema: Schema, idem: IDEM, scope: Scope::All, reason: reason() };
    assert!(said(Operation::FreezeLift, &lift).starts_with("Let all value and all cards go on. "));
}

#[test]
fn thresholds_clock_cards_and_cancellations_are_said_in_full() {
    let need = Need { departments: 2, named: List::try_from(vec![name("audit")]).unwrap(), ..Need::of(3) };
    let set = SetQuorum { schema: Schema, idem: IDEM, operation: Operation::KeyCreate, need };
    assert_eq!(
        said(Operation::QuorumSet, &set),
        format!(
            "From now on key.create takes 3 people of at least 2 departments, each of these departments among them: \
             audit. {NUMBER}"
        )
    );
    let confirm = ConfirmClock { schema: Schema, idem: IDEM, time_ms: 1_795_000_000_500 };
    assert!(
        said(Operation::ClockConfirm, &confirm).contains("2026-11-18 11:06:40.500 UTC (1795000000500 ms)")
    );
    let derive = DeriveCardKeys {
        schema: Schema,
        idem: IDEM,
        exchange: Exchange::new([0xab; 16]),
        job: name("hotel-7"),
        generation: 1,
        cards: List::try_from(vec!["04782e21801d80".parse().unwrap(), "04782e21801d81".parse().unwrap()])
            .unwrap(),
    };
    assert_eq!(
        said(Operation::CardDerive, &derive),
        format!(
            "Release the keys of 2 cards: 04782e21801d80, 04782e21801d81; generation 1, for job hotel-7, in session \
             abab abab abab abab abab abab abab abab. {NUMBER}"
        )
    );
    let cancel =
        CancelProposal { schema: Schema, idem: IDEM, id: ProposalId::new([9; 16]), reason: reason() };
    assert!(said(Operation::ProposalCancel, &cancel).starts_with("Cancel proposal 0909 0909 "));
}

#[test]
fn what_nobody_signs_has_no_sentence_and_every_signed_operation_reads_its_own_request() {
    let status = cbor::encode(&ReadStatus { schema: Schema });
    for operation in Operation::ALL {
        let expected = if operation.is_signed() { Invalid::Encoding } else { Invalid::NotSigned };
        assert_eq!(sentence(operation, &status), Err(Refusal::Invalid { reason: expected }), "{operation}");
    }
    let longer = [cbor::encode(&update()), vec![0]].concat();
    assert_eq!(
        sentence(Operation::ValueUpdate, &longer),
        Err(Refusal::Invalid { reason: Invalid::Encoding })
    );
}
