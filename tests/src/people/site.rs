//! A site: its founding, and the keys of everyone in it.
//!
//! Apart from the log, because it never changes: what is enrolled later is in the log's state.

use super::{BEGIN_MS, DOMAIN, Key, Person, idem, name};
use keysvc_protocol::{
    bytes::{Blob, Digest, ObjectIdentifier, Salt},
    cbor,
    control::Control,
    cose::Kind,
    founding::{
        CardFamily, CardSession, Delays, FoundedKey, FoundedKind, Founding, Function, InputPart, Officer,
        P256Text, Principal, PrincipalKind, Profile, Programme, Scheme, Slot, SubjectPublicKeyInfo,
        ValueRules,
    },
    hash::sha256,
    key::{CheckValue, KeyKind, KeyRecord, KeyState},
    leaf::{FoundingLeaf, LeafEntry, LeafKind, Statement},
    list::List,
    merkle::leaf_hash,
    proposal::APPROVAL_LEN_MAX,
    quorum::{Approval, Verdict},
    request::Operation,
    schema::Schema,
    trust::Trust,
};
use serde::Serialize;

/// A site's founding and the keys of everyone in it: officers `officer-1` onwards, two to a department; `terminal-1` and
/// `office-1` of the organisation `acme`, `platform-1` of `operations`.
#[derive(Debug, Clone)]
pub struct Site {
    /// The founding file.
    pub founding: Founding,
    /// Leaf 0's payload.
    pub leaf: FoundingLeaf,
    /// Leaf 0's salt.
    pub salt: Salt,
    /// Leaf 0's entry.
    pub entry: Vec<u8>,
    /// Everyone.
    pub people: Vec<Person>,
    /// The key that signs checkpoints.
    pub checkpoint: Key,
}

impl Site {
    /// A site of so many officers, its keys made by `make`, once for each number.
    pub fn new(officers: u8, make: impl Fn(u8) -> Key) -> Self {
        Self::with(officers, &[], make)
    }

    /// A site of two officers and a bureau: stations `station-1` and `station-2`, people with one capability each
    /// (`data-1`, `data-2`, `operator-1` to `operator-3`, `reviewer-1`, `monitor-1`), `ann`, `ben`, `cat` and `dan`
    /// with all of them, `office-2` of another organisation, and the profile `pass` of two slots that lets two cards
    /// be without their result.
    pub fn bureau(make: impl Fn(u8) -> Key) -> Self {
        Self::with(2, &FLOOR, make)
    }

    fn with(officers: u8, floor: &[Enrolled], make: impl Fn(u8) -> Key) -> Self {
        let officer = |number: u8| Person { name: name(&format!("officer-{number}")), key: make(number) };
        let mut people: Vec<Person> = (1..=officers).map(officer).collect();
        for (number, machine) in (100..).zip(["terminal-1", "office-1", "platform-1"]) {
            people.push(Person { name: name(machine), key: make(number) });
        }
        for (number, (machine, ..)) in (110..).zip(floor) {
            people.push(Person { name: name(machine), key: make(number) });
        }
        let founding = founding(officers, floor, &people);
        let checkpoint = make(200);
        let leaf = founding_leaf(&checkpoint, &make(201), &make(202));
        let (salt, payload) = (Salt::new([4; 16]), cbor::encode(&leaf));
        let entry = LeafEntry {
            schema: Schema,
            index: 0,
            time_ms: BEGIN_MS,
            kind: LeafKind::Founding,
            payload_digest: LeafEntry::digest_of(&salt, &payload),
        };
        Self { founding, leaf, salt, entry: cbor::encode(&entry), people, checkpoint }
    }

    /// The genesis digest.
    pub fn genesis(&self) -> Digest {
        leaf_hash(&self.entry)
    }

    /// The trust file.
    pub fn trust(&self) -> Trust {
        Trust { domain: self.founding.trust_domain.clone(), genesis: self.genesis() }
    }

    /// The person of this name.
    pub fn person(&self, name: &str) -> &Person {
        self.people.iter().find(|person| person.name.as_str() == name).unwrap()
    }

