//! `SoftHSM` on this machine: where it is, how it is installed, how a process is given tokens of its own.
//!
//! Apart because it is about the machine. It loads nothing: tokens are made by [`crate::token`].

use crate::SetupError;
use std::{
    env,
    ffi::OsStr,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Environment variable that names the module, before every place below.
pub const MODULE_VARIABLE: &str = "SOFTHSM2_MODULE";
/// Environment variable that forbids installing anything when it is `1`.
pub const NO_INSTALL_VARIABLE: &str = "KEYSVC_NO_INSTALL";
/// Environment variable that names `SoftHSM`'s configuration file. Set on child processes only.
pub const CONFIGURATION_VARIABLE: &str = "SOFTHSM2_CONF";

/// Where distributions put the module.
const PLACES: [&str; 6] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
const APT_GET: &str = "/usr/bin/apt-get";
/// What a person is told to run.
const INSTALL: &str = "apt-get install softhsm2";
const INSTALL_BY_SUDO: &str = "sudo apt-get install softhsm2";

/// Finds `SoftHSM`'s module: where `SOFTHSM2_MODULE` says and nowhere else, or else where distributions put it.
#[must_use]
pub fn find() -> Option<PathBuf> {
    match env::var_os(MODULE_VARIABLE) {
        Some(named) => Some(PathBuf::from(named)).filter(|path| path.is_file()),
        None => PLACES.iter().map(PathBuf::from).find(|path| path.is_file()),
    }
}

/// Finds `SoftHSM`'s module, or installs Debian's or Ubuntu's package `softhsm2`, saying so on `notes` first.
///
/// # Errors
/// [`SetupError`] with the command to run, if nothing may or can be installed, or if `SOFTHSM2_MODULE` names no file.
pub fn find_or_install(notes: &mut dyn Write) -> Result<PathBuf, SetupError> {
    if let Some(module) = find() {
        return Ok(module);
    }
    if env::var_os(MODULE_VARIABLE).is_some() {
        return Err(missing(""));
    }
    if let Some(why) = forbids(env::var_os(NO_INSTALL_VARIABLE).as_deref(), Path::new(APT_GET)) {
        return Err(missing(why));
    }
    let root = is_root();
    let by = if root { "" } else { "sudo -n " };
    let told = writeln!(
        notes,
        "SoftHSM is missing. Installing it now: {by}apt-get update, {by}apt-get install -y softhsm2\n\
         (KEYSVC_NO_INSTALL=1 forbids this.)"
    );
    // Nothing is installed unsaid.
    told.map_err(|error| missing(&format!("this could not be said: {error}")))?;
    for arguments in [["update", "-q"].as_slice(), &["install", "-y", "-q", "softhsm2"]] {
        apt_get(root, arguments).map_err(|why| missing(&why))?;
    }
    find().ok_or_else(|| missing("the package was installed, but its module is in none of the known places"))
}

/// Why nothing may be installed here, if so.
fn forbids(no_install: Option<&OsStr>, apt_get: &Path) -> Option<&'static str> {
    if no_install.is_some_and(|value| value == "1") {
        return Some("KEYSVC_NO_INSTALL=1 forbids installing it");
    }
    (!apt_get.is_file()).then_some("only on Debian and Ubuntu is it installed from here")
}

/// Says that there is no `SoftHSM`, `why` nothing is done about it, and the command that installs it.
#[must_use]
pub fn missing(why: &str) -> SetupError {
    match env::var_os(MODULE_VARIABLE) {
        Some(named) => SetupError::ModuleNamedWrongly { variable: MODULE_VARIABLE, path: named.into() },
        None => SetupError::NoModule {
            why: why.to_owned(),
            command: if is_root() { INSTALL } else { INSTALL_BY_SUDO },
        },
    }
}

fn is_root() -> bool {
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

/// The text of a `softhsm2.conf` that keeps tokens in one folder. Every persona has a file and a folder of its own,
/// since each process that shares a token folder may delete the others' keys.
#[must_use]
pub(crate) fn configuration(tokens: &Path) -> String {
    format!(
        "directories.tokendir = {}\n\
         objectstore.backend = file\n\
         log.level = ERROR\n\
         slots.removable = false\n",
        tokens.display()
    )
}

/// Whether `SoftHSM`'s configuration file can name the path: it ends a line at `#` and a value at `=`.
#[must_use]
pub(crate) fn can_name(path: &Path) -> bool {
    path.to_str().is_some_and(|text| !text.chars().any(|c| matches!(c, '#' | '=') || c.is_control()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_the_token_folder() {
        let text = configuration(Path::new("/a b/tokens"));
        assert!(text.starts_with("directories.tokendir = /a b/tokens\n"), "{text}");
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn paths_that_softhsm_would_cut_are_known() {
        assert!(can_name(Path::new("/home/a b/ä/site")));
        for bad in ["/a#b", "/a=b", "/a\nb", "/a\tb"] {
            assert!(!can_name(Path::new(bad)), "{bad}");
        }
    }

    #[test]
    fn nothing_is_installed_where_that_is_forbidden_or_not_debians() {
        let here = env::current_exe().unwrap();
        assert_eq!(forbids(Some(OsStr::new("1")), &here), Some("KEYSVC_NO_INSTALL=1 forbids installing it"));
        assert_eq!(forbids(Some(OsStr::new("0")), &here), None);
        assert_eq!(forbids(None, &here), None);
        let why = "only on Debian and Ubuntu is it installed from here";
        assert_eq!(forbids(None, Path::new("/nonexistent")), Some(why));
    }

    #[test]
    fn what_is_missing_is_said_with_the_command_that_installs_it() {
        let error = missing("it is not there");
        let SetupError::NoModule { why, command } = &error else { panic!("{error}") };
        assert_eq!(why, "it is not there");
        assert!(command.ends_with("apt-get install softhsm2"), "{command}");
        assert!(error.to_string().contains(command), "{error}");
    }
}
