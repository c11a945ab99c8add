//! Stop and go: each freeze stops what it names and nothing else, at once and for repetitions too; two people let it go
//! on.

use keysvc_client::{blocking, terminal::Offline};
use keysvc_protocol::{
    bundle::{BundleError, BundleFile},
    cbor,
    founding::PrincipalKind,
    freeze::{Scope, ScopeKind},
    key::{KeyKind, KeyState},
    leaf::{LeafKind, ValueUpdatedLeaf},
    proposal::ProposalState,
    refusal::{Refusal, Thing},
    reply::{
        BundleReply, CheckpointReply, FreezeListReply, UpdateOutcome, ValueBatchReply, ValueUpdateReply,
    },
    request::{
        ListFreezes, Operation, ReadBundle, ReadCheckpoint, UpdateValue, UpdateValues,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
    trust::Trust,
};
use keysvc_tests::{
    agreed::{self, alone, done, freeze, lift, name, propose},
    cards,
    ground::{Ground, OFFICERS},
    jobs::{Bench, Shift},
    raw::{self, Caller},
};
use std::{collections::BTreeSet, fs};

const CARD: &str = "04782e21801d80";
const OTHER: &str = "04a1b2c3d4e5f6";

fn holder(ground: &Ground, persona: &str) -> Caller {
    cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), persona)
}

fn officers(ground: &Ground) -> [Caller; 3] {
    OFFICERS.map(|persona| holder(ground, persona))
}

fn frozen<T>(scope: &Scope) -> Result<T, Refusal> {
    Err(Refusal::Frozen { scope: scope.kind() })
}

fn card_everywhere(card: &str) -> Scope {
    Scope::Card { card: card.parse().unwrap(), programme: None }
}

fn card_in(card: &str, programme: &str) -> Scope {
    Scope::Card { card: card.parse().unwrap(), programme: Some(name(programme)) }
}

/// Everything that can be stopped, each as a request that goes well when nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Probe {
    /// Value of CARD by terminal-1.
    Value,
    /// Value of OTHER by terminal-1.
    OtherCard,
    /// Value of a third card by terminal-3, of the same store.
    OtherTerminal,
    /// Keys of MADE under the profile without value by station-1. While it is made it bears no value.
    Known,
    /// Keys under the profile of the programme by station-2.
    Generated,
    /// Keys under the profile without value by station-3.
    OtherStation,
    /// Another session of station-1's job.
    Open,
}

use Probe::{Generated, Known, Open, OtherCard, OtherStation, OtherTerminal, Value};

const PROBES: [Probe; 7] = [Value, OtherCard, OtherTerminal, Known, Generated, OtherStation, Open];
/// Whose profile each station makes.
const STATIONS: [(&str, &str); 3] =
    [("station-1", "known"), ("station-2", "generated"), ("station-3", "known")];
/// The card that each station has in hand.
const MADE: [&str; 3] = ["04782e21801d81", "04782e21801d82", "04782e21801d83"];

/// Callers that stay connected while scopes are frozen and let go on.
struct Shop {
    ground: Ground,
    terminals: [Caller; 2],
    // Each with its job, which is open.
    stations: [(Bench, Shift); 3],
    // The next sequence number and the balance of the three cards.
    purses: [(u64, u64); 3],
}

impl Shop {
    fn new(officers: &mut [Caller; 3], ground: Ground) -> Self {
        let [ann, ben, _] = officers;
        for (persona, kind, group) in [
            ("terminal-3", PrincipalKind::Terminal, "roastery"),
            ("station-3", PrincipalKind::Station, "bureau"),
        ] {
            let request = ground.newcomer(persona, kind, group);
            done(&mut [ann, ben], Operation::PrincipalEnrol, &request);
        }
        let terminals = ["terminal-1", "terminal-3"].map(|persona| Caller::new(ground.site(), persona));
        let stations = STATIONS.map(|(station, profile)| {
            let mut bench = Bench::new(env!("CARGO_BIN_EXE_card"), &ground, station);
            let shift = bench.open((profile, 1));
            (bench, shift)
        });
        Self { ground, terminals, stations, purses: [(1, 0); 3] }
    }

    /// The job of station-1.
    fn job(&self) -> Scope {
        Scope::Job { name: self.stations[0].1.job.clone() }
    }

    fn try_one(&mut self, probe: Probe) -> Result<(), Refusal> {
        match probe {
            Value => self.load(0, 0, CARD),
            OtherCard => self.load(0, 1, OTHER),
            OtherTerminal => self.load(1, 2, "04ffeeddccbbaa"),
            Known => self.derive(0),
            Generated => self.derive(1),
            OtherStation => self.derive(2),
            Open => {
                let (bench, shift) = &mut self.stations[0];
                *shift = bench.renew(shift)?;
                Ok(())
            }
        }
    }

