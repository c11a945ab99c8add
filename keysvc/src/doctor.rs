//! `keysvc doctor`: looks at an installation as a start would, one line a check, with the mend on each that fails.
//!
//! It reads; it makes no leaf, and needs the keeper to be stopped for the store's checks alone.

use crate::{
    config::{Config, check_private_file},
    error::{Exit, Fault},
    keeper::{
        founding::{ca_digest, open_token, storage},
        ledger::{Anchor, Reader},
        serve::now_ms,
        start::{
            compare_anchor, compare_destroyed, compare_policies, compare_token, compare_trust, founding_of,
            not_founded, open_anchor, site_of,
        },
    },
    output::Output,
    program::front_settings,
};
use keysvc_policies::PolicySet;
use keysvc_protocol::key::{KeyRecord, KeyState};
use keysvc_token::Token;
use std::{path::Path, process::ExitCode, sync::Arc};

/// Runs all checks and prints a line for each.
#[must_use]
pub fn run(file: &Path, output: &Output) -> ExitCode {
    let mut report = Report { output, failed: 0 };
    if let Some(config) =
        report.line("configuration", Config::read(file).map_err(Fault::from), |_| file.display().to_string())
    {
        check_all(&config, &mut report);
    }
    if report.failed == 0 {
        output.line("all checks passed");
        return ExitCode::SUCCESS;
    }
    output
        .error("keysvc doctor", &format!("{} of the checks failed; each line says the mend", report.failed));
    Exit::Refusing.into()
}

struct Report<'a> {
    output: &'a Output,
    failed: usize,
}

impl Report<'_> {
    /// Prints a check and gives what it found.
    fn line<T>(&mut self, name: &str, found: Result<T, Fault>, say: impl Fn(&T) -> String) -> Option<T> {
        match found {
            Ok(found) => {
                self.output.line(&format!("ok    {name:<14} {}", say(&found)));
                Some(found)
            }
            Err(fault) => {
                self.failed = self.failed.saturating_add(1);
                self.output.line(&format!("FAIL  {name:<14} {}", fault.chain()));
                None
            }
        }
    }
}

fn check_all(config: &Config, report: &mut Report<'_>) {
    report.line("clock", clock(), |text: &String| text.clone());
    report.line("certificates", certificates(config), |text: &String| text.clone());
    let policies = PolicySet::load(&config.keeper.policies).map_err(Fault::from);
    report.line("policies", policies, |set| keysvc_protocol::bytes::Digest::new(set.digest()).to_string());
    let pin = config.token.pin_source().and_then(|source| source.look());
    report.line("pin file", pin.map_err(Fault::from), |place: &String| place.clone());
    let token = report.line("token", open_token(config), |token| {
        let identity = token.identity();
        format!("{} ({}, serial {})", identity.label, identity.model, identity.serial)
    });
    if let Some(token) = &token {
        report.line("mechanisms", mechanisms(token), |text: &String| text.clone());
        admission(token, report);
    }
    if let Some(token) = &token {
        check_store(config, token, report);
    }
    let limits = &config.front.limits;
    report.line("limits", Ok(()), |()| {
        format!(
            "{} clients, {} officers, {} in flight, {} changes a commit",
            limits.clients_max,
            limits.officers_max,
            crate::config::fixed::CALLS_MAX,
            config.keeper.limits.commit_batch_max
        )
    });
}

/// Looks at the history, whether the keeper runs or not.
fn check_store(config: &Config, token: &Token, report: &mut Report<'_>) {
    // First, because a running keeper moves it on: the log that is read after it must reach it.
    let anchor = open_anchor(config);
    let empty = std::fs::read_dir(&config.keeper.store).is_ok_and(|mut files| files.next().is_none());
    let reader = if empty {
        Err(not_founded(config).into())
    } else {
        Reader::open(&config.keeper.store).map_err(Fault::from)
    };
    let reader = report.line("store", reader, |reader| {
        let size = reader.head().size;
        let leaves = if size == 1 { "leaf" } else { "leaves" };
        format!("{size} {leaves} in {}", config.keeper.store.display())
    });
    if let Some(reader) = reader {
        check_history(config, &reader, anchor, token, report);
        let seals = storage(config, token).seals();
        report.line("seals", seals, |seals| format!("data keys that open: {}", seals.len()));
    }
}

