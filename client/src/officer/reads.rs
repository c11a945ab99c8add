//! What an officer reads before asking for something: proposals, principals, what hangs on a key. All of it is the
//! service's word.

use super::Officer;
use crate::{error::ClientError, reader::Outgoing, site_reads::PAGES_MAX};
use keysvc_protocol::{
    name::Name,
    reply::{
        KeyImpactReply, ListedProposal, PrincipalListReply, PrincipalView, ProposalListReply, Threshold,
    },
    request::{ListPrincipals, ListProposals, Operation, ReadImpact},
    schema::Schema,
};

/// Who is enrolled, and how many of them the operations take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principals {
    /// The principals and officers, by name.
    pub principals: Vec<PrincipalView>,
    /// The thresholds in force above the floors.
    pub thresholds: Vec<Threshold>,
}

impl Officer {
    /// The open proposals, or the newest of all where ended ones are wanted too; newest first, at most 64. With `before`
    /// only those made before that leaf.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn proposals(
        &self,
        ended: bool,
        before: Option<u64>,
    ) -> Result<Vec<ListedProposal>, ClientError> {
        let request = ListProposals { schema: Schema, ended, before };
        let reply: ProposalListReply =
            self.reader.ask(Outgoing::read(Operation::ProposalList, &request)).await?;
        Ok(reply.proposals.into_vec())
    }

    /// Who is enrolled, and the thresholds in force.
    ///
    /// # Errors
    /// [`ClientError`] of the calls.
    pub async fn principals(&self) -> Result<Principals, ClientError> {
        let mut all = Principals::default();
        for _ in 0..PAGES_MAX {
            let after = all.principals.last().map(|last| last.enrolment.id.clone());
            let request = ListPrincipals { schema: Schema, after: after.clone() };
            let reply: PrincipalListReply =
                self.reader.ask(Outgoing::read(Operation::PrincipalList, &request)).await?;
            let names: Vec<&Name> = reply.principals.iter().map(|one| &one.enrolment.id).collect();
            if !after.iter().chain(names.iter().copied()).is_sorted_by(|one, next| one < next) {
                return Err(ClientError::malformed("principals out of order"));
            }
            all.thresholds = reply.thresholds.into_vec();
            if reply.principals.is_empty() {
                return Ok(all);
            }
            all.principals.extend(reply.principals.into_vec());
        }
        Err(ClientError::malformed("a list of principals without an end"))
    }

    /// Counts what hangs on a version of a key.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn impact(&self, name: &Name, version: u32) -> Result<KeyImpactReply, ClientError> {
        let request = ReadImpact { schema: Schema, name: name.clone(), version };
        let reply: KeyImpactReply = self.reader.ask(Outgoing::read(Operation::KeyImpact, &request)).await?;
        if reply.key.name == *name && reply.key.version == version {
            Ok(reply)
        } else {
            Err(ClientError::malformed("another key than asked for"))
        }
    }
}
