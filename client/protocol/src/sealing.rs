//! Components of a key under seal: what each is bound to, and which of them make a key.
//!
//! Apart from [`crate::hpke`], which seals anything: the custodian's client and the service hold to the same rules here.
//! It knows no check values and reads no text. The offer of the key to seal to is [`crate::component`]'s.

use crate::{
    bytes::{Digest, ProposalId},
    hpke::{self, ENCAPSULATED_LEN, HpkeError, OpenError, TAG_LEN},
    name::Name,
    public_key::PublicKey,
};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// Length of a component, in bytes: that of the key, AES-128.
pub const COMPONENT_LEN: usize = 16;
/// Fewest components of a key.
pub const COMPONENTS_MIN: usize = 2;
/// Most components of a key.
pub const COMPONENTS_MAX: usize = 3;
/// Length of a sealed component, in bytes: 65 + 16 + 16 = 97.
pub const SEALED_LEN: usize = ENCAPSULATED_LEN + COMPONENT_LEN + TAG_LEN;

/// Begins the info of every sealed component; the zero byte behind it ends it.
const PURPOSE: &[u8] = b"keysvc:component:v1\0";

/// Components that make no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// There are too few or too many.
    #[error("a key has 2 or 3 components, not {found}")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// One is all zero: it keeps nothing.
    #[error("a component is all zero")]
    Zero,
    /// Two are equal: they cancel each other out.
    #[error("two components are equal")]
    Equal,
    /// Their sum is all zero.
    #[error("the components make a key that is all zero")]
    SumZero,
}

/// Where a component belongs: it opens there and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The site, by its founding.
    pub genesis: &'a Digest,
    /// The import that the quorum agreed to.
    pub proposal: &'a ProposalId,
    /// The component's number, from 1.
    pub number: u8,
    /// Whose component it is.
    pub custodian: &'a Name,
}

impl Place<'_> {
    /// Seals a component to the service's one-time key.
    ///
    /// # Errors
    /// [`HpkeError`] when the public key is no point, or the system gives no random bytes.
    pub fn seal(&self, public: &PublicKey, component: &[u8; COMPONENT_LEN]) -> Result<Vec<u8>, HpkeError> {
        let point = point(public)?;
        hpke::seal(point, &component_info(self.genesis), &self.aad(), component)
    }

    /// Opens a sealed component. `dh` is the one-time key's holder: see [`hpke::open`].
    ///
    /// # Errors
    /// [`OpenError`]: bytes that are no sealed component, or one for another key or place, and what `dh` says.
    pub fn open<E>(
        &self,
        sealed: &[u8],
        public: &PublicKey,
        dh: impl FnOnce(&[u8; ENCAPSULATED_LEN]) -> Result<Zeroizing<[u8; 32]>, E>,
    ) -> Result<Zeroizing<[u8; COMPONENT_LEN]>, OpenError<E>> {
        if sealed.len() != SEALED_LEN {
            return Err(HpkeError::Form.into());
        }
        let opened = hpke::open(sealed, point(public)?, &component_info(self.genesis), &self.aad(), dh)?;
        let mut component = Zeroizing::new([0; COMPONENT_LEN]);
        // INVARIANT: as long as a component, because the sealed one was.
        component.iter_mut().zip(opened.iter()).for_each(|(to, from)| *to = *from);
        Ok(component)
    }

    fn aad(&self) -> Vec<u8> {
        component_aad(self.proposal, self.number, self.custodian)
    }
}

/// What every component of a site is sealed for: `keysvc:component:v1`, a zero byte, the genesis digest.
#[must_use]
pub fn component_info(genesis: &Digest) -> Vec<u8> {
    [PURPOSE, genesis.as_bytes()].concat()
}

/// What one component is bound to: the proposal (16 bytes), the number (1 byte), the custodian's name.
#[must_use]
pub fn component_aad(proposal: &ProposalId, number: u8, custodian: &Name) -> Vec<u8> {
    [proposal.as_bytes(), [number].as_slice(), custodian.as_str().as_bytes()].concat()
}

/// The key that these components make: their sum by exclusive or.
///
/// # Errors
/// [`NoKey`] for a wrong number of them, one that is all zero, two that are equal, or a sum that is all zero. Which of
/// them is not said: whoever reads it may hold another one.
pub fn combine(components: &[&[u8; COMPONENT_LEN]]) -> Result<Zeroizing<[u8; COMPONENT_LEN]>, NoKey> {
    if !(COMPONENTS_MIN..=COMPONENTS_MAX).contains(&components.len()) {
        return Err(NoKey::Count { found: components.len() });
    }
    let mut key = Zeroizing::new([0; COMPONENT_LEN]);
    for (at, one) in components.iter().enumerate() {
        if is_zero(one) {
            return Err(NoKey::Zero);
        }
        if components.iter().take(at).any(|other| is_zero(&sum(one, other))) {
            return Err(NoKey::Equal);
        }
        key = sum(&key, one);
    }
    if is_zero(&key) { Err(NoKey::SumZero) } else { Ok(key) }
}

