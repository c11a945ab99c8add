//! Whether the PIN is another one than the token refused: seen by its file, never by what is in it.
//!
//! Apart because the parent never holds a PIN. A file that was written anew counts as another PIN, so whoever touches it
//! asks for one more attempt.

use crate::config::{Config, Half};
use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// Where a PIN came from, as far as its file shows from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PinSeen {
    name: String,
    file: (u64, u64),
    len: u64,
    written: (i64, i64),
}

impl PinSeen {
    /// The source that the configuration names. Nothing while the configuration or the source is not usable: whoever
    /// mends it is not done.
    pub(super) fn of(config: &Path) -> Option<Self> {
        let name = Config::read_for(config, Half::Keeper).ok()?.token.pin_source().ok()?.look().ok()?;
        let seen = fs::metadata(&name).ok()?;
        let (file, written) = ((seen.dev(), seen.ino()), (seen.mtime(), seen.mtime_nsec()));
        Some(Self { name, file, len: seen.len(), written })
    }
}
