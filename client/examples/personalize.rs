//! A bureau's station: makes the cards of a job in the session that two operators opened, and erases what it had.
//!
//! What to start from. Replace [`Encoder`], cards in a folder, by your machine: a [`CardWriter`] is all that the line needs
//! of it. The rest is what a shift needs around it: the two agreements, the journal by which it goes on where it was, what
//! to do next, and the erasure that the monitor witnesses. It shows the ends of identifiers only, and no total: what there
//! is, people count.
//!
//! ```text
//! SOFTHSM2_CONF=target/dev/station-1/softhsm2.conf \
//!     cargo run -p keysvc-client --example personalize -- run --config target/dev/station-1/client.toml \
//!     --agreement operator-1.agreement --agreement operator-2.agreement --cards cards --work work
//! SOFTHSM2_CONF=target/dev/station-1/softhsm2.conf \
//!     cargo run -p keysvc-client --example personalize -- erase --config target/dev/station-1/client.toml \
//!     --job job-1 --work work --receipt receipt --also operator-1.agreement --also operator-2.agreement
//! ```
//!
//! Cards lie in `cards/feeder`, a file each, named by its UID. An empty one is a blank; one that says `broken`, `sample` or
//! `jam` is what it says. They go to `cards/hand`, and from there to `cards/good`, `reject`, `sample` or `blank`.

use keysvc_client::{
    ClientConfig, ClientError,
    agreement::{self, SignedAgreement},
    blocking::Station,
    component,
    personalization::{CardFault, CardWriter, Ended, Event, Go, Journal, Line, MachineFault, RunError, Tray},
    protocol::{
        bytes::{ShortCheck, from_hex},
        card::CardUid,
        job::{JobState, Outcome},
        name::Name,
        refusal::{Conflict, Refusal, Uncounted},
    },
    station::DeliveredCard,
};
use std::{
    collections::VecDeque,
    error::Error,
    fmt::Write as _,
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long a service that is away is waited for: its keeper is back after seconds, its machine after minutes.
const PATIENCE: Duration = Duration::from_mins(10);

const USAGE: &str = "\
usage: personalize run --config FILE --agreement FILE --agreement FILE --cards FOLDER --work FOLDER
       personalize erase --config FILE --job NAME --work FOLDER --receipt FILE [--also FILE ...]
  --agreement  what an operator signed: to open the job at this station, or to let it go on
  --cards      the encoder: its feeder, hand and trays
  --work       where the journal lies; a shift goes on by it when it is started again
  --receipt    where the receipt of the erasure is written, for the monitor to witness
  --also       another file of the job on this station, to be erased with it";

fn main() -> ExitCode {
    let command = match Command::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            say(&format!("error: {error}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    let done = match &command {
        Command::Run { config, agreements, cards, work } => run(config, agreements, cards, work),
        Command::Erase { config, job, work, receipt, also } => erase(config, job, (work, receipt), also),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            let of_run = error.downcast_ref::<RunError>().map(RunError::exit_code);
            // 4 means that the same command may succeed later; see `advice` for the rest.
            ExitCode::from(of_run.or(error.downcast_ref().map(ClientError::exit_code)).unwrap_or(1))
        }
    }
}

/// A shift: from the operators' agreements to an empty feeder, the end of the job, or the end of the session.
fn run(config: &Path, agreements: &[PathBuf; 2], cards: &Path, work: &Path) -> Result<(), Box<dyn Error>> {
    let config = ClientConfig::read(config).map_err(ClientError::from)?;
    let [one, other] = agreements;
    let agreements = [SignedAgreement::read(one)?, SignedAgreement::read(other)?];
    let mut encoder = Encoder::open(cards)?;
    // Opens the station's own token: the keys come wrapped to it, and only it can open them.
    let station = Station::connect(&config)?;
    // The same two agreements are the same session, so a program that was started again is in it again.
    let shift = station.begin(agreements).inspect_err(|error| say(advice(error)))?;
    let left = Duration::from_millis(shift.expires_ms().saturating_sub(now_ms()));
    say(&format!(
        "{}, job {}: the session lasts {} minutes",
        station.name(),
        shift.job(),
        left.as_secs() / 60
    ));
    let mut journal = Journal::open(work, shift.job())?;
    let pipeline = station.pipeline(shift.job())?;
    let line = Line { station: &station, shift: &shift, pipeline, patience: PATIENCE };
    let ended = line.run(&mut encoder, &mut journal, &mut show).inspect_err(|error| {
        say(match error {
            RunError::Service(error) | RunError::Journal(error) => advice(error),
            RunError::Machine(_) => {
                "advice: clear the machine, then start the same shift again; report a jam"
            }
        });
    })?;
    say(next(ended));
    Ok(())
}

/// What happens, as the people at the machine may see it. On stdout what is done, on stderr what to know.
fn show(event: Event<'_>) -> Go {
    match event {
        Event::Card { card, outcome } => match outcome {
            Outcome::Good => print(&format!("{card} good")),
            Outcome::Sample => print(&format!("{card} sample")),
            Outcome::Reject { cause } => print(&format!("{card} reject: {cause}")),
        },
        Event::LeftOut { card, because: Some(error) } => print(&format!("{card} blank: {error}")),
        Event::LeftOut { card, because: None } => print(&format!("{card} blank")),
        Event::Skipped { card } => say(&format!("{card} was finished before")),
        Event::Waiting { error } => say(&format!("waiting for the service: {error}")),
        Event::Asked { .. } | Event::Given { .. } => {}
    }
    Go::On
}

/// What the operators do next.
fn next(ended: Ended) -> &'static str {
    match ended {
        Ended::NoMoreCards => "the feeder is empty: fill it and run again, or count the trays",
        Ended::JobComplete => "the job takes no more cards: count the trays",
        Ended::SessionOver => "the session is over: sign for the next one, then run again",
        Ended::JobStopped { state: JobState::Suspended } => {
            "the job is suspended: leave everything where it is; two operators let it go on"
        }
        Ended::JobStopped { .. } => "the job is not open: look at it with fobctl job list",
        Ended::Stopped => "stopped",
    }
}

