//! One message of each kind about what takes people: proposals, votes, evidence, principals, keys' states, freezes.

use super::messages::{
    Golden, TIME_MS, blob, checkpoint, evidence as leaf_evidence, genesis, golden, list, name, of,
    pair_record, proof, public_key, receipt, request, signed, statement, update, update_request,
};
use keysvc_protocol::{
    bytes::{Blob, Boot, Digest, Idem, ObjectIdentifier, ProposalId},
    cbor,
    control::Moment,
    cose::Kind,
    evidence::{EvidenceFile, ProvenLeaf},
    founding::PrincipalKind,
    freeze::{Scope, ScopeKind},
    key::{KeyKind, KeyState},
    leaf::{
        ActByQuorumLeaf, ChangedLeaf, EvidenceReadLeaf, HeartbeatLeaf, KeyDestroyedLeaf, LeafKind,
        ProposalClosedLeaf, ProposalMadeLeaf, ProposalVotedLeaf, TookEffectLeaf,
    },
    name::Reason,
    proposal::{Evidence, Precondition, Proposal, ProposalEnd, ProposalState, Proposed},
    quorum::{Approval, Need, Verdict},
    refusal::{Conflict, Refusal, RefusalReply, RequestId, Uncounted},
    reply::{
        ChangedReply, EvidenceReply, FreezeListReply, FreezeView, KeyCreatedReply, KeyImpactReply,
        ListedProposal, OfficerView, PendingReply, PrincipalListReply, PrincipalView, ProposalListReply,
        ProposalReply, ResultReply, Threshold, VoteReply,
    },
    request::{
        ActivateKey, ApproveProposal, CancelProposal, CompromiseKey, ConfirmClock, CreateKey, DestroyKey,
        DisablePrincipal, EnablePrincipal, EnrolPrincipal, Enrolment, LiftFreeze, ListFreezes,
        ListPrincipals, ListProposals, Operation, ReadEvidence, ReadImpact, ReadProposal, ReadResult,
        RejectProposal, RetireKey, RotatePrincipal, SetFreeze, SetQuorum, SuspendKey,
    },
    schema::Schema,
    value::ValueUpdate,
};
use serde::Serialize;

const SCHEMA: Schema = Schema;

fn id() -> ProposalId {
    ProposalId::new([0x70; 16])
}

fn idem() -> Idem {
    Idem::new([0x71; 16])
}

fn why() -> Reason {
    "as agreed".parse().unwrap()
}

fn need() -> Need {
    Need { schema: SCHEMA, persons: 3, departments: 2, named: list(vec![name("security")]) }
}

fn moment() -> Moment {
    Moment { wall_ms: TIME_MS, boot: Boot::new([0x72; 16]), up_ms: 60_000 }
}

fn enrolment() -> Enrolment {
    Enrolment {
        schema: SCHEMA,
        id: name("terminal-2"),
        kind: PrincipalKind::Terminal,
        group: name("acme"),
        capabilities: list(vec![name("refund")]),
        tls_key: Digest::new([0x73; 32]),
        statement_key: Some(blob(public_key().spki().to_vec())),
        wrapping_key: None,
    }
}

fn retire() -> RetireKey {
    RetireKey { schema: SCHEMA, idem: idem(), name: name("value-1"), version: 1, reason: why() }
}

fn proposal() -> Proposal {
    Proposal {
        schema: SCHEMA,
        genesis: genesis(),
        id: id(),
        request: Proposed {
            operation: Operation::KeyRetire,
            requester: name("officer-1"),
            statement: statement(Operation::KeyRetire, &retire()),
        },
        policy: Digest::new([0xa1; 32]),
        roster: Digest::new([0x74; 32]),
        need: need(),
        preconditions: list(vec![Precondition::Key {
            name: name("value-1"),
            version: 1,
            state: KeyState::Active,
        }]),
        created_ms: TIME_MS,
        expires_ms: TIME_MS + 259_200_000,
    }
}

