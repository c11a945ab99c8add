//! What our programs are made of, as cargo knows it for this machine: the crates that are linked into each, and those
//! that run while it is built. For the supply chain's tests and its bill of materials ([`crate::sbom`]).
//!
//! Asks cargo, and reads Cargo.lock; reads no network.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The programs that a site runs.
pub const PROGRAMS: [&str; 3] = ["keysvc", "fobctl", "fobaudit"];

/// Where every crate but ours comes from, as Cargo.lock spells it.
pub const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A crate in one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What is known of a crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Which.
    pub id: Id,
    /// Its licence, an SPDX expression, as its manifest says.
    pub licence: Option<String>,
    /// What it is, as its manifest says.
    pub description: Option<String>,
    /// Where its sources are kept, as its manifest says.
    pub repository: Option<String>,
    /// SHA-256 of its archive, hexadecimal, of Cargo.lock; none for crates of this repository.
    pub checksum: Option<String>,
    /// Whether it comes from this repository.
    pub is_ours: bool,
    /// Whether it runs a program of its own while it is built.
    pub has_build_script: bool,
    /// Whether it is a macro that runs in the compiler.
    pub is_macro: bool,
    /// The crates that it may depend on.
    pub depends_on: BTreeSet<Id>,
}

/// The repository's folder.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository").to_owned()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root())
        .args(arguments)
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes text")
}

/// The kind of machine that this is, as the compiler names it.
#[must_use]
pub fn host() -> String {
    let version = cargo(&["-vV"]);
    version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo says its host").to_owned()
}

/// Crates linked into a program: what runs when it runs.
#[must_use]
pub fn linked_into(program: &str) -> BTreeSet<Id> {
    tree(program, "normal,no-proc-macro")
}

/// Crates that a program is built of and with: what is linked, macros, build scripts and what those link.
#[must_use]
pub fn needed_to_build(program: &str) -> BTreeSet<Id> {
    tree(program, "normal,build")
}

/// With the features that this program alone asks for, as a release is built.
fn tree(program: &str, edges: &str) -> BTreeSet<Id> {
    let host = host();
    let text = cargo(&[
        "tree",
        "--package",
        program,
        "--edges",
        edges,
        "--target",
        &host,
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--locked",
        "--offline",
    ]);
    // `name v1.2.3`, and behind it where it lies or that it is a macro.
    let id = |line: &str| {
        let mut words = line.split(' ');
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        Some(Id { name: name.to_owned(), version: version.to_owned() })
    };
    text.lines().filter_map(id).collect()
}

/// Every crate that is built here, tests included.
#[must_use]
pub fn all() -> BTreeMap<Id, Package> {
    let host = host();
    let text =
        cargo(&["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", &host]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo writes JSON");
    let checksums = checksums();
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let ids: BTreeMap<&str, Id> =
        packages.iter().filter_map(|package| Some((package["id"].as_str()?, id(package)))).collect();
    let edges = edges(&metadata, &ids);
    packages.iter().map(|package| (id(package), read(package, &checksums, &edges))).collect()
}

fn id(package: &Value) -> Id {
    let text = |key: &str| package[key].as_str().expect("a name and a version").to_owned();
    Id { name: text("name"), version: text("version") }
}

fn read(package: &Value, checksums: &BTreeMap<Id, String>, edges: &BTreeMap<Id, BTreeSet<Id>>) -> Package {
    let id = id(package);
    let text = |key: &str| package[key].as_str().map(str::to_owned);
    let targets = package["targets"].as_array().expect("a list of targets");
    let has = |kind: &str| {
        targets
            .iter()
            .any(|target| target["kind"].as_array().is_some_and(|kinds| kinds.contains(&kind.into())))
    };
    Package {
        licence: text("license"),
        description: text("description"),
        repository: text("repository"),
        checksum: checksums.get(&id).cloned(),
        is_ours: package["source"].is_null(),
        has_build_script: has("custom-build"),
        is_macro: has("proc-macro"),
        depends_on: edges.get(&id).cloned().unwrap_or_default(),
        id,
    }
}

/// Who depends on whom, without tests' own dependencies.
fn edges(metadata: &Value, ids: &BTreeMap<&str, Id>) -> BTreeMap<Id, BTreeSet<Id>> {
    let nodes = metadata["resolve"]["nodes"].as_array().expect("a resolved graph");
    let of = |node: &Value| {
        let from = ids.get(node["id"].as_str()?)?.clone();
        let links = node["deps"].as_array()?.iter().filter(|link| {
            link["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] != "dev"))
        });
        let to = links.filter_map(|link| ids.get(link["pkg"].as_str()?).cloned()).collect();
        Some((from, to))
    };
    nodes.iter().filter_map(of).collect()
}

/// SHA-256 of each archive, as Cargo.lock has it.
fn checksums() -> BTreeMap<Id, String> {
    let text = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is there");
    let lock: toml::Table = text.parse().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("a list of packages");
    let of = |package: &toml::Value| {
        let text = |key: &str| package.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        Some((Id { name: text("name")?, version: text("version")? }, text("checksum")?))
    };
    packages.iter().filter_map(of).collect()
}
