//! The operations: their numbers, names, and which of them are signed.

use core::fmt;
use serde::{Deserialize, Serialize};

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// The service's state. Read; everyone enrolled.
    Status,
    /// The keys' public attributes and check values. Read.
    KeyList,
    /// One key's public attributes and check value. Read.
    KeyGet,
    /// Opens a job at a station, with a transport key for it. Changes; a station with two operators.
    JobOpen,
    /// Derives the keys of cards of an open job. Changes.
    CardDerive,
    /// One value update of one purse. Changes.
    ValueUpdate,
    /// The newest signed checkpoint, on request with leaf 0. Read; everyone enrolled.
    LogCheckpoint,
    /// Leaves with their payloads. A privileged read: itself recorded.
    LogEntries,
    /// Inclusion and consistency proofs. Read; everyone enrolled.
    LogProof,
    /// The trust bundle: all that verifies value offline. Read; everyone enrolled.
    BundleGet,
    /// Up to 64 value updates, each signed by its own terminal. Changes; each item is a `value.update` of its own.
    ValueBatch,
    /// The proposals. Read; voters, auditors, and requesters their own.
    ProposalList,
    /// One proposal with its votes. Read; voters, auditors, and its requester.
    ProposalGet,
    /// An officer's approval of a proposal. Changes; the approval in it is signed, the request is not.
    ProposalApprove,
    /// An officer's rejection of a proposal, which ends it. Changes; signed as an approval is.
    ProposalReject,
    /// Withdraws a proposal, or what waits for its delay. Changes; the requester or any one officer.
    ProposalCancel,
    /// The reply to a request that took a quorum. Its requester alone.
    ProposalResult,
    /// Enrols a person or machine. Changes; by quorum.
    PrincipalEnrol,
    /// Pins other keys for a principal. Changes; by quorum.
    PrincipalRotate,
    /// Disables a principal from its next request on. Changes; one officer.
    PrincipalDisable,
    /// Enables a principal again. Changes; by quorum.
    PrincipalEnable,
    /// The principals and officers. Read.
    PrincipalList,
    /// Makes the next version of a key in the token. Changes; by quorum.
    KeyCreate,
    /// Puts a key into use. Changes; by quorum.
    KeyActivate,
    /// Takes a key out of use for the time being. Changes; one officer.
    KeySuspend,
    /// Takes a key out of use for new protection (SP 800-57 deactivated). Changes; by quorum.
    KeyRetire,
    /// Declares a key compromised. Changes; one officer.
    KeyCompromise,
    /// Schedules a key's destruction in the token. Changes; by the larger quorum, after a delay.
    KeyDestroy,
    /// Counts what hangs on a version of a key. Read.
    KeyImpact,
    /// Stops a card, terminal, station, programme, store, profile, key or all. Changes; one officer.
    FreezeSet,
    /// Lets go on what was stopped. Changes; by quorum.
    FreezeLift,
    /// What is stopped. Read.
    FreezeList,
    /// Sets how many people an operation takes, above its floor. Changes; by the larger quorum, after a delay.
    QuorumSet,
    /// States that the service's clock is right. Changes; by quorum.
    ClockConfirm,
    /// The self-contained evidence of an act that took a quorum. A privileged read: itself recorded.
    EvidenceGet,
    /// Makes the next version of a card master from components that custodians hold. Changes; by the larger quorum.
    KeyImport,
    /// The one-time key that a custodian's component is encrypted to. Read; the custodians of an import.
    ComponentKey,
    /// A custodian's component, encrypted. Changes; one custodian, for their own component alone.
    ComponentGive,
    /// Puts the next version of a card profile into use. Changes; by quorum.
    ProfilePut,
    /// One card profile. Read; everyone enrolled.
    ProfileGet,
    /// The card profiles. Read; everyone enrolled.
    ProfileList,
    /// Puts another set of the site's policies into force. Changes; by the larger quorum.
    PolicyPropose,
    /// The site's policies in force. Read.
    PolicyGet,
    /// Anchors the transcript of a ceremony by its digest. Changes; one officer.
    CeremonyRecord,
    /// A draft of a personalization job. Changes; one data operator.
    JobCreate,
    /// Adds cards and their data to a draft. Changes; the data operator who made it.
    JobItems,
    /// Fixes a job for good. Changes; a second data operator.
    JobSeal,
    /// Gives up a job that nothing was made of. Changes; one data operator.
    JobWithdraw,
    /// Lets a suspended job go on. Changes; a station with two operators.
    JobResume,
    /// Stops a job. Changes; either operator of its session.
    JobSuspend,
    /// What became of cards. Changes; the job's station.
    CardResult,
    /// What was counted. Changes; the job's station with an operator and a reviewer.
    JobCount,
    /// Something that went wrong. Changes; the job's station with an operator and a reviewer.
    JobIncident,
    /// The station's purge receipt. Changes; the job's station with a monitor as witness.
    JobClose,
    /// One job. Read; its numbers for those alone who may know them.
    JobGet,
    /// The jobs. Read.
    JobList,
    /// A job's audit record. A privileged read: itself recorded.
    JobRecord,
    /// A card's state. Read.
    CardCheck,
    /// Puts cards into another state. Changes; terminals and offices.
    CardTransition,
}

