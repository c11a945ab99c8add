//! `job.withdraw`: a job that nothing was made of is given up, and its data are erased.

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
use keysvc_protocol::{job::JobState, receipt::Receipt, reply::JobChangedReply, request::WithdrawJob};

impl Record for WithdrawJob {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        let asked = permit.action();
        change(permit, asked.idem, &asked.job)
    }
}

impl Operation for WithdrawJob {
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
