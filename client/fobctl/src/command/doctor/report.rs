//! The lines of `fobctl doctor`: what was looked at, how it is, and the mend.

use crate::{
    fault::Fault,
    output::Report,
    shown::{plain, wrapped},
};
use serde::Serialize;

/// Columns before a line's words: how it is, and what was looked at.
const INDENT: usize = 21;
/// Columns of the words.
const WIDTH: usize = 90;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum How {
    /// As it should be.
    Ok,
    /// It works, and will not for ever.
    Warn,
    /// It must be mended.
    Bad,
    /// It could not be looked at.
    Skipped,
}

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) check: &'static str,
    pub(super) how: How,
    pub(super) text: String,
    /// The mend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
    /// The exit code that it stands for, where it is bad.
    #[serde(skip)]
    code: u8,
}

impl Line {
    pub(super) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, how: How::Ok, text: text.into(), next: None, code: 0 }
    }

    pub(super) fn warn(check: &'static str, text: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, how: How::Warn, text: text.into(), next: Some(next.into()), code: 0 }
    }

    /// Bad with an exit code of its own.
    pub(super) fn bad(
        check: &'static str,
        code: u8,
        text: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { check, how: How::Bad, text: text.into(), next: Some(next.into()), code }
    }

    /// Bad as a command that needs it would say it.
    pub(super) fn fault(check: &'static str, fault: &Fault) -> Self {
        Self::bad(check, fault.exit_code(), fault.to_string(), fault.next())
    }

    pub(super) fn skipped(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, how: How::Skipped, text: text.into(), next: None, code: 0 }
    }

    fn text(&self) -> String {
        let how = match self.how {
            How::Ok => "ok",
            How::Warn => "WARN",
            How::Bad => "BAD",
            How::Skipped => "-",
        };
        let said = moved_in(&plain(&self.text));
        let next = self
            .next
            .as_ref()
            .map(|next| format!("\n{:INDENT$}{}", "", moved_in(&format!("next: {}", plain(next)))));
        format!("{how:<5} {:<14} {said}{}", self.check, next.unwrap_or_default())
    }
}

fn moved_in(text: &str) -> String {
    wrapped(text, WIDTH).replace('\n', &format!("\n{:INDENT$}", ""))
}

/// All checks.
#[derive(Debug, Serialize)]
pub(super) struct DoctorReport {
    persona: String,
    checks: Vec<Line>,
}

impl DoctorReport {
    pub(super) const fn new(persona: String, checks: Vec<Line>) -> Self {
        Self { persona, checks }
    }

    /// The exit code; nothing where all is well. What does not verify is worse than what is wrong on this machine, that
    /// worse than what is refused, and that worse than what is away.
    pub(super) fn worst(&self) -> Option<u8> {
        let bad = |code: u8| self.checks.iter().any(|line| line.how == How::Bad && line.code == code);
        let any = self.checks.iter().any(|line| line.how == How::Bad);
        [6, 2, 3, 4].into_iter().find(|code| bad(*code)).or(any.then_some(1))
    }

    /// The sum in words.
    pub(super) fn end(&self) -> String {
        let count = |how: How| self.checks.iter().filter(|line| line.how == how).count();
        let mut parts = Vec::new();
        for (how, one, more) in [
            (How::Bad, "is bad", "are bad"),
            (How::Warn, "is a warning", "are warnings"),
            (How::Skipped, "could not be made", "could not be made"),
        ] {
            match count(how) {
                0 => {}
                1 => parts.push(format!("1 {one}")),
                many => parts.push(format!("{many} {more}")),
            }
        }
        let all = self.checks.len();
        if parts.is_empty() {
            format!("all {all} checks passed")
        } else {
            format!("of {all} checks {}", parts.join(", "))
        }
    }
}

impl Report for DoctorReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-doctor/1"
    }

    fn text(&self) -> String {
        self.checks.iter().map(Line::text).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: Vec<Line>) -> DoctorReport {
        DoctorReport::new("officer-1".into(), lines)
    }

    #[test]
    fn warnings_end_well_and_what_does_not_verify_weighs_most() {
        let warned = report(vec![Line::ok("trust", "t"), Line::warn("clock", "c", "n")]);
        assert_eq!((warned.worst(), warned.end().as_str()), (None, "of 2 checks 1 is a warning"));
        let away = || Line::bad("service", 4, "s", "n");
        assert_eq!(report(vec![away(), Line::skipped("clock", "c")]).worst(), Some(4));
        let forged = report(vec![away(), Line::bad("trust", 6, "t", "n"), Line::bad("key", 2, "k", "n")]);
        assert_eq!((forged.worst(), forged.end().as_str()), (Some(6), "of 3 checks 3 are bad"));
        assert_eq!(report(vec![Line::ok("trust", "t")]).end(), "all 1 checks passed");
    }

    #[test]
    fn each_line_says_how_it_is_and_the_mend_stands_below() {
        let text =
            report(vec![Line::ok("trust file", "good"), Line::bad("clock", 2, "late", "set it")]).text();
        assert_eq!(
            text,
            "ok    trust file     good\nBAD   clock          late\n                     next: set it"
        );
        let words = "word ".repeat(40);
        let long = report(vec![Line::warn("key", words.trim(), "n")]).text();
        assert!(long.lines().skip(1).all(|line| line.starts_with(&" ".repeat(INDENT))), "{long}");
    }
}
