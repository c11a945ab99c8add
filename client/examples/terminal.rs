//! A till: loads and debits a fob, survives lost answers and power cuts, and verifies records while it is offline.
//!
//! What to start from. Replace [`Card`] by your reader; the rest is what a till needs around one update: the request
//! on disk before it is sent, the same transaction number until its answer is known, and nothing on the card that is
//! not proved.
//!
//! ```text
//! till() { cargo run -q -p keysvc-client --example terminal -- --config target/dev/terminal-1/client.toml "$@"; }
//! till --programme coffee --card fob.txt load 500      # fob.txt is made for card 04782e21801d80 where it is missing
//! till --programme coffee --card fob.txt debit 350
//! till --programme coffee --card fob.txt check         # offline, with the kept trust bundle
//! ```

use keysvc_client::{
    ClientConfig, ClientError,
    blocking::Terminal,
    protocol::{
        card::CardUid,
        name::Name,
        refusal::Refusal,
        request::{UpdateValue, ValueOperation},
        schema::Schema,
    },
    terminal::{Offline, SignedRequest, SignedUpdate},
};
use std::{
    error::Error,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A customer waits at a counter so long, and not the ten seconds of the default.
const PATIENCE: Duration = Duration::from_secs(4);
/// The purse on the card that this till uses.
const PURSE: u8 = 1;

const USAGE: &str = "\
usage: terminal --config FILE --programme NAME --card FILE (load MINOR-UNITS | debit MINOR-UNITS | check)";

/// The command line.
struct Sale {
    config: PathBuf,
    programme: Name,
    card: PathBuf,
    what: What,
}

enum What {
    Update(ValueOperation, u64),
    Check,
}

fn main() -> ExitCode {
    let sale = match Sale::parse(std::env::args().skip(1)) {
        Ok(sale) => sale,
        Err(error) => {
            say(&format!("error: {error}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    let done = match sale.what {
        What::Update(operation, amount) => update(&sale, operation, amount),
        What::Check => check(&sale),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(error.downcast_ref().map_or(1, ClientError::exit_code))
        }
    }
}

fn update(sale: &Sale, operation: ValueOperation, amount: u64) -> Result<(), Box<dyn Error>> {
    let config = read_config(sale)?;
    let terminal = Terminal::connect(&config)?.with_deadline(PATIENCE);
    let mut card = Card::read(&sale.card)?;
    let pending = Pending::of(&sale.card);
    // First what is in doubt: the last run may have ended between sending and writing.
    if let Some(request) = pending.read(&terminal)? {
        say(&format!("repeating transaction {}", request.request().txn));
        finish(&terminal, &pending, &mut card, &request)?;
    }
    let programmes = &terminal.reader();
    let programmes = &programmes.founded().founding().programmes;
    let programme = programmes.iter().find(|one| one.name == sale.programme);
    let currency =
        programme.ok_or_else(|| format!("the founding names no programme {}", sale.programme))?.currency;
    let request = UpdateValue {
        schema: Schema,
        programme: sale.programme.clone(),
        card: card.uid,
        purse: PURSE,
        operation,
        expected_seq: card.seq.checked_add(1).ok_or("the card's sequence number is at its end")?,
        amount,
        currency,
        balance_before: card.balance,
        // Made once, before the first send: it is what makes a repetition the same transaction.
        txn: Terminal::new_txn()?,
    };
    let request = terminal.sign_update(&request)?;
    pending.write(&request)?;
    finish(&terminal, &pending, &mut card, &request)?;
    // After the sale, so that nobody waits for it. It is sent only when another is in force than the one kept; a till
    // that runs all day calls this once, for updates renew it beside them.
    if let Err(error) = terminal.bundle() {
        say(&format!("warning: no trust bundle, so nothing can be verified offline: {error}"));
    }
    Ok(())
}

fn read_config(sale: &Sale) -> Result<ClientConfig, ClientError> {
    Ok(ClientConfig::read(&sale.config)?)
}

/// Has the pending request carried out and written to the card; then, and when it cannot be in the log, forgets it.
fn finish(
    terminal: &Terminal,
    pending: &Pending,
    card: &mut Card,
    request: &SignedRequest,
) -> Result<(), Box<dyn Error>> {
    if request.request().card != card.uid {
        let uid = request.request().card;
        return Err(format!("card {uid} has an unfinished transaction: put that card on the reader").into());
    }
    match terminal.update(request.request()) {
        Ok(signed) => {
            card.write(&signed)?;
            pending.forget()?;
            let update = &signed.update;
            let (operation, amount) = (update.operation.name(), update.amount);
            writeln!(
                io::stdout(),
                "{operation} {amount}, balance {}, seq {}, leaf {}",
                update.balance_after,
                update.seq,
                signed.leaf_index
            )?;
            Ok(())
        }
        Err(error) => {
            say(advice(&error));
            let ended = matches!(&error, ClientError::Pending(proposal) if !proposal.waits());
            if ended || error.refusal().is_some_and(is_not_in_the_log) {
                pending.forget()?;
            }
            Err(error.into())
        }
    }
}

/// Whether a refusal says that this transaction was never recorded. One that was recorded is found by its number
/// before any of these is looked at; but a till that was disabled since, say, is refused what it had recorded.
/// Everything else stays pending.
fn is_not_in_the_log(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::CounterConflict { .. }
            | Refusal::BalanceMismatch { .. }
            | Refusal::LimitExceeded { .. }
            | Refusal::ProfileForbids { .. }
    )
}

/// What the till does next. Busy services and broken connections were retried already, until the deadline.
fn advice(error: &ClientError) -> &'static str {
    match error {
        // In doubt: it may be recorded. The pending request is repeated with its transaction number at the next run,
        // and gives the same update if it was.
        ClientError::Unreachable { .. } | ClientError::Timeout { .. } => {
            "advice: keep the card on the reader and try again; the same transaction is repeated, nothing is taken twice"
        }
        ClientError::Refused(reply) => match reply.refusal {
            // The log is ahead of the card: an update was recorded that never reached it. Guessing the next number
            // would lose that update's money; its till still has it pending.
            Refusal::CounterConflict { .. } | Refusal::BalanceMismatch { .. } => {
                "advice: read the card again; if it is as before, finish its transaction at the till where it began"
            }
            Refusal::LimitExceeded { .. } | Refusal::ProfileForbids { .. } => "advice: ask for less",
            Refusal::Frozen { .. } => {
                "advice: an officer has stopped this; do not serve the card, ask the officers"
            }
            // The journal and this request disagree about one transaction number: a copied state folder, for one.
            Refusal::IdemConflict => {
                "advice: call for service; this till repeats a number of another request"
            }
            _ if reply.retryable => "advice: try again in a moment; the same transaction is repeated",
            _ => "advice: call for service and give the request number",
        },
        // Officers must agree to it first. The pending request is repeated with its transaction number at the next run,
        // and gives the update once they have.
        ClientError::Pending(proposal) if proposal.waits() => {
            "advice: officers must agree first; write nothing, and put the same card on the reader again later"
        }
        ClientError::Pending(_) => "advice: it was not agreed to; begin again if it is still wanted",
        // Nothing was written to the card, and nothing may be.
        ClientError::Untrusted { .. } | ClientError::NotSigned(_) | ClientError::Malformed { .. } => {
            "advice: take this till out of service, keep its state folder, and tell the officers"
        }
        _ => "advice: call for service; the configuration or a file of this till is wrong",
    }
}

/// Verifies what the card holds without the service.
fn check(sale: &Sale) -> Result<(), Box<dyn Error>> {
    let offline = Offline::open(&read_config(sale)?)?;
    let card = Card::read(&sale.card)?;
    if card.record.is_empty() {
        return Err("the card holds no record".into());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let update = offline.verify(&card.record, u64::try_from(now.as_millis())?)?;
    // The signature says what was recorded; that the card carries the same is for the till to compare.
    if (update.card, update.seq, update.balance_after) != (card.uid, card.seq, card.balance) {
        return Err("the card says other than its record".into());
    }
    writeln!(
        io::stdout(),
        "card {}, balance {}, seq {}: verified offline",
        card.uid,
        card.balance,
        card.seq
    )?;
    Ok(())
}

/// Stands for the reader: a file with what a fob holds. UID, sequence number, balance; the signed record beside it.
struct Card {
    path: PathBuf,
    uid: CardUid,
    seq: u64,
    balance: u64,
    record: Vec<u8>,
}

impl Card {
    fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let text = if path.exists() { fs::read_to_string(path)? } else { "04782e21801d80 0 0".to_owned() };
        let [uid, seq, balance] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(format!("{}: not a card", path.display()).into());
        };
        let record = path.with_extension("record");
        let record = if record.exists() { fs::read(record)? } else { Vec::new() };
        Ok(Self {
            path: path.to_owned(),
            uid: uid.parse()?,
            seq: seq.parse()?,
            balance: balance.parse()?,
            record,
        })
    }

    /// A real card takes record, number and balance in one transaction of its own.
    fn write(&mut self, signed: &SignedUpdate) -> io::Result<()> {
        (self.seq, self.balance) = (signed.update.seq, signed.update.balance_after);
        self.record.clone_from(&signed.record);
        replace(&self.path.with_extension("record"), &self.record)?;
        replace(&self.path, format!("{} {} {}\n", self.uid, self.seq, self.balance).as_bytes())
    }
}

