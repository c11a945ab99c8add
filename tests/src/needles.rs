//! Values that must not be found, looked for in every way in which bytes are written down, and in the memory of processes.
//!
//! Apart from the tests because several look. It decides nothing: a test says what may be found where.

use softhsm_setup::debian::GDB;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::Command,
};

/// A value in every form.
#[derive(Debug, Clone)]
pub struct Needle {
    /// What it is.
    pub name: String,
    forms: Vec<Vec<u8>>,
}

impl Needle {
    /// Bytes as they are, turned round, in hexadecimal, as numbers, and in base64 wherever a longer text holds them.
    #[must_use]
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let spaced: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let list: Vec<_> = bytes.iter().map(u8::to_string).collect();
        let mut forms = vec![bytes.to_vec(), bytes.iter().rev().copied().collect()];
        forms.extend(
            [hex.clone(), hex.to_uppercase(), spaced.join(" "), spaced.join(":")].map(String::into_bytes),
        );
        forms.extend([list.join(", "), list.join(",")].map(String::into_bytes));
        forms.extend(base64_at_any_place(bytes));
        Self { name: name.to_owned(), forms }
    }

    /// Bytes as they are, and turned round.
    #[must_use]
    pub fn raw(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), forms: vec![bytes.to_vec(), bytes.iter().rev().copied().collect()] }
    }

    /// A text as it is.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self { name: text.to_owned(), forms: vec![text.as_bytes().to_vec()] }
    }

    /// How often it is there.
    #[must_use]
    pub fn count(&self, haystack: &[u8]) -> usize {
        places(std::slice::from_ref(self), haystack).len()
    }
}

/// Where each file's bytes, and what else was captured, hold the needle.
#[must_use]
pub fn found(needle: &Needle, haystacks: &[(String, Vec<u8>)]) -> Vec<String> {
    let found = haystacks.iter().filter(|(_, bytes)| needle.count(bytes) > 0);
    found.map(|(place, _)| format!("{} in {place}", needle.name)).collect()
}

/// What is passed over at once where it is zeros, in bytes.
const PAGE_LEN: usize = 4096;
/// A page, and as much after it as a form that begins in it may have.
const ZEROS: [u8; PAGE_LEN + FORM_LEN_MAX] = [0; PAGE_LEN + FORM_LEN_MAX];

/// Each place where one of these begins, with its name: one pass, however many there are.
#[must_use]
pub fn places<'a>(needles: &'a [Needle], haystack: &[u8]) -> Vec<(usize, &'a str)> {
    let pair = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    let mut begins: Vec<Vec<(&[u8], &str)>> = vec![Vec::new(); 1 << 16];
    for needle in needles {
        for form in needle.forms.iter().filter(|form| form.len() > 1) {
            begins[pair(form)].push((form, &needle.name));
        }
    }
    let (mut found, mut at) = (Vec::new(), 0);
    while at + 1 < haystack.len() {
        // Memory that was never touched, of which there may be a gigabyte: no form is zeros alone, nor longer than this.
        let ahead = haystack.get(at..at + ZEROS.len());
        if at.is_multiple_of(PAGE_LEN) && ahead.is_some_and(|ahead| ahead == ZEROS) {
            at += PAGE_LEN;
            continue;
        }
        for (form, name) in &begins[pair(&haystack[at..])] {
            if haystack[at..].starts_with(form) {
                found.push((at, *name));
            }
        }
        at += 1;
    }
    found
}

/// The base64 characters that depend on these bytes alone, for each of the three places a longer text can hold them,
/// in both alphabets.
fn base64_at_any_place(bytes: &[u8]) -> Vec<Vec<u8>> {
    let alphabets = [
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    ];
    let bit = |place: usize| bytes[place / 8] >> (7 - place % 8) & 1;
    let digits = |skip: usize, alphabet: &[u8; 64]| -> Vec<u8> {
        let whole: Vec<_> = (skip..bytes.len() * 8).map(bit).collect();
        let digit = |bits: &[u8]| alphabet[bits.iter().fold(0, |sum, bit| sum << 1 | usize::from(*bit))];
        whole.chunks_exact(6).map(digit).collect()
    };
    alphabets.iter().flat_map(|alphabet| [0, 2, 4].map(|skip| digits(skip, alphabet))).collect()
}

