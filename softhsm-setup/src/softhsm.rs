//! `SoftHSM` on this machine: where it is, how it is installed, how a process is given tokens of its own.
//!
//! Apart because it is about the machine. It loads nothing: tokens are made by [`crate::token`].

pub use crate::debian::NO_INSTALL_VARIABLE;
use crate::{SetupError, debian};
use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
};

/// Environment variable that names the module, before every place below.
pub const MODULE_VARIABLE: &str = "SOFTHSM2_MODULE";
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
    debian::install("SoftHSM", &["softhsm2"], notes).map_err(|why| missing(&why))?;
    find().ok_or_else(|| missing("the package was installed, but its module is in none of the known places"))
}

/// Says that there is no `SoftHSM`, `why` nothing is done about it, and the command that installs it.
#[must_use]
pub fn missing(why: &str) -> SetupError {
    match env::var_os(MODULE_VARIABLE) {
        Some(named) => SetupError::ModuleNamedWrongly { variable: MODULE_VARIABLE, path: named.into() },
        None => SetupError::NoModule {
            why: why.to_owned(),
            command: if debian::is_root() { INSTALL } else { INSTALL_BY_SUDO },
        },
    }
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
    fn what_is_missing_is_said_with_the_command_that_installs_it() {
        let error = missing("it is not there");
        let SetupError::NoModule { why, command } = &error else { panic!("{error}") };
        assert_eq!(why, "it is not there");
        assert!(command.ends_with("apt-get install softhsm2"), "{command}");
        assert!(error.to_string().contains(command), "{error}");
    }
}
