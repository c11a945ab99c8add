//! The end of a job's data: key and wrapped key gone from token and store, payloads withheld, every proof as good as
//! before; and a keeper that is killed anywhere on the way to it.

use super::{CARD, assert_refused, get, good, is, item, shop, uid};
use keysvc::{
    config::Config,
    keeper::{
        founding::open_token,
        ledger::{Change, DataKeys, Outcome, Retry, store_files},
        start::{install_seals, open_store},
    },
};
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    cose::Signed,
    delivery::ExchangeOpening,
    hash::sha256,
    job::{JobAct, JobState},
    leaf::{JobChangedLeaf, JobItemsLeaf, JobPurgedLeaf, KeyDestroyedLeaf, LeafKind, Statement},
    refusal::{Conflict, Refusal},
    reply::JobOpenReply,
    request::{CloseJob, Operation},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{idem, name, until},
    ground::Ground,
    jobs::{Bench, Shift, head, receipt},
    raw::{self, Caller},
    service_token::whole_objects as objects,
    watched,
};
use rustix::process::Signal;
use softhsm_setup::Site;
use std::{fs, thread, time::Duration};

/// Kills around a close, each so much later than the one before, in milliseconds: a close takes some 60 on a busy machine.
const KILLS: u64 = 6;
const STEP_MS: u64 = 12;

/// The wrapped data keys that the store has, of a service that stands still.
fn wrapped(site: &Site) -> Vec<[u8; 40]> {
    let config = Config::read(&site.service_config()).unwrap();
    let rows = DataKeys::open(&config.keeper.store).unwrap().all().unwrap();
    rows.into_iter().map(|row| row.wrapped).collect()
}

fn lies_in_store(site: &Site, bytes: &[u8]) -> bool {
    let config = Config::read(&site.service_config()).unwrap();
    let files = store_files(&config.keeper.store).into_iter().filter_map(|file| fs::read(file).ok());
    files.into_iter().any(|file| file.windows(bytes.len()).any(|window| window == bytes))
}

/// Makes, seals and opens a job of two listed cards.
fn listed(bench: &mut Bench, job: &str) -> Shift {
    let mut about = head("known", 1, 2);
    about.listed = true;
    let items = [item(1), item(2)];
    bench.floor.create(job, &about).unwrap();
    bench.floor.add(job, &items).unwrap();
    bench.floor.seal(job, &about, &items).unwrap();
    bench.floor.open((&mut bench.station, "station-1"), job).unwrap()
}

fn restarted(ground: &mut Ground, bench: &mut Bench) {
    ground.stop();
    ground.start().unwrap();
    bench.reconnect(ground);
}

#[test]
fn after_the_purge_key_and_data_are_gone_and_every_proof_still_holds() {
    let (mut ground, mut bench) = shop();
    let before = objects(&ground);
    ground.stop();
    let others = wrapped(ground.site());
    ground.start().unwrap();
    bench.reconnect(&ground);
    let shift = listed(&mut bench, "erased");
    assert_eq!(objects(&ground), before + 1, "the job's storage key");
    ground.stop();
    let all = wrapped(ground.site());
    let own: Vec<_> = all.iter().filter(|key| !others.contains(key)).collect();
    let [own] = own[..] else { panic!("{} keys came in", own.len()) };
    assert!(lies_in_store(ground.site(), own));
    ground.start().unwrap();
    bench.reconnect(&ground);
    bench.reopen(&shift).unwrap();
    let delivery = bench.derive(&shift, &[&uid(1), &uid(2)]).unwrap();
    assert_eq!(delivery.items.as_ref(), [item(1), item(2)]);
    bench.good(&shift, &delivery).unwrap();
    let items = |ground: &Ground| {
        let leaves = raw::leaves(ground);
        let items = leaves.into_iter().filter(|(entry, _)| entry.kind == LeafKind::JobItemsAdded);
        items.map(|(_, payload)| payload).collect::<Vec<_>>()
    };
    let [payload] = &items(&ground)[..] else { panic!("one leaf with items") };
    assert!(cbor::decode::<JobItemsLeaf>(payload, 65_536).is_ok());

    // The next job waits for the purge of this one.
    bench.floor.prepare("next", &head("known", 1, 5));
    let early = bench.floor.open((&mut bench.station, "station-1"), "next");
    assert_eq!(early.unwrap_err(), Refusal::PurgePending);
    bench.floor.finish(&mut bench.station, "erased", good(2, 0), "station-1");
    assert_eq!(objects(&ground), before);
    assert!(!lies_in_store(ground.site(), own), "its wrapped key is still there");
    let [gone] = &items(&ground)[..] else { panic!("one leaf with items") };
    assert!(gone.is_empty(), "withheld");
    let leaves = raw::leaves(&ground);
    let destroyed: Vec<KeyDestroyedLeaf> = raw::of_kind(&leaves, LeafKind::KeyDestroyed);
    let names: Vec<_> = destroyed.iter().map(|leaf| leaf.name.as_str()).collect();
    assert_eq!(names, ["storage.job.erased"]);
    let purged: Vec<JobPurgedLeaf> = raw::of_kind(&leaves, LeafKind::JobPurged);
    let told: Vec<_> = purged.iter().map(|leaf| (leaf.job.as_str(), leaf.had_key)).collect();
    assert_eq!(told, [("erased", true)]);
    // What was delivered is not delivered again.
    assert_eq!(bench.derive(&shift, &[&uid(1)]).unwrap_err(), is(JobState::Purged));
    bench.floor.open((&mut bench.station, "station-1"), "next").unwrap();
    let refused =
        [(Operation::JobOpen, Refusal::PurgePending), (Operation::CardDerive, is(JobState::Purged))];
    assert_refused(&ground, "station-1", &refused);
    // Exported, verified twice, the store compared, and it serves again.
    ground.assert_clean();
    assert!(!lies_in_store(ground.site(), own));
}

