//! Card keys to be derived: the leaf's count and root are over exactly the keys that the station asked for.
//!
//! The items are computed again from the statement and the profile in use at the leaf; no key is needed for that.

use super::Site;
use crate::finding::StationProblem;
use keysvc_protocol::{
    founding::{Profile, Slot},
    key::KeyKind,
    leaf::{CardKeysDerivedLeaf, DerivedItem},
    request::DeriveCardKeys,
};
use std::collections::BTreeSet;

/// Checks count and root of a leaf against the request whose signature was verified.
pub(super) fn check_derived(
    site: &Site<'_>,
    request: &DeriveCardKeys,
    leaf: &CardKeysDerivedLeaf,
) -> Result<(), StationProblem> {
    let (profile, slots) = slots_of(site, request)?;
    let mut seen = BTreeSet::new();
    if !request.cards.iter().all(|card| seen.insert(card)) {
        return Err(StationProblem::CardTwice);
    }
    let asked = request.cards.len().saturating_mul(request.slots.len());
    let asked = u64::try_from(asked).unwrap_or(u64::MAX);
    if asked == 0 || u64::from(leaf.count) != asked {
        return Err(StationProblem::Count { count: leaf.count, asked });
    }
    let root = DerivedItem::root(profile, &slots, &request.cards).map_err(StationProblem::Input)?;
    if root == leaf.root { Ok(()) } else { Err(StationProblem::Root) }
}

/// The profile and the slots that a request names.
pub(super) fn slots_of<'f>(
    site: &Site<'f>,
    request: &DeriveCardKeys,
) -> Result<(&'f Profile, Vec<&'f Slot>), StationProblem> {
    let in_use = site.people.profiles().get(&request.profile, request.profile_version);
    let in_use = in_use.ok_or_else(|| StationProblem::NoProfile {
        profile: request.profile.clone(),
        version: request.profile_version,
    })?;
    let profile = &in_use.profile;
    if !request.slots.is_sorted_by(|a, b| a < b) {
        return Err(StationProblem::Slots);
    }
    let slots = request.slots.iter().map(|number| known_slot(site, profile, *number));
    Ok((profile, slots.collect::<Result<Vec<_>, _>>()?))
}

/// The slot of this number, whose master key is in the log.
fn known_slot<'p>(site: &Site<'_>, profile: &'p Profile, number: u8) -> Result<&'p Slot, StationProblem> {
    let slot = profile.slot(number).ok_or(StationProblem::Slots)?;
    let key = site.people.key(&slot.key, u32::from(slot.key_version));
    let known = key.is_some_and(|key| key.kind == KeyKind::CardMaster);
    if known || site.people.is_lost() {
        Ok(slot)
    } else {
        Err(StationProblem::NoMaster { key: slot.key.clone() })
    }
}
