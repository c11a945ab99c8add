//! Destroys a key for ever, and makes sure that nothing of it is left.
//!
//! Apart because nothing here can be undone: what is to be destroyed is looked at first and looked for afterwards.
//! It keeps no record, which is the ledger's, and syncs no folder: as after a creation, the caller does that with
//! [`crate::sync_folder`] before the ceremony is acknowledged. `SoftHSM` deletes a key's file and does not overwrite it.

use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::Session;

use crate::attribute::{class_of, observe_shape, read_one, text};
use crate::error::{TokenError, fault};
use crate::object::{FoundObject, ObjectId};
use crate::profile::{Half, KeyKind, Life};
use crate::token::Token;

/// What became of a key that was to be destroyed. Either way, nothing on the token carries its `CKA_ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destroyed {
    /// These halves were there and were destroyed, the secret one first. One alone is what an interrupted destruction
    /// or creation had left.
    Now(
        /// The halves.
        Vec<Half>,
    ),
    /// Nothing was there: it was destroyed before, or never made.
    Before,
}

impl Token {
    /// Destroys a key for ever, both halves of a pair. Asked again, it finishes what was interrupted and says whether
    /// anything was left to destroy.
    ///
    /// Kinds of the same algorithm cannot be told apart on the token: which key an identifier names, the key manifest
    /// says. No thread may hold the key any more: its handle is dead afterwards, and a call with it is fatal.
    ///
    /// # Errors
    /// If an object with this identifier is not of the kind or more than one answers (nothing is destroyed then), if
    /// the kind lives in sessions only, if the token is away, or if it refuses or fails: then a half may be left, and
    /// the key is to be destroyed again.
    pub fn destroy(&self, kind: KeyKind, id: ObjectId) -> Result<Destroyed, TokenError> {
        if kind.profile().life == Life::Session {
            return Err(TokenError::WrongKind { kind, needed: "a key that lies on the token" });
        }
        // A token that is away lists nothing, and its keys would pass for destroyed.
        self.look()?;
        let halves = self.with_session(|session| {
            let found = halves_of(session, kind, id)?;
            for (_, handle) in &found {
                session.destroy_object(*handle).map_err(fault)?;
            }
            if carriers(session, id)?.is_empty() {
                Ok(found.into_iter().map(|(half, _)| half).collect::<Vec<_>>())
            } else {
                Err(TokenError::unexpected("C_DestroyObject", "it said done, and the object is still there"))
            }
        });
        // After it and whatever came of it: one half may be gone.
        self.forget_held(id);
        let halves = halves?;
        // Again, because it may have gone away meanwhile.
        self.look()?;
        Ok(if halves.is_empty() { Destroyed::Before } else { Destroyed::Now(halves) })
    }

    /// Destroys one object of an inventory, such as what an interrupted creation left without an identifier.
    ///
    /// # Errors
    /// If the token refuses or fails.
    pub fn destroy_found(&self, object: &FoundObject) -> Result<(), TokenError> {
        let destroyed = self.with_session(|session| session.destroy_object(object.handle()).map_err(fault));
        object.id.into_iter().for_each(|id| self.forget_held(id));
        destroyed
    }

    /// Destroys whatever carries an identifier that nothing carried a moment ago, of whatever kind the token made it.
    pub(crate) fn destroy_just_made(&self, id: ObjectId) -> Result<(), TokenError> {
        let destroyed = self.with_session(|session| {
            let made = carriers(session, id)?;
            made.into_iter().try_for_each(|handle| session.destroy_object(handle).map_err(fault))
        });
        self.forget_held(id);
        destroyed
    }
}

/// Every object with this identifier, whatever it is.
fn carriers(session: &Session, id: ObjectId) -> Result<Vec<ObjectHandle>, TokenError> {
    session.find_objects(&[Attribute::Id(id.0.to_vec())]).map_err(fault)
}

