//! A development site as its users find it: laid out by the library, with the command making the tokens.

use keysvc_protocol::{
    bytes::Digest,
    founding::{Delays, Founding, P256Text, PrincipalKind},
    hash::sha256,
};
use keysvc_token::{Pin, Token, TokenConfig, TokenError};
use softhsm_setup::{
    Enrolment, Home, ModuleKind, Newcomer, SetupError, Site, SitePlan, lay_out, pki, softhsm,
    token::PersonaKey,
};
use std::{
    collections::BTreeMap,
    fs,
    ops::Deref,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, Weak},
};
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    parse_x509_certificate,
    pem::parse_x509_pem,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_softhsm-setup");
// What a child of `opens_as` is told.
const LABEL: &str = "SETUP_TEST_LABEL";
const PIN: &str = "SETUP_TEST_PIN";
const ANSWER: &str = "SETUP_TEST_ANSWER";
const KEY: &str = "SETUP_TEST_KEY";
const PERSONAS: [&str; 17] = [
    "officer-1",
    "officer-2",
    "officer-3",
    "station-1",
    "station-2",
    "data-1",
    "data-2",
    "operator-1",
    "operator-2",
    "reviewer-1",
    "monitor-1",
    "terminal-1",
    "terminal-2",
    "office-1",
    "auditor-1",
    "platform-1",
    "stranger",
];
const WITH_TOKEN: [&str; 7] =
    ["service", "station-1", "station-2", "monitor-1", "officer-1", "officer-2", "officer-3"];

fn plan() -> SitePlan {
    SitePlan {
        module: softhsm::find().expect("SoftHSM is installed"),
        service_module: None,
        program: PROGRAM.into(),
        port: 8443,
        policy_digest: Digest::new([7; 32]),
        site_cedar: "// nothing is permitted\n".to_owned(),
    }
}

/// A site in a folder that goes with it.
struct Ground {
    site: Site,
    _folder: tempfile::TempDir,
}

impl Deref for Ground {
    type Target = Site;
    fn deref(&self) -> &Site {
        &self.site
    }
}

/// One site for all tests that only look at it; gone with the last of them.
fn site() -> Arc<Ground> {
    static SITE: Mutex<Weak<Ground>> = Mutex::new(Weak::new());
    let mut shared = SITE.lock().unwrap();
    shared.upgrade().unwrap_or_else(|| {
        let folder = tempfile::tempdir().unwrap();
        let site = lay_out(folder.path(), &plan()).unwrap();
        let ground = Arc::new(Ground { site, _folder: folder });
        *shared = Arc::downgrade(&ground);
        ground
    })
}

fn founding(site: &Site) -> Founding {
    toml::from_str(&fs::read_to_string(site.founding()).unwrap()).unwrap()
}

fn walk(folder: &Path, seen: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, seen);
        }
        seen.push(path);
    }
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = vec![];
    walk(folder, &mut all);
    all.into_iter().map(|path| (path.clone(), fs::read(path).ok())).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Opens the token `label` with the PIN in `pin`, in a process of `who`; says which way it went.
fn opens_as(who: &Home, label: &str, pin: &Path) -> String {
    child(who, label, pin, &[])
}

/// The digest of the approval key in a persona's token.
fn approval_key(who: &Home, label: &str) -> String {
    child(who, label, &who.pin_file(), &[(KEY, "approval")])
}

