//! `fobctl value load` and `fobctl value debit`: one update of one purse, signed and provably in the log.
//!
//! The transaction number is told before the first send: with it a command that broke off is repeated without
//! loading or debiting twice.

use crate::{
    fault::Fault,
    file::{self, Readers},
    moment,
    money::{self, Currency, MoneyError, TypedAmount},
    output::{Output, Report, tell},
    proposal_view::{self, NeedView, WIDTH},
    shown::{plain, rows, table, utc, wrapped},
    typed::Typed,
};
use keysvc_client::{
    ClientConfig, ClientError, Pending, Terminal,
    approvable::Approvable,
    protocol::{
        bytes::Idem,
        card::CardUid,
        name::Name,
        proposal::Proposal,
        refusal::Refusal,
        request::{UpdateValue, ValueOperation},
        schema::Schema,
    },
    terminal::SignedUpdate,
};
use serde::Serialize;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// `fobctl value load` and `fobctl value debit`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateArgs {
    /// The programme.
    #[arg(long, value_name = "NAME")]
    programme: Name,
    /// The card's UID, hexadecimal.
    #[arg(long, value_name = "UID")]
    card: CardUid,
    /// The purse on the card.
    #[arg(long, value_name = "N")]
    purse: u8,
    /// The amount, with the currency's decimals.
    #[arg(long, value_name = "20.00")]
    amount: TypedAmount,
    /// The sequence number the update gets: the card's last plus 1.
    #[arg(long, value_name = "N")]
    seq: u64,
    /// The balance on the card before, with the currency's decimals.
    #[arg(long, value_name = "0.00")]
    balance: TypedAmount,
    /// ISO 4217 numeric code; the programme's when left out.
    #[arg(long, value_name = "978")]
    currency: Option<u16>,
    /// The transaction number of a command that broke off, 32 hexadecimal digits, to repeat it.
    #[arg(long, value_name = "HEX")]
    txn: Option<Idem>,
    /// Where the signed record goes; the file must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Serialize)]
pub(super) struct UpdateReport {
    #[serde(skip)]
    schema: &'static str,
    operation: &'static str,
    programme: String,
    card: String,
    purse: u8,
    seq: u64,
    currency: u16,
    /// Minor units, as in the record.
    amount: u64,
    /// Minor units, as in the record.
    balance_before: u64,
    /// Minor units, as in the record.
    balance_after: u64,
    txn: String,
    terminal: String,
    issued_at_ms: u64,
    expires_at_ms: u64,
    leaf_index: u64,
    tree_size: u64,
    record: String,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    operation: ValueOperation,
    args: UpdateArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    file::refuse_existing(&args.out)?;
    // What is wrong on the command line is told before anything is asked of the service.
    if let Some(currency) = args.currency {
        args.amounts(currency)?;
    }
    let terminal =
        Terminal::connect(config).await.map_err(|error| Fault::client("connect as a terminal", error))?;
    let currency = args.currency_of(&terminal)?;
    let request = args.request(operation, currency)?;
    tell(&format_args!("transaction {}; if this breaks off, repeat it with --txn {0}", request.txn));
    let typed = Typed::of_process();
    let signed = match terminal.update(&request).await {
        Ok(signed) => signed,
        Err(ClientError::Pending(pending)) => {
            output.print(&PendingReport::new(&terminal, &request, &pending))?;
            return Err(waits(&pending, &again(&request, &typed), &args.out));
        }
        Err(error) => return Err(failed(&request, &typed, error)),
    };
    file::write(&args.out, &signed.record, Readers::Others)
        .map_err(|fault| unwritten(&request, &typed, fault))?;
    output.print(&UpdateReport::new(&signed, &args.out))?;
    let (record, trust) = (args.out.display(), config.trust.display());
    tell(&format_args!(
        "next: once the log is exported to DIR with `fobctl audit export DIR`, \
         `fobaudit value {record} --log DIR --trust {trust}`"
    ));
    Ok(())
}

impl UpdateArgs {
    fn currency_of(&self, terminal: &Terminal) -> Result<u16, Fault> {
        if let Some(currency) = self.currency {
            return Ok(currency);
        }
        let programmes = &terminal.reader().founded().founding().programmes;
        let programme = programmes.iter().find(|one| one.name == self.programme);
        programme.map(|one| one.currency).ok_or_else(|| {
            let names: Vec<_> = programmes.iter().map(|one| one.name.as_str()).collect();
            let next =
                format!("give one of the founding's with --programme ({}), or --currency", names.join(", "));
            Fault::usage(format!("the founding names no programme {}", self.programme), next)
        })
    }

