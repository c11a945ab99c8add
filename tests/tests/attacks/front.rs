//! A captured front: it says of every request whose it is, has all that passed it, and speaks with the keeper itself.
//!
//! It can read what others may read; that is its capture's price (docs/ARCHITECTURE.md). It can change nothing.

use super::{
    Officers,
    book::{Attempt, Book, Way},
    forge::{approval_of, approve, fresh_key, reject, signed_as, turned},
    invalid, terminal, uncounted,
};
use keysvc::link::{Call, KeeperLink, Peer};
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    cose::Kind,
    freeze::Scope,
    key::KeyKind,
    proposal::ProposalState,
    quorum::Verdict,
    refusal::{
        Invalid, Refusal, RequestId,
        Uncounted::{NotAnOfficer, OtherCaller, OtherProposal, OtherVerdict, Signature},
    },
    reply::{ChangedReply, PrincipalListReply},
    request::{ListPrincipals, Operation},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{Pending, alone, create, done, freeze, idem, key_state, lift, propose},
    ground::Ground,
    raw::{self, Answer, Caller, envelope, sign},
};
use softhsm_setup::{TRUST_DOMAIN, pki::spiffe};
use std::{sync::Arc, thread, time::Duration};
use tokio::runtime::Runtime;

pub const ATTACKS: &[&str] = &[
    "a captured front asks in an officer's name without a signature",
    "a captured front asks in an officer's name with a key of its own",
    "a captured front asks in an officer's name with a terminal's key",
    "a captured front turns a freeze of one terminal into one of everything",
    "a captured front turns an officer's freeze into a lift",
    "a captured front approves in an officer's name with a key of its own",
    "a captured front approves in an officer's name with a terminal's key",
    "a captured front counts one officer's approval in another's name",
    "a captured front spends an officer's approval on another proposal",
    "a captured front alters an officer's approval on its way",
    "a captured front turns an officer's approval into a rejection",
    "a captured front turns an officer's rejection into an approval",
    "a captured front gives an officer's key another name",
    "a captured front gives an officer's name another key",
    "a captured front plays an officer's freeze again after it was lifted",
    "a captured front plays an officer's approval again for the next who asks",
];

/// The front, and in whose name it speaks.
pub struct Front {
    runtime: Runtime,
    link: KeeperLink,
    pub peer: Arc<Peer>,
}

impl Way for Front {
    fn post(&mut self, operation: Operation, body: &[u8]) -> Answer {
        let (request_id, body) = (RequestId(idem()), body.to_vec().into());
        let call = Call { request_id, peer: Arc::clone(&self.peer), operation, body };
        let answer = self.runtime.block_on(self.link.call(call)).unwrap();
        Answer { status: answer.status, body: answer.body.to_vec() }
    }
}

pub fn peer(key_digest: Digest, kind: &str, name: &str) -> Arc<Peer> {
    Arc::new(Peer { key_digest, uri: spiffe(TRUST_DOMAIN, kind, name), serial: "01".to_owned() })
}

impl Front {
    pub fn capture(ground: &Ground) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let link = {
            let _inside = runtime.enter();
            KeeperLink::connect(&ground.site().socket())
        };
        while !link.is_connected() {
            thread::sleep(Duration::from_millis(10));
        }
        Self { runtime, link, peer: peer(Digest::new([0; 32]), "nobody", "nobody") }
    }
}

struct Part {
    book: Book,
    officers: Officers,
    front: Front,
    pins: Vec<(String, Digest)>,
}

impl Part {
    fn pin(&self, name: &str) -> Digest {
        self.pins.iter().find(|(known, _)| known == name).unwrap().1
    }

    fn refused(
        &mut self,
        name: &'static str,
        by: &str,
        (operation, message): (Operation, Vec<u8>),
        refusal: Refusal,
    ) {
        self.front.peer = peer(self.pin(by), "officer", by);
        self.book.refused(&mut self.front, Attempt { name, by, operation, message, refusal });
    }

    fn requests(&mut self, ground: &Ground) {
        let operation = Operation::FreezeSet;
        let everything = cbor::encode(&freeze(&Scope::All));
        let own = fresh_key(ground.site().folder(), "front.key");
        let genesis = self.officers.one.genesis;
        let request = Kind::Request(operation);
        let by_own = sign(&own, request, genesis.as_bytes(), everything.clone());
        let machine = raw::key(ground.site(), "terminal-1");
        let by_machine = sign(&machine, request, genesis.as_bytes(), everything.clone());
        let one = &self.officers.one;
        let good = one.message(operation, cbor::encode(&freeze(&terminal("terminal-1"))));
        // The officer's own head and signature around other words.
        let words = signed_as(one, request, genesis.as_bytes(), everything.clone());
        let swapped = [&words[..words.len() - 64], &good[good.len() - 64..]].concat();
        let (by, signature) = ("officer-1", || invalid(Invalid::Signature));
        self.refused(ATTACKS[0], by, (operation, everything), invalid(Invalid::NotSigned));
        self.refused(ATTACKS[1], by, (operation, by_own), signature());
        self.refused(ATTACKS[2], by, (operation, by_machine), signature());
        self.refused(ATTACKS[3], by, (operation, swapped), signature());
        self.refused(ATTACKS[4], by, (Operation::FreezeLift, good), signature());
    }

