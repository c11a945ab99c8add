//! A key's life, from the order to make it to its destruction in the token, while the service runs.

use keysvc::{
    config::Config,
    keeper::{
        founding::open_token,
        ledger::{Change, Outcome},
        start::{install_seals, open_store},
    },
};
use keysvc_protocol::{
    bundle::{BundleError, BundleFile, TrustBundle},
    bytes::KeyIdentifier,
    cbor,
    cose::Signed,
    key::{KeyKind, KeyRecord, KeyState},
    leaf::{KeyDestroyedLeaf, LeafKind, TookEffectLeaf},
    proposal::ProposalState,
    public_key::PublicKey,
    refusal::{Conflict, Invalid, Refusal, Thing},
    reply::{BundleReply, CheckpointReply, KeyImpactReply, KeyListReply, ValueUpdateReply},
    request::{
        ListKeys, Operation, ReadBundle, ReadCheckpoint, ReadImpact, UpdateValue,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
    trust::Trust,
};
use keysvc_tests::{
    agreed::{
        self, activate, agree, alone, compromise, create, destroy, done, name, propose, retire, suspend,
    },
    cards,
    ground::{Ground, OFFICERS},
    jobs::Bench,
    raw::{self, Caller},
    service_token::objects,
};
use softhsm_setup::Site;
use std::{fs, thread, time::Duration};

const VALUE: &str = "value-1";
const MASTER: &str = "demo-generated";
/// Longer than the development site's delay before a destruction, which is of 4 s.
const PAST_THE_DELAY: Duration = Duration::from_millis(4_500);

fn holder(ground: &Ground, persona: &str) -> Caller {
    cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), persona)
}

fn officers(ground: &Ground) -> [Caller; 3] {
    OFFICERS.map(|persona| holder(ground, persona))
}

fn in_state(state: KeyState) -> Refusal {
    Refusal::StateConflict { reason: Conflict::KeyState { state } }
}

fn keys(reader: &mut Caller) -> Vec<KeyRecord> {
    let reply: KeyListReply = reader.ask(Operation::KeyList, &ListKeys { schema: Schema }).unwrap();
    reply.keys.to_vec()
}

fn key(reader: &mut Caller, name: &str, version: u32) -> KeyRecord {
    keys(reader).into_iter().find(|key| key.name.as_str() == name && key.version == version).unwrap()
}

fn identifier(key: &KeyRecord) -> KeyIdentifier {
    PublicKey::from_spki(key.public.as_ref().unwrap().as_bytes()).unwrap().identifier()
}

fn change(terminal: &mut Caller, request: &UpdateValue) -> Result<ValueUpdateReply, Refusal> {
    terminal.ask(Operation::ValueUpdate, request)
}

fn signer(reply: &ValueUpdateReply) -> KeyIdentifier {
    Signed::parse(reply.record.as_bytes()).unwrap().key_identifier()
}

fn bundle(ground: &Ground) -> TrustBundle {
    let mut caller = Caller::new(ground.site(), "terminal-1");
    let genesis: CheckpointReply =
        caller.ask(Operation::LogCheckpoint, &ReadCheckpoint { schema: Schema, genesis: true }).unwrap();
    let reply: BundleReply =
        caller.ask(Operation::BundleGet, &ReadBundle { schema: Schema, have: None }).unwrap();
    let file =
        BundleFile { schema: Schema, founding: genesis.genesis.unwrap(), bundle: reply.bundle.unwrap() };
    file.verify(&Trust::parse(&fs::read_to_string(ground.site().trust()).unwrap()).unwrap()).unwrap()
}

/// Versions and states of the bundle's value keys.
fn bundled(bundle: &TrustBundle) -> Vec<(u32, KeyState)> {
    bundle.value_keys.iter().map(|key| (key.version, key.state)).collect()
}

