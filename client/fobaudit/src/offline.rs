//! `fobaudit value --bundle`: one signed value record, judged by a trust bundle alone, as a till does it offline.
//!
//! The bundle vouches for the key and the programme at a time; that the log holds the record is not looked at.

use crate::{
    fault::Fault,
    log_folder::read_file,
    value::{Accepted, ByPeople, Evidence, Refused},
};
use keysvc_protocol::{
    bundle::{BundleError, BundleFile, TrustBundle},
    cose::{CoseError, Signed},
    trust::Trust,
    value::ValueError,
};
use std::path::Path;

/// Reads a bundle file.
///
/// # Errors
/// [`Fault`] when it cannot be read.
pub(crate) fn read_bundle(path: &Path) -> Result<Vec<u8>, Fault> {
    read_file(path, u64::try_from(BundleFile::LEN_MAX).unwrap_or(u64::MAX))
}

/// Verifies the bundle file by the trust file alone.
///
/// # Errors
/// [`Refused::Bundle`] when it proves nothing.
pub(crate) fn open(file: &[u8], trust: &Trust) -> Result<TrustBundle, Refused> {
    BundleFile::read(file).and_then(|file| file.verify(trust)).map_err(Refused::Bundle)
}

/// Verifies a record by a bundle at `now_ms`. `last_seq` is the last sequence number that the card has seen.
///
/// # Errors
/// [`Refused`] naming the first check that failed; that the bundle has expired comes before all else.
pub(crate) fn check(
    record: &[u8],
    bundle: &TrustBundle,
    now_ms: u64,
    last_seq: Option<u64>,
) -> Result<Accepted, Refused> {
    let update = bundle.check_record(record, now_ms).map_err(refused)?;
    if let Some(last) = last_seq.filter(|last| update.seq <= *last) {
        return Err(Refused::Replayed { seq: update.seq, last });
    }
    let kid = Signed::parse(record).map_err(Refused::Form)?.key_identifier();
    let key = bundle.value_keys.iter().find(|key| key.kid == kid).ok_or(Refused::UnknownKey(kid))?;
    Ok(Accepted {
        people: ByPeople::of(&update),
        update,
        key: key.name.clone(),
        key_version: key.version,
        evidence: Evidence::Bundle { made_at_ms: bundle.made_at_ms, not_after_ms: bundle.not_after_ms },
        test: bundle.development,
    })
}

