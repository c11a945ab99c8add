//! `fobctl doctor`: looks at a persona's own machine, card and enrolment, one line a check, with the mend on each that
//! fails.
//!
//! It changes nothing and signs nothing. The service is asked for what it tells everyone; without it the rest is looked at
//! all the same, and what could not be is said. The service's own installation is `keysvc doctor`'s.

mod machine;
mod report;
mod service;

use crate::{
    context::Chosen,
    fault::Fault,
    output::{Output, tell},
    pin::PinSource,
};
use keysvc_client::{ClientConfig, OwnCertificate, protocol::public_key::PublicKey};
use report::{DoctorReport, Line};
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl doctor
  fobctl doctor --no-card --json";

/// `fobctl doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// Leave the card out, and ask for no PIN.
    #[arg(long)]
    no_card: bool,
    #[command(flatten)]
    pin: PinSource,
}

/// What was found on this machine, to be compared with the enrolment.
#[derive(Debug, Default)]
struct Own {
    certificate: Option<OwnCertificate>,
    key: Option<PublicKey>,
}

pub(super) async fn run<W: Write>(
    (chosen, config): (&Chosen, &ClientConfig),
    args: &DoctorArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let mut lines = vec![machine::configuration(chosen)];
    let mut own = Own::default();
    let trust = machine::trust(config, &mut lines);
    if let Some(trust) = &trust {
        own.certificate = machine::certificate(config, &trust.domain, &mut lines);
    }
    let name = own.certificate.as_ref().and_then(|certificate| certificate.name.as_ref());
    let who = name.map_or_else(|| "the persona".to_owned(), |own| own.name.to_string());
    if args.no_card && config.statement.is_none() {
        lines.push(Line::skipped("key", "left out, with --no-card"));
    } else {
        own.key = machine::key(config, &who, &args.pin, &mut lines);
    }
    service::look(config, &own, &mut lines).await;
    let report = DoctorReport::new(who, lines);
    output.print(&report)?;
    match report.worst() {
        None => {
            tell(&report.end());
            Ok(())
        }
        Some(code) => Err(Fault::Unwell { what: report.end(), code }),
    }
}
