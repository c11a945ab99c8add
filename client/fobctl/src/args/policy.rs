//! The noun of policies and its verbs.

use crate::command::{
    policy_check, policy_diff, policy_propose, policy_prove, policy_replay, policy_review, policy_show,
    policy_test,
};
use clap::Subcommand;

/// `fobctl policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyVerb {
    /// Show the policies in force, and write their files.
    Show(policy_show::ShowArgs),
    /// Load a set strictly: its files, digest and size, and whether it could ever be replaced.
    Check(policy_check::CheckArgs),
    /// Try a set on the decision cases, the shipped ones and the site's own.
    Test(policy_test::TestArgs),
    /// Show every decision case that comes out otherwise than under the set in force.
    Diff(policy_diff::DiffArgs),
    /// Prove that no grave act takes fewer than two people, or show the request that does; needs cvc5.
    Prove(policy_prove::ProveArgs),
    /// Decide the recorded requests of an exported log again, and list what would come out otherwise.
    Replay(policy_replay::ReplayArgs),
    /// Do all of it, and propose the set; takes most officers.
    Propose(policy_propose::ProposeArgs),
    /// Do all of it again for a proposal, before it is approved: does it say what this machine finds?
    Review(policy_review::ReviewArgs),
}
