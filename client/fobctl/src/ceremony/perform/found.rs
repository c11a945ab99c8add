//! The founding: officers sign the founding file, and `keysvc init` makes a service of it.
//!
//! There is no service to ask yet. What is signed is the file that the plan names by its digest.

use super::{Performed, Stage};
use crate::{
    ceremony::{
        durable,
        people::{founding_keys, read_founding},
        rehearsal::program,
    },
    command::founding_sign,
    fault::Fault,
    output::tell,
};
use keysvc_client::{
    protocol::{
        bytes::Digest,
        ceremony::{Activity, Fact},
        cose::{Kind, Unsigned},
        founding::Founding,
    },
    signer::StatementSigner as _,
};
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where signatures go where no configuration says so: beside the founding file.
const SIGNATURES: &str = "founding-signatures";
/// Where the values begin in what `keysvc init` says.
const COLUMN: usize = 14;
/// Lines of it that are looked at.
const LINES_MAX: usize = 48;

/// What of a service's configuration a founding needs.
#[derive(Deserialize)]
struct ServiceConfig {
    signatures: PathBuf,
}

/// Signs the founding file with the person's card.
///
/// # Errors
/// [`Fault`] of the file, the card, and the folder of signatures.
pub(super) fn sign(stage: &mut Stage<'_>, file: &str, sha256: &Digest) -> Result<Performed, Fault> {
    let (path, officer) = (stage.file.beside(file), &stage.step.by);
    let (bytes, founding) = read_founding(&path, sha256)?;
    founding_sign::check_officer(&founding, officer)?;
    founding_sign::show(&founding, &crate::shown::file_digest(sha256));
    stage.answerer.confirm(sha256)?;
    let keys = founding_keys(stage.file)?;
    let known = keys.get(officer).ok_or_else(|| Fault::usage("nobody's key", "correct the plan"))?;
    let card = stage.people.card(officer, known)?;
    let scope = founding.trust_domain.as_str().as_bytes();
    let payload = Founding::agreement(&bytes, officer);
    let unsigned = Unsigned::new(Kind::Founding, scope, card.public_key().identifier(), payload);
    let signature = card.sign(&unsigned.to_be_signed()).map_err(|error| Fault::client("sign", error))?;
    let folder = signatures(stage, &path)?;
    durable::folder(&folder)?;
    let to = folder.join(format!("{officer}.cose"));
    durable::put(&to, &unsigned.with_signature(&signature))?;
    let mut performed = Performed::default();
    performed.fact("card", &card.token());
    performed.fact(Fact::DIGEST, sha256);
    performed.fact("signature", &to.display());
    Ok(performed)
}

/// The folder that the service of the plan reads its officers' signatures from.
fn signatures(stage: &Stage<'_>, founding: &Path) -> Result<PathBuf, Fault> {
    let config = stage.file.plan.steps.iter().find_map(|step| match &step.activity {
        Some(Activity::Found { config }) => Some(stage.file.beside(config)),
        _ => None,
    });
    let beside = |path: &Path| path.parent().unwrap_or(Path::new("")).to_owned();
    match config {
        Some(config) => Ok(beside(&config).join(read_config(&config)?.signatures)),
        None => Ok(beside(founding).join(SIGNATURES)),
    }
}

fn read_config(path: &Path) -> Result<ServiceConfig, Fault> {
    let bytes = crate::file::read(path, 64 * 1024)?;
    let wrong = |why: String| {
        let what = format!("{} is not a service's configuration: {}", path.display(), why.trim_end());
        Fault::usage(what, "name the keysvc.toml of the service to be founded in the plan")
    };
    let text = str::from_utf8(&bytes).map_err(|_| wrong("it is not text".into()))?;
    toml::from_str(text).map_err(|error| wrong(error.to_string()))
}

/// Founds the service: runs `keysvc init`, which checks every officer's signature itself.
///
/// # Errors
/// [`Fault`] with what the program said, where it does not found.
pub(super) fn found(stage: &mut Stage<'_>, config: &str) -> Result<Performed, Fault> {
    let config = stage.file.beside(config);
    let mut performed = Performed::default();
    if let Some(genesis) = stage.people.trusted() {
        performed.fact(Fact::GENESIS, &genesis);
        performed.leaf = Some(0);
        performed.differs("the service had been founded before this step ran");
        return Ok(performed);
    }
    let mut command = Command::new(program("keysvc"));
    command.arg("--config").arg(&config).arg("init");
    let own = config.parent().unwrap_or(Path::new("")).join("softhsm2.conf");
    if let Ok(own) = own.canonicalize() {
        command.env("SOFTHSM2_CONF", own);
    }
    let done = command.output().map_err(|error| {
        Fault::usage(format!("keysvc cannot be run ({error})"), "put keysvc beside fobctl, or into PATH")
    })?;
    let said = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        let why = String::from_utf8_lossy(&done.stderr);
        return Err(Fault::usage(
            format!("keysvc init did not found the service: {}", why.trim()),
            format!("mend it, or run `keysvc --config {} init` by hand to see more", config.display()),
        ));
    }
    tell(&said.trim_end());
    performed.leaf = Some(0);
    for (name, value) in said.lines().take(LINES_MAX).filter_map(|line| line.split_at_checked(COLUMN)) {
        match name.trim() {
            "trust domain" => performed.fact(Fact::TRUST_DOMAIN, &value.trim()),
            "genesis" => performed.fact(Fact::GENESIS, &value.trim()),
            name @ ("signed by" | "key") => performed.fact(name, &value.trim()),
            _ => {}
        }
    }
    let told = performed.facts().iter().find(|fact| fact.name.as_str() == Fact::GENESIS);
    let told = told.map(|fact| fact.value.to_string());
    if told.is_none() || told != stage.people.trusted().map(|genesis| genesis.to_string()) {
        performed.differs("the people's trust files do not hold the genesis digest of this founding yet");
    }
    Ok(performed)
}
