//! An inventory that is held for a while: what lies on the token, listed once, and each key's handle out of that list.
//!
//! Apart because a search costs time with all objects of a token, so that looking each of a thousand keys up costs with
//! their square. The start looks every key up more than once, and holds one of these meanwhile; whoever looks a key up
//! afterwards, or one that the list does not know exactly once, searches. It decides nothing and checks nothing.

use std::collections::HashMap;
use std::fmt;

use cryptoki::object::{ObjectClass, ObjectHandle};

use crate::error::TokenError;
use crate::object::{FoundObject, ObjectId};
use crate::token::Token;

/// Every token object as it was when this was taken. While it is held, keys are found in it; a key that this process
/// makes or destroys meanwhile is searched for.
pub struct HeldInventory {
    token: Token,
    objects: Vec<FoundObject>,
}

impl Token {
    /// Lists every token object as [`Token::inventory`] does, and finds keys in that list until the value is dropped.
    /// One at a time: a further one takes the place of the first, and the first to be dropped ends both.
    ///
    /// # Errors
    /// If the token fails.
    pub fn hold_inventory(&self) -> Result<HeldInventory, TokenError> {
        // Held over the listing: a key destroyed while it runs is then forgotten after it.
        let mut held = self.held();
        let objects = self.inventory()?;
        *held = Some(Index::of(&objects));
        drop(held);
        Ok(HeldInventory { token: self.clone(), objects })
    }

    /// The handle of the one object with this class and identifier, if an inventory is held and knows exactly one.
    pub(crate) fn held_handle(&self, class: ObjectClass, id: ObjectId) -> Option<ObjectHandle> {
        self.held().as_ref().and_then(|index| index.only(class, id))
    }

    /// Has an identifier searched for from now on: to be called after each change to what carries it.
    pub(crate) fn forget_held(&self, id: ObjectId) {
        if let Some(index) = self.held().as_mut() {
            index.0.remove(&id);
        }
    }
}

impl HeldInventory {
    /// What lay on the token, ours or not, the public halves of pairs too.
    #[must_use]
    pub fn objects(&self) -> &[FoundObject] {
        &self.objects
    }
}

impl fmt::Debug for HeldInventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldInventory").field("objects", &self.objects.len()).finish_non_exhaustive()
    }
}

impl Drop for HeldInventory {
    fn drop(&mut self) {
        *self.token.held() = None;
    }
}

/// The objects of each identifier: class by name, and handle.
pub(crate) struct Index(HashMap<ObjectId, Vec<(String, ObjectHandle)>>);

impl Index {
    fn of(objects: &[FoundObject]) -> Self {
        let mut all: HashMap<_, Vec<_>> = HashMap::with_capacity(objects.len());
        for object in objects {
            if let Some(id) = object.id {
                all.entry(id).or_default().push((object.class.clone(), object.handle()));
            }
        }
        Self(all)
    }

