//! Proves an operator's calls over a test log: what is sent in portions, what a seal states, what is refused before it.

use super::*;
use crate::{
    connect::stand_in::{StandIn, Step},
    testing::{
        Key, Log, STATION,
        service::{payload, serve},
    },
};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    job::{Done, ItemData, Tally},
    refusal::Refusal,
    reply::{JobNumbers, JobReply},
    request::SealJob,
};
use std::sync::{Arc, Mutex};

fn item(number: u32) -> JobItem {
    let card = [&[4, 0, 0][..], &number.to_be_bytes()].concat();
    let data = ItemData(Blob::try_from(vec![7; 100]).unwrap());
    JobItem { card: card.as_slice().try_into().unwrap(), data }
}

fn head() -> JobHead {
    JobHead {
        schema: Schema,
        order: "order 4711".parse().unwrap(),
        customer: "coffee".parse().unwrap(),
        profile: "fob".parse().unwrap(),
        profile_version: 1,
        lot: "lot 9".parse().unwrap(),
        station: "station-1".parse().unwrap(),
        equipment: "encoder 1".parse().unwrap(),
        ordered: 2,
        issued: 3,
        carried_over: 0,
        listed: true,
        due_ms: 1_000,
    }
}

/// A draft with these items, as it is shown to a data operator.
fn shown(items: &[JobItem]) -> JobView {
    let head = head();
    let numbers = JobNumbers {
        customer: head.customer.clone(),
        lot: head.lot.clone(),
        ordered: head.ordered,
        issued: head.issued,
        carried_over: head.carried_over,
        items: u32::try_from(items.len()).unwrap(),
        head: head.digest(),
        root: manifest_root(items),
        tally: Tally::default(),
        created: Done { by: "data-1".parse().unwrap(), at_ms: 5, leaf: 3 },
        sessions: 0,
        suspensions: 0,
        incidents: 0,
        counts: 0,
        balance: None,
        sealed: None,
    };
    JobView {
        name: "job-1".parse().unwrap(),
        state: JobState::Draft,
        order: head.order,
        profile: head.profile,
        profile_version: head.profile_version,
        station: head.station,
        equipment: head.equipment,
        listed: head.listed,
        due_ms: head.due_ms,
        pending: 0,
        overdue: false,
        operators: Vec::new().try_into().unwrap(),
        session_expires_ms: None,
        numbers: Some(numbers),
    }
}

#[derive(Default)]
struct Asked {
    items: Vec<AddJobItems>,
    seals: Vec<SealJob>,
}

/// A far end that shows this job, and fails at the `fails`-th portion.
async fn desk(view: JobView, fails: usize) -> (StandIn, Operator, Arc<Mutex<Asked>>) {
    let asked = Arc::new(Mutex::new(Asked::default()));
    let record = asked.clone();
    let (ground, _) = serve(Log::new(4, 0), move |service, operation, envelope| {
        let (genesis, key) = (service.log.trust().genesis, Key::new(STATION).public());
        let mut asked = record.lock().unwrap();
        match operation {
            Operation::JobGet => {
                return Some(Step::Reply(cbor::encode(&JobReply { schema: Schema, job: view.clone() })));
            }
            Operation::JobItems => {
                asked.items.push(payload(operation, envelope, &genesis, &key));
                if asked.items.len() == fails {
                    return Some(Step::Refuse(Refusal::LimitExceeded { limit: 3 }));
                }
            }
            Operation::JobSeal => asked.seals.push(payload(operation, envelope, &genesis, &key)),
            _ => return None,
        }
        let mut receipt = service.receipt(envelope);
        (receipt.leaf, receipt.inclusion) = (None, None);
        Some(Step::Reply(cbor::encode(&JobChangedReply { schema: Schema, state: JobState::Draft, receipt })))
    })
    .await;
    ground.put("statement", &Key::new(STATION).pem());
    let operator = Operator::connect(&ground.config()).await.unwrap();
    (ground, operator, asked)
}

