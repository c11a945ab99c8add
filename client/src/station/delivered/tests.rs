//! Deliveries forged in every way: only what answers exactly our request is taken. Nothing is unwrapped here.

use super::*;
use crate::testing::{Key, Log, TERMINAL, service::statement};
use keysvc_protocol::{
    bytes::{Blob, Digest, Exchange, Idem, WrappedCardKey},
    cose::Kind,
    job::ItemData,
};

fn uid(last: u8) -> CardUid {
    CardUid::try_from([4, 0x78, 0x2e, 0x21, 0x80, 0x1d, last].as_slice()).unwrap()
}

fn request() -> DeriveCardKeys {
    DeriveCardKeys {
        schema: Schema,
        idem: Idem::new([1; 16]),
        exchange: Exchange::new([2; 16]),
        job: "job-1".parse().unwrap(),
        generation: 1,
        cards: vec![uid(1), uid(2)].try_into().unwrap(),
    }
}

fn key(card: u8, slot: u8) -> DeliveredKey {
    let (wrapped, check) = (WrappedCardKey::new([0; 24]), ShortCheck::new([0; 5]));
    DeliveredKey { card: uid(card), slot, key_version: 1, wrapped, check }
}

fn item(card: u8) -> JobItem {
    JobItem { card: uid(card), data: ItemData(Blob::try_from(vec![card]).unwrap()) }
}

fn delivery() -> Delivery {
    Delivery {
        schema: Schema,
        station: "station-1".parse().unwrap(),
        exchange: Exchange::new([2; 16]),
        idem: Idem::new([1; 16]),
        job: "job-1".parse().unwrap(),
        generation: 1,
        profile: "fob".parse().unwrap(),
        profile_version: 1,
        keys: vec![key(1, 0), key(1, 3), key(2, 0), key(2, 3)].try_into().unwrap(),
        items: vec![item(1), item(2)].try_into().unwrap(),
    }
}

fn founded() -> Founded {
    let log = Log::new(0, 0);
    Founded::check(&log.trust(), &log.0[0]).unwrap()
}

fn check(delivery: &Delivery) -> Result<Checked, ClientError> {
    let founded = founded();
    let message = statement(Kind::Delivery, founded.genesis(), delivery);
    check_delivery(&founded, &"station-1".parse().unwrap(), &request(), &message)
}

fn refused(delivery: &Delivery) -> String {
    match check(delivery) {
        Err(ClientError::Untrusted { what, evidence: None }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_delivery_for_exactly_what_was_asked_is_taken() {
    let checked = check(&delivery()).unwrap();
    assert_eq!((checked.delivery, checked.slots, checked.left_out), (delivery(), 2, Vec::new()));
    let as_encountered = Delivery { items: Vec::new().try_into().unwrap(), ..delivery() };
    assert!(check(&as_encountered).is_ok());
}

#[test]
fn a_delivery_of_the_first_cards_leaves_the_others_out() {
    let first = Delivery {
        keys: vec![key(1, 0), key(1, 3)].try_into().unwrap(),
        items: vec![item(1)].try_into().unwrap(),
        ..delivery()
    };
    assert_eq!(check(&first).unwrap().left_out, [uid(2)]);
    let second = Delivery {
        keys: vec![key(2, 0), key(2, 3)].try_into().unwrap(),
        items: vec![item(2)].try_into().unwrap(),
        ..delivery()
    };
    assert_eq!(refused(&second), "the delivery is for other cards than were asked for");
}

#[test]
fn a_delivery_for_another_request_is_refused() {
    let others = [
        Delivery { station: "station-2".parse().unwrap(), ..delivery() },
        Delivery { exchange: Exchange::new([3; 16]), ..delivery() },
        Delivery { idem: Idem::new([3; 16]), ..delivery() },
        Delivery { job: "job-2".parse().unwrap(), ..delivery() },
        Delivery { generation: 2, ..delivery() },
    ];
    for other in others {
        assert_eq!(refused(&other), "the delivery answers another request");
    }
}

#[test]
fn a_delivery_with_other_cards_or_uneven_slots_or_in_another_order_is_refused() {
    let newer = DeliveredKey { key_version: 2, ..key(2, 3) };
    let cases = [
        (vec![], "the delivery is empty"),
        (vec![key(1, 0), key(1, 3), key(2, 0)], UNEVEN),
        (vec![key(1, 0), key(1, 3), key(2, 0), key(2, 4)], UNEVEN),
        (vec![key(1, 0), key(1, 3), key(2, 0), newer], UNEVEN),
        (vec![key(1, 3), key(1, 0), key(2, 3), key(2, 0)], UNEVEN),
        (vec![key(1, 0), key(1, 0), key(2, 0), key(2, 0)], UNEVEN),
        (vec![key(1, 0), key(1, 3), key(3, 0), key(3, 3)], OTHERS),
        (vec![key(2, 0), key(2, 3), key(1, 0), key(1, 3)], OTHERS),
        (vec![key(1, 0), key(2, 0), key(1, 3), key(2, 3)], UNEVEN),
        (vec![key(1, 0), key(1, 3), key(2, 0), key(2, 3), key(3, 0), key(3, 3)], MORE),
        (vec![key(1, 0), key(1, 3), key(1, 0), key(1, 3)], UNEVEN),
    ];
    for (number, (keys, why)) in cases.into_iter().enumerate() {
        let other = Delivery { keys: keys.try_into().unwrap(), ..delivery() };
        assert_eq!(refused(&other), why, "case {number}");
    }
}

const UNEVEN: &str = "the delivery has other slots for one card than for another";
const OTHERS: &str = "the delivery is for other cards than were asked for";
const MORE: &str = "the delivery is for more cards than were asked for";

#[test]
fn a_delivery_with_the_data_of_other_cards_is_refused() {
    let items =
        [vec![item(1)], vec![item(1), item(3)], vec![item(2), item(1)], vec![item(1), item(2), item(3)]];
    for items in items {
        let other = Delivery { items: items.try_into().unwrap(), ..delivery() };
        assert_eq!(refused(&other), "the delivery holds the data of other cards");
    }
}

#[test]
fn a_delivery_the_service_did_not_sign_is_refused() {
    let founded = founded();
    let (station, payload) = ("station-1".parse().unwrap(), cbor::encode(&delivery()));
    let scope = founded.genesis().as_bytes();
    let stranger = Key::new(TERMINAL).cose(Kind::Delivery, scope, payload.clone());
    let elsewhere = statement(Kind::Delivery, &Digest::new([9; 32]), &delivery());
    let opening = statement(Kind::ExchangeOpening, founded.genesis(), &delivery());
    for message in [stranger, elsewhere, opening, payload] {
        let result = check_delivery(&founded, &station, &request(), &message);
        assert!(matches!(result, Err(ClientError::Delivery(_))), "{result:?}");
    }
}
