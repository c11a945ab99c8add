//! The command line as it was typed, so that advice can show the exact command to send instead.

use std::{env, fmt};

/// A command line, word by word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Typed(Vec<String>);

impl Typed {
    /// This program's own command line, by the program's name alone.
    pub(crate) fn of_process() -> Self {
        let words = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
        Self(std::iter::once("fobctl".to_owned()).chain(words).collect())
    }

    /// The same with this option set to `value`, wherever it stood; at the end where it was not given.
    pub(crate) fn with(mut self, option: &str, value: &str) -> Self {
        let joined = format!("{option}=");
        match self.0.iter().position(|word| word == option || word.starts_with(&joined)) {
            Some(place) if self.0.get(place).is_some_and(|word| word == option) => {
                if let Some(word) = self.0.get_mut(place.saturating_add(1)) {
                    value.clone_into(word);
                }
            }
            Some(place) => {
                if let Some(word) = self.0.get_mut(place) {
                    *word = format!("{joined}{value}");
                }
            }
            None => self.0.extend([option.to_owned(), value.to_owned()]),
        }
        self
    }

    /// The same with the first word that is `word` replaced.
    pub(crate) fn replacing(mut self, word: &str, by: &str) -> Self {
        if let Some(found) = self.0.iter_mut().find(|found| *found == word) {
            by.clone_into(found);
        }
        self
    }

    /// The same without this option and its value.
    pub(crate) fn without(mut self, option: &str) -> Self {
        let joined = format!("{option}=");
        if let Some(place) = self.0.iter().position(|word| word == option || word.starts_with(&joined)) {
            let words = if self.0.get(place).is_some_and(|word| word == option) { 2 } else { 1 };
            self.0.drain(place..place.saturating_add(words).min(self.0.len()));
        }
        self
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, word) in self.0.iter().enumerate() {
            let space = if place > 0 { " " } else { "" };
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,+@%".contains(&byte);
            if !word.is_empty() && word.bytes().all(plain) {
                write!(f, "{space}{word}")?;
            } else {
                // Single quotes, as a shell reads them back.
                write!(f, "{space}'{}'", word.replace('\'', "'\\''"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
impl Typed {
    /// A command line of these words.
    pub(crate) fn new(words: &[&str]) -> Self {
        Self(words.iter().map(|word| (*word).to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_replaced_where_it_stood_in_either_form() {
        let typed = Typed::new(&["fobctl", "value", "load", "--seq", "1", "--balance=0.00"]);
        let mended = typed.with("--seq", "4").with("--balance", "12.34").with("--txn", "00");
        assert_eq!(mended.to_string(), "fobctl value load --seq 4 --balance=12.34 --txn 00");
        assert_eq!(mended.without("--seq").without("--balance").to_string(), "fobctl value load --txn 00");
    }

    #[test]
    fn a_word_is_replaced_where_it_stands() {
        let typed = Typed::new(&["fobctl", "value", "batch", "a.csv", "--out-dir", "a"]);
        assert_eq!(typed.replacing("a.csv", "a/b.csv").to_string(), "fobctl value batch a/b.csv --out-dir a");
    }

    #[test]
    fn what_a_shell_would_split_or_expand_is_quoted() {
        let typed = Typed::new(&["fobctl", "--out", "my file", "", "it's", "$HOME"]);
        assert_eq!(typed.to_string(), r"fobctl --out 'my file' '' 'it'\''s' '$HOME'");
    }
}
