//! What one person of a bureau would try alone on a job that takes two, and what a captured station, a captured front or
//! somebody with the store's file would.

use super::{
    Officers,
    book::{Attempt, Book, is_quiet},
    conflict,
    forge::turned,
    front::{Front, peer, pins},
    invalid, missing,
    stored::write,
    uncounted,
};
use keysvc_client::signer::StatementSigner as _;
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor,
    cose::{Kind, Unsigned},
    founding::PrincipalKind,
    job::{
        AGREEMENT_LEN_MAX, Counts, ItemData, JobAct, JobAgreement, JobItem, JobState, Outcome, PurgeReceipt,
    },
    refusal::{
        Conflict::{JobState as InState, NameTaken, OtherStation},
        Invalid, Refusal, Thing,
        Uncounted::{OtherAct, Signature, UsedBefore},
    },
    reply::JobChangedReply,
    request::{
        AddJobItems, Agreements, CloseJob, CountJob, CreateJob, GiveResults, OpenJob, Operation, ResumeJob,
    },
    schema::Schema,
};
use keysvc_tests::{
    agreed::{done, idem, name},
    copies::Copies,
    ended::ended,
    ground::{Ground, text},
    jobs::{self, Bench, derive, head, now_ms, results, suspend},
    raw::{self, Caller, envelope},
};
use std::sync::Arc;

pub const PEOPLE: &[&str] = &[
    "a data operator enlarges a job that is sealed",
    "a data operator makes a job of the same name once more",
    "a data operator seals the own job",
    "an operator opens a job with two signatures of their own",
    "an operator signs in the other's name",
    "an operator signs with their own key under the other's key's identifier",
    "an operator's agreement is brought from another site",
    "who made a job operates it",
    "an operator goes on alone after the other has stopped the job",
    "who operates another job stops this one",
    "who operated a job reviews its count",
    "a reviewer's agreement is used again for other numbers",
    "a reviewer's agreement is used again for the same numbers",
    "who operated a job witnesses its purge",
    "an operator stops a job that is counted, so that it is not closed",
];

pub const MACHINES: &[&str] = &[
    "a station gives other numbers than were agreed to",
    "a station takes a second job under another name",
    "a station plays its opening again after a stop",
    "a station asks for keys in a session that was stopped",
    "a station says of another's job what became of its cards",
    "a station asks for cards outside its job",
    "a station closes a job with cards still to be counted",
    "a captured front closes a job in the station's name with a bent signature",
    "a captured front plays a close again",
    "a job's row is edited in the store",
    "a card's row is edited in the store",
    "a job's row is taken out of the store",
    "a station's row is taken out of the store",
];

fn is(state: JobState) -> Refusal {
    conflict(InState { state })
}

fn uid(number: u32) -> String {
    format!("04782e21{number:06x}")
}

fn good(good: u32, returned: u32) -> Counts {
    Counts { good, returned, ..Counts::default() }
}

/// What a person says, to be signed rightly or wrongly.
fn said(person: &str, job: &str, act: &JobAct) -> Vec<u8> {
    cbor::encode(&JobAgreement {
        schema: Schema,
        job: name(job),
        act: act.clone(),
        person: name(person),
        signed_ms: now_ms(),
        nonce: idem(),
    })
}

type Signed = Blob<AGREEMENT_LEN_MAX>;

fn both(one: &Signed, other: &Signed) -> Agreements {
    vec![one.clone(), other.clone()].try_into().unwrap()
}

fn opening() -> JobAct {
    JobAct::Open { station: name("station-1") }
}

struct Part {
    ground: Ground,
    book: Book,
    bench: Bench,
}

impl Part {
    fn new() -> (Self, Officers) {
        let ground = Ground::new();
        let officers = Officers::of(&ground);
        let bench = Bench::new(env!("CARGO_BIN_EXE_card"), &ground, "station-1");
        let book = Book::open(&ground);
        (Self { ground, book, bench }, officers)
    }

