//! Every refusal that the operations can give, through the real daemon: the exact variant with what would have been
//! enough, that nothing was half done, and the leaf that tells of it.

#[path = "refusals/malformed.rs"]
mod malformed;
#[path = "refusals/station.rs"]
mod station;

use keysvc_protocol::{
    bytes::{Digest, Idem},
    cbor,
    checkpoint::{Checkpoint, Origin, SignedCheckpoint},
    cose::Kind,
    hash::sha256,
    leaf::{LeafKind, RefusalsCountedLeaf, RefusedLeaf},
    refusal::{Forbids, Invalid, Refusal, Thing},
    reply::{CheckpointReply, KeyReply, ProofReply, StatusReply, ValueUpdateReply},
    request::{
        Operation, ReadCheckpoint, ReadEntries, ReadKey, ReadProof, UpdateValue,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
};
use keysvc_tests::{
    custody,
    good_requests::{derive, good},
    ground::Ground,
    raw::{self, Caller},
};
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

fn invalid(reason: Invalid) -> Refusal {
    Refusal::Invalid { reason }
}

fn missing(what: Thing) -> Refusal {
    Refusal::NotFound { what }
}

/// What a good request of this operation is refused with, with what belongs beside it.
fn refused_good(caller: &mut Caller, operation: Operation) -> Refusal {
    let message = caller.message(operation, good(operation));
    let sealed = (operation == Operation::ComponentGive).then_some([7_u8; 97].as_slice());
    caller.line.post(operation.name(), &custody::beside(message, sealed)).refusal()
}

/// Asks and gives the refusal; a reply of any kind is a failure.
fn refusal(caller: &mut Caller, operation: Operation, request: &impl Serialize) -> Refusal {
    let message = caller.message(operation, cbor::encode(request));
    caller.line.post(operation.name(), &raw::envelope(message)).refusal()
}

/// What the log tells of one persona's refusals.
fn told(ground: &Ground, persona: &str) -> Vec<(Operation, Refusal, Digest)> {
    let refused = raw::refused(ground, persona).into_iter();
    refused.map(|leaf| (leaf.operation, leaf.refusal, leaf.request)).collect()
}

fn counted(ground: &Ground) -> Vec<RefusalsCountedLeaf> {
    raw::of_kind(&raw::leaves(ground), LeafKind::RefusalsCounted)
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Refusals of one principal in a minute that have a leaf each.
const LEAVES: usize = 10;
/// Those with their statement key in a token first.
const PERSONAS: [&str; 11] = [
    "station-1",
    "officer-1",
    "monitor-1",
    "terminal-1",
    "terminal-2",
    "office-1",
    "auditor-1",
    "platform-1",
    "data-1",
    "operator-1",
    "reviewer-1",
];
/// Of them, with a token.
const WITH_TOKENS: usize = 3;

/// What kind of principal each is.
fn kind_of(persona: &str) -> &str {
    match persona.split('-').next().unwrap() {
        "data" | "operator" | "reviewer" | "monitor" => "operator",
        kind => kind,
    }
}

/// Which of the good requests this persona may not make, as the ceiling says, in the order of their operations.
fn not_for(persona: &str) -> Vec<Operation> {
    let kind = kind_of(persona);
    let may = |operation: &Operation| match operation {
        Operation::Status | Operation::LogCheckpoint | Operation::LogProof | Operation::BundleGet => true,
        Operation::ProfileGet | Operation::ProfileList => true,
        Operation::KeyList
        | Operation::KeyGet
        | Operation::PrincipalList
        | Operation::KeyImpact
        | Operation::PolicyGet => ["officer", "auditor", "platform"].contains(&kind),
        Operation::JobOpen
        | Operation::JobResume
        | Operation::JobCount
        | Operation::JobIncident
        | Operation::JobClose
        | Operation::CardDerive
        | Operation::CardResult => kind == "station",
        // By what an operator may do: each of them has one capability.
        Operation::JobCreate | Operation::JobItems | Operation::JobSeal | Operation::JobWithdraw => {
            persona == "data-1"
        }
        // Nobody operates the job.
        Operation::JobSuspend => false,
        Operation::JobGet | Operation::JobList => {
            ["station", "operator", "officer", "auditor"].contains(&kind)
        }
        Operation::JobRecord => {
            ["office", "officer", "auditor"].contains(&kind) || ["data-1", "reviewer-1"].contains(&persona)
        }
        Operation::CardCheck => kind != "platform",
        Operation::CardTransition => ["terminal", "office"].contains(&kind),
        Operation::ComponentKey | Operation::ComponentGive => ["officer", "operator"].contains(&kind),
        // The other terminal is of another organisation than the programme.
        Operation::ValueUpdate => persona == "terminal-1",
        Operation::ValueBatch => ["terminal", "office"].contains(&kind),
        Operation::LogEntries => kind == "auditor",
        Operation::ProposalList | Operation::ProposalGet => kind != "platform",
        Operation::ProposalCancel | Operation::ProposalResult => !["auditor", "platform"].contains(&kind),
        // Its own keys alone.
        Operation::PrincipalRotate => persona == "station-1",
        Operation::FreezeList => ["officer", "auditor", "platform", "office"].contains(&kind),
        Operation::EvidenceGet => ["officer", "auditor", "office"].contains(&kind),
        // What moves principals, keys, profiles, policies, freezes and thresholds, the votes, and what of imports and
        // ceremonies belongs to it. An office does not freeze everything.
        _ => kind == "officer",
    };
    Operation::ALL.into_iter().filter(|operation| !may(operation)).collect()
}

fn is_kept_out(site: &softhsm_setup::Site, persona: &str) {
    let mut caller = Caller::new(site, persona);
    for operation in not_for(persona) {
        assert_eq!(refused_good(&mut caller, operation), Refusal::Forbidden, "{persona} {operation}");
    }
    // What everyone enrolled may do, on the same connection.
    caller.ask_bytes::<StatusReply>(Operation::Status, good(Operation::Status)).unwrap();
    caller.ask_bytes::<CheckpointReply>(Operation::LogCheckpoint, good(Operation::LogCheckpoint)).unwrap();
    caller.ask_bytes::<ProofReply>(Operation::LogProof, good(Operation::LogProof)).unwrap();
}

#[test]
fn nobody_is_let_into_another_kinds_operation_and_each_attempt_has_its_leaf() {
    let test = "nobody_is_let_into_another_kinds_operation_and_each_attempt_has_its_leaf";
    let Some(mut ground) = raw::with_tokens(test, &PERSONAS[..WITH_TOKENS], Ground::new, is_kept_out) else {
        return;
    };
    // A terminal of another organisation is among them.
    for persona in &PERSONAS[WITH_TOKENS..] {
        is_kept_out(ground.site(), persona);
    }
    let leaves: Vec<RefusedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::Refused);
    assert!(leaves.iter().all(|leaf| leaf.refusal == Refusal::Forbidden));
    for persona in PERSONAS {
        let own = leaves.iter().filter(|leaf| leaf.principal.as_str() == persona);
        let own: Vec<_> = own.map(|leaf| leaf.operation).collect();
        assert_eq!(own, not_for(persona).into_iter().take(LEAVES).collect::<Vec<_>>(), "{persona}");
    }
    // The rest of a minute is counted, by name.
    ground.stop();
    ground.start().unwrap();
    let counted = counted(&ground);
    for persona in PERSONAS {
        let own =
            counted.iter().filter(|leaf| leaf.principal.as_ref().is_some_and(|one| one.as_str() == persona));
        let rest = not_for(persona).len().saturating_sub(LEAVES);
        assert_eq!(own.map(|leaf| leaf.count).sum::<u64>(), rest as u64, "{persona}");
    }
    // Forbidden was decided before anything was done: the purse has not begun.
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &raw::update(Load, 1, 100, 0)).unwrap();
}

