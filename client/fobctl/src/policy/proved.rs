//! Proofs over a site's policies, made with the solver on this machine.

use super::candidate;
use crate::fault::Fault;
use indicatif::{ProgressBar, ProgressStyle};
use keysvc_client::protocol::{bytes::Digest, request::PolicyProof};
use keysvc_policies::PolicySet;
use keysvc_prover::{Counterexample, LOAD_MAX_DEFAULT, Outcome, Proof, Prover, ProverError, Theorem};
use serde::Serialize;
use std::time::Duration;

/// How often the line on the terminal shows that the solver is at work, in milliseconds.
const TICK_MS: u64 = 200;

/// Above which amount a load counts as large.
#[derive(Debug, clap::Args)]
pub(crate) struct LargeAbove {
    /// Loads above this take two people: minor units, or an amount with two decimals such as 1000.00.
    #[arg(long, value_name = "AMOUNT", value_parser = amount, default_value_t = LOAD_MAX_DEFAULT)]
    pub(crate) large_above: u64,
}

/// Up to which amount a reviewer takes a load for small, and whose word that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// What the reviewer gave.
    Given(u64),
    /// The program's own.
    Default,
    /// What the policies in force were proved with, where that is less.
    InForce(u64),
    /// The reviewer gave none, and what the policies in force were proved with is not known.
    Unknown,
}

impl Limit {
    /// The reviewer's own word before all; else the program's, or less where the policies in force were proved with less.
    pub(crate) const fn of(given: Option<u64>, in_force: Option<u64>) -> Self {
        match (given, in_force) {
            (Some(given), _) => Self::Given(given),
            (None, Some(in_force)) if in_force < LOAD_MAX_DEFAULT => Self::InForce(in_force),
            (None, Some(_)) => Self::Default,
            (None, None) => Self::Unknown,
        }
    }

    /// Whether a proof that counts loads as large above this amount may pass.
    pub(crate) const fn holds(self, load_max: u64) -> bool {
        match self {
            Self::Given(limit) | Self::InForce(limit) => load_max <= limit,
            Self::Default => load_max <= LOAD_MAX_DEFAULT,
            Self::Unknown => false,
        }
    }

    /// The proof's amount, and what is wrong with it.
    pub(crate) fn words(self, load_max: u64) -> String {
        let amount = format!("a load is large above {load_max} minor units");
        if self.holds(load_max) {
            return amount;
        }
        let why = match self {
            Self::Given(limit) => return format!("{amount}, more than --large-above {limit} says here"),
            Self::Default => format!("more than the usual {LOAD_MAX_DEFAULT}"),
            Self::InForce(limit) => {
                format!("more than the {limit} that the policies in force were proved with")
            }
            Self::Unknown => "and what the policies in force were proved with is not known".to_owned(),
        };
        format!("{amount}, {why}: where the site means it so, say it yourself with --large-above AMOUNT")
    }
}

/// What is said loudly of an amount that is more than the program's own; nothing of any other.
pub(crate) fn warning(large_above: u64) -> Option<String> {
    (large_above > LOAD_MAX_DEFAULT).then(|| {
        format!(
            "WARNING: --large-above {large_above} is more than the usual {LOAD_MAX_DEFAULT} minor units: loads of up to \
             {large_above} are not proved to take two people. Every officer's `fobctl policy review` fails until that \
             officer gives --large-above too"
        )
    })
}

/// Minor units, or an amount with two decimals.
///
/// # Errors
/// What to give instead.
pub(crate) fn amount(text: &str) -> Result<u64, String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let minor = match text.split_once('.') {
        None if digits(text) => text.parse().ok(),
        Some((whole, cents)) if digits(whole) && digits(cents) && cents.len() == 2 => {
            format!("{whole}{cents}").parse().ok()
        }
        _ => None,
    };
    minor.ok_or_else(|| "give minor units such as 100000, or two decimals such as 1000.00".to_owned())
}

/// A theorem, for reports.
#[derive(Debug, Serialize)]
pub(crate) struct TheoremView {
    /// Short and unique.
    name: String,
    /// In words.
    statement: String,
    holds: bool,
    /// The request that breaks it, in words.
    counterexample: Option<String>,
    /// The policies that permit that request, each by its id and place.
    permitted_by: Vec<String>,
}

impl From<&Theorem> for TheoremView {
    fn from(theorem: &Theorem) -> Self {
        let found = match &theorem.outcome {
            Outcome::Holds => None,
            Outcome::Fails(counterexample) => Some(counterexample),
        };
        Self {
            name: theorem.name.clone(),
            statement: theorem.statement.clone(),
            holds: found.is_none(),
            counterexample: found.map(|one| one.words().to_owned()),
            permitted_by: found.map(|one: &Counterexample| one.policies().to_vec()).unwrap_or_default(),
        }
    }
}

/// Proves every theorem, or finds what breaks it. A line on the terminal says that it takes its time.
///
/// # Errors
/// [`Fault`] of the solver; [`Fault::Unsound`] where it gave no answer, which proves nothing.
pub(crate) fn prove(set: &PolicySet, load_max: u64) -> Result<Proof, Fault> {
    let bar = ProgressBar::new_spinner().with_message("proving, about 20 ms for each statement");
    let bar = match ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.enable_steady_tick(Duration::from_millis(TICK_MS));
    let proof = Prover::new(None).prove(set, load_max);
    bar.finish_and_clear();
    proof.map_err(|error| fault(&error))
}