    /// The state before the first leaf after the founding.
    pub fn control(&self) -> Control {
        Control::found(self.founding.clone(), &self.leaf, self.genesis()).unwrap()
    }

    /// A signed request.
    pub fn statement(&self, by: &Person, operation: Operation, payload: &impl Serialize) -> Statement {
        let message = by.key.message(Kind::Request(operation), &self.genesis(), cbor::encode(payload));
        Statement(Blob::try_from(message).unwrap())
    }

    /// A signed verdict over a proposal's bytes.
    pub fn approval(&self, by: &Person, proposal: &[u8], verdict: Verdict) -> Blob<APPROVAL_LEN_MAX> {
        let approval = Approval {
            schema: Schema,
            proposal: sha256(&[proposal]),
            verdict,
            signed_at_ms: BEGIN_MS,
            nonce: idem(9),
        };
        let message = by.key.message(Kind::Approval, &self.genesis(), cbor::encode(&approval));
        Blob::try_from(message).unwrap()
    }
}

/// Name, kind, organisation and capabilities.
type Enrolled = (&'static str, PrincipalKind, &'static str, &'static [&'static str]);

const EVERYTHING: &[&str] = &["data-operator", "monitor", "reviewer", "station-operator"];
/// A bureau's people and machines.
const FLOOR: [Enrolled; 14] = [
    ("station-1", PrincipalKind::Station, "bureau", &[]),
    ("station-2", PrincipalKind::Station, "bureau", &[]),
    ("data-1", PrincipalKind::Operator, "bureau", &["data-operator"]),
    ("data-2", PrincipalKind::Operator, "bureau", &["data-operator"]),
    ("operator-1", PrincipalKind::Operator, "bureau", &["station-operator"]),
    ("operator-2", PrincipalKind::Operator, "bureau", &["station-operator"]),
    ("operator-3", PrincipalKind::Operator, "bureau", &["station-operator"]),
    ("reviewer-1", PrincipalKind::Operator, "bureau", &["reviewer"]),
    ("monitor-1", PrincipalKind::Operator, "bureau", &["monitor"]),
    ("ann", PrincipalKind::Operator, "bureau", EVERYTHING),
    ("ben", PrincipalKind::Operator, "bureau", EVERYTHING),
    ("cat", PrincipalKind::Operator, "bureau", EVERYTHING),
    ("dan", PrincipalKind::Operator, "bureau", EVERYTHING),
    ("office-2", PrincipalKind::Office, "tea", &[]),
];

fn of_floor((id, kind, organisation, capabilities): &Enrolled, pin: u8, key: P256Text) -> Principal {
    let wraps = *kind == PrincipalKind::Station;
    Principal {
        id: name(id),
        kind: *kind,
        organisation: name(organisation),
        capabilities: capabilities.iter().map(|capability| name(capability)).collect(),
        tls_key: Digest::new([pin; 32]),
        statement_key: Some(key),
        // Nothing is wrapped here; only the length is a real one's.
        wrapping_key: wraps.then(|| SubjectPublicKeyInfo::new(vec![pin; 422]).unwrap()),
    }
}

