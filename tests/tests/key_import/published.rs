//! The published key that comes in, and the people who bring it.
//!
//! Shared by the journeys and by what is broken off. What custodians do is [`keysvc_tests::custody`]'s.

use keysvc_protocol::{
    bytes::{ProposalId, ShortCheck, from_hex},
    leaf::KeyOutcomeLeaf,
    request::{ImportKey, Operation},
};
use keysvc_tests::{
    agreed::done,
    cards,
    custody::{self, check, import},
    ground::{Ground, OFFICERS},
    raw::{self, Caller},
};
use serde_json::Value;

const VECTORS: &str = include_str!("../../vectors/key_components.json");

/// The name of the key that comes in.
pub(crate) const KEY: &str = "brought";

/// The published components of an AES-128 key, and the key.
pub(crate) struct Published {
    pub(crate) components: [[u8; 16]; 2],
    pub(crate) key: [u8; 16],
    pub(crate) check: ShortCheck,
}

pub(crate) fn published() -> Published {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let one = vectors["vectors"].as_array().unwrap().iter().find(|one| one["n"] == 2).unwrap();
    let bytes =
        |value: &Value| -> [u8; 16] { from_hex(value.as_str().unwrap()).unwrap().try_into().unwrap() };
    let stated = |value: &Value| value.as_str().unwrap().parse().unwrap();
    let components = [0, 1].map(|at| &one["components"][at]);
    for component in components {
        assert_eq!(check(&bytes(&component["value"])), stated(&component["kcv_cmac_5"]));
    }
    Published {
        components: components.map(|component| bytes(&component["value"])),
        key: bytes(&one["combined"]),
        check: stated(&one["combined_kcv_cmac_5"]),
    }
}

pub(crate) fn holder(ground: &Ground, persona: &str) -> Caller {
    cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), persona)
}

pub(crate) fn officers(ground: &Ground) -> [Caller; 3] {
    OFFICERS.map(|persona| holder(ground, persona))
}

/// Has all three officers agree to an import.
pub(crate) fn ordered(officers: &mut [Caller; 3], request: &ImportKey) -> ProposalId {
    let [ann, ben, cat] = officers;
    done(&mut [ann, ben, cat], Operation::KeyImport, request).id()
}

/// How many leaves say that a component was given.
pub(crate) fn given(ground: &Ground) -> usize {
    custody::given(&raw::leaves(ground))
}

/// The import of the published key: its two components with the first two officers.
pub(crate) fn of_published(officers: &mut [Caller; 3]) -> ProposalId {
    let [one, two] = published().components;
    ordered(officers, &import(KEY, &[(OFFICERS[0], one), (OFFICERS[1], two)]))
}

pub(crate) fn outcomes(ground: &Ground) -> Vec<KeyOutcomeLeaf> {
    raw::keys_made(&raw::leaves(ground))
}
