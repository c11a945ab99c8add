//! Runs every case of `tests/decisions`: one question, the answer it must get, and why.
//!
//! A case is judged by the shipped policies, or by the shipped ceiling over the text in `site`.
//! The folder is for people: who wants to know what is permitted reads its file names.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use keysvc_policies::{
    ContextFacts, Decision, PolicySet, PrincipalFacts, Question, QuorumFacts, ResourceFacts,
};
use serde::Deserialize;

const KINDS: [&str; 7] = ["station", "terminal", "officer", "operator", "office", "auditor", "platform"];

const ACTIONS: [&str; 35] = [
    "status",
    "key.list",
    "key.get",
    "station.open",
    "card.derive",
    "value.update",
    "log.checkpoint",
    "log.entries",
    "log.proof",
    "bundle.get",
    "value.batch",
    "proposal.list",
    "proposal.get",
    "proposal.approve",
    "proposal.reject",
    "proposal.cancel",
    "proposal.result",
    "principal.list",
    "principal.enrol",
    "principal.rotate",
    "principal.disable",
    "principal.enable",
    "key.create",
    "key.activate",
    "key.suspend",
    "key.retire",
    "key.compromise",
    "key.destroy",
    "key.impact",
    "freeze.set",
    "freeze.lift",
    "freeze.list",
    "quorum.set",
    "clock.confirm",
    "evidence.get",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    why: String,
    expect: Expect,
    action: String,
    site: Option<String>,
    principal: Principal,
    resource: Resource,
    context: Option<Context>,
    quorum: Option<Quorum>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quorum {
    persons: u8,
    departments: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Principal {
    id: String,
    kind: String,
    organisation: String,
    department: String,
    capabilities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Resource {
    Service {},
    Log {},
    Profile { name: String },
    Programme { name: String, organisation: String, currency: u16 },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Context {
    CardDerive { cards: u32, slots: u32, development: bool },
    Load { amount: u64, no_card_session: bool, passive_tag: bool, development: bool },
    Debit { amount: u64, no_card_session: bool, passive_tag: bool, development: bool },
    StationOpen {},
    Principal { subject_kind: String, subject_organisation: String, own: bool, officers: u32 },
    Key { kind: String, officers: u32 },
    Freeze { scope: String, organisation: String, officers: u32 },
    Site { officers: u32 },
}

impl Case {
    fn question(&self) -> Question<'_> {
        Question {
            principal: PrincipalFacts {
                id: &self.principal.id,
                kind: &self.principal.kind,
                organisation: &self.principal.organisation,
                department: &self.principal.department,
                capabilities: &self.principal.capabilities,
            },
            action: &self.action,
            resource: match &self.resource {
                Resource::Service {} => ResourceFacts::Service,
                Resource::Log {} => ResourceFacts::Log,
                Resource::Profile { name } => ResourceFacts::Profile { name },
                Resource::Programme { name, organisation, currency } => {
                    ResourceFacts::Programme { name, organisation, currency: *currency }
                }
            },
            context: self.context(),
            quorum: match &self.quorum {
                None => QuorumFacts::NONE,
                Some(Quorum { persons, departments }) => QuorumFacts { persons: *persons, departments },
            },
        }
    }

    fn context(&self) -> ContextFacts<'_> {
        match &self.context {
            None => ContextFacts::None,
            Some(Context::CardDerive { cards, slots, development }) => {
                ContextFacts::CardDerive { cards: *cards, slots: *slots, development: *development }
            }
            Some(Context::Load { amount, no_card_session, passive_tag, development }) => {
                ContextFacts::ValueUpdate {
                    operation: "load",
                    amount: *amount,
                    no_card_session: *no_card_session,
                    passive_tag: *passive_tag,
                    development: *development,
                }
            }
            Some(Context::Debit { amount, no_card_session, passive_tag, development }) => {
                ContextFacts::ValueUpdate {
                    operation: "debit",
                    amount: *amount,
                    no_card_session: *no_card_session,
                    passive_tag: *passive_tag,
                    development: *development,
                }
            }
            Some(Context::StationOpen {}) => ContextFacts::Quorum,
            Some(Context::Principal { subject_kind, subject_organisation, own, officers }) => {
                ContextFacts::Principal { subject_kind, subject_organisation, own: *own, officers: *officers }
            }
            Some(Context::Key { kind, officers }) => ContextFacts::Key { kind, officers: *officers },
            Some(Context::Freeze { scope, organisation, officers }) => {
                ContextFacts::Freeze { scope, organisation, officers: *officers }
            }
            Some(Context::Site { officers }) => ContextFacts::Site { officers: *officers },
        }
    }

    fn expected(&self) -> Decision {
        match self.expect {
            Expect::Allow => Decision::Allow,
            Expect::Deny => Decision::Deny,
        }
    }
}

fn cases() -> Vec<(PathBuf, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decisions");
    let read = |path: PathBuf| {
        assert!(path.extension().is_some_and(|end| end == "toml"), "{} is no case", path.display());
        let case: Result<Case, _> = toml::from_str(&fs::read_to_string(&path).unwrap());
        assert!(case.is_ok(), "{}: {:?}", path.display(), case.err());
        (path, case.unwrap())
    };
    let cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap().path())).collect();
    assert!(!cases.is_empty(), "there are no cases");
    cases
}

fn site(text: &str) -> PolicySet {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("site.cedar"), text).unwrap();
    PolicySet::load(folder.path()).unwrap()
}

#[test]
fn every_case_is_decided_as_it_says() {
    let shipped = PolicySet::shipped().unwrap();
    let mut wrong = Vec::new();
    for (path, case) in cases() {
        assert!(!case.why.trim().is_empty(), "{} says no reason", path.display());
        let decision = match &case.site {
            None => shipped.decide(&case.question()),
            Some(text) => site(text).decide(&case.question()),
        };
        if decision != Ok(case.expected()) {
            wrong.push(format!("{}: {decision:?}, though {}", path.display(), case.why));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_cases_cover_every_kind_at_every_operation() {
    let cases = cases();
    let shipped = cases.iter().filter(|(_, case)| case.site.is_none());
    let covered: HashSet<_> =
        shipped.map(|(_, case)| (case.principal.kind.as_str(), case.action.as_str())).collect();
    for kind in KINDS {
        for action in ACTIONS {
            assert!(covered.contains(&(kind, action)), "no case of {kind} at {action}");
        }
    }
}
