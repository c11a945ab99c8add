//! Sealing: payloads that can be erased are stored encrypted, and the store finds cards by tags, not by their names.
//!
//! AES-256-GCM (NIST SP 800-38D) under data keys that come from outside, where the token unwrapped them. A sealed
//! payload is nonce (12 bytes, random), ciphertext and tag (16); the leaf's index (8 bytes) and the data key's
//! number (4), both big-endian, are authenticated with it, so that no payload can be put beside another leaf.
//! Random nonces, because a leaf index is used twice when a crash undoes a commit.

pub use super::sqlite::{DataKey, DataKeys};

use super::fault::LedgerFault;
use keysvc_protocol::{
    bytes::{Digest, Idem, Salt},
    card::CardUid,
    name::Name,
};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};
use zeroize::Zeroizing;

/// A data key under its number in the store.
pub struct Seal {
    id: u32,
    key: Zeroizing<[u8; 32]>,
}

impl Seal {
    /// The AES-256 key `key` (32 bytes, unwrapped by the token) under its number `id`.
    #[must_use]
    pub fn new(id: u32, key: &[u8; 32]) -> Self {
        Self { id, key: Zeroizing::new(*key) }
    }

    /// Its number in the store.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({}, ..)", self.id)
    }
}

/// The data keys: all open, the one installed last seals. Clones share them.
#[derive(Clone, Default)]
pub struct Seals(Arc<RwLock<Installed>>);

#[derive(Default)]
struct Installed {
    current: Option<u32>,
    keys: HashMap<u32, LessSafeKey>,
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seals(current {:?}, ..)", self.current())
    }
}

impl Seals {
    /// Makes `seal` the one that seals from now on; those before still open.
    pub fn install(&self, seal: &Seal) {
        let mut installed = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // A key of 32 bytes is always one; if it were not, what needs it would say which is missing.
        if let Ok(key) = UnboundKey::new(&AES_256_GCM, seal.key.as_slice()) {
            installed.keys.insert(seal.id, LessSafeKey::new(key));
            installed.current = Some(seal.id);
        }
    }

    /// The number of the data key that seals.
    #[must_use]
    pub fn current(&self) -> Option<u32> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).current
    }

    /// Seals bytes for a place; gives the data key's number and the sealed bytes.
    pub(super) fn seal(
        &self,
        place: u64,
        nonce: [u8; NONCE_LEN],
        clear: &[u8],
    ) -> Result<(u32, Vec<u8>), LedgerFault> {
        let installed = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let id = installed.current.ok_or(LedgerFault::NoSeal)?;
        let key = installed.keys.get(&id).ok_or(LedgerFault::SealMissing { id })?;
        let mut bytes =
            Vec::with_capacity(clear.len().saturating_add(NONCE_LEN).saturating_add(AES_256_GCM.tag_len()));
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(clear);
        let text = bytes.get_mut(NONCE_LEN..).unwrap_or_default();
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound(place, id)),
                text,
            )
            .map_err(|_| LedgerFault::SealBroken { id })?;
        bytes.extend_from_slice(tag.as_ref());
        Ok((id, bytes))
    }

    /// Opens what [`Seals::seal`] sealed for this place under data key `id`.
    pub(super) fn open(&self, place: u64, id: u32, sealed: &[u8]) -> Result<Vec<u8>, LedgerFault> {
        let broken = || LedgerFault::SealBroken { id };
        let installed = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let key = installed.keys.get(&id).ok_or(LedgerFault::SealMissing { id })?;
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(broken)?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let clear = key.open_in_place(nonce, Aad::from(bound(place, id)), &mut text).map_err(|_| broken())?;
        let len = clear.len();
        text.truncate(len);
        Ok(text)
    }
}

fn bound(place: u64, id: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    let parts = place.to_be_bytes().into_iter().chain(id.to_be_bytes());
    bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    bytes
}

