//! One key's life: made, used, stopped, destroyed after its delay; clocks that jump, starts in between.

use super::{explore, log};
use keysvc_protocol::{
    bytes::{ObjectIdentifier, ProposalId},
    key::{KeyKind, KeyState},
    leaf::{KeyDestroyedLeaf, KeyIntentLeaf, KeyOutcomeLeaf, LeafKind},
    name::Reason,
    request::{
        ActivateKey, CompromiseKey, ConfirmClock, CreateKey, DestroyKey, Operation, RetireKey, SuspendKey,
    },
    schema::Schema,
};
use keysvc_tests::people::{DAY_MS, HOUR_MS, Log, idem, name, record};
use stateright::{Model, Property};
use std::hash::{Hash, Hasher};

const TWO: [&str; 2] = ["officer-1", "officer-2"];
const THREE: [&str; 3] = ["officer-1", "officer-2", "officer-3"];
const KEY: &str = "value-2";
/// The delay of a destruction.
const DELAY_MS: u64 = 7 * DAY_MS;
/// How often half of the delay passes.
const HALVES: u8 = 3;

fn why() -> Reason {
    "explored".parse().unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Create,
    Make,
    Activate,
    Suspend,
    Retire,
    Compromise,
    Destroy,
    Cancel,
    TakeEffect,
    Destroyed,
    /// Half of the delay passes by both clocks, and the service runs.
    Half,
    /// Half of the delay passes by both clocks, and the service is off: another boot when it is on again.
    Off,
    /// The wall clock is set forward by more than the delay over a new start, where nothing can tell.
    Forward,
    /// The wall clock is set forward while it runs.
    Jump,
    Confirm,
    Restart,
}

const STEPS: [Step; 16] = [
    Step::Create,
    Step::Make,
    Step::Activate,
    Step::Suspend,
    Step::Retire,
    Step::Compromise,
    Step::Destroy,
    Step::Cancel,
    Step::TakeEffect,
    Step::Destroyed,
    Step::Half,
    Step::Off,
    Step::Forward,
    Step::Jump,
    Step::Confirm,
    Step::Restart,
];

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
struct Scheduled {
    wall_ms: u64,
    ran_ms: u64,
}

#[derive(Debug, Clone)]
struct State {
    log: Log,
    /// What the service ran, by the model's own count.
    ran_ms: u64,
    order: Option<u64>,
    scheduled: Option<(ProposalId, u64, Scheduled)>,
    intent: Option<u64>,
    halves: u8,
    forward: bool,
    jumped: bool,
    disputed: bool,
    cancelled: bool,
    wrong: Option<&'static str>,
}

impl State {
    fn key(&self) -> Option<KeyState> {
        self.log.control.keys().get(&name(KEY), 1).map(|key| key.state)
    }
}

