//! Who asks: a terminal or a station with its keys, its TLS side and what it believes.

use crate::{line::Address, while_doing};
use bytes::Bytes;
use keysvc_client::{
    ClientConfig,
    reader::Reader,
    signer::{self, StatementSigner},
    trust_store::Founded,
};
use keysvc_protocol::{
    bytes::{Blob, Idem},
    cbor,
    checkpoint::{Origin, SignedCheckpoint},
    cose::{Kind, Unsigned},
    name::Name,
    request::{Envelope, Operation},
    schema::Schema,
};
use keysvc_tests::ground::Failed;
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::{
    RootCertStore,
    client::Resumption,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    version::TLS13,
};
use serde::Serialize;
use std::{path::Path, sync::Arc};

/// The epoch of a log that was never restored.
const FIRST_EPOCH: u32 = 1;

/// A persona.
#[derive(Debug)]
pub struct Persona {
    /// Where it comes in.
    pub address: Address,
    reader: Reader,
    signer: Arc<dyn StatementSigner>,
    random: SystemRandom,
}

impl Persona {
    /// Opens the statement key, and learns what the service is.
    ///
    /// # Errors
    /// [`Failed`] naming what cannot be used.
    pub async fn new(path: &Path) -> Result<Self, Failed> {
        let config = ClientConfig::read(path).map_err(while_doing("the client's configuration"))?;
        let signer = signer::of_config(&config).map_err(while_doing("the statement key"))?;
        Self::with_signer(config, signer).await
    }

    /// The same with this key.
    ///
    /// # Errors
    /// As [`Persona::new`].
    pub async fn with_signer(config: ClientConfig, signer: Arc<dyn StatementSigner>) -> Result<Self, Failed> {
        let reader = Reader::connect(&config).await.map_err(while_doing("connecting"))?;
        let address = Address::of(&config)?;
        Ok(Self { address, reader, signer, random: SystemRandom::new() })
    }

    /// What follows from the trust file.
    pub fn founded(&self) -> &Founded {
        self.reader.founded()
    }

    /// What it is enrolled as.
    ///
    /// # Errors
    /// [`Failed`] when nobody enrolled it.
    pub fn name(&self) -> Result<Name, Failed> {
        self.reader.name_of(&self.signer.public_key()).map_err(while_doing("the persona's name"))
    }

    /// Signs a request.
    ///
    /// # Errors
    /// [`Failed`] when the key does not sign.
    pub fn statement(&self, operation: Operation, request: &impl Serialize) -> Result<Vec<u8>, Failed> {
        self.message(Kind::Request(operation), request)
    }

    /// Signs a message of this kind.
    ///
    /// # Errors
    /// [`Failed`] when the key does not sign.
    pub fn message(&self, kind: Kind, content: &impl Serialize) -> Result<Vec<u8>, Failed> {
        let scope = self.founded().genesis().as_bytes();
        let kid = self.signer.public_key().identifier();
        let unsigned = Unsigned::new(kind, scope, kid, cbor::encode(content));
        let signature = self.signer.sign(&unsigned.to_be_signed()).map_err(while_doing("signing"))?;
        Ok(unsigned.with_signature(&signature))
    }

    /// A fresh idempotency key.
    ///
    /// # Errors
    /// [`Failed`] when the system gives no random bytes.
    pub fn idem(&self) -> Result<Idem, Failed> {
        let mut bytes = [0; Idem::LEN];
        self.random.fill(&mut bytes).map_err(while_doing("random bytes"))?;
        Ok(Idem::new(bytes))
    }

    /// Checks a checkpoint's signature.
    ///
    /// # Errors
    /// [`Failed`] when it is not the service's.
    pub fn verify(&self, checkpoint: &SignedCheckpoint) -> Result<(), Failed> {
        let origin = Origin::of(&self.founded().trust().domain, FIRST_EPOCH);
        checkpoint
            .verify(&origin, self.founded().checkpoint_key())
            .map_err(while_doing("a reply's checkpoint"))
    }
}

/// The body of a request.
///
/// # Errors
/// [`Failed`] when the statement is too long.
pub fn envelope(statement: Vec<u8>, seen: Option<SignedCheckpoint>) -> Result<Bytes, Failed> {
    let request = Blob::try_from(statement).map_err(while_doing("a request"))?;
    Ok(cbor::encode(&Envelope { schema: Schema, request, seen, beside: None }).into())
}

/// The TLS side of a configuration: 1.3 alone, and each connection a full handshake.
///
/// # Errors
/// [`Failed`] naming what cannot be used.
pub fn tls(config: &ClientConfig) -> Result<rustls::ClientConfig, Failed> {
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, Failed> {
        let all = CertificateDer::pem_file_iter(path).map_err(while_doing("a certificate"))?;
        all.collect::<Result<_, _>>().map_err(while_doing("a certificate"))
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&config.ca)? {
        roots.add(certificate).map_err(while_doing("the CA's certificate"))?;
    }
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(while_doing("the TLS key"))?;
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(while_doing("TLS 1.3"))?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&config.certificate)?, key)
        .map_err(while_doing("the TLS key"))?;
    tls.resumption = Resumption::disabled();
    Ok(tls)
}
