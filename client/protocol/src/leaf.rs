//! Leaves of the log: a short entry that is hashed into the tree, and a payload beside it.
//!
//! The entry names no card and no amount; a reader who may not see the payload still checks the tree.

use crate::{
    bundle::BUNDLE_LEN_MAX,
    bytes::{Blob, Digest, ObjectIdentifier, Salt},
    cbor::{self, DecodeError, REQUEST_LEN_MAX},
    checkpoint::SignedCheckpoint,
    hash::sha256,
    key::{KeyKind, KeyRecord},
    list::List,
    name::Name,
    refusal::Refusal,
    request::Operation,
    schema::Schema,
    value::VALUE_UPDATE_LEN_MAX,
};
use alloc::string::String;
use serde::{Deserialize, Serialize};

macro_rules! payload {
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

// After the macro, because they use it too.
mod job;
mod people;

pub use job::{
    CardsChangedLeaf, DerivedItem, IncidentReportedLeaf, JobChangedLeaf, JobItemsLeaf, JobOpenedLeaf,
    JobPurgedLeaf, JobRecordMadeLeaf,
};

pub use people::{
    ACT_LEN_MAX, ActByQuorumLeaf, ChangedLeaf, EvidenceReadLeaf, HeartbeatLeaf, KeyDestroyedLeaf,
    ProposalClosedLeaf, ProposalMadeLeaf, ProposalVotedLeaf, TookEffectLeaf,
};

/// What a leaf records. Append-only; each kind has one payload type here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LeafKind {
    /// Leaf 0: [`FoundingLeaf`].
    Founding,
    /// A start of the keeper: [`StartLeaf`].
    Start,
    /// A key is about to be made: [`KeyIntentLeaf`].
    KeyIntent,
    /// A key was made: [`KeyOutcomeLeaf`].
    KeyOutcome,
    /// A session of a job at a station: [`JobOpenedLeaf`].
    JobOpened,
    /// Card keys are to be derived: [`CardKeysDerivedLeaf`].
    CardKeysDerived,
    /// A value update is to be signed: [`ValueUpdatedLeaf`].
    ValueUpdated,
    /// Payloads were read: [`EntriesReadLeaf`].
    EntriesRead,
    /// A request was refused: [`RefusedLeaf`].
    Refused,
    /// Refusals past the first ten of a minute, counted: [`RefusalsCountedLeaf`].
    RefusalsCounted,
    /// A signed checkpoint that this log does not contain was shown: [`RollbackLeaf`].
    RollbackShown,
    /// A trust bundle is to be signed: [`BundleMadeLeaf`].
    BundleMade,
    /// A request waits for people: [`ProposalMadeLeaf`].
    ProposalMade,
    /// An officer approved or rejected a proposal: [`ProposalVotedLeaf`].
    ProposalVoted,
    /// A proposal ended without its act: [`ProposalClosedLeaf`].
    ProposalClosed,
    /// Principals, keys, thresholds or the clock's standing change: [`ChangedLeaf`].
    SiteChanged,
    /// A freeze was set or lifted: [`ChangedLeaf`].
    FreezeChanged,
    /// An act that took a quorum, kept for good: [`ActByQuorumLeaf`].
    ActByQuorum,
    /// An act that took a quorum, of the operational class: [`ActByQuorumLeaf`].
    SealedActByQuorum,
    /// The service is running, and since when: [`HeartbeatLeaf`].
    Heartbeat,
    /// What waited for its delay is in force: [`TookEffectLeaf`].
    TookEffect,
    /// A key was destroyed in the token: [`KeyDestroyedLeaf`].
    KeyDestroyed,
    /// Evidence was read: [`EvidenceReadLeaf`].
    EvidenceRead,
    /// A job was made, sealed, withdrawn, suspended, counted or closed: [`JobChangedLeaf`].
    JobChanged,
    /// Cards and their data were added to a job: [`JobItemsLeaf`]. Erased at the job's purge.
    JobItemsAdded,
    /// Something went wrong while cards were made: [`IncidentReportedLeaf`].
    IncidentReported,
    /// Cards are in other states: [`CardsChangedLeaf`].
    CardsChanged,
    /// A job's data are erased: [`JobPurgedLeaf`].
    JobPurged,
    /// A job's audit record is to be signed: [`JobRecordMadeLeaf`].
    JobRecordMade,
}

