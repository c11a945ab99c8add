//! A job as its reader may see it: aligned for people, and as JSON. What comes next is told with it.

use crate::{
    moment,
    shown::{rows, utc, whole_digest},
};
use keysvc_client::protocol::{
    job::{Balance, Done, JobHead, JobState},
    reply::{JobNumbers, JobView},
    schema::Schema,
};
use serde::Serialize;

/// A job, for people and as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct ShownJob {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    order: String,
    profile: String,
    profile_version: u32,
    pub(crate) station: String,
    equipment: String,
    listed: bool,
    due: String,
    pub(crate) overdue: bool,
    /// Cards in hand, without a result.
    pending: u32,
    operators: Vec<String>,
    session_expires: Option<String>,
    numbers: Option<ShownNumbers>,
    #[serde(skip)]
    due_ms: u64,
    #[serde(skip)]
    expires_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ShownNumbers {
    customer: String,
    lot: String,
    ordered: u32,
    issued: u32,
    carried_over: u32,
    items: u32,
    head: String,
    root: String,
    made: u32,
    good: u32,
    rejected: u32,
    sample: u32,
    created_by: String,
    created: String,
    sealed_by: Option<String>,
    sealed: Option<String>,
    sessions: u32,
    suspensions: u32,
    incidents: u32,
    counts: u32,
    /// By how much the last count missed; all zero where it balanced.
    missed: Option<ShownBalance>,
}

#[derive(Debug, Serialize)]
struct ShownBalance {
    total: i64,
    good: i64,
    rejected: i64,
    sample: i64,
    pending: u32,
}

impl ShownJob {
    /// What a reply shows.
    pub(crate) fn of(view: &JobView) -> Self {
        Self {
            name: view.name.to_string(),
            state: view.state.name(),
            order: view.order.as_str().to_owned(),
            profile: view.profile.to_string(),
            profile_version: view.profile_version,
            station: view.station.to_string(),
            equipment: view.equipment.as_str().to_owned(),
            listed: view.listed,
            due: utc(view.due_ms),
            overdue: view.overdue,
            pending: view.pending,
            operators: view.operators.iter().map(ToString::to_string).collect(),
            session_expires: view.session_expires_ms.map(utc),
            numbers: view.numbers.as_ref().map(ShownNumbers::of),
            due_ms: view.due_ms,
            expires_ms: view.session_expires_ms,
        }
    }

    /// Rows for people.
    pub(crate) fn text(&self) -> String {
        let which = if self.listed { "cards of a list" } else { "cards as encountered" };
        let late = if self.overdue { "OVERDUE: " } else { "" };
        let mut lines = vec![
            ("job", self.name.clone()),
            ("state", self.state.to_owned()),
            ("order", self.order.clone()),
            ("profile", format!("{} version {}, {which}", self.profile, self.profile_version)),
            ("station", format!("{}, {}", self.station, self.equipment)),
            ("to be purged", format!("{late}{}", moment::planned(self.due_ms))),
            ("in hand", cards_without_result(self.pending)),
        ];
        if let Some(expires_ms) = self.expires_ms {
            lines.push(("operators", self.operators.join(", ")));
            lines.push(("session ends", moment::planned(expires_ms)));
        }
        if let Some(numbers) = &self.numbers {
            lines.extend(numbers.lines(self.listed));
        }
        rows(lines)
    }
}

fn cards_without_result(pending: u32) -> String {
    match pending {
        0 => "no card without a result".to_owned(),
        1 => "1 card without a result".to_owned(),
        several => format!("{several} cards without a result"),
    }
}

