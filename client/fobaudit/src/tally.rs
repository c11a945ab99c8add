//! What a report counts: keys, starts, card keys, value and refusals, in all and day by day.
//!
//! A visitor beside the checks: it takes each leaf at its word, judges nothing and adds no finding. Whether the word
//! holds is the verification's to say.

use crate::{
    calendar::day_of,
    checks,
    finding::Findings,
    walk::{Leaf, Visitor},
};
use jiff::civil::Date;
use keysvc_protocol::{
    key::KeyRecord,
    leaf::{
        CardKeysDerivedLeaf, FoundingLeaf, KeyOutcomeLeaf, LeafEntry, LeafKind, RefusalsCountedLeaf,
        RefusedLeaf, StartLeaf, ValueUpdatedLeaf,
    },
    name::Name,
    refusal::Refusal,
    request::ValueOperation,
    value::ValueUpdate,
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, VecDeque};

/// Most starts that are kept, the newest: two pages of A4.
pub(crate) const STARTS_MAX: usize = 60;
/// Most keys that are kept: 12 storage keys a year for 20 years, and as many others.
pub(crate) const KEYS_MAX: usize = 480;

/// Value moved: how often and how much, in minor units. Sums stop at the largest number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Loads.
    pub(crate) loads: u64,
    /// What they loaded.
    pub(crate) loaded: u64,
    /// Debits.
    pub(crate) debits: u64,
    /// What they debited.
    pub(crate) debited: u64,
}

impl Moved {
    fn count(&mut self, operation: ValueOperation, amount: u64) {
        let (times, sum) = match operation {
            ValueOperation::Load => (&mut self.loads, &mut self.loaded),
            ValueOperation::Debit => (&mut self.debits, &mut self.debited),
        };
        *times = times.saturating_add(1);
        *sum = sum.saturating_add(amount);
    }

    /// Both together.
    pub(crate) fn add(&mut self, other: Self) {
        self.loads = self.loads.saturating_add(other.loads);
        self.loaded = self.loaded.saturating_add(other.loaded);
        self.debits = self.debits.saturating_add(other.debits);
        self.debited = self.debited.saturating_add(other.debited);
    }
}

/// What happened on one day.
#[derive(Debug, Clone, Default)]
pub(crate) struct DayTally {
    /// Card keys derived.
    pub(crate) card_keys: u64,
    /// Refusals, counted ones too.
    pub(crate) refusals: u64,
    /// Value moved, by currency.
    pub(crate) moved: BTreeMap<u16, Moved>,
}

/// A start of the service.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// Its leaf.
    pub(crate) leaf: u64,
    /// When, milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: u64,
    /// The program's version, as it says.
    pub(crate) version: String,
    /// SHA-256 of the program, hexadecimal.
    pub(crate) program: String,
}

/// Refusals of one kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refused {
    /// How many.
    pub(crate) count: u64,
    /// Of them, by what was asked for.
    pub(crate) operations: BTreeMap<&'static str, u64>,
}

/// Refusals that have no leaf of their own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    /// Of callers that are enrolled.
    pub(crate) enrolled: u64,
    /// Of callers that are not.
    pub(crate) strangers: u64,
}

/// Acts about people, as counts: whose leaf is withheld is counted by the leaf's kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ActsCounted {
    /// Acts that took people.
    pub(crate) by_quorum: u64,
    /// Freezes set, by one caller alone.
    pub(crate) frozen: u64,
    /// Freezes lifted, by people.
    pub(crate) lifted: u64,
    /// Principals disabled and keys stopped, by one officer alone.
    pub(crate) stopped: u64,
}