impl LeafKind {
    /// The retention class of its payload.
    #[must_use]
    pub const fn class(self) -> RetentionClass {
        match self {
            Self::Founding
            | Self::Start
            | Self::KeyIntent
            | Self::KeyOutcome
            | Self::RollbackShown
            | Self::BundleMade
            | Self::SiteChanged
            | Self::ActByQuorum
            | Self::Heartbeat
            | Self::TookEffect
            | Self::KeyDestroyed
            | Self::JobPurged => RetentionClass::Permanent,
            Self::JobItemsAdded => RetentionClass::Job,
            Self::IncidentReported => RetentionClass::Incident,
            Self::JobOpened
            | Self::CardKeysDerived
            | Self::ValueUpdated
            | Self::EntriesRead
            | Self::Refused
            | Self::RefusalsCounted
            | Self::ProposalMade
            | Self::ProposalVoted
            | Self::ProposalClosed
            | Self::FreezeChanged
            | Self::SealedActByQuorum
            | Self::EvidenceRead
            | Self::JobChanged
            | Self::CardsChanged
            | Self::JobRecordMade => RetentionClass::Operational,
        }
    }

    /// The kind of leaf in which an act of this kind lies when it took a quorum: of the same retention class.
    #[must_use]
    pub const fn by_quorum(self) -> Self {
        match self.class() {
            RetentionClass::Permanent => Self::ActByQuorum,
            // What belongs to one job or incident never takes a quorum of officers.
            RetentionClass::Operational | RetentionClass::Incident | RetentionClass::Job => {
                Self::SealedActByQuorum
            }
        }
    }
}

/// How long a payload is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RetentionClass {
    /// As long as the log: founding, keys, starts. Stored in clear.
    Permanent,
    /// What cards and people did: stored encrypted under the month's storage key.
    Operational,
    /// What went wrong while cards were made: stored encrypted under a month's storage key of its own, and kept
    /// [`INCIDENT_KEPT_DAYS_MIN`] at least.
    Incident,
    /// The data of one job's cards: stored encrypted under the job's own storage key, which is destroyed at its purge.
    Job,
}

/// Fewest days that reports of incidents are kept: three months, the longest ones.
pub const INCIDENT_KEPT_DAYS_MIN: u32 = 92;

/// What is hashed into the tree for one leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeafEntry {
    /// Field 0.
    pub schema: Schema,
    /// Index in the log, from 0.
    pub index: u64,
    /// Milliseconds since 1970-01-01 UTC; never before the leaf before.
    pub time_ms: u64,
    /// What it records.
    pub kind: LeafKind,
    /// SHA-256 over the salt (16 bytes) and the payload.
    pub payload_digest: Digest,
}

/// Why bytes are not a leaf, or a payload is not a leaf's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// The entry is not one.
    #[error("leaf entry: {0}")]
    Encoding(#[from] DecodeError),
    /// Salt and payload hash to something else than the entry says.
    #[error("the payload is not this leaf's")]
    OtherPayload,
}

impl LeafEntry {
    /// Reads an entry.
    ///
    /// # Errors
    /// [`LeafError::Encoding`] when it is not one.
    pub fn decode(entry: &[u8]) -> Result<Self, LeafError> {
        Ok(cbor::decode(entry, 256)?)
    }

    /// The digest an entry carries for a payload.
    #[must_use]
    pub fn digest_of(salt: &Salt, payload: &[u8]) -> Digest {
        sha256(&[salt.as_bytes(), payload])
    }

    /// Checks that salt and payload are this entry's.
    ///
    /// # Errors
    /// [`LeafError::OtherPayload`] when they are not.
    pub fn check_payload(&self, salt: &Salt, payload: &[u8]) -> Result<(), LeafError> {
        if Self::digest_of(salt, payload) == self.payload_digest {
            Ok(())
        } else {
            Err(LeafError::OtherPayload)
        }
    }
}

/// A signed request as received (COSE_Sign1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Statement(pub Blob<REQUEST_LEN_MAX>);

