//! The keeper's start: what differs from the log keeps it from serving, and it says which thing.
//!
//! The keys are spoilt in the token's own files, one attribute at a time, so that nothing else differs.

use keysvc_client::Terminal;
use keysvc_protocol::{
    key::{KeyKind as LogKind, KeyRecord},
    request::{UpdateValue, ValueOperation},
    schema::Schema,
};
use keysvc_tests::{
    about_softhsm::passed_over,
    copies::Copies,
    ended::ended,
    ground::{Ground, text},
    token_file::{self as file, TokenFile, Value},
};
use keysvc_token::{
    KeyKind,
    profile::{Half, Origin},
};
use std::{collections::BTreeSet, fs, path::PathBuf};

/// `CKM_AES_ECB`: no key of ours allows it.
const AES_ECB: u64 = 0x1081;

/// A founded site whose keeper is stopped.
struct Stopped {
    ground: Ground,
    keys: Vec<KeyRecord>,
}

/// What an object is, as far as its file says without the PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    TestMaster,
    Master,
    Storage,
    Private,
    Public,
}

fn shape(object: &TokenFile) -> Shape {
    match (object.value(file::CLASS), object.flag(file::LOCAL), object.value(file::VALUE_LEN)) {
        (Some(Value::Number(2)), ..) => Shape::Public,
        (Some(Value::Number(3)), ..) => Shape::Private,
        (_, _, Some(Value::Number(32))) => Shape::Storage,
        (_, Some(false), _) => Shape::TestMaster,
        _ => Shape::Master,
    }
}

impl Stopped {
    fn new() -> Self {
        let ground = Ground::founded();
        let store = ground.site().service().folder().join("store");
        let keys = keysvc::keeper::ledger::Reader::open(&store).unwrap().keys().unwrap();
        Self { ground, keys }
    }

    fn tokens(&self) -> PathBuf {
        self.ground.site().service().token_folder()
    }

    fn object(&self, wanted: Shape) -> TokenFile {
        self.objects(wanted).remove(0)
    }

    fn objects(&self, wanted: Shape) -> Vec<TokenFile> {
        TokenFile::all(&self.tokens()).into_iter().filter(|object| shape(object) == wanted).collect()
    }

    /// The public half of the key with this name: its label lies open.
    fn public(&self, name: &str) -> TokenFile {
        let label = Value::Bytes(name.as_bytes().to_vec());
        self.objects(Shape::Public)
            .into_iter()
            .find(|object| object.value(file::LABEL) == Some(&label))
            .unwrap()
    }

    fn names(&self, kinds: &[LogKind]) -> Vec<String> {
        let of_kind = self.keys.iter().filter(|key| kinds.contains(&key.kind));
        of_kind.map(|key| key.name.to_string()).collect()
    }

    fn record(&self, name: &str) -> &KeyRecord {
        self.keys.iter().find(|key| key.name.as_str() == name).unwrap()
    }

    /// Puts `spoilt` in its place, has the keeper refuse, and puts `whole` back.
    fn refuses_with(&self, spoilt: &TokenFile, whole: &TokenFile) -> String {
        spoilt.write();
        let said = self.ground.keeper_refuses();
        whole.write();
        said
    }

    /// The private half of the key with this name: its file does not say, so the keeper is asked.
    fn private(&self, name: &str) -> TokenFile {
        let named = |object: &TokenFile| {
            let said = self.refuses_with(&object.with(file::DERIVE, Value::Flag(true)), object);
            said.contains(&format!("the key {name} has CKA_DERIVE true, not false"))
        };
        self.objects(Shape::Private).into_iter().find(named).unwrap()
    }

