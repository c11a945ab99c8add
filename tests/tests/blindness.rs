//! Operators and stations count blind: no byte that they are shown depends on how many cards a job has, beyond what they
//! made of it themselves.
//!
//! The same calls go to two services whose jobs differ in nothing but their numbers, and every answer is compared byte by
//! byte. What must differ is blanked where it lies in the answer, value by value, after it was read in its own type: random
//! numbers, times, signatures, wrapped keys, and the receipt's checkpoint with its place in the log. A blank has the length
//! of what it blanks. That a receipt has neither leaf nor proof of inclusion is part of what is compared.

use keysvc_protocol::{
    cbor::{self, REPLY_LEN_MAX},
    cose::Signed,
    delivery::{Delivery, ExchangeOpening},
    job::{CardResult, Counts, Incident, ItemData, JobAct, JobHead, JobItem, Outcome},
    receipt::Receipt,
    refusal::RefusalReply,
    reply::{
        CardDeriveReply, CardReply, JobChangedReply, JobCountReply, JobListReply, JobOpenReply, JobReply,
        JobView,
    },
    request::{
        CheckCard, CloseJob, CountJob, DeriveCardKeys, GiveResults, ListJobs, OpenJob, Operation, ReadJob,
        ReadJobRecord, ReportIncident, ResumeJob,
    },
    schema::Schema,
};
use keysvc_tests::{
    agreed::{idem, name},
    ground::Ground,
    jobs::{Bench, head, now_ms, receipt, results, suspend},
    raw::{Answer, Caller, envelope},
};
use serde::Serialize;

const CARD: &str = env!("CARGO_BIN_EXE_card");
const JOB: &str = "nfc-1";

/// An answer in which nothing is left that differs by construction.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    what: String,
    status: u16,
    body: Vec<u8>,
}

/// Puts zeros over one value where it lies in its message; it must lie there once.
fn over(bytes: &mut [u8], value: &[u8]) {
    let places: Vec<_> =
        bytes.windows(value.len()).enumerate().filter(|(_, at)| *at == value).map(|(at, _)| at).collect();
    let [at] = places[..] else { panic!("a value lies at {places:?}, of {} bytes", value.len()) };
    bytes[at..at + value.len()].fill(0);
}

/// Cuts a value out and leaves what is put there.
fn instead(bytes: &[u8], value: &[u8], put: &[u8]) -> Vec<u8> {
    let at = bytes.windows(value.len()).position(|part| part == value).unwrap();
    [&bytes[..at], put, &bytes[at + value.len()..]].concat()
}

/// A receipt is a place in the log and a checkpoint, which grow with what anybody does. What else it has is left.
fn without_receipt(body: &[u8], receipt: &Receipt) -> Vec<u8> {
    let Receipt { schema: _, leaf_index: _, checkpoint: _, consistency: _, leaf, inclusion } = receipt;
    let rest = format!("receipt: leaf {}, inclusion {}", leaf.is_some(), inclusion.is_some());
    instead(body, &cbor::encode(receipt), rest.as_bytes())
}

/// A statement of the service, but for its key's identifier and its signature.
fn unsigned(message: &[u8]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    over(&mut bytes, Signed::parse(message).unwrap().key_identifier().as_bytes());
    let signature = bytes.len() - 64;
    bytes[signature..].fill(0);
    bytes
}

fn opened(body: &[u8]) -> Vec<u8> {
    let reply: JobOpenReply = cbor::decode(body, REPLY_LEN_MAX).unwrap();
    let message = reply.opening.as_bytes();
    let opening: ExchangeOpening =
        cbor::decode(Signed::parse(message).unwrap().recorded_payload(), REPLY_LEN_MAX).unwrap();
    let mut blank = unsigned(message);
    over(&mut blank, opening.exchange.as_bytes());
    over(&mut blank, opening.wrapping_key.as_bytes());
    over(&mut blank, opening.wrapped.as_bytes());
    over(&mut blank, opening.check.as_bytes());
    over(&mut blank, &cbor::encode(&opening.expires_at_ms));
    without_receipt(&instead(body, message, &blank), &reply.receipt)
}

fn delivery(body: &[u8]) -> Delivery {
    let reply: CardDeriveReply = cbor::decode(body, REPLY_LEN_MAX).unwrap();
    cbor::decode(Signed::parse(reply.delivery.as_bytes()).unwrap().recorded_payload(), REPLY_LEN_MAX).unwrap()
}

