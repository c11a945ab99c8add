//! What differs from run to run in the same place and length: times, digests, identifiers. Both sides of a comparison
//! are blanked alike, so that a transcript can show values as they look.

/// Lengths of hexadecimal values that differ: check values, key digests' heads, identifiers, digests.
const HEX_LENGTHS: [usize; 4] = [10, 16, 32, 64];
/// A time to the second; a fraction and a Z follow.
const SECOND: &str = "0000-00-00T00:00:00";
/// A time, blanked.
const TIME: &str = "0000-00-00T00:00:00.000Z";
/// A month, as in the name of a storage key.
const MONTH: &str = ".0000-00";

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
        if let Some(after) = after(MONTH, rest) {
            out.push_str(MONTH);
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
        let hex = word.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if hex && HEX_LENGTHS.contains(&word.len()) {
            out.push_str(&"#".repeat(word.len()));
        } else {
            out.push_str(word);
        }
        rest = after;
    }
    out
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
