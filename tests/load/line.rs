//! One keep-alive connection to the service, without retries: in a measurement every call must succeed.

use crate::{persona::Persona, while_doing};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use keysvc_protocol::{
    cbor::{self, REPLY_LEN_MAX},
    refusal::RefusalReply,
    request::Operation,
};
use keysvc_tests::ground::Failed;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest refusal, in bytes.
const REFUSAL_LEN_MAX: usize = 4096;

/// A connection.
#[derive(Debug)]
pub struct Line {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Line {
    /// Connects.
    ///
    /// # Errors
    /// [`Failed`] when there is no connection.
    pub async fn open(persona: &Persona) -> Result<Self, Failed> {
        let host = persona.config.server_name.clone();
        let name = ServerName::try_from(host.clone()).map_err(while_doing("the server's name"))?;
        let endpoint = persona.config.endpoints.first().map_or("", String::as_str);
        let socket = TcpStream::connect(endpoint).await.map_err(while_doing("connecting"))?;
        socket.set_nodelay(true).map_err(while_doing("connecting"))?;
        let tls = TlsConnector::from(persona.tls.clone());
        let stream = tls.connect(name, socket).await.map_err(while_doing("the TLS handshake"))?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(while_doing("connecting"))?;
        // It ends when the sender is dropped; its errors reach the sender.
        tokio::spawn(connection);
        Ok(Self { sender, host })
    }

    /// Asks, and gives the reply's bytes: of a 200, or of a 202, which is of another type.
    ///
    /// # Errors
    /// [`Failed`] on a cut connection and on any refusal.
    pub async fn call(&mut self, operation: Operation, body: Bytes) -> Result<Bytes, Failed> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/v1/{operation}"))
            .header(header::HOST, self.host.as_str())
            .header(header::CONTENT_TYPE, "application/cbor")
            .body(Full::new(body))
            .map_err(while_doing("a request"))?;
        self.sender.ready().await.map_err(while_doing("a connection"))?;
        let response = self.sender.send_request(request).await.map_err(while_doing("a call"))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), REPLY_LEN_MAX).collect().await;
        let body = body.map_err(while_doing("a reply"))?.to_bytes();
        if [StatusCode::OK, StatusCode::ACCEPTED].contains(&status) {
            return Ok(body);
        }
        let refusal = cbor::decode::<RefusalReply>(&body, REFUSAL_LEN_MAX);
        Err(Failed(format!("{operation} was answered {status}: {refusal:?}")))
    }
}
