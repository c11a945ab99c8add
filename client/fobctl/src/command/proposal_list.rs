//! `fobctl proposal list`: the proposals that wait for people, or the newest of all.

use crate::{
    fault::Fault,
    moment,
    output::{Output, Report, tell},
    own_key::connect,
    proposal_view::{NeedView, state, state_word},
    shown::{table, utc},
};
use keysvc_client::{
    ClientConfig,
    protocol::{proposal::ProposalState, reply::ListedProposal},
};
use serde::Serialize;
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl proposal list
  fobctl proposal list --all --before 120";

/// `fobctl proposal list`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ListArgs {
    /// Show ended ones too; at most 64, newest first.
    #[arg(long)]
    all: bool,
    /// Only those made before this leaf: to page on.
    #[arg(long, value_name = "LEAF")]
    before: Option<u64>,
}

#[derive(Serialize)]
struct ListReport {
    proposals: Vec<LineView>,
}

#[derive(Serialize)]
struct LineView {
    id: String,
    operation: &'static str,
    requester: String,
    need: NeedView,
    /// People whose approval counts, as the service says; `proposal show` counts them here.
    persons: u8,
    state: String,
    #[serde(skip)]
    word: &'static str,
    open: bool,
    created_ms: u64,
    expires_ms: u64,
    leaf: u64,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ListArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let proposals = officer.proposals(args.all, args.before).await;
    let proposals = proposals.map_err(|error| Fault::client("list the proposals", error))?;
    output.print(&ListReport { proposals: proposals.iter().map(LineView::from).collect() })?;
    if let Some(open) = proposals.iter().find(|one| one.state == ProposalState::Open) {
        tell(&format_args!("next: `fobctl proposal show {}`", open.id));
    }
    Ok(())
}

impl From<&ListedProposal> for LineView {
    fn from(line: &ListedProposal) -> Self {
        Self {
            id: line.id.to_string(),
            operation: line.operation.name(),
            requester: line.requester.to_string(),
            need: NeedView::from(&line.need),
            persons: line.persons,
            state: state(&line.state),
            word: state_word(&line.state),
            open: line.state == ProposalState::Open,
            created_ms: line.created_ms,
            expires_ms: line.expires_ms,
            leaf: line.leaf,
        }
    }
}

impl LineView {
    fn row(&self) -> [String; 8] {
        let left = self.expires_ms.checked_sub(moment::now_ms()).filter(|_| self.open);
        [
            self.id.clone(),
            self.operation.to_owned(),
            self.requester.clone(),
            format!("{} of {}", self.persons, self.need.persons),
            self.word.to_owned(),
            left.map_or_else(String::new, |left| moment::in_words(left / 1000)),
            utc(self.created_ms),
            self.leaf.to_string(),
        ]
    }
}

impl Report for ListReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-proposal-list/1"
    }

    fn text(&self) -> String {
        if self.proposals.is_empty() {
            return "no proposals".to_owned();
        }
        let header = ["proposal", "operation", "asked by", "people", "state", "left", "made", "leaf"];
        table(header, &["leaf"], self.proposals.iter().map(LineView::row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::{bytes::ProposalId, quorum::Need, request::Operation};

    fn line(state: ProposalState) -> LineView {
        LineView::from(&ListedProposal {
            id: ProposalId::new([7; 16]),
            operation: Operation::KeyActivate,
            requester: "officer-1".parse().unwrap(),
            need: Need::of(3),
            persons: 1,
            state,
            created_ms: 1_795_000_000_000,
            expires_ms: u64::MAX,
            leaf: 12,
        })
    }

    #[test]
    fn a_line_has_the_people_that_count_and_the_state_in_one_word() {
        let report = ListReport { proposals: vec![line(ProposalState::Open), line(ProposalState::Expired)] };
        let text = report.text();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].contains("key.activate  officer-1  1 of 3  open"), "{text}");
        assert!(lines[2].contains("expired"), "{text}");
        assert_eq!(ListReport { proposals: Vec::new() }.text(), "no proposals");
    }
}