/// The objects of a key, at most one for each half and the secret one first: whatever breaks off after it leaves
/// nothing that acts.
fn halves_of(
    session: &Session,
    kind: KeyKind,
    id: ObjectId,
) -> Result<Vec<(Half, ObjectHandle)>, TokenError> {
    let mut found = carriers(session, id)?
        .into_iter()
        .map(|handle| Ok((half_of(session, kind, id, handle)?, handle)))
        .collect::<Result<Vec<_>, TokenError>>()?;
    found.sort_by_key(|(half, _)| *half);
    for half in kind.profile().halves() {
        let count = found.iter().filter(|(one, _)| one == half).count();
        if count > 1 {
            return Err(TokenError::Ambiguous { kind, id, count });
        }
    }
    Ok(found)
}

/// Which half of such a key an object is, by its class, its type and its length.
fn half_of(session: &Session, kind: KeyKind, id: ObjectId, handle: ObjectHandle) -> Result<Half, TokenError> {
    let profile = kind.profile();
    let class = text(read_one(session, handle, AttributeType::Class)?);
    let is_class = |half: &&Half| class_of(profile, **half).to_string() == class;
    let half = profile.halves().iter().find(is_class).copied().unwrap_or(Half::Secret);
    for one in observe_shape(session, handle, profile, half)? {
        if one.wanted != one.found {
            let (attribute, wanted, found) = (one.attribute, one.wanted, one.found);
            return Err(TokenError::NotOfKind { kind, id, attribute, wanted, found });
        }
    }
    Ok(half)
}

#[cfg(test)]
mod tests {
    use cryptoki::mechanism::Mechanism;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;
    use crate::attribute::template;
    use crate::class::TokenErrorClass;
    use crate::durability::sync_folder;
    use crate::input::DiversificationInput;
    use crate::scratch::{on_each_module, with_scratch_token};

    const ID: ObjectId = ObjectId([7; 16]);
    const BOTH: [Half; 2] = [Half::Secret, Half::Public];

    fn names(token: &Token) -> Vec<(String, String)> {
        let all = token.inventory().unwrap();
        let mut names: Vec<_> = all.into_iter().map(|one| (one.label, one.class)).collect();
        names.sort();
        names
    }

    #[test]
    fn a_destroyed_pair_is_gone_with_its_public_half_and_others_stay() {
        on_each_module(
            "destroy::tests::a_destroyed_pair_is_gone_with_its_public_half_and_others_stay",
            |scratch| {
                let (token, kind) = (scratch.open(), KeyKind::ValueSigning);
                token.generate(kind, ObjectId([8; 16]), "stays").unwrap();
                let stays = names(&token);
                token.generate(kind, ID, "goes").unwrap();
                assert_eq!(token.destroy(kind, ID), Ok(Destroyed::Now(BOTH.into())));
                assert_eq!(names(&token), stays);
                let gone = TokenError::NotFound { kind, id: ID };
                assert_eq!(token.check_value(kind, ID), Err(gone.clone()));
                assert_eq!(token.signing_key(kind, ID).unwrap_err(), gone);
                assert!(!gone.is_fatal());
            },
        );
    }

    #[test]
    fn what_is_gone_already_is_told_apart() {
        on_each_module("destroy::tests::what_is_gone_already_is_told_apart", |scratch| {
            let token = scratch.open();
            for (number, kind) in (1..).zip([KeyKind::CardMaster, KeyKind::ValueSigning]) {
                let id = ObjectId([number; 16]);
                assert_eq!(token.destroy(kind, id), Ok(Destroyed::Before), "{kind}");
                token.generate(kind, id, "goes").unwrap();
                let halves = kind.profile().halves().to_vec();
                assert_eq!(token.destroy(kind, id), Ok(Destroyed::Now(halves)), "{kind}");
                assert_eq!(token.destroy(kind, id), Ok(Destroyed::Before), "{kind}");
            }
        });
    }

