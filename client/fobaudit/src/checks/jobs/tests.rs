//! Good jobs and bad ones, what is counted of them, and the audit records that are compared with them.

use super::logs;
use crate::{
    counts::Counts,
    finding::Finding,
    log_folder::LogFolder,
    record::{self, Compared, RecordProblem},
    report,
    sample::{CARD, Export, FIRST, Sample, good_cards, uid},
    verify::{self, Alone, Task, Verification},
};
use keysvc_protocol::{
    card::CardState,
    freeze::Scope,
    job::{self as jobs, JobHead, JobRecord, JobState},
};
use std::{path::Path, time::Instant};

fn found(verification: &Verification) -> Vec<Finding> {
    verification.findings.kept().to_vec()
}

#[test]
fn every_good_log_of_jobs_verifies_and_every_bad_one_is_found_by_its_name() {
    for (name, sample, bad) in logs::all() {
        let verification = sample.verify();
        let last = sample.leaves.len() as u64 - 1;
        let expected: Vec<_> = bad.iter().map(|text| format!("leaf {last}: {text}")).collect();
        let found: Vec<_> = found(&verification).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn jobs_are_counted_from_their_leaves() {
    let verification = Sample::produced().verify();
    assert_eq!(found(&verification), []);
    let proved = verification.proved.unwrap();
    let counts = Counts::of(&proved);
    let lines: Vec<_> = counts
        .jobs
        .iter()
        .map(|line| {
            let tally = line.tally;
            let numbers = [tally.made, tally.good, tally.rejected, tally.sample];
            (line.job.name.as_str(), line.job.state, numbers, line.balance().map(|balance| balance.is_even()))
        })
        .collect();
    assert_eq!(
        lines,
        [
            (FIRST, JobState::Purged, [0; 4], None),
            ("nfc-2", JobState::Purged, [8, 6, 1, 1], Some(true)),
            ("nfc-3", JobState::Open, [2, 1, 0, 0], None),
        ]
    );
    let states = counts.by_state();
    let expected = [
        (CardState::InProduction, 1),
        (CardState::Ready, 5),
        (CardState::Active, 2),
        (CardState::Retired, 1),
        (CardState::AwaitingDestruction, 1),
    ];
    assert_eq!(states, expected);
    assert_eq!(
        counts.unfinished(),
        ["job nfc-3 is open and not closed: nobody counted yet; 1 card is without result"]
    );
    let notes = proved.jobs.not_followed();
    assert_eq!(notes, ["the lists of cards in 2 leaves are not there: what was sealed stands for them"]);
}

#[test]
fn a_list_of_cards_that_outlived_its_job_or_is_withheld_before_its_end_is_said() {
    let mut sample = Sample::good();
    for job in ["nfc-2", "nfc-3"] {
        sample.create_job(job, JobHead { listed: true, ..Sample::head(1) });
        let items = sample.add_items(job, &[uid(1), uid(2)]);
        sample.seal_job("data-2", job);
        if job == "nfc-3" {
            sample.withhold(items);
        }
    }
    sample.withdraw_job("nfc-2");
    sample.purge_job("nfc-2", false);
    let verification = sample.verify();
    assert_eq!(found(&verification), []);
    let notes = verification.proved.unwrap().jobs.not_followed().join("\n");
    assert!(
        notes.contains("the list of cards of job nfc-3 is withheld, and the job is not purged"),
        "{notes}"
    );
    assert!(notes.contains("the list of cards of job nfc-2 is still in this folder"), "{notes}");
}

#[test]
fn a_frozen_card_is_counted_as_frozen_and_an_overdue_job_is_said() {
    let mut sample = Sample::produced();
    sample.freeze(Scope::Card { card: uid(4), programme: None });
    sample.later_ms = 31 * 86_400_000;
    sample.freeze(Scope::Card { card: uid(2), programme: None });
    let verification = sample.verify();
    assert_eq!(found(&verification), []);
    let proved = verification.proved.unwrap();
    let counts = Counts::of(&proved);
    let of = |state| counts.by_state().into_iter().find(|(known, _)| *known == state).map(|(_, cards)| cards);
    assert_eq!(of(CardState::Frozen), Some(1), "what waits to be destroyed is not shown as frozen");
    assert_eq!((of(CardState::Active), counts.total()), (Some(1), 10));
    let first = counts.unfinished().into_iter().next();
    assert_eq!(first.as_deref(), Some("job nfc-3 is open and should be purged: it is past its time"));
}

#[test]
fn what_is_withheld_is_not_held_against_what_follows_and_is_said() {
    for leaf in [2, 3, 6, 7] {
        let mut sample = Sample::working();
        sample.all_good(FIRST, &[CARD.parse().unwrap(), uid(2)]);
        sample.withhold(leaf);
        sample.create_job("nfc-2", Sample::head(1));
        sample.seal_job("data-1", "nfc-2");
        let verification = sample.verify();
        let found: Vec<_> = found(&verification).iter().map(ToString::to_string).collect();
        let last = sample.leaves.len() - 1;
        // What is wrong whatever was withheld is found all the same.
        assert_eq!(found, [format!("leaf {last}: job nfc-2: whoever put it together sealed it as well")]);
        let sight = verification.proved.unwrap().jobs.jobs.sight();
        assert_eq!(sight.from, Some(leaf));
    }
}

/// A log whose first job has its release of keys withheld, and a second one that was made later.
fn one_withheld_then_another_job() -> Sample {
    let mut sample = Sample::working();
    sample.withhold(7);
    sample.all_good(FIRST, &[CARD.parse().unwrap(), uid(2)]);
    sample.count_job(FIRST, jobs::Counts { returned: 8, ..good_cards(2) });
    sample.end_job(FIRST);
    sample.create_job("nfc-2", Sample::head(1));
    sample.seal_job("data-2", "nfc-2");
    sample.open_job("nfc-2", 2);
    sample.derive("nfc-2", 2, &[uid(30), uid(31)]);
    sample.all_good("nfc-2", &[uid(30), uid(31)]);
    sample
}

fn texts(sample: &Sample) -> Vec<String> {
    found(&sample.verify()).iter().map(ToString::to_string).collect()
}

#[test]
fn a_job_made_after_a_withheld_leaf_is_judged_in_full() {
    let mut sample = one_withheld_then_another_job();
    assert_eq!(texts(&sample), Vec::<String>::new());
    sample.count_job("nfc-2", good_cards(2));
    let closed = sample.close_by("monitor-1", "nfc-2");
    let unbalanced = "job nfc-2: it was closed although its counts do not balance, or nobody counted";
    assert_eq!(texts(&sample), [format!("leaf {closed}: {unbalanced}")]);
}

#[test]
fn a_job_made_after_a_withheld_leaf_is_judged_in_full_by_a_later_run_too() {
    let mut sample = one_withheld_then_another_job();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    assert_eq!(found(&sample.export().verify_from(&state).unwrap()), []);
    sample.count_job("nfc-2", good_cards(2));
    let closed = sample.close_by("monitor-1", "nfc-2");
    let later: Vec<_> =
        found(&sample.export().verify_from(&state).unwrap()).iter().map(ToString::to_string).collect();
    assert_eq!(later.len(), 1, "{later:?}");
    assert!(later[0].starts_with(&format!("leaf {closed}: job nfc-2: it was closed although")), "{later:?}");
}

#[test]
fn a_card_of_a_job_in_doubt_excuses_no_other_card_beside_it() {
    let old: keysvc_protocol::card::CardUid = CARD.parse().unwrap();
    // Cards of the first job may stand in any state: what is said of them alone is not held against the second job.
    let mut alone = one_withheld_then_another_job();
    let leaf = alone.derived_of("nfc-2", (2, 77), 2, &[old]);
    alone.push(keysvc_protocol::leaf::LeafKind::CardKeysDerived, &leaf);
    assert_eq!(texts(&alone), Vec::<String>::new());
    // Beside it a card of the second job, whose keys were released and which is ready.
    let mut beside = one_withheld_then_another_job();
    let leaf = beside.derived_of("nfc-2", (2, 78), 1, &[old, uid(30)]);
    let leaf = beside.push(keysvc_protocol::leaf::LeafKind::CardKeysDerived, &leaf);
    let said = "job nfc-2: keys were released again for a card that was ready";
    assert_eq!(texts(&beside), [format!("leaf {leaf}: {said}")]);
    // And a movement of both, while the second job is open.
    let mut moved = one_withheld_then_another_job();
    let terminal = ("terminal-1", crate::sample::TERMINAL_KEY);
    let leaf = moved.move_cards(terminal, &[old, uid(30)], CardState::Active);
    assert_eq!(texts(&moved), [format!("leaf {leaf}: card.transition of a card whose job was open")]);
}

#[test]
fn a_forged_signature_under_a_job_is_found_as_such() {
    let mut sample = Sample::good();
    let agreements = sample.both(["operator-1", "operator-2"], FIRST, &Sample::opening(false));
    let mut bent = agreements.clone();
    *bent[1].last_mut().unwrap() ^= 1;
    sample.open_with(FIRST, (1, false), &bent, jobs::SESSION_LIFE_MS);
    let said = "leaf 6: job nfc-1: the signature of a person's agreement does not verify";
    assert_eq!(found(&sample.verify())[0].to_string(), said);
}

pub(in crate::checks) fn compared(
    export: &Export,
    bytes: &[u8],
) -> (Result<Compared, RecordProblem>, Verification) {
    let folder = LogFolder::new(export.folder());
    let opened = record::open(bytes, folder, &export.trust).unwrap();
    let recorded = opened.as_ref().ok().map(|record| record::recorded(Path::new("record"), record));
    let task = Task { record: recorded.as_ref(), ..Task::of(folder, &export.trust) };
    let verification = verify::run_beside(&task, &mut Alone, &mut |_, _| {}).unwrap();
    let outcome = opened.and_then(|record| record::compare(record, verification.proved.as_ref().unwrap()));
    (outcome, verification)
}

#[test]
fn a_record_says_what_the_log_said_then() {
    let mut sample = Sample::produced();
    let purged = sample.job_record("nfc-2", |_| {});
    let open = sample.job_record("nfc-3", |_| {});
    sample.all_good("nfc-3", &[uid(21)]);
    let export = sample.export();
    for (bytes, leaf) in [(purged, 34), (open, 35)] {
        let (outcome, verification) = compared(&export, &bytes);
        assert_eq!(found(&verification), []);
        let outcome = outcome.unwrap();
        assert_eq!(outcome.differences, [], "the job as it stood, not as it stands");
        assert_eq!(outcome.made, Some((leaf, "auditor-1".parse().unwrap())));
        assert!(outcome.holds());
    }
}

#[test]
fn a_record_that_says_another_number_is_found_field_by_field() {
    let mut sample = Sample::produced();
    let bytes = sample.job_record("nfc-2", |record| {
        record.tally.good += 1;
        record.job.state = JobState::Closed;
    });
    let (outcome, _) = compared(&sample.export(), &bytes);
    let fields: Vec<_> = outcome.unwrap().differences.into_iter().map(|one| one.field).collect();
    assert_eq!(fields, ["job.state", "tally.good"]);
}

#[test]
fn a_record_of_another_hand_of_another_log_or_without_leaf_is_found() {
    let mut sample = Sample::produced();
    let mut bytes = sample.job_record("nfc-2", |_| {});
    let export = sample.export();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(compared(&export, &bytes).0, Err(RecordProblem::NotARecord(_))));
    // Signed, and its leaf is another record's: the service signs none without.
    let mut other = sample.clone();
    let unsaid = other.job_record("nfc-2", |record| record.made_ms -= 1);
    sample.later_ms = 120_000;
    sample.heartbeat();
    let (outcome, _) = compared(&sample.export(), &unsaid);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.differences.len(), outcome.not_in_log, outcome.holds()), (0, true, false));
    // Of a history that this log does not have.
    let mut forked = Sample::produced();
    forked.all_good("nfc-3", &[uid(21)]);
    let bytes = forked.job_record("nfc-3", |_| {});
    let (_, verification) = compared(&sample.export(), &bytes);
    let said = "the older checkpoint record at 35 leaves has another root: the history was forked";
    assert_eq!(found(&verification).first().map(ToString::to_string).as_deref(), Some(said));
    let earlier = compared(&Sample::produced().export(), &bytes).0.unwrap_err();
    assert_eq!(earlier, RecordProblem::Ahead { size: 35, found: 34 });
}

