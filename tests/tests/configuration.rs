//! What is wrong with `keysvc.toml`, or a file it names, is refused before anything else happens: with the file, the
//! key and the mend.

use keysvc_tests::{copies::Copies, ended::refusal, ground::Ground};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
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
    configured.refuses_text(&format!("colour = 1\n{text}"), &["colour: there is no such key"]);
    let shelf = text.replace("[keeper]\n", "[keeper]\nshelf = 1\n");
    configured.refuses_text(&shelf, &["keeper.shelf: there is no such key"]);
    configured.refuses_text(
        &format!("{text}\n[keeper.limits]\nworker = 2\n"),
        &["keeper.limits.worker: there is no such key"],
    );
    configured.refuses_text(&configured.with("keeper", "store", ""), &["keeper.store: it is missing"]);
    configured.refuses_text(&configured.with("", "trust", ""), &["trust: it is missing"]);
    let twice = text.replace("[keeper]\n", "[keeper]\nstore = \"/elsewhere\"\n");
    configured.refuses_text(&twice, &["duplicate key"]);
}

#[test]
fn values_of_the_wrong_type_or_outside_their_limits_are_refused_with_their_key() {
    let configured = Configured::new();
    configured.refuses_text(
        &configured.with("front", "listen", "8443"),
        &["front.listen: a whole number stands where text is wanted"],
    );
    configured.refuses_text(
        &configured.with("front", "listen", "\"nowhere\""),
        &["front.listen: ", "is no socket address"],
    );
    configured.refuses_text(&configured.with("", "trust-domain", "\"No Domain\""), &["trust-domain: "]);
    configured.refuses_text(
        &configured.with("token", "label", "[1]"),
        &["token.label: a list stands where text is wanted"],
    );
    let limits = |line: &str| format!("{}\n[keeper.limits]\n{line}\n", configured.text);
    configured
        .refuses_text(&limits("workers = 0"), &["keeper.limits.workers: 0 is out of range", "give 1 to 64"]);
    configured.refuses_text(
        &limits("ledger-queue-len = 70000"),
        &["keeper.limits.ledger-queue-len: 70000 is out of range", "give 1 to 65536"],
    );
    configured.refuses_text(
        &limits("workers = \"two\""),
        &["keeper.limits.workers: text stands where a whole number is wanted"],
    );
}

