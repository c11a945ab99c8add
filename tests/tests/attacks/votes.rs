//! Votes that are none: by others, over other bytes, in other domains, bent, doubled, replayed.

use super::{
    Officers,
    book::{Attempt, Book},
    conflict,
    forge::{
        approval_of, approve, edited, fresh_key, high_s, in_the_name_of, reject, replaced, said, signed_as,
        turned,
    },
    uncounted,
};
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    cose::Kind,
    key::KeyKind,
    proposal::ProposalState,
    quorum::{Need, Verdict},
    refusal::{
        Conflict, Refusal,
        Uncounted::{Form, NotAnOfficer, OtherCaller, OtherProposal, OtherVerdict, Signature},
    },
    reply::VoteReply,
    request::Operation,
};
use keysvc_tests::{
    agreed::{Pending, create, key_state, propose},
    ground::Ground,
    raw::{self, sign},
};

pub const ATTACKS: &[&str] = &[
    "a machine's statement key approves",
    "a key that nobody enrolled approves",
    "an officer sends another officer's approval",
    "an officer signs under another officer's key identifier",
    "an approval of another proposal is sent for this one",
    "an approval for another log is sent for this one",
    "a signed request stands for an approval",
    "an agreement to a founding stands for an approval",
    "a rejection is sent as an approval",
    "an approval is sent as a rejection",
    "another key's name is put into the proposal before it is signed",
    "the need is lowered before the proposal is signed",
    "the proposal's life is lengthened before it is signed",
    "other policies are put into the proposal before it is signed",
    "another roster is put into the proposal before it is signed",
    "another log is put into the proposal before it is signed",
    "another requester is put into the proposal before it is signed",
    "the requested statement is altered before the proposal is signed",
    "an approval's nonce is altered after it was signed",
    "a rejection's verdict is altered to yes after it was signed",
    "the requester's signature of the request stands for an approval",
    "an approval's other signature of high s is sent",
    "an approval without its last byte is sent",
    "an approval with a byte behind it is sent",
    "an approval of another algorithm is sent",
    "an approval with an unprotected header is sent",
    "the requester approves twice with one approval",
    "the requester approves twice with two approvals",
    "the requester's own approval is counted again by its other signature",
    "an approval is sent again after the act",
    "an officer approves again after the act",
    "an officer passes another's approval on after the act",
];

struct Part {
    book: Book,
    officers: Officers,
    asked: Pending,
    other: Pending,
}

impl Part {
    fn try_vote(&mut self, name: &'static str, by: &str, approval: Vec<u8>, refusal: Refusal) {
        let message = approve(self.asked.id(), approval);
        self.try_request(Attempt { name, by, operation: Operation::ProposalApprove, message, refusal });
    }

    fn try_request(&mut self, attempt: Attempt<'_>) {
        let Officers { one, two, three } = &mut self.officers;
        let line = match attempt.by {
            "officer-1" => &mut one.line,
            "officer-2" => &mut two.line,
            _ => &mut three.line,
        };
        self.book.refused(line, attempt);
    }

