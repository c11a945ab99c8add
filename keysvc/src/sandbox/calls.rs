//! The system calls of each half, as filters of the kernel (seccomp(2)).
//!
//! The front has a list of what it may call: all of it is our own code and the C library's. The keeper's is a list of what
//! it may not, because the PKCS#11 module that it loads is another's; `[sandbox] keeper-calls = "few"` gives it a list of
//! what it may, too. What is not allowed gets `EPERM`, and does not end the process: a call that a new C library makes and
//! that the list lacks would otherwise end a half in the field, again and again (docs/decisions/0045).

mod lists;
mod numbers;

use crate::config::{KeeperCalls, SandboxConfig};
use lists::{DENIED, FEW_OF_THE_KEEPER, FRONT};
use numbers::number;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};
use std::collections::BTreeMap;

use super::Role;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// `CLONE_THREAD`: a new thread, no new process.
const CLONE_THREAD: u64 = 0x0001_0000;
/// `PROT_EXEC`.
const PROT_EXEC: u64 = 4;
/// The bits of a socket's type that are the type (`SOCK_TYPE_MASK`).
const SOCK_TYPE: u64 = 0xf;
const SOCK_STREAM: u64 = 1;
const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
/// What a front may ask of a descriptor: `TCGETS`, `TIOCGWINSZ`, `FIONREAD`, `FIONBIO`, `FIOCLEX`.
const IOCTLS: [u64; 5] = [0x5401, 0x5413, 0x541b, 0x5421, 0x5451];
/// What nobody may ask of a terminal, as it puts words into another's mouth: `TIOCSTI`, `TIOCLINUX`.
const IOCTLS_DENIED: [u64; 2] = [0x5412, 0x541c];
/// What may be asked of prctl(2): the names of threads and of memory, and how this process is confined.
const PRCTLS: [u64; 7] = [3, 15, 16, 21, 23, 39, 0x5356_4d41];
/// What a keeper may not: to be dumpable again (`PR_SET_DUMPABLE`), or to choose who may trace it (`PR_SET_PTRACER`).
const PRCTLS_DENIED: [u64; 2] = [4, 0x5961_6d61];
/// Numbers from here on are those of the x32 way to call the kernel, which no list knows.
const X32: u32 = 0x4000_0000;

