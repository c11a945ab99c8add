//! The parsers of outside bytes, on everything that is known to be worth trying: each target's seeds and findings, every
//! golden message of the wire, and what section 4.2.1 of RFC 8949 forbids, made out of each of them (SECURITY.md, P25 and
//! P26). The fuzz targets under fuzz/ run the same oracles for as long as one likes (docs/fuzzing.md).

use keysvc_tests::oracles::{TARGETS, Target, deterministic, named};
use rustix::time::{ClockId, clock_gettime};
use std::{
    collections::BTreeSet,
    fs,
    panic::{self, AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Most time of the processors for one input, in a build without optimisation: twice that of the fuzz targets.
const INPUT_TIME_MAX: Duration = Duration::from_secs(4);
/// Most memory of this program at any moment, in KiB: that of the fuzz targets.
const MEMORY_MAX_KIB: u64 = 512 * 1024;
/// Most bytes of all seeds together: they lie in git.
const SEEDS_LEN_MAX: u64 = 2 * 1024 * 1024;

/// The functions that read bytes or text in the crate that everybody reads by, and the target that tries each file's.
const READERS: [(&str, &str, &[&str]); 32] = [
    ("bundle.rs", "bundle", &["verify", "from_payload", "check_record"]),
    ("bundle/file.rs", "bundle", &["read"]),
    ("bytes.rs", "client_files", &["from_hex", "try_from", "from_str"]),
    ("card.rs", "requests", &["try_from", "from_str"]),
    ("card/state.rs", "requests", &["from_name"]),
    ("cbor.rs", "requests", &["decode", "read_head"]),
    ("cbor/reader.rs", "value_update", &["new", "bytes"]),
    ("ceremony/record.rs", "transcript", &["from_str", "read"]),
    ("checkpoint.rs", "checkpoint", &["from_str", "parse"]),
    ("component.rs", "signed", &["verify"]),
    ("control.rs", "history", &["apply"]),
    ("control/change.rs", "history", &["of"]),
    ("control/proposals.rs", "history", &["judged_vote"]),
    ("cose.rs", "signed", &["parse", "open"]),
    ("delivery.rs", "signed", &["verify"]),
    ("evidence.rs", "proposal", &["read"]),
    ("export/bundle.rs", "export", &["decode_hashes", "decode_entries", "decode"]),
    ("founding.rs", "founding", &["verify_agreement"]),
    ("hpke.rs", "client_files", &["open"]),
    // Jobs are followed by books of the ledger's and the auditor's own: their payloads are read as leaves here.
    ("job/apply.rs", "leaves", &["apply"]),
    ("job/agreement.rs", "signed", &["signers"]),
    ("job/audit.rs", "signed", &["verify"]),
    ("leaf.rs", "leaves", &["decode", "check_payload"]),
    ("name.rs", "requests", &["from_str"]),
    ("proposal.rs", "proposal", &["decode"]),
    ("public_key.rs", "public_key", &["from_spki", "verify", "verify_by_ring", "verify_by_p256"]),
    ("quorum.rs", "history", &["vote", "count"]),
    ("request/operation.rs", "requests", &["from_name"]),
    ("sealing.rs", "client_files", &["open"]),
    ("sentence.rs", "requests", &["sentence"]),
    ("trust.rs", "client_files", &["from_str", "parse"]),
    ("value.rs", "value_update", &["verify", "from_payload"]),
];
/// Functions of that form that read nothing from outside.
const NO_READERS: [(&str, &str); 3] =
    [("export/bundle.rs", "encode_entries"), ("hpke.rs", "seal"), ("merkle/prove.rs", "in_row")];

/// What is tried: its name for the message of a failure, and its bytes.
type Input = (String, Vec<u8>);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<_> = found.map(|file| file.unwrap().path()).collect();
    found.sort();
    found
}

fn seeds(target: &Target) -> Vec<Input> {
    let folder = root().join("fuzz/seeds").join(target.name);
    let found = if folder.is_dir() { files(&folder) } else { Vec::new() };
    found.into_iter().map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

fn golden() -> Vec<Input> {
    let found = files(&root().join("client/protocol/tests/golden")).into_iter();
    let messages = found.filter(|path| path.extension().is_some_and(|extension| extension == "hex"));
    let read = |path: PathBuf| {
        let text: String = fs::read_to_string(&path).unwrap().split_whitespace().collect();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, keysvc_protocol::bytes::from_hex(&text).unwrap())
    };
    messages.map(read).collect()
}

/// Whether the target takes the input; fails where its oracle does, where a panic is caught on the way, or when it takes
/// too long.
fn takes(target: &Target, (name, bytes): &Input) -> bool {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    static COUNTED: Once = Once::new();
    COUNTED.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            told(panic);
        }));
    });
    let (before, began) = (PANICS.load(Ordering::SeqCst), time_of_processors());
    let taken = catch_unwind(AssertUnwindSafe(|| (target.accepts)(bytes)));
    let took = time_of_processors().saturating_sub(began);
    assert!(took < INPUT_TIME_MAX, "{} on {name} takes {took:?}", target.name);
    let unharmed = taken.ok().filter(|_| PANICS.load(Ordering::SeqCst) == before);
    unharmed.unwrap_or_else(|| panic!("{} fails on {name}; what it says stands above", target.name))
}

