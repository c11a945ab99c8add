//! One proposal of each kind: three officers, a machine or an officer who asks, and every message they could send.

use super::{explore, log};
use keysvc_protocol::{
    bytes::{Blob, ProposalId},
    cbor,
    control::{At, Control},
    freeze::{Scope, Touched},
    leaf::{ActByQuorumLeaf, LeafKind, ProposalClosedLeaf, ProposalMadeLeaf, ProposalVotedLeaf},
    list::List,
    name::{Name, Reason},
    proposal::{APPROVAL_LEN_MAX, Evidence, ProposalEnd},
    quorum::{Need, Verdict},
    request::{
        ActivateKey, CancelProposal, CompromiseKey, DisablePrincipal, LiftFreeze, Operation, SetFreeze,
        SuspendKey, UpdateValue,
    },
    schema::Schema,
};
use keysvc_tests::people::{BEGIN_MS, DAY_MS, Log, idem, load, name};
use stateright::{Model, Property};
use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

const OFFICERS: [&str; 3] = ["officer-1", "officer-2", "officer-3"];
/// How often time passes: once to the end of the proposal's life, once beyond.
const TIMES: usize = 3;

fn why() -> Reason {
    "explored".parse().unwrap()
}

/// What the proposal is about.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Subject {
    Value,
    Activate,
    Lift,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// The requester's request, first or again: it makes the proposal, or drives what is met.
    Ask,
    Approve(usize),
    Reject(usize),
    /// By the requester, or by an officer.
    Cancel(usize),
    /// The service looks whether it can go on.
    Upkeep,
    /// An act with these officers' approvals, whether they were recorded or not; 3 is the requester's.
    Forge(&'static [usize]),
    /// Whatever act was written, once more.
    ActAgain,
    Disable(usize),
    Freeze,
    /// The key that would be activated is compromised meanwhile.
    Compromise,
    Pass,
    Expire,
    /// The service starts again: its state is the replay of its log.
    Restart,
}

const FORGED: [&[usize]; 6] = [&[], &[0], &[0, 0], &[0, 3], &[1, 2], &[0, 1, 2]];

/// All messages, made once: signatures take time.
struct World {
    subject: Subject,
    need: u8,
    begin: Control,
    /// Logs that differ in their time alone: they make the acts' leaves.
    times: Vec<Log>,
    id: ProposalId,
    made: Vec<u8>,
    bytes: Blob<{ keysvc_protocol::proposal::PROPOSAL_LEN_MAX }>,
    approvals: Vec<Blob<APPROVAL_LEN_MAX>>,
    rejections: Vec<Blob<APPROVAL_LEN_MAX>>,
    cancels: Vec<(Name, Vec<u8>)>,
    disables: Vec<Vec<u8>>,
    freeze: Vec<u8>,
    compromise: Vec<u8>,
}

