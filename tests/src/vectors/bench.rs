//! The tokens on which vectors are run: a keeper's and a station's, in a folder that goes away.
//!
//! `SoftHSM` takes its folder from the environment, which a process may set only for its children. So the program runs
//! itself again, with the same arguments and a configuration of its own; a token of whoever runs it is never touched.
//! Between the two tokens a card key goes the product's own way: derived in the one, wrapped, and read in the other.

use crate::ground::Failed;
use keysvc_client::component::Component;
use keysvc_protocol::sealing;
use keysvc_token::{
    DiversificationInput, KeyKind, ObjectId, Pin, StationTransport, Token, TokenConfig, TokenError,
    TransportKey, admission::published_cmac, initialise_token,
};
use softhsm_setup::softhsm::{self, CONFIGURATION_VARIABLE};
use std::{
    cell::Cell,
    env,
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};
use tempfile::TempDir;

/// Names the child's scratch folder.
const SCRATCH_VARIABLE: &str = "KEYSVC_VECTORS_SCRATCH";
/// The PIN of both roles of both tokens, which hold nothing but published keys.
const PIN: &str = "582941";
/// The identifier of the station's key; the keys of cases have theirs from 1 on.
const STATION: ObjectId = ObjectId([0xee; 16]);

/// A keeper's token, a station's, and a transport key between them.
#[derive(Debug)]
pub struct Bench {
    keeper: Token,
    transport: TransportKey,
    station: StationTransport,
    keys: Cell<u128>,
}

/// The scratch folder, where this process is the child that has one.
#[must_use]
pub fn scratch_of_this_process() -> Option<PathBuf> {
    env::var_os(SCRATCH_VARIABLE).map(PathBuf::from)
}

/// Runs this program again with tokens of its own, and ends as it does.
///
/// # Errors
/// [`Failed`] when there is no `SoftHSM`, no scratch folder, or no child.
pub fn again_with_scratch_tokens() -> Result<ExitCode, Failed> {
    softhsm::find().ok_or_else(|| Failed(softhsm::missing("vectors are run on it").to_string()))?;
    let scratch = TempDir::with_prefix("keysvc-vectors-").map_err(during("a scratch folder"))?;
    let configuration = scratch.path().join("softhsm2.conf");
    let tokens = scratch.path().join("tokens");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
        tokens.display()
    );
    fs::create_dir(&tokens)
        .and_then(|()| fs::write(&configuration, text))
        .map_err(during("a scratch token"))?;
    let status = Command::new(env::current_exe().map_err(during("the path of this program"))?)
        .args(env::args_os().skip(1))
        .env(CONFIGURATION_VARIABLE, configuration)
        .env(SCRATCH_VARIABLE, scratch.path())
        .status()
        .map_err(during("this program, run again"))?;
    // Nothing for a signal: then the child has said nothing, so this is said here.
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => Ok(ExitCode::from(code)),
        None => Err(Failed(format!("the run ended by {status}"))),
    }
}

impl Bench {
    /// Makes the tokens. The process must be the child with a configuration of its own.
    ///
    /// # Errors
    /// [`Failed`] when a token cannot be made or used.
    pub fn new(scratch: &Path) -> Result<Self, Failed> {
        // The parent sets both. A person who sets this one alone would have their own token folder used.
        if env::var_os(CONFIGURATION_VARIABLE) != Some(scratch.join("softhsm2.conf").into_os_string()) {
            return Err(Failed(format!(
                "{SCRATCH_VARIABLE} is set, which is for this program's own child; unset it"
            )));
        }
        let keeper = token("keeper")?;
        let station = token("station")?;
        let cannot = during("a transport key between two scratch tokens");
        let made = || -> Result<(TransportKey, StationTransport), TokenError> {
            station.generate(KeyKind::Wrapping, STATION, "station")?;
            let wrapping = station.wrapping_key(KeyKind::Wrapping, STATION)?;
            let transport = TransportKey::generate(&keeper)?;
            let arrived = wrapping.unwrap_transport(&transport.wrap_to(wrapping.spki())?)?;
            Ok((transport, arrived))
        };
        let (transport, station) = made().map_err(cannot)?;
        Ok(Self { keeper, transport, station, keys: Cell::new(0) })
    }

    /// The card key that a master derives in the keeper's token, as a station reads it.
    ///
    /// # Errors
    /// [`TokenError`] as the tokens say.
    pub fn card_key(&self, master: &Component, input: &DiversificationInput) -> Result<[u8; 16], TokenError> {
        let id = self.id();
        self.keeper.import_known(id, "master", master.expose())?;
        let card_key = self.keeper.master_key(KeyKind::CardMaster, id)?.derive(input)?;
        let arrived = self.station.unwrap_card_key(&self.transport.wrap(&card_key)?)?;
        Ok(*arrived.expose())
    }

    /// The check value that the token computes of a value, before there is a key of it.
    ///
    /// # Errors
    /// [`TokenError`] as the token says.
    pub fn check_value(&self, value: &[u8; 16]) -> Result<Vec<u8>, TokenError> {
        Ok(self.keeper.check_value_of(value)?.to_vec())
    }

    /// The check value of a master of a published value, as the log would record it.
    ///
    /// # Errors
    /// [`TokenError`] as the token says.
    pub fn master_check_value(&self, value: &[u8; 16]) -> Result<Vec<u8>, TokenError> {
        Ok(self.keeper.import_known(self.id(), "known", value)?.check.bytes().to_vec())
    }

    /// The check value of the key that components make, once it is in the token as an import puts it there.
    ///
    /// # Errors
    /// The words of [`sealing::NoKey`] or of the token.
    pub fn imported_check_value(&self, components: &[&[u8; 16]]) -> Result<Vec<u8>, String> {
        let key = sealing::combine(components).map_err(|error| error.to_string())?;
        let made = self.keeper.import(self.id(), "imported", &key).map_err(|error| error.to_string())?;
        Ok(made.check.bytes().to_vec())
    }

    /// The CMAC of a message, as the admission of a token has it computed.
    ///
    /// # Errors
    /// [`TokenError`] as the token says.
    pub fn cmac(&self, key: &[u8; 16], message: &[u8]) -> Result<Vec<u8>, TokenError> {
        published_cmac(&self.keeper, key, message)
    }

    /// An identifier that no key has yet.
    fn id(&self) -> ObjectId {
        let next = self.keys.get().saturating_add(1);
        self.keys.set(next);
        ObjectId(next.to_be_bytes())
    }
}

fn token(label: &str) -> Result<Token, Failed> {
    let module =
        softhsm::find().ok_or_else(|| Failed(softhsm::missing("vectors are run on it").to_string()))?;
    let pin = || Pin::new(PIN.to_owned());
    let config = TokenConfig { module, label: label.to_owned() };
    initialise_token(&config.module, label, &pin(), &pin())
        .and_then(|()| Token::open(&config, &pin()))
        .map_err(during("a scratch token"))
}

fn during<E: Display>(what: &str) -> impl Fn(E) -> Failed {
    move |error| Failed(format!("{what}: {error}"))
}
