//! How many objects the service's own token holds, whatever module it is on: looked up in the module's files, so that
//! nobody logs in beside the keeper.
//!
//! `SoftHSM` has a file for each object, kryoptic a table. It changes nothing; [`crate::token_file`] does, for `SoftHSM`.

use crate::{ground::Ground, token_file::TokenFile};
use rusqlite::{Connection, OpenFlags};
use softhsm_setup::ModuleKind;
use std::{fs, path::Path};

/// Objects in the token.
///
/// # Panics
/// When it cannot be read, or one of them is torn.
#[must_use]
pub fn objects(ground: &Ground) -> usize {
    counted(ground, |folder| TokenFile::all(folder).len())
}

/// Objects that are whole: a kill can leave a torn file of `SoftHSM`'s, which the module does not list.
///
/// # Panics
/// When the token cannot be read.
#[must_use]
pub fn whole_objects(ground: &Ground) -> usize {
    counted(ground, TokenFile::whole)
}

/// Objects, torn ones too, which are not read.
///
/// # Panics
/// When the token cannot be read.
#[must_use]
pub fn begun_objects(ground: &Ground) -> usize {
    counted(ground, |folder| {
        let tokens = fs::read_dir(folder).unwrap();
        let files = tokens.flat_map(|token| fs::read_dir(token.unwrap().path()).unwrap());
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".object") && name != "token.object").count()
    })
}

fn counted(ground: &Ground, in_files: impl Fn(&Path) -> usize) -> usize {
    let home = ground.site().service();
    match home.module_kind().unwrap() {
        ModuleKind::SoftHsm => in_files(&home.token_folder()),
        ModuleKind::Kryoptic => in_database(&home.token_folder().join("token.sql")),
    }
}

/// kryoptic 1.5 has a row for each attribute of each object.
fn in_database(path: &Path) -> usize {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let counted = |row: &rusqlite::Row<'_>| row.get::<_, u32>(0);
    let count = database.query_row("SELECT COUNT(DISTINCT id) FROM objects", [], counted).unwrap();
    usize::try_from(count).unwrap()
}
