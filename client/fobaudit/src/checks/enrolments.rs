//! Who is enrolled at a leaf, with the keys read once: what statements are verified with.
//!
//! Follows the roster that [`keysvc_protocol::control`] keeps, and judges nothing.

use keysvc_protocol::{
    control::{Member, Roster},
    founding::{Founding, PrincipalKind},
    name::Name,
    public_key::PublicKey,
};
use std::collections::HashMap;

/// A principal or officer as enrolled at a leaf.
#[derive(Debug, Clone)]
pub(crate) struct Enrolled {
    /// Its place among all that were ever enrolled: in memory and on disk a name of 2 bytes.
    pub(crate) place: u16,
    /// What it is.
    pub(crate) kind: PrincipalKind,
    /// Its organisation, or department.
    pub(crate) organisation: Name,
    /// Its statement key, where it changes things.
    pub(crate) statement_key: Option<PublicKey>,
    /// Whether it may act.
    pub(crate) enabled: bool,
    /// The leaf that changed it last.
    leaf: u64,
}

/// All of them, by name.
#[derive(Debug)]
pub(super) struct Enrolments(HashMap<Name, Enrolled>);

impl Enrolments {
    /// Those of the founding, in its order.
    pub(super) fn found(founding: &Founding, roster: &Roster) -> Self {
        let mut enrolments = Self(HashMap::new());
        for name in founding.principals.iter().map(|principal| &principal.id) {
            if let Some(member) = roster.member(name) {
                enrolments.put(name, member);
            }
        }
        enrolments.follow(roster);
        enrolments
    }

    /// Takes over what changed in the roster.
    pub(super) fn follow(&mut self, roster: &Roster) {
        for (name, member) in roster.members() {
            let same = |known: &Enrolled| known.leaf == member.leaf && known.enabled == member.enabled;
            if !self.0.get(name).is_some_and(same) {
                self.put(name, member);
            }
        }
    }

    fn put(&mut self, name: &Name, member: &Member) {
        // There are at most 4,096 members, so each has a place.
        let next = u16::try_from(self.0.len()).unwrap_or(u16::MAX);
        let enrolled = Enrolled {
            place: self.0.get(name).map_or(next, |known| known.place),
            kind: member.enrolment.kind,
            organisation: member.enrolment.group.clone(),
            statement_key: member.statement_key(),
            enabled: member.enabled,
            leaf: member.leaf,
        };
        self.0.insert(name.clone(), enrolled);
    }

    /// The one of this name.
    pub(super) fn get(&self, name: &Name) -> Option<&Enrolled> {
        self.0.get(name)
    }
}
