//! The layers of docs/ARCHITECTURE.md and the house rules that no compiler holds, by reading the sources.
//!
//! Every rule is also tried on a few bad lines, so that it is known to fail.

#[path = "layers/paths.rs"]
mod paths;
#[path = "layers/rules.rs"]
mod rules;
#[path = "layers/source.rs"]
mod source;
#[path = "layers/tokens.rs"]
mod tokens;

use rules::Confined;
use serde_json::Value;
use source::{Source, root, workspace};
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// From top to bottom. Those at the top put the others together and may name each other.
const KEEPER: [&[&str]; 15] = [
    &["start", "founding", "doctor", "verify_store"],
    &["endpoint"],
    &["batch"],
    &["serve"],
    &["operation", "query"],
    &["bundle"],
    &["notary"],
    &["keyring"],
    &["storage"],
    &["manifest", "own_token", "imports"],
    &["ledger"],
    &["gate"],
    &["action"],
    &["site"],
    &["limits"],
];
const PROOFS: [&str; 4] = ["Permit", "Recorded", "RecordedBundle", "Committed"];
const MAKERS: [&str; 3] =
    ["keysvc/src/keeper/gate.rs", "keysvc/src/keeper/ledger.rs", "keysvc/src/keeper/ledger/sequencer"];
const CONFINED: [Confined; 12] = [
    Confined { crates: &["cryptoki", "cryptoki_sys"], places: &["keysvc/token"] },
    Confined { crates: &["cedar_policy"], places: &["policies"] },
    // Proofs are made by officers' programs, not by the daemon.
    Confined { crates: &["cedar_policy_symcc"], places: &["policies/prover"] },
    // A custodian's check value, before the component leaves their machine; all else is computed in a token.
    Confined { crates: &["aes", "cmac"], places: &["client/src/component", "keysvc/token", "tests"] },
    Confined { crates: &["qrcode"], places: &["client/fobctl/src/ceremony/page"] },
    // The load's floor of durability commits to a database of its own: what the library costs with no ledger around it.
    // A token of kryoptic's is a database.
    Confined {
        crates: &["rusqlite"],
        places: &["keysvc/src/keeper/ledger", "tests/load/durable", "tests/src/service_token"],
    },
    Confined { crates: &["serde_cbor", "serde_cbor_2"], places: &["client/protocol/src/cbor.rs"] },
    // Tests speak to the service as attackers do, past the client.
    Confined {
        crates: &["hyper", "hyper_util", "rustls", "tokio_rustls"],
        places: &["keysvc/src/front", "keysvc/tests", "client/src/connect", "tests"],
    },
    Confined { crates: &["prometheus_client"], places: &["keysvc/src/metrics"] },
    // What holds each half, and nothing else that it could be asked for.
    Confined { crates: &["landlock"], places: &["keysvc/src/sandbox/files"] },
    Confined { crates: &["seccompiler"], places: &["keysvc/src/sandbox/calls"] },
    Confined { crates: &["sd_notify"], places: &["keysvc/src/service_manager.rs"] },
];

fn none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

fn one(path: &str, text: &str) -> [Source; 1] {
    [Source::new(path, text)]
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root())
        .args(arguments)
        .args(["--locked", "--offline"])
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Which crates of the workspace each one names, and whether for its tests alone.
fn arrows(metadata: &Value) -> BTreeMap<String, BTreeMap<String, bool>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let mut named = BTreeMap::new();
        for dependency in package["dependencies"].as_array().unwrap() {
            // A crate may name itself for its tests, to turn on a feature; that is no arrow.
            if dependency["path"].is_string() && dependency["name"] != package["name"] {
                let for_tests = named.entry(text(&dependency["name"])).or_insert(true);
                *for_tests &= dependency["kind"].as_str() == Some("dev");
            }
        }
        found.insert(text(&package["name"]), named);
    }
    found
}

/// Crates whose arrows are not exactly these. What a crate's tests name must be among what it names anyway.
fn wrong_arrows(expected: &[(&str, &[&str])], metadata: &Value) -> Vec<String> {
    let found = arrows(metadata);
    let mut wrong = Vec::new();
    for (name, allowed) in expected {
        let named = found.get(*name).cloned().unwrap_or_default();
        let ships: BTreeSet<_> =
            named.iter().filter(|(_, tests)| !**tests).map(|(name, _)| name.as_str()).collect();
        let any: BTreeSet<_> = named.keys().map(String::as_str).collect();
        let allowed: BTreeSet<_> = allowed.iter().copied().collect();
        if ships != allowed || !any.is_subset(&allowed) {
            wrong.push(format!("{name} names {any:?} instead of {allowed:?}"));
        }
    }
    let known: BTreeSet<_> = expected.iter().map(|(name, _)| *name).chain(["keysvc-tests"]).collect();
    wrong.extend(
        found.keys().filter(|name| !known.contains(name.as_str())).map(|name| format!("{name} is new")),
    );
    wrong
}

