//! Making cards: only in the session and only the job's, as many as may be in hand, never more than there are; and what
//! becomes of each.

use super::{Officers, assert_refused, conflict, get, good, is, item, name_of, shop, texts, uid, uids};
use keysvc_protocol::{
    bytes::{Exchange, ShortCheck},
    delivery::Delivery,
    freeze::ScopeKind,
    job::{CardResult, JobState, Outcome, Tally},
    leaf::{CardKeysDerivedLeaf, LeafKind},
    proposal::ProposalState,
    refusal::{
        Conflict::{self, Generation, JobComplete},
        Invalid, Refusal, Thing,
    },
    reply::CardDeriveReply,
    request::Operation::{self, CardDerive, CardResult as Results},
};
use keysvc_tests::{
    agreed::{Pending, Sent, acts, name, send},
    cards::statement_key,
    jobs::{Bench, Shift, derive, give, head, results},
    raw::{self, Caller, Leaf},
};

const READ_BACK: Refusal = Refusal::Invalid { reason: Invalid::ReadBack };
const NOT_LISTED: Refusal = Refusal::NotFound { what: Thing::Item };

/// What a station can compare of a delivery: its wrapped keys are others each time.
fn checks(delivery: &Delivery) -> Vec<(String, u8, ShortCheck)> {
    delivery.keys.iter().map(|key| (key.card.to_string(), key.slot, key.check)).collect()
}

fn cards(delivery: &Delivery) -> Vec<String> {
    let mut cards: Vec<_> = delivery.keys.iter().map(|key| key.card.to_string()).collect();
    cards.dedup();
    cards
}

fn derived(leaves: &[Leaf]) -> Vec<u32> {
    let derived: Vec<CardKeysDerivedLeaf> = raw::of_kind(leaves, LeafKind::CardKeysDerived);
    derived.iter().map(|leaf| leaf.cards).collect()
}

fn tally(data: &mut Caller, shift: &Shift) -> Tally {
    get(data, name_of(shift)).unwrap().numbers.unwrap().tally
}

#[test]
fn listed_cards_get_their_own_data_with_their_keys_and_a_card_that_is_not_listed_gets_nothing() {
    let (mut ground, mut bench) = shop();
    let mut about = head("known", 1, 3);
    about.listed = true;
    let items = [item(1), item(2), item(3)];
    bench.floor.create("listed", &about).unwrap();
    bench.floor.add("listed", &items).unwrap();
    bench.floor.seal("listed", &about, &items).unwrap();
    let shift = bench.floor.open((&mut bench.station, "station-1"), "listed").unwrap();
    let delivery = bench.derive(&shift, &[&uid(3), &uid(1)]).unwrap();
    assert_eq!(cards(&delivery), [uid(3), uid(1)]);
    assert_eq!(delivery.items.as_ref(), [item(3), item(1)], "theirs alone, in the order asked for");
    // One of them not listed: none of them gets keys.
    assert_eq!(bench.derive(&shift, &[&uid(2), &uid(9)]).unwrap_err(), NOT_LISTED);
    assert_eq!(tally(&mut bench.floor.data[0], &shift).made, 2);
    assert_refused(&ground, "station-1", &[(CardDerive, NOT_LISTED)]);
    // Another job's cards come without data.
    bench.good(&shift, &delivery).unwrap();
    let last = bench.derive(&shift, &[&uid(2)]).unwrap();
    bench.good(&shift, &last).unwrap();
    bench.floor.finish(&mut bench.station, "listed", good(3, 0), "station-1");
    let shift = bench.open(("known", 1));
    assert!(bench.derive(&shift, &[&uid(20)]).unwrap().items.is_empty());
    ground.assert_clean();
}

#[test]
fn keys_are_released_only_while_the_job_is_open_and_in_its_own_session() {
    let (ground, mut bench) = shop();
    bench.floor.prepare("sessions", &head("known", 1, 20));
    let cards = ["04782e21801d80"];
    let early = Shift {
        job: name("sessions"),
        exchange: Exchange::new([7; 16]),
        request: bench.floor.open_request("sessions", "station-1"),
    };
    assert_eq!(bench.derive(&early, &cards).unwrap_err(), is(JobState::Sealed));
    let first = bench.floor.open((&mut bench.station, "station-1"), "sessions").unwrap();
    let foreign = Shift { exchange: Exchange::new([7; 16]), ..first.clone() };
    assert_eq!(bench.derive(&foreign, &cards).unwrap_err(), Refusal::ExchangeUnknown);
    let made = bench.derive(&first, &cards).unwrap();
    // The next session ends the one before, and the card in hand goes on in it with the same keys.
    let second = bench.renew(&first).unwrap();
    assert_ne!(first.exchange, second.exchange);
    assert_eq!(bench.derive(&first, &cards).unwrap_err(), Refusal::ExchangeUnknown);
    assert_eq!(checks(&bench.derive(&second, &cards).unwrap()), checks(&made));
    let mut elsewhere = Bench::new(super::CARD, &ground, "station-2");
    let other = conflict(Conflict::OtherStation);
    assert_eq!(elsewhere.derive(&second, &cards).unwrap_err(), other);
    let gone = Shift { job: name("nonesuch"), ..second };
    assert_eq!(bench.derive(&gone, &cards).unwrap_err(), Refusal::NotFound { what: Thing::Job });
    let refused = [
        (CardDerive, is(JobState::Sealed)),
        (CardDerive, Refusal::ExchangeUnknown),
        (CardDerive, Refusal::ExchangeUnknown),
        (CardDerive, Refusal::NotFound { what: Thing::Job }),
    ];
    assert_refused(&ground, "station-1", &refused);
    assert_refused(&ground, "station-2", &[(CardDerive, other)]);
}

