//! Evidence files: made from a log, verified with the trust file alone.

use crate::{
    asks::{disable, enrol, key, log, retire, rotate, threshold},
    people::{BEGIN_MS, DAY_MS, Kept, Log, Person, load, name, need},
};
use keysvc_protocol::{
    bytes::{Blob, Digest, Salt},
    cbor,
    checkpoint::{Checkpoint, Origin, SignedCheckpoint},
    evidence::{EvidenceError, EvidenceFile, Proved, ProvenLeaf},
    founding::{Founding, PrincipalKind},
    leaf::{ActByQuorumLeaf, FoundingLeaf, LeafEntry, LeafKind},
    list::List,
    merkle::{Nodes, ProofError, TreeHead, inclusion_proof, leaf_hash, node_hash, root_at},
    proposal::Proposal,
    quorum::{Need, Verdict},
    receipt::LeafEvidence,
    refusal::{Invalid, Refusal, Uncounted},
    request::Operation,
    schema::Schema,
    trust::Trust,
};

const TWO: [&str; 2] = ["officer-1", "officer-2"];
const THREE: [&str; 3] = ["officer-1", "officer-2", "officer-3"];

/// All leaves' hashes, in memory.
struct Tree(Vec<Digest>);

impl Nodes for Tree {
    type Error = ProofError;
    fn node(&self, level: u8, index: u64) -> Result<Digest, ProofError> {
        if level == 0 {
            return self.0.get(usize::try_from(index).unwrap()).copied().ok_or(ProofError::OutOfTree);
        }
        let (left, right) = (self.node(level - 1, 2 * index)?, self.node(level - 1, 2 * index + 1)?);
        Ok(node_hash(&left, &right))
    }
}

fn evidence_of(leaf: &Kept) -> LeafEvidence {
    let salt = Salt::new([6; 16]);
    let entry = LeafEntry {
        schema: Schema,
        index: leaf.at.index,
        time_ms: leaf.at.time_ms,
        kind: leaf.kind,
        payload_digest: LeafEntry::digest_of(&salt, &leaf.payload),
    };
    LeafEvidence {
        entry: Blob::try_from(cbor::encode(&entry)).unwrap(),
        salt: Some(salt),
        payload: Some(Blob::try_from(leaf.payload.clone()).unwrap()),
    }
}

/// The file of these leaves of a log, beside leaf 0.
fn file(log: &Log, chosen: impl Fn(&Kept) -> bool) -> EvidenceFile {
    let first = LeafEvidence {
        entry: Blob::try_from(log.site.entry.clone()).unwrap(),
        salt: Some(log.site.salt),
        payload: Some(Blob::try_from(cbor::encode(&log.site.leaf)).unwrap()),
    };
    let all: Vec<_> = std::iter::once(first).chain(log.leaves.iter().map(evidence_of)).collect();
    let tree = Tree(all.iter().map(|leaf| leaf_hash(leaf.entry.as_bytes())).collect());
    let size = u64::try_from(all.len()).unwrap();
    let head = TreeHead { size, root: root_at(&tree, size).unwrap() };
    let checkpoint = Checkpoint { origin: Origin::of(&log.site.founding.trust_domain, 1), head };
    let signature = (log.site.checkpoint.sign)(checkpoint.text().as_bytes());
    let public = log.site.checkpoint.public;
    let checkpoint = SignedCheckpoint::assemble(&checkpoint, &signature, public.spki());
    let wanted = |index: usize| index == 0 || chosen(&log.leaves[index - 1]);
    let proven = (0..all.len()).filter(|index| wanted(*index)).map(|index| ProvenLeaf {
        leaf: all[index].clone(),
        inclusion: inclusion_proof(&tree, u64::try_from(index).unwrap(), size).unwrap(),
    });
    EvidenceFile { schema: Schema, checkpoint, leaves: List::try_from(proven.collect::<Vec<_>>()).unwrap() }
}

/// The leaves that change officers and thresholds here, and the act.
fn usual(act: u64) -> impl Fn(&Kept) -> bool {
    move |leaf| {
        let acts = matches!(leaf.kind, LeafKind::SiteChanged | LeafKind::ActByQuorum | LeafKind::TookEffect);
        leaf.at.index == act || (acts && leaf.at.index < act)
    }
}

