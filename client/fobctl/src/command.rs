//! The commands, one file each. This one starts the runtime and hands each command its arguments.

pub(crate) mod audit_export;
pub(crate) mod audit_proof;
pub(crate) mod founding_sign;
pub(crate) mod key_get;
mod key_list;
pub(crate) mod station_derive;
mod status;
pub(crate) mod value_update;

use crate::{
    args::{Args, AuditVerb, FoundingVerb, KeyVerb, Noun, StationVerb, ValueVerb},
    fault::Fault,
    output::Output,
};
use keysvc_client::{ClientConfig, Reader, protocol::request::ValueOperation};
use std::io::Write;

/// Runs a command to its end.
///
/// # Errors
/// [`Fault`] with the exit code and the next command.
pub(crate) fn run_to_end<W: Write>(args: Args, output: &mut Output<W>) -> Result<(), Fault> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::Runtime)?;
    runtime.block_on(run(args, output))
}

async fn run<W: Write>(args: Args, output: &mut Output<W>) -> Result<(), Fault> {
    let config = args.read_config()?;
    match args.noun {
        Noun::Founding(FoundingVerb::Sign(args)) => founding_sign::run(&config, &args, output),
        Noun::Status => status::run(&config, output).await,
        Noun::Key(KeyVerb::List) => key_list::run(&config, output).await,
        Noun::Key(KeyVerb::Get(args)) => key_get::run(&config, &args, output).await,
        Noun::Station(StationVerb::Derive(args)) => station_derive::run(&config, &args, output).await,
        Noun::Value(ValueVerb::Load(args)) => {
            value_update::run(&config, ValueOperation::Load, args, output).await
        }
        Noun::Value(ValueVerb::Debit(args)) => {
            value_update::run(&config, ValueOperation::Debit, args, output).await
        }
        Noun::Audit(AuditVerb::Export(args)) => audit_export::run(&config, &args, output).await,
        Noun::Audit(AuditVerb::Proof(args)) => audit_proof::run(&config, &args, output).await,
    }
}

async fn connect(config: &ClientConfig) -> Result<Reader, Fault> {
    Reader::connect(config).await.map_err(|error| Fault::client("connect", error))
}
