//! What each half of the running service may do to the machine, tried: privileges, files, ports, signals, system calls,
//! memory, descriptors and environment; and what happens where the kernel lacks a part.

#[path = "sandbox/captive.rs"]
mod captive;
#[path = "sandbox/running.rs"]
mod running;

use keysvc_tests::{
    ended::{ended, refusal},
    ground::{Ground, text},
};
use running::{HALVES, Running};
use std::{fs, process::Command};

/// The value of a line of `/proc/PID/status`.
fn status(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().to_owned()
}

/// The bits of `CAP_DAC_OVERRIDE`, `CAP_NET_BIND_SERVICE` and `CAP_IPC_LOCK`.
const RIGHTS: [u64; 3] = [1 << 1, 1 << 10, 1 << 14];

/// Whether memory can be locked here: by root, or under no limit.
fn can_lock() -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    let can = rustix::process::getuid().is_root() || limit.is_none();
    if !can {
        eprintln!(
            "NOT CHECKED: that the keeper's memory is locked, which only root may here; ulimit -l unlimited"
        );
    }
    can
}

#[test]
fn a_serving_half_gains_no_privilege_dumps_no_core_has_no_rights_of_roots_and_the_keeper_is_locked_in_memory()
{
    let running = Running::plain();
    let [dac, bind, lock] = RIGHTS;
    for (half, kept) in HALVES.into_iter().zip([dac | bind, dac | lock]) {
        let pid = running.half(half);
        assert_eq!(
            (status(pid, "NoNewPrivs"), status(pid, "Seccomp")),
            ("1".to_owned(), "2".to_owned()),
            "{half}"
        );
        for set in ["CapEff", "CapPrm", "CapInh"] {
            let found = u64::from_str_radix(&status(pid, set), 16).unwrap();
            assert_eq!(found & !kept, 0, "{half} {set} {found:#x}");
        }
        // Threads that began later, too.
        for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
            let text = fs::read_to_string(task.path().join("status")).unwrap();
            assert!(text.contains("Seccomp:\t2") && text.contains("NoNewPrivs:\t1"), "{half} {text}");
        }
    }
    for pid in [running.pid(), running.half("front"), running.half("keeper")] {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
        assert_eq!(status(pid, "NoNewPrivs"), "1");
    }
    let locked: u64 = status(running.half("keeper"), "VmLck").split(' ').next().unwrap().parse().unwrap();
    let said = running.said();
    assert_eq!(said.matches("in its sandbox").count(), 2, "{said}");
    if can_lock() {
        assert!(locked > 0);
        assert!(!said.contains("but for what is off"), "{said}");
    } else {
        assert!(said.contains("off=\"memory (not more than"), "{said}");
    }
}

#[test]
fn what_is_in_the_daemons_environment_reaches_no_half_but_by_the_configuration() {
    let ground = Ground::founded();
    ground.set("sandbox", "environment = [\"NAMED\"]");
    let running = Running::started(ground, |command| {
        command.env("CANARY", "canary-6a1f").env("NAMED", "named-7b2e");
    });
    for half in HALVES {
        let environment = fs::read(format!("/proc/{}/environ", running.half(half))).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        assert!(!environment.contains("canary-6a1f"), "{half}: {environment}");
        assert!(environment.contains("NAMED=named-7b2e"), "{half}: {environment}");
        assert_eq!(environment.contains("SOFTHSM2_CONF="), half == "keeper");
        for name in environment.split('\0').filter_map(|one| one.split_once('=')).map(|(name, _)| name) {
            let known = ["NAMED", "SOFTHSM2_CONF", "KRYOPTIC_CONF", "CREDENTIALS_DIRECTORY"].contains(&name)
                || name.starts_with("KEYSVC_")
                || name.starts_with("RUST_");
            assert!(known, "{half} was given {name}");
        }
    }
}

