//! The page's section on jobs and cards: a row for each job, a row for each place and state of cards, and what is
//! unfinished.

use super::rows::{Tile, count};
use crate::{
    calendar::utc,
    counts::{CardLine, Counts, JobLine, once},
    report::balanced,
};
use keysvc_protocol::{job::JobState, name::Name};

/// Most jobs that have a row, the newest: five pages of A4.
const ROWS_MAX: usize = 200;

/// A job.
pub(super) struct JobRow {
    /// Its name.
    pub(super) name: String,
    /// Order and customer.
    pub(super) order: String,
    /// Its state.
    pub(super) state: String,
    /// Blank cards issued.
    pub(super) issued: String,
    /// Cards carried over.
    pub(super) carried_over: String,
    /// Cards whose keys were released.
    pub(super) made: String,
    /// Good ones.
    pub(super) good: String,
    /// Rejects.
    pub(super) rejected: String,
    /// Samples.
    pub(super) samples: String,
    /// Whether it balances.
    pub(super) balanced: String,
    /// Operators, reviewers and the witness.
    pub(super) people: String,
    /// When it was purged.
    pub(super) purged: String,
}

/// Cards in one place and state.
pub(super) struct CardRow {
    /// The place.
    pub(super) location: String,
    /// The state.
    pub(super) state: String,
    /// How many.
    pub(super) cards: String,
}

/// The section.
pub(super) struct Section {
    /// The newest jobs, oldest first.
    pub(super) rows: Vec<JobRow>,
    /// How many older ones there are.
    pub(super) more: usize,
    /// Cards by place and state.
    pub(super) cards: Vec<CardRow>,
    /// What is unfinished, in words.
    pub(super) unfinished: Vec<String>,
}

impl Section {
    /// The section of these figures.
    pub(super) fn of(counts: &Counts<'_>) -> Self {
        let more = counts.jobs.len().saturating_sub(ROWS_MAX);
        let cards = counts.cards.iter().map(|CardLine { location, state, cards }| CardRow {
            location: location.to_string(),
            state: state.to_string(),
            cards: count(*cards),
        });
        Self {
            rows: counts.jobs.iter().skip(more).map(row).collect(),
            more,
            cards: cards.collect(),
            unfinished: counts.unfinished(),
        }
    }
}

/// Jobs and cards at a glance; nothing where there are none.
pub(super) fn tiles(counts: &Counts<'_>) -> Vec<Tile> {
    if counts.jobs.is_empty() {
        return Vec::new();
    }
    let number = |items: usize| count(u64::try_from(items).unwrap_or(u64::MAX));
    let purged = counts.jobs.iter().filter(|line| line.job.state == JobState::Purged).count();
    let states = counts.by_state().into_iter().map(|(state, cards)| format!("{} {state}", count(cards)));
    let jobs = Tile {
        label: "Jobs".to_owned(),
        value: number(counts.jobs.len()),
        note: format!("of them {} purged", number(purged)),
    };
    let cards = Tile {
        label: "Cards".to_owned(),
        value: count(counts.total()),
        note: states.collect::<Vec<_>>().join(", "),
    };
    vec![jobs, cards]
}

fn row(line: &JobLine<'_>) -> JobRow {
    let job = line.job;
    JobRow {
        name: job.name.to_string(),
        order: format!("{} of {}", job.head.order, job.head.customer),
        state: job.state.to_string(),
        issued: count(job.head.issued.into()),
        carried_over: count(job.head.carried_over.into()),
        made: count(line.tally.made.into()),
        good: count(line.tally.good.into()),
        rejected: count(line.tally.rejected.into()),
        samples: count(line.tally.sample.into()),
        balanced: balanced(line),
        people: people(line),
        purged: job.purged_ms.map(utc).unwrap_or_default(),
    }
}

fn people(line: &JobLine<'_>) -> String {
    let job = line.job;
    let counted = job.counts.iter().map(|given| &given.reviewer);
    let reviewers = counted.chain(job.incidents.iter().map(|given| &given.reviewer));
    let witness = job.closed.iter().filter_map(|closing| closing.witness.as_ref());
    let parts = [
        ("operated", once(job.sessions.iter().flat_map(|session| session.operators.iter()))),
        ("reviewed", once(reviewers)),
        ("witnessed", once(witness)),
    ];
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty()).map(|(what, names)| {
        format!("{what}: {}", names.into_iter().map(Name::as_str).collect::<Vec<_>>().join(", "))
    });
    parts.collect::<Vec<_>>().join("; ")
}
