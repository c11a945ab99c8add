//! The way of a request inside the keeper: seen, gate, ledger, keyring, receipt. Written once, for all operations.

mod components;
mod jobs;
mod people;
mod place;

pub use jobs::JobsOnRecord;
pub use place::Place;

use super::{
    action::Action,
    bundle::{self, InForce},
    gate::{Gate, NotAdmitted, Permit},
    imports::Imports,
    keyring::Keyring,
    ledger::{Change, Committed, Ledger, NotRecorded, Recorded},
    limits::KeeperLimits,
    notary::Notary,
    operation::{self, Means, Operation},
    query::{Query, View},
    site::{Enrolled, Site},
};
use crate::{
    error::{Fault, NotDone},
    metrics::KeeperMetrics,
};
use arc_swap::ArcSwapOption;
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor,
    checkpoint::SignedCheckpoint,
    leaf::{RefusedLeaf, RollbackLeaf},
    merkle::TreeHead,
    name::Name,
    receipt::Receipt,
    refusal::{Invalid, Refusal},
    reply::ServiceState,
    request::Envelope,
    schema::Schema,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Everything a request needs, made once at the start.
#[derive(Debug)]
pub struct Keeper {
    /// Who is enrolled and what for.
    pub site: Arc<Site>,
    /// The gate.
    pub gate: Gate,
    /// The ledger.
    pub ledger: Ledger,
    /// The keyring.
    pub keyring: Arc<Keyring>,
    /// The notary.
    pub notary: Notary,
    /// The limits.
    pub limits: KeeperLimits,
    /// The trust bundle in force; there since the start.
    pub bundle: ArcSwapOption<InForce>,
    /// When the keeper started, milliseconds since 1970-01-01 UTC.
    pub started_at_ms: u64,
    /// Whether history was found rolled back.
    pub halted: AtomicBool,
    /// Evidence of a rollback that is not in the log yet.
    pub evidence: Mutex<Option<RollbackLeaf>>,
    /// Whether the keeper was told to end: what then finds the ledger stopped is no fault.
    pub closing: AtomicBool,
    /// What is counted and measured.
    pub metrics: KeeperMetrics,
    /// Where the front is met; how the keeper ended is noted beside it.
    pub socket: PathBuf,
    /// Randomness for exchanges and proposals.
    pub random: SystemRandom,
    /// The token and the folders of its files and of the store.
    pub place: Place,
    /// Held while a proposal is executed, so that none is performed twice at the same time.
    pub executing: tokio::sync::Mutex<()>,
    /// The keys that come in as components.
    pub imports: Imports,
    /// Held while a component is taken, so that all of them are judged before the last one is recorded.
    pub giving: tokio::sync::Mutex<()>,
    /// Held while the trust bundle is renewed.
    pub renewing: tokio::sync::Mutex<()>,
    /// Held while a job's data key may be made or destroyed, so that none is made of a job that is over.
    pub job_keys: tokio::sync::Mutex<()>,
    /// Whether what a purge deleted may still lie in the store's write-ahead log.
    pub unswept: AtomicBool,
}

/// How a request ended without a reply.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// Refused; the refusal's leaf is still to be written.
    #[error("{0}")]
    Refused(Refusal),
    /// Refused inside the ledger's transaction, with its leaf; or after the halt, when only its evidence is recorded.
    #[error("{0}")]
    RefusedOnRecord(Refusal),
    /// It takes people first: the encoded [`keysvc_protocol::reply::PendingReply`].
    #[error("it takes people first")]
    Pending(Vec<u8>),
    /// A fault of ours.
    #[error("{0}")]
    Fault(#[from] Fault),
}

