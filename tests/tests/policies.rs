//! Other policies, from the file an officer edits to the next request: checked, tried, compared, proved, replayed over the
//! log, proposed, reviewed on other machines, approved. By the commands alone, against a running service.

#[path = "policies/past.rs"]
mod past;
#[path = "policies/shop.rs"]
mod shop;

use keysvc_protocol::{
    hash::sha256,
    key::KeyKind,
    proposal::ProposalState,
    refusal::Refusal,
    reply::ValueUpdateReply,
    request::{Operation, ValueOperation::Load},
};
use keysvc_tests::{
    agreed::{self, propose, propose_policy, send},
    ground::{Ground, text},
    raw::{self, Caller},
};
use serde_json::Value;
use shop::{CAP, Shop};
use std::fs;

/// Whether a terminal's load is done.
fn loads(terminal: &mut Caller, seq: u64, amount: u64, before: u64) -> Result<(), Refusal> {
    send::<ValueUpdateReply>(terminal, Operation::ValueUpdate, &raw::update(Load, seq, amount, before))
        .map(drop)
}

#[test]
fn a_set_goes_through_every_check_and_review_and_holds_from_the_next_request_on() {
    let shop = Shop::new();
    let [mut ann, ..] = shop.officers();
    let mut terminal = Caller::new(shop.ground.site(), "terminal-1");
    loads(&mut terminal, 1, 30_000, 0).unwrap();
    let older =
        propose(&mut ann, Operation::KeyCreate, &agreed::create("spare", KeyKind::CardMaster)).unwrap();

    shop.edit("summer.cedar", CAP);
    let failed = shop.policy("officer-1", "test", &["--accept", &shop.path("cases")]);
    assert_eq!(failed.status.code(), Some(6), "{}", text(&failed));
    shop.export();
    let (id, shown) = shop.propose("officer-1");
    let said = shown["sentence"].as_str().unwrap();
    assert!(
        said.contains("3 change: \"allowed -> denied: terminal ") && said.contains("Proved by \"cvc5 "),
        "{said}"
    );
    assert!(said.contains("1 would be decided otherwise: \"leaf "), "{said}");

    for officer in ["officer-2", "officer-3"] {
        let (code, review) =
            shop.review(officer, &id, &["--cases", &shop.path("cases"), "--export", &shop.path("log")]);
        assert_eq!(code, Some(0), "{review}");
        let lines = review["lines"].as_array().unwrap();
        assert_eq!(lines.len(), 7, "{review}");
        assert!(lines.iter().all(|line| line["verdict"] == "same" || line["verdict"] == "holds"), "{review}");
    }
    for officer in ["officer-1", "officer-2", "officer-3"] {
        shop.approve(officer, &id);
    }
    let forbidden = loads(&mut terminal, 2, 30_000, 30_000).unwrap_err();
    assert_eq!(forbidden, Refusal::Forbidden);
    loads(&mut terminal, 2, 20_000, 30_000).unwrap();
    let set = shop.show("in-force");
    assert_eq!(set["digest"], shop.json("officer-1", &["policy", "check", &shop.path("policies")])["digest"]);
    assert_eq!(shop.json("terminal-1", &["status"])["policy"], set["digest"]);
    assert_eq!(fs::read_to_string(shop.path("in-force/summer.cedar")).unwrap(), CAP);

    // What was proposed under the old policies is dead.
    let late = shop.run(
        "officer-2",
        &["proposal", "approve", &older.id().to_string(), "--digest", &shop.digest_of(&older)],
    );
    assert_eq!(late.status.code(), Some(3), "{}", text(&late));
    assert!(text(&late).contains("the policies have changed since the proposal was made"), "{}", text(&late));
    // The proposal's own record: the reports are those whose digests it names.
    for (file, field) in [("difference.txt", "difference"), ("proof.txt", "proof"), ("replay.txt", "replay")]
    {
        let digest = sha256(&[&fs::read(shop.path(&format!("reports/{file}"))).unwrap()]);
        let shown = shop.json("officer-1", &["proposal", "show", &id]);
        assert_eq!(shown["document"][field]["report"], Value::from(digest.to_string()), "{shown}");
    }
}

#[test]
fn what_fails_a_check_is_not_proposed_and_there_is_no_way_round() {
    let shop = Shop::new();
    let refused = |file: &str, policy: &str, says: &str| {
        shop.edit(file, policy);
        let proposed =
            shop.policy("officer-1", "propose", &["--reason", "why", "--cases", &shop.path("cases")]);
        assert_eq!(proposed.status.code(), Some(6), "{}", text(&proposed));
        assert!(text(&proposed).contains(says), "{}", text(&proposed));
        fs::remove_file(shop.path(&format!("policies/{file}"))).unwrap();
    };
    shop.keep_no_cases();
    let same = shop.policy("officer-1", "propose", &["--reason", "why"]);
    assert_eq!(same.status.code(), Some(2), "{}", text(&same));
    assert!(text(&same).contains("in force already"), "{}", text(&same));
    refused(
        "locks.cedar",
        "forbid (principal, action == Action::\"policy.propose\", resource) unless { context.persons >= 4 };",
        "nobody could ever change them again: the service's 3 enabled officers cannot",
    );
    refused("summer.cedar", CAP, "decision cases come out otherwise than they say");
    refused(
        "hole.cedar",
        "@id(\"a hole\")\npermit (principal, action == Action::\"freeze.lift\", resource)\n\
         when { principal.organisation == \"site\" };",
        "it is permitted by \"a hole\" (hole.cedar, line 1)",
    );
    let open = shop.json("officer-1", &["proposal", "list", "--all"]);
    assert_eq!(open["proposals"], Value::Array(Vec::new()), "{open}");
}

