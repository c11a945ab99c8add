//! Card keys to be derived: the leaf's count and root are over exactly the keys that the station asked for.
//!
//! The items are computed again from the statement and the founding's profile; no key is needed for that.

use super::key::Keys;
use crate::{finding::StationProblem, founding_check::Founded};
use keysvc_protocol::{
    founding::{Profile, Slot},
    key::KeyKind,
    leaf::{CardKeysDerivedLeaf, DerivedItem},
    request::DeriveCardKeys,
};
use std::collections::BTreeSet;

/// What the items are computed from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    /// The founding.
    pub(super) founded: &'a Founded,
    /// The keys known so far.
    pub(super) keys: &'a Keys,
}

/// Checks count and root of a leaf against the request whose signature was verified.
pub(super) fn check_derived(
    site: &Site<'_>,
    request: &DeriveCardKeys,
    leaf: &CardKeysDerivedLeaf,
) -> Result<(), StationProblem> {
    let profile = site.founded.profile(&request.profile, Some(request.profile_version));
    let profile = profile.ok_or_else(|| StationProblem::NoProfile {
        profile: request.profile.clone(),
        version: request.profile_version,
    })?;
    if !request.slots.is_sorted_by(|a, b| a < b) {
        return Err(StationProblem::Slots);
    }
    let mut seen = BTreeSet::new();
    if !request.cards.iter().all(|card| seen.insert(card)) {
        return Err(StationProblem::CardTwice);
    }
    let asked = request.cards.len().saturating_mul(request.slots.len());
    let asked = u64::try_from(asked).unwrap_or(u64::MAX);
    if asked == 0 || u64::from(leaf.count) != asked {
        return Err(StationProblem::Count { count: leaf.count, asked });
    }
    let slots = request.slots.iter().map(|number| known_slot(site, profile, *number));
    let slots = slots.collect::<Result<Vec<_>, _>>()?;
    let root = DerivedItem::root(profile, &slots, &request.cards).map_err(StationProblem::Input)?;
    if root == leaf.root { Ok(()) } else { Err(StationProblem::Root) }
}

/// The slot of this number, whose master key is in the log.
fn known_slot<'p>(site: &Site<'_>, profile: &'p Profile, number: u8) -> Result<&'p Slot, StationProblem> {
    let slot = profile.slot(number).ok_or(StationProblem::Slots)?;
    let key = site.keys.find(&slot.key, u32::from(slot.key_version));
    let known = key.is_some_and(|key| key.kind == KeyKind::CardMaster);
    if known { Ok(slot) } else { Err(StationProblem::NoMaster { key: slot.key.clone() }) }
}
