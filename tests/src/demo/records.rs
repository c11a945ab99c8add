//! Value in the demo: a load and a debit, each verified offline.

use super::{narrator::Narrator, persona::fobctl};
use crate::ground::{Failed, Ground};
use std::{path::PathBuf, process::Command};

/// The fob of the demo.
pub const FOB: &str = "04a1b2c3d4e5f6";

/// Where the demo keeps a signed record.
#[must_use]
pub fn file(ground: &Ground, name: &str) -> PathBuf {
    ground.site().home("terminal-1").folder().join(name)
}

/// Where the auditor exports the log to.
#[must_use]
pub fn export(ground: &Ground, name: &str) -> PathBuf {
    ground.site().home("auditor-1").folder().join(name)
}

/// `fobctl value` for the demo's fob.
#[must_use]
pub fn value(ground: &Ground, operation: &str, amount: &str, seq: &str, balance: &str) -> Command {
    fobctl(
        ground,
        "terminal-1",
        &[
            "value",
            operation,
            "--programme",
            "coffee",
            "--card",
            FOB,
            "--purse",
            "1",
            "--amount",
            amount,
            "--seq",
            seq,
            "--balance",
            balance,
        ],
    )
}

/// `fobaudit value` for a record.
#[must_use]
pub fn check(ground: &Ground, record: &str, export_name: &str) -> Command {
    let mut command = Command::new(&ground.programs().fobaudit);
    command.arg("value").arg(file(ground, record)).arg("--log").arg(export(ground, export_name));
    command.arg("--trust").arg(ground.site().trust());
    command
}

/// Loads, debits, exports and verifies.
///
/// # Errors
/// [`Failed`] when one of them fails.
pub fn tell(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.chapter("Value: a load of 20.00 and a debit of 3.50, recorded first, then signed");
    let acts = [("load", "20.00", "1", "0.00"), ("debit", "3.50", "2", "20.00")];
    for (operation, amount, seq, balance) in acts {
        let mut command = value(ground, operation, amount, seq, balance);
        command.arg("--out").arg(file(ground, &format!("{operation}.cose")));
        let (said, took) = narrator.run(&mut command)?;
        narrator.say(said.trim_end());
        narrator.measured("one update, program start and TLS handshake included", 1, took);
    }
    narrator.chapter("Offline: the log is exported, and each record verified without the service");
    let (said, _) =
        narrator.run(fobctl(ground, "auditor-1", &["audit", "export"]).arg(export(ground, "export")))?;
    narrator.say(said.trim_end());
    for record in ["load.cose", "debit.cose"] {
        let (said, _) = narrator.run(&mut check(ground, record, "export"))?;
        narrator.say(said.trim_end());
    }
    Ok(())
}
