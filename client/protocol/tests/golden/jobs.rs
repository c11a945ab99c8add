//! One message of each kind about personalization jobs and the cards they make.

use super::messages::{
    Golden, TIME_MS, blob, checkpoint, evidence as leaf_evidence, genesis, golden, list, name, of, receipt,
    request, signed, statement, uid,
};
use keysvc_protocol::{
    bytes::{Digest, Exchange, Idem, ShortCheck, WrappedCardKey},
    card::{CardState, HolderRef, ShownCard},
    cbor,
    cose::Kind,
    delivery::{DeliveredKey, Delivery, ExchangeOpening},
    freeze::Scope,
    job::{
        AGREEMENT_LEN_MAX, Balance, CardResult, Closing, CountGiven, Counts, Done, Incident, IncidentGiven,
        ItemData, Job, JobAct, JobAgreement, JobHead, JobItem, JobRecord, JobState, Outcome, PurgeReceipt,
        Session, Suspended, Suspension, Tally, Used,
    },
    leaf::{
        CardKeysDerivedLeaf, CardsChangedLeaf, DerivedItem, IncidentReportedLeaf, JobChangedLeaf,
        JobItemsLeaf, JobOpenedLeaf, JobPurgedLeaf, JobRecordMadeLeaf, LeafKind, RetentionClass,
    },
    list::List,
    name::{Name, Reason},
    refusal::{Conflict, Invalid, Refusal, RefusalReply, RequestId, Thing, Uncounted},
    reply::{
        CardDeriveReply, CardReply, CardsMovedReply, JobChangedReply, JobCountReply, JobListReply,
        JobNumbers, JobOpenReply, JobRecordReply, JobReply, JobView,
    },
    request::{
        AddJobItems, Agreements, CheckCard, CloseJob, CountJob, CreateJob, DeriveCardKeys, GiveResults,
        ListJobs, MoveCards, OpenJob, Operation, ReadJob, ReadJobRecord, ReportIncident, ResumeJob, SealJob,
        SetFreeze, SuspendJob, WithdrawJob,
    },
    schema::Schema,
};

const SCHEMA: Schema = Schema;
const HOUR_MS: u64 = 3_600_000;

fn idem() -> Idem {
    Idem::new([0x90; 16])
}

fn exchange() -> Exchange {
    Exchange::new([8; 16])
}

fn job() -> Name {
    name("nfc-1")
}

fn why() -> Reason {
    "the feeder jammed".parse().unwrap()
}

fn text(text: &str) -> Reason {
    text.parse().unwrap()
}

fn head() -> JobHead {
    JobHead {
        schema: SCHEMA,
        order: text("PO-4711"),
        customer: text("ACME"),
        profile: name("generated"),
        profile_version: 1,
        lot: text("LOT-9"),
        station: name("station-1"),
        equipment: text("encoder 3"),
        ordered: 1,
        issued: 3,
        carried_over: 1,
        listed: true,
        due_ms: TIME_MS + 24 * HOUR_MS,
    }
}

fn item() -> JobItem {
    JobItem { card: uid(), data: ItemData(blob(b"Room 101".to_vec())) }
}

fn counts() -> Counts {
    Counts { good: 1, rejected: 1, sample: 0, returned: 2, handed_over: 0 }
}

fn suspended() -> Suspended {
    Suspended { counts: counts(), place: text("safe 2"), cause: why() }
}

fn incident() -> Incident {
    Incident {
        equipment: text("encoder 3"),
        time_ms: TIME_MS,
        cause: why(),
        place: text("safe 2"),
        in_hand: 1,
    }
}

fn purged() -> PurgeReceipt {
    PurgeReceipt {
        station: name("station-1"),
        erased_ms: TIME_MS + HOUR_MS,
        files: 2,
        method: text("overwritten and unlinked"),
    }
}

fn said(act: JobAct) -> JobAgreement {
    JobAgreement {
        schema: SCHEMA,
        job: job(),
        act,
        person: name("operator-1"),
        signed_ms: TIME_MS,
        nonce: Idem::new([0x91; 16]),
    }
}

fn opens() -> JobAct {
    JobAct::Open { station: name("station-1") }
}

fn agreed(act: JobAct) -> Vec<u8> {
    signed(Kind::JobAgreement, genesis().as_bytes(), cbor::encode(&said(act)))
}

