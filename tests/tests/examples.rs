//! The client's examples, run as their readers would run them: a bureau's job that is continued, a till that survives
//! a lost answer and verifies without the service.

use keysvc_client::terminal::SignedRequest;
use keysvc_protocol::{
    leaf::{CardKeysDerivedLeaf, LeafKind, ValueUpdatedLeaf},
    reply::ValueUpdateReply,
    request::ValueOperation,
};
use keysvc_tests::{
    agreed::{self, Pending, Sent},
    cards,
    ground::{Ground, OFFICERS, text},
    programs,
    raw::{self, Caller},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// An example's program, built with the same features as everything else.
fn build(name: &str) -> PathBuf {
    let output = programs::cargo()
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--workspace", "--message-format=json-render-diagnostics", "--example", name])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    let messages = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut built = messages
        .filter(|message| {
            message["target"]["name"] == name && message["target"]["kind"] == serde_json::json!(["example"])
        })
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    built.next().unwrap()
}

/// Runs a command that is to end with this exit code; gives what it printed.
fn run(mut command: Command, code: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_bureaus_job_makes_each_card_once_however_often_it_is_started() {
    let (program, ground) = (build("personalize"), Ground::new());
    let home = ground.site().home("station-1");
    let (cards, done) = (home.folder().join("cards.txt"), home.folder().join("done.txt"));
    let job = |profile: &str| {
        let mut command = home.command(&program);
        command.arg("--config").arg(home.client_config()).args(["--profile", profile, "--version", "1"]);
        command.args(["--slot", "0", "--cards"]).arg(&cards).arg("--done").arg(&done);
        command
    };
    fs::write(&cards, "04782e21801d80\n04a1b2c3d4e5f6\n").unwrap();
    let first = run(job("known"), 0);
    assert!(stderr(&first).contains("station station-1: 2 cards to make"), "{}", text(&first));
    assert_eq!(fs::read_to_string(&done).unwrap(), "04782e21801d80\n04a1b2c3d4e5f6\n");

    // One card more, after the job was broken off.
    fs::write(&cards, "04782e21801d80\n04a1b2c3d4e5f6\n04ffeeddccbbaa\n").unwrap();
    let second = run(job("known"), 0);
    assert!(stdout(&second).starts_with("04ffeeddccbbaa slot 0 version 1 check "), "{}", text(&second));
    assert_eq!(stdout(&second).lines().count(), 1);
    let third = run(job("known"), 0);
    assert_eq!((stdout(&third).as_str(), stderr(&third).contains("0 cards made")), ("", true));
    let derived: Vec<CardKeysDerivedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::CardKeysDerived);
    assert_eq!(derived.len(), 2);

    // The check values are those that the command line shows.
    let mut fobctl = ground.fobctl("station-1", &["station", "derive", "--json", "--profile", "known"]);
    fobctl.args(["--version", "1", "--slot", "0", "--card", "04ffeeddccbbaa"]);
    let shown: Value = serde_json::from_slice(&run(fobctl, 0).stdout).unwrap();
    let check = find(&shown, "check").unwrap();
    assert!(stdout(&second).trim_end().ends_with(check), "{check} in {}", stdout(&second));

    fs::write(&cards, "04000000000001\n").unwrap();
    let refused = run(job("unknown"), 3);
    assert!(stderr(&refused).contains("advice: correct profile"), "{}", text(&refused));
    let mut nowhere = home.command(&program);
    nowhere.args(["--config", "/nonexistent", "--profile", "known", "--version", "1", "--slot", "0"]);
    nowhere.args(["--cards", "c", "--done", "d"]);
    assert!(stderr(&run(nowhere, 2)).contains("cannot read /nonexistent"));
    let wrong = run(home.command(&program), 2);
    assert!(stderr(&wrong).contains("usage: personalize"), "{}", text(&wrong));
}

/// The first text under this key, however deep.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    match value {
        Value::Object(map) => {
            map.get(key).and_then(Value::as_str).or_else(|| map.values().find_map(|value| find(value, key)))
        }
        Value::Array(items) => items.iter().find_map(|value| find(value, key)),
        _ => None,
    }
}

struct Till<'a> {
    ground: &'a Ground,
    program: &'a Path,
    card: PathBuf,
}

impl Till<'_> {
    fn run(&self, words: &[&str], code: i32) -> Output {
        let home = self.ground.site().home("terminal-1");
        let mut command = home.command(self.program);
        command.arg("--config").arg(home.client_config()).args(["--programme", "coffee", "--card"]);
        command.arg(&self.card).args(words);
        run(command, code)
    }

    fn card(&self) -> String {
        fs::read_to_string(&self.card).unwrap()
    }

    fn pending(&self) -> PathBuf {
        self.card.with_extension("pending")
    }
}

