//! Clients as witnesses: an old or rewritten store does not get past one that saw more.
//!
//! Old copies of store and anchor are made and put back while the service is stopped, as whoever rolls a machine back
//! would.

use keysvc_client::{ClientConfig, ClientError, Reader, Terminal, terminal::SignedUpdate};
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    checkpoint::{Checkpoint, Origin, SignedCheckpoint},
    key::KeyKind,
    leaf::{LeafKind, RollbackLeaf},
    merkle::TreeHead,
    public_key::PublicKey,
    receipt::LEAF_PAYLOAD_LEN_MAX,
    refusal::{Invalid, Refusal},
    reply::{ServiceState, StatusReply},
    request::{Envelope, Operation, ReadStatus, UpdateValue, ValueOperation},
    schema::Schema,
    trust::Trust,
};
use keysvc_tests::{
    copies::Copies,
    ground::{Ground, text},
    raw::{self, Line, leaves, of_kind},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const CARD: &str = "04782e21801d80";

fn store(ground: &Ground) -> PathBuf {
    ground.site().service().folder().join("store")
}

fn anchor(ground: &Ground) -> PathBuf {
    ground.site().service().folder().join("anchor")
}

/// Store and anchor as they are now, and the memory of the auditor by whom the ground knows that the service serves:
/// it would find a rollback out before the terminal under test does.
fn past(ground: &Ground) -> Copies {
    Copies::of(&[store(ground), anchor(ground), ground.config("auditor-1").state])
}

fn load(card: &str, amount: u64, last: Option<&SignedUpdate>) -> UpdateValue {
    let (seq, balance) = last.map_or((1, 0), |last| (last.update.seq + 1, last.update.balance_after));
    UpdateValue {
        schema: Schema,
        programme: "coffee".parse().unwrap(),
        card: card.parse().unwrap(),
        purse: 1,
        operation: ValueOperation::Load,
        expected_seq: seq,
        amount,
        currency: 978,
        balance_before: balance,
        txn: Terminal::new_txn().unwrap(),
    }
}

/// `count` loads of one card by a client of this configuration.
fn loads(ground: &Ground, config: &ClientConfig, amount: u64, count: usize) -> Result<(), ClientError> {
    ground.block_on(async {
        let terminal = Terminal::connect(config).await?;
        let mut last = None;
        for _ in 0..count {
            last = Some(terminal.update(&load(CARD, amount, last.as_ref())).await?);
        }
        Ok(())
    })
}

/// A terminal's configuration with a state folder of its own.
fn client(ground: &Ground, state: &str) -> ClientConfig {
    let mut config = ground.config("terminal-1");
    config.state = config.state.with_file_name(state);
    fs::create_dir(&config.state).unwrap();
    config
}

fn kept(config: &ClientConfig) -> SignedCheckpoint {
    SignedCheckpoint::parse(&fs::read(config.state.join("checkpoint")).unwrap()).unwrap()
}

fn size(checkpoint: &SignedCheckpoint) -> u64 {
    checkpoint.checkpoint().head.size
}

fn evidence(config: &ClientConfig) -> Vec<PathBuf> {
    let files = fs::read_dir(&config.state).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.is_dir()).collect()
}

/// A site that was started once: its first start makes a key, and a store from before that does not agree with the token.
fn started() -> Ground {
    let mut ground = Ground::new();
    ground.stop();
    ground
}

/// A site whose terminal holds a checkpoint of `later` updates, and whose store and anchor are those before them.
fn rolled_back(later: usize) -> (Ground, ClientConfig) {
    let mut ground = started();
    let old = past(&ground);
    ground.start().unwrap();
    let config = client(&ground, "witness");
    loads(&ground, &config, 500, later).unwrap();
    ground.stop();
    old.put_back();
    ground.start().unwrap();
    (ground, config)
}

/// The leaf that the ledger keeps of a rollback, read from the store beside the running keeper.
fn rollback_leaf(ground: &Ground) -> Option<RollbackLeaf> {
    let reader = keysvc::keeper::ledger::Reader::open(&store(ground)).unwrap();
    let leaf = reader.leaf(reader.halted().unwrap()?).unwrap();
    Some(cbor::decode(&leaf.payload, LEAF_PAYLOAD_LEN_MAX).unwrap())
}

