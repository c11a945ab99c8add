//! Reading the site's folder: only plain `*.cedar` files, few and small.
//! Apart from parsing, so that nothing but size and kind is judged before the text is in hand.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::error::PolicyError;
use crate::source::{Source, line_at};

/// Files a site's folder may hold. One per subject is a dozen; 64 * 256 KiB is 16 MiB of text at
/// most, read once at start.
pub const SITE_FILES_MAX: usize = 64;

/// Bytes of one policy file: about 4,000 lines, a hundred times the shipped site.
pub const SITE_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Every file of `folder`, sorted by the bytes of its name.
pub(crate) fn read(folder: &Path) -> Result<Vec<Source>, PolicyError> {
    let unlisted = |error: io::Error| PolicyError::Folder { folder: folder.into(), reason: error.kind() };
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).map_err(unlisted)? {
        if sources.len() == SITE_FILES_MAX {
            return Err(PolicyError::TooManyFiles { folder: folder.into() });
        }
        sources.push(source(&entry.map_err(unlisted)?.path())?);
    }
    if sources.is_empty() {
        return Err(PolicyError::Empty { folder: folder.into() });
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

fn source(path: &Path) -> Result<Source, PolicyError> {
    let unreadable = |error: io::Error| PolicyError::Unreadable { file: path.into(), reason: error.kind() };
    // Before it is opened and without following a link, because opening a pipe would block.
    let plain = fs::symlink_metadata(path).map_err(unreadable)?.is_file();
    let name = path.file_name().and_then(|name| name.to_str());
    let (true, Some("cedar"), Some(name)) = (plain, path.extension().and_then(|end| end.to_str()), name)
    else {
        return Err(PolicyError::UnknownFile { file: path.into() });
    };

    let mut bytes = Vec::new();
    // One byte more than allowed tells a full file from one that is too large.
    let limit = SITE_FILE_BYTES_MAX.saturating_add(1);
    let read =
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(unreadable)?;
    if read as u64 > SITE_FILE_BYTES_MAX {
        return Err(PolicyError::TooLarge { file: path.into() });
    }
    let text = String::from_utf8(bytes).map_err(|error| PolicyError::NotText {
        file: path.into(),
        line: line_at(error.as_bytes(), error.utf8_error().valid_up_to()),
    })?;
    Ok(Source { name: name.to_owned(), text })
}
