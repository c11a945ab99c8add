//! A library of somebody else's in a half: it makes the calls that no safe code makes, from within the sandbox.
//!
//! It is preloaded by a setting into a trial of the sandbox, and speaks when that ends: then it is where a captured half is.
//! C, because this workspace has no unsafe code.

use keysvc_tests::{ended::ended, ground::Ground};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What it tries.
pub const CALLS: [&str; 14] = [
    "ptrace",
    "bpf",
    "perf_event_open",
    "mount",
    "umount",
    "personality",
    "execveat",
    "process_vm_readv",
    "setns",
    "keyctl",
    "io_uring_setup",
    "fork",
    "open_by_handle_at",
    "x32",
];

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static char attributes[256];

static void tell(const char *name, long result) {
    char line[128];
    int denied = result == -1 && (errno == EPERM || errno == EACCES || errno == ENOSYS);
    int len = snprintf(line, sizeof line, "raw %s: %s (%ld, %d)\n", name, denied ? "denied" : "OPEN", result, errno);
    if (write(1, line, len) < 0) {}
}

__attribute__((destructor)) static void captive(void) {
    if (!getenv_role()) return;
    tell("ptrace", syscall(SYS_ptrace, 16, getppid(), 0, 0));
    tell("bpf", syscall(SYS_bpf, 0, attributes, sizeof attributes));
    tell("perf_event_open", syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0));
    tell("mount", syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, ""));
    tell("umount", syscall(SYS_umount2, "/mnt", 0));
    tell("personality", syscall(SYS_personality, 0x0040000));
    char *none[] = { "true", NULL };
    tell("execveat", syscall(SYS_execveat, AT_FDCWD, "/bin/true", none, none + 1, 0));
    tell("process_vm_readv", syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
    tell("setns", syscall(SYS_setns, 0, 0));
    tell("keyctl", syscall(SYS_keyctl, 0, -3, 1));
    tell("io_uring_setup", syscall(SYS_io_uring_setup, 1, attributes));
    tell("fork", syscall(SYS_clone, 17, 0, 0, 0, 0));
    tell("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, attributes, 0));
    /* By another way into the kernel: getpid by its number there, which no list knows. */
    tell("x32", syscall(0x40000000 | 39));
}
"#;

/// The library, or nothing where no C compiler is there.
pub fn library(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("captive.c"), folder.join("captive.so"));
    let guarded =
        "#include <stdlib.h>\nstatic int getenv_role(void) { return getenv(\"CAPTIVE\") != NULL; }\n";
    fs::write(&source, format!("{guarded}{SOURCE}")).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    let Ok(output) = compiler.output() else {
        eprintln!("NOT CHECKED: cc is missing; apt-get install gcc");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(library)
}

/// What it says from within the sandbox of a half.
pub fn said(ground: &Ground, half: &str, library: &Path) -> String {
    let mut command = ground.keysvc(&["try-sandbox", half]);
    command.env("LD_PRELOAD", library).env("CAPTIVE", "1");
    let output = ended(command);
    String::from_utf8(output.stdout).unwrap()
}