fn verified(log: &Log, file: &EvidenceFile) -> Result<Proved, EvidenceError> {
    file.verify(&log.site.trust(), |leaf| founding(log, leaf))
}

fn founding(log: &Log, leaf: &FoundingLeaf) -> Option<Founding> {
    (leaf.founding.as_bytes() == b"founding").then(|| log.site.founding.clone())
}

/// A log in which officers changed by all ways before a value update was agreed: one rotated, one disabled, a threshold
/// set. The update's leaf comes last but one.
fn eventful() -> (Log, u64) {
    let mut log = log();
    log.heartbeat().unwrap();
    let rotated =
        log.agree("officer-3", Operation::PrincipalRotate, &rotate(63, "officer-3"), &THREE).unwrap();
    log.pass(DAY_MS);
    log.took_effect(rotated).unwrap();
    // With the officers whose keys did not change.
    let others = ["officer-1", "officer-2", "officer-4"];
    let three = threshold(Operation::KeyRetire, need(3));
    let set = log.agree("officer-1", Operation::QuorumSet, &three, &others).unwrap();
    log.pass(DAY_MS);
    log.took_effect(set).unwrap();
    log.alone("officer-1", Operation::PrincipalDisable, &disable("officer-5")).unwrap();
    let machine = enrol(64, "terminal-9", PrincipalKind::Terminal, "acme");
    log.agree("officer-1", Operation::PrincipalEnrol, &machine, &TWO).unwrap();
    let id = log.propose("terminal-1", Operation::ValueUpdate, &load(100)).unwrap();
    let bytes = log.bytes(&id);
    let new = Person { name: name("officer-3"), key: key(63) };
    let approval = log.site.approval(&new, &bytes, Verdict::Approve);
    log.put_vote(&id, Verdict::Approve, approval).unwrap();
    log.vote("officer-4", &id, Verdict::Approve).unwrap();
    let act = log.act(&id).unwrap();
    log.heartbeat().unwrap();
    (log, act)
}

#[test]
fn a_file_proves_who_agreed_though_officers_changed_in_between() {
    let (log, act) = eventful();
    let file = file(&log, usual(act));
    let read = EvidenceFile::read(&cbor::encode(&file)).unwrap();
    assert_eq!(read, file);
    let proved = verified(&log, &read).unwrap();
    let people: Vec<_> = proved.quorum.people().map(ToString::to_string).collect();
    assert_eq!(people, ["officer-3", "officer-4"]);
    assert_eq!((proved.at.index, proved.act.kind), (act, LeafKind::ValueUpdated));
    assert_eq!(proved.proposal.request.requester, name("terminal-1"));
}

#[test]
fn a_change_of_officers_or_thresholds_that_is_left_out_is_told() {
    let (log, act) = eventful();
    let all: Vec<u64> = log.leaves.iter().filter(|leaf| usual(act)(leaf)).map(|leaf| leaf.at.index).collect();
    let (_, changes) = all.split_last().unwrap();
    for left_out in changes {
        let file = file(&log, |leaf| usual(act)(leaf) && leaf.at.index != *left_out);
        let refused = verified(&log, &file);
        let kept = &log.leaves[usize::try_from(left_out - 1).unwrap()];
        // The enrolment of another terminal has nothing to do with it.
        let unrelated = kept.kind == LeafKind::ActByQuorum && left_out == changes.last().unwrap();
        assert_eq!(refused.is_ok(), unrelated, "{left_out} {:?}", kept.kind);
    }
    let alone = file(&log, |leaf| leaf.at.index == act);
    let other = Refusal::ApprovalInvalid { reason: Uncounted::OtherRoster };
    assert_eq!(verified(&log, &alone).unwrap_err(), EvidenceError::Refused(other));
}

#[test]
fn an_altered_byte_anywhere_is_refused() {
    let mut log = log();
    let act = log.agree("officer-1", Operation::KeyRetire, &retire("value-1", 1), &TWO).unwrap();
    log.heartbeat().unwrap();
    let bytes = cbor::encode(&file(&log, usual(act)));
    assert!(verified(&log, &EvidenceFile::read(&bytes).unwrap()).is_ok());
    for place in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[place] ^= 1;
        let refused = EvidenceFile::read(&altered).and_then(|file| verified(&log, &file));
        assert!(refused.is_err(), "byte {place} of {}", bytes.len());
    }
}

