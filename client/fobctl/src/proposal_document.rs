//! The document that a proposal carries: a card profile, or a set of policies with what was found out about it.
//!
//! Taken from the very bytes that are signed. The sentence says what the act does; this shows what a sentence has no room
//! for, and how the whole of it is written into files to be looked at with other commands.

use crate::{
    fault::Fault,
    file::{self, Readers},
    profile_file,
    shown::{rows, whole_digest, wrapped},
};
use keysvc_client::{
    approvable::Approvable,
    protocol::{
        cbor::{self, REQUEST_LEN_MAX},
        founding::Profile,
        hash::sha256,
        request::{Operation, PolicyDifference, PolicyProof, PolicyReplay, ProposePolicy, PutProfile},
    },
};
use serde::Serialize;
use std::{fs, path::Path};

/// Lines of a policy's text that are shown: a permit with its conditions.
const HEAD_LINES: usize = 12;
/// Columns of a finding, beside the names of what was found.
const ROW_WIDTH: usize = 90;

/// A proposal's document.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Document {
    /// A card profile.
    Profile {
        /// The profile.
        profile: Box<Profile>,
        /// Its digest, as the sentence names it.
        digest: String,
    },
    /// A set of policies.
    Policies(Box<Policies>),
}

/// A proposed set of policies.
#[derive(Debug, Serialize)]
pub(crate) struct Policies {
    /// Digest of the whole set, the shipped ceiling and schema included, as the proposer states it.
    policy: String,
    files: Vec<PolicyView>,
    difference: ReportView,
    proof: ProofView,
    replay: Option<ReplayView>,
}

/// One file of a set.
#[derive(Debug, Serialize)]
struct PolicyView {
    name: String,
    sha256: String,
    text: String,
}

/// Which decision cases change.
#[derive(Debug, Serialize)]
struct ReportView {
    cases: u32,
    changed: u32,
    lines: Vec<String>,
    report: String,
}

/// What was proved.
#[derive(Debug, Serialize)]
struct ProofView {
    solver: String,
    theorems: u32,
    environments: u32,
    load_max: u64,
    report: String,
}

/// Which recorded requests would be decided otherwise.
#[derive(Debug, Serialize)]
struct ReplayView {
    requests: u32,
    differing: u32,
    from_leaf: u64,
    to_leaf: u64,
    lines: Vec<String>,
    report: String,
}

impl Document {
    /// The document of a proposal; nothing where its sentence says all there is.
    pub(crate) fn of(approvable: &Approvable) -> Option<Self> {
        let payload = approvable.payload();
        match approvable.proposal().request.operation {
            Operation::ProfilePut => {
                let request: PutProfile = cbor::decode(payload, REQUEST_LEN_MAX).ok()?;
                let digest = profile_file::digest(&request.profile);
                Some(Self::Profile { profile: Box::new(request.profile), digest })
            }
            Operation::PolicyPropose => {
                let request: ProposePolicy = cbor::decode(payload, REQUEST_LEN_MAX).ok()?;
                Some(Self::Policies(Box::new(Policies::of(&request))))
            }
            _ => None,
        }
    }

    /// For people.
    pub(crate) fn text(&self, id: &str) -> String {
        match self {
            Self::Profile { profile, digest } => {
                let lines = indented(&profile_file::text(profile), usize::MAX);
                format!("The profile, with digest\n{}\n\n{lines}", digest_lines(digest))
            }
            Self::Policies(policies) => policies.text(id),
        }
    }

