//! The classes of what goes wrong with a token, by PKCS#11 return value (OASIS PKCS#11 2.40, section 4.1).
//!
//! Apart because the same few classes decide what the keeper does, what an operator is told and how errors are counted.
//! It has no words of its own: those are the errors'.

use cryptoki::error::RvError;

/// A class of token errors. Closed, so that it can be counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenErrorClass {
    /// The module, the device or the token is not there, or failed. It may come back by itself.
    Away,
    /// The token is there, but this process has lost its session, its login or its handles. A restart helps.
    Session,
    /// What the token was given is damaged or for another key.
    Data,
    /// The PIN was refused, is missing or has expired.
    Pin,
    /// The PIN is locked.
    Locked,
    /// The key or the mechanism is not for the operation.
    Mechanism,
    /// Anything else.
    Other,
}

impl TokenErrorClass {
    /// Every class.
    pub const ALL: [Self; 7] =
        [Self::Away, Self::Session, Self::Data, Self::Pin, Self::Locked, Self::Mechanism, Self::Other];

    /// Its name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Session => "session",
            Self::Data => "data",
            Self::Pin => "pin",
            Self::Locked => "locked",
            Self::Mechanism => "mechanism",
            Self::Other => "other",
        }
    }
}

/// The class of a return value where nothing from outside was processed.
pub(crate) fn class_of(code: RvError) -> TokenErrorClass {
    match code {
        RvError::CryptokiNotInitialized
        | RvError::DeviceError
        | RvError::DeviceMemory
        | RvError::DeviceRemoved
        | RvError::FunctionFailed
        | RvError::GeneralError
        | RvError::SlotIdInvalid
        | RvError::TokenNotPresent
        | RvError::TokenNotRecognized => TokenErrorClass::Away,
        RvError::KeyHandleInvalid
        | RvError::ObjectHandleInvalid
        | RvError::OperationNotInitialized
        | RvError::SessionClosed
        | RvError::SessionHandleInvalid
        | RvError::UnwrappingKeyHandleInvalid
        | RvError::UserNotLoggedIn
        | RvError::WrappingKeyHandleInvalid => TokenErrorClass::Session,
        RvError::ArgumentsBad
        | RvError::DataInvalid
        | RvError::DataLenRange
        | RvError::DomainParamsInvalid
        | RvError::EncryptedDataInvalid
        | RvError::EncryptedDataLenRange
        | RvError::KeySizeRange
        | RvError::PublicKeyInvalid
        | RvError::SignatureInvalid
        | RvError::SignatureLenRange
        | RvError::UnwrappingKeySizeRange
        | RvError::WrappedKeyInvalid
        | RvError::WrappedKeyLenRange
        | RvError::WrappingKeySizeRange => TokenErrorClass::Data,
        RvError::PinExpired
        | RvError::PinIncorrect
        | RvError::PinInvalid
        | RvError::PinLenRange
        | RvError::PinTooWeak
        | RvError::UserPinNotInitialized => TokenErrorClass::Pin,
        RvError::PinLocked => TokenErrorClass::Locked,
        RvError::ActionProhibited
        | RvError::AttributeReadOnly
        | RvError::AttributeSensitive
        | RvError::AttributeTypeInvalid
        | RvError::AttributeValueInvalid
        | RvError::CurveNotSupported
        | RvError::FunctionNotSupported
        | RvError::FunctionRejected
        | RvError::KeyFunctionNotPermitted
        | RvError::KeyNotWrappable
        | RvError::KeyTypeInconsistent
        | RvError::KeyUnextractable
        | RvError::MechanismInvalid
        | RvError::MechanismParamInvalid
        | RvError::SessionReadOnly
        | RvError::TemplateIncomplete
        | RvError::TemplateInconsistent
        | RvError::TokenWriteProtected
        | RvError::UnwrappingKeyTypeInconsistent
        | RvError::WrappingKeyTypeInconsistent => TokenErrorClass::Mechanism,
        _ => TokenErrorClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_return_value_has_the_class_that_says_what_to_do_about_it() {
        use TokenErrorClass::{Away, Data, Locked, Mechanism, Other, Pin, Session};
        for (code, class) in [
            (RvError::DeviceRemoved, Away),
            (RvError::TokenNotPresent, Away),
            (RvError::KeyHandleInvalid, Session),
            (RvError::UserNotLoggedIn, Session),
            (RvError::WrappedKeyInvalid, Data),
            (RvError::PinExpired, Pin),
            (RvError::PinLocked, Locked),
            (RvError::MechanismInvalid, Mechanism),
            (RvError::VendorDefined(0x8000_0001), Other),
        ] {
            assert_eq!(class_of(code), class, "{code:?}");
        }
    }

    #[test]
    fn every_class_has_a_name_of_its_own() {
        let names: BTreeSet<_> = TokenErrorClass::ALL.map(TokenErrorClass::name).into();
        assert_eq!(names.len(), TokenErrorClass::ALL.len());
    }
}
