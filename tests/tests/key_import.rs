//! A key that comes in as components: the way of it, and every way in which it must not go.

#[path = "key_import/published.rs"]
mod published;

use aes::Aes128;
use cmac::{Cmac, Mac as _, digest::KeyInit};
use keysvc::config::fixed::IMPORTS_RUNNING_MAX;
use keysvc_protocol::{
    bytes::{ProposalId, from_hex},
    cbor::{self, REPLY_LEN_MAX},
    component::ComponentKeyOffer,
    founding::PrincipalKind,
    hash::sha256,
    key::{CheckValue, KeyKind, KeyState},
    proposal::ProposalState,
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    reply::{ChangedReply, KeyReply, ProfilePutReply},
    request::{ListKeys, Operation, ReadKey},
    schema::Schema,
    sealing::component_aad,
};
use keysvc_tests::{
    agreed::{self, activate, done, key_state, name, profile, propose, put},
    cards,
    custody::{self, Giving, check, give, import, offer, offered},
    ended::ended,
    ground::{Ground, OFFICERS, text},
    raw::Caller,
    service_token::objects,
};
use published::{KEY, given, of_published, officers, ordered, outcomes, published};
use std::{fs, path::Path, thread};

const COMPONENT: Refusal = Refusal::Invalid { reason: Invalid::Component };
const COMBINED: Refusal = Refusal::Invalid { reason: Invalid::Combined };
const ENCODING: Refusal = Refusal::Invalid { reason: Invalid::Encoding };
const ENDED: Refusal = Refusal::StateConflict { reason: Conflict::ProposalEnded };

/// Whether any file below a folder holds these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        fs::read(&path).unwrap_or_default().windows(bytes.len()).any(|part| part == bytes)
    })
}

#[test]
fn two_custodians_bring_the_published_key_in_and_nothing_of_a_component_is_kept() {
    let mut ground = Ground::new();
    let published = published();
    let mut all = officers(&ground);
    let before = objects(&ground);
    let proposal = of_published(&mut all);
    let [ann, ben, cat] = &mut all;
    assert_eq!(key_state(cat, KEY, 1), None);
    let (first, held) = offer(ann, proposal);
    assert_eq!((first.number, first.components, first.version, held), (1, 2, 1, vec![]));
    assert_eq!((first.name.as_str(), first.custodian.as_str()), (KEY, OFFICERS[0]));
    let one = Giving::new(ann, &first, &published.components[0]);
    for _ in 0..2 {
        // The second time it is a repetition, and told the same.
        let reply = one.send(ann).unwrap();
        assert_eq!((reply.missing.to_vec(), reply.key), (vec![2], None));
        reply.receipt.check_inclusion().unwrap();
    }
    assert_eq!((given(&ground), objects(&ground)), (1, before));
    let (second, held) = offer(ben, proposal);
    assert_eq!((second.number, &second.public, held), (2, &first.public, vec![1]));
    let two = Giving::new(ben, &second, &published.components[1]);
    let reply = two.send(ben).unwrap();
    assert!(reply.missing.is_empty());
    let key = reply.key.unwrap();
    assert_eq!(key.check, CheckValue::Cmac { value: published.check });
    assert_eq!((key.state, key.kind, key.test_key), (KeyState::PreActivation, KeyKind::CardMaster, false));
    for (attribute, value) in [
        ("CKA_LOCAL", "false"),
        ("CKA_NEVER_EXTRACTABLE", "false"),
        ("CKA_SENSITIVE", "true"),
        ("CKA_EXTRACTABLE", "false"),
        ("CKA_DERIVE", "true"),
    ] {
        let found = key.attributes.iter().find(|one| one.name == attribute);
        assert_eq!(found.map(|one| one.value.as_str()), Some(value), "{attribute}");
    }
    assert_eq!(one.send(ann).unwrap().key, Some(key.clone()));
    assert_eq!(two.send(ben).unwrap().key, Some(key.clone()));
    assert_eq!(offered(ann, proposal), Err(ENDED));
    let again = Giving::new(ann, &first, &published.components[0]);
    assert_eq!(again.send(ann).map(drop), Err(ENDED));
    let [outcome] = <[_; 1]>::try_from(outcomes(&ground)).unwrap();
    assert_eq!(outcome.key, key);
    assert_eq!((given(&ground), objects(&ground)), (2, before + 1));
    let read = ReadKey { schema: Schema, name: name(KEY), version: None };
    assert_eq!(cat.ask::<KeyReply>(Operation::KeyGet, &read).unwrap().key, key);

    // A start takes it as it is, and it can be put into use.
    ground.stop();
    let verified = ended(ground.keysvc(&["verify-store"]));
    assert!(verified.status.success(), "{}", text(&verified));
    let service = ground.site().service();
    for secret in
        [&one.sealed[..], &two.sealed, &published.components[0], &published.components[1], &published.key]
    {
        assert!(!holds(service.folder(), secret));
        let log = fs::read(ground.log()).unwrap();
        assert!(!log.windows(secret.len()).any(|part| part == secret));
    }
    ground.start().unwrap();
    let [ann, ben, _] = &mut officers(&ground);
    done(&mut [&mut *ann, &mut *ben], Operation::KeyActivate, &activate(KEY, 1));
    assert_eq!(key_state(ann, KEY, 1), Some(KeyState::Active));
    derives(ann, ben);
    ground.assert_clean();
}

