//! Who is enrolled, and how many of them an operation takes.

use crate::{
    bytes::{Blob, Digest, KeyIdentifier},
    cbor,
    founding::{Founding, Officer, Principal, PrincipalKind},
    hash::sha256,
    list::List,
    name::Name,
    public_key::PublicKey,
    quorum::{self, Need, Voter, Voters},
    refusal::{Conflict, Invalid, Refusal, Thing},
    reply::Threshold,
    request::{Enrolment, Operation, RotatePrincipal},
    schema::Schema,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use serde::Serialize;

/// Most principals ever enrolled, officers too: their enrolments of 1 KiB are 4 MiB.
pub(super) const MEMBERS_MAX: usize = 4_096;
/// Fewest officers that stay enabled: with one, nothing that takes two could ever be undone.
pub(super) const OFFICERS_LEFT_MIN: usize = 2;

/// A person or machine as enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The enrolment as it stands.
    pub enrolment: Enrolment,
    /// Whether it may act.
    pub enabled: bool,
    /// The leaf that changed it last.
    pub leaf: u64,
}

impl Member {
    /// Its statement key, an officer's approval key.
    #[must_use]
    pub fn statement_key(&self) -> Option<PublicKey> {
        let key = self.enrolment.statement_key.as_ref()?;
        PublicKey::from_spki(key.as_bytes()).ok()
    }

    /// Whether it is an officer.
    #[must_use]
    pub fn is_officer(&self) -> bool {
        self.enrolment.kind == PrincipalKind::Officer
    }
}

/// The roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Roster {
    members: BTreeMap<Name, Member>,
    thresholds: Vec<Threshold>,
    // Digests of every key ever pinned: none comes back under another name.
    used: BTreeSet<Digest>,
    #[serde(skip)]
    voters: Vec<Voter>,
    #[serde(skip)]
    revision: u64,
}

impl Roster {
    pub(super) fn found(founding: &Founding) -> Result<Self, Refusal> {
        let mut roster = Self {
            members: BTreeMap::new(),
            thresholds: Vec::new(),
            used: BTreeSet::new(),
            voters: Vec::new(),
            revision: 0,
        };
        for enrolment in founding.officers.iter().map(of_officer) {
            roster.put(enrolment?, 0);
        }
        for enrolment in founding.principals.iter().map(of_principal) {
            roster.put(enrolment?, 0);
        }
        Ok(roster)
    }

    fn put(&mut self, enrolment: Enrolment, leaf: u64) {
        self.used.extend(pins(&enrolment));
        self.members.insert(enrolment.id.clone(), Member { enrolment, enabled: true, leaf });
        self.list_voters();
    }

    fn list_voters(&mut self) {
        self.revision = self.revision.wrapping_add(1);
        let officers = self.members.values().filter(|member| member.is_officer());
        let voters = officers.filter_map(|member| {
            Some(Voter {
                name: member.enrolment.id.clone(),
                department: member.enrolment.group.clone(),
                key: member.statement_key()?,
                enabled: member.enabled,
            })
        });
        self.voters = voters.collect();
    }

    /// Moves with every change of a member, so that an index over them is known to be old.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The members, by name.
    pub fn members(&self) -> impl Iterator<Item = (&Name, &Member)> {
        self.members.iter()
    }

    /// The member of this name, enabled or not.
    #[must_use]
    pub fn member(&self, name: &Name) -> Option<&Member> {
        self.members.get(name)
    }

    /// The enabled member of this name.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], or [`Refusal::StateConflict`] when it is disabled.
    pub fn enabled(&self, name: &Name) -> Result<&Member, Refusal> {
        let member = self.members.get(name).ok_or(Refusal::NotFound { what: Thing::Principal })?;
        if member.enabled { Ok(member) } else { Err(Refusal::StateConflict { reason: Conflict::Disabled }) }
    }

    /// The officers, enabled or not, by name.
    #[must_use]
    pub fn voters(&self) -> &[Voter] {
        &self.voters
    }

    /// Whether an officer is disabled.
    #[must_use]
    pub fn has_disabled_officer(&self) -> bool {
        self.voters.iter().any(|voter| !voter.enabled)
    }

    /// The thresholds above the floors.
    #[must_use]
    pub fn thresholds(&self) -> &[Threshold] {
        &self.thresholds
    }

