//! A key that comes in as components, broken off: the keeper killed at any moment, and what lies between the intent of
//! the key and its outcome.

#[path = "key_import/published.rs"]
mod published;

use keysvc::{
    config::Config,
    keeper::{
        founding::open_token,
        ledger::{Change, Outcome, Retry, Sequencer},
        start::{install_seals, open_store},
    },
};
use keysvc_protocol::{
    bytes::{Blob, ObjectIdentifier, ProposalId},
    cbor,
    hash::sha256,
    key::{CheckValue, KeyKind, KeyState},
    leaf::{ChangedLeaf, KeyIntentLeaf, Statement},
    refusal::{Invalid, Refusal},
    reply::KeyListReply,
    request::{GiveComponent, ListKeys, Operation},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{self, key_state, name},
    custody::{self, Giving, give, import, offer},
    ground::{Ground, OFFICERS},
    raw::{self, Caller},
    service_token::{objects, whole_objects},
};
use keysvc_token::ObjectId;
use published::{KEY, given, of_published, officers, ordered, outcomes, published};
use rustix::process::{Pid, Signal, kill_process};
use softhsm_setup::Site;
use std::{fs, thread, time::Duration};

const COMPONENT: Refusal = Refusal::Invalid { reason: Invalid::Component };
/// Kills, each 12 ms later than the one before: a last component takes some 50 ms on a busy machine.
const KILLS: u64 = 7;

