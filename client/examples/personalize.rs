//! A bureau's line: fetches the keys of the cards to be made, and hands each card to the encoder.
//!
//! What to start from. Replace [`write_card`] by your encoder; the rest is what a job needs around it: portions, so
//! that a lost answer costs little; a list of what is made, so that the job is continued and no card is made twice;
//! and an error that says whether to run it again.
//!
//! ```text
//! SOFTHSM2_CONF=target/dev/station-1/softhsm2.conf \
//!     cargo run -p keysvc-client --example personalize -- --config target/dev/station-1/client.toml \
//!     --profile known --version 1 --slot 0 --cards cards.txt --done done.txt
//! ```

use keysvc_client::{
    ClientConfig, ClientError,
    blocking::Station,
    protocol::{card::CardUid, name::Name, refusal::Refusal},
    station::CardKey,
};
use std::{
    collections::BTreeSet,
    error::Error,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Cards in one request: the service takes 1,000; fewer make a lost answer, and the keys in memory, cheaper.
const PORTION: usize = 50;

const USAGE: &str = "\
usage: personalize --config FILE --profile NAME --version N --slot N [--slot N ...] --cards FILE --done FILE
  --cards  a card's UID a line, hexadecimal
  --done   where finished cards are written down; the job goes on after them when it is started again";

/// The command line.
struct Job {
    config: PathBuf,
    profile: Name,
    version: u32,
    slots: Vec<u8>,
    cards: PathBuf,
    done: PathBuf,
}

fn main() -> ExitCode {
    let job = match Job::parse(std::env::args().skip(1)) {
        Ok(job) => job,
        Err(error) => {
            say(&format!("error: {error}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    match run(&job) {
        Ok(made) => {
            say(&format!("{made} cards made"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("error: {error}"));
            // 4 means that the same command may succeed later; see `advice` for the rest.
            ExitCode::from(error.downcast_ref().map_or(1, ClientError::exit_code))
        }
    }
}

fn run(job: &Job) -> Result<usize, Box<dyn Error>> {
    let config = ClientConfig::read(&job.config).map_err(ClientError::from)?;
    let cards = read_cards(&job.cards)?;
    let mut done = Done::open(&job.done)?;
    let left: Vec<_> = cards.into_iter().filter(|card| !done.cards.contains(card)).collect();
    // Opens the station's own token: the keys come wrapped to it, and only it can open them.
    let station = Station::connect(&config)?;
    say(&format!("station {}: {} cards to make", station.name(), left.len()));
    for portion in left.chunks(PORTION) {
        let keys = derive(&station, job, portion)?;
        // Ordered card by card, as asked, with one key for each slot.
        for (card, keys) in portion.iter().zip(keys.chunks(job.slots.len())) {
            write_card(card, keys)?;
            // Only now: a card that is not finished is made again.
            done.add(card)?;
        }
    }
    Ok(left.len())
}

/// Asks for one portion. What passes by itself (a busy service, a keeper that restarts, a connection that breaks) is
/// retried inside the call until the configuration's deadline, and an exchange that the service has forgotten
/// (`exchange_unknown`: its keeper restarted) is opened again inside it too. So an error here is one to act on.
fn derive(station: &Station, job: &Job, cards: &[CardUid]) -> Result<Vec<CardKey>, ClientError> {
    station.derive(&job.profile, job.version, &job.slots, cards).inspect_err(|error| say(advice(error)))
}

/// What the operator of the line does next.
fn advice(error: &ClientError) -> &'static str {
    match error {
        // Nothing was lost: deriving again gives the same keys, and is a leaf of its own in the log.
        ClientError::Unreachable { .. } | ClientError::Timeout { .. } => {
            "advice: start the same job again when the service answers; it goes on after the cards that are done"
        }
        ClientError::Refused(reply) => match reply.refusal {
            // Twice within one call: the service restarts again and again, or another station has our certificate.
            Refusal::ExchangeUnknown => "advice: tell the platform's operator that exchanges do not last",
            Refusal::Forbidden | Refusal::LimitExceeded { .. } => {
                "advice: the order is larger or other than what is allowed; have the officers raise it"
            }
            Refusal::ProfileForbids { .. } | Refusal::NotFound { .. } => {
                "advice: correct profile, version, slots or the list of cards"
            }
            _ if reply.retryable => "advice: start the same job again in a moment",
            _ => "advice: give the request number to the platform's operator",
        },
        // Not this service's answer. Never write such keys to a card, and never just try again.
        ClientError::Untrusted { .. } | ClientError::Delivery(_) | ClientError::Malformed { .. } => {
            "advice: stop the line, keep the state folder as it is, and tell the officers"
        }
        ClientError::Token(_) => "advice: look after the station's token, then start the same job again",
        _ => "advice: correct the configuration, then start the same job again",
    }
}

/// Stands for the encoder. Authenticate to the card, change its keys to these, read back; the check value tells two
/// keys apart without showing them. A [`CardKey`] is wiped when it is dropped: do not copy its bytes.
fn write_card(card: &CardUid, keys: &[CardKey]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for key in keys {
        let _secret: &[u8] = key.value.expose();
        writeln!(out, "{card} slot {} version {} check {}", key.slot, key.key_version, key.check)?;
    }
    Ok(())
}

/// The cards that are finished, one a line, each synced before the next is begun.
struct Done {
    file: File,
    cards: BTreeSet<CardUid>,
}

impl Done {
    fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let cards = if path.exists() { read_cards(path)?.into_iter().collect() } else { BTreeSet::new() };
        Ok(Self { file: File::options().create(true).append(true).open(path)?, cards })
    }

    fn add(&mut self, card: &CardUid) -> io::Result<()> {
        writeln!(self.file, "{card}")?;
        self.file.sync_data()
    }
}

fn read_cards(path: &Path) -> Result<Vec<CardUid>, Box<dyn Error>> {
    let text =
        fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let cards: Result<Vec<CardUid>, _> = lines.map(str::parse).collect();
    Ok(cards.map_err(|error| format!("{}: {error}", path.display()))?)
}

impl Job {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let (mut config, mut profile, mut version) = (None, None, None);
        let (mut slots, mut cards, mut done) = (Vec::new(), None, None);
        while let Some(option) = words.next() {
            let value = words.next().ok_or_else(|| format!("{option} without a value"))?;
            match option.as_str() {
                "--config" => config = Some(value.into()),
                "--profile" => profile = Some(value.parse()?),
                "--version" => version = Some(value.parse()?),
                "--slot" => slots.push(value.parse()?),
                "--cards" => cards = Some(value.into()),
                "--done" => done = Some(value.into()),
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        if slots.is_empty() {
            return Err("no --slot".into());
        }
        // The service takes them in this order, each once.
        slots.sort_unstable();
        slots.dedup();
        Ok(Self {
            config: config.ok_or("no --config")?,
            profile: profile.ok_or("no --profile")?,
            version: version.ok_or("no --version")?,
            slots,
            cards: cards.ok_or("no --cards")?,
            done: done.ok_or("no --done")?,
        })
    }
}

/// For people, on stderr: stdout is data.
fn say(text: &str) {
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
