//! What became of an act: done, or a proposal that waits for people, with the commands that bring it on.

use crate::{
    fault::Fault,
    key_view::KeyView,
    output::{Output, Report},
    proposal_view::{self, ProposalView},
    shown::rows,
};
use keysvc_client::{
    ClientError, Officer, Outcome, Pending,
    officer::Changed,
    protocol::{founding::GoldenVector, proposal::ProposalState, request::Operation},
};
use serde::Serialize;
use std::io::Write;

/// An act that is done.
#[derive(Debug, Serialize)]
struct ActReport {
    operation: &'static str,
    leaf_index: u64,
    tree_size: u64,
    key: Option<KeyView>,
    /// The check values that the token computes for a card profile that was put.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vectors: Vec<GoldenVector>,
}

/// Prints what became of an act; one that waits for people ends with exit code 5.
///
/// # Errors
/// [`Fault::Waits`] with the next commands, or the fault of reading the proposal.
pub(crate) async fn report<W: Write>(
    officer: &Officer,
    operation: Operation,
    outcome: Result<Outcome<Changed>, ClientError>,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    match outcome.map_err(|error| Fault::client("have it done", error))? {
        Outcome::Done(changed) => output.print(&ActReport {
            operation: operation.name(),
            leaf_index: changed.leaf_index,
            tree_size: changed.checkpoint.checkpoint().head.size,
            key: changed.key.as_ref().map(KeyView::from),
            vectors: changed.vectors,
        }),
        Outcome::Pending(pending) => {
            let record = officer.proposal(pending.id).await;
            let record = record.map_err(|error| Fault::client("read the proposal", error))?;
            let view = ProposalView::from(&record);
            output.print(&view)?;
            Err(waits(&pending, &view.still()))
        }
    }
}

/// The end of a command whose act waits for people, or has ended without them.
pub(crate) fn waits(pending: &Pending, still: &str) -> Fault {
    let id = pending.id;
    let next = match pending.state {
        ProposalState::Open => format!(
            "still needed: {still}; officers read and approve it with `fobctl proposal approve {id}`, and one who asked \
             counts only so"
        ),
        ProposalState::Waiting { .. } => {
            format!("`fobctl proposal cancel {id} --reason REASON` stops it until then")
        }
        ProposalState::Executed { .. } => format!("`fobctl proposal show {id}`"),
        _ => "ask for it again with a new request, if it is still wanted".to_owned(),
    };
    let state = proposal_view::state(&pending.state);
    Fault::Waits { id: id.to_string(), state, waits: pending.waits(), next }
}

impl Report for ActReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-act/1"
    }

    fn text(&self) -> String {
        let mut lines = vec![("done", self.operation.to_owned())];
        if let Some(key) = &self.key {
            lines
                .push(("key", format!("{} version {} ({}), {}", key.name, key.version, key.kind, key.state)));
            lines.push(("check value", format!("{} {}", key.check.method, key.check.value)));
        }
        lines.extend(self.vectors.iter().map(|vector| ("computed", proposal_view::computed(vector))));
        let (leaf, size) = (self.leaf_index, self.tree_size);
        lines.push(("in the log", format!("leaf {leaf}, under a checkpoint of {size} leaves")));
        rows(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use keysvc_client::protocol::{bytes::ProposalId, quorum::Need, refusal::Refusal};

    fn pending(state: ProposalState) -> Pending {
        Pending {
            id: ProposalId::new([7; 16]),
            operation: Operation::KeyActivate,
            need: Need::of(2),
            proposal: Vec::new(),
            state,
            expires_ms: 2,
        }
    }

    #[test]
    fn what_waits_ends_with_5_and_the_command_for_the_others_and_what_has_ended_with_3() {
        let open = waits(&pending(ProposalState::Open), "1 more person");
        assert_eq!(open.exit_code(), 5);
        let command = format!("`fobctl proposal approve {}`", "07".repeat(16));
        assert!(open.next().starts_with("still needed: 1 more person;"), "{}", open.next());
        assert!(open.next().contains(&command), "{}", open.next());
        let waiting = waits(&pending(ProposalState::Waiting { leaf: 3, due_ms: 4 }), "");
        assert_eq!(waiting.exit_code(), 5);
        assert!(waiting.next().contains("proposal cancel"), "{}", waiting.next());
        for state in [ProposalState::Expired, ProposalState::Failed { refusal: Refusal::Forbidden }] {
            assert_eq!(waits(&pending(state), "").exit_code(), 3);
        }
    }

    #[test]
    fn a_made_key_is_shown_with_its_check_value() {
        let key = Some(KeyView::from(&sample::key()));
        let report =
            ActReport { operation: "key.create", leaf_index: 9, tree_size: 11, key, vectors: Vec::new() };
        let text = report.text();
        assert!(text.contains("demo-known version 1 (card-master), active"), "{text}");
        assert!(text.contains("cmac 0102030405"), "{text}");
        assert!(text.ends_with("leaf 9, under a checkpoint of 11 leaves"), "{text}");
    }
}