fn child(who: &Home, label: &str, pin: &Path, more: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let answer = folder.path().join("answer");
    let output = who
        .command(&std::env::current_exe().unwrap())
        .args(["a_token_opens_for_its_owner_alone", "--exact", "--test-threads=1"])
        .env(LABEL, label)
        .env(PIN, pin)
        .env(ANSWER, &answer)
        .envs(more.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    fs::read_to_string(answer).unwrap()
}

/// The child's side of [`child`].
fn answer(path: &Path) {
    let label = std::env::var(LABEL).unwrap();
    let pin = Pin::from_file(Path::new(&std::env::var_os(PIN).unwrap())).unwrap();
    let opened = Token::open(&TokenConfig { module: plan().module, label }, &pin);
    let went = match opened {
        Ok(token) if std::env::var_os(KEY).is_some() => {
            let wanted = std::env::var(KEY).unwrap();
            let key = PersonaKey::ALL.into_iter().find(|key| key.name() == wanted).unwrap();
            sha256(&[token.signing_key(key.kind(), key.id()).unwrap().spki()]).to_string()
        }
        Ok(_) => "opens".to_owned(),
        Err(TokenError::SlotNotFound { .. }) => "no such token".to_owned(),
        Err(TokenError::WrongPin { .. }) => "wrong PIN".to_owned(),
        Err(_) => "fails".to_owned(),
    };
    fs::write(path, went).unwrap();
}

/// The persona command with a persona's own PIN files.
fn persona(home: &Home, label: &str) -> Command {
    let mut command = home.command(Path::new(PROGRAM));
    command.args(["persona", "--label", label, "--module"]).arg(plan().module);
    command.arg("--pin-file").arg(home.pin_file()).arg("--so-pin-file").arg(home.folder().join("so-pin"));
    command
}

#[test]
fn the_founding_file_is_one_that_a_service_accepts() {
    use PrincipalKind::{Auditor, Office, Operator, Platform, Station, Terminal};
    let site = site();
    let founding = founding(&site);
    assert_eq!(founding.check(), Ok(()));
    assert_eq!(founding.policy, Digest::new([7; 32]));
    assert_eq!(founding.ca, sha256(&[site.authority().certificate_der()]));
    assert_eq!(founding.officers.len(), 3);
    assert!(founding.development);
    assert_eq!(founding.delays, Delays { roster_s: 3, destroy_s: 4 });
    let rules = founding.profiles.iter().find_map(|profile| profile.value.as_ref()).unwrap();
    assert_eq!((rules.ceiling, rules.load_max, rules.debit_max), (1_000_000, 600_000, 20_000));
    let kinds: Vec<_> = founding.principals.iter().map(|principal| principal.kind).collect();
    let others = [Terminal, Terminal, Office, Auditor, Platform];
    assert_eq!(kinds, [[Station; 2].as_slice(), &[Operator; 6], &others].concat());
    let pipelines: Vec<_> =
        founding.profiles.iter().map(|profile| (profile.name.as_str(), profile.pipeline)).collect();
    assert_eq!(pipelines, [("known", 8), ("generated", 8), ("inline", 1000)]);
    assert!(founding.profiles.iter().all(|profile| profile.unit_cost == 0));
}

#[test]
fn the_people_of_the_bureau_have_their_roles_and_keys_to_sign_with() {
    let site = site();
    let founding = founding(&site);
    let mut seen = vec![];
    for principal in founding.principals.iter().filter(|one| one.kind == PrincipalKind::Operator) {
        let name = principal.id.as_str();
        assert_eq!(principal.organisation.as_str(), "bureau", "{name}");
        assert!(principal.statement_key.is_some() && principal.wrapping_key.is_none(), "{name}");
        let home = site.home(name);
        assert_eq!(home.has_token(), name == "monitor-1", "{name}");
        assert_eq!(home.statement_key().exists(), name != "monitor-1", "{name}");
        let roles: Vec<_> = principal.capabilities.iter().map(ToString::to_string).collect();
        seen.push((name, roles.join(",")));
    }
    let expected = [
        ("data-1", "data-operator"),
        ("data-2", "data-operator"),
        ("operator-1", "station-operator"),
        ("operator-2", "station-operator"),
        ("reviewer-1", "reviewer"),
        ("monitor-1", "monitor"),
    ];
    assert_eq!(seen, expected.map(|(name, role)| (name, role.to_owned())));
    // The key pinned for the monitor is the one on its card.
    let monitor = founding.principals.iter().find(|one| one.id.as_str() == "monitor-1").unwrap();
    let pinned = monitor.statement_key.unwrap().p256().digest().to_string();
    let home = site.home("monitor-1");
    assert_eq!(child(&home, "monitor-1", &home.pin_file(), &[(KEY, "statement")]), pinned);
}

#[test]
fn folders_are_0700_and_files_0600() {
    let site = site();
    let mut all = vec![site.folder().to_owned()];
    walk(site.folder(), &mut all);
    assert!(all.len() > 80, "{}", all.len());
    for path in all {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), wanted, "{}", path.display());
    }
}