impl Operation {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 59] = [
        Self::Status,
        Self::KeyList,
        Self::KeyGet,
        Self::JobOpen,
        Self::CardDerive,
        Self::ValueUpdate,
        Self::LogCheckpoint,
        Self::LogEntries,
        Self::LogProof,
        Self::BundleGet,
        Self::ValueBatch,
        Self::ProposalList,
        Self::ProposalGet,
        Self::ProposalApprove,
        Self::ProposalReject,
        Self::ProposalCancel,
        Self::ProposalResult,
        Self::PrincipalEnrol,
        Self::PrincipalRotate,
        Self::PrincipalDisable,
        Self::PrincipalEnable,
        Self::PrincipalList,
        Self::KeyCreate,
        Self::KeyActivate,
        Self::KeySuspend,
        Self::KeyRetire,
        Self::KeyCompromise,
        Self::KeyDestroy,
        Self::KeyImpact,
        Self::FreezeSet,
        Self::FreezeLift,
        Self::FreezeList,
        Self::QuorumSet,
        Self::ClockConfirm,
        Self::EvidenceGet,
        Self::KeyImport,
        Self::ComponentKey,
        Self::ComponentGive,
        Self::ProfilePut,
        Self::ProfileGet,
        Self::ProfileList,
        Self::PolicyPropose,
        Self::PolicyGet,
        Self::CeremonyRecord,
        Self::JobCreate,
        Self::JobItems,
        Self::JobSeal,
        Self::JobWithdraw,
        Self::JobResume,
        Self::JobSuspend,
        Self::CardResult,
        Self::JobCount,
        Self::JobIncident,
        Self::JobClose,
        Self::JobGet,
        Self::JobList,
        Self::JobRecord,
        Self::CardCheck,
        Self::CardTransition,
    ];

    /// Its name: the last part of the path `/v1/<operation>`, and the policies' action.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::KeyList => "key.list",
            Self::KeyGet => "key.get",
            Self::JobOpen => "job.open",
            Self::CardDerive => "card.derive",
            Self::ValueUpdate => "value.update",
            Self::LogCheckpoint => "log.checkpoint",
            Self::LogEntries => "log.entries",
            Self::LogProof => "log.proof",
            Self::BundleGet => "bundle.get",
            Self::ValueBatch => "value.batch",
            Self::ProposalList => "proposal.list",
            Self::ProposalGet => "proposal.get",
            Self::ProposalApprove => "proposal.approve",
            Self::ProposalReject => "proposal.reject",
            Self::ProposalCancel => "proposal.cancel",
            Self::ProposalResult => "proposal.result",
            Self::PrincipalEnrol => "principal.enrol",
            Self::PrincipalRotate => "principal.rotate",
            Self::PrincipalDisable => "principal.disable",
            Self::PrincipalEnable => "principal.enable",
            Self::PrincipalList => "principal.list",
            Self::KeyCreate => "key.create",
            Self::KeyActivate => "key.activate",
            Self::KeySuspend => "key.suspend",
            Self::KeyRetire => "key.retire",
            Self::KeyCompromise => "key.compromise",
            Self::KeyDestroy => "key.destroy",
            Self::KeyImpact => "key.impact",
            Self::FreezeSet => "freeze.set",
            Self::FreezeLift => "freeze.lift",
            Self::FreezeList => "freeze.list",
            Self::QuorumSet => "quorum.set",
            Self::ClockConfirm => "clock.confirm",
            Self::EvidenceGet => "evidence.get",
            Self::KeyImport => "key.import",
            Self::ComponentKey => "component.key",
            Self::ComponentGive => "component.give",
            Self::ProfilePut => "profile.put",
            Self::ProfileGet => "profile.get",
            Self::ProfileList => "profile.list",
            Self::PolicyPropose => "policy.propose",
            Self::PolicyGet => "policy.get",
            Self::CeremonyRecord => "ceremony.record",
            Self::JobCreate => "job.create",
            Self::JobItems => "job.items",
            Self::JobSeal => "job.seal",
            Self::JobWithdraw => "job.withdraw",
            Self::JobResume => "job.resume",
            Self::JobSuspend => "job.suspend",
            Self::CardResult => "card.result",
            Self::JobCount => "job.count",
            Self::JobIncident => "job.incident",
            Self::JobClose => "job.close",
            Self::JobGet => "job.get",
            Self::JobList => "job.list",
            Self::JobRecord => "job.record",
            Self::CardCheck => "card.check",
            Self::CardTransition => "card.transition",
        }
    }

    /// The operation of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// Whether the request must be signed by the caller's statement key. A batch is not: each of its items is, by its
    /// own terminal. Votes are not: the approval in them is, by the officer's approval key.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(
            self,
            Self::JobOpen
                | Self::CardDerive
                | Self::ValueUpdate
                | Self::ProposalCancel
                | Self::PrincipalEnrol
                | Self::PrincipalRotate
                | Self::PrincipalDisable
                | Self::PrincipalEnable
                | Self::KeyCreate
                | Self::KeyActivate
                | Self::KeySuspend
                | Self::KeyRetire
                | Self::KeyCompromise
                | Self::KeyDestroy
                | Self::FreezeSet
                | Self::FreezeLift
                | Self::QuorumSet
                | Self::ClockConfirm
                | Self::KeyImport
                | Self::ComponentGive
                | Self::ProfilePut
                | Self::PolicyPropose
                | Self::CeremonyRecord
                | Self::JobCreate
                | Self::JobItems
                | Self::JobSeal
                | Self::JobWithdraw
                | Self::JobResume
                | Self::JobSuspend
                | Self::CardResult
                | Self::JobCount
                | Self::JobIncident
                | Self::JobClose
                | Self::CardTransition
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found_by_their_names_and_keep_their_numbers() {
        for (number, operation) in (0_u8..).zip(Operation::ALL) {
            assert_eq!(Operation::from_name(operation.name()), Some(operation));
            let bytes = crate::cbor::encode(&operation);
            // From 24 on a number has a byte of its own.
            assert_eq!(bytes.split_last(), Some((&number, if number < 24 { &[][..] } else { &[0x18][..] })));
        }
        assert!(crate::cbor::decode::<Operation>(&[0x18, 59], 2).is_err(), "an operation is missing here");
        assert_eq!(Operation::from_name("key.export"), None);
    }
}