#[test]
fn a_new_value_key_signs_once_it_is_active_and_the_old_one_verifies_what_it_signed() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let before = objects(&ground);
    let first = change(&mut terminal, &raw::update(Load, 1, 2_000, 0)).unwrap();
    let made = done(&mut [&mut ann, &mut ben], Operation::KeyCreate, &create(VALUE, KeyKind::ValueSigning));
    assert_eq!(objects(&ground), before + 2);
    let [one, two] = [1, 2].map(|version| key(&mut ann, VALUE, version));
    assert_eq!((two.kind, two.state, two.test_key), (KeyKind::ValueSigning, KeyState::PreActivation, false));
    assert_ne!((two.id, two.check), (one.id, one.check));
    // Made by the order of two people: act, intent, outcome.
    let leaves = raw::leaves(&ground);
    let [intent] = raw::keys_intended(&leaves).try_into().unwrap();
    assert_eq!((intent.name.as_str(), intent.version, intent.id), (VALUE, 2, two.id));
    let outcomes = raw::keys_made(&leaves);
    assert_eq!(outcomes.iter().map(|leaf| &leaf.key).collect::<Vec<_>>(), [&two]);
    let [(_, act)] = agreed::acts(&leaves).try_into().unwrap();
    assert_eq!(act.evidence.proposal, made.reply.proposal);

    // Before its activation it does nothing, and nobody is told of it.
    let second = change(&mut terminal, &raw::update(Debit, 2, 100, 2_000)).unwrap();
    assert_eq!((signer(&first), signer(&second)), (identifier(&one), identifier(&one)));
    assert_eq!(bundled(&bundle(&ground)), [(1, KeyState::Active)]);
    done(&mut [&mut cat, &mut ben], Operation::KeyActivate, &activate(VALUE, 2));
    let third = change(&mut terminal, &raw::update(Debit, 3, 100, 1_900)).unwrap();
    assert_eq!(signer(&third), identifier(&two));
    let both = bundle(&ground);
    assert_eq!(bundled(&both), [(1, KeyState::Active), (2, KeyState::Active)]);
    // The old one retires: what it signed still counts, and what is asked again is signed by the new one.
    done(&mut [&mut ann, &mut cat], Operation::KeyRetire, &retire(VALUE, 1));
    let retired = bundle(&ground);
    assert_eq!(bundled(&retired), [(1, KeyState::Deactivated), (2, KeyState::Active)]);
    for reply in [&first, &second, &third] {
        retired.check_record(reply.record.as_bytes(), retired.made_at_ms).unwrap();
    }
    let again = change(&mut terminal, &raw::update(Debit, 4, 100, 1_800)).unwrap();
    assert_eq!(signer(&again), identifier(&two));
    ground.assert_clean();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let after = change(&mut terminal, &raw::update(Debit, 5, 100, 1_700)).unwrap();
    assert_eq!(signer(&after), identifier(&two));
}

#[test]
fn one_officer_stops_a_key_at_once_for_repetitions_too_and_two_put_it_back() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let request = raw::update(Load, 1, 2_000, 0);
    let first = change(&mut terminal, &request).unwrap();
    alone(&mut cat, Operation::KeySuspend, &suspend(VALUE, 1)).unwrap();
    let suspended = Err(in_state(KeyState::Suspended));
    assert_eq!(change(&mut terminal, &raw::update(Debit, 2, 100, 2_000)), suspended);
    assert_eq!(change(&mut terminal, &request), suspended);
    let stopped = bundle(&ground);
    assert_eq!(bundled(&stopped), []);
    let refused = stopped.check_record(first.record.as_bytes(), stopped.made_at_ms);
    assert_eq!(refused, Err(BundleError::UnknownKey));
    // Twice is no step.
    assert_eq!(
        alone(&mut ann, Operation::KeySuspend, &suspend(VALUE, 1)),
        Err(in_state(KeyState::Suspended))
    );
    let pending = propose(&mut cat, Operation::KeyActivate, &activate(VALUE, 1)).unwrap();
    pending.approve(&mut cat).unwrap();
    assert_eq!(change(&mut terminal, &request), suspended);
    pending.approve(&mut ann).unwrap();
    assert_eq!(change(&mut terminal, &request).unwrap().receipt.leaf_index, first.receipt.leaf_index);
    change(&mut terminal, &raw::update(Debit, 2, 100, 2_000)).unwrap();

    // Compromised is for good; a new version takes its place.
    alone(&mut ben, Operation::KeyCompromise, &compromise(VALUE, 1)).unwrap();
    let compromised = in_state(KeyState::Compromised);
    assert_eq!(change(&mut terminal, &request), Err(compromised.clone()));
    let refused = propose(&mut ann, Operation::KeyActivate, &activate(VALUE, 1));
    assert_eq!(refused, Err(compromised));
    done(&mut [&mut ann, &mut ben], Operation::KeyCreate, &create(VALUE, KeyKind::ValueSigning));
    done(&mut [&mut ann, &mut ben], Operation::KeyActivate, &activate(VALUE, 2));
    let second = key(&mut ann, VALUE, 2);
    assert_eq!(signer(&change(&mut terminal, &request).unwrap()), identifier(&second));
    assert_eq!(bundled(&bundle(&ground)), [(2, KeyState::Active)]);
    ground.assert_clean();
}