/// Whether a component is all zero, in constant time.
#[must_use]
pub fn is_zero(component: &[u8; COMPONENT_LEN]) -> bool {
    component.iter().fold(0, |all, byte| all | byte) == 0
}

fn sum(one: &[u8; COMPONENT_LEN], other: &[u8; COMPONENT_LEN]) -> Zeroizing<[u8; COMPONENT_LEN]> {
    let mut sum = Zeroizing::new(*one);
    sum.iter_mut().zip(other).for_each(|(byte, add)| *byte ^= add);
    sum
}

fn point(public: &PublicKey) -> Result<&[u8; ENCAPSULATED_LEN], HpkeError> {
    public.spki().last_chunk().ok_or(HpkeError::Recipient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpke::tests::Recipient;

    struct Keeper {
        recipient: Recipient,
        public: PublicKey,
    }

    impl Keeper {
        fn new() -> Self {
            let recipient = Recipient::new(9);
            let head =
                crate::bytes::from_hex("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
            let public = PublicKey::from_spki(&[head.as_slice(), &recipient.public()].concat()).unwrap();
            Self { recipient, public }
        }

        fn open(&self, place: &Place, sealed: &[u8]) -> Result<[u8; 16], OpenError<&'static str>> {
            let opened = place.open(sealed, &self.public, |point| self.recipient.agree(point));
            opened.map(|component| *component)
        }
    }

    #[test]
    fn a_component_is_bound_as_the_standard_of_the_wire_says() {
        let info = component_info(&Digest::new([0xab; 32]));
        assert_eq!(info[..20], *b"keysvc:component:v1\0");
        assert_eq!(info[20..], [0xab; 32]);
        let aad = component_aad(&ProposalId::new([0xcd; 16]), 2, &"officer-1".parse().unwrap());
        assert_eq!(aad[..16], [0xcd; 16]);
        assert_eq!(aad[16..], *b"\x02officer-1");
    }

    #[test]
    fn a_component_opens_in_its_place_and_in_no_other() {
        let keeper = Keeper::new();
        let (genesis, other_genesis) = (Digest::new([1; 32]), Digest::new([2; 32]));
        let (proposal, other_proposal) = (ProposalId::new([3; 16]), ProposalId::new([4; 16]));
        let (custodian, other): (Name, Name) = ("officer-1".parse().unwrap(), "officer-2".parse().unwrap());
        let place = Place { genesis: &genesis, proposal: &proposal, number: 1, custodian: &custodian };
        let sealed = place.seal(&keeper.public, &[7; 16]).unwrap();
        assert_eq!(sealed.len(), 97);
        assert_eq!(keeper.open(&place, &sealed), Ok([7; 16]));
        for elsewhere in [
            Place { genesis: &other_genesis, ..place },
            Place { proposal: &other_proposal, ..place },
            Place { number: 2, ..place },
            Place { custodian: &other, ..place },
        ] {
            assert_eq!(keeper.open(&elsewhere, &sealed), Err(OpenError::Message(HpkeError::Sealed)));
        }
    }

    #[test]
    fn a_sealed_thing_of_another_length_is_no_component() {
        let keeper = Keeper::new();
        let (genesis, proposal) = (Digest::new([1; 32]), ProposalId::new([3; 16]));
        let custodian = "officer-1".parse().unwrap();
        let place = Place { genesis: &genesis, proposal: &proposal, number: 1, custodian: &custodian };
        for length in [0, 15, 17, 24, 32] {
            let sealed = hpke::seal(
                keeper.public.spki().last_chunk().unwrap(),
                &component_info(&genesis),
                &place.aad(),
                &[7; 32][..length],
            );
            let opened = keeper.open(&place, &sealed.unwrap());
            assert_eq!(opened, Err(OpenError::Message(HpkeError::Form)), "{length}");
        }
    }

    #[test]
    fn two_or_three_different_components_make_a_key() {
        assert_eq!(*combine(&[&[1; 16], &[2; 16]]).unwrap(), [3; 16]);
        assert_eq!(*combine(&[&[1; 16], &[2; 16], &[4; 16]]).unwrap(), [7; 16]);
    }

    #[test]
    fn components_that_keep_nothing_make_no_key() {
        let (one, two, three, zero) = ([1; 16], [2; 16], [3; 16], [0; 16]);
        assert_eq!(combine(&[]), Err(NoKey::Count { found: 0 }));
        assert_eq!(combine(&[&one]), Err(NoKey::Count { found: 1 }));
        assert_eq!(combine(&[&one, &two, &[4; 16], &[8; 16]]), Err(NoKey::Count { found: 4 }));
        for components in [[&zero, &one], [&one, &zero]] {
            assert_eq!(combine(&components), Err(NoKey::Zero));
        }
        assert_eq!(combine(&[&one, &one]), Err(NoKey::Equal));
        for components in [[&one, &two, &one], [&two, &one, &one], [&one, &one, &two]] {
            assert_eq!(combine(&components), Err(NoKey::Equal));
        }
        assert_eq!(combine(&[&one, &two, &three]), Err(NoKey::SumZero));
    }
}
