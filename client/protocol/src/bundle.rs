//! The trust bundle: all that a till needs to verify value while the service is out of reach.
//!
//! Signed by the service statement key, made and recorded once for each change or renewal, and good until its
//! `not_after_ms`. [`BundleFile`] carries it together with the founding, so that the trust file alone proves it.
//! It verifies records and times; what a terminal may do while it is offline stays the terminal's.

mod file;

pub use file::{BundleFile, BundleFileError};

use crate::{
    bytes::{Blob, Digest, KeyIdentifier},
    cbor::{self, DecodeError},
    checkpoint::{CheckpointError, Origin, SignedCheckpoint},
    cose::{CoseError, Kind, Signed},
    freeze::{FREEZES_MAX, Scope, Touched},
    key::KeyState,
    list::List,
    name::Name,
    public_key::PublicKey,
    request::ValueOperation,
    schema::Schema,
    trust::TrustDomain,
    value::{ValueError, ValueUpdate},
};
use serde::{Deserialize, Serialize};

/// Most value keys in a bundle: those of a founding, of which there are at most 61.
pub const VALUE_KEYS_MAX: usize = 64;
/// Most programmes in a bundle: a founding file of 64 KiB has room for fewer than 512.
pub const PROGRAMMES_MAX: usize = 512;
/// Most purses of one programme: a profile has 1 to 8.
pub const PURSES_MAX: usize = 8;
/// Longest payload of a bundle, in bytes: 1,024 freezes of 90 and 64 keys of 190 are 104 KiB, a checkpoint 2 KiB; that
/// leaves room for 64 programmes of the longest names. Usual bundles take 1 KiB. A leaf holds 128 KiB.
pub const BUNDLE_LEN_MAX: usize = 124 * 1024;
/// Longest signed bundle, in bytes: the payload and a COSE frame of 128 at most.
pub const BUNDLE_MESSAGE_LEN_MAX: usize = BUNDLE_LEN_MAX + 128;

/// What a terminal trusts while it is offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustBundle {
    /// Field 0.
    pub schema: Schema,
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// The genesis digest.
    pub genesis: Digest,
    /// Whether the service was founded for development: known keys, not for real cards.
    pub development: bool,
    /// When it was made: milliseconds since 1970-01-01 UTC.
    pub made_at_ms: u64,
    /// Until when it holds, same clock. Past it nothing is verified with it.
    pub not_after_ms: u64,
    /// The key that signs checkpoints, DER `SubjectPublicKeyInfo`.
    pub log_key: Blob<128>,
    /// The newest checkpoint when it was made.
    pub checkpoint: SignedCheckpoint,
    /// The keys that sign value.
    pub value_keys: List<BundleKey, VALUE_KEYS_MAX>,
    /// The programmes.
    pub programmes: List<BundleProgramme, PROGRAMMES_MAX>,
    /// What is frozen, ascending: a record about it is not to be honoured.
    pub denied: List<Scope, FREEZES_MAX>,
}

/// A value signing key in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleKey {
    /// Its name.
    pub name: Name,
    /// Its version, from 1.
    pub version: u32,
    /// Its key identifier in signatures.
    pub kid: KeyIdentifier,
    /// Its public half, DER `SubjectPublicKeyInfo`.
    pub public: Blob<128>,
    /// Its state when the bundle was made: active, or deactivated where it only verifies what it signed before.
    pub state: KeyState,
    /// From when its signatures count: milliseconds since 1970-01-01 UTC.
    pub not_before_ms: u64,
    /// Until when updates may have been issued under it, same clock; left out where nothing ends it but the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after_ms: Option<u64>,
}

/// A programme in a bundle, with the limits that hold offline. Amounts in minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleProgramme {
    /// Its name.
    pub name: Name,
    /// The organisation whose terminals update its values.
    pub organisation: Name,
    /// ISO 4217 numeric currency code.
    pub currency: u16,
    /// The name of its value signing key.
    pub value_key: Name,
    /// The name of its card profile.
    pub profile: Name,
    /// Its purses.
    pub purses: List<u8, PURSES_MAX>,
    /// Highest balance.
    pub ceiling: u64,
    /// Highest single load.
    pub load_max: u64,
    /// Highest single debit.
    pub debit_max: u64,
}

