//! Counting people.

use crate::{
    asks::{key, signing_key},
    people::{Key, idem, name, need},
};
use keysvc_protocol::{
    bytes::{Digest, KeyIdentifier},
    cbor,
    cose::{Kind, Unsigned},
    hash::sha256,
    list::List,
    quorum::{self, Approval, Need, PERSONS_MAX, Quorum, Verdict, Voter, Voters, floor, one_is_enough},
    refusal::Uncounted,
    request::Operation,
    schema::Schema,
};
use p256::ecdsa::{Signature, signature::Signer as _};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const PROPOSAL: &[u8] = b"the proposal's bytes";
const GENESIS: Digest = Digest::new([0xa0; 32]);

fn voter(number: u8) -> Voter {
    Voter {
        name: name(&format!("officer-{number}")),
        department: name(&format!("department-{}", number % 3)),
        key: key(number).public,
        enabled: true,
    }
}

fn said(proposal: &[u8], verdict: Verdict, nonce: u8) -> Vec<u8> {
    let approval = Approval {
        schema: Schema,
        proposal: sha256(&[proposal]),
        verdict,
        signed_at_ms: 1,
        nonce: idem(nonce),
    };
    cbor::encode(&approval)
}

fn approval(by: u8) -> Vec<u8> {
    key(by).message(Kind::Approval, &GENESIS, said(PROPOSAL, Verdict::Approve, 1))
}

fn count(approvals: &[Vec<u8>], voters: &[Voter]) -> Result<Quorum, Uncounted> {
    quorum::count(PROPOSAL, approvals.iter().map(Vec::as_slice), &GENESIS, voters)
}

fn vote(approval: &[u8], voters: &[Voter]) -> Result<String, Uncounted> {
    quorum::vote(PROPOSAL, approval, Verdict::Approve, &GENESIS, voters).map(|voter| voter.name.to_string())
}

/// The other signature that verifies: s in the upper half of the order.
fn malleated(by: u8, payload: Vec<u8>) -> Vec<u8> {
    let unsigned = Unsigned::new(Kind::Approval, GENESIS.as_bytes(), key(by).public.identifier(), payload);
    let low: [u8; 64] = (key(by).sign)(&unsigned.to_be_signed());
    let signature = Signature::from_slice(&low).unwrap();
    let (r, s) = (signature.r(), signature.s());
    let high = Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
    unsigned.with_signature(&high.to_bytes().into())
}

#[test]
fn every_vote_that_does_not_count_says_why() {
    let voters = [voter(1), Voter { enabled: false, ..voter(2) }];
    assert_eq!(vote(&approval(1), &voters), Ok("officer-1".into()));
    assert_eq!(vote(b"no COSE_Sign1", &voters), Err(Uncounted::Form));
    assert_eq!(vote(&approval(2), &voters), Err(Uncounted::Disabled));
    assert_eq!(vote(&approval(3), &voters), Err(Uncounted::NotAnOfficer));
    let by = |genesis: &Digest, kind, payload| key(1).message(kind, genesis, payload);
    let good = said(PROPOSAL, Verdict::Approve, 1);
    assert_eq!(
        vote(&by(&Digest::new([1; 32]), Kind::Approval, good.clone()), &voters),
        Err(Uncounted::Signature)
    );
    assert_eq!(vote(&by(&GENESIS, Kind::Delivery, good.clone()), &voters), Err(Uncounted::Form));
    assert_eq!(vote(&by(&GENESIS, Kind::Approval, b"else".to_vec()), &voters), Err(Uncounted::Form));
    let other = said(b"other bytes", Verdict::Approve, 1);
    assert_eq!(vote(&by(&GENESIS, Kind::Approval, other), &voters), Err(Uncounted::OtherProposal));
    let rejected = said(PROPOSAL, Verdict::Reject, 1);
    assert_eq!(vote(&by(&GENESIS, Kind::Approval, rejected), &voters), Err(Uncounted::OtherVerdict));
    assert_eq!(vote(&malleated(1, good), &voters), Err(Uncounted::Signature));
}

#[test]
fn a_request_signed_by_an_officer_is_no_approval_of_it() {
    let payload = said(PROPOSAL, Verdict::Approve, 1);
    for operation in Operation::ALL {
        let signed = key(1).message(Kind::Request(operation), &GENESIS, payload.clone());
        assert_eq!(vote(&signed, &[voter(1)]), Err(Uncounted::Form));
    }
}

#[test]
fn one_key_under_two_names_is_one_person() {
    let voters = [voter(1), Voter { name: name("alias"), department: name("elsewhere"), ..voter(1) }];
    let again = key(1).message(Kind::Approval, &GENESIS, said(PROPOSAL, Verdict::Approve, 2));
    let quorum = count(&[approval(1), again], &voters).unwrap();
    assert_eq!(quorum.persons(), 1);
    assert!(!quorum.meets(&need(2)));
}