    /// Nothing where it is none or several: those a search counts anew, so that no old list makes a key missing.
    fn only(&self, class: ObjectClass, id: ObjectId) -> Option<ObjectHandle> {
        let class = class.to_string();
        let mut found = self.0.get(&id)?.iter().filter(|(one, _)| *one == class);
        let (_, handle) = found.next()?;
        if found.next().is_some() { None } else { Some(*handle) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destroy::Destroyed;
    use crate::profile::{Half, KeyKind, Origin};
    use crate::scratch::on_each_module;

    const KIND: KeyKind = KeyKind::Storage;
    const ID: ObjectId = ObjectId([7; 16]);
    const OTHER: ObjectId = ObjectId([8; 16]);

    fn listed(token: &Token, kind: KeyKind, half: Half, id: ObjectId) -> Option<ObjectHandle> {
        token.held_handle(crate::attribute::class_of(kind.profile(), half), id)
    }

    #[test]
    fn keys_are_found_in_a_held_inventory_and_by_search_after_it() {
        let name = "inventory::tests::keys_are_found_in_a_held_inventory_and_by_search_after_it";
        on_each_module(name, |scratch| {
            let (token, pair) = (scratch.open(), KeyKind::Checkpoint);
            let checks = [(KIND, ID), (pair, OTHER)].map(|(kind, id)| {
                let made = token.generate(kind, id, "key").unwrap();
                assert_eq!(listed(&token, kind, Half::Secret, id), None);
                (kind, id, made.check)
            });
            let held = token.hold_inventory().unwrap();
            assert_eq!(held.objects().len(), token.inventory().unwrap().len());
            for (kind, id, check) in checks {
                for half in kind.profile().halves() {
                    let searched =
                        token.with_session(|session| crate::object::search(session, kind, *half, id));
                    assert_eq!(listed(&token, kind, *half, id), searched.ok(), "{kind} {half:?}");
                }
                assert_eq!(token.drift(kind, id, Origin::Generated), Ok(Vec::new()));
                assert_eq!(token.check_value(kind, id).unwrap(), check);
            }
            // Of another thread, which has a session of its own.
            std::thread::scope(|scope| {
                let found = scope.spawn(|| token.storage_key(KIND, ID).unwrap().check_value().unwrap());
                assert_eq!(found.join().unwrap(), token.check_value(KIND, ID).unwrap());
            });
            drop(held);
            assert_eq!(listed(&token, KIND, Half::Secret, ID), None);
            assert_eq!(token.storage_key(KIND, ID).unwrap().check_value().unwrap(), checks[0].2);
        });
    }

    #[test]
    fn two_objects_with_one_identifier_are_refused_under_a_held_inventory() {
        let name = "inventory::tests::two_objects_with_one_identifier_are_refused_under_a_held_inventory";
        on_each_module(name, |scratch| {
            let token = scratch.open();
            token.generate(KIND, ID, "ours").unwrap();
            crate::object::tests::make_twin(&token, KIND, ID);
            let ambiguous = TokenError::Ambiguous { kind: KIND, id: ID, count: 2 };
            let _held = token.hold_inventory().unwrap();
            assert_eq!(token.drift(KIND, ID, Origin::Generated), Err(ambiguous.clone()));
            assert_eq!(token.check_value(KIND, ID), Err(ambiguous.clone()));
            assert_eq!(token.storage_key(KIND, ID).unwrap_err(), ambiguous);
        });
    }

    #[test]
    fn a_key_made_while_an_inventory_is_held_is_found() {
        let name = "inventory::tests::a_key_made_while_an_inventory_is_held_is_found";
        on_each_module(name, |scratch| {
            let token = scratch.open();
            token.generate(KIND, ID, "before").unwrap();
            let held = token.hold_inventory().unwrap();
            let made = token.generate(KIND, OTHER, "meanwhile").unwrap();
            assert_eq!(token.storage_key(KIND, OTHER).unwrap().check_value().unwrap(), made.check);
            assert_eq!(token.drift(KIND, OTHER, Origin::Generated), Ok(Vec::new()));
            assert_eq!(held.objects().len(), 1);
        });
    }

    #[test]
    fn a_key_destroyed_while_an_inventory_is_held_is_not_found() {
        let name = "inventory::tests::a_key_destroyed_while_an_inventory_is_held_is_not_found";
        on_each_module(name, |scratch| {
            let token = scratch.open();
            for id in [ID, OTHER] {
                token.generate(KIND, id, "key").unwrap();
            }
            let held = token.hold_inventory().unwrap();
            assert_eq!(token.destroy(KIND, ID), Ok(Destroyed::Now(vec![Half::Secret])));
            let found = held.objects().iter().find(|object| object.id == Some(OTHER)).unwrap();
            token.destroy_found(found).unwrap();
            for id in [ID, OTHER] {
                let missing = TokenError::NotFound { kind: KIND, id };
                assert_eq!(token.storage_key(KIND, id).unwrap_err(), missing);
                assert_eq!(token.drift(KIND, id, Origin::Generated), Err(missing));
            }
            // The same identifier once more is another object.
            let again = token.generate(KIND, ID, "again").unwrap();
            assert_eq!(token.check_value(KIND, ID).unwrap(), again.check);
        });
    }
}
