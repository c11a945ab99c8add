//! A store without room: nothing of the batch stays, in the database or in memory, and the next one goes on.

use super::*;

/// Lets the database grow by so many pages and no more.
fn room_for(store: &Store, pages: i64) {
    let most = store.pragma("page_count") + pages;
    store.sqlite.connection.pragma_update(None, "max_page_count", most).unwrap();
}

fn refused(store: &mut Store, batch: &[Change]) {
    let before = (store.sqlite.state.frontier.head(), store.sqlite.state.last_ms);
    let fault = store.sqlite.apply(batch, ground::moment(NOW_MS)).unwrap_err();
    assert!(matches!(fault, LedgerFault::NoRoom(_)) && !fault.ends_the_keeper(), "{fault:?}");
    assert_eq!((store.sqlite.state.frontier.head(), store.sqlite.state.last_ms), before);
    assert!(store.sqlite.connection.is_autocommit(), "the transaction is given up");
}

#[test]
fn a_batch_that_meets_a_disk_without_room_is_undone_and_the_same_one_goes_through_with_room() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    store.recorded(&first_load(0));
    let batch: Vec<_> = (1..60).map(first_load).collect();
    let head = store.reader.head();
    for pages in 0..4 {
        room_for(&store, pages);
        refused(&mut store, &batch);
        assert_eq!(store.reader.head(), head);
    }
    room_for(&store, 10_000);
    let applied = store.apply(&batch, NOW_MS);
    let made = |outcome: &Result<Outcome, LedgerFault>| {
        matches!(outcome, Ok(Outcome::Recorded(Recording { retried: false, .. })))
    };
    assert!(applied.outcomes.iter().all(made), "nothing of the undone batches was taken for done");
    assert_eq!(store.reader.head().size, head.size + 59);
    // What a restart reads is what memory says.
    let head = store.reader.head();
    drop(store);
    assert_eq!(Store::open(&folder, seals()).reader.head(), head);
}

#[test]
fn the_key_of_the_tags_made_in_an_undone_batch_is_stored_with_the_next_leaf() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let batch: Vec<_> = (0..60).map(first_load).collect();
    room_for(&store, 0);
    refused(&mut store, &batch);
    room_for(&store, 10_000);
    store.apply(&batch, NOW_MS);
    drop(store);
    // Found again by its tag: a second first load of the card would be another history.
    let mut store = Store::open(&folder, seals());
    let mut again = first_load(3);
    if let Change::UpdateValue { retry: asked, .. } = &mut again {
        *asked = retry(9_999, b"another");
    }
    let again = store.one(&again, NOW_MS);
    assert!(matches!(again, Ok(Outcome::Refused(Refusal::CounterConflict { expected_seq: 2 }))), "{again:?}");
}