fn delivered(body: &[u8]) -> Vec<u8> {
    let reply: CardDeriveReply = cbor::decode(body, REPLY_LEN_MAX).unwrap();
    let message = reply.delivery.as_bytes();
    let delivery = delivery(body);
    let mut blank = unsigned(message);
    over(&mut blank, delivery.exchange.as_bytes());
    over(&mut blank, delivery.idem.as_bytes());
    delivery.keys.iter().for_each(|key| over(&mut blank, key.wrapped.as_bytes()));
    without_receipt(&instead(body, message, &blank), &reply.receipt)
}

/// Jobs as they are shown, but for the end of their sessions.
fn views<'a>(body: &[u8], jobs: impl Iterator<Item = &'a JobView>) -> Vec<u8> {
    let mut blank = body.to_vec();
    let ends = jobs.filter_map(|job| job.session_expires_ms);
    ends.for_each(|ends_ms| over(&mut blank, &cbor::encode(&ends_ms)));
    blank
}

fn refused(body: &[u8]) -> Vec<u8> {
    let reply: RefusalReply = cbor::decode(body, REPLY_LEN_MAX).unwrap();
    let mut blank = body.to_vec();
    over(&mut blank, reply.request_id.0.as_bytes());
    blank
}

fn blank(operation: Operation, answer: &Answer) -> Vec<u8> {
    let body = &answer.body;
    if answer.status != 200 {
        return refused(body);
    }
    match operation {
        Operation::JobOpen | Operation::JobResume => opened(body),
        Operation::CardDerive => delivered(body),
        Operation::JobCount => {
            let reply: JobCountReply = cbor::decode(body, REPLY_LEN_MAX).unwrap();
            without_receipt(body, &reply.receipt)
        }
        Operation::CardResult | Operation::JobIncident | Operation::JobSuspend | Operation::JobClose => {
            let reply: JobChangedReply = cbor::decode(body, REPLY_LEN_MAX).unwrap();
            without_receipt(body, &reply.receipt)
        }
        Operation::JobGet => {
            let reply: JobReply = cbor::decode(body, REPLY_LEN_MAX).unwrap();
            views(body, std::iter::once(&reply.job))
        }
        Operation::JobList => {
            let reply: JobListReply = cbor::decode(body, REPLY_LEN_MAX).unwrap();
            views(body, reply.jobs.iter())
        }
        Operation::CardCheck => {
            let _: CardReply = cbor::decode(body, REPLY_LEN_MAX).unwrap();
            body.clone()
        }
        other => panic!("{other} is not compared"),
    }
}

/// How many cards a job has.
#[derive(Debug, Clone, Copy)]
struct Size {
    ordered: u32,
    issued: u32,
    carried_over: u32,
    items: u32,
}

struct Script {
    ground: Ground,
    bench: Bench,
    shown: Vec<Shown>,
}

/// What is shown at the station, and what the data operator is shown, who may know it all.
type Ran = (Vec<Shown>, JobView);

fn uid(number: u32) -> String {
    format!("04782e21{number:06x}")
}

impl Script {
    fn new(size: Size, due_ms: u64) -> Self {
        let ground = Ground::new();
        let mut bench = Bench::new(CARD, &ground, "station-1");
        let about = JobHead {
            ordered: size.ordered,
            carried_over: size.carried_over,
            listed: size.items > 0,
            due_ms,
            ..head("known", 1, size.issued)
        };
        let item = |number| JobItem {
            card: uid(number).parse().unwrap(),
            data: ItemData(number.to_be_bytes().to_vec().try_into().unwrap()),
        };
        // The cards that are made lie last, so that their places differ as much as the numbers.
        let items: Vec<_> = (0..size.items).rev().map(item).collect();
        bench.floor.create(JOB, &about).unwrap();
        if !items.is_empty() {
            bench.floor.add(JOB, &items).unwrap();
        }
        bench.floor.seal(JOB, &about, &items).unwrap();
        Self { ground, bench, shown: Vec::new() }
    }

    fn note(&mut self, what: &str, operation: Operation, answer: Answer) -> Vec<u8> {
        let body = blank(operation, &answer);
        self.shown.push(Shown { what: what.to_owned(), status: answer.status, body });
        answer.body
    }

