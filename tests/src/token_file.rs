//! One object of a `SoftHSM` token as its file, so that a test can make a key drift by one attribute and no other.
//!
//! A file holds an 8-byte generation and then attributes: type and kind (8 bytes each, big-endian) and a value of that
//! kind. Byte strings of private objects are encrypted under the token's key; all else lies open. Only for a token
//! that no program uses at the moment. It knows the format of `SoftHSM` 2.6.1 and nothing of PKCS#11's rules.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// `CKA_CLASS`.
pub const CLASS: u64 = 0x000;
/// `CKA_TOKEN`.
pub const TOKEN: u64 = 0x001;
/// `CKA_PRIVATE`.
pub const PRIVATE: u64 = 0x002;
/// `CKA_LABEL`.
pub const LABEL: u64 = 0x003;
/// `CKA_VALUE`.
pub const VALUE: u64 = 0x011;
/// `CKA_KEY_TYPE`.
pub const KEY_TYPE: u64 = 0x100;
/// `CKA_ID`.
pub const ID: u64 = 0x102;
/// `CKA_DERIVE`.
pub const DERIVE: u64 = 0x10c;
/// `CKA_EXTRACTABLE`.
pub const EXTRACTABLE: u64 = 0x162;
/// `CKA_LOCAL`.
pub const LOCAL: u64 = 0x163;
/// `CKA_EC_POINT`.
pub const EC_POINT: u64 = 0x181;
/// `CKA_VALUE_LEN`.
pub const VALUE_LEN: u64 = 0x161;
/// `CKA_ALLOWED_MECHANISMS`.
pub const ALLOWED_MECHANISMS: u64 = 0x4000_0600;

/// The attributes of a key that are flags, by number and name.
pub const FLAGS: [(u64, &str); 20] = [
    (TOKEN, "CKA_TOKEN"),
    (PRIVATE, "CKA_PRIVATE"),
    (0x103, "CKA_SENSITIVE"),
    (0x104, "CKA_ENCRYPT"),
    (0x105, "CKA_DECRYPT"),
    (0x106, "CKA_WRAP"),
    (0x107, "CKA_UNWRAP"),
    (0x108, "CKA_SIGN"),
    (0x109, "CKA_SIGN_RECOVER"),
    (0x10a, "CKA_VERIFY"),
    (0x10b, "CKA_VERIFY_RECOVER"),
    (DERIVE, "CKA_DERIVE"),
    (EXTRACTABLE, "CKA_EXTRACTABLE"),
    (LOCAL, "CKA_LOCAL"),
    (0x164, "CKA_NEVER_EXTRACTABLE"),
    (0x165, "CKA_ALWAYS_SENSITIVE"),
    (0x170, "CKA_MODIFIABLE"),
    (0x171, "CKA_COPYABLE"),
    (0x172, "CKA_DESTROYABLE"),
    (0x202, "CKA_ALWAYS_AUTHENTICATE"),
];

/// The value of an attribute, by the file's kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Kind 1.
    Flag(bool),
    /// Kind 2.
    Number(u64),
    /// Kind 3, encrypted in a private object.
    Bytes(Vec<u8>),
    /// Kind 4: a template, kept as it is.
    Template(Vec<u8>),
    /// Kind 5.
    Mechanisms(Vec<u64>),
}

/// An object's file.
#[derive(Debug, Clone)]
pub struct TokenFile {
    path: PathBuf,
    generation: [u8; 8],
    attributes: Vec<(u64, Value)>,
}