    /// Amount and balance in minor units.
    fn amounts(&self, currency: u16) -> Result<(u64, u64), Fault> {
        let wrong = |option: &'static str| {
            move |error: MoneyError| {
                Fault::usage(
                    format!("{option}: {error}"),
                    "type it with the currency's decimals, such as 20.00 for EUR",
                )
            }
        };
        let currency = Currency::of(currency).map_err(wrong("--currency"))?;
        let amount = currency.minor_units(&self.amount).map_err(wrong("--amount"))?;
        let balance = currency.minor_units(&self.balance).map_err(wrong("--balance"))?;
        Ok((amount, balance))
    }

    fn request(&self, operation: ValueOperation, currency: u16) -> Result<UpdateValue, Fault> {
        let (amount, balance_before) = self.amounts(currency)?;
        let txn = self.txn.map_or_else(Terminal::new_txn, Ok);
        Ok(UpdateValue {
            schema: Schema,
            programme: self.programme.clone(),
            card: self.card,
            purse: self.purse,
            operation,
            expected_seq: self.seq,
            amount,
            currency,
            balance_before,
            txn: txn.map_err(|error| Fault::client("draw a transaction number", error))?,
        })
    }
}

/// A failed update, with the number or amount that would have been enough and the command with it.
fn failed(request: &UpdateValue, typed: &Typed, error: ClientError) -> Fault {
    let doing = match request.operation {
        ValueOperation::Load => "load the card",
        ValueOperation::Debit => "debit the card",
    };
    let currency = request.currency;
    // Another sequence number or balance is another transaction: the old number would conflict with itself.
    let fresh = || typed.clone().without("--txn");
    Fault::client(doing, error).advised(|error| match error.refusal() {
        Some(Refusal::CounterConflict { expected_seq }) => {
            let command = fresh().with("--seq", &expected_seq.to_string());
            Some(format!("read the card again; if it is at {}, `{command}`", expected_seq.saturating_sub(1)))
        }
        Some(Refusal::BalanceMismatch { balance }) => {
            let on_record = money::shown(*balance, currency);
            let command =
                Currency::of(currency).map(|currency| fresh().with("--balance", &currency.decimal(*balance)));
            let command = command
                .map_or_else(|_| String::new(), |command| format!("; if the card says so too, `{command}`"));
            Some(format!("read the card again; the balance on record is {on_record}{command}"))
        }
        Some(Refusal::LimitExceeded { limit }) => {
            let limit = money::shown(*limit, currency);
            Some(format!("stay within {limit}; the card profile sets it"))
        }
        // What passes by itself may have come between the commit and the signature.
        Some(refusal) if refusal.retryable() => Some(format!(
            "in a few seconds, `{}`: with its transaction number it is carried out once; if it stays so, run `keysvc \
             doctor` on the service's host",
            again(request, typed)
        )),
        Some(_) => None,
        None => matches!(error, ClientError::Timeout { .. } | ClientError::Unreachable { .. }).then(|| {
            format!("it may have been carried out: `{}` tells, and does it once", again(request, typed))
        }),
    })
}

/// The end of a command whose update takes people first: how its record is fetched later.
fn waits(pending: &Pending, again: &Typed, out: &Path) -> Fault {
    let id = pending.id;
    let next = if pending.waits() {
        format!(
            "write nothing to the card; once officers have agreed (`fobctl proposal approve {id}`), `{again}` or \
             `fobctl proposal result {id} --out {}` brings the record",
            out.display()
        )
    } else {
        "write nothing to the card; run the same command without --txn for a new transaction".to_owned()
    };
    let state = proposal_view::state(&pending.state);
    Fault::Waits { id: id.to_string(), state, waits: pending.waits(), next }
}

/// The same command with its transaction number: it is carried out once, however often it is sent.
fn again(request: &UpdateValue, typed: &Typed) -> Typed {
    typed.clone().with("--txn", &request.txn.to_string())
}

/// The update is signed and in the log, but its record is not on disk: the same transaction gives it again.
fn unwritten(request: &UpdateValue, typed: &Typed, fault: Fault) -> Fault {
    Fault::Unwritten { fault: Box::new(fault), next: format!("mend it, then `{}`", again(request, typed)) }
}

/// An update that takes people first.
#[derive(Serialize)]
struct PendingReport {
    proposal: String,
    /// The act in words, as officers read it.
    sentence: String,
    /// SHA-256 of the proposal's bytes.
    digest: String,
    need: NeedView,
    state: String,
    expires_ms: u64,
    txn: String,
}

