//! Proofs over a site's policies: what they permit to nobody, whoever asks and whatever the circumstances.
//!
//! A test asks about the requests its author thought of; a proof is about all of them. Each [`Theorem`] is
//! turned into a formula over every request the schema allows, and an SMT solver is asked for one that
//! breaks it. If there is none, the theorem holds. If there is one, it is confirmed by Cedar's own
//! authoriser and told as a [`Counterexample`] that a person understands.
//!
//! The theorems are about the *site's* policies alone, without the ceiling. The ceiling denies the same
//! things once more: two lines, and each is to hold without the other.
//!
//! This crate is apart because the daemon must not carry it: a proof is made by an officer before the
//! policies are proposed. It proposes nothing, changes nothing and does not judge requests.
//!
//! ```no_run
//! use keysvc_policies::PolicySet;
//! use keysvc_prover::{LOAD_MAX_DEFAULT, Prover};
//!
//! let proof = Prover::new(None).prove(&PolicySet::shipped()?, LOAD_MAX_DEFAULT)?;
//! assert!(proof.holds(), "{}", proof.report());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a proof rests on
//!
//! On Cedar's symbolic compiler, on cvc5 (Debian's package is enough: version 1.0.3 knows all that is
//! used of it) and on the schema; not on the keeper. The facts of a request range over all values of
//! their types, so that even a count of people the keeper would never state must not open anything.
//! Before each proof the solver is asked two questions whose answers are known; one that answers anything
//! to get done is found out.

mod claim;
mod counterexample;
mod error;
mod facts;
mod job;
mod notice;
mod proof;
mod prover;
mod search;
mod site;
mod solver;
mod wishes;
mod words;

pub use claim::LOAD_MAX_DEFAULT;
pub use counterexample::Counterexample;
pub use error::ProverError;
pub use proof::{Outcome, Proof, Theorem};
pub use prover::Prover;
