//! Idle connections: what each one holds of the service's memory (G10).
//!
//! Each connection is a full one, with a client certificate; one half of the measurement has connections that have asked
//! nothing yet, the other those that asked once and are waiting, as a terminal's does between two customers. They are held
//! by a process of their own. `cargo load --idle N` measures it alone, on a site of its own.

use crate::{
    Arguments,
    beside::{self, float},
    cpu,
    crew::Worker,
    line::Line,
    persona::{Persona, envelope},
    rounds::{persona, service},
    side::{self, Side},
    while_doing,
};
use keysvc_protocol::{
    cbor,
    request::{Operation, ReadStatus},
    schema::Schema,
};
use keysvc_tests::ground::{Failed, Ground};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::{fs::File, io::Write as _, path::Path, time::Duration};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The schema of the JSON document.
const SCHEMA: &str = "keysvc/load-idle/1";
/// The goal of docs/performance.md: memory of one idle connection, in KiB (G10).
pub const KIB_MAX: f64 = 24.0;
/// Connections beside the idle ones that a site is to let in: those of the load.
const BESIDE: usize = 256;
/// How long memory is left to settle before it is looked at.
const SETTLE: Duration = Duration::from_millis(500);
/// How long a connection may idle here: longer than the measurement takes.
const IDLE_MS: u64 = 3_600_000;

/// Memory of the service's processes, in KiB.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Resident {
    /// Of the front.
    pub front: u64,
    /// Of the keeper.
    pub keeper: u64,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Idle {
    schema: &'static str,
    /// Connections of each half.
    pub connections: usize,
    /// Before the first of them.
    pub before: Resident,
    /// With those that asked nothing.
    pub silent: Resident,
    /// With as many more that asked once.
    pub asked: Resident,
}

impl Idle {
    /// What one more idle connection takes, in KiB, front and keeper together: one that asked nothing, one that asked once.
    pub fn kib_each(&self) -> [f64; 2] {
        let each = |before: Resident, after: Resident| {
            let grown = float(after.front) - float(before.front) + float(after.keeper) - float(before.keeper);
            grown / float(u64::try_from(self.connections).unwrap_or(u64::MAX).max(1))
        };
        [each(self.before, self.silent), each(self.silent, self.asked)]
    }
}

/// Raises the limits of a site that is not running, so that it lets in so many idle connections of one certificate in
/// each half beside the load: 64 of one certificate and 1,024 in all by default.
///
/// # Errors
/// [`Failed`] when the configuration cannot be written.
pub fn raise_limits(ground: &Ground, connections: usize) -> Result<(), Failed> {
    let most = connections.saturating_mul(2).saturating_add(BESIDE);
    let limits = format!(
        "\n[front.limits]\nclients-max = {most}\nper-certificate-max = {most}\nidle-ms = {IDLE_MS}\n"
    );
    let file = File::options().append(true).open(ground.site().service_config());
    file.and_then(|mut file| file.write_all(limits.as_bytes())).map_err(while_doing("raising limits"))
}

/// Opens so many connections of this terminal that ask nothing, and as many more that ask once, to a running site that
/// lets them in ([`raise_limits`]); says what they take. All are closed at the end.
///
/// # Errors
/// [`Failed`] when one of them is not let in.
pub fn measure(ground: &Ground, terminal: &str, connections: usize) -> Result<Idle, Failed> {
    let mut hand = persona(ground, "idlers", terminal)?;
    let mut open = |connections, asks| {
        hand.ask::<Opened>(&"idle connections", &Opening { connections, asks })?;
        resident(ground)
    };
    // The first ones of each kind pay for what the service makes once.
    for asks in [false, true] {
        open(connections.div_ceil(16), asks)?;
    }
    let before = open(0, false)?;
    let silent = open(connections, false)?;
    let asked = open(connections, true)?;
    Ok(Idle { schema: SCHEMA, connections, before, silent, asked })
}

