//! Delays that somebody would rather not wait for: skipped by a restart, cancelled by who may not, used before their end.

use super::{
    Officers,
    book::{Attempt, Book},
    conflict,
    forge::{approval_of, approve},
    uncounted,
};
use keysvc::keeper::serve::now_ms;
use keysvc_protocol::{
    cbor,
    founding::PrincipalKind,
    key::{KeyKind, KeyState},
    leaf::{ActByQuorumLeaf, HeartbeatLeaf, LeafKind, TookEffectLeaf},
    proposal::ProposalState,
    refusal::{Conflict, Refusal, Uncounted},
    reply::StatusReply,
    request::{CancelProposal, Operation, ReadStatus, ValueOperation::Load},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{agree, alone, create, destroy, done, idem, key_state, propose, reason, until},
    cards,
    ground::Ground,
    raw::{self, Caller, Line},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{thread, time::Duration};

pub const ATTACKS: &[&str] = &[
    "an officer who waits for the delay calls",
    "an officer who waits for the delay approves",
    "an officer who waits for the delay is enrolled again",
    "a machine withdraws what waits for its delay",
    "a delay is skipped by a new start of the service",
    "a delay is skipped by killing the keeper",
    "two officers of one department let a large load through",
    "a key's destruction is asked for once more while it waits",
    "a key is destroyed though one officer withdrew it",
    "an approval is sent again for what was withdrawn",
];

/// The development site's delays, in milliseconds.
const ROSTER_MS: u64 = 3_000;
const DESTROY: Duration = Duration::from_secs(4);

struct Part {
    ground: Ground,
    book: Book,
    officers: Officers,
}

fn is_unknown(line: &mut Line) -> bool {
    let status = cbor::encode(&ReadStatus { schema: Schema });
    match line.put::<StatusReply>(Operation::Status, status) {
        Ok(_) => false,
        Err(refusal) => {
            assert_eq!(refusal, Refusal::Unauthenticated);
            true
        }
    }
}

impl Part {
    fn newcomer(&mut self) {
        let request = self.ground.newcomer("officer-4", PrincipalKind::Officer, "security");
        let mut four = cards::holder(env!("CARGO_BIN_EXE_card"), self.ground.site(), "officer-4");
        let mut terminal = Caller::new(self.ground.site(), "terminal-1");
        let open =
            propose(&mut self.officers.one, Operation::KeyCreate, &create("spare", KeyKind::ValueSigning))
                .unwrap();
        let Officers { one, two, three } = &mut self.officers;
        let (asked, state) = agree(&mut [one, two, three], Operation::PrincipalEnrol, &request).unwrap();
        let ProposalState::Waiting { leaf, due_ms } = state else { panic!("{state:?}") };
        let status = cbor::encode(&ReadStatus { schema: Schema });
        let name = "an officer who waits for the delay calls";
        self.book.unknown(&mut four.line, name, Operation::Status, status);
        let three = &mut self.officers.three;
        let operation = Operation::ProposalApprove;
        let attempt = Attempt {
            name: "an officer who waits for the delay approves",
            by: "officer-3",
            operation,
            message: approve(open.id(), approval_of(&four, open.reply.proposal.as_bytes())),
            refusal: uncounted(Uncounted::NotAnOfficer),
        };
        self.book.refused(&mut three.line, attempt);
        let operation = Operation::PrincipalEnrol;
        let again = keysvc_protocol::request::EnrolPrincipal { idem: idem(), ..request };
        let attempt = Attempt {
            name: "an officer who waits for the delay is enrolled again",
            by: "officer-3",
            operation,
            message: three.message(operation, cbor::encode(&again)),
            refusal: conflict(Conflict::Waiting),
        };
        self.book.refused(&mut three.line, attempt);
        let operation = Operation::ProposalCancel;
        let cancel = CancelProposal { schema: Schema, idem: idem(), id: asked.id(), reason: reason() };
        let attempt = Attempt {
            name: "a machine withdraws what waits for its delay",
            by: "terminal-1",
            operation,
            message: terminal.message(operation, cbor::encode(&cancel)),
            refusal: Refusal::Forbidden,
        };
        self.book.refused(&mut terminal.line, attempt);
        self.restarts(&mut four, due_ms);
        until("officer-4 is served", || !is_unknown(&mut four.line));
        self.waited(leaf, due_ms);
        // Whoever was asked under the old officers is to be asked again; officer-4 then counts.
        let (spare, create) = (Operation::KeyCreate, create("spare", KeyKind::ValueSigning));
        done(&mut [&mut self.officers.one, &mut four], spare, &create);
        self.one_department(&mut four);
    }

    /// Officer-4 is of officer-1's department; a large load takes two departments.
    fn one_department(&mut self, four: &mut Caller) {
        let mut terminal = Caller::new(self.ground.site(), "terminal-1");
        let request = raw::update(Load, 1, 500_000, 0);
        let asked = propose(&mut terminal, Operation::ValueUpdate, &request).unwrap();
        assert_eq!((asked.proposal.need.persons, asked.proposal.need.departments), (2, 2));
        let one = &mut self.officers.one;
        self.book.nothing_comes_of("two officers of one department let a large load through", || {
            let voted = asked.approved_by(&mut [one, four]).unwrap();
            assert_eq!((voted.persons, voted.state), (2, ProposalState::Open));
        });
        let voted = asked.approve(&mut self.officers.two).unwrap();
        assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);
    }

    /// Two restarts within the delay, which is not over by them: until it is due, whoever waits is still nobody. When it
    /// came into force the log tells ([`Part::waited`]).
    fn restarts(&mut self, four: &mut Caller, due_ms: u64) {
        self.book.strangers_call();
        self.ground.stop();
        self.ground.start().unwrap();
        self.book.reconnect(&self.ground);
        self.officers.reconnect(&self.ground);
        self.ground.reconnect(four, "officer-4");
        let unknown = is_unknown(&mut four.line);
        assert!(unknown || now_ms() >= due_ms, "in force before it was due");
        self.book.tried("a delay is skipped by a new start of the service");
        let keeper =
            self.ground.half("keeper").and_then(|pid| Pid::from_raw(pid.try_into().unwrap())).unwrap();
        kill_process(keeper, Signal::KILL).unwrap();
        let site = self.ground.site();
        until("the keeper is back", || {
            let status = cbor::encode(&ReadStatus { schema: Schema });
            Line::open(site, "auditor-1").put::<StatusReply>(Operation::Status, status).is_ok()
        });
        let unknown = is_unknown(&mut four.line);
        assert!(unknown || now_ms() >= due_ms, "in force before it was due");
        self.book.tried("a delay is skipped by killing the keeper");
    }

    /// The leaf by which it came into force stands after the delay, by the wall's clock and by the boot's.
    fn waited(&mut self, act: u64, due_ms: u64) {
        let leaves = raw::leaves(&self.ground);
        let took: Vec<(u64, TookEffectLeaf)> = leaves
            .iter()
            .filter(|(entry, _)| entry.kind == LeafKind::TookEffect)
            .map(|(entry, payload)| (entry.time_ms, cbor::decode(payload, payload.len()).unwrap()))
            .collect();
        let [(time_ms, took)] = &took[..] else { panic!("{took:?}") };
        assert_eq!(took.act, act);
        assert!(*time_ms >= due_ms, "by the wall's clock");
        let (_, payload) = &leaves[usize::try_from(act).unwrap()];
        let agreed: ActByQuorumLeaf = cbor::decode(payload, payload.len()).unwrap();
        assert_eq!(agreed.moment.boot, took.moment.boot);
        assert!(took.moment.up_ms - agreed.moment.up_ms >= ROSTER_MS, "by the boot's clock");
        let beats: Vec<HeartbeatLeaf> = raw::of_kind(&leaves, LeafKind::Heartbeat);
        assert!(beats.len() >= 3, "a heartbeat at each start and while something waits");
    }

    fn withdrawn(&mut self) {
        let Officers { one, two, three } = &mut self.officers;
        let create = create("unwanted", KeyKind::ValueSigning);
        done(&mut [one, two], Operation::KeyCreate, &create);
        let request = destroy("unwanted", 1);
        let (asked, state) = agree(&mut [one, two, three], Operation::KeyDestroy, &request).unwrap();
        let ProposalState::Waiting { leaf, .. } = state else { panic!("{state:?}") };
        let operation = Operation::KeyDestroy;
        let attempt = Attempt {
            name: "a key's destruction is asked for once more while it waits",
            by: "officer-2",
            operation,
            message: two.message(operation, cbor::encode(&destroy("unwanted", 1))),
            refusal: conflict(Conflict::Waiting),
        };
        self.book.refused(&mut two.line, attempt);
        assert!(matches!(asked.cancel(three).unwrap().state, ProposalState::Cancelled { .. }));
        self.book.nothing_comes_of("a key is destroyed though one officer withdrew it", || {
            // The request is repeated as it was; its reply is the old one, and the act stays withdrawn.
            let again = alone(one, operation, &request).unwrap();
            assert_eq!(again.receipt.leaf_index, leaf);
            let state = asked.result(one).unwrap().state;
            assert_eq!(state, ProposalState::Cancelled { by: "officer-3".parse().unwrap() });
            thread::sleep(DESTROY + Duration::from_secs(2));
        });
        let attempt = Attempt {
            name: "an approval is sent again for what was withdrawn",
            by: "officer-2",
            operation: Operation::ProposalApprove,
            message: approve(asked.id(), approval_of(two, asked.reply.proposal.as_bytes())),
            refusal: conflict(Conflict::ProposalEnded),
        };
        self.book.refused(&mut two.line, attempt);
        assert_eq!(key_state(one, "unwanted", 1), Some(KeyState::PreActivation));
        // Four officers since officer-4: three are still enough.
        let (_, state) = agree(&mut [one, two, three], operation, &destroy("unwanted", 1)).unwrap();
        assert!(matches!(state, ProposalState::Waiting { .. }), "{state:?}");
        until("the key is destroyed", || key_state(one, "unwanted", 1) == Some(KeyState::Destroyed));
    }
}

#[test]
fn no_delay_is_skipped_by_a_restart_or_outlived_after_it_was_withdrawn() {
    let ground = Ground::new();
    let officers = Officers::of(&ground);
    let book = Book::open(&ground);
    let mut part = Part { ground, book, officers };
    part.newcomer();
    part.withdrawn();
    let Part { mut ground, book, .. } = part;
    book.close(ATTACKS, &mut ground);
}