#[test]
fn only_card_masters_and_value_keys_are_made_and_moved_by_people() {
    let ground = Ground::new();
    let [mut ann, ..] = officers(&ground);
    for kind in [KeyKind::ServiceStatement, KeyKind::Checkpoint, KeyKind::Storage] {
        assert_eq!(propose(&mut ann, Operation::KeyCreate, &create("new", kind)), Err(Refusal::Forbidden));
    }
    let taken = Err(Refusal::StateConflict { reason: Conflict::NameTaken });
    for (name, kind) in [
        (VALUE, KeyKind::CardMaster),
        ("checkpoint", KeyKind::ValueSigning),
        ("storage.x", KeyKind::CardMaster),
    ] {
        assert_eq!(propose(&mut ann, Operation::KeyCreate, &create(name, kind)), taken, "{name}");
    }
    let items = Err(Refusal::Invalid { reason: Invalid::Items });
    let own = keys(&mut ann).into_iter().find(|key| key.kind == KeyKind::Checkpoint).unwrap();
    assert_eq!(alone(&mut ann, Operation::KeySuspend, &suspend(own.name.as_str(), 1)), items);
    let missing = Err(Refusal::NotFound { what: Thing::Key });
    assert_eq!(alone(&mut ann, Operation::KeySuspend, &suspend(VALUE, 2)), missing);
}

#[test]
fn a_key_is_destroyed_by_three_after_the_delay_in_which_any_one_officer_cancels() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let active = propose(&mut ann, Operation::KeyDestroy, &destroy(VALUE, 1));
    assert_eq!(active, Err(in_state(KeyState::Active)));
    done(&mut [&mut ann, &mut ben], Operation::KeyCreate, &create(VALUE, KeyKind::ValueSigning));
    done(&mut [&mut ann, &mut ben], Operation::KeyActivate, &activate(VALUE, 2));
    done(&mut [&mut ann, &mut ben], Operation::KeyRetire, &retire(VALUE, 1));
    let (mut terminal, before) = (Caller::new(ground.site(), "terminal-1"), objects(&ground));

    let request = destroy(VALUE, 1);
    let pending = propose(&mut ann, Operation::KeyDestroy, &request).unwrap();
    assert_eq!(pending.proposal.need.persons, 3);
    assert_eq!(pending.approved_by(&mut [&mut ann, &mut ben]).unwrap().state, ProposalState::Open);
    let state = pending.approve(&mut cat).unwrap().state;
    let ProposalState::Waiting { due_ms, .. } = state else { panic!("{state:?}") };
    assert!(due_ms >= pending.proposal.created_ms + 4_000);
    let cancelled = ProposalState::Cancelled { by: name("officer-2") };
    assert_eq!(pending.cancel(&mut ben).unwrap().state, cancelled);
    thread::sleep(PAST_THE_DELAY);
    assert_eq!(agreed::key_state(&mut ann, VALUE, 1), Some(KeyState::Deactivated));
    assert_eq!(objects(&ground), before);

    let all = &mut [&mut cat, &mut ann, &mut ben];
    let (pending, state) = agree(all, Operation::KeyDestroy, &destroy(VALUE, 1)).unwrap();
    let ProposalState::Waiting { leaf: act, due_ms } = state else { panic!("{state:?}") };
    // It goes on verifying until then; nothing of the service stands still.
    change(&mut terminal, &raw::update(Load, 1, 2_000, 0)).unwrap();
    agreed::until("the key is destroyed", || {
        agreed::key_state(&mut ann, VALUE, 1) == Some(KeyState::Destroyed)
    });
    let destroyed = |leaves: &[raw::Leaf]| raw::of_kind::<KeyDestroyedLeaf>(leaves, LeafKind::KeyDestroyed);
    agreed::until("the outcome is recorded", || destroyed(&raw::leaves(&ground)).len() == 1);
    assert_eq!(objects(&ground), before - 2);
    let leaves = raw::leaves(&ground);
    let id = key(&mut ann, VALUE, 1).id;
    let effect = leaves.iter().find(|(entry, _)| entry.kind == LeafKind::TookEffect).unwrap();
    let took_effect: TookEffectLeaf = cbor::decode(&effect.1, 4096).unwrap();
    assert_eq!(took_effect.act, act);
    assert!(effect.0.time_ms >= due_ms, "{} before {due_ms}", effect.0.time_ms);
    let [gone] = raw::of_kind::<KeyDestroyedLeaf>(&leaves, LeafKind::KeyDestroyed).try_into().unwrap();
    assert_eq!((gone.intent, gone.name.as_str(), gone.version, gone.id), (effect.0.index, VALUE, 1, id));
    assert_eq!(agreed_state(&mut cat, &pending), ProposalState::Executed { leaf: act });
    // For good: no step leads on.
    assert_eq!(
        propose(&mut ann, Operation::KeyActivate, &activate(VALUE, 1)),
        Err(in_state(KeyState::Destroyed))
    );
    ground.assert_clean();
    assert_eq!(objects(&ground), before - 2);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    change(&mut terminal, &raw::update(Debit, 2, 100, 2_000)).unwrap();
}