fn refused(result: Result<(), ClientError>) -> Refusal {
    match result {
        Err(ClientError::Refused(reply)) => reply.refusal,
        other => panic!("{other:?}"),
    }
}

fn status(ground: &Ground) -> StatusReply {
    ground.block_on(async { ground.auditor().await.unwrap().reader().status().await.unwrap() })
}

#[test]
fn an_old_store_and_anchor_are_found_out_by_a_terminal_that_saw_more_and_serving_stops_for_good() {
    // The older store is smaller than what the terminal saw.
    let (mut ground, config) = rolled_back(20);
    let saw = kept(&config);
    assert!(size(&saw) > size(&status(&ground).checkpoint));
    assert_eq!(status(&ground).state, ServiceState::Serving);
    assert_eq!(refused(loads(&ground, &config, 500, 1)), Refusal::HistoryRolledBack);
    assert_eq!(status(&ground).state, ServiceState::RolledBack);

    let leaf = rollback_leaf(&ground).unwrap();
    assert_eq!((leaf.principal.as_str(), &leaf.shown), ("terminal-1", &saw));
    // Everyone is refused now, whatever they saw.
    let fresh = client(&ground, "fresh");
    assert_eq!(refused(loads(&ground, &fresh, 500, 1)), Refusal::HistoryRolledBack);
    ground.block_on(async {
        let auditor = ground.auditor().await.unwrap();
        let refusal = auditor.entries(0, 1).await.unwrap_err();
        assert_eq!(refusal.refusal(), Some(&Refusal::HistoryRolledBack));
        let refusal = auditor.reader().keys().await.unwrap_err();
        assert_eq!(refusal.refusal(), Some(&Refusal::HistoryRolledBack));
    });

    ground.stop();
    ground.start().unwrap();
    assert_eq!(status(&ground).state, ServiceState::RolledBack);
    let again = client(&ground, "again");
    assert_eq!(refused(loads(&ground, &again, 500, 1)), Refusal::HistoryRolledBack);
    assert_eq!(rollback_leaf(&ground), Some(leaf));
}

#[test]
fn a_rewritten_store_that_is_as_large_is_found_out_by_a_terminal_that_saw_the_other_branch() {
    let (ground, config) = rolled_back(5);
    loads(&ground, &client(&ground, "other"), 700, 5).unwrap();
    let (saw, now) = (kept(&config), status(&ground).checkpoint);
    assert_eq!(size(&saw), size(&now));
    assert_ne!(saw.checkpoint().head.root, now.checkpoint().head.root);
    assert_eq!(refused(loads(&ground, &config, 500, 1)), Refusal::HistoryRolledBack);
    assert_eq!(rollback_leaf(&ground).unwrap().shown, saw);
}

#[test]
fn a_rewritten_store_that_has_grown_past_what_the_terminal_saw_is_found_out() {
    let (ground, config) = rolled_back(3);
    loads(&ground, &client(&ground, "other"), 700, 9).unwrap();
    assert!(size(&status(&ground).checkpoint) > size(&kept(&config)));
    assert_eq!(refused(loads(&ground, &config, 500, 1)), Refusal::HistoryRolledBack);
    assert_eq!(rollback_leaf(&ground).unwrap().shown, kept(&config));
}

