//! What a station is refused: its statement key is in its token, so it signs through its card.

use super::{derive, invalid, missing, refusal};
use keysvc_protocol::{
    bytes::Exchange,
    card::CardUid,
    job::JobState,
    leaf::{CardKeysDerivedLeaf, LeafKind},
    list::List,
    refusal::{Conflict, Forbids, Invalid, Refusal, Thing, Uncounted},
    reply::{CardDeriveReply, JobChangedReply},
    request::{CARDS_MAX, DeriveCardKeys, OpenJob, Operation},
};
use keysvc_tests::{
    agreed::{idem, name},
    ground::Ground,
    jobs::{self, Bench},
    raw,
};
use std::fs;

/// The development site, but for a system identifier so long that a 10-byte UID makes an input of 32 bytes.
fn long_identifier() -> Ground {
    let mut ground = Ground::laid_out();
    let file = ground.site().founding();
    let founding = fs::read_to_string(&file).unwrap();
    let longer = founding.replace("\"4e585020416275\"", &format!("\"{}\"", "4e".repeat(19)));
    assert_ne!(longer, founding);
    // The golden vector is of the shorter one.
    let (before, vector) = longer.split_once("[[profiles.vectors]]").unwrap();
    let (_, after) = vector.split_once("\n\n").unwrap();
    fs::write(file, format!("{before}{after}")).unwrap();
    ground.sign_founding().unwrap();
    let init = ground.keysvc(&["init"]).output().unwrap();
    assert!(init.status.success(), "{}", keysvc_tests::ground::text(&init));
    ground.start().unwrap();
    ground
}

fn bench(ground: &Ground) -> Bench {
    Bench::new(env!("CARGO_BIN_EXE_card"), ground, "station-1")
}

fn cards(cards: &[&str]) -> List<CardUid, CARDS_MAX> {
    cards.iter().map(|card| card.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap()
}

fn forbids(reason: Forbids) -> Refusal {
    Refusal::ProfileForbids { reason }
}

const fn conflict(reason: Conflict) -> Refusal {
    Refusal::StateConflict { reason }
}

#[test]
fn a_station_is_refused_cards_jobs_and_generations_that_do_not_fit() {
    let ground = long_identifier();
    let mut bench = bench(&ground);
    let shift = bench.open(("known", 1));
    let good = || jobs::derive(&shift, &["04782e21801d80"]);
    let with = |list: &[&str]| DeriveCardKeys { cards: cards(list), ..good() };
    let cases = [
        (DeriveCardKeys { job: name("other"), ..good() }, missing(Thing::Job)),
        (DeriveCardKeys { generation: 0, ..good() }, conflict(Conflict::Generation { newest: 0 })),
        (with(&[]), invalid(Invalid::Items)),
        (with(&["04782e21801d80", "04782e21801d81", "04782e21801d80"]), invalid(Invalid::Items)),
        // 4-byte identifiers come back on other cards.
        (with(&["04782e21801d80", "04782e21"]), forbids(Forbids::ShortUid)),
        // 10 bytes of UID, 3 of application, 19 of system identifier.
        (with(&["0102030405060708090a"]), forbids(Forbids::InputLength { found: 32 })),
    ];
    let count = cases.len();
    for (request, refused) in cases {
        assert_eq!(refusal(&mut bench.station, Operation::CardDerive, &request), refused, "{request:?}");
    }
    bench.derive(&shift, &["04782e21801d80"]).unwrap();
    assert_eq!(raw::refused(&ground, "station-1").len(), count);
    let derived: Vec<CardKeysDerivedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::CardKeysDerived);
    assert_eq!(derived.len(), 1, "nothing is recorded as derived that was refused");
    // What no profile provides for is no job either.
    for (profile, version) in [("other", 1), ("known", 2)] {
        let refused = bench.floor.create("order-2", &jobs::head(profile, version, 1));
        assert_eq!(refused.map(|_: JobChangedReply| ()), Err(missing(Thing::Profile)));
    }
}

#[test]
fn a_session_that_is_not_open_and_a_number_used_before_are_refused() {
    let ground = Ground::new();
    let mut bench = bench(&ground);
    // Never opened: no such job, then one that is only sealed.
    assert_eq!(refusal(&mut bench.station, Operation::CardDerive, &derive()), missing(Thing::Job));
    let head = jobs::head("known", 1, 8);
    bench.floor.prepare("job-1", &head);
    let sealed = conflict(Conflict::JobState { state: JobState::Sealed });
    assert_eq!(refusal(&mut bench.station, Operation::CardDerive, &derive()), sealed);
    let first = bench.floor.open((&mut bench.station, "station-1"), "job-1").unwrap();
    bench.reopen(&first).unwrap();
    let unknown = jobs::Shift { exchange: Exchange::new([9; 16]), ..first.clone() };
    let card = &["04782e21801d80"][..];
    assert_eq!(bench.derive(&unknown, card).unwrap_err(), Refusal::ExchangeUnknown);
    // The number of one request for another of any operation.
    let reused = DeriveCardKeys { idem: first.request.idem, ..jobs::derive(&first, card) };
    assert_eq!(refusal(&mut bench.station, Operation::CardDerive, &reused), Refusal::IdemConflict);
    let request = jobs::derive(&first, card);
    bench.station.ask::<CardDeriveReply>(Operation::CardDerive, &request).unwrap();
    let other = DeriveCardKeys { cards: cards(&["04782e21801d81"]), ..request };
    assert_eq!(refusal(&mut bench.station, Operation::CardDerive, &other), Refusal::IdemConflict);
    // Agreements serve once.
    let again = OpenJob { idem: idem(), ..first.request.clone() };
    let used = Refusal::ApprovalInvalid { reason: Uncounted::UsedBefore };
    assert_eq!(refusal(&mut bench.station, Operation::JobOpen, &again), used);
    // A session ends with the next one, and cannot be had again.
    let second = bench.renew(&first).unwrap();
    assert_eq!(bench.derive(&first, card).unwrap_err(), Refusal::ExchangeUnknown);
    let over = conflict(Conflict::SessionOver);
    assert_eq!(refusal(&mut bench.station, Operation::JobOpen, &first.request), over);
    bench.derive(&second, card).unwrap();
    let refused: Vec<_> = raw::refused(&ground, "station-1").into_iter().map(|leaf| leaf.refusal).collect();
    use Refusal::{ExchangeUnknown, IdemConflict};
    let jobs = [missing(Thing::Job), sealed];
    let rest = [ExchangeUnknown, IdemConflict, IdemConflict, used, ExchangeUnknown, over];
    assert_eq!(refused, [&jobs[..], &rest].concat());
}