/// The key derives what its published value does.
fn derives(ann: &mut Caller, ben: &mut Caller) {
    let mut brought = profile(ann, "known", None).unwrap().profile;
    (brought.name, brought.version, brought.vectors) = (name("brought-cards"), 1, vec![]);
    for slot in &mut brought.slots {
        (slot.key, slot.key_version) = (name(KEY), 1);
    }
    let pending = done(&mut [&mut *ann, ben], Operation::ProfilePut, &put(&brought));
    let reply = pending.result(ann).unwrap().reply.unwrap();
    let reply: ProfilePutReply = cbor::decode(reply.as_bytes(), REPLY_LEN_MAX).unwrap();
    let (slot, vector) = (&brought.slots[0], &reply.vectors[0]);
    // AN10922: the constant 01, then UID, application and system identifier.
    let message = format!("01{}{}{}", vector.card, slot.application, brought.system_identifier);
    let mut mac = <Cmac<Aes128> as KeyInit>::new_from_slice(&published().key).unwrap();
    mac.update(&from_hex(&message).unwrap());
    let card_key = mac.finalize().into_bytes().into();
    assert_eq!(vector.check_value, check(&card_key).to_string());
}

#[test]
fn three_custodians_of_whom_one_is_an_operator_bring_a_key_in() {
    let ground = Ground::new();
    let mut all = officers(&ground);
    let request = ground.newcomer("operator-9", PrincipalKind::Operator, "roastery");
    {
        let [ann, ben, _] = &mut all;
        done(&mut [ann, ben], Operation::PrincipalEnrol, &request);
    }
    let parts = [[1; 16], [2; 16], [4; 16]];
    let people = [OFFICERS[2], "operator-9", OFFICERS[0]];
    let request = import(KEY, &[(people[0], parts[0]), (people[1], parts[1]), (people[2], parts[2])]);
    let proposal = ordered(&mut all, &request);
    let [ann, ben, cat] = &mut all;
    let mut operator = Caller::new(ground.site(), "operator-9");
    // In whatever order they come.
    let read = |caller: &mut Caller, statement: &mut Caller| {
        let (message, held) = offered(caller, proposal).unwrap();
        let key = cards::statement_key(statement);
        let offer = ComponentKeyOffer::verify(&message, &caller.genesis, &key);
        (offer.unwrap(), held)
    };
    let (offer, held) = read(&mut operator, ben);
    assert_eq!((offer.number, held), (2, vec![]));
    let reply = Giving::new(&operator, &offer, &parts[1]).send(&mut operator).unwrap();
    assert_eq!(reply.missing.to_vec(), [1, 3]);
    assert_eq!(give(ann, proposal, &parts[2]).unwrap().missing.to_vec(), [1]);
    let (_, held) = read(&mut operator, ben);
    assert_eq!(held, [2, 3]);
    let key = give(cat, proposal, &parts[0]).unwrap().key.unwrap();
    assert_eq!(key.check, CheckValue::Cmac { value: check(&[7; 16]) });
}

