//! One connection by whatever a client shows of itself, and what the service did about it.
//!
//! The TLS library's own client, which checks nothing of what it shows; its bytes may be cut up by chance. What is shown is
//! made elsewhere.

use crate::raw::{Answer, envelope, http, message};
use keysvc_protocol::{
    cbor,
    refusal::Refusal,
    request::{Operation, ReadEntries, ReadStatus},
    schema::Schema,
};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Error, RootCertStore, SignatureAlgorithm,
    SignatureScheme, StreamOwned,
    client::ResolvesClientCert,
    crypto::ring::{default_provider, sign::any_supported_type},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    sign::{CertifiedKey, Signer, SigningKey},
    version::TLS13,
};
use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

/// Longer than any step takes.
const LONG: Duration = Duration::from_secs(15);

/// How a client proves that it has the key of its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By signing with the key that it was given.
    Signed,
    /// By such a signature with one bit turned.
    Damaged,
    /// By an earlier connection's signature.
    OfAnother,
}

/// What a client shows of itself.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The certificates, leaf first; none at all where empty.
    pub chain: Vec<Vec<u8>>,
    /// The private key, PKCS#8.
    pub key: Vec<u8>,
    /// How it proves that it has the key.
    pub proof: Proof,
    /// The application protocols it offers.
    pub protocols: Vec<Vec<u8>>,
    /// What it asks once it is in.
    pub asks: Operation,
    /// Bytes that it sends instead of all that.
    pub instead: Option<Vec<u8>>,
}

/// What the service did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// It ended the handshake with this alert.
    Alert(AlertDescription),
    /// It closed the connection without a word.
    Closed,
    /// It shook hands, and refused what was asked by name.
    Refused(u16, Refusal),
    /// It shook hands and did as asked.
    Served,
    /// It shook hands and waited for a request.
    LetIn,
}

/// How a client's bytes are cut up.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Longest TLS record, in bytes: the library's where there is none.
    pub record: Option<usize>,
    /// Longest write to the socket, in bytes.
    pub write: usize,
}

impl Cut {
    /// Not at all.
    pub const NOT: Self = Self { record: None, write: usize::MAX };

    /// Whether nothing is cut.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.record.is_none() && self.write == usize::MAX
    }

    /// By chance.
    #[must_use]
    pub fn by_chance(chances: &mut fastrand::Rng) -> Self {
        // 32 is the least the library takes.
        Self { record: Some(chances.usize(32..=1_024)), write: chances.usize(1..=600) }
    }
}

/// A socket that is written to in pieces, each of them a segment.
#[derive(Debug)]
struct Pieces {
    socket: TcpStream,
    len: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(&bytes[..bytes.len().min(self.len)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Shows what there is to be shown, whatever is asked for.
#[derive(Debug)]
struct Showing(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Showing {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

/// A key whose signatures are changed before they are shown.
#[derive(Debug)]
struct Changed(Arc<dyn SigningKey>, Proof);

impl SigningKey for Changed {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(ChangedSigner(self.0.choose_scheme(offered)?, self.1)))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

#[derive(Debug)]
struct ChangedSigner(Box<dyn Signer>, Proof);

impl Signer for ChangedSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        // What is signed ends with the digest of this very handshake.
        let message = if self.1 == Proof::OfAnother { &message[..message.len() - 1] } else { message };
        let mut signature = self.0.sign(message)?;
        if let (Proof::Damaged, Some(last)) = (self.1, signature.last_mut()) {
            *last ^= 1;
        }
        Ok(signature)
    }

    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }
}

/// A connection whose handshake is over as far as the client knows.
#[derive(Debug)]
pub struct Live {
    stream: StreamOwned<ClientConnection, Pieces>,
    unread: Vec<u8>,
}

/// Connects to the service on `port`, whose certificate is of `authority`, and shows what there is.
///
/// # Errors
/// The failed handshake, as far as it fails before the client's own part is over.
///
/// # Panics
/// When there is nobody on that port, or the library takes the key or the settings for none.
pub fn open(port: u16, authority: &[u8], shown: &Shown, cut: Cut) -> io::Result<Live> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.to_vec())).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let mut config = builder
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(Showing(certified(shown))));
    config.alpn_protocols.clone_from(&shown.protocols);
    config.max_fragment_size = cut.record;
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut live = Live { stream: StreamOwned::new(connection, socket(port, cut)?), unread: Vec::new() };
    while live.stream.conn.is_handshaking() || live.stream.conn.wants_write() {
        live.stream.conn.complete_io(&mut live.stream.sock)?;
    }
    Ok(live)
}

