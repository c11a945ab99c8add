//! Keys that come in as components: who holds which, and which were given.
//!
//! The components themselves are never here, nor in the log: only their check values, which people agreed to.

use super::{At, Control, Keys, Roster};
use crate::{
    bytes::{ProposalId, ShortCheck},
    founding::PrincipalKind,
    key::KeyKind,
    list::List,
    name::Name,
    quorum::Quorum,
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    request::{ComponentOrder, GiveComponent, ImportKey},
};
use alloc::collections::{BTreeMap, BTreeSet};
use serde::Serialize;

/// How long custodians have from the act on: 24 hours.
pub const IMPORT_LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// An import that people agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Import {
    /// The proposal it was.
    pub proposal: ProposalId,
    /// The check value of the whole key.
    pub check: ShortCheck,
    /// Who holds which component, and its check value.
    pub components: List<ComponentOrder, 3>,
    /// The components that were given, by number, with the newest leaf of each.
    pub given: BTreeMap<u8, u64>,
    /// Until when they may be given, by the log's clock: milliseconds since 1970-01-01 UTC.
    pub expires_ms: u64,
}

impl Import {
    /// An import as ordered at this place of the log.
    pub(super) fn ordered(request: &ImportKey, proposal: ProposalId, at: At) -> Self {
        Self {
            proposal,
            check: request.check,
            components: request.components.clone(),
            given: BTreeMap::new(),
            expires_ms: at.time_ms.saturating_add(IMPORT_LIFE_MS),
        }
    }

    /// The component of this number, from 1.
    #[must_use]
    pub fn component(&self, number: u8) -> Option<&ComponentOrder> {
        self.components.get(usize::from(number).checked_sub(1)?)
    }

    /// The number of this person's component, from 1.
    #[must_use]
    pub fn number_of(&self, custodian: &Name) -> Option<u8> {
        let place = self.components.iter().position(|component| component.custodian == *custodian)?;
        u8::try_from(place.checked_add(1)?).ok()
    }

    /// Whether every component was given.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.given.len() == self.components.len()
    }
}

/// Whether these components may be asked for: two or three, each of another person who may hold one.
pub(super) fn may_order(request: &ImportKey, roster: &Roster, keys: &Keys) -> Result<(), Refusal> {
    if request.kind != KeyKind::CardMaster || request.components.len() < 2 {
        return Err(Refusal::Invalid { reason: Invalid::Items });
    }
    keys.may_order(&request.name, request.kind)?;
    let mut people = BTreeSet::new();
    let mut checks = BTreeSet::new();
    for component in request.components.iter() {
        let member = roster.enabled(&component.custodian)?;
        let holds = matches!(member.enrolment.kind, PrincipalKind::Officer | PrincipalKind::Operator);
        let Some(key) = member.statement_key().filter(|_| holds) else {
            return Err(Refusal::Invalid { reason: Invalid::Custodian });
        };
        if !people.insert(key.identifier()) {
            return Err(Refusal::SamePerson);
        }
        if !checks.insert(*component.check.as_bytes()) {
            return Err(Refusal::Invalid { reason: Invalid::ComponentEqual });
        }
    }
    let holds = |person: &Name| request.components.iter().any(|component| component.custodian == *person);
    if roster.voters().iter().any(|voter| voter.enabled && !holds(&voter.name)) {
        Ok(())
    } else {
        Err(Refusal::ApprovalInvalid { reason: Uncounted::CustodiansAlone })
    }
}

/// Those who agree to an import must not all be those who hold its components: somebody else is to have looked.
pub(super) fn not_custodians_alone(request: &ImportKey, quorum: &Quorum) -> Result<(), Refusal> {
    let holds = |person: &Name| request.components.iter().any(|component| component.custodian == *person);
    if quorum.people().all(holds) {
        return Err(Refusal::ApprovalInvalid { reason: Uncounted::CustodiansAlone });
    }
    Ok(())
}

impl Control {
    /// The import that this proposal became, while its key is not made.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where there is none, [`Refusal::StateConflict`] where its key is made.
    pub fn import(&self, proposal: &ProposalId) -> Result<(u64, &super::Order, &Import), Refusal> {
        let found = self.keys.orders().find_map(|(leaf, order)| {
            let import = order.import.as_ref().filter(|import| import.proposal == *proposal)?;
            Some((leaf, order, import))
        });
        match found {
            Some((_, order, _)) if order.made => {
                Err(Refusal::StateConflict { reason: Conflict::ProposalEnded })
            }
            Some(found) => Ok(found),
            None => Err(Refusal::NotFound { what: Thing::Proposal }),
        }
    }

    /// Whether this person may give this component now, as far as the log knows.
    pub(super) fn may_give(&self, request: &GiveComponent, by: &Name) -> Result<(), Refusal> {
        let (_, _, import) = self.import(&request.proposal)?;
        let ordered = import.component(request.number);
        let ordered = ordered.filter(|component| component.custodian == *by).ok_or(Refusal::Forbidden)?;
        if ordered.check == request.check {
            Ok(())
        } else {
            Err(Refusal::Invalid { reason: Invalid::Component })
        }
    }

    pub(super) fn give(&mut self, at: At, request: &GiveComponent) -> Result<(), Refusal> {
        let (leaf, _, import) = self.import(&request.proposal)?;
        if at.time_ms > import.expires_ms && !self.evidence_alone {
            return Err(Refusal::Expired);
        }
        self.keys.given(leaf, request.number, at.index);
        Ok(())
    }
}
