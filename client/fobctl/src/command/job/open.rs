//! `fobctl job open` and `resume`: two operators begin a session of a job at its station.
//!
//! Their agreements are put down in the station's folder before they are sent: with them `fobctl job run` asks for the same
//! session again, in another process and after the service was restarted.

use crate::{
    fault::Fault,
    job::{
        floor::{self, Floor},
        place::Place,
        view::next,
    },
    moment,
    output::{Output, Report, tell},
    shown::{rows, utc},
};
use keysvc_client::{
    ClientConfig, ClientError,
    protocol::{
        job::{JobAct, JobState},
        name::Name,
        refusal::{Refusal, Uncounted},
    },
    station::Shift,
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Each operator signs at this machine with a context of their own, on their own card
where they have one, or brings a file that `fobctl job agree` wrote.

Examples:
  fobctl --context station-1 job open nfc-2026-11 --operator operator-1 --operator operator-2
  fobctl --context station-1 job resume nfc-2026-11 --operator operator-1 \\
      --agreement operator-2.agreement";

const WHO: &str = "give two of --operator CONTEXT and --agreement FILE, of two different people";

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// The first session, or the next one.
    Open,
    /// After a stop.
    Resume,
}

/// `fobctl job open` and `fobctl job resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct OpenArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Name,
    /// An operator who signs here: a context, or a client.toml. Twice, or once beside an agreement.
    #[arg(long, value_name = "CONTEXT")]
    operator: Vec<String>,
    /// An operator's agreement out of a file.
    #[arg(long, value_name = "FILE")]
    agreement: Vec<PathBuf>,
    /// Sign without asking each operator. What is signed is shown all the same.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct OpenReport {
    job: String,
    station: String,
    operators: Vec<String>,
    session_expires: String,
    #[serde(skip)]
    expires_ms: u64,
}

/// Has both operators sign, and begins the session.
///
/// # Errors
/// [`Fault`] of contexts, cards, files and service.
pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    begin: Begin,
    args: &OpenArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    if args.operator.len() > 2 {
        return Err(Fault::usage("two people sign this", WHO));
    }
    let here = [args.operator.first(), args.operator.get(1)];
    let who = floor::people(here, &args.agreement, WHO)?;
    let floor = Floor::of(config, args.yes)?;
    let station = super::station(config).await?;
    let place = Place::of(config, &args.job)?;
    let at = station.name().clone();
    let act = match begin {
        Begin::Open => JobAct::Open { station: at },
        Begin::Resume => JobAct::Resume { station: at },
    };
    let agreements = floor.agreed((&args.job, &act), &who)?;
    place.beginning(&agreements)?;
    let operators: Vec<_> = agreements.iter().map(|one| one.claim().person.to_string()).collect();
    let shift = begun(
        match begin {
            Begin::Open => station.open_job(&args.job, agreements).await,
            Begin::Resume => station.resume_job(&args.job, agreements).await,
        },
        &place,
    )?;
    output.print(&OpenReport {
        job: args.job.to_string(),
        station: station.name().to_string(),
        operators,
        session_expires: utc(shift.expires_ms()),
        expires_ms: shift.expires_ms(),
    })?;
    tell(&format_args!("next: {}", next(args.job.as_str(), JobState::Open)));
    Ok(())
}

/// Puts down whether the session is there. An answer that was lost leaves both possible.
fn begun(shift: Result<Shift, ClientError>, place: &Place) -> Result<Shift, Fault> {
    match &shift {
        Ok(_) => place.begun()?,
        Err(ClientError::Refused(_) | ClientError::Request { .. }) => place.not_begun()?,
        Err(_) => {}
    }
    shift.map_err(|error| {
        Fault::client("open the job", error).advised(|error| match error {
            ClientError::Unreachable { .. } | ClientError::Timeout { .. } => Some(
                "run `fobctl job run JOB --writer PROGRAM` when the service answers: where the session was begun, it goes \
                 on; else have both operators sign again"
                    .to_owned(),
            ),
            error => before_the_last(error.refusal()?),
        })
    })
}

/// What to do where the service finds an agreement stale: signed too long ago, or before the last session began or ended.
fn before_the_last(refusal: &Refusal) -> Option<String> {
    matches!(refusal, Refusal::ApprovalInvalid { reason: Uncounted::Stale }).then(|| {
        "sign again, now: both operators sign after the last session began and after its stop, and not more than a quarter \
         of an hour before it is sent, by clocks that agree"
            .to_owned()
    })
}

impl Report for OpenReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-job-open/1"
    }

    fn text(&self) -> String {
        rows([
            ("open", format!("{} at {}", self.job, self.station)),
            ("operators", self.operators.join(", ")),
            ("session ends", moment::planned(self.expires_ms)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agreement_from_before_the_last_session_is_to_be_signed_again_now() {
        let next = before_the_last(&Refusal::ApprovalInvalid { reason: Uncounted::Stale }).unwrap();
        assert!(next.starts_with("sign again, now: both operators"), "{next}");
        assert_eq!(before_the_last(&Refusal::ApprovalInvalid { reason: Uncounted::UsedBefore }), None);
    }
}