fn refused(error: BundleError) -> Refused {
    match error {
        BundleError::Expired { not_after_ms } => Refused::BundleExpired { not_after_ms },
        BundleError::Value(ValueError::Signature(CoseError::BadSignature)) => Refused::BadSignature,
        BundleError::Value(ValueError::Signature(error)) => Refused::Form(error),
        BundleError::Value(error) => Refused::Contents(error),
        error => Refused::NotVouched(error),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sample::{BEGIN_MS, SPARE_KEY, Sample, TestKey, VALUE_KEY};
    use keysvc_protocol::{
        bundle::{BundleKey, BundleProgramme},
        bytes::{Blob, Digest},
        cbor,
        checkpoint::SignedCheckpoint,
        cose::Kind,
        key::KeyState,
        schema::Schema,
        value::ValueUpdate,
    };

    /// For as long the sample's bundle holds.
    pub(crate) const DAY_MS: u64 = 86_400_000;
    /// The service statement key of the sample's founding.
    pub(crate) const SERVICE_KEY: u8 = 6;
    /// The checkpoint key of the sample's founding.
    const CHECKPOINT_KEY: u8 = 4;

    fn blob<const MAX: usize>(bytes: &[u8]) -> Blob<MAX> {
        Blob::try_from(bytes.to_vec()).unwrap()
    }

    /// The sample's bundle file, good for a day, signed with the key of this seed.
    pub(crate) fn file(sample: &Sample, seed: u8) -> Vec<u8> {
        let value_key = TestKey::new(VALUE_KEY).public();
        let bundle = TrustBundle {
            schema: Schema,
            trust_domain: sample.trust().domain,
            genesis: sample.genesis(),
            development: true,
            made_at_ms: BEGIN_MS,
            not_after_ms: BEGIN_MS + DAY_MS,
            log_key: blob(TestKey::new(CHECKPOINT_KEY).public().spki()),
            checkpoint: SignedCheckpoint::parse(&sample.note()).unwrap(),
            value_keys: vec![BundleKey {
                name: "coffee-value".parse().unwrap(),
                version: 1,
                kid: value_key.identifier(),
                public: blob(value_key.spki()),
                state: KeyState::Active,
                not_before_ms: BEGIN_MS,
                not_after_ms: None,
            }]
            .try_into()
            .unwrap(),
            programmes: vec![BundleProgramme {
                name: "coffee".parse().unwrap(),
                organisation: "cafe".parse().unwrap(),
                currency: 978,
                value_key: "coffee-value".parse().unwrap(),
                profile: "fob".parse().unwrap(),
                purses: vec![1].try_into().unwrap(),
                ceiling: 15_000,
                load_max: 10_000,
                debit_max: 5000,
            }]
            .try_into()
            .unwrap(),
            denied: vec![].try_into().unwrap(),
        };
        let signed =
            TestKey::new(seed).sign(Kind::TrustBundle, sample.genesis().as_bytes(), cbor::encode(&bundle));
        cbor::encode(&BundleFile {
            schema: Schema,
            founding: sample.leaves[0].clone(),
            bundle: blob(&signed),
        })
    }

    fn bundle(sample: &Sample) -> TrustBundle {
        open(&file(sample, SERVICE_KEY), &sample.trust()).unwrap()
    }

    #[test]
    fn a_bundle_vouches_for_a_record_as_long_as_it_holds() {
        let sample = Sample::good();
        let (bundle, record) = (bundle(&sample), sample.signed_record(VALUE_KEY));
        let accepted = check(&record, &bundle, BEGIN_MS + DAY_MS, Some(1)).unwrap();
        assert_eq!(ValueUpdate::from_payload(&sample.last_update), Ok(accepted.update));
        assert_eq!((accepted.key.as_str(), accepted.key_version, accepted.test), ("coffee-value", 1, true));
        let not_after_ms = BEGIN_MS + DAY_MS;
        assert_eq!(accepted.evidence, Evidence::Bundle { made_at_ms: BEGIN_MS, not_after_ms });
        let expired = check(&record, &bundle, BEGIN_MS + DAY_MS + 1, None).unwrap_err();
        assert_eq!(expired, Refused::BundleExpired { not_after_ms });
        assert_eq!(
            expired.to_string(),
            "the trust bundle has expired: it held until 2026-11-19T11:06:40.000Z"
        );
    }

    #[test]
    fn what_the_bundle_does_not_vouch_for_is_refused() {
        let sample = Sample::good();
        let bundle = bundle(&sample);
        let refused = |record: &[u8]| check(record, &bundle, BEGIN_MS, None).unwrap_err();
        let other = refused(&sample.signed_record(SPARE_KEY));
        assert_eq!((&other, other.code()), (&Refused::NotVouched(BundleError::UnknownKey), "unknown_key"));
        let mut altered = sample.signed_record(VALUE_KEY);
        *altered.last_mut().unwrap() ^= 1;
        assert_eq!(refused(&altered), Refused::BadSignature);
        assert_eq!(refused(b"no"), Refused::Form(CoseError::Malformed));
        let replayed = check(&sample.signed_record(VALUE_KEY), &bundle, BEGIN_MS, Some(2));
        assert_eq!(replayed.unwrap_err(), Refused::Replayed { seq: 2, last: 2 });
        let mut dear = sample.clone();
        dear.update(|update| {
            update.amount = 10_001;
            update.balance_after = update.balance_before + 10_001;
        });
        let limit = Refused::NotVouched(BundleError::PastLimit { limit: 10_000 });
        assert_eq!(refused(&dear.signed_record(VALUE_KEY)), limit);
    }

    #[test]
    fn a_bundle_that_the_trust_file_does_not_prove_is_refused() {
        let sample = Sample::good();
        let by_another_key = open(&file(&sample, VALUE_KEY), &sample.trust()).unwrap_err();
        assert_eq!(by_another_key.code(), "bundle_not_verified");
        let mut other = sample.trust();
        other.genesis = Digest::new([7; 32]);
        assert!(matches!(open(&file(&sample, SERVICE_KEY), &other), Err(Refused::Bundle(_))));
        assert!(matches!(open(b"no", &sample.trust()), Err(Refused::Bundle(_))));
    }
}
