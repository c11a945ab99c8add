//! `fobctl key list`: all keys with their check values.

use crate::{
    command::connect,
    fault::Fault,
    key_view::KeyView,
    output::{Output, Report},
    shown::table,
};
use keysvc_client::ClientConfig;
use serde::Serialize;
use std::io::Write;

/// Digits of a check value in the list: all of a symmetric key's, and 64 bits of a public key's digest. `key get`
/// and JSON have all of them.
const CHECK_DIGITS: usize = 16;

#[derive(Serialize)]
struct ListReport {
    keys: Vec<KeyView>,
}

pub(super) async fn run<W: Write>(config: &ClientConfig, output: &mut Output<W>) -> Result<(), Fault> {
    let reader = connect(config).await?;
    let keys = reader.keys().await.map_err(|error| Fault::client("list the keys", error))?;
    output.print(&ListReport { keys: keys.iter().map(KeyView::from).collect() })
}

impl Report for ListReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-key-list/1"
    }

    fn text(&self) -> String {
        let rows = self.keys.iter().map(|key| {
            [
                key.name.clone(),
                key.version.to_string(),
                key.kind.to_owned(),
                key.state.to_owned(),
                key.check.value.chars().take(CHECK_DIGITS).collect(),
                key.check.method.to_owned(),
                key.made_at.clone(),
                key.mark().to_owned(),
            ]
        });
        table(["name", "version", "kind", "state", "check", "method", "made", ""], &["version"], rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use serde_json::{json, to_value};

    fn report() -> ListReport {
        ListReport { keys: vec![KeyView::from(&sample::key())] }
    }

    #[test]
    fn a_known_key_is_marked_in_the_table() {
        let text = report().text();
        let line = text.lines().nth(1).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            words,
            [
                "demo-known",
                "1",
                "card-master",
                "active",
                "0102030405",
                "cmac",
                "2026-11-18T11:06:40.000Z",
                "TEST",
                "KEY"
            ]
        );
    }

    #[test]
    fn the_json_has_each_key_with_its_check_value_and_method() {
        let json = to_value(report()).unwrap();
        let expected = json!({ "keys": [{
            "name": "demo-known",
            "version": 1,
            "kind": "card-master",
            "state": "active",
            "check": { "method": "cmac", "value": "0102030405" },
            "test_key": true,
            "made_at_ms": 1_795_000_000_000_u64,
            "made_at": "2026-11-18T11:06:40.000Z",
            "id": "09".repeat(16),
        }] });
        assert_eq!(json, expected);
    }
}
