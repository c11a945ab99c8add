//! `fobctl manual`: the manual pages, one for each command, out of the same definition as the help.

use crate::{
    exit,
    fault::Fault,
    output::{Output, Report, tell},
    shown::rows,
};
use clap::{Command, CommandFactory as _};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};
use serde::Serialize;
use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

/// `fobctl manual`.
#[derive(Debug, clap::Args)]
pub(crate) struct ManualArgs {
    /// The folder; made where it is missing. Pages of these names in it are replaced.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Serialize)]
struct ManualReport {
    folder: String,
    pages: Vec<String>,
}

/// A page: its file name and its text.
struct Page {
    file: String,
    text: Vec<u8>,
}

pub(super) fn run<W: Write>(args: &ManualArgs, output: &mut Output<W>) -> Result<(), Fault> {
    let fault = |path: PathBuf| move |source| Fault::File { doing: "write", path, source };
    let pages = pages().map_err(Fault::Output)?;
    fs::create_dir_all(&args.folder).map_err(fault(args.folder.clone()))?;
    for page in &pages {
        let path = args.folder.join(&page.file);
        fs::write(&path, &page.text).map_err(fault(path))?;
    }
    output.print(&ManualReport {
        folder: args.folder.display().to_string(),
        pages: pages.into_iter().map(|page| page.file).collect(),
    })?;
    tell(&format_args!("next: `man {}`", args.folder.join("fobctl.1").display()));
    Ok(())
}

/// All pages, the program's own first.
fn pages() -> io::Result<Vec<Page>> {
    let mut program = crate::args::Args::command().disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    collect(&program, &[], &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, path: &[&str], pages: &mut Vec<Page>) -> io::Result<()> {
    pages.push(page(command, path)?);
    // A hidden command is another command's own.
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        collect(verb, &[path, &[verb.get_name()]].concat(), pages)?;
    }
    Ok(())
}

fn page(command: &Command, path: &[&str]) -> io::Result<Page> {
    let name = [&["fobctl"], path].concat().join("-");
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .manual("keysvc")
        .source(concat!("fobctl ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut text)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    if let Some(after) = command.get_after_help() {
        examples(&after.to_string()).to_writer(&mut text)?;
    }
    exit_status(path).to_writer(&mut text)?;
    Ok(Page { file: format!("{name}.1"), text })
}

fn exit_status(path: &[&str]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, words) in exit::codes(path) {
        roff.control("TP", []);
        roff.text([roman(code.to_string())]);
        roff.text([roman(words)]);
    }
    roff
}

fn examples(text: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in text.lines().filter(|line| *line != "Examples:") {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

impl Report for ManualReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-manual/1"
    }

    fn text(&self) -> String {
        rows([("folder", self.folder.clone()), ("pages", self.pages.len().to_string())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of every command, its nouns alone too.
    fn paths(command: &Command, path: &[String]) -> Vec<Vec<String>> {
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        let below = verbs.flat_map(|verb| paths(verb, &[path, &[verb.get_name().to_owned()]].concat()));
        std::iter::once(path.to_vec()).chain(below).collect()
    }

    #[test]
    fn every_command_has_a_page_with_its_exit_codes() {
        let pages = pages().unwrap();
        let paths = paths(&exit::program(), &[]);
        assert_eq!(pages.len(), paths.len());
        assert!(pages.len() > 15, "{}", pages.len());
        for path in paths {
            let name = std::iter::once("fobctl").chain(path.iter().map(String::as_str)).collect::<Vec<_>>();
            let file = format!("{}.1", name.join("-"));
            let page = pages.iter().find(|page| page.file == file).unwrap_or_else(|| panic!("no {file}"));
            let text = str::from_utf8(&page.text).unwrap();
            let (before, status) = text.split_once(".SH \"EXIT STATUS\"").unwrap();
            for section in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
                assert!(before.contains(section), "{file} has no {section}");
            }
            let words: Vec<_> = path.iter().map(String::as_str).collect();
            for (code, meaning) in exit::codes(&words) {
                assert!(status.contains(&format!(".TP\n{code}\n{meaning}")), "{file}: {status}");
            }
        }
    }

    #[test]
    fn examples_have_a_section_of_their_own() {
        let pages = pages().unwrap();
        let api = pages.iter().find(|page| page.file == "fobctl-api.1").unwrap();
        let text = str::from_utf8(&api.text).unwrap();
        assert!(text.contains(".SH EXAMPLES\n.nf\n"), "{text}");
    }
}
