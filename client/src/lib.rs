//! Client of keysvc: one module per kind of user, each behind a feature of the same name.
//!
//! | persona | feature | what it does |
//! | --- | --- | --- |
//! | [`Station`] | `station` | works a job, and receives the keys of its cards, wrapped to its own token |
//! | [`Terminal`] | `terminal` | has value updates signed and proved; verifies them offline |
//! | [`Hub`] | `hub` | sends the updates of many terminals in one batch |
//! | [`Office`] | `hub` | stops its own cards and terminals, sells cards and takes them back |
//! | [`Officer`] | `officer` | signs the founding, agrees to what takes people, stops what must be stopped |
//! | [`Operator`] | `officer` | puts jobs together and seals them, stops them, looks over their numbers |
//! | [`Custodian`] | `officer` | gives a component of a key that is imported, sealed |
//! | [`Auditor`] | `auditor` | reads the log and exports it for verification offline |
//! | [`Reader`] | always | the reads that all of them may make |
//!
//! All features are on by default; a till's build has `default-features = false, features = ["terminal"]` and links no
//! PKCS#11. Programs without async use the same types in [`blocking`]. `client/examples/` holds two whole programs to
//! start from: `personalize.rs`, a bureau's line over [`personalization`], and `terminal.rs`, a till. What people on the
//! floor sign is made and read in [`agreement`], without a connection.
//!
//! ```no_run
//! use keysvc_client::{ClientConfig, Reader};
//! use std::path::Path;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ClientConfig::read(Path::new("/etc/keysvc/client.toml"))?;
//! let reader = Reader::connect(&config).await?;
//! let status = reader.status().await?;
//! # let _ = status;
//! # Ok(())
//! # }
//! ```
//!
//! # What it believes
//!
//! Nothing that does not follow from its trust file, two lines of text that come with the enrolment. The service's
//! keys come out of the founding leaf ([`trust_store`]), and every signed checkpoint must contain the ones seen before
//! ([`seen`]). The state folder holds what was learnt: `founding`, `checkpoint`, for terminals `bundle`, and
//! `evidence-<n>` where the service contradicted itself. Each file is whole or not there, however a program ends;
//! several handles, threads and processes may share one folder, under a file lock.
//!
//! # Configuration
//!
//! ```toml
//! endpoint = "keysvc.example:8443"     # or endpoints = ["a:8443", "b:8443"], in the order they are tried
//! server-name = "keysvc.example"
//! ca = "ca.pem"
//! certificate = "terminal-1.pem"
//! key = "terminal-1.key"               # mode 0600
//! trust = "trust"
//! state = "state"
//! deadline-ms = 10000                  # one call, with all retries and failovers; 1 to 60000
//! connections = 4                      # calls under way at once; 1 to 16
//! ```
//!
//! Stations and officers add `[token]` with `module`, `label` and `pin-file`; terminals `[statement]` with `file`.
//! Relative paths are taken from the file's folder. [`config`] has the rest.
//!
//! # Calls, retries and deadlines
//!
//! A handle is cheap to clone; clones share its connections, and several calls may be under way at once. A call
//! retries by itself what passes: a busy service, a token or store that is away, a connection that breaks. With
//! several endpoints it goes on to the next at once, and comes back to the first 30 s later. All of it ends at the
//! deadline, the configuration's or `with_deadline`'s; the error then says which endpoints were reached and how far.
//! Waits for the own token or disk are not broken off.
//!
//! # Errors
//!
//! [`ClientError`] says whose affair it is, and [`ClientError::exit_code`] what a program ends with.
//!
//! | error | what to do |
//! | --- | --- |
//! | [`ClientError::Refused`] | act on the refusal: it says what would be enough; retryable ones were retried already |
//! | [`ClientError::Pending`] | keep the request: officers must agree first; repeating it tells |
//! | [`ClientError::Timeout`], [`ClientError::Unreachable`] | ask again; a change with the same idempotency key |
//! | [`ClientError::Untrusted`], [`ClientError::Malformed`], [`ClientError::Delivery`], [`ClientError::NotSigned`], `NotApprovable` | use nothing of it, keep the state folder, tell the officers |
//! | [`ClientError::Bundle`] | do not take the record; fetch the bundle in force |
//! | [`ClientError::Config`], [`ClientError::Authentication`], [`ClientError::Request`] | correct the configuration, the enrolment or the program |
//! | [`ClientError::State`], [`ClientError::Token`] | mend the file or the token that is named |
//!
//! It decides nothing about who may do what, and it prints nothing: programs do.

#[cfg(any(feature = "station", feature = "terminal", feature = "hub", feature = "officer"))]
pub mod act;
#[cfg(any(feature = "station", feature = "officer"))]
pub mod agreement;
#[cfg(feature = "officer")]
pub mod approvable;
#[cfg(feature = "auditor")]
pub mod auditor;
mod backoff;
pub mod blocking;
#[cfg(any(feature = "terminal", feature = "hub"))]
pub mod card_move;
mod clock;
#[cfg(feature = "officer")]
pub mod component;
pub mod config;
mod connect;
#[cfg(feature = "officer")]
pub mod custodian;
mod deadline;
pub mod error;
mod evidence;
mod folder;
#[cfg(feature = "hub")]
pub mod hub;
mod leaf_shown;
#[cfg(feature = "hub")]
pub mod office;
#[cfg(feature = "officer")]
pub mod officer;
#[cfg(feature = "officer")]
pub mod operator;
pub mod own_name;
#[cfg(any(feature = "station", feature = "terminal", feature = "hub", feature = "officer"))]
mod own_proposal;
pub mod pending;
#[cfg(feature = "station")]
pub mod personalization;
#[cfg(any(feature = "station", feature = "officer"))]
mod portions;
mod private_file;
pub mod reader;
mod reply;
pub mod seen;
pub mod signer;
#[cfg(any(feature = "hub", feature = "officer"))]
mod site_reads;
#[cfg(any(feature = "station", feature = "terminal", feature = "hub", feature = "officer"))]
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
#[cfg(any(feature = "terminal", feature = "hub"))]
mod update;
#[cfg(any(feature = "terminal", feature = "hub"))]
mod value_keys;

#[cfg(feature = "auditor")]
pub use auditor::Auditor;
#[cfg(feature = "officer")]
pub use component::Component;
pub use config::ClientConfig;
pub use connect::OwnCertificate;
#[cfg(feature = "officer")]
pub use custodian::Custodian;
pub use error::ClientError;
#[cfg(feature = "hub")]
pub use hub::Hub;
pub use keysvc_protocol as protocol;
#[cfg(any(feature = "station", feature = "officer"))]
pub use keysvc_token::{CardKeyValue, Pin, PinError, TokenError};
#[cfg(feature = "hub")]
pub use office::Office;
#[cfg(feature = "officer")]
pub use officer::Officer;
#[cfg(feature = "officer")]
pub use operator::Operator;
pub use pending::{Outcome, Pending};
pub use reader::Reader;
#[cfg(feature = "station")]
pub use station::Station;
#[cfg(feature = "terminal")]
pub use terminal::Terminal;