    /// What the station is answered.
    fn asks(&mut self, what: &str, operation: Operation, request: &impl Serialize) -> Vec<u8> {
        let station = &mut self.bench.station;
        let message = station.message(operation, cbor::encode(request));
        let answer = station.line.post(operation.name(), &envelope(message));
        self.note(what, operation, answer)
    }

    /// What the station and those who stand around it are answered.
    fn all_look(&mut self, when: &str, card: &str) {
        let card = CheckCard { schema: Schema, card: card.parse().unwrap() };
        let get = ReadJob { schema: Schema, job: name(JOB) };
        let list = ListJobs { schema: Schema, purged: true, after: None };
        self.asks(&format!("{when}: the station gets the job"), Operation::JobGet, &get);
        self.asks(&format!("{when}: the station lists jobs"), Operation::JobList, &list);
        self.asks(&format!("{when}: the station looks a card up"), Operation::CardCheck, &card);
        for person in ["operator-1", "operator-2", "monitor-1"] {
            let mut caller = Caller::new(self.ground.site(), person);
            let looks = [
                (Operation::JobGet, cbor::encode(&get)),
                (Operation::JobList, cbor::encode(&list)),
                (Operation::CardCheck, cbor::encode(&card)),
                (Operation::JobRecord, cbor::encode(&ReadJobRecord { schema: Schema, job: name(JOB) })),
            ];
            for (operation, request) in looks {
                let answer = caller.line.post(operation.name(), &envelope(request));
                self.note(&format!("{when}: {person} asks {operation}"), operation, answer);
            }
        }
    }

    fn opens(&mut self, what: &str, resumed: bool) -> keysvc_protocol::bytes::Exchange {
        let (schema, idem, job) = (Schema, idem(), name(JOB));
        let station = name("station-1");
        let body = if resumed {
            let agreements = self.bench.floor.operators_agree(&job, &JobAct::Resume { station });
            self.asks(what, Operation::JobResume, &ResumeJob { schema, idem, job, agreements })
        } else {
            let agreements = self.bench.floor.operators_agree(&job, &JobAct::Open { station });
            self.asks(what, Operation::JobOpen, &OpenJob { schema, idem, job, agreements })
        };
        let reply: JobOpenReply = cbor::decode(&body, REPLY_LEN_MAX).unwrap();
        let signed = Signed::parse(reply.opening.as_bytes()).unwrap();
        cbor::decode::<ExchangeOpening>(signed.recorded_payload(), REPLY_LEN_MAX).unwrap().exchange
    }

    fn derives(
        &mut self,
        what: &str,
        exchange: keysvc_protocol::bytes::Exchange,
        cards: std::ops::Range<u32>,
    ) -> Vec<u8> {
        let cards: Vec<_> = cards.map(|number| uid(number).parse().unwrap()).collect();
        let request = DeriveCardKeys {
            schema: Schema,
            idem: idem(),
            exchange,
            job: name(JOB),
            generation: 1,
            cards: cards.try_into().unwrap(),
        };
        self.asks(what, Operation::CardDerive, &request)
    }

    fn gives(&mut self, what: &str, all: Vec<CardResult>) {
        let results = all.try_into().unwrap();
        let request = GiveResults { schema: Schema, idem: idem(), job: name(JOB), results };
        self.asks(what, Operation::CardResult, &request);
    }

    fn counts(&mut self, what: &str, counts: Counts) {
        let job = name(JOB);
        let agreements = self.bench.floor.reviewed(&job, &JobAct::Count { counts });
        let request = CountJob { schema: Schema, idem: idem(), job, counts, agreements };
        self.asks(what, Operation::JobCount, &request);
    }

