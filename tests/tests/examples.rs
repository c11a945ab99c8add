//! The client's examples, run as their readers would run them: a bureau's job that is continued, a till that survives
//! a lost answer and verifies without the service.

use keysvc_client::{agreement, terminal::SignedRequest};
use keysvc_protocol::{
    job::Counts,
    leaf::{CardsChangedLeaf, JobOpenedLeaf, LeafKind, ValueUpdatedLeaf},
    reply::ValueUpdateReply,
    request::ValueOperation,
};
use keysvc_tests::{
    agreed::{self, Pending, Sent},
    cards,
    ground::{Ground, OFFICERS, text},
    jobs::{Bench, head},
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

/// A station's floor with the example's program: its encoder is a folder.
struct Shop<'a> {
    ground: &'a Ground,
    program: PathBuf,
    folder: PathBuf,
}

impl Shop<'_> {
    fn feed(&self, card: &str, content: &str) {
        fs::create_dir_all(self.folder.join("cards/feeder")).unwrap();
        fs::write(self.folder.join("cards/feeder").join(card), content).unwrap();
    }

    fn tray(&self, tray: &str) -> Vec<String> {
        let names = fs::read_dir(self.folder.join("cards").join(tray)).unwrap();
        let mut names: Vec<_> = names.map(|card| card.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn command(&self, command: &str) -> Command {
        let home = self.ground.site().home("station-1");
        let mut program = home.command(&self.program);
        program.current_dir(&self.folder).args([command, "--work", "work", "--config"]);
        program.arg(home.client_config());
        program
    }

    /// A shift of the two operators whose agreements lie in the folder.
    fn shift(&self, code: i32) -> Output {
        let mut command = self.command("run");
        command.args(["--agreement", "one", "--agreement", "other", "--cards", "cards"]);
        run(command, code)
    }

    fn erase(&self, code: i32) -> Output {
        let mut command = self.command("erase");
        command.args(["--job", "job-1", "--receipt", "receipt", "--also", "one", "--also", "other"]);
        run(command, code)
    }
}

#[test]
fn a_bureaus_job_makes_each_card_once_however_often_it_is_started_and_is_erased_once_it_is_counted() {
    let (program, ground) = (build("personalize"), Ground::new());
    let folder = ground.site().home("station-1").folder().join("floor");
    fs::create_dir(&folder).unwrap();
    let shop = Shop { ground: &ground, program, folder: folder.clone() };
    let mut bench = Bench::new(env!("CARGO_BIN_EXE_card"), &ground, "station-1");
    bench.floor.prepare("job-1", &head("known", 1, 8));
    for (agreement, file) in bench.floor.beginning("job-1", "station-1").iter().zip(["one", "other"]) {
        agreement.write(&folder.join(file)).unwrap();
    }

    // A good card, one that does not answer, and one that jams the machine.
    shop.feed("04782e21801d80", "");
    shop.feed("04a1b2c3d4e5f6", "broken");
    shop.feed("04ffeeddccbbaa", "jam");
    let jammed = shop.shift(4);
    assert!(stderr(&jammed).contains("station-1, job job-1: the session lasts "), "{}", text(&jammed));
    assert!(stderr(&jammed).contains("advice: clear the machine"), "{}", text(&jammed));
    let said = stdout(&jammed);
    assert_eq!(said, "0478..1d80 good\n04a1..e5f6 reject: it does not answer\n");
    assert_eq!(
        (shop.tray("good"), shop.tray("hand")),
        (vec!["04782e21801d80".to_owned()], vec!["04ffeeddccbbaa".to_owned()])
    );
    // NXP AN10922 section 2.2: the published key of the published card.
    let card = fs::read_to_string(folder.join("cards/good/04782e21801d80")).unwrap();
    assert!(card.starts_with("slot 0 version 1 key a8dd63a3b89d54b37ca802473fda9175\n"), "{card}");

    // The same shift again, with the jam cleared and one card more.
    shop.feed("04000000000001", "sample");
    let second = shop.shift(0);
    assert_eq!(stdout(&second), "04ff..bbaa good\n0400..0001 sample\n");
    assert!(stderr(&second).contains("the feeder is empty: fill it and run again"), "{}", text(&second));
    let third = shop.shift(0);
    assert_eq!(stdout(&third), "");
    let leaves = raw::leaves(&ground);
    assert_eq!(raw::of_kind::<JobOpenedLeaf>(&leaves, LeafKind::JobOpened).len(), 1);
    let trays = ["good", "reject", "sample", "hand", "feeder"].map(|tray| shop.tray(tray).len());
    assert_eq!(trays, [2, 1, 1, 0, 0]);

    // Nothing is erased before the count balances, and everything after it.
    let early = shop.erase(1);
    assert!(stderr(&early).contains("it is erased once its count balances"), "{}", text(&early));
    let counts = Counts { good: 2, rejected: 1, sample: 1, returned: 4, handed_over: 0 };
    assert_eq!(bench.floor.count(&mut bench.station, "job-1", counts), Ok(true));
    let erased = shop.erase(0);
    assert!(stdout(&erased).starts_with("station station-1: "), "{}", text(&erased));
    let left: Vec<_> = fs::read_dir(folder.join("work")).map(Iterator::collect).unwrap_or_default();
    assert!(left.is_empty() && !folder.join("one").exists() && !folder.join("other").exists(), "{left:?}");
    let receipt = agreement::receipt_from_bytes(&fs::read(folder.join("receipt")).unwrap()).unwrap();
    bench.floor.close_with(&mut bench.station, "job-1", receipt).unwrap();
    let cards: Vec<CardsChangedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::CardsChanged);
    assert!(cards.iter().all(|leaf| leaf.principal.as_str() == "station-1") && cards.len() <= 4);

    // A job that is closed is not begun again.
    for (agreement, file) in bench.floor.beginning("job-1", "station-1").iter().zip(["one", "other"]) {
        agreement.write(&folder.join(file)).unwrap();
    }
    let refused = shop.shift(7);
    assert!(stderr(&refused).contains("advice: look at the job"), "{}", text(&refused));
    let home = ground.site().home("station-1");
    let mut nowhere = home.command(&shop.program);
    nowhere.args(["erase", "--config", "/nonexistent", "--job", "job-1", "--work", "w", "--receipt", "r"]);
    assert!(stderr(&run(nowhere, 2)).contains("cannot read /nonexistent"));
    let wrong = run(home.command(&shop.program), 2);
    assert!(stderr(&wrong).contains("usage: personalize"), "{}", text(&wrong));
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
