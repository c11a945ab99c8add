//! `fobctl job count`: the station gives what operator and reviewer counted by hand, and hears whether it balances.
//!
//! By how much it does not, nobody here is told; the reviewer reads it with `fobctl job show`.

use crate::{
    fault::Fault,
    job::{
        act_args::CountsArgs,
        counts_in_words,
        floor::{self, Floor},
        place::Place,
        view::next,
    },
    output::{Output, Report, tell},
    shown::rows,
};
use keysvc_client::{
    ClientConfig,
    protocol::{
        job::{Counts, JobAct, JobState},
        name::Name,
    },
    station::Counted,
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Each of the two signs at this machine with a context of their own, or brings a
file that `fobctl job agree count` wrote: the operator's first, then the reviewer's.
With a file the numbers are taken from it.

Examples:
  fobctl --context station-1 job count nfc-2026-11 --good 1000 --rejected 7 --sample 3 \\
      --returned 0 --handed-over 0 --operator operator-1 --reviewer reviewer-1
  fobctl --context station-1 job count nfc-2026-11 \\
      --agreement operator-1.agreement --agreement reviewer-1.agreement";

const WHO: &str = "give --operator CONTEXT and --reviewer CONTEXT, or their agreements with --agreement FILE, the \
                   operator's first";

/// `fobctl job count`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CountArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Name,
    #[command(flatten)]
    counts: CountsArgs,
    #[command(flatten)]
    people: ReviewArgs,
}

/// An operator and a reviewer.
#[derive(Debug, clap::Args)]
pub(crate) struct ReviewArgs {
    /// The operator who signs here: a context, or a client.toml.
    #[arg(long, value_name = "CONTEXT")]
    operator: Option<String>,
    /// The reviewer who signs here: a context, or a client.toml.
    #[arg(long, value_name = "CONTEXT")]
    reviewer: Option<String>,
    /// An agreement out of a file, of whoever does not sign here.
    #[arg(long, value_name = "FILE")]
    pub(super) agreement: Vec<PathBuf>,
    /// Sign without asking each of them. What is signed is shown all the same.
    #[arg(long)]
    yes: bool,
}

impl ReviewArgs {
    /// Those who sign: the operator, then the reviewer.
    ///
    /// # Errors
    /// [`Fault::Usage`] where there are not two.
    pub(super) fn who(&self) -> Result<[floor::Who; 2], Fault> {
        floor::people([self.operator.as_ref(), self.reviewer.as_ref()], &self.agreement, WHO)
    }

    /// Where they sign.
    ///
    /// # Errors
    /// [`Fault`] of the trust file.
    pub(super) fn floor(&self, config: &ClientConfig) -> Result<Floor, Fault> {
        Floor::of(config, self.yes)
    }
}

#[derive(Debug, Serialize)]
struct CountReport {
    job: String,
    good: u32,
    rejected: u32,
    sample: u32,
    returned: u32,
    handed_over: u32,
    operator: String,
    reviewer: String,
    balanced: bool,
    #[serde(skip)]
    words: String,
}

/// Has both sign, and gives the count.
///
/// # Errors
/// [`Fault`] of contexts, cards, files and service; [`Fault::Undone`] for a count that does not balance.
pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &CountArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let who = args.people.who()?;
    let given = args.counts.given().map(|counts| JobAct::Count { counts });
    let next_step =
        "count by hand, and give --good N --rejected N --sample N --returned N --handed-over N, 0 too";
    let act = floor::act_of(&args.people.agreement, given, next_step)?;
    let JobAct::Count { counts } = act else {
        return Err(Fault::usage("the file holds no count", "give one that `fobctl job agree count` wrote"));
    };
    let floor = args.people.floor(config)?;
    let station = super::station(config).await?;
    let agreements = floor.agreed((&args.job, &JobAct::Count { counts }), &who)?;
    let [operator, reviewer] = agreements.each_ref().map(|one| one.claim().person.to_string());
    // Before it is sent: what was erased before a count is not what a monitor is to have seen.
    if let Some(place) = Place::if_any(config, &args.job) {
        place.outdate()?;
    }
    let counted = station.count(&args.job, counts, agreements).await;
    let counted = counted.map_err(|error| Fault::client("give the count", error))?;
    let balanced = counted == Counted::Balanced;
    output.print(&CountReport::of(&args.job, counts, [operator, reviewer], balanced))?;
    if balanced {
        tell(&format_args!("next: {}", next(args.job.as_str(), JobState::Counted)));
        return Ok(());
    }
    let job = &args.job;
    Err(Fault::Undone {
        what: format!("the count of job {job} does not balance"),
        code: 7,
        next: format!(
            "count again; the reviewer sees by how much it missed: `fobctl --context REVIEWER job show {job}`"
        ),
    })
}

impl CountReport {
    fn of(job: &Name, counts: Counts, [operator, reviewer]: [String; 2], balanced: bool) -> Self {
        let Counts { good, rejected, sample, returned, handed_over } = counts;
        Self {
            job: job.to_string(),
            good,
            rejected,
            sample,
            returned,
            handed_over,
            operator,
            reviewer,
            balanced,
            words: counts_in_words(&counts),
        }
    }
}

impl Report for CountReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-job-count/1"
    }

    fn text(&self) -> String {
        rows([
            ("job", self.job.clone()),
            ("counted", self.words.clone()),
            ("operator", self.operator.clone()),
            ("reviewer", self.reviewer.clone()),
            ("balance", if self.balanced { "BALANCED".to_owned() } else { "MISMATCH".to_owned() }),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_told_with_its_balance_and_with_no_difference() {
        let counts = Counts { good: 5, rejected: 1, ..Counts::default() };
        let report = CountReport::of(&"nfc-1".parse().unwrap(), counts, ["op".into(), "rev".into()], false);
        let text = report.text();
        assert!(text.contains("MISMATCH") && text.contains("good 5, rejected 1"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["balanced"], json.get("missed")), (&serde_json::json!(false), None));
    }
}
