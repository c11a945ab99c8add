//! The scratch site of a rehearsal: laid out by `softhsm-setup`, founded and served by `keysvc`.
//!
//! Everything lies in one temporary folder that goes with it.

use crate::{
    ceremony::{card::OWN_PROGRAM, people::People},
    fault::Fault,
    policy::candidate,
};
use keysvc_client::protocol::{
    bytes::Digest,
    ceremony::{Person, Plan, Role},
    founding::PrincipalKind,
    hash::sha256,
    name::Name,
};
use keysvc_policies::DEFAULT_SITE;
use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long the service may take to serve: a debug build on two busy cores takes 2 s.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long it may take to end: it finishes what it has begun, which takes a second.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Fewest officers of a site.
const OFFICERS_MIN: usize = 2;
/// The department or organisation of people whom a plan enrols.
const NEWCOMERS: &str = "newcomers";
/// Of the site's own people, those who can sign without being officers.
const SIGNING: [&str; 4] = ["office-1", "terminal-1", "terminal-2", "station-1"];

/// A scratch site. Dropping it ends its service and removes its folder.
pub(crate) struct ScratchSite {
    officers: Vec<String>,
    service: Option<Child>,
    // Last, because the service writes there until it has ended.
    scratch: TempDir,
}

/// A program of this product: beside this one, or else in `PATH`.
pub(crate) fn program(name: &str) -> PathBuf {
    let own = env::current_exe().ok().and_then(|own| Some(own.parent()?.join(name)));
    own.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

impl ScratchSite {
    /// Lays out a site whose people have the plan's names.
    pub(super) fn lay_out(plan: &Plan) -> Result<Self, Fault> {
        let scratch = TempDir::with_prefix("fob-").map_err(Fault::Runtime)?;
        let of_role = |role| plan.people.iter().filter(move |person| person.role == role);
        let mut officers: Vec<String> = of_role(Role::Officer).map(|one| one.name.to_string()).collect();
        // A site has two officers at least, whoever of them takes part.
        while officers.len() < OFFICERS_MIN {
            officers.push(format!("stand-in-{}", officers.len()));
        }
        let others = plan.people.iter().filter(|person| person.role != Role::Officer);
        let others = others.map(|person| person.name.to_string());
        let operators: Vec<_> = others.filter(|name| !SIGNING.contains(&name.as_str())).collect();
        let site = Self { officers, service: None, scratch };
        let cedar = site.scratch.path().join("site.cedar");
        fs::write(&cedar, DEFAULT_SITE).map_err(Fault::Runtime)?;
        let policies = candidate::shipped()?;
        let mut command = Command::new(program("softhsm-setup"));
        command.arg("dev").arg(site.folder()).args(["--port", &free_port()?.to_string()]);
        command.args(["--policy-digest", &crate::shown::hex(&policies.digest())]);
        command.arg("--site-cedar").arg(&cedar).args(["--officers", &site.officers.join(",")]);
        if !operators.is_empty() {
            command.args(["--operators", &operators.join(",")]);
        }
        run(command, "softhsm-setup")?;
        Ok(site)
    }

    fn folder(&self) -> PathBuf {
        self.scratch.path().join("s")
    }

    /// The founding file.
    pub(super) fn founding(&self) -> PathBuf {
        self.folder().join("founding.toml")
    }

    /// The service's configuration.
    pub(super) fn service_config(&self) -> PathBuf {
        self.folder().join("service/keysvc.toml")
    }

    /// The genesis digest, once it is founded.
    pub(super) fn genesis(&self) -> Option<String> {
        let trust = fs::read_to_string(self.folder().join("trust")).ok()?;
        trust.lines().find_map(|line| line.strip_prefix("genesis ").map(str::to_owned))
    }

    /// The plan's people with their `client.toml`.
    pub(super) fn people(&self, plan: &Plan) -> Vec<(Person, PathBuf)> {
        let file = |person: &Person| self.folder().join(person.name.as_str()).join("client.toml");
        plan.people.iter().map(|person| (person.clone(), file(person))).collect()
    }

    /// Has every officer sign the founding file, and founds the service.
    pub(super) fn found(&self) -> Result<(), Fault> {
        for officer in &self.officers {
            let home = self.folder().join(officer);
            let mut command = Command::new(OWN_PROGRAM);
            command.env("SOFTHSM2_CONF", home.join("softhsm2.conf"));
            command.arg("--config").arg(home.join("client.toml")).args(["founding", "sign"]);
            command.arg(self.founding()).args(["--officer", officer, "--yes", "--out"]);
            command.arg(self.folder().join("founding-signatures").join(format!("{officer}.cose")));
            run(command, "fobctl founding sign")?;
        }
        let mut init = self.keysvc();
        init.arg("init");
        run(init, "keysvc init")
    }

    fn keysvc(&self) -> Command {
        let mut command = Command::new(program("keysvc"));
        command.env("SOFTHSM2_CONF", self.folder().join("service/softhsm2.conf"));
        command.arg("--config").arg(self.service_config());
        command
    }

    /// Somebody new of this name and kind: their enrolment file, and its digest.
    pub(super) fn newcomer(&self, name: &Name, kind: PrincipalKind) -> Result<(String, Digest), Fault> {
        let mut command = Command::new(program("softhsm-setup"));
        command.args(["add-persona", "--kind", kind.name(), "--name", name.as_str(), "--group", NEWCOMERS]);
        command.arg("--folder").arg(self.folder());
        run(command, "softhsm-setup")?;
        let path = self.folder().join(name.as_str()).join("enrolment.toml");
        let bytes = fs::read(&path).map_err(Fault::Runtime)?;
        Ok((path.display().to_string(), sha256(&[&bytes])))
    }

    /// Other policies than those in force, that decide the same: their folder and digest.
    pub(super) fn policies(&self) -> Result<(String, Digest), Fault> {
        let folder = self.scratch.path().join("policies");
        fs::create_dir_all(&folder).map_err(Fault::Runtime)?;
        let text = format!("// For a rehearsal.\n\n{DEFAULT_SITE}");
        fs::write(folder.join("site.cedar"), text).map_err(Fault::Runtime)?;
        let digest = candidate::digest(&candidate::load(&folder)?);
        Ok((folder.display().to_string(), digest))
    }

    /// Whether the service was started.
    pub(super) const fn serves(&self) -> bool {
        self.service.is_some()
    }

    /// Starts the service and waits until it answers.
    pub(super) async fn start(&mut self, people: &mut People) -> Result<(), Fault> {
        let log = File::create(self.log()).map_err(Fault::Runtime)?;
        let mut command = self.keysvc();
        command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.service = Some(command.spawn().map_err(|error| missing("keysvc", &error))?);
        let asker = people.first_officer().map(|person| person.name.clone());
        let asker =
            asker.ok_or_else(|| Fault::usage("the plan names no officer", "name one under people"))?;
        let began = Instant::now();
        loop {
            let answered = match people.connected(&asker).await {
                Ok(officer) => officer.reader().status().await.is_ok(),
                Err(_) => false,
            };
            if answered {
                return Ok(());
            }
            let ended = self.service.as_mut().and_then(|service| service.try_wait().ok().flatten());
            if ended.is_some() || began.elapsed() > START_LIMIT {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                let last: Vec<_> = log.lines().rev().take(5).collect();
                let what = format!("the rehearsal's service does not serve: {}", last.join(" / "));
                return Err(Fault::usage(what, "mend what it says, then rehearse again"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn log(&self) -> PathBuf {
        self.scratch.path().join("keysvc.log")
    }
}

impl Drop for ScratchSite {
    fn drop(&mut self) {
        let Some(mut service) = self.service.take() else { return };
        // Asked to end, it ends its two halves too; killed, it would leave them to find out.
        let asked = Command::new("kill").arg(service.id().to_string()).stderr(Stdio::null()).status();
        let began = Instant::now();
        while asked.as_ref().is_ok_and(ExitStatus::success) && began.elapsed() < STOP_LIMIT {
            if !matches!(service.try_wait(), Ok(None)) {
                return;
            }
            std::thread::park_timeout(PAUSE);
        }
        let _: io::Result<()> = service.kill();
        let _: io::Result<_> = service.wait();
    }
}

fn run(mut command: Command, what: &str) -> Result<(), Fault> {
    let done = command.output().map_err(|error| missing(&name_of(command.get_program()), &error))?;
    if done.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&done.stderr);
    Err(Fault::usage(
        format!("the rehearsal's site was not made: {what}: {}", why.trim()),
        "mend what it says, then rehearse again",
    ))
}

fn name_of(program: &OsStr) -> String {
    Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned()
}

fn missing(program: &str, error: &io::Error) -> Fault {
    let what = format!("{program} cannot be run ({error})");
    Fault::usage(what, format!("put {program} beside fobctl, or into PATH"))
}

/// A port that nobody listens on just now.
fn free_port() -> Result<u16, Fault> {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(Fault::Runtime)
}