fn approval(verdict: Verdict) -> Approval {
    Approval {
        schema: SCHEMA,
        proposal: Proposal::digest_of(&cbor::encode(&proposal())),
        verdict,
        signed_at_ms: TIME_MS,
        nonce: Idem::new([0x75; 16]),
    }
}

fn signed_approval<const MAX: usize>(verdict: Verdict) -> Blob<MAX> {
    blob(signed(Kind::Approval, genesis().as_bytes(), cbor::encode(&approval(verdict))))
}

fn evidence() -> Evidence {
    Evidence {
        schema: SCHEMA,
        proposal: blob(cbor::encode(&proposal())),
        approvals: list(vec![signed_approval(Verdict::Approve)]),
    }
}

fn approved_update() -> ValueUpdate {
    ValueUpdate { evidence: Some(evidence().digest()), ..update() }
}

fn cancel() -> CancelProposal {
    CancelProposal { schema: SCHEMA, idem: idem(), id: id(), reason: why() }
}

fn changed() -> ChangedLeaf {
    let (principal, operation) = (name("officer-1"), Operation::KeyRetire);
    ChangedLeaf { schema: SCHEMA, principal, operation, statement: statement(operation, &retire()) }
}

fn act() -> ActByQuorumLeaf {
    ActByQuorumLeaf {
        schema: SCHEMA,
        evidence: evidence(),
        moment: moment(),
        kind: LeafKind::SiteChanged,
        act: blob(cbor::encode(&changed())),
    }
}

fn evidence_file() -> EvidenceFile {
    let proven = ProvenLeaf { leaf: leaf_evidence(), inclusion: proof() };
    EvidenceFile { schema: SCHEMA, checkpoint: checkpoint(), leaves: list(vec![proven]) }
}

/// The plain request, and the signed one.
fn both<T: Serialize>(operation: Operation, payload: &T) -> [Golden; 2] {
    let name = format!("signed-{operation}");
    [
        of("request", operation, payload),
        Golden { rule: name.clone(), name, bytes: request(operation, payload) },
    ]
}

pub(super) fn reads() -> Vec<Golden> {
    let schema = SCHEMA;
    vec![
        of("request", Operation::ProposalList, &ListProposals { schema, ended: true, before: Some(9) }),
        of("request", Operation::ProposalGet, &ReadProposal { schema, id: id() }),
        of(
            "request",
            Operation::ProposalApprove,
            &ApproveProposal { schema, id: id(), approval: signed_approval(Verdict::Approve) },
        ),
        of(
            "request",
            Operation::ProposalReject,
            &RejectProposal { schema, id: id(), approval: signed_approval(Verdict::Reject) },
        ),
        of("request", Operation::ProposalResult, &ReadResult { schema, id: id() }),
        of("request", Operation::PrincipalList, &ListPrincipals { schema, after: Some(name("office-1")) }),
        of("request", Operation::KeyImpact, &ReadImpact { schema, name: name("value-1"), version: 1 }),
        of("request", Operation::FreezeList, &ListFreezes { schema, after: Some(9) }),
        of("request", Operation::EvidenceGet, &ReadEvidence { schema, id: id() }),
    ]
}

