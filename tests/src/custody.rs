//! Custodians at work, over the raw wire: the order of an import, its one-time key, components sealed and given.
//!
//! Apart from the tests because several need it. It judges nothing; it seals whatever a test wants, for wherever a test
//! says.

use crate::{
    agreed::{idem, name, reason},
    cards,
    raw::{self, Caller, Leaf},
};
use aes::Aes128;
use cmac::{Cmac, Mac as _, digest::KeyInit};
use keysvc_protocol::{
    bytes::{Blob, ProposalId, ShortCheck},
    cbor,
    component::ComponentKeyOffer,
    hash::sha256,
    hpke,
    key::KeyKind,
    leaf::{ChangedLeaf, LeafKind},
    list::List,
    public_key::PublicKey,
    refusal::Refusal,
    reply::{ComponentGivenReply, ComponentKeyReply},
    request::{ComponentOrder, Envelope, GiveComponent, ImportKey, Operation, ReadComponentKey},
    schema::Schema,
    sealing::{component_aad, component_info},
};

/// A component, and the whole.
pub type Component = [u8; 16];

/// The check value of a value: by another library than the token's.
///
/// # Panics
/// Never.
#[must_use]
pub fn check(value: &Component) -> ShortCheck {
    let mut mac = <Cmac<Aes128> as KeyInit>::new_from_slice(value).unwrap();
    mac.update(&[0; 16]);
    ShortCheck::new(mac.finalize().into_bytes()[..5].try_into().unwrap())
}

/// The exclusive or of components.
#[must_use]
pub fn xor(values: &[Component]) -> Component {
    let mut sum = [0; 16];
    values.iter().for_each(|value| sum.iter_mut().zip(value).for_each(|(byte, add)| *byte ^= add));
    sum
}

/// `key.import` of the key that these make, each with its custodian.
///
/// # Panics
/// With more than three.
#[must_use]
pub fn import(key: &str, parts: &[(&str, Component)]) -> ImportKey {
    let values: Vec<_> = parts.iter().map(|(_, value)| *value).collect();
    let order = |(custodian, value): &(&str, Component)| ComponentOrder {
        custodian: name(custodian),
        check: check(value),
    };
    ImportKey {
        schema: Schema,
        idem: idem(),
        name: name(key),
        kind: KeyKind::CardMaster,
        check: check(&xor(&values)),
        components: List::try_from(parts.iter().map(order).collect::<Vec<_>>()).unwrap(),
        reason: reason(),
    }
}

/// The offer of the one-time key to this caller, not verified, and what is held.
///
/// # Errors
/// The [`Refusal`].
pub fn offered(caller: &mut Caller, proposal: ProposalId) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    let request = ReadComponentKey { schema: Schema, proposal };
    let reply: ComponentKeyReply = caller.ask(Operation::ComponentKey, &request)?;
    Ok((reply.offer.into_bytes(), reply.held.to_vec()))
}

/// The offer to an officer, verified, and what is held.
///
/// # Panics
/// When there is none, or another than the service's.
#[must_use]
pub fn offer(caller: &mut Caller, proposal: ProposalId) -> (ComponentKeyOffer, Vec<u8>) {
    let (message, held) = offered(caller, proposal).unwrap();
    let key = cards::statement_key(caller);
    (ComponentKeyOffer::verify(&message, &caller.genesis, &key).unwrap(), held)
}

/// A component on its way: the request, and what travels beside it.
#[derive(Debug, Clone)]
pub struct Giving {
    /// The request.
    pub request: GiveComponent,
    /// What travels beside it.
    pub sealed: Vec<u8>,
}

impl Giving {
    /// A component sealed as it was ordered.
    ///
    /// # Panics
    /// When the offer holds no key.
    #[must_use]
    pub fn new(caller: &Caller, offer: &ComponentKeyOffer, value: &[u8]) -> Self {
        let aad = component_aad(&offer.proposal, offer.number, &offer.custodian);
        Self::bound(caller, offer, &aad, value)
    }

    /// One that is bound to something else.
    ///
    /// # Panics
    /// When the offer holds no key.
    #[must_use]
    pub fn bound(caller: &Caller, offer: &ComponentKeyOffer, aad: &[u8], value: &[u8]) -> Self {
        let public = PublicKey::from_spki(offer.public.as_bytes()).unwrap();
        let point = public.spki().last_chunk().unwrap();
        let sealed = hpke::seal(point, &component_info(&caller.genesis), aad, value).unwrap();
        let whole = Component::try_from(value).unwrap_or_default();
        let request = GiveComponent {
            schema: Schema,
            idem: idem(),
            proposal: offer.proposal,
            number: offer.number,
            check: check(&whole),
            import_key: sha256(&[public.spki()]),
            sealed: sha256(&[&sealed]),
        };
        Self { request, sealed }
    }

    /// Sent as it is.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn send(&self, by: &mut Caller) -> Result<ComponentGivenReply, Refusal> {
        send(by, Operation::ComponentGive, cbor::encode(&self.request), Some(&self.sealed))
    }
}

/// An officer's own component, given under a fresh offer.
///
/// # Errors
/// The [`Refusal`].
///
/// # Panics
/// When there is no offer.
pub fn give(caller: &mut Caller, proposal: ProposalId, value: &[u8]) -> Result<ComponentGivenReply, Refusal> {
    let offer = offer(caller, proposal).0;
    Giving::new(caller, &offer, value).send(caller)
}

/// A message with something beside it, or without.
///
/// # Panics
/// When one of them is too long.
#[must_use]
pub fn beside(message: Vec<u8>, beside: Option<&[u8]>) -> Vec<u8> {
    cbor::encode(&Envelope {
        schema: Schema,
        request: Blob::try_from(message).unwrap(),
        seen: None,
        beside: beside.map(|bytes| Blob::try_from(bytes.to_vec()).unwrap()),
    })
}

/// A request with something beside it, or without.
///
/// # Errors
/// The [`Refusal`].
pub fn send(
    by: &mut Caller,
    operation: Operation,
    payload: Vec<u8>,
    sealed: Option<&[u8]>,
) -> Result<ComponentGivenReply, Refusal> {
    let message = by.message(operation, payload);
    by.line.post(operation.name(), &beside(message, sealed)).read()
}

/// How many of these leaves say that a component was given.
#[must_use]
pub fn given(leaves: &[Leaf]) -> usize {
    let changed: Vec<ChangedLeaf> = raw::of_kind(leaves, LeafKind::SiteChanged);
    changed.iter().filter(|leaf| leaf.operation == Operation::ComponentGive).count()
}
