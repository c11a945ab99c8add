//! The keeper's start: compare everything with the log, then serve.
//!
//! Order matters: token against manifest, anchor against log, founding against leaf 0; then the state that people move is
//! restored from its leaves, and policies and golden vectors are held against it; only then a leaf is written, and only
//! then the socket is there.

mod compared;
mod jobs;
mod policies;
mod reload;
mod unfinished;
mod upkeep;
mod waiting;

use super::{
    endpoint,
    founding::{open_token, read_founding, storage},
    gate::Gate,
    imports::Imports,
    keyring::{Keyring, vectors_in_use},
    ledger::{Anchor, Change, Ledger, Options, Reader, Sequencer, Settled},
    notary::Notary,
    own_token,
    serve::{JobsOnRecord, Keeper, Place, now_ms},
    site::Site,
};
use crate::{
    config::{Config, ConfigError, FILE_LEN_MAX, Half, read_capped},
    error::Fault,
    link::{self, LastEnd},
    metrics::KeeperMetrics,
    parent, service_manager,
    telemetry::LogControl,
};
use arc_swap::ArcSwapOption;
pub use compared::{compare_destroyed, compare_token};
pub use jobs::figures;
use keysvc_protocol::{
    bytes::{Digest, ObjectIdentifier},
    control::Control,
    hash::sha256,
    key::{KeyKind, KeyRecord},
    leaf::{FoundingLeaf, StartLeaf},
    public_key::PublicKey,
    schema::Schema,
    trust::Trust,
};
use keysvc_token::Token;
pub use policies::{InForce, policies_in_force};
use reload::Reloading;
use ring::rand::SystemRandom;
use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::signal::unix::{SignalKind, signal};

/// What to do where golden vectors differ from what the token computes.
pub const OTHER_MASTERS: &str = "put the token with the recorded master keys back";

/// Runs the keeper until SIGTERM; then what is queued is committed and counted refusals are written.
///
/// # Errors
/// [`Fault`] that kept it from serving.
pub async fn run(file: &Path, log: LogControl) -> Result<(), Fault> {
    let config = Config::read_for(file, Half::Keeper)?;
    let opened = open(file, &config).await?;
    let keeper = Arc::new(opened.keeper);
    let (own, anchor) = (Arc::clone(&keeper), Arc::clone(&opened.anchor));
    let mut terminate = signal(SignalKind::terminate()).map_err(watching)?;
    let hangups = signal(SignalKind::hangup()).map_err(watching)?;
    tokio::spawn(upkeep::run(Arc::clone(&keeper), opened.anchor));
    let listening = link::listen(&config.keeper.socket, config.front_uid()?)
        .map_err(|source| Fault::Io { what: "listening on the keeper's socket", source })?;
    let reloading = Reloading { file: file.to_owned(), config, log };
    tokio::spawn(reloading.whenever_told(Arc::clone(&keeper), hangups));
    tracing::info!(leaves = keeper.ledger.reader().head().size, "the keeper serves");
    service_manager::ready("serving");
    parent::tell_serving();
    let looked_at = Arc::clone(&keeper);
    let handler = move |call| endpoint::handle(Arc::clone(&keeper), call);
    let look = move |look| endpoint::look(&looked_at, look);
    tokio::select! {
        () = listening.serve(handler, look) => Ok(()),
        _ = terminate.recv() => {
            service_manager::stopping();
            own.closing.store(true, Ordering::Release);
            own.ledger.sequencer().close();
            anchor.sync()?;
            LastEnd::note(&own.socket, 0, "it was told to", None);
            // Not a return: the runtime would wait for workers that now wait for the token.
            endpoint::leave(0, &own.keyring)
        }
    }
}

fn watching(source: std::io::Error) -> Fault {
    Fault::Io { what: "watching for signals", source }
}

/// A keeper ready to serve.
#[derive(Debug)]
struct Opened {
    keeper: Keeper,
    anchor: Arc<Anchor>,
}

async fn open(file: &Path, config: &Config) -> Result<Opened, Fault> {
    // First, because an attempt on a token that is away is to cost nothing.
    let token = open_token(config)?;
    let opened = compare_and_open(file, config, token.clone()).await;
    opened.map_err(|fault| unless_gone(&token, fault))
}

/// What was found wrong with a token that has gone meanwhile is nobody's word on it: it is away, and waited for. Where
/// another thread has met that already and ends the process, this one waits for the end.
fn unless_gone(token: &Token, fault: Fault) -> Fault {
    match (&fault, token.look()) {
        (Fault::Token(_) | Fault::OtherToken(_) | Fault::Refusing(_) | Fault::Invariant(_), Err(gone)) => {
            gone.into()
        }
        _ => fault,
    }
}