impl ShownNumbers {
    fn of(numbers: &JobNumbers) -> Self {
        let by = |done: &Done| done.by.to_string();
        Self {
            customer: numbers.customer.as_str().to_owned(),
            lot: numbers.lot.as_str().to_owned(),
            ordered: numbers.ordered,
            issued: numbers.issued,
            carried_over: numbers.carried_over,
            items: numbers.items,
            head: numbers.head.to_string(),
            root: numbers.root.to_string(),
            made: numbers.tally.made,
            good: numbers.tally.good,
            rejected: numbers.tally.rejected,
            sample: numbers.tally.sample,
            created_by: by(&numbers.created),
            created: utc(numbers.created.at_ms),
            sealed_by: numbers.sealed.as_ref().map(by),
            sealed: numbers.sealed.as_ref().map(|done| utc(done.at_ms)),
            sessions: numbers.sessions,
            suspensions: numbers.suspensions,
            incidents: numbers.incidents,
            counts: numbers.counts,
            missed: numbers.balance.as_ref().map(|balance| ShownBalance {
                total: balance.total,
                good: balance.good,
                rejected: balance.rejected,
                sample: balance.sample,
                pending: balance.pending,
            }),
        }
    }

    fn lines(&self, listed: bool) -> Vec<(&'static str, String)> {
        let Self { ordered, issued, carried_over, made, good, rejected, sample, .. } = self;
        let mut lines = vec![
            ("customer", self.customer.clone()),
            ("lot", self.lot.clone()),
            ("cards", format!("{ordered} ordered, {issued} issued, {carried_over} carried over")),
            ("on record", format!("{made} made: good {good}, rejected {rejected}, samples {sample}")),
            ("made by", format!("{}, {}", self.created_by, self.created)),
        ];
        if let (Some(by), Some(at)) = (&self.sealed_by, &self.sealed) {
            lines.push(("sealed by", format!("{by}, {at}")));
        }
        let Self { sessions, suspensions, incidents, counts, .. } = self;
        lines.push((
            "so far",
            format!("sessions {sessions}, stops {suspensions}, incidents {incidents}, counts {counts}"),
        ));
        if let Some(missed) = &self.missed {
            lines.push(("last count", missed.words()));
        }
        lines.extend(digest_lines("head", &self.head));
        // Where no cards are listed the root is every job's.
        if listed {
            lines.push(("listed", self.items.to_string()));
            lines.extend(digest_lines("root", &self.root));
        }
        lines
    }
}

impl ShownBalance {
    fn words(&self) -> String {
        balance_words(&Balance {
            total: self.total,
            good: self.good,
            rejected: self.rejected,
            sample: self.sample,
            pending: self.pending,
        })
    }
}

/// By how much a count missed, in words: counted less what it should be.
pub(crate) fn balance_words(balance: &Balance) -> String {
    if balance.is_even() {
        return "balanced".to_owned();
    }
    let Balance { total, good, rejected, sample, pending } = balance;
    let parts = [("all together", total), ("good", good), ("rejected", rejected), ("samples", sample)];
    let parts = parts.into_iter().filter(|(_, by)| **by != 0).map(|(what, by)| format!("{what} {by:+}"));
    let pending = (*pending > 0).then(|| cards_without_result(*pending));
    let parts: Vec<_> = parts.chain(pending).collect();
    format!("does not balance: {}", parts.join(", "))
}

/// A digest as two people compare it: two rows of eight groups.
pub(crate) fn digest_lines(name: &'static str, digest: &str) -> Vec<(&'static str, String)> {
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    names.zip(whole_digest(&digest)).collect()
}

/// The head that a job's reader sees the parts of; nothing for who may not see its numbers.
pub(crate) fn head_of(view: &JobView) -> Option<JobHead> {
    let numbers = view.numbers.as_ref()?;
    Some(JobHead {
        schema: Schema,
        order: view.order.clone(),
        customer: numbers.customer.clone(),
        profile: view.profile.clone(),
        profile_version: view.profile_version,
        lot: numbers.lot.clone(),
        station: view.station.clone(),
        equipment: view.equipment.clone(),
        ordered: numbers.ordered,
        issued: numbers.issued,
        carried_over: numbers.carried_over,
        listed: view.listed,
        due_ms: view.due_ms,
    })
}