    /// Somebody whom the officers gave everything that one may have: what is left is that one person does not do twice.
    fn joins(&mut self, officers: &mut Officers, id: &str) {
        let mut request = self.ground.newcomer(id, PrincipalKind::Operator, "bureau");
        let roles = ["data-operator", "station-operator", "reviewer", "monitor"].map(name);
        request.principal.capabilities = roles.to_vec().try_into().unwrap();
        done(&mut [&mut officers.one, &mut officers.two], Operation::PrincipalEnrol, &request);
    }

    fn signs(&self, person: &str, job: &str, act: &JobAct) -> Signed {
        let key = raw::key(self.ground.site(), person);
        self.bench.floor.agreement((person, &key), &name(job), act)
    }

    fn refused(&mut self, name: &'static str, (operation, request): (Operation, Vec<u8>), refusal: Refusal) {
        let station = &mut self.bench.station;
        let message = station.message(operation, request);
        let attempt = Attempt { name, by: "station-1", operation, message, refusal };
        self.book.refused(&mut station.line, attempt);
    }

    fn refused_to(
        &mut self,
        by: &str,
        name: &'static str,
        (operation, request): (Operation, Vec<u8>),
        refusal: Refusal,
    ) {
        let mut caller = Caller::new(self.ground.site(), by);
        let message = caller.message(operation, request);
        self.book.refused(&mut caller.line, Attempt { name, by, operation, message, refusal });
    }

    fn open(&self, job: &str, agreements: Agreements) -> (Operation, Vec<u8>) {
        let request = OpenJob { schema: Schema, idem: idem(), job: name(job), agreements };
        (Operation::JobOpen, cbor::encode(&request))
    }

    fn count(&self, job: &str, counts: Counts, agreements: Agreements) -> (Operation, Vec<u8>) {
        let request = CountJob { schema: Schema, idem: idem(), job: name(job), counts, agreements };
        (Operation::JobCount, cbor::encode(&request))
    }

    fn close(&self, job: &str, receipt: PurgeReceipt, witness: Signed) -> (Operation, Vec<u8>) {
        let agreements = vec![witness].try_into().unwrap();
        let request = CloseJob { schema: Schema, idem: idem(), job: name(job), receipt, agreements };
        (Operation::JobClose, cbor::encode(&request))
    }

    /// A sealed job that lists its cards, and what its maker would like to add.
    fn data_operators(&mut self) {
        let item = |number| JobItem {
            card: uid(number).parse().unwrap(),
            data: ItemData(vec![7; 8].try_into().unwrap()),
        };
        let mut about = head("known", 1, 5);
        about.listed = true;
        about.ordered = 1;
        about.station = name("station-2");
        self.bench.floor.create("listed", &about).unwrap();
        self.bench.floor.add("listed", &[item(1)]).unwrap();
        let mut own = head("known", 1, 5);
        own.lot = "lot 10".parse().unwrap();
        self.bench.floor.create("own", &own).unwrap();
        self.bench.floor.seal("listed", &about, &[item(1)]).unwrap();
        let items = vec![item(2)].try_into().unwrap();
        let more = AddJobItems { schema: Schema, idem: idem(), job: name("listed"), items };
        let more = (Operation::JobItems, cbor::encode(&more));
        self.refused_to("data-1", PEOPLE[0], more, is(JobState::Sealed));
        about.issued = 500;
        let again = CreateJob { schema: Schema, idem: idem(), job: name("listed"), head: about };
        let again = (Operation::JobCreate, cbor::encode(&again));
        self.refused_to("data-1", PEOPLE[1], again, conflict(NameTaken));
        let seal = keysvc_protocol::request::SealJob {
            schema: Schema,
            idem: idem(),
            job: name("own"),
            head: own.digest(),
            items: 0,
            root: jobs::root(&[]),
        };
        let seal = (Operation::JobSeal, cbor::encode(&seal));
        self.refused_to("data-1", PEOPLE[2], seal, Refusal::SamePerson);
        self.bench.floor.seal("own", &own, &[]).unwrap();
    }

