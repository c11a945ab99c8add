//! A station's shift: card keys under a known and a generated master, several encoders on one station, and going on
//! after the keeper died.

use aes::Aes128;
use cmac::{Cmac, Mac as _};
use keysvc_client::{ClientConfig, Station, blocking};
use keysvc_protocol::{
    bytes::from_hex,
    card::CardUid,
    leaf::{CardKeysDerivedLeaf, LeafKind, RefusedLeaf, StationOpenedLeaf},
    refusal::Refusal,
    request::Operation,
};
use keysvc_tests::{
    ground::{Ground, text},
    raw,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use softhsm_setup::Site;
use std::{fs, os::unix::fs::PermissionsExt as _, thread, time::Duration};

/// NXP AN10922 section 2.2: the example's card.
const PUBLISHED_CARD: &str = "04782e21801d80";
const VECTORS: &str = include_str!("../vectors/an10922.json");

/// A row of the file of card keys.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    card: String,
    slot: u8,
    key: Vec<u8>,
    check: Vec<u8>,
}

/// Derives by the program; gives what it printed and the rows of its file.
fn derive(ground: &Ground, profile: &str, slots: &[&str], cards: &[&str]) -> (String, Vec<Row>) {
    let file = ground.site().folder().join(format!("{profile}.csv"));
    let mut command = ground.fobctl("station-1", &["station", "derive", "--json", "--version", "1"]);
    command.args(["--profile", profile]).arg("--out").arg(&file);
    slots.iter().for_each(|slot| _ = command.args(["--slot", slot]));
    cards.iter().for_each(|card| _ = command.args(["--card", card]));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let csv = fs::read_to_string(file).unwrap();
    let rows = csv.lines().skip(1).map(|line| {
        let [card, slot, _, key, check] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
        Row {
            card: card.to_owned(),
            slot: slot.parse().unwrap(),
            key: from_hex(key).unwrap(),
            check: from_hex(check).unwrap(),
        }
    });
    (String::from_utf8(output.stdout).unwrap(), rows.collect())
}

fn cmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Cmac::<Aes128>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_station_gets_the_published_key_of_the_published_card_and_cmacs_keys_of_all_others() {
    let ground = Ground::new();
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let published = &vectors["vectors"][0];
    let others = ["04a1b2c3d4e5f6", "04782e21801d81", "0102030405060708090a"];
    let cards = [&[PUBLISHED_CARD], others.as_slice()].concat();
    let (printed, rows) = derive(&ground, "known", &["0"], &cards);
    assert_eq!(rows.iter().map(|row| row.card.as_str()).collect::<Vec<_>>(), cards);
    assert_eq!(hex(&rows[0].key), published["output"].as_str().unwrap());
    let master = from_hex(published["key"].as_str().unwrap()).unwrap();
    for row in &rows {
        // AN10922: the constant 01, then UID, application and system identifier.
        let message = format!("01{}3042f54e585020416275", row.card);
        assert_eq!(row.key, cmac(&master, &from_hex(&message).unwrap()));
        assert_eq!(row.check, cmac(&row.key, &[0; 16])[..5]);
        assert!(!printed.contains(&hex(&row.key)), "a key was printed");
    }
}

#[test]
fn keys_under_a_generated_master_differ_by_card_and_slot_and_come_again_the_same() {
    let ground = Ground::new();
    let cards: Vec<_> = (0..120).map(|number| format!("04782e{number:08x}")).collect();
    let cards: Vec<_> = cards.iter().map(String::as_str).collect();
    let (printed, rows) = derive(&ground, "generated", &["0", "1"], &cards);
    assert_eq!(rows.len(), 240);
    let mut keys: Vec<_> = rows.iter().map(|row| row.key.clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 240, "every card and slot has a key of its own");
    let report: Value = serde_json::from_str(&printed).unwrap();
    for (row, shown) in rows.iter().zip(report["keys"].as_array().unwrap()) {
        assert_eq!(row.check, cmac(&row.key, &[0; 16])[..5]);
        assert_eq!(shown["check"].as_str().unwrap(), hex(&row.check));
    }
    fs::remove_file(ground.site().folder().join("generated.csv")).unwrap();
    let (_, again) = derive(&ground, "generated", &["1"], &cards[..1]);
    assert_eq!(again, rows[1..2]);
    // One leaf a call: 120 cards in two slots, then the one again.
    let derived: Vec<CardKeysDerivedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::CardKeysDerived);
    assert_eq!(derived.iter().map(|leaf| leaf.count).collect::<Vec<_>>(), [240, 1]);
    assert!(derived.iter().all(|leaf| leaf.station.as_str() == "station-1"));
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
    let config = ClientConfig::read(&site.home(persona).client_config()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let station = Station::connect(&config).await.unwrap();
        assert_eq!(station.name().as_str(), "station-1");
        let card: CardUid = PUBLISHED_CARD.parse().unwrap();
        let known = "known".parse().unwrap();
        let before = station.derive(&known, 1, &[0], &[card]).await.unwrap();
        kill_process(keeper(site), Signal::KILL).unwrap();
        // Its transport key died with it; the station opens again without being told to.
        let after = station.derive(&known, 1, &[0], &[card]).await.unwrap();
        assert_eq!(before[0].value.expose(), after[0].value.expose());
        assert_eq!(before[0].check, after[0].check);
    });
}

#[test]
fn a_station_opens_again_by_itself_when_the_keeper_was_killed() {
    let test = "a_station_opens_again_by_itself_when_the_keeper_was_killed";
    let Some(ground) = raw::with_tokens(test, &["station-1"], Ground::new, goes_on) else { return };
    let leaves = raw::leaves(&ground);
    let opened: Vec<StationOpenedLeaf> = raw::of_kind(&leaves, LeafKind::StationOpened);
    assert_eq!(opened.len(), 2);
    assert_ne!(opened[0].exchange, opened[1].exchange);
    let derived: Vec<CardKeysDerivedLeaf> = raw::of_kind(&leaves, LeafKind::CardKeysDerived);
    assert_eq!(derived.len(), 2);
    let refused: Vec<RefusedLeaf> = raw::of_kind(&leaves, LeafKind::Refused);
    let refused: Vec<_> = refused.iter().map(|leaf| (leaf.operation, &leaf.refusal)).collect();
    assert_eq!(refused, [(Operation::CardDerive, &Refusal::ExchangeUnknown)]);
}

fn encoders(site: &Site, persona: &str) {
    let config = ClientConfig::read(&site.home(persona).client_config()).unwrap();
    let station = blocking::Station::connect(&config).unwrap().with_deadline(Duration::from_secs(30));
    let checks = |number: u8| {
        let cards = [0, 1, 2].map(|card| format!("04782e21801d{:02x}", number * 3 + card).parse().unwrap());
        let keys = station.derive(&"known".parse().unwrap(), 1, &[0], &cards).unwrap();
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
fn several_encoders_share_one_station_and_its_exchange() {
    let test = "several_encoders_share_one_station_and_its_exchange";
    let Some(ground) = raw::with_tokens(test, &["station-1"], Ground::new, encoders) else { return };
    let leaves = raw::leaves(&ground);
    let opened: Vec<StationOpenedLeaf> = raw::of_kind(&leaves, LeafKind::StationOpened);
    assert_eq!(opened.len(), 1);
    let derived: Vec<CardKeysDerivedLeaf> = raw::of_kind(&leaves, LeafKind::CardKeysDerived);
    assert_eq!(derived.iter().map(|leaf| leaf.count).collect::<Vec<_>>(), [3; 12]);
}
