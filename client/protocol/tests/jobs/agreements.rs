//! What people on the floor sign, and when it does not count.

use crate::{
    asks::signing_key,
    kit::{COUNTERS, JOB, STATION, TWO, floor, opened, sealed, uncounted},
    people::{
        Floor, Person,
        floor::{Told, counts, incident, words},
        name,
    },
};
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    control::At,
    cose::{Kind, Unsigned},
    job::{
        AGREEMENT_EARLY_MAX_MS, AGREEMENT_LEN_MAX, AGREEMENT_LIFE_MS, Incident, JobAct, JobAgreement,
        PurgeReceipt, Role, SESSION_LIFE_MS, signers,
    },
    leaf::LeafKind,
    list::List,
    refusal::{Conflict, Refusal, Uncounted},
    request::{Agreements, DisablePrincipal, Operation},
    schema::Schema,
};
use p256::ecdsa::{Signature, signature::Signer as _};

fn act() -> JobAct {
    JobAct::Open { station: name(STATION) }
}

fn both(one: Blob<AGREEMENT_LEN_MAX>, other: Blob<AGREEMENT_LEN_MAX>) -> Agreements {
    List::try_from(vec![one, other]).unwrap()
}

/// Opens with the first operator's good agreement and this second one.
fn opened_with(floor: &mut Floor, second: Blob<AGREEMENT_LEN_MAX>) -> Told {
    let said = floor.said("operator-1", JOB, &act());
    let first = floor.sign(floor.site.person("operator-1"), &said);
    floor.open_as(STATION, JOB, both(first, second), SESSION_LIFE_MS)
}

/// What becomes of a session whose second agreement was changed before it was signed.
fn said_otherwise(change: impl FnOnce(&mut JobAgreement)) -> Told {
    let mut floor = floor();
    sealed(&mut floor, JOB, 3);
    let mut said = floor.said("operator-2", JOB, &act());
    change(&mut said);
    let second = floor.sign(floor.site.person("operator-2"), &said);
    opened_with(&mut floor, second)
}

#[test]
fn an_agreement_counts_for_its_own_act_job_and_person_alone() {
    assert_eq!(said_otherwise(|_| ()), Ok(()));
    let other = Err(uncounted(Uncounted::OtherAct));
    assert_eq!(said_otherwise(|said| said.job = name("nfc-2")), other);
    assert_eq!(said_otherwise(|said| said.person = name("operator-1")), other);
    assert_eq!(said_otherwise(|said| said.act = JobAct::Resume { station: name(STATION) }), other);
    assert_eq!(said_otherwise(|said| said.act = JobAct::Open { station: name("station-2") }), other);
    assert_eq!(said_otherwise(|said| said.act = JobAct::Count { counts: counts([0; 5]) }), other);
}

#[test]
fn an_agreement_is_fresh_for_a_quarter_of_an_hour_and_five_minutes_early_at_most() {
    assert_eq!(said_otherwise(|said| said.signed_ms -= AGREEMENT_LIFE_MS), Ok(()));
    assert_eq!(said_otherwise(|said| said.signed_ms += AGREEMENT_EARLY_MAX_MS), Ok(()));
    let stale = Err(uncounted(Uncounted::Stale));
    assert_eq!(said_otherwise(|said| said.signed_ms -= AGREEMENT_LIFE_MS + 1), stale);
    assert_eq!(said_otherwise(|said| said.signed_ms += AGREEMENT_EARLY_MAX_MS + 1), stale);
    assert_eq!(said_otherwise(|said| said.signed_ms = 0), stale);
    assert_eq!(said_otherwise(|said| said.signed_ms = u64::MAX), stale);
}

#[test]
fn an_agreement_serves_once() {
    let mut floor = floor();
    sealed(&mut floor, JOB, 3);
    let agreements = floor.agreed(&TWO, JOB, &act());
    floor.open_as(STATION, JOB, agreements.clone(), SESSION_LIFE_MS).unwrap();
    let used = Err(uncounted(Uncounted::UsedBefore));
    assert_eq!(floor.open_as(STATION, JOB, agreements.clone(), SESSION_LIFE_MS), used);
    // One of them with a fresh one is no better.
    assert_eq!(opened_with(&mut floor, agreements[1].clone()), used);
    floor.pass(AGREEMENT_LIFE_MS + 1);
    let stale = Err(uncounted(Uncounted::Stale));
    assert_eq!(floor.open_as(STATION, JOB, agreements, SESSION_LIFE_MS), stale);
}

