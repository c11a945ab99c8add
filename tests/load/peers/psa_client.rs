//! A client of Parsec: has a key made, and asks for signatures as Parsec's own client library does, by a new connection
//! for each request.
//!
//! The bytes are [`super::psa`]'s. The program itself is started by [`super::parsec`].

use super::{
    crowd::{self, Client, Verifier},
    psa::{self, HEADER_LEN, Opcode, Replied},
};
use crate::{
    crew::Worker,
    order::{Measured, Order},
    while_doing,
};
use keysvc_tests::ground::Failed;
use ring::{digest::Digest, signature::ECDSA_P256_SHA256_FIXED};
use std::path::{Path, PathBuf};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    runtime::Runtime,
};

/// The key's name.
const KEY: &str = "load";
/// Longest body of a reply, in bytes: a public key or a signature is under 100.
const BODY_LEN_MAX: u32 = 1024;

/// The client, with a key.
pub struct Psa {
    runtime: Runtime,
    asking: Asking,
    verifier: Verifier,
}

impl Psa {
    /// Has a key made by the Parsec that listens here.
    ///
    /// # Errors
    /// [`Failed`] with Parsec's status.
    pub fn new(socket: &Path) -> Result<Self, Failed> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(while_doing("the runtime"))?;
        let user = rustix::process::geteuid().as_raw();
        let asking = Asking { socket: socket.to_owned(), user };
        let public = runtime.block_on(async {
            asking.ask(Opcode::GenerateKey, &psa::generate_key(KEY)).await?;
            asking.ask(Opcode::ExportPublicKey, &psa::export_public_key(KEY)).await
        })?;
        let verifier = Verifier::new(&ECDSA_P256_SHA256_FIXED, psa::only_field(&public).unwrap_or_default())?;
        Ok(Self { runtime, asking, verifier })
    }
}

impl Worker for Psa {
    type Order = Order;
    type Answer = Measured;

    fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        let clients = vec![self.asking.clone(); order.parallel];
        self.runtime.block_on(crowd::run(order, clients, 1, &self.verifier))
    }
}

/// Where and as whom one asks.
#[derive(Debug, Clone)]
struct Asking {
    socket: PathBuf,
    user: u32,
}

impl Asking {
    async fn ask(&self, opcode: Opcode, body: &[u8]) -> Result<Vec<u8>, Failed> {
        let cut = while_doing("a connection to Parsec");
        let mut stream = UnixStream::connect(&self.socket).await.map_err(&cut)?;
        stream.write_all(&psa::request(opcode, body, self.user)).await.map_err(&cut)?;
        let mut header = [0; HEADER_LEN];
        stream.read_exact(&mut header).await.map_err(&cut)?;
        let replied = Replied::read(&header).ok_or_else(|| Failed("no reply of Parsec's".to_owned()))?;
        if replied.status != 0 || replied.body_len > BODY_LEN_MAX {
            let Replied { status, body_len } = replied;
            return Err(Failed(format!("{opcode:?}: Parsec answered status {status}, {body_len} bytes")));
        }
        let mut body = vec![0; usize::try_from(replied.body_len).unwrap_or(0)];
        stream.read_exact(&mut body).await.map_err(&cut)?;
        Ok(body)
    }
}

impl Client for Asking {
    async fn sign(&mut self, digests: &[Digest]) -> Result<Vec<Vec<u8>>, Failed> {
        let mut signatures = Vec::new();
        for digest in digests {
            let body = self.ask(Opcode::SignHash, &psa::sign_hash(KEY, digest.as_ref())).await?;
            let signature =
                psa::only_field(&body).ok_or_else(|| Failed("no signature of Parsec's".to_owned()))?;
            signatures.push(signature.to_vec());
        }
        Ok(signatures)
    }
}
