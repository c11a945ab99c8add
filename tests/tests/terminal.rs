//! A terminal's day: a load, a payment, a repetition after a lost answer, a wrong sequence number; many cards at once,
//! a hub's batch, a second endpoint, and hours without the service.

use keysvc_client::{
    ClientConfig, ClientError, Hub, blocking,
    hub::NotReleased,
    protocol,
    terminal::{Offline, SignedRequest, SignedUpdate},
};
use keysvc_protocol::{
    bytes::Idem,
    cose::{Kind, Signed},
    refusal::Refusal,
    reply::ValueUpdateReply,
    request::{Operation, ValueOperation},
    value::ValueUpdate,
};
use keysvc_tests::{
    ground::{Ground, text},
    raw::{self, Caller},
    tills::next_update,
};
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const CARD: &str = "04782e21801d80";

fn payload(record: &[u8], ground: &Ground, signed: &SignedUpdate) -> Vec<u8> {
    // The key of the first record, as the client took it from the founding.
    let genesis = raw::genesis(ground.site());
    let founded = ground.block_on(async {
        let terminal = ground.terminal("terminal-1").await?;
        let identifier = Signed::parse(&signed.record).unwrap().key_identifier();
        let key = terminal.reader().founded().value_key(&signed.update.programme, identifier);
        Ok::<_, ClientError>(key.unwrap())
    });
    let payload =
        Signed::parse(record).unwrap().open(Kind::ValueUpdate, genesis.as_bytes(), &founded.unwrap());
    payload.unwrap().to_vec()
}

#[test]
fn a_terminal_loads_pays_and_repeats_and_every_update_is_signed_once_in_the_log() {
    let ground = Ground::new();
    let (load, pay) =
        (raw::update(ValueOperation::Load, 1, 2_000, 0), raw::update(ValueOperation::Debit, 2, 350, 2_000));
    let (loaded, paid, again, wrong) = ground.block_on(async {
        let terminal = ground.terminal("terminal-1").await.unwrap();
        assert_eq!(terminal.name().as_str(), "terminal-1");
        let loaded = terminal.update(&load).await.unwrap();
        let paid = terminal.update(&pay).await.unwrap();
        let again = terminal.update(&load).await.unwrap();
        let wrong = terminal.update(&raw::update(ValueOperation::Debit, 2, 350, 1_650)).await.unwrap_err();
        (loaded, paid, again, wrong)
    });
    assert_eq!((loaded.update.seq, loaded.update.balance_after), (1, 2_000));
    assert_eq!((paid.update.seq, paid.update.balance_after), (2, 1_650));
    assert_eq!(paid.update.previous, ValueUpdate::link(&payload(&loaded.record, &ground, &loaded)));
    // The same payload and leaf under a fresh signature, although the purse has moved on.
    assert_eq!((&again.update, again.leaf_index), (&loaded.update, loaded.leaf_index));
    assert_ne!(again.record, loaded.record);
    assert_eq!(payload(&again.record, &ground, &loaded), payload(&loaded.record, &ground, &loaded));
    assert_eq!(wrong.refusal(), Some(&Refusal::CounterConflict { expected_seq: 3 }));
    assert_eq!(wrong.exit_code(), 7);
    // One leaf for each update, the repetition has none.
    let leaves = raw::leaves(&ground);
    let updated: Vec<protocol::leaf::ValueUpdatedLeaf> =
        raw::of_kind(&leaves, protocol::leaf::LeafKind::ValueUpdated);
    let recorded: Vec<_> = updated.iter().map(|leaf| leaf.update.as_bytes().to_vec()).collect();
    assert_eq!(recorded, [&loaded, &paid].map(|signed| payload(&signed.record, &ground, &loaded)));
}

#[test]
fn an_update_repeated_a_hundred_times_on_one_socket_stays_one_update() {
    let ground = Ground::new();
    let mut caller = Caller::new(ground.site(), "terminal-1");
    let socket = caller.line.socket();
    let request = raw::update(ValueOperation::Load, 1, 2_000, 0);
    let statement = caller.message(Operation::ValueUpdate, protocol::cbor::encode(&request));
    let mut leaf = None;
    for _ in 0..100 {
        let reply: ValueUpdateReply = caller.line.put(Operation::ValueUpdate, statement.clone()).unwrap();
        assert_eq!(*leaf.get_or_insert(reply.receipt.leaf_index), reply.receipt.leaf_index);
        reply.receipt.check_inclusion().unwrap();
    }
    assert_eq!(caller.line.socket(), socket);
    let updated: Vec<protocol::leaf::ValueUpdatedLeaf> =
        raw::of_kind(&raw::leaves(&ground), protocol::leaf::LeafKind::ValueUpdated);
    assert_eq!(updated.len(), 1);
}