/// The request that is under way, on disk from before it is sent until the card holds its update.
struct Pending(PathBuf);

impl Pending {
    fn of(card: &Path) -> Self {
        Self(card.with_extension("pending"))
    }

    fn read(&self, terminal: &Terminal) -> Result<Option<SignedRequest>, Box<dyn Error>> {
        if !self.0.exists() {
            return Ok(None);
        }
        // Our own signature says that the file is whole.
        Ok(Some(SignedRequest::open(fs::read(&self.0)?, terminal.reader().founded())?))
    }

    fn write(&self, request: &SignedRequest) -> io::Result<()> {
        replace(&self.0, request.as_bytes())
    }

    fn forget(&self) -> io::Result<()> {
        fs::remove_file(&self.0)
    }
}

/// Written beside, synced, renamed, and the folder synced: whole or not there, whenever the power goes.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

impl Sale {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let (mut config, mut programme, mut card, mut what) = (None, None, None, None);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} without a value"));
            match word.as_str() {
                "--config" => config = Some(value()?.into()),
                "--programme" => programme = Some(value()?.parse()?),
                "--card" => card = Some(value()?.into()),
                "load" => what = Some(What::Update(ValueOperation::Load, value()?.parse()?)),
                "debit" => what = Some(What::Update(ValueOperation::Debit, value()?.parse()?)),
                "check" => what = Some(What::Check),
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(Self {
            config: config.ok_or("no --config")?,
            programme: programme.ok_or("no --programme")?,
            card: card.ok_or("no --card")?,
            what: what.ok_or("nothing to do")?,
        })
    }
}

/// For people, on stderr: stdout is data.
fn say(text: &str) {
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
