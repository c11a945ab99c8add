//! A station with its people around it: what tests stand on that are about keys or cards, and not about jobs.
//!
//! Apart from the floor because it remembers what it did: which session is open, and what was delivered in it. A station
//! holds one job at a time, so a whole job begins and ends here in one call.

use super::{Floor, Shift, delivered, derive, give, head, results};
use crate::{
    agreed::idem,
    cards::{holder, statement_key},
    ground::Ground,
    raw::{Caller, Line},
};
use keysvc_protocol::{
    delivery::{Delivery, ExchangeOpening},
    job::{Counts, Outcome},
    public_key::PublicKey,
    refusal::Refusal,
    reply::JobOpenReply,
    request::Operation,
};

/// Cards that the vault issues for a job of a bench: more than any test makes.
const ISSUED: u32 = 1_000;

/// A station on its own connection with its token, and everybody its jobs take.
#[derive(Debug)]
pub struct Bench {
    /// The people.
    pub floor: Floor,
    /// The station.
    pub station: Caller,
    persona: String,
    statement_key: PublicKey,
}

impl Bench {
    /// A station of this name. `program` is this package's `card`, as `env!("CARGO_BIN_EXE_card")` names it.
    ///
    /// # Panics
    /// When it does not come.
    #[must_use]
    pub fn new(program: &str, ground: &Ground, persona: &str) -> Self {
        let site = ground.site();
        Self {
            floor: Floor::new(program, site),
            station: holder(program, site, persona),
            persona: persona.to_owned(),
            statement_key: statement_key(&mut Caller::new(site, "platform-1")),
        }
    }

    /// Makes, seals and opens a job of a name of its own for cards of a profile.
    ///
    /// # Panics
    /// When it is refused.
    pub fn open(&mut self, (profile, version): (&str, u32)) -> Shift {
        let mut head = head(profile, version, ISSUED);
        head.station = self.persona.parse().unwrap();
        self.floor.shift(&mut self.station, &format!("job-{}", idem()), &head)
    }

    /// The next session of a job.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn renew(&mut self, shift: &Shift) -> Result<Shift, Refusal> {
        self.floor.open((&mut self.station, &self.persona), shift.job.as_str())
    }

    /// Repeats the request that opened a session, as a station does after the service was started anew: the same session
    /// under another transport key.
    ///
    /// # Errors
    /// The [`Refusal`].
    ///
    /// # Panics
    /// When it is another session, or not signed by the service.
    pub fn reopen(&mut self, shift: &Shift) -> Result<(), Refusal> {
        let reply: JobOpenReply = self.station.ask(Operation::JobOpen, &shift.request)?;
        let (message, genesis) = (reply.opening.as_bytes(), &self.station.genesis);
        let opening = ExchangeOpening::verify(message, genesis, &self.statement_key).unwrap();
        assert_eq!((opening.exchange, opening.job), (shift.exchange, shift.job.clone()));
        Ok(())
    }

    /// The first generation of the keys of cards.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn derive(&mut self, shift: &Shift, cards: &[&str]) -> Result<Delivery, Refusal> {
        delivered(&mut self.station, &self.statement_key, &derive(shift, cards))
    }

    /// Says of all cards of these deliveries that they are good.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn good(&mut self, shift: &Shift, delivery: &Delivery) -> Result<(), Refusal> {
        give(&mut self.station, &shift.job, results(delivery, &Outcome::Good)).map(drop)
    }

    /// Ends a job with so many good cards and none pending: counted, closed and purged.
    ///
    /// # Panics
    /// When it is refused, or does not balance.
    pub fn finish(&mut self, shift: &Shift, good: u32) {
        let counts = Counts { good, returned: ISSUED - good, ..Counts::default() };
        self.floor.finish(&mut self.station, shift.job.as_str(), counts, &self.persona);
    }

    /// The first generation of the keys of cards in a whole job of its own, after which they are good.
    ///
    /// # Errors
    /// The [`Refusal`] of the derivation; the job is ended all the same.
    ///
    /// # Panics
    /// When anything else is refused.
    pub fn make(&mut self, of: (&str, u32), cards: &[&str]) -> Result<Delivery, Refusal> {
        let shift = self.open(of);
        let delivery = self.derive(&shift, cards);
        if let Ok(delivery) = &delivery {
            self.good(&shift, delivery).unwrap();
        }
        self.finish(&shift, delivery.as_ref().map_or(0, |_| u32::try_from(cards.len()).unwrap()));
        delivery
    }

    /// Connects everybody anew, as after a new start of the front.
    ///
    /// # Panics
    /// When somebody does not connect.
    pub fn reconnect(&mut self, ground: &Ground) {
        self.station.line = Line::open(ground.site(), &self.persona);
        for (caller, persona) in self.floor.data.iter_mut().zip(["data-1", "data-2"]) {
            caller.line = Line::open(ground.site(), persona);
        }
    }
}
