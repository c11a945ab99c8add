//! The names of the wire's fields, for eyes: on the wire a field is its number.
//!
//! Taken from the types themselves: a type that asks for its fields tells their names in order, so that no list here
//! can fall behind. It reads no message.

use keysvc_client::protocol::{
    founding::{GoldenVector, Profile, Slot, ValueRules},
    job::{Balance, CardResult, Counts, Done, Incident, JobHead, JobItem, PurgeReceipt, Suspended, Tally},
    key::KeyRecord,
    quorum::Need,
    receipt::{LeafEvidence, Receipt},
    reply::{
        BundleReply, CardDeriveReply, CardReply, CardsMovedReply, ChangedReply, CheckpointReply,
        ComponentGivenReply, ComponentKeyReply, EntriesReply, EvidenceReply, FreezeListReply, FreezeView,
        JobChangedReply, JobCountReply, JobListReply, JobNumbers, JobOpenReply, JobRecordReply, JobReply,
        JobView, KeyCreatedReply, KeyImpactReply, KeyListReply, KeyReply, ListedProposal, OfficerView,
        PendingReply, PolicyReply, PrincipalListReply, PrincipalView, ProfileListReply, ProfilePutReply,
        ProfileReply, ProfileView, ProofReply, ProposalListReply, ProposalReply, ResultReply, StatusReply,
        Threshold, ValueBatchReply, ValueUpdateReply, VoteReply,
    },
    request::{
        ActivateKey, AddJobItems, ApproveProposal, CancelProposal, CheckCard, CloseJob, ComponentOrder,
        CompromiseKey, ConfirmClock, CountJob, CreateJob, CreateKey, DeriveCardKeys, DestroyKey,
        DisablePrincipal, EnablePrincipal, EnrolPrincipal, Enrolment, GiveComponent, GiveResults, ImportKey,
        LiftFreeze, ListFreezes, ListJobs, ListKeys, ListPrincipals, ListProfiles, ListProposals, MoveCards,
        OpenJob, Operation, PolicyDifference, PolicyFile, PolicyProof, PolicyReplay, ProposePolicy,
        PutProfile, ReadBundle, ReadCheckpoint, ReadComponentKey, ReadEntries, ReadEvidence, ReadImpact,
        ReadJob, ReadJobRecord, ReadKey, ReadPolicy, ReadProfile, ReadProof, ReadProposal, ReadResult,
        ReadStatus, RecordCeremony, RejectProposal, ReportIncident, ResumeJob, RetireKey, RotatePrincipal,
        SealJob, SetFreeze, SetQuorum, SuspendJob, SuspendKey, UpdateValue, UpdateValues, WithdrawJob,
    },
};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
    forward_to_deserialize_any,
};
use std::fmt;

/// The fields of an operation's request.
pub(crate) fn of_request(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::Status => of::<ReadStatus>(),
        Operation::KeyList => of::<ListKeys>(),
        Operation::KeyGet => of::<ReadKey>(),
        Operation::JobOpen => of::<OpenJob>(),
        Operation::CardDerive => of::<DeriveCardKeys>(),
        Operation::ValueUpdate => of::<UpdateValue>(),
        Operation::LogCheckpoint => of::<ReadCheckpoint>(),
        Operation::LogEntries => of::<ReadEntries>(),
        Operation::LogProof => of::<ReadProof>(),
        Operation::BundleGet => of::<ReadBundle>(),
        Operation::ValueBatch => of::<UpdateValues>(),
        Operation::ProposalList => of::<ListProposals>(),
        Operation::ProposalGet => of::<ReadProposal>(),
        Operation::ProposalApprove => of::<ApproveProposal>(),
        Operation::ProposalReject => of::<RejectProposal>(),
        Operation::ProposalCancel => of::<CancelProposal>(),
        Operation::ProposalResult => of::<ReadResult>(),
        Operation::PrincipalEnrol => of::<EnrolPrincipal>(),
        Operation::PrincipalRotate => of::<RotatePrincipal>(),
        Operation::PrincipalDisable => of::<DisablePrincipal>(),
        Operation::PrincipalEnable => of::<EnablePrincipal>(),
        Operation::PrincipalList => of::<ListPrincipals>(),
        Operation::KeyCreate => of::<CreateKey>(),
        Operation::KeyActivate => of::<ActivateKey>(),
        Operation::KeySuspend => of::<SuspendKey>(),
        Operation::KeyRetire => of::<RetireKey>(),
        Operation::KeyCompromise => of::<CompromiseKey>(),
        Operation::KeyDestroy => of::<DestroyKey>(),
        Operation::KeyImpact => of::<ReadImpact>(),
        Operation::FreezeSet => of::<SetFreeze>(),
        Operation::FreezeLift => of::<LiftFreeze>(),
        Operation::FreezeList => of::<ListFreezes>(),
        Operation::QuorumSet => of::<SetQuorum>(),
        Operation::ClockConfirm => of::<ConfirmClock>(),
        Operation::EvidenceGet => of::<ReadEvidence>(),
        Operation::KeyImport => of::<ImportKey>(),
        Operation::ComponentKey => of::<ReadComponentKey>(),
        Operation::ComponentGive => of::<GiveComponent>(),
        Operation::ProfilePut => of::<PutProfile>(),
        Operation::ProfileGet => of::<ReadProfile>(),
        Operation::ProfileList => of::<ListProfiles>(),
        Operation::PolicyPropose => of::<ProposePolicy>(),
        Operation::PolicyGet => of::<ReadPolicy>(),
        Operation::CeremonyRecord => of::<RecordCeremony>(),
        operation => of_job_request(operation),
    }
}