impl ActsCounted {
    fn count(&mut self, leaf: &Leaf<'_>) {
        let add = |counter: &mut u64| *counter = counter.saturating_add(1);
        match (leaf.entry.kind, leaf.act.map(|act| act.kind)) {
            (LeafKind::ActByQuorum | LeafKind::SealedActByQuorum, inner) => {
                add(&mut self.by_quorum);
                if inner == Some(LeafKind::FreezeChanged) {
                    add(&mut self.lifted);
                }
            }
            (LeafKind::FreezeChanged, _) => add(&mut self.frozen),
            (LeafKind::SiteChanged, _) => add(&mut self.stopped),
            _ => {}
        }
    }
}

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Leaves seen.
    pub(crate) leaves: u64,
    /// Time of the first and of the last leaf, milliseconds since 1970-01-01 UTC.
    pub(crate) period_ms: Option<(u64, u64)>,
    /// Leaves whose time is past the calendar's end: in the sums, in no chart.
    pub(crate) undated: u64,
    /// Days on which something happened, first and last leaf's among them.
    pub(crate) days: BTreeMap<Date, DayTally>,
    /// Requests that derived card keys.
    pub(crate) derivations: u64,
    /// Card keys derived.
    pub(crate) card_keys: u64,
    /// Value updates, withheld ones too.
    pub(crate) updates: u64,
    /// Of them, those whose payload is withheld or not proved: in no sum.
    pub(crate) updates_withheld: u64,
    /// Value moved, by programme and currency.
    pub(crate) moved: BTreeMap<(Name, u16), Moved>,
    /// Refusals with a leaf each, by kind.
    pub(crate) refused: BTreeMap<&'static str, Refused>,
    /// Refusals without.
    pub(crate) counted: Counted,
    /// Acts that took people, and what one caller stopped.
    pub(crate) acts: ActsCounted,
    /// Keys, in the order in which they were made, at most [`KEYS_MAX`].
    pub(crate) keys: Vec<KeyRecord>,
    /// How many keys there are.
    pub(crate) keys_total: u64,
    /// The newest starts, at most [`STARTS_MAX`].
    pub(crate) starts: VecDeque<Start>,
    /// How many starts there are.
    pub(crate) starts_total: u64,
}

impl Tally {
    /// Refusals in all.
    pub(crate) fn refusals(&self) -> u64 {
        let kinds = self.refused.values().fold(0_u64, |sum, refused| sum.saturating_add(refused.count));
        kinds.saturating_add(self.counted.enrolled).saturating_add(self.counted.strangers)
    }

    /// The currencies in which value moved, with their sums.
    pub(crate) fn currencies(&self) -> BTreeMap<u16, Moved> {
        let mut sums: BTreeMap<u16, Moved> = BTreeMap::new();
        for ((_, currency), moved) in &self.moved {
            sums.entry(*currency).or_default().add(*moved);
        }
        sums
    }

    fn take(&mut self, entry: &LeafEntry, kind: LeafKind, payload: &[u8]) {
        let day = day_of(entry.time_ms);
        match kind {
            LeafKind::Founding => {
                if let Some(FoundingLeaf { keys, .. }) = read(payload) {
                    keys.into_vec().into_iter().for_each(|key| self.keep_key(key));
                }
            }
            LeafKind::KeyOutcome => {
                if let Some(KeyOutcomeLeaf { key, .. }) = read(payload) {
                    self.keep_key(key);
                }
            }
            LeafKind::Start => self.start(entry, payload),
            LeafKind::CardKeysDerived => self.derived(day, payload),
            LeafKind::ValueUpdated => self.updated(day, payload),
            LeafKind::Refused => self.refused(day, payload),
            LeafKind::RefusalsCounted => self.refusals_counted(day, payload),
            _ => {}
        }
    }

    fn on(&mut self, day: Option<Date>, count: impl FnOnce(&mut DayTally)) {
        if let Some(day) = day {
            count(self.days.entry(day).or_default());
        }
    }

    fn keep_key(&mut self, key: KeyRecord) {
        self.keys_total = self.keys_total.saturating_add(1);
        if self.keys.len() < KEYS_MAX {
            self.keys.push(key);
        }
    }

    fn start(&mut self, entry: &LeafEntry, payload: &[u8]) {
        let Some(StartLeaf { program, version, .. }) = read(payload) else { return };
        self.starts_total = self.starts_total.saturating_add(1);
        if self.starts.len() == STARTS_MAX {
            self.starts.pop_front();
        }
        let program = program.to_string();
        self.starts.push_back(Start { leaf: entry.index, at_ms: entry.time_ms, version, program });
    }