impl PendingReport {
    fn new(terminal: &Terminal, request: &UpdateValue, pending: &Pending) -> Self {
        let founded = terminal.reader().founded();
        let read = Approvable::read(&pending.proposal, founded, Some(&terminal.statement_key()));
        Self {
            proposal: pending.id.to_string(),
            sentence: read.map_or_else(|error| error.to_string(), |read| read.sentence().to_owned()),
            digest: Proposal::digest_of(&pending.proposal).to_string(),
            need: NeedView::from(&pending.need),
            state: proposal_view::state(&pending.state),
            expires_ms: pending.expires_ms,
            txn: request.txn.to_string(),
        }
    }
}

impl Report for PendingReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-value-pending/1"
    }

    fn text(&self) -> String {
        let lines = rows([
            ("proposal", self.proposal.clone()),
            ("state", self.state.clone()),
            ("takes", self.need.words()),
            ("expires", moment::planned(self.expires_ms)),
            ("transaction", self.txn.clone()),
        ]);
        format!("{}\n\n{lines}", wrapped(&plain(&self.sentence), WIDTH))
    }
}

impl UpdateReport {
    pub(super) fn new(signed: &SignedUpdate, path: &Path) -> Self {
        let update = &signed.update;
        Self {
            schema: match update.operation {
                ValueOperation::Load => "keysvc/fobctl-value-load/1",
                ValueOperation::Debit => "keysvc/fobctl-value-debit/1",
            },
            operation: update.operation.name(),
            programme: update.programme.to_string(),
            card: update.card.to_string(),
            purse: update.purse,
            seq: update.seq,
            currency: update.currency,
            amount: update.amount,
            balance_before: update.balance_before,
            balance_after: update.balance_after,
            txn: update.txn.to_string(),
            terminal: update.terminal.to_string(),
            issued_at_ms: update.issued_at_ms,
            expires_at_ms: update.expires_at_ms,
            leaf_index: signed.leaf_index,
            tree_size: signed.checkpoint.checkpoint().head.size,
            record: path.display().to_string(),
        }
    }
}

