//! Ceremonies, from a plan that people sign to a transcript that another machine verifies: held, interrupted and taken up
//! again, not gone as planned, altered afterwards, and rehearsed.

use keysvc_protocol::{
    bytes::Digest,
    ceremony::{CeremonyFile, Outcome, Plan, Transcript},
    hash::sha256,
    key::KeyState,
    leaf::{ChangedLeaf, LeafKind, ProposalMadeLeaf},
    request::Operation,
};
use keysvc_tests::{
    agreed::{acts, key_state},
    custody,
    ended::ended,
    ground::{Ground, OFFICERS, text},
    raw::{self, Caller},
};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The exit codes of a command line that does not do, of what waits, and of what does not verify.
const USAGE: Option<i32> = Some(2);
const WAITS: Option<i32> = Some(5);
const UNVERIFIED: Option<i32> = Some(6);
/// Longer than a step of a ceremony takes.
const LONG: Duration = Duration::from_secs(60);

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ceremonies").join(name)
}

fn succeeds(command: Command) -> Output {
    let output = ended(command);
    assert!(output.status.success(), "{}", text(&output));
    output
}

/// A plan for a ground's service, in a folder of its own, and where it is held.
struct Room<'a> {
    ground: &'a Ground,
    plan: PathBuf,
    held: PathBuf,
}

impl<'a> Room<'a> {
    /// A plan out of an example, with something in it replaced.
    fn new(ground: &'a Ground, template: &str, edit: impl FnOnce(String) -> String) -> Self {
        let folder = ground.site().folder().join("room");
        fs::create_dir(&folder).unwrap();
        let draft = folder.join("draft.toml");
        let template = example(template);
        let mut new = ground.fobctl(OFFICERS[0], &["ceremony", "new"]);
        new.arg(&template).arg("--out").arg(&draft);
        succeeds(new);
        let plan = folder.join("plan.toml");
        fs::write(&plan, edit(fs::read_to_string(draft).unwrap())).unwrap();
        Self { ground, plan, held: folder.join("held") }
    }

    fn people(&self) -> Vec<String> {
        let plan: Plan = toml::from_str(&fs::read_to_string(&self.plan).unwrap()).unwrap();
        plan.people.iter().map(|person| person.name.to_string()).collect()
    }

    fn digest(&self) -> Digest {
        sha256(&[&fs::read(&self.plan).unwrap()])
    }

    /// Somebody reads the plan and signs it.
    fn approve(&self, person: &str) {
        let mut approve = self.ground.fobctl(person, &["ceremony", "approve", "--as", person]);
        approve.args(["--digest", &self.digest().to_string()[..4]]).arg(&self.plan);
        succeeds(approve);
    }

    fn approved(self) -> Self {
        self.people().iter().for_each(|person| self.approve(person));
        self
    }

    /// The ceremony, with these answers; without any there is nobody at the terminal.
    fn run(&self, answers: Option<&str>) -> Command {
        let mut run = Command::new(&self.ground.programs().fobctl);
        run.args(["ceremony", "run"]).arg(&self.plan).arg("--out").arg(&self.held);
        for person in self.people() {
            let config = self.ground.site().home(&person).client_config();
            run.arg("--person").arg(format!("{person}={}", config.display()));
        }
        if let Some(answers) = answers {
            let file = self.plan.with_file_name("answers.toml");
            fs::write(&file, answers).unwrap();
            run.arg("--answers").arg(file);
        }
        run
    }

    fn file(&self) -> PathBuf {
        self.held.join("ceremony.cbor")
    }

    fn transcript(&self) -> Transcript {
        CeremonyFile::read(&fs::read(self.file()).unwrap()).unwrap().1
    }

