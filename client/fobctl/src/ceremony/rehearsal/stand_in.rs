//! The rehearsed plan: the plan with stand-ins for what cannot hold on a scratch site.
//!
//! Other founding file, configuration and genesis; components made here, with their own check values; files of the plan by
//! their full paths. Everything else stays, and the plan's head says what it came from.

use super::site::ScratchSite;
use crate::{
    ceremony::{perform::StandIn, plan_file::PlanFile},
    fault::Fault,
};
use keysvc_client::{
    Component,
    protocol::{
        bytes::Digest,
        ceremony::{Activity, Plan},
        hash::sha256,
        name::Name,
    },
};
use std::{collections::BTreeMap, fs, path::Path};

/// What stands in for secrets in a rehearsal.
#[derive(Debug, Default)]
pub(crate) struct StandIns {
    components: Vec<StandIn>,
}

impl StandIns {
    /// The component that stands in for somebody's own.
    ///
    /// # Errors
    /// [`Fault`] where there is none.
    pub(crate) fn component(&self, of_step: u16, custodian: &Name) -> Result<Component, Fault> {
        let own = self.components.iter().find(|one| one.of_step == of_step && one.custodian == *custodian);
        let copy = own.and_then(|one| Component::from_hex(&one.component.written()).ok());
        copy.ok_or_else(|| Fault::usage(format!("{custodian} has no stand-in component"), "correct the plan"))
    }
}

/// The text of the rehearsed plan, and the stand-ins.
///
/// # Errors
/// [`Fault`] of the site's files.
pub(super) fn plan(real: &PlanFile, site: &ScratchSite) -> Result<(String, StandIns), Fault> {
    let founding = fs::read(site.founding()).map_err(|source| Fault::File {
        doing: "read",
        path: site.founding(),
        source,
    })?;
    let place = Scratch {
        genesis: site.genesis().and_then(|digits| digits.parse().ok()),
        founding: (site.founding().display().to_string(), sha256(&[&founding])),
        config: site.service_config().display().to_string(),
        newcomers: newcomers(&real.plan, site)?,
        policies: if names(
            real,
            |one| matches!(one, Activity::PolicyPropose { policy, .. } if is_zero(policy)),
        ) {
            Some(site.policies()?)
        } else {
            None
        },
    };
    let (plan, stand_ins) = replaced(&real.plan, real.path.parent().unwrap_or(Path::new("")), &place)?;
    let text = toml::to_string(&plan).map_err(|error| {
        Fault::usage(format!("the rehearsed plan cannot be written ({error})"), "correct the plan")
    })?;
    Ok((format!("{}{text}", heading(&real.digest)), stand_ins))
}

/// What of a scratch site stands in a plan.
struct Scratch {
    genesis: Option<Digest>,
    founding: (String, Digest),
    config: String,
    /// Enrolment files of people whom an example enrols from a file with a digest of zeros, by name.
    newcomers: BTreeMap<Name, (String, Digest)>,
    /// A folder of policies, where an example names one so.
    policies: Option<(String, Digest)>,
}

fn names(real: &PlanFile, is: impl Fn(&Activity) -> bool) -> bool {
    real.plan.steps.iter().filter_map(|step| step.activity.as_ref()).any(is)
}

/// Makes those whom an example enrols from a file that it leaves out.
fn newcomers(plan: &Plan, site: &ScratchSite) -> Result<BTreeMap<Name, (String, Digest)>, Fault> {
    let mut newcomers = BTreeMap::new();
    for step in &plan.steps {
        if let Some(Activity::PrincipalEnrol { sha256, name, kind, .. }) = &step.activity
            && is_zero(sha256)
            && !newcomers.contains_key(name)
        {
            newcomers.insert(name.clone(), site.newcomer(name, *kind)?);
        }
    }
    Ok(newcomers)
}

/// Whether an example leaves a digest out.
fn is_zero(digest: &Digest) -> bool {
    digest.as_bytes().iter().all(|byte| *byte == 0)
}

fn heading(real: &Digest) -> String {
    format!(
        "# REHEARSAL of the plan with the SHA-256\n#   {real}\n# on a scratch token. Trust domain, genesis and files are the \
         scratch site's; components of\n# imported keys and all check values of keys were made for the rehearsal.\n\n"
    )
}

