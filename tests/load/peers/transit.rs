//! A client of `OpenBao`: makes a key in its transit engine, and asks it for signatures over connections like the
//! terminal's.
//!
//! Names and bodies are those of `OpenBao`'s HTTP API. The program itself is started by [`super::open_bao`].

use super::{
    base64,
    crowd::{self, Client, Verifier},
};
use crate::{
    crew::Worker,
    line::{Address, Line},
    order::{BATCH, Measured, Order, Work},
    while_doing,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, StatusCode, header, header::HeaderValue};
use keysvc_client::ClientConfig;
use keysvc_tests::ground::Failed;
use ring::{digest::Digest, signature::ECDSA_P256_SHA256_ASN1};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    fs,
    path::Path,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// The header that carries a token.
const TOKEN: &str = "x-vault-token";
/// Where signatures are asked for.
const SIGN: &str = "/v1/transit/sign/load/sha2-256";
/// What the token of the login may do: that, and nothing else.
const POLICY: &str = r#"path "transit/sign/load/sha2-256" { capabilities = ["update"] }"#;
/// What stands before the base64 of a signature by the key's first version.
const SIGNATURE_PREFIX: &str = "vault:v1:";
/// How long it may take from the unsealing to the first answer.
const ACTIVE_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks whether it answers.
const LOOK_EACH: Duration = Duration::from_millis(50);

/// The client, with a token that may sign.
pub struct Transit {
    runtime: Runtime,
    address: Address,
    token: HeaderValue,
    verifier: Verifier,
}

/// A reply's outermost field.
#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Signed<'a> {
    #[serde(borrow)]
    signature: Cow<'a, str>,
}

#[derive(Deserialize)]
struct SignedAll<'a> {
    #[serde(borrow)]
    batch_results: Vec<Signed<'a>>,
}

impl Transit {
    /// Sets up a new `OpenBao` at this port, coming as the persona of this configuration, and logs in by its certificate.
    ///
    /// # Errors
    /// [`Failed`] with what `OpenBao` said.
    pub fn new(config: &Path, authority: &Path, port: u16) -> Result<Self, Failed> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(while_doing("the runtime"))?;
        let config = ClientConfig::read(config).map_err(while_doing("the client's configuration"))?;
        let address = Address::of(&config)?.beside(port);
        let authority = fs::read_to_string(authority).map_err(while_doing("the CA's certificate"))?;
        let (token, verifier) = runtime.block_on(set_up(&address, &authority))?;
        Ok(Self { runtime, address, token, verifier })
    }
}

impl Worker for Transit {
    type Order = Order;
    type Answer = Measured;

    fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        let each_call = if order.work == Work::OpenBaoBatch { BATCH } else { 1 };
        self.runtime.block_on(async {
            let mut clients = Vec::new();
            for _ in 0..order.parallel {
                let line = Line::to(&self.address).await?;
                clients.push(Asking { line, token: self.token.clone(), batched: each_call > 1 });
            }
            crowd::run(order, clients, each_call, &self.verifier).await
        })
    }
}

/// One connection.
struct Asking {
    line: Line,
    token: HeaderValue,
    batched: bool,
}

impl Client for Asking {
    async fn sign(&mut self, digests: &[Digest]) -> Result<Vec<Vec<u8>>, Failed> {
        let mut inputs = digests.iter().map(|digest| base64::encode(digest.as_ref()));
        let body = if self.batched {
            let inputs: Vec<_> = inputs.map(|input| json!({ "input": input })).collect();
            json!({ "batch_input": inputs, "prehashed": true })
        } else {
            json!({ "input": inputs.next().unwrap_or_default(), "prehashed": true })
        };
        let request = request((&Method::POST, SIGN), Some(&self.token), &body)?;
        let body = succeeded(self.line.exchange(request).await?)?;
        if self.batched {
            let answer: Answer<SignedAll<'_>> = read(&body)?;
            return answer.data.batch_results.iter().map(signature).collect();
        }
        let answer: Answer<Signed<'_>> = read(&body)?;
        Ok(vec![signature(&answer.data)?])
    }
}

fn signature(signed: &Signed<'_>) -> Result<Vec<u8>, Failed> {
    let text = signed.signature.strip_prefix(SIGNATURE_PREFIX).and_then(base64::decode);
    text.ok_or_else(|| Failed(format!("no signature: {}", signed.signature)))
}

