//! One token: one login, one session for each thread.
//!
//! Apart because the rules of sessions are here alone: an anchor session is never closed (closing the last one logs
//! everybody out and kills all handles), each thread has its own session in a thread-local (no pool, no lock), and
//! every call into the module can be held off when the process ends. It knows no keys.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use cryptoki::context::Pkcs11;
use cryptoki::session::Session;
use cryptoki::slot::Slot;

use crate::class::TokenErrorClass;
use crate::error::{TokenError, fault};
use crate::inventory::Index;
use crate::mechanism::{Mechanism, mechanism_type};
use crate::pin::Pin;
use crate::slot::{self, FoundToken, TokenIdentity};

pub(crate) use crate::slot::{find_slot, load, log_in};

/// Where a token is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// The PKCS#11 module's shared library.
    pub module: PathBuf,
    /// The token's label (`CK_TOKEN_INFO.label`), at most 32 bytes.
    pub label: String,
}

/// One logged-in token. Clones are the same token; it is used from any thread.
#[derive(Clone)]
pub struct Token(Arc<Inner>);

struct Inner {
    module: Pkcs11,
    slot: Slot,
    identity: TokenIdentity,
    offered: Vec<Mechanism>,
    calls: RwLock<()>,
    /// Whether the calls are held, and the process ends.
    held: AtomicBool,
    /// Where keys are found while an inventory is held.
    listed: Mutex<Option<Index>>,
    /// INVARIANT: open as long as the token is, so that no thread's end closes the last session. Never used again, so
    /// its lock is never taken.
    _anchor: Mutex<Session>,
}

impl Token {
    /// Finds the one token with this label, and tries no PIN.
    ///
    /// # Errors
    /// If the module does not load, if not exactly one token has the label, or if the token fails.
    pub fn find(config: &TokenConfig) -> Result<FoundToken, TokenError> {
        slot::find(config)
    }

    /// Opens the one token with this label and logs in, with one attempt.
    ///
    /// # Errors
    /// As [`Token::find`] and [`FoundToken::log_in`].
    pub fn open(config: &TokenConfig, pin: &Pin) -> Result<Self, TokenError> {
        Self::find(config)?.log_in(pin)
    }

    pub(crate) fn logged_in(
        module: Pkcs11,
        slot: Slot,
        identity: TokenIdentity,
        anchor: Session,
    ) -> Result<Self, TokenError> {
        let listed = module.get_mechanism_list(slot).map_err(fault)?;
        let offered =
            Mechanism::ALL.into_iter().filter(|known| listed.contains(&mechanism_type(*known))).collect();
        Ok(Self(Arc::new(Inner {
            module,
            slot,
            identity,
            offered,
            calls: RwLock::new(()),
            held: AtomicBool::new(false),
            listed: Mutex::default(),
            _anchor: Mutex::new(anchor),
        })))
    }

    /// What the token says of itself.
    #[must_use]
    pub fn identity(&self) -> &TokenIdentity {
        &self.0.identity
    }

    /// Looks whether the token is still there, and still the same one.
    ///
    /// # Errors
    /// If it is away, another one is in its place, or it fails.
    pub fn look(&self) -> Result<(), TokenError> {
        let _call = self.0.calls.read().unwrap_or_else(PoisonError::into_inner);
        let info = self.0.module.get_token_info(self.0.slot).map_err(fault)?;
        if info.token_initialized() && TokenIdentity::from(&info) == self.0.identity {
            return Ok(());
        }
        let (operation, code) = ("C_GetTokenInfo".to_owned(), "another token".to_owned());
        Err(TokenError::Gone { operation, code, class: TokenErrorClass::Away })
    }

    /// Fills `out` with the token's random bytes.
    ///
    /// # Errors
    /// If the token fails.
    pub fn random(&self, out: &mut [u8]) -> Result<(), TokenError> {
        self.with_session(|session| session.generate_random_slice(out).map_err(fault))
    }

