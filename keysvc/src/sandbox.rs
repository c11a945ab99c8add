//! What each half may do to the machine, held by the kernel: which files it can open, which ports it can reach, which system
//! calls it can make; that it gains no privilege, leaves no core dump and keeps its memory out of the swap.
//!
//! A half enters first thing in its process, before any thread is there, with what its configuration names; nothing takes
//! it out again. What the kernel lacks is said, never passed over: each part says whether it is on. The parent only gives
//! up what it can never want; `init`, `doctor` and the other commands of an operator are not confined.
//!
//! What is granted stands in [`plan`], how the kernel is told in `files`, `calls` and `process`, what must fail in
//! [`attempts`]. docs/decisions/0045 says why it is so.

pub mod attempts;
mod calls;
mod confined;
mod descriptors;
pub mod environment;
mod files;
mod plan;
mod process;
pub mod trial;

pub use confined::{Confined, Part, State};

use crate::{
    config::{Config, SandboxPart},
    error::Fault,
};
use plan::Plan;
use std::path::Path;

/// Which half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// The one that faces the network.
    Front,
    /// The one that holds the token.
    Keeper,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Front, Self::Keeper];

    /// The name, which is the subcommand's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Keeper => "keeper",
        }
    }
}

/// Confines this process to what the half of this `role` needs by its configuration, read from `file`. To be called before
/// any thread is started.
///
/// # Errors
/// [`Fault::Refusing`] where a part is off and `[sandbox] require` is set.
pub fn enter(role: Role, file: &Path, config: &Config) -> Result<Confined, Fault> {
    // First, because this program may begin anew by it.
    shed(role, config);
    if role == Role::Keeper {
        plan::make_ready(config);
    }
    let confined = confine(role, file, config);
    if config.sandbox.require { confined.whole() } else { Ok(confined) }
}

/// Confines this process, as far as it can be, and says how far.
fn confine(role: Role, file: &Path, config: &Config) -> Confined {
    let plan = Plan::of(role, file, config);
    let settings = &config.sandbox;
    let left_off = |part| settings.without.contains(&part);
    let mut confined = Confined::new(role);
    let mut note = |part, state| confined.note(part, state);
    note(Part::Descriptors, descriptors::descriptors(given(role, config)));
    note(Part::Cores, process::no_core().into());
    if role == Role::Keeper {
        note(Part::Memory, unless(left_off(SandboxPart::Memory), || process::lock_memory().into()));
    }
    note(Part::Privileges, process::no_new_privileges().into());
    note(Part::Rights, unless(left_off(SandboxPart::Rights), || process::give_up_rights(role).into()));
    for (part, state) in files::confine(&plan, settings) {
        note(part, state);
    }
    // Last, because what stands above makes calls that are denied from here on.
    note(Part::Calls, unless(left_off(SandboxPart::Calls), || calls::confine(role, settings).into()));
    confined
}

/// Gives up, in a process that is no half and starts or founds them, what it can never want: new privileges and core dumps.
/// What cannot be given up is no reason not to go on: each half says what it lacks itself.
pub fn enter_lightly() {
    for given_up in [process::no_core(), process::no_new_privileges()] {
        if let Err(why) = given_up {
            tracing::warn!(why, "the parent keeps what it does not need");
        }
    }
}

/// Closes what was left open by whoever started this process.
fn shed(role: Role, config: &Config) {
    descriptors::shed(given(role, config));
}

/// The descriptor that the half is to have from whoever started it.
fn given(role: Role, config: &Config) -> Option<u32> {
    config.token.pin_fd.filter(|_| role == Role::Keeper)
}

fn unless(left_off: bool, part: impl FnOnce() -> State) -> State {
    if left_off { State::Off("left off by [sandbox] without".to_owned()) } else { part() }
}