/// What comes next for a job, as a command.
pub(crate) fn next(name: &str, state: JobState) -> String {
    let two = "--operator CONTEXT --operator CONTEXT";
    match state {
        JobState::Draft => format!("another data operator seals it: `fobctl job seal {name}`"),
        JobState::Sealed => format!("at its station two operators open it: `fobctl job open {name} {two}`"),
        JobState::Open => format!(
            "`fobctl job run {name} --writer PROGRAM` makes cards; when they are made, count them: `fobctl job count \
             {name}`"
        ),
        JobState::Suspended => format!("two operators let it go on: `fobctl job resume {name} {two}`"),
        JobState::Counted => {
            format!("erase it at the station, with a witness: `fobctl job close {name} --witness CONTEXT`")
        }
        JobState::Closed => "the service erases its data by itself, in a moment".to_owned(),
        JobState::Purged => format!("its audit record: `fobctl job record {name}`"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use keysvc_client::protocol::{bytes::Digest, job::Tally, list::List};

    pub(crate) fn view() -> JobView {
        let mut view = JobView {
            name: "nfc-1".parse().unwrap(),
            state: JobState::Open,
            order: "PO-4711".parse().unwrap(),
            profile: "known".parse().unwrap(),
            profile_version: 1,
            station: "station-1".parse().unwrap(),
            equipment: "encoder 2".parse().unwrap(),
            listed: false,
            due_ms: 1_795_000_000_000,
            pending: 2,
            overdue: true,
            operators: List::try_from(vec!["operator-1".parse().unwrap(), "operator-2".parse().unwrap()])
                .unwrap(),
            session_expires_ms: Some(1_795_000_000_000),
            numbers: Some(JobNumbers {
                customer: "acme".parse().unwrap(),
                lot: "L7".parse().unwrap(),
                ordered: 1000,
                issued: 1010,
                carried_over: 0,
                items: 0,
                head: Digest::new([0; 32]),
                root: Digest::new([1; 32]),
                tally: Tally { made: 12, good: 9, rejected: 1, sample: 0 },
                created: Done { by: "data-1".parse().unwrap(), at_ms: 0, leaf: 3 },
                sessions: 1,
                suspensions: 0,
                incidents: 1,
                counts: 1,
                balance: Some(Balance { total: -1, good: -1, ..Balance::default() }),
                sealed: None,
            }),
        };
        if let (Some(head), Some(numbers)) = (head_of(&view), view.numbers.as_mut()) {
            numbers.head = head.digest();
        }
        view
    }

    #[test]
    fn a_reader_with_the_numbers_sees_them_and_by_how_much_a_count_missed() {
        let text = ShownJob::of(&JobView { listed: true, ..view() }).text();
        for line in [
            "OVERDUE: ",
            "2 cards without a result",
            "operator-1, operator-2",
            "1000 ordered, 1010 issued, 0 carried over",
            "12 made: good 9, rejected 1, samples 0",
            "does not balance: all together -1, good -1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.contains(&whole_digest(&Digest::new([1; 32])).join(" ")[..39]), "{text}");
    }

    #[test]
    fn without_the_numbers_no_line_tells_how_many_cards_there_are() {
        let text = ShownJob::of(&JobView { numbers: None, ..view() }).text();
        for word in ["1000", "1010", "12 made", "on record", "head", "root", "listed"] {
            assert!(!text.contains(word), "{word}\n{text}");
        }
    }

    #[test]
    fn the_head_that_is_shown_has_the_digest_that_a_seal_states() {
        let view = view();
        assert_eq!(head_of(&view).unwrap().digest(), view.numbers.as_ref().unwrap().head);
        assert_eq!(head_of(&JobView { numbers: None, ..view }), None);
    }

    #[test]
    fn every_state_has_its_next_step() {
        for state in JobState::ALL {
            assert!(next("nfc-1", state).len() > 20, "{state}");
        }
    }

    #[test]
    fn an_even_balance_is_said_in_one_word() {
        assert_eq!(balance_words(&Balance::default()), "balanced");
        let pending = Balance { pending: 1, ..Balance::default() };
        assert_eq!(balance_words(&pending), "does not balance: 1 card without a result");
    }
}
