//! Callers who are no voters, or not who they say: machines, watchers, strangers, and a captured front that passes on what
//! others signed.

use super::{
    Officers,
    book::{Attempt, Book},
    forge::{approval_of, approve},
    invalid, missing, terminal,
};
use keysvc_protocol::{
    cbor,
    freeze::Scope,
    key::KeyKind,
    proposal::ProposalState,
    refusal::{Invalid, Refusal, Thing},
    reply::ChangedReply,
    request::{CancelProposal, Operation, ReadEvidence, ReadProposal, ReadResult},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{create, enable, freeze, idem, key_state, lift, propose, reason},
    ground::Ground,
    raw::{Caller, envelope},
};

pub const ATTACKS: &[&str] = &[
    "a terminal approves with its own statement key",
    "a terminal passes on an officer's approval",
    "an office passes on an officer's approval",
    "an auditor passes on an officer's approval",
    "the platform passes on an officer's approval",
    "a stranger passes on an officer's approval",
    "a terminal asks for a key",
    "a terminal asks to lift its own freeze",
    "an auditor asks for a key",
    "an office lifts the freeze that it set",
    "an office freezes another store's terminal",
    "an office freezes everything",
    "an office freezes a card in every programme",
    "an auditor withdraws a proposal",
    "a terminal withdraws an officer's proposal",
    "a terminal asks for the result of an officer's request",
    "an officer asks for the result of another's request",
    "a terminal reads an officer's proposal",
    "a terminal asks for the evidence of an act",
    "a front passes an officer's request on as another officer's",
    "a front passes an officer's request on as a terminal's",
    "a front passes an officer's request on as an office's",
    "a front passes an officer's request on to another operation",
    "a front plays an officer's request again",
    "a stranger plays an officer's request again",
    "an act's path is called directly",
    "a proposal that was never made is approved",
];

struct Part {
    book: Book,
    officers: Officers,
    terminal: Caller,
    office: Caller,
    auditor: Caller,
    platform: Caller,
    stranger: Caller,
}

impl Part {
    fn refused(&mut self, attempt: Attempt<'_>) {
        let line = match attempt.by {
            "officer-1" => &mut self.officers.one.line,
            "officer-2" => &mut self.officers.two.line,
            "officer-3" => &mut self.officers.three.line,
            "terminal-1" => &mut self.terminal.line,
            "office-1" => &mut self.office.line,
            "auditor-1" => &mut self.auditor.line,
            _ => &mut self.platform.line,
        };
        self.book.refused(line, attempt);
    }

    /// The same request as this caller signs it.
    fn signed(
        &mut self,
        name: &'static str,
        by: &str,
        (operation, payload): (Operation, Vec<u8>),
        refusal: Refusal,
    ) {
        let caller = match by {
            "officer-2" => &self.officers.two,
            "terminal-1" => &self.terminal,
            "office-1" => &self.office,
            _ => &self.auditor,
        };
        let message = caller.message(operation, payload);
        self.refused(Attempt { name, by, operation, message, refusal });
    }

    fn voters(&mut self, asked: &keysvc_tests::agreed::Pending) {
        let operation = Operation::ProposalApprove;
        let own = approve(asked.id(), approval_of(&self.terminal, asked.reply.proposal.as_bytes()));
        let officers = approve(asked.id(), approval_of(&self.officers.two, asked.reply.proposal.as_bytes()));
        let refusal = Refusal::Forbidden;
        let name = "a terminal approves with its own statement key";
        self.refused(Attempt { name, by: "terminal-1", operation, message: own, refusal });
        for (name, by) in [
            ("a terminal passes on an officer's approval", "terminal-1"),
            ("an office passes on an officer's approval", "office-1"),
            ("an auditor passes on an officer's approval", "auditor-1"),
            ("the platform passes on an officer's approval", "platform-1"),
        ] {
            self.refused(Attempt {
                name,
                by,
                operation,
                message: officers.clone(),
                refusal: Refusal::Forbidden,
            });
        }
        let name = "a stranger passes on an officer's approval";
        self.book.unknown(&mut self.stranger.line, name, operation, officers);
    }

    fn askers(&mut self) {
        let forbidden = || Refusal::Forbidden;
        let key = || (Operation::KeyCreate, cbor::encode(&create("own", KeyKind::ValueSigning)));
        self.signed("a terminal asks for a key", "terminal-1", key(), forbidden());
        let own = (Operation::FreezeLift, cbor::encode(&lift(&terminal("terminal-1"))));
        self.signed("a terminal asks to lift its own freeze", "terminal-1", own, forbidden());
        self.signed("an auditor asks for a key", "auditor-1", key(), forbidden());
        let card = Scope::Card {
            card: "04782e21801d80".parse().unwrap(),
            programme: Some("coffee".parse().unwrap()),
        };
        self.office.ask::<ChangedReply>(Operation::FreezeSet, &freeze(&card)).unwrap();
        let own = (Operation::FreezeLift, cbor::encode(&lift(&card)));
        self.signed("an office lifts the freeze that it set", "office-1", own, forbidden());
        let others = (Operation::FreezeSet, cbor::encode(&freeze(&terminal("terminal-2"))));
        self.signed("an office freezes another store's terminal", "office-1", others, forbidden());
        let all = (Operation::FreezeSet, cbor::encode(&freeze(&Scope::All)));
        self.signed("an office freezes everything", "office-1", all, forbidden());
        let everywhere = Scope::Card { card: "04782e21801d80".parse().unwrap(), programme: None };
        let everywhere = (Operation::FreezeSet, cbor::encode(&freeze(&everywhere)));
        self.signed("an office freezes a card in every programme", "office-1", everywhere, forbidden());
    }

