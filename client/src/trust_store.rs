//! What follows from the trust file: the founding leaf, and out of it the service's keys and who is who.
//!
//! The leaf is asked for once and kept in the state folder; its hash is the genesis digest, so a damaged or foreign
//! one is found each time it is read. What is changed after the founding is not known here.

use crate::{
    config::ConfigError,
    error::ClientError,
    folder::{Folder, mended},
};
use keysvc_protocol::{
    bytes::{Digest, KeyIdentifier},
    cbor,
    founding::{Founding, Principal},
    key::{KeyKind, KeyRecord},
    leaf::{FoundingLeaf, LeafKind},
    merkle::leaf_hash,
    name::Name,
    public_key::PublicKey,
    receipt::{LEAF_PAYLOAD_LEN_MAX, LeafEvidence},
    trust::Trust,
};
use std::path::Path;

/// The file in the state folder.
const FILE: &str = "founding";
/// Largest kept founding leaf, in bytes: the payload, the entry of 256 and the salt.
const FILE_LEN_MAX: usize = LEAF_PAYLOAD_LEN_MAX + 512;
/// What to do about a damaged one: nothing is lost with it, for the trust file vouches for what is fetched again.
const MEND: &str = "remove it; it is fetched again at the next start";

/// A founding that the trust file vouches for.
#[derive(Debug)]
pub struct Founded {
    trust: Trust,
    founding: Founding,
    keys: Vec<KeyRecord>,
    checkpoint_key: PublicKey,
    statement_key: PublicKey,
}

impl Founded {
    /// Checks that leaf 0 is the one the trust file names, and reads it.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] when it is another leaf, withholds its payload or does not read as a founding of
    /// the same trust domain with the service's two keys.
    pub fn check(trust: &Trust, leaf: &LeafEvidence) -> Result<Self, ClientError> {
        if leaf_hash(leaf.entry.as_bytes()) != trust.genesis {
            return Err(ClientError::untrusted("its leaf 0 is not the one the trust file names"));
        }
        let entry = leaf.check().map_err(|error| ClientError::untrusted(format!("leaf 0: {error}")))?;
        let (Some(_), Some(payload)) = (&leaf.salt, &leaf.payload) else {
            return Err(ClientError::untrusted("leaf 0 came without its payload"));
        };
        if entry.index != 0 || entry.kind != LeafKind::Founding {
            return Err(ClientError::untrusted("leaf 0 is not a founding"));
        }
        let payload: FoundingLeaf = cbor::decode(payload.as_bytes(), LEAF_PAYLOAD_LEN_MAX)
            .map_err(|error| ClientError::untrusted(format!("leaf 0: {error}")))?;
        let founding = read_founding(payload.founding.as_bytes())?;
        if founding.trust_domain != trust.domain {
            return Err(ClientError::untrusted("leaf 0 founds another trust domain"));
        }
        let keys = payload.keys.into_vec();
        Ok(Self {
            trust: trust.clone(),
            checkpoint_key: only_key(&keys, KeyKind::Checkpoint)?,
            statement_key: only_key(&keys, KeyKind::ServiceStatement)?,
            founding,
            keys,
        })
    }

    /// Reads the leaf kept in the state folder, and checks it again; nothing where none is kept.
    ///
    /// # Errors
    /// [`ClientError::State`] when the file cannot be read or is damaged, [`ClientError::Untrusted`] when it is not
    /// the trust file's.
    pub fn load(state: &Path, trust: &Trust) -> Result<Option<Self>, ClientError> {
        Ok(Self::read(state, trust)?.map(|(_, founded)| founded))
    }

    /// The leaf that was kept when the client first connected, with what it says.
    #[cfg(feature = "terminal")]
    pub(crate) fn kept(state: &Path, trust: &Trust) -> Result<(LeafEvidence, Self), ClientError> {
        let gone = || mended(&state.join(FILE), "it is gone", "start again: it is fetched again");
        Self::read(state, trust)?.ok_or_else(gone)
    }

    fn read(state: &Path, trust: &Trust) -> Result<Option<(LeafEvidence, Self)>, ClientError> {
        let folder = Folder::open(state)?;
        let Some(bytes) = folder.read(FILE, FILE_LEN_MAX)? else { return Ok(None) };
        let leaf = cbor::decode(&bytes, FILE_LEN_MAX)
            .map_err(|error| mended(&folder.path(FILE), &error.to_string(), MEND))?;
        let founded = Self::check(trust, &leaf)?;
        Ok(Some((leaf, founded)))
    }

    /// Keeps a leaf that [`Founded::check`] has accepted.
    ///
    /// # Errors
    /// [`ClientError::State`] when it cannot be written.
    pub fn keep(state: &Path, leaf: &LeafEvidence) -> Result<(), ClientError> {
        let folder = Folder::open(state)?;
        // Two processes that begin at the same time write one after the other.
        let _lock = folder.lock()?;
        folder.replace(FILE, &cbor::encode(leaf))
    }