fn job() -> Name {
    "job-1".parse().unwrap()
}

#[tokio::test]
async fn items_go_in_portions_and_the_same_items_are_the_same_requests() {
    let items: Vec<JobItem> = (0..1_200).map(item).collect();
    let (_ground, operator, asked) = desk(shown(&items), 2).await;
    let mut heard = Vec::new();
    let broken = operator.add_items(&job(), &items, |added| heard.push(added)).await;
    assert!(matches!(broken, Err(ClientError::Refused(_))), "{broken:?}");
    assert_eq!(heard.len(), 1);
    operator.add_items(&job(), &items, |added| heard.push(added)).await.unwrap();
    assert_eq!(heard.last(), Some(&1_200));
    let asked = asked.lock().unwrap();
    let [first, second, whole @ ..] = asked.items.as_slice() else { panic!("{}", asked.items.len()) };
    assert_eq!([first, second], [&whole[0], &whole[1]]);
    let sent: Vec<JobItem> = whole.iter().flat_map(|request| request.items.to_vec()).collect();
    assert_eq!(sent, items);
    assert!(whole.iter().all(|request| cbor::encode(request).len() < cbor::REQUEST_LEN_MAX));
}

#[tokio::test]
async fn no_items_are_no_request() {
    let (_ground, operator, asked) = desk(shown(&[]), 0).await;
    assert!(matches!(operator.add_items(&job(), &[], |_| ()).await, Err(ClientError::Request { .. })));
    assert!(asked.lock().unwrap().items.is_empty());
}

#[tokio::test]
async fn a_seal_states_the_head_and_manifest_that_the_person_saw() {
    let items: Vec<JobItem> = (0..2).map(item).collect();
    let (_ground, operator, asked) = desk(shown(&items), 0).await;
    let sealing = operator.to_seal(&job(), Some(&items)).await.unwrap();
    assert_eq!((&sealing.head, sealing.items, sealing.created_by.as_str()), (&head(), 2, "data-1"));
    operator.seal(&sealing).await.unwrap();
    operator.seal_job(&job(), None).await.unwrap();
    let asked = asked.lock().unwrap();
    assert_eq!((asked.seals[0].head, asked.seals[0].root), (head().digest(), manifest_root(&items)));
    assert_eq!(asked.seals[0], asked.seals[1]);
}

#[tokio::test]
async fn nobody_seals_another_list_than_their_own() {
    let items: Vec<JobItem> = (0..3).map(item).collect();
    let (_ground, operator, asked) = desk(shown(&items), 0).await;
    let swapped = [items[1].clone(), items[0].clone(), items[2].clone()];
    for own in [&items[..2], &swapped, &[]] {
        let error = operator.seal_job(&job(), Some(own)).await.unwrap_err();
        assert!(error.to_string().contains("not those of your list"), "{error}");
    }
    assert!(asked.lock().unwrap().seals.is_empty());
}

#[tokio::test]
async fn a_job_that_is_shown_other_than_it_would_be_sealed_is_not_sealed() {
    let items: Vec<JobItem> = (0..2).map(item).collect();
    let changes: [fn(&mut JobView); 4] = [
        |view| view.station = "station-2".parse().unwrap(),
        |view| view.due_ms += 1,
        |view| view.numbers.as_mut().unwrap().issued += 1,
        |view| view.numbers.as_mut().unwrap().head = Digest::new([1; 32]),
    ];
    for change in changes {
        let mut view = shown(&items);
        change(&mut view);
        let (_ground, operator, _) = desk(view, 0).await;
        let error = operator.to_seal(&job(), None).await.unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { .. }), "{error:?}");
    }
    let (_ground, operator, _) = desk(JobView { numbers: None, ..shown(&items) }, 0).await;
    let error = operator.to_seal(&job(), None).await.unwrap_err();
    assert!(matches!(error, ClientError::Request { .. }), "{error:?}");
}