fn resident(ground: &Ground) -> Result<Resident, Failed> {
    std::thread::sleep(SETTLE);
    let service = service(ground)?;
    Ok(Resident { front: cpu::resident_kib(service.front)?, keeper: cpu::keeper_kib(service)? })
}

/// Connections to be opened.
#[derive(Debug, Serialize, Deserialize)]
pub struct Opening {
    connections: usize,
    /// Whether each asks for the service's status once.
    asks: bool,
}

/// They are open.
#[derive(Debug, Serialize, Deserialize)]
pub struct Opened {
    /// How many there are by now.
    all: usize,
}

/// Holds connections open.
pub struct Idlers {
    runtime: Runtime,
    persona: Persona,
    lines: Vec<Line>,
}

impl Idlers {
    /// Gets ready to connect with this configuration.
    ///
    /// # Errors
    /// [`Failed`] when it cannot.
    pub fn new(config: &Path) -> Result<Self, Failed> {
        raise_file_limit();
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        // One thread beside this one, which keeps the connections alive while no order comes.
        let runtime = builder.worker_threads(1).enable_all().build().map_err(while_doing("the runtime"))?;
        let persona = runtime.block_on(Persona::new(config))?;
        Ok(Self { runtime, persona, lines: Vec::new() })
    }
}

impl Worker for Idlers {
    type Order = Opening;
    type Answer = Opened;

    fn measure(&mut self, Opening { connections, asks }: Opening) -> Result<Opened, Failed> {
        let Self { runtime, persona, lines } = self;
        runtime.block_on(async {
            for _ in 0..connections {
                let mut line = Line::open(persona).await?;
                if asks {
                    let request = cbor::encode(&ReadStatus { schema: Schema });
                    line.call(Operation::Status, envelope(request, None)?).await?;
                }
                lines.push(line);
            }
            Ok(Opened { all: lines.len() })
        })
    }
}

/// Lets this process have as many sockets as the system allows it.
fn raise_file_limit() {
    let now = getrlimit(Resource::Nofile);
    // Where it may not, opening connections says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
}

/// Lays out a site and measures so many connections.
///
/// # Errors
/// [`Failed`] when anything fails.
pub fn run(arguments: &Arguments, connections: usize) -> Result<Idle, Failed> {
    let scratch = TempDir::with_prefix("keysvc-load-").map_err(while_doing("a scratch folder"))?;
    let mut side = Side::new(&scratch.path().join("s"), &side::programs(arguments)?, connections)?;
    side.ground.start()?;
    let idle = measure(&side.ground, "terminal-1", connections)?;
    side.stop();
    Ok(idle)
}

/// Prints what was measured.
///
/// # Errors
/// [`Failed`] when it cannot be printed; a closed pipe ends the program at once.
pub fn print(idle: &Idle, json: bool) -> Result<(), Failed> {
    beside::print(idle, json, table)
}

fn table(idle: &Idle) -> Vec<String> {
    let line = |what: &str, resident: Resident, each: Option<f64>| {
        let mib = |kib: u64| format!("{:.1} MiB", float(kib) / 1_024.0);
        let goal = each.map_or_else(String::new, |each| {
            let met = if each <= KIB_MAX { "met" } else { "NOT met" };
            format!("{each:>8.1} KiB each  <= {KIB_MAX} KiB: {met}")
        });
        let line = format!("{what:<40}{:>12}{:>12}{goal}", mib(resident.front), mib(resident.keeper));
        line.trim_end().to_owned()
    };
    let [silent, asked] = idle.kib_each();
    vec![
        format!("{} idle connections, and as many more that asked once; memory\n", idle.connections),
        format!("{:<40}{:>12}{:>12}", "", "front", "keeper"),
        line("before", idle.before, None),
        line("with those that asked nothing", idle.silent, Some(silent)),
        line("with those that asked once", idle.asked, Some(asked)),
    ]
}
