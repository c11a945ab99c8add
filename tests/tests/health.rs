//! What monitors see of a running service: readiness through a keeper's death, the figures of real requests, and the
//! structured log, in which each refusal is found by its request id.

use keysvc_protocol::{
    cbor,
    refusal::{Refusal, RefusalReply},
    request::{Operation, ReadEntries, ReadStatus},
    schema::Schema,
};
use keysvc_tests::{
    about_softhsm::passed_over,
    ground::Ground,
    raw::{Line, envelope},
    settings::page,
    watched::send,
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    fs,
    time::{Duration, Instant},
};

const CARD: &str = "04782e21801d80";

/// Whether every thread of a process stands still: the signal reaches them one after the other.
fn is_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")).unwrap()).all(|stat| {
        // The name, which may hold anything, is in parentheses; the state comes after it.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}

#[test]
fn readiness_follows_the_keeper_and_the_state_says_what_it_is() {
    let mut ground = Ground::founded();
    let port = ground.with_health();
    ground.start().unwrap();
    ground.wait_until("ready", || page(port, "/ready").is_some_and(|page| page.status == 200));
    let state: Value = serde_json::from_str(&page(port, "/state").unwrap().body).unwrap();
    assert_eq!(state["schema"], "keysvc/state/1");
    assert_eq!(state["ready"], true);
    assert_eq!(state["keeper"]["development"], true);
    assert_eq!(state["keeper"]["halted"], false);
    assert!(state["keeper"]["store"]["leaves"].as_u64().unwrap() > 1, "{state}");
    assert_eq!(state["keeper"]["checkpoint"]["size"], state["keeper"]["store"]["leaves"]);
    assert!(state["keeper"]["token"]["silent_ms"].as_u64().unwrap() < 5_000, "{state}");
    assert!(state["front"]["certificate_not_after"].as_str().unwrap().starts_with("20"), "{state}");

    let keeper = ground.half("keeper").unwrap();
    send(keeper, Signal::STOP);
    ground.wait_until("stopped", || is_stopped(keeper));
    let begun = Instant::now();
    let told = page(port, "/ready").unwrap();
    let took = begun.elapsed();
    send(ground.half("keeper").unwrap(), Signal::CONT);
    assert_eq!(
        (told.status, told.body.as_str()),
        (503, "not ready\nthe keeper is there and does not answer\n")
    );
    assert!(took < Duration::from_millis(500), "{took:?}");

    send(ground.half("keeper").unwrap(), Signal::KILL);
    ground.wait_until("away", || page(port, "/ready").is_some_and(|page| page.status == 503));
    ground.wait_until("ready again", || page(port, "/ready").is_some_and(|page| page.status == 200));
    // The calls' own connection may be met a moment after the monitor's.
    let met = |line: &str| line == "keysvc_front_keeper_connections_total 2";
    ground.wait_until("met again", || page(port, "/metrics").is_some_and(|page| page.body.lines().any(met)));
}

