//! A signing key of the token with its public half, and the proof that the two belong together.
//!
//! It signs whatever it is given; what that may be is the keyring's.

use crate::error::Fault;
use keysvc_protocol::{
    bytes::{KeyIdentifier, ObjectIdentifier},
    cose::Unsigned,
    public_key::PublicKey,
};
use keysvc_token::{ObjectId, SigningKey, Token};
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
pub(super) struct Signer {
    pub(super) key: SigningKey,
    pub(super) public: PublicKey,
    pub(super) kid: KeyIdentifier,
    proved: AtomicBool,
}

impl Signer {
    /// Finds the key in the token.
    pub(super) fn find(
        token: &Token,
        kind: keysvc_token::KeyKind,
        id: &ObjectIdentifier,
    ) -> Result<Self, Fault> {
        let key = token.signing_key(kind, ObjectId(*id.as_bytes()))?;
        let public = PublicKey::from_spki(key.spki());
        let public = public.map_err(|_| Fault::Invariant("a signing key is not P-256"))?;
        Ok(Self { key, kid: public.identifier(), public, proved: AtomicBool::new(false) })
    }

    /// The first signature after a start is verified before it is released: nothing else compares the private half
    /// with the public half in the log, for no key here signs what is not recorded.
    pub(super) fn sign(&self, unsigned: &Unsigned) -> Result<Vec<u8>, Fault> {
        let signature = self.key.sign(unsigned.digest().as_bytes())?;
        if !self.proved.load(Ordering::Relaxed) {
            let verified = self.public.verify(&[&unsigned.to_be_signed()], &signature);
            verified.map_err(|_| {
                Fault::Refusing(format!(
                    "the private half of the signing key {} is not that of its public half; restore the token",
                    self.key.id()
                ))
            })?;
            self.proved.store(true, Ordering::Relaxed);
        }
        Ok(unsigned.with_signature(&signature))
    }
}
