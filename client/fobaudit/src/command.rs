//! The two commands: read what is named, verify, print, and say on stderr what failed.

use crate::{
    args::{Args, Command, ValueArgs, VerifyArgs},
    fault::Fault,
    log_folder::{LogFolder, read_trust},
    output::{Output, complain},
    report, value, verify,
};
use keysvc_protocol::trust::Trust;
use std::{io::Write, path::Path, process::ExitCode};

/// Exit code where something is not verified.
const NOT_VERIFIED: u8 = 6;

/// Runs a command.
///
/// # Errors
/// [`Fault`] when a file cannot be read or the output not written.
pub(crate) fn run<W: Write>(args: &Args, output: &mut Output<W>) -> Result<ExitCode, Fault> {
    match &args.command {
        Command::Verify(args) => verify_log(args, output),
        Command::Value(args) => verify_value(args, output),
    }
}

fn trust_of(path: &Path) -> Result<Trust, Fault> {
    Trust::parse(&read_trust(path)?).map_err(|why| Fault::NotTrust { path: path.to_path_buf(), why })
}

fn verify_log<W: Write>(args: &VerifyArgs, output: &mut Output<W>) -> Result<ExitCode, Fault> {
    let trust = trust_of(&args.trust)?;
    let verification = verify::run(LogFolder::new(&args.folder), &trust, &args.previous)?;
    if args.json {
        output.print(&format_args!("{:#}", report::json(&verification)))?;
    } else {
        output.print(&report::text(&verification))?;
    }
    let Some(first) = verification.findings.first() else { return Ok(ExitCode::SUCCESS) };
    complain(
        &format_args!("the log in {} is not verified: {first}", args.folder.display()),
        "keep this folder as evidence, export the log again with `fobctl audit export`, and tell the officers",
    );
    Ok(ExitCode::from(NOT_VERIFIED))
}

fn verify_value<W: Write>(args: &ValueArgs, output: &mut Output<W>) -> Result<ExitCode, Fault> {
    let trust = trust_of(&args.trust)?;
    let record = value::read_record(&args.record)?;
    let refused = match value::run(&record, LogFolder::new(&args.log), &trust, args.last_seq)? {
        Ok(accepted) if args.json => {
            output.print(&format_args!("{:#}", report::accepted_json(&accepted)))?;
            return Ok(ExitCode::SUCCESS);
        }
        Ok(accepted) => {
            output.print(&report::accepted_text(&accepted))?;
            return Ok(ExitCode::SUCCESS);
        }
        Err(refused) => refused,
    };
    if args.json {
        output.print(&format_args!("{:#}", report::refused_json(&refused)))?;
    }
    complain(&format_args!("the record in {} is refused: {refused}", args.record.display()), refused.next());
    Ok(ExitCode::from(NOT_VERIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Export, Sample, VALUE_KEY};
    use clap::Parser as _;
    use serde_json::{Value, json};

    fn run_line(line: &[&str]) -> (Result<ExitCode, Fault>, String) {
        let mut printed = Vec::new();
        let args = Args::try_parse_from(["fobaudit"].iter().chain(line)).unwrap();
        let code = run(&args, &mut Output::new(&mut printed));
        (code, String::from_utf8(printed).unwrap())
    }

    fn on(export: &Export, line: &[&str]) -> (Result<ExitCode, Fault>, String) {
        let trust = export.write("trust", export.trust.to_text().as_bytes()).display().to_string();
        let folder = export.path("").display().to_string();
        let places = line.iter().map(|word| match *word {
            "DIR" => folder.clone(),
            "TRUST" => trust.clone(),
            name if name.starts_with('@') => export.path(&name[1..]).display().to_string(),
            word => word.to_owned(),
        });
        let line: Vec<_> = places.collect();
        run_line(&line.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn a_verified_log_exits_0_and_ends_with_the_verdict() {
        let (code, text) = on(&Sample::good().export(), &["verify", "DIR", "--trust", "TRUST"]);
        assert_eq!(code.unwrap(), ExitCode::SUCCESS);
        assert!(text.contains("signed by all 2 officers"), "{text}");
        assert!(text.contains("TEST: "), "{text}");
        assert!(text.contains("\u{1b}[1m\u{1b}[32mVERIFIED\u{1b}[0m\n"), "{text:?}");
    }

    #[test]
    fn a_log_that_is_not_verified_exits_6_and_names_the_first_reason() {
        let mut sample = Sample::good();
        sample.update(|update| update.seq = 9);
        let (code, text) = on(&sample.export(), &["verify", "DIR", "--trust", "TRUST"]);
        assert_eq!(code.unwrap(), ExitCode::from(6));
        let reason = "NOT VERIFIED: leaf 6: sequence number 9 where the purse's next is 3";
        assert!(text.contains(reason), "{text}");
    }

    #[test]
    fn the_json_report_has_its_schema_counts_and_verdict() {
        let (code, text) = on(&Sample::good().export(), &["verify", "DIR", "--trust", "TRUST", "--json"]);
        assert_eq!(code.unwrap(), ExitCode::SUCCESS);
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["schema"], "keysvc/fobaudit-verify/1");
        assert_eq!(report["verified"], true);
        assert_eq!(report["log"]["leaves"], 6);
        let counts = json!({ "leaves": 2, "checked": 2, "not_checked": 0 });
        assert_eq!(report["log"]["kinds"]["value_updated"], counts);
    }

    #[test]
    fn an_accepted_record_is_printed_with_amount_and_balances() {
        let sample = Sample::good();
        let export = sample.export();
        export.write("record", &sample.signed_record(VALUE_KEY));
        let line = ["value", "@record", "--log", "DIR", "--trust", "TRUST"];
        let (code, text) = on(&export, &line);
        assert_eq!(code.unwrap(), ExitCode::SUCCESS);
        assert!(text.contains("20.00 (EUR 978) -> 40.00 (EUR 978)"), "{text}");
        assert!(text.contains("2026-11-18T11:06:45Z"), "{text}");
        let (_, text) = on(&export, &[line.as_slice(), &["--json"]].concat());
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&report["schema"], &report["amount"]), (&json!("keysvc/fobaudit-value/1"), &json!(2000)));
    }

    #[test]
    fn a_replayed_record_exits_6_and_prints_no_data_for_people() {
        let sample = Sample::good();
        let export = sample.export();
        export.write("record", &sample.signed_record(VALUE_KEY));
        let line = ["value", "@record", "--log", "DIR", "--trust", "TRUST", "--last-seq", "2"];
        let (code, text) = on(&export, &line);
        assert_eq!((code.unwrap(), text.as_str()), (ExitCode::from(6), ""));
        let (code, text) = on(&export, &[line.as_slice(), &["--json"]].concat());
        assert_eq!(code.unwrap(), ExitCode::from(6));
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&report["verified"], &report["refusal"]), (&json!(false), &json!("replayed")));
    }

    #[test]
    fn a_folder_without_checkpoint_is_a_fault_with_exit_code_4() {
        let export = Sample::good().export();
        std::fs::remove_file(export.path("checkpoint")).unwrap();
        let (code, text) = on(&export, &["verify", "DIR", "--trust", "TRUST"]);
        assert_eq!((code.unwrap_err().exit_code(), text.as_str()), (4, ""));
    }

    #[test]
    fn a_wrong_trust_file_is_a_fault_with_exit_code_2() {
        let export = Sample::good().export();
        let (code, _) = on(&export, &["verify", "DIR", "--trust", "@checkpoint"]);
        assert!(matches!(code, Err(fault @ Fault::NotTrust { .. }) if fault.exit_code() == 2));
    }
}
