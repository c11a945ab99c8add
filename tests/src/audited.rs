//! The log as an outsider has it: exported by the auditor and verified offline.
//!
//! Apart from `Ground::assert_clean`, which also stops the service and calls the second verifier: a row that has made
//! thousands of leaves says what it found and goes on.

use crate::{
    ended::ended,
    ground::{Ground, text},
};
use std::{path::Path, process::Command};

/// Exports the whole log to `folder` and has `fobaudit verify` judge it.
///
/// # Errors
/// What the auditor or the verifier said.
pub fn audited(ground: &Ground, folder: &Path) -> Result<(), String> {
    let exported = ground.block_on(async {
        let auditor = ground.auditor().await?;
        auditor.export(folder, |_, _| {}).await.map(drop)
    });
    exported.map_err(|error| format!("the export: {error}"))?;
    let mut fobaudit = Command::new(&ground.programs().fobaudit);
    fobaudit.arg("verify").arg(folder).arg("--trust").arg(ground.site().trust());
    succeeded(fobaudit)
}

/// Stops the service and has `keysvc verify-store` hold its store against the log.
///
/// # Errors
/// What it said.
pub fn store_verified(ground: &mut Ground) -> Result<(), String> {
    ground.stop();
    succeeded(ground.keysvc(&["verify-store"]))
}

/// Runs a command that is to succeed.
///
/// # Errors
/// All it said, where it did not.
pub fn succeeded(command: Command) -> Result<(), String> {
    let output = ended(command);
    if output.status.success() { Ok(()) } else { Err(text(&output)) }
}
