//! `keysvc doctor`: looks at an installation as a start would, one line a check, with the mend on each that fails.
//!
//! It reads; it makes no leaf, and needs the keeper to be stopped for the store's checks alone.

use crate::{
    config::{Config, check_private_file},
    error::{Exit, Fault},
    keeper::{
        founding::{ca_digest, open_token, storage},
        imports,
        keyring::{VectorsSeen, vectors_in_use},
        ledger::{Anchor, Reader, Seal},
        serve::now_ms,
        site::Site,
        start::{
            InForce, OTHER_MASTERS, compare_anchor, compare_destroyed, compare_token, compare_trust, figures,
            founding_of, not_founded, open_anchor, policies_in_force, site_of,
        },
    },
    output::Output,
    program::front_settings,
    sandbox::{Role, trial},
};
use arc_swap::ArcSwapOption;
use keysvc_policies::PolicySet;
use keysvc_protocol::{
    bytes::Digest,
    control::Control,
    key::{KeyRecord, KeyState},
    leaf::RetentionClass,
    trust::Trust,
};
use keysvc_token::{Token, TokenIdentity};
use std::{path::Path, process::ExitCode, sync::Arc};

/// Runs all checks and prints a line for each.
#[must_use]
pub fn run(file: &Path, output: &Output) -> ExitCode {
    let mut report = Report { output, failed: 0 };
    if let Some(config) =
        report.line("configuration", Config::read(file).map_err(Fault::from), |_| file.display().to_string())
    {
        sandboxes(file, &config, &mut report);
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

    /// Gives what was found, which others print; prints only that nothing could be.
    fn asked<T>(&mut self, name: &str, found: Result<T, Fault>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(fault) => self.line(name, Err(fault), |_| String::new()),
        }
    }

    /// Prints what hinders nothing and is to be known.
    fn notice(&self, name: &str, text: &str) {
        self.output.line(&format!("note  {name:<14} {text}"));
    }
}

/// Has each half's sandbox tried: a line for each part that is on or off, and one for the attempts. What is off where it is
/// not required hinders nothing, and neither do attempts that go through by it.
fn sandboxes(file: &Path, config: &Config, report: &mut Report<'_>) {
    for role in Role::ALL {
        let half = role.name();
        let Some(found) = report.asked("sandbox", trial::ask(role, file, config)) else { continue };
        let mut whole = true;
        for (part, on, how) in &found.parts {
            whole &= on;
            let how = if how.is_empty() { String::new() } else { format!(": {how}") };
            let text = format!("{half}, {part} {}{how}", if *on { "on" } else { "off" });
            match (*on, config.sandbox.require) {
                (true, _) => _ = report.line("sandbox", Ok(()), |()| text.clone()),
                (false, true) => {
                    _ = report.line::<()>("sandbox", Err(Fault::Refusing(text.clone())), |()| String::new());
                }
                (false, false) => report.notice("sandbox", &text),
            }
        }
        let (denied, open) = (found.denied, found.open.join(", "));
        if open.is_empty() {
            report.line("sandbox", Ok(()), |()| format!("{half}, {denied} attempts to leave it denied"));
        } else if whole {
            let fault =
                Fault::Refusing(format!("{half}: not denied: {open}; tell the makers of this program"));
            report.line::<()>("sandbox", Err(fault), |()| String::new());
        } else {
            report
                .notice("sandbox", &format!("{half}, {denied} attempts to leave it denied, but not: {open}"));
        }
    }
}