#[test]
fn a_new_terminal_process_repeats_an_update_by_its_transaction_number() {
    let ground = Ground::new();
    let run = |out: &str| {
        let out = ground.site().folder().join(out);
        let mut command = ground.fobctl("terminal-1", &["value", "load", "--json"]);
        command.args(["--programme", "coffee", "--card", CARD, "--purse", "1", "--amount", "20.00"]);
        command.args(["--seq", "1", "--balance", "0.00", "--txn", "000102030405060708090a0b0c0d0e0f"]);
        let output = command.arg("--out").arg(&out).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (report, std::fs::read(out).unwrap())
    };
    let ((first, record), (second, again)) = (run("first"), run("second"));
    assert_eq!(
        first["txn"],
        Idem::new(core::array::from_fn(|place| u8::try_from(place).unwrap())).to_string()
    );
    assert_eq!((&first["seq"], &first["leaf_index"]), (&second["seq"], &second["leaf_index"]));
    assert_ne!(record, again, "a fresh signature");
}

/// A card's UID of this number.
fn card(number: u8) -> String {
    format!("04782e21801d{number:02x}")
}

fn evidence(config: &ClientConfig) -> usize {
    let files = fs::read_dir(&config.state).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.is_dir()).count()
}

#[test]
fn one_handle_serves_many_cards_at_once_and_every_late_head_is_proved() {
    let ground = Ground::new();
    let config = ground.config("terminal-1");
    let last = ground.block_on(async {
        let terminal = ground.terminal("terminal-1").await.unwrap();
        let cards: Vec<_> = (0..8)
            .map(|number| {
                let terminal = terminal.clone();
                tokio::spawn(async move {
                    let mut last: Option<SignedUpdate> = None;
                    for _ in 0..5 {
                        let request = next_update(&card(number), last.as_ref());
                        last = Some(terminal.update(&request).await.unwrap());
                    }
                    last.unwrap()
                })
            })
            .collect();
        for card in cards {
            assert_eq!(card.await.unwrap().update.seq, 5);
        }
        terminal.reader().seen().unwrap()
    });
    assert_eq!(evidence(&config), 0);
    assert!(last.checkpoint().head.size > 40);
    let updated: Vec<protocol::leaf::ValueUpdatedLeaf> =
        raw::of_kind(&raw::leaves(&ground), protocol::leaf::LeafKind::ValueUpdated);
    assert_eq!(updated.len(), 40);
}

#[test]
fn threads_share_a_blocking_handle_and_processes_a_state_folder() {
    let ground = Ground::new();
    let config = ground.config("terminal-1");
    // Two handles know nothing of each other, as two processes would.
    let terminals = [(); 2].map(|()| blocking::Terminal::connect(&config).unwrap());
    thread::scope(|scope| {
        for number in 0..6 {
            let terminal = &terminals[usize::from(number % 2)];
            scope.spawn(move || {
                let mut last: Option<SignedUpdate> = None;
                for _ in 0..4 {
                    last = Some(terminal.update(&next_update(&card(number), last.as_ref())).unwrap());
                }
            });
        }
    });
    assert_eq!(evidence(&config), 0);
    let kept = fs::read(config.state.join("checkpoint")).unwrap();
    let kept = protocol::checkpoint::SignedCheckpoint::parse(&kept).unwrap();
    assert!(kept.checkpoint().head.size > 24);
}

