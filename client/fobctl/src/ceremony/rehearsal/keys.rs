//! The keys that a plan presumes: versions it speaks of and does not make itself.
//!
//! A plan that retires version 1 expects one in use; on a scratch site it is made first, by officers who agree to
//! everything.

use crate::{
    ceremony::{
        people::{People, Present},
        plan_file::PlanFile,
    },
    fault::Fault,
    output::tell,
    profile_file,
};
use keysvc_client::{
    ClientError, Outcome,
    officer::Changed,
    protocol::{
        ceremony::{Activity, Plan, Role},
        key::{KeyKind, KeyState},
        name::Name,
        proposal::ProposalState,
    },
};
use std::collections::BTreeMap;

/// Most versions of one name that are made: more is a slip of the pen.
const VERSIONS_MAX: u32 = 8;

/// A key that a plan presumes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Presumed {
    /// How many versions there are before the plan's first step.
    versions: u32,
    kind: KeyKind,
    /// A version that the plan itself puts into use.
    dormant: Option<u32>,
}

/// Makes the keys that a plan presumes and the site does not have.
///
/// # Errors
/// [`Fault`] of cards and calls.
pub(super) async fn prepare(real: &PlanFile, people: &mut People) -> Result<(), Fault> {
    let mut presumed = presumed(&real.plan);
    for step in &real.plan.steps {
        if let Some(Activity::ProfilePut { file, .. }) = &step.activity {
            for slot in &profile_file::read(&real.beside(file))?.slots {
                let one = presumed.entry(slot.key.clone()).or_insert(Presumed {
                    versions: 0,
                    kind: KeyKind::CardMaster,
                    dormant: None,
                });
                one.versions = one.versions.max(slot.key_version.into());
            }
        }
    }
    let officers: Vec<Name> = people
        .all()
        .filter(|person| person.role == Role::Officer)
        .map(|person| person.name.clone())
        .collect();
    let mut present = Vec::new();
    for officer in &officers {
        present.push(people.present(officer).await?);
    }
    let Some(first) = present.first() else { return Ok(()) };
    let there = first.officer.reader().keys().await.map_err(|error| Fault::client("list the keys", error))?;
    for (name, key) in &presumed {
        let newest = there.iter().filter(|one| one.name == *name).map(|one| one.version).max().unwrap_or(0);
        for version in newest.saturating_add(1)..=key.versions.min(VERSIONS_MAX) {
            tell(&format_args!("rehearsal: makes key {name} version {version}, which the plan presumes"));
            make(&present, (name, version), key).await?;
        }
    }
    Ok(())
}

async fn make(officers: &[Present], (name, version): (&Name, u32), key: &Presumed) -> Result<(), Fault> {
    let Some(first) = officers.first() else { return Ok(()) };
    agreed(officers, first.officer.create_key(name.clone(), key.kind).await).await?;
    if key.dormant == Some(version) {
        return Ok(());
    }
    let reason = "a key that the plan presumes".parse();
    let reason = reason.map_err(|_| Fault::usage("no reason", "rehearse again"))?;
    agreed(officers, first.officer.activate_key(name.clone(), version, reason).await).await
}

/// Has one officer after the other approve, until it is done.
async fn agreed(officers: &[Present], outcome: Result<Outcome<Changed>, ClientError>) -> Result<(), Fault> {
    let fault = |error| Fault::client("make what the plan presumes", error);
    let Outcome::Pending(pending) = outcome.map_err(fault)? else { return Ok(()) };
    for present in officers {
        let record = present.officer.proposal(pending.id).await.map_err(fault)?;
        let voted = present.officer.approve(&record.approvable).await.map_err(fault)?;
        if voted.state != ProposalState::Open {
            return Ok(());
        }
    }
    Err(Fault::usage(
        "the plan's officers are too few for the keys that it presumes",
        "name more officers in the plan, or rehearse the steps apart",
    ))
}

/// The keys that a plan presumes, by name.
fn presumed(plan: &Plan) -> BTreeMap<Name, Presumed> {
    // What is spoken of, and how often the plan itself made a version before that.
    let mut made: BTreeMap<Name, (u32, KeyKind)> = BTreeMap::new();
    let mut found: BTreeMap<Name, Presumed> = BTreeMap::new();
    for step in &plan.steps {
        let (name, version, dormant) = match &step.activity {
            Some(Activity::KeyCreate { name, kind }) => {
                let (count, _) = made.get(name).copied().unwrap_or((0, *kind));
                made.insert(name.clone(), (count.saturating_add(1), *kind));
                continue;
            }
            Some(Activity::KeyImport { name, .. }) => {
                let (count, kind) = made.get(name).copied().unwrap_or((0, KeyKind::CardMaster));
                made.insert(name.clone(), (count.saturating_add(1), kind));
                continue;
            }
            Some(Activity::KeyActivate { name, version }) => (name, *version, true),
            Some(Activity::KeyRetire { name, version }) => (name, *version, false),
            Some(Activity::KeyShow { name, version, state, .. }) => {
                (name, *version, state.as_deref() == Some(KeyState::PreActivation.name()))
            }
            _ => continue,
        };
        let (count, kind) = made.get(name).copied().unwrap_or((0, KeyKind::CardMaster));
        let before = version.saturating_sub(count);
        let new = !found.contains_key(name);
        let one = found.entry(name.clone()).or_insert(Presumed { versions: 0, kind, dormant: None });
        one.versions = one.versions.max(before);
        one.kind = kind;
        if new && dormant && count == 0 {
            one.dormant = Some(version);
        }
    }
    // A name that only later steps make gets its kind from them.
    for (name, one) in &mut found {
        if let Some((_, kind)) = made.get(name) {
            one.kind = *kind;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::plan_file::{parse, tests::PLAN};

    fn of_steps(steps: &[&str]) -> BTreeMap<Name, Presumed> {
        let head = PLAN.split_once("[[steps]]").unwrap().0;
        let steps: Vec<_> = steps
            .iter()
            .map(|act| format!("[[steps]]\nsay = \"s\"\nby = \"alice\"\ndo = {{ {act} }}\n"))
            .collect();
        presumed(&parse(format!("{head}{}", steps.concat()).as_bytes()).unwrap())
    }

    const CREATE: &str = r#"act = "key-create", name = "v", kind = "value-signing""#;

    #[test]
    fn a_rotation_presumes_the_version_that_it_retires() {
        let keys = of_steps(&[
            CREATE,
            r#"act = "key-activate", name = "v", version = 2"#,
            r#"act = "key-retire", name = "v", version = 1"#,
        ]);
        let one = &keys[&"v".parse().unwrap()];
        assert_eq!((one.versions, one.kind, one.dormant), (1, KeyKind::ValueSigning, None));
    }

    #[test]
    fn a_new_key_presumes_nothing() {
        let keys = of_steps(&[CREATE, r#"act = "key-show", name = "v", version = 1"#]);
        assert_eq!(keys[&"v".parse().unwrap()].versions, 0);
        assert!(of_steps(&[r#"act = "status""#]).is_empty());
    }

    #[test]
    fn a_version_that_the_plan_puts_into_use_is_left_dormant() {
        let keys = of_steps(&[r#"act = "key-activate", name = "v", version = 2"#]);
        let one = &keys[&"v".parse().unwrap()];
        assert_eq!((one.versions, one.dormant), (2, Some(2)));
    }
}
