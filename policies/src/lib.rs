//! Authorisation of keysvc: who may ask for which operation, decided by Cedar policies.
//!
//! There are two layers. The *ceiling* is shipped inside the program and states what no site can
//! permit; the *site's* policies are a folder of `*.cedar` files. A request passes only if both
//! permit it, and whatever goes wrong on the way denies it.
//!
//! This crate is apart because Cedar is large: no other crate names it and no type of it leaves
//! this one. It does not know limits, sequence numbers or the state of cards (the ledger's), nor
//! who is connected (the gate's): it judges the facts it is given.
//!
//! ```
//! use keysvc_policies::{ContextFacts, Decision, PolicySet, PrincipalFacts, Question, ResourceFacts};
//!
//! let policies = PolicySet::shipped()?;
//! let station = PrincipalFacts {
//!     id: "station-1",
//!     kind: "station",
//!     organisation: "bureau",
//!     department: "production",
//!     capabilities: &[],
//! };
//! let derive = Question {
//!     principal: station,
//!     action: "card.derive",
//!     resource: ResourceFacts::Profile { name: "fob" },
//!     context: ContextFacts::CardDerive { cards: 1, slots: 3, development: false },
//! };
//! assert_eq!(policies.decide(&derive)?, Decision::Allow);
//!
//! let read = Question {
//!     principal: station,
//!     action: "log.entries",
//!     resource: ResourceFacts::Log,
//!     context: ContextFacts::None,
//! };
//! assert_eq!(policies.decide(&read)?, Decision::Deny);
//! # Ok::<(), keysvc_policies::PolicyError>(())
//! ```

mod action;
mod digest;
mod error;
mod facts;
mod folder;
mod policy_set;
mod question;
mod rules;
#[cfg(test)]
mod sample;
mod shipped;
mod source;

pub use error::PolicyError;
pub use folder::{SITE_FILE_BYTES_MAX, SITE_FILES_MAX};
pub use policy_set::{PolicySet, SITE_POLICIES_MAX};
pub use question::{ContextFacts, Decision, PrincipalFacts, Question, ResourceFacts};
pub use shipped::{CEILING, DEFAULT_SITE, DEFAULT_SITE_NAME, SCHEMA};
