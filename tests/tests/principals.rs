//! People and machines that come, change their keys, are stopped and come back, while the service runs.

use keysvc_protocol::{
    bytes::Blob,
    cbor,
    cose::Kind,
    founding::PrincipalKind,
    key::KeyKind,
    leaf::{LeafKind, TookEffectLeaf},
    proposal::ProposalState,
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    reply::{
        EntriesReply, FreezeListReply, PrincipalListReply, PrincipalView, StatusReply, UpdateOutcome,
        ValueBatchReply, ValueUpdateReply,
    },
    request::{
        ListFreezes, ListPrincipals, Operation, ReadEntries, ReadStatus, RotatePrincipal, UpdateValue,
        UpdateValues,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
};
use keysvc_tests::{
    agreed::{self, Sent, agree, alone, disable, done, enable, idem, name, propose, send},
    cards,
    ground::{Ground, OFFICERS},
    jobs::Bench,
    raw::{self, Caller, Line},
};
use softhsm_setup::{TRUST_DOMAIN, pki::CertificateRequest};
use std::fs;

const DISABLED: Refusal = Refusal::StateConflict { reason: Conflict::Disabled };

fn holder(ground: &Ground, persona: &str) -> Caller {
    cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), persona)
}

fn officers(ground: &Ground) -> [Caller; 3] {
    OFFICERS.map(|persona| holder(ground, persona))
}

fn status(caller: &mut Caller) -> Result<(), Refusal> {
    caller.ask::<StatusReply>(Operation::Status, &ReadStatus { schema: Schema }).map(drop)
}

fn change(caller: &mut Caller, request: &UpdateValue) -> Result<ValueUpdateReply, Refusal> {
    caller.ask(Operation::ValueUpdate, request)
}

fn principals(caller: &mut Caller) -> Vec<PrincipalView> {
    let request = ListPrincipals { schema: Schema, after: None };
    let reply: PrincipalListReply = caller.ask(Operation::PrincipalList, &request).unwrap();
    reply.principals.to_vec()
}

#[test]
fn a_terminal_enrolled_by_two_people_is_a_stranger_before_and_loads_and_pays_at_once_after() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, _] = officers(&ground);
    let request = ground.newcomer("terminal-3", PrincipalKind::Terminal, "roastery");
    let mut terminal = Caller::new(ground.site(), "terminal-3");
    assert_eq!(status(&mut terminal), Err(Refusal::Unauthenticated));
    let pending = propose(&mut ann, Operation::PrincipalEnrol, &request).unwrap();
    pending.approve(&mut ben).unwrap();
    assert_eq!(status(&mut terminal), Err(Refusal::Unauthenticated));
    pending.approve(&mut ann).unwrap();
    // On the connection that was refused before.
    change(&mut terminal, &raw::update(Load, 1, 2_000, 0)).unwrap();
    let update = ground.block_on(async {
        let terminal = ground.terminal("terminal-3").await.unwrap();
        terminal.update(&raw::update(Debit, 2, 350, 2_000)).await.unwrap()
    });
    assert_eq!((update.update.terminal.as_str(), update.update.balance_after), ("terminal-3", 1_650));
    // Its name and its keys are taken for good.
    let taken = |reason| Err(Refusal::StateConflict { reason });
    let again = ground.newcomer("terminal-4", PrincipalKind::Terminal, "roastery");
    let mut same_name = again.clone();
    same_name.principal.id = name("terminal-3");
    assert_eq!(propose(&mut ann, Operation::PrincipalEnrol, &same_name), taken(Conflict::NameTaken));
    let mut same_key = again;
    same_key.principal.tls_key = request.principal.tls_key;
    assert_eq!(propose(&mut ann, Operation::PrincipalEnrol, &same_key), taken(Conflict::KeyTaken));
    ground.assert_clean();
}