#[test]
fn a_client_refuses_a_rewritten_log_by_itself_and_keeps_both_signed_heads() {
    let mut ground = Ground::founded();
    ground.start().unwrap();
    // Two processes of one terminal share a state folder; the second one saw only the common beginning.
    let config = client(&ground, "shared");
    let terminal = ground.block_on(Terminal::connect(&config)).unwrap();
    let common = kept(&config);
    ground.stop();
    let old = past(&ground);
    ground.start().unwrap();
    loads(&ground, &config, 500, 3).unwrap();
    let saw = kept(&config);
    ground.stop();
    old.put_back();
    ground.start().unwrap();

    // The same number of leaves on the other branch, of which the keeper cannot know: it is shown the beginning.
    loads(&ground, &client(&ground, "other"), 700, 2).unwrap();
    assert_eq!(terminal.reader().seen(), Some(common));
    let asked = load("04a1b2c3d4e5f6", 700, None);
    let refused = ground.block_on(terminal.update(&asked)).unwrap_err();
    let ClientError::Untrusted { what, evidence: Some(folder) } = refused else { panic!("{refused:?}") };
    assert_eq!(what, "two signed roots for one size");
    assert_eq!(evidence(&config), std::slice::from_ref(&folder));
    let note = |name: &str| SignedCheckpoint::parse(&fs::read(folder.join(name)).unwrap()).unwrap();
    assert_eq!(note("held"), saw);
    assert_eq!(size(&note("received")), size(&saw));
    assert_ne!(note("received").checkpoint().head.root, saw.checkpoint().head.root);
    assert!(fs::read_to_string(folder.join("about")).unwrap().starts_with("value.update "));
    // What it held it still holds, and shows next.
    assert_eq!(kept(&config), saw);
    assert_eq!(refused_by(&ground, &terminal), Refusal::HistoryRolledBack);
}

fn refused_by(ground: &Ground, terminal: &Terminal) -> Refusal {
    refused(ground.block_on(terminal.update(&load("04ffeeddccbbaa", 700, None))).map(drop))
}

#[test]
fn an_old_store_under_a_newer_anchor_is_not_started() {
    let mut ground = Ground::founded();
    let old = Copies::of(&[store(&ground)]);
    ground.start().unwrap();
    let config = client(&ground, "witness");
    loads(&ground, &config, 500, 5).unwrap();
    ground.stop();
    old.put_back();
    let said = ground.keeper_refuses();
    let words = format!("anchor: the log has 1 leaves and the anchor {}", size(&kept(&config)));
    assert!(said.contains(&words), "{said}");
    assert!(said.contains("an old store was put back, restore the newest one"), "{said}");
}

#[test]
fn another_branch_under_a_newer_anchor_is_not_started() {
    let mut ground = started();
    let old = past(&ground);
    ground.start().unwrap();
    loads(&ground, &client(&ground, "one"), 500, 2).unwrap();
    ground.stop();
    let newer = Copies::of(&[anchor(&ground)]);
    old.put_back();
    ground.start().unwrap();
    loads(&ground, &client(&ground, "other"), 700, 5).unwrap();
    ground.stop();
    newer.put_back();
    let said = ground.keeper_refuses();
    assert!(said.contains("anchored ones; this is another store, restore the right one"), "{said}");
}

/// Asks for the status and claims to have seen `note`.
fn show(line: &mut Line, note: &[u8]) -> Result<StatusReply, Refusal> {
    // By hand, because the client's type does not hold what is not a note: field 2, a byte string.
    let request = cbor::encode(&ReadStatus { schema: Schema });
    let envelope =
        Envelope { schema: Schema, request: Blob::try_from(request).unwrap(), seen: None, beside: None };
    let mut body = cbor::encode(&envelope);
    body[0] += 1;
    body.push(2);
    body.extend(cbor::encode(&Blob::<4096>::try_from(note.to_vec()).unwrap()));
    line.post(Operation::Status.name(), &body).read()
}

