//! Promise P30: a token that computes wrongly, repeats itself or fails its own self-test is not served with: found at the
//! start, while it serves, and on demand, and named by the keeper and by doctor.
//!
//! The lies are told by `tests/tokens/liar.c`, which stands between the keeper and its real module.

use keysvc_client::ClientError;
use keysvc_protocol::{
    reply::StatusReply,
    request::{Operation, ReadStatus, ValueOperation::Load},
    schema::Schema,
};
use keysvc_tests::{
    ended::ended,
    ground::{Ground, text},
    liar::Liar,
    raw::{self, Caller},
    tills::next_update,
};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// Each lie with the probe that names it.
const LIES: [(&str, &str); 7] = [
    ("cmac", "CKM_AES_CMAC gives the published value: another answer"),
    ("ecdsa", "CKM_ECDSA verifies outside the token: another answer"),
    ("again", "CKM_ECDSA takes another number for each signature: the same twice"),
    ("derive", "CKM_AES_CBC_ENCRYPT_DATA derives the published key: another answer"),
    ("wrap", "CKM_AES_KEY_WRAP gives the known value: another answer"),
    ("random", "C_GenerateRandom gives other bytes each time: the same twice"),
    ("key", "C_GenerateKey makes another key each time: the same twice"),
];

fn doctor(ground: &Ground) -> (Option<i32>, String) {
    let output = ended(ground.keysvc(&["doctor"]));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// The keeper refuses and is not started again, and with it the whole service ends: nobody is left who would serve.
fn ends_refusing(ground: &Ground, words: &str) {
    let refused = |line: &str| line.contains("refuses to serve") && line.contains("half=\"keeper\"");
    ground.wait_until("the keeper refuses to serve", || ground.said().lines().any(refused));
    assert!(ground.said().contains(words), "no '{words}' in {}", ground.said());
}

fn served(ground: &Ground) -> bool {
    let mut auditor = Caller::new(ground.site(), "auditor-1");
    auditor.ask::<StatusReply>(Operation::Status, &ReadStatus { schema: Schema }).is_ok()
}

#[test]
fn a_token_that_computes_wrongly_or_repeats_itself_is_not_served_with_and_doctor_names_the_lie() {
    let mut ground = Ground::founded();
    let liar = Liar::between(&ground);
    for (lie, probe) in LIES {
        liar.about(lie);
        let said = ground.keeper_refuses();
        assert!(said.contains(&format!("the token is not admitted: {probe}")), "{lie}: {said}");
        let (code, lines) = doctor(&ground);
        assert_eq!(code, Some(3), "{lie}: {lines}");
        let (name, found) = probe.split_once(": ").unwrap();
        let line =
            lines.lines().find(|line| line.contains(&format!("{found}; this token must not hold keys")));
        assert!(line.is_some_and(|line| line.starts_with("FAIL  admission")), "{lie}, {name}: {lines}");
        println!("lie at the start: {lie}: {probe}");
        liar.stop();
    }
    // The same module without a lie serves: it was the lies that were refused.
    let (code, lines) = doctor(&ground);
    assert_eq!(code, Some(0), "{lines}");
    ground.start().unwrap();
    assert!(served(&ground));
}

#[test]
fn a_token_that_fails_its_own_self_test_is_not_served_with_and_doctor_says_its_code() {
    let ground = Ground::founded();
    let liar = Liar::between(&ground);
    liar.about("self-test");
    let keeper = ended(ground.keysvc(&["keeper"]));
    assert!(keeper.status.code().is_some_and(|code| code != 0), "{}", text(&keeper));
    assert!(text(&keeper).contains("CKR_FIPS_SELF_TEST_FAILED"), "{}", text(&keeper));
    let (code, lines) = doctor(&ground);
    assert_eq!(code, Some(3), "{lines}");
    let line = lines.lines().find(|line| line.contains("CKR_FIPS_SELF_TEST_FAILED"));
    assert!(line.is_some_and(|line| line.starts_with("FAIL  token")), "{lines}");
}

#[test]
fn a_token_that_begins_to_sign_wrongly_while_it_serves_ends_the_service_within_seconds_and_nobody_takes_what_it_signed()
 {
    for lie in ["ecdsa", "again"] {
        let mut ground = Ground::founded();
        let liar = Liar::between(&ground);
        ground.start().unwrap();
        let (first, taken, error) = ground.block_on(async {
            let terminal = ground.terminal("terminal-1").await.unwrap().with_deadline(Duration::from_secs(3));
            let first = terminal.update(&raw::update(Load, 1, 2_000, 0)).await.unwrap();
            liar.about(lie);
            let mut taken = 0;
            // A card of its own for each, so that each is a new leaf and a new head.
            for number in 0..10_000_u32 {
                match terminal.update(&next_update(&format!("041122{number:08x}"), None)).await {
                    Ok(_) => taken += 1,
                    Err(ClientError::NotSigned(_) | ClientError::Untrusted { .. }) => {}
                    Err(error) => return (first, taken, error),
                }
            }
            panic!("{lie}: it serves on")
        });
        // The first signature under the second lie is a true one, and all after it are that one again.
        assert!(taken <= usize::from(lie == "again"), "{lie}: {taken} were taken");
        ends_refusing(&ground, "the token is not admitted: CKM_ECDSA");
        println!("lie while it serves: {lie}: {error}");
        // Nothing that it signed meanwhile keeps the service from going on with a token that signs as it should.
        ground.stop();
        liar.stop();
        ground.start().unwrap();
        let again = ground.block_on(async {
            let terminal = ground.terminal("terminal-1").await.unwrap();
            terminal.update(&next_update("04782e21801d80", Some(&first))).await
        });
        assert_eq!(again.unwrap().update.seq, first.update.seq + 1, "{lie}");
    }
}

#[test]
fn a_token_that_begins_to_compute_wrongly_while_it_serves_is_found_on_demand() {
    for (lie, probe) in [LIES[0], LIES[5]] {
        let mut ground = Ground::founded();
        let liar = Liar::between(&ground);
        ground.start().unwrap();
        liar.about(lie);
        let daemon = i32::try_from(ground.daemon().unwrap()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(daemon, Signal::HUP).unwrap();
        ends_refusing(&ground, &format!("the token is not admitted: {probe}"));
        println!("lie on demand: {lie}: {probe}");
    }
}