#[test]
fn a_terminal_goes_on_at_another_endpoint_and_says_what_it_reached_when_none_answers() {
    let mut ground = Ground::new();
    let mut config = ground.config("terminal-1");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    config.endpoints.insert(0, nobody.clone());
    let terminal = blocking::Terminal::connect(&config).unwrap();
    assert_eq!(terminal.update(&raw::update(ValueOperation::Load, 1, 2_000, 0)).unwrap().update.seq, 1);
    ground.stop();
    let began = Instant::now();
    let hurried = terminal.with_deadline(Duration::from_millis(700));
    let error = hurried.update(&raw::update(ValueOperation::Debit, 2, 350, 2_000)).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(error.exit_code(), 4);
    for endpoint in &config.endpoints {
        assert!(error.to_string().contains(&format!("{endpoint}: ")), "{error}");
    }
    assert_eq!(config.endpoints[0], nobody);
}

/// Requests of one terminal, signed while nothing is sent.
fn signed(
    ground: &Ground,
    terminal: &str,
    requests: &[protocol::request::UpdateValue],
) -> Vec<SignedRequest> {
    let terminal = blocking::Terminal::connect(&ground.config(terminal)).unwrap();
    requests.iter().map(|request| terminal.sign_update(request).unwrap()).collect()
}

#[test]
fn a_hub_sends_what_terminals_signed_and_a_refused_one_leaves_the_others_whole() {
    let ground = Ground::new();
    let loaded = raw::update(ValueOperation::Load, 1, 2_000, 0);
    let wrong = raw::update(ValueOperation::Debit, 7, 100, 2_000);
    let paid = raw::update(ValueOperation::Debit, 2, 350, 2_000);
    let mut updates = signed(&ground, "terminal-1", &[loaded.clone(), wrong, paid.clone()]);
    let (first, second) = ground.block_on(async {
        let hub = Hub::connect(&ground.config("office-1")).await.unwrap();
        // As bytes, the way they come from the tills.
        updates = updates.iter().map(|update| hub.accept(update.as_bytes().to_vec()).unwrap()).collect();
        (hub.send(&updates).await.unwrap(), hub.send(&updates).await.unwrap())
    });
    let [Ok(load), Err(NotReleased::Refused(refusal)), Ok(pay)] = first.as_slice() else {
        panic!("{first:?}")
    };
    assert_eq!(*refusal, Refusal::CounterConflict { expected_seq: 2 });
    assert_eq!((load.update.seq, pay.update.seq, pay.update.balance_after), (1, 2, 1_650));
    assert_ne!(load.leaf_index, pay.leaf_index);
    // The batch again, or one of its updates alone, is the same request.
    let [Ok(again), Err(_), Ok(_)] = second.as_slice() else { panic!("{second:?}") };
    assert_eq!((&again.update, again.leaf_index), (&load.update, load.leaf_index));
    let alone = blocking::Terminal::connect(&ground.config("terminal-1")).unwrap().update(&paid).unwrap();
    assert_eq!((alone.update, alone.leaf_index), (pay.update.clone(), pay.leaf_index));
    let updated: Vec<protocol::leaf::ValueUpdatedLeaf> =
        raw::of_kind(&raw::leaves(&ground), protocol::leaf::LeafKind::ValueUpdated);
    assert_eq!(updated.len(), 2);
}

#[test]
fn a_terminal_verifies_with_its_bundle_while_the_service_is_away() {
    let mut ground = Ground::new();
    let config = ground.config("terminal-1");
    let (record, held_until_ms) = {
        let terminal = blocking::Terminal::connect(&config).unwrap();
        let loaded = terminal.update(&raw::update(ValueOperation::Load, 1, 2_000, 0)).unwrap();
        let offline = terminal.bundle().unwrap();
        assert!(offline.bundle().development);
        // The service sends it once, and proves again that it is in force.
        assert_eq!(terminal.bundle().unwrap(), offline);
        (loaded, offline.bundle().not_after_ms)
    };
    ground.stop();
    let issued_at_ms = record.update.issued_at_ms;
    let offline = Offline::open(&config).unwrap();
    assert_eq!(offline.verify(&record.record, issued_at_ms).unwrap(), record.update);
    let expired = offline.verify(&record.record, held_until_ms + 1).unwrap_err();
    assert!(expired.to_string().contains("it held until 20"), "{expired}");
    let mut altered = record.record;
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(offline.verify(&altered, issued_at_ms).unwrap_err().exit_code(), 6);
    // Another terminal of the site has none.
    assert!(!Path::new(&ground.config("terminal-2").state).join("bundle").exists());
    assert_eq!(Offline::open(&ground.config("terminal-2")).unwrap_err().exit_code(), 4);
}