#[test]
fn a_token_opens_for_its_owner_alone() {
    if let Some(path) = std::env::var_os(ANSWER) {
        return answer(Path::new(&path));
    }
    let site = site();
    for name in WITH_TOKEN {
        let home = site.home(name);
        let label = if name == "service" { "keysvc" } else { name };
        assert_eq!(opens_as(&home, label, &home.pin_file()), "opens", "{name}");
        let other = site.home(if name == "officer-1" { "officer-2" } else { "officer-1" });
        assert_eq!(opens_as(&home, label, &other.pin_file()), "wrong PIN", "{name}");
        assert_eq!(opens_as(&other, label, &home.pin_file()), "no such token", "{name}");
    }
    // One without a token does not fall back to the machine's own tokens.
    let (auditor, officer) = (site.home("auditor-1"), site.home("officer-1"));
    assert_eq!(opens_as(&auditor, "officer-1", &officer.pin_file()), "fails");
}

#[test]
fn a_token_is_not_made_twice() {
    let site = site();
    let output = persona(&site.home("officer-3"), "officer-3").output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("exists already"));
}

#[test]
fn every_token_has_pins_of_its_own() {
    let site = site();
    let mut pins: Vec<_> = WITH_TOKEN
        .iter()
        .flat_map(|name| ["pin", "so-pin"].map(|file| site.home(name).folder().join(file)))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    pins.sort();
    pins.dedup();
    assert_eq!(pins.len(), 14);
}

#[test]
fn a_token_is_not_made_without_a_folder_of_its_own() {
    let site = site();
    let mut command = persona(&site.home("officer-1"), "loose");
    let output = command.env_remove(softhsm::CONFIGURATION_VARIABLE).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("SOFTHSM2_CONF is not set"));
}

#[test]
fn every_certificate_names_its_persona_once_and_its_key_is_pinned() {
    let site = site();
    let founding = founding(&site);
    for name in PERSONAS {
        let text = fs::read(site.home(name).tls_certificate()).unwrap();
        let (_, pem) = parse_x509_pem(&text).unwrap();
        let (_, certificate) = parse_x509_certificate(&pem.contents).unwrap();
        let kind = match name.split_once('-') {
            None => "terminal",
            Some(("data" | "reviewer" | "monitor", _)) => "operator",
            Some((kind, _)) => kind,
        };
        let names = certificate.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
        let uri = pki::spiffe("demo.keysvc.test", kind, name);
        assert_eq!(names, [GeneralName::URI(&uri)]);
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth, "{name}");
        let pin = sha256(&[certificate.public_key().raw]);
        let officers = founding.officers.iter().map(|officer| (officer.name.as_str(), officer.tls_key));
        let others = founding.principals.iter().map(|other| (other.id.as_str(), other.tls_key));
        let pinned: Vec<_> =
            officers.chain(others).filter(|(_, key)| *key == pin).map(|(id, _)| id).collect();
        let wanted = if name == "stranger" { vec![] } else { vec![name] };
        assert_eq!(pinned, wanted);
    }
}

#[test]
fn the_services_certificate_is_for_localhost() {
    let site = site();
    let text = fs::read(site.service().tls_certificate()).unwrap();
    let (_, pem) = parse_x509_pem(&text).unwrap();
    let (_, certificate) = parse_x509_certificate(&pem.contents).unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    let uri = "spiffe://demo.keysvc.test/service/keysvc";
    assert_eq!(
        names,
        [GeneralName::URI(uri), GeneralName::DNSName("localhost"), GeneralName::IPAddress(&[127, 0, 0, 1])]
    );
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && !usage.client_auth);
    let constrained = certificate.extensions().iter().any(|extension| {
        matches!(extension.parsed_extension(), ParsedExtension::BasicConstraints(basic) if basic.ca)
    });
    assert!(!constrained);
}

