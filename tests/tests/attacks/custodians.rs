//! A key that comes in as components: by too few people, in the wrong hands, at the wrong place, or as another one.

use super::{
    Officers,
    book::{Attempt, Book, Way},
    conflict, invalid, missing, uncounted,
};
use keysvc_protocol::{
    bytes::{Blob, ProposalId},
    cbor,
    component::ComponentKeyOffer,
    founding::PrincipalKind,
    key::{KeyKind, KeyState},
    list::List,
    proposal::ProposalState,
    quorum::Need,
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    reply::PrincipalListReply,
    request::{ComponentOrder, GiveComponent, ImportKey, ListPrincipals, Operation, ReadComponentKey},
    schema::Schema,
    sealing::component_aad,
};
use keysvc_tests::{
    agreed::{Pending, activate, agree, alone, disable, done, freeze, key_state, name, propose, until},
    cards,
    custody::{self, Component, Giving, check, import, offer},
    ground::Ground,
    raw::{Answer, Caller, Line},
};
use std::fs;

pub const ATTACKS: &[&str] = &[
    "one officer imports a key",
    "two officers import a key",
    "every officer holds a component",
    "a key comes in as one component",
    "one person holds two components",
    "a terminal holds a component",
    "an auditor holds a component",
    "nobody's name holds a component",
    "two components of one check value",
    "a key that signs value comes in as components",
    "a key comes in under the name of one that signs value",
    "a key comes in under a name of the service's own",
    "a terminal asks for an import",
    "a terminal asks for the one-time key",
    "an officer without a component asks for the one-time key",
    "a custodian asks for the one-time key of an import that nobody agreed to yet",
    "a custodian gives a component of an import that nobody agreed to yet",
    "a terminal gives a custodian's component",
    "an officer without a component gives one",
    "a custodian gives another's component",
    "a component comes with nothing beside its request",
    "a captured front puts another component beside a custodian's request",
    "a captured front puts a custodian's component beside another request",
    "a component is sealed for another number",
    "a component is sealed for another custodian",
    "a component is sealed for another import",
    "a component is sealed for another site",
    "a component is sealed to a key of the custodian's own",
    "a component names another one-time key than it is sealed to",
    "another value is given under the ordered check value",
    "another value is given under its own check value",
    "a value one byte short is given",
    "another custodian plays a component again",
    "a front plays a component again as another custodian's",
    "a disabled custodian gives the component",
    "a component is given again after a start, to the one-time key of before",
    "components that do not make the key",
    "a component is given for a key that is made",
    "a component is given to an import that was withdrawn",
    "three custodians agree to their own import past an officer who holds no component",
];

const KEY: &str = "brought";
const OPERATOR: &str = "operator-9";
/// The two components of the key that comes in at the end.
const ONE: Component = [0x1f; 16];
const TWO: Component = [0xa2; 16];

/// A way with something beside each request.
struct Beside<'a>(&'a mut Line, Option<Vec<u8>>);

impl Way for Beside<'_> {
    fn post(&mut self, operation: Operation, body: &[u8]) -> Answer {
        let mut envelope: keysvc_protocol::request::Envelope =
            cbor::decode(body, cbor::REQUEST_LEN_MAX).unwrap();
        envelope.beside = self.1.clone().map(|bytes| Blob::try_from(bytes).unwrap());
        self.0.post(operation.name(), &cbor::encode(&envelope))
    }
}

struct Part {
    ground: Ground,
    book: Book,
    officers: Officers,
    operator: Caller,
    terminal: Caller,
    auditor: Caller,
}

/// Who tries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    One,
    Two,
    Three,
    Operator,
    Terminal,
}

impl Part {
    fn caller(&mut self, by: By) -> (&'static str, &mut Caller, &mut Book) {
        let (name, caller) = match by {
            By::One => ("officer-1", &mut self.officers.one),
            By::Two => ("officer-2", &mut self.officers.two),
            By::Three => ("officer-3", &mut self.officers.three),
            By::Operator => (OPERATOR, &mut self.operator),
            By::Terminal => ("terminal-1", &mut self.terminal),
        };
        (name, caller, &mut self.book)
    }

