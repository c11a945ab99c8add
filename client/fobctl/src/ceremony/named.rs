//! What a plan says of the files that it names: who stands in an enrolment file, and which card profile in a profile's.
//!
//! A digest is compared by few people; a name, a kind and a version by everyone who reads the plan. Here the file is held
//! against both. What the log says of them is the auditor's.

use crate::{
    ceremony::{people::named_file, plan_file::PlanFile},
    enrolment_file,
    fault::Fault,
    output::tell,
    profile_file,
};
use keysvc_client::protocol::{
    bytes::Digest, ceremony::Activity, founding::Profile, hash::sha256, request::Enrolment,
};
use std::fmt::Display;

/// Whoever stands in the enrolment file of an activity, once the plan says the same of them.
///
/// # Errors
/// [`Fault::Usage`] for another file, another name, kind or key, and an activity that enrols nobody.
pub(crate) fn enrolment(plan: &PlanFile, activity: &Activity) -> Result<Enrolment, Fault> {
    let Activity::PrincipalEnrol { file, sha256: expected, name, kind, statement_key } = activity else {
        return Err(nothing());
    };
    let path = plan.beside(file);
    let found = enrolment_file::of_bytes(&path, &named_file(&path, expected)?)?;
    same(file, "enrols", &found.id, name)?;
    same(file, "enrols somebody as", &found.kind, kind)?;
    if let Some(planned) = statement_key {
        let key = found.statement_key.as_ref().map(|key| sha256(&[key.as_bytes()]));
        let key = key.map_or_else(|| "none".to_owned(), |key| key.to_string());
        same(file, "has the statement key", &key, planned)?;
    }
    Ok(found)
}

/// The card profile in the file of an activity, once the plan says the same of it.
///
/// # Errors
/// [`Fault::Usage`] for another file, family, name, version or digest, and an activity that puts no profile.
pub(crate) fn profile(plan: &PlanFile, activity: &Activity) -> Result<Profile, Fault> {
    let Activity::ProfilePut { file, sha256: expected, family, name, version, digest } = activity else {
        return Err(nothing());
    };
    let path = plan.beside(file);
    let found = profile_file::of_bytes(&path, &named_file(&path, expected)?)?;
    same(file, "is for the family", &found.family.name(), &family.name())?;
    same(file, "is the profile", &found.name, name)?;
    same(file, "is of version", &found.version, version)?;
    if let Some(planned) = digest {
        same(file, "has the digest", &profile_file::digest(&found), planned)?;
    }
    Ok(found)
}

/// Compares every such file that is there with the plan; one that is elsewhere is told and not compared.
///
/// # Errors
/// [`Fault::Usage`] for a file that is not as the plan says.
pub(crate) fn check(plan: &PlanFile) -> Result<(), Fault> {
    for (number, step) in (1_u16..).zip(&plan.plan.steps) {
        let Some(
            activity @ (Activity::PrincipalEnrol { file, sha256, .. }
            | Activity::ProfilePut { file, sha256, .. }),
        ) = &step.activity
        else {
            continue;
        };
        // An example names no file of anybody's.
        if *sha256 == Digest::new([0; 32]) {
            continue;
        }
        if !plan.beside(file).exists() {
            tell(&format_args!(
                "note: step {number}: {file} is not here, and was not compared with the plan"
            ));
            continue;
        }
        match activity {
            Activity::PrincipalEnrol { .. } => drop(enrolment(plan, activity)?),
            _ => drop(profile(plan, activity)?),
        }
    }
    Ok(())
}

fn same(file: &str, what: &str, found: &dyn Display, planned: &dyn Display) -> Result<(), Fault> {
    let (found, planned) = (found.to_string(), planned.to_string());
    if found == planned {
        return Ok(());
    }
    Err(Fault::usage(
        format!("{file} {what} {found}, and the plan says {planned}"),
        "name the right file in the plan, or correct what the plan says of it",
    ))
}