    /// The `CKM_` names of the mechanisms that the token offers and this crate knows.
    ///
    /// # Errors
    /// If the token fails.
    pub fn mechanisms(&self) -> Result<Vec<&'static str>, TokenError> {
        let _call = self.0.calls.read().unwrap_or_else(PoisonError::into_inner);
        let listed = self.0.module.get_mechanism_list(self.0.slot).map_err(fault)?;
        let known = Mechanism::ALL.into_iter().filter(|known| listed.contains(&mechanism_type(*known)));
        Ok(known.map(Mechanism::name).collect())
    }

    /// The `CKM_` names of the mechanisms that a keeper needs and the token lacks.
    ///
    /// # Errors
    /// If the token fails.
    pub fn missing_mechanisms(&self) -> Result<Vec<&'static str>, TokenError> {
        let offered = self.mechanisms()?;
        let needed = Mechanism::NEEDED.into_iter().map(Mechanism::name);
        Ok(needed.filter(|name| !offered.contains(name)).collect())
    }

    /// Closes this thread's session; the next use opens another. Session objects it made are gone.
    pub fn close_thread_session(&self) {
        let _call = self.0.calls.read().unwrap_or_else(PoisonError::into_inner);
        // A thread that is ending has no session left to close.
        let _ = SESSIONS.try_with(|sessions| sessions.borrow_mut().retain(|held| !held.is_of(self)));
    }

    pub(crate) fn offered(&self) -> &[Mechanism] {
        &self.0.offered
    }

    /// Refuses an operation whose mechanisms the token does not all offer.
    pub(crate) fn needs(&self, mechanisms: &[Mechanism]) -> Result<(), TokenError> {
        match mechanisms.iter().find(|needed| !self.offered().contains(needed)) {
            None => Ok(()),
            Some(missing) => Err(TokenError::NotOffered { mechanism: missing.name() }),
        }
    }

    /// The inventory that is held, if one is. Complete at any time, so poison says nothing.
    pub(crate) fn held(&self) -> MutexGuard<'_, Option<Index>> {
        self.0.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Runs `work` with this thread's session, opening it at first use.
    pub(crate) fn with_session<T>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        let session = match SESSIONS.try_with(|sessions| self.thread_session(sessions)) {
            Ok(session) => session?,
            // The thread is ending and its session is closed: what is dropped late gets one of its own.
            Err(_) => Rc::new(self.open_session()?),
        };
        // Shared by all calls, and taken for good by `hold_calls`. Nothing is guarded by it, so poison says nothing.
        let _call = self.0.calls.read().unwrap_or_else(PoisonError::into_inner);
        work(&session)
    }

    /// Runs `work` with a session that is not a thread's, and keeps that one open: for objects that live as long as the
    /// [`Holder`].
    pub(crate) fn with_own_session<T>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, TokenError>,
    ) -> Result<(T, Holder), TokenError> {
        let _call = self.0.calls.read().unwrap_or_else(PoisonError::into_inner);
        let session = self.0.module.open_rw_session(self.0.slot).map_err(fault)?;
        let done = work(&session)?;
        Ok((done, Holder { token: self.clone(), session: Some(Mutex::new(session)) }))
    }

    /// Lets the calls in progress end and no other begin, for good: a process that ends while a module is inside a
    /// call pulls the module's memory from under it. Gives whether all had ended within `limit`. A second thread that
    /// asks once they are held waits for the end of the process, which the first one brings about.
    #[must_use]
    pub fn hold_calls(&self, limit: Duration) -> bool {
        let began = Instant::now();
        loop {
            if let Ok(held) = self.0.calls.try_write() {
                self.0.held.store(true, Ordering::Release);
                std::mem::forget(held);
                return true;
            }
            if self.0.held.load(Ordering::Acquire) {
                std::thread::park();
            } else if began.elapsed() >= limit {
                return false;
            } else {
                std::thread::park_timeout(Duration::from_millis(1));
            }
        }
    }

    pub(crate) fn open_session(&self) -> Result<Session, TokenError> {
        let _call = self.0.calls.read().unwrap_or_else(PoisonError::into_inner);
        self.0.module.open_rw_session(self.0.slot).map_err(fault)
    }

    fn thread_session(&self, sessions: &RefCell<Vec<Held>>) -> Result<Rc<Session>, TokenError> {
        if let Some(held) = sessions.borrow().iter().find(|held| held.is_of(self)) {
            return Ok(Rc::clone(&held.session));
        }
        let session = Rc::new(self.open_session()?);
        let held = Held { token: Arc::downgrade(&self.0), session: Rc::clone(&session) };
        let mut sessions = sessions.borrow_mut();
        sessions.retain(|held| held.token.strong_count() > 0);
        sessions.push(held);
        Ok(session)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("identity", &self.0.identity).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // This thread's session of a token that is gone; other threads' go with the threads.
        let _ = SESSIONS.try_with(|sessions| {
            if let Ok(mut sessions) = sessions.try_borrow_mut() {
                sessions.retain(|held| held.token.strong_count() > 0);
            }
        });
    }
}

thread_local! {
    /// This thread's session of each token it has used.
    static SESSIONS: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
}

struct Held {
    /// Weak, so that a thread does not keep a token open; it also keeps the address from being used again.
    token: Weak<Inner>,
    session: Rc<Session>,
}

impl Held {
    fn is_of(&self, token: &Token) -> bool {
        std::ptr::eq(self.token.as_ptr(), Arc::as_ptr(&token.0))
    }
}

/// A session that is only kept open, for the objects that live in it; never used again, so its lock is never taken.
pub(crate) struct Holder {
    token: Token,
    session: Option<Mutex<Session>>,
}

