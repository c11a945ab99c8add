//! How a job is put together: made, filled, sealed, or given up.

use crate::{
    kit::{JOB, STATION, TWO, conflict, floor, opened, sealed},
    people::{
        BEGIN_MS, DAY_MS, Floor,
        floor::{Told, card, head, item, words},
        name,
    },
};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    card::CardUid,
    job::{ItemData, JOB_CARDS_MAX, JOB_NAME_LEN_MAX, JobHead, JobItem, JobState},
    leaf::{JobChangedLeaf, LeafKind},
    merkle::Frontier,
    refusal::{Conflict, Invalid, Refusal, Thing},
    request::{Operation, SealJob},
    schema::Schema,
};

const INVALID_ITEMS: Refusal = Refusal::Invalid { reason: Invalid::Items };
const INVALID_JOB: Refusal = Refusal::Invalid { reason: Invalid::Job };
const MANIFEST: Refusal = Refusal::Invalid { reason: Invalid::Manifest };

fn listed(issued: u32) -> JobHead {
    JobHead { listed: true, ..head("stored", issued) }
}

fn state(floor: &Floor) -> JobState {
    floor.job(JOB).state
}

#[test]
fn a_draft_is_made_filled_and_sealed_by_two() {
    let mut floor = floor();
    floor.create("data-1", JOB, &listed(3)).unwrap();
    assert_eq!(state(&floor), JobState::Draft);
    floor.add("data-1", JOB, vec![item(1), item(2)]).unwrap();
    floor.add("data-1", JOB, vec![item(3)]).unwrap();
    let mut tree = Frontier::new();
    for number in 1..=3 {
        tree.append(item(number).hash());
    }
    assert_eq!(floor.job(JOB).manifest_root(), Some(tree.root()));
    floor.seal("data-2", JOB).unwrap();
    let job = floor.job(JOB);
    assert_eq!((job.state, job.items, job.root), (JobState::Sealed, 3, Some(tree.root())));
    assert_eq!(job.created.by, name("data-1"));
    assert_eq!(job.sealed.as_ref().map(|done| &done.by), Some(&name("data-2")));
    assert_eq!(floor.replayed(), floor.book);
}

#[test]
fn nobody_but_a_data_operator_prepares_a_job() {
    let mut floor = floor();
    for other in ["operator-1", "reviewer-1", "monitor-1", "station-1", "officer-1", "office-1"] {
        assert_eq!(floor.create(other, JOB, &listed(3)), Err(Refusal::Forbidden), "{other}");
    }
    floor.create("data-1", JOB, &listed(3)).unwrap();
    for other in ["operator-1", "station-1", "officer-1"] {
        assert_eq!(floor.add(other, JOB, vec![item(1)]), Err(Refusal::Forbidden), "{other}");
        assert_eq!(floor.seal(other, JOB), Err(Refusal::Forbidden), "{other}");
        assert_eq!(floor.withdraw(other, JOB), Err(Refusal::Forbidden), "{other}");
    }
}

#[test]
fn a_request_in_another_name_or_for_another_operation_is_not_valid() {
    let mut floor = floor();
    floor.create("data-1", JOB, &listed(3)).unwrap();
    let request = floor.sealing(JOB);
    let by = |floor: &Floor, signer: &str, operation| {
        floor.site.statement(floor.site.person(signer), operation, &request)
    };
    let leaf = |operation, statement| JobChangedLeaf {
        schema: Schema,
        principal: name("data-2"),
        operation,
        statement,
    };
    let signature = Err(Refusal::Invalid { reason: Invalid::Signature });
    let others = by(&floor, "data-1", Operation::JobSeal);
    assert_eq!(floor.put(LeafKind::JobChanged, &leaf(Operation::JobSeal, others)), signature);
    let otherwise = by(&floor, "data-2", Operation::JobWithdraw);
    assert_eq!(floor.put(LeafKind::JobChanged, &leaf(Operation::JobSeal, otherwise)), signature);
    // An operation that this kind of leaf does not have.
    let encoding = Err(Refusal::Invalid { reason: Invalid::Encoding });
    let open = by(&floor, "data-2", Operation::JobOpen);
    assert_eq!(floor.put(LeafKind::JobChanged, &leaf(Operation::JobOpen, open)), encoding);
    assert_eq!(floor.put(LeafKind::JobChanged, &0_u8), encoding);
}

