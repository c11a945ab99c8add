//! Placeholder until the first types land.