    /// The ceremony's file, the trust file and the exported log, carried to another folder.
    fn carried(&self) -> Elsewhere {
        let folder = TempDir::with_prefix("elsewhere-").unwrap();
        let at = |name| folder.path().join(name);
        let exported =
            async { self.ground.auditor().await.unwrap().export(&at("log"), |_, _| {}).await.unwrap() };
        self.ground.block_on(exported);
        fs::copy(self.file(), at("ceremony.cbor")).unwrap();
        fs::copy(self.ground.site().trust(), at("trust")).unwrap();
        let fobaudit = self.ground.programs().fobaudit.clone();
        Elsewhere { fobaudit, folder }
    }
}

/// Another machine: it has three things that were carried there, and a program.
struct Elsewhere {
    fobaudit: PathBuf,
    folder: TempDir,
}

impl Elsewhere {
    fn file(&self) -> PathBuf {
        self.folder.path().join("ceremony.cbor")
    }

    fn verify(&self, json: bool) -> Output {
        let mut fobaudit = Command::new(&self.fobaudit);
        fobaudit.arg("ceremony").arg(self.file()).arg("--trust").arg(self.folder.path().join("trust"));
        fobaudit.arg("--export").arg(self.folder.path().join("log"));
        if json {
            fobaudit.arg("--json");
        }
        ended(fobaudit)
    }

    /// What is verified of it.
    fn verified(&self) -> (String, Value) {
        let (said, json) = (self.verify(false), self.verify(true));
        assert!(said.status.success() && json.status.success(), "{}", text(&said));
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.trim_end().ends_with("VERIFIED") && !said.contains("NOT VERIFIED"), "{said}");
        (said, serde_json::from_slice(&json.stdout).unwrap())
    }

    fn refused(&self) -> String {
        let output = self.verify(false);
        let said = text(&output);
        assert_eq!(output.status.code(), UNVERIFIED, "{said}");
        said
    }
}

/// What was proposed and agreed to in the log.
fn operations(ground: &Ground) -> (usize, Vec<Operation>) {
    let leaves = raw::leaves(ground);
    let proposed: Vec<ProposalMadeLeaf> = raw::of_kind(&leaves, LeafKind::ProposalMade);
    let acts = acts(&leaves).into_iter().map(|(_, act)| {
        let changed: ChangedLeaf = keysvc_protocol::cbor::decode(act.act.as_bytes(), 64 * 1024).unwrap();
        changed.operation
    });
    (proposed.len(), acts.collect())
}

fn state(ground: &Ground, key: &str) -> Option<KeyState> {
    key_state(&mut Caller::new(ground.site(), "auditor-1"), key, 1)
}

