//! What crosses the boundary of keysvc, and how to check it offline.
//!
//! Everything a terminal, station, officer or auditor exchanges with the service is typed here once: requests,
//! replies and refusals ([`request`], [`reply`], [`refusal`]), what the service signs ([`value`], [`delivery`],
//! [`checkpoint`]), what its log holds ([`leaf`]) and the proofs over it ([`merkle`], [`receipt`]).
//! The crate is `no_std` with `alloc`, has no I/O, no clock and no keys, and is the same code in the daemon and
//! in the verifiers, so that both cannot disagree.
//!
//! It does not decide who may ask what (that is the service's gate) and it does not speak TLS or PKCS#11.
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod bundle;
pub mod bytes;
pub mod card;
pub mod cbor;
pub mod ceremony;
pub mod checkpoint;
pub mod component;
pub mod control;
pub mod cose;
pub mod delivery;
pub mod evidence;
pub mod export;
pub mod founding;
pub mod freeze;
pub mod hash;
#[cfg(feature = "ring")]
pub mod hpke;
pub mod job;
pub mod key;
pub mod leaf;
pub mod list;
pub mod merkle;
pub mod name;
pub mod proposal;
pub mod public_key;
pub mod quorum;
pub mod receipt;
pub mod refusal;
pub mod reply;
pub mod request;
pub mod schema;
#[cfg(feature = "ring")]
pub mod sealing;
pub mod sentence;
pub mod trust;
pub mod value;