#[test]
fn a_stranger_with_a_good_certificate_is_unauthenticated_everywhere_and_only_counted() {
    let mut ground = Ground::new();
    let began_ms = now_ms();
    let mut stranger = Caller::new(ground.site(), "stranger");
    for operation in Operation::ALL {
        assert_eq!(refused_good(&mut stranger, operation), Refusal::Unauthenticated, "{operation}");
    }
    ground.stop();
    ground.start().unwrap();
    let leaves = raw::leaves(&ground);
    assert_eq!(raw::of_kind::<RefusedLeaf>(&leaves, LeafKind::Refused), []);
    let [leaf] = counted(&ground).try_into().unwrap();
    assert_eq!((leaf.count, leaf.principal), (Operation::ALL.len() as u64, None));
    assert!(leaf.from_ms <= began_ms);
}

#[test]
fn what_does_not_exist_is_not_found_and_named() {
    let ground = Ground::new();
    let mut officer = Caller::new(ground.site(), "officer-1");
    let key = |name: &str, version| ReadKey { schema: Schema, name: name.parse().unwrap(), version };
    for request in [key("value-2", None), key("value-1", Some(2)), key("value-1", Some(0))] {
        assert_eq!(refusal(&mut officer, Operation::KeyGet, &request), missing(Thing::Key));
    }
    officer.ask::<KeyReply>(Operation::KeyGet, &key("value-1", Some(1))).unwrap();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let tea = UpdateValue { programme: "tea".parse().unwrap(), ..raw::update(Load, 1, 100, 0) };
    assert_eq!(refusal(&mut terminal, Operation::ValueUpdate, &tea), missing(Thing::Programme));
    let mut auditor = Caller::new(ground.site(), "auditor-1");
    let checkpoint = ReadCheckpoint { schema: Schema, genesis: false };
    let newest: CheckpointReply = auditor.ask(Operation::LogCheckpoint, &checkpoint).unwrap();
    let size = newest.checkpoint.checkpoint().head.size;
    let beyond = ReadEntries { schema: Schema, from: size, to: size + 100 };
    assert_eq!(refusal(&mut auditor, Operation::LogEntries, &beyond), missing(Thing::Leaf));
    let proof = |size, leaf, earlier| ReadProof { schema: Schema, size, leaf, earlier };
    assert_eq!(refusal(&mut auditor, Operation::LogProof, &proof(2, Some(2), None)), missing(Thing::Leaf));
    for request in
        [proof(0, None, None), proof(u64::MAX, None, None), proof(2, None, Some(0)), proof(2, None, Some(3))]
    {
        assert_eq!(refusal(&mut auditor, Operation::LogProof, &request), missing(Thing::Tree), "{request:?}");
    }
    for name in ["key.export", "status2", "Status", "value", "value/update", ""] {
        let answer = auditor.line.post(name, &raw::envelope(good(Operation::Status)));
        assert_eq!((answer.status, answer.refusal()), (404, missing(Thing::Operation)), "{name}");
    }
    let told: Vec<_> =
        told(&ground, "officer-1").into_iter().map(|(operation, refusal, _)| (operation, refusal)).collect();
    assert_eq!(told, vec![(Operation::KeyGet, missing(Thing::Key)); 3]);
}