impl Report for UpdateReport {
    fn schema(&self) -> &'static str {
        self.schema
    }

    fn text(&self) -> String {
        let amounts =
            [("before", self.balance_before), (self.operation, self.amount), ("after", self.balance_after)];
        let amounts = amounts.map(|(name, minor)| [name.to_owned(), money::shown(minor, self.currency)]);
        let details = rows([
            ("programme", self.programme.clone()),
            ("card", self.card.clone()),
            ("purse", self.purse.to_string()),
            ("sequence number", self.seq.to_string()),
            ("terminal", self.terminal.clone()),
            ("transaction", self.txn.clone()),
            ("issued", utc(self.issued_at_ms)),
            ("expires", utc(self.expires_at_ms)),
            (
                "in the log",
                format!("leaf {}, under a checkpoint of {} leaves", self.leaf_index, self.tree_size),
            ),
            ("signed record", self.record.clone()),
        ]);
        format!("{}\n\n{details}", table(["balance", "amount"], &["amount"], amounts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::{
        bytes::ProposalId,
        proposal::ProposalState,
        quorum::Need,
        refusal::{RefusalReply, RequestId},
        request::Operation,
    };
    use serde_json::{json, to_value};

    fn args() -> UpdateArgs {
        UpdateArgs {
            programme: "coffee".parse().unwrap(),
            card: "04782e21801d80".parse().unwrap(),
            purse: 1,
            amount: "20.00".parse().unwrap(),
            seq: 2,
            balance: "5.00".parse().unwrap(),
            currency: None,
            txn: Some(Idem::new([5; 16])),
            out: "record".into(),
        }
    }

    fn request() -> UpdateValue {
        args().request(ValueOperation::Load, 978).unwrap()
    }

    fn refused(refusal: Refusal) -> Fault {
        let reply = RefusalReply::new(refusal, RequestId(Idem::new([7; 16])));
        failed(&request(), &typed(), ClientError::Refused(Box::new(reply)))
    }

    fn typed() -> Typed {
        Typed::new(&["fobctl", "value", "load", "--seq", "2", "--balance", "5.00", "--txn", "0505"])
    }

    fn report() -> UpdateReport {
        UpdateReport {
            schema: "keysvc/fobctl-value-load/1",
            operation: "load",
            programme: "coffee".into(),
            card: "04782e21801d80".into(),
            purse: 1,
            seq: 2,
            currency: 978,
            amount: 12_000,
            balance_before: 500,
            balance_after: 12_500,
            txn: "05".repeat(16),
            terminal: "terminal-1".into(),
            issued_at_ms: 1_795_000_000_000,
            expires_at_ms: 1_795_086_400_000,
            leaf_index: 7,
            tree_size: 9,
            record: "record".into(),
        }
    }

    #[test]
    fn the_request_is_in_minor_units_of_the_currency() {
        let request = request();
        assert_eq!((request.amount, request.balance_before, request.expected_seq), (2000, 500, 2));
        assert_eq!((request.currency, request.txn), (978, Idem::new([5; 16])));
    }

    #[test]
    fn without_a_transaction_number_a_fresh_one_is_drawn() {
        let draw = || UpdateArgs { txn: None, ..args() }.request(ValueOperation::Debit, 978).unwrap().txn;
        assert_ne!(draw(), draw());
    }

    #[test]
    fn decimals_the_currency_does_not_have_are_refused_by_option() {
        let fault = args().request(ValueOperation::Load, 392).unwrap_err();
        assert_eq!(fault.exit_code(), 2);
        assert_eq!(fault.to_string(), "--amount: JPY has 0 decimals, not 2: type 20");
        assert_eq!(args().amounts(7).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_refusal_says_what_would_have_been_enough_and_the_command_with_it() {
        let counter = refused(Refusal::CounterConflict { expected_seq: 4 });
        assert_eq!(counter.exit_code(), 7);
        assert_eq!(
            counter.next(),
            "read the card again; if it is at 3, `fobctl value load --seq 4 --balance 5.00`"
        );
        let balance = refused(Refusal::BalanceMismatch { balance: 1234 });
        assert_eq!(
            balance.next(),
            "read the card again; the balance on record is 12.34 EUR; if the card says so too, \
             `fobctl value load --seq 2 --balance 12.34`"
        );
        let limit = refused(Refusal::LimitExceeded { limit: 10_000 });
        assert_eq!(
            (limit.exit_code(), limit.next()),
            (3, "stay within 100.00 EUR; the card profile sets it")
        );
    }

    #[test]
    fn an_update_that_takes_people_says_how_its_record_is_fetched_later() {
        let pending = |state| Pending {
            id: ProposalId::new([7; 16]),
            operation: Operation::ValueUpdate,
            need: Need::of(2),
            proposal: Vec::new(),
            state,
            expires_ms: 2,
        };
        let fault = waits(&pending(ProposalState::Open), &again(&request(), &typed()), Path::new("record"));
        assert_eq!(fault.exit_code(), 5);
        let (id, txn) = ("07".repeat(16), "05".repeat(16));
        assert!(fault.next().contains(&format!("--txn {txn}`")), "{}", fault.next());
        assert!(
            fault.next().contains(&format!("`fobctl proposal result {id} --out record`")),
            "{}",
            fault.next()
        );
        let ended = waits(&pending(ProposalState::Expired), &typed(), Path::new("record"));
        assert_eq!(ended.exit_code(), 3);
        assert!(ended.next().contains("without --txn"), "{}", ended.next());
    }

    #[test]
    fn a_command_that_broke_off_is_repeated_with_its_transaction_number() {
        let error = ClientError::Timeout { after_ms: 10, reached: "a:1: no answer".into() };
        let fault = failed(&request(), &typed(), error);
        assert_eq!(fault.exit_code(), 4);
        assert!(fault.next().contains(&format!("--txn {}` tells", "05".repeat(16))), "{}", fault.next());
        for passing in
            [Refusal::TokenUnavailable, Refusal::StoreUnavailable, Refusal::Busy, Refusal::Internal]
        {
            let next = refused(passing).next().to_owned();
            assert!(next.contains(&format!("--txn {}`: with its", "05".repeat(16))), "{next}");
        }
    }

    #[test]
    fn the_text_has_amounts_with_their_points_under_each_other() {
        let text = report().text();
        let ends: Vec<_> = text.lines().skip(1).take(3).map(|line| line.trim_end().len()).collect();
        assert_eq!(ends, [ends[0]; 3], "{text}");
        assert!(text.contains("120.00 EUR") && text.contains("125.00 EUR"), "{text}");
        assert!(text.contains("leaf 7, under a checkpoint of 9 leaves"), "{text}");
    }

    #[test]
    fn the_json_has_minor_units() {
        let expected = json!({
            "operation": "load",
            "programme": "coffee",
            "card": "04782e21801d80",
            "purse": 1,
            "seq": 2,
            "currency": 978,
            "amount": 12_000,
            "balance_before": 500,
            "balance_after": 12_500,
            "txn": "05".repeat(16),
            "terminal": "terminal-1",
            "issued_at_ms": 1_795_000_000_000_u64,
            "expires_at_ms": 1_795_086_400_000_u64,
            "leaf_index": 7,
            "tree_size": 9,
            "record": "record",
        });
        assert_eq!(to_value(report()).unwrap(), expected);
    }
}
