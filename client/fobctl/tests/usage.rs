//! The built program: wrong command lines end with exit code 2, say so on stderr, and print nothing on stdout.

use std::process::{Command, Output};

fn run(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fobctl"));
    command.args(words).env_remove("FOBCTL_CONFIG").output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn usage(words: &[&str]) -> String {
    let output = run(words);
    assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{words:?}: {output:?}");
    stderr(&output)
}

const CONFIG: &str = r#"
endpoint = "localhost:1"
server-name = "keysvc.test"
ca = "ca.pem"
certificate = "own.pem"
key = "own.key"
trust = "trust"
state = "state"
"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("client.toml"), CONFIG).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn no_noun_an_unknown_verb_and_a_missing_option_are_usage_errors() {
    usage(&[]);
    usage(&["key"]);
    assert!(usage(&["key", "export"]).contains("unrecognized subcommand"));
    assert!(usage(&["station", "derive", "--profile", "fob"]).contains("--version"));
    assert!(usage(&["founding", "sign", "f"]).contains("--officer"));
    assert!(usage(&["audit", "proof", "--leaf", "x"]).contains("invalid"));
}

#[test]
fn without_a_configuration_the_next_step_is_named() {
    let text = usage(&["status"]);
    assert!(text.contains("fobctl: no configuration is named"), "{text}");
    assert!(text.contains("next: give --config FILE, or set FOBCTL_CONFIG"), "{text}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let text = usage(&["status", "--config", "/nonexistent/client.toml"]);
    assert!(text.contains("/nonexistent/client.toml"), "{text}");
}

#[test]
fn a_founding_is_signed_only_where_a_token_is_configured() {
    let folder = Folder::new();
    let words = [
        "founding",
        "sign",
        "f",
        "--officer",
        "alice",
        "--out",
        "s",
        "--config",
        &folder.path("client.toml"),
    ];
    let text = usage(&words);
    assert!(text.contains("the configuration names no token"), "{text}");
}

#[test]
fn an_amount_with_other_decimals_is_refused_before_the_service_is_asked() {
    let folder = Folder::new();
    let (config, out) = (folder.path("client.toml"), folder.path("record"));
    let words = [
        "value",
        "load",
        "--programme",
        "coffee",
        "--card",
        "04782e21801d80",
        "--purse",
        "1",
        "--amount",
        "20.0",
        "--seq",
        "1",
        "--balance",
        "0.00",
        "--currency",
        "978",
        "--out",
        &out,
        "--config",
        &config,
    ];
    let text = usage(&words);
    assert!(text.contains("--amount: EUR has 2 decimals, not 1: type 20.00"), "{text}");
    assert!(!std::path::Path::new(&out).exists());
}

#[test]
fn a_file_that_is_there_already_is_not_overwritten() {
    let folder = Folder::new();
    let (config, out) = (folder.path("client.toml"), folder.path("keys.csv"));
    std::fs::write(&out, "kept").unwrap();
    let words = [
        "station",
        "derive",
        "--profile",
        "fob",
        "--version",
        "1",
        "--slot",
        "0",
        "--card",
        "04782e21801d80",
        "--out",
        &out,
        "--config",
        &config,
    ];
    assert!(usage(&words).contains("is not overwritten"));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "kept");
}

#[test]
fn help_is_data_and_lists_the_exit_codes() {
    let output = run(&["help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Exit codes:") && text.contains("conflict"), "{text}");
}
