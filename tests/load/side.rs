//! One of two sites that are compared: founded, started and stopped, with the processes that make its load.
//!
//! Apart because a long log and a full token are compared with what is short and empty in the same way. What is filled in,
//! and what is measured, is said elsewhere.

use crate::{
    Arguments,
    crew::Hand,
    idle::raise_limits,
    order::{Measured, Order, Work},
    purse::Purses,
    rounds::{millis, persona, service},
    timed::succeed,
    while_doing,
};
use keysvc_tests::{
    ground::{Failed, Ground},
    programs::{Profile, Programs},
};
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// A site with the processes that make its load.
pub struct Side {
    /// The site.
    pub ground: Ground,
    hands: Option<Hands>,
}

struct Hands {
    terminal: Hand,
    rota: Option<Hand>,
    station: Hand,
}

/// What is measured on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Value updates, one fob for each connection.
    Fobs,
    /// Value updates, each on another purse.
    Rota,
    /// The release of card keys.
    Cards,
}

/// One load on so many connections, with what was measured round by round on the first side and on the second.
#[derive(Debug)]
pub struct Compared {
    /// The load.
    pub load: Load,
    /// What was ordered.
    pub order: Order,
    /// What was measured.
    pub measured: [Vec<Measured>; 2],
}

/// The programs that the command line names, or those built in release.
///
/// # Errors
/// [`Failed`] when there are none.
pub fn programs(arguments: &Arguments) -> Result<Programs, Failed> {
    let programs = match &arguments.programs {
        Some(file) => Programs::read(file),
        None => Programs::build(Profile::Release),
    };
    programs.map_err(while_doing("the programs"))
}

impl Side {
    /// A founded site that does not serve yet, and lets in so many idle connections beside its load ([`raise_limits`]).
    ///
    /// # Errors
    /// [`Failed`] when it cannot be laid out.
    pub fn new(folder: &Path, programs: &Programs, idle: usize) -> Result<Self, Failed> {
        let ground = Ground::lay_out(folder, programs.clone())?;
        // Two processes are the same terminal, and connections of the one are still open when the other's begin.
        raise_limits(&ground, idle)?;
        ground.sign_founding()?;
        succeed("keysvc init", &mut ground.keysvc(&["init"]))?;
        Ok(Self { ground, hands: None })
    }

    /// Starts and stops; gives how long it was until the first answer.
    ///
    /// # Errors
    /// [`Failed`] with the service's log when it does not serve.
    pub fn restart(&mut self) -> Result<Duration, Failed> {
        let began = Instant::now();
        self.ground.start()?;
        let took = began.elapsed();
        self.ground.stop();
        Ok(took)
    }

    /// Starts the site and those who make its load; they have these purses, if any.
    ///
    /// # Errors
    /// [`Failed`] when one of them does not come up.
    pub fn start(&mut self, purses: Option<Purses>) -> Result<(), Failed> {
        self.ground.start()?;
        let ground = &self.ground;
        self.hands = Some(Hands {
            terminal: persona(ground, "terminal", "terminal-1")?,
            rota: purses.map(|purses| rota(ground, purses)).transpose()?,
            station: persona(ground, "station", "station-1")?,
        });
        Ok(())
    }

    fn measure(&mut self, load: Load, order: Order) -> Result<Measured, Failed> {
        let order = Order { service: Some(service(&self.ground)?), ..order };
        let hands = self.hands.as_mut().ok_or_else(|| Failed("nobody is there".to_owned()))?;
        match load {
            Load::Fobs => hands.terminal.measure(order),
            Load::Rota => {
                let rota = hands.rota.as_mut().ok_or_else(|| Failed("nobody has purses".to_owned()))?;
                rota.measure(order)
            }
            Load::Cards => hands.station.measure(order),
        }
    }

    /// Ends the site and its load.
    pub fn stop(&mut self) {
        self.hands = None;
        self.ground.stop();
    }
}

/// A process that makes updates on these purses as the terminal.
fn rota(ground: &Ground, purses: Purses) -> Result<Hand, Failed> {
    let own = std::env::current_exe().map_err(while_doing("the path of this program"))?;
    let home = ground.site().home("terminal-1");
    let mut command: Command = home.command(&own);
    command.arg("rota").arg(home.client_config());
    command.arg(purses.purses.to_string()).arg(purses.updates.to_string());
    Hand::start(command)
}

/// Measures both sides by turns, each load so often as the command line says.
///
/// # Errors
/// [`Failed`] when anything fails: there are no figures of a failing service.
pub fn compare(
    arguments: &Arguments,
    loads: &[(Load, usize)],
    sides: [&mut Side; 2],
) -> Result<Vec<Compared>, Failed> {
    let [first, second] = sides;
    let millis = millis(arguments.seconds);
    let compared = |(load, parallel): &(Load, usize)| {
        let work = if *load == Load::Cards { Work::Derive } else { Work::Update };
        let order = Order { work, parallel: *parallel, millis, service: None };
        Compared { load: *load, order, measured: [Vec::new(), Vec::new()] }
    };
    let mut all: Vec<_> = loads.iter().map(compared).collect();
    for round in 0..=arguments.rounds {
        for Compared { load, order, measured: [of_first, of_second] } in &mut all {
            let both = (first.measure(*load, *order)?, second.measure(*load, *order)?);
            // The first round warms caches and makes each thread's session.
            if round > 0 {
                of_first.push(both.0);
                of_second.push(both.1);
            }
        }
    }
    Ok(all)
}

/// Restarts both by turns so often; gives how long each took until its first answer, sorted.
///
/// # Errors
/// [`Failed`] with the log of the one that does not serve.
pub fn restarts(often: usize, sides: [&mut Side; 2]) -> Result<[Vec<Duration>; 2], Failed> {
    let [first, second] = sides;
    let mut all = [Vec::new(), Vec::new()];
    for round in 0..=often {
        let took = [first.restart()?, second.restart()?];
        // The first has the programs read from the disk.
        if round > 0 {
            all.iter_mut().zip(took).for_each(|(all, took)| all.push(took));
        }
    }
    all.iter_mut().for_each(|all| all.sort_unstable());
    Ok(all)
}
