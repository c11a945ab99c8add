//! What a proof tells beside its theorems: what a site may choose, but should choose knowingly.
//! A notice never makes a proof fail.

use crate::claim::{STOPS, TWO_PEOPLE};
use crate::error::ProverError;
use crate::site::Site;
use crate::solver::Solver;

/// An officer who acts before anybody else could be asked.
const ONE_OFFICER: &str = "principal.kind == \"officer\" && context.persons == 0";

/// Every notice about `site`, in a fixed order.
pub(crate) async fn all(site: &Site, solver: &Solver) -> Result<Vec<String>, ProverError> {
    let mut notices = Vec::new();
    for (action, doing) in STOPS {
        if !is_possible(site, solver, action, &[ONE_OFFICER]).await? {
            notices.push(format!("no officer can {doing} alone"));
        }
    }
    for (action, doing) in TWO_PEOPLE {
        if !is_possible(site, solver, action, &[]).await? {
            notices.push(format!("nobody can {doing}, however many people agree"));
        }
    }
    Ok(notices)
}

async fn is_possible(
    site: &Site,
    solver: &Solver,
    action: &'static str,
    conditions: &[&str],
) -> Result<bool, ProverError> {
    let about = format!("whether {action} is possible");
    for environment in site.environments(action)? {
        for permit in site.permits(environment.action()) {
            let formula = site.with_one_permit(&permit)?.formula(&environment, conditions, &about)?;
            if solver.permitted(&formula, &about).await?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
