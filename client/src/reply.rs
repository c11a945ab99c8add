//! Which replies carry a checkpoint or a receipt, so that none goes unjudged.

use crate::error::ClientError;
use keysvc_protocol::{
    checkpoint::SignedCheckpoint,
    merkle::Proof,
    receipt::Receipt,
    reply::{
        BundleReply, CardDeriveReply, CardReply, CardsMovedReply, ChangedReply, CheckpointReply,
        ComponentGivenReply, ComponentKeyReply, EntriesReply, EvidenceReply, FreezeListReply,
        JobChangedReply, JobCountReply, JobListReply, JobOpenReply, JobRecordReply, JobReply,
        KeyCreatedReply, KeyImpactReply, KeyListReply, KeyReply, PendingReply, PolicyReply,
        PrincipalListReply, ProfileListReply, ProfilePutReply, ProfileReply, ProofReply, ProposalListReply,
        ProposalReply, ResultReply, StatusReply, ValueBatchReply, ValueUpdateReply, VoteReply,
    },
};
use serde::{Serialize, de::DeserializeOwned};

/// A reply, and what in it is to be checked before it is used.
pub(crate) trait Reply: Serialize + DeserializeOwned {
    /// The receipt of a recorded request.
    fn receipt(&self) -> Option<&Receipt> {
        None
    }

    /// The checkpoint with its consistency proof.
    fn checkpoint(&self) -> Option<(&SignedCheckpoint, &Proof)> {
        self.receipt().map(|receipt| (&receipt.checkpoint, &receipt.consistency))
    }

    /// Checks that the receipt's leaf lies in the receipt's checkpoint: proved where the leaf came along.
    fn check_receipt(&self) -> Result<(), ClientError> {
        let Some(receipt) = self.receipt() else { return Ok(()) };
        if receipt.leaf.is_some() {
            receipt.check_inclusion().map_err(|error| ClientError::untrusted(error.to_string()))?;
        } else if receipt.leaf_index >= receipt.checkpoint.checkpoint().head.size {
            return Err(ClientError::untrusted("the receipt's leaf is not in its checkpoint"));
        }
        Ok(())
    }
}

impl Reply for StatusReply {
    fn checkpoint(&self) -> Option<(&SignedCheckpoint, &Proof)> {
        Some((&self.checkpoint, &self.consistency))
    }
}

impl Reply for CheckpointReply {
    fn checkpoint(&self) -> Option<(&SignedCheckpoint, &Proof)> {
        Some((&self.checkpoint, &self.consistency))
    }
}

impl Reply for ValueBatchReply {
    fn checkpoint(&self) -> Option<(&SignedCheckpoint, &Proof)> {
        Some((&self.checkpoint, &self.consistency))
    }
}

macro_rules! with_receipt {
    ($($reply:ty),*) => {
        $(impl Reply for $reply {
            fn receipt(&self) -> Option<&Receipt> {
                Some(&self.receipt)
            }
        })*
    };
}

macro_rules! without_checkpoint {
    ($($reply:ty),*) => {
        $(impl Reply for $reply {})*
    };
}

with_receipt!(
    JobOpenReply,
    JobChangedReply,
    JobCountReply,
    JobRecordReply,
    CardsMovedReply,
    CardDeriveReply,
    ValueUpdateReply,
    EntriesReply,
    BundleReply,
    PendingReply,
    VoteReply,
    ChangedReply,
    KeyCreatedReply,
    EvidenceReply,
    ComponentGivenReply,
    ProfilePutReply
);
// A result is judged by the reply inside it.
without_checkpoint!(
    JobReply,
    JobListReply,
    CardReply,
    KeyListReply,
    KeyReply,
    ProofReply,
    ProposalListReply,
    ProposalReply,
    ResultReply,
    PrincipalListReply,
    FreezeListReply,
    KeyImpactReply,
    ComponentKeyReply,
    ProfileReply,
    ProfileListReply,
    PolicyReply
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Log;
    use keysvc_protocol::{bytes::Blob, schema::Schema};

    fn reply(receipt: Receipt) -> CardDeriveReply {
        CardDeriveReply { schema: Schema, delivery: Blob::try_from(vec![]).unwrap(), receipt }
    }

    fn untrusted(receipt: Receipt) -> String {
        match reply(receipt).check_receipt() {
            Err(ClientError::Untrusted { what, evidence: None }) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_receipt_with_its_leaf_is_proved_and_one_without_is_at_least_possible() {
        let whole = Log::new(4, 0).receipt();
        assert!(reply(whole.clone()).check_receipt().is_ok());
        let bare = Receipt { leaf: None, inclusion: None, ..whole };
        assert!(reply(bare.clone()).check_receipt().is_ok());
        let beyond = Receipt { leaf_index: 5, ..bare };
        assert_eq!(untrusted(beyond), "the receipt's leaf is not in its checkpoint");
    }

    #[test]
    fn a_receipt_whose_leaf_is_of_another_log_is_refused() {
        let receipt = Receipt { leaf: Log::new(4, 1).0.pop(), ..Log::new(4, 0).receipt() };
        assert_eq!(untrusted(receipt), "the receipt's inclusion proof: the proof does not lead to the root");
    }
}
