//! What changes between asking, approving and acting: officers, thresholds, keys, and the proposal's own end.

use super::{
    Officers,
    book::{Attempt, Book},
    conflict,
    forge::{approval_of, approve, fresh_key},
    invalid, terminal, uncounted,
};
use keysvc_client::signer::StatementSigner as _;
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    founding::PrincipalKind,
    key::KeyKind,
    proposal::ProposalState,
    quorum::Need,
    refusal::{
        Conflict, Invalid,
        Uncounted::{NotAnOfficer, OtherProposal, OtherRoster},
    },
    reply::PrincipalListReply,
    request::{CreateKey, ListPrincipals, Operation, RotatePrincipal, SetQuorum},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{
        Pending, activate, agree, alone, compromise, create, disable, done, enable, freeze, idem, key_state,
        lift, name, propose, until,
    },
    ground::Ground,
    raw::Caller,
};

pub const ATTACKS: &[&str] = &[
    "an officer approves after another officer was disabled",
    "the requester asks again after an officer who approved was disabled",
    "an officer approves after a threshold was raised",
    "an officer approves after an officer's key was changed",
    "an officer approves with a key that was changed since",
    "an officer asks with a key that was changed since",
    "an officer approves what another rejected",
    "the officer who rejected approves after all",
    "an officer approves what the requester withdrew",
    "the requester asks again for what was rejected",
    "an approval of an act is sent for the same act asked again",
    "two proposals of one act act twice",
    "a key is compromised between approval and its activation",
    "a name is taken between approval and enrolment",
];

struct Part {
    ground: Ground,
    book: Book,
    officers: Officers,
}

/// Digest of the officers and thresholds in force.
fn roster(reader: &mut Caller) -> keysvc_protocol::bytes::Digest {
    let list = ListPrincipals { schema: Schema, after: None };
    reader.ask::<PrincipalListReply>(Operation::PrincipalList, &list).unwrap().roster
}

/// Lets a change of the officers be agreed, and waits until it is in force.
fn in_force(officers: &mut [&mut Caller], operation: Operation, request: &impl serde::Serialize) {
    let before = roster(officers[0]);
    let (_, state) = agree(officers, operation, request).unwrap();
    assert!(matches!(state, ProposalState::Waiting { .. }), "{operation}: {state:?}");
    until("the change is in force", || roster(officers[0]) != before);
}

impl Part {
    fn refused(&mut self, name: &'static str, asked: &Pending, refusal: keysvc_protocol::refusal::Refusal) {
        let two = &mut self.officers.two;
        let message = approve(asked.id(), approval_of(two, asked.reply.proposal.as_bytes()));
        let operation = Operation::ProposalApprove;
        self.book.refused(&mut two.line, Attempt { name, by: "officer-2", operation, message, refusal });
    }

    fn wanted(&mut self, key: &str) -> (CreateKey, Pending) {
        let request = create(key, KeyKind::ValueSigning);
        let asked = propose(&mut self.officers.one, Operation::KeyCreate, &request).unwrap();
        (request, asked)
    }

    fn roster(&mut self) {
        let (request, asked) = self.wanted("first");
        let Officers { one, three, .. } = &mut self.officers;
        asked.approve(three).unwrap();
        alone(one, Operation::PrincipalDisable, &disable("officer-3")).unwrap();
        self.refused(
            "an officer approves after another officer was disabled",
            &asked,
            uncounted(OtherRoster),
        );
        let Self { book, officers: Officers { one, two, .. }, .. } = self;
        let name = "the requester asks again after an officer who approved was disabled";
        book.nothing_comes_of(name, || {
            let again = propose(one, Operation::KeyCreate, &request).unwrap();
            assert_eq!((again.id(), again.reply.state), (asked.id(), ProposalState::Open));
        });
        in_force(&mut [one, two], Operation::PrincipalEnable, &enable("officer-3"));
        assert_eq!(key_state(one, "first", 1), None);
        done(&mut [one, two], Operation::KeyCreate, &create("first", KeyKind::ValueSigning));
    }

