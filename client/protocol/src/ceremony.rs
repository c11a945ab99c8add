//! Ceremonies: the plan that people review, the transcript of what was done, and who signed both.
//!
//! A plan is a TOML file; each person named in it signs the digest of its bytes before it is run. A transcript holds the
//! plan's bytes and one record for each step, each naming the digest of the one before; everyone who took part signs the
//! digest of its bytes, and the log holds that digest. This module types both and checks what they say of themselves. What
//! the steps did is in the log; comparing the two is the auditor's.

mod check;
mod idem;
mod plan;
mod record;

pub use check::PlanError;
pub use idem::{idem_of_anchor, idem_of_step};
pub use plan::{Activity, Component, PEOPLE_MAX, PLAN_LEN_MAX, Person, Plan, Role, STEPS_MAX, Step};
pub use record::{
    AGREEMENT_LEN_MAX, CeremonyError, CeremonyFile, Fact, Outcome, PlanAgreement, StepRecord,
    TRANSCRIPT_LEN_MAX, Text, Transcript, TranscriptAgreement,
};
