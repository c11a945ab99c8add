//! Golden messages: what the code encodes, what lies in `tests/golden/*.hex`, what docs/wire.md quotes and what
//! docs/wire.cddl describes are the same.
//!
//! `KEYSVC_WRITE_GOLDEN=1` writes the files and the section of docs/wire.md anew; that is right for a new message and
//! wrong for a released one, whose bytes never change.

#[path = "golden/agreed.rs"]
mod agreed;
#[path = "golden/governed.rs"]
mod governed;
#[path = "golden/grammar.rs"]
mod grammar;
#[path = "golden/jobs.rs"]
mod jobs;
#[path = "golden/messages.rs"]
mod messages;

use cddl_cat::validate_cbor_bytes;
use grammar::grammar;
use keysvc_protocol::{
    bundle::TrustBundle,
    checkpoint::{Origin, SignedCheckpoint},
    cose::{Kind, Signed},
    delivery::{Delivery, ExchangeOpening},
    hash::sha256,
    job::JobRecord,
    request::Operation,
    value::ValueUpdate,
};
use messages::{DOMAIN, Golden, all, checkpoint, genesis, public_key};
use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

/// Where the golden messages begin in docs/wire.md; they go on to the end of the file.
const HEADING: &str = "## Golden messages\n";
/// The first byte of tag 18 (RFC 9052 section 4.2), which cddl-cat cannot read.
const TAG_18: u8 = 0xd2;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn document(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Hexadecimal in lines of 48 bytes, each behind `indent`.
fn lines(indent: &str, bytes: &[u8]) -> String {
    bytes.chunks(48).map(|line| indent.to_owned() + &hex(line) + "\n").collect()
}

/// The section of docs/wire.md.
fn section() -> String {
    let mut text = format!(
        "{HEADING}\nProduced by `client/protocol/tests/golden.rs`, with the P-256 key whose secret is 32 bytes of 09 and \
         the genesis digest of 32 bytes a0 (a founding agreement: the trust domain `{DOMAIN}`).\n"
    );
    for golden in all() {
        let quoted = lines("    ", &golden.bytes);
        write!(text, "\n`{}` ({} bytes)\n\n{quoted}", golden.name, golden.bytes.len()).unwrap();
    }
    text
}

fn write_anew() {
    for golden in all() {
        fs::write(folder().join(format!("{}.hex", golden.name)), lines("", &golden.bytes)).unwrap();
    }
    let path = document("wire.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, _) = text.split_once(HEADING).unwrap_or((&text, ""));
    fs::write(&path, format!("{before}{}", section())).unwrap();
}

#[test]
fn every_message_still_has_its_golden_bytes() {
    if std::env::var("KEYSVC_WRITE_GOLDEN").is_ok_and(|value| value == "1") {
        write_anew();
    }
    for golden in all() {
        let path = folder().join(format!("{}.hex", golden.name));
        let kept = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(kept.split_whitespace().collect::<String>(), hex(&golden.bytes), "{}", golden.name);
    }
}

#[test]
fn every_golden_file_is_a_message_of_the_code() {
    let named: BTreeSet<String> = all().into_iter().map(|golden| golden.name).collect();
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<String> =
        files.filter_map(|file| file.strip_suffix(".hex").map(str::to_owned)).collect();
    assert_eq!(found, named);
}

#[test]
fn the_wire_document_quotes_every_golden_message() {
    let text = fs::read_to_string(document("wire.md")).unwrap();
    let (_, quoted) = text.split_once(HEADING).unwrap();
    let blocks: Vec<&str> = quoted.split("\n`").skip(1).collect();
    assert_eq!(blocks.len(), all().len());
    for (golden, block) in all().iter().zip(blocks) {
        let (name, rest) = block.split_once('`').unwrap();
        assert_eq!(name, golden.name);
        let rows = rest.lines().filter_map(|line| line.strip_prefix("    "));
        assert_eq!(rows.collect::<String>(), hex(&golden.bytes), "{name}");
    }
}

#[test]
fn every_operation_has_a_golden_request_and_a_golden_reply() {
    let names: BTreeSet<String> = all().into_iter().map(|golden| golden.name).collect();
    for operation in Operation::ALL {
        assert!(names.contains(&format!("request-{operation}")), "{operation}");
        assert!(names.contains(&format!("reply-{operation}")), "{operation}");
        assert_eq!(names.contains(&format!("signed-{operation}")), operation.is_signed(), "{operation}");
    }
}

#[test]
fn golden_statements_verify_under_their_own_kind_alone() {
    let (key, genesis) = (public_key(), genesis());
    for golden in all().iter().filter(|golden| golden.name.starts_with("signed-")) {
        let signed = Signed::parse(&golden.bytes).unwrap();
        let opened = |kind, scope: &[u8]| signed.open(kind, scope, &key).is_ok();
        assert_eq!(opened(Kind::Founding, DOMAIN.as_bytes()), golden.name == "signed-founding-agreement");
        assert_eq!(opened(Kind::ValueUpdate, genesis.as_bytes()), golden.name == "signed-value-update");
        assert_eq!(
            opened(Kind::ExchangeOpening, genesis.as_bytes()),
            golden.name == "signed-exchange-opening"
        );
        assert_eq!(opened(Kind::Delivery, genesis.as_bytes()), golden.name == "signed-delivery");
        assert_eq!(opened(Kind::TrustBundle, genesis.as_bytes()), golden.name == "signed-trust-bundle");
        assert_eq!(opened(Kind::Approval, genesis.as_bytes()), golden.name == "signed-approval");
        assert_eq!(opened(Kind::ImportOffer, genesis.as_bytes()), golden.name == "signed-component-offer");
        assert_eq!(opened(Kind::Plan, DOMAIN.as_bytes()), golden.name == "signed-plan-agreement");
        assert_eq!(
            opened(Kind::Transcript, genesis.as_bytes()),
            golden.name == "signed-transcript-agreement"
        );
        assert_eq!(opened(Kind::JobAgreement, genesis.as_bytes()), golden.name == "signed-job-agreement");
        assert_eq!(opened(Kind::JobRecord, genesis.as_bytes()), golden.name == "signed-job-record");
        let approved = golden.name == "signed-approved-value-update";
        assert_eq!(opened(Kind::ApprovedValueUpdate, genesis.as_bytes()), approved);
        for operation in Operation::ALL {
            let own = golden.name == format!("signed-{operation}");
            assert_eq!(
                opened(Kind::Request(operation), genesis.as_bytes()),
                own,
                "{} {operation}",
                golden.name
            );
        }
    }
    let of = |name: &str| all().into_iter().find(|golden| golden.name == name).unwrap().bytes;
    assert!(ValueUpdate::verify(&of("signed-value-update"), &genesis, &key).is_ok());
    let approved = ValueUpdate::verify(&of("signed-approved-value-update"), &genesis, &key).unwrap();
    assert_eq!(approved.evidence, Some(sha256(&[&of("evidence")])));
    assert!(ExchangeOpening::verify(&of("signed-exchange-opening"), &genesis, &key).is_ok());
    assert!(Delivery::verify(&of("signed-delivery"), &genesis, &key).is_ok());
    assert!(TrustBundle::verify(&of("signed-trust-bundle"), &genesis, &key).is_ok());
    assert!(JobRecord::verify(&of("signed-job-record"), &genesis, &key).is_ok());
}

#[test]
fn the_wire_document_quotes_the_golden_checkpoint() {
    let note = checkpoint();
    assert_eq!(note.verify(&Origin::of(&DOMAIN.parse().unwrap(), 1), &public_key()), Ok(()));
    let text = fs::read_to_string(document("wire.md")).unwrap();
    let origin = format!("    {}", note.checkpoint().origin);
    let quoted: Vec<_> =
        text.lines().skip_while(|line| *line != origin).take(5).map(str::trim_start).collect();
    assert_eq!(SignedCheckpoint::parse((quoted.join("\n") + "\n").as_bytes()), Ok(note));
}

/// The rule and the bytes without tag 18, where the grammar puts that tag before the rule's array.
fn untagged(golden: &Golden, grammar: &str) -> (String, Vec<u8>) {
    let rule = grammar.lines().find_map(|line| {
        let (name, rest) = line.split_once(" = #6.18(")?;
        (name == golden.rule).then(|| rest.trim_end_matches(')').to_owned())
    });
    match rule {
        Some(rule) => {
            assert_eq!(golden.bytes[0], TAG_18, "{}", golden.name);
            (rule, golden.bytes[1..].to_vec())
        }
        None => (golden.rule.clone(), golden.bytes.clone()),
    }
}

#[test]
fn the_grammar_describes_every_golden_message() {
    let (whole, grammar) = (fs::read_to_string(document("wire.cddl")).unwrap(), grammar());
    for golden in all() {
        let (rule, bytes) = untagged(&golden, &whole);
        let valid = validate_cbor_bytes(&rule, &grammar, &bytes);
        assert!(valid.is_ok(), "{} as {rule}: {valid:?}", golden.name);
    }
}

#[test]
fn the_grammar_refuses_one_more_field_and_one_less() {
    let (whole, grammar) = (fs::read_to_string(document("wire.cddl")).unwrap(), grammar());
    for golden in all() {
        let (rule, bytes) = untagged(&golden, &whole);
        // A map or an array of few entries: its head is one byte, and holds their number.
        let head = bytes[0];
        let entry: &[u8] = if head >> 5 == 5 { &[0x18, 0x63, 0x00] } else { &[0x00] };
        let more = [&[head + 1], &bytes[1..], entry].concat();
        assert!(validate_cbor_bytes(&rule, &grammar, &more).is_err(), "{} and a field more", golden.name);
        // Without field 0, the schema: key and value are one byte each.
        if head >> 5 == 5 {
            let less = [&[head - 1], &bytes[3..]].concat();
            assert!(validate_cbor_bytes(&rule, &grammar, &less).is_err(), "{} and a field less", golden.name);
        }
    }
}

#[test]
fn every_message_of_the_grammar_has_a_golden_one() {
    let whole = fs::read_to_string(document("wire.cddl")).unwrap();
    let rules: BTreeSet<String> = all().into_iter().map(|golden| golden.rule).collect();
    for line in whole.lines() {
        let Some((rule, _)) = line.split_once(" = ").filter(|(rule, _)| !rule.starts_with([' ', ';'])) else {
            continue;
        };
        let parts = ["leaf-kind", "leaf-evidence", "leaf-payload"];
        let message = ["request-", "reply-", "leaf-", "signed-"].iter().any(|kind| rule.starts_with(kind));
        assert!(!message || parts.contains(&rule) || rules.contains(rule), "{rule}");
    }
}