fn agreements(act: &JobAct, people: usize) -> Agreements {
    list((0..people).map(|_| blob::<AGREEMENT_LEN_MAX>(agreed(act.clone()))).collect())
}

fn create() -> CreateJob {
    CreateJob { schema: SCHEMA, idem: idem(), job: job(), head: head() }
}

fn add() -> AddJobItems {
    AddJobItems { schema: SCHEMA, idem: idem(), job: job(), items: list(vec![item()]) }
}

fn seal() -> SealJob {
    SealJob { schema: SCHEMA, idem: idem(), job: job(), head: head().digest(), items: 1, root: item().hash() }
}

fn withdraw() -> WithdrawJob {
    WithdrawJob { schema: SCHEMA, idem: idem(), job: job(), reason: text("ordered twice") }
}

fn open() -> OpenJob {
    OpenJob { schema: SCHEMA, idem: idem(), job: job(), agreements: agreements(&opens(), 2) }
}

fn resume() -> ResumeJob {
    let act = JobAct::Resume { station: name("station-1") };
    ResumeJob { schema: SCHEMA, idem: idem(), job: job(), agreements: agreements(&act, 2) }
}

fn derive() -> DeriveCardKeys {
    DeriveCardKeys {
        schema: SCHEMA,
        idem: Idem::new([7; 16]),
        exchange: exchange(),
        job: job(),
        generation: 1,
        cards: list(vec![uid()]),
    }
}

fn check(byte: u8) -> ShortCheck {
    ShortCheck::new([byte, 2, 3, 4, 5])
}

fn results(outcome: Outcome, read: u8) -> GiveResults {
    let result = CardResult { card: uid(), outcome, readback: list((0..read).map(check).collect()) };
    GiveResults { schema: SCHEMA, idem: idem(), job: job(), results: list(vec![result]) }
}

fn suspend() -> SuspendJob {
    SuspendJob { schema: SCHEMA, idem: idem(), job: job(), suspended: suspended() }
}

fn count() -> CountJob {
    let agreements = agreements(&JobAct::Count { counts: counts() }, 2);
    CountJob { schema: SCHEMA, idem: idem(), job: job(), counts: counts(), agreements }
}

fn report() -> ReportIncident {
    let agreements = agreements(&JobAct::Incident { incident: incident() }, 2);
    ReportIncident { schema: SCHEMA, idem: idem(), job: job(), incident: incident(), agreements }
}

fn close() -> CloseJob {
    let agreements = agreements(&JobAct::Close { receipt: purged() }, 1);
    CloseJob { schema: SCHEMA, idem: idem(), job: job(), receipt: purged(), agreements }
}

fn transition(holder: bool) -> MoveCards {
    MoveCards {
        schema: SCHEMA,
        idem: idem(),
        cards: list(vec![uid()]),
        to: if holder { CardState::Active } else { CardState::AwaitingDestruction },
        location: holder.then(|| name("acme")),
        holder: holder.then(|| HolderRef(blob(b"crm:7".to_vec()))),
    }
}

fn opening() -> ExchangeOpening {
    ExchangeOpening {
        schema: SCHEMA,
        station: name("station-1"),
        exchange: exchange(),
        job: job(),
        wrapping_key: Digest::new([0xc0; 32]),
        // A real one has 384 bytes; the length is RSA's, not the encoding's.
        wrapped: blob(vec![0xc1; 8]),
        check: check(1),
        expires_at_ms: TIME_MS + 2 * HOUR_MS,
    }
}

fn delivery(listed: bool) -> Delivery {
    let key = |slot| DeliveredKey {
        card: uid(),
        slot,
        key_version: 1,
        wrapped: WrappedCardKey::new([0xd0 | slot; 24]),
        check: check(slot),
    };
    Delivery {
        schema: SCHEMA,
        station: name("station-1"),
        exchange: exchange(),
        idem: Idem::new([7; 16]),
        job: job(),
        generation: 1,
        profile: name("generated"),
        profile_version: 1,
        keys: list(vec![key(0), key(1)]),
        items: list(if listed { vec![item()] } else { vec![] }),
    }
}

fn done(by: &str, leaf: u64) -> Done {
    Done { by: name(by), at_ms: TIME_MS, leaf }
}