    fn load(&mut self, terminal: usize, purse: usize, card: &str) -> Result<(), Refusal> {
        let (seq, balance) = self.purses[purse];
        let request = UpdateValue { card: card.parse().unwrap(), ..raw::update(Load, seq, 10, balance) };
        self.terminals[terminal].ask::<ValueUpdateReply>(Operation::ValueUpdate, &request)?;
        self.purses[purse] = (seq + 1, balance + 10);
        Ok(())
    }

    fn derive(&mut self, station: usize) -> Result<(), Refusal> {
        let (bench, shift) = &mut self.stations[station];
        bench.derive(shift, &[MADE[station]]).map(drop)
    }

    /// What is stopped, and all of it as this kind.
    fn stopped(&mut self, kind: ScopeKind) -> BTreeSet<Probe> {
        let mut stopped = BTreeSet::new();
        for probe in PROBES {
            match self.try_one(probe) {
                Ok(()) => {}
                Err(Refusal::Frozen { scope }) if scope == kind => _ = stopped.insert(probe),
                Err(refusal) => panic!("{probe:?} under a freeze of {kind:?}: {refusal:?}"),
            }
        }
        stopped
    }
}

#[test]
fn each_scope_stops_what_it_names_from_the_next_request_on_and_nothing_else() {
    let ground = Ground::new();
    let mut officers = officers(&ground);
    let mut shop = Shop::new(&mut officers, ground);
    let [ann, ben, cat] = &mut officers;
    let scopes: [(Scope, &[Probe]); 13] = [
        (card_everywhere(CARD), &[Value]),
        (card_everywhere(MADE[0]), &[Known]),
        (card_in(CARD, "coffee"), &[Value]),
        (Scope::Terminal { name: name("terminal-1") }, &[Value, OtherCard]),
        (Scope::Station { name: name("station-1") }, &[Known, Open]),
        (shop.job(), &[Known, Open]),
        (Scope::Programme { name: name("coffee") }, &[Value, OtherCard, OtherTerminal]),
        (Scope::Store { name: name("roastery") }, &[Value, OtherCard, OtherTerminal]),
        (Scope::Profile { name: name("known") }, &[Known, OtherStation, Open]),
        (Scope::Profile { name: name("generated") }, &[Value, OtherCard, OtherTerminal, Generated]),
        (Scope::Key { name: name("value-1") }, &[Value, OtherCard, OtherTerminal]),
        (Scope::Key { name: name("demo-generated") }, &[Generated]),
        (Scope::Key { name: name("demo-known") }, &[Known, OtherStation, Open]),
    ];
    assert_eq!(shop.stopped(ScopeKind::All), BTreeSet::new());
    for (scope, stops) in scopes {
        alone(cat, Operation::FreezeSet, &freeze(&scope)).unwrap();
        assert_eq!(shop.stopped(scope.kind()), stops.iter().copied().collect(), "{scope}");
        done(&mut [ann, ben], Operation::FreezeLift, &lift(&scope));
        assert_eq!(shop.stopped(scope.kind()), BTreeSet::new(), "{scope} let go on");
    }
    // And what is not about this service's own business is told.
    for (scope, what) in [
        (Scope::Terminal { name: name("station-1") }, Thing::Principal),
        (Scope::Station { name: name("terminal-9") }, Thing::Principal),
        (Scope::Programme { name: name("tea") }, Thing::Programme),
        (Scope::Store { name: name("nobody") }, Thing::Principal),
        (Scope::Profile { name: name("unknown") }, Thing::Profile),
        (Scope::Key { name: name("value-9") }, Thing::Key),
        (Scope::Job { name: name("job-9") }, Thing::Job),
    ] {
        let refused = alone(ann, Operation::FreezeSet, &freeze(&scope));
        assert_eq!(refused, Err(Refusal::NotFound { what }), "{scope}");
    }
    shop.ground.assert_clean();
}

