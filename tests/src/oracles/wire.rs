//! Messages of the wire: requests, replies and leaves. Each is accepted from its one encoding only, and every type is
//! tried on all bytes, because the place that says which it is comes from outside too.

use super::deterministic;
use keysvc::link::KeeperState;
use keysvc_protocol::{
    card::CardUid,
    cbor::{self, REPLY_LEN_MAX},
    cose::Signed,
    job::JobItem,
    leaf::{
        ActByQuorumLeaf, BundleMadeLeaf, CardKeysDerivedLeaf, CardsChangedLeaf, ChangedLeaf, DerivedItem,
        EntriesReadLeaf, EvidenceReadLeaf, FoundingLeaf, HeartbeatLeaf, IncidentReportedLeaf, JobChangedLeaf,
        JobItemsLeaf, JobOpenedLeaf, JobPurgedLeaf, JobRecordMadeLeaf, KeyDestroyedLeaf, KeyIntentLeaf,
        KeyOutcomeLeaf, LeafEntry, ProposalClosedLeaf, ProposalMadeLeaf, ProposalVotedLeaf,
        RefusalsCountedLeaf, RefusedLeaf, RollbackLeaf, StartLeaf, TookEffectLeaf, ValueUpdatedLeaf,
    },
    receipt::LeafEvidence,
    refusal::RefusalReply,
    reply::{
        BundleReply, CardDeriveReply, CardReply, CardsMovedReply, ChangedReply, CheckpointReply,
        ComponentGivenReply, ComponentKeyReply, EntriesReply, EvidenceReply, FreezeListReply,
        JobChangedReply, JobCountReply, JobListReply, JobOpenReply, JobRecordReply, JobReply,
        KeyCreatedReply, KeyImpactReply, KeyListReply, KeyReply, PendingReply, PolicyReply,
        PrincipalListReply, ProfileListReply, ProfilePutReply, ProfileReply, ProofReply, ProposalListReply,
        ProposalReply, ResultReply, StatusReply, ValueBatchReply, ValueUpdateReply, VoteReply,
    },
    request::{
        ActivateKey, AddJobItems, ApproveProposal, CancelProposal, CheckCard, CloseJob, CompromiseKey,
        ConfirmClock, CountJob, CreateJob, CreateKey, DeriveCardKeys, DestroyKey, DisablePrincipal,
        EnablePrincipal, EnrolPrincipal, Envelope, GiveComponent, GiveResults, ImportKey, LiftFreeze,
        ListFreezes, ListJobs, ListKeys, ListPrincipals, ListProfiles, ListProposals, MoveCards, OpenJob,
        Operation, ProposePolicy, PutProfile, ReadBundle, ReadCheckpoint, ReadComponentKey, ReadEntries,
        ReadEvidence, ReadImpact, ReadJob, ReadJobRecord, ReadKey, ReadPolicy, ReadProfile, ReadProof,
        ReadProposal, ReadResult, ReadStatus, RecordCeremony, RejectProposal, ReportIncident, ResumeJob,
        RetireKey, RotatePrincipal, SealJob, SetFreeze, SetQuorum, SuspendJob, SuspendKey, UpdateValue,
        UpdateValues, WithdrawJob,
    },
    sentence::sentence,
};
use serde::{Serialize, de::DeserializeOwned};

/// Reads bytes as a `T`; what is read is written as the same bytes, and these are the one encoding that there is.
pub(super) fn strict<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value = cbor::decode::<T>(bytes, REPLY_LEN_MAX).ok()?;
    assert!(cbor::encode(&value) == bytes, "{} is written otherwise", std::any::type_name::<T>());
    let known = deterministic::items(bytes).is_some();
    assert!(known, "{} is read from another encoding than the one", std::any::type_name::<T>());
    Some(value)
}

macro_rules! any_of {
    ($bytes:expr; $($type:ty),* $(,)?) => { false $(| strict::<$type>($bytes).is_some())* };
}
pub(super) use any_of;

