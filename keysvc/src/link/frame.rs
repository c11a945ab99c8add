//! The bytes of one frame, as the head of [`crate::link`] lays them out.
//!
//! Apart because both directions and both halves share it. It moves no bytes over sockets.

use super::{Answer, Asked, Call, Look, Peer, SERIAL_LEN_MAX, TooLong, URI_LEN_MAX};
use bytes::{Buf, Bytes, BytesMut};
use keysvc_protocol::{
    bytes::{Digest, Idem},
    cbor::REPLY_LEN_MAX,
    refusal::RequestId,
    request::Operation,
};
use std::sync::Arc;

/// Length and number before each call or answer, in bytes.
const PREFIX_LEN: usize = 12;
/// The fixed part of a call: request id, operation, key digest and two lengths, in bytes.
const CALL_HEAD_LEN: usize = 16 + 1 + 32 + 2 + 1;
/// Longest frame after its prefix, in bytes: the longest call's head and a body of 1 MiB.
pub(super) const FRAME_LEN_MAX: usize = CALL_HEAD_LEN + URI_LEN_MAX + SERIAL_LEN_MAX + REPLY_LEN_MAX;

/// Bytes that no half of this build sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a frame")]
pub(super) struct NotAFrame;

/// What travels in a frame, in one direction.
pub(super) trait Payload: Sized {
    /// Appends it to `out`.
    ///
    /// # Errors
    /// [`TooLong`] when a part is longer than its limit; `out` is then as before.
    fn write(&self, out: &mut Vec<u8>) -> Result<(), TooLong>;

    /// Reads it from all of `bytes`.
    ///
    /// # Errors
    /// [`NotAFrame`] when they are not one.
    fn read(bytes: Bytes) -> Result<Self, NotAFrame>;
}

/// Appends the frame of `payload` under `number` to `out`.
pub(super) fn write<P: Payload>(number: u64, payload: &P, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&number.to_le_bytes());
    let written = payload.write(out).and_then(|()| {
        let len = out.len().saturating_sub(start).saturating_sub(PREFIX_LEN);
        let len = u32::try_from(len).map_err(|_| TooLong)?;
        let prefix = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut).ok_or(TooLong)?;
        *prefix = len.to_le_bytes();
        Ok(())
    });
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Takes the first whole frame out of `buffer`; nothing while it is not whole.
///
/// # Errors
/// [`NotAFrame`] as soon as the prefix claims more than a frame may have, or what is in it is not a `P`.
pub(super) fn take<P: Payload>(buffer: &mut BytesMut) -> Result<Option<(u64, P)>, NotAFrame> {
    let Some((prefix, _)) = buffer.split_first_chunk::<PREFIX_LEN>() else { return Ok(None) };
    let mut prefix = prefix.as_slice();
    let (len, number) = (prefix.get_u32_le(), prefix.get_u64_le());
    let len = usize::try_from(len).ok().filter(|len| *len <= FRAME_LEN_MAX).ok_or(NotAFrame)?;
    let whole = len.saturating_add(PREFIX_LEN);
    if buffer.len() < whole {
        // Room for the rest at once, so that a long frame is not read in many steps.
        buffer.reserve(whole.saturating_sub(buffer.len()));
        return Ok(None);
    }
    let mut frame = buffer.split_to(whole).freeze();
    frame.advance(PREFIX_LEN);
    P::read(frame).map(|payload| Some((number, payload)))
}

