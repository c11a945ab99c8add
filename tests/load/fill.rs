//! Fills a store with value updates through the ledger itself: each under a statement that the terminal's key really
//! signed, on so many fobs in turn.
//!
//! A process of its own, because the data keys come out of the service's token. It does what a keeper does between gate
//! and signature, in the same order, without asking the policies: 1,000,000 updates over the network would take half an
//! hour of two cores.

use crate::{
    purse::{self, PROGRAMME, Purses},
    while_doing,
};
use keysvc::{
    config::Config,
    keeper::{
        founding::open_token,
        ledger::{Change, Retry, Sequencer, Terms, Touches},
        site::Site,
        start::{compare_trust, founding_of, install_seals, open_store, site_of},
    },
};
use keysvc_client::{ClientConfig, signer, signer::StatementSigner};
use keysvc_protocol::{
    bytes::{Blob, Digest, Idem},
    cbor,
    cose::{Kind, Unsigned},
    hash::sha256,
    leaf::Statement,
    name::Name,
    request::Operation,
    value::FLAG_NO_CARD_SESSION,
};
use keysvc_tests::ground::Failed;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How long an update may be written to the card: as the service's default, 24 hours.
const VALID_MS: u64 = 24 * 3_600_000;
/// Changes handed to the ledger at once: four of its commits, a quarter of its queue.
const CHUNK: u64 = 1_024;
/// Chunks that each thread signs ahead: 2 of 1,024 changes of 1 KiB are 2 MiB.
const AHEAD: usize = 2;

/// What every update is made from.
struct Till {
    signer: Arc<dyn StatementSigner>,
    terminal: Name,
    programme: Name,
    touches: Touches,
    value_key: Name,
    terms: Terms,
    genesis: Digest,
    random: SystemRandom,
}

/// Fills the store of the service `file` configures with updates by the terminal of `terminal`, on fobs numbered from
/// `first`.
///
/// # Errors
/// [`Failed`] when one of them is not recorded.
pub fn run(file: &Path, terminal: &Path, fobs: Purses, first: u64) -> Result<(), Failed> {
    let config = Config::read(file).map_err(while_doing("the service's configuration"))?;
    let token = open_token(&config).map_err(while_doing("the service's token"))?;
    let (sequencer, reader) = open_store(&config).map_err(while_doing("the store"))?;
    install_seals(&config, &token, &sequencer).map_err(while_doing("the data keys"))?;
    let founding = founding_of(&config, &reader).map_err(while_doing("the founding"))?;
    let trust = compare_trust(&config, &reader).map_err(while_doing("the trust file"))?;
    sequencer.restore_control().map_err(while_doing("what officers decided"))?;
    let site = site_of(&config, &founding, &trust, sequencer.shared_control())
        .map_err(while_doing("the founding"))?;
    let client = ClientConfig::read(terminal).map_err(while_doing("the terminal's configuration"))?;
    let signer = signer::of_config(&client).map_err(while_doing("the statement key"))?;
    let till = Till::new(&site, signer)?;
    let done = fill(&sequencer, &till, fobs, first);
    sequencer.close();
    done
}

type Chunk = Result<Vec<Change>, Failed>;

fn fill(sequencer: &Sequencer, till: &Till, fobs: Purses, first: u64) -> Result<(), Failed> {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let mut chunks = Vec::new();
        for worker in (0..).take(workers) {
            let (ready, signed) = sync_channel(AHEAD);
            chunks.push(signed);
            let every = u64::try_from(workers).unwrap_or(u64::MAX);
            scope.spawn(move || sign(till, (fobs, first), (worker, every), &ready));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.map_err(while_doing("the runtime"))?.block_on(record(sequencer, fobs.updates, chunks))
    })
}

/// Signs one of so many chunks in turn, or stops when nobody records them any more.
fn sign(till: &Till, (fobs, first): (Purses, u64), (worker, every): (u64, u64), ready: &SyncSender<Chunk>) {
    let mut start = worker.saturating_mul(CHUNK);
    while start < fobs.updates {
        let end = start.saturating_add(CHUNK).min(fobs.updates);
        let chunk = (start..end).map(|place| {
            let (number, seq) = fobs.in_turn(place);
            till.change(first.saturating_add(number), seq)
        });
        if ready.send(chunk.collect()).is_err() {
            return;
        }
        start = start.saturating_add(every.saturating_mul(CHUNK));
    }
}

