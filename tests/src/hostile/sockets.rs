//! Sockets that only take room: silent ones, half a handshake, and heads that never end; each opened again when it is closed.
//!
//! They know nothing of what the service does about them; whoever waits beside them is timed elsewhere.

use super::{
    certificates::CONTROLS,
    handshake::{Cut, Live, Shown, old_hello, open},
    mint::Mint,
};
use rustix::process::setpriority_process;
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How a socket takes room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It says nothing.
    Silent,
    /// It sends 43 bytes of a `ClientHello`.
    HalfHello,
    /// It finishes its handshake by a certificate of the site's authority, and sends a byte of a head now and then.
    Dripping,
}

/// One byte of a head each time.
const DRIP: Duration = Duration::from_millis(400);
/// How long one round over all sockets takes at least: one that was closed is open again after it, so 300 sockets are opened
/// again 300 times a second where the service closes them at once.
const ROUND: Duration = Duration::from_secs(1);
/// Connections with one key that the service lets in.
const BY_ONE_KEY: usize = 60;

/// Many such sockets in a thread of their own, until they are told to stop.
#[derive(Debug)]
pub struct Sockets {
    stop: Arc<AtomicBool>,
    opened: Arc<AtomicU64>,
    working: Option<JoinHandle<()>>,
}

impl Sockets {
    /// Opens so many to the service on `port`.
    ///
    /// # Panics
    /// When no certificate can be made.
    #[must_use]
    pub fn open(kind: Kind, count: usize, port: u16, mint: &Mint) -> Self {
        let (stop, opened) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let shown = if kind == Kind::Dripping { strangers(count.div_ceil(BY_ONE_KEY), mint) } else { vec![] };
        let shared = (Arc::clone(&stop), Arc::clone(&opened));
        let authority = mint.site.der.clone();
        let working = thread::spawn(move || {
            // They stand for other machines: what they compute is not to be what keeps anybody waiting here.
            let _ = setpriority_process(Some(rustix::thread::gettid()), 19);
            let make = |number: usize| -> Option<Held> {
                shared.1.fetch_add(1, Ordering::Relaxed);
                match kind {
                    Kind::Dripping => {
                        let shown = shown.get(number / BY_ONE_KEY)?;
                        open(port, &authority, shown, Cut::NOT)
                            .ok()
                            .map(|live| Held::Live(Box::new(live), Instant::now()))
                    }
                    _ => plain(kind, port).map(Held::Plain),
                }
            };
            let mut held: Vec<Option<Held>> = Vec::new();
            held.resize_with(count, || None);
            while !shared.0.load(Ordering::Relaxed) {
                let round = Instant::now();
                for (number, held) in held.iter_mut().enumerate() {
                    if shared.0.load(Ordering::Relaxed) {
                        break;
                    }
                    if !held.as_mut().is_some_and(Held::goes_on) {
                        *held = make(number);
                    }
                }
                thread::park_timeout(ROUND.saturating_sub(round.elapsed()));
            }
        });
        Self { stop, opened, working: Some(working) }
    }

    /// How many were opened so far, those opened again included.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.working.take().map(JoinHandle::join);
    }
}

/// Right certificates for so many keys that are nobody's.
fn strangers(count: usize, mint: &Mint) -> Vec<Shown> {
    let right = (CONTROLS[0].make)(mint);
    let one = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let chain = vec![mint.site.certify(&mint.right(), &key)];
        Shown { chain, key: key.serialize_der(), ..right.clone() }
    };
    std::iter::repeat_with(one).take(count).collect()
}

fn plain(kind: Kind, port: u16) -> Option<TcpStream> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_nonblocking(true).ok()?;
    if kind == Kind::HalfHello {
        socket.write_all(&old_hello([3, 3])[..43]).ok()?;
    }
    Some(socket)
}

enum Held {
    Plain(TcpStream),
    Live(Box<Live>, Instant),
}

impl Held {
    /// Whether the service has not closed it; sends the next byte where that is due.
    fn goes_on(&mut self) -> bool {
        match self {
            Self::Plain(socket) => {
                matches!(socket.read(&mut [0; 8]), Err(error) if error.kind() == ErrorKind::WouldBlock)
            }
            Self::Live(live, last) if last.elapsed() > DRIP => {
                *last = Instant::now();
                live.send(b"P").is_ok()
            }
            Self::Live(..) => true,
        }
    }
}
