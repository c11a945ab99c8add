//! Key components: what a custodian enters, the key that components make, and the key in the token.
//!
//! The product promises keys of 16 bytes from two or three components. Longer ones are put to the code that reads a
//! component, and components that make no key to the code that combines them.

use super::{
    bench::Bench,
    file::{Case, Hex, hex},
    verdict::{Answer, Ran, Verdict, is_negative, judge},
};
use keysvc_client::component::Component;
use keysvc_protocol::sealing;
use serde::Deserialize;
use std::fmt::Display;

#[derive(Deserialize)]
struct Vector {
    n: usize,
    components: Vec<One>,
    combined: Option<Hex>,
    combined_kcv_cmac_5: Option<Hex>,
    mark: String,
}

#[derive(Deserialize)]
struct One {
    value: Hex,
    kcv_cmac_5: Option<Hex>,
}

/// Runs a case.
#[must_use]
pub fn run(bench: &Bench, case: &Case<'_>) -> Ran {
    let vector: Vector = match case.read() {
        Ok(vector) => vector,
        Err(verdict) => return Ran::unread(verdict),
    };
    let len = vector.components.first().map_or(0, |one| one.value.0.len());
    let what = format!("{} components, {len}-byte key", vector.n);
    Ran { what, verdict: vector.tried(bench).unwrap_or_else(|verdict| verdict) }
}

/// What the token says, where it must not refuse.
fn computed<E: Display>(answer: Result<Vec<u8>, E>) -> Result<String, Verdict> {
    answer.map(|bytes| hex(&bytes)).map_err(|error| Verdict::Mismatch(error.to_string()))
}

fn same(who: &str, answer: &str, stated: &Hex) -> Result<(), Verdict> {
    if answer == hex(&stated.0) {
        return Ok(());
    }
    Err(Verdict::Mismatch(format!("{who} gives {answer}, the vector says {}", hex(&stated.0))))
}

impl Vector {
    fn tried(&self, bench: &Bench) -> Result<Verdict, Verdict> {
        let negative = is_negative(&self.mark);
        if self.n != self.components.len() {
            let found = self.components.len();
            return Err(Verdict::Mismatch(format!("the vector says {} components, and has {found}", self.n)));
        }
        if self.combined.is_none() && !negative {
            return Err(Verdict::PassedOver("the vector has no combined key".to_owned()));
        }
        let promised = self.combined.as_ref().is_some_and(|combined| combined.0.len() == 16);
        let expected = self.combined.as_ref().filter(|_| !negative).map(|combined| hex(&combined.0));
        Ok(judge(promised, expected.as_deref(), self.combined(bench)?))
    }

    /// The key in hexadecimal, once every check value on the way to it was the published one.
    fn combined(&self, bench: &Bench) -> Result<Answer, Verdict> {
        let mut components = Vec::new();
        for one in &self.components {
            match Component::from_hex(&hex(&one.value.0)) {
                Ok(component) => components.push(component),
                Err(words) => return Ok(Answer::Refused(words.to_string())),
            }
        }
        for (component, one) in components.iter().zip(&self.components) {
            if let Some(stated) = &one.kcv_cmac_5 {
                same("a custodian's program", &component.check_value().to_string(), stated)?;
                same(
                    "the token, of a component,",
                    &computed(bench.check_value(component.expose()))?,
                    stated,
                )?;
            }
        }
        let values: Vec<_> = components.iter().map(Component::expose).collect();
        let key = match sealing::combine(&values) {
            Ok(key) => key,
            Err(words) => return Ok(Answer::Refused(words.to_string())),
        };
        if let Some(stated) = &self.combined_kcv_cmac_5 {
            let check = Component::combined_check(&components);
            let check = check.map_err(|error| Verdict::Mismatch(error.to_string()))?;
            same("a custodian's program, of the whole key,", &check.to_string(), stated)?;
            same("the token, of the imported key,", &computed(bench.imported_check_value(&values))?, stated)?;
        }
        Ok(Answer::Gave(hex(key.as_slice())))
    }
}
