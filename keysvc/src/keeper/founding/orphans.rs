//! What an interrupted founding left: objects in the token, files beside it; and how they are destroyed.
//!
//! Only what the founding announced (`orders`) is ever destroyed, and only while no trust file says that it is whole.
//! One object that was not announced is a reason to touch none.

use super::{beside, object_line, orders::Orders};
use crate::{
    config::Config,
    error::Fault,
    keeper::{
        ledger::{discard_unfounded, store_files},
        storage::Storage,
    },
};
use keysvc_protocol::key::KeyRecord;
use keysvc_token::{FoundObject, Token};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Everything that would be destroyed.
#[derive(Debug)]
pub struct Orphans {
    /// The token's label.
    pub token: String,
    objects: Vec<FoundObject>,
    files: Vec<PathBuf>,
}

impl Orphans {
    /// What is left under these orders.
    ///
    /// # Errors
    /// [`Fault::Refusing`] when the token holds something that they do not name.
    pub(super) fn find(config: &Config, token: &Token, orders: &Orders) -> Result<Self, Fault> {
        let mut objects = token.inventory()?;
        objects.sort_by(|left, right| (&left.label, &left.class).cmp(&(&right.label, &right.class)));
        let foreign: Vec<_> = objects.iter().filter(|object| !orders.ordered(object)).collect();
        if !foreign.is_empty() || !orders.are_for(token) {
            let names: Vec<_> = foreign.into_iter().map(object_line).collect();
            return Err(Fault::Refusing(format!(
                "the interrupted founding was of another token, or others use this one too ({} objects that it did \
                 not announce): nothing is destroyed; use a fresh token, an empty store folder and no anchor file:\n  {}",
                names.len(),
                names.join("\n  ")
            )));
        }
        let mut files = store_files(&config.keeper.store);
        files.extend([config.keeper.anchor.clone(), beside(&config.trust), Orders::path(config)]);
        files.retain(|file| file.exists());
        Ok(Self { token: token.identity().label.clone(), objects, files })
    }

    /// Whether there is anything to ask for: the orders' own file and the store's lock are not.
    #[must_use]
    pub fn are_some(&self, config: &Config) -> bool {
        let own = |file: &PathBuf| *file == Orders::path(config) || file.ends_with("lock");
        !self.objects.is_empty() || !self.files.iter().all(own)
    }

    /// A line for each object and each file.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let objects = self.objects.iter().map(|object| format!("object  {}", object_line(object)));
        objects.chain(self.files.iter().map(|file| format!("file    {}", file.display()))).collect()
    }

    /// Destroys them: objects, then files, the orders last, so that what is interrupted can be done again.
    ///
    /// # Errors
    /// [`Fault`] of token or disk.
    pub(super) fn discard(self, config: &Config, token: &Token, storage: &Storage<'_>) -> Result<(), Fault> {
        for object in &self.objects {
            token.destroy_found(object)?;
        }
        storage.sync()?;
        discard_unfounded(&config.keeper.store)?;
        for file in [config.keeper.anchor.clone(), beside(&config.trust)] {
            remove_file(&file)
                .map_err(|source| Fault::Io { what: "removing what a founding left", source })?;
        }
        Orders::withdraw(config)
    }
}

/// Whether every key of leaf 0 was announced: else it is another founding's leaf.
pub(super) fn all_announced(orders: &Orders, keys: &[KeyRecord]) -> bool {
    keys.iter().all(|key| orders.has(&key.id))
}

/// Removes a file that may not be there.
pub(super) fn remove_file(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
