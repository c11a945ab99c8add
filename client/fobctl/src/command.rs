//! The commands, one file each. This one starts the runtime and hands each command its arguments.

pub(crate) mod api;
pub(crate) mod audit_export;
pub(crate) mod audit_proof;
pub(crate) mod completions;
pub(crate) mod context;
pub(crate) mod founding_sign;
pub(crate) mod key_get;
mod key_list;
pub(crate) mod manual;
pub(crate) mod station_derive;
mod status;
pub(crate) mod terminal_bundle;
pub(crate) mod terminal_verify;
pub(crate) mod value_batch;
pub(crate) mod value_update;

use crate::{
    args::{Args, AuditVerb, ContextVerb, FoundingVerb, KeyVerb, Noun, StationVerb, TerminalVerb, ValueVerb},
    context::Surroundings,
    fault::Fault,
    output::Output,
    own_token,
};
use keysvc_client::{ClientConfig, Reader, protocol::request::ValueOperation};
use std::{io::Write, path::Path};

/// Runs a command to its end.
///
/// # Errors
/// [`Fault`] with the exit code and the next command.
pub(crate) fn run_to_end<W: Write>(args: Args, output: &mut Output<W>) -> Result<(), Fault> {
    let surroundings = Surroundings::of_process();
    // What needs no configuration comes first.
    match &args.noun {
        Noun::Completions(args) => return completions::run(args, output),
        Noun::Manual(args) => return manual::run(args, output),
        Noun::Context(ContextVerb::List) => {
            return context::list(&surroundings, args.choose(&surroundings).ok().as_ref(), output);
        }
        Noun::Context(ContextVerb::Use(args)) => return context::keep(&surroundings, args, output),
        _ => {}
    }
    let chosen = args.choose(&surroundings)?;
    let config = read_config(&chosen.file)?;
    if let Noun::Context(_) = args.noun {
        return context::show(&chosen, &config, output);
    }
    // Before anything else is done, because the program begins again where the persona has a token of its own.
    own_token::switch(&chosen, &config)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::Runtime)?;
    runtime.block_on(run(args.noun, &config, output))
}

fn read_config(file: &Path) -> Result<ClientConfig, Fault> {
    ClientConfig::read(file).map_err(|error| Fault::client("read the configuration", error.into()))
}

async fn run<W: Write>(noun: Noun, config: &ClientConfig, output: &mut Output<W>) -> Result<(), Fault> {
    match noun {
        Noun::Founding(FoundingVerb::Sign(args)) => founding_sign::run(config, &args, output),
        Noun::Status => status::run(config, output).await,
        Noun::Key(KeyVerb::List) => key_list::run(config, output).await,
        Noun::Key(KeyVerb::Get(args)) => key_get::run(config, &args, output).await,
        Noun::Station(StationVerb::Derive(args)) => station_derive::run(config, &args, output).await,
        Noun::Value(ValueVerb::Load(args)) => {
            value_update::run(config, ValueOperation::Load, args, output).await
        }
        Noun::Value(ValueVerb::Debit(args)) => {
            value_update::run(config, ValueOperation::Debit, args, output).await
        }
        Noun::Value(ValueVerb::Batch(args)) => value_batch::run(config, &args, output).await,
        Noun::Terminal(TerminalVerb::Bundle(args)) => terminal_bundle::run(config, &args, output).await,
        Noun::Terminal(TerminalVerb::Verify(args)) => terminal_verify::run(config, &args, output),
        Noun::Audit(AuditVerb::Export(args)) => audit_export::run(config, &args, output).await,
        Noun::Audit(AuditVerb::Proof(args)) => audit_proof::run(config, &args, output).await,
        Noun::Api(args) => api::run(config, &args, output).await,
        // Done before, without a connection.
        Noun::Context(_) | Noun::Completions(_) | Noun::Manual(_) => Ok(()),
    }
}

async fn connect(config: &ClientConfig) -> Result<Reader, Fault> {
    Reader::connect(config).await.map_err(|error| Fault::client("connect", error))
}
