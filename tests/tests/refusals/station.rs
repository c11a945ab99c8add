//! What a station is refused: its statement key is in its token, so each body runs in a child that sees it.

use super::{derive, invalid, missing, refusal};
use keysvc_protocol::{
    bytes::{Exchange, Idem},
    card::CardUid,
    delivery::ExchangeOpening,
    leaf::{CardKeysDerivedLeaf, LeafKind},
    refusal::{Forbids, Invalid, Refusal, Thing},
    reply::{CardDeriveReply, StationOpenReply},
    request::{DeriveCardKeys, OpenStation, Operation},
    schema::Schema,
};
use keysvc_tests::{
    ground::Ground,
    raw::{self, Caller},
};
use softhsm_setup::Site;
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

fn open(station: &mut Caller, idem: Idem) -> Exchange {
    let reply: StationOpenReply =
        station.ask(Operation::StationOpen, &OpenStation { schema: Schema, idem }).unwrap();
    let opening = keysvc_protocol::cose::Signed::parse(reply.opening.as_bytes()).unwrap();
    let key = statement_key(station);
    let payload =
        opening.open(keysvc_protocol::cose::Kind::ExchangeOpening, station.genesis.as_bytes(), &key);
    keysvc_protocol::cbor::decode::<ExchangeOpening>(payload.unwrap(), 4096).unwrap().exchange
}

/// The service's statement key, out of the founding leaf.
fn statement_key(station: &mut Caller) -> keysvc_protocol::public_key::PublicKey {
    use keysvc_client::trust_store::Founded;
    use keysvc_protocol::{reply::CheckpointReply, request::ReadCheckpoint, trust::Trust};
    let request = ReadCheckpoint { schema: Schema, genesis: true };
    let reply: CheckpointReply = station.ask(Operation::LogCheckpoint, &request).unwrap();
    let trust = Trust { domain: softhsm_setup::TRUST_DOMAIN.parse().unwrap(), genesis: station.genesis };
    *Founded::check(&trust, &reply.genesis.unwrap()).unwrap().statement_key()
}

fn cards(cards: &[&str]) -> Vec<CardUid> {
    cards.iter().map(|card| card.parse().unwrap()).collect()
}

fn forbids(reason: Forbids) -> Refusal {
    Refusal::ProfileForbids { reason }
}

fn is_refused_what_no_profile_provides(site: &Site, persona: &str) {
    let mut station = Caller::new(site, persona);
    let exchange = open(&mut station, Idem::new([1; 16]));
    let good = || DeriveCardKeys { exchange, ..derive() };
    let with = |list: &[&str]| DeriveCardKeys { cards: cards(list).try_into().unwrap(), ..good() };
    let slots = |list: &[u8]| DeriveCardKeys { slots: list.to_vec().try_into().unwrap(), ..good() };
    let cases = [
        (DeriveCardKeys { profile: "other".parse().unwrap(), ..good() }, missing(Thing::Profile)),
        (DeriveCardKeys { profile_version: 2, ..good() }, missing(Thing::Profile)),
        (slots(&[0, 1]), missing(Thing::Slot)),
        (slots(&[]), invalid(Invalid::Items)),
        (slots(&[0, 0]), invalid(Invalid::Items)),
        (with(&[]), invalid(Invalid::Items)),
        (with(&["04782e21801d80", "04782e21801d81", "04782e21801d80"]), invalid(Invalid::Items)),
        // 4-byte identifiers come back on other cards.
        (with(&["04782e21801d80", "04782e21"]), forbids(Forbids::ShortUid)),
        // 10 bytes of UID, 3 of application, 19 of system identifier.
        (with(&["0102030405060708090a"]), forbids(Forbids::InputLength { found: 32 })),
    ];
    for (request, refused) in cases {
        assert_eq!(refusal(&mut station, Operation::CardDerive, &request), refused, "{request:?}");
    }
    station.ask::<CardDeriveReply>(Operation::CardDerive, &good()).unwrap();
}

#[test]
fn a_station_is_refused_cards_slots_and_profiles_that_do_not_fit() {
    let test = "station::a_station_is_refused_cards_slots_and_profiles_that_do_not_fit";
    let body = is_refused_what_no_profile_provides;
    let Some(ground) = raw::with_tokens(test, &["station-1"], long_identifier, body) else { return };
    assert_eq!(raw::refused(&ground, "station-1").len(), 9);
    let derived: Vec<CardKeysDerivedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::CardKeysDerived);
    assert_eq!(derived.len(), 1, "nothing is recorded as derived that was refused");
}

fn is_refused_other_exchanges(site: &Site, persona: &str) {
    let mut station = Caller::new(site, persona);
    // Never opened.
    assert_eq!(refusal(&mut station, Operation::CardDerive, &derive()), Refusal::ExchangeUnknown);
    let idem = Idem::new([2; 16]);
    let exchange = open(&mut station, idem);
    assert_eq!(open(&mut station, idem), exchange, "a repeated opening is the same exchange");
    // The number of one request for another of any operation.
    let reused = DeriveCardKeys { idem, exchange, ..derive() };
    assert_eq!(refusal(&mut station, Operation::CardDerive, &reused), Refusal::IdemConflict);
    let first = DeriveCardKeys { exchange, ..derive() };
    station.ask::<CardDeriveReply>(Operation::CardDerive, &first).unwrap();
    let other = DeriveCardKeys { cards: cards(&["04782e21801d81"]).try_into().unwrap(), ..first.clone() };
    assert_eq!(refusal(&mut station, Operation::CardDerive, &other), Refusal::IdemConflict);
    // Of a station's exchanges the oldest ends when it opens more than four.
    for number in 3..7 {
        open(&mut station, Idem::new([number; 16]));
    }
    let late = DeriveCardKeys { exchange, ..derive() };
    assert_eq!(refusal(&mut station, Operation::CardDerive, &late), Refusal::ExchangeUnknown);
    // Its transport key is gone, so its opening cannot be had again either.
    let again = OpenStation { schema: Schema, idem };
    assert_eq!(refusal(&mut station, Operation::StationOpen, &again), Refusal::ExchangeUnknown);
}

#[test]
fn an_exchange_that_is_not_open_and_a_number_used_before_are_refused() {
    let test = "station::an_exchange_that_is_not_open_and_a_number_used_before_are_refused";
    let body = is_refused_other_exchanges;
    let Some(ground) = raw::with_tokens(test, &["station-1"], Ground::new, body) else { return };
    let refused: Vec<_> = raw::refused(&ground, "station-1").into_iter().map(|leaf| leaf.refusal).collect();
    use Refusal::{ExchangeUnknown, IdemConflict};
    assert_eq!(refused, [ExchangeUnknown, IdemConflict, IdemConflict, ExchangeUnknown, ExchangeUnknown]);
}
