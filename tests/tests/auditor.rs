//! An auditor takes the log away and proves it without the service.

use keysvc_protocol::{
    merkle::{self, Inclusion},
    request::ValueOperation,
};
use keysvc_tests::{
    ground::{Ground, text},
    raw,
};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Output,
};

/// A load and a payment; the records, in files.
fn records(ground: &Ground) -> [PathBuf; 2] {
    ground.block_on(async {
        let terminal = ground.terminal("terminal-1").await.unwrap();
        let updates = [
            raw::update(ValueOperation::Load, 1, 2_000, 0),
            raw::update(ValueOperation::Debit, 2, 350, 2_000),
        ];
        let mut files = Vec::new();
        for update in updates {
            let file = ground.site().folder().join(format!("record-{}", update.expected_seq));
            fs::write(&file, terminal.update(&update).await.unwrap().record).unwrap();
            files.push(file);
        }
        files.try_into().unwrap()
    })
}

fn export(ground: &Ground, name: &str) -> PathBuf {
    let folder = ground.site().folder().join(name);
    let output = ground.fobctl("auditor-1", &["audit", "export"]).arg(&folder).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    folder
}

/// Runs `fobaudit`, which has nothing to do with a site but its trust file.
fn fobaudit(ground: &Ground, words: &[&Path]) -> Output {
    let mut command = std::process::Command::new(&ground.programs().fobaudit);
    command.args(words).arg("--trust").arg(ground.site().trust()).arg("--json").output().unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

fn value(ground: &Ground, record: &Path, log: &Path, last_seq: Option<&str>) -> Output {
    let mut words = vec![Path::new("value"), record, Path::new("--log"), log];
    words.extend(last_seq.iter().flat_map(|seq| [Path::new("--last-seq"), Path::new(seq)]));
    fobaudit(ground, &words)
}

#[test]
fn an_auditor_exports_the_log_and_proves_it_and_each_record_with_the_service_down() {
    let mut ground = Ground::new();
    let [first, second] = records(&ground);
    let log = export(&ground, "log");
    ground.stop();
    let verified = fobaudit(&ground, &[Path::new("verify"), &log]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    assert_eq!(report(&verified)["verified"], true);
    for (record, seq, after) in [(&first, 1, 2_000), (&second, 2, 1_650)] {
        let output = value(&ground, record, &log, None);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let report = report(&output);
        assert_eq!((&report["seq"], &report["balance_after"]), (&seq.into(), &after.into()));
        assert_eq!(report["terminal"], "terminal-1");
    }
    let replayed = value(&ground, &first, &log, Some("1"));
    assert_eq!((replayed.status.code(), report(&replayed)["refusal"].as_str()), (Some(6), Some("replayed")));
}

/// Verifies with a state file; gives the exit code and the report.
fn verify_from(ground: &Ground, log: &Path, state: &Path) -> (Option<i32>, Value) {
    let output = fobaudit(ground, &[Path::new("verify"), log, Path::new("--state"), state]);
    (output.status.code(), report(&output))
}

/// The one file in a folder of partial files.
fn partial(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let file = files.next().unwrap();
    assert_eq!(files.next(), None, "partial files of earlier exports are gone");
    file
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn an_auditor_who_comes_again_reads_and_verifies_only_what_is_new() {
    let ground = Ground::new();
    records(&ground);
    let log = export(&ground, "log");
    let state = ground.site().folder().join("verified");
    let (code, first) = verify_from(&ground, &log, &state);
    assert_eq!((code, &first["log"]["leaves_verified_before"]), (Some(0), &0.into()), "{first}");
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    let earlier = ground.site().folder().join("earlier");
    copy(&log, &earlier);
    // More happens: a third update of the same purse.
    ground.block_on(async {
        let terminal = ground.terminal("terminal-1").await.unwrap();
        terminal.update(&raw::update(ValueOperation::Debit, 3, 50, 1_650)).await.unwrap();
    });
    let output = ground.fobctl("auditor-1", &["audit", "export", "--json"]).arg(&log).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let exported = report(&output);
    assert_eq!(exported["before"], first["log"]["leaves"]);
    // The update, and the read of the first export.
    assert!(exported["new"].as_u64().unwrap() >= 2, "{exported}");
    let (code, second) = verify_from(&ground, &log, &state);
    assert_eq!(code, Some(0), "{second}");
    assert_eq!(second["log"]["leaves_verified_before"], first["log"]["leaves"]);
    assert_eq!(second["log"]["leaves_read"], exported["new"]);
    assert_eq!(second["log"]["kinds"]["value_updated"]["checked"], 3);
    // What both runs counted together is what one run over the whole log counts.
    let whole = report(&fobaudit(&ground, &[Path::new("verify"), &log]));
    for counted in ["leaves", "kinds", "statements_verified", "purses", "checkpoint"] {
        assert_eq!(second["log"][counted], whole["log"][counted], "{counted}");
    }
    // The log as it was before is a log that was rolled back, to whom has verified more of it.
    let (code, back) = verify_from(&ground, &earlier, &state);
    assert_eq!(code, Some(6));
    assert!(back["reason"].as_str().unwrap().contains("history was rolled back"), "{back}");
}

#[test]
fn an_altered_or_truncated_file_of_an_export_is_named() {
    let ground = Ground::new();
    records(&ground);
    let log = export(&ground, "log");
    let cases = [
        ("tile/0/000.p", "is not good: it is cut short", None, "was altered: its hash"),
        ("tile/entries/000.p", "is not good: it is cut short", Some("its entry was altered"), ""),
        ("payload/000.p", "is not good: it does not decode", Some("the payload is not this leaf's"), ""),
    ];
    for (place, (folder, truncated, altered_leaf, altered_file)) in cases.into_iter().enumerate() {
        let spoil = |how: &str, spoil: &dyn Fn(&mut Vec<u8>)| {
            let spoiled = ground.site().folder().join(format!("{how}-{place}"));
            copy(&log, &spoiled);
            let file = partial(&spoiled.join(folder));
            let mut bytes = fs::read(&file).unwrap();
            spoil(&mut bytes);
            fs::write(&file, bytes).unwrap();
            let output = fobaudit(&ground, &[Path::new("verify"), &spoiled]);
            assert_eq!(output.status.code(), Some(6), "{}", text(&output));
            let name = file.strip_prefix(&spoiled).unwrap().display().to_string();
            let width: u64 = file.file_name().unwrap().to_str().unwrap().parse().unwrap();
            (report(&output)["findings"].as_array().unwrap().clone(), name, width)
        };
        let says = |finding: &Value, text: &str| finding["text"].as_str().unwrap().contains(text);
        let (findings, name, _) = spoil("truncated", &|bytes| bytes.truncate(bytes.len() - 1));
        assert!(says(&findings[0], &format!("{name} {truncated}")), "{findings:?}");
        let (findings, name, width) = spoil("altered", &|bytes| *bytes.last_mut().unwrap() ^= 1);
        let named = |finding: &Value| match altered_leaf {
            Some(text) => finding["leaf"] == width - 1 && says(finding, text),
            None => says(finding, &format!("{name} {altered_file} {}", width - 1)),
        };
        assert!(findings.iter().any(named), "{findings:?}");
    }
}

#[test]
fn a_state_file_that_is_damaged_or_of_another_log_is_refused_with_the_next_step() {
    let ground = Ground::new();
    let log = export(&ground, "log");
    let state = ground.site().folder().join("verified");
    assert_eq!(verify_from(&ground, &log, &state).0, Some(0));
    let mut bytes = fs::read(&state).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&state, &bytes).unwrap();
    let output = fobaudit(&ground, &[Path::new("verify"), &log, Path::new("--state"), &state]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("it is damaged") && said.contains("next: move the file away"), "{said}");
    assert_eq!(fs::read(&state).unwrap(), bytes, "it is not written over");
}

#[test]
fn a_changed_byte_of_a_record_is_refused_offline() {
    let ground = Ground::new();
    let [record, _] = records(&ground);
    let log = export(&ground, "log");
    let good = fs::read(&record).unwrap();
    let altered = ground.site().folder().join("altered");
    // In the payload's amount, in the signature, and in the key identifier.
    for (place, refusal) in
        [(good.len() / 2, "bad_signature"), (good.len() - 1, "bad_signature"), (9, "unknown_key")]
    {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        fs::write(&altered, bytes).unwrap();
        let output = value(&ground, &altered, &log, None);
        assert_eq!(
            (output.status.code(), report(&output)["refusal"].as_str()),
            (Some(6), Some(refusal)),
            "{place}"
        );
    }
}

#[test]
fn a_later_export_continues_the_checkpoint_kept_from_an_earlier_one() {
    let ground = Ground::new();
    records(&ground);
    let earlier = export(&ground, "earlier");
    // The export was itself recorded, so the log has grown.
    let later = export(&ground, "later");
    let kept = earlier.join("checkpoint");
    let words = |log: &Path, kept: &Path| {
        fobaudit(&ground, &[Path::new("verify"), log, Path::new("--previous"), kept])
    };
    let forwards = words(&later, &kept);
    assert_eq!(forwards.status.code(), Some(0), "{}", text(&forwards));
    let backwards = words(&earlier, &later.join("checkpoint"));
    assert_eq!(backwards.status.code(), Some(6), "{}", text(&backwards));
}

#[test]
fn an_auditor_proves_any_leaf_in_the_newest_tree_and_that_reading_was_recorded() {
    let ground = Ground::new();
    records(&ground);
    ground.block_on(async {
        let auditor = ground.auditor().await.unwrap();
        let head = auditor.reader().checkpoint().await.unwrap().checkpoint().head;
        let leaves = auditor.entries(0, head.size).await.unwrap();
        for (index, leaf) in (0..).zip(&leaves) {
            let proof = auditor.reader().proof(head.size, Some(index), Some(1)).await.unwrap();
            let leaf_hash = merkle::leaf_hash(leaf.entry.as_bytes());
            let claim = Inclusion { index, size: head.size, leaf_hash };
            merkle::verify_inclusion(&claim, &proof.inclusion.unwrap(), &head.root).unwrap();
        }
        let grown = auditor.reader().checkpoint().await.unwrap().checkpoint().head.size;
        assert_eq!(grown, head.size + 1, "one leaf for the one read of payloads, none for proofs");
    });
    let output = ground.fobctl("auditor-1", &["audit", "proof", "--leaf", "0", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(report(&output)["verified"], true);
}
