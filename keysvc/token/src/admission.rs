//! Admission: what a token must do and must refuse before the keeper trusts it.
//!
//! Tokens are admitted, not assumed: some (NSS softokn) let a key do what its attributes forbid. Everything here is
//! made in a session of its own and is gone with it; keys of the token are never touched. What it must compute lies in
//! `admission/answers.rs`.

mod answers;

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::ekdf::AesCbcDeriveParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;

use crate::attribute::read_one;
use crate::error::{TokenError, fault};
use crate::mechanism::{self, mechanism_type};
use crate::token::Token;

/// What one probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What the token must do or refuse, as a short name for reports.
    pub name: &'static str,
    /// Whether it does.
    pub passed: bool,
    /// What the token answered.
    pub detail: String,
}

type Check = fn(&Session) -> Result<Outcome, TokenError>;

/// Every probe with what it shows.
const PROBES: [(&str, Check); 13] = [
    ("derivation without CKA_DERIVE is refused", derive_without_permission),
    ("wrapping of a non-extractable key is refused", wrap_of_non_extractable),
    ("a mechanism outside CKA_ALLOWED_MECHANISMS is refused", forbidden_mechanism),
    ("an attribute of a CKA_MODIFIABLE=false key cannot be set", change_of_unmodifiable),
    ("a CKA_COPYABLE=false key cannot be copied with wider use", widening_copy),
    ("a sensitive value cannot be read", sensitive_value),
    ("CKM_AES_CMAC gives the published value", answers::cmac_known_answer),
    ("CKM_AES_CBC_ENCRYPT_DATA derives the published key", answers::derivation_known_answer),
    ("CKM_AES_KEY_WRAP gives the known value", answers::wrapping_known_answer),
    ("CKM_ECDSA verifies outside the token", answers::ecdsa_verifies),
    ("CKM_ECDSA takes another number for each signature", answers::signatures_are_fresh),
    ("C_GenerateRandom gives other bytes each time", answers::random_is_fresh),
    ("C_GenerateKey makes another key each time", answers::keys_are_fresh),
];

/// Probes a token; it is admitted if every probe passed.
///
/// # Errors
/// If the token fails, so that nothing can be said.
pub fn probe(token: &Token) -> Result<Vec<Probe>, TokenError> {
    // Its own session: closing it destroys whatever a probe made.
    let probed = token.with_own_session(|session| {
        PROBES
            .into_iter()
            .map(|(name, check)| {
                let Outcome { passed, detail } = check(session)?;
                Ok(Probe { name, passed, detail })
            })
            .collect()
    });
    probed.map(|(probes, _closed)| probes)
}

/// The CMAC of a message under a published key, as the probe has the token compute it. For published vectors: the value
/// of the key is no secret, and no copy of it is wiped.
///
/// # Errors
/// If the token refuses or fails.
pub fn published_cmac(token: &Token, key: &[u8; 16], message: &[u8]) -> Result<Vec<u8>, TokenError> {
    // Its own session, as for the probes: closing it destroys the key.
    let computed = token.with_own_session(|session| answers::cmac(session, key, message));
    computed.map(|(cmac, _closed)| cmac)
}

#[derive(Debug)]
struct Outcome {
    passed: bool,
    detail: String,
}

impl Outcome {
    /// Of a call that must be refused beside its permitted twin, which must not: a token that refuses both shows
    /// nothing.
    fn refused<P, F>(
        permitted: cryptoki::error::Result<P>,
        forbidden: cryptoki::error::Result<F>,
    ) -> Result<Self, TokenError> {
        let answer = match (refusal(permitted)?, refusal(forbidden)?) {
            (None, Some(code)) => return Ok(Self { passed: true, detail: code }),
            (None, None) => "allowed".into(),
            (Some(code), _) => format!("even the permitted form is refused: {code}"),
        };
        Ok(Self { passed: false, detail: answer })
    }

    fn answered(passed: bool) -> Self {
        Self { passed, detail: if passed { "as expected" } else { "another answer" }.into() }
    }
}

/// The code of a refusal, none if the call was allowed. A dead token refuses nothing: that is an error.
fn refusal<T>(answer: cryptoki::error::Result<T>) -> Result<Option<String>, TokenError> {
    match answer.map_err(fault) {
        Ok(_) => Ok(None),
        Err(TokenError::Refused { code, .. } | TokenError::BadData { code, .. }) => Ok(Some(code)),
        Err(error) => Err(error),
    }
}

fn derive_without_permission(session: &Session) -> Result<Outcome, TokenError> {
    let [permitted, forbidden] = [true, false].map(|derive| secret(session, &[Attribute::Derive(derive)]));
    let mechanism = Mechanism::AesCbcEncryptData(AesCbcDeriveParams::new([0; 16], &[0; 16]));
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::ValueLen(Ulong::new(16)),
        Attribute::Token(false),
    ];
    let derive = |key| session.derive_key(&mechanism, key, &template);
    Outcome::refused(derive(permitted?), derive(forbidden?))
}

fn wrap_of_non_extractable(session: &Session) -> Result<Outcome, TokenError> {
    let wrapping = secret(session, &[Attribute::Wrap(true)])?;
    let [permitted, forbidden] =
        [true, false].map(|extractable| secret(session, &[Attribute::Extractable(extractable)]));
    let wrap = |key| session.wrap_key(&Mechanism::AesKeyWrap, wrapping, key);
    Outcome::refused(wrap(permitted?), wrap(forbidden?))
}

