//! What each half makes of bytes from the other, as functions of the bytes alone: for whoever tries that without sockets,
//! which are the fuzz targets and the suite (docs/fuzzing.md).
//!
//! Apart so that the frames themselves stay private. The link does not use it.

use super::{
    Answer, Asked, TooLong,
    frame::{self, NotAFrame, Payload},
};
use bytes::BytesMut;

/// What was read of a stream of frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frames {
    /// The frames that were whole, written again.
    pub written: Vec<u8>,
    /// How many bytes of one that is not whole yet were left.
    pub left: usize,
}

/// What the keeper reads of a stream of calls and looks; nothing where it would close the connection.
#[must_use]
pub fn asked(bytes: &[u8]) -> Option<Frames> {
    all::<Asked>(bytes)
}

/// What the front reads of a stream of answers; nothing where it would close the connection.
#[must_use]
pub fn answers(bytes: &[u8]) -> Option<Frames> {
    all::<Answer>(bytes)
}

fn all<P: Payload>(bytes: &[u8]) -> Option<Frames> {
    let (mut buffer, mut written) = (BytesMut::from(bytes), Vec::new());
    loop {
        match frame::take::<P>(&mut buffer) {
            Ok(Some((number, payload))) => match frame::write(number, &payload, &mut written) {
                Ok(()) => {}
                Err(TooLong) => return None,
            },
            Ok(None) => return Some(Frames { written, left: buffer.len() }),
            Err(NotAFrame) => return None,
        }
    }
}
