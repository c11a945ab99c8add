//! What was found out about a set, as a proposal carries it and as files that people keep.

use super::{compared::Compared, replay::Replayed};
use crate::{
    fault::Fault,
    file::{self, Readers},
};
use keysvc_client::protocol::{
    list::List,
    name::{REASON_LEN_MAX, Reason},
    request::ReportLines,
};
use keysvc_prover::Proof;
use std::{fs, path::Path};

/// Longest line of a report in a proposal, in bytes.
pub(crate) const REASON: usize = REASON_LEN_MAX;
/// Most lines of a report in a proposal.
const LINES_MAX: usize = 16;

/// What stands for a character that a proposal's lines do not hold.
const OTHER: char = '?';
/// What ends a line that was cut.
const CUT: &str = "...";

/// A report's lines as a proposal holds them. Where there are more than it holds, the last says how many are left out: no
/// line is dropped in silence.
pub(crate) fn lines(all: impl Iterator<Item = String>) -> ReportLines {
    let all: Vec<_> = all.collect();
    let shown = if all.len() <= LINES_MAX { LINES_MAX } else { LINES_MAX.saturating_sub(1) };
    let more = all.len().saturating_sub(shown);
    let more = (more > 0).then(|| format!("and {more} more"));
    let lines = all.into_iter().take(shown).chain(more).filter_map(|line| fitted(&line).parse().ok());
    let lines: Vec<Reason> = lines.collect();
    // INVARIANT: at most so many, and each was made to fit.
    List::try_from(lines).unwrap_or_default()
}

/// A line as it may stand in a proposal: printable ASCII, not blank, cut where it is too long.
fn fitted(line: &str) -> String {
    let plain = |character: char| if matches!(character, ' '..='~') { character } else { OTHER };
    let mut line: String = line.chars().map(plain).collect();
    if line.trim().is_empty() {
        return "(a blank line)".to_owned();
    }
    // One byte is one character by now.
    if line.len() > REASON {
        line.truncate(REASON.saturating_sub(CUT.len()));
        line.push_str(CUT);
    }
    line
}

/// Writes the whole reports into a folder, whose digests stand in the proposal. It is made where it is missing; files
/// are not overwritten.
///
/// # Errors
/// [`Fault`] when one is there already or cannot be written.
pub(crate) fn write(
    folder: &Path,
    compared: &Compared,
    proof: &Proof,
    replayed: Option<&Replayed>,
) -> Result<(), Fault> {
    let fault = |source| Fault::File { doing: "write", path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(fault)?;
    let mut reports = vec![("difference.txt", compared.report()), ("proof.txt", proof.report())];
    reports.extend(replayed.map(|replayed| ("replay.txt", replayed.report())));
    for (name, text) in reports {
        file::write(&folder.join(name), text.as_bytes(), Readers::Others)?;
    }
    Ok(())
}

/// Writes the set's files into a folder, which is made where it is missing; files are not overwritten.
///
/// # Errors
/// [`Fault`] when one is there already or cannot be written.
pub(crate) fn write_set<'a>(
    folder: &Path,
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(), Fault> {
    let fault = |source| Fault::File { doing: "write", path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(fault)?;
    files
        .into_iter()
        .try_for_each(|(name, text)| file::write(&folder.join(name), text.as_bytes(), Readers::Others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[&str]) -> Vec<String> {
        lines(all.iter().map(|line| (*line).to_owned())).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_line_that_no_proposal_holds_is_made_to_fit_and_not_dropped() {
        let (full, long) = ("l".repeat(REASON), "l".repeat(REASON + 1));
        let spaced = format!("{}x", " ".repeat(REASON));
        let found = of(&["caf\u{e9} \u{1b}[2J\n", "", "  ", &full, &long, &spaced]);
        assert_eq!(found[..4], ["caf? ?[2J?", "(a blank line)", "(a blank line)", full.as_str()]);
        assert_eq!(found[4], format!("{}...", "l".repeat(REASON - 3)));
        assert_eq!(found[5], format!("{}...", " ".repeat(REASON - 3)));
        assert_eq!(of(&[]), [""; 0]);
    }

    #[test]
    fn where_there_are_more_lines_than_fit_the_last_says_how_many() {
        let all: Vec<_> = (1..=40).map(|number| format!("line {number}")).collect();
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        assert_eq!(of(&all[..16]), all[..16]);
        let seventeen = of(&all[..17]);
        assert_eq!(seventeen[..15], all[..15]);
        assert_eq!(seventeen[15..], ["and 2 more"]);
        assert_eq!(of(&all)[15..], ["and 25 more"]);
    }
}