/// The same for what is asked about jobs and cards.
fn of_job_request(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::JobCreate => of::<CreateJob>(),
        Operation::JobItems => of::<AddJobItems>(),
        Operation::JobSeal => of::<SealJob>(),
        Operation::JobWithdraw => of::<WithdrawJob>(),
        Operation::JobResume => of::<ResumeJob>(),
        Operation::JobSuspend => of::<SuspendJob>(),
        Operation::CardResult => of::<GiveResults>(),
        Operation::JobCount => of::<CountJob>(),
        Operation::JobIncident => of::<ReportIncident>(),
        Operation::JobClose => of::<CloseJob>(),
        Operation::JobGet => of::<ReadJob>(),
        Operation::JobList => of::<ListJobs>(),
        Operation::JobRecord => of::<ReadJobRecord>(),
        Operation::CardCheck => of::<CheckCard>(),
        Operation::CardTransition => of::<MoveCards>(),
        _ => &[],
    }
}

/// The fields of an operation's reply.
pub(crate) fn of_reply(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::Status => of::<StatusReply>(),
        Operation::KeyList => of::<KeyListReply>(),
        Operation::KeyGet => of::<KeyReply>(),
        Operation::JobOpen | Operation::JobResume => of::<JobOpenReply>(),
        Operation::JobCreate
        | Operation::JobItems
        | Operation::JobSeal
        | Operation::JobWithdraw
        | Operation::JobSuspend
        | Operation::JobIncident
        | Operation::JobClose
        | Operation::CardResult => of::<JobChangedReply>(),
        Operation::JobCount => of::<JobCountReply>(),
        Operation::JobGet => of::<JobReply>(),
        Operation::JobList => of::<JobListReply>(),
        Operation::JobRecord => of::<JobRecordReply>(),
        Operation::CardCheck => of::<CardReply>(),
        Operation::CardTransition => of::<CardsMovedReply>(),
        Operation::CardDerive => of::<CardDeriveReply>(),
        Operation::ValueUpdate => of::<ValueUpdateReply>(),
        Operation::LogCheckpoint => of::<CheckpointReply>(),
        Operation::LogEntries => of::<EntriesReply>(),
        Operation::LogProof => of::<ProofReply>(),
        Operation::BundleGet => of::<BundleReply>(),
        Operation::ValueBatch => of::<ValueBatchReply>(),
        Operation::ProposalList => of::<ProposalListReply>(),
        Operation::ProposalGet => of::<ProposalReply>(),
        Operation::ProposalApprove | Operation::ProposalReject | Operation::ProposalCancel => {
            of::<VoteReply>()
        }
        Operation::ProposalResult => of::<ResultReply>(),
        Operation::PrincipalList => of::<PrincipalListReply>(),
        Operation::KeyCreate => of::<KeyCreatedReply>(),
        Operation::KeyImpact => of::<KeyImpactReply>(),
        Operation::FreezeList => of::<FreezeListReply>(),
        Operation::EvidenceGet => of::<EvidenceReply>(),
        Operation::ComponentKey => of::<ComponentKeyReply>(),
        Operation::ComponentGive => of::<ComponentGivenReply>(),
        Operation::ProfilePut => of::<ProfilePutReply>(),
        Operation::ProfileGet => of::<ProfileReply>(),
        Operation::ProfileList => of::<ProfileListReply>(),
        Operation::PolicyGet => of::<PolicyReply>(),
        Operation::PrincipalEnrol
        | Operation::PrincipalRotate
        | Operation::PrincipalDisable
        | Operation::PrincipalEnable
        | Operation::KeyActivate
        | Operation::KeySuspend
        | Operation::KeyRetire
        | Operation::KeyCompromise
        | Operation::KeyDestroy
        | Operation::FreezeSet
        | Operation::FreezeLift
        | Operation::QuorumSet
        | Operation::ClockConfirm
        | Operation::KeyImport
        | Operation::PolicyPropose
        | Operation::CeremonyRecord => of::<ChangedReply>(),
    }
}

