//! Components against the published vectors and the real token: what a custodian reads, what the token computes, and
//! what comes through a seal must be one and the same.

use super::*;
use keysvc_protocol::{
    bytes::{Digest, ProposalId},
    hpke::OpenError,
    name::Name,
    sealing::SEALED_LEN,
};
use keysvc_token::{ImportPair, ObjectId, Origin, Token, TokenError, scratch::with_scratch_token};
use std::path::Path;

/// All keys and texts of a file of vectors, one after another: no text in these files has a quote of its own.
fn texts(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The vectors of a file, each as the pairs of key and text in it. Each one begins anew with `first`.
fn vectors(file: &str, first: &str) -> Vec<Vec<(String, String)>> {
    let all = texts(file);
    let mut vectors: Vec<Vec<(String, String)>> = Vec::new();
    for pair in all.windows(2) {
        if pair[0] == first {
            vectors.push(Vec::new());
        }
        if let Some(vector) = vectors.last_mut() {
            vector.push((pair[0].clone(), pair[1].clone()));
        }
    }
    vectors
}

fn all<'v>(vector: &'v [(String, String)], key: &str) -> Vec<&'v str> {
    vector.iter().filter(|(name, _)| name == key).map(|(_, text)| text.as_str()).collect()
}

fn check(text: &str) -> ShortCheck {
    text.parse().unwrap()
}

/// Where a component belongs, with all that a place borrows.
struct Import {
    genesis: Digest,
    proposal: ProposalId,
    custodians: [Name; 3],
}

impl Import {
    fn new() -> Self {
        let custodians = ["officer-1", "officer-2", "operator-1"].map(|name| name.parse().unwrap());
        Self { genesis: Digest::new([1; 32]), proposal: ProposalId::new([2; 16]), custodians }
    }

    fn place(&self, number: u8) -> Place<'_> {
        let custodian = &self.custodians[usize::from(number) - 1];
        Place { genesis: &self.genesis, proposal: &self.proposal, number, custodian }
    }
}

fn open(
    pair: &ImportPair,
    place: &Place,
    sealed: &[u8],
) -> Result<Zeroizing<[u8; 16]>, OpenError<TokenError>> {
    place.open(sealed, &PublicKey::from_spki(pair.spki()).unwrap(), |sender| pair.dh(sender))
}

/// Makes the key of these components in the token, as an import does, and gives its check value.
fn import(token: &Token, id: ObjectId, components: &[&[u8; 16]]) -> ShortCheck {
    let key = sealing::combine(components).unwrap();
    let made = token.import(id, "imported", &key).unwrap();
    assert_eq!(made.check.method(), "cmac");
    let recorded = made.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    assert_eq!(Origin::recorded(recorded), Origin::Imported);
    assert_eq!(token.drift(keysvc_token::KeyKind::CardMaster, id, Origin::Imported).unwrap(), []);
    ShortCheck::try_from(made.check.bytes()).unwrap()
}

#[test]
fn every_published_case_of_components_comes_out_or_is_refused() {
    with_scratch_token(
        "component::tests::every_published_case_of_components_comes_out_or_is_refused",
        |scratch| {
            let token = scratch.open();
            let (mut made, mut too_long, mut negative) = (0, 0, 0);
            for (number, vector) in (1..).zip(vectors("key_components.json", "n")) {
                let read: Result<Vec<_>, _> =
                    all(&vector, "value").into_iter().map(Component::from_hex).collect();
                let Ok(components) = read else {
                    let digits = all(&vector, "value")[0].len();
                    assert!(matches!(digits, 48 | 64), "{vector:?}");
                    assert_eq!(read.unwrap_err(), ComponentError::Length { found: digits });
                    too_long += 1;
                    continue;
                };
                if all(&vector, "mark") == ["negative"] {
                    let refused = Component::combined_check(&components).unwrap_err();
                    assert_eq!(refused, ComponentError::NoKey(NoKey::Equal));
                    negative += 1;
                    continue;
                }
                let published = all(&vector, "kcv_cmac_5").into_iter().map(check);
                assert_eq!(published.len(), components.len());
                for (component, published) in components.iter().zip(published) {
                    assert_eq!(component.check_value(), published);
                    let in_token = token.check_value_of(component.expose()).unwrap();
                    assert_eq!(ShortCheck::new(in_token), published);
                }
                let combined = check(all(&vector, "combined_kcv_cmac_5")[0]);
                assert_eq!(Component::combined_check(&components).unwrap(), combined);
                let values: Vec<_> = components.iter().map(Component::expose).collect();
                let whole = Component::from_hex(all(&vector, "combined")[0]).unwrap();
                assert_eq!(*sealing::combine(&values).unwrap(), *whole.expose());
                assert_eq!(import(&token, ObjectId([number; 16]), &values), combined);
                made += 1;
            }
            assert_eq!((made, too_long, negative), (1, 2, 1));
        },
    );
}

