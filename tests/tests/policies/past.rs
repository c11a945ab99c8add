//! The past under other policies: a log in which all that is recorded has happened once, replayed.

use super::shop::{CAP, Shop};
use keysvc_protocol::{
    bytes::{Blob, Digest, ShortCheck},
    card::CardState,
    cbor,
    export::{PAYLOAD_FILE_LEN_MAX, PayloadFile, Span},
    founding::PrincipalKind,
    freeze::Scope,
    job::{Counts, Incident, ItemData, JobHead, JobItem},
    key::KeyKind,
    leaf::{LeafKind, RetentionClass},
    list::List,
    quorum::Need,
    refusal::Refusal,
    reply::{
        CardsMovedReply, EvidenceReply, JobChangedReply, JobRecordReply, KeyListReply, ValueBatchReply,
        ValueUpdateReply,
    },
    request::{
        ComponentOrder, ConfirmClock, ImportKey, ListKeys, MoveCards, Operation, ReadEvidence, ReadJobRecord,
        RotatePrincipal, SetQuorum, UpdateValues,
        ValueOperation::{Debit, Load},
        WithdrawJob,
    },
    schema::Schema,
};
use keysvc_tests::{
    agreed::{self, alone, done, propose, send},
    ground::text,
    jobs::{self, Bench},
    raw::{self, Caller},
};
use serde_json::Value;
use std::{collections::BTreeMap, fs};

/// Where in the log the requests are that the tests look for.
struct Lived {
    small_load: u64,
    large_load: u64,
    lift: u64,
}

/// Has everything happen that a log records of requests.
fn live(shop: &Shop) -> Lived {
    let ground = &shop.ground;
    let [mut ann, mut ben, mut cat] = shop.officers();
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let update = |terminal: &mut Caller, request| {
        let sent = send::<ValueUpdateReply>(terminal, Operation::ValueUpdate, &request).unwrap();
        let agreed::Sent::Done(reply) = sent else { panic!("it waits for people") };
        reply.receipt.leaf_index
    };
    let small_load = update(&mut terminal, raw::update(Load, 1, 30_000, 0));
    update(&mut terminal, raw::update(Debit, 2, 5_000, 30_000));
    let large =
        propose(&mut terminal, Operation::ValueUpdate, &raw::update(Load, 3, 500_000, 25_000)).unwrap();
    large.approved_by(&mut [&mut ann, &mut ben]).unwrap();
    let item = terminal.message(Operation::ValueUpdate, cbor::encode(&raw::update(Load, 4, 100, 525_000)));
    let items = List::try_from(vec![Blob::try_from(item).unwrap()]).unwrap();
    let batch = UpdateValues { schema: Schema, updates: items };
    let _: ValueBatchReply =
        Caller::new(ground.site(), "office-1").ask(Operation::ValueBatch, &batch).unwrap();
    a_job(shop);

    done(&mut [&mut ann, &mut ben], Operation::KeyCreate, &agreed::create("spare", KeyKind::CardMaster));
    done(&mut [&mut ben, &mut cat], Operation::KeyActivate, &agreed::activate("spare", 1));
    alone(&mut cat, Operation::KeySuspend, &agreed::suspend("spare", 1)).unwrap();
    let scope = Scope::Terminal { name: agreed::name("terminal-2") };
    alone(&mut ann, Operation::FreezeSet, &agreed::freeze(&scope)).unwrap();
    let lift = done(&mut [&mut ann, &mut cat], Operation::FreezeLift, &agreed::lift(&scope));
    let newcomer = ground.newcomer("terminal-9", PrincipalKind::Terminal, "acme");
    done(&mut [&mut ann, &mut cat], Operation::PrincipalEnrol, &newcomer);
    alone(&mut ann, Operation::PrincipalDisable, &agreed::disable("terminal-9")).unwrap();
    done(&mut [&mut ann, &mut cat], Operation::PrincipalEnable, &agreed::enable("terminal-9"));
    let next = agreed::next_version(&mut ann, "known");
    done(&mut [&mut ann, &mut cat], Operation::ProfilePut, &agreed::put(&next));
    alone(&mut ann, Operation::CeremonyRecord, &agreed::record_ceremony(&["officer-1", "officer-2"]))
        .unwrap();
    let threshold = SetQuorum {
        schema: Schema,
        idem: agreed::idem(),
        operation: Operation::KeyRetire,
        need: Need::of(3),
    };
    agreed::agree(&mut [&mut ann, &mut ben, &mut cat], Operation::QuorumSet, &threshold).unwrap();

    let mut second = Caller::new(ground.site(), "terminal-2");
    let rotate = RotatePrincipal {
        schema: Schema,
        idem: agreed::idem(),
        id: agreed::name("terminal-2"),
        tls_key: Some(Digest::new([9; 32])),
        statement_key: None,
        wrapping_key: None,
    };
    let rotated = propose(&mut second, Operation::PrincipalRotate, &rotate).unwrap();
    rotated.approved_by(&mut [&mut ann, &mut cat]).unwrap();
    let clock = ConfirmClock { schema: Schema, idem: agreed::idem(), time_ms: large.proposal.created_ms };
    done(&mut [&mut ann, &mut cat], Operation::ClockConfirm, &clock);
    done(&mut [&mut ann, &mut ben, &mut cat], Operation::KeyImport, &import());
    // Another set that says the same: the past is put to the policies whatever was in force.
    let same = agreed::propose_policy(&format!("{}\n// the same", keysvc_policies::DEFAULT_SITE));
    done(&mut [&mut ann, &mut ben, &mut cat], Operation::PolicyPropose, &same);

    let create = |name: &str| agreed::create(name, KeyKind::CardMaster);
    let rejected = propose(&mut ann, Operation::KeyCreate, &create("rejected")).unwrap();
    rejected.reject(&mut ben).unwrap();
    let withdrawn = propose(&mut ann, Operation::KeyCreate, &create("withdrawn")).unwrap();
    withdrawn.cancel(&mut cat).unwrap();
    let evidence = ReadEvidence { schema: Schema, id: large.id() };
    let _: EvidenceReply = ann.ask(Operation::EvidenceGet, &evidence).unwrap();
    let denied = terminal.ask::<KeyListReply>(Operation::KeyList, &ListKeys { schema: Schema });
    assert_eq!(denied.unwrap_err(), Refusal::Forbidden);
    // Its leaf holds too little to be decided again.
    let conflict =
        send::<ValueUpdateReply>(&mut terminal, Operation::ValueUpdate, &raw::update(Debit, 9, 1, 0));
    assert!(conflict.is_err());
    Lived { small_load, large_load: large.reply.receipt.leaf_index, lift: lift.reply.receipt.leaf_index }
}