    #[test]
    fn a_destruction_that_broke_off_is_finished_by_another() {
        on_each_module("destroy::tests::a_destruction_that_broke_off_is_finished_by_another", |scratch| {
            let (token, kind) = (scratch.open(), KeyKind::ValueSigning);
            for left in BOTH {
                token.generate(kind, ID, "half gone").unwrap();
                let all = token.inventory().unwrap();
                let gone = all.iter().find(|one| one.public == (left == Half::Secret)).unwrap();
                token.destroy_found(gone).unwrap();
                assert_eq!(token.destroy(kind, ID), Ok(Destroyed::Now(vec![left])));
                assert!(token.inventory().unwrap().is_empty());
            }
        });
    }

    #[test]
    fn a_destroyed_key_is_gone_for_whoever_opens_the_token_next() {
        with_scratch_token(
            "destroy::tests::a_destroyed_key_is_gone_for_whoever_opens_the_token_next",
            |scratch| {
                let files = || {
                    std::fs::read_dir(scratch.token_folder())
                        .unwrap()
                        .flatten()
                        .flat_map(|token| std::fs::read_dir(token.path()).unwrap().flatten())
                        .count()
                };
                let before = {
                    let token = scratch.open();
                    let before = files();
                    token.generate(KeyKind::CardMaster, ID, "goes").unwrap();
                    assert!(files() > before);
                    token.destroy(KeyKind::CardMaster, ID).unwrap();
                    sync_folder(&scratch.token_folder()).unwrap();
                    before
                };
                assert_eq!(files(), before);
                let token = scratch.open();
                assert!(token.inventory().unwrap().is_empty());
                assert_eq!(token.destroy(KeyKind::CardMaster, ID), Ok(Destroyed::Before));
            },
        );
    }

    #[test]
    fn the_handle_of_a_destroyed_value_key_signs_nothing_in_any_thread() {
        on_each_module(
            "destroy::tests::the_handle_of_a_destroyed_value_key_signs_nothing_in_any_thread",
            |scratch| {
                let (token, kind) = (scratch.open(), KeyKind::ValueSigning);
                token.generate(kind, ID, "goes").unwrap();
                let key = token.signing_key(kind, ID).unwrap();
                let ((signed, has_signed), (go, goes)) = (channel(), channel::<()>());
                let held = &key;
                thread::scope(|scope| {
                    // A thread whose session knew the key before.
                    let other = scope.spawn(move || {
                        signed.send(held.sign(&[1; 32])).unwrap();
                        goes.recv().unwrap();
                        held.sign(&[2; 32])
                    });
                    has_signed.recv().unwrap().unwrap();
                    token.destroy(kind, ID).unwrap();
                    go.send(()).unwrap();
                    for late in [key.sign(&[3; 32]), other.join().unwrap()] {
                        let error = late.unwrap_err();
                        assert!(error.is_fatal(), "{error:?}");
                        assert_eq!(error.class(), TokenErrorClass::Session);
                    }
                });
                // The token itself is well.
                token.look().unwrap();
                token.generate(kind, ObjectId([8; 16]), "next").unwrap();
            },
        );
    }

    #[test]
    fn the_handle_of_a_destroyed_master_derives_nothing() {
        on_each_module("destroy::tests::the_handle_of_a_destroyed_master_derives_nothing", |scratch| {
            let (token, kind) = (scratch.open(), KeyKind::CardMaster);
            token.generate(kind, ID, "goes").unwrap();
            let master = token.master_key(kind, ID).unwrap();
            let input = DiversificationInput::try_from([9_u8; 20].as_slice()).unwrap();
            master.derive(&input).unwrap();
            token.destroy(kind, ID).unwrap();
            assert!(master.derive(&input).unwrap_err().is_fatal());
            assert!(master.check_value().unwrap_err().is_fatal());
        });
    }

