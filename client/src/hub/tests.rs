//! Proves a batch's outcomes over a test log.

use super::*;
use crate::{
    Terminal,
    connect::stand_in::{StandIn, Step},
    testing::{
        Log,
        service::{Shared, serve},
    },
    update::tests::request,
};
use keysvc_protocol::{
    bytes::Idem,
    cbor::{self, REPLY_LEN_MAX},
    request::UpdateValue,
};

/// Requests of one till with these purses; purse 9 is refused.
async fn requests(ground: &StandIn, purses: &[u8]) -> Vec<SignedRequest> {
    let till = Terminal::connect(&ground.config()).await.unwrap();
    let mut signed = Vec::new();
    for (number, purse) in (1..).zip(purses) {
        let request = UpdateValue { txn: Idem::new([number; 16]), purse: *purse, ..request() };
        signed.push(till.sign_update(&request).await.unwrap());
    }
    signed
}

/// A service whose batch replies are changed before they are sent.
async fn changed(mut change: impl FnMut(&mut Vec<UpdateOutcome>) + Send + 'static) -> (StandIn, Shared) {
    serve(Log::new(4, 0), move |service, operation, envelope| {
        if operation != Operation::ValueBatch {
            return None;
        }
        let Step::Reply(bytes) = service.answer(operation, envelope) else { return None };
        let reply: ValueBatchReply = cbor::decode(&bytes, REPLY_LEN_MAX).unwrap();
        let mut outcomes = reply.outcomes.into_vec();
        change(&mut outcomes);
        let outcomes = outcomes.try_into().unwrap();
        Some(Step::Reply(cbor::encode(&ValueBatchReply { outcomes, ..reply })))
    })
    .await
}

#[tokio::test]
async fn each_update_of_a_batch_has_its_own_outcome_and_its_own_leaf() {
    let (ground, service) = changed(|_| {}).await;
    let signed = requests(&ground, &[1, 9, 1, 1]).await;
    let hub = Hub::connect(&ground.config()).await.unwrap();
    // As they come from the tills.
    let carried: Vec<_> =
        signed.iter().map(|request| hub.accept(request.as_bytes().to_vec()).unwrap()).collect();
    assert_eq!(carried, signed);
    let outcomes = hub.send(&carried).await.unwrap();
    let [Ok(one), Err(NotReleased::Refused(refusal)), Ok(three), Ok(four)] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    assert_eq!(*refusal, Refusal::CounterConflict { expected_seq: 5 });
    assert_eq!([one, three, four].map(|update| update.leaf_index), [5, 6, 7]);
    assert_eq!(one.checkpoint, service.lock().unwrap().log.checkpoint(8));
    assert_eq!(four.update.txn, Idem::new([4; 16]));
    assert_eq!(hub.reader().seen(), Some(one.checkpoint.clone()));
}

#[tokio::test]
async fn an_outcome_in_anothers_place_is_not_released_and_the_others_are() {
    let (ground, _) = changed(|outcomes| outcomes.swap(0, 1)).await;
    let signed = requests(&ground, &[1, 1, 1]).await;
    let hub = Hub::connect(&ground.config()).await.unwrap();
    let outcomes = hub.send(&signed).await.unwrap();
    for outcome in &outcomes[..2] {
        let Err(NotReleased::Unproved(error)) = outcome else { panic!("{outcome:?}") };
        assert!(error.to_string().contains("the update is not the one asked for"), "{error}");
    }
    assert!(outcomes[2].is_ok());
}

#[tokio::test]
async fn an_update_whose_leaf_is_not_in_the_batchs_checkpoint_is_not_released() {
    let (ground, _) = changed(|outcomes| {
        if let UpdateOutcome::Signed { inclusion, .. } = &mut outcomes[0] {
            *inclusion = Proof::default();
        }
    })
    .await;
    let signed = requests(&ground, &[1, 1]).await;
    let outcomes = Hub::connect(&ground.config()).await.unwrap().send(&signed).await.unwrap();
    assert!(matches!(outcomes[0], Err(NotReleased::Unproved(_))));
    assert!(outcomes[1].is_ok());
}

#[tokio::test]
async fn fewer_outcomes_than_updates_are_malformed() {
    let (ground, _) = changed(|outcomes| drop(outcomes.pop())).await;
    let signed = requests(&ground, &[1, 1]).await;
    let result = Hub::connect(&ground.config()).await.unwrap().send(&signed).await;
    assert!(matches!(result, Err(ClientError::Malformed { .. })), "{result:?}");
}

#[tokio::test]
async fn an_empty_batch_one_over_the_limit_or_one_with_a_request_twice_is_not_sent() {
    let (ground, service) = changed(|_| {}).await;
    let signed = requests(&ground, &[1]).await;
    let hub = Hub::connect(&ground.config()).await.unwrap();
    let asked = service.lock().unwrap().bodies.len();
    for updates in [vec![], vec![signed[0].clone(); 2], vec![signed[0].clone(); Hub::BATCH_MAX + 1]] {
        assert!(matches!(hub.send(&updates).await, Err(ClientError::Request { .. })));
    }
    assert_eq!(service.lock().unwrap().bodies.len(), asked);
}
