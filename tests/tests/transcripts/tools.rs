//! The tools beside our programs that the documents use, as every Debian has them: looked for, and installed where
//! they are missing, as SoftHSM is.

use softhsm_setup::softhsm::NO_INSTALL_VARIABLE;
use std::{env, path::Path, process::Command};

/// Each is in the package of its name.
const TOOLS: [&str; 2] = ["openssl", "curl"];
const APT_GET: &str = "/usr/bin/apt-get";

fn is_there(tool: &&str) -> bool {
    Command::new(tool).arg("help").output().is_ok()
}

/// Sees to it that the tools are there.
pub fn get() {
    let missing = || TOOLS.into_iter().filter(|tool| !is_there(tool)).collect::<Vec<_>>().join(" ");
    let wanted = missing();
    let forbidden = env::var_os(NO_INSTALL_VARIABLE).is_some_and(|value| value == "1");
    if !wanted.is_empty() && !forbidden && Path::new(APT_GET).is_file() {
        // -n: never wait for a password that nobody may be there to type.
        let by = if rustix::process::geteuid().is_root() { "" } else { "sudo -n " };
        let line = format!(
            "{by}{APT_GET} update -q && {by}{APT_GET} install -y -q --no-install-recommends {wanted}"
        );
        eprintln!(
            "the transcripts use {wanted}. Installing it now: {line}\n({NO_INSTALL_VARIABLE}=1 forbids this.)"
        );
        // Whether it helped is asked below.
        let _ = Command::new("/bin/sh").args(["-c", &line]).env("DEBIAN_FRONTEND", "noninteractive").status();
    }
    let missing = missing();
    assert!(missing.is_empty(), "the transcripts use {missing}: apt-get install {missing}");
}
