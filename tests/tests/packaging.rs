//! What is under `packaging/`: the units are good ones, agree with the configuration beside them, and the halves tell a
//! service manager when they are ready, reload and stop.

use keysvc::config::{Config, parse_toml};
use keysvc_tests::{ground::Ground, settings::page, watched::send};
use rustix::process::Signal;
use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        net::UnixDatagram,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longer than any start takes.
const LONG: Duration = Duration::from_secs(60);

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("packaging")
}

fn read(name: &str) -> String {
    fs::read_to_string(packaging().join(name)).unwrap()
}

/// A service manager's ear, and the halves that speak into it.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
    halves: Vec<Child>,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        Self { socket, folder, halves: Vec::new() }
    }

    /// Starts a half as a unit would; gives its process.
    fn start(&mut self, ground: &Ground, half: &str) -> u32 {
        let mut command = ground.keysvc(&[half]);
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify")).env("WATCHDOG_USEC", "2000000");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let pid = child.id();
        self.halves.push(child);
        pid
    }

    /// The lines of the next message that holds this one.
    fn hear(&self, line: &str) -> Vec<String> {
        let (begun, mut buffer, mut heard) = (Instant::now(), [0; 4096], Vec::new());
        while begun.elapsed() < LONG {
            let Ok(len) = self.socket.recv(&mut buffer) else { continue };
            let lines: Vec<_> = String::from_utf8_lossy(&buffer[..len]).lines().map(str::to_owned).collect();
            if lines.iter().any(|one| one == line) {
                return lines;
            }
            heard.push(lines);
        }
        panic!("no {line} in {heard:?}");
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        for half in &mut self.halves {
            let _ = half.kill();
            let _ = half.wait();
        }
    }
}

#[test]
fn each_half_says_when_it_is_ready_reloads_still_turns_and_stops() {
    let ground = Ground::founded();
    let mut manager = Manager::new();
    for half in ["keeper", "front"] {
        let pid = manager.start(&ground, half);
        assert!(manager.hear("READY=1").contains(&"STATUS=serving".to_owned()), "{half}");
        manager.hear("WATCHDOG=1");
        send(pid, Signal::HUP);
        let reloading = manager.hear("RELOADING=1");
        let clock = reloading.iter().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
        assert!(clock.parse::<u64>().unwrap() > 0);
        manager.hear("READY=1");
    }
    let pids: Vec<_> = manager.halves.iter().map(Child::id).collect();
    // The front first, as the target does.
    for pid in pids.into_iter().rev() {
        send(pid, Signal::TERM);
        manager.hear("STOPPING=1");
    }
    for half in &mut manager.halves {
        assert!(half.wait().unwrap().success());
    }
}

#[test]
fn a_front_without_a_keeper_is_ready_after_a_while_and_says_what_is_missing() {
    let ground = Ground::founded();
    let mut manager = Manager::new();
    manager.start(&ground, "front");
    let ready = manager.hear("READY=1");
    assert!(ready.contains(&"STATUS=listening, but the keeper does not answer".to_owned()), "{ready:?}");
    manager.start(&ground, "keeper");
    manager.hear("STATUS=serving");
}

#[test]
fn a_keeper_that_was_told_of_another_user_turns_its_own_away() {
    let mut ground = Ground::founded();
    ground.set("keeper", "front-user = \"nobody\"");
    ground.spawn().unwrap();
    ground.wait_until("the keeper's word", || {
        ground.said().contains("a process of another user tried the link")
    });
}