/// What to do about an error.
fn advice(error: &ClientError) -> &'static str {
    match error {
        // Nothing was lost: what is in hand stays in hand, and asking again gives the same keys.
        ClientError::Unreachable { .. } | ClientError::Timeout { .. } => {
            "advice: start the same shift again when the service answers"
        }
        ClientError::Refused(reply) => refused(&reply.refusal),
        // Not this service's answer. Never write such keys to a card, and never just try again.
        ClientError::Untrusted { .. } | ClientError::Delivery(_) | ClientError::Malformed { .. } => {
            "advice: stop the line, keep the state folder as it is, and tell the officers"
        }
        ClientError::Token(_) => "advice: look after the station's token, then start the same shift again",
        ClientError::Pending(_) => "advice: officers must agree first; then start the same shift again",
        _ => "advice: correct the configuration, then start the same shift again",
    }
}

fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::PurgePending => "advice: close the job before with its monitor; then open this one",
        Refusal::ResultPending => {
            "advice: cards of this job are in hand at another place; find their journal"
        }
        Refusal::SamePerson => "advice: two different operators sign",
        Refusal::ApprovalInvalid { reason: Uncounted::Stale | Uncounted::UsedBefore } => {
            "advice: both operators sign again; an agreement is good for a quarter of an hour, once"
        }
        Refusal::ApprovalInvalid { .. } => "advice: look at who signed what, and for which job and station",
        Refusal::Frozen { .. } => "advice: stop the line; the officers have frozen it",
        Refusal::StateConflict { reason: Conflict::JobState { .. } | Conflict::OtherStation } => {
            "advice: look at the job with fobctl job list"
        }
        // Twice within one call: the session is another's by now.
        Refusal::ExchangeUnknown | Refusal::StateConflict { reason: Conflict::SessionOver } => {
            "advice: both operators sign for the next session"
        }
        refusal if refusal.retryable() => "advice: start the same shift again in a moment",
        _ => "advice: give the request number to the platform's operator",
    }
}