    fn operators(&mut self) {
        let (job, act) = ("own", opening());
        let one = self.signs("operator-1", job, &act);
        let mine = self.signs("operator-1", job, &act);
        self.refused(PEOPLE[3], self.open(job, both(&one, &mine)), Refusal::SamePerson);
        let key = raw::key(self.ground.site(), "operator-1");
        let others = raw::key(self.ground.site(), "operator-2");
        let genesis = self.bench.station.genesis;
        let as_other = said("operator-2", job, &act);
        let forged = raw::sign(&key, Kind::JobAgreement, genesis.as_bytes(), as_other.clone());
        let forged = forged.try_into().unwrap();
        self.refused(PEOPLE[4], self.open(job, both(&one, &forged)), uncounted(OtherAct));
        let identifier = others.public_key().identifier();
        let unsigned = Unsigned::new(Kind::JobAgreement, genesis.as_bytes(), identifier, as_other);
        let signature = key.sign(&unsigned.to_be_signed()).unwrap();
        let forged = unsigned.with_signature(&signature).try_into().unwrap();
        self.refused(PEOPLE[5], self.open(job, both(&one, &forged)), uncounted(Signature));
        let elsewhere = Digest::new([8; 32]);
        let words = said("operator-2", job, &act);
        let foreign = raw::sign(&others, Kind::JobAgreement, elsewhere.as_bytes(), words);
        let foreign = foreign.try_into().unwrap();
        self.refused(PEOPLE[6], self.open(job, both(&one, &foreign)), uncounted(Signature));
        // With every capability, and a job of their own.
        let made = CreateJob { schema: Schema, idem: idem(), job: name("mine"), head: head("known", 1, 5) };
        let mut both_roles = Caller::new(self.ground.site(), "both-1");
        both_roles.ask::<JobChangedReply>(Operation::JobCreate, &made).unwrap();
        self.bench.floor.seal("mine", &made.head, &[]).unwrap();
        let agreements = both(&self.signs("operator-1", "mine", &act), &self.signs("both-1", "mine", &act));
        self.refused(PEOPLE[7], self.open("mine", agreements), Refusal::SamePerson);
    }

    /// A job operated by operator-1 and by one who may do everything: who may then do nothing else of it.
    fn floor(&mut self) {
        let (job, act) = ("own", opening());
        let agreements = both(&self.signs("operator-1", job, &act), &self.signs("both-1", job, &act));
        let (operation, request) = self.open(job, agreements);
        self.bench.station.ask_bytes::<keysvc_protocol::reply::JobOpenReply>(operation, request).unwrap();
        let stop = suspend(job, Counts::default());
        let mut operator = Caller::new(self.ground.site(), "operator-1");
        operator.ask::<JobChangedReply>(Operation::JobSuspend, &stop).unwrap();
        let resume = JobAct::Resume { station: name("station-1") };
        let mine = both(&self.signs("both-1", job, &resume), &self.signs("both-1", job, &resume));
        let alone = ResumeJob { schema: Schema, idem: idem(), job: name(job), agreements: mine };
        self.refused(PEOPLE[8], (Operation::JobResume, cbor::encode(&alone)), Refusal::SamePerson);
        let agreements = both(&self.signs("operator-1", job, &resume), &self.signs("both-1", job, &resume));
        let goes_on = ResumeJob { schema: Schema, idem: idem(), job: name(job), agreements };
        let station = &mut self.bench.station;
        station.ask::<keysvc_protocol::reply::JobOpenReply>(Operation::JobResume, &goes_on).unwrap();
        let stop = (Operation::JobSuspend, cbor::encode(&suspend(job, Counts::default())));
        self.refused_to("operator-2", PEOPLE[9], stop, Refusal::Forbidden);

        let counts = good(0, 5);
        let act = JobAct::Count { counts };
        let own = both(&self.signs("operator-1", job, &act), &self.signs("both-1", job, &act));
        self.refused(PEOPLE[10], self.count(job, counts, own), Refusal::SamePerson);
        let reviewed = self.signs("reviewer-1", job, &act);
        let first = both(&self.signs("operator-1", job, &act), &reviewed);
        let (operation, request) = self.count(job, counts, first);
        self.bench.station.ask_bytes::<keysvc_protocol::reply::JobCountReply>(operation, request).unwrap();
        let others = good(1, 4);
        let operator = self.signs("operator-1", job, &JobAct::Count { counts: others });
        let other_numbers = self.count(job, others, both(&operator, &reviewed));
        self.refused(PEOPLE[11], other_numbers, uncounted(OtherAct));
        let same = both(&self.signs("operator-1", job, &act), &reviewed);
        self.refused(PEOPLE[12], self.count(job, counts, same), uncounted(UsedBefore));
    }

