//! Too few people: one officer with everything one officer has, or two where it takes three.

use super::{
    Officers,
    book::{Attempt, Book},
    conflict,
    forge::{approval_of, approve},
    invalid, terminal, uncounted,
};
use keysvc_protocol::{
    cbor,
    founding::PrincipalKind,
    key::{KeyKind, KeyState},
    list::List,
    proposal::ProposalState,
    quorum::Need,
    refusal::{Conflict, Invalid, Refusal, Uncounted},
    reply::PrincipalListReply,
    request::{ListPrincipals, Operation, SetQuorum},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{
        Pending, Sent, activate, alone, create, destroy, disable, done, enable, freeze, idem, key_state,
        lift, propose, send,
    },
    ground::Ground,
    raw::Caller,
};

pub const ATTACKS: &[&str] = &[
    "one officer lifts a freeze",
    "one officer lifts a freeze with nobody's approval but their own",
    "one officer lifts a freeze by asking again",
    "one officer puts a key into use",
    "the requester counts though only another has signed",
    "two officers destroy a key",
    "two officers enrol a third person's officer",
    "two officers change a threshold",
    "one officer enables a principal again",
    "a threshold of one person",
    "a threshold below the floor of destroying a key",
    "a threshold for what has no floor",
    "a threshold that nobody could meet",
    "a threshold of a department there is not",
    "one officer disables the last officer but one",
    "one officer disables themselves when two are left",
    "a disabled officer asks on a connection that is still open",
    "a disabled officer's approval is passed on by another",
    "one officer enables another",
    "an officer disables another so that two are enough to destroy a key",
];

fn set(operation: Operation, need: Need) -> SetQuorum {
    SetQuorum { schema: Schema, idem: idem(), operation, need }
}

fn is_open(pending: &Pending, officers: &mut [&mut Caller], persons: u8) {
    let voted = pending.approved_by(officers).unwrap();
    assert_eq!((voted.persons, voted.state), (persons, ProposalState::Open));
}

struct Part {
    ground: Ground,
    book: Book,
    officers: Officers,
}

impl Part {
    fn one(&mut self) {
        let stopped = terminal("terminal-2");
        let Self { book, officers: Officers { one, two, .. }, .. } = self;
        alone(one, Operation::FreezeSet, &freeze(&stopped)).unwrap();
        let request = lift(&stopped);
        let mut asked = None;
        book.nothing_comes_of("one officer lifts a freeze", || {
            asked = Some(propose(one, Operation::FreezeLift, &request).unwrap());
        });
        let asked = asked.unwrap();
        assert_eq!(asked.proposal.need, Need::of(2));
        book.nothing_comes_of("one officer lifts a freeze with nobody's approval but their own", || {
            is_open(&asked, &mut [one], 1);
        });
        book.nothing_comes_of("one officer lifts a freeze by asking again", || {
            let again = propose(one, Operation::FreezeLift, &request).unwrap();
            assert_eq!((again.id(), again.reply.state), (asked.id(), ProposalState::Open));
            let result = asked.result(one).unwrap();
            assert_eq!((result.state, result.reply), (ProposalState::Open, None));
        });
        let voted = asked.approve(two).unwrap();
        assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);

