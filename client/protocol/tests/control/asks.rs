//! What the tests ask, and the keys they ask with.

use crate::people::{Key, Log, Site, idem, name};
use keysvc_protocol::{
    bytes::{Blob, Digest, from_hex},
    founding::PrincipalKind,
    freeze::Scope,
    key::KeyKind,
    list::List,
    name::Reason,
    public_key::PublicKey,
    quorum::Need,
    request::{
        ActivateKey, CompromiseKey, ConfirmClock, CreateKey, DestroyKey, DisablePrincipal, EnablePrincipal,
        EnrolPrincipal, Enrolment, LiftFreeze, Operation, RetireKey, RotatePrincipal, SetFreeze, SetQuorum,
        SuspendKey,
    },
    schema::Schema,
};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use std::sync::{Arc, OnceLock};

pub(crate) fn signing_key(number: u8) -> SigningKey {
    SigningKey::from_slice(&[number; 32]).unwrap()
}

/// The key of this number, low-S.
pub(crate) fn key(number: u8) -> Key {
    let signing = signing_key(number);
    // The head of a P-256 SubjectPublicKeyInfo (RFC 5480).
    let mut spki = from_hex("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
    spki.extend_from_slice(signing.verifying_key().to_encoded_point(false).as_bytes());
    let sign = move |message: &[u8]| -> [u8; 64] {
        let signature: Signature = signing.sign(message);
        signature.normalize_s().unwrap_or(signature).to_bytes().into()
    };
    Key { public: PublicKey::from_spki(&spki).unwrap(), sign: Arc::new(sign) }
}

/// A log of a site with five officers in three departments.
pub(crate) fn log() -> Log {
    static SITE: OnceLock<Arc<Site>> = OnceLock::new();
    Log::new(SITE.get_or_init(|| Arc::new(Site::new(5, key))))
}

/// A log of a site with so many officers.
pub(crate) fn log_of(officers: u8) -> Log {
    Log::new(&Arc::new(Site::new(officers, key)))
}

pub(crate) fn why() -> Reason {
    "as agreed".parse().unwrap()
}

pub(crate) fn freeze(scope: Scope) -> SetFreeze {
    SetFreeze { schema: Schema, idem: idem(1), scope, reason: why() }
}

pub(crate) fn lift(scope: Scope) -> LiftFreeze {
    LiftFreeze { schema: Schema, idem: idem(1), scope, reason: why() }
}

pub(crate) fn disable(id: &str) -> DisablePrincipal {
    DisablePrincipal { schema: Schema, idem: idem(1), id: name(id), reason: why() }
}

pub(crate) fn enable(id: &str) -> EnablePrincipal {
    EnablePrincipal { schema: Schema, idem: idem(1), id: name(id), reason: why() }
}

pub(crate) fn activate(key: &str, version: u32) -> ActivateKey {
    ActivateKey { schema: Schema, idem: idem(1), name: name(key), version, reason: why() }
}

pub(crate) fn suspend(key: &str, version: u32) -> SuspendKey {
    SuspendKey { schema: Schema, idem: idem(1), name: name(key), version, reason: why() }
}

pub(crate) fn retire(key: &str, version: u32) -> RetireKey {
    RetireKey { schema: Schema, idem: idem(1), name: name(key), version, reason: why() }
}

pub(crate) fn compromise(key: &str, version: u32) -> CompromiseKey {
    CompromiseKey { schema: Schema, idem: idem(1), name: name(key), version, reason: why() }
}

pub(crate) fn destroy(key: &str, version: u32) -> DestroyKey {
    DestroyKey { schema: Schema, idem: idem(1), name: name(key), version, reason: why() }
}

pub(crate) fn create(key: &str, kind: KeyKind) -> CreateKey {
    CreateKey { schema: Schema, idem: idem(1), name: name(key), kind }
}

pub(crate) fn threshold(operation: Operation, need: Need) -> SetQuorum {
    SetQuorum { schema: Schema, idem: idem(1), operation, need }
}

pub(crate) fn confirm(time_ms: u64) -> ConfirmClock {
    ConfirmClock { schema: Schema, idem: idem(1), time_ms }
}

pub(crate) fn enrol(number: u8, id: &str, kind: PrincipalKind, group: &str) -> EnrolPrincipal {
    let principal = Enrolment {
        schema: Schema,
        id: name(id),
        kind,
        group: name(group),
        capabilities: List::default(),
        tls_key: Digest::new([number; 32]),
        statement_key: Some(Blob::try_from(key(number).public.spki().to_vec()).unwrap()),
        wrapping_key: None,
    };
    EnrolPrincipal { schema: Schema, idem: idem(1), principal }
}

pub(crate) fn rotate(number: u8, id: &str) -> RotatePrincipal {
    RotatePrincipal {
        schema: Schema,
        idem: idem(1),
        id: name(id),
        tls_key: None,
        statement_key: Some(Blob::try_from(key(number).public.spki().to_vec()).unwrap()),
        wrapping_key: None,
    }
}
