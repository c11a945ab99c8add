//! Questions made by chance out of few names, so that facts meet often enough to matter, and the same of them again and
//! again. The numbers come from a fixed start: a failure comes back on the next run.

use keysvc_policies::{ContextFacts, JobFacts, PrincipalFacts, Question, QuorumFacts, ResourceFacts};

const KINDS: &[&str] =
    &["station", "terminal", "officer", "operator", "office", "auditor", "platform", "nobody", ""];
/// People, machines and what is not said.
const NAMES: &[&str] = &["anna", "dora", "olga", "otto", "rita", "till-7", ""];
const ORGANISATIONS: &[&str] = &["acme", "globex", ""];
const DEPARTMENTS: &[&str] = &["finance", "sales", "security", ""];
const CAPABILITIES: &[&str] = &["data-operator", "station-operator", "reviewer", "monitor", "context"];
const THINGS: &[&str] = &["gift", "fob", "week-47"];
const AMOUNTS: &[u64] = &[0, 1, 250, 5_000, 99_999, 100_000, 100_001, u32::MAX as u64, i64::MAX as u64];
const COUNTS: &[u32] = &[0, 1, 2, 3, 4, u32::MAX];

/// Names that a question can borrow.
pub(crate) struct Lists {
    capabilities: Vec<Vec<String>>,
    names: Vec<Vec<String>>,
    departments: Vec<Vec<String>>,
}

impl Lists {
    pub(crate) fn new(chance: &mut Chance) -> Self {
        let lists = |chance: &mut Chance, from: &[&str]| {
            let some = |chance: &mut Chance| {
                (0..chance.below(4)).map(|_| chance.of(from).to_owned()).collect::<Vec<_>>()
            };
            (0..12).map(|_| some(chance)).collect()
        };
        Self {
            capabilities: lists(chance, CAPABILITIES),
            names: lists(chance, NAMES),
            departments: lists(chance, DEPARTMENTS),
        }
    }
}

/// Marsaglia's xorshift with 64 bits; nothing secret hangs on it.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn list<'a>(&mut self, all: &'a [Vec<String>]) -> &'a [String] {
        &all[self.below(all.len())]
    }

    fn flag(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// A question that fits `action`.
    pub(crate) fn question<'a>(&mut self, action: &'a str, lists: &'a Lists) -> Question<'a> {
        let principal = PrincipalFacts {
            id: self.of(NAMES),
            kind: self.of(KINDS),
            organisation: self.of(ORGANISATIONS),
            department: self.of(DEPARTMENTS),
            capabilities: self.list(&lists.capabilities),
        };
        let departments = self.list(&lists.departments);
        // Never fewer people than departments: such a quorum is refused before any policy is asked.
        let persons = u8::try_from(departments.len() + self.below(3)).unwrap();
        let quorum = if self.flag() { QuorumFacts { persons, departments } } else { QuorumFacts::NONE };
        let (resource, context) = (self.resource(action), self.context(action, lists));
        Question { principal, action, resource, context, quorum }
    }

    fn resource(&mut self, action: &str) -> ResourceFacts<'static> {
        let name = self.of(THINGS);
        match action {
            "card.derive" => ResourceFacts::Profile { name },
            "log.checkpoint" | "log.entries" | "log.proof" => ResourceFacts::Log,
            "value.update" => ResourceFacts::Programme {
                name,
                organisation: self.of(ORGANISATIONS),
                currency: self.of(&[978, 840, 0]),
            },
            "card.result" => self.job(name),
            _ if action.starts_with("job.") && action != "job.list" => self.job(name),
            _ => ResourceFacts::Service,
        }
    }

    fn job(&mut self, name: &'static str) -> ResourceFacts<'static> {
        ResourceFacts::Job { name, customer: self.of(ORGANISATIONS), profile: self.of(THINGS) }
    }

    fn context<'a>(&mut self, action: &str, lists: &'a Lists) -> ContextFacts<'a> {
        let officers = self.of(COUNTS);
        match action {
            "card.derive" => ContextFacts::CardDerive {
                cards: self.of(COUNTS),
                slots: self.of(COUNTS),
                generation: self.of(COUNTS),
                development: self.flag(),
            },
            "card.transition" => ContextFacts::CardTransition {
                to: self.of(&["active", "retired", "awaiting-destruction", "lost"]),
                cards: self.of(COUNTS),
            },
            "value.update" => ContextFacts::ValueUpdate {
                operation: self.of(&["load", "debit"]),
                amount: self.of(AMOUNTS),
                no_card_session: self.flag(),
                passive_tag: self.flag(),
                development: self.flag(),
            },
            "job.get" | "job.record" => ContextFacts::JobRead {
                created_by: self.of(NAMES),
                sealed_by: self.of(NAMES),
                operated_by: self.list(&lists.names),
            },
            "job.list" => ContextFacts::None,
            "card.result" => self.act(lists),
            _ if action.starts_with("job.") => self.act(lists),
            "principal.enrol" | "principal.rotate" | "principal.disable" | "principal.enable" => {
                ContextFacts::Principal {
                    subject_kind: self.of(KINDS),
                    subject_organisation: self.of(ORGANISATIONS),
                    own: self.flag(),
                    officers,
                }
            }
            "key.create" | "key.activate" | "key.suspend" | "key.retire" | "key.compromise"
            | "key.destroy" | "key.import" => {
                ContextFacts::Key { kind: self.of(&["card-master", "value-signing", "storage"]), officers }
            }
            "freeze.set" | "freeze.lift" => ContextFacts::Freeze {
                scope: self.of(&["card", "terminal", "programme", "all"]),
                organisation: self.of(ORGANISATIONS),
                officers,
            },
            "profile.put" => ContextFacts::Profile {
                family: self.of(&["desfire-ev3", "ntag-21x", "ultralight-c"]),
                stored_value: self.flag(),
                officers,
            },
            "quorum.set" | "clock.confirm" | "policy.propose" => ContextFacts::Site { officers },
            _ => ContextFacts::None,
        }
    }

    fn act<'a>(&mut self, lists: &'a Lists) -> ContextFacts<'a> {
        ContextFacts::Job(JobFacts {
            created_by: self.of(NAMES),
            sealed_by: self.of(NAMES),
            operated_by: self.list(&lists.names),
            reviewed_by: self.list(&lists.names),
            operators: self.list(&lists.names),
            reviewer: self.of(NAMES),
            witness: self.of(NAMES),
        })
    }
}
