//! What an officer asks for: people and machines, keys, freezes, thresholds, the clock.
//!
//! Most of it takes other officers too: then the outcome is pending, with the proposal that they are to approve, and that
//! counts for us only with an approval of our own. What stops things takes one officer and is done at once.

use super::Officer;
use crate::{
    act::{Act, Changed, NewKeys},
    clock::now_ms,
    error::ClientError,
    pending::Outcome,
    site_reads::ActEvidence,
    statement::fresh_idem,
};
use keysvc_protocol::{
    bytes::ProposalId,
    freeze::Scope,
    key::KeyKind,
    name::{Name, Reason},
    quorum::Need,
    reply::FreezeView,
    request::{
        ActivateKey, CompromiseKey, ConfirmClock, CreateKey, DestroyKey, DisablePrincipal, EnablePrincipal,
        EnrolPrincipal, Enrolment, LiftFreeze, Operation, RetireKey, SetFreeze, SetQuorum, SuspendKey,
    },
    schema::Schema,
};

impl Officer {
    /// Sends an act with its own idempotency key: sent again it is the same act, whatever became of the first.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn act<A: Act>(&self, request: &A) -> Result<Outcome<Changed>, ClientError> {
        self.hand()?.act(request).await
    }

    /// Enrols a person or machine. Takes two people, an officer the larger quorum and a delay.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn enrol(&self, principal: Enrolment) -> Result<Outcome<Changed>, ClientError> {
        self.act(&EnrolPrincipal { schema: Schema, idem: fresh_idem()?, principal }).await
    }

    /// Asks for other keys for ourselves. Takes the larger quorum and a delay.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn rotate(&self, keys: NewKeys) -> Result<Outcome<Changed>, ClientError> {
        self.hand()?.rotate(keys).await
    }

    /// Disables a person or machine from its next request on. One officer is enough.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn disable(&self, id: Name, reason: Reason) -> Result<Outcome<Changed>, ClientError> {
        self.act(&DisablePrincipal { schema: Schema, idem: fresh_idem()?, id, reason }).await
    }

    /// Enables a person or machine again. Takes two people.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn enable(&self, id: Name, reason: Reason) -> Result<Outcome<Changed>, ClientError> {
        self.act(&EnablePrincipal { schema: Schema, idem: fresh_idem()?, id, reason }).await
    }

    /// Has the next version of a key made in the token; it is not in use before [`Officer::activate_key`]. Takes two
    /// people.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn create_key(&self, name: Name, kind: KeyKind) -> Result<Outcome<Changed>, ClientError> {
        self.order_key(&CreateKey { schema: Schema, idem: fresh_idem()?, name, kind }).await
    }

    /// The same with its own idempotency key: sent again it is the same key, whatever became of the first.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn order_key(&self, request: &CreateKey) -> Result<Outcome<Changed>, ClientError> {
        self.hand()?.create(request).await
    }

    /// Puts a version of a key into use. Takes two people.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn activate_key(
        &self,
        name: Name,
        version: u32,
        reason: Reason,
    ) -> Result<Outcome<Changed>, ClientError> {
        self.act(&ActivateKey { schema: Schema, idem: fresh_idem()?, name, version, reason }).await
    }

    /// Takes a version of a key out of use for the time being. One officer is enough.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn suspend_key(
        &self,
        name: Name,
        version: u32,
        reason: Reason,
    ) -> Result<Outcome<Changed>, ClientError> {
        self.act(&SuspendKey { schema: Schema, idem: fresh_idem()?, name, version, reason }).await
    }

    /// Takes a version of a key out of use for what is new; what it protected is processed on. Takes two people.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn retire_key(
        &self,
        name: Name,
        version: u32,
        reason: Reason,
    ) -> Result<Outcome<Changed>, ClientError> {
        self.act(&RetireKey { schema: Schema, idem: fresh_idem()?, name, version, reason }).await
    }

    /// Declares a version of a key compromised. One officer is enough; nothing undoes it.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn compromise_key(
        &self,
        name: Name,
        version: u32,
        reason: Reason,
    ) -> Result<Outcome<Changed>, ClientError> {
        self.act(&CompromiseKey { schema: Schema, idem: fresh_idem()?, name, version, reason }).await
    }

    /// Has a version of a key destroyed in the token, after a delay. Takes the larger quorum.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn destroy_key(
        &self,
        name: Name,
        version: u32,
        reason: Reason,
    ) -> Result<Outcome<Changed>, ClientError> {
        self.act(&DestroyKey { schema: Schema, idem: fresh_idem()?, name, version, reason }).await
    }

    /// Stops something at once. One officer is enough.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn freeze(&self, scope: Scope, reason: Reason) -> Result<Outcome<Changed>, ClientError> {
        self.act(&SetFreeze { schema: Schema, idem: fresh_idem()?, scope, reason }).await
    }

    /// Lets go on what was stopped. Takes two people.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn lift(&self, scope: Scope, reason: Reason) -> Result<Outcome<Changed>, ClientError> {
        self.act(&LiftFreeze { schema: Schema, idem: fresh_idem()?, scope, reason }).await
    }

    /// What is stopped, oldest first.
    ///
    /// # Errors
    /// [`ClientError`] of the calls.
    pub async fn freezes(&self) -> Result<Vec<FreezeView>, ClientError> {
        self.reader.freezes().await
    }

    /// Sets how many people an operation takes. Takes the larger quorum and a delay.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn set_quorum(
        &self,
        operation: Operation,
        need: Need,
    ) -> Result<Outcome<Changed>, ClientError> {
        self.act(&SetQuorum { schema: Schema, idem: fresh_idem()?, operation, need }).await
    }

    /// States that the service's clock is right, after comparing it with a good one: `time_ms` is what was compared,
    /// milliseconds since 1970-01-01 UTC; this machine's clock where it is left out. Takes two people.
    ///
    /// # Errors
    /// [`ClientError`] of the card and the call.
    pub async fn confirm_clock(&self, time_ms: Option<u64>) -> Result<Outcome<Changed>, ClientError> {
        let time_ms = time_ms.unwrap_or_else(now_ms);
        self.act(&ConfirmClock { schema: Schema, idem: fresh_idem()?, time_ms }).await
    }

    /// The evidence of the act that a proposal became, verified from the trust file. The read is itself recorded.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Untrusted`] when it proves nothing.
    pub async fn evidence(&self, id: ProposalId) -> Result<ActEvidence, ClientError> {
        self.reader.evidence(id).await
    }
}
