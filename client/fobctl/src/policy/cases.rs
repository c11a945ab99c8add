//! The decision cases that a set is tried on: the shipped ones, and the site's own.
//!
//! A case of the site's that has a shipped one's name stands in its place: so a site says that it means to decide
//! otherwise than the shipped policies.

use super::{candidate, compared::Compared};
use crate::fault::Fault;
use keysvc_policies::{
    Decision, PolicySet,
    case::{self, Case, Cases, Mismatch},
};
use std::{collections::BTreeSet, path::Path};

/// The cases.
#[derive(Debug)]
pub(crate) struct AllCases {
    shipped: Cases,
    own: Option<Cases>,
}

/// How a set came out.
#[derive(Debug)]
pub(crate) struct Tested {
    /// Shipped cases that were tried.
    pub(crate) shipped: usize,
    /// The site's own.
    pub(crate) own: usize,
    /// Shipped cases in whose place one of the site's stands.
    pub(crate) replaced: usize,
    /// What came out otherwise.
    pub(crate) mismatches: Vec<Mismatch>,
}

impl AllCases {
    /// The shipped cases, and those of the folder.
    ///
    /// # Errors
    /// [`Fault::Usage`] naming the file and the line.
    pub(crate) fn load(own: Option<&Path>) -> Result<Self, Fault> {
        let shipped = Cases::shipped().map_err(|error| candidate::unusable(&error))?;
        let own = own.map(Cases::folder).transpose().map_err(|error| candidate::unusable(&error))?;
        Ok(Self { shipped, own })
    }

    fn own(&self) -> impl Iterator<Item = &Case> {
        self.own.iter().flatten()
    }

    fn own_names(&self) -> BTreeSet<&str> {
        self.own().map(Case::name).collect()
    }

    /// Tries a set on all of them.
    pub(crate) fn test(&self, set: &PolicySet) -> Tested {
        let names = self.own_names();
        let of_shipped = case::test(set, &self.shipped);
        let mut mismatches: Vec<_> =
            of_shipped.into_iter().filter(|mismatch| !names.contains(mismatch.name.as_str())).collect();
        mismatches.extend(self.own.iter().flat_map(|own| case::test(set, own)));
        let replaced = self.shipped.iter().filter(|case| names.contains(case.name())).count();
        Tested {
            shipped: self.shipped.iter().count().saturating_sub(replaced),
            own: names.len(),
            replaced,
            mismatches,
        }
    }

    /// The cases that came out otherwise, rewritten with the answer they got: file names and texts. A case that a policy
    /// fails on has no answer, and is left out.
    pub(crate) fn accepted(&self, tested: &Tested) -> Vec<(String, String)> {
        let accepted = tested.mismatches.iter().filter_map(|mismatch| {
            let decided = mismatch.decided.as_ref().ok()?;
            let named = |case: &&Case| case.name() == mismatch.name;
            let case = self.own().find(named).or_else(|| self.shipped.iter().find(named))?;
            Some((format!("{}.toml", case.name()), rewritten(case.text(), *decided)))
        });
        accepted.collect()
    }

    /// Puts all of them to both sets.
    pub(crate) fn compare(&self, old: &PolicySet, new: &PolicySet) -> Compared {
        let names = self.own_names();
        let shipped = case::difference(old, new, &self.shipped);
        // Those that bring policies of their own are in neither number.
        let replaced =
            self.shipped.iter().filter(|case| names.contains(case.name()) && case.site().is_none());
        let replaced = replaced.count();
        let mut changed: Vec<_> =
            shipped.changed.into_iter().filter(|change| !names.contains(change.name.as_str())).collect();
        let mut compared = shipped.cases.saturating_sub(replaced);
        if let Some(own) = &self.own {
            let own = case::difference(old, new, own);
            compared = compared.saturating_add(own.cases);
            changed.extend(own.changed);
        }
        Compared { from: candidate::digest(old), to: candidate::digest(new), cases: compared, changed }
    }
}

/// A case's text with another answer, and a reason that says so. Both stand on lines of their own, before any table.
fn rewritten(text: &str, decided: Decision) -> String {
    let answer = match decided {
        Decision::Allow => "allow",
        Decision::Deny => "deny",
    };
    let line = |line: &str| match line.split_once(" = \"") {
        Some(("expect", _)) => format!("expect = \"{answer}\"\n"),
        Some(("why", why)) => {
            format!("why = \"the site decides otherwise than shipped; give the reason here. {why}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

impl Tested {
    /// How many cases were tried.
    pub(crate) const fn cases(&self) -> usize {
        self.shipped.saturating_add(self.own)
    }

    /// Where the cases come from, in words.
    pub(crate) fn words(&self) -> String {
        let own = match (self.own, self.replaced) {
            (0, _) => String::new(),
            (own, 0) => format!(" and {own} of the site's own"),
            (own, replaced) => {
                format!(" and {own} of the site's own, {replaced} of which stand in place of shipped ones")
            }
        };
        format!("{} shipped{own}", self.shipped)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use keysvc_policies::DEFAULT_SITE;
    use std::{fs, path::PathBuf};

    /// The shipped site, and no load above 200.00.
    pub(crate) fn stricter() -> PolicySet {
        let more = "forbid (principal, action == Action::\"value.update\", resource) \
                    when { context.operation == \"load\" && context.amount > 20000 };";
        PolicySet::from_files(&[("more.cedar", more), ("site.cedar", DEFAULT_SITE)]).unwrap()
    }

    fn shipped_case(name: &str) -> String {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies/tests/decisions");
        fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap()
    }

    #[test]
    fn the_shipped_set_comes_out_as_the_shipped_cases_say() {
        let tested = AllCases::load(None).unwrap().test(&PolicySet::shipped().unwrap());
        assert_eq!(tested.mismatches, []);
        assert!(tested.cases() > 300 && tested.own == 0, "{}", tested.words());
    }

    #[test]
    fn a_case_of_the_sites_stands_in_place_of_the_shipped_one_of_its_name() {
        let scratch = tempfile::tempdir().unwrap();
        let shipped = AllCases::load(None).unwrap();
        let wrong = shipped.test(&stricter());
        assert!(!wrong.mismatches.is_empty());
        for (file, text) in shipped.accepted(&wrong) {
            fs::write(scratch.path().join(file), text).unwrap();
        }
        let wrong = wrong.mismatches;
        let tested = AllCases::load(Some(scratch.path())).unwrap().test(&stricter());
        assert_eq!(tested.mismatches, []);
        assert_eq!((tested.own, tested.replaced), (wrong.len(), wrong.len()));
        assert!(tested.words().ends_with("of which stand in place of shipped ones"), "{}", tested.words());
    }

    #[test]
    fn a_case_that_is_replaced_is_compared_once() {
        let scratch = tempfile::tempdir().unwrap();
        let old = PolicySet::shipped().unwrap();
        let shipped = AllCases::load(None).unwrap().compare(&old, &stricter());
        assert!(!shipped.changed.is_empty());
        let name = &shipped.changed[0].name;
        fs::write(scratch.path().join(format!("{name}.toml")), shipped_case(name)).unwrap();
        let with_own = AllCases::load(Some(scratch.path())).unwrap().compare(&old, &stricter());
        assert_eq!((with_own.cases, with_own.changed.len()), (shipped.cases, shipped.changed.len()));
    }
}
