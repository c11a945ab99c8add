//! Promises P1, P2 and P28: keys and PINs in the memory of each process, and everywhere else that a service writes.
//!
//! The canary is a card master that came in as components, so that its value is known here and stands in no file of the
//! site. Cores are a debugger's, with what is kept out of cores too. What was delivered is opened here by other code than
//! the product's: the transport key by OpenSSL, the card keys by RFC 3394 over the `aes` crate.

use aes::{
    Aes128, Aes256,
    cipher::{BlockDecrypt as _, BlockEncrypt as _, KeyInit as _},
};
use cmac::{Cmac, Mac as _};
use keysvc_protocol::{
    bytes::from_hex,
    cbor,
    cose::Signed,
    delivery::ExchangeOpening,
    reply::JobOpenReply,
    request::{Operation, ReadEntries},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{activate, done},
    cards,
    custody::{Component, give, import, xor},
    ground::{Ground, OFFICERS, text},
    jobs::{Bench, Shift, head},
    load::Load,
    needles::{Core, Needle, files, found},
    raw::{Line, envelope},
    settings::page,
};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// The two components, and so the canary: bytes that stand nowhere else.
const COMPONENTS: [Component; 2] = [
    [0xe7, 0x1d, 0x52, 0xc9, 0x0b, 0x88, 0x3f, 0x64, 0xa1, 0xd6, 0x29, 0x70, 0x9e, 0x45, 0xbb, 0x12],
    [0x3c, 0xf2, 0x86, 0x5b, 0xe4, 0x17, 0xca, 0x9d, 0x08, 0x61, 0xdf, 0xb4, 0x33, 0x7a, 0x26, 0xe9],
];
/// The cards of the job.
const CARDS: [&str; 3] = ["04c0ffee1234ab", "04c0ffee1234ac", "04c0ffee1234ad"];
/// The card profile's master is NXP's published TEST KEY.
const MASTER: &str = "00112233445566778899aabbccddeeff";

fn cmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = <Cmac<Aes128> as cmac::digest::KeyInit>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// A key, the block that its subkeys are made of, and more of its check value than is shown.
fn of_key(name: &str, key: &[u8]) -> Vec<Needle> {
    let mut zero = [0; 16].into();
    Aes128::new_from_slice(key).unwrap().encrypt_block(&mut zero);
    vec![
        Needle::new(name, key),
        Needle::new(&format!("E(0) of {name}"), &zero[..8]),
        Needle::new(&format!("the CMAC of {name}"), &cmac(key, &[0; 16])[..8]),
    ]
}

/// The keys of the job's cards, by the diversification input of the development site's profile.
fn card_keys() -> Vec<(String, Vec<u8>)> {
    let key = from_hex(MASTER).unwrap();
    let input = |card: &str| from_hex(&format!("01{card}3042f54e585020416275")).unwrap();
    CARDS.iter().map(|card| (format!("the key of card {card}"), cmac(&key, &input(card)))).collect()
}

/// The PINs of the service's token.
fn pins(ground: &Ground) -> Vec<Needle> {
    let home = ground.site().service();
    let files = [("the PIN", home.pin_file()), ("the security officer's PIN", home.folder().join("so-pin"))];
    files.map(|(name, file)| Needle::new(name, fs::read_to_string(file).unwrap().trim().as_bytes())).to_vec()
}

/// A site that logs all it can and whose health is on, with the canary in its token and in use.
fn with_canary() -> (Ground, u16) {
    let mut ground = Ground::founded();
    let port = ground.with_health();
    ground.set("log", "level = \"trace\"");
    ground.start().unwrap();
    import_canary(&ground);
    (ground, port)
}

fn import_canary(ground: &Ground) {
    let [mut one, mut two, mut three] =
        OFFICERS.map(|persona| cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), persona));
    let [first, second] = COMPONENTS;
    let order = import("canary", &[(OFFICERS[0], first), (OFFICERS[1], second)]);
    let id = done(&mut [&mut one, &mut two, &mut three], Operation::KeyImport, &order).id();
    give(&mut one, id, &first).unwrap();
    assert!(give(&mut two, id, &second).unwrap().key.is_some());
    done(&mut [&mut one, &mut two], Operation::KeyActivate, &activate("canary", 1));
}

fn canary() -> Vec<Needle> {
    let [one, two] = COMPONENTS;
    let mut needles = of_key("the canary", &xor(&COMPONENTS));
    needles.extend([Needle::new("the first component", &one), Needle::new("the second component", &two)]);
    needles
}

/// Every answer that a service gives to what it refuses, from each kind of caller at each operation.
fn refusals(ground: &Ground) -> Vec<(String, Vec<u8>)> {
    let bodies = [vec![0xff; 40], envelope(vec![0xa0]), envelope(vec![1; 300])];
    let mut told = Vec::new();
    for persona in ["terminal-1", "station-1", "officer-1", "office-1", "auditor-1", "platform-1", "stranger"]
    {
        let mut line = Line::open(ground.site(), persona);
        for operation in Operation::ALL {
            for body in &bodies {
                let answer = line.post(operation.name(), body);
                told.push((format!("refusal of {operation} to {persona}"), answer.body));
            }
        }
    }
    assert!(told.len() > 1_000, "{}", told.len());
    told
}

