//! `fobctl freeze list`: what is stopped, by whom, since when.

use crate::{
    fault::Fault,
    output::{Output, Report},
    own_key::connect,
    shown::{table, utc},
};
use keysvc_client::{ClientConfig, protocol::reply::FreezeView};
use serde::Serialize;
use std::io::Write;

#[derive(Serialize)]
struct ListReport {
    freezes: Vec<LineView>,
}

#[derive(Serialize)]
struct LineView {
    /// The kind of scope.
    kind: &'static str,
    /// The whole scope in words.
    scope: String,
    by: String,
    reason: String,
    since_ms: u64,
    leaf: u64,
}

pub(super) async fn run<W: Write>(config: &ClientConfig, output: &mut Output<W>) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let freezes = officer.freezes().await.map_err(|error| Fault::client("list what is stopped", error))?;
    output.print(&ListReport { freezes: freezes.iter().map(LineView::from).collect() })
}

impl From<&FreezeView> for LineView {
    fn from(freeze: &FreezeView) -> Self {
        Self {
            kind: freeze.scope.kind().name(),
            scope: freeze.scope.to_string(),
            by: freeze.by.to_string(),
            reason: freeze.reason.to_string(),
            since_ms: freeze.since_ms,
            leaf: freeze.leaf,
        }
    }
}

impl Report for ListReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-freeze-list/1"
    }

    fn text(&self) -> String {
        if self.freezes.is_empty() {
            return "nothing is stopped".to_owned();
        }
        let rows = self.freezes.iter().map(|one| {
            [one.scope.clone(), one.by.clone(), utc(one.since_ms), one.leaf.to_string(), one.reason.clone()]
        });
        table(["stopped", "by", "since", "leaf", "reason"], &["leaf"], rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::freeze::Scope;

    #[test]
    fn a_freeze_is_listed_with_its_reason_and_nothing_is_said_so() {
        let freeze = LineView::from(&FreezeView {
            scope: Scope::Terminal { name: "terminal-1".parse().unwrap() },
            by: "officer-1".parse().unwrap(),
            reason: "stolen".parse().unwrap(),
            since_ms: 1_795_000_000_000,
            leaf: 14,
        });
        let text = ListReport { freezes: vec![freeze] }.text();
        assert!(
            text.contains("terminal terminal-1  officer-1  2026-11-18T11:06:40.000Z    14  stolen"),
            "{text}"
        );
        assert_eq!(ListReport { freezes: Vec::new() }.text(), "nothing is stopped");
    }
}