#[test]
fn crates_name_only_the_crates_below_them() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version=1", "--no-deps"])).unwrap();
    none(&wrong_arrows(
        &[
            ("keysvc", &["keysvc-policies", "keysvc-token", "keysvc-protocol"]),
            ("keysvc-client", &["keysvc-protocol", "keysvc-token"]),
            ("fobctl", &["keysvc-client", "keysvc-policies", "keysvc-prover"]),
            ("fobaudit", &["keysvc-protocol"]),
            ("softhsm-setup", &["keysvc-token", "keysvc-protocol"]),
            ("keysvc-token", &[]),
            ("keysvc-protocol", &[]),
            ("keysvc-policies", &[]),
            ("keysvc-prover", &["keysvc-policies"]),
        ],
        &metadata,
    ));
}

#[test]
fn a_crate_that_names_one_too_many_or_is_unknown_is_found() {
    let metadata = serde_json::json!({"packages": [
        {"name": "a", "dependencies": [{"name": "b", "path": "/b", "kind": null}, {"name": "serde", "kind": null}]},
        {"name": "b", "dependencies": [{"name": "b", "path": "/b", "kind": "dev"}]},
        {"name": "c", "dependencies": [{"name": "a", "path": "/a", "kind": "dev"}]},
    ]});
    none(&wrong_arrows(
        &[("a", &["b"]), ("b", &[])],
        &serde_json::json!({"packages": [
        metadata["packages"][0].clone(), metadata["packages"][1].clone()]}),
    ));
    let wrong = wrong_arrows(&[("a", &[]), ("b", &["a"])], &metadata);
    assert_eq!(wrong, ["a names {\"b\"} instead of {}", "b names {} instead of {\"a\"}", "c is new"]);
    assert_eq!(wrong_arrows(&[("a", &["b"]), ("b", &[]), ("c", &[])], &metadata).len(), 1);
}

#[test]
fn crates_from_outside_are_named_only_where_they_belong() {
    let sources = workspace();
    none(&CONFINED.iter().flat_map(|rule| rules::confined(rule, &sources)).collect::<Vec<_>>());
}

#[test]
fn a_confined_crate_is_found_anywhere_else_but_in_comments_and_strings() {
    let rule = CONFINED.iter().find(|rule| rule.crates.contains(&"rustls")).unwrap();
    assert_eq!(rules::confined(rule, &one("keysvc/src/fronts.rs", "use hyper::body;")).len(), 1);
    assert_eq!(rules::confined(rule, &one("client/src/a.rs", "fn f() { rustls::x() }")).len(), 1);
    none(&rules::confined(rule, &one("client/src/a.rs", "// rustls\nfn hyperbole() -> &str { \"hyper\" }")));
    none(&rules::confined(rule, &one("keysvc/src/front/tls.rs", "use rustls::x;")));
    none(&rules::confined(rule, &one("client/src/connect.rs", "use rustls::x;")));
}

#[test]
fn the_halves_of_the_service_know_only_the_link_between_them() {
    let sources: Vec<_> =
        workspace().into_iter().filter(|source| source.path.starts_with("keysvc/src/")).collect();
    let arrows = [
        ("front", "keeper"),
        ("keeper", "front"),
        ("link", "front"),
        ("link", "keeper"),
        ("front", "supervisor"),
        ("keeper", "supervisor"),
        ("front", "program"),
        ("keeper", "program"),
    ];
    none(
        &arrows.iter().flat_map(|(from, to)| rules::forbidden_arrow(from, to, &sources)).collect::<Vec<_>>(),
    );
}

#[test]
fn a_front_that_names_the_keeper_is_found() {
    for text in
        ["use crate::keeper::gate;", "use crate::{error, keeper};", "fn f() { super::super::keeper::f() }"]
    {
        assert_eq!(
            rules::forbidden_arrow("front", "keeper", &one("keysvc/src/front/tls.rs", text)).len(),
            1,
            "{text}"
        );
    }
    let good = "use crate::link;\n/// [`crate::keeper`]\nfn keeper() {}\n#[cfg(test)]\nmod tests { use crate::keeper; }";
    none(&rules::forbidden_arrow("front", "keeper", &one("keysvc/src/front/tls.rs", good)));
}

#[test]
fn modules_of_the_keeper_name_only_modules_below_them() {
    let sources: Vec<_> =
        workspace().into_iter().filter(|source| source.path.starts_with("keysvc/src/")).collect();
    none(&rules::downwards("keeper", &KEEPER, &sources));
}

#[test]
fn a_module_that_names_one_above_or_beside_it_or_has_no_place_is_found() {
    let bad = [
        ("ledger/rows.rs", "use super::super::keyring::Keyring;"),
        ("action.rs", "fn f() { crate::keeper::operation::f() }"),
        ("query.rs", "use super::operation::Means;"),
        ("gate.rs", "use super::{site::Site, ledger::Recorded};"),
        ("helper.rs", ""),
    ];
    for (file, text) in bad {
        let sources = one(&format!("keysvc/src/keeper/{file}"), text);
        assert_eq!(rules::downwards("keeper", &KEEPER, &sources).len(), 1, "{file}");
    }
    let good = [
        (
            "operation/card_derive.rs",
            "use super::{Means, super::keyring::Keyring};\nuse crate::error::Fault;",
        ),
        ("start.rs", "use super::{doctor, endpoint, limits};"),
        ("storage.rs", "use super::{action, ledger::Ledger};"),
    ];
    for (file, text) in good {
        none(&rules::downwards("keeper", &KEEPER, &one(&format!("keysvc/src/keeper/{file}"), text)));
    }
}

