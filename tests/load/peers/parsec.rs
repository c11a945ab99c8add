//! Parsec, as it is run for the comparison: a token of its own on the module that the run's other tokens are on, its
//! configuration, and its process.
//!
//! What is asked of it is [`super::psa_client`]'s, in a process of the load's own.

use super::{
    program::{Found, Program, Server, Skipped},
    psa::{self, HEADER_LEN, Opcode, Replied},
};
use crate::{
    crew::{Hand, Worker},
    order::{Measured, Order, Service},
    while_doing,
};
use keysvc_tests::ground::Failed;
use keysvc_token::{Pin, Token, TokenConfig, TokenError, initialise_token};
use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

/// The program.
pub const PROGRAM: Program = Program {
    peer: "parsec",
    file: "parsec",
    variable: "KEYSVC_PARSEC",
    // It knows no argument that prints its version; the service itself tells it.
    ask: "--help",
    says: "Platform AbstRaction for SECurity",
    get: "cargo install --locked parsec-service --no-default-features --features \
          pkcs11-provider,unix-peer-credentials-authenticator (needs cmake and libclang-dev; or KEYSVC_PARSEC=/path/to/parsec)",
};
/// What it is measured with.
pub const SETTINGS: &str = "PKCS#11 provider, ECDSA P-256 key in a SoftHSM token, unix socket, peer credentials, no TLS and no \
                            audit log, its own defaults for threads and for the pause of an idle listener";
/// The label of its token.
const LABEL: &str = "parsec";
/// Its PIN and its officer's: it holds nothing of worth and lives for one run.
const PIN: &str = "582941";

/// The module for the token, once the program is there.
///
/// # Errors
/// [`Skipped`] when `SoftHSM` is not installed.
pub fn with_token(found: Found) -> Result<(Found, PathBuf), Skipped> {
    let module = softhsm_setup::softhsm::find();
    module.map(|module| (found, module)).ok_or_else(|| PROGRAM.skipped("SoftHSM is not installed".to_owned()))
}

/// Parsec, and who asks it.
#[derive(Debug)]
pub struct Parsec {
    // First, because it is to end before its server.
    hand: Hand,
    server: Server,
    version: String,
}

impl Parsec {
    /// Makes a token, starts Parsec on it, and has its key made.
    ///
    /// # Errors
    /// [`Failed`] with the end of its log.
    pub fn start(program: &Path, module: &Path, folder: &Path) -> Result<Self, Failed> {
        let tokens = folder.join("tokens");
        fs::create_dir(&tokens).map_err(while_doing("the folder of Parsec's token"))?;
        let token_configuration = folder.join("softhsm2.conf");
        let lines = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        fs::write(&token_configuration, lines).map_err(while_doing("the configuration of Parsec's token"))?;
        let own = std::env::current_exe().map_err(while_doing("the path of this program"))?;
        let mut maker = Command::new(&own);
        maker.arg("parsec-token").arg(module).env("SOFTHSM2_CONF", &token_configuration);
        let serial: String = Hand::start(maker)?.ask(&"Parsec's token", &())?;

        let socket = folder.join("socket");
        let configuration = folder.join("parsec.toml");
        fs::write(&configuration, text(folder, (module, &serial), &socket))
            .map_err(while_doing("Parsec's configuration"))?;
        let mut command = Command::new(program);
        command.arg("--config").arg(&configuration).current_dir(folder);
        command.env("SOFTHSM2_CONF", &token_configuration);
        let mut server = Server::start(PROGRAM.peer, command, folder.join("log"))?;
        server.wait_until(|| UnixStream::connect(&socket).is_ok())?;
        let mut client = Command::new(own);
        client.arg("parsec").arg(&socket);
        let version = version(&socket).map_err(while_doing("Parsec's version"))?;
        Ok(Self { hand: Hand::start(client)?, server, version })
    }

    /// What it says it is.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its process.
    pub fn service(&self) -> Service {
        self.server.service()
    }

    /// Makes one measurement.
    ///
    /// # Errors
    /// [`Failed`] with the end of its log.
    pub fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        self.hand.measure(order).map_err(|failed| self.server.with_log(&failed))
    }
}

/// Asks the service for its version; nothing where it does not say it.
fn version(socket: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    let user = rustix::process::geteuid().as_raw();
    stream.write_all(&psa::request(Opcode::ListProviders, &[], user))?;
    let mut header = [0; HEADER_LEN];
    stream.read_exact(&mut header)?;
    let body_len =
        Replied::read(&header).filter(|replied| replied.status == 0).map_or(0, |replied| replied.body_len);
    let mut body = Vec::new();
    stream.take(body_len.into()).read_to_end(&mut body)?;
    Ok(psa::version(&body).unwrap_or_default())
}

/// The configuration: what must be said, and the root user, whom it refuses unless told. All else is its default.
fn text(folder: &Path, (module, serial): (&Path, &str), socket: &Path) -> String {
    format!(
        r#"[core_settings]
allow_root = true

[listener]
listener_type = "DomainSocket"
timeout = 200
socket_path = {socket:?}

[authenticator]
auth_type = "UnixPeerCredentials"

[[key_manager]]
name = "keys"
manager_type = "SQLite"
sqlite_db_path = {keys:?}

[[provider]]
provider_type = "Pkcs11"
key_info_manager = "keys"
library_path = {module:?}
serial_number = {serial:?}
user_pin = {PIN:?}
allow_export = false
"#,
        keys = folder.join("keys.sqlite3"),
    )
}

/// Makes Parsec's token. A process of its own, because the module reads its configuration from the environment.
pub struct TokenMaker {
    serial: String,
}

impl TokenMaker {
    /// Makes the token that `SOFTHSM2_CONF` names.
    ///
    /// # Errors
    /// [`Failed`] when the token fails.
    pub fn new(module: &Path) -> Result<Self, Failed> {
        Self::make(module).map_err(while_doing("Parsec's token"))
    }

    fn make(module: &Path) -> Result<Self, TokenError> {
        let pin = || Pin::new(PIN.to_owned());
        initialise_token(module, LABEL, &pin(), &pin())?;
        let found = Token::find(&TokenConfig { module: module.to_owned(), label: LABEL.to_owned() })?;
        Ok(Self { serial: found.identity().serial.clone() })
    }
}

impl Worker for TokenMaker {
    type Order = ();
    type Answer = String;

    fn measure(&mut self, (): ()) -> Result<String, Failed> {
        Ok(self.serial.clone())
    }
}
