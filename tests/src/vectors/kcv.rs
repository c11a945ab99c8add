//! Key check values: what a custodian's program computes, and what the token does before and after a key comes in.
//!
//! The product has one check value of a secret key, 5 bytes of a CMAC. The others of a vector are put to the code that
//! reads check values, which refuses them for their length.

use super::{
    bench::Bench,
    file::{Case, Hex, hex},
    verdict::{Ran, Verdict},
};
use keysvc_client::component::Component;
use keysvc_protocol::bytes::ShortCheck;
use keysvc_token::TokenError;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    alg: String,
    key: Hex,
    kcv_cmac_zero_block_5: Option<Hex>,
    kcv_cmac_full: Option<Hex>,
    kcv_ecb_zero_3: Option<Hex>,
    kcv_globalplatform_ecb01_3: Option<Hex>,
    kcv_3des_zero_3: Option<Hex>,
}

/// Runs a case.
#[must_use]
pub fn run(bench: &Bench, case: &Case<'_>) -> Ran {
    let vector: Vector = match case.read() {
        Ok(vector) => vector,
        Err(verdict) => return Ran::unread(verdict),
    };
    Ran { what: vector.alg.clone(), verdict: vector.tried(bench).unwrap_or_else(|verdict| verdict) }
}

/// What the token says, where it must not refuse.
fn computed<T>(answer: Result<T, TokenError>) -> Result<T, Verdict> {
    answer.map_err(|error| Verdict::Mismatch(error.to_string()))
}

impl Vector {
    /// The check values of other methods, by method.
    fn others(&self) -> impl Iterator<Item = (&'static str, &Hex)> {
        let named = [
            ("ECB of zeros", &self.kcv_ecb_zero_3),
            ("GlobalPlatform", &self.kcv_globalplatform_ecb01_3),
            ("3DES", &self.kcv_3des_zero_3),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)))
    }

    fn tried(&self, bench: &Bench) -> Result<Verdict, Verdict> {
        if !["AES-128", "AES-192", "AES-256", "2K3DES", "3K3DES"].contains(&self.alg.as_str()) {
            return Err(Verdict::PassedOver(format!("no algorithm is called {:?}", self.alg)));
        }
        if self.kcv_cmac_zero_block_5.is_none() && self.others().next().is_none() {
            return Err(Verdict::PassedOver("the vector has no check value".to_owned()));
        }
        let key = match Component::from_hex(&hex(&self.key.0)) {
            Ok(key) => key,
            Err(words) if self.alg == "AES-128" => return Err(Verdict::Mismatch(words.to_string())),
            Err(words) => return Ok(Verdict::Refused(words.to_string())),
        };
        let refused = self.refused_others()?;
        match &self.kcv_cmac_zero_block_5 {
            Some(stated) => {
                self.compared(bench, &key, &hex(&stated.0))?;
                Ok(Verdict::Ok(format!("{}{refused}", hex(&stated.0))))
            }
            None => Ok(Verdict::Refused(refused.trim_start_matches("; ").to_owned())),
        }
    }

    /// Every place of the product that computes this check value.
    fn compared(&self, bench: &Bench, key: &Component, stated: &str) -> Result<(), Verdict> {
        let full = computed(bench.cmac(key.expose(), &[0; 16]))?;
        let answers = [
            ("a custodian's program", key.check_value().to_string()),
            ("the token, of a value", hex(&computed(bench.check_value(key.expose()))?)),
            ("the token, of a key on it", hex(&computed(bench.master_check_value(key.expose()))?)),
        ];
        for (who, answer) in answers {
            if answer != stated {
                return Err(Verdict::Mismatch(format!("{who} gives {answer}, the vector says {stated}")));
            }
        }
        match &self.kcv_cmac_full {
            Some(stated) if stated.0 != full => Err(Verdict::Mismatch(format!(
                "the token's CMAC is {}, the vector says {}",
                hex(&full),
                hex(&stated.0)
            ))),
            _ => Ok(()),
        }
    }

    /// Has each check value of another method refused where check values are read.
    fn refused_others(&self) -> Result<String, Verdict> {
        let mut refused = String::new();
        for (method, value) in self.others() {
            let text = hex(&value.0);
            match text.parse::<ShortCheck>() {
                Err(words) => refused.push_str(&format!("; {text} ({method}) is refused: {words}")),
                Ok(_) => {
                    return Err(Verdict::Mismatch(format!("{text} ({method}) is taken for a check value")));
                }
            }
        }
        Ok(refused)
    }
}