/// A new leaf's randomness: the salt of its digest and the nonce of its seal.
pub(super) fn fresh(random: &SystemRandom) -> Result<(Salt, [u8; NONCE_LEN]), LedgerFault> {
    let mut bytes = [0; Salt::LEN.saturating_add(NONCE_LEN)];
    random.fill(&mut bytes).map_err(|_| LedgerFault::NoRandom)?;
    let (mut salt, mut nonce) = ([0; Salt::LEN], [0; NONCE_LEN]);
    salt.iter_mut().chain(&mut nonce).zip(bytes).for_each(|(to, from)| *to = from);
    Ok((Salt::new(salt), nonce))
}

/// The place under which the key of the tags is sealed: no leaf has this index.
const TAGS_PLACE: u64 = u64::MAX;

/// Makes the tags by which the store finds purses and repeated requests, so that neither card nor caller can be
/// guessed from the disk: HMAC-SHA-256 (RFC 2104), cut to 16 bytes, under a key of its own.
///
/// The key is made with the store and never changes; it lies in the store sealed under the newest data key.
pub(super) struct Tags {
    key: Zeroizing<[u8; 32]>,
    mac: hmac::Key,
}

/// The tags once their key was opened, for the writer and the readers.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedTags(Arc<OnceLock<Arc<Tags>>>);

impl SharedTags {
    /// The tags, if their key was opened before.
    pub(super) fn known(&self) -> Option<Arc<Tags>> {
        self.0.get().cloned()
    }

    /// Keeps the tags for all; those kept first stay, and are the same.
    pub(super) fn keep(&self, tags: Tags) -> Arc<Tags> {
        Arc::clone(self.0.get_or_init(|| Arc::new(tags)))
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tags(..)")
    }
}

