//! The transcripts in the documents are true: each command of a `console` block is run against a real service, in the
//! document's order, and must print what stands below it.
//!
//! Times and digests are compared by their form alone, and one that a later command repeats is typed there as this run
//! showed it; `[..]` stands for anything else that differs from run to run, and a line `...` for any number of lines. A command that fails is followed by `$ echo $?`. What cannot be run here stands in `sh` blocks, and each of those is named
//! below: a command in a document is either run or listed.

#[path = "transcripts/document.rs"]
mod document;
#[path = "transcripts/likeness.rs"]
mod likeness;
#[path = "transcripts/shell.rs"]
mod shell;
#[path = "transcripts/tools.rs"]
mod tools;

use document::{Block, Document};
use keysvc_tests::ground::Ground;
use likeness::{Shown, blanked};
use shell::Shell;
use snapbox::{Assert, IntoData as _};

/// The documents with transcripts.
const REPLAYED: [&str; 9] = [
    "README.md",
    "docs/operations.md",
    "docs/fobctl.md",
    "docs/dual-control.md",
    "docs/policies.md",
    "docs/profiles.md",
    "docs/keys.md",
    "docs/ceremonies.md",
    "docs/jobs.md",
];

/// The blocks that are not run, by document and first line, and why.
const NOT_RUN: &[(&str, &str, &str)] = &[
    ("README.md", "cargo demo", "it builds for release and founds a site of its own"),
    ("README.md", "cargo demo --keep", "as above"),
    (
        "docs/operations.md",
        "cargo build --release --package keysvc --package fobctl --package fobaudit",
        "it builds",
    ),
    (
        "docs/operations.md",
        "softhsm-setup dev on-kryoptic --module target/tokens/libkryoptic_pkcs11.so",
        "it needs kryoptic, which tests/tokens/kryoptic builds; softhsm-setup/tests/site.rs does it where it is there",
    ),
    (
        "docs/operations.md",
        "keysvc --config FILE serve",
        "it goes on until it is told to end; every test here runs it",
    ),
    (
        "docs/operations.md",
        "systemctl stop keysvc.target keysvc-front keysvc-keeper",
        "it replaces a program of the system",
    ),
    ("docs/faults.md", "cargo faults", "it breaks services for minutes; .ci/run runs it"),
    ("docs/fuzzing.md", "rustup toolchain install nightly", "it fetches a compiler"),
    ("docs/supply-chain.md", "cargo run --bin sbom", "tests/tests/supply_chain.rs makes the bills"),
    ("docs/supply-chain.md", "git clone URL keysvc && cd keysvc", "there is no release yet"),
    ("docs/performance.md", "cargo load --seconds 0.5 --rounds 5 --peers", "it measures for minutes"),
    ("docs/performance.md", "cargo load --seconds 0.6 --rounds 3", "as above"),
    ("docs/performance.md", "cargo load --leaves 1000000 --purses 1000000", "as above"),
    ("docs/performance.md", "cargo load --people 1000", "as above"),
];

/// Runs a document's transcripts in order and gives what differs.
fn differences(name: &str, ground: &mut Ground) -> Vec<String> {
    let document = Document::read(name);
    let mut shell = Shell::new(ground);
    let mut found = Vec::new();
    let mut count = 0;
    let mut shown = Shown::default();
    for step in document.blocks.iter().filter_map(Block::steps).flatten() {
        count += 1;
        let said = shell.run(&shown.typed(&step.command));
        shown.learn(&said, &step.expected);
        if let Err(difference) = compare(&said, &step.expected) {
            found.push(format!("{name}: $ {}\n{said}--- differs:\n{difference}", step.command));
        }
        if shell.failed() && !step.status_follows {
            found.push(format!("{name}: $ {} fails, and no `echo $?` follows", step.command));
        }
    }
    assert!(count > 0, "{name} has no transcript");
    found
}

fn compare(actual: &str, expected: &str) -> Result<(), snapbox::assert::Error> {
    let data = |text: &str| blanked(text).into_data();
    Assert::new().try_eq(None, data(actual), data(expected))
}

fn replay(name: &str, ground: &mut Ground) {
    let found = differences(name, ground);
    assert!(found.is_empty(), "{} commands print something else:\n\n{}", found.len(), found.join("\n\n"));
}

#[test]
fn the_transcripts_of_the_readme_are_what_the_programs_print() {
    replay(REPLAYED[0], &mut Ground::new());
}

#[test]
fn the_transcripts_of_operations_are_what_the_programs_print() {
    tools::get();
    // It founds the service itself.
    replay(REPLAYED[1], &mut Ground::laid_out());
}

#[test]
fn the_transcripts_of_the_tour_are_what_the_programs_print() {
    replay(REPLAYED[2], &mut Ground::new());
}

#[test]
fn the_transcripts_of_dual_control_are_what_the_programs_print() {
    replay(REPLAYED[3], &mut Ground::new());
}

#[test]
fn the_transcripts_of_policies_are_what_the_programs_print() {
    replay(REPLAYED[4], &mut Ground::new());
}

#[test]
fn the_transcripts_of_profiles_are_what_the_programs_print() {
    replay(REPLAYED[5], &mut Ground::new());
}

#[test]
fn the_transcripts_of_keys_are_what_the_programs_print() {
    replay(REPLAYED[6], &mut Ground::new());
}

#[test]
fn the_transcripts_of_ceremonies_are_what_the_programs_print() {
    replay(REPLAYED[7], &mut Ground::new());
}

#[test]
fn the_transcripts_of_jobs_are_what_the_programs_print() {
    replay(REPLAYED[8], &mut Ground::new());
}

#[test]
fn every_block_of_commands_in_a_document_is_replayed_or_listed() {
    let mut listed = NOT_RUN.to_vec();
    let mut wrong = Vec::new();
    for document in document::all() {
        for block in &document.blocks {
            match block {
                Block::Console(_) if REPLAYED.contains(&document.name.as_str()) => {}
                Block::Console(_) => wrong.push(format!("{}: a transcript that no test runs", document.name)),
                Block::Shell(first) => {
                    let command = first.split('#').next().unwrap_or_default().trim();
                    let place =
                        listed.iter().position(|(name, line, _)| *name == document.name && *line == command);
                    match place {
                        Some(place) => drop(listed.remove(place)),
                        None => wrong.push(format!("{}: not run and not listed: {first}", document.name)),
                    }
                }
                Block::Loose(line) => {
                    wrong.push(format!(
                        "{}: a command outside of console and sh blocks: {line}",
                        document.name
                    ));
                }
            }
        }
    }
    wrong.extend(listed.iter().map(|(name, start, _)| format!("{name}: listed and not there: {start}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_transcript_that_is_not_true_and_a_command_that_is_not_run_are_found() {
    let text =
        "# A\n\n```console\n$ echo one\ntwo\n$ false\n```\n\n    fobctl status\n\n```sh\nreboot\n```\n";
    let document = Document::parse("a.md", text);
    let [Block::Console(steps), Block::Loose(loose), Block::Shell(first)] = &document.blocks[..] else {
        panic!("{:?}", document.blocks)
    };
    assert_eq!((loose.as_str(), first.as_str()), ("fobctl status", "reboot"));
    assert_eq!((steps[0].command.as_str(), steps[0].expected.as_str()), ("echo one", "two\n"));
    assert!(steps.iter().all(|step| !step.status_follows));
    let differs = |actual, expected| compare(actual, expected).is_err();
    assert!(differs("one\n", "two\n"));
    assert!(differs("one\nmore\n", "one\n"));
    assert!(!differs("one 17 two\n", "one [..] two\n"));
}