/// Puts the filters of a half on this process, all its threads. From then on nothing takes them off.
///
/// # Errors
/// In words, what the kernel or this machine lacks.
pub(super) fn confine(role: Role, config: &SandboxConfig) -> Result<(), String> {
    for filter in filters(role, config)? {
        seccompiler::apply_filter_all_threads(&filter).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The filters, in the order in which they are put on.
fn filters(role: Role, config: &SandboxConfig) -> Result<[BpfProgram; 2], String> {
    let network = config.keeper_network;
    let own = match (role, config.keeper_calls) {
        (Role::Front, _) => allowing(front_rules()?)?,
        (Role::Keeper, KeeperCalls::Few) => allowing(few_rules(network)?)?,
        (Role::Keeper, KeeperCalls::Most) => denying(denied_rules(network)?)?,
    };
    Ok([unknown_ways()?, own])
}

/// No system has these as far as we are concerned: another way to call the kernel, and the call to which the C library
/// knows an older form, whose arguments a filter can read.
fn unknown_ways() -> Result<BpfProgram, String> {
    let clone3 = number("clone3").and_then(|number| u32::try_from(number).ok());
    let clone3 = clone3.ok_or("the system calls of this kind of machine are not known")?;
    let statement = |code, k| sock_filter { code, jt: 0, jf: 0, k };
    let no_such = statement(0x06, u32::from(SeccompAction::Errno(ENOSYS)));
    Ok(vec![
        // The number of the call.
        statement(0x20, 0),
        sock_filter { code: 0x35, jt: 1, jf: 0, k: X32 },
        sock_filter { code: 0x15, jt: 0, jf: 1, k: clone3 },
        no_such,
        statement(0x06, u32::from(SeccompAction::Allow)),
    ])
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn allowing(rules: Rules) -> Result<BpfProgram, String> {
    program(rules, SeccompAction::Errno(EPERM), SeccompAction::Allow)
}

fn denying(rules: Rules) -> Result<BpfProgram, String> {
    program(rules, SeccompAction::Allow, SeccompAction::Errno(EPERM))
}

/// A process that calls in another machine's way (32 bits) is ended by the filter's head: our own code never does.
fn program(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<BpfProgram, String> {
    let machine = std::env::consts::ARCH.try_into().map_err(|error| said(&error))?;
    let filter = SeccompFilter::new(rules, otherwise, matched, machine).map_err(|error| said(&error))?;
    filter.try_into().map_err(|error| said(&error))
}

fn said(error: &seccompiler::BackendError) -> String {
    error.to_string()
}

/// A condition on the argument of this index; pointers and flags of 64 bits alone are looked at whole.
fn when(argument: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompCondition, String> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value).map_err(|error| said(&error))
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, String> {
    SeccompRule::new(conditions).map_err(|error| said(&error))
}

/// Adds a call, whatever its arguments. A call that this machine lacks needs no rule.
fn plain(rules: &mut Rules, names: &[&str]) {
    rules.extend(names.iter().filter_map(|name| Some((number(name)?, Vec::new()))));
}

/// Adds a call under any of these rules.
fn under(rules: &mut Rules, name: &str, any: Vec<SeccompRule>) {
    if let Some(number) = number(name) {
        rules.insert(number, any);
    }
}

/// Rules that hold when the argument is one of these.
fn among(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, String> {
    values.iter().map(|value| rule(vec![when(argument, SeccompCmpOp::Eq, *value)?])).collect()
}

/// A rule that holds when the argument is none of these.
fn none_of(argument: u8, values: &[u64]) -> Result<SeccompRule, String> {
    rule(values.iter().map(|value| when(argument, SeccompCmpOp::Ne, *value)).collect::<Result<_, _>>()?)
}

/// What both lists of allowed calls share: threads but no processes, signals to oneself, limits looked at.
fn own_affairs(rules: &mut Rules) -> Result<(), String> {
    let own = u64::from(std::process::id());
    // Answered by the filter before this one.
    plain(rules, &["clone3"]);
    under(rules, "clone", vec![rule(vec![when(0, SeccompCmpOp::MaskedEq(CLONE_THREAD), CLONE_THREAD)?])?]);
    for name in ["kill", "tgkill"] {
        under(rules, name, among(0, &[own])?);
    }
    under(rules, "prlimit64", no_new_limit(SeccompCmpOp::Eq)?);
    Ok(())
}

/// Whether the pointer to a new limit is null; both halves of it.
fn no_new_limit(op: SeccompCmpOp) -> Result<Vec<SeccompRule>, String> {
    let null = SeccompCondition::new(2, SeccompCmpArgLen::Qword, op, 0).map_err(|error| said(&error))?;
    Ok(vec![rule(vec![null])?])
}

fn front_rules() -> Result<Rules, String> {
    let mut rules = Rules::new();
    plain(&mut rules, &FRONT);
    own_affairs(&mut rules)?;
    under(&mut rules, "prctl", among(0, &PRCTLS)?);
    under(&mut rules, "ioctl", among(1, &IOCTLS)?);
    // Its code is all there when it begins: no memory becomes code any more.
    for name in ["mmap", "mprotect"] {
        under(&mut rules, name, vec![rule(vec![when(2, SeccompCmpOp::MaskedEq(PROT_EXEC), 0)?])?]);
    }
    let stream = |family| {
        let of_type = when(1, SeccompCmpOp::MaskedEq(SOCK_TYPE), SOCK_STREAM)?;
        rule(vec![when(0, SeccompCmpOp::Eq, family)?, of_type])
    };
    let sockets = vec![rule(vec![when(0, SeccompCmpOp::Eq, AF_UNIX)?])?, stream(AF_INET)?, stream(AF_INET6)?];
    under(&mut rules, "socket", sockets);
    Ok(rules)
}

fn few_rules(network: bool) -> Result<Rules, String> {
    let mut rules = Rules::new();
    plain(&mut rules, &FRONT);
    plain(&mut rules, &FEW_OF_THE_KEEPER);
    // A module is code that comes later.
    plain(&mut rules, &["mmap", "mprotect"]);
    under(&mut rules, "ioctl", vec![none_of(1, &IOCTLS_DENIED)?]);
    own_affairs(&mut rules)?;
    under(&mut rules, "prctl", among(0, &PRCTLS)?);
    let families: &[u64] = if network { &[AF_UNIX, AF_INET, AF_INET6] } else { &[AF_UNIX] };
    under(&mut rules, "socket", among(0, families)?);
    Ok(rules)
}

fn denied_rules(network: bool) -> Result<Rules, String> {
    let mut rules = Rules::new();
    let own = u64::from(std::process::id());
    plain(&mut rules, &DENIED);
    under(&mut rules, "clone", vec![rule(vec![when(0, SeccompCmpOp::MaskedEq(CLONE_THREAD), 0)?])?]);
    for name in ["kill", "tgkill"] {
        under(&mut rules, name, vec![rule(vec![when(0, SeccompCmpOp::Ne, own)?])?]);
    }
    under(&mut rules, "prlimit64", no_new_limit(SeccompCmpOp::Ne)?);
    under(&mut rules, "prctl", among(0, &PRCTLS_DENIED)?);
    under(&mut rules, "ioctl", among(1, &IOCTLS_DENIED)?);
    let families: &[u64] = if network { &[AF_UNIX, AF_INET, AF_INET6] } else { &[AF_UNIX] };
    under(&mut rules, "socket", vec![none_of(0, families)?]);
    Ok(rules)
}

#[cfg(test)]
mod tests;