fn check_history(
    config: &Config,
    reader: &Reader,
    anchor: Result<Anchor, Fault>,
    token: &Token,
    report: &mut Report<'_>,
) {
    let trust = report.line("trust", compare_trust(config, reader), |trust| trust.genesis.to_string());
    let records = report.line("manifest", reader.keys().map_err(Fault::from), |records| {
        let test = records.iter().filter(|record| record.test_key).count();
        format!("{} keys, {test} of them TEST KEYS", records.len())
    });
    let (Some(trust), Some(records)) = (trust, records) else { return };
    let founding = founding_of(config, reader);
    let site = founding.and_then(|leaf| {
        compare_policies(config, &leaf)?;
        site_of(config, &leaf, &trust, Arc::default())
    });
    let site = report.line("founding", site, |site| {
        let development = if site.development() { ", DEVELOPMENT" } else { "" };
        format!("{}, policies as in the log{development}", site.trust().domain)
    });
    if let Some(site) = site {
        let anchor = anchor.and_then(|anchor| compare_anchor(config, &anchor, reader, &site));
        report.line("anchor", anchor, |()| format!("{} agrees with the log", config.keeper.anchor.display()));
    }
    report.line("attributes", compare_token(token, &records, reader), |()| {
        "token and manifest agree".to_owned()
    });
    destroyed(token, &records, report);
}

/// What people had destroyed must be gone. The log's last word on a destruction takes the whole of it, which only a
/// keeper reads: one that is under way is told apart by the mend.
fn destroyed(token: &Token, records: &[KeyRecord], report: &mut Report<'_>) {
    let count = records.iter().filter(|record| record.state == KeyState::Destroyed).count();
    if count == 0 {
        return;
    }
    let gone = compare_destroyed(token, records, &[]).map_err(|fault| match fault {
        Fault::Refusing(found) => Fault::Refusing(format!(
            "{found}; if its destruction was interrupted, the keeper finishes it when it starts"
        )),
        other => other,
    });
    let keys = if count == 1 { "key, nothing of it" } else { "keys, nothing of them" };
    report.line("destroyed", gone, |()| format!("{count} {keys} left in the token"));
}

/// 2026-01-01 in milliseconds: this program did not exist before.
const EARLIEST_MS: u64 = 1_767_225_600_000;

fn clock() -> Result<String, Fault> {
    let now = now_ms();
    let time = i64::try_from(now).ok().and_then(|now| jiff::Timestamp::from_millisecond(now).ok());
    match time {
        Some(time) if now > EARLIEST_MS => Ok(time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()),
        _ => Err(Fault::Refusing(
            "the clock is before 2026; set it, or let it be set (timedatectl set-ntp true)".to_owned(),
        )),
    }
}

fn certificates(config: &Config) -> Result<String, Fault> {
    check_private_file(&config.front.key)?;
    ca_digest(&config.front.ca)?;
    front_settings(config).check()?;
    Ok(format!("{} and its CA", config.front.certificate.display()))
}

fn mechanisms(token: &Token) -> Result<String, Fault> {
    let missing = token.missing_mechanisms()?;
    if missing.is_empty() {
        return Ok("all that are needed".to_owned());
    }
    Err(Fault::Refusing(format!("the token does not offer {}; another token is needed", missing.join(", "))))
}

fn admission(token: &Token, report: &mut Report<'_>) {
    match keysvc_token::admission::probe(token) {
        Ok(probes) => {
            for probe in probes {
                let found = if probe.passed {
                    Ok(())
                } else {
                    Err(Fault::Refusing(format!("{}; this token must not hold keys", probe.detail)))
                };
                report.line("admission", found, |()| probe.name.to_owned());
            }
        }
        Err(error) => {
            report.line("admission", Err::<(), _>(Fault::from(error)), |()| String::new());
        }
    }
}
