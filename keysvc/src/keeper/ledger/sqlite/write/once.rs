//! What is asked once and answered as often as it is asked: retries, what stops them, refusals.
//!
//! Every refusal that the transaction decides on somebody's request becomes a leaf or a count here.

use super::{
    Asked, Decided, Write,
    asked::{Keys, Uses},
};
use crate::keeper::ledger::{
    change::{Outcome, Recording},
    fault::LedgerFault,
};
use keysvc_protocol::{
    bytes::ProposalId,
    cbor,
    control::Keys as KeyStates,
    freeze::ScopeKind,
    hash::sha256,
    job::JobState,
    key::KeyState,
    leaf::{
        ActByQuorumLeaf, CardsChangedLeaf, ChangedLeaf, JobChangedLeaf, JobOpenedLeaf, LeafKind,
        ProposalMadeLeaf, RefusalsCountedLeaf, RefusedLeaf,
    },
    name::Name,
    proposal::Proposal,
    receipt::LEAF_PAYLOAD_LEN_MAX,
    refusal::{Conflict, Refusal, Thing},
    request::Operation,
    schema::Schema,
};
use serde::{Serialize, de::DeserializeOwned};

/// The answer to a repetition whose leaf was erased with its job.
const PURGED: Refusal = Refusal::StateConflict { reason: Conflict::JobState { state: JobState::Purged } };

/// A request as the table of idempotency keys knows it.
pub(super) struct Known {
    pub(super) tag: [u8; 16],
    pub(super) request: [u8; 16],
    /// The leaf that it has already.
    pub(super) leaf: Option<Recording>,
}

impl Write<'_> {
    /// Carries out a repeatable change the first time, and finds its leaf every later time.
    pub(super) fn once(
        &mut self,
        asked: &Asked<'_>,
        make: impl FnOnce(&mut Self) -> Result<Decided, LedgerFault>,
    ) -> Result<Outcome, LedgerFault> {
        let known = match self.known(asked)? {
            Ok(known) => known,
            Err(refusal) => return self.refuse(asked, refusal),
        };
        if let Some(leaf) = known.leaf {
            return Ok(Outcome::Recorded(leaf));
        }
        match make(self)? {
            Ok(leaf) => {
                if !leaf.retried {
                    self.remember(&known, &leaf)?;
                }
                Ok(Outcome::Recorded(leaf))
            }
            Err(refusal) => self.refuse(asked, refusal),
        }
    }

    fn remember(&mut self, known: &Known, leaf: &Recording) -> Result<(), LedgerFault> {
        let tags = self.tags()?;
        self.rows.put_idem(&tags, (&known.tag, &known.request), leaf.index, leaf.time_ms)?;
        self.state.oldest_idem_ms.get_or_insert(leaf.time_ms);
        Ok(())
    }

    /// Judges a change whether it is new or repeated: the halt, its idempotency key, freezes, who asks, keys' states. The
    /// order is the one in which a caller must mend what is wrong.
    pub(super) fn known(&mut self, asked: &Asked<'_>) -> Result<Result<Known, Refusal>, LedgerFault> {
        self.control()?;
        self.flush(&asked.retry.principal)?;
        if self.state.halted.is_some() {
            return Ok(Err(Refusal::HistoryRolledBack));
        }
        let tags = self.tags()?;
        let tag = tags.of_idem(&asked.retry.principal, &asked.retry.idem);
        let request = tags.of_request(&asked.retry.payload_digest);
        let leaf = match self.rows.idem(&tags, &tag)? {
            Some((leaf, same)) if same == request => {
                // What it says is signed or done again, so the tree must vouch for it.
                let head = self.state.frontier.head();
                let leaf = match self.rows.vouched(leaf, head, &self.state.seals) {
                    Err(LedgerFault::Erased { .. }) => return Ok(Err(PURGED)),
                    leaf => leaf?,
                };
                // Requests of two operations may have the same bytes.
                if operation_of(&leaf).is_some_and(|operation| operation != asked.operation) {
                    return Ok(Err(Refusal::IdemConflict));
                }
                Some(Recording { retried: true, ..leaf })
            }
            Some(_) => return Ok(Err(Refusal::IdemConflict)),
            None => None,
        };
        let known = Known { tag, request, leaf };
        if let Err(refusal) = self.stands(asked)? {
            return Ok(Err(refusal));
        }
        let acted = known.leaf.as_ref().filter(|leaf| leaf.kind != LeafKind::ProposalMade);
        if let (Some(again), Some(leaf)) = (&asked.again, acted)
            && let Err(refusal) = self.again(again, leaf)?
        {
            return Ok(Err(refusal));
        }
        Ok(Ok(known))
    }

    /// Whether nothing stops the caller, what is touched, or the keys that would act.
    fn stands(&mut self, asked: &Asked<'_>) -> Result<Result<(), Refusal>, LedgerFault> {
        let control = self.control()?;
        let Some(Uses { touches, cards, keys, .. }) = &asked.uses else {
            return Ok(control.roster().enabled(&asked.retry.principal).map(drop));
        };
        if let Some(scope) = control.freezes().stops(&touches.touched(cards)) {
            return Ok(Err(Refusal::Frozen { scope }));
        }
        if asked.operation == Operation::CardTransition && self.is_of_frozen_job(cards)? {
            return Ok(Err(Refusal::Frozen { scope: ScopeKind::Job }));
        }
        let control = self.control()?;
        if let Err(refusal) = control.roster().enabled(&asked.retry.principal) {
            return Ok(Err(refusal));
        }
        let masters = match keys {
            Keys::None => return Ok(Ok(())),
            Keys::Signs(name) => return Ok(signs(control.keys(), name)),
            Keys::Derive(masters) => masters,
        };
        for (name, version) in masters {
            let key = self.control()?.keys().get(name, *version);
            let Some(state) = key.map(|key| key.state) else {
                return Ok(Err(Refusal::NotFound { what: Thing::Key }));
            };
            let derives = match state {
                KeyState::Active => true,
                // It goes on for the cards that have keys under it, so that they can be read and replaced.
                KeyState::Deactivated => {
                    let tags = self.tags()?;
                    let mut issued = true;
                    for card in *cards {
                        issued = issued && self.rows.is_issued(&tags.of_issued(name, *version, card))?;
                    }
                    issued
                }
                _ => false,
            };
            if !derives {
                return Ok(Err(Refusal::StateConflict { reason: Conflict::KeyState { state } }));
            }
        }
        Ok(Ok(()))
    }

    pub(super) fn refuse(&mut self, asked: &Asked<'_>, refusal: Refusal) -> Result<Outcome, LedgerFault> {
        let leaf = RefusedLeaf {
            schema: Schema,
            principal: asked.retry.principal.clone(),
            operation: asked.operation,
            refusal,
            request: sha256(&[asked.statement.0.as_bytes()]),
        };
        self.refused(&leaf)?;
        Ok(Outcome::Refused(leaf.refusal))
    }

    pub(super) fn refused(&mut self, leaf: &RefusedLeaf) -> Result<Outcome, LedgerFault> {
        self.flush(&leaf.principal)?;
        if !self.state.refusals.admit(&leaf.principal, self.time_ms) {
            return Ok(Outcome::Counted);
        }
        self.append(LeafKind::Refused, leaf).map(Outcome::Recorded)
    }

    /// Writes what was counted of a caller in a minute that is over, before its next leaf.
    pub(super) fn flush(&mut self, principal: &Name) -> Result<(), LedgerFault> {
        match self.state.refusals.due_of(principal, self.time_ms) {
            Some(leaf) => self.append_counted(&leaf),
            None => Ok(()),
        }
    }

    pub(super) fn count_refusals(&mut self, unknown: u64, all: bool) -> Result<Outcome, LedgerFault> {
        self.state.refusals.add_nameless(unknown);
        // Before the founding there is no log to write them to.
        if self.state.frontier.size() != 0 {
            for leaf in self.state.refusals.due(self.time_ms, all) {
                self.append_counted(&leaf)?;
            }
        }
        Ok(Outcome::Counted)
    }

    fn append_counted(&mut self, leaf: &RefusalsCountedLeaf) -> Result<(), LedgerFault> {
        self.append(LeafKind::RefusalsCounted, leaf).map(|_| ())
    }

    /// A refusal about a proposal: one that is not open is told from one that never was.
    pub(super) fn named(&self, id: &ProposalId, refusal: Refusal) -> Result<Refusal, LedgerFault> {
        if refusal == (Refusal::NotFound { what: Thing::Proposal }) && self.rows.proposal(id)?.is_some() {
            return Ok(Refusal::StateConflict { reason: Conflict::ProposalEnded });
        }
        Ok(refusal)
    }
}