/// The body of a request: the envelope, the request in it, signed or plain, and its sentence.
pub(super) fn requests(bytes: &[u8]) -> bool {
    let envelope = strict::<Envelope>(bytes);
    let inner = envelope.as_ref().map_or(bytes, |envelope| envelope.request.as_bytes());
    let payload = Signed::parse(inner).map_or(inner, |signed| signed.recorded_payload());
    for operation in Operation::ALL {
        if let Ok(text) = sentence(operation, payload) {
            // Officers approve what they read: one line, nothing that a terminal would act on.
            assert!(!text.is_empty(), "{operation} has an empty sentence");
            let acts = text.chars().any(|letter| letter.is_control() && letter != '\n');
            assert!(!acts, "the sentence of {operation} has control characters: {text:?}");
        }
    }
    any_request(payload) | envelope.is_some()
}

/// Whether some operation's request reads from these bytes.
fn any_request(bytes: &[u8]) -> bool {
    any_of!(
        bytes; ActivateKey, AddJobItems, ApproveProposal, CancelProposal, CheckCard, CloseJob, CompromiseKey,
        ConfirmClock, CountJob, CreateJob, CreateKey, DeriveCardKeys, DestroyKey, DisablePrincipal,
        EnablePrincipal, EnrolPrincipal, GiveComponent, GiveResults, ImportKey, LiftFreeze, ListFreezes,
        ListJobs, ListKeys, ListPrincipals, ListProfiles, ListProposals, MoveCards, OpenJob, ProposePolicy,
        PutProfile, ReadBundle, ReadCheckpoint, ReadComponentKey, ReadEntries, ReadEvidence, ReadImpact, ReadJob,
        ReadJobRecord, ReadKey, ReadPolicy, ReadProfile, ReadProof, ReadProposal, ReadResult, ReadStatus,
        RecordCeremony, RejectProposal, ReportIncident, ResumeJob, RetireKey, RotatePrincipal, SealJob,
        SetFreeze, SetQuorum, SuspendJob, SuspendKey, UpdateValue, UpdateValues, WithdrawJob, JobItem, CardUid,
    )
}

/// Replies and refusals.
pub(super) fn replies(bytes: &[u8]) -> bool {
    any_of!(
        bytes; BundleReply, CardDeriveReply, CardReply, CardsMovedReply, ChangedReply, CheckpointReply,
        ComponentGivenReply, ComponentKeyReply, EntriesReply, EvidenceReply, FreezeListReply, JobChangedReply,
        JobCountReply, JobListReply, JobOpenReply, JobRecordReply, JobReply, KeyCreatedReply, KeyImpactReply,
        KeyListReply, KeyReply, PendingReply, PolicyReply, PrincipalListReply, ProfileListReply, ProfilePutReply,
        ProfileReply, ProofReply, ProposalListReply, ProposalReply, ResultReply, StatusReply, ValueBatchReply,
        ValueUpdateReply, VoteReply, RefusalReply, KeeperState,
    )
}

/// Entries of the log, payloads, and a leaf with both, which is checked too.
pub(super) fn leaves(bytes: &[u8]) -> bool {
    if let Some(leaf) = strict::<LeafEvidence>(bytes) {
        // Whether salt and payload are the entry's own.
        let _ = leaf.check();
    }
    any_of!(
        bytes; LeafEvidence, LeafEntry, ActByQuorumLeaf, BundleMadeLeaf, CardKeysDerivedLeaf, CardsChangedLeaf,
        ChangedLeaf, DerivedItem, EntriesReadLeaf, EvidenceReadLeaf, FoundingLeaf, HeartbeatLeaf,
        IncidentReportedLeaf, JobChangedLeaf, JobItemsLeaf, JobOpenedLeaf, JobPurgedLeaf, JobRecordMadeLeaf,
        KeyDestroyedLeaf, KeyIntentLeaf, KeyOutcomeLeaf, ProposalClosedLeaf, ProposalMadeLeaf, ProposalVotedLeaf,
        RefusalsCountedLeaf, RefusedLeaf, RollbackLeaf, StartLeaf, TookEffectLeaf, ValueUpdatedLeaf,
    )
}
