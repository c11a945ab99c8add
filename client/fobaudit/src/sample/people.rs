//! What takes people, in the sample log: proposals, votes, acts, and what one officer does alone.
//!
//! Each step is a leaf of its own that a test can leave out, repeat or bend.

use super::{ALICE, BEGIN_MS, BOB, Sample, TERMINAL_KEY, TestKey, later_key};
use keysvc_protocol::{
    bytes::{Blob, Boot, Digest, Idem, ProposalId},
    cbor,
    checkpoint::SignedCheckpoint,
    control::{Draft, Moment, bytes_of},
    cose::{Kind, Signed},
    evidence::{EvidenceFile, ProvenLeaf},
    founding::PrincipalKind,
    freeze::Scope,
    key::{KeyKind, KeyRecord, KeyState},
    leaf::{
        ActByQuorumLeaf, ChangedLeaf, HeartbeatLeaf, KeyIntentLeaf, KeyOutcomeLeaf, LeafKind,
        ProposalMadeLeaf, ProposalVotedLeaf, TookEffectLeaf, ValueUpdatedLeaf,
    },
    list::List,
    merkle::{Frontier, Nodes, ProofError, inclusion_proof, leaf_hash},
    proposal::{Evidence, Proposal, Proposed},
    quorum::{Approval, Need, Verdict},
    request::{
        ActivateKey, CompromiseKey, CreateKey, DestroyKey, DisablePrincipal, Enrolment, LiftFreeze,
        Operation, SetFreeze, UpdateValue,
    },
    schema::Schema,
    value::ValueUpdate,
};
use serde::Serialize;

/// Three days, the longest life of a proposal.
const LIFE_MS: u64 = 72 * 3_600_000;

/// Two people.
pub(crate) fn two() -> Need {
    Need::of(2)
}

/// A principal of the cafe, with keys of this seed.
pub(crate) fn enrolment(id: &str, kind: PrincipalKind, seed: u8) -> Enrolment {
    Enrolment {
        schema: Schema,
        id: id.parse().unwrap(),
        kind,
        group: "cafe".parse().unwrap(),
        capabilities: List::default(),
        tls_key: Digest::new([seed; 32]),
        statement_key: Some(Blob::try_from(TestKey::new(seed).public().spki().to_vec()).unwrap()),
        wrapping_key: None,
    }
}

impl Sample {
    /// The moment of the next leaf, on a machine that started with the log.
    pub(crate) fn moment(&self) -> Moment {
        let wall_ms = self.next_time();
        Moment { wall_ms, boot: Boot::new([1; 16]), up_ms: wall_ms - BEGIN_MS }
    }

    /// A request that the key of this seed signed.
    pub(crate) fn proposed<T: Serialize>(
        &self,
        (requester, seed): (&str, u8),
        operation: Operation,
        request: &T,
    ) -> Proposed {
        let requester = requester.parse().unwrap();
        Proposed { operation, requester, statement: self.statement(seed, operation, request) }
    }

    /// The proposal of a request, as the service would make it at the next leaf.
    pub(crate) fn drafted(&self, request: Proposed, need: Option<Need>) -> Proposal {
        let id = ProposalId::new(u128::from(self.next_index()).to_be_bytes());
        let draft = Draft { id, request, need, life_ms: LIFE_MS };
        self.control.as_ref().unwrap().draft(draft, self.next_time()).unwrap()
    }

    /// Appends a proposal and gives its bytes.
    pub(crate) fn propose(&mut self, proposal: &Proposal) -> Vec<u8> {
        let bytes = bytes_of(proposal).unwrap();
        self.push(LeafKind::ProposalMade, &ProposalMadeLeaf { schema: Schema, proposal: bytes.clone() });
        bytes.into_bytes()
    }

    /// The verdict on a proposal by the key of this seed.
    pub(crate) fn approval(&self, proposal: &[u8], verdict: Verdict, seed: u8) -> Vec<u8> {
        let approval = Approval {
            schema: Schema,
            proposal: Proposal::digest_of(proposal),
            verdict,
            signed_at_ms: self.next_time(),
            nonce: Idem::new([seed; 16]),
        };
        TestKey::new(seed).sign(Kind::Approval, self.genesis().as_bytes(), cbor::encode(&approval))
    }

