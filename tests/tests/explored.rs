//! The state of dual control, and that of jobs and cards, explored exhaustively: every order of every message, repeated
//! and forged ones too, through the code that the keeper and the auditor run.
//!
//! The network is as bad as can be: whatever was ever signed may arrive at any time, in any order, any number of times.
//! What is merged are states that differ in nothing but how they came about. The ledger around the state is the model's
//! own: it checks freezes before an act, as the keeper's does.

#[path = "explored/imports.rs"]
mod imports;
#[path = "explored/jobs.rs"]
mod jobs;
#[path = "explored/keys.rs"]
mod keys;
#[path = "explored/proposal.rs"]
mod proposal;

use keysvc_protocol::public_key::{PublicKey, low_s};
use keysvc_tests::people::{Key, Log, Site};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use stateright::{Checker, Model};
use std::{hash::Hash, sync::Arc, time::Instant};

/// DER before the point of a P-256 `SubjectPublicKeyInfo` (RFC 5480).
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

fn key(_: u8) -> Key {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let spki = [SPKI_HEAD.as_slice(), pair.public_key().as_ref()].concat();
    let public = PublicKey::from_spki(&spki).unwrap();
    // Half of what ring makes is high: it signs with a fresh nonce until it is not.
    let sign = move |message: &[u8]| {
        let made = || pair.sign(&random, message).unwrap().as_ref().try_into().unwrap();
        std::iter::repeat_with(made).find(low_s).unwrap()
    };
    Key { public, sign: Arc::new(sign) }
}

/// A log of a site with so many officers.
fn log(officers: u8) -> Log {
    Log::new(&Arc::new(Site::new(officers, key)))
}

/// Explores a model to its end: every property holds in every state, and what can happen does.
fn explore<M>(name: &str, model: M) -> usize
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Hash + PartialEq + Send + Sync + std::fmt::Debug + 'static,
    M::Action: Clone + Send + Sync + std::fmt::Debug + PartialEq + 'static,
{
    let begun = Instant::now();
    let checker = model.checker().threads(2).spawn_bfs().join();
    println!(
        "{name}: {} states, {} transitions, depth {}, {:?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed()
    );
    assert!(checker.is_done(), "{name} was not explored to its end");
    checker.assert_properties();
    checker.unique_state_count()
}