#[test]
fn a_half_has_nothing_open_but_its_own_whatever_whoever_started_the_service_left_open() {
    let ground = Ground::founded();
    let pin = ground.site().service().pin_file();
    let canary = ground.site().folder().join("canary");
    fs::write(&canary, "").unwrap();
    let opened = format!(
        "exec 7<{pin} 9>>{canary} 33<{pin}; exec \"$0\" \"$@\"",
        pin = pin.display(),
        canary = canary.display()
    );
    let running = Running::by_shell(ground, &opened);
    let site = running.ground().site();
    let [store, service] = [site.service().folder().join("store"), site.service().folder().to_owned()];
    let is_keepers = |place: &std::path::Path| {
        let token = place.starts_with(site.service().token_folder());
        place.starts_with(&store) || token || place == service.join("anchor")
    };
    // The parent keeps what it was given.
    assert!(running.open(running.pid()).contains(&pin));
    for half in HALVES {
        for place in running.open(running.half(half)) {
            let allowed = place.to_string_lossy().starts_with("socket:")
                || place.to_string_lossy().starts_with("anon_inode:")
                || place.to_string_lossy().starts_with("pipe:")
                || place == std::path::Path::new("/dev/null")
                || place == running.log()
                || (half == "keeper" && is_keepers(&place));
            assert!(allowed, "{half} has {} open", place.display());
        }
    }
}

#[test]
fn a_descriptor_that_gives_the_pin_is_the_keepers_alone() {
    let ground = Ground::founded();
    let pin = ground.site().service().pin_file();
    ground.change(&format!("pin-file = \"{}\"", pin.display()), "pin-fd = 5");
    let running = Running::by_shell(ground, &format!("exec 5<{}; exec \"$0\" \"$@\"", pin.display()));
    let has = |half| running.open(running.half(half)).contains(&pin);
    assert_eq!((has("front"), has("keeper")), (false, true));
}

