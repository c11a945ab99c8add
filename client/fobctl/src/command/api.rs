//! `fobctl api`: one operation as CBOR in diagnostic notation, for debugging a client or the service.
//!
//! The connection, the founding and the checkpoint that is shown to the service are as for every command. What comes
//! back is decoded and shown, not checked: no checkpoint in it is judged or kept, no signature verified.

use crate::{
    confirm,
    diagnostic::{self, Value},
    fault::Fault,
    field_names, file,
    output::{LOUD, Output, Report, tell},
    shown::hex,
};
use keysvc_client::{
    ClientConfig, Reader,
    protocol::{
        cbor::REQUEST_LEN_MAX,
        cose::{Kind, Unsigned},
        request::Operation,
    },
    reader::RawReply,
    signer,
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

/// Longest request in diagnostic notation, in bytes: a byte of CBOR takes 2 digits, and comments have room.
const NOTATION_LEN_MAX: usize = 4 * REQUEST_LEN_MAX;

const EXAMPLES: &str = "\
Examples:
  fobctl api status
  fobctl api key.get --request '{0: 1, 1: \"value-1\"}'
  fobctl api log.proof --request '{0: 1, 1: 9, 2: 4}'
  fobctl api job.get --request '{0: 1, 1: \"nfc-2026-11\"}'
  fobctl api job.withdraw --sign --request-file withdraw.diag";

/// `fobctl api`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ApiArgs {
    /// The operation, such as key.list.
    #[arg(value_name = "OPERATION", value_parser = operation)]
    operation: Operation,
    /// The request in CBOR diagnostic notation; {0: 1}, the schema number alone, when left out.
    #[arg(long, value_name = "DIAG", conflicts_with = "request_file")]
    request: Option<String>,
    /// A file with the request in CBOR diagnostic notation.
    #[arg(long, value_name = "FILE")]
    request_file: Option<PathBuf>,
    /// Sign the request with the persona's statement key, after showing it.
    #[arg(long)]
    sign: bool,
    /// Sign without asking. What is signed is shown all the same.
    #[arg(long, requires = "sign")]
    yes: bool,
}

fn operation(name: &str) -> Result<Operation, String> {
    Operation::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Operation::ALL.into_iter().map(Operation::name).collect();
        format!("the operations are {}", names.join(", "))
    })
}

#[derive(Serialize)]
struct ApiReport {
    operation: &'static str,
    /// The reply's bytes, hexadecimal.
    reply: String,
    /// Whether it is a proposal instead of the operation's own reply (status 202).
    pending: bool,
    /// The reply in diagnostic notation.
    notation: String,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ApiArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let request = args.parsed()?;
    args.check_signing(&request)?;
    let reader = Reader::connect(config).await.map_err(|error| Fault::client("connect", error))?;
    let bytes = match request {
        // A byte string is the request itself: a message signed elsewhere.
        Value::Bytes(bytes) => bytes,
        request if args.sign => args.signed(config, &reader, &request)?,
        request => diagnostic::encode(&request),
    };
    let reply = reader.raw(args.operation, bytes).await;
    let reply = reply.map_err(|error| Fault::client("call the operation", error))?;
    let RawReply { pending, reply } = reply;
    let value = diagnostic::decode(&reply).ok_or_else(|| {
        let what = format!("{} bytes that are not CBOR of its subset: {}", reply.len(), hex(&reply));
        Fault::client("read the reply", keysvc_client::ClientError::Malformed { what })
    })?;
    output.print(&ApiReport {
        operation: args.operation.name(),
        reply: hex(&reply),
        notation: diagnostic::show(&value, fields(args.operation, pending)),
        pending,
    })?;
    if pending {
        tell(&"note: status 202: the request takes people first, and this is its proposal");
    }
    tell(&"note: shown as received; its checkpoint, proofs and signatures are not checked");
    Ok(())
}

fn fields(operation: Operation, pending: bool) -> &'static [&'static str] {
    if pending { field_names::of_pending() } else { field_names::of_reply(operation) }
}