#[test]
fn configurations_name_what_is_there() {
    let site = site();
    for name in PERSONAS {
        let home = site.home(name);
        let text = fs::read_to_string(home.client_config()).unwrap();
        let config: toml::Table = text.parse().unwrap();
        assert_eq!(config["endpoint"].as_str(), Some("localhost:8443"));
        assert_eq!(config["server-name"].as_str(), Some("localhost"));
        for key in ["ca", "certificate", "key", "state"] {
            let path = Path::new(config[key].as_str().unwrap());
            assert!(path.is_absolute() && path.exists(), "{name}: {key}");
        }
        assert_eq!(config.contains_key("token"), home.has_token(), "{name}");
        assert_eq!(config.contains_key("statement"), home.statement_key().exists(), "{name}");
    }
    let service: toml::Table = fs::read_to_string(site.service_config()).unwrap().parse().unwrap();
    for (table, key) in [
        ("front", "certificate"),
        ("front", "key"),
        ("front", "ca"),
        ("keeper", "store"),
        ("keeper", "policies"),
        ("token", "module"),
        ("token", "pin-file"),
        ("token", "folder"),
    ] {
        let path = Path::new(service[table][key].as_str().unwrap());
        assert!(path.is_absolute() && path.exists(), "{table}.{key}");
    }
    assert_eq!(service["front"]["listen"].as_str(), Some("127.0.0.1:8443"));
    let policy = Path::new(service["keeper"]["policies"].as_str().unwrap()).join("site.cedar");
    assert_eq!(fs::read_to_string(policy).unwrap(), plan().site_cedar);
}

#[test]
fn a_second_site_in_the_same_folder_is_refused_and_the_first_stays() {
    let site = site();
    let before = contents(site.folder());
    let error = lay_out(site.folder(), &plan()).unwrap_err();
    assert!(matches!(error, SetupError::Occupied { .. }), "{error}");
    assert_eq!(contents(site.folder()), before);
}

#[test]
fn what_fails_half_way_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("site");
    let error = lay_out(&folder, &SitePlan { module: "/nonexistent.so".into(), ..plan() }).unwrap_err();
    let SetupError::Persona { name, words } = &error else { panic!("{error}") };
    assert_eq!(name, "keysvc");
    assert!(words.contains("no PKCS#11 module at /nonexistent.so"), "{words}");
    assert!(!folder.exists());
}

#[test]
fn a_plan_that_cannot_work_is_refused_before_anything_is_made() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("site");
    assert!(matches!(lay_out(&folder, &SitePlan { port: 0, ..plan() }), Err(SetupError::NoPort)));
    let cut = scratch.path().join("a#b");
    assert!(matches!(lay_out(&cut, &plan()), Err(SetupError::PathUnusable { .. })));
    let long = scratch.path().join("x".repeat(90));
    assert!(matches!(lay_out(&long, &plan()), Err(SetupError::PathTooLong { longest: 100, .. })));
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn a_site_is_opened_again_with_the_same_authority() {
    let site = site();
    let again = Site::open(site.folder()).unwrap();
    assert_eq!((again.port(), again.folder()), (8443, site.folder()));
    assert_eq!(again.authority().digest(), site.authority().digest());
    let nowhere = Site::open(&site.folder().join("state")).unwrap_err();
    assert!(matches!(nowhere, SetupError::File { verb: "find", .. }), "{nowhere}");
}

#[test]
fn the_command_makes_a_site_and_says_where() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("dev");
    let run = || Command::new(PROGRAM).arg("dev").arg(&folder).args(["--port", "9443"]).output().unwrap();
    let first = run();
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    assert_eq!(first.status.code(), Some(0), "{said}");
    assert_eq!(String::from_utf8(first.stdout).unwrap(), format!("{}\n", folder.display()));
    assert!(said.contains("policy digest"), "{said}");
    let second = run();
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&second.stderr).contains("holds something already"));
}

/// Lays a site out with the service's token on `module`; what the command said on stderr, and how it ended.
fn laid_out_on(module: &Path, folder: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    let output = command.arg("dev").arg(folder).arg("--module").arg(module).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_module_that_is_not_known_or_not_there_is_refused_and_nothing_is_made() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("site");
    for (module, words) in [
        ("/usr/lib/libsoftokn3.so", "is neither libsofthsm2.so nor libkryoptic_pkcs11.so"),
        ("/nonexistent/libkryoptic_pkcs11.so", "there is no file /nonexistent/libkryoptic_pkcs11.so"),
    ] {
        let (code, said) = laid_out_on(Path::new(module), &folder);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words) && !folder.exists(), "{said}");
    }
}

