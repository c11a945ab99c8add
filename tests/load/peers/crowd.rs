//! Clients that ask a peer for signatures, each as fast as it is answered, and a look at what they are given.
//!
//! The load of the product's own rows, with the same sample of replies verified. How a peer is asked is its client's.

use crate::{
    order::{Measured, Order},
    tally::{Tally, Watch},
    while_doing,
};
use keysvc_tests::ground::Failed;
use ring::{
    digest::{Digest, SHA256, digest},
    signature::{UnparsedPublicKey, VerificationAlgorithm},
};
use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

/// One call of so many is verified, with all its signatures; every reply is decoded.
const VERIFIED: u64 = 64;
/// Bytes of an uncompressed point of P-256 (SEC 1, section 2.3.3).
const POINT_LEN: usize = 65;
/// The first byte of an uncompressed point.
const UNCOMPRESSED: u8 = 4;

/// Asks a peer.
pub trait Client: Send + 'static {
    /// Has each digest signed, by one call.
    ///
    /// # Errors
    /// [`Failed`] when the peer refuses or is gone.
    fn sign(&mut self, digests: &[Digest]) -> impl Future<Output = Result<Vec<Vec<u8>>, Failed>> + Send;
}

/// A peer's public key, and how its signatures are written.
#[derive(Debug, Clone)]
pub struct Verifier {
    algorithm: &'static dyn VerificationAlgorithm,
    point: [u8; POINT_LEN],
}

impl Verifier {
    /// Of a key whose encoding ends with the point, as a public key in DER does, and as a bare point is.
    ///
    /// # Errors
    /// [`Failed`] when there is no point.
    pub fn new(algorithm: &'static dyn VerificationAlgorithm, key: &[u8]) -> Result<Self, Failed> {
        let point =
            key.last_chunk().copied().filter(|point: &[u8; POINT_LEN]| point.starts_with(&[UNCOMPRESSED]));
        let point = point.ok_or_else(|| Failed("the peer's public key is not one over P-256".to_owned()))?;
        Ok(Self { algorithm, point })
    }

    /// Verifies a signature of this message's digest.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Failed> {
        UnparsedPublicKey::new(self.algorithm, self.point)
            .verify(message, signature)
            .map_err(|_| Failed("a peer's signature does not verify".to_owned()))
    }
}

/// A different message for each signature: which client's, which call's, which place in it.
fn message(client: usize, call: u64, place: usize) -> Vec<u8> {
    format!("{client} {call} {place}").into_bytes()
}

/// Lets the clients ask until the time is over, so many digests a call.
///
/// # Errors
/// [`Failed`] when any call fails or a signature of the sample does not verify.
pub async fn run<C: Client>(
    order: Order,
    clients: Vec<C>,
    each_call: usize,
    verifier: &Verifier,
) -> Result<Measured, Failed> {
    let verifier = Arc::new(verifier.clone());
    let watch = Watch::start(order.service)?;
    let end = Instant::now().checked_add(Duration::from_millis(order.millis));
    let tasks: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, client)| tokio::spawn(ask((number, client), each_call, Arc::clone(&verifier), end)))
        .collect();
    let (mut tallies, mut clients) = (Vec::new(), Vec::new());
    for task in tasks {
        let (client, tally) = task.await.map_err(while_doing("a connection's task"))??;
        clients.push(client);
        tallies.push(tally);
    }
    // The connections are still there when memory is looked at.
    watch.stop(|| tallies)
}

async fn ask<C: Client>(
    (number, mut client): (usize, C),
    each_call: usize,
    verifier: Arc<Verifier>,
    end: Option<Instant>,
) -> Result<(C, Tally), Failed> {
    let mut tally = Tally::default();
    let mut call = 0_u64;
    while end.is_some_and(|end| Instant::now() < end) {
        let messages: Vec<_> = (0..each_call).map(|place| message(number, call, place)).collect();
        let digests: Vec<_> = messages.iter().map(|message| digest(&SHA256, message)).collect();
        let began = Instant::now();
        let signatures = client.sign(&digests).await?;
        tally.count(u64::try_from(each_call).unwrap_or(u64::MAX), began);
        if signatures.len() != each_call {
            return Err(Failed(format!("{} signatures instead of {each_call}", signatures.len())));
        }
        if call.is_multiple_of(VERIFIED) {
            for (message, signature) in messages.iter().zip(&signatures) {
                verifier.verify(message, signature)?;
            }
            tally.verified = tally.verified.saturating_add(1);
        }
        call = call.saturating_add(1);
    }
    Ok((client, tally))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
    };

    #[test]
    fn a_signature_of_another_message_or_by_another_key_does_not_verify() {
        let random = SystemRandom::new();
        let [ours, another] = [(), ()].map(|()| {
            let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).unwrap()
        });
        let verifier = Verifier::new(&ECDSA_P256_SHA256_FIXED, ours.public_key().as_ref()).unwrap();
        let said = message(0, 1, 2);
        let signed = |key: &EcdsaKeyPair| key.sign(&random, &said).unwrap();
        assert!(verifier.verify(&said, signed(&ours).as_ref()).is_ok());
        assert!(verifier.verify(&message(0, 1, 3), signed(&ours).as_ref()).is_err());
        assert!(verifier.verify(&said, signed(&another).as_ref()).is_err());
    }

    #[test]
    fn a_key_without_a_point_is_refused() {
        assert!(Verifier::new(&ECDSA_P256_SHA256_FIXED, &[4; 64]).is_err());
        assert!(Verifier::new(&ECDSA_P256_SHA256_FIXED, &[0; 65]).is_err());
    }
}
