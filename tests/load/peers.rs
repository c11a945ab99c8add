//! Other signing services, measured in the same run: `OpenBao`'s transit engine, and Parsec over a token like ours.
//!
//! Each is the program that its makers ship, with a configuration that is written here and says what it is measured with.
//! Nothing is fetched: a program that is not there is passed over, with the way to get it.

mod base64;
mod crowd;
mod open_bao;
mod parsec;
mod program;
mod psa;
mod psa_client;
mod transit;

pub use parsec::TokenMaker;
pub use program::Skipped;
pub use psa_client::Psa;
pub use transit::Transit;

use crate::{
    order::{Measured, Order, Service, Work},
    while_doing,
};
use keysvc_tests::ground::Failed;
use open_bao::OpenBao;
use parsec::Parsec;
use softhsm_setup::Site;
use std::{fs, path::Path};

/// What is measured of `OpenBao`.
const OF_OPEN_BAO: [(Work, usize); 2] = [(Work::OpenBaoSign, 32), (Work::OpenBaoBatch, 8)];
/// What is measured of Parsec.
const OF_PARSEC: [(Work, usize); 2] = [(Work::ParsecSign, 1), (Work::ParsecSign, 32)];

/// The peers that this machine has, running. They end when this is dropped.
#[derive(Debug, Default)]
pub struct Peers {
    open_bao: Option<OpenBao>,
    parsec: Option<Parsec>,
    skipped: Vec<Skipped>,
    described: Vec<String>,
}

impl Peers {
    /// Starts those that are there, in a folder of this run's; `OpenBao` has the certificates of this site.
    ///
    /// # Errors
    /// [`Failed`] with the end of its log where one is there and does not run: a comparison that was asked for is not left
    /// out in silence.
    pub fn start(site: &Site, scratch: &Path) -> Result<Self, Failed> {
        let mut peers = Self::default();
        match program::find(&open_bao::PROGRAM) {
            Ok(found) => {
                // What follows is the commit that it was built from.
                let version = found.said.split(" (").next().unwrap_or_default();
                peers.described.push(format!("{version}: {}", open_bao::SETTINGS));
                let folder = folder(scratch, "openbao")?;
                peers.open_bao = Some(OpenBao::start(&found.path, site, &folder)?);
            }
            Err(skipped) => peers.skipped.push(skipped),
        }
        match program::find(&parsec::PROGRAM).and_then(parsec::with_token) {
            Ok((found, module)) => {
                let started = Parsec::start(&found.path, &module, &folder(scratch, "parsec")?)?;
                peers.described.push(format!("Parsec {}: {}", started.version(), parsec::SETTINGS));
                peers.parsec = Some(started);
            }
            Err(skipped) => peers.skipped.push(skipped),
        }
        Ok(peers)
    }

    /// What can be measured, and on how many connections.
    pub fn works(&self) -> Vec<(Work, usize)> {
        let of_open_bao = self.open_bao.iter().flat_map(|_| OF_OPEN_BAO);
        of_open_bao.chain(self.parsec.iter().flat_map(|_| OF_PARSEC)).collect()
    }

    /// Who serves this work; nobody where it is no peer's or the peer is not there.
    pub fn service(&self, work: Work) -> Option<Service> {
        match work {
            Work::OpenBaoSign | Work::OpenBaoBatch => self.open_bao.as_ref().map(OpenBao::service),
            Work::ParsecSign => self.parsec.as_ref().map(Parsec::service),
            _ => None,
        }
    }

    /// Makes one measurement.
    ///
    /// # Errors
    /// [`Failed`] when a call fails, or when the work is none of [`Self::works`].
    pub fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        let order = Order { service: self.service(order.work), ..order };
        match (order.work, &mut self.open_bao, &mut self.parsec) {
            (Work::OpenBaoSign | Work::OpenBaoBatch, Some(open_bao), _) => open_bao.measure(order),
            (Work::ParsecSign, _, Some(parsec)) => parsec.measure(order),
            _ => Err(Failed(format!("{order}: no peer of this run makes it"))),
        }
    }

    /// Those that are not there.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Which peers these are, and what they are measured with: a line each.
    pub fn described(&self) -> &[String] {
        &self.described
    }
}

fn folder(scratch: &Path, name: &str) -> Result<std::path::PathBuf, Failed> {
    let folder = scratch.join(name);
    fs::create_dir(&folder).map_err(while_doing("a peer's folder"))?;
    Ok(folder)
}