    fn refused(
        &mut self,
        name: &'static str,
        by: By,
        (operation, payload): (Operation, Vec<u8>),
        refusal: Refusal,
    ) {
        let (by, caller, book) = self.caller(by);
        let message = caller.message(operation, payload);
        book.refused(&mut caller.line, Attempt { name, by, operation, message, refusal });
    }

    /// A component with what is beside it.
    fn not_given(&mut self, name: &'static str, by: By, giving: &Giving, refusal: Refusal) {
        let (by, caller, book) = self.caller(by);
        let operation = Operation::ComponentGive;
        let message = caller.message(operation, cbor::encode(&giving.request));
        let way = &mut Beside(&mut caller.line, Some(giving.sealed.clone()));
        book.refused(way, Attempt { name, by, operation, message, refusal });
    }

    /// Too few people, then people who would have nobody look at them.
    fn people(&mut self) {
        let Self { book, officers: Officers { one, two, three }, .. } = self;
        let request = import(KEY, &[("officer-1", ONE), ("officer-2", TWO)]);
        let mut asked = None;
        book.nothing_comes_of("one officer imports a key", || {
            let pending = propose(one, Operation::KeyImport, &request).unwrap();
            assert_eq!(pending.proposal.need, Need::of(3));
            assert_eq!(pending.approve(one).unwrap().state, ProposalState::Open);
            asked = Some(pending);
        });
        let asked: Pending = asked.unwrap();
        book.nothing_comes_of("two officers import a key", || {
            let voted = asked.approve(two).unwrap();
            assert_eq!((voted.persons, voted.state), (2, ProposalState::Open));
        });
        asked.cancel(three).unwrap();
        let all = import(KEY, &[("officer-1", [1; 16]), ("officer-2", [2; 16]), ("officer-3", [4; 16])]);
        let message = three.message(Operation::KeyImport, cbor::encode(&all));
        let attempt = Attempt {
            name: ATTACKS[2],
            by: "officer-3",
            operation: Operation::KeyImport,
            message,
            refusal: uncounted(Uncounted::CustodiansAlone),
        };
        book.refused(&mut three.line, attempt);
    }

    /// Orders that make no sense, or that nobody could look after.
    fn orders(&mut self) {
        let order = |parts: &[(&str, Component)]| import(KEY, parts);
        let named = |custodian: &str| order(&[("officer-1", ONE), (custodian, TWO)]);
        let good = named("officer-2");
        let only = ComponentOrder { custodian: name("officer-1"), check: check(&ONE) };
        let alone = ImportKey { components: List::try_from(vec![only]).unwrap(), ..good.clone() };
        let under = |key: &str| ImportKey { name: name(key), ..good.clone() };
        let taken = || conflict(Conflict::NameTaken);
        let custodian = || invalid(Invalid::Custodian);
        let cases = [
            (ATTACKS[3], By::One, alone, invalid(Invalid::Items)),
            (ATTACKS[4], By::Three, named("officer-1"), Refusal::SamePerson),
            (ATTACKS[5], By::Three, named("terminal-1"), custodian()),
            (ATTACKS[6], By::Two, named("auditor-1"), custodian()),
            (ATTACKS[7], By::Two, named("nobody"), missing(Thing::Principal)),
            (
                ATTACKS[8],
                By::Two,
                order(&[("officer-1", ONE), ("officer-2", ONE)]),
                invalid(Invalid::ComponentEqual),
            ),
            (
                ATTACKS[9],
                By::Two,
                ImportKey { kind: KeyKind::ValueSigning, ..good.clone() },
                Refusal::Forbidden,
            ),
            (ATTACKS[10], By::Three, under("value-1"), taken()),
            (ATTACKS[11], By::Three, under("checkpoint"), taken()),
            (ATTACKS[12], By::Terminal, good.clone(), Refusal::Forbidden),
        ];
        for (name, by, request, refusal) in cases {
            self.refused(name, by, (Operation::KeyImport, cbor::encode(&request)), refusal);
        }
    }

    /// An import by its three people, with components of an officer and the operator.
    fn ordered(&mut self, parts: &[(&str, Component)], key: &str) -> ProposalId {
        let Officers { one, two, three } = &mut self.officers;
        done(&mut [one, two, three], Operation::KeyImport, &import(key, parts)).id()
    }

