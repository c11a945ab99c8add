//! `fobctl ceremony`: its verbs, and what they share. Each verb stands in a file of its own.

pub(crate) mod approve;
pub(crate) mod check;
pub(crate) mod new;
pub(crate) mod rehearse;
pub(crate) mod run;
pub(crate) mod script;

use crate::{
    args::{Args, CeremonyVerb},
    ceremony::{card, plan_file::PlanFile},
    context::{Chosen, Surroundings},
    fault::Fault,
    output::Output,
    own_token,
};
use keysvc_client::ClientConfig;
use std::{io::Write, path::Path};

/// Runs a verb. A plan has people of its own, so that most verbs use no configuration but theirs.
///
/// # Errors
/// [`Fault`] with the exit code and the next command.
pub(super) fn run<W: Write>(
    verb: &CeremonyVerb,
    args: &Args,
    surroundings: &Surroundings,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    match verb {
        CeremonyVerb::Check(args) => check::run(args, output),
        CeremonyVerb::Script(args) => script::run(args, output),
        CeremonyVerb::New(new) => new::run(&configured(args, surroundings)?.1, new, output),
        CeremonyVerb::Approve(approve) => {
            let (chosen, config) = configured(args, surroundings)?;
            own_token::switch(&chosen, &config)?;
            approve::run((&chosen, &config), approve, output)
        }
        CeremonyVerb::Run(run) => block_on(run::run(run, surroundings, output)),
        CeremonyVerb::Rehearse(args) => block_on(rehearse::run(args, output)),
        CeremonyVerb::Card(card) => {
            let (chosen, config) = configured(args, surroundings)?;
            own_token::switch(&chosen, &config)?;
            card::serve(&config, card, output)
        }
    }
}

fn configured(args: &Args, surroundings: &Surroundings) -> Result<(Chosen, ClientConfig), Fault> {
    let chosen = args.choose(surroundings)?;
    let config = super::read_config(&chosen.file)?;
    Ok((chosen, config))
}

fn block_on(future: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::Runtime)?;
    runtime.block_on(future)
}

/// Reads a plan.
///
/// # Errors
/// [`Fault`] with the place in it and the mend.
fn read(path: &Path) -> Result<PlanFile, Fault> {
    PlanFile::read(path)
}