fn operators() -> List<Name, 2> {
    list(vec![name("operator-1"), name("operator-2")])
}

fn tally() -> Tally {
    Tally { made: 2, good: 1, rejected: 1, sample: 0 }
}

fn balance(total: i64) -> Balance {
    Balance { total, good: total, ..Balance::default() }
}

/// A job with something in every list.
fn worked() -> Job {
    let session = Session {
        exchange: exchange(),
        operators: operators(),
        opened_ms: TIME_MS,
        expires_ms: TIME_MS + 2 * HOUR_MS,
        leaf: 13,
    };
    let count = CountGiven {
        counts: counts(),
        operator: name("operator-1"),
        reviewer: name("reviewer-1"),
        balance: balance(-1),
        at_ms: TIME_MS,
        leaf: 16,
    };
    let reported = IncidentGiven {
        incident: incident(),
        operator: name("operator-1"),
        reviewer: name("reviewer-1"),
        at_ms: TIME_MS,
        leaf: 15,
    };
    let receipt = Some(purged());
    let closed = Closing { done: done("station-1", 17), receipt, witness: Some(name("monitor-1")) };
    Job {
        schema: SCHEMA,
        name: job(),
        head: head(),
        state: JobState::Purged,
        created: done("data-1", 10),
        items: 1,
        edge: list(vec![]),
        sessions: list(vec![session]),
        suspensions: list(vec![Suspension { done: done("operator-2", 14), said: suspended() }]),
        counts: list(vec![count]),
        incidents: list(vec![reported]),
        used: list(vec![Used { nonce: Idem::new([0x91; 16]), stale_ms: TIME_MS + HOUR_MS / 4 }]),
        root: Some(item().hash()),
        sealed: Some(done("data-2", 12)),
        closed: Some(closed),
        purged_ms: Some(TIME_MS + HOUR_MS),
    }
}

/// A job of which nothing happened.
fn draft() -> Job {
    Job {
        state: JobState::Draft,
        edge: list(vec![item().hash()]),
        sessions: List::default(),
        suspensions: List::default(),
        counts: List::default(),
        incidents: List::default(),
        used: List::default(),
        root: None,
        sealed: None,
        closed: None,
        purged_ms: None,
        ..worked()
    }
}

fn record(job: Job, tally: Tally) -> JobRecord {
    JobRecord { schema: SCHEMA, job, tally, checkpoint: checkpoint(), made_ms: TIME_MS + HOUR_MS }
}

fn numbers() -> JobNumbers {
    JobNumbers {
        customer: text("ACME"),
        lot: text("LOT-9"),
        ordered: 1,
        issued: 3,
        carried_over: 1,
        items: 1,
        head: head().digest(),
        root: item().hash(),
        tally: tally(),
        created: done("data-1", 10),
        sessions: 1,
        suspensions: 1,
        incidents: 1,
        counts: 1,
        balance: Some(balance(-1)),
        sealed: Some(done("data-2", 12)),
    }
}

fn view(numbers: Option<JobNumbers>) -> JobView {
    let open = numbers.is_none();
    JobView {
        name: job(),
        state: if open { JobState::Open } else { JobState::Counted },
        order: text("PO-4711"),
        profile: name("generated"),
        profile_version: 1,
        station: name("station-1"),
        equipment: text("encoder 3"),
        listed: true,
        due_ms: TIME_MS + 24 * HOUR_MS,
        pending: u32::from(open),
        overdue: false,
        operators: if open { operators() } else { List::default() },
        session_expires_ms: open.then_some(TIME_MS + 2 * HOUR_MS),
        numbers,
    }
}