#[test]
fn a_component_that_is_not_the_one_ordered_is_refused_and_no_leaf_says_that_it_was_given() {
    let ground = Ground::new();
    let published = published();
    let [one, two] = published.components;
    let mut all = officers(&ground);
    let proposal = of_published(&mut all);
    let [ann, ben, cat] = &mut all;
    let (first, _) = offer(ann, proposal);
    let (second, _) = offer(ben, proposal);

    let refused = |caller: &mut Caller, giving: &Giving, refusal: &Refusal| {
        assert_eq!(giving.send(caller).map(drop).as_ref(), Err(refusal));
    };
    // Another value: by its own check value, and under the one that was ordered.
    let other = Giving::new(ann, &first, &[9; 16]);
    refused(ann, &other, &COMPONENT);
    let mut other = Giving::new(ann, &first, &[9; 16]);
    other.request.check = check(&one);
    refused(ann, &other, &COMPONENT);
    // The other custodian's, as one's own and in the other's name.
    let mut swapped = Giving::new(ben, &second, &one);
    refused(ben, &swapped, &COMPONENT);
    swapped.request.check = check(&two);
    refused(ben, &swapped, &COMPONENT);
    let swapped = Giving::new(ben, &first, &one);
    refused(ben, &swapped, &Refusal::Forbidden);
    // Of another length, whatever it is said to be.
    for length in [0, 15, 17, 24] {
        let mut other = Giving::new(ann, &first, &vec![9; length]);
        other.request.check = check(&one);
        refused(ann, &other, &COMPONENT);
    }
    // Sealed for elsewhere.
    for aad in [
        component_aad(&ProposalId::new([7; 16]), 1, &first.custodian),
        component_aad(&proposal, 2, &first.custodian),
        component_aad(&proposal, 1, &second.custodian),
    ] {
        let elsewhere = Giving::bound(ann, &first, &aad, &one);
        refused(ann, &elsewhere, &COMPONENT);
    }
    // What lies beside the request is another thing, or no sealed thing at all.
    let mut other = Giving::new(ann, &first, &one);
    other.sealed = Giving::new(ann, &first, &one).sealed;
    refused(ann, &other, &COMPONENT);
    let mut no_point = Giving::new(ann, &first, &one);
    no_point.sealed[40] ^= 1;
    no_point.request.sealed = sha256(&[&no_point.sealed]);
    refused(ann, &no_point, &COMPONENT);
    let mut other_key = Giving::new(ann, &first, &one);
    other_key.request.import_key = sha256(&[b"another"]);
    refused(ann, &other_key, &COMPONENT);
    // Nothing beside it; and something beside what brings nothing.
    let plain = Giving::new(ann, &first, &one);
    let payload = cbor::encode(&plain.request);
    let sent = custody::send(ann, Operation::ComponentGive, payload, None);
    assert_eq!(sent.map(drop), Err(ENCODING));
    for operation in [Operation::KeyList, Operation::KeyImport] {
        let payload = cbor::encode(&ListKeys { schema: Schema });
        assert_eq!(custody::send(ann, operation, payload, Some(&[1])).map(drop), Err(ENCODING));
    }
    // Who holds none.
    assert_eq!(offered(cat, proposal), Err(Refusal::Forbidden));
    let mut theirs = Giving::new(cat, &first, &one);
    refused(cat, &theirs, &Refusal::Forbidden);
    theirs.request.number = 3;
    refused(cat, &theirs, &Refusal::Forbidden);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    assert_eq!(offered(&mut terminal, proposal), Err(Refusal::Forbidden));
    refused(&mut terminal, &theirs, &Refusal::Forbidden);
    let unknown = ProposalId::new([7; 16]);
    assert_eq!(offered(ann, unknown), Err(Refusal::NotFound { what: Thing::Proposal }));
    let mut nowhere = Giving::new(ann, &first, &one);
    nowhere.request.proposal = unknown;
    refused(ann, &nowhere, &Refusal::NotFound { what: Thing::Proposal });

    assert_eq!((given(&ground), offer(ann, proposal).1), (0, vec![]));
    assert_eq!(give(ann, proposal, &one).unwrap().missing.to_vec(), [2]);
    assert!(give(ben, proposal, &two).unwrap().key.is_some());
}

