//! How long it takes to verify a log's dual control again from its export: by `fobaudit controls`, and by the second
//! verifier, which shares no code with it.

use crate::{
    timed::{answer, on_one_core, succeed},
    while_doing,
};
use keysvc_tests::{
    ground::{Failed, Ground},
    second_verifier::Judgement,
};
use serde_json::Value;
use std::{path::Path, time::Duration};

/// The second verifier.
const SECOND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/verifier/verify_controls.py");

/// What was verified, and how long that took.
#[derive(Debug)]
pub struct Controls {
    /// Leaves of the log.
    pub leaves: u64,
    /// Acts that took people.
    pub acts: u64,
    /// Approvals whose signatures were verified.
    pub approvals: u64,
    /// How long `fobctl audit export` took.
    pub export: Duration,
    /// How long `fobaudit controls` took.
    pub took: Duration,
    /// Whether it was held to one core.
    pub one_core: bool,
    /// How long the second verifier took, where it was asked.
    pub second: Option<Duration>,
}

/// Exports the log and verifies it, by the second verifier too where `python` is its interpreter; the service is stopped
/// then.
///
/// # Errors
/// [`Failed`] when it is not verified.
pub fn measure(ground: &mut Ground, export: &Path, python: Option<&Path>) -> Result<Controls, Failed> {
    ground.start()?;
    let mut command = ground.fobctl("auditor-1", &["audit", "export"]);
    let exported = succeed("fobctl audit export", command.arg(export))?;
    ground.stop();
    let trust = ground.site().trust();
    let (mut command, one_core) = on_one_core(&ground.programs().fobaudit);
    command.arg("controls").arg(export).arg("--trust").arg(&trust).arg("--json");
    let (took, output) = answer("fobaudit controls", &mut command)?;
    let said: Value = serde_json::from_slice(&output.stdout).map_err(while_doing("fobaudit controls"))?;
    let figure = |name: &str| {
        let figure = said.get("log").and_then(|log| log.get(name)).and_then(Value::as_u64);
        figure.ok_or_else(|| Failed(format!("fobaudit controls does not say {name}")))
    };
    if figure("leaves_not_followed")? > 0 {
        return Err(Failed("fobaudit controls did not follow all leaves".to_owned()));
    }
    let approvals = figure("approvals_total")?;
    Ok(Controls {
        leaves: figure("leaves")?,
        acts: figure("acts_total")?,
        approvals,
        export: exported,
        took,
        one_core,
        second: python.map(|python| second(python, (export, &trust), approvals)).transpose()?,
    })
}

/// Asks the second verifier, on one core too, which must find the same approvals and nothing wrong.
fn second(python: &Path, (export, trust): (&Path, &Path), approvals: u64) -> Result<Duration, Failed> {
    let (mut command, _) = on_one_core(python);
    // Nothing is written beside the sources.
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(SECOND).arg(export).arg(trust);
    let (took, output) = answer("the second verifier", &mut command)?;
    let said: Judgement =
        serde_json::from_slice(&output.stdout).map_err(while_doing("the second verifier"))?;
    if said.findings.is_empty() && said.approvals == approvals {
        Ok(took)
    } else {
        Err(Failed("the second verifier does not agree with fobaudit".to_owned()))
    }
}

/// How many leaves the log has, by its own word; the service is stopped then.
///
/// # Errors
/// [`Failed`] when it does not say.
pub fn leaves_of(ground: &mut Ground) -> Result<u64, Failed> {
    ground.start()?;
    let asked = ground.block_on(async {
        let auditor = ground.auditor().await?;
        auditor.reader().status().await
    });
    ground.stop();
    Ok(asked.map_err(while_doing("the log's size"))?.checkpoint.checkpoint().head.size)
}
