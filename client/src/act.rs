//! Signed acts about the site: who is enrolled, which keys are in use, what is stopped.
//!
//! What officers, offices and machines share: the request is signed by the own key, and what comes back must be proved to
//! be in the log as exactly that request. It decides nothing about who may do what.

use crate::{
    error::ClientError,
    leaf_shown::Shown,
    pending::Outcome,
    reader::Reader,
    signer::StatementSigner,
    statement::{Statement, fresh_idem},
};
use keysvc_protocol::{
    bytes::{Blob, Digest, Idem, ProposalId},
    cbor,
    checkpoint::SignedCheckpoint,
    cose::{Kind, Signed},
    founding::GoldenVector,
    key::KeyRecord,
    leaf::{ChangedLeaf, LeafKind, ProposalClosedLeaf},
    name::{Name, Reason},
    proposal::ProposalState,
    receipt::Receipt,
    reply::{ChangedReply, KeyCreatedReply, ProfilePutReply, VoteReply},
    request::{
        ActivateKey, CancelProposal, CompromiseKey, ConfirmClock, CreateKey, DestroyKey, DisablePrincipal,
        EnablePrincipal, EnrolPrincipal, ImportKey, LiftFreeze, Operation, ProposePolicy, PutProfile,
        RecordCeremony, RetireKey, RotatePrincipal, SetFreeze, SetQuorum, SuspendKey,
    },
    schema::Schema,
};
use serde::Serialize;
use std::sync::Arc;

/// A request that changes the site. Sent again with the same idempotency key it is the same act, whatever became of the
/// first.
pub trait Act: Serialize + Sync {
    /// What it asks.
    const OPERATION: Operation;

    /// Its idempotency key.
    fn idem(&self) -> Idem;
}

macro_rules! acts {
    ($($request:ty => $operation:ident,)*) => {
        $(impl Act for $request {
            const OPERATION: Operation = Operation::$operation;
            fn idem(&self) -> Idem {
                self.idem
            }
        })*
    };
}

acts! {
    EnrolPrincipal => PrincipalEnrol,
    RotatePrincipal => PrincipalRotate,
    DisablePrincipal => PrincipalDisable,
    EnablePrincipal => PrincipalEnable,
    CreateKey => KeyCreate,
    ActivateKey => KeyActivate,
    SuspendKey => KeySuspend,
    RetireKey => KeyRetire,
    CompromiseKey => KeyCompromise,
    DestroyKey => KeyDestroy,
    SetFreeze => FreezeSet,
    LiftFreeze => FreezeLift,
    SetQuorum => QuorumSet,
    ConfirmClock => ClockConfirm,
    ImportKey => KeyImport,
    ProposePolicy => PolicyPropose,
    RecordCeremony => CeremonyRecord,
}

/// A change that is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Index of its leaf.
    pub leaf_index: u64,
    /// A checkpoint of a tree that contains the leaf.
    pub checkpoint: SignedCheckpoint,
    /// The key, where one was made.
    pub key: Option<KeyRecord>,
    /// The check values that the token computes for a card profile, where one was put.
    pub vectors: Vec<GoldenVector>,
}

/// Other keys for a principal; those left out stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewKeys {
    /// SHA-256 of the TLS key's `SubjectPublicKeyInfo`.
    pub tls_key: Option<Digest>,
    /// The statement key (an officer's approval key), DER `SubjectPublicKeyInfo`.
    pub statement_key: Option<Blob<128>>,
    /// A station's wrapping key, DER `SubjectPublicKeyInfo`.
    pub wrapping_key: Option<Blob<1024>>,
}

/// Where a proposal stands after somebody did something to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voted {
    /// Its state.
    pub state: ProposalState,
    /// People whose approval counts.
    pub persons: u8,
    /// Index of the leaf of what was done.
    pub leaf_index: u64,
}

/// Connections with the key that signs.
#[derive(Debug, Clone)]
pub(crate) struct Hand {
    pub(crate) reader: Reader,
    pub(crate) signer: Arc<dyn StatementSigner>,
    pub(crate) name: Name,
}

impl Hand {
    /// Signs and sends an act.
    pub(crate) async fn act<A: Act>(&self, request: &A) -> Result<Outcome<Changed>, ClientError> {
        let statement = Statement { operation: A::OPERATION, idem: request.idem(), request };
        let outcome: Outcome<ChangedReply> = statement.send(&self.reader, &self.signer).await?;
        outcome.and_then(|reply| self.changed(reply.receipt, A::OPERATION, &cbor::encode(request)))
    }