#[test]
fn a_head_must_agree_with_itself_and_with_the_site() {
    let mut floor = floor();
    let made = |change: &dyn Fn(&mut JobHead)| {
        let mut head = listed(3);
        change(&mut head);
        floor.clone().create("data-1", JOB, &head)
    };
    let missing = |what| Err(Refusal::NotFound { what });
    assert_eq!(made(&|head| head.profile = name("other")), missing(Thing::Profile));
    assert_eq!(made(&|head| head.profile_version = 2), missing(Thing::Profile));
    for other in ["station-9", "operator-1", "officer-1", "terminal-1"] {
        assert_eq!(made(&|head| head.station = name(other)), missing(Thing::Principal), "{other}");
    }
    assert_eq!(made(&|head| head.ordered = 0), Err(INVALID_JOB));
    assert_eq!(made(&|head| head.ordered = 4), Err(INVALID_JOB));
    assert_eq!(made(&|head| head.due_ms = BEGIN_MS - 1), Err(INVALID_JOB));
    assert_eq!(made(&|head| head.due_ms = BEGIN_MS + 366 * DAY_MS + 1), Err(INVALID_JOB));
    assert_eq!(made(&|head| head.due_ms = BEGIN_MS + 366 * DAY_MS), Ok(()));
    let limit = Err(Refusal::LimitExceeded { limit: u64::from(JOB_CARDS_MAX) });
    assert_eq!(made(&|head| head.issued = JOB_CARDS_MAX), Ok(()));
    assert_eq!(made(&|head| (head.issued, head.carried_over) = (JOB_CARDS_MAX, 1)), limit);
    assert_eq!(made(&|head| (head.issued, head.carried_over) = (u32::MAX, 1)), limit);
    assert_eq!(made(&|head| (head.issued, head.carried_over, head.ordered) = (0, 3, 3)), Ok(()));
    let long = "n".repeat(JOB_NAME_LEN_MAX + 1);
    assert_eq!(floor.create("data-1", &long, &listed(3)), Err(INVALID_JOB));
    assert_eq!(floor.create("data-1", &long[1..], &listed(3)), Ok(()));
}

#[test]
fn a_name_is_never_used_again() {
    let mut floor = floor();
    let taken = Err(conflict(Conflict::NameTaken));
    floor.create("data-1", JOB, &listed(3)).unwrap();
    assert_eq!(floor.create("data-2", JOB, &listed(3)), taken);
    floor.withdraw("data-1", JOB).unwrap();
    floor.purge(JOB).unwrap();
    assert_eq!(floor.create("data-1", JOB, &listed(3)), taken);
}

#[test]
fn items_are_added_by_the_maker_of_a_listed_draft_each_once_and_no_more_than_there_are() {
    let mut floor = floor();
    floor.create("data-1", JOB, &listed(3)).unwrap();
    assert_eq!(floor.add("data-2", JOB, vec![item(1)]), Err(Refusal::Forbidden));
    assert_eq!(floor.add("data-1", JOB, vec![]), Err(INVALID_ITEMS));
    assert_eq!(floor.add("data-1", JOB, vec![item(1), item(1)]), Err(INVALID_ITEMS));
    floor.add("data-1", JOB, vec![item(1)]).unwrap();
    let other = JobItem { data: ItemData(Blob::try_from(vec![9]).unwrap()), ..item(1) };
    assert_eq!(floor.add("data-1", JOB, vec![item(2), other]), Err(INVALID_ITEMS));
    let full = Err(Refusal::LimitExceeded { limit: 3 });
    assert_eq!(floor.add("data-1", JOB, vec![item(2), item(3), item(4)]), full);
    floor.add("data-1", JOB, vec![item(2), item(3)]).unwrap();
    assert_eq!(floor.add("data-1", "nfc-2", vec![item(2)]), Err(Refusal::NotFound { what: Thing::Job }));
    floor.seal("data-2", JOB).unwrap();
    let fixed = Err(conflict(Conflict::JobState { state: JobState::Sealed }));
    assert_eq!(floor.add("data-1", JOB, vec![item(4)]), fixed);
    floor.create("data-1", "nfc-2", &head("stored", 3)).unwrap();
    assert_eq!(floor.add("data-1", "nfc-2", vec![item(1)]), Err(INVALID_ITEMS));
}

