//! Promise P1 by canaries: values that must not be found are known here, and looked for everywhere.

use aes::{
    Aes128,
    cipher::{BlockEncrypt as _, KeyInit as _},
};
use cmac::{Cmac, Mac};
use keysvc_protocol::{
    bytes::{Blob, from_hex},
    card::CardUid,
    cbor,
    job::{ItemData, JobHead, JobItem},
    reply::{StatusReply, ValueUpdateReply},
    request::{
        ListKeys, Operation, ReadCheckpoint, ReadEntries, ReadJob, ReadStatus, UpdateValue,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
};
use keysvc_tests::{
    ground::{Ground, text},
    jobs::{self, Bench},
    needles::{Needle, files, found},
    raw::{self, Caller},
};
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::fs::FileExt as _,
    process::Stdio,
};

/// The known master key of the development site: NXP's published TEST KEY.
const MASTER: &str = "00112233445566778899aabbccddeeff";

/// What is written on the card, and is its holder's affair.
const DATA: &[u8] = b"Ottilie Gschwandtner";

/// A site whose daemon logs all it can, after a day's work: what the programs printed and the service replied.
fn after_a_day(card: &str) -> (Ground, Vec<(String, Vec<u8>)>) {
    let mut ground = Ground::founded();
    let mut captured = Vec::new();
    let mut command = ground.keysvc(&["serve"]);
    let log = File::create(ground.log()).unwrap();
    let daemon = command.env("KEYSVC_LOG", "trace").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let mut daemon = daemon.spawn().unwrap();
    ground.wait().unwrap();
    captured.extend(a_job(&ground, card));
    captured.extend(replies(&ground, card));
    captured.extend(programs(&ground));
    for half in halves(daemon.id()) {
        for file in ["cmdline", "environ"] {
            let path = format!("/proc/{half}/{file}");
            captured.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    // While it runs, so that the write-ahead log is there.
    captured.extend(on_disk(&ground));
    let pid = i32::try_from(daemon.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(daemon.wait().unwrap().success());
    captured.extend(on_disk(&ground).into_iter().map(|(place, bytes)| (format!("{place} (stopped)"), bytes)));
    (ground, captured)
}

fn halves(daemon: u32) -> Vec<String> {
    let children = fs::read_to_string(format!("/proc/{daemon}/task/{daemon}/children")).unwrap();
    let halves: Vec<_> = children.split_whitespace().map(str::to_owned).collect();
    assert_eq!(halves.len(), 2);
    halves
}

/// The answers of a job in which the card is made with its data, and which is not purged yet.
fn a_job(ground: &Ground, card: &str) -> Vec<(String, Vec<u8>)> {
    let mut bench = Bench::new(env!("CARGO_BIN_EXE_card"), ground, "station-1");
    let head = JobHead { listed: true, ..jobs::head("known", 1, 1) };
    let data = ItemData(Blob::try_from(DATA.to_vec()).unwrap());
    let items = [JobItem { card: card.parse().unwrap(), data }];
    bench.floor.create("order-1", &head).unwrap();
    bench.floor.add("order-1", &items).unwrap();
    bench.floor.seal("order-1", &head, &items).unwrap();
    let shift = bench.floor.open((&mut bench.station, "station-1"), "order-1").unwrap();
    // The wrapped key and the data are for the station; whoever listens there has the delivery alone.
    let unlisted = ["04c0ffee1234ac"];
    let derive = [jobs::derive(&shift, &[card]), jobs::derive(&shift, &unlisted)];
    let mut captured = Vec::new();
    for request in derive {
        let message = bench.station.message(Operation::CardDerive, cbor::encode(&request));
        let answer = bench.station.line.post("card.derive", &raw::envelope(message));
        captured.push(("reply to card.derive".to_owned(), answer.body));
    }
    let delivery = bench.derive(&shift, &[card]).unwrap();
    bench.good(&shift, &delivery).unwrap();
    let seen = cbor::encode(&ReadJob { schema: Schema, job: shift.job });
    let answer = bench.station.line.post("job.get", &raw::envelope(seen));
    captured.push(("reply to job.get".to_owned(), answer.body));
    captured
}

/// Answers as they came, refused ones too.
fn replies(ground: &Ground, card: &str) -> Vec<(String, Vec<u8>)> {
    let mut officer = Caller::new(ground.site(), "officer-1");
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let mut auditor = Caller::new(ground.site(), "auditor-1");
    let card: CardUid = card.parse().unwrap();
    let load = UpdateValue { card, ..raw::update(Load, 1, 2_000, 0) };
    let wrong = UpdateValue { card, ..raw::update(Debit, 9, 2_000, 0) };
    let pay = UpdateValue { card, ..raw::update(Debit, 2, 350, 2_000) };
    terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &load).unwrap();
    let [load, wrong, pay] =
        [load, wrong, pay].map(|update| terminal.message(Operation::ValueUpdate, cbor::encode(&update)));
    let plain = [
        (Operation::Status, cbor::encode(&ReadStatus { schema: Schema })),
        (Operation::KeyList, cbor::encode(&ListKeys { schema: Schema })),
        (Operation::LogCheckpoint, cbor::encode(&ReadCheckpoint { schema: Schema, genesis: true })),
    ];
    let mut captured = Vec::new();
    for (operation, request) in plain {
        captured.push((
            format!("reply to {operation}"),
            officer.line.post(operation.name(), &raw::envelope(request)).body,
        ));
    }
    for message in [load, wrong, pay, vec![1, 2, 3]] {
        let answer = terminal.line.post("value.update", &raw::envelope(message));
        captured.push(("reply to value.update".to_owned(), answer.body));
    }
    let entries = cbor::encode(&ReadEntries { schema: Schema, from: 0, to: 5 });
    let answer = auditor.line.post("log.entries", &raw::envelope(entries));
    captured.push(("reply to log.entries".to_owned(), answer.body));
    captured
}

/// What the programs print, and the export.
fn programs(ground: &Ground) -> Vec<(String, Vec<u8>)> {
    let export = ground.site().folder().join("export");
    let commands = [
        ground.fobctl("officer-1", &["status"]),
        ground.fobctl("officer-1", &["key", "list"]),
        ground.fobctl("officer-1", &["key", "get", "demo-known"]),
        ground.fobctl("officer-1", &["key", "get", "demo-known", "--json"]),
        ground.fobctl("auditor-1", &["audit", "export", export.to_str().unwrap()]),
        ground.keysvc(&["check-config"]),
    ];
    let run = |mut command: std::process::Command| {
        let output = command.output().unwrap();
        (format!("what {command:?} printed"), text(&output).into_bytes())
    };
    commands.into_iter().map(run).collect()
}

fn on_disk(ground: &Ground) -> Vec<(String, Vec<u8>)> {
    let files = files(ground.site().folder()).into_iter();
    files.map(|path| (path.display().to_string(), fs::read(path).unwrap_or_default())).collect()
}

fn named<'a>(
    haystacks: &'a [(String, Vec<u8>)],
    part: &'a str,
) -> impl Iterator<Item = &'a (String, Vec<u8>)> {
    let named: Vec<_> = haystacks.iter().filter(|(place, _)| place.contains(part)).collect();
    assert!(!named.is_empty(), "{part}");
    named.into_iter()
}

