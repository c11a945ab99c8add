//! Installing Debian's and Ubuntu's packages, never unsaid.
//!
//! Apart because more than `SoftHSM` comes so. What is needed, and what to do without it, is the caller's.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Environment variable that forbids installing anything when it is `1`.
pub const NO_INSTALL_VARIABLE: &str = "KEYSVC_NO_INSTALL";
const APT_GET: &str = "/usr/bin/apt-get";

/// The solver that proves policies.
pub const CVC5: Packaged = Packaged { program: "cvc5", package: "cvc5", variable: "CVC5" };

/// The tracer by which system calls are watched, and made to fail.
pub const STRACE: Packaged = Packaged { program: "strace", package: "strace", variable: "STRACE" };

/// The debugger, which writes down the memory of a running process.
pub const GDB: Packaged = Packaged { program: "gdb", package: "gdb", variable: "GDB" };

/// A program that a package brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packaged {
    program: &'static str,
    package: &'static str,
    /// Environment variable that names the program, before the search path.
    variable: &'static str,
}

impl Packaged {
    /// Finds the program: where its variable says and nowhere else, or else in the search path.
    #[must_use]
    pub fn find(&self) -> Option<PathBuf> {
        self.find_with(env::var_os(self.variable), env::var_os("PATH"))
    }

    fn find_with(&self, named: Option<OsString>, search: Option<OsString>) -> Option<PathBuf> {
        if let Some(named) = named {
            return Some(PathBuf::from(named)).filter(|path| path.is_file());
        }
        let search = search.unwrap_or_default();
        let mut places = env::split_paths(&search).map(|folder| folder.join(self.program));
        places.find(|path| path.is_file())
    }

    /// Finds the program, or installs its package, saying so on `notes` first.
    ///
    /// # Errors
    /// Why there is none, in a sentence with the command to run, if nothing may or can be installed, or if its variable
    /// names no file.
    pub fn find_or_install(&self, notes: &mut dyn Write) -> Result<PathBuf, String> {
        if let Some(program) = self.find() {
            return Ok(program);
        }
        if let Some(named) = env::var_os(self.variable) {
            let named = PathBuf::from(named);
            return Err(format!(
                "{} names {}, which is not a file: correct it or unset it",
                self.variable,
                named.display()
            ));
        }
        install(self.program, &[self.package], notes).map_err(|why| self.missing(&why))?;
        self.find().ok_or_else(|| self.missing("the package was installed, but the program is not in PATH"))
    }

    fn missing(&self, why: &str) -> String {
        let by = if is_root() { "" } else { "sudo " };
        let Self { program, package, .. } = self;
        format!("no {program} on this machine ({why}): run '{by}apt-get install {package}', then try again")
    }
}

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

    #[test]
    fn a_program_is_where_its_variable_says_and_nowhere_else_or_in_the_search_path() {
        let here = env::current_exe().unwrap();
        let program = here.file_name().unwrap().to_str().unwrap().to_owned();
        let packaged = Packaged { program: program.leak(), package: "p", variable: "P" };
        let search = || Some(env::join_paths([Path::new("/nonexistent"), here.parent().unwrap()]).unwrap());
        assert_eq!(packaged.find_with(None, search()), Some(here.clone()));
        assert_eq!(packaged.find_with(None, None), None);
        assert_eq!(CVC5.find_with(Some(here.clone().into()), None), Some(here.clone()));
        assert_eq!(packaged.find_with(Some("/nonexistent/p".into()), search()), None);
    }

    #[test]
    fn a_program_that_is_missing_is_said_with_the_command_that_installs_it() {
        let words = CVC5.missing("it is forbidden");
        assert!(words.starts_with("no cvc5 on this machine (it is forbidden): run '"), "{words}");
        assert!(words.ends_with("apt-get install cvc5', then try again"), "{words}");
    }
}
