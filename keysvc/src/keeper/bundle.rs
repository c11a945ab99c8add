//! The trust bundle in force: made and recorded when what it says changes or half of its life is over, never for a
//! request.
//!
//! After a start the one on record is signed again, for its payload is in the log and its signature is not. What a
//! terminal does with it is [`keysvc_protocol::bundle`]'s.

use super::{
    keyring::Keyring,
    ledger::{Committed, Ledger, RecordedBundle},
    site::Site,
};
use crate::error::Fault;
use keysvc_protocol::{
    bundle::{
        BUNDLE_LEN_MAX, BUNDLE_MESSAGE_LEN_MAX, BundleKey, BundleProgramme, TrustBundle, VALUE_KEYS_MAX,
    },
    bytes::{Blob, Digest},
    cbor,
    checkpoint::SignedCheckpoint,
    founding::{Programme, ValueRules},
    freeze::{Scope, ScopeKind},
    hash::sha256,
    key::{KeyKind, KeyRecord},
    leaf::BundleMadeLeaf,
    list::List,
    public_key::PublicKey,
    receipt::LeafEvidence,
    schema::Schema,
};
use std::cmp::Reverse;

/// A bundle with its leaf, ready to be given out.
#[derive(Debug)]
pub struct InForce {
    /// COSE_Sign1 of it.
    pub message: Blob<BUNDLE_MESSAGE_LEN_MAX>,
    /// SHA-256 of its payload.
    pub digest: Digest,
    /// Index of its leaf.
    pub leaf_index: u64,
    /// Its leaf.
    pub leaf: LeafEvidence,
    bundle: TrustBundle,
}

/// What bundles are made of.
#[derive(Debug, Clone, Copy)]
pub struct Maker<'a> {
    /// The site.
    pub site: &'a Site,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The keyring.
    pub keyring: &'a Keyring,
    /// Life of a bundle, in milliseconds.
    pub life_ms: u64,
}

impl Maker<'_> {
    /// The bundle to give out: `current`, or the one on record where nothing is given, as long as it says what is so and
    /// half of its life is ahead; else a new one, and the duty to have its commit's head signed.
    ///
    /// # Errors
    /// [`Fault`] of store or token.
    pub async fn renewed(
        &self,
        current: Option<&InForce>,
        newest: SignedCheckpoint,
        now_ms: u64,
    ) -> Result<Option<(InForce, Option<Committed>)>, Fault> {
        let wanted = self.bundle(newest, now_ms)?;
        if current.is_some_and(|current| serves(&current.bundle, &wanted, self.life_ms)) {
            return Ok(None);
        }
        if current.is_none()
            && let Some(recorded) = self.ledger.bundle_on_record()?
        {
            let on_record = self.signed(&recorded)?;
            if serves(&on_record.bundle, &wanted, self.life_ms) {
                return Ok(Some((on_record, None)));
            }
        }
        let bundle = Blob::try_from(cbor::encode(&wanted));
        let bundle = bundle.map_err(|_| Fault::Invariant("a trust bundle is too long for its leaf"))?;
        let payload = BundleMadeLeaf { schema: Schema, bundle };
        let (recorded, lead) = self.ledger.record_bundle(payload).await?;
        tracing::info!(
            leaf = recorded.recording().index,
            not_after_ms = wanted.not_after_ms,
            "a trust bundle is made"
        );
        Ok(Some((self.signed(&recorded)?, lead)))
    }

    fn signed(&self, recorded: &RecordedBundle) -> Result<InForce, Fault> {
        let recording = recorded.recording();
        let damaged = Fault::Invariant("the trust bundle on record is not one");
        let Ok(leaf) = cbor::decode::<BundleMadeLeaf>(&recording.payload, recording.payload.len()) else {
            return Err(damaged);
        };
        let Ok(bundle) = TrustBundle::from_payload(leaf.bundle.as_bytes(), self.site.genesis()) else {
            return Err(damaged);
        };
        let message = Blob::try_from(self.keyring.sign_bundle(recorded)?);
        Ok(InForce {
            message: message.map_err(|_| Fault::Invariant("a signed trust bundle is too long"))?,
            digest: sha256(&[leaf.bundle.as_bytes()]),
            leaf_index: recording.index,
            leaf: recording
                .evidence()
                .map_err(|_| Fault::Invariant("a leaf is longer than evidence may be"))?,
            bundle,
        })
    }

    fn bundle(&self, checkpoint: SignedCheckpoint, now_ms: u64) -> Result<TrustBundle, Fault> {
        let founding = self.site.founding();
        let value_keys = newest_value_keys(self.ledger.reader().keys()?);
        let value_keys = value_keys.iter().map(value_key).collect::<Result<Vec<_>, _>>()?;
        let control = self.site.control()?;
        let programmes = founding.programmes.iter().filter_map(|programme| {
            let rules = control.profiles().of_programme(programme)?.value.as_ref()?;
            Some(of_programme(programme, rules))
        });
        let programmes = programmes.collect::<Result<Vec<_>, _>>()?;
        // Of jobs a bundle says nothing: they are no terminal's affair, and stop no value.
        let of_value = control.freezes().iter().filter(|(scope, _)| scope.kind() != ScopeKind::Job);
        let denied: Vec<_> = of_value.map(|(scope, _)| scope.clone()).collect();
        let too_many = |_| Fault::Invariant("more keys or programmes than a trust bundle holds");
        fitting(TrustBundle {
            schema: Schema,
            trust_domain: self.site.trust().domain.clone(),
            genesis: *self.site.genesis(),
            development: founding.development,
            made_at_ms: now_ms,
            not_after_ms: now_ms.saturating_add(self.life_ms),
            log_key: spki(self.keyring.checkpoint_key())?,
            checkpoint,
            value_keys: List::try_from(value_keys).map_err(too_many)?,
            programmes: List::try_from(programmes).map_err(too_many)?,
            denied: List::try_from(denied).map_err(|_| Fault::Invariant("more freezes than there may be"))?,
        })
    }
}

