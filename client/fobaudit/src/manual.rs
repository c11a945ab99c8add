//! Manual pages and shell completions, made from the command line's own definition.
//!
//! One page for the program and one for each command; the exit codes come from the same text that `--help` prints.

use crate::{args::Args, fault::Fault, output::write_file};
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What the writer of pages begins with: how an apostrophe is written.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";
/// Section of the manual for programs.
const SECTION: &str = "1";

/// The completions for a shell.
///
/// # Errors
/// [`Fault`] when they are no text.
pub(crate) fn completions(shell: Shell) -> Result<String, Fault> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "fobaudit", &mut script);
    String::from_utf8(script).map_err(|error| Fault::Output(io::Error::other(error)))
}

/// Writes the pages into a folder, which is made where it is not there, and names them.
///
/// # Errors
/// [`Fault`] when one cannot be written.
pub(crate) fn write_pages(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    fs::create_dir_all(folder).map_err(|source| Fault::Unwritable { path: folder.to_path_buf(), source })?;
    let mut written = Vec::new();
    for (name, page) in pages().map_err(Fault::Output)? {
        let path = folder.join(format!("{name}.{SECTION}"));
        write_file(&path, &page)?;
        written.push(path);
    }
    Ok(written)
}

/// The pages by name: the program's first.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut program = Args::command().disable_help_subcommand(true);
    program.build();
    let mut pages = vec![("fobaudit".to_owned(), page(program.clone())?)];
    for command in program.get_subcommands() {
        let name = format!("fobaudit-{}", command.get_name());
        pages.push((name, page(command.clone())?));
    }
    Ok(pages)
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let codes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let version = format!("fobaudit {}", env!("CARGO_PKG_VERSION"));
    let has_commands = command.has_subcommands();
    let man = Man::new(command).section(SECTION).source(version).manual("keysvc");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    exit_status(&codes).to_writer(&mut page)?;
    Ok(once(&page))
}

/// The page with its preamble once, which comes before each section.
fn once(page: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(page);
    let rest = text.replace(PREAMBLE, "");
    if rest.len() == text.len() { page.to_vec() } else { [PREAMBLE, &rest].concat().into_bytes() }
}

/// The section on exit codes, from the lines "  code  meaning" of the help.
fn exit_status(help: &str) -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["EXIT STATUS"]);
    for line in help.lines() {
        if let Some((code, meaning)) = line.trim().split_once("  ") {
            section.control("TP", []);
            section.text([bold(code)]);
            section.text([roman(meaning)]);
        }
    }
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_that_names_its_exit_codes() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("man");
        let written = write_pages(&folder).unwrap();
        let commands: Vec<_> = Args::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        assert_eq!(written.len(), commands.len() + 1);
        for name in
            ["fobaudit".to_owned()].into_iter().chain(commands.iter().map(|c| format!("fobaudit-{c}")))
        {
            let page = fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
            assert!(page.contains(&format!(".TH {name} 1")), "{page}");
            assert!(page.contains(".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\n"), "{page}");
            assert_eq!(page.matches(PREAMBLE).count(), 1, "{page}");
            assert!(page.contains("\\fB1\\fR\na fault of this program or its output\n"), "{page}");
        }
        let verify = fs::read_to_string(folder.join("fobaudit-verify.1")).unwrap();
        assert!(verify.contains("\\fB6\\fR\nnot verified: the reasons are printed\n"), "{verify}");
        assert!(verify.contains("\\fB\\-\\-previous\\fR"), "{verify}");
    }

    #[test]
    fn every_shell_completes_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let script = completions(shell).unwrap();
            for command in Args::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }
}
