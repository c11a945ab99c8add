//! `fobctl key get`: one key with its attributes as read back from the token.

use crate::{
    command::connect,
    fault::Fault,
    key_view::{AttributeView, KeyView, TEST_KEY},
    output::{LOUD, Output, Report},
    shown::{hex, rows, table},
};
use keysvc_client::{
    ClientConfig,
    protocol::{key::KeyRecord, name::Name},
};
use serde::Serialize;
use std::io::Write;

/// `fobctl key get`.
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The key's name.
    name: Name,
    /// Its version; the newest when left out.
    #[arg(long, value_name = "N")]
    version: Option<u32>,
}

#[derive(Serialize)]
struct GetReport {
    #[serde(flatten)]
    key: KeyView,
    attributes: Vec<AttributeView>,
    public: Option<String>,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &GetArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let reader = connect(config).await?;
    let key =
        reader.key(&args.name, args.version).await.map_err(|error| Fault::client("read the key", error))?;
    output.print(&GetReport::from(&key))
}

impl From<&KeyRecord> for GetReport {
    fn from(key: &KeyRecord) -> Self {
        Self {
            key: KeyView::from(key),
            attributes: AttributeView::of(key),
            public: key.public.as_ref().map(|spki| hex(spki.as_bytes())),
        }
    }
}

impl Report for GetReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-key-get/1"
    }

    fn text(&self) -> String {
        let key = &self.key;
        let mut parts = Vec::new();
        if key.test_key {
            parts.push(format!("{LOUD}{TEST_KEY}: its value is known; not for real cards{LOUD:#}"));
        }
        parts.push(rows([
            ("name", key.name.clone()),
            ("version", key.version.to_string()),
            ("kind", key.kind.to_owned()),
            ("state", key.state.to_owned()),
            ("check value", format!("{} ({})", key.check.value, key.check.method)),
            ("made", key.made_at.clone()),
            ("identifier", key.id.clone()),
        ]));
        let attributes = self.attributes.iter().map(|one| [one.name.clone(), one.value.clone()]);
        parts.push(table(["attribute", "value"], &[], attributes));
        parts.join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use serde_json::{json, to_value};

    #[test]
    fn a_known_key_is_loudly_one_and_its_attributes_are_shown() {
        let text = GetReport::from(&sample::key()).text();
        assert!(text.contains("TEST KEY: its value is known"), "{text}");
        assert!(text.contains("0102030405 (cmac)"), "{text}");
        assert!(text.lines().any(|line| line.split_whitespace().eq(["CKA_DERIVE", "true"])), "{text}");
    }

    #[test]
    fn a_key_with_an_unknown_value_is_not_marked() {
        let key = KeyRecord { test_key: false, ..sample::key() };
        assert!(!GetReport::from(&key).text().contains("TEST KEY"));
    }

    #[test]
    fn the_json_has_the_attributes_and_the_public_half() {
        let key = KeyRecord { public: Some(vec![0x30, 0x59].try_into().unwrap()), ..sample::key() };
        let json = to_value(GetReport::from(&key)).unwrap();
        assert_eq!(json["attributes"], json!([{ "name": "CKA_DERIVE", "value": "true" }]));
        assert_eq!(json["public"], json!("3059"));
        assert_eq!(json["check"]["method"], json!("cmac"));
    }
}
