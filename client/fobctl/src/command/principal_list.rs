//! `fobctl principal list`: who is enrolled, and with which keys.

use crate::{
    fault::Fault,
    output::{Output, Report},
    own_key::connect,
    shown::{key_digest, table},
};
use keysvc_client::{
    ClientConfig,
    protocol::{bytes::Blob, hash::sha256, reply::PrincipalView},
};
use serde::Serialize;
use std::io::Write;

#[derive(Serialize)]
struct ListReport {
    principals: Vec<LineView>,
}

#[derive(Serialize)]
struct LineView {
    id: String,
    kind: &'static str,
    /// The organisation; of an officer the department.
    group: String,
    capabilities: Vec<String>,
    enabled: bool,
    /// SHA-256 of each key's `SubjectPublicKeyInfo`.
    tls_key: String,
    statement_key: Option<String>,
    wrapping_key: Option<String>,
    /// The leaf that changed it last.
    leaf: u64,
}

pub(super) async fn run<W: Write>(config: &ClientConfig, output: &mut Output<W>) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let all = officer.principals().await.map_err(|error| Fault::client("list the principals", error))?;
    output.print(&ListReport { principals: all.principals.iter().map(LineView::from).collect() })
}

fn digest<const MAX: usize>(key: &Blob<MAX>) -> String {
    sha256(&[key.as_bytes()]).to_string()
}

impl From<&PrincipalView> for LineView {
    fn from(view: &PrincipalView) -> Self {
        let enrolment = &view.enrolment;
        Self {
            id: enrolment.id.to_string(),
            kind: enrolment.kind.name(),
            group: enrolment.group.to_string(),
            capabilities: enrolment.capabilities.iter().map(ToString::to_string).collect(),
            enabled: view.enabled,
            tls_key: enrolment.tls_key.to_string(),
            statement_key: enrolment.statement_key.as_ref().map(digest),
            wrapping_key: enrolment.wrapping_key.as_ref().map(digest),
            leaf: view.leaf,
        }
    }
}

impl LineView {
    fn row(&self) -> [String; 8] {
        [
            self.id.clone(),
            self.kind.to_owned(),
            self.group.clone(),
            if self.enabled { "enabled" } else { "disabled" }.to_owned(),
            key_digest(&self.tls_key),
            self.statement_key.as_ref().map(key_digest).unwrap_or_default(),
            self.leaf.to_string(),
            self.capabilities.join(", "),
        ]
    }
}

impl Report for ListReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-principal-list/1"
    }

    fn text(&self) -> String {
        let header = ["name", "kind", "group", "state", "tls key", "statement key", "leaf", "capabilities"];
        table(header, &["leaf"], self.principals.iter().map(LineView::row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::{
        bytes::Digest, founding::PrincipalKind, list::List, request::Enrolment, schema::Schema,
    };

    #[test]
    fn a_disabled_principal_is_told_by_its_line() {
        let enrolment = Enrolment {
            schema: Schema,
            id: "terminal-2".parse().unwrap(),
            kind: PrincipalKind::Terminal,
            group: "roastery".parse().unwrap(),
            capabilities: List::try_from(vec!["value-load".parse().unwrap()]).unwrap(),
            tls_key: Digest::new([1; 32]),
            statement_key: Some(Blob::try_from(vec![1]).unwrap()),
            wrapping_key: None,
        };
        let view = LineView::from(&PrincipalView { enrolment, enabled: false, leaf: 9 });
        let text = ListReport { principals: vec![view] }.text();
        let line = text.lines().nth(1).unwrap();
        assert!(line.starts_with("terminal-2  terminal  roastery  disabled  0101 0101 0101 0101"), "{text}");
        assert!(line.ends_with("9  value-load"), "{text}");
    }
}
