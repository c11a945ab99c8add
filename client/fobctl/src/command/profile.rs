//! `fobctl profile`: card profiles are checked offline, put into use by officers, listed and read by everyone.

use super::connect as connect_reader;
use crate::{
    acted,
    fault::Fault,
    founding_text,
    output::{Output, Report, tell},
    own_key::{connect, unlock},
    pin::PinSource,
    profile_file,
    shown::{rows, table, whole_digest},
};
use keysvc_client::{
    ClientConfig,
    protocol::{
        founding::Profile,
        name::{Name, Reason},
        reply::{ProfileReply, ProfileView},
        request::Operation,
    },
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const PUT_EXAMPLES: &str = "\
Examples:
  fobctl profile get fob > fob.toml
  fobctl profile put fob.toml --reason 'the purse is reloadable from now on'";

const GET_EXAMPLES: &str = "\
Examples:
  fobctl profile get fob
  fobctl profile get fob --version 1";

/// `fobctl profile put`.
#[derive(Debug, clap::Args)]
#[command(after_help = PUT_EXAMPLES)]
pub(crate) struct PutArgs {
    /// The file; its version is the newest one there is, and 1 more.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Why, for the log.
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    pin: PinSource,
}

/// `fobctl profile check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// `fobctl profile get`.
#[derive(Debug, clap::Args)]
#[command(after_help = GET_EXAMPLES)]
pub(crate) struct GetArgs {
    /// The profile's name.
    #[arg(value_name = "NAME")]
    name: Name,
    /// Its version; the newest when left out.
    #[arg(long, value_name = "N")]
    version: Option<u32>,
}

#[derive(Serialize)]
struct CheckReport {
    file: String,
    name: String,
    version: u32,
    /// SHA-256 of the profile as it is put, not of the file; the proposal's sentence names it.
    digest: String,
    #[serde(skip)]
    sentences: String,
}

#[derive(Serialize)]
struct GetReport {
    profile: Profile,
    leaf: u64,
    newest: bool,
}

#[derive(Serialize)]
struct ListReport {
    profiles: Vec<ListedView>,
}

#[derive(Serialize)]
struct ListedView {
    name: String,
    version: u32,
    family: &'static str,
    functions: Vec<&'static str>,
    leaf: u64,
}

pub(super) async fn put<W: Write>(
    config: &ClientConfig,
    args: PutArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let profile = profile_file::read(&args.file)?;
    let officer = connect(config).await?;
    let officer = unlock(&officer, config, &args.pin)?;
    let outcome = officer.put_profile(profile, args.reason).await;
    acted::report(&officer, Operation::ProfilePut, outcome, output).await
}

/// Reads no configuration: it works on any machine.
pub(super) fn check<W: Write>(args: &CheckArgs, output: &mut Output<W>) -> Result<(), Fault> {
    let profile = profile_file::read(&args.file)?;
    output.print(&CheckReport {
        file: args.file.display().to_string(),
        name: profile.name.to_string(),
        version: profile.version,
        digest: profile_file::digest(&profile),
        sentences: founding_text::profile_lines(&profile).join("\n"),
    })?;
    tell(&"note: its keys and golden vectors are compared with the token when it is put");
    Ok(())
}

pub(super) async fn get<W: Write>(
    config: &ClientConfig,
    args: &GetArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let reader = connect_reader(config).await?;
    let reply = reader.profile(&args.name, args.version).await;
    let reply = reply.map_err(|error| Fault::client("read the card profile", error))?;
    output.print(&GetReport::from(reply))
}

pub(super) async fn list<W: Write>(config: &ClientConfig, output: &mut Output<W>) -> Result<(), Fault> {
    let reader = connect_reader(config).await?;
    let profiles = reader.profiles().await;
    let profiles = profiles.map_err(|error| Fault::client("list the card profiles", error))?;
    output.print(&ListReport { profiles: profiles.iter().map(ListedView::from).collect() })
}

impl From<ProfileReply> for GetReport {
    fn from(reply: ProfileReply) -> Self {
        Self { profile: reply.profile, leaf: reply.leaf, newest: reply.newest }
    }
}

impl From<&ProfileView> for ListedView {
    fn from(view: &ProfileView) -> Self {
        Self {
            name: view.name.to_string(),
            version: view.version,
            family: view.family.name(),
            functions: view.functions.iter().map(|function| function.name()).collect(),
            leaf: view.leaf,
        }
    }
}

/// Since when a profile is in use, in words.
fn since(leaf: u64) -> String {
    if leaf == 0 { "the founding".to_owned() } else { format!("leaf {leaf}") }
}

impl Report for CheckReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-profile-check/1"
    }

    fn text(&self) -> String {
        // As the proposal shows it, to be compared.
        let mut digest = whole_digest(&self.digest).into_iter();
        let summary = rows([
            ("good", format!("{} version {}", self.name, self.version)),
            ("file", self.file.clone()),
            ("digest", digest.next().unwrap_or_default()),
            ("", digest.next().unwrap_or_default()),
        ]);
        format!("{summary}\n\n{}", self.sentences)
    }
}

impl Report for GetReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-profile-get/1"
    }

    /// A file that can be edited and put again; what is not the profile's own stands in comments.
    fn text(&self) -> String {
        let since = since(self.leaf);
        let head = if self.newest {
            format!(
                "# In use since {since}; the newest version.\n# To change it: edit it, raise the version by 1, and run \
                 `fobctl profile put`.\n"
            )
        } else {
            format!("# In use since {since}; a newer version is there, whose value rules hold.\n")
        };
        format!("{head}{}", profile_file::text(&self.profile)).trim_end().to_owned()
    }
}

impl Report for ListReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-profile-list/1"
    }

    fn text(&self) -> String {
        if self.profiles.is_empty() {
            return "no card profiles".to_owned();
        }
        let rows = self.profiles.iter().map(|one| {
            [
                one.name.clone(),
                one.version.to_string(),
                one.family.to_owned(),
                one.functions.join(", "),
                since(one.leaf),
            ]
        });
        table(["name", "version", "family", "functions", "since"], &["version"], rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile_file::tests::profile;

    #[test]
    fn a_profile_that_is_shown_can_be_put_again_as_it_is() {
        let report = GetReport { profile: profile(), leaf: 0, newest: true };
        let text = report.text();
        assert!(text.starts_with("# In use since the founding; the newest version.\n"), "{text}");
        let read: Profile = toml::from_str(&text).unwrap();
        assert_eq!(read, profile());
    }

    #[test]
    fn the_list_says_what_each_profile_may_be_used_for() {
        let listed = ListedView {
            name: "fob".into(),
            version: 2,
            family: "desfire-ev2",
            functions: vec!["stored-value", "membership"],
            leaf: 19,
        };
        let text = ListReport { profiles: vec![listed] }.text();
        assert!(text.contains("stored-value, membership") && text.contains("leaf 19"), "{text}");
        assert_eq!(ListReport { profiles: Vec::new() }.text(), "no card profiles");
    }
}