impl Tags {
    fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self { mac: hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()), key }
    }

    /// Tags under a new key.
    pub(super) fn generate(random: &SystemRandom) -> Result<Self, LedgerFault> {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(key.as_mut_slice()).map_err(|_| LedgerFault::NoRandom)?;
        Ok(Self::new(key))
    }

    /// Seals the key for the store; gives the data key's number and the sealed bytes.
    pub(super) fn sealed(&self, seals: &Seals, random: &SystemRandom) -> Result<(u32, Vec<u8>), LedgerFault> {
        let (_, nonce) = fresh(random)?;
        seals.seal(TAGS_PLACE, nonce, self.key.as_slice())
    }

    /// Opens the key from the store.
    pub(super) fn unsealed(seals: &Seals, id: u32, sealed: &[u8]) -> Result<Self, LedgerFault> {
        let clear = Zeroizing::new(seals.open(TAGS_PLACE, id, sealed)?);
        let mut key = Zeroizing::new([0; 32]);
        if clear.len() != key.len() {
            return Err(LedgerFault::SealBroken { id });
        }
        key.iter_mut().zip(clear.iter()).for_each(|(to, from)| *to = *from);
        Ok(Self::new(key))
    }

    /// The tag of a purse.
    pub(super) fn of_purse(&self, programme: &Name, card: &CardUid, purse: u8) -> [u8; 16] {
        // No name has a zero byte, and the purse is one byte: no two purses have the same bytes.
        self.tag(&[b"purse\0", programme.as_str().as_bytes(), &[0, purse], card.as_bytes()])
    }

    /// The tag of a card that has keys under a version of a master key.
    pub(super) fn of_issued(&self, key: &Name, version: u32, card: &CardUid) -> [u8; 16] {
        // No name has a zero byte, and the version is four bytes: no two of them have the same bytes.
        let version = version.to_be_bytes();
        self.tag(&[b"issued\0", key.as_str().as_bytes(), &[0], &version, card.as_bytes()])
    }

    /// The tag of a principal's idempotency key.
    pub(super) fn of_idem(&self, principal: &Name, idem: &Idem) -> [u8; 16] {
        self.tag(&[b"idem\0", idem.as_bytes(), principal.as_str().as_bytes()])
    }

    /// The tag of a request's digest.
    pub(super) fn of_request(&self, payload_digest: &Digest) -> [u8; 16] {
        self.tag(&[b"request\0", payload_digest.as_bytes()])
    }

    fn tag(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.mac);
        for part in parts {
            context.update(part);
        }
        let mut tag = [0; 16];
        tag.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seals(ids: &[u32]) -> Seals {
        let seals = Seals::default();
        for id in ids {
            seals.install(&Seal::new(*id, &[u8::try_from(*id).unwrap(); 32]));
        }
        seals
    }

    fn fault<T>(result: Result<T, LedgerFault>) -> String {
        result.err().map(|fault| fault.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_was_sealed_opens_at_its_place_only() {
        let seals = seals(&[1]);
        let (id, sealed) = seals.seal(7, [2; NONCE_LEN], b"clear").unwrap();
        assert_eq!((id, sealed.len()), (1, NONCE_LEN + 5 + 16));
        assert_eq!(seals.open(7, 1, &sealed).unwrap(), b"clear");
        assert!(matches!(seals.open(8, 1, &sealed), Err(LedgerFault::SealBroken { id: 1 })));
        for broken in [&sealed[..20], &sealed[..5]] {
            assert!(matches!(seals.open(7, 1, broken), Err(LedgerFault::SealBroken { id: 1 })));
        }
    }

    #[test]
    fn a_data_key_that_was_not_given_is_named() {
        let (id, sealed) = seals(&[2]).seal(7, [2; NONCE_LEN], b"clear").unwrap();
        let opened = seals(&[1]).open(7, id, &sealed);
        assert!(matches!(opened, Err(LedgerFault::SealMissing { id: 2 })));
        assert!(fault(opened).starts_with("data key 2 is needed"));
    }

    #[test]
    fn the_key_installed_last_seals_and_those_before_still_open() {
        let seals = seals(&[1]);
        let (_, sealed) = seals.seal(7, [2; NONCE_LEN], b"clear").unwrap();
        seals.install(&Seal::new(2, &[2; 32]));
        assert_eq!(seals.seal(8, [2; NONCE_LEN], b"").unwrap().0, 2);
        assert_eq!(seals.open(7, 1, &sealed).unwrap(), b"clear");
    }

    #[test]
    fn without_a_data_key_nothing_is_sealed() {
        assert!(matches!(Seals::default().seal(1, [0; NONCE_LEN], b""), Err(LedgerFault::NoSeal)));
    }

    #[test]
    fn secrets_do_not_print() {
        let seal = Seal::new(1, &[0xab; 32]);
        let tags = Tags::new(Zeroizing::new([0xab; 32]));
        let text = format!("{seal:?} {:?} {tags:?}", seals(&[1]));
        assert_eq!(text, "Seal(1, ..) Seals(current Some(1), ..) Tags(..)");
    }

    #[test]
    fn each_purse_has_a_tag_of_its_own_and_no_other_key_makes_it() {
        let tags = Tags::new(Zeroizing::new([1; 32]));
        let (coffee, card) =
            ("coffee".parse::<Name>().unwrap(), "04782e21801d80".parse::<CardUid>().unwrap());
        let tag = tags.of_purse(&coffee, &card, 1);
        assert_eq!(tags.of_purse(&coffee, &card, 1), tag);
        assert_ne!(tags.of_purse(&coffee, &card, 2), tag);
        assert_ne!(tags.of_purse(&"tea".parse().unwrap(), &card, 1), tag);
        assert_ne!(tags.of_purse(&coffee, &"04782e21801d81".parse().unwrap(), 1), tag);
        assert_ne!(Tags::new(Zeroizing::new([2; 32])).of_purse(&coffee, &card, 1), tag);
    }

    #[test]
    fn the_key_of_the_tags_survives_its_sealing() {
        let (seals, random) = (seals(&[1]), SystemRandom::new());
        let tags = Tags::generate(&random).unwrap();
        let (id, sealed) = tags.sealed(&seals, &random).unwrap();
        let again = Tags::unsealed(&seals, id, &sealed).unwrap();
        let digest = Digest::new([4; 32]);
        assert_eq!(again.of_request(&digest), tags.of_request(&digest));
    }
}
