//! Policies before they are in force: read strictly, tried on decision cases, compared, proved, replayed over the past.
//!
//! Apart from the commands because proposing and reviewing do all of it, and must find the same. Nothing is sent or signed
//! here.

pub(crate) mod caller;
pub(crate) mod candidate;
pub(crate) mod cases;
pub(crate) mod compared;
pub(crate) mod findings;
pub(crate) mod in_force;
pub(crate) mod lockout;
pub(crate) mod proved;
pub(crate) mod replay;
pub(crate) mod told;
