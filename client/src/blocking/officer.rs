//! [`crate::Officer`], waiting. Signing a founding and unlocking the card wait anyway: [`crate::officer::sign_founding`],
//! [`crate::officer::Card`].

use super::{Reader, runtime::Blocking};
use crate::{
    ClientConfig,
    error::ClientError,
    officer::{
        Act, ActEvidence, Approvable, Changed, HeldCeremony, KeyImport, NewKeys, OnRecord, Principals, Voted,
    },
    pending::Outcome,
    signer::StatementSigner,
};
use keysvc_protocol::{
    bytes::ProposalId,
    founding::{GoldenVector, Profile},
    freeze::Scope,
    key::KeyKind,
    name::{Name, Reason},
    quorum::Need,
    reply::{FreezeView, KeyImpactReply, ListedProposal},
    request::{Enrolment, Operation, ProposePolicy},
};
use std::{sync::Arc, time::Duration};

/// An officer's connections.
#[derive(Debug, Clone)]
pub struct Officer(Blocking<crate::Officer>);

impl Officer {
    /// As [`crate::Officer::connect`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let config = config.clone();
        Blocking::connect(async move { crate::Officer::connect(&config).await }).map(Self)
    }

    /// The same, with another time for each call.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self(self.0.with(self.0.persona().with_deadline(deadline)))
    }

    /// The reads every persona may make.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(self.0.with(self.0.persona().reader().clone()))
    }

    /// As [`crate::Officer::with_signer`].
    ///
    /// # Errors
    /// [`ClientError::Config`] when nothing says whose key it is.
    pub fn with_signer(&self, signer: Arc<dyn StatementSigner>) -> Result<Self, ClientError> {
        Ok(Self(self.0.with(self.0.persona().with_signer(signer)?)))
    }

    /// As [`crate::Officer::name`].
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.0.persona().name()
    }

    /// As [`crate::Officer::act`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn act<A: Act + Clone + Send + 'static>(&self, request: &A) -> Result<Outcome<Changed>, ClientError> {
        let request = request.clone();
        self.0.call(move |officer| async move { officer.act(&request).await })
    }

    /// As [`crate::Officer::proposals`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn proposals(&self, ended: bool, before: Option<u64>) -> Result<Vec<ListedProposal>, ClientError> {
        self.0.call(move |officer| async move { officer.proposals(ended, before).await })
    }

    /// As [`crate::Officer::proposal`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn proposal(&self, id: ProposalId) -> Result<OnRecord, ClientError> {
        self.0.call(move |officer| async move { officer.proposal(id).await })
    }

    /// As [`crate::Officer::approve`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn approve(&self, approvable: &Approvable) -> Result<Voted, ClientError> {
        let approvable = approvable.clone();
        self.0.call(move |officer| async move { officer.approve(&approvable).await })
    }

    /// As [`crate::Officer::reject`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn reject(&self, approvable: &Approvable) -> Result<Voted, ClientError> {
        let approvable = approvable.clone();
        self.0.call(move |officer| async move { officer.reject(&approvable).await })
    }

    /// As [`crate::Officer::cancel`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn cancel(&self, id: ProposalId, reason: &Reason) -> Result<Voted, ClientError> {
        let reason = reason.clone();
        self.0.call(move |officer| async move { officer.cancel(id, &reason).await })
    }

    /// As [`crate::Officer::result`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn result(&self, id: ProposalId) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.result(id).await })
    }

    /// As [`crate::Officer::evidence`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn evidence(&self, id: ProposalId) -> Result<ActEvidence, ClientError> {
        self.0.call(move |officer| async move { officer.evidence(id).await })
    }

    /// As [`crate::Officer::enrol`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn enrol(&self, principal: Enrolment) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.enrol(principal).await })
    }

    /// As [`crate::Officer::rotate`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn rotate(&self, keys: NewKeys) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.rotate(keys).await })
    }

    /// As [`crate::Officer::disable`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn disable(&self, id: Name, reason: Reason) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.disable(id, reason).await })
    }

    /// As [`crate::Officer::enable`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn enable(&self, id: Name, reason: Reason) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.enable(id, reason).await })
    }

    /// As [`crate::Officer::principals`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn principals(&self) -> Result<Principals, ClientError> {
        self.0.call(|officer| async move { officer.principals().await })
    }

    /// As [`crate::Officer::create_key`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn create_key(&self, name: Name, kind: KeyKind) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.create_key(name, kind).await })
    }

    /// As [`crate::Officer::import_key`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn import_key(&self, import: KeyImport, reason: Reason) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.import_key(import, reason).await })
    }

    /// As [`crate::Officer::put_profile`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn put_profile(&self, profile: Profile, reason: Reason) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.put_profile(profile, reason).await })
    }

    /// As [`crate::Officer::computed_vectors`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn computed_vectors(&self, id: ProposalId) -> Result<Vec<GoldenVector>, ClientError> {
        self.0.call(move |officer| async move { officer.computed_vectors(id).await })
    }

    /// As [`crate::Officer::propose_policy`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn propose_policy(&self, request: &ProposePolicy) -> Result<Outcome<Changed>, ClientError> {
        let request = request.clone();
        self.0.call(move |officer| async move { officer.propose_policy(&request).await })
    }

    /// As [`crate::Officer::record_ceremony`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn record_ceremony(&self, held: HeldCeremony) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.record_ceremony(held).await })
    }

    /// As [`crate::Officer::activate_key`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn activate_key(
        &self,
        name: Name,
        version: u32,
        reason: Reason,
    ) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.activate_key(name, version, reason).await })
    }

    /// As [`crate::Officer::suspend_key`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn suspend_key(
        &self,
        name: Name,
        version: u32,
        reason: Reason,
    ) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.suspend_key(name, version, reason).await })
    }

    /// As [`crate::Officer::retire_key`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn retire_key(
        &self,
        name: Name,
        version: u32,
        reason: Reason,
    ) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.retire_key(name, version, reason).await })
    }

    /// As [`crate::Officer::compromise_key`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn compromise_key(
        &self,
        name: Name,
        version: u32,
        reason: Reason,
    ) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.compromise_key(name, version, reason).await })
    }

    /// As [`crate::Officer::destroy_key`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn destroy_key(
        &self,
        name: Name,
        version: u32,
        reason: Reason,
    ) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.destroy_key(name, version, reason).await })
    }

    /// As [`crate::Officer::impact`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn impact(&self, name: &Name, version: u32) -> Result<KeyImpactReply, ClientError> {
        let name = name.clone();
        self.0.call(move |officer| async move { officer.impact(&name, version).await })
    }

    /// As [`crate::Officer::freeze`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn freeze(&self, scope: Scope, reason: Reason) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.freeze(scope, reason).await })
    }

    /// As [`crate::Officer::lift`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn lift(&self, scope: Scope, reason: Reason) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.lift(scope, reason).await })
    }

    /// As [`crate::Officer::freezes`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn freezes(&self) -> Result<Vec<FreezeView>, ClientError> {
        self.0.call(|officer| async move { officer.freezes().await })
    }

    /// As [`crate::Officer::set_quorum`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn set_quorum(&self, operation: Operation, need: Need) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.set_quorum(operation, need).await })
    }

    /// As [`crate::Officer::confirm_clock`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn confirm_clock(&self, time_ms: Option<u64>) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |officer| async move { officer.confirm_clock(time_ms).await })
    }
}