fn agreed_state(requester: &mut Caller, pending: &agreed::Pending) -> ProposalState {
    pending.result(requester).unwrap().state
}

/// What a keeper leaves that is killed after the intent to destroy a key was recorded: the leaf, and the object.
fn intend_and_die(site: &Site) {
    let config = Config::read(&site.service_config()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let token = open_token(&config).unwrap();
        let (sequencer, _reader) = open_store(&config).unwrap();
        install_seals(&config, &token, &sequencer).unwrap();
        sequencer.restore_control().unwrap();
        let (act, _) = sequencer
            .control()
            .unwrap()
            .waiting()
            .map(|(act, waiting)| (act, waiting.due_ms))
            .next()
            .unwrap();
        let early = sequencer.submit(Change::TookEffect { act }).await.unwrap();
        assert!(matches!(early.outcome, Outcome::Refused(_)), "{:?}", early.outcome);
        tokio::time::sleep(PAST_THE_DELAY).await;
        let settled = sequencer.submit(Change::TookEffect { act }).await.unwrap();
        assert!(matches!(settled.outcome, Outcome::Recorded(_)), "{:?}", settled.outcome);
        sequencer.close();
    });
}

#[test]
fn a_destruction_broken_off_between_intent_and_outcome_is_finished_at_the_start() {
    let test = "a_destruction_broken_off_between_intent_and_outcome_is_finished_at_the_start";
    let make = || {
        let mut ground = Ground::new();
        let [mut ann, mut ben, mut cat] = officers(&ground);
        done(&mut [&mut ann, &mut ben], Operation::KeyCreate, &create("spare", KeyKind::CardMaster));
        let all = &mut [&mut ann, &mut ben, &mut cat];
        let (_, state) = agree(all, Operation::KeyDestroy, &destroy("spare", 1)).unwrap();
        assert!(matches!(state, ProposalState::Waiting { .. }), "{state:?}");
        ground.stop();
        fs::write(ground.site().folder().join("objects"), objects(&ground).to_string()).unwrap();
        ground
    };
    let Some(mut ground) = raw::with_tokens(test, &["service"], make, |site, _| intend_and_die(site)) else {
        return;
    };
    let before: usize = fs::read_to_string(ground.site().folder().join("objects")).unwrap().parse().unwrap();
    assert_eq!(objects(&ground), before);
    ground.start().unwrap();
    agreed::until("it is destroyed", || objects(&ground) == before - 1);
    let leaves = raw::leaves(&ground);
    assert_eq!(raw::of_kind::<TookEffectLeaf>(&leaves, LeafKind::TookEffect).len(), 1);
    let [gone] = raw::of_kind::<KeyDestroyedLeaf>(&leaves, LeafKind::KeyDestroyed).try_into().unwrap();
    assert_eq!((gone.name.as_str(), gone.version), ("spare", 1));
    ground.assert_clean();
    let leaves = raw::leaves(&ground);
    assert_eq!(raw::of_kind::<KeyDestroyedLeaf>(&leaves, LeafKind::KeyDestroyed).len(), 1);
}

