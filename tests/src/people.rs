//! People and machines with real keys, and a log that they fill through the real state of dual control.
//!
//! Shared by the protocol's own tests (by path) and the end-to-end ones: each brings its library's keys. It makes leaves
//! as the keeper would; it knows no store, no token and no policies.

// By path, because this file is included by path too, where the compiler would look for these beside it.
#[path = "people/floor.rs"]
pub mod floor;
#[path = "people/log.rs"]
mod log;
#[path = "people/makings.rs"]
mod makings;
#[path = "people/onlooker.rs"]
mod onlooker;
#[path = "people/shelf.rs"]
mod shelf;
#[path = "people/site.rs"]
mod site;

pub use floor::Floor;
pub use log::{Kept, Log};
pub use onlooker::Onlooker;
pub use site::{Site, record};

use keysvc_protocol::{
    bytes::{Digest, Idem},
    cose::{Kind, Unsigned},
    name::Name,
    public_key::PublicKey,
    quorum::Need,
    request::{UpdateValue, ValueOperation},
    schema::Schema,
};
use std::{fmt, sync::Arc};

/// When every such log begins.
pub const BEGIN_MS: u64 = 1_795_300_000_000;
/// One hour.
pub const HOUR_MS: u64 = 60 * 60 * 1000;
/// One day.
pub const DAY_MS: u64 = 24 * HOUR_MS;
/// Where logs of these tests belong.
pub const DOMAIN: &str = "people.keysvc.test";

/// What a key does.
pub type Sign = Arc<dyn Fn(&[u8]) -> [u8; 64] + Send + Sync>;

/// A P-256 key, by whichever library the test has.
#[derive(Clone)]
pub struct Key {
    /// The public half.
    pub public: PublicKey,
    /// Signs the SHA-256 of a message: r then s, low-S.
    pub sign: Sign,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.public.fmt(f)
    }
}

impl Key {
    /// A COSE_Sign1 of this payload.
    pub fn message(&self, kind: Kind, genesis: &Digest, payload: Vec<u8>) -> Vec<u8> {
        let unsigned = Unsigned::new(kind, genesis.as_bytes(), self.public.identifier(), payload);
        unsigned.with_signature(&(self.sign)(&unsigned.to_be_signed()))
    }
}

/// A person or machine with the key it signs with.
#[derive(Debug, Clone)]
pub struct Person {
    /// The name.
    pub name: Name,
    /// The key.
    pub key: Key,
}

/// A name.
pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A need of so many people.
pub fn need(persons: u8) -> Need {
    Need::of(persons)
}

/// 16 bytes of one number.
pub fn idem(number: u8) -> Idem {
    Idem::new([number; 16])
}

/// A load of the first value on a card.
pub fn load(amount: u64) -> UpdateValue {
    UpdateValue {
        schema: Schema,
        programme: name("coffee"),
        card: "04782e21801d80".parse().unwrap(),
        purse: 1,
        operation: ValueOperation::Load,
        expected_seq: 1,
        amount,
        currency: 978,
        balance_before: 0,
        txn: idem(5),
    }
}
