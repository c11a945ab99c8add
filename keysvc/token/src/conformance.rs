//! What a token must bear from the world around it, tried on each module: several tokens in a module, PINs that lock,
//! other processes, many sessions, a module that was finalised, threads.
//!
//! Apart from the tests at the foot of each file, which show on each module what one part does: these are about a
//! token's life as a whole, and use all parts.

use std::path::PathBuf;
use std::thread;

use cryptoki::object::{Attribute, ObjectClass};
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use crate::error::{TokenError, fault};
use crate::input::DiversificationInput;
use crate::object::ObjectId;
use crate::pin::Pin;
use crate::profile::{KeyKind, Life, Origin};
use crate::provision::initialise_token;
use crate::scratch::{Scratch, key_count, on_each_module};
use crate::slot::PinTries;
use crate::token::{Token, TokenConfig, find_slot, load};
use crate::transport::TransportKey;

/// How many wrong PINs are tried: more than any token of ours takes before it locks, which is 10.
const WRONG_PINS: usize = 16;
/// How many sessions are open at once: more than a keeper's threads, transport keys and imports need together.
const SESSIONS: usize = 300;

fn id(number: u8) -> ObjectId {
    ObjectId([number; 16])
}

fn kinds() -> impl Iterator<Item = (ObjectId, KeyKind)> {
    let kinds = KeyKind::ALL.into_iter().filter(|kind| kind.profile().life == Life::Token);
    (1..).map(id).zip(kinds)
}

fn labelled(scratch: &Scratch, label: &str) -> TokenConfig {
    TokenConfig { label: label.to_owned(), ..scratch.config().clone() }
}

fn wrong() -> Pin {
    Pin::new("00000000".to_owned())
}

/// Signs, derives, wraps and unwraps with keys of their own, and checks what comes out.
fn works(token: &Token, signing: ObjectId, master: ObjectId, storage: ObjectId) {
    let key = token.signing_key(KeyKind::ValueSigning, signing).unwrap();
    let message = b"a value update";
    let hash = digest(&SHA256, message).as_ref().try_into().unwrap();
    let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.spki()[26..]);
    verifier.verify(message, &key.sign(&hash).unwrap()).unwrap();

    let master = token.master_key(KeyKind::CardMaster, master).unwrap();
    let input = DiversificationInput::try_from([5; 20].as_slice()).unwrap();
    let transport = TransportKey::generate(token).unwrap();
    let [one, two] = [(); 2].map(|()| master.derive(&input).unwrap());
    assert_eq!(one.check_value().unwrap(), two.check_value().unwrap());
    assert_eq!(transport.wrap(&one).unwrap(), transport.wrap(&two).unwrap());

    let storage = token.storage_key(KeyKind::Storage, storage).unwrap();
    let (data_key, wrapped) = storage.generate_data_key().unwrap();
    assert_eq!(storage.unwrap_data_key(&wrapped).unwrap().expose(), data_key.expose());
}

fn make_three(token: &Token) {
    for (number, kind) in (1..).zip([KeyKind::ValueSigning, KeyKind::CardMaster, KeyKind::Storage]) {
        token.generate(kind, id(number), kind.name()).unwrap();
    }
}

#[test]
fn a_token_is_found_by_its_label_among_several() {
    on_each_module("conformance::a_token_is_found_by_its_label_among_several", |scratch| {
        let tokens = [scratch.open(), scratch.another("scratch 2"), scratch.another("scratc")];
        let labels = ["scratch", "scratch 2", "scratc"];
        for ((token, label), number) in tokens.iter().zip(labels).zip(1..) {
            assert_eq!(token.identity().label, label);
            token.generate(KeyKind::CardMaster, id(number), label).unwrap();
        }
        // Each has its own key and no other, and is found again with it.
        for (label, number) in labels.into_iter().zip(1..) {
            let token = Token::open(&labelled(scratch, label), &scratch.pin()).unwrap();
            let found: Vec<_> =
                token.inventory().unwrap().into_iter().map(|one| (one.id, one.label)).collect();
            assert_eq!(found, [(Some(id(number)), label.to_owned())]);
        }
        let error = Token::open(&labelled(scratch, "scratch 3"), &scratch.pin()).unwrap_err();
        let TokenError::SlotNotFound { mut others, .. } = error else { panic!("{error:?}") };
        others.sort();
        assert_eq!(others, ["scratc", "scratch", "scratch 2"]);
    });
}

#[test]
fn the_login_to_one_token_opens_no_other() {
    on_each_module("conformance::the_login_to_one_token_opens_no_other", |scratch| {
        let other = Pin::new("another-pin".to_owned());
        initialise_token(scratch.module(), "second", &scratch.so_pin(), &other).unwrap();
        let first = scratch.open();
        let error = Token::open(&labelled(scratch, "second"), &scratch.pin()).unwrap_err();
        assert_eq!(error, TokenError::WrongPin { label: "second".into() });
        assert!(Token::open(&labelled(scratch, "second"), &other).is_ok());
        first.generate(KeyKind::CardMaster, id(1), "still logged in").unwrap();
    });
}

