//! The solver's process: found, asked one question at a time, and ended.
//!
//! Each question has a process of its own, so that no answer depends on the one before and one that
//! hangs takes nothing with it. A start costs about 10 ms. It knows nothing of what is asked.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use cedar_policy_symcc::err::{EncodeError, Error, SolverError};
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicySet, Env};
use tokio::process::Command;
use tokio::time::timeout;

use crate::error::ProverError;

/// How a cvc5 of any version begins to say which one it is.
const VERSION: &str = "This is cvc5 version ";

/// Bytes of a solver's own words that are repeated in an error.
const SAID_LEN_MAX: usize = 200;

/// A cvc5 program and how long it may take.
#[derive(Debug)]
pub(crate) struct Solver {
    program: PathBuf,
    limit: Duration,
}

impl Solver {
    /// The named program, else the one `CVC5` names, else `cvc5` in the search path.
    pub(crate) fn new(program: Option<PathBuf>, limit: Duration) -> Self {
        let found = || env::var_os("CVC5").unwrap_or_else(|| OsString::from("cvc5")).into();
        Self { program: program.unwrap_or_else(found), limit }
    }

    /// Its name and version: `cvc5 1.0.3`.
    ///
    /// # Errors
    ///
    /// A program that is missing, is another one, or does not answer.
    pub(crate) async fn version(&self) -> Result<String, ProverError> {
        let about = "its version";
        let asked =
            Command::new(&self.program).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output();
        let output = timeout(self.limit, asked)
            .await
            .map_err(|_| self.timed_out(about))?
            .map_err(|error| self.missing(&error))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.lines().next().unwrap_or_default();
        match line.strip_prefix(VERSION).and_then(|rest| rest.split_whitespace().next()) {
            Some(version) => Ok(format!("cvc5 {version}")),
            None => Err(ProverError::OtherProgram { program: self.program.clone(), said: short(line) }),
        }
    }

    /// A request that `policies` permit, or `None` if they permit none.
    ///
    /// # Errors
    ///
    /// Whatever is not an answer, within the time or at all.
    pub(crate) async fn permitted(
        &self,
        policies: &CompiledPolicySet,
        about: &str,
    ) -> Result<Option<Env>, ProverError> {
        let mut command = Command::new(&self.program);
        // It ends itself as well, should this program be killed before it can end it.
        let limit_ms = self.limit.as_millis();
        command.args(["--lang", "smt"]).arg(format!("--tlimit={limit_ms}")).kill_on_drop(true);
        let solver = LocalSolver::from_command(&mut command).map_err(|error| match error {
            SolverError::Io(error) => self.missing(&error),
            other => ProverError::Solver { about: about.to_owned(), reason: other.to_string() },
        })?;
        let mut compiler = CedarSymCompiler::new(solver).map_err(|error| failed(about, &error))?;
        let answer =
            timeout(self.limit, compiler.check_always_denies_with_counterexample_opt(policies)).await;
        // Ended in any case; that it has ended already is no error.
        compiler.solver_mut().clean_up().await.ok();
        answer.map_err(|_| self.timed_out(about))?.map_err(|error| failed(about, &error))
    }

    fn missing(&self, error: &std::io::Error) -> ProverError {
        ProverError::Missing { program: self.program.clone(), reason: error.kind() }
    }

    fn timed_out(&self, about: &str) -> ProverError {
        let limit_ms = u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX);
        ProverError::TimedOut { about: about.to_owned(), limit_ms }
    }
}

/// What an error of the symbolic compiler means here.
pub(crate) fn failed(about: &str, error: &Error) -> ProverError {
    let about = about.to_owned();
    match error {
        Error::SolverUnknown => ProverError::Unknown { about },
        Error::SolverError(SolverError::Io(error)) | Error::EncodeError(EncodeError::Io(error)) => {
            ProverError::Solver { about, reason: format!("it went away ({})", error.kind()) }
        }
        Error::CompileError(_) | Error::PolicyNotWellTyped { .. } | Error::EncodeError(_) => {
            ProverError::Unsupported { about, reason: short(&error.to_string()) }
        }
        other => ProverError::Solver { about, reason: short(&other.to_string()) },
    }
}

fn short(text: &str) -> String {
    if text.len() <= SAID_LEN_MAX {
        return text.to_owned();
    }
    let cut: String = text.chars().take(SAID_LEN_MAX).collect();
    format!("{cut}…")
}