pub(super) fn requests() -> Vec<Golden> {
    let schema = SCHEMA;
    let as_seen = CreateJob { head: JobHead { listed: false, ..head() }, ..create() };
    let reject = Outcome::Reject { cause: why() };
    let freeze = SetFreeze { schema, idem: idem(), scope: Scope::Job { name: job() }, reason: why() };
    vec![
        of("request", Operation::JobOpen, &open()),
        of("request", Operation::CardDerive, &derive()),
        of("request", Operation::JobCreate, &create()),
        golden("request-job.create-as-encountered", "request-job.create", &as_seen),
        of("request", Operation::JobItems, &add()),
        of("request", Operation::JobSeal, &seal()),
        of("request", Operation::JobWithdraw, &withdraw()),
        of("request", Operation::JobResume, &resume()),
        of("request", Operation::JobSuspend, &suspend()),
        of("request", Operation::CardResult, &results(Outcome::Good, 2)),
        golden("request-card.result-reject", "request-card.result", &results(reject, 0)),
        golden("request-card.result-sample", "request-card.result", &results(Outcome::Sample, 2)),
        of("request", Operation::JobCount, &count()),
        of("request", Operation::JobIncident, &report()),
        of("request", Operation::JobClose, &close()),
        of("request", Operation::JobGet, &ReadJob { schema, job: job() }),
        of("request", Operation::JobList, &ListJobs { schema, purged: true, after: Some(job()) }),
        golden(
            "request-job.list-first",
            "request-job.list",
            &ListJobs { schema, purged: false, after: None },
        ),
        of("request", Operation::JobRecord, &ReadJobRecord { schema, job: job() }),
        of("request", Operation::CardCheck, &CheckCard { schema, card: uid() }),
        of("request", Operation::CardTransition, &transition(true)),
        golden("request-card.transition-discard", "request-card.transition", &transition(false)),
        golden("request-freeze.set-job", "request-freeze.set", &freeze),
    ]
}

pub(super) fn statements() -> Vec<Golden> {
    let of_log = |kind, payload| signed(kind, genesis().as_bytes(), payload);
    let statement = |operation: Operation, bytes| Golden {
        name: format!("signed-{operation}"),
        rule: format!("signed-{operation}"),
        bytes,
    };
    let other = |name: &str, bytes| Golden { name: name.to_owned(), rule: name.to_owned(), bytes };
    let act = |name: &str, act| golden(format!("job-agreement{name}"), "job-agreement", &said(act));
    let record = record(worked(), tally());
    let unworked = JobRecord { job: draft(), tally: Tally::default(), ..record.clone() };
    vec![
        golden("exchange-opening", "exchange-opening", &opening()),
        golden("delivery", "delivery", &delivery(true)),
        golden("delivery-as-encountered", "delivery", &delivery(false)),
        golden("job-item", "job-item", &item()),
        act("", opens()),
        act("-resume", JobAct::Resume { station: name("station-1") }),
        act("-count", JobAct::Count { counts: counts() }),
        act("-incident", JobAct::Incident { incident: incident() }),
        act("-close", JobAct::Close { receipt: purged() }),
        golden("job-record", "job-record", &record),
        golden("job-record-of-a-draft", "job-record", &unworked),
        other("signed-exchange-opening", of_log(Kind::ExchangeOpening, cbor::encode(&opening()))),
        other("signed-delivery", of_log(Kind::Delivery, cbor::encode(&delivery(true)))),
        other("signed-job-agreement", agreed(opens())),
        other("signed-job-record", of_log(Kind::JobRecord, cbor::encode(&record))),
        statement(Operation::JobOpen, request(Operation::JobOpen, &open())),
        statement(Operation::CardDerive, request(Operation::CardDerive, &derive())),
        statement(Operation::JobCreate, request(Operation::JobCreate, &create())),
        statement(Operation::JobItems, request(Operation::JobItems, &add())),
        statement(Operation::JobSeal, request(Operation::JobSeal, &seal())),
        statement(Operation::JobWithdraw, request(Operation::JobWithdraw, &withdraw())),
        statement(Operation::JobResume, request(Operation::JobResume, &resume())),
        statement(Operation::JobSuspend, request(Operation::JobSuspend, &suspend())),
        statement(Operation::CardResult, request(Operation::CardResult, &results(Outcome::Good, 2))),
        statement(Operation::JobCount, request(Operation::JobCount, &count())),
        statement(Operation::JobIncident, request(Operation::JobIncident, &report())),
        statement(Operation::JobClose, request(Operation::JobClose, &close())),
        statement(Operation::CardTransition, request(Operation::CardTransition, &transition(true))),
    ]
}