#[test]
fn all_stops_value_and_cards_and_not_those_who_govern_and_lasts_over_a_restart() {
    let ground = Ground::new();
    let mut officers = officers(&ground);
    let mut shop = Shop::new(&mut officers, ground);
    {
        let [ann, ben, cat] = &mut officers;
        alone(ann, Operation::FreezeSet, &freeze(&Scope::All)).unwrap();
        assert_eq!(shop.stopped(ScopeKind::All), PROBES.into_iter().collect());
        // Governance goes on: keys, principals, freezes, reads.
        done(&mut [ben, cat], Operation::KeyCreate, &agreed::create("new", KeyKind::ValueSigning));
        done(&mut [ben, cat], Operation::KeyActivate, &agreed::activate("new", 1));
        assert_eq!(agreed::key_state(ann, "new", 1), Some(KeyState::Active));
        alone(ben, Operation::PrincipalDisable, &agreed::disable("terminal-2")).unwrap();
        done(&mut [ann, ben], Operation::PrincipalEnable, &agreed::enable("terminal-2"));
    }
    shop.ground.assert_clean();
    for (caller, persona) in officers.iter_mut().zip(OFFICERS) {
        shop.ground.reconnect(caller, persona);
    }
    let mut terminal = Caller::new(shop.ground.site(), "terminal-1");
    let request = raw::update(Load, 1, 10, 0);
    let refused = terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &request);
    assert_eq!(refused, frozen(&Scope::All));
    let [ann, ben, _] = &mut officers;
    done(&mut [ann, ben], Operation::FreezeLift, &lift(&Scope::All));
    terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &request).unwrap();
}

#[test]
fn a_repetition_of_what_is_recorded_is_refused_while_it_is_frozen_and_signed_again_after() {
    let ground = Ground::new();
    let [mut ann, mut ben, _] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let request = raw::update(Load, 1, 2_000, 0);
    let first: ValueUpdateReply = terminal.ask(Operation::ValueUpdate, &request).unwrap();
    let mut office = Caller::new(ground.site(), "office-1");
    for scope in [card_everywhere(CARD), Scope::Key { name: name("value-1") }, Scope::All] {
        alone(&mut ann, Operation::FreezeSet, &freeze(&scope)).unwrap();
        let again = terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &request);
        assert_eq!(again, frozen(&scope), "{scope}");
        let item = terminal.message(Operation::ValueUpdate, cbor::encode(&request));
        let updates =
            UpdateValues { schema: Schema, updates: vec![item.try_into().unwrap()].try_into().unwrap() };
        let batch: ValueBatchReply = office.ask(Operation::ValueBatch, &updates).unwrap();
        assert_eq!(
            batch.outcomes[0],
            UpdateOutcome::Refused { refusal: Refusal::Frozen { scope: scope.kind() } }
        );
        done(&mut [&mut ann, &mut ben], Operation::FreezeLift, &lift(&scope));
        let again: ValueUpdateReply = terminal.ask(Operation::ValueUpdate, &request).unwrap();
        assert_eq!(again.receipt.leaf_index, first.receipt.leaf_index);
    }
    let updated: Vec<ValueUpdatedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::ValueUpdated);
    assert_eq!(updated.len(), 1);
}

#[test]
fn one_officer_sets_two_lift_and_an_office_stops_its_own_cards_and_terminals_alone() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut office = Caller::new(ground.site(), "office-1");
    let own = [card_in(CARD, "coffee"), Scope::Terminal { name: name("terminal-1") }];
    for scope in &own {
        alone(&mut office, Operation::FreezeSet, &freeze(scope)).unwrap();
    }
    // Everything else is not an office's: another's terminal, a card everywhere, all wider scopes.
    let others = [
        Scope::Terminal { name: name("terminal-2") },
        card_everywhere(OTHER),
        Scope::Store { name: name("roastery") },
        Scope::Programme { name: name("coffee") },
        Scope::Station { name: name("station-1") },
        Scope::Job { name: name("job-9") },
        Scope::Profile { name: name("known") },
        Scope::Key { name: name("value-1") },
        Scope::All,
    ];
    for scope in &others {
        let refused = alone(&mut office, Operation::FreezeSet, &freeze(scope));
        assert_eq!(refused, Err(Refusal::Forbidden), "{scope}");
    }
    for scope in &own {
        assert_eq!(propose(&mut office, Operation::FreezeLift, &lift(scope)), Err(Refusal::Forbidden));
    }
    alone(&mut ann, Operation::FreezeSet, &freeze(&others[0])).unwrap();
    let list = |caller: &mut Caller| {
        let request = ListFreezes { schema: Schema, after: None };
        let reply: FreezeListReply = caller.ask(Operation::FreezeList, &request).unwrap();
        reply.freezes.iter().map(|freeze| (freeze.scope.clone(), freeze.by.to_string())).collect::<Vec<_>>()
    };
    let by = |scope: &Scope, who: &str| (scope.clone(), who.to_owned());
    let of_office = vec![by(&own[0], "office-1"), by(&own[1], "office-1")];
    assert_eq!(list(&mut office), of_office);
    assert_eq!(list(&mut cat), [of_office, vec![by(&others[0], "officer-1")]].concat());
    // Lifting takes two, whoever set it.
    let pending = propose(&mut ann, Operation::FreezeLift, &lift(&own[1])).unwrap();
    assert_eq!(pending.approve(&mut ann).unwrap().state, ProposalState::Open);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let request = UpdateValue { card: OTHER.parse().unwrap(), ..raw::update(Load, 1, 10, 0) };
    let refused = terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &request);
    assert_eq!(refused, frozen(&own[1]));
    pending.approve(&mut ben).unwrap();
    terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &request).unwrap();
    // What is not frozen cannot be let go on.
    let nothing = Err(Refusal::NotFound { what: Thing::Freeze });
    assert_eq!(propose(&mut ann, Operation::FreezeLift, &lift(&own[1])), nothing);
}

