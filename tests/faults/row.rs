//! The rows, and what a process of the driver's own may be told to be.

mod alone;
mod away;
mod certificates;
mod clock;
mod corrupt;
mod flood;
mod full;
mod history;
mod io;
mod kill;
mod malformed;
mod power;
mod races;
mod retries;
mod slow;
mod torn;
mod waiting;

use crate::trial::{Outcome, Trial};
use clap::Subcommand;
use keysvc_tests::{cards, ground::Failed};
use std::path::PathBuf;

/// One fault, tried many times.
#[derive(Debug)]
pub struct Row {
    /// What `--rows` calls it.
    pub name: &'static str,
    /// The sentence that a run with nothing broken bears out.
    pub proves: &'static str,
    /// Whether nothing else may run beside it, because it measures how long somebody waits.
    pub alone: bool,
    /// Carries it out.
    pub run: fn(&Trial) -> Outcome,
}

/// Every row, in the order of the report.
pub const ROWS: &[Row] = &[
    Row {
        name: "kill",
        proves: "a killed keeper or front loses no acknowledged update and issues none twice",
        alone: false,
        run: kill::run,
    },
    Row {
        name: "torn",
        proves: "a key whose making was killed is reported and never used, an acknowledged one is whole",
        alone: false,
        run: torn::run,
    },
    Row {
        name: "power",
        proves: "what was acknowledged is on the disk at that moment: leaf, anchor and key",
        alone: false,
        run: power::run,
    },
    Row {
        name: "io",
        proves: "a write or sync that fails is answered to nobody as done, whichever it is",
        alone: false,
        run: io::run,
    },
    Row {
        name: "full",
        proves: "a full disk is refused at once, reading goes on, and room again is enough to go on",
        alone: false,
        run: full::run,
    },
    Row {
        name: "away",
        proves: "a token that is away is refused at once and served again once it is back",
        alone: false,
        run: away::run,
    },
    Row {
        name: "clock",
        proves: "a clock that jumps gives nobody a right and takes no time back in the log",
        alone: false,
        run: clock::run,
    },
    Row {
        name: "corrupt",
        proves: "damage to store, log or anchor is found before any signature that depends on it",
        alone: false,
        run: corrupt::run,
    },
    Row {
        name: "history",
        proves: "a truncated, forked or rolled-back log is found at the start or by who saw more",
        alone: false,
        run: history::run,
    },
    Row {
        name: "malformed",
        proves: "bad input is refused in time and ends nothing",
        alone: false,
        run: malformed::run,
    },
    Row {
        name: "alone",
        proves: "one officer alone comes to nothing while the service is being killed",
        alone: false,
        run: alone::run,
    },
    Row {
        name: "retries",
        proves: "a request repeated a thousand times at once is one leaf and one answer",
        alone: false,
        run: retries::run,
    },
    Row {
        name: "races",
        proves: "what clients saw of each purse is one history, one step after the other",
        alone: false,
        run: races::run,
    },
    Row {
        name: "slow",
        proves: "slow and silent clients keep neither a good client nor an officer waiting",
        alone: true,
        run: slow::run,
    },
    Row {
        name: "flood",
        proves: "floods of handshakes and batches keep nobody waiting who is there already",
        alone: true,
        run: flood::run,
    },
    Row {
        name: "certificates",
        proves: "a certificate that is not right in every respect is let in nowhere",
        alone: false,
        run: certificates::run,
    },
];

/// What a process of the driver's own is told to be: `SoftHSM` takes its configuration from the environment, so whoever
/// touches the service's token does it in a process of its own.
#[derive(Debug, Subcommand)]
pub enum Role {
    /// Signs what it is given with the card of this configuration's persona.
    #[command(hide = true)]
    Card {
        /// The persona's client configuration.
        config: PathBuf,
    },
    /// Holds the service's token against the keys that were acknowledged.
    #[command(hide = true)]
    Token {
        /// The service's configuration.
        config: PathBuf,
        /// The file with the keys' records.
        keys: PathBuf,
    },
}

impl Role {
    /// Does it.
    ///
    /// # Errors
    /// [`Failed`] with what went wrong.
    pub fn obey(&self) -> Result<(), Failed> {
        match self {
            Self::Card { config } => cards::serve(config),
            Self::Token { config, keys } => torn::compare(config, keys)?,
        }
        Ok(())
    }
}
