//! The keyring: the token's keys, each behind the one thing it may do.
//!
//! Every method that acts for a caller takes a [`Recorded`] and takes what is signed or derived from it, never
//! beside it; where the act took a quorum, out of the leaf that holds its evidence. [`Keyring::sign_bundle`], which
//! nobody asks for, takes a [`RecordedBundle`]. The named exceptions are [`Keyring::sign_checkpoint`], which takes a
//! [`Committed`] (only the ledger makes one), [`Keyring::self_test`], which signs the last checkpoint again and derives
//! nothing for anyone, [`Keyring::check_value`] with what else computes golden vectors (`vectors`) and with
//! [`Keyring::delivered_checks`], against which is held what a card shows: these give 5 bytes of a CMAC under a card's key
//! and never a key, and [`Keyring::sign_offer`], whose signature says nothing but which one-time
//! key is the token's: nothing comes of it before a component that is sealed to that key is recorded.
//!
//! What hangs on a job's session at a station lies in `keyring/session.rs`.
//!
//! Value keys and card masters come and go while it runs ([`Keyring::reload`]); whether one may be used is read from the
//! log's state at each use. Keys are made and destroyed elsewhere, in [`super::storage`].
//!
//! A value signing key does not sign what is merely permitted:
//! ```compile_fail,E0308
//! # use keysvc::keeper::{gate::Permit, keyring::Keyring, ledger::Recorded};
//! # use keysvc_protocol::request::UpdateValue;
//! fn sign(keyring: &Keyring, act: &Permit<UpdateValue>) {
//!     let _ = keyring.sign_value(act);
//! }
//! ```
//! only what is recorded:
//! ```
//! # use keysvc::keeper::{gate::Permit, keyring::Keyring, ledger::Recorded};
//! # use keysvc_protocol::request::UpdateValue;
//! fn sign(keyring: &Keyring, act: &Recorded<UpdateValue>) {
//!     let _ = keyring.sign_value(act);
//! }
//! ```

mod exchanges;
mod in_use;
mod session;
mod signer;
mod vectors;

pub use exchanges::NotOpen;
pub use session::{BeginsSession, Delivering};
pub use vectors::{VectorsSeen, see, vectors_in_use};

use super::{
    ledger::{Committed, Recorded, RecordedBundle, Recording},
    site::Site,
};
use crate::{
    config::fixed::TOKEN_CALLS_AWAITED_MAX,
    error::{Fault, NotDone},
};
use exchanges::Exchanges;
use in_use::InUse;
use keysvc_protocol::{
    bytes::{Blob, KeyIdentifier, ShortCheck},
    cbor,
    checkpoint::{Checkpoint, SignedCheckpoint},
    component::{ComponentKeyOffer, OFFER_MESSAGE_LEN_MAX},
    cose::{Kind, Unsigned},
    key::{KeyKind, KeyRecord},
    leaf::{BundleMadeLeaf, LeafKind, ValueUpdatedLeaf},
    public_key::PublicKey,
    request::UpdateValue,
    value::ValueUpdate,
};
use keysvc_token::{CheckValue, Token, TransportKey};
use signer::Signer;
use std::sync::{Arc, Mutex, MutexGuard};

/// The keys.
#[derive(Debug)]
pub struct Keyring {
    token: Token,
    site: Arc<Site>,
    in_use: InUse,
    statement: Signer,
    checkpoint: Signer,
    exchanges: Mutex<Exchanges<TransportKey>>,
}

impl Keyring {
    /// Finds every key of the manifest that may be used, once. The manifest was compared with the token before.
    ///
    /// # Errors
    /// [`Fault`] when a key is missing or the service's own keys are not there.
    pub fn open(token: Token, site: Arc<Site>, records: &[KeyRecord]) -> Result<Self, Fault> {
        let own = |kind, token_kind, missing| {
            let record = records.iter().find(|record| record.kind == kind && record.state.protects());
            Signer::find(&token, token_kind, &record.ok_or(Fault::Invariant(missing))?.id)
        };
        let statement = own(
            KeyKind::ServiceStatement,
            keysvc_token::KeyKind::ServiceStatement,
            "the log names no service statement key",
        )?;
        let checkpoint =
            own(KeyKind::Checkpoint, keysvc_token::KeyKind::Checkpoint, "the log names no checkpoint key")?;
        let in_use = InUse::open(token.clone(), records)?;
        let exchanges = Mutex::default();
        Ok(Self { token, site, in_use, statement, checkpoint, exchanges })
    }

    /// Lets go of the keys that may not be used any more, and finds those that may be used now: after a key changed its
    /// state. Only what changed is asked of the token.
    ///
    /// # Errors
    /// [`Fault`] of the token.
    pub fn reload(&self, records: &[KeyRecord]) -> Result<(), Fault> {
        self.in_use.reload(records, self.site.control()?.keys())
    }

    /// Whether no thread uses a key any more that [`Keyring::reload`] let go.
    ///
    /// # Errors
    /// [`Fault`] when a worker died while keys changed.
    pub fn is_settled(&self) -> Result<bool, Fault> {
        self.in_use.is_settled()
    }

