//! The facts that a step states, against the log: names, check values, states and attributes of keys, digests of files.
//!
//! A fact that the log cannot say is not compared, and told as such.

use super::{
    problem::StepProblem,
    replay::{Asked, Given, Place, Replay},
    steps::Judged,
};
use keysvc_protocol::{
    bytes::Digest,
    ceremony::{Activity, Fact, Text},
    control::Change,
    name::Name,
};

/// What the facts of a step are about.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    /// What the step does.
    pub(super) activity: Option<&'a Activity>,
    /// What the step asks for, or the one that it approves or gives a component of.
    pub(super) asking: Option<&'a Activity>,
    /// The key, where it is about one that is known.
    pub(super) key: Option<(Name, u32)>,
    /// The proposal.
    pub(super) asked: Option<&'a Asked>,
    /// The component that was given.
    pub(super) given: Option<&'a Given>,
    /// Where the step itself stands.
    pub(super) first: Option<Place>,
    /// The leaves between which it lies.
    pub(super) around: (u64, u64),
}

/// What the log says of a fact: everything that would be right, or nothing where it cannot say.
enum Said {
    /// One of these.
    OneOf(Vec<String>),
    /// The log does not say; the plan says this.
    Planned(String),
    /// Neither says.
    Nothing,
}

impl Said {
    fn just(text: &impl ToString) -> Self {
        Self::OneOf(vec![text.to_string()])
    }

    fn of(text: Option<impl ToString>) -> Self {
        text.map_or_else(|| Self::OneOf(Vec::new()), |text| Self::just(&text))
    }
}

/// Compares the facts of a step with the log.
pub(super) fn judge(found: &Replay, subject: &Subject<'_>, facts: &[Fact], judged: &mut Judged) {
    for fact in facts {
        let said = subject.said(found, fact.name.as_str());
        let stated = fact.value.as_str();
        judged.compared.push(matches!(said, Said::OneOf(_)));
        let (name, stated) = (fact.name.to_string(), stated.to_owned());
        match said {
            Said::OneOf(right) if !right.iter().any(|right| is_stated(right, fact)) => {
                judged.problems.push(StepProblem::Fact { name, stated, found: listed(&right) });
            }
            Said::Planned(planned) if planned != stated => {
                judged.problems.push(StepProblem::NotPlanned { name, stated, planned });
            }
            Said::OneOf(_) | Said::Planned(_) | Said::Nothing => {}
        }
    }
}

/// Whether a fact is this text, as it can stand in a transcript.
fn is_stated(right: &str, fact: &Fact) -> bool {
    Text::lossy(right) == fact.value
}

fn listed(right: &[String]) -> String {
    if right.is_empty() { "nothing of it".to_owned() } else { right.join(" or ") }
}

