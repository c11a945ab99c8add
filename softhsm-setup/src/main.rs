//! `softhsm-setup`: makes a development site, adds a persona to one, or finds `SoftHSM`.
//!
//! Exit codes: 0 done, 2 asked wrongly, 4 this machine does not do it.

mod output;

use clap::{
    Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use keysvc_protocol::{bytes::Digest, founding::PrincipalKind, name::Name};
use output::Output;
use softhsm_setup::{
    Cast, Newcomer, SetupError, Site, SitePlan, lay_out_with, softhsm,
    token::{self, PersonaKey, TokenOrder},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

const DONE: u8 = 0;
const USAGE: u8 = 2;
const UNAVAILABLE: u8 = 4;

/// The site's policies as shipped.
const SITE_CEDAR: &str = include_str!("../../policies/cedar/site.cedar");

/// Makes SoftHSM tokens, a development PKI and configuration for keysvc
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a development site in a folder that is not there yet or is empty
    Dev(Dev),
    /// Make the keys and the certificate of someone who joins a development site, and the request to enrol them
    AddPersona(AddPersona),
    /// Print where SoftHSM's PKCS#11 module is
    Find,
    /// Make one token in the folder that the environment names, and print its public keys (TOML)
    #[command(hide = true)]
    Persona(Persona),
}

#[derive(clap::Args)]
struct Dev {
    /// The folder
    dir: PathBuf,
    /// The port the service will listen on, on 127.0.0.1
    #[arg(long, default_value_t = 8443, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The digest of the policies, 64 hexadecimal digits, as `keysvc check-config` prints it
    #[arg(long, value_name = "HEX", requires = "site_cedar")]
    policy_digest: Option<Digest>,
    /// The PKCS#11 module of the service's own token, SoftHSM's or kryoptic's; everyone else's token is on SoftHSM
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
    /// The site's policies; the shipped ones if left out
    #[arg(long, value_name = "FILE")]
    site_cedar: Option<PathBuf>,
    /// Names of officers in place of officer-1 to officer-3, two at least, each of a department of their own
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    officers: Vec<Name>,
    /// Names of operators that come to everyone else
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    operators: Vec<Name>,
}

#[derive(clap::Args)]
struct AddPersona {
    /// The site's folder
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// What it is
    #[arg(long, value_parser = kind_parser())]
    kind: PrincipalKind,
    /// Its name, and that of its folder in the site's
    #[arg(long)]
    name: Name,
    /// An officer's department, anyone else's organisation
    #[arg(long)]
    group: Name,
    /// What it may do beyond its kind, such as data-operator, station-operator, reviewer or monitor; may be repeated
    #[arg(long = "capability", value_name = "NAME")]
    capabilities: Vec<Name>,
}

fn kind_parser() -> impl clap::builder::TypedValueParser<Value = PrincipalKind> {
    PossibleValuesParser::new(PrincipalKind::ALL.map(PrincipalKind::name))
        .try_map(|name| PrincipalKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or("no such kind"))
}

#[derive(clap::Args)]
struct Persona {
    #[arg(long)]
    module: PathBuf,
    #[arg(long)]
    label: String,
    #[arg(long)]
    pin_file: PathBuf,
    #[arg(long)]
    so_pin_file: PathBuf,
    #[arg(long = "key")]
    keys: Vec<KeyArgument>,
}

#[derive(Clone, Copy, ValueEnum)]
enum KeyArgument {
    Approval,
    Statement,
    Wrapping,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Clap's exit codes are this program's: 0 for help and version, 2 for anything else.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { DONE });
        }
    };
    let mut output = Output::standard();
    let done = match arguments.verb {
        Verb::Dev(dev) => make_site(&dev, &mut output),
        Verb::AddPersona(order) => add_persona(order, &mut output),
        Verb::Find => find(&mut output),
        Verb::Persona(persona) => make_token(persona, &mut output),
    };
    match done {
        Ok(()) => ExitCode::from(DONE),
        Err(error) => {
            output.note(format_args!("softhsm-setup: {error}"));
            ExitCode::from(if error.is_usage() { USAGE } else { UNAVAILABLE })
        }
    }
}