    /// Flips each attribute that the key table has of one half of the key `name`, one start each.
    fn refuses_each_flip(&self, object: &TokenFile, name: &str, (kind, half): (KeyKind, Half)) {
        let origin = if shape(object) == Shape::TestMaster { Origin::Imported } else { Origin::Generated };
        let whose = if half == Half::Public { format!("{name} (public half)") } else { name.to_owned() };
        let profile = kind.profile();
        for wanted in profile.flags(half).into_iter().chain(profile.birth_marks(half, origin)) {
            let flag = wanted.0.name();
            let number = file::FLAGS.iter().find(|(_, name)| *name == flag).unwrap().0;
            assert_eq!(object.flag(number), Some(wanted.1), "{kind} {flag}");
            let mut spoilt = object.with(number, Value::Flag(!wanted.1));
            let words = format!("the key {whose} has {flag} {}, not {}", !wanted.1, wanted.1);
            match (number, half) {
                // A public object's identifier is not encrypted.
                (file::PRIVATE, Half::Secret) => {
                    let id = self.record(name).id.as_bytes().to_vec();
                    spoilt = spoilt.with(file::ID, Value::Bytes(id));
                }
                // The file's identifier would have to be encrypted; `a_damaged_object` shows what becomes of it.
                (file::PRIVATE, Half::Public) => continue,
                _ => {}
            }
            let said = self.refuses_with(&spoilt, object);
            // What does not lie on the token, and has no other half there, is not found there at all.
            let missing = format!("the key {name} ({}) is missing from the token", self.record(name).id);
            let named = said.contains(&words) || number == file::TOKEN && said.contains(&missing);
            assert!(named, "{kind} {flag}: {said}");
        }
        let spoilt = object.with(file::ALLOWED_MECHANISMS, Value::Mechanisms(vec![AES_ECB]));
        let said = self.refuses_with(&spoilt, object);
        let words = format!("the key {whose} has CKA_ALLOWED_MECHANISMS CKM_AES_ECB, not");
        assert!(said.contains(&words), "{kind}: {said}");
    }
}

#[test]
fn a_card_master_with_any_attribute_of_the_key_table_flipped_is_named() {
    if passed_over("a_card_master_with_any_attribute_of_the_key_table_flipped_is_named") {
        return;
    }
    let stopped = Stopped::new();
    for (shape, name) in [(Shape::TestMaster, "demo-known"), (Shape::Master, "demo-generated")] {
        stopped.refuses_each_flip(&stopped.object(shape), name, (KeyKind::CardMaster, Half::Secret));
    }
}

#[test]
fn a_pair_with_any_attribute_of_the_key_table_flipped_is_named() {
    if passed_over("a_pair_with_any_attribute_of_the_key_table_flipped_is_named") {
        return;
    }
    let stopped = Stopped::new();
    stopped.refuses_each_flip(&stopped.public("value-1"), "value-1", (KeyKind::ValueSigning, Half::Public));
    stopped.refuses_each_flip(&stopped.private("value-1"), "value-1", (KeyKind::ValueSigning, Half::Secret));
}

#[test]
fn a_storage_key_with_any_attribute_of_the_key_table_flipped_is_named() {
    if passed_over("a_storage_key_with_any_attribute_of_the_key_table_flipped_is_named") {
        return;
    }
    let stopped = Stopped::new();
    let name = stopped.names(&[LogKind::Storage]).remove(0);
    stopped.refuses_each_flip(&stopped.object(Shape::Storage), &name, (KeyKind::Storage, Half::Secret));
}

#[test]
fn the_private_half_of_each_pair_is_looked_at() {
    if passed_over("the_private_half_of_each_pair_is_looked_at") {
        return;
    }
    let stopped = Stopped::new();
    let pairs = stopped.names(&[LogKind::ValueSigning, LogKind::ServiceStatement, LogKind::Checkpoint]);
    let paths: BTreeSet<_> = pairs.iter().map(|name| stopped.private(name).path().to_owned()).collect();
    assert_eq!(paths.len(), 3);
}

