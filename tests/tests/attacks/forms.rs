//! Bytes that are not the one encoding of what they say, each under a good signature: approvals, requests, names.

use super::{
    Officers,
    book::{Attempt, Book},
    forge::{Fields, approval_of, approve, said, signed_as, with},
    invalid, uncounted,
};
use keysvc_protocol::{
    cbor,
    cose::Kind,
    founding::PrincipalKind,
    key::KeyKind,
    proposal::{Evidence, ProposalState},
    quorum::Verdict,
    refusal::{Invalid, Uncounted},
    request::{EnrolPrincipal, Operation},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{Pending, create, disable, done, key_state, name, propose},
    ground::Ground,
};

pub const ATTACKS: &[&str] = &[
    "an approval with an unknown field",
    "an approval with a field of nothing",
    "an approval that says its verdict twice",
    "an approval that says its verdict once more behind, as yes",
    "an approval without its nonce",
    "an approval with a number written longer than it is",
    "an approval with its fields in another order",
    "an approval with a byte behind it inside the signature",
    "an approval as a list",
    "an approval with a verdict there is not",
    "a vote with an unknown field around it",
    "a vote that names its proposal twice",
    "a vote that names nothing",
    "a request with an unknown field",
    "a request that names its key twice",
    "a request with nothing for its key",
    "a request with a byte behind it inside the signature",
    "a proposal and its approvals are sent as a request",
    "a name that reads as officer-1 by a letter of another alphabet",
    "a name that reads as officer-1 by a space behind it",
    "a name that reads as officer-1 in capitals",
    "a name that reads as officer-1 by a character that is not seen",
    "a reason that turns its reading direction",
];

/// Approvals that are not in their one encoding, by what is wrong with them.
fn approvals(proposal: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let good = cbor::encode(&said(proposal, Verdict::Approve));
    let no = cbor::encode(&said(proposal, Verdict::Reject));
    let with = |change: fn(&mut Fields)| with(&good, change);
    vec![
        ("an approval with an unknown field", with(|fields| fields.push((vec![5], vec![0])))),
        ("an approval with a field of nothing", with(|fields| fields[3].1 = vec![0xf6])),
        ("an approval that says its verdict twice", with(|fields| fields.insert(3, fields[2].clone()))),
        (
            "an approval that says its verdict once more behind, as yes",
            super::forge::with(&no, |fields| fields.push((vec![2], vec![0]))),
        ),
        ("an approval without its nonce", with(|fields| drop(fields.pop()))),
        ("an approval with a number written longer than it is", with(|fields| fields[2].1 = vec![0x18, 0])),
        ("an approval with its fields in another order", with(|fields| fields.swap(2, 3))),
        ("an approval with a byte behind it inside the signature", [good.as_slice(), &[0]].concat()),
        (
            "an approval as a list",
            super::forge::fields(&good)
                .into_iter()
                .fold(vec![0x85], |list, (_, value)| [list, value].concat()),
        ),
        ("an approval with a verdict there is not", with(|fields| fields[2].1 = vec![2])),
    ]
}

/// Votes and signed requests that are not in their one encoding.
fn requests(asked: &Pending, approval: Vec<u8>) -> Vec<(&'static str, Operation, Vec<u8>)> {
    let vote = approve(asked.id(), approval);
    let create = cbor::encode(&create("spare", KeyKind::ValueSigning));
    let evidence = Evidence {
        schema: Schema,
        proposal: asked.reply.proposal.clone(),
        approvals: keysvc_protocol::list::List::default(),
    };
    let (voted, made) = (Operation::ProposalApprove, Operation::KeyCreate);
    vec![
        (
            "a vote with an unknown field around it",
            voted,
            with(&vote, |fields| fields.push((vec![3], vec![0]))),
        ),
        (
            "a vote that names its proposal twice",
            voted,
            with(&vote, |fields| fields.insert(1, fields[1].clone())),
        ),
        ("a vote that names nothing", voted, with(&vote, |fields| fields[1].1 = vec![0xf6])),
        ("a request with an unknown field", made, with(&create, |fields| fields.push((vec![4], vec![0])))),
        (
            "a request that names its key twice",
            made,
            with(&create, |fields| fields.insert(2, fields[2].clone())),
        ),
        ("a request with nothing for its key", made, with(&create, |fields| fields[2].1 = vec![0xf6])),
        ("a request with a byte behind it inside the signature", made, [create.as_slice(), &[0]].concat()),
        ("a proposal and its approvals are sent as a request", made, cbor::encode(&evidence)),
    ]
}

