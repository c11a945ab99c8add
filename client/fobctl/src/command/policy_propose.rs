//! `fobctl policy propose`: a set checked, tried, compared, proved and replayed, and then proposed with what was found.
//!
//! There is no way round a check that fails: what officers sign says that it was made.

use super::{
    policy_check, policy_prove,
    policy_replay::{LAST, trust_of},
    policy_test::{self, OwnCases},
};
use crate::{
    acted,
    fault::Fault,
    output::{LOUD, Output, tell},
    own_key::{connect, unlock},
    pin::PinSource,
    policy::{
        candidate,
        cases::AllCases,
        compared::Compared,
        findings,
        in_force::InForce,
        lockout::Officers,
        proved::{self, LargeAbove},
        replay::{self, Replayed, Window},
    },
    shown::{file_digest, wrapped},
};
use keysvc_client::{
    ClientConfig, Officer, Terminal,
    protocol::{
        bytes::Digest,
        cbor,
        name::Reason,
        proposal::PROPOSED_LEN_MAX,
        request::{Operation, ProposePolicy},
        schema::Schema,
    },
};
use keysvc_policies::PolicySet;
use keysvc_prover::Proof;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// Columns of what is said of each step.
const WIDTH: usize = 110;

/// Bytes of the signature and its headers around a request, at most.
const SIGNATURE_LEN_MAX: usize = 256;

const EXAMPLES: &str = "\
Examples:
  fobctl policy propose policies --reason 'no loads above 200.00 in summer' --cases cases
  fobctl policy propose policies --reason 'as reviewed' --export log --report reports";

/// `fobctl policy propose`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProposeArgs {
    /// The folder of *.cedar files.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Why, for the log: printable ASCII, at most 200 characters.
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    cases: OwnCases,
    #[command(flatten)]
    large: LargeAbove,
    /// An exported log whose recorded requests are decided again.
    #[arg(long, value_name = "EXPORT")]
    export: Option<PathBuf>,
    /// How many of that log's last leaves are looked at.
    #[arg(long, value_name = "LEAVES", default_value_t = LAST, requires = "export")]
    last: u64,
    /// Write the whole reports into this folder; their digests stand in the proposal.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    #[command(flatten)]
    pin: PinSource,
}

/// What was found out about a set.
struct Found {
    compared: Compared,
    proof: Proof,
    replayed: Option<Replayed>,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ProposeArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let set = candidate::load(&args.folder)?;
    let officer = connect(config).await?;
    let found = args.find_out(&set, &officer, config).await?;
    if let Some(folder) = &args.report {
        findings::write(folder, &found.compared, &found.proof, found.replayed.as_ref())?;
        tell(&format_args!("the whole reports are in {}", folder.display()));
    }
    let request = found.request(&set, args.reason.clone())?;
    let officer = unlock(&officer, config, &args.pin)?;
    let outcome = officer.propose_policy(&request).await;
    let reported = acted::report(&officer, Operation::PolicyPropose, outcome, output).await;
    if let Err(Fault::Waits { id, waits: true, .. }) = &reported {
        tell(&format_args!("the other officers run `fobctl policy review {id}` before they approve"));
    }
    reported
}

impl ProposeArgs {
    /// Makes every check, and says what each of them found.
    async fn find_out(
        &self,
        set: &PolicySet,
        officer: &Officer,
        config: &ClientConfig,
    ) -> Result<Found, Fault> {
        let officers = Officers::of_service(officer).await;
        let officers = officers.map_err(|error| Fault::client("read who the officers are", error))?;
        policy_check::sound(set, &officers)?;
        let digest = file_digest(&candidate::digest(set));
        step(
            "check",
            &format!("{digest} ..: {} bytes; {} can replace it", candidate::len(set), officers.words()),
        );
        let cases = AllCases::load(self.cases.cases.as_deref())?;
        let tested = cases.test(set);
        for mismatch in &tested.mismatches {
            step("test", &mismatch.to_string());
        }
        policy_test::passed(&tested)?;
        step("test", &format!("{} cases come out as they say ({})", tested.cases(), tested.words()));
        let in_force = InForce::read(officer.reader()).await?;
        if in_force.set.digest() == set.digest() {
            let next = "change them first; `fobctl policy show` shows the set in force";
            return Err(Fault::usage("these policies are in force already", next));
        }
        let compared = cases.compare(&in_force.set, set);
        step("diff", &compared.summary());
        for change in compared.wire().lines.iter() {
            step("", change.as_str());
        }
        if let Some(warning) = proved::warning(self.large.large_above) {
            tell(&format_args!("{LOUD}{}{LOUD:#}", wrapped(&warning, WIDTH)));
        }
        let proof = proved::prove(set, self.large.large_above)?;
        for (theorem, counterexample) in proof.failed() {
            step("prove", &format!("FAILS: {}: {counterexample}", theorem.statement));
        }
        policy_prove::holds(&proof)?;
        step("prove", &proved::summary(&proof));
        let replayed = self.export.as_deref().map(|export| self.replayed(export, set, config)).transpose()?;
        Ok(Found { compared, proof, replayed })
    }

