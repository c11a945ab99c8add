//! `keysvc.toml` and `client.toml` as they are written here. All paths are absolute.
//!
//! Apart from [`crate::site`] because it is the one place that knows the keys of both files; whoever reads them
//! refuses unknown ones. It writes no limits: the defaults hold.

use crate::{
    SetupError,
    site::{STATE, Site},
};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The name by which clients check the service's certificate.
pub(crate) const SERVER_NAME: &str = "localhost";
/// The label of the service's token.
pub(crate) const SERVICE_LABEL: &str = "keysvc";

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Service<'a> {
    trust_domain: &'a str,
    founding: PathBuf,
    signatures: PathBuf,
    trust: PathBuf,
    front: Front,
    keeper: Keeper,
    token: Token<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Front {
    listen: String,
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    crls: [PathBuf; 0],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Keeper {
    socket: PathBuf,
    store: PathBuf,
    anchor: PathBuf,
    policies: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Token<'a> {
    module: &'a Path,
    label: &'a str,
    pin_file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<PathBuf>,
}

/// The text of the service's `keysvc.toml`.
pub(crate) fn service(site: &Site, module: &Path) -> Result<String, SetupError> {
    let home = site.service();
    let file = |name: &str| home.folder().join(name);
    let config = Service {
        trust_domain: crate::TRUST_DOMAIN,
        founding: site.founding(),
        signatures: site.signatures(),
        trust: site.trust(),
        front: Front {
            listen: format!("127.0.0.1:{}", site.port()),
            certificate: home.tls_certificate(),
            key: home.tls_key(),
            ca: home.tls_folder().join("ca.crt"),
            crls: [],
        },
        keeper: Keeper {
            socket: site.socket(),
            store: file("store"),
            anchor: file("anchor"),
            policies: file("policies"),
        },
        token: Token {
            module,
            label: SERVICE_LABEL,
            pin_file: home.pin_file(),
            folder: Some(home.token_folder()),
        },
    };
    text("keysvc.toml", &config)
}

/// The port in a `keysvc.toml`.
pub(crate) fn port(text: &str) -> Result<u16, SetupError> {
    #[derive(Deserialize)]
    struct Service {
        front: Front,
    }
    #[derive(Deserialize)]
    struct Front {
        listen: SocketAddr,
    }
    let service: Service = toml::from_str(text)
        .map_err(|error| SetupError::Text { what: "keysvc.toml", reason: error.to_string() })?;
    Ok(service.front.listen.port())
}

/// The PKCS#11 module in a `keysvc.toml`.
pub(crate) fn module(text: &str) -> Result<PathBuf, SetupError> {
    #[derive(Deserialize)]
    struct Service {
        token: Token,
    }
    #[derive(Deserialize)]
    struct Token {
        module: PathBuf,
    }
    let service: Service = toml::from_str(text)
        .map_err(|error| SetupError::Text { what: "keysvc.toml", reason: error.to_string() })?;
    Ok(service.token.module)
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Client<'a> {
    endpoint: String,
    server_name: &'a str,
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    trust: PathBuf,
    state: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Token<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<Statement>,
}

#[derive(Serialize)]
struct Statement {
    file: PathBuf,
}

/// Where a persona keeps the key it signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signs<'a> {
    /// It signs nothing.
    Never,
    /// In the token of this module, labelled with the persona's name.
    InToken(&'a Path),
    /// In `statement.key`.
    InFile,
}

/// The text of the `client.toml` of the persona `name`.
pub(crate) fn client(site: &Site, name: &str, signs: Signs<'_>) -> Result<String, SetupError> {
    let home = site.home(name);
    let config = Client {
        endpoint: format!("{SERVER_NAME}:{}", site.port()),
        server_name: SERVER_NAME,
        ca: site.authority_certificate(),
        certificate: home.tls_certificate(),
        key: home.tls_key(),
        trust: site.trust(),
        state: home.folder().join(STATE),
        token: match signs {
            Signs::InToken(module) => {
                Some(Token { module, label: name, pin_file: home.pin_file(), folder: None })
            }
            Signs::Never | Signs::InFile => None,
        },
        statement: (signs == Signs::InFile).then(|| Statement { file: home.statement_key() }),
    };
    text("client.toml", &config)
}

fn text(what: &'static str, config: &impl Serialize) -> Result<String, SetupError> {
    toml::to_string(config).map_err(|error| SetupError::Text { what, reason: error.to_string() })
}
