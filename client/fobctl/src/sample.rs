//! A founding file and a key for the tests of this program.

use keysvc_client::protocol::{
    bytes::{ObjectIdentifier, ShortCheck},
    founding::Founding,
    key::{AttributeText, CheckValue, KeyKind, KeyRecord, KeyState},
    schema::Schema,
};

/// A founding file of two officers that agrees with itself.
pub(crate) const FOUNDING: &str = r#"
trust-domain = "demo.test"
ca = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
policy = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
development = true

[[officers]]
name = "alice"
department = "security"
tls-key = "0101010101010101010101010101010101010101010101010101010101010101"
approval-key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELbzXomrrW9wOEU89SBmU68iZOgjnEebpjf6HA8HEVL0SDLImN5b0IRbubfF3c+balegso76Wy+/MyJmdfXZdjw=="

[[officers]]
name = "bob"
department = "finance"
tls-key = "0202020202020202020202020202020202020202020202020202020202020202"
approval-key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE5TbTvsESASX+sqo/YqLtJG1uthi1n+Y/FIBAOdAQTznHcLMBAnMOdHWDly7R45BcGLt2hu2T7ddMH9eJDA/LWw=="

[[principals]]
id = "station-1"
kind = "station"
organisation = "maker"
tls-key = "0303030303030303030303030303030303030303030303030303030303030303"
statement-key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETp2TnBoyHlvFnuD+BHI4pKJZrQ6kNdxqfQBaxl7zq2oj+IYOwcc3G9+by5vClw4j/I8zPgnWXzga3z9nPZS29g=="
wrapping-key = "AAAA"

[[principals]]
id = "terminal-1"
kind = "terminal"
organisation = "coffee-shops"
capabilities = ["value-load"]
tls-key = "0404040404040404040404040404040404040404040404040404040404040404"
statement-key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEnaTD9KJhe/8hB1PLIVnA+q6jMU+Eetyx8FBIcc5h+BzEPQm8u4SU2A816g/sA0jFn6boNA3DXlJQaCBrPgC3cg=="

[[principals]]
id = "auditor-1"
kind = "auditor"
organisation = "auditors"
tls-key = "0505050505050505050505050505050505050505050505050505050505050505"

[[programmes]]
name = "coffee"
organisation = "coffee-shops"
currency = 978
profile = "fob"
value-key = "coffee-value"

[[profiles]]
name = "fob"
version = 1
family = "desfire-ev2"
functions = ["stored-value"]
scheme = "an10922-aes128"
input = ["uid", "application", "system-identifier"]
system-identifier = "4e585020416275"
slots = [{ slot = 0, key = "demo-known", key-version = 1, key-number = 2, application = "3042f5" }]
value = { purses = [1], currency = 978, reloadable = true, ceiling = 15000, load-max = 10000, debit-max = 5000, card-session = "passive-tag" }

[[keys]]
name = "demo-known"
kind = "card-master"
value = "00112233445566778899aabbccddeeff"

[[keys]]
name = "coffee-value"
kind = "value-signing"
"#;

/// The file, read and checked.
pub(crate) fn founding() -> Founding {
    let founding: Founding = toml::from_str(FOUNDING).unwrap();
    founding.check().unwrap();
    founding
}

/// A known card master key.
pub(crate) fn key() -> KeyRecord {
    KeyRecord {
        schema: Schema,
        name: "demo-known".parse().unwrap(),
        version: 1,
        kind: KeyKind::CardMaster,
        state: KeyState::Active,
        id: ObjectIdentifier::new([9; 16]),
        check: CheckValue::Cmac { value: ShortCheck::new([1, 2, 3, 4, 5]) },
        test_key: true,
        made_at_ms: 1_795_000_000_000,
        attributes: vec![AttributeText { name: "CKA_DERIVE".into(), value: "true".into() }]
            .try_into()
            .unwrap(),
        public: None,
    }
}