    fn replayed(&self, export: &Path, set: &PolicySet, config: &ClientConfig) -> Result<Replayed, Fault> {
        let replayed = replay::replay(export, &trust_of(config)?, set, Window::Last(self.last))?;
        step("replay", &replayed.summary());
        for line in replayed.wire().lines.iter() {
            step("", line.as_str());
        }
        replayed.left().iter().for_each(|line| step("", line));
        Ok(replayed)
    }
}

/// Says what a step found.
fn step(name: &str, found: &str) {
    let lines = wrapped(&crate::shown::plain(found), WIDTH).replace('\n', "\n        ");
    tell(&format_args!("{name:<8}{lines}"));
}

impl Found {
    /// The request, with everything that officers are to see.
    fn request(&self, set: &PolicySet, reason: Reason) -> Result<ProposePolicy, Fault> {
        let request = ProposePolicy {
            schema: Schema,
            idem: Terminal::new_txn().map_err(|error| Fault::client("draw random bytes", error))?,
            policy: Digest::new(set.digest()),
            files: candidate::wire(set)?,
            difference: self.compared.wire(),
            proof: proved::wire(&self.proof)?,
            reason,
            replay: self.replayed.as_ref().map(Replayed::wire),
        };
        fits(request)
    }
}

/// The request, if a proposal holds it. Only the fullest set with the longest names and lines does not fit, and no finding
/// is left out for it.
fn fits(request: ProposePolicy) -> Result<ProposePolicy, Fault> {
    let len = cbor::encode(&request).len().saturating_add(SIGNATURE_LEN_MAX);
    if len <= PROPOSED_LEN_MAX {
        return Ok(request);
    }
    let over = len.saturating_sub(PROPOSED_LEN_MAX);
    Err(Fault::unsound(
        format!(
            "the set and what was found out about it take {len} bytes, and a proposal holds {PROPOSED_LEN_MAX}"
        ),
        format!("shorten the policies' comments by {over} bytes, then run the same command again"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::cases::tests::stricter;
    use keysvc_client::protocol::{
        list::List,
        request::{POLICY_SET_LEN_MAX, PolicyReplay},
        sentence::sentence,
    };

    fn found(set: &PolicySet) -> Found {
        let shipped = PolicySet::shipped().unwrap();
        let proof = Proof {
            solver: "cvc5 1.0.3".into(),
            policies: set.digest(),
            load_max: 100_000,
            theorems: Vec::new(),
            notices: Vec::new(),
        };
        let compared = AllCases::load(None).unwrap().compare(&shipped, set);
        Found { compared, proof, replayed: None }
    }

    #[test]
    fn the_request_fits_into_a_proposal_and_says_what_was_found() {
        let set = stricter();
        let request = found(&set).request(&set, "why".parse().unwrap()).unwrap();
        let bytes = cbor::encode(&request);
        let said = sentence(Operation::PolicyPropose, &bytes).unwrap();
        assert!(said.contains("allowed -> denied: terminal "), "{said}");
        assert!(said.contains("The past was not replayed."), "{said}");
        assert!(bytes.len() < 16 * 1024, "{}", bytes.len());
        let again = found(&set).request(&set, "why".parse().unwrap()).unwrap();
        assert_ne!(again.idem, request.idem);
    }

    #[test]
    fn a_set_that_fills_a_proposal_with_its_findings_is_told_by_how_much() {
        let name = |number: u8| format!("{number:0>58}.cedar");
        let mut files: Vec<_> = (0..16).map(|number| (name(number), "// no more".to_owned())).collect();
        files[0].1 = keysvc_policies::DEFAULT_SITE.to_owned();
        let len: usize = files.iter().map(|(_, text)| text.len()).sum();
        files[1].1.push_str(&"x".repeat(POLICY_SET_LEN_MAX - len));
        let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let set = PolicySet::from_files(&files).unwrap();
        assert!(candidate::misfits(&set).is_empty(), "{:?}", candidate::misfits(&set));
        let findings = found(&set);
        assert!(findings.request(&set, "why".parse().unwrap()).is_ok());
        // The past, each line as long as it may be.
        let line: Reason = "l".repeat(200).parse().unwrap();
        let mut request = findings.request(&set, "w".repeat(200).parse().unwrap()).unwrap();
        request.difference.lines = List::try_from(vec![line.clone(); 16]).unwrap();
        request.replay = Some(PolicyReplay {
            requests: u32::MAX,
            differing: u32::MAX,
            from_leaf: u64::MAX,
            to_leaf: u64::MAX,
            report: Digest::new([9; 32]),
            lines: List::try_from(vec![line; 16]).unwrap(),
        });
        let fault = fits(request).unwrap_err();
        assert_eq!(fault.exit_code(), 6);
        assert!(fault.next().starts_with("shorten the policies' comments by "), "{}", fault.next());
    }
}