/// Has everything happen to a job and its cards.
fn a_job(shop: &Shop) {
    let site = shop.ground.site();
    let mut bench = Bench::new(env!("CARGO_BIN_EXE_card"), &shop.ground, "station-1");
    let (job, card) = ("order-1", "04782e21801d81");
    bench.floor.prepare(job, &jobs::head("known", 1, 1));
    let shift = bench.floor.open((&mut bench.station, "station-1"), job).unwrap();
    let delivery = bench.derive(&shift, &[card]).unwrap();
    let mut operator = Caller::new(site, "operator-1");
    let stop = jobs::suspend(job, Counts::default());
    operator.ask::<JobChangedReply>(Operation::JobSuspend, &stop).unwrap();
    bench.floor.resume((&mut bench.station, "station-1"), job).unwrap();
    let text = agreed::reason;
    let incident =
        Incident { equipment: text(), time_ms: jobs::now_ms(), cause: text(), place: text(), in_hand: 1 };
    bench.floor.incident(&mut bench.station, job, &incident).unwrap();
    bench.good(&shift, &delivery).unwrap();
    let counts = Counts { good: 1, ..Counts::default() };
    bench.floor.finish(&mut bench.station, job, counts, "station-1");
    let record = ReadJobRecord { schema: Schema, job: agreed::name(job) };
    Caller::new(site, "auditor-1").ask::<JobRecordReply>(Operation::JobRecord, &record).unwrap();
    let cards = vec![card.parse().unwrap()].try_into().unwrap();
    let moved = MoveCards {
        schema: Schema,
        idem: agreed::idem(),
        cards,
        to: CardState::Active,
        location: None,
        holder: None,
    };
    Caller::new(site, "office-1").ask::<CardsMovedReply>(Operation::CardTransition, &moved).unwrap();
    // One that is not begun, whose items are still there, and one of which nothing comes.
    let head = JobHead { listed: true, ..jobs::head("known", 1, 1) };
    let data = ItemData(Blob::try_from(b"name".to_vec()).unwrap());
    let items = [JobItem { card: "04782e21801d82".parse().unwrap(), data }];
    bench.floor.create("order-2", &head).unwrap();
    bench.floor.add("order-2", &items).unwrap();
    bench.floor.seal("order-2", &head, &items).unwrap();
    bench.floor.create("order-3", &jobs::head("known", 1, 1)).unwrap();
    let withdrawn = WithdrawJob {
        schema: Schema,
        idem: agreed::idem(),
        job: agreed::name("order-3"),
        reason: agreed::reason(),
    };
    bench.floor.data[0].ask::<JobChangedReply>(Operation::JobWithdraw, &withdrawn).unwrap();
}

