//! Reading the files again while the front serves: on SIGHUP, and when a file has changed on disk.
//!
//! All or nothing: bad files leave what is in force as it is, and are named in the log. Live connections judge their
//! certificates by the new state themselves. What cannot be changed without a restart is said to be so.

use super::{
    FrontFault, FrontSettings,
    counters::{Count, Counters},
    tls::TlsState,
};
use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, sync::Arc};
use tokio::sync::watch;

/// What the caller of [`super::run`] gives at a reload: the settings as they now are, and what it has changed itself.
#[derive(Debug, Clone)]
pub struct Reread {
    /// The settings.
    pub settings: FrontSettings,
    /// What changed beside them, in words.
    pub changed: Vec<String>,
}

/// Reads the files again.
#[derive(Debug)]
pub(super) struct Reloader {
    settings: FrontSettings,
    tls: Arc<watch::Sender<Arc<TlsState>>>,
    counters: Arc<Counters>,
    stamps: Vec<Stamp>,
}

/// By what a changed file is known.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    /// Its inode and when its content last changed, in seconds and nanoseconds; nothing while it is not there.
    file: Option<(u64, i64, i64)>,
}

impl Reloader {
    pub(super) fn new(
        settings: FrontSettings,
        tls: Arc<watch::Sender<Arc<TlsState>>>,
        counters: Arc<Counters>,
    ) -> Self {
        let stamps = stamps(&settings);
        Self { settings, tls, counters, stamps }
    }

    /// Whether a file is another than when it was last taken over.
    pub(super) fn files_changed(&self) -> bool {
        stamps(&self.settings) != self.stamps
    }

    /// Takes over what was read again, or says why not; one line of the log either way.
    pub(super) fn reload(&mut self, why: &str, reread: Result<Reread, String>) {
        match reread.and_then(|reread| self.take(reread).map_err(|fault| fault.to_string())) {
            Ok((changed, waits)) => {
                self.counters.add(Count::reloads);
                let changed = if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") };
                if waits.is_empty() {
                    tracing::info!(why, changed, "reloaded");
                } else {
                    tracing::warn!(
                        why,
                        changed,
                        needs_restart = waits.join(", "),
                        "reloaded, but for what needs a restart"
                    );
                }
            }
            Err(fault) => {
                self.counters.add(Count::reloads_failed);
                tracing::error!(
                    why,
                    fault,
                    "not reloaded: what was in force stays so; mend the file and reload again"
                );
            }
        }
    }

    /// What changed, and what changed but needs a restart.
    fn take(&mut self, reread: Reread) -> Result<(Vec<String>, Vec<&'static str>), FrontFault> {
        let Reread { settings, mut changed } = reread;
        // Before the files are read: one that changes meanwhile is read once more.
        let stamps = stamps(&settings);
        let state = TlsState::read_again(&settings)?;
        let waits = needs_restart(&self.settings, &settings);
        changed.extend(state.changes(&self.tls.borrow()).into_iter().map(str::to_owned));
        // The key may be a new one under an old certificate's bytes, so the state is always taken over.
        self.tls.send_replace(Arc::new(state));
        let FrontSettings { certificate, key, ca, crls, .. } = settings;
        (self.settings.certificate, self.settings.key) = (certificate, key);
        (self.settings.ca, self.settings.crls, self.stamps) = (ca, crls, stamps);
        Ok((changed, waits))
    }
}

/// The keys whose values differ but are read at the start alone.
fn needs_restart(before: &FrontSettings, after: &FrontSettings) -> Vec<&'static str> {
    let each = [
        (before.listen != after.listen, "front.listen"),
        (before.health != after.health, "front.health"),
        (before.trust_domain != after.trust_domain, "trust-domain"),
        (before.keeper_socket != after.keeper_socket, "keeper.socket"),
        (before.limits != after.limits, "front.limits"),
    ];
    each.into_iter().filter(|(differs, _)| *differs).map(|(_, key)| key).collect()
}

/// What the files are known by now.
fn stamps(settings: &FrontSettings) -> Vec<Stamp> {
    let files = [&settings.certificate, &settings.key, &settings.ca].into_iter().chain(&settings.crls);
    let stamp = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok();
        let file = metadata.map(|metadata| (metadata.ino(), metadata.mtime(), metadata.mtime_nsec()));
        Stamp { path: path.clone(), file }
    };
    files.map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_anew_replaced_or_removed_is_seen_to_be_another() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let settings = FrontSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            certificate: file("a"),
            key: file("b"),
            ca: file("c"),
            crls: vec![file("d")],
            trust_domain: "demo.test".parse().unwrap(),
            keeper_socket: file("e"),
            health: None,
            limits: crate::config::FrontLimits::default(),
        };
        for name in ["a", "b", "c", "d"] {
            fs::write(file(name), "1").unwrap();
        }
        let mut before = stamps(&settings);
        assert_eq!(stamps(&settings), before);
        let replaced = || fs::write(file("new"), "1").and_then(|()| fs::rename(file("new"), file("a")));
        let removed = || fs::remove_file(file("d"));
        let acts: [&dyn Fn() -> std::io::Result<()>; 2] = [&replaced, &removed];
        for act in acts {
            act().unwrap();
            let now = stamps(&settings);
            assert_ne!(now, before);
            before = now;
        }
        let other = FrontSettings {
            limits: crate::config::FrontLimits { clients_max: 1, ..settings.limits },
            ..settings.clone()
        };
        assert_eq!(needs_restart(&settings, &other), ["front.limits"]);
        assert_eq!(needs_restart(&settings, &settings), [""; 0]);
    }
}
