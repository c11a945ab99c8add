//! A set of policies in a ceremony: checked, tried, compared and proved again at the machine, and then asked for.
//!
//! The same checks as `fobctl policy propose` makes, with the cases and the amount that the plan names and without a
//! replay: that one is looked at when the plan is reviewed. A check that fails stops the step.

use crate::{
    ceremony::plan_file::PlanFile,
    fault::Fault,
    output::tell,
    policy::{candidate, cases::AllCases, in_force::InForce, lockout::Officers, proved},
};
use keysvc_client::{
    Officer,
    protocol::{
        bytes::{Digest, Idem},
        ceremony::Activity,
        name::Reason,
        request::ProposePolicy,
        schema::Schema,
    },
};
use keysvc_policies::PolicySet;
use keysvc_prover::LOAD_MAX_DEFAULT;

/// A set that is to be asked for.
pub(super) struct Proposal {
    set: PolicySet,
    cases: AllCases,
    large_above: u64,
    idem: Idem,
    reason: Reason,
}

/// Reads the set in the plan's folder, which must have the plan's digest, and the cases that it is tried on.
///
/// # Errors
/// [`Fault::Usage`] for a set or a case that does not load, or another set, with both digests.
pub(super) fn proposal(
    plan: &PlanFile,
    activity: &Activity,
    (idem, reason): (Idem, Reason),
) -> Result<Proposal, Fault> {
    let Activity::PolicyPropose { folder, policy: expected, large_above, cases } = activity else {
        return Err(Fault::usage("this step asks for no policies", "correct the plan"));
    };
    let folder = plan.beside(folder);
    let set = candidate::load(&folder)?;
    let found = candidate::digest(&set);
    if found == *expected {
        let own = cases.as_ref().map(|cases| plan.beside(cases));
        let cases = AllCases::load(own.as_deref())?;
        let large_above = large_above.unwrap_or(LOAD_MAX_DEFAULT);
        return Ok(Proposal { set, cases, large_above, idem, reason });
    }
    let head = crate::ceremony::words::head;
    let what = format!(
        "the policies in {} are {}, and the plan says {}",
        folder.display(),
        head(&found),
        head(expected)
    );
    Err(Fault::usage(what, "put the reviewed set there, or have a new plan reviewed and signed"))
}

impl Proposal {
    /// The set's digest.
    pub(super) fn digest(&self) -> Digest {
        candidate::digest(&self.set)
    }

    /// Makes every check, and the request with what they found.
    ///
    /// # Errors
    /// [`Fault`] of the calls and the solver; [`Fault::Usage`] for a check that fails.
    pub(super) async fn request(self, officer: &Officer) -> Result<ProposePolicy, Fault> {
        let Self { set, cases, large_above, idem, reason } = self;
        let failed = |what: String| {
            Err(Fault::usage(
                what,
                "run `fobctl policy propose` on it before it is planned: it says what to mend",
            ))
        };
        let officers = Officers::of_service(officer).await;
        let officers = officers.map_err(|error| Fault::client("read who the officers are", error))?;
        if !officers.can_replace(&set)? {
            return failed("under these policies nobody could change them again".to_owned());
        }
        let tested = cases.test(&set);
        if let Some(mismatch) = tested.mismatches.first() {
            return failed(format!("a decision case comes out otherwise: {mismatch}"));
        }
        let compared = cases.compare(&InForce::read(officer.reader()).await?.set, &set);
        tell(&compared.summary());
        let proof = proved::prove(&set, large_above)?;
        if let Some((theorem, counterexample)) = proof.failed().next() {
            return failed(format!("not proved: {}: {counterexample}", theorem.statement));
        }
        tell(&proved::summary(&proof));
        Ok(ProposePolicy {
            schema: Schema,
            idem,
            policy: candidate::digest(&set),
            files: candidate::wire(&set)?,
            difference: compared.wire(),
            proof: proved::wire(&proof)?,
            reason,
            replay: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::plan_file::tests::PLAN;
    use keysvc_policies::DEFAULT_SITE;
    use std::fs;
    use tempfile::TempDir;

    /// What becomes of a step that asks for the shipped policies, with this beside their digest.
    fn asked(more: &str) -> Result<Proposal, Fault> {
        let folder = TempDir::new().unwrap();
        for (place, text) in [("set/site.cedar", DEFAULT_SITE), ("cases/own.toml", "surprise = 1\n")] {
            let path = folder.path().join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let digest = candidate::digest(&candidate::load(&folder.path().join("set")).unwrap());
        let head = PLAN.split_once("[[steps]]").unwrap().0;
        let text = format!(
            "{head}[[steps]]\nsay = \"s\"\nby = \"alice\"\n\
             do = {{ act = \"policy-propose\", folder = \"set\", policy = \"{digest}\"{more} }}\n"
        );
        let plan = PlanFile::of_bytes(&folder.path().join("plan.toml"), text.into_bytes()).unwrap();
        let activity = plan.plan.steps[0].activity.clone().unwrap();
        proposal(&plan, &activity, (Idem::new([1; 16]), "s".parse().unwrap()))
    }

    #[test]
    fn what_counts_as_a_large_load_is_the_plans_or_else_the_provers_own() {
        assert_eq!(asked("").unwrap().large_above, LOAD_MAX_DEFAULT);
        assert_eq!(asked(", large-above = 20000").unwrap().large_above, 20_000);
    }

    #[test]
    fn the_cases_that_the_plan_names_are_read_from_beside_it() {
        let why = |more: &str| match asked(more) {
            Ok(taken) => panic!("{} was taken", taken.digest()),
            Err(fault) => fault.to_string(),
        };
        let unread = why(", cases = \"cases\"");
        assert!(unread.contains("own") && unread.contains("surprise"), "{unread}");
        assert!(why(", cases = \"elsewhere\"").contains("elsewhere"));
    }
}
