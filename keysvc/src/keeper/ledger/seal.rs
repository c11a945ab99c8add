//! Sealing: payloads that can be erased are stored encrypted, and the store finds cards by tags, not by their names.
//!
//! AES-256-GCM (NIST SP 800-38D) under data keys that come from outside, where the token unwrapped them. A sealed
//! payload is nonce (12 bytes, random), ciphertext and tag (16); the leaf's index (8 bytes) and the data key's
//! number (4), both big-endian, are authenticated with it, so that no payload can be put beside another leaf. Random
//! nonces, because a leaf index is used twice when a crash undoes a commit.
//!
//! Each retention class has data keys of its own, and each job one: what is to be erased together is sealed under one
//! key and nothing else is. A job's items lie in rows, not in leaves, and are bound to their row's tag (16 bytes) instead
//! of an index; no two bound texts are equal, for they differ in length. Which key is whose is `keeper::storage`'s to say.

mod tags;

pub use super::sqlite::{DataKey, DataKeys};
pub(super) use tags::{SharedTags, Tags};

use super::fault::LedgerFault;
use keysvc_protocol::{bytes::Salt, leaf::RetentionClass, name::Name};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};
use zeroize::Zeroizing;

/// What a data key seals. Permanent leaves lie in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealClass {
    /// Leaves of the operational class of one month, and the key of the tags.
    Operational,
    /// Leaves of the incident class of one month.
    Incident,
    /// The leaves and items of one job.
    Job(Name),
}

impl SealClass {
    /// The retention class of the leaves that it seals.
    #[must_use]
    pub const fn retention(&self) -> RetentionClass {
        match self {
            Self::Operational => RetentionClass::Operational,
            Self::Incident => RetentionClass::Incident,
            Self::Job(_) => RetentionClass::Job,
        }
    }
}

/// A data key under its number in the store.
pub struct Seal {
    id: u32,
    class: SealClass,
    key: Zeroizing<[u8; 32]>,
}

impl Seal {
    /// The AES-256 key `key` (32 bytes, unwrapped by the token) under its number `id`.
    #[must_use]
    pub fn new(id: u32, class: SealClass, key: &[u8; 32]) -> Self {
        Self { id, class, key: Zeroizing::new(*key) }
    }

    /// What it seals.
    #[must_use]
    pub const fn class(&self) -> &SealClass {
        &self.class
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

/// The data keys: all open, of each class and each job the one installed last seals. Clones share them.
#[derive(Clone, Default)]
pub struct Seals(Arc<RwLock<Installed>>);

#[derive(Default)]
struct Installed {
    operational: Option<u32>,
    incident: Option<u32>,
    jobs: HashMap<Name, u32>,
    keys: HashMap<u32, Keyed>,
}

/// A data key in use.
struct Keyed {
    class: RetentionClass,
    key: LessSafeKey,
}

impl Installed {
    /// The data key that seals what is of a class.
    fn current(&self, class: &SealClass) -> Result<(u32, &Keyed), LedgerFault> {
        let id = match class {
            SealClass::Operational => self.operational.ok_or(LedgerFault::NoSeal),
            SealClass::Incident => self.incident.ok_or(LedgerFault::NoSeal),
            SealClass::Job(job) => self.of_job(job),
        }?;
        Ok((id, self.keyed(id)?))
    }

    fn of_job(&self, job: &Name) -> Result<u32, LedgerFault> {
        self.jobs.get(job).copied().ok_or_else(|| LedgerFault::NoJobSeal { job: job.clone() })
    }

    fn keyed(&self, id: u32) -> Result<&Keyed, LedgerFault> {
        self.keys.get(&id).ok_or(LedgerFault::SealMissing { id })
    }
}

impl Keyed {
    /// Nonce, ciphertext and tag.
    fn seal(
        &self,
        id: u32,
        nonce: [u8; NONCE_LEN],
        bound: &[u8],
        clear: &[u8],
    ) -> Result<Vec<u8>, LedgerFault> {
        let mut bytes =
            Vec::with_capacity(clear.len().saturating_add(NONCE_LEN).saturating_add(AES_256_GCM.tag_len()));
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(clear);
        let text = bytes.get_mut(NONCE_LEN..).unwrap_or_default();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(bound), text);
        bytes.extend_from_slice(tag.map_err(|_| LedgerFault::SealBroken { id })?.as_ref());
        Ok(bytes)
    }

    fn open(&self, id: u32, bound: &[u8], sealed: &[u8]) -> Result<Vec<u8>, LedgerFault> {
        let broken = || LedgerFault::SealBroken { id };
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(broken)?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let clear = self.key.open_in_place(nonce, Aad::from(bound), &mut text).map_err(|_| broken())?;
        let len = clear.len();
        text.truncate(len);
        Ok(text)
    }
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seals(current {:?}, ..)", self.current())
    }
}