/// The fields of the reply to a request that takes people first.
pub(crate) fn of_pending() -> &'static [&'static str] {
    of::<PendingReply>()
}

/// The fields of the message in the field of this name, beside these others; none where it is not known or no message.
pub(crate) fn within(beside: &[&str], name: &str) -> &'static [&'static str] {
    match name {
        // Said twice: what the log has of a request, and a station's word that it erased its data.
        "receipt" if beside == of::<CloseJob>() => of::<PurgeReceipt>(),
        "receipt" => of::<Receipt>(),
        "leaf" | "genesis" | "entries" => of::<LeafEvidence>(),
        "key" | "keys" => of::<KeyRecord>(),
        "proposals" => of::<ListedProposal>(),
        "officers" => of::<OfficerView>(),
        "principals" => of::<PrincipalView>(),
        "principal" | "enrolment" => of::<Enrolment>(),
        "thresholds" => of::<Threshold>(),
        "freezes" => of::<FreezeView>(),
        "need" => of::<Need>(),
        "components" => of::<ComponentOrder>(),
        "files" => of::<PolicyFile>(),
        "profile" => of::<Profile>(),
        "profiles" => of::<ProfileView>(),
        "slots" => of::<Slot>(),
        "vectors" => of::<GoldenVector>(),
        "value" => of::<ValueRules>(),
        "difference" => of::<PolicyDifference>(),
        "proof" => of::<PolicyProof>(),
        "replay" => of::<PolicyReplay>(),
        "head" => of::<JobHead>(),
        "items" => of::<JobItem>(),
        "results" => of::<CardResult>(),
        "counts" => of::<Counts>(),
        "suspended" => of::<Suspended>(),
        "incident" => of::<Incident>(),
        "job" | "jobs" => of::<JobView>(),
        "numbers" => of::<JobNumbers>(),
        "created" | "sealed" => of::<Done>(),
        "tally" => of::<Tally>(),
        "balance" => of::<Balance>(),
        _ => &[],
    }
}

fn of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It always ends with `Asked`: the fields are all that is wanted.
    let _: Result<T, Asked> = T::deserialize(Asking { fields: &mut fields });
    fields
}

/// Writes down the fields a type asks for, and gives it nothing.
struct Asking<'a> {
    fields: &'a mut &'static [&'static str],
}

#[derive(Debug)]
struct Asked;

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing to read")
    }
}

impl std::error::Error for Asked {}

impl de::Error for Asked {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Asking<'_> {
    type Error = Asked;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Asked> {
        Err(Asked)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Asked> {
        *self.fields = fields;
        Err(Asked)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        diagnostic::{Value, decode},
        sample,
    };
    use keysvc_client::protocol::cbor;

    #[test]
    fn every_message_begins_with_its_schema() {
        for operation in Operation::ALL {
            assert_eq!(of_request(operation).first(), Some(&"schema"), "{operation}");
            assert_eq!(of_reply(operation).first(), Some(&"schema"), "{operation}");
        }
        assert_eq!(of_request(Operation::KeyGet), ["schema", "name", "version"]);
    }

    #[test]
    fn a_purge_receipt_is_not_taken_for_a_receipt_of_the_log() {
        assert_eq!(within(of::<CloseJob>(), "receipt").last(), Some(&"method"));
        assert_eq!(within(of::<JobChangedReply>(), "receipt").first(), Some(&"schema"));
    }

    #[test]
    fn the_names_stand_at_the_numbers_of_the_wire() {
        let key = sample::key();
        let Some(Value::Map(pairs)) = decode(&cbor::encode(&key)) else { panic!("no map") };
        let names = within(&[], "key");
        let place = names.iter().position(|name| *name == "made_at_ms").unwrap();
        let number = Value::Unsigned(u64::try_from(place).unwrap());
        assert!(pairs.contains(&(number, Value::Unsigned(key.made_at_ms))), "{pairs:?}");
    }
}
