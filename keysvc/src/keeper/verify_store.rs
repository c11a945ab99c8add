//! `keysvc verify-store`: is the store what its log says?
//!
//! Every projection is made again from the leaves and compared (`ledger::rebuild`), with the payloads opened by the
//! token's data keys as a start does; then trust file and anchor are held against the log. For the time between two
//! keepers: it takes the store's lock. It mends nothing, for a store that differs is restored.

mod progress;
mod report;

use super::{
    founding::{open_token, read_founding, storage},
    ledger::{
        SealClass, Seals,
        rebuild::{Findings, Means, Part, Rebuilt, Stored},
    },
    site::Site,
    start::{checkpoint_key, not_founded, open_anchor},
    storage::class_under,
};
use crate::{
    config::{Config, read_capped},
    error::{Exit, Fault},
    output::Output,
};
use keysvc_protocol::{bytes::Digest, checkpoint::SignedCheckpoint, trust::Trust};
use keysvc_token::Token;
use progress::Progress;
use report::Report;
use std::{path::Path, process::ExitCode, sync::Arc, time::Instant};

/// Verifies the store that `file` configures and prints what was compared and what differs. Exit code 0 when nothing
/// does, 3 when something does.
///
/// # Errors
/// [`Fault`] when it cannot be verified: a keeper uses it, the token does not open, the disk does not read.
pub fn run(file: &Path, json: bool, output: &Output) -> Result<ExitCode, Fault> {
    let began = Instant::now();
    let config = Config::read(file)?;
    if std::fs::read_dir(&config.keeper.store).is_ok_and(|mut files| files.next().is_none()) {
        return Err(not_founded(&config).into());
    }
    let stored = Stored::open(&config.keeper.store)?;
    let token = open_token(&config)?;
    let (leaf, genesis) = stored.founding()?;
    let founding = read_founding(&config.keeper.store, leaf.founding.as_bytes())?;
    let site = Site::new(founding, genesis, Arc::default());
    let mut beside = Findings::default();
    let seals = seals(&config, &token, &stored, &mut beside)?;
    let anchored = anchored(&config, &mut beside);
    let means = Means {
        genesis,
        seals: &seals,
        root_at: anchored.as_ref().map(|anchored| anchored.checkpoint().head.size),
    };
    let mut progress = Progress::new(output);
    let mut rebuilt = stored.rebuild(&means, &mut |stage| progress.tell(stage))?;
    progress.end();
    rebuilt.findings.add(beside);
    compare_trust(&config, &site, &mut rebuilt);
    if let Some(anchored) = anchored {
        compare_anchor(&site, &anchored, &mut rebuilt);
    }
    let report = Report { store: &config.keeper.store, rebuilt: &rebuilt, took: began.elapsed() };
    output.line(&if json { report.json().to_string() } else { report.text() });
    let total = rebuilt.findings.total();
    if total == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let mend = "leave the keeper stopped, keep a copy of the store as it is, restore one that reaches the anchor, \
                and run this again";
    let count = if total == 1 { "1 difference".to_owned() } else { format!("{total} differences") };
    output.error("keysvc verify-store", &format!("{count}: the store is not what its log says; {mend}"));
    Ok(Exit::Refusing.into())
}

/// The data keys that the token unwraps; one that it does not is a finding, for what is sealed under the others can
/// still be compared.
fn seals(config: &Config, token: &Token, stored: &Stored, findings: &mut Findings) -> Result<Seals, Fault> {
    let (keys, seals) = (storage(config, token), Seals::default());
    // Where the records say nothing of a storage key, that is told with them; what lies under it is opened all the same.
    let records = stored.keys().unwrap_or_default();
    for row in stored.data_keys()? {
        let class = class_under(&row.storage_key, &records).unwrap_or(SealClass::Operational);
        match keys.seal(&row, class) {
            Ok(seal) => seals.install(&seal),
            Err(fault) if fault.is_fatal() => return Err(fault),
            Err(fault) => {
                findings.differ(
                    Part::DataKey,
                    &row.id.to_string(),
                    &format!("a key that {} unwraps", row.storage_key),
                    &fault.chain(),
                );
            }
        }
    }
    Ok(seals)
}

fn anchored(config: &Config, findings: &mut Findings) -> Option<SignedCheckpoint> {
    findings.compared(Part::Anchor, 1);
    let anchored = open_anchor(config).map(|anchor| anchor.read());
    match anchored {
        Ok(Some(anchored)) => return Some(anchored),
        Ok(None) => findings.differ(Part::Anchor, "newest", "a checkpoint of the log", "no checkpoint"),
        Err(fault) => findings.differ(Part::Anchor, "newest", "a checkpoint of the log", &fault.chain()),
    }
    None
}

/// The anchor may be behind the log, for a commit is on disk before its head is signed; never ahead of or beside it.
fn compare_anchor(site: &Site, anchored: &SignedCheckpoint, rebuilt: &mut Rebuilt) {
    let (head, leaves) = (anchored.checkpoint().head, rebuilt.head.size);
    let key = checkpoint_key(&rebuilt.keys);
    let verified = key
        .map_err(|fault| fault.chain())
        .and_then(|key| anchored.verify(&site.origin(), &key).map_err(|error| error.to_string()));
    let findings = &mut rebuilt.findings;
    if let Err(why) = verified {
        findings.differ(Part::Anchor, "signature", "signed by the log's checkpoint key", &why);
    }
    if head.size > leaves {
        let (log, file) = (format!("{leaves} leaves"), format!("{} leaves", head.size));
        findings.differ(Part::Anchor, "size", &log, &file);
    } else if rebuilt.root != Some(head.root) {
        let log = rebuilt.root.map_or_else(|| "no such size".to_owned(), |root| format!("root {root}"));
        findings.differ(Part::Anchor, &format!("size {}", head.size), &log, &format!("root {}", head.root));
    }
}

fn compare_trust(config: &Config, site: &Site, rebuilt: &mut Rebuilt) {
    let findings = &mut rebuilt.findings;
    findings.compared(Part::Trust, 1);
    let read = || -> Result<Trust, String> {
        let text = read_capped(&config.trust, 1024).map_err(|error| error.to_string())?;
        let text = String::from_utf8(text).map_err(|_| "not UTF-8 text".to_owned())?;
        Trust::parse(&text).map_err(|error| error.to_string())
    };
    let say = |domain: &dyn std::fmt::Display, genesis: &Digest| format!("{domain}, genesis {genesis}");
    let log = say(&site.trust().domain, site.genesis());
    match read() {
        Ok(trust) if trust.genesis == *site.genesis() && trust.domain == site.trust().domain => {}
        Ok(trust) => findings.differ(Part::Trust, "genesis", &log, &say(&trust.domain, &trust.genesis)),
        Err(why) => findings.differ(Part::Trust, "genesis", &log, &why),
    }
}
