//! `fobctl job close`: the station erases what it has of a job, and says so with a receipt that a monitor witnessed.
//!
//! The receipt is kept from the erasure until the service has it: a command that broke off, or whose witness comes later,
//! goes on with the same one, as long as it is true. Where a session was begun or the job was counted since, all is erased
//! again, and no monitor signs the old one. Nothing is erased before the count balances.

use crate::{
    advice::after_refusal,
    fault::Fault,
    job::{
        floor::{self, Floor},
        place::Place,
        view::next,
    },
    output::{Output, Report, tell},
    shown::{rows, utc},
};
use keysvc_client::{
    ClientConfig, ClientError,
    protocol::{
        job::{JobAct, JobState, PurgeReceipt},
        name::Name,
        refusal::{Conflict, Refusal, Uncounted},
        request::Operation,
    },
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
The monitor signs at this machine with a context of their own, or elsewhere: then
run it without a witness first, have them sign the receipt that it writes, and run
it again with their agreement.

Examples:
  fobctl --context station-1 job close nfc-2026-11 --witness monitor-1
  fobctl --context station-1 job close nfc-2026-11
  fobctl --context monitor-1 job agree close nfc-2026-11 --receipt FILE --out monitor-1.agreement
  fobctl --context station-1 job close nfc-2026-11 --agreement monitor-1.agreement";

/// `fobctl job close`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CloseArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Name,
    /// The monitor who signs here: a context, or a client.toml.
    #[arg(long, value_name = "CONTEXT", conflicts_with = "agreement")]
    witness: Option<String>,
    /// The monitor's agreement out of a file.
    #[arg(long, value_name = "FILE")]
    agreement: Option<PathBuf>,
    /// Sign without asking. What is signed is shown all the same.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct CloseReport {
    job: String,
    state: &'static str,
    erased: String,
    files: u32,
    method: String,
    witness: String,
}

/// Erases, has it witnessed, and says so.
///
/// # Errors
/// [`Fault`] of files, cards and service; [`Fault::Undone`] where the witness is still to sign.
pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &CloseArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let job = &args.job;
    let floor = Floor::of(config, args.yes)?;
    let station = super::station(config).await?;
    let place = Place::of(config, job)?;
    let view = station.reader().job(job).await.map_err(|error| Fault::client("read the job", error))?;
    let receipt = match view.state {
        // The answer to an earlier run was lost.
        state @ (JobState::Closed | JobState::Purged) if !place.is_empty() => {
            tell(&closed_already(&place, station.name())?);
            return super::done(Operation::JobClose, job, state, output);
        }
        JobState::Counted => match place.receipt()? {
            Some(receipt) => receipt,
            None if args.agreement.is_some() => return Err(not_erased(job)),
            None => place.erase(station.name())?,
        },
        state => {
            // Whatever was erased here, the job went on since.
            place.outdate()?;
            return Err(not_counted(job, state));
        }
    };
    let files: Vec<PathBuf> = args.agreement.iter().cloned().collect();
    if args.witness.is_none() && files.is_empty() {
        return Err(unwitnessed(job, &place));
    }
    let who = floor::people([args.witness.as_ref()], &files, "give --witness CONTEXT, or --agreement FILE")?;
    let act = JobAct::Close { receipt: receipt.clone() };
    let [witness] = floor.agreed((job, &act), &who)?;
    let person = witness.claim().person.to_string();
    let closed = station.close_job(job, receipt.clone(), witness).await;
    let state = closed.or_else(|error| not_closed(error, &place, job))?;
    place.clear()?;
    output.print(&CloseReport::of(job, state, &receipt, person))?;
    tell(&format_args!("next: {}", next(job.as_str(), JobState::Purged)));
    Ok(())
}

/// Removes what is left here of a job that is closed, and says so.
fn closed_already(place: &Place, station: &Name) -> Result<&'static str, Fault> {
    let said = if place.receipt()?.is_some() {
        "the service has the receipt already"
    } else {
        place.erase(station)?;
        "the job is closed already; what was left of it here is erased"
    };
    place.clear()?;
    Ok(said)
}