    fn by_the_second(&mut self, ground: &Ground) {
        let by = "officer-2";
        let bytes = self.asked.reply.proposal.as_bytes().to_vec();
        let payload = cbor::encode(&said(&bytes, Verdict::Approve));
        let genesis = self.officers.two.genesis;
        let machine = raw::key(ground.site(), "terminal-1");
        let approval = sign(&machine, Kind::Approval, genesis.as_bytes(), payload.clone());
        self.try_vote("a machine's statement key approves", by, approval, uncounted(NotAnOfficer));
        let unknown = fresh_key(ground.site().folder(), "unknown.key");
        let approval = sign(&unknown, Kind::Approval, genesis.as_bytes(), payload.clone());
        self.try_vote("a key that nobody enrolled approves", by, approval, uncounted(NotAnOfficer));
        let approval = approval_of(&self.officers.three, &bytes);
        self.try_vote("an officer sends another officer's approval", by, approval, uncounted(OtherCaller));
        let approval = in_the_name_of(&self.officers.three, &self.officers.two, payload.clone());
        self.try_vote(
            "an officer signs under another officer's key identifier",
            by,
            approval,
            uncounted(Signature),
        );
        let approval = approval_of(&self.officers.two, self.other.reply.proposal.as_bytes());
        self.try_vote(
            "an approval of another proposal is sent for this one",
            by,
            approval,
            uncounted(OtherProposal),
        );
        let two = &self.officers.two;
        let as_kind = |kind, scope: &[u8]| signed_as(two, kind, scope, payload.clone());
        let other_log = as_kind(Kind::Approval, &[7; 32]);
        let request = as_kind(Kind::Request(Operation::ProposalApprove), genesis.as_bytes());
        let founding = as_kind(Kind::Founding, b"demo.keysvc.test");
        let no =
            signed_as(two, Kind::Approval, genesis.as_bytes(), cbor::encode(&said(&bytes, Verdict::Reject)));
        self.try_vote(
            "an approval for another log is sent for this one",
            by,
            other_log,
            uncounted(Signature),
        );
        self.try_vote("a signed request stands for an approval", by, request, uncounted(Form));
        self.try_vote("an agreement to a founding stands for an approval", by, founding, uncounted(Form));
        self.try_vote("a rejection is sent as an approval", by, no, uncounted(OtherVerdict));
        let message = reject(self.asked.id(), approval_of(&self.officers.two, &bytes));
        self.try_request(Attempt {
            name: "an approval is sent as a rejection",
            by,
            operation: Operation::ProposalReject,
            message,
            refusal: uncounted(OtherVerdict),
        });
    }

    fn by_the_third(&mut self) {
        let by = "officer-3";
        let asked = &self.asked;
        let other_statement = self.other.proposal.request.statement.clone();
        let edits = [
            (
                "another key's name is put into the proposal before it is signed",
                edited(asked, |proposal| proposal.request.statement = other_statement),
            ),
            (
                "the need is lowered before the proposal is signed",
                edited(asked, |proposal| proposal.need = Need { persons: 1, ..Need::of(2) }),
            ),
            (
                "the proposal's life is lengthened before it is signed",
                edited(asked, |proposal| proposal.expires_ms += 1),
            ),
            (
                "other policies are put into the proposal before it is signed",
                edited(asked, |proposal| proposal.policy = Digest::new([7; 32])),
            ),
            (
                "another roster is put into the proposal before it is signed",
                edited(asked, |proposal| proposal.roster = Digest::new([7; 32])),
            ),
            (
                "another log is put into the proposal before it is signed",
                edited(asked, |proposal| proposal.genesis = Digest::new([7; 32])),
            ),
            (
                "another requester is put into the proposal before it is signed",
                edited(asked, |proposal| proposal.request.requester = "officer-2".parse().unwrap()),
            ),
            (
                "the requested statement is altered before the proposal is signed",
                edited(asked, |proposal| {
                    let altered = turned(proposal.request.statement.0.as_bytes(), 1);
                    proposal.request.statement.0 = altered.try_into().unwrap();
                }),
            ),
        ];
        for (name, bytes) in edits {
            let approval = approval_of(&self.officers.three, &bytes);
            self.try_vote(name, by, approval, uncounted(OtherProposal));
        }
        let bytes = self.asked.reply.proposal.as_bytes().to_vec();
        // The last byte of the nonce stands before the signature's head of two bytes.
        let nonce = turned(&approval_of(&self.officers.three, &bytes), 64 + 2 + 1);
        self.try_vote("an approval's nonce is altered after it was signed", by, nonce, uncounted(Signature));
        let no = said(&bytes, Verdict::Reject);
        let yes =
            cbor::encode(&keysvc_protocol::quorum::Approval { verdict: Verdict::Approve, ..no.clone() });
        let three = &self.officers.three;
        let message = signed_as(three, Kind::Approval, three.genesis.as_bytes(), cbor::encode(&no));
        let altered = replaced(&message, &cbor::encode(&no), &yes);
        self.try_vote(
            "a rejection's verdict is altered to yes after it was signed",
            by,
            altered,
            uncounted(Signature),
        );
    }