#[test]
fn what_is_no_request_at_all_is_invalid_http_or_too_long_and_the_connection_may_go_on() {
    let ground = Ground::new();
    let mut auditor = Caller::new(ground.site(), "auditor-1");
    let body = raw::envelope(good(Operation::Status));
    let good_head = String::from_utf8(raw::http("status", &[])).unwrap();
    let heads = [
        good_head.replace("POST", "GET"),
        good_head.replace("POST", "PUT"),
        good_head.replace("/v1/status", "/v1/status?x=1"),
        good_head.replace("/v1/status", "/v2/status"),
        good_head.replace("/v1/status", "/"),
        good_head.replace("application/cbor", "application/json"),
        good_head.replace("application/cbor", "application/cbor; charset=utf-8"),
        good_head.replace("content-type: application/cbor\r\n", ""),
        good_head.replace("content-type:", "content-type: application/cbor\r\ncontent-type:"),
    ];
    let socket = auditor.line.socket();
    for head in heads {
        auditor.line.send(head.as_bytes()).unwrap();
        assert_eq!(auditor.line.answer().unwrap().refusal(), invalid(Invalid::Http), "{head}");
    }
    assert_eq!(auditor.line.post("status", &body).status, 200);
    assert_eq!(auditor.line.socket(), socket);
    // A body of 64 KiB is read; its announcement of one more is enough to refuse it.
    let longest = vec![0; cbor::REQUEST_LEN_MAX];
    assert_eq!(auditor.line.post("status", &longest).refusal(), invalid(Invalid::Encoding));
    let head = good_head.replace("content-length: 0", "content-length: 65537");
    auditor.line.send(head.as_bytes()).unwrap();
    let answer = auditor.line.answer().unwrap();
    assert_eq!((answer.status, answer.refusal()), (413, invalid(Invalid::TooLong)));
}

