//! A whole job as people work it, through the programs as they type them: a thousand cards with seven rejects, three
//! samples and one machine jam, the keeper killed twice on the way, counted wrong, then right, purged before the next one
//! begins; and everything again from the log, by two verifiers, with the service off.

use keysvc_tests::{
    agreed::until,
    ended::ended,
    ground::{Ground, text},
    second_verifier::assert_agreed,
    watched,
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// Blank cards that the vault gave out, and those that were put into the feeder.
const ISSUED: u32 = 1_010;
const FED: u32 = 1_000;
const ORDERED: u32 = 985;
const BROKEN: [u32; 7] = [3, 77, 150, 402, 633, 801, 999];
const SAMPLES: [u32; 3] = [0, 500, 998];
const JAM: u32 = 480;
/// So many good cards lie in the tray when the keeper is killed: once before the jam and once after.
const KILLS: [usize; 2] = [200, 700];

struct Scene {
    ground: Ground,
    cards: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let ground = Ground::new();
        let cards = ground.site().folder().join("cards");
        let feeder = cards.join("feeder");
        fs::create_dir_all(&feeder).unwrap();
        for number in 0..FED {
            let behaves = match number {
                number if BROKEN.contains(&number) => "broken",
                number if SAMPLES.contains(&number) => "sample",
                JAM => "jam",
                _ => "",
            };
            fs::write(feeder.join(format!("04782e21{number:06x}")), behaves).unwrap();
        }
        Self { ground, cards }
    }

    fn folder(&self) -> &Path {
        self.ground.site().folder()
    }

    fn config(&self, persona: &str) -> String {
        self.ground.site().home(persona).client_config().to_str().unwrap().to_owned()
    }

    fn fobctl(&self, persona: &str, arguments: &[&str]) -> Output {
        ended(self.ground.fobctl(persona, arguments))
    }

    #[track_caller]
    fn done(&self, persona: &str, arguments: &[&str]) -> String {
        let output = self.fobctl(persona, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        text(&output)
    }

    /// What is refused or not done, with its exit code and words.
    #[track_caller]
    fn not_done(&self, persona: &str, arguments: &[&str], code: i32, words: &str) {
        let output = self.fobctl(persona, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(words), "{arguments:?}: no '{words}' in {}", text(&output));
    }

    /// Makes a job of a form and has the other data operator seal it.
    fn prepared(&self, job: &str) {
        let form = self.folder().join(format!("{job}.toml"));
        let lines = format!(
            "order = \"PO-4711\"\ncustomer = \"acme\"\nprofile = \"inline\"\nprofile-version = 1\nlot = \"L-1\"\n\
             station = \"station-1\"\nequipment = \"encoder 1\"\nordered = {ORDERED}\nissued = {ISSUED}\n\
             carried-over = 0\ndue = 48\nas-encountered = true\n"
        );
        fs::write(&form, lines).unwrap();
        let made = self.ground.fobctl("data-1", &["--json", "job", "create", form.to_str().unwrap()]);
        let made = ended(made);
        assert!(made.status.success(), "{}", text(&made));
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        // The two read the digest to each other.
        let head = &made["head"].as_str().unwrap()[..8];
        self.done("data-2", &["job", "seal", job, "--digest", head]);
    }

    fn open(&self, job: &str) -> Output {
        let [one, other] = ["operator-1", "operator-2"].map(|operator| self.config(operator));
        let arguments = ["job", "open", job, "--operator", &one, "--operator", &other, "--yes"];
        self.fobctl("station-1", &arguments)
    }

    /// Starts the station's program; what it says goes to a file.
    fn run(&self, said: &Path) -> Child {
        let mut run = self.ground.fobctl("station-1", &["job", "run", "nfc-1", "--in-hand", "100"]);
        run.args(["--patience", "120", "--writer", env!("CARGO_BIN_EXE_encoder")]).arg(&self.cards);
        let file = || File::options().create(true).append(true).open(said).unwrap();
        run.stdin(Stdio::null()).stdout(file()).stderr(file()).spawn().unwrap()
    }

    fn tray(&self, tray: &str) -> usize {
        fs::read_dir(self.cards.join(tray)).map_or(0, Iterator::count)
    }

    /// Kills the keeper while the station works; the supervisor starts another one.
    fn killed_at(&self, good: usize) {
        until("cards are made", || self.tray("good") >= good);
        watched::send(self.ground.half("keeper").unwrap(), Signal::KILL);
    }

    fn counted(&self, good: &str, rejected: &str) -> Vec<String> {
        let mut words: Vec<String> =
            ["job", "count", "nfc-1", "--good", good, "--rejected", rejected].map(str::to_owned).to_vec();
        let rest = ["--sample", "3", "--returned", "10", "--handed-over", "0", "--yes", "--operator"];
        words.extend(rest.map(str::to_owned));
        words.extend([self.config("operator-2"), "--reviewer".to_owned(), self.config("reviewer-1")]);
        words
    }
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn fobaudit(ground: &Ground, verb: &str, export: &Path) -> Command {
    let mut fobaudit = Command::new(&ground.programs().fobaudit);
    fobaudit.arg(verb).arg(export).arg("--trust").arg(ground.site().trust());
    fobaudit
}

fn worked(scene: &Scene) {
    scene.prepared("nfc-1");
    let opened = scene.open("nfc-1");
    assert!(opened.status.success(), "{}", text(&opened));
    let said = scene.folder().join("run.said");
    let mut run = scene.run(&said);
    scene.killed_at(KILLS[0]);
    // The machine stands still at a card; what is in hand stays in hand.
    let status = run.wait().unwrap();
    let heard = fs::read_to_string(&said).unwrap();
    assert_eq!(status.code(), Some(4), "{heard}");
    assert!(heard.contains("jam: a card is stuck in the feeder"), "{heard}");
    let people = ["--operator", &scene.config("operator-1"), "--reviewer", &scene.config("reviewer-1")];
    let incident = ["job", "incident", "nfc-1", "--cause", "a card got stuck", "--place", "tray 2"];
    scene.done("station-1", &[&incident[..], &["--in-hand", "1", "--yes"], &people].concat());
    let mut run = scene.run(&said);
    scene.killed_at(KILLS[1]);
    let status = run.wait().unwrap();
    let heard = fs::read_to_string(&said).unwrap();
    assert_eq!(status.code(), Some(0), "{heard}");
    assert_eq!(["good", "reject", "sample"].map(|tray| scene.tray(tray)), [990, 7, 3], "{heard}");
    assert_eq!(["feeder", "hand", "blank"].map(|place| scene.tray(place)), [0; 3], "{heard}");
    // Nobody who stood there could read how many cards the job has.
    for total in [ISSUED, ORDERED].map(|total| total.to_string()) {
        assert!(!heard.contains(&total), "{total} in {heard}");
    }
    for word in ["leaf", "proof", "position"] {
        assert!(!heard.to_lowercase().contains(word), "{word} in {heard}");
    }
    let heart = fs::read_dir(scene.cards.join("good")).unwrap().next().unwrap().unwrap();
    assert!(fs::read_to_string(heart.path()).unwrap().starts_with("key 0 1 "), "a card without its key");
}

fn counted_and_closed(scene: &Scene) {
    let wrong = scene.counted("991", "7");
    scene.not_done("station-1", &words(&wrong), 7, "does not balance");
    let operator = scene.done("operator-1", &["job", "show", "nfc-1"]);
    assert!(!operator.contains("1010") && !operator.contains("985"), "{operator}");
    let reviewer = scene.done("reviewer-1", &["--json", "job", "show", "nfc-1"]);
    assert!(reviewer.contains("1010"), "{reviewer}");
    scene.done("station-1", &words(&scene.counted("990", "7")));

    scene.prepared("nfc-2");
    let early = scene.open("nfc-2");
    assert!(
        !early.status.success() && text(&early).contains("is not purged from this station"),
        "{}",
        text(&early)
    );
    let monitor = scene.config("monitor-1");
    scene.done("station-1", &["job", "close", "nfc-1", "--witness", &monitor, "--yes"]);
    let state = scene.ground.site().home("station-1").folder().join("state/jobs/nfc-1");
    assert!(!state.exists(), "the station has erased its files");
    let second = scene.open("nfc-2");
    assert!(second.status.success(), "{}", text(&second));
}

#[test]
fn a_job_of_a_thousand_cards_is_made_counted_blind_purged_and_verified_with_the_service_off() {
    let mut scene = Scene::new();
    worked(&scene);
    counted_and_closed(&scene);
    let (record, export) = (scene.folder().join("nfc-1.record"), scene.folder().join("export"));
    let page = scene.done("auditor-1", &["job", "record", "nfc-1", "--out", record.to_str().unwrap()]);
    for said in ["PO-4711", "monitor-1", "990", "1010"] {
        assert!(page.contains(said), "no {said} in {page}");
    }
    scene.done("auditor-1", &["audit", "export", export.to_str().unwrap()]);
    scene.ground.stop();
    for verb in ["verify", "controls"] {
        let verified = ended(fobaudit(&scene.ground, verb, &export));
        assert!(verified.status.success(), "{verb}: {}", text(&verified));
    }
    let mut counts = fobaudit(&scene.ground, "counts", &export);
    counts.arg("--record").arg(&record).arg("--job").arg("nfc-1");
    let counts = ended(counts);
    assert!(counts.status.success(), "{}", text(&counts));
    assert!(text(&counts).contains("990"), "{}", text(&counts));
    assert_agreed(&scene.ground.programs().fobaudit, &export, &scene.ground.site().trust());
    let stored = ended(scene.ground.keysvc(&["verify-store"]));
    assert!(stored.status.success(), "{}", text(&stored));
}
