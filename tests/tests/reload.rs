//! SIGHUP: certificates, revocation lists, policy files and the log's level without a restart; what is bad leaves what
//! was in force as it is; and a certificate that was revoked loses its live connections at once.

use keysvc_protocol::{
    cbor,
    reply::StatusReply,
    request::{Operation, ReadStatus},
    schema::Schema,
};
use keysvc_tests::{ground::Ground, raw::Line, watched::send};
use rustix::process::Signal;
use softhsm_setup::pki::{CertificateRequest, Serial};
use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

const DAY: Duration = Duration::from_hours(24);

/// Tells the whole service to read its files again, and waits until the half has said so.
fn reload(ground: &Ground, half: &str, said: &str) {
    let count = |text: &str| text.matches(said).count();
    let before = count(&ground.said());
    send(ground.half(half).unwrap(), Signal::HUP);
    ground.wait_until(said, || count(&ground.said()) > before);
}

fn status(line: &mut Line) -> StatusReply {
    line.put(Operation::Status, cbor::encode(&ReadStatus { schema: Schema })).unwrap()
}

/// A list that revokes these personas' certificates, in its file.
fn revoke(ground: &Ground, personas: &[&str]) -> PathBuf {
    let serial = |persona: &&str| {
        Serial::of(&fs::read_to_string(ground.site().home(persona).tls_certificate()).unwrap()).unwrap()
    };
    let serials: Vec<_> = personas.iter().map(serial).collect();
    let list = ground.site().authority().revoke(&serials, SystemTime::now() + DAY).unwrap();
    let file = ground.site().service().tls_folder().join("revoked.pem");
    fs::write(&file, list).unwrap();
    file
}

fn is_cut(line: &mut Line) -> bool {
    // However it ends: nothing comes any more.
    let ended: io::Result<_> = line.answer();
    ended.is_err()
}

#[test]
fn a_revocation_cuts_the_live_connection_and_bars_a_new_one_while_others_go_on() {
    let mut ground = Ground::founded();
    let file = revoke(&ground, &[]);
    ground.change("crls = []", &format!("crls = [\"{}\"]", file.display()));
    ground.start().unwrap();
    let (mut revoked, mut other) =
        (Line::open(ground.site(), "terminal-1"), Line::open(ground.site(), "terminal-2"));
    let keeper = ground.half("keeper");
    let (front, before) = (ground.half("front"), status(&mut revoked));
    revoke(&ground, &["terminal-1"]);
    // The parent passes it on to both halves.
    send(ground.daemon().unwrap(), Signal::HUP);
    assert!(is_cut(&mut revoked));
    ground.wait_until("the line on it", || ground.said().contains("a connection is cut off"));
    // Connections are looked at by tasks of their own, which may be before the line on the files.
    ground.wait_until("the line on the files", || ground.said().contains("changed=\"revocation lists\""));
    status(&mut other);
    let barred = Line::with(ground.site(), Some(&ground.site().home("terminal-1")));
    assert!(barred.map_or(true, |mut line| is_cut(&mut line)));
    // And nobody was restarted for it.
    assert_eq!((ground.half("front"), ground.half("keeper")), (front, keeper));
    assert_eq!(status(&mut other).started_at_ms, before.started_at_ms);
}

#[test]
fn a_renewed_certificate_is_shown_to_new_connections_and_a_bad_one_leaves_the_old_in_force() {
    let mut ground = Ground::founded();
    ground.start().unwrap();
    let home = ground.site().service();
    let shown = |line: &Line| line.server_certificate();
    let mut first = Line::open(ground.site(), "terminal-1");
    let old = shown(&first);
    let domain = softhsm_setup::TRUST_DOMAIN.parse().unwrap();
    let issued = ground.site().authority().issue(&CertificateRequest::service(&domain)).unwrap();
    // A certificate without its key: the two do not fit, and nothing is taken over.
    fs::write(home.tls_certificate(), issued.certificate_pem()).unwrap();
    reload(&ground, "front", "not reloaded: what was in force stays so");
    assert!(ground.said().contains(&home.tls_certificate().display().to_string()));
    assert_eq!(shown(&Line::open(ground.site(), "terminal-1")), old);
    fs::write(home.tls_key(), &*issued.key_pem()).unwrap();
    reload(&ground, "front", "changed=\"certificate\"");
    let new = shown(&Line::open(ground.site(), "terminal-1"));
    assert_eq!(new, issued.certificate_der());
    assert_ne!(new, old);
    // Whoever was connected stays so.
    status(&mut first);
    // A list that has expired is as bad: with it nobody would be let in.
    let late = ground.site().authority().revoke(&[], SystemTime::now() + Duration::from_secs(1)).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let file = home.tls_folder().join("late.pem");
    fs::write(&file, late).unwrap();
    ground.change("crls = []", &format!("crls = [\"{}\"]", file.display()));
    reload(&ground, "front", "has expired; put a fresh one there");
    status(&mut Line::open(ground.site(), "terminal-1"));
}

#[test]
fn policy_files_are_taken_over_only_when_they_say_what_the_log_says() {
    let mut ground = Ground::founded();
    ground.start().unwrap();
    let mut line = Line::open(ground.site(), "terminal-1");
    let before = status(&mut line);
    reload(&ground, "keeper", "policies read again, the same as in the log");
    let file = ground.site().service().folder().join("policies/site.cedar");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\nforbid(principal, action, resource);\n")).unwrap();
    reload(&ground, "keeper", "put the recorded policies back");
    fs::write(&file, "permit(principal").unwrap();
    reload(&ground, "keeper", "not reloaded: what was in force stays so");
    assert_eq!(status(&mut line).policy, before.policy);
    fs::write(&file, text).unwrap();
    reload(&ground, "keeper", "policies read again, the same as in the log");
    assert_eq!(status(&mut line).started_at_ms, before.started_at_ms);
}

#[test]
fn the_log_level_changes_at_once_and_what_needs_a_restart_is_named() {
    let mut ground = Ground::founded();
    ground.start().unwrap();
    let mut line = Line::open(ground.site(), "terminal-1");
    status(&mut line);
    assert!(!ground.said().contains("answered"));
    ground.set("log", "level = \"debug\"");
    reload(&ground, "front", "changed=\"log.level from info to debug\"");
    status(&mut line);
    ground.wait_until("a line for a request", || ground.said().contains("answered"));
    ground.set("front.limits", "clients-max = 7");
    ground.set("keeper.limits", "workers = 3");
    reload(&ground, "front", "needs_restart=\"front.limits\"");
    reload(&ground, "keeper", "needs_restart=\"keeper.limits\"");
    // A configuration that cannot be read changes nothing.
    ground.set("front", "lissen = 1");
    reload(&ground, "front", "there is no such key");
    status(&mut line);
}
