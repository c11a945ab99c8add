//! Being a persona whose key is in a token: in a child of the test, because a module takes its folder from the
//! environment, which a process may set only for its children.

use crate::ground::{Ground, text};
use softhsm_setup::Site;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Names the test whose body a child is to run.
const TEST: &str = "KEYSVC_PERSONA_TEST";
/// Names the persona that the child is.
const PERSONA: &str = "KEYSVC_PERSONA";
/// Names the folder of the site.
const SITE: &str = "KEYSVC_PERSONA_SITE";

/// Runs `body` once for each persona, in a child of this test's own that sees that persona's token. `test` is the
/// test's whole name as the runner prints it. In the parent gives the ground it stood on; in the child nothing.
///
/// # Panics
/// When a body fails, or no test has that name.
pub fn with_tokens(
    test: &str,
    personas: &[&str],
    make: impl FnOnce() -> Ground,
    body: impl FnOnce(&Site, &str),
) -> Option<Ground> {
    if env::var(TEST).as_deref() == Ok(test) {
        let site = Site::open(Path::new(&env::var_os(SITE).unwrap())).unwrap();
        let persona = env::var(PERSONA).unwrap();
        body(&site, &persona);
        // Proof that the body ran to its end, whatever name the runner matched.
        fs::write(done(&site, &persona), b"").unwrap();
        return None;
    }
    let ground = make();
    for persona in personas {
        let output = ground
            .site()
            .home(persona)
            .command(&env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(TEST, test)
            .env(PERSONA, persona)
            .env(SITE, ground.site().folder())
            .output()
            .unwrap();
        let ran = output.status.success() && done(ground.site(), persona).exists();
        assert!(ran, "{persona}: {}", text(&output));
    }
    Some(ground)
}

fn done(site: &Site, persona: &str) -> PathBuf {
    site.home(persona).folder().join("done")
}
