//! Keys in the own token: a station's or officer's signing key, found by being the only one of its kind.

use crate::{
    config::{ConfigError, TokenSettings},
    error::ClientError,
    signer::StatementSigner,
};
use keysvc_protocol::{hash::sha256, public_key::PublicKey};
use keysvc_token::{KeyKind, ObjectId, Pin, SigningKey, Token, TokenConfig, TokenError};

/// Opens the token. The PIN is `pin`, or else the one in the configured file.
///
/// # Errors
/// [`ClientError::Config`] when there is no PIN, [`ClientError::Token`] when the token does not open.
pub fn open(settings: &TokenSettings, pin: Option<Pin>) -> Result<Token, ClientError> {
    let pin = match (pin, &settings.pin_file) {
        (Some(pin), _) => pin,
        (None, Some(file)) => {
            Pin::from_file(file).map_err(|error| ConfigError::content(file, error.to_string()))?
        }
        (None, None) => return Err(ConfigError::missing("the token's pin-file").into()),
    };
    let config = TokenConfig { module: settings.module.clone(), label: settings.label.clone() };
    Ok(Token::open(&config, &pin)?)
}

/// Where a persona's keys differ: EC signs, RSA unwraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// `CKK_EC`.
    Ec,
    /// `CKK_RSA`.
    #[cfg(feature = "station")]
    Rsa,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Ec => "CKK_EC",
            #[cfg(feature = "station")]
            Self::Rsa => "CKK_RSA",
        }
    }
}

/// The token's one private key of this algorithm, as `find` finds it; `kind` names it for people.
///
/// # Errors
/// [`ClientError::Config`] when there is none or more than one, [`ClientError::Token`] when the token fails.
pub(crate) fn only<T>(
    token: &Token,
    algorithm: Algorithm,
    kind: KeyKind,
    find: impl FnOnce(ObjectId) -> Result<T, TokenError>,
) -> Result<T, ClientError> {
    let objects = token.inventory()?;
    let mut of_algorithm = objects
        .iter()
        .filter(|object| !object.public && object.key_type == algorithm.name())
        .filter_map(|object| object.id);
    match (of_algorithm.next(), of_algorithm.next()) {
        (Some(id), None) => Ok(find(id)?),
        (None, _) => Err(ConfigError::missing(format!("a token with a {kind} key")).into()),
        (Some(_), Some(_)) => {
            Err(ConfigError::missing(format!("a token with one {kind} key; this one has more")).into())
        }
    }
}

/// A statement or approval key in a token.
#[derive(Debug)]
pub struct TokenSigner {
    key: SigningKey,
    public: PublicKey,
}

impl TokenSigner {
    /// Finds the token's only P-256 key; `kind` is [`KeyKind::Statement`] or [`KeyKind::Approval`].
    ///
    /// # Errors
    /// [`ClientError::Config`] when there is none or more than one, [`ClientError::Token`] when the token fails.
    pub fn find(token: &Token, kind: KeyKind) -> Result<Self, ClientError> {
        let key = only(token, Algorithm::Ec, kind, |id| token.signing_key(kind, id))?;
        let public = PublicKey::from_spki(key.spki())
            .map_err(|_| ConfigError::missing(format!("a token with a {kind} key that is P-256")))?;
        Ok(Self { key, public })
    }
}

impl StatementSigner for TokenSigner {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], ClientError> {
        Ok(self.key.sign(sha256(&[message]).as_bytes())?)
    }
}