/// After the count: erases what the station has of the job, and writes the receipt that the monitor signs.
fn erase(
    config: &Path,
    job: &Name,
    (work, receipt): (&Path, &Path),
    also: &[PathBuf],
) -> Result<(), Box<dyn Error>> {
    let config = ClientConfig::read(config).map_err(ClientError::from)?;
    let station = Station::connect(&config)?;
    let state = station.reader().job(job)?.state;
    // Before the count balances the journal is what says which card is where.
    if state != JobState::Counted {
        return Err(format!("job {job} is {state}; it is erased once its count balances").into());
    }
    let also: Vec<&Path> = also.iter().map(PathBuf::as_path).collect();
    let purged = Journal::open(work, job)?.erase(station.name(), &also)?;
    fs::write(receipt, agreement::receipt_to_bytes(&purged))?;
    print(&format!("station {}: {} files {}", purged.station, purged.files, purged.method));
    say(&format!("the monitor signs {}; then close the job", receipt.display()));
    Ok(())
}

/// Stands for the machine: a card is a file that stores the keys it is given.
struct Encoder {
    folder: PathBuf,
    /// In hand since before, whatever came of them.
    before: VecDeque<CardUid>,
}

impl Encoder {
    fn open(folder: &Path) -> Result<Self, Box<dyn Error>> {
        for place in ["feeder", "hand", "good", "reject", "sample", "blank"] {
            fs::create_dir_all(folder.join(place))?;
        }
        let mut encoder = Self { folder: folder.to_owned(), before: VecDeque::new() };
        encoder.before = encoder.cards("hand")?.into();
        Ok(encoder)
    }

    fn file(&self, place: &str, card: &CardUid) -> PathBuf {
        self.folder.join(place).join(card.to_string())
    }

    fn cards(&self, place: &str) -> Result<Vec<CardUid>, MachineFault> {
        let mut cards = Vec::new();
        for entry in fs::read_dir(self.folder.join(place)).map_err(fault)? {
            let name = entry.map_err(fault)?.file_name();
            let uid = name.to_str().and_then(|name| name.parse().ok());
            cards.push(uid.ok_or_else(|| MachineFault(format!("{}: not a UID", name.display())))?);
        }
        cards.sort_unstable();
        Ok(cards)
    }

    fn content(&self, card: &CardUid) -> Result<String, CardFault> {
        fs::read_to_string(self.file("hand", card)).map_err(|_| broken("it is not at the encoder"))
    }
}

impl CardWriter for Encoder {
    fn next_card(&mut self) -> Result<Option<CardUid>, MachineFault> {
        if let Some(card) = self.before.pop_front() {
            return Ok(Some(card));
        }
        let Some(card) = self.cards("feeder")?.first().copied() else { return Ok(None) };
        fs::rename(self.file("feeder", &card), self.file("hand", &card)).map_err(fault)?;
        Ok(Some(card))
    }

