//! Sealing a job: what the person sees is what the seal states.
//!
//! The service shows a job's head in parts and its digest. The head is put together again here and must have that digest;
//! the manifest's root is compared with the list that the person has, where they have one. So nobody seals by the
//! service's word alone what they could see themselves.

use super::Operator;
use crate::{agreement::idem_of, error::ClientError};
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    job::{JobHead, JobItem, JobState},
    merkle::Frontier,
    name::Name,
    reply::{JobNumbers, JobView},
    request::{Operation, SealJob},
    schema::Schema,
};

/// A draft as a seal would fix it, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSeal {
    /// The job.
    pub job: Name,
    /// What it is about.
    pub head: JobHead,
    /// How many cards are listed; 0 where they are taken as encountered.
    pub items: u32,
    /// The manifest's root.
    pub root: Digest,
    /// Who made it.
    pub created_by: Name,
}

impl Operator {
    /// Reads a draft for its sealing. With `manifest`, the person's own copy of the list, the job must have exactly these
    /// items in this order; without, its root is the service's word.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Untrusted`] when what is shown is not what a seal would state, or not
    /// the person's list; [`ClientError::Request`] when its numbers are not shown to us.
    pub async fn to_seal(&self, job: &Name, manifest: Option<&[JobItem]>) -> Result<ToSeal, ClientError> {
        let view = self.job(job).await?;
        let Some(numbers) = view.numbers.clone() else {
            let what =
                format!("the numbers of job {job} are not for {}, and nobody seals blind", self.name());
            return Err(ClientError::Request { what });
        };
        checked(view, &numbers, manifest)
    }

    /// Seals a draft that was read, and shown, before. From then on nothing about it changes.
    ///
    /// # Errors
    /// [`ClientError`] of the call; `invalid` when it was changed meanwhile.
    pub async fn seal(&self, sealing: &ToSeal) -> Result<JobState, ClientError> {
        let ToSeal { job, head, items, root, created_by: _ } = sealing;
        let (head, items, root) = (head.digest(), *items, *root);
        let about = [cbor::encode(job), cbor::encode(&(head, items, root))];
        let idem = idem_of(Operation::JobSeal.name(), &about.each_ref().map(Vec::as_slice));
        let request = SealJob { schema: Schema, idem, job: job.clone(), head, items, root };
        self.change(Operation::JobSeal, idem, &request).await
    }

    /// Both at once, for a person who has read the job already.
    ///
    /// # Errors
    /// As [`Operator::to_seal`] and [`Operator::seal`].
    pub async fn seal_job(&self, job: &Name, manifest: Option<&[JobItem]>) -> Result<JobState, ClientError> {
        self.seal(&self.to_seal(job, manifest).await?).await
    }
}

/// The root of a list of cards (RFC 6962 over the encoded items, in their order).
#[must_use]
pub fn manifest_root(items: &[JobItem]) -> Digest {
    let mut edge = Frontier::new();
    for item in items {
        edge.append(item.hash());
    }
    edge.root()
}

fn checked(view: JobView, numbers: &JobNumbers, manifest: Option<&[JobItem]>) -> Result<ToSeal, ClientError> {
    let head = JobHead {
        schema: Schema,
        order: view.order,
        customer: numbers.customer.clone(),
        profile: view.profile,
        profile_version: view.profile_version,
        lot: numbers.lot.clone(),
        station: view.station,
        equipment: view.equipment,
        ordered: numbers.ordered,
        issued: numbers.issued,
        carried_over: numbers.carried_over,
        listed: view.listed,
        due_ms: view.due_ms,
    };
    if head.digest() != numbers.head {
        return Err(ClientError::untrusted("the job that it shows is not the one it would have sealed"));
    }
    let own = manifest.map(|items| (u32::try_from(items.len()).unwrap_or(u32::MAX), manifest_root(items)));
    if own.is_some_and(|own| own != (numbers.items, numbers.root)) {
        return Err(ClientError::untrusted("the cards of the job are not those of your list"));
    }
    let created_by = numbers.created.by.clone();
    Ok(ToSeal { job: view.name, head, items: numbers.items, root: numbers.root, created_by })
}