#[test]
fn paths_that_do_not_do_are_refused_with_their_key_and_the_mend() {
    let configured = Configured::new();
    let long = format!("\"/run/{}/keeper.sock\"", "x".repeat(100));
    configured.refuses_text(
        &configured.with("keeper", "socket", &long),
        &["keeper.socket: a Unix socket's path has at most 100 bytes", "shorten it"],
    );
    // A module may be away for a while, so serve waits for it; whoever checks the file is told.
    fs::write(&configured.file, configured.with("token", "module", "\"/nowhere\"")).unwrap();
    let said = refusal(configured.ground.keysvc(&["check-config"]));
    assert!(said.contains("token.module: /nowhere does not exist"), "{said}");
    fs::write(&configured.file, &configured.text).unwrap();
    for (table, key) in [("keeper", "policies"), ("front", "certificate"), ("front", "ca")] {
        let words = format!("{table}.{key}: /nowhere does not exist");
        configured
            .refuses_text(&configured.with(table, key, "\"/nowhere\""), &[&words, "name the right file"]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let configured = Configured::new();
    let unreadable = ["cannot be read", "check path and owner"];
    for name in ["pin", "front/tls.key"] {
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
    for name in ["pin", "front/tls.key"] {
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

#[test]
fn check_config_says_everything_that_must_be_mended_at_once_with_what_it_is_for_and_the_mend() {
    let configured = Configured::new();
    let pin = configured.home("pin");
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o644)).unwrap();
    let text = configured
        .with("front", "listen", "8443")
        .replace("[keeper]\n", "[keeper]\nsocet = \"/run/k\"\n")
        .replace("ca.crt", "nowhere.crt");
    let text = format!("{text}\n[front.limits]\nclients-max = 0\n[log]\nlevel = \"loud\"\n");
    fs::write(&configured.file, text).unwrap();
    let said = refusal(configured.ground.keysvc(&["check-config"]));
    for words in [
        "cannot be used: mend 6 things",
        "front.listen: a whole number stands where text is wanted",
        "\n    for   the address and port that clients connect to",
        "keeper.socet: there is no such key",
        "\n    mend  did you mean keeper.socket?",
        "front.ca: ",
        "nowhere.crt does not exist",
        "front.limits.clients-max: 0 is out of range",
        "mend  give 1 to 65536",
        "log.level: \"loud\" is none of its words",
        "mend  write one of error, warn, info, debug, trace",
        "token.pin-file: ",
        "others may read it (mode 0644)",
    ] {
        assert!(said.contains(words), "no '{words}' in {said}");
    }
    assert!(said.contains(&format!("mend  run: chmod 600 {}", pin.display())), "{said}");
    // Another command says the first of them, and how to see the others.
    let said = refusal(configured.ground.keysvc(&["keeper"]));
    assert!(said.contains("more: keysvc check-config lists them all)"), "{said}");
}

#[test]
fn a_good_configuration_shows_what_will_be_used_and_which_limits_are_not_the_defaults() {
    let configured = Configured::new();
    let text = format!(
        "{}\n[front.limits]\nclients-max = 77\nidle-ms = 60000\n[keeper.limits]\nworkers = 3\n",
        configured.text.replace("[front]\n", "[front]\nhealth = \"0.0.0.0:9443\"\n")
    );
    fs::write(&configured.file, text).unwrap();
    let checked = configured.ground.keysvc(&["check-config"]).output().unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    for line in [
        "health        http://0.0.0.0:9443/ready, for whoever reaches it, in the clear",
        "limit         front.limits.clients-max = 77 (by default 1024)",
        "limit         keeper.limits.workers = 3 (by default 2)",
        "revocation    none: certificates are good until they expire",
    ] {
        assert!(said.lines().any(|one| one == line), "no '{line}' in {said}");
    }
    // One that is set to its default is none that differs.
    assert!(!said.contains("idle-ms"), "{said}");
}

#[test]
fn the_pin_has_exactly_one_source() {
    let configured = Configured::new();
    let two = configured.text.replace("pin-file", "pin-credential = \"pin\"\npin-file");
    configured.refuses_text(&two, &["the PIN has 2 sources"]);
    configured.refuses_text(&configured.with("token", "pin-file", ""), &["the PIN's source is missing"]);
    let fd = configured.with("token", "pin-file", "2").replace("pin-file", "pin-fd");
    configured.refuses_text(&fd, &["token.pin-fd: 2 is out of range", "give 3 to 1023"]);
}

#[test]
fn a_pin_from_a_credential_is_read_and_one_that_the_manager_did_not_give_is_named() {
    let configured = Configured::new();
    let text = configured.with("token", "pin-file", "\"keysvc-pin\"").replace("pin-file", "pin-credential");
    fs::write(&configured.file, text).unwrap();
    let said = refusal(configured.ground.keysvc(&["doctor"]));
    assert!(said.contains("LoadCredential="), "{said}");
    let credentials = tempfile::tempdir().unwrap();
    let mut doctor = configured.ground.keysvc(&["doctor"]);
    doctor.env("CREDENTIALS_DIRECTORY", credentials.path());
    let said = refusal(doctor);
    assert!(said.contains(&format!("{}/keysvc-pin", credentials.path().display())), "{said}");
    fs::copy(configured.home("pin"), credentials.path().join("keysvc-pin")).unwrap();
    let mut doctor = configured.ground.keysvc(&["doctor"]);
    doctor.env("CREDENTIALS_DIRECTORY", credentials.path());
    // Nothing is founded yet, so it refuses; but the token opened.
    let said = refusal(doctor);
    assert!(said.lines().any(|line| line.starts_with("ok    token ")), "{said}");
}

/// The command run by a shell, which alone gives a child a descriptor of a chosen number without unsafe code.
fn by_shell(line: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    shell
}

#[test]
fn a_pin_from_a_descriptor_opens_the_token_and_a_pipe_is_refused_where_it_is_needed_again() {
    let configured = Configured::new();
    let text = configured.with("token", "pin-file", "3").replace("pin-file", "pin-fd");
    fs::write(&configured.file, text).unwrap();
    let pin = configured.home("pin");
    let doctor = configured.ground.keysvc(&["doctor"]);
    let said = refusal(by_shell(&format!("exec \"$0\" \"$@\" 3< '{}'", pin.display()), &doctor));
    assert!(said.lines().any(|line| line.starts_with("ok    token ")), "{said}");
    let said = refusal(by_shell("exec \"$0\" \"$@\" 3<&-", &doctor));
    assert!(said.contains("/dev/fd/3"), "{said}");
    // Under serve a pipe would give the PIN to the first keeper alone.
    let serve = configured.ground.keysvc(&["serve"]);
    let said = refusal(by_shell(&format!("cat '{}' | \"$0\" \"$@\" 3<&0", pin.display()), &serve));
    assert!(said.contains("gives the PIN once"), "{said}");
}
