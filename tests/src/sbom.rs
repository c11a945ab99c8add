//! A bill of materials: what is linked into a program, in CycloneDX 1.6 (ECMA-424), as JSON.
//!
//! From what cargo resolves for this machine and from Cargo.lock, and from nothing else: the same commit gives the same
//! bytes. It has no time and no machine in it; where `SOURCE_DATE_EPOCH` is set, that is its time.

use crate::packages::{Id, Package, all, linked_into};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the specification.
pub const SPEC_VERSION: &str = "1.6";

/// The bill of materials of one program.
///
/// # Panics
/// When cargo does not know the program.
#[must_use]
pub fn of(program: &str) -> Value {
    let (all, linked) = (all(), linked_into(program));
    let own = linked.iter().find(|id| id.name == program).expect("a program of this repository");
    let components: Vec<Value> =
        linked.iter().filter(|id| *id != own).map(|id| component(&all[id], "library")).collect();
    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {
            "component": component(&all[own], "application"),
            "tools": { "components": [{ "type": "application", "name": "sbom", "version": env!("CARGO_PKG_VERSION") }] },
        },
        "components": components,
        "dependencies": dependencies(&all, &linked),
    });
    if let Some(time) = epoch() {
        document["metadata"]["timestamp"] = time.into();
    }
    document
}

fn component(package: &Package, kind: &str) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": purl(&package.id),
        "name": package.id.name,
        "version": package.id.version,
        "scope": "required",
        "purl": purl(&package.id),
    });
    if let Some(licence) = &package.licence {
        // crates.io's older form has a slash where the expression has a word.
        let expression = licence.replace(" / ", " OR ").replace('/', " OR ");
        component["licenses"] = json!([{ "expression": expression }]);
    }
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(description) = &package.description {
        let words: Vec<_> = description.split_whitespace().collect();
        component["description"] = words.join(" ").into();
    }
    if let Some(repository) = package.repository.as_ref().filter(|at| at.starts_with("https://")) {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

/// The package URL: of crates.io's crates, and of ours by name and version.
fn purl(id: &Id) -> String {
    // `+` is a space to some who read URLs.
    format!("pkg:cargo/{}@{}", id.name, id.version.replace('+', "%2B"))
}

fn dependencies(all: &BTreeMap<Id, Package>, linked: &BTreeSet<Id>) -> Value {
    let of = |id: &Id| {
        let on: Vec<_> = all[id].depends_on.intersection(linked).map(purl).collect();
        json!({ "ref": purl(id), "dependsOn": on })
    };
    linked.iter().map(of).collect()
}

/// `SOURCE_DATE_EPOCH` as a time (RFC 3339).
fn epoch() -> Option<String> {
    let seconds: u64 = std::env::var("SOURCE_DATE_EPOCH").ok()?.parse().ok()?;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// The Gregorian date of a day counted from 1970-01-01.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let of_year = if leap { 366 } else { 365 };
        if days < of_year {
            let of_months = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, of_month) in (1..).zip(of_months) {
                if days < of_month {
                    return (year, month, days + 1);
                }
                days -= of_month;
            }
        }
        days -= of_year;
        year += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(59), (1970, 3, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(20_779), (2026, 11, 22));
    }

    #[test]
    fn a_version_with_a_build_part_stays_one_in_its_url() {
        let id = Id { name: "toml".to_owned(), version: "1.0.6+spec-1.1.0".to_owned() };
        assert_eq!(purl(&id), "pkg:cargo/toml@1.0.6%2Bspec-1.1.0");
    }
}
