use super::*;
use crate::{
    bytes::{Idem, ObjectIdentifier, PreviousUpdate, Salt, ShortCheck},
    checkpoint::Checkpoint,
    cose::Unsigned,
    key::{CheckValue, KeyKind, KeyRecord},
    leaf::{FoundingLeaf, LeafEntry, LeafKind},
    merkle::{TreeHead, leaf_hash},
    receipt::LeafEvidence,
    trust::Trust,
    value::FLAG_NO_CARD_SESSION,
};
use alloc::{vec, vec::Vec};
use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _};

const MADE: u64 = 1_795_000_000_000;
const NOT_AFTER: u64 = MADE + 7 * 86_400_000;

struct Key(SigningKey, PublicKey);

impl Key {
    fn new(seed: u8) -> Self {
        let key = SigningKey::from_slice(&[seed; 32]).unwrap();
        let mut spki = vec![
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        spki.extend_from_slice(key.verifying_key().to_encoded_point(false).as_bytes());
        let public = PublicKey::from_spki(&spki).unwrap();
        Self(key, public)
    }

    fn sign(&self, digest: &Digest) -> [u8; 64] {
        let signature: Signature = self.0.sign_prehash(digest.as_bytes()).unwrap();
        signature.normalize_s().unwrap_or(signature).to_bytes().into()
    }

    fn message(&self, kind: Kind, genesis: &Digest, payload: Vec<u8>) -> Vec<u8> {
        let unsigned = Unsigned::new(kind, genesis.as_bytes(), self.1.identifier(), payload);
        let signature = self.sign(unsigned.digest());
        unsigned.with_signature(&signature)
    }

    fn record(&self, name: &str, kind: KeyKind) -> KeyRecord {
        KeyRecord {
            schema: Schema,
            name: name.parse().unwrap(),
            version: 1,
            kind,
            state: KeyState::Active,
            id: ObjectIdentifier::new([1; 16]),
            check: CheckValue::Kw { value: ShortCheck::new([0; 5]) },
            test_key: false,
            made_at_ms: MADE,
            attributes: List::default(),
            public: Some(Blob::try_from(self.1.spki().to_vec()).unwrap()),
        }
    }
}

/// The statement, checkpoint and value keys of one log.
struct Site {
    statement: Key,
    log: Key,
    value: Key,
    founding: LeafEvidence,
    trust: Trust,
}

fn site() -> Site {
    let (statement, log, value) = (Key::new(1), Key::new(2), Key::new(3));
    let leaf = FoundingLeaf {
        schema: Schema,
        founding: Blob::try_from(b"file".to_vec()).unwrap(),
        signatures: List::default(),
        keys: vec![
            statement.record("statement", KeyKind::ServiceStatement),
            log.record("checkpoint", KeyKind::Checkpoint),
            value.record("value-1", KeyKind::ValueSigning),
        ]
        .try_into()
        .unwrap(),
        policy: Digest::new([7; 32]),
    };
    let (payload, salt) = (cbor::encode(&leaf), Salt::new([4; 16]));
    let entry = LeafEntry {
        schema: Schema,
        index: 0,
        time_ms: MADE,
        kind: LeafKind::Founding,
        payload_digest: LeafEntry::digest_of(&salt, &payload),
    };
    let entry = cbor::encode(&entry);
    let trust = Trust { domain: "demo.keysvc.test".parse().unwrap(), genesis: leaf_hash(&entry) };
    let founding = LeafEvidence {
        entry: Blob::try_from(entry).unwrap(),
        salt: Some(salt),
        payload: Some(Blob::try_from(payload).unwrap()),
    };
    Site { statement, log, value, founding, trust }
}

impl Site {
    fn bundle(&self) -> TrustBundle {
        let checkpoint = Checkpoint {
            origin: Origin::of(&self.trust.domain, 1),
            head: TreeHead { size: 1, root: self.trust.genesis },
        };
        let signature = self.log.sign(&checkpoint.digest_to_sign());
        TrustBundle {
            schema: Schema,
            trust_domain: self.trust.domain.clone(),
            genesis: self.trust.genesis,
            development: true,
            made_at_ms: MADE,
            not_after_ms: NOT_AFTER,
            log_key: Blob::try_from(self.log.1.spki().to_vec()).unwrap(),
            checkpoint: SignedCheckpoint::assemble(&checkpoint, &signature, self.log.1.spki()),
            value_keys: vec![self.value_key()].try_into().unwrap(),
            programmes: vec![programme()].try_into().unwrap(),
            denied: Vec::new().try_into().unwrap(),
        }
    }

