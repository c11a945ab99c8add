//! Who asks, as the policies are told: the keeper's reading of an enrolment.

use keysvc_client::protocol::{founding::PrincipalKind, name::Name, request::Enrolment};
use keysvc_policies::PrincipalFacts;

/// The organisation of every officer: the site's own.
const OFFICERS_ORGANISATION: &str = "site";

/// A principal with the words the policies know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    id: Name,
    kind: PrincipalKind,
    organisation: String,
    department: String,
    capabilities: Vec<String>,
}

impl Caller {
    /// The principal of this enrolment. An officer's group is a department of the site, anybody else's an organisation.
    pub(crate) fn of(enrolment: &Enrolment) -> Self {
        let group = enrolment.group.to_string();
        let (organisation, department) = if enrolment.kind == PrincipalKind::Officer {
            (OFFICERS_ORGANISATION.to_owned(), group)
        } else {
            (group, String::new())
        };
        Self {
            id: enrolment.id.clone(),
            kind: enrolment.kind,
            organisation,
            department,
            capabilities: enrolment.capabilities.iter().map(Name::to_string).collect(),
        }
    }

    /// An officer of this name and department.
    pub(crate) fn officer(id: Name, department: &str) -> Self {
        Self {
            id,
            kind: PrincipalKind::Officer,
            organisation: OFFICERS_ORGANISATION.to_owned(),
            department: department.to_owned(),
            capabilities: Vec::new(),
        }
    }

    /// Its name.
    pub(crate) const fn id(&self) -> &Name {
        &self.id
    }

    /// What the policies are told of it.
    pub(crate) fn facts(&self) -> PrincipalFacts<'_> {
        PrincipalFacts {
            id: self.id.as_str(),
            kind: self.kind.name(),
            organisation: &self.organisation,
            department: &self.department,
            capabilities: &self.capabilities,
        }
    }
}
