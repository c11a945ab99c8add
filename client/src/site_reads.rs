//! The reads that officers and offices share: what is stopped, and the evidence of acts.
//!
//! Freezes are the service's word; evidence is proved. Who may read what is the policies'.

use crate::{
    error::ClientError,
    reader::{Outgoing, Reader},
    trust_store,
};
use keysvc_protocol::{
    bytes::ProposalId,
    evidence::{EvidenceFile, Proved},
    reply::{EvidenceReply, FreezeListReply, FreezeView},
    request::{ListFreezes, Operation, ReadEvidence},
    schema::Schema,
};

/// Most pages of one list: 4,096 principals in pages of 256 are 16, 1,024 freezes are 4. A service that pages on for ever
/// is stopped here.
pub(crate) const PAGES_MAX: usize = 64;

/// The evidence of an act that took a quorum, verified from the trust file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActEvidence {
    /// The evidence file's bytes: they prove the act offline, by the trust file alone.
    pub file: Vec<u8>,
    /// What it proves.
    pub proved: Proved,
}

impl Reader {
    pub(crate) async fn freezes(&self) -> Result<Vec<FreezeView>, ClientError> {
        let mut all: Vec<FreezeView> = Vec::new();
        for _ in 0..PAGES_MAX {
            let after = all.last().map(|last| last.leaf);
            let request = ListFreezes { schema: Schema, after };
            let reply: FreezeListReply = self.ask(Outgoing::read(Operation::FreezeList, &request)).await?;
            let leaves = reply.freezes.iter().map(|one| one.leaf);
            if !after.into_iter().chain(leaves).is_sorted_by(|one, next| one < next) {
                return Err(ClientError::malformed("freezes out of order"));
            }
            if reply.freezes.is_empty() {
                return Ok(all);
            }
            all.extend(reply.freezes.into_vec());
        }
        Err(ClientError::malformed("a list of freezes without an end"))
    }

    pub(crate) async fn evidence(&self, id: ProposalId) -> Result<ActEvidence, ClientError> {
        let request = ReadEvidence { schema: Schema, id };
        let reply: EvidenceReply = self.ask(Outgoing::read(Operation::EvidenceGet, &request)).await?;
        let untrusted = |why: String| ClientError::untrusted(format!("its evidence: {why}"));
        let file = reply.evidence.into_bytes();
        let evidence = EvidenceFile::read(&file).map_err(|error| untrusted(error.to_string()))?;
        let proved = evidence.verify(self.founded().trust(), trust_store::signed_founding);
        let proved = proved.map_err(|error| untrusted(error.to_string()))?;
        if proved.proposal.id != id {
            return Err(untrusted("it is of another act".into()));
        }
        Ok(ActEvidence { file, proved })
    }
}
