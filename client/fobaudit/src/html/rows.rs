//! The tiles and table rows of the page: figures written as people read them. The charts are beside it.

use crate::{
    calendar::{day_of, utc},
    chart::grouped,
    money::Money,
    tally::{ActsCounted, Moved, Tally},
    verify::Proved,
};
use keysvc_protocol::key::{KeyRecord, KeyState};

/// One figure at a glance.
pub(super) struct Tile {
    /// What it counts.
    pub(super) label: String,
    /// The figure.
    pub(super) value: String,
    /// What belongs to it.
    pub(super) note: String,
}

/// Value of one programme in one currency.
pub(super) struct ProgrammeRow {
    /// The programme.
    pub(super) programme: String,
    /// The currency.
    pub(super) currency: String,
    /// How often value was loaded.
    pub(super) loads: String,
    /// How much.
    pub(super) loaded: String,
    /// How often value was debited.
    pub(super) debits: String,
    /// How much.
    pub(super) debited: String,
}

/// Refusals of one kind.
pub(super) struct RefusalRow {
    /// The kind.
    pub(super) kind: String,
    /// How many.
    pub(super) count: String,
    /// What was asked for, with counts.
    pub(super) operations: String,
}

/// A key.
pub(super) struct KeyRow {
    /// Its name.
    pub(super) name: String,
    /// Its version.
    pub(super) version: u32,
    /// Its use.
    pub(super) kind: &'static str,
    /// Its state.
    pub(super) state: &'static str,
    /// When it was made.
    pub(super) made_on: String,
    /// The method of its check value.
    pub(super) method: &'static str,
    /// Its check value.
    pub(super) check: String,
    /// Whether its value is known.
    pub(super) test_key: bool,
}

/// A start.
pub(super) struct StartRow {
    /// Its leaf.
    pub(super) leaf: u64,
    /// When.
    pub(super) at: String,
    /// The program's version.
    pub(super) version: String,
    /// The program's digest.
    pub(super) program: String,
}

/// An older checkpoint.
pub(super) struct PreviousRow {
    /// Its file.
    pub(super) file: String,
    /// Its leaves.
    pub(super) size: String,
    /// Whether the log continues it.
    pub(super) continued: bool,
}

/// Leaves of one kind.
pub(super) struct KindRow {
    /// The kind.
    pub(super) kind: &'static str,
    /// How many.
    pub(super) found: String,
    /// Of them, with their content checked.
    pub(super) checked: String,
    /// Of them, without.
    pub(super) not_checked: String,
}

/// A count with its digits in groups.
pub(super) fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// An amount with its digits in groups and the currency's decimals, without the currency.
pub(super) fn amount(minor: u64, currency: u16) -> String {
    grouped(&Money { minor, currency }.amount())
}

/// The name of a currency.
pub(super) fn unit(currency: u16) -> String {
    Money { minor: 0, currency }.unit()
}

