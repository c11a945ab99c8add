//! The founding: every check comes before anything is made, and what every officer signed is what is founded.

use keysvc::{
    config::Config,
    keeper::{
        founding::open_token,
        manifest::{self, Order},
        serve::now_ms,
    },
};
use keysvc_protocol::{
    bytes::ObjectIdentifier,
    key::{KeyKind, KeyState},
};
use keysvc_tests::{
    copies::Copies,
    ended::{ended, refusal},
    ground::{Ground, OFFICERS, text},
    raw::with_tokens,
    service_token::{begun_objects, objects},
};
use softhsm_setup::Site;
use std::{fs, path::PathBuf, process::Stdio};

/// A site with all its signatures, not founded yet.
struct Signed {
    ground: Ground,
    whole: Copies,
}

impl Signed {
    fn new() -> Self {
        let ground = Ground::laid_out();
        ground.sign_founding().unwrap();
        let whole = Copies::of(&[
            ground.site().founding(),
            ground.site().signatures(),
            ground.site().service_config(),
        ]);
        Self { ground, whole }
    }

    fn founding(&self) -> String {
        fs::read_to_string(self.ground.site().founding()).unwrap()
    }

    fn signature(&self, officer: &str) -> PathBuf {
        self.ground.site().signatures().join(format!("{officer}.cose"))
    }

    /// `init` refuses with all of these words, nothing is made, and all files are as they were again.
    fn refuses(&self, words: &[&str]) {
        let said = refusal(self.ground.keysvc(&["init"]));
        for words in words {
            assert!(said.contains(words), "no '{words}' in {said}");
        }
        self.nothing_is_made();
        self.whole.put_back();
    }

    fn refuses_text(&self, text: &str, words: &[&str]) {
        assert_ne!(text, self.founding());
        fs::write(self.ground.site().founding(), text).unwrap();
        let file = format!("{}: ", self.ground.site().founding().display());
        self.refuses(&[&[file.as_str()], words].concat());
    }

    fn nothing_is_made(&self) {
        let home = self.ground.site().service();
        assert_eq!(objects(&self.ground), 0, "the token holds something");
        assert!(!self.ground.site().trust().exists());
        assert!(!home.folder().join("anchor").exists());
        assert_eq!(fs::read_dir(home.folder().join("store")).unwrap().count(), 0);
    }
}

/// The value of the `number`th line that sets `key`.
fn value<'t>(text: &'t str, key: &str, number: usize) -> &'t str {
    let start = format!("{key} = ");
    text.lines().filter_map(|line| line.strip_prefix(&start)).nth(number).unwrap()
}

#[test]
fn a_signature_that_does_not_count_is_refused_and_nothing_is_made() {
    let signed = Signed::new();
    for officer in OFFICERS {
        let file = signed.signature(officer);
        let about = file.display().to_string();
        fs::remove_file(&file).unwrap();
        let mend = format!("the officer's signature is missing; {officer} runs: fobctl founding sign");
        signed.refuses(&[&about, &mend]);

        let another = OFFICERS.into_iter().find(|other| *other != officer).unwrap();
        fs::copy(signed.signature(another), &file).unwrap();
        signed.refuses(&[&about, "the signature does not count", "sign again"]);

        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        signed.refuses(&[&about, "the signature does not count"]);
    }
    fs::write(signed.signature("officer-3"), [0xd2; 2000]).unwrap();
    signed.refuses(&["officer-3.cose", "longer than 1024 bytes"]);
    fs::write(signed.signature("officer-3"), b"").unwrap();
    signed.refuses(&["officer-3.cose", "the signature does not count"]);

    let init = signed.ground.keysvc(&["init"]).output().unwrap();
    assert!(init.status.success(), "{}", text(&init));
}

