//! `fobctl station derive`: derives card keys, shows their check values and, where asked, writes the keys to a file
//! for the personaliser.
//!
//! A key is never printed: it goes to a new file of the owner's alone or is wiped.

mod key_file;

use crate::{
    fault::Fault,
    file::{self, Readers},
    output::{LOUD, Output, Report, tell},
    progress,
    shown::table,
};
use key_file::KeyRows;
use keysvc_client::{
    ClientConfig, Station,
    protocol::{card::CardUid, name::Name},
};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
};

/// Cards in one request: as many as it may have. In 8 slots their keys fill 440 KiB of a reply's 1 MiB.
const CARDS_PER_REQUEST: usize = keysvc_client::protocol::request::CARDS_MAX;
/// Most cards of one run: 100,000 cards of 8 slots are 80 MB of keys in memory and in the file.
const CARDS_MAX: usize = 100_000;
/// Longest file of cards, in bytes: 20 digits, a line feed and some comment for each.
const CARDS_FILE_LEN_MAX: usize = 4 * 1024 * 1024;

/// `fobctl station derive`.
#[derive(Debug, clap::Args)]
pub(crate) struct DeriveArgs {
    /// The card profile.
    #[arg(long, value_name = "NAME")]
    profile: Name,
    /// The profile's version.
    #[arg(long, value_name = "N")]
    version: u32,
    /// A slot of the profile. Repeatable.
    #[arg(long, value_name = "N", required = true)]
    slot: Vec<u8>,
    #[command(flatten)]
    cards: CardsArgs,
    /// Write the card keys in clear to this new file (mode 0600): uid,slot,key-version,key,check.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The cards.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct CardsArgs {
    /// A card's UID, hexadecimal. Repeatable.
    #[arg(long, value_name = "UID")]
    card: Vec<CardUid>,
    /// A file with a UID a line; what follows a # is left out.
    #[arg(long, value_name = "FILE")]
    cards_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct DeriveReport {
    station: String,
    profile: String,
    profile_version: u32,
    keys: Vec<DerivedView>,
    file: Option<String>,
}

#[derive(Serialize)]
struct DerivedView {
    card: String,
    slot: u8,
    key_version: u32,
    check: String,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &DeriveArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let slots = ascending(&args.slot)?;
    let cards = args.cards.read()?;
    args.out.as_deref().map_or(Ok(()), file::refuse_existing)?;
    let fault = |error| Fault::client("derive card keys", error);
    let station =
        Station::connect(config).await.map_err(|error| Fault::client("connect as a station", error))?;
    station.open().await.map_err(|error| Fault::client("open an exchange", error))?;
    let progress = progress::bar(cards.len(), CARDS_PER_REQUEST, "cards");
    let mut keys = Vec::with_capacity(cards.len().saturating_mul(slots.len()));
    let mut rows = args.out.as_ref().map(|_| KeyRows::for_keys(keys.capacity()));
    for some in cards.chunks(CARDS_PER_REQUEST) {
        for key in station.derive(&args.profile, args.version, &slots, some).await.map_err(fault)? {
            if let Some(rows) = &mut rows {
                rows.push(&key);
            }
            keys.push(DerivedView {
                card: key.card.to_string(),
                slot: key.slot,
                key_version: key.key_version,
                check: key.check.to_string(),
            });
        }
        progress.inc(u64::try_from(some.len()).unwrap_or_default());
    }
    drop(progress);
    if let (Some(path), Some(rows)) = (&args.out, rows) {
        file::write(path, rows.expose(), Readers::Owner)?;
        warn(path);
    }
    output.print(&DeriveReport {
        station: station.name().to_string(),
        profile: args.profile.to_string(),
        profile_version: args.version,
        keys,
        file: args.out.as_ref().map(|path| path.display().to_string()),
    })
}

fn warn(path: &Path) {
    tell(&format_args!(
        "{LOUD}warning: {} holds card keys in clear; the personaliser removes it once the cards are written{LOUD:#}",
        path.display()
    ));
}

/// The slots as a request wants them.
fn ascending(slots: &[u8]) -> Result<Vec<u8>, Fault> {
    let ascending: BTreeSet<u8> = slots.iter().copied().collect();
    if ascending.len() == slots.len() {
        Ok(ascending.into_iter().collect())
    } else {
        Err(Fault::usage("a slot is given twice", "give each --slot once"))
    }
}

impl CardsArgs {
    /// The cards in the order given, each once.
    fn read(&self) -> Result<Vec<CardUid>, Fault> {
        let cards = match &self.cards_file {
            Some(path) => parse_cards(&file::read(path, CARDS_FILE_LEN_MAX)?, path)?,
            None => self.card.clone(),
        };
        if cards.is_empty() || cards.len() > CARDS_MAX {
            let what = format!("{} cards where 1 to {CARDS_MAX} are possible", cards.len());
            return Err(Fault::usage(what, "name the cards, or derive them in more runs"));
        }
        let mut seen = BTreeSet::new();
        match cards.iter().find(|card| !seen.insert(**card)) {
            Some(twice) => Err(Fault::usage(format!("card {twice} is given twice"), "give each card once")),
            None => Ok(cards),
        }
    }
}

fn parse_cards(bytes: &[u8], path: &Path) -> Result<Vec<CardUid>, Fault> {
    let wrong =
        |what: String| Fault::usage(format!("{}: {what}", path.display()), "correct the file of cards");
    let text = str::from_utf8(bytes).map_err(|_| wrong("it is not text".into()))?;
    let lines = (1_u32..).zip(text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()));
    lines
        .filter(|(_, uid)| !uid.is_empty())
        .map(|(number, uid)| uid.parse().map_err(|error| wrong(format!("line {number}: {error}"))))
        .collect()
}

