//! Who answers a ceremony's questions: people at the terminal, a file of answers, or the rehearsal itself.
//!
//! The questions are the same for all three, so that a rehearsal and a test walk the way that people walk.

use crate::{
    ceremony::words,
    confirm,
    fault::Fault,
    file,
    output::{LOUD, tell},
};
use keysvc_client::protocol::{
    bytes::Digest,
    ceremony::Text,
    name::{Name, Reason},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, Read as _},
    path::{Path, PathBuf},
};

/// Longest file of answers, in bytes: 64 steps with a deviation of 200 bytes each, and comments.
const FILE_LEN_MAX: usize = 64 * 1024;
/// Longest line that is read from the terminal, in bytes: a deviation, and its line feed.
const LINE_LEN_MAX: u64 = 256;
/// Most letters of somebody's initials.
const INITIALS_MAX: usize = 8;
/// The rehearsal's own initials.
const REHEARSED: &str = "RH";

/// What becomes of a step that could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AfterFailure {
    /// The ceremony stops here; started again it tries the step again.
    Stop,
    /// It is tried again at once.
    Retry,
    /// The step is recorded as failed, and the ceremony goes on.
    Record,
}

/// Who answers.
#[derive(Debug)]
pub(crate) enum Answerer {
    /// People at the terminal.
    Terminal,
    /// A file, for scripts and tests.
    File(Answers),
    /// The rehearsal.
    Rehearsal,
}

/// A file of answers.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Answers {
    /// The ceremony is interrupted on purpose once this step is recorded.
    #[serde(default)]
    stop_after: Option<u16>,
    /// Initials of people, where they are not the first letters of their names' parts.
    #[serde(default)]
    initials: BTreeMap<Name, String>,
    /// The steps with answers of their own.
    #[serde(default)]
    steps: Vec<StepAnswers>,
    /// The file's folder: where files named in it are looked for.
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StepAnswers {
    /// The step's number.
    number: u16,
    #[serde(default)]
    initials: Option<String>,
    /// What was not as planned.
    #[serde(default)]
    deviation: Option<Reason>,
    /// A file with the component that the step enters, for tests with components that are no secret.
    #[serde(default)]
    component_file: Option<PathBuf>,
    /// What becomes of it when it cannot be done; it stops where nothing is said.
    #[serde(default)]
    on_failure: Option<AfterFailure>,
}

impl Answers {
    /// Reads a file of answers.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be read or is no such file.
    pub(crate) fn read(path: &Path) -> Result<Self, Fault> {
        let bytes = file::read(path, FILE_LEN_MAX)?;
        let mut answers = Self::parse(&bytes).map_err(|why| {
            let what = format!("{} is not a file of answers: {why}", path.display());
            Fault::usage(what, "correct the file, or leave --answers out to be asked")
        })?;
        path.parent().unwrap_or(Path::new("")).clone_into(&mut answers.folder);
        Ok(answers)
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
        let answers: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let stated = answers.steps.iter().filter_map(|step| step.initials.as_ref());
        for initials in stated.chain(answers.initials.values()) {
            checked_initials(initials).ok_or_else(|| format!("'{initials}': initials are 1 to 8 letters"))?;
        }
        Ok(answers)
    }

    fn step(&self, number: u16) -> Option<&StepAnswers> {
        self.steps.iter().find(|step| step.number == number)
    }
}

impl Answerer {
    /// Waits until the person is ready.
    ///
    /// # Errors
    /// [`Fault`] where nobody answers any more.
    pub(crate) fn go_on(&self, person: &Name) -> Result<(), Fault> {
        if matches!(self, Self::Terminal) {
            tell(&format_args!("{person}: press Enter to go on; Ctrl-C interrupts the ceremony"));
            line()?;
        }
        Ok(())
    }

    /// Has somebody at the terminal type the first group of a digest before it is signed. What answers for others has
    /// been told the digest by them.
    ///
    /// # Errors
    /// [`Fault::OtherDigest`] for anything else.
    pub(crate) fn confirm(&self, digest: &Digest) -> Result<(), Fault> {
        match self {
            Self::Terminal => confirm::digest(&digest.to_string(), None),
            Self::File(_) | Self::Rehearsal => Ok(()),
        }
    }

    /// The person's initials under a step.
    ///
    /// # Errors
    /// [`Fault`] where nobody answers any more.
    pub(crate) fn initials(&self, number: u16, person: &Name) -> Result<Text, Fault> {
        let suggested = || Text::lossy(&words::initials(person.as_str()));
        match self {
            Self::Rehearsal => Ok(Text::lossy(REHEARSED)),
            Self::File(answers) => {
                let own = answers.step(number).and_then(|step| step.initials.as_ref());
                let stated = own.or_else(|| answers.initials.get(person));
                Ok(stated.and_then(|text| checked_initials(text)).unwrap_or_else(suggested))
            }
            Self::Terminal => loop {
                tell(&format_args!("{person}: your initials:"));
                match checked_initials(line()?.trim()) {
                    Some(initials) => return Ok(initials),
                    None => tell(&"initials are 1 to 8 letters or digits"),
                }
            },
        }
    }