fn fault(error: &ProverError) -> Fault {
    let text = error.to_string();
    let what = text.rsplit_once("; ").map_or(text.as_str(), |(what, _)| what).to_owned();
    let next = || text.rsplit_once("; ").map_or("", |(_, next)| next).to_owned();
    match error {
        ProverError::Missing { .. } => Fault::NoSolver {
            what: what.split(" (").next().unwrap_or(&what).to_owned(),
            next: "`apt-get install cvc5` as root, or name the program with CVC5=/path/to/cvc5".to_owned(),
        },
        ProverError::OtherProgram { .. }
        | ProverError::Solver { .. }
        | ProverError::Untrue { .. }
        | ProverError::NoRuntime { .. } => Fault::NoSolver { what, next: next() },
        ProverError::LoadMax | ProverError::Policies(_) => candidate::unusable(error),
        _ => Fault::unsound(what, next()),
    }
}

/// As a proposal carries it.
///
/// # Errors
/// [`Fault`] where the solver's name is no text for the log.
pub(crate) fn wire(proof: &Proof) -> Result<PolicyProof, Fault> {
    let solver = proof.solver.parse().map_err(|_| Fault::NoSolver {
        what: format!("the solver calls itself {:?}", proof.solver),
        next: "install Debian's package: `apt-get install cvc5`".to_owned(),
    })?;
    Ok(PolicyProof {
        solver,
        theorems: u32::try_from(proof.theorems.len()).unwrap_or(u32::MAX),
        environments: proof.environments(),
        load_max: proof.load_max,
        report: Digest::new(proof.digest()),
    })
}

/// `16 statements over 16 kinds of request hold, proved by cvc5 1.0.3`.
pub(crate) fn summary(proof: &Proof) -> String {
    let (all, environments, solver) = (proof.theorems.len(), proof.environments(), &proof.solver);
    match proof.failed().count() {
        0 => format!("{all} statements over {environments} kinds of request hold, proved by {solver}"),
        1 => format!("1 of {all} statements fails ({solver})"),
        failed => format!("{failed} of {all} statements fail ({solver})"),
    }
}

/// The same proof as it would read from a solver of this name: what another machine found, with its own version.
pub(crate) fn as_if_by(proof: &Proof, solver: &str) -> Proof {
    Proof { solver: solver.to_owned(), ..proof.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_minor_units_or_has_two_decimals() {
        assert_eq!(amount("100000"), Ok(100_000));
        assert_eq!(amount("1000.00"), Ok(100_000));
        for bad in ["", "1.0", "1,00", "-1", ".00", "1.000", "1e3", "99999999999999999999"] {
            assert!(amount(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_amount_above_the_usual_or_above_the_set_in_force_takes_the_reviewers_own_word() {
        let usual = LOAD_MAX_DEFAULT;
        // What the reviewer gave, what the set in force was proved with, what is stated, whether that passes.
        for (given, in_force, stated, passes) in [
            (None, Some(usual), usual, true),
            (None, Some(usual), usual + 1, false),
            (None, Some(usual), u64::MAX, false),
            // A site whose set in force was proved with more still says it each time.
            (None, Some(10 * usual), 10 * usual, false),
            (None, Some(500), 500, true),
            (None, Some(500), 501, false),
            (None, None, 1, false),
            (Some(usual), None, usual, true),
            (Some(10 * usual), Some(500), 10 * usual, true),
            (Some(10 * usual), Some(usual), 10 * usual + 1, false),
            (Some(500), Some(usual), usual, false),
        ] {
            let limit = Limit::of(given, in_force);
            assert_eq!(limit.holds(stated), passes, "{given:?} {in_force:?} {stated}");
            let words = limit.words(stated);
            assert!(words.starts_with(&format!("a load is large above {stated} minor units")), "{words}");
            assert_eq!(words.contains("--large-above"), !passes, "{words}");
        }
        assert!(Limit::InForce(500).words(501).contains("more than the 500 that the policies in force"));
    }

    #[test]
    fn only_an_amount_above_the_usual_is_warned_of() {
        assert_eq!(warning(LOAD_MAX_DEFAULT), None);
        let said = warning(LOAD_MAX_DEFAULT + 1).unwrap();
        assert!(said.starts_with("WARNING: --large-above 100001 is more than the usual 100000"), "{said}");
    }

    #[test]
    fn a_missing_solver_is_named_with_the_command_that_installs_it() {
        let missing = ProverError::Missing { program: "cvc5".into(), reason: std::io::ErrorKind::NotFound };
        let fault = fault(&missing);
        assert_eq!(fault.exit_code(), 4);
        assert!(fault.next().starts_with("`apt-get install cvc5`"), "{}", fault.next());
    }

    #[test]
    fn a_solver_without_an_answer_has_proved_nothing() {
        let fault =
            fault(&ProverError::TimedOut { about: "two people: large load".into(), limit_ms: 60_000 });
        assert_eq!(fault.exit_code(), 6);
        assert!(fault.to_string().ends_with("which proves nothing"), "{fault}");
    }

    #[test]
    fn a_proof_of_another_version_of_the_solver_is_compared_by_its_content() {
        let one = Proof {
            solver: "cvc5 1.0.3".into(),
            policies: [1; 32],
            load_max: 5,
            theorems: Vec::new(),
            notices: Vec::new(),
        };
        let other = Proof { solver: "cvc5 1.2.0".into(), ..one.clone() };
        assert_ne!(one.digest(), other.digest());
        assert_eq!(as_if_by(&other, "cvc5 1.0.3").digest(), one.digest());
    }
}
