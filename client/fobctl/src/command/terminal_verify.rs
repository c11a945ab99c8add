//! `fobctl terminal verify`: a signed value update, verified with a trust bundle alone, as a till does offline.
//!
//! No network: the trust file proves the bundle, and the bundle the record. What the card saw last is not known here.

use crate::{
    fault::Fault,
    file, money,
    output::{LOUD, Output, Report},
    shown::{rows, utc},
};
use keysvc_client::{
    ClientConfig, ClientError,
    protocol::{
        bundle::{BundleFile, TrustBundle},
        value::{VALUE_UPDATE_LEN_MAX, ValueUpdate},
    },
    terminal::Offline,
};
use serde::Serialize;
use std::{
    io::Write,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

/// `fobctl terminal verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The signed record, as `fobctl value load` writes it.
    #[arg(value_name = "RECORD")]
    record: PathBuf,
    /// The bundle file; the one that `fobctl terminal bundle` keeps in the state folder when left out.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

#[derive(Serialize)]
struct VerifyReport {
    record: String,
    operation: &'static str,
    programme: String,
    card: String,
    purse: u8,
    seq: u64,
    currency: u16,
    amount: u64,
    balance_before: u64,
    balance_after: u64,
    terminal: String,
    issued_at_ms: u64,
    expires_at_ms: u64,
    /// Whether a terminal may still write it to the card.
    writable: bool,
    development: bool,
    bundle_not_after_ms: u64,
}

pub(super) fn run<W: Write>(
    config: &ClientConfig,
    args: &VerifyArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let record = file::read(&args.record, VALUE_UPDATE_LEN_MAX)?;
    let bundle = args.bundle(config)?;
    let now_ms = now_ms();
    let update = bundle.check_record(&record, now_ms).map_err(|error| {
        Fault::client("verify the record", ClientError::Bundle(error))
            .advised(|_| Some(args.advice(&bundle, now_ms)))
    })?;
    output.print(&VerifyReport::new(args, &bundle, &update, now_ms))
}

impl VerifyArgs {
    /// The bundle, proved by the trust file.
    fn bundle(&self, config: &ClientConfig) -> Result<TrustBundle, Fault> {
        let Some(path) = &self.bundle else {
            let kept =
                Offline::open(config).map_err(|error| Fault::client("read the kept trust bundle", error));
            let next =
                "fetch one with `fobctl terminal bundle` while the service answers, or give --bundle FILE";
            return Ok(kept.map_err(|fault| fault.advised(|_| Some(next.to_owned())))?.bundle().clone());
        };
        let fault = |error| Fault::client("read the trust file", ClientError::Config(error));
        let trust = config.read_trust().map_err(fault)?;
        let bytes = file::read(path, BundleFile::LEN_MAX)?;
        BundleFile::read(&bytes).and_then(|file| file.verify(&trust)).map_err(|error| Fault::Unproved {
            path: path.clone(),
            why: error.to_string(),
            next: "use nothing of it; fetch another with `fobctl terminal bundle --out FILE`".to_owned(),
        })
    }

    fn advice(&self, bundle: &TrustBundle, now_ms: u64) -> String {
        if bundle.holds_at(now_ms).is_err() {
            let out = if self.bundle.is_some() { " --out FILE" } else { "" };
            format!("fetch a new one with `fobctl terminal bundle{out}`")
        } else {
            "do not write it to the card; give record and bundle to the auditors".to_owned()
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl VerifyReport {
    fn new(args: &VerifyArgs, bundle: &TrustBundle, update: &ValueUpdate, now_ms: u64) -> Self {
        Self {
            record: args.record.display().to_string(),
            operation: update.operation.name(),
            programme: update.programme.to_string(),
            card: update.card.to_string(),
            purse: update.purse,
            seq: update.seq,
            currency: update.currency,
            amount: update.amount,
            balance_before: update.balance_before,
            balance_after: update.balance_after,
            terminal: update.terminal.to_string(),
            issued_at_ms: update.issued_at_ms,
            expires_at_ms: update.expires_at_ms,
            writable: now_ms <= update.expires_at_ms,
            development: bundle.development,
            bundle_not_after_ms: bundle.not_after_ms,
        }
    }
}

impl Report for VerifyReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-terminal-verify/1"
    }

    fn text(&self) -> String {
        let amount = |minor| money::shown(minor, self.currency);
        let writable = if self.writable {
            utc(self.expires_at_ms)
        } else {
            format!("{}, over: it is not to be written to the card any more", utc(self.expires_at_ms))
        };
        let facts = rows([
            ("record", self.record.clone()),
            ("verified", "by the trust bundle, without the network".to_owned()),
            (self.operation, amount(self.amount)),
            ("before", amount(self.balance_before)),
            ("after", amount(self.balance_after)),
            ("programme", self.programme.clone()),
            ("card", self.card.clone()),
            ("purse", self.purse.to_string()),
            ("sequence number", self.seq.to_string()),
            ("terminal", self.terminal.clone()),
            ("issued", utc(self.issued_at_ms)),
            ("expires", writable),
            ("bundle holds until", utc(self.bundle_not_after_ms)),
        ]);
        let banner =
            format!("{LOUD}DEVELOPMENT: founded with known keys allowed; not for real cards{LOUD:#}\n\n");
        format!("{}{facts}", if self.development { banner.as_str() } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_past_its_time_is_verified_and_said_to_be_past_it() {
        let report = VerifyReport {
            record: "r".into(),
            operation: "load",
            programme: "coffee".into(),
            card: "04782e21801d80".into(),
            purse: 1,
            seq: 1,
            currency: 978,
            amount: 2000,
            balance_before: 0,
            balance_after: 2000,
            terminal: "terminal-1".into(),
            issued_at_ms: 1,
            expires_at_ms: 2,
            writable: false,
            development: false,
            bundle_not_after_ms: 3,
        };
        assert!(report.text().contains("1970-01-01T00:00:00.002Z, over"), "{}", report.text());
        assert!(!report.text().contains("DEVELOPMENT"));
    }

    #[test]
    fn a_file_that_is_no_bundle_proves_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(scratch.path().join(name), text).unwrap();
        put("trust", &format!("trust-domain demo.test\ngenesis {}\n", "ab".repeat(32)));
        put("bundle", "no bundle");
        let config = "endpoint = \"a:1\"\nserver-name = \"a\"\nca = \"c\"\ncertificate = \"c\"\nkey = \"k\"\n\
            trust = \"trust\"\nstate = \"state\"\n";
        put("client.toml", config);
        let config = ClientConfig::read(&scratch.path().join("client.toml")).unwrap();
        let args = |bundle| VerifyArgs { record: "r".into(), bundle };
        let fault = args(Some(scratch.path().join("bundle"))).bundle(&config).unwrap_err();
        assert_eq!((fault.exit_code(), fault.to_string().contains("proves nothing")), (6, true), "{fault}");
        let fault = args(None).bundle(&config).unwrap_err();
        assert!(fault.next().contains("fobctl terminal bundle"), "{fault}");
    }
}
