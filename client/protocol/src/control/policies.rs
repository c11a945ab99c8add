//! The policies in force: their digest, and their text once people have changed them.
//!
//! The founding names a digest alone, of files that lie with the service. What people propose later carries its text, so
//! that the log holds every policy it was ever governed by. What a text says is not read here.

use crate::{
    bytes::Digest,
    list::List,
    refusal::{Invalid, Refusal},
    request::{POLICY_FILES_MAX, POLICY_SET_LEN_MAX, PolicyFile, ProposePolicy},
};
use alloc::sync::Arc;

/// Policies in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    digest: Digest,
    changed: Option<Arc<Changed>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Changed {
    files: List<PolicyFile, POLICY_FILES_MAX>,
    leaf: u64,
}

impl Policies {
    pub(super) const fn found(digest: Digest) -> Self {
        Self { digest, changed: None }
    }

    pub(super) fn proposed(request: &ProposePolicy, leaf: u64) -> Result<Self, Refusal> {
        may_propose(request)?;
        let changed = Changed { files: request.files.clone(), leaf };
        Ok(Self { digest: request.policy, changed: Some(Arc::new(changed)) })
    }

    /// The digest of the set, the shipped layer included.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The site's files, once people have changed them; the founding's lie with the service.
    #[must_use]
    pub fn files(&self) -> Option<&[PolicyFile]> {
        self.changed.as_ref().map(|changed| &*changed.files)
    }

    /// The leaf that put them into force; 0 for the founding's.
    #[must_use]
    pub fn leaf(&self) -> u64 {
        self.changed.as_ref().map_or(0, |changed| changed.leaf)
    }
}

/// Whether a proposed set has the form of one.
pub(super) fn may_propose(request: &ProposePolicy) -> Result<(), Refusal> {
    let files = &request.files;
    let text_len = files.iter().fold(0_usize, |len, file| len.saturating_add(file.text.as_bytes().len()));
    let good = !files.is_empty()
        && files.is_sorted_by(|a, b| a.name < b.name)
        && files.iter().all(|file| file.name.as_str().as_bytes().ends_with(b".cedar"))
        && text_len <= POLICY_SET_LEN_MAX
        && files.iter().all(|file| core::str::from_utf8(file.text.as_bytes()).is_ok());
    if good { Ok(()) } else { Err(Refusal::Invalid { reason: Invalid::Policy }) }
}
