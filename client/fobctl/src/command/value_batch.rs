//! `fobctl value batch`: many updates of a file, signed by the own terminal key and sent together, as a hub does.
//!
//! The transaction numbers are written beside the records before the first send: with that file a batch that broke
//! off is repeated without loading or debiting twice.

mod lines;
mod outcome;

use crate::{
    command::value_batch::{
        lines::Line,
        outcome::{BatchReport, OutcomeView},
    },
    fault::Fault,
    file::{self, Readers},
    output::{Output, tell},
    progress,
    typed::Typed,
};
use keysvc_client::{
    ClientConfig, Hub, Terminal,
    hub::NotReleased,
    protocol::name::Name,
    terminal::{SignedRequest, SignedUpdate},
};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// The file of the lines with their transaction numbers, in the folder of the records.
const JOURNAL: &str = "batch.csv";

const EXAMPLES: &str = "\
The file has a line for each update, with the meaning of `fobctl value load`:
  operation,programme,card,purse,amount,seq,balance
One more column holds the transaction number where a batch is repeated. What
follows a # is left out. A purse's lines stand in the order of their numbers.

Examples:
  fobctl value batch morning.csv --out-dir morning
  fobctl value batch morning/batch.csv --out-dir morning   # repeats it: nothing is done twice";

/// `fobctl value batch`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BatchArgs {
    /// The updates, CSV.
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// The folder for the signed records, CARD-PURSE-SEQ.cose, and for batch.csv; made where it is missing.
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &BatchArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let bytes = file::read(&args.file, lines::FILE_LEN_MAX)?;
    let terminal =
        Terminal::connect(config).await.map_err(|error| Fault::client("connect as a terminal", error))?;
    let founding = terminal.reader().founded().founding();
    let currency = |programme: &Name| {
        founding.programmes.iter().find(|one| one.name == *programme).map(|one| one.currency)
    };
    let lines = lines::parse(&bytes, &args.file, currency)?;
    args.begin(&lines)?;
    let hub = Hub::connect(config).await.map_err(|error| Fault::client("connect as a hub", error))?;
    let mut outcomes = Vec::with_capacity(lines.len());
    let sent = send(&terminal, &hub, args, &lines, &mut outcomes).await;
    let report = BatchReport::new(terminal.name(), &args.out_dir, outcomes, &lines);
    output.print(&report)?;
    sent.map_err(|fault| {
        fault.advised(|_| Some(format!("`{}`: what is done is not done twice", args.again())))
    })?;
    report.ended(&args.journal())
}

/// Sends the lines in batches and says what became of each.
async fn send(
    terminal: &Terminal,
    hub: &Hub,
    args: &BatchArgs,
    lines: &[Line],
    outcomes: &mut Vec<OutcomeView>,
) -> Result<(), Fault> {
    let progress = progress::bar(lines.len(), Hub::BATCH_MAX, "updates");
    for some in lines.chunks(Hub::BATCH_MAX) {
        let mut signed: Vec<SignedRequest> = Vec::with_capacity(some.len());
        for line in some {
            let request = terminal.sign_update(&line.request).await;
            signed.push(request.map_err(|error| Fault::client("sign the updates", error))?);
        }
        let released = hub.send(&signed).await.map_err(|error| Fault::client("send the updates", error))?;
        for (line, released) in some.iter().zip(released) {
            outcomes.push(args.outcome(line, released)?);
        }
        progress.inc(u64::try_from(some.len()).unwrap_or_default());
    }
    Ok(())
}

impl BatchArgs {
    fn journal(&self) -> PathBuf {
        self.out_dir.join(JOURNAL)
    }

    /// Makes the folder and writes the lines with their transaction numbers, before anything is sent.
    fn begin(&self, lines: &[Line]) -> Result<(), Fault> {
        let fault = |source| Fault::File { doing: "write", path: self.out_dir.clone(), source };
        fs::create_dir_all(&self.out_dir).map_err(fault)?;
        let journal = self.journal();
        let same = |path: &Path| fs::canonicalize(path).ok();
        // A repeated batch: its numbers are in the file already.
        if same(&journal).is_some_and(|journal| same(&self.file) == Some(journal)) {
            return Ok(());
        }
        if journal.exists() {
            return Err(Fault::usage(
                format!("{} holds another batch", self.out_dir.display()),
                format!("name another folder with --out-dir, or repeat that batch: `{}`", self.again()),
            ));
        }
        file::write(&journal, lines::journal(lines).as_bytes(), Readers::Others)?;
        tell(&format_args!(
            "transaction numbers in {}; if this breaks off, `{}`",
            journal.display(),
            self.again()
        ));
        Ok(())
    }

    /// The command that repeats the batch.
    fn again(&self) -> Typed {
        let (file, journal) = (self.file.display().to_string(), self.journal().display().to_string());
        Typed::of_process().replacing(&file, &journal)
    }

    /// Writes a released record. One that is there already is of the same update: a purse has one at each sequence
    /// number.
    fn outcome(
        &self,
        line: &Line,
        released: Result<SignedUpdate, NotReleased>,
    ) -> Result<OutcomeView, Fault> {
        let update = match released {
            Ok(update) => update,
            Err(NotReleased::Refused(refusal)) => {
                return Ok(OutcomeView::refused(line, &refusal));
            }
            Err(NotReleased::Pending { proposal, persons, departments }) => {
                return Ok(OutcomeView::pending(line, &proposal, (persons, departments)));
            }
            Err(NotReleased::Unproved(error)) => return Ok(OutcomeView::unproved(line, &error)),
        };
        let request = &line.request;
        let path =
            self.out_dir.join(format!("{}-{}-{}.cose", request.card, request.purse, request.expected_seq));
        if !path.exists() {
            file::write(&path, &update.record, Readers::Others)?;
        }
        Ok(OutcomeView::signed(line, &update, &path))
    }
}
