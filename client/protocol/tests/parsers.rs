//! Properties of every parser of outside bytes: nothing panics, and what decodes is the one encoding of its value.

use keysvc_protocol::{
    bytes::KeyIdentifier,
    cbor::{self, REPLY_LEN_MAX},
    cose::{Kind, Signed, Unsigned},
    delivery::{Delivery, ExchangeOpening},
    evidence::EvidenceFile,
    export::{PayloadFile, Span, decode_entries, decode_hashes, encode_entries},
    job::{JobAgreement, JobRecord},
    leaf::{
        ActByQuorumLeaf, CardKeysDerivedLeaf, CardsChangedLeaf, ChangedLeaf, EntriesReadLeaf,
        EvidenceReadLeaf, FoundingLeaf, HeartbeatLeaf, IncidentReportedLeaf, JobChangedLeaf, JobItemsLeaf,
        JobOpenedLeaf, JobPurgedLeaf, JobRecordMadeLeaf, KeyDestroyedLeaf, KeyIntentLeaf, KeyOutcomeLeaf,
        LeafEntry, ProposalClosedLeaf, ProposalMadeLeaf, ProposalVotedLeaf, RefusalsCountedLeaf, RefusedLeaf,
        RollbackLeaf, StartLeaf, TookEffectLeaf, ValueUpdatedLeaf,
    },
    proposal::{Evidence, Proposal},
    quorum::Approval,
    refusal::RefusalReply,
    reply::{
        CardDeriveReply, CardReply, CardsMovedReply, ChangedReply, CheckpointReply, EntriesReply,
        EvidenceReply, FreezeListReply, JobChangedReply, JobCountReply, JobListReply, JobOpenReply,
        JobRecordReply, JobReply, KeyCreatedReply, KeyImpactReply, KeyListReply, PendingReply,
        PrincipalListReply, ProofReply, ProposalListReply, ProposalReply, ResultReply, StatusReply,
        ValueUpdateReply, VoteReply,
    },
    request::{
        ActivateKey, AddJobItems, ApproveProposal, CancelProposal, CheckCard, CloseJob, CompromiseKey,
        ConfirmClock, CountJob, CreateJob, CreateKey, DeriveCardKeys, DestroyKey, DisablePrincipal,
        EnablePrincipal, EnrolPrincipal, Envelope, GiveResults, LiftFreeze, ListFreezes, ListJobs, ListKeys,
        ListPrincipals, ListProposals, MoveCards, OpenJob, Operation, ReadCheckpoint, ReadEntries,
        ReadEvidence, ReadImpact, ReadJob, ReadJobRecord, ReadKey, ReadProof, ReadProposal, ReadResult,
        ReadStatus, RejectProposal, ReportIncident, ResumeJob, RetireKey, RotatePrincipal, SealJob,
        SetFreeze, SetQuorum, SuspendJob, SuspendKey, UpdateValue, WithdrawJob,
    },
    value::ValueUpdate,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

fn strict<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    if let Ok(value) = cbor::decode::<T>(bytes, REPLY_LEN_MAX) {
        assert_eq!(cbor::encode(&value), bytes);
    }
}

macro_rules! strict_all {
    ($bytes:expr; $($type:ty),* $(,)?) => { $(strict::<$type>($bytes);)* };
}