/// Records chunks in their order, because a fob's second update follows its first.
async fn record(
    sequencer: &Sequencer,
    leaves: u64,
    // Taken, so that those who sign end when this does.
    chunks: Vec<Receiver<Chunk>>,
) -> Result<(), Failed> {
    let mut done = 0_u64;
    let mut bar = Bar::new(leaves);
    for signed in chunks.iter().cycle() {
        // Whoever has no chunk left was the next in turn: then nobody has one.
        let Ok(chunk) = signed.recv() else { break };
        let mut waiting = JoinSet::new();
        for change in chunk? {
            let sequencer = sequencer.clone();
            waiting.spawn(async move { sequencer.submit(change).await });
        }
        while let Some(settled) = waiting.join_next().await {
            let settled = settled.map_err(while_doing("an update"))?.map_err(while_doing("an update"))?;
            if settled.index().is_none() {
                return Err(Failed(format!("an update was refused: {:?}", settled.outcome)));
            }
            done = done.saturating_add(1);
        }
        bar.tell(done);
    }
    bar.end();
    if done == leaves { Ok(()) } else { Err(Failed(format!("{done} of {leaves} updates were signed"))) }
}

impl Till {
    fn new(site: &Site, signer: Arc<dyn StatementSigner>) -> Result<Self, Failed> {
        let name: Name = PROGRAMME.parse().map_err(while_doing("the programme"))?;
        let programme = site.programme(&name);
        let programme = programme.ok_or_else(|| Failed("the founding has no such programme".to_owned()))?;
        let own = signer.public_key().identifier();
        let terminal =
            site.by_statement_key(own).ok_or_else(|| Failed("the terminal is not enrolled".to_owned()))?;
        Ok(Self {
            signer,
            terminal: terminal.id.clone(),
            touches: Touches {
                programme: Some(name.clone()),
                terminal: Some(terminal.id.clone()),
                station: None,
                store: terminal.store.clone(),
                profile: Some(programme.profile.clone()),
                keys: vec![programme.value_key.clone()],
                job: None,
            },
            value_key: programme.value_key.clone(),
            programme: name,
            terms: Terms { valid_ms: VALID_MS, flags: FLAG_NO_CARD_SESSION },
            genesis: *site.genesis(),
            random: SystemRandom::new(),
        })
    }

    /// The update of this sequence number of fob number `number`.
    fn change(&self, number: u64, seq: u64) -> Result<Change, Failed> {
        let mut txn = [0; Idem::LEN];
        self.random.fill(&mut txn).map_err(while_doing("random bytes"))?;
        let request = purse::update(&self.programme, purse::card(number)?, seq, Idem::new(txn));
        let payload = cbor::encode(&request);
        let payload_digest = sha256(&[&payload]);
        let kind = Kind::Request(Operation::ValueUpdate);
        let kid = self.signer.public_key().identifier();
        let unsigned = Unsigned::new(kind, self.genesis.as_bytes(), kid, payload);
        let signature = self.signer.sign(&unsigned.to_be_signed()).map_err(while_doing("signing"))?;
        let statement =
            Blob::try_from(unsigned.with_signature(&signature)).map_err(while_doing("a request"))?;
        Ok(Change::UpdateValue {
            retry: Retry { principal: self.terminal.clone(), idem: request.txn, payload_digest },
            request,
            terms: self.terms,
            terminal: self.terminal.clone(),
            statement: Statement(statement),
            touches: self.touches.clone(),
            value_key: self.value_key.clone(),
        })
    }
}

/// How far it is, on standard error: on a terminal in one line, else a line every ten seconds.
struct Bar {
    leaves: u64,
    began: Instant,
    told: Instant,
    terminal: bool,
}

impl Bar {
    fn new(leaves: u64) -> Self {
        let now = Instant::now();
        Self { leaves, began: now, told: now, terminal: std::io::stderr().is_terminal() }
    }

    fn tell(&mut self, done: u64) {
        let every = Duration::from_millis(if self.terminal { 200 } else { 10_000 });
        if self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        let rate = u128::from(done).saturating_mul(1_000).checked_div(self.began.elapsed().as_millis());
        let text = format!("filling: {done} of {} leaves, {} a second", self.leaves, rate.unwrap_or(0));
        let mut err = anstream::stderr();
        // Who does not see how far it is sees how it ends.
        let _ = if self.terminal { write!(err, "\r\x1b[K{text}") } else { writeln!(err, "{text}") };
    }

    fn end(&self) {
        if self.terminal {
            let _ = write!(anstream::stderr(), "\r\x1b[K");
        }
    }
}