#[test]
fn an_agreement_dated_ahead_serves_once_until_it_is_stale() {
    let mut floor = floor();
    sealed(&mut floor, JOB, 3);
    let early = |floor: &mut Floor, person: &str| {
        let mut said = floor.said(person, JOB, &act());
        said.signed_ms += AGREEMENT_EARLY_MAX_MS;
        floor.sign(floor.site.person(person), &said)
    };
    let agreements = both(early(&mut floor, "operator-1"), early(&mut floor, "operator-2"));
    floor.open_as(STATION, JOB, agreements.clone(), SESSION_LIFE_MS).unwrap();
    let life_ms = AGREEMENT_LIFE_MS + AGREEMENT_EARLY_MAX_MS;
    for passed_ms in [life_ms / 2, life_ms - life_ms / 2] {
        floor.pass(passed_ms);
        // Whatever is done meanwhile does not make it be forgotten.
        floor.open(STATION, JOB, &["operator-2", "operator-3"]).unwrap();
        let again = floor.open_as(STATION, JOB, agreements.clone(), SESSION_LIFE_MS);
        assert_eq!(again, Err(uncounted(Uncounted::UsedBefore)));
    }
    floor.pass(1);
    let again = floor.open_as(STATION, JOB, agreements, SESSION_LIFE_MS);
    assert_eq!(again, Err(uncounted(Uncounted::Stale)));
}

#[test]
fn one_number_for_two_agreements_of_one_request_serves_one_of_them() {
    let mut floor = floor();
    sealed(&mut floor, JOB, 3);
    let one = floor.said("operator-1", JOB, &act());
    let other = JobAgreement { person: name("operator-2"), ..one.clone() };
    let sign = |person: &str, said| floor.sign(floor.site.person(person), said);
    let agreements = both(sign("operator-1", &one), sign("operator-2", &other));
    let answer = floor.open_as(STATION, JOB, agreements, SESSION_LIFE_MS);
    assert_eq!(answer, Err(uncounted(Uncounted::UsedBefore)));
}

#[test]
fn one_person_twice_is_not_two() {
    let mut floor = floor();
    sealed(&mut floor, JOB, 3);
    assert_eq!(floor.open(STATION, JOB, &["operator-1", "operator-1"]), Err(Refusal::SamePerson));
    assert_eq!(floor.open(STATION, JOB, &["operator-1"]), Err(uncounted(Uncounted::TooFew)));
    assert_eq!(floor.open(STATION, JOB, &[]), Err(uncounted(Uncounted::TooFew)));
}

#[test]
fn an_agreement_counts_in_the_role_it_takes_alone() {
    let mut floor = floor();
    sealed(&mut floor, JOB, 3);
    let not_in_role = Err(uncounted(Uncounted::NotInRole));
    for other in ["data-1", "reviewer-1", "monitor-1", "station-1", "officer-1", "office-1"] {
        assert_eq!(floor.open(STATION, JOB, &["operator-1", other]), not_in_role, "{other}");
        assert_eq!(floor.open(STATION, JOB, &[other, "operator-1"]), not_in_role, "{other}");
    }
    floor.open(STATION, JOB, &TWO).unwrap();
    let none = counts([0; 5]);
    assert_eq!(floor.count(STATION, JOB, &["reviewer-1", "operator-1"], none), not_in_role);
    assert_eq!(floor.count(STATION, JOB, &["operator-1", "operator-2"], none), not_in_role);
    // An operator, but not of this job.
    assert_eq!(floor.count(STATION, JOB, &["operator-3", "reviewer-1"], none), not_in_role);
    assert_eq!(floor.report(STATION, JOB, &["operator-3", "reviewer-1"]), not_in_role);
    assert_eq!(floor.count(STATION, JOB, &["operator-1"], none), Err(uncounted(Uncounted::TooFew)));
    floor.count(STATION, JOB, &COUNTERS, counts([0, 0, 0, 3, 0])).unwrap();
    assert_eq!(floor.close(STATION, JOB, &["reviewer-1"]), not_in_role);
}

#[test]
fn an_agreement_of_somebody_disabled_does_not_count() {
    let mut floor = floor();
    sealed(&mut floor, JOB, 3);
    let request = DisablePrincipal {
        schema: Schema,
        idem: crate::people::idem(1),
        id: name("operator-2"),
        reason: words("left"),
    };
    let officer = floor.site.person("officer-1").clone();
    let statement = floor.site.statement(&officer, Operation::PrincipalDisable, &request);
    let leaf = keysvc_protocol::leaf::ChangedLeaf {
        schema: Schema,
        principal: officer.name,
        operation: Operation::PrincipalDisable,
        statement,
    };
    let at = At { index: 90, time_ms: floor.now_ms };
    std::sync::Arc::make_mut(&mut floor.control)
        .apply(at, LeafKind::SiteChanged, &cbor::encode(&leaf))
        .unwrap();
    assert_eq!(floor.open(STATION, JOB, &TWO), Err(uncounted(Uncounted::Disabled)));
    // Nor does what they ask themselves.
    floor.open(STATION, JOB, &["operator-1", "operator-3"]).unwrap();
    assert_eq!(floor.suspend("operator-2", JOB), Err(Refusal::StateConflict { reason: Conflict::Disabled }));
}

