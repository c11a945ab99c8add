//! What is done on a line, in a file: a line of text for each step of a card, synced before the next step is taken.
//!
//! It holds identifiers and check values, no key and no data of a card. The last line may be torn where the machine lost
//! its power: it was not acted on, and is dropped. At the job's end the file is erased, which people witness.

use crate::{
    clock::now_ms,
    error::ClientError,
    folder::{Folder, Lock, damaged, fault},
};
use keysvc_protocol::{
    bytes::ShortCheck,
    card::CardUid,
    job::{CardResult, Outcome, PurgeReceipt},
    list::List,
    name::Name,
};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Longest journal, in bytes: 1,000,000 cards with three lines of 160.
const FILE_LEN_MAX: u64 = 512 * 1024 * 1024;
/// How the files were erased, as the receipt says it.
const METHOD: &str = "overwritten with zeros, removed, and the folder written out";
/// Bytes overwritten at a time.
const ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];

/// The journal of a job at this station. One process has it at a time.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    folder: PathBuf,
    file: File,
    cards: BTreeMap<CardUid, Standing>,
    _lock: Lock,
}

/// How far a card is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its keys were asked for.
    InHand,
    /// It is finished, and its result not given.
    Made(CardResult),
    /// The service has its result.
    Given(Outcome),
}

impl Journal {
    /// Opens the journal of a job in a folder of the owner's alone, making what is missing.
    ///
    /// # Errors
    /// [`ClientError::State`] naming the file that cannot be used or is damaged, or when another process has it.
    pub fn open(folder: &Path, job: &Name) -> Result<Self, ClientError> {
        let place = Folder::open(folder)?;
        let lock = place.lock()?;
        let path = place.path(&format!("{job}.journal"));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = file.map_err(|error| fault(&path, &error))?;
        let mut text = String::new();
        let read = (&file).take(FILE_LEN_MAX).read_to_string(&mut text);
        read.map_err(|error| fault(&path, &error))?;
        let whole = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
        let mut cards = BTreeMap::new();
        for line in text.get(..whole).unwrap_or_default().lines() {
            take(&mut cards, line).ok_or_else(|| damaged(&path, "a line that this program does not know"))?;
        }
        let end = u64::try_from(whole).unwrap_or(u64::MAX);
        let cut = file.set_len(end).and_then(|()| file.seek(io::SeekFrom::Start(end)));
        cut.map_err(|error| fault(&path, &error))?;
        Ok(Self { path, folder: folder.to_owned(), file, cards, _lock: lock })
    }

    /// Whether a card stands in it.
    #[must_use]
    pub fn knows(&self, card: &CardUid) -> bool {
        self.cards.contains_key(card)
    }

    pub(super) fn standing(&self, card: &CardUid) -> Option<&Standing> {
        self.cards.get(card)
    }

    /// The cards whose keys were asked for and that are not finished.
    #[must_use]
    pub fn in_hand(&self) -> Vec<CardUid> {
        let in_hand = self.cards.iter().filter(|(_, standing)| **standing == Standing::InHand);
        in_hand.map(|(card, _)| *card).collect()
    }

    /// The results that are not given.
    #[must_use]
    pub fn not_given(&self) -> Vec<CardResult> {
        let made = self.cards.values().filter_map(|standing| match standing {
            Standing::Made(result) => Some(result.clone()),
            Standing::InHand | Standing::Given(_) => None,
        });
        made.collect()
    }

    /// Before keys are asked for.
    pub(super) fn asked(&mut self, cards: &[CardUid]) -> Result<(), ClientError> {
        self.write(&lines(cards.iter(), |text, card| write!(text, "asked {card}")))
    }

