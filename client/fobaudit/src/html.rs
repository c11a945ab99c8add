//! The page of `fobaudit report`: one static file, without scripts and without anything from elsewhere.
//!
//! Every value is escaped by the template; only the charts, which escape their own texts, go in as they are. The same
//! input gives the same bytes but for the line that says when the page was made.

mod figures;
mod jobs;
mod rows;

use crate::{
    calendar::utc,
    counts::Counts,
    fault::Fault,
    report::TEST_NOTICE,
    tally::Tally,
    verify::{Proved, Verification},
};
use askama::Template;
use figures::{Figure, Table};
use jiff::Timestamp;
use rows::{KeyRow, KindRow, PreviousRow, ProgrammeRow, RefusalRow, StartRow, Tile};
use std::io;

/// Digits of the genesis digest that stand together, as people compare them.
const GROUP: usize = 8;

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    domain: String,
    genesis: Vec<String>,
    test_notice: Option<&'static str>,
    findings: Vec<String>,
    findings_total: u64,
    findings_more: u64,
    body: Option<Body>,
    version: &'static str,
    made_at: String,
}

/// What is shown once leaf 0 is proved.
struct Body {
    origin: String,
    officers: usize,
    period: Option<(String, String)>,
    checkpoint_size: String,
    root: String,
    tiles: Vec<Tile>,
    /// Whether nothing happened that a chart shows.
    quiet: bool,
    figures: Vec<Figure>,
    undated: u64,
    jobs: jobs::Section,
    programmes: Vec<ProgrammeRow>,
    refusals: Vec<RefusalRow>,
    /// Whether some refusals have no leaf of their own.
    aggregated: bool,
    keys: Vec<KeyRow>,
    keys_more: u64,
    starts: Vec<StartRow>,
    starts_more: u64,
    previous: Vec<PreviousRow>,
    kinds: Vec<KindRow>,
    notes: Vec<String>,
    tables: Vec<Table>,
}

/// The page of a verification and of what was counted in the same log.
///
/// # Errors
/// [`Fault`] when it cannot be made.
pub(crate) fn page(verification: &Verification, tally: &Tally, made_at: Timestamp) -> Result<String, Fault> {
    let findings = &verification.findings;
    let kept = u64::try_from(findings.kept().len()).unwrap_or(u64::MAX);
    let body = match &verification.proved {
        Some(proved) => Some(body(proved, tally)?),
        None => None,
    };
    let test = verification.proved.as_ref().is_some_and(|proved| is_test(proved, tally));
    let page = Page {
        domain: verification.trust.domain.to_string(),
        genesis: groups(&verification.trust.genesis.to_string()),
        test_notice: test.then_some(TEST_NOTICE),
        findings: findings.kept().iter().map(ToString::to_string).collect(),
        findings_total: findings.total(),
        findings_more: findings.total().saturating_sub(kept),
        body,
        version: env!("CARGO_PKG_VERSION"),
        made_at: made_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    };
    page.render().map_err(|error| Fault::Output(io::Error::other(error.to_string())))
}

fn is_test(proved: &Proved, tally: &Tally) -> bool {
    proved.development || !proved.test_keys.is_empty() || tally.keys.iter().any(|key| key.test_key)
}

fn groups(digits: &str) -> Vec<String> {
    let digits: Vec<char> = digits.chars().collect();
    digits.chunks(GROUP).map(|group| group.iter().collect()).collect()
}

fn body(proved: &Proved, tally: &Tally) -> Result<Body, Fault> {
    let drawn = figures::draw(tally)?;
    let counts = Counts::of(proved);
    let mut tiles = jobs::tiles(&counts);
    tiles.extend(rows::tiles(proved, tally));
    let shown = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Ok(Body {
        origin: proved.origin.clone(),
        officers: proved.officers,
        period: tally.period_ms.map(|(first, last)| (utc(first), utc(last))),
        checkpoint_size: rows::count(proved.checkpoint.size),
        root: proved.checkpoint.root.to_string(),
        tiles,
        quiet: tally.card_keys == 0 && tally.moved.is_empty() && tally.refusals() == 0,
        figures: drawn.figures,
        undated: tally.undated,
        jobs: jobs::Section::of(&counts),
        programmes: rows::programmes(tally),
        refusals: rows::refusals(tally),
        aggregated: tally.counted.enrolled > 0 || tally.counted.strangers > 0,
        keys: rows::keys(proved, tally),
        keys_more: tally.keys_total.saturating_sub(shown(tally.keys.len())),
        starts: rows::starts(tally),
        starts_more: tally.starts_total.saturating_sub(shown(tally.starts.len())),
        previous: rows::previous(proved),
        kinds: rows::kinds(proved),
        notes: rows::notes(proved),
        tables: drawn.tables,
    })
}

#[cfg(test)]
mod tests;
