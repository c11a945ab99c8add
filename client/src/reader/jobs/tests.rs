//! Proves that jobs are paged to their end, that cards are those asked for, and that an audit record is believed only where
//! the service signed it, recorded it, and made it out of our log.

use super::*;
use crate::{
    connect::stand_in::{StandIn, Step},
    testing::{
        Key, Log, STATEMENT,
        service::{Service, serve},
    },
};
use keysvc_protocol::{
    bytes::{Blob, Digest, Ends},
    card::CardState,
    cbor::REQUEST_LEN_MAX,
    cose::Kind,
    job::{Done, Job, JobHead, JobState, Tally},
    list::List,
    request::Envelope,
};

fn name(number: usize) -> Name {
    format!("job-{number:05}").parse().unwrap()
}

fn view(number: usize) -> JobView {
    JobView {
        name: name(number),
        state: JobState::Open,
        order: "order".parse().unwrap(),
        profile: "fob".parse().unwrap(),
        profile_version: 1,
        station: "station-1".parse().unwrap(),
        equipment: "encoder".parse().unwrap(),
        listed: true,
        due_ms: 5,
        pending: 0,
        overdue: false,
        operators: List::default(),
        session_expires_ms: None,
        numbers: None,
    }
}

/// A far end with these jobs, three a page.
async fn listing(jobs: Vec<JobView>, honest: bool) -> (StandIn, Reader) {
    let (ground, _) = serve(Log::new(4, 0), move |_, operation, envelope| {
        if operation != Operation::JobList {
            return None;
        }
        let asked: ListJobs = cbor::decode(envelope.request.as_bytes(), REQUEST_LEN_MAX).unwrap();
        let after = |job: &&JobView| !honest || asked.after.as_ref().is_none_or(|after| job.name > *after);
        let page: Vec<JobView> = jobs.iter().filter(after).take(3).cloned().collect();
        let jobs = page.try_into().unwrap();
        Some(Step::Reply(cbor::encode(&JobListReply { schema: Schema, jobs })))
    })
    .await;
    let reader = Reader::connect(&ground.config()).await.unwrap();
    (ground, reader)
}

#[tokio::test]
async fn jobs_are_paged_to_their_end_and_from_a_name_on() {
    let jobs: Vec<JobView> = (0..8).map(view).collect();
    let (_ground, reader) = listing(jobs.clone(), true).await;
    assert_eq!(reader.jobs(true, None).await.unwrap(), jobs);
    assert_eq!(reader.jobs(true, Some(name(5))).await.unwrap(), jobs[6..]);
}

#[tokio::test]
async fn jobs_out_of_order_or_without_an_end_are_malformed() {
    for (jobs, honest) in
        [(vec![view(2), view(1)], true), (vec![view(1), view(1)], true), (vec![view(1)], false)]
    {
        let (_ground, reader) = listing(jobs, honest).await;
        assert!(matches!(reader.jobs(true, None).await, Err(ClientError::Malformed { .. })));
    }
}

#[tokio::test]
async fn another_job_or_card_than_asked_for_is_malformed_and_a_masked_one_is_told_by_its_ends() {
    let card: CardUid = "04782e21801d80".parse().unwrap();
    let mut shown = vec![
        ShownCard::Whole { card: "04782e21801d81".parse().unwrap() },
        ShownCard::Masked { first: Ends::new([4, 0x78]), last: Ends::new([0x1d, 0x81]) },
        ShownCard::masked(&card),
        ShownCard::Whole { card },
    ];
    let (ground, _) = serve(Log::new(4, 0), move |_, operation, _| match operation {
        Operation::CardCheck => Some(Step::Reply(cbor::encode(&CardReply {
            schema: Schema,
            card: shown.pop().unwrap(),
            state: CardState::Ready,
            generation: 1,
            profile: None,
            location: None,
            job: None,
            holder: None,
        }))),
        Operation::JobGet => Some(Step::Reply(cbor::encode(&JobReply { schema: Schema, job: view(1) }))),
        _ => None,
    })
    .await;
    let reader = Reader::connect(&ground.config()).await.unwrap();
    assert!(reader.card(&card).await.is_ok() && reader.card(&card).await.is_ok());
    for _ in 0..2 {
        assert!(matches!(reader.card(&card).await, Err(ClientError::Malformed { .. })));
    }
    assert!(reader.job(&name(1)).await.is_ok());
    assert!(matches!(reader.job(&name(2)).await, Err(ClientError::Malformed { .. })));
}