    /// The trust file's content.
    #[must_use]
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The genesis digest: the scope of every signature.
    #[must_use]
    pub const fn genesis(&self) -> &Digest {
        &self.trust.genesis
    }

    /// The founding file as it stands in leaf 0.
    #[must_use]
    pub const fn founding(&self) -> &Founding {
        &self.founding
    }

    /// The keys made at the founding.
    #[must_use]
    pub fn keys(&self) -> &[KeyRecord] {
        &self.keys
    }

    /// The key that signs checkpoints.
    #[must_use]
    pub const fn checkpoint_key(&self) -> &PublicKey {
        &self.checkpoint_key
    }

    /// The service statement key, which signs openings and deliveries.
    #[must_use]
    pub const fn statement_key(&self) -> &PublicKey {
        &self.statement_key
    }

    /// The key of this identifier, if it may sign the programme's value updates.
    #[must_use]
    pub fn value_key(&self, programme: &Name, kid: KeyIdentifier) -> Option<PublicKey> {
        let programme = self.founding.programmes.iter().find(|one| one.name == *programme)?;
        let of_programme = self
            .keys
            .iter()
            .filter(|key| key.kind == KeyKind::ValueSigning && key.name == programme.value_key);
        of_programme.filter_map(public_key).find(|key| key.identifier() == kid)
    }

    /// Name and statement key of the principal whose statement key has this identifier.
    #[cfg(any(feature = "terminal", feature = "hub"))]
    pub(crate) fn signer(&self, kid: KeyIdentifier) -> Option<(Name, PublicKey)> {
        let mut signers = self.founding.principals.iter().filter_map(|one| {
            let key = one.statement_key.map(|key| key.p256())?;
            (key.identifier() == kid).then(|| (one.id.clone(), key))
        });
        signers.next()
    }

    /// The name of the principal enrolled with this statement key.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] when the founding enrols no such key.
    pub fn name_of(&self, statement_key: &PublicKey) -> Result<Name, ConfigError> {
        let officer = self.founding.officers.iter().find(|one| one.approval_key.p256() == *statement_key);
        let principal = self.principal(statement_key).map(|principal| principal.id.clone());
        principal.or_else(|| officer.map(|one| one.name.clone())).ok_or_else(|| {
            ConfigError::missing(
                "a statement key that the founding enrols, and its certificate has no name of this trust domain; \
                 compare both with the enrolment",
            )
        })
    }

    /// The statement key of the principal of this name, an officer's approval key.
    #[must_use]
    pub fn statement_key_of(&self, name: &Name) -> Option<PublicKey> {
        let officer = self.founding.officers.iter().find(|one| one.name == *name);
        let principal = self.founding.principals.iter().find(|one| one.id == *name);
        let key = officer.map(|officer| officer.approval_key);
        key.or_else(|| principal.and_then(|one| one.statement_key)).map(|key| key.p256())
    }

    /// The principal enrolled with this statement key.
    #[must_use]
    pub fn principal(&self, statement_key: &PublicKey) -> Option<&Principal> {
        let enrolled = |one: &&Principal| one.statement_key.is_some_and(|key| key.p256() == *statement_key);
        self.founding.principals.iter().find(enrolled)
    }
}

fn read_founding(bytes: &[u8]) -> Result<Founding, ClientError> {
    let fault = |what: &str| ClientError::untrusted(format!("the founding in leaf 0: {what}"));
    let text = str::from_utf8(bytes).map_err(|_| fault("not text"))?;
    let founding: Founding = toml::from_str(text).map_err(|error| fault(error.message()))?;
    founding.check().map_err(|error| fault(&error.to_string()))?;
    Ok(founding)
}

/// The founding file in leaf 0, where it reads and every officer's signature over it holds: what evidence stands on.
#[cfg(any(feature = "officer", feature = "hub"))]
pub(crate) fn signed_founding(leaf: &FoundingLeaf) -> Option<Founding> {
    let bytes = leaf.founding.as_bytes();
    let founding = read_founding(bytes).ok()?;
    let agreed = founding.officers.iter().all(|officer| {
        let signature = leaf.signatures.iter().find(|one| one.officer == officer.name);
        signature.is_some_and(|one| founding.verify_agreement(bytes, officer, one.signed.as_bytes()).is_ok())
    });
    agreed.then_some(founding)
}

fn public_key(record: &KeyRecord) -> Option<PublicKey> {
    record.public.as_ref().and_then(|spki| PublicKey::from_spki(spki.as_bytes()).ok())
}