    /// Appends the approval of a proposal by the key of this seed, and gives it.
    pub(crate) fn approve(&mut self, proposal: &[u8], seed: u8) -> Vec<u8> {
        let approval = self.approval(proposal, Verdict::Approve, seed);
        let leaf = ProposalVotedLeaf {
            schema: Schema,
            proposal: Proposal::decode(proposal).unwrap().id,
            verdict: Verdict::Approve,
            approval: Blob::try_from(approval.clone()).unwrap(),
        };
        self.push(LeafKind::ProposalVoted, &leaf);
        approval
    }

    /// A proposal with its approvals.
    pub(crate) fn evidence(proposal: &[u8], approvals: &[Vec<u8>]) -> Evidence {
        let approvals: Vec<_> =
            approvals.iter().map(|approval| Blob::try_from(approval.clone()).unwrap()).collect();
        Evidence {
            schema: Schema,
            proposal: Blob::try_from(proposal.to_vec()).unwrap(),
            approvals: approvals.try_into().unwrap(),
        }
    }

    /// The leaf of an act.
    pub(crate) fn act_leaf<T: Serialize>(
        &self,
        evidence: Evidence,
        kind: LeafKind,
        act: &T,
    ) -> ActByQuorumLeaf {
        let act = Blob::try_from(cbor::encode(act)).unwrap();
        ActByQuorumLeaf { schema: Schema, evidence, moment: self.moment(), kind, act }
    }

    /// The change that a request asks for.
    pub(crate) fn changed(request: &Proposed) -> ChangedLeaf {
        ChangedLeaf {
            schema: Schema,
            principal: request.requester.clone(),
            operation: request.operation,
            statement: request.statement.clone(),
        }
    }

    /// Appends a request, both officers' approvals and the act, and gives the act's leaf.
    pub(crate) fn agreed<T: Serialize>(&mut self, operation: Operation, request: &T) -> u64 {
        let request = self.proposed(("alice", ALICE), operation, request);
        let proposal = self.drafted(request.clone(), None);
        let bytes = self.propose(&proposal);
        let approvals = [ALICE, BOB].map(|seed| self.approve(&bytes, seed));
        self.act(&request, &bytes, &approvals)
    }

    /// Appends the act of a request that people approved, and gives its leaf.
    pub(crate) fn act(&mut self, request: &Proposed, proposal: &[u8], approvals: &[Vec<u8>]) -> u64 {
        let operation = request.operation;
        let kind = match operation {
            Operation::FreezeLift => LeafKind::FreezeChanged,
            _ => LeafKind::SiteChanged,
        };
        let leaf = self.act_leaf(Self::evidence(proposal, approvals), kind, &Self::changed(request));
        self.push(kind.by_quorum(), &leaf)
    }

    /// Appends a freeze by alice alone.
    pub(crate) fn freeze(&mut self, scope: Scope) -> u64 {
        let idem = Idem::new(u128::from(self.next_index()).to_be_bytes());
        let request = SetFreeze { schema: Schema, idem, scope, reason: "reported lost".parse().unwrap() };
        let request = self.proposed(("alice", ALICE), Operation::FreezeSet, &request);
        self.push(LeafKind::FreezeChanged, &Self::changed(&request))
    }

    /// Appends what lifts a freeze, and gives the act's leaf.
    pub(crate) fn lift(&mut self, scope: Scope) -> u64 {
        let idem = Idem::new(u128::from(self.next_index()).to_be_bytes());
        let request = LiftFreeze { schema: Schema, idem, scope, reason: "found again".parse().unwrap() };
        self.agreed(Operation::FreezeLift, &request)
    }

    /// Appends a heartbeat.
    pub(crate) fn heartbeat(&mut self) -> u64 {
        let control = self.control.as_ref().unwrap().digest();
        let leaf = HeartbeatLeaf { schema: Schema, moment: self.moment(), control };
        self.push(LeafKind::Heartbeat, &leaf)
    }

