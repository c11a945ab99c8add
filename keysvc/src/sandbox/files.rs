//! Files, ports and signals, held by Landlock (landlock(7)).
//!
//! The only file that names the crate. A kernel that knows less of it than this holds less, and each part says so; one that
//! knows more is asked for no more than what was tried (ABI 7).

use super::{
    Part, State,
    plan::{Grant, Plan, Reach},
};
use crate::config::{SandboxConfig, SandboxPart};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError,
    Scope,
};
use std::os::unix::fs::FileTypeExt as _;

/// The newest form of Landlock that was tried.
const TRIED: ABI = ABI::V7;

/// The parts that are left to Landlock, and from which of its forms on the kernel holds them: files with truncation, ports,
/// signals with abstract sockets.
const PARTS: [(Part, SandboxPart, ABI, &str); 3] = [
    (Part::Files, SandboxPart::Files, ABI::V3, "Linux 6.2"),
    (Part::Network, SandboxPart::Network, ABI::V4, "Linux 6.7"),
    (Part::Signals, SandboxPart::Signals, ABI::V6, "Linux 6.12"),
];

/// Holds this thread, and all that it starts, to the plan. Gives how each part went.
pub(super) fn confine(plan: &Plan, settings: &SandboxConfig) -> Vec<(Part, State)> {
    let wanted = |part| !settings.without.contains(&part);
    if PARTS.iter().all(|(_, part, ..)| !wanted(*part)) {
        return PARTS.into_iter().map(|(part, ..)| (part, left_off())).collect();
    }
    let done = restrict(plan, &wanted).map_err(|error| error.to_string());
    let state = |(part, setting, since, kernel): (Part, SandboxPart, ABI, &str)| {
        let state = match &done {
            _ if !wanted(setting) => left_off(),
            _ if part == Part::Network && plan.ports.is_none() => {
                State::On("free, as [sandbox] keeper-network says".to_owned())
            }
            Ok(status) => held(status, since, kernel).map_or_else(State::Off, |()| said(part, plan)),
            Err(why) => State::Off(why.clone()),
        };
        (part, state)
    };
    PARTS.into_iter().map(state).collect()
}

fn left_off() -> State {
    State::Off("left off by [sandbox] without".to_owned())
}

/// What of a part that is on is worth a word.
fn said(part: Part, plan: &Plan) -> State {
    let how = match (part, &plan.ports) {
        (Part::Files, _) if !plan.bound.is_empty() => {
            "the front's files lie beside the keeper's, so one that is replaced is read after a restart only"
                .to_owned()
        }
        (Part::Network, Some(ports)) if ports.is_empty() => "none".to_owned(),
        (Part::Network, Some(ports)) => {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            format!("listens at {}, connects to nobody", ports.join(" and "))
        }
        _ => String::new(),
    };
    State::On(how)
}

/// Whether the kernel holds what it does `since`.
fn held(status: &RestrictionStatus, since: ABI, kernel: &str) -> Result<(), String> {
    match status.landlock {
        LandlockStatus::NotImplemented => Err("this kernel has no Landlock".to_owned()),
        LandlockStatus::NotEnabled => {
            Err("Landlock is not enabled on this machine; start the kernel with lsm=landlock,..".to_owned())
        }
        LandlockStatus::Available { effective_abi, .. } if effective_abi < since => {
            Err(format!("this kernel's Landlock is too old for it; {kernel} or newer has it"))
        }
        LandlockStatus::Available { .. } => Ok(()),
    }
}

fn restrict(plan: &Plan, wanted: &dyn Fn(SandboxPart) -> bool) -> Result<RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default();
    if wanted(SandboxPart::Files) {
        rules = rules.handle_access(AccessFs::from_all(TRIED))?;
    }
    let ports = plan.ports.as_ref().filter(|_| wanted(SandboxPart::Network));
    if ports.is_some() {
        rules = rules.handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?;
    }
    if wanted(SandboxPart::Signals) {
        rules = rules.scope(Scope::Signal)?;
        if !plan.abstract_socket {
            rules = rules.scope(Scope::AbstractUnixSocket)?;
        }
    }
    let mut rules = rules.create()?;
    if wanted(SandboxPart::Files) {
        for grant in &plan.grants {
            rules = add(rules, grant)?;
        }
    }
    for port in ports.into_iter().flatten() {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    rules.restrict_self()
}

/// Adds a path. One that is not there grants nothing; whoever needs it says that it is missing.
fn add(rules: RulesetCreated, grant: &Grant) -> Result<RulesetCreated, RulesetError> {
    let (Ok(place), Ok(metadata)) = (PathFd::new(&grant.path), grant.path.metadata()) else {
        return Ok(rules);
    };
    let mut access = rights(grant.reach);
    if !metadata.is_dir() {
        access &= AccessFs::from_file(TRIED);
    }
    let kind = metadata.file_type();
    // A pipe or a socket, as a descriptor may be: the kernel holds these by who has them open.
    let is_file = !(kind.is_fifo() || kind.is_socket());
    if is_file { rules.add_rule(PathBeneath::new(place, access)) } else { Ok(rules) }
}

fn rights(reach: Reach) -> BitFlags<AccessFs> {
    let list = BitFlags::from(AccessFs::ReadDir);
    let read = list | AccessFs::ReadFile;
    let write = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
        | AccessFs::MakeDir
        | AccessFs::RemoveDir;
    match reach {
        Reach::List => list,
        Reach::Read => read,
        Reach::Write => write,
        Reach::Special => write | AccessFs::MakeSock | AccessFs::IoctlDev,
    }
}
