//! `fobctl proposal approve` and `reject`: shows what is signed, has the digest confirmed, and signs it with the card.
//!
//! The bytes are fetched once: the sentence, the digest and the signature are all of these bytes.

use super::proposal_show::read;
use crate::{
    confirm,
    fault::Fault,
    output::{Output, Report, tell},
    own_key::{connect, unlock},
    pin::PinSource,
    proposal_view::{self, ProposalView},
    shown::rows,
};
use keysvc_client::{
    ClientConfig, Officer,
    officer::{OnRecord, Voted},
    protocol::{bytes::ProposalId, proposal::ProposalState, quorum::Verdict},
};
use serde::Serialize;
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl proposal approve 3f0c8a1d5b7e4926a1c3d5e7f9012345
  fobctl proposal approve 3f0c8a1d5b7e4926a1c3d5e7f9012345 --digest '81be 04c7' --pin-file pin
  fobctl proposal reject 3f0c8a1d5b7e4926a1c3d5e7f9012345";

/// `fobctl proposal approve` and `fobctl proposal reject`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VoteArgs {
    /// The proposal's identifier, 32 hexadecimal digits.
    #[arg(value_name = "ID")]
    id: ProposalId,
    /// The first four digits of the proposal's digest, or more of them, instead of being asked.
    #[arg(long, value_name = "XXXX")]
    digest: Option<String>,
    #[command(flatten)]
    pin: PinSource,
}

#[derive(Serialize)]
struct VoteReport {
    proposal: String,
    verdict: &'static str,
    officer: String,
    /// SHA-256 of the proposal's bytes, as signed.
    digest: String,
    /// Where the proposal stands after it, in words.
    state: String,
    /// One word: open, executed, waiting, rejected.
    stands: &'static str,
    leaf_index: u64,
    /// What is still needed, in words; left out where nothing is.
    still: Option<String>,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    verdict: Verdict,
    args: &VoteArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let record = read(&officer, args.id).await?;
    let view = ProposalView::from(&record);
    tell(&view.text());
    refuse_ended(&record)?;
    confirm::digest(&view.digest, args.digest.as_deref())?;
    let officer = unlock(&officer, config, &args.pin)?;
    refuse_strangers(&officer, &record)?;
    let (voted, word) = match verdict {
        Verdict::Approve => (officer.approve(&record.approvable).await, "approved"),
        Verdict::Reject => (officer.reject(&record.approvable).await, "rejected"),
    };
    let voted = voted.map_err(|error| Fault::client("vote", error))?;
    let still = still_needed(&officer, args.id, &voted).await;
    let imports = view.operation == "key.import" && matches!(voted.state, ProposalState::Executed { .. });
    output.print(&VoteReport {
        proposal: args.id.to_string(),
        verdict: word,
        officer: officer.name().map(ToString::to_string).unwrap_or_default(),
        digest: view.digest,
        state: proposal_view::state(&voted.state),
        stands: proposal_view::state_word(&voted.state),
        leaf_index: voted.leaf_index,
        still,
    })?;
    if imports {
        tell(&format_args!("next: each custodian runs `fobctl component enter {}`, within 24 h", args.id));
    }
    Ok(())
}

/// What is still needed after our vote, counted here; nothing where it does not read again, for the vote stands.
async fn still_needed(officer: &Officer, id: ProposalId, voted: &Voted) -> Option<String> {
    if voted.state != ProposalState::Open {
        return None;
    }
    let record = officer.proposal(id).await.ok()?;
    Some(ProposalView::from(&record).still())
}

fn refuse_ended(record: &OnRecord) -> Result<(), Fault> {
    if record.state == ProposalState::Open {
        return Ok(());
    }
    let id = record.approvable.id();
    let next = match record.state {
        ProposalState::Waiting { .. } => {
            format!("`fobctl proposal cancel {id} --reason REASON` stops it until then")
        }
        _ => "there is nothing to vote on; ask for it again if it is still wanted".to_owned(),
    };
    Err(Fault::Waits { id: id.to_string(), state: proposal_view::state(&record.state), waits: false, next })
}

/// An officer's approval that would not count is not made.
fn refuse_strangers(officer: &Officer, record: &OnRecord) -> Result<(), Fault> {
    let known = officer.name().and_then(|name| record.officers.iter().find(|one| one.name == *name));
    match known {
        Some(one) if one.enabled => Ok(()),
        Some(_) => Err(Fault::usage("this officer is disabled", "run it as an enabled officer")),
        None => {
            let names: Vec<_> = record.officers.iter().map(|one| one.name.as_str()).collect();
            let next = format!("run it as an officer, with --context: {}", names.join(", "));
            Err(Fault::usage("only officers vote, and this persona is none", next))
        }
    }
}

impl Report for VoteReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-proposal-vote/1"
    }

    fn text(&self) -> String {
        let mut lines = vec![
            (self.verdict, format!("proposal {}", self.proposal)),
            ("by", self.officer.clone()),
            ("vote", format!("leaf {}", self.leaf_index)),
            ("state", self.state.clone()),
        ];
        if let Some(still) = &self.still {
            lines.push(("still needed", still.clone()));
        }
        rows(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(state: &str, still: Option<&str>) -> String {
        VoteReport {
            proposal: "07".repeat(16),
            verdict: "approved",
            officer: "officer-2".into(),
            digest: "ab".repeat(32),
            state: state.into(),
            stands: "open",
            leaf_index: 11,
            still: still.map(str::to_owned),
        }
        .text()
    }

    #[test]
    fn a_vote_is_told_with_what_it_brought() {
        let open = report("open", Some("1 more person"));
        assert!(open.contains("still needed  1 more person"), "{open}");
        let executed = report("executed at leaf 12", None);
        assert!(executed.ends_with("executed at leaf 12"), "{executed}");
    }
}
