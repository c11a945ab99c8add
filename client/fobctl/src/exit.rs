//! The exit codes, which of them each command ends with, and the whole command line with both in its help.
//!
//! Apart because help, manual pages and tests read the same table.

use crate::args::Args;
use clap::{Command, CommandFactory as _};

/// The exit codes in words.
pub(crate) const CODES: [(u8, &str); 8] = [
    (0, "done"),
    (1, "a fault of this program or its output"),
    (2, "a wrong command line, configuration or input file"),
    (3, "refused"),
    (4, "the service, the token or a file is not available"),
    (5, "not done yet: it waits for other people, or for its delay"),
    (6, "what came back does not verify: use nothing of it"),
    (7, "conflict: sequence number, balance, counts, idempotency key, or another state than asked for"),
];

/// What 6 means where policies are looked at: they do not hold, or what came back does not.
const UNSOUND: &str = "it does not hold: a check, a case, a statement, or what came back; use nothing of it";

/// The codes a command ends with; the path is its words after the program's name.
pub(crate) fn codes(path: &[&str]) -> Vec<(u8, &'static str)> {
    let ends: &[u8] = match path {
        ["policy", "check" | "prove"] => &[0, 1, 2, 4, 6],
        ["policy", "test"] => &[0, 1, 2, 6],
        ["completions", ..] | ["job", "new"] => &[0, 1, 2],
        ["context" | "manual", ..]
        | ["profile" | "component" | "ceremony", "check"]
        | ["component", "generate"]
        | ["ceremony", "script"] => &[0, 1, 2, 4],
        ["founding", ..] | ["ceremony", "new" | "approve"] | ["job", "agree", ..] => &[0, 1, 2, 3, 4],
        ["proposal", "list" | "show"]
        | ["principal" | "freeze", "list"]
        | ["key" | "profile", "list" | "get"]
        | ["key", "impact"]
        | ["quorum", "show"]
        | ["job", "list" | "show" | "record"]
        | ["card", "check"]
        | ["evidence", ..] => &[0, 1, 2, 3, 4, 6],
        []
        | ["policy"]
        | ["policy", "propose"]
        | [
            "api" | "value" | "proposal" | "principal" | "freeze" | "key" | "component" | "profile"
            | "quorum" | "clock" | "ceremony" | "job" | "card",
            ..,
        ] => &[0, 1, 2, 3, 4, 5, 6, 7],
        _ => &[0, 1, 2, 3, 4, 6],
    };
    let words = |(code, words)| match (code, path) {
        (6, ["policy", ..]) => (code, UNSOUND),
        _ => (code, words),
    };
    CODES.into_iter().filter(|(code, _)| ends.contains(code)).map(words).collect()
}

/// The command line, with the exit codes at the end of each command's help.
pub(crate) fn program() -> Command {
    with_codes(Args::command(), &[])
}

fn with_codes(command: Command, path: &[&str]) -> Command {
    let before = command.get_after_help().map(|after| format!("{after}\n\n"));
    let lines = codes(path).into_iter().map(|(code, words)| format!("\n  {code}  {words}"));
    let text: String = before.into_iter().chain(["Exit codes:".to_owned()]).chain(lines).collect();
    let names: Vec<_> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    names.into_iter().fold(command.after_help(text), |command, name| {
        command.mut_subcommand(&name, |verb| with_codes(verb, &[path, &[name.as_str()]].concat()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_ends_with_success_or_a_usage_error_and_says_so() {
        let mut program = program();
        let export = program.find_subcommand_mut("audit").unwrap().find_subcommand_mut("export").unwrap();
        let help = export.render_help().to_string();
        assert!(help.contains("Exit codes:\n  0  done\n") && help.contains("  6  what came back"), "{help}");
        assert!(!help.contains("  7  conflict"), "{help}");
        for noun in program.get_subcommands() {
            let numbers: Vec<_> = codes(&[noun.get_name()]).into_iter().map(|(code, _)| code).collect();
            assert_eq!(numbers[..3], [0, 1, 2], "{}", noun.get_name());
        }
    }
}
