//! A store's hub: it passes on what its terminals signed, in one commit, and can change nothing of it.

use keysvc_protocol::{
    bytes::Blob,
    cbor,
    cose::{Kind, Signed},
    leaf::{LeafKind, RefusedLeaf, ValueUpdatedLeaf},
    merkle::{Inclusion, leaf_hash, verify_inclusion},
    refusal::{Invalid, Refusal},
    reply::{UpdateOutcome, ValueBatchReply, ValueUpdateReply},
    request::{BATCH_MAX, Operation, UpdateValue, UpdateValues, ValueOperation::Load},
    schema::Schema,
};
use keysvc_tests::{
    ground::Ground,
    raw::{self, Caller},
};

/// A first load of one of many cards.
fn load(card: usize, amount: u64) -> UpdateValue {
    UpdateValue { card: format!("04{card:012x}").parse().unwrap(), ..raw::update(Load, 1, amount, 0) }
}

/// What a terminal would send alone.
fn signed(ground: &Ground, terminal: &str, update: &UpdateValue) -> Vec<u8> {
    let (key, genesis) = (raw::key(ground.site(), terminal), raw::genesis(ground.site()));
    raw::sign(&key, Kind::Request(Operation::ValueUpdate), genesis.as_bytes(), cbor::encode(update))
}

fn batch(items: Vec<Vec<u8>>) -> UpdateValues {
    let items: Vec<_> = items.into_iter().map(|item| Blob::try_from(item).unwrap()).collect();
    UpdateValues { schema: Schema, updates: items.try_into().unwrap() }
}

fn send(ground: &Ground, items: Vec<Vec<u8>>) -> Result<ValueBatchReply, Refusal> {
    Caller::new(ground.site(), "office-1").ask(Operation::ValueBatch, &batch(items))
}

/// Why each was refused; none where it was signed.
fn refusals(reply: &ValueBatchReply) -> Vec<Option<Refusal>> {
    let refusal = |outcome: &UpdateOutcome| match outcome {
        UpdateOutcome::Signed { .. } => None,
        UpdateOutcome::Refused { refusal } => Some(refusal.clone()),
    };
    reply.outcomes.iter().map(refusal).collect()
}

#[test]
fn sixty_four_updates_of_a_hub_have_a_leaf_each_and_one_commit() {
    let ground = Ground::new();
    let updates: Vec<_> = (0..BATCH_MAX).map(|card| load(card, 100 + card as u64)).collect();
    let items = updates.iter().map(|update| signed(&ground, "terminal-1", update)).collect();
    let reply = send(&ground, items).unwrap();
    let head = reply.checkpoint.checkpoint().head;
    let mut indices = Vec::new();
    for (update, outcome) in updates.iter().zip(reply.outcomes.iter()) {
        let UpdateOutcome::Signed { record, leaf, inclusion } = outcome else { panic!("{outcome:?}") };
        let entry = leaf.check().unwrap();
        let claim =
            Inclusion { index: entry.index, size: head.size, leaf_hash: leaf_hash(leaf.entry.as_bytes()) };
        assert_eq!(verify_inclusion(&claim, inclusion, &head.root), Ok(()));
        let payload: ValueUpdatedLeaf =
            cbor::decode(leaf.payload.as_ref().unwrap().as_bytes(), 4096).unwrap();
        assert!(Signed::parse(record.as_bytes()).is_ok());
        let recorded = keysvc_protocol::value::ValueUpdate::from_payload(payload.update.as_bytes()).unwrap();
        assert_eq!((recorded.txn, recorded.amount), (update.txn, update.amount));
        assert_eq!(recorded.terminal.as_str(), "terminal-1", "the terminal that signed it, not the hub");
        indices.push(entry.index);
    }
    // Next to each other and all new when the checkpoint was signed: one commit, and its last leaf is the last of them.
    let first = indices[0];
    assert_eq!(indices, (first..first + BATCH_MAX as u64).collect::<Vec<_>>());
    assert_eq!(head.size, first + BATCH_MAX as u64);
}

