//! The built program: wrong command lines end with exit code 2, say so on stderr, and print nothing on stdout.

use std::{
    path::Path,
    process::{Command, Output},
};

/// The program, away from every configuration of this machine.
fn program(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fobctl"));
    for name in ["FOBCTL_CONFIG", "FOBCTL_CONTEXT", "FOBCTL_CONTEXTS", "XDG_CONFIG_HOME", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.args(words).env("HOME", home).current_dir(home);
    command
}

fn run(words: &[&str]) -> Output {
    program(tempfile::tempdir().unwrap().path(), words).output().unwrap()
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
    assert!(usage(&["station", "derive"]).contains("unrecognized subcommand"));
    assert!(usage(&["job", "run", "nfc-1"]).contains("--writer"));
    assert!(usage(&["founding", "sign", "f"]).contains("--officer"));
    assert!(usage(&["audit", "proof", "--leaf", "x"]).contains("invalid"));
}

#[test]
fn without_a_configuration_the_next_step_is_named() {
    let text = usage(&["status"]);
    assert!(
        text.contains("fobctl: no configuration is given, and there are no contexts; looked in"),
        "{text}"
    );
    assert!(text.contains("next: put a client.toml at"), "{text}");
    assert!(text.contains("or give --config FILE, or set FOBCTL_CONFIG"), "{text}");
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
    assert!(!Path::new(&out).exists());
}

#[test]
fn a_form_that_is_printed_is_filled_in_and_told_what_is_wrong_before_the_service_is_asked() {
    let folder = Folder::new();
    let printed = run(&["job", "new"]);
    assert_eq!(printed.status.code(), Some(0));
    let form = String::from_utf8(printed.stdout).unwrap();
    assert!(form.contains("as-encountered = true") && form.contains("# items = "), "{form}");
    let (file, config) = (folder.path("nfc-1.toml"), folder.path("client.toml"));
    let create = ["job", "create", file.as_str(), "--config", config.as_str()];
    std::fs::write(&file, form.replace("ordered = 1000", "ordered = 5000")).unwrap();
    assert!(usage(&create).contains("ordered: 1 to 1010"));
    std::fs::write(&file, form.replace("as-encountered = true", "items = \"cards.csv\"")).unwrap();
    std::fs::write(folder.path("cards.csv"), "uid,data\n0478,x\n").unwrap();
    assert!(usage(&create).contains("cards.csv: line 2: a card identifier"));
    // What is right is asked of the service, whose trust file is missing here.
    std::fs::write(&file, &form).unwrap();
    assert!(usage(&create).contains("trust"));
}

#[test]
fn counts_and_incidents_are_given_whole_and_people_are_as_many_as_sign() {
    let folder = Folder::new();
    let config = folder.path("client.toml");
    let wrong = |words: &[&str]| usage(&[words, &["--config", &config]].concat());
    assert!(wrong(&["job", "count", "nfc-1", "--good", "5"]).contains("--rejected"));
    assert!(wrong(&["job", "count", "nfc-1", "--operator", "a"]).contains("2 people sign this"));
    assert!(wrong(&["job", "open", "nfc-1", "--operator", "a"]).contains("2 people sign this"));
    let three = ["job", "open", "nfc-1", "--operator", "a", "--operator", "b", "--operator", "c"];
    assert!(wrong(&three).contains("two people sign this"));
    assert!(wrong(&["job", "incident", "nfc-1", "--cause", "jam"]).contains("--place"));
    assert!(wrong(&["job", "suspend", "nfc-1", "--cause", "c", "--place", "p"]).contains("what was counted"));
    let both = ["job", "close", "nfc-1", "--witness", "m", "--agreement", "f"];
    assert!(wrong(&both).contains("cannot be used with"));
}

#[test]
fn a_person_agrees_on_their_own_machine_only_after_they_were_asked() {
    let folder = Folder::new();
    let (config, out) = (folder.path("client.toml"), folder.path("agreement"));
    let trust = format!("trust-domain demo.test\ngenesis {}\n", "07".repeat(32));
    std::fs::write(folder.path("trust"), trust).unwrap();
    let words = [
        "job",
        "agree",
        "open",
        "nfc-1",
        "--station",
        "station-1",
        "--as",
        "operator-1",
        "--out",
        &out,
        "--config",
        &config,
    ];
    let output = program(folder.0.path(), &words).stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = stderr(&output);
    assert!(text.contains("I, operator-1, open job nfc-1 at station station-1."), "{text}");
    assert!(text.contains("nothing was signed") && !Path::new(&out).exists(), "{text}");
    std::fs::write(&out, "kept").unwrap();
    assert!(usage(&words).contains("is not overwritten"));
}

#[test]
fn help_is_data_and_lists_the_exit_codes() {
    let output = run(&["help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Exit codes:") && text.contains("conflict"), "{text}");
}

#[test]
fn a_context_is_listed_kept_and_used() {
    let home = tempfile::tempdir().unwrap();
    let contexts = home.path().join(".config/keysvc/contexts");
    std::fs::create_dir_all(&contexts).unwrap();
    for name in ["till-1.toml", "till-2.toml"] {
        std::fs::write(contexts.join(name), CONFIG).unwrap();
    }
    let said = |words: &[&str]| {
        let output = program(home.path(), words).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout.clone()).unwrap() + &stderr(&output))
    };
    let (code, text) = said(&["status"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("there are several contexts: till-1, till-2"), "{text}");
    assert_eq!(said(&["context", "use", "till-3"]).0, Some(2));
    assert_eq!(said(&["context", "use", "till-2"]).0, Some(0));
    let (_, text) = said(&["context", "list"]);
    let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..3], ["till-1", "localhost:1", "user"]);
    assert_eq!(lines[2][..4], ["*", "till-2", "localhost:1", "user"]);
    // The trust file that this configuration names is missing: which one it reads is told by its path.
    let (_, text) = said(&["status"]);
    assert!(text.contains("contexts/trust"), "{text}");
}

