//! What is wrong with `keysvc.toml`, all of it at once: unknown keys, wrong types, numbers out of range, missing files,
//! open modes; each with what the key is for and the mend.
//!
//! It reads files' names and modes and nothing that is in them.

use super::{
    Config, ConfigError, FILE_LEN_MAX, Half,
    fixed::SOCKET_PATH_LEN_MAX,
    keys::{self, Form, Key},
    nearest::nearest,
    parse_toml,
    paths::{private_trouble, read_capped},
    user::uid_of,
};
use keysvc_protocol::trust::TrustDomain;
use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

/// One thing that must be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file it is in.
    pub file: PathBuf,
    /// The key; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub wrong: String,
    /// What the key is for; empty where nothing is known of it.
    pub purpose: &'static str,
    /// What to do; empty where `wrong` says it.
    pub mend: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ConfigError::from(self.clone()).fmt(f)
    }
}

impl From<Finding> for ConfigError {
    fn from(finding: Finding) -> Self {
        let end = if finding.mend.is_empty() { String::new() } else { format!("; {}", finding.mend) };
        Self { mend: format!("{}{end}", finding.wrong), file: finding.file, key: finding.key }
    }
}

impl From<ConfigError> for Finding {
    fn from(error: ConfigError) -> Self {
        Self { file: error.file, key: error.key, wrong: error.mend, purpose: "", mend: String::new() }
    }
}

/// Everything that must be mended; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl From<Findings> for ConfigError {
    /// The first, and how many more there are.
    fn from(findings: Findings) -> Self {
        let more = findings.0.len().saturating_sub(1);
        let first = findings.0.into_iter().next().map(Self::from);
        let mut error = first.unwrap_or_else(|| Self::file(Path::new("keysvc.toml"), "cannot be used"));
        if more > 0 {
            error.mend = format!("{} (and {more} more: keysvc check-config lists them all)", error.mend);
        }
        error
    }
}

/// Reads the configuration in `file` for `half`, or says everything that is wrong with it.
///
/// # Errors
/// [`Findings`].
pub fn examine(file: &Path, half: Half) -> Result<Config, Findings> {
    let one = |error: ConfigError| Findings(vec![error.into()]);
    let bytes = read_capped(file, FILE_LEN_MAX).map_err(one)?;
    let text = String::from_utf8(bytes).map_err(|_| one(ConfigError::file(file, "not UTF-8 text")))?;
    let table: Table = toml::from_str(&text).map_err(|error: toml::de::Error| {
        one(ConfigError::file(file, format!("{}{}", line(&text, error.span()), error.message())))
    })?;
    let mut look = Look { file, half, keys: keys::all(), values: BTreeMap::new(), found: Vec::new() };
    look.collect("", &table);
    look.judge();
    if !look.found.is_empty() {
        return Err(Findings(look.found));
    }
    parse_toml(file, &text).map_err(one)
}

/// Where in the text an error is.
fn line(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let before = span.and_then(|span| text.get(..span.start));
    before.map_or_else(String::new, |before| {
        format!("line {}: ", before.matches('\n').count().saturating_add(1))
    })
}

struct Look<'a> {
    file: &'a Path,
    half: Half,
    keys: Vec<Key>,
    values: BTreeMap<String, &'a Value>,
    found: Vec<Finding>,
}

impl<'a> Look<'a> {
    fn note(&mut self, key: &str, wrong: impl Into<String>, mend: impl Into<String>) {
        let purpose = self.keys.iter().find(|known| known.name == key).map_or("", |known| known.purpose);
        self.found.push(Finding {
            file: self.file.to_path_buf(),
            key: key.to_owned(),
            wrong: wrong.into(),
            purpose,
            mend: mend.into(),
        });
    }

    /// Finds the values of known keys, and keys that are none.
    fn collect(&mut self, prefix: &str, table: &'a Table) {
        for (name, value) in table {
            let name = format!("{prefix}{name}");
            if self.keys.iter().any(|key| key.name == name) {
                self.values.insert(name, value);
            } else if keys::SECTIONS.contains(&name.as_str()) {
                match value {
                    Value::Table(inner) => self.collect(&format!("{name}."), inner),
                    other => {
                        let wrong = format!("{} stands where a section is wanted", kind(other));
                        self.note(&name, wrong, format!("write a section: [{name}]"));
                    }
                }
            } else {
                self.unknown(&name);
            }
        }
    }

    fn unknown(&mut self, name: &str) {
        let known = self.keys.iter().map(|key| key.name.as_str()).chain(keys::SECTIONS);
        let near = nearest(name, known).map(str::to_owned);
        let mend = near.as_ref().map_or_else(
            || "take it out; docs/operations.md has every key".to_owned(),
            |near| format!("did you mean {near}? Else take it out"),
        );
        self.note(name, "there is no such key", mend);
        let meant = near.and_then(|near| self.keys.iter().find(|key| key.name == near));
        if let (Some(meant), Some(last)) = (meant, self.found.last_mut()) {
            last.purpose = meant.purpose;
        }
    }

    fn judge(&mut self) {
        for (name, form, required) in
            self.keys.iter().map(|key| (key.name.clone(), key.form, key.required)).collect::<Vec<_>>()
        {
            match self.values.get(&name).copied() {
                Some(value) => {
                    if let Some((wrong, mend)) = trouble(form, value, self.half) {
                        self.note(&name, wrong, mend);
                    }
                }
                None if required => self.note(&name, "it is missing", "add it"),
                None => {}
            }
        }
        self.one_pin();
        let address = |name: &str| self.values.get(name).and_then(|value| value.as_str());
        if address("front.health").is_some() && address("front.health") == address("front.listen") {
            self.note("front.health", "it is the same as front.listen", "give it a port of its own");
        }
    }

