//! Personalization jobs in the demo: one of 24 cards with rejects, a sample, a jam and a killed keeper, counted wrong and
//! then right, erased before a witness; another one that has to wait for that; and both counted again by an auditor.

use super::{
    cards,
    narrator::Narrator,
    people::{REFUSED, WAITS},
    persona::fobctl,
    records,
};
use crate::{
    encoder,
    ground::{Failed, Ground},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

const JOB: &str = "spring-1";
const NEXT: &str = "spring-2";
/// Blanks that the vault issues for the first job: 20 good cards are ordered.
const ISSUED: usize = 24;
/// Which of them are broken, a sample, and stuck.
const BROKEN: [usize; 2] = [5, 11];
const SAMPLE: usize = 7;
const JAMMED: usize = 18;
/// What comes of them.
const RIGHT: [&str; 10] =
    ["--good", "21", "--rejected", "2", "--sample", "1", "--returned", "0", "--handed-over", "0"];
const WRONG: [&str; 10] =
    ["--good", "20", "--rejected", "2", "--sample", "1", "--returned", "0", "--handed-over", "0"];
/// Cards of the second job, whose master key only the token knows.
const MORE: usize = 200;
const MORE_COUNTED: [&str; 10] =
    ["--good", "200", "--rejected", "0", "--sample", "0", "--returned", "0", "--handed-over", "0"];
/// The exit code of a count that does not balance.
const MISMATCH: i32 = 7;
/// The exit code of a machine that stands still.
const JAM: i32 = 4;
/// The keeper is killed once so many cards are made.
const KILLED_AT: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}

/// Where the demo keeps what the bureau writes.
fn file(ground: &Ground, name: &str) -> PathBuf {
    ground.site().home("station-1").folder().join(name)
}

/// The form of a job, and its creation.
pub(super) fn created(ground: &Ground, job: &str, profile: &str, issued: usize) -> Result<Command, Failed> {
    let form = file(ground, &format!("{job}.toml"));
    let (ordered, fields) =
        (issued.saturating_sub(4), format!("profile = \"{profile}\"\nprofile-version = 1"));
    let text = format!(
        "order = \"PO-4711\"\ncustomer = \"acme\"\n{fields}\nlot = \"L-2026-11\"\nstation = \"station-1\"\n\
         equipment = \"encoder 2\"\nordered = {ordered}\nissued = {issued}\ndue = 48\nas-encountered = true\n"
    );
    fs::write(&form, text).map_err(failed)?;
    let mut command = fobctl(ground, "data-1", &["job", "create"]);
    command.arg(form);
    Ok(command)
}

/// The sealing of a job by the digest's first group, as its maker read it out.
pub(super) fn sealing(ground: &Ground, by: &str, job: &str, created: &str) -> Result<Command, Failed> {
    let head = created.lines().find_map(|line| line.strip_prefix("head ")).unwrap_or_default();
    let head =
        head.split_whitespace().next().ok_or_else(|| failed("a job without the digest of its head"))?;
    Ok(fobctl(ground, by, &["job", "seal", job, "--digest", head]))
}

fn station(ground: &Ground, verb: &str, job: &str, more: &[&str]) -> Command {
    let mut command = fobctl(ground, "station-1", &["job", verb, job]);
    command.args(more);
    command
}

fn opening(ground: &Ground, job: &str) -> Command {
    station(ground, "open", job, &["--operator", "operator-1", "--operator", "operator-2", "--yes"])
}

fn count(ground: &Ground, job: &str, counts: &[&str], reviewer: &str) -> Command {
    let mut command = station(ground, "count", job, counts);
    command.args(["--operator", "operator-1", "--reviewer", reviewer, "--yes"]);
    command
}

/// The run of a job, with the software encoder of this program.
fn run(ground: &Ground, job: &str, in_hand: &str) -> Result<Command, Failed> {
    let mut command = station(ground, "run", job, &["--in-hand", in_hand, "--writer"]);
    command.arg(std::env::current_exe().map_err(failed)?).arg("encoder").arg(machine(ground, job));
    Ok(command)
}