/// Names that people would read as another's, and words that would read otherwise.
fn look_alikes(enrol: &EnrolPrincipal) -> Vec<(&'static str, Operation, Vec<u8>)> {
    let enrolled = cbor::encode(enrol);
    let named = |text: &[u8]| {
        with(&enrolled, |fields| {
            fields[2].1 = with(&fields[2].1, |principal| {
                let len = 0x60 | u8::try_from(text.len()).unwrap();
                principal[1].1 = [&[len], text].concat();
            });
        })
    };
    let disabled = cbor::encode(&disable("officer-3"));
    let turned = "in order \u{202e}ton".as_bytes();
    let reason = with(&disabled, |fields| {
        fields[3].1 = [&[0x60 | u8::try_from(turned.len()).unwrap()], turned].concat();
    });
    let operation = Operation::PrincipalEnrol;
    vec![
        (
            "a name that reads as officer-1 by a letter of another alphabet",
            operation,
            named("\u{43e}fficer-1".as_bytes()),
        ),
        ("a name that reads as officer-1 by a space behind it", operation, named(b"officer-1 ")),
        ("a name that reads as officer-1 in capitals", operation, named(b"OFFICER-1")),
        (
            "a name that reads as officer-1 by a character that is not seen",
            operation,
            named("officer-1\u{200b}".as_bytes()),
        ),
        ("a reason that turns its reading direction", Operation::PrincipalDisable, reason),
    ]
}

#[test]
fn a_vote_or_request_that_is_not_the_one_encoding_of_what_it_says_is_refused_under_a_good_signature() {
    let mut ground = Ground::new();
    let mut officers = Officers::of(&ground);
    let mut book = Book::open(&ground);
    let asked =
        propose(&mut officers.one, Operation::KeyCreate, &create("spare", KeyKind::ValueSigning)).unwrap();
    let genesis = officers.two.genesis;
    for (name, payload) in approvals(asked.reply.proposal.as_bytes()) {
        let approval = signed_as(&officers.two, Kind::Approval, genesis.as_bytes(), payload);
        let message = approve(asked.id(), approval);
        let operation = Operation::ProposalApprove;
        let attempt =
            Attempt { name, by: "officer-2", operation, message, refusal: uncounted(Uncounted::Form) };
        book.refused(&mut officers.two.line, attempt);
    }
    let approval = approval_of(&officers.three, asked.reply.proposal.as_bytes());
    for (name, operation, payload) in requests(&asked, approval) {
        let message = officers.three.message(operation, payload);
        let refusal = invalid(Invalid::Encoding);
        book.refused(
            &mut officers.three.line,
            Attempt { name, by: "officer-3", operation, message, refusal },
        );
    }
    let enrol = ground.newcomer("looked-at", PrincipalKind::Terminal, "roastery");
    for (name, operation, payload) in look_alikes(&enrol) {
        let message = officers.one.message(operation, payload);
        let refusal = invalid(Invalid::Encoding);
        book.refused(&mut officers.one.line, Attempt { name, by: "officer-1", operation, message, refusal });
    }
    // The same in their one encoding are taken.
    let voted = asked.approved_by(&mut [&mut officers.one, &mut officers.two]).unwrap();
    assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);
    assert!(key_state(&mut officers.one, "spare", 1).is_some());
    assert_eq!(enrol.principal.id, name("looked-at"));
    done(&mut [&mut officers.one, &mut officers.three], Operation::PrincipalEnrol, &enrol);
    book.close(ATTACKS, &mut ground);
}
