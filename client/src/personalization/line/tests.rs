//! A line over a real station and token, with an encoder in memory that stores what it is given.

use super::*;
use crate::{
    component::check_value,
    personalization::MachineFault,
    testing::bureau::{Bureau, Refuses, Script, uid, with_bureau},
};
use keysvc_protocol::job::JobState;
use keysvc_token::scratch::with_scratch_token;
use std::collections::{BTreeMap, BTreeSet};

/// Cards that hold keys, and what the machine does with some of them.
#[derive(Default)]
struct Machine {
    feeder: VecDeque<CardUid>,
    held: BTreeMap<CardUid, Vec<[u8; 16]>>,
    trays: Vec<(CardUid, Tray)>,
    broken: BTreeSet<CardUid>,
    forgetful: BTreeSet<CardUid>,
    samples: BTreeSet<CardUid>,
    jams: BTreeSet<CardUid>,
    /// Cards on which the feeder stands still, once.
    stuck: BTreeSet<CardUid>,
    in_hand: BTreeSet<CardUid>,
    most_in_hand: usize,
}

impl Machine {
    fn with(cards: std::ops::RangeInclusive<u8>) -> Self {
        Self { feeder: cards.map(uid).collect(), ..Self::default() }
    }

    fn tray(&self, tray: Tray) -> Vec<CardUid> {
        self.trays.iter().filter(|(_, lies)| *lies == tray).map(|(card, _)| *card).collect()
    }
}

impl CardWriter for Machine {
    fn next_card(&mut self) -> Result<Option<CardUid>, MachineFault> {
        if self.feeder.front().is_some_and(|card| self.stuck.remove(card)) {
            return Err(MachineFault("the feeder".into()));
        }
        let card = self.feeder.pop_front();
        self.in_hand.extend(card);
        self.most_in_hand = self.most_in_hand.max(self.in_hand.len());
        Ok(card)
    }

    fn write(&mut self, card: &DeliveredCard) -> Result<(), CardFault> {
        if self.jams.remove(&card.card) {
            return Err(MachineFault("jam".into()).into());
        }
        if self.broken.contains(&card.card) {
            return Err(CardFault::Card { cause: "it does not answer".parse().unwrap() });
        }
        let keys = card.keys.iter().map(|key| *key.value.expose()).collect();
        self.held.insert(card.card, keys);
        Ok(())
    }

    fn read_back(&mut self, card: &CardUid) -> Result<Vec<ShortCheck>, CardFault> {
        let keys = self.held.get_mut(card).unwrap();
        if self.forgetful.contains(card) {
            keys[0][0] ^= 1;
        }
        Ok(keys.iter().map(check_value).collect())
    }

    fn is_sample(&mut self, card: &CardUid) -> bool {
        self.samples.contains(card)
    }

    fn put_out(&mut self, card: &CardUid, tray: Tray) -> Result<(), MachineFault> {
        self.in_hand.remove(card);
        self.trays.push((*card, tray));
        Ok(())
    }
}

/// A shift at the far end, with its journal.
struct Floor<'a> {
    bureau: &'a Bureau,
    station: Station,
    shift: Shift,
    folder: tempfile::TempDir,
    said: Vec<String>,
}

impl<'a> Floor<'a> {
    fn of(bureau: &'a Bureau) -> Self {
        let shift = bureau.station.begin(bureau.opening()).unwrap();
        let station = bureau.station.clone();
        Self { bureau, station, shift, folder: tempfile::tempdir().unwrap(), said: Vec::new() }
    }

    fn journal(&self) -> Journal {
        Journal::open(self.folder.path(), self.shift.job()).unwrap()
    }

    fn run(&mut self, machine: &mut Machine) -> Result<Ended, RunError> {
        self.run_until(machine, usize::MAX)
    }

    /// Says stop after so many finished cards.
    fn run_until(&mut self, machine: &mut Machine, finished: usize) -> Result<Ended, RunError> {
        let patience = Duration::from_secs(5);
        let line = Line { station: &self.station, shift: &self.shift, pipeline: 4, patience };
        let (mut journal, mut count) = (self.journal(), 0);
        let said = &mut self.said;
        line.run(machine, &mut journal, &mut |event| {
            said.push(format!("{event:?}"));
            count += usize::from(matches!(event, Event::Card { .. }));
            if count >= finished { Go::Stop } else { Go::On }
        })
    }

    fn given(&self) -> BTreeMap<CardUid, Outcome> {
        let asked = self.bureau.asked.lock().unwrap();
        asked.results.iter().flatten().map(|result| (result.card, result.outcome.clone())).collect()
    }
}

