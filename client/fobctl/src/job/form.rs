//! The form of a job: a TOML file that a data operator fills in, and the head that it makes.
//!
//! What is wrong is told with its place and the mend before the service is asked. The cards stand in a list of their own.

use crate::{fault::Fault, file, moment};
use jiff::Timestamp;
use keysvc_client::protocol::{
    job::{JOB_CARDS_MAX, JOB_NAME_LEN_MAX, JobHead},
    name::{Name, Reason},
    schema::Schema,
};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Longest form, in bytes: a dozen lines, and comments ten times as long.
const FILE_LEN_MAX: usize = 32 * 1024;
const HOUR_MS: u64 = 60 * 60 * 1000;

/// A form to fill in.
pub(crate) const EXAMPLE: &str = "\
# A personalization job. Fill it in, then:  fobctl job create FILE.toml
# The file's name is the job's (48 characters at most), or --job NAME; no name is used twice.

order = \"PO-4711\"          # the order's number, as the customer has it
customer = \"acme\"          # the customer's code
profile = \"known\"          # the card profile: fobctl profile list
profile-version = 1
lot = \"L-2026-11\"          # the lot of blank cards
station = \"station-1\"      # where the cards are made
equipment = \"encoder 2\"    # the machine there

ordered = 1000             # good cards wanted
issued = 1010              # blank cards that the vault issues for it
carried-over = 0           # cards carried over from an earlier process

due = 48                   # to be purged within so many hours, or by a time: \"2026-12-01T12:00:00Z\"

# One of the two. A list has a line for each card: uid,data   (data as text, or hex:00ff, or nothing)
as-encountered = true      # whatever cards lie in the stacker, up to those issued and carried over
# items = \"cards.csv\"      # only the cards of this list";