    /// SHA-256 over the officers and the thresholds, in their encoding: what proposals name, for who may vote and how
    /// many must are to stay the same until the act.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let officers: Vec<_> = self.members.values().filter(|member| member.is_officer()).collect();
        sha256(&[
            sha256(&[&cbor::encode(&officers)]).as_bytes(),
            sha256(&[&cbor::encode(&self.thresholds)]).as_bytes(),
        ])
    }

    /// The fewest people for an operation: its floor and the threshold set above it.
    #[must_use]
    pub fn need(&self, operation: Operation, of_officer: bool) -> Option<Need> {
        let floor = quorum::floor(operation, of_officer, self.voters.len());
        let set = self.thresholds.iter().find(|threshold| threshold.operation == operation);
        match (floor, set) {
            (Some(floor), Some(set)) => Some(floor.and(&set.need)),
            (floor, None) => floor,
            (None, Some(set)) => Some(set.need.clone()),
        }
    }

    pub(super) fn may_enrol(&self, enrolment: &Enrolment) -> Result<(), Refusal> {
        check(enrolment)?;
        if self.members.contains_key(&enrolment.id) {
            return Err(Refusal::StateConflict { reason: Conflict::NameTaken });
        }
        self.are_unused(&pins(enrolment))?;
        let officers = self.voters.len();
        let departments: BTreeSet<_> = self.voters.iter().map(|voter| &voter.department).collect();
        let new_department = !departments.contains(&enrolment.group);
        let is_officer = enrolment.kind == PrincipalKind::Officer;
        if self.members.len() >= MEMBERS_MAX
            || (is_officer && officers >= crate::founding::OFFICERS_MAX)
            || (is_officer && new_department && departments.len() >= quorum::NAMED_MAX)
        {
            return Err(Refusal::StateConflict { reason: Conflict::Full });
        }
        Ok(())
    }

    fn are_unused(&self, pins: &[Digest]) -> Result<(), Refusal> {
        let distinct: BTreeSet<_> = pins.iter().collect();
        if distinct.len() != pins.len() || pins.iter().any(|pin| self.used.contains(pin)) {
            return Err(Refusal::StateConflict { reason: Conflict::KeyTaken });
        }
        Ok(())
    }

    pub(super) fn enrol(&mut self, enrolment: Enrolment, leaf: u64) -> Result<(), Refusal> {
        self.may_enrol(&enrolment)?;
        self.put(enrolment, leaf);
        Ok(())
    }

    /// The enrolment with its new keys.
    pub(super) fn rotated(&self, request: &RotatePrincipal) -> Result<Enrolment, Refusal> {
        let member = self.enabled(&request.id)?;
        let mut enrolment = member.enrolment.clone();
        let new = Enrolment {
            tls_key: request.tls_key.unwrap_or(enrolment.tls_key),
            statement_key: request.statement_key.clone().or(enrolment.statement_key.clone()),
            wrapping_key: request.wrapping_key.clone().or(enrolment.wrapping_key.clone()),
            ..enrolment.clone()
        };
        check(&new)?;
        let distinct: BTreeSet<_> = pins(&new).into_iter().collect();
        if distinct.len() != pins(&new).len() {
            return Err(Refusal::StateConflict { reason: Conflict::KeyTaken });
        }
        let before = pins(&enrolment);
        let fresh: Vec<_> = pins(&new).into_iter().filter(|pin| !before.contains(pin)).collect();
        if fresh.is_empty() {
            return Err(Refusal::Invalid { reason: Invalid::Keys });
        }
        self.are_unused(&fresh)?;
        enrolment = new;
        Ok(enrolment)
    }

    pub(super) fn rotate(&mut self, request: &RotatePrincipal, leaf: u64) -> Result<(), Refusal> {
        let enrolment = self.rotated(request)?;
        self.put(enrolment, leaf);
        Ok(())
    }

    pub(super) fn may_disable(&self, name: &Name) -> Result<(), Refusal> {
        let member = self.members.get(name).ok_or(Refusal::NotFound { what: Thing::Principal })?;
        if !member.is_officer() || !member.enabled {
            return Ok(());
        }
        // Whoever is left must be able to enable somebody again, or one officer alone could lock all others out for good.
        let left: Vec<_> = self.voters.iter().filter(|voter| voter.enabled && voter.name != *name).collect();
        let enabling = self.need(Operation::PrincipalEnable, true).unwrap_or_else(|| Need::of(2));
        if left.len() < OFFICERS_LEFT_MIN || !enabling.is_met_by_all(&left) {
            return Err(Refusal::StateConflict { reason: Conflict::TooFewOfficers });
        }
        Ok(())
    }

    pub(super) fn set_enabled(&mut self, name: &Name, enabled: bool, leaf: u64) -> Result<(), Refusal> {
        let member = self.members.get_mut(name).ok_or(Refusal::NotFound { what: Thing::Principal })?;
        if member.enabled != enabled {
            member.enabled = enabled;
            member.leaf = leaf;
            self.list_voters();
        }
        Ok(())
    }

    pub(super) fn may_set(&self, operation: Operation, need: &Need) -> Result<(), Refusal> {
        let invalid = Refusal::Invalid { reason: Invalid::Need };
        let Some(floor) = quorum::floor(operation, false, self.voters.len()) else { return Err(invalid) };
        let departments: BTreeSet<_> = self.voters.iter().map(|voter| &voter.department).collect();
        let known = need.named.iter().all(|name| departments.contains(name));
        let enough = usize::from(need.persons) <= self.voters.len()
            && usize::from(need.departments) <= departments.len();
        // What is needed to enable an officer again must not need one who is disabled.
        let enabled: Vec<_> = self.voters.iter().filter(|voter| voter.enabled).collect();
        let usable = operation != Operation::PrincipalEnable || need.is_met_by_all(&enabled);
        if need.is_sound() && need.covers(&floor) && known && enough && usable {
            Ok(())
        } else {
            Err(invalid)
        }
    }

    pub(super) fn set_threshold(&mut self, operation: Operation, need: Need) {
        self.thresholds.retain(|threshold| threshold.operation != operation);
        let floor = quorum::floor(operation, false, self.voters.len());
        if floor.as_ref() != Some(&need) {
            self.thresholds.push(Threshold { operation, need });
            self.thresholds.sort_by_key(|threshold| threshold.operation.name());
        }
    }
}

