//! Files of published vectors, run through the product's own code.
//!
//! Apart from the tests that use the same files, because a person may bring their own: whoever doubts the product runs
//! their vectors through it and reads one line a case. What the product takes is never said here: it is called, and what
//! it answers is compared. Judging is [`verdict`]'s, the tokens are [`bench`]'s, each kind of file has a module.

pub mod an10922;
pub mod bench;
pub mod cose_sign1;
pub mod file;
pub mod kcv;
pub mod key_components;
pub mod rfc4493_cmac;
pub mod verdict;

use crate::ground::Failed;
use bench::Bench;
use file::{Case, VectorFile};
use std::{
    fmt::Display,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};
use verdict::{Ran, Tally, Verdict};

/// What a program ends with where there is nothing to run, as for a wrong argument.
const USAGE: u8 = 2;

/// A kind of file: what it calls itself, and who runs a case of it.
struct Scheme {
    name: &'static str,
    run: fn(&Bench, &Case<'_>) -> Ran,
}

/// The kinds of files that the product has code for.
const SCHEMES: [Scheme; 5] = [
    Scheme { name: "NXP AN10922 key diversification", run: an10922::run },
    Scheme { name: "COSE_Sign1 ES256", run: cose_sign1::run },
    Scheme { name: "key check values", run: kcv::run },
    Scheme { name: "XOR key components with KCV", run: key_components::run },
    Scheme { name: "AES-128-CMAC", run: rfc4493_cmac::run },
];

/// Why a run ended before its end.
enum Ended {
    /// There is nothing to run.
    Usage(String),
    /// Something that the run needs failed.
    Failed(Failed),
    /// Whoever reads has had enough.
    Closed,
}

impl From<Failed> for Ended {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        Self::Failed(Failed(format!("standard output: {error}")))
    }
}

/// Runs every file of a folder, in a child that has tokens of its own. What it ends with is the program's exit code.
#[must_use]
pub fn run(folder: &Path) -> ExitCode {
    let ended = match bench::scratch_of_this_process() {
        Some(scratch) => in_child(folder, &scratch),
        None => in_parent(folder),
    };
    match ended {
        Ok(code) => code,
        Err(Ended::Closed) => ExitCode::FAILURE,
        Err(Ended::Usage(why)) => {
            say(&why);
            ExitCode::from(USAGE)
        }
        Err(Ended::Failed(why)) => {
            say(&why);
            ExitCode::FAILURE
        }
    }
}

/// Looks whether there is anything to run before tokens are made for it.
fn in_parent(folder: &Path) -> Result<ExitCode, Ended> {
    let paths = file::paths(folder).map_err(Ended::Usage)?;
    if paths.is_empty() {
        return Err(Ended::Usage(format!(
            "{} holds no *.json; name a folder of vectors, such as tests/vectors",
            folder.display()
        )));
    }
    Ok(bench::again_with_scratch_tokens()?)
}

fn in_child(folder: &Path, scratch: &Path) -> Result<ExitCode, Ended> {
    let bench = Bench::new(scratch)?;
    let mut out = Printed::default();
    for path in file::paths(folder).map_err(Ended::Usage)? {
        match VectorFile::read(&path) {
            Ok(file) => out.file(&bench, &file)?,
            Err(unreadable) => out.unreadable(&unreadable.name, &unreadable.why)?,
        }
    }
    out.total()
}

/// What is printed, and what comes of it.
#[derive(Default)]
struct Printed {
    total: Tally,
    run: usize,
    not_yet: usize,
    unreadable: usize,
}

impl Printed {
    fn file(&mut self, bench: &Bench, file: &VectorFile) -> Result<(), Ended> {
        let Some(scheme) = SCHEMES.iter().find(|scheme| scheme.name == file.scheme) else {
            self.not_yet = self.not_yet.saturating_add(1);
            return put(&format!(
                "{:<11}  {}  ({}): {} cases, none run",
                "not yet",
                file.name,
                file.scheme,
                file.vectors.len()
            ));
        };
        self.run = self.run.saturating_add(1);
        let cases =
            file.vectors.iter().map(|vector| (scheme.run)(bench, &Case { vector, all: &file.vectors }));
        let cases: Vec<_> = cases.collect();
        let width = cases.iter().map(|ran| ran.what.len()).max().unwrap_or(0);
        let mut tally = Tally::default();
        for (number, Ran { what, verdict }) in (1_usize..).zip(&cases) {
            tally.count(verdict);
            self.total.count(verdict);
            put(&line(verdict, &file.name, &format!("{number:>2} {what:<width$}")))?;
        }
        // A known file without a case would otherwise pass for one that held.
        if file.vectors.is_empty() {
            let none = Verdict::PassedOver("the file holds no case".to_owned());
            self.total.count(&none);
            tally.count(&none);
            put(&line(&none, &file.name, "-"))?;
        }
        put(&format!("{:<11}  {}: {tally}", "", file.name))
    }

    fn unreadable(&mut self, name: &str, why: &str) -> Result<(), Ended> {
        self.unreadable = self.unreadable.saturating_add(1);
        let verdict = Verdict::PassedOver(why.to_owned());
        self.total.count(&verdict);
        put(&line(&verdict, name, "-"))
    }

    fn total(self) -> Result<ExitCode, Ended> {
        let unreadable = match self.unreadable {
            0 => String::new(),
            some => format!(", {some} unreadable"),
        };
        put(&format!(
            "{:<11}  {} files run, {} not yet{unreadable}: {}",
            "total", self.run, self.not_yet, self.total
        ))?;
        Ok(if self.total.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn line(verdict: &Verdict, file: &str, case: &str) -> String {
    format!("{:<11}  {file}  {case}  {}", verdict.word(), verdict.why())
}

fn put(line: &str) -> Result<(), Ended> {
    Ok(writeln!(anstream::stdout(), "{}", line.trim_end())?)
}

/// One line to stderr: stdout is for the cases. A closed stderr ends nothing.
fn say(why: &impl Display) {
    let _closed = writeln!(anstream::stderr(), "vectors: {why}");
}
