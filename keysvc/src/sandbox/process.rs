//! What a process gives up by itself: new privileges, root's rights, core dumps and the swap.

use super::Role;
use rustix::{
    mm::{MlockAllFlags, mlockall},
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs},
};

/// No program that is run from here on has more rights than this process.
pub(super) fn no_new_privileges() -> Result<(), String> {
    set_no_new_privs(true).map_err(|error| error.to_string())
}

/// No core dump, and to others of the same user the memory is as another user's.
pub(super) fn no_core() -> Result<(), String> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|error| error.to_string())
}

/// Of root's rights those alone that the half may come to use, where it has them: to open files of other users, which
/// the kernel then holds to the plan; for the front to listen below port 1024; for the keeper to lock memory.
pub(super) fn give_up_rights(role: Role) -> Result<(), String> {
    let kept = CapabilitySet::DAC_OVERRIDE
        | match role {
            Role::Front => CapabilitySet::NET_BIND_SERVICE,
            Role::Keeper => CapabilitySet::IPC_LOCK,
        };
    let before = capabilities(None).map_err(|error| error.to_string())?;
    let after = CapabilitySets {
        effective: before.effective & kept,
        permitted: before.permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    if after == before {
        // As in a unit that gives none: it may deny the call, too.
        return Ok(());
    }
    set_capabilities(None, after).map_err(|error| error.to_string())
}

/// Keeps all memory of this process out of the swap, what it has and what it gets; pages count once they are used.
///
/// Only where the limit is none, or this process may pass it: under a limit memory could be had no more long before it is
/// scarce, and the keeper would end by it.
pub(super) fn lock_memory() -> Result<(), String> {
    let limit = getrlimit(Resource::Memlock);
    let may_pass = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    if let Some(limit) = limit.current
        && !may_pass
    {
        return Err(format!(
            "not more than {} KiB may be locked; set LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited",
            limit / 1024
        ));
    }
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE;
    mlockall(all | MlockAllFlags::ONFAULT).map_err(|error| error.to_string())
}