#[test]
fn a_range_that_ends_before_it_begins_or_is_too_long_is_refused() {
    let ground = Ground::new();
    let mut auditor = Caller::new(ground.site(), "auditor-1");
    for (from, to) in [(0, 0), (2, 1), (0, 513), (0, u64::MAX), (u64::MAX, 0)] {
        let request = ReadEntries { schema: Schema, from, to };
        assert_eq!(
            refusal(&mut auditor, Operation::LogEntries, &request),
            invalid(Invalid::Range),
            "{from} {to}"
        );
    }
}

#[test]
fn a_statement_that_is_none_or_not_the_callers_for_this_operation_and_log_is_refused() {
    let ground = Ground::new();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let genesis = raw::genesis(ground.site());
    let (own, others) = (raw::key(ground.site(), "terminal-1"), raw::key(ground.site(), "terminal-2"));
    let payload = good(Operation::ValueUpdate);
    let request = Kind::Request(Operation::ValueUpdate);
    let sign = |kind, scope: &[u8]| raw::sign(&own, kind, scope, payload.clone());
    let whole = sign(request, genesis.as_bytes());
    let changed = |place: usize| {
        let mut message = whole.clone();
        message[place] ^= 1;
        message
    };
    let cases = [
        // No statement at all: the plain payload, nothing, without tag 18, of another kind.
        (payload.clone(), Invalid::NotSigned),
        (Vec::new(), Invalid::NotSigned),
        (whole[1..].to_vec(), Invalid::NotSigned),
        ([whole.as_slice(), &[0]].concat(), Invalid::NotSigned),
        (sign(Kind::ValueUpdate, genesis.as_bytes()), Invalid::NotSigned),
        // A statement, but another key's, another operation's, another log's, or changed.
        (raw::sign(&others, request, genesis.as_bytes(), payload.clone()), Invalid::Signature),
        (sign(Kind::Request(Operation::CardDerive), genesis.as_bytes()), Invalid::Signature),
        (sign(request, &[7; 32]), Invalid::Signature),
        (changed(whole.len() - 1), Invalid::Signature),
        (changed(whole.len() - 80), Invalid::Signature),
    ];
    let mut expected = Vec::new();
    for (message, reason) in cases {
        let request = sha256(&[&message]);
        let answer = terminal.line.post("value.update", &raw::envelope(message));
        assert_eq!(answer.refusal(), invalid(reason));
        expected.push((Operation::ValueUpdate, invalid(reason), request));
    }
    assert_eq!(told(&ground, "terminal-1"), expected);
    terminal.line.put::<ValueUpdateReply>(Operation::ValueUpdate, whole).unwrap();
}

