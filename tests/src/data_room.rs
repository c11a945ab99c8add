//! A data room that makes jobs, so that the service makes keys: the first card of a job has the keeper make the job's
//! storage key in the token, between an intent and an outcome, before the request is acknowledged.
//!
//! The one way to have a key made that takes no people. It judges no refusal but whether it passes.

use crate::{agreed, jobs, raw::Caller};
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    job::{ItemData, JobHead, JobItem},
    name::Name,
    refusal::Refusal,
    reply::JobChangedReply,
    request::{AddJobItems, CreateJob, Operation, WithdrawJob},
    schema::Schema,
};
use softhsm_setup::Site;
use std::{
    thread,
    time::{Duration, Instant},
};

/// Longer than any way back takes.
const LONG: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(5);
const CARD: &str = "04782e21801d80";

/// The data operator on one connection.
#[derive(Debug)]
pub struct DataRoom {
    caller: Caller,
    jobs: u32,
}

impl DataRoom {
    /// The development site's.
    ///
    /// # Panics
    /// When it cannot connect.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        Self { caller: Caller::new(site, "data-1"), jobs: 0 }
    }

    /// Makes a job, its key and one card in it, and gives it up, so that there are never many.
    ///
    /// # Errors
    /// The refusal that does not pass.
    pub fn job(&mut self) -> Result<(), String> {
        let (job, items) = self.begin()?;
        self.until_done(Operation::JobItems, &items)?;
        self.give_up(job)
    }

    /// Makes a job without a key yet. Gives the signed content of the request that has the key made.
    ///
    /// # Errors
    /// The refusal that does not pass.
    ///
    /// # Panics
    /// Never.
    pub fn begin(&mut self) -> Result<(Name, Vec<u8>), String> {
        self.jobs += 1;
        let (schema, job) = (Schema, agreed::name(&format!("room-{}", self.jobs)));
        let head = JobHead { listed: true, ..jobs::head("known", 1, 8) };
        let create = CreateJob { schema, idem: agreed::idem(), job: job.clone(), head };
        self.until_done(Operation::JobCreate, &cbor::encode(&create))?;
        let item = JobItem { card: CARD.parse().unwrap(), data: ItemData(Blob::try_from(vec![7]).unwrap()) };
        let items = vec![item].try_into().unwrap();
        let items = AddJobItems { schema, idem: agreed::idem(), job: job.clone(), items };
        Ok((job, cbor::encode(&items)))
    }

    /// Gives a job up.
    ///
    /// # Errors
    /// The refusal that does not pass.
    pub fn give_up(&mut self, job: Name) -> Result<(), String> {
        let withdraw = WithdrawJob { schema: Schema, idem: agreed::idem(), job, reason: agreed::reason() };
        self.until_done(Operation::JobWithdraw, &cbor::encode(&withdraw))
    }

    /// Asks once.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn ask(&mut self, operation: Operation, payload: &[u8]) -> Result<(), Refusal> {
        self.caller.ask_bytes::<JobChangedReply>(operation, payload.to_vec()).map(drop)
    }

    /// Asks the same until it is done.
    ///
    /// # Errors
    /// The refusal that does not pass, or goes on too long.
    pub fn until_done(&mut self, operation: Operation, payload: &[u8]) -> Result<(), String> {
        let began = Instant::now();
        loop {
            match self.ask(operation, payload) {
                Ok(()) => return Ok(()),
                Err(refusal) if !refusal.retryable() || began.elapsed() > LONG => {
                    return Err(format!("{operation}: {refusal}"));
                }
                Err(_) => thread::park_timeout(PAUSE),
            }
        }
    }
}
