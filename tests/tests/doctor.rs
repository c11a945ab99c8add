//! `keysvc doctor`: one line a check, and on each that fails the mend.

use keysvc_protocol::key::KeyKind;
use keysvc_tests::{
    about_softhsm::passed_over,
    copies::Copies,
    ended::ended,
    ground::{Ground, text},
    token_file::{self as file, TokenFile, Value},
};
use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

/// A founded site whose keeper is stopped, and its service's files as they were then.
struct Patient {
    ground: Ground,
    whole: Copies,
}

impl Patient {
    fn new() -> Self {
        let ground = Ground::founded();
        let mut places = vec![ground.site().trust()];
        let names = ["anchor", "front", "keysvc.toml", "pin", "policies", "store", "tokens"];
        places.extend(names.map(|name| ground.site().service().folder().join(name)));
        let whole = Copies::of(&places);
        Self { ground, whole }
    }

    fn home(&self, name: &str) -> PathBuf {
        self.ground.site().service().folder().join(name)
    }

    /// The lines, after exit code `code`.
    fn lines(&self, code: i32) -> Vec<String> {
        let output = ended(self.ground.keysvc(&["doctor"]));
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// The one check that fails, with what it says; afterwards all is well again.
    fn failing(&self) -> String {
        let lines = self.lines(3);
        let mut failing: Vec<_> = lines.iter().filter(|line| line.starts_with("FAIL")).collect();
        assert_eq!(failing.len(), 1, "{lines:#?}");
        self.whole.put_back();
        failing.remove(0).clone()
    }

    fn fails(&self, check: &str, words: &[&str]) {
        let line = self.failing();
        assert!(line.starts_with(&format!("FAIL  {check:<14} ")), "{line}");
        for words in words {
            assert!(line.contains(words), "no '{words}' in {line}");
        }
    }
}

#[test]
fn a_whole_installation_passes_every_check_whether_it_was_stopped_or_serves() {
    let mut patient = Patient::new();
    let lines = patient.lines(0);
    let (last, checks) = lines.split_last().unwrap();
    assert_eq!(last, "all checks passed");
    assert!(checks.iter().all(|line| line.starts_with("ok    ")), "{checks:#?}");
    for check in [
        "configuration",
        "clock",
        "certificates",
        "policies",
        "pin file",
        "token",
        "mechanisms",
        "admission",
        "store",
        "trust",
        "manifest",
        "founding",
        "anchor",
        "attributes",
        "profiles",
        "seals",
        "limits",
    ] {
        assert!(
            checks.iter().any(|line| line.starts_with(&format!("ok    {check:<14} "))),
            "{check}: {checks:#?}"
        );
    }
    assert!(
        checks.iter().any(|line| line.contains("DEVELOPMENT"))
            && checks.iter().any(|line| line.contains("1 of them TEST KEYS"))
    );
    patient.ground.start().unwrap();
    // Beside a running keeper it makes the same checks.
    let lines = patient.lines(0);
    assert_eq!(lines.len(), checks.len() + 1, "{lines:#?}");
    // It looked and changed nothing: the log holds the founding, and one start with its heartbeat and bundle and the
    // month's storage key of incidents, which has an intent and an outcome.
    patient.ground.stop();
    assert!(patient.lines(0).iter().any(|line| line.starts_with("ok    store          6 leaves in ")));
}

#[test]
fn files_open_to_others_are_said_with_the_command_that_mends_them() {
    let patient = Patient::new();
    for name in ["pin", "front/tls.key"] {
        let path = patient.home(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        patient.fails("configuration", &["mode 0644", &format!("run: chmod 600 {}", path.display())]);
    }
}

#[test]
fn each_thing_that_differs_from_the_log_has_its_own_line() {
    let patient = Patient::new();
    let policy = patient.home("policies/site.cedar");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, format!("{text}\n// One more word.\n")).unwrap();
    patient.fails("policies", &["put the recorded policies back"]);

    fs::remove_file(patient.home("anchor")).unwrap();
    patient.fails("anchor", &["the anchor is missing; put it back"]);
    fs::write(patient.home("anchor"), [1; 2048]).unwrap();
    patient.fails("anchor", &["is damaged"]);

    let trust = patient.ground.site().trust();
    let text = fs::read_to_string(&trust).unwrap();
    let digest = text.lines().nth(1).unwrap();
    let other: String = digest.chars().rev().collect();
    fs::write(&trust, text.replace(digest, &other)).unwrap();
    let lines = patient.lines(3);
    assert!(lines.iter().any(|line| line.starts_with("FAIL  trust ")), "{lines:#?}");
    patient.whole.put_back();

    fs::remove_dir_all(patient.home("store")).unwrap();
    fs::create_dir(patient.home("store")).unwrap();
    let lines = patient.lines(3);
    assert!(
        lines.iter().any(|line| line.starts_with("FAIL") && line.contains("run: keysvc init")),
        "{lines:#?}"
    );
    patient.whole.put_back();
    assert_eq!(patient.lines(0).last().map(String::as_str), Some("all checks passed"));
}

#[test]
fn a_drifted_attribute_and_a_missing_key_are_named() {
    if passed_over("a_drifted_attribute_and_a_missing_key_are_named") {
        return;
    }
    let patient = Patient::new();
    let tokens = patient.home("tokens");
    let is_storage = |object: &TokenFile| object.value(file::VALUE_LEN) == Some(&Value::Number(32));
    let is_master = |object: &TokenFile| {
        object.value(file::VALUE_LEN) == Some(&Value::Number(16)) && object.flag(file::LOCAL) == Some(true)
    };
    let find =
        |wanted: &dyn Fn(&TokenFile) -> bool| TokenFile::all(&tokens).into_iter().find(wanted).unwrap();

    find(&is_master).with(file::EXTRACTABLE, Value::Flag(true)).write();
    patient.fails("attributes", &["the key demo-generated has CKA_EXTRACTABLE true, not false"]);
    fs::remove_file(find(&is_master).path()).unwrap();
    patient.fails("attributes", &["the key demo-generated (", "is missing from the token"]);
    let keys = keysvc::keeper::ledger::Reader::open(&patient.home("store")).unwrap().keys().unwrap();
    let storage = keys.iter().find(|key| key.kind == KeyKind::Storage).unwrap().name.to_string();
    find(&is_storage).with(file::DERIVE, Value::Flag(true)).write();
    patient.fails("attributes", &[&format!("the key {storage} has CKA_DERIVE true, not false")]);
}

#[test]
fn a_token_that_cannot_be_used_is_said_with_the_mend() {
    let patient = Patient::new();
    fs::write(patient.home("pin"), "00000000\n").unwrap();
    patient.fails("token", &["PIN"]);

    let config = patient.home("keysvc.toml");
    let text = fs::read_to_string(&config).unwrap();
    let line =
        |key: &str| text.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap().to_owned();
    fs::write(&config, text.replace(&line("label"), "label = \"another\"")).unwrap();
    patient.fails("token", &["another"]);
    fs::write(&config, text.replace(&line("module"), "module = \"/nowhere.so\"")).unwrap();
    patient.fails("configuration", &["token.module: /nowhere.so does not exist; name the right file"]);
    let none = patient.home("front/tls.crt");
    fs::write(&config, text.replace(&line("module"), &format!("module = {:?}", none.display().to_string())))
        .unwrap();
    patient.fails("token", &[&none.display().to_string()]);
}

#[test]
fn certificates_that_do_not_serve_are_named() {
    let patient = Patient::new();
    let certificate = patient.home("front/tls.crt");
    fs::write(&certificate, "not a certificate\n").unwrap();
    patient.fails("certificates", &[&format!("{} holds no certificate in PEM", certificate.display())]);
    // A good certificate of this CA, but another key's.
    fs::copy(patient.ground.site().home("terminal-1").tls_certificate(), &certificate).unwrap();
    patient.fails("certificates", &[&certificate.display().to_string()]);
    let ca = patient.home("front/ca.crt");
    fs::write(&ca, "not a certificate\n").unwrap();
    patient.fails("certificates", &[&ca.display().to_string()]);
}