    /// Orders the next version of a key.
    #[cfg(feature = "officer")]
    pub(crate) async fn create(&self, request: &CreateKey) -> Result<Outcome<Changed>, ClientError> {
        let (operation, idem) = (Operation::KeyCreate, request.idem);
        let statement = Statement { operation, idem, request };
        let outcome: Outcome<KeyCreatedReply> = statement.send(&self.reader, &self.signer).await?;
        outcome.and_then(|reply| self.created(reply, request))
    }

    pub(crate) fn created(
        &self,
        reply: KeyCreatedReply,
        request: &CreateKey,
    ) -> Result<Changed, ClientError> {
        if reply.key.name != request.name || reply.key.kind != request.kind {
            return Err(ClientError::untrusted("another key was made than was asked for"));
        }
        let changed = self.changed(reply.receipt, Operation::KeyCreate, &cbor::encode(request))?;
        Ok(Changed { key: Some(reply.key), ..changed })
    }

    /// Puts a card profile into use.
    #[cfg(feature = "officer")]
    pub(crate) async fn put(&self, request: &PutProfile) -> Result<Outcome<Changed>, ClientError> {
        let (operation, idem) = (Operation::ProfilePut, request.idem);
        let statement = Statement { operation, idem, request };
        let outcome: Outcome<ProfilePutReply> = statement.send(&self.reader, &self.signer).await?;
        outcome.and_then(|reply| self.profile_put(reply, request))
    }

    pub(crate) fn profile_put(
        &self,
        reply: ProfilePutReply,
        request: &PutProfile,
    ) -> Result<Changed, ClientError> {
        let vectors = reply.vectors.into_vec();
        // What people agreed to stands in the request; the token must have computed the same.
        if !request.profile.vectors.iter().all(|stated| vectors.contains(stated)) {
            return Err(ClientError::untrusted("its check values are not the profile's golden vectors"));
        }
        let changed = self.changed(reply.receipt, Operation::ProfilePut, &cbor::encode(request))?;
        Ok(Changed { vectors, ..changed })
    }

    /// Checks that the receipt's leaf records exactly this request.
    pub(crate) fn changed(
        &self,
        receipt: Receipt,
        operation: Operation,
        payload: &[u8],
    ) -> Result<Changed, ClientError> {
        let shown = Shown::of(&receipt)?;
        let leaf: ChangedLeaf = shown.act(&[LeafKind::SiteChanged, LeafKind::FreezeChanged])?;
        let kind = Kind::Request(operation);
        let genesis = self.reader.founded().genesis();
        let statement = Signed::parse(leaf.statement.0.as_bytes())
            .and_then(|signed| signed.open(kind, genesis.as_bytes(), &self.signer.public_key()))
            .map_err(|error| ClientError::untrusted(format!("the leaf's statement: {error}")))?;
        if leaf.operation != operation || leaf.principal != self.name || statement != payload {
            return Err(ClientError::untrusted("the leaf records another request than ours"));
        }
        Ok(Changed {
            leaf_index: receipt.leaf_index,
            checkpoint: receipt.checkpoint,
            key: None,
            vectors: Vec::new(),
        })
    }

    /// Withdraws a proposal, or what waits for its delay.
    pub(crate) async fn cancel(&self, id: ProposalId, reason: &Reason) -> Result<Voted, ClientError> {
        let request = CancelProposal { schema: Schema, idem: fresh_idem()?, id, reason: reason.clone() };
        let statement =
            Statement { operation: Operation::ProposalCancel, idem: request.idem, request: &request };
        let outcome: Outcome<VoteReply> = statement.send(&self.reader, &self.signer).await?;
        let reply = outcome.done()?;
        let leaf: ProposalClosedLeaf = Shown::of(&reply.receipt)?.payload(LeafKind::ProposalClosed)?;
        if leaf.proposal != id {
            return Err(ClientError::untrusted("the leaf records the end of another proposal"));
        }
        Ok(Voted { state: reply.state, persons: reply.persons, leaf_index: reply.receipt.leaf_index })
    }

    /// Asks for other keys for ourselves.
    pub(crate) async fn rotate(&self, keys: NewKeys) -> Result<Outcome<Changed>, ClientError> {
        self.act(&RotatePrincipal {
            schema: Schema,
            idem: fresh_idem()?,
            id: self.name.clone(),
            tls_key: keys.tls_key,
            statement_key: keys.statement_key,
            wrapping_key: keys.wrapping_key,
        })
        .await
    }
}