    fn witness(&mut self) {
        let (job, receipt) = ("own", jobs::receipt("station-1"));
        let witness = self.signs("both-1", job, &JobAct::Close { receipt: receipt.clone() });
        // The tenth of this station within a minute is the last with a leaf of its own.
        self.refused(PEOPLE[13], self.close(job, receipt, witness), Refusal::SamePerson);
        // Counted is counted: a stop does not put it off.
        let stop = (Operation::JobSuspend, cbor::encode(&suspend(job, Counts::default())));
        self.refused_to("operator-1", PEOPLE[14], stop, is(JobState::Counted));
        self.bench.floor.close(&mut self.bench.station, job).unwrap();
    }
}

#[test]
fn nobody_does_alone_on_a_job_what_takes_two_whatever_capabilities_one_has() {
    let (mut part, mut officers) = Part::new();
    part.joins(&mut officers, "both-1");
    part.data_operators();
    part.operators();
    part.floor();
    part.witness();
    let Part { mut ground, book, .. } = part;
    book.close(PEOPLE, &mut ground);
}

impl Part {
    fn station(&mut self) {
        let about = head("known", 1, 5);
        let shift = self.bench.floor.shift(&mut self.bench.station, "worked", &about);
        let delivery = self.bench.derive(&shift, &[&uid(1)]).unwrap();
        let act = JobAct::Count { counts: good(1, 4) };
        let agreed =
            both(&self.signs("operator-1", "worked", &act), &self.signs("reviewer-1", "worked", &act));
        self.refused(MACHINES[0], self.count("worked", good(1, 3), agreed), uncounted(OtherAct));
        self.bench.floor.prepare("renamed", &about);
        let agreements = self.bench.floor.operators_agree(&name("renamed"), &opening());
        self.refused(MACHINES[1], self.open("renamed", agreements), Refusal::PurgePending);
        let mut operator = Caller::new(self.ground.site(), "operator-2");
        let stop = suspend("worked", Counts::default());
        operator.ask::<JobChangedReply>(Operation::JobSuspend, &stop).unwrap();
        let again = (Operation::JobOpen, cbor::encode(&shift.request));
        self.refused(MACHINES[2], again, is(JobState::Suspended));
        let keys = (Operation::CardDerive, cbor::encode(&derive(&shift, &[&uid(2)])));
        self.refused(MACHINES[3], keys, is(JobState::Suspended));
        let exchange = self.bench.floor.resume((&mut self.bench.station, "station-1"), "worked").unwrap();
        let shift = jobs::Shift { exchange, ..shift };

        let results = results(&delivery, &Outcome::Good).try_into().unwrap();
        let given = GiveResults { schema: Schema, idem: idem(), job: name("worked"), results };
        let mut other = Bench::new(env!("CARGO_BIN_EXE_card"), &self.ground, "station-2");
        let message = other.station.message(Operation::CardResult, cbor::encode(&given));
        let attempt = |name, operation, message, refusal| Attempt {
            name,
            by: "station-2",
            operation,
            message,
            refusal,
        };
        let lies = attempt(MACHINES[4], Operation::CardResult, message, conflict(OtherStation));
        self.book.refused(&mut other.station.line, lies);
        // A job of its own, with one card.
        let item = JobItem { card: uid(50).parse().unwrap(), data: ItemData(vec![7; 8].try_into().unwrap()) };
        let mut listed = head("known", 1, 1);
        (listed.listed, listed.station) = (true, name("station-2"));
        let items = [item];
        let floor = &mut other.floor;
        floor.create("listed", &listed).unwrap();
        floor.add("listed", &items).unwrap();
        floor.seal("listed", &listed, &items).unwrap();
        let own = other.floor.open((&mut other.station, "station-2"), "listed").unwrap();
        let asks = cbor::encode(&derive(&own, &[&uid(50), &uid(51)]));
        let message = other.station.message(Operation::CardDerive, asks);
        let outside = attempt(MACHINES[5], Operation::CardDerive, message, missing(Thing::Item));
        self.book.refused(&mut other.station.line, outside);

        let receipt = jobs::receipt("station-1");
        let witness = self.bench.floor.monitor.as_ref().unwrap();
        let act = JobAct::Close { receipt: receipt.clone() };
        let witness = self.bench.floor.agreement(("monitor-1", witness.as_ref()), &name("worked"), &act);
        let early = self.close("worked", receipt, witness);
        self.refused(MACHINES[6], early, conflict(keysvc_protocol::refusal::Conflict::Unbalanced));
        self.bench.good(&shift, &delivery).unwrap();
        assert_eq!(self.bench.floor.count(&mut self.bench.station, "worked", good(1, 4)), Ok(true));
    }