fn replaced(real: &Plan, folder: &Path, place: &Scratch) -> Result<(Plan, StandIns), Fault> {
    let mut plan = real.clone();
    plan.trust_domain = "demo.keysvc.test".parse().map_err(|_| fault("a trust domain"))?;
    plan.genesis = real.genesis.and(place.genesis);
    let mut stand_ins = StandIns::default();
    // Check values of imported keys, as the plan has them and as the stand-ins do.
    let mut checks: BTreeMap<String, String> = BTreeMap::new();
    for (number, step) in (1_u16..).zip(plan.steps.iter_mut()) {
        match &mut step.activity {
            Some(Activity::FoundingSign { file, sha256 }) => (*file, *sha256) = place.founding.clone(),
            Some(Activity::Found { config }) => config.clone_from(&place.config),
            Some(Activity::PrincipalEnrol { file, sha256, name, statement_key, .. }) if is_zero(sha256) => {
                (*file, *sha256) = place.newcomers.get(name).cloned().ok_or_else(|| fault("newcomer"))?;
                *statement_key = None;
            }
            Some(Activity::PolicyPropose { folder: set, policy, cases, .. }) => {
                if is_zero(policy) {
                    (*set, *policy) = place.policies.clone().ok_or_else(|| fault("policies"))?;
                } else {
                    *set = whole(folder, set);
                }
                *cases = cases.take().map(|cases| whole(folder, &cases));
            }
            Some(Activity::PrincipalEnrol { file, .. } | Activity::ProfilePut { file, .. }) => {
                *file = whole(folder, file);
            }
            Some(Activity::KeyImport { check_value, components, .. }) => {
                let made = Component::generate_set(components.len()).map_err(|_| fault("components"))?;
                checks.insert(check_value.to_ascii_lowercase(), made.check.to_string());
                *check_value = made.check.to_string();
                for (planned, component) in components.iter_mut().zip(made.components) {
                    planned.check_value = component.check_value().to_string();
                    let custodian = planned.custodian.clone();
                    stand_ins.components.push(StandIn { of_step: number, custodian, component });
                }
            }
            Some(Activity::KeyShow { check_value, .. }) => {
                *check_value =
                    check_value.take().and_then(|known| checks.get(&known.to_ascii_lowercase()).cloned());
            }
            _ => {}
        }
    }
    Ok((plan, stand_ins))
}

/// The whole path of what lies in a folder.
fn whole(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    path.canonicalize().unwrap_or(path).display().to_string()
}

fn fault(what: &str) -> Fault {
    Fault::usage(format!("the rehearsal makes no {what}"), "rehearse again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::plan_file::parse;

    const IMPORT: &str = r#"
title = "Import"
purpose = "moving the old system's key"
trust-domain = "real.test"
genesis = "0101010101010101010101010101010101010101010101010101010101010101"
people = [{ name = "ann", role = "officer" }, { name = "bob", role = "officer" }, { name = "cy", role = "custodian" }]

[[steps]]
say = "ask"
by = "ann"
do = { act = "key-import", name = "old", check-value = "AA00000000", components = [
  { custodian = "bob", check-value = "bb00000000" }, { custodian = "cy", check-value = "cc00000000" } ] }

[[steps]]
say = "give"
by = "cy"
do = { act = "component-give", of-step = 1 }

[[steps]]
say = "enrol"
by = "ann"
do = { act = "principal-enrol", file = "dan.toml", sha256 = "0202020202020202020202020202020202020202020202020202020202020202", name = "dan", kind = "officer" }

[[steps]]
say = "look"
by = "ann"
do = { act = "key-show", name = "old", version = 1, check-value = "aa00000000" }

[[steps]]
say = "look at another"
by = "ann"
do = { act = "key-show", name = "other", version = 1, check-value = "ee00000000", state = "active" }
"#;

    fn rehearsed() -> (Plan, StandIns) {
        let place = Scratch {
            genesis: Some(Digest::new([9; 32])),
            founding: ("/s/founding.toml".into(), Digest::new([8; 32])),
            config: "/s/keysvc.toml".into(),
            newcomers: BTreeMap::new(),
            policies: None,
        };
        replaced(&parse(IMPORT.as_bytes()).unwrap(), Path::new("/plans"), &place).unwrap()
    }

    #[test]
    fn components_are_replaced_with_their_check_values_wherever_those_stand() {
        let (plan, stand_ins) = rehearsed();
        let Some(Activity::KeyImport { check_value, components, .. }) = &plan.steps[0].activity else {
            panic!("an import")
        };
        let component = stand_ins.component(1, &"cy".parse().unwrap()).unwrap();
        assert_eq!(component.check_value().to_string(), components[1].check_value);
        assert_ne!(check_value, "AA00000000");
        let Some(Activity::KeyShow { check_value: shown, .. }) = &plan.steps[3].activity else {
            panic!("a look")
        };
        assert_eq!(shown.as_ref(), Some(check_value));
        assert!(stand_ins.component(2, &"cy".parse().unwrap()).is_err());
    }

    #[test]
    fn a_check_value_that_no_scratch_key_can_have_is_left_out_and_the_state_stays() {
        let (plan, _) = rehearsed();
        let Some(Activity::KeyShow { check_value, state, .. }) = &plan.steps[4].activity else {
            panic!("a look")
        };
        assert_eq!((check_value, state.as_deref()), (&None, Some("active")));
        assert_eq!(plan.genesis, Some(Digest::new([9; 32])));
    }

    #[test]
    fn the_rehearsed_plan_is_a_plan_that_names_the_one_it_came_from() {
        let (plan, _) = rehearsed();
        let text = format!("{}{}", heading(&Digest::new([7; 32])), toml::to_string(&plan).unwrap());
        assert_eq!(parse(text.as_bytes()).unwrap(), plan);
        assert!(text.starts_with("# REHEARSAL") && text.contains(&"07".repeat(32)), "{text}");
        assert!(text.contains("/plans/dan.toml"), "{text}");
    }
}
