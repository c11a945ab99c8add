//! TLS as this service speaks it: 1.3 only (RFC 8446), a client certificate always, no tickets, no resumption and no
//! early data; so each connection proves its key anew.
//!
//! The only file that builds a TLS configuration. It is built anew at each reload, and live connections are then judged
//! again by it. Which names are good is [`super::peer`]'s affair.

use super::{FrontFault, FrontSettings, judged_by::NeverBack};
use crate::config::fixed::TLS_FILE_LEN_MAX;
use keysvc_protocol::{bytes::Digest, hash::sha256};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::TLS13,
};
use std::{
    fmt,
    fs::File,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};
use tokio_rustls::TlsAcceptor;
use x509_parser::{
    certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList,
};
use zeroize::Zeroizing;

/// Everything of TLS that the files say, as of one reading of them.
pub(super) struct TlsState {
    /// Accepts connections.
    pub(super) acceptor: TlsAcceptor,
    verifier: Arc<dyn ClientCertVerifier>,
    /// When the server's certificate ends, seconds since 1970-01-01 UTC.
    pub(super) certificate_not_after_s: i64,
    /// When the first of the revocation lists is due, seconds since 1970-01-01 UTC; nothing without lists.
    pub(super) crl_next_update_s: Option<i64>,
    parts: Parts,
}

/// What each kind of file held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    certificate: Digest,
    ca: Digest,
    crls: Digest,
}

impl fmt::Debug for TlsState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsState").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl TlsState {
    /// Reads the files.
    ///
    /// # Errors
    /// [`FrontFault`] naming the file that cannot be used.
    pub(super) fn read(settings: &FrontSettings) -> Result<Self, FrontFault> {
        // Named here instead of installed for the process: nothing else in it may choose another.
        let provider = Arc::new(ring::default_provider());
        let roots = certificates(&settings.ca)?;
        let mut lists = Vec::new();
        for path in &settings.crls {
            lists.extend(revocation_lists(path)?);
        }
        let parts = Parts {
            certificate: digest(certificates(&settings.certificate)?.iter().map(AsRef::as_ref)),
            ca: digest(roots.iter().map(AsRef::as_ref)),
            crls: digest(lists.iter().map(AsRef::as_ref)),
        };
        let (crl_next_update_s, verifier) = unharmed(settings, || {
            Ok((next_update(settings, &roots, &lists)?, verifier(settings, roots, lists, &provider)?))
        })?;
        Ok(Self {
            acceptor: acceptor(settings, provider, Arc::clone(&verifier))?,
            verifier,
            certificate_not_after_s: not_after(settings)?,
            crl_next_update_s,
            parts,
        })
    }

    /// As [`TlsState::read`], and refuses what has expired already: what is in force is better.
    ///
    /// # Errors
    /// [`FrontFault`] naming the file and the mend.
    pub(super) fn read_again(settings: &FrontSettings) -> Result<Self, FrontFault> {
        let state = Self::read(settings)?;
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        if state.certificate_not_after_s <= now {
            return Err(FrontFault::Expired { path: settings.certificate.clone(), what: "certificate" });
        }
        if state.crl_next_update_s.is_some_and(|due| due <= now) {
            let path = settings.crls.first().unwrap_or(&settings.ca).clone();
            return Err(FrontFault::Expired { path, what: "revocation list, or one beside it," });
        }
        Ok(state)
    }

    /// What is other than in `before`, in words.
    pub(super) fn changes(&self, before: &Self) -> Vec<&'static str> {
        let (new, old) = (&self.parts, &before.parts);
        let each = [
            (new.certificate != old.certificate, "certificate"),
            (new.ca != old.ca, "CA"),
            (new.crls != old.crls, "revocation lists"),
        ];
        each.into_iter().filter(|(changed, _)| *changed).map(|(_, what)| what).collect()
    }

    /// Judges the certificates of a live connection again.
    ///
    /// # Errors
    /// Why they would not be let in now, in the library's words.
    pub(super) fn judge(&self, chain: &[CertificateDer<'_>]) -> Result<(), String> {
        let Some((leaf, rest)) = chain.split_first() else { return Err("no certificate".to_owned()) };
        let judged = self.verifier.verify_client_cert(leaf, rest, UnixTime::now());
        judged.map(drop).map_err(|error| error.to_string())
    }
}

