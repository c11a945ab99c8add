//! What the released programs are linked of and built with: each crate that occurs twice, and each that runs code while
//! they are built, is named here with its reason, so that a new one is seen. Beside it the bill of materials, and the fuzz
//! crate, which is a workspace of its own. Licences, sources and lowest versions are `floors.rs`'s.

use keysvc_tests::{
    packages::{self, CRATES_IO, Id, PROGRAMS, Package, linked_into, needed_to_build, root},
    sbom,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Crates that are linked into one program in two versions: what each is for, and why both are there.
const LINKED_TWICE: [(&str, &str); 2] = [
    ("getrandom", "fobctl: 0.2 is ring's, 0.4 is tempfile's; both ask the kernel"),
    ("unicode-width", "Cedar's: 0.1 of its error reports, 0.2 of its formatter; a table of letters"),
];
/// Crates that run a program of their own while ours are built, and what it does. Read on 2026-11-22.
const BUILD_SCRIPTS: [(&str, &str); 31] = [
    ("cedar-policy", "makes code of messages, with a feature that is off"),
    ("cedar-policy-core", "makes the parser of policies of its grammar (lalrpop)"),
    ("cryptoki-sys", "takes the bindings that come with it for this machine"),
    ("generic-array", "asks for the compiler's version"),
    ("getrandom", "asks for the compiler's version"),
    ("httparse", "asks for the compiler's version"),
    ("keysvc-policies", "ours: lists the decision cases of a folder"),
    ("libc", "asks for the compiler's version"),
    ("libmimalloc-sys", "compiles the allocator, C that comes with it"),
    ("libsqlite3-sys", "compiles SQLite, C that comes with it"),
    ("num-traits", "asks the compiler what it can"),
    ("object", "asks for the compiler's version; for psm's build script"),
    ("oid-registry", "writes tables of names"),
    ("parking_lot_core", "looks at the kind of machine"),
    ("portable-atomic", "asks for the compiler's version"),
    ("proc-macro2", "asks the compiler what it can"),
    ("prometheus-client", "makes code of messages, with a feature that is off"),
    ("psm", "assembles the switch of stacks that deep policies need"),
    ("quote", "asks for the compiler's version"),
    ("ref-cast", "asks for the compiler's version"),
    ("ring", "compiles and assembles the cryptography that comes with it"),
    ("rustix", "asks the compiler what it can"),
    ("rustls", "looks for a nightly compiler"),
    ("rustversion", "asks for the compiler's version"),
    ("serde", "asks for the compiler's version"),
    ("serde_core", "asks for the compiler's version"),
    ("serde_json", "looks at the kind of machine"),
    ("stacker", "looks at the kind of machine"),
    ("thiserror", "asks the compiler what it can"),
    ("zerocopy", "asks for the compiler's version"),
    ("zmij", "asks for the compiler's version"),
];
/// Macros that run in the compiler while our programs are built, by whose they are.
const MACROS: [(&str, &str); 23] = [
    ("asn1-rs-derive", "x509-parser's"),
    ("asn1-rs-impl", "x509-parser's"),
    ("askama_macros", "askama's: the templates of reports"),
    ("async-recursion", "Cedar's symbolic compiler's, in fobctl alone"),
    ("clap_derive", "clap's"),
    ("darling_macro", "Cedar's, through serde_with"),
    ("displaydoc", "x509-parser's"),
    ("educe", "Cedar's"),
    ("enum-ordinalize-derive", "Cedar's, through educe"),
    ("enumflags2_derive", "landlock's"),
    ("logos-derive", "Cedar's: the letters of its formatter"),
    ("miette-derive", "Cedar's: its error reports"),
    ("prometheus-client-derive-encode", "prometheus-client's"),
    ("ref-cast-impl", "Cedar's"),
    ("rustversion", "Cedar's, and x509-parser's"),
    ("serde_derive", "serde's"),
    ("serde_with_macros", "Cedar's"),
    ("thiserror-impl", "thiserror's"),
    ("time-macros", "x509-parser's"),
    ("tokio-macros", "tokio's"),
    ("tracing-attributes", "tracing's"),
    ("zerocopy-derive", "Cedar's, through its sets"),
    ("zeroize_derive", "zeroize's"),
];

fn names(packages: &BTreeSet<Id>) -> BTreeSet<&str> {
    packages.iter().map(|id| id.name.as_str()).collect()
}

/// Names that occur with more than one version.
fn twice(packages: &BTreeSet<Id>) -> BTreeSet<&str> {
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for id in packages {
        *versions.entry(&id.name).or_default() += 1;
    }
    versions.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect()
}

/// Names of those that are built for some program and have something about them.
fn built_with(all: &BTreeMap<Id, Package>, has: impl Fn(&Package) -> bool) -> BTreeSet<String> {
    let needed = PROGRAMS.iter().flat_map(|program| needed_to_build(program));
    needed.filter(|id| has(&all[id])).map(|id| id.name).collect()
}

fn listed(list: &[(&str, &str)]) -> BTreeSet<String> {
    list.iter().map(|(name, _)| (*name).to_owned()).collect()
}

#[test]
fn no_crate_is_linked_twice_but_those_that_are_named() {
    let mut found = BTreeSet::new();
    for program in PROGRAMS {
        let linked = linked_into(program);
        assert!(linked.len() > 50, "{program}: {}", linked.len());
        found.extend(twice(&linked).into_iter().map(str::to_owned));
    }
    assert_eq!(found, listed(&LINKED_TWICE), "on the left what is, on the right what this test names");
}

#[test]
fn the_crates_that_run_while_the_programs_are_built_are_those_that_are_named() {
    let all = packages::all();
    let scripts = built_with(&all, |package| package.has_build_script);
    assert_eq!(scripts, listed(&BUILD_SCRIPTS), "on the left what is, on the right what this test names");
    let macros = built_with(&all, |package| package.is_macro);
    assert_eq!(macros, listed(&MACROS), "on the left what is, on the right what this test names");
}

#[test]
fn a_crate_that_is_there_twice_is_found() {
    let id = |name: &str, version: &str| Id { name: name.to_owned(), version: version.to_owned() };
    let packages = BTreeSet::from([id("a", "1.0.0"), id("a", "2.0.0"), id("b", "1.0.0")]);
    assert_eq!(twice(&packages), BTreeSet::from(["a"]));
}

#[test]
fn what_is_for_tests_proofs_and_development_is_not_in_the_service() {
    let linked = linked_into("keysvc");
    let names = names(&linked);
    for there in ["landlock", "seccompiler", "cryptoki", "rustls", "rusqlite", "cedar-policy", "mimalloc"] {
        assert!(names.contains(there), "{there} is gone: this test looks at something else");
    }
    for not in
        ["shuttle", "stateright", "proptest", "rcgen", "tempfile", "cedar-policy-symcc", "keysvc-client"]
    {
        assert!(!names.contains(not), "{not} is linked into the service");
    }
    let linked = linked_into("fobaudit");
    for not in ["cryptoki", "rustls", "hyper", "tokio", "keysvc", "rusqlite"] {
        assert!(!linked.iter().any(|id| id.name == not), "{not} is linked into the offline verifier");
    }
}

#[test]
fn the_bill_of_materials_names_what_is_linked_and_nothing_else() {
    let all = packages::all();
    for program in PROGRAMS {
        let bill = sbom::of(program);
        assert_eq!(bill, sbom::of(program), "{program}: two bills of one commit differ");
        assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
        assert_eq!(bill["metadata"]["component"]["name"], program);
        let own = std::iter::once(&bill["metadata"]["component"]);
        let components: Vec<_> = own.chain(bill["components"].as_array().unwrap()).collect();
        let text = |component: &Value, key: &str| component[key].as_str().unwrap().to_owned();
        let named: BTreeSet<Id> = components
            .iter()
            .map(|component| Id { name: text(component, "name"), version: text(component, "version") })
            .collect();
        assert_eq!(named, linked_into(program), "{program}");
        assert_eq!(named.len(), components.len(), "{program}: one is named twice");
        for component in &components {
            let id = Id { name: text(component, "name"), version: text(component, "version") };
            assert!(text(component, "purl").starts_with(&format!("pkg:cargo/{}@", id.name)), "{id:?}");
            let hash = component["hashes"][0]["content"].as_str();
            assert_eq!(hash, all[&id].checksum.as_deref(), "{id:?}");
            assert_eq!(hash.is_none(), all[&id].is_ours, "{id:?} has no checksum in Cargo.lock");
            assert!(component["licenses"][0]["expression"].is_string(), "{id:?} has no licence");
        }
        let references: BTreeSet<_> = components.iter().map(|component| text(component, "bom-ref")).collect();
        for edge in bill["dependencies"].as_array().unwrap() {
            assert!(references.contains(edge["ref"].as_str().unwrap()), "{edge}");
            for on in edge["dependsOn"].as_array().unwrap() {
                assert!(references.contains(on.as_str().unwrap()), "{edge}");
            }
        }
        assert_eq!(bill["dependencies"].as_array().unwrap().len(), references.len());
    }
}

/// The library of the specification's own people, which has its JSON schema; `None`, loudly, where it cannot be installed.
fn python_with_cyclonedx() -> Option<PathBuf> {
    let folder = root().join("target/cyclonedx");
    let python = folder.join("bin/python");
    let has = |python: &Path| {
        let tried = Command::new(python).args(["-c", "import cyclonedx, jsonschema, referencing"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    if has(&python) {
        return Some(python);
    }
    let run = |program: &Path, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let made = env::var_os("KEYSVC_NO_INSTALL").is_none_or(|forbids| forbids != "1")
        && run(Path::new("python3"), &["-m", "venv", folder.to_str()?])
        && run(&python, &["-m", "pip", "-q", "install", "cyclonedx-python-lib[json-validation]==11.12.0"]);
    (made && has(&python)).then_some(python)
}

#[test]
fn the_bill_of_materials_is_of_the_specifications_own_schema() {
    const PROGRAM: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
if error is not None:
    sys.exit(str(error)[:2000])
";
    let Some(python) = python_with_cyclonedx() else {
        let what = "NOT CHECKED: the bill of materials by CycloneDX's own schema: cyclonedx-python-lib cannot be installed";
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{what}");
        eprintln!("{what}");
        return;
    };
    let validate = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bill.json");
        fs::write(&path, text).unwrap();
        let file = fs::File::open(&path).unwrap();
        Command::new(&python).args(["-c", PROGRAM]).stdin(file).output().unwrap()
    };
    for program in PROGRAMS {
        let output = validate(&sbom::of(program).to_string());
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut other = sbom::of("keysvc");
    other["components"][0]["type"] = "crate".into();
    assert!(!validate(&other.to_string()).status.success(), "the schema takes anything");
}

#[test]
fn the_fuzz_crate_is_built_of_the_same_versions_and_has_no_unsafe_code() {
    let read = |path: &str| -> toml::Table {
        fs::read_to_string(root().join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .parse()
            .unwrap()
    };
    let locked = |lock: &toml::Table| -> BTreeSet<(String, String, Option<String>)> {
        let text = |package: &toml::Value, key: &str| {
            package.get(key).and_then(|value| value.as_str()).map(str::to_owned)
        };
        let packages = lock["package"].as_array().unwrap().iter();
        packages
            .map(|one| (text(one, "name").unwrap(), text(one, "version").unwrap(), text(one, "source")))
            .collect()
    };
    let (ours, fuzz) = (locked(&read("Cargo.lock")), locked(&read("fuzz/Cargo.lock")));
    let other: BTreeSet<_> = fuzz.difference(&ours).map(|(name, ..)| name.as_str()).collect();
    assert_eq!(other, BTreeSet::from(["arbitrary", "jobserver", "keysvc-fuzz", "libfuzzer-sys"]));
    for (name, _, source) in &fuzz {
        assert!(source.as_deref().is_none_or(|source| source == CRATES_IO), "{name} comes from {source:?}");
    }
    let manifest = read("fuzz/Cargo.toml");
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    let root = read("Cargo.toml");
    assert!(root["workspace"]["exclude"].as_array().unwrap().contains(&"fuzz".into()));
}

/// What the registry said of every version when cargo last asked: each crate of Cargo.lock is in cargo's own copy of the
/// index, because it was downloaded by it.
#[test]
fn no_version_in_use_was_withdrawn_when_cargo_last_looked() {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"))).unwrap();
    let folders = fs::read_dir(home.join("registry/index")).into_iter().flatten().flatten();
    let caches: Vec<PathBuf> = folders.map(|folder| folder.path().join(".cache")).collect();
    let (mut looked_up, mut unknown, mut withdrawn) = (0_usize, Vec::new(), Vec::new());
    for (id, package) in packages::all() {
        if package.is_ours {
            continue;
        }
        let place = place_in_index(&id.name);
        let files = caches.iter().filter_map(|cache| fs::read(cache.join(&place)).ok());
        let mut said = files.filter_map(|file| is_withdrawn(&file, &id.version));
        match said.next() {
            Some(true) => withdrawn.push(id),
            Some(false) => looked_up += 1,
            None => unknown.push(id.name),
        }
    }
    assert!(withdrawn.is_empty(), "withdrawn by their makers: {withdrawn:?}");
    if looked_up == 0 {
        let what = "NOT CHECKED: whether a version in use was withdrawn: cargo has no copy of the index here";
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{what}");
        eprintln!("{what}");
        return;
    }
    assert!(unknown.is_empty(), "not in cargo's copy of the index: {unknown:?}; run cargo fetch");
}

/// As crates.io lays out its index: by the first four letters, or by the length of a shorter name.
fn place_in_index(name: &str) -> String {
    let name = name.to_lowercase();
    match name.len() {
        1 | 2 => format!("{}/{name}", name.len()),
        3 => format!("3/{}/{name}", &name[..1]),
        _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
    }
}

/// Whether the index says that a version was withdrawn; nothing where it does not name it. Cargo's copy is the index's
/// lines of JSON with bytes of its own between them.
fn is_withdrawn(file: &[u8], version: &str) -> Option<bool> {
    let mut lines = file.split(|byte| *byte == 0 || *byte == b'\n');
    lines.find_map(|line| {
        let entry: Value = serde_json::from_slice(line).ok()?;
        (entry["vers"] == version).then(|| entry["yanked"] == true)
    })
}

#[test]
fn a_withdrawn_version_is_found_in_the_index() {
    let file = b"\x03\x02etag\x001.0.0\x00{\"vers\":\"1.0.0\",\"yanked\":true}\x001.0.1\x00{\"vers\":\"1.0.1\",\"yanked\":false}\x00";
    assert_eq!(is_withdrawn(file, "1.0.0"), Some(true));
    assert_eq!(is_withdrawn(file, "1.0.1"), Some(false));
    assert_eq!(is_withdrawn(file, "1.0.2"), None);
    assert_eq!(place_in_index("ring"), "ri/ng/ring");
    assert_eq!((place_in_index("syn"), place_in_index("cc")), ("3/s/syn".to_owned(), "2/cc".to_owned()));
}