/// A leaf that was written.
#[derive(Debug, Clone)]
struct Written {
    at: At,
    kind: LeafKind,
    payload: Arc<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct State {
    control: Arc<Control>,
    log: Vec<Written>,
    time: usize,
    made: bool,
    ended: bool,
    disabled: [bool; 3],
    frozen: bool,
    compromised: bool,
    /// Whether it was met at some time.
    met: bool,
    acts: u8,
    /// What was wrong with an act that went through, or a replay.
    wrong: Option<&'static str>,
}

impl State {
    /// What tells it from another. The log is how it came about; everything that follows depends on the rest alone.
    fn told(&self) -> impl Hash + PartialEq {
        let open = self.control.proposals().open().flat_map(|open| open.approvals.iter());
        let approved: Vec<Name> = open.map(|(name, _)| name.clone()).collect();
        let flags = (self.made, self.ended, self.disabled, self.frozen, self.compromised, self.met);
        (*self.control.digest().as_bytes(), approved, self.time, flags, self.acts, self.wrong)
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

fn encoded(log: &Log, by: &str, operation: Operation, payload: &impl serde::Serialize) -> Vec<u8> {
    cbor::encode(&log.changed(by, operation, payload))
}

impl World {
    fn new(subject: Subject, need: u8) -> Self {
        let mut log = log(3);
        log.heartbeat().unwrap();
        let (schema, reason, number) = (Schema, why(), idem(1));
        let (requester, draft) = match subject {
            Subject::Value => ("terminal-1", log.draft("terminal-1", Operation::ValueUpdate, &load(100))),
            Subject::Activate => {
                let (key, version) = (name("value-1"), 1);
                let suspend =
                    SuspendKey { schema, idem: number, name: key.clone(), version, reason: reason.clone() };
                log.alone("officer-1", Operation::KeySuspend, &suspend).unwrap();
                let activate = ActivateKey { schema, idem: number, name: key, version, reason };
                ("officer-1", log.draft("officer-1", Operation::KeyActivate, &activate))
            }
            Subject::Lift => {
                let freeze = SetFreeze { schema, idem: number, scope: Scope::All, reason: reason.clone() };
                log.alone("officer-1", Operation::FreezeSet, &freeze).unwrap();
                let lift = LiftFreeze { schema, idem: number, scope: Scope::All, reason };
                ("officer-1", log.draft("officer-1", Operation::FreezeLift, &lift))
            }
        };
        let draft = keysvc_protocol::control::Draft { need: Some(Need::of(need)), ..draft };
        let proposal = log.control.draft(draft, log.now_ms).unwrap();
        let bytes = keysvc_protocol::control::bytes_of(&proposal).unwrap();
        let everyone = || OFFICERS.into_iter().chain(["terminal-1"]);
        let vote = |verdict| {
            everyone().map(|by| log.site.approval(log.site.person(by), bytes.as_bytes(), verdict)).collect()
        };
        let cancel = CancelProposal { schema: Schema, idem: idem(2), id: proposal.id, reason: why() };
        let cancel = |by: &str| {
            let person = log.site.person(by);
            let statement = log.site.statement(person, Operation::ProposalCancel, &cancel);
            let end = ProposalEnd::Cancelled { by: person.name.clone(), statement };
            let leaf = ProposalClosedLeaf { schema: Schema, proposal: proposal.id, end };
            (person.name.clone(), cbor::encode(&leaf))
        };
        let disable = |id: &str| {
            let by = if id == "officer-1" { "officer-2" } else { "officer-1" };
            let disable = DisablePrincipal { schema: Schema, idem: idem(3), id: name(id), reason: why() };
            encoded(&log, by, Operation::PrincipalDisable, &disable)
        };
        let scope = match subject {
            Subject::Value => Scope::Terminal { name: name("terminal-1") },
            Subject::Activate | Subject::Lift => Scope::Programme { name: name("coffee") },
        };
        let freeze = SetFreeze { schema: Schema, idem: idem(4), scope, reason: why() };
        let (idem, key) = (idem(5), name("value-1"));
        let compromise = CompromiseKey { schema: Schema, idem, name: key, version: 1, reason: why() };
        let mut times = vec![log.clone()];
        for passed_ms in [3 * DAY_MS, 1] {
            let mut later = times.last().unwrap().clone();
            later.pass(passed_ms);
            times.push(later);
        }
        assert_eq!(times.len(), TIMES);
        Self {
            subject,
            need,
            begin: log.control.clone(),
            id: proposal.id,
            made: cbor::encode(&ProposalMadeLeaf { schema: Schema, proposal: bytes.clone() }),
            approvals: vote(Verdict::Approve),
            rejections: vote(Verdict::Reject),
            cancels: vec![cancel(requester), cancel("officer-3")],
            disables: OFFICERS.map(disable).to_vec(),
            compromise: encoded(&log, "officer-2", Operation::KeyCompromise, &compromise),
            freeze: encoded(&log, "officer-2", Operation::FreezeSet, &freeze),
            bytes,
            times,
        }
    }

    /// Writes a leaf if the state takes it. Its index is its kind's, so that logs of one content are one.
    fn write(&self, state: &mut State, index: u64, kind: LeafKind, payload: Vec<u8>) -> bool {
        let at = At { index: 100 + index, time_ms: self.times[state.time].now_ms };
        let mut control = Control::clone(&state.control);
        if control.apply(at, kind, &payload).is_err() {
            if control != *state.control {
                state.wrong = Some("a leaf that was refused changed the state");
            }
            return false;
        }
        state.control = Arc::new(control);
        state.log.push(Written { at, kind, payload: Arc::new(payload) });
        true
    }

    fn vote(&self, state: &mut State, by: usize, verdict: Verdict) {
        let approval = match verdict {
            Verdict::Approve => self.approvals[by].clone(),
            Verdict::Reject => self.rejections[by].clone(),
        };
        let leaf = ProposalVotedLeaf { schema: Schema, proposal: self.id, verdict, approval };
        if self.write(state, 1 + by as u64, LeafKind::ProposalVoted, cbor::encode(&leaf)) {
            if state.ended || !state.made || by > 2 || state.disabled[by] {
                state.wrong = Some("a vote that nobody may cast was taken");
            }
            state.ended |= verdict == Verdict::Reject;
            state.met |= state.control.counted(&self.id).is_ok_and(|(_, met)| met);
        }
    }

    /// Executes what is met. The approval that completes it drives it too, in the same way; apart here, so that anything can
    /// come between.
    fn go_on(&self, state: &mut State) {
        let Ok((_, true)) = state.control.counted(&self.id) else { return };
        let evidence = state.control.open_proposal(&self.id).unwrap().evidence();
        self.act(state, evidence);
    }

    /// The ledger: freezes first, then the state.
    fn act(&self, state: &mut State, evidence: Evidence) {
        let (terminal, programme, store) = (name("terminal-1"), name("coffee"), name("acme"));
        let touched = Touched {
            terminal: Some(&terminal),
            programme: Some(&programme),
            store: Some(&store),
            ..Touched::default()
        };
        if self.subject == Subject::Value && state.control.freezes().stops(&touched).is_some() {
            return;
        }
        let people = evidence
            .approvals
            .iter()
            .filter_map(|one| (0..3).find(|by| self.approvals[*by] == *one && !state.disabled[*by]));
        let mut people: Vec<usize> = people.collect();
        people.sort_unstable();
        people.dedup();
        let whole = people.len() == evidence.approvals.len();
        let (kind, leaf): (LeafKind, ActByQuorumLeaf) = self.times[state.time].act_of(evidence);
        if !self.write(state, 10, kind, cbor::encode(&leaf)) {
            return;
        }
        let expired = state.time == TIMES - 1;
        let wrong = [
            (people.len() < usize::from(self.need.max(2)), "an act with too few distinct enabled people"),
            (!whole, "an act with an approval that does not count"),
            (state.acts > 0, "an act twice"),
            (state.ended || !state.made, "an act after the proposal's end"),
            (expired, "an act after the proposal's time"),
            (state.disabled.contains(&true), "an act under other officers than it was proposed under"),
            (state.frozen && self.subject == Subject::Value, "an act on what is frozen"),
            (state.compromised && self.subject == Subject::Activate, "an act on a key in another state"),
        ];
        state.wrong = state.wrong.or(wrong.into_iter().find_map(|(is, what)| is.then_some(what)));
        state.acts += 1;
    }

    fn restart(&self, state: &mut State) {
        let mut control = self.begin.clone();
        for leaf in &state.log {
            if control.apply(leaf.at, leaf.kind, &leaf.payload).is_err() {
                state.wrong = Some("a leaf of the log is refused by its replay");
            }
        }
        if control != *state.control {
            state.wrong = Some("a replay of the log makes another state");
        }
        state.control = Arc::new(control);
    }

    fn take(&self, state: &mut State, step: Step) {
        match step {
            Step::Ask if !state.made => {
                state.made = self.write(state, 0, LeafKind::ProposalMade, self.made.clone());
            }
            Step::Ask | Step::Upkeep => self.go_on(state),
            Step::Approve(by) => self.vote(state, by, Verdict::Approve),
            Step::Reject(by) => self.vote(state, by, Verdict::Reject),
            Step::Cancel(by) => {
                let payload = self.cancels[by].1.clone();
                state.ended |= self.write(state, 20, LeafKind::ProposalClosed, payload);
            }
            Step::Forge(by) => {
                let approvals = by.iter().map(|by| self.approvals[*by].clone()).collect::<Vec<_>>();
                let approvals = List::try_from(approvals).unwrap();
                self.act(state, Evidence { schema: Schema, proposal: self.bytes.clone(), approvals });
            }
            Step::ActAgain => {
                let acts = |leaf: &&Written| {
                    matches!(leaf.kind, LeafKind::ActByQuorum | LeafKind::SealedActByQuorum)
                };
                if let Some(act) = state.log.iter().find(acts).cloned()
                    && self.write(state, 11, act.kind, act.payload.to_vec())
                {
                    state.wrong = Some("an act twice");
                }
            }
            Step::Disable(by) => {
                let payload = self.disables[by].clone();
                if !state.disabled[by] {
                    state.disabled[by] = self.write(state, 30 + by as u64, LeafKind::SiteChanged, payload);
                }
            }
            Step::Freeze => {
                if !state.frozen {
                    state.frozen = self.write(state, 40, LeafKind::FreezeChanged, self.freeze.clone());
                }
            }
            Step::Compromise => {
                if !state.compromised {
                    let payload = self.compromise.clone();
                    state.compromised = self.write(state, 41, LeafKind::SiteChanged, payload);
                }
            }
            Step::Pass => state.time += 1,
            Step::Expire => {
                let end = ProposalEnd::Expired;
                let leaf = ProposalClosedLeaf { schema: Schema, proposal: self.id, end };
                let ended = self.write(state, 21, LeafKind::ProposalClosed, cbor::encode(&leaf));
                if ended && state.time < TIMES - 1 {
                    state.wrong = Some("a proposal expired before its time");
                }
                state.ended |= ended;
            }
            Step::Restart => self.restart(state),
        }
    }
}

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        assert_eq!(self.times[0].now_ms, BEGIN_MS);
        vec![State {
            control: Arc::new(self.begin.clone()),
            log: Vec::new(),
            time: 0,
            made: false,
            ended: false,
            disabled: [false; 3],
            frozen: false,
            compromised: false,
            met: false,
            acts: 0,
            wrong: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        actions.extend([Step::Ask, Step::Upkeep, Step::ActAgain, Step::Freeze, Step::Expire, Step::Restart]);
        if self.subject == Subject::Activate {
            actions.push(Step::Compromise);
        }
        // 3 is the terminal: machines never count.
        actions.extend((0..4).flat_map(|by| [Step::Approve(by), Step::Reject(by)]));
        actions.extend((0..2).map(Step::Cancel));
        actions.extend((0..3).map(Step::Disable));
        actions.extend(FORGED.map(Step::Forge));
        if state.time + 1 < TIMES {
            actions.push(Step::Pass);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut next = last.clone();
        self.take(&mut next, step);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing happens that may not", |_, state: &State| state.wrong.is_none()),
            Property::always("no act twice", |_, state: &State| state.acts <= 1),
            Property::always("what is executed is not open", |world: &Self, state: &State| {
                state.acts == 0 || state.control.proposals().get(&world.id).is_none()
            }),
            Property::always("what has ended is not open", |world: &Self, state: &State| {
                !state.ended || state.control.proposals().get(&world.id).is_none()
            }),
            Property::sometimes("the act happens", |_, state: &State| state.acts == 1),
            Property::sometimes("the act happens in the last moment", |_, state: &State| {
                state.acts == 1
                    && state.log.last().is_some_and(|leaf| leaf.at.time_ms == BEGIN_MS + 3 * DAY_MS)
            }),
            Property::sometimes("it is met and ends without an act", |_, state: &State| {
                state.ended && state.met && state.acts == 0
            }),
            Property::sometimes("it ends without an act", |_, state: &State| state.ended && state.acts == 0),
            Property::sometimes(
                "the act happens and what it touched is frozen afterwards",
                |_, state: &State| state.acts == 1 && state.frozen,
            ),
        ]
    }
}

#[test]
fn no_order_of_messages_makes_a_value_update_without_its_people() {
    assert!(explore("value by two", World::new(Subject::Value, 2)) > 100);
}

#[test]
fn no_order_of_messages_makes_a_value_update_that_three_must_agree_to_without_them() {
    assert!(explore("value by three", World::new(Subject::Value, 3)) > 100);
}

#[test]
fn no_order_of_messages_activates_a_key_without_its_people() {
    assert!(explore("activation by two", World::new(Subject::Activate, 2)) > 100);
}

#[test]
fn no_order_of_messages_lifts_a_freeze_without_its_people() {
    assert!(explore("lift by two", World::new(Subject::Lift, 2)) > 100);
}

#[test]
fn a_message_is_the_one_that_the_load_makes() {
    // What the freeze of the terminal stops is what the act touches.
    let UpdateValue { programme, .. } = load(100);
    assert_eq!(programme, name("coffee"));
}
