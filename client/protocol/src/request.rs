//! Requests: what callers may ask, one type each.
//!
//! A request that changes something carries its idempotency key inside the payload that the caller's statement key
//! signs (COSE_Sign1, [`crate::cose::Kind::Request`]); a read travels as its plain encoding. Both lie in an
//! [`Envelope`].

use crate::{
    bytes::{Blob, Digest, Exchange, Idem},
    card::CardUid,
    cbor::REQUEST_LEN_MAX,
    checkpoint::SignedCheckpoint,
    list::List,
    name::Name,
    schema::Schema,
};
use core::fmt;
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

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// The service's state. Read; everyone enrolled.
    Status,
    /// The keys' public attributes and check values. Read.
    KeyList,
    /// One key's public attributes and check value. Read.
    KeyGet,
    /// Opens an exchange: a transport key for one station. Changes.
    StationOpen,
    /// Derives card keys under an exchange. Changes.
    CardDerive,
    /// One value update of one purse. Changes.
    ValueUpdate,
    /// The newest signed checkpoint, on request with leaf 0. Read; everyone enrolled.
    LogCheckpoint,
    /// Leaves with their payloads. A privileged read: itself recorded.
    LogEntries,
    /// Inclusion and consistency proofs. Read; everyone enrolled.
    LogProof,
    /// The trust bundle: all that verifies value offline. Read; everyone enrolled.
    BundleGet,
    /// Up to 64 value updates, each signed by its own terminal. Changes; each item is a `value.update` of its own.
    ValueBatch,
    /// The proposals. Read; voters, auditors, and requesters their own.
    ProposalList,
    /// One proposal with its votes. Read; voters, auditors, and its requester.
    ProposalGet,
    /// An officer's approval of a proposal. Changes; the approval in it is signed, the request is not.
    ProposalApprove,
    /// An officer's rejection of a proposal, which ends it. Changes; signed as an approval is.
    ProposalReject,
    /// Withdraws a proposal, or what waits for its delay. Changes; the requester or any one officer.
    ProposalCancel,
    /// The reply to a request that took a quorum. Its requester alone.
    ProposalResult,
    /// Enrols a person or machine. Changes; by quorum.
    PrincipalEnrol,
    /// Pins other keys for a principal. Changes; by quorum.
    PrincipalRotate,
    /// Disables a principal from its next request on. Changes; one officer.
    PrincipalDisable,
    /// Enables a principal again. Changes; by quorum.
    PrincipalEnable,
    /// The principals and officers. Read.
    PrincipalList,
    /// Makes the next version of a key in the token. Changes; by quorum.
    KeyCreate,
    /// Puts a key into use. Changes; by quorum.
    KeyActivate,
    /// Takes a key out of use for the time being. Changes; one officer.
    KeySuspend,
    /// Takes a key out of use for new protection (SP 800-57 deactivated). Changes; by quorum.
    KeyRetire,
    /// Declares a key compromised. Changes; one officer.
    KeyCompromise,
    /// Schedules a key's destruction in the token. Changes; by the larger quorum, after a delay.
    KeyDestroy,
    /// Counts what hangs on a version of a key. Read.
    KeyImpact,
    /// Stops a card, terminal, station, programme, store, profile, key or all. Changes; one officer.
    FreezeSet,
    /// Lets go on what was stopped. Changes; by quorum.
    FreezeLift,
    /// What is stopped. Read.
    FreezeList,
    /// Sets how many people an operation takes, above its floor. Changes; by the larger quorum, after a delay.
    QuorumSet,
    /// States that the service's clock is right. Changes; by quorum.
    ClockConfirm,
    /// The self-contained evidence of an act that took a quorum. A privileged read: itself recorded.
    EvidenceGet,
}