    fn onlookers(&mut self, asked: &keysvc_tests::agreed::Pending) {
        let (schema, id) = (Schema, asked.id());
        let cancel = || {
            let cancel = CancelProposal { schema, idem: idem(), id, reason: reason() };
            (Operation::ProposalCancel, cbor::encode(&cancel))
        };
        let result = || (Operation::ProposalResult, cbor::encode(&ReadResult { schema, id }));
        self.signed("an auditor withdraws a proposal", "auditor-1", cancel(), Refusal::Forbidden);
        self.signed("a terminal withdraws an officer's proposal", "terminal-1", cancel(), Refusal::Forbidden);
        let unknown = missing(Thing::Proposal);
        self.signed(
            "a terminal asks for the result of an officer's request",
            "terminal-1",
            result(),
            unknown.clone(),
        );
        self.signed(
            "an officer asks for the result of another's request",
            "officer-2",
            result(),
            unknown.clone(),
        );
        let get = (Operation::ProposalGet, cbor::encode(&ReadProposal { schema, id }));
        self.signed("a terminal reads an officer's proposal", "terminal-1", get, unknown);
        let evidence = (Operation::EvidenceGet, cbor::encode(&ReadEvidence { schema, id }));
        self.signed("a terminal asks for the evidence of an act", "terminal-1", evidence, Refusal::Forbidden);
    }

    /// What a captured front has: requests that officers signed, and the connections of others.
    fn front(&mut self) {
        let suspend = cbor::encode(&freeze(&terminal("terminal-1")));
        let signed = self.officers.one.message(Operation::FreezeSet, suspend);
        for (name, by) in [
            ("a front passes an officer's request on as another officer's", "officer-3"),
            ("a front passes an officer's request on as a terminal's", "terminal-1"),
            ("a front passes an officer's request on as an office's", "office-1"),
        ] {
            let (operation, message) = (Operation::FreezeSet, signed.clone());
            self.refused(Attempt { name, by, operation, message, refusal: invalid(Invalid::Signature) });
        }
        let name = "a front passes an officer's request on to another operation";
        let (operation, message) = (Operation::FreezeLift, signed.clone());
        self.refused(Attempt {
            name,
            by: "officer-1",
            operation,
            message,
            refusal: invalid(Invalid::Signature),
        });
        let one = &mut self.officers.one.line;
        let first: ChangedReply = one.put(Operation::FreezeSet, signed.clone()).unwrap();
        // Lifted by two since: the old request must not stop it again.
        let Officers { one, two, .. } = &mut self.officers;
        keysvc_tests::agreed::done(&mut [one, two], Operation::FreezeLift, &lift(&terminal("terminal-1")));
        let (one, again) = (&mut self.officers.one.line, signed.clone());
        let leaves = self.book.nothing_comes_of("a front plays an officer's request again", || {
            let again: ChangedReply = one.put(Operation::FreezeSet, again).unwrap();
            assert_eq!(again.receipt.leaf_index, first.receipt.leaf_index, "the first leaf");
        });
        assert!(super::book::is_quiet(&leaves), "{leaves:?}");
        let name = "a stranger plays an officer's request again";
        self.book.unknown(&mut self.stranger.line, name, Operation::FreezeSet, signed);
    }
}

#[test]
fn nobody_votes_asks_or_looks_in_an_officers_place() {
    let mut ground = Ground::new();
    let caller = |name| Caller::new(ground.site(), name);
    let (terminal, office, auditor) = (caller("terminal-1"), caller("office-1"), caller("auditor-1"));
    let (platform, stranger) = (caller("platform-1"), caller("stranger"));
    let mut officers = Officers::of(&ground);
    let book = Book::open(&ground);
    let asked =
        propose(&mut officers.one, Operation::KeyCreate, &create("spare", KeyKind::ValueSigning)).unwrap();
    let mut part = Part { book, officers, terminal, office, auditor, platform, stranger };
    part.voters(&asked);
    part.askers();
    part.onlookers(&asked);
    part.front();
    let one = &mut part.officers.one;
    let act = one.message(Operation::FreezeLift, cbor::encode(&enable("officer-3")));
    let leaves = part.book.nothing_comes_of("an act's path is called directly", || {
        for path in ["proposal.execute", "proposal.perform", "act.by.quorum"] {
            let answer = one.line.post(path, &envelope(act.clone()));
            assert_eq!((answer.status, answer.refusal()), (404, missing(Thing::Operation)), "{path}");
        }
    });
    assert!(super::book::is_quiet(&leaves), "such a path never reaches the keeper: {leaves:?}");
    let other = keysvc_protocol::bytes::ProposalId::new([7; 16]);
    let message = approve(other, approval_of(&part.officers.two, asked.reply.proposal.as_bytes()));
    part.refused(Attempt {
        name: "a proposal that was never made is approved",
        by: "officer-2",
        operation: Operation::ProposalApprove,
        message,
        refusal: missing(Thing::Proposal),
    });
    let Officers { one, two, .. } = &mut part.officers;
    let voted = asked.approved_by(&mut [one, two]).unwrap();
    assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);
    assert!(key_state(&mut part.officers.one, "spare", 1).is_some());
    part.book.close(ATTACKS, &mut ground);
}