    /// The PIN has exactly one source.
    fn one_pin(&mut self) {
        let sources = ["token.pin-file", "token.pin-credential", "token.pin-fd"];
        let given: Vec<_> = sources.into_iter().filter(|name| self.values.contains_key(*name)).collect();
        match given[..] {
            [] => self.note(
                "token.pin-file",
                "the PIN's source is missing",
                "add one of token.pin-file, token.pin-credential and token.pin-fd",
            ),
            [_] => {}
            [first, ..] => {
                self.note(
                    first,
                    format!("the PIN has {} sources", given.len()),
                    format!("keep one of {}", given.join(", ")),
                );
            }
        }
    }
}

/// What a value is, in words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with a point",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section",
    }
}

/// What is wrong with a value, and the mend.
fn trouble(form: Form, value: &Value, half: Half) -> Option<(String, String)> {
    match form {
        Form::Whole(min, max) => whole(value, min, max),
        Form::AllThere(of) => each(Form::There(of), "file names", value, half),
        Form::Choices(words) => each(Form::Choice(words), "words", value, half),
        Form::Texts => each(Form::Text, "texts", value, half),
        Form::Flag => (!value.is_bool()).then(|| {
            (
                format!("{} stands where true or false is wanted", kind(value)),
                "write true or false, without quotes".to_owned(),
            )
        }),
        _ => match value {
            Value::String(text) => text_trouble(form, text, half),
            other => Some((
                format!("{} stands where text is wanted", kind(other)),
                format!("write it in double quotes: \"{other}\"").replace("\"\"", "\""),
            )),
        },
    }
}

/// What is wrong with a list, or with the first wrong of it.
fn each(form: Form, things: &str, value: &Value, half: Half) -> Option<(String, String)> {
    match value {
        Value::Array(items) => items.iter().find_map(|item| trouble(form, item, half)),
        other => Some((
            format!("{} stands where a list is wanted", kind(other)),
            format!("write {things} in square brackets"),
        )),
    }
}

fn whole(value: &Value, min: u64, max: u64) -> Option<(String, String)> {
    let mend = format!("give {min} to {max}");
    match value {
        Value::Integer(number) if u64::try_from(*number).is_ok_and(|it| (min..=max).contains(&it)) => None,
        Value::Integer(number) => Some((format!("{number} is out of range"), mend)),
        other => Some((format!("{} stands where a whole number is wanted", kind(other)), mend)),
    }
}

fn text_trouble(form: Form, text: &str, half: Half) -> Option<(String, String)> {
    let path = Path::new(text);
    match form {
        _ if text.is_empty() => {
            Some(("it is empty".to_owned(), "give a value, or take the key out".to_owned()))
        }
        Form::TrustDomain => text.parse::<TrustDomain>().err().map(|error| {
            (format!("{text:?}: {error}"), "write a name such as example.keysvc.test".to_owned())
        }),
        Form::Address => text.parse::<SocketAddr>().err().map(|_| {
            (
                format!("{text:?} is no socket address"),
                "write an address and a port, such as 127.0.0.1:8443".to_owned(),
            )
        }),
        Form::Socket if text.len() > SOCKET_PATH_LEN_MAX => Some((
            format!("a Unix socket's path has at most {SOCKET_PATH_LEN_MAX} bytes"),
            "shorten it".to_owned(),
        )),
        Form::There(of) if half.holds(of) && !path.exists() => {
            Some((format!("{text} does not exist"), "name the right file".to_owned()))
        }
        Form::Private(of) if half.holds(of) => {
            private_trouble(path).map(|(wrong, mend)| (format!("{text}: {wrong}"), mend))
        }
        Form::User => uid_of(text).is_none().then(|| {
            (format!("there is no user {text} in /etc/passwd"), "make it, or name the right one".to_owned())
        }),
        Form::Choice(words) if !words.contains(&text) => {
            Some((format!("{text:?} is none of its words"), format!("write one of {}", words.join(", "))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keysvc.toml");
        std::fs::write(&file, text).unwrap();
        let findings = examine(&file, Half::Both).unwrap_err().0;
        assert!(findings.iter().all(|finding| finding.file == file));
        findings.into_iter().map(|finding| (finding.key, finding.wrong, finding.mend)).collect()
    }

    #[test]
    fn every_fault_is_found_at_once_each_with_its_mend() {
        let found = found(
            "trust-domain = \"demo.test\"\nfounding = \"f\"\nsignatures = \"s\"\ntrust = 7\n\
             [front]\nlisen = \"x\"\nlisten = \"nowhere\"\n[front.limits]\nclients-max = 0\n\
             [token]\npin-file = \"/nowhere\"\npin-fd = 3\n[log]\nlevel = \"loud\"\n",
        );
        let has = |key: &str, words: &str| {
            assert!(
                found
                    .iter()
                    .any(|(one, wrong, mend)| one == key && format!("{wrong}; {mend}").contains(words)),
                "no {key}: {words} in {found:#?}"
            );
        };
        has("trust", "a whole number stands where text is wanted; write it in double quotes: \"7\"");
        has("front.lisen", "there is no such key; did you mean front.listen?");
        has("front.listen", "\"nowhere\" is no socket address");
        has("front.limits.clients-max", "0 is out of range; give 1 to 65536");
        has("token.pin-file", "/nowhere: cannot be read");
        has("token.pin-file", "the PIN has 2 sources; keep one of token.pin-file, token.pin-fd");
        has("log.level", "write one of error, warn, info, debug, trace");
        has("keeper.store", "it is missing");
    }

    #[test]
    fn a_text_that_is_no_toml_is_refused_with_its_line() {
        let found = found("trust = \"t\"\n[front\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].1.starts_with("line 2: "), "{found:?}");
    }
}
