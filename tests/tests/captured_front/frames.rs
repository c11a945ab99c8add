//! The link to the keeper in an attacker's hands: frames as bytes, whole, torn or senseless, and what comes back.
//!
//! Apart from the product's own link because that one sends nothing that is not a frame. It judges nothing.

use keysvc::link::Peer;
use keysvc_protocol::{bytes::Digest, request::Operation};
use keysvc_tests::raw::Answer;
use softhsm_setup::{Site, TRUST_DOMAIN, pki::spiffe};
use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    time::Duration,
};

/// Length and number before each call or answer, in bytes.
const PREFIX_LEN: usize = 12;
/// Longer than any answer takes.
const LONG: Duration = Duration::from_secs(20);

/// A caller as the front names it.
pub fn peer(key_digest: Digest, kind: &str, name: &str) -> Peer {
    Peer { key_digest, uri: spiffe(TRUST_DOMAIN, kind, name), serial: "01".to_owned() }
}

/// The place of an operation on the link.
pub fn place(operation: Operation) -> u8 {
    u8::try_from(Operation::ALL.iter().position(|one| *one == operation).unwrap()).unwrap()
}

/// What a frame holds.
pub fn frame(number: u64, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap();
    [&len.to_le_bytes()[..], &number.to_le_bytes(), content].concat()
}

/// The content of a call.
pub fn call(peer: &Peer, place: u8, body: &[u8]) -> Vec<u8> {
    let mut content = vec![7; 16];
    content.push(place);
    content.extend(peer.key_digest.as_bytes());
    content.extend(u16::try_from(peer.uri.len()).unwrap().to_le_bytes());
    content.push(u8::try_from(peer.serial.len()).unwrap());
    content.extend(peer.uri.as_bytes());
    content.extend(peer.serial.as_bytes());
    content.extend(body);
    content
}

/// One connection to the keeper.
#[derive(Debug)]
pub struct Link {
    socket: UnixStream,
    unread: Vec<u8>,
    number: u64,
}

impl Link {
    pub fn open(site: &Site) -> Self {
        let socket = UnixStream::connect(site.socket()).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        Self { socket, unread: Vec::new(), number: 0 }
    }

    /// Sends bytes as they are. An end that the keeper made shows at the next reading.
    pub fn send(&mut self, bytes: &[u8]) {
        let _: io::Result<()> = self.socket.write_all(bytes);
    }

    /// Sends until the keeper takes no more for a while; gives how much it took.
    pub fn send_unread(&mut self, bytes: &[u8], most: usize) -> usize {
        self.socket.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut taken = 0;
        while taken < most && self.socket.write_all(bytes).is_ok() {
            taken += bytes.len();
        }
        taken
    }

    /// The next answer and the number it came under.
    pub fn answer(&mut self) -> io::Result<(u64, Answer)> {
        loop {
            if let Some((prefix, _)) = self.unread.split_first_chunk::<PREFIX_LEN>() {
                let len = u32::from_le_bytes(*prefix.first_chunk().unwrap());
                let number = u64::from_le_bytes(*prefix.last_chunk().unwrap());
                let whole = PREFIX_LEN + usize::try_from(len).unwrap();
                if self.unread.len() >= whole {
                    let frame: Vec<u8> = self.unread.drain(..whole).skip(PREFIX_LEN).collect();
                    let status = u16::from_le_bytes(*frame.first_chunk().unwrap());
                    return Ok((number, Answer { status, body: frame[2..].to_vec() }));
                }
            }
            let mut chunk = [0; 64 * 1024];
            match self.socket.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => self.unread.extend(&chunk[..len]),
            }
        }
    }

    /// One call and its answer.
    pub fn ask(&mut self, peer: &Peer, operation: Operation, body: &[u8]) -> Answer {
        self.number += 1;
        let number = self.number;
        self.send(&frame(number, &call(peer, place(operation), body)));
        let (under, answer) = self.answer().unwrap();
        assert_eq!(under, number);
        answer
    }

    /// Whether the keeper ends the connection, having answered nothing.
    pub fn is_ended(&mut self) -> bool {
        self.socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        match self.answer() {
            Ok(_) => false,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        }
    }
}