/// The lines of a trial, each its word and the rest.
fn tried(ground: &Ground, half: &str) -> Vec<(String, String)> {
    let output = ended(ground.keysvc(&["try-sandbox", half]));
    assert!(output.status.success(), "{}", text(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(word, rest)| (word.to_owned(), rest.to_owned()))
        .collect()
}

#[test]
fn every_attempt_to_leave_the_sandbox_is_denied_to_both_halves() {
    let running = Running::plain();
    for half in HALVES {
        let lines = tried(running.ground(), half);
        let with = |word: &str| {
            lines.iter().filter(|(one, _)| one == word).map(|(_, rest)| rest.as_str()).collect::<Vec<_>>()
        };
        assert_eq!((with("OPEN"), with("untried")), (vec![], vec![]), "{half}");
        assert!(with("off").is_empty() || !can_lock(), "{half}: {lines:?}");
        assert!(with("denied").len() >= 30, "{half}: {lines:?}");
        let names = with("denied").join("\n");
        let own: &[&str] = if half == "front" {
            &["token's PIN", "token's folder", "store's database", "list the policies", "anchor"]
        } else {
            &["TLS key", "write among the policies", "trust file"]
        };
        let both =
            ["signatures", "another user's file", "run a program in its place", "connect over TCP", "UDP"];
        for words in own.iter().chain(&both) {
            assert!(names.contains(words), "{half} did not try: {words}");
        }
    }
}

#[test]
fn what_goes_through_without_the_sandbox_is_said_to_be_open() {
    let ground = Ground::founded();
    let parts = "without = [\"files\", \"network\", \"signals\", \"calls\", \"rights\"]";
    ground.set("sandbox", parts);
    for half in HALVES {
        let output = ended(ground.keysvc(&["try-sandbox", half]));
        let said = text(&output);
        for open in
            ["write beside the configuration", "connect over TCP", "signal its parent", "start a program"]
        {
            assert!(said.contains(&format!("OPEN     {open}")), "{half} {open}: {said}");
        }
    }
}

#[test]
fn a_call_that_no_safe_code_makes_is_denied_to_both_halves() {
    let ground = Ground::founded();
    let Some(library) = captive::library(ground.site().folder()) else { return };
    for half in HALVES {
        let said = captive::said(&ground, half, &library);
        for call in captive::CALLS {
            assert!(said.contains(&format!("raw {call}: denied")), "{half} {call}: {said}");
        }
    }
}

#[test]
fn doctor_says_each_part_of_each_half_and_that_all_was_tried() {
    let running = Running::plain();
    let output = ended(running.ground().keysvc(&["doctor"]));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    for half in HALVES {
        for part in ["privileges", "rights", "files", "network", "signals", "calls", "cores", "descriptors"] {
            assert!(
                said.contains(&format!("ok    sandbox        {half}, {part} on")),
                "{half} {part}: {said}"
            );
        }
        assert!(
            said.contains(&format!("ok    sandbox        {half}, 3"))
                && said.contains("attempts to leave it denied")
        );
    }
    assert!(said.contains("ok    sandbox        keeper, memory on") || !can_lock(), "{said}");
}

#[test]
fn a_service_that_lacks_a_part_serves_and_says_so_and_refuses_where_all_of_it_is_required() {
    let ground = Ground::founded();
    ground.set("sandbox", "without = [\"files\", \"calls\"]");
    let running = Running::started(ground, |_| {});
    let said = running.said();
    assert!(said.contains("files (left off by [sandbox] without), calls (left off"), "{said}");
    assert_eq!(status(running.half("front"), "Seccomp"), "0");
    let doctor = text(&ended(running.ground().keysvc(&["doctor"])));
    for half in HALVES {
        for part in ["files", "calls"] {
            let line = format!("note  sandbox        {half}, {part} off: left off by [sandbox] without");
            assert!(doctor.contains(&line), "{doctor}");
        }
    }
    assert!(doctor.contains("all checks passed"), "{doctor}");

    let ground = running.stopped();
    ground.set("sandbox", "require = true");
    for half in HALVES {
        let said = refusal(ground.keysvc(&[half]));
        assert!(said.contains(&format!("the sandbox of the {half} lacks files (left off")), "{said}");
    }
    let doctor = text(&ended(ground.keysvc(&["doctor"])));
    assert!(doctor.contains("FAIL  sandbox        refusing to serve: front, files off"), "{doctor}");
    assert!(doctor.contains("exit status: 3"), "{doctor}");
}

#[test]
fn a_whole_sandbox_serves_where_it_is_required_with_the_keepers_calls_few() {
    if !can_lock() {
        return;
    }
    let ground = Ground::founded();
    ground.set("sandbox", "require = true\nkeeper-calls = \"few\"");
    let running = Running::started(ground, |_| {});
    assert!(!running.said().contains("but for what is off"), "{}", running.said());
    let record = running.ground().site().folder().join("record.cose").display().to_string();
    let load = ["value", "load", "--programme", "coffee", "--card", "04782e21801d80", "--purse", "1"];
    let more = ["--amount", "20.00", "--seq", "1", "--balance", "0.00", "--out", &record];
    let load = ended(running.ground().fobctl("terminal-1", &[&load[..], &more[..]].concat()));
    assert!(load.status.success(), "{}\n{}", text(&load), running.said());
}

#[test]
fn on_a_kernel_without_landlock_files_ports_and_signals_are_said_to_be_off() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("NOT CHECKED: strace is missing, which makes a kernel look older; apt-get install strace");
        return;
    }
    let ground = Ground::founded();
    let as_older = |arguments: &[&str]| {
        let keysvc = ground.keysvc(arguments);
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=landlock_create_ruleset"]);
        command.args(["-e", "inject=landlock_create_ruleset:error=ENOSYS"]).arg(keysvc.get_program());
        command.args(keysvc.get_args());
        for (name, value) in keysvc.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        ended(command)
    };
    let said = text(&as_older(&["try-sandbox", "front"]));
    for part in ["files", "network", "signals"] {
        assert!(said.contains(&format!("off      {part:<32} this kernel has no Landlock")), "{said}");
    }
    // Calls are denied all the same.
    assert!(said.contains("denied   start a program"), "{said}");
    ground.set("sandbox", "require = true");
    let refused = as_older(&["front"]);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused));
}

#[test]
fn a_configuration_that_was_replaced_is_not_read_again_and_the_mend_is_said() {
    let running = Running::plain();
    let file = running.ground().site().service_config();
    let copy = file.with_extension("new");
    fs::copy(&file, &copy).unwrap();
    fs::rename(&copy, &file).unwrap();
    keysvc_tests::watched::send(running.half("front"), rustix::process::Signal::HUP);
    running.wait_until_said("write it in place or restart");
}
