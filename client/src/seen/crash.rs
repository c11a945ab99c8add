//! Proves that the kept checkpoint survives its writer, and that a file which did not is told.

use super::{
    Received, Seen,
    tests::{Ground, judge, size},
};
use crate::{
    error::ClientError,
    testing::{CHECKPOINT, Key, Log},
};
use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// The folder that a child process writes to.
const FOLDER_VARIABLE: &str = "KEYSVC_SEEN_FOLDER";
/// Leaves of the child's log: more than all children together keep.
const LEAVES: u64 = 1_500;
/// How often a child is killed.
const KILLS: u64 = 40;

fn open(folder: &Path, log: &Log) -> Result<Seen, ClientError> {
    Seen::open(folder, &log.trust(), Key::new(CHECKPOINT).public())
}

#[test]
fn a_checkpoint_file_torn_at_any_length_is_told_with_what_to_do() {
    let ground = Ground::new();
    judge(&ground.seen(), &ground.log, 1, 7).unwrap();
    let path = ground.folder.path().join("checkpoint");
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = open(ground.folder.path(), &ground.log).unwrap_err();
        assert!(matches!(&error, ClientError::State { path: named, .. } if *named == path), "{error:?}");
        assert!(error.to_string().contains("move it aside"), "{error}");
    }
    // Moved aside, the client begins from the trust file again.
    fs::rename(&path, ground.folder.path().join("torn")).unwrap();
    assert_eq!(size(&ground.seen()), 0);
}

#[test]
fn a_writing_broken_off_at_any_length_leaves_the_last_checkpoint() {
    let ground = Ground::new();
    let seen = ground.seen();
    judge(&seen, &ground.log, 1, 5).unwrap();
    let next = ground.log.checkpoint(8).as_bytes().to_vec();
    for length in 0..=next.len() {
        // As a writer that dies before its rename leaves it.
        fs::write(ground.folder.path().join(".checkpoint.new"), &next[..length]).unwrap();
        assert_eq!(size(&ground.seen()), 5);
    }
    judge(&ground.seen(), &ground.log, 5, 8).unwrap();
    assert_eq!(size(&ground.seen()), 8);
}

/// Run by itself it does nothing; as a child it keeps one checkpoint after the other until it is killed.
#[test]
fn a_child_keeps_checkpoints() {
    let Some(folder) = env::var_os(FOLDER_VARIABLE) else { return };
    let log = Log::new(LEAVES - 1, 0);
    let seen = open(Path::new(&folder), &log).unwrap();
    loop {
        let sent = seen.highest();
        let from = sent.as_ref().map_or(1, |sent| sent.checkpoint().head.size);
        if from == LEAVES {
            return;
        }
        let (checkpoint, consistency) = (log.checkpoint(from + 1), log.consistency(from, from + 1));
        let received = Received { checkpoint: &checkpoint, consistency: &consistency, about: "status" };
        seen.judge(sent.as_ref(), received).unwrap();
        println!("kept {}", from + 1);
    }
}

#[test]
fn a_writer_killed_many_times_leaves_what_it_said_it_kept() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Log::new(LEAVES - 1, 0));
    let (mut last, mut grew) = (0, 0);
    for round in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "seen::crash::a_child_keeps_checkpoints", "--nocapture"])
            .env(FOLDER_VARIABLE, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = child.stdout.take().unwrap();
        let said = thread::spawn(move || {
            let lines = BufReader::new(said).lines().map_while(Result::ok);
            lines.filter_map(|line| line.split_once("kept ")?.1.parse::<u64>().ok()).last()
        });
        // From before its first writing to some writings later.
        thread::sleep(Duration::from_millis(20 + round * 7 % 50));
        child.kill().unwrap();
        child.wait().unwrap();
        let said = said.join().unwrap().unwrap_or(last);
        let kept = size(&open(folder.path(), &log).unwrap());
        assert!(kept >= said && kept >= last, "round {round}: it kept {said}, {last} before, and has {kept}");
        grew += u64::from(kept > last);
        last = kept;
    }
    assert!(grew > KILLS / 4, "only {grew} of {KILLS} children wrote anything");
}
