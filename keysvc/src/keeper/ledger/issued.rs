//! Which cards get keys under which master keys by a leaf: what a deactivated key goes on deriving for.
//!
//! Read from the signed request and the profiles in use, as the keeper read it before it recorded the leaf.

use keysvc_protocol::{
    card::CardUid,
    cbor::{self, REQUEST_LEN_MAX},
    control::Control,
    cose::{Kind, Signed},
    leaf::{CardKeysDerivedLeaf, Statement},
    name::Name,
    request::{DeriveCardKeys, Operation},
};
use std::collections::BTreeSet;

/// The cards of a request that got keys, the first of them, and the versions of master keys they hang on.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) cards: Vec<CardUid>,
    pub(super) masters: Vec<(Name, u32)>,
}

impl Issued {
    /// Reads a leaf; nothing when its request is not the station's own, or of no profile in use.
    pub(super) fn by(control: &Control, leaf: &CardKeysDerivedLeaf) -> Option<Self> {
        let payload = payload_of(control, (&leaf.station, Operation::CardDerive), &leaf.statement)?;
        let request: DeriveCardKeys = cbor::decode(payload, REQUEST_LEN_MAX).ok()?;
        let profile = &control.profiles().get(&leaf.profile, leaf.profile_version)?.profile;
        let slots = profile.slots.iter();
        let masters: BTreeSet<_> =
            slots.map(|slot| (slot.key.clone(), u32::from(slot.key_version))).collect();
        let cards = request.cards.get(..usize::try_from(leaf.cards).ok()?)?;
        Some(Self { cards: cards.to_vec(), masters: masters.into_iter().collect() })
    }
}

/// The payload of a statement that the principal's own key, as enrolled now, signed for this operation.
pub(super) fn payload_of<'s>(
    control: &Control,
    (principal, operation): (&Name, Operation),
    statement: &'s Statement,
) -> Option<&'s [u8]> {
    let key = control.roster().member(principal)?.statement_key()?;
    let signed = Signed::parse(statement.0.as_bytes()).ok()?;
    signed.open(Kind::Request(operation), control.genesis().as_bytes(), &key).ok()
}
