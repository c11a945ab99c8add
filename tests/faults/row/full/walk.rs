//! Every operation that there is, asked for by people of every kind.
//!
//! Apart from the disk, because it is walked twice: where nothing can be recorded and where everything can. The list of
//! what leaves no leaf is written out here and nowhere derived, so that an operation that loses its leaf is found.

use keysvc_protocol::request::Operation;
use keysvc_tests::{
    cards::{Card, holding},
    custody::beside,
    good_requests::good,
    ground::Ground,
    raw::Caller,
};
use std::{collections::BTreeSet, env};

/// Reads that leave no leaf.
const UNRECORDED: [Operation; 20] = [
    Operation::Status,
    Operation::KeyList,
    Operation::KeyGet,
    Operation::KeyImpact,
    Operation::LogCheckpoint,
    Operation::LogProof,
    Operation::BundleGet,
    Operation::ProposalList,
    Operation::ProposalGet,
    Operation::ProposalResult,
    Operation::PrincipalList,
    Operation::FreezeList,
    Operation::ComponentKey,
    Operation::ProfileGet,
    Operation::ProfileList,
    Operation::PolicyGet,
    Operation::JobGet,
    Operation::JobList,
    Operation::CardCheck,
    // A reply that says of each update what became of it: here, that it was refused.
    Operation::ValueBatch,
];
/// People of every kind but stations, whose requests need a job that is open.
const WITHOUT_CARD: [&str; 7] =
    ["terminal-1", "office-1", "auditor-1", "platform-1", "data-1", "operator-1", "reviewer-1"];

/// What a walk came to.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Operations that leave a leaf and were done, or taken for people to decide.
    pub(super) recorded: BTreeSet<String>,
    /// Operations that leave none and were answered.
    pub(super) read: BTreeSet<String>,
    /// What everything else was told, by name.
    pub(super) refused: BTreeSet<String>,
    /// How many requests there were.
    pub(super) asked: usize,
}

/// Walks all of them.
pub(super) fn walk(ground: &Ground) -> Result<Walked, String> {
    let site = ground.site();
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let card = Card::insert_as((&program, &["card"]), site, "officer-1");
    let mut callers = vec![holding(card, site, "officer-1")];
    callers.extend(WITHOUT_CARD.map(|persona| Caller::new(site, persona)));
    let mut walked = Walked::default();
    for operation in Operation::ALL {
        for caller in &mut callers {
            let message = caller.message(operation, good(operation));
            let sealed = (operation == Operation::ComponentGive).then_some([7_u8; 97].as_slice());
            let answer = caller.line.post(operation.name(), &beside(message, sealed));
            walked.asked += 1;
            let name = operation.to_string();
            if !matches!(answer.status, 200 | 202) {
                walked.refused.insert(answer.refusal().to_string());
            } else if UNRECORDED.contains(&operation) {
                walked.read.insert(name);
            } else {
                walked.recorded.insert(name);
            }
        }
    }
    Ok(walked)
}