    fn approvals(&mut self, ground: &Ground, asked: &Pending, other: &Pending) {
        let (bytes, by) = (asked.reply.proposal.as_bytes(), "officer-2");
        let genesis = self.officers.two.genesis;
        let own = fresh_key(ground.site().folder(), "front-approves.key");
        let said = cbor::encode(&super::forge::said(bytes, Verdict::Approve));
        let by_own = sign(&own, Kind::Approval, genesis.as_bytes(), said.clone());
        let machine = raw::key(ground.site(), "terminal-1");
        let by_machine = sign(&machine, Kind::Approval, genesis.as_bytes(), said);
        let first = approval_of(&self.officers.one, bytes);
        let passing = approval_of(&self.officers.two, bytes);
        let no = cbor::encode(&super::forge::said(bytes, Verdict::Reject));
        let no = signed_as(&self.officers.two, Kind::Approval, genesis.as_bytes(), no);
        let vote = |approval| (Operation::ProposalApprove, approve(asked.id(), approval));
        self.refused(ATTACKS[5], by, vote(by_own), uncounted(NotAnOfficer));
        self.refused(ATTACKS[6], by, vote(by_machine), uncounted(NotAnOfficer));
        self.refused(ATTACKS[7], by, vote(first), uncounted(OtherCaller));
        let spent = (Operation::ProposalApprove, approve(other.id(), passing.clone()));
        self.refused(ATTACKS[8], by, spent, uncounted(OtherProposal));
        self.refused(ATTACKS[9], by, vote(turned(&passing, 64 + 2 + 1)), uncounted(Signature));
        let rejected = (Operation::ProposalReject, reject(asked.id(), passing));
        self.refused(ATTACKS[10], by, rejected, uncounted(OtherVerdict));
        self.refused(ATTACKS[11], by, vote(no), uncounted(OtherVerdict));
    }

    fn names(&mut self, asked: &Pending) {
        let message = approve(asked.id(), approval_of(&self.officers.two, asked.reply.proposal.as_bytes()));
        let two = self.pin("officer-2");
        let cases = [
            (ATTACKS[12], peer(two, "officer", "officer-3")),
            (ATTACKS[13], peer(Digest::new([7; 32]), "officer", "officer-2")),
        ];
        for (name, peer) in cases {
            self.front.peer = peer;
            self.book.unknown(&mut self.front, name, Operation::ProposalApprove, message.clone());
        }
    }

    /// What passed it once, sent again.
    fn replays(&mut self, asked: &Pending) {
        let operation = Operation::FreezeSet;
        let request = freeze(&terminal("terminal-1"));
        let Officers { one, two, .. } = &mut self.officers;
        let passed = one.message(operation, cbor::encode(&request));
        let first = alone(one, operation, &request).unwrap();
        done(&mut [one, two], Operation::FreezeLift, &lift(&terminal("terminal-1")));
        self.front.peer = peer(self.pin("officer-1"), "officer", "officer-1");
        let front = &mut self.front;
        let leaves = self.book.nothing_comes_of(ATTACKS[14], || {
            let again: ChangedReply = front.post(operation, &envelope(passed)).read().unwrap();
            assert_eq!(again.receipt.leaf_index, first.receipt.leaf_index);
        });
        assert!(super::book::is_quiet(&leaves), "{leaves:?}");
        let passed = approval_of(&self.officers.one, asked.reply.proposal.as_bytes());
        let voted: keysvc_protocol::reply::VoteReply = self
            .officers
            .one
            .ask_bytes(Operation::ProposalApprove, approve(asked.id(), passed.clone()))
            .unwrap();
        assert_eq!((voted.persons, voted.state), (1, ProposalState::Open));
        let next =
            propose(&mut self.officers.three, Operation::KeyCreate, &create("spare", KeyKind::ValueSigning))
                .unwrap();
        let again = (Operation::ProposalApprove, approve(next.id(), passed));
        self.refused(ATTACKS[15], "officer-1", again, uncounted(OtherProposal));
    }
}

pub fn pins(reader: &mut Caller) -> Vec<(String, Digest)> {
    let list = ListPrincipals { schema: Schema, after: None };
    let reply: PrincipalListReply = reader.ask(Operation::PrincipalList, &list).unwrap();
    let all = reply.principals.into_vec().into_iter().map(|one| one.enrolment);
    all.map(|enrolment| (enrolment.id.to_string(), enrolment.tls_key)).collect()
}

#[test]
fn a_captured_front_changes_nothing_in_an_officers_name() {
    let mut ground = Ground::new();
    let mut officers = Officers::of(&ground);
    let book = Book::open(&ground);
    let asked =
        propose(&mut officers.one, Operation::KeyCreate, &create("spare", KeyKind::ValueSigning)).unwrap();
    let other =
        propose(&mut officers.one, Operation::KeyCreate, &create("other", KeyKind::ValueSigning)).unwrap();
    let pins = pins(&mut officers.one);
    let mut part = Part { book, officers, front: Front::capture(&ground), pins };
    part.requests(&ground);
    part.approvals(&ground, &asked, &other);
    part.names(&asked);
    part.replays(&asked);
    // What the officers send themselves is done.
    let voted = asked.approve(&mut part.officers.two).unwrap();
    assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);
    assert!(key_state(&mut part.officers.one, "spare", 1).is_some());
    assert_eq!(key_state(&mut part.officers.one, "other", 1), None);
    part.book.close(ATTACKS, &mut ground);
}
