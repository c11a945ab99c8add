//! A station's shift: card keys under a known and a generated master, several encoders on one station, and going on
//! after the keeper died.
//!
//! The station's token is its own, so each body runs in a child that sees it. The people of the floor have their keys in
//! files; nobody closes a job here.

use aes::Aes128;
use cmac::{Cmac, Mac as _};
use keysvc_client::{
    ClientConfig, Station, blocking,
    station::{CardKey, Delivered, Shift},
};
use keysvc_protocol::{
    bytes::{Exchange, from_hex},
    card::CardUid,
    job::{CardResult, Outcome},
    leaf::{CardKeysDerivedLeaf, JobOpenedLeaf, LeafKind, RefusedLeaf},
    refusal::Refusal,
    request::Operation,
};
use keysvc_tests::{
    ground::Ground,
    jobs::{Floor, head},
    raw,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use softhsm_setup::Site;
use std::{fs, thread, time::Duration};

/// NXP AN10922 section 2.2: the example's card.
const PUBLISHED_CARD: &str = "04782e21801d80";
const VECTORS: &str = include_str!("../vectors/an10922.json");
const JOB: &str = "order-1";

fn config(site: &Site, persona: &str) -> ClientConfig {
    ClientConfig::read(&site.home(persona).client_config()).unwrap()
}

/// The station, and the session of two operators in a job for cards of this profile.
fn at_work(site: &Site, persona: &str, profile: &str) -> (blocking::Station, Shift) {
    let mut floor = Floor::without_monitor(site);
    floor.prepare(JOB, &head(profile, 1, 1_000));
    let station = blocking::Station::connect(&config(site, persona)).unwrap();
    let station = station.with_deadline(Duration::from_secs(30));
    let shift = station.begin(floor.beginning(JOB, persona)).unwrap();
    (station, shift)
}

fn uids(cards: &[&str]) -> Vec<CardUid> {
    cards.iter().map(|card| card.parse().unwrap()).collect()
}

fn keys(delivered: &Delivered) -> Vec<&CardKey> {
    delivered.cards.iter().flat_map(|card| &card.keys).collect()
}

/// Gives the result of every card that was delivered: all good, as read back.
fn all_good(station: &blocking::Station, shift: &Shift, delivered: &Delivered) {
    let result = |card: &keysvc_client::station::DeliveredCard| CardResult {
        card: card.card,
        outcome: Outcome::Good,
        readback: card.checks().try_into().unwrap(),
    };
    let results: Vec<_> = delivered.cards.iter().map(result).collect();
    station.give_results(shift.job(), &results).unwrap();
}

fn cmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Cmac::<Aes128>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn opened(leaves: &[raw::Leaf]) -> Vec<Exchange> {
    let opened: Vec<JobOpenedLeaf> = raw::of_kind(leaves, LeafKind::JobOpened);
    opened.into_iter().map(|leaf| leaf.exchange).collect()
}

/// Cards and keys of each delivery.
fn derived(leaves: &[raw::Leaf]) -> Vec<(u32, u32)> {
    let derived: Vec<CardKeysDerivedLeaf> = raw::of_kind(leaves, LeafKind::CardKeysDerived);
    assert!(derived.iter().all(|leaf| leaf.station.as_str() == "station-1"));
    derived.iter().map(|leaf| (leaf.cards, leaf.count)).collect()
}

fn gets_cmacs_keys(site: &Site, persona: &str) {
    let (station, shift) = at_work(site, persona, "known");
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let published = &vectors["vectors"][0];
    let others = ["04a1b2c3d4e5f6", "04782e21801d81", "0102030405060708090a"];
    let cards = uids(&[&[PUBLISHED_CARD], others.as_slice()].concat());
    let delivered = station.derive(&shift, &cards, 1).unwrap();
    assert_eq!(delivered.cards.iter().map(|card| card.card).collect::<Vec<_>>(), cards);
    assert_eq!(hex(delivered.cards[0].keys[0].value.expose()), published["output"].as_str().unwrap());
    let master = from_hex(published["key"].as_str().unwrap()).unwrap();
    for key in keys(&delivered) {
        // AN10922: the constant 01, then UID, application and system identifier.
        let message = format!("01{}3042f54e585020416275", key.card);
        assert_eq!(key.value.expose().to_vec(), cmac(&master, &from_hex(&message).unwrap()));
        assert_eq!(key.check.as_bytes(), &cmac(key.value.expose(), &[0; 16])[..5]);
        assert!(!format!("{key:?}").contains(&hex(key.value.expose())), "a key was printed");
    }
}

#[test]
fn a_station_gets_the_published_key_of_the_published_card_and_cmacs_keys_of_all_others() {
    let test = "a_station_gets_the_published_key_of_the_published_card_and_cmacs_keys_of_all_others";
    let Some(ground) = raw::with_tokens(test, &["station-1"], Ground::new, gets_cmacs_keys) else { return };
    assert_eq!(derived(&raw::leaves(&ground)), [(4, 4)]);
}

/// Portions of a job under the generated master, as many cards at a time as may be in hand.
fn gets_keys_in_portions(site: &Site, persona: &str) {
    let (station, shift) = at_work(site, persona, "generated");
    let cards: Vec<CardUid> = (0..24).map(|number| format!("04782e{number:08x}").parse().unwrap()).collect();
    let mut all = Vec::new();
    for portion in cards.chunks(8) {
        let first = station.derive(&shift, portion, 1).unwrap();
        // While they are in hand their keys come again, and are the same.
        let again = station.derive(&shift, &portion[1..2], 1).unwrap();
        for (one, other) in first.cards[1].keys.iter().zip(&again.cards[0].keys) {
            assert_eq!((one.value.expose(), one.check), (other.value.expose(), other.check));
        }
        for key in keys(&first) {
            assert_eq!(key.check.as_bytes(), &cmac(key.value.expose(), &[0; 16])[..5]);
            all.push(key.value.expose().to_vec());
        }
        all_good(&station, &shift, &first);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 48, "every card and slot has a key of its own");
}

#[test]
fn keys_under_a_generated_master_differ_by_card_and_slot_and_come_again_the_same_while_in_hand() {
    let test = "keys_under_a_generated_master_differ_by_card_and_slot_and_come_again_the_same_while_in_hand";
    let body = gets_keys_in_portions;
    let Some(ground) = raw::with_tokens(test, &["station-1"], Ground::new, body) else { return };
    // One leaf a call: eight cards in two slots, then the one again.
    assert_eq!(derived(&raw::leaves(&ground)), [(8, 16), (1, 2)].repeat(3));
}

fn gets_a_machines_cards(site: &Site, persona: &str) {
    let (station, shift) = at_work(site, persona, "inline");
    let cards: Vec<CardUid> = (0..120).map(|number| format!("04782e{number:08x}").parse().unwrap()).collect();
    let delivered = station.derive(&shift, &cards, 1).unwrap();
    assert!(keys(&delivered).iter().map(|key| key.card).eq(cards.iter().copied()));
    assert!(delivered.left_out.is_empty());
    all_good(&station, &shift, &delivered);
}

#[test]
fn a_hundred_cards_of_an_inline_machine_are_one_delivery_and_one_leaf() {
    let test = "a_hundred_cards_of_an_inline_machine_are_one_delivery_and_one_leaf";
    let body = gets_a_machines_cards;
    let Some(ground) = raw::with_tokens(test, &["station-1"], Ground::new, body) else { return };
    assert_eq!(derived(&raw::leaves(&ground)), [(120, 120)]);
}

/// The process of the keeper of this site.
fn keeper(site: &Site) -> Pid {
    let config = site.service_config();
    let is_keeper = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        words.contains(&b"keeper".as_slice()) && words.contains(&config.as_os_str().as_encoded_bytes())
    };
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(is_keeper).find_map(Pid::from_raw).unwrap()
}

