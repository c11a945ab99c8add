//! What was verified, for people and as JSON. Pure: it makes text and decides nothing.

mod ceremony;
mod controls;
mod counts;
mod evidence;
mod governed;
mod value;
mod verify;

pub(crate) use ceremony::{ceremony_json, ceremony_text};
pub(crate) use controls::{controls_json, controls_text};
pub(crate) use counts::{Page, balanced, counts_json, counts_text};
pub(crate) use evidence::{evidence_json, evidence_text, unproved_json};
pub(crate) use value::{accepted_json, accepted_text, refused_json};
pub(crate) use verify::{json, text};

use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{Table, presets::NOTHING};
use std::fmt::Display;

/// Printed wherever a log was founded for development, or a key's value is known.
pub(crate) const TEST_NOTICE: &str = "TEST: founded for development or with known keys; not for real cards";

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const LOUD: Style = AnsiColor::Yellow.on_default().bold();

fn styled(style: Style, text: &dyn Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Rows of names and what they say, the names aligned.
fn rows(rows: Vec<(&str, String)>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    for (name, text) in rows {
        table.add_row([name.to_owned(), text]);
    }
    lines(&table)
}

/// A table's lines without the margins that the empty border leaves.
fn lines(table: &Table) -> String {
    let text = table.trim_fmt();
    let lines: Vec<_> = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    lines.join("\n")
}
