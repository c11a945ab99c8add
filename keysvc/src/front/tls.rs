//! TLS as this service speaks it: 1.3 only (RFC 8446), a client certificate always, no tickets, no resumption and no
//! early data; so each connection proves its key anew.
//!
//! The only file that builds a TLS configuration. Which names are good is [`super::peer`]'s affair.

use super::{FrontFault, FrontSettings};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::TLS13,
};
use std::{fs::File, io::Read as _, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

/// Longest file read, in bytes: a revocation list of 300,000 entries at 40 bytes, and a third more for PEM.
const FILE_LEN_MAX: u64 = 16 * 1024 * 1024;

/// Builds what accepts TLS connections.
///
/// # Errors
/// [`FrontFault`] naming the file that cannot be used.
pub(super) fn acceptor(settings: &FrontSettings) -> Result<TlsAcceptor, FrontFault> {
    // Named here instead of installed for the process: nothing else in it may choose another.
    let provider = Arc::new(ring::default_provider());
    let verifier = verifier(settings, &provider)?;
    let chain = certificates(&settings.certificate)?;
    let key = private_key(&settings.key)?;
    let unusable = |error: rustls::Error| FrontFault::Tls {
        path: settings.certificate.clone(),
        reason: error.to_string(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Client certificates must chain to the configured roots and, where there are revocation lists, be covered by one
/// that has not expired: an unknown status is a refusal, which is the library's default.
fn verifier(
    settings: &FrontSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, FrontFault> {
    let unusable = |reason: String| FrontFault::Tls { path: settings.ca.clone(), reason };
    let mut roots = RootCertStore::empty();
    for root in certificates(&settings.ca)? {
        roots.add(root).map_err(|error| unusable(error.to_string()))?;
    }
    let mut lists = Vec::new();
    for path in &settings.crls {
        lists.extend(revocation_lists(path)?);
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if !lists.is_empty() {
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    builder.build().map_err(|error| unusable(error.to_string()))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, FrontFault> {
    let fault = |error| FrontFault::Read { path: path.to_owned(), error };
    read_file(&File::open(path).map_err(fault)?, path)
}

fn read_file(file: &File, path: &Path) -> Result<Zeroizing<Vec<u8>>, FrontFault> {
    let mut bytes = Zeroizing::new(Vec::new());
    match file.take(FILE_LEN_MAX).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(FrontFault::Read { path: path.to_owned(), error }),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FrontFault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(FrontFault::Holds { path: path.to_owned(), wanted: "certificate" }),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FrontFault> {
    let fault = |error| FrontFault::Read { path: path.to_owned(), error };
    let file = File::open(path).map_err(fault)?;
    // Of the open file, so that it is the file that is read.
    let mode = file.metadata().map_err(fault)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FrontFault::KeyOpenToOthers { path: path.to_owned(), mode });
    }
    PrivateKeyDer::from_pem_slice(&read_file(&file, path)?)
        .map_err(|_| FrontFault::Holds { path: path.to_owned(), wanted: "private key" })
}

fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, FrontFault> {
    let bytes = read(path)?;
    if !bytes.starts_with(b"-----BEGIN") {
        return Ok(vec![CertificateRevocationListDer::from(bytes.to_vec())]);
    }
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(FrontFault::Holds { path: path.to_owned(), wanted: "revocation list" }),
    }
}
