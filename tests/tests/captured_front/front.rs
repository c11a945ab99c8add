//! A front in an attacker's hands: it ends clients' TLS with the site's own server key, speaks to the keeper over the real
//! link, and says to either side what it likes.
//!
//! What it says is a closure of each lie. It knows who is enrolled under which key, as any officer may read.

use crate::frames::{Link, peer};
use keysvc::link::Peer;
use keysvc_client::ClientConfig;
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    reply::PrincipalListReply,
    request::{ListPrincipals, Operation, ReadStatus},
    schema::Schema,
};
use keysvc_tests::raw::{self, Answer, Caller};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use softhsm_setup::Site;
use std::{
    fs,
    io::{self, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Asked {
    pub operation: Operation,
    pub body: Vec<u8>,
}

/// What a client is told.
#[derive(Debug)]
pub enum Told {
    /// An answer.
    Answer(Answer),
    /// These bytes, as they are.
    Bytes(Vec<u8>),
    /// Nothing: the connection ends.
    HangUp,
}

/// The front's own hands: the link, and everybody it can claim to speak for.
#[derive(Debug)]
pub struct Hands {
    pub link: Link,
    site: PathBuf,
    everybody: Vec<(String, Peer)>,
    /// Whose connection it is.
    persona: String,
}

impl Hands {
    pub fn of(site: &Site, persona: &str) -> Self {
        Self::with(site, everybody(site), persona)
    }

    fn with(site: &Site, everybody: Vec<(String, Peer)>, persona: &str) -> Self {
        let (folder, persona) = (site.folder().to_owned(), persona.to_owned());
        Self { link: Link::open(site), site: folder, everybody, persona }
    }

    /// Another connection to the keeper.
    pub fn another(&self) -> Link {
        Link::open(&Site::open(&self.site).unwrap())
    }

    /// The status of a status, asked as a true front would.
    pub fn pass_status(&mut self) -> u16 {
        let body = raw::envelope(cbor::encode(&ReadStatus { schema: Schema }));
        self.pass(&Asked { operation: Operation::Status, body }).status
    }

    /// Somebody as the true front would name them.
    pub fn peer(&self, persona: &str) -> Peer {
        self.everybody.iter().find(|(name, _)| name == persona).unwrap().1.clone()
    }

    /// Asks in anybody's name.
    pub fn ask_as(&mut self, persona: &str, operation: Operation, body: &[u8]) -> Answer {
        let peer = self.peer(persona);
        self.link.ask(&peer, operation, body)
    }

    /// Passes a request on as a true front does.
    pub fn pass(&mut self, asked: &Asked) -> Answer {
        let persona = self.persona.clone();
        self.ask_as(&persona, asked.operation, &asked.body)
    }
}

/// Everybody that is enrolled, as the true front would name them.
fn everybody(site: &Site) -> Vec<(String, Peer)> {
    let mut auditor = Caller::new(site, "auditor-1");
    let list = ListPrincipals { schema: Schema, after: None };
    let reply: PrincipalListReply = auditor.ask(Operation::PrincipalList, &list).unwrap();
    let enrolled = reply.principals.into_vec().into_iter().map(|one| one.enrolment);
    enrolled
        .map(|one| {
            let (name, pin): (String, Digest) = (one.id.to_string(), one.tls_key);
            (name.clone(), peer(pin, one.kind.name(), &name))
        })
        .collect()
}

/// A lie: what a client is told of what it asks.
pub trait Lie: FnMut(&mut Hands, &Asked) -> Told + Send + 'static {}
impl<F: FnMut(&mut Hands, &Asked) -> Told + Send + 'static> Lie for F {}

/// The configuration of `persona`, but with the captured front for the service's.
pub fn between(site: &Site, persona: &str, lie: impl Lie) -> ClientConfig {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut config = ClientConfig::read(&site.home(persona).client_config()).unwrap();
    config.endpoints = vec![format!("127.0.0.1:{}", listener.local_addr().unwrap().port())];
    config.deadline_ms = config.deadline_ms.min(3_000);
    let (tls, lie) = (Arc::new(server(site)), Arc::new(Mutex::new(lie)));
    let (everybody, persona) = (everybody(site), persona.to_owned());
    let site = site.folder().to_owned();
    thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            let (tls, lie) = (Arc::clone(&tls), Arc::clone(&lie));
            // A link for each connection, which ends with it: the keeper takes eight in all.
            let mut hands = Hands::with(&Site::open(&site).unwrap(), everybody.clone(), &persona);
            thread::spawn(move || {
                // Ends when the client goes away; whoever waits sees the connection end.
                let _: io::Result<()> = carry(socket, &tls, |asked| {
                    let mut lie = lie.lock().unwrap_or_else(PoisonError::into_inner);
                    lie(&mut hands, asked)
                });
            });
        }
    });
    config
}

fn server(site: &Site) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    chain(&site.authority_certificate()).into_iter().for_each(|root| roots.add(root).unwrap());
    let provider = Arc::new(default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let home = site.service();
    let key = PrivateKeyDer::from_pem_slice(&fs::read(home.tls_key()).unwrap()).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(chain(&home.tls_certificate()), key)
        .unwrap()
}

fn chain(path: &Path) -> Vec<CertificateDer<'static>> {
    let pem = fs::read(path).unwrap();
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().unwrap()
}

fn carry(socket: TcpStream, tls: &Arc<ServerConfig>, mut lie: impl FnMut(&Asked) -> Told) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let connection = ServerConnection::new(tls.clone()).map_err(io::Error::other)?;
    let (mut stream, mut unread) = (StreamOwned::new(connection, socket), Vec::new());
    loop {
        let (head, body) = raw::message(&mut stream, &mut unread)?;
        let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches("/v1/").to_owned();
        let operation = Operation::ALL.into_iter().find(|one| one.name() == path).unwrap();
        match lie(&Asked { operation, body }) {
            Told::Answer(answer) => stream.write_all(&http(&answer))?,
            Told::Bytes(bytes) => stream.write_all(&bytes)?,
            Told::HangUp => return Ok(()),
        }
        stream.flush()?;
    }
}

/// An answer as the true front writes it.
pub fn http(answer: &Answer) -> Vec<u8> {
    let head = format!("HTTP/1.1 {} Told\r\ncontent-length: {}\r\n\r\n", answer.status, answer.body.len());
    [head.as_bytes(), &answer.body].concat()
}
