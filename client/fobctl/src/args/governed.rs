//! The nouns about what a site is governed by: card profiles, and the components of keys that come in.

use crate::command::{component, profile};
use clap::Subcommand;

/// `fobctl profile`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProfileVerb {
    /// Check a profile's file, without the network.
    Check(profile::CheckArgs),
    /// Put the next version of a profile into use; takes two officers.
    Put(profile::PutArgs),
    /// Show a profile as a file that can be edited and put again.
    Get(profile::GetArgs),
    /// List the profiles and their versions.
    List,
}

/// `fobctl component`.
#[derive(Debug, Subcommand)]
pub(crate) enum ComponentVerb {
    /// Make a fresh key as components, each on a form of its own; on a machine without a network.
    Generate(component::GenerateArgs),
    /// Show the check value of a component, to see whether its form reads right; without the network.
    Check(component::CheckArgs),
    /// Give your component of an import that officers agreed to.
    Enter(component::EnterArgs),
}