/// A roster that gives the same key another name each time it is asked.
struct Aliases(std::cell::Cell<usize>, [Voter; 2]);

impl Voters for Aliases {
    fn voter(&self, _: KeyIdentifier) -> Option<&Voter> {
        self.0.set(self.0.get() + 1);
        self.1.get(self.0.get() % 2)
    }
}

#[test]
fn one_key_is_one_person_even_for_a_roster_that_takes_it_for_two() {
    let aliases = [voter(1), Voter { name: name("alias"), ..voter(1) }];
    let again = key(1).message(Kind::Approval, &GENESIS, said(PROPOSAL, Verdict::Approve, 2));
    let (first, again) = (approval(1), again);
    let voters = Aliases(std::cell::Cell::new(0), aliases);
    let approvals = [first.as_slice(), again.as_slice()];
    let quorum = quorum::count(PROPOSAL, approvals, &GENESIS, &voters).unwrap();
    assert_eq!(quorum.persons(), 1);
}

#[test]
fn one_alone_is_never_enough_whatever_the_need_says() {
    let quorum = count(&[approval(1)], &[voter(1)]).unwrap();
    for persons in [0, 1, 2] {
        assert!(!quorum.meets(&Need { persons, departments: 0, ..need(2) }));
    }
    assert_eq!(Need::of(0), Need::of(2));
    assert!(!Need { persons: 1, ..need(2) }.is_sound());
}

#[test]
fn departments_count_once_and_the_named_ones_must_be_there() {
    // Departments 1, 2, 0 and 1 again.
    let voters: Vec<_> = (1..=4).map(voter).collect();
    let of = |by: &[u8]| count(&by.iter().map(|by| approval(*by)).collect::<Vec<_>>(), &voters).unwrap();
    let two = Need { departments: 2, ..need(2) };
    assert!(of(&[1, 2]).meets(&two));
    assert!(!of(&[1, 4]).meets(&two));
    let named = Need { named: List::try_from(vec![name("department-0")]).unwrap(), ..need(2) };
    assert!(of(&[1, 3]).meets(&named));
    assert!(!of(&[1, 2, 4]).meets(&named));
    assert_eq!(of(&[1, 4]).departments(), [name("department-1")]);
}

/// The least number of people by type: of five officers, of two officers, and where an officer is the subject.
const FLOORS: [(Operation, u8, u8, u8); 13] = [
    (Operation::PrincipalEnrol, 2, 2, 3),
    (Operation::PrincipalRotate, 2, 2, 3),
    (Operation::PrincipalEnable, 2, 2, 2),
    (Operation::KeyCreate, 2, 2, 2),
    (Operation::KeyActivate, 2, 2, 2),
    (Operation::KeyRetire, 2, 2, 2),
    (Operation::KeyDestroy, 3, 2, 3),
    (Operation::FreezeLift, 2, 2, 2),
    (Operation::QuorumSet, 3, 2, 3),
    (Operation::ClockConfirm, 2, 2, 2),
    (Operation::KeyImport, 3, 2, 3),
    (Operation::ProfilePut, 2, 2, 2),
    (Operation::PolicyPropose, 3, 2, 3),
];

#[test]
fn the_floors_are_these_and_no_other_operation_has_one() {
    let known: BTreeMap<&str, _> = FLOORS.into_iter().map(|row| (row.0.name(), row)).collect();
    for operation in Operation::ALL {
        let floors = [(false, 5), (false, 2), (true, 5)].map(|(of, officers)| floor(operation, of, officers));
        match known.get(operation.name()) {
            Some((_, five, two, officer)) => {
                assert_eq!(floors, [*five, *two, *officer].map(|persons| Some(need(persons))), "{operation}");
                assert!(!one_is_enough(operation), "{operation}");
            }
            None => assert_eq!(floors, [None, None, None], "{operation}"),
        }
    }
    // The floors grow with the roster alone, and never fall below two.
    for officers in 0..40 {
        assert_eq!(
            floor(Operation::KeyDestroy, false, officers),
            Some(need(if officers > 2 { 3 } else { 2 }))
        );
    }
}

/// How an approval is damaged or forged.
#[derive(Debug, Clone, Copy)]
enum How {
    Good,
    HighS,
    OtherProposal,
    OtherGenesis,
    Reject,
    Request,
    Altered(usize),
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        20 => Just(How::Good),
        1 => Just(How::HighS),
        1 => Just(How::OtherProposal),
        1 => Just(How::OtherGenesis),
        1 => Just(How::Reject),
        1 => Just(How::Request),
        1 => any::<usize>().prop_map(How::Altered),
    ]
}