impl From<NotDone> for Ended {
    fn from(not: NotDone) -> Self {
        match not {
            NotDone::Refused(refusal) => Self::Refused(refusal),
            NotDone::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// Milliseconds since 1970-01-01 UTC.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Keeper {
    /// A request that is recorded before it is performed.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn change<A: Operation>(
        &self,
        envelope: &Envelope,
        caller: Arc<Enrolled>,
    ) -> Result<Vec<u8>, Ended> {
        let seen = self.seen(envelope.seen.as_ref(), &caller).await?;
        match self.gate.admit::<A>(envelope.request.as_bytes(), caller) {
            Ok(permit) => {
                let beside = envelope.beside.as_ref().map(Blob::as_bytes);
                self.carry_out(permit, seen, beside).await
            }
            Err(NotAdmitted::Unapproved(unapproved)) => self.propose::<A>(*unapproved, seen).await,
            Err(NotAdmitted::Refused(refusal)) => Err(Ended::Refused(refusal)),
            Err(NotAdmitted::Fault(fault)) => Err(fault.into()),
        }
    }

    /// Records and performs what was permitted; gives the encoded reply.
    async fn carry_out<A: Operation>(
        &self,
        permit: Permit<A>,
        seen: TreeHead,
        beside: Option<&[u8]>,
    ) -> Result<Vec<u8>, Ended> {
        let means = Means { beside, ..self.means() };
        A::ready(&permit, &means, now_ms())?;
        A::prepare(&permit, &means).await?;
        let (recorded, lead) = match self.ledger.record(permit, self.draw()?).await {
            Ok(recorded) => recorded,
            Err(NotRecorded::Refused(refusal)) => return Err(Ended::Refused(refusal)),
            Err(NotRecorded::RefusedOnRecord(refusal, lead)) => {
                self.notarise(lead)?;
                return Err(Ended::RefusedOnRecord(refusal));
            }
            Err(NotRecorded::Fault(fault)) => return Err(Fault::from(fault).into()),
        };
        // Before the request is performed, so that both signatures are made at the same time.
        self.notarise(lead)?;
        let done = A::perform(&recorded, &means).await?;
        if A::ALTERS {
            self.follow().await?;
        }
        let receipt = self.receipt(&recorded, seen, A::SHOWS_LEAF).await?;
        Ok(cbor::encode(&A::reply(done, receipt)?))
    }

    /// Makes anew what is derived from keys' states and freezes: the keys at hand and the trust bundle.
    ///
    /// # Errors
    /// [`Fault`] of store or token.
    pub async fn follow(&self) -> Result<(), Fault> {
        self.keyring.reload(&self.ledger.reader().keys()?)?;
        self.renew_bundle().await
    }

    /// A read.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn read<A: Query>(&self, envelope: &Envelope, caller: Arc<Enrolled>) -> Result<Vec<u8>, Ended> {
        let seen = self.seen(envelope.seen.as_ref(), &caller).await?;
        let permit = self.admit_read::<A>(envelope.request.as_bytes(), caller)?;
        let control = self.site.control()?;
        let halted = self.halted.load(Ordering::Acquire);
        let view = View {
            site: &self.site,
            control: &control,
            reader: self.ledger.reader(),
            newest: self.newest()?,
            seen,
            state: if halted { ServiceState::RolledBack } else { ServiceState::Serving },
            started_at_ms: self.started_at_ms,
            policies: self.gate.policies(&control)?,
            bundle: self.bundle.load_full(),
            imports: &self.imports,
            token: &self.place.token,
            keyring: &self.keyring,
            now_ms: now_ms(),
        };
        Ok(cbor::encode(&A::answer(&permit, &view)?))
    }

    /// Lets in what no people can be asked for.
    pub(super) fn admit_read<A: Action>(
        &self,
        request: &[u8],
        caller: Arc<Enrolled>,
    ) -> Result<Permit<A>, Ended> {
        self.gate.admit::<A>(request, caller).map_err(|not| match not {
            NotAdmitted::Refused(refusal) => Ended::Refused(refusal),
            NotAdmitted::Unapproved(_) => Ended::Refused(Refusal::Forbidden),
            NotAdmitted::Fault(fault) => Ended::Fault(fault),
        })
    }

    /// Makes the trust bundle anew where what it says has changed or its renewal is due. Asked at the start and each
    /// minute.
    ///
    /// # Errors
    /// [`Fault`] of store or token.
    pub async fn renew_bundle(&self) -> Result<(), Fault> {
        // Nobody is to trust what comes after a history that was rolled back.
        if self.halted.load(Ordering::Acquire) {
            return Ok(());
        }
        // One at a time, so that the older of two is never stored last.
        let _one_at_a_time = self.renewing.lock().await;
        let maker = bundle::Maker {
            site: &self.site,
            ledger: &self.ledger,
            keyring: &self.keyring,
            life_ms: self.limits.bundle_life_ms,
        };
        let current = self.bundle.load_full();
        if let Some((made, lead)) = maker.renewed(current.as_deref(), self.newest()?, now_ms()).await? {
            self.notarise(lead)?;
            self.bundle.store(Some(Arc::new(made)));
        }
        Ok(())
    }

    /// Records that a request was refused.
    ///
    /// # Errors
    /// [`Fault`] of the store.
    pub async fn record_refused(
        &self,
        principal: &Name,
        operation: keysvc_protocol::request::Operation,
        refusal: &Refusal,
        request: Digest,
    ) -> Result<(), Fault> {
        let (principal, refusal) = (principal.clone(), refusal.clone());
        let leaf = RefusedLeaf { schema: Schema, principal, operation, refusal, request };
        let settled = self.ledger.sequencer().submit(Change::Refused(leaf)).await?;
        self.notarise(settled.lead)
    }

