//! An officer looks at the service: state, keys and their check values, by the library and by the program.

use keysvc_client::Officer;
use keysvc_protocol::{
    key::KeyState,
    refusal::{Refusal, Thing},
    reply::ServiceState,
};
use keysvc_tests::{
    ground::{Ground, OFFICERS, text},
    raw,
};
use serde_json::Value;

fn fobctl(ground: &Ground, officer: &str, words: &[&str]) -> Value {
    let output = ground.fobctl(officer, words).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_officer_sees_the_state_and_every_key_with_its_check_value() {
    let ground = Ground::new();
    ground.block_on(async {
        let officer = Officer::connect(&ground.config("officer-1")).await.unwrap();
        let status = officer.reader().status().await.unwrap();
        assert_eq!((status.state, status.development), (ServiceState::Serving, true));
        assert_eq!(status.genesis, raw::genesis(ground.site()));
        let keys = officer.reader().keys().await.unwrap();
        let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
        for name in ["checkpoint", "demo-generated", "demo-known", "statement", "value-1"] {
            assert!(names.iter().any(|known| known.starts_with(name)), "{name} of {names:?}");
        }
        assert!(keys.iter().all(|key| key.state == KeyState::Active));
        for key in &keys {
            assert_eq!(key.test_key, key.name.as_str() == "demo-known");
            assert_eq!(officer.reader().key(&key.name, Some(key.version)).await.unwrap(), *key);
        }
        let missing = officer.reader().key(&"demo-other".parse().unwrap(), None).await.unwrap_err();
        assert_eq!(missing.refusal(), Some(&Refusal::NotFound { what: Thing::Key }));
    });
}

#[test]
fn every_officer_sees_by_the_program_what_the_library_sees() {
    let ground = Ground::new();
    for officer in OFFICERS {
        let status = fobctl(&ground, officer, &["status"]);
        assert_eq!(status["state"], "serving");
        assert_eq!(status["development"], true);
        assert_eq!(status["genesis"], raw::genesis(ground.site()).to_string());
        let list = fobctl(&ground, officer, &["key", "list"]);
        let keys = list["keys"].as_array().unwrap();
        let known = keys.iter().find(|key| key["name"] == "demo-known").unwrap();
        assert_eq!(known["test_key"], true);
        // CMAC over a zero block under 00112233445566778899aabbccddeeff begins so (tests/vectors/kcv.json).
        assert_eq!(known["check"]["method"], "cmac");
        assert_eq!(known["check"]["value"], check_of_the_known_key());
    }
    let people = ground.fobctl("officer-2", &["key", "get", "demo-known"]).output().unwrap();
    assert!(people.status.success(), "{}", text(&people));
    assert!(text(&people).contains("TEST KEY"), "{}", text(&people));
    let missing = ground.fobctl("officer-2", &["key", "get", "demo-other"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(3), "{}", text(&missing));
    assert!(missing.stdout.is_empty());
}

fn check_of_the_known_key() -> String {
    use cmac::{Cmac, Mac as _};
    let key = keysvc_protocol::bytes::from_hex("00112233445566778899aabbccddeeff").unwrap();
    let mut mac = Cmac::<aes::Aes128>::new_from_slice(&key).unwrap();
    mac.update(&[0; 16]);
    mac.finalize().into_bytes()[..5].iter().map(|byte| format!("{byte:02x}")).collect()
}
