//! `[sandbox]`: what each half may do beyond what its configuration names, and what happens where the kernel cannot hold it
//! to that.

use serde::Deserialize;
use std::path::PathBuf;

/// `[sandbox]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SandboxConfig {
    /// Whether a half refuses to start where a part of its sandbox is off. Else it says so and serves.
    pub require: bool,
    /// Parts that are left off.
    pub without: Vec<SandboxPart>,
    /// Files and folders that the front may read besides.
    pub front_reads: Vec<PathBuf>,
    /// Files and folders that the keeper may read besides.
    pub keeper_reads: Vec<PathBuf>,
    /// Files, folders and devices that the keeper may write besides: those of a PKCS#11 module.
    pub keeper_writes: Vec<PathBuf>,
    /// Whether the keeper may use the network: for a module whose token is reached over it.
    pub keeper_network: bool,
    /// Which system calls the keeper may make.
    pub keeper_calls: KeeperCalls,
    /// Variables of the environment that both halves are given besides.
    pub environment: Vec<String>,
}

/// A part that can be left off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxPart {
    /// Which files can be opened.
    Files,
    /// Which ports can be reached and listened on.
    Network,
    /// Which processes can be signalled.
    Signals,
    /// Which system calls can be made.
    Calls,
    /// Which of root's rights are kept.
    Rights,
    /// That memory stays out of the swap.
    Memory,
}

impl SandboxPart {
    /// The names, as the file writes them.
    pub(super) const NAMES: [&'static str; 6] = ["files", "network", "signals", "calls", "rights", "memory"];
}

/// Which system calls the keeper may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeeperCalls {
    /// All but those of a list: the module that it loads is another's code.
    #[default]
    Most,
    /// Those of a list and no other.
    Few,
}

impl KeeperCalls {
    /// The names, as the file writes them.
    pub(super) const NAMES: [&'static str; 2] = ["most", "few"];
}
