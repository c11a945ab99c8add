//! What became of each line of a batch, for people and as JSON.

use super::Line;
use crate::{
    advice,
    fault::Fault,
    money,
    output::{Report, tell},
    shown::table,
};
use keysvc_client::{
    ClientError,
    protocol::{bytes::ProposalId, name::Name, refusal::Refusal},
    terminal::SignedUpdate,
};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
pub(super) struct BatchReport {
    terminal: String,
    folder: String,
    signed: usize,
    refused: usize,
    unproved: usize,
    /// Lines that take people first.
    pending: usize,
    /// Lines without an outcome: the batch broke off.
    open: usize,
    lines: Vec<OutcomeView>,
}

/// One line's outcome.
#[derive(Debug, Serialize)]
pub(super) struct OutcomeView {
    line: usize,
    operation: &'static str,
    card: String,
    purse: u8,
    seq: u64,
    currency: u16,
    /// Minor units.
    amount: u64,
    txn: String,
    /// `signed`, `refused`, `pending` or `unproved`.
    outcome: &'static str,
    /// Minor units.
    balance_after: Option<u64>,
    leaf_index: Option<u64>,
    record: Option<String>,
    /// Why it is not signed.
    why: Option<String>,
    next: Option<String>,
}

/// A refusal and what would have been enough, with amounts in the currency.
fn in_words(refusal: &Refusal, currency: u16) -> (String, String) {
    match refusal {
        Refusal::BalanceMismatch { balance } => {
            let balance = money::shown(*balance, currency);
            (
                format!("the balance is {balance}"),
                format!("read the card again, then send the balance {balance}"),
            )
        }
        Refusal::LimitExceeded { limit } => {
            let limit = money::shown(*limit, currency);
            (format!("past the limit of {limit}"), format!("stay within {limit}"))
        }
        other => (other.to_string(), advice::after_refusal(other)),
    }
}

impl OutcomeView {
    fn new(line: &Line, outcome: &'static str) -> Self {
        let request = &line.request;
        Self {
            line: line.number,
            operation: request.operation.name(),
            card: request.card.to_string(),
            purse: request.purse,
            seq: request.expected_seq,
            currency: request.currency,
            amount: request.amount,
            txn: request.txn.to_string(),
            outcome,
            balance_after: None,
            leaf_index: None,
            record: None,
            why: None,
            next: None,
        }
    }

    pub(super) fn signed(line: &Line, update: &SignedUpdate, path: &Path) -> Self {
        Self {
            balance_after: Some(update.update.balance_after),
            leaf_index: Some(update.leaf_index),
            record: Some(path.display().to_string()),
            ..Self::new(line, "signed")
        }
    }

    pub(super) fn refused(line: &Line, refusal: &Refusal) -> Self {
        let (why, next) = in_words(refusal, line.request.currency);
        Self { why: Some(why), next: Some(next), ..Self::new(line, "refused") }
    }

    pub(super) fn pending(line: &Line, proposal: &ProposalId, (persons, departments): (u8, u8)) -> Self {
        let of = if departments > 1 { format!(" of {departments} departments") } else { String::new() };
        let next = format!(
            "once officers have agreed (`fobctl proposal approve {proposal}`), `fobctl proposal result {proposal} \
             --out FILE` or the same batch again brings the record"
        );
        let why = format!("it takes {persons} people{of} first, proposal {proposal}");
        Self { why: Some(why), next: Some(next), ..Self::new(line, "pending") }
    }

    pub(super) fn unproved(line: &Line, error: &ClientError) -> Self {
        let next = "write nothing to the card, and tell the officers".to_owned();
        Self { why: Some(error.to_string()), next: Some(next), ..Self::new(line, "unproved") }
    }

    fn row(&self) -> [String; 8] {
        let amount = |minor| money::shown(minor, self.currency);
        let why = self.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        [
            self.line.to_string(),
            self.card.clone(),
            self.purse.to_string(),
            self.seq.to_string(),
            self.operation.to_owned(),
            amount(self.amount),
            self.balance_after.map(amount).unwrap_or_default(),
            format!("{}{why}", self.outcome),
        ]
    }
}

impl BatchReport {
    pub(super) fn new(terminal: &Name, folder: &Path, lines: Vec<OutcomeView>, all: &[Line]) -> Self {
        let count = |outcome| lines.iter().filter(|line| line.outcome == outcome).count();
        Self {
            terminal: terminal.to_string(),
            folder: folder.display().to_string(),
            signed: count("signed"),
            refused: count("refused"),
            unproved: count("unproved"),
            pending: count("pending"),
            open: all.len().saturating_sub(lines.len()),
            lines,
        }
    }