    #[test]
    fn an_object_that_is_not_of_the_kind_is_not_destroyed() {
        on_each_module("destroy::tests::an_object_that_is_not_of_the_kind_is_not_destroyed", |scratch| {
            let token = scratch.open();
            for (number, (made, asked, attribute)) in (1..).zip([
                (KeyKind::Storage, KeyKind::CardMaster, "CKA_VALUE_LEN"),
                (KeyKind::Wrapping, KeyKind::ValueSigning, "CKA_KEY_TYPE"),
                (KeyKind::ValueSigning, KeyKind::CardMaster, "CKA_CLASS"),
                (KeyKind::CardMaster, KeyKind::ValueSigning, "CKA_CLASS"),
            ]) {
                let id = ObjectId([number; 16]);
                token.generate(made, id, "stays").unwrap();
                let before = names(&token);
                let error = token.destroy(asked, id).unwrap_err();
                assert!(
                    matches!(&error, TokenError::NotOfKind { kind, attribute: at, .. }
                        if *kind == asked && *at == attribute),
                    "{made} as {asked}: {error:?}"
                );
                assert!(!error.is_fatal());
                assert_eq!(names(&token), before);
            }
        });
    }

    #[test]
    fn two_objects_with_one_identifier_are_both_left() {
        on_each_module("destroy::tests::two_objects_with_one_identifier_are_both_left", |scratch| {
            let (token, kind) = (scratch.open(), KeyKind::CardMaster);
            for _ in 0..2 {
                token.with_session(|session| make(session, kind, |_| true, &[])).unwrap();
            }
            assert_eq!(token.destroy(kind, ID), Err(TokenError::Ambiguous { kind, id: ID, count: 2 }));
            assert_eq!(token.inventory().unwrap().len(), 2);
        });
    }

    #[test]
    fn a_key_that_may_not_be_destroyed_is_refused_and_stays() {
        on_each_module("destroy::tests::a_key_that_may_not_be_destroyed_is_refused_and_stays", |scratch| {
            let (token, kind) = (scratch.open(), KeyKind::CardMaster);
            let keep = |one: &Attribute| one.attribute_type() != AttributeType::Destroyable;
            token
                .with_session(|session| make(session, kind, keep, &[Attribute::Destroyable(false)]))
                .unwrap();
            let error = token.destroy(kind, ID).unwrap_err();
            assert!(matches!(error, TokenError::Refused { .. }), "{error:?}");
            assert_eq!(token.inventory().unwrap().len(), 1);
        });
    }

    /// Makes a key as the table says but for some attributes.
    fn make(
        session: &Session,
        kind: KeyKind,
        keep: impl Fn(&Attribute) -> bool,
        more: &[Attribute],
    ) -> Result<(), TokenError> {
        let mut all = template(kind.profile(), Half::Secret, &[]);
        all.retain(keep);
        all.extend_from_slice(more);
        all.push(Attribute::Id(ID.0.to_vec()));
        session.generate_key(&Mechanism::AesKeyGen, &all).map_err(fault).map(drop)
    }

    #[test]
    fn a_key_of_a_token_that_is_away_does_not_pass_for_destroyed() {
        with_scratch_token(
            "destroy::tests::a_key_of_a_token_that_is_away_does_not_pass_for_destroyed",
            |scratch| {
                let (token, kind) = (scratch.open(), KeyKind::CardMaster);
                token.generate(kind, ID, "stays").unwrap();
                std::fs::rename(scratch.token_folder(), scratch.folder().join("away")).unwrap();
                assert!(token.destroy(kind, ID).unwrap_err().is_away());
            },
        );
    }

    #[test]
    fn a_key_of_a_session_is_not_destroyed_so() {
        on_each_module("destroy::tests::a_key_of_a_session_is_not_destroyed_so", |scratch| {
            for kind in [KeyKind::Transport, KeyKind::CardKey] {
                let needed = "a key that lies on the token";
                assert_eq!(scratch.open().destroy(kind, ID), Err(TokenError::WrongKind { kind, needed }));
            }
        });
    }

    #[test]
    fn what_was_just_made_is_destroyed_whatever_it_is() {
        on_each_module("destroy::tests::what_was_just_made_is_destroyed_whatever_it_is", |scratch| {
            let token = scratch.open();
            token.generate(KeyKind::Wrapping, ID, "made otherwise").unwrap();
            token.destroy_just_made(ID).unwrap();
            assert!(token.inventory().unwrap().is_empty());
        });
    }
}