impl Drop for Holder {
    fn drop(&mut self) {
        let session = self.session.take();
        // Closing is a call as well. Where the calls are held, the session ends with the process: not a wait, because
        // the thread that ends the process drops what it has, too.
        match self.token.0.calls.try_read() {
            Err(std::sync::TryLockError::WouldBlock) => std::mem::forget(session),
            _called => drop(session),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ObjectId;
    use crate::profile::KeyKind;
    use crate::provision::initialise_token;
    use crate::scratch::{Make, on_each_module, with_scratch_token};
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::thread;

    #[test]
    fn a_token_is_used_from_any_thread() {
        const fn shared<T: Send + Sync>() {}
        shared::<Token>();
        shared::<crate::SigningKey>();
        shared::<crate::MasterKey>();
        shared::<crate::StorageKey>();
        shared::<crate::TransportKey>();
        shared::<crate::CardKey>();
        shared::<crate::WrappingKey>();
        shared::<crate::StationTransport>();
        shared::<crate::ImportPair>();
    }

    #[test]
    fn a_wrong_pin_is_refused_and_the_right_one_still_opens() {
        on_each_module("token::tests::a_wrong_pin_is_refused_and_the_right_one_still_opens", |scratch| {
            let error = Token::open(scratch.config(), &Pin::new("000000".into())).unwrap_err();
            assert_eq!(error, TokenError::WrongPin { label: "scratch".into() });
            assert!(!error.is_fatal());
            assert_eq!(scratch.open().identity().label, "scratch");
        });
    }

    #[test]
    fn a_token_says_who_it_is() {
        on_each_module("token::tests::a_token_says_who_it_is", |scratch| {
            let token = scratch.open();
            let identity = token.identity();
            let known = match scratch.make() {
                Make::SoftHsm => ("SoftHSM project", "SoftHSM v2"),
                Make::Kryoptic => ("Kryoptic Project", "v1"),
                Make::Nss => ("Mozilla Foundation", "NSS 3"),
            };
            assert_eq!((identity.manufacturer.as_str(), identity.model.as_str()), known);
            assert_eq!(identity.label, "scratch");
            assert!(!identity.serial.is_empty());
            assert_ne!(scratch.another("other").identity().serial, identity.serial);
        });
    }

    #[test]
    fn a_missing_module_and_one_that_is_none_are_told_apart() {
        let config = |module: &str| TokenConfig { module: module.into(), label: "x".into() };
        let pin = Pin::new("123456".into());
        assert_eq!(
            Token::open(&config("/nonexistent.so"), &pin).unwrap_err(),
            TokenError::ModuleMissing { path: "/nonexistent.so".into() }
        );
        let error = Token::open(&config("/etc/passwd"), &pin).unwrap_err();
        assert!(matches!(error, TokenError::ModuleUnusable { .. }), "{error:?}");
    }

    #[test]
    fn exactly_one_token_must_have_the_label() {
        on_each_module("token::tests::exactly_one_token_must_have_the_label", |scratch| {
            let other = TokenConfig { label: "other".into(), ..scratch.config().clone() };
            assert_eq!(
                Token::open(&other, &scratch.pin()).unwrap_err(),
                TokenError::SlotNotFound { label: "other".into(), others: vec!["scratch".into()] }
            );
            assert_eq!(
                initialise_token(scratch.module(), "scratch", &scratch.so_pin(), &scratch.pin()),
                Err(TokenError::LabelTaken { label: "scratch".into() })
            );
            // A twin that somebody else has made.
            let module = load(scratch.module()).unwrap();
            let free = module
                .get_slots_with_token()
                .unwrap()
                .into_iter()
                .find(|slot| !module.get_token_info(*slot).unwrap().token_initialized());
            module.init_token(free.unwrap(), &scratch.so_pin().auth(), "scratch").unwrap();
            assert_eq!(
                Token::open(scratch.config(), &scratch.pin()).unwrap_err(),
                TokenError::AmbiguousLabel { label: "scratch".into(), count: 2 }
            );
        });
    }

    #[test]
    fn a_module_lacks_no_mechanism_that_a_keeper_needs() {
        on_each_module("token::tests::a_module_lacks_no_mechanism_that_a_keeper_needs", |scratch| {
            let token = scratch.open();
            assert_eq!(token.missing_mechanisms().unwrap(), [""; 0]);
            let offered = token.mechanisms().unwrap();
            assert!(offered.contains(&"CKM_ECDSA"));
            assert_eq!(offered.contains(&"CKM_SP800_108_COUNTER_KDF"), scratch.make() == Make::Kryoptic);
        });
    }

    #[test]
    fn a_token_without_a_users_pin_is_not_tried() {
        on_each_module("token::tests::a_token_without_a_users_pin_is_not_tried", |scratch| {
            let module = load(scratch.module()).unwrap();
            let (slot, _) = find_slot(&module, "scratch").unwrap();
            module.init_token(slot, &scratch.so_pin().auth(), "scratch").unwrap();
            let error = Token::open(scratch.config(), &scratch.pin()).unwrap_err();
            assert_eq!(error, TokenError::NoPin { label: "scratch".into() });
        });
    }

    #[test]
    fn a_token_whose_folder_is_moved_away_is_seen_to_be_away() {
        with_scratch_token(
            "token::tests::a_token_whose_folder_is_moved_away_is_seen_to_be_away",
            |scratch| {
                let token = scratch.open();
                token.look().unwrap();
                let id = ObjectId([1; 16]);
                token.generate(KeyKind::Checkpoint, id, "checkpoint").unwrap();
                let away = scratch.folder().join("away");
                std::fs::rename(scratch.token_folder(), &away).unwrap();
                assert!(token.look().unwrap_err().is_away());
                // What is not there is not listed either: without the look it would pass for a token without its keys.
                assert!(token.inventory().unwrap().is_empty());
                std::fs::rename(&away, scratch.token_folder()).unwrap();
                // For good: only a new process sees it again.
                assert!(token.look().unwrap_err().is_away());
            },
        );
    }

    #[test]
    fn random_bytes_differ() {
        on_each_module("token::tests::random_bytes_differ", |scratch| {
            let token = scratch.open();
            let (mut one, mut two) = ([0; 32], [0; 32]);
            token.random(&mut one).unwrap();
            token.random(&mut two).unwrap();
            assert_ne!(one, two);
            assert_ne!(one, [0; 32]);
        });
    }

    #[test]
    fn calls_are_held_once_those_in_progress_have_ended_and_none_begins_after() {
        on_each_module(
            "token::tests::calls_are_held_once_those_in_progress_have_ended_and_none_begins_after",
            |scratch| {
                let token = scratch.open();
                let (inside, arrived) = channel();
                let (end, ends) = channel::<()>();
                let calling = token.clone();
                let call = thread::spawn(move || {
                    calling.with_session(|session| {
                        inside.send(()).unwrap();
                        ends.recv().unwrap();
                        let mut bytes = [0; 16];
                        session.generate_random_slice(&mut bytes).map_err(fault)
                    })
                });
                arrived.recv().unwrap();
                assert!(!token.hold_calls(Duration::from_millis(20)), "held beside a call in progress");
                // Not held after all: others may still call.
                token.random(&mut [0; 16]).unwrap();

                let holding = token.clone();
                let hold = thread::spawn(move || holding.hold_calls(Duration::from_mins(1)));
                assert!(!hold.is_finished());
                end.send(()).unwrap();
                assert!(hold.join().unwrap());
                assert_eq!(call.join().unwrap(), Ok(()));

                let (done, late) = channel();
                // Neither ends: their threads go with this process.
                let (second, ended) = channel();
                let again = token.clone();
                thread::spawn(move || second.send(again.hold_calls(Duration::from_millis(1))).unwrap());
                thread::spawn(move || done.send(token.random(&mut [0; 16])).unwrap());
                assert_eq!(ended.recv_timeout(Duration::from_millis(200)), Err(RecvTimeoutError::Timeout));
                assert_eq!(late.recv_timeout(Duration::from_millis(200)), Err(RecvTimeoutError::Timeout));
            },
        );
    }

    #[test]
    fn the_login_survives_the_end_of_every_threads_session() {
        on_each_module("token::tests::the_login_survives_the_end_of_every_threads_session", |scratch| {
            let token = scratch.open();
            let id = ObjectId([1; 16]);
            token.generate(KeyKind::Checkpoint, id, "checkpoint").unwrap();
            let key = token.signing_key(KeyKind::Checkpoint, id).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| key.sign(&[1; 32]).unwrap());
            });
            token.close_thread_session();
            key.sign(&[1; 32]).unwrap();
        });
    }

    #[test]
    fn a_token_opens_again_after_it_was_dropped() {
        on_each_module("token::tests::a_token_opens_again_after_it_was_dropped", |scratch| {
            let id = ObjectId([1; 16]);
            for round in 0..3 {
                let token = scratch.open();
                if round == 0 {
                    token.generate(KeyKind::Checkpoint, id, "checkpoint").unwrap();
                }
                token.signing_key(KeyKind::Checkpoint, id).unwrap().sign(&[1; 32]).unwrap();
            }
            // Logged out with the last session, so the PIN counts again.
            let error = Token::open(scratch.config(), &Pin::new("000000".into())).unwrap_err();
            assert_eq!(error, TokenError::WrongPin { label: "scratch".into() });
        });
    }
}
