//! One attempt of a call: connect where needed, send, read the answer.

use super::{Answered, Call, Connections, pool::Sender, tls};
use crate::{clock::of_http, error::ClientError};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1,
    header::{self, HeaderValue},
};
use hyper_util::rt::TokioIo;
use keysvc_protocol::{
    cbor::{self, REPLY_LEN_MAX},
    refusal::RefusalReply,
};
use std::{error::Error, fmt::Write as _, sync::atomic::Ordering, time::Duration};
use tokio::{io::AsyncReadExt as _, net::TcpStream, task::yield_now, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Longest refusal, in bytes.
const REFUSAL_LEN_MAX: usize = 4096;
/// How long a new connection is listened on after one was closed without a word: the service's alert comes within
/// a round trip, and would be lost if our request crossed it on a closing connection.
const LISTEN: Duration = Duration::from_millis(200);
/// The time a new connection may take where there is another endpoint: TCP sends its first packet again after 1 s.
const CONNECT: Duration = Duration::from_millis(2_500);
/// From this age on an idle connection is looked at once more before it is used.
const WORN: Duration = Duration::from_millis(100);

/// What the service answered.
pub(super) enum Answer {
    /// A reply, of the operation or of the proposal that it became.
    Given(Answered),
    /// A refusal.
    Refusal(Box<RefusalReply>),
}

/// Why there is no answer.
pub(super) enum Failure {
    /// Trying again does not help.
    Final(ClientError),
    /// Trying again may help; the reason in words.
    Broken(String),
    /// The same of a connection that had served before.
    Worn(String),
    /// The deadline passed.
    Late,
}

impl Call<'_> {
    /// Sends the request once, to endpoint `at`.
    pub(super) async fn attempt(&mut self, at: usize) -> Result<Answer, Failure> {
        let place = self.trail.endpoint(at);
        let (sender, response, fresh) = loop {
            let request = self.request()?;
            let (mut sender, fresh) = self.connections.sender(at, place).await?;
            // Taken for refused until a reply comes.
            self.connections.pool.suspect(at, fresh);
            let before = self.trail.ask();
            match sender.try_send_request(request).await {
                Ok(response) => break (sender, response, fresh),
                Err(mut error) => {
                    let unsent = error.take_message().is_some();
                    if unsent {
                        self.trail.unask(before);
                    }
                    // An idle connection that was closed before a byte was sent: on to the next.
                    if fresh || !unsent {
                        return Err(worn(failure(error.error(), place), fresh));
                    }
                }
            }
        };
        let status = response.status();
        self.connections.note_clock(response.headers().get(header::DATE));
        let body = Limited::new(response.into_body(), REPLY_LEN_MAX).collect().await;
        let body = body.map_err(|error| worn(failure(error.as_ref(), place), fresh))?.to_bytes();
        self.connections.pool.suspect(at, false);
        self.connections.pool.put(at, sender);
        read(status, body, place).map_err(Failure::Final)
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        Request::builder()
            .method(Method::POST)
            .uri(format!("/v1/{}", self.operation))
            .header(header::HOST, self.connections.host.as_str())
            .header(header::CONTENT_TYPE, "application/cbor")
            .body(Full::new(self.body.clone()))
            .map_err(|error| Failure::Final(ClientError::Request { what: error.to_string() }))
    }
}

impl Connections {
    /// Keeps what the service's clock says; for people who compare it, nothing is decided by it.
    fn note_clock(&self, date: Option<&HeaderValue>) {
        if let Some(ms) = date.and_then(|date| date.to_str().ok()).and_then(of_http) {
            self.clock_ms.store(ms, Ordering::Relaxed);
        }
    }

    /// An idle connection that still lives, or a new one (and whether it is new).
    async fn sender(&self, at: usize, place: &str) -> Result<(Sender, bool), Failure> {
        while let Some((mut sender, idle)) = self.pool.take(at) {
            if idle >= WORN {
                // Once for the driver to see the peer's closing, once for the connection's task to act on it: where
                // the runtime runs only during calls, both happened unseen.
                yield_now().await;
                yield_now().await;
            }
            if sender.ready().await.is_ok() {
                return Ok((sender, false));
            }
        }
        let stream = self.connect(place);
        let mut stream = if self.endpoints.len() > 1 {
            let late = |_| Failure::Broken(format!("no connection within {} ms", CONNECT.as_millis()));
            timeout(CONNECT, stream).await.map_err(late)??
        } else {
            stream.await?
        };
        if self.pool.is_suspicious(at) {
            listen(&mut stream, place).await?;
        }
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failure(&error, place))?;
        // It ends when the sender is dropped or the peer closes; its errors reach the sender.
        tokio::spawn(connection);
        Ok((sender, true))
    }

    async fn connect(&self, place: &str) -> Result<TlsStream<TcpStream>, Failure> {
        let socket = TcpStream::connect(place).await.map_err(|error| failure(&error, place))?;
        // Without it the last flight of the handshake waits for a delayed acknowledgement.
        socket.set_nodelay(true).map_err(|error| failure(&error, place))?;
        let connector = TlsConnector::from(self.tls.clone());
        connector.connect(self.server_name.clone(), socket).await.map_err(|error| failure(&error, place))
    }
}

/// A broken connection that had served before is told from one that never did.
fn worn(failure: Failure, fresh: bool) -> Failure {
    match failure {
        Failure::Broken(reason) if !fresh => Failure::Worn(reason),
        other => other,
    }
}

/// Waits whether the service refuses us: under TLS 1.3 its refusal comes after our handshake is done.
async fn listen(stream: &mut TlsStream<TcpStream>, place: &str) -> Result<(), Failure> {
    let mut byte = [0];
    match timeout(LISTEN, stream.read(&mut byte)).await {
        // Silence: it waits for our request.
        Err(_) => Ok(()),
        Ok(Ok(0)) => Err(Failure::Broken("the service closed the connection".into())),
        Ok(Ok(_)) => Err(Failure::Final(ClientError::malformed(format!(
            "bytes came from {place} before anything was asked"
        )))),
        Ok(Err(error)) => Err(failure(&error, place)),
    }
}

fn read(status: StatusCode, body: Bytes, place: &str) -> Result<Answer, ClientError> {
    match status {
        StatusCode::OK => return Ok(Answer::Given(Answered::Reply(body))),
        StatusCode::ACCEPTED => return Ok(Answer::Given(Answered::Pending(body))),
        _ => {}
    }
    match cbor::decode::<RefusalReply>(&body, REFUSAL_LEN_MAX) {
        Ok(reply) => Ok(Answer::Refusal(Box::new(reply))),
        Err(_) => {
            Err(ClientError::malformed(format!("status {} without a refusal, from {place}", status.as_u16())))
        }
    }
}

fn failure(error: &(dyn Error + 'static), place: &str) -> Failure {
    if let Some(reason) = tls::authentication(error) {
        return Failure::Final(ClientError::Authentication { reason: format!("{reason}, at {place}") });
    }
    if error.is::<http_body_util::LengthLimitError>() {
        return Failure::Final(ClientError::malformed(format!(
            "a reply longer than {REPLY_LEN_MAX} bytes, from {place}"
        )));
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
