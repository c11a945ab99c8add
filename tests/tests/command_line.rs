//! The command line against a running service, where the documents' transcripts do not reach: long batches and their
//! repetition, signed requests in notation, and advice that can be typed as it stands.

use keysvc_tests::ground::{Ground, text};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Output},
};

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(output)))
}

/// 130 loads on cards of their own: two full batches and a rest.
fn lines() -> String {
    (0..130).map(|card| format!("load,coffee,04782e{card:08x},1,2.50,1,0.00\n")).collect()
}

#[test]
fn a_long_batch_goes_in_several_and_is_repeated_without_loading_twice() {
    let ground = Ground::new();
    let folder = ground.site().folder().join("batch");
    let file = ground.site().folder().join("lines.csv");
    fs::write(&file, lines()).unwrap();
    let run = |file: &std::path::Path| {
        let mut command = ground.fobctl("terminal-1", &["value", "batch", "--json", "--out-dir"]);
        let output = command.arg(&folder).arg(file).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        json(&output)
    };
    let first = run(&file);
    assert_eq!(first["signed"], Value::from(130));
    let leaves = |report: &Value| -> BTreeSet<u64> {
        let lines = report["lines"].as_array().unwrap();
        lines.iter().map(|line| line["leaf_index"].as_u64().unwrap()).collect()
    };
    assert_eq!(leaves(&first).len(), 130);
    // The journal repeats the same transactions: the same leaves answer.
    let again = run(&folder.join("batch.csv"));
    assert_eq!(leaves(&again), leaves(&first));
    let records = fs::read_dir(&folder).unwrap().count();
    assert_eq!(records, 131, "130 records and the journal");
}

#[test]
fn a_signed_request_in_notation_is_shown_and_recorded() {
    let ground = Ground::new();
    let request = "{0: 1, 1: \"coffee\", 2: h'04782e21801d80', 3: 1, 4: 0, 5: 1, 6: 2000, 7: 978, 8: 0, \
        9: h'00112233445566778899aabbccddeeff'}";
    let send = |more: &[&str]| {
        let mut command = ground.fobctl("terminal-1", &["api", "value.update", "--request", request]);
        command.args(more).output().unwrap()
    };
    let unsigned = send(&[]);
    assert_eq!(unsigned.status.code(), Some(2), "{}", text(&unsigned));
    let signed = send(&["--sign", "--yes", "--json"]);
    assert!(signed.status.success(), "{}", text(&signed));
    let shown = String::from_utf8(signed.stderr.clone()).unwrap();
    assert!(shown.contains("to be signed as a statement for value.update"), "{shown}");
    assert!(shown.contains("/ amount / 6: 2000,"), "{shown}");
    assert!(shown.contains("are not checked"), "{shown}");
    let report = json(&signed);
    assert_eq!(report["schema"], Value::from("keysvc/fobctl-api/1"));
    assert!(report["notation"].as_str().unwrap().contains("/ record / 1: h'd284"), "{report}");
    // Without anyone who types yes, nothing is signed.
    let declined = send(&["--sign"]);
    assert_eq!(declined.status.code(), Some(3), "{}", text(&declined));
    // A bare value.update without its fields is the service's to refuse.
    let mut wrong = ground.fobctl("terminal-1", &["api", "value.update", "--sign", "--yes"]);
    let wrong = wrong.output().unwrap();
    assert_eq!(wrong.status.code(), Some(3), "{}", text(&wrong));
}

#[test]
fn the_command_that_a_refusal_names_can_be_typed_as_it_stands() {
    let ground = Ground::new();
    let out = ground.site().folder().join("it's a record");
    let load = |seq: &str, balance: &str, out: &std::path::Path| {
        let mut command = ground.fobctl(
            "terminal-1",
            &["value", "load", "--programme", "coffee", "--card", "04782e21801d80", "--purse", "1"],
        );
        command.args(["--amount", "20.00", "--seq", seq, "--balance", balance, "--out"]).arg(out);
        command.output().unwrap()
    };
    let first = load("1", "0.00", &ground.site().folder().join("first"));
    assert!(first.status.success(), "{}", text(&first));
    let mut refused = load("1", "20.00", &out);
    for code in [7, 7] {
        assert_eq!(refused.status.code(), Some(code), "{}", text(&refused));
        let said = String::from_utf8(refused.stderr.clone()).unwrap();
        let command = said.split('`').nth(1).unwrap_or_else(|| panic!("{said}")).to_owned();
        let programs = ground.programs().fobctl.parent().unwrap().to_owned();
        let path = std::env::join_paths([programs, "/usr/bin".into(), "/bin".into()]).unwrap();
        refused = Command::new("sh").args(["-c", &command]).env("PATH", path).output().unwrap();
        if refused.status.success() {
            assert!(out.is_file());
            return;
        }
    }
    panic!("{}", text(&refused));
}

#[test]
fn a_record_is_verified_without_the_network_and_an_altered_one_or_another_sites_bundle_is_not() {
    let mut ground = Ground::new();
    let folder = ground.site().folder().to_owned();
    let path = |name: &str| folder.join(name);
    let mut bundle = ground.fobctl("terminal-1", &["terminal", "bundle", "--out"]);
    let fetched = bundle.arg(path("bundle")).output().unwrap();
    assert!(fetched.status.success(), "{}", text(&fetched));
    let words = ["value", "load", "--programme", "coffee", "--card", "04782e21801d80", "--purse", "1"];
    let mut load = ground.fobctl("terminal-1", &words);
    load.args(["--amount", "20.00", "--seq", "1", "--balance", "0.00", "--out"]).arg(path("record"));
    let loaded = load.output().unwrap();
    assert!(loaded.status.success(), "{}", text(&loaded));
    ground.stop();
    let verify = |persona: &str, record: &str, bundle: Option<&str>| {
        let mut command = ground.fobctl(persona, &["terminal", "verify", "--json"]);
        command.arg(path(record));
        bundle.map(|bundle| command.arg("--bundle").arg(path(bundle)));
        command.output().unwrap()
    };
    // From the bundle that was kept, and from the file by someone who keeps none.
    for (persona, bundle) in [("terminal-1", None), ("auditor-1", Some("bundle"))] {
        let verified = verify(persona, "record", bundle);
        assert!(verified.status.success(), "{}", text(&verified));
        assert_eq!(json(&verified)["balance_after"], Value::from(2000));
    }
    let none = verify("auditor-1", "record", None);
    assert_eq!(none.status.code(), Some(4), "{}", text(&none));
    assert!(text(&none).contains("fobctl terminal bundle"), "{}", text(&none));
    for (name, altered) in [("record", "bad-record"), ("bundle", "bad-bundle")] {
        let mut bytes = fs::read(path(name)).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(path(altered), bytes).unwrap();
    }
    for (record, bundle) in [("bad-record", "bundle"), ("record", "bad-bundle"), ("record", "record")] {
        let refused = verify("auditor-1", record, Some(bundle));
        assert_eq!(refused.status.code(), Some(6), "{record} {bundle}: {}", text(&refused));
        assert!(refused.stdout.is_empty());
    }
    let other = Ground::founded();
    let mut elsewhere = other.fobctl("auditor-1", &["terminal", "verify", "--bundle"]);
    let elsewhere = elsewhere.arg(path("bundle")).arg(path("record")).output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(6), "{}", text(&elsewhere));
    assert!(text(&elsewhere).contains("of another log than the trust file"), "{}", text(&elsewhere));
}
