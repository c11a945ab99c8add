//! Durable before it is told, as the keeper asks the system for it: the order of its system calls, seen by strace.
//!
//! That nothing told is lost is shown by kills (`crash`) and by copies of a disk (`cargo faults --rows power`). Here it is
//! the order itself, which neither can see: a disk that keeps what it was not told to keep hides a sync that is missing.

use keysvc_protocol::{
    reply::ValueUpdateReply,
    request::{Operation, ValueOperation::Load},
};
use keysvc_tests::{
    data_room::DataRoom,
    ground::Ground,
    raw::{self, Caller},
    traced::{Call, Traced, calls, strace},
};
use std::{env, path::Path};

/// Updates looked at: more than one, for the keeper's own beat each second may fall into any.
const UPDATES: u64 = 12;
/// Of them, so many at least must be without that beat.
const CLEAR: usize = 4;
const WATCHED: &str = "trace=fsync,fdatasync,pwrite64,write,ftruncate,openat,recvfrom,sendto";

/// strace, or nothing where there is none: said aloud, and a failure where the whole is to be proved.
fn tool() -> Option<std::path::PathBuf> {
    match strace() {
        Ok(strace) => Some(strace),
        Err(why) => {
            assert!(env::var_os("CI").is_none_or(|value| value != "true"), "{why}");
            println!("NOT PROVED: {why}");
            None
        }
    }
}

/// What the keeper asks of the system while `done` is done.
fn seen(strace: &Path, ground: &Ground, done: impl FnOnce()) -> Vec<Call> {
    let options = ["-e".to_owned(), WATCHED.to_owned()];
    let trace = ground.site().folder().join("trace");
    let traced = Traced::attach(strace, ground.half("keeper").unwrap(), &options, &trace).unwrap();
    done();
    calls(&traced.detach())
}

/// The calls from one request's frame to its reply's, with both. The link is the one socket that both go over.
fn exchanges(calls: &[Call]) -> Vec<Vec<Call>> {
    let on_link = |call: &&Call, name| call.name == name && call.file.starts_with("socket:") && !call.failed;
    let mut exchanges = Vec::new();
    let mut from = 0;
    while let Some(asked) = calls.iter().skip(from).find(|call| on_link(call, "recvfrom")) {
        let after = |call: &&Call| on_link(call, "sendto") && call.lines.0 > asked.lines.1;
        let Some(told) = calls.iter().find(after) else { break };
        let within = |call: &&Call| call.lines.1 >= asked.lines.1 && call.lines.0 <= told.lines.0;
        exchanges.push(calls.iter().filter(within).cloned().collect());
        from = calls.iter().position(|call| call.lines.0 > told.lines.1).unwrap_or(calls.len());
    }
    exchanges
}

/// Where the last call like this ends and where the first one begins, by its line.
fn last(calls: &[Call], like: impl Fn(&Call) -> bool) -> Option<usize> {
    calls.iter().filter(|call| like(call)).map(|call| call.lines.1).max()
}

fn first(calls: &[Call], like: impl Fn(&Call) -> bool) -> Option<usize> {
    calls.iter().filter(|call| like(call)).map(|call| call.lines.0).min()
}

fn is(call: &Call, name: &str, file: &str) -> bool {
    call.name == name && call.file.ends_with(file)
}

#[test]
fn a_value_update_is_synced_before_its_key_is_touched_and_anchored_before_it_is_told() {
    let Some(strace) = tool() else { return };
    let ground = Ground::new();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let calls = seen(&strace, &ground, || {
        for seq in 1..=UPDATES {
            let update = raw::update(Load, seq, 1, seq - 1);
            terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &update).unwrap();
        }
    });
    let all = exchanges(&calls);
    assert_eq!(all.len() as u64, UPDATES, "{calls:?}");
    // Once a second the keeper syncs its anchor and tries its keys: such an exchange shows more than the update's.
    let clear: Vec<_> =
        all.iter().filter(|one| first(one, |call| is(call, "fdatasync", "/anchor")).is_none()).collect();
    assert!(clear.len() >= CLEAR, "{} of {UPDATES}", clear.len());
    for one in clear {
        let written = last(one, |call| is(call, "pwrite64", "ledger.sqlite3-wal")).expect("a written leaf");
        let synced = last(one, |call| is(call, "fsync", "ledger.sqlite3-wal")).expect("a synced leaf");
        let key = first(one, |call| is(call, "openat", ".object")).expect("the token's keys at work");
        let anchored = last(one, |call| is(call, "pwrite64", "/anchor")).expect("a checkpoint in the anchor");
        let told = first(one, |call| call.name == "sendto").expect("a reply");
        assert!(written < synced && synced < key && key < anchored && anchored < told, "{one:?}");
    }
}

#[test]
fn a_key_is_synced_with_its_folder_before_it_is_on_record_and_that_before_it_is_told() {
    let Some(strace) = tool() else { return };
    let ground = Ground::new();
    let mut room = DataRoom::new(ground.site());
    let (_, items) = room.begin().unwrap();
    let calls = seen(&strace, &ground, || room.until_done(Operation::JobItems, &items).unwrap());
    let [one] = exchanges(&calls).try_into().expect("one exchange");
    let tokens = ground.site().service().token_folder();
    let inside = |call: &Call| Path::new(&call.file).starts_with(&tokens);
    // The key's own file is the one that grows; SoftHSM writes it again with each attribute.
    let key =
        one.iter().find(|call| call.name == "write" && call.file.ends_with(".object")).expect("a new key");
    let of_key = |call: &Call, name| call.name == name && call.file == key.file;
    let folder = Path::new(&key.file).parent().unwrap();
    let written = last(&one, |call| of_key(call, "write")).unwrap();
    let file_synced = last(&one, |call| of_key(call, "fsync")).expect("the key's file is synced");
    let folder_synced = last(&one, |call| call.name == "fsync" && Path::new(&call.file) == folder);
    let folder_synced = folder_synced.expect("the token's folder is synced");
    let changed =
        last(&one, |call| inside(call) && ["write", "ftruncate"].contains(&call.name.as_str())).unwrap();
    // The intent before it is made, the outcome after it is durable.
    let leaf = |call: &Call| is(call, "fsync", "ledger.sqlite3-wal");
    let (intended, outcome) = (first(&one, leaf).unwrap(), last(&one, leaf).unwrap());
    let told = first(&one, |call| call.name == "sendto").unwrap();
    assert!(intended < written && written < file_synced && changed < folder_synced, "{one:?}");
    assert!(file_synced < folder_synced && folder_synced < outcome && outcome < told, "{one:?}");
}
