//! The ground of these tests: a certification authority, a front, an echoing keeper's side, and raw HTTP clients.

use bytes::Bytes;
use keysvc::{
    front::{Counters, Front, FrontFault, FrontLimits, FrontSettings},
    link::{Answer, Call, KeeperState, Look, listen},
};
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    refusal::{Refusal, RefusalReply},
    request::Operation,
    schema::Schema,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    version::TLS13,
};
use std::{
    fs, io, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc, time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Longer than anything here takes; a test that reaches it has failed.
pub(crate) const LONG: Duration = Duration::from_secs(10);
/// A terminal's good name.
pub(crate) const TERMINAL: &str = "spiffe://demo.test/terminal/t1";

/// A certification authority.
pub(crate) struct Authority(pub(crate) CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A client's certificate with these URI names.
    pub(crate) fn client(&self, uris: &[&str]) -> Identity {
        self.client_with(uris, |_| {})
    }

    pub(crate) fn client_with(&self, uris: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.der().clone(), key: key.into() }
    }

    fn server_pem(&self) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A front with its authority and its folder.
pub(crate) struct Ground {
    pub(crate) folder: TempDir,
    pub(crate) authority: Authority,
    pub(crate) address: SocketAddr,
    pub(crate) health: Option<SocketAddr>,
    pub(crate) counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    front: JoinHandle<()>,
}

/// Files for a front in a new folder.
pub(crate) fn settings(folder: &TempDir, authority: &Authority, limits: FrontLimits) -> FrontSettings {
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (certificate, key) = authority.server_pem();
    FrontSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        certificate: write("server.pem", certificate),
        key: write("server.key", key),
        ca: write("ca.pem", authority.0.pem()),
        crls: Vec::new(),
        trust_domain: "demo.test".parse().unwrap(),
        keeper_socket: folder.path().join("link/keeper.sock"),
        health: None,
        limits,
    }
}

impl Ground {
    pub(crate) async fn new() -> Self {
        Self::with(FrontLimits::default(), |_, _| {}).await.unwrap()
    }

    pub(crate) async fn with_limits(limits: FrontLimits) -> Self {
        Self::with(limits, |_, _| {}).await.unwrap()
    }

    /// A ground whose settings were changed before the front begins.
    pub(crate) async fn with(
        limits: FrontLimits,
        change: impl FnOnce(&mut FrontSettings, &Authority),
    ) -> Result<Self, FrontFault> {
        let (folder, authority) = (TempDir::new().unwrap(), Authority::new("demo authority"));
        let mut settings = settings(&folder, &authority, limits);
        change(&mut settings, &authority);
        let front = Front::bind(settings).await?;
        let (address, counters) = (front.local_addr().unwrap(), front.counters());
        let health = front.health_addr();
        let (stop, stopped) = oneshot::channel();
        let front = tokio::spawn(front.serve(async move { drop(stopped.await) }));
        Ok(Self { folder, authority, address, health, counters, stop: Some(stop), front })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("link/keeper.sock")
    }

    /// A client with a terminal's good certificate, connected.
    pub(crate) async fn terminal(&self) -> Client {
        self.connect(&self.authority.client(&[TERMINAL])).await
    }

    pub(crate) async fn connect(&self, identity: &Identity) -> Client {
        self.try_connect(Some(identity)).await.unwrap()
    }

    /// A client connected; the handshake's failure may show only on the first read.
    pub(crate) async fn try_connect(&self, identity: Option<&Identity>) -> io::Result<Client> {
        connect(self.address, client_config(&self.authority, identity)).await
    }

    /// A terminal that the keeper answers.
    pub(crate) async fn served_terminal(&self) -> Client {
        let mut client = self.terminal().await;
        client.wait_until_served().await;
        client
    }

    /// Stops the front orderly and waits for its end.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        timeout(LONG, self.front).await.unwrap().unwrap();
    }
}

pub(crate) fn client_config(authority: &Authority, identity: Option<&Identity>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        Some(identity) => builder
            .with_client_auth_cert(vec![identity.certificate.clone()], identity.key.clone_key())
            .unwrap(),
        None => builder.with_no_client_auth(),
    }
}

pub(crate) async fn connect(address: SocketAddr, config: ClientConfig) -> io::Result<Client> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
    Ok(Client { stream, unread: Vec::new() })
}

/// A raw client: writes bytes, reads responses.
pub(crate) struct Client {
    pub(crate) stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The refusal in the body.
    pub(crate) fn refusal(&self) -> Refusal {
        let reply: RefusalReply = cbor::decode(&self.body, 4096).unwrap();
        assert_eq!(reply.retryable, reply.refusal.retryable());
        reply.refusal
    }
}

