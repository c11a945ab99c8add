//! A record in a terminal's hand, verified again and again: as a whole, and its bare signature.
//!
//! Both with the library that the client's verifier uses here, so that the difference is what the product adds.

use super::Till;
use crate::{
    order::{Measured, Order, Work},
    tally::{Tally, Watch},
    while_doing,
};
use keysvc_protocol::{
    bytes::Digest,
    cose::{Kind, Signed, Unsigned},
    public_key::PublicKey,
    value::ValueUpdate,
};
use keysvc_tests::ground::Failed;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Bytes of a P-256 point, uncompressed; it is the end of the key's encoding.
const POINT_LEN: usize = 65;
/// Bytes of an ES256 signature; it is the end of a record.
const SIGNATURE_LEN: usize = 64;

/// A record and what it is verified with.
pub(super) struct Held {
    record: Vec<u8>,
    genesis: Digest,
    key: PublicKey,
    /// The bytes that the record's signature is over.
    signed: Vec<u8>,
}

impl Held {
    /// Takes a record.
    ///
    /// # Errors
    /// [`Failed`] when it is not one of the programme's.
    pub(super) fn new(record: &[u8], till: &Till) -> Result<Self, Failed> {
        let founded = till.persona.founded();
        let message = Signed::parse(record).map_err(while_doing("a record"))?;
        let kid = message.key_identifier();
        let key = founded.value_key(&till.programme, kid);
        let key = key.ok_or_else(|| Failed("a record by another key than the programme's".to_owned()))?;
        let scope = founded.genesis().as_bytes();
        let payload = message.recorded_payload().to_vec();
        let signed = Unsigned::new(Kind::ValueUpdate, scope, kid, payload).to_be_signed();
        let held = Self { record: record.to_vec(), genesis: *founded.genesis(), key, signed };
        held.verify_bare()?;
        Ok(held)
    }

    fn verify_bare(&self) -> Result<(), Failed> {
        let spki = self.key.spki();
        let point = spki.get(spki.len().saturating_sub(POINT_LEN)..).unwrap_or_default();
        let from = self.record.len().saturating_sub(SIGNATURE_LEN);
        let signature = self.record.get(from..).unwrap_or_default();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(black_box(&self.signed), signature)
            .map_err(|_| Failed("a record's signature does not verify".to_owned()))
    }

    fn verify_update(&self) -> Result<(), Failed> {
        let update = ValueUpdate::verify(black_box(&self.record), &self.genesis, &self.key);
        update.map(|update| drop(black_box(update))).map_err(while_doing("a record"))
    }

    /// Verifies it for as long as is ordered.
    ///
    /// # Errors
    /// [`Failed`] when it does not verify.
    pub(super) fn measure(&self, order: Order) -> Result<Measured, Failed> {
        let watch = Watch::start(None)?;
        let (mut tally, began) = (Tally::default(), Instant::now());
        let length = Duration::from_millis(order.millis);
        while began.elapsed() < length {
            let call = Instant::now();
            if order.work == Work::VerifyBare {
                self.verify_bare()?
            } else {
                self.verify_update()?
            }
            tally.count(1, call);
        }
        watch.stop(|| vec![tally])
    }
}
