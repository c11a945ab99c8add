//! Random sequences of leaves, good and forged, against what people would say of them.

use crate::{
    asks::{disable, freeze, lift, log, retire, suspend},
    people::{HOUR_MS, Log, load, need},
};
use keysvc_protocol::{
    bytes::{Digest, ProposalId},
    freeze::Scope,
    list::List,
    proposal::{Evidence, ProposalEnd},
    quorum::{Need, Verdict},
    request::Operation,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

const EVERYONE: [&str; 8] =
    ["officer-1", "officer-2", "officer-3", "officer-4", "officer-5", "terminal-1", "office-1", "platform-1"];

#[derive(Debug, Clone)]
enum Step {
    Propose {
        what: u8,
        three: bool,
    },
    Vote {
        by: usize,
        of: usize,
        reject: bool,
    },
    /// The act with the approvals that were recorded.
    Act {
        of: usize,
    },
    /// The act with approvals by these people; the second says whether over another proposal's bytes.
    Forge {
        of: usize,
        by: Vec<(usize, bool)>,
    },
    Again,
    Cancel {
        by: usize,
        of: usize,
    },
    Expire {
        of: usize,
    },
    Disable {
        officer: usize,
    },
    Freeze,
    Suspend,
    Pass {
        hours: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let of = 0_usize..4;
    prop_oneof![
        4 => (0_u8..3, any::<bool>()).prop_map(|(what, three)| Step::Propose { what, three }),
        10 => (0_usize..8, of.clone(), proptest::bool::weighted(0.05))
            .prop_map(|(by, of, reject)| Step::Vote { by, of, reject }),
        6 => of.clone().prop_map(|of| Step::Act { of }),
        4 => (of.clone(), proptest::collection::vec((0_usize..8, proptest::bool::weighted(0.1)), 0..5))
            .prop_map(|(of, by)| Step::Forge { of, by }),
        2 => Just(Step::Again),
        1 => (0_usize..8, of.clone()).prop_map(|(by, of)| Step::Cancel { by, of }),
        1 => of.prop_map(|of| Step::Expire { of }),
        1 => (2_usize..5).prop_map(|officer| Step::Disable { officer }),
        1 => Just(Step::Freeze),
        1 => Just(Step::Suspend),
        1 => (1_u64..30).prop_map(|hours| Step::Pass { hours }),
    ]
}

/// What people would say of a proposal.
struct Known {
    id: ProposalId,
    persons: usize,
    roster: Digest,
    expires_ms: u64,
    ended: bool,
}

#[derive(Default)]
struct World {
    known: Vec<Known>,
    disabled: BTreeSet<usize>,
    acts: usize,
}

impl World {
    fn of(&self, of: usize) -> Option<usize> {
        (!self.known.is_empty()).then(|| of % self.known.len())
    }

    fn propose(&mut self, log: &mut Log, what: u8, three: bool) {
        let draft = match what {
            0 => log.draft("officer-1", Operation::KeyRetire, &retire("value-1", 1)),
            1 => log.draft("officer-2", Operation::FreezeLift, &lift(Scope::All)),
            _ => log.draft("terminal-1", Operation::ValueUpdate, &load(100)),
        };
        let persons: u8 = if three { 3 } else { 2 };
        let draft = keysvc_protocol::control::Draft { need: Some(Need { ..need(persons) }), ..draft };
        let Ok(proposal) = log.control.draft(draft, log.now_ms) else { return };
        if let Ok(id) = log.put_proposal(&proposal) {
            let persons = usize::from(persons);
            let (roster, expires_ms) = (proposal.roster, proposal.expires_ms);
            self.known.push(Known { id, persons, roster, expires_ms, ended: false });
        }
    }

    /// An act that went through must be one that people would let go through.
    fn acted(&mut self, log: &Log, of: usize, people: &BTreeSet<usize>) {
        let known = &mut self.known[of];
        assert!(!known.ended, "an act after its proposal's end");
        assert!(people.iter().all(|one| *one < 5 && !self.disabled.contains(one)), "{people:?}");
        assert!(people.len() >= known.persons.max(2), "{people:?}");
        assert_eq!(known.roster, log.control.roster().digest());
        assert!(log.now_ms <= known.expires_ms);
        known.ended = true;
        self.acts += 1;
    }

    fn act(&mut self, log: &mut Log, of: usize) {
        let Ok(open) = log.control.open_proposal(&self.known[of].id) else {
            assert!(self.known[of].ended, "a proposal is gone without an end");
            return;
        };
        let of_name = |name: &str| EVERYONE.iter().position(|one| *one == name).unwrap();
        let people = open.approvals.iter().map(|(name, _)| of_name(name.as_str())).collect();
        let id = self.known[of].id;
        if log.act(&id).is_ok() {
            self.acted(log, of, &people);
        }
    }

    fn forge(&mut self, log: &mut Log, of: usize, by: &[(usize, bool)]) {
        let id = self.known[of].id;
        let Ok(open) = log.control.open_proposal(&id) else { return };
        let bytes = open.bytes.clone();
        let approval = |(one, other): &(usize, bool)| {
            let over = if *other { b"other bytes" } else { bytes.as_bytes() };
            log.site.approval(log.site.person(EVERYONE[*one]), over, Verdict::Approve)
        };
        let approvals = List::try_from(by.iter().map(approval).collect::<Vec<_>>()).unwrap();
        let evidence = Evidence { proposal: bytes, approvals, ..open.evidence() };
        let (kind, leaf) = log.act_of(evidence);
        if log.put(kind, &leaf).is_ok() {
            assert!(by.iter().all(|(_, other)| !other));
            let people: BTreeSet<_> = by.iter().map(|(one, _)| *one).collect();
            assert_eq!(people.len(), by.len(), "somebody counted twice");
            self.acted(log, of, &people);
        }
    }

    fn take(&mut self, log: &mut Log, step: &Step) {
        match step {
            Step::Propose { what, three } => self.propose(log, *what, *three),
            Step::Vote { by, of, reject } => {
                let Some(of) = self.of(*of) else { return };
                let verdict = if *reject { Verdict::Reject } else { Verdict::Approve };
                let id = self.known[of].id;
                if log.vote(EVERYONE[*by], &id, verdict).is_ok() {
                    assert!(*by < 5 && !self.disabled.contains(by) && !self.known[of].ended);
                    self.known[of].ended |= *reject;
                }
            }
            Step::Act { of } => {
                let Some(of) = self.of(*of) else { return };
                self.act(log, of);
            }
            Step::Forge { of, by } => {
                let Some(of) = self.of(*of) else { return };
                self.forge(log, of, by);
            }
            Step::Again => {
                let acts = log.leaves.iter().filter(|leaf| {
                    matches!(
                        leaf.kind,
                        keysvc_protocol::leaf::LeafKind::ActByQuorum
                            | keysvc_protocol::leaf::LeafKind::SealedActByQuorum
                    )
                });
                for act in acts.cloned().collect::<Vec<_>>() {
                    assert!(log.put_bytes(act.kind, act.payload).is_err(), "an act twice");
                }
            }
            Step::Cancel { by, of } => {
                let Some(of) = self.of(*of) else { return };
                let id = self.known[of].id;
                self.known[of].ended |= log.cancel(EVERYONE[*by], &id).is_ok();
            }
            Step::Expire { of } => {
                let Some(of) = self.of(*of) else { return };
                let id = self.known[of].id;
                let ended = log.end(&id, ProposalEnd::Expired).is_ok();
                assert!(!ended || log.now_ms > self.known[of].expires_ms);
                self.known[of].ended |= ended;
            }
            Step::Disable { officer } => {
                let id = EVERYONE[*officer];
                if log.alone("officer-1", Operation::PrincipalDisable, &disable(id)).is_ok() {
                    self.disabled.insert(*officer);
                }
            }
            Step::Freeze => drop(log.alone("officer-1", Operation::FreezeSet, &freeze(Scope::All)).unwrap()),
            Step::Suspend => {
                let _ = log.alone("officer-1", Operation::KeySuspend, &suspend("value-1", 1));
            }
            Step::Pass { hours } => log.pass(hours * HOUR_MS),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    // The kit compares the state before and after each leaf that is refused.
    #[test]
    fn no_act_with_too_few_people_none_twice_none_after_an_end_and_a_refusal_changes_nothing(
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let mut log = log();
        let mut world = World::default();
        world.take(&mut log, &Step::Freeze);
        world.propose(&mut log, 1, false);
        world.propose(&mut log, 2, true);
        for step in &steps {
            world.take(&mut log, step);
        }
        prop_assert_eq!(log.replayed(), log.control);
    }
}

#[test]
fn such_a_sequence_can_end_in_acts() {
    let mut log = log();
    let mut world = World::default();
    for step in [
        Step::Freeze,
        Step::Propose { what: 1, three: true },
        Step::Vote { by: 0, of: 0, reject: false },
        Step::Vote { by: 1, of: 0, reject: false },
        Step::Act { of: 0 },
        Step::Vote { by: 2, of: 0, reject: false },
        Step::Act { of: 0 },
        Step::Propose { what: 2, three: false },
        Step::Forge { of: 1, by: vec![(0, false), (5, false)] },
        Step::Forge { of: 1, by: vec![(0, false), (3, true)] },
        Step::Forge { of: 1, by: vec![(0, false), (3, false)] },
        Step::Again,
    ] {
        world.take(&mut log, &step);
    }
    assert_eq!((world.acts, world.known.len()), (2, 2));
}
