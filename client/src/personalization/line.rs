//! The line itself: the encoder on the caller's thread, the service on another, the journal in between.
//!
//! INVARIANT: a step is in the journal before the next is taken: asked before keys are asked for, made before a card goes
//! into its tray, given after the service said so.

use super::{
    CardFault, CardWriter, Ended, Event, Go, Journal, MachineFault, RunError, Tray,
    journal::Standing,
    pipeline::{Next, Pipeline},
    service::{self, Answer, Order},
};
use crate::{
    blocking::Station,
    error::ClientError,
    station::{Delivered, DeliveredCard, Shift},
};
use keysvc_protocol::{
    bytes::ShortCheck,
    card::{CardUid, ShownCard},
    freeze::ScopeKind,
    job::{CardResult, Outcome},
    list::List,
    refusal::{Conflict, Refusal, Thing},
    request::SLOTS_MAX,
};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

/// What a card that holds other keys than it was given is rejected for.
const OTHER_KEYS: &str = "the card reads back other check values than those of its keys";

/// A line over a station and a session of a job.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The station.
    pub station: &'a Station,
    /// The session.
    pub shift: &'a Shift,
    /// Most cards in hand: the profile's pipeline ([`Station::pipeline`]).
    pub pipeline: u16,
    /// How long a service that is away is waited for, before the line breaks off.
    pub patience: Duration,
}

impl Line<'_> {
    /// Makes cards until there are no more, the job has no room, its session is over, or `watch` says stop. First what was
    /// left from before: results that were not given, and cards in hand, whose keys are asked for again.
    ///
    /// # Errors
    /// [`RunError`]: then what is in hand stays in hand, and the next run goes on with it. Where it is the encoder's, the
    /// results of what is finished are given before.
    pub fn run<W: CardWriter>(
        &self,
        writer: &mut W,
        journal: &mut Journal,
        watch: &mut dyn FnMut(Event<'_>) -> Go,
    ) -> Result<Ended, RunError> {
        let (orders, taken) = channel();
        let (answers, heard) = channel();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let over = &over;
            scope.spawn(move || service::work(self, &taken, &answers, over));
            let (results, again) = (journal.not_given(), journal.in_hand());
            let run = Run {
                pipeline: Pipeline::new(self.pipeline, results.len()),
                taken: again.iter().copied().collect(),
                again: again.into(),
                alone: VecDeque::new(),
                fresh: BTreeSet::new(),
                ready: VecDeque::new(),
                results,
                ended: None,
                halted: false,
                writer,
                journal,
                watch,
                orders,
                heard: &heard,
            };
            let ended = run.finish();
            // The other thread ends with its orders; a wait of it ends at its next turn.
            over.store(true, Ordering::Relaxed);
            ended
        })
    }
}

struct Run<'a, 'w, W> {
    pipeline: Pipeline,
    /// In hand from before: they are asked for again.
    again: VecDeque<CardUid>,
    /// Asked for one by one, because the service has something against one of them.
    alone: VecDeque<CardUid>,
    /// Every card taken in this run.
    taken: BTreeSet<CardUid>,
    /// Of those asked for, the ones that cannot have their keys yet.
    fresh: BTreeSet<CardUid>,
    ready: VecDeque<DeliveredCard>,
    results: Vec<CardResult>,
    ended: Option<Ended>,
    /// Nothing more is written.
    halted: bool,
    writer: &'a mut W,
    journal: &'a mut Journal,
    watch: &'a mut (dyn FnMut(Event<'_>) -> Go + 'w),
    orders: Sender<Order>,
    heard: &'a Receiver<Answer>,
}

impl<W: CardWriter> Run<'_, '_, W> {
    fn finish(mut self) -> Result<Ended, RunError> {
        let ended = self.work();
        if let Err(RunError::Machine(_)) = ended {
            // What is finished is said all the same; where the service does not take it, the next run says it.
            let _ = self.settle();
        }
        ended
    }

    fn work(&mut self) -> Result<Ended, RunError> {
        loop {
            match self.pipeline.next() {
                _ if self.halted => break,
                Next::Ask => self.ask()?,
                Next::Write => self.write_one()?,
                Next::Give => self.give()?,
                Next::Wait => self.wait()?,
                Next::End => break,
            }
            while let Ok(answer) = self.heard.try_recv() {
                self.take(answer)?;
            }
        }
        Ok(self.ended.unwrap_or(Ended::NoMoreCards))
    }

