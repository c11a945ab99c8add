//! A recorded request decided again: what other policies would say, in the words of what they said then.

use super::{
    facts::facts,
    read::{Decided, OnRecord},
};
use crate::proposal_view::NeedView;
use keysvc_client::protocol::{control::Control, list::List, name::Name, quorum::Need, schema::Schema};
use keysvc_policies::{Decision, PolicyNeed, PolicySet, Question, QuorumFacts, Voter, in_words};

/// What became of a request that was decided again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It comes out as it did.
    Same,
    /// It comes out otherwise.
    Otherwise {
        /// The request in words.
        words: String,
        /// What was decided.
        before: String,
        /// What would be.
        after: String,
    },
    /// It names what does not exist, so it was refused for that.
    NotAQuestion,
}

/// Decides a request again under `policies`, with the site as it stood.
pub(super) fn again(policies: &PolicySet, control: &Control, record: &OnRecord) -> Again {
    let Some((resource, context)) = facts(&record.asked, record.operation, &record.caller, control) else {
        return Again::NotAQuestion;
    };
    let (action, principal) = (record.operation.name(), record.caller.facts());
    let quorum = match &record.decided {
        Decided::WithPeople { persons, departments } => QuorumFacts { persons: *persons, departments },
        _ => QuorumFacts::NONE,
    };
    let question = Question { principal, action, resource, context, quorum };
    let decided = Now::of(policies, &question, control);
    let (before, after) = match &record.decided {
        Decided::Alone => ("allowed".to_owned(), decided.words()),
        Decided::Denied => ("denied".to_owned(), decided.words()),
        Decided::WithPeople { .. } => match &decided {
            // With people it is allowed or not; how many more there would have to be is told of the proposal.
            Now::Takes(_) | Now::Denied => ("allowed".to_owned(), "denied".to_owned()),
            now => ("allowed".to_owned(), now.words()),
        },
        Decided::TakesPeople(need) => {
            let least = control.least_need(record.operation, record.asked.change());
            (taking(need), decided.with_least(least.as_ref()).words())
        }
    };
    if before == after { Again::Same } else { Again::Otherwise { words: in_words(&question), before, after } }
}

/// What the policies say now.
#[derive(Debug, PartialEq, Eq)]
enum Now {
    Allowed,
    Takes(Need),
    Denied,
    /// A policy fails on it, which denies.
    Failed(String),
}

impl Now {
    fn of(policies: &PolicySet, question: &Question<'_>, control: &Control) -> Self {
        let officers = control.roster().voters().iter().filter(|voter| voter.enabled);
        let voters: Vec<_> = officers.map(|voter| Voter { department: voter.department.as_str() }).collect();
        match policies.decide(question) {
            Ok(Decision::Allow) => Self::Allowed,
            Ok(Decision::Deny) => match policies.need(question, &voters) {
                Ok(need) => need.as_ref().and_then(written).map_or(Self::Denied, Self::Takes),
                Err(error) => Self::Failed(error.to_string()),
            },
            Err(error) => Self::Failed(error.to_string()),
        }
    }

    /// The people a proposal would ask for: the policies', and never fewer than the operation takes by its type.
    fn with_least(self, least: Option<&Need>) -> Self {
        match (self, least) {
            (Self::Takes(need), Some(least)) => Self::Takes(need.and(least)),
            (Self::Allowed, Some(least)) => Self::Takes(Need::of(2).and(least)),
            (now, _) => now,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Allowed => "allowed".to_owned(),
            Self::Takes(need) => taking(need),
            Self::Denied => "denied".to_owned(),
            Self::Failed(why) => format!("denied by a fault ({why})"),
        }
    }
}

fn taking(need: &Need) -> String {
    format!("takes {}", NeedView::from(need).words())
}

/// What the policies ask, as the protocol writes it; nothing for people that no roster has.
fn written(need: &PolicyNeed) -> Option<Need> {
    let mut named: Vec<Name> = need.named.iter().map(|name| name.parse().ok()).collect::<Option<_>>()?;
    named.sort();
    let named = List::try_from(named).ok()?;
    Some(Need { schema: Schema, persons: need.persons, departments: need.departments.max(1), named })
}