#[test]
fn a_checkpoint_this_service_did_not_sign_is_refused_as_seen() {
    let ground = Ground::new();
    let mut auditor = Caller::new(ground.site(), "auditor-1");
    let request = ReadCheckpoint { schema: Schema, genesis: false };
    let newest: CheckpointReply = auditor.ask(Operation::LogCheckpoint, &request).unwrap();
    let true_head = newest.checkpoint.checkpoint().clone();
    let forger = raw::key(ground.site(), "terminal-1");
    let sign = |checkpoint: &Checkpoint| {
        use keysvc_client::signer::StatementSigner as _;
        let signature = forger.sign(checkpoint.text().as_bytes()).unwrap();
        SignedCheckpoint::assemble(checkpoint, &signature, forger.public_key().spki())
    };
    let other: Origin = "other.test/keysvc/1".parse().unwrap();
    let mut ahead = true_head.clone();
    ahead.head.size += 1_000;
    let forged = [sign(&true_head), sign(&ahead), sign(&Checkpoint { origin: other, ..true_head.clone() })];
    for seen in forged {
        let envelope = keysvc_protocol::request::Envelope {
            schema: Schema,
            request: cbor::encode(&request).try_into().unwrap(),
            seen: Some(seen),
            beside: None,
        };
        let answer = auditor.line.post("log.checkpoint", &cbor::encode(&envelope));
        assert_eq!(answer.refusal(), invalid(Invalid::Seen));
    }
    // Nobody stopped it by that.
    auditor.ask::<CheckpointReply>(Operation::LogCheckpoint, &request).unwrap();
}

#[test]
fn a_wrong_purse_currency_sequence_or_balance_is_refused_with_what_would_have_been_right() {
    let ground = Ground::new();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let first = raw::update(Load, 1, 2_000, 0);
    let cases = [
        (UpdateValue { amount: 0, ..first.clone() }, invalid(Invalid::ZeroAmount)),
        (
            UpdateValue { currency: 840, ..first.clone() },
            Refusal::ProfileForbids { reason: Forbids::Currency { expected: 978 } },
        ),
        (UpdateValue { purse: 2, ..first.clone() }, Refusal::ProfileForbids { reason: Forbids::Purse }),
        (raw::update(Load, 0, 2_000, 0), Refusal::CounterConflict { expected_seq: 1 }),
        (raw::update(Load, 2, 2_000, 0), Refusal::CounterConflict { expected_seq: 1 }),
        (raw::update(Load, u64::MAX, 2_000, 0), Refusal::CounterConflict { expected_seq: 1 }),
        (raw::update(Load, 1, 2_000, 1), Refusal::BalanceMismatch { balance: 0 }),
        (raw::update(Debit, 1, 1, 0), Refusal::LimitExceeded { limit: 0 }),
    ];
    let mut expected = Vec::new();
    for (request, refused) in cases {
        let message = terminal.message(Operation::ValueUpdate, cbor::encode(&request));
        let digest = sha256(&[&message]);
        assert_eq!(
            terminal.line.post("value.update", &raw::envelope(message)).refusal(),
            refused,
            "{request:?}"
        );
        expected.push((Operation::ValueUpdate, refused, digest));
    }
    assert_eq!(told(&ground, "terminal-1"), expected);
    // Nothing of them stayed: the first update is still the first, and the numbers go on from it.
    terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &first).unwrap();
    let again = raw::update(Debit, 1, 350, 2_000);
    assert_eq!(
        refusal(&mut terminal, Operation::ValueUpdate, &again),
        Refusal::CounterConflict { expected_seq: 2 }
    );
    let wrong = raw::update(Debit, 2, 350, 1_999);
    assert_eq!(
        refusal(&mut terminal, Operation::ValueUpdate, &wrong),
        Refusal::BalanceMismatch { balance: 2_000 }
    );
    terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &raw::update(Debit, 2, 350, 2_000)).unwrap();
}

