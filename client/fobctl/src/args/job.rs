//! The nouns about making cards, and their verbs: personalization jobs, and the cards of the registry.

use crate::command::{card, job};
use clap::Subcommand;

/// `fobctl job`.
#[derive(Debug, Subcommand)]
pub(crate) enum JobVerb {
    /// Print a form to fill in.
    New,
    /// Make a job of a form, with its cards; another data operator seals it.
    Create(job::create::CreateArgs),
    /// Show what a job is about, and seal it: nothing about it changes after.
    Seal(job::seal::SealArgs),
    /// Give up a job that nothing was made of.
    Withdraw(job::withdraw::WithdrawArgs),
    /// Sign at your own machine what you agree to at the station, into a file.
    #[command(subcommand)]
    Agree(job::agree::AgreeVerb),
    /// Begin a session of two operators at the job's station; also the next one, after two hours.
    Open(job::open::OpenArgs),
    /// Make cards with the encoder's program, for as long as the session lasts.
    Run(job::run::RunArgs),
    /// Stop a job at once; either operator of its session is enough.
    Suspend(job::suspend::SuspendArgs),
    /// Let a job go on that was stopped, with two operators.
    Resume(job::open::OpenArgs),
    /// Report something that went wrong, with operator and reviewer.
    Incident(job::incident::IncidentVerbArgs),
    /// Give what was counted by hand, with operator and reviewer.
    Count(job::count::CountArgs),
    /// Erase the job's data at the station, with a witness.
    Close(job::close::CloseArgs),
    /// Show a job; its numbers to those alone who may know them.
    Show(job::show::ShowArgs),
    /// List the jobs.
    List(job::list::ListArgs),
    /// Print a job's audit record, signed by the service.
    Record(job::record::RecordArgs),
}

/// `fobctl card`.
#[derive(Debug, Subcommand)]
pub(crate) enum CardVerb {
    /// Show a card's state.
    Check(card::CheckArgs),
    /// Put cards into another state: sold, taken out of service, to be destroyed.
    Move(card::MoveArgs),
}
