//! What a station says of its job: results, counts, incidents, and that it erased its data.
//!
//! Counts, incidents and the erasure carry people's agreements, and are one act however often they are sent. No answer
//! tells a number.

use super::Station;
use crate::{
    agreement::{self, SignedAgreement, idem_for},
    error::ClientError,
    portions::portions,
    statement::fresh_idem,
};
use keysvc_protocol::{
    job::{CardResult, Counts, Incident, JobAct, JobState, PurgeReceipt, RESULTS_MAX},
    list::WrongCount,
    name::Name,
    reply::{JobChangedReply, JobCountReply},
    request::{CloseJob, CountJob, GiveResults, Operation, ReportIncident},
    schema::Schema,
};

/// Whether what was counted balances. By how much it does not, the reviewer alone can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// It balances: the job can be closed.
    Balanced,
    /// It does not: count again, or find what is missing.
    Mismatch,
}

impl Station {
    /// Says what became of cards, in as many requests as it takes. Said again it is the same.
    ///
    /// # Errors
    /// [`ClientError`] of the calls; [`ClientError::Request`] for no results. After an error the same results may be given
    /// again whole.
    pub async fn give_results(&self, job: &Name, results: &[CardResult]) -> Result<JobState, ClientError> {
        let mut state = None;
        for portion in portions(results, RESULTS_MAX) {
            let limit = |error: WrongCount| ClientError::Request { what: error.to_string() };
            let (idem, results) = (fresh_idem()?, portion.to_vec().try_into().map_err(limit)?);
            let request = GiveResults { schema: Schema, idem, job: job.clone(), results };
            let reply: JobChangedReply = self.send(Operation::CardResult, idem, &request).await?;
            state = Some(reply.state);
        }
        state.ok_or_else(|| ClientError::Request { what: "no results to give".into() })
    }

    /// Gives what was counted, with the agreements of the operator and then the reviewer.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Request`] for agreements to something else.
    pub async fn count(
        &self,
        job: &Name,
        counts: Counts,
        agreements: [SignedAgreement; 2],
    ) -> Result<Counted, ClientError> {
        let idem = idem_for(Operation::JobCount, job, &agreements);
        let agreements = agreement::for_act(&agreements, job, &JobAct::Count { counts })?;
        let request = CountJob { schema: Schema, idem, job: job.clone(), counts, agreements };
        let reply: JobCountReply = self.send(Operation::JobCount, idem, &request).await?;
        Ok(if reply.balanced { Counted::Balanced } else { Counted::Mismatch })
    }

    /// Reports something that went wrong, with the agreements of the operator and then the reviewer.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Request`] for agreements to something else.
    pub async fn report_incident(
        &self,
        job: &Name,
        incident: Incident,
        agreements: [SignedAgreement; 2],
    ) -> Result<JobState, ClientError> {
        let idem = idem_for(Operation::JobIncident, job, &agreements);
        let act = JobAct::Incident { incident: incident.clone() };
        let agreements = agreement::for_act(&agreements, job, &act)?;
        let request = ReportIncident { schema: Schema, idem, job: job.clone(), incident, agreements };
        let reply: JobChangedReply = self.send(Operation::JobIncident, idem, &request).await?;
        Ok(reply.state)
    }

    /// Says that the job's data are erased here, with the agreement of the monitor who saw it. Then the service erases its
    /// own, and another job can be opened.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Request`] for an agreement to something else.
    pub async fn close_job(
        &self,
        job: &Name,
        receipt: PurgeReceipt,
        witness: SignedAgreement,
    ) -> Result<JobState, ClientError> {
        let witness = [witness];
        let idem = idem_for(Operation::JobClose, job, &witness);
        let act = JobAct::Close { receipt: receipt.clone() };
        let agreements = agreement::for_act(&witness, job, &act)?;
        let request = CloseJob { schema: Schema, idem, job: job.clone(), receipt, agreements };
        let reply: JobChangedReply = self.send(Operation::JobClose, idem, &request).await?;
        Ok(reply.state)
    }

    /// How many cards of the job may be without their result at a time: its profile's pipeline.
    ///
    /// # Errors
    /// [`ClientError`] of the calls.
    pub async fn pipeline(&self, job: &Name) -> Result<u16, ClientError> {
        let call = self.begun()?;
        let job = call.reader.job(job).await?;
        let reply = call.reader.profile(&job.profile, Some(job.profile_version)).await?;
        Ok(reply.profile.pipeline)
    }
}
