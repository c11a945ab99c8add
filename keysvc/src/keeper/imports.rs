//! Imports of keys that are running: the one-time pair of each, and the components that custodians have given, sealed as
//! they came.
//!
//! In memory alone, so that nothing of a component outlives the keeper: after a restart there is another pair, and
//! custodians give theirs again. A component is opened where it is looked at and wiped there. Who may give one, and what
//! the log says of it, is [`keysvc_protocol::control`]'s; the key is made in [`super::storage`].

use crate::{
    config::fixed::IMPORTS_RUNNING_MAX,
    error::{Fault, NotDone},
};
use keysvc_protocol::{
    bytes::{Digest, ProposalId},
    control::{Control, Import},
    hash::sha256,
    hpke::OpenError,
    public_key::PublicKey,
    refusal::{Conflict, Invalid, Refusal},
    sealing::{self, COMPONENT_LEN, COMPONENTS_MAX, NoKey, Place},
};
use keysvc_token::{ImportPair, Token, TokenErrorClass};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};
use zeroize::Zeroizing;

/// A component, or the key that components make, in clear.
type Clear = Zeroizing<[u8; COMPONENT_LEN]>;

/// What a token must offer beyond what a keeper needs, or it cannot import keys.
const NEEDED: [&str; 2] = ["CKM_ECDH1_DERIVE", "CKM_AES_CMAC"];

/// The mechanisms without which this token cannot import keys.
///
/// # Errors
/// [`Fault`] of the token.
pub fn lacking(token: &Token) -> Result<Vec<&'static str>, Fault> {
    let offered = token.mechanisms()?;
    Ok(NEEDED.into_iter().filter(|name| !offered.contains(name)).collect())
}

/// The imports that are running, by their proposals.
#[derive(Debug, Default)]
pub struct Imports(Mutex<BTreeMap<ProposalId, Arc<Running>>>);

impl Imports {
    /// The running import of this order; begun with a pair of its own where it is not running yet.
    ///
    /// # Errors
    /// [`NotDone`]: as many as may be are running, or a fault of the token.
    pub fn begin(
        &self,
        token: &Token,
        (control, import): (&Control, &Import),
        now_ms: u64,
    ) -> Result<Arc<Running>, NotDone> {
        let mut all = self.all()?;
        sweep(&mut all, control, now_ms);
        if let Some(running) = all.get(&import.proposal) {
            return Ok(Arc::clone(running));
        }
        if all.len() >= IMPORTS_RUNNING_MAX {
            return Err(Refusal::StateConflict { reason: Conflict::Full }.into());
        }
        let running = Arc::new(Running::new(token, *control.genesis(), import.clone())?);
        all.insert(import.proposal, Arc::clone(&running));
        Ok(running)
    }

    /// The running import of this proposal.
    ///
    /// # Errors
    /// [`Fault`] when a worker died with the imports in hand.
    pub fn find(&self, proposal: &ProposalId) -> Result<Option<Arc<Running>>, Fault> {
        Ok(self.all()?.get(proposal).cloned())
    }

    /// Destroys the pair of an import and forgets what was given.
    ///
    /// # Errors
    /// [`Fault`] when a worker died with the imports in hand.
    pub fn forget(&self, proposal: &ProposalId) -> Result<(), Fault> {
        self.all()?.remove(proposal);
        Ok(())
    }

    /// Forgets the imports that cannot become keys any more: expired, or made already.
    ///
    /// # Errors
    /// [`Fault`] when a worker died with the imports in hand.
    pub fn forget_ended(&self, control: &Control, now_ms: u64) -> Result<(), Fault> {
        sweep(&mut *self.all()?, control, now_ms);
        Ok(())
    }

    fn all(&self) -> Result<MutexGuard<'_, BTreeMap<ProposalId, Arc<Running>>>, Fault> {
        self.0.lock().map_err(|_| Fault::Invariant("a worker died with the imports in hand"))
    }
}

fn sweep(all: &mut BTreeMap<ProposalId, Arc<Running>>, control: &Control, now_ms: u64) {
    all.retain(|proposal, _| match control.import(proposal) {
        Ok((_, _, import)) => now_ms <= import.expires_ms,
        // An order is never taken back: this state is older than the import.
        Err(Refusal::NotFound { .. }) => true,
        Err(_) => false,
    });
}

/// One import that is running.
pub struct Running {
    pair: ImportPair,
    public: PublicKey,
    key: Digest,
    genesis: Digest,
    ordered: Import,
    held: Mutex<BTreeMap<u8, Held>>,
}

/// A component as it came.
struct Held {
    payload: Digest,
    sealed: Vec<u8>,
}

// By hand, so that not even sealed components are shown.
impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("proposal", &self.ordered.proposal).finish_non_exhaustive()
    }
}

impl Running {
    fn new(token: &Token, genesis: Digest, ordered: Import) -> Result<Self, Fault> {
        let pair = ImportPair::generate(token)?;
        let public = PublicKey::from_spki(pair.spki());
        let public = public.map_err(|_| Fault::Invariant("the token's one-time key is not P-256"))?;
        let key = sha256(&[pair.spki()]);
        Ok(Self { pair, public, key, genesis, ordered, held: Mutex::default() })
    }

