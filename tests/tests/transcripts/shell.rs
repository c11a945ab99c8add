//! Runs commands as a person in a shell does, in a working folder with the site at `target/dev`, and with this package's
//! software encoder in the path.
//!
//! Each command has a shell of its own, so the service in the background is the ground's: `serve &`, `kill $!` and
//! `kill -HUP $!` act on it, and are over when the service has done what it was told.

use keysvc_tests::{
    ground::Ground,
    raw::Line,
    settings::page,
    watched::{refused, send},
};
use rustix::process::Signal;
use std::{
    env,
    net::{SocketAddr, TcpListener},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// What the transcripts call the home of who types them; the working folder is `keysvc` in it.
const HOME: &str = "/home/ann";
/// The port of the service in the transcripts; of five digits, as the ports are that a system gives.
const PORT: u16 = 18443;
/// Where the health listener is in the transcripts; in a run it has a port of its own, for others run beside it.
const HEALTH: &str = "127.0.0.1:9443";

/// A shell in the working folder.
pub struct Shell<'a> {
    ground: &'a mut Ground,
    home: TempDir,
    health: SocketAddr,
    exported: Vec<(String, String)>,
    status: i32,
}

impl<'a> Shell<'a> {
    pub fn new(ground: &'a mut Ground) -> Self {
        let home = TempDir::with_prefix("transcript-").unwrap();
        std::fs::create_dir_all(home.path().join("keysvc/target")).unwrap();
        symlink(ground.site().folder(), home.path().join("keysvc/target/dev")).unwrap();
        // Examples that a document names.
        symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"), home.path().join("keysvc/docs")).unwrap();
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        Self { ground, home, health: free, exported: Vec::new(), status: 0 }
    }

    /// Runs a command and gives what it printed, with this run's folders and port as the transcripts name them.
    pub fn run(&mut self, command: &str) -> String {
        if self.is_done_to_the_service(command) {
            self.status = 0;
            return String::new();
        }
        if let Some((name, value)) = command.strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
            self.exported.push((name.to_owned(), value.to_owned()));
            return String::new();
        }
        let programs = self.ground.programs();
        let folders = [programs.fobctl.as_path(), &programs.keysvc, Path::new(env!("CARGO_BIN_EXE_encoder"))]
            .map(|program| program.parent().unwrap().to_owned());
        let path =
            env::join_paths(folders.into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap())));
        let mut shell = self.ground.site().service().command(Path::new("sh"));
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("FOBCTL_") || name == "XDG_CONFIG_HOME" {
                shell.env_remove(name);
            }
        }
        // The exit code of the command before is there for `echo $?`; what goes to stderr stands where it came.
        let command = command.replace(HEALTH, &self.health.to_string());
        let line = format!("exec 2>&1\n(exit {})\n{command}", self.status);
        let output = shell
            .args(["-c", &line])
            .current_dir(self.home.path().join("keysvc"))
            .env("HOME", self.home.path())
            .env("PATH", path.unwrap())
            .envs(self.exported.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        self.status = output.status.code().unwrap_or(-1);
        self.named(&String::from_utf8(output.stdout).unwrap())
    }

    /// Does what a command does to the service in the background, if it is such a command.
    fn is_done_to_the_service(&mut self, command: &str) -> bool {
        if command.starts_with("keysvc ") && command.contains(" serve ") && command.ends_with('&') {
            self.ground.spawn().unwrap();
            self.ground.wait_until("a service that serves", || self.serves());
        } else if command == "kill $! && wait" {
            self.ground.stop();
        } else if command == "kill -HUP $!" {
            // Each half says one line, with `reloaded` in it.
            let lines = || self.ground.said().matches("reloaded").count();
            let before = lines();
            send(self.ground.daemon().unwrap(), Signal::HUP);
            self.ground.wait_until("a reload of both halves", || lines() >= before + 2);
        } else {
            return false;
        }
        true
    }

    /// Whether the service serves, and says so to monitors where it has them. Asked without a word of what was seen of
    /// its log before, which is the transcript's to show.
    fn serves(&self) -> bool {
        let site = self.ground.site();
        let line = Line::with(site, Some(&site.home("auditor-1")));
        line.is_ok_and(|mut line| refused(&mut line).is_none())
            && page(self.health.port(), "/ready").is_none_or(|page| page.status == 200)
    }

    /// Whether the last command failed.
    pub fn failed(&self) -> bool {
        self.status != 0
    }

    fn named(&self, text: &str) -> String {
        let site = self.ground.site();
        let named = PathBuf::from(HOME).join("keysvc/target/dev");
        text.replace(site.folder().to_str().unwrap(), named.to_str().unwrap())
            .replace(self.home.path().to_str().unwrap(), HOME)
            .replace(&format!(":{}", site.port()), &format!(":{PORT}"))
            .replace(&self.health.to_string(), HEALTH)
    }
}
