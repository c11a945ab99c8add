//! A throw-away SoftHSM token for one test.
//!
//! SoftHSM reads its configuration's path from the environment, which a process may set only for its children. So
//! the test runs itself again: the parent makes the folder and starts the same test executable for that one test,
//! the child finds its token and runs the body. Works under `cargo test` and nextest alike. Not for production.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::mechanism::Mechanism;
use crate::pin::Pin;
use crate::provision::initialise_token;
use crate::token::{Token, TokenConfig};

/// Names the test that a child is to run.
const TEST: &str = "KEYSVC_SCRATCH_TEST";
/// Names the child's folder.
const FOLDER: &str = "KEYSVC_SCRATCH_FOLDER";
/// The label of the scratch token.
const LABEL: &str = "scratch";
/// The user's PIN of the scratch token.
const PIN: &str = "582941";
/// The security officer's PIN of the scratch token.
const SO_PIN: &str = "90713265";
/// Where distributions put SoftHSM.
const MODULES: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

/// A fresh, initialised SoftHSM token in a folder of its own.
pub struct Scratch {
    folder: PathBuf,
    config: TokenConfig,
}

impl Scratch {
    /// The PKCS#11 module.
    #[must_use]
    pub fn module(&self) -> &Path {
        &self.config.module
    }

    /// The folder of this test, with the token folder `tokens` in it; gone after the test.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder where SoftHSM keeps its tokens.
    #[must_use]
    pub fn token_folder(&self) -> PathBuf {
        self.folder.join("tokens")
    }

    /// How the token is found.
    #[must_use]
    pub fn config(&self) -> &TokenConfig {
        &self.config
    }

    /// The user's PIN.
    #[must_use]
    pub fn pin(&self) -> Pin {
        Pin::new(PIN.to_owned())
    }

    /// The security officer's PIN.
    #[must_use]
    pub fn so_pin(&self) -> Pin {
        Pin::new(SO_PIN.to_owned())
    }

    /// Opens the token.
    ///
    /// # Panics
    /// If it does not open.
    #[must_use]
    pub fn open(&self) -> Token {
        match Token::open(&self.config, &self.pin()) {
            Ok(token) => token,
            Err(error) => fail(&format!("the scratch token does not open: {error}")),
        }
    }

    /// Makes a further token beside the first, such as a station's, and opens it.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn another(&self, label: &str) -> Token {
        if let Err(error) = initialise_token(self.module(), label, &self.so_pin(), &self.pin()) {
            fail(&format!("no further scratch token: {error}"));
        }
        let config = TokenConfig { module: self.config.module.clone(), label: label.to_owned() };
        match Token::open(&config, &self.pin()) {
            Ok(token) => token,
            Err(error) => fail(&format!("the further scratch token does not open: {error}")),
        }
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Runs `body` with a fresh SoftHSM token. `test` is the test's whole name as the test runner prints it, such as
/// `signing::tests::a_signature_is_low`.
///
/// # Panics
/// If the body fails, if SoftHSM is not installed, or if no test has that name.
pub fn with_scratch_token(test: &str, body: fn(&Scratch)) {
    with_token(test, "", body);
}

/// As [`with_scratch_token`], with a token that offers the mechanisms this crate knows, but for the one of this
/// `CKM_` name.
///
/// # Panics
/// As [`with_scratch_token`].
pub fn with_lesser_token(test: &str, without: &str, body: fn(&Scratch)) {
    let known = Mechanism::ALL.into_iter().map(Mechanism::name);
    let offered: Vec<_> = known.filter(|name| *name != without).collect();
    with_token(test, &format!("slots.mechanisms = {}\n", offered.join(",")), body);
}

fn with_token(test: &str, more_settings: &str, body: fn(&Scratch)) {
    let module = module();
    if std::env::var(TEST).as_deref() == Ok(test) {
        let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
            fail("no scratch folder is named")
        };
        let scratch = Scratch { folder, config: TokenConfig { module, label: LABEL.to_owned() } };
        if let Err(error) = initialise_token(scratch.module(), LABEL, &scratch.so_pin(), &scratch.pin()) {
            fail(&format!("no scratch token: {error}"));
        }
        body(&scratch);
        // Left behind for the parent: proof that the body ran to its end, whatever name the runner matched.
        if let Err(error) = std::fs::write(done(&scratch.folder), b"") {
            fail(&format!("cannot write to the scratch folder: {error}"));
        }
        return;
    }
    match run_again(test, more_settings) {
        Ok(()) => {}
        Err(reason) => fail(&format!("{test}: {reason}")),
    }
}

/// Runs the one test in a child that sees its own SoftHSM configuration.
fn run_again(test: &str, more_settings: &str) -> Result<(), String> {
    let say = |error: std::io::Error| error.to_string();
    let folder = tempfile::tempdir().map_err(say)?;
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).map_err(say)?;
    let configuration = folder.path().join("softhsm2.conf");
    let settings = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n{more_settings}",
        tokens.display()
    );
    std::fs::write(&configuration, settings).map_err(say)?;
    let output = Command::new(std::env::current_exe().map_err(say)?)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("SOFTHSM2_CONF", &configuration)
        .env(TEST, test)
        .env(FOLDER, folder.path())
        .output()
        .map_err(say)?;
    if output.status.success() && done(folder.path()).exists() {
        return Ok(());
    }
    let words = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() {
        return Err(format!("no test has this name, or its body did not run\n{}", words.concat()));
    }
    Err(format!("failed in its scratch process ({})\n{}", output.status, words.concat()))
}

fn done(folder: &Path) -> PathBuf {
    folder.join("done")
}

fn module() -> PathBuf {
    match MODULES.iter().map(PathBuf::from).find(|path| path.is_file()) {
        Some(path) => path,
        None => {
            fail("SoftHSM is not installed: run apt-get install softhsm2 (Debian, Ubuntu), then try again")
        }
    }
}

#[expect(clippy::panic, reason = "test support: a test must fail loudly, and has no error to return")]
fn fail(reason: &str) -> ! {
    panic!("{reason}")
}
