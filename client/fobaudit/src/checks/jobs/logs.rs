//! Logs with jobs and cards: good ones, and one thing wrong in each of the others. The second verifier judges them too.

use crate::sample::{FIRST, Sample, good_cards, uid};
use keysvc_protocol::{
    job::{Counts, JobHead, Outcome, SESSION_LIFE_MS},
    leaf::LeafKind,
    request::SealJob,
};

const STATION: bool = false;

/// All of them, by name, with what is found first in those that are not good.
pub(in crate::checks) fn all() -> Vec<(&'static str, Sample, Option<&'static str>)> {
    vec![
        ("good-production", Sample::produced(), None),
        ("good-reissue", reissued(), None),
        ("job-closed-unbalanced", unbalanced(), Some(UNBALANCED)),
        ("job-closed-with-card-in-hand", in_hand(), Some(UNBALANCED)),
        (
            "job-card-twice",
            card_twice(),
            Some("job nfc-1: keys were released again for a card that was ready"),
        ),
        ("job-reissue-alone", reissued_alone(), Some(ALONE)),
        (
            "job-too-many-cards",
            too_many(),
            Some("job nfc-2: keys were released for more cards than were issued"),
        ),
        (
            "job-creator-sealed",
            creator_sealed(),
            Some("job nfc-2: whoever put it together sealed it as well"),
        ),
        (
            "job-operator-reviewed",
            operator_reviewed(),
            Some("job nfc-1: whoever operated it reviewed it as well"),
        ),
        ("job-reviewer-operated", reviewer_operated(), Some(OPERATED)),
        ("job-witness-operated", witness_operated(), Some(WITNESSED)),
        ("job-one-operator", one_operator(), Some(OPERATED)),
        ("job-agreement-twice", agreement_twice(), Some("job nfc-1: a person's agreement was used before")),
        ("job-agreement-stale", agreement_stale(), Some(STALE)),
        ("job-agreement-of-another", agreement_of_another(), Some(ANOTHER)),
        ("job-session-too-long", session_too_long(), Some(TOO_LONG)),
        ("job-session-over", session_over(), Some(OVER)),
        (
            "job-keys-while-suspended",
            suspended(),
            Some("job nfc-1: keys were released while it was suspended"),
        ),
        (
            "job-item-not-listed",
            not_listed(),
            Some("job nfc-2: keys were released for a card that is not on its list"),
        ),
        ("job-opened-before-purge", before_purge(), Some(PENDING)),
        (
            "job-result-without-keys",
            without_keys(),
            Some("job nfc-1: a result of a card for which no keys were released"),
        ),
        ("job-pipeline", pipeline(), Some(PIPELINE)),
        ("job-key-stands", key_stands(), Some(KEY_STANDS)),
        (
            "job-other-manifest",
            other_manifest(),
            Some("job nfc-2: its seal is over another head or list of cards"),
        ),
        ("job-other-manifest-after-purge", other_manifest_after_purge(), Some(OTHER_MANIFEST)),
        ("job-key-destroyed-early", key_destroyed_early(), Some(EARLY)),
        ("job-agreement-before-session", agreement_before_session(), Some(STALE)),
        ("job-receipt-before-count", receipt_before_count(), Some(BEFORE_COUNT)),
        (
            "job-withdrawn-by-another",
            withdrawn_by_another(),
            Some("job nfc-2: it was withdrawn by somebody who neither made nor sealed it"),
        ),
        ("job-moved-early", moved_early(), Some("card.transition of a card whose job was open")),
        ("job-sold-reject", sold_reject(), Some("card.transition of a card that was awaiting destruction")),
    ]
}

const UNBALANCED: &str = "job nfc-1: it was closed although its counts do not balance, or nobody counted";
const ALONE: &str = "job nfc-1: keys of another generation were released without two people";
const OPERATED: &str =
    "job nfc-1: it was opened by one person twice, or by somebody who put it together or reviewed it";
