//! What stands between one principal and one resource under one action, whatever the circumstances: their entities, and
//! what the policies that look at nothing else say of them.
//!
//! These are kept, because the same terminal asks about the same programme again and again. The key is every fact they
//! were made of, and the store belongs to one policy set: what is kept can be of no other facts and no other policies.
//! What is not kept is made anew, with the same outcome. No verdict is kept, and no circumstance.

use std::hash::{BuildHasher, RandomState};
use std::iter;
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{Entities, EntityUid};

use crate::error::PolicyError;
use crate::key::Key;
use crate::tally::Tally;

/// How many are kept: 1,024 terminals at work at once. Each has one place, by a hash of its key, and who comes to a place
/// drives out who was there. About 3 KiB each with names of common length: 3 MiB where every place is taken.
const KEPT_MAX: usize = 1024;

/// One principal and one resource under one action.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Who asks.
    pub(crate) principal: EntityUid,
    /// About what.
    pub(crate) resource: EntityUid,
    /// Both with their attributes.
    pub(crate) entities: Entities,
    /// What the ceiling's policies say that look at no circumstances.
    pub(crate) ceiling: Result<Tally, PolicyError>,
    /// What the site's say.
    pub(crate) site: Result<Tally, PolicyError>,
}

type Place = Mutex<Option<Kept>>;

type Kept = Arc<(Key, Standing)>;

/// Those that are kept.
pub(crate) struct Standings {
    // Seeded anew for each set, so that nobody can choose names that share a place.
    hasher: RandomState,
    places: Vec<Place>,
}

impl Standings {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self::with_places(KEPT_MAX)
    }

    fn with_places(places: usize) -> Self {
        let places = iter::repeat_with(Place::default).take(places).collect();
        Self { hasher: RandomState::new(), places }
    }

    /// What is kept under `key`, or what `make` makes of its facts, which is kept from then on. What cannot be made is not
    /// kept.
    pub(crate) fn of(
        &self,
        key: Key,
        make: impl FnOnce() -> Result<Standing, PolicyError>,
    ) -> Result<Kept, PolicyError> {
        let Some(place) = self.place(&key) else { return Ok(Arc::new((key, make()?))) };
        // A place is written whole or not at all, so one that somebody panicked over is as good as any.
        let found = place.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = found.filter(|kept| kept.0 == key) {
            return Ok(kept);
        }
        let new = Arc::new((key, make()?));
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&new));
        Ok(new)
    }

    fn place(&self, key: &Key) -> Option<&Place> {
        // usize has at most 64 bits on every platform Rust knows.
        let hash = self.hasher.hash_one(key).checked_rem(self.places.len() as u64)?;
        self.places.get(usize::try_from(hash).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::question::{PrincipalFacts, Question};
    use crate::sample::question;

    fn key(id: &str) -> Key {
        let asked = question("terminal", "value.update");
        Key::of(&Question { principal: PrincipalFacts { id, ..asked.principal }, ..asked })
    }

    fn standing(id: &str) -> Standing {
        let principal = format!("Principal::\"{id}\"").parse().unwrap();
        let resource = "Programme::\"gift\"".parse().unwrap();
        let none = || Ok(Tally::default());
        Standing { principal, resource, entities: Entities::empty(), ceiling: none(), site: none() }
    }

    #[test]
    fn what_was_made_is_kept_for_the_same_facts_and_no_others() {
        let (kept, count) = (Standings::new(), Cell::new(0));
        let ask = |id: &str| {
            let make = || {
                count.set(count.get() + 1);
                Ok(standing(id))
            };
            kept.of(key(id), make).unwrap().1.principal.id().unescaped().to_owned()
        };
        for (id, times) in [("till-1", 1), ("till-1", 1), ("till-2", 2), ("till-2", 2)] {
            assert_eq!(ask(id), id);
            assert_eq!(count.get(), times, "{id}");
        }
    }

    #[test]
    fn two_that_share_a_place_are_never_taken_for_each_other() {
        for places in [0, 1] {
            let kept = Standings::with_places(places);
            for id in ["till-1", "till-2", "till-2", "till-1", "till-3"] {
                let found = kept.of(key(id), || Ok(standing(id))).unwrap();
                assert_eq!(found.1.principal.id().unescaped(), id);
            }
        }
    }

    #[test]
    fn what_cannot_be_made_is_asked_for_again() {
        let kept = Standings::new();
        let refused = kept.of(key("till-1"), || Err(PolicyError::AmountTooLarge));
        assert_eq!(refused.unwrap_err(), PolicyError::AmountTooLarge);
        assert!(kept.of(key("till-1"), || Ok(standing("till-1"))).is_ok());
    }
}
