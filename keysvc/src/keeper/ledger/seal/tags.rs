//! The tags by which the store finds purses, cards and requests without naming them, and the marks of its rows.
//!
//! Apart from the sealing of payloads because their key never changes. Where it lies sealed is the writer's affair.

use super::{LedgerFault, SealClass, Seals, fresh};
use keysvc_protocol::{
    bytes::{Digest, Idem},
    card::CardUid,
    name::Name,
};
#[cfg(test)]
use ring::aead::NONCE_LEN;
use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};
use zeroize::Zeroizing;

/// The place under which the key of the tags was sealed as long as rows had no marks: no leaf has this index.
const TAGS_PLACE: u64 = u64::MAX;
/// The place under which it is sealed once they have, so that nobody can say of a marked store that it is not.
const MARKED_PLACE: u64 = u64::MAX.saturating_sub(1);

/// Makes the tags by which the store finds purses and repeated requests, so that neither card nor caller can be
/// guessed from the disk: HMAC-SHA-256 (RFC 2104), cut to 16 bytes, under a key of its own.
///
/// The key is made with the store and never changes; it lies in the store sealed under the newest operational data key.
/// The same key marks rows, so that one that was touched is not believed ([`Tags::mark`]).
pub(in super::super) struct Tags {
    key: Zeroizing<[u8; 32]>,
    mac: hmac::Key,
    // Whether the store's rows have marks: those of an older one get them with its first batch.
    marked: AtomicBool,
}

/// The tags once their key was opened, for the writer and the readers.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct SharedTags(Arc<OnceLock<Arc<Tags>>>);

impl SharedTags {
    /// The tags, if their key was opened before.
    pub(in super::super) fn known(&self) -> Option<Arc<Tags>> {
        self.0.get().cloned()
    }

    /// Keeps the tags for all; those kept first stay, and are the same.
    pub(in super::super) fn keep(&self, tags: Tags) -> Arc<Tags> {
        Arc::clone(self.0.get_or_init(|| Arc::new(tags)))
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tags(..)")
    }
}

impl Tags {
    pub(super) fn new(key: Zeroizing<[u8; 32]>, marked: bool) -> Self {
        let mac = hmac::Key::new(hmac::HMAC_SHA256, key.as_slice());
        Self { key, mac, marked: AtomicBool::new(marked) }
    }

    /// Whether rows have marks, so that one without is damaged.
    pub(in super::super) fn are_marked(&self) -> bool {
        self.marked.load(Ordering::Acquire)
    }

    /// Says that every row has its mark now.
    pub(in super::super) fn now_marked(&self) {
        self.marked.store(true, Ordering::Release);
    }

    /// Tags under a new key.
    pub(in super::super) fn generate(random: &SystemRandom) -> Result<Self, LedgerFault> {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(key.as_mut_slice()).map_err(|_| LedgerFault::NoRandom)?;
        Ok(Self::new(key, true))
    }

    /// Seals the key for the store; gives the data key's number and the sealed bytes.
    pub(in super::super) fn sealed(
        &self,
        seals: &Seals,
        random: &SystemRandom,
    ) -> Result<(u32, Vec<u8>), LedgerFault> {
        let (_, nonce) = fresh(random)?;
        // Whoever seals it anew has given every row its mark.
        seals.seal_as(&SealClass::Operational, MARKED_PLACE, nonce, self.key.as_slice())
    }

    /// As a program sealed it that knew no marks.
    #[cfg(test)]
    pub(in super::super) fn sealed_before_marks(&self, seals: &Seals) -> Result<(u32, Vec<u8>), LedgerFault> {
        seals.seal_as(&SealClass::Operational, TAGS_PLACE, [3; NONCE_LEN], self.key.as_slice())
    }

    /// Opens the key from the store.
    pub(in super::super) fn unsealed(seals: &Seals, id: u32, sealed: &[u8]) -> Result<Self, LedgerFault> {
        let (clear, marked) = match seals.open(MARKED_PLACE, id, sealed) {
            Ok(clear) => (Zeroizing::new(clear), true),
            Err(_) => (Zeroizing::new(seals.open(TAGS_PLACE, id, sealed)?), false),
        };
        let mut key = Zeroizing::new([0; 32]);
        if clear.len() != key.len() {
            return Err(LedgerFault::SealBroken { id });
        }
        key.iter_mut().zip(clear.iter()).for_each(|(to, from)| *to = *from);
        Ok(Self::new(key, marked))
    }

    /// The tag of a purse.
    pub(in super::super) fn of_purse(&self, programme: &Name, card: &CardUid, purse: u8) -> [u8; 16] {
        // No name has a zero byte, and the purse is one byte: no two purses have the same bytes.
        self.tag(&[b"purse\0", programme.as_str().as_bytes(), &[0, purse], card.as_bytes()])
    }

    /// The tag of a card that has keys under a version of a master key.
    pub(in super::super) fn of_issued(&self, key: &Name, version: u32, card: &CardUid) -> [u8; 16] {
        // No name has a zero byte, and the version is four bytes: no two of them have the same bytes.
        let version = version.to_be_bytes();
        self.tag(&[b"issued\0", key.as_str().as_bytes(), &[0], &version, card.as_bytes()])
    }

    /// The tag of a card in the registry.
    pub(in super::super) fn of_card(&self, card: &CardUid) -> [u8; 16] {
        self.tag(&[b"card\0", card.as_bytes()])
    }

    /// The tag of a card among a job's items.
    pub(in super::super) fn of_item(&self, job: &Name, card: &CardUid) -> [u8; 16] {
        // No name has a zero byte: no two of them have the same bytes.
        self.tag(&[b"item\0", job.as_str().as_bytes(), &[0], card.as_bytes()])
    }

    /// The tag of an item's bytes: by which a verification knows them again without keeping them.
    pub(in super::super) fn of_item_bytes(&self, item: &[u8]) -> [u8; 16] {
        self.tag(&[b"item-bytes\0", item])
    }

    /// The tag of a principal's idempotency key.
    pub(in super::super) fn of_idem(&self, principal: &Name, idem: &Idem) -> [u8; 16] {
        self.tag(&[b"idem\0", idem.as_bytes(), principal.as_str().as_bytes()])
    }

    /// The tag of a request's digest.
    pub(in super::super) fn of_request(&self, payload_digest: &Digest) -> [u8; 16] {
        self.tag(&[b"request\0", payload_digest.as_bytes()])
    }

    /// The mark of a row: over the table's name and all its columns, each with its length, so that no two rows have the
    /// same bytes. Nobody without the key can make one for what he writes.
    pub(in super::super) fn mark(&self, table: &str, columns: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.mac);
        context.update(b"mark\0");
        context.update(table.as_bytes());
        context.update(&[0]);
        for column in columns {
            context.update(&u64::try_from(column.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(column);
        }
        cut(&context.sign())
    }

    fn tag(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.mac);
        for part in parts {
            context.update(part);
        }
        cut(&context.sign())
    }
}

/// The first 16 bytes.
fn cut(whole: &hmac::Tag) -> [u8; 16] {
    let mut tag = [0; 16];
    tag.iter_mut().zip(whole.as_ref()).for_each(|(to, from)| *to = *from);
    tag
}
