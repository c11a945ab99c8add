//! `job.items`: cards and their data are sealed under the job's own data key, so that they go with the job. The key is made
//! with the first of them.

use super::{
    super::{Means, Operation, signed},
    changed, state_after,
};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{
    job::JobState, leaf::JobItemsLeaf, receipt::Receipt, reply::JobChangedReply, request::AddJobItems,
    schema::Schema,
};

impl Record for AddJobItems {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        let (statement, retry) = signed(permit, permit.action().idem)?;
        let leaf = JobItemsLeaf { schema: Schema, principal: permit.caller().id.clone(), statement };
        Ok(Change::AddItems { retry, job: permit.action().job.clone(), leaf })
    }
}

impl Operation for AddJobItems {
    type Done = JobState;
    type Reply = JobChangedReply;
    const SHOWS_LEAF: bool = false;

    async fn prepare(permit: &Permit<Self>, means: &Means<'_>) -> Result<(), NotDone> {
        let name = &permit.action().job;
        let job = means.reader.job(name).map_err(Fault::from)?.map(|(job, _)| job);
        // What the ledger would refuse gets no key.
        let takes = job.is_some_and(|job| {
            job.state == JobState::Draft && job.head.listed && job.created.by == permit.caller().id
        });
        if !takes {
            return Ok(());
        }
        for settled in means.storage.open_job(means.sequencer, name, means.now_ms).await? {
            if let Some(lead) = settled.lead {
                means.notary.take(lead)?;
            }
        }
        Ok(())
    }

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<JobState, NotDone> {
        state_after(means, &recorded.permit().action().job)
    }

    fn reply(state: JobState, receipt: Receipt) -> Result<JobChangedReply, Fault> {
        Ok(changed(state, receipt))
    }
}