#[test]
fn a_token_says_that_its_pin_is_locked_and_then_it_is_not_tried() {
    on_each_module("conformance::a_token_says_that_its_pin_is_locked_and_then_it_is_not_tried", |scratch| {
        let gravity = |tries| match tries {
            PinTries::NotSaid => 0,
            PinTries::Low => 1,
            PinTries::LastTry => 2,
            PinTries::Locked => 3,
        };
        let mut last = 0;
        for _ in 0..WRONG_PINS {
            let found = Token::find(scratch.config()).unwrap();
            let tries = found.pin_tries();
            assert!(gravity(tries) >= last, "{tries:?}");
            last = gravity(tries);
            let label = || "scratch".to_owned();
            let error = found.log_in(&wrong()).unwrap_err();
            let locked = error == TokenError::PinLocked { label: label() };
            match tries {
                PinTries::Locked => assert!(locked, "{error:?}"),
                // The try that locks may be answered with either.
                PinTries::LastTry => assert!(locked || error == TokenError::WrongPin { label: label() }),
                _ => assert_eq!(error, TokenError::WrongPin { label: label() }),
            }
        }
        // A token that locks refuses the right PIN too; one that does not takes it and forgets the wrong ones.
        match Token::open(scratch.config(), &scratch.pin()) {
            Ok(_) => assert_eq!(Token::find(scratch.config()).unwrap().pin_tries(), PinTries::NotSaid),
            Err(error) => {
                assert_eq!(error, TokenError::PinLocked { label: "scratch".into() });
                assert_eq!(last, gravity(PinTries::Locked), "locked, and it was not said before");
            }
        }
    });
}

#[test]
fn a_wrong_pin_is_counted_until_the_right_one_is_given() {
    on_each_module("conformance::a_wrong_pin_is_counted_until_the_right_one_is_given", |scratch| {
        // More wrong ones than lock a token, but never as many at a stretch.
        for _ in 0..WRONG_PINS.div_ceil(3) {
            for _ in 0..3 {
                let error = Token::open(scratch.config(), &wrong()).unwrap_err();
                assert_eq!(error, TokenError::WrongPin { label: "scratch".into() });
            }
            drop(scratch.open());
        }
        assert_eq!(Token::find(scratch.config()).unwrap().pin_tries(), PinTries::NotSaid);
    });
}

#[test]
fn a_token_of_a_finalised_module_is_away_and_opens_again() {
    on_each_module("conformance::a_token_of_a_finalised_module_is_away_and_opens_again", |scratch| {
        let token = scratch.open();
        make_three(&token);
        let key = token.signing_key(KeyKind::ValueSigning, id(1)).unwrap();
        load(scratch.module()).unwrap().finalize().unwrap();
        for error in [key.sign(&[1; 32]).unwrap_err(), token.look().unwrap_err()] {
            assert!(error.is_fatal(), "{error:?}");
        }
        assert!(token.look().unwrap_err().is_away());
        drop(key);
        drop(token);
        works(&scratch.open(), id(1), id(2), id(3));
    });
}

#[test]
fn many_sessions_are_open_at_once_and_the_login_outlives_them() {
    on_each_module("conformance::many_sessions_are_open_at_once_and_the_login_outlives_them", |scratch| {
        let token = scratch.open();
        make_three(&token);
        let sessions: Vec<_> = (0..SESSIONS).map(|_| token.open_session().unwrap()).collect();
        for session in &sessions {
            let keys = session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)]).unwrap();
            assert_eq!(keys.len(), 2);
        }
        drop(sessions);
        works(&token, id(1), id(2), id(3));
    });
}

#[test]
fn keys_work_on_many_threads_at_once() {
    on_each_module("conformance::keys_work_on_many_threads_at_once", |scratch| {
        let token = scratch.open();
        make_three(&token);
        let before = key_count(&token);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..5).for_each(|_| works(&token, id(1), id(2), id(3))));
            }
        });
        assert_eq!(key_count(&token), before, "a session's key was left behind");
    });
}

#[test]
fn without_a_login_no_key_is_seen_but_public_halves() {
    on_each_module("conformance::without_a_login_no_key_is_seen_but_public_halves", |scratch| {
        if scratch.role().is_none() {
            make_three(&scratch.open());
            return scratch.beside("stranger");
        }
        let module = load(scratch.module()).unwrap();
        let (slot, info) = find_slot(&module, "scratch").unwrap();
        assert!(info.login_required() && info.user_pin_initialized());
        let session = module.open_rw_session(slot).unwrap();
        let count = |class| session.find_objects(&[Attribute::Class(class)]).unwrap().len();
        assert_eq!(count(ObjectClass::SECRET_KEY), 0);
        assert_eq!(count(ObjectClass::PRIVATE_KEY), 0);
        assert_eq!(count(ObjectClass::PUBLIC_KEY), 1);
        // Nor is one made.
        let made = session.generate_key(
            &cryptoki::mechanism::Mechanism::AesKeyGen,
            &[Attribute::Token(true), Attribute::Private(true), Attribute::ValueLen(16.into())],
        );
        assert!(made.map_err(fault).unwrap_err().is_fatal(), "a login was lost");
    });
}