impl Operation {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 35] = [
        Self::Status,
        Self::KeyList,
        Self::KeyGet,
        Self::StationOpen,
        Self::CardDerive,
        Self::ValueUpdate,
        Self::LogCheckpoint,
        Self::LogEntries,
        Self::LogProof,
        Self::BundleGet,
        Self::ValueBatch,
        Self::ProposalList,
        Self::ProposalGet,
        Self::ProposalApprove,
        Self::ProposalReject,
        Self::ProposalCancel,
        Self::ProposalResult,
        Self::PrincipalEnrol,
        Self::PrincipalRotate,
        Self::PrincipalDisable,
        Self::PrincipalEnable,
        Self::PrincipalList,
        Self::KeyCreate,
        Self::KeyActivate,
        Self::KeySuspend,
        Self::KeyRetire,
        Self::KeyCompromise,
        Self::KeyDestroy,
        Self::KeyImpact,
        Self::FreezeSet,
        Self::FreezeLift,
        Self::FreezeList,
        Self::QuorumSet,
        Self::ClockConfirm,
        Self::EvidenceGet,
    ];

    /// Its name: the last part of the path `/v1/<operation>`, and the policies' action.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::KeyList => "key.list",
            Self::KeyGet => "key.get",
            Self::StationOpen => "station.open",
            Self::CardDerive => "card.derive",
            Self::ValueUpdate => "value.update",
            Self::LogCheckpoint => "log.checkpoint",
            Self::LogEntries => "log.entries",
            Self::LogProof => "log.proof",
            Self::BundleGet => "bundle.get",
            Self::ValueBatch => "value.batch",
            Self::ProposalList => "proposal.list",
            Self::ProposalGet => "proposal.get",
            Self::ProposalApprove => "proposal.approve",
            Self::ProposalReject => "proposal.reject",
            Self::ProposalCancel => "proposal.cancel",
            Self::ProposalResult => "proposal.result",
            Self::PrincipalEnrol => "principal.enrol",
            Self::PrincipalRotate => "principal.rotate",
            Self::PrincipalDisable => "principal.disable",
            Self::PrincipalEnable => "principal.enable",
            Self::PrincipalList => "principal.list",
            Self::KeyCreate => "key.create",
            Self::KeyActivate => "key.activate",
            Self::KeySuspend => "key.suspend",
            Self::KeyRetire => "key.retire",
            Self::KeyCompromise => "key.compromise",
            Self::KeyDestroy => "key.destroy",
            Self::KeyImpact => "key.impact",
            Self::FreezeSet => "freeze.set",
            Self::FreezeLift => "freeze.lift",
            Self::FreezeList => "freeze.list",
            Self::QuorumSet => "quorum.set",
            Self::ClockConfirm => "clock.confirm",
            Self::EvidenceGet => "evidence.get",
        }
    }

    /// The operation of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// Whether the request must be signed by the caller's statement key. A batch is not: each of its items is, by its
    /// own terminal. Votes are not: the approval in them is, by the officer's approval key.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(
            self,
            Self::StationOpen
                | Self::CardDerive
                | Self::ValueUpdate
                | Self::ProposalCancel
                | Self::PrincipalEnrol
                | Self::PrincipalRotate
                | Self::PrincipalDisable
                | Self::PrincipalEnable
                | Self::KeyCreate
                | Self::KeyActivate
                | Self::KeySuspend
                | Self::KeyRetire
                | Self::KeyCompromise
                | Self::KeyDestroy
                | Self::FreezeSet
                | Self::FreezeLift
                | Self::QuorumSet
                | Self::ClockConfirm
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

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
    /// `station.open`: a transport key for the calling station, wrapped to its enrolled wrapping key.
    OpenStation {
        /// The idempotency key.
        idem: Idem,
    }
);
request!(
    /// `card.derive`: the keys of 1 to 1,000 cards in 1 to 8 slots each, under an open exchange.
    DeriveCardKeys {
        /// The idempotency key.
        idem: Idem,
        /// The exchange whose transport key wraps the card keys.
        exchange: Exchange,
        /// The card profile.
        profile: Name,
        /// Its version.
        profile_version: u32,
        /// Slot numbers of the profile, ascending, without repetition.
        slots: List<u8, SLOTS_MAX>,
        /// The cards, without repetition.
        cards: List<CardUid, CARDS_MAX>,
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

pub use control::{
    ActivateKey, ApproveProposal, CancelProposal, CompromiseKey, ConfirmClock, CreateKey, DestroyKey,
    DisablePrincipal, EnablePrincipal, EnrolPrincipal, Enrolment, LiftFreeze, ListFreezes, ListPrincipals,
    ListProposals, ReadEvidence, ReadImpact, ReadProposal, ReadResult, RejectProposal, RetireKey,
    RotatePrincipal, SetFreeze, SetQuorum, SuspendKey,
};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found_by_their_names_and_keep_their_numbers() {
        for (number, operation) in (0_u8..).zip(Operation::ALL) {
            assert_eq!(Operation::from_name(operation.name()), Some(operation));
            let bytes = crate::cbor::encode(&operation);
            // From 24 on a number has a byte of its own.
            assert_eq!(bytes.split_last(), Some((&number, if number < 24 { &[][..] } else { &[0x18][..] })));
        }
        assert!(crate::cbor::decode::<Operation>(&[0x18, 35], 2).is_err(), "an operation is missing here");
        assert_eq!(Operation::from_name("key.export"), None);
    }

    #[test]
    fn value_operations_keep_their_numbers() {
        assert_eq!(crate::cbor::encode(&ValueOperation::Load), [0]);
        assert_eq!(crate::cbor::encode(&ValueOperation::Debit), [1]);
    }
}