#[test]
fn as_many_cards_as_the_profile_says_are_in_hand_and_never_more_than_the_job_has() {
    let (mut ground, mut bench) = shop();
    let shift = bench.floor.shift(&mut bench.station, "pipeline", &head("generated", 1, 10));
    let all = uids(0..20);
    let first = bench.derive(&shift, &texts(&all[..6])).unwrap();
    assert_eq!(checks(&first).len(), 12, "two slots");
    assert_eq!(bench.derive(&shift, &texts(&all[6..9])).unwrap_err(), Refusal::ResultPending);
    let second = bench.derive(&shift, &texts(&all[6..8])).unwrap();
    assert_eq!(bench.derive(&shift, &[&all[8]]).unwrap_err(), Refusal::ResultPending);
    // What is in hand comes again all the same, and is the same.
    assert_eq!(checks(&bench.derive(&shift, &texts(&all[..6])).unwrap()), checks(&first));
    let mut wholly: Vec<_> = checks(&first).into_iter().map(|(_, _, check)| *check.as_bytes()).collect();
    wholly.sort_unstable();
    wholly.dedup();
    assert_eq!(wholly.len(), 12, "every card and slot has a key of its own");
    bench.good(&shift, &first).unwrap();
    bench.good(&shift, &second).unwrap();
    // Eight of ten are made: of five more the first two get keys, and nothing says why.
    let cut = bench.derive(&shift, &texts(&all[8..13])).unwrap();
    assert_eq!(cards(&cut), all[8..10]);
    let complete = conflict(JobComplete);
    assert_eq!(bench.derive(&shift, &[&all[13]]).unwrap_err(), complete);
    bench.good(&shift, &cut).unwrap();
    let pending = Refusal::ResultPending;
    let refused = [(CardDerive, pending.clone()), (CardDerive, pending), (CardDerive, complete)];
    assert_refused(&ground, "station-1", &refused);
    assert_eq!(derived(&raw::leaves(&ground)), [6, 2, 6, 2]);
    assert_eq!(tally(&mut bench.floor.data[0], &shift), Tally { made: 10, good: 10, ..Tally::default() });
    ground.assert_clean();
}

fn with_wrong_check(mut results: Vec<CardResult>) -> Vec<CardResult> {
    let mut read = results[0].readback.to_vec();
    read[0] = ShortCheck::new([9; 5]);
    results[0].readback = read.try_into().unwrap();
    results
}

#[test]
fn a_result_with_another_key_than_was_given_changes_nothing_and_one_said_twice_counts_once() {
    let (mut ground, mut bench) = shop();
    let shift = bench.floor.shift(&mut bench.station, "results", &head("generated", 1, 10));
    let delivery = bench.derive(&shift, &[&uid(1), &uid(2), &uid(3), &uid(4)]).unwrap();
    let all = results(&delivery, &Outcome::Good);
    let before = tally(&mut bench.floor.data[0], &shift);
    let (station, job) = (&mut bench.station, &shift.job);
    // All cards of a request or none: the first is good and the second is not.
    let second = with_wrong_check(all[1..2].to_vec());
    assert_eq!(give(station, job, [&all[..1], &second].concat()).unwrap_err(), READ_BACK);
    let mut short = all[0].clone();
    short.readback = vec![short.readback[0]].try_into().unwrap();
    assert_eq!(give(station, job, vec![short]).unwrap_err(), READ_BACK, "one slot of two");
    let sample = CardResult { outcome: Outcome::Sample, ..all[2].clone() };
    assert_eq!(give(station, job, with_wrong_check(vec![sample.clone()])).unwrap_err(), READ_BACK);
    assert_eq!(tally(&mut bench.floor.data[0], &shift), before);

    let twice = vec![all[0].clone(), all[0].clone()];
    assert_eq!(give(station, job, twice).unwrap_err(), Refusal::Invalid { reason: Invalid::Items });
    give(station, job, all[..2].to_vec()).unwrap();
    // A station that lost the answer says it again, under another key.
    give(station, job, all[..2].to_vec()).unwrap();
    // A reject needs no read-back; a sample does.
    let cause = "chip dead".parse().unwrap();
    let reject = Outcome::Reject { cause };
    let rejected = CardResult { outcome: reject, readback: Vec::new().try_into().unwrap(), ..all[3].clone() };
    give(station, job, vec![sample, rejected]).unwrap();
    let ready = conflict(Conflict::CardState { state: keysvc_protocol::card::CardState::Ready });
    let changed = CardResult { outcome: Outcome::Sample, ..all[0].clone() };
    assert_eq!(give(station, job, vec![changed]).unwrap_err(), ready, "what is good stays good");
    let mut unknown = all[0].clone();
    unknown.card = uid(99).parse().unwrap();
    assert_eq!(give(station, job, vec![unknown]).unwrap_err(), Refusal::NotFound { what: Thing::Card });
    assert_eq!(bench.derive(&shift, &[&uid(1)]).unwrap_err(), ready, "nor are its keys released again");

    let end = Tally { made: 4, good: 2, rejected: 1, sample: 1 };
    assert_eq!(tally(&mut bench.floor.data[0], &shift), end);
    let refused = [
        (Results, READ_BACK),
        (Results, READ_BACK),
        (Results, READ_BACK),
        (Results, Refusal::Invalid { reason: Invalid::Items }),
        (Results, ready.clone()),
        (Results, Refusal::NotFound { what: Thing::Card }),
        (CardDerive, ready),
    ];
    assert_refused(&ground, "station-1", &refused);
    ground.assert_clean();
}

