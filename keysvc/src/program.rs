//! The command line of `keysvc`.

use crate::{
    check_config,
    config::{Config, Half},
    doctor,
    error::Fault,
    front::{self, FrontSettings, Reread},
    keeper::{
        endpoint,
        founding::{self, Leftovers, Orphans},
        start, verify_store,
    },
    output::Output,
    parent,
    sandbox::{self, Role, trial},
    service_manager, supervisor, telemetry,
};
use clap::{Parser, Subcommand};
use keysvc_protocol::key::KeyRecord;
use std::{path::PathBuf, process::ExitCode};

/// What `--help` says of exit codes.
const EXIT_CODES: &str = "Exit codes: 0 done; 2 wrong command line; 3 refuses, something must be mended first; \
10 the token is gone or away, 11 a commit failed, 12 a broken invariant, 14 another token is in place: the parent starts \
the keeper again; 13 the token refused the PIN: it does so once the PIN is another one.";

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
    Init {
        /// Destroy what an interrupted founding left in the token and beside it, then found. Lists everything first;
        /// only what that founding announced is ever destroyed.
        #[arg(long)]
        discard_orphans: bool,
        /// Do not ask before destroying.
        #[arg(long, requires = "discard_orphans")]
        yes: bool,
    },
    /// Run front and keeper, and start again whichever ends.
    Serve,
    /// Run the half that faces the network.
    Front,
    /// Run the half that holds the token and the store.
    Keeper,
    /// Check token, store, policies, certificates and clock, one line each.
    Doctor,
    /// Make every table of the store again from the log and compare; the keeper must be stopped. 0 verified, 3 differs.
    VerifyStore {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Enter a half's sandbox and try what must fail there.
    #[command(hide = true)]
    TrySandbox {
        /// Which half.
        role: Role,
    },
    /// Check the configuration file: say everything that must be mended, or what will be used and the policies' digest.
    CheckConfig,
}

/// Runs the command and gives the exit code: 0 done, 2 usage, 3 refusing, and the keeper's own of
/// [`crate::error::Exit`].
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let output = Output;
    let done = match arguments.command {
        Command::Init { discard_orphans, yes } => init(arguments, (discard_orphans, yes), &output),
        Command::Serve => return serve(arguments, &output),
        Command::Front => front(arguments),
        Command::Keeper => keeper(arguments),
        Command::VerifyStore { json } => match verify_store::run(&arguments.config, json, &output) {
            Ok(code) => return code,
            Err(fault) => Err(fault),
        },
        Command::TrySandbox { role } => match trial::run(role, &arguments.config, &output) {
            Ok(code) => return code,
            Err(fault) => Err(fault),
        },
        Command::Doctor => return doctor::run(&arguments.config, &output),
        Command::CheckConfig => return check_config::run(&arguments.config, &output),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            if !parent::was_said(fault.exit()) {
                output.error("keysvc", &fault.chain());
            }
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

fn init(arguments: &Arguments, (discard, yes): (bool, bool), output: &Output) -> Result<(), Fault> {
    let confirm = |orphans: &Orphans| confirmed(orphans, yes, output);
    let leftovers = if discard { Leftovers::Discard(&confirm) } else { Leftovers::Refuse };
    let founded = runtime(1)?.block_on(founding::found(&arguments.config, &leftovers))?;
    if founded.finished {
        output.error(
            "keysvc",
            "an interrupted founding was finished: leaf 0 was on disk, nothing was made again",
        );
    }
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

/// Shows what is to be destroyed, and has the token's label typed, unless the command line agreed before.
fn confirmed(orphans: &Orphans, yes: bool, output: &Output) -> Result<(), Fault> {
    let what = "an interrupted founding left this; it will be destroyed for good, then founded anew:";
    output.error("keysvc", &format!("{what}\n  {}", orphans.lines().join("\n  ")));
    if yes {
        return Ok(());
    }
    let refused = |why: &str| Err(Fault::Refusing(format!("nothing was destroyed: {why}")));
    match output.ask(&format!("type the token's label, {}, to destroy it: ", orphans.token)) {
        None => refused("nobody is there to be asked; run it on a terminal, or add --yes"),
        Some(typed) if typed.trim() == orphans.token => Ok(()),
        Some(_) => refused("that was not the token's label"),
    }
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
    let run = || -> Result<ExitCode, Fault> {
        // As the halves do, and no more: a module that is away is waited for.
        Config::read_for(&arguments.config, Half::Front)?;
        let config = Config::read_for(&arguments.config, Half::Keeper)?;
        config.token.pin_source()?.readable_again()?;
        let _log = telemetry::start(config.log);
        sandbox::enter_lightly();
        let program =
            std::env::current_exe().map_err(|source| Fault::Io { what: "finding this program", source })?;
        let code = runtime(1)?.block_on(supervisor::run(&program, &arguments.config, || {
            service_manager::ready("both halves serve");
        }));
        Ok(code.map_err(|source| Fault::Io { what: "running front and keeper", source })?.into())
    };
    run().unwrap_or_else(|fault| {
        output.error("keysvc", &fault.chain());
        fault.exit().into()
    })
}

fn front(arguments: &Arguments) -> Result<(), Fault> {
    let config = Config::read_for(&arguments.config, Half::Front)?;
    let confined = sandbox::enter(Role::Front, &arguments.config, &config)?;
    let mut log = telemetry::start(config.log);
    confined.tell();
    let (file, format) = (arguments.config.clone(), config.log.format);
    let reread = move || {
        let config = Config::read_for(&file, Half::Front).map_err(|error| error.to_string())?;
        let mut changed: Vec<_> = log.apply(config.log).into_iter().collect();
        if config.log.format != format {
            changed.push("log.format, at the next start".to_owned());
        }
        Ok(Reread { settings: front_settings(&config), changed })
    };
    runtime(2)?.block_on(async {
        follow_parent()?;
        front::run(front_settings(&config), reread).await.map_err(Fault::from)
    })
}

fn keeper(arguments: &Arguments) -> Result<(), Fault> {
    // Set first: a panic in the process that holds the keys ends it at once, whatever thread it is on.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(%panic, "the keeper panicked");
        // Not an exit: a module's own clean-up must not run beside calls in progress on other threads.
        std::process::abort();
    }));
    let config = Config::read_for(&arguments.config, Half::Keeper)?;
    let confined = sandbox::enter(Role::Keeper, &arguments.config, &config)?;
    let log = telemetry::start(config.log);
    confined.tell();
    runtime(config.keeper.limits.workers)?.block_on(async {
        follow_parent()?;
        let ended = start::run(&arguments.config, log).await;
        ended.inspect_err(|fault| endpoint::note_end(&config.keeper.socket, fault))
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
        health: front.health,
        limits: front.limits,
    }
}

/// A half that a parent started ends with it.
fn follow_parent() -> Result<(), Fault> {
    parent::end_with().map_err(|source| Fault::Io { what: "watching the parent", source })
}