/// All files below a folder.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let inside = entries.flat_map(|entry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => files(&entry.path()),
        kind if kind.is_file() => vec![entry.path()],
        _ => vec![],
    });
    inside.collect()
}

/// A core of a running process, as a debugger writes it: all that is mapped, what is kept out of cores too.
#[derive(Debug)]
pub struct Core {
    file: PathBuf,
}

/// What is read of a core at a time, in bytes: a core has a gigabyte, most of which was never touched.
const BLOCK_LEN: usize = 1 << 20;
/// Longer than any form of a needle, in bytes: so much of a block is looked at again with the next one.
const FORM_LEN_MAX: usize = 256;

impl Core {
    /// Has it written into `folder`. The process goes on.
    ///
    /// # Panics
    /// When there is no gdb, or it may not look.
    #[must_use]
    pub fn of(pid: u32, folder: &Path) -> Self {
        let gdb = GDB.find_or_install(&mut io::stderr()).unwrap();
        let file = folder.join(format!("core-{pid}"));
        let output = Command::new(gdb)
            .args([
                "-nx",
                "-batch",
                "-ex",
                "set debuginfod enabled off",
                "-ex",
                "set use-coredump-filter off",
            ])
            .args(["-ex", "set dump-excluded-mappings on", "-ex"])
            .arg(format!("gcore {}", file.display()))
            .args(["-p", &pid.to_string()])
            .output()
            .unwrap();
        assert!(file.is_file(), "no core of {pid}: {}", String::from_utf8_lossy(&output.stderr));
        Self { file }
    }

    /// How long it is, in bytes.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn len(&self) -> u64 {
        fs::metadata(&self.file).unwrap().len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often each of these is there; what is not there is not named.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn hits<'a>(&self, needles: &'a [Needle]) -> BTreeMap<&'a str, usize> {
        assert!(needles.iter().flat_map(|needle| &needle.forms).all(|form| form.len() < FORM_LEN_MAX));
        let mut file = File::open(&self.file).unwrap();
        let (mut hits, mut held) = (BTreeMap::new(), Vec::new());
        let (mut block, zeros) = (vec![0; BLOCK_LEN], vec![0; BLOCK_LEN + FORM_LEN_MAX]);
        loop {
            let len = file.read(&mut block).unwrap();
            let is_last = len == 0;
            held.extend_from_slice(&block[..len]);
            // What begins in the tail is found with the next block, which may hold its end; so zeros alone hold nothing.
            let whole = if is_last { held.len() } else { held.len().saturating_sub(FORM_LEN_MAX) };
            if held[..whole] != zeros[..whole] {
                for (_, name) in places(needles, &held).into_iter().filter(|(at, _)| *at < whole) {
                    *hits.entry(name).or_default() += 1;
                }
            }
            held.drain(..whole);
            if is_last {
                return hits;
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // A gigabyte; what cannot be removed goes with the ground's folder.
        let _ = fs::remove_file(&self.file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_across_two_blocks_of_a_core_or_after_zeros_is_found_once() {
        let folder = tempfile::tempdir().unwrap();
        let core = Core { file: folder.path().join("core") };
        let needle = [Needle::raw("it", b"0123456789abcdef")];
        for at in [0, 4_096, BLOCK_LEN - 8, BLOCK_LEN, 2 * BLOCK_LEN - FORM_LEN_MAX, 3 * BLOCK_LEN - 17] {
            let mut bytes = vec![0; 3 * BLOCK_LEN];
            bytes[at..at + 16].copy_from_slice(b"0123456789abcdef");
            fs::write(&core.file, bytes).unwrap();
            assert_eq!(core.hits(&needle), BTreeMap::from([("it", 1)]), "{at}");
        }
    }
}
