//! The order of the story, and what is left behind.

use super::{
    audit, ceremony, import, jobs,
    narrator::Narrator,
    people,
    persona::{fobctl, sign_founding},
    policies, profile, records, refusals, till,
};
use crate::{
    ground::{Failed, Ground, OFFICERS},
    programs::{Profile, Programs},
};
use clap::{Parser, Subcommand};
use softhsm_setup::debian;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

/// Tells the whole story of keysvc on this machine, under target/dev.
#[derive(Debug, Parser)]
#[command(name = "cargo demo")]
pub struct Arguments {
    /// Leave the daemon up and say how to use fobctl by hand.
    #[arg(long)]
    keep: bool,
    /// Use the programs as tests have them, built by cargo's profile dev: slower, and built sooner.
    #[arg(long, hide = true)]
    dev_programs: bool,
    #[command(subcommand)]
    command: Option<Act>,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// End the daemon that an earlier `cargo demo --keep` left up.
    Down,
    /// Be the software encoder of the demo's jobs, for `fobctl job run`.
    #[command(hide = true)]
    Encoder { folder: PathBuf },
}

/// Runs the demo; exit code 0 when every step did what it must.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Some(Act::Down) => down(&folder()),
        Some(Act::Encoder { ref folder }) => {
            crate::encoder::serve(folder);
            Ok(())
        }
        None => tell(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(why)) => {
            use std::io::Write as _;
            let _ = writeln!(anstream::stderr(), "demo: {why}");
            ExitCode::FAILURE
        }
    }
}

fn folder() -> PathBuf {
    // tests/ lies in the workspace, whose target folder is git's to ignore.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new(".")).join("target/dev")
}

fn pid_file(folder: &Path) -> PathBuf {
    folder.join("daemon.pid")
}

fn down(folder: &Path) -> Result<(), Failed> {
    let file = pid_file(folder);
    let Ok(text) = std::fs::read_to_string(&file) else {
        Narrator::default().say("no daemon of the demo is up");
        return Ok(());
    };
    let pid = text.trim().parse().ok().and_then(rustix::process::Pid::from_raw);
    let ours = pid.is_some_and(|pid| {
        let line =
            std::fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        line.contains("keysvc")
    });
    if let (Some(pid), true) = (pid, ours) {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(|error| Failed(format!("ending the daemon: {error}")))?;
        Narrator::default().say("the demo's daemon ends");
    }
    std::fs::remove_file(&file).map_err(|error| Failed(error.to_string()))
}

fn tell(arguments: &Arguments) -> Result<(), Failed> {
    let folder = folder();
    down_quietly(&folder)?;
    let mut narrator = Narrator::default();
    narrator.chapter("A development site: tokens, PKI, configuration, founding file");
    narrator.say("building the programs first; the first time this takes minutes");
    let profile = if arguments.dev_programs { Profile::Dev } else { Profile::Release };
    let programs = Programs::build(profile).map_err(|error| Failed(error.to_string()))?;
    // The solver that the chapter about policies needs.
    debian::CVC5.find_or_install(&mut std::io::stderr()).map_err(Failed)?;
    let began = Instant::now();
    let mut ground = Ground::lay_out(&folder, programs)?;
    narrator.say(&format!("{}: one private token folder and PIN each for", folder.display()));
    narrator.say(
        "the service, the stations, officer-1 to officer-3 and monitor-1; a CA; certificates; and keys in",
    );
    narrator.say("files for the terminals and the other people of the bureau");
    founding(&mut narrator, &ground)?;
    let ready = ground.start()?;
    narrator.background(&ground.keysvc(&["serve"]));
    narrator.say(&format!("serving after {:.3} s", ready.as_secs_f64()));
    narrator.chapter("Keys, as the token and the log know them");
    let (said, _) = narrator.run(&mut fobctl(&ground, "officer-1", &["key", "list"]))?;
    narrator.say(said.trim_end());
    jobs::tell(&mut narrator, &ground)?;
    records::tell(&mut narrator, &ground)?;
    till::tell(&mut narrator, &ground)?;
    people::tell(&mut narrator, &ground)?;
    ceremony::tell(&mut narrator, &ground)?;
    import::tell(&mut narrator, &ground)?;
    profile::tell(&mut narrator, &ground)?;
    policies::tell(&mut narrator, &ground)?;
    refusals::tell(&mut narrator, &ground)?;
    audit::tell(&mut narrator, &ground)?;
    ceremony::verify(&mut narrator, &mut ground)?;
    jobs::verify(&mut narrator, &ground)?;
    narrator.say(&format!("\nThe whole story took {:.1} s.", began.elapsed().as_secs_f64()));
    if arguments.keep { keep(&narrator, ground) } else { Ok(()) }
}

/// Ends what an earlier run left up and clears its site.
fn down_quietly(folder: &Path) -> Result<(), Failed> {
    if pid_file(folder).exists() {
        down(folder)?;
    }
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failed(error.to_string())),
        _ => Ok(()),
    }
}

fn founding(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.chapter("Founding: three officers sign, the token makes the keys, leaf 0 is written");
    narrator.say("(--yes skips the question after fobctl has said in sentences what the file founds)");
    for officer in OFFICERS {
        let mut command = sign_founding(ground, officer);
        // All three are shown the same sentences; once is enough here.
        if officer == OFFICERS[0] {
            narrator.tell(&mut command)?
        } else {
            narrator.run(&mut command).map(drop)?
        }
    }
    let (said, took) = narrator.run(&mut ground.keysvc(&["init"]))?;
    narrator.say(said.trim_end());
    let keys = said.lines().filter(|line| line.starts_with("key ")).count();
    narrator.measured("keys made in the token at the founding, and synced", keys, took);
    Ok(())
}

fn keep(narrator: &Narrator, mut ground: Ground) -> Result<(), Failed> {
    // The last chapter ended it.
    ground.start()?;
    let folder = ground.site().folder().to_path_buf();
    let programs = ground.programs().fobctl.parent().map(Path::to_path_buf).unwrap_or_default();
    let pid = ground.leave().ok_or_else(|| Failed("the daemon is not up".to_owned()))?;
    std::fs::write(pid_file(&folder), pid.to_string()).map_err(|error| Failed(error.to_string()))?;
    narrator.say(
        "\nThe daemon is up again. From this folder no environment is needed; every persona is a context:",
    );
    narrator.say(&format!("export PATH={}:$PATH", programs.display()));
    narrator.say("fobctl context list");
    narrator.say("fobctl --context officer-1 status");
    narrator.say("The whole tour: docs/fobctl.md");
    narrator.say("End it with: cargo demo down");
    Ok(())
}