/// A service whose station has counted its job and signed to close it, with the monitor's word; then it was stopped. The
/// request lies in the site's folder.
fn closing() -> Ground {
    let (mut ground, mut bench) = shop();
    let shift = listed(&mut bench, "torn");
    let delivery = bench.derive(&shift, &[&uid(1), &uid(2)]).unwrap();
    bench.good(&shift, &delivery).unwrap();
    assert_eq!(bench.floor.count(&mut bench.station, "torn", good(2, 0)), Ok(true));
    let payload = cbor::encode(&close_request(&bench, "torn"));
    let folder = ground.site().folder();
    fs::write(folder.join("close"), bench.station.message(Operation::JobClose, payload.clone())).unwrap();
    fs::write(folder.join("payload"), payload).unwrap();
    ground.stop();
    ground
}

fn close_request(bench: &Bench, job: &str) -> CloseJob {
    let receipt = receipt("station-1");
    let act = JobAct::Close { receipt: receipt.clone() };
    let monitor = bench.floor.monitor.as_ref().unwrap();
    let witness = bench.floor.agreement(("monitor-1", monitor.as_ref()), &name(job), &act);
    let agreements = vec![witness].try_into().unwrap();
    CloseJob { schema: Schema, idem: idem(), job: name(job), receipt, agreements }
}

/// What a keeper leaves that is killed when it has recorded a close and destroyed nothing.
async fn recorded(site: &Site) {
    let config = Config::read(&site.service_config()).unwrap();
    let token = open_token(&config).unwrap();
    let (sequencer, reader) = open_store(&config).unwrap();
    install_seals(&config, &token, &sequencer).unwrap();
    sequencer.restore_control().unwrap();
    let read = |file: &str| fs::read(site.folder().join(file)).unwrap();
    let payload = read("payload");
    let request: CloseJob = cbor::decode(&payload, 65_536).unwrap();
    let leaf = JobChangedLeaf {
        schema: Schema,
        principal: name("station-1"),
        operation: Operation::JobClose,
        statement: Statement(Blob::try_from(read("close")).unwrap()),
    };
    let retry =
        Retry { principal: name("station-1"), idem: request.idem, payload_digest: sha256(&[&payload]) };
    let settled = sequencer.submit(Change::AlterJob { retry, job: request.job, leaf }).await.unwrap();
    assert!(matches!(settled.outcome, Outcome::Recorded(_)), "{:?}", settled.outcome);
    assert_eq!(reader.jobs_to_purge().unwrap(), [name("torn")]);
    sequencer.close();
}

#[test]
fn a_keeper_killed_between_the_close_and_the_purge_purges_at_its_next_start() {
    let test = "purged::a_keeper_killed_between_the_close_and_the_purge_purges_at_its_next_start";
    let body = |site: &Site, _: &str| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(recorded(site));
    };
    let Some(mut ground) = raw::with_tokens(test, &["service"], closing, body) else { return };
    let (before, keys) = (objects(&ground), wrapped(ground.site()));
    ground.start().unwrap();
    let mut data = Caller::new(ground.site(), "data-1");
    until("it is purged", || get(&mut data, "torn").unwrap().state == JobState::Purged);
    assert_eq!(objects(&ground), before - 1);
    ground.stop();
    let left = wrapped(ground.site());
    let gone: Vec<_> = keys.iter().filter(|key| !left.contains(key)).collect();
    assert_eq!(gone.len(), 1);
    assert!(!lies_in_store(ground.site(), gone[0]));
    ground.start().unwrap();
    // The station that never heard says it again, and is told; the next job is opened.
    let mut bench = Bench::new(CARD, &ground, "station-1");
    let message = fs::read(ground.site().folder().join("close")).unwrap();
    let again: keysvc_protocol::reply::JobChangedReply =
        bench.station.line.put(Operation::JobClose, message).unwrap();
    assert_eq!(again.state, JobState::Purged);
    bench.floor.prepare("next", &head("known", 1, 5));
    bench.floor.open((&mut bench.station, "station-1"), "next").unwrap();
    ground.assert_clean();
}

