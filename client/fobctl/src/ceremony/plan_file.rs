//! The plan's file: its exact bytes, what they say, and their digest.
//!
//! The bytes are read once; what is shown, signed and walked through is all of these bytes.

use crate::{fault::Fault, file};
use keysvc_client::protocol::{
    bytes::Digest,
    ceremony::{PLAN_LEN_MAX, Plan},
};
use std::path::{Path, PathBuf};

/// A plan that agrees with itself.
#[derive(Debug, Clone)]
pub(crate) struct PlanFile {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Its exact bytes.
    pub(crate) bytes: Vec<u8>,
    /// What they say.
    pub(crate) plan: Plan,
    /// SHA-256 of the bytes: what its people sign.
    pub(crate) digest: Digest,
}

impl PlanFile {
    /// Reads a plan and checks that it agrees with itself.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be read, or with the place in it and the mend.
    pub(crate) fn read(path: &Path) -> Result<Self, Fault> {
        Self::of_bytes(path, file::read(path, PLAN_LEN_MAX)?)
    }

    /// The same of bytes in hand; `path` is the place that relative files are looked for from.
    ///
    /// # Errors
    /// [`Fault::Usage`] with the place in it and the mend.
    pub(crate) fn of_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, Fault> {
        let plan = parse(&bytes).map_err(|why| {
            let what = format!("{} is not a plan: {why}", path.display());
            Fault::usage(what, "correct the plan; `fobctl ceremony check PLAN` reads it again")
        })?;
        let digest = Plan::digest_of(&bytes);
        Ok(Self { path: path.to_owned(), bytes, plan, digest })
    }

    /// A file that the plan names, relative to the plan.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(name)
    }

    /// The folder of the people's signed agreements: the plan's path with `.agreements` behind it.
    pub(crate) fn agreements(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".agreements");
        path.into()
    }

    /// The folder a run writes to, where none is named: the plan's path with `.ceremony` behind it.
    pub(crate) fn folder(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(ending);
        path.into()
    }
}

/// Reads a plan's text.
pub(crate) fn parse(bytes: &[u8]) -> Result<Plan, String> {
    let text = str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let plan: Plan = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    plan.check().map_err(|error| error.to_string())?;
    Ok(plan)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use keysvc_client::protocol::{ceremony::Activity, hash::sha256};

    /// A plan of two people and five steps.
    pub(crate) const PLAN: &str = r#"
title = "Another value key"
purpose = "the yearly change"
trust-domain = "demo.test"
genesis = "0101010101010101010101010101010101010101010101010101010101010101"

[[people]]
name = "alice"
role = "officer"

[[people]]
name = "bob"
role = "officer"

[[people]]
name = "carol"
role = "witness"

[[steps]]
say = "Carol sees that the room is closed"
by = "carol"

[[steps]]
say = "Alice asks for the key"
by = "alice"
do = { act = "key-create", name = "value-1", kind = "value-signing" }

[[steps]]
say = "Alice approves"
by = "alice"
do = { act = "approve", of-step = 2 }

[[steps]]
say = "Bob approves"
by = "bob"
do = { act = "approve", of-step = 2 }

[[steps]]
say = "Bob looks at the key"
by = "bob"
do = { act = "key-show", name = "value-1", version = 2, state = "pre-activation" }
"#;

    pub(crate) fn plan() -> PlanFile {
        PlanFile::of_bytes(Path::new("plan.toml"), PLAN.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_plans_digest_is_of_its_exact_bytes() {
        let plan = plan();
        assert_eq!(plan.digest, sha256(&[PLAN.as_bytes()]));
        let other = format!("{PLAN}# one more remark\n");
        let other = PlanFile::of_bytes(Path::new("plan.toml"), other.into_bytes()).unwrap();
        assert_eq!(other.plan, plan.plan);
        assert_ne!(other.digest, plan.digest);
    }

    #[test]
    fn what_is_wrong_with_a_plan_is_told_with_its_place() {
        let why = |from: &str, to: &str| parse(PLAN.replace(from, to).as_bytes()).unwrap_err();
        assert!(why("of-step = 2", "of-step = 1").starts_with("steps.3.do.of-step: "));
        assert!(why("by = \"carol\"", "by = \"dave\"").starts_with("steps.1.by: "));
        assert!(why("act = \"key-create\"", "act = \"key-steal\"").contains("key-steal"));
        assert!(why("purpose =", "surprise = 1\npurpose =").contains("surprise"));
        assert!(why("pre-activation", "splendid").starts_with("steps.5.do.state: "));
        assert!(parse(&[0xff]).unwrap_err().contains("not text"));
    }

    #[test]
    fn files_lie_beside_the_plan() {
        let plan = PlanFile { path: "a/rotate.toml".into(), ..plan() };
        assert_eq!(plan.beside("b.toml"), Path::new("a/b.toml"));
        assert_eq!(plan.agreements(), Path::new("a/rotate.toml.agreements"));
        assert!(matches!(plan.plan.steps[1].activity, Some(Activity::KeyCreate { .. })));
    }
}