#[test]
fn a_component_of_zeros_keeps_nothing_and_is_refused_though_it_was_ordered() {
    let ground = Ground::new();
    let mut all = officers(&ground);
    let request = import(KEY, &[(OFFICERS[0], [0; 16]), (OFFICERS[1], [2; 16])]);
    let proposal = ordered(&mut all, &request);
    let [ann, ben, _] = &mut all;
    assert_eq!(give(ann, proposal, &[0; 16]).map(drop), Err(COMPONENT));
    assert_eq!(give(ben, proposal, &[2; 16]).unwrap().missing.to_vec(), [1]);
    assert_eq!(given(&ground), 1);
}

#[test]
fn components_that_do_not_make_the_ordered_key_are_all_dropped_and_the_log_never_calls_them_complete() {
    let ground = Ground::new();
    let mut all = officers(&ground);
    let parts = [[1; 16], [2; 16]];
    let mut request = import(KEY, &[(OFFICERS[0], parts[0]), (OFFICERS[1], parts[1])]);
    request.check = check(&[8; 16]);
    let proposal = ordered(&mut all, &request);
    let zero = [[1; 16], [2; 16], [3; 16]];
    let mut request = import(KEY, &[(OFFICERS[0], zero[0]), (OFFICERS[1], zero[1]), ("operator-9", zero[2])]);
    request.name = name("zero");
    let newcomer = ground.newcomer("operator-9", PrincipalKind::Operator, "roastery");
    {
        let [ann, ben, _] = &mut all;
        done(&mut [ann, ben], Operation::PrincipalEnrol, &newcomer);
    }
    let of_zero = ordered(&mut all, &request);
    let [ann, ben, _] = &mut all;

    let (before, _) = offer(ann, proposal);
    assert_eq!(give(ann, proposal, &parts[0]).unwrap().missing.to_vec(), [2]);
    assert_eq!(give(ben, proposal, &parts[1]).map(drop), Err(COMBINED));
    assert_eq!(given(&ground), 1);
    let (after, held) = offer(ann, proposal);
    assert_eq!(held, [0; 0]);
    assert_ne!(after.public, before.public);
    // The same the other way around, and at the same moment.
    let one = Giving::new(ann, &after, &parts[0]);
    let second = offer(ben, proposal).0;
    let two = Giving::new(ben, &second, &parts[1]);
    let (one, two) = thread::scope(|scope| {
        let one = scope.spawn(|| one.send(ann).map(|reply| reply.missing.to_vec()));
        let two = scope.spawn(|| two.send(ben).map(|reply| reply.missing.to_vec()));
        (one.join().unwrap(), two.join().unwrap())
    });
    match (&one, &two) {
        (Ok(missing), Err(refusal)) => assert_eq!((&missing[..], refusal), (&[2][..], &COMBINED)),
        (Err(refusal), Ok(missing)) => assert_eq!((&missing[..], refusal), (&[1][..], &COMBINED)),
        both => panic!("{both:?}"),
    }
    assert_eq!(given(&ground), 2);

    let mut operator = Caller::new(ground.site(), "operator-9");
    assert!(give(ann, of_zero, &zero[0]).is_ok());
    assert!(give(ben, of_zero, &zero[1]).is_ok());
    let mut own = offer(ann, of_zero).0;
    (own.number, own.custodian) = (3, name("operator-9"));
    let last = Giving::new(&operator, &own, &zero[2]);
    assert_eq!(last.send(&mut operator).map(drop), Err(COMBINED));
    assert_eq!(outcomes(&ground), []);
}