impl Voters for Roster {
    fn voter(&self, key: KeyIdentifier) -> Option<&Voter> {
        self.voters.as_slice().voter(key)
    }
}

/// The digests of an enrolment's keys, as pinned.
fn pins(enrolment: &Enrolment) -> Vec<Digest> {
    let statement = enrolment.statement_key.as_ref().map(|key| sha256(&[key.as_bytes()]));
    let wrapping = enrolment.wrapping_key.as_ref().map(|key| sha256(&[key.as_bytes()]));
    [Some(enrolment.tls_key), statement, wrapping].into_iter().flatten().collect()
}

/// Checks that an enrolment has the keys of its kind, as the founding file's are checked.
fn check(enrolment: &Enrolment) -> Result<(), Refusal> {
    let invalid = Refusal::Invalid { reason: Invalid::Keys };
    let kind = enrolment.kind;
    let signs = matches!(kind, PrincipalKind::Station | PrincipalKind::Terminal | PrincipalKind::Officer);
    let good_key = match &enrolment.statement_key {
        Some(key) => PublicKey::from_spki(key.as_bytes()).is_ok(),
        None => !signs,
    };
    let wraps = (kind == PrincipalKind::Station) == enrolment.wrapping_key.is_some();
    let plain = kind != PrincipalKind::Officer || enrolment.capabilities.is_empty();
    if good_key && wraps && plain { Ok(()) } else { Err(invalid) }
}

fn of_officer(officer: &Officer) -> Result<Enrolment, Refusal> {
    Ok(Enrolment {
        schema: Schema,
        id: officer.name.clone(),
        kind: PrincipalKind::Officer,
        group: officer.department.clone(),
        capabilities: List::default(),
        tls_key: officer.tls_key,
        statement_key: Some(Blob::try_from(officer.approval_key.p256().spki().to_vec())?),
        wrapping_key: None,
    })
}

fn of_principal(principal: &Principal) -> Result<Enrolment, Refusal> {
    let statement_key = principal.statement_key.map(|key| Blob::try_from(key.p256().spki().to_vec()));
    let wrapping_key = principal.wrapping_key.as_ref().map(|key| Blob::try_from(key.as_der().to_vec()));
    Ok(Enrolment {
        schema: Schema,
        id: principal.id.clone(),
        kind: principal.kind,
        group: principal.organisation.clone(),
        capabilities: List::try_from(principal.capabilities.clone())
            .map_err(|_| Refusal::Invalid { reason: Invalid::Items })?,
        tls_key: principal.tls_key,
        statement_key: statement_key.transpose()?,
        wrapping_key: wrapping_key.transpose()?,
    })
}
