//! A throw-away token for one test, on SoftHSM or on each module that the environment names.
//!
//! A module reads its configuration's path from the environment, which a process may set only for its children. So
//! the test runs itself again: the parent makes the folder and starts the same test executable for that one test,
//! the child finds its token and runs the body. Works under `cargo test` and nextest alike. Not for production.

mod child;
mod module;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Output;

pub(crate) use module::Make;
use module::Module;

use crate::pin::Pin;
use crate::provision::initialise_token;
use crate::token::{Token, TokenConfig};

/// The label of the scratch token.
const LABEL: &str = "scratch";
/// The user's PIN of the scratch token: as long as every module wants it, which for one is 8.
const PIN: &str = "58294107";
/// The security officer's PIN of the scratch token.
const SO_PIN: &str = "90713265";

/// A fresh, initialised token in a folder of its own.
pub struct Scratch {
    folder: PathBuf,
    make: Make,
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

    /// The folder where the module keeps its tokens.
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

    /// Which module it is: for what a test expects of one, never for what is done with it.
    #[cfg(test)]
    pub(crate) const fn make(&self) -> Make {
        self.make
    }

    /// Lets the module offer every mechanism from its next start on, where [`on_each_lesser_module`] withheld one.
    #[cfg(test)]
    pub(crate) fn offer_all(&self) {
        if let Err(reason) = child::configure_anew(&self.folder) {
            fail(&format!("the module is not configured anew: {reason}"));
        }
    }

    /// Runs this test's body once more, in another process and on the same token, and waits for its end. There,
    /// [`Scratch::role`] is `role`.
    ///
    /// # Panics
    /// If it cannot be started, or if it fails.
    pub fn beside(&self, role: &str) {
        let output = match child::beside(role) {
            Ok(output) => output,
            Err(error) => fail(&format!("no second process: {error}")),
        };
        if !output.status.success() {
            fail(&format!("the second process failed\n{}", words(&output)));
        }
    }

    /// What [`Scratch::beside`] asked of this process; none in the test's first one.
    #[must_use]
    pub fn role(&self) -> Option<String> {
        child::role()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch")
            .field("folder", &self.folder)
            .field("make", &self.make)
            .finish_non_exhaustive()
    }
}

/// Runs `body` with a fresh SoftHSM token. `test` is the test's whole name as the test runner prints it, such as
/// `signing::tests::a_signature_is_low`.
///
/// # Panics
/// If the body fails, if SoftHSM is not installed, or if no test has that name.
pub fn with_scratch_token(test: &str, body: fn(&Scratch)) {
    run(test, None, || Module::softhsm().map(|module| vec![module]), body);
}

/// Runs `body` once for each module that `KEYSVC_TEST_MODULES` names, each time with a fresh token; on SoftHSM alone
/// where it names none. `test` is as for [`with_scratch_token`].
///
/// # Panics
/// If the body fails on any module, if a module is not there or unknown, or if no test has that name.
pub fn on_each_module(test: &str, body: fn(&Scratch)) {
    run(test, None, Module::keeping, body);
}

/// As [`on_each_module`], with tokens that do not offer the mechanism of this `CKM_` name.
///
/// # Panics
/// As [`on_each_module`].
pub fn on_each_lesser_module(test: &str, without: &str, body: fn(&Scratch)) {
    run(test, Some(without), Module::keeping, body);
}

/// Runs `body` on NSS softokn if `KEYSVC_TEST_MODULES` names it; says so where it does not. Its token is as NSS makes
/// it: without a PIN, which `body` may set.
#[cfg(test)]
pub(crate) fn on_nss(test: &str, body: fn(&Scratch)) {
    let listed = || {
        let listed = Module::listed()?;
        let nss: Vec<_> = listed.into_iter().filter(|module| module.make == Make::Nss).collect();
        if nss.is_empty() {
            eprintln!("{test}: passed over, KEYSVC_TEST_MODULES does not name libsoftokn3.so");
        }
        Ok(nss)
    };
    run(test, None, listed, body);
}

fn run(
    test: &str,
    without: Option<&str>,
    modules: impl FnOnce() -> Result<Vec<Module>, String>,
    body: fn(&Scratch),
) {
    if child::is_of(test) {
        match child::scratch() {
            Ok(scratch) => in_child(&scratch, body),
            Err(reason) => fail(&reason),
        }
        return;
    }
    let modules = match modules() {
        Ok(modules) => modules,
        Err(reason) => fail(&reason),
    };
    for module in modules {
        if let Err(reason) = child::run(test, &module, without) {
            fail(&format!("{test} on {}: {reason}", module.path.display()));
        }
    }
}

fn in_child(scratch: &Scratch, body: fn(&Scratch)) {
    // NSS brings a token of its own, and a second process finds the first one's.
    if scratch.make != Make::Nss
        && scratch.role().is_none()
        && let Err(error) = initialise_token(scratch.module(), LABEL, &scratch.so_pin(), &scratch.pin())
    {
        fail(&format!("no scratch token: {error}"));
    }
    body(scratch);
    if let Err(error) = child::done(&scratch.folder) {
        fail(&format!("cannot write to the scratch folder: {error}"));
    }
}

/// How many keys are there, on the token and in sessions. A module may show objects of its own beside them.
#[cfg(test)]
pub(crate) fn key_count(token: &Token) -> usize {
    use cryptoki::object::{Attribute, ObjectClass};
    let classes = [ObjectClass::SECRET_KEY, ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY];
    let found = token.with_session(|session| {
        let of_class = |class| session.find_objects(&[Attribute::Class(class)]).map_err(crate::error::fault);
        classes.into_iter().map(|class| Ok(of_class(class)?.len())).sum()
    });
    match found {
        Ok(count) => count,
        Err(error) => fail(&format!("the scratch token's keys cannot be counted: {error}")),
    }
}

/// What a process printed.
fn words(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[expect(clippy::panic, reason = "test support: a test must fail loudly, and has no error to return")]
fn fail(reason: &str) -> ! {
    panic!("{reason}")
}
