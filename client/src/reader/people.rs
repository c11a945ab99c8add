//! Requests that may take people, and what became of them. What comes back instead of a reply, a proposal, is judged no less.

use super::{Answered, Outgoing, Reader, cbor, read};
use crate::{error::ClientError, own_proposal::Mine, pending::Outcome, reply::Reply};
use keysvc_protocol::{
    bytes::ProposalId,
    proposal::{Proposal, ProposalState},
    reply::{PendingReply, ProposalReply, ResultReply},
    request::{Operation, ReadProposal, ReadResult},
    schema::Schema,
};

impl Reader {
    /// Sends a request that may take people, and gives the reply, or the proposal it became, once its checkpoint is
    /// judged.
    pub(crate) async fn ask_people<R: Reply>(
        &self,
        outgoing: Outgoing,
        mine: &Mine<'_>,
    ) -> Result<Outcome<R>, ClientError> {
        let reader = self.begun()?;
        let sent = self.seen();
        let (operation, about) = (outgoing.operation, outgoing.about.clone());
        match reader.answered(outgoing, sent.clone()).await? {
            Answered::Reply(reply) => {
                let reply: R = read(operation, &reply)?;
                reader.settle(&reply, sent, &about).await?;
                reply.check_receipt()?;
                Ok(Outcome::Done(reply))
            }
            Answered::Pending(reply) => {
                let reply: PendingReply = read(operation, &reply)?;
                reader.settle(&reply, sent, &about).await?;
                reply.check_receipt()?;
                mine.check(self.founded(), reply).map(Outcome::Pending)
            }
        }
    }

    /// Where a proposal of ours stands, and the reply to its request once it was executed, judged like any other.
    pub(crate) async fn result<R: Reply>(
        &self,
        id: ProposalId,
    ) -> Result<(ProposalState, Option<R>), ClientError> {
        let operation = Operation::ProposalResult;
        let reader = self.begun()?;
        let sent = self.seen();
        let request = cbor::encode(&ReadResult { schema: Schema, id });
        let result: ResultReply = reader.exchange(operation, request, sent.clone()).await?;
        let Some(reply) = result.reply else { return Ok((result.state, None)) };
        let reply: R = read(operation, reply.as_bytes())?;
        reader.settle(&reply, sent, &format!("{operation} {id}")).await?;
        reply.check_receipt()?;
        Ok((result.state, Some(reply)))
    }

    /// A proposal of ours, or any where we may see them all.
    pub(crate) async fn proposal(&self, id: ProposalId) -> Result<ProposalReply, ClientError> {
        let request = ReadProposal { schema: Schema, id };
        let reply: ProposalReply = self.ask(Outgoing::read(Operation::ProposalGet, &request)).await?;
        let proposal = Proposal::decode(reply.proposal.as_bytes());
        if proposal.is_ok_and(|proposal| proposal.id != id) {
            return Err(ClientError::malformed("another proposal than asked for"));
        }
        Ok(reply)
    }
}