/// A form, read.
#[derive(Debug)]
pub(crate) struct Form {
    /// The job's name: the file's, where none is given.
    pub(crate) job: Name,
    /// The list of its cards; none where they are taken as encountered.
    pub(crate) items: Option<PathBuf>,
    due: Due,
    written: Written,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Due {
    Hours(u32),
    At(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    order: String,
    customer: String,
    profile: String,
    profile_version: u32,
    lot: String,
    station: String,
    equipment: String,
    ordered: u32,
    issued: u32,
    #[serde(default)]
    carried_over: u32,
    due: Due,
    #[serde(default)]
    as_encountered: bool,
    items: Option<PathBuf>,
}

impl Form {
    /// Reads a form; `job` is its name where it is not to be the file's.
    ///
    /// # Errors
    /// [`Fault::Usage`] naming the place and the mend.
    pub(crate) fn read(path: &Path, job: Option<&Name>) -> Result<Self, Fault> {
        Self::of_bytes(path, job, &file::read(path, FILE_LEN_MAX)?)
    }

    fn of_bytes(path: &Path, job: Option<&Name>, bytes: &[u8]) -> Result<Self, Fault> {
        parse(path, job, bytes).map_err(|why| {
            let what = format!("{} is not a job's form: {why}", path.display());
            Fault::usage(what, "correct the file; `fobctl job new` prints one with every line explained")
        })
    }

    /// The head, due by `now`.
    ///
    /// # Errors
    /// [`Fault::Usage`] naming the line.
    pub(crate) fn head(&self, now_ms: u64) -> Result<JobHead, Fault> {
        self.filled(now_ms).map_err(|why| {
            let next = "correct the form; `fobctl job new` prints one with every line explained";
            Fault::usage(format!("the form of {}: {why}", self.job), next)
        })
    }

    fn filled(&self, now_ms: u64) -> Result<JobHead, String> {
        let Written { ordered, issued, carried_over, profile_version, .. } = self.written;
        let cards = issued.checked_add(carried_over).filter(|cards| *cards <= JOB_CARDS_MAX);
        let cards =
            cards.ok_or_else(|| format!("issued, carried-over: at most {JOB_CARDS_MAX} cards together"))?;
        if ordered == 0 || ordered > cards {
            return Err(format!("ordered: 1 to {cards}, the cards that there are for it"));
        }
        let due_ms = self.due.at(now_ms)?;
        if due_ms <= now_ms {
            return Err("due: a time to come, or a number of hours".to_owned());
        }
        let text = |field: &str, text: &str| -> Result<Reason, String> {
            text.parse().map_err(|error| format!("{field}: {error}"))
        };
        let name = |field: &str, text: &str| -> Result<Name, String> {
            text.parse().map_err(|error| format!("{field}: {error}"))
        };
        Ok(JobHead {
            schema: Schema,
            order: text("order", &self.written.order)?,
            customer: text("customer", &self.written.customer)?,
            profile: name("profile", &self.written.profile)?,
            profile_version,
            lot: text("lot", &self.written.lot)?,
            station: name("station", &self.written.station)?,
            equipment: text("equipment", &self.written.equipment)?,
            ordered,
            issued,
            carried_over,
            listed: self.items.is_some(),
            due_ms,
        })
    }
}

impl Due {
    fn at(&self, now_ms: u64) -> Result<u64, String> {
        match self {
            Self::Hours(hours) => Ok(now_ms.saturating_add(u64::from(*hours).saturating_mul(HOUR_MS))),
            Self::At(text) => moment_of(text).map_err(|why| format!("due: {why}")),
        }
    }
}

/// A time as people write it: RFC 3339.
///
/// # Errors
/// What it should be, in words.
pub(crate) fn moment_of(text: &str) -> Result<u64, String> {
    let time: Option<Timestamp> = text.parse().ok();
    time.and_then(|time| u64::try_from(time.as_millisecond()).ok())
        .ok_or_else(|| format!("'{text}' is no time; write it as 2026-12-01T12:00:00Z"))
}

fn parse(path: &Path, job: Option<&Name>, bytes: &[u8]) -> Result<Form, String> {
    let text = str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let written: Written = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let of_file = || stem.parse().map_err(|error| format!("its name is no job's ({error}); give --job NAME"));
    let job = job.map_or_else(of_file, |job| Ok(job.clone()))?;
    if job.as_str().len() > JOB_NAME_LEN_MAX {
        return Err(format!("{job} has more than {JOB_NAME_LEN_MAX} characters; give --job NAME"));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let items = match (&written.items, written.as_encountered) {
        (Some(list), false) => Some(folder.join(list)),
        (None, true) => None,
        _ => return Err("give items = \"FILE.csv\", or as-encountered = true, one of the two".to_owned()),
    };
    let form = Form { job, items, due: written.due.clone(), written };
    // Told here with the file's name; the moment is looked at again when it is sent.
    form.filled(moment::now_ms())?;
    Ok(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Result<Form, String> {
        parse(Path::new("jobs/nfc-1.toml"), None, text.as_bytes())
    }

    #[test]
    fn the_example_is_a_form_that_reads() {
        let read = form(EXAMPLE).unwrap();
        assert_eq!((read.job.as_str(), &read.items), ("nfc-1", &None));
        let head = read.head(1_000).unwrap();
        assert_eq!((head.ordered, head.issued, head.carried_over, head.listed), (1000, 1010, 0, false));
        assert_eq!(head.due_ms, 1_000 + 48 * HOUR_MS);
    }

    #[test]
    fn a_list_is_taken_from_the_forms_folder_and_a_due_time_as_it_is_written() {
        let text = EXAMPLE
            .replace("as-encountered = true", "items = \"cards.csv\"")
            .replace("due = 48", "due = \"2100-01-01T00:00:00Z\"");
        let read = form(&text).unwrap();
        assert_eq!(read.items.as_deref(), Some(Path::new("jobs/cards.csv")));
        let head = read.head(1).unwrap();
        assert!(head.listed);
        assert_eq!(head.due_ms, 4_102_444_800_000);
        let named = parse(Path::new("x.toml"), Some(&"b-1".parse().unwrap()), text.as_bytes()).unwrap();
        assert_eq!(named.job.as_str(), "b-1");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_the_mend() {
        let wrong = |from: &str, to: &str| {
            assert!(EXAMPLE.contains(from), "{from}");
            form(&EXAMPLE.replace(from, to)).unwrap_err()
        };
        assert!(wrong("as-encountered = true", "").contains("one of the two"));
        assert!(wrong("ordered = 1000", "ordered = 2000").contains("ordered: 1 to 1010"));
        assert!(wrong("issued = 1010", "issued = 20000000").contains("at most 10000000 cards"));
        assert!(wrong("due = 48", "due = \"tomorrow\"").contains("'tomorrow' is no time"));
        assert!(wrong("due = 48", "due = \"2001-01-01T00:00:00Z\"").contains("a time to come"));
        assert!(wrong("station = \"station-1\"", "station = \"Station 1\"").starts_with("station: "));
        assert!(wrong("lot =", "lott =").contains("unknown field `lott`"));
        let long = parse(Path::new(&format!("{}.toml", "a".repeat(60))), None, EXAMPLE.as_bytes());
        assert!(long.unwrap_err().contains("more than 48 characters"));
    }
}
