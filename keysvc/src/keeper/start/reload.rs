//! What the keeper looks at and takes over on SIGHUP without a restart: the policy files, the token's known answers, the
//! golden vectors and the log's level.
//!
//! Which policies are in force is the log's word and no file's: the folder is only compared. The token is probed again and
//! golden vectors are computed again; one that differs ends the keeper. Anything else stays as it was, and the log says what
//! needs a restart.

use super::{OTHER_MASTERS, compared::compare_answers, policies, policies_in_force};
use crate::{
    config::{Config, Half},
    error::Fault,
    keeper::{endpoint, serve::Keeper},
    service_manager,
    telemetry::LogControl,
};
use std::{path::PathBuf, sync::Arc};
use tokio::signal::unix::Signal;

/// The keeper's files, read again whenever it is told to.
pub(super) struct Reloading {
    pub(super) file: PathBuf,
    pub(super) config: Config,
    pub(super) log: LogControl,
}

impl Reloading {
    /// Reloads at each signal; never ends while signals can come.
    pub(super) async fn whenever_told(mut self, keeper: Arc<Keeper>, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            service_manager::reloading();
            match self.reload(&keeper) {
                Ok((changed, waits)) if waits.is_empty() => {
                    tracing::info!(why = "SIGHUP", changed = changed.join(", "), "reloaded");
                }
                Ok((changed, waits)) => tracing::warn!(
                    why = "SIGHUP",
                    changed = changed.join(", "),
                    needs_restart = waits.join(", "),
                    "reloaded, but for what needs a restart"
                ),
                Err(fault) => tracing::error!(
                    why = "SIGHUP",
                    fault = fault.chain(),
                    "not reloaded: what was in force stays so; mend the file and reload again"
                ),
            }
            service_manager::ready("serving");
        }
    }

    /// What was taken over, and what changed but needs a restart.
    fn reload(&mut self, keeper: &Keeper) -> Result<(Vec<String>, Vec<&'static str>), Fault> {
        let config = Config::read_for(&self.file, Half::Keeper)?;
        let in_force = policies_in_force(&config, &*keeper.site.control()?)?;
        policies::tell(&in_force);
        let seen = compare_answers(&keeper.place.token)
            .and_then(|()| keeper.keyring.vectors_seen())
            .and_then(|seen| seen.must_agree(OTHER_MASTERS));
        match seen {
            // What it would derive from now on nobody could read.
            Err(fault) if fault.is_fatal() => endpoint::end(&fault, &keeper.keyring, &keeper.socket),
            seen => drop(seen?),
        }
        let policies =
            if in_force.notice.is_some() { "not those in force" } else { "the same as in the log" };
        let mut changed = vec![format!("policies read again, {policies}")];
        changed.extend(self.log.apply(config.log));
        let waits = needs_restart(&self.config, &config);
        self.config.keeper.policies.clone_from(&config.keeper.policies);
        Ok((changed, waits))
    }
}

/// The keys whose values differ but are read at the start alone.
fn needs_restart(before: &Config, after: &Config) -> Vec<&'static str> {
    let (old, new) = (&before.keeper, &after.keeper);
    let each = [
        (before.trust_domain != after.trust_domain, "trust-domain"),
        (before.trust != after.trust, "trust"),
        (old.socket != new.socket, "keeper.socket"),
        (old.store != new.store, "keeper.store"),
        (old.anchor != new.anchor, "keeper.anchor"),
        (old.front_user != new.front_user, "keeper.front-user"),
        (old.limits != new.limits, "keeper.limits"),
        (before.token != after.token, "token"),
        (before.log.format != after.log.format, "log.format"),
    ];
    each.into_iter().filter(|(differs, _)| *differs).map(|(_, key)| key).collect()
}
