//! Proving: the solver checked, every theorem decided, what breaks one confirmed.
//! It blocks until all is decided and keeps nothing between two proofs.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use keysvc_policies::PolicySet;
use tokio::runtime;

use crate::claim::{self, Claim};
use crate::counterexample::Counterexample;
use crate::error::ProverError;
use crate::notice;
use crate::proof::{Outcome, Proof, Theorem};
use crate::search::Search;
use crate::site::Site;
use crate::solver::Solver;

/// Time the solver has for one question. One about the shipped policies takes about 15 ms, and one about
/// 250 policies of four conditions each 100 ms.
const LIMIT: Duration = Duration::from_mins(1);

/// Stack of the thread that makes the formulas: they are as deep as there are policies, and the
/// symbolic compiler walks them by recursion. 256 policies of four conditions overflow 2 MiB; memory
/// that is not needed is not taken.
const STACK_LEN: usize = 256 * 1024 * 1024;

/// Proves theorems with cvc5.
#[derive(Debug, Clone)]
pub struct Prover {
    program: Option<PathBuf>,
    limit: Duration,
}

impl Prover {
    /// With the named cvc5, else the one the variable `CVC5` names, else `cvc5` in the search path. It is
    /// started by [`Prover::prove`] only.
    #[must_use]
    pub fn new(program: Option<PathBuf>) -> Self {
        Self { program, limit: LIMIT }
    }

    /// With another limit than 60 s for each question.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Decides every theorem about the site's policies of `set`, loads being large above `load_max`
    /// minor units. It blocks until all is decided.
    ///
    /// # Errors
    ///
    /// A solver that is missing, hangs, gives up, fails or is found out to answer wrongly, and policies
    /// that have no formula. None of it proves or refutes anything.
    pub fn prove(&self, set: &PolicySet, load_max: u64) -> Result<Proof, ProverError> {
        let no_thread = |error: std::io::Error| ProverError::NoRuntime { reason: error.kind() };
        // A thread of its own also because a runtime cannot start inside another one.
        thread::scope(|scope| {
            thread::Builder::new()
                .name("prover".to_owned())
                .stack_size(STACK_LEN)
                .spawn_scoped(scope, || self.decide_all(set, load_max))
                .map_err(no_thread)?
                .join()
                .unwrap_or(Err(ProverError::Panicked))
        })
    }

    fn decide_all(&self, set: &PolicySet, load_max: u64) -> Result<Proof, ProverError> {
        let claims = claim::all(load_max)?;
        let site = Site::new(set)?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ProverError::NoRuntime { reason: error.kind() })?;
        let solver = Solver::new(self.program.clone(), self.limit);
        runtime.block_on(async {
            let version = solver.version().await?;
            check(&solver).await?;
            let mut theorems = Vec::new();
            for claim in claims {
                theorems.push(decide(claim, &site, &solver, load_max).await?);
            }
            let notices = notice::all(&site, &solver).await?;
            Ok(Proof { solver: version, policies: set.digest(), load_max, theorems, notices })
        })
    }
}

/// Asks what is known: a theorem that holds and one that does not. A program that says the same to
/// everything is found out, and so is one whose answers are misread.
async fn check(solver: &Solver) -> Result<(), ProverError> {
    let about = "a known answer";
    for (least, is_broken, known) in [(2, false, "truth"), (1, true, "falsehood")] {
        let text = format!(
            "permit (principal, action == Action::\"freeze.lift\", resource) \
             when {{ principal.kind == \"officer\" && context.persons >= {least} }};"
        );
        let site = Site::new(&PolicySet::from_files(&[("known.cedar", &text)])?)?;
        for environment in site.environments("freeze.lift")? {
            let formula = site.formula(&environment, &["context.persons < 2"], about)?;
            if solver.permitted(&formula, about).await?.is_some() != is_broken {
                return Err(ProverError::Untrue { known });
            }
        }
    }
    Ok(())
}

async fn decide(claim: Claim, site: &Site, solver: &Solver, load_max: u64) -> Result<Theorem, ProverError> {
    let environments = site.environments(claim.action)?;
    let mut outcome = Outcome::Holds;
    for environment in &environments {
        if let Some(found) = Search::new(&claim, solver, environment).run(site, load_max).await? {
            outcome = Outcome::Fails(Counterexample::confirmed(&claim, site, &found)?);
            break;
        }
    }
    Ok(Theorem {
        name: claim.name,
        statement: claim.statement,
        environments: u32::try_from(environments.len()).unwrap_or(u32::MAX),
        outcome,
    })
}
