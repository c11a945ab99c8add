//! `job.close`: the station has erased the job's data, and a witness saw it. Recorded, the service erases its own.

use super::{
    super::{Means, Operation},
    change, changed,
    purge::purged,
};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{job::JobState, receipt::Receipt, reply::JobChangedReply, request::CloseJob};

impl Record for CloseJob {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        let asked = permit.action();
        change(permit, asked.idem, &asked.job)
    }
}

impl Operation for CloseJob {
    type Done = JobState;
    type Reply = JobChangedReply;
    const SHOWS_LEAF: bool = false;

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<JobState, NotDone> {
        purged(means, &recorded.permit().action().job).await
    }

    fn reply(state: JobState, receipt: Receipt) -> Result<JobChangedReply, Fault> {
        Ok(changed(state, receipt))
    }
}