/// On `SoftHSM`, and on each module of `KEYSVC_TEST_MODULES` that a site can be laid out on.
#[test]
fn the_services_token_is_on_the_module_that_is_named_and_everyone_elses_on_softhsm() {
    let named = std::env::var_os("KEYSVC_TEST_MODULES").unwrap_or_default();
    let mut modules: Vec<_> =
        std::env::split_paths(&named).filter(|path| ModuleKind::of(path).is_some()).collect();
    modules.push(plan().module);
    for module in modules {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("site");
        let (code, said) = laid_out_on(&module, &folder);
        assert_eq!(code, Some(0), "{said}");
        let site = Site::open(&folder).unwrap();
        let kind = ModuleKind::of(&module).unwrap();
        assert_eq!(site.service().module_kind(), Some(kind));
        let configuration = site.service().configuration(kind);
        assert!(said.contains(&format!("export {}={}", kind.variable(), configuration.display())), "{said}");
        assert!(fs::read_dir(site.service().token_folder()).unwrap().next().is_some());
        let text = fs::read_to_string(site.service_config()).unwrap();
        assert!(text.contains(&format!("module = {:?}", module.display().to_string())), "{text}");
        site.add_persona(Path::new(PROGRAM), &newcomer("officer-4", PrincipalKind::Officer, "law")).unwrap();
        for officer in ["officer-1", "officer-4"] {
            assert_eq!(site.home(officer).module_kind(), Some(ModuleKind::SoftHsm));
        }
    }
}

#[test]
fn a_module_that_the_environment_names_wrongly_is_named() {
    let output =
        Command::new(PROGRAM).arg("find").env(softhsm::MODULE_VARIABLE, "/nonexistent.so").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("SOFTHSM2_MODULE names /nonexistent.so"), "{said}");
}

/// A site of its own, for tests that add to it.
fn own_site() -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let site = lay_out(folder.path(), &plan()).unwrap();
    Ground { site, _folder: folder }
}

fn newcomer(name: &str, kind: PrincipalKind, group: &str) -> Newcomer {
    let capabilities = Vec::new();
    Newcomer { name: name.parse().unwrap(), kind, group: group.parse().unwrap(), capabilities }
}

/// The one URI name and the pin of a persona's certificate.
fn certified(home: &Home) -> (String, Digest) {
    let text = fs::read(home.tls_certificate()).unwrap();
    let (_, pem) = parse_x509_pem(&text).unwrap();
    let (_, certificate) = parse_x509_certificate(&pem.contents).unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    assert_eq!(names.len(), 1);
    let GeneralName::URI(uri) = names[0] else { unreachable!("{names:?}") };
    (uri.to_owned(), sha256(&[certificate.public_key().raw]))
}