/// Kills the keeper; gives which it was.
fn killed(ground: &Ground) -> u32 {
    let keeper = ground.half("keeper").unwrap();
    let pid = Pid::from_raw(i32::try_from(keeper).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    keeper
}

/// Waits until a keeper answers that is not this one.
fn another_than(killed: u32, ground: &Ground, caller: &mut Caller) {
    agreed::until("another keeper answers", || {
        ground.half("keeper").is_some_and(|now| now != killed)
            && caller.ask::<KeyListReply>(Operation::KeyList, &ListKeys { schema: Schema }).is_ok()
    });
}

#[test]
fn a_killed_keeper_forgets_components_and_pair_makes_no_key_without_them_and_the_custodians_begin_again() {
    let ground = Ground::new();
    let [value_one, value_two] = published().components;
    let mut all = officers(&ground);
    let before = objects(&ground);
    let proposal = of_published(&mut all);
    let [ann, ben, _] = &mut all;
    let (first, _) = offer(ann, proposal);
    let one = Giving::new(ann, &first, &value_one);
    let second = offer(ben, proposal).0;
    let two = Giving::new(ben, &second, &value_two);
    assert_eq!(one.send(ann).unwrap().missing.to_vec(), [2]);
    another_than(killed(&ground), &ground, ann);

    // Sealed to the pair before, or to none yet.
    assert_eq!(two.send(ben).map(drop), Err(COMPONENT));
    let (fresh, held) = offer(ben, proposal);
    assert_ne!(fresh.public, first.public);
    assert_eq!(held, [0; 0]);
    assert_eq!(two.send(ben).map(drop), Err(COMPONENT));
    assert_eq!(one.send(ann).map(drop), Err(COMPONENT));
    // Both are in the log as given now, but the one from before is not held.
    let reply = Giving::new(ben, &fresh, &value_two).send(ben).unwrap();
    assert_eq!((reply.missing.to_vec(), reply.key), (vec![1], None));
    assert_eq!(given(&ground), 2);
    another_than(killed(&ground), &ground, ann);
    assert_eq!((key_state(ann, KEY, 1), objects(&ground)), (None, before));

    assert_eq!(give(ann, proposal, &value_one).unwrap().missing.to_vec(), [2]);
    let key = give(ben, proposal, &value_two).unwrap().key.unwrap();
    assert_eq!(key.check, CheckValue::Cmac { value: published().check });
    assert_eq!((given(&ground), objects(&ground)), (4, before + 1));
}

#[test]
fn kills_at_any_moment_of_the_last_component_leave_one_key_or_none_and_the_custodians_can_always_finish() {
    let mut ground = Ground::new();
    let [value_one, value_two] = published().components;
    let mut all = officers(&ground);
    let (mut made, mut again) = (0, 0);
    let before = objects(&ground);
    for kill in 0..KILLS {
        let mut request = import(KEY, &[(OFFICERS[0], value_one), (OFFICERS[1], value_two)]);
        request.name = name(&format!("brought-{kill}"));
        let proposal = ordered(&mut all, &request);
        let [ann, ben, _] = &mut all;
        give(ann, proposal, &value_one).unwrap();
        let own = offer(ben, proposal).0;
        let last = Giving::new(ben, &own, &value_two);
        // Signed before, so that the time until the kill is the service's.
        let message = ben.message(Operation::ComponentGive, cbor::encode(&last.request));
        let body = custody::beside(message, Some(&last.sealed));
        let killed = thread::scope(|scope| {
            scope.spawn(|| ben.line.post(Operation::ComponentGive.name(), &body));
            thread::park_timeout(Duration::from_millis(kill * 12));
            killed(&ground)
        });
        another_than(killed, &ground, ann);
        let key = key_state(ann, request.name.as_str(), 1);
        if key.is_some() {
            made += 1;
            assert!(last.send(ben).unwrap().key.is_some());
        } else {
            again += 1;
            give(ann, proposal, &value_one).unwrap();
            assert!(give(ben, proposal, &value_two).unwrap().key.is_some());
        }
        assert_eq!(key_state(ann, request.name.as_str(), 1), Some(KeyState::PreActivation));
    }
    println!("{made} keys were made before the kill, {again} after the components were given again");
    let leaves = raw::leaves(&ground);
    let intents = raw::keys_intended(&leaves).len();
    println!("{intents} intents for {KILLS} keys");
    assert_eq!(outcomes(&ground).len() as u64, KILLS);
    assert_eq!((whole_objects(&ground) - before) as u64, KILLS, "no key lies in the token twice");
    ground.stop();
    ground.start().unwrap();
}

const TORN: ObjectIdentifier = ObjectIdentifier::new([0xc9; 16]);

/// A service that was stopped when people had ordered the published key; the custodians' requests lie in its folder.
fn components_ready() -> Ground {
    let mut ground = Ground::new();
    let mut all = officers(&ground);
    let proposal = of_published(&mut all);
    let folder = ground.site().folder().to_owned();
    fs::write(folder.join("proposal"), proposal.as_bytes()).unwrap();
    fs::write(folder.join("objects"), objects(&ground).to_string()).unwrap();
    for (number, caller) in (0..2).zip(&mut all) {
        let offer = offer(caller, proposal).0;
        let giving = Giving::new(caller, &offer, &published().components[number]);
        let payload = cbor::encode(&giving.request);
        fs::write(folder.join(format!("payload-{number}")), &payload).unwrap();
        fs::write(folder.join(format!("give-{number}")), caller.message(Operation::ComponentGive, payload))
            .unwrap();
    }
    ground.stop();
    ground
}

async fn recorded(sequencer: &Sequencer, change: Change) {
    let settled = sequencer.submit(change).await.unwrap();
    assert!(matches!(settled.outcome, Outcome::Recorded(_)), "{:?}", settled.outcome);
}

/// What a keeper leaves that is killed between the intent of an imported key and its outcome.
async fn torn(site: &Site, config: &Config) {
    let read = |file: String| fs::read(site.folder().join(file)).unwrap();
    let token = open_token(config).unwrap();
    let (sequencer, _) = open_store(config).unwrap();
    install_seals(config, &token, &sequencer).unwrap();
    sequencer.restore_control().unwrap();
    let intent =
        KeyIntentLeaf { schema: Schema, id: TORN, kind: KeyKind::CardMaster, name: name(KEY), version: 1 };
    for (number, custodian) in OFFICERS.iter().enumerate().take(2) {
        // Not before all of them are given.
        let early = sequencer.submit(Change::KeyIntent(intent.clone())).await.unwrap();
        assert!(matches!(early.outcome, Outcome::Refused(_)), "{:?}", early.outcome);
        let payload = read(format!("payload-{number}"));
        let request: GiveComponent = cbor::decode(&payload, 4096).unwrap();
        let leaf = ChangedLeaf {
            schema: Schema,
            principal: name(custodian),
            operation: Operation::ComponentGive,
            statement: Statement(Blob::try_from(read(format!("give-{number}"))).unwrap()),
        };
        let retry =
            Retry { principal: name(custodian), idem: request.idem, payload_digest: sha256(&[&payload]) };
        recorded(&sequencer, Change::Alter { retry, leaf }).await;
    }
    recorded(&sequencer, Change::KeyIntent(intent)).await;
    token.import_known(ObjectId(*TORN.as_bytes()), KEY, &published().key).unwrap();
    sequencer.close();
}

#[test]
fn a_key_torn_between_intent_and_outcome_is_named_never_used_and_destroyed_when_the_components_come_again() {
    let test = "a_key_torn_between_intent_and_outcome_is_named_never_used_and_destroyed_when_the_components_come_again";
    let body = |site: &Site, _: &str| {
        let config = Config::read(&site.service_config()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(torn(site, &config));
    };
    let Some(mut ground) = raw::with_tokens(test, &["service"], components_ready, body) else { return };
    let folder = ground.site().folder().to_owned();
    let before: usize = fs::read_to_string(folder.join("objects")).unwrap().parse().unwrap();
    let proposal = ProposalId::new(fs::read(folder.join("proposal")).unwrap().try_into().unwrap());
    assert_eq!(objects(&ground), before + 1);
    ground.start().unwrap();
    let said = fs::read_to_string(ground.log()).unwrap();
    assert!(said.contains("an intent without outcome: its object is not used"), "{said}");
    assert!(said.contains(&TORN.to_string()), "{said}");
    let [mut ann, mut ben, _] = officers(&ground);
    assert_eq!((key_state(&mut ann, KEY, 1), outcomes(&ground)), (None, vec![]));
    assert_eq!(offer(&mut ann, proposal).1, [0; 0]);

    let [one, two] = published().components;
    assert_eq!(give(&mut ann, proposal, &one).unwrap().missing.to_vec(), [2]);
    let key = give(&mut ben, proposal, &two).unwrap().key.unwrap();
    assert_ne!(key.id, TORN);
    // What was torn was the same key under another identifier.
    assert_eq!(objects(&ground), before + 1);
    let leaves = raw::leaves(&ground);
    assert_eq!((raw::keys_intended(&leaves).len(), raw::keys_made(&leaves).len()), (2, 1));
    ground.stop();
    ground.start().unwrap();
    let [mut ann, _, _] = officers(&ground);
    assert_eq!(key_state(&mut ann, KEY, 1), Some(KeyState::PreActivation));
}
