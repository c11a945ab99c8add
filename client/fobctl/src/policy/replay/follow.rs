//! The site as it stood at a leaf: who was enrolled, which keys, profiles and thresholds, followed from the founding by the
//! state machine that the service asks before it writes.

use super::log::{ExportedLog, Leaf};
use crate::fault::Fault;
use keysvc_client::protocol::{
    cbor,
    control::{At, Control},
    leaf::{LeafKind, ProposalClosedLeaf, RetentionClass},
    receipt::LEAF_PAYLOAD_LEN_MAX,
    refusal::Refusal,
};

/// The state, as far as what is in the export tells it.
#[derive(Debug)]
pub(super) struct Followed {
    control: Control,
    // Set once a proposal, vote or freeze was withheld: from there on acts are judged by their own evidence. Whom the
    // policies are told of, and which keys and profiles there are, is permanent and stays known.
    part: bool,
}

impl Followed {
    /// The state that the founding makes.
    ///
    /// # Errors
    /// [`Fault::Unproved`] when a key in the founding is none.
    pub(super) fn found(log: &ExportedLog) -> Result<Self, Fault> {
        let (founding, leaf) = log.founding();
        let control = Control::found(founding.clone(), leaf, *log.genesis());
        Ok(Self { control: control.map_err(|why| log.unproved(&why))?, part: false })
    }

    /// The state before the next leaf.
    pub(super) const fn control(&self) -> &Control {
        &self.control
    }

    /// Takes the next leaf.
    ///
    /// # Errors
    /// Why it is none that the rules allow, or why nothing can be followed from here.
    pub(super) fn take(&mut self, leaf: &Leaf) -> Result<(), String> {
        let &Leaf { index, time_ms, kind, ref payload } = leaf;
        if !Control::concerns(kind) {
            return Ok(());
        }
        let Some(payload) = payload else { return self.not_seen(kind) };
        if !self.can_follow(kind, payload) {
            return Ok(());
        }
        match self.control.apply(At { index, time_ms }, kind, payload) {
            Err(why) if !self.may_be_unknown(&why) => Err(format!("the rules do not allow it: {why}")),
            _ => Ok(()),
        }
    }

    fn not_seen(&mut self, kind: LeafKind) -> Result<(), String> {
        if kind == LeafKind::Heartbeat {
            return Ok(());
        }
        if kind.class() == RetentionClass::Permanent {
            return Err("its payload is withheld, and without it nothing later can be followed".to_owned());
        }
        if !self.part {
            self.control = self.control.clone().from_evidence_alone();
            self.part = true;
        }
        Ok(())
    }

    fn can_follow(&self, kind: LeafKind, payload: &[u8]) -> bool {
        match kind {
            LeafKind::ProposalMade | LeafKind::ProposalVoted => !self.part,
            LeafKind::ProposalClosed if self.part => {
                let closed = cbor::decode::<ProposalClosedLeaf>(payload, LEAF_PAYLOAD_LEN_MAX);
                closed.is_ok_and(|closed| self.control.waiting_for(&closed.proposal).is_some())
            }
            _ => true,
        }
    }

    /// Whether a refusal may come from what is withheld.
    const fn may_be_unknown(&self, why: &Refusal) -> bool {
        self.part && matches!(why, Refusal::NotFound { .. } | Refusal::StateConflict { .. })
    }
}