#[test]
fn a_station_an_office_and_an_auditor_enrolled_by_two_people_work_at_once() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let newcomers = [
        ("station-3", PrincipalKind::Station, "bureau"),
        ("office-2", PrincipalKind::Office, "roastery"),
        ("auditor-2", PrincipalKind::Auditor, "auditors"),
    ];
    for (persona, kind, group) in newcomers {
        let request = ground.newcomer(persona, kind, group);
        done(&mut [&mut cat, &mut ann], Operation::PrincipalEnrol, &request);
    }
    let mut bench = Bench::new(env!("CARGO_BIN_EXE_card"), &ground, "station-3");
    let delivery = bench.make(("known", 1), &["04782e21801d80"]).unwrap();
    // The check value of NXP AN10922's published key of the published card, section 2.2.
    assert_eq!(delivery.keys[0].check.to_string(), "5b298c80bf");
    let mut office = Caller::new(ground.site(), "office-2");
    let item = signed(&ground, "terminal-1", &raw::update(Load, 1, 500, 0));
    let reply: ValueBatchReply = office.ask(Operation::ValueBatch, &batch(item)).unwrap();
    assert!(matches!(&reply.outcomes[0], UpdateOutcome::Signed { .. }), "{:?}", reply.outcomes);
    let freezes: FreezeListReply =
        office.ask(Operation::FreezeList, &ListFreezes { schema: Schema, after: None }).unwrap();
    assert!(freezes.freezes.is_empty());
    let mut auditor = Caller::new(ground.site(), "auditor-2");
    let entries = ReadEntries { schema: Schema, from: 0, to: 1 };
    auditor.ask::<EntriesReply>(Operation::LogEntries, &entries).unwrap();
    // The list names them beside those of the founding.
    let all = principals(&mut ben);
    for (persona, kind, group) in newcomers {
        let one = all.iter().find(|one| one.enrolment.id.as_str() == persona).unwrap();
        assert_eq!((one.enrolment.kind, one.enrolment.group.as_str(), one.enabled), (kind, group, true));
        assert!(one.leaf > 0);
    }
    assert_eq!(all.len(), 16 + newcomers.len());
    assert!(all.is_sorted_by(|a, b| a.enrolment.id < b.enrolment.id));
    let founded = all.iter().filter(|one| one.leaf == 0).count();
    assert_eq!(founded, 16);
    ground.assert_clean();
}

fn signed(ground: &Ground, key: &str, update: &UpdateValue) -> Vec<u8> {
    let (key, genesis) = (raw::key(ground.site(), key), raw::genesis(ground.site()));
    raw::sign(&key, Kind::Request(Operation::ValueUpdate), genesis.as_bytes(), cbor::encode(update))
}

fn batch(item: Vec<u8>) -> UpdateValues {
    UpdateValues { schema: Schema, updates: vec![Blob::try_from(item).unwrap()].try_into().unwrap() }
}

#[test]
fn an_officer_takes_three_people_and_a_delay_and_votes_after_it_and_not_before() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let request = ground.newcomer("officer-4", PrincipalKind::Officer, "finance");
    let mut dan = holder(&ground, "officer-4");
    let before =
        propose(&mut ann, Operation::KeyCreate, &agreed::create("new", KeyKind::ValueSigning)).unwrap();
    let pending = propose(&mut ann, Operation::PrincipalEnrol, &request).unwrap();
    assert_eq!(pending.proposal.need.persons, 3);
    assert_eq!(pending.approved_by(&mut [&mut ann, &mut ben]).unwrap().state, ProposalState::Open);
    let state = pending.approve(&mut cat).unwrap().state;
    let ProposalState::Waiting { leaf: act, due_ms } = state else { panic!("{state:?}") };
    // A second one of the same is on its way already.
    let same = keysvc_protocol::request::EnrolPrincipal { idem: idem(), ..request };
    let waiting = Err(Refusal::StateConflict { reason: Conflict::Waiting });
    assert_eq!(propose(&mut ben, Operation::PrincipalEnrol, &same), waiting);
    // Not in force: no connection, no vote; the old officers go on.
    assert_eq!(status(&mut dan), Err(Refusal::Unauthenticated));
    assert_eq!(before.approve(&mut ben).unwrap().state, ProposalState::Open);
    agreed::until("the officer is enrolled", || status(&mut dan).is_ok());
    let leaves = raw::leaves(&ground);
    let effects = leaves.iter().filter(|(entry, _)| entry.kind == LeafKind::TookEffect);
    let [(entry, payload)] = effects.collect::<Vec<_>>().try_into().unwrap();
    let effect: TookEffectLeaf = cbor::decode(payload, 4096).unwrap();
    assert_eq!(effect.act, act);
    assert!(entry.time_ms >= due_ms, "{} before {due_ms}", entry.time_ms);
    // What was proposed under the officers of before is theirs no more.
    let other = Refusal::ApprovalInvalid { reason: Uncounted::OtherRoster };
    assert_eq!(before.approve(&mut cat).unwrap_err(), other);
    done(&mut [&mut dan, &mut cat], Operation::KeyCreate, &agreed::create("newer", KeyKind::ValueSigning));
    ground.assert_clean();
    ground.reconnect(&mut dan, "officer-4");
    let pending =
        propose(&mut dan, Operation::KeyCreate, &agreed::create("newest", KeyKind::ValueSigning)).unwrap();
    assert_eq!(pending.approve(&mut dan).unwrap().persons, 1);
}

