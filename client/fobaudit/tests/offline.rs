//! What the program links, and how it ends: held against the built program itself.

use std::{
    collections::BTreeSet,
    process::{Command, Output},
};

fn fobaudit(line: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fobaudit")).args(line).output().unwrap()
}

#[test]
fn it_links_no_network_code_and_no_token_code() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "-p", "fobaudit", "-e", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    let linked: BTreeSet<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(linked.contains("keysvc-protocol"), "{linked:?}");
    let forbidden = [
        "cryptoki",
        "cryptoki-sys",
        "h2",
        "hyper",
        "hyper-util",
        "keysvc",
        "keysvc-client",
        "keysvc-token",
        "mio",
        "quinn",
        "reqwest",
        "rusqlite",
        "rustls",
        "socket2",
        "tokio",
        "tokio-rustls",
        "ureq",
    ];
    let found: Vec<_> = forbidden.into_iter().filter(|name| linked.contains(name)).collect();
    assert_eq!(found, Vec::<&str>::new());
}

#[test]
fn a_wrong_command_line_exits_2() {
    assert_eq!(fobaudit(&["verify"]).status.code(), Some(2));
}

#[test]
fn a_file_that_is_not_there_exits_4_and_says_so_on_stderr_alone() {
    let output = fobaudit(&["verify", "no-such-folder", "--trust", "no-such-file"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("fobaudit: cannot read no-such-file: "), "{text}");
    assert!(text.contains("\n  next: "), "{text}");
}
