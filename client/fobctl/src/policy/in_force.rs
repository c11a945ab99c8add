//! The set in force, as the service tells it, and whether it is what it says: its digest is computed here.

use super::candidate;
use crate::fault::Fault;
use keysvc_client::{
    ClientError, Officer, Reader,
    protocol::{
        cbor::{self, REQUEST_LEN_MAX},
        proposal::ProposalState,
        reply::PolicyReply,
        request::ProposePolicy,
    },
};
use keysvc_policies::PolicySet;
use keysvc_prover::LOAD_MAX_DEFAULT;

/// Pages of 64 proposals that are looked through for the one that put a set into force: it was made within three days
/// before, and 1,024 are far more than people make in that time.
const PAGES_MAX: u8 = 16;

/// The set in force.
#[derive(Debug)]
pub(crate) struct InForce {
    /// The set.
    pub(crate) set: PolicySet,
    /// The leaf that put it into force; 0 for the founding's.
    pub(crate) leaf: u64,
}

impl InForce {
    /// Reads it from the service.
    ///
    /// # Errors
    /// [`Fault`] of the call, or for files that have another digest than the service says.
    pub(crate) async fn read(reader: &Reader) -> Result<Self, Fault> {
        let fault = |error| Fault::client("read the policies in force", error);
        let reply: PolicyReply = reader.policy().await.map_err(fault)?;
        let files: Vec<_> = reply.files.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
        let other = |what: String| fault(ClientError::Malformed { what });
        let set = PolicySet::from_files(&files)
            .map_err(|error| other(format!("the policies it says are in force do not load: {error}")))?;
        if candidate::digest(&set) != reply.policy {
            let what = "the policies it sends have another digest than it says is in force; or its ceiling is of another \
                        version than this program's";
            return Err(other(what.to_owned()));
        }
        Ok(Self { set, leaf: reply.leaf })
    }

    /// Above which amount a load counted as large in its proof: what its proposal says, or the program's own for the
    /// founding's. Nothing where its proposal is not found, or is no longer to be verified.
    ///
    /// # Errors
    /// [`Fault`] of the calls.
    pub(crate) async fn load_max(&self, officer: &Officer) -> Result<Option<u64>, Fault> {
        if self.leaf == 0 {
            return Ok(Some(LOAD_MAX_DEFAULT));
        }
        let mut before = self.leaf;
        for _ in 0..PAGES_MAX {
            let page = officer.proposals(true, Some(before)).await;
            let page = page.map_err(|error| Fault::client("list the proposals", error))?;
            let made_it = |state: &ProposalState| *state == ProposalState::Executed { leaf: self.leaf };
            if let Some(found) = page.iter().find(|one| made_it(&one.state)) {
                return match officer.proposal(found.id).await {
                    Ok(record) => {
                        let request = cbor::decode(record.approvable.payload(), REQUEST_LEN_MAX);
                        Ok(request.ok().map(|request: ProposePolicy| request.proof.load_max))
                    }
                    // As when the key of who asked is another one by now.
                    Err(ClientError::NotApprovable(_)) => Ok(None),
                    Err(error) => Err(Fault::client("read the proposal of the policies in force", error)),
                };
            }
            match page.last().filter(|last| last.leaf < before) {
                Some(last) => before = last.leaf,
                None => break,
            }
        }
        Ok(None)
    }
}