fn made(by: u8, nonce: u8, how: How) -> Vec<u8> {
    let good = said(PROPOSAL, Verdict::Approve, nonce);
    let key: Key = key(by);
    match how {
        How::Good => key.message(Kind::Approval, &GENESIS, good),
        How::HighS => malleated(by, good),
        How::OtherProposal => key.message(Kind::Approval, &GENESIS, said(b"x", Verdict::Approve, nonce)),
        How::OtherGenesis => key.message(Kind::Approval, &Digest::new([1; 32]), good),
        How::Reject => key.message(Kind::Approval, &GENESIS, said(PROPOSAL, Verdict::Reject, nonce)),
        How::Request => key.message(Kind::Request(Operation::KeyActivate), &GENESIS, good),
        How::Altered(place) => {
            let mut message = key.message(Kind::Approval, &GENESIS, good);
            let place = place % message.len();
            message[place] ^= 1;
            message
        }
    }
}

fn any_need() -> impl Strategy<Value = Need> {
    (0_u8..6, 0_u8..4, proptest::collection::btree_set(0_u8..4, 0..3)).prop_map(
        |(persons, departments, named)| {
            let named =
                named.into_iter().map(|number| name(&format!("department-{number}"))).collect::<Vec<_>>();
            Need { schema: Schema, persons, departments, named: List::try_from(named).unwrap() }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_input_meets_a_need_with_fewer_distinct_valid_people_than_it_asks_and_never_fewer_than_two(
        // Officers 1 to 5, of whom some are disabled and 5 is officer 1 under another name; 6 and 7 are nobody.
        approvals in proptest::collection::vec((1_u8..8, 0_u8..3, how()), 0..9),
        disabled in proptest::collection::btree_set(1_u8..5, 0..3),
        need in any_need(),
    ) {
        let mut voters: Vec<_> =
            (1..5).map(|number| Voter { enabled: !disabled.contains(&number), ..voter(number) }).collect();
        voters.push(Voter { name: name("alias"), department: name("department-3"), ..voters[0].clone() });
        let messages: Vec<_> = approvals.iter().map(|(by, nonce, how)| made(*by, *nonce, *how)).collect();
        let good = |(by, _, how): &&(u8, u8, How)| {
            (1..5).contains(by) && !disabled.contains(by) && matches!(how, How::Good)
        };
        let people: BTreeSet<_> = approvals.iter().filter(good).map(|(by, ..)| *by).collect();
        match count(&messages, &voters) {
            Ok(quorum) => {
                prop_assert_eq!(usize::from(quorum.persons()), people.len());
                prop_assert!(approvals.iter().all(|one| good(&one)));
                if quorum.meets(&need) {
                    prop_assert!(people.len() >= 2 && people.len() >= usize::from(need.persons));
                    let departments: BTreeSet<_> = people.iter().map(|by| by % 3).collect();
                    prop_assert!(departments.len() >= usize::from(need.departments));
                    for named in need.named.iter() {
                        let there = departments.iter().any(|one| format!("department-{one}") == named.as_str());
                        prop_assert!(there);
                    }
                }
            }
            Err(_) => prop_assert!(approvals.iter().any(|one| !good(&one))),
        }
    }

    #[test]
    fn whoever_meets_two_needs_together_meets_each(
        one in any_need(),
        other in any_need(),
        people in proptest::collection::btree_set(1_u8..10, 0..7),
    ) {
        let both = one.and(&other);
        prop_assert!(both.covers(&one) && both.covers(&other));
        prop_assert!(both.is_sound() || both.persons < 2);
        let people: Vec<_> = people.into_iter().map(voter).collect();
        let all: Vec<_> = people.iter().collect();
        if both.is_met_by_all(&all) {
            prop_assert!(one.is_met_by_all(&all) && other.is_met_by_all(&all));
            prop_assert!(all.len() >= 2);
        }
        if one.covers(&other) && one.is_met_by_all(&all) {
            prop_assert!(other.is_met_by_all(&all));
        }
    }
}

#[test]
fn two_needs_that_name_more_departments_than_there_are_are_met_by_nobody() {
    let of = |numbers: std::ops::Range<u8>| {
        let named: Vec<_> = numbers.map(|number| name(&format!("department-{number}"))).collect();
        Need { persons: 5, named: List::try_from(named).unwrap(), ..need(2) }
    };
    let both = of(0..5).and(&of(5..10));
    assert!(!both.is_sound());
    assert!(both.persons > PERSONS_MAX);
}

#[test]
fn an_approval_fits_its_limit() {
    let approval = Approval {
        schema: Schema,
        proposal: sha256(&[]),
        verdict: Verdict::Reject,
        signed_at_ms: u64::MAX,
        nonce: idem(1),
    };
    let payload = cbor::encode(&approval);
    assert!(payload.len() <= quorum::APPROVAL_PAYLOAD_LEN_MAX);
    let message = key(1).message(Kind::Approval, &GENESIS, payload);
    assert!(message.len() <= keysvc_protocol::proposal::APPROVAL_LEN_MAX);
    let signature: Signature = signing_key(1).sign(b"used");
    assert!(signature.to_bytes().len() == 64);
}
