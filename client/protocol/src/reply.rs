//! Replies, one type for each operation.

use crate::{
    bundle::BUNDLE_MESSAGE_LEN_MAX,
    bytes::{Blob, Digest},
    cbor::REPLY_LEN_MAX,
    checkpoint::SignedCheckpoint,
    key::KeyRecord,
    list::List,
    merkle::Proof,
    receipt::{LeafEvidence, Receipt},
    refusal::Refusal,
    request::{BATCH_MAX, ENTRIES_MAX},
    schema::Schema,
    trust::TrustDomain,
    value::VALUE_UPDATE_LEN_MAX,
};
use alloc::string::String;
use serde::{Deserialize, Serialize};

macro_rules! reply {
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

/// Whether the service serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceState {
    /// It serves.
    Serving,
    /// It has stopped because its history was rolled back.
    RolledBack,
}

reply!(
    /// Reply to `status`.
    StatusReply {
        /// The program's version.
        version: String,
        /// Whether it serves.
        state: ServiceState,
        /// Whether it was founded for development: known keys, not for real cards.
        development: bool,
        /// The trust domain.
        trust_domain: TrustDomain,
        /// The genesis digest.
        genesis: Digest,
        /// When the keeper started, milliseconds since 1970-01-01 UTC.
        started_at_ms: u64,
        /// Digest of the policies in force.
        policy: Digest,
        /// The newest signed checkpoint.
        checkpoint: SignedCheckpoint,
        /// Consistency from the `seen` of the request, or from leaf 0.
        consistency: Proof,
    }
);
reply!(
    /// Reply to `key.list`.
    KeyListReply {
        /// The keys, by name and version.
        keys: List<KeyRecord, 1024>,
    }
);
reply!(
    /// Reply to `key.get`.
    KeyReply {
        /// The key.
        key: KeyRecord,
    }
);
reply!(
    /// Reply to `station.open`.
    StationOpenReply {
        /// COSE_Sign1 of an [`crate::delivery::ExchangeOpening`].
        opening: Blob<2048>,
        /// The receipt.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `card.derive`.
    CardDeriveReply {
        /// COSE_Sign1 of a [`crate::delivery::Delivery`].
        delivery: Blob<REPLY_LEN_MAX>,
        /// The receipt, without the leaf: its place in the tree would tell the size of a job.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `value.update`.
    ValueUpdateReply {
        /// COSE_Sign1 of a [`crate::value::ValueUpdate`].
        record: Blob<VALUE_UPDATE_LEN_MAX>,
        /// The receipt, with leaf and inclusion proof.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `log.checkpoint`.
    CheckpointReply {
        /// The newest signed checkpoint.
        checkpoint: SignedCheckpoint,
        /// Consistency from the `seen` of the request, or from leaf 0.
        consistency: Proof,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Leaf 0, where it was asked for.
        genesis: Option<LeafEvidence>,
    }
);
reply!(
    /// Reply to `log.entries`.
    EntriesReply {
        /// The leaves from the first asked for; fewer than asked for when the reply is full.
        entries: List<LeafEvidence, ENTRIES_MAX>,
        /// The receipt of the read itself.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `log.proof`.
    ProofReply {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Inclusion of the leaf asked for.
        inclusion: Option<Proof>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Consistency from the earlier size asked for.
        consistency: Option<Proof>,
    }
);
reply!(
    /// Reply to `bundle.get`.
    BundleReply {
        /// The receipt of the bundle in force: its leaf, recorded when it was made, and the proof that the log holds it.
        receipt: Receipt,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// COSE_Sign1 of a [`crate::bundle::TrustBundle`]; left out where the caller holds it.
        bundle: Option<Blob<BUNDLE_MESSAGE_LEN_MAX>>,
    }
);
reply!(
    /// Reply to `value.batch`.
    ValueBatchReply {
        /// A signed checkpoint of a tree that contains every leaf below.
        checkpoint: SignedCheckpoint,
        /// Consistency from the `seen` of the request, or from leaf 0.
        consistency: Proof,
        /// What became of each item, in the order of the request.
        outcomes: List<UpdateOutcome, BATCH_MAX>,
    }
);

/// What became of one item of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum UpdateOutcome {
    /// It is recorded and signed.
    Signed {
        /// COSE_Sign1 of a [`crate::value::ValueUpdate`].
        record: Blob<VALUE_UPDATE_LEN_MAX>,
        /// Its leaf.
        leaf: LeafEvidence,
        /// Inclusion of the leaf in the batch's checkpoint.
        inclusion: Proof,
    },
    /// It is refused; the others are not touched by that.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}
