//! NXP AN10922 on a real token: the master comes in, the card key is born in the token, and a station reads it.
//!
//! The product promises AES-128 with inputs of 16 to 31 bytes. Other cases are put to the same code, which refuses them:
//! a key of another length where a component is read, an input of another length where it is taken.

use super::{
    bench::Bench,
    file::{Case, Hex, hex},
    verdict::{Answer, Ran, Verdict, is_negative, judge},
};
use keysvc_client::component::Component;
use keysvc_token::DiversificationInput;
use serde::Deserialize;

/// The algorithms that AN10922 knows, with the length of their keys in bytes.
const ALGORITHMS: [(&str, usize); 5] =
    [("aes128", 16), ("aes192", 24), ("aes256", 32), ("2k3des", 16), ("3k3des", 24)];

#[derive(Deserialize)]
struct Vector {
    alg: String,
    key: Hex,
    div_input: Hex,
    output: Option<Hex>,
    mark: String,
    length: Option<usize>,
}

/// Runs a case.
#[must_use]
pub fn run(bench: &Bench, case: &Case<'_>) -> Ran {
    let vector: Vector = match case.read() {
        Ok(vector) => vector,
        Err(verdict) => return Ran::unread(verdict),
    };
    let what = format!("{}, {}-byte input", vector.alg, vector.div_input.0.len());
    Ran { what, verdict: vector.tried(bench).unwrap_or_else(|verdict| verdict) }
}

impl Vector {
    fn tried(&self, bench: &Bench) -> Result<Verdict, Verdict> {
        self.agrees_with_itself()?;
        let expected = if is_negative(&self.mark) { None } else { self.output.as_ref() };
        let promised = self.alg == "aes128" && (16..=31).contains(&self.div_input.0.len());
        let answer = match self.derived(bench)? {
            Ok(value) => Answer::Gave(hex(&value)),
            Err(words) => Answer::Refused(words),
        };
        Ok(judge(promised, expected.map(|output| hex(&output.0)).as_deref(), answer))
    }

    /// A vector that an edit has torn would else look like one that is outside of the product.
    fn agrees_with_itself(&self) -> Result<(), Verdict> {
        let Some((_, len)) = ALGORITHMS.iter().find(|(name, _)| *name == self.alg) else {
            return Err(Verdict::PassedOver(format!("no algorithm of AN10922 is called {:?}", self.alg)));
        };
        if self.key.0.len() != *len {
            return Err(Verdict::Mismatch(format!("{} with a key of {} bytes", self.alg, self.key.0.len())));
        }
        let found = self.div_input.0.len();
        match self.length {
            Some(length) if length != found => {
                Err(Verdict::Mismatch(format!("the vector says {length} bytes of input, and has {found}")))
            }
            _ if self.output.is_none() && !is_negative(&self.mark) => {
                Err(Verdict::PassedOver("the vector has no output".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The card key, or the product's words of refusal.
    fn derived(&self, bench: &Bench) -> Result<Result<[u8; 16], String>, Verdict> {
        let (master, input) = (
            Component::from_hex(&hex(&self.key.0)),
            DiversificationInput::try_from(self.div_input.0.as_slice()),
        );
        match (master, input) {
            (Ok(master), Ok(input)) => {
                let derived = bench.card_key(&master, &input);
                Ok(Ok(derived.map_err(|error| Verdict::Mismatch(error.to_string()))?))
            }
            (Err(key), Ok(_)) => Ok(Err(key.to_string())),
            (Ok(_), Err(input)) => Ok(Err(input.to_string())),
            (Err(key), Err(input)) => Ok(Err(format!("{key}; {input}"))),
        }
    }
}