impl ApiArgs {
    fn parsed(&self) -> Result<Value, Fault> {
        let text = match (&self.request, &self.request_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => String::from_utf8(file::read(path, NOTATION_LEN_MAX)?)
                .map_err(|_| Fault::usage(format!("{} is not text", path.display()), "name another file"))?,
            (None, None) => return Ok(Value::Map(vec![(Value::Unsigned(0), Value::Unsigned(1))])),
        };
        diagnostic::parse(&text).map_err(|error| {
            let fields = field_names::of_request(self.operation).iter().enumerate();
            let fields: Vec<_> = fields.map(|(number, name)| format!("{number} {name}")).collect();
            let next = format!("correct it; the fields of {} are {}", self.operation, fields.join(", "));
            Fault::usage(format!("the request is not CBOR diagnostic notation: {error}"), next)
        })
    }

    /// Refuses a signature where none belongs, and none where one does.
    fn check_signing(&self, request: &Value) -> Result<(), Fault> {
        let ready = matches!(request, Value::Bytes(_));
        match (self.operation.is_signed(), self.sign) {
            (true, false) if !ready => Err(Fault::usage(
                format!("{} takes signed requests alone", self.operation),
                "add --sign, or give a message that is signed already as h'..'",
            )),
            (false, true) => {
                Err(Fault::usage(format!("{} takes no signed requests", self.operation), "leave --sign out"))
            }
            (_, true) if ready => {
                Err(Fault::usage("a byte string is sent as it is, not signed", "leave --sign out"))
            }
            _ => Ok(()),
        }
    }

    /// Shows what is signed out of the bytes that are, asks, and signs.
    fn signed(&self, config: &ClientConfig, reader: &Reader, request: &Value) -> Result<Vec<u8>, Fault> {
        let payload = diagnostic::encode(request);
        let shown = diagnostic::decode(&payload).unwrap_or(Value::Null);
        let fault = |error| Fault::client("sign the request", error);
        let signer = signer::of_config(config).map_err(fault)?;
        tell(&format_args!(
            "{LOUD}to be signed as a statement for {}:{LOUD:#}\n{}",
            self.operation,
            diagnostic::show(&shown, field_names::of_request(self.operation))
        ));
        if !self.yes {
            confirm::ask()?;
        }
        let scope = reader.founded().genesis().as_bytes();
        let kind = Kind::Request(self.operation);
        let unsigned = Unsigned::new(kind, scope, signer.public_key().identifier(), payload);
        let signature = signer.sign(&unsigned.to_be_signed()).map_err(fault)?;
        Ok(unsigned.with_signature(&signature))
    }
}

impl Report for ApiReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-api/1"
    }

    fn text(&self) -> String {
        self.notation.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(operation: Operation, request: Option<&str>, sign: bool) -> ApiArgs {
        ApiArgs { operation, request: request.map(str::to_owned), request_file: None, sign, yes: false }
    }

    fn refused(operation: Operation, request: &str, sign: bool) -> String {
        let args = args(operation, Some(request), sign);
        let fault = args.check_signing(&args.parsed().unwrap()).unwrap_err();
        assert_eq!(fault.exit_code(), 2);
        fault.to_string()
    }

    #[test]
    fn a_request_left_out_is_the_schema_number() {
        let request = args(Operation::Status, None, false).parsed().unwrap();
        assert_eq!(diagnostic::encode(&request), [0xa1, 0, 1]);
    }

    #[test]
    fn a_request_that_is_not_notation_names_the_place_and_the_fields() {
        let fault = args(Operation::KeyGet, Some("{0 1}"), false).parsed().unwrap_err();
        assert!(fault.to_string().ends_with("at character 4: a colon stands between a key and its value"));
        assert_eq!(fault.next(), "correct it; the fields of key.get are 0 schema, 1 name, 2 version");
    }

    #[test]
    fn a_signature_goes_with_the_operations_that_take_one() {
        assert_eq!(refused(Operation::JobOpen, "{0: 1}", false), "job.open takes signed requests alone");
        assert_eq!(refused(Operation::Status, "{0: 1}", true), "status takes no signed requests");
        assert_eq!(
            refused(Operation::ValueUpdate, "h'00'", true),
            "a byte string is sent as it is, not signed"
        );
        for (operation, request, sign) in [
            (Operation::Status, "{0: 1}", false),
            (Operation::JobOpen, "{0: 1}", true),
            (Operation::JobOpen, "h'd284'", false),
        ] {
            let args = args(operation, Some(request), sign);
            assert!(args.check_signing(&args.parsed().unwrap()).is_ok());
        }
    }

    #[test]
    fn an_unknown_operation_is_answered_with_the_known_ones() {
        assert!(operation("key.export").unwrap_err().contains("key.list, key.get"));
    }
}
