//! Client of keysvc: one module per kind of user, each behind a feature of the same name.
//!
//! Every persona talks over one connection of mutual TLS 1.3, signs what changes something with its
//! statement key ([`signer`]), and believes nothing that does not follow from its trust file: the service's keys
//! come out of the founding leaf ([`trust_store`]), and every signed checkpoint must contain the ones seen before
//! ([`seen`]). A build with the feature `terminal` alone has no PKCS#11.
//!
//! It decides nothing about who may do what, and it prints nothing: programs do.

#[cfg(feature = "auditor")]
pub mod auditor;
mod backoff;
pub mod config;
mod connect;
pub mod error;
mod evidence;
mod folder;
#[cfg(feature = "officer")]
pub mod officer;
mod private_file;
pub mod reader;
mod reply;
pub mod seen;
pub mod signer;
#[cfg(any(feature = "station", feature = "terminal"))]
mod statement;
#[cfg(feature = "station")]
pub mod station;
#[cfg(feature = "terminal")]
pub mod terminal;
#[cfg(test)]
mod testing;
#[cfg(any(feature = "station", feature = "officer"))]
pub mod token_signer;
pub mod trust_store;

#[cfg(feature = "auditor")]
pub use auditor::Auditor;
pub use config::ClientConfig;
pub use error::ClientError;
pub use keysvc_protocol as protocol;
#[cfg(any(feature = "station", feature = "officer"))]
pub use keysvc_token::{CardKeyValue, Pin, PinError, TokenError};
#[cfg(feature = "officer")]
pub use officer::Officer;
pub use reader::Reader;
#[cfg(feature = "station")]
pub use station::Station;
#[cfg(feature = "terminal")]
pub use terminal::Terminal;