    /// What was not as planned.
    ///
    /// # Errors
    /// [`Fault`] where nobody answers any more.
    pub(crate) fn deviation(&self, number: u16) -> Result<Option<Reason>, Fault> {
        match self {
            Self::Rehearsal => Ok(None),
            Self::File(answers) => Ok(answers.step(number).and_then(|step| step.deviation.clone())),
            Self::Terminal => loop {
                tell(&"was anything not as planned? (empty = no)");
                let typed = line()?;
                match typed.trim() {
                    "" => return Ok(None),
                    text => match text.parse() {
                        Ok(deviation) => return Ok(Some(deviation)),
                        Err(_) => tell(&"say it in 1 to 200 plain characters"),
                    },
                }
            },
        }
    }

    /// What becomes of a step that could not be done.
    ///
    /// # Errors
    /// [`Fault`] where nobody answers any more.
    pub(crate) fn after_failure(&self, number: u16, why: &str) -> Result<AfterFailure, Fault> {
        match self {
            Self::Rehearsal => Ok(AfterFailure::Stop),
            Self::File(answers) => {
                let stated = answers.step(number).and_then(|step| step.on_failure);
                // A file gives the same answer for ever: one that says retry would never end.
                Ok(stated.filter(|after| *after != AfterFailure::Retry).unwrap_or(AfterFailure::Stop))
            }
            Self::Terminal => loop {
                tell(&format_args!("{LOUD}step {number} was not done: {why}{LOUD:#}"));
                tell(&"type retry, failed (recorded so, and the ceremony goes on) or stop:");
                match line()?.trim() {
                    "retry" => return Ok(AfterFailure::Retry),
                    "failed" => return Ok(AfterFailure::Record),
                    "stop" => return Ok(AfterFailure::Stop),
                    _ => {}
                }
            },
        }
    }

    /// Whether the ceremony is to be interrupted once this step is recorded.
    pub(crate) fn stops_after(&self, number: u16) -> bool {
        matches!(self, Self::File(answers) if answers.stop_after == Some(number))
    }

    /// The file with the component that a step enters, where a file answers.
    pub(crate) fn component_file(&self, number: u16) -> Option<PathBuf> {
        let Self::File(answers) = self else { return None };
        let named = answers.step(number)?.component_file.as_ref()?;
        Some(answers.folder.join(named))
    }
}

/// One line from the terminal.
fn line() -> Result<String, Fault> {
    let mut line = String::new();
    let read = io::stdin().lock().take(LINE_LEN_MAX).read_line(&mut line);
    match read {
        Ok(read) if read > 0 => Ok(line),
        _ => Err(Fault::usage(
            "nobody answers: the ceremony is interrupted",
            "run the same command again on a terminal, or with --answers FILE; it goes on with this step",
        )),
    }
}

fn checked_initials(text: &str) -> Option<Text> {
    let good = (1..=INITIALS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if good { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
stop-after = 3

[initials]
officer-1 = "AB"

[[steps]]
number = 2
initials = "X2"
deviation = "the seal of the bag was torn"

[[steps]]
number = 4
on-failure = "record"
component-file = "c1"
"#;

    fn answerer() -> Answerer {
        Answerer::File(Answers { folder: "/answers".into(), ..Answers::parse(FILE.as_bytes()).unwrap() })
    }

    #[test]
    fn a_file_answers_for_its_steps_and_people_and_names_suggest_the_rest() {
        let (answerer, officer, bob) = (answerer(), "officer-1".parse().unwrap(), "bob-2".parse().unwrap());
        let initials = |number, person| answerer.initials(number, person).unwrap().to_string();
        assert_eq!(initials(1, &officer), "AB");
        assert_eq!(initials(2, &officer), "X2");
        assert_eq!(initials(1, &bob), "B2");
        assert_eq!(answerer.deviation(2).unwrap().unwrap().as_str(), "the seal of the bag was torn");
        assert_eq!(answerer.deviation(1).unwrap(), None);
        assert!(answerer.stops_after(3) && !answerer.stops_after(2));
        assert_eq!(answerer.component_file(4).unwrap(), Path::new("/answers/c1"));
        assert_eq!(answerer.after_failure(4, "").unwrap(), AfterFailure::Record);
        assert_eq!(answerer.after_failure(1, "").unwrap(), AfterFailure::Stop);
    }

    #[test]
    fn the_rehearsal_signs_with_initials_of_its_own_and_sees_nothing_odd() {
        let person = "officer-1".parse().unwrap();
        assert_eq!(Answerer::Rehearsal.initials(1, &person).unwrap().as_str(), "RH");
        assert_eq!(Answerer::Rehearsal.deviation(1).unwrap(), None);
        assert!(!Answerer::Rehearsal.stops_after(1));
    }

    #[test]
    fn unknown_keys_and_initials_that_are_none_are_refused() {
        let why = |text: &str| Answers::parse(text.as_bytes()).unwrap_err();
        assert!(why("surprise = 1").contains("surprise"));
        assert!(why("[initials]\nbob = \"\"").contains("1 to 8"));
        assert!(why("[initials]\nbob = \"ABCDEFGHI\"").contains("1 to 8"));
        assert!(why("[[steps]]\nnumber = 1\ninitials = \"a b\"").contains("1 to 8"));
    }
}
