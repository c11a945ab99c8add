//! The PKCS#11 modules that tests run on, and how each one is told where its tokens lie.
//!
//! Apart because this is the one place that knows modules by name, which no other code does: each is configured in a
//! way of its own, by a file that a variable of the environment names. What a module can do is asked of the module.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use crate::mechanism::Mechanism;

/// Names the modules that tests run on: paths with `:` between them.
const LIST: &str = "KEYSVC_TEST_MODULES";
/// Where distributions put SoftHSM.
const SOFTHSM: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
/// How many tokens a test may make: kryoptic has as many as its configuration lists.
const TOKENS_MAX: u32 = 4;

/// Once for each process is enough to say that there is no list.
static SAID: Once = Once::new();

/// A module's make, told by its file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// SoftHSM, in C++: a folder for each token.
    SoftHsm,
    /// Kryoptic, in Rust: a SQLite file for each token.
    Kryoptic,
    /// NSS softokn, in C: enforces too little, so that no key is ever kept on it.
    Nss,
}

/// One module that tests run on.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) make: Make,
    pub(crate) path: PathBuf,
}

impl Module {
    /// A module by its path.
    pub(crate) fn at(path: &Path) -> Result<Self, String> {
        let make = match path.file_name().and_then(|name| name.to_str()) {
            Some("libsofthsm2.so") => Make::SoftHsm,
            Some("libkryoptic_pkcs11.so") => Make::Kryoptic,
            Some("libsoftokn3.so") => Make::Nss,
            _ => {
                return Err(format!(
                    "tests do not know how to configure {}: libsofthsm2.so, libkryoptic_pkcs11.so and libsoftokn3.so \
                     are known",
                    path.display()
                ));
            }
        };
        if path.is_file() {
            Ok(Self { make, path: path.to_owned() })
        } else {
            Err(format!("no PKCS#11 module at {}: see tests/tokens/README.md", path.display()))
        }
    }

    /// SoftHSM, wherever it lies.
    pub(crate) fn softhsm() -> Result<Self, String> {
        match SOFTHSM.iter().map(Path::new).find(|path| path.is_file()) {
            Some(path) => Self::at(path),
            None => {
                Err("SoftHSM is not installed: run apt-get install softhsm2 (Debian, Ubuntu), then try again"
                    .into())
            }
        }
    }

    /// The modules that the environment names, with [`LIST`]; none if it names none.
    pub(crate) fn listed() -> Result<Vec<Self>, String> {
        let Some(list) = std::env::var_os(LIST).filter(|list| !list.is_empty()) else {
            return Ok(Vec::new());
        };
        std::env::split_paths(&list).map(|path| Self::at(&path)).collect()
    }

    /// The modules that can keep keys: those of the list but for NSS, or SoftHSM alone where there is no list.
    pub(crate) fn keeping() -> Result<Vec<Self>, String> {
        let listed = Self::listed()?;
        if listed.is_empty() {
            let alone = Self::softhsm()?;
            SAID.call_once(|| {
                let words =
                    format!("tests run on {} alone: {LIST} names no other module", alone.path.display());
                // Where nobody listens, nothing is lost by it.
                let _ = writeln!(io::stderr(), "{words}");
            });
            return Ok(vec![alone]);
        }
        let keeping: Vec<_> = listed.into_iter().filter(|module| module.make != Make::Nss).collect();
        if keeping.is_empty() { Err(format!("{LIST} names no module that keeps keys")) } else { Ok(keeping) }
    }

    /// What a test loads: the module itself, but for NSS, which takes its parameters from a program and not from the
    /// environment. `folder` is the test's.
    pub(crate) fn loaded(&self, folder: &Path) -> PathBuf {
        if self.make == Make::Nss { folder.join("nss.so") } else { self.path.clone() }
    }

    /// Writes the module's configuration for tokens in `folder/tokens`, which offer every mechanism of this crate's but
    /// for `without`. Gives the variable that says where it is.
    pub(crate) fn configure(
        &self,
        folder: &Path,
        without: Option<&str>,
    ) -> io::Result<(&'static str, OsString)> {
        let tokens = folder.join("tokens");
        fs::create_dir_all(&tokens)?;
        match self.make {
            Make::SoftHsm => {
                let file = folder.join("softhsm2.conf");
                fs::write(&file, softhsm_settings(&tokens, without))?;
                Ok(("SOFTHSM2_CONF", file.into()))
            }
            Make::Kryoptic => {
                let file = folder.join("kryoptic.conf");
                fs::write(&file, kryoptic_settings(&tokens, without))?;
                Ok(("KRYOPTIC_CONF", file.into()))
            }
            Make::Nss => {
                compile(&self.loaded(folder))?;
                let parameters =
                    format!("configDir='sql:{}' certPrefix='' keyPrefix='' flags=", tokens.display());
                Ok(("KEYSVC_SCRATCH_NSS_PARAMETERS", parameters.into()))
            }
        }
    }
}

/// Compiles the library that hands NSS its parameters (tests/tokens/nss.c), with the compiler that links Rust too.
fn compile(library: &Path) -> io::Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tokens/nss.c");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let arguments = ["-shared", "-fPIC", "-Wall", "-Werror", "-o"];
    let output = Command::new(compiler).args(arguments).arg(library).arg(source).arg("-ldl").output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

fn softhsm_settings(tokens: &Path, without: Option<&str>) -> String {
    let settings = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
        tokens.display()
    );
    let Some(without) = without else { return settings };
    let known = Mechanism::ALL.into_iter().map(Mechanism::name);
    let offered: Vec<_> = known.filter(|name| *name != without).collect();
    format!("{settings}slots.mechanisms = {}\n", offered.join(","))
}

fn kryoptic_settings(tokens: &Path, without: Option<&str>) -> String {
    let denied = without.map_or_else(String::new, |name| format!("mechanisms = [\"DENY\", \"{name}\"]\n"));
    let slot = |number: u32| {
        let file = tokens.join(format!("{number}.sql"));
        format!("[[slots]]\nslot = {number}\ndbtype = \"sqlite\"\ndbargs = \"{}\"\n{denied}", file.display())
    };
    (1..=TOKENS_MAX).map(slot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_tests_cannot_configure_is_refused_by_name() {
        let error = Module::at(Path::new("/opt/vendor/libhsm.so")).unwrap_err();
        assert!(
            error.contains("/opt/vendor/libhsm.so") && error.contains("libkryoptic_pkcs11.so"),
            "{error}"
        );
    }

    #[test]
    fn a_known_module_that_is_not_there_is_not_passed_over() {
        let error = Module::at(Path::new("/nonexistent/libkryoptic_pkcs11.so")).unwrap_err();
        assert!(error.contains("/nonexistent/libkryoptic_pkcs11.so"), "{error}");
    }
}
