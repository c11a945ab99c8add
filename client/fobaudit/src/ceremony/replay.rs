//! What an exported log holds that a ceremony's transcript speaks of, up to the leaf that anchors the transcript.
//!
//! A visitor beside the checks, which judge the log itself; it follows the state once more and remembers proposals, votes,
//! acts, components, keys and policies. It judges nothing.

use super::wanted::{Wanted, idem_of};
use crate::{
    checks::{Agreement, People, Sight, change_of, decode, request_of, said},
    finding::{Findings, Problem},
    founding_check::Founded,
    walk::{Leaf, Visitor},
};
use keysvc_protocol::{
    bytes::{Digest, Idem, ProposalId},
    cbor::{self, REQUEST_LEN_MAX},
    ceremony::Step,
    control::{Change, Control, Roster},
    hash::sha256,
    key::{KeyRecord, KeyState},
    leaf::{
        ActByQuorumLeaf, ChangedLeaf, FoundingLeaf, KeyOutcomeLeaf, LeafEntry, LeafKind, ProposalMadeLeaf,
        ProposalVotedLeaf,
    },
    name::Name,
    proposal::Proposal,
    quorum::Verdict,
    request::{GiveComponent, Operation, RecordCeremony},
    trust::TrustDomain,
};
use std::collections::{BTreeMap, BTreeSet};

/// How far the ceremony machine's clock may be from the log's: 5 minutes, as the service's own two clocks may.
pub(super) const DRIFT_MAX_MS: u64 = 5 * 60 * 1000;

/// How far it may be at most: 24 hours, after which it tells nothing of when a step was done.
pub(super) const CLOCK_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// Where something stands in the log, and when: milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) leaf: u64,
    pub(super) time_ms: u64,
}

impl Place {
    const fn of(entry: &LeafEntry) -> Self {
        Self { leaf: entry.index, time_ms: entry.time_ms }
    }
}

/// A proposal, and what became of it.
#[derive(Debug)]
pub(super) struct Asked {
    /// Its identifier.
    pub(super) id: ProposalId,
    /// Where it was made.
    pub(super) at: Place,
    /// Who asked.
    pub(super) requester: Name,
    /// What for.
    pub(super) operation: Operation,
    /// The idempotency key of the request.
    pub(super) idem: Option<Idem>,
    /// The change that the request asks for.
    pub(super) change: Option<Change>,
    /// The request as a sentence.
    pub(super) sentence: Option<String>,
    /// SHA-256 of the proposal's bytes.
    pub(super) digest: Digest,
    /// Who approved, and where.
    pub(super) votes: Vec<(Name, Place)>,
    /// The act.
    pub(super) act: Option<Done>,
}

/// An act.
#[derive(Debug)]
pub(super) struct Done {
    /// Where it stands.
    pub(super) at: Place,
    /// Whose approvals its evidence holds.
    pub(super) people: BTreeSet<Name>,
    /// The version of the key that it ordered.
    pub(super) version: Option<u32>,
}

/// A component that was given.
#[derive(Debug)]
pub(super) struct Given {
    /// Where it stands.
    pub(super) at: Place,
    /// Who gave it.
    pub(super) by: Name,
    /// What they signed.
    pub(super) request: GiveComponent,
}

/// The leaf that anchors a transcript, and who was enrolled then.
#[derive(Debug)]
pub(super) struct Anchor {
    /// Where it stands.
    pub(super) at: Place,
    /// Who recorded it.
    pub(super) by: Name,
    /// What they signed.
    pub(super) request: RecordCeremony,
}

/// The replay.
#[derive(Debug)]
pub(super) struct Replay {
    wanted: Wanted,
    people: People,
    /// The trust domain of the log.
    pub(super) domain: TrustDomain,
    /// Its genesis digest.
    pub(super) genesis: Digest,
    /// The proposals that the transcript names, and those that steps of its plan made.
    pub(super) asked: BTreeMap<ProposalId, Asked>,
    /// The components that were given for such proposals, by their leaves.
    pub(super) given: BTreeMap<u64, Given>,
    /// The keys with their records as made, by name and version, with the leaf.
    pub(super) keys: BTreeMap<(Name, u32), (u64, KeyRecord)>,
    states: BTreeMap<(Name, u32), Vec<(u64, KeyState)>>,
    policies: Vec<(u64, Digest)>,
    /// The last leaf from before the ceremony.
    pub(super) before: u64,
    /// The officers who signed the founding file.
    pub(super) founders: BTreeSet<Name>,
    /// SHA-256 of the founding file.
    pub(super) founding: Option<Digest>,
    /// The leaf that anchors the transcript.
    pub(super) anchor: Option<Anchor>,
    // Who was enrolled at the anchor, and how far the state was known there.
    at_anchor: Option<(Roster, Sight)>,
    /// The leaves that anchor other transcripts of the same plan, with their digests, in the whole log.
    pub(super) other_anchors: Vec<(u64, Digest)>,
}

