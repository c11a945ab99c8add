//! The TLS side: TLS 1.3 alone, ring, our certificate, the site's CA, no resumption; and whose fault an error is.

use crate::{
    config::{ClientConfig, ConfigError},
    private_file,
};
use rustls::{
    AlertDescription, RootCertStore,
    client::Resumption,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    version::TLS13,
};
use std::{error::Error, io, path::Path, sync::Arc};

/// The name that the service's certificate must have.
pub(super) fn server_name(config: &ClientConfig) -> Result<ServerName<'static>, ConfigError> {
    ServerName::try_from(config.server_name.clone())
        .map_err(|_| ConfigError::missing("a server-name that is a DNS name or an address"))
}

/// The TLS configuration: who we are and whom we believe.
pub(super) fn client_config(config: &ClientConfig) -> Result<rustls::ClientConfig, ConfigError> {
    let key = private_file::read(&config.key)?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| ConfigError::content(&config.key, "not a private key in PEM"))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&config.ca)? {
        roots.add(certificate).map_err(|error| ConfigError::content(&config.ca, error.to_string()))?;
    }
    let chain = certificates(&config.certificate)?;
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| ConfigError::missing(format!("TLS 1.3: {error}")))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| {
            ConfigError::content(&config.certificate, format!("{error}; give the key's certificate"))
        })?;
    // A resumed session would outlive the registry's word on who we are.
    tls.resumption = Resumption::disabled();
    tls.enable_early_data = false;
    Ok(tls)
}

/// The certificates of a PEM file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let pem = std::fs::read(path).map_err(|error| ConfigError::unreadable(path, &error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(ConfigError::content(path, "no certificate in PEM")),
    }
}

/// Says why it is an authentication error, if it is one: an alert about certificates from the service, seen during
/// the handshake or at the first read, or a certificate of the service that we do not accept.
pub(super) fn authentication(error: &(dyn Error + 'static)) -> Option<String> {
    match tls_error(error)? {
        rustls::Error::AlertReceived(alert) if is_about_us(*alert) => {
            Some(format!("the service did not accept our certificate ({alert:?})"))
        }
        rustls::Error::InvalidCertificate(reason) => {
            Some(format!("the service's certificate is not acceptable ({reason})"))
        }
        _ => None,
    }
}

fn is_about_us(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

/// The TLS error somewhere inside an error of hyper's or the socket's.
fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        // An I/O error's source is its content's source: the content itself is asked for by name.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