/// The value keys that a bundle names, by name and version: those that sign first, then the newest of those that only
/// verify. One that has no place is said: what it signed is not verified offline any more.
fn newest_value_keys(mut keys: Vec<KeyRecord>) -> Vec<KeyRecord> {
    keys.retain(|key| key.kind == KeyKind::ValueSigning && key.state.processes());
    keys.sort_by_key(|key| (!key.state.protects(), Reverse(key.made_at_ms)));
    for left_out in keys.iter().skip(VALUE_KEYS_MAX) {
        let (key, version) = (&left_out.name, left_out.version);
        tracing::warn!(%key, version, "the trust bundle has no place for this value key: destroy what is retired");
    }
    keys.truncate(VALUE_KEYS_MAX);
    keys.sort_by(|one, other| (&one.name, one.version).cmp(&(&other.name, other.version)));
    keys
}

/// The bundle itself, or, where its freezes make it longer than a bundle may be, one under which everything is frozen:
/// offline, too much is stopped rather than too little.
fn fitting(mut bundle: TrustBundle) -> Result<TrustBundle, Fault> {
    if cbor::encode(&bundle).len() > BUNDLE_LEN_MAX {
        let freezes = bundle.denied.len();
        tracing::error!(freezes, "the freezes do not fit into a trust bundle: it says that all is frozen");
        let all = List::try_from(vec![Scope::All]);
        bundle.denied = all.map_err(|_| Fault::Invariant("a bundle holds no freeze"))?;
    }
    Ok(bundle)
}

/// Whether a bundle still says what `wanted` would say, and its renewal is not due.
fn serves(bundle: &TrustBundle, wanted: &TrustBundle, life_ms: u64) -> bool {
    let due_ms = bundle.made_at_ms.saturating_add(life_ms / 2);
    let same = TrustBundle {
        made_at_ms: bundle.made_at_ms,
        not_after_ms: bundle.made_at_ms.saturating_add(life_ms),
        checkpoint: bundle.checkpoint.clone(),
        ..wanted.clone()
    };
    // A clock that went back makes none anew: one made later than now holds longer, not shorter.
    wanted.made_at_ms < due_ms && *bundle == same
}

fn spki(key: &PublicKey) -> Result<Blob<128>, Fault> {
    Blob::try_from(key.spki().to_vec()).map_err(|_| Fault::Invariant("a public key is too long"))
}

fn value_key(record: &KeyRecord) -> Result<BundleKey, Fault> {
    let public = record.public.as_ref().and_then(|public| PublicKey::from_spki(public.as_bytes()).ok());
    let public = public.ok_or(Fault::Invariant("a value key has no public half"))?;
    Ok(BundleKey {
        name: record.name.clone(),
        version: record.version,
        kid: public.identifier(),
        public: spki(&public)?,
        state: record.state,
        not_before_ms: record.made_at_ms,
        not_after_ms: None,
    })
}