    /// Success where all is signed; else what is not, and what to do about each on stderr.
    ///
    /// # Errors
    /// [`Fault::Partly`] with the counts.
    pub(super) fn ended(&self, journal: &Path) -> Result<(), Fault> {
        if self.refused == 0 && self.unproved == 0 && self.pending == 0 {
            return Ok(());
        }
        for line in &self.lines {
            if let Some(next) = &line.next {
                tell(&format_args!("line {}: {next}", line.line));
            }
        }
        Err(Fault::Partly {
            refused: self.refused,
            unproved: self.unproved,
            pending: self.pending,
            of: self.lines.len(),
            next: format!(
                "correct these lines in a new file, without those that are done in {}",
                journal.display()
            ),
        })
    }
}

impl Report for BatchReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-value-batch/1"
    }

    fn text(&self) -> String {
        let right = ["line", "purse", "seq", "amount", "after"];
        let header = ["line", "card", "purse", "seq", "operation", "amount", "after", "outcome"];
        let lines = table(header, &right, self.lines.iter().map(OutcomeView::row));
        let all = self.lines.len().saturating_add(self.open);
        let rest = [
            (self.refused, "refused"),
            (self.unproved, "without proof"),
            (self.pending, "pending"),
            (self.open, "open"),
        ];
        let rest = rest.into_iter().filter(|(count, _)| *count > 0);
        let rest: Vec<_> = rest.map(|(count, word)| format!(", {count} {word}")).collect();
        let rest = rest.concat();
        format!("{lines}\n\n{} of {all} signed{rest}; records in {}", self.signed, self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::{
        bytes::Idem,
        request::{UpdateValue, ValueOperation},
        schema::Schema,
    };

    fn line(number: usize) -> Line {
        let request = UpdateValue {
            schema: Schema,
            programme: "coffee".parse().unwrap(),
            card: "04782e21801d80".parse().unwrap(),
            purse: 1,
            operation: ValueOperation::Load,
            expected_seq: 2,
            amount: 2000,
            currency: 978,
            balance_before: 500,
            txn: Idem::new([5; 16]),
        };
        Line { number, request }
    }

    fn report(outcomes: Vec<OutcomeView>, all: usize) -> BatchReport {
        let all: Vec<_> = (0..all).map(line).collect();
        BatchReport::new(&"terminal-1".parse().unwrap(), Path::new("out"), outcomes, &all)
    }

    fn signed() -> OutcomeView {
        OutcomeView { balance_after: Some(2500), ..OutcomeView::new(&line(1), "signed") }
    }

    #[test]
    fn a_refused_line_is_counted_named_and_ends_with_3() {
        let refusal = Refusal::LimitExceeded { limit: 10_000 };
        let report = report(vec![signed(), OutcomeView::refused(&line(2), &refusal)], 2);
        let text = report.text();
        assert!(text.contains("25.00 EUR  signed"), "{text}");
        assert!(text.contains("refused: past the limit of 100.00 EUR"), "{text}");
        assert!(text.ends_with("1 of 2 signed, 1 refused; records in out"), "{text}");
        let fault = report.ended(Path::new("out/batch.csv")).unwrap_err();
        assert_eq!(
            (fault.exit_code(), fault.to_string().as_str()),
            (3, "1 of 2 updates refused; the others are done")
        );
    }

    #[test]
    fn a_batch_that_broke_off_says_what_is_open_and_one_that_is_done_is_a_success() {
        assert!(report(vec![signed()], 3).text().ends_with("1 of 3 signed, 2 open; records in out"));
        assert!(report(vec![signed()], 1).ended(Path::new("j")).is_ok());
        let error = ClientError::Malformed { what: "w".into() };
        let unproved = report(vec![OutcomeView::unproved(&line(1), &error)], 1);
        assert_eq!(unproved.ended(Path::new("j")).unwrap_err().exit_code(), 6);
    }

    #[test]
    fn the_json_has_a_line_for_each_update() {
        let json = serde_json::to_value(report(vec![signed()], 1)).unwrap();
        assert_eq!(json["signed"], serde_json::json!(1));
        assert_eq!(json["lines"][0]["outcome"], serde_json::json!("signed"));
        assert_eq!(json["lines"][0]["balance_after"], serde_json::json!(2500));
    }
}
