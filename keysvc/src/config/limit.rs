//! One limit that `keysvc.toml` may set: its name, its range and what it bounds.
//!
//! Apart because both sections of limits are checked, explained and shown by the same few lines. The arithmetic of the
//! defaults stands beside the fields.

/// One limit of the section `T`.
#[derive(Debug)]
pub(super) struct Limit<T> {
    /// Its name within the section, such as `handshake-ms`.
    pub(super) name: &'static str,
    /// The least and the greatest value.
    pub(super) range: (u64, u64),
    /// What it bounds, in a few words.
    pub(super) bounds: &'static str,
    /// Its value.
    pub(super) value: fn(&T) -> u64,
}

/// The limits of `section` that are not as in `defaults`: name, value, default.
pub(super) fn differing<T>(table: &[Limit<T>], section: &T, defaults: &T) -> Vec<(&'static str, u64, u64)> {
    let each = |limit: &Limit<T>| (limit.name, (limit.value)(section), (limit.value)(defaults));
    table.iter().map(each).filter(|(_, value, default)| value != default).collect()
}
