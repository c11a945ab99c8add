//! Derives card keys from a card master inside the token, as NXP AN10922 says for AES-128.
//!
//! Two routes to the same key. Where the token offers the SP 800-108 counter KDF, one call is AN10922 exactly. Where
//! it does not (SoftHSM), the CMAC's last block is computed by a derivation that encrypts data in CBC mode, so that
//! the card key is born in the token; the blocks before it pass through this process.
//!
//! It keeps no card key and decides no input: see `card_key` and `input`. The token does not keep a hijacked
//! process from deriving a readable key; types and discipline do.

use std::fmt;
use std::num::NonZeroUsize;

use cryptoki::mechanism::ekdf::AesCbcDeriveParams;
use cryptoki::mechanism::kbkdf::{
    Endianness, KbkdfCounterFormat, KbkdfParams, PrfDataParam, PrfDataParamType,
};
use cryptoki::mechanism::{Mechanism as Call, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use zeroize::{Zeroize, Zeroizing};

use crate::attribute::{read_one, template};
use crate::card_key::CardKey;
use crate::error::{TokenError, fault};
use crate::input::{Blocks, DiversificationInput};
use crate::mechanism::Mechanism;
use crate::object::{CheckValue, ObjectId, Transient, resolve};
use crate::profile::{Half, KeyKind};
use crate::token::Token;

/// The width of AN10922's constant seen as SP 800-108's counter, in bits.
const COUNTER_BITS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// The input on which the two routes are compared; no card has it.
const ROUTE_PROBE: &[u8] = b"keysvc route probe";

/// A card master on the token. Its handle was found once, so deriving searches nothing.
pub struct MasterKey {
    token: Token,
    handle: ObjectHandle,
    id: ObjectId,
    route: Route,
    /// The card key's template, built once.
    card_key: Vec<Attribute>,
}

/// How this token computes AN10922.
enum Route {
    CounterKdf,
    CbcEncryptData(Subkeys),
}

/// CMAC's subkeys of the master (NIST SP 800-38B section 6.1), held for as long as the master is in use: fetching
/// them costs as much as deriving a card key. They disclose E(0), the encryption of one block: with it a holder of
/// CMACs could stretch messages, but it neither is nor yields the master, and deriving still takes the token.
struct Subkeys {
    k1: Zeroizing<[u8; 16]>,
    k2: Zeroizing<[u8; 16]>,
}

impl Token {
    /// Finds a card master by identifier.
    ///
    /// # Errors
    /// If the kind is not the card master, if no key or more than one answers, or if the token fails.
    pub fn master_key(&self, kind: KeyKind, id: ObjectId) -> Result<MasterKey, TokenError> {
        if kind != KeyKind::CardMaster {
            return Err(TokenError::WrongKind { kind, needed: "a card master" });
        }
        let mut master = self.with_session(|session| {
            let handle = resolve((self, session), kind, Half::Secret, id)?;
            let route = Route::CbcEncryptData(Subkeys::of(session, handle)?);
            let card_key = template(KeyKind::CardKey.profile(), Half::Secret, self.offered());
            Ok(MasterKey { token: self.clone(), handle, id, route, card_key })
        })?;
        if self.offered().contains(&Mechanism::Sp800108CounterKdf) {
            master.take_the_short_route()?;
        }
        Ok(master)
    }
}

impl MasterKey {
    /// Derives the card key of this input inside the token. It is a session object, destroyed when dropped.
    ///
    /// # Errors
    /// If the token fails.
    pub fn derive(&self, input: &DiversificationInput) -> Result<CardKey, TokenError> {
        let handle = self.token.with_session(|session| match &self.route {
            Route::CounterKdf => self.by_counter_kdf(session, input),
            Route::CbcEncryptData(subkeys) => self.by_cbc(session, subkeys, input.blocks()),
        })?;
        Ok(CardKey::new(self.token.clone(), handle))
    }

    /// The master's check value: 5 bytes of the CMAC over a zero block.
    ///
    /// # Errors
    /// If the token fails.
    pub fn check_value(&self) -> Result<CheckValue, TokenError> {
        self.token.with_session(|session| check_value(session, self.handle))
    }

    /// The key's `CKA_ID`.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Goes over to the counter KDF and forgets the subkeys, once both routes have led to the same card key. A master
    /// that was made before its token offered the counter KDF is not allowed to it, and stays on its way.
    fn take_the_short_route(&mut self) -> Result<(), TokenError> {
        let input = DiversificationInput::try_from(ROUTE_PROBE)
            .map_err(|_| TokenError::unexpected("C_DeriveKey", "a probe of a wrong length"))?;
        let before = self.derive(&input)?.check_value()?;
        let derived = self.token.with_session(|session| self.by_counter_kdf(session, &input));
        let handle = match derived {
            Err(TokenError::Refused { .. }) => return Ok(()),
            derived => derived?,
        };
        if CardKey::new(self.token.clone(), handle).check_value()? != before {
            return Err(TokenError::unexpected("C_DeriveKey", "a counter KDF that is not AN10922"));
        }
        self.route = Route::CounterKdf;
        Ok(())
    }

    /// SP 800-108 in counter mode with an 8-bit counter before the input: its one step is CMAC(0x01 || M).
    fn by_counter_kdf(
        &self,
        session: &Session,
        input: &DiversificationInput,
    ) -> Result<ObjectHandle, TokenError> {
        let counter = KbkdfCounterFormat::new(Endianness::Big, COUNTER_BITS);
        let data = [
            PrfDataParam::new(PrfDataParamType::IterationVariable(Some(&counter))),
            PrfDataParam::new(PrfDataParamType::ByteArray(input.as_bytes())),
        ];
        let params = KbkdfParams::new(MechanismType::AES_CMAC, &data, None);
        session.derive_key(&Call::KbkdfCounter(params), self.handle, &self.card_key).map_err(fault)
    }

    /// CMAC over two blocks: E(E(first) xor last xor subkey), of which the token keeps the outer encryption.
    fn by_cbc(
        &self,
        session: &Session,
        subkeys: &Subkeys,
        mut blocks: Blocks,
    ) -> Result<ObjectHandle, TokenError> {
        let subkey = if blocks.padded { &subkeys.k2 } else { &subkeys.k1 };
        for (byte, add) in blocks.last.iter_mut().zip(subkey.iter()) {
            *byte ^= add;
        }
        let chained = encrypt_block(session, self.handle, &blocks.first)?;
        let params = AesCbcDeriveParams::new(*chained, blocks.last.as_slice());
        session.derive_key(&Call::AesCbcEncryptData(params), self.handle, &self.card_key).map_err(fault)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl Subkeys {
    fn of(session: &Session, master: ObjectHandle) -> Result<Self, TokenError> {
        let seed = encrypt_block(session, master, &[0; 16])?;
        let k1 = double(&seed);
        let k2 = double(&k1);
        Ok(Self { k1, k2 })
    }
}

/// The CMAC of a zero block under a derive-only key: E(0 xor K1), so two derivations. What the first one yields is
/// secret and wiped; what the second one yields is shown by its first 5 bytes.
pub(crate) fn check_value(session: &Session, master: ObjectHandle) -> Result<CheckValue, TokenError> {
    let subkeys = Subkeys::of(session, master)?;
    let cmac = encrypt_block(session, master, &subkeys.k1)?;
    match cmac.first_chunk() {
        Some(head) => Ok(CheckValue::Cmac(*head)),
        None => Err(TokenError::unexpected("C_DeriveKey", "a block that is shorter than 5 bytes")),
    }
}

/// Encrypts one block with a derive-only key: a derivation into a readable object that is destroyed at once.
fn encrypt_block(
    session: &Session,
    master: ObjectHandle,
    block: &[u8; 16],
) -> Result<Zeroizing<[u8; 16]>, TokenError> {
    let readable = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::ValueLen(Ulong::new(16)),
        Attribute::Token(false),
        Attribute::Private(false),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ];
    let params = AesCbcDeriveParams::new([0; 16], block);
    let derived = session.derive_key(&Call::AesCbcEncryptData(params), master, &readable).map_err(fault)?;
    let derived = Transient::new(session, derived);
    read_value(session, derived.handle())
}

/// Reads a secret value of exactly `N` bytes and wipes the wrapper's copy.
pub(crate) fn read_value<const N: usize>(
    session: &Session,
    handle: ObjectHandle,
) -> Result<Zeroizing<[u8; N]>, TokenError> {
    let Some(Attribute::Value(mut bytes)) = read_one(session, handle, AttributeType::Value)? else {
        return Err(TokenError::unexpected("C_GetAttributeValue", "no value where one was ordered"));
    };
    let mut value = Zeroizing::new([0; N]);
    let right_length = bytes.len() == N;
    for (slot, byte) in value.iter_mut().zip(&bytes) {
        *slot = *byte;
    }
    bytes.zeroize();
    if right_length { Ok(value) } else { Err(TokenError::bad_data("C_GetAttributeValue", "another length")) }
}

/// Doubles in GF(2^128) (NIST SP 800-38B section 6.1), in constant time.
fn double(block: &[u8; 16]) -> Zeroizing<[u8; 16]> {
    let number = u128::from_be_bytes(*block);
    // 0x87 if the top bit falls out, else 0.
    let reduction = (number >> 127).wrapping_neg() & 0x87;
    Zeroizing::new(((number << 1) ^ reduction).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use aes::Aes128;
    use cmac::{Cmac, Mac};

    use super::*;
    use crate::profile::Origin;
    use crate::scratch::{Make, Scratch, key_count, on_each_lesser_module, on_each_module};
    use crate::transport::TransportKey;
    use crate::vectors::{bytes, vectors};
    use crate::wrapping::StationTransport;

    /// A keeper's token and a station's, with one transport key between them: the way a card key's value comes out.
    struct Exchange {
        keeper: Token,
        transport: TransportKey,
        station: StationTransport,
    }

    impl Exchange {
        fn new(scratch: &Scratch) -> Self {
            let (keeper, station) = (scratch.open(), scratch.another("station"));
            let id = ObjectId([0xee; 16]);
            station.generate(KeyKind::Wrapping, id, "station").unwrap();
            let wrapping = station.wrapping_key(KeyKind::Wrapping, id).unwrap();
            let transport = TransportKey::generate(&keeper).unwrap();
            let wrapped = transport.wrap_to(wrapping.spki()).unwrap();
            Self { keeper, transport, station: wrapping.unwrap_transport(&wrapped).unwrap() }
        }

        /// Derives in the keeper's token and reads in the station's.
        fn derive(&self, master: &MasterKey, input: &[u8]) -> [u8; 16] {
            let card_key = master.derive(&DiversificationInput::try_from(input).unwrap()).unwrap();
            let wrapped = self.transport.wrap(&card_key).unwrap();
            let value = self.station.unwrap_card_key(&wrapped).unwrap();
            assert_eq!(value.check_value().unwrap(), card_key.check_value().unwrap());
            assert_eq!(card_key.check_value().unwrap(), software_cmac(value.expose(), &[0; 16])[..5]);
            *value.expose()
        }
    }

    fn software_cmac(key: &[u8; 16], message: &[u8]) -> [u8; 16] {
        let mut cmac = Cmac::<Aes128>::new(key.into());
        cmac.update(message);
        cmac.finalize().into_bytes().into()
    }

    /// Which way a master goes.
    fn is_by_counter_kdf(master: &MasterKey) -> bool {
        matches!(master.route, Route::CounterKdf)
    }

    /// Derives every published card key that the product derives, and sees that each master goes that way.
    fn published(scratch: &Scratch, by_counter_kdf: bool) {
        let exchange = Exchange::new(scratch);
        let (mut derived, mut refused) = (0, 0);
        for (number, vector) in (1..).zip(vectors("an10922.json")) {
            if vector["alg"] != "aes128" || vector["div_input"].as_str().is_none() {
                continue;
            }
            let input = bytes(&vector["div_input"]);
            let id = ObjectId([number; 16]);
            let value = bytes(&vector["key"]).try_into().unwrap();
            if DiversificationInput::try_from(input.as_slice()).is_err() {
                assert!(!(16..=31).contains(&input.len()));
                refused += 1;
                continue;
            }
            exchange.keeper.import_known(id, "published", &value).unwrap();
            let master = exchange.keeper.master_key(KeyKind::CardMaster, id).unwrap();
            assert_eq!(is_by_counter_kdf(&master), by_counter_kdf, "{vector}");
            assert_eq!(exchange.derive(&master, &input).as_slice(), bytes(&vector["output"]), "{vector}");
            derived += 1;
        }
        assert!(derived >= 5, "{derived}");
        assert!(refused >= 5, "{refused}");
    }

    #[test]
    fn card_keys_equal_the_published_ones() {
        on_each_module("master::tests::card_keys_equal_the_published_ones", |scratch| {
            // Kryoptic offers the counter KDF, and there it is the way that is taken.
            published(scratch, scratch.make() == Make::Kryoptic);
        });
    }

    #[test]
    fn card_keys_equal_the_published_ones_on_a_token_without_the_counter_kdf() {
        on_each_lesser_module(
            "master::tests::card_keys_equal_the_published_ones_on_a_token_without_the_counter_kdf",
            "CKM_SP800_108_COUNTER_KDF",
            |scratch| published(scratch, false),
        );
    }

    #[test]
    fn both_ways_lead_to_the_same_card_keys() {
        on_each_module("master::tests::both_ways_lead_to_the_same_card_keys", |scratch| {
            let (token, kind, id) = (scratch.open(), KeyKind::CardMaster, ObjectId([1; 16]));
            token.generate(kind, id, "master").unwrap();
            let master = token.master_key(kind, id).unwrap();
            assert_eq!(is_by_counter_kdf(&master), token.offered().contains(&Mechanism::Sp800108CounterKdf));
            let mut by_cbc = token.master_key(kind, id).unwrap();
            let subkeys = token.with_session(|session| Subkeys::of(session, by_cbc.handle)).unwrap();
            by_cbc.route = Route::CbcEncryptData(subkeys);
            for length in 16..=31 {
                let input =
                    DiversificationInput::try_from([length; 31][..usize::from(length)].as_ref()).unwrap();
                let check = |master: &MasterKey| master.derive(&input).unwrap().check_value().unwrap();
                assert_eq!(check(&master), check(&by_cbc), "{length}");
            }
        });
    }

    #[test]
    fn a_master_from_before_the_counter_kdf_goes_on_as_before() {
        on_each_lesser_module(
            "master::tests::a_master_from_before_the_counter_kdf_goes_on_as_before",
            "CKM_SP800_108_COUNTER_KDF",
            |scratch| {
                let (token, kind, old) = (scratch.open(), KeyKind::CardMaster, ObjectId([1; 16]));
                if scratch.role().is_none() {
                    token.import_known(old, "old", &[0x5a; 16]).unwrap();
                    // As a new version of a device's firmware brings a mechanism.
                    scratch.offer_all();
                    return scratch.beside("after");
                }
                assert_eq!(token.drift(kind, old, Origin::Imported).unwrap(), []);
                let offered = token.offered().contains(&Mechanism::Sp800108CounterKdf);
                assert_eq!(offered, scratch.make() == Make::Kryoptic);
                let new = ObjectId([2; 16]);
                token.import_known(new, "new", &[0x5a; 16]).unwrap();
                let [old, new] = [old, new].map(|id| token.master_key(kind, id).unwrap());
                assert_eq!((is_by_counter_kdf(&old), is_by_counter_kdf(&new)), (false, offered));
                let input = DiversificationInput::try_from([9; 20].as_slice()).unwrap();
                let check = |master: &MasterKey| master.derive(&input).unwrap().check_value().unwrap();
                assert_eq!(check(&old), check(&new));
            },
        );
    }

    #[test]
    fn card_keys_of_every_length_equal_a_cmac_in_software() {
        on_each_module("master::tests::card_keys_of_every_length_equal_a_cmac_in_software", |scratch| {
            let exchange = Exchange::new(scratch);
            let value = [0x5a; 16];
            exchange.keeper.import_known(ObjectId([1; 16]), "known", &value).unwrap();
            let master = exchange.keeper.master_key(KeyKind::CardMaster, ObjectId([1; 16])).unwrap();
            for length in 16..=31 {
                let input: Vec<u8> = (0..length).map(|byte| byte * 7 + 3).collect();
                let message = [[0x01].as_slice(), &input].concat();
                assert_eq!(exchange.derive(&master, &input), software_cmac(&value, &message), "{length}");
            }
        });
    }

    #[test]
    fn a_generated_master_derives_different_keys_for_different_cards() {
        on_each_module(
            "master::tests::a_generated_master_derives_different_keys_for_different_cards",
            |scratch| {
                let token = scratch.open();
                let id = ObjectId([1; 16]);
                let made = token.generate(KeyKind::CardMaster, id, "master").unwrap();
                let master = token.master_key(KeyKind::CardMaster, id).unwrap();
                assert_eq!(master.check_value().unwrap(), made.check);
                let derive = |card: u8| {
                    let input = DiversificationInput::try_from([card; 17].as_slice()).unwrap();
                    master.derive(&input).unwrap().check_value().unwrap()
                };
                assert_eq!(derive(1), derive(1));
                assert_ne!(derive(1), derive(2));
                assert_eq!(token.drift(KeyKind::CardMaster, id, Origin::Generated).unwrap(), []);
            },
        );
    }

    #[test]
    fn card_keys_leave_no_object_behind() {
        on_each_module("master::tests::card_keys_leave_no_object_behind", |scratch| {
            let token = scratch.open();
            let id = ObjectId([1; 16]);
            token.generate(KeyKind::CardMaster, id, "master").unwrap();
            let master = token.master_key(KeyKind::CardMaster, id).unwrap();
            let transport = TransportKey::generate(&token).unwrap();
            let count = || key_count(&token);
            let before = count();
            for card in 0..10 {
                let input = DiversificationInput::try_from([card; 17].as_slice()).unwrap();
                let card_key = master.derive(&input).unwrap();
                card_key.check_value().unwrap();
                transport.wrap(&card_key).unwrap();
            }
            master.check_value().unwrap();
            transport.check_value().unwrap();
            assert_eq!(count(), before);
            drop(transport);
            assert_eq!(count(), before - 1);
        });
    }

    #[test]
    fn a_card_key_cannot_be_read_and_makes_cmacs_only() {
        on_each_module("master::tests::a_card_key_cannot_be_read_and_makes_cmacs_only", |scratch| {
            let token = scratch.open();
            let id = ObjectId([1; 16]);
            token.generate(KeyKind::CardMaster, id, "master").unwrap();
            let master = token.master_key(KeyKind::CardMaster, id).unwrap();
            let input = DiversificationInput::try_from([1; 17].as_slice()).unwrap();
            let card_key = master.derive(&input).unwrap();
            token
                .with_session(|session| {
                    assert_eq!(read_one(session, card_key.handle(), AttributeType::Value)?, None);
                    let encrypted = session.encrypt(&Call::AesCbc([0; 16]), card_key.handle(), &[0; 16]);
                    assert!(encrypted.is_err());
                    let hmac = session.sign(&Call::Sha256Hmac, card_key.handle(), &[0; 16]);
                    assert!(hmac.is_err());
                    Ok(())
                })
                .unwrap();
        });
    }

    #[test]
    fn doubling_gives_the_subkeys_of_rfc_4493() {
        let l = u128::from_str_radix("7df76b0c1ab899b33e42f047b91b546f", 16).unwrap().to_be_bytes();
        let k1 = double(&l);
        assert_eq!(u128::from_be_bytes(*k1), 0xfbee_d618_3571_3366_7c85_e08f_7236_a8de);
        let k2 = double(&k1);
        assert_eq!(u128::from_be_bytes(*k2), 0xf7dd_ac30_6ae2_66cc_f90b_c11e_e46d_513b);
    }
}