#[test]
fn signatures_over_another_version_of_the_file_do_not_count() {
    let signed = Signed::new();
    // One letter of a comment.
    let text = signed.founding().replacen("who is who", "who is Who", 1);
    assert_ne!(text, signed.founding());
    fs::write(signed.ground.site().founding(), text).unwrap();
    signed.refuses(&["officer-1.cose", "the signature does not count", "another file"]);
    // And one officer of the three signed an earlier version.
    let early = Copies::of(&[signed.signature("officer-2")]);
    let text = signed.founding().replacen("who is who", "who is Who", 1);
    fs::write(signed.ground.site().founding(), text).unwrap();
    for officer in OFFICERS {
        fs::remove_file(signed.signature(officer)).unwrap();
    }
    signed.ground.sign_founding().unwrap();
    early.put_back();
    signed.refuses(&["officer-2.cose", "the signature does not count", "another file"]);
}

#[test]
fn a_known_value_without_development_is_refused_with_key_and_mend() {
    let signed = Signed::new();
    let text = signed.founding().replace("development = true\n", "development = false\n");
    let mend =
        "keys.demo-known.value: a known value needs development = true; for real cards leave value out";
    signed.refuses_text(&text, &[mend]);
    let text = signed.founding().replace("development = true\n", "");
    signed.refuses_text(&text, &[mend]);
}

#[test]
fn a_founding_file_that_is_not_one_is_refused_with_place_and_mend() {
    let signed = Signed::new();
    let text = signed.founding();
    signed.refuses_text(
        &text.replace("development = true", "developement = true"),
        &["developement", "unknown field"],
    );
    let officer = text.replacen("department = ", "salary = 1\ndepartment = ", 1);
    signed.refuses_text(&officer, &["officers[0].salary: unknown field"]);
    signed.refuses_text(&text.replacen("department = ", "devision = ", 1), &["officers[0]", "unknown field"]);
    signed.refuses_text(
        &text.replacen("currency = 978", "currency = \"EUR\"", 1),
        &["programmes[0].currency: "],
    );
    signed
        .refuses_text(&text.replacen("currency = 978", "currency = 0", 1), &["programmes.coffee.currency: "]);
    let key = text.replacen("value-key = \"value-1\"", "value-key = \"value-2\"", 1);
    signed.refuses_text(&key, &["programmes.coffee.value-key: name a key of kind value-signing"]);
    signed.refuses_text(&format!("{text}\n# {}\n", "x".repeat(65_536)), &["longer than 65536 bytes"]);
    let [one, two] = [0, 1].map(|number| value(&text, "approval-key", number));
    signed
        .refuses_text(&text.replace(two, one), &["officers.approval-key", "it stands there twice; keep one"]);
    let [one, two] = [0, 1].map(|number| value(&text, "tls-key", number));
    signed.refuses_text(&text.replace(two, one), &["tls-key", "it stands there twice; keep one"]);
    let alike = text.replacen("name = \"officer-2\"", "name = \"officer-1\"", 1);
    signed.refuses_text(&alike, &["officers.officer-1: it stands there twice"]);
    fs::remove_file(signed.ground.site().founding()).unwrap();
    signed.refuses(&["founding.toml: cannot be read"]);
}

#[test]
fn a_founding_file_for_other_policies_another_ca_or_another_domain_is_refused() {
    let signed = Signed::new();
    let text = signed.founding();
    let digest = value(&text, "policy", 0).to_owned();
    let zeros = format!("\"{}\"", "0".repeat(64));
    let with = |key: &str, value: &str, new: &str| {
        text.replacen(&format!("{key} = {value}"), &format!("{key} = {new}"), 1)
    };
    signed.refuses_text(
        &with("policy", &digest, &zeros),
        &["policy: the policies in ", digest.trim_matches('"')],
    );
    let ca = value(&text, "ca", 0).to_owned();
    signed.refuses_text(&with("ca", &ca, &zeros), &["ca: the CA in ", ca.trim_matches('"')]);
    let domain = value(&text, "trust-domain", 0).to_owned();
    signed.refuses_text(
        &with("trust-domain", &domain, "\"other.keysvc.test\""),
        &["trust-domain: keysvc.toml says demo.keysvc.test; the two must be equal"],
    );
}

