//! A captured front: what it may say to the keeper, to a terminal, an officer, an auditor and a station, who finds it out
//! and as what; and what it can do, which nobody finds out.
//!
//! A front of the test's own stands in the true one's place: it has the service's TLS key and speaks to the real keeper over
//! the real link. Each lie has a line in one of the tables: what is done, who notices, in which words. After each the log is
//! read over the true front: nothing was acted on that was not asked for truly.
//!
//! What it tries in officers' names, and against votes and approvals, is in `attacks/front.rs` besides.

#[path = "captured_front/abilities.rs"]
mod abilities;
#[path = "captured_front/downward.rs"]
mod downward;
#[path = "captured_front/frames.rs"]
mod frames;
#[path = "captured_front/front.rs"]
mod front;
#[path = "captured_front/people.rs"]
mod people;
#[path = "captured_front/senseless.rs"]
mod senseless;
#[path = "captured_front/station.rs"]
mod station;
#[path = "captured_front/table.rs"]
mod table;
#[path = "captured_front/upward.rs"]
mod upward;

use keysvc_tests::{ground::Ground, raw};
use std::collections::BTreeMap;
use table::{By, tell_all};

#[test]
fn each_lie_of_a_captured_front_to_the_keeper_is_refused_by_name_and_nothing_comes_of_it() {
    let ground = Ground::new();
    let mut stage = upward::Upward::of(&ground);
    tell_all(&mut stage, upward::LIES);
    tell_all(&mut stage, senseless::LIES);
    stage.close();
}

#[test]
fn each_lie_of_a_captured_front_to_a_terminal_or_an_auditor_is_found_out_by_it() {
    let ground = Ground::new();
    let mut stage = downward::Downward::of(&ground);
    tell_all(&mut stage, downward::LIES);
    tell_all(&mut stage, abilities::ABILITIES);
}

#[test]
fn each_lie_of_a_captured_front_to_an_officer_is_found_out_by_the_officers_program_or_the_keeper() {
    let ground = Ground::new();
    let mut stage = people::People::of(&ground);
    tell_all(&mut stage, people::LIES);
    stage.close();
}

#[test]
fn each_lie_of_a_captured_front_to_a_station_is_found_out_before_a_key_is_opened() {
    let test = "each_lie_of_a_captured_front_to_a_station_is_found_out_before_a_key_is_opened";
    raw::with_tokens(test, &["station-1"], Ground::new, |site, _| {
        tell_all(&mut station::Bench::of(site), station::LIES);
    });
}

#[test]
fn the_tables_name_at_least_thirty_lies_that_are_found_out_and_all_that_a_captured_front_can_do() {
    let all = [
        upward::LIES.iter().chain(senseless::LIES).map(|lie| (lie.name, lie.by)).collect::<Vec<_>>(),
        downward::LIES.iter().chain(abilities::ABILITIES).map(|lie| (lie.name, lie.by)).collect(),
        people::LIES.iter().map(|lie| (lie.name, lie.by)).collect(),
        station::LIES.iter().map(|lie| (lie.name, lie.by)).collect(),
    ]
    .concat();
    let mut by: BTreeMap<By, Vec<&str>> = BTreeMap::new();
    for (name, who) in &all {
        by.entry(*who).or_default().push(name);
    }
    let can = by.remove(&By::Nobody).unwrap();
    let found: usize = by.values().map(Vec::len).sum();
    for (who, lies) in &by {
        println!("found out by {who:?}: {}", lies.len());
    }
    println!("what it can do: {}", can.join("; "));
    assert!(found >= 30, "{found}");
    assert_eq!(by.len(), 6, "each of them finds something out");
}
