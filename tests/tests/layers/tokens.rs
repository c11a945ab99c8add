//! Rust source as tokens: words and punctuation with their lines; comments gone, literals reduced to a mark.
//!
//! Apart because every rule reads tokens, so that no comment or string can break a rule or keep it. It knows only as
//! much of the language as that takes.

/// What stands for any string, character or number.
pub const LITERAL: &str = "\"";

/// A word, one character of punctuation, or [`LITERAL`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    /// From 1.
    pub line: usize,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Splits source text into its tokens.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: source, line: 1, found: Vec::new() };
    while !lexer.rest.is_empty() {
        lexer.step();
    }
    lexer.found
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    found: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let first = self.rest.chars().next().unwrap();
        if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.skip(block_comment(self.rest));
        } else if let Some(length) = string(self.rest).or_else(|| character(self.rest)) {
            self.keep(LITERAL, length);
        } else if first == '\'' {
            // A lifetime: its name says nothing here.
            self.skip(1 + word(&self.rest[1..]));
        } else if first.is_ascii_digit() {
            self.keep(LITERAL, word(self.rest));
        } else if word(self.rest) > 0 {
            let length = word(self.rest);
            let text = self.rest[..length].to_owned();
            self.keep(&text, length);
        } else {
            self.keep(&first.to_string(), first.len_utf8());
        }
    }

    fn keep(&mut self, text: &str, length: usize) {
        self.found.push(Token { text: text.to_owned(), line: self.line });
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

/// Length of the word or number at the start.
fn word(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// Length of the comment at the start; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().unwrap().len_utf8();
        }
    }
    at
}

/// Length of the string at the start, with its prefix.
fn string(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| {
            rest.starts_with('"') || (prefix.ends_with('r') && rest.trim_start_matches('#').starts_with('"'))
        })
    })?;
    let rest = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let body = hashes + 1;
        let length = rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len());
        return Some(prefix.len() + length);
    }
    Some(prefix.len() + quoted(rest, '"'))
}

/// Length of the character at the start, if it is not a lifetime.
fn character(text: &str) -> Option<usize> {
    let prefix = usize::from(text.starts_with("b'"));
    let rest = &text[prefix..];
    let mut characters = rest.strip_prefix('\'')?.chars();
    let escaped = characters.next()? == '\\';
    (escaped || characters.next() == Some('\'')).then(|| prefix + quoted(rest, '\''))
}

/// Length of what stands between two of `quote`, with both.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// Where the bracket that opens at `open` closes: the index of the closing token.
pub fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len().saturating_sub(1)
}

#[test]
fn comments_and_literals_hide_nothing_and_show_nothing() {
    let source = "a /* b /* c */ d */ e // f\n\"g \\\" h\" r#\"i \" j\"# 'k' '\\'' b'l' b\"m\" 'n: o::p 1_000u8 \"\n\" q";
    let texts: Vec<_> = tokens(source).into_iter().map(|token| token.text).collect();
    let expected = "a e \" \" \" \" \" \" : o : : p \" \" q";
    assert_eq!(texts.join(" "), expected);
    assert_eq!(tokens(source).last().unwrap().line, 3);
}

#[test]
fn a_bracket_closes_where_its_own_kind_does() {
    assert_eq!(closing(&tokens("a(b[c]{d})e"), 1), 9);
}
