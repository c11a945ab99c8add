//! `fobctl policy review`: what a proposal says of its policies, found out again on this machine.
//!
//! An approving officer does not take the proposer's word: the files come out of the proposal's exact bytes, and every
//! number and digest beside them is computed here.

use super::{policy_replay::trust_of, policy_test::OwnCases, proposal_show};
use crate::{
    fault::Fault,
    output::{Output, Report, tell},
    own_key::connect,
    policy::{
        candidate,
        cases::AllCases,
        compared::{ChangeView, Compared},
        findings,
        in_force::InForce,
        lockout::Officers,
        proved::{self, Limit},
        replay::{self, Replayed, Window},
    },
    shown::rows,
};
use keysvc_client::{
    ClientConfig, Officer,
    officer::OnRecord,
    protocol::{
        bytes::ProposalId,
        cbor::{self, REQUEST_LEN_MAX},
        request::{Operation, PolicyReplay, ProposePolicy},
    },
};
use keysvc_policies::PolicySet;
use keysvc_prover::Proof;
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  fobctl policy review 3f0c8a1d5b7e4926a1c3d5e7f9012345
  fobctl policy review 3f0c8a1d5b7e4926a1c3d5e7f9012345 --cases cases --export log --files proposed";

/// `fobctl policy review`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReviewArgs {
    /// The proposal's identifier, 32 hexadecimal digits.
    #[arg(value_name = "PROPOSAL")]
    id: ProposalId,
    #[command(flatten)]
    cases: OwnCases,
    /// An exported log, for a proposal that says what the past would have met.
    #[arg(long, value_name = "EXPORT")]
    export: Option<PathBuf>,
    /// Up to which amount loads need no two people by your own word: minor units, or an amount with two decimals such as
    /// 1000.00. Needed where the proof counts loads as large only above more than 1000.00, or above more than the policies
    /// in force were proved with.
    #[arg(long, value_name = "AMOUNT", value_parser = proved::amount)]
    large_above: Option<u64>,
    /// Write the proposed files into this folder.
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// Write the whole reports into this folder.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// What came of one line of the review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// This machine finds what the proposal says.
    Same,
    /// It finds something else.
    Differs,
    /// What must hold of every set holds.
    Holds,
    /// It does not.
    Fails,
    /// Nothing was found out about it.
    NotLookedAt,
}

#[derive(Debug, Serialize)]
struct LineView {
    what: &'static str,
    verdict: Verdict,
    words: String,
}

#[derive(Debug, Serialize)]
struct ReviewReport {
    proposal: String,
    requester: String,
    lines: Vec<LineView>,
    changed: Vec<ChangeView>,
}

/// What was found out here.
struct Found {
    compared: Compared,
    proof: Proof,
    replayed: Option<Replayed>,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ReviewArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let record = proposal_show::read(&officer, args.id).await?;
    let request = proposed(&record)?;
    let set = candidate::of_wire(&request.files)?;
    if let Some(folder) = &args.files {
        findings::write_set(folder, set.files())?;
    }
    let (found, mut lines) = args.find_out(&officer, (&record, &request, &set)).await?;
    let replayed = args.replayed(config, &request, &set)?;
    lines.extend(replay_line(request.replay.as_ref(), replayed.as_ref()));
    let found = Found { replayed, ..found };
    if let Some(folder) = &args.report {
        findings::write(folder, &found.compared, &found.proof, found.replayed.as_ref())?;
    }
    let report = ReviewReport {
        proposal: args.id.to_string(),
        requester: record.approvable.proposal().request.requester.to_string(),
        lines,
        changed: found.compared.views(),
    };
    output.print(&report)?;
    report.judged()?;
    tell(&format_args!("next: `fobctl proposal approve {0}` or `fobctl proposal reject {0}`", args.id));
    Ok(())
}

/// The request in a proposal that was read whole: its requester's signature over these bytes was verified.
fn proposed(record: &OnRecord) -> Result<ProposePolicy, Fault> {
    let operation = record.approvable.proposal().request.operation;
    let other = || {
        let what = format!("the proposal is of {operation}, not of policies");
        Fault::usage(what, "read it with `fobctl proposal show`")
    };
    if operation != Operation::PolicyPropose {
        return Err(other());
    }
    cbor::decode(record.approvable.payload(), REQUEST_LEN_MAX).map_err(|_| other())
}

