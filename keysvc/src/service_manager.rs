//! What the service manager is told (`sd_notify(3)`): ready, reloading, stopping, how it goes, and that it still goes.
//!
//! The only file that names that protocol. Without a manager nothing is sent. A half under `keysvc serve` sends nothing
//! either: the manager's question was to its parent.

use crate::parent::PARENT_VARIABLE;
use sd_notify::NotifyState;
use std::time::Duration;

/// Says that the service is ready, or ready again after a reload.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that the service reads its files again.
pub fn reloading() {
    // Without its clock the manager could not tell this message from an older one.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now, NotifyState::Status("reading its files again")]);
    }
}

/// Says that the service ends as it was told to.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("ending")]);
}

/// Says how it goes, in a few words.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// Says that the process still turns.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often to say so: half of what the manager waits; nothing when it does not ask.
#[must_use]
pub fn alive_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|_| !has_parent()).and_then(|wait| wait.checked_div(2))
}

/// Marks every descriptor that the manager passed to be closed when a program is run.
///
/// # Errors
/// When one of them is not open.
pub fn close_passed_on_exec() -> std::io::Result<()> {
    sd_notify::listen_fds().map(drop)
}

fn has_parent() -> bool {
    std::env::var_os(PARENT_VARIABLE).is_some()
}

fn tell(state: &[NotifyState<'_>]) {
    if has_parent() {
        return;
    }
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