fn record(checkpoint: SignedCheckpoint) -> JobRecord {
    let head = JobHead {
        schema: Schema,
        order: "order".parse().unwrap(),
        customer: "coffee".parse().unwrap(),
        profile: "fob".parse().unwrap(),
        profile_version: 1,
        lot: "lot".parse().unwrap(),
        station: "station-1".parse().unwrap(),
        equipment: "encoder".parse().unwrap(),
        ordered: 1,
        issued: 1,
        carried_over: 0,
        listed: false,
        due_ms: 5,
    };
    let job = Job {
        schema: Schema,
        name: name(1),
        head,
        state: JobState::Draft,
        created: Done { by: "data-1".parse().unwrap(), at_ms: 1, leaf: 1 },
        items: 0,
        edge: List::default(),
        sessions: List::default(),
        suspensions: List::default(),
        counts: List::default(),
        incidents: List::default(),
        used: List::default(),
        root: None,
        sealed: None,
        closed: None,
        purged_ms: None,
    };
    JobRecord { schema: Schema, job, tally: Tally::default(), checkpoint, made_ms: 5 }
}

/// What a far end says of a record.
struct Says {
    record: JobRecord,
    key: u8,
    leaf: JobRecordMadeLeaf,
    kind: LeafKind,
}

impl Says {
    fn of(record: JobRecord) -> Self {
        let leaf = JobRecordMadeLeaf {
            schema: Schema,
            reader: "terminal-1".parse().unwrap(),
            job: record.job.name.clone(),
            record: sha256(&[&cbor::encode(&record)]),
        };
        Self { record, key: STATEMENT, leaf, kind: LeafKind::JobRecordMade }
    }

    fn answer(&self, service: &mut Service, envelope: &Envelope) -> Step {
        service.log.append(self.kind, cbor::encode(&self.leaf));
        let (receipt, genesis) = (service.receipt(envelope), service.log.trust().genesis);
        let signed = Key::new(self.key).cose(Kind::JobRecord, genesis.as_bytes(), cbor::encode(&self.record));
        let record = Blob::try_from(signed).unwrap();
        Step::Reply(cbor::encode(&JobRecordReply { schema: Schema, record, receipt }))
    }
}

async fn asked(says: Says) -> Result<RecordedJob, ClientError> {
    let (ground, _) = serve(Log::new(4, 0), move |service, operation, envelope| {
        (operation == Operation::JobRecord).then(|| says.answer(service, envelope))
    })
    .await;
    let reader = Reader::connect(&ground.config()).await.unwrap();
    reader.job_record(&name(1)).await
}

#[tokio::test]
async fn a_record_of_our_log_that_is_signed_and_recorded_is_taken_with_its_bytes() {
    for size in 1..=5 {
        let expected = record(Log::new(4, 0).checkpoint(size));
        let recorded = asked(Says::of(expected.clone())).await.unwrap();
        assert_eq!((&recorded.record, recorded.leaf_index), (&expected, 5));
        let founded =
            crate::trust_store::Founded::check(&Log::new(0, 0).trust(), &Log::new(0, 0).0[0]).unwrap();
        let read = JobRecord::verify(&recorded.message, founded.genesis(), founded.statement_key());
        assert_eq!(read.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_record_that_proves_nothing_is_refused() {
    let good = || record(Log::new(4, 0).checkpoint(5));
    let other_job = {
        let mut other = good();
        other.job.name = name(2);
        other
    };
    let other_leaf = JobRecordMadeLeaf { record: Digest::new([1; 32]), ..Says::of(good()).leaf };
    let cases = [
        (Says { key: 9, ..Says::of(good()) }, "not the service's statement"),
        (Says::of(other_job), "of another job"),
        (Says { leaf: other_leaf, ..Says::of(good()) }, "another record was made"),
        (Says { kind: LeafKind::Start, ..Says::of(good()) }, "another kind"),
        // A checkpoint of a fork, of a longer log, and by another key.
        (Says::of(record(Log::new(4, 1).checkpoint(5))), "its checkpoint"),
        (Says::of(record(Log::new(20, 0).checkpoint(20))), "its checkpoint"),
    ];
    for (says, why) in cases {
        let error = asked(says).await.unwrap_err();
        assert!(
            matches!(&error, ClientError::Untrusted { what, .. } if what.contains(why)),
            "{why}: {error:?}"
        );
    }
}
