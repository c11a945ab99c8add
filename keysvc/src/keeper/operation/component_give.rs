//! `component.give`: a custodian's component is looked at, recorded as given, and held; with the last one the key is made
//! in the token, between an intent and an outcome.
//!
//! What is recorded names the sealed component by its digest. The component itself is judged before that, so that no leaf
//! tells of one that is wrong, nor of all of them where they do not make the key.

use super::{Means, Operation, alter::alteration};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        imports::Running,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{
    bytes::ProposalId,
    control::{Control, Order},
    hash::sha256,
    key::KeyRecord,
    list::List,
    receipt::Receipt,
    refusal::{Invalid, Refusal},
    reply::ComponentGivenReply,
    request::GiveComponent,
    schema::Schema,
};
use std::sync::Arc;

/// What a component that was given leads to.
#[derive(Debug)]
pub struct Given {
    missing: Vec<u8>,
    key: Option<KeyRecord>,
}

impl Record for GiveComponent {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        alteration(permit, permit.action().idem)
    }
}

impl Operation for GiveComponent {
    type Done = Given;
    type Reply = ComponentGivenReply;
    const SHOWS_LEAF: bool = true;
    const ALTERS: bool = true;

    fn ready(permit: &Permit<Self>, means: &Means<'_>, now_ms: u64) -> Result<(), NotDone> {
        let asked = permit.action();
        let sealed = sealed(asked, means)?;
        let control = means.site.control()?;
        if made(&control, &asked.proposal).is_some() {
            // A repetition is to be answered; whatever else it is, the ledger refuses it.
            return Ok(());
        }
        let (_, _, import) = control.import(&asked.proposal)?;
        if now_ms > import.expires_ms {
            means.imports.forget(&asked.proposal)?;
            return Err(Refusal::Expired.into());
        }
        // The ledger asks these two again; here they come before the component is opened.
        let own = import.component(asked.number).filter(|own| own.custodian == permit.caller().id);
        if own.ok_or(Refusal::Forbidden)?.check != asked.check {
            return Err(wrong().into());
        }
        let running = means.imports.find(&asked.proposal)?;
        let running = running.filter(|running| *running.key() == asked.import_key).ok_or_else(wrong)?;
        if running.holds(asked.number, &permit.payload_digest())? {
            return Ok(());
        }
        let judged = running.judge(means.storage.token, asked.number, sealed);
        if matches!(judged, Err(NotDone::Refused(Refusal::Invalid { reason: Invalid::Combined }))) {
            // Nobody can tell which one is wrong: the custodians begin again.
            means.imports.forget(&asked.proposal)?;
            tracing::warn!(proposal = %asked.proposal, "the components do not make the key that was ordered");
        }
        judged
    }

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<Given, NotDone> {
        let (asked, payload) = (recorded.permit().action(), recorded.permit().payload_digest());
        let control = means.site.control()?;
        if let Some(order) = made(&control, &asked.proposal) {
            return Ok(Given { missing: Vec::new(), key: Some(on_record(order, means)?) });
        }
        let order = control.import(&asked.proposal)?.1.clone();
        // Not held while the key is made: the ledger would copy it.
        drop(control);
        // Gone only by a clock that passed the import's end a moment ago.
        let running = means.imports.find(&asked.proposal)?.ok_or(Refusal::Expired)?;
        running.hold(asked.number, payload, sealed(asked, means)?)?;
        let missing = running.missing()?;
        if !missing.is_empty() {
            return Ok(Given { missing, key: None });
        }
        let key = make(&order, running, means).await?;
        means.imports.forget(&asked.proposal)?;
        Ok(Given { missing, key: Some(key) })
    }

    fn reply(Given { missing, key }: Given, receipt: Receipt) -> Result<ComponentGivenReply, Fault> {
        let missing =
            List::try_from(missing).map_err(|_| Fault::Invariant("a key has too many components"))?;
        Ok(ComponentGivenReply { schema: Schema, missing, receipt, key })
    }
}

/// The sealed component that came with the request, which must be the one that the request names.
fn sealed<'a>(asked: &GiveComponent, means: &Means<'a>) -> Result<&'a [u8], Refusal> {
    let sealed = means.beside.ok_or(Refusal::Invalid { reason: Invalid::Encoding })?;
    if sha256(&[sealed]) == asked.sealed { Ok(sealed) } else { Err(wrong()) }
}

fn wrong() -> Refusal {
    Refusal::Invalid { reason: Invalid::Component }
}

/// The import of this proposal, once its key is made.
fn made<'a>(control: &'a Control, proposal: &ProposalId) -> Option<&'a Order> {
    let of_this = |order: &&Order| order.import.as_ref().is_some_and(|import| import.proposal == *proposal);
    control.keys().orders().map(|(_, order)| order).filter(|order| order.made).find(of_this)
}

fn on_record(order: &Order, means: &Means<'_>) -> Result<KeyRecord, Fault> {
    let keys = means.reader.keys()?;
    let made = keys.into_iter().find(|key| key.name == order.name && key.version == order.version);
    made.ok_or(Fault::Invariant("a key that was made is not on record"))
}

async fn make(order: &Order, running: Arc<Running>, means: &Means<'_>) -> Result<KeyRecord, Fault> {
    let (record, settled) = means.storage.import_key(means.sequencer, order, &running, means.now_ms).await?;
    for settled in settled {
        if let Some(lead) = settled.lead {
            means.notary.take(lead)?;
        }
    }
    Ok(record)
}
