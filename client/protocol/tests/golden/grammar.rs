//! docs/wire.cddl as the validator reads it. Shared with the tests that hold a whole log to it.

use std::{fs, path::PathBuf};

/// The grammar as cddl-cat reads it: without the rules that put tag 18 before an array, and with any byte string where
/// such a message lies inside another. Each kind of them has a golden message of its own.
pub(super) fn grammar() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let docs = path.ancestors().map(|folder| folder.join("docs/wire.cddl")).find(|file| file.is_file());
    let text = fs::read_to_string(docs.unwrap()).unwrap();
    let rules: Vec<_> = text.lines().filter(|line| !line.contains("#6.18(")).collect();
    let rules = rules.join("\n") + "\n";
    let mut parts = rules.split("bstr .cbor signed-");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.trim_start_matches(|char: char| char.is_ascii_lowercase() || "-.".contains(char));
        text + "bstr" + rest
    })
}