#[test]
fn a_load_or_payment_past_a_limit_is_refused_with_the_limit_and_one_at_it_is_not() {
    let ground = Ground::new();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let mut balance = 0;
    let good = |terminal: &mut Caller, request: UpdateValue| {
        terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &request).unwrap();
    };
    let past = |terminal: &mut Caller, request: UpdateValue, limit| {
        let refused = refusal(terminal, Operation::ValueUpdate, &request);
        assert_eq!(refused, Refusal::LimitExceeded { limit }, "{request:?}");
    };
    for amount in [20_001, i64::MAX as u64, u64::MAX] {
        past(&mut terminal, raw::update(Debit, 1, amount, 0), 20_000);
    }
    // 1,000.00 at a time: what a terminal may load alone by the shipped policies.
    for seq in 1..=9 {
        good(&mut terminal, raw::update(Load, seq, 100_000, balance));
        balance += 100_000;
    }
    good(&mut terminal, raw::update(Load, 10, 50_000, 900_000));
    past(&mut terminal, raw::update(Load, 11, 50_001, 950_000), 1_000_000);
    good(&mut terminal, raw::update(Load, 11, 50_000, 950_000));
    past(&mut terminal, raw::update(Load, 12, 1, 1_000_000), 1_000_000);
    past(&mut terminal, raw::update(Debit, 12, 20_001, 1_000_000), 20_000);
    good(&mut terminal, raw::update(Debit, 12, 20_000, 1_000_000));
    // Another card, with less on it than one payment may be.
    let other = |request: UpdateValue| UpdateValue { card: "04782e21801d81".parse().unwrap(), ..request };
    good(&mut terminal, other(raw::update(Load, 1, 10_001, 0)));
    past(&mut terminal, other(raw::update(Debit, 2, 10_002, 10_001)), 10_001);
    good(&mut terminal, other(raw::update(Debit, 2, 10_001, 10_001)));
}

#[test]
fn a_transaction_number_used_for_another_request_is_an_idem_conflict() {
    let ground = Ground::new();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let first = UpdateValue { txn: Idem::new([9; 16]), ..raw::update(Load, 1, 2_000, 0) };
    let reply: ValueUpdateReply = terminal.ask(Operation::ValueUpdate, &first).unwrap();
    let others = [
        UpdateValue { amount: 2_001, ..first.clone() },
        UpdateValue { expected_seq: 2, balance_before: 2_000, ..first.clone() },
        UpdateValue { card: "04782e21801d81".parse().unwrap(), ..first.clone() },
    ];
    for other in &others {
        assert_eq!(refusal(&mut terminal, Operation::ValueUpdate, other), Refusal::IdemConflict);
    }
    let again: ValueUpdateReply = terminal.ask(Operation::ValueUpdate, &first).unwrap();
    assert_eq!(again.receipt.leaf_index, reply.receipt.leaf_index);
    let told: Vec<_> = told(&ground, "terminal-1").into_iter().map(|(_, refusal, _)| refusal).collect();
    assert_eq!(told, vec![Refusal::IdemConflict; 3]);
    // A refused request leaves its number free: it was never used.
    let txn = Idem::new([8; 16]);
    let wrong = UpdateValue { txn, ..raw::update(Debit, 3, 1, 2_000) };
    let refused = refusal(&mut terminal, Operation::ValueUpdate, &wrong);
    assert_eq!(refused, Refusal::CounterConflict { expected_seq: 2 });
    let right = UpdateValue { txn, ..raw::update(Debit, 2, 1, 2_000) };
    terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &right).unwrap();
}

#[test]
fn ten_refusals_a_minute_have_leaves_and_the_rest_are_counted_by_name() {
    let mut ground = Ground::new();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    for _ in 0..25 {
        let wrong = raw::update(Load, 7, 100, 0);
        let refused = refusal(&mut terminal, Operation::ValueUpdate, &wrong);
        assert_eq!(refused, Refusal::CounterConflict { expected_seq: 1 });
    }
    // Another's ten are their own.
    let mut other = Caller::new(ground.site(), "terminal-2");
    assert_eq!(
        refusal(&mut other, Operation::ValueUpdate, &raw::update(Load, 1, 100, 0)),
        Refusal::Forbidden
    );
    assert_eq!((told(&ground, "terminal-1").len(), told(&ground, "terminal-2").len()), (10, 1));
    assert_eq!(counted(&ground), []);
    // The end of the minute writes the count, and so does an orderly stop.
    ground.stop();
    ground.start().unwrap();
    let [leaf] = counted(&ground).try_into().unwrap();
    assert_eq!((leaf.count, leaf.principal), (15, Some("terminal-1".parse().unwrap())));
    assert_eq!(told(&ground, "terminal-1").len(), 10);
}