    /// Before a finished card goes into its tray.
    pub(super) fn made(&mut self, result: &CardResult) -> Result<(), ClientError> {
        self.write(&lines([result].into_iter(), |text, result| {
            let CardResult { card, outcome, readback } = result;
            let (word, cause) = match outcome {
                Outcome::Good => ("good", ""),
                Outcome::Sample => ("sample", ""),
                Outcome::Reject { cause } => ("reject", cause.as_str()),
            };
            let read: Vec<String> = readback.iter().map(ToString::to_string).collect();
            write!(text, "made {card} {word} {} {cause}", read.join(","))
        }))
    }

    /// After the service took results.
    pub(super) fn given(&mut self, results: &[CardResult]) -> Result<(), ClientError> {
        self.write(&lines(results.iter(), |text, result| write!(text, "given {}", result.card)))
    }

    /// After cards got no keys.
    pub(super) fn left_out(&mut self, cards: &[CardUid]) -> Result<(), ClientError> {
        self.write(&lines(cards.iter(), |text, card| write!(text, "blank {card}")))
    }

    fn write(&mut self, lines: &str) -> Result<(), ClientError> {
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| fault(&self.path, &error))?;
        for line in lines.lines() {
            take(&mut self.cards, line).ok_or_else(|| damaged(&self.path, "a step that cannot follow"))?;
        }
        Ok(())
    }

    /// Erases the journal and the station's other files of the job, and gives the receipt to be witnessed. Done once the
    /// count balances: without the journal nobody can finish a card.
    ///
    /// # Errors
    /// [`ClientError::State`] naming the first file that cannot be erased; it may be called again then.
    pub fn erase(self, station: &Name, others: &[&Path]) -> Result<PurgeReceipt, ClientError> {
        let mut files = 0_u32;
        for path in others.iter().copied().chain([self.path.as_path()]) {
            files = files.saturating_add(u32::from(erase(path).map_err(|error| fault(path, &error))?));
        }
        let lock = self.folder.join("lock");
        let synced = fs::remove_file(&lock).and_then(|()| File::open(&self.folder)?.sync_all());
        synced.map_err(|error| fault(&lock, &error))?;
        let method = METHOD.parse().map_err(|_| damaged(&self.path, "no words for how it was erased"))?;
        Ok(PurgeReceipt { station: station.clone(), erased_ms: now_ms(), files, method })
    }
}

/// Overwrites a file and removes it; whether there was one.
fn erase(path: &Path) -> io::Result<bool> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut left = file.metadata()?.len();
    while left > 0 {
        let some = left.min(u64::try_from(ZEROS.len()).unwrap_or(u64::MAX));
        file.write_all(ZEROS.get(..usize::try_from(some).unwrap_or_default()).unwrap_or_default())?;
        left = left.saturating_sub(some);
    }
    file.sync_all()?;
    fs::remove_file(path)?;
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all()?,
        None => File::open(".")?.sync_all()?,
    }
    Ok(true)
}

fn lines<'a, T: 'a>(
    items: impl Iterator<Item = &'a T>,
    write: impl Fn(&mut String, &T) -> std::fmt::Result,
) -> String {
    let mut text = String::new();
    for item in items {
        // Text in memory takes whatever is written to it.
        let _ = write(&mut text, item);
        text.push('\n');
    }
    text
}

