//! Who has done what on a job, and who may therefore not do something else.
//!
//! The policies say the same in their own words ([`History`] is what they are told); here it holds whatever they say.

use super::{Job, agreement::Agreed, book::USED_MAX, head::FULL};
use crate::{
    list::List,
    name::Name,
    refusal::{Refusal, Uncounted},
};
use alloc::{collections::BTreeSet, vec::Vec};

/// Who has done what on a job so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Who made it.
    pub created_by: Option<Name>,
    /// Who sealed it.
    pub sealed_by: Option<Name>,
    /// Everybody who operated it.
    pub operated_by: BTreeSet<Name>,
    /// Everybody who reviewed a count or an incident of it.
    pub reviewed_by: BTreeSet<Name>,
}

impl History {
    /// Whether somebody put the job together.
    #[must_use]
    pub fn prepared(&self, name: &Name) -> bool {
        self.created_by.as_ref() == Some(name) || self.sealed_by.as_ref() == Some(name)
    }
}

impl Job {
    /// Who has done what so far.
    #[must_use]
    pub fn history(&self) -> History {
        let operated = self.sessions.iter().flat_map(|session| session.operators.iter().cloned());
        let counted = self.counts.iter().map(|count| count.reviewer.clone());
        let reported = self.incidents.iter().map(|incident| incident.reviewer.clone());
        History {
            created_by: Some(self.created.by.clone()),
            sealed_by: self.sealed.as_ref().map(|sealed| sealed.by.clone()),
            operated_by: operated.collect(),
            reviewed_by: counted.chain(reported).collect(),
        }
    }

    /// Two operators: not one person twice, and nobody who put the job together.
    pub(super) fn may_operate(&self, people: &[Agreed]) -> Result<(), Refusal> {
        let history = self.history();
        let [one, other] = people else { return Err(too_few()) };
        let reviewed = |agreed: &Agreed| history.reviewed_by.contains(&agreed.person);
        let prepared = |agreed: &Agreed| history.prepared(&agreed.person);
        if one.person == other.person || people.iter().any(|agreed| prepared(agreed) || reviewed(agreed)) {
            return Err(Refusal::SamePerson);
        }
        Ok(())
    }

    /// An operator of the job, and a reviewer who never operated it.
    pub(super) fn may_review(&self, operator: &Agreed, reviewer: &Agreed) -> Result<(), Refusal> {
        let history = self.history();
        if !history.operated_by.contains(&operator.person) {
            return Err(Refusal::ApprovalInvalid { reason: Uncounted::NotInRole });
        }
        if history.operated_by.contains(&reviewer.person) || operator.person == reviewer.person {
            return Err(Refusal::SamePerson);
        }
        Ok(())
    }

    /// A witness who neither put the job together nor operated it, and did not review its counts: a third person.
    pub(super) fn may_witness(&self, witness: &Agreed) -> Result<(), Refusal> {
        let history = self.history();
        let counted = [&history.operated_by, &history.reviewed_by];
        if counted.iter().any(|people| people.contains(&witness.person)) || history.prepared(&witness.person)
        {
            return Err(Refusal::SamePerson);
        }
        Ok(())
    }

    /// Takes note of agreements, which serve once.
    pub(super) fn use_up(&mut self, agreed: &[Agreed], now_ms: u64) -> Result<(), Refusal> {
        let mut used: Vec<_> = self.used.iter().filter(|used| used.stale_ms >= now_ms).cloned().collect();
        for one in agreed {
            if used.iter().any(|used| used.nonce == one.used.nonce) {
                return Err(Refusal::ApprovalInvalid { reason: Uncounted::UsedBefore });
            }
            used.push(one.used.clone());
        }
        if used.len() > USED_MAX {
            return Err(FULL);
        }
        self.used = List::try_from(used).map_err(|_| FULL)?;
        Ok(())
    }
}

pub(super) const fn too_few() -> Refusal {
    Refusal::ApprovalInvalid { reason: Uncounted::TooFew }
}
