//! A key that comes in as components: ordered once or twice, given by whoever in whatever order, too late, again after a
//! start, and the leaves that make it, written too early, twice or with another check value.

use super::{explore, log};
use keysvc_protocol::{
    bytes::{Digest, ObjectIdentifier, ProposalId, ShortCheck},
    control::IMPORT_LIFE_MS,
    key::{CheckValue, KeyKind, KeyState},
    leaf::{KeyIntentLeaf, KeyOutcomeLeaf, LeafKind},
    list::List,
    name::Reason,
    request::{ComponentOrder, CreateKey, DisablePrincipal, GiveComponent, ImportKey, Operation},
    schema::Schema,
};
use keysvc_tests::people::{Log, idem, name, record};
use stateright::{Model, Property};
use std::hash::{Hash, Hasher};

const TWO: [&str; 2] = ["officer-1", "officer-2"];
const THREE: [&str; 3] = ["officer-1", "officer-2", "officer-3"];
/// Who holds component 1 and component 2.
const CUSTODIANS: [&str; 2] = ["officer-2", "officer-3"];
const KEY: &str = "master-2";
/// Check values of the components, by their number from 1, and of the key.
const CHECKS: [u8; 2] = [1, 2];
const WHOLE: u8 = 9;
/// How often three quarters of an import's life pass.
const PASSES: u8 = 2;
/// How often the key is ordered.
const ORDERS: usize = 2;

fn why() -> Reason {
    "explored".parse().unwrap()
}