#[test]
fn an_officers_enrolment_is_cancelled_by_one_officer_while_it_waits() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let request = ground.newcomer("officer-4", PrincipalKind::Officer, "audit");
    let (pending, state) =
        agree(&mut [&mut ann, &mut ben, &mut cat], Operation::PrincipalEnrol, &request).unwrap();
    assert!(matches!(state, ProposalState::Waiting { .. }), "{state:?}");
    let cancelled = ProposalState::Cancelled { by: name("officer-2") };
    assert_eq!(pending.cancel(&mut ben).unwrap().state, cancelled);
    std::thread::sleep(std::time::Duration::from_secs(5));
    let mut dan = Caller::new(ground.site(), "officer-4");
    assert_eq!(status(&mut dan), Err(Refusal::Unauthenticated));
    assert_eq!(raw::of_kind::<TookEffectLeaf>(&raw::leaves(&ground), LeafKind::TookEffect), []);
}

/// Gives `folder` a certificate of terminal-1 for a new key; the request that pins it with the statement key there.
fn rotation(ground: &Ground, folder: &str) -> RotatePrincipal {
    let made = ground.newcomer(folder, PrincipalKind::Terminal, "roastery");
    let home = ground.site().home(folder);
    let domain = TRUST_DOMAIN.parse().unwrap();
    let issued =
        ground.site().authority().issue(&CertificateRequest::client(&domain, "terminal", "terminal-1"));
    let issued = issued.unwrap();
    for file in [home.tls_certificate(), home.tls_key()] {
        fs::remove_file(file).unwrap();
    }
    issued.write(home.folder()).unwrap();
    RotatePrincipal {
        schema: Schema,
        idem: idem(),
        id: name("terminal-1"),
        tls_key: Some(issued.tls_key()),
        statement_key: made.principal.statement_key,
        wrapping_key: None,
    }
}

#[test]
fn a_terminals_new_keys_hold_from_the_next_request_on_and_its_old_ones_no_more() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, _] = officers(&ground);
    let mut old = Caller::new(ground.site(), "terminal-1");
    change(&mut old, &raw::update(Load, 1, 2_000, 0)).unwrap();
    let request = rotation(&ground, "renewed");
    let pending = propose(&mut old, Operation::PrincipalRotate, &request).unwrap();
    pending.approve(&mut ann).unwrap();
    // Until the last approval everything is as before.
    let mut new = Caller::new(ground.site(), "renewed");
    assert_eq!(status(&mut new), Err(Refusal::Unauthenticated));
    change(&mut old, &raw::update(Debit, 2, 100, 2_000)).unwrap();
    let state = pending.approve(&mut ben).unwrap().state;
    assert!(matches!(state, ProposalState::Executed { .. }), "{state:?}");
    // The old TLS key, on the connection that is open and on a new one.
    assert_eq!(change(&mut old, &raw::update(Debit, 3, 100, 1_900)), Err(Refusal::Unauthenticated));
    assert_eq!(status(&mut Caller::new(ground.site(), "terminal-1")), Err(Refusal::Unauthenticated));
    // The old statement key, on the new connection and through the hub.
    let next = raw::update(Debit, 3, 100, 1_900);
    let stale = signed(&ground, "terminal-1", &next);
    let signature = Refusal::Invalid { reason: Invalid::Signature };
    let answer = new.line.put::<ValueUpdateReply>(Operation::ValueUpdate, stale.clone());
    assert_eq!(answer, Err(signature.clone()));
    let mut office = Caller::new(ground.site(), "office-1");
    let reply: ValueBatchReply = office.ask(Operation::ValueBatch, &batch(stale)).unwrap();
    assert_eq!(reply.outcomes[0], UpdateOutcome::Refused { refusal: signature });
    change(&mut new, &next).unwrap();
    let reply: ValueBatchReply = office
        .ask(Operation::ValueBatch, &batch(signed(&ground, "renewed", &raw::update(Debit, 4, 100, 1_800))))
        .unwrap();
    assert!(matches!(&reply.outcomes[0], UpdateOutcome::Signed { .. }), "{:?}", reply.outcomes);
    // The requester's own reply is fetched with the new keys.
    assert!(pending.result(&mut new).unwrap().reply.is_some());
    ground.assert_clean();
    let mut new = Caller::new(ground.site(), "renewed");
    change(&mut new, &raw::update(Debit, 5, 100, 1_700)).unwrap();
}

