//! A network between clients and the service that loses what it likes: bytes pass as they are, until the one at which it is
//! told to cut the connection, on the way there or on the way back.
//!
//! Apart from [`crate::hostile`] because it reads nothing and alters nothing: TLS goes through it unopened.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From client to service.
    There,
    /// From service to client.
    Back,
}

/// The network. Its threads end with the connections, the one that accepts with the process.
#[derive(Debug)]
pub struct Network {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The next cut: which way, and after how many more bytes.
    cut: Mutex<Option<(Way, u64)>>,
    there: AtomicU64,
    back: AtomicU64,
}

impl Network {
    /// A network that leads to the service on `port`.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn before(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let own = Self { port: listener.local_addr().unwrap().port(), shared: Arc::default() };
        let shared = Arc::clone(&own.shared);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                // A service that is away ends the client's connection too.
                let _: io::Result<()> = carry(client, port, &shared);
            }
        });
        own
    }

    /// Where clients connect.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How many bytes went there and back so far.
    #[must_use]
    pub fn passed(&self) -> (u64, u64) {
        (self.shared.there.load(Ordering::Acquire), self.shared.back.load(Ordering::Acquire))
    }

    /// Cuts the connection that carries the byte after so many more, once: that byte does not arrive.
    pub fn cut_after(&self, way: Way, bytes: u64) {
        *self.shared.lock() = Some((way, bytes));
    }

    /// Takes an order back that was not carried out; gives whether it had not been.
    #[must_use]
    pub fn cut_no_more(&self) -> bool {
        self.shared.lock().take().is_some()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Way, u64)>> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of these bytes pass: fewer than all where the connection is cut among them.
    fn pass(&self, way: Way, len: usize) -> usize {
        let mut cut = self.lock();
        let passed = match &mut *cut {
            Some((which, left)) if *which == way => {
                let all = len as u64;
                if *left < all {
                    let passed = usize::try_from(*left).unwrap();
                    *cut = None;
                    passed
                } else {
                    *left -= all;
                    len
                }
            }
            _ => len,
        };
        let counter = if way == Way::There { &self.there } else { &self.back };
        counter.fetch_add(passed as u64, Ordering::AcqRel);
        passed
    }
}

fn carry(client: TcpStream, port: u16, shared: &Arc<Shared>) -> io::Result<()> {
    let service = TcpStream::connect(("127.0.0.1", port))?;
    for socket in [&client, &service] {
        socket.set_nodelay(true)?;
    }
    let ways = [(client.try_clone()?, service.try_clone()?, Way::There), (service, client, Way::Back)];
    for (from, to, way) in ways {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let _: io::Result<()> = copy((&from, &to), way, &shared);
            // Both ways end: half a connection is none.
            for socket in [&from, &to] {
                let _ = socket.shutdown(Shutdown::Both);
            }
        });
    }
    Ok(())
}

fn copy((mut from, mut to): (&TcpStream, &TcpStream), way: Way, shared: &Shared) -> io::Result<()> {
    let mut chunk = [0; 16 * 1024];
    loop {
        let len = from.read(&mut chunk)?;
        if len == 0 {
            return Ok(());
        }
        let passed = shared.pass(way, len);
        to.write_all(&chunk[..passed])?;
        if passed < len {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes back through a network that is cut after so many bytes, of a service that sends ten.
    fn came_back(network: &Network) -> usize {
        let mut client = TcpStream::connect(network.endpoint()).unwrap();
        let mut all = Vec::new();
        let _ = client.read_to_end(&mut all);
        all.len()
    }

    #[test]
    fn a_connection_is_cut_after_the_bytes_that_were_ordered_and_the_next_one_is_whole() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let network = Network::before(listener.local_addr().unwrap().port());
        thread::spawn(move || {
            while let Ok((mut client, _)) = listener.accept() {
                let _ = client.write_all(&[7; 10]);
            }
        });
        for bytes in [0, 1, 9] {
            network.cut_after(Way::Back, bytes);
            assert_eq!(came_back(&network) as u64, bytes);
            assert_eq!(came_back(&network), 10);
        }
        network.cut_after(Way::There, 0);
        assert_eq!(came_back(&network), 10, "nothing went there");
        assert!(network.cut_no_more());
    }
}
