//! `fobctl terminal bundle`: the trust bundle in force, verified, shown, and where asked written to a file.

use crate::{
    fault::Fault,
    file::{self, Readers},
    key_view,
    money::{self, Currency},
    output::{LOUD, Output, Report, tell},
    shown::{key_digest, rows, table, utc},
};
use keysvc_client::{
    ClientConfig, Terminal,
    protocol::{
        bundle::{BundleKey, BundleProgramme, TrustBundle},
        hash::sha256,
    },
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

/// `fobctl terminal bundle`.
#[derive(Debug, clap::Args)]
pub(crate) struct BundleArgs {
    /// Write the bundle with the founding to this new file, for a till, `fobctl terminal verify` or `fobaudit value`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct BundleReport {
    trust_domain: String,
    genesis: String,
    development: bool,
    /// SHA-256 of the log key's `SubjectPublicKeyInfo`.
    log_key: String,
    log_size: u64,
    log_root: String,
    made_at_ms: u64,
    not_after_ms: u64,
    value_keys: Vec<KeyView>,
    programmes: Vec<ProgrammeView>,
    file: Option<String>,
}

#[derive(Serialize)]
struct KeyView {
    name: String,
    version: u32,
    kid: String,
    state: &'static str,
    not_before_ms: u64,
    not_after_ms: Option<u64>,
}

/// Amounts in minor units.
#[derive(Serialize)]
struct ProgrammeView {
    name: String,
    organisation: String,
    currency: u16,
    value_key: String,
    purses: Vec<u8>,
    ceiling: u64,
    load_max: u64,
    debit_max: u64,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &BundleArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    args.out.as_deref().map_or(Ok(()), file::refuse_existing)?;
    let terminal =
        Terminal::connect(config).await.map_err(|error| Fault::client("connect as a terminal", error))?;
    let offline = terminal.bundle().await.map_err(|error| Fault::client("fetch the trust bundle", error))?;
    if let Some(path) = &args.out {
        file::write(path, &offline.to_file(), Readers::Others)?;
    }
    output.print(&BundleReport::new(offline.bundle(), args))?;
    let bundle = args.out.as_ref().map_or_else(String::new, |path| format!(" --bundle {}", path.display()));
    tell(&format_args!("next: `fobctl terminal verify RECORD{bundle}` verifies without the network"));
    Ok(())
}

impl BundleReport {
    fn new(bundle: &TrustBundle, args: &BundleArgs) -> Self {
        let head = bundle.checkpoint.checkpoint().head;
        Self {
            trust_domain: bundle.trust_domain.to_string(),
            genesis: bundle.genesis.to_string(),
            development: bundle.development,
            log_key: sha256(&[bundle.log_key.as_bytes()]).to_string(),
            log_size: head.size,
            log_root: head.root.to_string(),
            made_at_ms: bundle.made_at_ms,
            not_after_ms: bundle.not_after_ms,
            value_keys: bundle.value_keys.iter().map(KeyView::from).collect(),
            programmes: bundle.programmes.iter().map(ProgrammeView::from).collect(),
            file: args.out.as_ref().map(|path| path.display().to_string()),
        }
    }
}

impl From<&BundleKey> for KeyView {
    fn from(key: &BundleKey) -> Self {
        Self {
            name: key.name.to_string(),
            version: key.version,
            kid: key.kid.to_string(),
            state: key_view::state(key.state),
            not_before_ms: key.not_before_ms,
            not_after_ms: key.not_after_ms,
        }
    }
}

impl From<&BundleProgramme> for ProgrammeView {
    fn from(programme: &BundleProgramme) -> Self {
        Self {
            name: programme.name.to_string(),
            organisation: programme.organisation.to_string(),
            currency: programme.currency,
            value_key: programme.value_key.to_string(),
            purses: programme.purses.to_vec(),
            ceiling: programme.ceiling,
            load_max: programme.load_max,
            debit_max: programme.debit_max,
        }
    }
}

impl KeyView {
    fn row(&self) -> [String; 6] {
        let until = self.not_after_ms.map_or_else(|| "the bundle ends".to_owned(), utc);
        let version = self.version.to_string();
        [self.name.clone(), version, self.kid.clone(), self.state.to_owned(), utc(self.not_before_ms), until]
    }
}

impl ProgrammeView {
    fn row(&self) -> [String; 7] {
        let purses: Vec<_> = self.purses.iter().map(u8::to_string).collect();
        let currency = Currency::of(self.currency);
        let currency =
            currency.map_or_else(|_| format!("{:03}", self.currency), |known| known.letters().to_owned());
        let amount = |minor| money::shown(minor, self.currency);
        [
            self.name.clone(),
            currency,
            purses.join(", "),
            amount(self.load_max),
            amount(self.debit_max),
            amount(self.ceiling),
            self.value_key.clone(),
        ]
    }
}

impl Report for BundleReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-terminal-bundle/1"
    }

    fn text(&self) -> String {
        let banner = self.development.then(|| {
            format!("{LOUD}DEVELOPMENT: founded with known keys allowed; not for real cards{LOUD:#}")
        });
        let file = self.file.as_ref().map(|file| ("written to", file.clone()));
        let facts = [
            ("trust domain", self.trust_domain.clone()),
            ("genesis", self.genesis.clone()),
            ("log key", key_digest(&self.log_key)),
            ("log", format!("{} leaves when it was made", self.log_size)),
            ("made", utc(self.made_at_ms)),
            ("holds until", utc(self.not_after_ms)),
        ];
        let keys = table(
            ["value key", "version", "kid", "state", "from", "until"],
            &["version"],
            self.value_keys.iter().map(KeyView::row),
        );
        let limits = ["load up to", "debit up to", "balance up to"];
        let programmes = table(
            ["programme", "currency", "purses", limits[0], limits[1], limits[2], "value key"],
            &limits,
            self.programmes.iter().map(ProgrammeView::row),
        );
        let parts = banner.into_iter().chain([rows(facts.into_iter().chain(file)), keys, programmes]);
        parts.collect::<Vec<_>>().join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> BundleReport {
        BundleReport {
            trust_domain: "demo.test".into(),
            genesis: "ab".repeat(32),
            development: true,
            log_key: "0123456789abcdef".repeat(4),
            log_size: 9,
            log_root: "cd".repeat(32),
            made_at_ms: 1_795_000_000_000,
            not_after_ms: 1_795_604_800_000,
            value_keys: vec![KeyView {
                name: "value-1".into(),
                version: 1,
                kid: "28355fd15d0db6d8".into(),
                state: "active",
                not_before_ms: 1_795_000_000_000,
                not_after_ms: None,
            }],
            programmes: vec![ProgrammeView {
                name: "coffee".into(),
                organisation: "shops".into(),
                currency: 978,
                value_key: "value-1".into(),
                purses: vec![1, 2],
                ceiling: 50_000,
                load_max: 20_000,
                debit_max: 5_000,
            }],
            file: None,
        }
    }

    #[test]
    fn keys_validity_and_limits_are_shown_in_the_programmes_currency() {
        let text = report().text();
        assert!(text.starts_with(&format!("{LOUD}DEVELOPMENT")), "{text}");
        assert!(text.contains("0123 4567 89ab cdef"), "{text}");
        assert!(text.contains("2026-11-25T11:06:40.000Z"), "{text}");
        let words: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        let expected = "coffee EUR 1, 2 200.00 EUR 50.00 EUR 500.00 EUR value-1";
        assert_eq!(words.join(" "), expected);
        assert!(text.contains("28355fd15d0db6d8") && text.contains("the bundle ends"), "{text}");
    }

    #[test]
    fn the_json_has_minor_units_and_milliseconds() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["programmes"][0]["load_max"], serde_json::json!(20_000));
        assert_eq!(json["not_after_ms"], serde_json::json!(1_795_604_800_000_u64));
        assert_eq!(json["value_keys"][0]["kid"], serde_json::json!("28355fd15d0db6d8"));
    }
}