impl Replay {
    /// The replay of the log that this founding began.
    pub(super) fn new(founded: &Founded, wanted: Wanted) -> Self {
        let record = |key: &KeyRecord| ((key.name.clone(), key.version), (0, key.clone()));
        let mut replay = Self {
            wanted,
            people: People::found(founded),
            domain: founded.founding.trust_domain.clone(),
            genesis: founded.genesis,
            asked: BTreeMap::new(),
            given: BTreeMap::new(),
            keys: founded.keys.iter().map(record).collect(),
            states: BTreeMap::new(),
            policies: Vec::new(),
            before: 0,
            founders: founded.founding.officers.iter().map(|officer| officer.name.clone()).collect(),
            founding: None,
            anchor: None,
            at_anchor: None,
            other_anchors: Vec::new(),
        };
        replay.remember(0);
        replay
    }

    /// Who was enrolled where the replay ended: at the anchor, where there is one.
    pub(super) fn roster(&self) -> &Roster {
        self.at_anchor.as_ref().map_or_else(|| self.people.control().roster(), |(roster, _)| roster)
    }

    /// From which leaf on something that matters is withheld.
    pub(super) fn withheld(&self) -> Option<u64> {
        match self.at_anchor.as_ref().map_or_else(|| self.people.sight(), |(_, sight)| *sight) {
            Sight::Whole => None,
            Sight::Part(leaf) | Sight::Lost(leaf) => Some(leaf),
        }
    }

    /// The states that a key had after the leaf `from` and before the leaf `to`.
    pub(super) fn states(&self, key: &(Name, u32), (from, to): (u64, u64)) -> Vec<KeyState> {
        self.states.get(key).map(|history| within(history, from, to)).unwrap_or_default()
    }

    /// The policies in force after the leaf `from` and before the leaf `to`.
    pub(super) fn policies(&self, (from, to): (u64, u64)) -> Vec<Digest> {
        within(&self.policies, from, to)
    }

    /// Takes over what changed at a leaf of keys and policies.
    fn remember(&mut self, leaf: u64) {
        let control = self.people.control();
        for (name, version, key) in control.keys().iter() {
            let history = self.states.entry((name.clone(), version)).or_default();
            if history.last().is_none_or(|(_, state)| *state != key.state) {
                history.push((leaf, key.state));
            }
        }
        let policy = *control.policy();
        if self.policies.last().is_none_or(|(_, last)| *last != policy) {
            self.policies.push((leaf, policy));
        }
    }

    fn proposed(&mut self, entry: &LeafEntry, leaf: &ProposalMadeLeaf) {
        let Ok(proposal) = Proposal::decode(leaf.proposal.as_bytes()) else { return };
        let request = &proposal.request;
        let control = self.people.control();
        let payload = request_of(control, &request.requester, request.operation, &request.statement);
        let idem = payload.and_then(|payload| idem_of(request.operation, payload));
        if !self.wanted.holds(&proposal.id, idem) {
            return;
        }
        let asked = Asked {
            idem,
            id: proposal.id,
            at: Place::of(entry),
            requester: request.requester.clone(),
            operation: request.operation,
            sentence: said(control, &request.requester, request.operation, &request.statement),
            digest: Proposal::digest_of(leaf.proposal.as_bytes()),
            change: change_of(control, &request.requester, request.operation, &request.statement),
            votes: Vec::new(),
            act: None,
        };
        // A second proposal of one identifier is a finding of the log's own verification.
        self.asked.entry(proposal.id).or_insert(asked);
    }

    /// Takes a vote, as the state stands before it.
    fn voted(&mut self, entry: &LeafEntry, leaf: &ProposalVotedLeaf) {
        let Some(asked) = self.asked.get_mut(&leaf.proposal) else { return };
        let control = self.people.control();
        let approval = leaf.approval.as_bytes();
        let voter = control.judged_vote(entry.time_ms, &leaf.proposal, leaf.verdict, approval);
        if let (Ok((voter, _)), Verdict::Approve) = (voter, leaf.verdict) {
            asked.votes.push((voter, Place::of(entry)));
        }
    }

    /// The act of a wanted proposal, as the state stands before it; which key it orders is known after it.
    fn done(&self, entry: &LeafEntry, act: &ActByQuorumLeaf) -> Option<(ProposalId, Done)> {
        let proposal = Proposal::decode(act.evidence.proposal.as_bytes()).ok()?;
        if !self.asked.contains_key(&proposal.id) {
            return None;
        }
        let agreement = Agreement::of(self.people.control(), act, &proposal);
        let people = agreement.people.into_iter().map(|(name, _)| name).collect();
        Some((proposal.id, Done { at: Place::of(entry), people, version: None }))
    }

    /// Takes down a record of another transcript of the same plan.
    fn anchors_other(&mut self, entry: &LeafEntry, request: &RecordCeremony) {
        if request.plan == self.wanted.plan && request.transcript != self.wanted.transcript {
            self.other_anchors.push((entry.index, request.transcript));
        }
    }