    /// Every call of a station and of those around it, with its good answers and its refusals.
    fn run(mut self) -> Ran {
        self.all_look("sealed", &uid(0));
        let exchange = self.opens("it opens the job", false);
        let first = self.derives("one card", exchange, 0..1);
        let batch = self.derives("a batch", exchange, 1..5);
        self.derives("the batch again", exchange, 1..5);
        self.derives("more than may be in hand", exchange, 5..12);
        self.all_look("with cards in hand", &uid(2));
        let good = results(&delivery(&first), &Outcome::Good);
        let mut wrong = results(&delivery(&batch), &Outcome::Good);
        let right = wrong.clone();
        wrong[0].readback = good[0].readback.clone();
        self.gives("a wrong read-back", wrong);
        self.gives("one result", good);
        self.gives("a batch of results", right[..3].to_vec());
        let cause = "bent".parse().unwrap();
        let reject = CardResult { outcome: Outcome::Reject { cause }, ..right[3].clone() };
        self.gives("a reject", vec![reject.clone()]);
        self.gives("the reject again", vec![reject]);
        self.derives("a finished card", exchange, 0..1);
        self.counts("a count that misses", Counts { good: 4, rejected: 1, ..Counts::default() });
        self.counts("a count that is far off", Counts { good: 9_000, returned: 1, ..Counts::default() });
        self.closes();
        self.incident();
        self.stops(exchange);
        let exchange = self.opens("it lets the job go on", true);
        self.derives("a card after the stop", exchange, 5..6);
        let exchange = self.opens("the next session", false);
        self.derives("the card in hand again", exchange, 5..6);
        self.all_look("at the end", &uid(5));
        let get = ReadJob { schema: Schema, job: name(JOB) };
        let known: JobReply = self.bench.floor.data[0].ask(Operation::JobGet, &get).unwrap();
        (self.shown, known.job)
    }

    fn closes(&mut self) {
        let (job, receipt) = (name(JOB), receipt("station-1"));
        let act = JobAct::Close { receipt: receipt.clone() };
        let monitor = self.bench.floor.monitor.as_ref().unwrap();
        let witness = self.bench.floor.agreement(("monitor-1", monitor.as_ref()), &job, &act);
        let agreements = vec![witness].try_into().unwrap();
        let request = CloseJob { schema: Schema, idem: idem(), job, receipt, agreements };
        self.asks("a close before its time", Operation::JobClose, &request);
    }

    fn incident(&mut self) {
        let (job, text) = (name(JOB), "a card got stuck".parse().unwrap());
        let incident = Incident {
            equipment: "encoder 1".parse().unwrap(),
            time_ms: now_ms(),
            cause: text,
            place: "tray 2".parse().unwrap(),
            in_hand: 1,
        };
        let act = JobAct::Incident { incident: incident.clone() };
        let agreements = self.bench.floor.reviewed(&job, &act);
        let request = ReportIncident { schema: Schema, idem: idem(), job, incident, agreements };
        self.asks("an incident", Operation::JobIncident, &request);
    }

    fn stops(&mut self, exchange: keysvc_protocol::bytes::Exchange) {
        let mut operator = Caller::new(self.ground.site(), "operator-1");
        let request = cbor::encode(&suspend(JOB, Counts { good: 4, ..Counts::default() }));
        let message = operator.message(Operation::JobSuspend, request);
        let answer = operator.line.post(Operation::JobSuspend.name(), &envelope(message));
        self.note("operator-1 stops the job", Operation::JobSuspend, answer);
        self.derives("a card of a stopped job", exchange, 5..6);
        self.all_look("stopped", &uid(0));
    }
}

/// Everything that is shown of a job, which must be the same for both.
fn assert_alike(small: Size, large: Size) {
    let due_ms = now_ms() + 24 * 60 * 60 * 1000;
    let [(small, few), (large, many)] = [small, large].map(|size| Script::new(size, due_ms).run());
    // The jobs do differ, to those who may know it.
    let issued = |view: &JobView| view.numbers.as_ref().map(|numbers| numbers.issued);
    assert_ne!(issued(&few), issued(&many));
    assert_eq!(small.len(), large.len());
    assert!(small.len() > 60, "{} answers", small.len());
    assert!(small.iter().filter(|shown| shown.status == 200).count() > 40, "good answers");
    for (small, large) in small.iter().zip(&large) {
        assert_eq!(small, large);
    }
}

#[test]
fn nothing_shown_at_a_station_depends_on_how_many_cards_were_issued_or_ordered() {
    let small = Size { ordered: 30, issued: 40, carried_over: 0, items: 0 };
    let large = Size { ordered: 3_900, issued: 4_000, carried_over: 70_000, items: 0 };
    assert_alike(small, large);
}

#[test]
fn nothing_shown_at_a_station_depends_on_how_many_cards_are_listed() {
    let small = Size { ordered: 12, issued: 12, carried_over: 0, items: 12 };
    let large = Size { ordered: 300, issued: 4_000, carried_over: 0, items: 400 };
    assert_alike(small, large);
}