pub(super) fn replies() -> Vec<Golden> {
    let (schema, receipt) = (SCHEMA, receipt(None));
    let of_service = |kind, payload| signed(kind, genesis().as_bytes(), payload);
    let opening = blob(of_service(Kind::ExchangeOpening, cbor::encode(&opening())));
    let delivery = blob(of_service(Kind::Delivery, cbor::encode(&delivery(true))));
    let opened = JobOpenReply { schema, opening, receipt: receipt.clone() };
    let changed = |state| JobChangedReply { schema, state, receipt: receipt.clone() };
    let signed = of_service(Kind::JobRecord, cbor::encode(&record(worked(), tally())));
    let recorded = JobRecordReply {
        schema,
        record: blob(signed),
        receipt: super::messages::receipt(Some(leaf_evidence())),
    };
    let blank = CardReply {
        schema,
        card: ShownCard::masked(&uid()),
        state: CardState::Blank,
        generation: 0,
        profile: None,
        location: None,
        job: None,
        holder: None,
    };
    let known = CardReply {
        card: ShownCard::Whole { card: uid() },
        state: CardState::Active,
        generation: 1,
        profile: Some(name("generated")),
        location: Some(name("acme")),
        job: Some(job()),
        holder: Some(HolderRef(blob(b"crm:7".to_vec()))),
        ..blank.clone()
    };
    let jobs = list(vec![view(None), view(Some(numbers()))]);
    vec![
        of("reply", Operation::JobOpen, &opened),
        of("reply", Operation::JobResume, &opened),
        of("reply", Operation::CardDerive, &CardDeriveReply { schema, delivery, receipt: receipt.clone() }),
        of("reply", Operation::JobCreate, &changed(JobState::Draft)),
        of("reply", Operation::JobItems, &changed(JobState::Draft)),
        of("reply", Operation::JobSeal, &changed(JobState::Sealed)),
        of("reply", Operation::JobWithdraw, &changed(JobState::Closed)),
        of("reply", Operation::JobSuspend, &changed(JobState::Suspended)),
        of("reply", Operation::CardResult, &changed(JobState::Open)),
        of("reply", Operation::JobCount, &JobCountReply { schema, balanced: true, receipt: receipt.clone() }),
        of("reply", Operation::JobIncident, &changed(JobState::Suspended)),
        of("reply", Operation::JobClose, &changed(JobState::Purged)),
        of("reply", Operation::JobGet, &JobReply { schema, job: view(Some(numbers())) }),
        golden("reply-job.get-blind", "reply-job.get", &JobReply { schema, job: view(None) }),
        of("reply", Operation::JobList, &JobListReply { schema, jobs }),
        of("reply", Operation::JobRecord, &recorded),
        of("reply", Operation::CardCheck, &known),
        golden("reply-card.check-blank", "reply-card.check", &blank),
        of("reply", Operation::CardTransition, &CardsMovedReply { schema, receipt }),
    ]
}

pub(super) fn refusals() -> Vec<Golden> {
    let conflict = |reason| Refusal::StateConflict { reason };
    let uncounted = |reason| Refusal::ApprovalInvalid { reason };
    let refusals = [
        ("result-pending", Refusal::ResultPending),
        ("purge-pending", Refusal::PurgePending),
        ("job-state", conflict(Conflict::JobState { state: JobState::Suspended })),
        ("job-complete", conflict(Conflict::JobComplete)),
        ("card-state", conflict(Conflict::CardState { state: CardState::Destroyed })),
        ("generation", conflict(Conflict::Generation { newest: 1 })),
        ("other-station", conflict(Conflict::OtherStation)),
        ("session-over", conflict(Conflict::SessionOver)),
        ("unbalanced", conflict(Conflict::Unbalanced)),
        ("other-job", conflict(Conflict::OtherJob)),
        ("not-in-role", uncounted(Uncounted::NotInRole)),
        ("other-act", uncounted(Uncounted::OtherAct)),
        ("stale", uncounted(Uncounted::Stale)),
        ("used-before", uncounted(Uncounted::UsedBefore)),
        ("no-job", Refusal::NotFound { what: Thing::Job }),
        ("no-card", Refusal::NotFound { what: Thing::Card }),
        ("no-item", Refusal::NotFound { what: Thing::Item }),
        ("job-head", Refusal::Invalid { reason: Invalid::Job }),
        ("manifest", Refusal::Invalid { reason: Invalid::Manifest }),
        ("read-back", Refusal::Invalid { reason: Invalid::ReadBack }),
    ];
    let reply = |(name, refusal): (&str, Refusal)| {
        let reply = RefusalReply::new(refusal, RequestId(Idem::new([3; 16])));
        golden(format!("refusal-reply-{name}"), "refusal-reply", &reply)
    };
    refusals.into_iter().map(reply).collect()
}