impl Seals {
    /// Makes `seal` the one that seals what is of its class from now on; those before still open.
    pub fn install(&self, seal: &Seal) {
        let mut installed = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // A key of 32 bytes is always one; if it were not, what needs it would say which is missing.
        let Ok(key) = UnboundKey::new(&AES_256_GCM, seal.key.as_slice()) else { return };
        let keyed = Keyed { class: seal.class.retention(), key: LessSafeKey::new(key) };
        installed.keys.insert(seal.id, keyed);
        match &seal.class {
            SealClass::Operational => installed.operational = Some(seal.id),
            SealClass::Incident => installed.incident = Some(seal.id),
            SealClass::Job(job) => {
                installed.jobs.insert(job.clone(), seal.id);
            }
        }
    }

    /// The number of the data key that seals operational leaves and the key of the tags.
    #[must_use]
    pub fn current(&self) -> Option<u32> {
        self.read().operational
    }

    /// The retention class of what a data key seals; nothing where it was not given.
    #[must_use]
    pub fn class_of(&self, id: u32) -> Option<RetentionClass> {
        self.read().keys.get(&id).map(|keyed| keyed.class)
    }

    /// Whether the data key of a job is there.
    #[must_use]
    pub fn has_job(&self, job: &Name) -> bool {
        self.read().jobs.contains_key(job)
    }

    /// Drops the data key of a job: nothing of it is sealed or opened any more. What `ring` made of the key is given back
    /// to the system and not overwritten, for it has no way to; our own copies are wiped wherever they are dropped.
    pub fn forget_job(&self, job: &Name) {
        let mut installed = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = installed.jobs.remove(job) {
            installed.keys.remove(&id);
        }
    }

    /// Seals an item of a job for the row under `tag`. Random nonces: 2^32 items of one job are far from a likely repetition
    /// (SP 800-38D, 8.3), and a job has thousands.
    ///
    /// # Errors
    /// [`LedgerFault::NoJobSeal`] when the job's data key is not there.
    pub fn seal_item(&self, job: &Name, tag: &[u8; 16], clear: &[u8]) -> Result<Vec<u8>, LedgerFault> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| LedgerFault::NoRandom)?;
        let installed = self.read();
        let id = installed.of_job(job)?;
        installed.keyed(id)?.seal(id, nonce, &bound_to_item(tag, id), clear)
    }

    /// Opens what [`Seals::seal_item`] sealed for this job and row.
    ///
    /// # Errors
    /// [`LedgerFault::NoJobSeal`] when the job's data key is not there, [`LedgerFault::SealBroken`] when it is another
    /// job's item or another row's.
    pub fn open_item(&self, job: &Name, tag: &[u8; 16], sealed: &[u8]) -> Result<Vec<u8>, LedgerFault> {
        let installed = self.read();
        let id = installed.of_job(job)?;
        installed.keyed(id)?.open(id, &bound_to_item(tag, id), sealed)
    }

    /// Seals bytes of a class for a place; gives the data key's number and the sealed bytes.
    pub(super) fn seal_as(
        &self,
        class: &SealClass,
        place: u64,
        nonce: [u8; NONCE_LEN],
        clear: &[u8],
    ) -> Result<(u32, Vec<u8>), LedgerFault> {
        let installed = self.read();
        let (id, keyed) = installed.current(class)?;
        Ok((id, keyed.seal(id, nonce, &bound(place, id), clear)?))
    }

    /// Opens what [`Seals::seal_as`] sealed for this place under data key `id`.
    pub(super) fn open(&self, place: u64, id: u32, sealed: &[u8]) -> Result<Vec<u8>, LedgerFault> {
        self.read().keyed(id)?.open(id, &bound(place, id), sealed)
    }

    fn read(&self) -> RwLockReadGuard<'_, Installed> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bound(place: u64, id: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    let parts = place.to_be_bytes().into_iter().chain(id.to_be_bytes());
    bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    bytes
}

