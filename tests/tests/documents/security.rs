//! SECURITY.md held to the tree: every promise names its proof, and the proof is there.

use super::{read, root, table, words};
use std::{collections::BTreeMap, fs};

/// The heading of the promises by number.
const NUMBERED: &str = "| no. | promise | held by | figure |";
/// How many there are.
const PROMISES: usize = 30;

/// The tests that SECURITY.md names, as `path::name`.
fn named_tests() -> Vec<(String, String)> {
    let text = read("SECURITY.md");
    let pieces = text.split('`').skip(1).step_by(2).filter_map(|piece| piece.split_once(".rs::"));
    pieces.map(|(file, name)| (format!("{file}.rs"), name.to_owned())).collect()
}

/// The rows of `cargo faults`, by name.
fn rows_of_faults() -> Vec<String> {
    let text = read("tests/faults/row.rs");
    let names = text.split("name: \"").skip(1).filter_map(|rest| rest.split_once('"'));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// The rows of `cargo faults` that a cell names, as `faults: kill`.
fn faults_in(cell: &str) -> Vec<String> {
    words(cell).iter().filter_map(|word| word.strip_prefix("faults: ").map(str::to_owned)).collect()
}

#[test]
fn every_test_that_the_security_document_names_is_in_the_tree() {
    let tests = named_tests();
    assert!(tests.len() > 20, "{tests:?}");
    let mut files = BTreeMap::new();
    for (file, name) in tests {
        let text = files.entry(file.clone()).or_insert_with(|| read(&file));
        let place = text.find(&format!("fn {name}(")).unwrap_or_else(|| panic!("{file} has no {name}"));
        let before: Vec<_> = text[..place].lines().rev().take(4).collect();
        let has = |attribute: &str| before.iter().any(|line| line.contains(attribute));
        assert!(has("#[test]") || has("tokio::test"), "{file}::{name} is no test");
        assert!(!has("#[ignore"), "{file}::{name} is never run");
    }
}

#[test]
fn every_promise_of_the_security_document_names_a_test() {
    for row in table("SECURITY.md", "| promise | test |") {
        assert!(row[1].contains(".rs::"), "{}", row[0]);
    }
}

#[test]
fn the_thirty_promises_stand_in_order_and_each_names_its_proof_or_is_said_not_to_be_made() {
    let rows = table("SECURITY.md", NUMBERED);
    assert_eq!(rows.len(), PROMISES);
    for (row, number) in rows.iter().zip(1..) {
        assert_eq!(row[0], format!("P{number}"));
        let proved = row[2].contains(".rs::");
        assert!(proved || row[2].starts_with("**Not promised"), "{} names no test: {}", row[0], row[2]);
    }
}

#[test]
fn every_row_of_faults_proves_a_promise_and_every_one_that_is_named_is_there() {
    let rows = rows_of_faults();
    assert!(rows.len() >= 16, "{rows:?}");
    let mut named: Vec<String> =
        table("SECURITY.md", NUMBERED).iter().flat_map(|row| faults_in(&row[2])).collect();
    named.sort();
    named.dedup();
    let mut all = rows.clone();
    all.sort();
    assert_eq!(named, all);
}

#[test]
fn every_threat_names_what_validates_the_action_against_it() {
    for row in table("SECURITY.md", "| threat | action | validation | what remains |") {
        let validated = row[2].contains(".rs`") || row[2].contains(".rs::") || !faults_in(&row[2]).is_empty();
        assert!(validated || row[2].starts_with("None"), "{}: {}", row[0], row[2]);
        for file in words(&row[2]).iter().filter(|word| word.ends_with(".rs")) {
            assert!(fs::exists(root().join(file)).unwrap(), "{} names {file}", row[0]);
        }
        for fault in faults_in(&row[2]) {
            assert!(rows_of_faults().contains(&fault), "{} names {fault}", row[0]);
        }
    }
}