    /// Those who have no component in it.
    fn outsiders(&mut self, proposal: ProposalId, offer: &ComponentKeyOffer) {
        let ask = |proposal| {
            (Operation::ComponentKey, cbor::encode(&ReadComponentKey { schema: Schema, proposal }))
        };
        self.refused(ATTACKS[13], By::Terminal, ask(proposal), Refusal::Forbidden);
        self.refused(ATTACKS[14], By::Three, ask(proposal), Refusal::Forbidden);
        let waiting = import("waits", &[("officer-1", ONE), (OPERATOR, TWO)]);
        let open = propose(&mut self.officers.two, Operation::KeyImport, &waiting).unwrap();
        open.approve(&mut self.officers.two).unwrap();
        self.refused(ATTACKS[15], By::Operator, ask(open.id()), missing(Thing::Proposal));
        let early = ComponentKeyOffer { proposal: open.id(), ..offer.clone() };
        let early = Giving::new(&self.operator, &early, &TWO);
        self.not_given(ATTACKS[16], By::Operator, &early, missing(Thing::Proposal));
        open.cancel(&mut self.officers.two).unwrap();
        let giving = Giving::new(&self.operator, offer, &TWO);
        self.not_given(ATTACKS[17], By::Terminal, &giving, Refusal::Forbidden);
        self.not_given(ATTACKS[18], By::Three, &giving, Refusal::Forbidden);
        self.not_given(ATTACKS[19], By::One, &giving, Refusal::Forbidden);
    }

    /// What may be wrong with what is beside a request.
    fn places(&mut self, offer: &ComponentKeyOffer) {
        let wrong = || invalid(Invalid::Component);
        let good = Giving::new(&self.operator, offer, &TWO);
        self.refused(
            ATTACKS[20],
            By::Operator,
            (Operation::ComponentGive, cbor::encode(&good.request)),
            invalid(Invalid::Encoding),
        );
        let swapped = Giving { sealed: Giving::new(&self.operator, offer, &ONE).sealed, ..good.clone() };
        self.not_given(ATTACKS[21], By::Operator, &swapped, wrong());
        let stop = cbor::encode(&freeze(&super::terminal("terminal-1")));
        let (by, two, book) = self.caller(By::Two);
        let attempt = Attempt {
            name: ATTACKS[22],
            by,
            operation: Operation::FreezeSet,
            message: two.message(Operation::FreezeSet, stop),
            refusal: invalid(Invalid::Encoding),
        };
        book.refused(&mut Beside(&mut two.line, Some(good.sealed.clone())), attempt);
        let bound = |part: &Self, proposal, number, custodian: &str| {
            let aad = component_aad(&proposal, number, &name(custodian));
            Giving::bound(&part.operator, offer, &aad, &TWO)
        };
        let number = bound(self, offer.proposal, 1, OPERATOR);
        self.not_given(ATTACKS[23], By::Operator, &number, wrong());
        let custodian = bound(self, offer.proposal, 2, "officer-1");
        self.not_given(ATTACKS[24], By::Operator, &custodian, wrong());
        let import = bound(self, ProposalId::new([9; 16]), 2, OPERATOR);
        self.not_given(ATTACKS[25], By::Operator, &import, wrong());
        let mut elsewhere = Caller::new(self.ground.site(), OPERATOR);
        elsewhere.genesis = keysvc_protocol::bytes::Digest::new([3; 32]);
        let site = Giving::new(&elsewhere, offer, &TWO);
        self.not_given(ATTACKS[26], By::Operator, &site, wrong());
    }