async fn compare_and_open(file: &Path, config: &Config, token: Token) -> Result<Opened, Fault> {
    let (sequencer, reader) = open_store(config)?;
    let founding = founding_of(config, &reader)?;
    let trust = compare_trust(config, &reader)?;
    let site = Arc::new(site_of(config, &founding, &trust, sequencer.shared_control())?);
    let anchor = Arc::new(open_anchor(config)?);
    compare_anchor(config, &anchor, &reader, &site)?;
    // Before the first use of a key: what a drifted one does is nobody's word.
    let records = reader.keys()?;
    // Every key is looked up several times until the keyring has those it uses, and each search costs with all objects.
    let inventory = token.hold_inventory()?;
    compare_token((&token, &inventory), &records, &reader)?;
    own_token::remember(config, &token)?;
    install_seals(config, &token, &sequencer)?;
    sequencer.restore_control()?;
    let policies = policies_in_force(config, &*site.control()?)?;
    policies::tell(&policies);
    compare_destroyed(&inventory, &records, &destroying(&*site.control()?))?;
    vectors_in_use(&token, &*site.control()?)?.must_agree(OTHER_MASTERS)?;
    let mut duties = storage(config, &token).open_month(&sequencer, &records, now_ms()).await?;
    let halted = reader.halted()?.is_some();
    if !halted {
        duties.extend(unfinished::finish(&storage(config, &token), &sequencer, &site).await?);
    }
    let policy = *site.control()?.policy();
    duties.push(start_leaf(file, &sequencer, policy).await?);
    duties.push(waiting::beat(&sequencer).await?);
    waiting::tell_dispute(&*site.control()?);
    let keyring = Keyring::open(token.clone(), Arc::clone(&site), &reader.keys()?)?;
    drop(inventory);
    let keyring = Arc::new(keyring);
    let notary = start_notary(config, &keyring, &anchor, duties).await?;
    let limits = config.keeper.limits;
    let metrics = KeeperMetrics::new(sequencer.commits(), LastEnd::read(&config.keeper.socket).as_ref());
    let keeper = Keeper {
        gate: Gate::new(Arc::clone(&site), Box::new(JobsOnRecord(reader.clone())), policies.set),
        ledger: Ledger::new(sequencer, reader, Arc::clone(&site), limits),
        site,
        keyring,
        notary,
        limits,
        bundle: ArcSwapOption::empty(),
        started_at_ms: now_ms(),
        halted: AtomicBool::new(halted),
        evidence: Mutex::new(None),
        closing: AtomicBool::new(false),
        metrics,
        socket: config.keeper.socket.clone(),
        random: SystemRandom::new(),
        place: Place { token, token_folder: config.token.folder.clone(), store: config.keeper.store.clone() },
        executing: tokio::sync::Mutex::new(()),
        imports: Imports::default(),
        giving: tokio::sync::Mutex::new(()),
        renewing: tokio::sync::Mutex::new(()),
        job_keys: tokio::sync::Mutex::new(()),
        // What the keeper before deleted may lie there.
        unswept: AtomicBool::new(true),
    };
    keeper.renew_bundle().await?;
    if !halted {
        keeper.finish_purges().await?;
    }
    jobs::look(&keeper)?;
    Ok(Opened { keeper, anchor })
}

/// Starts the notary and has the heads signed that the start left to be, each with a look at what the token signs.
async fn start_notary(
    config: &Config,
    keyring: &Arc<Keyring>,
    anchor: &Arc<Anchor>,
    duties: Vec<Settled>,
) -> Result<Notary, Fault> {
    let socket = config.keeper.socket.clone();
    let ended = move |fault: &Fault, keyring: &Keyring| endpoint::end(fault, keyring, &socket);
    let notary = Notary::start(Arc::clone(keyring), Arc::clone(anchor), ended)?;
    for settled in duties {
        settled.lead.map_or(Ok(()), |lead| notary.take(lead))?;
        let note =
            settled.commit.note().await.ok_or(Fault::Invariant("a head was not signed at the start"))?;
        keyring.self_test(&note)?;
    }
    Ok(notary)
}

/// Opens the store; its sealed payloads stay closed.
///
/// # Errors
/// [`Fault`] of the store.
pub fn open_store(config: &Config) -> Result<(Sequencer, Reader), Fault> {
    Ok(Sequencer::start(&config.keeper.store, Options::from(&config.keeper.limits))?)
}

