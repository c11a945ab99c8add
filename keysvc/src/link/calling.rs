//! The front's side of the link: calls, and the connection that is made again whenever it is gone.

use super::{
    Answer, Call, Look,
    frame::Payload,
    inbox::Inbox,
    outbox::{Company, NotSent, Outbox},
};
use crate::config::fixed::{LINK_WAIT_MAX as WAIT_MAX, LINK_WAIT_MIN as WAIT_MIN};
use keysvc_protocol::refusal::{Invalid, Refusal};
use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{net::UnixStream, sync::oneshot, task::JoinHandle, time::sleep};

/// The keeper cannot be reached, or went away while the call was with it. Whether it was carried out is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link to the keeper is down")]
pub struct LinkDown;

/// Calls the keeper, and connects to it again whenever the connection is gone.
pub struct KeeperLink {
    current: Arc<Current>,
    connecting: JoinHandle<()>,
}

impl fmt::Debug for KeeperLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeeperLink").field("connected", &self.is_connected()).finish()
    }
}

impl Drop for KeeperLink {
    fn drop(&mut self) {
        self.connecting.abort();
        self.current.replace(None);
    }
}

impl KeeperLink {
    /// A link to the keeper that listens at `path`. Connects in the background, now and whenever it must;
    /// to be called within a tokio runtime.
    #[must_use]
    pub fn connect(path: &Path) -> Self {
        let current = Arc::new(Current::default());
        let connecting = tokio::spawn(stay_connected(path.to_owned(), Arc::clone(&current)));
        Self { current, connecting }
    }

    /// Whether the keeper is connected at this moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.current.connection().is_some()
    }

    /// How often the keeper was met: each time after the first, it or the connection had been gone.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.current.made.load(Ordering::Relaxed)
    }

    /// Makes one call and waits for its answer. A caller that stops waiting loses the answer, nothing else.
    ///
    /// # Errors
    /// [`LinkDown`] at once when the keeper is not connected, and as soon as the connection breaks.
    pub async fn call(&self, call: Call) -> Result<Answer, LinkDown> {
        let refusal = Refusal::Invalid { reason: Invalid::TooLong };
        let request_id = call.request_id;
        self.ask(&call).await.map(|answer| answer.unwrap_or_else(|| Answer::refusal(refusal, request_id)))
    }

    /// Asks how the keeper is and waits for its answer.
    ///
    /// # Errors
    /// As [`KeeperLink::call`].
    pub async fn look(&self, look: Look) -> Result<Answer, LinkDown> {
        self.ask(&look).await?.ok_or(LinkDown)
    }

    /// The answer; none when what is asked is too long for a frame.
    async fn ask(&self, asked: &impl Payload) -> Result<Option<Answer>, LinkDown> {
        let connection = self.current.connection().ok_or(LinkDown)?;
        let (number, answer) = connection.register().ok_or(LinkDown)?;
        // Removes the waiter where the caller stops waiting.
        let waiter = Waiter { connection: &connection, number };
        match connection.outbox.send(number, asked, connection.company()) {
            Ok(()) => answer.await.map(Some).map_err(|_| LinkDown),
            Err(NotSent::Closed) => Err(LinkDown),
            Err(NotSent::TooLong) => {
                drop(waiter);
                Ok(None)
            }
        }
    }
}

/// The connection of the moment.
#[derive(Default)]
struct Current {
    connection: RwLock<Option<Arc<Connection>>>,
    /// How often there was a new one.
    made: AtomicU64,
}

impl Current {
    fn connection(&self) -> Option<Arc<Connection>> {
        self.connection.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, connection: Option<Arc<Connection>>) {
        let before = std::mem::replace(
            &mut *self.connection.write().unwrap_or_else(PoisonError::into_inner),
            connection,
        );
        if let Some(before) = before {
            before.close();
        }
    }
}

/// One connection and who waits on it.
struct Connection {
    outbox: Outbox,
    next_number: AtomicU64,
    /// Nothing once the connection is closed: nobody may begin to wait on it.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>,
}

impl Connection {
    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Answer>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self) -> Option<(u64, oneshot::Receiver<Answer>)> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting().as_mut()?.insert(number, sender);
        Some((number, answer))
    }

    fn company(&self) -> Company {
        match self.waiting().as_ref().map_or(0, HashMap::len) {
            0..=1 => Company::Alone,
            _ => Company::Others,
        }
    }

    fn take_waiter(&self, number: u64) -> Option<oneshot::Sender<Answer>> {
        self.waiting().as_mut()?.remove(&number)
    }

    /// Everyone who waits learns of it: their senders are dropped.
    fn close(&self) {
        self.outbox.close();
        drop(self.waiting().take());
    }
}

struct Waiter<'a> {
    connection: &'a Connection,
    number: u64,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.connection.take_waiter(self.number);
    }
}

async fn stay_connected(path: PathBuf, current: Arc<Current>) {
    let mut wait = WAIT_MIN;
    loop {
        if let Ok(socket) = UnixStream::connect(&path).await {
            tracing::info!(path = %path.display(), "connected to the keeper");
            let answered = carry(Arc::new(socket), &current).await;
            current.replace(None);
            tracing::warn!(path = %path.display(), "the connection to the keeper is gone");
            // A keeper that answered something was a good one; one that only hangs up is not to be pressed.
            if answered {
                wait = WAIT_MIN;
            }
        }
        sleep(wait).await;
        wait = wait.saturating_mul(2).min(WAIT_MAX);
    }
}

/// Serves one connection to its end; gives whether any answer arrived on it.
async fn carry(socket: Arc<UnixStream>, current: &Current) -> bool {
    let connection = Arc::new(Connection {
        outbox: Outbox::new(Arc::clone(&socket)),
        next_number: AtomicU64::new(0),
        waiting: Mutex::new(Some(HashMap::new())),
    });
    current.made.fetch_add(1, Ordering::Relaxed);
    current.replace(Some(Arc::clone(&connection)));
    let mut answered = false;
    let read = async {
        let mut inbox = Inbox::new(socket);
        while let Some((number, answer)) = inbox.next::<Answer>().await? {
            answered = true;
            // A waiter that stopped waiting is no fault.
            if let Some(waiter) = connection.take_waiter(number) {
                drop(waiter.send(answer));
            }
        }
        Ok::<_, std::io::Error>(())
    };
    let ended = tokio::select! {
        ended = read => ended,
        ended = connection.outbox.write_all() => ended,
    };
    if let Err(error) = ended {
        tracing::warn!(%error, "the link to the keeper failed");
    }
    answered
}