fn machine(ground: &Ground, job: &str) -> PathBuf {
    file(ground, &format!("{job}-cards"))
}

/// Tells the story of two jobs.
///
/// # Errors
/// [`Failed`] when something is not as it must be.
pub fn tell(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.chapter("A personalization job: put together by one, sealed by another, opened by two others");
    prepared(narrator, ground, JOB, "known", ISSUED)?;
    narrator.tell(&mut opening(ground, JOB))?;
    narrator.chapter("The cards: two broken, a sample, a jam; and the keeper is killed on the way");
    made(narrator, ground)?;
    cards::compare(narrator, &machine(ground, JOB))?;
    narrator.chapter("The count: by hand, blind, first wrong, then balanced");
    counted(narrator, ground)?;
    narrator.chapter("The purge: no second job before it, and a witness who did nothing else");
    prepared(narrator, ground, NEXT, "generated", MORE)?;
    narrator.refused(&mut opening(ground, NEXT), REFUSED)?;
    purged(narrator, ground)?;
    narrator.chapter("The next job: 200 cards, eight of them in hand at a time");
    narrator.run(&mut opening(ground, NEXT))?;
    encoder::fill(&machine(ground, NEXT), cards::fresh(0x31, MORE).map(|uid| (uid, ""))).map_err(failed)?;
    let (said, took) = narrator.run(&mut run(ground, NEXT, "8")?)?;
    narrator.say(said.trim_end());
    narrator.measured(
        "cards made: keys derived in the token, delivered, unwrapped, written, read back, reported",
        MORE,
        took,
    );
    let (said, _) = narrator.run(&mut count(ground, NEXT, &MORE_COUNTED, "reviewer-1"))?;
    narrator.say(said.trim_end());
    narrator.run(&mut station(ground, "close", NEXT, &["--witness", "monitor-1", "--yes"]))?;
    let (said, _) = narrator.run(&mut fobctl(ground, "auditor-1", &["job", "list", "--purged"]))?;
    narrator.say(said.trim_end());
    Ok(())
}

fn prepared(
    narrator: &Narrator,
    ground: &Ground,
    job: &str,
    profile: &str,
    issued: usize,
) -> Result<(), Failed> {
    let (said, _) = narrator.run(&mut created(ground, job, profile, issued)?)?;
    narrator.say(said.trim_end());
    let (sealed, _) = narrator.run(&mut sealing(ground, "data-2", job, &said)?)?;
    narrator.say(sealed.trim_end());
    Ok(())
}

fn made(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    let blanks = cards::uids(ISSUED).enumerate().map(|(place, uid)| {
        let says = match place {
            SAMPLE => "sample",
            JAMMED => "jam",
            _ if BROKEN.contains(&place) => "broken",
            _ => "",
        };
        (uid, says)
    });
    encoder::fill(&machine(ground, JOB), blanks).map_err(failed)?;
    let (output, took) = killed(narrator, ground)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_last = |line: &&str| line.starts_with("fobctl:");
    narrator.say(&notes.lines().take_while(|line| !is_last(line)).collect::<Vec<_>>().join("\n"));
    narrator.say(said.trim_end());
    narrator.say(notes.lines().find(is_last).unwrap_or_default());
    if output.status.code() != Some(JAM) {
        return Err(Failed(format!("the jam must end it with exit code {JAM}, not {}", output.status)));
    }
    narrator.say(&format!("the machine stands still, exit code {JAM}, after {:.1} s", took.as_secs_f64()));
    let incident = ["--cause", "a card got stuck", "--place", "the feeder", "--in-hand", "1"];
    let mut incident = station(ground, "incident", JOB, &incident);
    incident.args(["--operator", "operator-1", "--reviewer", "reviewer-1", "--yes"]);
    let (said, _) = narrator.run(&mut incident)?;
    narrator.say(said.trim_end());
    narrator.say("the machine is cleared; the same command goes on where it was:");
    let (said, _) = narrator.run(&mut run(ground, JOB, "1")?)?;
    narrator.say(said.trim_end());
    Ok(())
}

