//! The officer's card: found first, so that what it says of its PIN's tries is known before one is made.
//!
//! It signs what it is given; what that is, is read and shown before ([`crate::approvable`]).

use crate::{
    config::{ConfigError, TokenSettings},
    error::ClientError,
    signer::StatementSigner,
    token_signer::TokenSigner,
};
use keysvc_token::{FoundToken, KeyKind, Pin, PinTries, Token, TokenConfig, TokenIdentity};
use std::sync::Arc;

/// A card that was found. Nobody is logged in to it yet. Finding and unlocking block on the card.
#[derive(Debug)]
pub struct Card {
    found: FoundToken,
    settings: TokenSettings,
}

impl Card {
    /// Finds the card, and tries no PIN.
    ///
    /// # Errors
    /// [`ClientError::Token`] when the module does not load, or not exactly one card has the label.
    pub fn find(settings: &TokenSettings) -> Result<Self, ClientError> {
        let config = TokenConfig { module: settings.module.clone(), label: settings.label.clone() };
        Ok(Self { found: Token::find(&config)?, settings: settings.clone() })
    }

    /// What the card says of itself: label, serial number, maker.
    #[must_use]
    pub fn identity(&self) -> &TokenIdentity {
        self.found.identity()
    }

    /// What the card says of the tries that its PIN has left.
    #[must_use]
    pub const fn pin_tries(&self) -> PinTries {
        self.found.pin_tries()
    }

    /// Unlocks the card with one attempt, and finds its only P-256 key. Without `pin` the configured file's is taken.
    ///
    /// # Errors
    /// [`ClientError::Config`] when there is no PIN or not one key, [`ClientError::Token`] when the card refuses.
    pub fn unlock(self, pin: Option<Pin>) -> Result<Arc<dyn StatementSigner>, ClientError> {
        let pin = match (pin, &self.settings.pin_file) {
            (Some(pin), _) => pin,
            (None, Some(file)) => {
                Pin::from_file(file).map_err(|error| ConfigError::content(file, error.to_string()))?
            }
            (None, None) => return Err(ConfigError::missing("the PIN of the card").into()),
        };
        let token = self.found.log_in(&pin)?;
        Ok(Arc::new(TokenSigner::find(&token, KeyKind::Approval)?))
    }
}
