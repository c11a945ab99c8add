//! Value above the limit: two people of two departments, a record that names their evidence, and the evidence itself,
//! verified offline.

use keysvc_protocol::{
    bytes::{Blob, ProposalId},
    cbor,
    cose::Kind,
    evidence::{EvidenceError, EvidenceFile, Proved},
    founding::{Founding, PrincipalKind},
    leaf::{FoundingLeaf, LeafKind, ValueUpdatedLeaf},
    proposal::ProposalState,
    refusal::{Refusal, Thing},
    reply::{EvidenceReply, UpdateOutcome, ValueBatchReply, ValueUpdateReply},
    request::{
        Operation, ReadEvidence, UpdateValue, UpdateValues,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
    trust::Trust,
    value::ValueUpdate,
};
use keysvc_tests::{
    agreed::{self, Sent, agree, propose, send},
    cards,
    ended::ended,
    ground::{Ground, OFFICERS, text},
    raw::{self, Caller},
};
use std::{fs, path::Path, process::Command};

/// What a terminal may load alone by the shipped policies.
const LIMIT: u64 = 100_000;

fn holder(ground: &Ground, persona: &str) -> Caller {
    cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), persona)
}

fn officers(ground: &Ground) -> [Caller; 3] {
    OFFICERS.map(|persona| holder(ground, persona))
}

fn change(terminal: &mut Caller, request: &UpdateValue) -> Result<ValueUpdateReply, Refusal> {
    match send(terminal, Operation::ValueUpdate, request)? {
        Sent::Done(reply) => Ok(reply),
        Sent::Pending(pending) => panic!("it waits for people: {:?}", pending.state),
    }
}

/// The update that a reply's leaf holds; of an act by quorum the one inside.
fn update(reply: &ValueUpdateReply) -> ValueUpdate {
    let leaf = reply.receipt.leaf.as_ref().unwrap();
    let payload = leaf.payload.as_ref().unwrap().as_bytes();
    let act = match leaf.check().unwrap().kind {
        LeafKind::SealedActByQuorum => {
            let act: keysvc_protocol::leaf::ActByQuorumLeaf = cbor::decode(payload, payload.len()).unwrap();
            act.act.into_bytes()
        }
        _ => payload.to_vec(),
    };
    let leaf: ValueUpdatedLeaf = cbor::decode(&act, act.len()).unwrap();
    ValueUpdate::from_payload(leaf.update.as_bytes()).unwrap()
}

fn trust(ground: &Ground) -> Trust {
    Trust::parse(&fs::read_to_string(ground.site().trust()).unwrap()).unwrap()
}

/// Leaf 0's file, if every officer signed it.
fn founding(leaf: &FoundingLeaf) -> Option<Founding> {
    let bytes = leaf.founding.as_bytes();
    let founding: Founding = toml::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
    founding.check().ok()?;
    for officer in &founding.officers {
        let signature = leaf.signatures.iter().find(|one| one.officer == officer.name)?;
        founding.verify_agreement(bytes, officer, signature.signed.as_bytes()).ok()?;
    }
    Some(founding)
}

fn evidence(caller: &mut Caller, id: ProposalId) -> Result<Vec<u8>, Refusal> {
    let reply: EvidenceReply = caller.ask(Operation::EvidenceGet, &ReadEvidence { schema: Schema, id })?;
    Ok(reply.evidence.into_bytes())
}

fn verified(ground: &Ground, bytes: &[u8]) -> Result<Proved, EvidenceError> {
    EvidenceFile::read(bytes)?.verify(&trust(ground), founding)
}

#[test]
fn at_the_limit_a_terminal_loads_alone_and_above_it_waits_for_two_people_of_two_departments() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, _] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let alone = change(&mut terminal, &raw::update(Load, 1, LIMIT, 0)).unwrap();
    assert_eq!(update(&alone).evidence, None);
    let request = raw::update(Load, 2, 500_000, LIMIT);
    let pending = propose(&mut terminal, Operation::ValueUpdate, &request).unwrap();
    let need = &pending.proposal.need;
    assert_eq!((need.persons, need.departments, need.named.len()), (2, 2, 0));
    assert_eq!(pending.proposal.expires_ms - pending.proposal.created_ms, 24 * 3_600_000);
    // Nothing is held back for it: a payment in between would take its place.
    assert_eq!(pending.approve(&mut ann).unwrap().state, ProposalState::Open);
    let state = pending.approve(&mut ben).unwrap().state;
    let done = change(&mut terminal, &request).unwrap();
    assert_eq!(state, ProposalState::Executed { leaf: done.receipt.leaf_index });
    let [(_, act)] = agreed::acts(&raw::leaves(&ground)).try_into().unwrap();
    let large = update(&done);
    assert_eq!(large.evidence, Some(act.evidence.digest()));
    assert_eq!((large.kind(), large.balance_after), (Kind::ApprovedValueUpdate, 600_000));
    assert_eq!(large.previous, ValueUpdate::link(&cbor::encode(&update(&alone))));
    // The purse goes on with what takes nobody.
    let paid = change(&mut terminal, &raw::update(Debit, 3, 350, 600_000)).unwrap();
    assert_eq!(update(&paid).previous, ValueUpdate::link(&cbor::encode(&large)));
    ground.assert_clean();
}