    /// Writes it as files into a folder, which is made where it is missing; nothing there is overwritten. Gives their
    /// names.
    ///
    /// # Errors
    /// [`Fault`] of the folder or a file.
    pub(crate) fn write(&self, folder: &Path) -> Result<Vec<String>, Fault> {
        let fault = |source| Fault::File { doing: "make", path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(fault)?;
        let files = match self {
            Self::Profile { profile, .. } => {
                vec![(format!("{}.toml", profile.name), profile_file::text(profile))]
            }
            Self::Policies(policies) => {
                policies.files.iter().map(|file| (file.name.clone(), file.text.clone())).collect()
            }
        };
        for (name, text) in &files {
            // INVARIANT: a name has no slash and begins with a letter or digit, so it stays in the folder.
            file::write(&folder.join(name), text.as_bytes(), Readers::Others)?;
        }
        Ok(files.into_iter().map(|(name, _)| name).collect())
    }

    /// The command that looks at what was written out of the proposal with this identifier.
    pub(crate) fn look(&self, folder: &Path, id: &str) -> String {
        let folder = folder.display();
        match self {
            Self::Profile { profile, .. } => format!("`fobctl profile check {folder}/{}.toml`", profile.name),
            Self::Policies(_) => format!(
                "`fobctl policy review {id}`, which makes every check of it again; one at a time: `fobctl policy check \
                 {folder}`, then `fobctl policy diff` and `fobctl policy prove` likewise"
            ),
        }
    }
}

impl Policies {
    fn of(request: &ProposePolicy) -> Self {
        let ProposePolicy { schema: _, idem: _, policy, files, difference, proof, reason: _, replay } =
            request;
        let files = files.iter().map(|file| PolicyView {
            name: file.name.to_string(),
            sha256: sha256(&[file.text.as_bytes()]).to_string(),
            text: String::from_utf8_lossy(file.text.as_bytes()).into_owned(),
        });
        Self {
            policy: policy.to_string(),
            files: files.collect(),
            difference: ReportView::of(difference),
            proof: ProofView::of(proof),
            replay: replay.as_ref().map(ReplayView::of),
        }
    }

    fn text(&self, id: &str) -> String {
        let mut parts = vec![format!("The policies, with digest\n{}", digest_lines(&self.policy))];
        parts.extend(self.files.iter().map(PolicyView::text));
        let mut found = vec![("cases", self.difference.text())];
        found.extend(self.difference.lines.iter().map(|line| ("", wrapped(line, ROW_WIDTH))));
        found.push(("", self.difference.report_text()));
        found.extend(self.proof.rows());
        match &self.replay {
            Some(replay) => found.extend(replay.rows()),
            None => found.push(("replay", "the past was not replayed".to_owned())),
        }
        parts.push(rows(found));
        parts.push(format!(
            "These figures are the proposer's; `fobctl policy review {id}` finds them again.\nThe whole text: `fobctl \
             proposal show {id} --files DIR`;\nthen `fobctl policy check DIR`, `fobctl policy diff DIR` and `fobctl \
             policy prove DIR`."
        ));
        parts.join("\n\n")
    }
}

impl PolicyView {
    fn text(&self) -> String {
        let lines = self.text.lines().count();
        let more = match lines.saturating_sub(HEAD_LINES) {
            0 => String::new(),
            more => format!("\n    ... {more} lines more"),
        };
        format!(
            "{}, {lines} lines, {} bytes, SHA-256\n{}\n{}{more}",
            self.name,
            self.text.len(),
            digest_lines(&self.sha256),
            indented(&self.text, HEAD_LINES)
        )
    }
}

impl ReportView {
    fn of(difference: &PolicyDifference) -> Self {
        let PolicyDifference { cases, changed, report, lines } = difference;
        let lines = lines.iter().map(ToString::to_string).collect();
        Self { cases: *cases, changed: *changed, lines, report: report.to_string() }
    }

    fn text(&self) -> String {
        format!("{} of {} decision cases change", self.changed, self.cases)
    }

    fn report_text(&self) -> String {
        report_text(&self.report)
    }
}

impl ProofView {
    fn of(proof: &PolicyProof) -> Self {
        let PolicyProof { solver, theorems, environments, load_max, report } = proof;
        Self {
            solver: solver.to_string(),
            theorems: *theorems,
            environments: *environments,
            load_max: *load_max,
            report: report.to_string(),
        }
    }