impl Report for DeriveReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-station-derive/1"
    }

    fn text(&self) -> String {
        let rows = self.keys.iter().map(|key| {
            [key.card.clone(), key.slot.to_string(), key.key_version.to_string(), key.check.clone()]
        });
        table(["card", "slot", "key version", "check"], &["slot", "key version"], rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};

    fn what<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
        match result {
            Err(Fault::Usage { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn slots_are_put_in_order_and_none_is_taken_twice() {
        assert_eq!(ascending(&[3, 0, 1]).unwrap(), [0, 1, 3]);
        assert_eq!(what(ascending(&[1, 1])), "a slot is given twice");
    }

    #[test]
    fn a_file_of_cards_may_have_comments_and_empty_lines() {
        let cards = parse_cards(b"# lot 7\n04782e21801d80\n\n 04782E21801D81 # a reject\r\n", Path::new("f"))
            .unwrap();
        let text: Vec<_> = cards.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["04782e21801d80", "04782e21801d81"]);
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number() {
        let wrong = what(parse_cards(b"04782e21801d80\n0478\n", Path::new("f")));
        assert_eq!(wrong, "f: line 2: a card identifier has 4, 7 or 10 bytes, not 2");
    }

    #[test]
    fn no_card_and_one_card_twice_are_refused() {
        let card: CardUid = "04782e21801d80".parse().unwrap();
        let args = |card| CardsArgs { card, cards_file: None };
        assert!(what(args(vec![]).read()).starts_with("0 cards"));
        assert_eq!(what(args(vec![card, card]).read()), "card 04782e21801d80 is given twice");
        assert_eq!(args(vec![card]).read().unwrap(), [card]);
    }

    #[test]
    fn the_report_has_check_values_and_no_keys() {
        let report = DeriveReport {
            station: "station-1".into(),
            profile: "fob".into(),
            profile_version: 1,
            keys: vec![DerivedView {
                card: "04782e21801d80".into(),
                slot: 0,
                key_version: 1,
                check: "0102030405".into(),
            }],
            file: Some("keys.csv".into()),
        };
        let expected = json!({
            "station": "station-1",
            "profile": "fob",
            "profile_version": 1,
            "keys": [{ "card": "04782e21801d80", "slot": 0, "key_version": 1, "check": "0102030405" }],
            "file": "keys.csv",
        });
        assert_eq!(to_value(&report).unwrap(), expected);
        let line: Vec<_> =
            report.text().lines().nth(1).unwrap().split_whitespace().map(str::to_owned).collect();
        assert_eq!(line, ["04782e21801d80", "0", "1", "0102030405"]);
    }
}