    /// The one-time key, DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        self.pair.spki()
    }

    /// SHA-256 of the one-time key's `SubjectPublicKeyInfo`.
    #[must_use]
    pub const fn key(&self) -> &Digest {
        &self.key
    }

    /// The numbers of the components that are held, ascending.
    ///
    /// # Errors
    /// [`Fault`] when a worker died with the components in hand.
    pub fn held(&self) -> Result<Vec<u8>, Fault> {
        Ok(self.components()?.keys().copied().collect())
    }

    /// The numbers of the components that are missing, ascending.
    ///
    /// # Errors
    /// [`Fault`] when a worker died with the components in hand.
    pub fn missing(&self) -> Result<Vec<u8>, Fault> {
        let held = self.components()?;
        Ok((1..).take(self.ordered.components.len()).filter(|number| !held.contains_key(number)).collect())
    }

    /// Whether the component of this number is held from this very request.
    ///
    /// # Errors
    /// [`Fault`] when a worker died with the components in hand.
    pub fn holds(&self, number: u8, payload: &Digest) -> Result<bool, Fault> {
        Ok(self.components()?.get(&number).is_some_and(|held| held.payload == *payload))
    }

    /// Keeps a component, sealed as it came; in the place of an earlier one of its number.
    ///
    /// # Errors
    /// [`Fault`] when a worker died with the components in hand.
    pub fn hold(&self, number: u8, payload: Digest, sealed: &[u8]) -> Result<(), Fault> {
        self.components()?.insert(number, Held { payload, sealed: sealed.to_vec() });
        Ok(())
    }

    /// Looks whether a sealed component is the one that was ordered; and, where it is the last, whether all of them make
    /// the key that was ordered.
    ///
    /// # Errors
    /// [`NotDone`]: [`Invalid::Component`], [`Invalid::ComponentEqual`] or [`Invalid::Combined`], or a fault of the
    /// token.
    pub fn judge(&self, token: &Token, number: u8, sealed: &[u8]) -> Result<(), NotDone> {
        let ordered = self.ordered.component(number).ok_or(invalid(Invalid::Component))?;
        let component = self.open(number, sealed)?;
        if sealing::is_zero(&component) || check(token, &component)? != *ordered.check.as_bytes() {
            return Err(invalid(Invalid::Component).into());
        }
        let mut all = self.opened(Some(number))?;
        for other in &all {
            sealing::combine(&[&component, other]).map_err(no_key)?;
        }
        all.push(component);
        if all.len() == self.ordered.components.len() {
            self.combined(token, &all)?;
        }
        Ok(())
    }

    /// The key that the components held make: the one that was ordered.
    ///
    /// # Errors
    /// [`NotDone`]: they do not make it, or a fault of the token.
    pub fn value(&self, token: &Token) -> Result<Clear, NotDone> {
        self.combined(token, &self.opened(None)?)
    }

    fn combined(&self, token: &Token, components: &[Clear]) -> Result<Clear, NotDone> {
        let components: Vec<&[u8; COMPONENT_LEN]> = components.iter().map(|component| &**component).collect();
        let key = sealing::combine(&components).map_err(no_key)?;
        if check(token, &key)? == *self.ordered.check.as_bytes() {
            Ok(key)
        } else {
            Err(invalid(Invalid::Combined).into())
        }
    }

    /// The components held, in clear, but for one.
    fn opened(&self, but: Option<u8>) -> Result<Vec<Clear>, NotDone> {
        // Never grown, so that no copy of one is left where it was.
        let mut opened = Vec::with_capacity(COMPONENTS_MAX);
        for (number, held) in self.components()?.iter().filter(|(number, _)| Some(**number) != but) {
            opened.push(self.open(*number, &held.sealed)?);
        }
        Ok(opened)
    }

    fn open(&self, number: u8, sealed: &[u8]) -> Result<Clear, NotDone> {
        let ordered = self.ordered.component(number).ok_or(invalid(Invalid::Component))?;
        let place = Place {
            genesis: &self.genesis,
            proposal: &self.ordered.proposal,
            number,
            custodian: &ordered.custodian,
        };
        place.open(sealed, &self.public, |point| self.pair.dh(point)).map_err(|error| match error {
            OpenError::Agreement(error) if error.class() != TokenErrorClass::Data => {
                Fault::from(error).into()
            }
            // No point of the curve is as wrong as any other bytes.
            OpenError::Agreement(_) | OpenError::Message(_) => invalid(Invalid::Component).into(),
        })
    }

    fn components(&self) -> Result<MutexGuard<'_, BTreeMap<u8, Held>>, Fault> {
        self.held.lock().map_err(|_| Fault::Invariant("a worker died with the components in hand"))
    }
}

fn check(token: &Token, value: &[u8; COMPONENT_LEN]) -> Result<[u8; 5], Fault> {
    Ok(token.check_value_of(value)?)
}

const fn invalid(reason: Invalid) -> Refusal {
    Refusal::Invalid { reason }
}

fn no_key(no_key: NoKey) -> Refusal {
    invalid(match no_key {
        NoKey::Zero => Invalid::Component,
        NoKey::Equal => Invalid::ComponentEqual,
        NoKey::Count { .. } | NoKey::SumZero => Invalid::Combined,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_gives_the_last_component_learns_whether_theirs_or_the_whole_is_wrong() {
        let (one, two, three, zero) = ([1; 16], [2; 16], [3; 16], [0; 16]);
        let refused = |components: &[&[u8; 16]]| sealing::combine(components).map_err(no_key).map(drop);
        assert_eq!(refused(&[&one, &zero]), Err(invalid(Invalid::Component)));
        assert_eq!(refused(&[&one, &one]), Err(invalid(Invalid::ComponentEqual)));
        assert_eq!(refused(&[&one, &two, &three]), Err(invalid(Invalid::Combined)));
        assert_eq!(refused(&[&one]), Err(invalid(Invalid::Combined)));
        assert_eq!(refused(&[&one, &two]), Ok(()));
    }
}