fn forbidden_mechanism(session: &Session) -> Result<Outcome, TokenError> {
    let only_cmac = Attribute::AllowedMechanisms(vec![mechanism_type(mechanism::Mechanism::AesCmac)]);
    let key = secret(session, &[Attribute::Sign(true), Attribute::Encrypt(true), only_cmac])?;
    Outcome::refused(
        session.sign(&Mechanism::AesCMac, key, &[0; 16]),
        session.encrypt(&Mechanism::AesCbc([0; 16]), key, &[0; 16]),
    )
}

fn change_of_unmodifiable(session: &Session) -> Result<Outcome, TokenError> {
    let [permitted, forbidden] = [true, false]
        .map(|modifiable| secret(session, &[Attribute::Modifiable(modifiable), Attribute::Encrypt(false)]));
    let change = |key| session.update_attributes(key, &[Attribute::Encrypt(true)]);
    Outcome::refused(change(permitted?), change(forbidden?))
}

fn widening_copy(session: &Session) -> Result<Outcome, TokenError> {
    let [permitted, forbidden] = [true, false]
        .map(|copyable| secret(session, &[Attribute::Copyable(copyable), Attribute::Encrypt(false)]));
    let copy = |key| session.copy_object(key, &[Attribute::Encrypt(true)]);
    Outcome::refused(copy(permitted?), copy(forbidden?))
}

fn sensitive_value(session: &Session) -> Result<Outcome, TokenError> {
    let key = secret(session, &[])?;
    let shown = read_one(session, key, AttributeType::Value)?.is_some();
    Ok(Outcome { passed: !shown, detail: if shown { "readable" } else { "not readable" }.into() })
}

/// A sensitive AES-128 session key with these attributes.
fn secret(session: &Session, more: &[Attribute]) -> Result<ObjectHandle, TokenError> {
    let mut all = vec![
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::ValueLen(Ulong::new(16)),
    ];
    all.extend_from_slice(more);
    session.generate_key(&Mechanism::AesKeyGen, &all).map_err(fault)
}

#[cfg(test)]
mod tests {
    use cryptoki::session::UserType;
    use cryptoki::slot::Slot;
    use cryptoki::types::AuthPin;

    use super::*;
    use crate::scratch::{Scratch, key_count, on_each_module, on_nss};
    use crate::token::{TokenConfig, load};

    #[test]
    fn a_token_that_keeps_keys_is_admitted_and_nothing_is_left_on_it() {
        on_each_module(
            "admission::tests::a_token_that_keeps_keys_is_admitted_and_nothing_is_left_on_it",
            |scratch| {
                let token = scratch.open();
                let probes = probe(&token).unwrap();
                assert_eq!(probes.len(), PROBES.len());
                for probe in probes {
                    assert!(probe.passed, "{probe:?}");
                }
                assert_eq!(key_count(&token), 0);
            },
        );
    }

    #[test]
    fn nss_softokn_is_refused_and_each_reason_is_named() {
        on_nss("admission::tests::nss_softokn_is_refused_and_each_reason_is_named", |scratch| {
            let token = nss(scratch);
            let refused: Vec<_> = probe(&token)
                .unwrap()
                .into_iter()
                .filter(|probe| !probe.passed)
                .map(|one| (one.name, one.detail))
                .collect();
            let allowed = |name| (name, "allowed".to_owned());
            assert_eq!(
                refused,
                [
                    allowed("derivation without CKA_DERIVE is refused"),
                    allowed("wrapping of a non-extractable key is refused"),
                    allowed("a mechanism outside CKA_ALLOWED_MECHANISMS is refused"),
                    allowed("a CKA_COPYABLE=false key cannot be copied with wider use"),
                    ("CKM_AES_KEY_WRAP gives the known value", "another answer".to_owned()),
                ]
            );
        });
    }

    /// NSS's own token, with a PIN: it is made without one, and its officer's is then empty.
    fn nss(scratch: &Scratch) -> Token {
        let label = "NSS Certificate DB";
        let module = load(scratch.module()).unwrap();
        let is_it = |slot: &Slot| module.get_token_info(*slot).unwrap().label().trim_end() == label;
        let slot = module.get_slots_with_token().unwrap().into_iter().find(is_it).unwrap();
        let session = module.open_rw_session(slot).unwrap();
        session.login(UserType::So, Some(&AuthPin::from(""))).unwrap();
        session.init_pin(&scratch.pin().auth()).unwrap();
        session.logout().unwrap();
        let config = TokenConfig { label: label.to_owned(), ..scratch.config().clone() };
        Token::open(&config, &scratch.pin()).unwrap()
    }

    #[test]
    fn what_a_token_allows_is_not_passed_and_what_it_refuses_is() {
        use cryptoki::context::Function;
        use cryptoki::error::{Error, RvError};
        let failed = |code| Err::<(), _>(Error::Pkcs11(code, Function::WrapKey));
        let refused = RvError::KeyUnextractable;
        assert!(!Outcome::refused(Ok(()), Ok(())).unwrap().passed);
        let passed = Outcome::refused(Ok(()), failed(refused)).unwrap();
        assert_eq!((passed.passed, passed.detail.as_str()), (true, "CKR_KEY_UNEXTRACTABLE"));
        assert!(!Outcome::refused(failed(refused), failed(refused)).unwrap().passed);
        assert!(Outcome::refused(Ok(()), failed(RvError::DeviceRemoved)).unwrap_err().is_fatal());
    }
}