#[test]
fn a_review_finds_what_a_proposer_made_up() {
    let shop = Shop::new();
    let [mut ann, ..] = shop.officers();
    let changed =
        keysvc_policies::DEFAULT_SITE.replace("context.amount <= 100000", "context.amount <= 50000");
    let pending = propose(&mut ann, Operation::PolicyPropose, &propose_policy(&changed)).unwrap();
    let (code, review) = shop.review("officer-2", &pending.id().to_string(), &[]);
    assert_eq!(code, Some(6), "{review}");
    let differs: Vec<_> = review["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["verdict"] == "differs" || line["verdict"] == "fails")
        .collect();
    let what: Vec<_> = differs.iter().map(|line| line["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["test", "diff", "prove"], "{review}");
    // Nobody approved it, and nothing changed.
    assert_eq!(pending.reply.state, ProposalState::Open);
    let other =
        propose(&mut ann, Operation::KeyCreate, &agreed::create("spare", KeyKind::CardMaster)).unwrap();
    let wrong = shop.run("officer-2", &["policy", "review", &other.id().to_string()]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
}

#[test]
fn a_reviewer_says_what_counts_as_a_large_load_and_does_not_take_the_proposers_word() {
    let shop = Shop::new();
    let (cases, folder) = (shop.path("cases"), shop.path("policies"));
    shop.edit("summer.cedar", CAP);
    assert_eq!(shop.policy("officer-1", "test", &["--accept", &cases]).status.code(), Some(6));
    let propose = |large_above: &str| {
        let more = ["--reason", "why", "--cases", &cases, "--large-above", large_above];
        let words = [&["--json", "policy", "propose", &folder], &more[..]].concat();
        let proposed = shop.run("officer-1", &words);
        assert_eq!(proposed.status.code(), Some(5), "{}", text(&proposed));
        let shown: Value = serde_json::from_slice(&proposed.stdout).unwrap();
        (shown["id"].as_str().unwrap().to_owned(), String::from_utf8(proposed.stderr).unwrap())
    };
    let prove = |id: &str, more: &[&str]| {
        let (code, review) = shop.review("officer-2", id, &[&["--cases", &cases], more].concat());
        let line = review["lines"].as_array().unwrap().iter().find(|line| line["what"] == "prove").unwrap();
        let said = |field: &str| line[field].as_str().unwrap().to_owned();
        (code, said("verdict"), said("words"))
    };

    let (id, told) = propose("300.00");
    assert!(!told.contains("WARNING"), "{told}");
    let (code, verdict, words) = prove(&id, &[]);
    assert_eq!((code, verdict.as_str()), (Some(0), "same"), "{words}");
    assert!(words.ends_with("; a load is large above 30000 minor units"), "{words}");
    for officer in ["officer-1", "officer-2", "officer-3"] {
        shop.approve(officer, &id);
    }

    // The next set is proved with the usual amount, which is more than that of the set in force.
    shop.edit("words.cedar", "// as before\n");
    let (id, told) = propose("1000.00");
    assert!(!told.contains("WARNING"), "{told}");
    let (code, verdict, words) = prove(&id, &[]);
    assert_eq!((code, verdict.as_str()), (Some(6), "fails"), "{words}");
    assert!(words.contains("more than the 30000 that the policies in force were proved with"), "{words}");
    assert_eq!(prove(&id, &["--large-above", "1000.00"]).0, Some(0));

    let (id, told) = propose("2000.00");
    assert!(told.contains("WARNING: --large-above 200000 is more than the usual 100000"), "{told}");
    for (given, expected) in [("1000.00", (Some(6), "fails")), ("2000.00", (Some(0), "same"))] {
        let (code, verdict, words) = prove(&id, &["--large-above", given]);
        assert_eq!((code, verdict.as_str()), expected, "{words}");
    }
}

#[test]
fn the_commands_that_need_no_service_work_without_one() {
    let mut ground = Ground::laid_out();
    ground.stop();
    let folder = ground.site().folder().join("site");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("site.cedar"), keysvc_policies::DEFAULT_SITE).unwrap();
    let folder = folder.to_str().unwrap();
    for (words, says) in [
        (&["check", "--offline", folder][..], "yes, by three officers of three departments"),
        (&["test", folder], "decision cases come out as they say"),
        (&["diff", folder, "--against-shipped"], "none of"),
        (&["prove", folder], "ok     nobody can destroy a key with fewer than two people"),
    ] {
        let output = ground.fobctl("officer-1", &[&["policy"], words].concat()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        assert!(text(&output).contains(says), "{}", text(&output));
    }
}