impl ReviewArgs {
    /// Does what the proposer did, but for the replay, and compares.
    async fn find_out(
        &self,
        officer: &Officer,
        (record, request, set): (&OnRecord, &ProposePolicy, &PolicySet),
    ) -> Result<(Found, Vec<LineView>), Fault> {
        let officers = Officers::of_service(officer).await;
        let officers = officers.map_err(|error| Fault::client("read who the officers are", error))?;
        let cases = AllCases::load(self.cases.cases.as_deref())?;
        let in_force = InForce::read(officer.reader()).await?;
        let limit = Limit::of(self.large_above, in_force.load_max(officer).await?);
        let compared = cases.compare(&in_force.set, set);
        let proof = proved::prove(set, request.proof.load_max)?;
        let tested = cases.test(set);
        let tried = match tested.mismatches.len() {
            0 => format!("{} cases come out as they say ({})", tested.cases(), tested.words()),
            wrong => format!(
                "{wrong} of {} cases come out otherwise than they say; give the site's own with --cases",
                tested.cases()
            ),
        };
        let made_under = candidate::digest(&in_force.set) == record.approvable.proposal().policy;
        let under = if made_under { "those in force" } else { "no longer in force: nobody can approve it" };
        let digest = candidate::digest(set) == request.policy;
        let lines = vec![
            line(
                "digest",
                digest,
                format!("computed over the {} files in the proposal", request.files.len()),
            ),
            check("made under", made_under, format!("policies that are {under}")),
            check("replaceable", officers.can_replace(set)?, format!("by {}", officers.words())),
            check("test", tested.mismatches.is_empty(), tried),
            line("diff", compared.wire() == request.difference, compared.summary()),
            proof_line(request, &proof, limit)?,
        ];
        Ok((Found { compared, proof, replayed: None }, lines))
    }

    fn replayed(
        &self,
        config: &ClientConfig,
        request: &ProposePolicy,
        set: &PolicySet,
    ) -> Result<Option<Replayed>, Fault> {
        let (Some(export), Some(stated)) = (&self.export, &request.replay) else { return Ok(None) };
        let window = Window::Between(stated.from_leaf, stated.to_leaf);
        replay::replay(export, &trust_of(config)?, set, window).map(Some)
    }
}

/// What must hold of every set.
fn check(what: &'static str, holds: bool, words: String) -> LineView {
    LineView { what, verdict: if holds { Verdict::Holds } else { Verdict::Fails }, words }
}

/// What the proposal says, and this machine finds or does not.
fn line(what: &'static str, same: bool, words: String) -> LineView {
    LineView { what, verdict: if same { Verdict::Same } else { Verdict::Differs }, words }
}

/// Another version of the solver gives another name, and must else find the same. What counts as a large load is the
/// proposer's word and part of what is proved, so it must be the reviewer's too.
fn proof_line(request: &ProposePolicy, proof: &Proof, limit: Limit) -> Result<LineView, Fault> {
    let stated = request.proof.solver.as_str();
    let same = proof.holds() && proved::wire(&proved::as_if_by(proof, stated))? == request.proof;
    let other = if stated == proof.solver { String::new() } else { format!("; the proposer's was {stated}") };
    let load_max = request.proof.load_max;
    let words = format!("{}{other}; {}", proved::summary(proof), limit.words(load_max));
    let line = line("prove", same, words);
    // What another machine does not find is said first.
    let fails = same && !limit.holds(load_max);
    Ok(if fails { LineView { verdict: Verdict::Fails, ..line } } else { line })
}

fn replay_line(stated: Option<&PolicyReplay>, replayed: Option<&Replayed>) -> Option<LineView> {
    let stated = stated?;
    Some(match replayed {
        Some(replayed) => line("replay", replayed.wire() == *stated, replayed.summary()),
        None => LineView {
            what: "replay",
            verdict: Verdict::NotLookedAt,
            words: format!(
                "it says that {} of {} requests would be decided otherwise; give an exported log with --export",
                stated.differing, stated.requests
            ),
        },
    })
}

impl ReviewReport {
    fn judged(&self) -> Result<(), Fault> {
        let bad = |line: &&LineView| matches!(line.verdict, Verdict::Differs | Verdict::Fails);
        let differ = self.lines.iter().filter(bad).map(|line| line.what);
        let differ: Vec<_> = differ.collect();
        if differ.is_empty() {
            return Ok(());
        }
        Err(Fault::unsound(
            format!("the review fails: {}", differ.join(", ")),
            format!(
                "do not approve it; ask {} how it was checked, and compare the versions with `fobctl --version`",
                self.requester
            ),
        ))
    }
}