#[test]
fn the_check_value_is_the_published_cmac_and_none_of_the_other_kinds() {
    let (mut equal, mut others, mut too_long) = (0, 0, 0);
    for vector in vectors("kcv.json", "alg") {
        let component = match Component::from_hex(all(&vector, "key")[0]) {
            Ok(component) => component,
            Err(error) => {
                assert_eq!(
                    (all(&vector, "alg")[0], error),
                    ("AES-192", ComponentError::Length { found: 48 })
                );
                too_long += 1;
                continue;
            }
        };
        let shown = component.check_value();
        for published in all(&vector, "kcv_cmac_zero_block_5") {
            assert_eq!(shown, check(published));
            equal += 1;
        }
        for kind in ["kcv_ecb_zero_3", "kcv_globalplatform_ecb01_3", "kcv_3des_zero_3"] {
            for other in all(&vector, kind) {
                assert_ne!(shown.to_string()[..6], *other, "{kind}");
                others += 1;
            }
        }
    }
    assert_eq!((equal, others, too_long), (3, 8, 1));
}

#[test]
fn components_sealed_by_custodians_make_their_key_in_the_token() {
    with_scratch_token(
        "component::tests::components_sealed_by_custodians_make_their_key_in_the_token",
        |scratch| {
            let (token, site) = (scratch.open(), Import::new());
            for (id, count) in [(1, 2), (2, 3)] {
                let pair = ImportPair::generate(&token).unwrap();
                let set = Component::generate_set(count).unwrap();
                let opened: Vec<_> = (1..)
                    .zip(&set.components)
                    .map(|(number, component)| {
                        let sealed = component.seal(pair.spki(), &site.place(number)).unwrap();
                        assert_eq!(sealed.len(), SEALED_LEN);
                        let opened = open(&pair, &site.place(number), &sealed).unwrap();
                        assert_eq!(
                            ShortCheck::new(token.check_value_of(&opened).unwrap()),
                            component.check_value()
                        );
                        opened
                    })
                    .collect();
                let values: Vec<_> = opened.iter().map(|value| &**value).collect();
                assert_eq!(import(&token, ObjectId([id; 16]), &values), set.check);
            }
        },
    );
}

#[test]
fn a_sealed_component_opens_in_its_place_alone_and_damage_leaves_the_token_well() {
    with_scratch_token(
        "component::tests::a_sealed_component_opens_in_its_place_alone_and_damage_leaves_the_token_well",
        |scratch| {
            let (token, site) = (scratch.open(), Import::new());
            let pair = ImportPair::generate(&token).unwrap();
            let component = Component::generate().unwrap();
            let place = site.place(1);
            let sealed = component.seal(pair.spki(), &place).unwrap();
            let refused = |error: HpkeError| Err(OpenError::Message(error));
            let other_number = Place { number: 2, ..place };
            let other_custodian = Place { custodian: &site.custodians[1], ..place };
            for elsewhere in [other_number, other_custodian, site.place(2)] {
                assert_eq!(open(&pair, &elsewhere, &sealed), refused(HpkeError::Sealed));
            }
            // Another pair, as after a restart.
            let later = ImportPair::generate(&token).unwrap();
            assert_eq!(open(&later, &place, &sealed), refused(HpkeError::Sealed));
            for at in 0..sealed.len() {
                let mut damaged = sealed.clone();
                damaged[at] ^= 0x10;
                match open(&pair, &place, &damaged).unwrap_err() {
                    OpenError::Message(HpkeError::Form) => assert_eq!(at, 0),
                    OpenError::Agreement(error) => {
                        assert!((1..65).contains(&at) && !error.is_fatal(), "{at} {error:?}");
                    }
                    OpenError::Message(error) => assert_eq!((at >= 65, error), (true, HpkeError::Sealed)),
                }
            }
            assert_eq!(open(&pair, &place, &sealed[..96]), refused(HpkeError::Form));
            assert_eq!(*open(&pair, &place, &sealed).unwrap(), *component.expose());
        },
    );
}

