//! The processes that make the load, each behind what it is good for.
//!
//! Some are there for every run; the floors beside the token's are started when a whole table is wanted.

use crate::{
    crew::Hand,
    order::{Measured, Order, Service, Work},
    peers::Peers,
    while_doing,
};
use keysvc_tests::ground::{Failed, Ground};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The station whose machine has a thousand cards in hand: all that one job lets wait for their results, so that the
/// other station's job has room for new ones.
const STATION_OF_MOST: &str = "station-2";
/// How long updates are made to learn how long request, reply and leaf are, in milliseconds.
const LOOK_MILLIS: u64 = 100;

/// The processes that make the load.
pub struct Hands {
    floor: Hand,
    terminal: Hand,
    station: Hand,
    beside: Option<Beside>,
    peers: Peers,
}

/// The floors beside the token's, and the second station.
struct Beside {
    /// Asks the echo; ended before it.
    echoed: Hand,
    echo: Hand,
    durable: Hand,
    station: Hand,
}

impl Hands {
    /// Starts those of every run.
    ///
    /// # Errors
    /// [`Failed`] when one cannot be started.
    pub fn start(ground: &Ground, scratch: &Path) -> Result<Self, Failed> {
        let mut floor = own()?;
        floor.env("SOFTHSM2_CONF", scratch_token(scratch)?).arg("floor");
        let module = keysvc_softhsm().ok_or_else(|| Failed("SoftHSM is not installed".to_owned()))?;
        floor.arg(module);
        Ok(Self {
            floor: Hand::start(floor)?,
            terminal: persona(ground, "terminal", "terminal-1")?,
            station: persona(ground, "station", "station-1")?,
            beside: None,
            peers: Peers::default(),
        })
    }

    /// Starts the others too; the service must be running, for the floors are made after what it does.
    ///
    /// # Errors
    /// [`Failed`] when one cannot be started.
    pub fn start_floors(&mut self, ground: &Ground, scratch: &Path) -> Result<(), Failed> {
        let look = Order { work: Work::Update, parallel: 1, millis: LOOK_MILLIS, service: None };
        let looked = self.terminal.measure(look)?;
        let each = |len: u64| len.checked_div(looked.operations).unwrap_or(0).to_string();
        let site = ground.site();
        let mut echo = own()?;
        echo.arg("echo").arg(site.folder());
        let mut echo = Hand::start(echo)?;
        let port: u16 = echo.ask(&"the echo", &())?;
        let mut echoed = own()?;
        echoed.arg("echoed").arg(site.home("terminal-1").client_config()).arg(port.to_string());
        echoed.args([each(looked.asked_len), each(looked.told_len)]);
        let mut durable = own()?;
        let store = site.service().folder().join("store").join("ledger.sqlite3");
        durable.arg("durable").arg(scratch.join("floor.sqlite3")).arg(store);
        self.beside = Some(Beside {
            echoed: Hand::start(echoed)?,
            echo,
            durable: Hand::start(durable)?,
            station: persona(ground, "station", STATION_OF_MOST)?,
        });
        Ok(())
    }

    /// Starts the peers that this machine has.
    ///
    /// # Errors
    /// [`Failed`] when one is there and does not start.
    pub fn start_peers(&mut self, ground: &Ground, scratch: &Path) -> Result<(), Failed> {
        self.peers = Peers::start(ground.site(), scratch)?;
        Ok(())
    }

    /// The peers; none before they are started.
    pub const fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Who serves a work: nobody, the echo, a peer, or this service.
    pub fn served_by(&self, work: Work, service: Service) -> Option<Service> {
        match work {
            Work::RawSign
            | Work::RawDerive
            | Work::Commit1
            | Work::Commit32
            | Work::Commit128
            | Work::VerifyBare
            | Work::VerifyUpdate => None,
            Work::Echo | Work::Handshake => {
                self.beside.as_ref().map(|beside| Service { front: beside.echo.id(), keeper: None })
            }
            Work::OpenBaoSign | Work::OpenBaoBatch | Work::ParsecSign => self.peers.service(work),
            _ => Some(service),
        }
    }

    /// Has the one whose work it is make a measurement.
    ///
    /// # Errors
    /// [`Failed`] when it cannot.
    pub fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        let nobody = || Failed(format!("{order}: no process of this run makes it"));
        match order.work {
            Work::RawSign | Work::RawDerive => self.floor.measure(order),
            Work::Update | Work::Batch | Work::VerifyBare | Work::VerifyUpdate => {
                self.terminal.measure(order)
            }
            Work::OpenBaoSign | Work::OpenBaoBatch | Work::ParsecSign => self.peers.measure(order),
            Work::DeriveOne | Work::Derive | Work::Run | Work::Card => self.station.measure(order),
            _ => {
                let beside = self.beside.as_mut().ok_or_else(nobody)?;
                match order.work {
                    Work::Echo | Work::Handshake | Work::FrontHandshake => beside.echoed.measure(order),
                    Work::Commit1 | Work::Commit32 | Work::Commit128 => beside.durable.measure(order),
                    Work::DeriveMost => beside.station.measure(order),
                    _ => Err(nobody()),
                }
            }
        }
    }
}

fn own() -> Result<Command, Failed> {
    std::env::current_exe().map(Command::new).map_err(while_doing("the path of this program"))
}

/// A process that makes the load of one persona.
///
/// # Errors
/// [`Failed`] when it cannot be started.
pub fn persona(ground: &Ground, role: &str, name: &str) -> Result<Hand, Failed> {
    let own = std::env::current_exe().map_err(while_doing("the path of this program"))?;
    let home = ground.site().home(name);
    let mut command = home.command(&own);
    command.arg(role).arg(home.client_config());
    match role {
        // It opens a job with the people of its site.
        "station" => _ = command.arg(ground.site().folder()),
        // Its batches come in by the hub of its organisation.
        "terminal" => _ = command.arg(ground.site().home("office-1").client_config()),
        _ => {}
    }
    Hand::start(command)
}

/// The service's processes.
///
/// # Errors
/// [`Failed`] when one is not up.
pub fn service(ground: &Ground) -> Result<Service, Failed> {
    let half = |name: &str| ground.half(name).ok_or_else(|| Failed(format!("the {name} is not up")));
    Ok(Service { front: half("front")?, keeper: Some(half("keeper")?) })
}

fn keysvc_softhsm() -> Option<PathBuf> {
    softhsm_setup::softhsm::find()
}

/// A folder for a token that lives as long as the run; gives `SoftHSM`'s configuration.
fn scratch_token(folder: &Path) -> Result<PathBuf, Failed> {
    let tokens = folder.join("tokens");
    std::fs::create_dir(&tokens).map_err(while_doing("the scratch token's folder"))?;
    let configuration = folder.join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
        tokens.display()
    );
    std::fs::write(&configuration, text).map_err(while_doing("the scratch token's configuration"))?;
    Ok(configuration)
}
