//! The only crate of keysvc that speaks PKCS#11 (OASIS PKCS#11 2.40).
//!
//! A [`Token`] is one logged-in token; keys are made, checked and used through it and never leave it but as the
//! table in [`profile`] says. Apart from the rest because it is the one place where a foreign library runs in our
//! process, and because stations and officers use it without the daemon.
//!
//! It does not decide who may use a key, and it keeps no record: the daemon's gate and ledger do.
//! No type of the underlying PKCS#11 wrapper appears in its interface.

pub mod admission;
mod attribute;
mod card_key;
mod class;
#[cfg(test)]
mod conformance;
mod create;
mod destroy;
mod durability;
mod error;
mod import;
mod input;
mod inventory;
mod master;
mod mechanism;
mod object;
mod pin;
pub mod profile;
mod provision;
#[cfg(test)]
mod purpose;
#[cfg(any(test, feature = "scratch"))]
pub mod scratch;
mod signing;
mod slot;
mod spki;
mod storage;
mod token;
mod transport;
mod value;
#[cfg(test)]
mod vectors;
mod wrapping;
#[cfg(test)]
mod wycheproof;

pub use card_key::CardKey;
pub use class::TokenErrorClass;
pub use create::CreatedKey;
pub use destroy::Destroyed;
pub use durability::{DurabilityError, sync_folder};
pub use error::TokenError;
pub use import::ImportPair;
pub use input::{DiversificationInput, InputLength};
pub use inventory::HeldInventory;
pub use master::MasterKey;
pub use object::{CheckValue, Drift, FoundObject, ObjectId};
pub use pin::{Pin, PinError};
pub use profile::{KeyKind, Origin};
pub use provision::initialise_token;
pub use signing::SigningKey;
pub use slot::{FoundToken, PinTries, TokenIdentity};
pub use spki::SpkiError;
pub use storage::{DataKey, StorageKey};
pub use token::{Token, TokenConfig};
pub use transport::TransportKey;
pub use wrapping::{CardKeyValue, StationTransport, WrappingKey};