#[test]
fn keys_of_every_kind_are_the_same_for_the_next_process() {
    on_each_module("conformance::keys_of_every_kind_are_the_same_for_the_next_process", |scratch| {
        let record = |id: ObjectId| -> PathBuf { scratch.folder().join(id.to_string()) };
        if scratch.role().is_some() {
            let token = scratch.open();
            for (id, kind) in kinds() {
                assert_eq!(token.drift(kind, id, Origin::Generated).unwrap(), [], "{kind}");
                let check = token.check_value(kind, id).unwrap();
                assert_eq!(check.bytes(), std::fs::read(record(id)).unwrap(), "{kind}");
            }
            works(&token, id(2), id(1), id(5));
            token.generate(KeyKind::ValueSigning, id(100), "made by the other").unwrap();
            return;
        }
        let token = scratch.open();
        for (id, kind) in kinds() {
            let made = token.generate(kind, id, kind.name()).unwrap();
            std::fs::write(record(id), made.check.bytes()).unwrap();
        }
        // While this process has the token open, and works with it before and after.
        works(&token, id(2), id(1), id(5));
        scratch.beside("the next");
        works(&token, id(2), id(1), id(5));
        works(&token, id(100), id(1), id(5));
    });
}

#[test]
fn a_key_that_another_process_destroyed_is_not_used_here() {
    on_each_module("conformance::a_key_that_another_process_destroyed_is_not_used_here", |scratch| {
        let token = scratch.open();
        let kind = KeyKind::ValueSigning;
        if scratch.role().is_some() {
            token.destroy(kind, id(1)).unwrap();
            return;
        }
        make_three(&token);
        let key = token.signing_key(kind, id(1)).unwrap();
        key.sign(&[1; 32]).unwrap();
        scratch.beside("destroys");
        let gone = TokenError::NotFound { kind, id: id(1) };
        assert_eq!(token.signing_key(kind, id(1)).unwrap_err(), gone);
        let error = key.sign(&[1; 32]).unwrap_err();
        assert!(error.is_fatal(), "{error:?}");
        // The others are as they were.
        token.generate(kind, id(4), "next").unwrap();
        works(&token, id(4), id(2), id(3));
    });
}

#[test]
fn a_login_that_was_lost_is_not_taken_up_again_and_the_token_opens_anew() {
    on_each_module(
        "conformance::a_login_that_was_lost_is_not_taken_up_again_and_the_token_opens_anew",
        |scratch| {
            let token = scratch.open();
            make_three(&token);
            let key = token.signing_key(KeyKind::ValueSigning, id(1)).unwrap();
            let master = token.master_key(KeyKind::CardMaster, id(2)).unwrap();
            // As any other user of the module in this process could do.
            token.with_session(|session| session.logout().map_err(fault)).unwrap();
            let input = DiversificationInput::try_from([5; 20].as_slice()).unwrap();
            // With which code is the token's affair, and that the process must begin anew is ours.
            for error in [key.sign(&[1; 32]).unwrap_err(), master.derive(&input).unwrap_err()] {
                assert!(error.is_fatal(), "{error:?}");
            }
            assert!(token.generate(KeyKind::ValueSigning, id(4), "late").unwrap_err().is_fatal());
            drop((key, master, token));
            works(&scratch.open(), id(1), id(2), id(3));
        },
    );
}

#[test]
fn the_keys_of_a_token_that_was_initialised_anew_sign_nothing() {
    on_each_module("conformance::the_keys_of_a_token_that_was_initialised_anew_sign_nothing", |scratch| {
        if scratch.role().is_some() {
            let module = load(scratch.module()).unwrap();
            let (slot, _) = find_slot(&module, "scratch").unwrap();
            module.init_token(slot, &scratch.so_pin().auth(), "scratch").unwrap();
            // Nor is a PIN tried on it: it has none.
            let error = Token::open(scratch.config(), &scratch.pin()).unwrap_err();
            assert_eq!(error, TokenError::NoPin { label: "scratch".into() });
            return;
        }
        let token = scratch.open();
        make_three(&token);
        let key = token.signing_key(KeyKind::ValueSigning, id(1)).unwrap();
        let master = token.master_key(KeyKind::CardMaster, id(2)).unwrap();
        scratch.beside("initialises anew");
        let input = DiversificationInput::try_from([5; 20].as_slice()).unwrap();
        for error in [key.sign(&[1; 32]).unwrap_err(), master.derive(&input).unwrap_err()] {
            assert!(error.is_fatal(), "{error:?}");
        }
        assert_eq!(key_count(&token), 0);
    });
}