/// Runs the job and kills the keeper on the way.
fn killed(narrator: &Narrator, ground: &Ground) -> Result<(Output, Duration), Failed> {
    let mut command = run(ground, JOB, "1")?;
    narrator.command(&command);
    let began = Instant::now();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    while encoder::cards(&machine(ground, JOB), "good").map_err(failed)?.len() < KILLED_AT {
        if began.elapsed() > PATIENCE {
            return Err(failed("no card was made"));
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let keeper = ground.half("keeper").and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    kill_process(keeper.ok_or_else(|| failed("there is no keeper"))?, Signal::KILL).map_err(failed)?;
    narrator.say(&format!("after {KILLED_AT} cards: kill -9 of the keeper"));
    let output = child.wait_with_output().map_err(failed)?;
    Ok((output, began.elapsed()))
}

fn counted(narrator: &Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.say("an operator looks over their own work:");
    narrator.refused(&mut count(ground, JOB, &RIGHT, "operator-1"), REFUSED)?;
    narrator.say("\none good card too few is counted; nobody at the machine hears by how much:");
    let (said, notes, _) = narrator.ends(&mut count(ground, JOB, &WRONG, "reviewer-1"), MISMATCH)?;
    narrator.say(said.trim_end());
    narrator.say(notes.lines().rev().nth(1).unwrap_or_default());
    let (said, _) = narrator.run(&mut fobctl(ground, "operator-1", &["job", "show", JOB]))?;
    if said.lines().any(tells_numbers) {
        return Err(Failed(format!("an operator is told numbers:\n{said}")));
    }
    narrator.say("no line of it has a number of cards made; the reviewer's has:");
    let (said, _) = narrator.run(&mut fobctl(ground, "reviewer-1", &["job", "show", JOB]))?;
    let told = said.lines().filter(|line| tells_numbers(line));
    narrator.say(&told.collect::<Vec<_>>().join("\n"));
    narrator.say("\ncounted again:");
    let (said, _) = narrator.run(&mut count(ground, JOB, &RIGHT, "reviewer-1"))?;
    narrator.say(said.trim_end());
    Ok(())
}

/// Whether a line of `fobctl job show` tells how many cards there are.
fn tells_numbers(line: &str) -> bool {
    ["cards ", "on record", "last count"].iter().any(|name| line.starts_with(name))
}

fn purged(narrator: &Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.say("\nthe station erases what it has, which nobody has witnessed yet:");
    let (_, notes, _) = narrator.ends(&mut station(ground, "close", JOB, &[]), WAITS)?;
    narrator.say(notes.lines().next().unwrap_or_default());
    narrator.tell(&mut station(ground, "close", JOB, &["--witness", "monitor-1", "--yes"]))?;
    let mut record = fobctl(ground, "auditor-1", &["job", "record", JOB, "--out"]);
    let (said, _) = narrator.run(record.arg(record_file(ground)))?;
    narrator.say(said.trim_end());
    Ok(())
}

fn record_file(ground: &Ground) -> PathBuf {
    records::export(ground, "spring-1.record")
}

/// Counts every job and card again from the export; the service has ended.
///
/// # Errors
/// [`Failed`] when it does not verify.
pub fn verify(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.say("\nand the jobs: every card, count and signature again, and the record compared:");
    let export: &Path = &records::export(ground, "export");
    let mut check = Command::new(&ground.programs().fobaudit);
    check.arg("counts").arg(export).arg("--trust").arg(ground.site().trust());
    let (said, took) = narrator.run(check.arg("--record").arg(record_file(ground)))?;
    narrator.say(said.trim_end());
    narrator.measured(
        "cards counted again from the log, program start included",
        ISSUED.saturating_add(MORE),
        took,
    );
    Ok(())
}
