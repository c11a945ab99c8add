//! What differs from run to run in the same place and length: times, digests, identifiers. Both sides of a comparison
//! are blanked alike, so that a transcript can show values as they look. And what a transcript shows first and types
//! later, as people do with a proposal's identifier: this run's value is typed in its place.

use std::collections::BTreeMap;

/// Lengths of hexadecimal values that differ: check values, key digests' heads, identifiers, digests.
const HEX_LENGTHS: [usize; 4] = [10, 16, 32, 64];
/// A time to the second; a fraction and a Z follow.
const SECOND: &str = "0000-00-00T00:00:00";
/// A time, blanked.
const TIME: &str = "0000-00-00T00:00:00.000Z";
/// Other forms of what differs: a month, as in the name of a storage key; times and durations as people read them. The
/// longer of two that begin alike stands first.
const FORMS: [&str; 4] = [".0000-00", "0000-00-00 00:00:00 UTC", "0000-00-00 00:00 UTC", "00 h 00 min"];
/// How many hexadecimal digits a group has, where a digest is shown to be read out.
const GROUP_LEN: usize = 4;
/// So many groups in a row are a digest, or a part of it.
const GROUPS_MIN: usize = 3;

/// The text with times and long hexadecimal values blanked.
pub fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = after_time(rest) {
            out.push_str(TIME);
            rest = after;
            continue;
        }
        if let Some((form, after)) = FORMS.iter().find_map(|form| Some((form, after(form, rest)?))) {
            out.push_str(form);
            rest = after;
            continue;
        }
        let word = rest.find(|next: char| !next.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if word == 0 {
            let next = rest.chars().next().unwrap();
            out.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(word);
        if is_hex(word)
            && (HEX_LENGTHS.contains(&word.len()) || word.len() == GROUP_LEN && in_groups(text, word))
        {
            out.push_str(&"#".repeat(word.len()));
        } else {
            out.push_str(word);
        }
        rest = after;
    }
    out
}

fn is_hex(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Whether this piece of the text is one of several groups of digits in a row, on a line or over its end.
fn in_groups(text: &str, group: &str) -> bool {
    let start = group.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    let (before, from) = text.split_at(start);
    let is_group = |word: &&str| is_hex(word) && word.len() == GROUP_LEN;
    let ends = |word: &&str| is_group(&word.trim_end_matches([',', '.', ';']));
    let mut after: usize = 0;
    for word in from.split_whitespace() {
        // The last one of a sentence has its mark behind it.
        after += usize::from(ends(&word));
        if !is_group(&word) {
            break;
        }
    }
    after + before.split_whitespace().rev().take_while(is_group).count() >= GROUPS_MIN
}

/// What a transcript shows, and what this run showed in its place.
#[derive(Default)]
pub struct Shown(BTreeMap<String, String>);

impl Shown {
    /// Takes up what stands in both outputs: before the first line that leaves some out, and behind the last.
    pub fn learn(&mut self, said: &str, expected: &str) {
        let is_there = |line: &&str| *line != "...";
        self.learn_lines(said.lines(), expected.lines().take_while(is_there));
        self.learn_lines(said.lines().rev(), expected.lines().rev().take_while(is_there));
    }

    fn learn_lines<'a>(
        &mut self,
        said: impl Iterator<Item = &'a str>,
        expected: impl Iterator<Item = &'a str>,
    ) {
        for (said, expected) in said.zip(expected) {
            let (said, expected) = (differing(said), differing(expected));
            if said.len() == expected.len() {
                self.0.extend(expected.into_iter().zip(said));
            }
        }
    }

    /// The command as it is typed in this run.
    pub fn typed(&self, command: &str) -> String {
        let ends = |next: char| !next.is_ascii_alphanumeric();
        let words = command.split_inclusive(ends).map(|piece| {
            let word = piece.trim_end_matches(ends);
            let typed = self.0.get(word).map_or(word, String::as_str);
            format!("{typed}{}", &piece[word.len()..])
        });
        words.collect()
    }
}

/// A line's identifiers, or the head of a digest that it ends with.
fn differing(line: &str) -> Vec<String> {
    let words = line.split(|next: char| !next.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let is_group = |word: &&str| word.len() == GROUP_LEN && is_hex(word);
    let groups: Vec<_> = line.split_whitespace().rev().take_while(is_group).collect();
    if let (GROUPS_MIN.., Some(head)) = (groups.len(), groups.last()) {
        return vec![(*head).to_owned()];
    }
    words.filter(|word| is_hex(word) && HEX_LENGTHS.contains(&word.len())).map(str::to_owned).collect()
}

/// What follows this form at the text's beginning; a 0 in it is any digit.
fn after<'a>(form: &str, text: &'a str) -> Option<&'a str> {
    let (head, after) = text.split_at_checked(form.len())?;
    let fits = |(found, form): (u8, u8)| if form == b'0' { found.is_ascii_digit() } else { found == form };
    head.bytes().zip(form.bytes()).all(fits).then_some(after)
}

/// What follows a time at the text's beginning, whatever fraction of a second it shows.
fn after_time(text: &str) -> Option<&str> {
    let fraction = after(SECOND, text)?;
    let digits = fraction
        .strip_prefix('.')
        .map_or(fraction, |rest| rest.trim_start_matches(|next: char| next.is_ascii_digit()));
    digits.strip_prefix('Z')
}

#[test]
fn times_and_digests_are_blanked_and_nothing_else() {
    let digest = "0123456789abcdef";
    let text = format!(
        "2026-11-22T03:20:51Z 2026-11-22T03:20:51.461Z {digest}{digest} 04782e21801d80 5b298c80bf x{digest} é a.2026-11 2026"
    );
    let blank = "#".repeat(32);
    assert_eq!(
        blanked(&text),
        format!("{TIME} {TIME} {blank} 04782e21801d80 ########## x{digest} é a.0000-00 2026")
    );
}

#[test]
fn groups_that_are_read_out_and_times_for_people_are_blanked_and_single_groups_are_not() {
    let text = "number c971 0c6e\n019e 0c9f.\nat 2026-11-25 07:44 UTC, in 71 h 59 min; 2026-11-25 07:44:12 UTC; cafe 2026";
    let blank = "number #### ####\n#### ####.\nat 0000-00-00 00:00 UTC, in 00 h 00 min; 0000-00-00 00:00:00 UTC; cafe 2026";
    assert_eq!(blanked(text), blank);
}

#[test]
fn what_a_transcript_shows_and_types_later_is_typed_as_this_run_showed_it() {
    let mut shown = Shown::default();
    let (there, here) = ("71236f8c168b48a1e6377bf2a0aaa40f", "99b9b66933dc4c0303653c4d800328a8");
    shown.learn(
        &format!("proposal {here}\nx\nhead  9a8e 5fc1 0b02\n"),
        &format!("proposal {there}\n...\nhead  1e3f 0d40 4a49\n"),
    );
    assert_eq!(
        shown.typed(&format!("show {there} --digest 1e3f --seq 1")),
        format!("show {here} --digest 9a8e --seq 1")
    );
}
