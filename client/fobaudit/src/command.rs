//! The commands: read what is named, verify, print or write, and say on stderr what failed.

use crate::{
    args::{
        Args, CeremonyArgs, Command, ControlsArgs, CountsArgs, EvidenceArgs, ReportArgs, ValueArgs,
        VerifyArgs,
    },
    ceremony::{self, Problem},
    counts::Counts,
    evidence::{self, attach},
    fault::Fault,
    html,
    log_folder::{LogFolder, read_trust},
    manual, offline,
    output::{Output, complain, write_file},
    progress::Progress,
    record::{self, Checked},
    report,
    tally::Tally,
    value::{self, Accepted, Refused},
    verify::{self, Alone, Task},
};
use jiff::Timestamp;
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
        Command::Controls(args) => verify_controls(args, output),
        Command::Counts(args) => count_jobs(args, output),
        Command::Evidence(args) => verify_evidence(args, output),
        Command::Ceremony(args) => verify_ceremony(args, output),
        Command::Value(args) => verify_value(args, output),
        Command::Report(args) => write_report(args, output),
        Command::Completions(args) => {
            output.print(&manual::completions(args.shell)?.trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Manual(args) => {
            for page in manual::write_pages(&args.folder)? {
                output.print(&page.display())?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn trust_of(path: &Path) -> Result<Trust, Fault> {
    Trust::parse(&read_trust(path)?).map_err(|why| Fault::NotTrust { path: path.to_path_buf(), why })
}

fn verify_log<W: Write>(args: &VerifyArgs, output: &mut Output<W>) -> Result<ExitCode, Fault> {
    let trust = trust_of(&args.trust)?;
    let task = Task {
        folder: LogFolder::new(&args.folder),
        trust: &trust,
        previous: &args.previous,
        state: args.state.as_deref(),
        acts: false,
        record: None,
    };
    let mut progress = Progress::new();
    let verification = verify::run_beside(&task, &mut Alone, &mut |done, of| progress.show(done, of));
    progress.end();
    let verification = verification?;
    // Before the report, which promises that the next run goes on from here; told after it.
    let kept = match (&verification.state, &args.state) {
        (Some(state), Some(path)) => state.save(path),
        _ => Ok(()),
    };
    if args.json {
        output.print(&format_args!("{:#}", report::json(&verification)))?;
    } else {
        output.print(&report::text(&verification))?;
    }
    kept?;
    let Some(first) = verification.findings.first() else { return Ok(ExitCode::SUCCESS) };
    complain(
        &format_args!("the log in {} is not verified: {first}", args.folder.display()),
        "keep this folder as evidence, export the log again with `fobctl audit export`, and tell the officers",
    );
    Ok(ExitCode::from(NOT_VERIFIED))
}

/// Verifies the log and counts what it holds, and writes the page whatever the verdict is.
fn write_report<W: Write>(args: &ReportArgs, output: &mut Output<W>) -> Result<ExitCode, Fault> {
    let trust = trust_of(&args.trust)?;
    let folder = LogFolder::new(&args.folder);
    let task = Task { previous: &args.previous, ..Task::of(folder, &trust) };
    let (mut tally, mut progress) = (Tally::default(), Progress::new());
    let verification = verify::run_beside(&task, &mut tally, &mut |done, of| progress.show(done, of));
    progress.end();
    let verification = verification?;
    let page = html::page(&verification, &tally, Timestamp::now())?;
    write_file(&args.out, page.as_bytes())?;
    let Some(first) = verification.findings.first() else {
        output.print(&format_args!("{}: VERIFIED, {} leaves", args.out.display(), tally.leaves))?;
        return Ok(ExitCode::SUCCESS);
    };
    output.print(&format_args!("{}: NOT VERIFIED, {} leaves", args.out.display(), tally.leaves))?;
    complain(
        &format_args!("the log in {} is not verified: {first}", args.folder.display()),
        "read the findings at the head of the page, keep the folder as evidence, and tell the officers",
    );
    Ok(ExitCode::from(NOT_VERIFIED))
}

/// Verifies the log, and says of each act that took people who agreed.
fn verify_controls<W: Write>(args: &ControlsArgs, output: &mut Output<W>) -> Result<ExitCode, Fault> {
    let trust = trust_of(&args.trust)?;
    let folder = LogFolder::new(&args.folder);
    let task = Task { acts: true, ..Task::of(folder, &trust) };
    let mut progress = Progress::new();
    let verification = verify::run_beside(&task, &mut Alone, &mut |done, of| progress.show(done, of));
    progress.end();
    let verification = verification?;
    if args.json {
        output.print(&format_args!("{:#}", report::controls_json(&verification)))?;
    } else {
        output.print(&report::controls_text(&verification))?;
    }
    let Some(first) = verification.findings.first() else { return Ok(ExitCode::SUCCESS) };
    complain(
        &format_args!("the controls in {} are not verified: {first}", args.folder.display()),
        "keep this folder as evidence, and tell officers who had no part in the act",
    );
    Ok(ExitCode::from(NOT_VERIFIED))
}

/// Verifies the log, makes every job's and card's figures from it, and compares a job's audit record with them.
fn count_jobs<W: Write>(args: &CountsArgs, output: &mut Output<W>) -> Result<ExitCode, Fault> {
    let trust = trust_of(&args.trust)?;
    let folder = LogFolder::new(&args.folder);
    let opened = match &args.record {
        Some(path) => Some((path, record::open(&record::read(path)?, folder, &trust)?)),
        None => None,
    };
    let recorded = match &opened {
        Some((path, Ok(opened))) => Some(record::recorded(path, opened)),
        _ => None,
    };
    let task = Task { record: recorded.as_ref(), ..Task::of(folder, &trust) };
    let mut progress = Progress::new();
    let verification = verify::run_beside(&task, &mut Alone, &mut |done, of| progress.show(done, of));
    progress.end();
    let verification = verification?;
    let counts = verification.proved.as_ref().map(Counts::of);
    let checked = opened.map(|(path, opened)| {
        let proved = verification.proved.as_ref().ok_or(record::RecordProblem::NothingProved);
        let outcome = opened.and_then(|opened| record::compare(opened, proved?));
        Checked { file: path.clone(), outcome }
    });
    let page = report::Page {
        verification: &verification,
        counts: counts.as_ref(),
        job: args.job.as_ref(),
        record: checked.as_ref(),
    };
    if args.json {
        output.print(&format_args!("{:#}", report::counts_json(&page)))?;
    } else {
        output.print(&report::counts_text(&page))?;
    }
    let (what, next) = if let Some(first) = verification.findings.first() {
        let folder = args.folder.display();
        (
            format!("the counts of {folder} are not verified: {first}"),
            "keep this folder as evidence, and tell officers who had no part in the job",
        )
    } else if let Some((checked, why)) =
        checked.as_ref().and_then(|checked| Some((checked, checked.reason()?)))
    {
        (
            format!("{}: {why}", checked.file.display()),
            "export the log again with `fobctl audit export` if it is older than the record; else keep both as evidence",
        )
    } else if let Some(none) = page.no_job() {
        (none, "leave --job out to see all jobs; their names are in the first column")
    } else {
        return Ok(ExitCode::SUCCESS);
    };
    complain(&what, next);
    Ok(ExitCode::from(NOT_VERIFIED))
}

/// Verifies a ceremony's file by the log.
fn verify_ceremony<W: Write>(args: &CeremonyArgs, output: &mut Output<W>) -> Result<ExitCode, Fault> {
    let trust = trust_of(&args.trust)?;
    let bytes = ceremony::read(&args.file)?;
    let folder = LogFolder::new(&args.export);
    let asked = ceremony::Asked { bytes: &bytes, folder, trust: &trust, previous: &args.previous };
    let mut progress = Progress::new();
    let held = ceremony::run(&asked, &mut |done, of| progress.show(done, of));
    progress.end();
    let held = held?;
    if args.json {
        output.print(&format_args!("{:#}", report::ceremony_json(&held, &trust)))?;
    } else {
        output.print(&report::ceremony_text(&held, &trust))?;
    }
    let Some(first) = held.problems.first() else { return Ok(ExitCode::SUCCESS) };
    let next = match first {
        Problem::Rehearsal => "name the file of the ceremony itself",
        Problem::NotAnchored => {
            "start `fobctl ceremony run` again where it was held, which records it, and export the log again"
        }
        _ => "keep the file and the exported log as evidence, and tell officers who took no part",
    };
    complain(&format_args!("the ceremony in {} is not verified: {first}", args.file.display()), next);
    Ok(ExitCode::from(NOT_VERIFIED))
}

fn verify_evidence<W: Write>(args: &EvidenceArgs, output: &mut Output<W>) -> Result<ExitCode, Fault> {
    let trust = trust_of(&args.trust)?;
    match evidence::prove(&evidence::read(&args.evidence)?, &trust) {
        Ok(shown) if args.json => output.print(&format_args!("{:#}", report::evidence_json(&shown)))?,
        Ok(shown) => output.print(&report::evidence_text(&shown))?,
        Err(unproved) => {
            if args.json {
                output.print(&format_args!("{:#}", report::unproved_json(&unproved)))?;
            }
            complain(
                &format_args!("the evidence in {} is not verified: {unproved}", args.evidence.display()),
                "get it again with `fobctl evidence get`; if it is refused again, keep both files and tell the officers",
            );
            return Ok(ExitCode::from(NOT_VERIFIED));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Judges a record by the log or the bundle, whichever is named, and by the evidence of the people it took.
fn judge(record: &[u8], args: &ValueArgs, trust: &Trust) -> Result<Result<Accepted, Refused>, Fault> {
    let shown = match &args.evidence {
        Some(path) => Some(evidence::prove(&evidence::read(path)?, trust)),
        None => None,
    };
    let accepted = if let Some(log) = &args.log {
        value::run(record, LogFolder::new(log), trust, args.last_seq)?
    } else if let Some(bundle) = &args.bundle {
        let file = offline::read_bundle(bundle)?;
        let now = args.at.unwrap_or_else(Timestamp::now);
        // A clock before 1970 counts as 1970.
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let bundle = offline::open(&file, trust);
        bundle.and_then(|bundle| offline::check(record, &bundle, now_ms, args.last_seq))
    } else {
        // The command line asks for one of the three; without any there is nothing to judge by.
        let Some(shown) = shown else { return Ok(Err(Refused::Empty)) };
        let shown = shown.map_err(Refused::Evidence);
        return Ok(shown.and_then(|shown| value::by_evidence(record, shown, args.last_seq)));
    };
    Ok(match shown {
        Some(shown) => accepted.and_then(|accepted| attach(accepted, shown?)),
        None => accepted,
    })
}

fn verify_value<W: Write>(args: &ValueArgs, output: &mut Output<W>) -> Result<ExitCode, Fault> {
    let trust = trust_of(&args.trust)?;
    let record = value::read_record(&args.record)?;
    let refused = match judge(&record, args, &trust)? {
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
    use crate::offline::tests::{SERVICE_KEY, file};
    use crate::sample::{Ceremony, Export, Sample, VALUE_KEY};
    use clap::Parser as _;
    use keysvc_protocol::ceremony::Outcome;
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
        assert!(text.contains("2026-11-18T11:06:45.000Z"), "{text}");
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

    #[test]
    fn a_report_is_written_and_tells_the_verdict_by_its_exit_code() {
        let line = ["report", "DIR", "--trust", "TRUST", "--out", "@page.html"];
        let export = Sample::good().export();
        let (code, text) = on(&export, &line);
        assert_eq!(code.unwrap(), ExitCode::SUCCESS);
        assert!(text.ends_with("page.html: VERIFIED, 6 leaves\n"), "{text}");
        let page = std::fs::read_to_string(export.path("page.html")).unwrap();
        assert!(page.contains("<strong>VERIFIED</strong>"), "{page}");
        let mut sample = Sample::good();
        sample.update(|update| update.seq = 9);
        let export = sample.export();
        let (code, text) = on(&export, &line);
        assert_eq!(code.unwrap(), ExitCode::from(6));
        assert!(text.ends_with("page.html: NOT VERIFIED, 7 leaves\n"), "{text}");
        let page = std::fs::read_to_string(export.path("page.html")).unwrap();
        assert!(page.contains("<strong>NOT VERIFIED</strong>"), "{page}");
    }

    #[test]
    fn a_page_that_cannot_be_written_is_a_fault_with_exit_code_1() {
        let line = ["report", "DIR", "--trust", "TRUST", "--out", "@gone/page.html"];
        let (code, text) = on(&Sample::good().export(), &line);
        assert_eq!((code.unwrap_err().exit_code(), text.as_str()), (1, ""));
    }

    #[test]
    fn a_bundle_accepts_a_record_while_it_holds_and_says_until_when_it_held() {
        let sample = Sample::good();
        let export = sample.export();
        export.write("record", &sample.signed_record(VALUE_KEY));
        export.write("bundle", &file(&sample, SERVICE_KEY));
        let at = |time, more: &[&str]| {
            let line = ["value", "@record", "--bundle", "@bundle", "--trust", "TRUST", "--at", time];
            let (code, text) = on(&export, &[line.as_slice(), more].concat());
            (code.unwrap(), text)
        };
        let (code, text) = at("2026-11-19T11:06:40Z", &[]);
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(text.contains("holds until 2026-11-19T11:06:40.000Z; the log was not looked at"), "{text}");
        let (code, text) = at("2026-11-19T12:06:40+01:00", &["--json"]);
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (code, &report["verified"], &report["leaf"]),
            (ExitCode::SUCCESS, &json!(true), &Value::Null)
        );
        assert_eq!(report["bundle"]["not_after_ms"], 1_795_086_400_000_u64);
        let (code, text) = at("2026-11-19T11:06:41Z", &["--json"]);
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, &report["refusal"]), (ExitCode::from(6), &json!("bundle_expired")));
        let reason = "the trust bundle has expired: it held until 2026-11-19T11:06:40.000Z";
        assert_eq!(report["reason"], reason);
    }

    #[test]
    fn controls_say_each_act_in_one_line_with_the_people_and_what_it_took() {
        let sample = Sample::governed();
        let (code, text) = on(&sample.export(), &["controls", "DIR", "--trust", "TRUST"]);
        assert_eq!(code.unwrap(), ExitCode::SUCCESS);
        let act = text.lines().find(|line| line.starts_with("leaf 25, ")).unwrap();
        assert!(
            act.starts_with("leaf 25, 2026-11-18 11:07:05 UTC: Let terminal terminal-1 go on. "),
            "{act}"
        );
        let people = "Asked by alice; agreed: alice (finance), bob (operations); it took 2 people.";
        assert!(act.ends_with(people), "{act}");
        assert!(text.contains("it took 2 people of at least 2 departments."), "{text}");
        assert!(text.contains("In force since leaf 36."), "{text}");
        assert!(text.contains("By bob alone, which is enough for it."), "{text}");
        assert!(text.contains("6 verified, with 12 approvals"), "{text}");
        assert!(text.ends_with("VERIFIED\u{1b}[0m\n"), "{text:?}");
    }

    #[test]
    fn controls_that_do_not_hold_exit_6_and_name_the_leaf() {
        let mut sample = Sample::good();
        let terminal = keysvc_protocol::freeze::Scope::Terminal { name: "terminal-1".parse().unwrap() };
        sample.freeze(terminal);
        sample.update(|_| {});
        let line = ["controls", "DIR", "--trust", "TRUST"];
        let (code, text) = on(&sample.export(), &line);
        assert_eq!(code.unwrap(), ExitCode::from(6));
        let finding = "finding: leaf 7: it was done although an officer had stopped the terminal";
        assert!(text.contains(finding), "{text}");
        assert!(
            text.contains("frozen          terminal terminal-1, by alice at leaf 6: reported lost"),
            "{text}"
        );
        let (_, text) = on(&sample.export(), &[line.as_slice(), &["--json"]].concat());
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["schema"], "keysvc/fobaudit-controls/1");
        assert_eq!((&report["verified"], &report["findings"][0]["leaf"]), (&json!(false), &json!(7)));
        assert_eq!(report["log"]["alone"][0]["operation"], "freeze.set");
    }

    #[test]
    fn a_ceremony_is_told_step_by_step_and_exits_0_when_all_of_it_is_in_the_log() {
        let mut ceremony = Ceremony::held();
        ceremony.deviates(11, Outcome::Deviated, "the other safe was used");
        let file = ceremony.ended();
        let export = ceremony.sample.export();
        export.write("file", &file);
        let line = ["ceremony", "@file", "--export", "DIR", "--trust", "TRUST"];
        let (code, text) = on(&export, &line);
        assert_eq!(code.unwrap(), ExitCode::SUCCESS);
        for said in [
            "alice (officer, finance), bob (officer, operations), dora (custodian, bureau), wilma (witness, audit)",
            "10 as planned, 1 not as planned, 0 failed",
            "step 6  2026-11-18 11:06:51 UTC, leaf 11: dora (DO), done\n    Enter the second component.\n",
            "    key-check-value = 7777777777\n",
            "    act at leaf 9, agreed: alice, bob; it orders version 2\n",
            "    serial number of the envelope = 4711 (not compared)\n",
            "step 11 not as planned: the other safe was used",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
        assert!(text.ends_with("VERIFIED\u{1b}[0m\n"), "{text:?}");
        let (_, text) = on(&export, &[line.as_slice(), &["--json"]].concat());
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["schema"], "keysvc/fobaudit-ceremony/1");
        assert_eq!((&report["verified"], &report["anchor"]["by"]), (&json!(true), &json!("bob")));
        assert_eq!(report["ceremony"]["steps"][5]["leaf"], 11);
        assert_eq!(report["ceremony"]["steps"][10]["outcome"], "not_as_planned");
        // An older checkpoint that the log does not continue.
        let mut forked = Sample::founded();
        forked.update(|_| {});
        export.write("fork", &forked.note());
        let (code, text) = on(&export, &[line.as_slice(), &["--previous", "@fork"]].concat());
        assert_eq!(code.unwrap(), ExitCode::from(6));
        assert!(text.contains("NOT VERIFIED: the exported log is not verified: "), "{text}");
    }

    #[test]
    fn a_ceremony_that_is_not_in_the_log_exits_6_and_a_rehearsal_is_no_proof() {
        let line = ["ceremony", "@file", "--export", "DIR", "--trust", "TRUST"];
        let mut ceremony = Ceremony::held();
        let export = ceremony.sample.export();
        export.write("file", &ceremony.ended());
        let (code, text) = on(&export, &line);
        assert_eq!(code.unwrap(), ExitCode::from(6));
        assert!(text.contains("finding: the log does not hold this transcript"), "{text}");
        ceremony.rehearsal = true;
        export.write("file", &ceremony.ended());
        let (code, text) = on(&export, &[line.as_slice(), &["--json"]].concat());
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code.unwrap(), &report["verified"]), (ExitCode::from(6), &json!(false)));
        let reason = "it is the transcript of a rehearsal: a rehearsal proves nothing";
        assert_eq!(report["reason"], reason);
        let (code, text) = on(&export, &["ceremony", "@checkpoint", "--export", "DIR", "--trust", "TRUST"]);
        assert_eq!(code.unwrap(), ExitCode::from(6));
        assert!(text.contains("NOT VERIFIED: not a ceremony's file: "), "{text}");
    }

    #[test]
    fn jobs_are_counted_and_a_record_is_compared_by_the_command() {
        let mut sample = Sample::produced();
        let good = sample.job_record("nfc-2", |_| {});
        let bad = sample.job_record("nfc-3", |record| record.tally.good += 1);
        let export = sample.export();
        export.write("good", &good);
        export.write("bad", &bad);
        let line = ["counts", "DIR", "--trust", "TRUST"];
        let counts = |more: &[&str]| {
            let (code, text) = on(&export, &[line.as_slice(), more].concat());
            (code.unwrap(), text)
        };
        let (code, text) = counts(&["--record", "@good"]);
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(text.contains("says of every field what the log says"), "{text}");
        let (code, text) = counts(&["--record", "@bad", "--job", "nfc-3", "--json"]);
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, &report["verified"]), (ExitCode::from(6), &json!(false)));
        let difference = json!({ "field": "tally.good", "record": 2, "log": 1 });
        assert_eq!(report["record"]["differences"], json!([difference]));
        assert_eq!(
            (report["log"]["jobs"].as_array().unwrap().len(), &report["log"]["jobs_total"]),
            (1, &json!(3))
        );
        let (code, text) = counts(&["--job", "nfc-9"]);
        assert_eq!(code, ExitCode::from(6));
        assert!(text.contains("NOT VERIFIED: the log has no job nfc-9"), "{text}");
        let (code, text) = counts(&["--record", "@checkpoint"]);
        assert_eq!(code, ExitCode::from(6));
        assert!(
            text.contains("NOT VERIFIED: the record is not verified: not the service's statement"),
            "{text}"
        );
        sample.create_job("nfc-3", Sample::head(1));
        let (code, text) = on(&sample.export(), &line);
        assert_eq!(code.unwrap(), ExitCode::from(6));
        let said = "job nfc-3: job.create does not hold: not in this state: the name was used before";
        assert!(text.contains(said), "{text}");
    }

    #[test]
    fn evidence_is_verified_alone_and_says_the_act() {
        let mut sample = Sample::good();
        let act = sample.large_load();
        let export = sample.export();
        export.write("evidence", &sample.evidence_file(&[], act));
        let (code, text) = on(&export, &["evidence", "@evidence", "--trust", "TRUST"]);
        assert_eq!(code.unwrap(), ExitCode::SUCCESS);
        assert!(
            text.contains("Load 20.00 (currency 978, 2000 minor units) on card 04782e21801d80"),
            "{text}"
        );
        assert!(text.contains("alice (finance), bob (operations)"), "{text}");
        let (_, text) = on(&export, &["evidence", "@evidence", "--trust", "TRUST", "--json"]);
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&report["verified"], &report["act"]["leaf"]), (&json!(true), &json!(act)));
        let need = json!({ "persons": 2, "departments": 2, "named": [] });
        assert_eq!(report["act"]["need"], need);
        let (code, text) = on(&export, &["evidence", "@checkpoint", "--trust", "TRUST", "--json"]);
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code.unwrap(), &report["verified"]), (ExitCode::from(6), &json!(false)));
    }

    #[test]
    fn a_record_that_took_people_says_who_they_were_where_its_evidence_is_named() {
        let mut sample = Sample::good();
        let act = sample.large_load();
        let export = sample.export();
        export.write("record", &sample.approved_record(VALUE_KEY));
        export.write("evidence", &sample.evidence_file(&[], act));
        let value = |more: &[&str]| {
            let line = ["value", "@record", "--trust", "TRUST"];
            let (code, text) = on(&export, &[line.as_slice(), more].concat());
            (code.unwrap(), text)
        };
        let (code, text) = value(&["--log", "DIR"]);
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(text.contains("it took several, by the evidence "), "{text}");
        for place in [&["--log", "DIR"][..], &[]] {
            let (code, text) = value(&[place, &["--evidence", "@evidence"]].concat());
            assert_eq!(code, ExitCode::SUCCESS);
            assert!(text.contains("alice (finance), bob (operations)"), "{text}");
        }
        let (_, text) = value(&["--evidence", "@evidence", "--json"]);
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&report["leaf"], &report["people"]["requester"]), (&json!(act), &json!("terminal-1")));
        sample.update(|_| {});
        let export = sample.export();
        export.write("record", &sample.signed_record(VALUE_KEY));
        export.write("evidence", &sample.evidence_file(&[], act));
        let line =
            ["value", "@record", "--trust", "TRUST", "--log", "DIR", "--evidence", "@evidence", "--json"];
        let (code, text) = on(&export, &line);
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code.unwrap(), &report["refusal"]), (ExitCode::from(6), &json!("not_by_people")));
    }

    #[test]
    fn completions_and_manual_pages_are_made_without_a_log() {
        let (code, text) = run_line(&["completions", "bash"]);
        assert_eq!(code.unwrap(), ExitCode::SUCCESS);
        assert!(text.contains("fobaudit__subcmd__verify") || text.contains("fobaudit__verify"), "{text}");
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("man").display().to_string();
        let (code, text) = run_line(&["manual", &place]);
        assert_eq!(code.unwrap(), ExitCode::SUCCESS);
        assert!(text.starts_with(&format!("{place}/fobaudit.1\n{place}/fobaudit-verify.1\n")), "{text}");
    }
}
