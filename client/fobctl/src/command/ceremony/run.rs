//! `fobctl ceremony run`: walks a plan that everyone signed, step by step, on the ceremony machine.

use crate::{
    ceremony::{
        agreement,
        answers::{Answerer, Answers},
        finish, named,
        people::{People, PersonContext, founding_keys},
        plan_file::PlanFile,
        progress::Kept,
        walk::Ceremony,
        words,
    },
    context::Surroundings,
    fault::Fault,
    output::{LOUD, Output, tell},
    shown::{plain, whole_digest},
};
use keysvc_client::protocol::ceremony::Person;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
An interrupted ceremony goes on with its next step when the same command is run
again.

Examples:
  fobctl ceremony run rotate.toml
  fobctl ceremony run rotate.toml --person officer-1=alice --person carol=/media/carol/client.toml
  fobctl ceremony run rotate.toml --out held --answers answers.toml";

/// `fobctl ceremony run`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// The plan, TOML, signed by everyone it names.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// A person's context, or client.toml; the context of the person's own name where it is left out.
    #[arg(long = "person", value_name = "NAME=CONTEXT")]
    people: Vec<PersonContext>,
    /// The folder the ceremony is kept in; PLAN.ceremony where it is left out.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Answers instead of people at the terminal, TOML; for scripts and tests.
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
}

/// Walks the plan to its end, or goes on where it was interrupted.
///
/// # Errors
/// [`Fault`] with the exit code and the next command.
pub(super) async fn run<W: Write>(
    args: &RunArgs,
    surroundings: &Surroundings,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let file = super::read(&args.plan)?;
    let folder = args.out.clone().unwrap_or_else(|| file.folder(".ceremony"));
    finish::refuse_ended(&folder)?;
    named::check(&file)?;
    let answerer = match &args.answers {
        Some(path) => Answerer::File(Answers::read(path)?),
        None => Answerer::Terminal,
    };
    let mut people = People::find(&file, &args.people, surroundings)?;
    let agreements = agreed(&file, &mut people).await?;
    head(&file);
    let kept = Kept::open(&folder, &file, agreements, false)?;
    let mut ceremony = Ceremony { file: &file, people, answerer, kept, rehearsal: None };
    ceremony.walk().await?;
    ceremony.finish(output).await
}

/// Everyone's agreement to exactly these bytes; the log must be the plan's.
async fn agreed(file: &PlanFile, people: &mut People) -> Result<Vec<Vec<u8>>, Fault> {
    if let Some(genesis) = file.plan.genesis.filter(|genesis| people.trusted() != Some(*genesis)) {
        let what = format!(
            "the plan is for the log of genesis {}, and these people's is another",
            words::head(&genesis)
        );
        return Err(Fault::usage(
            what,
            "make a plan for this service with `fobctl ceremony new`, or give the right contexts with --person",
        ));
    }
    let founding = if file.plan.founds() { Some(founding_keys(file)?) } else { None };
    let everyone: Vec<Person> = people.all().cloned().collect();
    let mut agreements = Vec::new();
    for person in &everyone {
        let known = match founding.as_ref().and_then(|keys| keys.get(&person.name)) {
            Some(key) => *key,
            None => people.enrolled(&person.name).await?,
        };
        agreements.push(agreement::of_plan(file, person, &known)?);
    }
    Ok(agreements)
}

fn head(file: &PlanFile) {
    let plan = &file.plan;
    tell(&format_args!("{LOUD}{}{LOUD:#}\n{}", plain(plan.title.as_str()), plain(plan.purpose.as_str())));
    for person in &plan.people {
        tell(&format_args!("  {} ({}) has signed the plan", person.name, person.role));
    }
    tell(&"The plan's SHA-256; compare it with the paper:");
    for line in whole_digest(&file.digest) {
        tell(&format_args!("  {line}"));
    }
}
