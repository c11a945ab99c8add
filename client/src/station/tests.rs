//! A station over a real token of its own, against a far end that has one too.

use super::*;
use crate::testing::bureau::{Script, uid, with_bureau};
use keysvc_protocol::{
    job::{CardResult, Counts, Incident, JobAct, JobState, Outcome as CardOutcome, PurgeReceipt},
    refusal::Refusal,
};
use keysvc_token::scratch::with_scratch_token;

fn untrusted<T: std::fmt::Debug>(result: Result<T, ClientError>) -> String {
    match result {
        Err(ClientError::Untrusted { what, evidence: None }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_shift_receives_the_keys_and_data_of_its_cards_in_order() {
    let test = "station::tests::a_shift_receives_the_keys_and_data_of_its_cards_in_order";
    with_scratch_token(test, |scratch| {
        with_bureau(scratch, Script { room: Some(2), ..Script::default() }, |bureau| {
            let station = &bureau.station;
            let shift = station.begin(bureau.opening()).unwrap();
            assert_eq!((station.name().as_str(), shift.job().as_str()), ("station-1", "job-1"));
            let delivered = station.derive(&shift, &[uid(1), uid(2), uid(3)], 1).unwrap();
            let places: Vec<_> = delivered.cards.iter().map(|card| card.card).collect();
            assert_eq!(
                (places.as_slice(), delivered.left_out.as_slice()),
                (&[uid(1), uid(2)][..], &[uid(3)][..])
            );
            let values: std::collections::BTreeSet<_> = delivered
                .cards
                .iter()
                .flat_map(|card| card.keys.iter().map(|key| *key.value.expose()))
                .collect();
            assert_eq!(values.len(), 4);
            let second = &delivered.cards[1];
            assert_eq!(second.data.as_ref().unwrap().0.as_bytes(), uid(2).as_bytes());
            assert_eq!(second.checks(), second.keys.iter().map(|key| key.check).collect::<Vec<_>>());
            let again = station.derive(&shift, &[uid(2)], 1).unwrap();
            assert_eq!(again.cards[0].keys[1].value.expose(), second.keys[1].value.expose());
        });
    });
}

#[test]
fn after_a_restart_of_the_keeper_the_very_same_request_opens_the_same_session_and_nobody_signs() {
    let test = "station::tests::after_a_restart_of_the_keeper_the_very_same_request_opens_the_same_session_and_nobody_signs";
    with_scratch_token(test, |scratch| {
        with_bureau(scratch, Script { restarts: vec![2, 4], ..Script::default() }, |bureau| {
            let station = &bureau.station;
            let shift = station.begin(bureau.opening()).unwrap();
            let before = station.derive(&shift, &[uid(1)], 1).unwrap();
            let after = station.derive(&shift, &[uid(1)], 1).unwrap();
            assert_eq!(after.cards[0].keys[0].value.expose(), before.cards[0].keys[0].value.expose());
            station.derive(&shift, &[uid(2)], 1).unwrap();
            let asked = bureau.asked.lock().unwrap();
            assert_eq!(asked.opened.len(), 3);
            assert!(asked.opened.iter().all(|opened| *opened == asked.opened[0]));
            assert!(asked.derived.iter().all(|derived| derived.exchange == shift.exchange()));
        });
    });
}

#[test]
fn a_program_that_is_started_again_has_the_same_session_by_the_same_two_agreements() {
    let test =
        "station::tests::a_program_that_is_started_again_has_the_same_session_by_the_same_two_agreements";
    with_scratch_token(test, |scratch| {
        with_bureau(scratch, Script::default(), |bureau| {
            let [one, other] = bureau.opening();
            let shift = bureau.station.begin([one.clone(), other.clone()]).unwrap();
            // Named the other way round: they are the same two.
            let again = bureau.restarted().begin([other, one]).unwrap();
            assert_eq!(again.exchange(), shift.exchange());
            let next = bureau.station.begin(bureau.opening()).unwrap();
            assert_ne!(next.exchange(), shift.exchange());
        });
    });
}

#[test]
fn a_service_that_never_knows_the_session_is_asked_twice_and_no_more() {
    let test = "station::tests::a_service_that_never_knows_the_session_is_asked_twice_and_no_more";
    with_scratch_token(test, |scratch| {
        with_bureau(scratch, Script { restarts: (1..9).collect(), ..Script::default() }, |bureau| {
            let shift = bureau.station.begin(bureau.opening()).unwrap();
            let error = bureau.station.derive(&shift, &[uid(1)], 1).unwrap_err();
            assert_eq!(error.refusal(), Some(&Refusal::ExchangeUnknown));
            let asked = bureau.asked.lock().unwrap();
            assert_eq!((asked.opened.len(), asked.derived.len()), (2, 2));
        });
    });
}

#[test]
fn a_session_that_changes_under_the_same_request_is_refused() {
    let test = "station::tests::a_session_that_changes_under_the_same_request_is_refused";
    with_scratch_token(test, |scratch| {
        let script = Script { restarts: vec![1], other_session: true, ..Script::default() };
        with_bureau(scratch, script, |bureau| {
            let shift = bureau.station.begin(bureau.opening()).unwrap();
            let result = bureau.station.derive(&shift, &[uid(1)], 1);
            assert_eq!(untrusted(result), "the same request opened another session");
        });
    });
}

#[test]
fn a_key_with_another_check_value_is_refused() {
    let test = "station::tests::a_key_with_another_check_value_is_refused";
    with_scratch_token(test, |scratch| {
        with_bureau(scratch, Script { turn: 1, ..Script::default() }, |bureau| {
            let shift = bureau.station.begin(bureau.opening()).unwrap();
            let result = bureau.station.derive(&shift, &[uid(1)], 1);
            assert_eq!(untrusted(result), "a card key has another check value");
        });
    });
}

#[test]
fn another_generation_of_the_same_cards_is_one_request_however_often_it_is_asked() {
    let test =
        "station::tests::another_generation_of_the_same_cards_is_one_request_however_often_it_is_asked";
    with_scratch_token(test, |scratch| {
        with_bureau(scratch, Script::default(), |bureau| {
            let shift = bureau.station.begin(bureau.opening()).unwrap();
            for generation in [2, 2, 3, 1, 1] {
                bureau.station.derive(&shift, &[uid(1)], generation).unwrap();
            }
            let asked = bureau.asked.lock().unwrap();
            let idems: Vec<_> = asked.derived.iter().map(|derived| derived.idem).collect();
            assert!(idems[0] == idems[1] && idems[1] != idems[2] && idems[3] != idems[4]);
        });
    });
}

#[test]
fn a_station_sends_what_people_agreed_to_and_nothing_else() {
    let test = "station::tests::a_station_sends_what_people_agreed_to_and_nothing_else";
    with_scratch_token(test, |scratch| {
        with_bureau(scratch, Script::default(), |bureau| {
            let (station, job) = (&bureau.station, "job-1".parse().unwrap());
            let counts = Counts { good: 2, rejected: 1, ..Counts::default() };
            let agreed = bureau.agreed(&JobAct::Count { counts });
            assert_eq!(station.count(&job, counts, agreed.clone()).unwrap(), Counted::Balanced);
            assert_eq!(station.count(&job, counts, agreed.clone()).unwrap(), Counted::Balanced);
            let more = Counts { good: 3, ..counts };
            let error = station.count(&job, more, agreed).unwrap_err();
            assert!(matches!(error, ClientError::Request { .. }), "{error:?}");
            let agreed = bureau.agreed(&JobAct::Count { counts: more });
            assert_eq!(station.count(&job, more, agreed.clone()).unwrap(), Counted::Mismatch);
            assert!(matches!(station.begin(agreed), Err(ClientError::Request { .. })));
            let asked = bureau.asked.lock().unwrap();
            let idems: Vec<_> = asked.counted.iter().map(|counted| counted.idem).collect();
            // The same agreements are the same count; others are another one.
            assert!(idems.len() == 3 && idems[0] == idems[1] && idems[1] != idems[2]);
        });
    });
}

#[test]
fn incidents_and_the_purge_go_with_the_agreements_to_exactly_them() {
    let test = "station::tests::incidents_and_the_purge_go_with_the_agreements_to_exactly_them";
    with_scratch_token(test, |scratch| {
        with_bureau(scratch, Script::default(), |bureau| {
            let (station, job) = (&bureau.station, "job-1".parse().unwrap());
            let said = |text: &str| text.parse().unwrap();
            let incident = Incident {
                equipment: said("encoder 1"),
                time_ms: 5,
                cause: said("jam"),
                place: said("tray 2"),
                in_hand: 3,
            };
            let agreed = bureau.agreed(&JobAct::Incident { incident: incident.clone() });
            assert_eq!(station.report_incident(&job, incident, agreed).unwrap(), JobState::Open);
            let receipt = PurgeReceipt {
                station: station.name().clone(),
                erased_ms: 5,
                files: 1,
                method: said("wiped"),
            };
            let [witness, _] = bureau.agreed(&JobAct::Close { receipt: receipt.clone() });
            let other = PurgeReceipt { files: 2, ..receipt.clone() };
            let error = station.close_job(&job, other, witness.clone()).unwrap_err();
            assert!(matches!(error, ClientError::Request { .. }), "{error:?}");
            assert_eq!(station.close_job(&job, receipt, witness).unwrap(), JobState::Closed);
        });
    });
}

#[test]
fn results_beyond_one_request_go_in_several_and_none_is_lost() {
    let test = "station::tests::results_beyond_one_request_go_in_several_and_none_is_lost";
    with_scratch_token(test, |scratch| {
        with_bureau(scratch, Script::default(), |bureau| {
            let job = "job-1".parse().unwrap();
            let cause: Reason = "x".repeat(200).parse().unwrap();
            let results: Vec<CardResult> = (0..=255)
                .map(|last| CardResult {
                    card: uid(last),
                    outcome: CardOutcome::Reject { cause: cause.clone() },
                    readback: Vec::new().try_into().unwrap(),
                })
                .collect();
            let many = [results.clone(), results.clone()].concat();
            assert_eq!(bureau.station.give_results(&job, &many).unwrap(), JobState::Open);
            let asked = bureau.asked.lock().unwrap();
            assert!(asked.results.len() > 1);
            assert_eq!(asked.results.concat(), many);
            drop(asked);
            assert!(matches!(bureau.station.give_results(&job, &[]), Err(ClientError::Request { .. })));
        });
    });
}