#[test]
fn whoever_made_a_job_may_not_seal_it() {
    let mut floor = floor();
    floor.create("ann", JOB, &head("stored", 3)).unwrap();
    assert_eq!(floor.seal("ann", JOB), Err(Refusal::SamePerson));
    floor.seal("ben", JOB).unwrap();
}

#[test]
fn a_seal_is_over_the_head_and_the_manifest_that_were_built_up() {
    let mut floor = floor();
    floor.create("data-1", JOB, &listed(3)).unwrap();
    floor.add("data-1", JOB, vec![item(1)]).unwrap();
    let good = floor.sealing(JOB);
    let digest = Digest::new([1; 32]);
    let wrong: Told = Err(MANIFEST);
    for change in [0, 1, 2, 3] {
        let mut other = good.clone();
        match change {
            0 => other.root = digest,
            1 => other.head = digest,
            2 => other.items = 0,
            _ => other.items = 2,
        }
        assert_eq!(floor.seal_as("data-2", &other), wrong, "{change}");
    }
    // Something was added after they had looked.
    floor.add("data-1", JOB, vec![item(2)]).unwrap();
    assert_eq!(floor.seal_as("data-2", &good), wrong);
    floor.seal("data-2", JOB).unwrap();
    let again = conflict(Conflict::JobState { state: JobState::Sealed });
    assert_eq!(floor.seal("data-2", JOB), Err(again));
}

#[test]
fn a_listed_job_lists_as_many_cards_as_are_ordered() {
    let mut floor = floor();
    floor.create("data-1", JOB, &JobHead { ordered: 2, ..listed(3) }).unwrap();
    floor.add("data-1", JOB, vec![item(1)]).unwrap();
    assert_eq!(floor.seal("data-2", JOB), Err(INVALID_JOB));
    floor.add("data-1", JOB, vec![item(2)]).unwrap();
    floor.seal("data-2", JOB).unwrap();
}

#[test]
fn a_job_is_given_up_until_it_is_opened_and_its_name_and_data_go() {
    let mut floor = floor();
    floor.create("data-1", JOB, &listed(3)).unwrap();
    floor.add("data-1", JOB, vec![item(1)]).unwrap();
    // Nobody gives up what others put together.
    assert_eq!(floor.withdraw("data-2", JOB), Err(Refusal::Forbidden));
    floor.withdraw("data-1", JOB).unwrap();
    assert_eq!(state(&floor), JobState::Closed);
    assert_eq!(floor.seal("data-2", JOB), Err(conflict(Conflict::JobState { state: JobState::Closed })));
    floor.purge(JOB).unwrap();
    assert_eq!((state(&floor), floor.job(JOB).items, floor.book.items.len()), (JobState::Purged, 0, 0));
    assert_eq!(floor.read_after_the_purge().jobs, floor.book.jobs);

    sealed(&mut floor, "nfc-2", 3);
    floor.withdraw("data-1", "nfc-2").unwrap();
    let mut floor = opened(3);
    assert_eq!(floor.withdraw("data-1", JOB), Err(conflict(Conflict::JobState { state: JobState::Open })));
}