impl Report for ReviewReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-policy-review/1"
    }

    fn text(&self) -> String {
        let verdict = |line: &LineView| match line.verdict {
            Verdict::Same => "same",
            Verdict::Differs => "DIFFERS",
            Verdict::Holds => "holds",
            Verdict::Fails => "FAILS",
            Verdict::NotLookedAt => "not looked at",
        };
        let lines = self.lines.iter().map(|line| (line.what, format!("{}: {}", verdict(line), line.words)));
        let changes: String = self.changed.iter().map(ChangeView::paragraph).collect();
        format!("{}\n{changes}", rows(lines)).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_prover::{LOAD_MAX_DEFAULT, Outcome, Theorem};

    fn report(verdict: Verdict) -> ReviewReport {
        let line = |what, verdict| LineView { what, verdict, words: "words".into() };
        ReviewReport {
            proposal: "07".repeat(16),
            requester: "officer-1".into(),
            lines: vec![line("digest", Verdict::Same), line("prove", verdict)],
            changed: vec![ChangeView {
                case: "a-case".into(),
                change: "allowed -> denied".into(),
                question: "who may what".into(),
                why: "because".into(),
            }],
        }
    }

    #[test]
    fn what_differs_is_named_and_ends_with_6() {
        let fault = report(Verdict::Differs).judged().unwrap_err();
        assert_eq!(fault.exit_code(), 6);
        assert_eq!(report(Verdict::Fails).judged().unwrap_err().exit_code(), 6);
        assert!(fault.to_string().ends_with("the review fails: prove"), "{fault}");
        assert!(fault.next().contains("ask officer-1"), "{}", fault.next());
        assert!(
            report(Verdict::Differs).text().contains("prove   DIFFERS: words"),
            "{}",
            report(Verdict::Differs).text()
        );
        for good in [Verdict::Same, Verdict::Holds, Verdict::NotLookedAt] {
            assert!(report(good).judged().is_ok());
        }
    }

    #[test]
    fn a_proof_that_takes_large_loads_for_small_fails_although_it_is_found_again() {
        let set = PolicySet::shipped().unwrap();
        let proof = |load_max| Proof {
            solver: "cvc5 1.0.3".into(),
            policies: set.digest(),
            load_max,
            theorems: vec![Theorem {
                name: "two people: large load".into(),
                statement: "nobody can load much with fewer than two people".into(),
                environments: 1,
                outcome: Outcome::Holds,
            }],
            notices: Vec::new(),
        };
        let request = |proof: &Proof| ProposePolicy {
            schema: keysvc_client::protocol::schema::Schema,
            idem: keysvc_client::protocol::bytes::Idem::new([5; 16]),
            policy: candidate::digest(&set),
            files: candidate::wire(&set).unwrap(),
            difference: AllCases::load(None).unwrap().compare(&set, &set).wire(),
            proof: proved::wire(proof).unwrap(),
            reason: "why".parse().unwrap(),
            replay: None,
        };
        let judged = |load_max, given| {
            let proof = proof(load_max);
            proof_line(&request(&proof), &proof, Limit::of(given, Some(LOAD_MAX_DEFAULT))).unwrap()
        };
        let line = judged(LOAD_MAX_DEFAULT, None);
        assert_eq!(line.verdict, Verdict::Same);
        assert!(line.words.ends_with("; a load is large above 100000 minor units"), "{}", line.words);
        let line = judged(u64::MAX, None);
        assert_eq!(line.verdict, Verdict::Fails);
        assert!(line.words.contains("above 18446744073709551615 minor units, more than the usual 100000"));
        assert_eq!(judged(200_000, Some(200_000)).verdict, Verdict::Same);
        assert_eq!(judged(200_000, Some(199_999)).verdict, Verdict::Fails);
        assert_eq!(judged(LOAD_MAX_DEFAULT, Some(500)).verdict, Verdict::Fails);
        // A proof that is not found again differs, whatever its amount.
        let other = request(&proof(200_000));
        let line = proof_line(&other, &proof(300_000), Limit::Default).unwrap();
        assert_eq!(line.verdict, Verdict::Differs);
    }

    #[test]
    fn a_replay_without_an_export_is_said_not_to_be_looked_at() {
        let stated = PolicyReplay {
            requests: 9,
            differing: 2,
            from_leaf: 0,
            to_leaf: 30,
            report: keysvc_client::protocol::bytes::Digest::new([1; 32]),
            lines: keysvc_client::protocol::list::List::default(),
        };
        let line = replay_line(Some(&stated), None).unwrap();
        assert_eq!(line.verdict, Verdict::NotLookedAt);
        assert!(line.words.starts_with("it says that 2 of 9 requests"), "{}", line.words);
        assert!(replay_line(None, None).is_none());
    }
}