fn updates(ground: &Ground) -> usize {
    raw::of_kind::<ValueUpdatedLeaf>(&raw::leaves(ground), LeafKind::ValueUpdated).len()
}

#[test]
fn a_till_sells_repeats_what_is_in_doubt_and_verifies_without_the_service() {
    let (program, mut ground) = (build("terminal"), Ground::new());
    let card = ground.site().folder().join("fob.txt");
    {
        let till = Till { ground: &ground, program: &program, card: card.clone() };
        assert!(stdout(&till.run(&["load", "2000"], 0)).starts_with("load 2000, balance 2000, seq 1, leaf "));
        assert!(stdout(&till.run(&["debit", "350"], 0)).starts_with("debit 350, balance 1650, seq 2, leaf "));
        assert_eq!(till.card(), "04782e21801d80 2 1650\n");

        // Sent and recorded, but the power went before the card was written.
        let request = raw::update(ValueOperation::Debit, 3, 650, 1_650);
        let signed: SignedRequest = ground.block_on(async {
            let terminal = ground.terminal("terminal-1").await.unwrap();
            terminal.update(&request).await.unwrap();
            terminal.sign_update(&request).await.unwrap()
        });
        fs::write(till.pending(), signed.as_bytes()).unwrap();
        let repeated = till.run(&["load", "500"], 0);
        assert!(stderr(&repeated).contains(&format!("repeating transaction {}", request.txn)));
        let said = stdout(&repeated);
        let said: Vec<_> = said.lines().map(|line| line.split(", leaf").next().unwrap()).collect();
        assert_eq!(said, ["debit 650, balance 1000, seq 3", "load 500, balance 1500, seq 4"]);
        assert_eq!(updates(&ground), 4);

        // A card that is behind the log is not guessed at.
        fs::write(&till.card, "04782e21801d80 2 1650\n").unwrap();
        let behind = till.run(&["debit", "100"], 7);
        assert!(stderr(&behind).contains("advice: read the card again"), "{}", text(&behind));
        assert!(!till.pending().exists());
        fs::write(&till.card, "04782e21801d80 4 1500\n").unwrap();
        let much = till.run(&["debit", "20001"], 3);
        assert!(stderr(&much).contains("advice: ask for less"), "{}", text(&much));
    }
    ground.stop();
    let till = Till { ground: &ground, program: &program, card: card.clone() };
    let offline = till.run(&["check"], 0);
    assert_eq!(stdout(&offline), "card 04782e21801d80, balance 1500, seq 4: verified offline\n");
    fs::write(&till.card, "04782e21801d80 4 1501\n").unwrap();
    assert!(stderr(&till.run(&["check"], 1)).contains("other than its record"));
    fs::write(&till.card, "04782e21801d80 4 1500\n").unwrap();

    // Not answered: it stays in doubt, and is repeated once the service is back.
    let unanswered = till.run(&["debit", "500"], 4);
    assert!(stderr(&unanswered).contains("the same transaction is repeated"), "{}", text(&unanswered));
    assert!(till.pending().exists());
    ground.start().unwrap();
    let till = Till { ground: &ground, program: &program, card };
    let back = till.run(&["load", "100"], 0);
    assert_eq!(till.card(), "04782e21801d80 6 1100\n", "{}", text(&back));
    assert_eq!(updates(&ground), 6);

    // Above what a till loads alone it waits for two people, and is the same transaction once they have agreed.
    let waits = till.run(&["load", "200000"], 5);
    assert!(stderr(&waits).contains("advice: officers must agree first"), "{}", text(&waits));
    assert_eq!(till.card(), "04782e21801d80 6 1100\n");
    let pending = fs::read(till.pending()).unwrap();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let answer = terminal.line.post("value.update", &raw::envelope(pending));
    let Ok(Sent::Pending(proposal)) = agreed::read::<ValueUpdateReply>(&answer) else { panic!("{answer:?}") };
    let proposal = Pending::new(*proposal);
    for officer in &OFFICERS[..2] {
        let mut officer = cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), officer);
        proposal.approve(&mut officer).unwrap();
    }
    let agreed = till.run(&["debit", "100"], 0);
    assert_eq!(till.card(), "04782e21801d80 8 201000\n", "{}", text(&agreed));
}