#[test]
fn everyone_who_joins_has_what_the_founders_of_the_kind_have_and_a_request_that_says_so() {
    use PrincipalKind::{Auditor, Office, Officer, Operator, Platform, Station, Terminal};
    let site = own_site();
    let founding = fs::read(site.founding()).unwrap();
    for (kind, token, signs) in [
        (Officer, true, true),
        (Station, true, true),
        (Terminal, false, true),
        (Operator, false, true),
        (Office, false, true),
        (Auditor, false, false),
        (Platform, false, false),
    ] {
        let name = format!("{kind}-4");
        let made = site.add_persona(Path::new(PROGRAM), &newcomer(&name, kind, "audit")).unwrap();
        let home = site.home(&name);
        let text = fs::read_to_string(home.enrolment()).unwrap();
        assert_eq!(toml::from_str::<Enrolment>(&text).unwrap(), made, "{text}");
        assert_eq!((made.id.as_str(), made.kind), (name.as_str(), kind));
        let group = if kind == Officer { (None, Some("audit")) } else { (Some("audit"), None) };
        let said = |name: &Option<_>| name.as_ref().map(ToString::to_string);
        assert_eq!((said(&made.organisation).as_deref(), said(&made.department).as_deref()), group);
        assert_eq!(certified(&home), (pki::spiffe("demo.keysvc.test", kind.name(), &name), made.tls_key));
        assert_eq!((home.has_token(), made.statement_key.is_some()), (token, signs), "{kind}");
        assert_eq!(made.wrapping_key.is_some(), kind == Station);
        assert_eq!(home.statement_key().exists(), signs && !token, "{kind}");
        let config: toml::Table = fs::read_to_string(home.client_config()).unwrap().parse().unwrap();
        assert_eq!(
            (config.contains_key("token"), config.contains_key("statement")),
            (token, signs && !token)
        );
        for key in ["ca", "certificate", "key", "state"] {
            assert!(Path::new(config[key].as_str().unwrap()).exists(), "{name}: {key}");
        }
    }
    let mut all = vec![];
    walk(site.folder(), &mut all);
    for path in all {
        assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    // What the officers sign is as it was.
    assert_eq!(fs::read(site.founding()).unwrap(), founding);
}

#[test]
fn an_officers_request_names_the_key_that_the_card_signs_with() {
    let site = own_site();
    let made = site
        .add_persona(Path::new(PROGRAM), &newcomer("officer-4", PrincipalKind::Officer, "audit"))
        .unwrap();
    let home = site.home("officer-4");
    assert_eq!(opens_as(&home, "officer-4", &home.pin_file()), "opens");
    let other = site.home("officer-1");
    assert_eq!(opens_as(&home, "officer-4", &other.pin_file()), "wrong PIN");
    assert_eq!(opens_as(&other, "officer-4", &home.pin_file()), "no such token");
    let named = |key: P256Text| key.p256().digest().to_string();
    assert_eq!(named(made.statement_key.unwrap()), approval_key(&home, "officer-4"));
    // As the founding file names a founder's.
    let founder = &founding(&site).officers[0];
    assert_eq!(named(founder.approval_key), approval_key(&other, "officer-1"));
}

#[test]
fn a_name_that_the_site_has_already_is_refused_and_nothing_changes() {
    let site = site();
    let before = contents(site.folder());
    for name in ["officer-1", "stranger", "service", "pki", "founding-signatures", "founding.toml", "trust"] {
        let refused =
            site.add_persona(Path::new(PROGRAM), &newcomer(name, PrincipalKind::Auditor, "auditors"));
        assert!(matches!(refused, Err(SetupError::NameTaken { .. })), "{name}: {refused:?}");
    }
    assert_eq!(contents(site.folder()), before);
}

#[test]
fn someone_whose_token_cannot_be_made_leaves_nothing() {
    let site = site();
    let before = contents(site.folder());
    let long = "x".repeat(33);
    let refused = site.add_persona(Path::new(PROGRAM), &newcomer(&long, PrincipalKind::Officer, "audit"));
    let Err(SetupError::Persona { words, .. }) = refused else { panic!("{refused:?}") };
    assert!(words.contains("1 to 32 bytes"), "{words}");
    assert_eq!(contents(site.folder()), before);
}

#[test]
fn the_command_adds_a_persona_and_says_where_the_request_is() {
    let site = own_site();
    let run = |kind: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(["add-persona", "--kind", kind, "--name", "officer-4", "--group", "audit"]);
        command.arg("--folder").arg(site.folder()).output().unwrap()
    };
    let wrong = run("oficer");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("officer"), "{wrong:?}");
    let done = run("officer");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    let request = site.home("officer-4").enrolment();
    assert_eq!(String::from_utf8(done.stdout).unwrap(), format!("{}\n", request.display()));
    assert!(said.contains("officer-4 is not enrolled yet"), "{said}");
    let again = run("officer");
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("the name officer-4 is taken"), "{again:?}");
}

#[test]
fn the_command_gives_an_operator_capabilities_and_an_officer_none() {
    let site = own_site();
    let before = contents(site.folder());
    let run = |kind: &str, capabilities: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["add-persona", "--kind", kind, "--name", "night-1", "--group", "bureau"]);
        for capability in capabilities {
            command.args(["--capability", capability]);
        }
        let output = command.arg("--folder").arg(site.folder()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (kind, capabilities, words) in [
        ("officer", &["reviewer"][..], "the capabilities of night-1 do not do: an officer has none"),
        ("operator", &["reviewer", "reviewer"], "reviewer stands there twice"),
        ("operator", &["not a name"], "not a name"),
    ] {
        let (code, said) = run(kind, capabilities);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words), "{said}");
        assert_eq!(contents(site.folder()), before);
    }
    let (code, said) = run("operator", &["station-operator", "monitor"]);
    assert_eq!(code, Some(0), "{said}");
    let text = fs::read_to_string(site.home("night-1").enrolment()).unwrap();
    assert!(text.contains("\ncapabilities = [\"station-operator\", \"monitor\"]\n"), "{text}");
    let made: Enrolment = toml::from_str(&text).unwrap();
    let names: Vec<_> = made.capabilities.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["station-operator", "monitor"]);
}