pub(super) fn leaves() -> Vec<Golden> {
    let mut all = leaves_of_jobs();
    all.extend(leaves_of_cards());
    all
}

fn leaves_of_jobs() -> Vec<Golden> {
    let schema = SCHEMA;
    let opened = JobOpenedLeaf {
        schema,
        station: name("station-1"),
        operation: Operation::JobOpen,
        exchange: exchange(),
        expires_at_ms: TIME_MS + 2 * HOUR_MS,
        statement: statement(Operation::JobOpen, &open()),
    };
    let resumed = JobOpenedLeaf {
        operation: Operation::JobResume,
        statement: statement(Operation::JobResume, &resume()),
        ..opened.clone()
    };
    let changed = JobChangedLeaf {
        schema,
        principal: name("data-1"),
        operation: Operation::JobCreate,
        statement: statement(Operation::JobCreate, &create()),
    };
    let closed = JobChangedLeaf {
        schema,
        principal: name("station-1"),
        operation: Operation::JobClose,
        statement: statement(Operation::JobClose, &close()),
    };
    let items =
        JobItemsLeaf { schema, principal: name("data-1"), statement: statement(Operation::JobItems, &add()) };
    let reported = IncidentReportedLeaf {
        schema,
        station: name("station-1"),
        statement: statement(Operation::JobIncident, &report()),
    };
    let purged = |had_key| JobPurgedLeaf { schema, job: job(), had_key };
    let made =
        JobRecordMadeLeaf { schema, reader: name("auditor-1"), job: job(), record: Digest::new([0x92; 32]) };
    vec![
        golden("leaf-job-opened", "leaf-job-opened", &opened),
        golden("leaf-job-opened-resumed", "leaf-job-opened", &resumed),
        golden("leaf-job-changed", "leaf-job-changed", &changed),
        golden("leaf-job-changed-closed", "leaf-job-changed", &closed),
        golden("leaf-job-items-added", "leaf-job-items-added", &items),
        golden("leaf-incident-reported", "leaf-incident-reported", &reported),
        golden("leaf-job-purged", "leaf-job-purged", &purged(true)),
        golden("leaf-job-purged-without-a-key", "leaf-job-purged", &purged(false)),
        golden("leaf-job-record-made", "leaf-job-record-made", &made),
    ]
}

fn leaves_of_cards() -> Vec<Golden> {
    let schema = SCHEMA;
    let derived = CardKeysDerivedLeaf {
        schema,
        station: name("station-1"),
        profile: name("generated"),
        profile_version: 1,
        cards: 1,
        count: 2,
        root: Digest::new([0xb3; 32]),
        statement: statement(Operation::CardDerive, &derive()),
    };
    let input = DerivedItem {
        schema,
        card: uid(),
        slot: 0,
        key: name("demo-generated"),
        key_version: 1,
        input: Digest::new([0xb4; 32]),
    };
    let given = CardsChangedLeaf {
        schema,
        principal: name("station-1"),
        operation: Operation::CardResult,
        statement: statement(Operation::CardResult, &results(Outcome::Good, 2)),
    };
    let moved = CardsChangedLeaf {
        principal: name("office-1"),
        operation: Operation::CardTransition,
        statement: statement(Operation::CardTransition, &transition(true)),
        ..given.clone()
    };
    vec![
        golden("leaf-card-keys-derived", "leaf-card-keys-derived", &derived),
        golden("derived-item", "derived-item", &input),
        golden("leaf-cards-changed", "leaf-cards-changed", &given),
        golden("leaf-cards-changed-moved", "leaf-cards-changed", &moved),
    ]
}

#[test]
fn what_belongs_to_a_job_is_kept_as_its_class_says() {
    assert_eq!(LeafKind::JobItemsAdded.class(), RetentionClass::Job);
    assert_eq!(LeafKind::IncidentReported.class(), RetentionClass::Incident);
    assert_eq!(LeafKind::JobPurged.class(), RetentionClass::Permanent);
    for kind in [LeafKind::JobOpened, LeafKind::JobChanged, LeafKind::CardsChanged, LeafKind::JobRecordMade] {
        assert_eq!(kind.class(), RetentionClass::Operational);
    }
}