#[test]
fn an_import_is_refused_whose_components_are_not_those_of_different_people() {
    let ground = Ground::new();
    let mut all = officers(&ground);
    let parts = [[1; 16], [2; 16], [3; 16]];
    let refused = |ann: &mut Caller, parts: &[(&str, [u8; 16])], refusal: Refusal| {
        assert_eq!(propose(ann, Operation::KeyImport, &import(KEY, parts)), Err(refusal));
    };
    let invalid = |reason| Refusal::Invalid { reason };
    let [one, two, three] = OFFICERS;
    let [ann, ben, cat] = &mut all;
    refused(ann, &[(one, parts[0]), (one, parts[1])], Refusal::SamePerson);
    refused(ann, &[(one, parts[0]), (two, parts[1]), (one, parts[2])], Refusal::SamePerson);
    refused(ann, &[(one, parts[0]), (two, parts[0])], invalid(Invalid::ComponentEqual));
    refused(ann, &[(one, parts[0])], invalid(Invalid::Items));
    refused(ann, &[(one, parts[0]), ("terminal-1", parts[1])], invalid(Invalid::Custodian));
    refused(ann, &[(one, parts[0]), ("station-1", parts[1])], invalid(Invalid::Custodian));
    refused(ann, &[(one, parts[0]), ("nobody", parts[1])], Refusal::NotFound { what: Thing::Principal });
    let mut signing = import(KEY, &[(one, parts[0]), (two, parts[1])]);
    signing.kind = KeyKind::ValueSigning;
    assert_eq!(propose(ann, Operation::KeyImport, &signing), Err(Refusal::Forbidden));
    let mut reserved = import(KEY, &[(one, parts[0]), (two, parts[1])]);
    reserved.name = name("statement");
    let taken = Refusal::StateConflict { reason: Conflict::NameTaken };
    assert_eq!(propose(ann, Operation::KeyImport, &reserved), Err(taken));
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let request = import(KEY, &[(one, parts[0]), (two, parts[1])]);
    let asked = agreed::send::<ChangedReply>(&mut terminal, Operation::KeyImport, &request);
    assert_eq!(asked.map(drop), Err(Refusal::Forbidden));

    // Somebody must agree who holds nothing; two are not enough.
    let alone = Refusal::ApprovalInvalid { reason: Uncounted::CustodiansAlone };
    refused(ann, &[(one, parts[0]), (two, parts[1]), (three, parts[2])], alone);
    let pending =
        propose(ann, Operation::KeyImport, &import(KEY, &[(one, parts[0]), (two, parts[1])])).unwrap();
    assert_eq!(pending.proposal.need.persons, 3);
    let state = pending.approved_by(&mut [&mut *ann, &mut *ben]).unwrap().state;
    assert_eq!(state, ProposalState::Open);
    assert_eq!(offered(ann, pending.id()), Err(Refusal::NotFound { what: Thing::Proposal }));
    assert!(matches!(pending.approve(cat).unwrap().state, ProposalState::Executed { .. }));
}

#[test]
fn only_so_many_imports_run_at_one_time_and_one_that_is_done_makes_room() {
    let ground = Ground::new();
    let mut all = officers(&ground);
    let parts = [[1; 16], [2; 16]];
    let imports: Vec<_> = (0..=IMPORTS_RUNNING_MAX)
        .map(|number| {
            let mut request = import(KEY, &[(OFFICERS[0], parts[0]), (OFFICERS[1], parts[1])]);
            request.name = name(&format!("brought-{number}"));
            ordered(&mut all, &request)
        })
        .collect();
    let [ann, ben, _] = &mut all;
    let full = Refusal::StateConflict { reason: Conflict::Full };
    for proposal in &imports[..IMPORTS_RUNNING_MAX] {
        offered(ann, *proposal).unwrap();
    }
    let last = imports[IMPORTS_RUNNING_MAX];
    assert_eq!(offered(ann, last), Err(full));
    give(ann, imports[0], &parts[0]).unwrap();
    assert!(give(ben, imports[0], &parts[1]).unwrap().key.is_some());
    give(ann, last, &parts[0]).unwrap();
    assert!(give(ben, last, &parts[1]).unwrap().key.is_some());
}
