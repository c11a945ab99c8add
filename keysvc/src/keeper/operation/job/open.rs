//! `job.open` and `job.resume`: record the session of two operators, then make its transport key and wrap it to the
//! station.
//!
//! The transport key lives in memory alone. A station that repeats its request after a restart goes on in the same session
//! with another key, as long as the session stands.

use super::{
    super::{Means, Operation, signed, touches},
    on_record,
};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        action::Action,
        gate::Permit,
        keyring::BeginsSession,
        ledger::{Change, Facts, NotRecorded, Record, Recorded, Touches},
    },
};
use keysvc_protocol::{
    bytes::{Blob, Exchange, Idem},
    job::{JobState, SESSION_LIFE_MS},
    receipt::Receipt,
    refusal::{Conflict, Refusal},
    reply::JobOpenReply,
    request::{OpenJob, ResumeJob},
    schema::Schema,
};

fn session<A: Action + BeginsSession>(
    permit: &Permit<A>,
    idem: Idem,
    facts: &Facts<'_>,
) -> Result<Change, NotRecorded> {
    let (statement, retry) = signed(permit, idem)?;
    let job = BeginsSession::job(permit.action()).clone();
    Ok(Change::OpenJob {
        retry,
        station: permit.caller().id.clone(),
        operation: A::OPERATION,
        touches: Touches { job: Some(job.clone()), ..touches(permit.caller()) },
        job,
        exchange: Exchange::new(facts.random),
        life_ms: facts.limits.exchange_life_ms.min(SESSION_LIFE_MS),
        statement,
    })
}

/// Opens the exchange of a session that stands. Looked at before, so that an old request ends no newer session, and again
/// afterwards, so that nothing stays open of a job that was stopped meanwhile.
fn opening<A: Action + BeginsSession>(recorded: &Recorded<A>, means: &Means<'_>) -> Result<Vec<u8>, NotDone> {
    stands(recorded, means)?;
    let opening = means.keyring.open_session(recorded, means.now_ms)?;
    if let Err(not) = stands(recorded, means) {
        means.keyring.end_session_of(recorded)?;
        return Err(not);
    }
    Ok(opening)
}

/// Whether the recorded session is the one its job is open in, and its time is not over.
fn stands<A: BeginsSession>(recorded: &Recorded<A>, means: &Means<'_>) -> Result<(), NotDone> {
    let job = on_record(means, recorded.permit().action().job())?;
    let conflict = |reason| Refusal::StateConflict { reason };
    if job.state != JobState::Open {
        return Err(conflict(Conflict::JobState { state: job.state }).into());
    }
    let own = job.session().filter(|session| session.leaf == recorded.recording().index);
    if own.is_none_or(|session| session.expires_ms <= means.now_ms) {
        return Err(conflict(Conflict::SessionOver).into());
    }
    Ok(())
}

macro_rules! begins_a_session {
    ($($type:ty)*) => {
        $(
            impl Record for $type {
                fn change(permit: &Permit<Self>, facts: &Facts<'_>) -> Result<Change, NotRecorded> {
                    session(permit, permit.action().idem, facts)
                }
            }

            impl Operation for $type {
                type Done = Vec<u8>;
                type Reply = JobOpenReply;
                const SHOWS_LEAF: bool = false;

                async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<Vec<u8>, NotDone> {
                    opening(recorded, means)
                }

                fn reply(opening: Vec<u8>, receipt: Receipt) -> Result<JobOpenReply, Fault> {
                    let opening =
                        Blob::try_from(opening).map_err(|_| Fault::Invariant("an opening is too long"))?;
                    Ok(JobOpenReply { schema: Schema, opening, receipt })
                }
            }
        )*
    };
}

begins_a_session! { OpenJob ResumeJob }
