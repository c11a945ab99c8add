//! What the policies would have been content with, as the protocol writes it.

use crate::error::Fault;
use keysvc_policies::{PolicyNeed, PolicySet, Question, Voter};
use keysvc_protocol::{control::Control, list::List, name::Name, quorum::Need, schema::Schema};

/// The people that would be enough for what was denied to its caller alone, if any would.
///
/// # Errors
/// [`Fault`] of the policies.
pub(super) fn of_policies(
    policies: &PolicySet,
    question: &Question<'_>,
    control: &Control,
) -> Result<Option<Need>, Fault> {
    let officers = control.roster().voters().iter().filter(|voter| voter.enabled);
    let voters: Vec<_> = officers.map(|voter| Voter { department: voter.department.as_str() }).collect();
    policies.need(question, &voters)?.map(|need| written(&need)).transpose()
}

fn written(need: &PolicyNeed) -> Result<Need, Fault> {
    let unusable = Fault::Invariant("the policies ask for people that no roster has");
    let named = need.named.iter().map(|name| name.parse::<Name>()).collect::<Result<Vec<_>, _>>();
    let Ok(mut named) = named else { return Err(unusable) };
    named.sort();
    let Ok(named) = List::try_from(named) else { return Err(unusable) };
    Ok(Need { schema: Schema, persons: need.persons, departments: need.departments.max(1), named })
}
