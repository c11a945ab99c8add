//! A document's blocks of commands. It runs none.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Words a line of a command begins with.
const COMMANDS: [&str; 9] =
    ["$", "fobctl", "fobaudit", "keysvc", "softhsm-setup", "cargo", "apt-get", "systemctl", "sudo"];

/// A document.
#[derive(Debug)]
pub struct Document {
    /// Its path from the workspace.
    pub name: String,
    /// Its blocks of commands, in order.
    pub blocks: Vec<Block>,
}

/// A block of commands.
#[derive(Debug)]
pub enum Block {
    /// A transcript.
    Console(Vec<Step>),
    /// Commands that are not run; the first line.
    Shell(String),
    /// A command that stands in another block.
    Loose(String),
}

/// A command with what it prints.
#[derive(Debug)]
pub struct Step {
    pub command: String,
    pub expected: String,
    /// Whether the exit code is shown next, so that the command may fail.
    pub status_follows: bool,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every document that tells people what to type.
pub fn all() -> Vec<Document> {
    let mut names = vec!["README.md".to_owned()];
    for file in fs::read_dir(root().join("docs")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        // A picture of the code, with the programs' names in it.
        if name.ends_with(".md") && name != "ARCHITECTURE.md" {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    names.iter().map(|name| Document::read(name)).collect()
}

impl Document {
    pub fn read(name: &str) -> Self {
        Self::parse(name, &fs::read_to_string(root().join(name)).unwrap())
    }

    pub fn parse(name: &str, text: &str) -> Self {
        let mut blocks = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(kind) = line.strip_prefix("```") {
                let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
                match kind {
                    "console" => blocks.push(Block::Console(steps(&block))),
                    "sh" => blocks.push(Block::Shell(block.first().unwrap_or(&"").to_string())),
                    _ => blocks.extend(block.iter().filter_map(|line| loose(line))),
                }
            } else if line.starts_with("    ") {
                blocks.extend(loose(line));
            }
        }
        Self { name: name.to_owned(), blocks }
    }
}

fn loose(line: &str) -> Option<Block> {
    let first = line.split_whitespace().next()?;
    COMMANDS.contains(&first).then(|| Block::Loose(line.trim().to_owned()))
}

fn steps(lines: &[&str]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in lines {
        if let Some(command) = line.strip_prefix("$ ") {
            if let Some(before) = steps.last_mut() {
                before.status_follows = command == "echo $?";
            }
            steps.push(Step { command: command.to_owned(), expected: String::new(), status_follows: false });
        } else {
            let step = steps.last_mut().expect("a transcript begins with a command");
            if step.expected.is_empty() && goes_on(&step.command) {
                step.command.push('\n');
                step.command.push_str(line);
            } else {
                step.expected.push_str(line);
                step.expected.push('\n');
            }
        }
    }
    steps
}

/// Whether a command goes on below, as in a shell: after a backslash, and until the END of a here-document.
fn goes_on(command: &str) -> bool {
    command.ends_with('\\') || (command.contains("<<END") && !command.ends_with("\nEND"))
}

impl Block {
    /// The commands of a transcript.
    pub fn steps(&self) -> Option<&[Step]> {
        match self {
            Self::Console(steps) => Some(steps),
            _ => None,
        }
    }
}
