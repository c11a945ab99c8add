//! The filters, run over every number of a call as the kernel would run them.

use super::*;

/// What the kernel hands a filter, and runs it over.
struct Call {
    number: u32,
    arguments: [u64; 6],
}

impl Call {
    fn new(name: &str, arguments: &[u64]) -> Self {
        let number = u32::try_from(number(name).unwrap()).unwrap();
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        Self { number, arguments: all }
    }

    /// The 32 bits at this place of `struct seccomp_data`.
    fn word(&self, at: u32) -> u32 {
        match at {
            0 => self.number,
            // AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64.
            4 if cfg!(target_arch = "x86_64") => 0xc000_003e,
            4 => 0xc000_00b7,
            _ => {
                let argument = self.arguments[usize::try_from((at - 16) / 8).unwrap()];
                let half = if at.is_multiple_of(8) { argument & 0xffff_ffff } else { argument >> 32 };
                u32::try_from(half).unwrap()
            }
        }
    }
}

/// What one filter says.
fn run(filter: &BpfProgram, call: &Call) -> u32 {
    let (mut at, mut accumulator) = (0_usize, 0_u32);
    loop {
        let one = &filter[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { one.jt } else { one.jf });
        match one.code {
            0x20 => accumulator = call.word(one.k),
            0x54 => accumulator &= one.k,
            0x05 => at += usize::try_from(one.k).unwrap(),
            0x15 => at += jump(accumulator == one.k),
            0x25 => at += jump(accumulator > one.k),
            0x35 => at += jump(accumulator >= one.k),
            0x06 => return one.k,
            other => panic!("an instruction that is not known: {other:#x}"),
        }
    }
}

const ALLOWED: u32 = 0x7fff_0000;
const REFUSED: u32 = 0x0005_0001;
const UNKNOWN: u32 = 0x0005_0026;

/// What all filters of a half say: the kernel takes the strictest.
fn verdict(role: Role, config: &SandboxConfig, call: &Call) -> u32 {
    filters(role, config).unwrap().iter().map(|filter| run(filter, call)).min().unwrap()
}

fn few() -> SandboxConfig {
    SandboxConfig { keeper_calls: KeeperCalls::Few, ..SandboxConfig::default() }
}

/// Both halves, the keeper with either list.
fn halves() -> [(Role, SandboxConfig); 3] {
    [(Role::Front, SandboxConfig::default()), (Role::Keeper, SandboxConfig::default()), (Role::Keeper, few())]
}

fn refuses(name: &str, arguments: &[u64]) {
    for (role, config) in halves() {
        let said = verdict(role, &config, &Call::new(name, arguments));
        assert_eq!(said, REFUSED, "{role:?} {:?}: {name} {arguments:?}", config.keeper_calls);
    }
}

fn lets(role: Role, config: &SandboxConfig, name: &str, arguments: &[u64]) {
    assert_eq!(verdict(role, config, &Call::new(name, arguments)), ALLOWED, "{role:?}: {name} {arguments:?}");
}

#[test]
fn no_half_may_run_programs_trace_change_what_it_may_or_ask_what_no_key_service_needs() {
    for name in DENIED.into_iter().filter(|name| number(name).is_some()) {
        refuses(name, &[]);
    }
    refuses("clone", &[0]);
    // SIGCHLD alone, as a fork has it.
    refuses("clone", &[17]);
    refuses("kill", &[1]);
    refuses("kill", &[u64::from(u32::MAX)]);
    refuses("tgkill", &[1, 1, 9]);
    refuses("prlimit64", &[0, 4, 0x7fff_0000_0000]);
    refuses("prctl", &[4, 1]);
    refuses("prctl", &[0x5961_6d61]);
    // Packet, netlink, Bluetooth, vsock; and IP where no setting asks for it.
    for family in [16, 17, 31, 40] {
        refuses("socket", &[family, 3]);
    }
    // TIOCSTI.
    refuses("ioctl", &[0, 0x5412]);
}

#[test]
fn threads_own_signals_and_looking_at_limits_are_let_through() {
    let own = u64::from(std::process::id());
    for (role, config) in halves() {
        lets(role, &config, "clone", &[0x003d_0f00]);
        lets(role, &config, "tgkill", &[own, own, 6]);
        lets(role, &config, "kill", &[own, 15]);
        lets(role, &config, "prlimit64", &[0, 7, 0]);
        lets(role, &config, "socket", &[AF_UNIX, SOCK_STREAM | 0x80000]);
        for name in ["read", "futex", "epoll_wait", "exit_group", "openat"] {
            lets(role, &config, name, &[]);
        }
    }
}

#[test]
fn the_front_makes_no_code_and_no_datagrams_and_writes_no_file_and_the_keeper_reaches_no_network() {
    let (front, keeper) = (Role::Front, Role::Keeper);
    let none = SandboxConfig::default();
    let refused = |role, config: &SandboxConfig, name: &str, arguments: &[u64]| {
        assert_eq!(verdict(role, config, &Call::new(name, arguments)), REFUSED, "{name} {arguments:?}");
    };
    for prot in [4, 5, 7] {
        refused(front, &none, "mmap", &[0, 4096, prot]);
        refused(front, &none, "mprotect", &[0, 4096, prot]);
        lets(keeper, &none, "mprotect", &[0, 4096, prot]);
    }
    lets(front, &none, "mmap", &[0, 4096, 3]);
    refused(front, &none, "socket", &[AF_INET, 2]);
    lets(front, &none, "socket", &[AF_INET6, SOCK_STREAM | 0x80800]);
    for name in ["unlink", "rename", "mkdir", "ftruncate", "chmod", "memfd_create", "flock", "fsync"] {
        if number(name).is_some() {
            refused(front, &none, name, &[]);
            lets(keeper, &none, name, &[]);
            lets(keeper, &few(), name, &[]);
        }
    }
    let free = SandboxConfig { keeper_network: true, ..few() };
    for config in [&none, &few()] {
        refused(keeper, config, "socket", &[AF_INET, SOCK_STREAM]);
    }
    for config in [&free, &SandboxConfig { keeper_calls: KeeperCalls::Most, ..free.clone() }] {
        lets(keeper, config, "socket", &[AF_INET, SOCK_STREAM]);
        refused(keeper, config, "socket", &[17, 3]);
    }
}

#[test]
fn calls_by_another_way_or_in_a_form_that_no_filter_can_read_are_unknown() {
    for (role, config) in halves() {
        assert_eq!(verdict(role, &config, &Call::new("clone3", &[])), UNKNOWN);
        for number in (X32..X32 + 600).chain([u32::MAX]) {
            let said = verdict(role, &config, &Call { number, arguments: [0; 6] });
            assert!(said != ALLOWED, "{number:#x}");
        }
    }
}

#[test]
fn what_is_on_no_list_is_refused_to_the_front() {
    let listed = |number: u32| {
        FRONT
            .iter()
            .chain(&["mmap", "mprotect", "clone", "clone3", "ioctl", "prctl", "kill", "tgkill"])
            .chain(&["prlimit64", "socket"])
            .any(|name| super::number(name) == Some(i64::from(number)))
    };
    for number in (0..600).filter(|number| !listed(*number)) {
        let call = Call { number, arguments: [0; 6] };
        assert_eq!(verdict(Role::Front, &SandboxConfig::default(), &call), REFUSED, "{number}");
    }
}
