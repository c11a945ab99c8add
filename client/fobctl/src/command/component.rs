//! `fobctl component`: the components of a key that custodians hold, from their making to their entry.
//!
//! `generate` and `check` ask nobody for anything and read no configuration: they are for a machine without a network.

mod check;
mod enter;
mod generate;

pub(crate) use check::CheckArgs;
pub(crate) use enter::EnterArgs;
pub(crate) use generate::GenerateArgs;

pub(super) use check::run as check;
pub(super) use enter::run as enter;
pub(super) use generate::run as generate;