/// Builds what accepts TLS connections.
fn acceptor(
    settings: &FrontSettings,
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<TlsAcceptor, FrontFault> {
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
    certificates: Vec<CertificateDer<'static>>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, FrontFault> {
    let unusable = |reason: String| FrontFault::Tls { path: settings.ca.clone(), reason };
    let mut roots = RootCertStore::empty();
    for root in certificates {
        roots.add(root).map_err(|error| unusable(error.to_string()))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if !lists.is_empty() {
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    let verifier = builder.build().map_err(|error| unusable(error.to_string()))?;
    Ok(Arc::new(NeverBack::over(verifier)))
}

/// Reads what a CA publishes. Revocation lists are fetched from elsewhere and read before anyone has verified their
/// signature: one over which a library stumbles (as in RUSTSEC-2026-0104) is refused like any other that cannot be read,
/// and neither ends the front nor the task that reads files again.
fn unharmed<T>(
    settings: &FrontSettings,
    read: impl FnOnce() -> Result<T, FrontFault>,
) -> Result<T, FrontFault> {
    // What is half done in there is dropped with it.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let path = settings.crls.first().unwrap_or(&settings.ca).clone();
        Err(FrontFault::Holds { path, wanted: "revocation list" })
    })
}

/// When the server's certificate ends.
fn not_after(settings: &FrontSettings) -> Result<i64, FrontFault> {
    let path = &settings.certificate;
    let chain = certificates(path)?;
    let leaf = chain.first().and_then(|leaf| X509Certificate::from_der(leaf).ok());
    let (_, leaf) = leaf.ok_or_else(|| FrontFault::Holds { path: path.clone(), wanted: "certificate" })?;
    Ok(leaf.validity().not_after.timestamp())
}

/// When the first of the lists is due. One of them must be the CA's: without it every certificate's standing would be
/// unknown, and nobody let in.
fn next_update(
    settings: &FrontSettings,
    roots: &[CertificateDer<'_>],
    lists: &[CertificateRevocationListDer<'_>],
) -> Result<Option<i64>, FrontFault> {
    let Some(path) = settings.crls.first() else { return Ok(None) };
    let subjects: Vec<_> = roots
        .iter()
        .filter_map(|root| X509Certificate::from_der(root).ok())
        .map(|(_, root)| root.subject().as_raw().to_vec())
        .collect();
    let (mut due, mut of_the_ca) = (None, false);
    for list in lists {
        let (_, list) = CertificateRevocationList::from_der(list.as_ref())
            .map_err(|_| FrontFault::Holds { path: path.clone(), wanted: "revocation list" })?;
        of_the_ca |= subjects.iter().any(|subject| subject.as_slice() == list.issuer().as_raw());
        let next = list.next_update().map(|next| next.timestamp());
        due = match (due, next) {
            (Some(due), Some(next)) => Some(std::cmp::min(due, next)),
            (due, next) => due.or(next),
        };
    }
    if of_the_ca {
        Ok(due)
    } else {
        Err(FrontFault::ForeignList { path: path.clone(), ca: settings.ca.clone() })
    }
}

/// Over the parts and their lengths.
fn digest<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Digest {
    let each: Vec<_> = parts.map(|part| sha256(&[part])).collect();
    sha256(&each.iter().map(|digest| digest.as_bytes().as_slice()).collect::<Vec<_>>())
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, FrontFault> {
    let fault = |error| FrontFault::Read { path: path.to_owned(), error };
    read_file(&File::open(path).map_err(fault)?, path)
}

fn read_file(file: &File, path: &Path) -> Result<Zeroizing<Vec<u8>>, FrontFault> {
    let mut bytes = Zeroizing::new(Vec::new());
    match file.take(TLS_FILE_LEN_MAX).read_to_end(&mut bytes) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::FrontLimits;

    #[test]
    fn a_list_over_which_the_library_stumbles_is_a_fault_that_names_its_file() {
        let settings = FrontSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            certificate: "own.pem".into(),
            key: "own.key".into(),
            ca: "ca.pem".into(),
            crls: vec!["list.pem".into()],
            trust_domain: "demo.test".parse().unwrap(),
            keeper_socket: "keeper.sock".into(),
            health: None,
            limits: FrontLimits::default(),
        };
        let fault = unharmed::<()>(&settings, || panic!("out of bounds")).unwrap_err();
        assert!(fault.to_string().contains("list.pem"), "{fault}");
        assert_eq!(unharmed(&settings, || Ok(7)).unwrap(), 7);
    }
}