fn bound_to_item(tag: &[u8; 16], id: u32) -> [u8; 20] {
    let mut bytes = [0; 20];
    let parts = tag.iter().copied().chain(id.to_be_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::{bytes::Digest, card::CardUid};

    use SealClass::{Incident, Job, Operational};

    fn seal(id: u32, class: SealClass) -> Seal {
        Seal::new(id, class, &[u8::try_from(id).unwrap(); 32])
    }

    fn job(name: &str) -> Name {
        name.parse().unwrap()
    }

    fn seals(ids: &[u32]) -> Seals {
        let seals = Seals::default();
        for id in ids {
            seals.install(&seal(*id, Operational));
        }
        seals
    }

    fn fault<T>(result: Result<T, LedgerFault>) -> String {
        result.err().map(|fault| fault.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_was_sealed_opens_at_its_place_only() {
        let seals = seals(&[1]);
        let (id, sealed) = seals.seal_as(&Operational, 7, [2; NONCE_LEN], b"clear").unwrap();
        assert_eq!((id, sealed.len()), (1, NONCE_LEN + 5 + 16));
        assert_eq!(seals.open(7, 1, &sealed).unwrap(), b"clear");
        assert!(matches!(seals.open(8, 1, &sealed), Err(LedgerFault::SealBroken { id: 1 })));
        for broken in [&sealed[..20], &sealed[..5]] {
            assert!(matches!(seals.open(7, 1, broken), Err(LedgerFault::SealBroken { id: 1 })));
        }
    }

    #[test]
    fn a_data_key_that_was_not_given_is_named() {
        let (id, sealed) = seals(&[2]).seal_as(&Operational, 7, [2; NONCE_LEN], b"clear").unwrap();
        let opened = seals(&[1]).open(7, id, &sealed);
        assert!(matches!(opened, Err(LedgerFault::SealMissing { id: 2 })));
        assert!(fault(opened).starts_with("data key 2 is needed"));
    }

    #[test]
    fn the_key_installed_last_seals_and_those_before_still_open() {
        let seals = seals(&[1]);
        let (_, sealed) = seals.seal_as(&Operational, 7, [2; NONCE_LEN], b"clear").unwrap();
        seals.install(&seal(2, Operational));
        assert_eq!(seals.seal_as(&Operational, 8, [2; NONCE_LEN], b"").unwrap().0, 2);
        assert_eq!(seals.open(7, 1, &sealed).unwrap(), b"clear");
    }

    #[test]
    fn without_a_data_key_nothing_is_sealed() {
        for class in [Operational, Incident] {
            let sealed = Seals::default().seal_as(&class, 1, [0; NONCE_LEN], b"");
            assert!(matches!(sealed, Err(LedgerFault::NoSeal)));
        }
        let sealed = seals(&[1]).seal_as(&Job(job("nfc-1")), 1, [0; NONCE_LEN], b"");
        assert!(matches!(sealed, Err(LedgerFault::NoJobSeal { .. })));
        assert!(fault(sealed).starts_with("the data key of the job nfc-1 is not there"));
    }

    #[test]
    fn each_class_and_each_job_seals_under_a_key_of_its_own() {
        let seals = seals(&[1]);
        let classes = [Operational, Incident, Job(job("nfc-1")), Job(job("nfc-2"))];
        for (id, class) in (1..).zip(&classes) {
            seals.install(&seal(id, class.clone()));
        }
        // A class's newer key takes nothing from the others.
        seals.install(&seal(9, Incident));
        let ids = classes.map(|class| seals.seal_as(&class, 7, [2; NONCE_LEN], b"clear").unwrap().0);
        assert_eq!((ids, seals.current()), ([1, 9, 3, 4], Some(1)));
        let retention = [1, 2, 3, 4, 5].map(|id| seals.class_of(id));
        let [operational, incident, one, two] =
            [RetentionClass::Operational, RetentionClass::Incident, RetentionClass::Job, RetentionClass::Job]
                .map(Some);
        assert_eq!(retention, [operational, incident, one, two, None]);
    }

    #[test]
    fn an_item_opens_for_its_own_job_and_row_only() {
        let seals = Seals::default();
        let (one, two) = (job("nfc-1"), job("nfc-2"));
        seals.install(&seal(1, Job(one.clone())));
        seals.install(&seal(2, Job(two.clone())));
        let sealed = seals.seal_item(&one, &[5; 16], b"https://example.org/1").unwrap();
        assert_eq!(seals.open_item(&one, &[5; 16], &sealed).unwrap(), b"https://example.org/1");
        assert!(matches!(seals.open_item(&one, &[6; 16], &sealed), Err(LedgerFault::SealBroken { id: 1 })));
        assert!(matches!(seals.open_item(&two, &[5; 16], &sealed), Err(LedgerFault::SealBroken { id: 2 })));
        // Not even as a leaf at any place: what is bound differs in length.
        let place = u64::from_be_bytes([5; 8]);
        assert!(matches!(seals.open(place, 1, &sealed), Err(LedgerFault::SealBroken { id: 1 })));
        let again = seals.seal_item(&one, &[5; 16], b"https://example.org/1").unwrap();
        assert_ne!(sealed, again, "nonces are random");
        // The same bytes under the same number and another key are another job's, too.
        let other = Seals::default();
        other.install(&Seal::new(1, Job(one.clone()), &[9; 32]));
        assert!(matches!(other.open_item(&one, &[5; 16], &sealed), Err(LedgerFault::SealBroken { id: 1 })));
    }

    #[test]
    fn a_job_that_is_forgotten_seals_and_opens_nothing_and_the_others_do() {
        let seals = seals(&[1]);
        let (one, two) = (job("nfc-1"), job("nfc-2"));
        seals.install(&seal(2, Job(one.clone())));
        seals.install(&seal(3, Job(two.clone())));
        let item = seals.seal_item(&one, &[5; 16], b"data").unwrap();
        let (id, leaf) = seals.seal_as(&Job(one.clone()), 7, [2; NONCE_LEN], b"data").unwrap();
        seals.forget_job(&one);
        seals.forget_job(&one);
        assert!(!seals.has_job(&one) && seals.has_job(&two));
        assert!(matches!(seals.open_item(&one, &[5; 16], &item), Err(LedgerFault::NoJobSeal { .. })));
        assert!(matches!(seals.seal_item(&one, &[5; 16], b""), Err(LedgerFault::NoJobSeal { .. })));
        assert!(matches!(seals.open(7, id, &leaf), Err(LedgerFault::SealMissing { id: 2 })));
        assert!(seals.seal_item(&two, &[5; 16], b"").is_ok());
        assert_eq!(seals.current(), Some(1));
    }

    #[test]
    fn secrets_do_not_print() {
        let seal = Seal::new(1, Operational, &[0xab; 32]);
        let tags = Tags::new(Zeroizing::new([0xab; 32]), true);
        let text = format!("{seal:?} {:?} {tags:?}", seals(&[1]));
        assert_eq!(text, "Seal(1, ..) Seals(current Some(1), ..) Tags(..)");
    }

    #[test]
    fn each_purse_has_a_tag_of_its_own_and_no_other_key_makes_it() {
        let tags = Tags::new(Zeroizing::new([1; 32]), true);
        let (coffee, card) =
            ("coffee".parse::<Name>().unwrap(), "04782e21801d80".parse::<CardUid>().unwrap());
        let tag = tags.of_purse(&coffee, &card, 1);
        assert_eq!(tags.of_purse(&coffee, &card, 1), tag);
        assert_ne!(tags.of_purse(&coffee, &card, 2), tag);
        assert_ne!(tags.of_purse(&"tea".parse().unwrap(), &card, 1), tag);
        assert_ne!(tags.of_purse(&coffee, &"04782e21801d81".parse().unwrap(), 1), tag);
        assert_ne!(Tags::new(Zeroizing::new([2; 32]), true).of_purse(&coffee, &card, 1), tag);
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