        done(&mut [one, two], Operation::KeyCreate, &create("spare", KeyKind::ValueSigning));
        let mut asked = None;
        book.nothing_comes_of("one officer puts a key into use", || {
            asked = Some(propose(one, Operation::KeyActivate, &activate("spare", 1)).unwrap());
        });
        let asked = asked.unwrap();
        book.nothing_comes_of("the requester counts though only another has signed", || {
            is_open(&asked, &mut [two], 1);
            assert_eq!(asked.result(one).unwrap().reply, None);
        });
        assert_eq!(key_state(one, "spare", 1), Some(KeyState::PreActivation));
        let voted = asked.approve(one).unwrap();
        assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);
        assert_eq!(key_state(one, "spare", 1), Some(KeyState::Active));
    }

    /// Everything that takes three, by two; then by the third.
    fn two(&mut self) {
        let newcomer = self.ground.newcomer("officer-4", PrincipalKind::Officer, "security");
        let Self { book, officers: Officers { one, two, three }, .. } = self;
        done(&mut [one, two], Operation::KeyCreate, &create("unwanted", KeyKind::ValueSigning));
        let mut open = Vec::new();
        book.nothing_comes_of("two officers destroy a key", || {
            let asked = propose(one, Operation::KeyDestroy, &destroy("unwanted", 1)).unwrap();
            is_open(&asked, &mut [one, two], 2);
            open.push(asked);
        });
        book.nothing_comes_of("two officers enrol a third person's officer", || {
            let asked = propose(one, Operation::PrincipalEnrol, &newcomer).unwrap();
            is_open(&asked, &mut [one, two], 2);
            open.push(asked);
        });
        book.nothing_comes_of("two officers change a threshold", || {
            let asked = propose(one, Operation::QuorumSet, &set(Operation::KeyCreate, Need::of(3))).unwrap();
            is_open(&asked, &mut [one, two], 2);
            open.push(asked);
        });
        assert!(open.iter().all(|asked| asked.proposal.need == Need::of(3)));
        alone(one, Operation::PrincipalDisable, &disable("terminal-2")).unwrap();
        let mut asked = None;
        book.nothing_comes_of("one officer enables a principal again", || {
            let pending = propose(one, Operation::PrincipalEnable, &enable("terminal-2")).unwrap();
            is_open(&pending, &mut [one], 1);
            asked = Some(pending);
        });
        let voted = asked.unwrap().approve(three).unwrap();
        assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);
        // The third completes the first of them, which then waits for its delay; and withdraws it.
        let voted = open[0].approve(three).unwrap();
        assert!(matches!(voted.state, ProposalState::Waiting { .. }), "{:?}", voted.state);
        for asked in open {
            assert!(matches!(asked.cancel(three).unwrap().state, ProposalState::Cancelled { .. }));
        }
    }

    fn thresholds(&mut self) {
        let named = List::try_from(vec!["kitchen".parse().unwrap()]).unwrap();
        let cases = [
            ("a threshold of one person", Operation::FreezeLift, Need { persons: 1, ..Need::of(2) }),
            ("a threshold below the floor of destroying a key", Operation::KeyDestroy, Need::of(2)),
            ("a threshold for what has no floor", Operation::FreezeSet, Need::of(2)),
            ("a threshold that nobody could meet", Operation::FreezeLift, Need::of(9)),
            (
                "a threshold of a department there is not",
                Operation::FreezeLift,
                Need { named, ..Need::of(2) },
            ),
        ];
        for (name, operation, need) in cases {
            let two = &mut self.officers.two;
            let message = two.message(Operation::QuorumSet, cbor::encode(&set(operation, need)));
            let (operation, refusal) = (Operation::QuorumSet, invalid(Invalid::Need));
            self.book.refused(&mut two.line, Attempt { name, by: "officer-2", operation, message, refusal });
        }
    }

    fn last_officers(&mut self) {
        let Self { book, officers: Officers { one, two, three }, .. } = self;
        let asked = propose(one, Operation::KeyCreate, &create("late", KeyKind::ValueSigning)).unwrap();
        alone(one, Operation::PrincipalDisable, &disable("officer-3")).unwrap();
        for (name, id) in [
            ("one officer disables the last officer but one", "officer-2"),
            ("one officer disables themselves when two are left", "officer-1"),
        ] {
            let operation = Operation::PrincipalDisable;
            let message = one.message(operation, cbor::encode(&disable(id)));
            let refusal = conflict(Conflict::TooFewOfficers);
            book.refused(&mut one.line, Attempt { name, by: "officer-1", operation, message, refusal });
        }
        let (operation, disabled) = (Operation::FreezeSet, conflict(Conflict::Disabled));
        let message = three.message(operation, cbor::encode(&freeze(&terminal("terminal-1"))));
        let name = "a disabled officer asks on a connection that is still open";
        book.refused(
            &mut three.line,
            Attempt { name, by: "officer-3", operation, message, refusal: disabled },
        );
        let message = approve(asked.id(), approval_of(three, asked.reply.proposal.as_bytes()));
        let attempt = Attempt {
            name: "a disabled officer's approval is passed on by another",
            by: "officer-2",
            operation: Operation::ProposalApprove,
            message,
            refusal: uncounted(Uncounted::Disabled),
        };
        book.refused(&mut two.line, attempt);
        let mut enabling = None;
        book.nothing_comes_of("one officer enables another", || {
            let pending = propose(one, Operation::PrincipalEnable, &enable("officer-3")).unwrap();
            is_open(&pending, &mut [one], 1);
            enabling = Some(pending);
        });
        // It takes three still, and there are two: nobody is asked at all.
        let operation = Operation::KeyDestroy;
        let attempt = Attempt {
            name: "an officer disables another so that two are enough to destroy a key",
            by: "officer-1",
            operation,
            message: one.message(operation, cbor::encode(&destroy("unwanted", 1))),
            refusal: Refusal::Forbidden,
        };
        book.refused(&mut one.line, attempt);
        let voted = enabling.unwrap().approve(two).unwrap();
        assert!(matches!(voted.state, ProposalState::Waiting { .. }), "{:?}", voted.state);
        keysvc_tests::agreed::until("officer-3 is enabled again", || {
            let list = ListPrincipals { schema: Schema, after: None };
            let all: PrincipalListReply = one.ask(Operation::PrincipalList, &list).unwrap();
            let found = all.principals.iter().find(|one| one.enrolment.id.as_str() == "officer-3");
            found.unwrap().enabled
        });
        let sent: Result<Sent<keysvc_protocol::reply::ChangedReply>, Refusal> =
            send(three, Operation::FreezeSet, &freeze(&terminal("terminal-1")));
        assert!(matches!(sent, Ok(Sent::Done(_))), "enabled again: {sent:?}");
    }
}

#[test]
fn one_officer_alone_and_two_where_it_takes_three_come_to_nothing() {
    let ground = Ground::new();
    let officers = Officers::of(&ground);
    let book = Book::open(&ground);
    let mut part = Part { ground, book, officers };
    part.one();
    part.two();
    part.thresholds();
    part.last_officers();
    let Part { mut ground, book, .. } = part;
    book.close(ATTACKS, &mut ground);
}