    /// What may be wrong with the key it is sealed to, and with the component.
    fn values(&mut self, offer: &ComponentKeyOffer) {
        let wrong = || invalid(Invalid::Component);
        let own = {
            use keysvc_client::signer::StatementSigner as _;
            super::forge::fresh_key(self.ground.site().folder(), "custodian.key").public_key()
        };
        let to_own =
            ComponentKeyOffer { public: Blob::try_from(own.spki().to_vec()).unwrap(), ..offer.clone() };
        let good = Giving::new(&self.officers.one, offer, &ONE);
        let own = Giving::new(&self.officers.one, &to_own, &ONE);
        self.not_given(ATTACKS[27], By::One, &own, wrong());
        let named = GiveComponent { import_key: own.request.import_key, ..good.request.clone() };
        self.not_given(ATTACKS[28], By::One, &Giving { request: named, ..good.clone() }, wrong());
        let other = Giving::new(&self.officers.one, offer, &[0x77; 16]);
        let stated = GiveComponent { check: check(&ONE), ..other.request.clone() };
        self.not_given(ATTACKS[29], By::One, &Giving { request: stated, ..other.clone() }, wrong());
        self.not_given(ATTACKS[30], By::One, &other, wrong());
        let short = Giving::new(&self.officers.one, offer, &ONE[..15]);
        let short = Giving { request: GiveComponent { check: check(&ONE), ..short.request }, ..short };
        self.not_given(ATTACKS[31], By::One, &short, wrong());
    }

    /// A component that was given, once more: by others, and after a start.
    fn replays(&mut self, first: &Giving) {
        let operation = Operation::ComponentGive;
        let message = self.officers.one.message(operation, cbor::encode(&first.request));
        for (name, by) in [(ATTACKS[32], By::Operator), (ATTACKS[33], By::Two)] {
            let (by, caller, book) = self.caller(by);
            let refusal = invalid(Invalid::Signature);
            let attempt = Attempt { name, by, operation, message: message.clone(), refusal };
            book.refused(&mut Beside(&mut caller.line, Some(first.sealed.clone())), attempt);
        }
    }

    fn restart(&mut self) {
        let Self { ground, book, officers, operator, terminal, auditor } = self;
        ground.stop();
        ground.start().unwrap();
        officers.reconnect(ground);
        book.reconnect(ground);
        for (caller, persona) in [(operator, OPERATOR), (terminal, "terminal-1"), (auditor, "auditor-1")] {
            ground.reconnect(caller, persona);
        }
    }
}

/// The offer to the operator, who sees no keys and takes the service's statement key from an officer.
fn offer_to_operator(part: &mut Part, proposal: ProposalId) -> ComponentKeyOffer {
    let key = keysvc_tests::cards::statement_key(&mut part.officers.three);
    let (message, _) = custody::offered(&mut part.operator, proposal).unwrap();
    ComponentKeyOffer::verify(&message, &part.operator.genesis, &key).unwrap()
}

#[test]
fn a_component_in_the_wrong_hands_or_at_the_wrong_place_makes_no_key() {
    let ground = Ground::new();
    let mut officers = Officers::of(&ground);
    let enrol = ground.newcomer(OPERATOR, PrincipalKind::Operator, "roastery");
    done(&mut [&mut officers.one, &mut officers.two], Operation::PrincipalEnrol, &enrol);
    let [operator, terminal, auditor] =
        [OPERATOR, "terminal-1", "auditor-1"].map(|persona| Caller::new(ground.site(), persona));
    let book = Book::open(&ground);
    let mut part = Part { ground, book, officers, operator, terminal, auditor };
    part.people();
    part.orders();
    let proposal = part.ordered(&[("officer-1", ONE), (OPERATOR, TWO)], KEY);
    let to_one = offer(&mut part.officers.one, proposal).0;
    let to_operator = offer_to_operator(&mut part, proposal);
    part.outsiders(proposal, &to_operator);
    part.places(&to_operator);
    part.values(&to_one);
    let first = Giving::new(&part.officers.one, &to_one, &ONE);
    assert_eq!(first.send(&mut part.officers.one).unwrap().missing.to_vec(), [2]);
    part.replays(&first);
    // The honest end, which a start in between only delays.
    ends(part, proposal, &first);
}