#[test]
fn a_component_is_read_in_groups_and_in_one() {
    let whole = "1b278c3a75d3c290abeb476bc16a9197";
    for written in [
        whole,
        "1B27 8C3A 75D3 C290 ABEB 476B C16A 9197",
        "1b278c3a-75d3c290-abeb476b-c16a9197",
        " 1b27 - 8c3a75d3c290abeb476bc16a9197 ",
    ] {
        let component = Component::from_hex(written).unwrap();
        assert_eq!(component.check_value(), check("dac966803a"), "{written}");
        assert_eq!(*component.written(), "1b27 8c3a 75d3 c290 abeb 476b c16a 9197");
    }
}

#[test]
fn what_is_no_component_is_refused_without_a_word_of_what_was_entered() {
    let length = |found| ComponentError::Length { found };
    for (entered, expected) in [
        ("", length(0)),
        ("1b27", length(4)),
        ("1b278c3a75d3c290abeb476bc16a919", length(31)),
        ("1b278c3a75d3c290abeb476bc16a91971", length(33)),
        ("1b278c3a75d3c290abeb476bc16a919g", ComponentError::Digits),
        ("1b278c3a75d3c290abeb476bc16a9197\n", ComponentError::Digits),
        ("0x278c3a75d3c290abeb476bc16a9197", ComponentError::Digits),
        ("\u{ff11}b278c3a75d3c290abeb476bc16a9197", ComponentError::Digits),
        ("0000 0000 0000 0000 0000 0000 0000 0000", ComponentError::NoKey(NoKey::Zero)),
    ] {
        let error = Component::from_hex(entered).unwrap_err();
        assert_eq!(error, expected, "{entered:?}");
        assert!(!error.to_string().contains("1b27"), "{error}");
    }
    let shown = ClientError::from(length(64));
    assert_eq!(shown.to_string(), "the request is not possible: a component has 32 digits, this has 64");
    assert_eq!(shown.exit_code(), 2);
}

#[test]
fn a_generated_set_is_two_or_three_different_components() {
    for count in [0, 1, 4] {
        let refused = Component::generate_set(count).unwrap_err();
        assert_eq!(refused, ComponentError::NoKey(NoKey::Count { found: count }));
    }
    for count in [2, 3] {
        let set = Component::generate_set(count).unwrap();
        assert_eq!(set.components.len(), count);
        // Written down and read again, they make the same key.
        let again: Vec<_> = set
            .components
            .iter()
            .map(|component| Component::from_hex(&component.written()).unwrap())
            .collect();
        assert_eq!(Component::combined_check(&again).unwrap(), set.check);
        assert_ne!(set.components[0].check_value(), set.components[1].check_value());
        assert_ne!(Component::generate_set(count).unwrap().check, set.check);
    }
}

#[test]
fn nothing_is_sealed_to_what_is_no_key() {
    let site = Import::new();
    let component = Component::generate().unwrap();
    for spki in [[].as_slice(), &[0x30; 91]] {
        assert_eq!(component.seal(spki, &site.place(1)), Err(ComponentError::OneTimeKey(NotAKey)));
    }
}

#[test]
fn a_component_does_not_print() {
    let set = Component::generate_set(2).unwrap();
    let shown = format!("{set:?}");
    assert!(
        shown.starts_with("ComponentSet { components: [Component(..), Component(..)], check: "),
        "{shown}"
    );
}