#[test]
fn a_needle_is_found_in_every_form() {
    let needle = Needle::new("master", &from_hex(MASTER).unwrap());
    for text in [
        MASTER,
        "00112233445566778899AABBCCDDEEFF",
        "ABEiM0RVZneImaq7zN3u/w==",
        "00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff",
    ] {
        assert!(needle.count(format!("before{text}after").as_bytes()) > 0, "{text}");
    }
    // With one and two bytes before it, as base64 of a longer text holds it.
    assert!(needle.count(b"eAARIjNEVWZ3iJmqu8zd7v8=") > 0);
    assert!(needle.count(b"eHgAESIzRFVmd4iZqrvM3e7/") > 0);
    assert_eq!(needle.count(b"00112233445566778899aabbccddeefe"), 0);
}

#[test]
fn no_key_or_whole_check_value_is_found_anywhere_but_the_test_key_in_the_founding_file() {
    let card = "04c0ffee1234ab";
    let (_ground, captured) = after_a_day(card);
    let key = from_hex(MASTER).unwrap();
    let mut zero = [0; 16].into();
    Aes128::new_from_slice(&key).unwrap().encrypt_block(&mut zero);
    let cmac = |message: &[u8]| {
        let mut mac = <Cmac<Aes128> as Mac>::new_from_slice(&key).unwrap();
        mac.update(message);
        mac.finalize().into_bytes()
    };
    let input = from_hex(&format!("01{card}3042f54e585020416275")).unwrap();
    let secrets = [
        // CKA_CHECK_VALUE is the head of E(0), which is never shown; of the CMAC five bytes are.
        Needle::new("E(0)", &zero[..8]),
        Needle::new("the CMAC", &cmac(&[0; 16])[..6]),
        // Derived in this day's work, and delivered wrapped.
        Needle::new("the card's key", &cmac(&input)),
    ];
    for needle in &secrets {
        assert_eq!(found(needle, &captured), Vec::<String>::new());
    }
    // The founding file says the TEST KEY in hexadecimal, by design and in development alone: so the file, leaf 0, and
    // whatever repeats leaf 0 hold that line. Nothing else may.
    let line = format!("value = \"{MASTER}\"").into_bytes();
    let master = Needle::new("the known master key", &key);
    let mut repeats = 0;
    for (place, bytes) in &captured {
        let lines = bytes.windows(line.len()).filter(|window| *window == line).count();
        assert_eq!(master.count(bytes), lines, "{place}");
        let is_founding = ["founding", "export/payload", "service/store", "log.checkpoint", "log.entries"];
        assert!(lines == 0 || is_founding.iter().any(|known| place.contains(known)), "{place}");
        repeats += lines;
    }
    assert!(repeats >= 3, "the search finds what is there: {repeats}");
    // The token keeps it encrypted.
    for (place, bytes) in named(&captured, "service/tokens/") {
        assert_eq!(master.count(bytes), 0, "{place}");
    }
}

