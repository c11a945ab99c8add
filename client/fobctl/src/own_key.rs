//! The key that signs for whoever runs the program: the officer's card behind its PIN, or a statement key in a file.
//!
//! What the card says of its PIN's tries is told before one is made, because a card locks for good.

use crate::{
    fault::Fault,
    output::{LOUD, tell},
    pin::PinSource,
};
use keysvc_client::{
    ClientConfig, ClientError, Officer, TokenError,
    officer::{Card, PinTries},
    signer::{self, StatementSigner},
};
use std::sync::Arc;

/// Connects for reading; no key is needed.
///
/// # Errors
/// [`Fault`] of the connection.
pub(crate) async fn connect(config: &ClientConfig) -> Result<Officer, Fault> {
    Officer::connect(config).await.map_err(|error| Fault::client("connect", error))
}

/// The same connection with the persona's own key.
///
/// # Errors
/// [`Fault`] where there is none, or the card does not open.
pub(crate) fn unlock(officer: &Officer, config: &ClientConfig, pin: &PinSource) -> Result<Officer, Fault> {
    let label = config.token.as_ref().map_or("the persona", |settings| settings.label.as_str());
    let who = officer.name().map_or(label, |name| name.as_str());
    let signer = signer(config, who, pin)?;
    officer.with_signer(signer).map_err(|error| Fault::client("sign", error))
}

/// The persona's own key alone; no service is needed. `who` is asked for the PIN, where no file holds it.
///
/// # Errors
/// [`Fault`] where there is none, or the card does not open.
pub(crate) fn signer(
    config: &ClientConfig,
    who: &str,
    pin: &PinSource,
) -> Result<Arc<dyn StatementSigner>, Fault> {
    match (&config.statement, &config.token) {
        (Some(_), _) => signer::of_config(config).map_err(|error| Fault::client("sign", error)),
        (None, Some(settings)) => {
            let card = Card::find(settings).map_err(|error| Fault::client("find the card", error))?;
            warn(card.pin_tries(), &settings.label)?;
            let pin = pin.read(settings.pin_file.as_deref(), who)?;
            card.unlock(Some(pin)).map_err(|error| Fault::client("unlock the card", error))
        }
        (None, None) => {
            let next =
                "add [token] with module and label of the officer's card, or [statement] with a key's file";
            Err(Fault::usage("the configuration names no key to sign with", next))
        }
    }
}

/// Says what the card says of its tries; a locked one is not asked.
fn warn(tries: PinTries, label: &str) -> Result<(), Fault> {
    match tries {
        PinTries::NotSaid => {}
        PinTries::Low => tell(&"the card says: a wrong PIN was given since the last right one"),
        PinTries::LastTry => {
            tell(&format_args!("{LOUD}the card says: last try; one more wrong PIN locks it{LOUD:#}"));
        }
        PinTries::Locked => {
            let error = ClientError::Token(TokenError::PinLocked { label: label.to_owned() });
            return Err(Fault::client("unlock the card", error));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_card_is_not_asked_for_its_pin() {
        let fault = warn(PinTries::Locked, "officer-1").unwrap_err();
        assert_eq!(fault.exit_code(), 4);
        assert!(fault.to_string().contains("locked"), "{fault}");
        for tries in [PinTries::NotSaid, PinTries::Low, PinTries::LastTry] {
            assert!(warn(tries, "officer-1").is_ok());
        }
    }
}
