//! The work of a shift at the encoder: takes cards, has their keys delivered, writes them, reads them back, says what
//! became of them.
//!
//! What a bureau's program shares with `fobctl job run`: the encoder is a [`CardWriter`], the program's own; [`Line`] keeps
//! as many cards in hand as the profile's pipeline allows, asking for the next while the last are written; [`Journal`]
//! holds what is done, so that a program that ends in the middle goes on where it was: results that were not given are
//! given, and the keys of cards in hand are asked for again, which are the same keys. It knows no totals and tells none:
//! people count by hand.
//!
//! It blocks, as encoders do. Keys are in memory from their delivery until their card is written, and nowhere else.
//!
//! ```no_run
//! use keysvc_client::{
//!     agreement::SignedAgreement,
//!     blocking::Station,
//!     personalization::{CardWriter, Event, Go, Journal, Line},
//! };
//! use std::{path::Path, time::Duration};
//!
//! # fn example(station: &Station, encoder: &mut impl CardWriter) -> Result<(), Box<dyn std::error::Error>> {
//! let signed = |name: &str| SignedAgreement::read(Path::new(name));
//! let shift = station.begin([signed("operator-1.agreement")?, signed("operator-2.agreement")?])?;
//! let pipeline = station.pipeline(shift.job())?;
//! let mut journal = Journal::open(Path::new("work"), shift.job())?;
//! let line = Line { station, shift: &shift, pipeline, patience: Duration::from_secs(600) };
//! let ended = line.run(encoder, &mut journal, &mut |event| {
//!     if let Event::Card { card, outcome } = event {
//!         println!("{card} {outcome:?}");
//!     }
//!     Go::On
//! })?;
//! # let _ = ended;
//! # Ok(())
//! # }
//! ```

mod journal;
mod line;
mod pipeline;
mod service;

pub use journal::Journal;
pub use line::Line;

use crate::{error::ClientError, station::DeliveredCard};
use keysvc_protocol::{
    bytes::ShortCheck,
    card::{CardUid, ShownCard},
    job::{JobState, Outcome},
    name::Reason,
};

/// An encoder with its feeder and trays.
pub trait CardWriter {
    /// The next card that lies in the feeder; nothing where there is none. It stays in hand until [`CardWriter::put_out`].
    ///
    /// # Errors
    /// [`MachineFault`] when the machine fails.
    fn next_card(&mut self) -> Result<Option<CardUid>, MachineFault>;

    /// Writes keys and data to a card in hand. A card that was in hand when the program ended before comes here without
    /// having been presented again; where the machine cannot reach it, it is [`CardFault::Card`].
    ///
    /// # Errors
    /// [`CardFault::Card`] for a card that cannot be made, [`CardFault::Machine`] when the machine fails.
    fn write(&mut self, card: &DeliveredCard) -> Result<(), CardFault>;

    /// The check values of the keys as the card holds them now, slots ascending: the first 5 bytes of AES-CMAC over a zero
    /// block. Out of the card, not out of what was written.
    ///
    /// # Errors
    /// As [`CardWriter::write`].
    fn read_back(&mut self, card: &CardUid) -> Result<Vec<ShortCheck>, CardFault>;

    /// Whether a card that is good is a sample. None is where this is left as it is.
    fn is_sample(&mut self, _card: &CardUid) -> bool {
        false
    }

    /// Puts a card out of hand. It may come twice for one card, where the program ended in between.
    ///
    /// # Errors
    /// [`MachineFault`] when the machine fails.
    fn put_out(&mut self, _card: &CardUid, _tray: Tray) -> Result<(), MachineFault> {
        Ok(())
    }
}

/// Where a card goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tray {
    /// It is made.
    Good,
    /// It could not be made, and is to be destroyed.
    Reject,
    /// It is a sample.
    Sample,
    /// It got no keys: back to the blanks.
    Blank,
}

impl Tray {
    /// The tray of what became of a card.
    #[must_use]
    pub const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Good => Self::Good,
            Outcome::Reject { .. } => Self::Reject,
            Outcome::Sample => Self::Sample,
        }
    }
}

/// The machine does not go on; nothing is said of the cards in hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the encoder: {0}")]
pub struct MachineFault(pub String);

/// Why a card was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardFault {
    /// This card cannot be made. It is a reject, and the line goes on.
    #[error("the card: {cause}")]
    Card {
        /// Why, for the log.
        cause: Reason,
    },
    /// The machine does not go on.
    #[error("{0}")]
    Machine(#[from] MachineFault),
}

/// What happens on the line.
#[derive(Debug)]
pub enum Event<'a> {
    /// Keys were asked for, for so many cards in hand.
    Asked {
        /// How many.
        cards: usize,
    },
    /// A card is finished.
    Card {
        /// The ends of its identifier.
        card: ShownCard,
        /// What became of it.
        outcome: &'a Outcome,
    },
    /// The service has the results of so many cards.
    Given {
        /// How many.
        cards: usize,
    },
    /// A card got no keys, and goes back to the blanks.
    LeftOut {
        /// The ends of its identifier.
        card: ShownCard,
        /// What the service has against this card; nothing where the job has no room or no session for it.
        because: Option<&'a ClientError>,
    },
    /// A card lay in the feeder that was finished before.
    Skipped {
        /// The ends of its identifier.
        card: ShownCard,
    },
    /// The service does not answer; it is asked again.
    Waiting {
        /// What it said, or that it said nothing.
        error: &'a ClientError,
    },
}

/// Whether the line goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// It does.
    On,
    /// No more cards are taken; those in hand are finished, and their results given.
    Stop,
}

/// Why a line ended in good order. The results of all finished cards are given, but where the job was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The feeder is empty.
    NoMoreCards,
    /// The job has no room for more cards.
    JobComplete,
    /// The operators' session is over: they open the next one.
    SessionOver,
    /// The job was stopped, or counted, meanwhile. What is in hand stays in hand.
    JobStopped {
        /// The state it is in.
        state: JobState,
    },
    /// Whoever watches it said so.
    Stopped,
}

/// Why a line broke off. What is in hand stays in hand: run it again.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The service, or our own token.
    #[error("{0}")]
    Service(ClientError),
    /// The encoder.
    #[error("{0}")]
    Machine(#[from] MachineFault),
    /// The journal.
    #[error("the journal: {0}")]
    Journal(ClientError),
}

impl RunError {
    /// The exit code of a program that ends with this error, as [`ClientError::exit_code`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Service(error) | Self::Journal(error) => error.exit_code(),
            Self::Machine(_) => 4,
        }
    }
}