#[test]
fn another_logs_trust_file_and_an_incomplete_file_are_refused() {
    let (log, act) = eventful();
    let good = file(&log, usual(act));
    let other = Trust { genesis: Digest::new([1; 32]), ..log.site.trust() };
    assert_eq!(good.verify(&other, |leaf| founding(&log, leaf)), Err(EvidenceError::OtherLog));
    let elsewhere = Trust { domain: "other.keysvc.test".parse().unwrap(), ..log.site.trust() };
    let refused = good.verify(&elsewhere, |leaf| founding(&log, leaf));
    assert!(matches!(refused, Err(EvidenceError::Checkpoint(_))));
    assert_eq!(good.verify(&log.site.trust(), |_| None), Err(EvidenceError::Founding));
    let with = |change: &dyn Fn(&mut Vec<ProvenLeaf>)| {
        let mut leaves = good.leaves.to_vec();
        change(&mut leaves);
        EvidenceFile { leaves: List::try_from(leaves).unwrap(), ..good.clone() }
    };
    for incomplete in [
        with(&|leaves| leaves.truncate(1)),
        with(&|leaves| leaves.clear()),
        with(&|leaves| leaves.insert(3, leaves[1].clone())),
        with(&|leaves| leaves.insert(1, leaves[1].clone())),
        with(&|leaves| {
            let leaf = &mut leaves.last_mut().unwrap().leaf;
            (leaf.salt, leaf.payload) = (None, None);
        }),
    ] {
        assert_eq!(verified(&log, &incomplete), Err(EvidenceError::Incomplete));
    }
    // A good file's leaves with another leaf's proof.
    let swapped = with(&|leaves| leaves[1].inclusion = leaves[2].inclusion.clone());
    assert!(matches!(verified(&log, &swapped), Err(EvidenceError::NotIncluded(_))));
    let unproven = with(&|leaves| leaves[0].inclusion = leaves[1].inclusion.clone());
    assert!(matches!(verified(&log, &unproven), Err(EvidenceError::NotIncluded(_))));
    let last_is_no_act = file(&log, |leaf| leaf.kind == LeafKind::SiteChanged);
    assert_eq!(verified(&log, &last_is_no_act), Err(EvidenceError::Incomplete));
}

/// What a service would write that does not ask its state: an act of any content, in a log of its own.
fn lying(
    change: impl Fn(&mut Log, &mut Proposal),
    act: impl Fn(&mut Log, &mut ActByQuorumLeaf),
) -> EvidenceError {
    let mut log = log();
    log.pass(1_000);
    let draft = log.draft("officer-1", Operation::QuorumSet, &threshold(Operation::KeyRetire, need(4)));
    let mut proposal = log.control.draft(draft, log.now_ms).unwrap();
    change(&mut log, &mut proposal);
    let bytes = cbor::encode(&proposal);
    let approvals = THREE[..usize::from(proposal.need.persons.min(3))].iter();
    let approvals = approvals.map(|by| log.site.approval(log.site.person(by), &bytes, Verdict::Approve));
    let evidence = keysvc_protocol::proposal::Evidence {
        schema: Schema,
        approvals: List::try_from(approvals.collect::<Vec<_>>()).unwrap(),
        proposal: Blob::try_from(bytes).unwrap(),
    };
    let (kind, mut leaf) = log.act_of(evidence);
    act(&mut log, &mut leaf);
    let at = keysvc_protocol::control::At { index: 1, time_ms: log.now_ms };
    log.leaves.push(Kept { at, kind, payload: cbor::encode(&leaf) });
    let refused = verified(&log, &file(&log, |_| true));
    assert_eq!(
        refused.is_err(),
        log.control.from_evidence_alone().apply(at, kind, &cbor::encode(&leaf)).is_err()
    );
    refused.map(drop).err().unwrap_or(EvidenceError::Incomplete)
}