fn make_site(dev: &Dev, output: &mut Output) -> Result<(), SetupError> {
    let site_cedar = match &dev.site_cedar {
        Some(path) => fs::read_to_string(path).map_err(read(path))?,
        None => SITE_CEDAR.to_owned(),
    };
    let plan = SitePlan {
        module: softhsm::find_or_install(output.notes())?,
        service_module: dev.module.clone(),
        program: this_program()?,
        port: dev.port,
        policy_digest: dev.policy_digest.unwrap_or(Digest::new([0; 32])),
        site_cedar,
    };
    let cast = Cast { officers: dev.officers.clone(), operators: dev.operators.clone() };
    let site = lay_out_with(&dev.dir, &plan, &cast)?;
    if dev.policy_digest.is_none() {
        next_for_policy(&site, output);
    }
    if dev.module.is_some() {
        next_for_service(&site, output);
    }
    said(output.data(&format!("{}\n", site.folder().display())))
}

fn add_persona(order: AddPersona, output: &mut Output) -> Result<(), SetupError> {
    let AddPersona { folder, kind, name, group, capabilities } = order;
    let site = Site::open(&folder)?;
    let newcomer = Newcomer { name, kind, group, capabilities };
    site.add_persona(&this_program()?, &newcomer)?;
    let request = site.home(newcomer.name.as_str()).enrolment();
    said(output.data(&format!("{}\n", request.display())))?;
    output.note(format_args!(
        "{} is not enrolled yet: an officer asks for it with 'fobctl principal enrol {}'",
        newcomer.name,
        request.display()
    ));
    Ok(())
}

fn this_program() -> Result<PathBuf, SetupError> {
    env::current_exe().map_err(read(Path::new("/proc/self/exe")))
}

/// Says what to do about the policy digest, which only the service can compute.
fn next_for_policy(site: &Site, output: &mut Output) {
    output.note(format_args!(
        "The policy digest in {} is still zero: before an officer signs it, put there what 'keysvc check-config' \
         prints for {}",
        site.founding().display(),
        site.service_config().display()
    ));
}

/// Says what the service's programs need before they see their token: modules are told in the environment only.
fn next_for_service(site: &Site, output: &mut Output) {
    let home = site.service();
    if let Some(kind) = home.module_kind() {
        output.note(format_args!(
            "The service's token is on {}. keysvc finds it with this in its environment:\n  export {}={}",
            kind.library(),
            kind.variable(),
            home.configuration(kind).display()
        ));
    }
}

fn find(output: &mut Output) -> Result<(), SetupError> {
    let module = softhsm::find().ok_or_else(|| softhsm::missing("looked in the usual places only"))?;
    said(output.data(&format!("{}\n", module.display())))
}

fn make_token(persona: Persona, output: &mut Output) -> Result<(), SetupError> {
    let keys = persona.keys.into_iter().map(|key| match key {
        KeyArgument::Approval => PersonaKey::Approval,
        KeyArgument::Statement => PersonaKey::Statement,
        KeyArgument::Wrapping => PersonaKey::Wrapping,
    });
    let order = TokenOrder {
        module: persona.module,
        label: persona.label,
        pin_file: persona.pin_file,
        so_pin_file: persona.so_pin_file,
        keys: keys.collect(),
    };
    said(output.data(&token::make(&order)?.to_text()?))
}

fn said(written: std::io::Result<()>) -> Result<(), SetupError> {
    written.map_err(|source| SetupError::File { verb: "write", path: "stdout".into(), source })
}

fn read(path: &Path) -> impl FnOnce(std::io::Error) -> SetupError {
    let path = path.to_owned();
    move |source| SetupError::File { verb: "read", path, source }
}