    fn value_key(&self) -> BundleKey {
        BundleKey {
            name: "value-1".parse().unwrap(),
            version: 1,
            kid: self.value.1.identifier(),
            public: Blob::try_from(self.value.1.spki().to_vec()).unwrap(),
            state: KeyState::Active,
            not_before_ms: MADE,
            not_after_ms: None,
        }
    }

    fn signed(&self, bundle: &TrustBundle) -> Vec<u8> {
        self.statement.message(Kind::TrustBundle, &self.trust.genesis, cbor::encode(bundle))
    }

    fn verified(&self, bundle: &TrustBundle) -> Result<TrustBundle, BundleError> {
        TrustBundle::verify(&self.signed(bundle), &self.trust.genesis, &self.statement.1)
    }

    fn file(&self, bundle: &TrustBundle) -> BundleFile {
        let bundle = Blob::try_from(self.signed(bundle)).unwrap();
        BundleFile { schema: Schema, founding: self.founding.clone(), bundle }
    }

    fn record(&self, update: &ValueUpdate) -> Vec<u8> {
        self.value.message(Kind::ValueUpdate, &self.trust.genesis, cbor::encode(update))
    }
}

fn programme() -> BundleProgramme {
    BundleProgramme {
        name: "coffee".parse().unwrap(),
        organisation: "acme".parse().unwrap(),
        currency: 978,
        value_key: "value-1".parse().unwrap(),
        profile: "stored".parse().unwrap(),
        purses: vec![1].try_into().unwrap(),
        ceiling: 10_000,
        load_max: 5_000,
        debit_max: 2_000,
    }
}

fn update() -> ValueUpdate {
    ValueUpdate {
        schema: Schema,
        programme: "coffee".parse().unwrap(),
        card: "04782e21801d80".parse().unwrap(),
        purse: 1,
        operation: ValueOperation::Load,
        seq: 1,
        amount: 2_000,
        currency: 978,
        balance_before: 0,
        balance_after: 2_000,
        previous: PreviousUpdate::new([0; 16]),
        txn: Idem::new([5; 16]),
        terminal: "terminal-1".parse().unwrap(),
        issued_at_ms: MADE + 5,
        expires_at_ms: MADE + 86_400_000,
        flags: FLAG_NO_CARD_SESSION,
        evidence: None,
    }
}

fn later(change: impl Fn(&mut ValueUpdate)) -> ValueUpdate {
    let mut update = ValueUpdate { seq: 2, previous: PreviousUpdate::new([1; 16]), ..update() };
    change(&mut update);
    update
}

#[test]
fn a_bundle_is_read_back_from_its_signature_and_its_file() {
    let site = site();
    let bundle = site.bundle();
    assert_eq!(site.verified(&bundle), Ok(bundle.clone()));
    let file = cbor::encode(&site.file(&bundle));
    assert_eq!(BundleFile::read(&file).unwrap().verify(&site.trust), Ok(bundle));
}

#[test]
fn a_bundle_by_another_key_or_for_another_log_is_refused() {
    let (site, other) = (site(), Digest::new([9; 32]));
    let bundle = site.bundle();
    let signed = site.signed(&bundle);
    assert_eq!(
        TrustBundle::verify(&signed, &site.trust.genesis, &site.value.1),
        Err(BundleError::Signature(CoseError::WrongKey))
    );
    assert_eq!(
        TrustBundle::verify(&signed, &other, &site.statement.1),
        Err(BundleError::Signature(CoseError::BadSignature))
    );
    let foreign = TrustBundle { genesis: other, ..bundle };
    assert_eq!(site.verified(&foreign), Err(BundleError::OtherLog));
}

#[test]
fn a_file_is_proved_by_its_own_trust_file_alone() {
    let site = site();
    let file = site.file(&site.bundle());
    let other = Trust { genesis: Digest::new([9; 32]), ..site.trust.clone() };
    assert_eq!(file.verify(&other), Err(BundleFileError::OtherLog));
    let domain = Trust { domain: "other.test".parse().unwrap(), ..site.trust.clone() };
    assert_eq!(file.verify(&domain), Err(BundleFileError::Bundle(BundleError::OtherLog)));
    let withheld = LeafEvidence { salt: None, payload: None, ..site.founding.clone() };
    let file = BundleFile { founding: withheld, ..file };
    assert_eq!(file.verify(&site.trust), Err(BundleFileError::NoKeys));
}

#[test]
fn a_bundle_with_a_key_under_another_identifier_or_a_foreign_checkpoint_is_refused() {
    let site = site();
    let key = BundleKey { kid: KeyIdentifier::new([0; 8]), ..site.value_key() };
    let bundle = TrustBundle { value_keys: vec![key].try_into().unwrap(), ..site.bundle() };
    assert_eq!(site.verified(&bundle), Err(BundleError::BadKey));
    let log_key = Blob::try_from(site.value.1.spki().to_vec()).unwrap();
    let bundle = TrustBundle { log_key, ..site.bundle() };
    assert_eq!(site.verified(&bundle), Err(BundleError::Checkpoint(CheckpointError::NotSigned)));
}

#[test]
fn an_expired_bundle_vouches_for_nothing_and_says_until_when_it_held() {
    let site = site();
    let (bundle, record) = (site.bundle(), site.record(&update()));
    assert_eq!(bundle.check_record(&record, NOT_AFTER), Ok(update()));
    let expired = BundleError::Expired { not_after_ms: NOT_AFTER };
    assert_eq!(bundle.check_record(&record, NOT_AFTER + 1), Err(expired));
}

#[test]
fn a_record_is_vouched_for_within_its_programmes_key_currency_purses_and_limits() {
    let site = site();
    let bundle = site.bundle();
    let check = |update: ValueUpdate| bundle.check_record(&site.record(&update), MADE + 10).map(|_| ());
    assert_eq!(check(update()), Ok(()));
    let tea = later(|update| update.programme = "tea".parse().unwrap());
    assert_eq!(check(tea), Err(BundleError::UnknownProgramme));
    assert_eq!(check(later(|update| update.currency = 840)), Err(BundleError::OtherPurse));
    assert_eq!(check(later(|update| update.purse = 2)), Err(BundleError::OtherPurse));
    assert_eq!(check(later(|update| update.issued_at_ms = MADE - 1)), Err(BundleError::KeyNotValid));
    let large = later(|update| {
        update.amount = 5_001;
        update.balance_after = 5_001;
    });
    assert_eq!(check(large), Err(BundleError::PastLimit { limit: 5_000 }));
    let full = later(|update| {
        update.balance_before = 9_000;
        update.balance_after = 11_000;
    });
    assert_eq!(check(full), Err(BundleError::PastLimit { limit: 10_000 }));
    let debit = later(|update| {
        update.operation = ValueOperation::Debit;
        update.amount = 2_001;
        update.balance_before = 3_000;
        update.balance_after = 999;
    });
    assert_eq!(check(debit), Err(BundleError::PastLimit { limit: 2_000 }));
    let spent = later(|update| {
        update.operation = ValueOperation::Debit;
        update.amount = 100;
        update.balance_before = 12_000;
        update.balance_after = 11_900;
    });
    assert_eq!(check(spent), Ok(()), "a card past a lowered ceiling is spent, not stranded");
}

#[test]
fn a_key_out_of_use_vouches_for_what_was_issued_before_and_a_compromised_one_for_nothing() {
    let site = site();
    let with = |state, not_after_ms| {
        let key = BundleKey { state, not_after_ms, ..site.value_key() };
        let bundle = TrustBundle { value_keys: vec![key].try_into().unwrap(), ..site.bundle() };
        bundle.check_record(&site.record(&update()), MADE + 10).map(|_| ())
    };
    assert_eq!(with(KeyState::Deactivated, Some(MADE + 5)), Ok(()));
    assert_eq!(with(KeyState::Deactivated, Some(MADE + 4)), Err(BundleError::KeyNotValid));
    assert_eq!(with(KeyState::Compromised, None), Err(BundleError::KeyNotValid));
}

#[test]
fn a_record_by_a_key_of_another_programme_is_not_vouched_for() {
    let site = site();
    let other = BundleProgramme { value_key: "value-2".parse().unwrap(), ..programme() };
    let bundle = TrustBundle { programmes: vec![other].try_into().unwrap(), ..site.bundle() };
    assert_eq!(bundle.check_record(&site.record(&update()), MADE), Err(BundleError::UnknownKey));
    let stranger = Key::new(8).message(Kind::ValueUpdate, &site.trust.genesis, cbor::encode(&update()));
    assert_eq!(site.bundle().check_record(&stranger, MADE), Err(BundleError::UnknownKey));
}

#[test]
fn a_record_about_what_is_frozen_is_not_honoured_and_about_anything_else_it_is() {
    let site = site();
    let (card, other) = (update().card, "04782e21801d81".parse().unwrap());
    let named = |text: &str| -> Name { text.parse().unwrap() };
    let check = |scope: &Scope| {
        let bundle = TrustBundle { denied: vec![scope.clone()].try_into().unwrap(), ..site.bundle() };
        bundle.check_record(&site.record(&update()), MADE + 10).map(|_| ())
    };
    for scope in [
        Scope::Card { card, programme: None },
        Scope::Card { card, programme: Some(named("coffee")) },
        Scope::Terminal { name: named("terminal-1") },
        Scope::Programme { name: named("coffee") },
        Scope::Store { name: named("acme") },
        Scope::Profile { name: named("stored") },
        Scope::Key { name: named("value-1") },
        Scope::All,
    ] {
        assert_eq!(check(&scope), Err(BundleError::Frozen { scope: scope.clone() }));
    }
    for scope in [
        Scope::Card { card: other, programme: None },
        Scope::Card { card, programme: Some(named("tea")) },
        Scope::Terminal { name: named("terminal-2") },
        Scope::Station { name: named("terminal-1") },
        Scope::Programme { name: named("tea") },
        Scope::Store { name: named("coffee") },
        Scope::Profile { name: named("other") },
        Scope::Key { name: named("value-2") },
    ] {
        assert_eq!(check(&scope), Ok(()), "{scope}");
    }
}

#[test]
fn an_update_that_took_people_is_vouched_for_under_its_own_kind_alone() {
    let site = site();
    let approved = ValueUpdate { evidence: Some(Digest::new([3; 32])), ..update() };
    let check = |kind, update: &ValueUpdate| {
        let record = site.value.message(kind, &site.trust.genesis, cbor::encode(update));
        site.bundle().check_record(&record, MADE + 10)
    };
    assert_eq!(check(approved.kind(), &approved), Ok(approved.clone()));
    assert_eq!(check(update().kind(), &update()), Ok(update()));
    let evidence = Err(BundleError::Value(ValueError::Evidence));
    assert_eq!(check(Kind::ValueUpdate, &approved), evidence);
    assert_eq!(check(Kind::ApprovedValueUpdate, &update()), evidence);
    // The domains differ: a signature of one kind does not become the other's by its header.
    let mut relabelled = site.value.message(Kind::ValueUpdate, &site.trust.genesis, cbor::encode(&approved));
    let place = relabelled.windows(3).position(|part| part == b"vu1").unwrap();
    relabelled[place + 2] = b'2';
    let bad = BundleError::Value(ValueError::Signature(CoseError::BadSignature));
    assert_eq!(site.bundle().check_record(&relabelled, MADE + 10), Err(bad));
}
