//! The writing side of a connection between the halves: many frames in one write.
//!
//! A lone frame is written by the task that has it, so that a lone request costs no wake-up of a writer. When others
//! are in flight a writer task gathers what the ready tasks have and writes it at once.

use super::{
    TooLong,
    frame::{self, Payload},
};
use crate::config::fixed::{LINK_KEPT_LEN_MAX as KEPT_LEN_MAX, LINK_UNWRITTEN_LEN_MAX as UNWRITTEN_LEN_MAX};
use rustix::net::{Shutdown, shutdown};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::UnixStream, sync::Notify, task::yield_now};

/// Why a frame was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotSent {
    /// It is longer than a frame may be.
    TooLong,
    /// The connection is closed.
    Closed,
}

impl From<TooLong> for NotSent {
    fn from(_: TooLong) -> Self {
        Self::TooLong
    }
}

/// Whether other frames are likely to come within microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// None: write at once.
    Alone,
    /// Some: let the writer gather them.
    Others,
}

#[derive(Default)]
struct Unwritten {
    bytes: Vec<u8>,
    /// The writer has taken bytes out and is writing them; what is appended must wait for it.
    writing: bool,
    closed: bool,
}

/// What the writer found.
enum Taken {
    Closed,
    Nothing,
    Frames,
}

/// Writes frames to a socket.
pub(super) struct Outbox {
    socket: Arc<UnixStream>,
    unwritten: Mutex<Unwritten>,
    work: Notify,
    room: Notify,
}

impl Outbox {
    pub(super) fn new(socket: Arc<UnixStream>) -> Self {
        Self { socket, unwritten: Mutex::default(), work: Notify::new(), room: Notify::new() }
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        // Nothing panics under the lock, and bytes stay whole frames if it did.
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts a frame; never waits.
    ///
    /// # Errors
    /// [`NotSent`]; no byte of the frame was then written.
    pub(super) fn send<P: Payload>(&self, number: u64, payload: &P, company: Company) -> Result<(), NotSent> {
        let mut unwritten = self.unwritten();
        if unwritten.closed {
            return Err(NotSent::Closed);
        }
        let idle = unwritten.bytes.is_empty() && !unwritten.writing;
        frame::write(number, payload, &mut unwritten.bytes)?;
        if company == Company::Alone && idle {
            match self.socket.try_write(&unwritten.bytes) {
                Ok(written) if written == unwritten.bytes.len() => {
                    unwritten.bytes.clear();
                    return Ok(());
                }
                Ok(written) => drop(unwritten.bytes.drain(..written)),
                // The writer meets the same error, or waits until there is room.
                Err(_) => {}
            }
        }
        drop(unwritten);
        self.work.notify_one();
        Ok(())
    }

    /// Waits while too much is unwritten: the other half does not read. For one task.
    pub(super) async fn room(&self) {
        while !self.has_room() {
            self.room.notified().await;
        }
    }

    fn has_room(&self) -> bool {
        let unwritten = self.unwritten();
        unwritten.closed || unwritten.bytes.len() <= UNWRITTEN_LEN_MAX
    }

    /// Refuses every further frame and closes the connection, whoever else still holds the socket.
    pub(super) fn close(&self) {
        self.unwritten().closed = true;
        // A connection that the other half has cut already is closed as well.
        let _ = shutdown(&self.socket, Shutdown::Both);
        self.work.notify_one();
        self.room.notify_one();
    }

    /// Writes what is accepted, until the connection is closed.
    ///
    /// # Errors
    /// The socket's own.
    pub(super) async fn write_all(&self) -> io::Result<()> {
        let mut taken = Vec::new();
        loop {
            self.work.notified().await;
            loop {
                // Once round the ready tasks: those with a frame append it and share the write.
                yield_now().await;
                match self.take(&mut taken) {
                    Taken::Closed => return Ok(()),
                    Taken::Nothing => break,
                    Taken::Frames => self.write(&taken).await?,
                }
                taken.clear();
                if taken.capacity() > KEPT_LEN_MAX {
                    taken = Vec::new();
                }
                self.room.notify_one();
            }
        }
    }

    /// Exchanges what is unwritten for the empty `taken`.
    fn take(&self, taken: &mut Vec<u8>) -> Taken {
        let mut unwritten = self.unwritten();
        if unwritten.closed {
            return Taken::Closed;
        }
        unwritten.writing = !unwritten.bytes.is_empty();
        if !unwritten.writing {
            return Taken::Nothing;
        }
        std::mem::swap(&mut unwritten.bytes, taken);
        Taken::Frames
    }

    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.socket.try_write(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.socket.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