impl State {
    /// What tells it from another: not the log, nor the leaves' indices. What follows depends on the rest alone.
    fn told(&self) -> impl Hash + PartialEq {
        let waiting =
            self.scheduled.map(|(.., since)| (self.log.now_ms - since.wall_ms, self.ran_ms - since.ran_ms));
        let due = self.log.control.waiting().next().map(|(_, waiting)| {
            let run_ms = self.log.control.clock().run_ms();
            (waiting.due_ms.saturating_sub(self.log.now_ms), waiting.due_run_ms.saturating_sub(run_ms))
        });
        let destroying = self.log.control.keys().destroying().count();
        let key = (self.key(), self.order.is_some(), self.intent.is_some(), destroying);
        let clock = (self.halves, self.forward, self.jumped, self.disputed);
        (key, waiting, due, clock, self.cancelled, self.wrong)
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

struct World;

fn schedule(state: &mut State) -> Option<()> {
    let payload = DestroyKey { schema: Schema, idem: idem(1), name: name(KEY), version: 1, reason: why() };
    let id = state.log.propose("officer-1", Operation::KeyDestroy, &payload).ok()?;
    state.log.approve(&THREE, &id);
    let act = state.log.act(&id).ok()?;
    let since = Scheduled { wall_ms: state.log.now_ms, ran_ms: state.ran_ms };
    if state.disputed {
        state.wrong = Some("an act while the clock was disputed");
    }
    state.scheduled = Some((id, act, since));
    state.cancelled = false;
    Some(())
}

fn take_effect(state: &mut State) -> Option<()> {
    let (_, act, since) = state.scheduled?;
    let from = state.key();
    state.intent = Some(state.log.took_effect(act).ok()?);
    let wrong = [
        (state.log.now_ms - since.wall_ms < DELAY_MS, "a destruction before its delay in wall time"),
        (state.ran_ms - since.ran_ms < DELAY_MS, "a destruction before its delay in boot time"),
        (state.cancelled, "a destruction after its cancellation"),
        (state.disputed, "a destruction while the clock was disputed"),
        (
            !matches!(from, Some(KeyState::PreActivation | KeyState::Deactivated | KeyState::Compromised)),
            "a destruction of a key in use",
        ),
        (state.key() != Some(KeyState::Destroyed), "a destruction that leaves the key as it was"),
    ];
    state.wrong = state.wrong.or(wrong.into_iter().find_map(|(is, what)| is.then_some(what)));
    state.scheduled = None;
    Some(())
}

fn outcome(state: &mut State) -> Option<()> {
    let intent = state.intent?;
    let id = ObjectIdentifier::new([0x50; 16]);
    let leaf = KeyDestroyedLeaf { schema: Schema, intent, name: name(KEY), version: 1, id };
    state.log.put(LeafKind::KeyDestroyed, &leaf).ok()?;
    state.intent = None;
    Some(())
}

fn make(state: &mut State) -> Option<()> {
    let (id, kind) = (ObjectIdentifier::new([0x50; 16]), KeyKind::ValueSigning);
    let intent = KeyIntentLeaf { schema: Schema, id, kind, name: name(KEY), version: 1 };
    let intent = state.log.put(LeafKind::KeyIntent, &intent);
    if intent.is_ok() && state.order.is_none() {
        state.wrong = Some("a key is made that nobody ordered");
    }
    let key = record(0x50, KEY, 1, kind, KeyState::PreActivation);
    let outcome = KeyOutcomeLeaf { schema: Schema, intent: intent.ok()?, key };
    state.log.put(LeafKind::KeyOutcome, &outcome).ok().map(drop)
}

/// What officers do to the key's state: the step must be SP 800-57's from where it is, and nothing may be waiting but for
/// what stops.
fn moved(state: &mut State, step: Step) -> Option<()> {
    let (schema, idem, name, version, reason) = (Schema, idem(1), name(KEY), 1, why());
    let from = state.key();
    let waits = state.log.control.waiting().count() > 0;
    let done = match step {
        Step::Activate => {
            let payload = ActivateKey { schema, idem, name, version, reason };
            state.log.agree("officer-1", Operation::KeyActivate, &payload, &TWO)
        }
        Step::Suspend => {
            let payload = SuspendKey { schema, idem, name, version, reason };
            state.log.alone("officer-1", Operation::KeySuspend, &payload)
        }
        Step::Retire => {
            let payload = RetireKey { schema, idem, name, version, reason };
            state.log.agree("officer-1", Operation::KeyRetire, &payload, &TWO)
        }
        _ => {
            let payload = CompromiseKey { schema, idem, name, version, reason };
            state.log.alone("officer-1", Operation::KeyCompromise, &payload)
        }
    };
    done.ok()?;
    use KeyState::{Active, Compromised, Deactivated, PreActivation, Suspended};
    let allowed = matches!(
        (step, from),
        (Step::Activate, Some(PreActivation | Suspended))
            | (Step::Suspend, Some(Active))
            | (Step::Retire, Some(Active | Suspended))
            | (Step::Compromise, Some(PreActivation | Active | Suspended | Deactivated))
    );
    let to = match step {
        Step::Activate => Active,
        Step::Suspend => Suspended,
        Step::Retire => Deactivated,
        _ => Compromised,
    };
    let by_quorum = matches!(step, Step::Activate | Step::Retire);
    let wrong = [
        (!allowed, "a step that SP 800-57 does not know"),
        (state.key() != Some(to), "a step to another state"),
        (by_quorum && state.disputed, "an act while the clock was disputed"),
        (by_quorum && waits, "a key whose destruction waits is put into use or out of it"),
    ];
    state.wrong = state.wrong.or(wrong.into_iter().find_map(|(is, what)| is.then_some(what)));
    Some(())
}

fn order(state: &mut State) -> Option<()> {
    if state.order.is_some() {
        return None;
    }
    let payload = CreateKey { schema: Schema, idem: idem(1), name: name(KEY), kind: KeyKind::ValueSigning };
    state.order = Some(state.log.agree("officer-1", Operation::KeyCreate, &payload, &TWO).ok()?);
    Some(())
}

fn time(state: &mut State, step: Step) -> Option<()> {
    match step {
        Step::Half | Step::Off if state.halves < HALVES => {
            state.halves += 1;
            state.log.pass(DELAY_MS / 2);
            if step == Step::Half {
                state.ran_ms += DELAY_MS / 2;
            } else {
                (state.log.boot, state.log.up_ms) = (state.log.boot + 1, 0);
            }
        }
        Step::Forward if !state.forward => {
            state.forward = true;
            state.log.now_ms += DELAY_MS + HOUR_MS;
            (state.log.boot, state.log.up_ms) = (state.log.boot + 1, 0);
        }
        Step::Jump if !state.jumped => {
            (state.jumped, state.disputed) = (true, true);
            state.log.now_ms += HOUR_MS;
        }
        _ => return None,
    }
    state.log.heartbeat().ok().map(drop)
}

fn confirm(state: &mut State) -> Option<()> {
    let payload = ConfirmClock { schema: Schema, idem: idem(1), time_ms: state.log.now_ms };
    state.log.agree("officer-1", Operation::ClockConfirm, &payload, &TWO).ok()?;
    state.disputed = false;
    Some(())
}

fn restart(state: &mut State) -> Option<()> {
    let replayed = state.log.replayed();
    if replayed != state.log.control {
        state.wrong = Some("a replay of the log makes another state");
    }
    state.log.control = replayed;
    Some(())
}

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut log = log(3);
        log.heartbeat().unwrap();
        vec![State {
            log,
            ran_ms: 0,
            order: None,
            scheduled: None,
            intent: None,
            halves: 0,
            forward: false,
            jumped: false,
            disputed: false,
            cancelled: false,
            wrong: None,
        }]
    }