    fn derived(&mut self, day: Option<Date>, payload: &[u8]) {
        let Some(CardKeysDerivedLeaf { count, .. }) = read(payload) else { return };
        let count = u64::from(count);
        self.derivations = self.derivations.saturating_add(1);
        self.card_keys = self.card_keys.saturating_add(count);
        self.on(day, |day| day.card_keys = day.card_keys.saturating_add(count));
    }

    fn updated(&mut self, day: Option<Date>, payload: &[u8]) {
        let Some(leaf) = read::<ValueUpdatedLeaf>(payload) else { return };
        let Ok(update) = ValueUpdate::from_payload(leaf.update.as_bytes()) else { return };
        let ValueUpdate { programme, operation, amount, currency, .. } = update;
        self.moved.entry((programme, currency)).or_default().count(operation, amount);
        self.on(day, |day| day.moved.entry(currency).or_default().count(operation, amount));
    }

    fn refused(&mut self, day: Option<Date>, payload: &[u8]) {
        let Some(leaf) = read::<RefusedLeaf>(payload) else { return };
        let kind = self.refused.entry(kind_of(&leaf.refusal)).or_default();
        kind.count = kind.count.saturating_add(1);
        let operation = kind.operations.entry(leaf.operation.name()).or_default();
        *operation = operation.saturating_add(1);
        self.on(day, |day| day.refusals = day.refusals.saturating_add(1));
    }

    fn refusals_counted(&mut self, day: Option<Date>, payload: &[u8]) {
        let Some(RefusalsCountedLeaf { count, principal, .. }) = read(payload) else { return };
        let Counted { enrolled, strangers } = &mut self.counted;
        let sum = if principal.is_some() { enrolled } else { strangers };
        *sum = sum.saturating_add(count);
        self.on(day, |day| day.refusals = day.refusals.saturating_add(count));
    }
}

impl Visitor for Tally {
    fn visit(&mut self, leaf: &Leaf<'_>, _: &mut Findings) {
        let entry = leaf.entry;
        self.leaves = self.leaves.saturating_add(1);
        let first = self.period_ms.map_or(entry.time_ms, |(first, _)| first);
        self.period_ms = Some((first, entry.time_ms));
        match day_of(entry.time_ms) {
            Some(day) => {
                self.days.entry(day).or_default();
            }
            None => self.undated = self.undated.saturating_add(1),
        }
        let (kind, payload) = leaf.done();
        if kind == LeafKind::ValueUpdated {
            self.updates = self.updates.saturating_add(1);
            self.updates_withheld = self.updates_withheld.saturating_add(u64::from(payload.is_none()));
        }
        self.acts.count(leaf);
        if let Some(payload) = payload {
            self.take(entry, kind, payload);
        }
    }
}

/// What does not decode is a finding of the checks, and nothing to count here.
fn read<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Option<T> {
    checks::decode(payload).ok()
}

/// The kind of a refusal in words, without what would have been enough.
const fn kind_of(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unauthenticated => "caller not enrolled",
        Refusal::Forbidden => "not allowed by policy",
        Refusal::NotFound { .. } => "no such thing",
        Refusal::Invalid { .. } => "request not valid",
        Refusal::ProfileForbids { .. } => "forbidden by profile",
        Refusal::IdemConflict => "idempotency key used twice",
        Refusal::ExchangeUnknown => "exchange not open",
        Refusal::CounterConflict { .. } => "other sequence number",
        Refusal::BalanceMismatch { .. } => "other balance",
        Refusal::LimitExceeded { .. } => "past a limit",
        Refusal::HistoryRolledBack => "history rolled back",
        Refusal::Busy => "busy",
        Refusal::TokenUnavailable => "token not available",
        Refusal::StoreUnavailable => "store not available",
        Refusal::Internal => "internal fault",
        Refusal::StateConflict { .. } => "in another state",
        Refusal::ApprovalInvalid { .. } => "approval does not count",
        Refusal::Expired => "proposal expired",
        Refusal::SamePerson => "same person twice",
        Refusal::Frozen { .. } => "frozen",
        Refusal::ApprovalRequired { .. } => "takes people first",
        Refusal::ResultPending => "results to give first",
        Refusal::PurgePending => "job before not purged",
    }
}