/// What this program has used so far, on all its threads: the same however busy the machine is.
fn time_of_processors() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(used.tv_sec).unwrap(), u32::try_from(used.tv_nsec).unwrap())
}

/// The most memory this program ever had, in KiB.
fn memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn every_seed_and_finding_is_read_in_time_and_memory_and_each_target_takes_one() {
    let golden = golden();
    assert!(golden.len() > 250, "{}", golden.len());
    for target in TARGETS {
        let inputs = [seeds(&target), golden.clone()].concat();
        let taken = inputs.iter().filter(|input| takes(&target, input)).count();
        assert!(taken > 0, "{} takes none of its seeds: they say nothing", target.name);
    }
    assert!(memory_kib() < MEMORY_MAX_KIB, "{} KiB", memory_kib());
}

#[test]
fn every_golden_message_is_read_by_a_target() {
    for input in golden() {
        assert!(TARGETS.iter().any(|target| takes(target, &input)), "{} is nobody's", input.0);
    }
}

#[test]
fn a_message_spelled_in_another_way_is_nobodys() {
    let (mut tried, mut spellings) = (0_usize, BTreeSet::new());
    for (name, bytes) in golden() {
        // A COSE_Sign1 is not all CBOR of one map: its payload is tried where it lies alone, among these messages.
        let Some(items) = deterministic::items(&bytes) else {
            assert!(name.starts_with("signed-"), "{name} is not in the one encoding");
            continue;
        };
        let of: Vec<_> =
            TARGETS.iter().filter(|target| takes(target, &(name.clone(), bytes.clone()))).collect();
        // The first items hold what all messages have; then every seventh, so that long messages take no minutes.
        let some = items.iter().take(6).chain(items.iter().skip(6).step_by(7).take(12));
        for item in some {
            for (how, other) in deterministic::respelled(&bytes, *item) {
                spellings.insert(how);
                let may_mean_more = ["the item twice", "the item left out"].contains(&how);
                if may_mean_more && deterministic::items(&other).is_some() {
                    // In its one encoding, and of another meaning: a longer list, or a field that may be left out.
                    continue;
                }
                tried += 1;
                for target in &of {
                    let input = (format!("{name} with {how} at {}", item.start), other.clone());
                    // Exports and histories begin with bytes of their own, and find a message in most.
                    let free = ["export", "history", "head", "link"].contains(&target.name);
                    assert!(!takes(target, &input) || free, "{} takes {}", target.name, input.0);
                }
            }
        }
    }
    assert!(tried > 5_000, "{tried}");
    assert_eq!(spellings.len(), 11, "{spellings:?}");
}

#[test]
fn nesting_and_claimed_lengths_cost_neither_time_nor_memory() {
    let deep = |byte: u8| vec![byte; 100_000];
    let mut inputs = vec![
        ("100,000 nested arrays".to_owned(), deep(0x81)),
        ("100,000 nested maps".to_owned(), [0xa1, 0x00].repeat(50_000)),
        ("100,000 nested tags".to_owned(), deep(0xc1)),
        ("100,000 nested open arrays".to_owned(), deep(0x9f)),
        ("100,000 nested tables".to_owned(), b"a = ".iter().copied().chain(deep(b'{')).collect()),
        ("100,000 nested brackets".to_owned(), b"a = ".iter().copied().chain(deep(b'[')).collect()),
        ("100,000 nested sequences in DER".to_owned(), [0x30, 0x80].repeat(50_000)),
    ];
    for major in 2..6_u8 {
        let huge = [&[major << 5 | 27], (1_u64 << 63).to_be_bytes().as_slice()].concat();
        inputs.push((format!("a length of 2^63 in major type {major}"), huge));
        // Behind the first fields that every message has.
        let field = [&[0xa2, 0x00, 0x01, 0x01, major << 5 | 26], u32::MAX.to_be_bytes().as_slice()].concat();
        inputs.push((format!("4,294,967,295 items in field 1, in major type {major}"), field));
    }
    for target in TARGETS {
        for input in &inputs {
            assert!(!takes(&target, input), "{} takes {}", target.name, input.0);
        }
    }
    assert!(memory_kib() < MEMORY_MAX_KIB, "{} KiB", memory_kib());
}

