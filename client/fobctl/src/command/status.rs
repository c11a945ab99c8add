//! `fobctl status`: the service's state, under a checkpoint that contains every one seen before.

use crate::{
    command::connect,
    fault::Fault,
    output::{LOUD, Output, Report},
    shown::{rows, utc},
};
use keysvc_client::{
    ClientConfig,
    protocol::reply::{ServiceState, StatusReply},
};
use serde::Serialize;
use std::io::Write;

#[derive(Serialize)]
struct StatusReport {
    version: String,
    state: &'static str,
    development: bool,
    trust_domain: String,
    genesis: String,
    policy: String,
    started_at_ms: u64,
    started_at: String,
    checkpoint: CheckpointView,
}

#[derive(Serialize)]
struct CheckpointView {
    origin: String,
    size: u64,
    root: String,
}

pub(super) async fn run<W: Write>(config: &ClientConfig, output: &mut Output<W>) -> Result<(), Fault> {
    let reader = connect(config).await?;
    let status = reader.status().await.map_err(|error| Fault::client("read the status", error))?;
    output.print(&StatusReport::from(&status))
}

impl From<&StatusReply> for StatusReport {
    fn from(status: &StatusReply) -> Self {
        let checkpoint = status.checkpoint.checkpoint();
        Self {
            version: status.version.clone(),
            state: match status.state {
                ServiceState::Serving => "serving",
                ServiceState::RolledBack => "rolled-back",
            },
            development: status.development,
            trust_domain: status.trust_domain.to_string(),
            genesis: status.genesis.to_string(),
            policy: status.policy.to_string(),
            started_at_ms: status.started_at_ms,
            started_at: utc(status.started_at_ms),
            checkpoint: CheckpointView {
                origin: checkpoint.origin.as_str().to_owned(),
                size: checkpoint.head.size,
                root: checkpoint.head.root.to_string(),
            },
        }
    }
}

impl Report for StatusReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-status/1"
    }

    fn text(&self) -> String {
        let state = match self.state {
            "serving" => self.state,
            _ => "STOPPED: its history was rolled back",
        };
        let rows = rows([
            ("state", state.to_owned()),
            ("version", self.version.clone()),
            ("started", self.started_at.clone()),
            ("trust domain", self.trust_domain.clone()),
            ("genesis", self.genesis.clone()),
            ("policies", self.policy.clone()),
            ("log", format!("{} leaves", self.checkpoint.size)),
            ("root", self.checkpoint.root.clone()),
        ]);
        if self.development {
            format!(
                "{LOUD}DEVELOPMENT: founded with known keys allowed; not for real cards{LOUD:#}\n\n{rows}"
            )
        } else {
            rows
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, to_value};

    fn report(development: bool, state: &'static str) -> StatusReport {
        StatusReport {
            version: "0.1.0\x1b[2J".into(),
            state,
            development,
            trust_domain: "demo.test".into(),
            genesis: "ab".repeat(32),
            policy: "cd".repeat(32),
            started_at_ms: 1_795_000_000_000,
            started_at: utc(1_795_000_000_000),
            checkpoint: CheckpointView { origin: "demo.test/log".into(), size: 12, root: "ef".repeat(32) },
        }
    }

    #[test]
    fn the_json_names_state_and_checkpoint() {
        let json = to_value(report(true, "serving")).unwrap();
        let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "version",
            "state",
            "development",
            "trust_domain",
            "genesis",
            "policy",
            "started_at_ms",
            "started_at",
            "checkpoint",
        ];
        assert!(expected.iter().all(|key| keys.contains(key)), "{keys:?}");
        assert_eq!(json["checkpoint"]["size"], Value::from(12));
        assert_eq!(json["started_at"], Value::from("2026-11-18T11:06:40.000Z"));
    }

    #[test]
    fn development_and_a_stopped_service_are_loud() {
        assert!(report(true, "serving").text().contains("DEVELOPMENT"));
        assert!(!report(false, "serving").text().contains("DEVELOPMENT"));
        assert!(report(false, "rolled-back").text().contains("STOPPED"));
    }

    #[test]
    fn the_services_words_cannot_rewrite_the_screen() {
        assert!(!report(false, "serving").text().contains('\x1b'));
    }
}