/// The order of a key whose components never come.
fn import() -> ImportKey {
    let component = |custodian: &str, digit: u8| ComponentOrder {
        custodian: agreed::name(custodian),
        check: ShortCheck::new([digit; 5]),
    };
    let components = vec![component("officer-1", 1), component("officer-2", 2)];
    ImportKey {
        schema: Schema,
        idem: agreed::idem(),
        name: agreed::name("imported"),
        kind: KeyKind::CardMaster,
        check: ShortCheck::new([3; 5]),
        components: List::try_from(components).unwrap(),
        reason: agreed::reason(),
    }
}

/// Replays the export under the folder's set.
fn replay(shop: &Shop) -> Value {
    shop.json("officer-1", &["policy", "replay", &shop.path("policies"), "--export", &shop.path("log")])
}

/// What differs: the leaf, what was decided and what would be.
fn differences(report: &Value) -> BTreeMap<u64, String> {
    let all = report["differences"].as_array().unwrap().iter();
    let said = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
    all.map(|one| {
        (one["leaf"].as_u64().unwrap(), format!("{} -> {}", said(one, "before"), said(one, "after")))
    })
    .collect()
}

/// How many requests an export of so many leaves records: an act and the proposal it was are one.
fn recorded(shop: &Shop, size: u64) -> u64 {
    let leaves = raw::leaves(&shop.ground);
    let requests = leaves.iter().filter(|(entry, payload)| match entry.kind {
        LeafKind::SiteChanged
        | LeafKind::FreezeChanged
        | LeafKind::ValueUpdated
        | LeafKind::CardKeysDerived
        | LeafKind::JobOpened
        | LeafKind::JobChanged
        | LeafKind::JobItemsAdded
        | LeafKind::IncidentReported
        | LeafKind::CardsChanged
        | LeafKind::JobRecordMade
        | LeafKind::EntriesRead
        | LeafKind::EvidenceRead
        | LeafKind::ProposalMade
        | LeafKind::ProposalVoted
        | LeafKind::ProposalClosed => true,
        LeafKind::Refused => {
            let leaf: keysvc_protocol::leaf::RefusedLeaf = cbor::decode(payload, payload.len()).unwrap();
            leaf.operation == Operation::KeyList
        }
        _ => false,
    });
    u64::try_from(requests.filter(|(entry, _)| entry.index < size).count()).unwrap()
}

#[test]
fn a_log_differs_in_nothing_under_the_policies_that_were_in_force() {
    let shop = Shop::new();
    live(&shop);
    shop.export();
    let report = replay(&shop);
    assert_eq!(differences(&report), BTreeMap::new(), "{report}");
    let size = report["to_leaf"].as_u64().unwrap();
    assert_eq!((&report["from_leaf"], &report["withheld"]), (&0.into(), &0.into()));
    let requests = report["requests"].as_u64().unwrap();
    assert_eq!(requests, recorded(&shop, size), "{report}");
    assert!(requests >= 40, "{report}");
    assert_eq!(report["refused"], Value::from(1), "{report}");
    // The last leaves alone are the same requests, and the state is followed from the founding all the same.
    let last = ["--export", &shop.path("log"), "--last", "5", "--json"];
    let output = shop.policy("officer-1", "replay", &last);
    let few: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&few["from_leaf"], &few["differing"]), (&(size - 5).into(), &0.into()), "{few}");
}

