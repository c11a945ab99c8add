//! What somebody else's scanner says of the service's TLS: sslyze, by Mozilla's modern profile.
//!
//! The scanner is made once under the target folder, from PyPI by exact versions (tests/sslyze). Where it cannot be made or
//! does not run, the test fails and says what is missing: a scan that was not made is none.

use keysvc_tests::{ground::Ground, second_verifier::python_with};
use softhsm_setup::{TRUST_DOMAIN, pki::CertificateRequest};
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

/// The longest that a certificate may live by the modern profile is 90 days; the development site's lives a year.
const LIFE: Duration = Duration::from_hours(24 * 60);

#[test]
fn sslyze_finds_the_running_service_compliant_with_mozillas_modern_profile() {
    let mut ground = Ground::founded();
    // As an operator renews it (docs/operations.md): for 60 days.
    let home = ground.site().service();
    let domain = TRUST_DOMAIN.parse().unwrap();
    let request =
        CertificateRequest { not_after: SystemTime::now() + LIFE, ..CertificateRequest::service(&domain) };
    let issued = ground.site().authority().issue(&request).unwrap();
    fs::write(home.tls_certificate(), issued.certificate_pem()).unwrap();
    fs::write(home.tls_key(), &*issued.key_pem()).unwrap();
    ground.start().unwrap();

    let python =
        python_with("sslyze", &Path::new(env!("CARGO_MANIFEST_DIR")).join("sslyze/requirements.txt"));
    let client = ground.site().home("terminal-1");
    let scan = |profile: &str| {
        let mut command = Command::new(&python);
        command.args(["-m", "sslyze", &format!("--mozilla_config={profile}")]);
        command.arg("--certinfo_ca_file").arg(ground.site().authority_certificate());
        command.arg("--cert").arg(client.tls_certificate()).arg("--key").arg(client.tls_key());
        let output = command.arg(format!("localhost:{}", ground.site().port())).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // It ends well too where it could not connect: only its own word counts.
        (said.contains("OK - Compliant"), said)
    };
    let (compliant, said) = scan("modern");
    assert!(compliant, "{said}");
    // That is no scanner that finds everything good: the older profiles want protocols that are not spoken here.
    let (compliant, said) = scan("old");
    assert!(!compliant && said.contains("Not compliant"), "{said}");
    ground.assert_no_signal();
}