#[test]
fn every_step_that_its_state_does_not_have_is_refused_with_that_state() {
    let mut floor = floor();
    let state = |state| Err(conflict(Conflict::JobState { state }));
    let not_worked = |state| Err(conflict(Conflict::JobState { state }));
    let missing = Err(Refusal::NotFound { what: Thing::Job });
    assert_eq!(floor.seal("data-2", JOB), missing);
    assert_eq!(floor.withdraw("data-2", JOB), missing);
    assert_eq!(floor.open(STATION, JOB, &TWO), missing);
    assert_eq!(floor.suspend("operator-1", JOB), missing);
    assert_eq!(floor.purge(JOB), missing);
    floor.create("data-1", JOB, &head("stored", 3)).unwrap();
    assert_eq!(floor.open(STATION, JOB, &TWO), state(JobState::Draft));
    assert_eq!(floor.resume(STATION, JOB, &TWO), state(JobState::Draft));
    assert_eq!(floor.suspend("operator-1", JOB), state(JobState::Draft));
    assert_eq!(floor.report(STATION, JOB, &TWO), state(JobState::Draft));
    assert_eq!(floor.close(STATION, JOB, &["monitor-1"]), state(JobState::Draft));
    assert_eq!(floor.purge(JOB), state(JobState::Draft));
    assert_eq!(floor.derive(STATION, JOB, &[1]), not_worked(JobState::Draft));
    floor.seal("data-2", JOB).unwrap();
    assert_eq!(floor.derive(STATION, JOB, &[1]), not_worked(JobState::Sealed));
    assert_eq!(floor.give(STATION, JOB, vec![]), state(JobState::Sealed));
    assert_eq!(floor.purge(JOB), state(JobState::Sealed));
}

#[test]
fn a_listed_job_makes_its_own_cards_alone() {
    let mut floor = floor();
    floor.create("data-1", JOB, &listed(3)).unwrap();
    floor.add("data-1", JOB, vec![item(1), item(2)]).unwrap();
    floor.seal("data-2", JOB).unwrap();
    floor.open(STATION, JOB, &TWO).unwrap();
    assert_eq!(floor.derive(STATION, JOB, &[1, 3]), Err(Refusal::NotFound { what: Thing::Item }));
    assert_eq!(floor.derive(STATION, JOB, &[2, 1]), Ok(2));
    // Items of another job do not count.
    floor.create("data-1", "nfc-2", &listed(3)).unwrap();
    floor.add("data-1", "nfc-2", vec![item(3)]).unwrap();
    assert_eq!(floor.derive(STATION, JOB, &[3]), Err(Refusal::NotFound { what: Thing::Item }));
    assert!(floor.book.cards.contains_key(&card(1)));
}

#[test]
fn a_card_that_no_key_is_diversified_by_gets_none() {
    let mut floor = opened(3);
    let short = CardUid::try_from([1, 2, 3, 4].as_slice()).unwrap();
    let mut request = floor.asking(JOB, 1, &[]);
    request.cards = vec![short].try_into().ok().unwrap();
    let answer = floor.derive_as(STATION, &request, false);
    assert!(matches!(answer, Err(Refusal::ProfileForbids { .. })), "{answer:?}");
}

#[test]
fn reasons_are_in_the_log() {
    let mut floor = floor();
    floor.create("data-1", JOB, &JobHead { lot: words("LOT-2"), ..listed(3) }).unwrap();
    assert_eq!(floor.job(JOB).head.lot, words("LOT-2"));
    assert!(floor.job(JOB).is_overdue(floor.job(JOB).head.due_ms + 1));
    assert!(!floor.job(JOB).is_overdue(floor.job(JOB).head.due_ms));
}

#[test]
fn where_as_many_items_are_seen_as_the_seal_says_it_must_be_over_these() {
    let mut floor = floor();
    floor.create("data-1", JOB, &listed(3)).unwrap();
    floor.add("data-1", JOB, vec![item(1), item(2), item(3)]).unwrap();
    // The lists of other jobs are erased; this one's is there.
    floor.book.erased = true;
    let wrong = SealJob { root: Digest::new([7; 32]), ..floor.sealing(JOB) };
    assert_eq!(floor.seal_as("data-2", &wrong), Err(Refusal::Invalid { reason: Invalid::Manifest }));
    let fewer = SealJob { items: 2, ..floor.sealing(JOB) };
    assert_eq!(floor.seal_as("data-2", &fewer), Err(Refusal::Invalid { reason: Invalid::Manifest }));
    floor.seal("data-2", JOB).unwrap();
}