#[test]
fn a_founding_that_could_not_write_its_trust_file_makes_nothing() {
    let signed = Signed::new();
    let file = signed.ground.site().service_config();
    let trust = signed.ground.site().trust().display().to_string();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(&trust, "/nowhere/at/all/trust")).unwrap();
    signed.refuses(&["/nowhere/at/all/trust: cannot be made", "make its folder writable"]);
}

#[test]
fn a_founded_site_is_not_founded_again() {
    let ground = Ground::founded();
    let before = fs::read(ground.site().trust()).unwrap();
    let said = refusal(ground.keysvc(&["init"]));
    assert!(said.contains(&ground.site().trust().display().to_string()), "{said}");
    assert!(said.contains("the service is founded already"), "{said}");
    // Nor where somebody took the trust file away, nor then the anchor, nor then the store: the token holds the keys.
    let home = ground.site().service();
    let all = Copies::of(&[home.folder().join("anchor"), home.folder().join("store")]);
    fs::remove_file(ground.site().trust()).unwrap();
    let said = refusal(ground.keysvc(&["init"]));
    assert!(said.contains("an anchor is there, of another site or an interrupted founding"), "{said}");
    fs::remove_file(home.folder().join("anchor")).unwrap();
    let said = refusal(ground.keysvc(&["init"]));
    assert!(said.contains("the store holds a log, of another site or an interrupted founding"), "{said}");
    fs::remove_dir_all(home.folder().join("store")).unwrap();
    fs::create_dir(home.folder().join("store")).unwrap();
    let said = refusal(ground.keysvc(&["init"]));
    assert!(said.contains("the token is not empty (9 objects)"), "{said}");
    all.put_back();
    assert!(!ground.site().trust().exists());
    fs::write(ground.site().trust(), before).unwrap();
    let doctor = ground.keysvc(&["doctor"]).output().unwrap();
    assert!(doctor.status.success(), "{}", text(&doctor));
}

/// What an interrupted founding leaves: its first key.
fn leave_an_orphan(site: &Site) {
    let config = Config::read(&site.service_config()).unwrap();
    let token = open_token(&config).unwrap();
    let (name, id) = ("checkpoint".parse().unwrap(), ObjectIdentifier::new([0x0f; 16]));
    let born = KeyState::Active;
    let order = Order { name, version: 1, kind: KeyKind::Checkpoint, id, born, known: None };
    manifest::make(&token, &order, now_ms()).unwrap();
}

#[test]
fn a_token_that_is_not_empty_is_refused_and_its_orphans_are_named() {
    let test = "a_token_that_is_not_empty_is_refused_and_its_orphans_are_named";
    let make = || {
        let ground = Ground::laid_out();
        ground.sign_founding().unwrap();
        ground
    };
    let Some(ground) = with_tokens(test, &["service"], make, |site, _| leave_an_orphan(site)) else { return };
    let said = refusal(ground.keysvc(&["init"]));
    assert!(said.contains("the token is not empty"), "{said}");
    for class in ["CKO_PRIVATE_KEY", "CKO_PUBLIC_KEY"] {
        assert!(said.contains(&format!("{class} \"checkpoint\" ({})", "0f".repeat(16))), "{said}");
    }
    assert!(said.contains("no founding here announced them") && said.contains("use a fresh token"), "{said}");
    assert!(!ground.site().trust().exists());
    assert_eq!(objects(&ground), 2);
}

/// A site whose founding is to be interrupted, and everything a founding makes.
struct Interrupted {
    signed: Signed,
    bare: Copies,
}

impl Interrupted {
    fn new() -> Self {
        let signed = Signed::new();
        let home = signed.ground.site().service();
        let places = [
            home.token_folder(),
            home.folder().join("store"),
            home.folder().join("anchor"),
            signed.ground.site().trust(),
        ];
        let bare = Copies::of(&places);
        Self { signed, bare }
    }

    /// Objects in the token, torn ones too, which are not read.
    fn objects(&self) -> usize {
        begun_objects(&self.signed.ground)
    }

    fn in_store(&self, name: &str) -> PathBuf {
        self.signed.ground.site().service().folder().join("store").join(name)
    }

