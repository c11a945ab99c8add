//! `keysvc verify-store`: a store that served is what its log says, and one that was touched is not.

use keysvc_client::terminal::SignedUpdate;
use keysvc_protocol::{
    cbor,
    merkle::leaf_hash,
    reply::ValueUpdateReply,
    request::{
        Operation,
        ValueOperation::{Debit, Load},
    },
    value::ValueUpdate,
};
use keysvc_tests::{
    copies::Copies,
    ended::{ended, refusal},
    ground::{Ground, text},
    jobs::Bench,
    raw::{self, Caller},
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// A service that did a bit of everything and was stopped.
struct Served {
    ground: Ground,
    first: SignedUpdate,
    last: SignedUpdate,
    leaves: Vec<raw::Leaf>,
}

impl Served {
    fn new() -> Self {
        let mut ground = Ground::new();
        let (first, last) = ground.block_on(async {
            let terminal = ground.terminal("terminal-1").await.unwrap();
            let first = terminal.update(&raw::update(Load, 1, 2_000, 0)).await.unwrap();
            (first, terminal.update(&raw::update(Debit, 2, 350, 2_000)).await.unwrap())
        });
        let mut bench = Bench::new(env!("CARGO_BIN_EXE_card"), &ground, "station-1");
        bench.make(("generated", 1), &["04782e21801d81"]).unwrap();
        let mut terminal = Caller::new(ground.site(), "terminal-1");
        let wrong = raw::update(Load, 9, 1, 0);
        assert!(terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &wrong).is_err());
        let leaves = raw::leaves(&ground);
        ground.stop();
        // Two starts: the second opens what the first sealed.
        ground.start().unwrap();
        ground.stop();
        Self { ground, first, last, leaves }
    }

    fn database(&self) -> PathBuf {
        self.ground.site().service().folder().join("store/ledger.sqlite3")
    }

    /// Turns a byte of each place where the database holds `bytes`; gives how many there were.
    fn touch(&self, bytes: &[u8]) -> usize {
        let mut all = fs::read(self.database()).unwrap();
        let places: Vec<_> =
            all.windows(bytes.len()).enumerate().filter(|(_, at)| *at == bytes).map(|(at, _)| at).collect();
        places.iter().for_each(|at| all[*at] ^= 1);
        fs::write(self.database(), all).unwrap();
        places.len()
    }

    fn differs(&self) -> Value {
        let output = ended(self.ground.keysvc(&["verify-store", "--json"]));
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(String::from_utf8_lossy(&output.stderr).contains("the store is not what its log says"));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["verified"], false);
        found
    }
}

fn parts(found: &Value) -> Vec<(&str, &str)> {
    let all = found["differences"].as_array().unwrap().iter();
    all.map(|one| (one["part"].as_str().unwrap(), one["key"].as_str().unwrap())).collect()
}

/// The files in a folder, but for those that SQLite makes to read a log of its own.
fn kept(folder: &Path) -> BTreeSet<OsString> {
    let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    names.filter(|name| !["ledger.sqlite3-wal", "ledger.sqlite3-shm"].iter().any(|own| name == own)).collect()
}

#[test]
fn a_store_that_served_is_verified_and_is_as_it_was() {
    let served = Served::new();
    let store = served.database().parent().unwrap().to_owned();
    let before = fs::read(served.database()).unwrap();
    let files = kept(&store);
    let output = ended(served.ground.keysvc(&["verify-store"]));
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for words in [
        "1 founding",
        "2 value updated",
        "1 card keys derived",
        "1 job opened",
        "1 refused",
        "purse               1  purses",
        "4 job changed",
        "1 cards changed",
        "1 job purged",
        "idem                9  requests that may still be repeated",
        "job                 1  jobs: ",
        "job_station         0  jobs ",
        "job_item            0  items ",
        "card                1  cards of the registry",
        "leaves a second",
        "verdict    verified: the store is what its log says",
    ] {
        assert!(said.contains(words), "no '{words}' in {said}");
    }
    assert!(!said.contains("DIFFER"), "{said}");
    assert_eq!(fs::read(served.database()).unwrap(), before);
    assert_eq!(kept(&store), files);

    let output = ended(served.ground.keysvc(&["verify-store", "--json"]));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["schema"], "keysvc/verify-store/1");
    assert_eq!((&found["verified"], &found["differences_total"]), (&true.into(), &0.into()));
    assert_eq!(found["compared"].as_array().unwrap().len(), 24);
    // And it serves again.
    let mut ground = served.ground;
    ground.start().unwrap();
}

#[test]
fn a_store_in_use_is_left_alone_and_one_that_was_never_founded_says_so() {
    let ground = Ground::new();
    let said = refusal(ground.keysvc(&["verify-store"]));
    assert!(said.contains("is in use; stop the other keeper first"), "{said}");
    let empty = Ground::laid_out();
    let said = refusal(empty.keysvc(&["verify-store"]));
    assert!(said.contains("the store holds no founding; run: keysvc init"), "{said}");
}

#[test]
fn what_was_touched_in_the_store_is_named_by_table_and_row() {
    let served = Served::new();
    let home = served.ground.site().service();
    let all = [served.database(), home.folder().join("anchor"), served.ground.site().trust()];
    let whole = Copies::of(&all);

    // The link of the purse's last update lies in the clear in one row alone; the payloads are sealed.
    let link = ValueUpdate::link(&cbor::encode(&served.last.update));
    assert_eq!(served.touch(link.as_bytes()), 1);
    let found = served.differs();
    let [(part, _)] = parts(&found)[..] else { panic!("{found}") };
    assert_eq!(part, "purse");
    let one = &found["differences"][0];
    assert!(one["log"].as_str().unwrap().contains("sequence number 2, balance 1650"), "{found}");
    whole.put_back();

    // An entry: the tree over it is another, its payload is not its own any more, and the anchor is off.
    let index = served.first.leaf_index;
    let entry = cbor::encode(&served.leaves[usize::try_from(index).unwrap()].0);
    // A page that was split keeps a copy where nobody reads.
    assert!(served.touch(&entry[entry.len() - 32..]) >= 1);
    let found = served.differs();
    let named = parts(&found);
    assert!(named.contains(&("leaf", index.to_string().as_str())), "{found}");
    assert!(
        named.iter().any(|(part, _)| *part == "node") && named.iter().any(|(part, _)| *part == "anchor"),
        "{found}"
    );
    whole.put_back();

    // A node that no leaf is read by.
    assert!(served.touch(leaf_hash(&entry).as_bytes()) > 0);
    let found = served.differs();
    assert!(parts(&found).contains(&("node", format!("level 0 over leaf {index}").as_str())), "{found}");
    whole.put_back();

    fs::remove_file(&all[1]).unwrap();
    let trust = fs::read_to_string(&all[2]).unwrap();
    fs::write(&all[2], trust.replace("genesis ", "genesis 0").replacen("0\n", "\n", 1)).unwrap();
    let found = served.differs();
    let named: Vec<_> = parts(&found).into_iter().map(|(part, _)| part).collect();
    assert_eq!(named, ["anchor", "trust"], "{found}");
    assert!(!all[1].exists(), "no anchor is made");
    whole.put_back();
    assert!(ended(served.ground.keysvc(&["verify-store"])).status.success());
}
