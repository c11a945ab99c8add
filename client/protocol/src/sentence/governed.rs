//! Sentences of imports, profiles, policies and ceremonies.
//!
//! A policy set and a profile are too long for one sentence; it names them by their digest, which the programs show beside
//! their text.

use super::{
    closing, decode,
    text::{Amount, counted, grouped, list, quoted},
};
use crate::{
    cbor,
    founding::{GoldenVector, Profile, Slot, ValueRules},
    hash::sha256,
    refusal::{Invalid, Refusal},
    request::{
        ComponentOrder, GiveComponent, ImportKey, Operation, PolicyDifference, PolicyFile, PolicyProof,
        PolicyReplay, ProposePolicy, PutProfile, RecordCeremony,
    },
};
use alloc::{format, string::String, vec::Vec};

pub(super) fn sentence(operation: Operation, payload: &[u8]) -> Result<String, Refusal> {
    match operation {
        Operation::KeyImport => Ok(import(&decode(payload)?)),
        Operation::ComponentGive => Ok(give(&decode(payload)?)),
        Operation::ProfilePut => Ok(put(&decode(payload)?)),
        Operation::PolicyPropose => Ok(propose(&decode(payload)?)),
        Operation::CeremonyRecord => Ok(record(&decode(payload)?)),
        _ => Err(Refusal::Invalid { reason: Invalid::NotSigned }),
    }
}

fn import(request: &ImportKey) -> String {
    let ImportKey { schema: _, idem, name, kind, check, components, reason } = request;
    let held = components.iter().map(|component| {
        let ComponentOrder { custodian, check } = component;
        format!("{custodian} (check value {check})")
    });
    let held: Vec<_> = held.collect();
    format!(
        "Import the next version of key {name} ({kind}) with check value {check} from {}: {}. {}",
        counted(components.len(), "component"),
        list(&held),
        closing(idem, Some(reason))
    )
}

fn give(request: &GiveComponent) -> String {
    let GiveComponent { schema: _, idem, proposal, number, check, import_key, sealed } = request;
    format!(
        "Give component {number} with check value {check} for the import of proposal {}, sealed to the one-time key \
         {} as {}. {}",
        grouped(proposal.as_bytes()),
        grouped(import_key.as_bytes()),
        grouped(sealed.as_bytes()),
        closing(idem, None)
    )
}

fn put(request: &PutProfile) -> String {
    let PutProfile { schema: _, idem, profile, reason } = request;
    let Profile { name, version, family, functions, slots, vectors, value, .. } = profile;
    // Digest of all of it, for what the sentence leaves out.
    let digest = sha256(&[&cbor::encode(profile)]);
    let keys = slots.iter().map(|slot| {
        let Slot { slot, key, key_version, .. } = slot;
        format!("slot {slot} by key {key} version {key_version}")
    });
    let keys: Vec<_> = keys.collect();
    let known = vectors.iter().map(|vector| {
        let GoldenVector { slot, card, check_value } = vector;
        format!("slot {slot} of card {card} is {check_value}")
    });
    let known: Vec<_> = known.collect();
    let known = if known.is_empty() { String::from("none") } else { list(&known) };
    let value = value.as_ref().map_or_else(|| String::from("It holds no value"), rules);
    format!(
        "Put version {version} of card profile {name} into use, for {family} cards: {}; for {}. {value}. Golden \
         vectors: {known}. Digest of the profile {}. {}",
        list(&keys),
        list(functions),
        grouped(digest.as_bytes()),
        closing(idem, Some(reason))
    )
}

fn rules(rules: &ValueRules) -> String {
    let ValueRules { currency, reloadable, one_time, ceiling, load_max, debit_max, .. } = rules;
    let amount = |minor: u64| Amount { minor, currency: *currency };
    let again = match (reloadable, one_time) {
        (true, _) => "Reloadable",
        (false, true) => "Loaded once and taken back when it is empty",
        (false, false) => "Loaded once",
    };
    format!(
        "{again}; it holds at most {}, loads are at most {} and debits {}",
        amount(*ceiling),
        amount(*load_max),
        amount(*debit_max)
    )
}

fn propose(request: &ProposePolicy) -> String {
    let ProposePolicy { schema: _, idem, policy, files, difference, proof, reason, replay } = request;
    let named = files.iter().map(|file| {
        let PolicyFile { name, text } = file;
        format!("{name} of {}", counted(text.as_bytes().len(), "byte"))
    });
    let named: Vec<_> = named.collect();
    format!(
        "Put the policies {} into force: {}. {} {} {} {}",
        grouped(policy.as_bytes()),
        list(&named),
        differs(difference),
        proved(proof),
        replay.as_ref().map_or_else(|| String::from("The past was not replayed."), replayed),
        closing(idem, Some(reason))
    )
}

