//! Putting a job together: one data operator makes it, another seals it, and nothing about it changes after.

use super::{assert_refused, get, is, item, shop};
use keysvc_protocol::{
    job::JobState,
    leaf::{JobChangedLeaf, JobItemsLeaf, JobPurgedLeaf, LeafKind},
    refusal::{Conflict, Invalid, Refusal, Thing},
    reply::JobChangedReply,
    request::{AddJobItems, CreateJob, Operation, SealJob, WithdrawJob},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{idem, name, reason},
    jobs::{head, root},
    raw::{self, Caller},
};

const MANIFEST: Refusal = Refusal::Invalid { reason: Invalid::Manifest };
const ITEMS: Refusal = Refusal::Invalid { reason: Invalid::Items };

#[test]
fn a_job_is_sealed_by_another_than_its_maker_to_what_both_have_read_and_stands_as_it_is_then() {
    let (mut ground, mut bench) = shop();
    let floor = &mut bench.floor;
    let mut about = head("known", 1, 3);
    about.listed = true;
    about.issued = 4;
    assert_eq!(floor.create("listed-1", &about).unwrap().state, JobState::Draft);
    let cards = [item(1), item(2), item(3)];
    floor.add("listed-1", &cards[..2]).unwrap();
    assert_eq!(floor.add("listed-1", &cards[1..]).unwrap_err(), ITEMS, "a card twice");
    let many = [item(3), item(4), item(5)];
    assert_eq!(floor.add("listed-1", &many).unwrap_err(), Refusal::LimitExceeded { limit: 4 });
    // Only who made it adds to it.
    let adds = AddJobItems {
        schema: Schema,
        idem: idem(),
        job: name("listed-1"),
        items: vec![item(3)].try_into().unwrap(),
    };
    let added = floor.data[1].ask::<JobChangedReply>(Operation::JobItems, &adds);
    assert_eq!(added.unwrap_err(), Refusal::Forbidden);
    // Fewer than are ordered are no job.
    let short = Refusal::Invalid { reason: Invalid::Job };
    assert_eq!(floor.seal("listed-1", &about, &cards[..2]).unwrap_err(), short);
    floor.add("listed-1", &cards[2..]).unwrap();
    let seal = SealJob {
        schema: Schema,
        idem: idem(),
        job: name("listed-1"),
        head: about.digest(),
        items: 3,
        root: root(&cards),
    };
    let by_maker = floor.data[0].ask::<JobChangedReply>(Operation::JobSeal, &seal);
    assert_eq!(by_maker.unwrap_err(), Refusal::SamePerson);
    let otherwise = [item(1), item(3), item(2)];
    assert_eq!(floor.seal("listed-1", &about, &otherwise).unwrap_err(), MANIFEST, "another order");
    let mut dearer = about.clone();
    dearer.ordered = 2;
    assert_eq!(floor.seal("listed-1", &dearer, &cards).unwrap_err(), MANIFEST, "another head");
    assert_eq!(floor.seal("listed-1", &about, &cards).unwrap().state, JobState::Sealed);

    assert_eq!(floor.add("listed-1", &[item(4)]).unwrap_err(), is(JobState::Sealed));
    assert_eq!(floor.seal("listed-1", &about, &cards).unwrap_err(), is(JobState::Sealed));
    let taken = Refusal::StateConflict { reason: Conflict::NameTaken };
    assert_eq!(floor.create("listed-1", &about).unwrap_err(), taken);
    let sealed = get(&mut floor.data[0], "listed-1").unwrap().numbers.unwrap();
    assert_eq!((sealed.head, sealed.root, sealed.items), (about.digest(), root(&cards), 3));
    assert_eq!((sealed.created.by.as_str(), sealed.sealed.unwrap().by.as_str()), ("data-1", "data-2"));

    let (create, items, seal) = (Operation::JobCreate, Operation::JobItems, Operation::JobSeal);
    let maker = [
        (items, ITEMS),
        (items, Refusal::LimitExceeded { limit: 4 }),
        (seal, Refusal::SamePerson),
        (items, is(JobState::Sealed)),
        (create, taken),
    ];
    assert_refused(&ground, "data-1", &maker);
    let other = [
        (items, Refusal::Forbidden),
        (seal, short),
        (seal, MANIFEST),
        (seal, MANIFEST),
        (seal, is(JobState::Sealed)),
    ];
    assert_refused(&ground, "data-2", &other);
    let leaves = raw::leaves(&ground);
    let added: Vec<JobItemsLeaf> = raw::of_kind(&leaves, LeafKind::JobItemsAdded);
    let changed: Vec<JobChangedLeaf> = raw::of_kind(&leaves, LeafKind::JobChanged);
    let changed: Vec<_> = changed.iter().map(|leaf| (leaf.principal.as_str(), leaf.operation)).collect();
    assert_eq!((added.len(), changed), (2, vec![("data-1", create), ("data-2", seal)]));
    ground.assert_clean();
}

