//! `job.incident`: something that went wrong is recorded. The job goes on as it was.

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
    job::JobState, leaf::IncidentReportedLeaf, receipt::Receipt, reply::JobChangedReply,
    request::ReportIncident, schema::Schema,
};

impl Record for ReportIncident {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        let (statement, retry) = signed(permit, permit.action().idem)?;
        let leaf = IncidentReportedLeaf { schema: Schema, station: permit.caller().id.clone(), statement };
        Ok(Change::ReportIncident { retry, job: permit.action().job.clone(), leaf })
    }
}

impl Operation for ReportIncident {
    type Done = JobState;
    type Reply = JobChangedReply;
    const SHOWS_LEAF: bool = false;

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<JobState, NotDone> {
        state_after(means, &recorded.permit().action().job)
    }

    fn reply(state: JobState, receipt: Receipt) -> Result<JobChangedReply, Fault> {
        Ok(changed(state, receipt))
    }
}
