//! The requests of one connection: method, type and path checked, the body collected, the keeper asked.

use super::{
    FrontLimits,
    counters::{Count, Counters},
    framing::Verdict,
    head::HeadFault,
    peer::Identity,
    request_ids::RequestIds,
};
use crate::{
    link::{Answer, Call, KeeperLink, Peer},
    metrics::{FrontMetrics, Outcome, UNKNOWN_OPERATION, kind_of},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
};
use keysvc_protocol::{
    refusal::{Invalid, Refusal, RequestId, Thing},
    request::Operation,
};
use std::{sync::Arc, time::Instant};
use tokio::time::timeout;

/// The type of every request and every answer (RFC 8949 section 9.1).
const CBOR: &str = "application/cbor";

/// What all conversations share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) link: Arc<KeeperLink>,
    pub(super) ids: RequestIds,
    pub(super) limits: FrontLimits,
    pub(super) counters: Arc<Counters>,
    pub(super) metrics: Arc<FrontMetrics>,
}

/// The requests of one connection.
pub(super) struct Conversation {
    desk: Arc<Desk>,
    identity: Identity,
    verdict: Verdict,
}

impl Conversation {
    pub(super) const fn new(desk: Arc<Desk>, identity: Identity, verdict: Verdict) -> Self {
        Self { desk, identity, verdict }
    }

    /// What is wrong with the request at hand; to be asked when it is dispatched, not later.
    pub(super) fn fault(&self) -> Option<HeadFault> {
        self.verdict.fault()
    }

    /// Answers one request; `fault` is what [`Self::fault`] gave for it.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        fault: Option<HeadFault>,
    ) -> Response<Full<Bytes>> {
        let begun = Instant::now();
        let request_id = self.desk.ids.next();
        self.desk.counters.add(Count::requests);
        let operation = operation(request.uri().path());
        let name = operation.map_or(UNKNOWN_OPERATION, Operation::name);
        let answer = match fault {
            Some(fault) => Err((refusal_of(fault), status_of_head(fault))),
            None => self.ask(request, operation, request_id).await.map_err(|refusal| (refusal, None)),
        };
        let answer = answer.unwrap_or_else(|(refusal, status)| {
            self.note_refusal(&refusal, request_id, name, begun);
            let answer = Answer::refusal(refusal, request_id);
            Answer { status: status.unwrap_or(answer.status), ..answer }
        });
        if answer.status != 200 {
            self.desk.counters.add(Count::refusals);
        }
        self.desk.metrics.requests().answered(name, outcome(answer.status), begun.elapsed());
        tracing::debug!(
            %request_id,
            operation = name,
            status = answer.status,
            duration_us = elapsed_us(begun),
            "answered"
        );
        respond(answer)
    }

    /// A refusal of the front's own; the keeper's are in its log.
    fn note_refusal(&self, refusal: &Refusal, request_id: RequestId, operation: &str, begun: Instant) {
        self.desk.metrics.requests().refused(refusal);
        tracing::debug!(
            %request_id,
            operation,
            refusal = refusal.number(),
            name = kind_of(refusal),
            duration_us = elapsed_us(begun),
            "refused"
        );
    }

    async fn ask(
        &self,
        request: Request<Incoming>,
        operation: Option<Operation>,
        request_id: RequestId,
    ) -> Result<Answer, Refusal> {
        let Ok(peer) = &self.identity.peer else { return Err(Refusal::Unauthenticated) };
        check_form(&request)?;
        let operation = operation.ok_or(Refusal::NotFound { what: Thing::Operation })?;
        // The framing has refused longer ones already: this limit stands in case it did not.
        let body = Limited::new(request.into_body(), self.desk.limits.request_len_max).collect().await;
        let body = body.map_err(|_| Refusal::Invalid { reason: Invalid::Http })?.to_bytes();
        self.call(Call { request_id, peer: Arc::<Peer>::clone(peer), operation, body }).await
    }

    async fn call(&self, call: Call) -> Result<Answer, Refusal> {
        let request_id = call.request_id;
        match timeout(self.desk.limits.answer(), self.desk.link.call(call)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(down)) => tracing::debug!(%request_id, %down, "not carried out, as far as known"),
            Err(_) => tracing::warn!(%request_id, "the keeper did not answer in time"),
        }
        self.desk.counters.add(Count::keeper_unavailable);
        Err(Refusal::TokenUnavailable)
    }
}

/// The operation that `/v1/<operation>` names.
fn operation(path: &str) -> Option<Operation> {
    path.strip_prefix("/v1/").and_then(Operation::from_name)
}

fn check_form(request: &Request<Incoming>) -> Result<(), Refusal> {
    let uri = request.uri();
    let mut types = request.headers().get_all(CONTENT_TYPE).iter();
    let good = *request.method() == Method::POST
        && uri.path().starts_with("/v1/")
        && uri.query().is_none()
        && types.next().is_some_and(|value| value.as_bytes() == CBOR.as_bytes())
        && types.next().is_none();
    if good { Ok(()) } else { Err(Refusal::Invalid { reason: Invalid::Http }) }
}

/// As a number that every log format takes.
fn elapsed_us(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

const fn refusal_of(fault: HeadFault) -> Refusal {
    match fault {
        HeadFault::Malformed => Refusal::Invalid { reason: Invalid::Http },
        HeadFault::BodyTooLong | HeadFault::HeadTooLong => Refusal::Invalid { reason: Invalid::TooLong },
    }
}

/// The status where it is not the refusal's own: HTTP has one for heads (RFC 6585 section 5).
const fn status_of_head(fault: HeadFault) -> Option<u16> {
    match fault {
        HeadFault::HeadTooLong => Some(431),
        HeadFault::Malformed | HeadFault::BodyTooLong => None,
    }
}

/// The outcome that a status stands for: what may succeed later without change is no refusal of the caller's.
const fn outcome(status: u16) -> Outcome {
    match status {
        200 => Outcome::Done,
        429 | 500.. => Outcome::Fault,
        _ => Outcome::Refused,
    }
}

fn respond(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(CBOR));
    response
}