fn founding(officers: u8, floor: &[Enrolled], people: &[Person]) -> Founding {
    let key = |id: &str| P256Text::new(people.iter().find(|one| one.name.as_str() == id).unwrap().key.public);
    let officer = |number: u8| {
        let id = format!("officer-{number}");
        Officer {
            name: name(&id),
            department: name(&format!("department-{}", number.div_ceil(2))),
            tls_key: Digest::new([number; 32]),
            approval_key: key(&id),
        }
    };
    let principal = |(pin, id, kind, organisation): (u8, &str, PrincipalKind, &str)| Principal {
        id: name(id),
        kind,
        organisation: name(organisation),
        capabilities: Vec::new(),
        tls_key: Digest::new([pin; 32]),
        statement_key: Some(key(id)),
        wrapping_key: None,
    };
    let machines = [
        (100, "terminal-1", PrincipalKind::Terminal, "acme"),
        (101, "office-1", PrincipalKind::Office, "acme"),
        (102, "platform-1", PrincipalKind::Platform, "operations"),
    ];
    let founding = Founding {
        trust_domain: DOMAIN.parse().unwrap(),
        ca: Digest::new([1; 32]),
        policy: Digest::new([7; 32]),
        development: false,
        delays: Delays::default(),
        officers: (1..=officers).map(officer).collect(),
        principals: machines
            .into_iter()
            .map(principal)
            .chain((110..).zip(floor).map(|(pin, one)| of_floor(one, pin, key(one.0))))
            .collect(),
        programmes: vec![Programme {
            name: name("coffee"),
            organisation: name("acme"),
            currency: 978,
            profile: name("stored"),
            value_key: name("value-1"),
        }],
        profiles: if floor.is_empty() { vec![profile()] } else { vec![profile(), pass()] },
        keys: [("master-1", FoundedKind::CardMaster), ("value-1", FoundedKind::ValueSigning)]
            .into_iter()
            .map(|(key, kind)| FoundedKey { name: name(key), kind, value: None })
            .collect(),
    };
    assert_eq!(founding.check(), Ok(()));
    founding
}

fn profile() -> Profile {
    Profile {
        name: name("stored"),
        version: 1,
        family: CardFamily::DesfireEv2,
        scheme: Scheme::An10922Aes128,
        input: vec![InputPart::Uid, InputPart::Application, InputPart::SystemIdentifier],
        system_identifier: "6b657973766331".into(),
        slots: vec![Slot {
            slot: 0,
            key: name("master-1"),
            key_version: 1,
            key_number: 0,
            application: "010203".into(),
        }],
        functions: vec![Function::StoredValue],
        vectors: vec![],
        pipeline: 8,
        unit_cost: 0,
        value: Some(ValueRules {
            purses: vec![1],
            currency: 978,
            reloadable: true,
            one_time: false,
            ceiling: 50_000,
            load_max: 20_000,
            debit_max: 10_000,
            card_session: CardSession::PassiveTag,
        }),
    }
}

/// A pass with keys in two slots, of which two at a time are made.
fn pass() -> Profile {
    let stored = profile();
    let second = stored.slots.iter().map(|slot| Slot {
        slot: 1,
        key_number: 1,
        application: "010204".into(),
        ..slot.clone()
    });
    Profile {
        name: name("pass"),
        slots: stored.slots.iter().cloned().chain(second).collect(),
        functions: vec![Function::Membership],
        pipeline: 2,
        value: None,
        ..stored
    }
}

/// A key as the log would have it.
pub fn record(id: u8, key: &str, version: u32, kind: KeyKind, state: KeyState) -> KeyRecord {
    KeyRecord {
        schema: Schema,
        name: name(key),
        version,
        kind,
        state,
        id: ObjectIdentifier::new([id; 16]),
        check: CheckValue::Spki { value: Digest::new([id; 32]) },
        test_key: false,
        made_at_ms: BEGIN_MS,
        attributes: List::default(),
        public: None,
    }
}

fn founding_leaf(checkpoint: &Key, statement: &Key, value: &Key) -> FoundingLeaf {
    let pair = |id, text, kind, key: &Key| KeyRecord {
        public: Some(Blob::try_from(key.public.spki().to_vec()).unwrap()),
        check: CheckValue::Spki { value: key.public.digest() },
        ..record(id, text, 1, kind, KeyState::Active)
    };
    let keys = vec![
        pair(1, "statement", KeyKind::ServiceStatement, statement),
        pair(2, "checkpoint", KeyKind::Checkpoint, checkpoint),
        record(3, "master-1", 1, KeyKind::CardMaster, KeyState::Active),
        pair(4, "value-1", KeyKind::ValueSigning, value),
    ];
    FoundingLeaf {
        schema: Schema,
        founding: Blob::try_from(b"founding".to_vec()).unwrap(),
        signatures: List::default(),
        keys: List::try_from(keys).unwrap(),
        policy: Digest::new([7; 32]),
    }
}