/// Has the token unwrap the data keys, so that sealed payloads open.
///
/// # Errors
/// [`Fault`] of store or token; [`Fault::Config`] when nothing was founded yet.
pub fn install_seals(config: &Config, token: &Token, sequencer: &Sequencer) -> Result<(), Fault> {
    let seals = storage(config, token).seals()?;
    if seals.is_empty() {
        return Err(not_founded(config).into());
    }
    for seal in seals {
        sequencer.install_seal(seal);
    }
    Ok(())
}

/// What is said of a store without a log.
#[must_use]
pub fn not_founded(config: &Config) -> ConfigError {
    let mend = "the store holds no founding; run: keysvc init --config FILE";
    ConfigError::file(&config.keeper.store, mend)
}

/// The founding in leaf 0.
///
/// # Errors
/// [`Fault`] when there is none yet.
pub fn founding_of(config: &Config, reader: &Reader) -> Result<FoundingLeaf, Fault> {
    let founded = reader.founding()?;
    founded.map(|(leaf, _)| leaf).ok_or_else(|| not_founded(config).into())
}

/// The trust file, compared with leaf 0.
///
/// # Errors
/// [`Fault`] when it names another history.
pub fn compare_trust(config: &Config, reader: &Reader) -> Result<Trust, Fault> {
    let text = read_capped(&config.trust, 1024)?;
    let text = String::from_utf8(text).map_err(|_| ConfigError::file(&config.trust, "not UTF-8 text"))?;
    let trust = Trust::parse(&text).map_err(|error| ConfigError::file(&config.trust, error.to_string()))?;
    let genesis = reader.root_at(1)?;
    if trust.genesis != genesis || trust.domain != config.trust_domain {
        let mend = format!(
            "it names another history: the store's genesis digest is {genesis} in {}; put the right store or trust file back",
            config.trust_domain
        );
        return Err(ConfigError::file(&config.trust, mend).into());
    }
    Ok(trust)
}

/// The site that leaf 0 describes, over the state that the ledger publishes.
///
/// # Errors
/// [`Fault`] when the founding does not read.
pub fn site_of(
    config: &Config,
    leaf: &FoundingLeaf,
    trust: &Trust,
    control: Arc<ArcSwapOption<Control>>,
) -> Result<Site, Fault> {
    let founding = read_founding(&config.keeper.store, leaf.founding.as_bytes())?;
    Ok(Site::new(founding, trust.genesis, control))
}

/// The anchor that the founding made.
///
/// # Errors
/// [`Fault`] when it is missing or damaged. None is made: an empty one would say nothing.
pub fn open_anchor(config: &Config) -> Result<Anchor, Fault> {
    if !config.keeper.anchor.exists() {
        return Err(no_anchor(config).into());
    }
    Ok(Anchor::open(&config.keeper.anchor)?)
}

fn no_anchor(config: &Config) -> ConfigError {
    let mend = "the anchor is missing; put it back, for without it an old copy of the store would pass";
    ConfigError::file(&config.keeper.anchor, mend)
}

/// The anchor, compared with the log: it must be there, be this log's, and not be ahead of it.
///
/// # Errors
/// [`Fault`] when history was rolled back or replaced.
pub fn compare_anchor(config: &Config, anchor: &Anchor, reader: &Reader, site: &Site) -> Result<(), Fault> {
    if anchor.read().is_none() {
        return Err(no_anchor(config).into());
    }
    Ok(anchor.compare(reader, &site.origin(), &checkpoint_key(&reader.keys()?)?)?)
}

/// The public half of the checkpoint key, from the manifest.
///
/// # Errors
/// [`Fault`] when the manifest names none.
pub fn checkpoint_key(records: &[KeyRecord]) -> Result<PublicKey, Fault> {
    let record = records.iter().find(|record| record.kind == KeyKind::Checkpoint && record.state.protects());
    record
        .and_then(|record| record.public.as_ref())
        .and_then(|public| PublicKey::from_spki(public.as_bytes()).ok())
        .ok_or(Fault::Invariant("the log names no checkpoint key"))
}

/// The keys whose destruction has an intent and no outcome: the token may hold them or not.
fn destroying(control: &Control) -> Vec<ObjectIdentifier> {
    control.keys().destroying().map(|(_, _, key)| key.id).collect()
}

async fn start_leaf(file: &Path, sequencer: &Sequencer, policy: Digest) -> Result<Settled, Fault> {
    let program = std::fs::read("/proc/self/exe")
        .map_err(|source| Fault::Io { what: "reading this program for its digest", source })?;
    let leaf = StartLeaf {
        schema: Schema,
        program: sha256(&[&program]),
        configuration: sha256(&[&read_capped(file, FILE_LEN_MAX)?]),
        policy,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(sequencer.submit(Change::Start(leaf)).await?)
}