    fn alone(&mut self, entry: &LeafEntry, leaf: &ChangedLeaf) {
        let control = self.people.control();
        let by = || leaf.principal.clone();
        match leaf.operation {
            Operation::ComponentGive => {
                let Some(request) = signed::<GiveComponent>(control, leaf) else { return };
                if self.asked.contains_key(&request.proposal) {
                    self.given.insert(entry.index, Given { at: Place::of(entry), by: by(), request });
                }
            }
            Operation::CeremonyRecord => {
                let Some(request) = signed::<RecordCeremony>(control, leaf) else { return };
                if request.transcript == self.wanted.transcript {
                    self.at_anchor = Some((control.roster().clone(), self.people.sight()));
                    self.anchor = Some(Anchor { at: Place::of(entry), by: by(), request });
                } else {
                    self.anchors_other(entry, &request);
                }
            }
            _ => {}
        }
    }
}

/// What held within a part of the log: what stood after its first leaf, and what came later.
fn within<T: Copy>(history: &[(u64, T)], from: u64, to: u64) -> Vec<T> {
    let before = history.iter().rev().find(|(leaf, _)| *leaf <= from);
    let later = history.iter().filter(|(leaf, _)| (from.saturating_add(1)..to).contains(leaf));
    before.into_iter().chain(later).map(|(_, what)| *what).collect()
}

fn signed<T: serde::Serialize + serde::de::DeserializeOwned>(
    control: &Control,
    leaf: &ChangedLeaf,
) -> Option<T> {
    let payload = request_of(control, &leaf.principal, leaf.operation, &leaf.statement)?;
    cbor::decode(payload, REQUEST_LEN_MAX).ok()
}

impl Visitor for Replay {
    fn visit(&mut self, leaf: &Leaf<'_>, _: &mut Findings) {
        let entry = leaf.entry;
        // What comes after the anchor is not the ceremony's, but for another transcript of its plan.
        if self.anchor.is_some() {
            if let (LeafKind::SiteChanged, Some(payload)) = (entry.kind, leaf.payload)
                && let Ok(changed) = decode::<ChangedLeaf>(payload)
                && changed.operation == Operation::CeremonyRecord
                && let Some(request) = signed::<RecordCeremony>(self.people.control(), &changed)
            {
                self.anchors_other(entry, &request);
            }
            let _: Result<(), Problem> = self.people.take(leaf);
            return;
        }
        if entry.time_ms <= self.wanted.before_ms {
            self.before = entry.index;
        }
        let mut act = None;
        match (entry.kind, leaf.payload) {
            (LeafKind::Founding, Some(payload)) => {
                let founding = decode::<FoundingLeaf>(payload).ok();
                self.founding = founding.map(|leaf| sha256(&[leaf.founding.as_bytes()]));
            }
            (LeafKind::ProposalMade, Some(payload)) => {
                if let Ok(made) = decode(payload) {
                    self.proposed(entry, &made);
                }
            }
            (LeafKind::ProposalVoted, Some(payload)) => {
                if let Ok(voted) = decode(payload) {
                    self.voted(entry, &voted);
                }
            }
            (LeafKind::ActByQuorum, _) => act = leaf.act.and_then(|leaf| self.done(entry, leaf)),
            (LeafKind::SiteChanged, Some(payload)) => {
                if let Ok(changed) = decode(payload) {
                    self.alone(entry, &changed);
                }
            }
            (LeafKind::KeyOutcome, Some(payload)) => {
                if let Ok(KeyOutcomeLeaf { key, .. }) = decode(payload) {
                    self.keys.insert((key.name.clone(), key.version), (entry.index, key));
                }
            }
            _ => {}
        }
        // Whether it holds is for the log's own verification to say.
        let _: Result<(), Problem> = self.people.take(leaf);
        if let Some((id, done)) = act
            && let Some(asked) = self.asked.get_mut(&id)
        {
            let version = self.people.control().keys().order(entry.index).map(|order| order.version);
            asked.act.get_or_insert(Done { version, ..done });
        }
        let changes = matches!(
            entry.kind,
            LeafKind::SiteChanged | LeafKind::ActByQuorum | LeafKind::KeyOutcome | LeafKind::TookEffect
        );
        if changes {
            self.remember(entry.index);
        }
    }
}

/// The name and version of the key that a step is about, as far as the plan and the acts tell.
pub(super) fn key_of(step: &Step, asked: Option<&Asked>) -> Option<(Name, u32)> {
    use keysvc_protocol::ceremony::Activity;
    match step.activity.as_ref()? {
        Activity::KeyShow { name, version, .. }
        | Activity::KeyActivate { name, version }
        | Activity::KeyRetire { name, version } => Some((name.clone(), *version)),
        Activity::KeyCreate { name, .. } | Activity::KeyImport { name, .. } => {
            Some((name.clone(), asked?.act.as_ref()?.version?))
        }
        _ => None,
    }
}
