//! The bytes of a state file on disk: two lines before its content, written whole for its owner alone.

use super::{FORMAT, StateError};
use crate::{fault::Fault, log_folder::read_file};
use keysvc_protocol::hash::sha256;
use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

/// What the first line begins with; the number of the form follows.
const FIRST_LINE: &str = "keysvc-fobaudit-state ";
/// What the second line begins with; 64 hexadecimal digits follow.
const SECOND_LINE: &str = "sha256 ";
/// Longest two lines, in bytes.
const LINES_LEN_MAX: usize = 128;

/// The file's bytes; nothing where there is no such file.
pub(super) fn read(path: &Path, len_max: usize) -> Result<Option<Vec<u8>>, Fault> {
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Fault::Unreadable { path: path.to_path_buf(), source }),
    };
    if mode & 0o022 != 0 {
        return Err(Fault::State { path: path.to_path_buf(), why: StateError::TooOpen { mode } });
    }
    let limit = u64::try_from(len_max.saturating_add(LINES_LEN_MAX)).unwrap_or(u64::MAX);
    read_file(path, limit).map(Some)
}

/// The content behind the two lines, once its SHA-256 is what they say.
pub(super) fn content(bytes: &[u8]) -> Result<&[u8], StateError> {
    let (format, rest) = line(bytes, FIRST_LINE).ok_or(StateError::NotState)?;
    match format.parse() {
        Ok(FORMAT) => {}
        Ok(format) if format > FORMAT => return Err(StateError::Newer { format }),
        Ok(format @ 1..FORMAT) => return Err(StateError::Older { format }),
        _ => return Err(StateError::NotState),
    }
    let (digest, content) = line(rest, SECOND_LINE).ok_or(StateError::Damaged("it has no SHA-256"))?;
    if digest == sha256(&[content]).to_string() {
        Ok(content)
    } else {
        Err(StateError::Damaged("its SHA-256 is not that of its content"))
    }
}

/// The rest of a line of text that begins so, and what follows the line.
fn line<'a>(bytes: &'a [u8], begins: &str) -> Option<(&'a str, &'a [u8])> {
    let rest = bytes.strip_prefix(begins.as_bytes())?;
    let end = rest.iter().take(LINES_LEN_MAX).position(|byte| *byte == b'\n')?;
    let (text, rest) = rest.split_at_checked(end)?;
    Some((std::str::from_utf8(text).ok()?, rest.strip_prefix(b"\n")?))
}

/// Writes the file whole.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), Fault> {
    let lines = format!("{FIRST_LINE}{FORMAT}\n{SECOND_LINE}{}\n", sha256(&[content]));
    replace(path, &[lines.as_bytes(), content])
        .map_err(|source| Fault::Unwritable { path: path.to_path_buf(), source })
}

fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut beside = OsStr::new(".").to_owned();
    beside.push(name);
    beside.push(".new");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = folder.join(beside);
    // One that an earlier run left may have another mode.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // Last, because before it the rename may be lost.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_is_the_owners_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("state");
        for text in [&b"one"[..], b"two"] {
            write(&path, text).unwrap();
            assert_eq!(content(&read(&path, 10).unwrap().unwrap()).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
        assert_eq!(read(&scratch.path().join("other"), 10).unwrap(), None);
    }

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("state");
        write(&path, b"one").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o620)).unwrap();
        let fault = read(&path, 10).unwrap_err();
        assert!(matches!(fault, Fault::State { why: StateError::TooOpen { mode: 0o620 }, .. }), "{fault:?}");
    }

    #[test]
    fn damage_other_files_and_later_forms_are_told_apart() {
        let digest = sha256(&[b"one"]);
        let of = |text: &str| content(text.as_bytes()).map(<[u8]>::to_vec);
        assert_eq!(of(&format!("keysvc-fobaudit-state 3\nsha256 {digest}\none")), Ok(b"one".to_vec()));
        let damaged = Err(StateError::Damaged("its SHA-256 is not that of its content"));
        assert_eq!(of(&format!("keysvc-fobaudit-state 3\nsha256 {digest}\nonf")), damaged);
        assert_eq!(of(&format!("keysvc-fobaudit-state 3\nsha256 {digest}\non")), damaged);
        assert_eq!(of("keysvc-fobaudit-state 3\nsha"), Err(StateError::Damaged("it has no SHA-256")));
        assert_eq!(of("keysvc-fobaudit-state 4\n..."), Err(StateError::Newer { format: 4 }));
        assert_eq!(of("keysvc-fobaudit-state 2\n..."), Err(StateError::Older { format: 2 }));
        for other in ["", "keysvc-fobaudit-state 1", "trust-domain a\ngenesis b\n"] {
            assert_eq!(of(other), Err(StateError::NotState), "{other}");
        }
    }
}
