//! `fobctl job agree`: a person signs on their own machine what they agree to at a station, and takes the file there.
//!
//! It needs the trust file and the own key, and no connection. No blind signing: the sentence is made from the very
//! agreement that is signed.

use crate::{
    confirm,
    fault::Fault,
    file,
    job::{
        act_args::{CountsArgs, IncidentArgs},
        floor, place,
    },
    output::{Output, Report, tell},
    own_key,
    pin::PinSource,
    shown::{rows, utc},
};
use clap::Subcommand;
use keysvc_client::{
    ClientConfig, agreement,
    protocol::{
        job::{AGREEMENT_LIFE_MS, JobAct},
        name::Name,
    },
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  fobctl --context operator-1 job agree open nfc-2026-11 --station station-1 \\
      --out operator-1.agreement
  fobctl --context reviewer-1 job agree count nfc-2026-11 --good 1000 --rejected 7 --sample 3 \\
      --returned 0 --handed-over 0 --out reviewer-1.agreement
  fobctl --context monitor-1 job agree close nfc-2026-11 --receipt receipt --out monitor-1.agreement";

/// `fobctl job agree`: what is agreed to.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum AgreeVerb {
    /// That a session begins at a station.
    Open(AtStation),
    /// That a job that was stopped goes on at a station.
    Resume(AtStation),
    /// What was counted by hand.
    Count(CountAgreed),
    /// What went wrong.
    Incident(IncidentAgreed),
    /// That the station erased its data, which you saw.
    Close(CloseAgreed),
}

/// Of every agreement.
#[derive(Debug, clap::Args)]
pub(crate) struct Agreed {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Name,
    /// Where the agreement goes; the file must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Who signs; as the certificate says when left out.
    #[arg(long = "as", value_name = "NAME")]
    person: Option<Name>,
    /// Sign without asking. What is signed is shown all the same.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pin: PinSource,
}

/// An agreement to a session.
#[derive(Debug, clap::Args)]
pub(crate) struct AtStation {
    #[command(flatten)]
    agreed: Agreed,
    /// The station.
    #[arg(long, value_name = "NAME")]
    station: Name,
}

/// An agreement to a count.
#[derive(Debug, clap::Args)]
pub(crate) struct CountAgreed {
    #[command(flatten)]
    agreed: Agreed,
    #[command(flatten)]
    counts: CountsArgs,
}

/// An agreement to a report of an incident.
#[derive(Debug, clap::Args)]
pub(crate) struct IncidentAgreed {
    #[command(flatten)]
    agreed: Agreed,
    #[command(flatten)]
    incident: IncidentArgs,
}

/// An agreement to a purge.
#[derive(Debug, clap::Args)]
pub(crate) struct CloseAgreed {
    #[command(flatten)]
    agreed: Agreed,
    /// The station's receipt, which `fobctl job close` wrote there.
    #[arg(long, value_name = "FILE")]
    receipt: PathBuf,
}

#[derive(Debug, Serialize)]
struct AgreeReport {
    job: String,
    person: String,
    sentence: String,
    agreement: String,
    /// When it stops counting.
    until: String,
}

impl AgreeVerb {
    fn agreed(&self) -> &Agreed {
        match self {
            Self::Open(args) | Self::Resume(args) => &args.agreed,
            Self::Count(args) => &args.agreed,
            Self::Incident(args) => &args.agreed,
            Self::Close(args) => &args.agreed,
        }
    }

    fn act(&self) -> Result<JobAct, Fault> {
        Ok(match self {
            Self::Open(args) => JobAct::Open { station: args.station.clone() },
            Self::Resume(args) => JobAct::Resume { station: args.station.clone() },
            Self::Count(args) => JobAct::Count { counts: args.counts.read()? },
            Self::Incident(args) => JobAct::Incident { incident: args.incident.read(None)? },
            Self::Close(args) => JobAct::Close { receipt: place::read_receipt(&args.receipt)? },
        })
    }
}

/// Shows the sentence, asks, signs, and writes the agreement.
///
/// # Errors
/// [`Fault`] of files and key; [`Fault::Declined`] where the person does not agree.
pub(super) fn run<W: Write>(
    config: &ClientConfig,
    verb: &AgreeVerb,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let (act, args) = (verb.act()?, verb.agreed());
    file::refuse_existing(&args.out)?;
    let trust = config.read_trust().map_err(|error| Fault::client("read the trust file", error.into()))?;
    let person = floor::person(config, &trust, args.person.as_ref())?;
    let said = floor::said(&args.job, &act, &person)?;
    floor::show(&said);
    if !args.yes {
        confirm::ask()?;
    }
    let key = own_key::signer(config, person.as_str(), &args.pin)?;
    let signed = floor::sign(&*key, &trust, &said)?;
    signed.write(&args.out).map_err(|error| Fault::client("write the agreement", error))?;
    output.print(&AgreeReport {
        job: args.job.to_string(),
        person: person.to_string(),
        sentence: agreement::sentence(&said),
        agreement: args.out.display().to_string(),
        until: utc(said.signed_ms.saturating_add(AGREEMENT_LIFE_MS)),
    })?;
    tell(&format_args!(
        "next: take it to the station, and give it there with --agreement {}; it counts once, for a quarter of an hour",
        args.out.display()
    ));
    Ok(())
}

impl Report for AgreeReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-job-agree/1"
    }

    fn text(&self) -> String {
        rows([
            ("signed by", self.person.clone()),
            ("job", self.job.clone()),
            ("agreement", self.agreement.clone()),
            ("counts until", self.until.clone()),
        ])
    }
}
