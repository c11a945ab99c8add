//! Sockets: accepting, the handshake, and the life of a connection.
//!
//! One task a connection; a panic in one ends that connection, is counted, and touches no other.

use super::{
    FrontFault, FrontLimits, FrontSettings,
    admission::{Admission, HandshakePlace, Place},
    conversation::{Conversation, Desk},
    counters::{Count, Counters},
    framing::Framed,
    peer::{self, Identity},
    request_ids::RequestIds,
    tls,
};
use crate::link::KeeperLink;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use keysvc_protocol::trust::TrustDomain;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{convert::Infallible, fmt, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinError, JoinSet},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Wait after a failed accept (no file descriptors left): long enough not to spin.
const ACCEPT_WAIT: Duration = Duration::from_millis(20);
/// Time for what is in flight when the front is stopped.
const DRAIN: Duration = Duration::from_secs(2);
/// How often the counters are logged.
const COUNTERS_EVERY: Duration = Duration::from_mins(1);
/// The HTTP library's buffer for one connection, in bytes; more than the longest head, as it needs at least 8 KiB.
const BUFFER_LEN_MAX: usize = 64 * 1024;

/// The front, listening.
pub struct Front {
    listener: TcpListener,
    hall: Arc<Hall>,
}

/// What all connections share.
struct Hall {
    acceptor: TlsAcceptor,
    admission: Admission,
    trust_domain: TrustDomain,
    desk: Arc<Desk>,
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Front {
    /// Reads the files, begins to connect to the keeper, and listens. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`FrontFault`] naming the file or address that cannot be used.
    pub async fn bind(settings: FrontSettings) -> Result<Self, FrontFault> {
        let acceptor = tls::acceptor(&settings)?;
        let ids = RequestIds::new()?;
        raise_file_limit(&settings.limits);
        let listen = settings.listen;
        let listener =
            TcpListener::bind(listen).await.map_err(|error| FrontFault::Listen { listen, error })?;
        let desk = Arc::new(Desk {
            link: KeeperLink::connect(&settings.keeper_socket),
            ids,
            limits: settings.limits,
            counters: Arc::default(),
        });
        let admission = Admission::new(&settings.limits);
        let hall = Hall { acceptor, admission, trust_domain: settings.trust_domain, desk };
        Ok(Self { listener, hall: Arc::new(hall) })
    }

    /// The address listened on, with the port that the system chose where none was named.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The live counters.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.hall.desk.counters)
    }

    /// Serves until `stop` is ready, then takes no further connections and gives those in flight 2 s.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { listener, hall } = self;
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        let mut log_tick = interval(COUNTERS_EVERY);
        log_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) => begin(socket, &hall, &stopped, &mut connections),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        sleep(ACCEPT_WAIT).await;
                    }
                },
                Some(ended) = connections.join_next() => note_end(ended, &hall),
                _ = log_tick.tick() => tracing::debug!(counters = ?hall.desk.counters.all(), "front"),
                () = &mut stop => break,
            }
        }
        drop(listener);
        stopping.send_replace(true);
        let drained = async {
            while let Some(ended) = connections.join_next().await {
                note_end(ended, &hall);
            }
        };
        if timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("connections were cut off at the stop");
        }
    }
}

/// Takes a handshake's place and starts the connection's task; drops the socket where there is no place.
fn begin(
    socket: TcpStream,
    hall: &Arc<Hall>,
    stopped: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) {
    match hall.admission.handshake() {
        Some(place) => drop(connections.spawn(carry(socket, place, Arc::clone(hall), stopped.clone()))),
        None => hall.desk.counters.add(Count::handshakes_refused),
    }
}

fn note_end(ended: Result<(), JoinError>, hall: &Hall) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("a connection ended by a panic");
        hall.desk.counters.add(Count::panics);
    }
}

/// One connection, from the socket to its end.
async fn carry(
    socket: TcpStream,
    handshake_place: HandshakePlace,
    hall: Arc<Hall>,
    stopped: watch::Receiver<bool>,
) {
    let counters = &hall.desk.counters;
    let Some(stream) = shake_hands(socket, &hall).await else {
        return counters.add(Count::handshakes_failed);
    };
    let Some((identity, place)) = admit(&stream, &hall) else {
        return counters.add(Count::connections_refused);
    };
    // Only now, so that a connection always has a place of one kind.
    drop(handshake_place);
    counters.add(Count::connections);
    if let Err(reason) = &identity.peer {
        counters.add(Count::peers_unnamed);
        tracing::warn!(key = %identity.key_digest, %reason, "a verified certificate names nobody");
    }
    converse(stream, identity, Arc::clone(&hall.desk), stopped).await;
    drop(place);
}

async fn shake_hands(socket: TcpStream, hall: &Hall) -> Option<TlsStream<TcpStream>> {
    // Without it an answer of two records waits for the client's acknowledgement. Failing means: already gone.
    socket.set_nodelay(true).ok()?;
    match timeout(hall.desk.limits.handshake(), hall.acceptor.accept(socket)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("handshake too slow");
            None
        }
    }
}

fn admit(stream: &TlsStream<TcpStream>, hall: &Hall) -> Option<(Identity, Place)> {
    // INVARIANT: the verifier demands a certificate; without one there is no connection to admit.
    let leaf = stream.get_ref().1.peer_certificates()?.first()?;
    let identity = peer::identify(leaf, &hall.trust_domain);
    let place = hall.admission.connection(identity.key_digest, identity.is_officer)?;
    Some((identity, place))
}

/// HTTP on a connection until its end, its life's end, or the stop.
async fn converse(
    stream: TlsStream<TcpStream>,
    identity: Identity,
    desk: Arc<Desk>,
    mut stopped: watch::Receiver<bool>,
) {
    let limits = desk.limits;
    let (framed, verdict) = Framed::new(stream, limits);
    let conversation = Arc::new(Conversation::new(desk, identity, verdict));
    let service = service_fn(move |request| {
        // Asked now, while this request is the last one the framing has handed on.
        let (conversation, fault) = (Arc::clone(&conversation), conversation.fault());
        async move { Ok::<_, Infallible>(conversation.answer(request, fault).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // The framing keeps the time of heads: this limit would end idle connections too.
            .header_read_timeout(None)
            .keep_alive(true)
            .half_close(false)
            .max_buf_size(BUFFER_LEN_MAX)
            .serve_connection(TokioIo::new(framed), service)
    );
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        () = sleep(limits.connection_life()) => None,
        _ = stopped.wait_for(|stopped| *stopped) => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        // A client that does not read its answer does not keep the connection.
        timeout(limits.between(), connection).await.unwrap_or(Ok(()))
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Raises the soft limit of open files to what the pools need: a socket each, and some for the rest.
fn raise_file_limit(limits: &FrontLimits) {
    const REST: usize = 128;
    let needed = limits.handshakes_max.saturating_add(limits.clients_max).saturating_add(limits.officers_max);
    let needed = u64::try_from(needed.saturating_add(REST)).unwrap_or(u64::MAX);
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= needed) {
        return;
    }
    let raised = Rlimit { current: Some(now.maximum.unwrap_or(needed).min(needed)), maximum: now.maximum };
    if setrlimit(Resource::Nofile, raised).is_err() || raised.current != Some(needed) {
        tracing::warn!(needed, "the limit of open files is below what the connection limits need");
    }
}
