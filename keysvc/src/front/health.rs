//! The health listener: alive, ready, state and figures over plain HTTP, for monitors on this machine or on a network
//! that operators alone reach. It asks nobody who they are and tells no card, principal or amount.
//!
//! It has a thread, a runtime and a connection to the keeper of its own, so that a flood at the TLS port does not keep
//! a monitor waiting; that the front's own workers turn is seen by a beat they leave each second.

mod page;
mod readiness;

use super::{FrontFault, tls::TlsState};
use crate::{
    config::fixed::{
        ACCEPT_WAIT, HEALTH_BUFFER_LEN_MAX, HEALTH_CONNECTION_LIFE, HEALTH_CONNECTIONS_MAX,
        HEALTH_KEEPER_WAIT,
    },
    link::{KeeperLink, KeeperState, LastEnd, Look},
    metrics::{FrontMetrics, Gauges},
};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use readiness::{Facts, Keeper};
use std::{
    convert::Infallible,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

/// How often the front's workers leave a beat.
const BEAT: Duration = Duration::from_secs(1);

/// What of the front is told.
#[derive(Debug)]
pub(super) struct Watched {
    tls: Arc<watch::Sender<Arc<TlsState>>>,
    metrics: Arc<FrontMetrics>,
    begun: Instant,
    /// When the workers last turned, in milliseconds since `begun`.
    beat_ms: AtomicU64,
}

impl Watched {
    pub(super) fn new(tls: Arc<watch::Sender<Arc<TlsState>>>, metrics: Arc<FrontMetrics>) -> Arc<Self> {
        Arc::new(Self { tls, metrics, begun: Instant::now(), beat_ms: AtomicU64::new(0) })
    }

    fn uptime_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn facts(&self) -> Facts {
        let tls = Arc::clone(&self.tls.borrow());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Facts {
            now_s: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            uptime_ms: self.uptime_ms(),
            silent_ms: self.uptime_ms().saturating_sub(self.beat_ms.load(Ordering::Relaxed)),
            certificate_not_after_s: tls.certificate_not_after_s,
            crl_next_update_s: tls.crl_next_update_s,
        }
    }
}

/// The listener, running until this is dropped.
pub(super) struct Health {
    address: SocketAddr,
    beating: JoinHandle<()>,
    #[expect(dead_code, reason = "held for its drop, which ends the thread")]
    stop: oneshot::Sender<()>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

impl Health {
    /// Listens at `listen` and answers on a thread of its own. To be called within the front's runtime.
    ///
    /// # Errors
    /// [`FrontFault`] when the address cannot be listened on, or no thread can be started.
    pub(super) fn start(
        listen: SocketAddr,
        watched: Arc<Watched>,
        keeper_socket: &Path,
    ) -> Result<Self, FrontFault> {
        let unusable = |error| FrontFault::Listen { listen, error };
        let listener = std::net::TcpListener::bind(listen).map_err(unusable)?;
        listener.set_nonblocking(true).map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(FrontFault::Health)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (own, socket) = (Arc::clone(&watched), keeper_socket.to_owned());
        thread::Builder::new()
            .name("health".to_owned())
            .spawn(move || runtime.block_on(listen_until(listener, own, socket, stopped)))
            .map_err(FrontFault::Health)?;
        tracing::info!(%address, "health and figures are told");
        Ok(Self { address, beating: tokio::spawn(beat(watched)), stop })
    }

    /// The address listened on.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

async fn beat(watched: Arc<Watched>) {
    loop {
        watched.beat_ms.store(watched.uptime_ms(), Ordering::Relaxed);
        sleep(BEAT).await;
    }
}

async fn listen_until(
    listener: std::net::TcpListener,
    watched: Arc<Watched>,
    socket: PathBuf,
    mut stopped: oneshot::Receiver<()>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the health listener does not run"),
    };
    let link = KeeperLink::connect(&socket);
    let clerk = Arc::new(Clerk { watched, link, socket, answered_at_ms: AtomicU64::new(0) });
    let places = Arc::new(Semaphore::new(HEALTH_CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // The sender is dropped, never used.
            _ = &mut stopped => return,
        };
        match accepted {
            Ok((socket, _)) => {
                // Without a place the socket is dropped at once: nobody waits.
                if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                    let clerk = Arc::clone(&clerk);
                    tokio::spawn(async move {
                        converse(socket, clerk).await;
                        drop(place);
                    });
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a monitor could not be accepted");
                sleep(ACCEPT_WAIT).await;
            }
        }
    }
}

/// One request and its answer.
async fn converse(socket: TcpStream, clerk: Arc<Clerk>) {
    let service = service_fn(move |request| {
        let clerk = Arc::clone(&clerk);
        async move { Ok::<_, Infallible>(page::answer(&request, &clerk).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(HEALTH_BUFFER_LEN_MAX)
        .serve_connection(TokioIo::new(socket), service);
    // What a monitor does wrong, or that it is slow, is its own affair.
    let _ = timeout(HEALTH_CONNECTION_LIFE, connection).await;
}

/// Knows what pages tell.
#[derive(Debug)]
struct Clerk {
    watched: Arc<Watched>,
    link: KeeperLink,
    socket: PathBuf,
    /// When the keeper last answered, milliseconds since 1970-01-01 UTC.
    answered_at_ms: AtomicU64,
}

impl Clerk {
    /// How the keeper is; never waits longer than [`HEALTH_KEEPER_WAIT`].
    async fn keeper(&self) -> Keeper {
        match timeout(HEALTH_KEEPER_WAIT, self.link.look(Look::State)).await {
            Ok(Ok(answer)) => {
                self.answered_at_ms.store(now_ms(), Ordering::Relaxed);
                KeeperState::decode(&answer.body).map_or(Keeper::Foreign, Keeper::Answers)
            }
            Ok(Err(_)) => {
                // An older end is not the one that it did not come back from.
                let answered = self.answered_at_ms.load(Ordering::Relaxed);
                Keeper::Away(LastEnd::read(&self.socket).filter(|end| end.at_ms >= answered))
            }
            Err(_) => Keeper::Silent,
        }
    }

    /// The figures of both halves.
    async fn figures(&self) -> String {
        let keeper = self.keeper().await;
        let facts = self.watched.facts();
        let text = match &keeper {
            Keeper::Answers(_) => timeout(HEALTH_KEEPER_WAIT, self.link.look(Look::Metrics)).await.ok(),
            _ => None,
        };
        let text = text.and_then(Result::ok).and_then(|answer| String::from_utf8(answer.body.to_vec()).ok());
        let gauges = Gauges {
            keeper_up: matches!(keeper, Keeper::Answers(_)),
            ready: readiness::reasons(&facts, &keeper).is_empty(),
            certificate_not_after_s: facts.certificate_not_after_s,
            crl_next_update_s: facts.crl_next_update_s,
            uptime_s: Duration::from_millis(facts.uptime_ms).as_secs_f64(),
        };
        self.watched.metrics.text(gauges, text.as_deref())
    }
}