#[test]
fn two_people_of_one_department_are_not_enough() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let newcomer = ground.newcomer("officer-4", PrincipalKind::Officer, "finance");
    let (_, state) =
        agree(&mut [&mut ann, &mut ben, &mut cat], Operation::PrincipalEnrol, &newcomer).unwrap();
    assert!(matches!(state, ProposalState::Waiting { .. }), "{state:?}");
    let mut dan = holder(&ground, "officer-4");
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    agreed::until("the officer is enrolled", || {
        let status = keysvc_protocol::request::ReadStatus { schema: Schema };
        dan.ask::<keysvc_protocol::reply::StatusReply>(Operation::Status, &status).is_ok()
    });
    let pending = propose(&mut terminal, Operation::ValueUpdate, &raw::update(Load, 1, 500_000, 0)).unwrap();
    let reply = pending.approved_by(&mut [&mut ben, &mut dan]).unwrap();
    assert_eq!((reply.state, reply.persons), (ProposalState::Open, 2));
    let state = pending.approve(&mut cat).unwrap().state;
    assert!(matches!(state, ProposalState::Executed { .. }), "{state:?}");
    // The evidence proves the officer who came later, from the trust file alone.
    let proved = verified(&ground, &evidence(&mut ann, pending.id()).unwrap()).unwrap();
    assert_eq!(
        proved.quorum.people().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["officer-2", "officer-4", "officer-3"]
    );
}

fn fobaudit_value(ground: &Ground, record: &Path, evidence: &Path, code: i32) -> String {
    let mut fobaudit = Command::new(&ground.programs().fobaudit);
    fobaudit
        .arg("value")
        .arg(record)
        .arg("--evidence")
        .arg(evidence)
        .arg("--trust")
        .arg(ground.site().trust());
    let output = ended(fobaudit);
    assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    text(&output)
}

#[test]
fn the_evidence_of_a_load_proves_who_agreed_from_the_trust_file_alone() {
    let ground = Ground::new();
    let [mut ann, mut ben, mut cat] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let request = raw::update(Load, 1, 500_000, 0);
    let pending = propose(&mut terminal, Operation::ValueUpdate, &request).unwrap();
    assert!(evidence(&mut ann, pending.id()).is_err(), "there is no act yet");
    pending.approved_by(&mut [&mut ann, &mut cat]).unwrap();
    let done = change(&mut terminal, &request).unwrap();
    let bytes = evidence(&mut ben, pending.id()).unwrap();
    let proved = verified(&ground, &bytes).unwrap();
    assert_eq!(proved.at.index, done.receipt.leaf_index);
    assert_eq!(proved.proposal.request.requester.as_str(), "terminal-1");
    assert_eq!(
        proved.quorum.people().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["officer-1", "officer-3"]
    );
    assert_eq!(Some(proved.act.evidence.digest()), update(&done).evidence);
    // Those who may see it: officers, auditors, the store's office; nobody of another organisation.
    for persona in ["auditor-1", "office-1"] {
        let bytes = evidence(&mut Caller::new(ground.site(), persona), pending.id()).unwrap();
        assert_eq!(verified(&ground, &bytes).unwrap().act, proved.act, "{persona}");
    }
    let nobody = ProposalId::new([9; 16]);
    assert_eq!(evidence(&mut ben, nobody), Err(Refusal::NotFound { what: Thing::Proposal }));
    // And so does the auditor's program, of the record together with its evidence.
    let folder = ground.site().folder().join("evidence");
    fs::create_dir(&folder).unwrap();
    let (record, file) = (folder.join("record"), folder.join("file"));
    fs::write(&record, done.record.as_bytes()).unwrap();
    fs::write(&file, &bytes).unwrap();
    let said = fobaudit_value(&ground, &record, &file, 0);
    for words in ["officer-1", "security", "officer-3", "audit"] {
        assert!(said.contains(words), "no {words} in\n{said}");
    }
    // Another record's evidence is not this one's.
    let other = UpdateValue { card: "04a1b2c3d4e5f6".parse().unwrap(), ..raw::update(Load, 1, 500_000, 0) };
    let pending = propose(&mut terminal, Operation::ValueUpdate, &other).unwrap();
    pending.approved_by(&mut [&mut ann, &mut ben]).unwrap();
    fs::write(&file, evidence(&mut ben, pending.id()).unwrap()).unwrap();
    fobaudit_value(&ground, &record, &file, 6);
    // One bit anywhere, and it proves nothing.
    for place in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut altered = bytes.clone();
        altered[place] ^= 1;
        assert!(verified(&ground, &altered).is_err(), "byte {place}");
    }
}

