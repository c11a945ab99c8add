//! The state of dual control, and that of jobs and cards, driven by leaves with real signatures.

#[path = "../../../tests/src/people.rs"]
#[expect(unreachable_pub, reason = "the end-to-end tests share it as a public module")]
mod people;

#[path = "control/asks.rs"]
mod asks;
#[path = "control/clock.rs"]
mod clock;
#[path = "control/evidence.rs"]
mod evidence;
#[path = "control/freezes.rs"]
mod freezes;
#[path = "control/imports.rs"]
mod imports;
#[path = "control/keys.rs"]
mod keys;
#[path = "control/profiles.rs"]
mod profiles;
#[path = "control/proposals.rs"]
mod proposals;
#[path = "control/quorum.rs"]
mod quorum;
#[path = "control/random.rs"]
mod random;
#[path = "control/roster.rs"]
mod roster;

#[path = "jobs/agreements.rs"]
mod agreements;
#[path = "jobs/deriving.rs"]
mod deriving;
#[path = "jobs/finishing.rs"]
mod finishing;
#[path = "jobs/kit.rs"]
mod kit;
#[path = "jobs/moving.rs"]
mod moving;
#[path = "jobs/preparing.rs"]
mod preparing;
#[path = "jobs/sequences.rs"]
mod sequences;
#[path = "jobs/sessions.rs"]
mod sessions;
