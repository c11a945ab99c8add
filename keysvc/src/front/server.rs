//! Sockets: accepting, the handshake, and the life of a connection.
//!
//! One task a connection; a panic in one ends that connection, is counted, and touches no other.

use super::{
    FrontFault, FrontLimits, FrontSettings,
    admission::{Admission, HandshakePlace, Ousted, Place},
    conversation::{Conversation, Desk},
    counters::{Count, Counters},
    framing::{Framed, Verdict},
    health::{Health, Watched},
    pacing::{Pace, Paced},
    peer::{self, Identity},
    reload::Reloader,
    request_ids::RequestIds,
    tls::TlsState,
};
use crate::{
    config::fixed::{ACCEPT_WAIT, COUNTERS_EVERY, DRAIN, HTTP_BUFFER_LEN_MAX, LISTEN_QUEUE_MAX},
    link::KeeperLink,
    metrics::{Counted, FrontMetrics},
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use keysvc_protocol::trust::TrustDomain;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::CertificateDer;
use std::{
    convert::Infallible, fmt, io, net::SocketAddr, num::NonZero, pin::pin, sync::Arc,
    thread::available_parallelism,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinError, JoinSet},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The front, listening.
pub struct Front {
    listener: TcpListener,
    hall: Arc<Hall>,
    health: Option<Health>,
    settings: FrontSettings,
}

/// What all connections share.
struct Hall {
    tls: Arc<watch::Sender<Arc<TlsState>>>,
    admission: Admission,
    pace: Pace,
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
    #[expect(clippy::unused_async, reason = "a listener is made within a runtime alone")]
    pub async fn bind(settings: FrontSettings) -> Result<Self, FrontFault> {
        let tls = Arc::new(watch::Sender::new(Arc::new(TlsState::read(&settings)?)));
        let ids = RequestIds::new()?;
        raise_file_limit(&settings.limits);
        let listen = settings.listen;
        let listener = listener(listen).map_err(|error| FrontFault::Listen { listen, error })?;
        let counters = Arc::<Counters>::default();
        let link = Arc::new(KeeperLink::connect(&settings.keeper_socket));
        let metrics = Arc::new(FrontMetrics::new(counts(&counters, &link)));
        let watched = Watched::new(Arc::clone(&tls), Arc::clone(&metrics));
        let socket = &settings.keeper_socket;
        let health = settings.health.map(|listen| Health::start(listen, watched, socket)).transpose()?;
        let desk = Arc::new(Desk { link, ids, limits: settings.limits, counters, metrics });
        let admission = Admission::new(&settings.limits);
        let pace = Pace::new(available_parallelism().map_or(1, NonZero::get));
        let hall = Hall { tls, admission, pace, trust_domain: settings.trust_domain.clone(), desk };
        Ok(Self { listener, hall: Arc::new(hall), health, settings })
    }

    /// The address listened on, with the port that the system chose where none was named.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The address of the health listener, if there is one.
    #[must_use]
    pub fn health_addr(&self) -> Option<SocketAddr> {
        self.health.as_ref().map(Health::address)
    }

    /// Whether the keeper is connected at this moment; may be asked of a front that serves.
    pub(super) fn keeper_connected(&self) -> impl Fn() -> bool + Send + 'static {
        let desk = Arc::clone(&self.hall.desk);
        move || desk.link.is_connected()
    }

    /// What reads the files again while the front serves.
    pub(super) fn reloader(&self) -> Reloader {
        let counters = Arc::clone(&self.hall.desk.counters);
        Reloader::new(self.settings.clone(), Arc::clone(&self.hall.tls), counters)
    }

    /// The live counters.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.hall.desk.counters)
    }

    /// Serves until `stop` is ready, then takes no further connections and gives those in flight 2 s.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        // The health listener goes on until the last connection has ended.
        let Self { listener, hall, health: _health, .. } = self;
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

/// Listens with a long queue: whoever finds it full tries again after a second, the system's first wait.
fn listener(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As after a restart, while connections of the front before still linger.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    socket.listen(LISTEN_QUEUE_MAX)
}

/// The front's counters and how often it met a keeper, whenever they are asked for.
fn counts(
    counters: &Arc<Counters>,
    link: &Arc<KeeperLink>,
) -> impl Fn() -> Vec<Counted> + Send + Sync + 'static {
    let (counters, link) = (Arc::clone(counters), Arc::clone(link));
    move || {
        let each = counters.all().into_iter().zip(Counters::meanings());
        let counted = each.map(|((name, value), help)| match name {
            // A family of its own counts the front's refusals by kind.
            "refusals" => Counted { name: "answers_other_than_200", help, value },
            _ => Counted { name, help, value },
        });
        let help = "Times the keeper was met; each after the first follows its absence";
        counted.chain([Counted { name: "keeper_connections", help, value: link.connections() }]).collect()
    }
}

/// Takes a handshake's place and starts the connection's task; drops the socket where there is none to be had.
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

/// A connection that was let in.
struct Entered {
    /// Boxed, so that moving it on costs no room in what waits for the connection's end.
    framed: Box<Framed<TlsStream<TcpStream>>>,
    verdict: Verdict,
    identity: Identity,
    chain: Vec<CertificateDer<'static>>,
    place: Place,
}