#[test]
fn no_pin_is_found_anywhere_but_in_its_own_file() {
    let (ground, captured) = after_a_day("04c0ffee1234ab");
    for persona in ["service", "officer-1", "officer-2", "officer-3", "station-1", "station-2", "monitor-1"] {
        for file in
            [ground.site().home(persona).pin_file(), ground.site().home(persona).folder().join("so-pin")]
        {
            let pin = fs::read_to_string(&file).unwrap();
            let needle = Needle::new(&format!("the PIN of {persona}"), pin.trim().as_bytes());
            let own = file.display().to_string();
            let elsewhere: Vec<_> =
                found(&needle, &captured).into_iter().filter(|place| !place.contains(&own)).collect();
            assert_eq!(elsewhere, Vec::<String>::new());
            assert!(needle.count(&fs::read(file).unwrap()) > 0);
        }
    }
}

#[test]
fn no_card_is_named_and_no_data_of_one_in_the_store_the_anchor_or_the_logs() {
    let card = "04c0ffee1234ab";
    let (_ground, captured) = after_a_day(card);
    // In the log and its purse, in the registry of cards, and among the items of a job.
    let needles = [Needle::new("the card", &from_hex(card).unwrap()), Needle::new("its data", DATA)];
    for part in ["service/store/", "service/anchor", "keysvc.log"] {
        for (place, bytes) in named(&captured, part) {
            for needle in &needles {
                assert_eq!(needle.count(bytes), 0, "{} in {place}", needle.name);
            }
        }
    }
    // They are there to be found: the auditor's export holds them, sealed only at rest.
    for needle in &needles {
        assert!(
            named(&captured, "export/payload").any(|(_, bytes)| needle.count(bytes) > 0),
            "{}",
            needle.name
        );
    }
    // And the log was as loud as it gets.
    assert!(named(&captured, "keysvc.log").any(|(_, bytes)| Needle::text("DEBUG").count(bytes) > 0));
}

/// The readable memory of a process, piece by piece.
fn memory(pid: &str) -> Vec<(String, Vec<u8>)> {
    let maps = File::open(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut pieces = Vec::new();
    for line in BufReader::new(maps).lines().map(Result::unwrap) {
        let (range, rest) = line.split_once(' ').unwrap();
        // What is written to: code and constants are the program's, not its secrets.
        if !rest.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut piece = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact_at(&mut piece, from).is_ok() {
            pieces.push((line.clone(), piece));
        }
    }
    assert!(!pieces.is_empty());
    pieces
}

#[test]
fn the_half_that_faces_the_network_holds_neither_master_key_nor_pin_in_its_memory() {
    let ground = Ground::new();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &raw::update(Load, 1, 2_000, 0)).unwrap();
    terminal.ask::<StatusReply>(Operation::Status, &ReadStatus { schema: Schema }).unwrap();
    let pin = fs::read_to_string(ground.site().service().pin_file()).unwrap();
    let pin = Needle::text(pin.trim());
    let key = Needle::raw("the known master key", &from_hex(MASTER).unwrap());
    let name = Needle::text("/v1/");
    let front = memory(&ground.half("front").unwrap().to_string());
    for needle in [&pin, &key] {
        assert_eq!(found(needle, &front), Vec::<String>::new());
    }
    assert!(front.iter().any(|(_, piece)| name.count(piece) > 0), "the search finds what is there");
}