fn socket(port: u16, cut: Cut) -> io::Result<Pieces> {
    let socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(LONG))?;
    Ok(Pieces { socket, len: cut.write })
}

impl Live {
    /// Asks something, and gives what came of it.
    ///
    /// # Errors
    /// Of the connection.
    pub fn ask(&mut self, operation: Operation) -> io::Result<Met> {
        let request = match operation {
            Operation::LogEntries => cbor::encode(&ReadEntries { schema: Schema, from: 0, to: 1 }),
            _ => cbor::encode(&ReadStatus { schema: Schema }),
        };
        self.stream.write_all(&http(operation.name(), &envelope(request)))?;
        self.stream.flush()?;
        self.answer()
    }

    /// What the service says next.
    ///
    /// # Errors
    /// Of the connection.
    ///
    /// # Panics
    /// When it is no HTTP.
    pub fn answer(&mut self) -> io::Result<Met> {
        let (head, body) = message(&mut self.stream, &mut self.unread)?;
        let answer = Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), body };
        Ok(if answer.status == 200 { Met::Served } else { Met::Refused(answer.status, answer.refusal()) })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Of the connection.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }
}

/// Shows what there is, and gives what came of it. `waits` says that nothing is asked and the service's next word awaited:
/// what it has against a certificate comes after the client's own handshake is over, and would be lost where the client
/// still wrote.
///
/// # Panics
/// As [`open`].
#[must_use]
pub fn meet(port: u16, authority: &[u8], shown: &Shown, (waits, cut): (bool, Cut)) -> Met {
    if let Some(instead) = &shown.instead {
        return answer_to(&mut socket(port, cut).unwrap(), instead);
    }
    let met = open(port, authority, shown, cut).and_then(|mut live| {
        if waits {
            live.stream.sock.socket.set_read_timeout(Some(LONG / 5))?;
            live.answer()
        } else {
            live.ask(shown.asks)
        }
    });
    met.unwrap_or_else(|error| failed(&error))
}

fn certified(shown: &Shown) -> Option<Arc<CertifiedKey>> {
    if shown.chain.is_empty() {
        return None;
    }
    let key = any_supported_type(&PrivateKeyDer::try_from(shown.key.clone()).unwrap()).unwrap();
    let key: Arc<dyn SigningKey> =
        if shown.proof == Proof::Signed { key } else { Arc::new(Changed(key, shown.proof)) };
    let chain = shown.chain.iter().map(|one| CertificateDer::from(one.clone())).collect();
    Some(Arc::new(CertifiedKey::new(chain, key)))
}

/// What a connection's error stands for.
fn failed(error: &io::Error) -> Met {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(Error::AlertReceived(alert)) => Met::Alert(*alert),
        _ if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Met::LetIn,
        _ => Met::Closed,
    }
}

/// What comes back for bytes that are no handshake of ours: a fatal alert, or nothing.
fn answer_to(socket: &mut Pieces, bytes: &[u8]) -> Met {
    let mut came = Vec::new();
    let ended = socket.write_all(bytes).and_then(|()| socket.read_to_end(&mut came).map(drop));
    match (came.as_slice(), ended) {
        ([.., 21, 3, _, 0, 2, 2, alert], _) => Met::Alert(AlertDescription::from(*alert)),
        (_, Err(error)) => failed(&error),
        _ => Met::Closed,
    }
}

/// A `ClientHello` of this version that offers nothing later: one suite (c02b), P-256 and ecdsa_secp256r1_sha256.
#[must_use]
pub fn old_hello(version: [u8; 2]) -> Vec<u8> {
    let mut hello = version.to_vec();
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 16, 0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3]);
    let len = u8::try_from(hello.len()).unwrap_or(u8::MAX);
    [&[22, 3, 1, 0, len + 4, 1, 0, 0, len], hello.as_slice()].concat()
}
