//! What was compared and what differs: each difference by table and key, the first fifty in words.

use std::collections::BTreeMap;

/// Differences that are told in words; the rest are counted. A store of which fifty rows differ is restored, not mended
/// row by row: 50 of at most 0.5 KiB are 25 KiB.
pub const NAMED_MAX: usize = 50;

/// What is compared: the store's tables, and the files beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The database's pages and indices.
    Database,
    /// The leaves: index, time, kind, payload against its digest.
    Leaf,
    /// The stored nodes of the tree.
    Node,
    /// The purses.
    Purse,
    /// The idempotency keys that are not forgotten yet.
    Idem,
    /// The key records.
    KeyRecord,
    /// The intents without an outcome.
    Intent,
    /// The halt.
    Halt,
    /// The newest trust bundle.
    Bundle,
    /// The leaves from which the state of what takes people is made again.
    Control,
    /// The proposals.
    Proposal,
    /// The officers' votes.
    Vote,
    /// The cards that have keys under a master key.
    Issued,
    /// How many such cards there are.
    Impact,
    /// The personalization jobs.
    Job,
    /// The jobs whose data stations hold.
    JobStation,
    /// The items of jobs that are not purged.
    JobItem,
    /// The cards of the registry.
    Card,
    /// How many cards the registry has.
    CardCount,
    /// The first tags of the chains of purses and cards.
    First,
    /// The wrapped data keys.
    DataKey,
    /// The sealed key of the tags.
    TagsKey,
    /// The anchor file.
    Anchor,
    /// The trust file.
    Trust,
}

impl Part {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 24] = [
        Self::Database,
        Self::Leaf,
        Self::Node,
        Self::Purse,
        Self::Idem,
        Self::KeyRecord,
        Self::Intent,
        Self::Halt,
        Self::Bundle,
        Self::Control,
        Self::Proposal,
        Self::Vote,
        Self::Issued,
        Self::Impact,
        Self::Job,
        Self::JobStation,
        Self::JobItem,
        Self::Card,
        Self::CardCount,
        Self::First,
        Self::DataKey,
        Self::TagsKey,
        Self::Anchor,
        Self::Trust,
    ];

    /// The table's name in the store, or the file's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Leaf => "leaf",
            Self::Node => "node",
            Self::Purse => "purse",
            Self::Idem => "idem",
            Self::KeyRecord => "key_record",
            Self::Intent => "intent",
            Self::Halt => "halt",
            Self::Bundle => "bundle",
            Self::Control => "control",
            Self::Proposal => "proposal",
            Self::Vote => "vote",
            Self::Issued => "issued",
            Self::Impact => "impact",
            Self::Job => "job",
            Self::JobStation => "job_station",
            Self::JobItem => "job_item",
            Self::Card => "card",
            Self::CardCount => "card_count",
            Self::First => "first",
            Self::DataKey => "data_key",
            Self::TagsKey => "tags_key",
            Self::Anchor => "anchor",
            Self::Trust => "trust",
        }
    }

    /// What is compared there, for people.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Database => "pages and indices of the database",
            Self::Leaf => "leaves: index, time, kind, payload against its digest",
            Self::Node => "nodes of the tree, in the rows of the leaves",
            Self::Purse => "purses: sequence number, balance, link, leaf",
            Self::Idem => "requests that may still be repeated",
            Self::KeyRecord => "keys and their states",
            Self::Intent => "keys begun and not finished",
            Self::Halt => "the halt after a rollback",
            Self::Bundle => "the newest trust bundle",
            Self::Control => "the leaves that say who is enrolled and what is agreed",
            Self::Proposal => "proposals and where they stand",
            Self::Vote => "officers' votes",
            Self::Issued => "cards that have keys under a master key",
            Self::Impact => "how many cards those are",
            Self::Job => "jobs: state, sessions, counts, and their cards by number",
            Self::JobStation => "jobs whose data stations hold",
            Self::JobItem => "items of jobs that are not purged",
            Self::Card => "cards of the registry and their states",
            Self::CardCount => "how many cards the registry has",
            Self::First => "where the chains of purses and cards begin",
            Self::DataKey => "data keys that leaves are sealed under",
            Self::TagsKey => "the key that tags purses and requests",
            Self::Anchor => "the anchor file",
            Self::Trust => "the trust file",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub part: Part,
    /// Which row: a leaf's index, a tag, a name.
    pub key: String,
    /// What the log says.
    pub log: String,
    /// What the store, or the file, says.
    pub store: String,
}

/// How much was compared in one part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Rows compared.
    pub compared: u64,
    /// Differences.
    pub differ: u64,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Findings {
    counts: BTreeMap<Part, Count>,
    named: Vec<Difference>,
}

impl Findings {
    /// Counts rows that were compared.
    pub fn compared(&mut self, part: Part, rows: u64) {
        let count = self.counts.entry(part).or_default();
        count.compared = count.compared.saturating_add(rows);
    }

    /// Takes in a difference.
    pub fn differ(&mut self, part: Part, key: &str, log: &str, store: &str) {
        let count = self.counts.entry(part).or_default();
        count.differ = count.differ.saturating_add(1);
        if self.named.len() < NAMED_MAX {
            let [key, log, store] = [key, log, store].map(ToOwned::to_owned);
            self.named.push(Difference { part, key, log, store });
        }
    }

    /// Takes in what was found elsewhere.
    pub fn add(&mut self, other: Self) {
        for (part, count) in other.counts {
            let sum = self.counts.entry(part).or_default();
            sum.compared = sum.compared.saturating_add(count.compared);
            sum.differ = sum.differ.saturating_add(count.differ);
        }
        self.named.extend(other.named);
        self.named.truncate(NAMED_MAX);
    }

    /// Rows compared and differences of one part.
    #[must_use]
    pub fn count(&self, part: Part) -> Count {
        self.counts.get(&part).copied().unwrap_or_default()
    }

    /// The first differences, in the order in which they were found.
    #[must_use]
    pub fn named(&self) -> &[Difference] {
        &self.named
    }

    /// All differences.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().map(|count| count.differ).fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_differences_are_named_and_the_rest_counted() {
        let mut findings = Findings::default();
        findings.compared(Part::Purse, 60);
        for row in 0..60 {
            findings.differ(Part::Purse, &row.to_string(), "1", "2");
        }
        assert_eq!((findings.named().len(), findings.total()), (NAMED_MAX, 60));
        assert_eq!(findings.count(Part::Purse), Count { compared: 60, differ: 60 });
        assert_eq!(findings.count(Part::Halt), Count::default());
    }
}