#[test]
fn proofs_are_made_only_where_they_are_checked() {
    none(&rules::forged(&PROOFS, &MAKERS, &workspace()));
}

#[test]
fn a_forged_proof_is_found_and_a_declaration_is_none() {
    for text in ["let p = Permit { action };", "Ok(gate::Recorded { permit })", "=> Committed {"] {
        assert_eq!(
            rules::forged(&PROOFS, &MAKERS, &one("keysvc/src/keeper/serve.rs", text)).len(),
            1,
            "{text}"
        );
        none(&rules::forged(&PROOFS, &MAKERS, &one("keysvc/src/keeper/gate.rs", text)));
    }
    let good = "/// Permit { action }\nstruct Permit { a: u8 }\nimpl fmt::Debug for Committed {}\nimpl super::Recorded {}\n\
                fn f() -> gate::Committed { f() }\nfn g() -> Outcome { Outcome::Recorded { index: 1 } }";
    none(&rules::forged(&PROOFS, &MAKERS, &one("keysvc/src/keeper/serve.rs", good)));
}

#[test]
fn nothing_in_the_workspace_is_unsafe() {
    none(&rules::unsafe_code(&workspace()));
    assert_eq!(rules::unsafe_code(&one("a/tests/b.rs", "fn f() { unsafe { g() } }\n// unsafe")).len(), 1);
}

#[test]
fn no_lint_is_silenced_by_allow() {
    none(&rules::allowed_lints(&workspace()));
    let bad = "#![allow(dead_code)]\n#[cfg_attr(test, allow(unused))]\n#[expect(unused)]\nfn allow() {}";
    assert_eq!(rules::allowed_lints(&one("a/src/b.rs", bad)).len(), 2);
}

#[test]
fn production_code_prints_through_output() {
    none(&rules::prints(&workspace()));
    let bad =
        "fn f() { println!(\"a\"); writeln!(b); eprint!() }\n#[cfg(test)]\nmod tests { fn f() { dbg!(1) } }";
    assert_eq!(rules::prints(&one("a/src/b.rs", bad)).len(), 2);
    none(&rules::prints(&one("a/tests/b.rs", bad)));
}

#[test]
fn no_file_holds_more_production_code_than_a_person_reads_at_once() {
    none(&rules::too_long(&workspace()));
    let full = "//\n".repeat(rules::LINES_MAX);
    none(&rules::too_long(&one("a/src/b.rs", &format!("{full}#[cfg(test)]\nmod tests {{\n}}"))));
    assert_eq!(rules::too_long(&one("a/src/b.rs", &format!("{full}\n"))).len(), 1);
}

/// The crates that a package links, with these features.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let arguments = [&["tree", "--edges=normal", "--prefix=none", "--format={lib}"], arguments].concat();
    cargo(&arguments).lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

/// Those of `unwanted` that are linked.
fn linked<'a>(tree: &BTreeSet<String>, unwanted: &[&'a str]) -> Vec<&'a str> {
    unwanted.iter().copied().filter(|name| tree.contains(*name)).collect()
}

#[test]
fn the_offline_verifier_links_no_network_and_no_pkcs11() {
    let tree = tree(&["--package=fobaudit"]);
    assert!(tree.contains("keysvc_protocol") && tree.contains("ring"), "{tree:?}");
    let network = ["tokio", "hyper", "hyper_util", "rustls", "tokio_rustls", "mio", "socket2"];
    assert_eq!(linked(&tree, &network), [""; 0]);
    assert_eq!(
        linked(&tree, &["cryptoki", "cryptoki_sys", "libloading", "keysvc_token", "keysvc_client"]),
        [""; 0]
    );
}

#[test]
fn the_service_links_the_policies_and_no_prover_of_them() {
    let tree = tree(&["--package=keysvc"]);
    assert_eq!(linked(&tree, &["cedar_policy", "keysvc_policies"]), ["cedar_policy", "keysvc_policies"]);
    assert_eq!(linked(&tree, &["cedar_policy_symcc", "keysvc_prover"]), [""; 0]);
}

#[test]
fn a_terminals_client_links_no_pkcs11_and_a_stations_does() {
    let client = |feature: &str| {
        tree(&["--package=keysvc-client", "--no-default-features", &format!("--features={feature}")])
    };
    assert_eq!(linked(&client("terminal"), &["cryptoki", "keysvc_token"]), [""; 0]);
    assert_eq!(linked(&client("station"), &["cryptoki", "keysvc_token"]), ["cryptoki", "keysvc_token"]);
}
