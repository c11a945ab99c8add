//! Components of a key as custodians have them: generated, read from paper, checked, and sealed to the service.
//!
//! Apart from the calls to the service because a custodian works with a component alone, before and without them. What
//! it shows of a component is its check value, computed here, so that a person compares before anything is sent.
//!
//! It asks nobody for anything and judges no offer: the caller verifies the service's one-time key first. A component is
//! wiped when it is dropped, does not print, and cannot be copied.

use crate::error::ClientError;
use aes::Aes128;
use cmac::{Cmac, Mac as _};
use keysvc_protocol::{
    bytes::ShortCheck,
    hpke::HpkeError,
    public_key::{NotAKey, PublicKey},
    sealing::{self, COMPONENT_LEN, NoKey, Place},
};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::fmt;
use zeroize::Zeroizing;

/// How many hexadecimal digits a component has.
const DIGITS: usize = 2 * COMPONENT_LEN;
/// How many bytes stand together where a component is written for people.
const GROUP_LEN: usize = 2;

/// One component of a key: 16 secret bytes that one person has.
// Behind a pointer, so that a component that is moved leaves no copy where it was.
pub struct Component(Box<Zeroizing<[u8; COMPONENT_LEN]>>);

/// Components of a fresh key, and what tells that they were put together right.
#[derive(Debug)]
pub struct ComponentSet {
    /// The components, one for each custodian.
    pub components: Vec<Component>,
    /// The check value of the key that they make.
    pub check: ShortCheck,
}

/// Why something is no component, or components make no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ComponentError {
    /// There is something else than digits of base 16 and the marks between groups.
    #[error("a component is written in the digits 0 to 9 and a to f, with spaces or hyphens between groups")]
    Digits,
    /// It is too short, or too long: a component of a longer key, perhaps.
    #[error("a component has {DIGITS} digits, this has {found}")]
    Length {
        /// How many digits there are.
        found: usize,
    },
    /// It is all zero, or components make no key.
    #[error("{0}")]
    NoKey(#[from] NoKey),
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The service's one-time key is none.
    #[error("the service's one-time key is {0}")]
    OneTimeKey(#[from] NotAKey),
    /// It could not be sealed.
    #[error("the component is not sealed: {0}")]
    Seal(#[from] HpkeError),
}

impl From<ComponentError> for ClientError {
    fn from(error: ComponentError) -> Self {
        Self::Request { what: error.to_string() }
    }
}

impl Component {
    /// Reads what a custodian entered: 32 hexadecimal digits, in groups with spaces or hyphens between them or not.
    ///
    /// # Errors
    /// [`ComponentError::Digits`] and [`ComponentError::Length`]; [`NoKey::Zero`] for what is all zero. None of them
    /// says what was entered.
    pub fn from_hex(text: &str) -> Result<Self, ComponentError> {
        let mut component = Self(Box::default());
        let mut found = 0_usize;
        for letter in text.chars().filter(|letter| !matches!(letter, ' ' | '-')) {
            let digit = letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let digit = digit.ok_or(ComponentError::Digits)?;
            // Two digits a byte; what is beyond is only counted.
            if let Some(byte) = component.0.get_mut(found / 2) {
                *byte = (*byte << 4) | digit;
            }
            found = found.saturating_add(1);
        }
        if found != DIGITS {
            return Err(ComponentError::Length { found });
        }
        component.unless_zero()
    }

    /// Makes a component out of the system's random bytes.
    ///
    /// # Errors
    /// [`ComponentError::Random`] when there are none.
    pub fn generate() -> Result<Self, ComponentError> {
        let mut component = Self(Box::default());
        SystemRandom::new().fill(component.0.as_mut_slice()).map_err(|_| ComponentError::Random)?;
        component.unless_zero()
    }

    /// Makes the components of a fresh key, two or three: each is random, and so is the key.
    ///
    /// # Errors
    /// [`NoKey::Count`] for another number; [`ComponentError::Random`] when the system gives no random bytes.
    pub fn generate_set(count: usize) -> Result<ComponentSet, ComponentError> {
        if !(sealing::COMPONENTS_MIN..=sealing::COMPONENTS_MAX).contains(&count) {
            return Err(NoKey::Count { found: count }.into());
        }
        let components = (0..count).map(|_| Self::generate()).collect::<Result<Vec<_>, _>>()?;
        let check = Self::combined_check(&components)?;
        Ok(ComponentSet { components, check })
    }

    /// The check value of the key that these components make.
    ///
    /// # Errors
    /// [`NoKey`] where they make none: too few, too many, equal ones, or a sum that is all zero.
    pub fn combined_check(components: &[Self]) -> Result<ShortCheck, ComponentError> {
        let values: Vec<&[u8; COMPONENT_LEN]> = components.iter().map(Self::expose).collect();
        Ok(check_value(&*sealing::combine(&values)?))
    }

    /// The component's check value: the first 5 bytes of AES-CMAC over a zero block.
    #[must_use]
    pub fn check_value(&self) -> ShortCheck {
        check_value(&self.0)
    }

    /// The 16 bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; COMPONENT_LEN] {
        &self.0
    }

    /// The component as it is written on paper: eight groups of four digits, wiped when dropped.
    #[must_use]
    pub fn written(&self) -> Zeroizing<String> {
        // Of its last size from the start, so that no piece of it is left where it grew.
        let mut text = Zeroizing::new(String::with_capacity(DIGITS.saturating_add(COMPONENT_LEN)));
        for (at, group) in self.0.chunks(GROUP_LEN).enumerate() {
            if at > 0 {
                text.push(' ');
            }
            for byte in group {
                let digits = [byte >> 4, byte & 0x0f].map(|digit| char::from_digit(u32::from(digit), 16));
                text.extend(digits.into_iter().flatten());
            }
        }
        text
    }

    /// Seals the component to the service's one-time key, for one place of one import and no other: 97 bytes.
    ///
    /// # Errors
    /// [`ComponentError::OneTimeKey`] for a public key that is none; [`ComponentError::Seal`].
    pub fn seal(&self, public_spki: &[u8], place: &Place<'_>) -> Result<Vec<u8>, ComponentError> {
        Ok(place.seal(&PublicKey::from_spki(public_spki)?, &self.0)?)
    }

    fn unless_zero(self) -> Result<Self, ComponentError> {
        if sealing::is_zero(&self.0) { Err(NoKey::Zero.into()) } else { Ok(self) }
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Component(..)")
    }
}

/// The check value of a key of 16 bytes: the first 5 bytes of AES-CMAC over a zero block. For a component, and for what a
/// card holds; what is in a token is checked there.
#[must_use]
pub fn check_value(key: &[u8; COMPONENT_LEN]) -> ShortCheck {
    let mut cmac = Cmac::<Aes128>::new(key.into());
    cmac.update(&[0; COMPONENT_LEN]);
    let mut head = [0; ShortCheck::LEN];
    head.iter_mut().zip(cmac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
    ShortCheck::new(head)
}

#[cfg(test)]
mod tests;