/// Opens a file or folder of the ground to everyone, or gives it to the front's user.
fn give(path: &Path, mode: u32, owner: Option<(u32, u32)>) {
    if let Some((user, group)) = owner {
        chown(path, Some(user), Some(group)).unwrap();
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_front_of_another_user_serves_and_can_read_nothing_of_the_keepers() {
    if !rustix::process::getuid().is_root() {
        eprintln!(
            "NOT CHECKED: only root can run the halves as two users; the link's own tests turn strangers away"
        );
        return;
    }
    let nobody = keysvc::config::uid_of("nobody").unwrap();
    let ground = Ground::founded();
    let home = ground.site().service();
    ground.set("keeper", "front-user = \"nobody\"");
    let port = ground.with_health();
    // As the units and tmpfiles.d lay it out: what both read is open, the key is the front's, the rest the keeper's.
    let mut folder = home.folder();
    while folder.starts_with(std::env::temp_dir()) && folder != std::env::temp_dir() {
        give(folder, 0o711, None);
        folder = folder.parent().unwrap();
    }
    give(home.tls_folder(), 0o711, None);
    for file in [ground.site().service_config(), home.tls_folder().join("ca.crt"), home.tls_certificate()] {
        give(&file, 0o644, None);
    }
    give(&home.tls_key(), 0o600, Some((nobody, nobody)));
    let link = ground.site().socket().parent().unwrap().to_owned();
    fs::create_dir_all(&link).unwrap();
    give(&link, 0o2750, Some((0, nobody)));
    let program = home.folder().join("keysvc-program");
    fs::copy(&ground.programs().keysvc, &program).unwrap();
    give(&program, 0o755, None);

    let mut manager = Manager::new();
    manager.start(&ground, "keeper");
    manager.hear("READY=1");
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={nobody}")).arg(format!("--regid={nobody}"));
        command.arg("--clear-groups").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let config = ground.site().service_config();
    let front = [program.to_str().unwrap(), "--config", config.to_str().unwrap(), "front"];
    manager.halves.push(as_nobody(&front).spawn().unwrap());
    ground.wait_until("ready", || page(port, "/ready").is_some_and(|page| page.status == 200));
    for secret in [home.pin_file(), home.folder().join("store/ledger.sqlite3"), home.folder().join("anchor")]
    {
        assert!(secret.exists(), "{}", secret.display());
        assert!(
            !as_nobody(&["cat", secret.to_str().unwrap()]).status().unwrap().success(),
            "{}",
            secret.display()
        );
    }
}

/// The value of an option of a unit.
fn option(unit: &str, name: &str) -> String {
    let value = unit.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    value.unwrap_or_else(|| panic!("no {name}= in the unit")).to_owned()
}

#[test]
fn the_example_configuration_is_read_and_agrees_with_the_units() {
    let config: Config = parse_toml(Path::new("packaging/keysvc.toml"), &read("keysvc.toml")).unwrap();
    let (keeper, front) = (read("systemd/keysvc-keeper.service"), read("systemd/keysvc-front.service"));
    assert_eq!(config.token.pin_credential, Some(option(&keeper, "LoadCredentialEncrypted")));
    assert_eq!(config.keeper.front_user, Some(option(&front, "User")));
    assert_eq!(
        config.keeper.socket.parent(),
        Some(Path::new("/run").join(option(&keeper, "RuntimeDirectory")).as_path())
    );
    let state = option(&keeper, "StateDirectory");
    for path in [&config.keeper.store, &config.keeper.anchor, &config.trust] {
        let inside = state.split(' ').any(|folder| path.starts_with(Path::new("/var/lib").join(folder)));
        assert!(inside, "{}", path.display());
    }
    assert!(front.contains(&format!("Group={}", option(&keeper, "Group"))));
    let users = read("sysusers.d/keysvc.conf");
    for unit in [&keeper, &front] {
        assert!(users.contains(&format!("u {} -:{} ", option(unit, "User"), option(unit, "Group"))));
    }
    // Neither half can be asked for another's secret.
    assert!(!front.contains("LoadCredential"));
    assert!(config.front.health.unwrap().ip().is_loopback());
}

/// `systemd-analyze`, or nothing where there is none; in CI that is a failure.
fn analyze() -> Option<Command> {
    if Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status().is_ok() {
        return Some(Command::new("systemd-analyze"));
    }
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "systemd-analyze is missing: apt-get install systemd"
    );
    eprintln!(
        "NOT CHECKED: systemd-analyze is missing, so the units were not verified; apt-get install systemd"
    );
    None
}

/// The units in a folder, with a program that is there.
fn units() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["keysvc-keeper.service", "keysvc-front.service", "keysvc.target"] {
        let text = read(&format!("systemd/{name}")).replace("/usr/bin/keysvc", "/bin/true");
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn the_units_are_verified_by_systemd_and_leave_little_exposed() {
    let Some(mut verify) = analyze() else { return };
    let folder = units();
    let files = ["keysvc-keeper.service", "keysvc-front.service", "keysvc.target"]
        .map(|name| folder.path().join(name));
    verify.args(["--man=no", "--recursive-errors=no", "verify"]).args(&files);
    let verified = verify.output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success(), "{said}");
    // It also says what it only ignores.
    let complaints: Vec<_> = said.lines().filter(|line| line.contains("keysvc")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    for file in &files[..2] {
        // In tenths: the keeper and the front are each below 2.0, which systemd calls OK.
        let mut security = Command::new("systemd-analyze");
        security.args(["security", "--offline=true", "--no-pager", "--threshold=20"]).arg(file);
        let judged = security.output().unwrap();
        assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
    }
}