fn check(byte: u8) -> ShortCheck {
    ShortCheck::new([byte; 5])
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// The import, by three people.
    Import,
    /// The import by two people, which is too few.
    ImportByTwo,
    /// Another version of the same name, made by the token: by two people.
    Create,
    /// This person gives this component of that order with this component's check value; numbers from 1.
    Give(&'static str, usize, u8, u8),
    /// The leaf that begins to make this version.
    Intend(u32),
    /// The leaf that says it was made, with the check value that was ordered or with another one.
    Made(u32, bool),
    /// The second custodian is disabled.
    Disable,
    Pass,
    /// The service starts again: its state is the replay of its log, and it holds no component any more.
    Restart,
}

/// What was ordered, by the model's own count.
#[derive(Debug, Clone, PartialEq, Hash)]
struct Ordered {
    /// The import's proposal; none where the token makes the key.
    import: Option<ProposalId>,
    at_ms: u64,
    given: [bool; 2],
    /// Given again after a start.
    again: bool,
    intent: Option<u64>,
    made: bool,
}

#[derive(Debug, Clone)]
struct State {
    log: Log,
    /// By version, from 1.
    orders: Vec<Ordered>,
    passes: u8,
    disabled: bool,
    started: bool,
    wrong: Option<&'static str>,
}

impl State {
    fn ordered(&mut self, import: Option<ProposalId>) {
        let at_ms = self.log.now_ms;
        self.orders.push(Ordered {
            import,
            at_ms,
            given: [false; 2],
            again: false,
            intent: None,
            made: false,
        });
    }

    fn version(&self, version: u32) -> Option<&Ordered> {
        self.orders.get(usize::try_from(version).unwrap() - 1)
    }

    fn version_mut(&mut self, version: u32) -> Option<&mut Ordered> {
        self.orders.get_mut(usize::try_from(version).unwrap() - 1)
    }

    /// What tells it from another: not the log, nor the leaves' indices.
    fn told(&self) -> impl Hash + PartialEq {
        let orders = self.orders.iter().map(|order| {
            let age_ms = self.log.now_ms - order.at_ms;
            (order.import.is_some(), age_ms, order.given, order.again, order.intent.is_some(), order.made)
        });
        let orders: Vec<_> = orders.collect();
        (orders, self.passes, self.disabled, self.started, self.wrong)
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, to: &mut H) {
        self.told().hash(to);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.told() == other.told()
    }
}

/// Whether its custodians have had their time.
fn late(state: &State, order: &Ordered) -> bool {
    state.log.now_ms - order.at_ms > IMPORT_LIFE_MS
}

struct World;

fn import(state: &mut State, by: &[&str]) -> Option<()> {
    if state.orders.len() >= ORDERS {
        return None;
    }
    let order =
        |(custodian, byte): (&str, u8)| ComponentOrder { custodian: name(custodian), check: check(byte) };
    let payload = ImportKey {
        schema: Schema,
        idem: idem(1),
        name: name(KEY),
        kind: KeyKind::CardMaster,
        check: check(WHOLE),
        components: List::try_from(CUSTODIANS.into_iter().zip(CHECKS).map(order).collect::<Vec<_>>())
            .unwrap(),
        reason: why(),
    };
    let id = state.log.propose("officer-1", Operation::KeyImport, &payload).ok()?;
    for officer in by {
        state.log.vote(officer, &id, keysvc_protocol::quorum::Verdict::Approve).ok()?;
    }
    state.log.act(&id).ok()?;
    if by.len() < THREE.len() {
        state.wrong = Some("an import by two people");
    }
    if state.disabled {
        state.wrong = Some("an import of which somebody disabled holds a component");
    }
    state.ordered(Some(id));
    Some(())
}

fn create(state: &mut State) -> Option<()> {
    if state.orders.len() >= ORDERS {
        return None;
    }
    let payload = CreateKey { schema: Schema, idem: idem(1), name: name(KEY), kind: KeyKind::CardMaster };
    state.log.agree("officer-1", Operation::KeyCreate, &payload, &TWO).ok()?;
    state.ordered(None);
    Some(())
}

fn give(state: &mut State, by: &str, order: usize, number: u8, stated: u8) -> Option<()> {
    let proposal = state.orders.get(order)?.import?;
    let payload = GiveComponent {
        schema: Schema,
        idem: idem(2),
        proposal,
        number,
        check: check(stated),
        import_key: Digest::new([3; 32]),
        sealed: Digest::new([4; 32]),
    };
    state.log.alone(by, Operation::ComponentGive, &payload).ok()?;
    let (age_ms, started) = (state.log.now_ms - state.orders[order].at_ms, state.started);
    let place = usize::from(number) - 1;
    let wrong = [
        (CUSTODIANS[place] != by, "somebody else's component is given"),
        (CHECKS[place] != stated, "a component with another check value than ordered is given"),
        (age_ms > IMPORT_LIFE_MS, "a component is given too late"),
        (state.orders[order].made, "a component is given for a key that is made"),
        (state.disabled && by == CUSTODIANS[1], "somebody disabled gives a component"),
    ];
    state.wrong = state.wrong.or(wrong.into_iter().find_map(|(is, what)| is.then_some(what)));
    let order = &mut state.orders[order];
    order.again |= started && order.given[place];
    order.given[place] = true;
    Some(())
}

fn intend(state: &mut State, version: u32) -> Option<()> {
    if state.version(version).is_some_and(|order| order.intent.is_some()) {
        return None;
    }
    let id = ObjectIdentifier::new([0x50 + u8::try_from(version).unwrap(); 16]);
    let intent = KeyIntentLeaf { schema: Schema, id, kind: KeyKind::CardMaster, name: name(KEY), version };
    let leaf = state.log.put(LeafKind::KeyIntent, &intent).ok()?;
    let wrong = match state.version(version) {
        None => Some("a key is made that nobody ordered"),
        Some(order) if order.made => Some("a key is made a second time"),
        Some(order) if order.import.is_some() && order.given != [true; 2] => {
            Some("a key is made of components that were not given")
        }
        Some(_) => None,
    };
    state.wrong = state.wrong.or(wrong);
    state.version_mut(version)?.intent = Some(leaf);
    Some(())
}

fn made(state: &mut State, version: u32, as_ordered: bool) -> Option<()> {
    let (intent, imported) = {
        let order = state.version(version)?;
        // Without an intent, one that is not there.
        (order.intent.unwrap_or(10_000), order.import.is_some())
    };
    let object = 0x50 + u8::try_from(version).unwrap();
    let mut key = record(object, KEY, version, KeyKind::CardMaster, KeyState::PreActivation);
    let value = check(if as_ordered { WHOLE } else { 8 });
    key.check = CheckValue::Cmac { value };
    let outcome = KeyOutcomeLeaf { schema: Schema, intent, key };
    state.log.put(LeafKind::KeyOutcome, &outcome).ok()?;
    if imported && !as_ordered {
        state.wrong = Some("a key has come in that is not the one ordered");
    }
    let order = state.version_mut(version)?;
    let wrong =
        [(order.intent.is_none(), "a key is there without an intent"), (order.made, "a key is there twice")];
    order.made = true;
    order.intent = None;
    state.wrong = state.wrong.or(wrong.into_iter().find_map(|(is, what)| is.then_some(what)));
    Some(())
}

fn disable(state: &mut State) -> Option<()> {
    if state.disabled {
        return None;
    }
    let payload = DisablePrincipal { schema: Schema, idem: idem(3), id: name(CUSTODIANS[1]), reason: why() };
    state.log.alone("officer-1", Operation::PrincipalDisable, &payload).ok()?;
    state.disabled = true;
    Some(())
}

fn restart(state: &mut State) -> Option<()> {
    let replayed = state.log.replayed();
    if replayed != state.log.control {
        state.wrong = Some("a replay of the log makes another state");
    }
    state.log.control = replayed;
    state.started = true;
    Some(())
}

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut log = log(3);
        log.heartbeat().unwrap();
        vec![State { log, orders: Vec::new(), passes: 0, disabled: false, started: false, wrong: None }]
    }

    fn actions(&self, _: &State, actions: &mut Vec<Step>) {
        actions.extend([
            Step::Import,
            Step::ImportByTwo,
            Step::Create,
            Step::Disable,
            Step::Pass,
            Step::Restart,
        ]);
        for by in THREE {
            for order in 0..ORDERS {
                for (number, stated) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
                    actions.push(Step::Give(by, order, number, stated));
                }
            }
        }
        for version in 1..=2 {
            actions.extend([Step::Intend(version), Step::Made(version, true), Step::Made(version, false)]);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut next = last.clone();
        let state = &mut next;
        match step {
            Step::Import => import(state, &THREE),
            Step::ImportByTwo => import(state, &TWO),
            Step::Create => create(state),
            Step::Give(by, order, number, stated) => give(state, by, order, number, stated),
            Step::Intend(version) => intend(state, version),
            Step::Made(version, as_ordered) => made(state, version, as_ordered),
            Step::Disable => disable(state),
            Step::Pass if state.passes < PASSES => {
                state.passes += 1;
                state.log.pass(IMPORT_LIFE_MS / 4 * 3);
                Some(())
            }
            Step::Pass => None,
            Step::Restart => restart(state),
        }?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing happens that may not", |_, state: &State| state.wrong.is_none()),
            Property::always("the log knows which components were given", |_, state: &State| {
                state.orders.iter().all(|order| match order.import {
                    Some(id) if !order.made => {
                        let (_, _, import) = state.log.control.import(&id).unwrap();
                        let given = [1, 2].map(|number| import.given.contains_key(&number));
                        given == order.given && import.is_complete() == (given == [true; 2])
                    }
                    _ => true,
                })
            }),
            Property::always(
                "a key is there once it is made, not in use, and not before",
                |_, state: &State| {
                    (1..).zip(&state.orders).all(|(version, order)| {
                        let key = state.log.control.keys().get(&name(KEY), version);
                        let standing = key.map(|key| (key.kind, key.state));
                        standing == order.made.then_some((KeyKind::CardMaster, KeyState::PreActivation))
                    })
                },
            ),
            Property::sometimes("a key comes in", |_, state: &State| {
                state.orders.iter().any(|order| order.import.is_some() && order.made)
            }),
            Property::sometimes(
                "components are given again after a start, and the key comes in",
                |_, state: &State| state.orders.iter().any(|order| order.again && order.made),
            ),
            Property::sometimes("a second key comes in after the first came too late", |_, state: &State| {
                let [first, second] = &state.orders[..] else { return false };
                first.import.is_some() && !first.made && late(state, first) && second.made
            }),
            Property::sometimes("two imports of one name come in", |_, state: &State| {
                state.orders.iter().filter(|order| order.import.is_some() && order.made).count() == 2
            }),
            Property::sometimes(
                "a custodian is disabled who has given, and the key comes in",
                |_, state: &State| {
                    state.disabled && state.orders.iter().any(|order| order.import.is_some() && order.made)
                },
            ),
        ]
    }
}

#[test]
fn no_order_of_steps_brings_a_key_in_of_components_that_its_custodians_did_not_give() {
    assert!(explore("a key's import", World) > 1_000);
}
