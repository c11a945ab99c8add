//! The attempts themselves, one function each. What goes through leaves nothing behind, as far as it can be undone.

use super::{
    Outcome,
    stage::{PROGRAM, Stage},
};
use rustix::{
    fs::{CWD, FileType, MemfdFlags, Mode, makedev, memfd_create, mknodat},
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
    process::{
        DumpableBehavior, PTracer, PidfdFlags, PidfdGetfdFlags, Resource, Rlimit, chroot, pidfd_getfd,
        pidfd_open, set_dumpable_behavior, set_ptracer, setrlimit, test_kill_process,
    },
    thread::{CapabilitySet, CapabilitySets, set_capabilities, set_thread_uid},
    time::{ClockId, clock_gettime, clock_settime},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Longer than a connection on this machine takes.
const LONG: Duration = Duration::from_secs(1);
/// The user that owns nothing.
const NOBODY: u32 = 65_534;

pub(super) fn read(path: &Path) -> Outcome {
    File::open(path).and_then(|mut file| file.read(&mut [0])).into()
}

pub(super) fn listed(path: &Path) -> Outcome {
    fs::read_dir(path).into()
}

/// Opened to be written, and not written.
pub(super) fn written(path: &Path) -> Outcome {
    OpenOptions::new().append(true).open(path).into()
}

pub(super) fn written_beside(path: &Path) -> Outcome {
    let new = beside(path, "try-sandbox");
    let made = File::create_new(&new);
    if made.is_ok() {
        let _left_behind = fs::remove_file(&new);
    }
    made.into()
}

fn beside(path: &Path, name: &str) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder.join(format!("{name}-{}", std::process::id()))
}

/// The one of which everything can be read as zero.
pub(super) fn device() -> Outcome {
    let new = beside(Path::new("/tmp/any"), "try-device");
    let made = mknodat(CWD, &new, FileType::CharacterDevice, Mode::RUSR, makedev(1, 5));
    if made.is_ok() {
        let _left_behind = fs::remove_file(&new);
    }
    kernel(made)
}

fn kernel<T>(tried: rustix::io::Result<T>) -> Outcome {
    tried.map_err(io::Error::from).into()
}

pub(super) fn connecting(stage: &Stage) -> Outcome {
    stage.address().and_then(|address| TcpStream::connect_timeout(&address, LONG)).into()
}

pub(super) fn listening() -> Outcome {
    TcpListener::bind(("127.0.0.1", 0)).into()
}

pub(super) fn udp() -> Outcome {
    UdpSocket::bind(("127.0.0.1", 0)).into()
}

pub(super) fn netlink() -> Outcome {
    kernel(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None))
}

pub(super) fn abstract_socket(stage: &Stage) -> Outcome {
    let own = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    kernel(own.and_then(|own| rustix::net::connect(&own, &stage.socket)))
}

/// By the signal that does nothing but to ask whether one may.
pub(super) fn signalling(stage: &Stage) -> Outcome {
    let Some(parent) = stage.parent else { return Outcome::Untried("there is no parent".to_owned()) };
    kernel(test_kill_process(parent))
}

pub(super) fn other_descriptor(stage: &Stage) -> Outcome {
    let Some(parent) = stage.parent else { return Outcome::Untried("there is no parent".to_owned()) };
    let parent = pidfd_open(parent, PidfdFlags::empty());
    kernel(parent.and_then(|parent| pidfd_getfd(&parent, 0, PidfdGetfdFlags::empty())))
}

pub(super) fn becoming_dumpable() -> Outcome {
    kernel(set_dumpable_behavior(DumpableBehavior::Dumpable))
}

pub(super) fn naming_a_tracer() -> Outcome {
    kernel(set_ptracer(PTracer::Any))
}

pub(super) fn limits() -> Outcome {
    kernel(setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) }))
}

pub(super) fn kept_rights() -> Outcome {
    let all = CapabilitySet::SYS_ADMIN;
    kernel(set_capabilities(None, CapabilitySets { effective: all, permitted: all, inheritable: all }))
}

/// To what it shows.
pub(super) fn setting_the_clock() -> Outcome {
    kernel(clock_settime(ClockId::Realtime, clock_gettime(ClockId::Realtime)))
}

pub(super) fn changing_the_root() -> Outcome {
    kernel(chroot("/"))
}

/// For this purpose the function whose name warns of sharing descriptors is the same: it shares none.
pub(super) fn namespace() -> Outcome {
    #[expect(deprecated, reason = "what it is not to be used for is other flags than this one")]
    kernel(rustix::thread::unshare(rustix::thread::UnshareFlags::NEWUTS))
}

pub(super) fn become_another() -> Outcome {
    kernel(set_thread_uid(rustix::process::Uid::from_raw(NOBODY)))
}

pub(super) fn starting() -> Outcome {
    Command::new(PROGRAM).spawn().and_then(|mut child| child.wait()).into()
}

/// Returns only when it is denied.
pub(super) fn running() -> Outcome {
    Err::<(), _>(Command::new(PROGRAM).exec()).into()
}

/// Returns only when it is denied.
pub(super) fn running_from_memory(stage: &Stage) -> Outcome {
    let program = memfd_create("program", MemfdFlags::empty()).map_err(io::Error::from);
    let tried = program.and_then(|program| {
        let mut program = File::from(program);
        program.write_all(&stage.program)?;
        Err::<(), _>(Command::new(format!("/proc/self/fd/{}", program.as_raw_fd())).exec())
    });
    tried.into()
}