#[test]
fn killed_anywhere_around_a_close_a_job_is_counted_still_or_purged_and_never_lies_between() {
    let (mut ground, mut bench) = shop();
    let before = objects(&ground);
    let mut again = 0;
    for kill in 0..KILLS {
        let job = format!("killed-{kill}");
        let mut about = head("known", 1, 1);
        about.listed = true;
        let cards = [item(u32::try_from(kill).unwrap() + 10)];
        bench.floor.create(&job, &about).unwrap();
        bench.floor.add(&job, &cards).unwrap();
        bench.floor.seal(&job, &about, &cards).unwrap();
        bench.floor.open((&mut bench.station, "station-1"), &job).unwrap();
        assert_eq!(bench.floor.count(&mut bench.station, &job, good(0, 1)), Ok(true));
        let close = cbor::encode(&close_request(&bench, &job));
        let body = raw::envelope(bench.station.message(Operation::JobClose, close));
        let station = &mut bench.station;
        thread::scope(|scope| {
            let asked = scope.spawn(|| station.line.send(&raw::http(Operation::JobClose.name(), &body)));
            thread::park_timeout(Duration::from_millis(kill * STEP_MS));
            watched::send(ground.half("keeper").unwrap(), Signal::KILL);
            asked.join().unwrap().unwrap();
        });
        let mut reader = Caller::new(ground.site(), "data-1");
        let request = keysvc_protocol::request::ReadJob { schema: Schema, job: name(&job) };
        let mut state = || {
            let reply = reader.ask::<keysvc_protocol::reply::JobReply>(Operation::JobGet, &request);
            reply.ok().map(|reply| reply.job.state)
        };
        until("it is the one or the other", || matches!(state(), Some(JobState::Counted | JobState::Purged)));
        bench.reconnect(&ground);
        if state() == Some(JobState::Counted) {
            again += 1;
            // It is asked again, in other words: nothing of the first request is on record.
            bench.floor.close(&mut bench.station, &job).unwrap();
        }
        assert_eq!(state(), Some(JobState::Purged), "{job}");
        assert_eq!(objects(&ground), before, "{job}");
    }
    println!("{again} of {KILLS} closes were asked again");
    ground.assert_clean();
}

#[test]
fn a_keeper_killed_mid_job_loses_nothing_the_station_repeats_its_opening_and_goes_on_in_the_same_session() {
    let (mut ground, mut bench) = shop();
    let shift = bench.floor.shift(&mut bench.station, "on", &head("known", 1, 5));
    let open = |bench: &mut Bench| {
        let reply: JobOpenReply = bench.station.ask(Operation::JobOpen, &shift.request).unwrap();
        let signed = Signed::parse(reply.opening.as_bytes()).unwrap();
        let opening: ExchangeOpening = cbor::decode(signed.recorded_payload(), 4096).unwrap();
        (opening.exchange, opening.check, reply.receipt.leaf_index)
    };
    let first = open(&mut bench);
    let made = bench.derive(&shift, &[&uid(1), &uid(2)]).unwrap();
    let checks = |delivery: &keysvc_protocol::delivery::Delivery| {
        delivery.keys.iter().map(|key| (key.slot, key.check)).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        let killed = ground.half("keeper").unwrap();
        watched::send(killed, Signal::KILL);
        let mut reader = Caller::new(ground.site(), "data-1");
        until("another keeper answers", || {
            ground.half("keeper").is_some_and(|keeper| keeper != killed)
                && watched::refused(&mut reader.line).is_none()
        });
        assert_eq!(bench.derive(&shift, &[&uid(1)]).unwrap_err(), Refusal::ExchangeUnknown);
        bench.reopen(&shift).unwrap();
        assert_eq!(checks(&bench.derive(&shift, &[&uid(1), &uid(2)]).unwrap()), checks(&made));
    }
    // The same session under another transport key; asked again while it lives, under the same one.
    let after = open(&mut bench);
    assert_eq!((first.0, first.2), (after.0, after.2), "nobody opened it again");
    assert_ne!(first.1, after.1, "the check value of the transport key");
    assert_eq!(open(&mut bench), after);
    bench.good(&shift, &made).unwrap();
    let session = get(&mut bench.floor.data[0], "on").unwrap().numbers.unwrap().sessions;
    assert_eq!(session, 1);
    bench.floor.finish(&mut bench.station, "on", good(2, 3), "station-1");
    // And not when it is over.
    let late = bench.station.ask::<JobOpenReply>(Operation::JobOpen, &shift.request);
    assert_eq!(
        late.unwrap_err(),
        Refusal::StateConflict { reason: Conflict::JobState { state: JobState::Purged } }
    );
    restarted(&mut ground, &mut bench);
    ground.assert_clean();
}
