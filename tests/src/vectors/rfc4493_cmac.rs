//! AES-CMAC (RFC 4493) on a real token, by the call with which a token is admitted.
//!
//! The product computes no CMAC of its own over such messages: its check values and card keys are CMACs of the token.

use super::{
    bench::Bench,
    file::{Case, Hex, hex},
    verdict::{Answer, Ran, Verdict, is_negative, judge},
};
use keysvc_client::component::Component;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    key: Hex,
    msg: Hex,
    mac: Hex,
    mark: String,
}

/// Runs a case.
#[must_use]
pub fn run(bench: &Bench, case: &Case<'_>) -> Ran {
    let vector: Vector = match case.read() {
        Ok(vector) => vector,
        Err(verdict) => return Ran::unread(verdict),
    };
    let what = format!("{}-byte message", vector.msg.0.len());
    Ran { what, verdict: vector.tried(bench) }
}

impl Vector {
    fn tried(&self, bench: &Bench) -> Verdict {
        let expected = (!is_negative(&self.mark)).then(|| hex(&self.mac.0));
        let answer = match Component::from_hex(&hex(&self.key.0)) {
            Err(words) => Answer::Refused(words.to_string()),
            Ok(key) => match bench.cmac(key.expose(), &self.msg.0) {
                Ok(mac) => Answer::Gave(hex(&mac)),
                Err(error) => return Verdict::Mismatch(error.to_string()),
            },
        };
        // The scheme is of AES-128, all of which is promised.
        judge(true, expected.as_deref(), answer)
    }
}
