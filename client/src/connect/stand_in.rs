//! The far end of a connection for this crate's tests: real TLS 1.3 and HTTP/1.1, answers that the test chooses.
//! It can do what the service never does: hang up, fall silent, contradict itself.

use crate::config::{ClientConfig, StatementSettings};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use keysvc_protocol::{
    bytes::Idem,
    cbor,
    refusal::{Refusal, RefusalReply, RequestId},
    request::Operation,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, crypto::ring::default_provider, pki_types::PrivateKeyDer,
    server::WebPkiClientVerifier, version::TLS13,
};
use std::{
    fs::{self, Permissions},
    future::pending,
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::Notify};
use tokio_rustls::TlsAcceptor;

/// What is answered to one request.
pub(crate) enum Step {
    /// Status 200 and these bytes.
    Reply(Vec<u8>),
    /// A refusal.
    Refuse(Refusal),
    /// Any status and bytes.
    Raw(u16, Vec<u8>),
    /// The connection is closed without an answer.
    HangUp,
    /// No answer ever.
    Silence,
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        roots
    }
}

/// The authorities of both sides; the same one unless a test says otherwise.
pub(crate) struct Trusts<'a> {
    /// Who issued the service's certificate.
    pub(crate) service: &'a Authority,
    /// Whom the service believes about clients.
    pub(crate) clients: &'a Authority,
    /// Who issued our certificate, and whom we believe about the service.
    pub(crate) ours: &'a Authority,
}

/// A running far end. It ends with the test's runtime.
pub(crate) struct StandIn {
    folder: tempfile::TempDir,
    address: SocketAddr,
    line: Arc<Line>,
}

/// What all connections of one far end share.
struct Line {
    acceptor: TlsAcceptor,
    answers: Answers,
    /// Time before each answer.
    delay: Duration,
    accepted: AtomicUsize,
    closing: Notify,
}

type Answers = Arc<Mutex<dyn FnMut(Operation, Bytes) -> Step + Send>>;

impl StandIn {
    /// Starts with one authority for everybody.
    pub(crate) async fn start(answers: impl FnMut(Operation, Bytes) -> Step + Send + 'static) -> Self {
        let site = Authority::new();
        Self::start_with(&Trusts { service: &site, clients: &site, ours: &site }, answers).await
    }

    pub(crate) async fn start_with(
        trusts: &Trusts<'_>,
        answers: impl FnMut(Operation, Bytes) -> Step + Send + 'static,
    ) -> Self {
        Self::start_all(trusts, Duration::ZERO, answers).await
    }

    /// Starts one that takes so long for each answer.
    pub(crate) async fn start_slow(
        delay: Duration,
        answers: impl FnMut(Operation, Bytes) -> Step + Send + 'static,
    ) -> Self {
        let site = Authority::new();
        Self::start_all(&Trusts { service: &site, clients: &site, ours: &site }, delay, answers).await
    }

    async fn start_all(
        trusts: &Trusts<'_>,
        delay: Duration,
        answers: impl FnMut(Operation, Bytes) -> Step + Send + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = trusts.ours.issue("client");
        write(&folder.path().join("ca.pem"), &trusts.ours.certificate.pem());
        write(&folder.path().join("client.pem"), &certificate.pem());
        write(&folder.path().join("client.key"), &key.serialize_pem());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Line {
            acceptor: acceptor(trusts),
            answers: Arc::new(Mutex::new(answers)),
            delay,
            accepted: AtomicUsize::new(0),
            closing: Notify::new(),
        });
        tokio::spawn(accept(listener, line.clone()));
        Self { folder, address, line }
    }

    /// How many connections were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.line.accepted.load(Ordering::Acquire)
    }

    /// Closes every connection there is.
    pub(crate) fn close_all(&self) {
        self.line.closing.notify_waiters();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file into the folder, readable by us alone.
    pub(crate) fn put(&self, name: &str, content: &str) {
        write(&self.folder.path().join(name), content);
    }

    /// A configuration for it: trust file `trust`, statement key `statement`, state folder `state`.
    pub(crate) fn config(&self) -> ClientConfig {
        let path = |name: &str| self.folder.path().join(name);
        ClientConfig {
            endpoints: vec![self.address.to_string()],
            server_name: "localhost".into(),
            ca: path("ca.pem"),
            certificate: path("client.pem"),
            key: path("client.key"),
            trust: path("trust"),
            state: path("state"),
            deadline_ms: 10_000,
            connections: 4,
            token: None,
            statement: Some(StatementSettings { file: path("statement") }),
        }
    }
}

fn write(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fn acceptor(trusts: &Trusts<'_>) -> TlsAcceptor {
    let provider = Arc::new(default_provider());
    let roots = Arc::new(trusts.clients.roots());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build().unwrap();
    let (certificate, key) = trusts.service.issue("localhost");
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.send_tls13_tickets = 0;
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(listener: TcpListener, line: Arc<Line>) {
    while let Ok((socket, _)) = listener.accept().await {
        let line = line.clone();
        line.accepted.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(async move {
            let Ok(stream) = line.acceptor.accept(socket).await else { return };
            let service = service_fn(|request| answer(request, line.clone()));
            // A test that hangs up ends the connection with an error of its own.
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = serving => {}
                () = line.closing.notified() => {}
            }
        });
    }
}

async fn answer(request: Request<Incoming>, line: Arc<Line>) -> io::Result<Response<Full<Bytes>>> {
    let operation = request.uri().path().strip_prefix("/v1/").and_then(Operation::from_name).unwrap();
    assert_eq!(request.method(), "POST");
    assert_eq!(request.headers()["content-type"], "application/cbor");
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    if !line.delay.is_zero() {
        tokio::time::sleep(line.delay).await;
    }
    let step = line.answers.lock().unwrap()(operation, body);
    let (status, bytes) = match step {
        Step::Reply(bytes) => (200, bytes),
        Step::Raw(status, bytes) => (status, bytes),
        Step::Refuse(refusal) => {
            (409, cbor::encode(&RefusalReply::new(refusal, RequestId(Idem::new([7; 16])))))
        }
        Step::HangUp => return Err(io::Error::other("hung up")),
        Step::Silence => pending().await,
    };
    Ok(Response::builder().status(status).body(Full::new(bytes.into())).unwrap())
}