    /// The checkpoint key's public half.
    #[must_use]
    pub fn checkpoint_key(&self) -> &PublicKey {
        &self.checkpoint.public
    }

    /// Signs the head of one commit, and verifies the signature: a false one would be anchored, and then keep every later
    /// start from serving.
    ///
    /// # Errors
    /// [`Fault`] when the token does not sign, or signs wrongly.
    pub fn sign_checkpoint(&self, committed: &Committed) -> Result<SignedCheckpoint, Fault> {
        self.sign_head(&committed.checkpoint(&self.site.origin()))
    }

    fn sign_head(&self, checkpoint: &Checkpoint) -> Result<SignedCheckpoint, Fault> {
        let signature = self.checkpoint.key.sign(checkpoint.digest_to_sign().as_bytes())?;
        let signed = SignedCheckpoint::assemble(checkpoint, &signature, self.checkpoint.public.spki());
        signed.verify(&self.site.origin(), &self.checkpoint.public).map_err(|_| {
            Fault::Invariant("the token's signature over the last checkpoint does not verify")
        })?;
        Ok(signed)
    }

    /// A real operation with a known answer: signs the last checkpoint again and verifies it. Never a value key.
    ///
    /// # Errors
    /// [`Fault`] when the token does not sign, or signs wrongly.
    pub fn self_test(&self, last: &SignedCheckpoint) -> Result<(), Fault> {
        self.sign_head(last.checkpoint()).map(drop)
    }

    /// Signs a recorded value update: exactly the bytes its leaf holds, with the newest active version of the
    /// programme's key. One that took a quorum names its evidence, and is signed as such.
    ///
    /// # Errors
    /// [`NotDone`]: no version of the key is active any more; a fault of the token, or a leaf that is not what was
    /// recorded.
    pub fn sign_value(&self, recorded: &Recorded<UpdateValue>) -> Result<Vec<u8>, NotDone> {
        let leaf: ValueUpdatedLeaf = act(recorded.recording(), LeafKind::ValueUpdated)?;
        let update = ValueUpdate::from_payload(leaf.update.as_bytes())
            .map_err(|_| Fault::Invariant("a recorded value update is not one"))?;
        let programme = self.site.programme(&update.programme);
        let programme = programme.ok_or(Fault::Invariant("a recorded value update names no programme"))?;
        let signer = self.in_use.value(&*self.site.control()?, &programme.value_key)?;
        Ok(signer.sign(&self.unsigned(update.kind(), signer.kid, leaf.update.into_bytes()))?)
    }

    fn unsigned(&self, kind: Kind, key: KeyIdentifier, payload: Vec<u8>) -> Unsigned {
        Unsigned::new(kind, self.site.genesis().as_bytes(), key, payload)
    }

    /// Signs a recorded trust bundle: exactly the bytes its leaf holds.
    ///
    /// # Errors
    /// [`Fault`] of the token, or when the leaf is not what was recorded.
    pub fn sign_bundle(&self, recorded: &RecordedBundle) -> Result<Vec<u8>, Fault> {
        let leaf: BundleMadeLeaf = leaf_of(&recorded.recording().payload)?;
        self.statement.sign(&self.unsigned(Kind::TrustBundle, self.statement.kid, leaf.bundle.into_bytes()))
    }

    /// Signs the offer of an import's one-time key to one custodian, so that nobody else's key is put in its place.
    ///
    /// # Errors
    /// [`Fault`] of the token.
    pub fn sign_offer(&self, offer: &ComponentKeyOffer) -> Result<Blob<OFFER_MESSAGE_LEN_MAX>, Fault> {
        let unsigned = self.unsigned(Kind::ImportOffer, self.statement.kid, cbor::encode(offer));
        let signed = self.statement.sign(&unsigned)?;
        Blob::try_from(signed).map_err(|_| Fault::Invariant("an offer is too long"))
    }

    /// Lets the token calls in progress end and no other begin: the process is about to end. Gives whether they did.
    #[must_use]
    pub fn hold(&self) -> bool {
        self.token.hold_calls(TOKEN_CALLS_AWAITED_MAX)
    }

    fn exchanges(&self) -> Result<MutexGuard<'_, Exchanges<TransportKey>>, Fault> {
        self.exchanges.lock().map_err(|_| Fault::Invariant("a worker died while opening an exchange"))
    }
}

/// The recorded act's own payload, out of the evidence of its quorum where it took one.
fn act<T: serde::Serialize + serde::de::DeserializeOwned>(
    recording: &Recording,
    kind: LeafKind,
) -> Result<T, Fault> {
    let other = Fault::Invariant("a leaf is not of its kind");
    let Ok((found, payload)) = recording.act() else { return Err(other) };
    if found == kind { leaf_of(&payload) } else { Err(other) }
}

fn leaf_of<T: serde::Serialize + serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, Fault> {
    cbor::decode(payload, payload.len()).map_err(|_| Fault::Invariant("a leaf is not of its kind"))
}

fn short(check: CheckValue) -> ShortCheck {
    match check {
        CheckValue::Cmac(value) | CheckValue::Kw(value) => ShortCheck::new(value),
        // A transport key has no public half; zeros match no key's check value by more than chance.
        CheckValue::Spki(_) => ShortCheck::new([0; 5]),
    }
}