impl Payload for Call {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let fits = self.peer.uri.len() <= URI_LEN_MAX
            && self.peer.serial.len() <= SERIAL_LEN_MAX
            && self.body.len() <= REPLY_LEN_MAX;
        if !fits {
            return Err(TooLong);
        }
        let place = Operation::ALL.iter().position(|operation| *operation == self.operation);
        let place = place.and_then(|place| u8::try_from(place).ok()).ok_or(TooLong)?;
        let uri_len = u16::try_from(self.peer.uri.len()).map_err(|_| TooLong)?;
        let serial_len = u8::try_from(self.peer.serial.len()).map_err(|_| TooLong)?;
        out.extend_from_slice(self.request_id.0.as_bytes());
        out.push(place);
        out.extend_from_slice(self.peer.key_digest.as_bytes());
        out.extend_from_slice(&uri_len.to_le_bytes());
        out.push(serial_len);
        out.extend_from_slice(self.peer.uri.as_bytes());
        out.extend_from_slice(self.peer.serial.as_bytes());
        out.extend_from_slice(&self.body);
        Ok(())
    }

    fn read(mut bytes: Bytes) -> Result<Self, NotAFrame> {
        let mut head = bytes.get(..CALL_HEAD_LEN).ok_or(NotAFrame)?;
        let (mut request_id, mut digest) = ([0; Idem::LEN], [0; Digest::LEN]);
        head.copy_to_slice(&mut request_id);
        let operation = Operation::ALL.get(usize::from(head.get_u8())).ok_or(NotAFrame)?;
        head.copy_to_slice(&mut digest);
        let (uri_len, serial_len) = (usize::from(head.get_u16_le()), usize::from(head.get_u8()));
        if uri_len > URI_LEN_MAX || serial_len > SERIAL_LEN_MAX {
            return Err(NotAFrame);
        }
        bytes.advance(CALL_HEAD_LEN);
        let peer = Peer {
            key_digest: Digest::new(digest),
            uri: text(&mut bytes, uri_len)?,
            serial: text(&mut bytes, serial_len)?,
        };
        body(bytes).map(|body| Self {
            request_id: RequestId(Idem::new(request_id)),
            peer: Arc::new(peer),
            operation: *operation,
            body,
        })
    }
}

/// Length of a look, in bytes: shorter than any call.
const LOOK_LEN: usize = Idem::LEN + 1;

impl Payload for Look {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        out.extend_from_slice(&[0; Idem::LEN]);
        out.push(self.byte());
        Ok(())
    }

    fn read(bytes: Bytes) -> Result<Self, NotAFrame> {
        let bytes = <[u8; LOOK_LEN]>::try_from(&bytes[..]).map_err(|_| NotAFrame)?;
        let [zeros @ .., byte] = bytes;
        Self::from_byte(byte).filter(|_| zeros == [0; Idem::LEN]).ok_or(NotAFrame)
    }
}

impl Payload for Asked {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        match self {
            Self::Call(call) => call.write(out),
            Self::Look(look) => look.write(out),
        }
    }

    fn read(bytes: Bytes) -> Result<Self, NotAFrame> {
        if bytes.len() == LOOK_LEN {
            Look::read(bytes).map(Self::Look)
        } else {
            Call::read(bytes).map(Self::Call)
        }
    }
}

impl Payload for Answer {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        if self.body.len() > REPLY_LEN_MAX {
            return Err(TooLong);
        }
        out.extend_from_slice(&self.status.to_le_bytes());
        out.extend_from_slice(&self.body);
        Ok(())
    }

    fn read(mut bytes: Bytes) -> Result<Self, NotAFrame> {
        let status = bytes.try_get_u16_le().map_err(|_| NotAFrame)?;
        body(bytes).map(|body| Self { status, body })
    }
}

fn text(bytes: &mut Bytes, len: usize) -> Result<String, NotAFrame> {
    let text = bytes.get(..len).and_then(|text| str::from_utf8(text).ok()).ok_or(NotAFrame)?.to_owned();
    bytes.advance(len);
    Ok(text)
}