    fn threshold(&mut self) {
        let (_, asked) = self.wanted("second");
        asked.approve(&mut self.officers.one).unwrap();
        let Officers { one, two, three } = &mut self.officers;
        let request =
            SetQuorum { schema: Schema, idem: idem(), operation: Operation::KeyCreate, need: Need::of(3) };
        in_force(&mut [one, two, three], Operation::QuorumSet, &request);
        self.refused("an officer approves after a threshold was raised", &asked, uncounted(OtherRoster));
        let Officers { one, two, three } = &mut self.officers;
        let request = create("second", KeyKind::ValueSigning);
        let (asked, state) = agree(&mut [one, two], Operation::KeyCreate, &request).unwrap();
        assert_eq!(state, ProposalState::Open, "it takes three from now on");
        assert!(matches!(asked.approve(three).unwrap().state, ProposalState::Executed { .. }));
        let request =
            SetQuorum { schema: Schema, idem: idem(), operation: Operation::KeyCreate, need: Need::of(2) };
        in_force(&mut [one, two, three], Operation::QuorumSet, &request);
    }

    fn rotation(&mut self) {
        let (_, asked) = self.wanted("third");
        let Officers { one, two, three } = &mut self.officers;
        asked.approve(three).unwrap();
        let new = fresh_key(self.ground.site().folder(), "officer-3-new.key");
        let statement_key = Some(Blob::try_from(new.public_key().spki().to_vec()).unwrap());
        let (schema, idem, id) = (Schema, idem(), name("officer-3"));
        let request = RotatePrincipal { schema, idem, id, tls_key: None, statement_key, wrapping_key: None };
        in_force(&mut [three, one, two], Operation::PrincipalRotate, &request);
        self.refused(
            "an officer approves after an officer's key was changed",
            &asked,
            uncounted(OtherRoster),
        );
        let (_, asked) = self.wanted("third");
        let three = &mut self.officers.three;
        let message = approve(asked.id(), approval_of(three, asked.reply.proposal.as_bytes()));
        let attempt = Attempt {
            name: "an officer approves with a key that was changed since",
            by: "officer-3",
            operation: Operation::ProposalApprove,
            message,
            refusal: uncounted(NotAnOfficer),
        };
        self.book.refused(&mut three.line, attempt);
        let operation = Operation::FreezeSet;
        let attempt = Attempt {
            name: "an officer asks with a key that was changed since",
            by: "officer-3",
            operation,
            message: three.message(operation, cbor::encode(&freeze(&terminal("terminal-1")))),
            refusal: invalid(Invalid::Signature),
        };
        self.book.refused(&mut three.line, attempt);
        three.signer = Some(Box::new(new));
        let voted = asked.approved_by(&mut [three, &mut self.officers.one]).unwrap();
        assert!(matches!(voted.state, ProposalState::Executed { .. }), "with the new key: {:?}", voted.state);
    }

    fn ended(&mut self) {
        let over = || conflict(Conflict::ProposalEnded);
        let (request, asked) = self.wanted("fourth");
        asked.approve(&mut self.officers.one).unwrap();
        let rejected = asked.reject(&mut self.officers.three).unwrap();
        assert_eq!(rejected.state, ProposalState::Rejected { by: name("officer-3") });
        self.refused("an officer approves what another rejected", &asked, over());
        let Self { book, officers: Officers { three, .. }, .. } = self;
        let attempt = Attempt {
            name: "the officer who rejected approves after all",
            by: "officer-3",
            operation: Operation::ProposalApprove,
            message: approve(asked.id(), approval_of(three, asked.reply.proposal.as_bytes())),
            refusal: over(),
        };
        book.refused(&mut three.line, attempt);
        let (_, withdrawn) = self.wanted("fourth");
        let cancelled = withdrawn.cancel(&mut self.officers.one).unwrap();
        assert_eq!(cancelled.state, ProposalState::Cancelled { by: name("officer-1") });
        self.refused("an officer approves what the requester withdrew", &withdrawn, over());
        let Self { book, officers: Officers { one, .. }, .. } = self;
        book.nothing_comes_of("the requester asks again for what was rejected", || {
            let again = propose(one, Operation::KeyCreate, &request).unwrap();
            assert_eq!(again.id(), asked.id());
            assert_eq!(again.reply.state, ProposalState::Rejected { by: name("officer-3") });
        });
    }

