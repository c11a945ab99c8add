//! Authorisation of keysvc: who may ask for which operation, decided by Cedar policies.
//!
//! There are two layers. The *ceiling* is shipped inside the program and states what no site can
//! permit; the *site's* policies are a folder of `*.cedar` files. A request passes only if both
//! permit it, and whatever goes wrong on the way denies it. A denial says nothing of its reason but one:
//! [`PolicySet::judge`] tells where one person would do what takes two.
//!
//! What takes people is denied while too few stand behind it. [`PolicySet::need`] then says what
//! would be enough, and finds that by asking the same policies about quorums that could be; there is
//! no second language for it.
//!
//! Policies change, and people answer for the change. [`PolicySet::from_files`] loads a set that is
//! proposed, [`PolicySet::can_change_itself`] says whether it could ever be replaced, and the module
//! `case` (feature `cases`, for officers' programs and tests) says which of the decision cases come out
//! otherwise. [`in_words`] is a question as a person reads it.
//!
//! This crate is apart because Cedar is large: no other crate names it and no type of it leaves
//! this one. It does not know limits, sequence numbers or the state of cards (the ledger's), nor
//! who is connected (the gate's), nor whether an approval is genuine (the quorum's): it judges the
//! facts it is given.
//!
//! ```
//! use keysvc_policies::{
//!     ContextFacts, Decision, PolicySet, PrincipalFacts, Question, QuorumFacts, ResourceFacts, Voter,
//! };
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
//!     context: ContextFacts::CardDerive { cards: 1, slots: 3, generation: 1, development: false },
//!     quorum: QuorumFacts::NONE,
//! };
//! assert_eq!(policies.decide(&derive)?, Decision::Allow);
//!
//! let read = Question {
//!     principal: station,
//!     action: "log.entries",
//!     resource: ResourceFacts::Log,
//!     context: ContextFacts::None,
//!     quorum: QuorumFacts::NONE,
//! };
//! assert_eq!(policies.decide(&read)?, Decision::Deny);
//!
//! let lift = Question {
//!     principal: PrincipalFacts { id: "anna", kind: "officer", ..station },
//!     action: "freeze.lift",
//!     resource: ResourceFacts::Service,
//!     context: ContextFacts::Freeze { scope: "terminal", organisation: "acme", officers: 3 },
//!     quorum: QuorumFacts::NONE,
//! };
//! assert_eq!(policies.decide(&lift)?, Decision::Deny);
//! let voters = ["finance", "security", "security"].map(|department| Voter { department });
//! let need = policies.need(&lift, &voters)?.ok_or("no quorum is enough")?;
//! assert_eq!((need.persons, need.departments, need.named.len()), (2, 1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod action;
#[cfg(feature = "cases")]
pub mod case;
mod depth;
mod digest;
mod error;
mod facts;
mod folder;
mod given;
mod key;
mod need;
mod policy_set;
mod question;
mod rule;
mod rules;
#[cfg(test)]
mod sample;
mod shipped;
mod source;
mod standing;
mod tally;
mod words;

pub use error::PolicyError;
pub use folder::{SITE_FILE_BYTES_MAX, SITE_FILES_MAX};
pub use need::{PolicyNeed, VOTER_DEPARTMENTS_MAX, VOTERS_MAX, Voter};
pub use policy_set::{PolicySet, SITE_POLICIES_MAX};
pub use question::{
    ContextFacts, Decision, Denied, JobFacts, PrincipalFacts, Question, QuorumFacts, ResourceFacts, Verdict,
};
pub use shipped::{CEILING, DEFAULT_SITE, DEFAULT_SITE_NAME, SCHEMA};
pub use words::in_words;
