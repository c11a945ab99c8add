//! The reading side of a connection between the halves: whole frames, as they come.

use super::frame::{self, Payload};
use bytes::BytesMut;
use std::{io, sync::Arc};
use tokio::net::UnixStream;

/// What one read has room for, in bytes: about a hundred requests of a usual size.
const READ_LEN: usize = 64 * 1024;

/// Reads frames from a socket.
pub(super) struct Inbox {
    socket: Arc<UnixStream>,
    buffer: BytesMut,
}

impl Inbox {
    pub(super) fn new(socket: Arc<UnixStream>) -> Self {
        Self { socket, buffer: BytesMut::new() }
    }

    /// The next frame; nothing when the other half has closed the connection.
    ///
    /// # Errors
    /// The socket's own, and [`io::ErrorKind::InvalidData`] when what arrived is not a frame.
    pub(super) async fn next<P: Payload>(&mut self) -> io::Result<Option<(u64, P)>> {
        loop {
            match frame::take(&mut self.buffer) {
                Ok(Some(frame)) => return Ok(Some(frame)),
                Ok(None) => {}
                Err(fault) => return Err(io::Error::new(io::ErrorKind::InvalidData, fault)),
            }
            if self.buffer.capacity().saturating_sub(self.buffer.len()) < READ_LEN / 8 {
                self.buffer.reserve(READ_LEN);
            }
            self.socket.readable().await?;
            match self.socket.try_read_buf(&mut self.buffer) {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
