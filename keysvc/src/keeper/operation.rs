//! Operations: how a recorded request is performed. One file each.
//!
//! An operation says what the ledger is to record ([`Record`]) and what is done with the token afterwards; the way
//! between is [`super::serve`]'s.

mod alter;
mod card_derive;
mod card_result;
mod card_transition;
mod component_give;
mod evidence_get;
mod job;
mod key_create;
mod key_import;
mod log_entries;
mod profile_put;
mod value_update;

pub use job::{Purging, is_of_one_job, purge, sweep};

use super::{
    gate::Permit,
    imports::Imports,
    keyring::Keyring,
    ledger::{NotRecorded, Reader, Record, Recorded, Retry, Sequencer, Touches},
    notary::Notary,
    site::{Enrolled, Site},
    storage::Storage,
};
use crate::error::{Fault, NotDone};
use keysvc_protocol::{
    bytes::Idem,
    founding::PrincipalKind,
    leaf::Statement,
    receipt::{LeafEvidence, Receipt},
    refusal::{Invalid, Refusal},
};
use serde::Serialize;
use std::{sync::atomic::AtomicBool, time::Duration};

/// What an operation may use once it is recorded.
#[derive(Debug)]
pub struct Means<'a> {
    /// The token's keys.
    pub keyring: &'a Keyring,
    /// What is recorded.
    pub reader: &'a Reader,
    /// The way for the leaves of keys being made.
    pub sequencer: &'a Sequencer,
    /// Where keys are made and destroyed.
    pub storage: Storage<'a>,
    /// The keys that come in as components.
    pub imports: &'a Imports,
    /// What came beside the request, for the one operation that has something there.
    pub beside: Option<&'a [u8]>,
    /// The site.
    pub site: &'a Site,
    /// Has heads signed.
    pub notary: &'a Notary,
    /// The time, milliseconds since 1970-01-01 UTC.
    pub now_ms: u64,
    /// Longest time a batch holds a worker.
    pub slice: Duration,
    /// Set while what a purge deleted may still lie in the store's write-ahead log.
    pub unswept: &'a AtomicBool,
}

/// A recorded request that can be performed.
pub trait Operation: Record {
    /// What performing it gives, before the receipt is there.
    type Done: Send;
    /// Its reply.
    type Reply: Serialize;
    /// Whether the receipt carries the leaf and its inclusion: not where the place in the tree would tell more than
    /// the caller may know.
    const SHOWS_LEAF: bool;
    /// Whether it moves keys, freezes or principals, so that what is derived from them is made anew.
    const ALTERS: bool = false;

    /// What must hold of the request itself before people are asked about it.
    ///
    /// # Errors
    /// [`NotDone`] when it does not hold.
    fn holds(&self, _means: &Means<'_>) -> Result<(), NotDone> {
        Ok(())
    }

    /// What must hold before it is worth recording; decided again when it is performed.
    ///
    /// # Errors
    /// [`NotDone`] when it does not hold.
    fn ready(_permit: &Permit<Self>, _means: &Means<'_>, _now_ms: u64) -> Result<(), NotDone>
    where
        Self: Sized,
    {
        Ok(())
    }

    /// What is done before it is recorded, and can be done again: where the token must have made or computed something
    /// first. Asked when it is ready.
    ///
    /// # Errors
    /// [`NotDone`]: refused, or a fault.
    fn prepare(_permit: &Permit<Self>, _means: &Means<'_>) -> impl Future<Output = Result<(), NotDone>> + Send
    where
        Self: Sized,
    {
        async { Ok(()) }
    }

    /// Performs it.
    ///
    /// # Errors
    /// [`NotDone`]: refused since, or a fault.
    fn perform(
        recorded: &Recorded<Self>,
        means: &Means<'_>,
    ) -> impl Future<Output = Result<Self::Done, NotDone>> + Send
    where
        Self: Sized;

    /// Puts the reply together.
    ///
    /// # Errors
    /// [`Fault`] when a part is too long for it.
    fn reply(done: Self::Done, receipt: Receipt) -> Result<Self::Reply, Fault>;
}

/// The statement of a signed request, and the key by which a repetition of it is recognised.
fn signed<A>(permit: &Permit<A>, idem: Idem) -> Result<(Statement, Retry), NotRecorded> {
    let unsigned = NotRecorded::Refused(Refusal::Invalid { reason: Invalid::NotSigned });
    let statement = permit.statement().cloned().ok_or(unsigned)?;
    let principal = permit.caller().id.clone();
    Ok((statement, Retry { principal, idem, payload_digest: permit.payload_digest() }))
}

/// What a value or card request of this caller touches, apart from cards.
fn touches(caller: &Enrolled) -> Touches {
    let own = |kind| (caller.kind == kind).then(|| caller.id.clone());
    Touches {
        programme: None,
        terminal: own(PrincipalKind::Terminal),
        station: own(PrincipalKind::Station),
        store: caller.store.clone(),
        profile: None,
        keys: Vec::new(),
        job: None,
    }
}

/// A recorded leaf as evidence.
///
/// # Errors
/// [`Fault`] when it is longer than evidence may be.
pub fn evidence<A>(recorded: &Recorded<A>) -> Result<LeafEvidence, Fault> {
    let evidence = recorded.recording().evidence();
    evidence.map_err(|_| Fault::Invariant("a leaf is longer than evidence may be"))
}