#[test]
fn a_damaged_object_keeps_the_keeper_from_serving() {
    if passed_over("a_damaged_object_keeps_the_keeper_from_serving") {
        return;
    }
    let stopped = Stopped::new();
    let object = stopped.public("value-1");
    object.with(file::PRIVATE, Value::Flag(true)).write();
    let output = ended(stopped.ground.keysvc(&["keeper"]));
    // The module itself fails on it, which is no attribute of a key: the token is not usable.
    assert_eq!(output.status.code(), Some(10), "{}", text(&output));
    assert!(text(&output).contains("CKR_GENERAL_ERROR"), "{}", text(&output));
}

#[test]
fn a_key_of_another_length_or_type_is_named() {
    if passed_over("a_key_of_another_length_or_type_is_named") {
        return;
    }
    let stopped = Stopped::new();
    let master = stopped.object(Shape::Master);
    let said = stopped.refuses_with(&master.with(file::VALUE_LEN, Value::Number(32)), &master);
    assert!(said.contains("the key demo-generated has CKA_VALUE_LEN 32, not 16"), "{said}");
    // CKK_GENERIC_SECRET.
    let said = stopped.refuses_with(&master.with(file::KEY_TYPE, Value::Number(0x10)), &master);
    assert!(
        said.contains("the key demo-generated has CKA_KEY_TYPE CKK_GENERIC_SECRET, not CKK_AES"),
        "{said}"
    );
}

#[test]
fn a_missing_key_is_named() {
    if passed_over("a_missing_key_is_named") {
        return;
    }
    let stopped = Stopped::new();
    let tokens = Copies::of(&[stopped.tokens()]);
    for (object, name) in [
        (stopped.object(Shape::Master), "demo-generated".to_owned()),
        (stopped.object(Shape::TestMaster), "demo-known".to_owned()),
    ] {
        fs::remove_file(object.path()).unwrap();
        let said = stopped.ground.keeper_refuses();
        let id = stopped.record(&name).id;
        assert!(said.contains(&format!("the key {name} ({id}) is missing from the token")), "{said}");
        tokens.put_back();
    }
    // A half of a pair is missed as well, with the mend.
    fs::remove_file(stopped.public("value-1").path()).unwrap();
    let said = stopped.ground.keeper_refuses();
    assert!(said.contains("the key value-1: "), "{said}");
    tokens.put_back();
}

#[test]
fn a_missing_storage_key_keeps_the_keeper_from_serving() {
    if passed_over("a_missing_storage_key_keeps_the_keeper_from_serving") {
        return;
    }
    let stopped = Stopped::new();
    fs::remove_file(stopped.object(Shape::Storage).path()).unwrap();
    let said = stopped.ground.keeper_refuses();
    let id = stopped.keys.iter().find(|key| key.kind == LogKind::Storage).unwrap().id;
    assert!(said.contains(&id.to_string()), "{said}");
}

#[test]
fn another_key_under_a_keys_identifier_shows_by_its_check_value() {
    if passed_over("another_key_under_a_keys_identifier_shows_by_its_check_value") {
        return;
    }
    let stopped = Stopped::new();
    let (known, generated) = (stopped.object(Shape::TestMaster), stopped.object(Shape::Master));
    let value = known.value(file::VALUE).unwrap().clone();
    let said = stopped.refuses_with(&generated.with(file::VALUE, value), &generated);
    let [wrong, right] = ["demo-known", "demo-generated"].map(|name| stopped.record(name).check);
    assert!(
        said.contains(&format!("the key demo-generated has the check value {wrong}, not {right}")),
        "{said}"
    );

    let (value, statement) = (stopped.public("value-1"), stopped.public("statement"));
    let point = statement.value(file::EC_POINT).unwrap().clone();
    let said = stopped.refuses_with(&value.with(file::EC_POINT, point), &value);
    let [wrong, right] = ["statement", "value-1"].map(|name| stopped.record(name).check);
    assert!(said.contains(&format!("the key value-1 has the check value {wrong}, not {right}")), "{said}");
}

