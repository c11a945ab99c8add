//! Whether a policy set leaves a way to other policies, with the officers there are.

use super::{caller::Caller, candidate};
use crate::fault::Fault;
use keysvc_client::{
    ClientError, Officer,
    officer::Principals,
    protocol::{founding::PrincipalKind, name::Name},
};
use keysvc_policies::PolicySet;
use serde::Serialize;

/// The departments of the officers that stand in for a service's.
const STAND_INS: [&str; 3] = ["finance", "security", "operations"];

/// The officers by whom a set is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Officers {
    enabled: Vec<Caller>,
    on_roster: u32,
    whose: Whose,
}

/// Whose officers they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Whose {
    /// The service's, as it tells them.
    Service,
    /// Three of distinct departments, where no service was asked.
    StandIns,
}

impl Officers {
    /// Three officers of distinct departments.
    pub(crate) fn stand_ins() -> Self {
        let named = |(number, department): (u8, &str)| {
            let name: Option<Name> = format!("officer-{number}").parse().ok();
            name.map(|name| Caller::officer(name, department))
        };
        let enabled: Vec<_> = (1..).zip(STAND_INS).filter_map(named).collect();
        Self { on_roster: u32::try_from(enabled.len()).unwrap_or(u32::MAX), enabled, whose: Whose::StandIns }
    }

    /// The officers of the service.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub(crate) async fn of_service(officer: &Officer) -> Result<Self, ClientError> {
        Ok(Self::of(&officer.principals().await?))
    }

    fn of(all: &Principals) -> Self {
        let officers = all.principals.iter().filter(|one| one.enrolment.kind == PrincipalKind::Officer);
        Self {
            enabled: officers
                .clone()
                .filter(|one| one.enabled)
                .map(|one| Caller::of(&one.enrolment))
                .collect(),
            on_roster: u32::try_from(officers.count()).unwrap_or(u32::MAX),
            whose: Whose::Service,
        }
    }

    /// Whose they are.
    pub(crate) const fn whose(&self) -> Whose {
        self.whose
    }

    /// How many of them can vote.
    pub(crate) fn count(&self) -> usize {
        self.enabled.len()
    }

    /// In words: `the service's 3 enabled officers`.
    pub(crate) fn words(&self) -> String {
        match self.whose {
            Whose::Service => format!("the service's {} enabled officers", self.count()),
            Whose::StandIns => format!("three officers of three departments ({})", STAND_INS.join(", ")),
        }
    }

    /// Whether they could replace the set when all of them agree; also when one more comes, and when one is missing of more
    /// than the floor asks for.
    ///
    /// # Errors
    /// [`Fault`] for a policy that fails on the question.
    pub(crate) fn can_replace(&self, set: &PolicySet) -> Result<bool, Fault> {
        let facts: Vec<_> = self.enabled.iter().map(Caller::facts).collect();
        set.can_change_itself(&facts, self.on_roster).map_err(|error| candidate::unusable(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_asks_for_a_fourth_officer_locks_three_out() {
        let officers = Officers::stand_ins();
        assert!(officers.can_replace(&PolicySet::shipped().unwrap()).unwrap());
        let text = keysvc_policies::DEFAULT_SITE;
        let four = "forbid (principal, action == Action::\"policy.propose\", resource) unless { context.persons >= 4 };";
        let set = PolicySet::from_files(&[("site.cedar", text), ("four.cedar", four)]).unwrap();
        assert!(!officers.can_replace(&set).unwrap());
    }

    #[test]
    fn a_set_that_counts_on_the_number_of_officers_locks_out() {
        let text = keysvc_policies::DEFAULT_SITE;
        let three = "forbid (principal, action == Action::\"policy.propose\", resource) unless { context.officers == 3 };";
        let set = PolicySet::from_files(&[("site.cedar", text), ("three.cedar", three)]).unwrap();
        assert!(
            !Officers::stand_ins().can_replace(&set).unwrap(),
            "a fourth officer would close it for good"
        );
    }

    #[test]
    fn a_set_that_silences_a_department_locks_out_where_too_few_are_left() {
        let text = keysvc_policies::DEFAULT_SITE;
        let silent = "forbid (principal, action == Action::\"proposal.approve\", resource) \
                      when { [\"finance\", \"security\"].contains(principal.department) };";
        let set = PolicySet::from_files(&[("site.cedar", text), ("silent.cedar", silent)]).unwrap();
        assert!(!Officers::stand_ins().can_replace(&set).unwrap());
    }
}
