//! The order to make a key, broken off between the people's act and the key, and carried out by two at a time; and a
//! destroyed key whose object comes back.

use keysvc::{
    config::Config,
    keeper::{
        founding::{open_token, storage},
        ledger::{Change, Outcome, Reader, Retry, Sequencer},
        serve::now_ms,
        start::{install_seals, open_store},
    },
};
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    hash::sha256,
    key::{KeyKind, KeyState},
    leaf::{ChangedLeaf, KeyDestroyedLeaf, LeafKind},
    quorum::Verdict,
    request::{ApproveProposal, CreateKey, Operation},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{self, create, destroy, done, name, propose},
    cards,
    copies::Copies,
    ground::{Ground, OFFICERS, text},
    raw,
    service_token::objects,
};
use softhsm_setup::Site;
use std::fs;

const KEY: &str = "spare";

/// A service that was stopped when all but the last vote for a key was there; the vote and the request lie in its folder.
fn one_vote_short() -> Ground {
    let mut ground = Ground::new();
    let [mut ann, ben] =
        [OFFICERS[0], OFFICERS[1]].map(|one| cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), one));
    let request = create(KEY, KeyKind::CardMaster);
    let pending = propose(&mut ann, Operation::KeyCreate, &request).unwrap();
    pending.approve(&mut ann).unwrap();
    let approval = pending.verdict(&ben, Verdict::Approve);
    let vote = ApproveProposal { schema: Schema, id: pending.id(), approval };
    let folder = ground.site().folder();
    fs::write(folder.join("vote"), cbor::encode(&vote)).unwrap();
    fs::write(folder.join("request"), cbor::encode(&request)).unwrap();
    fs::write(folder.join("objects"), objects(&ground).to_string()).unwrap();
    ground.stop();
    ground
}

async fn recorded(sequencer: &Sequencer, change: Change) {
    let settled = sequencer.submit(change).await.unwrap();
    assert!(matches!(settled.outcome, Outcome::Recorded(_)), "{:?}", settled.outcome);
}

/// What a keeper leaves that is killed after the act by which people ordered a key: no intent, no key.
async fn order(site: &Site, sequencer: &Sequencer) {
    let read = |file: &str| fs::read(site.folder().join(file)).unwrap();
    let vote: ApproveProposal = cbor::decode(&read("vote"), 4096).unwrap();
    let cast = Change::Vote {
        caller: name(OFFICERS[1]),
        proposal: vote.id,
        verdict: Verdict::Approve,
        approval: vote.approval,
        request: Digest::new([0; 32]),
    };
    recorded(sequencer, cast).await;
    let control = sequencer.control().unwrap();
    let open = control.open_proposal(&vote.id).unwrap();
    let request: CreateKey = cbor::decode(&read("request"), 4096).unwrap();
    let principal = open.proposal.request.requester.clone();
    let leaf = ChangedLeaf {
        schema: Schema,
        principal: principal.clone(),
        operation: Operation::KeyCreate,
        statement: open.proposal.request.statement.clone(),
    };
    let retry = Retry { principal, idem: request.idem, payload_digest: sha256(&[&read("request")]) };
    let change = Box::new(Change::Alter { retry, leaf });
    recorded(sequencer, Change::ByQuorum { evidence: open.evidence(), change }).await;
}

fn restored(site: &Site, body: impl AsyncFnOnce(&Config, &keysvc_token::Token, &Sequencer, &Reader)) {
    let config = Config::read(&site.service_config()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let token = open_token(&config).unwrap();
        let (sequencer, reader) = open_store(&config).unwrap();
        install_seals(&config, &token, &sequencer).unwrap();
        sequencer.restore_control().unwrap();
        body(&config, &token, &sequencer, &reader).await;
        sequencer.close();
    });
}

fn before(ground: &Ground) -> usize {
    fs::read_to_string(ground.site().folder().join("objects")).unwrap().parse().unwrap()
}

