//! `fobctl principal enrol` and `rotate`: keys out of an enrolment file, for somebody new or for oneself.

use crate::{
    acted, enrolment_file,
    fault::Fault,
    output::Output,
    own_key::{connect, unlock},
    pin::PinSource,
};
use keysvc_client::{ClientConfig, officer::NewKeys, protocol::request::Operation};
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
The file is TOML with id, kind, organisation (an officer: department), and the
keys tls-key (SHA-256, hexadecimal), statement-key and wrapping-key (base64 of
their DER) as the founding file spells them.

Examples:
  fobctl principal enrol terminal-9/enrolment.toml";

const ROTATE_EXAMPLES: &str = "\
The file is an enrolment file of the persona that runs this, with its new keys;
it is signed with the key in use until now. TLS goes on with the old key until
the change is in force.

Examples:
  fobctl --context terminal-1 principal rotate new/enrolment.toml";

/// `fobctl principal enrol`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EnrolArgs {
    /// The enrolment file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    pin: PinSource,
}

/// `fobctl principal rotate`.
#[derive(Debug, clap::Args)]
#[command(after_help = ROTATE_EXAMPLES)]
pub(crate) struct RotateArgs {
    /// The enrolment file with the new keys.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    pin: PinSource,
}

pub(super) async fn enrol<W: Write>(
    config: &ClientConfig,
    args: &EnrolArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let enrolment = enrolment_file::read(&args.file)?;
    let officer = connect(config).await?;
    let officer = unlock(&officer, config, &args.pin)?;
    let outcome = officer.enrol(enrolment).await;
    acted::report(&officer, Operation::PrincipalEnrol, outcome, output).await
}

pub(super) async fn rotate<W: Write>(
    config: &ClientConfig,
    args: &RotateArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let enrolment = enrolment_file::read(&args.file)?;
    let persona = connect(config).await?;
    let persona = unlock(&persona, config, &args.pin)?;
    if let Some(name) = persona.name().filter(|name| **name != enrolment.id) {
        let what = format!("the file holds the keys of {}, and this is {name}", enrolment.id);
        return Err(Fault::usage(what, "name the file with the new keys of this persona"));
    }
    let keys = NewKeys {
        tls_key: Some(enrolment.tls_key),
        statement_key: enrolment.statement_key,
        wrapping_key: enrolment.wrapping_key,
    };
    let outcome = persona.rotate(keys).await;
    acted::report(&persona, Operation::PrincipalRotate, outcome, output).await
}