    /// One act asked for twice is two proposals, each with people of its own; a freeze is lifted once.
    fn twice(&mut self) {
        let stopped = terminal("terminal-2");
        let Self { book, officers: Officers { one, two, .. }, .. } = self;
        alone(one, Operation::FreezeSet, &freeze(&stopped)).unwrap();
        let first = propose(one, Operation::FreezeLift, &lift(&stopped)).unwrap();
        let second = propose(one, Operation::FreezeLift, &lift(&stopped)).unwrap();
        assert_ne!(first.id(), second.id());
        let attempt = Attempt {
            name: "an approval of an act is sent for the same act asked again",
            by: "officer-2",
            operation: Operation::ProposalApprove,
            message: approve(second.id(), approval_of(two, first.reply.proposal.as_bytes())),
            refusal: uncounted(OtherProposal),
        };
        book.refused(&mut two.line, attempt);
        let voted = first.approved_by(&mut [one, two]).unwrap();
        assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);
        // Stopped again since: the second proposal was made on the first freeze.
        alone(one, Operation::FreezeSet, &freeze(&stopped)).unwrap();
        let refusal = conflict(Conflict::Precondition);
        book.fails("two proposals of one act act twice", &second.proposal, &refusal, || {
            let voted = second.approved_by(&mut [one, two]).unwrap();
            assert_eq!(voted.state, ProposalState::Failed { refusal: refusal.clone() });
        });
        done(&mut [one, two], Operation::FreezeLift, &lift(&stopped));
    }

    /// One officer approves, then what the proposal was made on changes, then another completes the quorum.
    fn overtaken(&mut self) {
        let name = "a key is compromised between approval and its activation";
        let asked = propose(&mut self.officers.one, Operation::KeyActivate, &activate("second", 1)).unwrap();
        asked.approve(&mut self.officers.one).unwrap();
        alone(&mut self.officers.three, Operation::KeyCompromise, &compromise("second", 1)).unwrap();
        self.fails(name, &asked, &conflict(Conflict::Precondition));
        let first = self.ground.newcomer("terminal-7", PrincipalKind::Terminal, "roastery");
        let mut second = self.ground.newcomer("terminal-8", PrincipalKind::Terminal, "roastery");
        second.principal.id.clone_from(&first.principal.id);
        let asked = propose(&mut self.officers.one, Operation::PrincipalEnrol, &second).unwrap();
        asked.approve(&mut self.officers.one).unwrap();
        let Officers { one, two, .. } = &mut self.officers;
        done(&mut [one, two], Operation::PrincipalEnrol, &first);
        self.fails("a name is taken between approval and enrolment", &asked, &conflict(Conflict::NameTaken));
    }

    fn fails(&mut self, name: &'static str, asked: &Pending, refusal: &keysvc_protocol::refusal::Refusal) {
        let Self { book, officers: Officers { two, .. }, .. } = self;
        book.fails(name, &asked.proposal, refusal, || {
            let voted = asked.approve(two).unwrap();
            assert_eq!(voted.state, ProposalState::Failed { refusal: refusal.clone() });
        });
    }
}

#[test]
fn what_changes_between_asking_approving_and_acting_is_told_and_stops_the_act() {
    let ground = Ground::new();
    let officers = Officers::of(&ground);
    let book = Book::open(&ground);
    let mut part = Part { ground, book, officers };
    part.roster();
    part.threshold();
    part.rotation();
    part.ended();
    part.twice();
    part.overtaken();
    let Part { mut ground, book, mut officers } = part;
    assert_eq!(key_state(&mut officers.one, "fourth", 1), None);
    book.close(ATTACKS, &mut ground);
}