#[test]
fn a_key_that_people_ordered_is_made_at_the_start_and_once() {
    let test = "a_key_that_people_ordered_is_made_at_the_start_and_once";
    let body = |site: &Site, _: &str| restored(site, async |_, _, sequencer, _| order(site, sequencer).await);
    let Some(mut ground) = raw::with_tokens(test, &["service"], one_vote_short, body) else { return };
    let before = before(&ground);
    assert_eq!(objects(&ground), before);
    for _ in 0..2 {
        ground.start().unwrap();
        assert_eq!(objects(&ground), before + 1);
        let leaves = raw::leaves(&ground);
        assert_eq!(raw::keys_intended(&leaves).len(), 1);
        let [made] = raw::keys_made(&leaves).try_into().unwrap();
        assert_eq!((made.key.name.as_str(), made.key.version), (KEY, 1));
        assert_eq!(made.key.state, KeyState::PreActivation);
        ground.stop();
    }
    ground.start().unwrap();
    let mut ann = cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), OFFICERS[0]);
    assert_eq!(agreed::key_state(&mut ann, KEY, 1), Some(KeyState::PreActivation));
}

/// Two carry out one order at the same moment, as two repetitions of a request do.
async fn made_twice(config: &Config, token: &keysvc_token::Token, sequencer: &Sequencer) {
    let control = sequencer.control().unwrap();
    let (_, order) = control.keys().orders().next().unwrap();
    let storage = storage(config, token);
    let (one, other) = tokio::join!(
        storage.create_key(sequencer, order, now_ms()),
        storage.create_key(sequencer, order, now_ms())
    );
    let (one, other) = (one.unwrap().0, other.unwrap().0);
    assert_eq!(one, other);
    assert_eq!(storage.create_key(sequencer, order, now_ms()).await.unwrap().0, one);
}

#[test]
fn an_order_that_two_carry_out_at_the_same_moment_makes_one_key() {
    let test = "an_order_that_two_carry_out_at_the_same_moment_makes_one_key";
    let body = |site: &Site, _: &str| {
        restored(site, async |config, token, sequencer, reader| {
            order(site, sequencer).await;
            made_twice(config, token, sequencer).await;
            // Both had announced theirs; the one that came too late left nothing but its intent.
            assert_eq!(reader.open_intents().unwrap().len(), 1);
        });
    };
    let Some(mut ground) = raw::with_tokens(test, &["service"], one_vote_short, body) else { return };
    assert_eq!(objects(&ground), before(&ground) + 1);
    ground.start().unwrap();
    assert_eq!(raw::keys_made(&raw::leaves(&ground)).len(), 1);
    assert_eq!(objects(&ground), before(&ground) + 1);
}

#[test]
fn a_destroyed_key_that_is_back_in_the_token_keeps_the_keeper_from_serving_and_is_named() {
    let mut ground = Ground::new();
    let mut all = OFFICERS.map(|one| cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), one));
    let tokens = [ground.site().service().token_folder()];
    let before = objects(&ground);
    let holding = {
        let [ann, ben, cat] = &mut all;
        done(&mut [&mut *ann, &mut *ben], Operation::KeyCreate, &create(KEY, KeyKind::CardMaster));
        assert_eq!(objects(&ground), before + 1);
        let holding = Copies::of(&tokens);
        agreed::agree(&mut [ann, ben, cat], Operation::KeyDestroy, &destroy(KEY, 1)).unwrap();
        holding
    };
    let gone =
        |ground: &Ground| raw::of_kind::<KeyDestroyedLeaf>(&raw::leaves(ground), LeafKind::KeyDestroyed);
    agreed::until("the key is destroyed and that is on record", || gone(&ground).len() == 1);
    let id = gone(&ground)[0].id;
    assert_eq!(objects(&ground), before);
    ground.stop();
    let doctor = |ground: &Ground| text(&ground.keysvc(&["doctor"]).output().unwrap());
    let said = doctor(&ground);
    assert!(said.contains("1 key, nothing of it left in the token"), "{said}");
    let gone = Copies::of(&tokens);
    holding.put_back();
    let words = format!("the key {KEY} ({id}) was destroyed, and the token holds it");
    let said = ground.keeper_refuses();
    assert!(said.contains(&words), "{said}");
    let said = doctor(&ground);
    assert!(said.contains(&format!("FAIL  destroyed      refusing to serve: {words}")), "{said}");
    gone.put_back();
    ground.start().unwrap();
}