    fn by_the_requester(&mut self) {
        let by = "officer-1";
        let bytes = self.asked.reply.proposal.as_bytes().to_vec();
        let request = self.asked.proposal.request.statement.0.as_bytes().to_vec();
        self.try_vote(
            "the requester's signature of the request stands for an approval",
            by,
            request,
            uncounted(Form),
        );
        let good = approval_of(&self.officers.one, &bytes);
        self.try_vote(
            "an approval's other signature of high s is sent",
            by,
            high_s(&good),
            uncounted(Signature),
        );
        let cut = good[..good.len() - 1].to_vec();
        self.try_vote("an approval without its last byte is sent", by, cut, uncounted(Form));
        let longer = [good.as_slice(), &[0]].concat();
        self.try_vote("an approval with a byte behind it is sent", by, longer, uncounted(Form));
        // ES384 where ES256 stands, then a key identifier outside what is signed.
        let algorithm = replaced(&good, &[0xa3, 0x01, 0x26], &[0xa3, 0x01, 0x38]);
        self.try_vote("an approval of another algorithm is sent", by, algorithm, uncounted(Form));
        let headed = replaced(&good, b"keysvc/ap1\xa0", b"keysvc/ap1\xa1\x04\x40");
        self.try_vote("an approval with an unprotected header is sent", by, headed, uncounted(Form));
        let first: VoteReply = self
            .officers
            .one
            .ask_bytes(Operation::ProposalApprove, approve(self.asked.id(), good.clone()))
            .unwrap();
        assert_eq!((first.persons, &first.state), (1, &ProposalState::Open));
        let twice = [
            ("the requester approves twice with one approval", good.clone()),
            ("the requester approves twice with two approvals", approval_of(&self.officers.one, &bytes)),
        ];
        for (name, approval) in twice {
            let (one, id) = (&mut self.officers.one, self.asked.id());
            let leaves = self.book.nothing_comes_of(name, || {
                let again: VoteReply =
                    one.ask_bytes(Operation::ProposalApprove, approve(id, approval)).unwrap();
                assert_eq!((again.persons, again.state), (1, ProposalState::Open), "{name}");
                assert_eq!(
                    again.receipt.leaf_index, first.receipt.leaf_index,
                    "{name}: the first vote's leaf"
                );
            });
            assert!(super::book::is_quiet(&leaves), "{name}: {leaves:?}");
        }
        self.try_vote(
            "the requester's own approval is counted again by its other signature",
            by,
            high_s(&good),
            uncounted(Signature),
        );
        let voted = self.asked.approve(&mut self.officers.two).unwrap();
        assert!(matches!(voted.state, ProposalState::Executed { .. }), "an honest quorum: {:?}", voted.state);
        assert!(key_state(&mut self.officers.one, "spare", 1).is_some());
        let (one, id, again) = (&mut self.officers.one, self.asked.id(), good.clone());
        let leaves = self.book.nothing_comes_of("an approval is sent again after the act", || {
            let again: VoteReply = one.ask_bytes(Operation::ProposalApprove, approve(id, again)).unwrap();
            assert_eq!(again.receipt.leaf_index, first.receipt.leaf_index, "the first vote's leaf");
        });
        assert!(super::book::is_quiet(&leaves), "{leaves:?}");
        let ended = || conflict(Conflict::ProposalEnded);
        let fresh = approval_of(&self.officers.one, &bytes);
        self.try_vote("an officer approves again after the act", by, fresh, ended());
        self.try_vote(
            "an officer passes another's approval on after the act",
            "officer-1",
            approval_of(&self.officers.two, &bytes),
            ended(),
        );
    }
}

#[test]
fn a_vote_that_is_not_an_officers_own_over_these_bytes_counts_for_nothing() {
    let mut ground = Ground::new();
    let mut officers = Officers::of(&ground);
    let book = Book::open(&ground);
    let asked =
        propose(&mut officers.one, Operation::KeyCreate, &create("spare", KeyKind::ValueSigning)).unwrap();
    let other =
        propose(&mut officers.one, Operation::KeyCreate, &create("other", KeyKind::ValueSigning)).unwrap();
    let mut part = Part { book, officers, asked, other };
    part.by_the_second(&ground);
    part.by_the_third();
    part.by_the_requester();
    assert_eq!(key_state(&mut part.officers.one, "other", 1), None, "only one of the two was agreed to");
    part.book.close(ATTACKS, &mut ground);
}
