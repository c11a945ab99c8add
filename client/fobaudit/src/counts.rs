//! The figures of `fobaudit counts`: every job and every card as the log makes them, and what is unfinished at its end.
//!
//! Pure: it arranges what was verified. How it is shown is [`crate::report`]'s.

use crate::{
    checks::Jobs,
    verify::{JobsProved, Proved},
};
use keysvc_protocol::{
    card::CardState,
    freeze::Scope,
    job::{Balance, CountGiven, Job, JobState, Tally},
    name::Name,
};
use std::collections::BTreeMap;

/// A job's figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobLine<'a> {
    /// The job.
    pub(crate) job: &'a Job,
    /// What the log says of its cards.
    pub(crate) tally: Tally,
    /// Whether it should have been purged by the log's end.
    pub(crate) overdue: bool,
}

impl JobLine<'_> {
    /// The last count that was given.
    pub(crate) fn count(&self) -> Option<&CountGiven> {
        self.job.counts.last()
    }

    /// Whether nothing is missing and nothing left over, by the last count and what the log says now; nothing where nobody
    /// counted.
    pub(crate) fn balance(&self) -> Option<Balance> {
        self.count().map(|given| Balance::of(&self.job.head, &self.tally, &given.counts))
    }

    /// Whether it is worked on, and whether it balances is therefore still open.
    pub(crate) const fn is_worked_on(&self) -> bool {
        matches!(self.job.state, JobState::Open | JobState::Suspended | JobState::Counted)
    }

    /// What is unfinished about it, in words.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let Job { name, state, .. } = self.job;
        let mut said = Vec::new();
        if self.overdue {
            said.push(format!("job {name} is {state} and should be purged: it is past its time"));
        }
        if self.is_worked_on() {
            let pending = self.tally.pending();
            let balance = match self.balance() {
                None => "nobody counted yet".to_owned(),
                Some(balance) if balance.is_even() => "its last count balances".to_owned(),
                Some(balance) => format!("its last count does not balance, {}", misses(&balance)),
            };
            let cards = match pending {
                0 => String::new(),
                1 => "; 1 card is without result".to_owned(),
                more => format!("; {more} cards are without result"),
            };
            said.push(format!("job {name} is {state} and not closed: {balance}{cards}"));
        }
        if matches!(state, JobState::Closed) {
            said.push(format!("job {name} is closed and not purged yet"));
        }
        said
    }
}

/// By how much a count misses, in words.
pub(crate) fn misses(balance: &Balance) -> String {
    let Balance { total, good, rejected, sample, pending } = *balance;
    let parts = [("in all", total), ("good", good), ("rejected", rejected), ("samples", sample)];
    let parts = parts.into_iter().filter(|(_, by)| *by != 0);
    let mut parts: Vec<_> = parts.map(|(what, by)| format!("{by:+} {what}")).collect();
    if pending > 0 {
        parts.push(format!("{pending} without result"));
    }
    parts.join(", ")
}

/// Cards of one state in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CardLine {
    /// Where they are: a station, or the organisation that has them.
    pub(crate) location: Name,
    /// Their state, frozen ones as such.
    pub(crate) state: CardState,
    /// How many.
    pub(crate) cards: u64,
}

/// All figures.
#[derive(Debug)]
pub(crate) struct Counts<'a> {
    /// The jobs, in the order in which they were made.
    pub(crate) jobs: Vec<JobLine<'a>>,
    /// The cards, by where they are and in which state.
    pub(crate) cards: Vec<CardLine>,
    /// Time of the last leaf, milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: u64,
}

impl<'a> Counts<'a> {
    /// The figures of a verified log.
    pub(crate) fn of(proved: &'a Proved) -> Self {
        let JobsProved { jobs, .. } = &proved.jobs;
        let at_ms = proved.last_ms;
        let lines = jobs.registry().jobs();
        let mut lines: Vec<_> = lines
            .map(|(job, tally)| JobLine { job, tally: *tally, overdue: job.is_overdue(at_ms) })
            .collect();
        lines.sort_by_key(|line| line.job.created.leaf);
        Self { jobs: lines, cards: cards(proved, jobs), at_ms }
    }

    /// Cards by state, in the order in which cards go through them.
    pub(crate) fn by_state(&self) -> Vec<(CardState, u64)> {
        let sum = |state| {
            let cards = self.cards.iter().filter(|line| line.state == state);
            cards.fold(0_u64, |sum, line| sum.saturating_add(line.cards))
        };
        let sums = CardState::ALL.into_iter().map(|state| (state, sum(state)));
        sums.filter(|(_, cards)| *cards > 0).collect()
    }

    /// How many cards there are.
    pub(crate) fn total(&self) -> u64 {
        self.cards.iter().fold(0, |sum, line| sum.saturating_add(line.cards))
    }

    /// What is unfinished, in words.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        self.jobs.iter().flat_map(JobLine::unfinished).collect()
    }
}

/// Everybody once, in the order of the list.
pub(crate) fn once<'a>(names: impl Iterator<Item = &'a Name>) -> Vec<&'a Name> {
    let mut all: Vec<&Name> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

fn cards(proved: &Proved, jobs: &Jobs) -> Vec<CardLine> {
    let registry = jobs.registry();
    let mut sums: BTreeMap<(Name, &str), (CardState, u64)> = BTreeMap::new();
    let mut add = |location: Name, state: CardState, cards: u64| {
        let sum = sums.entry((location, state.name())).or_insert((state, 0));
        sum.1 = sum.1.saturating_add(cards);
    };
    let mut left = registry.by_place();
    // A freeze lies over a card's state, and is not kept with it.
    for (scope, _) in proved.controls.control.freezes().iter() {
        let Scope::Card { card, programme: None } = scope else { continue };
        let Some((location, state)) = registry.place_of(card) else { continue };
        if state.shown(true) != CardState::Frozen {
            continue;
        }
        let location = location.clone();
        if let Some(sum) = left.get_mut(&(location.clone(), state)) {
            *sum = sum.saturating_sub(1);
        }
        add(location, CardState::Frozen, 1);
    }
    for ((location, state), cards) in left {
        if cards > 0 {
            add(location, state, cards);
        }
    }
    let place = |state| CardState::ALL.iter().position(|known| *known == state);
    let lines = sums.into_iter().map(|((location, _), (state, cards))| CardLine { location, state, cards });
    let mut lines: Vec<_> = lines.collect();
    lines.sort_by(|a, b| (&a.location, place(a.state)).cmp(&(&b.location, place(b.state))));
    lines
}
