//! The command line of `keysvc`.

use crate::{
    config::Config,
    doctor,
    error::Fault,
    front::{self, FrontSettings},
    keeper::{founding, start},
    output::Output,
    supervisor, telemetry,
};
use clap::{Parser, Subcommand};
use keysvc_protocol::key::KeyRecord;
use std::{path::PathBuf, process::ExitCode};

/// What `--help` says of exit codes.
const EXIT_CODES: &str = "Exit codes: 0 done; 2 wrong command line; 3 refuses, something must be mended first; \
10 the token is gone or away, 11 a commit failed, 12 a broken invariant: the parent starts the keeper again.";

/// HSM-style key and card crypto service.
#[derive(Debug, Parser)]
#[command(name = "keysvc", version, about, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, default_value = "/etc/keysvc/keysvc.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Found the service: check every officer's signature, make the keys, write leaf 0, print the genesis digest.
    Init,
    /// Run front and keeper, and start again whichever ends.
    Serve,
    /// Run the half that faces the network.
    Front,
    /// Run the half that holds the token and the store.
    Keeper,
    /// Check token, store, policies, certificates and clock, one line each.
    Doctor,
    /// Check the configuration file and print the policies' digest.
    CheckConfig,
}

/// Runs the command and gives the exit code: 0 done, 2 usage, 3 refusing, and the keeper's own of
/// [`crate::error::Exit`].
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let output = Output;
    let done = match arguments.command {
        Command::Init => init(arguments, &output),
        Command::Serve => return serve(arguments, &output),
        Command::Front => front(arguments),
        Command::Keeper => keeper(arguments),
        Command::Doctor => return doctor::run(&arguments.config, &output),
        Command::CheckConfig => check_config(arguments, &output),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            output.error("keysvc", &fault.chain());
            fault.exit().into()
        }
    }
}

fn runtime(workers: usize) -> Result<tokio::runtime::Runtime, Fault> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .map_err(|source| Fault::Io { what: "starting the worker threads", source })
}

fn init(arguments: &Arguments, output: &Output) -> Result<(), Fault> {
    let founded = runtime(1)?.block_on(founding::found(&arguments.config))?;
    let officers: Vec<&str> = founded.officers.iter().map(keysvc_protocol::name::Name::as_str).collect();
    output.line(&format!("trust domain  {}", founded.trust.domain));
    output.line(&format!("signed by     {}", officers.join(", ")));
    if founded.development {
        output.line("              DEVELOPMENT: keys with known values are allowed; not for real cards");
    }
    for key in &founded.keys {
        output.line(&key_line(key));
    }
    output.line(&format!("genesis       {}", founded.trust.genesis));
    output.line(
        "              Every officer compares this digest with the others: all trust in the log starts here.",
    );
    output.line(&format!("next          keysvc --config {} serve", arguments.config.display()));
    Ok(())
}

fn key_line(key: &KeyRecord) -> String {
    let test = if key.test_key { "  TEST KEY" } else { "" };
    let check = key.check.to_string();
    let short = check.get(..16).unwrap_or(&check);
    format!(
        "key           {:<28} {:<18} {:<5} {short}{test}",
        key.name.as_str(),
        key.kind.name(),
        key.check.method()
    )
}

fn serve(arguments: &Arguments, output: &Output) -> ExitCode {
    telemetry::start();
    let run = || -> Result<ExitCode, Fault> {
        Config::read(&arguments.config)?;
        let program =
            std::env::current_exe().map_err(|source| Fault::Io { what: "finding this program", source })?;
        let code = runtime(1)?.block_on(supervisor::run(&program, &arguments.config));
        Ok(code.map_err(|source| Fault::Io { what: "running front and keeper", source })?.into())
    };
    run().unwrap_or_else(|fault| {
        output.error("keysvc", &fault.chain());
        fault.exit().into()
    })
}

fn front(arguments: &Arguments) -> Result<(), Fault> {
    telemetry::start();
    let config = Config::read(&arguments.config)?;
    runtime(2)?.block_on(async {
        follow_parent()?;
        front::run(front_settings(&config)).await.map_err(Fault::from)
    })
}

fn keeper(arguments: &Arguments) -> Result<(), Fault> {
    // Set first: a panic in the process that holds the keys ends it at once, whatever thread it is on.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(%panic, "the keeper panicked");
        // Not an exit: a module's own clean-up must not run beside calls in progress on other threads.
        std::process::abort();
    }));
    telemetry::start();
    let workers = Config::read(&arguments.config)?.keeper.limits.workers;
    runtime(workers)?.block_on(async {
        follow_parent()?;
        start::run(&arguments.config).await
    })
}

/// The front's settings, from the configuration.
#[must_use]
pub fn front_settings(config: &Config) -> FrontSettings {
    let front = &config.front;
    FrontSettings {
        listen: front.listen,
        certificate: front.certificate.clone(),
        key: front.key.clone(),
        ca: front.ca.clone(),
        crls: front.crls.clone(),
        trust_domain: config.trust_domain.clone(),
        keeper_socket: config.keeper.socket.clone(),
        limits: front.limits,
    }
}

/// A half that a parent started ends with it.
fn follow_parent() -> Result<(), Fault> {
    supervisor::end_with_parent().map_err(|source| Fault::Io { what: "watching the parent", source })
}

fn check_config(arguments: &Arguments, output: &Output) -> Result<(), Fault> {
    let config = Config::read(&arguments.config)?;
    let policies = keysvc_policies::PolicySet::load(&config.keeper.policies)?;
    let digest = keysvc_protocol::bytes::Digest::new(policies.digest());
    output.line(&format!("configuration {} is good", arguments.config.display()));
    output.line(&format!("policy digest {digest}"));
    output
        .line(&format!("next          put it into {} as: policy = \"{digest}\"", config.founding.display()));
    Ok(())
}