const WITNESSED: &str =
    "job nfc-1: the purge was witnessed by somebody who put the job together or operated it";
const STALE: &str = "job nfc-1: a person's agreement was older than a quarter of an hour or than its last session, or of \
                     the future";
const BEFORE_COUNT: &str =
    "job nfc-1: the purge was witnessed before its last count, long ago, or in the future";
const OTHER_MANIFEST: &str = "job nfc-3: its seal is over another head or list of cards";
const EARLY: &str =
    "the storage key of job nfc-1 was destroyed for leaf 7, which did not close or withdraw it";
const ANOTHER: &str = "job nfc-1: a person's agreement is to another act or another job";
const TOO_LONG: &str = "job nfc-1: the session of its two operators is longer than two hours, or none";
const OVER: &str = "job nfc-1: keys were released after the session of its two operators was over";
const PENDING: &str = "job nfc-2: it was opened at a station from which the job before was not purged";
const PIPELINE: &str = "job nfc-1: keys were released while as many cards as may be were without result";
const KEY_STANDS: &str = "job nfc-1 is purged, and the storage key of its data was not destroyed before";

/// A log with the first job open, and both of its cards good.
fn two_good() -> Sample {
    let mut sample = Sample::working();
    sample.all_good(FIRST, &first_cards());
    sample
}

fn first_cards() -> [keysvc_protocol::card::CardUid; 2] {
    [crate::sample::CARD.parse().unwrap(), uid(2)]
}

/// A card whose keys are released in a second generation, to which two officers agreed; a card passes to another job.
fn reissued() -> Sample {
    let mut sample = two_good();
    sample.derive_again(FIRST, 1, 2, uid(2));
    sample.all_good(FIRST, &[uid(2)]);
    sample
}

fn reissued_alone() -> Sample {
    let mut sample = two_good();
    let leaf = sample.derived_of(FIRST, (1, 2), 2, &[uid(2)]);
    sample.push(LeafKind::CardKeysDerived, &leaf);
    sample
}

fn unbalanced() -> Sample {
    let mut sample = two_good();
    sample.count_job(FIRST, good_cards(2));
    sample.close_by("monitor-1", FIRST);
    sample
}

fn in_hand() -> Sample {
    let mut sample = Sample::working();
    sample.all_good(FIRST, &[uid(2)]);
    sample.count_job(FIRST, Counts { returned: 9, ..good_cards(1) });
    sample.close_by("monitor-1", FIRST);
    sample
}

fn card_twice() -> Sample {
    let mut sample = two_good();
    sample.derive(FIRST, 1, &[uid(2)]);
    sample
}

fn too_many() -> Sample {
    let mut sample = Sample::good();
    sample.create_job("nfc-2", JobHead { issued: 2, ..Sample::head(1) });
    sample.seal_job("data-2", "nfc-2");
    sample.open_job("nfc-2", 1);
    sample.derive("nfc-2", 1, &[uid(1), uid(2), uid(3)]);
    sample
}

fn creator_sealed() -> Sample {
    let mut sample = Sample::good();
    sample.create_job("nfc-2", Sample::head(1));
    sample.seal_job("data-1", "nfc-2");
    sample
}

fn open_by(sample: &mut Sample, people: [&str; 2]) {
    let agreements = sample.both(people, FIRST, &Sample::opening(STATION));
    sample.open_with(FIRST, (1, false), &agreements, SESSION_LIFE_MS);
}

fn operator_reviewed() -> Sample {
    let mut sample = Sample::good();
    open_by(&mut sample, ["operator-2", "many-1"]);
    sample.count_by(["operator-2", "many-1"], FIRST, good_cards(0));
    sample
}

fn reviewer_operated() -> Sample {
    let mut sample = Sample::good();
    sample.open_job(FIRST, 2);
    sample.count_by(["operator-1", "many-1"], FIRST, good_cards(0));
    open_by(&mut sample, ["operator-2", "many-1"]);
    sample
}

