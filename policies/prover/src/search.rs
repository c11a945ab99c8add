//! The search for a request that breaks one claim, and for the plainest of those.
//! What it finds is not shown before Cedar has judged it against all policies (`counterexample`).

use cedar_policy::RequestEnv;
use cedar_policy_symcc::Env;

use crate::claim::Claim;
use crate::error::ProverError;
use crate::facts::Facts;
use crate::site::Site;
use crate::solver::Solver;
use crate::wishes::{self, Wish};

/// One claim asked of one request environment.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    claim: &'a Claim,
    solver: &'a Solver,
    environment: &'a RequestEnv,
    /// The claim's region, and the wishes granted so far.
    conditions: Vec<String>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(claim: &'a Claim, solver: &'a Solver, environment: &'a RequestEnv) -> Self {
        Self { claim, solver, environment, conditions: vec![claim.region.clone()] }
    }

    /// The plainest request that `site` permits and the claim forbids, or `None` if there is none.
    ///
    /// One permit after the other is searched for a hole, because a request through one is found a
    /// thousand times faster than through any of hundreds. That there is none, all policies together
    /// have to show.
    pub(crate) async fn run(mut self, site: &Site, load_max: u64) -> Result<Option<Env>, ProverError> {
        for permit in site.permits(self.environment.action()) {
            let one = site.with_one_permit(&permit)?;
            if let Some(found) = self.ask(&one, &[]).await? {
                return self.plainest(&one, found, load_max).await.map(Some);
            }
        }
        self.ask(site, &[]).await
    }

    async fn plainest(&mut self, site: &Site, found: Env, load_max: u64) -> Result<Env, ProverError> {
        let wishes = wishes::for_request(Facts(&found), load_max);
        // All at once first, because most holes have nothing odd about them.
        let firsts: Vec<_> = wishes.iter().filter_map(|wish| wish.first()).map(String::as_str).collect();
        if let Some(plain) = self.ask(site, &firsts).await? {
            return Ok(plain);
        }
        let found = self.grant(site, wishes, found).await?;
        let sets = wishes::for_sets(Facts(&found));
        self.grant(site, sets, found).await
    }

    /// Grants one wish after the other, each beside those granted before.
    async fn grant(&mut self, site: &Site, wishes: Vec<Wish>, mut found: Env) -> Result<Env, ProverError> {
        for wish in wishes {
            for condition in wish {
                if let Some(plainer) = self.ask(site, &[&condition]).await? {
                    found = plainer;
                    self.conditions.push(condition);
                    break;
                }
            }
        }
        Ok(found)
    }

    async fn ask(&self, site: &Site, more: &[&str]) -> Result<Option<Env>, ProverError> {
        let conditions: Vec<_> =
            self.conditions.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let formula = site.formula(self.environment, &conditions, &self.claim.name)?;
        self.solver.permitted(&formula, &self.claim.name).await
    }
}
