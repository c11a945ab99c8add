//! Value above the limit: split, exchanged, repeated, and what happens to purse and terminal between asking and acting.

use super::{
    Officers,
    book::{Attempt, Book},
    conflict,
    forge::{approval_of, approve},
    missing, terminal, uncounted,
};
use keysvc_protocol::{
    cbor,
    founding::PrincipalKind,
    freeze::ScopeKind,
    key::KeyState,
    proposal::ProposalState,
    refusal::{Conflict, Forbids, Refusal, Thing, Uncounted},
    reply::ValueUpdateReply,
    request::{
        CancelProposal, Operation, ReadEvidence, ReadProposal, ReadResult, UpdateValue,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
};
use keysvc_tests::{
    agreed::{
        Pending, Sent, activate, alone, disable, done, enable, freeze, idem, lift, propose, reason, send,
        suspend,
    },
    ground::Ground,
    raw::{self, Caller},
};

pub const ATTACKS: &[&str] = &[
    "a terminal approves its own load",
    "one officer lets a large load through",
    "a larger amount under the same transaction number",
    "a smaller amount that needs nobody under the same transaction number",
    "a large load in another currency",
    "a large load under another transaction number is approved by what was signed for the first",
    "another terminal asks for the result of a load",
    "another terminal withdraws a load",
    "another terminal reads a load's proposal",
    "a terminal is frozen between approval and load",
    "a card is frozen between approval and load",
    "a purse moves between approval and load",
    "a terminal is disabled between approval and load",
    "the value key is suspended between approval and load",
    "another organisation's office asks for a load's evidence",
    "one load is approved twice under two transaction numbers",
];

/// 5,000.00: five times what a terminal may load alone.
const LARGE: u64 = 500_000;

struct Part {
    book: Book,
    officers: Officers,
    terminal: Caller,
    /// Sequence number and balance that the purse would go on with.
    purse: (u64, u64),
}

impl Part {
    fn large(&mut self) -> (UpdateValue, Pending) {
        let request = raw::update(Load, self.purse.0, LARGE, self.purse.1);
        let asked = propose(&mut self.terminal, Operation::ValueUpdate, &request).unwrap();
        (request, asked)
    }

    fn by_the_terminal(
        &mut self,
        name: &'static str,
        operation: Operation,
        payload: Vec<u8>,
        refusal: Refusal,
    ) {
        let message = self.terminal.message(operation, payload);
        let attempt = Attempt { name, by: "terminal-1", operation, message, refusal };
        self.book.refused(&mut self.terminal.line, attempt);
    }

    fn by_the_other(&mut self, other: &mut Caller, asked: &Pending) {
        let (schema, id) = (Schema, asked.id());
        let cancel = CancelProposal { schema, idem: idem(), id, reason: reason() };
        let cases = [
            (
                "another terminal asks for the result of a load",
                Operation::ProposalResult,
                cbor::encode(&ReadResult { schema, id }),
                missing(Thing::Proposal),
            ),
            (
                "another terminal withdraws a load",
                Operation::ProposalCancel,
                cbor::encode(&cancel),
                Refusal::Forbidden,
            ),
            (
                "another terminal reads a load's proposal",
                Operation::ProposalGet,
                cbor::encode(&ReadProposal { schema, id }),
                missing(Thing::Proposal),
            ),
        ];
        for (name, operation, payload, refusal) in cases {
            let message = other.message(operation, payload);
            self.book
                .refused(&mut other.line, Attempt { name, by: "terminal-2", operation, message, refusal });
        }
    }

    fn asked(&mut self, ground: &Ground) {
        let (request, asked) = self.large();
        let own = approve(asked.id(), approval_of(&self.terminal, asked.reply.proposal.as_bytes()));
        self.by_the_terminal(
            "a terminal approves its own load",
            Operation::ProposalApprove,
            own,
            Refusal::Forbidden,
        );
        let one = &mut self.officers.one;
        self.book.nothing_comes_of("one officer lets a large load through", || {
            let voted = asked.approve(one).unwrap();
            assert_eq!((voted.persons, voted.state), (1, ProposalState::Open));
        });
        let more = cbor::encode(&UpdateValue { amount: LARGE + 1, ..request.clone() });
        let less = cbor::encode(&UpdateValue { amount: 100, ..request.clone() });
        let dollars = cbor::encode(&UpdateValue { currency: 840, txn: idem(), ..request });
        let update = Operation::ValueUpdate;
        self.by_the_terminal(
            "a larger amount under the same transaction number",
            update,
            more,
            Refusal::IdemConflict,
        );
        let name = "a smaller amount that needs nobody under the same transaction number";
        self.by_the_terminal(name, update, less, Refusal::IdemConflict);
        let refusal = Refusal::ProfileForbids { reason: Forbids::Currency { expected: 978 } };
        self.by_the_terminal("a large load in another currency", update, dollars, refusal);
        let (_, other) = self.large();
        assert_ne!(other.id(), asked.id());
        let one = &mut self.officers.one;
        let attempt = Attempt {
            name: "a large load under another transaction number is approved by what was signed for the first",
            by: "officer-1",
            operation: Operation::ProposalApprove,
            message: approve(other.id(), approval_of(one, asked.reply.proposal.as_bytes())),
            refusal: uncounted(Uncounted::OtherProposal),
        };
        self.book.refused(&mut one.line, attempt);
        let mut stranger = Caller::new(ground.site(), "terminal-2");
        self.by_the_other(&mut stranger, &asked);
    }

    /// One officer approves, then something happens, then another completes the quorum.
    fn fails(
        &mut self,
        name: &'static str,
        refusal: &Refusal,
        between: impl FnOnce(&mut Officers, &mut Caller),
    ) {
        let (_, asked) = self.large();
        asked.approve(&mut self.officers.one).unwrap();
        between(&mut self.officers, &mut self.terminal);
        let Self { book, officers: Officers { two, .. }, .. } = self;
        book.fails(name, &asked.proposal, refusal, || {
            let voted = asked.approve(two).unwrap();
            assert_eq!(voted.state, ProposalState::Failed { refusal: refusal.clone() });
        });
    }

    fn between(&mut self) {
        let stopped = [
            ("a terminal is frozen between approval and load", ScopeKind::Terminal, terminal("terminal-1")),
            (
                "a card is frozen between approval and load",
                ScopeKind::Card,
                keysvc_protocol::freeze::Scope::Card {
                    card: "04782e21801d80".parse().unwrap(),
                    programme: None,
                },
            ),
        ];
        for (name, scope, stopped) in stopped {
            self.fails(name, &Refusal::Frozen { scope }, |officers, _| {
                alone(&mut officers.three, Operation::FreezeSet, &freeze(&stopped)).unwrap();
            });
            let Officers { one, two, .. } = &mut self.officers;
            done(&mut [one, two], Operation::FreezeLift, &lift(&stopped));
        }
        let expected_seq = self.purse.0 + 1;
        let small = raw::update(Load, self.purse.0, 2_000, self.purse.1);
        let name = "a purse moves between approval and load";
        self.fails(name, &Refusal::CounterConflict { expected_seq }, |_, terminal| {
            terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &small).unwrap();
        });
        self.purse = (self.purse.0 + 1, self.purse.1 + 2_000);
        let name = "a terminal is disabled between approval and load";
        self.fails(name, &conflict(Conflict::Disabled), |officers, _| {
            alone(&mut officers.three, Operation::PrincipalDisable, &disable("terminal-1")).unwrap();
        });
        let Officers { one, two, .. } = &mut self.officers;
        done(&mut [one, two], Operation::PrincipalEnable, &enable("terminal-1"));
        let name = "the value key is suspended between approval and load";
        let suspended = conflict(Conflict::KeyState { state: KeyState::Suspended });
        self.fails(name, &suspended, |officers, _| {
            alone(&mut officers.three, Operation::KeySuspend, &suspend("value-1", 1)).unwrap();
        });
        let Officers { one, two, .. } = &mut self.officers;
        done(&mut [one, two], Operation::KeyActivate, &activate("value-1", 1));
    }

    /// Two honest officers let a load through; it serves once, and its evidence is its own organisation's.
    fn honest(&mut self, ground: &Ground) {
        let (request, asked) = self.large();
        let (_, twin) = self.large();
        let Officers { one, two, .. } = &mut self.officers;
        let voted = asked.approved_by(&mut [one, two]).unwrap();
        assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);
        let Ok(Sent::Done(loaded)) =
            send::<ValueUpdateReply>(&mut self.terminal, Operation::ValueUpdate, &request)
        else {
            panic!("the load is not there");
        };
        assert_eq!(asked.result(&mut self.terminal).unwrap().state, voted.state);
        let ProposalState::Executed { leaf } = voted.state else { unreachable!() };
        assert_eq!(loaded.receipt.leaf_index, leaf);
        self.purse = (self.purse.0 + 1, self.purse.1 + LARGE);
        let office = ground.newcomer("office-2", PrincipalKind::Office, "bakery");
        let Officers { one, two, .. } = &mut self.officers;
        done(&mut [one, two], Operation::PrincipalEnrol, &office);
        let mut office = Caller::new(ground.site(), "office-2");
        let operation = Operation::EvidenceGet;
        let attempt = Attempt {
            name: "another organisation's office asks for a load's evidence",
            by: "office-2",
            operation,
            message: cbor::encode(&ReadEvidence { schema: Schema, id: asked.id() }),
            refusal: missing(Thing::Proposal),
        };
        self.book.refused(&mut office.line, attempt);
        let Self { book, officers: Officers { one, two, .. }, .. } = self;
        let refusal = Refusal::CounterConflict { expected_seq: self.purse.0 };
        let name = "one load is approved twice under two transaction numbers";
        book.fails(name, &twin.proposal, &refusal, || {
            let voted = twin.approved_by(&mut [one, two]).unwrap();
            assert_eq!(voted.state, ProposalState::Failed { refusal: refusal.clone() });
        });
        // The purse goes on with a plain payment of what both loads left on it.
        let debit = raw::update(Debit, self.purse.0, 350, self.purse.1);
        self.terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &debit).unwrap();
    }
}

#[test]
fn no_load_above_the_limit_passes_by_one_officer_a_split_or_a_race() {
    let mut ground = Ground::new();
    let officers = Officers::of(&ground);
    let book = Book::open(&ground);
    let terminal = Caller::new(ground.site(), "terminal-1");
    let mut part = Part { book, officers, terminal, purse: (1, 0) };
    part.asked(&ground);
    part.between();
    part.honest(&ground);
    part.book.close(ATTACKS, &mut ground);
}
