//! What people say at a station, as it stands on a command line: counts, and what went wrong.
//!
//! The same arguments where a person signs on their own machine and where the station sends, so that both are word for word
//! the same act.

use super::form::moment_of;
use crate::{fault::Fault, moment};
use keysvc_client::protocol::{
    job::{Counts, Incident},
    name::Reason,
};

/// What was counted. All of it or nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct CountsArgs {
    /// Good cards.
    #[arg(long, value_name = "N", requires_all = ["rejected", "sample", "returned", "handed_over"])]
    good: Option<u32>,
    /// Rejected cards.
    #[arg(long, value_name = "N", requires = "good")]
    rejected: Option<u32>,
    /// Samples and test cards.
    #[arg(long, value_name = "N", requires = "good")]
    sample: Option<u32>,
    /// Blank cards that go back to the vault.
    #[arg(long, value_name = "N", requires = "good")]
    returned: Option<u32>,
    /// Cards handed over to another process.
    #[arg(long, value_name = "N", requires = "good")]
    handed_over: Option<u32>,
}

impl CountsArgs {
    /// The counts; nothing where none is given.
    pub(crate) fn given(&self) -> Option<Counts> {
        Some(Counts {
            good: self.good?,
            rejected: self.rejected?,
            sample: self.sample?,
            returned: self.returned?,
            handed_over: self.handed_over?,
        })
    }

    /// The counts.
    ///
    /// # Errors
    /// [`Fault::Usage`] where they are not given.
    pub(crate) fn read(&self) -> Result<Counts, Fault> {
        self.given().ok_or_else(|| {
            let next = "count by hand, and give --good N --rejected N --sample N --returned N --handed-over N, 0 too";
            Fault::usage("it is not said what was counted", next)
        })
    }
}

/// What went wrong. Cause, place and cards in hand, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct IncidentArgs {
    /// Why, in a sentence.
    #[arg(long, value_name = "TEXT", requires_all = ["place", "in_hand"])]
    cause: Option<Reason>,
    /// Where the cards in hand are.
    #[arg(long, value_name = "TEXT", requires = "cause")]
    place: Option<Reason>,
    /// How many cards were in hand.
    #[arg(long, value_name = "N", requires = "cause")]
    in_hand: Option<u32>,
    /// The equipment; the job's own when left out at the station.
    #[arg(long, value_name = "TEXT", requires = "cause")]
    equipment: Option<Reason>,
    /// When it happened, such as 2026-11-22T10:30:00Z; now when left out.
    #[arg(long, value_name = "TIME", requires = "cause", value_parser = moment_of)]
    at: Option<u64>,
}

impl IncidentArgs {
    /// Whether anything is given.
    pub(crate) const fn is_given(&self) -> bool {
        self.cause.is_some()
    }

    /// The incident, with the job's own equipment where none is named.
    ///
    /// # Errors
    /// [`Fault::Usage`] where it is not given whole.
    pub(crate) fn read(&self, equipment: Option<&Reason>) -> Result<Incident, Fault> {
        let missing = || {
            let next =
                "give --cause TEXT --place TEXT --in-hand N, and --equipment TEXT away from the station";
            Fault::usage("it is not said what went wrong", next)
        };
        let (Some(cause), Some(place), Some(in_hand)) = (&self.cause, &self.place, self.in_hand) else {
            return Err(missing());
        };
        let equipment = self.equipment.as_ref().or(equipment).ok_or_else(missing)?;
        Ok(Incident {
            equipment: equipment.clone(),
            time_ms: self.at.unwrap_or_else(whole_second),
            cause: cause.clone(),
            place: place.clone(),
            in_hand,
        })
    }
}

/// Now, to the second: as precise as people are.
fn whole_second() -> u64 {
    let now_ms = moment::now_ms();
    now_ms.saturating_sub(now_ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        counts: CountsArgs,
        #[command(flatten)]
        incident: IncidentArgs,
    }

    fn line(words: &str) -> Result<Line, clap::Error> {
        Line::try_parse_from(std::iter::once("x").chain(words.split_whitespace()))
    }

    #[test]
    fn counts_are_given_all_or_not_at_all() {
        let whole = line("--good 5 --rejected 1 --sample 0 --returned 2 --handed-over 0").unwrap();
        let counts = whole.counts.read().unwrap();
        assert_eq!((counts.good, counts.rejected, counts.returned), (5, 1, 2));
        assert!(line("--good 5").is_err() && line("--rejected 1").is_err());
        assert!(line("").unwrap().counts.read().is_err());
    }

    #[test]
    fn an_incident_has_a_cause_a_place_and_cards_in_hand() {
        let told = line("--cause jam --place tray-2 --in-hand 3 --at 2026-11-22T10:30:00Z").unwrap().incident;
        assert!(told.read(None).is_err(), "the equipment is not known");
        let incident = told.read(Some(&"encoder 2".parse().unwrap())).unwrap();
        assert_eq!((incident.time_ms, incident.in_hand), (1_795_343_400_000, 3));
        assert!(
            line("--cause jam").is_err() && line("--at yesterday --cause j --place p --in-hand 1").is_err()
        );
        assert!(!line("").unwrap().incident.is_given());
    }
}
