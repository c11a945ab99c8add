//! Installing Debian's and Ubuntu's packages, never unsaid.
//!
//! Apart because more than `SoftHSM` comes so. What is needed, and what to do without it, is the caller's.

use std::{
    env,
    ffi::OsStr,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
};

/// Environment variable that forbids installing anything when it is `1`.
pub const NO_INSTALL_VARIABLE: &str = "KEYSVC_NO_INSTALL";
const APT_GET: &str = "/usr/bin/apt-get";

/// Installs packages because `what` is missing, saying so on `notes` first.
///
/// # Errors
/// Why nothing was installed, for a sentence.
pub fn install(what: &str, packages: &[&str], notes: &mut dyn Write) -> Result<(), String> {
    if let Some(why) = forbids(env::var_os(NO_INSTALL_VARIABLE).as_deref(), Path::new(APT_GET)) {
        return Err(why.to_owned());
    }
    let root = is_root();
    let by = if root { "" } else { "sudo -n " };
    let told = writeln!(
        notes,
        "{what} is missing. Installing it now: {by}apt-get update, {by}apt-get install -y {}\n\
         ({NO_INSTALL_VARIABLE}=1 forbids this.)",
        packages.join(" ")
    );
    // Nothing is installed unsaid.
    told.map_err(|error| format!("this could not be said: {error}"))?;
    apt_get(root, &["update", "-q"])?;
    apt_get(root, &[&["install", "-y", "-q"], packages].concat())
}

/// Why nothing may be installed here, if so.
fn forbids(no_install: Option<&OsStr>, apt_get: &Path) -> Option<&'static str> {
    if no_install.is_some_and(|value| value == "1") {
        return Some("KEYSVC_NO_INSTALL=1 forbids installing it");
    }
    (!apt_get.is_file()).then_some("only on Debian and Ubuntu is it installed from here")
}

/// Whether this process is root's.
#[must_use]
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs apt-get; what it says goes to stderr, because stdout is for data.
fn apt_get(root: bool, arguments: &[&str]) -> Result<(), String> {
    let mut command = if root {
        Command::new(APT_GET)
    } else {
        let mut sudo = Command::new("sudo");
        // -n: never wait for a password that nobody may be there to type.
        sudo.args(["-n", APT_GET]);
        sudo
    };
    let status = command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::from(io::stderr()))
        .status()
        .map_err(|error| format!("apt-get did not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("apt-get {} failed: {status}", arguments.join(" "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_installed_where_that_is_forbidden_or_not_debians() {
        let here = env::current_exe().unwrap();
        assert_eq!(forbids(Some(OsStr::new("1")), &here), Some("KEYSVC_NO_INSTALL=1 forbids installing it"));
        assert_eq!(forbids(Some(OsStr::new("0")), &here), None);
        assert_eq!(forbids(None, &here), None);
        let why = "only on Debian and Ubuntu is it installed from here";
        assert_eq!(forbids(None, Path::new("/nonexistent")), Some(why));
    }
}