    fn actions(&self, _: &State, actions: &mut Vec<Step>) {
        actions.extend(STEPS);
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut next = last.clone();
        let state = &mut next;
        match step {
            Step::Create => order(state),
            Step::Make => make(state),
            Step::Activate | Step::Suspend | Step::Retire | Step::Compromise => moved(state, step),
            Step::Destroy => schedule(state),
            Step::Cancel => {
                let (id, ..) = state.scheduled?;
                state.log.cancel("officer-3", &id).ok()?;
                state.cancelled = true;
                Some(())
            }
            Step::TakeEffect => take_effect(state),
            Step::Destroyed => outcome(state),
            Step::Half | Step::Off | Step::Forward | Step::Jump => time(state, step),
            Step::Confirm => confirm(state),
            Step::Restart => restart(state),
        }?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing happens that may not", |_, state: &State| state.wrong.is_none()),
            Property::always("the service knows when its clock is disputed", |_, state: &State| {
                state.log.control.clock().is_disputed() == state.disputed
            }),
            Property::always("boot time is never counted that did not pass", |_, state: &State| {
                state.log.control.clock().run_ms() <= state.ran_ms
            }),
            Property::always("only an active key signs", |_, state: &State| {
                let signs = state.log.control.keys().newest_active(&name(KEY));
                signs.is_some() == (state.key() == Some(KeyState::Active))
            }),
            Property::always(
                "a key is being destroyed only once it is destroyed by its state",
                |_, state: &State| {
                    let destroying = state.log.control.keys().destroying().count();
                    destroying == 0 || (state.key() == Some(KeyState::Destroyed) && state.intent.is_some())
                },
            ),
            Property::sometimes("the key is used", |_, state: &State| state.key() == Some(KeyState::Active)),
            Property::sometimes("the key is destroyed and its outcome is told", |_, state: &State| {
                state.key() == Some(KeyState::Destroyed) && state.intent.is_none()
            }),
            Property::sometimes("a destruction is cancelled after its delay", |_, state: &State| {
                let delayed =
                    |(.., since): &(ProposalId, u64, Scheduled)| state.ran_ms - since.ran_ms >= DELAY_MS;
                state.cancelled && state.scheduled.as_ref().is_some_and(delayed)
            }),
            Property::sometimes(
                "a compromised key is destroyed over a start in between",
                |_, state: &State| state.key() == Some(KeyState::Destroyed) && state.log.boot > 1,
            ),
        ]
    }
}

#[test]
fn no_order_of_steps_destroys_a_key_too_early_or_brings_one_back() {
    assert!(explore("a key's life", World) > 100);
}
