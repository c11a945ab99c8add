//! A till and its hub in the demo: the trust bundle, with which value is verified while the service is out of reach, and
//! a batch in which one update is refused and the others are not.

use super::{narrator::Narrator, persona::fobctl, records};
use crate::ground::{Failed, Ground};
use std::process::Command;

/// A morning's updates; the third, 350.00 typed for 3.50, is past the programme's limit for one payment.
const MORNING: &str = "operation,programme,card,purse,amount,seq,balance\n\
    load,coffee,04a1b2c3d4e5f7,1,20.00,1,0.00\n\
    debit,coffee,04a1b2c3d4e5f7,1,3.50,2,20.00\n\
    debit,coffee,04a1b2c3d4e5f7,1,350.00,3,16.50\n\
    load,coffee,04a1b2c3d4e5f9,1,10.00,1,0.00\n";
/// How many of them are signed.
const SIGNED: usize = 3;
/// The exit code of a batch in which some are refused.
const SOME_REFUSED: i32 = 3;

/// Fetches the bundle and verifies with it, then has a batch done.
///
/// # Errors
/// [`Failed`] when one of them fails, or when the refused update is done or takes others with it.
pub fn tell(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.chapter("Out of reach: a trust bundle verifies value without the service and without the log");
    let bundle = records::file(ground, "bundle");
    let mut fetch = fobctl(ground, "terminal-1", &["terminal", "bundle", "--out"]);
    let (said, _) = narrator.run(fetch.arg(&bundle))?;
    narrator.say(said.trim_end());
    let mut check = Command::new(&ground.programs().fobaudit);
    check.arg("value").arg(records::file(ground, "load.cose")).arg("--bundle").arg(&bundle);
    let (said, took) = narrator.run(check.arg("--trust").arg(ground.site().trust()))?;
    narrator.say(said.trim_end());
    narrator.measured("one record verified by the bundle, program start included", 1, took);
    batch(narrator, ground)
}

fn batch(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    let failed = |error: std::io::Error| Failed(error.to_string());
    narrator.chapter("A batch: each update stands for itself, all in one commit");
    let (list, records) = (records::file(ground, "morning.csv"), records::file(ground, "morning"));
    std::fs::write(&list, MORNING).map_err(failed)?;
    narrator.say(&format!("{}, with a payment past the limit in its fourth line:", list.display()));
    let mut command = fobctl(ground, "terminal-1", &["value", "batch"]);
    command.arg(&list).arg("--out-dir").arg(&records);
    narrator.refused(&mut command, SOME_REFUSED)?;
    let files = std::fs::read_dir(&records).map_err(failed)?;
    let signed = files.filter_map(Result::ok);
    let signed = signed.filter(|file| file.path().extension().is_some_and(|end| end == "cose")).count();
    if signed != SIGNED {
        return Err(Failed(format!("{signed} records came of the batch, and not {SIGNED}")));
    }
    narrator.say(&format!("for one line of four; the other {SIGNED} are signed, each with its own leaf"));
    Ok(())
}