#[test]
fn colour_is_for_terminals_unless_it_is_asked_for() {
    let has_colour = |words: &[&str]| {
        let output = run(words);
        [output.stdout, output.stderr].concat().contains(&0x1b)
    };
    assert!(!has_colour(&["help"]));
    assert!(!has_colour(&["nonsense"]));
    assert!(has_colour(&["--color", "always", "help"]));
    assert!(!has_colour(&["--color", "never", "help"]));
}

#[test]
fn completions_and_manual_pages_come_without_a_configuration() {
    let output = run(&["completions", "bash"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("complete -F"));
    let folder = Folder::new();
    let output = run(&["manual", &folder.path("man")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let page = std::fs::read_to_string(folder.path("man/fobctl-value-load.1")).unwrap();
    assert!(page.contains("EXIT STATUS") && page.contains("conflict"), "{page}");
}

#[test]
fn a_request_that_is_no_notation_is_refused_before_the_service_is_asked() {
    let folder = Folder::new();
    let text = usage(&["api", "key.get", "--request", "{0: 1", "--config", &folder.path("client.toml")]);
    assert!(text.contains("at character 6"), "{text}");
    let text = usage(&["api", "job.open", "--config", &folder.path("client.toml")]);
    assert!(text.contains("add --sign"), "{text}");
}

#[test]
fn what_officers_ask_for_is_checked_before_the_service_is_asked() {
    let folder = Folder::new();
    let config = folder.path("client.toml");
    let wrong = |words: &[&str]| usage(&[words, &["--config", &config]].concat());
    let text = wrong(&["freeze", "set", "terminal", "--reason", "stolen"]);
    assert!(text.contains("its name is missing"), "{text}");
    assert!(wrong(&["freeze", "set", "terminal", "terminal-1"]).contains("--reason"));
    assert!(wrong(&["key", "create", "value-1", "--kind", "storage"]).contains("card-master, value-signing"));
    assert!(wrong(&["key", "destroy", "value-1", "--reason", "old"]).contains("--version"));
    assert!(wrong(&["quorum", "set", "value.update", "--persons", "2"]).contains("principal.enrol"));
    let text = wrong(&["quorum", "set", "key.activate", "--persons", "1"]);
    assert!(text.contains("give two people or more"), "{text}");
    std::fs::write(folder.path("enrolment.toml"), "id = \"ann\"\nsecret = 1").unwrap();
    let text = wrong(&["principal", "enrol", &folder.path("enrolment.toml")]);
    assert!(text.contains("is not an enrolment file"), "{text}");
}

#[test]
fn a_proposal_is_named_by_its_whole_identifier_and_never_approved_without_its_digest() {
    assert!(usage(&["proposal", "approve", "3f0c"]).contains("invalid value '3f0c'"));
    let id = "3f0c8a1d5b7e4926a1c3d5e7f9012345";
    assert!(usage(&["proposal", "approve", id, "--yes"]).contains("unexpected argument '--yes'"));
    assert!(usage(&["evidence", "get", id]).contains("--out"));
    let help = run(&["proposal", "approve", "--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(text.contains("5  not done yet") && text.contains("--digest"), "{text}");
}

#[test]
fn components_are_made_and_checked_without_a_configuration_and_shown_only_when_asked() {
    assert!(usage(&["component", "generate"]).contains("--paper"));
    assert!(usage(&["component", "generate", "--components", "4", "--show"]).contains("4 is not in 2..=3"));
    let folder = Folder::new();
    let output = run(&["component", "generate", "--components", "3", "--paper", &folder.path("forms")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let form = std::fs::read_to_string(folder.path("forms/component-2.html")).unwrap();
    let (_, value) = form.split_once("class=\"value\">").unwrap();
    let value = value.split_once("</div>").unwrap().0.replace('\n', " ");
    assert_eq!(value.len(), 39, "{value}");
    assert!(!text.contains(&value[..9]) && !stderr(&output).contains(&value[..9]), "{text}");

    // What stands on the form has the check value that was printed.
    let path = folder.path("component");
    std::fs::write(&path, &value).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let checked = run(&["component", "check", "--file", &path]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    let checked = String::from_utf8(checked.stdout).unwrap();
    let check = checked.trim().strip_prefix("check value  ").unwrap();
    assert!(text.lines().any(|line| line.starts_with("component 2 of 3") && line.ends_with(check)), "{text}");
    assert!(usage(&["component", "generate", "--paper", &folder.path("forms")]).contains("exists already"));
}

#[test]
fn a_component_is_never_on_the_command_line() {
    for words in [
        &["component", "check", "00112233445566778899aabbccddeeff"][..],
        &["component", "check", "--value", "0"],
    ] {
        assert!(usage(words).contains("unexpected argument"), "{words:?}");
    }
}

#[test]
fn an_import_names_two_or_three_custodians_and_their_check_values() {
    let folder = Folder::new();
    let config = folder.path("client.toml");
    let begin = ["key", "import", "acme", "--config", &config, "--reason", "why", "--check-value"];
    let wrong = |words: &[&str]| usage(&[&begin, words].concat());
    assert!(wrong(&["0102", "--component", "ann=0102030405"]).contains("10 hexadecimal digits"));
    assert!(wrong(&["0102030405"]).contains("--component"));
    assert!(wrong(&["0102030405", "--component", "ann"]).contains("CUSTODIAN=DIGITS"));
    let text = wrong(&["0102030405", "--component", "ann=0102030405"]);
    assert!(text.contains("two or three components"), "{text}");
}

#[test]
fn a_profile_is_checked_with_place_and_mend_before_anything_is_asked() {
    let folder = Folder::new();
    let file = folder.path("fob.toml");
    let good = "name = \"fob\"\nversion = 2\nfamily = \"desfire-ev2\"\nfunctions = [\"membership\"]\n\
                scheme = \"an10922-aes128\"\ninput = [\"uid\", \"application\", \"system-identifier\"]\n\
                system-identifier = \"4e585020416275\"\n[[slots]]\nslot = 0\nkey = \"master\"\nkey-version = 1\n\
                key-number = 0\napplication = \"3042f5\"\n";
    std::fs::write(&file, good).unwrap();
    let output = run(&["profile", "check", &file]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("fob version 2, for desfire-ev2 cards: membership"), "{text}");
    std::fs::write(&file, good.replace("\"membership\"", "\"stored-value\"")).unwrap();
    let text = usage(&["profile", "check", &file]);
    assert!(text.contains("profiles.fob.functions") && text.contains("value table"), "{text}");
    let config = folder.path("client.toml");
    assert!(usage(&["profile", "put", &file, "--config", &config]).contains("--reason"));
}

#[test]
fn a_doctor_says_what_is_wrong_on_this_machine_and_what_could_not_be_looked_at() {
    let folder = Folder::new();
    let output = run(&["doctor", "--config", &folder.path("client.toml")]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.contains("ok    configuration") && text.contains("BAD   trust file"), "{text}");
    assert!(text.contains("-     enrolment") && text.contains("was not reached"), "{text}");
    assert!(stderr(&output).contains("then run `fobctl doctor` again"), "{output:?}");
}
