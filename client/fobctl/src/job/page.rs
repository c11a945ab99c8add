//! A job's audit record as a page, for whoever ordered the cards: what was made, by whom, when, and what went wrong.
//!
//! Made from a record that was verified; it judges nothing.

use super::{counts_in_words, view::balance_words};
use crate::shown::{plain, rows, utc, wrapped};
use keysvc_client::protocol::{
    job::{Closing, CountGiven, IncidentGiven, Job, JobRecord, Session, Suspension, Tally},
    name::Name,
};

/// Longest line of what people said, in characters.
const WIDTH: usize = 96;

/// The page, without a line feed at its end.
pub(crate) fn page(record: &JobRecord) -> String {
    let job = &record.job;
    let head = record.checkpoint.checkpoint().head;
    let mut parts = vec![
        format!("Audit record of job {}", job.name),
        rows(about(job)),
        section("Cards", &rows(cards(job, &record.tally))),
        section("Put together", &rows(prepared(job))),
        section("At the station", &rows(sessions(job))),
    ];
    let stops = job.suspensions.iter().map(stop);
    parts.extend(numbered("Stops", stops));
    parts.extend(numbered("Incidents", job.incidents.iter().map(incident)));
    parts.extend(numbered("Counts", job.counts.iter().map(count)));
    if let Some(closed) = &job.closed {
        parts.push(section("Ended", &rows(closing(closed, job.purged_ms))));
    }
    parts.push(section(
        "Proof",
        &rows([
            ("made", utc(record.made_ms)),
            ("signed by", "the service statement key of the founding".to_owned()),
            ("checkpoint", format!("{} leaves, root {}", head.size, head.root)),
        ]),
    ));
    parts.join("\n\n")
}

fn section(title: &str, text: &str) -> String {
    format!("{title}\n  {}", text.trim_end().replace('\n', "\n  "))
}

fn numbered(title: &str, items: impl Iterator<Item = String>) -> Option<String> {
    let items: Vec<_> = (1_u32..)
        .zip(items)
        .map(|(number, text)| {
            let lines = wrapped(&plain(&text), WIDTH).replace('\n', "\n    ");
            format!("{number:>2}. {lines}")
        })
        .collect();
    (!items.is_empty()).then(|| section(title, &items.join("\n")))
}

fn about(job: &Job) -> Vec<(&'static str, String)> {
    let head = &job.head;
    let which = if head.listed { "cards of a list" } else { "cards as encountered" };
    vec![
        ("order", head.order.as_str().to_owned()),
        ("customer", head.customer.as_str().to_owned()),
        ("card profile", format!("{} version {}, {which}", head.profile, head.profile_version)),
        ("lot", head.lot.as_str().to_owned()),
        ("station", head.station.to_string()),
        ("equipment", head.equipment.as_str().to_owned()),
        ("state", job.state.to_string()),
        ("to be purged by", utc(head.due_ms)),
    ]
}

fn cards(job: &Job, tally: &Tally) -> Vec<(&'static str, String)> {
    let head = &job.head;
    let mut lines = vec![
        ("ordered", head.ordered.to_string()),
        ("issued", head.issued.to_string()),
        ("carried over", head.carried_over.to_string()),
    ];
    if let Some(CountGiven { counts, balance, .. }) = job.counts.last() {
        lines.push(("counted", counts_in_words(counts)));
        lines.push(("balance", balance_words(balance)));
    } else {
        lines.push(("counted", "nobody counted".to_owned()));
    }
    let Tally { made, good, rejected, sample } = tally;
    lines.push(("on record", format!("{made} made: good {good}, rejected {rejected}, samples {sample}")));
    lines
}

fn prepared(job: &Job) -> Vec<(&'static str, String)> {
    let mut lines = vec![("made by", format!("{}, {}", job.created.by, utc(job.created.at_ms)))];
    match &job.sealed {
        Some(sealed) => lines.push(("sealed by", format!("{}, {}", sealed.by, utc(sealed.at_ms)))),
        None => lines.push(("sealed by", "nobody".to_owned())),
    }
    if job.head.listed {
        lines.push(("cards listed", job.items.to_string()));
        lines.extend(job.root.map(|root| ("manifest root", root.to_string())));
    }
    lines.push(("head digest", job.head.digest().to_string()));
    lines
}

fn sessions(job: &Job) -> Vec<(&'static str, String)> {
    if job.sessions.is_empty() {
        return vec![("session", "none".to_owned())];
    }
    let text = |session: &Session| {
        let (from, to) = (utc(session.opened_ms), utc(session.expires_ms));
        format!("{}, {from}, at most until {to}", names(session.operators.iter()))
    };
    job.sessions.iter().map(|session| ("session", text(session))).collect()
}

fn names<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    names.map(Name::as_str).collect::<Vec<_>>().join(" and ")
}

fn stop(stop: &Suspension) -> String {
    format!(
        "{}, by {}: {}. The cards were at: {}. Counted then: {}.",
        utc(stop.done.at_ms),
        stop.done.by,
        stop.said.cause.as_str(),
        stop.said.place.as_str(),
        counts_in_words(&stop.said.counts)
    )
}

fn incident(given: &IncidentGiven) -> String {
    let incident = &given.incident;
    let hand = match incident.in_hand {
        1 => "1 card in hand".to_owned(),
        several => format!("{several} cards in hand"),
    };
    format!(
        "{}, on {}: {}. {hand}, at: {}. Said by {} (operator) and {} (reviewer), {}.",
        utc(incident.time_ms),
        incident.equipment.as_str(),
        incident.cause.as_str(),
        incident.place.as_str(),
        given.operator,
        given.reviewer,
        utc(given.at_ms)
    )
}

