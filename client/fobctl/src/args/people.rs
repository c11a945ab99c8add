//! The nouns about what takes people, and their verbs.

use crate::command::{
    clock_confirm, evidence_get, freeze, principal_change, principal_enrol, proposal_cancel, proposal_list,
    proposal_result, proposal_show, proposal_vote, quorum,
};
use clap::Subcommand;

/// `fobctl proposal`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProposalVerb {
    /// List the proposals that wait for people.
    List(proposal_list::ListArgs),
    /// Show a proposal: what it does, who asks, who has approved, what is still needed.
    Show(proposal_show::ShowArgs),
    /// Show a proposal and approve it with the officer's card.
    Approve(proposal_vote::VoteArgs),
    /// Show a proposal and reject it with the officer's card, which ends it.
    Reject(proposal_vote::VoteArgs),
    /// Withdraw a proposal, or its act while it waits for its delay.
    Cancel(proposal_cancel::CancelArgs),
    /// Show what became of a proposal; for a value update, write its record.
    Result(proposal_result::ResultArgs),
}

/// `fobctl principal`.
#[derive(Debug, Subcommand)]
pub(crate) enum PrincipalVerb {
    /// List who is enrolled.
    List,
    /// Enrol a person or machine; takes two officers, an officer more.
    Enrol(principal_enrol::EnrolArgs),
    /// Ask for other keys for yourself; takes two officers.
    Rotate(principal_enrol::RotateArgs),
    /// Disable a person or machine from its next request on; one officer is enough.
    Disable(principal_change::ChangeArgs),
    /// Enable a person or machine again; takes two officers.
    Enable(principal_change::ChangeArgs),
}

/// `fobctl freeze`.
#[derive(Debug, Subcommand)]
pub(crate) enum FreezeVerb {
    /// List what is stopped.
    List,
    /// Stop a card, job, terminal, station, programme, store, profile, key or all; one officer is enough.
    Set(freeze::FreezeArgs),
    /// Let go on what was stopped; takes two officers.
    Lift(freeze::FreezeArgs),
}

/// `fobctl quorum`.
#[derive(Debug, Subcommand)]
pub(crate) enum QuorumVerb {
    /// Show how many people each operation takes.
    Show,
    /// Set how many people an operation takes; takes most officers and a delay.
    Set(quorum::SetArgs),
}

/// `fobctl clock`.
#[derive(Debug, Subcommand)]
pub(crate) enum ClockVerb {
    /// State that the service's clock is right, after comparing it; takes two officers.
    Confirm(clock_confirm::ConfirmArgs),
}

/// `fobctl evidence`.
#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceVerb {
    /// Fetch the evidence of who agreed to an act, verify it, and write it to a file.
    Get(evidence_get::GetArgs),
}
