//! The state of dual control, driven by leaves with real signatures.

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
