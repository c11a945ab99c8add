//! The server: the same TLS settings, HTTP library, buffers and number of threads as the front, and an answer of as many
//! bytes as it is asked for.
//!
//! It admits everyone with a certificate of the site's CA, looks into nothing, and keeps no time: what the front does
//! more is what is to be seen.

use crate::{crew::Worker, while_doing};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use keysvc_tests::ground::Failed;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use softhsm_setup::Site;
use std::{convert::Infallible, path::Path, sync::Arc};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::TlsAcceptor;

/// Threads of the front.
const THREADS: usize = 2;
/// The front's buffer for one connection, in bytes.
const BUFFER_LEN_MAX: usize = 64 * 1024;
/// Longest answer, in bytes: as of the service.
const ANSWER_LEN_MAX: usize = 1024 * 1024;

/// The server, listening. Its threads serve; whoever asks it as a worker learns its port.
pub struct Echo {
    port: u16,
    _runtime: Runtime,
}

impl Echo {
    /// Listens with the certificate of this site's service.
    ///
    /// # Errors
    /// [`Failed`] naming the file that cannot be used.
    pub fn new(site: &Path) -> Result<Self, Failed> {
        let site = Site::open(site).map_err(while_doing("the site"))?;
        let acceptor = acceptor(&site)?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(THREADS).enable_all().build();
        let runtime = runtime.map_err(while_doing("the runtime"))?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.map_err(while_doing("the echo's port"))?;
        let port = listener.local_addr().map_err(while_doing("the echo's port"))?.port();
        runtime.spawn(serve(listener, acceptor));
        Ok(Self { port, _runtime: runtime })
    }
}

impl Worker for Echo {
    type Order = ();
    type Answer = u16;

    fn measure(&mut self, (): ()) -> Result<u16, Failed> {
        Ok(self.port)
    }
}

fn acceptor(site: &Site) -> Result<TlsAcceptor, Failed> {
    let home = site.service();
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, Failed> {
        let all = CertificateDer::pem_file_iter(path).map_err(while_doing("a certificate"))?;
        all.collect::<Result<_, _>>().map_err(while_doing("a certificate"))
    };
    let mut roots = RootCertStore::empty();
    for root in certificates(&site.authority_certificate())? {
        roots.add(root).map_err(while_doing("the CA's certificate"))?;
    }
    let provider = Arc::new(default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let key = PrivateKeyDer::from_pem_file(home.tls_key()).map_err(while_doing("the TLS key"))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(while_doing("TLS 1.3"))?
        .with_client_cert_verifier(verifier.map_err(while_doing("the CA's certificate"))?)
        .with_single_cert(certificates(&home.tls_certificate())?, key)
        .map_err(while_doing("the TLS key"))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    // A listener that fails ends the server; its clients then say so.
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(carry(socket, acceptor.clone()));
    }
}

async fn carry(socket: TcpStream, acceptor: TlsAcceptor) {
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let Ok(stream) = acceptor.accept(socket).await else { return };
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .keep_alive(true)
        .half_close(false)
        .max_buf_size(BUFFER_LEN_MAX)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    // How a connection ends is its client's affair.
    let _ = connection.await;
}

/// Takes the whole request, and answers with as many bytes as its path says.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let len: Option<usize> = request.uri().path().strip_prefix('/').and_then(|len| len.parse().ok());
    let taken = request.into_body().collect().await;
    let mut response = match (len, taken) {
        (Some(len), Ok(_)) if len <= ANSWER_LEN_MAX => Response::new(Full::new(vec![0; len].into())),
        _ => {
            let mut refused = Response::new(Full::default());
            *refused.status_mut() = StatusCode::BAD_REQUEST;
            refused
        }
    };
    let cbor = header::HeaderValue::from_static("application/cbor");
    response.headers_mut().insert(header::CONTENT_TYPE, cbor);
    Ok(response)
}