impl Subject<'_> {
    fn said(&self, found: &Replay, name: &str) -> Said {
        match name {
            Fact::TRUST_DOMAIN => Said::just(&found.domain),
            Fact::GENESIS => Said::just(&found.genesis),
            Fact::POLICY => self.policy(found),
            Fact::DIGEST => self.file().map_or(Said::Nothing, |file| Said::Planned(file.to_string())),
            name => {
                self.said_of_component(name).or_else(|| self.said_of_key(found, name)).unwrap_or_else(|| {
                    self.asked.and_then(|asked| self.said_of_proposal(asked, name)).unwrap_or(Said::Nothing)
                })
            }
        }
    }

    fn said_of_component(&self, name: &str) -> Option<Said> {
        let Some(Activity::ComponentGive { .. }) = self.activity else { return None };
        match name {
            Fact::NUMBER => Some(Said::of(self.given.map(|given| given.request.number))),
            Fact::CHECK_VALUE => Some(Said::of(self.given.map(|given| given.request.check))),
            Fact::LEAF => Some(Said::of(self.given.map(|given| given.at.leaf))),
            _ => None,
        }
    }

    fn said_of_key(&self, found: &Replay, name: &str) -> Option<Said> {
        if !self.is_about_key() {
            return None;
        }
        let record = self.key.as_ref().and_then(|key| found.keys.get(key)).map(|(_, record)| record);
        Some(match name {
            Fact::KEY => Said::of(self.name()),
            Fact::VERSION => Said::of(self.key.as_ref().map(|(_, version)| version)),
            Fact::STATE => {
                let states = self.key.as_ref().map(|key| found.states(key, self.around)).unwrap_or_default();
                Said::OneOf(states.iter().map(ToString::to_string).collect())
            }
            Fact::CHECK_VALUE | Fact::KEY_CHECK_VALUE => Said::of(record.map(|key| key.check)),
            Fact::CHECK_METHOD => Said::of(record.map(|key| key.check.method())),
            Fact::KIND => Said::of(record.map(|key| key.kind)),
            Fact::IDENTIFIER => Said::of(record.map(|key| key.id)),
            Fact::MADE_AT => Said::of(record.map(|key| key.made_at_ms)),
            Fact::TEST_KEY => Said::of(record.map(|key| key.test_key)),
            attribute if attribute.starts_with("CKA_") => {
                let read = record.and_then(|key| key.attributes.iter().find(|read| read.name == attribute));
                Said::of(read.map(|read| &read.value))
            }
            _ => return None,
        })
    }

    fn said_of_proposal(&self, asked: &Asked, name: &str) -> Option<Said> {
        let asks = self.activity.is_some_and(Activity::asks);
        let approves = matches!(self.activity, Some(Activity::Approve { .. }));
        Some(match (name, &asked.change) {
            (Fact::PROPOSAL, _) => Said::just(&asked.id),
            (Fact::PROPOSAL_DIGEST, _) => Said::just(&asked.digest),
            (Fact::PROPOSAL_LEAF, _) => Said::just(&asked.at.leaf),
            (Fact::OPERATION, _) => Said::just(&asked.operation),
            (Fact::SENTENCE, _) => Said::of(asked.sentence.as_ref()),
            (Fact::VOTE_LEAF, _) if approves => Said::of(self.first.map(|at| at.leaf)),
            (Fact::LEAF, _) if asks || approves => Said::of(asked.act.as_ref().map(|act| act.at.leaf)),
            (Fact::PROFILE, Some(Change::Profile { profile })) => {
                Said::just(&format!("{} version {}", profile.name, profile.version))
            }
            (Fact::PRINCIPAL, Some(Change::Enrol { principal })) => Said::just(&principal.id),
            _ => return None,
        })
    }

    const fn is_about_key(&self) -> bool {
        matches!(
            self.asking,
            Some(
                Activity::KeyCreate { .. }
                    | Activity::KeyActivate { .. }
                    | Activity::KeyRetire { .. }
                    | Activity::KeyImport { .. }
                    | Activity::KeyShow { .. }
            )
        )
    }

    const fn change(&self) -> Option<&Change> {
        match self.asked {
            Some(asked) => asked.change.as_ref(),
            None => None,
        }
    }

    const fn name(&self) -> Option<&Name> {
        match self.asking {
            Some(
                Activity::KeyCreate { name, .. }
                | Activity::KeyActivate { name, .. }
                | Activity::KeyRetire { name, .. }
                | Activity::KeyImport { name, .. }
                | Activity::KeyShow { name, .. },
            ) => Some(name),
            _ => None,
        }
    }

    fn policy(&self, found: &Replay) -> Said {
        match (self.asking, self.change()) {
            (Some(Activity::PolicyPropose { .. }), Some(Change::Policies { request })) => {
                Said::just(&request.policy)
            }
            (Some(Activity::PolicyPropose { .. }), _) => Said::OneOf(Vec::new()),
            _ => Said::OneOf(found.policies(self.around).iter().map(ToString::to_string).collect()),
        }
    }

    /// The digest of the file that the plan names.
    const fn file(&self) -> Option<&Digest> {
        match self.asking {
            Some(
                Activity::FoundingSign { sha256, .. }
                | Activity::PrincipalEnrol { sha256, .. }
                | Activity::ProfilePut { sha256, .. },
            ) => Some(sha256),
            _ => None,
        }
    }
}

/// What a plan expects of a key that is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// Its check value.
    pub(super) check_value: Option<&'a str>,
    /// Its state.
    pub(super) state: Option<&'a str>,
}

impl Expected<'_> {
    /// Whether the log says so too, between these leaves.
    pub(super) fn judge(
        self,
        found: &Replay,
        key: &(Name, u32),
        around: (u64, u64),
        (judged, deviated): (&mut Judged, bool),
    ) {
        let Some((_, record)) = found.keys.get(key) else {
            return judged.against_plan(deviated, StepProblem::NoKey(key.0.clone(), key.1));
        };
        let check = record.check.to_string();
        if let Some(planned) = self.check_value.filter(|planned| !planned.eq_ignore_ascii_case(&check)) {
            let (name, planned) = (Fact::CHECK_VALUE, planned.to_owned());
            judged.against_plan(deviated, StepProblem::Expected { name, planned, found: check });
        }
        let states: Vec<_> = found.states(key, around).iter().map(ToString::to_string).collect();
        if let Some(planned) = self.state.filter(|planned| !states.iter().any(|state| state == planned)) {
            let (name, planned) = (Fact::STATE, planned.to_owned());
            judged.against_plan(deviated, StepProblem::Expected { name, planned, found: listed(&states) });
        }
    }
}
