//! `card.result`: what the station read back from the cards is held against what the token computes; then what became of
//! them is recorded.

use super::{Means, Operation, job::on_record, signed};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{
    bytes::ShortCheck,
    founding::Profile,
    job::{CardResult, Job, JobState},
    leaf::CardsChangedLeaf,
    receipt::Receipt,
    refusal::{Invalid, Refusal},
    reply::JobChangedReply,
    request::{GiveResults, Operation as Op},
    schema::Schema,
};
use std::time::Instant;

impl Record for GiveResults {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        let (statement, retry) = signed(permit, permit.action().idem)?;
        let principal = permit.caller().id.clone();
        let leaf = CardsChangedLeaf { schema: Schema, principal, operation: Op::CardResult, statement };
        Ok(Change::GiveResults { retry, job: permit.action().job.clone(), leaf })
    }
}

impl Operation for GiveResults {
    type Done = JobState;
    type Reply = JobChangedReply;
    const SHOWS_LEAF: bool = false;

    async fn prepare(permit: &Permit<Self>, means: &Means<'_>) -> Result<(), NotDone> {
        let asked = permit.action();
        let job = means.reader.job(&asked.job).map_err(Fault::from)?.map(|(job, _)| job);
        // What the ledger refuses anyway is compared with nothing: nobody is to try values out.
        let theirs = |job: &Job| job.state == JobState::Open && job.head.station == permit.caller().id;
        let Some(job) = job.filter(theirs) else { return Ok(()) };
        let control = means.site.control()?;
        let profile = control.profiles().get(&job.head.profile, job.head.profile_version);
        let profile = profile.ok_or(Fault::Invariant("a job on record names no profile"))?.profile.clone();
        // Not held while others change it: the ledger would copy it.
        drop(control);
        let mut began = Instant::now();
        for result in asked.results.iter().filter(|result| !result.readback.is_empty()) {
            compare(&job, &profile, result, means)?;
            if began.elapsed() >= means.slice {
                // Others wait for this worker; a batch is nobody's emergency.
                tokio::task::yield_now().await;
                began = Instant::now();
            }
        }
        Ok(())
    }

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<JobState, NotDone> {
        let asked = recorded.permit().action();
        means.keyring.results_given(&asked.job, asked.results.iter().map(|result| &result.card))?;
        Ok(on_record(means, &asked.job)?.state)
    }

    fn reply(state: JobState, receipt: Receipt) -> Result<JobChangedReply, Fault> {
        Ok(JobChangedReply { schema: Schema, state, receipt })
    }
}

/// Holds what was read back from one card against what the token computes for it.
fn compare(job: &Job, profile: &Profile, result: &CardResult, means: &Means<'_>) -> Result<(), NotDone> {
    let record = means.reader.card(&result.card).map_err(Fault::from)?;
    // A card that is not the job's is the ledger's to refuse.
    let Some(record) = record.filter(|record| record.job == job.name) else { return Ok(()) };
    match means.keyring.delivered_checks((&job.name, profile), &result.card) {
        Ok(expected) => matches(&expected, result),
        // Said again, after its key was taken out of use: it was compared when it was recorded.
        Err(NotDone::Refused(_)) if record.outcome.as_ref() == Some(&result.outcome) => Ok(()),
        Err(not) => Err(not),
    }
}

fn matches(expected: &[ShortCheck], result: &CardResult) -> Result<(), NotDone> {
    if result.readback.as_ref() == expected {
        return Ok(());
    }
    Err(Refusal::Invalid { reason: Invalid::ReadBack }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::{job::Outcome, list::List};

    fn result(readback: &[u8]) -> CardResult {
        let readback: Vec<_> = readback.iter().map(|byte| ShortCheck::new([*byte; 5])).collect();
        CardResult {
            card: "04782e21801d80".parse().unwrap(),
            outcome: Outcome::Good,
            readback: List::try_from(readback).unwrap(),
        }
    }

    #[test]
    fn a_card_must_show_every_check_value_in_its_slot() {
        let expected = [ShortCheck::new([1; 5]), ShortCheck::new([2; 5])];
        assert!(matches(&expected, &result(&[1, 2])).is_ok());
        for wrong in [&[2, 1][..], &[1], &[1, 2, 3], &[1, 3]] {
            let refused = matches(&expected, &result(wrong));
            let read_back = Refusal::Invalid { reason: Invalid::ReadBack };
            assert!(matches!(refused, Err(NotDone::Refused(refusal)) if refusal == read_back), "{wrong:?}");
        }
    }
}