fn ends(mut part: Part, proposal: ProposalId, first: &Giving) {
    let second = import("spare", &[("officer-2", ONE), (OPERATOR, TWO)]);
    let Officers { one, two, three } = &mut part.officers;
    let later = done(&mut [one, two, three], Operation::KeyImport, &second).id();
    let early = offer_to_operator(&mut part, later);
    let early = Giving::new(&part.operator, &early, &TWO);
    alone(&mut part.officers.three, Operation::PrincipalDisable, &disable(OPERATOR)).unwrap();
    part.not_given(ATTACKS[34], By::Operator, &early, conflict(Conflict::Disabled));
    let enable = keysvc_tests::agreed::enable(OPERATOR);
    let Officers { two, three, .. } = &mut part.officers;
    done(&mut [two, three], Operation::PrincipalEnable, &enable);
    part.restart();
    part.not_given(ATTACKS[35], By::One, first, invalid(Invalid::Component));
    key_comes_in(&mut part, proposal);
    let combined =
        ImportKey { check: check(&[0x55; 16]), ..import("never", &[("officer-2", ONE), ("officer-3", TWO)]) };
    let Officers { one, two, three } = &mut part.officers;
    let never = done(&mut [one, two, three], Operation::KeyImport, &combined).id();
    custody::give(two, never, &ONE).unwrap();
    let last = offer(three, never).0;
    let last = Giving::new(three, &last, &TWO);
    part.not_given(ATTACKS[36], By::Three, &last, invalid(Invalid::Combined));
    let late = GiveComponent { idem: keysvc_tests::agreed::idem(), ..first.request.clone() };
    let late = Giving { request: late, ..first.clone() };
    part.not_given(ATTACKS[37], By::One, &late, conflict(Conflict::ProposalEnded));
    let Officers { one, two, three } = &mut part.officers;
    let withdrawn =
        propose(one, Operation::KeyImport, &import("gone", &[("officer-2", ONE), ("officer-3", TWO)]));
    let withdrawn = withdrawn.unwrap();
    withdrawn.cancel(three).unwrap();
    let gone = ComponentKeyOffer { proposal: withdrawn.id(), ..offer(two, later).0 };
    let gone = Giving::new(two, &gone, &ONE);
    part.not_given(ATTACKS[38], By::Two, &gone, missing(Thing::Proposal));
    assert_eq!(key_state(&mut part.officers.one, "never", 1), None);
    past_the_fourth(&mut part);
    let Part { mut ground, book, .. } = part;
    let service = ground.site().service();
    let log = fs::read(ground.log()).unwrap();
    assert!(!log.windows(16).any(|part| part == ONE || part == TWO), "{}", service.folder().display());
    book.close(ATTACKS, &mut ground);
}

/// A fourth officer joins; as many approvals as it takes come to nothing while they are the custodians' alone.
fn past_the_fourth(part: &mut Part) {
    let enrol = part.ground.newcomer("officer-4", PrincipalKind::Officer, "security");
    let Part { ground, book, officers: Officers { one, two, three }, .. } = part;
    let (_, state) = agree(&mut [one, two, three], Operation::PrincipalEnrol, &enrol).unwrap();
    assert!(matches!(state, ProposalState::Waiting { .. }), "{state:?}");
    until("officer-4 has joined", || {
        let list = ListPrincipals { schema: Schema, after: None };
        let all: PrincipalListReply = one.ask(Operation::PrincipalList, &list).unwrap();
        all.principals.iter().any(|one| one.enrolment.id == enrol.principal.id)
    });
    let mut four = cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), "officer-4");
    let all = import("own", &[("officer-1", [1; 16]), ("officer-2", [2; 16]), ("officer-3", [4; 16])]);
    let asked = propose(one, Operation::KeyImport, &all).unwrap();
    book.nothing_comes_of(ATTACKS[39], || {
        let voted = asked.approved_by(&mut [one, two, three]).unwrap();
        assert_eq!((voted.persons, voted.state), (3, ProposalState::Open));
    });
    let voted = asked.approve(&mut four).unwrap();
    assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);
}

/// Both custodians give theirs again after the start, and the key is what was ordered.
fn key_comes_in(part: &mut Part, proposal: ProposalId) {
    let to_operator = offer_to_operator(part, proposal);
    let Part { officers: Officers { one, two, .. }, operator, .. } = part;
    assert_eq!(custody::give(one, proposal, &ONE).unwrap().missing.to_vec(), [2]);
    let given = Giving::new(operator, &to_operator, &TWO).send(operator).unwrap();
    let key = given.key.unwrap();
    let made = keysvc_protocol::key::CheckValue::Cmac { value: check(&custody::xor(&[ONE, TWO])) };
    assert_eq!((key.check, key.state), (made, KeyState::PreActivation));
    done(&mut [one, two], Operation::KeyActivate, &activate(KEY, 1));
    assert_eq!(key_state(one, KEY, 1), Some(KeyState::Active));
}
