//! What is wrong with `keysvc.toml`, or a file it names, is refused before anything else happens: with the file, the
//! key and the mend.

use keysvc_tests::{copies::Copies, ended::refusal, ground::Ground};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// A laid-out site and the text of its configuration.
struct Configured {
    ground: Ground,
    file: PathBuf,
    text: String,
}

impl Configured {
    fn new() -> Self {
        let ground = Ground::laid_out();
        let file = ground.site().service_config();
        let text = fs::read_to_string(&file).unwrap();
        Self { ground, file, text }
    }

    fn home(&self, name: &str) -> PathBuf {
        self.ground.site().service().folder().join(name)
    }

    /// The text with another value under one key of one table; without the key where the value is empty.
    fn with(&self, table: &str, key: &str, value: &str) -> String {
        let mut here = table.is_empty();
        let lines = self.text.lines().filter_map(|line| {
            if line.starts_with('[') {
                here = line == format!("[{table}]");
            }
            let wanted = here && line.split_once(" = ").is_some_and(|(one, _)| one == key);
            match (wanted, value) {
                (true, "") => None,
                (true, value) => Some(format!("{key} = {value}\n")),
                (false, _) => Some(format!("{line}\n")),
            }
        });
        let text: String = lines.collect();
        assert_ne!(text, self.text, "[{table}] has no {key}");
        text
    }

    /// Every command refuses with these words about this file.
    fn refuses(&self, file: &Path, words: &[&str]) {
        for command in ["check-config", "init", "serve", "doctor"] {
            let said = refusal(self.ground.keysvc(&[command]));
            assert!(said.contains(&format!("{}: ", file.display())), "{command}: {said}");
            for words in words {
                assert!(said.contains(words), "{command}: no '{words}' in {said}");
            }
        }
    }

    fn refuses_text(&self, text: &str, words: &[&str]) {
        fs::write(&self.file, text).unwrap();
        self.refuses(&self.file, words);
        fs::write(&self.file, &self.text).unwrap();
    }
}

#[test]
fn a_good_configuration_is_said_to_be_good_with_the_policies_digest() {
    let configured = Configured::new();
    let checked = configured.ground.keysvc(&["check-config"]).output().unwrap();
    assert!(checked.status.success());
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(
        said.starts_with(&format!("configuration {} is good\npolicy digest ", configured.file.display()))
    );
    let founding = fs::read_to_string(configured.ground.site().founding()).unwrap();
    let digest = said.lines().nth(1).unwrap().rsplit(' ').next().unwrap();
    let line = format!("policy = \"{digest}\"");
    assert!(founding.contains(&line));
    // What to do with it, ready to be copied.
    assert!(said.trim_end().ends_with(&line), "{said}");
}

#[test]
fn unknown_missing_and_repeated_keys_are_refused_with_their_place() {
    let configured = Configured::new();
    let text = &configured.text;
    configured.refuses_text(&format!("colour = 1\n{text}"), &["colour", "unknown field"]);
    let shelf = text.replace("[keeper]\n", "[keeper]\nshelf = 1\n");
    configured.refuses_text(&shelf, &["keeper.shelf: unknown field `shelf`"]);
    configured.refuses_text(
        &format!("{text}\n[keeper.limits]\nworker = 2\n"),
        &["keeper.limits.worker: unknown field"],
    );
    configured.refuses_text(&configured.with("keeper", "store", ""), &["keeper: missing field `store`"]);
    configured.refuses_text(&configured.with("", "trust", ""), &["missing field `trust`"]);
    let twice = text.replace("[keeper]\n", "[keeper]\nstore = \"/elsewhere\"\n");
    configured.refuses_text(&twice, &["duplicate key"]);
}