fn differs(difference: &PolicyDifference) -> String {
    let PolicyDifference { cases, changed, report, lines } = difference;
    let lines: Vec<_> = lines.iter().map(quoted).collect();
    let lines = if lines.is_empty() { String::new() } else { format!(": {}", list(&lines)) };
    format!("Of {cases} decision cases {changed} change{lines} (report {}).", grouped(report.as_bytes()))
}

fn proved(proof: &PolicyProof) -> String {
    let PolicyProof { solver, theorems, environments, load_max, report } = proof;
    format!(
        "Proved by {}: {theorems} statements over {environments} kinds of request, a load being large above \
         {load_max} minor units (report {}).",
        quoted(solver),
        grouped(report.as_bytes())
    )
}

fn replayed(replay: &PolicyReplay) -> String {
    let PolicyReplay { requests, differing, from_leaf, to_leaf, report, lines } = replay;
    let lines: Vec<_> = lines.iter().map(quoted).collect();
    let lines = if lines.is_empty() { String::new() } else { format!(": {}", list(&lines)) };
    format!(
        "Of {requests} recorded requests, leaves {from_leaf} to {to_leaf}, {differing} would be decided \
         otherwise{lines} (report {}).",
        grouped(report.as_bytes())
    )
}

fn record(request: &RecordCeremony) -> String {
    let RecordCeremony { schema: _, idem, title, plan, transcript, people } = request;
    format!(
        "Record that the ceremony of plan {} was held by {}, with transcript {}. {} Title: {}.",
        grouped(plan.as_bytes()),
        list(people),
        grouped(transcript.as_bytes()),
        closing(idem, None),
        quoted(title)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bytes::{Blob, Digest, Idem, ProposalId, ShortCheck},
        founding::{CardFamily, CardSession, Function, InputPart, Scheme},
        key::KeyKind,
        list::List,
        name::{Name, Reason},
        schema::Schema,
    };
    use serde::Serialize;
    use std::vec;

    const IDEM: Idem = Idem::new([1; 16]);
    const ONES: &str = "0101 0101 0101 0101 0101 0101 0101 0101";
    const TWOS: &str = "0202 0202 0202 0202 0202 0202 0202 0202 0202 0202 0202 0202 0202 0202 0202 0202";

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn why() -> Reason {
        "as planned".parse().unwrap()
    }

    fn said<T: Serialize>(operation: Operation, request: &T) -> String {
        sentence(operation, &cbor::encode(request)).unwrap()
    }

    fn check(byte: u8) -> ShortCheck {
        ShortCheck::new([byte; 5])
    }

    #[test]
    fn an_import_says_key_check_values_and_custodians() {
        let order = |custodian, byte| ComponentOrder { custodian: name(custodian), check: check(byte) };
        let request = ImportKey {
            schema: Schema,
            idem: IDEM,
            name: name("cm-1"),
            kind: KeyKind::CardMaster,
            check: check(9),
            components: List::try_from(vec![order("ann", 1), order("bob", 2)]).unwrap(),
            reason: why(),
        };
        assert_eq!(
            said(Operation::KeyImport, &request),
            format!(
                "Import the next version of key cm-1 (card-master) with check value 0909090909 from 2 components: ann \
                 (check value 0101010101), bob (check value 0202020202). Request number {ONES}. Reason given: \
                 \"as planned\"."
            )
        );
    }

    #[test]
    fn a_component_says_its_number_and_check_value_and_what_it_is_sealed_to() {
        let request = GiveComponent {
            schema: Schema,
            idem: IDEM,
            proposal: ProposalId::new([1; 16]),
            number: 2,
            check: check(9),
            import_key: Digest::new([2; 32]),
            sealed: Digest::new([2; 32]),
        };
        assert_eq!(
            said(Operation::ComponentGive, &request),
            format!(
                "Give component 2 with check value 0909090909 for the import of proposal {ONES}, sealed to the \
                 one-time key {TWOS} as {TWOS}. Request number {ONES}."
            )
        );
    }

    fn profile() -> Profile {
        Profile {
            name: name("stored"),
            version: 2,
            family: CardFamily::DesfireEv3,
            scheme: Scheme::An10922Aes128,
            input: vec![InputPart::Uid, InputPart::SystemIdentifier],
            system_identifier: "00112233445566778899".into(),
            slots: vec![Slot {
                slot: 0,
                key: name("cm-1"),
                key_version: 3,
                key_number: 1,
                application: "3042f5".into(),
            }],
            functions: vec![Function::StoredValue, Function::Points],
            vectors: vec![GoldenVector {
                slot: 0,
                card: "04782e21801d80".into(),
                check_value: "5b298c80bf".into(),
            }],
            pipeline: 8,
            unit_cost: 0,
            value: Some(ValueRules {
                purses: vec![1],
                currency: 978,
                reloadable: false,
                one_time: true,
                ceiling: 15_000,
                load_max: 10_000,
                debit_max: 5_000,
                card_session: CardSession::Expected,
            }),
        }
    }

    #[test]
    fn a_profile_says_family_keys_functions_limits_and_its_digest() {
        let put = |profile: &Profile| {
            let request = PutProfile { schema: Schema, idem: IDEM, profile: profile.clone(), reason: why() };
            said(Operation::ProfilePut, &request)
        };
        let text = put(&profile());
        assert!(
            text.starts_with(
                "Put version 2 of card profile stored into use, for desfire-ev3 cards: slot 0 by key cm-1 version 3; \
                 for stored-value, points. Loaded once and taken back when it is empty; it holds at most 150.00 \
                 (currency 978, 15000 minor units), loads are at most 100.00 (currency 978, 10000 minor units) and \
                 debits 50.00 (currency 978, 5000 minor units). Golden vectors: slot 0 of card 04782e21801d80 is \
                 5b298c80bf. Digest of the profile "
            ),
            "{text}"
        );
        // What the sentence leaves out is in the digest.
        let mut other = profile();
        other.slots[0].key_number = 2;
        assert_ne!(put(&other), text);
    }

    #[test]
    fn policies_say_what_was_found_out_about_them() {
        let request = |replay| ProposePolicy {
            schema: Schema,
            idem: IDEM,
            policy: Digest::new([2; 32]),
            files: List::try_from(vec![PolicyFile {
                name: name("site.cedar"),
                text: Blob::try_from(vec![b'/'; 2]).unwrap(),
            }])
            .unwrap(),
            difference: PolicyDifference {
                cases: 470,
                changed: 1,
                report: Digest::new([2; 32]),
                lines: List::try_from(vec!["denied now: freeze.lift".parse().unwrap()]).unwrap(),
            },
            proof: PolicyProof {
                solver: "cvc5 1.0.3".parse().unwrap(),
                theorems: 16,
                environments: 44,
                load_max: 100_000,
                report: Digest::new([2; 32]),
            },
            reason: why(),
            replay,
        };
        let replay = PolicyReplay {
            requests: 9,
            differing: 0,
            from_leaf: 1,
            to_leaf: 20,
            report: Digest::new([2; 32]),
            lines: List::default(),
        };
        let found = format!(
            "Put the policies {TWOS} into force: site.cedar of 2 bytes. Of 470 decision cases 1 change: \"denied now: \
             freeze.lift\" (report {TWOS}). Proved by \"cvc5 1.0.3\": 16 statements over 44 kinds of request, a load \
             being large above 100000 minor units (report {TWOS})."
        );
        let number = format!("Request number {ONES}. Reason given: \"as planned\".");
        assert_eq!(
            said(Operation::PolicyPropose, &request(None)),
            format!("{found} The past was not replayed. {number}")
        );
        assert_eq!(
            said(Operation::PolicyPropose, &request(Some(replay))),
            format!(
                "{found} Of 9 recorded requests, leaves 1 to 20, 0 would be decided otherwise (report {TWOS}). {number}"
            )
        );
    }

    #[test]
    fn a_ceremony_says_plan_people_and_transcript() {
        let request = RecordCeremony {
            schema: Schema,
            idem: IDEM,
            title: "A new card master".parse().unwrap(),
            plan: Digest::new([2; 32]),
            transcript: Digest::new([2; 32]),
            people: List::try_from(vec![name("ann"), name("bob")]).unwrap(),
        };
        assert_eq!(
            said(Operation::CeremonyRecord, &request),
            format!(
                "Record that the ceremony of plan {TWOS} was held by ann, bob, with transcript {TWOS}. Request number \
                 {ONES}. Title: \"A new card master\"."
            )
        );
    }
}
