//! Requests about principals, keys and freezes, each under a fresh idempotency key.
//!
//! Apart from what is done with them because tests read better with one word for a request. Nothing is sent here.

use keysvc_client::Terminal;
use keysvc_protocol::{
    bytes::Idem,
    freeze::Scope,
    key::KeyKind,
    name::{Name, Reason},
    request::{
        ActivateKey, CompromiseKey, CreateKey, DestroyKey, DisablePrincipal, EnablePrincipal, LiftFreeze,
        RetireKey, SetFreeze, SuspendKey,
    },
    schema::Schema,
};

/// A fresh idempotency key.
///
/// # Panics
/// When the system gives no randomness.
#[must_use]
pub fn idem() -> Idem {
    Terminal::new_txn().unwrap()
}

/// A reason.
///
/// # Panics
/// Never.
#[must_use]
pub fn reason() -> Reason {
    "a test".parse().unwrap()
}

/// A name.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// `key.create`.
#[must_use]
pub fn create(key: &str, kind: KeyKind) -> CreateKey {
    CreateKey { schema: Schema, idem: idem(), name: name(key), kind }
}

macro_rules! about_keys {
    ($($(#[$doc:meta])* $function:ident: $type:ident,)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $function(key: &str, version: u32) -> $type {
                $type { schema: Schema, idem: idem(), name: name(key), version, reason: reason() }
            }
        )*
    };
}

about_keys! {
    /// `key.activate`.
    activate: ActivateKey,
    /// `key.suspend`.
    suspend: SuspendKey,
    /// `key.retire`.
    retire: RetireKey,
    /// `key.compromise`.
    compromise: CompromiseKey,
    /// `key.destroy`.
    destroy: DestroyKey,
}

/// `principal.disable`.
#[must_use]
pub fn disable(id: &str) -> DisablePrincipal {
    DisablePrincipal { schema: Schema, idem: idem(), id: name(id), reason: reason() }
}

/// `principal.enable`.
#[must_use]
pub fn enable(id: &str) -> EnablePrincipal {
    EnablePrincipal { schema: Schema, idem: idem(), id: name(id), reason: reason() }
}

/// `freeze.set`.
#[must_use]
pub fn freeze(scope: &Scope) -> SetFreeze {
    SetFreeze { schema: Schema, idem: idem(), scope: scope.clone(), reason: reason() }
}

/// `freeze.lift`.
#[must_use]
pub fn lift(scope: &Scope) -> LiftFreeze {
    LiftFreeze { schema: Schema, idem: idem(), scope: scope.clone(), reason: reason() }
}
