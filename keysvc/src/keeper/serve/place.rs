//! The token a keeper serves with, and where its files and the store lie.
//!
//! Apart from the way of a request, which only borrows from it.

use crate::keeper::storage::Storage;
use keysvc_token::Token;
use std::path::PathBuf;

/// The token and where its files and the store lie.
#[derive(Debug)]
pub struct Place {
    /// The token.
    pub token: Token,
    /// Folder of the token's files, where it keeps them in files.
    pub token_folder: Option<PathBuf>,
    /// Folder of the store.
    pub store: PathBuf,
}

impl Place {
    /// Where keys are made and destroyed.
    #[must_use]
    pub fn storage(&self) -> Storage<'_> {
        Storage { token: &self.token, token_folder: self.token_folder.as_deref(), store: &self.store }
    }
}
