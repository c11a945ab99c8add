//! The rules that one file can break, each a function from sources to findings. A finding is a line for a person.

use crate::{paths, source::Source, tokens::Token};

/// Most lines of production code in a file.
pub const LINES_MAX: usize = 400;

/// A crate from outside, and the only places that may name it (a file, a folder, or a file with its folder).
pub struct Confined {
    pub crates: &'static [&'static str],
    pub places: &'static [&'static str],
}

/// Files that name a confined crate without being its place.
pub fn confined(rule: &Confined, sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in
        sources.iter().filter(|source| !rule.places.iter().any(|place| lies_in(&source.path, place)))
    {
        for token in source.tokens.iter().filter(|token| rule.crates.iter().any(|name| token.is(name))) {
            found.push(finding(
                source,
                token.line,
                &format!("only {:?} may name {}", rule.places, token.text),
            ));
        }
    }
    found
}

/// Whether the file is the place, or lies in the folder of its name.
fn lies_in(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest == ".rs")
}

/// Files of module `from` that name the module `to`; both are paths from the crate's root.
pub fn forbidden_arrow(from: &str, to: &str, sources: &[Source]) -> Vec<String> {
    let (from, to): (Vec<_>, Vec<_>) = (from.split("::").collect(), to.split("::").collect());
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.module().1.starts_with(&from)) {
        for (path, line) in paths::named(source) {
            if path.len() >= to.len() && path.iter().zip(&to).all(|(name, to)| name == to) {
                found.push(finding(
                    source,
                    line,
                    &format!("{} may not name {}", from.join("::"), to.join("::")),
                ));
            }
        }
    }
    found
}

/// Modules of `parent` that name one which is not below them. `tiers` go from top to bottom; modules of one tier may not
/// name each other, but for the first tier, which puts all together.
pub fn downwards(parent: &str, tiers: &[&[&str]], sources: &[Source]) -> Vec<String> {
    let tier = |name: &str| tiers.iter().position(|tier| tier.contains(&name));
    let mut found = Vec::new();
    for source in sources {
        let (_, module) = source.module();
        let [first, from, ..] = module[..] else { continue };
        if first != parent {
            continue;
        }
        let Some(above) = tier(from) else {
            found.push(finding(source, 1, &format!("the module {from} has no place in the order")));
            continue;
        };
        for (path, line) in paths::named(source) {
            let [first, to, ..] = &path[..] else { continue };
            if first != parent || to == from {
                continue;
            }
            if tier(to).is_none_or(|below| below < above || (below == above && above != 0)) {
                found.push(finding(
                    source,
                    line,
                    &format!("{from} may not name {to}, which is not below it"),
                ));
            }
        }
    }
    found
}

/// Places outside of `makers` that construct one of `proofs`.
pub fn forged(proofs: &[&str], makers: &[&str], sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !makers.iter().any(|maker| lies_in(&source.path, maker))) {
        for (at, pair) in source.tokens.windows(2).enumerate() {
            let named = proofs.iter().any(|proof| pair[0].is(proof)) && pair[1].is("{");
            if named && constructs(&source.tokens[..at]) {
                found.push(finding(source, pair[0].line, &format!("{} is made here", pair[0].text)));
            }
        }
    }
    found
}

/// Whether a name followed by a brace, after these tokens, makes a value: not a declaration, an `impl` or a return type,
/// nor a variant of another type.
fn constructs(before: &[Token]) -> bool {
    let mut before = before;
    while let [rest @ .., parent, colon, colon_too] = before
        && colon.is(":")
        && colon_too.is(":")
    {
        if parent.text.starts_with(char::is_uppercase) && !parent.is("Self") {
            return false;
        }
        before = rest;
    }
    let declares = |token: &Token| {
        ["struct", "enum", "union", "trait", "mod", "impl", "for"].iter().any(|keyword| token.is(keyword))
    };
    match before {
        [.., dash, arrow] if dash.is("-") && arrow.is(">") => false,
        [.., last] => !declares(last),
        [] => true,
    }
}

/// Every `unsafe`, in tests too.
pub fn unsafe_code(sources: &[Source]) -> Vec<String> {
    let each = |source: &Source| {
        let lines: Vec<_> =
            source.tokens.iter().filter(|token| token.is("unsafe")).map(|token| token.line).collect();
        lines.into_iter().map(|line| finding(source, line, "unsafe")).collect::<Vec<_>>()
    };
    sources.iter().flat_map(each).collect()
}

/// Every `allow` of a lint, in tests too.
pub fn allowed_lints(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for three in source.tokens.windows(3) {
            // After a bracket or a comma: also within cfg_attr.
            let opens = three[0].is("[") || three[0].is(",");
            if opens && three[1].is("allow") && three[2].is("(") {
                found.push(finding(source, three[1].line, "allow: use expect, with a reason"));
            }
        }
    }
    found
}

/// Production code that prints past its program's `Output`.
pub fn prints(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_production(sources)) {
        for two in source.production.windows(2) {
            let prints = ["println", "eprintln", "print", "eprint", "dbg"].iter().any(|name| two[0].is(name));
            if prints && two[1].is("!") {
                found.push(finding(
                    source,
                    two[0].line,
                    &format!("{}!: programs print through Output", two[0].text),
                ));
            }
        }
    }
    found
}

/// Files with too much production code.
pub fn too_long(sources: &[Source]) -> Vec<String> {
    let long =
        sources.iter().filter(|source| source.is_production(sources) && source.production_lines > LINES_MAX);
    long.map(|source| format!("{}: {} lines of production code", source.path, source.production_lines))
        .collect()
}

fn finding(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", source.path)
}