fn goes_on(site: &Site, persona: &str) {
    let mut floor = Floor::without_monitor(site);
    floor.prepare(JOB, &head("known", 1, 8));
    let agreements = floor.beginning(JOB, persona);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let station = Station::connect(&config(site, persona)).await.unwrap();
        assert_eq!(station.name().as_str(), "station-1");
        let cards = uids(&[PUBLISHED_CARD]);
        let shift = station.begin(agreements).await.unwrap();
        let before = station.derive(&shift, &cards, 1).await.unwrap();
        kill_process(keeper(site), Signal::KILL).unwrap();
        // Its transport key died with it; the station has another one for the same session without being told to.
        let after = station.derive(&shift, &cards, 1).await.unwrap();
        let [before, after] = [&before, &after].map(|delivered| keys(delivered)[0]);
        assert_eq!(before.value.expose(), after.value.expose());
        assert_eq!(before.check, after.check);
    });
}

#[test]
fn a_station_goes_on_in_its_session_by_itself_when_the_keeper_was_killed() {
    let test = "a_station_goes_on_in_its_session_by_itself_when_the_keeper_was_killed";
    let Some(ground) = raw::with_tokens(test, &["station-1"], Ground::new, goes_on) else { return };
    let leaves = raw::leaves(&ground);
    // Nobody signed anything twice: it is one session.
    assert_eq!(opened(&leaves).len(), 1);
    assert_eq!(derived(&leaves), [(1, 1); 2]);
    let refused: Vec<RefusedLeaf> = raw::of_kind(&leaves, LeafKind::Refused);
    let refused: Vec<_> = refused.iter().map(|leaf| (leaf.operation, &leaf.refusal)).collect();
    assert_eq!(refused, [(Operation::CardDerive, &Refusal::ExchangeUnknown)]);
}

fn encoders(site: &Site, persona: &str) {
    let (station, shift) = at_work(site, persona, "inline");
    let checks = |number: u8| {
        let cards = [0, 1, 2].map(|card| format!("04782e21801d{:02x}", number * 3 + card).parse().unwrap());
        let delivered = station.derive(&shift, &cards, 1).unwrap();
        let keys = keys(&delivered);
        assert_eq!(keys.iter().map(|key| key.card).collect::<Vec<_>>(), cards);
        keys.iter().map(|key| key.check).collect::<Vec<_>>()
    };
    let at_once: Vec<_> = thread::scope(|scope| {
        let checks = &checks;
        let threads: Vec<_> = (0..6).map(|number| scope.spawn(move || checks(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // The same keys as one after the other.
    assert_eq!(at_once, (0..6).map(checks).collect::<Vec<_>>());
}

#[test]
fn several_encoders_share_one_station_and_its_session() {
    let test = "several_encoders_share_one_station_and_its_session";
    let Some(ground) = raw::with_tokens(test, &["station-1"], Ground::new, encoders) else { return };
    let leaves = raw::leaves(&ground);
    assert_eq!(opened(&leaves).len(), 1);
    assert_eq!(derived(&leaves), [(3, 3); 12]);
}
