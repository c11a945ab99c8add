//! One source file: its tokens, which of them are production code, and the module it is.

use crate::tokens::{Token, closing, tokens};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A Rust file of the workspace.
#[derive(Debug)]
pub struct Source {
    /// From the workspace's root, with slashes.
    pub path: String,
    /// Everything.
    pub tokens: Vec<Token>,
    /// Everything but what is compiled for tests alone.
    pub production: Vec<Token>,
    /// How many lines of the file are not for tests alone.
    pub production_lines: usize,
    /// Child modules declared for tests alone.
    test_modules: Vec<String>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let tokens = tokens(text);
        let mut source = Self {
            path: path.to_owned(),
            production: Vec::new(),
            production_lines: text.lines().count(),
            test_modules: Vec::new(),
            tokens,
        };
        source.part();
        source
    }

    /// Tells production code from tests.
    fn part(&mut self) {
        let (mut at, mut counted) = (0, 0);
        while at < self.tokens.len() {
            let Some(after) = test_attribute(&self.tokens, at) else {
                self.production.push(self.tokens[at].clone());
                at += 1;
                continue;
            };
            let end = item_end(&self.tokens, after);
            if let [.., keyword, name, stop] = &self.tokens[after..=end]
                && keyword.is("mod")
                && stop.is(";")
            {
                self.test_modules.push(name.text.clone());
            }
            let (first, last) = (self.tokens[at].line.max(counted + 1), self.tokens[end].line);
            self.production_lines -= (last + 1).saturating_sub(first);
            (at, counted) = (end + 1, last.max(counted));
        }
    }

    /// The folder of the crate, and the module's path within it: none for a crate's root or a file outside `src`.
    pub fn module(&self) -> (&str, Vec<&str>) {
        let Some((folder, file)) = self.path.split_once("/src/") else { return (&self.path, Vec::new()) };
        let mut names: Vec<_> = file.trim_end_matches(".rs").split('/').collect();
        if names.len() == 1 && matches!(names[0], "lib" | "main") || names.last() == Some(&"mod") {
            names.pop();
        }
        (folder, names)
    }

    /// Whether it is part of what ships: under `src`, and not declared for tests alone by one of `all`.
    pub fn is_production(&self, all: &[Self]) -> bool {
        let (folder, names) = self.module();
        let declared_for_tests = all.iter().any(|parent| {
            let (parent_folder, parent_names) = parent.module();
            let child = names.strip_prefix(parent_names.as_slice()).and_then(<[_]>::first);
            parent_folder == folder
                && child.is_some_and(|child| parent.test_modules.iter().any(|name| name == child))
        });
        self.path.contains("/src/") && !declared_for_tests
    }
}

/// Where the item begins that an attribute `#[cfg(test)]` at `at` is on.
fn test_attribute(tokens: &[Token], at: usize) -> Option<usize> {
    let begins = ["#", "[", "cfg", "("];
    if !begins.iter().zip(tokens.get(at..)?).all(|(text, token)| token.is(text))
        || tokens.len() < at + begins.len()
    {
        return None;
    }
    let end = closing(tokens, at + 1);
    let names = |word: &str| tokens[at..end].iter().any(|token| token.is(word));
    if !names("test") || names("not") || names("any") {
        return None;
    }
    let mut next = end + 1;
    while tokens.get(next)?.is("#") {
        next = closing(tokens, next + 1) + 1;
    }
    Some(next)
}

/// The last token of the item, statement, field or variant that begins at `start`.
fn item_end(tokens: &[Token], start: usize) -> usize {
    const ITEMS: [&str; 15] = [
        "pub", "use", "mod", "fn", "impl", "struct", "enum", "trait", "const", "static", "type", "async",
        "extern", "let", "unsafe",
    ];
    let is_item = ITEMS.iter().any(|keyword| tokens[start].is(keyword));
    let braces_end_it = !["use", "let", "const", "static"].iter().any(|keyword| tokens[start].is(keyword))
        && !tokens[start..].iter().take(6).any(|token| token.is("use"));
    let mut at = start;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" if is_item && braces_end_it => return closing(tokens, at),
            "(" | "[" | "{" => at = closing(tokens, at),
            ";" => return at,
            "," if !is_item => return at,
            // The enclosing bracket: a last field without a comma.
            ")" | "]" | "}" => return at - 1,
            _ => {}
        }
        at += 1;
    }
    tokens.len() - 1
}

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file of the workspace; `tests/thumb` is outside of it.
pub fn workspace() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["client", "keysvc", "policies", "softhsm-setup", "tests"] {
        walk(&root(), Path::new(folder), &mut found);
    }
    assert!(found.len() > 100, "only {} source files: the layout has changed", found.len());
    found
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if path != Path::new("tests/thumb") && !path.ends_with("target") {
                walk(root, &path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(Source::new(path.to_str().unwrap(), &fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

#[test]
fn production_ends_where_tests_begin_and_goes_on_after_them() {
    let source = Source::new(
        "a/src/b.rs",
        "use x;\n#[cfg(test)]\nuse y::{z};\nstruct S {\n a: u8,\n #[cfg(test)]\n b: u8,\n}\n#[cfg(test)]\n\
         #[path = \"t\"]\nmod tests {\n fn f() {}\n}\n#[cfg(not(test))]\nfn g() {}\n#[cfg(test)]\nmod h;\n",
    );
    let text: Vec<_> = source.production.iter().map(|token| token.text.as_str()).collect();
    assert_eq!(text.join(""), "usex;structS{a:u8,}#[cfg(not(test))]fng(){}");
    assert_eq!(source.production_lines, 6);
    assert_eq!(source.test_modules, ["h"]);
}

#[test]
fn a_file_is_no_production_code_if_its_module_is_for_tests_or_it_lies_outside_src() {
    let parent = Source::new("a/src/lib.rs", "mod b;\n#[cfg(test)]\nmod h;");
    let sources = [
        parent,
        Source::new("a/src/h/i.rs", ""),
        Source::new("a/src/b.rs", ""),
        Source::new("a/tests/b.rs", ""),
    ];
    let production: Vec<_> = sources.iter().map(|source| source.is_production(&sources)).collect();
    assert_eq!(production, [true, false, true, false]);
    assert_eq!(sources[1].module(), ("a", vec!["h", "i"]));
}
