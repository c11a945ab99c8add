//! What can go wrong while a proof is made. None of it is a proof, and none of it is a counterexample.

use std::path::PathBuf;

use keysvc_policies::PolicyError;

/// Nothing was proved, and nothing was refuted.
#[derive(Debug, thiserror::Error)]
pub enum ProverError {
    /// There is no solver to ask.
    #[error(
        "no solver: {} does not start ({reason}); install Debian's package cvc5, \
         or name the program with CVC5=/path/to/cvc5",
        program.display()
    )]
    Missing {
        /// What was tried.
        program: PathBuf,
        /// What the system answered.
        reason: std::io::ErrorKind,
    },

    /// The program is another one.
    #[error(
        "{} is not cvc5: asked for its version it said {said:?}; name cvc5 with CVC5=/path/to/cvc5",
        program.display()
    )]
    OtherProgram {
        /// What was started.
        program: PathBuf,
        /// The first line of what it said.
        said: String,
    },

    /// The solver took too long.
    #[error(
        "the solver gave no answer within {limit_ms} ms about {about}, which proves nothing; \
         simplify the policies that speak of it, or prove on a faster machine"
    )]
    TimedOut {
        /// Which theorem or question.
        about: String,
        /// The limit of one question.
        limit_ms: u64,
    },

    /// The solver gave up.
    #[error(
        "the solver does not know whether it holds: {about}, which proves nothing; \
         simplify the policies that speak of it"
    )]
    Unknown {
        /// Which theorem or question.
        about: String,
    },

    /// The solver failed or said something that is no answer.
    #[error("the solver failed over {about}: {reason}; check that it is cvc5 of version 1.0.3 or later")]
    Solver {
        /// Which theorem or question.
        about: String,
        /// What it said.
        reason: String,
    },

    /// The solver answered wrongly where the answer is known.
    #[error(
        "the solver says of a known {known} that it is not; nothing it says can be trusted, \
         install Debian's package cvc5"
    )]
    Untrue {
        /// What it is: `truth` or `falsehood`.
        known: &'static str,
    },

    /// A policy says something that has no formula.
    #[error(
        "what the policies say about {about} cannot be put to the solver: {reason}; write them without it"
    )]
    Unsupported {
        /// Which theorem or question.
        about: String,
        /// What the symbolic compiler says.
        reason: String,
    },

    /// The solver's counterexample is none.
    #[error(
        "the solver found a request that breaks {about}, but Cedar does not permit it; \
         report this with the policies: either the solver or the prover is wrong"
    )]
    Unconfirmed {
        /// Which theorem.
        about: String,
    },

    /// The schema does not declare what a theorem is about.
    #[error("the shipped schema has no {action}; the program is damaged, install it again")]
    NoEnvironment {
        /// The action.
        action: &'static str,
    },

    /// The limit of loads leaves nothing to prove.
    #[error(
        "the limit of large loads must be below {}, which is the largest amount; state a smaller one",
        i64::MAX
    )]
    LoadMax,

    /// The policies or the shipped schema do not load.
    #[error(transparent)]
    Policies(#[from] PolicyError),

    /// Cedar does not take what it took when the policies were loaded.
    #[error("the policies cannot be put together for the proof: {reason}; report this with the policies")]
    Unusable {
        /// What Cedar says.
        reason: String,
    },

    /// The symbolic compiler gave up in an unforeseen way.
    #[error("the prover stopped in the middle; report this with the policies and what stands above")]
    Panicked,

    /// No thread or no runtime for the solver's process.
    #[error("the solver cannot be run: {reason}; check the limits on memory, processes and open files")]
    NoRuntime {
        /// What the system answered.
        reason: std::io::ErrorKind,
    },
}