#[test]
fn a_checkpoint_keys_private_half_that_is_anothers_keeps_the_keeper_from_serving() {
    if passed_over("a_checkpoint_keys_private_half_that_is_anothers_keeps_the_keeper_from_serving") {
        return;
    }
    let stopped = Stopped::new();
    let (checkpoint, value) = (stopped.private("checkpoint"), stopped.private("value-1"));
    checkpoint.with(file::VALUE, value.value(file::VALUE).unwrap().clone()).write();
    let output = ended(stopped.ground.keysvc(&["keeper"]));
    assert_eq!(output.status.code(), Some(12), "{}", text(&output));
    assert!(
        text(&output).contains("signature over the last checkpoint does not verify"),
        "{}",
        text(&output)
    );
}

#[test]
fn what_a_value_key_signs_with_anothers_private_half_is_never_released() {
    if passed_over("what_a_value_key_signs_with_anothers_private_half_is_never_released") {
        return;
    }
    let mut stopped = Stopped::new();
    let (value, statement) = (stopped.private("value-1"), stopped.private("statement"));
    value.with(file::VALUE, statement.value(file::VALUE).unwrap().clone()).write();
    // The manifest holds a pair's public half alone, and value keys sign nothing but recorded updates: it serves.
    stopped.ground.start().unwrap();
    let ground = &stopped.ground;
    let refused = ground.block_on(async {
        let terminal = ground.terminal("terminal-1").await.unwrap();
        let request = UpdateValue {
            schema: Schema,
            programme: "coffee".parse().unwrap(),
            card: "04782e21801d80".parse().unwrap(),
            purse: 1,
            operation: ValueOperation::Load,
            expected_seq: 1,
            amount: 500,
            currency: 978,
            balance_before: 0,
            txn: Terminal::new_txn().unwrap(),
        };
        terminal.update(&request).await.unwrap_err()
    });
    // The keeper verified its first signature and refused to serve any more; nobody answers.
    assert_eq!(refused.exit_code(), 4, "{refused:?}");
    let log = std::fs::read_to_string(ground.log()).unwrap();
    assert!(log.contains("is not that of its public half; restore the token"), "{log}");
}

#[test]
fn an_object_that_no_intent_announced_is_named() {
    if passed_over("an_object_that_no_intent_announced_is_named") {
        return;
    }
    let stopped = Stopped::new();
    let copy = stopped.public("value-1");
    let label = Value::Bytes(b"somebody's".to_vec());
    let foreign = copy.with(file::ID, Value::Bytes(vec![0xab; 16])).with(file::LABEL, label);
    foreign.beside("ffffffff-0000-0000-0000-000000000000").write();
    let said = stopped.ground.keeper_refuses();
    let said = said.replace('\\', "");
    let words = "the token holds an object that no intent announced: CKO_PUBLIC_KEY \"somebody's\" abababab";
    assert!(said.contains(words), "{said}");
}

#[test]
fn a_second_object_with_a_keys_identifier_is_named() {
    if passed_over("a_second_object_with_a_keys_identifier_is_named") {
        return;
    }
    let stopped = Stopped::new();
    stopped.object(Shape::Master).beside("ffffffff-0000-0000-0000-000000000000").write();
    let said = stopped.ground.keeper_refuses();
    assert!(said.contains("the key demo-generated: "), "{said}");
}

