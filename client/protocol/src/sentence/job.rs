//! Sentences of jobs: what officers read where a site has them agree, and what a person on the floor signs.

use super::{closing, counted, decode, grouped, list, quoted, utc};
use crate::{
    bytes::Idem,
    card::CardState,
    job::{Counts, Incident, JobAct, JobAgreement, JobHead, Outcome, PurgeReceipt, Suspended},
    name::Name,
    refusal::{Invalid, Refusal},
    request::{
        AddJobItems, CloseJob, CountJob, CreateJob, DeriveCardKeys, GiveResults, MoveCards, OpenJob,
        Operation, ReportIncident, ResumeJob, SealJob, SuspendJob, WithdrawJob,
    },
};
use alloc::{format, string::String, vec::Vec};

pub(super) fn sentence(operation: Operation, payload: &[u8]) -> Result<String, Refusal> {
    Ok(match operation {
        Operation::JobCreate => create(&decode(payload)?),
        Operation::JobItems => items(&decode(payload)?),
        Operation::JobSeal => seal(&decode(payload)?),
        Operation::JobWithdraw => {
            let WithdrawJob { schema: _, idem, job, reason } = decode(payload)?;
            format!("Withdraw job {job}. {}", closing(&idem, Some(&reason)))
        }
        Operation::JobOpen => {
            let OpenJob { schema: _, idem, job, agreements } = decode(payload)?;
            opened(&format!("Open job {job}"), agreements.len(), &idem)
        }
        Operation::JobResume => {
            let ResumeJob { schema: _, idem, job, agreements } = decode(payload)?;
            opened(&format!("Let job {job} go on"), agreements.len(), &idem)
        }
        Operation::CardDerive => derive(&decode(payload)?),
        Operation::CardResult => results(&decode(payload)?),
        Operation::JobSuspend => {
            let SuspendJob { schema: _, idem, job, suspended } = decode(payload)?;
            let Suspended { counts, place, cause } = suspended;
            format!(
                "Stop job {job}. Counted: {}. The cards are at: {}. {}",
                counts_in_words(&counts),
                quoted(&place),
                closing(&idem, Some(&cause))
            )
        }
        Operation::JobCount => {
            let CountJob { schema: _, idem, job, counts, agreements } = decode(payload)?;
            let people = counted(agreements.len(), "agreement");
            format!(
                "Count of job {job}: {}; with {people}. {}",
                counts_in_words(&counts),
                closing(&idem, None)
            )
        }
        Operation::JobIncident => {
            let ReportIncident { schema: _, idem, job, incident, agreements } = decode(payload)?;
            let people = counted(agreements.len(), "agreement");
            format!(
                "Incident in job {job}: {}; with {people}. {}",
                incident_in_words(&incident),
                closing(&idem, None)
            )
        }
        Operation::JobClose => {
            let CloseJob { schema: _, idem, job, receipt, agreements } = decode(payload)?;
            let people = counted(agreements.len(), "agreement");
            format!("Close job {job}: {}; with {people}. {}", purged_in_words(&receipt), closing(&idem, None))
        }
        Operation::CardTransition => transition(&decode(payload)?),
        _ => return Err(Refusal::Invalid { reason: Invalid::NotSigned }),
    })
}

/// The sentence of an agreement: what a person on the floor reads before they sign it.
#[must_use]
pub fn agreement(said: &JobAgreement) -> String {
    let JobAgreement { schema: _, job, act, person, signed_ms, nonce } = said;
    let act = match act {
        JobAct::Open { station } => format!("open job {job} at station {station}"),
        JobAct::Resume { station } => format!("let job {job} go on at station {station}"),
        JobAct::Count { counts } => format!("say of job {job} that I counted {}", counts_in_words(counts)),
        JobAct::Incident { incident } => {
            format!("say of job {job} that something went wrong: {}", incident_in_words(incident))
        }
        JobAct::Close { receipt } => {
            format!("say of job {job} that I saw this: {}", purged_in_words(receipt))
        }
    };
    let (time, number) = (utc(*signed_ms), grouped(nonce.as_bytes()));
    format!("I, {person}, {act}. Signed {time}, number {number}.")
}

fn counts_in_words(counts: &Counts) -> String {
    let Counts { good, rejected, sample, returned, handed_over } = counts;
    format!(
        "good {good}, rejected {rejected}, samples {sample}, returned {returned}, handed over {handed_over}"
    )
}