    /// Hears what was ordered, and gives the results there are.
    fn settle(&mut self) -> Result<(), RunError> {
        while !self.halted {
            if self.pipeline.asking > 0 || self.pipeline.giving > 0 {
                self.wait()?;
            } else if self.pipeline.made > 0 {
                self.give()?;
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Takes cards from before, then from the feeder, and orders their keys.
    fn ask(&mut self) -> Result<(), RunError> {
        let mut cards: Vec<CardUid> = self.alone.pop_front().into_iter().collect();
        let alone = !cards.is_empty();
        while !alone && cards.len() < self.pipeline.room() {
            match self.next_card() {
                Ok(Some(card)) => cards.push(card),
                Ok(None) => break,
                Err(error) => {
                    // What the machine took before it stood still lies in it, and the next run goes on with it.
                    self.journal.asked(&cards).map_err(RunError::Journal)?;
                    return Err(error);
                }
            }
        }
        if cards.is_empty() {
            self.pipeline.feeding = false;
            return Ok(());
        }
        self.journal.asked(&cards).map_err(RunError::Journal)?;
        self.pipeline.asking = cards.len();
        self.tell(Event::Asked { cards: cards.len() });
        self.order(Order::Keys(cards))
    }

    fn next_card(&mut self) -> Result<Option<CardUid>, RunError> {
        if let Some(card) = self.again.pop_front() {
            return Ok(Some(card));
        }
        if self.ended.is_some() {
            return Ok(None);
        }
        // A feeder that goes round in circles has no more.
        let mut passed = BTreeSet::new();
        while let Some(card) = self.writer.next_card()?.filter(|card| passed.insert(*card)) {
            let finished = match self.journal.standing(&card) {
                Some(Standing::Made(CardResult { outcome, .. }) | Standing::Given(outcome)) => {
                    Some(Tray::of(outcome))
                }
                Some(Standing::InHand) | None => None,
            };
            if let Some(tray) = finished {
                self.writer.put_out(&card, tray)?;
                self.tell(Event::Skipped { card: ShownCard::masked(&card) });
            } else if self.taken.insert(card) {
                self.fresh.insert(card);
                return Ok(Some(card));
            }
        }
        Ok(None)
    }

    /// Writes one card, reads it back, and puts it where it belongs.
    fn write_one(&mut self) -> Result<(), RunError> {
        let Some(card) = self.ready.pop_front() else { return Ok(()) };
        let (outcome, readback) = self.written(&card)?;
        let result = CardResult { card: card.card, outcome, readback };
        self.journal.made(&result).map_err(RunError::Journal)?;
        self.writer.put_out(&card.card, Tray::of(&result.outcome))?;
        self.pipeline.ready = self.ready.len();
        self.pipeline.made = self.pipeline.made.saturating_add(1);
        self.tell(Event::Card { card: ShownCard::masked(&card.card), outcome: &result.outcome });
        self.results.push(result);
        Ok(())
    }

    fn written(
        &mut self,
        card: &DeliveredCard,
    ) -> Result<(Outcome, List<ShortCheck, SLOTS_MAX>), MachineFault> {
        let read = self.writer.write(card).and_then(|()| self.writer.read_back(&card.card));
        let cause = match read {
            Ok(read) if read == card.checks() => {
                let sample = self.writer.is_sample(&card.card);
                let outcome = if sample { Outcome::Sample } else { Outcome::Good };
                // As many as the profile has slots, which were delivered in such a list.
                return Ok((outcome, List::try_from(read).unwrap_or_default()));
            }
            Ok(_) => OTHER_KEYS.parse().map_err(|_| MachineFault(OTHER_KEYS.into()))?,
            Err(CardFault::Card { cause }) => cause,
            Err(CardFault::Machine(fault)) => return Err(fault),
        };
        Ok((Outcome::Reject { cause }, List::default()))
    }

    fn give(&mut self) -> Result<(), RunError> {
        let results = std::mem::take(&mut self.results);
        (self.pipeline.giving, self.pipeline.made) = (results.len(), 0);
        self.order(Order::Results(results))
    }

    fn order(&self, order: Order) -> Result<(), RunError> {
        self.orders.send(order).map_err(|_| broken_off())
    }

    fn wait(&mut self) -> Result<(), RunError> {
        let answer = self.heard.recv().map_err(|_| broken_off())?;
        self.take(answer)
    }

    fn take(&mut self, answer: Answer) -> Result<(), RunError> {
        match answer {
            Answer::Waiting(error) => self.tell(Event::Waiting { error: &error }),
            Answer::Keys(cards, delivered) => {
                self.pipeline.asking = 0;
                match delivered {
                    Ok(delivered) => self.delivered(delivered)?,
                    Err(error) => self.not_delivered(cards, error)?,
                }
            }
            Answer::Given(results, given) => {
                self.pipeline.giving = 0;
                match given {
                    Ok(()) => {
                        self.journal.given(&results).map_err(RunError::Journal)?;
                        self.tell(Event::Given { cards: results.len() });
                    }
                    Err(error) => match ends(&error) {
                        Some(ended @ Ended::JobStopped { .. }) => self.halt(ended),
                        _ => return Err(RunError::Service(error)),
                    },
                }
            }
        }
        Ok(())
    }

    fn delivered(&mut self, delivered: Delivered) -> Result<(), RunError> {
        for card in &delivered.cards {
            self.fresh.remove(&card.card);
        }
        self.ready.extend(delivered.cards);
        self.pipeline.ready = self.ready.len();
        if !delivered.left_out.is_empty() {
            self.leave_out(&delivered.left_out, None)?;
            self.end(Ended::JobComplete);
        }
        Ok(())
    }

    fn not_delivered(&mut self, cards: Vec<CardUid>, error: ClientError) -> Result<(), RunError> {
        if is_about_a_card(&error) {
            if cards.len() == 1 {
                return self.leave_out(&cards, Some(&error));
            }
            self.alone.extend(cards);
            self.pipeline.feeding = true;
            return Ok(());
        }
        let Some(ended) = ends(&error) else { return Err(RunError::Service(error)) };
        // What may have its keys from before stays in hand: only the next session tells.
        let blank: Vec<CardUid> = cards.iter().copied().filter(|card| self.fresh.contains(card)).collect();
        let never = ended == Ended::JobComplete;
        self.leave_out(if never { &cards } else { &blank }, None)?;
        if matches!(ended, Ended::JobStopped { .. }) {
            self.halt(ended);
        } else {
            self.again.clear();
            let rest: Vec<CardUid> = self.alone.drain(..).filter(|card| self.fresh.contains(card)).collect();
            self.leave_out(&rest, None)?;
            self.end(ended);
        }
        Ok(())
    }

    fn leave_out(&mut self, cards: &[CardUid], because: Option<&ClientError>) -> Result<(), RunError> {
        self.journal.left_out(cards).map_err(RunError::Journal)?;
        for card in cards {
            self.writer.put_out(card, Tray::Blank)?;
            self.tell(Event::LeftOut { card: ShownCard::masked(card), because });
        }
        Ok(())
    }

    /// No more cards are taken; those whose keys are here are finished.
    fn end(&mut self, ended: Ended) {
        self.ended.get_or_insert(ended);
        self.pipeline.feeding = !(self.again.is_empty() && self.alone.is_empty());
    }

    /// Nothing more is done.
    fn halt(&mut self, ended: Ended) {
        self.ended = Some(ended);
        self.halted = true;
    }

    fn tell(&mut self, event: Event<'_>) {
        if (self.watch)(event) == Go::Stop {
            self.end(Ended::Stopped);
        }
    }
}

/// How the line ends by a refusal; nothing for what is a fault.
fn ends(error: &ClientError) -> Option<Ended> {
    match error.refusal() {
        Some(Refusal::StateConflict { reason }) => match reason {
            Conflict::JobComplete => Some(Ended::JobComplete),
            Conflict::SessionOver => Some(Ended::SessionOver),
            Conflict::JobState { state } => Some(Ended::JobStopped { state: *state }),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the service has something against one card of a request, and might not have it against another.
fn is_about_a_card(error: &ClientError) -> bool {
    match error.refusal() {
        Some(Refusal::StateConflict { reason }) => {
            matches!(reason, Conflict::CardState { .. } | Conflict::Generation { .. } | Conflict::OtherJob)
        }
        Some(Refusal::NotFound { what }) => matches!(what, Thing::Item | Thing::Card),
        Some(Refusal::Frozen { scope }) => *scope == ScopeKind::Card,
        Some(Refusal::ProfileForbids { .. }) => true,
        _ => false,
    }
}

fn broken_off() -> RunError {
    RunError::Service(ClientError::Request { what: "the line's other thread has ended".into() })
}

#[cfg(feature = "officer")]
#[cfg(test)]
mod tests;