fn witness_operated() -> Sample {
    let mut sample = Sample::good();
    open_by(&mut sample, ["operator-1", "many-1"]);
    sample.count_job(FIRST, Counts { returned: 10, ..Counts::default() });
    sample.close_by("many-1", FIRST);
    sample
}

fn one_operator() -> Sample {
    let mut sample = Sample::good();
    let act = Sample::opening(STATION);
    let first = sample.agree("operator-1", FIRST, &act);
    let second = sample.agree_at("operator-1", FIRST, &act, sample.next_time() + 1);
    sample.open_with(FIRST, (1, false), &[first, second], SESSION_LIFE_MS);
    sample
}

fn agreement_twice() -> Sample {
    let mut sample = Sample::good();
    let agreements = sample.both(["operator-1", "operator-2"], FIRST, &Sample::opening(STATION));
    sample.open_with(FIRST, (1, false), &agreements, SESSION_LIFE_MS);
    sample.open_with(FIRST, (2, false), &agreements, SESSION_LIFE_MS);
    sample
}

fn agreement_stale() -> Sample {
    let mut sample = Sample::good();
    let agreements = sample.both(["operator-1", "operator-2"], FIRST, &Sample::opening(STATION));
    sample.later_ms = 16 * 60_000;
    sample.open_with(FIRST, (1, false), &agreements, SESSION_LIFE_MS);
    sample
}

fn agreement_of_another() -> Sample {
    let mut sample = Sample::good();
    let agreements = sample.both(["operator-1", "operator-2"], "nfc-7", &Sample::opening(STATION));
    sample.open_with(FIRST, (1, false), &agreements, SESSION_LIFE_MS);
    sample
}

fn session_too_long() -> Sample {
    let mut sample = Sample::good();
    let agreements = sample.both(["operator-1", "operator-2"], FIRST, &Sample::opening(STATION));
    sample.open_with(FIRST, (1, false), &agreements, SESSION_LIFE_MS + 1);
    sample
}

fn session_over() -> Sample {
    let mut sample = Sample::working();
    sample.later_ms = SESSION_LIFE_MS;
    sample.derive(FIRST, 1, &[uid(5)]);
    sample
}

fn suspended() -> Sample {
    let mut sample = Sample::working();
    sample.suspend_job(FIRST);
    sample.derive(FIRST, 1, &[uid(5)]);
    sample
}

fn listed(sample: &mut Sample) {
    sample.create_job("nfc-2", JobHead { listed: true, ..Sample::head(1) });
    sample.add_items("nfc-2", &[uid(11), uid(12), uid(13)]);
}

fn not_listed() -> Sample {
    let mut sample = Sample::good();
    listed(&mut sample);
    sample.seal_job("data-2", "nfc-2");
    sample.open_job("nfc-2", 1);
    sample.derive("nfc-2", 1, &[uid(11), uid(14)]);
    sample
}

/// The seal is of a list that lacks a card.
fn other_manifest() -> Sample {
    let mut sample = Sample::good();
    listed(&mut sample);
    let leaf = sample.seal_job("data-2", "nfc-2");
    let good = sample.sealed_request(leaf);
    let mut bent = Sample::good();
    listed(&mut bent);
    bent.seal_with("data-2", &SealJob { items: 2, ..good });
    bent
}

fn before_purge() -> Sample {
    let mut sample = two_good();
    sample.count_job(FIRST, Counts { returned: 8, ..good_cards(2) });
    sample.close_by("monitor-1", FIRST);
    sample.create_job("nfc-2", Sample::head(1));
    sample.seal_job("data-2", "nfc-2");
    sample.open_job("nfc-2", 2);
    sample
}

fn without_keys() -> Sample {
    let mut sample = Sample::working();
    sample.all_good(FIRST, &[uid(5)]);
    sample
}

