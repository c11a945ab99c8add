//! One attempt of a call: connect where needed, send, read the answer.

use super::{Connection, tls};
use crate::error::ClientError;
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
use std::{error::Error, fmt::Write as _, time::Duration};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Longest refusal, in bytes.
const REFUSAL_LEN_MAX: usize = 4096;
/// How long a new connection is listened on after one was closed without a word: the service's alert comes within
/// a round trip, and would be lost if our request crossed it on a closing connection.
const LISTEN: Duration = Duration::from_millis(200);

/// What the service answered.
pub(super) enum Answer {
    /// A reply's bytes.
    Reply(Bytes),
    /// A refusal.
    Refusal(Box<RefusalReply>),
}

/// Why there is no answer.
pub(super) enum Failure {
    /// Trying again does not help.
    Final(ClientError),
    /// Trying again may help; the reason in words.
    Broken(String),
}

impl Connection {
    /// Sends `body` once.
    pub(super) async fn attempt(&mut self, operation: Operation, body: Bytes) -> Result<Answer, Failure> {
        let request = self.request(operation, body)?;
        let (mut sender, is_fresh) = self.sender().await?;
        // Taken for refused until a reply comes.
        self.suspicious = is_fresh;
        self.asked = true;
        let response = sender.send_request(request).await.map_err(|error| failure(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), REPLY_LEN_MAX).collect().await;
        let body = body.map_err(|error| failure(error.as_ref()))?.to_bytes();
        self.suspicious = false;
        self.sender = Some(sender);
        read(status, body).map_err(Failure::Final)
    }

    fn request(&self, operation: Operation, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        Request::builder()
            .method(Method::POST)
            .uri(format!("/v1/{operation}"))
            .header(header::HOST, self.host.as_str())
            .header(header::CONTENT_TYPE, "application/cbor")
            .body(Full::new(body))
            .map_err(|error| Failure::Final(ClientError::Request { what: error.to_string() }))
    }

    /// The connection there is, or a new one (and whether it is new).
    async fn sender(&mut self) -> Result<(SendRequest<Full<Bytes>>, bool), Failure> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok((sender, false));
        }
        let mut stream = self.connect().await?;
        if self.suspicious {
            listen(&mut stream).await?;
        }
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failure(&error))?;
        // It ends when the sender is dropped or the peer closes; its errors reach the sender.
        tokio::spawn(connection);
        Ok((sender, true))
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, Failure> {
        let socket = TcpStream::connect(&self.endpoint).await.map_err(|error| failure(&error))?;
        // Without it the last flight of the handshake waits for a delayed acknowledgement.
        socket.set_nodelay(true).map_err(|error| failure(&error))?;
        let connector = TlsConnector::from(self.tls.clone());
        connector.connect(self.server_name.clone(), socket).await.map_err(|error| failure(&error))
    }
}

/// Waits whether the service refuses us: under TLS 1.3 its refusal comes after our handshake is done.
async fn listen(stream: &mut TlsStream<TcpStream>) -> Result<(), Failure> {
    let mut byte = [0];
    match timeout(LISTEN, stream.read(&mut byte)).await {
        // Silence: it waits for our request.
        Err(_) => Ok(()),
        Ok(Ok(0)) => Err(Failure::Broken("the service closed the connection".into())),
        Ok(Ok(_)) => Err(Failure::Final(ClientError::malformed(
            "bytes came from the service before anything was asked",
        ))),
        Ok(Err(error)) => Err(failure(&error)),
    }
}

fn read(status: StatusCode, body: Bytes) -> Result<Answer, ClientError> {
    if status == StatusCode::OK {
        return Ok(Answer::Reply(body));
    }
    match cbor::decode::<RefusalReply>(&body, REFUSAL_LEN_MAX) {
        Ok(reply) => Ok(Answer::Refusal(Box::new(reply))),
        Err(_) => Err(ClientError::malformed(format!("status {} without a refusal", status.as_u16()))),
    }
}

fn failure(error: &(dyn Error + 'static)) -> Failure {
    if let Some(reason) = tls::authentication(error) {
        return Failure::Final(ClientError::Authentication { reason });
    }
    if error.is::<http_body_util::LengthLimitError>() {
        return Failure::Final(ClientError::malformed(format!("a reply longer than {REPLY_LEN_MAX} bytes")));
    }
    Failure::Broken(words(error))
}

/// The error and what caused it, in one line.
fn words(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        // Writing to a string has no failure.
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}
