//! One keep-alive connection to a server, without retries: in a measurement every call must succeed.
//!
//! What it costs the load is kept small, because the load shares the server's cores. What is asked is its caller's.

use crate::{
    persona::{Persona, tls},
    while_doing,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use keysvc_client::ClientConfig;
use keysvc_protocol::{
    cbor::{self, REPLY_LEN_MAX},
    refusal::RefusalReply,
    request::Operation,
};
use keysvc_tests::ground::Failed;
use rustls::pki_types::ServerName;
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Longest refusal, in bytes.
const REFUSAL_LEN_MAX: usize = 4096;

/// Where a server listens, and how one shakes hands with it.
#[derive(Debug, Clone)]
pub struct Address {
    endpoint: String,
    host: String,
    tls: Arc<rustls::ClientConfig>,
}

impl Address {
    /// The service, as this configuration's persona comes to it.
    ///
    /// # Errors
    /// [`Failed`] naming what cannot be used.
    pub fn of(config: &ClientConfig) -> Result<Self, Failed> {
        let endpoint = config.endpoints.first().cloned().unwrap_or_default();
        Ok(Self { endpoint, host: config.server_name.clone(), tls: Arc::new(tls(config)?) })
    }

    /// Another server of this machine with the same certificate.
    pub fn beside(&self, port: u16) -> Self {
        Self { endpoint: format!("127.0.0.1:{port}"), ..self.clone() }
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, Failed> {
        let name = ServerName::try_from(self.host.clone()).map_err(while_doing("the server's name"))?;
        let socket = TcpStream::connect(&self.endpoint).await.map_err(while_doing("connecting"))?;
        socket.set_nodelay(true).map_err(while_doing("connecting"))?;
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        tls.connect(name, socket).await.map_err(while_doing("the TLS handshake"))
    }

    /// A full handshake and an orderly end: the server's answer to it comes only when the server too has finished.
    ///
    /// # Errors
    /// [`Failed`] when there is no connection.
    pub async fn shake_hands(&self) -> Result<(), Failed> {
        let mut stream = self.connect().await?;
        stream.shutdown().await.map_err(while_doing("the end of a connection"))?;
        match stream.read(&mut [0]).await {
            Ok(0) => Ok(()),
            Ok(_) => Err(Failed("a server that was asked nothing spoke".to_owned())),
            // The server closed the socket without a word: it had finished all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(while_doing("the end of a connection")(error)),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Line {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Line {
    /// Connects as this persona.
    ///
    /// # Errors
    /// As [`Line::to`].
    pub async fn open(persona: &Persona) -> Result<Self, Failed> {
        Self::to(&persona.address).await
    }

    /// Connects.
    ///
    /// # Errors
    /// [`Failed`] when there is no connection.
    pub async fn to(address: &Address) -> Result<Self, Failed> {
        let stream = address.connect().await?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(while_doing("connecting"))?;
        // It ends when the sender is dropped; its errors reach the sender.
        tokio::spawn(connection);
        Ok(Self { sender, host: address.host.clone() })
    }

    /// Asks, and gives the reply's bytes: of a 200, or of a 202, which is of another type.
    ///
    /// # Errors
    /// [`Failed`] on a cut connection and on any refusal.
    pub async fn call(&mut self, operation: Operation, body: Bytes) -> Result<Bytes, Failed> {
        let (status, body) = self.post(&format!("/v1/{operation}"), body).await?;
        if [StatusCode::OK, StatusCode::ACCEPTED].contains(&status) {
            return Ok(body);
        }
        let refusal = cbor::decode::<RefusalReply>(&body, REFUSAL_LEN_MAX);
        Err(Failed(format!("{operation} was answered {status}: {refusal:?}")))
    }

    /// Sends a body and gives whatever comes back.
    ///
    /// # Errors
    /// [`Failed`] on a cut connection.
    pub async fn post(&mut self, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), Failed> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, self.host.as_str())
            .header(header::CONTENT_TYPE, "application/cbor")
            .body(Full::new(body))
            .map_err(while_doing("a request"))?;
        self.exchange(request).await
    }

    /// Sends a request and gives whatever comes back.
    ///
    /// # Errors
    /// [`Failed`] on a cut connection.
    pub async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failed> {
        self.sender.ready().await.map_err(while_doing("a connection"))?;
        let response = self.sender.send_request(request).await.map_err(while_doing("a call"))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), REPLY_LEN_MAX).collect().await;
        Ok((status, body.map_err(while_doing("a reply"))?.to_bytes()))
    }
}