fn every_parser(bytes: &[u8]) {
    strict_all!(
        bytes; Envelope, ReadStatus, ListKeys, ReadKey, OpenJob, DeriveCardKeys, AddJobItems, CheckCard, CloseJob,
        CountJob, CreateJob, GiveResults, ListJobs, MoveCards, ReadJob, ReadJobRecord, ReportIncident, ResumeJob, SealJob,
        SuspendJob, WithdrawJob, UpdateValue, ReadCheckpoint,
        ReadEntries, ReadProof, RefusalReply, StatusReply, KeyListReply, JobOpenReply, CardDeriveReply, JobChangedReply,
        JobCountReply, CardsMovedReply, JobReply, JobListReply, JobRecordReply, CardReply, JobAgreement, JobRecord,
        ValueUpdateReply, CheckpointReply, EntriesReply, ProofReply, ValueUpdate, Delivery, ExchangeOpening,
        LeafEntry, FoundingLeaf, StartLeaf, KeyIntentLeaf, KeyOutcomeLeaf, JobOpenedLeaf, CardKeysDerivedLeaf,
        JobChangedLeaf, JobItemsLeaf, IncidentReportedLeaf, CardsChangedLeaf, JobPurgedLeaf, JobRecordMadeLeaf,
        ValueUpdatedLeaf, EntriesReadLeaf, RefusedLeaf, RefusalsCountedLeaf, RollbackLeaf,
        PayloadFile, ListProposals, ReadProposal, ApproveProposal, RejectProposal, CancelProposal, ReadResult,
        EnrolPrincipal, RotatePrincipal, DisablePrincipal, EnablePrincipal, ListPrincipals, CreateKey, ActivateKey,
        SuspendKey, RetireKey, CompromiseKey, DestroyKey, ReadImpact, SetFreeze, LiftFreeze, ListFreezes, SetQuorum,
        ConfirmClock, ReadEvidence, PendingReply, ProposalListReply, ProposalReply, VoteReply, ResultReply,
        ChangedReply, KeyCreatedReply, PrincipalListReply, FreezeListReply, KeyImpactReply, EvidenceReply,
        ProposalMadeLeaf, ProposalVotedLeaf, ProposalClosedLeaf, ChangedLeaf, ActByQuorumLeaf, HeartbeatLeaf,
        TookEffectLeaf, KeyDestroyedLeaf, EvidenceReadLeaf, Proposal, Evidence, Approval, EvidenceFile,
    );
    if let Ok(signed) = Signed::parse(bytes) {
        let _ = signed.key_identifier();
    }
    let _ = ValueUpdate::from_payload(bytes);
    for span in (1..4).filter_map(|width| Span::of(0, width)) {
        if let Ok(entries) = decode_entries(bytes, span) {
            assert_eq!(encode_entries(entries.into_iter()).as_deref(), Ok(bytes));
        }
        if let Ok(hashes) = decode_hashes(bytes, span) {
            assert_eq!(hashes.iter().flat_map(|hash| *hash.as_bytes()).collect::<Vec<_>>(), bytes);
        }
    }
}

/// A good value update of 110 bytes, to be damaged.
fn update() -> Vec<u8> {
    keysvc_protocol::bytes::from_hex(concat!(
        "b000010166636f66666565024704782e21801d80030104000501061907d0071903d20800091907d00a50",
        "000000000000000000000000000000000b50050505050505050505050505050505050c6a7465726d696e616c2d31",
        "0d1b000001a1eebf66000e1b000001a1f3e5c2000f01"
    ))
    .expect("hexadecimal")
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_decode_only_from_their_one_encoding(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        every_parser(&bytes);
    }

    #[test]
    fn a_damaged_message_never_panics_and_decodes_only_from_its_one_encoding(
        position in 0_usize..110,
        byte in any::<u8>(),
        cut in 0_usize..120,
    ) {
        let mut bytes = update();
        if let Some(place) = bytes.get_mut(position) {
            *place = byte;
        }
        bytes.truncate(cut.max(1));
        every_parser(&bytes);
    }

    #[test]
    fn a_signed_message_parses_back_to_its_key_whatever_its_payload(
        payload in proptest::collection::vec(any::<u8>(), 0..70_000),
        kid in any::<[u8; 8]>(),
        signature in any::<[u8; 32]>(),
    ) {
        let kid = KeyIdentifier::new(kid);
        let unsigned = Unsigned::new(Kind::Request(Operation::CardDerive), &[0; 32], kid, payload);
        let mut both = [0; 64];
        both[..32].copy_from_slice(&signature);
        let message = unsigned.with_signature(&both);
        let parsed = Signed::parse(&message);
        prop_assert_eq!(parsed.map(|signed| signed.key_identifier()), Ok(kid));
        prop_assert!(Signed::parse(&message[..message.len() - 1]).is_err());
    }
}

#[test]
fn the_message_that_is_damaged_is_a_good_one() {
    assert!(ValueUpdate::from_payload(&update()).is_ok());
}