#[test]
fn one_officer_disables_from_the_next_request_of_a_live_connection_on_and_two_enable() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let socket = terminal.line.socket();
    let first = raw::update(Load, 1, 2_000, 0);
    let loaded = change(&mut terminal, &first).unwrap();
    alone(&mut cat, Operation::PrincipalDisable, &disable("terminal-1")).unwrap();
    for refused in [status(&mut terminal), change(&mut terminal, &first).map(drop)] {
        assert_eq!(refused, Err(DISABLED));
    }
    assert_eq!(change(&mut terminal, &raw::update(Debit, 2, 100, 2_000)), Err(DISABLED));
    assert_eq!(terminal.line.socket(), socket);
    assert_eq!(
        status(&mut Caller { line: Line::open(ground.site(), "terminal-1"), ..terminal }),
        Err(DISABLED)
    );
    // Nor through the hub.
    let mut office = Caller::new(ground.site(), "office-1");
    let item = signed(&ground, "terminal-1", &raw::update(Debit, 2, 100, 2_000));
    let reply: ValueBatchReply = office.ask(Operation::ValueBatch, &batch(item)).unwrap();
    assert_eq!(reply.outcomes[0], UpdateOutcome::Refused { refusal: DISABLED });
    let listed = principals(&mut ann);
    let disabled: Vec<_> =
        listed.iter().filter(|one| !one.enabled).map(|one| one.enrolment.id.as_str()).collect();
    assert_eq!(disabled, ["terminal-1"]);
    // It stays so over a restart.
    ground.assert_clean();
    for (caller, persona) in [&mut ann, &mut ben, &mut cat].into_iter().zip(OFFICERS) {
        ground.reconnect(caller, persona);
    }
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    assert_eq!(status(&mut terminal), Err(DISABLED));
    let pending = propose(&mut ann, Operation::PrincipalEnable, &enable("terminal-1")).unwrap();
    pending.approve(&mut ann).unwrap();
    assert_eq!(status(&mut terminal), Err(DISABLED));
    pending.approve(&mut ben).unwrap();
    let again = change(&mut terminal, &first).unwrap();
    assert_eq!(again.receipt.leaf_index, loaded.receipt.leaf_index);
    change(&mut terminal, &raw::update(Debit, 2, 100, 2_000)).unwrap();
    ground.assert_clean();
}

#[test]
fn a_disabled_officer_is_out_at_once_and_two_must_be_left_and_coming_back_takes_two_and_the_delay() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    alone(&mut ann, Operation::PrincipalDisable, &disable("officer-3")).unwrap();
    assert_eq!(status(&mut cat), Err(DISABLED));
    let few = Err(Refusal::StateConflict { reason: Conflict::TooFewOfficers });
    assert_eq!(alone(&mut ann, Operation::PrincipalDisable, &disable("officer-2")), few);
    let nobody = Err(Refusal::NotFound { what: Thing::Principal });
    assert_eq!(alone(&mut ann, Operation::PrincipalDisable, &disable("officer-9")), nobody);
    let (_, state) =
        agree(&mut [&mut ann, &mut ben], Operation::PrincipalEnable, &enable("officer-3")).unwrap();
    assert!(matches!(state, ProposalState::Waiting { .. }), "{state:?}");
    assert_eq!(status(&mut cat), Err(DISABLED));
    agreed::until("the officer is back", || status(&mut cat).is_ok());
    done(&mut [&mut cat, &mut ben], Operation::KeyCreate, &agreed::create("new", KeyKind::ValueSigning));
}

#[test]
fn the_request_of_somebody_disabled_meanwhile_is_not_done_though_people_agree() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let request = raw::update(Load, 1, 500_000, 0);
    let Sent::Pending(_) = send::<ValueUpdateReply>(&mut terminal, Operation::ValueUpdate, &request).unwrap()
    else {
        panic!("it takes people")
    };
    let pending = propose(&mut terminal, Operation::ValueUpdate, &request).unwrap();
    pending.approve(&mut ann).unwrap();
    alone(&mut cat, Operation::PrincipalDisable, &disable("terminal-1")).unwrap();
    let state = pending.approve(&mut ben).unwrap().state;
    assert_eq!(state, ProposalState::Failed { refusal: DISABLED });
    assert_eq!(agreed::acts(&raw::leaves(&ground)), []);
}