fn bundle(ground: &Ground) -> keysvc_protocol::bundle::TrustBundle {
    let mut caller = Caller::new(ground.site(), "terminal-1");
    let genesis: CheckpointReply =
        caller.ask(Operation::LogCheckpoint, &ReadCheckpoint { schema: Schema, genesis: true }).unwrap();
    let reply: BundleReply =
        caller.ask(Operation::BundleGet, &ReadBundle { schema: Schema, have: None }).unwrap();
    let file =
        BundleFile { schema: Schema, founding: genesis.genesis.unwrap(), bundle: reply.bundle.unwrap() };
    file.verify(&Trust::parse(&fs::read_to_string(ground.site().trust()).unwrap()).unwrap()).unwrap()
}

#[test]
fn a_freeze_is_in_the_next_bundle_and_a_terminal_that_is_offline_refuses_the_record() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, _] = officers(&ground);
    let config = ground.config("terminal-1");
    let (record, other) = {
        let terminal = blocking::Terminal::connect(&config).unwrap();
        let record = terminal.update(&raw::update(Load, 1, 2_000, 0)).unwrap();
        let other = UpdateValue { card: OTHER.parse().unwrap(), ..raw::update(Load, 1, 500, 0) };
        (record, terminal.update(&other).unwrap())
    };
    assert!(bundle(&ground).denied.is_empty());
    let scope = card_in(CARD, "coffee");
    alone(&mut ann, Operation::FreezeSet, &freeze(&scope)).unwrap();
    let stopped = bundle(&ground);
    assert_eq!(&*stopped.denied, std::slice::from_ref(&scope));
    let now_ms = record.update.issued_at_ms;
    assert_eq!(
        stopped.check_record(&record.record, now_ms),
        Err(BundleError::Frozen { scope: scope.clone() })
    );
    assert_eq!(stopped.check_record(&other.record, now_ms).unwrap(), other.update);
    // The terminal keeps that bundle, and the service goes away.
    blocking::Terminal::connect(&config).unwrap().bundle().unwrap();
    ground.stop();
    let offline = Offline::open(&config).unwrap();
    let refused = offline.verify(&record.record, now_ms).unwrap_err();
    assert!(refused.to_string().contains("frozen"), "{refused}");
    assert_eq!(offline.verify(&other.record, now_ms).unwrap(), other.update);
    // Let go on, the next bundle denies nothing.
    ground.start().unwrap();
    ground.reconnect(&mut ann, "officer-1");
    ground.reconnect(&mut ben, "officer-2");
    done(&mut [&mut ann, &mut ben], Operation::FreezeLift, &lift(&scope));
    let free = bundle(&ground);
    assert!(free.denied.is_empty());
    assert_eq!(free.check_record(&record.record, now_ms).unwrap(), record.update);
    // Payments go on from where they stood.
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &raw::update(Debit, 2, 100, 2_000)).unwrap();
}

#[test]
fn what_was_frozen_after_people_agreed_to_it_is_not_done() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let request = raw::update(Load, 1, 500_000, 0);
    let pending = propose(&mut terminal, Operation::ValueUpdate, &request).unwrap();
    pending.approve(&mut ann).unwrap();
    let scope = Scope::Programme { name: name("coffee") };
    alone(&mut cat, Operation::FreezeSet, &freeze(&scope)).unwrap();
    let failed = ProposalState::Failed { refusal: Refusal::Frozen { scope: ScopeKind::Programme } };
    assert_eq!(pending.approve(&mut ben).unwrap().state, failed);
    done(&mut [&mut ann, &mut ben], Operation::FreezeLift, &lift(&scope));
    // Its end is its end: letting go on brings nothing back.
    assert_eq!(pending.result(&mut terminal).unwrap().state, failed);
    assert!(agreed::acts(&raw::leaves(&ground)).iter().all(|(_, act)| act.kind != LeafKind::ValueUpdated));
}
