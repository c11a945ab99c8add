//! The file of a batch: comma-separated lines to requests, and requests to the file that repeats them.

use crate::{
    fault::Fault,
    money::{Currency, TypedAmount},
};
use keysvc_client::{
    Terminal,
    protocol::{
        bytes::Idem,
        card::CardUid,
        name::Name,
        request::{UpdateValue, ValueOperation},
        schema::Schema,
    },
};
use std::{fmt::Display, path::Path, str::FromStr};

/// Most lines of one file: a store's day, and records of 4 MB.
const LINES_MAX: usize = 10_000;
/// Longest file, in bytes: 10,000 lines of 200 and some comment.
pub(super) const FILE_LEN_MAX: usize = 4 * 1024 * 1024;
/// The columns; the last may be left out.
const HEADER: &str = "operation,programme,card,purse,amount,seq,balance,txn";

/// One update of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its line, from 1.
    pub(super) number: usize,
    /// What is asked.
    pub(super) request: UpdateValue,
}

/// Reads the file; `currency` is a programme's, where there is such a programme.
///
/// # Errors
/// [`Fault::Usage`] with the first line that is wrong.
pub(super) fn parse(
    bytes: &[u8],
    path: &Path,
    currency: impl Fn(&Name) -> Option<u16>,
) -> Result<Vec<Line>, Fault> {
    let wrong = |what: String| {
        Fault::usage(
            format!("{}: {what}", path.display()),
            format!("correct the file; its columns are {HEADER}"),
        )
    };
    let text = str::from_utf8(bytes).map_err(|_| wrong("it is not text".to_owned()))?;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() || HEADER.starts_with(line) && line.starts_with("operation,") {
            continue;
        }
        let request = request(line, &currency).map_err(|what| wrong(format!("line {number}: {what}")))?;
        if lines.iter().any(|before: &Line| before.request.txn == request.txn) {
            return Err(wrong(format!("line {number}: its transaction number came before")));
        }
        lines.push(Line { number, request });
    }
    if lines.is_empty() || lines.len() > LINES_MAX {
        return Err(wrong(format!("{} updates where 1 to {LINES_MAX} are possible", lines.len())));
    }
    Ok(lines)
}

fn request(line: &str, currency: impl Fn(&Name) -> Option<u16>) -> Result<UpdateValue, String> {
    let columns: Vec<_> = line.split(',').map(str::trim).collect();
    let (columns, txn) = match &columns[..] {
        [columns @ .., txn] if columns.len() == 7 => (columns, Some(*txn)),
        columns => (columns, None),
    };
    let [operation, programme, card, purse, amount, seq, balance] = columns else {
        return Err(format!("{} columns instead of 7 or 8", columns.len()));
    };
    let operation = match *operation {
        "load" => ValueOperation::Load,
        "debit" => ValueOperation::Debit,
        other => return Err(format!("operation: {other:?} is not load or debit")),
    };
    let programme: Name = column("programme", programme)?;
    let number =
        currency(&programme).ok_or_else(|| format!("the founding names no programme {programme}"))?;
    let currency = Currency::of(number).map_err(|error| error.to_string())?;
    let minor = |name: &str, text: &str| {
        let typed: TypedAmount = column(name, text)?;
        currency.minor_units(&typed).map_err(|error| format!("{name}: {error}"))
    };
    let txn = match txn.filter(|txn| !txn.is_empty()) {
        Some(txn) => column("txn", txn)?,
        None => Terminal::new_txn().map_err(|error| error.to_string())?,
    };
    Ok(UpdateValue {
        schema: Schema,
        card: column::<CardUid>("card", card)?,
        purse: column("purse", purse)?,
        operation,
        expected_seq: column("seq", seq)?,
        amount: minor("amount", amount)?,
        currency: number,
        balance_before: minor("balance", balance)?,
        txn,
        programme,
    })
}

fn column<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{name}: {error}"))
}

/// The same lines with their transaction numbers.
pub(super) fn journal(lines: &[Line]) -> String {
    let rows = lines.iter().map(|Line { request, .. }| {
        let amount = |minor: u64| {
            Currency::of(request.currency)
                .map_or_else(|_| minor.to_string(), |currency| currency.decimal(minor))
        };
        let txn: &Idem = &request.txn;
        format!(
            "{},{},{},{},{},{},{},{txn}\n",
            request.operation.name(),
            request.programme,
            request.card,
            request.purse,
            amount(request.amount),
            request.expected_seq,
            amount(request.balance_before)
        )
    });
    std::iter::once(format!("{HEADER}\n")).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "operation,programme,card,purse,amount,seq,balance\n\
        load,coffee,04782e21801d80,1,20.00,1,0.00\n\
        \n\
        debit, coffee, 04782e21801d80, 1, 3.50, 2, 20.00 # a latte\n";

    fn parsed(text: &str) -> Result<Vec<Line>, Fault> {
        parse(text.as_bytes(), Path::new("f.csv"), |name| (name.as_str() == "coffee").then_some(978))
    }

    fn wrong(text: &str) -> String {
        let fault = parsed(text).unwrap_err();
        assert!(fault.next().contains("operation,programme,card"), "{}", fault.next());
        fault.to_string()
    }

    #[test]
    fn lines_become_requests_in_minor_units_with_numbers_of_their_own() {
        let lines = parsed(FILE).unwrap();
        let numbers: Vec<_> = lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [2, 4]);
        let requests: Vec<_> = lines.iter().map(|line| &line.request).collect();
        assert_eq!((requests[0].amount, requests[0].balance_before, requests[0].expected_seq), (2000, 0, 1));
        assert_eq!((requests[1].operation, requests[1].amount), (ValueOperation::Debit, 350));
        assert_ne!(requests[0].txn, requests[1].txn);
    }

    #[test]
    fn the_journal_repeats_the_same_requests() {
        let lines = parsed(FILE).unwrap();
        let again = parsed(&journal(&lines)).unwrap();
        let requests = |lines: &[Line]| lines.iter().map(|line| line.request.clone()).collect::<Vec<_>>();
        assert_eq!(requests(&again), requests(&lines));
    }

    #[test]
    fn a_wrong_line_is_named_with_its_column() {
        assert_eq!(wrong("load,coffee\n"), "f.csv: line 1: 2 columns instead of 7 or 8");
        assert!(wrong("top,coffee,04782e21801d80,1,20.00,1,0.00").contains("operation: \"top\""));
        assert!(wrong("load,tea,04782e21801d80,1,20.00,1,0.00").contains("no programme tea"));
        assert!(wrong("load,coffee,04,1,20.00,1,0.00").contains("card: "));
        assert!(wrong("load,coffee,04782e21801d80,1,20,1,0.00").contains("amount: EUR has 2 decimals"));
        assert!(wrong("load,coffee,04782e21801d80,1,20.00,1,0.00,xyz").contains("txn: "));
        assert!(wrong("# nothing\n").contains("0 updates"));
        let txn = "05".repeat(16);
        let line = |seq| format!("load,coffee,04782e21801d80,1,20.00,{seq},0.00,{txn}\n");
        assert!(wrong(&(line(1) + &line(2))).contains("line 2: its transaction number came before"));
    }
}
