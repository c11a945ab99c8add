//! A front in an attacker's hands: it has the service's own certificate and key, forwards what clients ask, and alters
//! what they are told.

use keysvc_client::ClientConfig;
use keysvc_tests::raw::{self, Answer, Line};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    version::TLS13,
};
use softhsm_setup::{Home, Site};
use std::{
    fs,
    io::{self, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// The configuration of `persona`, but with the attacker's front for the service's. `alter` is given the operation and
/// the true answer, each in its order; the thread ends with the client.
pub(crate) fn between(
    site: &Site,
    persona: &str,
    mut alter: impl FnMut(&str, Answer) -> Answer + Send + 'static,
) -> ClientConfig {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut config = ClientConfig::read(&site.home(persona).client_config()).unwrap();
    config.endpoints = vec![format!("127.0.0.1:{}", listener.local_addr().unwrap().port())];
    let (tls, mut line) = (Arc::new(server(&site.service())), Line::open(site, persona));
    thread::spawn(move || {
        // Ends when a client goes away, or the service; whoever waits sees the connection end.
        while let Ok((socket, _)) = listener.accept() {
            let _: io::Result<()> = carry(socket, &tls, &mut line, &mut alter);
        }
    });
    config
}

fn server(home: &Home) -> ServerConfig {
    let chain = fs::read(home.tls_certificate()).unwrap();
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&fs::read(home.tls_key()).unwrap()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(&[&TLS13]).unwrap().with_no_client_auth();
    builder.with_single_cert(chain, key).unwrap()
}

fn carry(
    socket: TcpStream,
    tls: &Arc<ServerConfig>,
    line: &mut Line,
    alter: &mut impl FnMut(&str, Answer) -> Answer,
) -> io::Result<()> {
    let connection = ServerConnection::new(tls.clone()).map_err(io::Error::other)?;
    let (mut stream, mut unread) = (StreamOwned::new(connection, socket), Vec::new());
    loop {
        let (head, body) = raw::message(&mut stream, &mut unread)?;
        let path = head.split(' ').nth(1).unwrap_or_default();
        let operation = path.trim_start_matches("/v1/").to_owned();
        line.send(&raw::http(&operation, &body))?;
        let told = alter(&operation, line.answer()?);
        let head = format!("HTTP/1.1 {} Told\r\ncontent-length: {}\r\n\r\n", told.status, told.body.len());
        stream.write_all(&[head.as_bytes(), &told.body].concat())?;
        stream.flush()?;
    }
}
