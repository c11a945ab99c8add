//! How deep a policy may be, and the room that Cedar is given to find out.
//!
//! Cedar reads, validates and gives up policies by recursion, with frames of tens of kilobytes: on the 2 MiB stack of a
//! worker 36 brackets inside each other ended the whole process, and so did 62 `&&` in a row (builds without
//! optimisation; docs/fuzzing.md). A policy's text comes from one officer, before anybody else has agreed to it. So a
//! text is looked at before Cedar sees it, without recursion, and Cedar reads it on a thread with room for the deepest
//! that passes. What is read can then be judged, copied and dropped on any thread.

use std::thread;

use crate::error::PolicyError;

/// Most brackets, operators and steps of one policy, in places that Cedar may put inside each other: those that are
/// open at one time, and all others together. The deepest shipped policy has 16.
pub(crate) const DEPTH_MAX: usize = 200;
/// Stack for reading, in bytes: 200 levels of the 58 KB that the worst of them takes (2 MiB for 36) are 12 MB, and as
/// much again to spare. It is memory only where it is used.
const STACK_LEN: usize = 32 * 1024 * 1024;

/// Does `read` on a thread with room for policies of [`DEPTH_MAX`].
pub(crate) fn with_room<T: Send>(
    read: impl FnOnce() -> Result<T, PolicyError> + Send,
) -> Result<T, PolicyError> {
    thread::scope(|scope| {
        let reading = thread::Builder::new()
            .name("policies".to_owned())
            .stack_size(STACK_LEN)
            .spawn_scoped(scope, read);
        let reading = reading.map_err(|error| PolicyError::NoThread { reason: error.kind() })?;
        // A panic in there goes on here, as it would without the thread.
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The line, from 1, where a policy of the text becomes deeper than it may be.
pub(crate) fn too_deep(text: &str) -> Option<usize> {
    let (mut open, mut others, mut line) = (0_usize, 0_usize, 1_usize);
    let mut rest = text;
    while !rest.is_empty() {
        let (token, after) = rest.split_at_checked(token(rest)).unwrap_or((rest, ""));
        match token {
            "(" | "[" | "{" => open = open.saturating_add(1),
            ")" | "]" | "}" => open = open.saturating_sub(1),
            // The end of a policy: what follows is not inside it.
            ";" if open == 0 => others = 0,
            "&&" | "||" | "+" | "-" | "*" | "!" | "." | "if" | "has" | "when" | "unless" => {
                others = others.saturating_add(1);
            }
            _ => {}
        }
        if open.saturating_add(others) > DEPTH_MAX {
            return Some(line);
        }
        line = line.saturating_add(token.bytes().filter(|byte| *byte == b'\n').count());
        rest = after;
    }
    None
}

/// The length of the token that the text begins with, in bytes: a string, a comment, a word, an operator of two letters,
/// or one letter.
fn token(text: &str) -> usize {
    let mut letters = text.char_indices();
    let Some((_, first)) = letters.next() else { return 0 };
    let ends = |at: Option<(usize, char)>| at.map_or(text.len(), |(at, _)| at);
    match first {
        '"' => {
            let mut escaped = false;
            let end = letters.find(|(_, letter)| {
                let ends = *letter == '"' && !escaped;
                escaped = *letter == '\\' && !escaped;
                ends
            });
            end.map_or(text.len(), |(at, _)| at.saturating_add(1))
        }
        '/' if text.starts_with("//") => ends(letters.find(|(_, letter)| matches!(letter, '\n' | '\r'))),
        _ if is_of_a_word(first) => ends(letters.find(|(_, letter)| !is_of_a_word(*letter))),
        _ if ["&&", "||", "!=", "=="].iter().any(|operator| text.starts_with(operator)) => 2,
        _ => first.len_utf8(),
    }
}

fn is_of_a_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        CEILING, ContextFacts, DEFAULT_SITE, PolicySet, PrincipalFacts, Question, QuorumFacts, ResourceFacts,
        Voter,
    };

    #[test]
    fn brackets_count_while_they_are_open_and_operators_until_the_policy_ends() {
        assert_eq!(too_deep(&"(".repeat(DEPTH_MAX)), None);
        assert_eq!(too_deep(&"(".repeat(DEPTH_MAX + 1)), Some(1));
        assert_eq!(too_deep(&"()[]{}".repeat(DEPTH_MAX)), None);
        assert_eq!(too_deep(&"true\n&& ".repeat(DEPTH_MAX)), None);
        assert_eq!(too_deep(&"true\n&& ".repeat(DEPTH_MAX + 1)), Some(DEPTH_MAX + 2));
        for step in ["|| ", "+ ", "- ", "* ", "! ", "!", ".a", "if ", " has ", "when ", "unless "] {
            assert_eq!(too_deep(&step.repeat(DEPTH_MAX)), None, "{step}");
            assert_eq!(too_deep(&step.repeat(DEPTH_MAX + 1)), Some(1), "{step}");
        }
        assert_eq!(too_deep(&format!("{};", "a && ".repeat(DEPTH_MAX)).repeat(9)), None);
    }

    #[test]
    fn what_stands_in_strings_comments_and_longer_words_is_not_counted() {
        let many = DEPTH_MAX + 1;
        for flat in
            ["\"((\\\"((\" ", "// (((( && \n", "iffy ", "x != y ", "a == b ", "\"\\\\\" ", "a, ", "A::B "]
        {
            assert_eq!(too_deep(&flat.repeat(many)), None, "{flat}");
        }
        // A quotation mark that is escaped does not end its string, and one behind an escaped stroke does.
        assert_eq!(too_deep(&format!("\"\\\"{}", "(".repeat(many))), None);
        assert_eq!(too_deep(&format!("\"\\\\\"{}", "(".repeat(many))), Some(1));
        assert_eq!(too_deep(&format!("//\n{}", "(".repeat(many))), Some(2));
        assert_eq!(too_deep(&format!("// é\r{}", "(".repeat(many))), Some(1));
        // A semicolon within brackets ends nothing.
        assert_eq!(too_deep(&"(;".repeat(many)), Some(1));
    }

    #[test]
    fn the_shipped_policies_are_far_from_the_limit() {
        for text in [CEILING, DEFAULT_SITE] {
            assert_eq!(too_deep(text), None);
        }
    }

    /// Expressions that are as deep as `times` says, each in its own way.
    fn deep(times: usize) -> Vec<String> {
        let around = |open: &str, inner: &str, close: &str| open.repeat(times) + inner + &close.repeat(times);
        vec![
            around("(", "true", ")"),
            around("!(", "true", ")"),
            around("[", "1", "]") + " == [1]",
            around("{a: ", "1", "}") + " == {}",
            around("if true then ", "true", " else false"),
            around("[1].contains(", "1", ")"),
            around("if true then true else ", "true", ""),
            around("true && ", "true", ""),
            around("false || ", "true", ""),
            around("1 + ", "1 == 2", ""),
            around("2 * ", "1 == 2", ""),
            format!("context{} == 1", ".a".repeat(times)),
        ]
    }

    #[test]
    fn the_deepest_policy_is_read_judged_and_dropped_on_a_small_stack() {
        // Tests have 2 MiB, as workers have.
        let mut taken = 0;
        for shape in 0..deep(1).len() {
            let text = |times: usize| {
                format!("permit (principal, action, resource) when {{ {} }};", deep(times)[shape])
            };
            // As deep as it may be: some have two steps a level.
            let times = (1..DEPTH_MAX).rev().find(|times| too_deep(&text(*times)).is_none()).unwrap();
            assert!(times >= DEPTH_MAX / 3, "{times}");
            let text = text(times);
            match PolicySet::from_files(&[("site.cedar", &text)]) {
                Ok(set) => {
                    taken += 1;
                    let anna = PrincipalFacts {
                        id: "anna",
                        kind: "officer",
                        organisation: "acme",
                        department: "finance",
                        capabilities: &[],
                    };
                    let question = Question {
                        principal: anna,
                        action: "status",
                        resource: ResourceFacts::Service,
                        context: ContextFacts::None,
                        quorum: QuorumFacts::NONE,
                    };
                    // Whether it allows is not the point: it may be nonsense, or deeper than Cedar evaluates.
                    let _ = set.decide(&question);
                    let _ = set.need(&question, &[Voter { department: "finance" }]);
                    let _ = set.can_change_itself(&[anna], 1);
                }
                Err(PolicyError::TooDeep { .. }) => panic!("not refused before: {text}"),
                Err(_) => {}
            }
        }
        assert!(taken >= 5, "{taken}");
    }

    #[test]
    fn a_policy_that_would_end_the_process_is_refused_with_its_line() {
        for times in [DEPTH_MAX, 1_000, 6_000] {
            for expression in deep(times) {
                let text = format!("permit (principal, action, resource)\nwhen {{ {expression} }};");
                let refused = PolicySet::from_files(&[("site.cedar", &text)]).unwrap_err();
                assert_eq!(refused, PolicyError::TooDeep { file: "site.cedar".to_owned(), line: 2 });
            }
        }
    }
}
