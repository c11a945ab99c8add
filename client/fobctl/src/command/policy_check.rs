//! `fobctl policy check`: a folder of policies loaded as the keeper loads it, and whether it can be proposed.
//!
//! No service is needed. Where there is one, its officers tell whether the set could ever be replaced.

use super::policy_show::file_lines;
use crate::{
    args::Args,
    context::Surroundings,
    fault::Fault,
    output::{Output, Report, tell},
    own_key,
    policy::{
        candidate::{self, FileView},
        lockout::{Officers, Whose},
    },
    shown::{rows, whole_digest},
};
use keysvc_client::{
    ClientConfig,
    protocol::request::{POLICY_FILES_MAX, POLICY_SET_LEN_MAX},
};
use keysvc_policies::PolicySet;
use serde::Serialize;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

const EXAMPLES: &str = "\
Examples:
  fobctl policy check policies
  fobctl policy check policies --offline --json";

/// `fobctl policy check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The folder of *.cedar files.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Ask no service for its officers, even where a context is there.
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Serialize)]
struct CheckReport {
    digest: String,
    policies: usize,
    files: Vec<FileView>,
    bytes: usize,
    /// Whose officers could replace the set, or could not.
    officers: Whose,
    officers_words: String,
    replaceable: bool,
    /// What keeps it out of a proposal.
    misfits: Vec<String>,
}

pub(super) fn run<W: Write>(
    args: &CheckArgs,
    all: &Args,
    surroundings: &Surroundings,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let set = candidate::load(&args.folder)?;
    let officers = if args.offline { Officers::stand_ins() } else { officers(all, surroundings)? };
    let report = CheckReport::of(&set, &officers)?;
    output.print(&report)?;
    sound(&set, &officers)?;
    tell(&format_args!("next: `fobctl policy test {}`", args.folder.display()));
    Ok(())
}

/// Whether a set can be proposed, and replaced afterwards.
///
/// # Errors
/// [`Fault::Unsound`] saying what keeps it from that.
pub(super) fn sound(set: &PolicySet, officers: &Officers) -> Result<(), Fault> {
    candidate::wire(set)?;
    if officers.can_replace(set)? {
        return Ok(());
    }
    let what =
        format!("with these policies nobody could ever change them again: {} cannot", officers.words());
    Err(Fault::unsound(
        what,
        "permit policy.propose, proposal.get and proposal.approve to officers, with no more people than there are",
    ))
}

/// The service's officers where a configuration is chosen and the service answers, else three that stand in for them. A
/// configuration that was named must lead to the service's.
fn officers(all: &Args, surroundings: &Surroundings) -> Result<Officers, Fault> {
    let named = all.config.is_some() || all.context.is_some();
    let file = match all.choose(surroundings) {
        Ok(chosen) => chosen.file,
        Err(fault) if named => return Err(fault),
        // There is no service to ask, and the report says whose officers it was judged by.
        Err(_) => return Ok(Officers::stand_ins()),
    };
    match of_service(&file) {
        Err(fault) if !named => {
            tell(&format_args!("note: {fault}; judged by three officers instead of the service's"));
            Ok(Officers::stand_ins())
        }
        asked => asked,
    }
}

fn of_service(file: &Path) -> Result<Officers, Fault> {
    let config =
        ClientConfig::read(file).map_err(|error| Fault::client("read the configuration", error.into()))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::Runtime)?;
    runtime.block_on(async {
        let officer = own_key::connect(&config).await?;
        Officers::of_service(&officer)
            .await
            .map_err(|error| Fault::client("read who the officers are", error))
    })
}

impl CheckReport {
    fn of(set: &PolicySet, officers: &Officers) -> Result<Self, Fault> {
        Ok(Self {
            digest: candidate::digest(set).to_string(),
            policies: set.site_policies(),
            files: candidate::files(set),
            bytes: candidate::len(set),
            officers: officers.whose(),
            officers_words: officers.words(),
            replaceable: officers.can_replace(set)?,
            misfits: candidate::misfits(set),
        })
    }
}

impl Report for CheckReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-policy-check/1"
    }

    fn text(&self) -> String {
        let replaceable = if self.replaceable { "yes" } else { "NO" };
        let mut lines = vec![
            ("files", file_lines(&self.files)),
            ("policies", self.policies.to_string()),
            (
                "size",
                format!(
                    "{} of {POLICY_SET_LEN_MAX} bytes, {} of {POLICY_FILES_MAX} files",
                    self.bytes,
                    self.files.len()
                ),
            ),
            ("digest", whole_digest(&self.digest).join("\n")),
            ("whole", self.digest.clone()),
            ("replaceable", format!("{replaceable}, by {}", self.officers_words)),
        ];
        lines.extend(self.misfits.iter().map(|misfit| ("too much", misfit.clone())));
        rows(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_set_can_be_proposed_and_replaced() {
        let set = PolicySet::shipped().unwrap();
        assert!(sound(&set, &Officers::stand_ins()).is_ok());
        let text = CheckReport::of(&set, &Officers::stand_ins()).unwrap().text();
        assert!(text.contains("replaceable  yes, by three officers of three departments"), "{text}");
        assert!(text.contains("of 24576 bytes, 1 of 16 files"), "{text}");
        assert!(text.contains(&candidate::digest(&set).to_string()), "{text}");
    }

    #[test]
    fn a_set_that_locks_its_own_change_out_fails_the_check() {
        let more = "forbid (principal, action == Action::\"policy.propose\", resource);";
        let set =
            PolicySet::from_files(&[("more.cedar", more), ("site.cedar", keysvc_policies::DEFAULT_SITE)])
                .unwrap();
        let fault = sound(&set, &Officers::stand_ins()).unwrap_err();
        assert_eq!(fault.exit_code(), 6);
        assert!(
            fault.to_string().starts_with("with these policies nobody could ever change them again"),
            "{fault}"
        );
        assert!(
            CheckReport::of(&set, &Officers::stand_ins()).unwrap().text().contains("NO, by three officers")
        );
    }
}
