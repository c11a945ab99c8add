//! Leaves that stand for themselves: starts, reads, refusals and rollbacks. Nothing later depends on them.

use super::{decode, people::People};
use crate::{finding::Problem, founding_check::Founded};
use keysvc_protocol::{
    bundle::{BundleError, BundleProgramme, TrustBundle},
    checkpoint::Origin,
    leaf::{
        BundleMadeLeaf, EntriesReadLeaf, EvidenceReadLeaf, RefusalsCountedLeaf, RefusedLeaf, RollbackLeaf,
        StartLeaf,
    },
};

/// A start runs under the policies in force.
pub(super) fn start(people: &People, payload: &[u8]) -> Result<(), Problem> {
    let start: StartLeaf = decode(payload)?;
    if start.policy == *people.control().policy() { Ok(()) } else { Err(Problem::OtherPolicy) }
}

/// A read is by somebody enrolled.
pub(super) fn entries_read(people: &People, payload: &[u8]) -> Result<(), Problem> {
    let read: EntriesReadLeaf = decode(payload)?;
    if !people.knows(&read.reader) {
        return Err(Problem::Stranger(read.reader));
    }
    if read.from > read.to { Err(Problem::Range) } else { Ok(()) }
}

/// A read of evidence is by somebody enrolled.
pub(super) fn evidence_read(people: &People, payload: &[u8]) -> Result<(), Problem> {
    let read: EvidenceReadLeaf = decode(payload)?;
    if people.knows(&read.reader) { Ok(()) } else { Err(Problem::Stranger(read.reader)) }
}

/// A refusal decodes: who, what, why.
pub(super) fn refused(payload: &[u8]) -> Result<(), Problem> {
    decode::<RefusedLeaf>(payload).map(|_| ())
}

/// A count of refusals decodes.
pub(super) fn refusals_counted(payload: &[u8]) -> Result<(), Problem> {
    decode::<RefusalsCountedLeaf>(payload).map(|_| ())
}

/// A rollback is always a finding: loud when the checkpoint shown is this log's own, and no better when it is not.
pub(super) fn rollback_shown(founded: &Founded, origin: &Origin, payload: &[u8]) -> Result<(), Problem> {
    let rollback: RollbackLeaf = decode(payload)?;
    rollback.shown.verify(origin, &founded.checkpoint_key).map_err(Problem::RollbackUnproven)?;
    let size = rollback.shown.checkpoint().head.size;
    Err(Problem::RollbackShown { shown_by: rollback.principal, size })
}

/// A trust bundle is of this log: its genesis, its checkpoint key, a checkpoint that this key signed. The limits in it are
/// those of the card profiles in use.
pub(super) fn bundle_made(founded: &Founded, people: &People, payload: &[u8]) -> Result<(), Problem> {
    let made: BundleMadeLeaf = decode(payload)?;
    let bundle = TrustBundle::from_payload(made.bundle.as_bytes(), &founded.genesis)?;
    if bundle.log_key()? != founded.checkpoint_key {
        return Err(BundleError::OtherLog.into());
    }
    let other = bundle.programmes.iter().find(|said| !is_as_in_use(founded, people, said));
    other.map_or(Ok(()), |said| Err(Problem::BundleRules(said.name.clone())))
}

fn is_as_in_use(founded: &Founded, people: &People, said: &BundleProgramme) -> bool {
    let rules = founded.programme(&said.name).and_then(|(_, programme)| {
        let profile = people.profiles().of_programme(programme)?;
        profile.value.as_ref()
    });
    rules.is_some_and(|rules| {
        (said.currency, said.ceiling, said.load_max, said.debit_max)
            == (rules.currency, rules.ceiling, rules.load_max, rules.debit_max)
            && *said.purses == *rules.purses
    })
}