#[test]
fn the_figures_count_what_was_done_and_refused_and_name_no_card() {
    let mut ground = Ground::founded();
    let port = ground.with_health();
    ground.start().unwrap();
    ground.block_on(async {
        let terminal = ground.terminal("terminal-1").await.unwrap();
        let update = keysvc_tests::tills::next_update(CARD, None);
        terminal.update(&update).await.unwrap();
    });
    let mut line = Line::open(ground.site(), "terminal-1");
    assert_eq!(line.post("log.entries", &forbidden()).refusal(), Refusal::Forbidden);
    let text = page(port, "/metrics").unwrap().body;
    for metric in [
        "keysvc_keeper_request_duration_seconds_count{operation=\"value.update\",outcome=\"done\"} 1",
        "keysvc_front_request_duration_seconds_count{operation=\"value.update\",outcome=\"done\"} 1",
        "keysvc_keeper_request_duration_seconds_count{operation=\"log.entries\",outcome=\"refused\"} 1",
        "keysvc_keeper_refusals_total{kind=\"forbidden\"} 1",
        "keysvc_keeper_token_faults_total{class=\"away\"} 0",
        "keysvc_keeper_ledger_queue_length 0",
        "keysvc_keeper_halted 0",
        "keysvc_front_keeper_up 1.0",
    ] {
        assert!(text.lines().any(|line| line == metric), "no {metric} in\n{text}");
    }
    for name in
        ["commit_changes_count", "commit_duration_seconds_sum", "checkpoint_age_seconds", "log_leaves"]
    {
        assert!(text.contains(&format!("keysvc_keeper_{name} ")), "no {name} in\n{text}");
    }
    assert!(text.contains("keysvc_front_certificate_expiry_timestamp_seconds "), "{text}");
    for secret in [CARD, "terminal-1", "spiffe"] {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
    // One family is described once, however many samples it has.
    let mut described: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let before = described.len();
    described.sort_unstable();
    described.dedup();
    assert_eq!(described.len(), before);
}

#[test]
fn while_the_token_is_away_readiness_says_so_and_its_faults_are_counted_by_class() {
    if passed_over("while_the_token_is_away_readiness_says_so_and_its_faults_are_counted_by_class") {
        return;
    }
    let mut ground = Ground::founded();
    let port = ground.with_health();
    ground.start().unwrap();
    let folder = ground.site().service().token_folder();
    let aside = folder.with_extension("aside");
    fs::rename(&folder, &aside).unwrap();
    let said = |words: &str| {
        page(port, "/ready").is_some_and(|page| page.status == 503 && page.body.contains(words))
    };
    ground.wait_until("the reason", || {
        said("the keeper is not there: it ended with code 10: a fault of the token (")
    });
    fs::rename(&aside, &folder).unwrap();
    ground.wait_until("ready again", || page(port, "/ready").is_some_and(|page| page.status == 200));
    // The new keeper goes on counting what ended the ones before it.
    let figures = page(port, "/metrics").unwrap().body;
    let faults = figures.lines().filter_map(|line| {
        line.strip_prefix("keysvc_keeper_token_faults_total{class=")?.split_once("} ")?.1.parse::<u64>().ok()
    });
    assert!(faults.sum::<u64>() > 0, "{figures}");
}

/// A request that a terminal may not make.
fn forbidden() -> Vec<u8> {
    envelope(cbor::encode(&ReadEntries { schema: Schema, from: 0, to: 1 }))
}

/// The objects of the daemon's log; what is none is a line of another program's.
fn objects(ground: &Ground) -> Vec<Value> {
    ground.said().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_refusal_is_found_in_the_structured_log_by_its_request_id_with_number_name_and_duration() {
    let mut ground = Ground::founded();
    ground.set("log", "level = \"debug\"\nformat = \"json\"");
    ground.start().unwrap();
    let mut line = Line::open(ground.site(), "terminal-1");
    let by_the_keeper = line.post("log.entries", &forbidden());
    let by_the_front = line.post("no.such", b"");
    let done = line.post("status", &envelope(cbor::encode(&ReadStatus { schema: Schema })));
    assert_eq!(done.status, 200);
    for (answer, operation, number, name) in
        [(by_the_keeper, "log.entries", 1, "forbidden"), (by_the_front, "unknown", 2, "not_found")]
    {
        let reply: RefusalReply = cbor::decode(&answer.body, 4096).unwrap();
        let id = reply.request_id.to_string();
        let refused = |object: &Value| {
            object["fields"]["message"] == "refused" && object["fields"]["request_id"] == id.as_str()
        };
        ground.wait_until("the refusal's line", || objects(&ground).iter().any(refused));
        let object = objects(&ground).into_iter().find(|object| refused(object)).unwrap();
        assert_eq!(object["level"], "DEBUG");
        assert_eq!(object["fields"]["operation"], operation);
        assert_eq!(object["fields"]["refusal"], number);
        assert_eq!(object["fields"]["name"], name);
        assert!(object["fields"]["duration_us"].is_number(), "{object}");
    }
    let status = Operation::Status.name();
    let answered =
        |object: &Value| object["fields"]["operation"] == status && object["fields"]["status"] == 200;
    ground.wait_until("the answer's line", || objects(&ground).iter().any(answered));
}
