//! What the project may be made of: licences, sources and lowest versions of its dependencies, and the lints of its crates.
//!
//! Licences are those of what is built here; sources, floors and the list of what is refused hold for all of Cargo.lock.
//! Reads no network: the advisories behind the floors are written here by hand.

use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const LICENCES: [&str; 10] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "ISC",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "Unicode-3.0",
    "Zlib",
    "CC0-1.0",
    "BlueOak-1.0.0",
];
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Crates that must not be older, where they are there at all, and why.
const FLOORS: [(&str, Version, &str); 4] = [
    ("cryptoki", (0, 12, 1), "RUSTSEC-2026-0286"),
    ("rustls", (0, 23, 45), "RUSTSEC-2026-0285"),
    ("rustls-webpki", (0, 103, 13), "certificates and revocation lists"),
    ("h2", (0, 4, 16), "floods of frames"),
];
/// Crates that must not be there, and why.
const REFUSED: [(&str, &str); 10] = [
    ("openssl", "a second TLS"),
    ("openssl-sys", "a second TLS"),
    ("native-tls", "a second TLS"),
    ("aws-lc-rs", "a second provider"),
    ("aws-lc-sys", "a second provider"),
    ("rsa", "RUSTSEC-2023-0071"),
    ("serde_cbor", "RUSTSEC-2021-0127"),
    ("paste", "RUSTSEC-2024-0436"),
    ("des", "3DES"),
    ("git2", "not for a signer"),
];

/// Major, minor and patch.
type Version = (u64, u64, u64);

/// A package of a lock file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Locked {
    name: String,
    version: String,
    /// None for the crates of this repository.
    source: Option<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read_toml(path: &Path) -> toml::Table {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).parse().unwrap()
}

fn locked(lock: &toml::Table) -> BTreeSet<Locked> {
    let text = |package: &toml::Value, key: &str| {
        package.get(key).and_then(|value| value.as_str()).map(str::to_owned)
    };
    let packages = lock["package"].as_array().unwrap().iter();
    packages
        .map(|package| Locked {
            name: text(package, "name").unwrap(),
            version: text(package, "version").unwrap(),
            source: text(package, "source"),
        })
        .collect()
}

fn version(text: &str) -> Version {
    // A pre-release comes before the version it names.
    let (release, before) = text.split_once('-').map_or((text, false), |(release, _)| (release, true));
    let release = release.split('+').next().unwrap();
    let mut numbers = release.split('.').map(|number| number.parse::<u64>().unwrap());
    let (major, minor, patch) = (numbers.next().unwrap(), numbers.next().unwrap(), numbers.next().unwrap());
    if before { (major, minor, patch.saturating_sub(1)) } else { (major, minor, patch) }
}

fn too_old(packages: &BTreeSet<Locked>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, floor, why) in FLOORS {
        let old = packages.iter().filter(|package| package.name == name && version(&package.version) < floor);
        found.extend(old.map(|package| format!("{name} {} is below {floor:?}: {why}", package.version)));
    }
    found
}

fn refused(packages: &BTreeSet<Locked>) -> Vec<String> {
    let refused = REFUSED.iter().filter(|(name, _)| packages.iter().any(|package| package.name == *name));
    refused.map(|(name, why)| format!("{name}: {why}")).collect()
}

fn from_elsewhere(packages: &BTreeSet<Locked>) -> Vec<String> {
    let elsewhere =
        packages.iter().filter(|package| package.source.as_ref().is_some_and(|source| source != CRATES_IO));
    elsewhere
        .map(|package| format!("{} comes from {}", package.name, package.source.as_ref().unwrap()))
        .collect()
}

/// Whether an SPDX expression (or crates.io's older form with a slash) can be met by licences of the list alone.
fn is_allowed(expression: &str) -> bool {
    let spaced =
        expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "+WITH+");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest) == Some(true) && rest.is_empty()
}

fn either(words: &mut &[&str]) -> Option<bool> {
    let mut allowed = all(words)?;
    while let ["OR", rest @ ..] = words {
        *words = rest;
        allowed |= all(words)?;
    }
    Some(allowed)
}

fn all(words: &mut &[&str]) -> Option<bool> {
    let mut allowed = licence(words)?;
    while let ["AND", rest @ ..] = words {
        *words = rest;
        allowed &= licence(words)?;
    }
    Some(allowed)
}

fn licence(words: &mut &[&str]) -> Option<bool> {
    let (first, rest) = words.split_first()?;
    *words = rest;
    if *first != "(" {
        return Some(LICENCES.contains(&first.replace("+WITH+", " WITH ").as_str()));
    }
    let allowed = either(words)?;
    let (close, rest) = words.split_first()?;
    *words = rest;
    (*close == ")").then_some(allowed)
}

/// Packages whose licence is not among the allowed, or is not said.
fn unlicensed(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().unwrap().iter();
    let bad = packages.filter(|package| !package["license"].as_str().is_some_and(is_allowed));
    bad.map(|package| format!("{} is under {}", package["name"], package["license"])).collect()
}