#[test]
fn an_item_of_a_batch_above_the_limit_waits_alone_and_is_signed_on_repetition() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, _] = officers(&ground);
    let mut office = Caller::new(ground.site(), "office-1");
    let terminal = Caller::new(ground.site(), "terminal-1");
    let large = raw::update(Load, 1, 500_000, 0);
    let small = UpdateValue { card: "04a1b2c3d4e5f6".parse().unwrap(), ..raw::update(Load, 1, 2_000, 0) };
    let items = [&small, &large].map(|update| {
        let message = terminal.message(Operation::ValueUpdate, cbor::encode(update));
        Blob::try_from(message).unwrap()
    });
    let batch = UpdateValues { schema: Schema, updates: items.to_vec().try_into().unwrap() };
    let first: ValueBatchReply = office.ask(Operation::ValueBatch, &batch).unwrap();
    assert!(matches!(&first.outcomes[0], UpdateOutcome::Signed { .. }), "{:?}", first.outcomes[0]);
    let UpdateOutcome::Refused { refusal: Refusal::ApprovalRequired { proposal, persons, departments } } =
        first.outcomes[1]
    else {
        panic!("{:?}", first.outcomes[1])
    };
    assert_eq!((persons, departments), (2, 2));
    // The terminal that signed it finds the same proposal alone.
    let mut terminal = terminal;
    let pending = propose(&mut terminal, Operation::ValueUpdate, &large).unwrap();
    assert_eq!(pending.id(), proposal);
    pending.approved_by(&mut [&mut ann, &mut ben]).unwrap();
    let second: ValueBatchReply = office.ask(Operation::ValueBatch, &batch).unwrap();
    let leaf = |outcome: &UpdateOutcome| match outcome {
        UpdateOutcome::Signed { leaf, .. } => leaf.check().unwrap(),
        refused @ UpdateOutcome::Refused { .. } => panic!("{refused:?}"),
    };
    assert_eq!(leaf(&second.outcomes[0]), leaf(&first.outcomes[0]));
    assert_eq!(leaf(&second.outcomes[1]).kind, LeafKind::SealedActByQuorum);
    let alone = change(&mut terminal, &large).unwrap();
    assert_eq!(alone.receipt.leaf_index, leaf(&second.outcomes[1]).index);
    ground.assert_clean();
}

#[test]
fn people_cannot_lift_the_ceiling_nor_bring_a_purse_back_to_where_it_was() {
    let mut ground = Ground::new();
    let [mut ann, mut ben, _] = officers(&ground);
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    let first = raw::update(Load, 1, 600_000, 0);
    let pending = propose(&mut terminal, Operation::ValueUpdate, &first).unwrap();
    pending.approved_by(&mut [&mut ann, &mut ben]).unwrap();
    change(&mut terminal, &first).unwrap();
    // Past the ceiling, and past the single load.
    for (amount, limit) in [(400_001, 1_000_000), (600_001, 600_000)] {
        let request = raw::update(Load, 2, amount, 600_000);
        let pending = propose(&mut terminal, Operation::ValueUpdate, &request).unwrap();
        let refusal = Refusal::LimitExceeded { limit };
        let failed = ProposalState::Failed { refusal: refusal.clone() };
        assert_eq!(pending.approved_by(&mut [&mut ann, &mut ben]).unwrap().state, failed);
        assert_eq!(pending.result(&mut terminal).unwrap().state, failed);
        let again = send::<ValueUpdateReply>(&mut terminal, Operation::ValueUpdate, &request);
        assert_eq!(again, Err(refusal));
    }
    // A payment takes the place of a load that waits.
    let request = raw::update(Load, 2, 200_000, 600_000);
    let pending = propose(&mut terminal, Operation::ValueUpdate, &request).unwrap();
    pending.approve(&mut ann).unwrap();
    change(&mut terminal, &raw::update(Debit, 2, 100, 600_000)).unwrap();
    let refusal = Refusal::CounterConflict { expected_seq: 3 };
    assert_eq!(pending.approve(&mut ben).unwrap().state, ProposalState::Failed { refusal });
    assert_eq!(agreed::acts(&raw::leaves(&ground)).len(), 1);
    let reloaded = raw::update(Load, 3, 200_000, 599_900);
    let pending = propose(&mut terminal, Operation::ValueUpdate, &reloaded).unwrap();
    pending.approved_by(&mut [&mut ben, &mut ann]).unwrap();
    assert_eq!(update(&change(&mut terminal, &reloaded).unwrap()).balance_after, 799_900);
    ground.assert_clean();
}
