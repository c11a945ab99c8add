//! The four pages of the health listener. Text for people on `/alive` and `/ready`, JSON on `/state`, OpenMetrics on
//! `/metrics`.

use super::{
    Clerk,
    readiness::{self, Facts, Keeper},
};
use crate::{link::KeeperState, metrics};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// What is said to whoever asks for another page.
const PAGES: &str = "there is /alive, /ready, /state and /metrics\n";

/// Answers one request.
pub(super) async fn answer(request: &Request<Incoming>, clerk: &Clerk) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET alone\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/alive" => alive(&clerk.watched.facts()),
        "/ready" => ready(&clerk.watched.facts(), &clerk.keeper().await),
        "/state" => state(&clerk.watched.facts(), &clerk.keeper().await),
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, clerk.figures().await),
        _ => page(StatusCode::NOT_FOUND, TEXT, PAGES.to_owned()),
    }
}

fn page(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn alive(facts: &Facts) -> Response<Full<Bytes>> {
    match readiness::dead(facts) {
        None => page(StatusCode::OK, TEXT, "alive\n".to_owned()),
        Some(reason) => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
    }
}

fn ready(facts: &Facts, keeper: &Keeper) -> Response<Full<Bytes>> {
    let reasons = readiness::reasons(facts, keeper);
    if reasons.is_empty() {
        return page(StatusCode::OK, TEXT, "ready\n".to_owned());
    }
    page(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready\n{}\n", reasons.join("\n")))
}

fn state(facts: &Facts, keeper: &Keeper) -> Response<Full<Bytes>> {
    let reasons = readiness::reasons(facts, keeper);
    let body = json!({
        "schema": "keysvc/state/1",
        "ready": reasons.is_empty(),
        "reasons": reasons,
        "front": front(facts),
        "keeper": match keeper {
            Keeper::Answers(state) => of_the_keeper(state),
            Keeper::Away(_) | Keeper::Silent | Keeper::Foreign => Value::Null,
        },
    });
    page(StatusCode::OK, JSON, format!("{body}\n"))
}

fn front(facts: &Facts) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_ms": facts.uptime_ms,
        "certificate_not_after": time(facts.certificate_not_after_s),
        "crl_next_update": facts.crl_next_update_s.and_then(time),
    })
}

fn of_the_keeper(state: &KeeperState) -> Value {
    json!({
        "version": state.version,
        "uptime_ms": state.uptime_ms,
        "policy": state.policy.to_string(),
        "development": state.development,
        "halted": state.halted,
        "closing": state.closing,
        "token": { "silent_ms": state.token_silent_ms },
        "store": { "leaves": state.leaves, "waiting": state.queue_len },
        "jobs": { "overdue": state.jobs_overdue },
        "checkpoint": { "size": state.checkpoint_size, "age_ms": state.checkpoint_age_ms },
    })
}

/// A Unix time as RFC 3339; nothing for one that no calendar has.
fn time(seconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}
