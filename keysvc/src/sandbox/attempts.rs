//! What must fail in each half's sandbox, tried: a closed list, each attempt by its name.
//!
//! An attempt is one that would go through without the sandbox: what it needs is made before the half is confined. It counts
//! as denied by the kernel's word alone (`EACCES`, `EPERM`, `ENOSYS`). What no safe code can try (ptrace, bpf, mounts) the
//! lists of system calls are tested for, and the suite tries from a module of its own.

mod act;
mod stage;

pub use stage::Stage;

use super::Role;
use crate::config::{Config, SandboxPart};
use act::{
    abstract_socket, become_another, becoming_dumpable, changing_the_root, connecting, device, kept_rights,
    limits, listed, listening, namespace, naming_a_tracer, netlink, other_descriptor, read, running,
    running_from_memory, setting_the_clock, signalling, starting, udp, written, written_beside,
};
use std::{fmt, io, path::Path};

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel refused; in its words.
    Denied(String),
    /// It went through, or came further than it may; in a few words how.
    Open(String),
    /// What it needs is not there, or a setting lets the half do it.
    Untried(String),
}

impl Outcome {
    /// The word for it in a list.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Open(_) => "OPEN",
            Self::Untried(_) => "untried",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Denied(how) | Self::Open(how) | Self::Untried(how)) = self;
        f.write_str(how)
    }
}

impl<T> From<io::Result<T>> for Outcome {
    fn from(tried: io::Result<T>) -> Self {
        match tried {
            Ok(_) => Self::Open("it went through".to_owned()),
            Err(error) => match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => {
                    Self::Denied(error.to_string())
                }
                io::ErrorKind::NotFound => Self::Untried(error.to_string()),
                _ => Self::Open(format!("it came as far as: {error}")),
            },
        }
    }
}

/// An attempt: its name, and what is done.
type Attempt<'a> = (&'static str, Box<dyn FnOnce() -> Outcome + 'a>);

/// Tries everything that must fail in the half of this `role`, in which this process is by now, and tells each as it is
/// tried.
pub fn all(role: Role, file: &Path, config: &Config, stage: &Stage, mut tell: impl FnMut(&str, &Outcome)) {
    let of_role = match role {
        Role::Front => of_the_front(config),
        Role::Keeper => of_the_keeper(config),
    };
    let free = role == Role::Keeper && config.sandbox.keeper_network;
    let network = of_the_network(stage).into_iter().map(|(name, act): Attempt<'_>| -> Attempt<'_> {
        if free {
            (name, Box::new(|| Outcome::Untried("a setting allows it".to_owned())))
        } else {
            (name, act)
        }
    });
    for (name, act) in
        of_role.into_iter().chain(of_files(file, config)).chain(network).chain(of_processes(stage))
    {
        tell(name, &act());
    }
    // Last, because a sandbox that lets one run ends here; so where none holds it, none is run.
    let held = !config.sandbox.without.contains(&SandboxPart::Calls);
    for (name, act) in of_programs(stage) {
        tell(
            name,
            &if held { act() } else { Outcome::Open("not run: no list of calls holds it".to_owned()) },
        );
    }
}

fn of_the_front(config: &Config) -> Vec<Attempt<'_>> {
    let (keeper, token) = (&config.keeper, &config.token);
    let pin = token.pin_source().and_then(|source| source.look());
    let database = keeper.store.join("ledger.sqlite3");
    vec![
        (
            "read the token's PIN",
            Box::new(|| pin.map_or_else(|error| unknown(&error), |pin| read(Path::new(&pin)))),
        ),
        (
            "list the token's folder",
            Box::new(|| {
                token.folder.as_ref().map_or_else(|| unknown(&"none is named"), |folder| listed(folder))
            }),
        ),
        ("read the store's database", Box::new(move || read(&database))),
        ("list the store", Box::new(|| listed(&keeper.store))),
        ("read the anchor", Box::new(|| read(&keeper.anchor))),
        ("list the policies", Box::new(|| listed(&keeper.policies))),
        ("read the trust file", Box::new(|| read(&config.trust))),
        ("write its own certificate", Box::new(|| written(&config.front.certificate))),
        ("write beside the keeper's socket", Box::new(|| written_beside(&keeper.socket))),
    ]
}

fn of_the_keeper(config: &Config) -> Vec<Attempt<'_>> {
    let (front, keeper) = (&config.front, &config.keeper);
    vec![
        ("read the front's TLS key", Box::new(|| read(&front.key))),
        ("write the front's certificate", Box::new(|| written(&front.certificate))),
        ("read the clients' CA", Box::new(|| read(&front.ca))),
        ("write the trust file", Box::new(|| written(&config.trust))),
        ("write among the policies", Box::new(|| written_beside(&keeper.policies.join("any")))),
        ("write the token's module", Box::new(|| written(&config.token.module))),
        ("write beside the anchor", Box::new(|| written_beside(&keeper.anchor))),
    ]
}

fn of_files<'a>(file: &'a Path, config: &'a Config) -> Vec<Attempt<'a>> {
    vec![
        ("read the founding file", Box::new(|| read(&config.founding))),
        ("list the officers' signatures", Box::new(|| listed(&config.signatures))),
        ("read another user's file", Box::new(|| read(Path::new("/etc/shadow")))),
        ("write the configuration", Box::new(|| written(file))),
        ("write beside the configuration", Box::new(|| written_beside(file))),
        ("write into /tmp", Box::new(|| written_beside(Path::new("/tmp/any")))),
        ("make a device", Box::new(device)),
    ]
}

fn of_the_network(stage: &Stage) -> Vec<Attempt<'_>> {
    vec![
        ("connect over TCP", Box::new(|| connecting(stage))),
        ("listen at another TCP port", Box::new(listening)),
        ("open a UDP socket", Box::new(udp)),
    ]
}

fn of_processes(stage: &Stage) -> Vec<Attempt<'_>> {
    vec![
        ("open a netlink socket", Box::new(netlink)),
        ("connect to an abstract socket", Box::new(|| abstract_socket(stage))),
        ("signal its parent", Box::new(|| signalling(stage))),
        ("read its parent's memory", Box::new(|| read(&stage.of_the_parent("mem")))),
        ("read its parent's environment", Box::new(|| read(&stage.of_the_parent("environ")))),
        ("take a descriptor of its parent", Box::new(|| other_descriptor(stage))),
        ("let itself be dumped", Box::new(becoming_dumpable)),
        ("let another trace it", Box::new(naming_a_tracer)),
        ("raise the limit of core dumps", Box::new(limits)),
        ("take rights back", Box::new(kept_rights)),
        ("set the clock", Box::new(setting_the_clock)),
        ("change the root folder", Box::new(changing_the_root)),
        ("make a namespace", Box::new(namespace)),
        ("become another user", Box::new(become_another)),
        ("start a program", Box::new(starting)),
    ]
}

fn of_programs(stage: &Stage) -> Vec<Attempt<'_>> {
    vec![
        ("run a program from memory", Box::new(|| running_from_memory(stage))),
        ("run a program in its place", Box::new(running)),
    ]
}

fn unknown(why: &impl fmt::Display) -> Outcome {
    Outcome::Untried(why.to_string())
}
