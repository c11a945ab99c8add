//! `card.derive`: record whose keys, then derive them in the token in slices and sign one delivery.
//!
//! Which of the request's cards get keys is decided in the ledger's transaction, and read from the leaf.

use super::{Means, Operation, job::on_record, signed, touches};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        keyring::NotOpen,
        ledger::{Change, Facts, NotRecorded, Record, Recorded, Touches},
    },
};
use keysvc_protocol::{
    bytes::Blob,
    card::CardUid,
    cbor::REPLY_LEN_MAX,
    job::{JobItem, JobState},
    receipt::Receipt,
    refusal::Refusal,
    reply::CardDeriveReply,
    request::DeriveCardKeys,
    schema::Schema,
};
use std::time::Instant;

impl Record for DeriveCardKeys {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        let request = permit.action().clone();
        let (statement, retry) = signed(permit, request.idem)?;
        let touches = Touches { job: Some(request.job.clone()), ..touches(permit.caller()) };
        Ok(Change::DeriveCardKeys { retry, station: permit.caller().id.clone(), request, statement, touches })
    }
}

impl Operation for DeriveCardKeys {
    type Done = Blob<REPLY_LEN_MAX>;
    type Reply = CardDeriveReply;
    const SHOWS_LEAF: bool = false;

    fn ready(permit: &Permit<Self>, means: &Means<'_>, now_ms: u64) -> Result<(), NotDone> {
        match means.keyring.exchange_open(permit, now_ms) {
            Ok(()) => Ok(()),
            Err(NotOpen::Unknown) if is_over(permit, means, now_ms)? => Ok(()),
            Err(not_open) => Err(not_open.into()),
        }
    }

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<Blob<REPLY_LEN_MAX>, NotDone> {
        let mut delivering = means.keyring.deliver(recorded, means.now_ms)?;
        let mut began = Instant::now();
        while delivering.step()? {
            if began.elapsed() >= means.slice {
                // Others wait for this worker; a batch is nobody's emergency.
                tokio::task::yield_now().await;
                began = Instant::now();
            }
        }
        let items = items(recorded, delivering.cards(), means)?;
        Ok(delivering.sign(items)?)
    }

    fn reply(delivery: Blob<REPLY_LEN_MAX>, receipt: Receipt) -> Result<CardDeriveReply, Fault> {
        Ok(CardDeriveReply { schema: Schema, delivery, receipt })
    }
}

/// Whether the session that a derivation names is over by the log itself: then the ledger says why, and a new transport key
/// would help nobody.
fn is_over(permit: &Permit<DeriveCardKeys>, means: &Means<'_>, now_ms: u64) -> Result<bool, Fault> {
    let asked = permit.action();
    let Some((job, _)) = means.reader.job(&asked.job)? else { return Ok(true) };
    let session = job.session().filter(|session| session.exchange == asked.exchange);
    let lasts = session.is_some_and(|session| now_ms <= session.expires_ms);
    Ok(job.state != JobState::Open || job.head.station != permit.caller().id || !lasts)
}

/// The data of the cards that get keys, where the job lists its cards.
fn items(
    recorded: &Recorded<DeriveCardKeys>,
    cards: &[CardUid],
    means: &Means<'_>,
) -> Result<Vec<JobItem>, NotDone> {
    let job = on_record(means, &recorded.permit().action().job)?;
    if !job.head.listed {
        return Ok(Vec::new());
    }
    let items = cards.iter().map(|card| means.reader.item(&job.name, card));
    let items = items.collect::<Result<Option<Vec<_>>, _>>().map_err(Fault::from)?;
    // Purged since.
    Ok(items.ok_or(Refusal::ExchangeUnknown)?)
}