/// One connection, from the socket to its end.
async fn carry(
    socket: TcpStream,
    (handshake_place, ousted): (HandshakePlace, Ousted),
    hall: Arc<Hall>,
    stopped: watch::Receiver<bool>,
) {
    let counters = &hall.desk.counters;
    // Before the handshake, so that no reload between it and the watch below is missed.
    let mut tls = hall.tls.subscribe();
    let acceptor = tls.borrow_and_update().acceptor.clone();
    // Boxed, so that what the handshake alone needs is given back after it.
    let entered = tokio::select! {
        biased;
        _ = ousted => Err(Count::handshakes_refused),
        entered = Box::pin(enter(socket, &acceptor, &handshake_place, &hall)) => entered,
    };
    let entered = match entered {
        Ok(entered) => entered,
        Err(count) => return counters.add(count),
    };
    let Entered { framed, verdict, identity, chain, place } = entered;
    // Only now, so that a connection always has a place of one kind.
    drop(handshake_place);
    counters.add(Count::connections);
    if let Err(reason) = &identity.peer {
        counters.add(Count::peers_unnamed);
        tracing::warn!(key = %identity.key_digest, %reason, "a verified certificate names nobody");
    }
    let serial = identity.peer.as_ref().map_or_else(|_| "unknown".to_owned(), |peer| peer.serial.clone());
    let conversation = Arc::new(Conversation::new(Arc::clone(&hall.desk), identity, verdict));
    tokio::select! {
        biased;
        reason = revoked(&mut tls, &chain) => {
            counters.add(Count::connections_cut);
            tracing::warn!(serial, reason, "a connection is cut off: its certificate is not good any more");
        }
        () = converse(framed, conversation, hall.desk.limits, stopped) => {}
    }
    drop(place);
}

/// Handshake and admission; or what is to be counted instead.
async fn enter(
    socket: TcpStream,
    acceptor: &TlsAcceptor,
    place: &HandshakePlace,
    hall: &Hall,
) -> Result<Entered, Count> {
    let shaken = timeout(hall.desk.limits.handshake(), shake_hands(socket, acceptor, place, hall));
    let stream = shaken.await.ok().flatten().ok_or(Count::handshakes_failed)?;
    let (identity, place) = admit(&stream, hall).ok_or(Count::connections_refused)?;
    let chain = chain(&stream);
    let (framed, verdict) = Framed::new(stream, hall.desk.limits);
    Ok(Entered { framed: Box::new(framed), verdict, identity, chain, place })
}

/// The peer's certificates, to be judged again after a reload.
fn chain(stream: &TlsStream<TcpStream>) -> Vec<CertificateDer<'static>> {
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    certificates.iter().map(|one| one.clone().into_owned()).collect()
}

/// Waits until a reload makes a live connection's certificates bad; says why they are.
async fn revoked(tls: &mut watch::Receiver<Arc<TlsState>>, chain: &[CertificateDer<'_>]) -> String {
    loop {
        if tls.changed().await.is_err() {
            // The front ends; so does the connection, in its own time.
            std::future::pending::<()>().await;
        }
        let state = Arc::clone(&tls.borrow_and_update());
        if let Err(reason) = state.judge(chain) {
            return reason;
        }
    }
}

async fn shake_hands(
    socket: TcpStream,
    acceptor: &TlsAcceptor,
    place: &HandshakePlace,
    hall: &Hall,
) -> Option<TlsStream<TcpStream>> {
    // Without it an answer of two records waits for the client's acknowledgement. Failing means: already gone.
    socket.set_nodelay(true).ok()?;
    // Before the first step is counted: a socket that says nothing takes no turn.
    socket.readable().await.ok()?;
    let shaken = Paced::new(acceptor.accept(socket), &hall.pace, place).await;
    shaken.inspect_err(|error| tracing::debug!(%error, "handshake failed")).ok()
}

fn admit(stream: &TlsStream<TcpStream>, hall: &Hall) -> Option<(Identity, Place)> {
    // INVARIANT: the verifier demands a certificate; without one there is no connection to admit.
    let (leaf, beside) = stream.get_ref().1.peer_certificates()?.split_first()?;
    let identity = peer::identify(leaf, beside, &hall.trust_domain);
    let place = hall.admission.connection(identity.key_digest, identity.is_officer)?;
    Some((identity, place))
}

/// HTTP on a connection until its end, its life's end, or the stop.
async fn converse(
    mut framed: Box<Framed<TlsStream<TcpStream>>>,
    conversation: Arc<Conversation>,
    limits: FrontLimits,
    mut stopped: watch::Receiver<bool>,
) {
    let mut over = pin!(async move {
        tokio::select! {
            () = sleep(limits.connection_life()) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    });
    let is_over = tokio::select! {
        biased;
        () = framed.first_byte() => false,
        () = over.as_mut() => true,
    };
    let mut connection = Box::pin(serve(framed, conversation));
    let ended = if is_over {
        None
    } else {
        tokio::select! {
            biased;
            ended = connection.as_mut() => Some(ended),
            () = over.as_mut() => None,
        }
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

type HttpConnection<S> = http1::Connection<TokioIo<Box<Framed<TlsStream<TcpStream>>>>, S>;

/// The HTTP library on a stream of requests.
fn serve(
    framed: Box<Framed<TlsStream<TcpStream>>>,
    conversation: Arc<Conversation>,
) -> HttpConnection<impl HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible, Future: Send>> {
    let service = service_fn(move |request| {
        // Asked now, while this request is the last one the framing has handed on.
        let (conversation, fault) = (Arc::clone(&conversation), conversation.fault());
        // Boxed, because the library keeps room for one in each connection, idle ones too.
        Box::pin(async move { Ok::<_, Infallible>(conversation.answer(request, fault).await) })
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        // The framing keeps the time of heads: this limit would end idle connections too.
        .header_read_timeout(None)
        .keep_alive(true)
        .half_close(false)
        .max_buf_size(HTTP_BUFFER_LEN_MAX)
        .serve_connection(TokioIo::new(framed), service)
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