    pub(super) fn means(&self) -> Means<'_> {
        let slice = Duration::from_millis(self.limits.slice_ms);
        Means {
            keyring: &self.keyring,
            reader: self.ledger.reader(),
            sequencer: self.ledger.sequencer(),
            storage: self.place.storage(),
            imports: &self.imports,
            beside: None,
            site: &self.site,
            notary: &self.notary,
            now_ms: now_ms(),
            slice,
            unswept: &self.unswept,
        }
    }

    pub(super) fn draw(&self) -> Result<[u8; 16], Fault> {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes).map_err(|_| Fault::Invariant("the system gives no randomness"))?;
        Ok(bytes)
    }

    pub(super) fn newest(&self) -> Result<SignedCheckpoint, Fault> {
        self.notary.checkpoints().newest().ok_or(Fault::Invariant("no checkpoint was made at the start"))
    }

    /// Has a commit's head signed, where this request has the duty.
    ///
    /// # Errors
    /// [`Fault`] when the notary is gone.
    pub fn notarise(&self, lead: Option<Committed>) -> Result<(), Fault> {
        lead.map_or(Ok(()), |committed| self.notary.take(committed))
    }

    /// The receipt of what was recorded, with the leaf and its inclusion where it `shows` them.
    async fn receipt<A>(
        &self,
        recorded: &Recorded<A>,
        seen: TreeHead,
        shows: bool,
    ) -> Result<Receipt, Fault> {
        let note =
            recorded.commit().note().await.ok_or(Fault::Invariant("a commit's head was not signed"))?;
        // A repeated request may be answered from an older commit than the client has seen.
        let checkpoint = if note.checkpoint().head.size < seen.size { self.newest()? } else { note };
        let size = checkpoint.checkpoint().head.size;
        let (reader, index) = (self.ledger.reader(), recorded.recording().index);
        let (leaf, inclusion) = if shows {
            (Some(operation::evidence(recorded)?), Some(reader.inclusion(index, size)?))
        } else {
            (None, None)
        };
        Ok(Receipt {
            schema: Schema,
            leaf_index: index,
            consistency: reader.consistency(seen.size, size)?,
            checkpoint,
            leaf,
            inclusion,
        })
    }

    /// The head a client has seen. One that this service signed and its log does not contain means that history was
    /// rolled back: it is recorded, and nothing is served any more.
    pub(super) async fn seen(
        &self,
        seen: Option<&SignedCheckpoint>,
        caller: &Enrolled,
    ) -> Result<TreeHead, Ended> {
        let Some(shown) = seen else { return Ok(self.site.trust().head()) };
        let head = shown.checkpoint().head;
        if self.notary.checkpoints().made(shown) {
            return Ok(head);
        }
        shown
            .verify(&self.site.origin(), self.keyring.checkpoint_key())
            .map_err(|_| Ended::Refused(Refusal::Invalid { reason: Invalid::Seen }))?;
        let reader = self.ledger.reader();
        if head.size > 0
            && head.size <= reader.head().size
            && reader.root_at(head.size).map_err(Fault::from)? == head.root
        {
            return Ok(head);
        }
        self.halt(shown, caller).await?;
        Err(Ended::RefusedOnRecord(Refusal::HistoryRolledBack))
    }

    async fn halt(&self, shown: &SignedCheckpoint, caller: &Enrolled) -> Result<(), Fault> {
        if self.halted.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let leaf = RollbackLeaf { schema: Schema, principal: caller.id.clone(), shown: shown.clone() };
        *self.evidence.lock().unwrap_or_else(PoisonError::into_inner) = Some(leaf);
        let head = shown.checkpoint().head;
        tracing::error!(
            shown_by = %caller.id,
            shown_size = head.size,
            own_size = self.ledger.reader().head().size,
            "a checkpoint that this service signed is not in its log: history was rolled back; serving stops"
        );
        self.record_rollback().await
    }

    /// Writes the evidence of a rollback that is not in the log yet. Asked again each second, for a full queue must not
    /// let a restart forget it.
    ///
    /// # Errors
    /// [`Fault`] of the store; a full queue is one that passes.
    pub async fn record_rollback(&self) -> Result<(), Fault> {
        let evidence = self.evidence.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(leaf) = evidence else { return Ok(()) };
        let settled = self.ledger.sequencer().submit(Change::RollbackShown(leaf)).await?;
        *self.evidence.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.notarise(settled.lead)
    }
}
