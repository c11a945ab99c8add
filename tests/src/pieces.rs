//! What a kill in the making of a key leaves of a `SoftHSM` object, by its file.
//!
//! `SoftHSM` 2.6.1 makes an object step by step: an empty file, then one attribute after the other, then the whole template
//! at once, then the value; and at each step it empties the file before it writes it anew. Apart from
//! [`crate::token_file`], which knows the format and not what is missing. Only for modules that keep objects in files.

use crate::token_file::{CLASS, EC_POINT, TOKEN, TokenFile, VALUE, Value};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// `CKO_PUBLIC_KEY`.
const PUBLIC_KEY: u64 = 2;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// Nothing that reads as an object: the module does not list it.
    Unreadable,
    /// An object that does not say yet that it lies on a token: no search for token objects finds it.
    Unlisted,
    /// An object with its identifier and without its value.
    Valueless,
    /// A whole object.
    Whole,
}

impl Piece {
    fn of(path: &Path) -> Self {
        let Some(object) = TokenFile::try_read(path) else { return Self::Unreadable };
        if object.flag(TOKEN) != Some(true) {
            return Self::Unlisted;
        }
        let value = if object.value(CLASS) == Some(&Value::Number(PUBLIC_KEY)) { EC_POINT } else { VALUE };
        match object.value(value) {
            Some(Value::Bytes(bytes)) if !bytes.is_empty() => Self::Whole,
            _ => Self::Valueless,
        }
    }

    /// Whether something of the object is missing.
    #[must_use]
    pub fn is_torn(self) -> bool {
        self != Self::Whole
    }
}

/// Every object's file of a token.
#[derive(Debug, Clone, Default)]
pub struct Pieces(BTreeMap<PathBuf, Piece>);

impl Pieces {
    /// Those in the token whose files lie below `folder`.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        let paths = TokenFile::paths(folder).into_iter();
        Self(paths.map(|path| (path.clone(), Piece::of(&path))).collect())
    }

    /// What these have that `before` had not.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<Piece> {
        let came = self.0.iter().filter(|(path, _)| !before.0.contains_key(*path));
        came.map(|(_, piece)| *piece).collect()
    }

    /// How many of them are whole.
    #[must_use]
    pub fn whole(&self) -> usize {
        self.0.values().filter(|piece| !piece.is_torn()).count()
    }
}