#[test]
fn another_generation_of_a_cards_keys_takes_two_officers_and_is_delivered_to_the_station_that_asked() {
    let (mut ground, mut bench) = shop();
    let key = statement_key(&mut Caller::new(ground.site(), "platform-1"));
    bench.make(("known", 1), &["04782e21801d80"]).unwrap();
    let shift = bench.floor.shift(&mut bench.station, "again", &head("known", 1, 3));
    let newest = conflict(Generation { newest: 1 });
    assert_eq!(bench.derive(&shift, &["04782e21801d80"]).unwrap_err(), newest);
    let mut request = derive(&shift, &["04782e21801d80"]);
    let ask = |station: &mut Caller, request| send::<CardDeriveReply>(station, CardDerive, request);
    request.generation = 2;
    let Sent::Pending(pending) = ask(&mut bench.station, &request).unwrap() else {
        panic!("another generation was made at once")
    };
    let pending = Pending::new(*pending);
    assert_eq!((pending.proposal.need.persons, &pending.reply.state), (2, &ProposalState::Open));
    let mut officers = Officers::of(&ground);
    let [one, other] = &mut officers.0;
    let voted = pending.approve(one).unwrap();
    assert_eq!(voted.state, ProposalState::Open, "one officer is not enough");
    assert!(matches!(pending.approve(other).unwrap().state, ProposalState::Executed { .. }));

    // Nobody has the delivery but the station, which asks for it by the proposal, or again by the request.
    let result = pending.result(&mut bench.station).unwrap();
    let reply: CardDeriveReply =
        keysvc_protocol::cbor::decode(result.reply.unwrap().as_bytes(), 65_536).unwrap();
    let by_proposal = Delivery::verify(reply.delivery.as_bytes(), &bench.station.genesis, &key).unwrap();
    let Sent::Done(reply) = ask(&mut bench.station, &request).unwrap() else { panic!("it was executed") };
    let by_request = Delivery::verify(reply.delivery.as_bytes(), &bench.station.genesis, &key).unwrap();
    for delivery in [&by_proposal, &by_request] {
        assert_eq!((delivery.generation, cards(delivery)), (2, vec!["04782e21801d80".to_owned()]));
        assert_eq!(checks(delivery), checks(&by_proposal));
    }
    assert!(pending.result(&mut officers.0[0]).is_err(), "an officer gets no card keys");
    let result = results(&by_request, &Outcome::Good);
    give(&mut bench.station, &shift.job, result).unwrap();
    bench.floor.finish(&mut bench.station, "again", good(1, 2), "station-1");
    assert_eq!(acts(&raw::leaves(&ground)).len(), 1);
    ground.assert_clean();
}

#[test]
fn a_stolen_cards_keys_are_not_made_while_the_card_is_frozen() {
    let (ground, mut bench) = shop();
    let shift = bench.floor.shift(&mut bench.station, "stolen", &head("known", 1, 3));
    let card = "04782e21801d80".parse().unwrap();
    let scope = keysvc_protocol::freeze::Scope::Card { card, programme: None };
    let mut officers = Officers::of(&ground);
    officers.freeze(&scope);
    let stopped = Refusal::Frozen { scope: ScopeKind::Card };
    assert_eq!(bench.derive(&shift, &["04782e21801d80"]).unwrap_err(), stopped);
    officers.lift(&scope);
    bench.derive(&shift, &["04782e21801d80"]).unwrap();
    let refused: [(Operation, Refusal); 1] = [(CardDerive, stopped)];
    assert_refused(&ground, "station-1", &refused);
}