fn nothing() -> Fault {
    Fault::usage("this step asks for nothing of a file", "correct the plan")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::plan_file::tests::PLAN;
    use std::fs;
    use tempfile::TempDir;

    const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELbzXomrrW9wOEU89SBmU68iZOgjnEebpjf6HA8HEVL0SDLImN5b0IRbubfF3c+balegso76Wy+/MyJmdfXZdjw==";

    /// A folder with an enrolment file and a profile's, and a plan that says this of one of them.
    fn with(act: &str, more: &str) -> (TempDir, PlanFile) {
        let folder = TempDir::new().unwrap();
        let enrolment = format!(
            "id = \"dan\"\nkind = \"officer\"\ndepartment = \"audit\"\ntls-key = \"{}\"\nstatement-key = \"{KEY}\"\n",
            "01".repeat(32)
        );
        let profile = profile_file::text(&profile_file::tests::profile());
        fs::write(folder.path().join("enrol.toml"), &enrolment).unwrap();
        fs::write(folder.path().join("profile.toml"), &profile).unwrap();
        let (file, text) = match act {
            "principal-enrol" => ("enrol.toml", enrolment),
            _ => ("profile.toml", profile),
        };
        let digest = sha256(&[text.as_bytes()]);
        let head = PLAN.split_once("[[steps]]").unwrap().0;
        let text = format!(
            "{head}[[steps]]\nsay = \"s\"\nby = \"alice\"\n\
             do = {{ act = \"{act}\", file = \"{file}\", sha256 = \"{digest}\", {more} }}\n"
        );
        let plan = PlanFile::of_bytes(&folder.path().join("plan.toml"), text.into_bytes()).unwrap();
        (folder, plan)
    }

    fn why(act: &str, more: &str) -> String {
        let (_folder, plan) = with(act, more);
        check(&plan).unwrap_err().to_string()
    }

    #[test]
    fn an_enrolment_file_of_somebody_else_than_the_plan_says_is_refused_before_it_is_asked_for() {
        let good = |more: &str| {
            let (_folder, plan) = with("principal-enrol", more);
            check(&plan).unwrap();
        };
        good("name = \"dan\", kind = \"officer\"");
        let key = {
            let (_folder, plan) = with("principal-enrol", "name = \"dan\", kind = \"officer\"");
            let found = enrolment(&plan, plan.plan.steps[0].activity.as_ref().unwrap()).unwrap();
            sha256(&[found.statement_key.unwrap().as_bytes()])
        };
        good(&format!("name = \"dan\", kind = \"officer\", statement-key = \"{key}\""));
        let other = why("principal-enrol", "name = \"eve\", kind = \"officer\"");
        assert!(other.contains("enrols dan, and the plan says eve"), "{other}");
        let other = why("principal-enrol", "name = \"dan\", kind = \"auditor\"");
        assert!(other.contains("as officer, and the plan says auditor"), "{other}");
        let other = format!("name = \"dan\", kind = \"officer\", statement-key = \"{}\"", "07".repeat(32));
        assert!(why("principal-enrol", &other).contains("has the statement key"), "{other}");
    }

    #[test]
    fn a_profile_of_another_name_version_family_or_digest_than_the_plan_says_is_refused() {
        let profile = profile_file::tests::profile();
        let (name, family) = (&profile.name, profile.family);
        let says = |name: &str, version: u32, family: &str, digest: &str| {
            format!("name = \"{name}\", version = {version}, family = \"{family}\", digest = \"{digest}\"")
        };
        let digest = profile_file::digest(&profile);
        let (_folder, plan) =
            with("profile-put", &says(name.as_str(), profile.version, family.name(), &digest));
        check(&plan).unwrap();
        let why = |more: &str| why("profile-put", more);
        let other = why(&says("other", profile.version, family.name(), &digest));
        assert!(other.contains("and the plan says other"), "{other}");
        let other = why(&says(name.as_str(), 7, family.name(), &digest));
        assert!(other.contains("is of version 1, and the plan says 7"), "{other}");
        let other = why(&says(name.as_str(), profile.version, "ntag-424-dna", &digest));
        assert!(other.contains("and the plan says ntag-424-dna"), "{other}");
        let other = why(&says(name.as_str(), profile.version, family.name(), &"07".repeat(32)));
        assert!(other.contains("has the digest"), "{other}");
    }

    #[test]
    fn a_file_that_is_elsewhere_is_not_compared_and_another_one_is_refused() {
        let (folder, plan) = with("principal-enrol", "name = \"dan\", kind = \"officer\"");
        fs::write(folder.path().join("enrol.toml"), b"another").unwrap();
        assert!(check(&plan).unwrap_err().to_string().contains("is not the file of the plan"));
        fs::remove_file(folder.path().join("enrol.toml")).unwrap();
        check(&plan).unwrap();
    }
}