#[test]
fn files_that_differ_from_the_log_keep_the_keeper_from_serving_and_are_named() {
    let ground = Ground::founded();
    let home = ground.site().service();
    let place = |name: &str| home.folder().join(name);
    let (trust, anchor, policy) = (ground.site().trust(), place("anchor"), place("policies/site.cedar"));
    let copies = Copies::of(&[trust.clone(), anchor.clone(), policy.clone(), place("store")]);
    let refuses = |path: &PathBuf, words: &str| {
        let said = ground.keeper_refuses();
        assert!(said.contains(&path.display().to_string()), "{said}");
        assert!(said.contains(words), "{said}");
        copies.put_back();
    };

    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, format!("{text}\n// One more word.\n")).unwrap();
    refuses(&place("policies"), "put the recorded policies back");
    fs::write(&policy, "permit(").unwrap();
    // A policy error names the file within the folder, and the line.
    let said = ground.keeper_refuses();
    assert!(said.contains("policies: site.cedar, line 1: "), "{said}");
    copies.put_back();

    let text = fs::read_to_string(&trust).unwrap();
    let other = text.trim_end().strip_suffix(char::is_alphanumeric).unwrap();
    let last = if text.trim_end().ends_with('0') { '1' } else { '0' };
    fs::write(&trust, format!("{other}{last}\n")).unwrap();
    refuses(&trust, "put the right store or trust file back");
    fs::write(&trust, "demo.keysvc.test\n").unwrap();
    refuses(&trust, "trust");
    fs::remove_file(&trust).unwrap();
    refuses(&trust, "cannot be read");

    fs::remove_file(&anchor).unwrap();
    refuses(&anchor, "the anchor is missing; put it back");
    let mut bytes = fs::read(&anchor).unwrap();
    bytes.iter_mut().step_by(7).for_each(|byte| *byte ^= 1);
    fs::write(&anchor, bytes).unwrap();
    refuses(&anchor, "is damaged");

    fs::remove_dir_all(place("store")).unwrap();
    fs::create_dir(place("store")).unwrap();
    refuses(&place("store"), "run: keysvc init");
}

#[test]
fn the_store_of_another_site_is_refused() {
    let (ground, other) = (Ground::founded(), Ground::founded());
    let [own, others] = [&ground, &other].map(|ground| ground.site().service().folder().join("store"));
    let copies = Copies::of(std::slice::from_ref(&own));
    fs::remove_dir_all(&own).unwrap();
    fs::rename(&others, &own).unwrap();
    let said = ground.keeper_refuses();
    assert!(said.contains("it names another history"), "{said}");
    copies.put_back();
    let anchors = [&ground, &other].map(|ground| ground.site().service().folder().join("anchor"));
    fs::copy(&anchors[1], &anchors[0]).unwrap();
    let said = ground.keeper_refuses();
    assert!(said.contains("the anchor is not this log's"), "{said}");
}

#[test]
fn a_wrong_pin_is_tried_once_and_said() {
    let ground = Ground::founded();
    fs::write(ground.site().service().pin_file(), "00000000\n").unwrap();
    let output = ended(ground.keysvc(&["keeper"]));
    let said = text(&output);
    // A second attempt could lock a token: the service manager is told not to start it again after this code.
    assert_eq!(output.status.code(), Some(13), "{said}");
    assert!(
        said.contains("the token \"keysvc\" refused the PIN: correct the PIN file before the next start"),
        "{said}"
    );
    assert_eq!(said.matches("logging in to the token").count(), 1, "{said}");
}

#[test]
fn a_module_that_is_not_one_is_named() {
    let ground = Ground::founded();
    let config = ground.site().service_config();
    let written = fs::read_to_string(&config).unwrap();
    let module = written.lines().find(|line| line.starts_with("module")).unwrap();
    fs::write(&config, written.replace(module, "module = \"/nowhere/pkcs11.so\"")).unwrap();
    // It may come back, as a token may.
    let output = ended(ground.keysvc(&["keeper"]));
    assert_eq!(output.status.code(), Some(10), "{}", text(&output));
    assert!(text(&output).contains("no PKCS#11 module at /nowhere/pkcs11.so"), "{}", text(&output));
    let founding = ground.site().founding();
    fs::write(&config, written.replace(module, &format!("module = {:?}", founding.display().to_string())))
        .unwrap();
    let said = ground.keeper_refuses();
    assert!(said.contains(&format!("{} does not load as a PKCS#11 module", founding.display())), "{said}");
}

#[test]
fn a_second_keeper_on_one_store_refuses_and_the_first_serves_on() {
    let mut ground = Ground::new();
    let said = ground.keeper_refuses();
    let store = ground.site().service().folder().join("store");
    assert!(
        said.contains(&format!("the store in {} is in use; stop the other keeper first", store.display()))
    );
    ground.wait().unwrap();
}