#[test]
fn heads_that_do_not_agree_with_themselves_or_the_site_are_no_jobs_and_only_data_operators_make_any() {
    let (ground, mut bench) = shop();
    let floor = &mut bench.floor;
    let about = head("known", 1, 5);
    let wrong = |change: fn(&mut keysvc_protocol::job::JobHead)| {
        let mut head = about.clone();
        change(&mut head);
        head
    };
    let job = Refusal::Invalid { reason: Invalid::Job };
    let missing = |what| Refusal::NotFound { what };
    let cases = [
        (wrong(|head| head.profile = name("nonesuch")), missing(Thing::Profile)),
        (wrong(|head| head.profile_version = 9), missing(Thing::Profile)),
        (wrong(|head| head.station = name("terminal-1")), missing(Thing::Principal)),
        (wrong(|head| head.ordered = 0), job.clone()),
        (wrong(|head| head.ordered = 6), job.clone()),
        (wrong(|head| head.due_ms = 1), job.clone()),
        (wrong(|head| head.due_ms = u64::MAX), job),
        (wrong(|head| head.issued = 10_000_001), Refusal::LimitExceeded { limit: 10_000_000 }),
    ];
    for (head, refusal) in &cases {
        assert_eq!(&floor.create("wrong-1", head).unwrap_err(), refusal);
    }
    assert_refused(&ground, "data-1", &cases.map(|(_, refusal)| (Operation::JobCreate, refusal)));
    for persona in ["operator-1", "reviewer-1", "terminal-1"] {
        let request = CreateJob { schema: Schema, idem: idem(), job: name("wrong-1"), head: about.clone() };
        let made = Caller::new(ground.site(), persona).ask::<JobChangedReply>(Operation::JobCreate, &request);
        assert_eq!(made.unwrap_err(), Refusal::Forbidden, "{persona}");
        assert_refused(&ground, persona, &[(Operation::JobCreate, Refusal::Forbidden)]);
    }
    assert_eq!(get(&mut floor.data[0], "wrong-1").unwrap_err(), missing(Thing::Job));
}

#[test]
fn a_job_that_its_maker_withdraws_is_purged_at_once_and_its_name_is_gone_for_good() {
    let (mut ground, mut bench) = shop();
    let floor = &mut bench.floor;
    let mut about = head("known", 1, 2);
    about.listed = true;
    floor.create("given-up", &about).unwrap();
    floor.add("given-up", &[item(1)]).unwrap();
    let withdraw = |job| WithdrawJob { schema: Schema, idem: idem(), job: name(job), reason: reason() };
    // Nobody gives up what others put together.
    let others = floor.data[1].ask::<JobChangedReply>(Operation::JobWithdraw, &withdraw("given-up"));
    assert_eq!(others.unwrap_err(), Refusal::Forbidden);
    let request = withdraw("given-up");
    for _ in 0..2 {
        let reply: JobChangedReply = floor.data[0].ask(Operation::JobWithdraw, &request).unwrap();
        assert!(matches!(reply.state, JobState::Closed | JobState::Purged), "{:?}", reply.state);
    }
    assert_eq!(get(&mut floor.data[0], "given-up").unwrap().state, JobState::Purged);
    let again = floor.data[0].ask::<JobChangedReply>(Operation::JobWithdraw, &withdraw("given-up"));
    assert_eq!(again.unwrap_err(), is(JobState::Purged));
    let taken = Refusal::StateConflict { reason: Conflict::NameTaken };
    assert_eq!(floor.create("given-up", &about).unwrap_err(), taken);
    // What was begun at a station is ended there.
    let shift = floor.shift(&mut bench.station, "begun", &head("known", 1, 2));
    let begun = floor.data[0].ask::<JobChangedReply>(Operation::JobWithdraw, &withdraw("begun"));
    assert_eq!(begun.unwrap_err(), is(JobState::Open));
    assert_eq!(shift.job, name("begun"));
    let refused = [
        (Operation::JobWithdraw, is(JobState::Purged)),
        (Operation::JobCreate, taken),
        (Operation::JobWithdraw, is(JobState::Open)),
    ];
    assert_refused(&ground, "data-1", &refused);
    let purged: Vec<JobPurgedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::JobPurged);
    let purged: Vec<_> = purged.iter().map(|leaf| (leaf.job.as_str(), leaf.had_key)).collect();
    assert_eq!(purged, [("given-up", true)]);
    ground.assert_clean();
}
