//! Leaf 0: the founding that the trust file's genesis digest proves, with every officer's signature and the keys.
//!
//! Apart because all else is judged by it: who is enrolled, which key signs checkpoints, which limits hold.

use crate::key_check::{is_sound, public_half};
use keysvc_protocol::{
    bytes::Digest,
    cbor::{self, DecodeError},
    control::Control,
    founding::{AgreementError, FoundedKind, Founding, FoundingError, Programme},
    key::{KeyKind, KeyRecord},
    leaf::{FoundingLeaf, LeafEntry, LeafError, LeafKind},
    merkle::leaf_hash,
    name::Name,
    public_key::PublicKey,
    receipt::{LEAF_PAYLOAD_LEN_MAX, LeafEvidence},
    refusal::Refusal,
    trust::Trust,
};
use std::{collections::HashSet, str};

/// Why leaf 0 founds nothing that the trust file speaks of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FoundingProblem {
    /// Its hash is not the genesis digest.
    #[error("it does not hash to the genesis digest of the trust file: this is another log")]
    NotGenesis,
    /// Its entry is not one, or the payload is another's.
    #[error("{0}")]
    Leaf(#[from] LeafError),
    /// Its entry names another index or kind.
    #[error("it is not a founding at index 0")]
    NotAFounding,
    /// Its payload or the salt was withheld.
    #[error("its payload is withheld; without the founding nothing can be checked")]
    Withheld,
    /// Its payload does not decode.
    #[error("its payload does not decode: {0}")]
    Payload(#[from] DecodeError),
    /// The founding file does not parse.
    #[error("the founding file does not parse: {0}")]
    Form(String),
    /// The founding file contradicts itself.
    #[error("the founding file: {0}")]
    File(#[from] FoundingError),
    /// The founding file names another trust domain than the trust file.
    #[error("the founding file names another trust domain than the trust file")]
    OtherDomain,
    /// The policies at the founding are not those of the file.
    #[error("the policies in force are not those of the founding file")]
    OtherPolicy,
    /// An officer did not sign.
    #[error("officer {0} did not sign the founding")]
    MissingSignature(Name),
    /// An officer's signature does not count.
    #[error("the signature of officer {officer} over the founding: {why}")]
    Signature {
        /// The officer.
        officer: Name,
        /// Why not.
        why: AgreementError,
    },
    /// A signature by no officer, or a second one by the same.
    #[error("a signature by {0}, who is no officer or signed before")]
    StraySignature(Name),
    /// A key that the file asks for, or the service needs, is not there as such.
    #[error("the key {0} that the founding file asks for is not in the manifest")]
    NoKey(Name),
    /// A card master or value signing key that the file does not ask for.
    #[error("the manifest has the key {0} that the founding file does not ask for")]
    UnfoundedKey(Name),
    /// Not one key of a kind of which there must be one.
    #[error("the manifest has {found} keys of kind {kind} where there must be 1")]
    ServiceKeys {
        /// The kind.
        kind: KeyKind,
        /// How many there are.
        found: usize,
    },
    /// Two keys with one name and version, or one `CKA_ID`.
    #[error("the manifest has the key {0} twice")]
    KeyTwice(Name),
    /// The check value or public half is not of the key's kind, or they disagree.
    #[error("the check value of the key {0} does not fit it")]
    CheckValue(Name),
    /// A key in it is none.
    #[error("the roster of the founding: {0}")]
    Roster(#[from] Refusal),
    /// The manifest and the file disagree on whether the key's value is known.
    #[error("the manifest and the founding file disagree on whether {0} is a test key")]
    TestKey(Name),
}

/// A founding that was proved: the facts that everything else is judged by.
#[derive(Debug)]
pub(crate) struct Founded {
    /// The genesis digest.
    pub(crate) genesis: Digest,
    /// The founding file.
    pub(crate) founding: Founding,
    /// The keys made by it.
    pub(crate) keys: Vec<KeyRecord>,
    /// The key that signs checkpoints.
    pub(crate) checkpoint_key: PublicKey,
    /// What the founding makes of all that takes people.
    pub(crate) control: Control,
}

impl Founded {
    /// Proves leaf 0 by the trust file and reads it.
    ///
    /// # Errors
    /// [`FoundingProblem`] naming the first check that failed.
    pub(crate) fn prove(trust: &Trust, leaf: &LeafEvidence) -> Result<Self, FoundingProblem> {
        if leaf_hash(leaf.entry.as_bytes()) != trust.genesis {
            return Err(FoundingProblem::NotGenesis);
        }
        let entry = LeafEntry::decode(leaf.entry.as_bytes())?;
        if entry.kind != LeafKind::Founding || entry.index != 0 {
            return Err(FoundingProblem::NotAFounding);
        }
        let (Some(salt), Some(payload)) = (&leaf.salt, &leaf.payload) else {
            return Err(FoundingProblem::Withheld);
        };
        entry.check_payload(salt, payload.as_bytes())?;
        let leaf: FoundingLeaf = cbor::decode(payload.as_bytes(), LEAF_PAYLOAD_LEN_MAX)?;
        let founding = agreed(&leaf)?;
        if founding.trust_domain != trust.domain {
            return Err(FoundingProblem::OtherDomain);
        }
        if leaf.policy != founding.policy {
            return Err(FoundingProblem::OtherPolicy);
        }
        let control = Control::found(founding.clone(), &leaf, trust.genesis)?;
        let keys = leaf.keys.into_vec();
        check_manifest(&founding, &keys)?;
        only_one(&keys, KeyKind::ServiceStatement)?;
        let checkpoint_key = only_one(&keys, KeyKind::Checkpoint)?;
        let checkpoint_key = public_half(checkpoint_key)
            .ok_or_else(|| FoundingProblem::CheckValue(checkpoint_key.name.clone()))?;
        Ok(Self { genesis: trust.genesis, founding, keys, checkpoint_key, control })
    }

    /// The programme of this name, and its place among the programmes.
    pub(crate) fn programme(&self, name: &Name) -> Option<(usize, &Programme)> {
        self.founding.programmes.iter().enumerate().find(|(_, programme)| programme.name == *name)
    }
}

/// The founding file of a leaf, once every officer in it is shown to have signed it.
///
/// # Errors
/// [`FoundingProblem`] naming the first check that failed.
pub(crate) fn agreed(leaf: &FoundingLeaf) -> Result<Founding, FoundingProblem> {
    let founding = read_file(leaf.founding.as_bytes())?;
    check_signatures(&founding, leaf)?;
    Ok(founding)
}

fn read_file(bytes: &[u8]) -> Result<Founding, FoundingProblem> {
    let text = str::from_utf8(bytes).map_err(|error| FoundingProblem::Form(error.to_string()))?;
    let founding: Founding =
        toml::from_str(text).map_err(|error| FoundingProblem::Form(error.message().to_owned()))?;
    founding.check()?;
    Ok(founding)
}

/// Every officer named signed, and nobody else. Counts officers, not signatures.
fn check_signatures(founding: &Founding, leaf: &FoundingLeaf) -> Result<(), FoundingProblem> {
    let mut unsigned: HashSet<&Name> = founding.officers.iter().map(|officer| &officer.name).collect();
    for signature in leaf.signatures.iter() {
        let officer = founding.officers.iter().find(|officer| officer.name == signature.officer);
        let Some(officer) = officer.filter(|officer| unsigned.remove(&officer.name)) else {
            return Err(FoundingProblem::StraySignature(signature.officer.clone()));
        };
        founding
            .verify_agreement(leaf.founding.as_bytes(), officer, signature.signed.as_bytes())
            .map_err(|why| FoundingProblem::Signature { officer: officer.name.clone(), why })?;
    }
    // In the file's order, so that the first one missing is always the same.
    let missing = founding.officers.iter().find(|officer| unsigned.contains(&officer.name));
    missing.map_or(Ok(()), |officer| Err(FoundingProblem::MissingSignature(officer.name.clone())))
}

fn check_manifest(founding: &Founding, keys: &[KeyRecord]) -> Result<(), FoundingProblem> {
    let (mut names, mut ids) = (HashSet::new(), HashSet::new());
    for key in keys {
        if !names.insert((&key.name, key.version)) || !ids.insert(key.id) {
            return Err(FoundingProblem::KeyTwice(key.name.clone()));
        }
        if !is_sound(key) {
            return Err(FoundingProblem::CheckValue(key.name.clone()));
        }
        let asked = founding.keys.iter().find(|asked| asked.name == key.name);
        let asked = asked.filter(|asked| kind_of(asked.kind) == key.kind);
        if matches!(key.kind, KeyKind::CardMaster | KeyKind::ValueSigning) && asked.is_none() {
            return Err(FoundingProblem::UnfoundedKey(key.name.clone()));
        }
        if key.test_key != asked.is_some_and(|asked| asked.value.is_some()) {
            return Err(FoundingProblem::TestKey(key.name.clone()));
        }
    }
    let made = |name: &Name, kind| keys.iter().any(|key| key.name == *name && key.kind == kind);
    let missing = founding.keys.iter().find(|asked| !made(&asked.name, kind_of(asked.kind)));
    missing.map_or(Ok(()), |asked| Err(FoundingProblem::NoKey(asked.name.clone())))
}

const fn kind_of(kind: FoundedKind) -> KeyKind {
    match kind {
        FoundedKind::CardMaster => KeyKind::CardMaster,
        FoundedKind::ValueSigning => KeyKind::ValueSigning,
    }
}

fn only_one(keys: &[KeyRecord], kind: KeyKind) -> Result<&KeyRecord, FoundingProblem> {
    let of_kind: Vec<_> = keys.iter().filter(|key| key.kind == kind).collect();
    match of_kind.as_slice() {
        [key] => Ok(key),
        others => Err(FoundingProblem::ServiceKeys { kind, found: others.len() }),
    }
}