#[test]
fn values_of_the_wrong_type_or_outside_their_limits_are_refused_with_their_key() {
    let configured = Configured::new();
    configured.refuses_text(
        &configured.with("front", "listen", "8443"),
        &["front.listen: ", "invalid type: integer"],
    );
    configured.refuses_text(
        &configured.with("front", "listen", "\"nowhere\""),
        &["front.listen: ", "socket address"],
    );
    configured.refuses_text(&configured.with("", "trust-domain", "\"No Domain\""), &["trust-domain: "]);
    configured.refuses_text(
        &configured.with("token", "label", "[1]"),
        &["token.label: ", "invalid type: sequence"],
    );
    let limits = |line: &str| format!("{}\n[keeper.limits]\n{line}\n", configured.text);
    configured.refuses_text(&limits("workers = 0"), &["keeper.limits.workers: give 1 to 64"]);
    configured.refuses_text(
        &limits("ledger-queue-len = 70000"),
        &["keeper.limits.ledger-queue-len: give 1 to 65536"],
    );
    configured
        .refuses_text(&limits("workers = \"two\""), &["keeper.limits.workers: ", "invalid type: string"]);
}

#[test]
fn paths_that_do_not_do_are_refused_with_their_key_and_the_mend() {
    let configured = Configured::new();
    let long = format!("\"/run/{}/keeper.sock\"", "x".repeat(100));
    configured.refuses_text(
        &configured.with("keeper", "socket", &long),
        &["keeper.socket: a Unix socket's path has at most 100 bytes; shorten it"],
    );
    for (table, key) in
        [("keeper", "policies"), ("front", "certificate"), ("front", "ca"), ("token", "module")]
    {
        let words = format!("{table}.{key}: /nowhere does not exist; name the right file");
        configured.refuses_text(&configured.with(table, key, "\"/nowhere\""), &[&words]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let configured = Configured::new();
    let unreadable = ["cannot be read", "check path and owner"];
    for name in ["pin", "tls.key"] {
        let file = configured.home(name);
        let copies = Copies::of(std::slice::from_ref(&file));
        fs::remove_file(&file).unwrap();
        configured.refuses(&file, &unreadable);
        fs::create_dir(&file).unwrap();
        configured.refuses(&file, &["not a regular file"]);
        copies.put_back();
    }
    configured.refuses_text(
        &format!("# {}\n{}", "x".repeat(65_536), configured.text),
        &["longer than 65536 bytes"],
    );
    fs::write(&configured.file, [b'#', 0xff]).unwrap();
    configured.refuses(&configured.file, &["not UTF-8 text"]);
    fs::remove_file(&configured.file).unwrap();
    configured.refuses(&configured.file, &unreadable);
}

#[test]
fn a_pin_or_key_that_others_may_read_is_refused_with_the_command_that_mends_it() {
    let configured = Configured::new();
    for name in ["pin", "tls.key"] {
        let file = configured.home(name);
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let words = [format!("mode {mode:04o}"), format!("run: chmod 600 {}", file.display())];
            configured.refuses(&file, &[&words[0], &words[1]]);
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert!(configured.ground.keysvc(&["check-config"]).status().unwrap().success());
}

#[test]
fn policies_that_do_not_read_are_refused_with_file_and_line() {
    let configured = Configured::new();
    let file = configured.home("policies/site.cedar");
    let text = fs::read_to_string(&file).unwrap();
    for (spoilt, words) in [
        ("permit(principal, action, resource", "site.cedar, line 1: "),
        ("permit(principal, action == Action::\"card.melt\", resource);", "site.cedar"),
    ] {
        fs::write(&file, spoilt).unwrap();
        let said = refusal(configured.ground.keysvc(&["check-config"]));
        assert!(said.contains("policies: ") && said.contains(words), "{said}");
    }
    fs::write(&file, text).unwrap();
    assert!(configured.ground.keysvc(&["check-config"]).status().unwrap().success());
}

#[test]
fn a_certificate_that_is_none_keeps_the_front_from_serving_and_is_named() {
    let ground = Ground::founded();
    let certificate = ground.site().service().tls_certificate();
    fs::write(&certificate, "not a certificate\n").unwrap();
    let said = refusal(ground.keysvc(&["front"]));
    assert!(said.contains(&format!("{} holds no certificate in PEM", certificate.display())), "{said}");
    let said = refusal(ground.keysvc(&["serve"]));
    assert!(said.contains(&certificate.display().to_string()), "{said}");
}