#[test]
fn each_target_is_a_program_of_the_fuzz_crate_and_none_is_without() {
    let manifest: toml::Table = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap().parse().unwrap();
    let programs: BTreeSet<String> = manifest["bin"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bin| bin["name"].as_str().unwrap().to_owned())
        .collect();
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(programs, targets);
    for name in &targets {
        let path = root().join(format!("fuzz/fuzz_targets/{name}.rs"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.contains(&format!("run(\"{name}\", bytes)")), "{name} runs another oracle");
    }
    for folder in files(&root().join("fuzz/seeds")) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(targets.contains(&name), "{name}: seeds of no target");
    }
}

#[test]
fn every_function_that_reads_bytes_has_a_target() {
    let source = root().join("client/protocol/src");
    let known: BTreeSet<(String, String)> = READERS
        .iter()
        .flat_map(|(file, _, names)| names.iter().map(|name| ((*file).to_owned(), (*name).to_owned())))
        .chain(NO_READERS.iter().map(|(file, name)| ((*file).to_owned(), (*name).to_owned())))
        .collect();
    let found = readers(&source, &source);
    assert_eq!(
        found.difference(&known).collect::<Vec<_>>(),
        Vec::<&(String, String)>::new(),
        "no target tries it"
    );
    assert_eq!(known.difference(&found).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "it is gone");
    for (file, target, _) in READERS {
        assert!(named(target).is_some(), "{file}: {target} is no target");
    }
}

/// File and name of every function in a folder that is given bytes or text, may refuse, and can be called from elsewhere.
fn readers(folder: &Path, source: &Path) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for path in files(folder) {
        if path.is_dir() {
            found.extend(readers(&path, source));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let file = path.strip_prefix(source).unwrap().display().to_string();
        found.extend(readers_in(code).into_iter().map(|name| (file.clone(), name)));
    }
    found
}

fn readers_in(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (place, _) in code.match_indices("fn ") {
        let line = code[..place].rsplit('\n').next().unwrap();
        if !["", "pub", "pub const"].contains(&line.trim()) {
            continue;
        }
        let rest = &code[place + 3..];
        let signature = rest.split('{').next().unwrap();
        let Some((head, gives)) = signature.rsplit_once("->") else { continue };
        let name: String =
            head.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
        let outside = line.contains("pub") || ["from_str", "try_from"].contains(&name.as_str());
        let given = ["&[u8]", "&'a [u8]", "&str"].iter().any(|kind| head.contains(kind));
        if outside && given && (gives.contains("Result<") || gives.contains("Option<")) {
            found.push(name);
        }
    }
    found
}

#[test]
fn a_function_that_reads_bytes_is_found_in_its_source() {
    let code = "
        /// Reads.
        pub fn read(bytes: &[u8]) -> Result<Self, Bad> { }
        fn own(bytes: &[u8]) -> Result<Self, Bad> { }
        fn from_str(text: &str) -> Result<Self, Bad> { }
        pub fn write(self) -> Vec<u8> { }
        pub fn open(key: &[u8; 32], sealed: &[u8]) -> Result<[u8; 16], Bad> { }
        pub fn parse<'a>(
            bytes: &'a [u8],
            len: usize,
        ) -> Option<&'a str>
        { }";
    assert_eq!(readers_in(code), ["read", "from_str", "open", "parse"]);
}

#[test]
fn the_seeds_are_small_enough_for_git() {
    let folders = files(&root().join("fuzz/seeds"));
    let len: u64 =
        folders.iter().flat_map(|folder| files(folder)).map(|path| path.metadata().unwrap().len()).sum();
    assert!(len < SEEDS_LEN_MAX, "{len} bytes");
}
