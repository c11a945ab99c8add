//! `fobctl job incident`: the station reports something that went wrong, in the words of operator and reviewer.

use super::count::ReviewArgs;
use crate::{
    fault::Fault,
    job::{act_args::IncidentArgs, floor},
    output::{Output, tell},
};
use keysvc_client::{
    ClientConfig,
    protocol::{job::JobAct, name::Name, request::Operation},
};
use std::io::Write;

const EXAMPLES: &str = "\
Operator and reviewer sign at this machine with contexts of their own, or bring
files that `fobctl job agree incident` wrote: the operator's first. Both are to be
of the same words and the same time (--at).

Examples:
  fobctl --context station-1 job incident nfc-2026-11 --cause 'a card got stuck' --place 'tray 2' \\
      --in-hand 1 --operator operator-1 --reviewer reviewer-1";

/// `fobctl job incident`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct IncidentVerbArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Name,
    #[command(flatten)]
    incident: IncidentArgs,
    #[command(flatten)]
    people: ReviewArgs,
}

/// Has both sign, and reports it.
///
/// # Errors
/// [`Fault`] of contexts, cards, files and service.
pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &IncidentVerbArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let who = args.people.who()?;
    let floor = args.people.floor(config)?;
    let station = super::station(config).await?;
    // A file says it all; without one the job's own equipment is meant where none is named.
    let given = if args.incident.is_given() || args.people.agreement.is_empty() {
        let view = station.reader().job(&args.job).await;
        let view = view.map_err(|error| Fault::client("read the job", error))?;
        Some(JobAct::Incident { incident: args.incident.read(Some(&view.equipment))? })
    } else {
        None
    };
    let act = floor::act_of(&args.people.agreement, given, "give --cause TEXT --place TEXT --in-hand N")?;
    let JobAct::Incident { incident } = act else {
        let next = "give one that `fobctl job agree incident` wrote";
        return Err(Fault::usage("the file holds no report of an incident", next));
    };
    let act = JobAct::Incident { incident: incident.clone() };
    let agreements = floor.agreed((&args.job, &act), &who)?;
    let state = station.report_incident(&args.job, incident, agreements).await;
    let state = state.map_err(|error| Fault::client("report the incident", error))?;
    super::done(Operation::JobIncident, &args.job, state, output)?;
    let job = &args.job;
    tell(&format_args!(
        "next: clear the machine, then `fobctl job run {job} --writer PROGRAM`; or stop the job: `fobctl --context \
         OPERATOR job suspend {job}`"
    ));
    Ok(())
}