    fn front(&mut self, reader: &mut Caller) {
        let receipt = jobs::receipt("station-1");
        let act = JobAct::Close { receipt: receipt.clone() };
        let monitor = self.bench.floor.monitor.as_ref().unwrap();
        let witness = self.bench.floor.agreement(("monitor-1", monitor.as_ref()), &name("worked"), &act);
        let (operation, payload) = self.close("worked", receipt, witness);
        let passed = self.bench.station.message(operation, payload);
        let pin = pins(reader).into_iter().find(|(known, _)| known == "station-1").unwrap().1;
        let mut front = Front::capture(&self.ground);
        front.peer = Arc::clone(&peer(pin, "station", "station-1"));
        let bent = turned(&passed, 1);
        let refusal = invalid(Invalid::Signature);
        let attempt = Attempt { name: MACHINES[7], by: "station-1", operation, message: bent, refusal };
        let first: JobChangedReply = {
            self.book.refused(&mut front, attempt);
            self.bench.station.line.put(operation, passed.clone()).unwrap()
        };
        let leaves = self.book.nothing_comes_of(MACHINES[8], || {
            let again: JobChangedReply =
                super::book::Way::post(&mut front, operation, &envelope(passed)).read().unwrap();
            assert_eq!(again.receipt.leaf_index, first.receipt.leaf_index);
            assert_eq!(again.state, JobState::Purged);
        });
        assert!(is_quiet(&leaves), "{leaves:?}");
    }

    /// Rows of jobs and cards, while the service stands still.
    fn store(&mut self) {
        self.ground.stop();
        let home = self.ground.site().service();
        let whole = Copies::of(&[home.folder().join("store"), home.folder().join("anchor")]);
        let rows = [
            ("UPDATE job SET good = good + 1 WHERE name = 'worked'", "job"),
            (
                "UPDATE card SET record = CAST(substr(record, 1, length(record) - 1) || X'01' AS BLOB) WHERE tag = (SELECT min(tag) FROM card)",
                "card",
            ),
            ("DELETE FROM job WHERE name = 'worked'", "job"),
            ("DELETE FROM job_station", "station"),
        ];
        for ((sql, part), name) in rows.into_iter().zip(&MACHINES[9..]) {
            assert!(write(&self.ground, sql) >= 1, "{name}");
            let verified = ended(self.ground.keysvc(&["verify-store"]));
            let said = text(&verified);
            assert!(!verified.status.success() && said.contains(part), "{name}: {said}");
            whole.put_back();
            self.book.tried(name);
        }
        self.ground.start().unwrap();
        self.book.reconnect(&self.ground);
    }
}

#[test]
fn a_captured_station_front_or_store_makes_no_job_larger_and_ends_none() {
    let (mut part, mut officers) = Part::new();
    // What an honest quorum does beside it.
    part.joins(&mut officers, "both-1");
    part.station();
    part.front(&mut officers.one);
    part.store();
    let Part { mut ground, book, .. } = part;
    book.close(MACHINES, &mut ground);
}
