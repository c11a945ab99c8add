//! What becomes of a case: what the product answered, beside what the vector says and what the product promises.
//!
//! Apart so that one rule judges every scheme. It calls no product.

use std::fmt;

/// What the product answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It computed this.
    Gave(String),
    /// It refused, in these words.
    Refused(String),
}

/// What became of a case, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The product computes what the vector says.
    Ok(String),
    /// The product refuses what it should refuse: what is outside of it, and what nobody may accept.
    Refused(String),
    /// Anything else that the product answers.
    Mismatch(String),
    /// Nothing could be made of the case.
    PassedOver(String),
}

/// A case that was run.
#[derive(Debug)]
pub struct Ran {
    /// What it is about, in a few words.
    pub what: String,
    /// What became of it.
    pub verdict: Verdict,
}

impl Ran {
    /// A case of which not even the fields could be read.
    #[must_use]
    pub const fn unread(verdict: Verdict) -> Self {
        Self { what: String::new(), verdict }
    }
}

impl Verdict {
    /// The word at the head of the line.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Refused(_) => "refused",
            Self::Mismatch(_) => "MISMATCH",
            Self::PassedOver(_) => "PASSED OVER",
        }
    }

    /// What stands at its end.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Ok(why) | Self::Refused(why) | Self::Mismatch(why) | Self::PassedOver(why) => why,
        }
    }
}

/// Judges an answer. `expected` is what the vector says, nothing where it says that the case must be refused; `promised`
/// is whether the case is within what the product says it does.
#[must_use]
pub fn judge(promised: bool, expected: Option<&str>, answer: Answer) -> Verdict {
    match (answer, expected) {
        (Answer::Gave(value), Some(expected)) if value == expected => Verdict::Ok(value),
        (Answer::Gave(value), Some(expected)) => {
            Verdict::Mismatch(format!("the product gives {value}, the vector says {expected}"))
        }
        (Answer::Gave(value), None) => {
            Verdict::Mismatch(format!("the product gives {value}, the vector says that it must refuse"))
        }
        (Answer::Refused(words), Some(_)) if promised => {
            Verdict::Mismatch(format!("the product refuses what it promises to do: {words}"))
        }
        (Answer::Refused(words), _) => Verdict::Refused(words),
    }
}

/// Whether a vector's mark says that the case must be refused.
#[must_use]
pub fn is_negative(mark: &str) -> bool {
    mark.split(' ').any(|word| word == "negative")
}

/// How many cases became what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    ok: usize,
    refused: usize,
    mismatches: usize,
    passed_over: usize,
}

impl Tally {
    /// Counts a case.
    pub const fn count(&mut self, verdict: &Verdict) {
        let place = match verdict {
            Verdict::Ok(_) => &mut self.ok,
            Verdict::Refused(_) => &mut self.refused,
            Verdict::Mismatch(_) => &mut self.mismatches,
            Verdict::PassedOver(_) => &mut self.passed_over,
        };
        *place = place.saturating_add(1);
    }

    /// Whether no case differs and none was passed over.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.mismatches == 0 && self.passed_over == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ok, refused, mismatches, passed_over } = self;
        write!(f, "{ok} ok, {refused} refused, {mismatches} mismatches, {passed_over} passed over")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_equal_value_is_ok_and_only_a_refusal_outside_of_the_promise_is_one() {
        let gave = |value: &str| Answer::Gave(value.to_owned());
        let refused = || Answer::Refused("no".to_owned());
        let word = |promised, expected, answer| judge(promised, expected, answer).word();
        for promised in [true, false] {
            assert_eq!(word(promised, Some("a"), gave("a")), "ok");
            assert_eq!(word(promised, Some("a"), gave("b")), "MISMATCH");
            assert_eq!(word(promised, None, gave("a")), "MISMATCH");
            assert_eq!(word(promised, None, refused()), "refused");
        }
        assert_eq!(word(true, Some("a"), refused()), "MISMATCH");
        assert_eq!(word(false, Some("a"), refused()), "refused");
    }

    #[test]
    fn a_tally_holds_until_a_case_differs_or_is_passed_over() {
        let mut tally = Tally::default();
        tally.count(&Verdict::Ok(String::new()));
        tally.count(&Verdict::Refused(String::new()));
        assert!(tally.holds());
        assert_eq!(tally.to_string(), "1 ok, 1 refused, 0 mismatches, 0 passed over");
        for bad in [Verdict::Mismatch(String::new()), Verdict::PassedOver(String::new())] {
            let mut tally = tally;
            tally.count(&bad);
            assert!(!tally.holds());
        }
    }

    #[test]
    fn negative_cases_are_known_by_their_mark() {
        assert!(is_negative("negative") && is_negative("published negative"));
        assert!(!is_negative("published") && !is_negative("computed"));
    }
}
