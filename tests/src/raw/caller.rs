//! A persona on its own connection with its own statement key, and statements by any key.
//!
//! Apart from the connection because that knows bytes alone.

use super::Line;
use keysvc_client::{
    ClientConfig, Terminal,
    signer::{FileSigner, StatementSigner},
    token_signer::{self, TokenSigner},
};
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    cose::{Kind, Unsigned},
    refusal::Refusal,
    request::{Operation, UpdateValue, ValueOperation},
    schema::Schema,
    trust::Trust,
};
use keysvc_token::KeyKind;
use serde::{Serialize, de::DeserializeOwned};
use softhsm_setup::{Site, softhsm::CONFIGURATION_VARIABLE};
use std::{env, fs, path::PathBuf};

/// The genesis digest of a founded site.
///
/// # Panics
/// When it has no trust file.
#[must_use]
pub fn genesis(site: &Site) -> Digest {
    Trust::parse(&fs::read_to_string(site.trust()).unwrap()).unwrap().genesis
}

/// The statement key that a persona keeps in a file.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn key(site: &Site, persona: &str) -> FileSigner {
    FileSigner::read(&site.home(persona).statement_key()).unwrap()
}

/// A `COSE_Sign1` of any payload by any key as any kind in any scope.
///
/// # Panics
/// When the key does not sign.
#[must_use]
pub fn sign(signer: &dyn StatementSigner, kind: Kind, scope: &[u8], payload: Vec<u8>) -> Vec<u8> {
    let unsigned = Unsigned::new(kind, scope, signer.public_key().identifier(), payload);
    let signature = signer.sign(&unsigned.to_be_signed()).unwrap();
    unsigned.with_signature(&signature)
}

/// A persona on its own connection, with its own statement key where it has one.
#[derive(Debug)]
pub struct Caller {
    /// The connection.
    pub line: Line,
    /// The statement key.
    pub signer: Option<Box<dyn StatementSigner>>,
    /// The genesis digest.
    pub genesis: Digest,
}

impl Caller {
    /// Connects. A key in a token is found only within [`super::with_tokens`].
    ///
    /// # Panics
    /// When anything fails.
    #[must_use]
    pub fn new(site: &Site, persona: &str) -> Self {
        let home = site.home(persona);
        let own_token = env::var_os(CONFIGURATION_VARIABLE).map(PathBuf::from) == Some(home.softhsm_conf());
        let signer: Option<Box<dyn StatementSigner>> = if home.statement_key().is_file() {
            Some(Box::new(key(site, persona)))
        } else if home.has_token() && own_token {
            let settings = ClientConfig::read(&home.client_config()).unwrap().token.unwrap();
            let token = token_signer::open(&settings, None).unwrap();
            let kind = if persona.starts_with("officer") { KeyKind::Approval } else { KeyKind::Statement };
            Some(Box::new(TokenSigner::find(&token, kind).unwrap()))
        } else {
            None
        };
        Self { line: Line::open(site, persona), signer, genesis: genesis(site) }
    }

    /// The request as this persona sends it: signed where the operation asks for it and it has a key.
    #[must_use]
    pub fn message(&self, operation: Operation, payload: Vec<u8>) -> Vec<u8> {
        match &self.signer {
            Some(signer) if operation.is_signed() => {
                sign(signer.as_ref(), Kind::Request(operation), self.genesis.as_bytes(), payload)
            }
            _ => payload,
        }
    }

    /// Asks.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn ask<R: Serialize + DeserializeOwned>(
        &mut self,
        operation: Operation,
        request: &impl Serialize,
    ) -> Result<R, Refusal> {
        self.ask_bytes(operation, cbor::encode(request))
    }

    /// Asks with a payload as it is.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn ask_bytes<R: Serialize + DeserializeOwned>(
        &mut self,
        operation: Operation,
        payload: Vec<u8>,
    ) -> Result<R, Refusal> {
        let message = self.message(operation, payload);
        self.line.put(operation, message)
    }
}

/// A good update of the development site's one purse, on the card of NXP's example, under a fresh transaction number.
///
/// # Panics
/// When the system gives no randomness.
#[must_use]
pub fn update(operation: ValueOperation, seq: u64, amount: u64, before: u64) -> UpdateValue {
    UpdateValue {
        schema: Schema,
        programme: "coffee".parse().unwrap(),
        card: "04782e21801d80".parse().unwrap(),
        purse: 1,
        operation,
        expected_seq: seq,
        amount,
        currency: 978,
        balance_before: before,
        txn: Terminal::new_txn().unwrap(),
    }
}
