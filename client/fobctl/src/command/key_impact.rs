//! `fobctl key impact`: what hangs on a version of a key, before it is taken out of use.

use crate::{
    fault::Fault,
    key_view::KeyView,
    output::{Output, Report},
    own_key::connect,
    shown::rows,
};
use keysvc_client::{
    ClientConfig,
    protocol::{name::Name, reply::KeyImpactReply},
};
use serde::Serialize;
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl key impact demo-generated --version 1";

/// `fobctl key impact`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImpactArgs {
    /// The key's name.
    #[arg(value_name = "NAME")]
    name: Name,
    /// Its version.
    #[arg(long, value_name = "N")]
    version: u32,
}

#[derive(Serialize)]
struct ImpactReport {
    #[serde(flatten)]
    key: KeyView,
    /// Cards for which keys were derived under this version.
    cards: u64,
    profiles: Vec<String>,
    programmes: Vec<String>,
    /// Terminals of those programmes' organisations.
    terminals: u64,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ImpactArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let impact = officer.impact(&args.name, args.version).await;
    let impact = impact.map_err(|error| Fault::client("count what hangs on the key", error))?;
    output.print(&ImpactReport::from(&impact))
}

impl From<&KeyImpactReply> for ImpactReport {
    fn from(impact: &KeyImpactReply) -> Self {
        Self {
            key: KeyView::from(&impact.key),
            cards: impact.cards,
            profiles: impact.profiles.iter().map(ToString::to_string).collect(),
            programmes: impact.programmes.iter().map(ToString::to_string).collect(),
            terminals: impact.terminals,
        }
    }
}

impl Report for ImpactReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-key-impact/1"
    }

    fn text(&self) -> String {
        let names = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let key = &self.key;
        rows([
            ("key", format!("{} version {} ({}), {}", key.name, key.version, key.kind, key.state)),
            ("cards made under it", self.cards.to_string()),
            ("card profiles", names(&self.profiles)),
            ("programmes it signs", names(&self.programmes)),
            ("terminals of those", self.terminals.to_string()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn what_hangs_on_a_key_is_counted_and_named() {
        let report = ImpactReport {
            key: KeyView::from(&sample::key()),
            cards: 12,
            profiles: vec!["fob".into()],
            programmes: Vec::new(),
            terminals: 0,
        };
        let text = report.text();
        assert!(text.contains("demo-known version 1 (card-master), active"), "{text}");
        assert!(text.contains("programmes it signs  none"), "{text}");
    }
}