#[test]
fn an_agreement_signed_by_another_key_kind_or_for_another_log_does_not_count() {
    let mut floor = floor();
    sealed(&mut floor, JOB, 3);
    let said = floor.said("operator-2", JOB, &act());
    let (person, genesis) = (floor.site.person("operator-2").clone(), floor.site.genesis());
    let stranger = Person { name: person.name.clone(), key: crate::asks::key(250) };
    let foreign = floor.sign(&stranger, &said);
    assert_eq!(opened_with(&mut floor, foreign), Err(uncounted(Uncounted::NotInRole)));
    let payload = cbor::encode(&said);
    let blob = |bytes: Vec<u8>| Blob::try_from(bytes).unwrap();
    let kinds =
        [Kind::Approval, Kind::Request(Operation::JobOpen), Kind::Delivery].map(|kind| (kind, genesis));
    for (kind, scope) in kinds {
        let message = blob(person.key.message(kind, &scope, payload.clone()));
        assert_eq!(opened_with(&mut floor, message), Err(uncounted(Uncounted::Form)), "{kind:?}");
    }
    let elsewhere = keysvc_protocol::bytes::Digest::new([5; 32]);
    let message = blob(person.key.message(Kind::JobAgreement, &elsewhere, payload.clone()));
    assert_eq!(opened_with(&mut floor, message), Err(uncounted(Uncounted::Signature)));
    // Another person's kid over this person's signature.
    let other = floor.site.person("operator-3").key.public.identifier();
    let unsigned = Unsigned::new(Kind::JobAgreement, genesis.as_bytes(), other, payload.clone());
    let borrowed = blob(unsigned.with_signature(&(person.key.sign)(&unsigned.to_be_signed())));
    assert_eq!(opened_with(&mut floor, borrowed), Err(uncounted(Uncounted::Signature)));
    for bytes in [vec![], vec![0xd2], payload] {
        assert_eq!(opened_with(&mut floor, blob(bytes)), Err(uncounted(Uncounted::Form)));
    }
    let nothing = blob(person.key.message(Kind::JobAgreement, &genesis, vec![0xa0]));
    assert_eq!(opened_with(&mut floor, nothing), Err(uncounted(Uncounted::Form)));
}

#[test]
fn the_high_half_of_a_signature_does_not_count() {
    let mut floor = floor();
    sealed(&mut floor, JOB, 3);
    let said = floor.said("operator-2", JOB, &act());
    let person = floor.site.person("operator-2");
    // operator-2's key: 110 for the first of the bureau's machines and people, which is station-1.
    let signing = signing_key(115);
    let (genesis, kid) = (floor.site.genesis(), person.key.public.identifier());
    let unsigned = Unsigned::new(Kind::JobAgreement, genesis.as_bytes(), kid, cbor::encode(&said));
    let signature: Signature = signing.sign(&unsigned.to_be_signed());
    let low = signature.normalize_s().unwrap_or(signature);
    let (r, s) = low.split_scalars();
    let high = Signature::from_scalars(r.to_bytes(), (-s).to_bytes()).unwrap();
    let message = |signature: Signature| {
        let bytes: [u8; 64] = signature.to_bytes().into();
        Blob::try_from(unsigned.with_signature(&bytes)).unwrap()
    };
    assert_eq!(opened_with(&mut floor, message(high)), Err(uncounted(Uncounted::Signature)));
    assert_eq!(opened_with(&mut floor, message(low)), Ok(()));
}

#[test]
fn who_agreed_is_told_before_the_act_is_judged() {
    let mut floor = opened(3);
    let act = JobAct::Incident { incident: incident() };
    let agreements = floor.agreed(&COUNTERS, JOB, &act);
    let signed =
        [(agreements[0].as_bytes(), Role::StationOperator), (agreements[1].as_bytes(), Role::Reviewer)];
    let job = name(JOB);
    let people = signers(&floor.control, floor.now_ms, (&job, &act), &signed);
    assert_eq!(people, Ok(COUNTERS.map(name).to_vec()));
    let late = floor.now_ms + AGREEMENT_LIFE_MS + 1;
    let people = signers(&floor.control, late, (&job, &act), &signed);
    assert_eq!(people, Err(uncounted(Uncounted::Stale)));
}

#[test]
fn the_longest_agreements_fit() {
    let floor = floor();
    let long = words(&"x".repeat(200));
    let longest = name(&"n".repeat(64));
    let incident = Incident {
        equipment: long.clone(),
        time_ms: u64::MAX,
        cause: long.clone(),
        place: long.clone(),
        in_hand: u32::MAX,
    };
    let receipt =
        PurgeReceipt { station: longest.clone(), erased_ms: u64::MAX, files: u32::MAX, method: long };
    for act in [
        JobAct::Incident { incident },
        JobAct::Close { receipt },
        JobAct::Count { counts: counts([u32::MAX; 5]) },
    ] {
        let said = JobAgreement {
            schema: Schema,
            job: longest.clone(),
            act,
            person: longest.clone(),
            signed_ms: u64::MAX,
            nonce: crate::people::idem(1),
        };
        let signed = floor.sign(floor.site.person("operator-1"), &said);
        assert!(signed.as_bytes().len() <= AGREEMENT_LEN_MAX);
        assert!(cbor::encode(&said).len() <= 1_024);
    }
}
