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

#[test]
fn a_changed_byte_of_a_record_is_refused_offline() {
    let ground = Ground::new();
    let [record, _] = records(&ground);
    let log = export(&ground, "log");
    let good = fs::read(&record).unwrap();
    let altered = ground.site().folder().join("altered");
    // In the payload's amount, in the signature, and in the key identifier.
    for (place, refusal) in
        [(good.len() / 2, "bad-signature"), (good.len() - 1, "bad-signature"), (9, "unknown-key")]
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
