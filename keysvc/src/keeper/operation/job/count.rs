//! `job.count`: what was counted is recorded, and the answer is whether it balances. By how much it does not, the reviewer
//! alone reads.

use super::{
    super::{Means, Operation},
    change, on_record, state_after,
};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{receipt::Receipt, reply::JobCountReply, request::CountJob, schema::Schema};

impl Record for CountJob {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        let asked = permit.action();
        change(permit, asked.idem, &asked.job)
    }
}

impl Operation for CountJob {
    type Done = bool;
    type Reply = JobCountReply;
    const SHOWS_LEAF: bool = false;

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<bool, NotDone> {
        let job = &recorded.permit().action().job;
        state_after(means, job)?;
        let index = recorded.recording().index;
        let given = on_record(means, job)?;
        let given = given.counts.iter().find(|given| given.leaf == index);
        let given = given.ok_or(Fault::Invariant("a recorded count is not the job's"))?;
        Ok(given.balance.is_even())
    }

    fn reply(balanced: bool, receipt: Receipt) -> Result<JobCountReply, Fault> {
        Ok(JobCountReply { schema: Schema, balanced, receipt })
    }
}
