//! A solver that is missing, hangs, gives up or answers wrongly proves nothing.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use keysvc_policies::PolicySet;
use keysvc_prover::{LOAD_MAX_DEFAULT, Proof, Prover, ProverError};
use tempfile::TempDir;

/// For those that hang: enough for a shell to start on a busy machine, and far below the usual minute.
const LIMIT: Duration = Duration::from_secs(5);

/// A program that says it is cvc5 and then does what `script` says.
fn solver(folder: &TempDir, script: &str) -> PathBuf {
    program(
        folder,
        &format!("[ \"$1\" = --version ] && {{ echo 'This is cvc5 version 9.9.9'; exit 0; }}\n{script}"),
    )
}

fn program(folder: &TempDir, script: &str) -> PathBuf {
    let path = folder.path().join("solver");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Says the same to every question.
fn always(answer: &str) -> String {
    format!(
        "while read -r line; do\n\
         case $line in '(check-sat)') printf '{answer}\\n';; '(get-model)') printf '(\\n)\\n';; esac\n\
         done"
    )
}

fn prove(program: &Path) -> Result<Proof, ProverError> {
    Prover::new(Some(program.to_owned())).prove(&PolicySet::shipped().unwrap(), LOAD_MAX_DEFAULT)
}

fn prove_soon(program: PathBuf) -> Result<Proof, ProverError> {
    Prover::new(Some(program)).with_limit(LIMIT).prove(&PolicySet::shipped().unwrap(), LOAD_MAX_DEFAULT)
}

fn refused(script: &str) -> ProverError {
    let folder = tempfile::tempdir().unwrap();
    prove(&solver(&folder, script)).unwrap_err()
}

#[test]
fn without_a_solver_nothing_is_proved() {
    let folder = tempfile::tempdir().unwrap();
    let error = prove(&folder.path().join("cvc5")).unwrap_err();
    assert!(matches!(error, ProverError::Missing { .. }), "{error:?}");
    assert!(error.to_string().contains("install Debian's package cvc5"), "{error}");
}

#[test]
fn another_program_is_no_solver() {
    let folder = tempfile::tempdir().unwrap();
    let error = prove(&program(&folder, "echo 'Z3 version 4.8.12 - 64 bit'")).unwrap_err();
    let ProverError::OtherProgram { said, .. } = error else { panic!("{error:?}") };
    assert_eq!(said, "Z3 version 4.8.12 - 64 bit");
    let error = prove(&program(&folder, "exit 3")).unwrap_err();
    assert!(matches!(error, ProverError::OtherProgram { .. }), "{error:?}");
}

#[test]
fn a_solver_that_answers_nonsense_proves_nothing() {
    let error = refused(&always("perhaps"));
    let ProverError::Solver { reason, .. } = &error else { panic!("{error:?}") };
    assert!(reason.contains("perhaps"), "{error}");
}

#[test]
fn a_solver_that_does_not_know_proves_nothing() {
    let error = refused(&always("unknown"));
    assert!(matches!(error, ProverError::Unknown { .. }), "{error:?}");
}

#[test]
fn a_solver_that_calls_everything_impossible_is_found_out() {
    let error = refused(&always("unsat"));
    assert!(matches!(error, ProverError::Untrue { known: "falsehood" }), "{error:?}");
}

#[test]
fn a_solver_that_calls_everything_possible_is_found_out() {
    let error = refused(&always("sat"));
    assert!(
        matches!(error, ProverError::Untrue { known: "truth" } | ProverError::Solver { .. }),
        "{error:?}"
    );
}

#[test]
fn a_solver_that_ends_early_proves_nothing() {
    for script in ["exit 0", "exit 1", "read -r line; exit 0", "kill -9 $$"] {
        let error = refused(script);
        assert!(matches!(error, ProverError::Solver { .. }), "{script}: {error:?}");
    }
}

#[test]
fn a_solver_that_hangs_proves_nothing_and_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let error =
        prove_soon(solver(&folder, &format!("echo $$ > {}; exec sleep 600", pid.display()))).unwrap_err();
    assert!(matches!(error, ProverError::TimedOut { limit_ms: 5000, .. }), "{error:?}");

    let process = Path::new("/proc").join(fs::read_to_string(pid).unwrap().trim());
    for _ in 0..100 {
        if !process.exists() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{} is still there", process.display());
}

#[test]
fn a_solver_that_hangs_over_its_version_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let error = prove_soon(program(&folder, "exec sleep 600")).unwrap_err();
    assert!(matches!(error, ProverError::TimedOut { .. }), "{error:?}");
}

#[test]
fn a_real_solver_that_may_not_take_any_time_proves_nothing() {
    let proved =
        Prover::new(None).with_limit(Duration::ZERO).prove(&PolicySet::shipped().unwrap(), LOAD_MAX_DEFAULT);
    assert!(matches!(proved, Err(ProverError::TimedOut { .. })), "{proved:?}");
}

#[test]
fn the_variable_cvc5_names_the_solver_and_without_it_the_tests_fail() {
    let name = "a_real_solver_that_may_not_take_any_time_proves_nothing";
    let run = |solver: &str| {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env("CVC5", solver)
            .output()
            .unwrap()
    };
    let missing = run("/nonexistent/cvc5");
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(!missing.status.success(), "{said}");
    assert!(said.contains("Missing { program: \"/nonexistent/cvc5\""), "{said}");
}

#[test]
fn a_request_that_a_solver_invents_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    // It knows the two known answers and lies from the third question on.
    let calls = folder.path().join("calls");
    let script = format!(
        "echo x >> {calls}; [ $(wc -l < {calls}) -le 2 ] && exec cvc5 \"$@\"\n{lies}",
        calls = calls.display(),
        lies = always("sat")
    );
    let error = prove(&solver(&folder, &script)).unwrap_err();
    assert!(matches!(error, ProverError::Solver { .. } | ProverError::Unconfirmed { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(calls).unwrap().lines().count(), 3);
}