/// Whether a key of this name signs in one of its versions.
fn signs(keys: &KeyStates, name: &Name) -> Result<(), Refusal> {
    if keys.newest_active(name).is_some() {
        return Ok(());
    }
    let newest = keys.iter().filter(|(key, _, _)| *key == name).max_by_key(|(_, version, _)| *version);
    Err(match newest {
        Some((_, _, key)) => Refusal::StateConflict { reason: Conflict::KeyState { state: key.state } },
        None => Refusal::NotFound { what: Thing::Key },
    })
}

/// The operation that a leaf's own payload names, where its kind does not.
fn operation_of(leaf: &Recording) -> Option<Operation> {
    match leaf.kind {
        LeafKind::ProposalMade => {
            let made: ProposalMadeLeaf = read(&leaf.payload)?;
            Some(Proposal::decode(made.proposal.as_bytes()).ok()?.request.operation)
        }
        LeafKind::ActByQuorum | LeafKind::SealedActByQuorum => {
            let act: ActByQuorumLeaf = read(&leaf.payload)?;
            Some(Proposal::decode(act.evidence.proposal.as_bytes()).ok()?.request.operation)
        }
        LeafKind::SiteChanged | LeafKind::FreezeChanged => {
            Some(read::<ChangedLeaf>(&leaf.payload)?.operation)
        }
        LeafKind::ProposalClosed => Some(Operation::ProposalCancel),
        LeafKind::JobOpened => Some(read::<JobOpenedLeaf>(&leaf.payload)?.operation),
        LeafKind::JobChanged => Some(read::<JobChangedLeaf>(&leaf.payload)?.operation),
        LeafKind::CardsChanged => Some(read::<CardsChangedLeaf>(&leaf.payload)?.operation),
        LeafKind::JobItemsAdded => Some(Operation::JobItems),
        LeafKind::IncidentReported => Some(Operation::JobIncident),
        LeafKind::CardKeysDerived => Some(Operation::CardDerive),
        LeafKind::ValueUpdated => Some(Operation::ValueUpdate),
        _ => None,
    }
}

pub(super) fn read<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Option<T> {
    cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).ok()
}
