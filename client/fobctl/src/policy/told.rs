//! How a question and what is said of it stand on a screen: a heading, and paragraphs below it.

use crate::shown::{plain, wrapped};

/// Columns of a paragraph, without its margin.
const WIDTH: usize = 98;
/// What stands left of it.
const MARGIN: &str = "  ";

/// A heading with paragraphs below it, each with a margin; ends with a line feed.
pub(crate) fn told<'a>(heading: &str, paragraphs: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = format!("{}\n", plain(heading));
    for paragraph in paragraphs {
        for line in wrapped(&plain(paragraph), WIDTH).lines() {
            text.push_str(MARGIN);
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_paragraph_begins_on_a_line_of_its_own_and_has_a_margin() {
        let long = "word ".repeat(40);
        let text = told("heading", [long.trim_end(), "why"]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines[0], *lines.last().unwrap()), ("heading", "  why"));
        assert!(lines.len() > 3 && lines.iter().skip(1).all(|line| line.starts_with("  ")), "{text}");
    }
}
