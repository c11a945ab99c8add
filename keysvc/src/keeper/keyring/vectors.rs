//! Check values of card keys, as the token computes them: what golden vectors are held against.
//!
//! Apart from deriving for a caller because nobody gets a key by it: the card key is made in the token, its check value is
//! read, and it is destroyed. Whether a profile with a wrong vector may be used is decided by whoever asks.

use super::Keyring;
use crate::error::{Fault, NotDone};
use keysvc_protocol::{
    bytes::{ObjectIdentifier, ShortCheck},
    card::CardUid,
    control::Control,
    founding::{Profile, Slot},
    name::Name,
};
use keysvc_token::{DiversificationInput, KeyKind, MasterKey, ObjectId, Token};
use std::collections::BTreeMap;

/// What was found of golden vectors.
#[derive(Debug, Default)]
pub struct VectorsSeen {
    /// Those that were computed again.
    pub computed: usize,
    /// Those whose key may not be used as things stand.
    pub left_out: usize,
    /// Where the token computes another value: profile, slot and card.
    pub differing: Vec<String>,
}

impl VectorsSeen {
    /// Refuses to go on where the token computes another value than a vector states; `mend` says what helps.
    ///
    /// # Errors
    /// [`Fault::Refusing`] naming every such vector.
    pub fn must_agree(self, mend: &str) -> Result<Self, Fault> {
        if self.differing.is_empty() {
            return Ok(self);
        }
        Err(Fault::Refusing(format!(
            "golden vectors of card profiles are not what the token computes, so it would make keys that no reader \
             expects: {}; {mend}",
            self.differing.join("; ")
        )))
    }
}

/// Computes the golden vectors of all profiles in use again, as far as their keys may be used.
///
/// # Errors
/// [`Fault`] of the token.
pub fn vectors_in_use(token: &Token, control: &Control) -> Result<VectorsSeen, Fault> {
    let profiles = control.profiles().iter().map(|in_use| &in_use.profile);
    see(token, profiles, |name, version| {
        let key = control.keys().get(name, version).filter(|key| key.state.processes());
        key.map(|key| key.id)
    })
}

/// Computes the golden vectors of these profiles again, under the card masters that `master` finds.
///
/// # Errors
/// [`Fault`] of the token.
pub fn see<'a>(
    token: &Token,
    profiles: impl Iterator<Item = &'a Profile>,
    master: impl Fn(&Name, u32) -> Option<ObjectIdentifier>,
) -> Result<VectorsSeen, Fault> {
    let mut masters = BTreeMap::new();
    let mut seen = VectorsSeen::default();
    for profile in profiles {
        for vector in &profile.vectors {
            let read = profile.slot(vector.slot).zip(vector.read());
            let (slot, (card, stated)) = read.ok_or(UNREADABLE)?;
            let version = u32::from(slot.key_version);
            let Some(id) = master(&slot.key, version) else {
                seen.left_out = seen.left_out.saturating_add(1);
                continue;
            };
            let key = match masters.entry(*id.as_bytes()) {
                std::collections::btree_map::Entry::Occupied(found) => found.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(token.master_key(KeyKind::CardMaster, ObjectId(*id.as_bytes()))?)
                }
            };
            seen.computed = seen.computed.saturating_add(1);
            let found = check_value(key, (profile, slot), &card)?;
            if found != stated {
                seen.differing.push(format!(
                    "profile {} version {}, slot {}, card {}: {found} instead of {stated}",
                    profile.name, profile.version, slot.slot, vector.card
                ));
            }
        }
    }
    Ok(seen)
}

const UNREADABLE: Fault = Fault::Invariant("a profile in use has a golden vector that does not read");

impl Keyring {
    /// The check value of one card's key in a slot of a profile.
    ///
    /// # Errors
    /// [`NotDone`]: the slot's key may not be used as things stand, or a fault of the token.
    pub fn check_value(
        &self,
        (profile, slot): (&Profile, &Slot),
        card: &CardUid,
    ) -> Result<ShortCheck, NotDone> {
        let control = self.site.control()?;
        let master = self.in_use.master(&control, &slot.key, u32::from(slot.key_version))?;
        Ok(check_value(&master, (profile, slot), card)?)
    }

    /// Computes the golden vectors of all profiles in use again.
    ///
    /// # Errors
    /// [`Fault`] of the token.
    pub fn vectors_seen(&self) -> Result<VectorsSeen, Fault> {
        vectors_in_use(&self.token, &*self.site.control()?)
    }
}

fn check_value(
    master: &MasterKey,
    (profile, slot): (&Profile, &Slot),
    card: &CardUid,
) -> Result<ShortCheck, Fault> {
    let input = profile.diversification_input(slot, card).map_err(|_| UNREADABLE)?;
    let input = DiversificationInput::try_from(input.as_slice()).map_err(|_| UNREADABLE)?;
    Ok(ShortCheck::new(master.derive(&input)?.check_value()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_vector_that_differs_refuses_and_every_such_one_is_named_with_the_mend() {
        assert_eq!(
            VectorsSeen { computed: 3, ..VectorsSeen::default() }.must_agree("mend it").unwrap().computed,
            3
        );
        let differing = vec!["the first".to_owned(), "the second".to_owned()];
        let refused = VectorsSeen { computed: 3, left_out: 0, differing }.must_agree("mend it").unwrap_err();
        assert!(
            matches!(&refused, Fault::Refusing(text)
            if text.contains("the first; the second") && text.ends_with("; mend it")),
            "{refused}"
        );
    }
}