payload!(
    /// The founding: the whole file, who signed it, the keys made by it.
    FoundingLeaf {
        /// The founding file, as signed (TOML, UTF-8).
        founding: Blob<REQUEST_LEN_MAX>,
        /// The officers' signatures over it, in the file's order of officers.
        signatures: List<FoundingSignature, 32>,
        /// The keys, in the order they were made.
        keys: List<KeyRecord, 64>,
        /// Digest of the policies in force.
        policy: Digest,
    }
);
payload!(
    /// One officer's signature over the founding file.
    FoundingSignature {
        /// The officer's name.
        officer: Name,
        /// COSE_Sign1 over a [`crate::founding::FoundingAgreement`].
        signed: Blob<1024>,
    }
);
payload!(
    /// A start of the keeper.
    StartLeaf {
        /// SHA-256 of the program.
        program: Digest,
        /// SHA-256 of the configuration file.
        configuration: Digest,
        /// Digest of the policies in force.
        policy: Digest,
        /// The program's version.
        version: String,
    }
);
payload!(
    /// A key is about to be made in the token.
    KeyIntentLeaf {
        /// Its `CKA_ID`, fixed here before it exists.
        id: ObjectIdentifier,
        /// Its kind, which fixes its attributes.
        kind: KeyKind,
        /// Its name.
        name: Name,
        /// Its version.
        version: u32,
    }
);
payload!(
    /// A key was made in the token.
    KeyOutcomeLeaf {
        /// Index of the intent's leaf.
        intent: u64,
        /// The key as read back.
        key: KeyRecord,
    }
);
payload!(
    /// Card keys are to be derived.
    CardKeysDerivedLeaf {
        /// The station.
        station: Name,
        /// The job's card profile.
        profile: Name,
        /// Its version.
        profile_version: u32,
        /// How many of the request's cards get keys, from the first: those that the job still had room for.
        cards: u32,
        /// Number of keys: cards times slots of the profile.
        count: u32,
        /// RFC 6962 root over the encoded [`DerivedItem`]s, card by card, slots ascending.
        root: Digest,
        /// The signed request.
        statement: Statement,
    }
);
payload!(
    /// A value update is to be signed.
    ValueUpdatedLeaf {
        /// The update's payload: exactly the bytes that are signed.
        update: Blob<VALUE_UPDATE_LEN_MAX>,
        /// The terminal's signed request.
        statement: Statement,
    }
);
payload!(
    /// Payloads were read.
    EntriesReadLeaf {
        /// Who read them.
        reader: Name,
        /// First leaf.
        from: u64,
        /// After the last leaf.
        to: u64,
    }
);
payload!(
    /// A request was refused.
    RefusedLeaf {
        /// Who asked.
        principal: Name,
        /// What was asked.
        operation: Operation,
        /// The answer.
        refusal: Refusal,
        /// SHA-256 of the request inside its envelope as received; of the whole body where no envelope can be read.
        request: Digest,
    }
);
payload!(
    /// Refusals that have no leaf of their own.
    RefusalsCountedLeaf {
        /// How many.
        count: u64,
        /// From when, milliseconds since 1970-01-01 UTC.
        from_ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Who asked; left out for callers that are not enrolled.
        principal: Option<Name>,
    }
);
payload!(
    /// A signed checkpoint that this log does not contain was shown.
    RollbackLeaf {
        /// Who showed it.
        principal: Name,
        /// The checkpoint.
        shown: SignedCheckpoint,
    }
);
payload!(
    /// A trust bundle is to be signed by the service statement key.
    BundleMadeLeaf {
        /// The bundle's payload: exactly the bytes that are signed ([`crate::bundle::TrustBundle`]).
        bundle: Blob<BUNDLE_LEN_MAX>,
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaf_kinds_keep_their_numbers() {
        use LeafKind::{
            ActByQuorum, BundleMade, CardKeysDerived, CardsChanged, EntriesRead, EvidenceRead, Founding,
            FreezeChanged, Heartbeat, IncidentReported, JobChanged, JobItemsAdded, JobOpened, JobPurged,
            JobRecordMade, KeyDestroyed, KeyIntent, KeyOutcome, ProposalClosed, ProposalMade, ProposalVoted,
            RefusalsCounted, Refused, RollbackShown, SealedActByQuorum, SiteChanged, Start, TookEffect,
            ValueUpdated,
        };
        let all = [
            Founding,
            Start,
            KeyIntent,
            KeyOutcome,
            JobOpened,
            CardKeysDerived,
            ValueUpdated,
            EntriesRead,
            Refused,
            RefusalsCounted,
            RollbackShown,
            BundleMade,
            ProposalMade,
            ProposalVoted,
            ProposalClosed,
            SiteChanged,
            FreezeChanged,
            ActByQuorum,
            SealedActByQuorum,
            Heartbeat,
            TookEffect,
            KeyDestroyed,
            EvidenceRead,
            JobChanged,
            JobItemsAdded,
            IncidentReported,
            CardsChanged,
            JobPurged,
            JobRecordMade,
        ];
        for (number, kind) in (0_u8..).zip(all) {
            assert_eq!(cbor::encode(&kind).last(), Some(&number));
        }
    }

    #[test]
    fn a_payload_of_another_leaf_is_told() {
        let salt = Salt::new([1; 16]);
        let entry = LeafEntry {
            schema: Schema,
            index: 1,
            time_ms: 2,
            kind: LeafKind::Start,
            payload_digest: LeafEntry::digest_of(&salt, b"payload"),
        };
        assert_eq!(entry.check_payload(&salt, b"payload"), Ok(()));
        assert_eq!(entry.check_payload(&salt, b"other"), Err(LeafError::OtherPayload));
    }
}
