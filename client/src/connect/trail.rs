//! What became of each endpoint during one call, in words: how every failure names where it happened.

use crate::{deadline::Deadline, error::ClientError};

/// The endpoints of a call and the last fault of each.
pub(super) struct Trail<'a> {
    endpoints: &'a [String],
    /// The order in which they were first tried, and the last fault of each.
    faults: Vec<(usize, String)>,
    /// Whether the request was sent at least once, so that it may have been carried out.
    asked: bool,
}

impl<'a> Trail<'a> {
    pub(super) const fn new(endpoints: &'a [String]) -> Self {
        Self { endpoints, faults: Vec::new(), asked: false }
    }

    /// Host and port of endpoint `at`.
    pub(super) fn endpoint(&self, at: usize) -> &'a str {
        self.endpoints.get(at).map_or("", String::as_str)
    }

    /// The request may reach the service from now on. Gives what was known before, to be put back if it did not.
    pub(super) const fn ask(&mut self) -> bool {
        std::mem::replace(&mut self.asked, true)
    }

    /// The request came back unsent: what was known before holds.
    pub(super) const fn unask(&mut self, before: bool) {
        self.asked = before;
    }

    /// Remembers the last fault of an endpoint.
    pub(super) fn note(&mut self, at: usize, fault: String) {
        match self.faults.iter_mut().find(|(known, _)| *known == at) {
            Some((_, known)) => *known = fault,
            None => self.faults.push((at, fault)),
        }
    }

    /// No endpoint brought an answer. `otherwise` is said where none was tried.
    pub(super) fn unreachable(&self, otherwise: &str) -> ClientError {
        let mut reason = if self.faults.is_empty() { otherwise.to_owned() } else { self.said() };
        if self.asked {
            reason.push_str("; a change may have been carried out, so repeat it with the same number");
        }
        ClientError::Unreachable { endpoint: self.tried(), reason }
    }

    /// The deadline passed during an attempt at endpoint `at`.
    pub(super) fn late(mut self, at: usize, deadline: &Deadline) -> ClientError {
        if !self.asked {
            let fault = format!("no connection within {} ms", deadline.whole_ms());
            // An earlier fault says more.
            if self.faults.iter().all(|(known, _)| *known != at) {
                self.note(at, fault);
            }
            return self.unreachable("");
        }
        self.note(at, "it did not answer".into());
        ClientError::Timeout { after_ms: deadline.whole_ms(), reached: self.told() }
    }

    /// The endpoints that were tried, or all of them.
    fn tried(&self) -> String {
        let names: Vec<_> = if self.faults.is_empty() {
            self.endpoints.iter().map(String::as_str).collect()
        } else {
            self.faults.iter().map(|(at, _)| self.endpoint(*at)).collect()
        };
        names.join(" or ")
    }

    /// The faults; named by endpoint where there is more than one.
    fn said(&self) -> String {
        match self.faults.as_slice() {
            [(_, fault)] => fault.clone(),
            _ => self.told(),
        }
    }

    fn told(&self) -> String {
        let told: Vec<_> =
            self.faults.iter().map(|(at, fault)| format!("{}: {fault}", self.endpoint(*at))).collect();
        told.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::Limit;
    use std::time::Duration;

    fn endpoints() -> [String; 2] {
        ["a:8443".into(), "b:8443".into()]
    }

    #[test]
    fn one_endpoint_is_named_once_and_several_each_with_its_fault() {
        let endpoints = endpoints();
        let mut trail = Trail::new(&endpoints);
        trail.note(0, "first".into());
        trail.note(0, "refused".into());
        let text = trail.unreachable("").to_string();
        assert!(text.starts_with("cannot reach a:8443: refused; check"), "{text}");
        trail.note(1, "closed".into());
        let text = trail.unreachable("").to_string();
        assert!(
            text.starts_with("cannot reach a:8443 or b:8443: a:8443: refused; b:8443: closed;"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_late_call_says_how_far_it_came() {
        let endpoints = endpoints();
        let deadline = Limit::Each(Duration::from_millis(70)).begin().unwrap();
        let text = Trail::new(&endpoints).late(1, &deadline).to_string();
        assert!(text.starts_with("cannot reach b:8443: no connection within 70 ms;"), "{text}");
        let mut trail = Trail::new(&endpoints);
        trail.note(0, "refused".into());
        trail.ask();
        let text = trail.late(1, &deadline).to_string();
        assert!(
            text.starts_with("no answer within 70 ms (a:8443: refused; b:8443: it did not answer);"),
            "{text}"
        );
    }

    #[test]
    fn a_request_that_came_back_unsent_was_not_asked() {
        let endpoints = endpoints();
        let mut trail = Trail::new(&endpoints);
        let before = trail.ask();
        trail.unask(before);
        assert!(!trail.asked);
        trail.ask();
        let before = trail.ask();
        trail.unask(before);
        assert!(trail.asked, "it was sent before");
    }
}