    /// Appends that what waits under a leaf is in force.
    pub(crate) fn take_effect(&mut self, act: u64, time_ms: u64) -> u64 {
        let moment = Moment { wall_ms: time_ms, boot: Boot::new([1; 16]), up_ms: time_ms - BEGIN_MS };
        self.push_at(time_ms, LeafKind::TookEffect, &TookEffectLeaf { schema: Schema, act, moment })
    }

    /// The order of the next version of a key.
    pub(crate) fn order(&self, name: &str, kind: KeyKind) -> CreateKey {
        let idem = Idem::new(u128::from(self.next_index()).to_be_bytes());
        CreateKey { schema: Schema, idem, name: name.parse().unwrap(), kind }
    }

    /// Appends the intent and outcome of a key of this seed.
    pub(crate) fn make(&mut self, name: &str, version: u32, seed: u8) -> KeyRecord {
        let key = KeyRecord { version, state: KeyState::PreActivation, ..later_key(name, seed) };
        let (id, kind) = (key.id, key.kind);
        let intent = KeyIntentLeaf { schema: Schema, id, kind, name: key.name.clone(), version };
        let intent = self.push(LeafKind::KeyIntent, &intent);
        self.push(LeafKind::KeyOutcome, &KeyOutcomeLeaf { schema: Schema, intent, key: key.clone() });
        key
    }

    /// Appends all that puts a new value key into use, ordered and activated by people.
    pub(crate) fn new_value_key(&mut self, name: &str, version: u32, seed: u8) -> KeyRecord {
        let order = self.order(name, KeyKind::ValueSigning);
        self.agreed(Operation::KeyCreate, &order);
        let key = self.make(name, version, seed);
        let idem = Idem::new(u128::from(self.next_index()).to_be_bytes());
        let reason = "tested".parse().unwrap();
        let activate = ActivateKey { schema: Schema, idem, name: key.name.clone(), version, reason };
        self.agreed(Operation::KeyActivate, &activate);
        key
    }

    /// A log with an act of each kind, and stops by one alone: the last act waited a week.
    pub(crate) fn governed() -> Self {
        let mut sample = Self::good();
        sample.heartbeat();
        sample.new_value_key("coffee-value", 2, 42);
        sample.large_load();
        let terminal = Scope::Terminal { name: "terminal-1".parse().unwrap() };
        sample.freeze(terminal.clone());
        sample.lift(terminal);
        sample.large_load();
        let (idem, reason) = (Idem::new([77; 16]), "lost".parse().unwrap());
        let request = DisablePrincipal { schema: Schema, idem, id: "terminal-2".parse().unwrap(), reason };
        let request = sample.proposed(("bob", BOB), Operation::PrincipalDisable, &request);
        sample.push(LeafKind::SiteChanged, &Self::changed(&request));
        let (idem, reason) = (Idem::new([78; 16]), "looked into".parse().unwrap());
        let name = "spare-value".parse().unwrap();
        let request = CompromiseKey { schema: Schema, idem, name, version: 1, reason };
        let request = sample.proposed(("bob", BOB), Operation::KeyCompromise, &request);
        sample.push(LeafKind::SiteChanged, &Self::changed(&request));
        let (idem, reason) = (Idem::new([79; 16]), "out of use".parse().unwrap());
        let name = "spare-value".parse().unwrap();
        let request = DestroyKey { schema: Schema, idem, name, version: 1, reason };
        let act = sample.agreed(Operation::KeyDestroy, &request);
        sample.take_effect(act, sample.next_time() + 8 * 86_400_000);
        sample
    }

    /// The request of the next load.
    fn load(&self) -> (UpdateValue, ValueUpdatedLeaf) {
        let leaf = self.update_leaf(TERMINAL_KEY, |_| {});
        let update = ValueUpdate::from_payload(leaf.update.as_bytes()).unwrap();
        let request = UpdateValue {
            schema: Schema,
            programme: update.programme,
            card: update.card,
            purse: update.purse,
            operation: update.operation,
            expected_seq: update.seq,
            amount: update.amount,
            currency: update.currency,
            balance_before: update.balance_before,
            txn: update.txn,
        };
        (request, leaf)
    }

