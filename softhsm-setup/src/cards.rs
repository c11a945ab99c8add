//! The cards of a development site: their profiles, and the keys they are made from.
//!
//! Apart from the roster because it is about cards and names nobody. The known values are printed in NXP's application
//! note AN10922: TEST KEYS. It makes no key.

use crate::{SetupError, roster::name};
use keysvc_protocol::founding::{
    CardFamily, CardSession, FoundedKey, FoundedKind, Function, GoldenVector, InputPart, Profile, Scheme,
    Slot, ValueRules,
};

/// NXP's example system identifier (AN10922 section 2.2): "NXP Abu" in ASCII.
const KNOWN_SYSTEM: &str = "4e585020416275";
/// NXP's example application identifier (AN10922 section 2.2).
const KNOWN_APPLICATION: &str = "3042f5";
/// NXP's example card (AN10922 section 2.2).
const KNOWN_CARD: &str = "04782e21801d80";
/// The check value of its key, a8dd63a3b89d54b37ca802473fda9175: AES-CMAC over a zero block, 5 bytes.
const KNOWN_CHECK_VALUE: &str = "5b298c80bf";
/// NXP's example master key (AN10922 section 2.2).
const KNOWN_VALUE: &str = "00112233445566778899aabbccddeeff";
/// "keysvc" in ASCII.
const GENERATED_SYSTEM: &str = "6b6579737663";
const GENERATED_APPLICATION: &str = "f54130";

/// Cards that wait for their result at a hand-fed encoder: one in hand, and its stacker's.
const PIPELINE: u16 = 8;
/// Cards that wait for their result in an inline machine: the most a profile may say.
const INLINE_PIPELINE: u16 = 1000;

/// The profiles: cards of the known key, cards of two generated ones that hold value, and one for inline machines.
pub(crate) fn profiles() -> Result<Vec<Profile>, SetupError> {
    let known = Profile {
        name: name("known")?,
        version: 1,
        family: CardFamily::DesfireEv2,
        scheme: Scheme::An10922Aes128,
        input: vec![InputPart::Uid, InputPart::Application, InputPart::SystemIdentifier],
        system_identifier: KNOWN_SYSTEM.to_owned(),
        slots: vec![slot(0, "demo-known", KNOWN_APPLICATION)?],
        functions: vec![Function::Membership],
        // The published card of AN10922: the token must derive its key, or the service does not start.
        vectors: vec![GoldenVector {
            slot: 0,
            card: KNOWN_CARD.to_owned(),
            check_value: KNOWN_CHECK_VALUE.to_owned(),
        }],
        value: None,
        pipeline: PIPELINE,
        unit_cost: 0,
    };
    // The known cards again, for a machine that feeds itself: many at a time, and from a key nobody has printed.
    let inline = Profile {
        name: name("inline")?,
        slots: vec![slot(0, "demo-generated", KNOWN_APPLICATION)?],
        vectors: vec![],
        pipeline: INLINE_PIPELINE,
        ..known.clone()
    };
    let generated = Profile {
        name: name("generated")?,
        version: 1,
        family: CardFamily::DesfireEv2,
        scheme: Scheme::An10922Aes128,
        input: vec![
            InputPart::Uid,
            InputPart::Application,
            InputPart::KeyNumber,
            InputPart::KeyVersion,
            InputPart::SystemIdentifier,
        ],
        system_identifier: GENERATED_SYSTEM.to_owned(),
        slots: vec![
            slot(0, "demo-generated", GENERATED_APPLICATION)?,
            slot(1, "demo-generated", GENERATED_APPLICATION)?,
        ],
        functions: vec![Function::StoredValue],
        vectors: vec![],
        // Cents: at most 10,000 euro on a card; loads of 6,000 at most, so that one of 5,000 can wait for two people,
        // and payments of 200.
        value: Some(ValueRules {
            purses: vec![1],
            currency: 978,
            reloadable: true,
            one_time: false,
            ceiling: 1_000_000,
            load_max: 600_000,
            debit_max: 20_000,
            card_session: CardSession::PassiveTag,
        }),
        pipeline: PIPELINE,
        unit_cost: 0,
    };
    Ok(vec![known, generated, inline])
}

fn slot(number: u8, key: &str, application: &str) -> Result<Slot, SetupError> {
    Ok(Slot {
        slot: number,
        key: name(key)?,
        key_version: 1,
        key_number: number,
        application: application.to_owned(),
    })
}

/// The keys they are made from, and the one that signs value.
pub(crate) fn keys() -> Result<Vec<FoundedKey>, SetupError> {
    Ok(vec![
        key("demo-known", FoundedKind::CardMaster, Some(KNOWN_VALUE))?,
        key("demo-generated", FoundedKind::CardMaster, None)?,
        key("value-1", FoundedKind::ValueSigning, None)?,
    ])
}

fn key(text: &str, kind: FoundedKind, value: Option<&str>) -> Result<FoundedKey, SetupError> {
    Ok(FoundedKey { name: name(text)?, kind, value: value.map(str::to_owned) })
}
