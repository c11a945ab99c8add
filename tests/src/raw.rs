//! A client that checks nothing and sends whatever a test wants: bytes on a persona's own TLS connection, and
//! statements by any key, of any kind, in any scope.
//!
//! Apart from the client crate because that one refuses to send most of what is tried here. It blocks, so that a test
//! reads from top to bottom; it judges no reply.

mod caller;
mod log;
mod tokens;

pub use caller::{Caller, genesis, key, sign, update};
pub use log::{Leaf, keys_intended, keys_made, leaves, leaves_from, of_kind, refused};
pub use tokens::with_tokens;

use keysvc_protocol::{
    bytes::Blob,
    cbor::{self, REPLY_LEN_MAX},
    refusal::{Refusal, RefusalReply},
    request::{Envelope, Operation},
    schema::Schema,
};
use rustls::{
    ClientConnection, RootCertStore, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    version::TLS13,
};
use serde::{Serialize, de::DeserializeOwned};
use softhsm_setup::{Home, Site};
use std::{
    fs,
    io::{self, Read, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Longer than any answer takes: a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(30);

/// One connection: the socket stays the same for its whole life.
#[derive(Debug)]
pub struct Line {
    stream: StreamOwned<ClientConnection, TcpStream>,
    unread: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The reply, or the refusal.
    ///
    /// # Errors
    /// The [`Refusal`].
    ///
    /// # Panics
    /// When it is neither.
    pub fn read<R: Serialize + DeserializeOwned>(&self) -> Result<R, Refusal> {
        if self.status == 200 {
            Ok(cbor::decode(&self.body, REPLY_LEN_MAX).unwrap())
        } else {
            Err(self.refusal())
        }
    }

    /// The refusal. Its other fields must agree with it.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        assert_ne!(self.status, 200, "a reply, not a refusal");
        let reply: RefusalReply = cbor::decode(&self.body, 4096).unwrap();
        assert_eq!(RefusalReply::new(reply.refusal.clone(), reply.request_id), reply);
        reply.refusal
    }
}

/// A request for `operation` as the client library writes it.
#[must_use]
pub fn http(operation: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/{operation} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/cbor\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The body of a request: `request` in an envelope that claims to have seen nothing.
///
/// # Panics
/// When it is longer than a request may be.
#[must_use]
pub fn envelope(request: Vec<u8>) -> Vec<u8> {
    cbor::encode(&Envelope {
        schema: Schema,
        request: Blob::try_from(request).unwrap(),
        seen: None,
        beside: None,
    })
}

impl Line {
    /// A connection with the persona's own certificate.
    ///
    /// # Panics
    /// When there is none to be had.
    #[must_use]
    pub fn open(site: &Site, persona: &str) -> Self {
        Self::with(site, Some(&site.home(persona))).unwrap()
    }

    /// A connection with the certificate in `home`, or without any. What the service has against our certificate may
    /// show only at the first read.
    ///
    /// # Errors
    /// The failed handshake.
    ///
    /// # Panics
    /// When the files cannot be read.
    pub fn with(site: &Site, home: Option<&Home>) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        chain(&site.authority_certificate()).into_iter().for_each(|root| roots.add(root).unwrap());
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .with_root_certificates(roots);
        let config = match home {
            Some(home) => {
                let key = PrivateKeyDer::from_pem_slice(&fs::read(home.tls_key()).unwrap()).unwrap();
                builder
                    .with_client_auth_cert(chain(&home.tls_certificate()), key)
                    .map_err(io::Error::other)?
            }
            None => builder.with_no_client_auth(),
        };
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let socket = TcpStream::connect(("127.0.0.1", site.port()))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(LONG))?;
        let mut line = Self { stream: StreamOwned::new(connection, socket), unread: Vec::new() };
        line.stream.conn.complete_io(&mut line.stream.sock)?;
        Ok(line)
    }

    /// Our end of the socket: two equal ones are one connection.
    ///
    /// # Panics
    /// When the socket is gone.
    #[must_use]
    pub fn socket(&self) -> SocketAddr {
        self.stream.sock.local_addr().unwrap()
    }

    /// The certificate that the service showed, DER.
    ///
    /// # Panics
    /// When it showed none.
    #[must_use]
    pub fn server_certificate(&self) -> Vec<u8> {
        self.stream.conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Of the connection.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// The next answer.
    ///
    /// # Errors
    /// Of the connection, [`io::ErrorKind::UnexpectedEof`] for its end.
    ///
    /// # Panics
    /// When it is not HTTP with a length.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let (head, body) = message(&mut self.stream, &mut self.unread)?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Answer { status, body })
    }

    /// Puts a body to `/v1/<operation>`.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn post(&mut self, operation: &str, body: &[u8]) -> Answer {
        self.send(&http(operation, body)).unwrap();
        self.answer().unwrap()
    }

    /// Puts a request, signed or plain, to `operation`.
    ///
    /// # Errors
    /// The [`Refusal`].
    ///
    /// # Panics
    /// When no answer comes.
    pub fn put<R: Serialize + DeserializeOwned>(
        &mut self,
        operation: Operation,
        request: Vec<u8>,
    ) -> Result<R, Refusal> {
        self.post(operation.name(), &envelope(request)).read()
    }
}

/// The next HTTP message of a stream, as its head in lower case and its body; keeps in `unread` what came after it.
///
/// # Errors
/// Of the stream, [`io::ErrorKind::UnexpectedEof`] for its end.
///
/// # Panics
/// When it is not HTTP with a length.
pub fn message(stream: &mut impl Read, unread: &mut Vec<u8>) -> io::Result<(String, Vec<u8>)> {
    let body = loop {
        match unread.windows(4).position(|part| part == b"\r\n\r\n") {
            Some(end) => break end + 4,
            None => more(stream, unread)?,
        }
    };
    let head = String::from_utf8(unread[..body].to_vec()).unwrap().to_lowercase();
    let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let end = body + len.parse::<usize>().unwrap();
    while unread.len() < end {
        more(stream, unread)?;
    }
    let rest = unread.split_off(end);
    let message = std::mem::replace(unread, rest);
    Ok((head, message[body..].to_vec()))
}

fn more(stream: &mut impl Read, unread: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 16 * 1024];
    match stream.read(&mut chunk)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        len => {
            unread.extend_from_slice(&chunk[..len]);
            Ok(())
        }
    }
}

fn chain(path: &Path) -> Vec<CertificateDer<'static>> {
    let pem = fs::read(path).unwrap();
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().unwrap()
}
