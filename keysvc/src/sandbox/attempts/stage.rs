//! What attempts need that can be had outside of the sandbox alone: somebody who listens, a parent, a program's bytes.

use rustix::{
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with},
    process::{Pid, getppid},
};
use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::PathBuf,
};

/// The program that is tried to be run.
pub(super) const PROGRAM: &str = "/bin/true";

/// Everything made before this process is confined.
#[derive(Debug)]
pub struct Stage {
    listener: TcpListener,
    pub(super) socket: SocketAddrUnix,
    #[expect(dead_code, reason = "held, because a connection to it would be met")]
    listening: OwnedFd,
    pub(super) parent: Option<Pid>,
    pub(super) program: Vec<u8>,
}

impl Stage {
    /// Makes it.
    ///
    /// # Errors
    /// When nothing can be listened on, or there is no program to try.
    pub fn set() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let socket_name = format!("keysvc-try-sandbox-{}", std::process::id());
        let address = SocketAddrUnix::new_abstract_name(socket_name.as_bytes())?;
        let listening = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        bind(&listening, &address)?;
        listen(&listening, 1)?;
        Ok(Self { listener, socket: address, listening, parent: getppid(), program: fs::read(PROGRAM)? })
    }

    /// Where somebody listens.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// A file that the kernel keeps of the parent.
    pub(super) fn of_the_parent(&self, name: &str) -> PathBuf {
        let parent = self.parent.map_or(1, |parent| parent.as_raw_nonzero().get());
        PathBuf::from(format!("/proc/{parent}/{name}"))
    }
}
