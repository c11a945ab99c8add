//! `keysvc check-config`: everything that is wrong with the configuration, at once and each with its mend; or what will
//! be used.
//!
//! It opens neither token nor store, and listens nowhere.

use crate::{
    config::{Config, Finding, Findings, Half, PinSource, examine},
    error::Exit,
    output::Output,
    program::front_settings,
};
use keysvc_policies::PolicySet;
use keysvc_protocol::bytes::Digest;
use std::{path::Path, process::ExitCode};

/// Checks the configuration in `file`. Gives 0, or 3 when something must be mended.
#[must_use]
pub fn run(file: &Path, output: &Output) -> ExitCode {
    let found = examine(file, Half::Both).and_then(|config| {
        let digest = look_inside(file, &config)?;
        Ok((config, digest))
    });
    match found {
        Ok((config, digest)) => {
            show(file, &config, digest, output);
            ExitCode::SUCCESS
        }
        Err(findings) => {
            explain(file, &findings, output);
            Exit::Refusing.into()
        }
    }
}

/// Reads what the files hold; the policies' digest if all is well.
fn look_inside(file: &Path, config: &Config) -> Result<Digest, Findings> {
    let finding = |key: &str, purpose: &'static str, wrong: String| Finding {
        file: file.to_path_buf(),
        key: key.to_owned(),
        wrong,
        purpose,
        mend: String::new(),
    };
    let mut found = Vec::new();
    if let Err(fault) = front_settings(config).check() {
        found.push(finding(
            "front",
            "what clients see of the service, and whom it lets in",
            fault.to_string(),
        ));
    }
    let policies = PolicySet::load(&config.keeper.policies).map_err(|error| {
        found.push(finding(
            "keeper.policies",
            "what the site permits; without it nothing is",
            format!("policies: {error}"),
        ));
    });
    match policies {
        Ok(policies) if found.is_empty() => Ok(Digest::new(policies.digest())),
        _ => Err(Findings(found)),
    }
}

/// One line for each finding, as compilers write them, and what helps below it.
fn explain(file: &Path, findings: &Findings, output: &Output) {
    let count = findings.0.len();
    let things = if count == 1 { "1 thing".to_owned() } else { format!("{count} things") };
    output.error("keysvc", &format!("{} cannot be used: mend {things}, then check again", file.display()));
    for finding in &findings.0 {
        let key = if finding.key.is_empty() { String::new() } else { format!("{}: ", finding.key) };
        output.error(&finding.file.display().to_string(), &format!("{key}{}", finding.wrong));
        for (name, text) in [("for", finding.purpose), ("mend", finding.mend.as_str())] {
            if !text.is_empty() {
                output.detail(&format!("{name:<5} {text}"));
            }
        }
    }
}

fn show(file: &Path, config: &Config, digest: Digest, output: &Output) {
    output.line(&format!("configuration {} is good", file.display()));
    output.line(&format!("policy digest {digest}"));
    for (name, value) in used(config) {
        output.line(&format!("{name:<13} {value}"));
    }
    let limits = config.set_limits();
    if limits.is_empty() {
        output.line("limits        all as they are by default");
    }
    for (name, value, default) in limits {
        output.line(&format!("limit         {name} = {value} (by default {default})"));
    }
    // Past the founding the folder is only compared, and what is in force is the log's word.
    let next = if config.trust.exists() {
        "which policies are in force stands in the log; to compare the folder's with it, run: keysvc doctor"
            .to_owned()
    } else {
        format!("put it into {} as: policy = \"{digest}\"", config.founding.display())
    };
    output.line(&format!("next          {next}"));
}

/// What will be used, in the order in which it is met.
fn used(config: &Config) -> Vec<(&'static str, String)> {
    let (front, keeper, token) = (&config.front, &config.keeper, &config.token);
    let crls = match front.crls.len() {
        0 => "none: certificates are good until they expire".to_owned(),
        count => format!("{count}, and every certificate needs one in date"),
    };
    let health = front.health.map_or_else(
        || "off".to_owned(),
        |address| {
            let whom = if address.ip().is_loopback() { "" } else { ", for whoever reaches it, in the clear" };
            format!("http://{address}/ready{whom}")
        },
    );
    let user = keeper.front_user.as_deref().unwrap_or("the keeper's own");
    let pin = match token.pin_source() {
        Ok(PinSource::File(file)) => format!("the file {}", file.display()),
        Ok(PinSource::Credential(name)) => {
            format!("the credential {name}; looked for when the keeper starts")
        }
        Ok(PinSource::Descriptor(number)) => format!("descriptor {number}; read when the keeper starts"),
        Err(error) => error.to_string(),
    };
    vec![
        ("trust domain", config.trust_domain.to_string()),
        ("listens at", front.listen.to_string()),
        ("certificate", front.certificate.display().to_string()),
        ("client CA", front.ca.display().to_string()),
        ("revocation", crls),
        ("health", health),
        ("link", keeper.socket.display().to_string()),
        ("front's user", user.to_owned()),
        ("store", keeper.store.display().to_string()),
        ("anchor", keeper.anchor.display().to_string()),
        ("policies", keeper.policies.display().to_string()),
        ("token", format!("{:?} of {}", token.label, token.module.display())),
        ("PIN", pin),
        ("log", format!("{}, {}", config.log.level.name(), config.log.format.name())),
    ]
}