fn count(given: &CountGiven) -> String {
    format!(
        "{}, by {} (operator) and {} (reviewer): {}; {}.",
        utc(given.at_ms),
        given.operator,
        given.reviewer,
        counts_in_words(&given.counts),
        balance_words(&given.balance)
    )
}

fn closing(closing: &Closing, purged_ms: Option<u64>) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(receipt) = &closing.receipt {
        let files = match receipt.files {
            1 => "1 file".to_owned(),
            several => format!("{several} files"),
        };
        let how = receipt.method.as_str();
        lines.push(("erased at the station", format!("{}, {files}, {how}", utc(receipt.erased_ms))));
    } else {
        lines.push(("withdrawn by", format!("{}, {}", closing.done.by, utc(closing.done.at_ms))));
    }
    if let Some(witness) = &closing.witness {
        lines.push(("witnessed by", format!("{witness}, {}", utc(closing.done.at_ms))));
    }
    let purged = purged_ms.map_or_else(|| "not yet".to_owned(), utc);
    lines.push(("purged by the service", purged));
    lines
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use keysvc_client::protocol::{
        bytes::Exchange,
        job::{Balance, Counts, Done, Incident, JobHead, JobState, PurgeReceipt, Suspended},
        list::List,
        schema::Schema,
    };

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn one<T: std::fmt::Debug, const MAX: usize>(item: T) -> List<T, MAX> {
        List::try_from(vec![item]).unwrap()
    }

    fn head() -> JobHead {
        JobHead {
            schema: Schema,
            order: "PO-4711".parse().unwrap(),
            customer: "acme".parse().unwrap(),
            profile: name("known"),
            profile_version: 1,
            lot: "L7".parse().unwrap(),
            station: name("station-1"),
            equipment: "encoder 2".parse().unwrap(),
            ordered: 9,
            issued: 12,
            carried_over: 0,
            listed: false,
            due_ms: 90_000_000,
        }
    }

    fn job() -> Job {
        let done = |by: &str| Done { by: name(by), at_ms: 1_000, leaf: 3 };
        let counts = Counts { good: 9, rejected: 2, sample: 1, returned: 0, handed_over: 0 };
        Job {
            schema: Schema,
            name: name("nfc-1"),
            head: head(),
            state: JobState::Purged,
            created: done("data-1"),
            items: 0,
            edge: List::default(),
            sessions: one(Session {
                exchange: Exchange::new([1; 16]),
                operators: List::try_from(vec![name("operator-1"), name("operator-2")]).unwrap(),
                opened_ms: 2_000,
                expires_ms: 7_202_000,
                leaf: 5,
            }),
            suspensions: one(Suspension {
                done: done("operator-2"),
                said: Suspended {
                    counts: Counts::default(),
                    place: "vault".parse().unwrap(),
                    cause: "lunch".parse().unwrap(),
                },
            }),
            counts: one(CountGiven {
                counts,
                operator: name("operator-1"),
                reviewer: name("reviewer-1"),
                balance: Balance::default(),
                at_ms: 3_000,
                leaf: 7,
            }),
            incidents: one(IncidentGiven {
                incident: Incident {
                    equipment: "encoder 2".parse().unwrap(),
                    time_ms: 2_500,
                    cause: "a card got stuck".parse().unwrap(),
                    place: "tray 2".parse().unwrap(),
                    in_hand: 1,
                },
                operator: name("operator-1"),
                reviewer: name("reviewer-1"),
                at_ms: 2_600,
                leaf: 6,
            }),
            used: List::default(),
            root: None,
            sealed: Some(done("data-2")),
            closed: Some(Closing {
                done: done("station-1"),
                receipt: Some(PurgeReceipt {
                    station: name("station-1"),
                    erased_ms: 4_000,
                    files: 2,
                    method: "overwritten and removed".parse().unwrap(),
                }),
                witness: Some(name("monitor-1")),
            }),
            purged_ms: Some(5_000),
        }
    }

    #[test]
    fn everything_a_customer_asks_for_stands_on_the_page() {
        let parts = [
            rows(about(&job())),
            rows(cards(&job(), &Tally { made: 12, good: 9, rejected: 2, sample: 1 })),
            rows(prepared(&job())),
            rows(sessions(&job())),
            stop(&job().suspensions[0]),
            incident(&job().incidents[0]),
            count(&job().counts[0]),
            rows(closing(job().closed.as_ref().unwrap(), job().purged_ms)),
        ];
        let text = parts.join("\n");
        for said in [
            "PO-4711",
            "acme",
            "known version 1, cards as encountered",
            "good 9, rejected 2, samples 1, returned 0, handed over 0",
            "balanced",
            "12 made: good 9, rejected 2, samples 1",
            "data-1, 1970-01-01T00:00:01.000Z",
            "data-2",
            "operator-1 and operator-2",
            "by operator-2: lunch. The cards were at: vault.",
            "a card got stuck. 1 card in hand, at: tray 2. Said by operator-1 (operator) and reviewer-1 (reviewer)",
            "2 files, overwritten and removed",
            "monitor-1",
            "1970-01-01T00:00:05.000Z",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
    }

    #[test]
    fn what_did_not_happen_has_no_section() {
        assert_eq!(numbered("Stops", std::iter::empty()), None);
        let incidents = numbered("Incidents", job().incidents.iter().map(incident)).unwrap();
        assert!(incidents.starts_with("Incidents\n   1. 1970-01-01T00:00:02.500Z"), "{incidents}");
    }
}
