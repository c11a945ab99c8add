//! Signing the founding file with the approval key in the officer's card.
//!
//! Apart from the connection because it needs no service: there is none yet. What is signed is read and checked first.

use crate::{
    config::{ConfigError, TokenSettings},
    error::ClientError,
    signer::StatementSigner as _,
    token_signer::{self, TokenSigner},
};
use keysvc_protocol::{
    cose::{Kind, Unsigned},
    founding::Founding,
    name::Name,
};
use keysvc_token::{KeyKind, Pin};

/// Signs the founding file's bytes as `officer` with the approval key in the token; gives the `COSE_Sign1`. Needs
/// no service. Without `pin` the configured file's is taken. Blocks on the token.
///
/// # Errors
/// [`ClientError::Request`] when the bytes are not a founding file that agrees with itself and names this officer
/// with the token's key, [`ClientError::Config`] and [`ClientError::Token`] when the token cannot be used.
pub fn sign_founding(
    settings: &TokenSettings,
    pin: Option<Pin>,
    founding: &[u8],
    officer: &Name,
) -> Result<Vec<u8>, ClientError> {
    let file = read_founding(founding)?;
    let named = file.officers.iter().find(|one| one.name == *officer);
    let named = named.ok_or_else(|| fault(&format!("it names no officer {officer}")))?;
    let token = token_signer::open(settings, pin)?;
    let signer = TokenSigner::find(&token, KeyKind::Approval)?;
    if signer.public_key() != named.approval_key.p256() {
        return Err(ConfigError::missing(format!("a token with the approval key of {officer}")).into());
    }
    let payload = Founding::agreement(founding, officer);
    let scope = file.trust_domain.as_str().as_bytes();
    let unsigned = Unsigned::new(Kind::Founding, scope, signer.public_key().identifier(), payload);
    Ok(unsigned.with_signature(&signer.sign(&unsigned.to_be_signed())?))
}

fn read_founding(bytes: &[u8]) -> Result<Founding, ClientError> {
    let text = str::from_utf8(bytes).map_err(|_| fault("not text"))?;
    let file: Founding = toml::from_str(text).map_err(|error| fault(&error.to_string()))?;
    file.check().map_err(|error| fault(&error.to_string()))?;
    Ok(file)
}

fn fault(what: &str) -> ClientError {
    ClientError::Request { what: format!("the founding file: {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Key, TERMINAL, founding};
    use base64ct::{Base64, Encoding as _};
    use keysvc_protocol::public_key::PublicKey;
    use keysvc_token::{
        ObjectId, initialise_token,
        scratch::{Scratch, with_scratch_token},
    };

    /// An officer's card, and a founding file that names its key as ann's.
    fn card(scratch: &Scratch) -> (TokenSettings, String) {
        let (so_pin, pin) = (Pin::new("1029384756".into()), Pin::new("483920".into()));
        initialise_token(scratch.module(), "ann", &so_pin, &pin).unwrap();
        let settings =
            TokenSettings { module: scratch.module().to_owned(), label: "ann".into(), pin_file: None };
        let token = token_signer::open(&settings, Some(pin)).unwrap();
        let key = token.generate(KeyKind::Approval, ObjectId([2; 16]), "approval").unwrap().public.unwrap();
        let ann = |key: &[u8]| format!("approval-key = \"{}\"", Base64::encode_string(key));
        let file = founding().replace(&ann(Key::new(11).public().spki()), &ann(&key));
        (settings, file)
    }

    fn sign(settings: &TokenSettings, founding: &str, officer: &str) -> Result<Vec<u8>, ClientError> {
        let pin = Some(Pin::new("483920".into()));
        sign_founding(settings, pin, founding.as_bytes(), &officer.parse().unwrap())
    }

    #[test]
    fn an_officers_signature_counts_for_this_file_and_this_officer() {
        let test = "officer::founding::tests::an_officers_signature_counts_for_this_file_and_this_officer";
        with_scratch_token(test, |scratch| {
            let (settings, file) = card(scratch);
            let signed = sign(&settings, &file, "ann").unwrap();
            let founding = read_founding(file.as_bytes()).unwrap();
            let [ann, bob] = founding.officers.as_slice() else { panic!("two officers") };
            assert_eq!(founding.verify_agreement(file.as_bytes(), ann, &signed), Ok(()));
            assert!(founding.verify_agreement(file.as_bytes(), bob, &signed).is_err());
            assert!(founding.verify_agreement(b"another file", ann, &signed).is_err());
        });
    }

    #[test]
    fn another_officers_name_or_a_file_without_this_key_is_not_signed() {
        let test = "officer::founding::tests::another_officers_name_or_a_file_without_this_key_is_not_signed";
        with_scratch_token(test, |scratch| {
            let (settings, file) = card(scratch);
            for (file, officer) in [(&file, "bob"), (&founding(), "ann")] {
                let result = sign(&settings, file, officer);
                assert!(
                    matches!(result, Err(ClientError::Config(ConfigError::Missing { .. }))),
                    "{result:?}"
                );
            }
            let result = sign(&settings, &file, "carol");
            assert!(
                matches!(result, Err(ClientError::Request { what }) if what.ends_with("names no officer carol"))
            );
        });
    }

    #[test]
    fn a_file_that_contradicts_itself_is_not_signed() {
        let key = |byte: u8| -> PublicKey { Key::new(byte).public() };
        let base64 = |byte: u8| Base64::encode_string(key(byte).spki());
        let settings = TokenSettings { module: "/nonexistent".into(), label: "ann".into(), pin_file: None };
        let twice = founding().replace(&base64(11), &base64(TERMINAL));
        for file in [twice.as_str(), "", "officers = 1", "no toml"] {
            assert!(matches!(sign(&settings, file, "ann"), Err(ClientError::Request { .. })), "{file}");
        }
    }
}
