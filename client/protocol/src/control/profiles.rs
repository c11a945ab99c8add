//! Card profiles in use: the founding's, and those that people put since.

use super::Keys;
use crate::{
    founding::{CardSession, Founding, Profile, Programme},
    key::{KeyKind, KeyState},
    name::Name,
    refusal::{Conflict, Invalid, Refusal, Thing},
};
use alloc::collections::BTreeMap;
use serde::Serialize;

/// Most versions of profiles ever put: of 2 KiB each, 2 MiB.
const PROFILES_MAX: usize = 1_024;

/// A version of a profile in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InUse {
    /// The profile.
    pub profile: Profile,
    /// The leaf that put it into use; 0 for the founding's.
    pub leaf: u64,
}

/// The profiles, by name and version. Versions stay for good: cards were made under them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profiles(BTreeMap<(Name, u32), InUse>);

impl Serialize for Profiles {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.values())
    }
}

impl Profiles {
    pub(super) fn found(founding: &Founding) -> Self {
        let founded = founding.profiles.iter().map(|profile| {
            ((profile.name.clone(), profile.version), InUse { profile: profile.clone(), leaf: 0 })
        });
        Self(founded.collect())
    }

    /// All of them, by name and version.
    pub fn iter(&self) -> impl Iterator<Item = &InUse> {
        self.0.values()
    }

    /// One version of a profile.
    #[must_use]
    pub fn get(&self, name: &Name, version: u32) -> Option<&InUse> {
        self.0.get(&(name.clone(), version))
    }

    /// The newest version of a profile: the one whose value rules hold.
    #[must_use]
    pub fn newest(&self, name: &Name) -> Option<&InUse> {
        self.0.range((name.clone(), 0)..=(name.clone(), u32::MAX)).next_back().map(|(_, profile)| profile)
    }

    /// The profile whose value rules hold for a programme.
    #[must_use]
    pub fn of_programme(&self, programme: &Programme) -> Option<&Profile> {
        self.newest(&programme.profile).map(|in_use| &in_use.profile)
    }

    /// Whether a programme's cards are passive tags.
    #[must_use]
    pub fn passive_tag(&self, programme: &Programme) -> bool {
        let rules = self.of_programme(programme).and_then(|profile| profile.value.as_ref());
        rules.is_some_and(|rules| rules.card_session == CardSession::PassiveTag)
    }

    pub(super) fn may_put(&self, profile: &Profile, keys: &Keys, founding: &Founding) -> Result<(), Refusal> {
        profile.check_form().map_err(|_| Refusal::Invalid { reason: Invalid::Profile })?;
        let newest = self.newest(&profile.name).map_or(0, |in_use| in_use.profile.version);
        if newest.checked_add(1) != Some(profile.version) {
            return Err(Refusal::StateConflict { reason: Conflict::Version { newest } });
        }
        if self.0.len() >= PROFILES_MAX {
            return Err(Refusal::StateConflict { reason: Conflict::Full });
        }
        for slot in &profile.slots {
            let key = keys.get(&slot.key, u32::from(slot.key_version));
            let key = key.ok_or(Refusal::NotFound { what: Thing::Key })?;
            if key.kind != KeyKind::CardMaster {
                return Err(Refusal::Invalid { reason: Invalid::Profile });
            }
            if matches!(key.state, KeyState::Compromised | KeyState::Destroyed) {
                return Err(Refusal::StateConflict { reason: Conflict::KeyState { state: key.state } });
            }
        }
        // A programme must not lose its value rules, or get another currency, by its profile's next version.
        let mut programmes = founding.programmes.iter().filter(|programme| programme.profile == profile.name);
        let serves = |programme: &Programme| {
            profile.value.as_ref().is_some_and(|rules| rules.currency == programme.currency)
        };
        if programmes.all(serves) { Ok(()) } else { Err(Refusal::Invalid { reason: Invalid::Profile }) }
    }

    pub(super) fn put(&mut self, profile: Profile, leaf: u64) {
        self.0.insert((profile.name.clone(), profile.version), InUse { profile, leaf });
    }
}