    fn init(&self, arguments: &[&str]) -> std::process::Output {
        ended(self.signed.ground.keysvc(&[&["init"], arguments].concat()))
    }

    /// Starts a founding and kills it as soon as `far` says so; whether that was before its end.
    fn killed_when(&self, far: impl Fn() -> bool) -> bool {
        let mut init = self.signed.ground.keysvc(&["init"]);
        let mut init = init.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !far() && init.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        init.kill().unwrap();
        init.wait().unwrap();
        !self.signed.ground.site().trust().exists()
    }

    /// The founding is whole: its nine objects, no orders, and everything as a start wants it.
    fn is_whole(&self) {
        // A file that SoftHSM was killed over may stay: the module lists no object for it, so none can be destroyed.
        assert!((9..=10).contains(&self.objects()), "{}", self.objects());
        assert!(!self.in_store("founding.orders").exists());
        let doctor = ended(self.signed.ground.keysvc(&["doctor"]));
        assert!(doctor.status.success(), "{}", text(&doctor));
        let verified = ended(self.signed.ground.keysvc(&["verify-store"]));
        assert!(verified.status.success(), "{}", text(&verified));
    }
}

#[test]
fn a_founding_killed_anywhere_is_cleared_or_finished_and_then_whole() {
    let site = Interrupted::new();
    let (mut cleared, mut finished) = (0, 0);
    let anchor = site.signed.ground.site().service().folder().join("anchor");
    // After so many objects; then with a store, and with an anchor.
    for point in [0, 1, 2, 3, 5, 7, 9, 10, 11] {
        let killed = site.killed_when(|| match point {
            10 => site.in_store("ledger.sqlite3").exists(),
            11 => anchor.exists(),
            objects => site.in_store("founding.orders").exists() && site.objects() >= objects,
        });
        if killed {
            let plain = site.init(&[]);
            let said = text(&plain);
            if plain.status.success() {
                finished += 1;
            } else {
                assert!(said.contains("an earlier founding was interrupted"), "{point}: {said}");
                assert!(said.contains("keysvc init --discard-orphans\n  object  CKO_"), "{point}: {said}");
                let before = site.objects();
                let unasked = text(&site.init(&["--discard-orphans"]));
                assert!(unasked.contains("nothing was destroyed: nobody is there to be asked"), "{unasked}");
                assert_eq!(site.objects(), before);
                let anew = site.init(&["--discard-orphans", "--yes"]);
                assert!(anew.status.success(), "{point}: {}", text(&anew));
                cleared += 1;
            }
            site.is_whole();
        }
        site.bare.put_back();
    }
    assert!(cleared >= 3, "{cleared} cleared, {finished} finished: the kills came too late");
}

#[test]
fn a_founding_interrupted_after_leaf_0_is_finished_with_the_same_genesis() {
    let site = Interrupted::new();
    let anchor = site.signed.ground.site().service().folder().join("anchor");
    // The anchor's disk is not there: leaf 0 is on disk, and nothing after it.
    std::os::unix::fs::symlink("/nowhere/at/all", &anchor).unwrap();
    let said = text(&site.init(&[]));
    assert!(said.contains("the anchor") && !site.signed.ground.site().trust().exists(), "{said}");
    fs::remove_file(&anchor).unwrap();
    let store = site.in_store("");
    let genesis = keysvc::keeper::ledger::Reader::open(&store).unwrap().root_at(1).unwrap();
    let left = Copies::of(&[store, site.signed.ground.site().service().token_folder()]);

    // Not with another founding file, nor without a key: then it can only be cleared.
    let text_now = site.signed.founding();
    fs::write(site.signed.ground.site().founding(), text_now.replacen("who is who", "who is Who", 1))
        .unwrap();
    for officer in OFFICERS {
        fs::remove_file(site.signed.signature(officer)).unwrap();
    }
    site.signed.ground.sign_founding().unwrap();
    let said = text(&site.init(&[]));
    assert!(
        said.contains("leaf 0 was written and cannot be finished: the founding file is not the one"),
        "{said}"
    );
    let anew = site.init(&["--discard-orphans", "--yes"]);
    assert!(anew.status.success(), "{}", text(&anew));
    site.is_whole();
    site.signed.whole.put_back();
    site.bare.put_back();

    left.put_back();
    let done = site.init(&[]);
    let said = text(&done);
    assert!(done.status.success() && said.contains("an interrupted founding was finished"), "{said}");
    assert!(said.contains(&format!("genesis       {genesis}")), "{said}");
    assert!(fs::read_to_string(site.signed.ground.site().trust()).unwrap().contains(&genesis.to_string()));
    site.is_whole();
}

