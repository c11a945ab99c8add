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
    bundle::{BUNDLE_MESSAGE_LEN_MAX, BundleKey, BundleProgramme, TrustBundle},
    bytes::{Blob, Digest},
    cbor,
    checkpoint::SignedCheckpoint,
    founding::{Programme, ValueRules},
    hash::sha256,
    key::{KeyKind, KeyRecord},
    leaf::BundleMadeLeaf,
    list::List,
    public_key::PublicKey,
    receipt::LeafEvidence,
    schema::Schema,
};

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
        let keys = self.ledger.reader().keys()?;
        let value_keys = keys.iter().filter(|key| key.kind == KeyKind::ValueSigning && key.state.processes());
        let value_keys = value_keys.map(value_key).collect::<Result<Vec<_>, _>>()?;
        let programmes = founding.programmes.iter().filter_map(|programme| {
            let rules = self.site.profile_of(programme)?.value.as_ref()?;
            Some(of_programme(programme, rules))
        });
        let programmes = programmes.collect::<Result<Vec<_>, _>>()?;
        let too_many = |_| Fault::Invariant("more keys or programmes than a trust bundle holds");
        Ok(TrustBundle {
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
        })
    }
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
        checkpoint::{Checkpoint, Origin},
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
        }
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