/// Takes a line up; nothing where it is none, or cannot follow.
fn take(cards: &mut BTreeMap<CardUid, Standing>, line: &str) -> Option<()> {
    let (word, rest) = line.split_once(' ')?;
    let (card, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let card: CardUid = card.parse().ok()?;
    match (word, cards.get(&card)) {
        ("asked", None | Some(Standing::InHand)) => drop(cards.insert(card, Standing::InHand)),
        ("made", Some(Standing::InHand)) => {
            drop(cards.insert(card, Standing::Made(result(card, rest)?)));
        }
        ("given", Some(Standing::Made(CardResult { outcome, .. }))) => {
            let outcome = outcome.clone();
            drop(cards.insert(card, Standing::Given(outcome)));
        }
        ("blank", Some(Standing::InHand)) => drop(cards.remove(&card)),
        _ => return None,
    }
    Some(())
}

fn result(card: CardUid, text: &str) -> Option<CardResult> {
    let (word, rest) = text.split_once(' ')?;
    let (read, cause) = rest.split_once(' ')?;
    let outcome = match word {
        "good" => Outcome::Good,
        "sample" => Outcome::Sample,
        "reject" => Outcome::Reject { cause: cause.parse().ok()? },
        _ => return None,
    };
    let read = read.split(',').filter(|value| !value.is_empty());
    let read: Vec<ShortCheck> = read.map(|value| value.parse().ok()).collect::<Option<_>>()?;
    Some(CardResult { card, outcome, readback: List::try_from(read).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(last: u8) -> CardUid {
        CardUid::try_from([4, 0x78, 0x2e, 0x21, 0x80, 0x1d, last].as_slice()).unwrap()
    }

    fn job() -> Name {
        "job-1".parse().unwrap()
    }

    fn finished(last: u8, outcome: Outcome) -> CardResult {
        let readback = vec![ShortCheck::new([last; 5]), ShortCheck::new([9; 5])].try_into().unwrap();
        CardResult { card: uid(last), outcome, readback }
    }

    #[test]
    fn what_was_written_down_is_there_again_after_a_restart() {
        let scratch = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(scratch.path(), &job()).unwrap();
        let cards: Vec<CardUid> = (1..=5).map(uid).collect();
        journal.asked(&cards).unwrap();
        let good = finished(1, Outcome::Good);
        let cause = "it does not answer, twice".parse().unwrap();
        let reject = CardResult { readback: List::default(), ..finished(2, Outcome::Reject { cause }) };
        let sample = finished(3, Outcome::Sample);
        for result in [&good, &reject, &sample] {
            journal.made(result).unwrap();
        }
        journal.given(std::slice::from_ref(&good)).unwrap();
        journal.left_out(&[uid(5)]).unwrap();
        drop(journal);
        let journal = Journal::open(scratch.path(), &job()).unwrap();
        assert_eq!(journal.in_hand(), [uid(4)]);
        assert_eq!(journal.not_given(), [reject, sample]);
        assert_eq!(journal.standing(&uid(1)), Some(&Standing::Given(Outcome::Good)));
        assert!(!journal.knows(&uid(5)) && !journal.knows(&uid(6)));
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_another_that_is_odd_is_not_passed_over() {
        let scratch = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(scratch.path(), &job()).unwrap();
        journal.asked(&[uid(1)]).unwrap();
        let path = journal.path.clone();
        drop(journal);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}made 04782e21801d01 go")).unwrap();
        let mut journal = Journal::open(scratch.path(), &job()).unwrap();
        assert_eq!(journal.in_hand(), [uid(1)]);
        journal.made(&finished(1, Outcome::Good)).unwrap();
        drop(journal);
        assert_eq!(Journal::open(scratch.path(), &job()).unwrap().not_given().len(), 1);
        for odd in ["given 04782e21801d07\n", "eaten 04782e21801d01\n", "asked no\n", "asked\n"] {
            fs::write(&path, format!("{whole}{odd}")).unwrap();
            assert!(matches!(Journal::open(scratch.path(), &job()), Err(ClientError::State { .. })), "{odd}");
        }
    }

    #[test]
    fn erasing_leaves_nothing_and_says_how_many_files_it_was() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("work");
        let mut journal = Journal::open(&folder, &job()).unwrap();
        journal.asked(&[uid(1)]).unwrap();
        let agreement = scratch.path().join("operator-1.agreement");
        fs::write(&agreement, vec![7; 40_000]).unwrap();
        let (station, missing) = ("station-1".parse().unwrap(), scratch.path().join("missing"));
        let receipt = journal.erase(&station, &[&agreement, &missing]).unwrap();
        assert_eq!((receipt.files, &receipt.station), (2, &station));
        assert!(!agreement.exists() && fs::read_dir(&folder).unwrap().next().is_none());
    }
}