/// What cargo knows of the packages built on this machine.
fn metadata() -> Value {
    let cargo = || Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let version = cargo().arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = cargo()
        .current_dir(root())
        .args(["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

fn package(name: &str, version: &str, source: Option<&str>) -> BTreeSet<Locked> {
    let source = source.map(str::to_owned);
    BTreeSet::from([Locked { name: name.to_owned(), version: version.to_owned(), source }])
}

/// Why a crate's lints are not the workspace's: `keysvc-token` repeats them, for `unsafe_code` to be deniable only; the
/// tests have fewer, but the strict ones.
fn wrong_lints(name: &str, manifest: &toml::Table, workspace: &toml::Table) -> Option<String> {
    let mut expected = workspace["workspace"]["lints"].as_table().unwrap().clone();
    let lints = manifest.get("lints").and_then(|lints| lints.as_table()).cloned().unwrap_or_default();
    let good = match name {
        "keysvc-token" => {
            expected["rust"]["unsafe_code"] = "deny".into();
            lints == expected
        }
        "keysvc-tests" => [
            ("rust", "unsafe_code"),
            ("clippy", "allow_attributes"),
            ("clippy", "allow_attributes_without_reason"),
            ("clippy", "dbg_macro"),
        ]
        .iter()
        .all(|(tool, lint)| lints.get(*tool).and_then(|lints| lints.get(lint)) == expected[*tool].get(lint)),
        _ => lints.get("workspace") == Some(&true.into()) && lints.len() == 1,
    };
    (!good).then(|| format!("{name} does not have the workspace's lints"))
}

#[test]
fn every_dependency_is_new_enough_and_none_is_refused() {
    let packages = locked(&read_toml(&root().join("Cargo.lock")));
    for (name, ..) in FLOORS.iter().take(3) {
        assert!(
            packages.iter().any(|package| package.name == *name),
            "{name} is gone: its floor checks nothing"
        );
    }
    none(&[too_old(&packages), refused(&packages)].concat());
}

#[test]
fn an_old_or_a_refused_crate_is_found() {
    for bad in ["0.12.0", "0.9.9", "0.12.1-rc.1"] {
        assert_eq!(too_old(&package("cryptoki", bad, None)).len(), 1, "{bad}");
    }
    for good in ["0.12.1", "0.12.2+build", "0.13.0", "1.0.0"] {
        none(&too_old(&package("cryptoki", good, None)));
    }
    assert_eq!(refused(&package("rsa", "1.0.0", None)).len(), 1);
    none(&refused(&package("rsa-like", "1.0.0", None)));
}

#[test]
fn every_dependency_comes_from_crates_io_or_this_repository() {
    let packages = locked(&read_toml(&root().join("Cargo.lock")));
    none(&from_elsewhere(&packages));
    let ours: BTreeSet<_> = packages.iter().filter(|package| package.source.is_none()).collect();
    let members = read_toml(&root().join("Cargo.toml"))["workspace"]["members"].as_array().unwrap().len();
    assert_eq!(ours.len(), members, "a path dependency outside the workspace: {ours:?}");
    assert_eq!(from_elsewhere(&package("a", "1.0.0", Some("git+https://example.org/a"))).len(), 1);
}

#[test]
fn every_dependency_is_under_a_licence_that_we_accept() {
    let metadata = metadata();
    assert!(metadata["packages"].as_array().unwrap().len() > 100);
    none(&unlicensed(&metadata));
}

#[test]
fn licences_are_read_as_expressions() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
        "AGPL-3.0 AND MIT OR ISC",
    ] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in [
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND MPL-2.0",
        "GPL-2.0 WITH Classpath-exception-2.0",
        "",
        "MIT OR",
        "(MIT",
        "MIT ISC",
    ] {
        assert!(!is_allowed(bad), "{bad}");
    }
    let silent =
        serde_json::json!({"packages": [{"name": "a", "license": null}, {"name": "b", "license": "MIT"}]});
    assert_eq!(unlicensed(&silent), ["\"a\" is under null"]);
}

#[test]
fn every_crate_has_the_workspaces_lints() {
    let workspace = read_toml(&root().join("Cargo.toml"));
    let mut wrong = Vec::new();
    for member in workspace["workspace"]["members"].as_array().unwrap() {
        let manifest = read_toml(&root().join(member.as_str().unwrap()).join("Cargo.toml"));
        wrong.extend(wrong_lints(manifest["package"]["name"].as_str().unwrap(), &manifest, &workspace));
    }
    none(&wrong);
}

#[test]
fn a_crate_with_other_lints_is_found() {
    let workspace: toml::Table = "[workspace.lints.rust]\nunsafe_code = 'forbid'\n[workspace.lints.clippy]\n\
        allow_attributes = 'deny'\nallow_attributes_without_reason = 'deny'\ndbg_macro = 'deny'"
        .parse()
        .unwrap();
    let is_wrong = |name: &str, lints: &str| wrong_lints(name, &lints.parse().unwrap(), &workspace).is_some();
    assert!(!is_wrong("a", "[lints]\nworkspace = true"));
    assert!(is_wrong("a", "") && is_wrong("a", "[lints.rust]\nunsafe_code = 'forbid'"));
    let strict = "[lints.clippy]\nallow_attributes = 'deny'\nallow_attributes_without_reason = 'deny'\n\
        dbg_macro = 'deny'\n[lints.rust]\nunsafe_code = ";
    assert!(!is_wrong("keysvc-token", &format!("{strict}'deny'")));
    assert!(is_wrong("keysvc-token", &format!("{strict}'warn'")));
    assert!(!is_wrong("keysvc-tests", &format!("{strict}'forbid'")));
    assert!(is_wrong("keysvc-tests", &format!("{strict}'deny'")));
}

#[test]
fn the_terminals_fixture_is_built_from_the_same_versions() {
    let packages = locked(&read_toml(&root().join("Cargo.lock")));
    let fixture = locked(&read_toml(&root().join("tests/thumb/Cargo.lock")));
    let other: Vec<_> =
        fixture.difference(&packages).filter(|package| package.name != "keysvc-thumb").collect();
    assert_eq!(other, Vec::<&Locked>::new());
}