/// Why a bundle is not one, or does not vouch for a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not a COSE_Sign1 of a trust bundle by this key in this scope.
    #[error("trust bundle: {0}")]
    Signature(#[from] CoseError),
    /// The signed payload is not a trust bundle.
    #[error("trust bundle: {0}")]
    Encoding(#[from] DecodeError),
    /// It was made for another log than the one it is checked for.
    #[error("trust bundle: it is of another log")]
    OtherLog,
    /// A key in it is not one, or not the one its identifier says.
    #[error("trust bundle: a key in it is not a key")]
    BadKey,
    /// Its checkpoint does not verify.
    #[error("trust bundle: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// It does not hold any more.
    #[error("the trust bundle has expired")]
    Expired {
        /// Until when it held: milliseconds since 1970-01-01 UTC.
        not_after_ms: u64,
    },
    /// The record is signed with a key that the bundle does not name for the record's programme.
    #[error("the record's key is not in the trust bundle")]
    UnknownKey,
    /// The record's programme is not in the bundle.
    #[error("the record's programme is not in the trust bundle")]
    UnknownProgramme,
    /// The record was issued when its key did not count.
    #[error("the record was issued outside the validity of its key")]
    KeyNotValid,
    /// The record's card, terminal, programme, store, profile or key is frozen.
    #[error("the record is about what is frozen: {scope}")]
    Frozen {
        /// What is frozen.
        scope: Scope,
    },
    /// The record's currency or purse is not the programme's.
    #[error("the record's currency or purse is not the programme's")]
    OtherPurse,
    /// The record is past a limit of the programme.
    #[error("the record is past the programme's limit of {limit} minor units")]
    PastLimit {
        /// The limit, in minor units.
        limit: u64,
    },
    /// The record does not verify.
    #[error("{0}")]
    Value(#[from] ValueError),
}

impl TrustBundle {
    /// Verifies a signed bundle (COSE_Sign1 by the service `statement_key`, bound to the `genesis` digest) and every
    /// key and checkpoint in it. Nothing is read before the signature holds. Whether it still holds is
    /// [`TrustBundle::holds_at`]'s to say.
    ///
    /// # Errors
    /// [`BundleError`] naming the first check that failed.
    pub fn verify(message: &[u8], genesis: &Digest, statement_key: &PublicKey) -> Result<Self, BundleError> {
        let payload = Signed::parse(message)?.open(Kind::TrustBundle, genesis.as_bytes(), statement_key)?;
        Self::from_payload(payload, genesis)
    }

    /// Reads the payload of a bundle whose signature or leaf was checked before.
    ///
    /// # Errors
    /// [`BundleError`] when it is not one, or contradicts itself.
    pub fn from_payload(payload: &[u8], genesis: &Digest) -> Result<Self, BundleError> {
        let bundle: Self = cbor::decode(payload, BUNDLE_LEN_MAX)?;
        if bundle.genesis != *genesis {
            return Err(BundleError::OtherLog);
        }
        for key in bundle.value_keys.iter() {
            key.public_key()?;
        }
        let log_key = bundle.log_key()?;
        bundle.checkpoint.verify(&Origin::of(&bundle.trust_domain, 1), &log_key)?;
        Ok(bundle)
    }

    /// The key that signs checkpoints.
    ///
    /// # Errors
    /// [`BundleError::BadKey`] when the bytes are not one.
    pub fn log_key(&self) -> Result<PublicKey, BundleError> {
        PublicKey::from_spki(self.log_key.as_bytes()).map_err(|_| BundleError::BadKey)
    }

    /// Whether it holds at `now_ms`, milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`BundleError::Expired`], saying until when it held.
    pub const fn holds_at(&self, now_ms: u64) -> Result<(), BundleError> {
        if now_ms > self.not_after_ms {
            return Err(BundleError::Expired { not_after_ms: self.not_after_ms });
        }
        Ok(())
    }

    /// The programme of this name.
    #[must_use]
    pub fn programme(&self, name: &Name) -> Option<&BundleProgramme> {
        self.programmes.iter().find(|programme| programme.name == *name)
    }

    /// Verifies a signed value update with this bundle alone, at `now_ms`: the bundle holds, the key is the
    /// programme's and counted when the update was issued, the signature and the arithmetic hold, and currency, purse
    /// and limits are the programme's. What the card saw last is the terminal's to compare.
    ///
    /// # Errors
    /// [`BundleError`] naming the first check that failed.
    pub fn check_record(&self, record: &[u8], now_ms: u64) -> Result<ValueUpdate, BundleError> {
        self.holds_at(now_ms)?;
        let kid = Signed::parse(record).map_err(ValueError::from)?.key_identifier();
        let key = self.value_keys.iter().find(|key| key.kid == kid).ok_or(BundleError::UnknownKey)?;
        let update = ValueUpdate::verify(record, &self.genesis, &key.public_key()?)?;
        let programme = self.programme(&update.programme).ok_or(BundleError::UnknownProgramme)?;
        if programme.value_key != key.name {
            return Err(BundleError::UnknownKey);
        }
        if !key.counts_at(update.issued_at_ms) {
            return Err(BundleError::KeyNotValid);
        }
        programme.allows(&update)?;
        self.is_not_denied(&update, programme)?;
        Ok(update)
    }

    fn is_not_denied(&self, update: &ValueUpdate, programme: &BundleProgramme) -> Result<(), BundleError> {
        let touched = Touched {
            cards: &[update.card],
            programme: Some(&update.programme),
            terminal: Some(&update.terminal),
            store: Some(&programme.organisation),
            profile: Some(&programme.profile),
            keys: core::slice::from_ref(&programme.value_key),
            job: None,
            station: None,
        };
        match self.denied.iter().find(|scope| touched.is_stopped_by(scope)) {
            Some(scope) => Err(BundleError::Frozen { scope: scope.clone() }),
            None => Ok(()),
        }
    }
}

impl BundleKey {
    /// Its public half, which must have its key identifier.
    ///
    /// # Errors
    /// [`BundleError::BadKey`] when the bytes are no key, or another.
    pub fn public_key(&self) -> Result<PublicKey, BundleError> {
        let key = PublicKey::from_spki(self.public.as_bytes()).map_err(|_| BundleError::BadKey)?;
        if key.identifier() == self.kid { Ok(key) } else { Err(BundleError::BadKey) }
    }

    /// Whether an update issued at this time may be signed with it, milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn counts_at(&self, issued_at_ms: u64) -> bool {
        self.state.processes()
            && issued_at_ms >= self.not_before_ms
            && self.not_after_ms.is_none_or(|not_after_ms| issued_at_ms <= not_after_ms)
    }
}

impl BundleProgramme {
    /// Whether an update keeps the programme's currency, purses and limits.
    ///
    /// # Errors
    /// [`BundleError::OtherPurse`] or [`BundleError::PastLimit`].
    pub fn allows(&self, update: &ValueUpdate) -> Result<(), BundleError> {
        if update.currency != self.currency || !self.purses.contains(&update.purse) {
            return Err(BundleError::OtherPurse);
        }
        // As in the ledger: what a card holds past a lowered ceiling may still be spent.
        let (amount_max, ceiling) = match update.operation {
            ValueOperation::Load => (self.load_max, self.ceiling),
            ValueOperation::Debit => (self.debit_max, u64::MAX),
        };
        for (amount, limit) in [(update.amount, amount_max), (update.balance_after, ceiling)] {
            if amount > limit {
                return Err(BundleError::PastLimit { limit });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
