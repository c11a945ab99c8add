//! A service that was started in a way of the test's own, and its two halves.
//!
//! Apart from the kit's ground, which starts all services alike: here it matters what a service is started with.

use keysvc_tests::{ground::Ground, settings::page};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

pub const HALVES: [&str; 2] = ["front", "keeper"];
/// Longer than any start takes.
const LONG: Duration = Duration::from_secs(60);

pub struct Running {
    ground: Option<Ground>,
    daemon: Child,
}

impl Running {
    /// As everyone starts it.
    pub fn plain() -> Self {
        Self::started(Ground::founded(), |_| {})
    }

    /// With what the test changes of the command.
    pub fn started(ground: Ground, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = ground.keysvc(&["serve"]);
        change(&mut command);
        Self::run(ground, command)
    }

    /// From a shell that runs this script first, which gets the command as its arguments.
    pub fn by_shell(ground: Ground, script: &str) -> Self {
        let keysvc = ground.keysvc(&["serve"]);
        let mut command = Command::new("bash");
        command.args(["-c", script]).arg(keysvc.get_program()).args(keysvc.get_args());
        for (name, value) in keysvc.get_envs() {
            command.env(name, value.unwrap());
        }
        Self::run(ground, command)
    }

    fn run(ground: Ground, mut command: Command) -> Self {
        let port = ground.with_health();
        let log = File::options().create(true).append(true).open(ground.log()).unwrap();
        let daemon = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let running = Self { ground: Some(ground), daemon };
        let ready = || page(port, "/ready").is_some_and(|page| page.status == 200);
        running.wait_until(ready, "it does not serve");
        running
    }

    fn wait_until(&self, holds: impl Fn() -> bool, otherwise: &str) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < LONG, "{otherwise}: {}", self.said());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn wait_until_said(&self, words: &str) {
        self.wait_until(|| self.said().contains(words), words);
    }

    pub fn ground(&self) -> &Ground {
        self.ground.as_ref().unwrap()
    }

    pub fn log(&self) -> PathBuf {
        self.ground().log()
    }

    pub fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.daemon.id()
    }

    /// The process of a half.
    pub fn half(&self, half: &str) -> u32 {
        let parent = self.pid();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        let is = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|word| word == half.as_bytes())
        };
        children.split_whitespace().map(|pid| pid.parse().unwrap()).find(is).unwrap()
    }

    /// What a process has open.
    pub fn open(&self, pid: u32) -> Vec<PathBuf> {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        entries.filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
    }

    /// Ends the service and gives the ground back.
    pub fn stopped(mut self) -> Ground {
        self.end();
        self.ground.take().unwrap()
    }

    fn end(&mut self) {
        let _ = kill_process(Pid::from_child(&self.daemon), Signal::TERM);
        let _ = self.daemon.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ground.is_some() {
            self.end();
        }
    }
}