/// Runs a test in a process of its own, which the token's module wants; so it captures nothing.
macro_rules! on_floor {
    ($test:ident, $script:expr, $work:expr) => {
        with_scratch_token(concat!("personalization::line::tests::", stringify!($test)), |scratch| {
            let work: fn(&mut Floor<'_>) = $work;
            with_bureau(scratch, $script, |bureau| work(&mut Floor::of(bureau)));
        })
    };
}

#[test]
fn every_card_holds_its_keys_and_its_result_is_given_whatever_became_of_it() {
    on_floor!(
        every_card_holds_its_keys_and_its_result_is_given_whatever_became_of_it,
        Script::default(),
        |floor| {
            let mut machine = Machine::with(1..=11);
            machine.broken.insert(uid(3));
            machine.forgetful.insert(uid(5));
            machine.samples.insert(uid(7));
            assert_eq!(floor.run(&mut machine).unwrap(), Ended::NoMoreCards);
            let given = floor.given();
            let reject = |cause: &str| Outcome::Reject { cause: cause.parse().unwrap() };
            for (card, outcome) in &given {
                let expected = match card.as_bytes()[6] {
                    3 => reject("it does not answer"),
                    5 => reject(OTHER_KEYS),
                    7 => Outcome::Sample,
                    _ => Outcome::Good,
                };
                assert_eq!(*outcome, expected);
                assert!(machine.trays.contains(&(*card, Tray::of(outcome))));
            }
            assert_eq!((given.len(), machine.trays.len()), (11, 11));
            assert_eq!(machine.most_in_hand, 4);
            assert!(floor.journal().in_hand().is_empty() && floor.journal().not_given().is_empty());
            // The ends of identifiers alone, and nobody's total.
            assert!(!floor.said.concat().contains("04782e"), "{:?}", floor.said);
        }
    );
}

#[test]
fn a_line_that_broke_off_goes_on_with_what_was_in_hand_and_makes_no_card_twice() {
    on_floor!(
        a_line_that_broke_off_goes_on_with_what_was_in_hand_and_makes_no_card_twice,
        Script::default(),
        |floor| {
            let mut machine = Machine::with(1..=7);
            machine.jams.insert(uid(4));
            let broken = floor.run(&mut machine).unwrap_err();
            assert!(matches!(broken, RunError::Machine(MachineFault(ref what)) if what == "jam"), "{broken}");
            assert!(floor.journal().in_hand().contains(&uid(4)));
            // What was finished lies in the feeder again, put there by mistake.
            machine.feeder.push_front(uid(1));
            assert_eq!(floor.run(&mut machine).unwrap(), Ended::NoMoreCards);
            assert_eq!(floor.given().len(), 7);
            let results: usize = floor.bureau.asked.lock().unwrap().results.iter().map(Vec::len).sum();
            assert_eq!(results, 7, "none is given twice");
            assert!(floor.said.iter().any(|event| event.starts_with("Skipped")), "{:?}", floor.said);
        }
    );
}

#[test]
fn cards_that_were_taken_before_the_feeder_stood_still_are_in_hand_and_made_by_the_next_run() {
    on_floor!(
        cards_that_were_taken_before_the_feeder_stood_still_are_in_hand_and_made_by_the_next_run,
        Script::default(),
        |floor| {
            let mut machine = Machine::with(1..=7);
            machine.stuck.insert(uid(3));
            let broken = floor.run(&mut machine).unwrap_err();
            assert!(matches!(broken, RunError::Machine(_)), "{broken}");
            let in_hand = floor.journal().in_hand();
            assert!(in_hand.contains(&uid(1)) && in_hand.contains(&uid(2)), "{}", in_hand.len());
            assert_eq!(floor.run(&mut machine).unwrap(), Ended::NoMoreCards);
            assert_eq!((floor.given().len(), machine.tray(Tray::Good).len()), (7, 7));
        }
    );
}

#[test]
fn the_keeper_may_restart_in_the_middle_and_nothing_is_lost() {
    on_floor!(
        the_keeper_may_restart_in_the_middle_and_nothing_is_lost,
        Script { restarts: vec![2, 4], ..Script::default() },
        |floor| {
            let mut machine = Machine::with(1..=9);
            assert_eq!(floor.run(&mut machine).unwrap(), Ended::NoMoreCards);
            assert_eq!((floor.given().len(), machine.tray(Tray::Good).len()), (9, 9));
            assert_eq!(floor.bureau.asked.lock().unwrap().opened.len(), 3);
        }
    );
}

#[test]
fn when_the_job_has_no_room_the_rest_go_back_to_the_blanks() {
    on_floor!(
        when_the_job_has_no_room_the_rest_go_back_to_the_blanks,
        Script { room: Some(5), ..Script::default() },
        |floor| {
            let mut machine = Machine::with(1..=9);
            assert_eq!(floor.run(&mut machine).unwrap(), Ended::JobComplete);
            assert_eq!(machine.tray(Tray::Good), (1..=5).map(uid).collect::<Vec<_>>());
            assert_eq!(machine.tray(Tray::Blank), [uid(6)]);
            assert_eq!((floor.given().len(), machine.feeder.len()), (5, 3));
            assert!(floor.journal().in_hand().is_empty());
        }
    );
}

#[test]
fn a_session_that_is_over_lets_what_is_there_be_finished_and_the_next_one_goes_on() {
    on_floor!(
        a_session_that_is_over_lets_what_is_there_be_finished_and_the_next_one_goes_on,
        Script {
            refuse: Some(Refuses(|number, _| {
                (number == 3).then_some(Refusal::StateConflict { reason: Conflict::SessionOver })
            })),
            ..Script::default()
        },
        |floor| {
            let mut machine = Machine::with(1..=8);
            assert_eq!(floor.run(&mut machine).unwrap(), Ended::SessionOver);
            assert_eq!((floor.given().len(), machine.tray(Tray::Blank).len()), (4, 2));
            let blank = machine.tray(Tray::Blank);
            machine.feeder.extend(blank);
            floor.shift = floor.bureau.station.begin(floor.bureau.opening()).unwrap();
            assert_eq!(floor.run(&mut machine).unwrap(), Ended::NoMoreCards);
            assert_eq!((floor.given().len(), machine.tray(Tray::Good).len()), (8, 8));
        }
    );
}

#[test]
fn a_card_that_the_service_does_not_take_goes_back_and_the_others_beside_it_are_made() {
    on_floor!(
        a_card_that_the_service_does_not_take_goes_back_and_the_others_beside_it_are_made,
        Script {
            refuse: Some(Refuses(|_, cards| cards
                .contains(&uid(4))
                .then_some(Refusal::NotFound { what: Thing::Item }))),
            ..Script::default()
        },
        |floor| {
            let mut machine = Machine::with(1..=6);
            assert_eq!(floor.run(&mut machine).unwrap(), Ended::NoMoreCards);
            assert_eq!(machine.tray(Tray::Blank), [uid(4)]);
            assert_eq!((floor.given().len(), machine.tray(Tray::Good).len()), (5, 5));
            assert!(
                floor.said.iter().any(|event| event.contains("LeftOut") && event.contains("because: Some"))
            );
        }
    );
}

#[test]
fn a_job_that_is_stopped_keeps_what_is_in_hand_until_it_goes_on() {
    on_floor!(
        a_job_that_is_stopped_keeps_what_is_in_hand_until_it_goes_on,
        Script {
            refuse_results: Some(
                |number| (number == 2).then_some(Refusal::StateConflict { reason: SUSPENDED })
            ),
            ..Script::default()
        },
        |floor| {
            let mut machine = Machine::with(1..=6);
            assert_eq!(floor.run(&mut machine).unwrap(), Ended::JobStopped { state: JobState::Suspended });
            assert_eq!(floor.given().len(), 2);
            let journal = floor.journal();
            assert!(journal.not_given().len() >= 2, "{:?}", journal.not_given());
        }
    );
}

const SUSPENDED: Conflict = Conflict::JobState { state: JobState::Suspended };

#[test]
fn whoever_watches_can_stop_it_and_what_was_begun_is_finished() {
    on_floor!(whoever_watches_can_stop_it_and_what_was_begun_is_finished, Script::default(), |floor| {
        let mut machine = Machine::with(1..=20);
        assert_eq!(floor.run_until(&mut machine, 3).unwrap(), Ended::Stopped);
        assert!(machine.in_hand.is_empty() && floor.journal().in_hand().is_empty());
        assert_eq!(floor.given().len(), machine.tray(Tray::Good).len());
        assert!(machine.feeder.len() > 10, "{}", machine.feeder.len());
    });
}

#[test]
fn a_service_that_is_away_is_waited_for_and_no_longer_than_patience_lasts() {
    on_floor!(
        a_service_that_is_away_is_waited_for_and_no_longer_than_patience_lasts,
        Script {
            refuse: Some(Refuses(|number, _| (number > 1).then_some(Refusal::StoreUnavailable))),
            ..Script::default()
        },
        |floor| {
            // A call gives up long before patience does.
            floor.station = floor.station.with_deadline(Duration::from_secs(2));
            let mut machine = Machine::with(1..=6);
            let away = floor.run(&mut machine).unwrap_err();
            assert!(matches!(&away, RunError::Service(error) if error.exit_code() == 4), "{away}");
            assert!(floor.said.iter().any(|event| event.starts_with("Waiting")), "{:?}", floor.said);
            // What had its keys is in the journal all the same.
            assert_eq!(floor.given().len() + floor.journal().not_given().len(), 2);
        }
    );
}
