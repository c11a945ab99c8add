//! The programs under test: built once for a whole run, however many processes the run has.
//!
//! Apart because every journey needs them and none may build them in the middle of another. The paths are cargo's own
//! (`--message-format=json`), never guessed. It starts nothing: that is each test's.

use serde::{Deserialize, Serialize};
use std::{
    env, fmt,
    fs::{self, File},
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// Environment variable that names a file with the programs' paths, as [`Programs::write`] writes it. Where it is set,
/// nothing is built.
pub const PROGRAMS_VARIABLE: &str = "KEYSVC_PROGRAMS";
/// Environment variable by which nextest tells all processes of one run that they belong together.
const RUN_VARIABLE: &str = "NEXTEST_RUN_ID";

/// How the programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Cargo's profile `dev`, for tests.
    Dev,
    /// Cargo's profile `release`, for the demo and for measuring.
    Release,
}

impl Profile {
    const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }
}

/// Where the programs are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programs {
    /// The service.
    pub keysvc: PathBuf,
    /// The command line of those who use it over the network.
    pub fobctl: PathBuf,
    /// The offline verifier.
    pub fobaudit: PathBuf,
    /// The maker of development sites.
    pub softhsm_setup: PathBuf,
}

/// Why there are no programs.
#[derive(Debug)]
pub enum ProgramsError {
    /// A file or a process could not be used.
    Io(String, io::Error),
    /// Cargo ran and failed; its own messages are on stderr.
    Build(String),
    /// Cargo succeeded and named no such program, or the file with the paths does not.
    NoProgram(&'static str),
    /// The file with the paths is not one.
    Paths(PathBuf, serde_json::Error),
}

impl fmt::Display for ProgramsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(what, error) => write!(f, "{what}: {error}"),
            Self::Build(status) => write!(f, "the programs could not be built: {status}"),
            Self::NoProgram(name) => write!(f, "no program '{name}' came out of the build"),
            Self::Paths(path, error) => {
                write!(f, "{} does not hold the programs' paths: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for ProgramsError {}

impl Programs {
    /// The programs, built once per run: read from the file that `KEYSVC_PROGRAMS` names (what `cargo suite` does);
    /// or else built by the first process of a nextest run, and by each process where there is no such run.
    ///
    /// # Errors
    /// [`ProgramsError`] when cargo fails, or a file cannot be used.
    pub fn build(profile: Profile) -> Result<Self, ProgramsError> {
        // One lock per process, held while building: the others wait for the paths instead of for cargo.
        static DEV: OnceLock<std::sync::Mutex<Option<Programs>>> = OnceLock::new();
        static RELEASE: OnceLock<std::sync::Mutex<Option<Programs>>> = OnceLock::new();
        let known = match profile {
            Profile::Dev => &DEV,
            Profile::Release => &RELEASE,
        };
        let mut known =
            known.get_or_init(Default::default).lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(programs) = &*known {
            return Ok(programs.clone());
        }
        let programs = Self::once_per_run(profile)?;
        *known = Some(programs.clone());
        Ok(programs)
    }

    fn once_per_run(profile: Profile) -> Result<Self, ProgramsError> {
        // The file is that of the tests' own profile; a release build asked for on top is made.
        if let (Some(path), Profile::Dev) = (env::var_os(PROGRAMS_VARIABLE), profile) {
            return Self::read(Path::new(&path));
        }
        let Ok(run) = env::var(RUN_VARIABLE) else { return Self::build_now(profile) };
        let run: String = run.chars().filter(char::is_ascii_alphanumeric).collect();
        let folder = beside_this_program()?;
        let lock = folder.join(format!("programs-{}.lock", profile.name()));
        let lock = File::create(&lock).and_then(|file| file.lock().map(|()| file));
        // Held to the end of this function, and given back by the kernel if this process dies.
        let _lock =
            lock.map_err(|error| ProgramsError::Io(format!("lock in {}", folder.display()), error))?;
        let stamp = folder.join(format!("programs-{}.json", profile.name()));
        let stamped = fs::read(&stamp).ok().and_then(|bytes| serde_json::from_slice::<Stamp>(&bytes).ok());
        if let Some(Stamp { programs, .. }) = stamped.filter(|stamp| stamp.run == run) {
            return Ok(programs);
        }
        let programs = Self::build_now(profile)?;
        write_json(&stamp, &Stamp { run, programs: programs.clone() })?;
        Ok(programs)
    }

    /// Builds the programs with cargo and takes their paths from what it says. Its progress goes to stderr.
    fn build_now(profile: Profile) -> Result<Self, ProgramsError> {
        let cannot = |error| ProgramsError::Io("cargo build".to_owned(), error);
        let mut cargo = cargo()
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "--message-format=json-render-diagnostics", "--profile", profile.name()])
            // The whole workspace is selected, as in the aliases, so that both build each dependency with the same
            // features, and so once.
            .args(["--workspace", "--bin", "keysvc", "--bin", "fobctl", "--bin", "fobaudit"])
            .args(["--bin", "softhsm-setup"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(cannot)?;
        let mut built = Vec::new();
        if let Some(stdout) = cargo.stdout.take() {
            for line in BufReader::new(stdout).lines() {
                built.extend(program_of(&line.map_err(cannot)?));
            }
        }
        let status = cargo.wait().map_err(cannot)?;
        if !status.success() {
            return Err(ProgramsError::Build(status.to_string()));
        }
        Self::among(&built)
    }

    fn among(built: &[(String, PathBuf)]) -> Result<Self, ProgramsError> {
        let find = |name: &'static str| {
            let found = built.iter().find(|(built, _)| built == name);
            found.map(|(_, path)| path.clone()).ok_or(ProgramsError::NoProgram(name))
        };
        Ok(Self {
            keysvc: find("keysvc")?,
            fobctl: find("fobctl")?,
            fobaudit: find("fobaudit")?,
            softhsm_setup: find("softhsm-setup")?,
        })
    }

    /// Reads the paths from a file, and looks whether the programs are there.
    ///
    /// # Errors
    /// [`ProgramsError`] when it cannot be read, or names what is not there.
    pub fn read(path: &Path) -> Result<Self, ProgramsError> {
        let bytes = fs::read(path).map_err(|error| ProgramsError::Io(path.display().to_string(), error))?;
        let programs: Self =
            serde_json::from_slice(&bytes).map_err(|error| ProgramsError::Paths(path.to_owned(), error))?;
        let named = [
            ("keysvc", &programs.keysvc),
            ("fobctl", &programs.fobctl),
            ("fobaudit", &programs.fobaudit),
            ("softhsm-setup", &programs.softhsm_setup),
        ];
        if let Some((missing, _)) = named.iter().find(|(_, path)| !path.is_file()) {
            return Err(ProgramsError::NoProgram(missing));
        }
        Ok(programs)
    }

    /// Writes the paths to a file, for [`PROGRAMS_VARIABLE`].
    ///
    /// # Errors
    /// [`ProgramsError`] when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ProgramsError> {
        write_json(path, self)
    }
}

/// The programs of one nextest run.
#[derive(Serialize, Deserialize)]
struct Stamp {
    run: String,
    programs: Programs,
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ProgramsError> {
    let text =
        serde_json::to_vec_pretty(value).map_err(|error| ProgramsError::Paths(path.to_owned(), error))?;
    fs::write(path, text).map_err(|error| ProgramsError::Io(path.display().to_string(), error))
}

/// The folder of the running test or program: within cargo's target folder, wherever that is.
///
/// # Errors
/// [`ProgramsError::Io`] when the system does not say where this program is.
pub fn beside_this_program() -> Result<PathBuf, ProgramsError> {
    let cannot = |error| ProgramsError::Io("the path of this program".to_owned(), error);
    let program = env::current_exe().map_err(cannot)?;
    program.parent().map(Path::to_owned).ok_or_else(|| cannot(io::ErrorKind::NotFound.into()))
}

/// The cargo that runs this program, as if from a shell: without what it tells a program about the package that it
/// runs, because build scripts would take that for a change and build their crates again, back and forth.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let told = name.to_str().is_some_and(|name| {
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|head| name.starts_with(head))
                || matches!(
                    name,
                    "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "CARGO_TARGET_TMPDIR" | "OUT_DIR"
                )
        });
        if told {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// One line of cargo's JSON: name and path, if it tells of a finished program.
fn program_of(line: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let is = |field: &serde_json::Value, text: &str| field.as_str() == Some(text);
    let program = is(message.get("reason")?, "compiler-artifact")
        && message.pointer("/target/kind")?.as_array()?.iter().any(|kind| is(kind, "bin"))
        && message.pointer("/profile/test")?.as_bool() == Some(false);
    let name = message.pointer("/target/name")?.as_str()?;
    let path = message.get("executable")?.as_str()?;
    program.then(|| (name.to_owned(), PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"keysvc"},
        "profile":{"test":false},"executable":"/target/debug/keysvc"}"#;

    #[test]
    fn cargo_is_not_told_which_package_runs_it() {
        // Cargo and nextest tell this test.
        assert!(env::var_os("CARGO_PKG_NAME").is_some());
        let cargo = cargo();
        assert!(cargo.get_envs().any(|(name, value)| name == "CARGO_PKG_NAME" && value.is_none()));
        assert!(!cargo.get_envs().any(|(name, _)| name == "CARGO_HOME"));
    }

    #[test]
    fn a_finished_program_is_read_from_cargos_message() {
        assert_eq!(program_of(LINE), Some(("keysvc".to_owned(), PathBuf::from("/target/debug/keysvc"))));
    }

    #[test]
    fn libraries_and_tests_and_other_messages_are_no_programs() {
        assert_eq!(program_of(&LINE.replace("bin", "lib")), None);
        assert_eq!(program_of(&LINE.replace("false", "true")), None);
        assert_eq!(program_of(&LINE.replace("compiler-artifact", "build-finished")), None);
        assert_eq!(program_of("warning: not JSON"), None);
    }

    #[test]
    fn a_build_that_leaves_a_program_out_is_an_error() {
        let built = [("keysvc".to_owned(), PathBuf::from("/k"))];
        assert!(matches!(Programs::among(&built), Err(ProgramsError::NoProgram("fobctl"))));
    }

    #[test]
    fn paths_written_are_read_back_while_the_programs_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("programs.json");
        let here = env::current_exe().unwrap();
        let programs = Programs {
            keysvc: here.clone(),
            fobctl: here.clone(),
            fobaudit: here.clone(),
            softhsm_setup: here,
        };
        programs.write(&path).unwrap();
        assert_eq!(Programs::read(&path).unwrap(), programs);
        let gone = Programs { fobaudit: folder.path().join("gone"), ..programs };
        gone.write(&path).unwrap();
        assert!(matches!(Programs::read(&path), Err(ProgramsError::NoProgram("fobaudit"))));
    }
}
