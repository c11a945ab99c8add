//! The paths that a file names, in `use` and in expressions, made absolute within the crate.

use crate::{
    source::Source,
    tokens::{Token, closing},
};

/// A path from the crate's root (without `crate`), and the line that names it.
pub type Named = (Vec<String>, usize);

/// Every path of the file's production code that begins with `crate`, `super` or `self`.
pub fn named(source: &Source) -> Vec<Named> {
    let tokens = &source.production;
    let (_, module) = source.module();
    let (mut found, mut end) = (Vec::new(), 0);
    for at in 0..tokens.len() {
        // A `super` within a group goes on from the group's path: the tree has read it.
        if at < end {
            continue;
        }
        let goes_on = at >= 2 && tokens[at - 1].is(":") && tokens[at - 2].is(":");
        if !goes_on && matches!(tokens[at].text.as_str(), "crate" | "super" | "self") {
            let mut paths = Vec::new();
            end = tree(tokens, at, &[], &mut paths);
            found.extend(paths.iter().map(|path| (absolute(path, &module), tokens[at].line)));
        }
    }
    found
}

/// Collects the paths of the tree at `at`, each after `prefix`; where the tree ends.
fn tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        if token.is("{") {
            let end = closing(tokens, at);
            let mut element = at + 1;
            while element < end {
                tree(tokens, element, &path, found);
                element = element_end(tokens, element, end) + 1;
            }
            return end;
        }
        if !token.is_word() {
            break;
        }
        path.push(token.text.clone());
        if !(tokens.get(at + 1).is_some_and(|next| next.is(":"))
            && tokens.get(at + 2).is_some_and(|next| next.is(":")))
        {
            break;
        }
        at += 3;
    }
    found.push(path);
    at + 1
}

/// Where the element of a group ends: at its comma, or at the group's end.
fn element_end(tokens: &[Token], mut at: usize, end: usize) -> usize {
    while at < end && !tokens[at].is(",") {
        at = if tokens[at].is("{") { closing(tokens, at) + 1 } else { at + 1 };
    }
    at
}

fn absolute(path: &[String], module: &[&str]) -> Vec<String> {
    let mut here: Vec<String> = module.iter().map(ToString::to_string).collect();
    for (at, name) in path.iter().enumerate() {
        match name.as_str() {
            "crate" if at == 0 => here.clear(),
            "self" => {}
            "super" => {
                here.pop();
            }
            _ => here.push(name.clone()),
        }
    }
    here
}

#[test]
fn paths_are_found_in_groups_and_in_expressions_and_are_absolute() {
    let source = Source::new(
        "k/src/keeper/ledger/rows.rs",
        "use super::{a::{B, self}, super::gate::Permit as P};\nuse crate::link;\nfn f() { super::super::query::g::<u8>() }",
    );
    let paths: Vec<_> =
        named(&source).iter().map(|(path, line)| format!("{}@{line}", path.join("::"))).collect();
    let expected = [
        "keeper::ledger::a::B@1",
        "keeper::ledger::a@1",
        "keeper::gate::Permit@1",
        "link@2",
        "keeper::query::g@3",
    ];
    assert_eq!(paths, expected);
}