fn incident_in_words(incident: &Incident) -> String {
    let Incident { equipment, time_ms, cause, place, in_hand } = incident;
    let hand = counted(usize::try_from(*in_hand).unwrap_or(usize::MAX), "card");
    format!(
        "at {} on {}, {hand} in hand, now lying at {}; cause: {}",
        utc(*time_ms),
        quoted(equipment),
        quoted(place),
        quoted(cause)
    )
}

fn purged_in_words(receipt: &PurgeReceipt) -> String {
    let PurgeReceipt { station, erased_ms, files, method } = receipt;
    let files = counted(usize::try_from(*files).unwrap_or(usize::MAX), "file");
    format!("station {station} erased its data at {}, {files}, by {}", utc(*erased_ms), quoted(method))
}

fn create(request: &CreateJob) -> String {
    let CreateJob { schema: _, idem, job, head } = request;
    let JobHead {
        schema: _,
        order,
        customer,
        profile,
        profile_version,
        lot,
        station,
        equipment,
        ordered,
        issued,
        carried_over,
        listed,
        due_ms,
    } = head;
    let which = if *listed { "listed" } else { "as encountered" };
    format!(
        "Make job {job} for station {station} on {}: order {} of customer {}, card profile {profile} version \
         {profile_version}, lot {}; {ordered} ordered, {issued} issued, {carried_over} carried over, cards {which}; \
         to be purged by {}. {}",
        quoted(equipment),
        quoted(order),
        quoted(customer),
        quoted(lot),
        utc(*due_ms),
        closing(idem, None)
    )
}

fn items(request: &AddJobItems) -> String {
    let AddJobItems { schema: _, idem, job, items } = request;
    // Their data are nobody's to read; each card's is told by the root of these items.
    let mut tree = crate::merkle::Frontier::new();
    for item in items.iter() {
        tree.append(item.hash());
    }
    let digest = grouped(tree.root().as_bytes());
    format!("Add {} to job {job}, with root {digest}. {}", counted(items.len(), "card"), closing(idem, None))
}

fn seal(request: &SealJob) -> String {
    let SealJob { schema: _, idem, job, head, items, root } = request;
    let items = counted(usize::try_from(*items).unwrap_or(usize::MAX), "listed card");
    format!(
        "Seal job {job}: head {}, {items}, manifest root {}. {}",
        grouped(head.as_bytes()),
        grouped(root.as_bytes()),
        closing(idem, None)
    )
}

fn opened(act: &str, people: usize, idem: &Idem) -> String {
    let people = counted(people, "operator's agreement");
    format!("{act} at the station that asks, with {people}. {}", closing(idem, None))
}

fn derive(request: &DeriveCardKeys) -> String {
    let DeriveCardKeys { schema: _, idem, exchange, job, generation, cards } = request;
    format!(
        "Release the keys of {}: {}; generation {generation}, for job {job}, in session {}. {}",
        counted(cards.len(), "card"),
        list(cards),
        grouped(exchange.as_bytes()),
        closing(idem, None)
    )
}

fn results(request: &GiveResults) -> String {
    let GiveResults { schema: _, idem, job, results } = request;
    let results: Vec<String> = results
        .iter()
        .map(|result| {
            let outcome = match &result.outcome {
                Outcome::Good => String::from("good"),
                Outcome::Sample => String::from("sample"),
                Outcome::Reject { cause } => format!("reject ({})", quoted(cause)),
            };
            let read: Vec<String> = result.readback.iter().map(|value| grouped(value.as_bytes())).collect();
            let read = if read.is_empty() { String::from("nothing read") } else { list(&read) };
            format!("card {} {outcome}, {read}", result.card)
        })
        .collect();
    format!("Results of job {job}: {}. {}", results.join("; "), closing(idem, None))
}

fn transition(request: &MoveCards) -> String {
    let MoveCards { schema: _, idem, cards, to, location, holder } = request;
    let at = |location: &Name| format!(", at {location}");
    let location = location.as_ref().map(at).unwrap_or_default();
    let holder = holder.as_ref().map(|holder| format!(", holder {}", grouped(holder.0.as_bytes())));
    let to: &CardState = to;
    format!(
        "Put {} into the state {to}{location}{}: {}. {}",
        counted(cards.len(), "card"),
        holder.unwrap_or_default(),
        list(cards),
        closing(idem, None)
    )
}
