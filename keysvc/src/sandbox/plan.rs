//! What a half may open and where it may listen, from its configuration: paths and ports, and nothing of how the kernel is
//! told.
//!
//! A grant is bound to what lies at the path when the half starts. Where files are replaced by others of the same name (a
//! renewed certificate, a revocation list), their folder is granted, so that the new one can be read at a reload: but only
//! where that folder holds nothing of the keeper's.

use super::{Role, environment};
use crate::{config::Config, keeper::own_token};
use std::{
    collections::BTreeSet,
    fs::{DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// How far a grant reaches. Each includes the one before it; in a folder all holds for everything below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Folders are listed, and made durable.
    List,
    /// Files are read, folders are listed.
    Read,
    /// Files are written, made, renamed and removed.
    Write,
    /// Sockets are made, too, and devices are spoken to.
    Special,
}

/// One path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) path: PathBuf,
    pub(super) reach: Reach,
}

/// All that a half may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) grants: Vec<Grant>,
    /// The TCP ports it may listen on; it may connect to none. Nothing for a half that may use the network as it likes.
    pub(super) ports: Option<BTreeSet<u16>>,
    /// Whether it speaks to the service manager through an abstract socket.
    pub(super) abstract_socket: bool,
    /// The front's files whose folder holds something of the keeper's, too: one that is put in such a file's place can be
    /// read by the next front only.
    pub(super) bound: Vec<PathBuf>,
}

/// Where libraries lie, which a PKCS#11 module brings with it, and what the loader and the C library read.
const LIBRARIES: [&str; 8] = [
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
];
/// What cryptographic libraries and `SoftHSM` read by themselves.
const LIBRARY_SETTINGS: [&str; 5] = [
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
    "/etc/softhsm",
    "/etc/pkcs11",
];
/// What is asked of the kernel through files: randomness, this process, and how the machine is made.
const MACHINE: [&str; 10] = [
    "/dev/urandom",
    "/dev/random",
    "/proc/self",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/sys/kernel/random",
    "/proc/sys/crypto",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
];

impl Plan {
    /// What the half may, by the configuration in `file`.
    pub(super) fn of(role: Role, file: &Path, config: &Config) -> Self {
        let mut plan = Self {
            grants: Vec::new(),
            ports: None,
            abstract_socket: environment::has_abstract_manager(),
            bound: Vec::new(),
        };
        // The numbers of users: the front's is looked up in both.
        plan.read([file, Path::new("/etc/passwd")]);
        plan.read(environment::files(role, &config.sandbox.environment));
        match role {
            Role::Front => plan.front(config),
            Role::Keeper => plan.keeper(config),
        }
        plan
    }

    fn read<P: AsRef<Path>>(&mut self, paths: impl IntoIterator<Item = P>) {
        self.grant(Reach::Read, paths);
    }

    fn grant<P: AsRef<Path>>(&mut self, reach: Reach, paths: impl IntoIterator<Item = P>) {
        self.grants.extend(paths.into_iter().map(|path| Grant { path: own(path.as_ref()), reach }));
    }

    fn front(&mut self, config: &Config) {
        let front = &config.front;
        let others: Vec<_> = keepers(config).iter().map(|path| real(path)).collect();
        for file in fronts(config) {
            self.read_replaceable(file, &others);
        }
        // How the keeper last ended lies beside its socket, and is replaced each time.
        if let Some(folder) = config.keeper.socket.parent()
            && !holds_any(&real(folder), &others)
        {
            self.read([folder]);
        }
        self.read(&config.sandbox.front_reads);
        self.ports =
            Some([Some(front.listen), front.health].into_iter().flatten().map(|at| at.port()).collect());
    }

    /// Grants a file by its folder, and by the folder of what it is a link to, where nothing of the keeper's is below.
    fn read_replaceable(&mut self, file: &Path, others: &[PathBuf]) {
        for place in [own(file), real(file)] {
            let folder = place.parent().map(real).filter(|folder| !holds_any(folder, others));
            if let Some(folder) = folder {
                self.read([folder]);
            } else {
                self.bound.push(file.to_path_buf());
                self.read([place]);
            }
        }
        self.bound.dedup();
    }

    fn keeper(&mut self, config: &Config) {
        let (keeper, token) = (&config.keeper, &config.token);
        self.read([&config.trust, &keeper.policies, &token.module]);
        // A module may bring its libraries with it.
        let fronts: Vec<_> = fronts(config).map(|path| real(path)).collect();
        self.read(token.module.parent().filter(|folder| !holds_any(&real(folder), &fronts)));
        self.read(["/proc/self/exe"]);
        self.read(token.pin_source().and_then(|source| source.look()).ok());
        self.read(LIBRARIES);
        self.read(LIBRARY_SETTINGS);
        self.read(MACHINE);
        self.read(&config.sandbox.keeper_reads);
        self.grant(Reach::Write, [&keeper.store, &keeper.anchor, &own_token::place(config)]);
        self.grant(Reach::Write, &token.folder);
        // A new file is durable once its folder is, and a folder once the one above it is.
        self.grant(
            Reach::List,
            [&keeper.store].into_iter().chain(&token.folder).filter_map(|path| path.parent()),
        );
        self.grant(Reach::Write, ["/dev/null"]);
        self.grant(Reach::Special, keeper.socket.parent());
        self.grant(Reach::Special, &config.sandbox.keeper_writes);
        self.ports = (!config.sandbox.keeper_network).then(BTreeSet::new);
    }
}

/// Makes what is to be granted and is not there yet: the folder of the socket, and the file that names the token. What
/// cannot be made is missed, and said, by whoever uses it.
pub(super) fn make_ready(config: &Config) {
    if let Some(folder) = config.keeper.socket.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let _missed_later = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    }
    // Beside an anchor that is there alone: a keeper that refuses leaves nothing behind.
    if config.keeper.anchor.exists() {
        let serial = own_token::place(config);
        let _missed_later = OpenOptions::new().write(true).create_new(true).mode(0o600).open(serial);
    }
}

/// What the front reads for TLS.
fn fronts(config: &Config) -> impl Iterator<Item = &PathBuf> {
    let front = &config.front;
    [&front.certificate, &front.key, &front.ca].into_iter().chain(&front.crls)
}

/// What of the keeper's the front may not come near.
fn keepers(config: &Config) -> Vec<PathBuf> {
    let keeper = &config.keeper;
    let pin = config.token.pin_source().and_then(|source| source.look()).ok().map(PathBuf::from);
    [&config.founding, &config.signatures, &keeper.store, &keeper.anchor, &keeper.policies]
        .into_iter()
        .chain(&config.token.folder)
        .chain(&config.token.pin_file)
        .chain(&config.sandbox.keeper_reads)
        .chain(&config.sandbox.keeper_writes)
        .cloned()
        .chain(pin)
        .collect()
}

fn holds_any(folder: &Path, others: &[PathBuf]) -> bool {
    others.iter().any(|other| other.starts_with(folder) || folder.starts_with(other))
}

/// A path from the root, links and all.
fn own(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Where a path leads to. Of one that is not there, as far as it is.
fn real(path: &Path) -> PathBuf {
    let path = own(path);
    path.canonicalize().unwrap_or_else(|_| match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => real(folder).join(name),
        _ => path,
    })
}
