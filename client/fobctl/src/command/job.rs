//! `fobctl job`: its verbs, and what they share. Each verb stands in a file of its own.

pub(crate) mod agree;
pub(crate) mod close;
pub(crate) mod count;
pub(crate) mod create;
pub(crate) mod incident;
pub(crate) mod list;
mod new;
pub(crate) mod open;
pub(crate) mod record;
pub(crate) mod run;
pub(crate) mod seal;
pub(crate) mod show;
pub(crate) mod suspend;
pub(crate) mod withdraw;

use crate::{
    args::JobVerb,
    fault::Fault,
    output::{Output, Report},
    own_key,
    pin::PinSource,
    shown::rows,
};
use keysvc_client::{
    ClientConfig, Operator, Reader, Station,
    protocol::{job::JobState, name::Name, request::Operation},
};
use serde::Serialize;
use std::io::Write;

/// What became of an act on a job.
#[derive(Debug, Serialize)]
struct DoneReport {
    operation: &'static str,
    job: String,
    state: &'static str,
}

/// Runs a verb that needs no configuration; nothing for the others.
pub(super) fn offline<W: Write>(verb: &JobVerb, output: &mut Output<W>) -> Option<Result<(), Fault>> {
    match verb {
        JobVerb::New => Some(new::run(output)),
        _ => None,
    }
}

/// Runs a verb that waits for its machine or signs without the service; nothing for the others.
pub(super) fn waiting<W: Write>(
    verb: &JobVerb,
    config: &ClientConfig,
    output: &mut Output<W>,
) -> Option<Result<(), Fault>> {
    match verb {
        JobVerb::Agree(verb) => Some(agree::run(config, verb, output)),
        JobVerb::Run(args) => Some(run::run(config, args, output)),
        _ => None,
    }
}

/// Runs a verb.
///
/// # Errors
/// [`Fault`] with the exit code and the next command.
pub(super) async fn run<W: Write>(
    verb: JobVerb,
    config: &ClientConfig,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    match verb {
        JobVerb::Create(args) => create::run(config, &args, output).await,
        JobVerb::Seal(args) => seal::run(config, &args, output).await,
        JobVerb::Withdraw(args) => withdraw::run(config, args, output).await,
        JobVerb::Open(args) => open::run(config, open::Begin::Open, &args, output).await,
        JobVerb::Resume(args) => open::run(config, open::Begin::Resume, &args, output).await,
        JobVerb::Suspend(args) => suspend::run(config, args, output).await,
        JobVerb::Incident(args) => incident::run(config, &args, output).await,
        JobVerb::Count(args) => count::run(config, &args, output).await,
        JobVerb::Close(args) => close::run(config, &args, output).await,
        JobVerb::Show(args) => show::run(config, &args, output).await,
        JobVerb::List(args) => list::run(config, &args, output).await,
        JobVerb::Record(args) => record::run(config, &args, output).await,
        // Done before.
        JobVerb::New | JobVerb::Agree(_) | JobVerb::Run(_) => Ok(()),
    }
}

/// The connections of an operator, with their own key.
async fn operator(config: &ClientConfig, pin: &PinSource) -> Result<Operator, Fault> {
    let reader = Reader::connect(config).await.map_err(|error| Fault::client("connect", error))?;
    let label = config.token.as_ref().map_or("the operator", |settings| settings.label.as_str());
    let who = reader.own_name().map_or(label, |own| own.name.as_str());
    let signer = own_key::signer(config, who, pin)?;
    Operator::with_signer(&reader, signer).map_err(|error| Fault::client("sign", error))
}

async fn station(config: &ClientConfig) -> Result<Station, Fault> {
    Station::connect(config).await.map_err(|error| Fault::client("connect as a station", error))
}

/// Prints what became of an act.
fn done<W: Write>(
    operation: Operation,
    job: &Name,
    state: JobState,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    output.print(&DoneReport { operation: operation.name(), job: job.to_string(), state: state.name() })
}

impl Report for DoneReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-job-done/1"
    }

    fn text(&self) -> String {
        rows([("done", self.operation.to_owned()), ("job", format!("{}, {}", self.job, self.state))])
    }
}
