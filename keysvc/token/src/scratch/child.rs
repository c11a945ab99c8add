//! The process in which a test's body runs: it sees one module's configuration, and one fresh folder.
//!
//! Apart because it speaks in variables of the environment, between a test's parent and its child.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::module::Module;
use super::{LABEL, Scratch, words};
use crate::token::TokenConfig;

/// Names the test that a child is to run.
const TEST: &str = "KEYSVC_SCRATCH_TEST";
/// Names the child's folder.
const FOLDER: &str = "KEYSVC_SCRATCH_FOLDER";
/// Names the child's module.
const MODULE: &str = "KEYSVC_SCRATCH_MODULE";
/// Says what a second process of a test is to do.
const ROLE: &str = "KEYSVC_SCRATCH_ROLE";

/// Whether this process is the child of that test.
pub(super) fn is_of(test: &str) -> bool {
    std::env::var(TEST).as_deref() == Ok(test)
}

/// What the parent made for this child.
pub(super) fn scratch() -> Result<Scratch, String> {
    let module = module()?;
    let folder = named(FOLDER)?;
    let config = TokenConfig { module: module.loaded(&folder), label: LABEL.to_owned() };
    Ok(Scratch { folder, make: module.make, config })
}

fn module() -> Result<Module, String> {
    Module::at(&named(MODULE)?)
}

fn named(name: &str) -> Result<PathBuf, String> {
    std::env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set"))
}

/// Writes the module's configuration again, with every mechanism: for the processes that start from now on.
#[cfg(test)]
pub(super) fn configure_anew(folder: &Path) -> Result<(), String> {
    module()?.configure(folder, None).map(drop).map_err(|error| error.to_string())
}

/// What a second process of a test is to do; none in its first.
pub(super) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Runs the one test in a child that sees its own configuration of the module.
pub(super) fn run(test: &str, module: &Module, without: Option<&str>) -> Result<(), String> {
    let say = |error: io::Error| error.to_string();
    let folder = tempfile::tempdir().map_err(say)?;
    let (name, value) = module.configure(folder.path(), without).map_err(say)?;
    let output = again(test)
        .and_then(|mut command| {
            command
                .env(name, value)
                .env(TEST, test)
                .env(FOLDER, folder.path())
                .env(MODULE, &module.path)
                .output()
        })
        .map_err(say)?;
    if !output.status.success() {
        return Err(format!("failed in its scratch process ({})\n{}", output.status, words(&output)));
    }
    if proof(folder.path()).exists() {
        return Ok(());
    }
    Err(format!("no test has this name, or its body did not run\n{}", words(&output)))
}

/// Runs this child's test once more, beside it and with the same environment.
pub(super) fn beside(role: &str) -> io::Result<Output> {
    let test = std::env::var(TEST).map_err(io::Error::other)?;
    again(&test)?.env(ROLE, role).output()
}

fn again(test: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    Ok(command)
}

/// Leaves the proof that the body ran to its end, whatever name the runner matched.
pub(super) fn done(folder: &Path) -> io::Result<()> {
    std::fs::write(proof(folder), b"")
}

fn proof(folder: &Path) -> PathBuf {
    folder.join("done")
}