#[test]
fn what_is_refused_in_a_batch_leaves_the_others_whole_and_has_its_own_leaf() {
    let ground = Ground::new();
    let foreign = signed(&ground, "terminal-2", &load(1, 100));
    let stranger = signed(&ground, "stranger", &load(2, 100));
    let mut altered = signed(&ground, "terminal-1", &load(3, 100));
    let last = altered.len() - 1;
    altered[last] ^= 1;
    let conflict = UpdateValue { expected_seq: 2, ..load(4, 100) };
    let second = UpdateValue { expected_seq: 2, balance_before: 500, ..load(5, 200) };
    let items = vec![
        signed(&ground, "terminal-1", &load(5, 500)),
        foreign,
        stranger,
        altered,
        b"no statement".to_vec(),
        signed(&ground, "terminal-1", &conflict),
        // Of the same purse as the first: the order of the batch holds.
        signed(&ground, "terminal-1", &second),
    ];
    let reply = send(&ground, items).unwrap();
    let invalid = |reason| Some(Refusal::Invalid { reason });
    assert_eq!(
        refusals(&reply),
        [
            None,
            Some(Refusal::Forbidden),
            invalid(Invalid::Signature),
            invalid(Invalid::Signature),
            invalid(Invalid::NotSigned),
            Some(Refusal::CounterConflict { expected_seq: 1 }),
            None,
        ]
    );
    let leaves = raw::leaves(&ground);
    let updated: Vec<ValueUpdatedLeaf> = raw::of_kind(&leaves, LeafKind::ValueUpdated);
    assert_eq!(updated.len(), 2);
    let refused: Vec<RefusedLeaf> = raw::of_kind(&leaves, LeafKind::Refused);
    let told: Vec<_> = refused.iter().map(|leaf| (leaf.principal.as_str(), &leaf.refusal)).collect();
    // The ledger's own refusal comes first, for it is decided where the update stands in the order.
    assert_eq!(told.len(), 5);
    assert!(told.contains(&("terminal-1", &Refusal::CounterConflict { expected_seq: 1 })));
    assert_eq!(told.iter().filter(|(principal, _)| *principal == "office-1").count(), 4);
    assert!(refused.iter().all(|leaf| leaf.operation == Operation::ValueUpdate));
}

#[test]
fn an_update_repeated_alone_or_in_another_batch_is_the_same_update() {
    let ground = Ground::new();
    let update = load(1, 700);
    let item = signed(&ground, "terminal-1", &update);
    let index = |reply: &ValueBatchReply| match &reply.outcomes[0] {
        UpdateOutcome::Signed { leaf, .. } => leaf.check().unwrap().index,
        refused @ UpdateOutcome::Refused { .. } => panic!("{refused:?}"),
    };
    let first = index(&send(&ground, vec![item.clone()]).unwrap());
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let alone: ValueUpdateReply = terminal.line.put(Operation::ValueUpdate, item.clone()).unwrap();
    assert_eq!(alone.receipt.leaf_index, first);
    let again = send(&ground, vec![item, signed(&ground, "terminal-1", &load(2, 100))]).unwrap();
    assert_eq!((index(&again), refusals(&again)), (first, vec![None, None]));
    let updated: Vec<ValueUpdatedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::ValueUpdated);
    assert_eq!(updated.len(), 2);
}

#[test]
fn an_empty_batch_and_one_with_an_item_twice_are_refused_whole() {
    let ground = Ground::new();
    let item = signed(&ground, "terminal-1", &load(1, 100));
    let items = Err(Refusal::Invalid { reason: Invalid::Items });
    assert_eq!(send(&ground, vec![]), items);
    assert_eq!(send(&ground, vec![item.clone(), item]), items);
    let updated: Vec<ValueUpdatedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::ValueUpdated);
    assert_eq!(updated, []);
}

#[test]
fn a_batch_of_sixty_five_is_no_request() {
    let ground = Ground::new();
    let whole = cbor::encode(&batch((0..BATCH_MAX).map(|card| vec![card as u8]).collect()));
    // The head of the list: 64 items of two bytes each before the end.
    let head = whole.len() - BATCH_MAX * 2 - 2;
    assert_eq!(whole[head..head + 2], [0x98, 64]);
    let mut more = whole;
    more[head + 1] = 65;
    more.extend([0x41, 0xff]);
    let mut hub = Caller::new(ground.site(), "office-1");
    let answer = hub.ask_bytes::<ValueBatchReply>(Operation::ValueBatch, more);
    assert_eq!(answer, Err(Refusal::Invalid { reason: Invalid::Encoding }));
}