fn not_erased(job: &Name) -> Fault {
    let next = format!("erase it first: `fobctl job close {job}`, and have its new receipt signed");
    Fault::usage("nobody can have witnessed what is not erased yet", next)
}

fn not_counted(job: &Name, state: JobState) -> Fault {
    let reason = match state {
        JobState::Open => Conflict::Unbalanced,
        state => Conflict::JobState { state },
    };
    Fault::Undone {
        what: format!("job {job} is {state}: it is closed once its count balances"),
        code: 7,
        next: after_refusal(&Refusal::StateConflict { reason }),
    }
}

/// The service refused it. Where receipt or agreement are from before the last count, the receipt is none any more.
fn not_closed(error: ClientError, place: &Place, job: &Name) -> Result<JobState, Fault> {
    let stale = matches!(error.refusal(), Some(Refusal::ApprovalInvalid { reason: Uncounted::Stale }));
    if stale {
        place.outdate()?;
    }
    Err(Fault::client("close the job", error).advised(|_| {
        stale.then(|| {
            format!(
                "sign again, now: run `fobctl job close {job}`, which erases again and makes a new receipt, and have a \
                 monitor sign that one"
            )
        })
    }))
}

fn unwitnessed(job: &Name, place: &Place) -> Fault {
    let receipt = place.receipt_file();
    Fault::Undone {
        what: format!("the station's data of job {job} are erased, and nobody witnessed it yet"),
        code: 5,
        next: format!(
            "a monitor signs the receipt: `fobctl --context MONITOR job agree close {job} --receipt {} --out FILE`; \
             then `fobctl job close {job} --agreement FILE`",
            receipt.display()
        ),
    }
}

impl CloseReport {
    fn of(job: &Name, state: JobState, receipt: &PurgeReceipt, witness: String) -> Self {
        Self {
            job: job.to_string(),
            state: state.name(),
            erased: utc(receipt.erased_ms),
            files: receipt.files,
            method: receipt.method.as_str().to_owned(),
            witness,
        }
    }
}

impl Report for CloseReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-job-close/1"
    }

    fn text(&self) -> String {
        let files = if self.files == 1 { "1 file".to_owned() } else { format!("{} files", self.files) };
        rows([
            ("closed", format!("{}, {}", self.job, self.state)),
            ("erased", format!("{files}, {}", self.erased)),
            ("by", self.method.clone()),
            ("witness", self.witness.clone()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::{
        bytes::Idem,
        refusal::{RefusalReply, RequestId},
    };
    use std::fs;

    fn refused(refusal: Refusal) -> ClientError {
        ClientError::Refused(Box::new(RefusalReply::new(refusal, RequestId(Idem::new([7; 16])))))
    }

    #[test]
    fn a_receipt_that_the_service_finds_stale_is_not_offered_again() {
        let folder = tempfile::tempdir().unwrap();
        let job: Name = "nfc-1".parse().unwrap();
        let place = Place::in_state(folder.path(), &job).unwrap();
        let first = place.erase(&"station-1".parse().unwrap()).unwrap();
        let other = not_closed(refused(Refusal::SamePerson), &place, &job).unwrap_err();
        assert!(!other.next().contains("sign again, now"));
        assert_eq!(place.receipt().unwrap(), Some(first), "another refusal leaves it true");
        let stale = refused(Refusal::ApprovalInvalid { reason: Uncounted::Stale });
        let fault = not_closed(stale, &place, &job).unwrap_err();
        assert!(
            fault.next().starts_with("sign again, now: run `fobctl job close nfc-1`"),
            "{}",
            fault.next()
        );
        assert_eq!(place.receipt().unwrap(), None);
    }

    #[test]
    fn what_is_left_of_a_closed_job_is_erased_without_a_receipt() {
        let folder = tempfile::tempdir().unwrap();
        let job: Name = "nfc-1".parse().unwrap();
        let place = Place::in_state(folder.path(), &job).unwrap();
        drop(place.journal().unwrap());
        let said = closed_already(&place, &"station-1".parse().unwrap()).unwrap();
        assert!(said.contains("what was left of it here is erased"), "{said}");
        assert_eq!(fs::read_dir(folder.path().join("jobs")).unwrap().count(), 0);
    }
}
