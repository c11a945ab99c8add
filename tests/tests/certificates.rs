//! Whatever a client shows that is not a right certificate of an enrolled key is refused, each at the step that is told in
//! the list (tests/src/hostile/certificates.rs); and a list of revoked certificates that cannot be used lets nobody in.

use keysvc_tests::{
    ground::{Ground, text},
    hostile::{
        certificates::{CONTROLS, Case, Expected, refused},
        handshake::Cut,
        mint::{Authority, Mint, REVOKED},
    },
    watched::send,
};
use rustix::process::Signal;
use rustls::AlertDescription;
use std::{collections::BTreeSet, fs, time::Duration};

const DAY: Duration = Duration::from_hours(24);

/// A serving service that trusts the mint's authorities and checks their lists.
fn ground() -> (Ground, Mint) {
    let mut ground = Ground::founded();
    let mint = Mint::new(&ground);
    ground.start().unwrap();
    (ground, mint)
}

/// What of these did not end as expected.
fn wrong<'a>(ground: &Ground, mint: &Mint, cases: impl IntoIterator<Item = &'a Case>) -> Vec<String> {
    let tried = cases.into_iter().map(|case| case.try_on(ground.site().port(), mint, Cut::NOT));
    tried.filter_map(Result::err).collect()
}

#[test]
fn no_certificate_that_is_not_right_in_every_respect_is_served_and_each_is_refused_at_its_step() {
    let (ground, mint) = ground();
    let cases = refused();
    let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert!(cases.len() >= 100 && names.len() == cases.len(), "{} cases", cases.len());
    assert!(cases.iter().all(|case| case.expected != Expected::Served));
    assert_eq!(wrong(&ground, &mint, &cases), [""; 0]);
    // And the key itself, and odd certificates that are right, are served: it was not for them.
    assert_eq!(wrong(&ground, &mint, CONTROLS), [""; 0]);
    ground.assert_no_signal();
}

/// Has the front read its files again, and waits until it has said so.
fn reload(ground: &Ground, said: &str) {
    let count = |log: &str| log.matches(said).count();
    let before = count(&ground.said());
    send(ground.half("front").unwrap(), Signal::HUP);
    ground.wait_until(said, || count(&ground.said()) > before);
}

#[test]
fn a_list_that_is_stale_or_of_another_key_lets_nobody_in_and_one_of_another_authority_is_not_taken_over() {
    let (ground, mint) = ground();
    let right = &CONTROLS[0];
    assert_eq!(wrong(&ground, &mint, [right]), [""; 0]);
    // Another authority's alone: what is in force stays so.
    let lists = fs::read(&mint.lists).unwrap();
    fs::write(&mint.lists, Authority::root("somebody").list(&[], DAY)).unwrap();
    reload(&ground, "not reloaded: what was in force stays so");
    let revoked = refused().into_iter().find(|case| case.name == "revoked").unwrap();
    assert_eq!(wrong(&ground, &mint, [right, &revoked]), [""; 0]);
    // In the authority's name, by another key.
    fs::write(&mint.lists, Authority::root(&mint.name).list(&[], DAY)).unwrap();
    reload(&ground, "changed=\"revocation lists\"");
    let refused_with = |alert| Case { expected: Expected::Alert(alert), ..*right };
    assert_eq!(wrong(&ground, &mint, [&refused_with(AlertDescription::HandshakeFailure)]), [""; 0]);
    // Its own, until it is stale.
    mint.write_lists(&[REVOKED], Duration::from_secs(3));
    reload(&ground, "changed=\"revocation lists\"");
    assert_eq!(wrong(&ground, &mint, [right]), [""; 0]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(wrong(&ground, &mint, [&refused_with(AlertDescription::UnknownCA)]), [""; 0]);
    fs::write(&mint.lists, lists).unwrap();
    reload(&ground, "changed=\"revocation lists\"");
    assert_eq!(wrong(&ground, &mint, [right]), [""; 0]);
}

#[test]
fn who_was_disabled_is_refused_by_name_with_a_certificate_that_is_right() {
    let (ground, mint) = ground();
    let right = &CONTROLS[0];
    assert_eq!(wrong(&ground, &mint, [right]), [""; 0]);
    let pin = ground.site().home("officer-1").pin_file();
    let arguments = ["principal", "disable", "terminal-1", "--reason", "lost", "--pin-file"];
    let disabled = ground.fobctl("officer-1", &arguments).arg(pin).output().unwrap();
    assert!(disabled.status.success(), "{}", text(&disabled));
    assert_eq!(wrong(&ground, &mint, [&Case { expected: Expected::Disabled, ..*right }]), [""; 0]);
}
