//! A half's side of the tie to the parent that started it: standard input, a socket that closes when the parent is gone
//! and on which the half says once that it serves.
//!
//! Apart from the supervisor, which is the parent's side, because the halves may not know who runs them. Without a
//! parent (under a service manager, by hand) nothing here does anything.

use crate::error::Exit;
use rustix::process::{Signal, getpid, kill_process};
use std::{
    env,
    io::{self, Read as _},
    thread,
};

/// Set to `1` for halves that a parent started.
pub const PARENT_VARIABLE: &str = "KEYSVC_PARENT";
/// Set to an exit code for a half that ended with it just before: why was said, and is not said each time.
pub const SAID_VARIABLE: &str = "KEYSVC_SAID";
/// What a half sends once it serves.
const SERVING: &[u8] = b"s";

fn is_there() -> bool {
    env::var_os(PARENT_VARIABLE).is_some_and(|value| value == "1")
}

/// Watches standard input and ends this process when the parent is gone.
///
/// # Errors
/// When the watching thread cannot be started.
pub fn end_with() -> io::Result<()> {
    if !is_there() {
        return Ok(());
    }
    thread::Builder::new().name("parent".to_owned()).spawn(|| {
        let mut byte = [0];
        // Nothing is ever sent to us: whatever comes says that the other end is closed or broken.
        while matches!(io::stdin().read(&mut byte), Ok(1..)) {}
        tracing::warn!("the parent is gone");
        // The way every half ends orderly. A process that may not signal itself is ended hard.
        if kill_process(getpid(), Signal::TERM).is_err() {
            std::process::abort();
        }
    })?;
    Ok(())
}

/// Tells the parent that this half serves. To be called once, when it listens and its signal handlers are in place: from
/// then on it gets the parent's SIGHUP.
pub fn tell_serving() {
    if is_there()
        && let Err(error) = rustix::io::write(io::stdin(), SERVING)
    {
        // A parent that is gone: the watching thread ends us.
        tracing::warn!(%error, "the parent was not told that this half serves");
    }
}

/// Whether why this process ends was said by the one before it, which ended the same way a moment ago.
#[must_use]
pub fn was_said(exit: Exit) -> bool {
    is_there() && env::var(SAID_VARIABLE).is_ok_and(|said| said == (exit as u8).to_string())
}
