//! A whole service to stand on: tokens, PKI, configuration, founding, and the running daemon. All of it real.
//!
//! Tests stand on one in a temporary folder; the demo on one under `target/dev`.

use crate::programs::{Profile, Programs};
use keysvc_client::{Auditor, ClientConfig, ClientError, Terminal};
use keysvc_policies::{DEFAULT_SITE, PolicySet};
use keysvc_protocol::bytes::Digest;
use softhsm_setup::{Home, Site, SitePlan};
use std::{
    env,
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The officers of the development site.
pub const OFFICERS: [&str; 3] = ["officer-1", "officer-2", "officer-3"];

/// Environment variable that names the PKCS#11 module on which the service's own token is; `SoftHSM`'s if unset. Everyone
/// else's token is on `SoftHSM` always.
pub const SERVICE_MODULE_VARIABLE: &str = "KEYSVC_TEST_SERVICE_MODULE";

/// How long the service may take to serve: a debug build on two busy cores takes 2 s.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A failure of the ground itself, in words.
#[derive(Debug)]
pub struct Failed(pub String);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

fn failed(what: &str) -> impl Fn(&dyn std::fmt::Display) -> Failed {
    move |error| Failed(format!("{what}: {error}"))
}

/// A site with its programs and, once started, its daemon.
#[derive(Debug)]
pub struct Ground {
    site: Site,
    programs: Programs,
    daemon: Option<Child>,
    // Last, because the daemon writes there until it has ended.
    _scratch: Option<TempDir>,
}

impl Ground {
    /// A founded, serving site in a temporary folder.
    ///
    /// # Panics
    /// When anything fails: a test has nothing to stand on then.
    #[must_use]
    pub fn new() -> Self {
        let mut ground = Self::founded();
        ground.start().unwrap();
        ground
    }

    /// A founded site in a temporary folder, not serving yet.
    ///
    /// # Panics
    /// When anything fails.
    #[must_use]
    pub fn founded() -> Self {
        let ground = Self::laid_out();
        ground.found();
        ground
    }

    fn found(&self) {
        self.sign_founding().unwrap();
        let init = self.keysvc(&["init"]).output().unwrap();
        assert!(init.status.success(), "{}", text(&init));
    }

    /// A site in a temporary folder, neither signed nor founded.
    ///
    /// # Panics
    /// When anything fails.
    #[must_use]
    pub fn laid_out() -> Self {
        Self::laid_out_under(DEFAULT_SITE)
    }

    /// A founded, serving site in a temporary folder whose own policies are these.
    ///
    /// # Panics
    /// When anything fails.
    #[must_use]
    pub fn new_under(site_cedar: &str) -> Self {
        let mut ground = Self::laid_out_under(site_cedar);
        ground.found();
        ground.start().unwrap();
        ground
    }

    fn laid_out_under(site_cedar: &str) -> Self {
        let scratch = TempDir::with_prefix("keysvc-").unwrap();
        let programs = Programs::build(Profile::Dev).unwrap();
        let mut ground = Self::lay_out_under(&scratch.path().join("s"), programs, site_cedar).unwrap();
        ground._scratch = Some(scratch);
        ground
    }

    /// Lays a site out in `folder`.
    ///
    /// # Errors
    /// [`Failed`] with the cause.
    pub fn lay_out(folder: &Path, programs: Programs) -> Result<Self, Failed> {
        Self::lay_out_under(folder, programs, DEFAULT_SITE)
    }

    fn lay_out_under(folder: &Path, programs: Programs, site_cedar: &str) -> Result<Self, Failed> {
        let module = softhsm_setup::softhsm::find_or_install(&mut std::io::stderr())
            .map_err(|error| failed("finding SoftHSM")(&error))?;
        let policies = policies(site_cedar)?;
        let plan = SitePlan {
            module,
            service_module: service_module(),
            program: programs.softhsm_setup.clone(),
            port: free_port().map_err(|error| failed("finding a free port")(&error))?,
            policy_digest: Digest::new(policies.digest()),
            site_cedar: site_cedar.to_owned(),
        };
        let site =
            softhsm_setup::lay_out(folder, &plan).map_err(|error| failed("laying out the site")(&error))?;
        Ok(Self { site, programs, daemon: None, _scratch: None })
    }

    /// The site.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The programs.
    #[must_use]
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The daemon's process; the parent of front and keeper.
    #[must_use]
    pub fn daemon(&self) -> Option<u32> {
        self.daemon.as_ref().map(Child::id)
    }

    /// `keysvc --config <the site's> ARGUMENTS`, with the service's own token.
    #[must_use]
    pub fn keysvc(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.service().command(&self.programs.keysvc);
        command.arg("--config").arg(self.site.service_config()).args(arguments);
        command
    }

    /// `fobctl --config <the persona's> ARGUMENTS`, with the persona's own token.
    #[must_use]
    pub fn fobctl(&self, persona: &str, arguments: &[&str]) -> Command {
        let home = self.site.home(persona);
        let mut command = home.command(&self.programs.fobctl);
        command.arg("--config").arg(home.client_config()).args(arguments);
        command
    }

    /// The founding signature of one officer, as a command.
    #[must_use]
    pub fn sign_command(&self, officer: &str) -> Command {
        let home: Home = self.site.home(officer);
        let mut command = self.fobctl(officer, &["founding", "sign"]);
        command.arg(self.site.founding()).args(["--officer", officer, "--yes", "--pin-file"]);
        command.arg(home.pin_file()).arg("--out").arg(self.site.signatures().join(format!("{officer}.cose")));
        command
    }

    /// Has every officer sign the founding file.
    ///
    /// # Errors
    /// [`Failed`] with what an officer's program said.
    pub fn sign_founding(&self) -> Result<(), Failed> {
        OFFICERS.iter().try_for_each(|officer| {
            let signed = self.sign_command(officer).output().map_err(|error| failed("fobctl")(&error))?;
            if signed.status.success() { Ok(()) } else { Err(Failed(text(&signed))) }
        })
    }

    /// Starts the daemon and waits until it serves.
    ///
    /// # Errors
    /// [`Failed`] with the daemon's log when it does not.
    pub fn start(&mut self) -> Result<Duration, Failed> {
        self.spawn()?;
        self.wait()
    }

    /// Starts the daemon.
    ///
    /// # Errors
    /// [`Failed`] when it cannot be started.
    pub fn spawn(&mut self) -> Result<(), Failed> {
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.map_err(|error| failed("the daemon's log")(&error))?;
        let mut command = self.keysvc(&["serve"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.daemon = Some(command.spawn().map_err(|error| failed("keysvc serve")(&error))?);
        Ok(())
    }

    /// The daemon's log.
    #[must_use]
    pub fn log(&self) -> std::path::PathBuf {
        self.site.folder().join("keysvc.log")
    }

    /// Waits until the service answers its auditor.
    ///
    /// # Errors
    /// [`Failed`] with the daemon's log when it ends or takes too long.
    pub fn wait(&mut self) -> Result<Duration, Failed> {
        let began = Instant::now();
        let last = loop {
            let asked = self.block_on(async {
                let auditor = Auditor::connect(&self.config("auditor-1")).await?;
                auditor.reader().status().await.map(drop)
            });
            match asked {
                Ok(()) => return Ok(began.elapsed()),
                Err(error) if began.elapsed() > START_LIMIT => break error.to_string(),
                Err(_) => {}
            }
            let ended = self.daemon.as_mut().and_then(|daemon| daemon.try_wait().ok().flatten());
            if let Some(status) = ended {
                break format!("it ended with {status}");
            }
            std::thread::park_timeout(Duration::from_millis(10));
        };
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        Err(Failed(format!("the service does not serve: {last}\n{log}")))
    }

    /// The client's configuration of one persona.
    ///
    /// # Panics
    /// When it cannot be read: the ground laid it out.
    #[must_use]
    pub fn config(&self, persona: &str) -> ClientConfig {
        ClientConfig::read(&self.site.home(persona).client_config()).unwrap()
    }

    /// Runs a future to its end on a runtime of its own.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().map(|runtime| runtime.block_on(future)).unwrap()
    }

    /// A terminal's client.
    ///
    /// # Errors
    /// [`ClientError`] when it cannot connect.
    pub async fn terminal(&self, name: &str) -> Result<Terminal, ClientError> {
        Terminal::connect(&self.config(name)).await
    }

    /// An auditor's client.
    ///
    /// # Errors
    /// [`ClientError`] when it cannot connect.
    pub async fn auditor(&self) -> Result<Auditor, ClientError> {
        Auditor::connect(&self.config("auditor-1")).await
    }

    /// Ends the daemon orderly and waits for it.
    pub fn stop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let pid = i32::try_from(daemon.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = daemon.wait();
    }

    /// Leaves the daemon running when this ground goes away; gives its process.
    #[must_use]
    pub fn leave(mut self) -> Option<u32> {
        self.daemon.take().map(|daemon| daemon.id())
    }

    /// The process of one half, `front` or `keeper`, found among the daemon's children.
    #[must_use]
    pub fn half(&self, half: &str) -> Option<u32> {
        let parent = self.daemon()?;
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|word| word == half.as_bytes())
        })
    }
}

impl Default for Ground {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a program said, for a failed test.
#[must_use]
pub fn text(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The policies of a site whose folder holds this one file.
fn policies(site_cedar: &str) -> Result<PolicySet, Failed> {
    let folder = TempDir::with_prefix("keysvc-policies-").map_err(|error| failed("a folder")(&error))?;
    let file = folder.path().join("site.cedar");
    std::fs::write(&file, site_cedar).map_err(|error| failed("the site's policies")(&error))?;
    PolicySet::load(folder.path()).map_err(|error| failed("the site's policies")(&error))
}

/// The module of the service's own token, where the environment names one; `SoftHSM`'s otherwise.
fn service_module() -> Option<PathBuf> {
    env::var_os(SERVICE_MODULE_VARIABLE).map(PathBuf::from)
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
