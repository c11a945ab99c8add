//! A file of vectors as it lies in a folder: its name, its scheme, its cases.
//!
//! It knows no scheme: what a case holds is read by the module of its kind.

use super::verdict::Verdict;
use keysvc_protocol::bytes::from_hex;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Longest file that is read, in bytes: the longest published one has 15 KiB.
const FILE_LEN_MAX: u64 = 16 * 1024 * 1024;

/// A file of vectors.
#[derive(Debug)]
pub struct VectorFile {
    /// Its name, without the folder.
    pub name: String,
    /// What it says it is.
    pub scheme: String,
    /// Its cases.
    pub vectors: Vec<Value>,
}

/// A file that is none of vectors.
#[derive(Debug)]
pub struct Unreadable {
    /// Its name, without the folder.
    pub name: String,
    /// Why not.
    pub why: String,
}

/// What every file has; what else it has is its own affair.
#[derive(Deserialize)]
#[serde(expecting = "a scheme and its vectors")]
struct Form {
    scheme: String,
    vectors: Vec<Value>,
}

/// One case, and the others of its file.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The case.
    pub vector: &'a Value,
    /// All cases of the file, for one that is about another.
    pub all: &'a [Value],
}

impl Case<'_> {
    /// Reads the fields of a case.
    ///
    /// # Errors
    /// [`Verdict::PassedOver`] when one is missing or of another kind: nothing can be said of such a case.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Verdict> {
        T::deserialize(self.vector)
            .map_err(|error| Verdict::PassedOver(format!("not a case of this scheme: {error}")))
    }
}

/// Bytes, in hexadecimal in the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hex(pub Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        from_hex(&text).map(Self).ok_or_else(|| format!("{text:?} is not hexadecimal"))
    }
}

/// Bytes as people read them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files of a folder whose names end in `.json`, by name.
///
/// # Errors
/// Why the folder cannot be read, and what to name instead.
pub fn paths(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot = |error| {
        format!(
            "cannot read the folder {}: {error}; name a folder of vectors, such as tests/vectors",
            folder.display()
        )
    };
    let entries = fs::read_dir(folder).map_err(cannot)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let mut paths: Vec<_> = paths.map_err(cannot)?.into_iter().filter(is_json).collect();
    paths.sort();
    Ok(paths)
}

impl VectorFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Unreadable`] when it cannot be read, or is no file of vectors.
    pub fn read(path: &Path) -> Result<Self, Unreadable> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match read(path) {
            Ok(Form { scheme, vectors }) => Ok(Self { name, scheme, vectors }),
            Err(why) => Err(Unreadable { name, why }),
        }
    }
}

fn read(path: &Path) -> Result<Form, String> {
    let cannot = |error| format!("cannot be read: {error}");
    let len = fs::metadata(path).map_err(cannot)?.len();
    if len > FILE_LEN_MAX {
        return Err(format!("has {len} bytes, at most {FILE_LEN_MAX} are read"));
    }
    let text = fs::read(path).map_err(cannot)?;
    serde_json::from_slice(&text).map_err(|error| format!("is no file of vectors: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Fields {
        key: Hex,
        output: Option<Hex>,
    }

    #[test]
    fn a_field_that_is_missing_or_not_hexadecimal_passes_the_case_over() {
        let read = |vector: Value| Case { vector: &vector, all: &[] }.read::<Fields>();
        let good = read(serde_json::json!({"key": "0aff", "output": null, "more": 1})).unwrap();
        assert_eq!((good.key, good.output), (Hex(vec![0x0a, 0xff]), None));
        for bad in [serde_json::json!({}), serde_json::json!({"key": "0g"}), serde_json::json!({"key": "0"})]
        {
            assert!(matches!(read(bad).unwrap_err(), Verdict::PassedOver(_)));
        }
    }

    #[test]
    fn files_come_by_name_and_others_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.json", "a.json", "README.md"] {
            fs::write(folder.path().join(name), "{").unwrap();
        }
        let found = paths(folder.path()).unwrap();
        assert_eq!(found, ["a.json", "b.json"].map(|name| folder.path().join(name)));
        assert!(VectorFile::read(&found[0]).unwrap_err().why.starts_with("is no file of vectors"));
        assert!(paths(&folder.path().join("none")).unwrap_err().contains("name a folder"));
    }
}
