//! A terminal's day: a load, a payment, a repetition after a lost answer, a wrong sequence number.

use keysvc_client::{ClientError, protocol, terminal::SignedUpdate};
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