impl TokenFile {
    /// Every object of the token whose files lie below `folder`; the token's own data are none.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn all(folder: &Path) -> Vec<Self> {
        Self::paths(folder).iter().map(|path| Self::read(path)).collect()
    }

    /// How many of them are whole: a kill can leave one torn, which the module does not list.
    ///
    /// # Panics
    /// When the folder cannot be read.
    #[must_use]
    pub fn whole(folder: &Path) -> usize {
        Self::paths(folder).iter().filter(|path| Self::try_read(path).is_some()).count()
    }

    /// Where they lie, torn ones too.
    ///
    /// # Panics
    /// When the folder cannot be read.
    #[must_use]
    pub fn paths(folder: &Path) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for token in fs::read_dir(folder).unwrap() {
            let files = fs::read_dir(token.unwrap().path()).unwrap().map(|file| file.unwrap().path());
            paths.extend(files.filter(|path| {
                path.extension().is_some_and(|end| end == "object") && !path.ends_with("token.object")
            }));
        }
        paths.sort();
        paths
    }

    /// Reads an object's file.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        Self::try_read(path).unwrap_or_else(|| panic!("{} is no object", path.display()))
    }

    /// Reads an object's file; nothing where it is none, as one that was torn.
    ///
    /// # Panics
    /// When it cannot be read at all.
    #[must_use]
    pub fn try_read(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).unwrap();
        let (generation, mut rest) = bytes.split_first_chunk()?;
        let mut attributes = Vec::new();
        while !rest.is_empty() {
            let (number, kind) = (take_number(&mut rest)?, take_number(&mut rest)?);
            let value = match kind {
                1 => Value::Flag(take(&mut rest, 1)?[0] != 0),
                2 => Value::Number(take_number(&mut rest)?),
                3 => {
                    let len = take_number(&mut rest)?;
                    Value::Bytes(take(&mut rest, len)?.to_vec())
                }
                4 => {
                    let len = take_number(&mut rest)?;
                    Value::Template(take(&mut rest, len)?.to_vec())
                }
                5 => {
                    let count = take_number(&mut rest)?;
                    Value::Mechanisms((0..count).map(|_| take_number(&mut rest)).collect::<Option<_>>()?)
                }
                _ => return None,
            };
            attributes.push((number, value));
        }
        Some(Self { path: path.to_owned(), generation: *generation, attributes })
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value of an attribute, where the object has it.
    #[must_use]
    pub fn value(&self, number: u64) -> Option<&Value> {
        self.attributes.iter().find(|(one, _)| *one == number).map(|(_, value)| value)
    }

    /// Whether the object has this flag, and how it stands.
    #[must_use]
    pub fn flag(&self, number: u64) -> Option<bool> {
        match self.value(number) {
            Some(Value::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// The same with another value of an attribute that it has.
    ///
    /// # Panics
    /// When it has no such attribute.
    #[must_use]
    pub fn with(&self, number: u64, value: Value) -> Self {
        let mut changed = self.clone();
        changed.attributes.iter_mut().find(|(one, _)| *one == number).unwrap().1 = value;
        changed
    }

    /// The same in a file of another name in the same token.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        Self { path: self.path.with_file_name(format!("{name}.object")), ..self.clone() }
    }

    /// Writes the file.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self) {
        let mut bytes = self.generation.to_vec();
        for (number, value) in &self.attributes {
            bytes.extend(number.to_be_bytes());
            match value {
                Value::Flag(flag) => {
                    bytes.extend(1_u64.to_be_bytes());
                    bytes.push(if *flag { 0xff } else { 0 });
                }
                Value::Number(value) => {
                    bytes.extend(2_u64.to_be_bytes());
                    bytes.extend(value.to_be_bytes());
                }
                Value::Bytes(value) => {
                    bytes.extend(3_u64.to_be_bytes());
                    bytes.extend((value.len() as u64).to_be_bytes());
                    bytes.extend(value);
                }
                Value::Template(value) => {
                    bytes.extend(4_u64.to_be_bytes());
                    bytes.extend((value.len() as u64).to_be_bytes());
                    bytes.extend(value);
                }
                Value::Mechanisms(values) => {
                    bytes.extend(5_u64.to_be_bytes());
                    bytes.extend((values.len() as u64).to_be_bytes());
                    values.iter().for_each(|value| bytes.extend(value.to_be_bytes()));
                }
            }
        }
        fs::write(&self.path, bytes).unwrap();
    }
}

fn take<'a>(rest: &mut &'a [u8], len: u64) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    *rest = left;
    Some(taken)
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    take(rest, 8).map(|bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        fs::create_dir(&token).unwrap();
        let object = TokenFile {
            path: token.join("one.object"),
            generation: [7; 8],
            attributes: vec![
                (CLASS, Value::Number(4)),
                (PRIVATE, Value::Flag(true)),
                (ID, Value::Bytes(vec![1, 2])),
                (ALLOWED_MECHANISMS, Value::Mechanisms(vec![0x1041])),
            ],
        };
        object.write();
        let before = fs::read(object.path()).unwrap();
        let found = TokenFile::all(folder.path());
        assert_eq!(found.len(), 1);
        found[0].write();
        assert_eq!(fs::read(object.path()).unwrap(), before);
        assert_eq!(found[0].with(PRIVATE, Value::Flag(false)).flag(PRIVATE), Some(false));
        for cut in [0, 7, before.len() - 1] {
            fs::write(object.path(), &before[..cut]).unwrap();
            assert_eq!((TokenFile::paths(folder.path()).len(), TokenFile::whole(folder.path())), (1, 0));
        }
    }
}