pub(super) fn changes() -> Vec<Golden> {
    let (schema, idem, reason, version) = (SCHEMA, idem(), why(), 1);
    let key = name("value-1");
    let card = Scope::Card { card: "04782e21801d80".parse().unwrap(), programme: Some(name("coffee")) };
    let rotate = RotatePrincipal {
        schema,
        idem,
        id: name("terminal-2"),
        tls_key: Some(Digest::new([0x76; 32])),
        statement_key: Some(blob(public_key().spki().to_vec())),
        wrapping_key: None,
    };
    let (id, about) = (name("terminal-2"), reason.clone());
    let disable = DisablePrincipal { schema, idem, id: id.clone(), reason: about.clone() };
    let enable = EnablePrincipal { schema, idem, id, reason: about.clone() };
    let activate = ActivateKey { schema, idem, name: key.clone(), version, reason: about.clone() };
    let suspend = SuspendKey { schema, idem, name: key.clone(), version, reason: about.clone() };
    let compromise = CompromiseKey { schema, idem, name: key.clone(), version, reason: about.clone() };
    let destroy = DestroyKey { schema, idem, name: key.clone(), version, reason: about };
    let set_quorum = SetQuorum { schema, idem, operation: Operation::KeyRetire, need: need() };
    [
        both(Operation::ProposalCancel, &cancel()),
        both(Operation::PrincipalEnrol, &EnrolPrincipal { schema, idem, principal: enrolment() }),
        both(Operation::PrincipalRotate, &rotate),
        both(Operation::PrincipalDisable, &disable),
        both(Operation::PrincipalEnable, &enable),
        both(Operation::KeyCreate, &CreateKey { schema, idem, name: key, kind: KeyKind::ValueSigning }),
        both(Operation::KeyActivate, &activate),
        both(Operation::KeySuspend, &suspend),
        both(Operation::KeyRetire, &retire()),
        both(Operation::KeyCompromise, &compromise),
        both(Operation::KeyDestroy, &destroy),
        both(Operation::FreezeSet, &SetFreeze { schema, idem, scope: card, reason: reason.clone() }),
        both(Operation::FreezeLift, &LiftFreeze { schema, idem, scope: Scope::All, reason }),
        both(Operation::QuorumSet, &set_quorum),
        both(Operation::ClockConfirm, &ConfirmClock { schema, idem, time_ms: TIME_MS }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn statements() -> Vec<Golden> {
    let update = cbor::encode(&approved_update());
    let update = signed(Kind::ApprovedValueUpdate, genesis().as_bytes(), update);
    let raw = |name: &str, bytes| Golden { name: name.to_owned(), rule: name.to_owned(), bytes };
    vec![
        golden("proposal", "proposal", &proposal()),
        golden("proposal-of-value", "proposal", &proposal_of_value()),
        golden("approval", "approval", &approval(Verdict::Approve)),
        golden("approval-reject", "approval", &approval(Verdict::Reject)),
        golden("evidence", "evidence", &evidence()),
        golden("evidence-file", "evidence-file", &evidence_file()),
        golden("approved-value-update", "approved-value-update", &approved_update()),
        raw("signed-approval", signed_approval::<320>(Verdict::Approve).into_bytes()),
        raw("signed-approved-value-update", update),
    ]
}

fn proposal_of_value() -> Proposal {
    let statement = statement(Operation::ValueUpdate, &update_request());
    let preconditions = list(vec![
        Precondition::Principal { name: name("terminal-2"), leaf: 4 },
        Precondition::Freeze { scope: Scope::Station { name: name("station-1") }, leaf: 5 },
    ]);
    let request = Proposed { operation: Operation::ValueUpdate, requester: name("terminal-1"), statement };
    Proposal { request, need: Need::of(2), preconditions, ..proposal() }
}

fn states() -> Vec<ProposalState> {
    vec![
        ProposalState::Open,
        ProposalState::Executed { leaf: 9 },
        ProposalState::Waiting { leaf: 9, due_ms: TIME_MS },
        ProposalState::Rejected { by: name("officer-2") },
        ProposalState::Cancelled { by: name("officer-2") },
        ProposalState::Expired,
        ProposalState::Failed { refusal: Refusal::StateConflict { reason: Conflict::Precondition } },
    ]
}

fn proposal_replies() -> Vec<Golden> {
    let schema = SCHEMA;
    let listed = |state| ListedProposal {
        id: id(),
        operation: Operation::KeyRetire,
        requester: name("officer-1"),
        need: need(),
        persons: 1,
        state,
        created_ms: TIME_MS,
        expires_ms: TIME_MS + 259_200_000,
        leaf: 7,
    };
    let officer = OfficerView {
        name: name("officer-1"),
        department: name("security"),
        approval_key: blob(public_key().spki().to_vec()),
        enabled: true,
    };
    let got = ProposalReply {
        schema,
        proposal: blob(cbor::encode(&proposal())),
        state: ProposalState::Open,
        leaf: 7,
        approvals: list(vec![signed_approval(Verdict::Approve)]),
        officers: list(vec![officer]),
    };
    let pending = PendingReply {
        schema,
        proposal: blob(cbor::encode(&proposal())),
        state: ProposalState::Open,
        receipt: receipt(None),
    };
    let voted = |state| VoteReply { schema, state, persons: 1, receipt: receipt(None) };
    let rejected = ProposalState::Rejected { by: name("officer-2") };
    let cancelled = ProposalState::Cancelled { by: name("officer-2") };
    let reply = ChangedReply { schema, receipt: receipt(None) };
    let executed = ResultReply {
        schema,
        state: ProposalState::Executed { leaf: 9 },
        reply: Some(blob(cbor::encode(&reply))),
    };
    let listed = states().into_iter().map(listed).collect::<Vec<_>>();
    vec![
        golden("reply-pending", "reply-pending", &pending),
        of("reply", Operation::ProposalList, &ProposalListReply { schema, proposals: list(listed) }),
        of("reply", Operation::ProposalGet, &got),
        of("reply", Operation::ProposalApprove, &voted(ProposalState::Open)),
        of("reply", Operation::ProposalReject, &voted(rejected)),
        of("reply", Operation::ProposalCancel, &voted(cancelled)),
        of("reply", Operation::ProposalResult, &executed),
        golden(
            "reply-proposal.result-open",
            "reply-proposal.result",
            &ResultReply { schema, state: ProposalState::Open, reply: None },
        ),
    ]
}

pub(super) fn replies() -> Vec<Golden> {
    let schema = SCHEMA;
    let changed = ChangedReply { schema, receipt: receipt(Some(leaf_evidence())) };
    let same = [
        Operation::PrincipalEnrol,
        Operation::PrincipalRotate,
        Operation::PrincipalDisable,
        Operation::PrincipalEnable,
        Operation::KeyActivate,
        Operation::KeySuspend,
        Operation::KeyRetire,
        Operation::KeyCompromise,
        Operation::KeyDestroy,
        Operation::FreezeSet,
        Operation::FreezeLift,
        Operation::QuorumSet,
        Operation::ClockConfirm,
    ];
    let principals = PrincipalListReply {
        schema,
        principals: list(vec![PrincipalView { enrolment: enrolment(), enabled: true, leaf: 8 }]),
        roster: Digest::new([0x74; 32]),
        thresholds: list(vec![Threshold { operation: Operation::KeyRetire, need: need() }]),
    };
    let freeze =
        |scope, leaf| FreezeView { scope, by: name("officer-1"), reason: why(), since_ms: TIME_MS, leaf };
    let card = "04782e21801d80".parse().unwrap();
    let scopes = [
        Scope::Card { card, programme: None },
        Scope::Terminal { name: name("terminal-1") },
        Scope::Station { name: name("station-1") },
        Scope::Programme { name: name("coffee") },
        Scope::Store { name: name("acme") },
        Scope::Profile { name: name("stored") },
        Scope::Key { name: name("value-1") },
        Scope::All,
    ];
    let freezes = list(scopes.into_iter().zip(9..).map(|(scope, leaf)| freeze(scope, leaf)).collect());
    let impact = KeyImpactReply {
        schema,
        key: pair_record(),
        cards: 1_000,
        profiles: list(vec![name("stored")]),
        programmes: list(vec![name("coffee")]),
        terminals: 12,
    };
    let created = KeyCreatedReply { schema, key: pair_record(), receipt: receipt(None) };
    let file = blob(cbor::encode(&evidence_file()));
    let mut all = proposal_replies();
    all.extend(same.into_iter().map(|operation| of("reply", operation, &changed)));
    all.extend([
        of("reply", Operation::PrincipalList, &principals),
        of("reply", Operation::KeyCreate, &created),
        of("reply", Operation::KeyImpact, &impact),
        of("reply", Operation::FreezeList, &FreezeListReply { schema, freezes }),
        of(
            "reply",
            Operation::EvidenceGet,
            &EvidenceReply { schema, evidence: file, receipt: receipt(None) },
        ),
    ]);
    all
}

pub(super) fn refusals() -> Vec<Golden> {
    let refusals = [
        (
            "state-conflict",
            Refusal::StateConflict { reason: Conflict::KeyState { state: KeyState::Suspended } },
        ),
        ("state-conflict-disputed", Refusal::StateConflict { reason: Conflict::ClockDisputed }),
        ("approval-invalid", Refusal::ApprovalInvalid { reason: Uncounted::OtherRoster }),
        ("expired", Refusal::Expired),
        ("same-person", Refusal::SamePerson),
        ("frozen", Refusal::Frozen { scope: ScopeKind::Terminal }),
        ("approval-required", Refusal::ApprovalRequired { proposal: id(), persons: 2, departments: 1 }),
    ];
    let reply = |(name, refusal): (&str, Refusal)| {
        let reply = RefusalReply::new(refusal, RequestId(Idem::new([3; 16])));
        golden(format!("refusal-reply-{name}"), "refusal-reply", &reply)
    };
    refusals.into_iter().map(reply).collect()
}

pub(super) fn leaves() -> Vec<Golden> {
    let schema = SCHEMA;
    let voted =
        |verdict| ProposalVotedLeaf { schema, proposal: id(), verdict, approval: signed_approval(verdict) };
    let closed = |end| ProposalClosedLeaf { schema, proposal: id(), end };
    let cancelled = ProposalEnd::Cancelled {
        by: name("officer-2"),
        statement: statement(Operation::ProposalCancel, &cancel()),
    };
    let failed = ProposalEnd::Failed { refusal: Refusal::Expired };
    let lift = LiftFreeze { schema, idem: idem(), scope: Scope::All, reason: why() };
    let frozen = ChangedLeaf {
        operation: Operation::FreezeLift,
        statement: statement(Operation::FreezeLift, &lift),
        ..changed()
    };
    let value = super::messages::updated_by(&approved_update());
    let sealed = ActByQuorumLeaf { kind: LeafKind::ValueUpdated, act: blob(cbor::encode(&value)), ..act() };
    let destroyed = KeyDestroyedLeaf {
        schema,
        intent: 11,
        name: name("value-1"),
        version: 1,
        id: ObjectIdentifier::new([0xe0; 16]),
    };
    let beat = HeartbeatLeaf { schema, moment: moment(), control: Digest::new([0x77; 32]) };
    let made = ProposalMadeLeaf { schema, proposal: blob(cbor::encode(&proposal())) };
    vec![
        golden("leaf-proposal-made", "leaf-proposal-made", &made),
        golden("leaf-proposal-voted", "leaf-proposal-voted", &voted(Verdict::Approve)),
        golden("leaf-proposal-voted-reject", "leaf-proposal-voted", &voted(Verdict::Reject)),
        golden("leaf-proposal-closed", "leaf-proposal-closed", &closed(cancelled)),
        golden("leaf-proposal-closed-expired", "leaf-proposal-closed", &closed(ProposalEnd::Expired)),
        golden("leaf-proposal-closed-failed", "leaf-proposal-closed", &closed(failed)),
        golden("leaf-changed", "leaf-changed", &changed()),
        golden("leaf-changed-freeze", "leaf-changed", &frozen),
        golden("leaf-act-by-quorum", "leaf-act-by-quorum", &act()),
        golden("leaf-act-by-quorum-sealed", "leaf-act-by-quorum", &sealed),
        golden("leaf-heartbeat", "leaf-heartbeat", &beat),
        golden("leaf-took-effect", "leaf-took-effect", &TookEffectLeaf { schema, act: 9, moment: moment() }),
        golden("leaf-key-destroyed", "leaf-key-destroyed", &destroyed),
        golden(
            "leaf-evidence-read",
            "leaf-evidence-read",
            &EvidenceReadLeaf { schema, reader: name("auditor-1"), proposal: id() },
        ),
    ]
}