#[test]
fn a_checkpoint_that_this_service_did_not_sign_is_invalid_and_stops_nothing() {
    let ground = Ground::new();
    let trust = Trust::parse(&fs::read_to_string(ground.site().trust()).unwrap()).unwrap();
    let newest = status(&ground).checkpoint;
    let mut line = Line::open(ground.site(), "auditor-1");
    assert_eq!(show(&mut line, newest.as_bytes()).unwrap().state, ServiceState::Serving);

    let foreign = raw::key(ground.site(), "terminal-2");
    let signed = |origin: Origin, head: TreeHead| {
        let checkpoint = Checkpoint { origin, head };
        let signature =
            keysvc_client::signer::StatementSigner::sign(&foreign, checkpoint.text().as_bytes()).unwrap();
        let spki = keysvc_client::signer::StatementSigner::public_key(&foreign);
        SignedCheckpoint::assemble(&checkpoint, &signature, spki.spki().as_ref())
    };
    let ahead = TreeHead { size: 1_000_000, root: newest.checkpoint().head.root };
    let ours = Origin::of(&trust.domain, 1);
    // Another's signature under our name; our own key's name over another's signature; another epoch.
    let by_another = signed(ours.clone(), ahead);
    let note = String::from_utf8(newest.as_bytes().to_vec()).unwrap();
    let mut lines: Vec<&str> = note.lines().collect();
    let million = "1000000".to_owned();
    lines[1] = &million;
    let moved = format!("{}\n", lines.join("\n"));
    let next_epoch = signed(Origin::of(&trust.domain, 2), ahead);
    for (what, note) in [
        ("by another key", by_another.as_bytes()),
        ("moved ahead", moved.as_bytes()),
        ("another epoch", next_epoch.as_bytes()),
    ] {
        let refusal = show(&mut line, note).unwrap_err();
        assert_eq!(refusal, Refusal::Invalid { reason: Invalid::Seen }, "{what}");
    }
    // What is not a note at all does not even read as a request.
    for note in [b"".as_slice(), b"not a note", &note.as_bytes()[..note.len() - 1]] {
        let refusal = show(&mut line, note).unwrap_err();
        assert_eq!(refusal, Refusal::Invalid { reason: Invalid::Encoding });
    }
    assert_eq!(status(&ground).state, ServiceState::Serving);
    let refused = raw::refused(&ground, "auditor-1");
    let seen = refused.iter().filter(|leaf| leaf.refusal == Refusal::Invalid { reason: Invalid::Seen });
    assert_eq!(seen.count(), 3);
    assert_eq!(of_kind::<RollbackLeaf>(&leaves(&ground), LeafKind::RollbackShown), []);
}

fn verify(ground: &Ground, export: &Path, previous: &[&Path]) -> Output {
    let mut fobaudit = Command::new(&ground.programs().fobaudit);
    fobaudit.arg("verify").arg(export).arg("--trust").arg(ground.site().trust());
    for previous in previous {
        fobaudit.arg("--previous").arg(previous);
    }
    fobaudit.output().unwrap()
}

fn export(ground: &Ground, name: &str) -> PathBuf {
    let folder = ground.site().folder().join(name);
    ground.block_on(async {
        ground.auditor().await.unwrap().export(&folder, |_, _| {}).await.unwrap();
    });
    folder
}

#[test]
fn two_clients_heads_meet_in_the_offline_verifier() {
    let mut ground = started();
    let old = past(&ground);
    ground.start().unwrap();
    let (one, two) = (client(&ground, "one"), client(&ground, "two"));
    loads(&ground, &one, 500, 1).unwrap();
    // The second client makes a card's second update, so it saw more.
    ground.block_on(async {
        let terminal = Terminal::connect(&two).await.unwrap();
        terminal.update(&load("04a1b2c3d4e5f6", 500, None)).await.unwrap();
    });
    let [first, second] = [&one, &two].map(|config| config.state.join("checkpoint"));
    let whole = export(&ground, "whole");
    let verified = verify(&ground, &whole, &[&first, &second]);
    assert!(verified.status.success(), "{}", text(&verified));

    // Two clients were each shown a branch of their own: either one's head tells against the other's log.
    ground.stop();
    old.put_back();
    ground.start().unwrap();
    let other = client(&ground, "other");
    loads(&ground, &other, 700, 9).unwrap();
    let branch = export(&ground, "branch");
    assert!(verify(&ground, &branch, &[&other.state.join("checkpoint")]).status.success());
    for seen in [&first, &second] {
        let verified = verify(&ground, &branch, &[seen]);
        assert_eq!(verified.status.code(), Some(6), "{}", text(&verified));
    }
}

#[test]
fn the_checkpoint_key_a_client_believes_is_the_foundings() {
    let ground = Ground::new();
    ground.block_on(async {
        let reader = Reader::connect(&ground.config("auditor-1")).await.unwrap();
        let keys = reader.keys().await.unwrap();
        let key = keys.iter().find(|key| key.kind == KeyKind::Checkpoint).unwrap();
        let public = PublicKey::from_spki(key.public.as_ref().unwrap().as_bytes()).unwrap();
        assert_eq!(&public, reader.founded().checkpoint_key());
    });
}