fn of_programme(programme: &Programme, rules: &ValueRules) -> Result<BundleProgramme, Fault> {
    Ok(BundleProgramme {
        name: programme.name.clone(),
        organisation: programme.organisation.clone(),
        currency: programme.currency,
        value_key: programme.value_key.clone(),
        profile: programme.profile.clone(),
        purses: List::try_from(rules.purses.clone())
            .map_err(|_| Fault::Invariant("a profile has too many purses"))?,
        ceiling: rules.ceiling,
        load_max: rules.load_max,
        debit_max: rules.debit_max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::{
        bytes::ObjectIdentifier,
        checkpoint::{Checkpoint, Origin},
        key::{CheckValue, KeyState},
        merkle::TreeHead,
    };

    const LIFE_MS: u64 = 1_000;

    /// A bundle made at this time, with the checkpoint of a log of so many leaves.
    fn bundle(made_at_ms: u64, size: u64) -> TrustBundle {
        let trust_domain = "demo.keysvc.test".parse().unwrap();
        let head = TreeHead { size, root: Digest::new([1; 32]) };
        let checkpoint = Checkpoint { origin: Origin::of(&trust_domain, 1), head };
        TrustBundle {
            schema: Schema,
            trust_domain,
            genesis: Digest::new([1; 32]),
            development: true,
            made_at_ms,
            not_after_ms: made_at_ms + LIFE_MS,
            log_key: Blob::try_from(vec![1]).unwrap(),
            // Compared, never verified here.
            checkpoint: SignedCheckpoint::assemble(&checkpoint, &[1; 64], &[1]),
            value_keys: List::default(),
            programmes: List::default(),
            denied: List::default(),
        }
    }

    fn value_key(name: &str, version: u32, state: KeyState, made_at_ms: u64) -> KeyRecord {
        KeyRecord {
            schema: Schema,
            name: name.parse().unwrap(),
            version,
            kind: KeyKind::ValueSigning,
            state,
            id: ObjectIdentifier::new([1; 16]),
            check: CheckValue::Spki { value: Digest::new([1; 32]) },
            test_key: false,
            made_at_ms,
            attributes: List::default(),
            public: None,
        }
    }

    #[test]
    fn a_bundle_names_keys_that_sign_and_the_newest_of_those_that_verify() {
        let mut keys = vec![
            value_key("coffee", 1, KeyState::Active, 1),
            value_key("coffee", 2, KeyState::Suspended, 900),
            value_key("coffee", 3, KeyState::Compromised, 900),
            value_key("coffee", 4, KeyState::PreActivation, 900),
        ];
        keys.extend(
            (1..=80)
                .map(|version| value_key("tea", version, KeyState::Deactivated, 100 + u64::from(version))),
        );
        let named = newest_value_keys(keys);
        assert_eq!(named.len(), VALUE_KEYS_MAX);
        assert_eq!((named[0].name.as_str(), named[0].version), ("coffee", 1));
        assert_eq!((named[1].name.as_str(), named[1].version), ("tea", 18));
        assert_eq!(named[63].version, 80);
    }

    #[test]
    fn a_bundle_whose_freezes_do_not_fit_says_that_all_is_frozen() {
        let scope = |number: u32| Scope::Card {
            card: format!("04{number:012x}").parse().unwrap(),
            programme: Some(format!("{number:064}").parse().unwrap()),
        };
        let freezes = |count| List::try_from((0..count).map(scope).collect::<Vec<_>>()).unwrap();
        let fits = TrustBundle { denied: freezes(3), ..bundle(5_000, 1) };
        assert_eq!(fitting(fits.clone()).unwrap(), fits);
        let full = TrustBundle { denied: freezes(1_024), ..bundle(5_000, 1) };
        assert_eq!(
            fitting(full.clone()).unwrap(),
            full,
            "all freezes there may be fit beside few programmes"
        );
        let programme = |number: u32| BundleProgramme {
            name: format!("{number:064}").parse().unwrap(),
            organisation: format!("{number:064}").parse().unwrap(),
            currency: 978,
            value_key: format!("{number:064}").parse().unwrap(),
            profile: format!("{number:064}").parse().unwrap(),
            purses: List::default(),
            ceiling: 1,
            load_max: 1,
            debit_max: 1,
        };
        let programmes = List::try_from((0..300).map(programme).collect::<Vec<_>>()).unwrap();
        let stopped = fitting(TrustBundle { programmes, ..full }).unwrap();
        assert_eq!(stopped.denied.to_vec(), [Scope::All]);
    }

    #[test]
    fn a_freeze_makes_the_bundle_anew_at_once() {
        let denied = List::try_from(vec![Scope::All]).unwrap();
        assert!(!serves(&bundle(5_000, 1), &TrustBundle { denied, ..bundle(5_001, 1) }, LIFE_MS));
    }

    #[test]
    fn a_bundle_serves_until_half_of_its_life_is_over_however_the_log_grows() {
        let current = bundle(5_000, 1);
        assert!(serves(&current, &bundle(5_499, 9), LIFE_MS));
        assert!(!serves(&current, &bundle(5_500, 9), LIFE_MS));
        assert!(serves(&current, &bundle(4_000, 9), LIFE_MS), "a clock that went back");
    }

    #[test]
    fn a_bundle_that_says_something_else_serves_no_more() {
        let current = bundle(5_000, 1);
        assert!(!serves(&current, &TrustBundle { development: false, ..bundle(5_001, 1) }, LIFE_MS));
        assert!(!serves(&current, &bundle(5_001, 1), 2 * LIFE_MS), "another life");
    }
}