/// What the programs print of the site, and what they write.
fn programs(ground: &Ground) -> Vec<(String, Vec<u8>)> {
    let export = ground.site().folder().join("export");
    let mut verify = Command::new(&ground.programs().fobaudit);
    verify.arg("verify").arg(&export).arg("--trust").arg(ground.site().trust());
    let commands = [
        ground.fobctl("officer-1", &["status"]),
        ground.fobctl("officer-1", &["key", "list", "--json"]),
        ground.fobctl("officer-1", &["key", "get", "canary", "--json"]),
        ground.fobctl("auditor-1", &["audit", "export", export.to_str().unwrap()]),
        verify,
        ground.keysvc(&["check-config"]),
        ground.keysvc(&["doctor"]),
    ];
    let run = |mut command: Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", text(&output));
        (format!("what {command:?} printed"), text(&output).into_bytes())
    };
    commands.into_iter().map(run).collect()
}

/// As docs/operations.md has a backup made: the keeper stopped, the store verified, then a copy.
fn backup(ground: &mut Ground) -> Vec<(String, Vec<u8>)> {
    ground.stop();
    let verified = ground.keysvc(&["verify-store"]).output().unwrap();
    assert!(verified.status.success(), "{}", text(&verified));
    let place = ground.site().folder().join("backup");
    let copied = Command::new("cp")
        .arg("-a")
        .args([ground.site().service().folder(), &ground.site().trust()])
        .arg({
            fs::create_dir(&place).unwrap();
            &place
        })
        .stdin(Stdio::null())
        .status();
    assert!(copied.unwrap().success());
    read_all(&place)
}

fn read_all(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let all = files(folder).into_iter();
    all.map(|path| (path.display().to_string(), fs::read(path).unwrap_or_default())).collect()
}

#[test]
fn an_imported_key_is_found_in_no_log_store_figure_refusal_output_or_backup_in_any_form() {
    let (mut ground, port) = with_canary();
    let mut captured = refusals(&ground);
    for path in ["alive", "ready", "state", "metrics"] {
        captured
            .push((format!("the page {path}"), page(port, &format!("/{path}")).unwrap().body.into_bytes()));
    }
    captured.extend(programs(&ground));
    let entries = cbor::encode(&ReadEntries { schema: Schema, from: 0, to: 100 });
    let answer = Line::open(ground.site(), "auditor-1").post("log.entries", &envelope(entries));
    captured.push(("the log's leaves".to_owned(), answer.body));
    // While it serves, so that the write-ahead log is there; then as a backup is made.
    captured.extend(read_all(ground.site().folder()));
    captured.extend(backup(&mut ground));
    for needle in canary() {
        assert_eq!(found(&needle, &captured), Vec::<String>::new());
    }
    // It is there, and the search finds what is: the key's shown check value in the leaves, the words of a loud log.
    let shown = Needle::raw("shown", &cmac(&xor(&COMPONENTS), &[0; 16])[..5]);
    assert!(!found(&shown, &captured).is_empty());
    assert!(found(&Needle::text("DEBUG"), &captured).iter().any(|place| place.contains("keysvc.log")));
    let size: usize = captured.iter().map(|(_, bytes)| bytes.len()).sum();
    println!("{} places, {} MB: 0 hits of {} values", captured.len(), size / 1_000_000, canary().len());
}

#[test]
fn a_core_of_the_front_under_load_and_one_of_the_parent_hold_no_key_and_no_pin() {
    let (ground, _) = with_canary();
    let mut bench = Bench::new(env!("CARGO_BIN_EXE_card"), &ground, "station-1");
    let shift = bench.open(("known", 1));
    bench.derive(&shift, &CARDS).unwrap();
    let load = Load::start(&ground, 1, 4);
    load.wait_for_more();
    let front = Core::of(ground.half("front").unwrap(), ground.site().folder());
    let parent = Core::of(ground.daemon().unwrap(), ground.site().folder());
    load.wait_for(3);
    assert!(!load.end().is_empty());
    let mut needles = canary();
    needles.extend(pins(&ground));
    // The TEST KEY stands in leaf 0 in hexadecimal, which passes through the front; as it is, it must not be there.
    needles.push(Needle::raw("the TEST KEY", &from_hex(MASTER).unwrap()));
    needles.extend(card_keys().iter().flat_map(|(name, key)| of_key(name, key)));
    for (process, core) in [("front", &front), ("parent", &parent)] {
        let hits = core.hits(&needles);
        println!("{process}: {} MB, {} values: {hits:?}", core.len() / 1_000_000, needles.len());
        assert_eq!(hits, BTreeMap::new(), "{process}");
    }
    // The search finds what is there: the front's core holds what passed.
    let passed = [Needle::text("/v1/"), Needle::text("spiffe://")];
    assert_eq!(front.hits(&passed).len(), 2);
}