#[test]
fn a_file_of_a_service_that_did_not_ask_its_own_state_proves_nothing() {
    let uncounted = |reason| EvidenceError::Refused(Refusal::ApprovalInvalid { reason });
    assert_eq!(lying(|_, _| (), |_, _| ()), EvidenceError::Incomplete, "the honest one is good");
    // Two where three are the least.
    let below = lying(|_, proposal| proposal.need = Need::of(2), |_, _| ());
    assert_eq!(below, uncounted(Uncounted::BelowFloor));
    let fewer = |log: &mut Log, leaf: &mut ActByQuorumLeaf| {
        let mut approvals = leaf.evidence.approvals.to_vec();
        approvals.truncate(2);
        leaf.evidence.approvals = List::try_from(approvals).unwrap();
        log.pass(1);
    };
    assert_eq!(lying(|_, _| (), fewer), uncounted(Uncounted::TooFew));
    let twice = |_: &mut Log, leaf: &mut ActByQuorumLeaf| {
        let mut approvals = leaf.evidence.approvals.to_vec();
        approvals[2] = approvals[1].clone();
        leaf.evidence.approvals = List::try_from(approvals).unwrap();
    };
    assert_eq!(lying(|_, _| (), twice), EvidenceError::Refused(Refusal::SamePerson));
    // Another act than was agreed to.
    let other = |log: &mut Log, leaf: &mut ActByQuorumLeaf| {
        let act = log.changed("officer-1", Operation::QuorumSet, &threshold(Operation::KeyRetire, need(2)));
        leaf.act = Blob::try_from(cbor::encode(&act)).unwrap();
    };
    assert_eq!(lying(|_, _| (), other), uncounted(Uncounted::OtherProposal));
    // A request that its requester did not sign.
    let unsigned = lying(|_, proposal| proposal.request.requester = name("officer-2"), |_, _| ());
    assert_eq!(unsigned, EvidenceError::Refused(Refusal::Invalid { reason: Invalid::Signature }));
    let elsewhere = lying(|_, proposal| proposal.genesis = Digest::new([1; 32]), |_, _| ());
    assert_eq!(elsewhere, uncounted(Uncounted::OtherLog));
    let late = lying(|_, _| (), |log, _| log.pass(4 * DAY_MS));
    assert_eq!(late, EvidenceError::Refused(Refusal::Expired));
    let early = lying(|_, _| (), |log, _| log.now_ms = BEGIN_MS);
    assert_eq!(early, EvidenceError::Refused(Refusal::Expired));
    let eternal = lying(|_, proposal| proposal.expires_ms = u64::MAX, |_, _| ());
    assert_eq!(eternal, EvidenceError::Refused(Refusal::Invalid { reason: Invalid::Time }));
}

#[test]
fn a_disabled_officer_is_not_among_those_who_could_agree() {
    let mut log = log();
    log.alone("officer-1", Operation::PrincipalDisable, &disable("officer-2")).unwrap();
    let id = log.propose("officer-1", Operation::KeyRetire, &retire("value-1", 1)).unwrap();
    let disabled = Err(Refusal::ApprovalInvalid { reason: Uncounted::Disabled });
    assert_eq!(log.vote("officer-2", &id, Verdict::Approve), disabled);
    let evidence = log.control.open_proposal(&id).unwrap().evidence();
    let bytes = log.bytes(&id);
    let approvals = TWO.map(|by| log.site.approval(log.site.person(by), &bytes, Verdict::Approve));
    let evidence = keysvc_protocol::proposal::Evidence {
        approvals: List::try_from(approvals.to_vec()).unwrap(),
        ..evidence
    };
    let (kind, leaf) = log.act_of(evidence);
    assert_eq!(log.put(kind, &leaf).map(drop), disabled.map(|_: u64| ()));
    let at = keysvc_protocol::control::At { index: 99, time_ms: log.now_ms };
    log.leaves.push(Kept { at, kind, payload: cbor::encode(&leaf) });
    log.leaves.last_mut().unwrap().at.index = u64::try_from(log.leaves.len()).unwrap();
    let refused = verified(&log, &file(&log, |leaf| leaf.kind != LeafKind::ProposalMade)).unwrap_err();
    assert_eq!(refused, EvidenceError::Refused(Refusal::ApprovalInvalid { reason: Uncounted::Disabled }));
}