    fn rows(&self) -> [(&'static str, String); 3] {
        let Self { solver, theorems, environments, load_max, report } = self;
        [
            ("proof", format!("{theorems} statements over {environments} kinds of request, by {solver}")),
            ("", format!("loads above {load_max} minor units take two people")),
            ("", report_text(report)),
        ]
    }
}

impl ReplayView {
    fn of(replay: &PolicyReplay) -> Self {
        let PolicyReplay { requests, differing, from_leaf, to_leaf, report, lines } = replay;
        Self {
            requests: *requests,
            differing: *differing,
            from_leaf: *from_leaf,
            to_leaf: *to_leaf,
            lines: lines.iter().map(ToString::to_string).collect(),
            report: report.to_string(),
        }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let Self { requests, differing, from_leaf, to_leaf, lines, report } = self;
        let text = format!(
            "{differing} of {requests} recorded requests would be decided otherwise, leaves {from_leaf} to {to_leaf}"
        );
        let mut rows = vec![("replay", text)];
        rows.extend(lines.iter().map(|line| ("", wrapped(line, ROW_WIDTH))));
        rows.push(("", report_text(report)));
        rows
    }
}

fn report_text(digest: &str) -> String {
    format!("report {}", crate::shown::file_digest(&digest))
}

fn digest_lines(digest: &str) -> String {
    let lines: Vec<_> = whole_digest(&digest).into_iter().map(|line| format!("    {line}")).collect();
    lines.join("\n")
}

/// So many of a text's lines, each moved in and without control characters.
fn indented(text: &str, lines: usize) -> String {
    let lines = text.lines().take(lines).map(|line| format!("    {}", crate::shown::plain(line)));
    lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::profile_file::tests::profile;
    use keysvc_client::protocol::{
        bytes::{Blob, Digest, Idem},
        request::PolicyFile,
        schema::Schema,
    };

    fn proposed() -> ProposePolicy {
        let text = "// Who may load.\npermit (principal, action, resource);\n".repeat(8);
        let file = PolicyFile {
            name: "site.cedar".parse().unwrap(),
            text: Blob::try_from(text.into_bytes()).unwrap(),
        };
        let lines = vec!["till-1 value.update: denied -> allowed".parse().unwrap()];
        ProposePolicy {
            schema: Schema,
            idem: Idem::new([5; 16]),
            policy: Digest::new([0xab; 32]),
            files: vec![file].try_into().unwrap(),
            difference: PolicyDifference {
                cases: 40,
                changed: 1,
                report: Digest::new([1; 32]),
                lines: lines.try_into().unwrap(),
            },
            proof: PolicyProof {
                solver: "cvc5 1.2.1".parse().unwrap(),
                theorems: 6,
                environments: 88,
                load_max: 10_000,
                report: Digest::new([2; 32]),
            },
            reason: "why".parse().unwrap(),
            replay: None,
        }
    }

    pub(crate) fn policies() -> Document {
        Document::Policies(Box::new(Policies::of(&proposed())))
    }

    #[test]
    fn policies_are_shown_with_their_first_lines_digests_and_figures() {
        let text = policies().text("0707");
        for said in [
            "abab abab abab abab",
            "site.cedar, 16 lines, 440 bytes, SHA-256",
            "    permit (principal, action, resource);",
            "    ... 4 lines more",
            "1 of 40 decision cases change",
            "till-1 value.update: denied -> allowed",
            "6 statements over 88 kinds of request, by cvc5 1.2.1",
            "loads above 10000 minor units take two people",
            "the past was not replayed",
            "`fobctl proposal show 0707 --files DIR`",
            "`fobctl policy review 0707` finds them again",
        ] {
            assert!(text.contains(said), "missing: {said}\n{text}");
        }
    }

    #[test]
    fn what_is_written_is_byte_for_byte_what_is_signed_and_nothing_is_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("proposed");
        let document = policies();
        assert_eq!(document.write(&folder).unwrap(), ["site.cedar"]);
        let written = fs::read(folder.join("site.cedar")).unwrap();
        assert_eq!(written, proposed().files[0].text.as_bytes());
        assert!(document.look(&folder, "0707").starts_with("`fobctl policy review 0707`"));
        let Document::Policies(policies) = &document else { panic!("no policies") };
        assert_eq!(policies.files[0].sha256, sha256(&[&written]).to_string());
        assert_eq!(document.write(&folder).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_profile_is_shown_as_the_file_that_it_is() {
        let document =
            Document::Profile { digest: profile_file::digest(&profile()), profile: Box::new(profile()) };
        let text = document.text("0707");
        assert!(text.contains("    [value]\n    purses = [1]\n    currency = 978"), "{text}");
        let scratch = tempfile::tempdir().unwrap();
        assert_eq!(document.write(scratch.path()).unwrap(), ["fob.toml"]);
        assert_eq!(profile_file::read(&scratch.path().join("fob.toml")).unwrap(), profile());
    }
}