/// A station whose wrapping key lies in a file here, so that what is wrapped to it can be opened without its token.
fn with_known_wrapping_key(ground: &Ground) -> std::path::PathBuf {
    let key = ground.site().folder().join("wrapping.pem");
    openssl(&[
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:3072",
        "-out",
        key.to_str().unwrap(),
    ]);
    let public = openssl(&["pkey", "-in", key.to_str().unwrap(), "-pubout"]);
    let public = String::from_utf8(public).unwrap();
    let public: String = public.lines().filter(|line| !line.starts_with("-----")).collect();
    let founding = fs::read_to_string(ground.site().founding()).unwrap();
    let station = founding.find("id = \"station-1\"").unwrap();
    let line = station + founding[station..].find("wrapping-key = ").unwrap();
    let end = line + founding[line..].find('\n').unwrap();
    let changed = format!("{}wrapping-key = \"{public}\"{}", &founding[..line], &founding[end..]);
    fs::write(ground.site().founding(), changed).unwrap();
    key
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", text(&output));
    output.stdout
}

/// RFC 3394 section 2.2.2, with a 256-bit key over two halves of a 128-bit one.
fn unwrapped(transport: &[u8], wrapped: &[u8]) -> Vec<u8> {
    let cipher = Aes256::new_from_slice(transport).unwrap();
    let mut sum: [u8; 8] = wrapped[..8].try_into().unwrap();
    let mut halves: [[u8; 8]; 2] = [wrapped[8..16].try_into().unwrap(), wrapped[16..24].try_into().unwrap()];
    for step in (1..=12_u8).rev() {
        let half = usize::from((step - 1) % 2);
        sum[7] ^= step;
        let mut block = [sum, halves[half]].concat();
        cipher.decrypt_block((&mut block[..]).into());
        sum.copy_from_slice(&block[..8]);
        halves[half].copy_from_slice(&block[8..]);
    }
    assert_eq!(sum, [0xa6; 8], "the wrapping is whole");
    halves.concat()
}

/// The transport key of a session, as its station would open it.
fn transport_key(ground: &Ground, bench: &mut Bench, shift: &Shift, key: &Path) -> Vec<u8> {
    let reply: JobOpenReply = bench.station.ask(Operation::JobOpen, &shift.request).unwrap();
    let signed = Signed::parse(reply.opening.as_bytes()).unwrap();
    let opening: ExchangeOpening = cbor::decode(signed.recorded_payload(), 4096).unwrap();
    let wrapped = ground.site().folder().join("wrapped");
    fs::write(&wrapped, opening.wrapped.as_bytes()).unwrap();
    openssl(&[
        "pkeyutl",
        "-decrypt",
        "-inkey",
        key.to_str().unwrap(),
        "-pkeyopt",
        "rsa_padding_mode:oaep",
        "-in",
        wrapped.to_str().unwrap(),
    ])
}

#[test]
fn after_a_reply_neither_card_keys_nor_the_transport_key_are_in_the_keepers_memory() {
    let mut ground = Ground::laid_out();
    let key = with_known_wrapping_key(&ground);
    ground.sign_founding().unwrap();
    let init = ground.keysvc(&["init"]).output().unwrap();
    assert!(init.status.success(), "{}", text(&init));
    ground.start().unwrap();
    import_canary(&ground);
    let mut bench = Bench::new(env!("CARGO_BIN_EXE_card"), &ground, "station-1");
    let shift = bench.floor.shift(&mut bench.station, "job-1", &head("known", 1, 1_000));
    let transport = transport_key(&ground, &mut bench, &shift, &key);
    assert_eq!(transport.len(), 32);
    let delivery = bench.derive(&shift, &CARDS).unwrap();
    let mut needles = Vec::new();
    for ((name, value), delivered) in card_keys().iter().zip(delivery.keys.iter()) {
        // What the station would write to the card is what is looked for.
        assert_eq!(&unwrapped(&transport, delivered.wrapped.as_bytes()), value);
        needles.extend(of_key(name, value));
    }
    needles.push(Needle::new("the transport key", &transport));
    // It is idle: nothing is under way that would hold a key for its time.
    thread::sleep(Duration::from_millis(500));
    let keeper = Core::of(ground.half("keeper").unwrap(), ground.site().folder());
    let hits = keeper.hits(&needles);
    println!("keeper: {} MB, {} values: {hits:?}", keeper.len() / 1_000_000, needles.len());
    assert_eq!(hits, BTreeMap::new());
    // What stays in the token: the module keeps it enciphered while it is not used, and the keeper has no copy.
    let mut standing = canary();
    standing.extend(pins(&ground));
    standing.push(Needle::raw("the TEST KEY", &from_hex(MASTER).unwrap()));
    let hits = keeper.hits(&standing);
    println!("keeper, of what stays in the token: {} values: {hits:?}", standing.len());
    assert_eq!(hits, BTreeMap::new());
    // The search finds what is there.
    assert!(!keeper.hits(&[Needle::raw("a card", &from_hex(CARDS[0]).unwrap())]).is_empty());
}