#[test]
fn two_officers_and_a_witness_make_a_master_key_by_a_plan_and_another_machine_verifies_it_offline() {
    let mut ground = Ground::new();
    let room = Room::new(&ground, "new-master-key.toml", |plan| plan);
    // Nobody walks a plan that not everyone has signed.
    room.approve("officer-1");
    room.approve("officer-2");
    let early = ended(room.run(Some("")));
    assert_eq!(early.status.code(), USAGE, "{}", text(&early));
    assert!(text(&early).contains("officer-3 has not signed the plan"), "{}", text(&early));
    let room = room.approved();
    let said = text(&succeeds(room.run(Some(""))));
    assert!(said.contains("11 as planned") && !said.contains("with a deviation"), "{said}");
    assert_eq!(state(&ground, "acme-master"), Some(KeyState::Active));
    assert_eq!(operations(&ground), (2, vec![Operation::KeyCreate, Operation::KeyActivate]));
    let transcript = room.transcript();
    assert!(!transcript.rehearsal && transcript.steps.iter().all(|step| step.outcome == Outcome::Done));
    let page = fs::read_to_string(room.held.join("transcript.html")).unwrap();
    assert!(page.contains("A new card master key") && !page.contains("<script"), "{page}");
    // It is held once.
    let again = ended(room.run(Some("")));
    assert!(!again.status.success() && text(&again).contains("is over"), "{}", text(&again));

    let elsewhere = room.carried();
    ground.stop();
    let (said, json) = elsewhere.verified();
    for words in ["A new card master key", "officer-3 (witness", "acme-master", "check-value"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(json["ceremony"]["steps_done"], transcript.steps.len());
    assert_eq!(
        (&json["ceremony"]["steps_deviated"], &json["ceremony"]["interruptions"]),
        (&0.into(), &0.into())
    );
    assert!(json["anchor"]["leaf"].as_u64().is_some(), "{json}");
    is_refused_when_altered(&elsewhere);
}

/// One byte turned anywhere in the file, and the file cut: none of it is a proof.
fn is_refused_when_altered(elsewhere: &Elsewhere) {
    let good = fs::read(elsewhere.file()).unwrap();
    let places = (0..16).map(|part| part * good.len() / 16).chain([good.len() - 1]);
    for place in places {
        let mut turned = good.clone();
        turned[place] ^= 1;
        fs::write(elsewhere.file(), turned).unwrap();
        elsewhere.refused();
    }
    fs::write(elsewhere.file(), &good[..good.len() - 1]).unwrap();
    elsewhere.refused();
    // As it was, it is one again.
    fs::write(elsewhere.file(), &good).unwrap();
    elsewhere.verified();
}

#[test]
fn a_plan_changed_by_one_byte_after_it_was_signed_is_not_walked() {
    let ground = Ground::new();
    let room = Room::new(&ground, "new-master-key.toml", |plan| plan).approved();
    let signed = fs::read_to_string(&room.plan).unwrap();
    let leaves = raw::leaves(&ground).len();
    for changed in [
        signed.replacen("acme-master", "acme-mastes", 1),
        signed.replacen("of-step = 3", "of-step = 7", 1),
        format!("{signed}#"),
    ] {
        assert_ne!(changed, signed);
        fs::write(&room.plan, changed).unwrap();
        let refused = ended(room.run(Some("")));
        assert_eq!(refused.status.code(), USAGE, "{}", text(&refused));
    }
    fs::write(&room.plan, &signed).unwrap();
    // Somebody else's signature is none either.
    let agreement =
        |person: &str| room.plan.with_file_name("plan.toml.agreements").join(format!("{person}.cose"));
    let (own, other) = (fs::read(agreement("officer-2")).unwrap(), fs::read(agreement("officer-1")).unwrap());
    fs::write(agreement("officer-2"), other).unwrap();
    let refused = ended(room.run(Some("")));
    assert_eq!(refused.status.code(), USAGE, "{}", text(&refused));
    // Nothing of all that reached the log but what the test reads itself.
    let news = raw::leaves(&ground).split_off(leaves);
    assert!(news.iter().all(|(entry, _)| entry.kind == LeafKind::EntriesRead), "{news:?}");
    fs::write(agreement("officer-2"), own).unwrap();
    succeeds(room.run(Some("")));
}

/// Runs the ceremony until the log holds so many proposals, and kills it there.
fn killed_after_proposals(room: &Room<'_>, proposals: usize) {
    let mut run = room.run(Some(""));
    let mut child = run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while operations(room.ground).0 < proposals {
        assert!(began.elapsed() < LONG, "the ceremony does not get there");
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_interrupted_ceremony_is_taken_up_where_it_stopped_and_nothing_is_asked_for_twice() {
    let mut ground = Ground::new();
    let room = Room::new(&ground, "new-master-key.toml", |plan| plan).approved();
    // Nobody at the terminal; then on purpose after the first approval; then killed while it works.
    let nobody = ended(room.run(None));
    assert!(!nobody.status.success() && text(&nobody).contains("interrupted"), "{}", text(&nobody));
    let stopped = ended(room.run(Some("stop-after = 4\n")));
    assert_eq!(stopped.status.code(), WAITS, "{}", text(&stopped));
    assert_eq!((operations(&ground), state(&ground, "acme-master")), ((1, vec![]), None));
    killed_after_proposals(&room, 2);
    let said = text(&succeeds(room.run(Some(""))));
    assert!(said.contains("interrupted") && said.contains("3 times"), "{said}");
    assert_eq!(operations(&ground), (2, vec![Operation::KeyCreate, Operation::KeyActivate]));
    assert_eq!(state(&ground, "acme-master"), Some(KeyState::Active));
    let elsewhere = room.carried();
    ground.stop();
    let (said, json) = elsewhere.verified();
    assert_eq!(json["ceremony"]["interruptions"], 3, "{said}");
}

#[test]
fn what_does_not_go_as_planned_stands_in_the_transcript_and_the_verification_says_so() {
    let mut ground = Ground::new();
    // The key is shown before it is in use, and the plan has it in use; and the witness notes something of their own.
    let room = Room::new(&ground, "new-master-key.toml", |plan| {
        plan.replacen("state = \"pre-activation\"", "state = \"active\"", 1)
    });
    let room = room.approved();
    let noted = "officer-2 has left the room for a minute";
    let answers = format!("[[steps]]\nnumber = 11\ndeviation = \"{noted}\"\n");
    let said = text(&succeeds(room.run(Some(&answers))));
    assert!(said.contains("2 with a deviation"), "{said}");
    let transcript = room.transcript();
    let deviated: Vec<_> = transcript
        .steps
        .iter()
        .filter(|step| step.outcome == Outcome::Deviated)
        .map(|step| step.number)
        .collect();
    assert_eq!(deviated, [6, 11]);
    let page = fs::read_to_string(room.held.join("transcript.html")).unwrap();
    assert!(page.contains(noted));
    let elsewhere = room.carried();
    ground.stop();
    let (said, json) = elsewhere.verified();
    assert!(said.contains("2 not as planned") && said.contains(noted), "{said}");
    assert_eq!(json["ceremony"]["steps_deviated"], 2);
    assert_eq!(json["ceremony"]["steps"][10]["deviation"], noted);
    assert!(json["ceremony"]["steps"][5]["deviation"].as_str().unwrap().contains("pre-activation"), "{json}");
}

#[test]
fn a_key_comes_in_by_a_plan_from_components_that_two_officers_enter_alone() {
    let mut ground = Ground::new();
    // The example tells its published components in a comment.
    let without_comments =
        |plan: String| plan.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let room = Room::new(&ground, "import-from-components.toml", without_comments).approved();
    let vectors: Value = serde_json::from_str(include_str!("../vectors/key_components.json")).unwrap();
    let all = vectors["vectors"].as_array().unwrap();
    let published = all.iter().find(|one| one["combined_kcv_cmac_5"] == "74f8668b7f").unwrap();
    let component = |number: usize| published["components"][number]["value"].as_str().unwrap();
    let file = |number: usize| room.plan.with_file_name(format!("c{number}"));
    let put = |number: usize, digits: &str, mode: u32| {
        fs::write(file(number), digits).unwrap();
        fs::set_permissions(file(number), fs::Permissions::from_mode(mode)).unwrap();
    };
    let answers =
        "[[steps]]\nnumber = 8\ncomponent-file = \"c0\"\n[[steps]]\nnumber = 9\ncomponent-file = \"c1\"\n";
    // Open to others, then the other's: neither is given, and the ceremony goes on with its step.
    for (digits, mode, why) in [(component(0), 0o644, "open to others"), (component(1), 0o600, "check value")]
    {
        put(0, digits, mode);
        let refused = ended(room.run(Some(answers)));
        assert!(!refused.status.success() && text(&refused).contains(why), "{}", text(&refused));
    }
    assert_eq!(custody::given(&raw::leaves(&ground)), 0);
    [0, 1].into_iter().for_each(|number| put(number, component(number), 0o600));
    let said = text(&succeeds(room.run(Some(answers))));
    assert_eq!(state(&ground, "acme-moved"), Some(KeyState::Active), "{said}");
    let elsewhere = room.carried();
    let kept = fs::read(elsewhere.file()).unwrap();
    for number in [0, 1] {
        let value = keysvc_protocol::bytes::from_hex(component(number)).unwrap();
        let digits = component(number).as_bytes();
        assert!(!kept.windows(16).any(|part| part == value), "a component stands in the transcript");
        assert!(!kept.windows(32).any(|part| part.eq_ignore_ascii_case(digits)));
        assert!(!said.to_lowercase().contains(&component(number).to_lowercase()), "a component was printed");
    }
    ground.stop();
    let (said, _) = elsewhere.verified();
    assert!(said.contains("74f8668b7f") && said.contains("dac966803a"), "{said}");
}

#[test]
fn a_service_is_founded_by_a_plan_and_its_ceremony_is_anchored_in_the_log_that_it_began() {
    let mut ground = Ground::laid_out();
    let (folder, founding) = (ground.site().folder().to_owned(), ground.site().founding());
    let template = fs::read_to_string(example("found.toml")).unwrap();
    let digest = sha256(&[&fs::read(&founding).unwrap()]).to_string();
    let plan = folder.join("plan.toml");
    fs::write(&plan, template.replace(&"0".repeat(64), &digest)).unwrap();
    let steps = {
        let room = Room { ground: &ground, plan: plan.clone(), held: folder.join("held") }.approved();
        // Step 7 is a person's: the service is started.
        let stopped = ended(room.run(Some("stop-after = 6\n")));
        assert_eq!(stopped.status.code(), WAITS, "{}", text(&stopped));
        assert!(ground.site().trust().is_file());
        6
    };
    ground.start().unwrap();
    let room = Room { ground: &ground, plan, held: folder.join("held") };
    succeeds(room.run(Some("")));
    let transcript = room.transcript();
    assert!(transcript.steps.len() > steps && transcript.interruptions == 1);
    assert_eq!(transcript.genesis, raw::genesis(ground.site()));
    let elsewhere = room.carried();
    ground.stop();
    let (said, _) = elsewhere.verified();
    assert!(said.contains("The founding of the service"), "{said}");
}

#[test]
fn every_example_is_rehearsed_and_a_rehearsal_is_no_proof() {
    let mut ground = Ground::new();
    let folder = ground.site().folder().join("rehearsals");
    fs::create_dir(&folder).unwrap();
    let mut names: Vec<_> = fs::read_dir(example("")).unwrap().map(|file| file.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    names.sort();
    assert!(names.len() >= 6, "{names:?}");
    let log = folder.join("log");
    ground.block_on(async { ground.auditor().await.unwrap().export(&log, |_, _| {}).await.unwrap() });
    ground.stop();
    for plan in names {
        let out = folder.join(plan.file_stem().unwrap());
        let mut rehearse = Command::new(&ground.programs().fobctl);
        rehearse.args(["ceremony", "rehearse"]).arg(&plan).arg("--out").arg(&out);
        let said = text(&succeeds(rehearse));
        assert!(said.contains("REHEARSAL") && !said.contains("failed"), "{}: {said}", plan.display());
        let file = out.join("ceremony.cbor");
        let (_, transcript) = CeremonyFile::read(&fs::read(&file).unwrap()).unwrap();
        assert!(transcript.rehearsal, "{}", plan.display());
        let mut fobaudit = Command::new(&ground.programs().fobaudit);
        fobaudit
            .arg("ceremony")
            .arg(&file)
            .arg("--trust")
            .arg(ground.site().trust())
            .arg("--export")
            .arg(&log);
        let refused = ended(fobaudit);
        assert_eq!(refused.status.code(), UNVERIFIED, "{}", text(&refused));
        assert!(text(&refused).contains("a rehearsal proves nothing"), "{}", text(&refused));
    }
}