fn check_all(config: &Config, report: &mut Report<'_>) {
    report.line("clock", clock(), |text: &String| text.clone());
    report.line("certificates", certificates(config), |text: &String| text.clone());
    let pin = config.token.pin_source().and_then(|source| source.look());
    report.line("pin file", pin.map_err(Fault::from), |place: &String| place.clone());
    let token = report.line("token", open_token(config), |token| {
        let identity = token.identity();
        format!("{} ({}, serial {})", identity.label, kind(identity), identity.serial)
    });
    if let Some(token) = &token {
        report.line("mechanisms", mechanisms(token), |text: &String| text.clone());
        import(token, report);
        admission(token, report);
    }
    let compared = token.as_ref().and_then(|token| check_store(config, token, report));
    if compared.is_none() {
        // There is no log to say which are in force.
        let policies = PolicySet::load(&config.keeper.policies).map_err(Fault::from);
        report.line("policies", policies, |set| Digest::new(set.digest()).to_string());
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

/// The model, after its maker's name where the model alone says little: "v1" is a model too.
fn kind(identity: &TokenIdentity) -> String {
    let TokenIdentity { manufacturer, model, .. } = identity;
    match manufacturer.split_whitespace().next() {
        Some(maker) if !model.starts_with(maker) => format!("{maker} {model}"),
        _ => model.clone(),
    }
}

/// What was compared with the log, so that nobody compares it again.
struct Compared;

/// Looks at the history, whether the keeper runs or not.
fn check_store(config: &Config, token: &Token, report: &mut Report<'_>) -> Option<Compared> {
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
    let reader = reader?;
    let held = token.hold_inventory().map_err(Fault::from);
    let seals = held.and_then(|_held| storage(config, token).seals());
    let seals = report.line("seals", seals, |seals| {
        let of = |class| seals.iter().filter(|seal| seal.class().retention() == class).count();
        let [operational, incident, jobs] =
            [RetentionClass::Operational, RetentionClass::Incident, RetentionClass::Job].map(of);
        let all = seals.len();
        format!("data keys that open: {all} (operational {operational}, incident {incident}, jobs {jobs})")
    });
    let log = Log { reader, seals: seals.unwrap_or_default() };
    check_history(config, &log, anchor, token, report)
}

/// The log, and what opens its sealed payloads.
struct Log {
    reader: Reader,
    seals: Vec<Seal>,
}

fn check_history(
    config: &Config,
    log: &Log,
    anchor: Result<Anchor, Fault>,
    token: &Token,
    report: &mut Report<'_>,
) -> Option<Compared> {
    let reader = &log.reader;
    let trust = report.line("trust", compare_trust(config, reader), |trust| trust.genesis.to_string());
    let records = report.line("manifest", reader.keys().map_err(Fault::from), |records| {
        let test = records.iter().filter(|record| record.test_key).count();
        format!("{} keys, {test} of them TEST KEYS", records.len())
    });
    let (trust, records) = (trust?, records?);
    let stands = report.line("founding", stands(config, log, &trust), |(site, _)| {
        let development = if site.development() { ", DEVELOPMENT" } else { "" };
        format!("{}{development}", site.trust().domain)
    });
    if let Some((site, control)) = &stands {
        let anchor = anchor.and_then(|anchor| compare_anchor(config, &anchor, reader, site));
        report.line("anchor", anchor, |()| format!("{} agrees with the log", config.keeper.anchor.display()));
        policies(config, control, report);
    }
    let inventory = token.hold_inventory().map_err(Fault::from);
    let agree = inventory.and_then(|inventory| compare_token((token, &inventory), &records, reader));
    report.line("attributes", agree, |()| "token and manifest agree".to_owned());
    unfinished(reader, report);
    destroyed(token, &records, report);
    jobs(reader, report);
    let (_, control) = stands?;
    let seen = vectors_in_use(token, &control);
    let seen = seen.and_then(|seen| seen.must_agree(OTHER_MASTERS));
    report.line("profiles", seen, |seen| profiles(&control, seen));
    Some(Compared)
}

/// Keys whose making was broken off: what the token has of them, torn or whole, nothing uses.
fn unfinished(reader: &Reader, report: &Report<'_>) {
    // A log that cannot be read was told of above.
    for (leaf, intent) in reader.open_intents().unwrap_or_default() {
        let text = format!(
            "the making of {} ({}) was broken off at leaf {leaf}: what the token has of it is not used",
            intent.name, intent.id
        );
        report.notice("unfinished", &text);
    }
}

/// What the log says stands, made again from it.
fn stands(config: &Config, log: &Log, trust: &Trust) -> Result<(Site, Arc<Control>), Fault> {
    let founding = founding_of(config, &log.reader)?;
    let control = Arc::new(log.reader.replayed(&log.seals)?);
    let shared = Arc::new(ArcSwapOption::from(Some(Arc::clone(&control))));
    Ok((site_of(config, &founding, trust, shared)?, control))
}

/// Which policies are in force is the log's word; a folder that has others hinders nothing once people have changed them.
fn policies(config: &Config, control: &Control, report: &mut Report<'_>) {
    let (digest, leaf) = (control.policy(), control.policies().leaf());
    let in_force = report.line("policies", policies_in_force(config, control), |_| match leaf {
        0 => format!("{digest}, as the founding says"),
        leaf => format!("{digest}, put in force by leaf {leaf}"),
    });
    if let Some(InForce { notice: Some(notice), .. }) = in_force {
        report.notice("policies", &notice);
    }
}

fn profiles(control: &Control, seen: &VectorsSeen) -> String {
    let count = control.profiles().iter().count();
    let profiles = if count == 1 { "profile" } else { "profiles" };
    let vectors = if seen.computed == 1 { "golden vector" } else { "golden vectors" };
    let left_out = match seen.left_out {
        0 => String::new(),
        left_out => format!(", {left_out} not computed because their keys are out of use"),
    };
    format!(
        "{count} {profiles} in use, {} {vectors} computed by the token as stated{left_out}",
        seen.computed
    )
}

/// What people had destroyed must be gone. The log's last word on a destruction takes the whole of it, which only a
/// keeper reads: one that is under way is told apart by the mend.
fn destroyed(token: &Token, records: &[KeyRecord], report: &mut Report<'_>) {
    let count = records.iter().filter(|record| record.state == KeyState::Destroyed).count();
    if count == 0 {
        return;
    }
    let inventory = token.hold_inventory().map_err(Fault::from);
    let gone = inventory.and_then(|inventory| compare_destroyed(&inventory, records, &[]));
    let gone = gone.map_err(|fault| match fault {
        Fault::Refusing(found) => Fault::Refusing(format!(
            "{found}; if its destruction was interrupted, the keeper finishes it when it starts"
        )),
        other => other,
    });
    let keys = if count == 1 { "key, nothing of it" } else { "keys, nothing of them" };
    report.line("destroyed", gone, |()| format!("{count} {keys} left in the token"));
}

/// A purge that is due is people's to do, and hinders no start.
fn jobs(reader: &Reader, report: &mut Report<'_>) {
    let found = report.line("jobs", figures(reader, now_ms()), |(figures, _)| {
        let (jobs, cards) = (figures.jobs(), figures.cards);
        format!("{jobs} not purged; {cards} cards in the registry")
    });
    let Some((_, overdue)) = found else { return };
    if !overdue.is_empty() {
        let names: Vec<_> = overdue.iter().map(ToString::to_string).collect();
        report.notice("jobs", &format!("should have been purged by now: {}", names.join(", ")));
    }
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

/// Told only where it is so: a token that cannot import keys is a good one for all else.
fn import(token: &Token, report: &mut Report<'_>) {
    match imports::lacking(token) {
        Ok(missing) if missing.is_empty() => {}
        Ok(missing) => report.notice(
            "key import",
            &format!("not possible on this token, which does not offer {}", missing.join(", ")),
        ),
        Err(fault) => {
            report.line("key import", Err::<(), _>(fault), |()| String::new());
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_model_is_said_with_its_maker_once() {
        let said = |manufacturer: &str, model: &str| {
            let [label, manufacturer, model, serial] =
                ["keysvc", manufacturer, model, "1"].map(str::to_owned);
            kind(&TokenIdentity { label, manufacturer, model, serial })
        };
        assert_eq!(said("SoftHSM project", "SoftHSM v2"), "SoftHSM v2");
        assert_eq!(said("Kryoptic Project", "v1"), "Kryoptic v1");
        assert_eq!(said("", "v1"), "v1");
    }
}
