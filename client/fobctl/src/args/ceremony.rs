//! The verbs about ceremonies.

use crate::{
    ceremony::card,
    command::ceremony::{approve, check, new, rehearse, run, script},
};
use clap::Subcommand;

/// `fobctl ceremony`.
#[derive(Debug, Subcommand)]
pub(crate) enum CeremonyVerb {
    /// Make a plan for the own service out of an example.
    New(new::NewArgs),
    /// Check a plan, and show its steps in words and its digest.
    Check(check::CheckArgs),
    /// Write a plan as a page for paper, or the page filled with what was done.
    Script(script::ScriptArgs),
    /// Walk a plan through against a scratch token, and write a sample transcript.
    Rehearse(rehearse::RehearseArgs),
    /// Read a plan and sign its digest with the own card.
    Approve(approve::ApproveArgs),
    /// Hold the ceremony: walk a plan that everyone signed, and write the signed transcript.
    Run(run::RunArgs),
    /// Open one person's card and sign what comes in; a ceremony starts it for each person.
    #[command(hide = true)]
    Card(card::CardArgs),
}
