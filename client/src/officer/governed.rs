//! What an officer asks for about what the site is governed by: imported keys, card profiles, policies, and the record of
//! a ceremony.
//!
//! Apart from the other acts because each carries a document that people review. The components of a key are their
//! custodians' affair: [`crate::custodian`].

use super::Officer;
use crate::{act::Changed, error::ClientError, pending::Outcome, statement::fresh_idem};
use keysvc_protocol::{
    bytes::{Digest, ProposalId, ShortCheck},
    founding::{GoldenVector, Profile},
    key::KeyKind,
    list::List,
    name::{Name, Reason},
    reply::ProfilePutReply,
    request::{ComponentOrder, ImportKey, ProposePolicy, PutProfile, RecordCeremony},
    schema::Schema,
};

/// A key that is to come in as components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyImport {
    /// The key's name; its next version is made.
    pub name: Name,
    /// The check value of the whole key.
    pub check: ShortCheck,
    /// Who holds which component, and its check value; two or three, by their number from 1.
    pub components: Vec<ComponentOrder>,
}

/// A ceremony that was held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldCeremony {
    /// What was done.
    pub title: Reason,
    /// SHA-256 of the plan's bytes.
    pub plan: Digest,
    /// SHA-256 of the transcript's bytes.
    pub transcript: Digest,
    /// Who took part.
    pub people: Vec<Name>,
}

impl Officer {
    /// Has the next version of a card master made from components that custodians give afterwards; it is not in use before
    /// [`Officer::activate_key`]. Takes the larger quorum.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call; [`ClientError::Request`] for more components than there may be.
    pub async fn import_key(
        &self,
        import: KeyImport,
        reason: Reason,
    ) -> Result<Outcome<Changed>, ClientError> {
        let KeyImport { name, check, components } = import;
        let components = list(components, "components")?;
        let (idem, kind) = (fresh_idem()?, KeyKind::CardMaster);
        self.act(&ImportKey { schema: Schema, idem, name, kind, check, components, reason }).await
    }

    /// Puts the next version of a card profile into use. Takes two people. What is done holds the check values that the
    /// token computes for it.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call; [`ClientError::Request`] for a profile that contradicts itself.
    pub async fn put_profile(
        &self,
        profile: Profile,
        reason: Reason,
    ) -> Result<Outcome<Changed>, ClientError> {
        self.order_profile(&PutProfile { schema: Schema, idem: fresh_idem()?, profile, reason }).await
    }

    /// The same with its own idempotency key: sent again it is the same version, whatever became of the first.
    ///
    /// # Errors
    /// As [`Officer::put_profile`].
    pub async fn order_profile(&self, request: &PutProfile) -> Result<Outcome<Changed>, ClientError> {
        request.profile.check_form().map_err(|error| ClientError::Request { what: error.to_string() })?;
        self.hand()?.put(request).await
    }

    /// The check values that the token computed for a card profile that we had put; none before it is executed.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn computed_vectors(&self, id: ProposalId) -> Result<Vec<GoldenVector>, ClientError> {
        let (_, reply) = self.reader.result::<ProfilePutReply>(id).await?;
        Ok(reply.map(|reply| reply.vectors.into_vec()).unwrap_or_default())
    }

    /// Asks for another set of policies, with what was found out about it. Takes the larger quorum. The request is made
    /// whole by whoever checked the set: its idempotency key too.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn propose_policy(&self, request: &ProposePolicy) -> Result<Outcome<Changed>, ClientError> {
        self.act(request).await
    }

    /// Anchors the transcript of a ceremony in the log. One officer is enough.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call; [`ClientError::Request`] for more people than there may be.
    pub async fn record_ceremony(&self, held: HeldCeremony) -> Result<Outcome<Changed>, ClientError> {
        let HeldCeremony { title, plan, transcript, people } = held;
        let (idem, people) = (fresh_idem()?, list(people, "people")?);
        self.act(&RecordCeremony { schema: Schema, idem, title, plan, transcript, people }).await
    }
}

fn list<T, const MAX: usize>(items: Vec<T>, what: &str) -> Result<List<T, MAX>, ClientError> {
    let found = items.len();
    List::try_from(items)
        .map_err(|_| ClientError::Request { what: format!("{found} {what}; there may be {MAX} at most") })
}

#[cfg(test)]
mod tests;