/// The service's one key of this kind.
fn only_key(keys: &[KeyRecord], kind: KeyKind) -> Result<PublicKey, ClientError> {
    let mut of_kind = keys.iter().filter(|key| key.kind == kind);
    let (Some(key), None) = (of_kind.next(), of_kind.next()) else {
        return Err(ClientError::untrusted(format!("leaf 0 does not name one {kind} key")));
    };
    public_key(key).ok_or_else(|| ClientError::untrusted(format!("leaf 0 has no usable {kind} key")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{CHECKPOINT, Key, Log, STATEMENT, TERMINAL, VALUE, founding_leaf, keys, leaf};

    fn founded() -> Founded {
        let log = Log::new(0, 0);
        Founded::check(&log.trust(), &log.0[0]).unwrap()
    }

    /// Checks a leaf that its own trust file names.
    fn check(leaf: &LeafEvidence) -> String {
        let trust = Trust { genesis: leaf_hash(leaf.entry.as_bytes()), ..Log::new(0, 0).trust() };
        match Founded::check(&trust, leaf).unwrap_err() {
            ClientError::Untrusted { what, evidence: None } => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_services_keys_come_out_of_leaf_0() {
        let founded = founded();
        assert_eq!(*founded.checkpoint_key(), Key::new(CHECKPOINT).public());
        assert_eq!(*founded.statement_key(), Key::new(STATEMENT).public());
    }

    #[test]
    fn a_value_key_signs_for_its_programme_alone() {
        let (founded, value) = (founded(), Key::new(VALUE).public());
        let coffee = "coffee".parse().unwrap();
        assert_eq!(founded.value_key(&coffee, value.identifier()), Some(value));
        assert_eq!(founded.value_key(&"tea".parse().unwrap(), value.identifier()), None);
        assert_eq!(founded.value_key(&coffee, founded.checkpoint_key().identifier()), None);
    }

    #[test]
    fn we_are_who_our_statement_key_is_enrolled_as() {
        let founded = founded();
        assert_eq!(founded.name_of(&Key::new(TERMINAL).public()).unwrap().as_str(), "terminal-1");
        let stranger = Key::new(77).public();
        assert!(matches!(founded.name_of(&stranger), Err(ConfigError::Missing { .. })));
    }

    #[test]
    fn a_kept_founding_is_checked_again_when_it_is_read() {
        let (log, folder) = (Log::new(0, 0), tempfile::tempdir().unwrap());
        assert!(Founded::load(folder.path(), &log.trust()).unwrap().is_none());
        Founded::keep(folder.path(), &log.0[0]).unwrap();
        assert!(Founded::load(folder.path(), &log.trust()).unwrap().is_some());
        let other = Trust { genesis: Digest::new([1; 32]), ..log.trust() };
        assert!(matches!(Founded::load(folder.path(), &other), Err(ClientError::Untrusted { .. })));
        std::fs::write(folder.path().join(FILE), b"damaged").unwrap();
        assert!(matches!(Founded::load(folder.path(), &log.trust()), Err(ClientError::State { .. })));
    }

    #[test]
    fn a_leaf_that_is_no_founding_of_ours_is_refused() {
        let withheld = LeafEvidence { salt: None, payload: None, ..founding_leaf(keys()) };
        assert_eq!(check(&withheld), "leaf 0 came without its payload");
        let payload = founding_leaf(keys()).payload.unwrap().into_bytes();
        assert_eq!(check(&leaf(1, LeafKind::Founding, payload.clone())), "leaf 0 is not a founding");
        assert_eq!(check(&leaf(0, LeafKind::Start, payload)), "leaf 0 is not a founding");
        let other =
            LeafEvidence { payload: leaf(0, LeafKind::Founding, vec![1]).payload, ..founding_leaf(keys()) };
        assert_eq!(check(&other), "leaf 0: the payload is not this leaf's");
    }

    #[test]
    fn a_founding_without_one_checkpoint_and_one_statement_key_is_refused() {
        let without = keys().into_iter().filter(|key| key.kind != KeyKind::Checkpoint).collect();
        assert_eq!(check(&founding_leaf(without)), "leaf 0 does not name one checkpoint key");
        let twice = [keys(), keys()].concat();
        assert_eq!(check(&founding_leaf(twice)), "leaf 0 does not name one checkpoint key");
    }

    #[test]
    fn a_founding_of_another_trust_domain_is_refused() {
        let leaf = founding_leaf(keys());
        let genesis = leaf_hash(leaf.entry.as_bytes());
        let trust = Trust { domain: "other.test".parse().unwrap(), genesis };
        let error = Founded::check(&trust, &leaf).unwrap_err();
        assert!(
            matches!(error, ClientError::Untrusted { what, .. } if what == "leaf 0 founds another trust domain")
        );
    }
}