/// Initialises, unseals, makes key, policy and login, and logs in; gives the token and the key's public half.
async fn set_up(address: &Address, authority: &str) -> Result<(HeaderValue, Verifier), Failed> {
    let mut setup = Setup { line: Line::to(address).await?, token: None };
    let founded: Founded = setup
        .ask((&Method::PUT, "/v1/sys/init"), &json!({ "secret_shares": 1, "secret_threshold": 1 }))
        .await?;
    let share = founded.keys_base64.first().cloned().unwrap_or_default();
    setup.tell("/v1/sys/unseal", &json!({ "key": share })).await?;
    setup.token = Some(secret(&founded.root_token)?);
    setup.wait_until_active().await?;
    setup.tell("/v1/sys/mounts/transit", &json!({ "type": "transit" })).await?;
    setup.tell("/v1/transit/keys/load", &json!({ "type": "ecdsa-p256" })).await?;
    setup.tell("/v1/sys/policies/acl/load", &json!({ "policy": POLICY })).await?;
    setup.tell("/v1/sys/auth/cert", &json!({ "type": "cert" })).await?;
    let login = json!({ "certificate": authority, "token_policies": ["load"] });
    setup.tell("/v1/auth/cert/certs/load", &login).await?;
    let key: Answer<KeyTold> = setup.ask((&Method::GET, "/v1/transit/keys/load"), &Value::Null).await?;
    let key = SubjectPublicKeyInfoDer::from_pem_slice(key.data.keys.first.public_key.as_bytes())
        .map_err(while_doing("OpenBao's public key"))?;
    let verifier = Verifier::new(&ECDSA_P256_SHA256_ASN1, key.as_ref())?;
    setup.token = None;
    let entered: LoggedIn =
        setup.ask((&Method::POST, "/v1/auth/cert/login"), &json!({ "name": "load" })).await?;
    Ok((secret(&entered.auth.client_token)?, verifier))
}

#[derive(Deserialize)]
struct Founded {
    keys_base64: Vec<String>,
    root_token: String,
}

#[derive(Deserialize)]
struct KeyTold {
    keys: Versions,
}

#[derive(Deserialize)]
struct Versions {
    #[serde(rename = "1")]
    first: Version,
}

#[derive(Deserialize)]
struct Version {
    public_key: String,
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Authorised,
}

#[derive(Deserialize)]
struct Authorised {
    client_token: String,
}

/// The connection by which everything is set up.
struct Setup {
    line: Line,
    token: Option<HeaderValue>,
}

impl Setup {
    async fn ask<T: DeserializeOwned>(&mut self, to: (&Method, &str), body: &Value) -> Result<T, Failed> {
        let answered = self.line.exchange(request(to, self.token.as_ref(), body)?).await?;
        let body = succeeded(answered).map_err(while_doing(to.1))?;
        serde_json::from_slice(&body).map_err(while_doing(to.1))
    }

    async fn tell(&mut self, path: &str, body: &Value) -> Result<(), Failed> {
        let answered = self.line.exchange(request((&Method::POST, path), self.token.as_ref(), body)?).await?;
        succeeded(answered).map(drop).map_err(while_doing(path))
    }

    async fn wait_until_active(&mut self) -> Result<(), Failed> {
        let began = Instant::now();
        loop {
            let health = request((&Method::GET, "/v1/sys/health"), None, &Value::Null)?;
            let (status, _) = self.line.exchange(health).await?;
            if status == StatusCode::OK {
                return Ok(());
            }
            if began.elapsed() > ACTIVE_LIMIT {
                return Err(Failed(format!("OpenBao is not active {ACTIVE_LIMIT:?} after its unsealing")));
            }
            tokio::time::sleep(LOOK_EACH).await;
        }
    }
}

/// A token as a header that is not printed.
fn secret(token: &str) -> Result<HeaderValue, Failed> {
    let mut token = HeaderValue::from_str(token).map_err(while_doing("OpenBao's token"))?;
    token.set_sensitive(true);
    Ok(token)
}

fn request(
    (method, path): (&Method, &str),
    token: Option<&HeaderValue>,
    body: &Value,
) -> Result<Request<Full<Bytes>>, Failed> {
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(TOKEN, token);
    }
    request.body(Full::new(body)).map_err(while_doing("a request"))
}

fn succeeded((status, body): (StatusCode, Bytes)) -> Result<Bytes, Failed> {
    if status.is_success() {
        return Ok(body);
    }
    Err(Failed(format!("OpenBao answered {status}: {}", String::from_utf8_lossy(&body).trim())))
}

fn read<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, Failed> {
    serde_json::from_slice(body).map_err(while_doing("OpenBao's answer"))
}
