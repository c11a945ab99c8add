//! `fobctl ceremony` without a service: plans are checked and put on paper, and nothing is run that nobody signed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn fobctl(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fobctl"))
        .args(arguments)
        .current_dir(folder)
        .env("FOBCTL_CONTEXTS", folder)
        .env_remove("FOBCTL_CONFIG")
        .env_remove("FOBCTL_CONTEXT")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ceremonies").join(name)
}

#[test]
fn an_example_is_checked_and_put_on_paper_without_any_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let plan = example("rotate.toml");
    let plan = plan.to_str().unwrap();
    let check = fobctl(folder.path(), &["ceremony", "check", plan]);
    assert!(check.status.success(), "{}", text(&check.stderr));
    assert!(text(&check.stdout).contains("an example: its genesis is zero"));
    assert!(text(&check.stdout).contains("officer-2: Ask to retire version 1"));
    let script = fobctl(folder.path(), &["ceremony", "script", plan, "--out", "script.html"]);
    assert!(script.status.success(), "{}", text(&script.stderr));
    let page = fs::read_to_string(folder.path().join("script.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("Exceptions") && !page.contains("<script"));
    let again = fobctl(folder.path(), &["ceremony", "script", plan, "--out", "script.html"]);
    assert_eq!(again.status.code(), Some(2), "a page is not overwritten");
}

#[test]
fn what_is_wrong_with_a_plan_is_told_with_its_place_and_the_next_command() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(example("rotate.toml")).unwrap();
    fs::write(folder.path().join("bad.toml"), good.replace("of-step = 10", "of-step = 14")).unwrap();
    let check = fobctl(folder.path(), &["ceremony", "check", "bad.toml"]);
    assert_eq!(check.status.code(), Some(2));
    let said = text(&check.stderr);
    assert!(said.contains("steps.11.do.of-step: name an earlier step"), "{said}");
    assert!(said.contains("next: correct the plan"), "{said}");
}

#[test]
fn a_plan_whose_people_have_no_contexts_here_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(example("rotate.toml"), folder.path().join("plan.toml")).unwrap();
    let run = fobctl(folder.path(), &["ceremony", "run", "plan.toml"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains("there is no context officer-1"), "{}", text(&run.stderr));
    let stranger = fobctl(folder.path(), &["ceremony", "run", "plan.toml", "--person", "mallory=x"]);
    assert!(text(&stranger.stderr).contains("the plan names no mallory"));
    assert!(!folder.path().join("plan.toml.ceremony").exists(), "nothing was begun");
}