#[test]
fn the_page_and_its_json_tell_each_job_and_its_record() {
    let mut sample = Sample::produced();
    let bytes = sample.job_record("nfc-2", |record: &mut JobRecord| record.tally.good += 1);
    let export = sample.export();
    let (outcome, verification) = compared(&export, &bytes);
    let checked = record::Checked { file: "nfc-2.cbor".into(), outcome };
    let counts = verification.proved.as_ref().map(Counts::of);
    let page = report::Page {
        verification: &verification,
        counts: counts.as_ref(),
        job: None,
        record: Some(&checked),
    };
    let text = report::counts_text(&page);
    for said in [
        "  operated by operator-1 and operator-2 in 2 sessions, the first at ",
        "  1 stop, 2 counts, 1 incident; reviewed by reviewer-1",
        "monitor-1 witnessed that the station purged its data",
        "unfinished: job nfc-3 is open and not closed",
        "differs: tally.good: the record says 7, the log says 6",
        "NOT VERIFIED: the record says 7 of tally.good, the log says 6",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    println!("{text}");
    let json = report::counts_json(&page);
    assert_eq!(json["schema"], "keysvc/fobaudit-counts/1");
    assert_eq!((&json["verified"], &json["record"]["verified"]), (&false.into(), &false.into()));
    assert_eq!(json["log"]["jobs"][1]["good"], 6);
    assert_eq!(json["log"]["cards_by_state"]["ready"], 5);
}

#[test]
fn a_job_of_many_cards_is_followed_and_counted() {
    // FOBAUDIT_CARDS=1000000 with --release --no-capture measures; the time is not asserted.
    let cards = std::env::var("FOBAUDIT_CARDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000_u32);
    let mut sample = Sample::good();
    let mut profile = sample.next_profile();
    profile.pipeline = 1000;
    sample.put_profile(profile);
    sample.create_job("nfc-2", JobHead { issued: cards, ordered: cards, ..Sample::head(2) });
    sample.seal_job("data-2", "nfc-2");
    sample.open_job("nfc-2", 1);
    for first in (0..cards).step_by(1000) {
        let batch: Vec<_> = (first..cards.min(first + 1000)).map(uid).collect();
        sample.derive("nfc-2", 1, &batch);
        sample.all_good("nfc-2", &batch);
    }
    sample.count_job("nfc-2", good_cards(cards));
    sample.end_job("nfc-2");
    let export = sample.export();
    let begun = Instant::now();
    let verification = export.verify();
    let proved = verification.proved.as_ref().unwrap();
    let counts = Counts::of(proved);
    println!("{cards} cards in {} leaves: {:.2} s", proved.leaves, begun.elapsed().as_secs_f64());
    assert_eq!(found(&verification), []);
    assert_eq!((counts.total(), counts.jobs[1].tally.good), (u64::from(cards), cards));
    assert_eq!(counts.jobs[1].job.state, JobState::Purged);
}