fn pipeline() -> Sample {
    let mut sample = Sample::working();
    let cards: Vec<_> = (10..17).map(uid).collect();
    sample.derive(FIRST, 1, &cards);
    sample
}

fn key_stands() -> Sample {
    let mut sample = Sample::good();
    sample.job_key(FIRST, 80);
    sample.withdraw_job(FIRST);
    sample.purge_job(FIRST, true);
    sample
}

/// The key under which a job's data lies is destroyed for a leaf before its end.
fn key_destroyed_early() -> Sample {
    let mut sample = Sample::good();
    let key = sample.job_key(FIRST, 80);
    let withdrawn = sample.withdraw_job(FIRST);
    sample.destroy_job_key(&key, withdrawn - 1);
    sample
}

/// The seal is of another list although all of it was seen; items of a job before are erased.
fn other_manifest_after_purge() -> Sample {
    let listed = |sample: &mut Sample, job: &str| {
        sample.create_job(job, JobHead { listed: true, ..Sample::head(1) });
        sample.add_items(job, &[uid(11), uid(12), uid(13)])
    };
    let mut sample = Sample::good();
    let items = listed(&mut sample, "nfc-2");
    let leaf = sample.seal_job("data-2", "nfc-2");
    let other = sample.sealed_request(leaf).root;
    sample.withdraw_job("nfc-2");
    sample.purge_job("nfc-2", false);
    sample.withhold(items);
    sample.create_job("nfc-3", JobHead { listed: true, ..Sample::head(1) });
    sample.add_items("nfc-3", &[uid(11), uid(12), uid(14)]);
    let leaf = sample.clone().seal_job("data-2", "nfc-3");
    let mut good = sample.clone();
    good.seal_job("data-2", "nfc-3");
    let good = good.sealed_request(leaf);
    sample.seal_with("data-2", &SealJob { root: other, ..good });
    sample
}

/// Agreements that lay unused while another session began.
fn agreement_before_session() -> Sample {
    let mut sample = Sample::good();
    let agreements = sample.both(["operator-1", "operator-2"], FIRST, &Sample::opening(STATION));
    // Numbers follow from the leaf at which they are drawn.
    sample.create_job("nfc-2", Sample::head(1));
    sample.later_ms = 60_000;
    sample.open_job(FIRST, 1);
    sample.open_with(FIRST, (2, false), &agreements, SESSION_LIFE_MS);
    sample
}

/// What was erased was erased before the last count.
fn receipt_before_count() -> Sample {
    let mut sample = two_good();
    let erased_ms = sample.next_time();
    sample.later_ms = 60_000;
    sample.count_job(FIRST, Counts { returned: 8, ..good_cards(2) });
    sample.close_erased("monitor-1", FIRST, erased_ms);
    sample
}

fn withdrawn_by_another() -> Sample {
    let mut sample = Sample::good();
    sample.create_job("nfc-2", Sample::head(1));
    sample.withdraw_by("data-2", "nfc-2");
    sample
}

fn moved_early() -> Sample {
    let mut sample = two_good();
    let terminal = ("terminal-1", crate::sample::TERMINAL_KEY);
    sample.move_cards(terminal, &[uid(2)], keysvc_protocol::card::CardState::Active);
    sample
}

/// A reject is sold.
fn sold_reject() -> Sample {
    let mut sample = Sample::working();
    let reject = Outcome::Reject { cause: "torn".parse().unwrap() };
    sample.give_results(FIRST, &[(first_cards()[0], Outcome::Good), (uid(2), reject)]);
    sample.count_job(FIRST, Counts { rejected: 1, returned: 8, ..good_cards(1) });
    sample.end_job(FIRST);
    let terminal = ("terminal-1", crate::sample::TERMINAL_KEY);
    sample.move_cards(terminal, &[uid(2)], keysvc_protocol::card::CardState::Active);
    sample
}