    /// Appends a proposal to load value and the approvals by these seeds; gives its bytes, the approvals and the request.
    pub(crate) fn load_agreed(&mut self, seeds: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>, Proposed) {
        let (request, _) = self.load();
        let request = self.proposed(("terminal-1", TERMINAL_KEY), Operation::ValueUpdate, &request);
        let need = Need { departments: 2, ..two() };
        let bytes = self.propose(&self.drafted(request.clone(), Some(need)));
        let approvals = seeds.iter().map(|seed| self.approve(&bytes, *seed)).collect();
        (bytes, approvals, request)
    }

    /// The update of a load that was agreed, with the digest of its evidence.
    pub(crate) fn load_done(&self, request: &Proposed, evidence: &Evidence) -> ValueUpdatedLeaf {
        // The request was made some leaves earlier, so its number is the one that the proposal holds.
        let asked = Signed::parse(request.statement.0.as_bytes()).unwrap();
        let key = TestKey::new(TERMINAL_KEY).public();
        let genesis = self.genesis();
        let payload = asked.open(Kind::Request(Operation::ValueUpdate), genesis.as_bytes(), &key).unwrap();
        let asked: UpdateValue = cbor::decode(payload, 512).unwrap();
        let leaf = self.update_leaf(TERMINAL_KEY, |update| {
            update.txn = asked.txn;
            update.evidence = Some(evidence.digest());
        });
        ValueUpdatedLeaf { statement: request.statement.clone(), ..leaf }
    }

    /// Appends a load that two people agreed to, and gives its act's leaf.
    pub(crate) fn large_load(&mut self) -> u64 {
        let (bytes, approvals, request) = self.load_agreed(&[ALICE, BOB]);
        let evidence = Self::evidence(&bytes, &approvals);
        let done = self.load_done(&request, &evidence);
        self.last_update = done.update.as_bytes().to_vec();
        let leaf = self.act_leaf(evidence, LeafKind::ValueUpdated, &done);
        self.push(LeafKind::SealedActByQuorum, &leaf)
    }

    /// The record that the value key of this seed signs for the last update, which took people.
    pub(crate) fn approved_record(&self, seed: u8) -> Vec<u8> {
        let kind = Kind::ApprovedValueUpdate;
        TestKey::new(seed).sign(kind, self.genesis().as_bytes(), self.last_update.clone())
    }

    /// The evidence file of the act of a leaf, with these leaves between leaf 0 and it.
    pub(crate) fn evidence_file(&self, between: &[u64], act: u64) -> Vec<u8> {
        let mut tree = Frontier::new();
        let hashes: Vec<_> = self.leaves.iter().map(|leaf| leaf_hash(leaf.entry.as_bytes())).collect();
        for hash in &hashes {
            tree.append(*hash);
        }
        let nodes = Hashes(hashes);
        let proven = [0].iter().chain(between).chain([&act]).map(|index| ProvenLeaf {
            leaf: self.leaves[usize::try_from(*index).unwrap()].clone(),
            inclusion: inclusion_proof(&nodes, *index, tree.size()).unwrap(),
        });
        cbor::encode(&EvidenceFile {
            schema: Schema,
            checkpoint: SignedCheckpoint::parse(&self.note()).unwrap(),
            leaves: proven.collect::<Vec<_>>().try_into().unwrap(),
        })
    }

    /// The payload of a leaf, decoded.
    pub(crate) fn payload<T: Serialize + serde::de::DeserializeOwned>(&self, index: u64) -> T {
        let leaf = &self.leaves[usize::try_from(index).unwrap()];
        crate::checks::decode(leaf.payload.as_ref().unwrap().as_bytes()).unwrap()
    }

    /// Withholds the payload of a leaf.
    pub(crate) fn withhold(&mut self, index: u64) {
        self.leaves[usize::try_from(index).unwrap()].payload = None;
    }
}

/// The hashes of all leaves, as the nodes of their tree.
struct Hashes(Vec<Digest>);

impl Nodes for Hashes {
    type Error = ProofError;
    fn node(&self, level: u8, index: u64) -> Result<Digest, Self::Error> {
        let width = 1_u64 << level;
        let first = usize::try_from(index * width).unwrap();
        let last = usize::try_from((index + 1) * width).unwrap();
        let mut tree = Frontier::new();
        self.0[first..last].iter().for_each(|hash| drop(tree.append(*hash)));
        Ok(tree.root())
    }
}
