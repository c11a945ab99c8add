//! Requests: what callers may ask, one type each.
//!
//! A request that changes something carries its idempotency key inside the payload that the caller's statement key
//! signs (COSE_Sign1, [`crate::cose::Kind::Request`]); a read travels as its plain encoding. Both lie in an
//! [`Envelope`].

use crate::{
    bytes::{Blob, Digest, Idem},
    card::CardUid,
    cbor::REQUEST_LEN_MAX,
    checkpoint::SignedCheckpoint,
    list::List,
    name::Name,
    schema::Schema,
};
use serde::{Deserialize, Serialize};

/// Most cards in one derivation request.
pub const CARDS_MAX: usize = 1_000;
/// Most slots of one card in one derivation request.
pub const SLOTS_MAX: usize = 8;
/// Most leaves in one reply of `log.entries`: 512 of the usual 0.8 KiB are 410 KiB; a reply that is full at 1 MiB ends
/// early.
pub const ENTRIES_MAX: usize = 512;
/// Most updates in one batch: 64 signed requests of 1 KiB at most fill the 64 KiB of a request's body only if all of
/// them are of the longest kind; the usual 0.3 KiB take 19 KiB.
pub const BATCH_MAX: usize = 64;
/// Longest signed `value.update` request in a batch, in bytes: one name of 64, 64 for the other fields, 160 for the
/// COSE frame around them.
pub const BATCH_ITEM_LEN_MAX: usize = 512;
/// Longest bytes beside a request: a sealed component has 97.
pub const BESIDE_LEN_MAX: usize = 256;

/// The body of every request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Field 0.
    pub schema: Schema,
    /// The request: a COSE_Sign1 where [`Operation::is_signed`], else its plain encoding.
    pub request: Blob<REQUEST_LEN_MAX>,
    /// The highest signed checkpoint the client holds. The reply proves consistency from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<SignedCheckpoint>,
    /// Bytes that travel with the request and are never recorded; the signed request names them by their digest. Only for
    /// [`Operation::ComponentGive`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Blob<BESIDE_LEN_MAX>>,
}

macro_rules! request {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Field 0.
            pub schema: Schema,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

request!(
    /// `status`.
    ReadStatus {}
);
request!(
    /// `key.list`.
    ListKeys {}
);
request!(
    /// `key.get`.
    ReadKey {
        /// The key's name.
        name: Name,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Its version; the newest when left out.
        version: Option<u32>,
    }
);
request!(
    /// `value.update`: one load or debit of one purse.
    UpdateValue {
        /// The programme.
        programme: Name,
        /// The card.
        card: CardUid,
        /// The purse on the card.
        purse: u8,
        /// Load or debit.
        operation: ValueOperation,
        /// The sequence number the terminal expects the update to get: the card's last plus 1.
        expected_seq: u64,
        /// The amount, above 0, in minor units of the currency. The sign comes from the operation.
        amount: u64,
        /// ISO 4217 numeric currency code.
        currency: u16,
        /// The balance on the card before, in minor units.
        balance_before: u64,
        /// The terminal's transaction number, made before the first send; also the idempotency key.
        txn: Idem,
    }
);
request!(
    /// `log.checkpoint`.
    ReadCheckpoint {
        /// Whether leaf 0 (the founding) is wanted with it.
        genesis: bool,
    }
);
request!(
    /// `log.entries`: leaves `from` (included) to `to` (excluded), at most [`ENTRIES_MAX`].
    ReadEntries {
        /// Index of the first leaf.
        from: u64,
        /// Index after the last leaf.
        to: u64,
    }
);
request!(
    /// `log.proof`: proofs in the tree of `size` leaves.
    ReadProof {
        /// The tree's size; at most the log's.
        size: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// The leaf whose inclusion is asked.
        leaf: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// The earlier size consistency is asked from, at least 1.
        earlier: Option<u64>,
    }
);
request!(
    /// `bundle.get`: the trust bundle in force.
    ReadBundle {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// SHA-256 of the payload of the bundle the caller holds; it is sent again only when another is in force.
        have: Option<Digest>,
    }
);
request!(
    /// `value.batch`: up to [`BATCH_MAX`] value updates in one commit, applied in their order. Each item is, byte for
    /// byte, what its terminal would send alone to `value.update`, so a batch and a lone repetition are one request.
    UpdateValues {
        /// The signed requests (COSE_Sign1, [`crate::cose::Kind::Request`] of `value.update`); at least one, none twice.
        updates: List<Blob<BATCH_ITEM_LEN_MAX>, BATCH_MAX>,
    }
);

mod control;
mod governed;
mod job;
mod operation;

pub use job::{
    AddJobItems, Agreements, CheckCard, CloseJob, CountJob, CreateJob, DeriveCardKeys, GiveResults, ListJobs,
    MoveCards, OpenJob, ReadJob, ReadJobRecord, ReportIncident, ResumeJob, SealJob, SuspendJob, WithdrawJob,
};

pub use governed::{
    ComponentOrder, GiveComponent, ImportKey, ListProfiles, POLICY_FILES_MAX, POLICY_SET_LEN_MAX,
    PolicyDifference, PolicyFile, PolicyProof, PolicyReplay, ProposePolicy, PutProfile, ReadComponentKey,
    ReadPolicy, ReadProfile, RecordCeremony, ReportLines,
};

pub use control::{
    ActivateKey, ApproveProposal, CancelProposal, CompromiseKey, ConfirmClock, CreateKey, DestroyKey,
    DisablePrincipal, EnablePrincipal, EnrolPrincipal, Enrolment, LiftFreeze, ListFreezes, ListPrincipals,
    ListProposals, ReadEvidence, ReadImpact, ReadProposal, ReadResult, RejectProposal, RetireKey,
    RotatePrincipal, SetFreeze, SetQuorum, SuspendKey,
};

pub use operation::Operation;

/// What a value update does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ValueOperation {
    /// Adds to the balance (a top-up).
    Load,
    /// Takes from the balance (a payment).
    Debit,
}

impl ValueOperation {
    /// Its name, as the policies and people see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Debit => "debit",
        }
    }
}

/// A number that stands for no operation on value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no operation on value has this number")]
pub struct NoValueOperation;

/// By its number on the wire.
impl TryFrom<u64> for ValueOperation {
    type Error = NoValueOperation;
    fn try_from(number: u64) -> Result<Self, NoValueOperation> {
        match number {
            0 => Ok(Self::Load),
            1 => Ok(Self::Debit),
            _ => Err(NoValueOperation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_operations_keep_their_numbers() {
        assert_eq!(crate::cbor::encode(&ValueOperation::Load), [0]);
        assert_eq!(crate::cbor::encode(&ValueOperation::Debit), [1]);
        let read = [0, 1, 2].map(|number| ValueOperation::try_from(number).ok());
        assert_eq!(read, [Some(ValueOperation::Load), Some(ValueOperation::Debit), None]);
    }
}