/// A request for `operation` as the client library writes it.
pub(crate) fn request(operation: &str, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let mut bytes = format!(
        "POST /v1/{operation} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/cbor\r\n\
         content-length: {len}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn read_more(&mut self) -> io::Result<usize> {
        self.unread.reserve(64 * 1024);
        timeout(LONG, self.stream.read_buf(&mut self.unread)).await.expect("an answer in time")
    }

    pub(crate) async fn try_response(&mut self) -> io::Result<Response> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|part| part == b"\r\n\r\n") {
                let head = String::from_utf8(self.unread[..end].to_vec()).unwrap().to_lowercase();
                let len = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let len: usize = len.expect("a length").parse().unwrap();
                while self.unread.len() < end + 4 + len {
                    assert_ne!(self.read_more().await?, 0, "a whole body");
                }
                let rest = self.unread.split_off(end + 4 + len);
                let body = std::mem::replace(&mut self.unread, rest)[end + 4..].to_vec();
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return Ok(Response { status, head, body });
            }
            if self.read_more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    pub(crate) async fn response(&mut self) -> Response {
        self.try_response().await.unwrap()
    }

    pub(crate) async fn exchange(&mut self, bytes: &[u8]) -> Response {
        self.send(bytes).await;
        self.response().await
    }

    pub(crate) async fn call(&mut self, operation: &str, body: &[u8]) -> Response {
        self.exchange(&request(operation, body)).await
    }

    /// Whether the server closes the connection now, orderly, without a further byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        matches!(self.read_more().await, Ok(0)) && self.unread.is_empty()
    }

    /// Reads until these bytes have come; gives what came before them.
    pub(crate) async fn until(&mut self, bytes: &[u8]) -> Vec<u8> {
        loop {
            if let Some(place) = self.unread.windows(bytes.len()).position(|part| part == bytes) {
                return self.unread[..place].to_vec();
            }
            assert_ne!(self.read_more().await.unwrap(), 0, "the end instead of {bytes:?}");
        }
    }

    /// Asks until the keeper's side answers.
    pub(crate) async fn wait_until_served(&mut self) {
        let served = async { while self.call("status", b"").await.status != 200 {} };
        timeout(LONG, served).await.expect("the keeper is reached in time");
    }
}

/// A keeper's side of the link in a runtime of its own, so that dropping it closes everything as a kill would.
/// It echoes bodies, but never answers `log.proof`.
pub(crate) struct Keeper {
    runtime: Option<Runtime>,
    /// The calls that arrived.
    pub(crate) calls: mpsc::UnboundedReceiver<Call>,
}

impl Keeper {
    pub(crate) fn start(ground: &Ground) -> Self {
        Self::start_with(ground, look)
    }

    /// One that answers looks with `look`.
    pub(crate) fn start_with(ground: &Ground, look: fn(Look) -> Answer) -> Self {
        let (socket, (arrived, calls)) = (ground.socket(), mpsc::unbounded_channel());
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let uid = rustix::process::getuid().as_raw();
        runtime.spawn(async move {
            let handler = move |call: Call| {
                let _ = arrived.send(call.clone());
                answer(call)
            };
            listen(&socket, uid).unwrap().serve(handler, look).await;
        });
        Self { runtime: Some(runtime), calls }
    }

    /// The next call that arrived for `operation`.
    pub(crate) async fn next_call(&mut self, operation: Operation) -> Call {
        let wanted = async {
            loop {
                let call = self.calls.recv().await.unwrap();
                if call.operation == operation {
                    return call;
                }
            }
        };
        timeout(LONG, wanted).await.expect("a call in time")
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A keeper in order.
fn look(look: Look) -> Answer {
    match look {
        Look::State => Answer::reply(state().encode()),
        Look::Metrics => Answer::reply("# TYPE keysvc_keeper_halted gauge\nkeysvc_keeper_halted 0\n"),
    }
}

pub(crate) fn state() -> KeeperState {
    KeeperState {
        schema: Schema,
        version: "0.1.0".to_owned(),
        uptime_ms: 1_000,
        policy: Digest::new([7; 32]),
        development: true,
        halted: false,
        closing: false,
        leaves: 3,
        checkpoint_size: 3,
        checkpoint_age_ms: 10,
        token_silent_ms: 10,
        queue_len: 0,
        jobs_overdue: 0,
    }
}

async fn answer(call: Call) -> Answer {
    match call.operation {
        Operation::LogProof => std::future::pending().await,
        Operation::LogEntries => Answer::reply(vec![7; cbor::REPLY_LEN_MAX]),
        Operation::KeyList => Answer::reply(vec![7; cbor::REPLY_LEN_MAX + 1]),
        Operation::KeyGet => Answer::refusal(Refusal::Forbidden, call.request_id),
        _ => Answer::reply(Bytes::clone(&call.body)),
    }
}