#[test]
fn nothing_is_destroyed_that_the_interrupted_founding_did_not_announce() {
    let site = Interrupted::new();
    assert!(site.killed_when(|| site.objects() >= 3), "the kill came too late");
    let before = site.objects();
    // A line of the orders taken away makes one object somebody else's.
    let file = site.in_store("founding.orders");
    let orders = fs::read_to_string(&file).unwrap();
    let without: Vec<_> = orders.lines().filter(|line| !line.ends_with(" checkpoint")).collect();
    fs::write(&file, without.join("\n") + "\n").unwrap();
    let said = text(&site.init(&["--discard-orphans", "--yes"]));
    assert!(said.contains("that it did not announce") && said.contains("nothing is destroyed"), "{said}");
    assert_eq!(site.objects(), before);
    // Nor where the token is another one.
    fs::write(&file, orders.replacen("token ", "token 0", 1)).unwrap();
    let said = text(&site.init(&["--discard-orphans", "--yes"]));
    assert!(said.contains("was of another token"), "{said}");
    assert_eq!(site.objects(), before);
    // Nor without orders and store, however far it came before the kill: a service that lost its disk looks like this.
    for entry in fs::read_dir(file.parent().unwrap()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let said = text(&site.init(&["--discard-orphans", "--yes"]));
    assert!(said.contains("the token is not empty"), "{said}");
    assert_eq!(site.objects(), before);
}

#[test]
fn a_service_that_started_is_not_discarded_whatever_lies_beside_it() {
    let mut ground = Ground::new();
    ground.stop();
    let home = ground.site().service();
    let store = home.folder().join("store");
    let reader = keysvc::keeper::ledger::Reader::open(&store).unwrap();
    let ids: Vec<_> = reader.keys().unwrap().iter().map(|key| format!("{} {}\n", key.id, key.name)).collect();
    let genesis = reader.root_at(1).unwrap();
    drop(reader);
    // The trust file is gone and its orders are back, as far as files can say so.
    let orders = format!("keysvc founding orders 1\ntoken 0\n{}end\n", ids.concat());
    fs::write(store.join("founding.orders"), orders).unwrap();
    fs::remove_file(ground.site().trust()).unwrap();
    let said = refusal(ground.keysvc(&["init", "--discard-orphans", "--yes"]));
    assert!(said.contains("the service was founded and started; put its trust file back"), "{said}");
    assert!(said.contains(&genesis.to_string()), "{said}");
    // The founding's nine, and the storage key of incidents that the first start made.
    assert_eq!(objects(&ground), 10);
}

#[test]
fn a_founding_prints_the_genesis_digest_that_the_trust_file_holds() {
    let signed = Signed::new();
    let init = signed.ground.keysvc(&["init"]).output().unwrap();
    assert!(init.status.success(), "{}", text(&init));
    let said = String::from_utf8(init.stdout).unwrap();
    let trust = fs::read_to_string(signed.ground.site().trust()).unwrap();
    let [domain, genesis] = trust.lines().collect::<Vec<_>>()[..] else { panic!("{trust}") };
    assert!(domain.ends_with("demo.keysvc.test"), "{trust}");
    let genesis = genesis.rsplit(' ').next().unwrap();
    assert!(said.contains(genesis), "{said}");
    assert!(said.contains("signed by     officer-1, officer-2, officer-3"), "{said}");
    assert!(said.contains("DEVELOPMENT"), "{said}");
    assert_eq!(said.matches("TEST KEY").count(), 1, "{said}");
}