/// A count with what it counts, as one or as many.
fn of(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

pub(super) fn tiles(proved: &Proved, tally: &Tally) -> Vec<Tile> {
    let tile = |label: &str, value: String, note: String| Tile { label: label.to_owned(), value, note };
    let mut tiles = vec![tile(
        "Card keys derived",
        count(tally.card_keys),
        format!("in {}", of(tally.derivations, "request", "requests")),
    )];
    for (currency, moved) in tally.currencies() {
        let Moved { loads, loaded, debits, debited } = moved;
        let unit = unit(currency);
        let loads = format!("in {}", of(loads, "load", "loads"));
        let debits = format!("in {}", of(debits, "debit", "debits"));
        tiles.push(tile(&format!("Loaded, {unit}"), amount(loaded, currency), loads));
        tiles.push(tile(&format!("Debited, {unit}"), amount(debited, currency), debits));
    }
    let note = match tally.updates_withheld {
        0 => format!("{} followed", of(u64::try_from(proved.purses).unwrap_or(u64::MAX), "purse", "purses")),
        withheld => format!("{} withheld, in no sum", count(withheld)),
    };
    tiles.push(tile("Value updates", count(tally.updates), note));
    let kinds = of(u64::try_from(tally.refused.len()).unwrap_or(u64::MAX), "kind", "kinds");
    let note = match tally.counted.enrolled.saturating_add(tally.counted.strangers) {
        0 if tally.refused.is_empty() => "none".to_owned(),
        0 => format!("of {kinds}"),
        counted => format!("of them {} counted only", count(counted)),
    };
    tiles.push(tile("Refusals", count(tally.refusals()), note));
    let ActsCounted { by_quorum, frozen, lifted, stopped } = tally.acts;
    let note = match lifted {
        0 => "each with its approvals in the log".to_owned(),
        lifted => format!("of them {} lifted", of(lifted, "freeze", "freezes")),
    };
    tiles.push(tile("Acts by several people", count(by_quorum), note));
    let note = match stopped {
        0 => "set by one alone".to_owned(),
        stopped => {
            format!("and {} disabled or stopped", of(stopped, "principal or key", "principals or keys"))
        }
    };
    tiles.push(tile("Freezes", count(frozen), note));
    let note = format!("checkpoint over {}", count(proved.checkpoint.size));
    tiles.push(tile("Leaves", count(proved.leaves), note));
    let continued = proved.previous.iter().filter(|(.., continued)| *continued).count();
    let note = match proved.previous.len() {
        0 => "none was given".to_owned(),
        given => format!("{continued} of {given} continued"),
    };
    tiles.push(tile("Older checkpoints", proved.previous.len().to_string(), note));
    tiles
}

pub(super) fn programmes(tally: &Tally) -> Vec<ProgrammeRow> {
    let rows = tally.moved.iter().map(|((programme, currency), moved)| ProgrammeRow {
        programme: programme.to_string(),
        currency: unit(*currency),
        loads: count(moved.loads),
        loaded: amount(moved.loaded, *currency),
        debits: count(moved.debits),
        debited: amount(moved.debited, *currency),
    });
    rows.collect()
}

/// The kinds with most refusals first, then those that were counted without a kind.
pub(super) fn refusals(tally: &Tally) -> Vec<RefusalRow> {
    let mut kinds: Vec<_> = tally.refused.iter().collect();
    kinds.sort_by_key(|(_, refused)| std::cmp::Reverse(refused.count));
    let kinds = kinds.into_iter().map(|(kind, refused)| {
        let operations = refused.operations.iter().map(|(operation, times)| format!("{operation} {times}"));
        RefusalRow {
            kind: (*kind).to_owned(),
            count: count(refused.count),
            operations: operations.collect::<Vec<_>>().join(", "),
        }
    });
    let counted = [
        ("counted only, callers enrolled", tally.counted.enrolled),
        ("counted only, callers not enrolled", tally.counted.strangers),
    ];
    let counted = counted.into_iter().filter(|(_, number)| *number > 0).map(|(kind, number)| RefusalRow {
        kind: kind.to_owned(),
        count: count(number),
        operations: String::new(),
    });
    kinds.chain(counted).collect()
}

const fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::PreActivation => "not yet active",
        KeyState::Active => "active",
        KeyState::Suspended => "suspended",
        KeyState::Deactivated => "deactivated",
        KeyState::Compromised => "compromised",
        KeyState::Destroyed => "destroyed",
    }
}

pub(super) fn keys(proved: &Proved, tally: &Tally) -> Vec<KeyRow> {
    // As it stands at the end; the record has the state at its making.
    let standing = |key: &KeyRecord| {
        let standing = proved.controls.control.keys().get(&key.name, key.version);
        standing.map_or(key.state, |standing| standing.state)
    };
    let rows = tally.keys.iter().map(|key| KeyRow {
        name: key.name.to_string(),
        version: key.version,
        kind: key.kind.name(),
        state: state(standing(key)),
        made_on: day_of(key.made_at_ms).map_or_else(|| utc(key.made_at_ms), |day| day.to_string()),
        method: key.check.method(),
        check: key.check.to_string(),
        test_key: key.test_key,
    });
    rows.collect()
}

pub(super) fn starts(tally: &Tally) -> Vec<StartRow> {
    let rows = tally.starts.iter().map(|start| StartRow {
        leaf: start.leaf,
        at: utc(start.at_ms),
        version: start.version.clone(),
        program: start.program.clone(),
    });
    rows.collect()
}

pub(super) fn previous(proved: &Proved) -> Vec<PreviousRow> {
    let rows = proved.previous.iter().map(|(file, size, continued)| PreviousRow {
        file: file.clone(),
        size: count(*size),
        continued: *continued,
    });
    rows.collect()
}

pub(super) fn kinds(proved: &Proved) -> Vec<KindRow> {
    let found = proved.kinds.iter().filter(|(_, of_kind)| of_kind.leaves > 0);
    let rows = found.map(|(kind, of_kind)| KindRow {
        kind,
        found: count(of_kind.leaves),
        checked: count(of_kind.checked),
        not_checked: count(of_kind.not_checked),
    });
    rows.collect()
}

/// What was not checked and what is unfinished. None of it makes a log wrong.
pub(super) fn notes(proved: &Proved) -> Vec<String> {
    let mut notes = Vec::new();
    for (kind, of_kind) in proved.kinds.iter().filter(|(_, of_kind)| of_kind.not_checked > 0) {
        let leaves = of(of_kind.not_checked, "leaf", "leaves");
        notes.push(format!("The content of {leaves} of kind “{kind}” is withheld or not proved. It is in no sum and no chart."));
    }
    if proved.unlinked > 0 {
        let steps = of(proved.unlinked, "step", "steps");
        notes.push(format!(
            "{steps} between updates of a purse could not be followed, where updates are withheld."
        ));
    }
    if let Some(note) = proved.controls.not_followed() {
        notes.push(format!("{note}."));
    }
    notes.extend(proved.jobs.not_followed().into_iter().map(|note| format!("{note}.")));
    for (leaf, key) in &proved.open_intents {
        notes.push(format!("Leaf {leaf} means to make the key {key}, and no outcome follows."));
    }
    notes
}