fn bench(ground: &Ground) -> Bench {
    Bench::new(env!("CARGO_BIN_EXE_card"), ground, "station-1")
}

#[test]
fn a_retired_master_serves_the_cards_issued_under_it_and_no_new_one_and_a_suspended_one_none() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut bench = bench(&ground);
    let shift = bench.open(("generated", 1));
    let (issued, fresh) = (["04782e21801d80"], ["04782e21801d81"]);
    let derive = |bench: &mut Bench, card: [&str; 1]| bench.derive(&shift, &card).map(drop);
    derive(&mut bench, issued).unwrap();
    alone(&mut ann, Operation::KeySuspend, &suspend(MASTER, 1)).unwrap();
    for card in [issued, fresh] {
        assert_eq!(derive(&mut bench, card), Err(in_state(KeyState::Suspended)), "{card:?}");
    }
    done(&mut [&mut ann, &mut ben], Operation::KeyActivate, &activate(MASTER, 1));
    // A second version beside it changes nothing for the profile, which names its first.
    done(&mut [&mut ann, &mut ben], Operation::KeyCreate, &create(MASTER, KeyKind::CardMaster));
    done(&mut [&mut ann, &mut ben], Operation::KeyActivate, &activate(MASTER, 2));
    done(&mut [&mut cat, &mut ben], Operation::KeyRetire, &retire(MASTER, 1));
    derive(&mut bench, issued).unwrap();
    assert_eq!(derive(&mut bench, fresh), Err(in_state(KeyState::Deactivated)));
    assert_eq!(impact(&mut ann, MASTER, 1).cards, 1);
    ground.assert_clean();
    bench.reconnect(&ground);
    ground.reconnect(&mut ann, "officer-1");
    bench.reopen(&shift).unwrap();
    derive(&mut bench, issued).unwrap();
    assert_eq!(derive(&mut bench, fresh), Err(in_state(KeyState::Deactivated)));
    // Compromised, it serves nobody any more.
    alone(&mut ann, Operation::KeyCompromise, &compromise(MASTER, 1)).unwrap();
    assert_eq!(derive(&mut bench, issued), Err(in_state(KeyState::Compromised)));
}

fn impact(reader: &mut Caller, key: &str, version: u32) -> KeyImpactReply {
    reader.ask(Operation::KeyImpact, &ReadImpact { schema: Schema, name: name(key), version }).unwrap()
}

#[test]
fn what_hangs_on_a_key_is_counted() {
    let ground = Ground::new();
    let mut reader = Caller::new(ground.site(), "platform-1");
    let cards = ["04782e21801d80", "04782e21801d81", "04782e21801d82"];
    let mut bench = bench(&ground);
    let shift = bench.open(("generated", 1));
    for part in [&cards[..2], &cards[1..]] {
        bench.derive(&shift, part).unwrap();
    }
    let master = impact(&mut reader, MASTER, 1);
    // Each card once, however many slots and repetitions.
    assert_eq!((master.cards, master.terminals), (3, 0));
    assert_eq!(
        master.profiles.iter().map(|profile| profile.as_str()).collect::<Vec<_>>(),
        ["generated", "inline"]
    );
    assert!(master.programmes.is_empty());
    let value = impact(&mut reader, VALUE, 1);
    assert_eq!((value.cards, value.terminals), (0, 1));
    assert_eq!(value.programmes.iter().map(|programme| programme.as_str()).collect::<Vec<_>>(), ["coffee"]);
    let missing = reader.ask::<KeyImpactReply>(
        Operation::KeyImpact,
        &ReadImpact { schema: Schema, name: name(MASTER), version: 2 },
    );
    assert_eq!(missing.unwrap_err(), Refusal::NotFound { what: Thing::Key });
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let asked = terminal.ask::<KeyImpactReply>(
        Operation::KeyImpact,
        &ReadImpact { schema: Schema, name: name(VALUE), version: 1 },
    );
    assert_eq!(asked.unwrap_err(), Refusal::Forbidden);
}
