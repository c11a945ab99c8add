//! `fobctl completions`: what a shell needs to complete this command line.

use crate::{exit, fault::Fault, output::Output};
use clap_complete::Shell;
use std::io::Write;

/// Where completions go in each shell.
const EXAMPLES: &str = "\
Examples:
  fobctl completions bash > ~/.local/share/bash-completion/completions/fobctl
  fobctl completions zsh > ~/.zfunc/_fobctl
  fobctl completions fish > ~/.config/fish/completions/fobctl.fish";

/// `fobctl completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

pub(super) fn run<W: Write>(args: &CompletionsArgs, output: &mut Output<W>) -> Result<(), Fault> {
    output.print_text(&script(args.shell))
}

fn script(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut exit::program(), "fobctl", &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_shell_completes_nouns_verbs_and_options() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["job", "suspend", "handed-over", "context"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