fn body(bytes: Bytes) -> Result<Bytes, NotAFrame> {
    if bytes.len() <= REPLY_LEN_MAX { Ok(bytes) } else { Err(NotAFrame) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(body: Vec<u8>) -> Call {
        Call {
            request_id: RequestId(Idem::new([7; 16])),
            peer: Arc::new(Peer {
                key_digest: Digest::new([9; 32]),
                uri: "spiffe://demo/terminal/t1".to_owned(),
                serial: "0102".to_owned(),
            }),
            operation: Operation::ValueUpdate,
            body: body.into(),
        }
    }

    #[test]
    fn golden_bytes_of_a_call_and_an_answer() {
        let mut out = Vec::new();
        write(5, &call(vec![0xaa]), &mut out).unwrap();
        let mut golden = vec![82, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
        golden.extend_from_slice(&[7; 16]);
        golden.push(5);
        golden.extend_from_slice(&[9; 32]);
        golden.extend_from_slice(&[25, 0, 4]);
        golden.extend_from_slice(b"spiffe://demo/terminal/t10102\xaa");
        assert_eq!(out, golden);
        out.clear();
        write(6, &Answer { status: 503, body: Bytes::from_static(b"x") }, &mut out).unwrap();
        assert_eq!(out, [3, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0xf7, 0x01, b'x']);
    }

    #[test]
    fn a_look_comes_back_as_no_call_and_a_call_as_no_look() {
        for look in [Look::State, Look::Metrics] {
            let mut out = Vec::new();
            write(3, &look, &mut out).unwrap();
            assert_eq!(out.len(), PREFIX_LEN + LOOK_LEN);
            assert_eq!(take::<Asked>(&mut BytesMut::from(&out[..])), Ok(Some((3, Asked::Look(look)))));
            assert_eq!(take::<Call>(&mut BytesMut::from(&out[..])), Err(NotAFrame));
            out[PREFIX_LEN] = 1;
            assert_eq!(take::<Asked>(&mut BytesMut::from(&out[..])), Err(NotAFrame));
        }
        let mut out = Vec::new();
        write(3, &call(vec![1]), &mut out).unwrap();
        assert_eq!(take::<Asked>(&mut BytesMut::from(&out[..])), Ok(Some((3, Asked::Call(call(vec![1]))))));
    }

    #[test]
    fn every_operation_has_its_place_and_comes_back() {
        for operation in Operation::ALL {
            let mut out = Vec::new();
            let sent = Call { operation, ..call(Vec::new()) };
            write(1, &sent, &mut out).unwrap();
            let taken = take::<Call>(&mut BytesMut::from(&out[..]));
            assert_eq!(taken, Ok(Some((1, sent))));
        }
    }

    #[test]
    fn a_body_over_one_mebibyte_is_not_written_and_leaves_nothing_behind() {
        let mut out = vec![1, 2, 3];
        assert_eq!(write(1, &call(vec![0; REPLY_LEN_MAX + 1]), &mut out), Err(TooLong));
        assert_eq!(write(1, &Answer::reply(vec![0; REPLY_LEN_MAX + 1]), &mut out), Err(TooLong));
        assert_eq!(out, [1, 2, 3]);
        assert_eq!(write(1, &call(vec![0; REPLY_LEN_MAX]), &mut out), Ok(()));
    }

    #[test]
    fn a_prefix_that_claims_too_much_is_refused_before_the_rest_arrives() {
        let claimed = u32::try_from(FRAME_LEN_MAX + 1).unwrap().to_le_bytes();
        let mut buffer = BytesMut::from(&claimed[..]);
        buffer.extend_from_slice(&[0; 8]);
        assert_eq!(take::<Call>(&mut buffer), Err(NotAFrame));
    }

    #[test]
    fn an_unknown_operation_or_a_torn_head_is_refused() {
        let mut out = Vec::new();
        write(1, &call(Vec::new()), &mut out).unwrap();
        out[PREFIX_LEN + 16] = 200;
        assert_eq!(take::<Call>(&mut BytesMut::from(&out[..])), Err(NotAFrame));
        let torn = [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(take::<Call>(&mut BytesMut::from(&torn[..])), Err(NotAFrame));
        assert_eq!(take::<Answer>(&mut BytesMut::from(&torn[..])), Err(NotAFrame));
    }

    proptest! {
        #[test]
        fn frames_come_back_whatever_the_cut(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..5),
            cut in 1_usize..64,
        ) {
            let mut out = Vec::new();
            for (number, body) in (0_u64..).zip(&bodies) {
                write(number, &call(body.clone()), &mut out).unwrap();
            }
            let (mut buffer, mut taken) = (BytesMut::new(), Vec::new());
            for part in out.chunks(cut) {
                buffer.extend_from_slice(part);
                while let Some((number, call)) = take::<Call>(&mut buffer).unwrap() {
                    taken.push((number, call.body.to_vec()));
                }
            }
            prop_assert_eq!(taken, (0_u64..).zip(bodies).collect::<Vec<_>>());
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn no_bytes_make_the_reader_fail_otherwise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take::<Call>(&mut buffer) {}
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take::<Answer>(&mut buffer) {}
        }
    }
}