#[test]
fn other_policies_differ_in_exactly_the_requests_they_would_decide_otherwise() {
    let shop = Shop::new();
    let Lived { small_load, large_load, lift } = live(&shop);
    shop.export();
    shop.edit("summer.cedar", CAP);
    shop.edit(
        "lift.cedar",
        "forbid (principal, action == Action::\"freeze.lift\", resource) unless { context.persons >= 3 };",
    );
    let stricter = replay(&shop);
    let expected = [
        (small_load, "allowed -> denied"),
        (large_load, "takes 2 people of 2 departments -> denied"),
        (lift, "takes 2 people -> takes 3 people"),
    ];
    assert_eq!(
        differences(&stricter),
        expected.map(|(leaf, words)| (leaf, words.to_owned())).into(),
        "{stricter}"
    );
    let load = stricter["differences"][0]["request"].as_str().unwrap();
    assert!(
        load.starts_with("terminal terminal-1 of roastery may value.update a load of 30000 minor units"),
        "{load}"
    );

    // Wider ones are found as well: what took people would take nobody.
    for file in ["summer.cedar", "lift.cedar"] {
        fs::remove_file(shop.path(&format!("policies/{file}"))).unwrap();
    }
    let wide = keysvc_policies::DEFAULT_SITE.replace("context.amount <= 100000", "context.amount <= 900000");
    shop.edit("site.cedar", &wide);
    let wider = replay(&shop);
    let expected = [(large_load, "takes 2 people of 2 departments -> allowed".to_owned())];
    assert_eq!(differences(&wider), expected.into(), "{wider}");
}

/// Withholds the payloads of one bundle that are not kept for good, as an export does once their storage key is gone.
fn withhold(shop: &Shop, size: u64) -> usize {
    let span = Span::of(0, size).unwrap();
    let path = shop.path(&format!("log/{}", span.payload_path()));
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.len() < PAYLOAD_FILE_LEN_MAX);
    let mut payloads = PayloadFile::decode(&bytes, span).unwrap();
    let mut withheld = 0;
    for ((entry, _), payload) in raw::leaves(&shop.ground).iter().zip(&mut payloads) {
        if entry.kind.class() == RetentionClass::Operational {
            *payload = keysvc_protocol::export::LeafPayload::default();
            withheld += 1;
        }
    }
    fs::write(&path, cbor::encode(&PayloadFile::new(payloads).unwrap())).unwrap();
    withheld
}

#[test]
fn what_an_export_withholds_is_counted_and_what_is_kept_for_good_is_decided_all_the_same() {
    let shop = Shop::new();
    live(&shop);
    shop.export();
    let size = replay(&shop)["to_leaf"].as_u64().unwrap();
    let withheld = withhold(&shop, size);
    let report = replay(&shop);
    assert_eq!(differences(&report), BTreeMap::new(), "{report}");
    // A proposal's end without its act is no request, nor can it be known to be one. What is kept of a job by another key
    // is still there, and cannot be decided without the job's past.
    let kept = |(entry, _): &&raw::Leaf| {
        matches!(entry.kind.class(), RetentionClass::Incident | RetentionClass::Job)
    };
    let of_jobs = raw::leaves(&shop.ground).iter().filter(kept).count();
    assert_eq!(of_jobs, 2);
    let unknown = withheld - 1 + of_jobs;
    assert_eq!(report["withheld"], Value::from(unknown), "{report}");
    assert!(report["requests"].as_u64().unwrap() >= 9, "{report}");
}

#[test]
fn an_export_that_was_changed_or_is_of_another_log_decides_nothing() {
    let shop = Shop::new();
    shop.export();
    let words = ["policy", "replay", &shop.path("policies"), "--export", &shop.path("log")];
    let trust = shop.path("other-trust");
    let text_of_trust = fs::read_to_string(shop.ground.site().trust()).unwrap();
    let line = text_of_trust.lines().last().unwrap();
    let digit = if line.ends_with('0') { '1' } else { '0' };
    fs::write(
        &trust,
        format!("{}{digit}\n", text_of_trust.trim_end().split_at(text_of_trust.trim_end().len() - 1).0),
    )
    .unwrap();
    let other = shop.run("officer-1", &[&words[..], &["--trust", &trust]].concat());
    assert_eq!(other.status.code(), Some(6), "{}", text(&other));

    let size = replay(&shop)["to_leaf"].as_u64().unwrap();
    let bundle = shop.path(&format!("log/{}", Span::of(0, size).unwrap().entries_path()));
    let mut bytes = fs::read(&bundle).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    let changed = shop.run("officer-1", &words);
    assert_eq!(changed.status.code(), Some(6), "{}", text(&changed));
    assert!(text(&changed).contains("proves nothing: leaf "), "{}", text(&changed));
    assert!(changed.stdout.is_empty(), "{}", text(&changed));
}
