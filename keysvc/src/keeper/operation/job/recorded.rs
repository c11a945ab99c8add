//! `job.create`, `job.seal` and `job.suspend`: recorded, and thereby done. With a job that is suspended goes its session.

use super::{
    super::{Means, Operation},
    change, changed, state_after,
};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{
    job::JobState,
    receipt::Receipt,
    reply::JobChangedReply,
    request::{CreateJob, SealJob, SuspendJob},
};

macro_rules! done_by_recording {
    ($($type:ty)*) => {
        $(
            impl Record for $type {
                fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
                    let asked = permit.action();
                    change(permit, asked.idem, &asked.job)
                }
            }

            impl Operation for $type {
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
        )*
    };
}

done_by_recording! { CreateJob SealJob SuspendJob }
