//! Policies in the demo: proved; a hole in them shown by the request that goes through it; a stricter set agreed to, which
//! holds from the next request on.

use super::{
    narrator::Narrator,
    people::{self, WAITS, all_agree, asked, proposal_in},
    persona::{alone, fobctl},
    records,
};
use crate::ground::{Failed, Ground};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The exit code of what does not hold.
const UNSOUND: i32 = 6;
const CARD: &str = "04a1b2c3d4e5fb";
/// Up to what a terminal loads alone, as shipped, and as the officers want it.
const SHIPPED_LIMIT: &str = "context.amount <= 100000";
const LOWER_LIMIT: &str = "context.amount <= 20000";
/// What somebody adds who means well.
const HOLE: &str = "@id(\"officers let things go on\")\n\
    permit (principal, action == Action::\"freeze.lift\", resource)\n\
    when { principal.kind == \"officer\" };\n";

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}

/// Proves the shipped set, has a bad one found out, and puts a stricter one into force.
///
/// # Errors
/// [`Failed`] when a set is judged otherwise than it is, or the new one does not hold at once.
pub fn tell(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator
        .chapter("Policies: no grave act by fewer than two people, proved for every request there can be");
    let set = folder(ground, "policies");
    let mut show = fobctl(ground, "officer-1", &["policy", "show", "--out"]);
    narrator.run(show.arg(&set))?;
    let (said, took) = narrator.run(alone(ground, &["policy", "prove"]).arg(&set))?;
    narrator.say(line(&said, " hold, proved by")?);
    narrator.measured("statements proved", said.lines().filter(|line| line.starts_with("ok")).count(), took);
    hole(narrator, ground, &set)?;
    stricter(narrator, ground, &set)
}

/// A folder of policies.
fn folder(ground: &Ground, name: &str) -> PathBuf {
    ground.site().folder().join(name)
}

/// The line with these words in it.
fn line<'a>(said: &'a str, words: &str) -> Result<&'a str, Failed> {
    let line = said.lines().find(|line| line.contains(words));
    line.ok_or_else(|| Failed(format!("nothing is said with \"{words}\" in it:\n{said}")))
}

/// The same set and one permit more.
fn hole(narrator: &Narrator, ground: &Ground, set: &Path) -> Result<(), Failed> {
    let bad = folder(ground, "policies-with-a-hole");
    fs::create_dir(&bad).map_err(failed)?;
    fs::copy(set.join("site.cedar"), bad.join("site.cedar")).map_err(failed)?;
    fs::write(bad.join("hole.cedar"), HOLE).map_err(failed)?;
    narrator.say("\nsomebody adds a policy that forgets to ask for two people:");
    narrator.say(HOLE.trim_end());
    let (said, notes, _) = narrator.ends(alone(ground, &["policy", "prove"]).arg(&bad), UNSOUND)?;
    let found: Vec<_> = said.lines().skip_while(|line| !line.starts_with("FAILS")).take(2).collect();
    if found.len() != 2 {
        return Err(Failed(format!("no counterexample is shown:\n{said}")));
    }
    narrator.say(&found.join("\n"));
    narrator.say(notes.trim_end());
    Ok(())
}

fn load(ground: &Ground, seq: &str, balance: &str) -> Command {
    let mut load = fobctl(ground, "terminal-1", &["value", "load", "--programme", "coffee", "--card", CARD]);
    load.args(["--purse", "1", "--amount", "300.00", "--seq", seq, "--balance", balance, "--out"]);
    load.arg(records::file(ground, &format!("three-hundred-{seq}.cose")));
    load
}

/// A lower limit for what a terminal loads alone, from the edited file to the next request.
fn stricter(narrator: &mut Narrator, ground: &Ground, set: &Path) -> Result<(), Failed> {
    narrator
        .chapter("A lower limit, 200.00 instead of 1,000.00 alone: three agree, and the next request obeys");
    narrator.run(&mut load(ground, "1", "0.00"))?;
    narrator.say("done at once, so far");
    let file = set.join("site.cedar");
    let shipped = fs::read_to_string(&file).map_err(failed)?;
    fs::write(&file, shipped.replace(SHIPPED_LIMIT, LOWER_LIMIT)).map_err(failed)?;
    let cases = folder(ground, "decision-cases");
    let mut test = alone(ground, &["policy", "test"]);
    let (said, _, _) = narrator.ends(test.arg(set).arg("--accept").arg(&cases), UNSOUND)?;
    narrator.say(line(&said, "decision cases come out otherwise")?);
    narrator.say("they are meant so: the site's own cases stand in their place from now on");
    let mut propose = people::officer(ground, "officer-1", &["policy", "propose"]);
    propose.arg(set).args(["--reason", "terminals load less alone", "--cases"]).arg(&cases);
    let (said, notes, _) = narrator.ends(&mut propose, WAITS)?;
    let found = notes.lines().take_while(|line| !line.starts_with("the other officers"));
    narrator.say(&found.collect::<Vec<_>>().join("\n"));
    let proposal = proposal_in(&said)?;
    narrator.say("\nanother officer makes every check again, on a machine of their own:");
    let mut review = fobctl(ground, "officer-2", &["policy", "review", &proposal, "--cases"]);
    let (said, took) = narrator.run(review.arg(&cases))?;
    narrator.say(said.split("\n\n").next().unwrap_or_default());
    narrator.measured("a proposed set checked, tried, compared and proved again", 1, took);
    all_agree(narrator, ground, &proposal)?;
    narrator.say("\nthe same load once more:");
    let waiting = asked(narrator, &mut load(ground, "2", "300.00"))?;
    let cancel = ["proposal", "cancel", &waiting, "--reason", "only to show it"];
    narrator.run(&mut fobctl(ground, "terminal-1", &cancel)).map(drop)
}