    /// Authenticate to the card, change its keys to these. A key is wiped when it is dropped: do not copy its bytes, but
    /// into the card.
    fn write(&mut self, card: &DeliveredCard) -> Result<(), CardFault> {
        match self.content(&card.card)?.trim() {
            "broken" => return Err(broken("it does not answer")),
            // Once: somebody clears it before the next run.
            "jam" => {
                fs::write(self.file("hand", &card.card), "").map_err(fault)?;
                return Err(MachineFault("a card is jammed".into()).into());
            }
            _ => {}
        }
        let mut text = String::new();
        for key in &card.keys {
            let _ = write!(text, "slot {} version {} key ", key.slot, key.key_version);
            for byte in key.value.expose() {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        let sample = self.is_sample(&card.card);
        let data = card.data.as_ref().map(|data| String::from_utf8_lossy(data.0.as_bytes()).into_owned());
        let _ = write!(text, "data {}\n{}", data.unwrap_or_default(), if sample { "sample\n" } else { "" });
        let file = OpenOptions::new().write(true).truncate(true).open(self.file("hand", &card.card));
        let written = file.and_then(|mut file| {
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| fault(error).into())
    }

    /// Out of what the card holds, not out of what it was given. A real card answers a challenge with each key.
    fn read_back(&mut self, card: &CardUid) -> Result<Vec<ShortCheck>, CardFault> {
        let content = self.content(card)?;
        let keys = content.lines().filter_map(|line| line.split_once(" key "));
        let checks = keys.map(|(_, key)| {
            let key: [u8; 16] = from_hex(key)?.try_into().ok()?;
            Some(component::check_value(&key))
        });
        checks.collect::<Option<_>>().ok_or_else(|| broken("it cannot be read"))
    }

    fn is_sample(&mut self, card: &CardUid) -> bool {
        self.content(card).is_ok_and(|content| content.lines().any(|line| line == "sample"))
    }

    fn put_out(&mut self, card: &CardUid, tray: Tray) -> Result<(), MachineFault> {
        let place = match tray {
            Tray::Good => "good",
            Tray::Reject => "reject",
            Tray::Sample => "sample",
            Tray::Blank => "blank",
        };
        match fs::rename(self.file("hand", card), self.file(place, card)) {
            // It came twice: it lies there already. Or it never was here: somebody took it out by hand.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(fault),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn fault(error: io::Error) -> MachineFault {
    MachineFault(error.to_string())
}

fn broken(cause: &str) -> CardFault {
    match cause.parse() {
        Ok(cause) => CardFault::Card { cause },
        Err(_) => MachineFault(cause.into()).into(),
    }
}

/// The command line.
enum Command {
    Run { config: PathBuf, agreements: [PathBuf; 2], cards: PathBuf, work: PathBuf },
    Erase { config: PathBuf, job: Name, work: PathBuf, receipt: PathBuf, also: Vec<PathBuf> },
}

impl Command {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let command = words.next().unwrap_or_default();
        let mut options: Vec<(String, String)> = Vec::new();
        while let Some(option) = words.next() {
            let value = words.next().ok_or_else(|| format!("{option} without a value"))?;
            options.push((option, value));
        }
        let mut take = |name: &str| -> Vec<String> {
            let (taken, left) =
                std::mem::take(&mut options).into_iter().partition(|(option, _)| option == name);
            options = left;
            let taken: Vec<(String, String)> = taken;
            taken.into_iter().map(|(_, value)| value).collect()
        };
        let one = |name: &str, mut values: Vec<String>| {
            let value = values.pop().filter(|_| values.is_empty());
            value.ok_or_else(|| format!("give {name} once"))
        };
        let config = one("--config", take("--config"))?.into();
        let work = one("--work", take("--work"))?.into();
        let parsed = match command.as_str() {
            "run" => {
                let agreements = take("--agreement").into_iter().map(PathBuf::from).collect::<Vec<_>>();
                let agreements = agreements.try_into().map_err(|_| "give --agreement twice")?;
                Self::Run { config, agreements, cards: one("--cards", take("--cards"))?.into(), work }
            }
            "erase" => Self::Erase {
                config,
                job: one("--job", take("--job"))?.parse()?,
                work,
                receipt: one("--receipt", take("--receipt"))?.into(),
                also: take("--also").into_iter().map(PathBuf::from).collect(),
            },
            other => return Err(format!("unknown command {other}").into()),
        };
        match options.first() {
            Some((option, _)) => Err(format!("unknown option {option}").into()),
            None => Ok(parsed),
        }
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Data, on stdout.
fn print(text: &str) {
    // Where stdout is gone nobody reads it; the trays and the journal have it all the same.
    let _ = writeln!(io::stdout(), "{text}");
}

/// For people, on stderr: stdout is data.
fn say(text: &str) {
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
